//! What the vault asks of a store: opaque records by key, batch by batch.
//!
//! A store never sees a value, a subject or an unwrapped key. Every write is a
//! put-if-absent, so replicas that race for one key agree on who was first.

pub(super) mod embedded;
#[cfg(test)]
pub(super) mod memory;
#[cfg(test)]
mod suite;

use super::error::VaultError;
use crate::entity::Entity;
use crate::token::Token;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;

/// The answer of a store: at once from memory, later from a disk or network.
pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, VaultError>> + Send + 'a>>;

/// The key of a subject's rows: a keyed hash of tenant and subject.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Row(pub(super) [u8; 16]);

impl Hash for Row {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Half of a keyed hash is hash enough for a map.
        state.write_u64(u64::from_le_bytes(self.0.first_chunk().copied().unwrap_or_default()));
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({:032x})", u128::from_be_bytes(self.0))
    }
}

/// New mappings of one subject, written wholly or not at all.
#[derive(Clone)]
pub(super) struct Batch {
    pub(super) row: Row,
    /// The subject's record that the mappings were made under.
    pub(super) subject: Arc<[u8]>,
    /// Whether the subject's record may be created by this batch.
    pub(super) first_contact: bool,
    pub(super) mappings: Vec<(Token, Vec<u8>)>,
}

/// What became of a [`Batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything is durable.
    Stored,
    /// Nothing was written, since these tokens have a (durable) record already.
    Taken(Vec<(Token, Vec<u8>)>),
    /// Nothing was written, since the subject's (durable) record is this one,
    /// or none any more where the batch may not create it.
    Superseded(Option<Vec<u8>>),
}

/// Keeps records. All reads see durable records only.
pub(super) trait Store: Send + Sync {
    /// The vault's own record.
    fn meta(&self) -> Answer<'_, Option<Vec<u8>>>;
    /// Writes the vault's own record where there is none; the one that stands.
    fn put_meta(&self, record: Vec<u8>) -> Answer<'_, Vec<u8>>;
    /// The record of a subject.
    fn subject(&self, row: Row) -> Answer<'_, Option<Vec<u8>>>;
    /// The records of a subject's tokens, in the order of `tokens`.
    fn mappings<'a>(&'a self, row: Row, tokens: &'a [Token]) -> Answer<'a, Vec<Option<Vec<u8>>>>;
    /// The entities of a subject's tokens, each once; surrogates are none.
    fn entities(&self, row: Row) -> Answer<'_, Vec<Entity>>;
    /// All tokens of a subject with this entity, and their records.
    fn all(&self, row: Row, entity: Entity) -> Answer<'_, Vec<(Token, Vec<u8>)>>;
    /// Writes a batch. Where the caller does not wait for the answer, it is
    /// written wholly or not at all.
    fn put(&self, batch: Batch) -> Answer<'_, Outcome>;
    /// Shows that the store can be written, by a real durable write.
    fn probe(&self) -> Answer<'_, ()>;
    /// Finishes what was accepted and lets go of the store. Later calls fail.
    fn close(&self) -> Answer<'_, ()>;
}
