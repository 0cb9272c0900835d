//! What subjects are found by, from the keyed hash to the subjects.
//!
//! Hashes come in no order, so that in one great tree each would lie on a page
//! of its own, and a commit would write more pages the larger the file is. The
//! tree is cut into segments instead: what is new goes to the last one, which
//! is small, until that is full. So a commit costs the same at every size, and
//! a look-up asks each segment. At a subject the number of its segment stands
//! with each hash, by which it is removed.

use super::{Bytes, Entries, record_key};
use crate::store::{Blind, Row, Space};
use redb::{ReadableTable, TableDefinition};
use std::cell::Cell;

pub(super) const INDEX: TableDefinition<'_, &Entry, ()> = TableDefinition::new("index");

/// How many entries a segment has: few enough to be at hand, many enough that a
/// look-up among millions asks some thousand segments.
const SEGMENT: u32 = 2048;

/// segment | tenant | hash | subject
pub(super) type Entry = [u8; 4 + Row::LEN + 16];

/// The last segment, and how many entries it has, as far as the writer knows.
#[derive(Default)]
pub(super) struct Last(Cell<Option<(u32, u32)>>);

impl Last {
    /// Looks anew, as what was written last may not stand.
    pub(super) fn forget(&self) {
        self.0.set(None);
    }

    /// The segment that one more entry goes to.
    fn next(&self, entries: &Entries<'_>) -> Result<u32, redb::Error> {
        let (segment, count) = if let Some(known) = self.0.get() {
            known
        } else {
            let last = last(entries)?;
            let begin = entry(last, Row::DEPLOYMENT, [0; 16]);
            (last, u32::try_from(entries.range::<&Entry>(&begin..)?.count()).unwrap_or(u32::MAX))
        };
        let next = if count < SEGMENT { (segment, count + 1) } else { (segment.saturating_add(1), 1) };
        self.0.set(Some(next));
        Ok(next.0)
    }
}

/// Lets a subject be found by a hash, if it is not yet.
pub(super) fn enter(
    entries: &mut Entries<'_>,
    records: &mut Bytes<'_>,
    last: &Last,
    row: Row,
    key: Blind,
) -> Result<(), redb::Error> {
    let own = record_key(row, Space::Index, &key);
    if records.get(own.as_slice())?.is_none() {
        let segment = last.next(entries)?;
        records.insert(own.as_slice(), segment.to_be_bytes().as_slice())?;
        entries.insert(&entry(segment, row, key), ())?;
    }
    Ok(())
}

/// Lets a subject not be found by a hash any more. What stands at the subject
/// is `own`, and is removed by the caller.
pub(super) fn remove(entries: &mut Entries<'_>, row: Row, key: Blind, own: &[u8]) -> Result<(), redb::Error> {
    if let Ok(segment) = own.try_into() {
        entries.remove(&entry(u32::from_be_bytes(segment), row, key))?;
    }
    Ok(())
}

/// The subjects of a tenant that are found by a hash.
pub(super) fn found(
    entries: &impl ReadableTable<&'static Entry, ()>,
    tenant: Row,
    key: Blind,
) -> Result<Vec<Row>, redb::Error> {
    let mut found = Vec::new();
    for segment in 0..=last(entries)? {
        let [from, to] = [[0; 16], [0xff; 16]].map(|subject| entry(segment, Row { subject, ..tenant }, key));
        for own in entries.range::<&Entry>(&from..=&to)? {
            found.push(parts(own?.0.value()).1);
        }
    }
    Ok(found)
}

/// The segment of an entry, its subject, and the hash.
pub(super) fn parts(entry: &Entry) -> (u32, Row, Blind) {
    let (segment, rest) = entry.split_first_chunk().unwrap_or((&[0; 4], &[]));
    let (tenant, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let (key, rest) = rest.split_first_chunk().unwrap_or((&[0; 16], &[]));
    let subject = rest.first_chunk().copied().unwrap_or_default();
    (u32::from_be_bytes(*segment), Row { tenant: *tenant, subject }, *key)
}

fn last(entries: &impl ReadableTable<&'static Entry, ()>) -> Result<u32, redb::Error> {
    Ok(entries.last()?.map_or(0, |(entry, _)| parts(entry.value()).0))
}

fn entry(segment: u32, row: Row, key: Blind) -> Entry {
    let mut entry = [0; 44];
    let parts = [&segment.to_be_bytes()[..], &row.tenant, &key, &row.subject];
    let bytes = parts.into_iter().flatten();
    entry.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    entry
}
