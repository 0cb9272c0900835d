//! The keys of a process at work: those that it was given, and those that the
//! vault's own record gives with them. It follows where the record changes.

use super::clock;
use super::error::VaultError;
use super::key::Keyring;
use super::root::{Record, Root};
use super::subject_keys::keys_named;
use crate::entity::Entity;
use crate::store::Store;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::RwLockReadGuard;
use tokio::task::AbortHandle;

pub(super) struct Envelope {
    store: Arc<dyn Store>,
    given: Mutex<Keyring>,
    root: RwLock<Arc<Root>>,
    sensitive: Arc<BTreeSet<Entity>>,
    /// Whether another record may stand in the store than the one in use, since
    /// it could not be read or opened when it was looked for.
    is_behind: AtomicBool,
    /// Held while the record is read again, so that who read it first does not
    /// say last what stands.
    reading: tokio::sync::Mutex<()>,
    /// Held while the keys of a new subject are written, so that none are
    /// wrapped by a key that is on its way out.
    contacts: tokio::sync::RwLock<()>,
    /// Keeps the token of a key service alive.
    renewal: Option<AbortHandle>,
}

impl Envelope {
    /// Reads the vault's own record, which is made where there is none and one
    /// may be.
    pub(super) async fn open(
        store: Arc<dyn Store>,
        given: Keyring,
        sensitive: BTreeSet<Entity>,
        create: bool,
    ) -> Result<Self, VaultError> {
        let record = match store.meta().await? {
            Some(record) => record,
            None if !create => return Err(VaultError::Absent),
            None => store.put_meta(None, Root::create(&given.fresh().await?, clock::unix_seconds())?).await?,
        };
        let sensitive = Arc::new(sensitive);
        let root = Root::open(&given, &record, &sensitive).await?;
        let renewal = given.engine().map(|engine| tokio::spawn(engine.clone().keep_token()).abort_handle());
        Ok(Self {
            store,
            given: Mutex::new(given),
            root: RwLock::new(Arc::new(root)),
            sensitive,
            is_behind: AtomicBool::new(false),
            reading: tokio::sync::Mutex::default(),
            contacts: tokio::sync::RwLock::default(),
            renewal,
        })
    }

    /// The vault's own keys.
    pub(super) fn root(&self) -> Arc<Root> {
        Arc::clone(&self.root.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys that the record of a subject may be wrapped by. They are read
    /// anew where it names others than those that are known.
    pub(super) async fn root_for(&self, subject: &[u8]) -> Result<Arc<Root>, VaultError> {
        let root = self.root();
        match keys_named(subject) {
            Some(ids) if root.wrapping(ids).is_none() => self.refresh().await,
            _ => Ok(root),
        }
    }

    /// Reads the vault's own record again, as another process may have changed
    /// it. Not to be called by who holds off [another key](Self::contact).
    pub(super) async fn refresh(&self) -> Result<Arc<Root>, VaultError> {
        let _reading = self.reading.lock().await;
        let read = self.read().await;
        self.is_behind.store(read.is_err(), Ordering::SeqCst);
        read
    }

    /// Whether the keys in use may be those of before, as the vault's own record
    /// could not be read or opened since. New subjects are wrapped by none.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::SeqCst)
    }

    /// Sees that the keys in use are those of the store, as far as is known.
    pub(super) async fn keep_up(&self) -> Result<(), VaultError> {
        if self.is_behind() { self.refresh().await.map(drop) } else { Ok(()) }
    }

    async fn read(&self) -> Result<Arc<Root>, VaultError> {
        let record = self.store.meta().await?.ok_or(VaultError::Corrupt { what: "own record" })?;
        let known = self.root();
        if Record::parse(&record)?.epoch == known.epoch {
            return Ok(known);
        }
        self.install(&record).await
    }

    /// Uses this record of the vault from now on.
    pub(super) async fn install(&self, record: &[u8]) -> Result<Arc<Root>, VaultError> {
        let given = self.given();
        let root = Arc::new(Root::open(&given, record, &self.sensitive).await?);
        // New subjects that are on their way get there first.
        let _no_contacts = self.contacts.write().await;
        let mut standing = self.root.write().unwrap_or_else(PoisonError::into_inner);
        if root.epoch > standing.epoch {
            *standing = root;
        }
        Ok(Arc::clone(&standing))
    }

    /// As long as this is held, no other key comes into use.
    pub(super) async fn contact(&self) -> RwLockReadGuard<'_, ()> {
        self.contacts.read().await
    }

    pub(super) fn given(&self) -> Keyring {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes keys in that records will be under.
    pub(super) fn give(&self, take: impl FnOnce(&mut Keyring)) {
        take(&mut self.given.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Envelope {
    fn drop(&mut self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
    }
}
