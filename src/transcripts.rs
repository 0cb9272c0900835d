//! Conversations without persons, for analysis: redacted beyond recovery, kept
//! for the purpose they were held for and for a time.
//!
//! They wait in a bounded queue and are redacted and written beside the
//! exchange, which never waits for them: where the queue is full they are
//! dropped and counted. A transcript names nobody. That counts can be of persons
//! and not of messages, it holds a number that stands for the person on that
//! day: a hash of what ends with the person's keys, under a key that is
//! forgotten with the day. So neither an erasure nor the next day leaves a link.

pub mod counts;
mod draft;
mod files;
mod number;
#[cfg(feature = "postgres")]
mod table;
mod writer;

pub use draft::{Clean, Draft, Redactor};

use crate::audit::Place;
use crate::clock::Time;
use crate::config::{self, TranscriptPlace};
use crate::store::StoreError;
use crate::telemetry::Metrics;
use crate::vault::{Records, Vault, VaultError};
use counts::Counts;
use draft::Said;
use files::Files;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How many transcripts wait to be written.
const QUEUE: usize = 512;

/// One request and its reply, or one WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// The day; nothing more exact, by which somebody could be told.
    pub day: String,
    /// The tenant.
    pub tenant: String,
    /// The purpose that it is kept for.
    pub purpose: String,
    /// The route, by its path in the configuration.
    pub route: String,
    /// Stands for the person on this day; empty where nobody was named.
    pub person: String,
    /// How often what was replaced in the request.
    pub entities: BTreeMap<String, u32>,
    /// What was said.
    pub request: String,
    /// What was answered.
    pub reply: String,
}

/// Why transcripts cannot be kept or read. No text here is of one.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// The folder cannot be used.
    #[error("the folder of the transcripts: {0}")]
    Folder(#[from] io::Error),
    /// The database cannot be used.
    #[error("the database of the transcripts: {0}")]
    Database(#[from] StoreError),
    /// The URL of the database is none, or this build knows no databases.
    #[error("the database of the transcripts: {0}")]
    Url(Cow<'static, str>),
    /// What the database says cannot be read.
    #[error("the database of the transcripts: its answer cannot be read")]
    Answer,
    /// The vault does not do its part.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The thread that was to redact, write, count or remove them has ended.
    #[error("a thread that works on transcripts has ended")]
    Ended,
}

/// Takes transcripts. Clones share the queue.
#[derive(Clone)]
pub struct Transcripts(Arc<Inner>);

struct Inner {
    queue: mpsc::Sender<Said>,
    keep: Keep,
    /// For how long they are kept.
    time: Duration,
    records: Records,
    metrics: Arc<Metrics>,
    max_bytes: usize,
    closing: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// Where they are kept.
#[derive(Clone)]
pub(crate) enum Keep {
    Files(Files),
    #[cfg(feature = "postgres")]
    Table(Arc<table::Table>),
}

impl Keep {
    fn open(config: &config::Transcripts) -> Result<Self, TranscriptError> {
        match &config.to {
            TranscriptPlace::Folder(folder) => Ok(Self::Files(Files::new(folder, config.file_bytes))),
            #[cfg(feature = "postgres")]
            TranscriptPlace::Postgres(url) => Ok(Self::Table(Arc::new(table::Table::new(url)?))),
            #[cfg(not(feature = "postgres"))]
            TranscriptPlace::Postgres(_) => Err(TranscriptError::Url("this build knows none".into())),
        }
    }

    fn prepare(&self) -> Result<(), TranscriptError> {
        match self {
            Self::Files(files) => Ok(files.make_folder()?),
            #[cfg(feature = "postgres")]
            Self::Table(_) => Ok(()),
        }
    }
}

impl Transcripts {
    /// A queue with its writer on the runtime at hand, as the configuration
    /// says. A database is not asked before there is something to write.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be made, or the URL of the database is none.
    pub fn open(config: &config::Transcripts, vault: &Vault, metrics: &Arc<Metrics>) -> Result<Self, TranscriptError> {
        let keep = Keep::open(config)?;
        keep.prepare()?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (metrics, closing) = (Arc::clone(metrics), CancellationToken::new());
        let writer = writer::Writer {
            queue: receiver,
            keep: keep.clone(),
            records: vault.records().clone(),
            metrics: Arc::clone(&metrics),
            closing: closing.clone(),
        };
        let writer = Mutex::new(Some(tokio::spawn(writer.run())));
        let (time, records) = (config.retention, vault.records().clone());
        let max_bytes = config.max_bytes;
        Ok(Self(Arc::new(Inner { queue: sender, keep, time, records, metrics, max_bytes, closing, writer })))
    }

    /// A transcript in the making, of nobody until [it is said](Draft::is_of).
    /// It is redacted and written when it is dropped.
    pub fn begin(&self, place: &Arc<Place>, redactor: &Arc<Redactor>) -> Draft {
        Draft::new(self.clone(), Arc::clone(place), Arc::clone(redactor))
    }

    /// Removes what is over its time at `now`, and forgets who was whose number.
    /// Whoever calls this has seen that the clock can be believed.
    ///
    /// # Errors
    ///
    /// Where the vault, the folder or the database cannot be used.
    pub async fn sweep(&self, now: Time) -> Result<(), TranscriptError> {
        number::forget(&self.0.records, now).await?;
        let before = Time(now.0.saturating_sub(self.0.time.as_secs())).day();
        match &self.0.keep {
            Keep::Files(files) => {
                let files = files.clone();
                let swept = tokio::task::spawn_blocking(move || files.remove_before(&before));
                Ok(swept.await.map_err(|_| TranscriptError::Ended)??)
            }
            #[cfg(feature = "postgres")]
            Keep::Table(table) => table.remove_before(&before).await,
        }
    }

    /// Writes what was taken, and ends.
    pub async fn close(&self) {
        self.0.closing.cancel();
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has been logged.
            let _ = writer.await;
        }
    }

    /// How many bytes of a request, and of a reply, are kept at most.
    fn max_bytes(&self) -> usize {
        self.0.max_bytes
    }

    /// Takes one, unless the queue is full.
    fn take(&self, said: Said) {
        if self.0.queue.try_send(said).is_err() {
            self.0.metrics.transcripts_dropped.inc();
        }
    }
}

/// Counts the persons of all transcripts that are kept.
///
/// # Errors
///
/// Where they cannot be read.
pub async fn count(config: &config::Transcripts) -> Result<Counts, TranscriptError> {
    match Keep::open(config)? {
        Keep::Files(files) => {
            let counted = tokio::task::spawn_blocking(move || files.count());
            Ok(counted.await.map_err(|_| TranscriptError::Ended)??)
        }
        #[cfg(feature = "postgres")]
        Keep::Table(table) => table.count().await,
    }
}

impl fmt::Debug for Transcripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transcripts")
    }
}

#[cfg(test)]
mod tests;
