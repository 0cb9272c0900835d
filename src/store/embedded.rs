//! The `embedded:` store: one redb file that one process holds.
//!
//! Writes queue for a single thread. It takes all that wait into one
//! transaction, commits it durably, then answers them all (group commit), so
//! the cost of syncing is shared. Reads run where they are asked for: a read
//! transaction takes microseconds and sees durable commits only.

mod file;
mod index;
mod upgrade;
mod view;
mod writer;

pub use upgrade::upgrade;

use super::{Answer, Batch, Blind, Change, Event, Outcome, Row, Snapshot, Space, Store, StoreError};
use crate::entity::Entity;
use crate::token::Token;
use file::File;
use index::INDEX;
use redb::{ReadableDatabase, Table, TableDefinition};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use view::View;
use writer::{Done, Request, Work};

/// The vault's own records, by name.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// row -> wrapped keys
const SUBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("subjects");
/// row | entity | 0 | token bits -> sealed value. Ordered, so the rows of one
/// subject are neighbours and its entities are found by skipping.
const MAPPINGS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("mappings");
/// row | space | key -> sealed record; of what a subject is found by, the number
/// of the [segment](index) that leads to it.
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");

const OWN_RECORD: &str = "vault";
const FORMAT_RECORD: &str = "format";
/// How the tables are laid out. The first layout had rows of 16 bytes, without
/// the tenant, and no records. In the second, what subjects are found by stood
/// among the records of their tenant.
const FORMAT: u32 = 3;
const PROBE: &str = "probe";

type Bytes<'t> = Table<'t, &'static [u8], &'static [u8]>;
type Entries<'t> = Table<'t, &'static index::Entry, ()>;

/// How many requests may wait for the writer before callers wait to ask.
const QUEUE: usize = 1024;

/// Records in a redb file. Dropping it waits for the writer to finish.
pub struct Embedded {
    file: Arc<File>,
    queue: Option<mpsc::Sender<Request>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens the store in `folder`, which is made where it is missing.
    pub fn open(folder: &Path, page_cache_bytes: usize) -> Result<Self, StoreError> {
        Self::with_file(File::open(file::on_disk(folder, page_cache_bytes)?)?)
    }

    /// Whether there is a store in this folder.
    pub fn is_in(folder: &Path) -> bool {
        file::is_in(folder)
    }

    fn with_file(file: File) -> Result<Self, StoreError> {
        let file = Arc::new(file);
        let (queue, requests) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new().name("privet-vault".into()).spawn({
            let file = Arc::clone(&file);
            move || writer::run(&file, requests)
        });
        let writer = writer.map_err(|e| StoreError::unavailable(format!("no thread to write: {}", e.kind())))?;
        Ok(Self { file, queue: Some(queue), writer: Mutex::new(Some(writer)) })
    }

    /// Queues work and waits for its answer. Where the caller stops waiting,
    /// what is queued is still carried out.
    async fn ask(&self, work: Work) -> Result<Done, StoreError> {
        let closed = || StoreError::unavailable("it is closed");
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(Request { work, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn ask_whether(&self, work: Work) -> Result<bool, StoreError> {
        Ok(matches!(self.ask(work).await?, Done::Yes))
    }

    async fn ask_how_many(&self, work: Work) -> Result<usize, StoreError> {
        Ok(match self.ask(work).await? {
            Done::Count(count) | Done::Erased(count) => count,
            _ => 0,
        })
    }

    fn join_writer(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A writer that panicked has nothing left to say: its requests failed.
        let _ = writer.map(JoinHandle::join);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.queue = None;
        self.join_writer();
    }
}

impl Store for Embedded {
    fn meta(&self) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(async {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(META)?;
                Ok(table.get(OWN_RECORD)?.map(|record| record.value().to_vec()))
            })
        })
    }

