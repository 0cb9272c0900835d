//! The thread that writes: one durable commit for all who wait.

use super::file::File;
use super::index::{self, INDEX, Last};
use super::{Bytes, Entries, MAPPINGS, META, MappingKey, OWN_RECORD, PROBE, RECORDS, SUBJECTS, record_key};
use crate::store::{Batch, Change, Expect, Outcome, Row, Space, StoreError};
use crate::token::Token;
use redb::{Database, Durability, ReadableTable, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

/// How many requests one commit may take, so that the first does not wait for
/// an unbounded one.
const GROUP: usize = 512;

/// What a probe writes: more than most requests do, so that where there
/// is no room for these there is none for it either.
static PROBED: [u8; 64 << 10] = [0; _];

/// Work, and who waits for it. Nobody may be waiting any more.
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) answer: oneshot::Sender<Result<Done, StoreError>>,
}

/// What the writer is asked for.
pub(super) enum Work {
    Put(Batch),
    Meta { expected: Option<Vec<u8>>, record: Vec<u8> },
    SwapSubject { row: Row, old: Vec<u8>, new: Vec<u8> },
    SwapMapping { row: Row, token: Token, old: Vec<u8>, new: Vec<u8> },
    Remove { row: Row, tokens: Vec<(Token, Vec<u8>)> },
    Erase(Row),
    Write(Vec<Change>),
    Probe,
    Close,
}

/// What it came to, once the commit stands.
pub(super) enum Done {
    Put(Outcome),
    /// The record that stands.
    Meta(Vec<u8>),
    /// How many were removed.
    Count(usize),
    /// The subject was, with so many tokens.
    Erased(usize),
    Yes,
    No,
}

/// Serves requests until all who could ask are gone, or one asks to close.
pub(super) fn run(file: &File, mut requests: mpsc::Receiver<Request>) {
    let mut group = Vec::new();
    let mut closing = Vec::new();
    let last = Last::default();
    while closing.is_empty() && requests.blocking_recv_many(&mut group, GROUP) > 0 {
        let (work, close) = group.drain(..).partition(|request| !matches!(request.work, Work::Close));
        closing = close;
        serve(file, &last, work);
    }
    // Who asks from now on is refused; what was accepted before is done.
    requests.close();
    while let Ok(late) = requests.try_recv() {
        match late.work {
            Work::Close => closing.push(late),
            _ => serve(file, &last, vec![late]),
        }
    }
    file.close();
    for request in closing {
        request.answer(Ok(Done::Yes));
    }
}

fn serve(file: &File, last: &Last, group: Vec<Request>) {
    if group.is_empty() {
        return;
    }
    match file.write(|database| commit(database, last, &group)) {
        Ok(done) => group.into_iter().zip(done).for_each(|(request, done)| request.answer(Ok(done))),
        Err(error) => {
            last.forget();
            for request in group {
                request.answer(Err(error.clone()));
            }
        }
    }
}

/// Carries out a group in one transaction. Nothing may be answered before the
/// commit: also what one request finds taken may be another's of this group.
fn commit(database: &Database, last: &Last, group: &[Request]) -> Result<Vec<Done>, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // Reopening after a crash then takes the same time at every size.
    transaction.set_quick_repair(true);
    let done = apply(&transaction, last, group)?;
    let changed = done.iter().any(|done| match done {
        Done::Put(outcome) => *outcome == Outcome::Stored,
        Done::Meta(_) | Done::Erased(_) | Done::Yes => true,
        Done::Count(count) => *count > 0,
        Done::No => false,
    });
    if changed {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(done)
}

/// The tables of one transaction.
struct Tables<'t> {
    meta: Table<'t, &'static str, &'static [u8]>,
    subjects: Bytes<'t>,
    mappings: Bytes<'t>,
    records: Bytes<'t>,
    index: Entries<'t>,
    last: &'t Last,
}

fn apply(transaction: &WriteTransaction, last: &Last, group: &[Request]) -> Result<Vec<Done>, redb::Error> {
    let mut tables = Tables {
        meta: transaction.open_table(META)?,
        subjects: transaction.open_table(SUBJECTS)?,
        mappings: transaction.open_table(MAPPINGS)?,
        records: transaction.open_table(RECORDS)?,
        index: transaction.open_table(INDEX)?,
        last,
    };
    group.iter().map(|request| tables.carry_out(&request.work)).collect()
}

