//! The vault: which token stands for which value, per subject, encrypted.
//!
//! Keys form an envelope. The deployment's secret gives the key-encryption key
//! (HKDF); that wraps, for every subject, a random data key and a random token
//! key. Values are sealed by the data key; tokens are truncated HMACs under
//! the token key, so every replica computes the same token for a value, and
//! two subjects' tokens are unrelated. The store below sees only sealed bytes
//! under keyed hashes ([`Row`]).
//!
//! Who holds the store without the secret learns how many subjects there are,
//! how many tokens of which entity each has, how long each value is and when
//! it came; not who the subjects are, not the values, not who shares one.

mod backup;
mod cache;
mod contact;
mod envelope;
mod erasures;
mod error;
mod exposed;
mod find;
mod hashing;
mod key;
mod layer;
mod link;
mod mint;
mod mix;
mod news;
mod records;
mod rectify;
mod retention;
mod root;
mod rotate;
mod rows;
mod seal;
mod subject;
mod subject_keys;
mod surrogates;
mod sweep;
#[cfg(test)]
mod tests;
mod url;
mod value;
mod verify;
mod volatile;
mod whole;

pub use backup::{Backup, BackupError, Backups, Counts, Made, NewFile, Restored, Rotation};
pub use error::VaultError;
pub use exposed::Exposed;
pub use find::Indexed;
pub use hashing::Hashing;
pub use key::{Key, KeyError, KeyId, Keyring, TokenSource, Transit, TransitError, TransitSettings};
pub use layer::sensitive_entities;
pub use records::{Expected, Owner, RecordChange, Records};
pub use retention::Policy;
pub use rotate::{NewKeys, Progress, Rotated};
pub use subject::Subject;
pub use surrogates::{Standing, Surrogate, SurrogateMatcher, Surrogates};
pub use sweep::{ClockCheck, Day, Doubt, History, Holding, Reading, Swept};
pub use url::{VaultUrl, VaultUrlError};
pub use value::Value;
pub use verify::{Count, Stats, Verified};
pub use whole::{Erased, Kept};

use crate::clock;
use crate::entity::Entity;
use crate::store::embedded::Embedded;
use crate::store::{self, Event, Row, Store, StoreError};
use aws_lc_rs::hmac;
use cache::Cache;
use envelope::Envelope;
use root::{Record, Root};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use subject::State;
use subject_keys::SubjectKeys;
use tokio::runtime::Handle;
use volatile::{Memory, Volatile, VolatileKeys};

/// For how long one finding of [`Vault::check_writable`] holds.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// All the bits that a token's code has room for.
const TOKEN_BITS: u64 = (1 << 35) - 1;

/// How a vault uses memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether a vault is made where there is none; it is.
    pub create: bool,
    /// Bytes of values and unwrapped keys that are kept at hand; 64 MiB.
    pub cache_bytes: usize,
    /// Bytes of pages that an embedded store keeps at hand; 96 MiB. The ways to ten
    /// million tokens fit in.
    pub page_cache_bytes: usize,
    /// The entities whose values are in the second layer, under keys of their
    /// own; by default [`sensitive_entities`].
    pub sensitive: BTreeSet<Entity>,
    /// For how long a [link](Vault::link) leads to its subject; 30 days.
    pub links_for: Duration,
    /// What subjects can be found by; all of it.
    pub indexed: Indexed,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: true,
            cache_bytes: 64 << 20,
            page_cache_bytes: 96 << 20,
            indexed: Indexed::default(),
            sensitive: sensitive_entities(),
            links_for: Duration::from_hours(30 * 24),
        }
    }
}

/// An open vault. Clones share it; it closes with the last of them and of the
/// [`Subject`]s it gave out, or by [`close`](Self::close).
#[derive(Clone)]
pub struct Vault(Kind);

#[derive(Clone)]
enum Kind {
    Stored(Arc<Shared>),
    Memory(Arc<Memory>),
}

struct Shared {
    store: Arc<dyn Store>,
    records: Records,
    envelope: Envelope,
    index: hmac::Key,
    cache: Cache<State>,
    /// How often records changed otherwise than by new ones.
    changes: AtomicU64,
    passing: VolatileKeys,
    probed: tokio::sync::Mutex<Option<(Instant, Result<(), VaultError>)>>,
    token_mask: u64,
    links_for: Duration,
    indexed: Indexed,
}

