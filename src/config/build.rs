//! Builds the [`Config`] from the settings: what a table needs, what refers
//! to what, and what is not in this version.

use std::path::PathBuf;

use hyper::Uri;

use super::check;
use super::choice::Choice;
use super::detection;
use super::key::keys;
use super::problem::{Found, Origin, Problems};
use super::retention;
use super::rights;
use super::settings::{Placed, Section, Settings};
use super::source::Sources;
use super::together;
use super::{
    AlertsConfig, AuditConfig, Backup, Config, ConsentConfig, Cors, Detection, Headers, Limits, Loaded, Log, Place,
    Purpose, Role, Route, SubjectConfig, Sweep, Timeouts, Tls, Transfer, Upstream, notice,
};
use crate::consent::token::Expected;
use crate::entity::Entity;
use crate::sensitive::Sensitive;

/// The name of an upstream that nothing names.
const UNNAMED: &str = "default";

/// The purpose where nothing names one.
const SUPPORT: &str = "support";

/// Builds and checks the whole.
pub(super) fn config(settings: &Settings, sources: &Sources, mut found: Found) -> Result<Loaded, Problems> {
    let found_in = &mut found;
    let top = settings.section("");
    let tenant = top.text("tenant").map(|placed| placed.value).unwrap_or_default();
    let upstreams = upstreams(settings, sources, found_in);
    let listed = purposes(settings, found_in);
    let detection = detection::of_all(&settings.section("detection"), found_in);
    let usual = Usual { tenant: &tenant, detection: &detection };
    let routes = routes(settings, &usual, &upstreams, &listed, found_in);
    let consent = consent(&settings.section("consent"), found_in);
    let purposes = complete(listed, &routes, consent.special_categories.as_deref());
    let config = Config {
        listen: address(&top, "listen", found_in),
        admin: address(&top, "admin", found_in),
        admin_hosts: each(&top, "admin_hosts", check::host_name, found_in),
        vault: Sensitive::new(checked(top.text("vault"), check::vault, found_in).unwrap_or_default()),
        public_url: checked(top.text("public_url"), check::public_url, found_in),
        rules: checked(top.text("rules"), check::folder, found_in),
        protocols: checked(top.text("protocols"), check::folder, found_in),
        upstreams,
        webhooks: rights::webhooks(settings, sources, found_in),
        transcripts: rights::transcripts(&settings.section("transcripts"), &purposes, found_in),
        purposes,
        notices: notice::read(settings, consent.policy.as_deref(), found_in),
        consent,
        regions: each(&settings.section("recipients"), "regions", check::region, found_in),
        routes,
        detection,
        tenant,
        subject: subject(&settings.section("subject"), found_in),
        headers: headers(&settings.section("headers"), found_in),
        cors: Cors { origins: each(&settings.section("cors"), "origins", check::origin, found_in) },
        tls: tls(&settings.section("tls"), found_in),
        retention: retention::all(settings, found_in),
        named: entities_named(settings),
        sweep: sweep(&settings.section("sweep")),
        backup: backup(&settings.section("backup"), found_in),
        erasures: top.text("erasures").map(|placed| PathBuf::from(placed.value)),
        key_file: top.text("key_file").map(|placed| PathBuf::from(placed.value)),
        key: key(&top, sources, found_in),
        keys: keys(&top, &settings.section("transit"), sources, found_in),
        limits: limits(&settings.section("limits")),
        timeouts: timeouts(&settings.section("timeouts")),
        audit: AuditConfig {
            keep: checked(settings.section("audit").text("keep"), retention::keep, found_in),
            syslog: checked(settings.section("audit").text("syslog"), check::syslog, found_in),
        },
        alerts: alerts(&settings.section("alerts"), found_in),
        log: log(&settings.section("log")),
    };
    together::check(&config, settings, found_in);
    let warnings = found.finish()?;
    Ok(Loaded { config, warnings })
}

fn upstreams(settings: &Settings, sources: &Sources, found: &mut Found) -> Vec<Upstream> {
    let one = settings.section("").text("upstream");
    let many = settings.origin("upstreams");
    match (one, many) {
        (Some(one), Some(many)) if one.origin.layer() == many.layer() => {
            found.error(&one.origin, "both `upstream` and [[upstreams]] are given", "keep one of them");
            Vec::new()
        }
        // The later layer wins: a flag replaces the list of the file.
        (Some(one), many) if many.is_none_or(|many| one.origin.layer() > many.layer()) => {
            let url = checked(Some(one), check::url, found);
            url.into_iter()
                .map(|url| Upstream {
                    name: UNNAMED.to_owned(),
                    region: None,
                    country: None,
                    recipient: recipient(UNNAMED, None, &url),
                    url,
                    role: Role::Processor,
                    transfer: Transfer::None,
                    ca: None,
                    set_headers: Vec::new(),
                })
                .collect()
        }
        _ if settings.len("upstreams") == 0 => {
            found.error(
                &sources.whole(),
                "no upstream is given",
                "write upstream = \"https://chatbot.example\", or give --upstream or PRIVET_UPSTREAM",
            );
            Vec::new()
        }
        _ => {
            let mut all: Vec<Upstream> = Vec::new();
            for section in settings.list("upstreams", "upstreams[]") {
                let Some(one) = upstream(&section, sources, found) else { continue };
                if all.iter().any(|other| other.name == one.name) {
                    found.error(&section.origin(), "two upstreams have one name", "give each a name of its own");
                }
                all.push(one);
            }
            all
        }
    }
}

