//! The file as it stood at one moment: one reading transaction of redb. What is
//! overwritten meanwhile keeps its pages until this ends, so the file may grow
//! by as much as is written while one is held.

use super::file::Held;
use super::index::{self, INDEX};
use super::{MAPPINGS, MappingKey, RECORDS, SUBJECTS, record_key, shown, token};
use crate::store::{Answer, RecordPlace, Row, Snapshot, Space, StoreError};
use crate::token::Token;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle};
use std::ops::Bound;
use std::sync::Arc;

/// The whole of a table's key, read.
type Read<T> = fn(&[u8]) -> Option<T>;

pub(super) struct View(pub(super) Arc<Held>);

impl View {
    fn page<T>(
        &self,
        table: TableDefinition<'_, &[u8], &[u8]>,
        after: Option<&[u8]>,
        limit: usize,
        read: Read<T>,
    ) -> Result<Vec<(T, Vec<u8>)>, StoreError> {
        let page = self.0.read(|transaction| {
            let table = transaction.open_table(table)?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let mut page = Vec::new();
            for entry in table.range::<&[u8]>((from, Bound::Unbounded))?.take(limit) {
                let (key, record) = entry?;
                page.push(read(key.value()).map(|place| (place, record.value().to_vec())));
            }
            Ok(page)
        })?;
        page.into_iter().map(|entry| entry.ok_or(StoreError::Corrupt { what: "file" })).collect()
    }
}

/// Whether each table is in order, has as many records as it counts, and finds
/// each of them. redb does not check its pages as it reads them, and one that
/// was changed by others may lead past a record.
pub(super) fn check(transaction: &ReadTransaction) -> Result<(), redb::Error> {
    let damaged = || redb::Error::Corrupted(String::new());
    let mut found_by = 0;
    for definition in [SUBJECTS, MAPPINGS, RECORDS] {
        let table = transaction.open_table(definition)?;
        let (mut count, mut last) = (0, None);
        for entry in table.iter()? {
            let (key, record) = entry?;
            let is_in_order = last.is_none_or(|last: Vec<u8>| *last < *key.value());
            let is_found = table.get(key.value())?.is_some_and(|found| found.value() == record.value());
            if !is_in_order || !is_found {
                return Err(damaged());
            }
            let is_of_index = key.value().get(Row::LEN) == Some(&(Space::Index as u8));
            found_by += u64::from(definition.name() == RECORDS.name() && is_of_index);
            last = Some(key.value().to_vec());
            count += 1;
        }
        if count != table.len()? {
            return Err(damaged());
        }
    }
    // What a subject is found by stands there as well, and nothing else is found.
    let (records, entries) = (transaction.open_table(RECORDS)?, transaction.open_table(INDEX)?);
    let mut last = None;
    for entry in entries.iter()? {
        let entry = *entry?.0.value();
        let (segment, row, key) = index::parts(&entry);
        let own = records.get(record_key(row, Space::Index, &key).as_slice())?;
        let is_known = own.is_some_and(|own| *own.value() == segment.to_be_bytes());
        if !is_known || entries.get(&entry)?.is_none() || last.is_some_and(|last| last >= entry) {
            return Err(damaged());
        }
        (last, found_by) = (Some(entry), found_by.wrapping_sub(1));
    }
    if found_by != 0 {
        return Err(damaged());
    }
    // A token goes with its subject: without one it is not where it was put.
    let (subjects, mut last) = (transaction.open_table(SUBJECTS)?, None);
    for entry in transaction.open_table(MAPPINGS)?.iter()? {
        let (key, _) = entry?;
        let Some((row, rest)) = key.value().split_first_chunk::<{ Row::LEN }>() else { return Err(damaged()) };
        let is_known = last == Some(*row) || subjects.get(row.as_slice())?.is_some();
        if !is_known || token(rest).is_none() {
            return Err(damaged());
        }
        last = Some(*row);
    }
    Ok(())
}

impl Snapshot for View {
    fn subjects(&self, after: Option<Row>, limit: usize) -> Answer<'_, Vec<(Row, Vec<u8>)>> {
        Box::pin(async move {
            let after = after.map(Row::to_bytes);
            self.page(SUBJECTS, after.as_ref().map(<[u8; Row::LEN]>::as_slice), limit, |key| {
                Some(Row::from_bytes(key.try_into().ok()?))
            })
        })
    }

    fn mappings(&self, after: Option<(Row, Token)>, limit: usize) -> Answer<'_, Vec<(Row, Token, Vec<u8>)>> {
        Box::pin(async move {
            let after = after.map(|(row, token)| MappingKey::new(row).of(&token).to_vec());
            let page = self.page(MAPPINGS, after.as_deref(), limit, |key| {
                let (row, rest) = key.split_first_chunk::<{ Row::LEN }>()?;
                Some((Row::from_bytes(row), token(rest)?))
            })?;
            Ok(page.into_iter().map(|((row, token), record)| (row, token, record)).collect())
        })
    }

    fn records(&self, after: Option<RecordPlace>, limit: usize) -> Answer<'_, Vec<(RecordPlace, Vec<u8>)>> {
        Box::pin(async move {
            let after = after.map(|(row, space, key)| record_key(row, space, &key));
            let page = self.page(RECORDS, after.as_deref(), limit, |key| {
                let (row, rest) = key.split_first_chunk::<{ Row::LEN }>()?;
                let (space, key) = rest.split_first()?;
                Some((Row::from_bytes(row), Space::from_number(*space)?, key.to_vec()))
            })?;
            let page = page.into_iter().map(|(place, record)| {
                let record = shown(place.1, &record);
                (place, record)
            });
            Ok(page.collect())
        })
    }
}
