//! The table of settings: the one place that names a key, says what it takes,
//! what it is by default and what it means. A key of a list of tables is
//! written `routes[].path`, one of a table with names of the user's own
//! `detection.entities.*.operator`.

use std::time::Duration;

use super::choice::{Basis, Binary, Expiry, Identity, LogFormat, LogLevel, Reply, Role, Transfer, WithoutConsent};
use crate::detect::{Level, Operator, State};

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Where it stands, levels joined by dots.
    pub(super) path: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
    /// What it is where nothing is said, as TOML; `None` for nothing.
    pub(super) default: Option<&'static str>,
    /// A value that differs from the default, as TOML.
    pub(super) example: &'static str,
    /// What it means, in full sentences.
    pub(super) doc: &'static str,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text; its form is checked where it is used.
    Text,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds.
    Count { min: u64, max: u64 },
    /// Bytes within bounds.
    Size { min: u64, max: u64 },
    /// A time within bounds.
    Time { min: Duration, max: Duration },
    /// A number from 0 to 1, in thousandths.
    Score,
    /// A list of texts.
    Texts,
    /// A table of header names and values. Values may be secret.
    Headers,
    /// A list of tables.
    Tables,
}

/// A table of the file, for print and for documentation.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: &'static str,
    pub(super) doc: &'static str,
    /// Whether its presence alone means something, so that the printed
    /// defaults must leave it out.
    pub(super) optional: bool,
}

