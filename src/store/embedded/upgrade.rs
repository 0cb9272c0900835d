//! Upgrades a file of the first format: every key is led by its tenant now.
//!
//! The new file is made beside the old one and takes its place by a rename, so
//! a crash at any point leaves one whole file of either format.

use super::file::{database, fault, guarded, on_path, private, remove_unfinished};
use super::{MAPPINGS, META, OWN_RECORD, SUBJECTS};
use crate::store::{Row, StoreError};
use redb::backends::FileBackend;
use redb::{Database, Durability, ReadableDatabase};
use std::ops::Bound;
use std::path::Path;

/// How many records one transaction of the upgrade writes.
const STEP: usize = 20_000;

/// How many subjects are looked up together.
const SUBJECTS_AT_ONCE: usize = 1_000;

/// The subjects' parts of rows, and their records.
type Subjects = Vec<([u8; 16], Vec<u8>)>;

const CORRUPT: StoreError = StoreError::Corrupt { what: "file" };

/// Upgrades the store in `folder`. `row_of` gives the row of a subject by the
/// vault's own record, the subject's part of the row, and the subject's record.
///
/// # Errors
///
/// Those of `row_of`, and [`StoreError`]; then the old file is as it was.
pub fn upgrade<E: From<StoreError>>(
    folder: &Path,
    page_cache_bytes: usize,
    mut row_of: impl FnMut(&[u8], [u8; 16], &[u8]) -> Result<Row, E>,
) -> Result<(), E> {
    let failed = |error: redb::Error| E::from(fault(error));
    let turn = private::lock(folder).map_err(|error| failed(error.into()))?;
    let path = folder.join(super::file::NAME);
    let unfinished = remove_unfinished(folder).map_err(|error| failed(error.into()))?;
    let new = || database(FileBackend::new(private::file(&unfinished)?)?, page_cache_bytes);
    let old = guarded(|| on_path(&path, page_cache_bytes)).map_err(failed)?;
    let new = guarded(new).map_err(failed)?;

    let meta = guarded(|| own_record(&old)).map_err(failed)?;
    let mut after: Option<[u8; 16]> = None;
    loop {
        let subjects = guarded(|| subjects(&old, after)).map_err(failed)?;
        let Some((last, _)) = subjects.last() else { break };
        after = Some(*last);
        let mut rows = Vec::with_capacity(subjects.len());
        for (subject, record) in subjects {
            let row = row_of(meta.as_deref().ok_or(CORRUPT)?, subject, &record)?;
            rows.push((row, record));
        }
        guarded(|| copy(&old, &new, &rows)).map_err(failed)?;
    }
    // The last commit is durable, and all before it with it.
    guarded(|| finish(&new, meta.as_deref())).map_err(failed)?;
    old.close().map_err(|error| failed(error.into()))?;
    new.close().map_err(|error| failed(error.into()))?;
    std::fs::rename(&unfinished, &path).and_then(|()| turn.sync_all()).map_err(|error| failed(error.into()))
}

fn own_record(old: &Database) -> Result<Option<Vec<u8>>, redb::Error> {
    Ok(old.begin_read()?.open_table(META)?.get(OWN_RECORD)?.map(|record| record.value().to_vec()))
}

/// Some subjects behind `after`.
fn subjects(old: &Database, after: Option<[u8; 16]>) -> Result<Subjects, redb::Error> {
    let table = old.begin_read()?.open_table(SUBJECTS)?;
    let from = after.as_ref().map_or(Bound::Unbounded, |after| Bound::Excluded(after.as_slice()));
    let mut page = Vec::new();
    for entry in table.range::<&[u8]>((from, Bound::Unbounded))?.take(SUBJECTS_AT_ONCE) {
        let (key, record) = entry?;
        let Ok(subject) = key.value().try_into() else { return Err(redb::Error::Corrupted(String::new())) };
        page.push((subject, record.value().to_vec()));
    }
    Ok(page)
}

/// Copies subjects and their tokens, a bounded transaction at a time.
fn copy(old: &Database, new: &Database, rows: &[(Row, Vec<u8>)]) -> Result<(), redb::Error> {
    let from = old.begin_read()?.open_table(MAPPINGS)?;
    let mut rows = rows.iter().peekable();
    // The row at work, and its last key that was copied.
    let mut at: Option<(Row, Vec<u8>)> = None;
    while at.is_some() || rows.peek().is_some() {
        let mut transaction = new.begin_write()?;
        transaction.set_durability(Durability::None)?;
        {
            let mut subjects = transaction.open_table(SUBJECTS)?;
            let mut mappings = transaction.open_table(MAPPINGS)?;
            let mut room = STEP;
            while room > 0 {
                let (row, after) = match at.take() {
                    Some(place) => place,
                    None => match rows.next() {
                        Some((row, record)) => {
                            subjects.insert(row.to_bytes().as_slice(), record.as_slice())?;
                            (*row, row.subject.to_vec())
                        }
                        None => break,
                    },
                };
                let mut last = None;
                for entry in from.range::<&[u8]>((Bound::Excluded(after.as_slice()), Bound::Unbounded))? {
                    let (key, record) = entry?;
                    let Some(rest) = key.value().strip_prefix(&row.subject) else { break };
                    if room == 0 {
                        at = last.take().map(|last| (row, last));
                        break;
                    }
                    mappings.insert([&row.to_bytes(), rest].concat().as_slice(), record.value())?;
                    last = Some(key.value().to_vec());
                    room -= 1;
                }
            }
        }
        transaction.commit()?;
    }
    Ok(())
}

fn finish(new: &Database, meta: Option<&[u8]>) -> Result<(), redb::Error> {
    let mut transaction = new.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    if let Some(meta) = meta {
        transaction.open_table(META)?.insert(OWN_RECORD, meta)?;
    }
    transaction.commit()?;
    Ok(())
}
