//! Which values have been kept long enough.

use super::Vault;
use crate::config::{Expiry, Keep, Retention};
use crate::entity::Entity;

/// A purpose as records name it: the first bytes of a hash of its name.
pub(super) type PurposeId = [u8; 4];

/// The rules of retention, for one vault.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    entity: Option<Entity>,
    purpose: Option<PurposeId>,
    tenant: Option<[u8; 8]>,
    keep: Keep,
    action: Expiry,
}

/// What retention goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) tenant: [u8; 8],
    pub(super) entity: Entity,
    /// The purpose for which it came first, where that is known.
    pub(super) purpose: Option<PurposeId>,
    /// When it came, in Unix seconds.
    pub(super) created: u64,
}

impl Policy {
    /// The rules of a configuration.
    pub fn new(vault: &Vault, rules: &[Retention]) -> Self {
        let rule = |rule: &Retention| Rule {
            entity: rule.entity,
            purpose: rule.purpose.as_deref().map(purpose_id),
            tenant: rule.tenant.as_deref().map(|tenant| vault.row(tenant, "").tenant),
            keep: rule.keep,
            action: rule.action,
        };
        Self { rules: rules.iter().map(rule).collect() }
    }

    /// Whether anything is ever forgotten.
    pub fn forgets(&self) -> bool {
        self.rules.iter().any(|rule| rule.keep != Keep::UntilErased)
    }

    /// Which rule a value is under, by its place among those of the configuration.
    ///
    /// Of those that fit, the one that names most; of two alike the one that
    /// keeps less. A surrogate's record does not tell the entity that it stands
    /// for, so it is under the shortest of those that fit otherwise.
    pub(super) fn rule_of(&self, kept: &Kept, now: u64) -> Option<usize> {
        let is_surrogate = kept.entity == Entity::SURROGATE;
        let fits = |rule: &Rule| {
            rule.entity.is_none_or(|entity| is_surrogate || entity == kept.entity)
                && rule.tenant.is_none_or(|tenant| tenant == kept.tenant)
                && rule.purpose.is_none_or(|purpose| Some(purpose) == kept.purpose)
        };
        let named = |rule: &Rule| {
            [rule.entity.is_some(), rule.tenant.is_some(), rule.purpose.is_some()].into_iter().filter(|is| *is).count()
        };
        let fitting = self.rules.iter().enumerate().filter(|(_, rule)| fits(rule));
        let best = fitting.max_by_key(|(_, rule)| (if is_surrogate { 0 } else { named(rule) }, rule.keep.cutoff(now)));
        best.map(|(place, _)| place)
    }

    /// What is to be done with a value at `now`, if anything.
    pub(super) fn due(&self, kept: &Kept, now: u64) -> Option<Expiry> {
        let rule = self.rules.get(self.rule_of(kept, now)?)?;
        let is_due = kept.created < rule.keep.cutoff(now);
        // Without its value a surrogate is a name like any other.
        let action = if kept.entity == Entity::SURROGATE { Expiry::Delete } else { rule.action };
        is_due.then_some(action)
    }
}

/// The id of a purpose.
pub(super) fn purpose_id(name: &str) -> PurposeId {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const EMAIL: Entity = Entity::constant("EMAIL");
    const PHONE: Entity = Entity::constant("PHONE");

    fn rule(entity: Option<Entity>, purpose: Option<&str>, tenant: Option<u8>, days: u64) -> Rule {
        Rule {
            entity,
            purpose: purpose.map(purpose_id),
            tenant: tenant.map(|tenant| [tenant; 8]),
            keep: if days == 0 { Keep::UntilErased } else { Keep::Seconds(days * DAY) },
            action: if days == 5 { Expiry::Anonymize } else { Expiry::Delete },
        }
    }

    #[test]
    fn the_rule_that_names_most_holds() {
        let policy = Policy {
            rules: vec![
                rule(None, None, None, 90),
                rule(Some(EMAIL), None, None, 30),
                rule(Some(EMAIL), Some("support"), None, 60),
                rule(None, None, Some(7), 5),
                rule(Some(PHONE), None, None, 0),
            ],
        };
        let now = 1000 * DAY;
        let due = |entity, purpose: Option<&str>, tenant, days| {
            let purpose = purpose.map(purpose_id);
            policy.due(&Kept { tenant: [tenant; 8], entity, purpose, created: now - days * DAY - 1 }, now)
        };
        let ip = Entity::constant("IP");
        for (entity, purpose, tenant, days, expected) in [
            (ip, None, 1, 90, Some(Expiry::Delete)),
            (ip, None, 1, 89, None),
            (EMAIL, None, 1, 30, Some(Expiry::Delete)),
            (EMAIL, None, 1, 29, None),
            (EMAIL, Some("support"), 1, 59, None),
            (EMAIL, Some("support"), 1, 60, Some(Expiry::Delete)),
            (EMAIL, Some("other"), 1, 30, Some(Expiry::Delete)),
            // Entity and tenant name equally much: the shorter holds.
            (EMAIL, None, 7, 5, Some(Expiry::Anonymize)),
            (PHONE, None, 1, 999, None),
            (Entity::SURROGATE, None, 1, 30, Some(Expiry::Delete)),
            (Entity::SURROGATE, None, 1, 29, None),
            (Entity::SURROGATE, None, 7, 5, Some(Expiry::Delete)),
        ] {
            assert_eq!(due(entity, purpose, tenant, days), expected, "{entity} {purpose:?} {tenant} {days}");
        }
        let nothing = Policy { rules: Vec::new() };
        assert_eq!(nothing.due(&Kept { tenant: [1; 8], entity: EMAIL, purpose: None, created: 0 }, u64::MAX), None);
        assert!(policy.forgets() && !nothing.forgets());
    }
}
