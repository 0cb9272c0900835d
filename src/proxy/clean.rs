//! Remembers texts that were looked through and hold nothing: clients send the
//! same headers all day, and the same instructions and earlier turns with each
//! turn of a conversation. To know one again costs a tenth of looking through it.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::cell::RefCell;
use std::hash::Hasher;

/// How many texts a thread remembers, a power of two. A new one may take the
/// place of another.
const ROOM: usize = 1 << 14;

thread_local! {
    static PRINTS: RefCell<Vec<u128>> = RefCell::new(vec![0; ROOM]);
}

/// What is remembered under one plan of an engine. Nothing is kept but 128-bit hashes
/// under this random key, so nobody can make up a text that is taken for
/// another, and the memory tells nobody what was sent.
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
    fn a_full_memory_forgets_and_never_errs() {
        let clean = Clean::new().unwrap();
        let print = |n: usize| clean.print("n", &n.to_le_bytes());
        (0..4 * ROOM).for_each(|n| print(n).remember());
        let known = (0..4 * ROOM).filter(|&n| print(n).is_known()).count();
        assert!(known > ROOM / 2 && known <= ROOM, "{known}");
        assert!((4 * ROOM..8 * ROOM).all(|n| !print(n).is_known()));
    }
}