fn upstream(section: &Section<'_>, sources: &Sources, found: &mut Found) -> Option<Upstream> {
    let name = checked(section.required("name", found), check::name, found);
    let url = checked(section.required("url", found), check::url, found);
    let ca = checked(section.text("ca"), check::certificates, found);
    let region = checked(section.text("region"), check::region, found);
    let country = checked(section.text("country"), check::country, found);
    let mut set_headers = Vec::new();
    for (name, value) in section.headers("set_headers") {
        match check::header(&name.value, &value, |variable| sources.variable(variable)) {
            Ok(header) => set_headers.push(header),
            Err(wrong) => found.error(&name.origin, wrong.message, wrong.mend),
        }
    }
    let (name, url) = (name?, url?);
    let named = section.text("recipient").map(|placed| placed.value);
    Some(Upstream {
        region,
        country,
        recipient: recipient(&name, named, &url),
        url,
        role: choice(section, "role"),
        transfer: choice(section, "transfer"),
        ca,
        set_headers,
        name,
    })
}

/// Who receives the data, by the one name that the access log, the ledger and
/// all reports show. What nobody has named is known by its host.
fn recipient(upstream: &str, named: Option<String>, url: &Uri) -> String {
    named.unwrap_or_else(|| match upstream {
        UNNAMED => url.host().unwrap_or_default().to_owned(),
        name => name.to_owned(),
    })
}

fn purposes(settings: &Settings, found: &mut Found) -> Vec<Purpose> {
    let mut all: Vec<Purpose> = Vec::new();
    for section in settings.list("purposes", "purposes[]") {
        let Some(name) = checked(section.required("name", found), check::purpose, found) else { continue };
        if all.iter().any(|other| other.name == name) {
            found.error(&section.origin(), format!("the purpose `{name}` is listed twice"), "keep one of them");
        }
        all.push(Purpose {
            name,
            basis: choice(&section, "basis"),
            sale: section.boolean("sale"),
            sharing: section.boolean("sharing"),
            profiling: section.boolean("profiling"),
            explicit: section.boolean("explicit"),
            transcripts: section.boolean("transcripts"),
            reversible: section.texts("reversible").map(|_| each(&section, "reversible", check::entity, found)),
            upstreams: section.texts("upstreams").map(|_| each(&section, "upstreams", check::name, found)),
        });
    }
    all
}

/// Adds the purposes that are named and that nobody listed: they ask for consent.
fn complete(mut listed: Vec<Purpose>, routes: &[Route], special: Option<&str>) -> Vec<Purpose> {
    for name in routes.iter().map(|route| route.purpose.as_str()).chain(special) {
        if !listed.iter().any(|purpose| purpose.name == name) {
            listed.push(Purpose::asking(name));
        }
    }
    listed
}

/// What routes have that say nothing else.
struct Usual<'u> {
    tenant: &'u str,
    detection: &'u Detection,
}

fn routes(
    settings: &Settings,
    usual: &Usual<'_>,
    upstreams: &[Upstream],
    purposes: &[Purpose],
    found: &mut Found,
) -> Vec<Route> {
    let purpose = match purposes.first() {
        Some(first) if !purposes.iter().any(|purpose| purpose.name == SUPPORT) => first.name.clone(),
        _ => SUPPORT.to_owned(),
    };
    let mut all: Vec<Route> = Vec::new();
    for section in settings.list("routes", "routes[]") {
        let Some(path) = checked(section.required("path", found), check::path, found) else { continue };
        if all.iter().any(|other| other.path == path) {
            found.error(&section.origin(), format!("two routes have the path {path}"), "keep one of them");
        }
        let route = Route {
            path,
            purpose: purpose_of(&section, &purpose, purposes, found),
            ..route(&section, &purpose, usual, found)
        };
        if let Some(name) = &route.upstream
            && !upstreams.is_empty()
            && !upstreams.iter().any(|upstream| upstream.name == *name)
        {
            let names: Vec<_> = upstreams.iter().map(|upstream| format!("\"{}\"", upstream.name)).collect();
            let mend = format!("write one of {}, or list it under [[upstreams]]", names.join(", "));
            found.error(&section.origin(), format!("no upstream has the name `{name}`"), mend);
        }
        all.push(route);
    }
    if !all.iter().any(|route| route.path == "/") {
        all.push(route(&settings.section("routes[]"), &purpose, usual, found));
    }
    all
}

