//! The metrics of the data path, each series looked up once.

use crate::detect::{Engine, RuleId, Scratch};
use crate::entity::Entity;
use crate::telemetry::{EntityCounters, Metrics, MetricsError, RouteMetrics, RuleMetrics, Stage, VaultOperation};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the data path counts.
pub(super) struct Watch {
    pub(super) metrics: Arc<Metrics>,
    /// In the order of the engine's rules.
    rules: Vec<RuleMetrics>,
    sensitive: Vec<bool>,
    restored: EntityCounters,
    /// Requests that no route covers.
    no_route: RouteMetrics,
}

impl Watch {
    pub(super) fn new(metrics: Arc<Metrics>, engine: &Engine) -> Result<Self, MetricsError> {
        metrics.set_rules_version(engine.version())?;
        let rules = engine.rules().map(|rule| metrics.rule(rule.entity, &rule.id)).collect::<Result<_, _>>()?;
        let sensitive = engine.rules().map(|rule| rule.sensitive).collect();
        let restored = metrics.restored(engine.rules().map(|rule| rule.entity))?;
        let no_route = metrics.route("none")?;
        Ok(Self { metrics, rules, sensitive, restored, no_route })
    }

    pub(super) fn route(&self, path: &str) -> Result<RouteMetrics, MetricsError> {
        self.metrics.route(path)
    }

    pub(super) fn no_route(&self) -> &RouteMetrics {
        &self.no_route
    }

    pub(super) fn found_in_request(&self, rule: Option<RuleId>) {
        if let Some(series) = rule.and_then(|rule| self.rules.get(rule.index())) {
            series.request.inc();
        }
    }

    pub(super) fn found_in_reply(&self, rule: RuleId) {
        if let Some(series) = self.rules.get(rule.index()) {
            series.reply.inc();
        }
    }

    /// Counts what rules in shadow found in requests. Whether something of it
    /// is sensitive.
    pub(super) fn found_in_shadow(&self, scratch: &mut Scratch) -> bool {
        let mut is_sensitive = false;
        scratch.drain_shadow(|rule, count| {
            if let Some(series) = self.rules.get(rule.index()) {
                series.request.inc_by(count);
            }
            is_sensitive |= self.is_sensitive(rule);
        });
        is_sensitive
    }

    /// Whether the rule finds data of special categories (GDPR Article 9).
    pub(super) fn is_sensitive(&self, rule: RuleId) -> bool {
        self.sensitive.get(rule.index()).copied().unwrap_or(false)
    }

    pub(super) fn restored(&self, entity: Entity) {
        self.restored.count(entity, 1);
    }

    pub(super) fn took(&self, stage: Stage, time: Duration) {
        self.metrics.observe(stage, time);
    }

    /// A stage ends now that began at `since`, which is now from then on.
    pub(super) fn ends(&self, stage: Stage, since: &mut Instant) {
        let began = std::mem::replace(since, Instant::now());
        self.took(stage, since.duration_since(began));
    }

    /// Counts an operation of the vault by its result, and passes that on.
    pub(super) fn vault<T, E>(&self, operation: VaultOperation, result: Result<T, E>) -> Result<T, E> {
        self.metrics.vault_operation(operation, result.is_ok());
        result
    }
}
