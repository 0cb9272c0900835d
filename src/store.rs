//! Keeps opaque records by key, batch by batch: in memory, in a file, or in a
//! database.
//!
//! A store never sees a value, a subject or an unwrapped key: its keys are
//! keyed hashes, its records are sealed by the vault. Every write says what it
//! expects to find, so replicas that race for one key agree on who was first.

pub mod embedded;
mod error;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(test)]
pub(crate) mod suite;

pub use error::StoreError;

use crate::entity::Entity;
use crate::token::Token;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;

/// The answer of a store: at once from memory, later from a disk or network.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What leads the key of every record, so that a store can be spread by it:
/// keyed hashes of a tenant, and of a tenant together with a subject.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Zero for what belongs to the deployment.
    pub tenant: [u8; 8],
    /// Zero for what belongs to the tenant.
    pub subject: [u8; 16],
}

impl Row {
    /// How many bytes a row takes in front of a key.
    pub const LEN: usize = 24;

    /// Leads what belongs to the deployment as a whole.
    pub const DEPLOYMENT: Self = Self { tenant: [0; 8], subject: [0; 16] };

    /// The row of bytes as [`to_bytes`](Self::to_bytes) gives them.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let tenant = bytes.first_chunk().copied().unwrap_or_default();
        let subject = bytes.last_chunk().copied().unwrap_or_default();
        Self { tenant, subject }
    }

    /// The row of its tenant.
    #[must_use]
    pub fn of_tenant(self) -> Self {
        Self { subject: Self::DEPLOYMENT.subject, ..self }
    }

    /// Whether it is that of a tenant, or of the deployment.
    pub fn is_of_tenant(&self) -> bool {
        self.subject == Self::DEPLOYMENT.subject
    }

    /// Its bytes, the tenant's first.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (tenant, subject) = bytes.split_at_mut(self.tenant.len());
        tenant.copy_from_slice(&self.tenant);
        subject.copy_from_slice(&self.subject);
        bytes
    }
}

impl Hash for Row {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Half of a keyed hash is hash enough for a map.
        state.write_u64(u64::from_le_bytes(self.subject.first_chunk().copied().unwrap_or_default()));
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({:016x}:{:032x})", u64::from_be_bytes(self.tenant), u128::from_be_bytes(self.subject))
    }
}

/// The keyed hash of a value that subjects are found by.
pub type Blind = [u8; 16];

/// What a record beside the values is about. The numbers are part of the
/// format of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Space {
    /// Statements of consent.
    Consent = 1,
    /// The access log.
    Audit = 2,
    /// Requests of persons for their rights.
    Case = 3,
    /// Keys of operators.
    Operator = 4,
    /// The register of breaches.
    Incident = 5,
    /// What may be used once.
    Once = 6,
    /// What subjects are found by: at a subject the [keyed hashes](Blind) of
    /// values, as keys of empty records. The store itself leads [from the hash
    /// to the subjects](Store::found), also after such a record is removed or
    /// its subject is erased.
    Index = 7,
    /// Signed points of the access log.
    Checkpoint = 8,
    /// Messages to other systems that are still to be sent.
    Outbox = 10,
    /// Who was erased, and when.
    Erasure = 11,
    /// How far the change of a key has come.
    Rotation = 12,
    /// What a subject is known by elsewhere.
    Link = 13,
    /// How long what was kept, and what was removed.
    Retention = 14,
    /// The key that confirmations are signed with.
    Signer = 40,
    /// Persons who have shown who they are.
    Session = 41,
    /// Codes by which persons show who they are.
    Code = 42,
    /// Subjects whose data is restricted.
    Restriction = 43,
    /// The subject of a case, as long as it is open.
    Name = 44,
    /// Keys that are forgotten with their day.
    Daily = 45,
}

impl Space {
    /// The one that comes before all others.
    const FIRST: Self = Self::Consent;

    /// The space of a number as it stands in a store.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::all().find(|space| *space as u8 == number)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        use Space::{
            Audit, Case, Checkpoint, Code, Consent, Daily, Erasure, Incident, Index, Link, Name, Once, Operator,
            Outbox, Restriction, Retention, Rotation, Session, Signer,
        };
        let all = [
            Consent,
            Audit,
            Case,
            Operator,
            Incident,
            Once,
            Index,
            Checkpoint,
            Outbox,
            Erasure,
            Rotation,
            Link,
            Retention,
            Signer,
            Session,
            Code,
            Restriction,
            Name,
            Daily,
        ];
        all.into_iter()
    }

    /// Whether its records outlive the erasure of the subject that they are
    /// filed under, as proof; such a record names nobody.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Consent | Self::Audit | Self::Case | Self::Checkpoint | Self::Erasure)
    }
}

