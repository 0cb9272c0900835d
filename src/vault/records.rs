//! What is kept beside the values: small sealed records, such as statements of
//! consent, the access log, and the cases of persons.
//!
//! They are sealed by keys of the vault, one for each tenant and space, and
//! bound to their place, so that none can pass for another.

use super::erasures::{Erasure, ErasureFile, Statement, What};
use super::error::VaultError;
use super::root::tenant_row;
use super::rows::Rows;
use super::seal::{Nonces, SealingKey};
use crate::clock;
use crate::store::{Change, Event, EventKind, Expect, Row, Space, Store};
use aws_lc_rs::hmac;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::broadcast;
use zeroize::Zeroizing;

const KEY_LABEL: &[u8] = b"privet records\0";
const LABEL: &[u8] = b"privet record\0";
/// Under this key of its space the time of an erasure stands.
const ERASED: &[u8] = b"erased";
const RECORD: VaultError = VaultError::Corrupt { what: "record beside the values" };

/// How many events a slow subscriber may lag behind.
const EVENTS: usize = 4096;

/// How many sealing keys are kept at hand.
const KEYS: usize = 256;

/// Whose record it is.
#[derive(Clone, Copy)]
pub enum Owner<'a> {
    /// The deployment's.
    Deployment,
    /// A tenant's.
    Tenant(&'a str),
    /// A person's. It goes with the person, unless its space is
    /// [kept](Space::is_kept).
    Subject {
        /// The tenant.
        tenant: &'a str,
        /// The person's pseudonymous id.
        subject: &'a str,
    },
    /// That of a row that is known already.
    Row(Row),
}

/// What must stand in the place of a record before it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// Whatever does.
    Anything,
    /// Nothing.
    Absent,
    /// A record with these contents.
    Unchanged(&'a [u8]),
}

/// A record to write, or to remove.
#[derive(Clone, Copy)]
pub struct RecordChange<'a> {
    /// Whose it is.
    pub owner: Owner<'a>,
    /// What it is about.
    pub space: Space,
    /// Its key there. It is not hidden: it must hold nothing personal.
    pub key: &'a [u8],
    /// What stands there before.
    pub expected: Expected<'a>,
    /// Its contents, which are sealed; none removes it.
    pub value: Option<&'a [u8]>,
}

/// The records of a vault. Clones share them.
#[derive(Clone)]
pub struct Records(Arc<Inner>);

/// Sealing keys by tenant and space.
type Keys = HashMap<([u8; 8], Space), Arc<SealingKey>>;

struct Inner {
    store: Arc<dyn Store>,
    index: hmac::Key,
    rows: Rows,
    keys: Mutex<Keys>,
    events: broadcast::Sender<Event>,
    erasures: OnceLock<ErasureFile>,
}

impl Records {
    pub(super) fn new(store: Arc<dyn Store>, index: hmac::Key) -> Self {
        let (keys, events, erasures) = (Mutex::default(), broadcast::channel(EVENTS).0, OnceLock::new());
        let rows = Rows::new(index.clone());
        Self(Arc::new(Inner { store, index, rows, keys, events, erasures }))
    }

    /// Whether all is known that other processes changed a second ago, so that
    /// what is remembered of records may be believed.
    pub fn is_current(&self) -> bool {
        self.0.store.is_current()
    }

    /// Whether other processes use the same records.
    pub fn is_shared(&self) -> bool {
        self.0.store.is_shared()
    }

    /// Whether they end with the process.
    pub fn is_volatile(&self) -> bool {
        self.0.store.is_volatile()
    }

    /// A record's contents.
    pub async fn get(&self, owner: Owner<'_>, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let row = self.row_of(owner);
        let sealed = self.sealed(row, space, key).await?;
        sealed.map(|sealed| self.open(row, space, key, &sealed)).transpose()
    }