impl Vault {
    /// Opens the vault at `at`, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// [`VaultError::WrongKey`] and its like where the keys are not those of
    /// the vault, [`VaultError::KeyService`] where they cannot be asked for,
    /// [`VaultError::InUse`] where another process holds it,
    /// [`VaultError::NewerFormat`] where a newer build wrote it.
    pub async fn open(at: &VaultUrl, keys: impl Into<Keyring>, options: Options) -> Result<Self, VaultError> {
        let keys = keys.into();
        let folder = match at {
            VaultUrl::Memory => {
                return Ok(Self(Kind::Memory(Arc::new(Memory::new(TOKEN_BITS, options.links_for)?))));
            }
            VaultUrl::Embedded(folder) if !options.create && !Embedded::is_in(folder) => {
                return Err(VaultError::Absent);
            }
            VaultUrl::Embedded(folder) => folder.clone(),
            #[cfg(feature = "postgres")]
            VaultUrl::Postgres(url) => {
                let origin = u64::from_be_bytes(*seal::random()?);
                let store = crate::store::postgres::Postgres::open(url, origin).await?;
                return Self::over(Arc::new(store), keys, options, TOKEN_BITS).await;
            }
        };
        // Opening may repair or upgrade the file, which takes as long as it takes.
        let opened = tokio::task::spawn_blocking({
            let (keys, runtime) = (keys.clone(), Handle::current());
            move || embedded(&folder, &keys, options.page_cache_bytes, &runtime)
        });
        let store = opened.await.map_err(|_| VaultError::Corrupt { what: "file" })??;
        Self::over(Arc::new(store), keys, options, TOKEN_BITS).await
    }

    async fn over(store: Arc<dyn Store>, keys: Keyring, options: Options, token_mask: u64) -> Result<Self, VaultError> {
        let envelope = Envelope::open(Arc::clone(&store), keys, options.sensitive, options.create).await?;
        let index = envelope.root().index.clone();
        let shared = Arc::new(Shared {
            records: Records::new(Arc::clone(&store), index.clone()),
            envelope,
            index,
            store,
            cache: Cache::new(options.cache_bytes),
            changes: AtomicU64::new(0),
            passing: VolatileKeys::new()?,
            probed: tokio::sync::Mutex::default(),
            token_mask,
            links_for: options.links_for,
            indexed: options.indexed,
        });
        if shared.store.is_shared() {
            tokio::spawn(news::follow(Arc::downgrade(&shared)));
        }
        Ok(Self(Kind::Stored(shared)))
    }

    /// A person's tokens and values. Nothing is written for a subject that the
    /// vault does not know: its keys are made in memory, and become durable
    /// together with its first mapping.
    pub async fn subject(&self, tenant: &str, subject: &str) -> Result<Subject, VaultError> {
        let shared = match &self.0 {
            Kind::Stored(shared) => shared,
            Kind::Memory(memory) => return Ok(Subject::volatile(memory.subject(tenant, subject))),
        };
        let row = shared.records.row(tenant, subject);
        if let Some(state) = shared.cache.subject(row) {
            return Ok(Subject::kept(Arc::clone(shared), state));
        }
        let changes = shared.changes.load(Ordering::SeqCst);
        let keys = Box::pin(shared.keys(row, tenant, subject)).await?;
        let state = Arc::new(State::new(row, tenant, subject, keys));
        let cost = state.cost();
        let state = shared.cache.subject_or_insert(row, state, cost);
        if shared.changes.load(Ordering::SeqCst) != changes {
            // Perhaps of just this subject, and after it was read.
            state.doubt();
        }
        Ok(Subject::kept(Arc::clone(shared), state))
    }

    /// A subject of one request alone: its keys are random, it lives in
    /// memory, and nothing of it is stored.
    pub fn passing_subject(&self) -> Subject {
        Subject::volatile(Arc::new(match &self.0 {
            Kind::Stored(shared) => Volatile::new(shared.passing.next(), shared.token_mask),
            Kind::Memory(memory) => memory.passing_subject(),
        }))
    }

