//! A subject's two keys and what is done with them: tokens and sealed values.
//!
//! Destroying the subject's record destroys both keys. Then nothing sealed
//! opens any more, and no token can be linked to a value again.

use super::error::VaultError;
use super::root::Root;
use super::seal::{NONCE, SealingKey, TAG, random};
use crate::entity::Entity;
use crate::hex;
use crate::sensitive::Sensitive;
use crate::store::Row;
use crate::token::Token;
use aws_lc_rs::hmac;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::{Zeroize, Zeroizing};

const VERSION: u8 = 1;
const SUBJECT_LABEL: &[u8] = b"privet subject\0";
const IDENTITY_LABEL: &[u8] = b"privet identity\0";
const MAPPING_LABEL: &[u8] = b"privet mapping\0";
const SUBJECT: VaultError = VaultError::Corrupt { what: "record of a subject" };
const MAPPING: VaultError = VaultError::Corrupt { what: "record of a token" };

/// version (1) | key id (8) | created (8)
const SUBJECT_HEAD: usize = 17;
/// data key (32) | token key (32), sealed
const WRAPPED: usize = NONCE + 64 + TAG;
/// version (1) | created (8)
const MAPPING_HEAD: usize = 9;

/// The unwrapped keys of one subject.
pub(super) struct SubjectKeys {
    data: SealingKey,
    token: hmac::Key,
    record: Arc<[u8]>,
    stored: AtomicBool,
}

impl SubjectKeys {
    /// New keys for a subject without any, not stored yet.
    pub(super) fn create(root: &Root, row: Row, tenant: &str, subject: &str, created: u64) -> Result<Self, VaultError> {
        let secret = random::<64>()?;
        let (data, token) = split(&secret)?;
        let nonces = random::<{ 2 * NONCE }>()?;
        let [wrap_nonce, identity_nonce] = halves(&nonces);

        let mut record = Vec::with_capacity(SUBJECT_HEAD + WRAPPED + 64 + tenant.len() + subject.len());
        record.push(VERSION);
        record.extend_from_slice(&root.key_id.0);
        record.extend_from_slice(&created.to_be_bytes());
        let aad = subject_aad(row, &record);
        root.wrapping.seal(wrap_nonce, &aad, secret.as_ref(), &mut record)?;
        data.seal(identity_nonce, &identity_aad(row), &identity(tenant, subject), &mut record)?;
        Ok(Self { data, token, record: record.into(), stored: AtomicBool::new(false) })
    }

    /// Unwraps the stored keys of a subject, and checks that they are its own.
    pub(super) fn open(
        root: &Root,
        row: Row,
        tenant: &str,
        subject: &str,
        record: Vec<u8>,
    ) -> Result<Self, VaultError> {
        let (head, rest) = record.split_first_chunk::<SUBJECT_HEAD>().ok_or(SUBJECT)?;
        let (wrapped, named) = rest.split_first_chunk::<WRAPPED>().ok_or(SUBJECT)?;
        if head.first() != Some(&VERSION) {
            return Err(SUBJECT);
        }
        let secret = root.wrapping.open(&subject_aad(row, head), wrapped).ok_or(SUBJECT)?;
        let (data, token) = split(secret.first_chunk().ok_or(SUBJECT)?)?;
        let named = data.open(&identity_aad(row), named).ok_or(SUBJECT)?;
        if *named != *identity(tenant, subject) {
            return Err(SUBJECT);
        }
        Ok(Self { data, token, record: record.into(), stored: AtomicBool::new(true) })
    }

    /// Unwraps the stored keys of a subject of which the row alone is known,
    /// and says whose they are: the tenant, and the subject.
    pub(super) fn open_named(root: &Root, row: Row, record: Vec<u8>) -> Result<(Self, String, Sensitive), VaultError> {
        let (tenant, subject) = named(root, row, &record)?;
        let keys = Self::open(root, row, &tenant, subject.expose(), record)?;
        Ok((keys, tenant, subject))
    }

    /// The record that holds these keys, wrapped.
    pub(super) fn record(&self) -> &Arc<[u8]> {
        &self.record
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
        Token::new(entity, token_bits(&self.token, entity, value, counter) & mask)
    }

    /// The name of the subject in the access log. It ends with the keys: who
    /// has lost them cannot tell whose it was.
    pub(super) fn alias(&self) -> String {
        let mut mac = hmac::Context::with_key(&self.token);
        // No entity starts so, and so no token or surrogate is made of the same.
        mac.update(b"@alias");
        let tag = mac.sign();
        hex::encode(tag.as_ref().get(..16).unwrap_or_default())
    }

