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
mod exchange;
mod export;
mod line;
mod signer;
mod syslog;
mod verify;
mod writer;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::vault::{Records, Vault, VaultError};

pub use exchange::{Exchange, Place};
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
    /// Whether a line tells in advance what an exchange may show. It need not
    /// where the log does not outlive the process.
    pub in_advance: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue: 8192, keep: None, in_advance: true }
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
    /// Places that exchanges leave for lines in advance; none where there are none.
    spare: usize,
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
        let places = options.queue.max(1);
        let spare = if options.in_advance { places } else { 0 };
        let (entries, receiver) = mpsc::channel(places + spare);
        let queue = Queue { entries, hurry: Arc::default(), is_down: Arc::default(), spare };
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

#[cfg(test)]
mod tests;
