//! One person's tokens and values.

use super::error::VaultError;
use super::mint;
use super::retention::{PurposeId, purpose_id};
use super::root::Root;
use super::subject_keys::{SubjectKeys, is_anonymized};
use super::surrogates::{self, Standing, Surrogates};
use super::value::Value;
use super::volatile::Volatile;
use super::{Shared, clock};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::store::Row;
use crate::token::{Kinds, Token};
use std::collections::BTreeSet;
use std::fmt;
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// A person's part of the vault. Clones share it.
#[derive(Clone)]
pub struct Subject(Kind);

#[derive(Clone)]
enum Kind {
    Kept { vault: Arc<Shared>, state: Arc<State>, purpose: Option<PurposeId> },
    Volatile { known: Arc<Volatile>, purpose: Option<PurposeId> },
}

impl Subject {
    pub(super) fn kept(vault: Arc<Shared>, state: Arc<State>) -> Self {
        Self(Kind::Kept { vault, state, purpose: None })
    }

    /// The same, for a purpose: values that are new are kept as long as the
    /// retention of that purpose says.
    #[must_use]
    pub fn for_purpose(mut self, name: &str) -> Self {
        let (Kind::Kept { purpose, .. } | Kind::Volatile { purpose, .. }) = &mut self.0;
        *purpose = Some(purpose_id(name));
        self
    }

    pub(super) fn volatile(subject: Arc<Volatile>) -> Self {
        Self(Kind::Volatile { known: subject, purpose: None })
    }

    /// The tokens of `values`, in their order. When this returns, every
    /// mapping is durable; known values cost no I/O.
    ///
    /// Cancel safety: a dropped call has stored all of its new mappings or
    /// none (but for values whose tokens collide, which are stored in turn),
    /// and has cached nothing that is not durable.
    pub async fn tokenize(&self, values: &[(Entity, &str)]) -> Result<Vec<Token>, VaultError> {
        match &self.0 {
            // Boxed, as is all that may wait for the store: else whoever asks for
            // what is at hand would have the size of that.
            Kind::Kept { vault, state, purpose } => Box::pin(mint::tokenize(vault, state, *purpose, values)).await,
            Kind::Volatile { known, purpose } => known.tokenize(*purpose, values),
        }
    }

    /// The name of the subject in the access log, the same on every replica
    /// until its keys are destroyed: then nobody can tell whose it was.
    pub fn alias(&self) -> String {
        match &self.0 {
            Kind::Kept { state, .. } => state.keys().alias(),
            Kind::Volatile { known, .. } => known.alias(),
        }
    }

    /// The value of a token where it is at hand; no I/O.
    pub fn cached(&self, token: &Token) -> Option<Value> {
        match &self.0 {
            Kind::Kept { vault, state, .. } => vault.remembered(state, token).map(Value::from),
            Kind::Volatile { known, .. } => known.value(token),
        }
    }

    /// The values of `tokens`, in their order; none for those that are not
    /// this subject's.
    pub async fn restore(&self, tokens: &[Token]) -> Result<Vec<Option<Value>>, VaultError> {
        let mut values: Vec<_> = tokens.iter().map(|token| self.cached(token)).collect();
        if let Kind::Kept { vault, state, .. } = &self.0
            && values.contains(&None)
        {
            let absent = tokens.iter().zip(&values).filter(|(_, value)| value.is_none());
            let absent: Vec<Token> = absent.map(|(token, _)| *token).collect();
            let read = Box::pin(async {
                match state.read(vault, &absent).await {
                    // Perhaps the subject was erased elsewhere, and came again.
                    Err(VaultError::Corrupt { .. }) if state.catch_up(vault).await? => state.read(vault, &absent).await,
                    read => read,
                }
            });
            let read = read.await?;
            let places = values.iter_mut().filter(|value| value.is_none());
            for (place, value) in places.zip(read) {
                *place = value.map(Value::from);
            }
        }
        Ok(values)
    }

