//! A store in memory that counts what it is asked, can be made to wait, and
//! can hand out what it was not given.

use crate::entity::Entity;
use crate::store::memory::Memory;
use crate::store::{Answer, Batch, Blind, Change, Event, Outcome, Row, Snapshot, Space, Store, StoreError};
use crate::token::Token;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

type Other = Box<dyn Fn(&Memory) + Send + Sync>;
type Bend = Box<dyn Fn(Row, &[Token], &mut Vec<Option<Vec<u8>>>) + Send + Sync>;

pub(super) struct Spy {
    pub(super) memory: Memory,
    pub(super) reads: AtomicUsize,
    pub(super) puts: AtomicUsize,
    pub(super) probes: AtomicUsize,
    /// Every put takes a permit before it writes, and one before it answers.
    pub(super) gate: Semaphore,
    pub(super) broken: AtomicBool,
    /// How many writes of a rotation succeed before all fail.
    pub(super) rotation_writes: AtomicUsize,
    /// Whether it fails to remove tokens.
    pub(super) keeps_all: AtomicBool,
    /// Whether other processes share it.
    pub(super) shared: AtomicBool,
    /// Whether it does not know what others changed a second ago.
    pub(super) is_behind: AtomicBool,
    /// Changes what `mappings` answers.
    pub(super) bend: Mutex<Option<Bend>>,
    /// What others do just before tokens are removed.
    pub(super) before_removal: Mutex<Option<Other>>,
}

impl Default for Spy {
    fn default() -> Self {
        Self {
            memory: Memory::default(),
            reads: AtomicUsize::new(0),
            puts: AtomicUsize::new(0),
            probes: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            broken: AtomicBool::new(false),
            rotation_writes: AtomicUsize::new(usize::MAX),
            keeps_all: AtomicBool::new(false),
            shared: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            bend: Mutex::new(None),
            before_removal: Mutex::new(None),
        }
    }
}

impl Spy {
    pub(super) fn calls(&self) -> usize {
        self.reads.load(Ordering::Relaxed) + self.puts.load(Ordering::Relaxed)
    }

    /// Lets puts take `steps` steps (two each) and then wait.
    pub(super) fn allow(&self, steps: usize) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
        self.gate.add_permits(steps);
    }

    fn rotation_write(&self) -> Result<(), StoreError> {
        let left = self.rotation_writes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| match left {
            usize::MAX => Some(left),
            left => left.checked_sub(1),
        });
        left.map(|_| ()).map_err(|_| StoreError::Unavailable { cause: "cut off".into() })
    }

    fn is_up(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::Relaxed) {
            Err(StoreError::Unavailable { cause: "broken".into() })
        } else {
            Ok(())
        }
    }
}

impl Store for Arc<Spy> {
    fn meta(&self) -> Answer<'_, Option<Vec<u8>>> {
        self.memory.meta()
    }

    fn put_meta(&self, expected: Option<Vec<u8>>, record: Vec<u8>) -> Answer<'_, Vec<u8>> {
        Box::pin(async {
            self.rotation_write()?;
            self.memory.put_meta(expected, record).await
        })
    }

    fn subject(&self, row: Row) -> Answer<'_, Option<Vec<u8>>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.memory.subject(row)
    }

    fn mappings<'a>(&'a self, row: Row, tokens: &'a [Token]) -> Answer<'a, Vec<Option<Vec<u8>>>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            self.is_up()?;
            let mut records = self.memory.mappings(row, tokens).await?;
            if let Some(bend) = &*self.bend.lock().unwrap() {
                bend(row, tokens, &mut records);
            }
            Ok(records)
        })
    }

    fn all(&self, row: Row, entity: Entity) -> Answer<'_, Vec<(Token, Vec<u8>)>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.memory.all(row, entity)
    }

    fn entities(&self, row: Row) -> Answer<'_, Vec<Entity>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.memory.entities(row)
    }

    fn put(&self, batch: Batch) -> Answer<'_, Outcome> {
        Box::pin(async move {
            self.puts.fetch_add(1, Ordering::Relaxed);
            self.is_up()?;
            self.gate.acquire().await.unwrap().forget();
            let outcome = self.memory.put(batch).await;
            self.gate.acquire().await.unwrap().forget();
            outcome
        })
    }

    fn subjects(&self, after: Option<Row>, limit: usize) -> Answer<'_, Vec<(Row, Vec<u8>)>> {
        self.memory.subjects(after, limit)
    }

    fn page(&self, row: Row, after: Option<Token>, limit: usize) -> Answer<'_, Vec<(Token, Vec<u8>)>> {
        self.memory.page(row, after, limit)
    }

    fn swap_subject(&self, row: Row, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool> {
        Box::pin(async move {
            self.rotation_write()?;
            self.memory.swap_subject(row, old, new).await
        })
    }

    fn swap_mapping(&self, row: Row, token: Token, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool> {
        self.memory.swap_mapping(row, token, old, new)
    }

    fn remove(&self, row: Row, tokens: Vec<(Token, Vec<u8>)>) -> Answer<'_, usize> {
        if let Some(other) = &*self.before_removal.lock().unwrap() {
            other(&self.memory);
        }
        if self.keeps_all.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError::Unavailable { cause: "cut off".into() }) });
        }
        self.memory.remove(row, tokens)
    }

    fn erase(&self, row: Row) -> Answer<'_, usize> {
        self.memory.erase(row)
    }

    fn get(&self, row: Row, space: Space, keys: Vec<Vec<u8>>) -> Answer<'_, Vec<Option<Vec<u8>>>> {
        self.memory.get(row, space, keys)
    }

    fn found(&self, tenant: Row, key: Blind) -> Answer<'_, Vec<Row>> {
        self.memory.found(tenant, key)
    }

    fn scan(
        &self,
        row: Row,
        space: Space,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Answer<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        self.memory.scan(row, space, after, limit)
    }

    fn write(&self, changes: Vec<Change>, event: Option<Event>) -> Answer<'_, bool> {
        Box::pin(async move {
            self.rotation_write()?;
            self.memory.write(changes, event).await
        })
    }

    fn snapshot(&self) -> Answer<'_, Box<dyn Snapshot>> {
        self.memory.snapshot()
    }

    fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    fn is_current(&self) -> bool {
        !self.is_behind.load(Ordering::Relaxed)
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.probes.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { self.is_up() })
    }

    fn close(&self) -> Answer<'_, ()> {
        self.memory.close()
    }
}
