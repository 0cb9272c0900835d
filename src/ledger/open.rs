//! What stands open on somebody's consent: a withdrawal ends it.

use crate::clock;
use crate::store::Row;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Parts that are locked apart.
const PARTS: usize = 16;

/// The exchanges and sockets that stand open.
#[derive(Clone, Default)]
pub(super) struct Open(Arc<Parts>);

#[derive(Default)]
struct Parts {
    parts: [Mutex<HashMap<Row, Vec<Entry>>>; PARTS],
    count: AtomicU64,
}

struct Entry {
    number: u64,
    /// In Unix seconds.
    begun: u64,
    /// The purposes whose consent it stands on. Without any, only what ends
    /// all of a subject ends it.
    purposes: [Option<Arc<str>>; 2],
    /// Whether an objection by a signal ends it.
    yields: bool,
    ended: CancellationToken,
}

impl Entry {
    fn stands_on(&self, is_over: impl Fn(&str) -> bool) -> bool {
        self.purposes.iter().flatten().any(|purpose| is_over(purpose))
    }
}

/// What is told of a withdrawal; no more once this is dropped.
pub struct Registered {
    open: Open,
    row: Row,
    number: u64,
    ended: CancellationToken,
}

impl Registered {
    /// Cancelled where the consent is withdrawn.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// From now on it stands on the consent to this purpose too.
    pub fn also(&self, purpose: &str) {
        self.change(|entry| {
            if !entry.stands_on(|known| known == purpose)
                && let Some(free) = entry.purposes.iter_mut().find(|place| place.is_none())
            {
                *free = Some(purpose.into());
            }
        });
    }

    /// From now on an objection by a signal ends it.
    pub fn yields(&self) {
        self.change(|entry| entry.yields = true);
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        let mut part = self.open.part(self.row);
        let mut entries = part.get_mut(&self.row).into_iter().flatten();
        if let Some(entry) = entries.find(|one| one.number == self.number) {
            change(entry);
        }
    }
}

impl Open {
    /// From now on a withdrawal of this subject's consent to the purpose, if it
    /// stands on one, cancels `ended`; so does what ends all of the subject.
    pub(super) fn register(&self, row: Row, purpose: Option<&Arc<str>>, ended: CancellationToken) -> Registered {
        let number = self.0.count.fetch_add(1, Ordering::Relaxed);
        let begun = clock::unix_seconds();
        let purposes = [purpose.cloned(), None];
        let entry = Entry { number, begun, purposes, yields: false, ended: ended.clone() };
        self.part(row).entry(row).or_default().push(entry);
        Registered { open: self.clone(), row, number, ended }
    }

    /// Ends what stands open on purposes of which `is_over` says so. Gives how
    /// many were told.
    pub(super) fn end(&self, row: Row, is_over: impl Fn(&str) -> bool) -> usize {
        let over = self.standing(row, is_over);
        over.iter().for_each(CancellationToken::cancel);
        over.len()
    }

    /// Ends all that stands open of a subject. Gives how many were told.
    pub(super) fn end_all(&self, row: Row) -> usize {
        let over = self.told(row, |_| true);
        over.iter().for_each(CancellationToken::cancel);
        over.len()
    }

    /// Ends what began before this moment, in Unix seconds.
    pub(super) fn end_begun_before(&self, row: Row, moment: u64) {
        self.told(row, |entry| entry.begun < moment).iter().for_each(CancellationToken::cancel);
    }

    /// Ends what of a subject yields to an objection by a signal.
    pub(super) fn end_yielding(&self, row: Row) {
        self.told(row, |entry| entry.yields).iter().for_each(CancellationToken::cancel);
    }

    /// What cancels that which stands open on such purposes and was not told yet.
    pub(super) fn standing(&self, row: Row, is_over: impl Fn(&str) -> bool) -> Vec<CancellationToken> {
        self.told(row, |entry| entry.stands_on(&is_over))
    }

    fn told(&self, row: Row, is_meant: impl Fn(&Entry) -> bool) -> Vec<CancellationToken> {
        let part = self.part(row);
        let over = part.get(&row).into_iter().flatten().filter(|entry| is_meant(entry));
        over.map(|entry| entry.ended.clone()).filter(|ended| !ended.is_cancelled()).collect()
    }

    /// The rows of which something stands open.
    pub(super) fn rows(&self) -> Vec<Row> {
        self.0.parts.iter().flat_map(|part| lock(part).keys().copied().collect::<Vec<_>>()).collect()
    }

    fn part(&self, row: Row) -> MutexGuard<'_, HashMap<Row, Vec<Entry>>> {
        let [.., last] = row.subject;
        let parts = &self.0.parts;
        lock(parts.get(last as usize % PARTS).unwrap_or(&parts[0]))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut part = self.open.part(self.row);
        if let Some(entries) = part.get_mut(&self.row) {
            entries.retain(|entry| entry.number != self.number);
            if entries.is_empty() {
                part.remove(&self.row);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subjects_own_are_told() {
        let open = Open::default();
        let row = |n: u8| Row { tenant: [1; 8], subject: [n; 16] };
        let (p, q): (Arc<str>, Arc<str>) = ("p".into(), "q".into());
        let mut all = vec![
            open.register(row(1), Some(&p), CancellationToken::new()),
            open.register(row(1), Some(&p), CancellationToken::new()),
            open.register(row(2), Some(&p), CancellationToken::new()),
            open.register(row(17), Some(&p), CancellationToken::new()),
            open.register(row(1), Some(&q), CancellationToken::new()),
        ];
        assert_eq!(open.end(row(1), |purpose| purpose == "p"), 2);
        assert_eq!(open.end(row(1), |purpose| purpose == "p"), 0, "they were told");
        let told: Vec<bool> = all.iter().map(|one| one.ended().is_cancelled()).collect();
        assert_eq!(told, [true, true, false, false, false]);
        all.truncate(3);
        assert_eq!(open.end(row(17), |_| true), 0, "it has ended before");
        assert_eq!((open.end(row(2), |_| true), open.rows().len()), (1, 2));
        drop(all);
        assert!(open.rows().is_empty());
    }

    #[test]
    fn what_stands_on_no_consent_ends_with_the_subject_alone() {
        let open = Open::default();
        let row = Row { tenant: [1; 8], subject: [1; 16] };
        let free = open.register(row, None, CancellationToken::new());
        assert_eq!(open.end(row, |_| true), 0, "a withdrawal is not of its affair");
        free.also("health");
        free.also("health");
        assert_eq!(open.end(row, |purpose| purpose == "support"), 0);
        assert_eq!((open.end(row, |purpose| purpose == "health"), free.ended().is_cancelled()), (1, true));
        let other = open.register(row, None, CancellationToken::new());
        assert_eq!((open.end_all(row), other.ended().is_cancelled()), (1, true));
    }
}
