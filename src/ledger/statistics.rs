//! How many have agreed to what: counts over all statements of a time.

use super::journal;
use super::statement::Act;
use crate::store::Row;
use crate::vault::{Records, VaultError};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// How many statements are read at a time.
const PAGE: usize = 1000;

/// Counts of statements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Statistics {
    /// All of them.
    pub statements: u64,
    /// The persons who made them.
    pub subjects: u64,
    /// By purpose.
    pub purposes: BTreeMap<String, Counts>,
    /// By how they came.
    pub channels: BTreeMap<String, u64>,
    /// By the version of the notice, of those that name one.
    pub policies: BTreeMap<String, u64>,
}

/// What was said of a purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Given, so that it stands.
    pub given: u64,
    /// Given for a request.
    pub given_for_requests: u64,
    /// Refused.
    pub refused: u64,
    /// Withdrawn, or objected to.
    pub withdrawn: u64,
}

impl Statistics {
    /// Of the statements of a tenant that were recorded in a time (Unix seconds).
    pub async fn count(records: &Records, tenant: &str, time: Range<u64>) -> Result<Self, VaultError> {
        let mut all = Self::default();
        let mut subjects: HashSet<Row> = HashSet::new();
        // No key of that second is as short.
        let mut after = time.start.to_be_bytes().to_vec();
        loop {
            let page = journal(records, tenant, Some(&after), PAGE).await?;
            for (_, row, statement) in &page {
                if statement.time >= time.end {
                    break;
                }
                subjects.insert(*row);
                all.add(statement);
            }
            match page.last() {
                Some((key, _, last)) if page.len() == PAGE && last.time < time.end => after.clone_from(key),
                _ => break,
            }
        }
        all.subjects = subjects.len() as u64;
        Ok(all)
    }

    fn add(&mut self, statement: &super::Statement) {
        let what = &statement.what;
        self.statements += 1;
        *self.channels.entry(what.channel.as_str().to_owned()).or_default() += 1;
        if let Some(policy) = &what.policy {
            *self.policies.entry(policy.clone()).or_default() += 1;
        }
        for (purpose, given) in &what.purposes {
            let counts = self.purposes.entry(purpose.clone()).or_default();
            let count = match (what.act, given) {
                (Act::Withdrawn, _) => &mut counts.withdrawn,
                (_, false) => &mut counts.refused,
                (Act::Given, true) => &mut counts.given,
                (Act::Request, true) => &mut counts.given_for_requests,
            };
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Channel, Ledger, Notices, What};
    use crate::vault::{Key, Options, Vault};

    #[tokio::test]
    async fn statements_are_counted_by_purpose() {
        let vault = Vault::open(&"memory:".parse().unwrap(), Key::generate(), Options::default()).await.unwrap();
        let ledger = Ledger::new(&vault, Notices::default());
        let what = |act, channel, given| What {
            purposes: BTreeMap::from([("support".to_owned(), given)]),
            policy: Some("1".to_owned()),
            ..What::new(act, channel)
        };
        for subject in ["a", "b"] {
            let row = ledger.row("t", subject);
            ledger.give(row, what(Act::Given, Channel::Widget, subject == "a"), None).await.unwrap();
            ledger.note(row, 1, what(Act::Request, Channel::Header, true), None).await.unwrap();
        }
        ledger.withdraw(ledger.row("t", "a"), what(Act::Withdrawn, Channel::Endpoint, false)).await.unwrap();
        let counted = Statistics::count(vault.records(), "t", 0..u64::MAX).await.unwrap();
        let support = Counts { given: 1, given_for_requests: 2, refused: 1, withdrawn: 1 };
        assert_eq!((counted.statements, counted.subjects, counted.purposes["support"]), (5, 2, support));
        assert_eq!((counted.channels["widget"], counted.policies["1"]), (2, 5));
        assert_eq!(Statistics::count(vault.records(), "t", 0..5).await.unwrap(), Statistics::default());
        assert_eq!(Statistics::count(vault.records(), "other", 0..u64::MAX).await.unwrap(), Statistics::default());
    }
}
