//! The `memory:` store: maps that end with the process.

use super::{
    Answer, Batch, Blind, Change, Event, Expect, Outcome, RecordPlace, Row, Snapshot, Space, Store, StoreError,
};
use crate::entity::Entity;
use crate::token::Token;
use std::collections::BTreeMap;
use std::future::ready;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records in memory, under one lock that is held for one call and never while
/// anything is awaited.
#[derive(Default)]
pub struct Memory(Mutex<Tables>);

#[derive(Default, Clone)]
struct Tables {
    meta: Option<Vec<u8>>,
    subjects: BTreeMap<Row, Subject>,
    records: BTreeMap<(Row, Space, Vec<u8>), Vec<u8>>,
}

#[derive(Clone)]
struct Subject {
    record: Arc<[u8]>,
    /// By entity, then by the token's bits.
    mappings: BTreeMap<Entity, BTreeMap<u64, Vec<u8>>>,
}

impl Store for Memory {
    fn is_volatile(&self) -> bool {
        true
    }

    fn meta(&self) -> Answer<'_, Option<Vec<u8>>> {
        now(self.tables().meta.clone())
    }

    fn put_meta(&self, expected: Option<Vec<u8>>, record: Vec<u8>) -> Answer<'_, Vec<u8>> {
        let mut tables = self.tables();
        if tables.meta == expected {
            tables.meta = Some(record);
        }
        now(tables.meta.clone().unwrap_or_default())
    }

    fn subject(&self, row: Row) -> Answer<'_, Option<Vec<u8>>> {
        now(self.tables().subjects.get(&row).map(|subject| subject.record.to_vec()))
    }

    fn mappings<'a>(&'a self, row: Row, tokens: &'a [Token]) -> Answer<'a, Vec<Option<Vec<u8>>>> {
        let tables = self.tables();
        let subject = tables.subjects.get(&row);
        now(tokens.iter().map(|token| subject?.record(token).cloned()).collect())
    }

    fn entities(&self, row: Row) -> Answer<'_, Vec<Entity>> {
        let tables = self.tables();
        let entities = tables.subjects.get(&row).into_iter().flat_map(|subject| subject.mappings.keys().copied());
        now(entities.filter(|entity| *entity != Entity::SURROGATE).collect())
    }

    fn all(&self, row: Row, entity: Entity) -> Answer<'_, Vec<(Token, Vec<u8>)>> {
        let tables = self.tables();
        let records = tables.subjects.get(&row).and_then(|subject| subject.mappings.get(&entity)).into_iter().flatten();
        now(records.map(|(bits, record)| (Token::new(entity, *bits), record.clone())).collect())
    }

    fn put(&self, batch: Batch) -> Answer<'_, Outcome> {
        now(self.tables().put(batch))
    }

    fn subjects(&self, after: Option<Row>, limit: usize) -> Answer<'_, Vec<(Row, Vec<u8>)>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let tables = self.tables();
        let page = tables.subjects.range((from, Bound::Unbounded)).take(limit);
        now(page.map(|(row, subject)| (*row, subject.record.to_vec())).collect())
    }

    fn page(&self, row: Row, after: Option<Token>, limit: usize) -> Answer<'_, Vec<(Token, Vec<u8>)>> {
        let tables = self.tables();
        let mappings = tables.subjects.get(&row).into_iter().flat_map(|subject| &subject.mappings);
        let all = mappings.flat_map(|(entity, records)| {
            records.iter().map(|(bits, record)| (Token::new(*entity, *bits), record.clone()))
        });
        let is_behind = |token: &Token| after.is_none_or(|after| place(token) > place(&after));
        now(all.filter(|(token, _)| is_behind(token)).take(limit).collect())
    }

    fn swap_subject(&self, row: Row, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool> {
        let mut tables = self.tables();
        let subject = tables.subjects.get_mut(&row).filter(|subject| *subject.record == *old);
        now(subject.map(|subject| subject.record = new.into()).is_some())
    }

    fn swap_mapping(&self, row: Row, token: Token, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool> {
        let mut tables = self.tables();
        let record = tables.subjects.get_mut(&row).and_then(|subject| subject.record_mut(&token));
        now(record.filter(|record| **record == old).map(|record| *record = new).is_some())
    }

    fn remove(&self, row: Row, tokens: Vec<(Token, Vec<u8>)>) -> Answer<'_, usize> {
        let mut tables = self.tables();
        let Some(subject) = tables.subjects.get_mut(&row) else { return now(0) };
        let mut removed = 0;
        for (token, record) in tokens {
            let Some(records) = subject.mappings.get_mut(&token.entity()) else { continue };
            if records.get(&token.bits()) == Some(&record) {
                records.remove(&token.bits());
                removed += 1;
            }
            if records.is_empty() {
                subject.mappings.remove(&token.entity());
            }
        }
        now(removed)
    }

    fn erase(&self, row: Row) -> Answer<'_, usize> {
        let mut tables = self.tables();
        let own = tables.records.range((row, Space::FIRST, Vec::new())..).map(|(place, _)| place);
        let own: Vec<_> =
            own.take_while(|(of, ..)| *of == row).filter(|(_, space, _)| !space.is_kept()).cloned().collect();
        for place in own {
            tables.records.remove(&place);
        }
        let subject = tables.subjects.remove(&row);
        now(subject.map_or(0, |subject| subject.mappings.values().map(BTreeMap::len).sum()))
    }

    fn get(&self, row: Row, space: Space, keys: Vec<Vec<u8>>) -> Answer<'_, Vec<Option<Vec<u8>>>> {
        let tables = self.tables();
        now(keys.into_iter().map(|key| tables.records.get(&(row, space, key)).cloned()).collect())
    }

    fn scan(
        &self,
        row: Row,
        space: Space,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Answer<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        let from = match after {
            Some(key) => Bound::Excluded((row, space, key)),
            None => Bound::Included((row, space, Vec::new())),
        };
        let tables = self.tables();
        let page = tables.records.range((from, Bound::Unbounded));
        let page = page.take_while(|((of, about, _), _)| (*of, *about) == (row, space)).take(limit);
        now(page.map(|((_, _, key), value)| (key.clone(), value.clone())).collect())
    }

    fn found(&self, tenant: Row, key: Blind) -> Answer<'_, Vec<Row>> {
        let tables = self.tables();
        let places = tables.records.keys().filter(|(row, space, of)| {
            *space == Space::Index && row.tenant == tenant.tenant && !row.is_of_tenant() && **of == key
        });
        now(places.map(|(row, ..)| *row).collect())
    }

    fn write(&self, changes: Vec<Change>, _: Option<Event>) -> Answer<'_, bool> {
        let mut tables = self.tables();
        let fits = tables.fit(&changes);
        if fits {
            tables.apply(changes);
        }
        now(fits)
    }

    fn snapshot(&self) -> Answer<'_, Box<dyn Snapshot>> {
        let tables = self.tables().clone();
        now(Box::new(View(tables)) as Box<dyn Snapshot>)
    }

    fn probe(&self) -> Answer<'_, ()> {
        now(())
    }

    fn close(&self) -> Answer<'_, ()> {
        now(())
    }
}

