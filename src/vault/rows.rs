//! The rows of subjects that were asked for of late: a row is two keyed hashes
//! of SHA-256, which a request need not wait for again.

use super::mix::Mix;
use super::root::row;
use crate::store::Row;
use aws_lc_rs::hmac;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

const KEY_LABEL: &[u8] = b"privet rows\0";

/// How many rows are at hand, at most.
const ROOM: usize = 16 * 1024;

/// Parts that are locked apart.
const PARTS: usize = 16;

/// Rows by a keyed hash of tenant and subject, so that no name is kept.
pub(super) struct Rows {
    index: hmac::Key,
    key: Zeroizing<[u8; 16]>,
    parts: [Mutex<Part>; PARTS],
}

/// Two generations: where the young one is full, the old one is forgotten.
#[derive(Default)]
struct Part {
    young: Generation,
    old: Generation,
}

type Generation = HashMap<u128, Row, BuildHasherDefault<Mix>>;

impl Rows {
    pub(super) fn new(index: hmac::Key) -> Self {
        let tag = hmac::sign(&index, KEY_LABEL);
        let key = Zeroizing::new(tag.as_ref().first_chunk().copied().unwrap_or_default());
        Self { index, key, parts: Default::default() }
    }

    /// The row of a subject.
    pub(super) fn of(&self, tenant: &str, subject: &str) -> Row {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        // The length keeps ("a", "bc") apart from ("ab", "c").
        hasher.write_u64(tenant.len() as u64);
        hasher.write(tenant.as_bytes());
        hasher.write(subject.as_bytes());
        let name = hasher.finish128().as_u128();
        let part = self.parts.get(name as usize % PARTS).unwrap_or(&self.parts[0]);
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = part.young.get(&name) {
            return *row;
        }
        let row = part.old.get(&name).copied().unwrap_or_else(|| row(&self.index, tenant, subject));
        if part.young.len() >= ROOM / PARTS / 2 {
            part.old = std::mem::take(&mut part.young);
        }
        part.young.insert(name, row);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows::new(hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]))
    }

    #[test]
    fn they_are_those_of_the_vault_each_time() {
        let rows = rows();
        for _ in 0..3 {
            for (tenant, subject) in [("shop", "ana"), ("shop", "eve"), ("bank", "ana"), ("sho", "pana"), ("", "")] {
                assert_eq!(rows.of(tenant, subject), row(&rows.index, tenant, subject), "{tenant} {subject}");
            }
        }
    }

    #[test]
    fn few_are_at_hand_and_what_is_used_stays() {
        let rows = rows();
        let hold = |rows: &Rows, name: &str| {
            rows.parts.iter().any(|part| {
                let part = part.lock().unwrap();
                part.young.values().chain(part.old.values()).any(|one| *one == row(&rows.index, "shop", name))
            })
        };
        for n in 0..ROOM + ROOM / 2 {
            rows.of("shop", &n.to_string());
            if n % 64 == 0 {
                rows.of("shop", "often");
            }
        }
        let at_hand: usize = rows
            .parts
            .iter()
            .map(|part| {
                let part = part.lock().unwrap();
                part.young.len() + part.old.len()
            })
            .sum();
        assert!((ROOM / 4..=ROOM).contains(&at_hand), "{at_hand}");
        assert!(hold(&rows, "often") && !hold(&rows, "0"));
    }
}
