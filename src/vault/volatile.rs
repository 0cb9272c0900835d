//! Subjects whose values live in memory alone: those of one request, and all
//! of a `memory:` vault. Nothing of them is sealed, as nothing is written.

mod sweep;

use super::error::VaultError;
use super::find::meant;
use super::hashing::Hashing;
use super::mint::{MAX_COUNTER, NO_ROOM};
use super::mix::Mix;
use super::records::Records;
use super::retention::PurposeId;
use super::seal::random;
use super::subject_keys::Origin;
use super::surrogates::{self, Choosing, Standing, Surrogates};
use super::value::Value;
use crate::clock;
use crate::entity::Entity;
use crate::hex;
use crate::sensitive::Sensitive;
use crate::store::memory;
use crate::token::{Kinds, Token};
use aws_lc_rs::hmac;
use dashmap::DashMap;
use hashbrown::{HashTable, hash_table};
use siphasher::sip::SipHasher24;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How many subjects a vault in memory knows at most, but for those that come
/// while it forgets others.
const SUBJECTS: usize = 64 * 1024;

/// The generation of a subject that was not used yet.
const UNUSED: u32 = u32::MAX;

/// How many bits of a token carry its value.
const TOKEN_BITS: u32 = 35;

/// A vault that forgets with the process.
pub(super) struct Memory {
    keys: VolatileKeys,
    /// By tenant and subject: those of this generation, and of the one before.
    subjects: DashMap<Box<str>, Arc<Volatile>>,
    generation: AtomicU32,
    /// How many were used in this generation.
    used: AtomicUsize,
    links: AtomicUsize,
    links_for: Duration,
    token_mask: u64,
    hashing: hmac::Key,
    records: Records,
}

impl Memory {
    pub(super) fn new(token_mask: u64, links_for: Duration) -> Result<Self, VaultError> {
        let hashing = hmac::Key::new(hmac::HMAC_SHA256, random::<32>()?.as_ref());
        Ok(Self {
            records: Records::new(Arc::new(memory::Memory::default()), hashing.clone()),
            keys: VolatileKeys::new()?,
            subjects: DashMap::new(),
            generation: AtomicU32::new(0),
            used: AtomicUsize::new(0),
            links: AtomicUsize::new(0),
            links_for,
            token_mask,
            hashing,
        })
    }

    pub(super) fn hashing(&self, tenant: &str) -> Hashing {
        Hashing::new(&self.hashing, tenant)
    }

    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// How many subjects, how many tokens by entity, how many surrogates.
    pub(super) fn count(&self) -> (u64, BTreeMap<Entity, u64>, u64) {
        let (mut subjects, mut tokens, mut surrogates) = (0, BTreeMap::new(), 0);
        for subject in &self.subjects {
            subjects += 1;
            for token in subject.known().tokens() {
                *tokens.entry(token.entity()).or_default() += 1;
            }
            let known = subject.surrogates.lock().unwrap_or_else(PoisonError::into_inner);
            surrogates += known.iter().flat_map(|chosen| chosen.known.contents()).count() as u64;
        }
        (subjects, tokens, surrogates)
    }

    /// Counts links; says how many there are.
    pub(super) fn count_links(&self, more: usize, less: usize) -> usize {
        self.links.fetch_add(more, Ordering::Relaxed);
        self.links.fetch_sub(less, Ordering::Relaxed).saturating_sub(less)
    }

    pub(super) fn links_for(&self) -> Duration {
        self.links_for
    }

    pub(super) fn passing_subject(&self) -> Volatile {
        Volatile::new(self.keys.next(), self.token_mask)
    }

    pub(super) fn subject(&self, tenant: &str, subject: &str) -> Arc<Volatile> {
        // A tenant's name has no zero byte, so no two pairs are one key.
        let name = [tenant, "\0", subject].concat();
        let known = self.subjects.get(name.as_str()).map(|known| Arc::clone(&known));
        let known = known.unwrap_or_else(|| {
            let new = || Arc::new(self.passing_subject());
            Arc::clone(&self.subjects.entry(name.into_boxed_str()).or_insert_with(new))
        });
        self.is_used(&known);
        known
    }

