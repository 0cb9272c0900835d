//! The `embedded:` store: one redb file that one process holds.
//!
//! Writes queue for a single thread. It takes all that wait into one
//! transaction, commits it durably, then answers them all (group commit), so
//! the cost of syncing is shared. Reads run where they are asked for: a read
//! transaction takes microseconds and sees durable commits only.

mod file;
mod writer;

use super::{Answer, Batch, Row, Store};
use crate::entity::Entity;
use crate::token::Token;
use crate::vault::error::VaultError;
use file::File;
use redb::{ReadableDatabase, TableDefinition};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use writer::Request;

/// The vault's own records, by name.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// row -> wrapped keys
const SUBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("subjects");
/// row | entity | 0 | token bits -> sealed value. Ordered, so the rows of one
/// subject are neighbours and its entities are found by skipping.
const MAPPINGS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("mappings");

const OWN_RECORD: &str = "vault";
const PROBE: &str = "probe";

/// How many requests may wait for the writer before callers wait to ask.
const QUEUE: usize = 1024;

/// Records in a redb file. Dropping it waits for the writer to finish.
pub(in crate::vault) struct Embedded {
    file: Arc<File>,
    queue: Option<mpsc::Sender<Request>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens the store in `folder`, which is made where it is missing.
    pub(in crate::vault) fn open(folder: &Path, page_cache_bytes: usize) -> Result<Self, VaultError> {
        Self::with_file(File::open(file::on_disk(folder, page_cache_bytes)?)?)
    }

    fn with_file(file: File) -> Result<Self, VaultError> {
        let file = Arc::new(file);
        let (queue, requests) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new().name("privet-vault".into()).spawn({
            let file = Arc::clone(&file);
            move || writer::run(&file, requests)
        });
        let writer = writer.map_err(|e| VaultError::unavailable(format!("no thread to write: {}", e.kind())))?;
        Ok(Self { file, queue: Some(queue), writer: Mutex::new(Some(writer)) })
    }

    /// Queues a request and waits for its answer. Where the caller stops
    /// waiting, a queued request is still carried out.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, VaultError>>) -> Request,
    ) -> Result<T, VaultError> {
        let closed = || VaultError::unavailable("it is closed");
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(request(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
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

    fn put_meta(&self, record: Vec<u8>) -> Answer<'_, Vec<u8>> {
        Box::pin(self.ask(|answer| Request::Meta { record, answer }))
    }

    fn subject(&self, row: Row) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            self.file.read(|database| {
                let table = database.begin_read()?.open_table(SUBJECTS)?;
                Ok(table.get(row.0.as_slice())?.map(|record| record.value().to_vec()))
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
                let mut from = row.0.to_vec();
                while let Some(entry) = table.range(from.as_slice()..)?.next() {
                    let (key, _) = entry?;
                    let Some(entity) = entity_of(row, key.value()) else { break };
                    // The 1 is past the 0 that ends this entity's keys.
                    from.truncate(row.0.len());
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
                let prefix = [&row.0, entity.as_bytes(), &[0]].concat();
                let mut all = Vec::new();
                for entry in table.range(prefix.as_slice()..)? {
                    let (key, record) = entry?;
                    let Some(bits) = key.value().strip_prefix(prefix.as_slice()) else { break };
                    let bits = bits.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
                    all.push((Token::new(entity, bits), record.value().to_vec()));
                }
                Ok(all)
            })
        })
    }

    fn put(&self, batch: Batch) -> Answer<'_, super::Outcome> {
        Box::pin(self.ask(|answer| Request::Put { batch, answer }))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.ask(|answer| Request::Probe { answer }))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            // A second close finds no writer, which is what it asks for.
            let _ = self.ask(|answer| Request::Close { answer }).await;
            self.join_writer();
            Ok(())
        })
    }
}

/// Writes the keys of one subject's mappings into one buffer.
struct MappingKey(Vec<u8>);

impl MappingKey {
    fn new(row: Row) -> Self {
        let mut key = Vec::with_capacity(row.0.len() + 25 + 1 + 5);
        key.extend_from_slice(&row.0);
        Self(key)
    }

    fn of(&mut self, token: &Token) -> &[u8] {
        self.0.truncate(size_of::<Row>());
        self.0.extend_from_slice(token.entity().as_str().as_bytes());
        self.0.push(0);
        // 35 bits fill five bytes.
        self.0.extend_from_slice(token.bits().to_be_bytes().last_chunk::<5>().unwrap_or(&[0; 5]));
        &self.0
    }
}

fn entity_of(row: Row, key: &[u8]) -> Option<Entity> {
    let rest = key.strip_prefix(&row.0)?;
    let name = rest.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(name).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