    /// The entities of which this subject has tokens.
    pub async fn kinds(&self) -> Result<Arc<Kinds>, VaultError> {
        match &self.0 {
            Kind::Kept { vault, state, .. } => {
                let doubts = state.doubts();
                // Of a subject that is not stored another replica may know more.
                let keys = if vault.store.is_shared() { state.current_keys(vault).await? } else { state.keys() };
                if vault.store.is_shared() && !keys.are_stored() {
                    return Ok(state.kinds().of_those_known());
                }
                let known = state.kinds().shared.clone();
                if let Some(kinds) = known.filter(|_| vault.store.is_current()) {
                    return Ok(kinds);
                }
                let entities = vault.store.entities(state.row).await?;
                let mut kinds = state.kinds();
                let loaded = kinds.load(entities);
                if state.doubts() != doubts {
                    kinds.shared = None;
                }
                Ok(loaded)
            }
            Kind::Volatile { known, .. } => Ok(known.kinds()),
        }
    }
}

impl Subject {
    /// What is known of a subject that is not in memory alone.
    pub(super) fn kept_state(&self) -> Option<&State> {
        match &self.0 {
            Kind::Kept { state, .. } => Some(state),
            Kind::Volatile { .. } => None,
        }
    }

    /// Surrogates for `values`, in their order; none for a value that can have
    /// none, and never one of which `standing` says that the text of it stands
    /// somewhere already. When this returns, all are durable.
    pub async fn mint_surrogates(
        &self,
        values: &[(Entity, &str)],
        standing: &Standing<'_>,
    ) -> Result<Vec<Option<String>>, VaultError> {
        match &self.0 {
            Kind::Kept { vault, state, purpose } => {
                Box::pin(surrogates::mint(vault, state, *purpose, values, standing)).await
            }
            Kind::Volatile { known, purpose } => Ok(known.mint_surrogates(*purpose, values, standing).await),
        }
    }

    /// All surrogates of this subject.
    pub async fn surrogates(&self) -> Result<Surrogates, VaultError> {
        match &self.0 {
            Kind::Kept { vault, state, .. } => {
                // Of a subject that is not stored there is nothing to read,
                // unless another replica has met it since.
                if state.keys().are_stored() || vault.store.is_shared() {
                    Box::pin(surrogates::load(vault, state)).await?;
                }
                Ok(state.surrogates().share())
            }
            Kind::Volatile { known, .. } => Ok(known.surrogates()),
        }
    }
}

#[cfg(test)]
impl Subject {
    pub(super) fn state(&self) -> &State {
        match &self.0 {
            Kind::Kept { state, .. } => state,
            Kind::Volatile { .. } => panic!("a volatile subject has no state"),
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject")
    }
}

/// What is known of a subject in this process. There is at most one live
/// state of a subject, shared by all its handles.
pub(super) struct State {
    pub(super) row: Row,
    tenant: String,
    subject: Sensitive,
    keys: RwLock<Arc<SubjectKeys>>,
    kinds: Mutex<KnownKinds>,
    surrogates: Mutex<surrogates::Known>,
    /// How often others changed the records of the subject.
    doubts: AtomicU64,
    /// After how many doubts the keys were read.
    settled: AtomicU64,
    /// Held while the subject's keys are stored for the first time, and while
    /// it is erased.
    contact: tokio::sync::Mutex<()>,
}

/// As long as this is held, the keys of a subject are stored by nobody else in
/// this process, and erased by nobody else.
pub(super) struct Contact<'a> {
    root: Arc<Root>,
    subject: tokio::sync::MutexGuard<'a, ()>,
    keys: tokio::sync::RwLockReadGuard<'a, ()>,
}

/// What holds off first contacts.
pub(super) type Alone<'a> = (tokio::sync::MutexGuard<'a, ()>, tokio::sync::RwLockReadGuard<'a, ()>);

impl Contact<'_> {
    /// Lets others in again, once the subject's keys are stored, and sees that
    /// they stay readable. Where that fails they do not count as stored.
    pub(super) async fn end(self, vault: &Shared, row: Row, keys: &SubjectKeys) -> Result<(), VaultError> {
        let root = self.root;
        drop((self.subject, self.keys));
        vault.see_wrapped(row, keys.record(), &root).await
    }
}

/// The entities of a subject's tokens: at first those minted here, and all of
/// them once the store was asked.
#[derive(Default)]
struct KnownKinds {
    entities: BTreeSet<Entity>,
    /// Set once the store was asked.
    shared: Option<Arc<Kinds>>,
}

impl State {
    pub(super) fn new(row: Row, tenant: &str, subject: &str, keys: SubjectKeys) -> Self {
        Self {
            row,
            tenant: tenant.to_owned(),
            subject: Sensitive::from(subject),
            keys: RwLock::new(Arc::new(keys)),
            kinds: Mutex::default(),
            surrogates: Mutex::default(),
            doubts: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            contact: tokio::sync::Mutex::default(),
        }
    }

