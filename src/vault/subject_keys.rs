//! A subject's keys and what is done with them: tokens and sealed values.
//!
//! There are two layers of two keys each: one for most values, one for the
//! sensitive ones, wrapped by keys of which neither opens the other's.
//! Destroying the subject's record destroys all of them. Then nothing sealed
//! opens any more, and no token can be linked to a value again.

mod head;
mod record;

pub(super) use head::{Head, Origin, is_anonymized};
pub(super) use record::{created, keys_named};

use super::error::VaultError;
use super::root::{Ids, Root};
use super::seal::{NONCE, SealingKey, TAG, random};
use crate::entity::Entity;
use crate::hex;
use crate::sensitive::Sensitive;
use crate::store::Row;
use crate::token::Token;
use aws_lc_rs::hmac;
use head::Layered;
use record::Opened;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroize;

const MAPPING_LABEL: &[u8] = b"privet mapping\0";
const SUBJECT: VaultError = VaultError::Corrupt { what: "record of a subject" };
const MAPPING: VaultError = VaultError::Corrupt { what: "record of a token" };

/// The unwrapped keys of one subject.
pub(super) struct SubjectKeys {
    values: Layer,
    /// Absent where the record is of its first version, which had one layer.
    sensitive: Option<Layer>,
    entities: Arc<std::collections::BTreeSet<Entity>>,
    /// Says whether two sets of keys are the same: those of before and after
    /// an erasure are not.
    life: u64,
    record: Arc<[u8]>,
    stored: AtomicBool,
}

/// The keys of one layer: for values, and for their tokens.
struct Layer {
    data: SealingKey,
    token: hmac::Key,
}

impl SubjectKeys {
    /// New keys for a subject without any, not stored yet.
    pub(super) fn create(root: &Root, row: Row, tenant: &str, subject: &str, created: u64) -> Result<Self, VaultError> {
        let (values, sensitive) = (random::<64>()?, random::<64>()?);
        let record = record::seal(root, row, created, &values, &sensitive, &record::identity(tenant, subject))?;
        Self::new(root, &values, Some(&sensitive), record, false)
    }

    /// Unwraps the stored keys of a subject, and checks that they are its own.
    pub(super) fn open(
        root: &Root,
        row: Row,
        tenant: &str,
        subject: &str,
        record: Vec<u8>,
    ) -> Result<Self, VaultError> {
        let opened = Opened::of(root, row, &record)?;
        if *opened.identity != *record::identity(tenant, subject) {
            return Err(SUBJECT);
        }
        Self::new(root, &opened.values, opened.sensitive.as_deref(), record, true)
    }

    /// Unwraps the stored keys of a subject of which the row alone is known,
    /// and says whose they are: the tenant, and the subject.
    pub(super) fn open_named(root: &Root, row: Row, record: Vec<u8>) -> Result<(Self, String, Sensitive), VaultError> {
        let opened = Opened::of(root, row, &record)?;
        let (tenant, subject) = opened.named().ok_or(SUBJECT)?;
        if root.row(&tenant, subject.expose()).subject != row.subject {
            return Err(SUBJECT);
        }
        let keys = Self::new(root, &opened.values, opened.sensitive.as_deref(), record, true)?;
        Ok((keys, tenant, subject))
    }

    /// The same keys in a record of the newest version, wrapped by the key that
    /// is in use; none where they are so already.
    pub(super) fn rewrap(root: &Root, row: Row, record: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        if keys_named(record) == Some(root.current.ids) {
            return Ok(None);
        }
        Opened::of(root, row, record)?.seal(root, row).map(Some)
    }

    /// The keys of a subject of one vault, in another vault, or wrapped by
    /// other keys of the same: their row and record there.
    pub(super) fn moved(from: &Root, row: Row, record: &[u8], to: &Root) -> Result<(Row, Vec<u8>), VaultError> {
        let opened = Opened::of(from, row, record)?;
        let (tenant, subject) = opened.named().ok_or(SUBJECT)?;
        let row = to.row(&tenant, subject.expose());
        Ok((row, opened.seal(to, row)?))
    }

    fn new(
        root: &Root,
        values: &[u8; 64],
        sensitive: Option<&[u8; 64]>,
        record: Vec<u8>,
        stored: bool,
    ) -> Result<Self, VaultError> {
        let values = Layer::new(values)?;
        let sensitive = sensitive.map(Layer::new).transpose()?;
        let life = values.seed(Entity::SURROGATE, "");
        let entities = root.sensitive_entities();
        Ok(Self { values, sensitive, entities, life, record: record.into(), stored: AtomicBool::new(stored) })
    }

    /// The record that holds these keys, wrapped.
    pub(super) fn record(&self) -> &Arc<[u8]> {
        &self.record
    }

    /// The names of the keys that wrap these; none in the first version.
    pub(super) fn wrapped_by(&self) -> Option<Ids> {
        keys_named(&self.record)
    }

    /// Whether the other keys are the same, however they are wrapped.
    pub(super) fn are_those_of(&self, other: &Self) -> bool {
        self.life == other.life
    }

    /// Whether the record is known to be durable.
    pub(super) fn are_stored(&self) -> bool {
        self.stored.load(Ordering::Acquire)
    }

    pub(super) fn mark_stored(&self) {
        self.stored.store(true, Ordering::Release);
    }

    /// The subject's token for a value. `counter` is 0 but where that token
    /// stands for another value of the subject.
    pub(super) fn token(&self, entity: Entity, value: &str, counter: u32, mask: u64) -> Token {
        let layer = self.layer(entity).unwrap_or(&self.values);
        Token::new(entity, token_bits(&layer.token, entity, value, counter) & mask)
    }

