//! Withdrawals that were made after a backup: a restore makes them again, as
//! the file of erasures holds them.
//!
//! The ledger numbers the statements of a subject, and files each once more at
//! its tenant, by time. A withdrawal goes behind what is restored of these, in
//! one write with it, so that at no moment it does not hold.

use crate::store::{Change, Event, EventKind, Expect, Row, Space};
use crate::vault::Shared;
use crate::vault::erasures::Erasure;
use crate::vault::error::VaultError;
use crate::vault::records::Records;
use crate::vault::seal::Nonces;
use std::collections::{HashMap, HashSet};

/// How often the statements of a subject may change while they are restored.
const ATTEMPTS: usize = 16;
/// More than the ledger keeps of a subject.
const ALL: usize = 1 << 20;

/// Key and sealed contents of a statement.
pub(super) type Stored = (Vec<u8>, Vec<u8>);

/// What was withdrawn, by the row of who did.
#[derive(Default)]
pub(super) struct Withdrawals {
    own: HashMap<Row, Vec<Lost>>,
    /// Under rows of the vault that the backup is of, where that is another.
    foreign: HashMap<Row, Vec<Lost>>,
}

/// A withdrawal that may be lost.
pub(super) struct Lost {
    /// Unix seconds.
    at: u64,
    contents: Vec<u8>,
}

impl Withdrawals {
    /// Takes one in, of the vault that has these records.
    pub(super) fn take(&mut self, records: &Records, is_own: bool, erasure: Erasure) {
        let Erasure { at, row, statement: Some(statement), .. } = erasure else { return };
        let rows = if is_own { &mut self.own } else { &mut self.foreign };
        // Its MAC says that this vault wrote it, so it opens.
        if let Ok(contents) = records.open(row, Space::Consent, &statement.number, &statement.sealed) {
            rows.entry(row).or_default().push(Lost { at, contents });
        }
    }

    pub(super) fn are_of(&self, row: Row) -> bool {
        self.own.contains_key(&row)
    }

    pub(super) fn of(&mut self, row: Row) -> Vec<Lost> {
        self.own.remove(&row).unwrap_or_default()
    }

    /// Those of a subject that is filed under another row now.
    pub(super) fn of_moved(&mut self, row: Row) -> Option<Vec<Lost>> {
        self.foreign.remove(&row)
    }

    /// Those of subjects of whom the backup has no statement.
    pub(super) fn rest(&mut self) -> HashMap<Row, Vec<Lost>> {
        std::mem::take(&mut self.own)
    }
}

/// Restores the statements of a subject that are missing, with the withdrawals
/// behind them that are. Says how many of either.
pub(super) async fn replay(
    vault: &Shared,
    row: Row,
    restored: Vec<Stored>,
    lost: Vec<Lost>,
) -> Result<(u64, u64), VaultError> {
    let records = &vault.records;
    for _ in 0..ATTEMPTS {
        let standing = vault.store.scan(row, Space::Consent, None, ALL).await?;
        let taken: HashSet<&[u8]> = standing.iter().map(|(key, _)| key.as_slice()).collect();
        let missing: Vec<_> = restored.iter().filter(|(key, _)| !taken.contains(key.as_slice())).collect();
        let all = || standing.iter().chain(missing.iter().copied());
        // What does not open is no withdrawal that could be there already.
        let mut known: HashSet<Vec<u8>> =
            all().filter_map(|(key, sealed)| records.open(row, Space::Consent, key, sealed).ok()).collect();
        let last = all().filter_map(|(key, _)| key.as_slice().try_into().ok().map(u64::from_be_bytes)).max();
        let mut number = last.map_or(0, |last| last + 1);
        let change = |(key, sealed): &Stored| Change {
            row,
            space: Space::Consent,
            key: key.clone(),
            expect: Expect::Absent,
            value: Some(sealed.clone()),
        };
        let mut changes: Vec<Change> = missing.iter().map(|one| change(one)).collect();
        let (added, mut again, mut nonces) = (changes.len() as u64, 0, Nonces::default());
        for Lost { at, contents } in &lost {
            if !known.insert(contents.clone()) {
                continue;
            }
            let key = number.to_be_bytes();
            let own = records.change(row, Space::Consent, &key, contents, &mut nonces)?;
            changes.push(Change { expect: Expect::Absent, ..own });
            let tenant = Row { tenant: row.tenant, ..Row::DEPLOYMENT };
            let place = [&at.to_be_bytes()[..], &row.to_bytes(), &key].concat();
            changes.push(records.change(tenant, Space::Consent, &place, contents, &mut nonces)?);
            (number, again) = (number + 1, again + 1);
        }
        if changes.is_empty() {
            return Ok((0, 0));
        }
        let event = (again > 0).then_some(Event { row, kind: EventKind::Withdrawn });
        if vault.store.write(changes, event).await? {
            if let Some(event) = event {
                records.announce(event);
            }
            return Ok((added, again));
        }
    }
    Err(VaultError::unavailable("the statements of a subject keep changing"))
}
