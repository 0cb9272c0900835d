//! Every metric of Privet, declared in one place.
//!
//! The label values are known before the first request: enums of `labels` and
//! names of the configuration. Handles to their series are made once, so that
//! counting is one atomic addition, and series exist (as 0) from the start,
//! so that alerts can be written on them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::labels::{Direction, Inspected, Login, Outcome, Stage, VaultOperation};
use crate::config::Expiry;
use crate::entity::Entity;
use crate::incident::Rule;
use crate::problem::ProblemKind;

/// The metrics cannot be declared, which is a fault of this file.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be declared: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// All metrics of a process. Made once and shared.
#[derive(Debug)]
pub struct Metrics {
    /// Requests whose reply is not complete. Raise it by [`Held`].
    pub in_flight_requests: IntGauge,
    /// Bytes of request bodies in memory. Raise it by [`Held`].
    pub body_bytes_in_flight: IntGauge,
    /// Bytes of requests that no rule looked at: pictures, sound, and what
    /// routes let pass.
    pub uninspected_bytes: IntCounter,
    /// Tokens in replies that are whole and not the subject's.
    pub unknown_tokens: IntCounter,
    /// The same in requests.
    pub unknown_tokens_sent: IntCounter,
    /// Whether the clock jumped, so that retention waits.
    pub clock_doubted: IntGauge,
    cases_due: Vec<IntGauge>,
    /// Panics, for [`catch_panics`](super::catch_panics).
    pub panics: IntCounter,
    registry: Registry,
    requests: IntCounterVec,
    findings: IntCounterVec,
    coverage: IntCounterVec,
    restored: IntCounterVec,
    consent_denied: IntCounterVec,
    rules: IntGaugeVec,
    stages: [Histogram; Stage::ALL.len()],
    vault: Vec<[IntCounter; 2]>,
    last_backup: IntGauge,
    backups: [IntCounter; 2],
    forgotten: IntCounterVec,
    /// Transcripts that were kept.
    pub transcripts_kept: IntCounter,
    /// Transcripts that were dropped.
    pub transcripts_dropped: IntCounter,
    rejected: Vec<IntCounter>,
    logins: Vec<IntCounter>,
    alerts: Vec<IntCounter>,
}

