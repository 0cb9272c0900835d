//! The record of processing activities (GDPR Article 30), the data map, and
//! what an impact assessment (Article 35) starts from: all of them read off the
//! configuration that is at work.

use super::{kept_for, upstream_of};
use crate::clock::Time;
use crate::config::{Basis, Config, Reply, Retention, WithoutConsent};
use crate::report::{Report, Section};

/// What the company has to add by itself.
const OWN: &str = "To be completed by the company";

/// The record of processing activities.
pub fn ropa(config: &Config, made: Time) -> Report {
    let purposes = config.purposes.iter().map(|purpose| {
        let routes: Vec<&str> = config
            .routes
            .iter()
            .filter(|route| route.purpose == purpose.name)
            .map(|route| route.path.as_str())
            .collect();
        [purpose.name.clone(), purpose.basis.as_str().to_owned(), or_none(&routes.join(", ")), kinds(purpose)]
    });
    Report::new("Record of processing activities (GDPR Article 30)", made.to_string())
        .with(Section::new("Controller").table(
            ["what", "value"],
            [
                ["Name and contact of the controller".to_owned(), OWN.to_owned()],
                ["Data protection officer".to_owned(), OWN.to_owned()],
                ["System".to_owned(), format!("Chatbot behind Privet {}", env!("CARGO_PKG_VERSION"))],
            ],
        ))
        .with(Section::new("Purposes").table(["purpose", "legal basis", "routes", "uses"], purposes))
        .with(
            Section::new("Categories of persons and data")
                .says("Persons: users of the chatbot, and persons whom they write about.")
                .says("Data: what the users write. Personal data that the rules find is replaced before it leaves."),
        )
        .with(recipients(config))
        .with(retention(config))
        .with(measures(config))
}

/// What flows where.
pub fn data_map(config: &Config, made: Time) -> Report {
    let flows = config.routes.iter().map(|route| {
        let upstream = upstream_of(config, route);
        let to = upstream.map(|upstream| upstream.recipient.clone()).unwrap_or_default();
        let place = upstream.map(|one| [&one.country, &one.region].into_iter().flatten().cloned().collect::<Vec<_>>());
        let place = place.filter(|place| !place.is_empty()).map_or_else(|| "not said".to_owned(), |all| all.join(", "));
        let sent = match (basis_of(config, &route.purpose), route.without_consent) {
            (Some(Basis::Consent), WithoutConsent::Block) => "tokens; without consent nothing",
            (Some(Basis::Consent), WithoutConsent::Anonymize) => {
                "tokens; without consent the text with findings removed"
            }
            _ => "tokens",
        };
        let back = match route.reply {
            Reply::Restore => "values put back",
            Reply::RestoreRedact => "values put back, data of others replaced",
            Reply::Pass => "as it comes, tokens stay",
        };
        [route.path.clone(), route.tenant.clone(), route.purpose.clone(), sent.into(), to, place, back.into()]
    });
    Report::new("Data map", made.to_string())
        .with(
            Section::new("Flows")
                .table(["route", "tenant", "purpose", "what is sent", "to", "where", "what comes back"], flows),
        )
        .with(Section::new("Stores").table(
            ["store", "what", "protected by"],
            [
                [
                    "vault".into(),
                    "values behind tokens, consent, cases".into(),
                    "AES-256-GCM, a key for each person".into(),
                ],
                ["access log".into(), "who looked at what when, without values".into(), "hash chain, Ed25519".into()],
                ["log and metrics".into(), "counts and ids of requests".into(), "hold no personal data".to_owned()],
            ],
        ))
        .with(recipients(config))
}

/// What an impact assessment starts from.
pub fn dpia(config: &Config, made: Time) -> Report {
    let risks = [
        ["The chatbot's operator learns who the user is", "findings are replaced by tokens before anything is sent"],
        ["Text that no rule recognises is sent", "rules are tested on corpora; `binary` and coverage show what passed"],
        ["Values leak from the store", "a key for each person, wrapped by the deployment's key"],
        ["An operator looks without need", "roles, access log with reasons, alarms"],
        ["Data is kept too long", "retention by entity, purpose and tenant; erasure destroys keys"],
        ["Data leaves the region", "each upstream names its region; the data map shows it"],
    ];
    let profiling = config.purposes.iter().any(|purpose| purpose.profiling);
    Report::new("Inputs for an impact assessment (GDPR Article 35)", made.to_string())
        .with(
            Section::new("Is one needed?")
                .says(format!("Purposes that profile persons: {}.", if profiling { "yes" } else { "none is configured" }))
                .says("Free text may hold special categories of data (Article 9); the company decides whether it is likely."),
        )
        .with(Section::new("Necessity").table(
            ["purpose", "legal basis", "uses"],
            config.purposes.iter().map(|one| [one.name.clone(), one.basis.as_str().to_owned(), kinds(one)]),
        ))
        .with(Section::new("Risks and measures").table(["risk", "measure"], risks.map(|row| row.map(str::to_owned))))
        .with(recipients(config))
        .with(retention(config))
        .with(Section::new("Opinion of the data protection officer").says(OWN))
}

