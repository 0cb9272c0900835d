//! The thread that writes: one durable commit for all who wait.

use super::file::File;
use super::{MAPPINGS, META, MappingKey, OWN_RECORD, PROBE, SUBJECTS};
use crate::clock;
use crate::vault::error::VaultError;
use crate::vault::store::{Batch, Outcome};
use redb::{Database, Durability, ReadableTable, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

/// How many requests one commit may take, so that the first does not wait for
/// an unbounded one.
const GROUP: usize = 512;

type Bytes<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// What the writer is asked for. Nobody may be waiting for the answer any more.
pub(super) enum Request {
    Put { batch: Batch, answer: oneshot::Sender<Result<Outcome, VaultError>> },
    Meta { record: Vec<u8>, answer: oneshot::Sender<Result<Vec<u8>, VaultError>> },
    Probe { answer: oneshot::Sender<Result<(), VaultError>> },
    Close { answer: oneshot::Sender<Result<(), VaultError>> },
}

/// What a request came to, once the commit stands.
enum Done {
    Put(Outcome),
    Meta(Vec<u8>),
    Nothing,
}

/// Serves requests until all who could ask are gone, or one asks to close.
pub(super) fn run(file: &File, mut requests: mpsc::Receiver<Request>) {
    let mut group = Vec::new();
    let mut closing = Vec::new();
    while closing.is_empty() && requests.blocking_recv_many(&mut group, GROUP) > 0 {
        let (work, close) = group.drain(..).partition(|r| !matches!(r, Request::Close { .. }));
        closing = close;
        serve(file, work);
    }
    // Who asks from now on is refused; what was accepted before is done.
    requests.close();
    while let Ok(late) = requests.try_recv() {
        match late {
            Request::Close { .. } => closing.push(late),
            work => serve(file, vec![work]),
        }
    }
    file.close();
    for request in closing {
        request.answer(Ok(Done::Nothing));
    }
}

fn serve(file: &File, group: Vec<Request>) {
    if group.is_empty() {
        return;
    }
    match file.write(|database| commit(database, &group)) {
        Ok(done) => group.into_iter().zip(done).for_each(|(request, done)| request.answer(Ok(done))),
        Err(error) => group.into_iter().for_each(|request| request.answer(Err(error.clone()))),
    }
}

/// Carries out a group in one transaction. Nothing may be answered before the
/// commit: also what one request finds taken may be another's of this group.
fn commit(database: &Database, group: &[Request]) -> Result<Vec<Done>, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // Reopening after a crash then takes the same time at every size.
    transaction.set_quick_repair(true);
    let done = apply(&transaction, group)?;
    let changed = done.iter().zip(group).any(|(done, request)| match done {
        Done::Put(outcome) => *outcome == Outcome::Stored,
        Done::Meta(_) => true,
        Done::Nothing => matches!(request, Request::Probe { .. }),
    });
    if changed {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(done)
}

fn apply(transaction: &WriteTransaction, group: &[Request]) -> Result<Vec<Done>, redb::Error> {
    let mut meta = transaction.open_table(META)?;
    let mut subjects = transaction.open_table(SUBJECTS)?;
    let mut mappings = transaction.open_table(MAPPINGS)?;
    let mut done = Vec::with_capacity(group.len());
    for request in group {
        done.push(match request {
            Request::Put { batch, .. } => Done::Put(put(&mut subjects, &mut mappings, batch)?),
            Request::Meta { record, .. } => {
                let standing = meta.get(OWN_RECORD)?.map(|record| record.value().to_vec());
                if standing.is_none() {
                    meta.insert(OWN_RECORD, record.as_slice())?;
                }
                Done::Meta(standing.unwrap_or_else(|| record.clone()))
            }
            Request::Probe { .. } => {
                meta.insert(PROBE, clock::unix_seconds().to_be_bytes().as_slice())?;
                Done::Nothing
            }
            Request::Close { .. } => Done::Nothing,
        });
    }
    Ok(done)
}

fn put(subjects: &mut Bytes<'_>, mappings: &mut Bytes<'_>, batch: &Batch) -> Result<Outcome, redb::Error> {
    let standing = subjects.get(batch.row.0.as_slice())?.map(|record| record.value().to_vec());
    let first_contact = standing.is_none() && batch.first_contact;
    if !first_contact && standing.as_deref() != Some(&*batch.subject) {
        return Ok(Outcome::Superseded(standing));
    }
    let mut key = MappingKey::new(batch.row);
    let mut taken = Vec::new();
    for (token, _) in &batch.mappings {
        if let Some(record) = mappings.get(key.of(token))? {
            taken.push((*token, record.value().to_vec()));
        }
    }
    if !taken.is_empty() {
        return Ok(Outcome::Taken(taken));
    }
    if first_contact {
        subjects.insert(batch.row.0.as_slice(), &*batch.subject)?;
    }
    for (token, record) in &batch.mappings {
        mappings.insert(key.of(token), record.as_slice())?;
    }
    Ok(Outcome::Stored)
}

impl Request {
    /// Answers; a caller that no longer waits is no error.
    fn answer(self, done: Result<Done, VaultError>) {
        let lost = || VaultError::unavailable("the writer lost the answer");
        match self {
            Self::Put { answer, .. } => {
                let _ = answer.send(done.and_then(|done| if let Done::Put(o) = done { Ok(o) } else { Err(lost()) }));
            }
            Self::Meta { answer, .. } => {
                let _ = answer.send(done.and_then(|done| if let Done::Meta(r) = done { Ok(r) } else { Err(lost()) }));
            }
            Self::Probe { answer } | Self::Close { answer } => {
                let _ = answer.send(done.map(|_| ()));
            }
        }
    }
}