    /// Keys and contents of records in the order of their keys, from the one
    /// behind `after` on, at most `limit`.
    pub async fn scan(
        &self,
        owner: Owner<'_>,
        space: Space,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, VaultError> {
        let row = self.row_of(owner);
        let page = self.0.store.scan(row, space, after.map(<[u8]>::to_vec), limit).await?;
        let open = |(key, sealed): (Vec<u8>, Vec<u8>)| {
            let value = self.open(row, space, &key, &sealed)?;
            Ok((key, value))
        };
        page.into_iter().map(open).collect()
    }

    /// Writes records, all or (where an expectation fails) none; says whether
    /// it did. They are durable when this returns. Subscribers here and on
    /// other replicas are told of `event`.
    pub async fn write(&self, changes: &[RecordChange<'_>], event: Option<Event>) -> Result<bool, VaultError> {
        let (mut sealed, mut nonces) = (Vec::with_capacity(changes.len()), Nonces::default());
        for RecordChange { owner, space, key, expected, value } in changes {
            let row = self.row_of(*owner);
            let expect = match expected {
                Expected::Anything => Expect::Anything,
                Expected::Absent => Expect::Absent,
                // What stands there is sealed under a nonce of its own.
                Expected::Unchanged(contents) => match self.sealed(row, *space, key).await? {
                    Some(standing) if self.open(row, *space, key, &standing)? == *contents => Expect::Is(standing),
                    _ => return Ok(false),
                },
            };
            let value = value.map(|value| self.seal(row, *space, key, value, &mut nonces)).transpose()?;
            sealed.push(Change { row, space: *space, key: key.to_vec(), expect, value });
        }
        if let Some(Event { row, kind: EventKind::Withdrawn }) = event {
            let statement = statement_in(&sealed, row);
            self.append(Erasure { at: clock::unix_seconds(), what: What::Withdrawn, row, statement }).await?;
        }
        let written = self.0.store.write(sealed, event).await?;
        if written && let Some(event) = event {
            self.announce(event);
        }
        Ok(written)
    }

    /// When a subject was erased last, in Unix seconds, if it ever was.
    pub(crate) async fn erased(&self, row: Row) -> Result<Option<u64>, VaultError> {
        let at = self.get(Owner::Row(row), Space::Erasure, ERASED).await?;
        at.map(|at| at.try_into().map(u64::from_be_bytes).map_err(|_| RECORD)).transpose()
    }

    /// Takes note, in the vault, that a subject was erased.
    pub(crate) async fn note_erased(&self, row: Row, at: u64) -> Result<(), VaultError> {
        let at = at.to_be_bytes();
        let (owner, space, expected) = (Owner::Row(row), Space::Erasure, Expected::Anything);
        let change = RecordChange { owner, space, key: ERASED, expected, value: Some(&at) };
        self.write(&[change], None).await.map(drop)
    }

    /// Takes note that a subject is erased, in the vault and in the file of
    /// erasures, so that no backup brings it back. To be called before it is.
    pub(super) async fn erasing(&self, row: Row) -> Result<(), VaultError> {
        let at = clock::unix_seconds();
        self.append(Erasure { at, what: What::Erased, row, statement: None }).await?;
        self.note_erased(row, at).await
    }

    /// From now on, erasures and withdrawals are also appended to this file.
    pub(super) fn keep_erasures(&self, path: &Path) -> io::Result<()> {
        // The first file stays.
        let _ = self.0.erasures.set(ErasureFile::open(path, self.0.index.clone())?);
        Ok(())
    }

    async fn append(&self, erasure: Erasure) -> Result<(), VaultError> {
        match self.0.erasures.get() {
            Some(file) => file.append(erasure).await,
            None => Ok(()),
        }
    }

    /// The row of a subject.
    pub fn row(&self, tenant: &str, subject: &str) -> Row {
        self.0.rows.of(tenant, subject)
    }

    /// A record as a change of the store, for a batch of mappings.
    pub(super) fn change(
        &self,
        row: Row,
        space: Space,
        key: &[u8],
        value: &[u8],
        nonces: &mut Nonces,
    ) -> Result<Change, VaultError> {
        let value = Some(self.seal(row, space, key, value, nonces)?);
        Ok(Change { row, space, key: key.to_vec(), expect: Expect::Anything, value })
    }

    /// Removes the records of a subject but those [that are
    /// kept](Space::is_kept), and tells the subscribers.
    pub(super) async fn erase(&self, row: Row) -> Result<(), VaultError> {
        self.0.store.erase(row).await?;
        self.announce(Event { row, kind: EventKind::Erased });
        Ok(())
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Tells the subscribers of this process.
    pub(super) fn announce(&self, event: Event) {
        // Without subscribers nobody needs to know.
        let _ = self.0.events.send(event);
    }

    fn row_of(&self, owner: Owner<'_>) -> Row {
        match owner {
            Owner::Deployment => Row::DEPLOYMENT,
            Owner::Tenant(tenant) => tenant_row(&self.0.index, tenant),
            Owner::Subject { tenant, subject } => self.row(tenant, subject),
            Owner::Row(row) => row,
        }
    }

    async fn sealed(&self, row: Row, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.0.store.get(row, space, vec![key.to_vec()]).await?.into_iter().next().flatten())
    }

    fn seal(
        &self,
        row: Row,
        space: Space,
        key: &[u8],
        value: &[u8],
        nonces: &mut Nonces,
    ) -> Result<Vec<u8>, VaultError> {
        let mut sealed = Vec::with_capacity(value.len() + 28);
        self.key(row, space)?.seal(nonces.next()?, &aad(row, space, key), value, &mut sealed)?;
        Ok(sealed)
    }

    pub(super) fn open(&self, row: Row, space: Space, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut plain = self.key(row, space)?.open(&aad(row, space, key), sealed).ok_or(RECORD)?;
        Ok(std::mem::take(&mut *plain))
    }

    /// The key of a tenant's space. It follows from the vault's own, so that
    /// what is at hand holds as long as the vault does.
    fn key(&self, row: Row, space: Space) -> Result<Arc<SealingKey>, VaultError> {
        let keys = || self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys().get(&(row.tenant, space)) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(self.derive(row, space)?);
        let mut keys = keys();
        if keys.len() >= KEYS {
            keys.clear();
        }
        keys.insert((row.tenant, space), Arc::clone(&key));
        Ok(key)
    }

    fn derive(&self, row: Row, space: Space) -> Result<SealingKey, VaultError> {
        let mut mac = hmac::Context::with_key(&self.0.index);
        for part in [KEY_LABEL, &row.tenant, &[space as u8]] {
            mac.update(part);
        }
        let tag = mac.sign();
        SealingKey::new(&Zeroizing::new(tag.as_ref().first_chunk().copied().unwrap_or_default()))
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records")
    }
}

/// The statement of a subject among the records that are written with it.
fn statement_in(changes: &[Change], row: Row) -> Option<Statement> {
    let change = changes.iter().find(|change| change.row == row && change.space == Space::Consent)?;
    Some(Statement { number: change.key.as_slice().try_into().ok()?, sealed: change.value.clone()? })
}

fn aad(row: Row, space: Space, key: &[u8]) -> Vec<u8> {
    [LABEL, &row.to_bytes(), &[space as u8], key].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;

    fn records() -> (Records, Arc<Memory>) {
        let store = Arc::new(Memory::default());
        (Records::new(Arc::clone(&store) as Arc<dyn Store>, hmac::Key::new(hmac::HMAC_SHA256, &[7; 32])), store)
    }

    fn change<'a>(key: &'a [u8], expected: Expected<'a>, value: Option<&'a [u8]>) -> RecordChange<'a> {
        RecordChange { owner: Owner::Tenant("shop"), space: Space::Case, key, expected, value }
    }

