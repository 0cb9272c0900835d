//! The configuration as users write it.

mod detection;
mod layers;

use std::fs;

use super::keys::Kind;
use super::*;

const UPSTREAM: &str = "upstream = \"http://127.0.0.1:9\"\n";

fn load(toml: &str) -> Config {
    Config::parse(toml).unwrap_or_else(|problems| panic!("{toml}\n{problems}")).config
}

#[test]
fn a_configuration_shows_no_password() {
    let config = load(&format!("{UPSTREAM}vault = \"postgres://privet:geheim@db.example/privet\"\n"));
    assert!(config.vault.expose().contains("geheim"));
    assert!(!format!("{config:?}").contains("geheim"));
}

/// The problems of a file after its upstream, one a line.
fn problems(toml: &str) -> String {
    match Config::parse(&format!("{toml}\n")) {
        Ok(loaded) => panic!("{toml} is taken as {:?}", loaded.config),
        Err(problems) => problems.to_string(),
    }
}

fn with_environment(toml: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let environment = variables.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
    Config::load(&Sources { text: Some(toml.to_owned()), environment, ..Sources::default() })
}

#[test]
fn an_upstream_is_all_it_takes() {
    let config = load("upstream = \"https://chatbot.example\"");
    assert_eq!(config.listen, "127.0.0.1:8080");
    assert_eq!(config.admin, "127.0.0.1:9464");
    assert_eq!(config.vault.expose(), "embedded:./privet-data");
    assert_eq!(config.upstream(None).unwrap().url, "https://chatbot.example");
    assert_eq!(config.upstream(None).unwrap().path_prefix(), "");
    assert_eq!(config.tenant, "default");
    let support = config.purpose("support").unwrap();
    assert_eq!((support.basis, support.yields_to_gpc()), (Basis::Consent, false));
    let [route] = config.routes.as_slice() else { panic!("{:?}", config.routes) };
    assert_eq!((route.path.as_str(), route.purpose.as_str(), route.protocol.as_str()), ("/", "support", "auto"));
    assert_eq!((route.without_consent, route.reply), (WithoutConsent::Block, Reply::Restore));
    assert_eq!((route.identity, route.binary), (Identity::Scan, Binary::Refuse));
    assert_eq!(route.tenant, "default");
    let limits = Limits {
        request_body: 32 << 20,
        bodies_in_flight: 512 << 20,
        decode_ratio: 100,
        json_depth: 128,
        reply_body: 32 << 20,
        socket_message: 4 << 20,
        header_bytes: 16 << 10,
        headers: 100,
        connections: 10_000,
        in_flight: 2_048,
        client_requests: 0,
        h2_streams: 100,
    };
    assert_eq!(config.limits, limits);
    let timeouts = Timeouts {
        header: Duration::from_secs(10),
        body: Duration::from_secs(30),
        body_idle: Duration::from_secs(5),
        connect: Duration::from_secs(3),
        first_byte: Duration::from_mins(1),
        stream_idle: Duration::from_mins(2),
        socket_idle: Duration::from_mins(2),
        write: Duration::from_mins(1),
        drain: Duration::from_secs(30),
    };
    assert_eq!(config.timeouts, timeouts);
    assert_eq!((config.log.format, config.log.level), (LogFormat::Text, LogLevel::Info));
    assert!(config.tls.is_none() && config.key.is_none() && config.rules.is_none());
}

