//! Rules that raise an alarm: a line of the log, a count, and an incident.
//! They see counts and the access log, and no data.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Register;
use crate::audit::{Action, Audit, Line};
use crate::clock::Time;
use crate::config::AlertsConfig;
use crate::rights::{Rights, RightsError};
use crate::telemetry::Metrics;
use crate::vault::VaultError;

/// How often counts are looked at.
const EVERY: Duration = Duration::from_secs(10);
/// How many lines of the access log are read at a time.
const PAGE: usize = 1000;
/// How many pages one look reads: more than a busy gateway writes in between.
const PAGES: usize = 100;
/// How often the whole chain is checked.
const CHAIN_EVERY: u64 = 24 * 3600;
/// Within which time counts are added up, in seconds.
const WINDOW: u64 = 600;
const HOUR: u64 = 3600;
/// Operators that are counted by name at one time.
const ACTORS: usize = 1024;

/// What raises an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// One operator is shown, or gives out, more than usual within an hour.
    MassAccess,
    /// Tokens are tried that are nobody's, or not the subject's.
    UnknownTokens,
    /// Log-ins to the admin API are refused.
    FailedLogins,
    /// The access log is not whole.
    ChainBroken,
    /// Data is given out beyond office hours.
    OutOfHours,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 5] =
        [Self::MassAccess, Self::UnknownTokens, Self::FailedLogins, Self::ChainBroken, Self::OutOfHours];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MassAccess => "mass-access",
            Self::UnknownTokens => "unknown-tokens",
            Self::FailedLogins => "failed-logins",
            Self::ChainBroken => "chain-broken",
            Self::OutOfHours => "out-of-hours",
        }
    }
}

/// An alarm, in words that name operators and no persons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Which rule raised it.
    pub rule: Rule,
    /// What was seen.
    pub says: String,
}

/// Watches. It ends when it is dropped.
#[derive(Debug)]
pub struct Alerts(JoinHandle<()>);

impl Alerts {
    /// Begins to watch on the runtime at hand.
    pub fn start(
        config: AlertsConfig,
        audit: &Audit,
        register: &Register,
        rights: &Arc<Rights>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let (audit, register) = (audit.clone(), register.clone());
        let (rights, metrics) = (Arc::clone(rights), Arc::clone(metrics));
        // What happens before the task first runs counts already.
        let eye = Eye::new(config, metrics.unknown_tokens_seen(), metrics.logins_refused());
        Self(tokio::spawn(async move {
            let mut watch = Watch::begin(eye, audit, Arc::clone(&metrics)).await;
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let now = Time::now();
                for alarm in watch.look(now).await {
                    raise(&alarm, now, &register, &rights, &metrics).await;
                }
            }
        }))
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is looked at, and how far it was looked at before.
struct Watch {
    eye: Eye,
    audit: Audit,
    metrics: Arc<Metrics>,
    /// The last line of the access log that was looked at.
    seen: u64,
    /// When the whole chain was checked, in Unix seconds.
    checked: u64,
}

impl Watch {
    async fn begin(eye: Eye, audit: Audit, metrics: Arc<Metrics>) -> Self {
        let seen = audit.last().await.unwrap_or_default();
        Self { eye, audit, metrics, seen, checked: 0 }
    }

    /// The alarms of what happened since the last look.
    async fn look(&mut self, now: Time) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for _ in 0..PAGES {
            match self.audit.looks(self.seen, PAGE).await {
                Ok((last, lines)) => {
                    alarms.extend(lines.iter().filter_map(|line| self.eye.line(line)));
                    if std::mem::replace(&mut self.seen, last) < last {
                        continue;
                    }
                }
                // The check of the chain says more.
                Err(VaultError::Corrupt { .. }) => self.checked = 0,
                Err(error) => tracing::debug!(%error, "The access log cannot be watched now."),
            }
            break;
        }
        alarms.extend(self.eye.counts(now, self.metrics.unknown_tokens_seen(), self.metrics.logins_refused()));
        if now.0.saturating_sub(self.checked) >= CHAIN_EVERY
            && let Ok(found) = self.audit.verify().await
        {
            self.checked = now.0;
            let broken = |broken| Alarm { rule: Rule::ChainBroken, says: format!("The access log: {broken}.") };
            alarms.extend(found.err().map(broken));
        }
        alarms
    }
}