/// A copy.
struct View(Tables);

impl Snapshot for View {
    fn subjects(&self, after: Option<Row>, limit: usize) -> Answer<'_, Vec<(Row, Vec<u8>)>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = self.0.subjects.range((from, Bound::Unbounded)).take(limit);
        now(page.map(|(row, subject)| (*row, subject.record.to_vec())).collect())
    }

    fn mappings(&self, after: Option<(Row, Token)>, limit: usize) -> Answer<'_, Vec<(Row, Token, Vec<u8>)>> {
        let from = after.map_or(Bound::Unbounded, |(row, _)| Bound::Included(row));
        let all = self.0.subjects.range((from, Bound::Unbounded)).flat_map(|(row, subject)| {
            subject.mappings.iter().flat_map(move |(entity, records)| {
                records.iter().map(move |(bits, record)| (*row, Token::new(*entity, *bits), record))
            })
        });
        let is_behind =
            |row: Row, token: &Token| after.is_none_or(|(of, after)| (row, place(token)) > (of, place(&after)));
        let page = all.filter(|(row, token, _)| is_behind(*row, token)).take(limit);
        now(page.map(|(row, token, record)| (row, token, record.clone())).collect())
    }

    fn records(&self, after: Option<RecordPlace>, limit: usize) -> Answer<'_, Vec<(RecordPlace, Vec<u8>)>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = self.0.records.range((from, Bound::Unbounded)).take(limit);
        now(page.map(|(place, value)| (place.clone(), value.clone())).collect())
    }
}

