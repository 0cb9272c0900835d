//! The top of the key hierarchy: the keys that wrap those of subjects, and the
//! key that hides which rows are whose.
//!
//! The vault's own record names the key that it is sealed with, and while a
//! rotation runs the one that goes too. Neither opens what is the other's: who
//! has the key that went opens no record of the vault, and no keys of subjects
//! that were wrapped anew, so no values. The secret behind the index key does
//! not change, as every row would: who has the key that went *and* a copy of
//! the vault's own record of that time has it still. It tells whose a row is,
//! and opens what is sealed beside the values, by keys derived from it.

mod record;

pub(super) use record::Record;

use super::error::VaultError;
use super::key::{Key, KeyId, Keyring, Secrets};
use super::seal::{NONCE, SealingKey, random};
use crate::entity::Entity;
use crate::store::Row;
use aws_lc_rs::hmac;
use record::Entry;
use std::collections::BTreeSet;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The newest format of the vault's own record.
pub(super) const FORMAT: u32 = 3;

const CORRUPT: VaultError = VaultError::Corrupt { what: "own record" };
const TENANT_LABEL: &[u8] = b"privet tenant\0";

/// The vault's own keys, unwrapped.
pub(super) struct Root {
    /// Counts the changes of the record.
    pub(super) epoch: u64,
    /// That of the record.
    pub(super) format: u32,
    /// When the vault was made, in Unix seconds.
    created: u64,
    /// What new records are wrapped by.
    pub(super) current: Wrapping,
    /// What others may still be wrapped by, while a rotation runs.
    pub(super) former: Option<Wrapping>,
    /// Makes row keys. It is random and only wrapped by the key-encryption
    /// key, so that a rotation of that key leaves every row where it is.
    pub(super) index: hmac::Key,
    secret: Zeroizing<[u8; 32]>,
    sensitive: Arc<BTreeSet<Entity>>,
}

/// The two key-encryption keys that wrap the keys of a subject.
pub(super) struct Wrapping {
    pub(super) ids: Ids,
    /// Wraps the keys of all values but the sensitive ones.
    pub(super) values: SealingKey,
    /// Wraps the keys of sensitive values.
    pub(super) sensitive: SealingKey,
}

/// The names of the keys of both layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) key: KeyId,
    pub(super) sensitive: KeyId,
}

impl Ids {
    pub(super) const LEN: usize = 16;

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (key, sensitive) = bytes.split_at_mut(8);
        key.copy_from_slice(&self.key.0);
        sensitive.copy_from_slice(&self.sensitive.0);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let key = KeyId(bytes.first_chunk().copied().unwrap_or_default());
        let sensitive = KeyId(bytes.last_chunk().copied().unwrap_or_default());
        Self { key, sensitive }
    }
}

impl Secrets {
    pub(super) fn ids(&self) -> Ids {
        Ids { key: self.key.id(), sensitive: self.sensitive.id() }
    }

    fn wrapping(&self) -> Result<Wrapping, VaultError> {
        Ok(Wrapping { ids: self.ids(), values: values_key(&self.key)?, sensitive: sensitive_key(&self.sensitive)? })
    }
}

impl Root {
    /// The record of a new vault, made at `created` (Unix seconds).
    pub(super) fn create(secrets: &Secrets, created: u64) -> Result<Vec<u8>, VaultError> {
        Self::seal(&[secrets], 1, created, &*random()?)
    }

    /// Unwraps the vault's record with the keys that it names. Fails closed on
    /// a newer format, other keys, and anything that was changed.
    pub(super) async fn open(
        keys: &Keyring,
        record: &[u8],
        sensitive: &Arc<BTreeSet<Entity>>,
    ) -> Result<Self, VaultError> {
        let parsed = Record::parse(record)?;
        let mut secrets = Vec::with_capacity(parsed.entries.len());
        for entry in &parsed.entries {
            let found = keys.secrets(entry.ids, &entry.wrapped).await;
            let is_rotating = parsed.entries.len() > 1;
            secrets.push(found.map_err(|error| match error {
                VaultError::WrongKey { vault, .. } if is_rotating => VaultError::Rotating { missing: vault },
                other => other,
            })?);
        }
        Self::unwrap(&parsed, &secrets, sensitive)
    }

