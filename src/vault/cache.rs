//! The hot cache: values by token, and unwrapped keys by subject, together
//! below one budget of bytes, by which all is counted that they take of memory:
//! tables at their emptiest and what allocators round up, too.
//!
//! Eviction is CLOCK with a second chance: each ring holds the keys in the
//! order they came; the hand takes the oldest, spares it once where it was
//! used since, and never takes a subject that somebody holds, so that there is
//! at most one live state of a subject. Every call returns clones: no lock
//! outlives it.

use super::mix::Mix;
use crate::sensitive::Sensitive;
use crate::store::Row;
use crate::token::Token;
use dashmap::{DashMap, Entry};
use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::mem::{self, size_of};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const RINGS: usize = 16;
/// For so many entries there is room from the beginning, at most.
const RESERVED: usize = 1 << 20;
/// How many entries one insertion may look at: a bound on its time.
const STEPS: usize = 64;

pub(super) struct Cache<S> {
    map: DashMap<Place, Slot<S>, BuildHasherDefault<Mix>>,
    rings: [Mutex<VecDeque<Place>>; RINGS],
    bytes: AtomicUsize,
    budget: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    row: Row,
    /// None is the subject itself.
    token: Option<Token>,
}

struct Slot<S> {
    held: Held<S>,
    cost: usize,
    used: AtomicBool,
}

enum Held<S> {
    Value(Arc<Sensitive>),
    Subject(Arc<S>),
}

impl<S> Cache<S> {
    /// A cache that takes `budget` bytes of memory at most, but for subjects that
    /// somebody holds.
    pub(super) fn new(budget: usize) -> Self {
        // Tables that never grow leave nothing behind in the allocator. What of
        // them is not used takes no memory.
        let least = overhead::<S>() + allocated(0) + allocated(counted::<Sensitive>());
        let room = (budget / least).min(RESERVED) / 20 * 21;
        Self {
            map: DashMap::with_capacity_and_hasher(2 * room, BuildHasherDefault::default()),
            rings: std::array::from_fn(|_| Mutex::new(VecDeque::with_capacity(room / RINGS))),
            bytes: AtomicUsize::new(0),
            budget,
        }
    }

    pub(super) fn value(&self, row: Row, token: &Token) -> Option<Arc<Sensitive>> {
        let slot = self.map.get(&Place { row, token: Some(*token) })?;
        slot.touch();
        match &slot.held {
            Held::Value(value) => Some(Arc::clone(value)),
            Held::Subject(_) => None,
        }
    }

    pub(super) fn insert_value(&self, row: Row, token: Token, value: Arc<Sensitive>) {
        let place = Place { row, token: Some(token) };
        let cost = allocated(value.expose().len()) + allocated(counted::<Sensitive>());
        let fresh = match self.map.entry(place) {
            // The mapping of a token never changes, so what is here is right.
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(Slot::new(Held::Value(value), cost));
                true
            }
        };
        if fresh {
            self.admit(place, cost);
        }
    }

    pub(super) fn subject(&self, row: Row) -> Option<Arc<S>> {
        let slot = self.map.get(&Place { row, token: None })?;
        slot.touch();
        match &slot.held {
            Held::Subject(subject) => Some(Arc::clone(subject)),
            Held::Value(_) => None,
        }
    }

    /// Puts a subject in where there is none; the one that is there then.
    pub(super) fn subject_or_insert(&self, row: Row, subject: Arc<S>, cost: usize) -> Arc<S> {
        let place = Place { row, token: None };
        let fresh = match self.map.entry(place) {
            Entry::Occupied(slot) => match &slot.get().held {
                Held::Subject(first) => return Arc::clone(first),
                Held::Value(_) => false,
            },
            Entry::Vacant(free) => {
                free.insert(Slot::new(Held::Subject(Arc::clone(&subject)), cost));
                true
            }
        };
        if fresh {
            self.admit(place, cost);
        }
        subject
    }

    /// Accounts for what a subject takes by now, if it is here.
    pub(super) fn recharge_subject(&self, row: Row, cost: usize) {
        let place = Place { row, token: None };
        {
            let Some(mut slot) = self.map.get_mut(&place) else { return };
            // Under the lock of the entry, so that nobody takes it out in between.
            self.bytes.fetch_add(cost, Ordering::Relaxed);
            self.bytes.fetch_sub(mem::replace(&mut slot.cost, cost), Ordering::Relaxed);
        }
        self.make_room(home(place));
    }

    /// Takes one value out. Its place in the ring is taken back by the hand.
    pub(super) fn remove_value(&self, row: Row, token: Token) {
        if let Some((_, slot)) = self.map.remove(&Place { row, token: Some(token) }) {
            self.bytes.fetch_sub(slot.cost + overhead::<S>(), Ordering::Relaxed);
        }
    }

    /// Takes out all of the rows that are asked for, but for subjects that
    /// somebody holds. It looks at every entry.
    pub(super) fn forget(&self, of: impl Fn(&Row) -> bool) {
        self.map.retain(|place, slot| {
            let stays = !of(&place.row) || slot.is_held();
            if !stays {
                self.bytes.fetch_sub(slot.cost + overhead::<S>(), Ordering::Relaxed);
            }
            stays
        });
        for index in 0..RINGS {
            self.ring(index).retain(|place| !of(&place.row) || self.map.contains_key(place));
        }
    }

    /// Shows every subject.
    pub(super) fn each_subject(&self, show: impl Fn(&S)) {
        for slot in &self.map {
            if let Held::Subject(subject) = &slot.held {
                show(subject);
            }
        }
    }

    /// Accounts for a new entry, then makes room for it.
    fn admit(&self, place: Place, cost: usize) {
        self.bytes.fetch_add(cost + overhead::<S>(), Ordering::Relaxed);
        let home = home(place);
        self.ring(home).push_back(place);
        self.make_room(home);
    }

    fn make_room(&self, home: usize) {
        for step in 0..STEPS {
            if self.bytes.load(Ordering::Relaxed) <= self.budget {
                return;
            }
            let hand = home.wrapping_add(step);
            let Some(oldest) = self.ring(hand).pop_front() else { continue };
            match self.map.remove_if(&oldest, |_, slot| slot.may_go()) {
                Some((_, slot)) => {
                    self.bytes.fetch_sub(slot.cost + overhead::<S>(), Ordering::Relaxed);
                }
                None if self.map.contains_key(&oldest) => self.ring(hand).push_back(oldest),
                // It was forgotten.
                None => {}
            }
        }
    }

    fn ring(&self, index: usize) -> std::sync::MutexGuard<'_, VecDeque<Place>> {
        let ring = self.rings.get(index % RINGS).unwrap_or(&self.rings[0]);
        ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The ring of a place, as a hash.
