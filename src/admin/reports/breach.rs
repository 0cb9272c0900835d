//! What a notification of a breach needs (GDPR Articles 33 and 34): what data
//! of how many persons passed in a time, by whom it was seen, and who got it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::audit::{Action, Audit, Line};
use crate::clock::Time;
use crate::incident::{Incident, Register};
use crate::report::{Report, Section};
use crate::vault::{Exposed, Vault, VaultError};

const PAGE: usize = 1000;

/// Persons that are listed by name at most.
const LISTED: usize = 10_000;

/// What a breach report is about.
#[derive(Debug, Clone, Default)]
pub struct Breach {
    /// From when on; none: from the beginning.
    pub from: Option<Time>,
    /// Until when; none: until now.
    pub to: Option<Time>,
    /// Data that this recipient was sent, alone.
    pub upstream: Option<String>,
    /// Whether the configuration names it, so that nothing may be right.
    pub is_configured: bool,
    /// The key that is known to others.
    pub key: Option<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum BreachError {
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The time ends before it begins.
    #[error("`from` must be before `to`")]
    Backwards,
    /// Nobody of this name was ever sent anything: a slip of the pen would be
    /// told to an authority as nothing.
    #[error("no recipient has this name; those of the access log are: {0}")]
    Recipient(String),
}

/// What is added up over the lines.
#[derive(Default)]
struct Sums {
    subjects: HashSet<String>,
    /// Findings by entity.
    sent: BTreeMap<String, u64>,
    by_recipient: BTreeMap<String, u64>,
    /// Looks by actor and action.
    looks: BTreeMap<(String, &'static str), (u64, u64)>,
    exchanges: u64,
    /// Lines of exchanges that began, by their requests, as long as no end of them is told.
    begun: HashMap<String, Line>,
    /// Exchanges among them.
    unfinished: u64,
}

impl Sums {
    fn add(&mut self, line: Line) {
        let count: u64 = line.entities.values().sum();
        if !line.subject.is_empty() && !self.subjects.contains(&line.subject) {
            self.subjects.insert(line.subject.clone());
        }
        match line.action {
            Action::Exchange => {
                self.exchanges += 1;
                for (entity, count) in line.entities {
                    *self.sent.entry(entity).or_default() += count;
                }
                *self.by_recipient.entry(line.recipient).or_default() += count;
            }
            Action::Begin => _ = self.begun.insert(line.request_id.clone(), line),
            _ => {
                let (times, values) = self.looks.entry((line.actor, line.action.as_str())).or_default();
                *times += 1;
                *values += count;
            }
        }
    }

