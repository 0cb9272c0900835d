//! The `memory:` store: maps that end with the process.

use super::{Answer, Batch, Outcome, Row, Store};
use crate::entity::Entity;
use crate::token::Token;
use crate::vault::error::VaultError;
use crate::vault::mix::Mix;
use dashmap::{DashMap, Entry};
use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, OnceLock};

/// Records in memory. Its maps are sharded by subject; a lock is held for one
/// batch and never while anything is awaited.
#[derive(Default)]
pub(in crate::vault) struct Memory {
    meta: OnceLock<Vec<u8>>,
    subjects: DashMap<Row, Rows, BuildHasherDefault<Mix>>,
}

struct Rows {
    subject: Arc<[u8]>,
    /// By entity, then by the token's bits.
    mappings: BTreeMap<Entity, HashMap<u64, Vec<u8>, BuildHasherDefault<Mix>>>,
}

impl Store for Memory {
    fn meta(&self) -> Answer<'_, Option<Vec<u8>>> {
        now(self.meta.get().cloned())
    }

    fn put_meta(&self, record: Vec<u8>) -> Answer<'_, Vec<u8>> {
        now(self.meta.get_or_init(|| record).clone())
    }

    fn subject(&self, row: Row) -> Answer<'_, Option<Vec<u8>>> {
        now(self.subjects.get(&row).map(|rows| rows.subject.to_vec()))
    }

    fn mappings<'a>(&'a self, row: Row, tokens: &'a [Token]) -> Answer<'a, Vec<Option<Vec<u8>>>> {
        let Some(rows) = self.subjects.get(&row) else { return now(vec![None; tokens.len()]) };
        now(tokens.iter().map(|token| rows.record(token).cloned()).collect())
    }

    fn entities(&self, row: Row) -> Answer<'_, Vec<Entity>> {
        let own = |rows: &Rows| rows.mappings.keys().copied().filter(|entity| *entity != Entity::SURROGATE).collect();
        now(self.subjects.get(&row).map(|rows| own(&rows)).unwrap_or_default())
    }

    fn all(&self, row: Row, entity: Entity) -> Answer<'_, Vec<(Token, Vec<u8>)>> {
        let Some(rows) = self.subjects.get(&row) else { return now(Vec::new()) };
        let records = rows.mappings.get(&entity).into_iter().flatten();
        now(records.map(|(bits, record)| (Token::new(entity, *bits), record.clone())).collect())
    }

    fn put(&self, batch: Batch) -> Answer<'_, Outcome> {
        now(self.put_now(batch))
    }

    fn probe(&self) -> Answer<'_, ()> {
        now(())
    }

    fn close(&self) -> Answer<'_, ()> {
        now(())
    }
}

impl Memory {
    fn put_now(&self, batch: Batch) -> Outcome {
        let mut rows = match self.subjects.entry(batch.row) {
            Entry::Occupied(rows) if rows.get().subject != batch.subject => {
                return Outcome::Superseded(Some(rows.get().subject.to_vec()));
            }
            Entry::Occupied(rows) => rows.into_ref(),
            Entry::Vacant(_) if !batch.first_contact => return Outcome::Superseded(None),
            Entry::Vacant(free) => free.insert(Rows { subject: batch.subject, mappings: BTreeMap::new() }),
        };
        let taken: Vec<_> = (batch.mappings.iter())
            .filter_map(|(token, _)| rows.record(token).map(|record| (*token, record.clone())))
            .collect();
        if !taken.is_empty() {
            return Outcome::Taken(taken);
        }
        for (token, record) in batch.mappings {
            rows.mappings.entry(token.entity()).or_default().insert(token.bits(), record);
        }
        Outcome::Stored
    }
}

/// What a store does not offer, so that tests can misuse this one.
#[cfg(test)]
impl Memory {
    pub(in crate::vault) fn erase(&self, row: Row) {
        self.subjects.remove(&row).unwrap();
    }

    pub(in crate::vault) fn set_subject(&self, row: Row, record: Vec<u8>) {
        self.subjects.get_mut(&row).unwrap().subject = record.into();
    }

    pub(in crate::vault) fn record(&self, row: Row, token: &Token) -> Vec<u8> {
        self.subjects.get(&row).unwrap().record(token).unwrap().clone()
    }
}

impl Rows {
    fn record(&self, token: &Token) -> Option<&Vec<u8>> {
        self.mappings.get(&token.entity())?.get(&token.bits())
    }
}

fn now<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    Box::pin(ready(Ok::<_, VaultError>(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::store::suite;

    #[tokio::test]
    async fn conforms() {
        suite::run(|| async { Memory::default() }).await;
    }
}