    /// The row of a subject: a keyed hash, from which nobody without the key
    /// can tell whose it is.
    pub fn row(&self, tenant: &str, subject: &str) -> Row {
        self.records().row(tenant, subject)
    }

    /// What is kept beside the values.
    pub fn records(&self) -> &Records {
        match &self.0 {
            Kind::Stored(shared) => &shared.records,
            Kind::Memory(memory) => memory.records(),
        }
    }

    /// Whether what this process remembers may be believed: whether it knows
    /// all that other replicas changed a second ago. A cache of records is to
    /// be read past where not.
    pub fn is_current(&self) -> bool {
        match &self.0 {
            Kind::Stored(shared) => shared.store.is_current(),
            Kind::Memory(_) => true,
        }
    }

    /// What happens to the records of subjects from now on, here and on other
    /// replicas; there within a second.
    pub fn subscribe(&self) -> tokio::sync::broadcast::Receiver<Event> {
        self.records().subscribe()
    }

    /// From now on, erasures and withdrawals are also appended to this file, by
    /// which a restore brings nobody back. Nothing in it names anybody.
    pub fn keep_erasures(&self, path: &Path) -> io::Result<()> {
        self.records().keep_erasures(path)
    }

    /// What hashes the values of a tenant, the same on every replica; of a
    /// vault in memory, the same as long as the process lives.
    pub fn hashing(&self, tenant: &str) -> Hashing {
        match &self.0 {
            Kind::Stored(shared) => Hashing::new(&shared.index, tenant),
            Kind::Memory(memory) => memory.hashing(tenant),
        }
    }

    /// Shows by a real durable write that the vault can be written. Callers
    /// within a second share one write, so this cannot be used to load a disk.
    pub async fn check_writable(&self) -> Result<(), VaultError> {
        let Kind::Stored(shared) = &self.0 else { return Ok(()) };
        let mut probed = shared.probed.lock().await;
        match &*probed {
            Some((at, found)) if at.elapsed() < PROBE_EVERY => found.clone(),
            _ => {
                let found = shared.store.probe().await.map_err(VaultError::from);
                *probed = Some((Instant::now(), found.clone()));
                found
            }
        }
    }

    /// Gives the room of what was removed back to the disk. It takes long, and
    /// requests wait: it is for commands that have a vault for themselves.
    pub async fn compact(&self) -> Result<(), VaultError> {
        match &self.0 {
            Kind::Stored(shared) => Ok(shared.store.compact().await?),
            Kind::Memory(_) => Ok(()),
        }
    }

    /// The name of the key that the vault is sealed with; that of a vault in
    /// memory, which has none, is all zeros.
    pub fn key_id(&self) -> KeyId {
        match &self.0 {
            Kind::Stored(shared) => shared.envelope.root().current.ids.key,
            Kind::Memory(_) => KeyId([0; 8]),
        }
    }

    /// How often the vault's keys were changed, as far as this process knows.
    pub fn epoch(&self) -> u64 {
        match &self.0 {
            Kind::Stored(shared) => shared.envelope.root().epoch,
            Kind::Memory(_) => 0,
        }
    }

    /// The given keys that the vault is under: one, and while it is changed the
    /// one that goes too. None where a key service keeps them.
    pub(crate) fn keys_in_use(&self) -> Vec<Key> {
        let Kind::Stored(shared) = &self.0 else { return Vec::new() };
        let (root, given) = (shared.envelope.root(), shared.envelope.given());
        let ids = [Some(&root.current), root.former.as_ref()].into_iter().flatten().map(|wrapping| wrapping.ids.key);
        ids.filter_map(|id| given.find(id).cloned()).collect()
    }

    /// Finishes what was accepted, and lets go of the store. What other clones
    /// and subjects ask for afterwards fails, but for what is cached.
    pub async fn close(self) {
        if let Kind::Stored(shared) = self.0 {
            // Closing twice is the only way to fail, and comes to the same.
            let _ = shared.store.close().await;
        }
    }
}

impl Vault {
    fn links_for(&self) -> Duration {
        match &self.0 {
            Kind::Stored(shared) => shared.links_for,
            Kind::Memory(memory) => memory.links_for(),
        }
    }
}

