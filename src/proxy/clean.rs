//! Remembers texts that were looked through: those that hold nothing, and of
//! others what was found where. Clients send the same headers all day, and the
//! same instructions and earlier turns with each turn of a conversation. To know
//! one again costs a tenth of looking through it.

use crate::detect::{Outcome, Scratch};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::cell::RefCell;
use std::hash::Hasher;

/// How many texts a thread remembers, a power of two. A new one may take the
/// place of another.
const ROOM: usize = 1 << 14;

/// The same of texts that hold something.
const OUTCOMES: usize = 1 << 11;

/// Of a shorter text it is not remembered what was found: it is scanned so fast
/// that nobody can tell by the time whether somebody else has sent it, and the
/// few texts that somebody could guess are short.
pub(super) const SHORTEST: usize = 64;

/// A text that holds more is not remembered; so a thread keeps 6 MiB at most.
const MOST_FINDINGS: usize = 32;

thread_local! {
    static PRINTS: RefCell<Vec<u128>> = RefCell::new(vec![0; ROOM]);
    static FOUND: RefCell<Vec<Option<Found>>> = RefCell::new((0..OUTCOMES).map(|_| None).collect());
}

/// What was found in a text.
struct Found {
    print: u128,
    outcome: Outcome,
    is_all: bool,
}

/// What is remembered under one plan of an engine. Nothing is kept of a text but its
/// 128-bit hash under this random key, and the places of what was found. So nobody
/// can make up a text that is taken for another, and the memory tells nobody what
/// was sent.
pub(super) struct Clean(SipHasher13);

/// The hash of a text.
#[derive(Clone, Copy)]
pub(super) struct Print(u128);

impl Clean {
    pub(super) fn new() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut key = [0; 16];
        aws_lc_rs::rand::fill(&mut key)?;
        Ok(Self(SipHasher13::new_with_key(&key)))
    }

    /// Of a header by its name, which is empty for the address.
    pub(super) fn print(&self, name: &str, value: &[u8]) -> Print {
        self.print_where(|_| {}, name, value)
    }

    /// Of a text by its name, where it is looked at in a way that `state` tells.
    pub(super) fn print_where(&self, state: impl FnOnce(&mut SipHasher13), name: &str, value: &[u8]) -> Print {
        let mut hasher = self.0;
        hasher.write(name.as_bytes());
        // No UTF-8 holds it.
        hasher.write_u8(0xff);
        state(&mut hasher);
        hasher.write(value);
        Print(hasher.finish128().as_u128())
    }
}

impl Print {
    /// Whether the part is known to hold nothing.
    pub(super) fn is_known(self) -> bool {
        // Zeros mark a free place.
        self.0 != 0 && PRINTS.with_borrow(|prints| prints.get(self.place()) == Some(&self.0))
    }

    /// The part holds nothing.
    pub(super) fn remember(self) {
        PRINTS.with_borrow_mut(|prints| {
            if let Some(place) = prints.get_mut(self.place()) {
                *place = self.0;
            }
        });
    }

    /// Leaves what was found in the text as a scan would, where it is known;
    /// tells whether that is all that it holds.
    pub(super) fn recall(self, text: &str, scratch: &mut Scratch) -> Option<bool> {
        FOUND.with_borrow(|found| {
            let known = found.get(self.0 as usize & (OUTCOMES - 1))?.as_ref().filter(|known| known.print == self.0)?;
            scratch.recall(text, &known.outcome);
            Some(known.is_all)
        })
    }

    /// Remembers what a scan found in the text, and whether that is all that it holds.
    pub(super) fn remember_found(self, outcome: Outcome, is_all: bool) {
        if outcome.count() > MOST_FINDINGS {
            return;
        }
        FOUND.with_borrow_mut(|found| {
            if let Some(place) = found.get_mut(self.0 as usize & (OUTCOMES - 1)) {
                *place = Some(Found { print: self.0, outcome, is_all });
            }
        });
    }

    fn place(self) -> usize {
        self.0 as usize & (ROOM - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_part_under_the_same_key_is_known() {
        let (clean, other) = (Clean::new().unwrap(), Clean::new().unwrap());
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
        let (clean, mut scratch) = (Clean::new().unwrap(), Scratch::default());
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
        assert_eq!(Clean::new().unwrap().print("", mail.as_bytes()).recall(mail, &mut scratch), None);
        let many: String = (0..=MOST_FINDINGS).map(|n| format!("a{n}@example.com ")).collect();
        print(&many).remember_found(outcome(&many).unwrap(), true);
        assert_eq!(print(&many).recall(&many, &mut scratch), None, "they are too many");
        for n in 0..3 * OUTCOMES {
            let text = format!("b{n}@example.com");
            print(&text).remember_found(outcome(mail).unwrap(), false);
        }
        assert!(FOUND.with_borrow(|found| found.len() == OUTCOMES && found.iter().flatten().count() > OUTCOMES / 2));
        assert!(size_of::<Found>() + MOST_FINDINGS * size_of::<crate::detect::Finding>() + 64 * 16 < 3 << 10);
    }

    #[test]
    fn a_full_memory_forgets_and_never_errs() {
        let clean = Clean::new().unwrap();
        let print = |n: usize| clean.print("n", &n.to_le_bytes());
        (0..4 * ROOM).for_each(|n| print(n).remember());
        let known = (0..4 * ROOM).filter(|&n| print(n).is_known()).count();
        assert!(known > ROOM / 2 && known <= ROOM, "{known}");
        assert!((4 * ROOM..8 * ROOM).all(|n| !print(n).is_known()));
    }
}
