//! Subjects whose values live in memory alone: those of one request, and all
//! of a `memory:` vault. Nothing of them is sealed, as nothing is written.

use super::error::VaultError;
use super::hashing::Hashing;
use super::mint::{MAX_COUNTER, NO_ROOM};
use super::mix::Mix;
use super::seal::random;
use super::surrogates::{self, Surrogates};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::token::{Kinds, Token};
use aws_lc_rs::hmac;
use dashmap::DashMap;
use siphasher::sip::SipHasher24;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroize;

/// How many bits of a token carry its value.
const TOKEN_BITS: u32 = 35;

/// A vault that forgets with the process.
pub(super) struct Memory {
    keys: VolatileKeys,
    /// By tenant and subject.
    subjects: DashMap<Box<str>, Arc<Volatile>>,
    token_mask: u64,
    hashing: hmac::Key,
}

impl Memory {
    pub(super) fn new(token_mask: u64) -> Result<Self, VaultError> {
        Ok(Self {
            keys: VolatileKeys::new()?,
            subjects: DashMap::new(),
            token_mask,
            hashing: hmac::Key::new(hmac::HMAC_SHA256, random::<32>()?.as_ref()),
        })
    }

    pub(super) fn hashing(&self, tenant: &str) -> Hashing {
        Hashing::new(&self.hashing, tenant)
    }

    pub(super) fn passing_subject(&self) -> Volatile {
        Volatile::new(self.keys.next(), self.token_mask)
    }

    pub(super) fn subject(&self, tenant: &str, subject: &str) -> Arc<Volatile> {
        // A tenant's name has no zero byte, so no two pairs are one key.
        let name = [tenant, "\0", subject].concat();
        if let Some(known) = self.subjects.get(name.as_str()) {
            return Arc::clone(&known);
        }
        let new = || Arc::new(self.passing_subject());
        Arc::clone(&self.subjects.entry(name.into_boxed_str()).or_insert_with(new))
    }
}

/// One subject.
pub(super) struct Volatile {
    key: VolatileKey,
    token_mask: u64,
    known: Mutex<Known>,
    surrogates: Mutex<surrogates::Known>,
}

#[derive(Default)]
struct Known {
    /// By the 35 bits of the token and, above them, the place of its entity in
    /// `entities`: small keys, as a busy subject has many.
    values: HashMap<u64, Arc<Sensitive>, BuildHasherDefault<Mix>>,
    entities: Vec<Entity>,
    kinds: Arc<Kinds>,
}

impl Known {
    fn key(&self, token: &Token) -> Option<u64> {
        let entity = token.entity();
        self.entities.iter().position(|known| *known == entity).map(|at| token.bits() | (at as u64) << TOKEN_BITS)
    }

    fn key_or_new(&mut self, token: &Token) -> u64 {
        if let Some(key) = self.key(token) {
            return key;
        }
        self.entities.push(token.entity());
        Arc::make_mut(&mut self.kinds).insert(token.entity());
        token.bits() | ((self.entities.len() - 1) as u64) << TOKEN_BITS
    }
}

impl Volatile {
    pub(super) fn new(key: VolatileKey, token_mask: u64) -> Self {
        Self { key, token_mask, known: Mutex::default(), surrogates: Mutex::default() }
    }

    pub(super) fn tokenize(&self, values: &[(Entity, &str)]) -> Result<Vec<Token>, VaultError> {
        let mut known = self.known();
        known.values.reserve(values.len());
        values.iter().map(|(entity, value)| self.token(&mut known, *entity, value)).collect()
    }

    fn token(&self, known: &mut Known, entity: Entity, value: &str) -> Result<Token, VaultError> {
        for counter in 0..MAX_COUNTER {
            let token = self.key.token(entity, value, counter, self.token_mask);
            let key = known.key_or_new(&token);
            match known.values.entry(key) {
                Entry::Vacant(free) => {
                    free.insert(Arc::new(Sensitive::from(value)));
                    return Ok(token);
                }
                Entry::Occupied(same) if same.get().expose() == value => return Ok(token),
                Entry::Occupied(_) => {}
            }
        }
        Err(NO_ROOM)
    }

    pub(super) fn value(&self, token: &Token) -> Option<Arc<Sensitive>> {
        let known = self.known();
        known.values.get(&known.key(token)?).cloned()
    }

    pub(super) fn mint_surrogates(
        &self,
        values: &[(Entity, &str)],
        standing: &dyn Fn(&str) -> bool,
    ) -> Vec<Option<String>> {
        let seed = |entity: Entity, text: &str| self.key.seed(entity, text);
        self.surrogates.lock().unwrap_or_else(PoisonError::into_inner).mint(values, &seed, standing)
    }

    pub(super) fn surrogates(&self) -> Surrogates {
        self.surrogates.lock().unwrap_or_else(PoisonError::into_inner).share()
    }

    pub(super) fn kinds(&self) -> Arc<Kinds> {
        Arc::clone(&self.known().kinds)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes keys for such subjects, unlinkable to each other: each is a keyed
/// function of its own number under one random key.
pub(super) struct VolatileKeys {
    root: VolatileKey,
    next: AtomicU64,
}

impl VolatileKeys {
    pub(super) fn new() -> Result<Self, VaultError> {
        let secret = random::<16>()?;
        let (halves, _) = secret.as_chunks::<8>();
        let half = |n: usize| halves.get(n).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Ok(Self { root: VolatileKey(half(0), half(1)), next: AtomicU64::new(0) })
    }

    pub(super) fn next(&self) -> VolatileKey {
        let number = self.next.fetch_add(2, Ordering::Relaxed);
        let half = |n: u64| self.root.hasher().hash(&n.to_le_bytes());
        VolatileKey(half(number), half(number + 1))
    }
}

/// The key of the tokens of one such subject.
///
/// `SipHash`-2-4 (Aumasson, Bernstein, 2012), a keyed function for short inputs
/// with a key of 128 bits. These tokens need not be the same after a restart,
/// so their function may be another than that of stored ones.
pub(super) struct VolatileKey(u64, u64);

impl Drop for VolatileKey {
    fn drop(&mut self) {
        self.0.zeroize();
        self.1.zeroize();
    }
}

impl VolatileKey {
    fn hasher(&self) -> SipHasher24 {
        SipHasher24::new_with_keys(self.0, self.1)
    }

    /// What the choice of a surrogate starts from.
    fn seed(&self, entity: Entity, text: &str) -> u64 {
        let mut hasher = self.hasher();
        // No entity starts so, and so no token is made of the same.
        hasher.write(b"~");
        hasher.write(entity.as_bytes());
        hasher.write(&[0]);
        hasher.write(text.as_bytes());
        hasher.finish()
    }

    fn token(&self, entity: Entity, value: &str, counter: u32, mask: u64) -> Token {
        let mut hasher = self.hasher();
        hasher.write(entity.as_bytes());
        hasher.write(&[0]);
        hasher.write(value.as_bytes());
        // Four bytes at the end, so no value can pass for another with a counter.
        hasher.write(&counter.to_be_bytes());
        Token::new(entity, (hasher.finish() >> (64 - TOKEN_BITS)) & mask)
    }
}
