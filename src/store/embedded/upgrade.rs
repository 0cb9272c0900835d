//! Upgrades a file of an older format.
//!
//! Of the first, every key is led by its tenant now: the new file is made beside
//! the old one and takes its place by a rename. Of the second, what subjects are
//! found by has a table of its own now: it is moved in the file itself, and
//! nothing of that stands before all does. So a crash at any point leaves one
//! whole file of either format.

use super::file::{database, fault, format, guarded, on_path, private, remove_unfinished};
use super::index::{self, INDEX, Last};
use super::{FORMAT, FORMAT_RECORD, MAPPINGS, META, OWN_RECORD, RECORDS, SUBJECTS, record_key};
use crate::store::{Row, Space, StoreError};
use redb::backends::FileBackend;
use redb::{Database, Durability, ReadableDatabase, ReadableTable};
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
    if guarded(|| format(&old)).map_err(failed)? == Some(2) {
        guarded(|| move_index(&old)).map_err(failed)?;
        return old.close().map_err(|error| failed(error.into()));
    }
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

/// Moves what subjects are found by out of the records of their tenants.
fn move_index(old: &Database) -> Result<(), redb::Error> {
    let last = Last::default();
    let mut from = Some(0);
    while let Some(tenant) = from.map(|from| tenant(old, from)).transpose()?.flatten() {
        let row = Row { tenant: tenant.to_be_bytes(), ..Row::DEPLOYMENT };
        while move_some(old, &last, row)? == STEP {}
        from = tenant.checked_add(1);
    }
    // The last commit is durable, and all before it with it.
    let mut transaction = old.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    transaction.open_table(INDEX)?;
    transaction.open_table(META)?.insert(FORMAT_RECORD, FORMAT.to_be_bytes().as_slice())?;
    transaction.commit()?;
    Ok(())
}

/// The first tenant with records from `from` on.
fn tenant(old: &Database, from: u64) -> Result<Option<u64>, redb::Error> {
    let records = old.begin_read()?.open_table(RECORDS)?;
    let first = records.range::<&[u8]>(from.to_be_bytes().as_slice()..)?.next().transpose()?;
    Ok(first.and_then(|(key, _)| key.value().first_chunk().copied().map(u64::from_be_bytes)))
}

/// Moves some of a tenant; says how many.
fn move_some(old: &Database, last: &Last, tenant: Row) -> Result<usize, redb::Error> {
    let prefix = record_key(tenant, Space::Index, &[]);
    let mut transaction = old.begin_write()?;
    transaction.set_durability(Durability::None)?;
    let moved = {
        let mut records = transaction.open_table(RECORDS)?;
        let mut entries = transaction.open_table(INDEX)?;
        let mut keys = Vec::new();
        for entry in records.range(prefix.as_slice()..)?.take(STEP) {
            let (key, _) = entry?;
            let Some(key) = key.value().strip_prefix(prefix.as_slice()) else { break };
            keys.push(key.to_vec());
        }
        for key in &keys {
            records.remove([prefix.as_slice(), key].concat().as_slice())?;
            let parts = key.split_first_chunk().and_then(|(hash, subject)| Some((*hash, subject.try_into().ok()?)));
            let Some((hash, subject)) = parts else { return Err(redb::Error::Corrupted(String::new())) };
            let row = Row { subject, ..tenant };
            // Without its counterpart it led to nobody.
            if records.remove(record_key(row, Space::Index, &hash).as_slice())?.is_some() {
                index::enter(&mut entries, &mut records, last, row, hash)?;
            }
        }
        keys.len()
    };
    transaction.commit()?;
    Ok(moved)
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
