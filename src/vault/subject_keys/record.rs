//! The record of a subject: its keys, wrapped, and who it is, sealed.
//!
//! Version 2: version (1), the names of the wrapping keys (16), created (8);
//! data key and token key of most values, wrapped (92), those of sensitive
//! values, wrapped (92), the identity, sealed. Version 1 names one key (8), and
//! has one layer.

use super::super::error::VaultError;
use super::super::key::KeyId;
use super::super::root::{Ids, Root, Wrapping};
use super::super::seal::{NONCE, SealingKey, TAG, random};
use super::SUBJECT;
use crate::sensitive::Sensitive;
use crate::store::Row;
use zeroize::Zeroizing;

const FIRST_VERSION: u8 = 1;
const VERSION: u8 = 2;

const LABEL: &[u8] = b"privet subject\0";
const SENSITIVE_LABEL: &[u8] = b"privet subject, sensitive\0";
const IDENTITY_LABEL: &[u8] = b"privet identity\0";

const FIRST_HEAD: usize = 1 + 8 + 8;
const HEAD: usize = 1 + Ids::LEN + 8;
/// A data key (32) and a token key (32), wrapped.
const WRAPPED: usize = NONCE + 64 + TAG;

type Secret = Zeroizing<[u8; 64]>;

/// A record, unwrapped.
pub(super) struct Opened {
    pub(super) created: u64,
    pub(super) values: Secret,
    pub(super) sensitive: Option<Secret>,
    pub(super) identity: Zeroizing<Vec<u8>>,
}

/// The names of the keys that wrap a record; none in the first version.
pub(in crate::vault) fn keys_named(record: &[u8]) -> Option<Ids> {
    let head = record.first_chunk::<HEAD>()?;
    let (version, rest) = head.split_first()?;
    (*version == VERSION).then(|| rest.first_chunk().map(Ids::from_bytes))?
}

/// When the keys of a record were made, in Unix seconds.
pub(in crate::vault) fn created(record: &[u8]) -> Option<u64> {
    let len = if *record.first()? == FIRST_VERSION { FIRST_HEAD } else { HEAD };
    record.get(..len)?.last_chunk().map(|seconds| u64::from_be_bytes(*seconds))
}

pub(super) fn seal(
    root: &Root,
    row: Row,
    created: u64,
    values: &[u8; 64],
    sensitive: &[u8; 64],
    identity: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let Wrapping { ids, values: wrap_values, sensitive: wrap_sensitive } = &root.current;
    let mut record = Vec::with_capacity(HEAD + 2 * WRAPPED + NONCE + identity.len() + TAG);
    record.push(VERSION);
    record.extend_from_slice(&ids.to_bytes());
    record.extend_from_slice(&created.to_be_bytes());
    let (aad, sensitive_aad) = (aad(LABEL, row, &record), aad(SENSITIVE_LABEL, row, &record));
    wrap_values.seal(*random()?, &aad, values, &mut record)?;
    wrap_sensitive.seal(*random()?, &sensitive_aad, sensitive, &mut record)?;
    data_key(values)?.seal(*random()?, &identity_aad(row), identity, &mut record)?;
    Ok(record)
}

impl Opened {
    pub(super) fn of(root: &Root, row: Row, record: &[u8]) -> Result<Self, VaultError> {
        match record.first() {
            Some(&VERSION) => {
                let wrapping = keys_named(record).and_then(|ids| root.wrapping(ids)).ok_or(SUBJECT)?;
                let (head, rest) = record.split_first_chunk::<HEAD>().ok_or(SUBJECT)?;
                let (wrapped, rest) = rest.split_first_chunk::<WRAPPED>().ok_or(SUBJECT)?;
                let (sensitive, named) = rest.split_first_chunk::<WRAPPED>().ok_or(SUBJECT)?;
                let values = unwrap(&wrapping.values, &aad(LABEL, row, head), wrapped)?;
                let sensitive = unwrap(&wrapping.sensitive, &aad(SENSITIVE_LABEL, row, head), sensitive)?;
                Self::new(row, head, values, Some(sensitive), named)
            }
            Some(&FIRST_VERSION) => {
                let (head, rest) = record.split_first_chunk::<FIRST_HEAD>().ok_or(SUBJECT)?;
                let [_, id @ .., _, _, _, _, _, _, _, _] = *head;
                let wrapping = root.wrapping_of(KeyId(id)).ok_or(SUBJECT)?;
                let (wrapped, named) = rest.split_first_chunk::<WRAPPED>().ok_or(SUBJECT)?;
                let values = unwrap(&wrapping.values, &aad(LABEL, row, head), wrapped)?;
                Self::new(row, head, values, None, named)
            }
            _ => Err(SUBJECT),
        }
    }

    fn new(row: Row, head: &[u8], values: Secret, sensitive: Option<Secret>, named: &[u8]) -> Result<Self, VaultError> {
        let created = u64::from_be_bytes(*head.last_chunk().ok_or(SUBJECT)?);
        let identity = data_key(&values)?.open(&identity_aad(row), named).ok_or(SUBJECT)?;
        Ok(Self { created, values, sensitive, identity })
    }

    /// The same keys in a record of the newest version, wrapped by the key that
    /// is in use.
    pub(super) fn seal(&self, root: &Root, row: Row) -> Result<Vec<u8>, VaultError> {
        let sensitive = if let Some(sensitive) = &self.sensitive {
            sensitive.clone()
        } else {
            // Sensitive values keep the tokens that they have.
            let mut sensitive = random::<64>()?;
            if let (Some(to), Some(from)) = (sensitive.last_chunk_mut::<32>(), self.values.last_chunk::<32>()) {
                to.copy_from_slice(from);
            }
            sensitive
        };
        seal(root, row, self.created, &self.values, &sensitive, &self.identity)
    }

    /// The tenant and the subject whose keys they are.
    pub(super) fn named(&self) -> Option<(String, Sensitive)> {
        let (len, names) = self.identity.split_first_chunk()?;
        let names = std::str::from_utf8(names).ok()?;
        let (tenant, subject) = names.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        Some((tenant.to_owned(), Sensitive::from(subject)))
    }
}

pub(super) fn identity(tenant: &str, subject: &str) -> Zeroizing<Vec<u8>> {
    let len = (tenant.len() as u32).to_be_bytes();
    Zeroizing::new([&len, tenant.as_bytes(), subject.as_bytes()].concat())
}

fn unwrap(key: &SealingKey, aad: &[u8], wrapped: &[u8]) -> Result<Secret, VaultError> {
    let opened = key.open(aad, wrapped).ok_or(SUBJECT)?;
    let mut secret = Secret::new([0; 64]);
    secret.copy_from_slice(opened.first_chunk::<64>().ok_or(SUBJECT)?);
    Ok(secret)
}

/// The identity is sealed by the subject's own key, so that it goes with it.
fn data_key(secret: &[u8; 64]) -> Result<SealingKey, VaultError> {
    SealingKey::new(secret.first_chunk().ok_or(SUBJECT)?)
}

fn aad(label: &[u8], row: Row, head: &[u8]) -> Vec<u8> {
    [label, &row.subject, head].concat()
}

fn identity_aad(row: Row) -> Vec<u8> {
    [IDENTITY_LABEL, &row.subject].concat()
}