    #[tokio::test]
    async fn records_come_back_and_say_what_they_expect() {
        let (records, _) = records();
        let write = async |changes: &[RecordChange<'_>]| records.write(changes, None).await.unwrap();
        assert!(write(&[change(b"1", Expected::Absent, Some(b"open"))]).await);
        assert!(!write(&[change(b"1", Expected::Absent, Some(b"again"))]).await);
        let both = [
            change(b"1", Expected::Unchanged(b"open"), Some(b"done")),
            change(b"2", Expected::Unchanged(b"open"), Some(b"done")),
        ];
        assert!(!write(&both).await, "all or none");
        assert!(write(&both[..1]).await);
        let shop = Owner::Tenant("shop");
        assert_eq!(records.get(shop, Space::Case, b"1").await.unwrap().as_deref(), Some(b"done".as_slice()));
        assert_eq!(records.get(Owner::Tenant("bank"), Space::Case, b"1").await.unwrap(), None);
        assert!(write(&[change(b"0", Expected::Anything, Some(b"x"))]).await);
        let all = records.scan(shop, Space::Case, None, 9).await.unwrap();
        assert_eq!(all, [(b"0".to_vec(), b"x".to_vec()), (b"1".to_vec(), b"done".to_vec())]);
        assert_eq!(records.scan(shop, Space::Case, Some(b"0"), 9).await.unwrap().len(), 1);
        assert!(write(&[change(b"1", Expected::Anything, None)]).await);
        assert_eq!(records.get(shop, Space::Case, b"1").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_record_is_sealed_and_bound_to_its_place() {
        let (records, store) = records();
        assert!(records.write(&[change(b"1", Expected::Absent, Some(b"ana@example.com"))], None).await.unwrap());
        let row = records.row_of(Owner::Tenant("shop"));
        let sealed = store.get(row, Space::Case, vec![b"1".to_vec()]).await.unwrap().remove(0).unwrap();
        assert!(!sealed.windows(3).any(|window| window == b"ana"));
        let elsewhere = [(row, Space::Case, b"2".to_vec()), (row, Space::Audit, b"1".to_vec())];
        for (row, space, key) in elsewhere {
            let moved = Change { row, space, key: key.clone(), expect: Expect::Absent, value: Some(sealed.clone()) };
            assert!(store.write(vec![moved], None).await.unwrap());
            assert_eq!(records.get(Owner::Row(row), space, &key).await, Err(RECORD));
        }
    }

    #[tokio::test]
    async fn each_tenant_has_keys_of_its_own_and_few_are_at_hand() {
        let (records, _) = records();
        let tenants: Vec<String> = (0..=KEYS).map(|n| format!("tenant {n}")).collect();
        let change = |tenant, value| RecordChange {
            owner: Owner::Tenant(tenant),
            value,
            ..change(b"1", Expected::Anything, None)
        };
        for tenant in &tenants {
            assert!(records.write(&[change(tenant, Some(tenant.as_bytes()))], None).await.unwrap());
        }
        let at_hand = records.0.keys.lock().unwrap().len();
        assert!((1..=KEYS).contains(&at_hand), "{at_hand}");
        for tenant in &tenants {
            let found = records.get(Owner::Tenant(tenant), Space::Case, b"1").await.unwrap();
            assert_eq!(found.as_deref(), Some(tenant.as_bytes()));
        }
        let (one, other) = (records.row("a", ""), records.row("b", ""));
        let mut sealed = Vec::new();
        records.key(one, Space::Case).unwrap().seal([0; 12], b"", b"x", &mut sealed).unwrap();
        assert!(records.key(one, Space::Case).unwrap().open(b"", &sealed).is_some());
        assert!(records.key(other, Space::Case).unwrap().open(b"", &sealed).is_none());
        assert!(records.key(one, Space::Audit).unwrap().open(b"", &sealed).is_none());
    }

    #[tokio::test]
    async fn subscribers_are_told() {
        let (records, _) = records();
        let mut told = records.subscribe();
        let event = Event { row: records.row("shop", "ana"), kind: EventKind::Withdrawn };
        let failing = change(b"1", Expected::Unchanged(b"x"), None);
        assert!(!records.write(&[failing], Some(event)).await.unwrap());
        assert!(records.write(&[], Some(event)).await.unwrap());
        assert_eq!(told.recv().await.unwrap(), event);
        assert!(told.is_empty());
    }
}
