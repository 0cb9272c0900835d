//! The access log: every look at personal data. Who, when, what (entities and
//! counts, never values), why, and whose, by an alias that ends with the
//! person's keys.
//!
//! Its lines are a chain: each holds the hash of the one before, and
//! checkpoints are signed, so that a line that was changed, cut out or moved is
//! found. One writer of each process appends batches of them by compare and
//! swap on the head, so replicas share one chain. The queue before it is
//! bounded: where it is full, requests are refused rather than lines dropped.

mod base;
mod chain;
mod export;
mod line;
mod signer;
mod syslog;
mod verify;
mod writer;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::entity::Entity;
use crate::vault::{Records, Subject, Vault, VaultError};

pub use export::{ExportError, Exported, verify_export};
pub use line::{Action, Line, Look};
pub use signer::PublicKey;
pub use verify::{Broken, Fault, Verified};

use chain::Chain;
use writer::Entry;

/// How the access log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Lines that wait for the writer at most; with all of them taken requests
    /// are refused. 8,192.
    pub queue: usize,
    /// The newest lines that are kept; all of them where there is none. A vault
    /// in memory needs a bound.
    pub keep: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue: 8192, keep: None }
    }
}

/// The lines of a vault in memory that are kept.
pub const KEPT_IN_MEMORY: u64 = 10_000;

/// The access log of a vault. Clones share it.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    queue: Queue,
    chain: Chain,
    closing: CancellationToken,
    /// The number of the last line that is durable.
    written: watch::Receiver<u64>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What leads to the writer.
#[derive(Clone)]
struct Queue {
    entries: mpsc::Sender<Entry>,
    /// Tells the writer that somebody waits.
    hurry: Arc<Notify>,
    /// Whether the writer has failed for long.
    is_down: Arc<AtomicBool>,
}

/// The access log takes no line now, so nothing may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full.
    #[error("the access log is full")]
    Full,
    /// The vault takes no lines.
    #[error("the access log cannot be written")]
    Down,
}

impl Audit {
    /// The access log of this vault, with a writer on the runtime at hand.
    pub async fn open(vault: &Vault, options: Options) -> Result<Self, VaultError> {
        let chain = Chain::open(vault.records().clone(), options.keep).await?;
        let (entries, receiver) = mpsc::channel(options.queue.max(1));
        let queue = Queue { entries, hurry: Arc::default(), is_down: Arc::default() };
        let (told, written) = watch::channel(0);
        let closing = CancellationToken::new();
        let (is_down, hurry) = (Arc::clone(&queue.is_down), Arc::clone(&queue.hurry));
        let told = writer::Told { is_down, written: told, closing: closing.clone(), hurry };
        let writer = Mutex::new(Some(tokio::spawn(writer::run(receiver, chain.clone(), told))));
        Ok(Self(Arc::new(Inner { queue, chain, closing, written, writer })))
    }

    /// A handle for the requests of the gateway, which is cheap to use.
    pub fn recorder(&self) -> Recorder {
        Recorder { queue: Some(self.0.queue.clone()) }
    }

    /// Writes a look and waits until it is durable: nothing is to be shown before.
    /// Gives the number of its line.
    pub async fn record(&self, look: Look) -> Result<u64, VaultError> {
        self.0.queue.record(look).await
    }

    /// Checks the whole chain.
    pub async fn verify(&self) -> Result<Result<Verified, Broken>, VaultError> {
        verify::stored(&self.0.chain).await
    }

    /// Lines behind the one with this number, in order.
    pub async fn page(&self, after: u64, limit: usize) -> Result<Vec<Line>, VaultError> {
        self.0.chain.page(after, limit).await
    }

    /// The number of the last of so many lines behind the one with this number,
    /// and those of them that are not the gateway's own: what was looked at, and by whom.
    pub async fn looks(&self, after: u64, limit: usize) -> Result<(u64, Vec<Line>), VaultError> {
        self.0.chain.looks(after, limit).await
    }

    /// The number of the last line.
    pub async fn last(&self) -> Result<u64, VaultError> {
        Ok(self.0.chain.head().await?.seq)
    }

    /// An export of the lines behind the one with this number, piece by piece.
    pub async fn export(&self, after: u64) -> Result<Exported, VaultError> {
        Exported::new(self.0.chain.clone(), after).await
    }