fn home(place: Place) -> usize {
    BuildHasherDefault::<Mix>::default().hash_one(place) as usize
}

impl<S> Slot<S> {
    fn new(held: Held<S>, cost: usize) -> Self {
        Self { held, cost, used: AtomicBool::new(false) }
    }

    fn touch(&self) {
        // Read first: a hot entry's cache line then stays shared by all cores.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Asked under the map's write lock, where nobody can take a new clone.
    fn may_go(&self) -> bool {
        !self.is_held() && !self.used.swap(false, Ordering::Relaxed)
    }

    /// The same of that.
    fn is_held(&self) -> bool {
        match &self.held {
            Held::Value(_) => false,
            Held::Subject(subject) => Arc::strong_count(subject) > 1,
        }
    }
}

/// What an entry costs beyond what it holds, at most: key and slot in the map,
/// of which a part where entries come and go is filled to seven parts in
/// thirty-two at least, and the key in its ring.
const fn overhead<S>() -> usize {
    let slot = size_of::<(Place, Slot<S>)>() + 1;
    slot * 32 / 7 + size_of::<Place>() * 5 / 4
}

/// What somebody's shared value takes with its two counts.
const fn counted<T>() -> usize {
    2 * size_of::<usize>() + size_of::<T>()
}

/// What allocators take for so many bytes.
pub(super) const fn allocated(bytes: usize) -> usize {
    (bytes + 24) & !15
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.row.hash(state);
        state.write_u64(self.token.map_or(0, |token| token.bits() | 1 << 63));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u8) -> Row {
        Row { subject: [n; 16], ..Row::DEPLOYMENT }
    }

    fn token(bits: u64) -> Token {
        Token::new("EMAIL".parse().unwrap(), bits)
    }

    fn value(text: &str) -> Arc<Sensitive> {
        Arc::new(Sensitive::from(text))
    }

    #[test]
    fn holds_values_and_subjects() {
        let cache = Cache::<u32>::new(1 << 20);
        cache.insert_value(row(1), token(7), value("ana"));
        assert_eq!(cache.value(row(1), &token(7)).unwrap().expose(), "ana");
        assert!(cache.value(row(2), &token(7)).is_none());
        assert!(cache.value(row(1), &token(8)).is_none());
        assert!(cache.subject(row(1)).is_none());
        assert_eq!(*cache.subject_or_insert(row(1), Arc::new(5), 100), 5);
        assert_eq!(*cache.subject_or_insert(row(1), Arc::new(6), 100), 5, "the first stays");
        assert_eq!(*cache.subject(row(1)).unwrap(), 5);
    }

    #[test]
    fn stays_within_its_budget() {
        let budget = 100 * one();
        let cache = Cache::<u32>::new(budget);
        for i in 0..10_000 {
            cache.insert_value(row(i as u8), token(i), value("0123456789"));
            assert!(cache.bytes() <= budget, "after {i}: {}", cache.bytes());
        }
        assert!(cache.map.len() > 80, "{} entries", cache.map.len());
        assert_eq!(cache.rings.iter().map(|r| r.lock().unwrap().len()).sum::<usize>(), cache.map.len());
    }