/// A route as a table says it, or with every default; its path is `/`.
fn route(section: &Section<'_>, purpose: &str, usual: &Usual<'_>, found: &mut Found) -> Route {
    let text = |name| section.text(name).map(|placed| placed.value);
    Route {
        path: "/".to_owned(),
        purpose: purpose.to_owned(),
        without_consent: choice(section, "without_consent"),
        protocol: text("protocol").unwrap_or_default(),
        protocol_at: Place(section.placed("protocol")),
        reply: choice(section, "reply"),
        upstream: text("upstream"),
        identity: choice(section, "identity"),
        strict: section.boolean("strict"),
        binary: choice(section, "binary"),
        files: choice(section, "files"),
        tenant: text("tenant").unwrap_or_else(|| usual.tenant.to_owned()),
        detection: detection::of_route(section, usual.detection, found),
    }
}

fn purpose_of(section: &Section<'_>, usual: &str, listed: &[Purpose], found: &mut Found) -> String {
    let Some(named) = section.text("purpose") else { return usual.to_owned() };
    let origin = named.origin.clone();
    let Some(name) = checked(Some(named), check::purpose, found) else { return usual.to_owned() };
    if !listed.is_empty() && !listed.iter().any(|purpose| purpose.name == name) {
        let mend = format!("list it: [[purposes]] name = \"{name}\"; until then it asks for consent");
        found.warning(&origin, format!("the purpose `{name}` is not listed under [[purposes]]"), mend);
    }
    name
}

fn consent(section: &Section<'_>, found: &mut Found) -> ConsentConfig {
    let policy = checked(section.text("policy"), check::policy, found);
    let accept = section.texts("accept_policies");
    match (&policy, &accept) {
        (Some(policy), Some(accept)) if !accept.value.iter().any(|version| version.value == *policy) => {
            found.error(&accept.origin, "`accept_policies` leaves out the current `policy`", "add it to the list");
        }
        (None, Some(accept)) if section.text("policy").is_none() => {
            found.error(
                &accept.origin,
                "`accept_policies` is given without `policy`",
                "write policy = \"…\" too, the version of the current notice",
            );
        }
        _ => {}
    }
    let hs256_secret = checked(section.text("hs256_secret"), check::secret, found);
    let plain_http = section.boolean("plain_http");
    let jwks = checked(section.text("jwks"), |text| check::jwks(text, plain_http), found);
    let require_signed = section.boolean("require_signed");
    if require_signed && section.text("hs256_secret").is_none() && section.text("jwks").is_none() {
        let mend = "write jwks = \"https://…\" or a file, or set PRIVET_CONSENT__HS256_SECRET";
        found.error(&section.placed("require_signed"), "nothing says by what consent is signed", mend);
    }
    let accept_policies = match accept {
        Some(accept) => accept.value.into_iter().map(|version| version.value).collect(),
        None => policy.iter().cloned().collect(),
    };
    let notice_url = checked(section.text("notice_url"), check::notice, found).unwrap_or_default();
    let text = |name| section.text(name).map(|placed| placed.value);
    let expected = Expected { audience: text("audience"), issuer: text("issuer") };
    let special_categories = checked(section.text("special_categories"), check::purpose, found);
    ConsentConfig {
        policy,
        accept_policies,
        notice_url,
        require_signed,
        hs256_secret,
        jwks,
        plain_http,
        expected,
        special_categories,
    }
}

fn subject(section: &Section<'_>, found: &mut Found) -> SubjectConfig {
    let from = each(section, "from", check::subject_source, found);
    SubjectConfig { from, index: each(section, "index", rights::index, found), links: section.time("links") }
}

fn headers(section: &Section<'_>, found: &mut Found) -> Headers {
    let lists = ["drop", "scan", "keep"].map(|name| each(section, name, check::header_pattern, found));
    for (nth, name) in [(1, "scan"), (2, "keep")] {
        let (before, list) = lists.split_at(nth);
        let is_twice =
            list.first().is_some_and(|list| list.iter().any(|one| before.iter().flatten().any(|b| b == one)));
        if is_twice {
            let message = "a header stands in two lists of [headers]";
            found.error(&section.placed(name), message, "leave it in one of `drop`, `scan` and `keep`");
        }
    }
    let [drop, scan, keep] = lists;
    Headers { drop, scan, keep }
}