impl Tables<'_> {
    fn carry_out(&mut self, work: &Work) -> Result<Done, redb::Error> {
        Ok(match work {
            Work::Put(batch) => Done::Put(self.put(batch)?),
            Work::Meta { expected, record } => {
                let standing = self.meta.get(OWN_RECORD)?.map(|record| record.value().to_vec());
                if standing == *expected {
                    self.meta.insert(OWN_RECORD, record.as_slice())?;
                    Done::Meta(record.clone())
                } else {
                    Done::Meta(standing.unwrap_or_default())
                }
            }
            Work::SwapSubject { row, old, new } => swap(&mut self.subjects, &row.to_bytes(), old, new)?,
            Work::SwapMapping { row, token, old, new } => {
                swap(&mut self.mappings, MappingKey::new(*row).of(token), old, new)?
            }
            Work::Remove { row, tokens } => {
                let mut key = MappingKey::new(*row);
                let mut count = 0;
                for (token, record) in tokens {
                    let key = key.of(token);
                    if self.mappings.get(key)?.is_some_and(|standing| standing.value() == record) {
                        self.mappings.remove(key)?;
                        count += 1;
                    }
                }
                Done::Count(count)
            }
            Work::Erase(row) => self.erase(*row)?,
            Work::Write(changes) => {
                if self.fit(changes)? {
                    self.write(changes)?;
                    Done::Yes
                } else {
                    Done::No
                }
            }
            Work::Probe => {
                self.meta.insert(PROBE, PROBED.as_slice())?;
                Done::Yes
            }
            Work::Close => Done::No,
        })
    }

    fn put(&mut self, batch: &Batch) -> Result<Outcome, redb::Error> {
        let row = batch.row.to_bytes();
        let standing = self.subjects.get(row.as_slice())?.map(|record| record.value().to_vec());
        let first_contact = standing.is_none() && batch.first_contact;
        if !first_contact && standing.as_deref() != Some(&*batch.subject) {
            return Ok(Outcome::Superseded(standing));
        }
        let mut key = MappingKey::new(batch.row);
        let mut taken = Vec::new();
        for (token, _) in &batch.mappings {
            if let Some(record) = self.mappings.get(key.of(token))? {
                taken.push((*token, record.value().to_vec()));
            }
        }
        if !taken.is_empty() {
            return Ok(Outcome::Taken(taken));
        }
        if first_contact {
            self.subjects.insert(row.as_slice(), &*batch.subject)?;
        }
        for (token, record) in &batch.mappings {
            self.mappings.insert(key.of(token), record.as_slice())?;
        }
        for key in &batch.found_by {
            index::enter(&mut self.index, &mut self.records, self.last, batch.row, *key)?;
        }
        Ok(Outcome::Stored)
    }

    fn erase(&mut self, row: Row) -> Result<Done, redb::Error> {
        let prefix = row.to_bytes();
        let known = self.subjects.remove(prefix.as_slice())?.is_some();
        let mappings = remove_all(&mut self.mappings, &prefix, |_| true)?;
        let found_by = record_key(row, Space::Index, &[]);
        for own in keys_of(&self.records, &found_by, |_| true)? {
            let key = own.get(found_by.len()..).unwrap_or_default();
            self.remove_record(row, Space::Index, key)?;
        }
        let is_removed = |key: &[u8]| {
            let space = key.get(Row::LEN).copied().and_then(Space::from_number);
            space.is_none_or(|space| !space.is_kept())
        };
        let records = remove_all(&mut self.records, &prefix, is_removed)?;
        // Nothing was there, and so nothing is to be committed.
        Ok(if known || mappings + records > 0 { Done::Erased(mappings) } else { Done::Count(0) })
    }

    /// Whether all is as the changes expect, before any of them.
    fn fit(&self, changes: &[Change]) -> Result<bool, redb::Error> {
        for Change { row, space, key, expect, .. } in changes {
            if *expect == Expect::Anything {
                continue;
            }
            let standing = self.records.get(record_key(*row, *space, key).as_slice())?;
            let fits = match (expect, &standing) {
                (Expect::Is(record), Some(standing)) => standing.value() == record,
                (Expect::Is(_), None) => false,
                _ => standing.is_none(),
            };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), redb::Error> {
        for Change { row, space, key, value, .. } in changes {
            match (value, key.as_slice().try_into()) {
                (Some(_), Ok(key)) if *space == Space::Index => {
                    index::enter(&mut self.index, &mut self.records, self.last, *row, key)?;
                }
                (Some(value), _) => {
                    self.records.insert(record_key(*row, *space, key).as_slice(), value.as_slice())?;
                }
                (None, _) => self.remove_record(*row, *space, key)?,
            }
        }
        Ok(())
    }

    fn remove_record(&mut self, row: Row, space: Space, key: &[u8]) -> Result<(), redb::Error> {
        let own = self.records.remove(record_key(row, space, key).as_slice())?;
        if let (Some(own), Ok(key)) = (own, key.try_into())
            && space == Space::Index
        {
            index::remove(&mut self.index, row, key, own.value())?;
        }
        Ok(())
    }
}

fn swap(table: &mut Bytes<'_>, key: &[u8], old: &[u8], new: &[u8]) -> Result<Done, redb::Error> {
    let is_old = table.get(key)?.is_some_and(|record| record.value() == old);
    if is_old {
        table.insert(key, new)?;
    }
    Ok(if is_old { Done::Yes } else { Done::No })
}

/// Removes what stands under a prefix; says how much that was.
fn remove_all(table: &mut Bytes<'_>, prefix: &[u8], is_removed: impl Fn(&[u8]) -> bool) -> Result<usize, redb::Error> {
    let keys = keys_of(table, prefix, is_removed)?;
    for key in &keys {
        table.remove(key.as_slice())?;
    }
    Ok(keys.len())
}

/// The keys that begin with `prefix`, of those that are wanted.
fn keys_of(table: &Bytes<'_>, prefix: &[u8], is_wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<Vec<u8>>, redb::Error> {
    let mut keys = Vec::new();
    for entry in table.range(prefix..)? {
        let (key, _) = entry?;
        if !key.value().starts_with(prefix) {
            break;
        }
        if is_wanted(key.value()) {
            keys.push(key.value().to_vec());
        }
    }
    Ok(keys)
}

impl Request {
    /// Answers; a caller that no longer waits is no error.
    fn answer(self, done: Result<Done, StoreError>) {
        let _ = self.answer.send(done);
    }
}
