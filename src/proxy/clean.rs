//! Remembers texts that were looked through: those that hold nothing, and of
//! others what was found where. Clients send the same headers all day, and the
//! same instructions and earlier turns with each turn of a conversation. To know
//! one again costs a tenth of looking through it.

use crate::detect::{Outcome, Scratch};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many texts that hold nothing are remembered, a power of two.
const ROOM: usize = 1 << 16;

/// The same of texts that hold something.
const OUTCOMES: usize = 1 << 12;

/// So many places a text may be remembered at. Where others have them all it
/// takes that of one of them; with a single place each, texts that are in use
/// would take it from one another long before the memory is full.
const WAYS: usize = 4;

/// Of a shorter text it is not remembered what was found: it is scanned so fast
/// that nobody can tell by the time whether somebody else has sent it, and the
/// few texts that somebody could guess are short.
pub(super) const SHORTEST: usize = 64;

/// A text that holds more is not remembered; so they take 12 MiB at most.
const MOST_FINDINGS: usize = 32;

/// What a gateway remembers of the texts that it looked through.
pub(super) struct Seen {
    /// The halves of prints. Of two that are written at once a half of each may
    /// stay, which is the print of no text.
    clean: Box<[Places]>,
    found: Box<[Mutex<Few>]>,
}

/// Of some texts what was found; the first is the one that was asked for last.
type Few = [Option<Box<Found>>; WAYS];

/// What was found in a text.
struct Found {
    print: u128,
    outcome: Outcome,
    is_all: bool,
}

/// The places of some texts, in one line of the processor's cache: to look there
/// is most of what it costs to know a text again.
#[derive(Default)]
#[repr(align(64))]
struct Places([[AtomicU64; 2]; WAYS]);

impl Default for Seen {
    fn default() -> Self {
        Self {
            clean: std::iter::repeat_with(Default::default).take(ROOM / WAYS).collect(),
            found: std::iter::repeat_with(Mutex::default).take(OUTCOMES / WAYS).collect(),
        }
    }
}

/// What is remembered under one plan of an engine. Nothing is kept of a text but its
/// 128-bit hash under this random key, and the places of what was found. So nobody
/// can make up a text that is taken for another, and the memory tells nobody what
/// was sent.
pub(super) struct Clean {
    key: SipHasher13,
    seen: Arc<Seen>,
}

/// The hash of a text, and where it is remembered.
#[derive(Clone, Copy)]
pub(super) struct Print<'c> {
    hash: u128,
    seen: &'c Seen,
}

impl Clean {
    /// Remembers in what may be shared with other plans.
    pub(super) fn new(seen: &Arc<Seen>) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut key = [0; 16];
        aws_lc_rs::rand::fill(&mut key)?;
        Ok(Self { key: SipHasher13::new_with_key(&key), seen: Arc::clone(seen) })
    }

    /// Of a header by its name, which is empty for the address.
    pub(super) fn print(&self, name: &str, value: &[u8]) -> Print<'_> {
        self.print_where(|_| {}, name, value)
    }

    /// Of a text by its name, where it is looked at in a way that `state` tells.
    pub(super) fn print_where(&self, state: impl FnOnce(&mut SipHasher13), name: &str, value: &[u8]) -> Print<'_> {
        let mut hasher = self.key;
        hasher.write(name.as_bytes());
        // No UTF-8 holds it.
        hasher.write_u8(0xff);
        state(&mut hasher);
        hasher.write(value);
        Print { hash: hasher.finish128().as_u128(), seen: &self.seen }
    }
}

impl Print<'_> {
    /// Whether the part is known to hold nothing.
    pub(super) fn is_known(self) -> bool {
        // Zeros mark a free place.
        self.hash != 0 && self.clean().iter().any(|place| load(place) == self.halves())
    }

    /// The part holds nothing.
    pub(super) fn remember(self) {
        let places = self.clean();
        let free = places.iter().find(|place| [[0; 2], self.halves()].contains(&load(place)));
        // Any of them is as good: the bits tell nothing of where they stand.
        if let Some(place) = free.or_else(|| places.get((self.hash >> 64) as usize % WAYS)) {
            place.iter().zip(self.halves()).for_each(|(to, half)| to.store(half, Ordering::Relaxed));
        }
    }

    /// Leaves what was found in the text as a scan would, where it is known;
    /// tells whether that is all that it holds.
    pub(super) fn recall(self, text: &str, scratch: &mut Scratch) -> Option<bool> {
        let mut places = self.found()?.lock().unwrap_or_else(PoisonError::into_inner);
        let nth = places.iter().position(|place| place.as_ref().is_some_and(|known| known.print == self.hash))?;
        places.get_mut(..=nth)?.rotate_right(1);
        let known = places.first()?.as_ref()?;
        scratch.recall(text, &known.outcome);
        Some(known.is_all)
    }

    /// Remembers what a scan found in the text, and whether that is all that it holds.
    pub(super) fn remember_found(self, outcome: Outcome, is_all: bool) {
        if outcome.count() <= MOST_FINDINGS
            && let Some(places) = self.found()
        {
            let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
            places.rotate_right(1);
            if let Some(first) = places.first_mut() {
                *first = Some(Box::new(Found { print: self.hash, outcome, is_all }));
            }
        }
    }

    fn clean(&self) -> &[[AtomicU64; 2]] {
        self.seen.clean.get(self.hash as usize % (ROOM / WAYS)).map_or(&[], |places| places.0.as_slice())
    }

    fn found(&self) -> Option<&Mutex<Few>> {
        self.seen.found.get(self.hash as usize % (OUTCOMES / WAYS))
    }

    fn halves(self) -> [u64; 2] {
        [self.hash as u64, (self.hash >> 64) as u64]
    }
}

