//! The change from one key to another, under traffic.
//!
//! The vault's own record comes first: from then on it is sealed with both
//! keys, and new subjects are wrapped by the new one. Then subjects are wrapped
//! anew, page by page, each by a compare and swap, so that whoever writes one
//! meanwhile is not overwritten. When a pass over all finds none that is left,
//! the old key goes. A rotation that is cut off anywhere goes on from where it
//! was, in this process or another. No token changes.

use super::error::VaultError;
use super::key::{Key, KeyId, Secrets};
use super::records::{Expected, Owner, RecordChange};
use super::root::{Ids, Record, Root};
use super::subject_keys::{SubjectKeys, keys_named};
use super::{Kind, Shared, Vault};
use crate::store::{Event, EventKind, Row, Space};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many subjects are wrapped anew in one step.
const STEP: usize = 128;
/// How often it is tried to be the one who changes the vault's own record.
const ATTEMPTS: usize = 8;
/// In so much time every replica knows of the new key, or that it does not know
/// of the last second; half of it is to spare.
const SETTLED: Duration = Duration::from_secs(2);

const PROGRESS: &[u8] = b"progress";
const CORRUPT: VaultError = VaultError::Corrupt { what: "record of a rotation" };

/// What a rotation leads to.
#[derive(Debug, Clone, Default)]
pub struct NewKeys {
    /// The new key; without it that of the process, where the vault is under
    /// another one of its keys still, or a new one of the key service.
    pub key: Option<Key>,
    /// A new key for the second layer. Without it, one that is given apart
    /// stays, and a derived one follows the first.
    pub sensitive: Option<Key>,
}

/// How far a rotation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many subjects were looked at.
    pub passed: u64,
    /// How many of them were wrapped anew.
    pub wrapped: u64,
    /// How many could not be, as they are damaged. Nobody could open them
    /// before either.
    pub damaged: u64,
}

/// A rotation that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The key that went.
    pub from: KeyId,
    /// The key in use.
    pub to: KeyId,
    /// What was done, since it was last begun.
    pub done: Progress,
}