impl Memory {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn put(&mut self, batch: Batch) -> Outcome {
        match self.subjects.get(&batch.row) {
            Some(subject) if subject.record != batch.subject => {
                return Outcome::Superseded(Some(subject.record.to_vec()));
            }
            None if !batch.first_contact => return Outcome::Superseded(None),
            _ => {}
        }
        let subject = self.subjects.get(&batch.row);
        let taken: Vec<_> = (batch.mappings.iter())
            .filter_map(|(token, _)| subject?.record(token).map(|record| (*token, record.clone())))
            .collect();
        if !taken.is_empty() {
            return Outcome::Taken(taken);
        }
        for key in batch.found_by {
            self.records.insert((batch.row, Space::Index, key.to_vec()), Vec::new());
        }
        let new = || Subject { record: batch.subject, mappings: BTreeMap::new() };
        let subject = self.subjects.entry(batch.row).or_insert_with(new);
        for (token, record) in batch.mappings {
            subject.mappings.entry(token.entity()).or_default().insert(token.bits(), record);
        }
        Outcome::Stored
    }

    /// Whether all is as the changes expect. Each is held against what stood
    /// before all of them.
    fn fit(&self, changes: &[Change]) -> bool {
        changes.iter().all(|change| {
            let standing = self.records.get(&(change.row, change.space, change.key.clone()));
            match &change.expect {
                Expect::Anything => true,
                Expect::Absent => standing.is_none(),
                Expect::Is(record) => standing == Some(record),
            }
        })
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for Change { row, space, key, value, .. } in changes {
            match value {
                Some(value) => self.records.insert((row, space, key), value),
                None => self.records.remove(&(row, space, key)),
            };
        }
    }
}

impl Subject {
    fn record(&self, token: &Token) -> Option<&Vec<u8>> {
        self.mappings.get(&token.entity())?.get(&token.bits())
    }

    fn record_mut(&mut self, token: &Token) -> Option<&mut Vec<u8>> {
        self.mappings.get_mut(&token.entity())?.get_mut(&token.bits())
    }
}

/// What stores need not do, so that tests can misuse this one.
#[cfg(test)]
impl Memory {
    pub(crate) fn set_subject(&self, row: Row, record: Vec<u8>) {
        self.tables().subjects.get_mut(&row).unwrap().record = record.into();
    }

    pub(crate) fn set_record(&self, row: Row, token: &Token, record: Vec<u8>) {
        *self.tables().subjects.get_mut(&row).unwrap().record_mut(token).unwrap() = record;
    }

    pub(crate) fn record(&self, row: Row, token: &Token) -> Vec<u8> {
        self.tables().subjects[&row].record(token).unwrap().clone()
    }
}

fn place(token: &Token) -> (Entity, u64) {
    (token.entity(), token.bits())
}

fn now<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    Box::pin(ready(Ok::<_, StoreError>(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite;

    #[tokio::test]
    async fn conforms() {
        suite::run(|| async { Memory::default() }).await;
    }
}