    fn put_meta(&self, expected: Option<Vec<u8>>, record: Vec<u8>) -> Answer<'_, Vec<u8>> {
        Box::pin(async {
            match self.ask(Work::Meta { expected, record }).await? {
                Done::Meta(standing) => Ok(standing),
                _ => Err(LOST),
            }
        })
    }

    fn subject(&self, row: Row) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(SUBJECTS)?;
                Ok(table.get(row.to_bytes().as_slice())?.map(|record| record.value().to_vec()))
            })
        })
    }

    fn mappings<'a>(&'a self, row: Row, tokens: &'a [Token]) -> Answer<'a, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(MAPPINGS)?;
                let mut key = MappingKey::new(row);
                let mut records = Vec::with_capacity(tokens.len());
                for token in tokens {
                    records.push(table.get(key.of(token))?.map(|record| record.value().to_vec()));
                }
                Ok(records)
            })
        })
    }

    fn entities(&self, row: Row) -> Answer<'_, Vec<Entity>> {
        Box::pin(async move {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(MAPPINGS)?;
                let mut entities = Vec::new();
                let mut from = row.to_bytes().to_vec();
                while let Some(entry) = table.range(from.as_slice()..)?.next() {
                    let (key, _) = entry?;
                    let Some(entity) = entity_of(row, key.value()) else { break };
                    // The 1 is past the 0 that ends this entity's keys.
                    from.truncate(Row::LEN);
                    from.extend_from_slice(entity.as_str().as_bytes());
                    from.push(1);
                    entities.push(entity);
                }
                Ok(entities)
            })
        })
    }

    fn all(&self, row: Row, entity: Entity) -> Answer<'_, Vec<(Token, Vec<u8>)>> {
        Box::pin(async move {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(MAPPINGS)?;
                let prefix = [row.to_bytes().as_slice(), entity.as_bytes(), &[0]].concat();
                let mut all = Vec::new();
                for entry in table.range(prefix.as_slice()..)? {
                    let (key, record) = entry?;
                    let Some(bits) = key.value().strip_prefix(prefix.as_slice()) else { break };
                    all.push((Token::new(entity, number(bits)), record.value().to_vec()));
                }
                Ok(all)
            })
        })
    }

    fn put(&self, batch: Batch) -> Answer<'_, Outcome> {
        Box::pin(async {
            match self.ask(Work::Put(batch)).await? {
                Done::Put(outcome) => Ok(outcome),
                _ => Err(LOST),
            }
        })
    }

    fn subjects(&self, after: Option<Row>, limit: usize) -> Answer<'_, Vec<(Row, Vec<u8>)>> {
        Box::pin(async move {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(SUBJECTS)?;
                let after = after.map(Row::to_bytes);
                let from = after.as_ref().map_or(Bound::Unbounded, |row| Bound::Excluded(row.as_slice()));
                let mut page = Vec::new();
                for entry in table.range::<&[u8]>((from, Bound::Unbounded))?.take(limit) {
                    let (key, record) = entry?;
                    let row = key.value().try_into().map_or(Row::DEPLOYMENT, Row::from_bytes);
                    page.push((row, record.value().to_vec()));
                }
                Ok(page)
            })
        })
    }

    fn page(&self, row: Row, after: Option<Token>, limit: usize) -> Answer<'_, Vec<(Token, Vec<u8>)>> {
        Box::pin(async move {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(MAPPINGS)?;
                let mut key = MappingKey::new(row);
                let from = after.map_or_else(|| row.to_bytes().to_vec(), |token| key.of(&token).to_vec());
                let from = if after.is_some() { Bound::Excluded(&*from) } else { Bound::Included(&*from) };
                let mut page = Vec::new();
                for entry in table.range::<&[u8]>((from, Bound::Unbounded))? {
                    let (key, record) = entry?;
                    let Some(rest) = key.value().strip_prefix(&row.to_bytes()).filter(|_| page.len() < limit) else {
                        break;
                    };
                    let token = token(rest).ok_or_else(|| redb::Error::Corrupted(String::new()))?;
                    page.push((token, record.value().to_vec()));
                }
                Ok(page)
            })
        })
    }

    fn swap_subject(&self, row: Row, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool> {
        Box::pin(self.ask_whether(Work::SwapSubject { row, old, new }))
    }

    fn swap_mapping(&self, row: Row, token: Token, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool> {
        Box::pin(self.ask_whether(Work::SwapMapping { row, token, old, new }))
    }

    fn remove(&self, row: Row, tokens: Vec<(Token, Vec<u8>)>) -> Answer<'_, usize> {
        Box::pin(self.ask_how_many(Work::Remove { row, tokens }))
    }

    fn erase(&self, row: Row) -> Answer<'_, usize> {
        Box::pin(self.ask_how_many(Work::Erase(row)))
    }

    fn get(&self, row: Row, space: Space, keys: Vec<Vec<u8>>) -> Answer<'_, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(RECORDS)?;
                let record = |key: &Vec<u8>| table.get(record_key(row, space, key).as_slice());
                let records = keys.iter().map(|key| Ok(record(key)?.map(|record| shown(space, record.value()))));
                records.collect()
            })
        })
    }

    fn scan(
        &self,
        row: Row,
        space: Space,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Answer<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        Box::pin(async move {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(RECORDS)?;
                let prefix = record_key(row, space, &[]);
                let from = record_key(row, space, after.as_deref().unwrap_or_default());
                let from = if after.is_some() { Bound::Excluded(&*from) } else { Bound::Included(&*from) };
                let mut page = Vec::new();
                for entry in table.range::<&[u8]>((from, Bound::Unbounded))? {
                    let (key, record) = entry?;
                    let own = key.value().strip_prefix(prefix.as_slice()).filter(|_| page.len() < limit);
                    let Some(key) = own else { break };
                    page.push((key.to_vec(), shown(space, record.value())));
                }
                Ok(page)
            })
        })
    }

    fn found(&self, tenant: Row, key: Blind) -> Answer<'_, Vec<Row>> {
        Box::pin(async move {
            self.file.read(|database| index::found(&database.begin_read()?.open_table(INDEX)?, tenant, key))
        })
    }

    // One process holds the file, so nobody else is to be told of events.
    fn write(&self, changes: Vec<Change>, _: Option<Event>) -> Answer<'_, bool> {
        Box::pin(self.ask_whether(Work::Write(changes)))
    }

    fn snapshot(&self) -> Answer<'_, Box<dyn Snapshot>> {
        Box::pin(async { Ok(Box::new(View(self.file.hold()?)) as Box<dyn Snapshot>) })
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async {
            let held = self.file.hold()?;
            let checked = tokio::task::spawn_blocking(move || held.read(view::check)).await;
            checked.map_err(|_| StoreError::Corrupt { what: "file" })?
        })
    }

    fn compact(&self) -> Answer<'_, ()> {
        let file = Arc::clone(&self.file);
        Box::pin(async move { tokio::task::spawn_blocking(move || file.compact()).await.map_err(|_| LOST)? })
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async { self.ask(Work::Probe).await.map(drop) })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            // A second close finds no writer, which is what it asks for.
            let _ = self.ask(Work::Close).await;
            self.join_writer();
            Ok(())
        })
    }
}

