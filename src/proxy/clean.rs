//! Remembers texts that were looked through: those that hold nothing, and of
//! others what was found where. Clients send the same headers all day, and the
//! same instructions and earlier turns with each turn of a conversation. To know
//! one again costs a tenth of looking through it.

use crate::detect::{Outcome, Scratch};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many texts that hold nothing are remembered, a power of two. A new one may
/// take the place of another.
const ROOM: usize = 1 << 16;

/// The same of texts that hold something.
const OUTCOMES: usize = 1 << 12;

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
    clean: Box<[[AtomicU64; 2]]>,
    found: Box<[Mutex<Option<Box<Found>>>]>,
}

/// What was found in a text.
struct Found {
    print: u128,
    outcome: Outcome,
    is_all: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            clean: std::iter::repeat_with(Default::default).take(ROOM).collect(),
            found: std::iter::repeat_with(Mutex::default).take(OUTCOMES).collect(),
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
        let place = self.seen.clean.get(self.hash as usize & (ROOM - 1));
        // Zeros mark a free place.
        self.hash != 0
            && place.is_some_and(|place| place.each_ref().map(|half| half.load(Ordering::Relaxed)) == self.halves())
    }

    /// The part holds nothing.
    pub(super) fn remember(self) {
        if let Some(place) = self.seen.clean.get(self.hash as usize & (ROOM - 1)) {
            place.iter().zip(self.halves()).for_each(|(to, half)| to.store(half, Ordering::Relaxed));
        }
    }

    /// Leaves what was found in the text as a scan would, where it is known;
    /// tells whether that is all that it holds.
    pub(super) fn recall(self, text: &str, scratch: &mut Scratch) -> Option<bool> {
        let place = self.found()?.lock().unwrap_or_else(PoisonError::into_inner);
        let known = place.as_ref().filter(|known| known.print == self.hash)?;
        scratch.recall(text, &known.outcome);
        Some(known.is_all)
    }

    /// Remembers what a scan found in the text, and whether that is all that it holds.
    pub(super) fn remember_found(self, outcome: Outcome, is_all: bool) {
        if outcome.count() <= MOST_FINDINGS
            && let Some(place) = self.found()
        {
            let found = Box::new(Found { print: self.hash, outcome, is_all });
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        }
    }

    fn found(&self) -> Option<&Mutex<Option<Box<Found>>>> {
        self.seen.found.get(self.hash as usize & (OUTCOMES - 1))
    }

    fn halves(self) -> [u64; 2] {
        [self.hash as u64, (self.hash >> 64) as u64]
    }
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
        let kept = clean.seen.found.iter().filter(|place| place.lock().unwrap().is_some()).count();
        assert!(kept > OUTCOMES / 2 && kept <= OUTCOMES, "{kept}");
        assert!(size_of::<Found>() + MOST_FINDINGS * size_of::<crate::detect::Finding>() + 64 * 16 < 3 << 10);
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