impl Metrics {
    /// Declares all metrics in a registry of their own, together with those of
    /// the process (CPU, memory, file descriptors) where the system has them.
    pub fn new() -> Result<Arc<Self>, MetricsError> {
        let r = Registry::new();
        #[cfg(target_os = "linux")]
        r.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;

        let build = gauges(&r, "privet_build_info", "The version at work; always 1.", &["version", "os", "arch"])?;
        build
            .get_metric_with_label_values(&[env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH])?
            .set(1);

        let seconds = HistogramVec::new(
            HistogramOpts::new("privet_stage_seconds", "Time that a stage of a request took.")
                .buckets(STAGE_BUCKETS.to_vec()),
            &["stage"],
        )?;
        let stages = all(&seconds, &Stage::ALL.map(Stage::as_str))?;
        let stages = stages.try_into().map_err(|_| prometheus::Error::AlreadyReg)?;
        register(&r, seconds)?;

        let operations = counters(&r, "privet_vault_operations_total", "Operations of the vault.", &["op", "result"])?;
        let vault = VaultOperation::ALL
            .iter()
            .map(|op| {
                Ok([
                    operations.get_metric_with_label_values(&[op.as_str(), "ok"])?,
                    operations.get_metric_with_label_values(&[op.as_str(), "error"])?,
                ])
            })
            .collect::<Result<_, prometheus::Error>>()?;

        let backups =
            counters(&r, "privet_backups_total", "Scheduled backups that were made and tested.", &["result"])?;
        let backups =
            [backups.get_metric_with_label_values(&["ok"])?, backups.get_metric_with_label_values(&["error"])?];

        let forgotten = counters(
            &r,
            "privet_retention_forgotten_total",
            "Values that were kept long enough and forgotten.",
            &["action"],
        )?;
        all(&forgotten, Expiry::WORDS)?;

        let unknown = counters(
            &r,
            "privet_unknown_tokens_total",
            "Tokens, and text that looks like one, that are not the subject's.",
            &["direction"],
        )?;

        let rejected = counters(&r, "privet_rejected_total", "Requests answered by a problem document.", &["problem"])?;
        let rejected = all(&rejected, &ProblemKind::ALL.iter().map(|k| k.name()).collect::<Vec<_>>())?;

        let logins = counters(&r, "privet_logins_total", "Log-ins to the admin API by how they ended.", &["result"])?;
        let logins = all(&logins, &Login::ALL.map(Login::as_str))?;

        let alerts = counters(&r, "privet_alerts_total", "Alarms by the rule that raised them.", &["rule"])?;
        let alerts = all(&alerts, &Rule::ALL.map(Rule::as_str))?;
        let transcripts = counters(
            &r,
            "privet_transcripts_total",
            "Redacted transcripts that were kept, and that were dropped because they came too fast or could not be written.",
            &["result"],
        )?;
        let cases = gauges(&r, "privet_cases_due", "Open cases of persons by how soon they are due.", &["state"])?;
        let cases_due = all(&cases, &["open", "soon", "overdue"])?;

        Ok(Arc::new(Self {
            cases_due,
            transcripts_kept: transcripts.get_metric_with_label_values(&["kept"])?,
            transcripts_dropped: transcripts.get_metric_with_label_values(&["dropped"])?,
            in_flight_requests: gauge(&r, "privet_in_flight_requests", "Requests whose reply is not complete.")?,
            body_bytes_in_flight: gauge(&r, "privet_body_bytes_in_flight", "Bytes of request bodies in memory.")?,
            uninspected_bytes: counter(
                &r,
                "privet_uninspected_bytes_total",
                "Bytes of requests that no rule looked at, such as pictures.",
            )?,
            unknown_tokens: unknown.get_metric_with_label_values(&[Direction::Reply.as_str()])?,
            unknown_tokens_sent: unknown.get_metric_with_label_values(&[Direction::Request.as_str()])?,
            clock_doubted: gauge(
                &r,
                "privet_retention_clock_doubted",
                "Whether the clock jumped, so that retention waits for a person.",
            )?,
            last_backup: gauge(
                &r,
                "privet_backup_last_success_timestamp_seconds",
                "When the last backup was made that passed its test; 0 for none.",
            )?,
            backups,
            forgotten,
            panics: counter(&r, "privet_panics_total", "Panics; each is a fault of Privet.")?,
            requests: counters(&r, "privet_requests_total", "Requests by how they ended.", &["route", "outcome"])?,
            findings: counters(
                &r,
                "privet_findings_total",
                "Findings by the rule that made them.",
                &["entity", "rule", "direction"],
            )?,
            coverage: counters(
                &r,
                "privet_body_bytes_total",
                "Bytes of texts in request bodies by what became of them.",
                &["route", "state"],
            )?,
            restored: counters(&r, "privet_restored_total", "Tokens replaced by their values.", &["entity"])?,
            consent_denied: counters(
                &r,
                "privet_consent_denied_total",
                "Purposes that a request had no consent for.",
                &["purpose"],
            )?,
            rules: gauges(&r, "privet_rules_info", "The rule set at work; always 1.", &["version"])?,
            registry: r,
            stages,
            vault,
            rejected,
            logins,
            alerts,
        }))
    }

    /// A backup was made at this time (Unix seconds), and passed its test.
    pub fn backup_made(&self, at: u64) {
        self.last_backup.set(i64::try_from(at).unwrap_or(i64::MAX));
        self.backups[0].inc();
    }

    /// The last good backup that was there at the start.
    pub fn backup_found(&self, at: u64) {
        self.last_backup.set(i64::try_from(at).unwrap_or(i64::MAX));
    }

    /// No backup could be made, or it did not pass its test.
    pub fn backup_failed(&self) {
        self.backups[1].inc();
    }

    /// Values were forgotten.
    pub fn forgotten(&self, action: Expiry, values: u64) {
        if let Ok(series) = self.forgotten.get_metric_with_label_values(&[action.as_str()]) {
            series.inc_by(values);
        }
    }