    /// The key that checkpoints and exports are signed with.
    pub fn public_key(&self) -> PublicKey {
        self.0.chain.public_key()
    }

    /// Tells the number of the last line that became durable here.
    pub fn written(&self) -> watch::Receiver<u64> {
        self.0.written.clone()
    }

    /// Writes what was recorded and ends.
    pub async fn close(&self) {
        self.0.closing.cancel();
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has been logged.
            let _ = writer.await;
        }
    }
}

/// Lines of the access log of a vault behind the one with this number, in
/// order, for who has no more than its records.
pub async fn lines(records: &Records, after: u64, limit: usize) -> Result<Vec<Line>, VaultError> {
    Chain::open(records.clone(), None).await?.page(after, limit).await
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit")
    }
}

/// Opens the lines of exchanges.
#[derive(Clone)]
pub struct Recorder {
    /// None: nothing is recorded, as in tests of what lies behind.
    queue: Option<Queue>,
}

impl Recorder {
    /// Records nothing.
    pub fn none() -> Self {
        Self { queue: None }
    }

    /// Takes a place in the queue for the line of an exchange. No I/O.
    pub fn begin(&self, place: &Arc<Place>, request_id: &str, subject: Option<Subject>) -> Result<Exchange, Refused> {
        let permit = match &self.queue {
            Some(queue) => {
                if queue.is_down.load(Ordering::Relaxed) {
                    return Err(Refused::Down);
                }
                Some(queue.entries.clone().try_reserve_owned().map_err(|_| Refused::Full)?)
            }
            None => None,
        };
        let said = Said { place: Arc::clone(place), request_id: request_id.into(), subject, ..Said::default() };
        Ok(Exchange { permit, said: Mutex::new(said) })
    }

    /// Writes a look and waits until it is durable: nothing is to be shown before.
    pub async fn record(&self, look: Look) -> Result<(), VaultError> {
        match &self.queue {
            Some(queue) => queue.record(look).await.map(drop),
            None => Ok(()),
        }
    }
}

impl Queue {
    async fn record(&self, look: Look) -> Result<u64, VaultError> {
        let closed = || VaultError::unavailable("the access log is closed");
        let (done, written) = oneshot::channel();
        if self.is_down.load(Ordering::Relaxed) {
            return Err(VaultError::unavailable("the access log cannot be written"));
        }
        self.entries.send(Entry::Look(Box::new(look), done)).await.map_err(|_| closed())?;
        self.hurry.notify_one();
        written.await.map_err(|_| closed())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// What all exchanges of a route have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The tenant.
    pub tenant: String,
    /// The path of the route in the configuration.
    pub route: String,
    /// The purpose.
    pub purpose: String,
    /// The upstream, by its name or its host.
    pub recipient: String,
}

/// The line of an exchange in the making. It is written when this is dropped,
/// if anything was tokenized or restored.
pub struct Exchange {
    permit: Option<OwnedPermit<Entry>>,
    said: Mutex<Said>,
}

/// What is known of an exchange.
#[derive(Default)]
struct Said {
    place: Arc<Place>,
    request_id: Box<str>,
    subject: Option<Subject>,
    tokenized: Vec<(Entity, u32)>,
    restored: Vec<(Entity, u32)>,
}

impl Exchange {
    /// So many findings of an entity were replaced.
    pub fn tokenized(&self, entity: Entity, count: u32) {
        add(&mut self.said().tokenized, entity, count);
    }

    /// A value was put back.
    pub fn restored(&self, entity: Entity) {
        add(&mut self.said().restored, entity, 1);
    }

    /// A message has told whose exchange it is.
    pub fn is_of(&self, subject: &Subject) {
        self.said().subject = Some(subject.clone());
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let said = std::mem::take(self.said.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(permit) = self.permit.take()
            && !(said.tokenized.is_empty() && said.restored.is_empty())
        {
            permit.send(Entry::Exchange(said));
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

fn add(counts: &mut Vec<(Entity, u32)>, entity: Entity, count: u32) {
    match counts.iter_mut().find(|(known, _)| *known == entity) {
        Some((_, sum)) => *sum = sum.saturating_add(count),
        None if count > 0 => counts.push((entity, count)),
        None => {}
    }
}

#[cfg(test)]
mod tests;