    /// Anybody may make up subjects. Where those of a generation are as many as
    /// half of all may be, the next one begins, and who was not spoken for in
    /// the last one is forgotten.
    fn is_used(&self, subject: &Volatile) {
        let generation = self.generation.load(Ordering::Relaxed);
        if subject.generation.load(Ordering::Relaxed) == generation
            || subject.generation.swap(generation, Ordering::Relaxed) == generation
            || self.used.fetch_add(1, Ordering::Relaxed) + 1 != SUBJECTS / 2
        {
            return;
        }
        let next = generation.wrapping_add(1);
        self.used.store(0, Ordering::Relaxed);
        self.generation.store(next, Ordering::Relaxed);
        // Others come meanwhile.
        let stay = [generation, next, UNUSED];
        self.subjects.retain(|_, subject| stay.contains(&subject.generation.load(Ordering::Relaxed)));
    }

    /// A subject that is known already.
    pub(super) fn known(&self, tenant: &str, subject: &str) -> Option<Arc<Volatile>> {
        self.subjects.get([tenant, "\0", subject].concat().as_str()).map(|known| Arc::clone(&known))
    }

    /// The subjects of a tenant that have a value which is sought.
    pub(super) fn find(&self, tenant: &str, is_sought: impl Fn(Entity, &str) -> bool) -> Vec<Sensitive> {
        let of_tenant = |name: &str| name.strip_prefix(tenant)?.strip_prefix('\0').map(Sensitive::from);
        let has = |subject: &Volatile| {
            let behind_token = {
                let known = subject.known();
                let is_sought =
                    |token: Token| known.value(&token).is_some_and(|value| is_sought(token.entity(), value.expose()));
                known.tokens().any(is_sought)
            };
            let surrogates = subject.surrogates.lock().unwrap_or_else(PoisonError::into_inner);
            let mut contents = surrogates.iter().flat_map(|chosen| chosen.known.contents());
            behind_token
                || contents.any(|content| {
                    let (entity, value) = meant(Entity::SURROGATE, content.expose());
                    is_sought(entity, value)
                })
        };
        let named = self.subjects.iter().filter_map(|known| Some((of_tenant(known.key())?, Arc::clone(known.value()))));
        named.filter(|(_, known)| has(known)).map(|(subject, _)| subject).collect()
    }

    /// Forgets a subject with all its values; how many there were. Who holds it
    /// still finds nothing in it any more.
    pub(super) fn erase(&self, tenant: &str, subject: &str) -> usize {
        let name = [tenant, "\0", subject].concat();
        self.subjects.remove(name.as_str()).map_or(0, |(_, known)| known.clear())
    }
}

/// One subject.
pub(super) struct Volatile {
    key: VolatileKey,
    /// In which generation it was used last.
    generation: AtomicU32,
    token_mask: u64,
    known: Mutex<Known>,
    /// None as long as there are none, as of most.
    surrogates: Mutex<Option<Box<Chosen>>>,
}

/// Surrogates, and when and for what each was chosen.
#[derive(Default)]
struct Chosen {
    known: surrogates::Known,
    origins: Vec<Origin>,
}

/// What a subject's tokens stand for. The new values of a request stand in one
/// text: a value then costs no allocation of its own, and little memory that
/// was not in use before, which is what costs a busy gateway most.
#[derive(Default)]
struct Known {
    /// Places in `entries`, by the keys of these.
    index: HashTable<u32>,
    entries: Vec<Entry>,
    texts: Vec<Text>,
    entities: Vec<Entity>,
    kinds: Arc<Kinds>,
    /// What was changed since, by the place of its entry: the value that was
    /// corrected, none where the token stands for nothing any more.
    changed: HashMap<u32, Option<Arc<Sensitive>>>,
}

/// The values that one request brought, when, and for what.
struct Text {
    values: Arc<Sensitive>,
    origin: Origin,
}

struct Entry {
    /// The 35 bits of the token and, above them, the place of its entity in
    /// `entities`.
    key: u64,
    /// The place in `texts`, and where the value starts there. It ends where
    /// the next one starts.
    text: u32,
    start: u32,
}

