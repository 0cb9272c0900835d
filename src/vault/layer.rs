//! Which values are in the second layer, under keys of their own.

use crate::entity::Entity;
use std::collections::BTreeSet;

/// What harms a person most where it gets out: data of GDPR Articles 9 and 10,
/// money, the numbers of states, secrets.
const SENSITIVE: [Entity; 14] = [
    Entity::constant("BANK_ACCOUNT"),
    Entity::constant("BIOMETRIC_DATA"),
    Entity::constant("CREDIT_CARD"),
    Entity::constant("CRIMINAL_RECORD"),
    Entity::constant("ETHNICITY"),
    Entity::constant("GENETIC_DATA"),
    Entity::constant("HEALTH"),
    Entity::constant("IBAN"),
    Entity::constant("NATIONAL_ID"),
    Entity::constant("POLITICAL_OPINION"),
    Entity::constant("RELIGION"),
    Entity::constant("SECRET"),
    Entity::constant("SEXUAL_ORIENTATION"),
    Entity::constant("UNION_MEMBERSHIP"),
];

/// The entities whose values are in the second layer, whatever the rules say.
/// Rules with `sensitive = true` add theirs.
pub fn sensitive_entities() -> BTreeSet<Entity> {
    SENSITIVE.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Engine, RuleSet};

    #[test]
    fn what_built_in_rules_call_sensitive_is_here() {
        let rules = RuleSet::builtin().unwrap();
        let engine = Engine::compile(&rules).unwrap();
        let marked: BTreeSet<Entity> = engine.rules().filter(|rule| rule.sensitive).map(|rule| rule.entity).collect();
        assert!(marked.len() >= 9, "{marked:?}");
        assert!(marked.is_subset(&sensitive_entities()), "{marked:?}");
        assert_eq!(sensitive_entities().len(), SENSITIVE.len());
    }
}