    fn unwrap(record: &Record, secrets: &[Secrets], sensitive: &Arc<BTreeSet<Entity>>) -> Result<Self, VaultError> {
        let mut wrappings = Vec::with_capacity(secrets.len());
        let mut index = None;
        for (place, (entry, secrets)) in record.entries.iter().zip(secrets).enumerate() {
            let wrapping = secrets.wrapping()?;
            let aad = record.aad(place);
            let opened = wrapping.values.open(&aad, &entry.sealed).ok_or(CORRUPT)?;
            if !entry.check.is_empty() {
                wrapping.sensitive.open(&aad, &entry.check).ok_or(CORRUPT)?;
            }
            let opened: Zeroizing<[u8; 32]> = Zeroizing::new(opened.as_slice().try_into().map_err(|_| CORRUPT)?);
            if index.get_or_insert_with(|| opened.clone()) != &opened {
                return Err(CORRUPT);
            }
            wrappings.push(wrapping);
        }
        let secret = index.ok_or(CORRUPT)?;
        let mut wrappings = wrappings.into_iter();
        Ok(Self {
            epoch: record.epoch,
            format: record.format,
            created: record.created,
            current: wrappings.next().ok_or(CORRUPT)?,
            former: wrappings.next(),
            index: hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()),
            secret,
            sensitive: Arc::clone(sensitive),
        })
    }

    /// The record that stands after this one, sealed with these keys: the
    /// first is in use, a second one goes.
    pub(super) fn next(&self, secrets: &[&Secrets]) -> Result<Vec<u8>, VaultError> {
        Self::seal(secrets, self.epoch + 1, self.created, &self.secret)
    }

    fn seal(secrets: &[&Secrets], epoch: u64, created: u64, index: &[u8; 32]) -> Result<Vec<u8>, VaultError> {
        let entries = secrets.iter().map(|secrets| Entry::new(secrets.ids(), secrets.wrapped.clone()));
        let mut record = Record::new(epoch, created, entries.collect());
        for (place, secrets) in secrets.iter().enumerate() {
            let (wrapping, aad) = (secrets.wrapping()?, record.aad(place));
            let (mut sealed, mut check) = (Vec::new(), Vec::new());
            wrapping.values.seal(*random::<NONCE>()?, &aad, index, &mut sealed)?;
            // Nothing is in it: that it opens shows the key to be the right one.
            wrapping.sensitive.seal(*random::<NONCE>()?, &aad, &[], &mut check)?;
            if let Some(entry) = record.entries.get_mut(place) {
                (entry.sealed, entry.check) = (sealed, check);
            }
        }
        Ok(record.to_bytes())
    }

    /// Which of the wrapping keys have these names.
    pub(super) fn wrapping(&self, ids: Ids) -> Option<&Wrapping> {
        [Some(&self.current), self.former.as_ref()].into_iter().flatten().find(|wrapping| wrapping.ids == ids)
    }

    /// The wrapping keys of which the first layer's has this name.
    pub(super) fn wrapping_of(&self, key: KeyId) -> Option<&Wrapping> {
        [Some(&self.current), self.former.as_ref()].into_iter().flatten().find(|wrapping| wrapping.ids.key == key)
    }

    /// The entities whose values are in the second layer.
    pub(super) fn sensitive_entities(&self) -> Arc<BTreeSet<Entity>> {
        Arc::clone(&self.sensitive)
    }

    /// The row of a subject. Without the index key nobody can tell from a row
    /// whose it is, not even by trying names.
    pub(super) fn row(&self, tenant: &str, subject: &str) -> Row {
        row(&self.index, tenant, subject)
    }
}

/// The row that leads what belongs to a subject.
pub(super) fn row(index: &hmac::Key, tenant: &str, subject: &str) -> Row {
    let mut mac = hmac::Context::with_key(index);
    // The length keeps ("a", "bc") apart from ("ab", "c").
    mac.update(&(tenant.len() as u64).to_be_bytes());
    mac.update(tenant.as_bytes());
    mac.update(subject.as_bytes());
    let tag = mac.sign();
    let subject = tag.as_ref().first_chunk().copied().unwrap_or_default();
    Row { subject, ..tenant_row(index, tenant) }
}

/// The row that leads what belongs to a tenant.
pub(super) fn tenant_row(index: &hmac::Key, tenant: &str) -> Row {
    let mut mac = hmac::Context::with_key(index);
    mac.update(TENANT_LABEL);
    mac.update(tenant.as_bytes());
    let tag = mac.sign();
    Row { tenant: tag.as_ref().first_chunk().copied().unwrap_or_default(), ..Row::DEPLOYMENT }
}

fn values_key(key: &Key) -> Result<SealingKey, VaultError> {
    SealingKey::new(&*key.derive(b"vault wrapping key")?)
}

fn sensitive_key(key: &Key) -> Result<SealingKey, VaultError> {
    SealingKey::new(&*key.derive(b"vault sensitive wrapping key")?)
}

#[cfg(test)]
impl Root {
    /// That of a new vault.
    pub(super) fn of(key: &Key) -> Self {
        let secrets = Secrets::given(key.clone(), None).unwrap();
        let record = Record::parse(&Self::create(&secrets, 1).unwrap()).unwrap();
        let sensitive = Arc::new([Entity::constant("HEALTH")].into());
        Self::unwrap(&record, &[secrets], &sensitive).unwrap()
    }

    /// The same, sealed with other keys.
    pub(super) fn rotating(&self, secrets: &[Secrets]) -> Self {
        let record = self.next(&secrets.iter().collect::<Vec<_>>()).unwrap();
        Self::unwrap(&Record::parse(&record).unwrap(), secrets, &self.sensitive).unwrap()
    }
}

#[cfg(test)]
mod tests;