impl Entry {
    /// The place of its entity.
    fn kind(&self) -> usize {
        (self.key >> TOKEN_BITS) as usize
    }
}

impl Volatile {
    pub(super) fn new(key: VolatileKey, token_mask: u64) -> Self {
        let generation = AtomicU32::new(UNUSED);
        Self { key, generation, token_mask, known: Mutex::default(), surrogates: Mutex::default() }
    }

    pub(super) fn tokenize(
        &self,
        purpose: Option<PurposeId>,
        values: &[(Entity, &str)],
    ) -> Result<Vec<Token>, VaultError> {
        let mut known = self.known();
        if known.entries.is_empty() {
            known.entries.reserve(values.len());
            known.index.reserve(values.len(), |_| 0);
        }
        let room = values.iter().map(|(_, value)| value.len()).sum();
        let mut fresh = Fresh { text: Zeroizing::default(), room };
        let tokens = values.iter().map(|(entity, value)| self.token(&mut known, *entity, value, &mut fresh)).collect();
        known.keep(fresh, purpose);
        tokens
    }

    fn token(&self, known: &mut Known, entity: Entity, value: &str, fresh: &mut Fresh) -> Result<Token, VaultError> {
        let kind = known.kind(entity);
        for counter in 0..MAX_COUNTER {
            let bits = self.key.bits(kind, value, counter) & self.token_mask;
            if known.is_or_becomes(key(kind, bits), value, fresh)? {
                return Ok(Token::new(entity, bits));
            }
        }
        Err(NO_ROOM)
    }

    /// The name of the subject in the access log.
    pub(super) fn alias(&self) -> String {
        let name = u128::from(self.key.name(0)) << 64 | u128::from(self.key.name(1));
        hex::encode(&name.to_be_bytes())
    }

    pub(super) fn value(&self, token: &Token) -> Option<Value> {
        self.known().value(token)
    }

    /// The tokens behind `after` in their order, with their values, and since
    /// when and for what they are kept.
    pub(super) fn values(&self, after: Option<&Token>, limit: usize) -> Vec<(Token, Value, Origin)> {
        let mut page: Vec<_> = {
            let known = self.known();
            let behind = |token: &Token| after.is_none_or(|after| token > after);
            let mut tokens: Vec<Token> = known.tokens().filter(behind).collect();
            tokens.sort_unstable();
            tokens.truncate(limit);
            // The value is empty where it is gone.
            let value = |token: &Token| known.value(token).unwrap_or_else(|| Arc::new(Sensitive::from("")).into());
            tokens.iter().filter_map(|token| Some((*token, value(token), known.origin(token)?))).collect()
        };
        let left = limit.saturating_sub(page.len());
        let from =
            after.filter(|after| after.entity() == Entity::SURROGATE).map_or(0, |after| after.bits() as usize + 1);
        let surrogates = self.surrogates.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = surrogates.iter().flat_map(|chosen| chosen.known.contents().zip(&chosen.origins));
        for (n, (content, origin)) in contents.enumerate().skip(from).take(left) {
            page.push((Token::new(Entity::SURROGATE, n as u64), Value::from(Arc::new(content)), *origin));
        }
        page
    }

    /// Lets a token stand for `value` from now on; false where it stands for
    /// nothing.
    pub(super) fn rectify(&self, token: &Token, value: &str) -> bool {
        if token.entity() != Entity::SURROGATE {
            return self.known().rectify(token, value);
        }
        let mut surrogates = self.surrogates.lock().unwrap_or_else(PoisonError::into_inner);
        surrogates.as_mut().is_some_and(|chosen| chosen.known.rectify(token.bits() as usize, value))
    }

    /// The token, or the mark of the surrogate, that is written so.
    pub(super) fn token_of(&self, text: &str) -> Option<Token> {
        if let Some(token) = Token::parse(text).filter(|token| self.known().place(token).is_some()) {
            return Some(token);
        }
        let surrogates = self.surrogates.lock().unwrap_or_else(PoisonError::into_inner);
        let place = surrogates.as_ref()?.known.place(text)?;
        Some(Token::new(Entity::SURROGATE, place as u64))
    }