    /// What began and has no end may have shown as much as it tells.
    fn finish(&mut self) {
        for (_, line) in std::mem::take(&mut self.begun) {
            self.unfinished += 1;
            self.add(Line { action: Action::Exchange, ..line });
        }
    }
}

/// Reads the access log and the register, and of a key that is known to others
/// whom it concerns in the vault.
pub async fn breach(
    vault: &Vault,
    audit: &Audit,
    register: &Register,
    about: &Breach,
    made: Time,
) -> Result<Report, BreachError> {
    if let (Some(from), Some(to)) = (about.from, about.to)
        && from >= to
    {
        return Err(BreachError::Backwards);
    }
    let mut recipients = BTreeSet::new();
    let is_within = |at: Time| about.from.is_none_or(|from| at >= from) && about.to.is_none_or(|to| at < to);
    let mut sums = Sums::default();
    let mut after = 0;
    loop {
        let page = audit.page(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        let fits = |line: &Line| about.upstream.as_ref().is_none_or(|one| line.recipient == *one);
        let of_record = |line: &Line| line.action != Action::Checkpoint && is_within(line.at) && fits(line);
        for line in page {
            if !line.route.is_empty() && !recipients.contains(&line.recipient) {
                recipients.insert(line.recipient.clone());
            }
            // What ended later had begun in the time that is asked for.
            if line.action == Action::Exchange && is_within(line.at) {
                sums.begun.remove(&line.request_id);
            }
            if of_record(&line) {
                sums.add(line);
            }
        }
    }
    sums.finish();
    if about.upstream.as_ref().is_some_and(|one| !about.is_configured && !recipients.contains(one)) {
        let known: Vec<String> = recipients.into_iter().map(|name| format!("`{name}`")).collect();
        return Err(BreachError::Recipient(if known.is_empty() { "none".to_owned() } else { known.join(", ") }));
    }
    let mut incidents: Vec<Incident> = Vec::new();
    loop {
        let page = register.list(incidents.last().map(|last| last.id.as_str()), PAGE).await?;
        if page.is_empty() {
            break;
        }
        incidents.extend(page);
    }
    incidents.retain(|incident| is_within(incident.opened));
    let exposed = match &about.key {
        Some(key) => Some((key.as_str(), vault.exposed(key, LISTED).await?)),
        None => None,
    };
    Ok(written(about, sums, &incidents, exposed, made))
}

/// What a key opens that others know.
fn of_key(key: &str, exposed: Exposed) -> Section {
    let Exposed { subjects, values, each } = exposed;
    let count: u64 = values.values().sum();
    let section = Section::new("What the key opens");
    if subjects == 0 {
        return section.says(format!(
            "No person's keys are wrapped by the key {key}: it opens nothing but copies of the vault from its time."
        ));
    }
    let by_entity: Vec<String> = values.iter().map(|(entity, count)| format!("{entity}: {count}")).collect();
    let section = section
        .says(format!(
            "Whoever has the key {key} and the store can read {count} values of {subjects} persons ({}).",
            by_entity.join(", ")
        ))
        .says("Persons are named as in the access log; `privet subject` finds them by their ids.");
    let section = match subjects - each.len() as u64 {
        0 => section,
        more => section.says(format!("{more} more persons are counted and not listed.")),
    };
    section.table(["person", "values"], each.into_iter().map(|(alias, count)| [alias, count.to_string()]))
}

fn written(about: &Breach, sums: Sums, incidents: &[Incident], exposed: Option<(&str, Exposed)>, made: Time) -> Report {
    let time = |at: Option<Time>, or: &str| at.map_or_else(|| or.to_owned(), |at| at.to_string());
    let count: u64 = sums.sent.values().sum();
    let nature = Section::new("Nature of the breach (Article 33(3)(a))").table(
        ["what", "value"],
        [
            ["From".into(), time(about.from, "the beginning of the access log")],
            ["To".into(), time(about.to, "now")],
            ["Recipient".into(), about.upstream.clone().unwrap_or_else(|| "all".to_owned())],
            ["Persons concerned, at most".into(), sums.subjects.len().to_string()],
            ["Exchanges concerned".into(), sums.exchanges.to_string()],
            ["Of these without an end (they go on, or broke off with a process)".into(), sums.unfinished.to_string()],
            ["Records (values that were replaced)".into(), count.to_string()],
        ],
    );
    let looks = sums
        .looks
        .into_iter()
        .map(|((actor, action), (times, values))| [actor, action.to_owned(), times.to_string(), values.to_string()]);
    let cases = incidents.iter().map(|incident| {
        let state = serde_json::to_value(incident.state).ok();
        let state = state.and_then(|state| state.as_str().map(str::to_owned)).unwrap_or_default();
        [incident.id.clone(), incident.opened.to_string(), incident.due.to_string(), state, incident.summary.clone()]
    });
    let measures = incidents.iter().flat_map(|incident| {
        let done = incident.history.iter();
        done.map(|entry| [incident.id.clone(), entry.at.to_string(), entry.by.clone(), entry.text.clone()])
    });
    let report = Report::new("Personal data breach (GDPR Articles 33 and 34)", made.to_string()).with(nature);
    let report = match exposed {
        Some((key, exposed)) => report.with(of_key(key, exposed)),
        None => report,
    };
    report
        .with(
            Section::new("Categories of data")
                .table(["entity", "values"], sums.sent.into_iter().map(|(entity, count)| [entity, count.to_string()])),
        )
        .with(Section::new("Recipients").says("They were sent what stands in for these values, and what routes keep or pass uninspected as it was.").table(
            ["recipient", "values replaced"],
            sums.by_recipient.into_iter().map(|(who, count)| [who, count.to_string()]),
        ))
        .with(Section::new("Who looked").table(["who", "what", "how often", "values and other items"], looks))
        .with(Section::new("Incidents").table(["id", "known since", "authority by", "state", "summary"], cases))
        .with(Section::new("Measures (Article 33(3)(d))").table(["incident", "when", "by", "what"], measures))
        .with(
            Section::new("To be completed by the company")
                .says("Contact of the data protection officer (Article 33(3)(b)).")
                .says("Likely consequences (Article 33(3)(c)).")
                .says("Whether the risk to persons is high, so that they must be told (Article 34)."),
        )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audit::{Look, Options, Place};
    use crate::entity::Entity;
    use crate::report::Format;
    use crate::vault::{Key, VaultUrl};

    #[tokio::test]
    async fn it_counts_persons_and_values_of_a_recipient() {
        let vault = Vault::open(&VaultUrl::Memory, Key::generate(), crate::vault::Options::default()).await.unwrap();
        let (audit, register) = (Audit::open(&vault, Options::default()).await.unwrap(), Register::new(&vault));
        for (subject, recipient, count) in [("ana", "eu", 2), ("ana", "eu", 1), ("eve", "eu", 4), ("bob", "us", 8)] {
            let place = Place { route: "/".into(), recipient: recipient.into(), ..Place::default() };
            let subject = vault.subject("default", subject).await.unwrap();
            let line = audit.recorder().begin(&Arc::new(place), "r", Some(subject)).unwrap();
            line.tokenized(Entity::constant("EMAIL"), count);
        }
        audit.record(Look { actor: "operator:anna".into(), action: Action::Show, ..Look::default() }).await.unwrap();
        register.open("operator:anna", "A laptop is lost.", None).await.unwrap();
        let about = Breach { upstream: Some("eu".into()), key: Some("k1".into()), ..Breach::default() };
        let text = breach(&vault, &audit, &register, &about, Time(0)).await.unwrap().write(Format::Markdown);
        for says in [
            "at most | 2 |",
            "| EMAIL | 7 |",
            "| eu | 7 |",
            "A laptop is lost.",
            "wrapped by the key k1: it opens nothing but copies",
            "Exchanges concerned | 3 |",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
        let all = breach(&vault, &audit, &register, &Breach::default(), Time(0)).await.unwrap().write(Format::Markdown);
        assert!(all.contains("at most | 3 |") && all.contains("| operator:anna | show | 1 | 0 |"), "{all}");
        let past = Breach { to: Some(Time(1)), ..Breach::default() };
        let none = breach(&vault, &audit, &register, &past, Time(0)).await.unwrap().write(Format::Markdown);
        assert!(none.contains("at most | 0 |") && !none.contains("laptop"), "{none}");
        // Nothing is told of what nobody can have meant.
        let refused = async |about: Breach| {
            breach(&vault, &audit, &register, &about, Time(0))
                .await
                .map(|report| report.write(Format::Markdown))
                .unwrap_err()
        };
        let unknown = refused(Breach { upstream: Some("uk".into()), ..Breach::default() }).await.to_string();
        assert!(unknown.contains("`eu`, `us`"), "{unknown}");
        let backwards = refused(Breach { from: Some(Time(2)), to: Some(Time(1)), ..Breach::default() }).await;
        assert!(matches!(backwards, BreachError::Backwards));
        let unused = Breach { upstream: Some("uk".into()), is_configured: true, ..Breach::default() };
        let unused = breach(&vault, &audit, &register, &unused, Time(0)).await.unwrap().write(Format::Markdown);
        assert!(unused.contains("at most | 0 |"), "{unused}");
    }

    #[tokio::test]
    async fn what_broke_off_counts_as_much_as_it_may_have_shown() {
        let vault = Vault::open(&VaultUrl::Memory, Key::generate(), crate::vault::Options::default()).await.unwrap();
        let (audit, register) = (Audit::open(&vault, Options::default()).await.unwrap(), Register::new(&vault));
        let place = Arc::new(Place { route: "/".into(), recipient: "eu".into(), ..Place::default() });
        let email = Entity::constant("EMAIL");
        let mut open = Vec::new();
        for (id, subject) in [("r1", "ana"), ("r2", "eve")] {
            let subject = vault.subject("default", subject).await.unwrap();
            let line = audit.recorder().begin(&place, id, Some(subject)).unwrap();
            line.tokenized(email, 3);
            line.restored(email);
            line.shown().await.unwrap();
            open.push(line);
        }
        drop(open.pop());
        audit.record(Look { actor: "operator:anna".into(), action: Action::Show, ..Look::default() }).await.unwrap();
        let all = breach(&vault, &audit, &register, &Breach::default(), Time(0)).await.unwrap().write(Format::Markdown);
        for says in
            ["at most | 2 |", "Exchanges concerned | 2 |", "with a process) | 1 |", "| EMAIL | 6 |", "| eu | 6 |"]
        {
            assert!(all.contains(says), "{says}: {all}");
        }
        // One that ends after the time that is asked for counts as much.
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let before_its_end = Breach { to: Some(Time::now()), ..Breach::default() };
        drop(open);
        audit.record(Look { actor: "operator:anna".into(), action: Action::Show, ..Look::default() }).await.unwrap();
        let then = breach(&vault, &audit, &register, &before_its_end, Time(0)).await.unwrap();
        let then = then.write(Format::Markdown);
        assert!(then.contains("Exchanges concerned | 2 |"), "{then}");
    }

    #[tokio::test]
    async fn a_key_that_others_know_lists_whom_it_concerns() {
        let folder = tempfile::tempdir().unwrap();
        let url = VaultUrl::Embedded(folder.path().to_owned());
        let vault = Vault::open(&url, Key::generate(), crate::vault::Options::default()).await.unwrap();
        let (audit, register) = (Audit::open(&vault, Options::default()).await.unwrap(), Register::new(&vault));
        let email = Entity::constant("EMAIL");
        let ana = vault.subject("default", "ana").await.unwrap();
        ana.tokenize(&[(email, "ana@example.com"), (email, "ana@example.org")]).await.unwrap();
        let about = Breach { key: Some(vault.key_id().to_string()), ..Breach::default() };
        let text = breach(&vault, &audit, &register, &about, Time(0)).await.unwrap().write(Format::Markdown);
        assert!(text.contains("can read 2 values of 1 persons (EMAIL: 2)."), "{text}");
        assert!(text.contains(&format!("| {} | 2 |", ana.alias())) && !text.contains("not listed"), "{text}");
        assert!(!text.contains("ana"), "{text}");
    }
}