    /// The name of the subject in the access log. It ends with the keys: who
    /// has lost them cannot tell whose it was.
    pub(super) fn alias(&self) -> String {
        let mut mac = hmac::Context::with_key(&self.values.token);
        // No entity starts so, and so no token or surrogate is made of the same.
        mac.update(b"@alias");
        let tag = mac.sign();
        hex::encode(tag.as_ref().get(..16).unwrap_or_default())
    }

    /// What the choice of a surrogate for a text starts from.
    pub(super) fn seed(&self, entity: Entity, text: &str) -> u64 {
        self.layer(entity).unwrap_or(&self.values).seed(entity, text)
    }

    /// The layer of an entity's values, where it is another than that of most.
    fn layer(&self, entity: Entity) -> Option<&Layer> {
        self.sensitive.as_ref().filter(|_| self.entities.contains(&entity))
    }

    /// The layer that a record says it is of.
    fn layer_of(&self, head: Head) -> Option<&Layer> {
        match head.layer {
            Layered::Plain => Some(&self.values),
            Layered::Sensitive => self.sensitive.as_ref(),
        }
    }

    /// Seals a value of an entity for the row of its token.
    pub(super) fn seal(
        &self,
        row: Row,
        token: &Token,
        entity: Entity,
        value: &str,
        origin: impl Into<Origin>,
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, VaultError> {
        let Origin { created, purpose } = origin.into();
        let (layer, layered) = match self.layer(entity) {
            Some(sensitive) => (sensitive, Layered::Sensitive),
            None => (&self.values, Layered::Plain),
        };
        let mut record = Head { layer: layered, created, purpose, is_anonymized: false }.to_bytes();
        record.reserve(NONCE + value.len() + TAG);
        let aad = MappingAad::new(row, token, &record);
        layer.data.seal(nonce, aad.bytes(), value.as_bytes(), &mut record)?;
        Ok(record)
    }

    /// The record of a token with the same value, sealed by these keys for this
    /// row instead of by those of `old` for theirs.
    pub(super) fn reseal(
        &self,
        row: Row,
        old: &Self,
        old_row: Row,
        token: &Token,
        record: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let (head, rest) = Head::split(record).ok_or(MAPPING)?;
        if head.is_anonymized {
            return Ok(record.to_vec());
        }
        let value = old.open_value(old_row, token, record)?;
        let bytes = record.get(..record.len() - rest.len()).ok_or(MAPPING)?;
        let mut sealed = bytes.to_vec();
        let aad = MappingAad::new(row, token, bytes);
        let layer = self.layer_of(head).ok_or(MAPPING)?;
        layer.data.seal(*random()?, aad.bytes(), value.expose().as_bytes(), &mut sealed)?;
        Ok(sealed)
    }

    /// The value of a token's record, unless [it is gone](Head::is_anonymized);
    /// an error where the record is not the
    /// one that was written for just this subject and token.
    pub(super) fn open_value(&self, row: Row, token: &Token, record: &[u8]) -> Result<Sensitive, VaultError> {
        let (head, sealed) = Head::split(record).ok_or(MAPPING)?;
        let bytes = record.get(..record.len() - sealed.len()).ok_or(MAPPING)?;
        let layer = self.layer_of(head).ok_or(MAPPING)?;
        let aad = MappingAad::new(row, token, bytes);
        let mut plain = layer.data.open(aad.bytes(), sealed).ok_or(MAPPING)?;
        match String::from_utf8(std::mem::take(&mut *plain)) {
            Ok(value) => Ok(Sensitive::new(value)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(MAPPING)
            }
        }
    }
}

impl Layer {
    fn new(secret: &[u8; 64]) -> Result<Self, VaultError> {
        let (data, token) = secret.split_first_chunk::<32>().ok_or(SUBJECT)?;
        Ok(Self { data: SealingKey::new(data)?, token: hmac::Key::new(hmac::HMAC_SHA256, token) })
    }

    fn seed(&self, entity: Entity, text: &str) -> u64 {
        let mut mac = hmac::Context::with_key(&self.token);
        // No entity starts so, and so no token is made of the same.
        mac.update(b"~");
        mac.update(entity.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        u64::from_be_bytes(mac.sign().as_ref().first_chunk().copied().unwrap_or_default())
    }
}

/// The first 35 bits of HMAC-SHA-256 (RFC 2104) over entity, value, counter.
fn token_bits(key: &hmac::Key, entity: Entity, value: &str, counter: u32) -> u64 {
    let mut mac = hmac::Context::with_key(key);
    mac.update(entity.as_str().as_bytes());
    mac.update(&[0]);
    mac.update(value.as_bytes());
    // Four bytes at the end, so no value can pass for another with a counter.
    mac.update(&counter.to_be_bytes());
    let tag = mac.sign();
    u64::from_be_bytes(tag.as_ref().first_chunk().copied().unwrap_or_default()) >> (64 - 35)
}

/// What a mapping is bound to: tenant and subject (by their row), token, head.
/// On the stack, as one is made for every value.
struct MappingAad {
    bytes: [u8; 96],
    len: usize,
}

impl MappingAad {
    fn new(row: Row, token: &Token, head: &[u8]) -> Self {
        let mut aad = Self { bytes: [0; 96], len: 0 };
        let entity = token.entity();
        let bits = token.bits().to_be_bytes();
        for part in [MAPPING_LABEL, &row.subject, head, entity.as_str().as_bytes(), &[0], &bits] {
            if let Some(free) = aad.bytes.get_mut(aad.len..aad.len + part.len()) {
                free.copy_from_slice(part);
                aad.len += part.len();
            }
        }
        aad
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