/// What a path names.
pub(super) enum Node {
    Key(&'static Key),
    Table,
}

/// Any name of the user's own, in a path.
pub(super) const ANY: &str = "*";

const SIZE: Kind = Kind::Size { min: 1, max: 1 << 40 };
const COUNT: Kind = Kind::Count { min: 1, max: 1 << 24 };
const TIME: Kind = Kind::Time { min: Duration::from_millis(1), max: Duration::from_hours(24) };

const fn key(
    path: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { path, kind, default, example, doc }
}

/// The tables below the top level, in the order of print.
pub(super) static TABLES: &[Table] = &[
    Table {
        path: "upstreams",
        doc: "Several chatbots, instead of `upstream`. The first one serves routes that name none.",
        optional: true,
    },
    Table {
        path: "purposes",
        doc: "What data is used for. Without any there is one, `support`, on the basis of consent.",
        optional: true,
    },
    Table { path: "consent", doc: "How `Privet-Consent` is judged.", optional: false },
    Table {
        path: "notices",
        doc: "What persons are asked to agree to, by language and version: what /.privet/notice answers and /.privet/consent.js shows. The first one of a version serves where a language is wanted that none has.",
        optional: true,
    },
    Table { path: "notices[].purposes.*", doc: "How the notice speaks of a purpose, by its name.", optional: true },
    Table { path: "recipients", doc: "Where data may go.", optional: false },
    Table {
        path: "routes",
        doc: "How requests are treated, by path; the longest path that matches whole segments wins. What no route matches is treated as a route \"/\" with every default.",
        optional: true,
    },
    Table {
        path: "detection",
        doc: "What is found and what is done with it, on all routes. A rule outweighs its entity, an entity the level, and all of them the rule files. Operators: `token` (reversible), `surrogate` (a realistic fake, reversible), `mask`, `hash` (keyed: equal values of a tenant are equal), `remove`, `keep` (an exception), `block` (the request is refused).",
        optional: false,
    },
    Table {
        path: "detection.entities.*",
        doc: "What is done with the findings of one entity. Its operator is not for rules whose own is `keep` or `block`.",
        optional: true,
    },
    Table { path: "detection.entities.*.mask", doc: "How `mask` looks. By default it is \"****\".", optional: true },
    Table { path: "detection.rules.*", doc: "What is done with the findings of one rule, by its id.", optional: true },
    Table {
        path: "routes[].detection",
        doc: "What differs on this route. It is laid over [detection], key by key.",
        optional: true,
    },
    Table { path: "routes[].detection.entities.*", doc: "As [detection.entities.PERSON].", optional: true },
    Table { path: "routes[].detection.entities.*.mask", doc: "As [detection.entities.PERSON.mask].", optional: true },
    Table { path: "routes[].detection.rules.*", doc: "As [detection.rules.phone-digits].", optional: true },
    Table {
        path: "retention",
        doc: "How long values are kept, by entity, purpose and tenant. Of several that fit a value the one that names most holds, of two alike the shorter one; what none fits is kept until erased.",
        optional: true,
    },
    Table {
        path: "transit",
        doc: "A Transit secrets engine of HashiCorp Vault, or what speaks the same, that keeps the vault's key: the key stands wrapped in the vault itself, and the engine is asked to unwrap it at the start and when it is changed, never for a request. VAULT_TOKEN holds the token where no file is named.",
        optional: true,
    },
    Table { path: "sweep", doc: "How the vault forgets what has been kept long enough.", optional: false },
    Table {
        path: "backup",
        doc: "Backups of the vault, encrypted under its key. Without this table none are made.",
        optional: true,
    },
    Table { path: "subject", doc: "Whose request it is, where `Privet-Subject` does not say so.", optional: false },
    Table {
        path: "headers",
        doc: "What happens to the headers of requests: names, or patterns with * at one end. Of two that fit the more exact one holds, of two alike yours. Built in: dropped are Referer, From, Via, Forwarded, X-Forwarded-*, X-Real-IP, *-Client-IP, CF-Connecting-IP, CF-IP*, X-Vercel-IP-*, X-AppEngine-City, X-AppEngine-CityLatLong, X-AppEngine-Region, Remote-User, X-Auth-Request-*, CF-Access-*, X-Amzn-OIDC-*; kept are Authorization, X-Api-Key, Api-Key, X-Goog-Api-Key, traceparent, tracestate, b3, X-B3-*, X-Datadog-*, Sentry-Trace, X-Cloud-Trace-Context, X-Amzn-Trace-Id, X-Stainless-*, Accept, Accept-*, Content-Type; scanned are all others. Headers of the connection, Privet-* and trailers never travel.",
        optional: false,
    },
    Table { path: "cors", doc: "Browsers of other origins.", optional: false },
    Table { path: "tls", doc: "TLS 1.3 on the listeners. Without this table they speak plain HTTP.", optional: true },
    Table { path: "limits", doc: "Bounds. Sizes are bytes, or texts such as \"32 MiB\".", optional: false },
    Table {
        path: "timeouts",
        doc: "How long to wait: seconds, or texts such as \"500ms\", \"30s\", \"2m\", \"1h\".",
        optional: false,
    },
    Table {
        path: "audit",
        doc: "The access log. It is kept in the vault; `privet audit export` gives it out.",
        optional: false,
    },
    Table {
        path: "alerts",
        doc: "What raises an alarm: a warning of the log, `privet_alerts_total`, and an incident of the register, each rule once an hour at most.",
        optional: false,
    },
    Table {
        path: "webhooks",
        doc: "Systems behind that are told what became of a subject. The messages hold no values; they are signed, and sent again until they are taken, for a week.",
        optional: true,
    },
    Table { path: "log", doc: "The log on standard error. It never holds personal data.", optional: false },
];

/// Every setting, in the order of print.
pub(super) static KEYS: &[Key] = &[
    key(
        "listen",
        Kind::Text,
        Some(r#""127.0.0.1:8080""#),
        r#""0.0.0.0:8080""#,
        "Where the chat traffic is served, HOST:PORT. Port 0 takes any free port, which is printed at the start.",
    ),
    key(
        "admin",
        Kind::Text,
        Some(r#""127.0.0.1:9464""#),
        r#""127.0.0.1:9000""#,
        "Where metrics, health and the status page are served, HOST:PORT.",
    ),
    key(
        "vault",
        Kind::Text,
        Some(r#""embedded:./privet-data""#),
        r#""memory:""#,
        "Where the values behind the tokens are kept: \"embedded:FOLDER\", \"memory:\", which forgets with the process, or a PostgreSQL database that many replicas share: \"postgres://USER:PASSWORD@HOST:PORT/DATABASE\", as libpq reads it. Several hosts (HOST1,HOST2) are for failover: the first that can be written is used. sslmode is verify-full unless the server is on this machine; sslrootcert names an authority of one's own. pool_max_conns=16 connections at most; connect_timeout=3 seconds for each host; statement_timeout=5000 milliseconds for each statement. A URL with a password is better kept in PRIVET_VAULT.",
    ),
    key(
        "rules",
        Kind::Text,
        None,
        r#""./rules""#,
        "A folder of rule files that are added to the built-in rules. A rule with the id of another replaces it.",
    ),
    key(
        "protocols",
        Kind::Text,
        None,
        r#""./protocols""#,
        "A folder of protocol files that are added to the built-in ones, in the same form. One with the name of another replaces it.",
    ),
    key(
        "upstream",
        Kind::Text,
        None,
        r#""https://chatbot.example""#,
        "The chatbot or LLM backend, http:// or https://. A path in it is put before the path of each request. This, or [[upstreams]], is required.",
    ),
    key(
        "public_url",
        Kind::Text,
        None,
        r#""https://chat.example""#,
        "Where clients reach the gateway, for addresses in replies that lead through it. By default what `Host` and `X-Forwarded-Proto` of their requests say.",
    ),
    key(
        "tenant",
        Kind::Text,
        Some(r#""default""#),
        r#""shop""#,
        "The tenant of routes that name none. The subjects of two tenants have nothing in common.",
    ),
    key(
        "key_file",
        Kind::Text,
        None,
        r#""/run/secrets/privet-key""#,
        "A file that holds the key: 32 random bytes in base64, as `openssl rand -base64 32` prints them. PRIVET_KEY, where it is set, is used instead.",
    ),
    key(
        "sensitive_key_file",
        Kind::Text,
        None,
        r#""/run/secrets/privet-sensitive-key""#,
        "A file that holds a key of its own for the second layer, in which values of sensitive entities are (health, money, numbers of states, secrets): who has the first key alone reads none of them. Without it that key is derived from the first. PRIVET_SENSITIVE_KEY, where it is set, is used instead.",
    ),
    key(
        "old_key_files",
        Kind::Texts,
        Some("[]"),
        r#"["/run/secrets/privet-key-2026"]"#,
        "Files of further keys that the vault may still be under. Until `privet vault rotate-key` is done every replica needs the old and the new key. PRIVET_OLD_KEYS holds more, separated by commas.",
    ),
    key(
        "erasures",
        Kind::Text,
        None,
        r#""/var/lib/privet-erasures/erasures.jsonl""#,
        "A file to which every erasure and withdrawal is appended, as keyed hashes alone. Keep it apart from the backups: `privet vault restore --erasures FILE` replays it, so that a backup brings nobody back.",
    ),
    key("upstreams", Kind::Tables, None, "", ""),
    key("upstreams[].name", Kind::Text, None, r#""eu""#, "Its name, for routes. Required."),
    key(
        "upstreams[].url",
        Kind::Text,
        None,
        r#""https://chatbot.example/base""#,
        "Its address, as `upstream`. Required.",
    ),
    key(
        "upstreams[].region",
        Kind::Text,
        None,
        r#""eu-central""#,
        "The region where it stands, for `regions` of [recipients] and for the records.",
    ),
    key(
        "upstreams[].country",
        Kind::Text,
        None,
        r#""DE""#,
        "The country where it stands: two letters (ISO 3166-1). The countries of the EU and of the EEA are of the regions \"eu\" and \"eea\".",
    ),
    key(
        "upstreams[].recipient",
        Kind::Text,
        None,
        r#""Example Models GmbH""#,
        "Who receives the data there, by the name that records and receipts show. By default the name of the upstream.",
    ),
    key(
        "upstreams[].role",
        Kind::Word(Role::WORDS),
        Some(r#""processor""#),
        r#""controller""#,
        "Whether the recipient acts for you (`processor`, GDPR Article 28) or for purposes of its own.",
    ),
    key(
        "upstreams[].transfer",
        Kind::Word(Transfer::WORDS),
        Some(r#""none""#),
        r#""adequacy""#,
        "On what a transfer to a third country rests (GDPR Articles 45 to 49); `none` where there is no such transfer.",
    ),
    key(
        "upstreams[].ca",
        Kind::Text,
        None,
        r#""/etc/privet/ca.pem""#,
        "A PEM file with certificate authorities to trust beside the system's.",
    ),
    key(
        "upstreams[].set_headers",
        Kind::Headers,
        None,
        r#"{ Authorization = "env:CHATBOT_AUTHORIZATION" }"#,
        "Headers to set on every request to it. A value \"env:NAME\" is read from that environment variable at the start. Values are never printed.",
    ),
    key("purposes", Kind::Tables, None, "", ""),
    key(
        "purposes[].name",
        Kind::Text,
        None,
        r#""support""#,
        "Its name, as `Privet-Consent` spells it: a-z, 0-9, and _ - . * after the first letter. Required.",
    ),
    key(
        "purposes[].basis",
        Kind::Word(Basis::WORDS),
        Some(r#""consent""#),
        r#""contract""#,
        "The legal basis (GDPR Article 6(1)). Only `consent` asks for the header; an objection applies to `consent` and `legitimate-interest`.",
    ),
    key("purposes[].sale", Kind::Boolean, Some("false"), "true", "Whether data is sold. `Sec-GPC: 1` objects to it."),
    key(
        "purposes[].sharing",
        Kind::Boolean,
        Some("false"),
        "true",
        "Whether data is shared for advertising. `Sec-GPC: 1` objects to it.",
    ),
    key(
        "purposes[].profiling",
        Kind::Boolean,
        Some("false"),
        "true",
        "Whether persons are profiled. `Sec-GPC: 1` objects to it.",
    ),
    key(
        "purposes[].explicit",
        Kind::Boolean,
        Some("false"),
        "true",
        "Whether consent must be explicit (GDPR Article 9(2)(a)): it counts only where `method` names an act of the person, such as click.",
    ),
    key(
        "purposes[].reversible",
        Kind::Texts,
        None,
        r#"["PERSON", "EMAIL"]"#,
        "The entities that may come back in replies. What else is found is removed beyond recovery. By default all.",
    ),
    key(
        "purposes[].upstreams",
        Kind::Texts,
        None,
        r#"["eu"]"#,
        "The names of the upstreams that may serve it. By default all.",
    ),
    key(
        "consent.policy",
        Kind::Text,
        None,
        r#""2026-05""#,
        "The version of the current notice. Without it consent to any version is taken.",
    ),
    key(
        "consent.accept_policies",
        Kind::Texts,
        None,
        r#"["2026-05", "2026-01"]"#,
        "The versions that consent may have been given to, the current one among them. By default that one alone.",
    ),
    key(
        "consent.notice_url",
        Kind::Text,
        Some(r#""/.privet/notice""#),
        r#""https://shop.example/privacy""#,
        "The address of the notice, which a refusal names.",
    ),
    key(
        "consent.require_signed",
        Kind::Boolean,
        Some("false"),
        "true",
        "Whether consent counts only where the site has signed it, as `Privet-Consent-Token`. The subject is then the token's `sub`.",
    ),
    key(
        "consent.hs256_secret",
        Kind::Text,
        None,
        r#""thirty-two bytes or more, known to the site""#,
        "The secret by which the site signs with HS256: 32 bytes at least. Better set it as PRIVET_CONSENT__HS256_SECRET. It is never printed.",
    ),
    key(
        "consent.jwks",
        Kind::Text,
        None,
        r#""https://shop.example/.well-known/jwks.json""#,
        "The public keys by which the site signs with EdDSA, ES256 or RS256: a JWK Set (RFC 7517), as a file or an https:// URL. It is read again where a token names a key that is not in it.",
    ),
    key("consent.audience", Kind::Text, None, r#""privet""#, "Whom tokens must be for, their `aud`."),
    key("consent.issuer", Kind::Text, None, r#""https://shop.example""#, "Who must have made tokens, their `iss`."),
    key(
        "consent.special_categories",
        Kind::Text,
        None,
        r#""health""#,
        "The purpose that needs consent too where data of special categories (GDPR Article 9) is found, by rules that are marked as sensitive. Without that consent the route's `without_consent` holds.",
    ),
    key("notices", Kind::Tables, None, "", ""),
    key("notices[].lang", Kind::Text, None, r#""en""#, "Its language (RFC 5646). Required."),
    key("notices[].policy", Kind::Text, None, r#""2026-05""#, "Its version. By default the `policy` of [consent]."),
    key("notices[].title", Kind::Text, None, r#""May a chatbot answer you?""#, "What stands above it. Required."),
    key(
        "notices[].text",
        Kind::Text,
        None,
        r#""What you write is used to answer your questions.""#,
        "The text. An empty line begins a paragraph. This, or `file`, is required.",
    ),
    key("notices[].file", Kind::Text, None, r#""/etc/privet/notice.en.txt""#, "A file that holds the text."),
    key("notices[].purposes.*.title", Kind::Text, None, r#""Support""#, "The purpose in two or three words. Required."),
    key(
        "notices[].purposes.*.text",
        Kind::Text,
        None,
        r#""To answer your questions in this chat.""#,
        "What data is used for, in a sentence.",
    ),
    key(
        "recipients.regions",
        Kind::Texts,
        Some("[]"),
        r#"["eu"]"#,
        "Upstreams serve routes only where their region is one of these, or begins with one and a hyphen. Where an upstream stands elsewhere, or does not say where, the gateway does not start. By default they may stand anywhere.",
    ),
    key("routes", Kind::Tables, None, "", ""),
    key(
        "routes[].path",
        Kind::Text,
        None,
        r#""/v1/embeddings""#,
        "The path; it matches whole segments, so \"/v1\" matches /v1/x and not /v1x. Required.",
    ),
    key(
        "routes[].purpose",
        Kind::Text,
        None,
        r#""analytics""#,
        "The purpose that needs consent. By default `support`, or the first purpose listed where that is not.",
    ),
    key(
        "routes[].without_consent",
        Kind::Word(WithoutConsent::WORDS),
        Some(r#""block""#),
        r#""anonymize""#,
        "What happens without consent: `block` answers 403; `anonymize` forwards the request with every finding removed beyond recovery, and stores nothing.",
    ),
    key(
        "routes[].protocol",
        Kind::Text,
        Some(r#""auto""#),
        r#""openai-chat""#,
        "The protocol of the chatbot, by the name of its file; `auto` tells it by path and body.",
    ),
    key(
        "routes[].reply",
        Kind::Word(Reply::WORDS),
        Some(r#""restore""#),
        r#""pass""#,
        "What happens to replies: `restore` puts the values back where their tokens stand; `restore+redact` also replaces personal data that the chatbot itself brings up, by `[EMAIL]` or as the route's operators say; `pass` leaves replies untouched.",
    ),
    key("routes[].upstream", Kind::Text, None, r#""eu""#, "The name of its upstream. By default the first one."),
    key(
        "routes[].identity",
        Kind::Word(Identity::WORDS),
        Some(r#""scan""#),
        r#""token""#,
        "What happens to fields that identify a person to the protocol, such as `user`: `scan` replaces findings in them, `token` the whole value, `keep` nothing.",
    ),
    key(
        "routes[].strict",
        Kind::Boolean,
        Some("false"),
        "true",
        "Whether a request is refused (415) that has a member which its protocol does not know, or whose protocol does not list its members.",
    ),
    key(
        "routes[].binary",
        Kind::Word(Binary::WORDS),
        Some(r#""refuse""#),
        r#""pass""#,
        "What happens to bodies that cannot be inspected: `refuse` answers 415, `pass` forwards them as they are and counts them.",
    ),
    key(
        "routes[].files",
        Kind::Word(Binary::WORDS),
        Some(r#""pass""#),
        r#""refuse""#,
        "What happens to files in multipart bodies that are no text: `pass` forwards them as they are and counts them, `refuse` answers 415.",
    ),
    key("routes[].tenant", Kind::Text, None, r#""shop""#, "Its tenant. By default the `tenant` of the top level."),
    key(
        "detection.level",
        Kind::Word(Level::NAMES),
        Some(r#""balanced""#),
        r#""strict""#,
        "How sure findings must be: `strict` finds more (a score of 0.35), `balanced` is what the rules are tuned for (0.5), `lenient` finds what is sure (0.75).",
    ),
    key(
        "detection.packs",
        Kind::Texts,
        Some("[]"),
        r#"["-person", "region:DE"]"#,
        "Packs of rules to switch on or, with - in front, off: \"NAME\", \"all\", \"domain:NAME\", \"region:XX\", \"language:xx\".",
    ),
    key(
        "detection.entities.*.operator",
        Kind::Word(Operator::NAMES),
        None,
        r#""surrogate""#,
        "What is done with findings. By default what their rules say.",
    ),
    key(
        "detection.entities.*.level",
        Kind::Word(Level::NAMES),
        None,
        r#""strict""#,
        "How sure findings must be. By default as for all.",
    ),
    key(
        "detection.entities.*.threshold",
        Kind::Score,
        None,
        "0.6",
        "The score that findings need, from 0 to 1, instead of a level.",
    ),
    key(
        "detection.entities.*.state",
        Kind::Word(State::NAMES),
        None,
        r#""shadow""#,
        "Whether the rules run: `on`; `shadow` counts what they find and leaves it; `off`. By default what the rules say.",
    ),
    key(
        "detection.entities.*.mask.keep_first",
        Kind::Count { min: 0, max: 16 },
        Some("0"),
        "2",
        "How many letters and digits stay in front. Never more than a third of a value is shown.",
    ),
    key(
        "detection.entities.*.mask.keep_last",
        Kind::Count { min: 0, max: 16 },
        Some("0"),
        "4",
        "How many letters and digits stay at the end. Never more than a third of a value is shown.",
    ),
    key(
        "detection.entities.*.mask.character",
        Kind::Text,
        Some(r#""*""#),
        r##""#""##,
        "What stands four times for the rest: one character, neither a letter or digit nor one that formats use.",
    ),
    key(
        "detection.rules.*.operator",
        Kind::Word(Operator::NAMES),
        None,
        r#""surrogate""#,
        "What is done with findings. By default what their rules say.",
    ),
    key(
        "detection.rules.*.level",
        Kind::Word(Level::NAMES),
        None,
        r#""strict""#,
        "How sure findings must be. By default as for all.",
    ),
    key(
        "detection.rules.*.threshold",
        Kind::Score,
        None,
        "0.6",
        "The score that findings need, from 0 to 1, instead of a level.",
    ),
    key(
        "detection.rules.*.state",
        Kind::Word(State::NAMES),
        None,
        r#""shadow""#,
        "Whether the rules run: `on`; `shadow` counts what they find and leaves it; `off`. By default what the rules say.",
    ),
    key(
        "routes[].level",
        Kind::Word(Level::NAMES),
        None,
        r#""strict""#,
        "How sure findings must be, as `level` in [routes.detection].",
    ),
    key(
        "routes[].detection.level",
        Kind::Word(Level::NAMES),
        None,
        r#""strict""#,
        "How sure findings must be on this route. By default as in [detection].",
    ),
    key(
        "routes[].detection.entities.*.operator",
        Kind::Word(Operator::NAMES),
        None,
        r#""surrogate""#,
        "What is done with findings. By default what their rules say.",
    ),
    key(
        "routes[].detection.entities.*.level",
        Kind::Word(Level::NAMES),
        None,
        r#""strict""#,
        "How sure findings must be. By default as for all.",
    ),
    key(
        "routes[].detection.entities.*.threshold",
        Kind::Score,
        None,
        "0.6",
        "The score that findings need, from 0 to 1, instead of a level.",
    ),
    key(
        "routes[].detection.entities.*.state",
        Kind::Word(State::NAMES),
        None,
        r#""shadow""#,
        "Whether the rules run: `on`; `shadow` counts what they find and leaves it; `off`. By default what the rules say.",
    ),
    key(
        "routes[].detection.entities.*.mask.keep_first",
        Kind::Count { min: 0, max: 16 },
        Some("0"),
        "2",
        "How many letters and digits stay in front. Never more than a third of a value is shown.",
    ),
    key(
        "routes[].detection.entities.*.mask.keep_last",
        Kind::Count { min: 0, max: 16 },
        Some("0"),
        "4",
        "How many letters and digits stay at the end. Never more than a third of a value is shown.",
    ),
    key(
        "routes[].detection.entities.*.mask.character",
        Kind::Text,
        Some(r#""*""#),
        r##""#""##,
        "What stands four times for the rest: one character, neither a letter or digit nor one that formats use.",
    ),
    key(
        "routes[].detection.rules.*.operator",
        Kind::Word(Operator::NAMES),
        None,
        r#""surrogate""#,
        "What is done with findings. By default what their rules say.",
    ),
    key(
        "routes[].detection.rules.*.level",
        Kind::Word(Level::NAMES),
        None,
        r#""strict""#,
        "How sure findings must be. By default as for all.",
    ),
    key(
        "routes[].detection.rules.*.threshold",
        Kind::Score,
        None,
        "0.6",
        "The score that findings need, from 0 to 1, instead of a level.",
    ),
    key(
        "routes[].detection.rules.*.state",
        Kind::Word(State::NAMES),
        None,
        r#""shadow""#,
        "Whether the rules run: `on`; `shadow` counts what they find and leaves it; `off`. By default what the rules say.",
    ),
    key(
        "transit.address",
        Kind::Text,
        None,
        r#""https://vault.example:8200""#,
        "The server; http:// on this machine alone. Required.",
    ),
    key("transit.mount", Kind::Text, Some(r#""transit""#), r#""secrets/transit""#, "Where the engine is mounted."),
    key(
        "transit.key",
        Kind::Text,
        Some(r#""privet""#),
        r#""privet-eu""#,
        "The name of the key in it. The token needs `update` on datakey/plaintext and decrypt of this key.",
    ),
    key(
        "transit.token_file",
        Kind::Text,
        None,
        r#""/run/secrets/vault-token""#,
        "A file that holds the token, as an agent keeps it up to date.",
    ),
    key(
        "transit.namespace",
        Kind::Text,
        None,
        r#""team-a""#,
        "The namespace of the engine, where the server has several.",
    ),
    key(
        "transit.ca",
        Kind::Text,
        None,
        r#""/etc/privet/vault-ca.pem""#,
        "A PEM file with certificate authorities to trust beside the system's.",
    ),
    key(
        "transit.timeout",
        Kind::Time { min: Duration::from_millis(1), max: Duration::from_mins(5) },
        Some(r#""10s""#),
        r#""3s""#,
        "How long one call may take.",
    ),
    key("retention", Kind::Tables, None, "", ""),
    key("retention[].entity", Kind::Text, None, r#""EMAIL""#, "The entity that it is for. By default all."),
    key(
        "retention[].purpose",
        Kind::Text,
        None,
        r#""support""#,
        "The purpose for which a value came first. By default all.",
    ),
    key("retention[].tenant", Kind::Text, None, r#""shop""#, "The tenant that it is for. By default all."),
    key(
        "retention[].keep",
        Kind::Text,
        None,
        r#""90d""#,
        "For how long, from when a value first came: a number with h, d, w, mo (calendar months) or y, or \"until erased\". Required.",
    ),
    key(
        "retention[].action",
        Kind::Word(Expiry::WORDS),
        Some(r#""delete""#),
        r#""anonymize""#,
        "What then happens: `delete` forgets the token and its value; `anonymize` the value alone, so that the token still counts and never stands for anything again.",
    ),
    key(
        "sweep.every",
        TIME,
        Some(r#""1h""#),
        r#""15m""#,
        "How often the vault is looked through for what has been kept long enough.",
    ),
    key(
        "sweep.max_gap",
        Kind::Time { min: Duration::from_hours(1), max: Duration::from_hours(24 * 366) },
        Some(r#""720h""#),
        r#""168h""#,
        "For how long the gateway may have been away. After more, the clock is taken to be wrong, and nothing is deleted until `privet vault purge --confirm-clock`.",
    ),
    key("backup.dir", Kind::Text, None, r#""/var/backups/privet""#, "The folder for them. Required."),
    key(
        "backup.every",
        Kind::Time { min: Duration::from_secs(1), max: Duration::from_hours(24 * 31) },
        Some(r#""24h""#),
        r#""6h""#,
        "How often one is made, and tested by restoring it.",
    ),
    key(
        "backup.keep",
        Kind::Count { min: 1, max: 10_000 },
        Some("7"),
        "30",
        "How many stay. The oldest go once a newer one has passed its test.",
    ),
    key(
        "subject.from",
        Kind::Texts,
        Some("[]"),
        r#"["header:X-User", "cookie:sid", "jwt:sub", "body:user"]"#,
        "Places to look at, in this order: \"header:NAME\", \"cookie:NAME\", \"jwt:sub\" (of a consent token that holds), \"body:KEY.KEY\".",
    ),
    key(
        "subject.links",
        Kind::Time { min: Duration::from_secs(1), max: Duration::from_hours(24 * 366 * 10) },
        Some(r#""720h""#),
        r#""24h""#,
        "For how long a conversation can be gone on with from the id of a reply, as by `previous_response_id`.",
    ),
    key(
        "subject.index",
        Kind::Texts,
        Some(r#"["EMAIL", "PHONE"]"#),
        "[]",
        "By which of their values subjects can be found, for requests of persons. A keyed hash of each new one is kept beside it, and erased with the subject.",
    ),
    key("headers.drop", Kind::Texts, Some("[]"), r#"["cookie", "x-internal-*"]"#, "Headers that do not travel."),
    key("headers.scan", Kind::Texts, Some("[]"), r#"["referer"]"#, "Headers that travel with personal data replaced."),
    key(
        "headers.keep",
        Kind::Texts,
        Some("[]"),
        r#"["x-forwarded-proto"]"#,
        "Headers that travel as they are; nobody looks into them.",
    ),
    key(
        "cors.origins",
        Kind::Texts,
        Some("[]"),
        r#"["https://shop.example"]"#,
        "Origins whose pages may use the gateway. Where there are any, Privet answers preflights and refuses requests of other origins; else it leaves both to the upstream. Pages of `public_url` itself are always among them.",
    ),
    key(
        "tls.certificate",
        Kind::Text,
        None,
        r#""/etc/privet/tls.crt""#,
        "The certificate chain, a PEM file. Required.",
    ),
    key("tls.key", Kind::Text, None, r#""/etc/privet/tls.key""#, "Its private key, a PEM file. Required."),
    key("tls.admin", Kind::Boolean, Some("false"), "true", "Whether the admin listener speaks TLS too."),
    key(
        "limits.request_body",
        SIZE,
        Some(r#""32 MiB""#),
        r#""1 MiB""#,
        "The longest request body, as it comes and when it is decoded. A longer one is answered with 413.",
    ),
    key(
        "limits.decode_ratio",
        Kind::Count { min: 2, max: 100_000 },
        Some("100"),
        "1_000",
        "How many times its size a compressed body may grow to, beyond 64 KiB. A request that grows more is answered with 413, a reply breaks off.",
    ),
    key(
        "limits.bodies_in_flight",
        SIZE,
        Some(r#""512 MiB""#),
        r#""1 GiB""#,
        "All bodies held at one time, together. Beyond it requests are answered with 503.",
    ),
    key("limits.json_depth", Kind::Count { min: 1, max: 1024 }, Some("128"), "32", "How deep JSON may nest."),
    key(
        "limits.reply_body",
        SIZE,
        Some(r#""32 MiB""#),
        r#""4 MiB""#,
        "The longest reply that is held whole to be restored, and the longest event of one that streams.",
    ),
    key(
        "limits.socket_message",
        SIZE,
        Some(r#""4 MiB""#),
        r#""1 MiB""#,
        "The longest message of a WebSocket, its frames joined. Beyond it the socket is closed with 1009.",
    ),
    key(
        "limits.header_bytes",
        Kind::Size { min: 8 << 10, max: 1 << 20 },
        Some(r#""16 KiB""#),
        r#""32 KiB""#,
        "The longest request head.",
    ),
    key(
        "limits.headers",
        Kind::Count { min: 1, max: 10_000 },
        Some("100"),
        "50",
        "The most header lines of a request.",
    ),
    key("limits.connections", COUNT, Some("10_000"), "1_000", "The most connections at one time."),
    key(
        "limits.in_flight",
        COUNT,
        Some("2_048"),
        "256",
        "The most requests in work at one time. Beyond it they are answered with 503.",
    ),
    key(
        "limits.h2_streams",
        Kind::Count { min: 1, max: 1 << 16 },
        Some("100"),
        "32",
        "The most streams of one HTTP/2 connection.",
    ),
    key("timeouts.header", TIME, Some(r#""10s""#), r#""5s""#, "For a whole request head."),
    key("timeouts.body", TIME, Some(r#""30s""#), r#""2m""#, "For a whole request body."),
    key("timeouts.body_idle", TIME, Some(r#""5s""#), r#""500ms""#, "Between two pieces of a request body."),
    key("timeouts.connect", TIME, Some(r#""3s""#), r#""1s""#, "For a connection to the upstream."),
    key("timeouts.first_byte", TIME, Some(r#""60s""#), r#""5m""#, "For the head of the upstream's reply."),
    key("timeouts.stream_idle", TIME, Some(r#""120s""#), r#""10m""#, "Between two pieces of the upstream's reply."),
    key(
        "timeouts.socket_idle",
        TIME,
        Some(r#""2m""#),
        r#""30s""#,
        "For a sign of life on a WebSocket, from either side. At half of it a ping is sent, which any client answers.",
    ),
    key("timeouts.write", TIME, Some(r#""60s""#), r#""2m""#, "For a client to take a piece of its reply."),
    key(
        "timeouts.drain",
        Kind::Time { min: Duration::ZERO, max: Duration::from_hours(24) },
        Some(r#""30s""#),
        r#""0s""#,
        "For running requests to end at shutdown.",
    ),
    key("webhooks", Kind::Tables, None, "", ""),
    key("webhooks[].url", Kind::Text, None, r#""https://crm.example/privet""#, "Where the messages go. Required."),
    key(
        "webhooks[].events",
        Kind::Texts,
        Some(r#"["subject.erased", "subject.rectified"]"#),
        r#"["subject.erased", "code.issued"]"#,
        "Which messages: subject.erased, subject.rectified, subject.restricted, subject.released, subject.objected, code.issued (somebody asks for a code: send it to the address on file of the subject), case.due.",
    ),
    key(
        "webhooks[].secret",
        Kind::Text,
        None,
        r#""env:CRM_WEBHOOK_SECRET""#,
        "Signs the messages: `Privet-Signature: t=SECONDS,v1=HEX`, the HMAC-SHA-256 of \"SECONDS.BODY\". At least 16 bytes; \"env:NAME\" is read from that environment variable. Required.",
    ),
    key(
        "webhooks[].ca",
        Kind::Text,
        None,
        r#""/etc/privet/ca.pem""#,
        "A PEM file with certificate authorities to trust beside the system's.",
    ),
    key(
        "audit.syslog",
        Kind::Text,
        None,
        r#""tcp://siem.example:601""#,
        "Where each line of the access log is sent too, as syslog (RFC 5424): tcp://HOST:PORT with octet counting (RFC 6587), or udp://HOST:PORT. What cannot be sent over TCP is sent later; over UDP nobody knows what arrives.",
    ),
    key(
        "alerts.shown_per_hour",
        COUNT,
        Some("500"),
        "1000",
        "How many values one operator may be shown or give out within an hour.",
    ),
    key(
        "alerts.unknown_tokens",
        COUNT,
        Some("200"),
        "1000",
        "How many tokens that are not the subject's may be tried within ten minutes.",
    ),
    key("alerts.failed_logins", COUNT, Some("20"), "50", "How many log-ins may be refused within ten minutes."),
    key(
        "alerts.office_hours",
        Kind::Text,
        None,
        r#""8-18""#,
        "The hours (UTC, the last one excluded) in which operators may give data out. By default all.",
    ),
    key(
        "log.format",
        Kind::Word(LogFormat::WORDS),
        Some(r#""text""#),
        r#""json""#,
        "How a line looks: `text` for people, `json` for machines.",
    ),
    key(
        "log.level",
        Kind::Word(LogLevel::WORDS),
        Some(r#""info""#),
        r#""debug""#,
        "The least grave lines that are written.",
    ),
];

/// What a path names, if anything. The `*` of a path stands for itself.
pub(super) fn lookup(path: &str) -> Option<Node> {
    if let Some(key) = find(path) {
        return Some(Node::Key(key));
    }
    let is_table =
        |table: &Table| table.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    TABLES.iter().any(is_table).then_some(Node::Table)
}

/// The key with this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The names right below a table, for suggestions; `""` is the top level.
pub(super) fn names_below(table: &str) -> Vec<&'static str> {
    let tables = TABLES.iter().map(|table| table.path);
    let keys = KEYS.iter().map(|key| key.path);
    let mut names: Vec<&str> = Vec::new();
    for path in tables.chain(keys) {
        let below =
            if table.is_empty() { Some(path) } else { path.strip_prefix(table).and_then(|p| p.strip_prefix('.')) };
        let name = below.and_then(|below| below.split('.').next()).unwrap_or_default().trim_end_matches("[]");
        if !name.is_empty() && name != ANY && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The tables in which a key of this name stands, as their headers.
pub(super) fn tables_with(name: &str) -> Vec<String> {
    KEYS.iter()
        .filter_map(|key| match split(key.path) {
            (table, Some(last)) if last == name && !table.is_empty() => Some(header(table)),
            _ => None,
        })
        .collect()
}

/// A table's header in the file: `[consent]`, `[[routes]]`.
pub(super) fn header(table: &str) -> String {
    match table.strip_suffix("[]") {
        Some(name) => format!("[[{name}]]"),
        None => format!("[{}]", spelled(table).replace("[]", "")),
    }
}

/// A path with examples of the user's own names.
pub(super) fn spelled(path: &str) -> String {
    path.replace("entities.*", "entities.PERSON")
        .replace("rules.*", "rules.phone-digits")
        .replace("purposes.*", "purposes.support")
}

/// The path of a name in a table.
pub(super) fn join(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}

/// A path as its table and its last name.
pub(super) fn split(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once('.') {
        Some((table, name)) => (table, Some(name)),
        None => ("", Some(path)),
    }
}