/// The writer gave another answer than was asked for.
const LOST: StoreError = StoreError::Unavailable { cause: std::borrow::Cow::Borrowed("the writer lost the answer") };

fn record_key(row: Row, space: Space, key: &[u8]) -> Vec<u8> {
    [row.to_bytes().as_slice(), &[space as u8], key].concat()
}

/// What others see of a record.
fn shown(space: Space, record: &[u8]) -> Vec<u8> {
    if space == Space::Index { Vec::new() } else { record.to_vec() }
}

/// Writes the keys of one subject's mappings into one buffer.
struct MappingKey(Vec<u8>);

impl MappingKey {
    fn new(row: Row) -> Self {
        let mut key = Vec::with_capacity(Row::LEN + 25 + 1 + 5);
        key.extend_from_slice(&row.to_bytes());
        Self(key)
    }

    fn of(&mut self, token: &Token) -> &[u8] {
        self.0.truncate(Row::LEN);
        self.0.extend_from_slice(token.entity().as_bytes());
        self.0.push(0);
        // 35 bits fill five bytes.
        self.0.extend_from_slice(token.bits().to_be_bytes().last_chunk::<5>().unwrap_or(&[0; 5]));
        &self.0
    }
}

fn entity_of(row: Row, key: &[u8]) -> Option<Entity> {
    let rest = key.strip_prefix(&row.to_bytes())?;
    let name = rest.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// The token of what follows a row.
fn token(rest: &[u8]) -> Option<Token> {
    let (name, bits) = rest.split_last_chunk::<5>()?;
    let name = name.strip_suffix(&[0])?;
    let entity = if name == Entity::SURROGATE.as_bytes() {
        Entity::SURROGATE
    } else {
        std::str::from_utf8(name).ok()?.parse().ok()?
    };
    Some(Token::new(entity, number(bits)))
}

fn number(bits: &[u8]) -> u64 {
    bits.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
