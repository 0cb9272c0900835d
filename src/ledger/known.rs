//! What was read of the ledger, so that a request without news asks no store.

use super::state::State;
use crate::store::Row;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many subjects are known at a time, at most.
const ROOM: usize = 32 * 1024;

/// Parts that are locked apart.
const PARTS: usize = 16;

/// How much of what a client has presented is known again by its bytes.
const PRESENTED: usize = 16;

/// How long news of other replicas may be on their way.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// The state of a subject, and what it has presented of late.
#[derive(Debug, Default)]
pub struct Known {
    pub(super) state: State,
    /// Hashes of headers and tokens that are recorded.
    presented: Mutex<Vec<u64>>,
    signals: Mutex<Signals>,
}

/// What replicas have told each other of objections by a signal.
#[derive(Debug, Default)]
struct Signals {
    /// When the last one came here.
    last: Option<Instant>,
    /// Whether all were told of it, and nothing was opened since that yields.
    is_told: bool,
    /// Whether all were told that here something may be open that yields.
    is_open: bool,
}

impl Known {
    pub(super) fn new(state: State) -> Self {
        Self { state, presented: Mutex::default(), signals: Mutex::default() }
    }

    /// An objection by a signal came. Whether others must be told.
    pub(super) fn is_signalled(&self) -> bool {
        let mut signals = lock(&self.signals);
        signals.last = Some(Instant::now());
        !std::mem::replace(&mut signals.is_told, true)
    }

    /// Something that yields is about to be opened. Whether others must be told.
    pub(super) fn is_opened(&self) -> bool {
        !std::mem::replace(&mut lock(&self.signals).is_open, true)
    }

    /// An objection by a signal was told to all.
    pub(super) fn was_signalled(&self) {
        lock(&self.signals).is_open = false;
    }

    /// Something that yields was opened somewhere. Whether a signal that came
    /// here just before must be told again.
    pub(super) fn was_opened(&self) -> bool {
        let mut signals = lock(&self.signals);
        signals.is_told = false;
        signals.last.is_some_and(|last| last.elapsed() < ON_THE_WAY)
    }

    /// What follows from the statements.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether what has this hash is recorded.
    pub fn has_recorded(&self, presented: u64) -> bool {
        lock(&self.presented).contains(&presented)
    }

    pub(super) fn is_recorded(&self, presented: u64) {
        let mut all = lock(&self.presented);
        if all.len() >= PRESENTED {
            all.remove(0);
        }
        all.push(presented);
    }
}

/// Two generations: where the young one is full, the old one is forgotten.
#[derive(Default)]
pub(super) struct Cache([Mutex<Part>; PARTS]);

#[derive(Default)]
struct Part {
    /// Rows that were forgotten for want of room; none where nobody asks.
    outlived: Option<Vec<Row>>,
    young: HashMap<Row, Arc<Known>>,
    old: HashMap<Row, Arc<Known>>,
    /// Counts what was forgotten because it changed, so that what was read
    /// before is not taken for what stands after.
    changes: u64,
}

impl Cache {
    /// One that tells whom it has forgotten for want of room.
    pub(super) fn that_tells() -> Self {
        let cache = Self::default();
        cache.0.iter().for_each(|part| lock(part).outlived = Some(Vec::new()));
        cache
    }