/// The keys that others rely on, as they are documented.
#[test]
fn the_documented_example_is_taken() {
    let loaded = Config::parse(
        r#"
listen = "127.0.0.1:8080"
admin = "127.0.0.1:9464"
vault = "embedded:./privet-data"
upstream = "https://chatbot.example"        # or [[upstreams]] with name, url, region, …

[[purposes]]
name = "support"
[[purposes]]
name = "marketing"
sale = true                                 # or profiling = true: Sec-GPC objects to it

[consent]
policy = "2026-05"                          # the current notice
accept_policies = ["2026-05", "2026-01"]
notice_url = "https://shop.example/privacy"
require_signed = false                      # with it: hs256_secret, jwks (a file or URL), audience, issuer

[[routes]]                                  # the longest matching path wins
path = "/v1/embeddings"
purpose = "analytics"
without_consent = "block"                   # or "anonymize"
protocol = "auto"
reply = "restore"                           # or "restore+redact", "pass"
"#,
    )
    .unwrap();
    let config = loaded.config;
    assert!(config.purpose("marketing").unwrap().yields_to_gpc());
    assert!(config.consent.accepts("2026-01") && !config.consent.accepts("2025-01"));
    assert_eq!(config.route("/v1/embeddings").unwrap().purpose, "analytics");
    assert_eq!(config.route("/v1/chat/completions").unwrap().purpose, "support");
    // Nobody listed it: it is there, asks for consent, and is pointed at.
    assert_eq!(config.purpose("analytics").unwrap().basis, Basis::Consent);
    let [warning] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
    assert!(warning.to_string().starts_with("configuration:21:1: the purpose `analytics` is not listed"), "{warning}");
}

