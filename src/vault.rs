//! The vault: which token stands for which value, per subject, encrypted.
//!
//! Keys form an envelope. The deployment's secret gives the key-encryption key
//! (HKDF); that wraps, for every subject, a random data key and a random token
//! key. Values are sealed by the data key; tokens are truncated HMACs under
//! the token key, so every replica computes the same token for a value, and
//! two subjects' tokens are unrelated. The store below sees only sealed bytes
//! under keyed hashes ([`Row`](store::Row)).
//!
//! Who holds the store without the secret learns how many subjects there are,
//! how many tokens of which entity each has, how long each value is and when
//! it came; not who the subjects are, not the values, not who shares one.

mod cache;
mod error;
mod key;
mod mint;
mod mix;
mod passing;
mod root;
mod seal;
mod store;
mod subject;
mod subject_keys;
#[cfg(test)]
mod tests;
mod url;

pub use error::VaultError;
pub use key::{Key, KeyError, KeyId};
pub use subject::Subject;
pub use url::{VaultUrl, VaultUrlError};

use crate::clock;
use cache::Cache;
use passing::Passing;
use root::Root;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Store;
use store::embedded::Embedded;
use store::memory::Memory;
use subject::State;
use subject_keys::{PassingKeys, SubjectKeys};

/// For how long one finding of [`Vault::check_writable`] holds.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// All the bits that a token's code has room for.
const TOKEN_BITS: u64 = (1 << 35) - 1;

/// How a vault uses memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of values and unwrapped keys that are kept at hand; 64 MiB.
    pub cache_bytes: usize,
    /// Bytes of pages that an embedded store keeps at hand; 32 MiB.
    pub page_cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, page_cache_bytes: 32 << 20 }
    }
}

/// An open vault. Clones share it; it closes with the last of them and of the
/// [`Subject`]s it gave out, or by [`close`](Self::close).
#[derive(Clone)]
pub struct Vault(Arc<Shared>);

struct Shared {
    store: Box<dyn Store>,
    root: Root,
    cache: Cache<State>,
    passing: PassingKeys,
    probed: tokio::sync::Mutex<Option<(Instant, Result<(), VaultError>)>>,
    token_mask: u64,
}

impl Vault {
    /// Opens the vault at `at`, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// [`VaultError::WrongKey`] where the vault was made with another key,
    /// [`VaultError::InUse`] where another process holds it,
    /// [`VaultError::NewerFormat`] where a newer build wrote it.
    pub async fn open(at: &VaultUrl, key: Key, options: Options) -> Result<Self, VaultError> {
        let store: Box<dyn Store> = match at {
            VaultUrl::Memory => Box::new(Memory::default()),
            VaultUrl::Embedded(folder) => {
                let folder = folder.clone();
                let open = move || Embedded::open(&folder, options.page_cache_bytes);
                // Opening may repair the file, which takes as long as it takes.
                let opened = tokio::task::spawn_blocking(open).await;
                Box::new(opened.map_err(|_| VaultError::Corrupt { what: "file" })??)
            }
        };
        Self::over(store, &key, options, TOKEN_BITS).await
    }

    async fn over(store: Box<dyn Store>, key: &Key, options: Options, token_mask: u64) -> Result<Self, VaultError> {
        let record = match store.meta().await? {
            Some(record) => record,
            None => store.put_meta(Root::create(key, clock::unix_seconds())?).await?,
        };
        Ok(Self(Arc::new(Shared {
            root: Root::open(key, &record)?,
            store,
            cache: Cache::new(options.cache_bytes),
            passing: PassingKeys::new()?,
            probed: tokio::sync::Mutex::default(),
            token_mask,
        })))
    }

    /// A person's tokens and values. Nothing is written for a subject that the
    /// vault does not know: its keys are made in memory, and become durable
    /// together with its first mapping.
    pub async fn subject(&self, tenant: &str, subject: &str) -> Result<Subject, VaultError> {
        let shared = &self.0;
        let row = shared.root.row(tenant, subject);
        if let Some(state) = shared.cache.subject(row) {
            return Ok(Subject::kept(Arc::clone(shared), state));
        }
        let keys = match shared.store.subject(row).await? {
            Some(record) => SubjectKeys::open(&shared.root, row, tenant, subject, record)?,
            None => SubjectKeys::create(&shared.root, row, tenant, subject, clock::unix_seconds())?,
        };
        let state = Arc::new(State::new(row, tenant, subject, keys));
        let cost = state.cost();
        let state = shared.cache.subject_or_insert(row, state, cost);
        Ok(Subject::kept(Arc::clone(shared), state))
    }

    /// A subject of one request alone: its keys are random, it lives in
    /// memory, and nothing of it is stored.
    pub fn passing_subject(&self) -> Subject {
        Subject::passing(Passing::new(self.0.passing.next(), self.0.token_mask))
    }

    /// Shows by a real durable write that the vault can be written. Callers
    /// within a second share one write, so this cannot be used to load a disk.
    pub async fn check_writable(&self) -> Result<(), VaultError> {
        let mut probed = self.0.probed.lock().await;
        match &*probed {
            Some((at, found)) if at.elapsed() < PROBE_EVERY => found.clone(),
            _ => {
                let found = self.0.store.probe().await;
                *probed = Some((Instant::now(), found.clone()));
                found
            }
        }
    }

    /// Finishes what was accepted, and lets go of the store. What other clones
    /// and subjects ask for afterwards fails, but for what is cached.
    pub async fn close(self) {
        // Closing twice is the only way to fail, and comes to the same.
        let _ = self.0.store.close().await;
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("key", &self.0.root.key_id).finish_non_exhaustive()
    }
}