    /// What a value of ten bytes costs.
    fn one() -> usize {
        overhead::<u32>() + allocated(10) + allocated(counted::<Sensitive>())
    }

    /// In a process of its own, where nothing else takes memory meanwhile.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_takes_no_more_memory_than_the_budget() {
        const CHILD: &str = "PRIVET_TEST_CACHE_MEBIBYTES";
        // Without what is read of the program itself.
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
        };
        if let Ok(mebibytes) = std::env::var(CHILD) {
            let before = resident();
            let cache = Cache::<u32>::new(mebibytes.parse::<usize>().unwrap() << 20);
            let mut most = 0;
            for n in 0..400_000_u64 {
                let text = "ana.example".repeat(1 + n as usize % 5);
                cache.insert_value(row((n / 50) as u8), token(n), value(&text));
                if n % 5_000 == 0 {
                    most = most.max(resident() - before);
                }
            }
            println!("took {most} KiB");
            return;
        }
        for mebibytes in [8, 16, 20, 64] {
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            child.args(["the_process_takes_no_more_memory_than_the_budget", "--nocapture"]);
            let output = child.env(CHILD, mebibytes.to_string()).output().unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            let took = output.split("took ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
            let took: usize = took.parse().unwrap();
            println!("{took} KiB of {mebibytes} MiB");
            // Some pages may be taken by the process itself, or one large page in advance.
            assert!(took <= (mebibytes << 10) + 2560, "{took} KiB of {mebibytes} MiB");
            assert!(took >= mebibytes << 9, "{took} KiB of {mebibytes} MiB: the budget is not used");
        }
    }

    #[test]
    fn a_subject_that_grows_is_charged() {
        let cache = Cache::<u32>::new(10_000);
        drop(cache.subject_or_insert(row(1), Arc::new(5), 100));
        let before = cache.bytes();
        cache.recharge_subject(row(1), 700);
        assert_eq!(cache.bytes(), before + 600);
        cache.recharge_subject(row(1), 300);
        assert_eq!(cache.bytes(), before + 200);
        cache.recharge_subject(row(2), 300);
        assert_eq!(cache.bytes(), before + 200, "what is not here costs nothing");
        drop(cache.subject_or_insert(row(3), Arc::new(6), 100));
        cache.recharge_subject(row(3), 20_000);
        assert!(cache.subject(row(3)).is_none(), "room is made");
    }

    #[test]
    fn what_is_used_outlives_what_is_not() {
        let cache = Cache::<u32>::new(200 * one());
        for i in 0..5_000 {
            cache.insert_value(row(1), token(i), value("0123456789"));
            cache.value(row(1), &token(0));
        }
        assert!(cache.value(row(1), &token(0)).is_some());
        assert!(cache.value(row(1), &token(1)).is_none());
    }

    #[test]
    fn what_is_forgotten_is_gone_and_costs_nothing() {
        let cache = Cache::<u32>::new(1 << 20);
        let held = cache.subject_or_insert(row(1), Arc::new(5), 100);
        drop(cache.subject_or_insert(row(2), Arc::new(6), 100));
        let empty = cache.bytes() - 100 - overhead::<u32>();
        for i in 0..100 {
            cache.insert_value(row(i as u8 % 4), token(i), value("ana"));
        }
        cache.remove_value(row(3), token(3));
        assert!(cache.value(row(3), &token(3)).is_none());
        cache.forget(|of| *of == row(1) || *of == row(2));
        assert!(cache.value(row(1), &token(1)).is_none());
        assert!(cache.value(row(0), &token(4)).is_some());
        assert!(cache.subject(row(1)).is_some(), "it is in use");
        assert!(cache.subject(row(2)).is_none());
        cache.forget(|_| true);
        assert_eq!(cache.bytes(), empty);
        drop(held);
        cache.forget(|_| true);
        assert_eq!((cache.bytes(), cache.map.len()), (0, 0));
        assert_eq!(cache.rings.iter().map(|r| r.lock().unwrap().len()).sum::<usize>(), 0);
    }

    #[test]
    fn a_subject_in_use_is_never_evicted() {
        let cache = Cache::<u32>::new(0);
        let held = cache.subject_or_insert(row(1), Arc::new(5), 100);
        for i in 0..2_000 {
            cache.subject_or_insert(row((i % 200) as u8 + 2), Arc::new(0), 100);
        }
        assert!(Arc::ptr_eq(&held, &cache.subject(row(1)).unwrap()));
        drop(held);
        for i in 0..2_000 {
            cache.insert_value(row(9), token(i), value("x"));
        }
        assert!(cache.subject(row(1)).is_none());
    }
}