/// What must stand in the place of a record before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Whatever does.
    Anything,
    /// Nothing.
    Absent,
    /// This record.
    Is(Vec<u8>),
}

/// One record to write, or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose record it is.
    pub row: Row,
    /// What it is about.
    pub space: Space,
    /// Its key there.
    pub key: Vec<u8>,
    /// What stands there before.
    pub expect: Expect,
    /// What stands there then; none removes.
    pub value: Option<Vec<u8>>,
}

/// What other processes are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Whose records changed.
    pub row: Row,
    /// How they did.
    pub kind: EventKind,
}

/// What happened to the records of a row. The numbers are part of the format
/// of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// The subject was erased.
    Erased = 1,
    /// Its keys are wrapped by another key.
    Rekeyed = 2,
    /// A value was corrected.
    Rectified = 3,
    /// Values were removed.
    Removed = 4,
    /// Consent was withdrawn, or an objection raised.
    Withdrawn = 5,
    /// Other records of the subject changed, such as its consent.
    Changed = 6,
    /// The vault's own record changed.
    Rotated = 7,
    /// Anything may have happened to any row: events were missed.
    Missed = 8,
    /// The subject objected by a signal: what yields to it ends.
    Signalled = 9,
    /// Something of the subject stands open that a signal ends.
    Opened = 10,
}

impl EventKind {
    /// The kind of a number as it stands in a store.
    pub fn from_number(number: u8) -> Option<Self> {
        use EventKind::{Changed, Erased, Missed, Opened, Rectified, Rekeyed, Removed, Rotated, Signalled, Withdrawn};
        [Erased, Rekeyed, Rectified, Removed, Withdrawn, Changed, Rotated, Missed, Signalled, Opened]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// What other processes changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// In the order in which it happened, as far as it concerns one row.
    pub events: Vec<Event>,
    /// Whether there was more, of which nothing is known any more.
    pub missed: bool,
}

/// New mappings of one subject with what goes with them, written wholly or not
/// at all.
#[derive(Clone)]
pub struct Batch {
    /// Whose they are.
    pub row: Row,
    /// The subject's record that the mappings were made under.
    pub subject: Arc<[u8]>,
    /// Whether the subject's record may be created by this batch.
    pub first_contact: bool,
    /// The records of tokens.
    pub mappings: Vec<(Token, Vec<u8>)>,
    /// What the subject is found by from now on: records of [`Space::Index`].
    pub found_by: Vec<Blind>,
    /// Whether other processes are told that records of the subject
    /// [changed](EventKind::Changed).
    pub is_told: bool,
}

/// What became of a [`Batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is durable.
    Stored,
    /// Nothing was written, since these tokens have a (durable) record already.
    Taken(Vec<(Token, Vec<u8>)>),
    /// Nothing was written, since the subject's (durable) record is this one,
    /// or none any more where the batch may not create it.
    Superseded(Option<Vec<u8>>),
}

/// The place of a record beside the values.
pub type RecordPlace = (Row, Space, Vec<u8>);

/// A store as it stood at one moment, to be read page by page. Each page
/// begins behind `after`, or at the beginning, and has at most `limit` records;
/// an empty one is the end.
pub trait Snapshot: Send + Sync {
    /// All subjects, in the order of their rows.
    fn subjects(&self, after: Option<Row>, limit: usize) -> Answer<'_, Vec<(Row, Vec<u8>)>>;
    /// All tokens, in the order of row, entity (by its letters) and bits.
    fn mappings(&self, after: Option<(Row, Token)>, limit: usize) -> Answer<'_, Vec<(Row, Token, Vec<u8>)>>;
    /// All other records, in the order of row, space and key.
    fn records(&self, after: Option<RecordPlace>, limit: usize) -> Answer<'_, Vec<(RecordPlace, Vec<u8>)>>;
}

/// Keeps records. All reads see durable records only; all writes are durable
/// when they are answered, and where the caller does not wait for the answer,
/// done wholly or not at all.
pub trait Store: Send + Sync {
    /// The vault's own record.
    fn meta(&self) -> Answer<'_, Option<Vec<u8>>>;
    /// Writes the vault's own record where `expected` stands. Gives the one
    /// that stands then.
    fn put_meta(&self, expected: Option<Vec<u8>>, record: Vec<u8>) -> Answer<'_, Vec<u8>>;