fn recipients(config: &Config) -> Section {
    let not_said = || "not said".to_owned();
    let rows = config.upstreams.iter().map(|upstream| {
        [
            upstream.recipient.clone(),
            upstream.name.clone(),
            upstream.role.as_str().to_owned(),
            upstream.url.host().unwrap_or_default().to_owned(),
            upstream.country.clone().unwrap_or_else(not_said),
            upstream.region.clone().unwrap_or_else(not_said),
            upstream.transfer.as_str().to_owned(),
        ]
    });
    Section::new("Recipients")
        .says("The access log and the record of each consent name the recipient of the data.")
        .table(["recipient", "upstream", "role", "host", "country", "region", "transfer rests on"], rows)
}

fn retention(config: &Config) -> Section {
    let all = || "all".to_owned();
    let rows = config.retention.iter().map(|Retention { entity, purpose, tenant, keep, .. }| {
        let entity = entity.map_or_else(all, |entity| entity.to_string());
        [entity, purpose.clone().unwrap_or_else(all), tenant.clone().unwrap_or_else(all), kept_for(*keep)]
    });
    let section = Section::new("Erasure")
        .says("A person's data is erased on request, by destroying its keys. What no line names is kept until then.");
    section.table(["entity", "purpose", "tenant", "kept for"], rows)
}

fn measures(config: &Config) -> Section {
    let tls = if config.tls.is_some() { "TLS 1.3 on the listeners" } else { "plain HTTP: TLS ends in front of Privet" };
    [
        "Pseudonymisation: findings are replaced by tokens before they leave.",
        "Encryption: values are sealed with AES-256-GCM under a key for each person.",
        "Access: operators have roles and keys of their own; each look stands in an access log whose changes are found.",
        tls,
    ]
    .into_iter()
    .fold(Section::new("Technical and organisational measures"), Section::says)
}

fn basis_of(config: &Config, purpose: &str) -> Option<Basis> {
    config.purpose(purpose).map(|purpose| purpose.basis)
}

fn kinds(purpose: &crate::config::Purpose) -> String {
    let kinds = [(purpose.sale, "sale"), (purpose.sharing, "sharing"), (purpose.profiling, "profiling")];
    let kinds: Vec<&str> = kinds.into_iter().filter(|(is_so, _)| *is_so).map(|(_, kind)| kind).collect();
    or_none(&kinds.join(", "))
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Format;

    const CONFIG: &str = r#"
[[upstreams]]
name = "eu"
url = "https://chatbot.example"
region = "eu-central"
country = "DE"
recipient = "Chatbot Example GmbH"
[[upstreams]]
name = "stats"
url = "https://stats.example"
recipient = "Stats Example Inc."
country = "US"
role = "controller"
transfer = "standard-clauses"
[[purposes]]
name = "support"
basis = "contract"
[[purposes]]
name = "analytics"
profiling = true
[[routes]]
path = "/"
[[routes]]
path = "/v1/embeddings"
purpose = "analytics"
upstream = "stats"
without_consent = "anonymize"
reply = "pass"
[[retention]]
entity = "EMAIL"
keep = "30d"
"#;

    /// `PRIVET_BLESS=1` writes them anew.
    #[test]
    fn reports_are_those_that_are_recorded() {
        let config = Config::parse(CONFIG).unwrap().config;
        let made = Time(1_780_000_000);
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reports");
        let reports =
            [("ropa", ropa(&config, made)), ("data-map", data_map(&config, made)), ("dpia", dpia(&config, made))];
        for (name, report) in reports {
            for (format, ending) in [(Format::Markdown, "md"), (Format::Html, "html"), (Format::Json, "json")] {
                let (file, now) = (folder.join(format!("{name}.{ending}")), report.write(format));
                if std::env::var_os("PRIVET_BLESS").is_some() {
                    std::fs::create_dir_all(&folder).unwrap();
                    std::fs::write(&file, &now).unwrap();
                }
                let recorded = std::fs::read_to_string(&file).unwrap_or_default();
                assert_eq!(recorded, now, "{}: PRIVET_BLESS=1 writes it anew", file.display());
            }
        }
    }
}