fn load(place: &[AtomicU64; 2]) -> [u64; 2] {
    place.each_ref().map(|half| half.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Clean {
        Clean::new(&Arc::default()).unwrap()
    }

    #[test]
    fn only_the_same_part_under_the_same_key_is_known() {
        let clean = memory();
        let other = Clean::new(&clean.seen).unwrap();
        assert!(!clean.print("a", b"bc").is_known());
        clean.print("a", b"bc").remember();
        assert!(clean.print("a", b"bc").is_known());
        for (name, value) in [("a", &b"bd"[..]), ("a", b"b"), ("a", b"bc\0"), ("ab", b"c"), ("", b"bc"), ("", b"")] {
            assert!(!clean.print(name, value).is_known(), "{name} {value:?}");
        }
        assert!(!other.print("a", b"bc").is_known());
    }

    #[test]
    fn what_was_found_is_told_of_the_same_text_alone() {
        let engine = crate::detect::Engine::builtin().unwrap();
        let (clean, mut scratch) = (memory(), Scratch::default());
        let mail = "My mail is ana@example.com";
        let outcome = |text: &str| {
            let mut scratch = Scratch::default();
            scratch.start_conversation();
            engine.scan(crate::detect::Input::text(text), &mut scratch);
            scratch.outcome(text)
        };
        let print = |text: &str| clean.print("", text.as_bytes());
        assert_eq!(print(mail).recall(mail, &mut scratch), None);
        print(mail).remember_found(outcome(mail).unwrap(), true);
        assert_eq!(print(mail).recall(mail, &mut scratch), Some(true));
        assert_eq!(
            scratch.findings().iter().map(|one| &mail[one.start..one.end]).collect::<Vec<_>>(),
            ["ana@example.com"]
        );
        assert_eq!(print("My mail").recall("My mail", &mut scratch), None);
        let other = Clean::new(&clean.seen).unwrap();
        assert_eq!(other.print("", mail.as_bytes()).recall(mail, &mut scratch), None);
        let many = (0..=MOST_FINDINGS).map(|n| format!("a{n}@example.com")).collect::<Vec<_>>().join(" ");
        print(&many).remember_found(outcome(&many).unwrap(), true);
        assert_eq!(print(&many).recall(&many, &mut scratch), None, "they are too many");
        for n in 0..2 * OUTCOMES {
            let text = format!("b{n}@example.com");
            print(&text).remember_found(outcome(mail).unwrap(), false);
        }
        let in_use = |places: &Mutex<Few>| places.lock().unwrap().iter().flatten().count();
        let kept: usize = clean.seen.found.iter().map(in_use).sum();
        assert!(kept > OUTCOMES / 2 && kept <= OUTCOMES, "{kept}");
        assert!(size_of::<Found>() + MOST_FINDINGS * size_of::<crate::detect::Finding>() + 64 * 16 < 3 << 10);
    }

    #[test]
    fn texts_in_use_stay_until_the_memory_is_nearly_full() {
        let engine = crate::detect::Engine::builtin().unwrap();
        let (clean, mut scratch) = (memory(), Scratch::default());
        let mail = "My mail is ana@example.com";
        scratch.start_conversation();
        engine.scan(crate::detect::Input::text(mail), &mut scratch);
        let print = |n: usize| clean.print("n", &n.to_le_bytes());
        (0..OUTCOMES / 4).for_each(|n| print(n).remember_found(scratch.outcome(mail).unwrap(), true));
        let lost = (0..OUTCOMES / 4).filter(|&n| print(n).recall(mail, &mut scratch).is_none()).count();
        assert!(lost < OUTCOMES / 4 / 50, "{lost}");
        (0..ROOM / 4).for_each(|n| print(n).remember());
        let lost = (0..ROOM / 4).filter(|&n| !print(n).is_known()).count();
        assert!(lost < ROOM / 4 / 50, "{lost}");
    }

    #[test]
    fn what_is_asked_for_stays_longest() {
        let engine = crate::detect::Engine::builtin().unwrap();
        let (clean, mut scratch) = (memory(), Scratch::default());
        let mail = "My mail is ana@example.com";
        scratch.start_conversation();
        engine.scan(crate::detect::Input::text(mail), &mut scratch);
        let alike = |n: u128| Print { hash: n << 64 | 7, seen: &clean.seen };
        for n in 0..20 {
            alike(n).remember_found(scratch.outcome(mail).unwrap(), true);
            assert!(alike(0).recall(mail, &mut scratch).is_some(), "{n}");
        }
        let kept: Vec<_> = (0..20).filter(|&n| alike(n).recall(mail, &mut scratch).is_some()).collect();
        assert_eq!(kept, [0, 17, 18, 19]);
    }

    #[test]
    fn a_full_memory_forgets_and_never_errs() {
        let clean = memory();
        let print = |n: usize| clean.print("n", &n.to_le_bytes());
        (0..4 * ROOM).for_each(|n| print(n).remember());
        let known = (0..4 * ROOM).filter(|&n| print(n).is_known()).count();
        assert!(known > ROOM / 2 && known <= ROOM, "{known}");
        assert!((4 * ROOM..8 * ROOM).all(|n| !print(n).is_known()));
    }
}