    /// Those who were forgotten for want of room, with whom this one shares it.
    pub(super) fn outlived(&self, row: Row) -> Vec<Row> {
        self.part(row).outlived.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What is known, else the count of changes for [`insert`](Self::insert).
    pub(super) fn find(&self, row: Row) -> Result<Arc<Known>, u64> {
        let mut part = self.part(row);
        if let Some(known) = part.young.get(&row) {
            return Ok(Arc::clone(known));
        }
        let Some(known) = part.old.remove(&row) else { return Err(part.changes) };
        part.keep(row, &known);
        Ok(known)
    }

    /// Keeps what was read, unless something changed since `changes`.
    pub(super) fn insert(&self, row: Row, known: &Arc<Known>, changes: u64) {
        let mut part = self.part(row);
        if part.changes == changes {
            part.keep(row, known);
        }
    }

    /// The count of changes, for [`replace`](Self::replace).
    pub(super) fn changes(&self, row: Row) -> u64 {
        self.part(row).changes
    }

    /// Keeps what was written. Where something else changed since `changes`, it
    /// may be older than that, so nothing is known then.
    pub(super) fn replace(&self, row: Row, known: &Arc<Known>, changes: u64) {
        let mut part = self.part(row);
        let is_newest = part.changes == changes;
        part.forget(row);
        if is_newest {
            part.keep(row, known);
        }
    }

    pub(super) fn forget(&self, row: Row) {
        self.part(row).forget(row);
    }

    pub(super) fn forget_all(&self) {
        for part in &self.0 {
            let mut part = lock(part);
            let changes = part.changes + 1;
            *part = Part { changes, outlived: part.outlived.take(), ..Part::default() };
        }
    }

    fn part(&self, row: Row) -> MutexGuard<'_, Part> {
        let [.., last] = row.subject;
        lock(self.0.get(last as usize % PARTS).unwrap_or(&self.0[0]))
    }
}

impl Part {
    fn keep(&mut self, row: Row, known: &Arc<Known>) {
        if self.young.len() >= ROOM / PARTS / 2 {
            let gone = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            if let Some(outlived) = &mut self.outlived {
                outlived.extend(gone.into_keys());
            }
        }
        self.young.insert(row, Arc::clone(known));
    }

    fn forget(&mut self, row: Row) {
        self.changes += 1;
        self.young.remove(&row);
        self.old.remove(&row);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: usize) -> Row {
        let mut subject = [0; 16];
        subject[..8].copy_from_slice(&n.to_le_bytes());
        subject[15] = n as u8;
        Row { tenant: [0; 8], subject }
    }

    #[test]
    fn what_changed_since_is_not_kept() {
        let cache = Cache::default();
        let known = Arc::new(Known::default());
        let before = cache.find(row(1)).unwrap_err();
        cache.forget(row(1));
        cache.insert(row(1), &known, before);
        let before = cache.find(row(1)).unwrap_err();
        cache.insert(row(1), &known, before);
        assert!(cache.find(row(1)).is_ok());
        cache.forget_all();
        assert!(cache.find(row(1)).is_err());
    }

    /// Two write, the later one tells first: what it has written stays known,
    /// or nothing is.
    #[test]
    fn what_is_written_earlier_does_not_hide_what_is_written_later() {
        let cache = Cache::default();
        let [given, withdrawn] = [(); 2].map(|()| Arc::new(Known::default()));
        let [first, second] = [(); 2].map(|()| cache.changes(row(1)));
        cache.replace(row(1), &withdrawn, second);
        assert!(cache.find(row(1)).is_ok_and(|known| Arc::ptr_eq(&known, &withdrawn)));
        cache.replace(row(1), &given, first);
        let read = cache.find(row(1)).expect_err("nobody can tell which is the newer one");
        cache.replace(row(1), &withdrawn, cache.changes(row(1)));
        cache.insert(row(1), &given, read);
        assert!(cache.find(row(1)).is_ok_and(|known| Arc::ptr_eq(&known, &withdrawn)));
    }

    #[test]
    fn what_is_known_is_bounded_and_what_is_used_stays() {
        let cache = Cache::default();
        let known = Arc::new(Known::default());
        for n in 0..4 * ROOM {
            if let Err(changes) = cache.find(row(n)) {
                cache.insert(row(n), &known, changes);
            }
            if let Err(changes) = cache.find(row(0)) {
                assert_eq!(n, 0, "it was forgotten");
                cache.insert(row(0), &known, changes);
            }
        }
        let kept = |part: &Mutex<Part>| {
            let part = lock(part);
            part.young.len() + part.old.len()
        };
        let kept: usize = cache.0.iter().map(kept).sum();
        assert!((ROOM / 4..=ROOM).contains(&kept), "{kept}");
    }
}