    /// The record of a subject.
    fn subject(&self, row: Row) -> Answer<'_, Option<Vec<u8>>>;
    /// The records of a subject's tokens, in the order of `tokens`.
    fn mappings<'a>(&'a self, row: Row, tokens: &'a [Token]) -> Answer<'a, Vec<Option<Vec<u8>>>>;
    /// The entities of a subject's tokens, each once; surrogates are none.
    fn entities(&self, row: Row) -> Answer<'_, Vec<Entity>>;
    /// All tokens of a subject with this entity, and their records.
    fn all(&self, row: Row, entity: Entity) -> Answer<'_, Vec<(Token, Vec<u8>)>>;
    /// Writes a batch.
    fn put(&self, batch: Batch) -> Answer<'_, Outcome>;

    /// Subjects in the order of their rows, from the one behind `after` on, at
    /// most `limit`.
    fn subjects(&self, after: Option<Row>, limit: usize) -> Answer<'_, Vec<(Row, Vec<u8>)>>;
    /// All tokens of a subject, surrogates too, in the order of entity (by its
    /// letters) and bits, from the one behind `after` on, at most `limit`.
    fn page(&self, row: Row, after: Option<Token>, limit: usize) -> Answer<'_, Vec<(Token, Vec<u8>)>>;
    /// Replaces the record of a subject where it is `old`; says whether it was.
    fn swap_subject(&self, row: Row, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool>;
    /// Replaces the record of a token where it is `old`; says whether it was.
    fn swap_mapping(&self, row: Row, token: Token, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool>;
    /// Removes tokens of a subject whose records are these; says how many there
    /// were.
    fn remove(&self, row: Row, tokens: Vec<(Token, Vec<u8>)>) -> Answer<'_, usize>;
    /// Removes a subject's record, all its tokens, and all its other records but
    /// those [that are kept](Space::is_kept); says how many tokens there were.
    fn erase(&self, row: Row) -> Answer<'_, usize>;

    /// Other records, in the order of `keys`.
    fn get(&self, row: Row, space: Space, keys: Vec<Vec<u8>>) -> Answer<'_, Vec<Option<Vec<u8>>>>;
    /// Other records in the order of their keys, from the one behind `after`
    /// on, at most `limit`.
    fn scan(&self, row: Row, space: Space, after: Option<Vec<u8>>, limit: usize)
    -> Answer<'_, Vec<(Vec<u8>, Vec<u8>)>>;
    /// The subjects of a tenant that have a record of [`Space::Index`] with this
    /// key.
    fn found(&self, tenant: Row, key: Blind) -> Answer<'_, Vec<Row>>;
    /// Writes other records, all or (where an expectation fails) none; says
    /// whether it did. Other processes are told of `event`.
    fn write(&self, changes: Vec<Change>, event: Option<Event>) -> Answer<'_, bool>;

    /// All that stands here at this moment, for as long as it is held. What is
    /// written meanwhile does not show in it.
    fn snapshot(&self) -> Answer<'_, Box<dyn Snapshot>>;

    /// Looks for damage that the records do not show by themselves, as one that
    /// is missing cannot: whether all that was counted is there, and is found
    /// by its key. [`StoreError::Corrupt`] where not. It reads everything; a
    /// server looks after its own files.
    fn check(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Gives room that is free back, where that does not happen by itself. It
    /// takes long, and all others wait.
    fn compact(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether other processes share it. Then every question is a round trip,
    /// [`news`](Self::news) is to be followed, and what is remembered is
    /// believed as long as it [is current](Self::is_current).
    fn is_shared(&self) -> bool {
        false
    }
    /// Whether it ends with the process.
    fn is_volatile(&self) -> bool {
        false
    }
    /// Whether all is known that other processes changed a second ago.
    fn is_current(&self) -> bool {
        true
    }
    /// Waits for what other processes changed, and gives what came since it
    /// was asked last, or nothing after a while. Who asks again says that all
    /// caches heed what was given before. A store that one process holds has
    /// no news. Of erasures, corrections, removals and a change of the vault's
    /// own record the store tells by itself.
    fn news(&self) -> Answer<'_, News> {
        Box::pin(std::future::pending())
    }
    /// Shows that the store can be written, by a real durable write.
    fn probe(&self) -> Answer<'_, ()>;
    /// Finishes what was accepted and lets go of the store. Later calls fail.
    fn close(&self) -> Answer<'_, ()>;
}
