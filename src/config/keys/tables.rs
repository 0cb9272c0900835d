//! The tables below the top level.

use super::Table;

/// The tables below the top level, in the order of print.
pub(in crate::config) static TABLES: &[Table] = &[
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
        doc: "What raises an alarm: a warning of the log, `privet_alerts_total`, an incident of the register, and a message to `[[webhooks]]` that ask for alarm.raised, each rule once an hour at most.",
        optional: false,
    },
    Table {
        path: "webhooks",
        doc: "Systems behind that are told what became of a subject. The messages hold no values; they are signed, and sent again until they are taken, for a week.",
        optional: true,
    },
    Table {
        path: "transcripts",
        doc: "Conversations without persons, for analysis: what is found is replaced by the name of its kind, beyond recovery. Only those of purposes with `transcripts = true` are kept, and only where what they rest on holds. Where more come than can be written they are dropped, and counted by `privet_transcripts_total`: nobody waits for them.",
        optional: true,
    },
    Table { path: "log", doc: "The log on standard error. It never holds personal data.", optional: false },
];