impl Shared {
    /// The keys of a subject: those that are stored, or new ones.
    async fn keys(&self, row: Row, tenant: &str, subject: &str) -> Result<SubjectKeys, VaultError> {
        let Some(mut record) = self.store.subject(row).await? else {
            return SubjectKeys::create(&self.envelope.root(), row, tenant, subject, clock::unix_seconds());
        };
        let root = self.envelope.root_for(&record).await?;
        // What a rotation has not come to, or an older version wrote. That it
        // cannot be written just now is no reason not to read.
        if let Some(newer) = SubjectKeys::rewrap(&root, row, &record)?
            && self.store.swap_subject(row, record.clone(), newer.clone()).await == Ok(true)
        {
            record = newer;
        }
        SubjectKeys::open(&root, row, tenant, subject, record)
    }

    /// Sees that a record which was just stored for the first time, wrapped as
    /// `root` says, is wrapped by a key that stays. A process that was held up
    /// may write one so late that the rotation of another finds it no more:
    /// then it does not know of the last second, and looks. Where it lacks the
    /// new key, nothing that nobody could open stays.
    async fn see_wrapped(&self, row: Row, record: &[u8], root: &Root) -> Result<(), VaultError> {
        if !self.store.is_shared() {
            // In one process no other key comes into use in between.
            return Ok(());
        }
        let now = if self.store.is_current() && !self.envelope.is_behind() {
            self.envelope.root()
        } else {
            match self.envelope.refresh().await {
                Ok(now) => now,
                Err(error) => {
                    self.take_back(row, record, root).await?;
                    return Err(error);
                }
            }
        };
        if now.epoch == root.epoch || self.store.subject(row).await?.as_deref() != Some(record) {
            return Ok(());
        }
        let (_, newer) = SubjectKeys::moved(root, row, record, &now)?;
        // Who replaced it in between could open it.
        self.store.swap_subject(row, record.to_vec(), newer).await.map(|_| ()).map_err(VaultError::from)
    }

    /// Erases a record that was just stored for the first time, where the key
    /// that wraps it is gone. As long as a rotation runs, it is wrapped anew by
    /// that.
    async fn take_back(&self, row: Row, record: &[u8], root: &Root) -> Result<(), VaultError> {
        let own = self.store.meta().await?.ok_or(VaultError::Corrupt { what: "own record" })?;
        let still_opens = Record::parse(&own)?.entries.iter().any(|entry| entry.ids == root.current.ids);
        // In two steps, so that none is erased that another wrapped anew meanwhile.
        if !still_opens && self.store.swap_subject(row, record.to_vec(), Vec::new()).await? {
            self.store.erase(row).await?;
        }
        Ok(())
    }
}

/// Opens an embedded store, and upgrades it first where it has an old format.
fn embedded(folder: &Path, keys: &Keyring, page_cache_bytes: usize, runtime: &Handle) -> Result<Embedded, VaultError> {
    match Embedded::open(folder, page_cache_bytes) {
        Err(StoreError::OlderFormat { .. }) => {}
        opened => return Ok(opened?),
    }
    let mut root = None;
    store::embedded::upgrade(folder, page_cache_bytes, |own, subject, record| {
        let root = match &mut root {
            Some(root) => root,
            none => none.insert(runtime.block_on(Root::open(keys, own, &Arc::default()))?),
        };
        // The keys of the old format did not tell the tenant.
        let old = Row { subject, ..Row::DEPLOYMENT };
        let (_, tenant, _) = SubjectKeys::open_named(root, old, record.to_vec())?;
        Ok::<_, VaultError>(Row { subject, ..root.row(&tenant, "") })
    })?;
    Ok(Embedded::open(folder, page_cache_bytes)?)
}

#[cfg(test)]
impl Vault {
    fn shared(&self) -> &Shared {
        match &self.0 {
            Kind::Stored(shared) => shared,
            Kind::Memory(_) => panic!("a vault in memory has no store"),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Stored(_) => f.debug_struct("Vault").field("key", &self.key_id()).finish_non_exhaustive(),
            Kind::Memory(_) => f.write_str("Vault(memory)"),
        }
    }
}
