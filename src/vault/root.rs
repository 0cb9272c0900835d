//! The top of the key hierarchy: the key that wraps subjects' keys, and the
//! key that hides which rows are whose.

use super::error::VaultError;
use super::hashing::Hashing;
use super::key::{Key, KeyId};
use super::seal::{NONCE, SealingKey, TAG, random};
use crate::store::Row;
use aws_lc_rs::hmac;

/// The newest format of the store that this build writes and reads.
pub(super) const FORMAT: u32 = 2;

const WHAT: &str = "own record";
const LABEL: &[u8] = b"privet vault\0";
const TENANT_LABEL: &[u8] = b"privet tenant\0";
/// format (4) | key id (8) | created (8)
const HEAD: usize = 20;

/// The vault's own keys, unwrapped.
pub(super) struct Root {
    /// The key-encryption key, derived from the deployment's secret.
    pub(super) wrapping: SealingKey,
    pub(super) key_id: KeyId,
    /// Makes row keys. It is random and only wrapped by the key-encryption
    /// key, so that a rotation of that key leaves every row where it is.
    pub(super) index: hmac::Key,
}

impl Root {
    /// The record of a new vault, made at `created` (Unix seconds).
    pub(super) fn create(key: &Key, created: u64) -> Result<Vec<u8>, VaultError> {
        let mut record = Vec::with_capacity(HEAD + NONCE + 32 + TAG);
        record.extend_from_slice(&FORMAT.to_be_bytes());
        record.extend_from_slice(&key.id().0);
        record.extend_from_slice(&created.to_be_bytes());
        let aad = [LABEL, &record].concat();
        wrapping_key(key)?.seal(*random::<NONCE>()?, &aad, random::<32>()?.as_ref(), &mut record)?;
        Ok(record)
    }

    /// Unwraps the vault's record. Fails closed on a newer format, another
    /// key, and anything that was changed.
    pub(super) fn open(key: &Key, record: &[u8]) -> Result<Self, VaultError> {
        let corrupt = VaultError::Corrupt { what: WHAT };
        // The format stands first in every version to come.
        let Some((format, _)) = record.split_first_chunk::<4>() else { return Err(corrupt) };
        let found = u32::from_be_bytes(*format);
        if found > FORMAT {
            return Err(VaultError::NewerFormat { found, known: FORMAT });
        }
        let Some((head, sealed)) = record.split_first_chunk::<HEAD>() else { return Err(corrupt) };
        let [_, _, _, _, id @ .., _, _, _, _, _, _, _, _] = *head;
        let (vault, given) = (KeyId(id), key.id());
        if vault != given {
            return Err(VaultError::WrongKey { vault, given });
        }
        let wrapping = wrapping_key(key)?;
        let index = wrapping.open(&[LABEL, head.as_slice()].concat(), sealed).ok_or(corrupt)?;
        Ok(Self { wrapping, key_id: given, index: hmac::Key::new(hmac::HMAC_SHA256, &index) })
    }

    /// What hashes the values of a tenant.
    pub(super) fn hashing(&self, tenant: &str) -> Hashing {
        // Rows are made of eight bytes of a length first, which no label is.
        Hashing::new(&self.index, tenant)
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

fn wrapping_key(key: &Key) -> Result<SealingKey, VaultError> {
    SealingKey::new(&*key.derive(b"vault wrapping key")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_stable_and_unrelated() {
        let key = Key::generate();
        let record = Root::create(&key, 1).unwrap();
        let (root, again) = (Root::open(&key, &record).unwrap(), Root::open(&key, &record).unwrap());
        assert_eq!(root.row("t", "s"), again.row("t", "s"));
        assert_ne!(root.row("a", "bc"), root.row("ab", "c"));
        let other = Root::open(&key, &Root::create(&key, 1).unwrap()).unwrap();
        assert_ne!(root.row("t", "s"), other.row("t", "s"));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let key = Key::generate();
        let record = Root::create(&key, 1).unwrap();
        for i in 0..record.len() {
            let mut bent = record.clone();
            bent[i] ^= 1;
            assert!(Root::open(&key, &bent).is_err(), "byte {i}");
            assert!(Root::open(&key, &record[..i]).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn wrong_keys_and_newer_formats_are_named() {
        let (key, other) = (Key::generate(), Key::generate());
        let mut record = Root::create(&key, 1).unwrap();
        let wrong = VaultError::WrongKey { vault: key.id(), given: other.id() };
        assert_eq!(Root::open(&other, &record).err(), Some(wrong));
        record[3] = 3;
        assert_eq!(Root::open(&key, &record).err(), Some(VaultError::NewerFormat { found: 3, known: 2 }));
    }
}