    /// Forgets all; how many values there were.
    pub(super) fn clear(&self) -> usize {
        *self.surrogates.lock().unwrap_or_else(PoisonError::into_inner) = None;
        mem::take(&mut *self.known()).entries.len()
    }

    pub(super) async fn mint_surrogates(
        &self,
        purpose: Option<PurposeId>,
        values: &[(Entity, &str)],
        standing: &Standing<'_>,
    ) -> Vec<Option<String>> {
        let mut choosing = Choosing::default();
        loop {
            let unclear = {
                let seed = |entity: Entity, text: &str| self.key.seed(entity, text);
                let mut known = self.surrogates.lock().unwrap_or_else(PoisonError::into_inner);
                let Chosen { known, origins } = &mut **known.get_or_insert_default();
                match known.mint(values, &seed, &choosing) {
                    Ok(chosen) => {
                        let origin = Origin { created: clock::unix_seconds(), purpose };
                        origins.resize(known.len(), origin);
                        return chosen;
                    }
                    Err(unclear) => unclear,
                }
            };
            choosing.clear(unclear, standing).await;
        }
    }

    pub(super) fn surrogates(&self) -> Surrogates {
        let mut known = self.surrogates.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_mut().map(|chosen| chosen.known.share()).unwrap_or_default()
    }

    pub(super) fn kinds(&self) -> Arc<Kinds> {
        Arc::clone(&self.known().kinds)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The place of an entity, which is new where it was not seen.
    fn kind(&mut self, entity: Entity) -> usize {
        self.entities.iter().position(|known| *known == entity).unwrap_or_else(|| {
            self.entities.push(entity);
            Arc::make_mut(&mut self.kinds).insert(entity);
            self.entities.len() - 1
        })
    }

    /// Whether `key` stands for `value`, as it does from now on if it stood for
    /// none. A new value is added to `fresh`.
    fn is_or_becomes(&mut self, key: u64, value: &str, fresh: &mut Fresh) -> Result<bool, VaultError> {
        let Self { index, entries, texts, changed, .. } = self;
        let key_at = |at: &u32| entries.get(*at as usize).map(|entry| entry.key);
        match index.entry(hash(key), |at| key_at(at) == Some(key), |at| key_at(at).map_or(0, hash)) {
            hash_table::Entry::Occupied(same) => {
                let at = *same.get();
                if let Some(changed) = changed.get(&at) {
                    return Ok(changed.as_ref().is_some_and(|corrected| corrected.expose() == value));
                }
                let text = entries.get(at as usize).and_then(|entry| texts.get(entry.text as usize));
                let text = text.map_or(fresh.text.as_str(), |text| text.values.expose());
                Ok(range(entries, at, text).is_some_and(|range| text.get(range) == Some(value)))
            }
            hash_table::Entry::Vacant(free) => {
                let entry = Entry { key, text: narrow(texts.len())?, start: narrow(fresh.text.len())? };
                free.insert(narrow(entries.len())?);
                entries.push(entry);
                fresh.add(value);
                Ok(true)
            }
        }
    }

    /// Keeps the new values of a request.
    fn keep(&mut self, fresh: Fresh, purpose: Option<PurposeId>) {
        if self.entries.last().is_some_and(|last| last.text as usize == self.texts.len()) {
            let origin = Origin { created: clock::unix_seconds(), purpose };
            self.texts.push(Text { values: Arc::new(fresh.into_text()), origin });
        }
    }

    fn value(&self, token: &Token) -> Option<Value> {
        let at = self.place(token)?;
        if let Some(changed) = self.changed.get(&at) {
            return changed.clone().map(Value::from);
        }
        let text = &self.texts.get(self.entries.get(at as usize)?.text as usize)?.values;
        Some(Value::part(Arc::clone(text), range(&self.entries, at, text.expose())?))
    }

    fn origin(&self, token: &Token) -> Option<Origin> {
        let entry = self.entries.get(self.place(token)? as usize)?;
        self.texts.get(entry.text as usize).map(|text| text.origin)
    }

    fn rectify(&mut self, token: &Token, value: &str) -> bool {
        let Some(at) = self.place(token) else { return false };
        if self.changed.get(&at).is_some_and(Option::is_none) {
            return false;
        }
        self.changed.insert(at, Some(Arc::new(Sensitive::from(value))));
        true
    }

    fn tokens(&self) -> impl Iterator<Item = Token> {
        self.entries.iter().filter_map(|entry| {
            let entity = self.entities.get(entry.kind())?;
            Some(Token::new(*entity, entry.key & super::TOKEN_BITS))
        })
    }

    /// The place of a token's entry.
    fn place(&self, token: &Token) -> Option<u32> {
        let kind = self.entities.iter().position(|entity| *entity == token.entity())?;
        let key = key(kind, token.bits());
        let entry_at = |at: &u32| self.entries.get(*at as usize);
        self.index.find(hash(key), |at| entry_at(at).is_some_and(|entry| entry.key == key)).copied()
    }
}

/// Where the value of an entry stands in its text.
fn range(entries: &[Entry], at: u32, text: &str) -> Option<Range<usize>> {
    let (entry, next) = (entries.get(at as usize)?, entries.get(at as usize + 1));
    let end = next.filter(|next| next.text == entry.text).map_or(text.len(), |next| next.start as usize);
    Some(entry.start as usize..end)
}

/// The values of a request that the subject had not before, one after another.
struct Fresh {
    /// It is given its room at once: growing would leave a copy of it behind.
    text: Zeroizing<String>,
    room: usize,
}

impl Fresh {
    fn add(&mut self, value: &str) {
        if self.text.capacity() == 0 {
            self.text.reserve_exact(self.room);
        }
        self.text.push_str(value);
    }