    /// The tenant and the subject.
    pub(super) fn identity(&self) -> (&str, &str) {
        (&self.tenant, self.subject.expose())
    }

    /// How often others changed the records of the subject. What was read
    /// before a change is not remembered after it.
    pub(super) fn doubts(&self) -> u64 {
        self.doubts.load(Ordering::SeqCst)
    }

    /// Others changed records: all but the keys is forgotten, and the keys are
    /// read anew before they are used.
    pub(super) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
        *self.kinds() = KnownKinds::default();
        *self.surrogates() = surrogates::Known::default();
    }

    /// The keys for a write, which itself says whether they are the subject's;
    /// read anew where they are in doubt.
    pub(super) async fn keys_to_write(&self, vault: &Shared) -> Result<Arc<SubjectKeys>, VaultError> {
        if self.is_certain(vault) { Ok(self.keys()) } else { self.current_keys(vault).await }
    }

    /// Whether what is known of the subject may be believed.
    pub(super) fn is_certain(&self, vault: &Shared) -> bool {
        self.settled.load(Ordering::SeqCst) == self.doubts() && vault.store.is_current()
    }

    /// About how many bytes this takes.
    pub(super) fn cost(&self) -> usize {
        let texts = self.tenant.len() + self.subject.expose().len() + self.keys().record().len();
        // The rest stands for the kinds and what the contexts of keys allocate.
        size_of::<Self>() + size_of::<SubjectKeys>() + texts + 2048 + self.surrogates().cost()
    }

    pub(super) fn keys(&self) -> Arc<SubjectKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys, once more compared with the store where they were not stored
    /// when they were made, as another replica may have met the subject since,
    /// and where they are in doubt.
    pub(super) async fn current_keys(&self, vault: &Shared) -> Result<Arc<SubjectKeys>, VaultError> {
        let (keys, doubts) = (self.keys(), self.doubts());
        if keys.are_stored() && self.is_certain(vault) {
            return Ok(keys);
        }
        let read = Box::pin(async {
            match vault.store.subject(self.row).await? {
                None if !keys.are_stored() => Ok(keys),
                standing => self.adopt(vault, &keys, standing).await,
            }
        });
        let keys = read.await?;
        self.settled.fetch_max(doubts, Ordering::SeqCst);
        Ok(keys)
    }

    /// Holds off others for a first contact; and the keys that are then the
    /// subject's. They are wrapped by the key in use.
    pub(super) async fn contact<'a>(
        &'a self,
        vault: &'a Shared,
    ) -> Result<(Contact<'a>, Arc<SubjectKeys>), VaultError> {
        // A key that went would wrap what nobody can open.
        vault.envelope.keep_up().await?;
        let (subject, keys) = self.alone(vault).await;
        let root = vault.envelope.root();
        let contact = Contact { root: Arc::clone(&root), subject, keys };
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if !keys.are_stored() && keys.wrapped_by() != Some(root.current.ids) {
            *keys = Arc::new(self.new_keys(&root)?);
        }
        Ok((contact, Arc::clone(&keys)))
    }

    /// Holds off first contacts, and another key.
    pub(super) async fn alone<'a>(&'a self, vault: &'a Shared) -> Alone<'a> {
        // In this order in all places.
        let subject = self.contact.lock().await;
        (subject, vault.envelope.contact().await)
    }

    /// Replaces keys that proved not to be the subject's: by those of the
    /// record that stands in the store, or by new ones where none does.
    pub(super) async fn adopt(
        &self,
        vault: &Shared,
        refused: &Arc<SubjectKeys>,
        standing: Option<Vec<u8>>,
    ) -> Result<Arc<SubjectKeys>, VaultError> {
        let root = match &standing {
            Some(record) => vault.envelope.root_for(record).await?,
            None => vault.envelope.root(),
        };
        let (keys, is_other) = {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            let before = Arc::clone(&keys);
            match standing {
                Some(record) if *record == **keys.record() => keys.mark_stored(),
                Some(record) => {
                    let subject = self.subject.expose();
                    *keys = Arc::new(SubjectKeys::open(&root, self.row, &self.tenant, subject, record)?);
                }
                None if Arc::ptr_eq(&keys, refused) => *keys = Arc::new(self.new_keys(&root)?),
                // Somebody else has replaced them already.
                None => {}
            }
            (Arc::clone(&keys), !keys.are_those_of(&before))
        };
        if is_other {
            self.forget(vault);
        }
        Ok(keys)
    }

    /// Takes over what stands in the store; says whether that are other keys.
    async fn catch_up(&self, vault: &Shared) -> Result<bool, VaultError> {
        let keys = self.keys();
        match vault.store.subject(self.row).await? {
            None => Ok(false),
            Some(record) => Ok(!self.adopt(vault, &keys, Some(record)).await?.are_those_of(&keys)),
        }
    }

    /// Begins anew after the subject was erased: with other keys, and with
    /// nothing of before.
    pub(super) fn begin_anew(&self, vault: &Shared) -> Result<(), VaultError> {
        let new = Arc::new(self.new_keys(&vault.envelope.root())?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = new;
        self.forget(vault);
        Ok(())
    }

    /// Forgets what is known under keys that are not the subject's any more.
    /// Who still reads under them finds that out [afterwards](Self::remember).
    fn forget(&self, vault: &Shared) {
        *self.kinds() = KnownKinds::default();
        *self.surrogates() = surrogates::Known::default();
        vault.cache.forget(|row| *row == self.row);
    }

    fn new_keys(&self, root: &Root) -> Result<SubjectKeys, VaultError> {
        SubjectKeys::create(root, self.row, &self.tenant, self.subject.expose(), clock::unix_seconds())
    }

    /// Reads values from the store.
    async fn read(&self, vault: &Shared, tokens: &[Token]) -> Result<Vec<Option<Arc<Sensitive>>>, VaultError> {
        let doubts = self.doubts();
        let keys = self.current_keys(vault).await?;
        let records = vault.store.mappings(self.row, tokens).await?;
        let values = tokens.iter().zip(records).map(|(token, record)| {
            // Of a value that is gone the token is left as it is.
            let Some(record) = record.filter(|record| !is_anonymized(record)) else { return Ok(None) };
            let value = Arc::new(keys.open_value(self.row, token, &record)?);
            self.remember(vault, &keys, *token, Arc::clone(&value), doubts);
            Ok(Some(value))
        });
        values.collect()
    }

    /// Caches a value that is in the store under these keys. Perhaps the call
    /// that minted it was dropped before it could take note of the entity. It
    /// is not where others changed records since `doubts` were counted.
    pub(super) fn remember(
        &self,
        vault: &Shared,
        keys: &SubjectKeys,
        token: Token,
        value: Arc<Sensitive>,
        doubts: u64,
    ) {
        self.note(std::iter::once(token.entity()));
        vault.cache.insert_value(self.row, token, value);
        // Who changes something first replaces the keys or raises doubts, then
        // clears the cache: what is not found there yet is taken out here.
        if self.doubts() != doubts || !self.keys().are_those_of(keys) {
            vault.cache.remove_value(self.row, token);
        }
    }

    /// Whether any of these entities was not minted or read before.
    pub(super) fn lacks(&self, mut entities: impl Iterator<Item = Entity>) -> bool {
        let kinds = self.kinds();
        entities.any(|entity| !kinds.entities.contains(&entity))
    }

    /// Takes note of entities that were minted.
    pub(super) fn note(&self, entities: impl Iterator<Item = Entity>) {
        self.kinds().note(entities);
    }

    pub(super) fn surrogates(&self) -> MutexGuard<'_, surrogates::Known> {
        self.surrogates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kinds(&self) -> MutexGuard<'_, KnownKinds> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// A value that is remembered and may be believed.
    pub(super) fn remembered(&self, state: &State, token: &Token) -> Option<Arc<Sensitive>> {
        self.cache.value(state.row, token).filter(|_| self.store.is_current())
    }
}

impl KnownKinds {
    fn note(&mut self, entities: impl Iterator<Item = Entity>) {
        let before = self.entities.len();
        self.entities.extend(entities);
        if self.entities.len() != before && self.shared.is_some() {
            self.share();
        }
    }

    /// Adds what the store knows. What was minted while it was asked stays.
    fn load(&mut self, entities: Vec<Entity>) -> Arc<Kinds> {
        self.entities.extend(entities);
        self.share()
    }

    fn of_those_known(&self) -> Arc<Kinds> {
        Arc::new(Kinds::new(self.entities.iter().copied()))
    }

    fn share(&mut self) -> Arc<Kinds> {
        let kinds = self.of_those_known();
        self.shared = Some(Arc::clone(&kinds));
        kinds
    }
}