#[test]
fn the_printed_defaults_are_the_defaults() {
    let printed = Config::defaults();
    let config = load(&format!("{UPSTREAM}{printed}"));
    assert_eq!(config, load(UPSTREAM));
    for key in keys::all().filter(|key| key.kind != Kind::Tables) {
        let name = key.path.rsplit('.').next().unwrap();
        let value = key.default.unwrap_or(key.example);
        assert!(printed.contains(&format!("{name} = {value}\n")), "{}", key.path);
        assert!(key.doc.ends_with('.'), "{} has a full sentence", key.path);
    }
    assert!(printed.lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn the_schema_has_every_key() {
    let schema = Config::schema();
    for key in keys::all() {
        let mut pointer = String::new();
        for part in key.path.split('.') {
            match part {
                "*" => pointer.push_str("/additionalProperties"),
                part => {
                    pointer.push_str("/properties/");
                    pointer.push_str(&part.replace("[]", "/items"));
                }
            }
        }
        let property = schema.pointer(&pointer);
        assert!(property.is_some(), "{pointer}");
        if let Some(property) = property {
            assert!(property.get("description").is_some(), "{pointer}");
            assert_eq!(property.get("default").is_some(), key.default.is_some(), "{pointer}");
        }
    }
    assert_eq!(schema.pointer("/additionalProperties"), Some(&false.into()));
    assert_eq!(schema.pointer("/properties/routes/items/required/0"), Some(&"path".into()));
}

/// Every key is read, and a variable says the same as the file.
#[test]
fn every_key_works_in_the_file_and_as_a_variable() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let certificate = file("c.pem", &made.cert.pem());
    let key = file("k.pem", &made.signing_key.serialize_pem());
    let secret = file("secret", "P5ocB9LmtUiBPmrwyVsn1A5xrDj1khZNuwKH7s9TQKk=\n");
    let tls = format!("[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n");
    let other = file("other.pem", &made.cert.pem());
    let other_key = file("other.key", &made.signing_key.serialize_pem());
    for key in keys::all().filter(|key| key.kind != Kind::Tables) {
        let (table, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        let base = match table {
            "upstreams[]" => "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\n".to_owned(),
            "purposes[]" => {
                "[[upstreams]]\nname=\"eu\"\nurl = \"http://a\"\n[[purposes]]\nname = \"a\"\n".to_owned()
            }
            "notices[]" if key.path == "notices[].file" => {
                format!("{UPSTREAM}[[notices]]\nlang = \"de\"\ntitle = \"a\"\nfile = {other:?}\n")
            }
            "notices[]" => format!("{UPSTREAM}[[notices]]\nlang = \"de\"\ntitle = \"a\"\ntext = \"b\"\n"),
            "recipients" => {
                "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\nregion = \"eu\"\n[recipients]\n".to_owned()
            }
            "routes[]" => "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\n[[upstreams]]\nname = \"eu\"\nurl = \"http://eu\"\n[[routes]]\npath = \"/a\"\n".to_owned(),
            "tls" => format!("{UPSTREAM}{tls}"),
            "webhooks[]" => format!(
                "{UPSTREAM}[[webhooks]]\nurl = \"https://a.example/hook\"\nsecret = \"sixteen bytes or more\"\n"
            ),
            "transcripts" => format!(
                "{UPSTREAM}[[purposes]]\nname = \"support\"\ntranscripts = true\n[transcripts]\nto = \"file:./t\"\n"
            ),
            "retention[]" => format!("{UPSTREAM}tenant = \"shop\"\n[[retention]]\nkeep = \"1d\"\n"),
            "backup" => format!("{UPSTREAM}[backup]\ndir = \"/backups\"\n"),
            "transit" => format!("{UPSTREAM}[transit]\naddress = \"https://a\"\ntoken_file = \"t\"\n"),
            "consent" => {
                format!("{UPSTREAM}[consent]\npolicy = \"2026-01\"\nhs256_secret = \"{}\"\n", "x".repeat(32))
            }
            "" => UPSTREAM.to_owned(),
            _ if table.starts_with("notices[].") => format!(
                "{UPSTREAM}[[notices]]\nlang = \"de\"\ntitle = \"a\"\ntext = \"b\"\n{}\ntitle = \"c\"\n",
                keys::header(table)
            ),
            _ if table.starts_with("routes[].") => {
                format!("{UPSTREAM}[[routes]]\npath = \"/a\"\n{}\n", keys::header(table))
            }
            _ => format!("{UPSTREAM}{}\n", keys::header(table)),
        };
        let value = match key.path {
            "rules" | "protocols" => format!("{:?}", folder.path().display().to_string()),
            "upstreams[].ca" | "tls.certificate" | "transit.ca" | "webhooks[].ca" => format!("{other:?}"),
            "tls.key" => format!("{other_key:?}"),
            "key_file" | "notices[].file" | "sensitive_key_file" => format!("{secret:?}"),
            "old_key_files" => format!("[{secret:?}]"),
            _ => key.example.to_owned(),
        };
        let mut kept: Vec<_> = base.lines().collect();
        let own = kept.iter().rposition(|line| line.starts_with('[')).unwrap_or(0);
        if let Some(at) = kept.iter().rposition(|line| line.starts_with(&format!("{name} = "))).filter(|at| *at >= own)
        {
            kept.remove(at);
        }
        let without = kept.join("\n") + "\n";
        let line = format!("{name} = {value}\n");
        // Top-level keys come first, all others at the end of the file.
        let written = if table.is_empty() { format!("{line}{without}") } else { format!("{without}{line}") };
        let held = [("CHATBOT_AUTHORIZATION", "Bearer secret"), ("CRM_WEBHOOK_SECRET", "sixteen bytes or more!")];
        let from_file = with_environment(&written, &held).unwrap_or_else(|p| panic!("{written}\n{p}"));
        let before = with_environment(&base, &held).unwrap().config;
        assert_ne!(from_file.config, before, "{} is not read", key.path);
        let variable = source::variable_name(key);
        let text = value.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&value);
        let from_variable = with_environment(&base, &[held[0], held[1], (&variable, text)])
            .unwrap_or_else(|p| panic!("{variable}={text}\n{base}\n{p}"));
        assert_eq!(from_variable.config, from_file.config, "{variable}");
        assert!(from_variable.warnings.is_empty(), "{:?}", from_variable.warnings);
    }
}

#[test]
fn every_key_refuses_a_wrong_type() {
    for key in keys::all() {
        let (table, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        let upstream = if key.path == "upstream" { "" } else { UPSTREAM };
        let header = if table.is_empty() { String::new() } else { keys::header(table) };
        let list = match table.split_once("[].") {
            Some(("routes", _)) => "[[routes]]\npath = \"/a\"\n",
            Some(_) => "[[notices]]\nlang = \"en\"\n",
            None => "",
        };
        let toml = format!("{upstream}{list}{header}\n{name} = 1979-05-27\n");
        let said = Config::parse(&toml).unwrap_err().to_string();
        let line = toml.lines().count();
        assert!(said.contains(&format!("configuration:{line}:1: `{}`", key.path)), "{}: {said}", key.path);
    }
}

/// What users get wrong, and what they are told.
#[test]
fn each_problem_has_its_place_and_its_mend() {
    let u = UPSTREAM;
    for (toml, expected) in [
        (
            String::new(),
            "configuration: no upstream is given; write upstream = \"https://chatbot.example\", or give --upstream or PRIVET_UPSTREAM",
        ),
        (format!("{u}lisen = \"x\""), "configuration:2:1: there is no key `lisen`; write `listen`"),
        (
            format!("{u}[consent]\n  polcy = \"x\""),
            "configuration:3:3: there is no key `polcy` in [consent]; write `policy`",
        ),
        (format!("{u}[consnet]\npolicy = \"x\""), "configuration:2:2: there is no key `consnet`; write `consent`"),
        (format!("{u}policy = \"x\""), "configuration:2:1: there is no key `policy`; write it under [consent]"),
        (
            format!("{u}[log]\nadmin = \"x\""),
            "configuration:3:1: there is no key `admin` in [log]; write it at the top, before the first [table]",
        ),
        (format!("{u}consent = 1"), "configuration:2:1: `consent` is a table; write [consent] and its keys below"),
        (
            format!("{u}[routes]\npath = \"/\""),
            "configuration:2:2: `routes` takes a list of tables, and this is a table; write [[routes]] and its keys below",
        ),
        (
            format!("{u}listen = 8080"),
            "configuration:2:1: `listen` takes a text, and this is an integer; write a value such as \"0.0.0.0:8080\"",
        ),
        (
            format!("{u}[log]\nlevel = \"trace\""),
            "configuration:3:1: `log.level` does not take this word; write one of \"error\", \"warn\", \"info\", \"debug\"",
        ),
        (format!("{u}[log]\nlevel = \"Debug\""), "write \"debug\" (of"),
        (
            format!("{u}[[routes]]\npath = \"/\"\nwithout_consent = \"blok\""),
            "configuration:4:1: `routes[].without_consent` does not take this word; write \"block\" (of \"block\", \"anonymize\")",
        ),
        (
            format!("{u}[limits]\nheaders = 0"),
            "configuration:3:1: `limits.headers` is out of bounds; write a value from 1 to 10000",
        ),
        (format!("{u}[limits]\nheaders = -1"), "is out of bounds"),
        (
            format!("{u}[headers]\ndrop = [\"x y\"]"),
            "this names no header; write a name, or a name with `*` at one end, such as \"x-forwarded-*\" or \"*-client-ip\"",
        ),
        (format!("{u}[headers]\nkeep = [\"x-*-y\"]"), "this names no header"),
        (format!("{u}[headers]\nkeep = [\"*x*\"]"), "this names no header"),
        (
            format!("{u}[headers]\ndrop = [\"X-A\"]\nkeep = [\"x-a\"]"),
            "configuration:4:1: a header stands in two lists of [headers]; leave it in one of `drop`, `scan` and `keep`",
        ),
        (format!("{u}[limits]\ndecode_ratio = 1"), "`limits.decode_ratio` is out of bounds"),
        (format!("{u}[limits]\nheader_bytes = \"1 KiB\""), "write a value from 8 KiB to 1 MiB"),
        (format!("{u}[limits]\nrequest_body = \"big\""), "`limits.request_body` takes a size"),
        (
            format!("{u}[limits]\nbodies_in_flight = \"1 MiB\""),
            "configuration:3:1: `bodies_in_flight` is less than `request_body`",
        ),
        (format!("{u}[timeouts]\nheader = 0"), "write a value from 1ms to 24h"),
        (format!("{u}[timeouts]\nheader = \"1 week\""), "`timeouts.header` takes a time"),
        (format!("{u}[timeouts]\nheader = 1.5"), "and this is a float"),
        (format!("{u}tenant = \" \""), "`tenant` is empty"),
        (format!("{u}listen = \"8080\""), "configuration:2:1: the address has no port; write HOST:PORT"),
        (format!("{u}listen = \":8080\""), "the address has no host"),
        (format!("{u}listen = \"localhost:http\""), "the port is no number"),
        (format!("{u}listen = \"127.0.0.1:65536\""), "the port is no number"),
        (format!("{u}listen = \"::1:80\""), "the address has no host that can be listened on"),
        (format!("{u}listen = \"[::g]:80\""), "the address has no host that can be listened on"),
        (format!("{u}listen = \"127.0.0.1:9464\""), "configuration:2:1: `listen` and `admin` are one address"),
        (format!("{u}vault = \"sqlite:x\""), "the vault is of no known kind"),
        (
            format!("{u}vault = \"memory\""),
            "write \"embedded:FOLDER\", \"postgres://USER@HOST/DATABASE\" or \"memory:\"",
        ),
        (format!("{u}vault = \"embedded:\""), "the vault has no folder"),
        (format!("{u}vault = \"postgres:db/privet\""), "the vault is of no known kind"),
        (format!("{u}rules = \"/nowhere\""), "configuration:2:1: the folder cannot be read"),
        ("upstream = \"chatbot.example\"".to_owned(), "configuration:1:1: the upstream is"),
        ("upstream = \"ftp://x\"".to_owned(), "neither http nor https"),
        ("upstream = \"https://a:b@x\"".to_owned(), "holds a user name or password; take it out; write set_headers"),
        ("upstream = \"https://x/?a=b\"".to_owned(), "has a query or fragment"),
        (
            format!("{u}[[upstreams]]\nname = \"a\"\nurl = \"http://a\""),
            "configuration:1:1: both `upstream` and [[upstreams]] are given; keep one of them",
        ),
        (
            "[[upstreams]]\nurl = \"http://a\"".to_owned(),
            "configuration:1:1: [[upstreams]] needs `name`; write name = \"eu\"",
        ),
        ("[[upstreams]]\nname = \"a\"".to_owned(), "[[upstreams]] needs `url`"),
        (
            "[[upstreams]]\nname = \"a b\"\nurl = \"http://a\"".to_owned(),
            "configuration:2:1: the name has other characters",
        ),
        (
            "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\n[[upstreams]]\nname = \"a\"\nurl = \"http://b\""
                .to_owned(),
            "configuration:4:1: two upstreams have one name",
        ),
        (
            "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\nca = \"/nowhere.pem\"".to_owned(),
            "configuration:4:1: the file cannot be read",
        ),
        (
            "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\nset_headers = { \"a b\" = \"x\" }".to_owned(),
            "configuration:4:17: this is no name of a header",
        ),
        (
            "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\nset_headers = { Host = \"x\" }".to_owned(),
            "belongs to the connection",
        ),
        (
            "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\nset_headers = { A = \"env:NOT_SET\" }".to_owned(),
            "the value of a stands in a variable that is not set; set NOT_SET",
        ),
        (
            "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\nset_headers = { A = 1 }".to_owned(),
            "takes a table of header names and texts",
        ),
        (format!("{u}[[purposes]]\nsale = true"), "configuration:2:1: [[purposes]] needs `name`"),
        (format!("{u}[[purposes]]\nname = \"policy\""), "`policy` is a member of Privet-Consent itself"),
        (format!("{u}[[purposes]]\nname = \"Support\""), "Privet-Consent cannot spell this purpose"),
        (
            format!("{u}[[purposes]]\nname = \"a\"\n[[purposes]]\nname = \"a\""),
            "configuration:4:1: the purpose `a` is listed twice",
        ),
        (format!("{u}[[purposes]]\nname = \"a\"\nbasis = \"legitimate_interest\""), "write \"legitimate-interest\""),
        (
            format!("{u}[[purposes]]\nname = \"a\"\nsale = \"true\""),
            "`purposes[].sale` takes true or false, and this is a string; write true or false, without quotes",
        ),
        (format!("{u}[consent]\nrequire_signed = true"), "configuration:3:1: nothing says by what consent is signed"),
        (format!("{u}[consent]\njwks = \"/nowhere\""), "configuration:3:1: the file of the keys cannot be read"),
        (format!("{u}[consent]\njwks = \"http://shop.example/keys\""), "over a connection that anybody can change"),
        (
            format!("{u}[consent]\njwks = \"http://127.0.0.1.example/keys\""),
            "over a connection that anybody can change",
        ),
        (format!("{u}admin_hosts = [\"https://a\"]"), "configuration:2:16: this is no name of a host"),
        (format!("{u}[consent]\nhs256_secret = \"short\""), "the secret has less than 32 bytes; make one with"),
        (format!("{u}[[notices]]\nlang = \"english language\""), "configuration:3:1: this is no language"),
        (format!("{u}[[notices]]\nlang = \"en\"\ntitle = \"a\""), "the notice needs one of `text` and `file`"),
        (
            format!("{u}[recipients]\nregions = [\"eu\"]"),
            "configuration:1:1: the upstream `default` of the route / does not stand in",
        ),
        (
            format!("{u}[[purposes]]\nname = \"support\"\nupstreams = [\"us\"]"),
            "configuration:4:1: the purpose `support` names the upstream `us`, which nobody has",
        ),
        (format!("{u}[[purposes]]\nname = \"support\"\nupstreams = []"), "may not be served by the upstream `default`"),
        (format!("{u}[[purposes]]\nname = \"support\"\nreversible = [\"email\"]"), "no name of an entity"),
        (format!("{u}[consent]\naccept_policies = [\"1\"]"), "is given without `policy`"),
        (
            format!("{u}[consent]\npolicy = \"2\"\naccept_policies = [\"1\"]"),
            "configuration:4:1: `accept_policies` leaves out the current `policy`",
        ),
        (format!("{u}[consent]\npolicy = \"é\""), "Privet-Consent cannot spell this version"),
        (format!("{u}[consent]\nnotice_url = \"privacy\""), "the notice has no address"),
        (format!("{u}[[routes]]\npurpose = \"a\""), "configuration:2:1: [[routes]] needs `path`"),
        (format!("{u}[[routes]]\npath = \"v1\""), "configuration:3:1: the path does not start with a slash"),
        (format!("{u}[[routes]]\npath = \"/v1/*\""), "a wildcard"),
        (format!("{u}[[routes]]\npath = \"/a/../b\""), "would never match"),
        (
            format!("{u}[[routes]]\npath = \"/a\"\n[[routes]]\npath = \"/a/\""),
            "configuration:4:1: two routes have the path /a",
        ),
        (
            format!("{u}[[routes]]\npath = \"/a\"\nupstream = \"eu\""),
            "no upstream has the name `eu`; write one of \"default\"",
        ),
        (format!("{u}[[routes]]\npath = \"/a\"\npurpose = \"at\""), "`at` is a member of Privet-Consent itself"),
        (
            format!("{u}[subject]\nfrom = [\"header:X-User\", \"jwt:email\"]"),
            "configuration:3:26: this is no place that can name a subject",
        ),
        (format!("{u}[subject]\nfrom = [\"user\"]"), "no place that can name a subject"),
        (format!("{u}[subject]\nfrom = [\"body:a..b\"]"), "no place that can name a subject"),
        (format!("{u}[cors]\norigins = [\"*\"]"), "any page of the web"),
        (format!("{u}[cors]\norigins = [\"https://a/\"]"), "this is no origin"),
        (format!("{u}[cors]\norigins = [\"https://a:443\"]"), "this is no origin"),
        (format!("{u}[cors]\norigins = [\"a.example\"]"), "this is no origin"),
        (format!("{u}[cors]\norigins = \"https://a\""), "takes a list of texts"),
        (format!("{u}[tls]"), "configuration:2:2: [tls] needs `certificate`"),
        (format!("{u}key_file = \"/nowhere\""), "the file of the key cannot be read"),
        (format!("{u}vault = \"postgres://db/a?no_such=1\""), "configuration:2:1:"),
        (format!("{u}a = \n"), "configuration:2:"),
        (format!("{u}listen = \"a:1\"\nlisten = \"b:1\""), "configuration:3:1: this is not TOML: duplicate key"),
    ] {
        let said = problems(&toml);
        assert!(said.contains(expected), "{toml}\n  said:   {said}\n  wanted: {expected}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let said = problems(
        "upstream = \"x\"\nlisten = \"y\"\nadmin = 1\n[limits]\nheaders = 0\nnothing = 1\n[log]\nlevel = \"\"",
    );
    let places: Vec<_> = said.lines().map(|line| line.split(": ").next().unwrap()).collect();
    let expected = ["1:1", "2:1", "3:1", "5:1", "6:1", "8:1"].map(|place| format!("configuration:{place}"));
    assert_eq!(places, expected, "{said}");
}

#[test]
fn columns_count_characters() {
    let said = problems("upstream = \"http://a\"\nlog = { format = \"text\", \"schön\" = 1, lev = 2 }");
    assert!(said.contains("configuration:2:39: there is no key `lev` in [log]; write `level`"), "{said}");
}

#[cfg(unix)]
#[test]
fn secrets_are_in_no_text() {
    let variables = [
        ("PRIVET_KEY", "c2VjcmV0LWNhbmFyeQ=="),
        ("PRIVET_UPSTREAM", "https://user:canary@host"),
        ("PRIVET_VAULT", "postgres://user:canary@db"),
        ("PRIVET_LISTEN", "canary"),
        ("BAD", "canary\n"),
    ];
    let said = with_environment("", &variables).unwrap_err().to_string();
    assert!(!said.contains("canary") && !said.contains("c2Vj"), "{said}");
    let upstream = "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"\nset_headers = ";
    let said = with_environment(&format!("{upstream}{{ A = \"env:BAD\", B = \"canary\\u0000\" }}"), &variables[4..]);
    let said = said.unwrap_err().to_string();
    assert!(said.lines().count() == 2 && !said.contains("canary"), "{said}");
    let held = [("AUTH", "Bearer canary"), ("PRIVET_KEY", "P5ocB9LmtUiBPmrwyVsn1A5xrDj1khZNuwKH7s9TQKk=")];
    let config = with_environment(&format!("{upstream}{{ Authorization = \"env:AUTH\" }}"), &held).unwrap().config;
    assert_eq!(config.upstreams[0].set_headers[0].1, "Bearer canary");
    let shown = format!("{config:?}");
    assert!(!shown.contains("canary") && !shown.contains("P5oc"), "{shown}");
}

#[test]
fn the_longest_route_wins_by_whole_segments() {
    let config = load(&format!(
        "{UPSTREAM}[[purposes]]\nname = \"chat\"\n[[routes]]\npath = \"/v1\"\n[[routes]]\npath = \"/v1/embeddings/\"\n"
    ));
    for (path, expected) in [
        ("/", Some("/")),
        ("/v1", Some("/v1")),
        ("/v1/", Some("/v1")),
        ("/v1/chat", Some("/v1")),
        ("/v1x", Some("/")),
        ("/v1/embeddings", Some("/v1/embeddings")),
        ("/v1/embeddings/x", Some("/v1/embeddings")),
        ("/v1/embeddingsx", Some("/v1")),
        ("/v1/%65mbeddings", Some("/v1/embeddings")),
        ("//v1/./embeddings", Some("/v1/embeddings")),
        ("/v1/x/../embeddings", Some("/v1/embeddings")),
        ("*", None),
    ] {
        assert_eq!(config.route(path).map(|route| route.path.as_str()), expected, "{path}");
    }
    assert!(config.routes.iter().all(|route| route.purpose == "chat"));
    for (path, expected) in [
        ("/v1/embeddings", false),
        ("/v1/embeddings/A%2FB;c", false),
        ("/v1/chat;x=1", false),
        ("/V2/Chat", false),
        ("/v1/embeddings;x=1", true),
        ("/v1%2fembeddings", true),
        ("/v1/chat%5C..%2fembeddings/", true),
        ("/v1/Embeddings", true),
    ] {
        assert_eq!(config.is_ambiguous(path), expected, "{path}");
    }
}

#[test]
fn a_webhook_leaves_this_machine_only_under_tls() {
    let config = |url: &str, more: &str| {
        let text = format!("{UPSTREAM}[[webhooks]]\nurl = \"{url}\"\nsecret = \"sixteen bytes or more\"\n{more}");
        Config::parse(&text).map(|_| ()).map_err(|problems| problems.to_string())
    };
    for url in ["https://crm.example/hook", "http://127.0.0.1:9/x", "http://[::1]:9/x", "http://LOCALHOST/x"] {
        assert_eq!(config(url, ""), Ok(()), "{url}");
    }
    for url in ["http://crm.example/hook", "http://192.0.2.7/x", "http://127.0.0.1.example/x"] {
        assert!(config(url, "").unwrap_err().contains("plain http"), "{url}");
        assert_eq!(config(url, "plain_http = true\n"), Ok(()), "{url}");
    }
}

#[test]
fn transcripts_are_kept_where_a_purpose_allows_it() {
    let config = |more: &str| Config::parse(&format!("{UPSTREAM}{more}")).map_err(|problems| problems.to_string());
    let allowed = "[[purposes]]\nname = \"support\"\ntranscripts = true\n";
    let kept = config(&format!("{allowed}[transcripts]\nto = \"file:./t\"\n")).unwrap().config.transcripts.unwrap();
    assert_eq!(kept.to, TranscriptPlace::Folder("./t".into()));
    let kept = config(&format!("{allowed}[transcripts]\nto = \"postgres://u:pass@h/d\"\n")).unwrap().config;
    assert!(matches!(kept.transcripts.clone().unwrap().to, TranscriptPlace::Postgres(_)));
    assert!(!format!("{kept:?}").contains("pass@"), "its password is told to nobody");
    assert!(config("[transcripts]\nto = \"file:./t\"\n").unwrap_err().contains("no purpose has transcripts"));
    for place in ["file:", "vault", "postgres:h", "s3://x"] {
        let wrong = config(&format!("{allowed}[transcripts]\nto = \"{place}\"\n")).unwrap_err();
        assert!(wrong.contains("no place for transcripts"), "{wrong}");
    }
    assert_eq!(config(allowed).unwrap().config.transcripts, None);
}

/// Values of a purpose, tenant or rule that is gone may still be kept, so that
/// these are doubts, and no errors.
#[test]
fn names_that_nobody_has_are_pointed_out_where_values_are_kept_by_them() {
    let toml = "upstream = \"http://a.example\"\ntenant = \"shop\"\n[[purposes]]\nname = \"support\"\n\
                reversible = [\"PERSON\", \"EMIAL\"]\n[[retention]]\nentity = \"PHONES\"\npurpose = \"suport\"\n\
                tenant = \"shap\"\nkeep = \"30d\"\n[[retention]]\npurpose = \"support\"\ntenant = \"shop\"\nkeep = \"1y\"\n";
    let loaded = Config::parse(toml).unwrap();
    let told: Vec<_> = loaded.warnings.iter().map(|warning| (warning.origin.to_string(), &*warning.message)).collect();
    let wanted = [
        ("configuration:8:1".to_owned(), "no route and no [[purposes]] has the purpose `suport`"),
        ("configuration:9:1".to_owned(), "no route has the tenant `shap`"),
    ];
    assert_eq!(told, wanted);
    let engine = crate::detect::Engine::builtin().unwrap();
    let doubts: Vec<String> = doubtful_names(&loaded.config.named, &engine).iter().map(ToString::to_string).collect();
    assert_eq!(doubts.len(), 2, "{doubts:?}");
    assert!(doubts[0].starts_with("configuration:7:1: no rule finds the entity `PHONES`; write `PHONE`"), "{doubts:?}");
    assert!(doubts[1].starts_with("configuration:5:25: no rule finds the entity `EMIAL`"), "{doubts:?}");
}