impl Vault {
    /// Changes to another key, or goes on with a change that was cut off.
    /// `progress` is told after every step. When this returns the old key opens
    /// nothing any more.
    ///
    /// # Errors
    ///
    /// [`VaultError::SameKey`] where the key is in use already,
    /// [`VaultError::RotatingTo`] where a change to another one is not over.
    pub async fn rotate(
        &self,
        new: NewKeys,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Rotated, VaultError> {
        match &self.0 {
            Kind::Stored(shared) => shared.rotate(new, progress).await,
            Kind::Memory(_) => Err(VaultError::unavailable("a vault in memory has no key to change")),
        }
    }
}

impl Shared {
    async fn rotate(&self, new: NewKeys, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Rotated, VaultError> {
        let root = self.begin(new).await?;
        let begun = Instant::now();
        let Some(from) = root.former.as_ref().map(|former| former.ids.key) else { return Err(CORRUPT) };
        let mut done = Progress::default();
        let after = self.read_progress(&root).await?;
        self.pass(&root, after, &mut done, progress).await?;
        // Subjects that others met under the old key are there by now.
        if self.store.is_shared() {
            tokio::time::sleep(SETTLED.saturating_sub(begun.elapsed())).await;
        } else {
            self.store.probe().await?;
        }
        loop {
            let before = done.wrapped;
            done.damaged = 0;
            self.pass(&root, None, &mut done, progress).await?;
            if done.wrapped == before {
                break;
            }
        }
        self.finish(&root).await?;
        if self.store.is_shared() {
            // Of who wrote under the old key behind the last pass, and ended there.
            done.damaged = 0;
            self.pass(&root, None, &mut done, progress).await?;
        }
        Ok(Rotated { from, to: root.current.ids.key, done })
    }

    /// Sees that the vault's own record is sealed with both keys.
    async fn begin(&self, new: NewKeys) -> Result<Arc<Root>, VaultError> {
        for key in [&new.key, &new.sensitive].into_iter().flatten() {
            self.envelope.give(|keys| keys.add(key.clone()));
        }
        let mut wanted = None;
        for _ in 0..ATTEMPTS {
            let root = self.envelope.refresh().await?;
            if root.former.is_some() {
                let key = root.current.ids.key;
                let is_it = new.key.as_ref().is_none_or(|new| new.id() == key);
                return if is_it { Ok(root) } else { Err(VaultError::RotatingTo { key }) };
            }
            let standing = self.store.meta().await?.ok_or(CORRUPT)?;
            let former = self.secrets_of(&standing, 0).await?;
            let next = match wanted.take() {
                Some(next) => next,
                None => self.next_secrets(&new, &former).await?,
            };
            if next.ids() == former.ids() {
                return Err(VaultError::SameKey { key: former.ids().key });
            }
            let record = root.next(&[&next, &former])?;
            if self.change_record(standing, record).await? {
                return Ok(self.envelope.root());
            }
            wanted = Some(next);
        }
        Err(VaultError::unavailable("the vault's own record keeps changing"))
    }

    /// The keys to change to.
    async fn next_secrets(&self, new: &NewKeys, former: &Secrets) -> Result<Secrets, VaultError> {
        let given = self.envelope.given();
        let is_derived = former.sensitive.id() == former.key.of_sensitive()?.id();
        let apart = given.sensitive().filter(|key| key.id() != former.sensitive.id());
        let sensitive = match (&new.sensitive, apart) {
            (Some(key), _) | (None, Some(key)) => Some(key.clone()),
            (None, None) => (!is_derived).then(|| former.sensitive.clone()),
        };
        match &new.key {
            Some(key) => Secrets::given(key.clone(), sensitive),
            None if new.sensitive.is_some() && given.engine().is_none() && given.leads(former.key.id()) => {
                // The second layer's key alone changes.
                Secrets::given(former.key.clone(), sensitive)
            }
            None => Ok(given.fresh().await?.with_sensitive(sensitive)?),
        }
    }

    /// Ends the rotation: the old key goes.
    async fn finish(&self, root: &Root) -> Result<(), VaultError> {
        let standing = self.store.meta().await?.ok_or(CORRUPT)?;
        if Record::parse(&standing)?.epoch != root.epoch {
            // Another process has ended it.
            self.envelope.refresh().await?;
            return Ok(());
        }
        let secrets = self.secrets_of(&standing, 0).await?;
        let record = root.next(&[&secrets])?;
        self.change_record(standing, record).await?;
        self.envelope.refresh().await?;
        self.envelope.give(|keys| keys.lead_to(&secrets));
        let done = RecordChange { expected: Expected::Anything, ..progress_change(None) };
        self.records.write(&[done], None).await.map(|_| ())
    }

    /// Writes the vault's own record, uses it, and tells other replicas; false
    /// where another one stands.
    async fn change_record(&self, standing: Vec<u8>, record: Vec<u8>) -> Result<bool, VaultError> {
        if self.store.put_meta(Some(standing), record.clone()).await? != record {
            return Ok(false);
        }
        self.envelope.install(&record).await?;
        let event = Event { row: Row::DEPLOYMENT, kind: EventKind::Rotated };
        self.store.write(Vec::new(), Some(event)).await?;
        self.heed(event);
        Ok(true)
    }

    async fn secrets_of(&self, record: &[u8], place: usize) -> Result<Secrets, VaultError> {
        let record = Record::parse(record)?;
        let entry = record.entries.get(place).ok_or(CORRUPT)?;
        self.envelope.given().secrets(entry.ids, &entry.wrapped).await
    }

    /// Wraps anew what is behind `after` and not wrapped by the key in use.
    async fn pass(
        &self,
        root: &Root,
        mut after: Option<Row>,
        done: &mut Progress,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), VaultError> {
        loop {
            let page = self.store.subjects(after, STEP).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            let before = done.wrapped;
            // Together, so that they share one durable commit.
            let mut steps: FuturesUnordered<_> =
                page.into_iter().map(|(row, record)| self.wrap_anew(root, row, record)).collect();
            while let Some(step) = steps.next().await {
                done.passed += 1;
                match step {
                    Ok(is_new) => done.wrapped += u64::from(is_new),
                    Err(VaultError::Corrupt { .. }) => done.damaged += 1,
                    Err(error) => return Err(error),
                }
            }
            if done.wrapped != before {
                self.write_progress(root, after).await?;
            }
            progress(*done);
        }
    }

    /// Says whether there was something to do.
    async fn wrap_anew(&self, root: &Root, row: Row, mut record: Vec<u8>) -> Result<bool, VaultError> {
        for _ in 0..ATTEMPTS {
            if names(&record, root.current.ids) {
                return Ok(false);
            }
            let Some(newer) = SubjectKeys::rewrap(root, row, &record)? else { return Ok(false) };
            if self.store.swap_subject(row, record, newer).await? {
                return Ok(true);
            }
            match self.store.subject(row).await? {
                Some(standing) => record = standing,
                None => return Ok(false),
            }
        }
        Err(VaultError::unavailable("the keys of a subject keep changing"))
    }

    /// Behind which subject an earlier attempt was cut off.
    async fn read_progress(&self, root: &Root) -> Result<Option<Row>, VaultError> {
        let Some(contents) = self.records.get(Owner::Deployment, Space::Rotation, PROGRESS).await? else {
            return Ok(None);
        };
        let (epoch, row) = contents.split_first_chunk::<8>().ok_or(CORRUPT)?;
        let row = Row::from_bytes(row.try_into().map_err(|_| CORRUPT)?);
        Ok((u64::from_be_bytes(*epoch) == root.epoch).then_some(row))
    }

    async fn write_progress(&self, root: &Root, after: Option<Row>) -> Result<(), VaultError> {
        let Some(row) = after else { return Ok(()) };
        let contents = [root.epoch.to_be_bytes().as_slice(), &row.to_bytes()].concat();
        self.records.write(&[progress_change(Some(&contents))], None).await.map(|_| ())
    }
}

fn names(record: &[u8], ids: Ids) -> bool {
    keys_named(record) == Some(ids)
}

fn progress_change(value: Option<&[u8]>) -> RecordChange<'_> {
    RecordChange {
        owner: Owner::Deployment,
        space: Space::Rotation,
        key: PROGRESS,
        expected: Expected::Anything,
        value,
    }
}