    /// The text in about as much memory as it needs.
    fn into_text(mut self) -> Sensitive {
        if self.text.len() < self.room / 2 {
            return Sensitive::from(self.text.as_str());
        }
        Sensitive::new(mem::take(&mut self.text))
    }
}

fn key(kind: usize, bits: u64) -> u64 {
    bits | (kind as u64) << TOKEN_BITS
}

fn hash(key: u64) -> u64 {
    BuildHasherDefault::<Mix>::default().hash_one(key)
}

fn narrow(n: usize) -> Result<u32, VaultError> {
    u32::try_from(n).map_err(|_| NO_ROOM)
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

impl ZeroizeOnDrop for VolatileKey {}

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

    /// A part of the name of the subject. No kind has so high a number, so no
    /// token is made of the same.
    fn name(&self, part: u64) -> u64 {
        let mut hasher = self.hasher();
        hasher.write_u64(u64::MAX - part);
        hasher.finish()
    }

    /// What the token of a value carries whose first `counter` tokens are other
    /// values' already.
    fn bits(&self, kind: usize, value: &str, counter: u32) -> u64 {
        let mut hasher = self.hasher();
        // Eight bytes in front of each value, so no two inputs are one.
        hasher.write_u64((kind as u64) << 32 | u64::from(counter));
        hasher.write(value.as_bytes());
        hasher.finish() >> (64 - TOKEN_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: Entity = Entity::constant("EMAIL");
    const PERSON: Entity = Entity::constant("PERSON");

    #[test]
    fn keys_and_values_are_wiped() {
        use crate::vault::seal::wiping::{no_secret, shown_elsewhere, wiped};
        let Volatile { key, token_mask, known, surrogates, generation: _ } =
            Volatile::new(VolatileKeys::new().unwrap().next(), super::super::TOKEN_BITS);
        wiped(&key);
        no_secret(&token_mask);
        shown_elsewhere::<Mutex<Option<Box<Chosen>>>>(&surrogates);
        let Known { index, entries, texts, entities, kinds, changed } = known.into_inner().unwrap();
        // Places, tokens and names of entities.
        no_secret(&(index, entries, entities, kinds));
        shown_elsewhere::<HashMap<u32, Option<Arc<Sensitive>>>>(&changed);
        for Text { values, origin } in &texts {
            shown_elsewhere::<Arc<Sensitive>>(values);
            no_secret(origin);
        }
        let Fresh { text, room } = &Fresh { text: Zeroizing::default(), room: 0 };
        wiped(text);
        no_secret(room);
    }

    #[test]
    fn values_of_many_requests_come_back() {
        // So few bits that tokens collide all the time.
        let subject = Volatile::new(VolatileKeys::new().unwrap().next(), 0xff);
        let values: Vec<String> = (0..60).map(|n| "v".repeat(n % 7) + &n.to_string()).collect();
        let entity = |n: usize| if n.is_multiple_of(3) { PERSON } else { EMAIL };
        let all: Vec<(Entity, &str)> =
            values.iter().enumerate().map(|(n, value)| (entity(n), value.as_str())).collect();
        let mut tokens = Vec::new();
        for request in all.chunks(7) {
            tokens.extend(subject.tokenize(None, request).unwrap());
            // Most of it is known by now.
            let again = subject.tokenize(None, &all[..tokens.len()]).unwrap();
            assert_eq!(again, tokens);
        }
        for (token, (entity, value)) in tokens.iter().zip(&all) {
            assert_eq!(token.entity(), *entity);
            assert_eq!(subject.value(token).unwrap().expose(), *value);
        }
        let known = subject.known();
        assert_eq!((known.entries.len(), known.index.len()), (all.len(), all.len()));
        assert_eq!(known.texts.iter().map(|text| text.values.expose().len()).sum::<usize>(), values.concat().len());
    }

    #[test]
    fn a_corrected_value_stands_behind_its_old_token() {
        let subject = Volatile::new(VolatileKeys::new().unwrap().next(), super::super::TOKEN_BITS);
        let [old, other] = subject.tokenize(None, &[(EMAIL, "old@example.org"), (EMAIL, "b@example.org")]).unwrap()[..]
        else {
            panic!()
        };
        assert!(subject.rectify(&old, "new@example.org"));
        assert!(!subject.rectify(&Token::new(PERSON, 1), "Ana"));
        assert_eq!(subject.value(&old).unwrap().expose(), "new@example.org");
        assert_eq!(subject.value(&other).unwrap().expose(), "b@example.org");
        let [again, new] =
            subject.tokenize(None, &[(EMAIL, "old@example.org"), (EMAIL, "new@example.org")]).unwrap()[..]
        else {
            panic!()
        };
        assert_ne!(again, old, "the old value has another token from now on");
        assert_eq!(subject.value(&again).unwrap().expose(), "old@example.org");
        assert_eq!(subject.value(&new).unwrap().expose(), "new@example.org");
    }

    #[test]
    fn values_come_page_by_page_and_are_forgotten() {
        let memory = Memory::new(super::super::TOKEN_BITS, Duration::from_hours(1)).unwrap();
        let values: Vec<String> = (0..50).map(|n| format!("v{n}")).collect();
        let pairs: Vec<_> = values.iter().map(|value| (EMAIL, value.as_str())).collect();
        let held = memory.subject("t", "u1");
        held.tokenize(None, &pairs).unwrap();
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let page = memory.known("t", "u1").unwrap().values(after.as_ref(), 7);
            let Some((last, _, _)) = page.last() else { break };
            after = Some(*last);
            read.extend(page.into_iter().map(|(_, value, _)| value.expose().to_owned()));
        }
        read.sort();
        let mut wanted = values.clone();
        wanted.sort();
        assert_eq!(read, wanted);
        assert_eq!((memory.erase("t", "u2"), memory.erase("t", "u1"), memory.erase("t", "u1")), (0, 50, 0));
        assert!(memory.known("t", "u1").is_none() && held.values(None, 9).is_empty());
    }

    #[test]
    fn without_room_for_a_token_the_others_stay() {
        let subject = Volatile::new(VolatileKeys::new().unwrap().next(), 0);
        let first = subject.tokenize(None, &[(EMAIL, ""), (EMAIL, "")]).unwrap();
        assert_eq!(subject.tokenize(None, &[(PERSON, "bo"), (EMAIL, "ana")]), Err(NO_ROOM));
        assert_eq!(subject.value(&first[0]).unwrap().expose(), "");
        assert_eq!(subject.value(&Token::new(PERSON, 0)).unwrap().expose(), "bo");
        assert!(subject.value(&Token::new(PERSON, 1)).is_none());
    }
}