    /// What the choice of a surrogate for a text starts from.
    pub(super) fn seed(&self, entity: Entity, text: &str) -> u64 {
        let mut mac = hmac::Context::with_key(&self.token);
        // No entity starts so, and so no token is made of the same.
        mac.update(b"~");
        mac.update(entity.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        u64::from_be_bytes(mac.sign().as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// Seals a value for the row of its token.
    pub(super) fn seal(
        &self,
        row: Row,
        token: &Token,
        value: &str,
        created: u64,
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, VaultError> {
        let mut record = Vec::with_capacity(MAPPING_HEAD + NONCE + value.len() + TAG);
        record.push(VERSION);
        record.extend_from_slice(&created.to_be_bytes());
        let aad = MappingAad::new(row, token, &record);
        self.data.seal(nonce, aad.bytes(), value.as_bytes(), &mut record)?;
        Ok(record)
    }

    /// The value of a token's record; an error where the record is not the
    /// one that was written for just this subject and token.
    pub(super) fn open_value(&self, row: Row, token: &Token, record: &[u8]) -> Result<Sensitive, VaultError> {
        let (head, sealed) = record.split_first_chunk::<MAPPING_HEAD>().ok_or(MAPPING)?;
        if head.first() != Some(&VERSION) {
            return Err(MAPPING);
        }
        let aad = MappingAad::new(row, token, head);
        let mut plain = self.data.open(aad.bytes(), sealed).ok_or(MAPPING)?;
        match String::from_utf8(std::mem::take(&mut *plain)) {
            Ok(value) => Ok(Sensitive::new(value)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(MAPPING)
            }
        }
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

fn split(secret: &[u8; 64]) -> Result<(SealingKey, hmac::Key), VaultError> {
    let (data, token) = secret.split_first_chunk::<32>().ok_or(SUBJECT)?;
    Ok((SealingKey::new(data)?, hmac::Key::new(hmac::HMAC_SHA256, token)))
}

fn halves(nonces: &[u8; 2 * NONCE]) -> [[u8; NONCE]; 2] {
    let first = nonces.first_chunk().copied().unwrap_or_default();
    let last = nonces.last_chunk().copied().unwrap_or_default();
    [first, last]
}

fn identity(tenant: &str, subject: &str) -> Zeroizing<Vec<u8>> {
    let len = (tenant.len() as u32).to_be_bytes();
    Zeroizing::new([&len, tenant.as_bytes(), subject.as_bytes()].concat())
}

/// The tenant and the subject that a record was made for.
fn named(root: &Root, row: Row, record: &[u8]) -> Result<(String, Sensitive), VaultError> {
    let (head, rest) = record.split_first_chunk::<SUBJECT_HEAD>().ok_or(SUBJECT)?;
    let (wrapped, named) = rest.split_first_chunk::<WRAPPED>().ok_or(SUBJECT)?;
    let secret = root.wrapping.open(&subject_aad(row, head), wrapped).ok_or(SUBJECT)?;
    let (data, _) = split(secret.first_chunk().ok_or(SUBJECT)?)?;
    let named = data.open(&identity_aad(row), named).ok_or(SUBJECT)?;
    let (len, names) = named.split_first_chunk::<4>().ok_or(SUBJECT)?;
    let names = std::str::from_utf8(names).map_err(|_| SUBJECT)?;
    let (tenant, subject) = names.split_at_checked(u32::from_be_bytes(*len) as usize).ok_or(SUBJECT)?;
    Ok((tenant.to_owned(), Sensitive::from(subject)))
}

fn subject_aad(row: Row, head: &[u8]) -> Vec<u8> {
    [SUBJECT_LABEL, &row.subject, head].concat()
}

fn identity_aad(row: Row) -> Vec<u8> {
    [IDENTITY_LABEL, &row.subject].concat()
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
mod tests {
    use super::*;
    use crate::vault::key::Key;

    const ROW: Row = Row { subject: [1; 16], ..Row::DEPLOYMENT };
    const OTHER: Row = Row { subject: [2; 16], ..Row::DEPLOYMENT };

    fn root() -> Root {
        let key = Key::generate();
        Root::open(&key, &Root::create(&key, 1).unwrap()).unwrap()
    }

    #[test]
    fn keys_open_for_their_own_subject_alone() {
        let root = root();
        let record = SubjectKeys::create(&root, ROW, "default", "ana", 7).unwrap().record().to_vec();
        let open = |row, tenant, subject| SubjectKeys::open(&root, row, tenant, subject, record.clone()).err();
        assert_eq!(open(ROW, "default", "ana"), None);
        assert_eq!(open(ROW, "default", "ben"), Some(SUBJECT));
        assert_eq!(open(ROW, "defaul", "tana"), Some(SUBJECT));
        assert_eq!(open(OTHER, "default", "ana"), Some(SUBJECT));
    }

    #[test]
    fn a_value_is_bound_to_its_row_and_token() {
        let keys = SubjectKeys::create(&root(), ROW, "default", "ana", 7).unwrap();
        let email: Entity = "EMAIL".parse().unwrap();
        let token = keys.token(email, "a@b.c", 0, u64::MAX);
        let record = keys.seal(ROW, &token, "a@b.c", 7, *random().unwrap()).unwrap();
        assert_eq!(keys.open_value(ROW, &token, &record).unwrap().expose(), "a@b.c");
        let others = [
            (OTHER, token),
            (ROW, Token::new(email, token.bits() ^ 1)),
            (ROW, Token::new("EMAI".parse().unwrap(), token.bits())),
        ];
        for (row, token) in others {
            assert_eq!(keys.open_value(row, &token, &record).err(), Some(MAPPING));
        }
    }

    #[test]
    fn tokens_depend_on_key_entity_value_and_counter() {
        let root = root();
        let (a, b) = [(); 2].map(|()| SubjectKeys::create(&root, ROW, "default", "ana", 7).unwrap()).into();
        let [email, emails] = ["EMAIL", "EMAILS"].map(|name| name.parse().unwrap());
        let tokens = [
            a.token(email, "x", 0, u64::MAX),
            b.token(email, "x", 0, u64::MAX),
            a.token(emails, "x", 0, u64::MAX),
            a.token(email, "x\0\0\0\0", 0, u64::MAX),
            a.token(email, "x", 1, u64::MAX),
        ];
        let distinct: std::collections::HashSet<_> = tokens.iter().map(Token::bits).collect();
        assert_eq!(distinct.len(), tokens.len());
        assert_eq!(a.token(email, "x", 0, u64::MAX), tokens[0]);
    }
}