/// Tells of an alarm, once an hour for each rule, whichever replica saw it.
async fn raise(alarm: &Alarm, now: Time, register: &Register, rights: &Rights, metrics: &Metrics) {
    let rule = alarm.rule.as_str();
    let told = async {
        if !register.is_first(&format!("alarm {rule} {}", now.0 / HOUR)).await? {
            return Ok(false);
        }
        let incident = register.open("gateway", &alarm.says, Some(alarm.rule)).await?;
        rights.tell_alarm(rule, &alarm.says, &incident.id).await?;
        Ok::<_, RightsError>(true)
    };
    match told.await {
        Ok(false) => return,
        Ok(true) => {}
        Err(error) => tracing::error!(%error, "The register of incidents cannot be written, or nobody be told."),
    }
    metrics.alert(alarm.rule);
    tracing::warn!(rule, says = alarm.says, "An alarm was raised.");
}

/// What the rules remember. No clock and no I/O, so that it can be tested.
struct Eye {
    config: AlertsConfig,
    /// What each operator was shown, since when.
    shown: HashMap<String, (u64, u64)>,
    unknown: Meter,
    refused: Meter,
}

impl Eye {
    fn new(config: AlertsConfig, unknown: u64, refused: u64) -> Self {
        Self { config, shown: HashMap::new(), unknown: Meter::new(unknown), refused: Meter::new(refused) }
    }

    /// A line of the access log.
    fn line(&mut self, line: &Line) -> Option<Alarm> {
        let is_look = matches!(line.action, Action::Show | Action::Export | Action::Find | Action::Backup);
        if !is_look || line.actor == "gateway" || line.actor == "subject" {
            return None;
        }
        let hour = line.at.of_day().0;
        if line.action.gives_out()
            && let Some((from, to)) = self.config.office_hours
            && !is_within(hour, u64::from(from), u64::from(to))
        {
            let says = format!("{} gave data out ({}) at {}.", line.actor, line.action.as_str(), line.at);
            return Some(Alarm { rule: Rule::OutOfHours, says });
        }
        if self.shown.len() >= ACTORS {
            self.shown.retain(|_, (since, _)| line.at.0.saturating_sub(*since) < HOUR);
        }
        let (since, count) = self.shown.entry(line.actor.clone()).or_insert((line.at.0, 0));
        if line.at.0.saturating_sub(*since) >= HOUR {
            (*since, *count) = (line.at.0, 0);
        }
        // A look that tells no counts is one look.
        *count += line.entities.values().sum::<u64>().max(1);
        let count = *count;
        (count > self.config.shown_per_hour).then(|| {
            self.shown.remove(&line.actor);
            Alarm { rule: Rule::MassAccess, says: format!("{} was shown {count} values within an hour.", line.actor) }
        })
    }

    /// Counters as they stand now.
    fn counts(&mut self, now: Time, unknown: u64, refused: u64) -> Vec<Alarm> {
        let minutes = WINDOW / 60;
        let unknown = self.unknown.over(now, unknown, self.config.unknown_tokens).map(|count| Alarm {
            rule: Rule::UnknownTokens,
            says: format!("{count} tokens that are not the subject's were tried within {minutes} minutes."),
        });
        let refused = self.refused.over(now, refused, self.config.failed_logins).map(|count| Alarm {
            rule: Rule::FailedLogins,
            says: format!("{count} log-ins were refused within {minutes} minutes."),
        });
        unknown.into_iter().chain(refused).collect()
    }
}

