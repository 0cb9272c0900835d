//! Data of special categories (GDPR Article 9): where a rule that is marked as
//! sensitive finds some, a consent of its own is needed.

use super::error::ProxyError;
use super::gate::{Judged, Presented};
use super::inspect::Located;
use super::{Gateway, Route};
use crate::config::{Config, Purpose};
use crate::detect::{Engine, Plan, State};

/// The purpose that the configuration names for such data. It is of no use
/// where no rule looks for any.
pub(super) fn purpose<'p>(
    config: &Config,
    engine: &Engine,
    mut plans: impl Iterator<Item = &'p Plan>,
) -> Result<Option<Purpose>, String> {
    let Some(name) = &config.consent.special_categories else { return Ok(None) };
    let runs = |plan: &Plan| {
        engine
            .rules()
            .enumerate()
            .any(|(at, rule)| rule.sensitive && plan.state_of(at).is_some_and(|s| s != State::Off))
    };
    if !plans.any(runs) {
        return Err("consent.special_categories: no rule that is marked as sensitive runs; \
                    write packs = [\"sensitive\"] under [detection]"
            .to_owned());
    }
    Ok(config.purpose(name).cloned())
}

/// Whether a request may go on with a way back, where `is_sensitive` says that
/// it holds such data; it is refused where the route does not anonymize.
pub(super) async fn allow(
    is_sensitive: bool,
    judged: &Judged,
    presented: &Presented,
    route: &Route,
    gateway: &Gateway,
) -> Result<bool, ProxyError> {
    match gateway.special.as_ref().filter(|_| is_sensitive) {
        Some(purpose) => judged.allow_also(presented, purpose, route, gateway).await,
        None => Ok(true),
    }
}

/// Whether some of the findings are sensitive.
pub(super) fn is_among<'f>(mut found: impl Iterator<Item = &'f Located>, gateway: &Gateway) -> bool {
    gateway.special.is_some() && found.any(|found| found.rule.is_some_and(|rule| gateway.watch.is_sensitive(rule)))
}