fn tls(section: &Section<'_>, found: &mut Found) -> Option<Tls> {
    if !section.is_written() {
        return None;
    }
    let certificate = checked(section.required("certificate", found), check::certificates, found);
    let key = checked(section.required("key", found), check::private_key, found);
    Some(Tls { certificate: certificate?, key: key?, admin: section.boolean("admin") })
}

fn key(top: &Section<'_>, sources: &Sources, found: &mut Found) -> Option<Sensitive> {
    if let Some(text) = sources.variable("PRIVET_KEY") {
        return judge(check::key(text), &Origin::Environment("PRIVET_KEY".to_owned()), found);
    }
    let file = top.text("key_file")?;
    judge(check::key_file(&file.value), &file.origin, found)
}

fn limits(section: &Section<'_>) -> Limits {
    Limits {
        request_body: section.size("request_body"),
        bodies_in_flight: section.size("bodies_in_flight"),
        decode_ratio: section.number("decode_ratio"),
        json_depth: section.size("json_depth"),
        reply_body: section.size("reply_body"),
        socket_message: section.size("socket_message"),
        header_bytes: section.size("header_bytes"),
        headers: section.size("headers"),
        connections: section.size("connections"),
        in_flight: section.size("in_flight"),
        client_requests: u32::try_from(section.number("client_requests")).unwrap_or(u32::MAX),
        h2_streams: u32::try_from(section.number("h2_streams")).unwrap_or(u32::MAX),
    }
}

fn alerts(section: &Section<'_>, found: &mut Found) -> AlertsConfig {
    AlertsConfig {
        shown_per_hour: section.number("shown_per_hour"),
        unknown_tokens: section.number("unknown_tokens"),
        failed_logins: section.number("failed_logins"),
        office_hours: checked(section.text("office_hours"), check::hours, found),
    }
}

fn timeouts(section: &Section<'_>) -> Timeouts {
    Timeouts {
        header: section.time("header"),
        body: section.time("body"),
        body_idle: section.time("body_idle"),
        connect: section.time("connect"),
        first_byte: section.time("first_byte"),
        stream_idle: section.time("stream_idle"),
        socket_idle: section.time("socket_idle"),
        write: section.time("write"),
        drain: section.time("drain"),
    }
}

fn sweep(section: &Section<'_>) -> Sweep {
    Sweep { every: section.time("every"), max_gap: section.time("max_gap") }
}

fn backup(section: &Section<'_>, found: &mut Found) -> Option<Backup> {
    if !section.is_written() {
        return None;
    }
    let dir = section.required("dir", found)?.value.into();
    Some(Backup { dir, every: section.time("every"), keep: section.size("keep") })
}

fn log(section: &Section<'_>) -> Log {
    Log { format: choice(section, "format"), level: choice(section, "level") }
}

/// Entities that are named where no rule stands beside.
fn entities_named(settings: &Settings) -> Vec<(Entity, Place)> {
    let kept = settings.list("retention", "retention[]").filter_map(|section| section.text("entity"));
    let reversible = settings.list("purposes", "purposes[]");
    let reversible =
        reversible.flat_map(|section| section.texts("reversible").map(|all| all.value).unwrap_or_default());
    let read = |Placed { value, origin }: Placed<String>| Some((value.parse().ok()?, Place(origin)));
    kept.chain(reversible).filter_map(read).collect()
}

fn address(section: &Section<'_>, name: &str, found: &mut Found) -> String {
    checked(section.text(name), check::address, found).unwrap_or_default()
}

/// A word that the reader has let pass. If the tables ever disagreed, the
/// strictest value stands.
pub(super) fn choice<T: Choice>(section: &Section<'_>, name: &str) -> T {
    section.text(name).and_then(|placed| T::from_word(&placed.value)).unwrap_or(T::STRICTEST)
}

pub(super) fn checked<T>(
    placed: Option<Placed<String>>,
    check: impl Fn(&str) -> Result<T, check::Wrong>,
    found: &mut Found,
) -> Option<T> {
    let Placed { value, origin } = placed?;
    judge(check(&value), &origin, found)
}

fn each<T>(section: &Section<'_>, name: &str, check: fn(&str) -> Result<T, check::Wrong>, found: &mut Found) -> Vec<T> {
    let texts = section.texts(name).map(|placed| placed.value).unwrap_or_default();
    texts.into_iter().filter_map(|text| checked(Some(text), check, found)).collect()
}

pub(super) fn judge<T>(result: Result<T, check::Wrong>, origin: &Origin, found: &mut Found) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(check::Wrong { message, mend }) => {
            found.error(origin, message, mend);
            None
        }
    }
}