/// Whether an hour lies from one on and before the other, over midnight too.
fn is_within(hour: u64, from: u64, to: u64) -> bool {
    if from <= to { (from..to).contains(&hour) } else { hour >= from || hour < to }
}

/// How far a counter has come within the window.
struct Meter {
    since: u64,
    start: u64,
}

impl Meter {
    fn new(start: u64) -> Self {
        Self { since: 0, start }
    }

    /// The difference, where it is more than `most`.
    fn over(&mut self, now: Time, count: u64, most: u64) -> Option<u64> {
        if now.0.saturating_sub(self.since) >= WINDOW {
            let begun = self.since > 0;
            let before = std::mem::replace(self, Self { since: now.0, start: count });
            let difference = count.saturating_sub(before.start);
            return Some(difference).filter(|difference| begun && *difference > most);
        }
        let difference = count.saturating_sub(self.start);
        (difference > most).then(|| {
            *self = Self { since: now.0, start: count };
            difference
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Look, Options};
    use crate::store::Space;
    use crate::vault::{Expected, Owner, RecordChange, Vault, VaultUrl};

    fn eye() -> Eye {
        let config =
            AlertsConfig { shown_per_hour: 10, unknown_tokens: 5, failed_logins: 3, office_hours: Some((8, 18)) };
        Eye::new(config, 100, 0)
    }

    fn line(actor: &str, action: Action, at: u64, count: u64) -> Line {
        let text = format!(
            r#"{{"seq":1,"at":"{}","actor":"{actor}","action":"{}","entities":{{"EMAIL":{count}}},"prev":""}}"#,
            Time(at),
            action.as_str()
        );
        serde_json::from_str(&text).unwrap()
    }

    const NOON: u64 = 12 * HOUR;

    #[test]
    fn one_operator_who_looks_too_much_is_seen() {
        let mut eye = eye();
        for nth in 0..10 {
            assert_eq!(eye.line(&line("operator:anna", Action::Show, NOON + nth, 1)), None);
            assert_eq!(eye.line(&line(&format!("operator:{nth}"), Action::Show, NOON + nth, 1)), None);
            assert_eq!(eye.line(&line("gateway", Action::Exchange, NOON + nth, 100)), None);
        }
        let alarm = eye.line(&line("operator:anna", Action::Show, NOON + 60, 1)).unwrap();
        assert_eq!(
            (alarm.rule, alarm.says.as_str()),
            (Rule::MassAccess, "operator:anna was shown 11 values within an hour.")
        );
        assert_eq!(eye.line(&line("operator:1", Action::Show, NOON + HOUR + 1, 10)), None, "another hour");
    }

    #[test]
    fn what_is_given_out_at_night_is_seen() {
        let mut eye = eye();
        assert_eq!(eye.line(&line("operator:anna", Action::Export, NOON, 1)), None);
        let alarm = eye.line(&line("operator:anna", Action::Export, 3 * HOUR, 1)).unwrap();
        assert_eq!(alarm.rule, Rule::OutOfHours);
        assert_eq!(eye.line(&line("operator:anna", Action::Show, 3 * HOUR, 1)), None);
        assert!(is_within(23, 22, 6) && is_within(5, 22, 6) && !is_within(6, 22, 6) && !is_within(18, 8, 18));
    }

    #[test]
    fn counters_that_run_away_are_seen() {
        let mut eye = eye();
        assert_eq!(eye.counts(Time(NOON), 100, 0), []);
        assert_eq!(eye.counts(Time(NOON + 10), 105, 3), []);
        let alarms = eye.counts(Time(NOON + 20), 106, 4);
        assert_eq!(
            alarms.iter().map(|alarm| alarm.rule).collect::<Vec<_>>(),
            [Rule::UnknownTokens, Rule::FailedLogins]
        );
        assert_eq!(eye.counts(Time(NOON + 30), 106, 4), [], "told once");
        assert_eq!(eye.counts(Time(NOON + 30 + WINDOW), 110, 4), [], "slowly");
    }

    #[tokio::test]
    async fn a_chain_that_is_broken_is_seen_and_one_that_is_whole_is_not() {
        let key = crate::vault::Key::generate();
        let vault = Vault::open(&VaultUrl::Memory, key, crate::vault::Options::default()).await.unwrap();
        let audit = Audit::open(&vault, Options::default()).await.unwrap();
        for _ in 0..9 {
            audit.record(Look { actor: "operator:anna".into(), ..Look::default() }).await.unwrap();
        }
        let mut watch = Watch::begin(eye(), audit.clone(), Metrics::new().unwrap()).await;
        assert_eq!(watch.look(Time(NOON + CHAIN_EVERY)).await, [], "it is whole");
        let (key, expected) = (5_u64.to_be_bytes(), Expected::Anything);
        let gone = RecordChange { owner: Owner::Deployment, space: Space::Audit, key: &key, expected, value: None };
        assert!(vault.records().write(&[gone], None).await.unwrap());
        assert_eq!(watch.look(Time(NOON + CHAIN_EVERY + 60)).await, [], "it is checked once a day");
        let alarms = watch.look(Time(NOON + 2 * CHAIN_EVERY)).await;
        assert_eq!(alarms.iter().map(|alarm| alarm.rule).collect::<Vec<_>>(), [Rule::ChainBroken]);
        assert!(alarms[0].says.contains("line 5"), "{alarms:?}");
    }

    #[tokio::test]
    async fn a_look_comes_to_the_end_of_a_log_that_grows_fast() {
        let key = crate::vault::Key::generate();
        let vault = Vault::open(&VaultUrl::Memory, key, crate::vault::Options::default()).await.unwrap();
        let audit = Audit::open(&vault, Options::default()).await.unwrap();
        let mut watch = Watch::begin(eye(), audit.clone(), Metrics::new().unwrap()).await;
        for _ in 0..2 * PAGE + 10 {
            audit.record(Look { actor: "gateway".into(), ..Look::default() }).await.unwrap();
        }
        let counts = [("EMAIL".to_owned(), 11)].into();
        let look = Look {
            actor: "operator:anna".into(),
            action: Action::Show,
            entities: counts,
            reason: r#"x","actor":"gateway","tenant":"y"#.into(),
            ..Look::default()
        };
        audit.record(look).await.unwrap();
        let alarms = watch.look(Time(NOON)).await;
        assert_eq!(alarms.iter().map(|alarm| alarm.rule).collect::<Vec<_>>(), [Rule::MassAccess]);
        assert_eq!(watch.seen, audit.last().await.unwrap());
    }

    #[tokio::test]
    async fn each_rule_opens_one_incident_an_hour() {
        let key = crate::vault::Key::generate();
        let vault = Vault::open(&VaultUrl::Memory, key, crate::vault::Options::default()).await.unwrap();
        let config = crate::config::Config::parse("upstream = \"http://bot.example\"").unwrap().config;
        let (register, metrics) = (Register::new(&vault), Metrics::new().unwrap());
        let rights = Rights::new(vault, &config).unwrap();
        for rule in Rule::ALL {
            let alarm = Alarm { rule, says: "It was seen.".to_owned() };
            for at in [NOON, NOON + 60, NOON + HOUR] {
                raise(&alarm, Time(at), &register, &rights, &metrics).await;
            }
        }
        let incidents = register.list(None, 99).await.unwrap();
        for rule in Rule::ALL {
            assert_eq!(incidents.iter().filter(|one| one.rule == Some(rule)).count(), 2, "{rule:?}");
        }
        assert!(metrics.encode().unwrap().contains("privet_alerts_total{rule=\"chain-broken\"} 2\n"));
    }

    #[test]
    fn each_rule_has_one_word() {
        for (nth, rule) in Rule::ALL.iter().enumerate() {
            assert_eq!((serde_json::to_value(rule).unwrap(), *rule as usize), (rule.as_str().into(), nth));
        }
    }
}