    /// How many cases of persons have time, are due soon, and are overdue.
    pub fn set_cases_due(&self, counts: [u64; 3]) {
        for (gauge, count) in self.cases_due.iter().zip(counts) {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The series of a route, by its path in the configuration.
    pub fn route(&self, path: &str) -> Result<RouteMetrics, MetricsError> {
        let outcomes = Outcome::ALL
            .iter()
            .map(|o| self.requests.get_metric_with_label_values(&[path, o.as_str()]))
            .collect::<Result<_, _>>()?;
        Ok(RouteMetrics { outcomes })
    }

    /// How much of the bodies of a route was looked at: one series a state.
    pub fn coverage(&self, path: &str) -> Result<[IntCounter; Inspected::ALL.len()], MetricsError> {
        let series = Inspected::ALL
            .iter()
            .map(|state| self.coverage.get_metric_with_label_values(&[path, state.as_str()]))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(series.try_into().map_err(|_| prometheus::Error::AlreadyReg)?)
    }

    /// The series of a rule, by its id.
    pub fn rule(&self, entity: Entity, rule: &str) -> Result<RuleMetrics, MetricsError> {
        let series = |d: Direction| self.findings.get_metric_with_label_values(&[entity.as_str(), rule, d.as_str()]);
        Ok(RuleMetrics { request: series(Direction::Request)?, reply: series(Direction::Reply)? })
    }

    /// The series of restored tokens of these entities; all others are counted
    /// together as `OTHER`.
    pub fn restored(&self, entities: impl IntoIterator<Item = Entity>) -> Result<EntityCounters, MetricsError> {
        let mut known = entities
            .into_iter()
            .map(|e| Ok((e, self.restored.get_metric_with_label_values(&[e.as_str()])?)))
            .collect::<Result<Vec<_>, prometheus::Error>>()?;
        known.sort_unstable_by_key(|(e, _)| *e);
        known.dedup_by_key(|(e, _)| *e);
        let other = self.restored.get_metric_with_label_values(&["OTHER"])?;
        Ok(EntityCounters { known, other })
    }

    /// The series of a purpose, by its name in the configuration.
    pub fn consent_denied(&self, purpose: &str) -> Result<IntCounter, MetricsError> {
        Ok(self.consent_denied.get_metric_with_label_values(&[purpose])?)
    }

    /// Names the rule set that is at work from now on.
    pub fn set_rules_version(&self, version: &str) -> Result<(), MetricsError> {
        self.rules.reset();
        self.rules.get_metric_with_label_values(&[version])?.set(1);
        Ok(())
    }

    /// Adds a time to a stage.
    pub fn observe(&self, stage: Stage, took: Duration) {
        let [scan, vault, upstream, restore] = &self.stages;
        let histogram = match stage {
            Stage::Scan => scan,
            Stage::Vault => vault,
            Stage::Upstream => upstream,
            Stage::Restore => restore,
        };
        histogram.observe(took.as_secs_f64());
    }

    /// Counts an operation of the vault by whether it was done.
    pub fn vault_operation(&self, operation: VaultOperation, done: bool) {
        if let Some([ok, error]) = self.vault.get(operation as usize) {
            if done { ok.inc() } else { error.inc() }
        }
    }

    /// Counts an alarm of a rule.
    pub fn alert(&self, rule: Rule) {
        if let Some(count) = self.alerts.get(rule as usize) {
            count.inc();
        }
    }

    /// Tokens so far that were not the subject's.
    pub fn unknown_tokens_seen(&self) -> u64 {
        self.unknown_tokens.get() + self.unknown_tokens_sent.get()
    }

    /// Log-ins so far that were refused.
    pub fn logins_refused(&self) -> u64 {
        [Login::Refused, Login::Limited]
            .iter()
            .filter_map(|login| self.logins.get(*login as usize))
            .map(IntCounter::get)
            .sum()
    }

    /// Counts a log-in to the admin API.
    pub fn login(&self, login: Login) {
        if let Some(count) = self.logins.get(login as usize) {
            count.inc();
        }
    }

    /// Counts a request that was answered by a problem document.
    pub fn rejected(&self, problem: ProblemKind) {
        if let Some(count) = self.rejected.get(problem.index()) {
            count.inc();
        }
    }

    /// All series in the text format 0.0.4 of Prometheus.
    pub fn encode(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

/// The series of one route.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    outcomes: Vec<IntCounter>,
}

impl RouteMetrics {
    /// Counts one request of the route.
    pub fn count(&self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get(outcome as usize) {
            count.inc();
        }
    }
}

/// The series of one rule.
#[derive(Clone, Debug)]
pub struct RuleMetrics {
    /// Findings on the way to the upstream.
    pub request: IntCounter,
    /// Findings on the way to the client.
    pub reply: IntCounter,
}

/// One counter an entity.
#[derive(Clone, Debug)]
pub struct EntityCounters {
    known: Vec<(Entity, IntCounter)>,
    other: IntCounter,
}

impl EntityCounters {
    /// Counts `n` of an entity.
    pub fn count(&self, entity: Entity, n: u64) {
        match self.known.binary_search_by_key(&entity, |(e, _)| *e).ok().and_then(|i| self.known.get(i)) {
            Some((_, count)) => count.inc_by(n),
            None => self.other.inc_by(n),
        }
    }
}

/// A share of a gauge, given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    gauge: IntGauge,
    amount: i64,
}

impl Held {
    /// Raises the gauge by `amount`.
    pub fn new(gauge: &IntGauge, amount: usize) -> Self {
        let mut held = Self { gauge: gauge.clone(), amount: 0 };
        held.set(amount);
        held
    }

    /// Makes `amount` of what is held.
    pub fn set(&mut self, amount: usize) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        // Most chunks of a stream hold nothing before and after.
        if amount != self.amount {
            self.gauge.add(amount.saturating_sub(self.amount));
            self.amount = amount;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Seconds: from a scan of a line (5 us) to a long reply (60 s).
const STAGE_BUCKETS: [f64; 22] = [
    5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    register(registry, IntCounter::new(name, help)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    register(registry, IntGauge::new(name, help)?)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

/// The series of a metric with one label, in the order of `values`.
fn all<T: MetricVecBuilder>(metric: &MetricVec<T>, values: &[&str]) -> Result<Vec<T::M>, prometheus::Error> {
    values.iter().map(|v| metric.get_metric_with_label_values(&[v])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(text: &'a str, series: &str) -> Option<&'a str> {
        text.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' '))
    }

    #[test]
    fn series_exist_from_the_start() {
        let metrics = Metrics::new().unwrap();
        metrics.route("/v1").unwrap();
        metrics.rule(Entity::constant("EMAIL"), "email").unwrap();
        metrics.restored([Entity::constant("EMAIL")]).unwrap();
        metrics.consent_denied("support").unwrap();
        metrics.set_rules_version("abc").unwrap();
        let text = metrics.encode().unwrap();
        for series in [
            "privet_requests_total{outcome=\"forwarded\",route=\"/v1\"}",
            "privet_requests_total{outcome=\"client_gone\",route=\"/v1\"}",
            "privet_findings_total{direction=\"request\",entity=\"EMAIL\",rule=\"email\"}",
            "privet_findings_total{direction=\"reply\",entity=\"EMAIL\",rule=\"email\"}",
            "privet_restored_total{entity=\"EMAIL\"}",
            "privet_restored_total{entity=\"OTHER\"}",
            "privet_consent_denied_total{purpose=\"support\"}",
            "privet_stage_seconds_count{stage=\"scan\"}",
            "privet_stage_seconds_bucket{stage=\"restore\",le=\"0.000005\"}",
            "privet_stage_seconds_bucket{stage=\"upstream\",le=\"60\"}",
            "privet_vault_operations_total{op=\"tokenize\",result=\"error\"}",
            "privet_in_flight_requests",
            "privet_unknown_tokens_total{direction=\"reply\"}",
            "privet_unknown_tokens_total{direction=\"request\"}",
            "privet_rejected_total{problem=\"consent-required\"}",
            "privet_body_bytes_in_flight",
            "privet_uninspected_bytes_total",
            "privet_panics_total",
            "privet_alerts_total{rule=\"chain-broken\"}",
            "privet_logins_total{result=\"refused\"}",
        ] {
            assert_eq!(line(&text, series), Some("0"), "{series}");
        }
        assert_eq!(line(&text, "privet_rules_info{version=\"abc\"}"), Some("1"));
        assert!(text.contains("privet_build_info{arch="), "{text}");
        assert!(text.contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")), "{text}");
        #[cfg(target_os = "linux")]
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn each_value_counts_in_its_own_series() {
        let metrics = Metrics::new().unwrap();
        let route = metrics.route("/").unwrap();
        for (n, outcome) in Outcome::ALL.iter().enumerate() {
            (0..=n).for_each(|_| route.count(*outcome));
        }
        for (n, problem) in ProblemKind::ALL.iter().enumerate() {
            (0..=n).for_each(|_| metrics.rejected(*problem));
        }
        for (n, op) in VaultOperation::ALL.iter().enumerate() {
            (0..=n).for_each(|_| metrics.vault_operation(*op, true));
            (0..n).for_each(|_| metrics.vault_operation(*op, false));
        }
        for (n, stage) in Stage::ALL.iter().enumerate() {
            (0..=n).for_each(|_| metrics.observe(*stage, Duration::from_micros(30)));
        }
        let text = metrics.encode().unwrap();
        for (n, o) in Outcome::ALL.iter().enumerate() {
            let series = format!("privet_requests_total{{outcome=\"{}\",route=\"/\"}}", o.as_str());
            assert_eq!(line(&text, &series), Some(&*(n + 1).to_string()), "{series}");
        }
        for (n, p) in ProblemKind::ALL.iter().enumerate() {
            let series = format!("privet_rejected_total{{problem=\"{}\"}}", p.name());
            assert_eq!(line(&text, &series), Some(&*(n + 1).to_string()), "{series}");
        }
        for (n, op) in VaultOperation::ALL.iter().enumerate() {
            for (result, count) in [("ok", n + 1), ("error", n)] {
                let series = format!("privet_vault_operations_total{{op=\"{}\",result=\"{result}\"}}", op.as_str());
                assert_eq!(line(&text, &series), Some(&*count.to_string()), "{series}");
            }
        }
        for (n, stage) in Stage::ALL.iter().enumerate() {
            for (le, count) in [("0.000025", 0), ("0.00005", n + 1)] {
                let series = format!("privet_stage_seconds_bucket{{stage=\"{}\",le=\"{le}\"}}", stage.as_str());
                assert_eq!(line(&text, &series), Some(&*count.to_string()), "{series}");
            }
        }
    }

    #[test]
    fn entities_that_no_rule_has_are_counted_together() {
        let metrics = Metrics::new().unwrap();
        let [email, person, odd] = ["EMAIL", "PERSON", "ODD"].map(|e| e.parse::<Entity>().unwrap());
        let [ip, url] = ["IP", "URL"].map(|e| e.parse::<Entity>().unwrap());
        let counters = metrics.restored([url, person, ip, email, person]).unwrap();
        counters.count(email, 2);
        counters.count(person, 3);
        counters.count(odd, 4);
        let text = metrics.encode().unwrap();
        for (entity, count) in [("EMAIL", "2"), ("PERSON", "3"), ("OTHER", "4")] {
            assert_eq!(line(&text, &format!("privet_restored_total{{entity=\"{entity}\"}}")), Some(count));
        }
        assert!(!text.contains("ODD"));
    }

    #[test]
    fn a_new_rule_set_replaces_the_old() {
        let metrics = Metrics::new().unwrap();
        metrics.set_rules_version("old").unwrap();
        metrics.set_rules_version("new").unwrap();
        let text = metrics.encode().unwrap();
        assert!(text.contains("privet_rules_info{version=\"new\"} 1") && !text.contains("old"), "{text}");
    }

    #[test]
    fn what_is_held_is_given_back() {
        let gauge = IntGauge::new("held", "Held.").unwrap();
        let mut held = Held::new(&gauge, 5);
        let other = Held::new(&gauge, 2);
        assert_eq!(gauge.get(), 7);
        held.set(1);
        assert_eq!(gauge.get(), 3);
        drop((held, other));
        assert_eq!(gauge.get(), 0);
    }
}
