//! Redacts transcripts and writes them, beside all that serves somebody.

use super::draft::Said;
use super::number::DayKey;
use super::{Keep, Transcript, TranscriptError};
use crate::clock::Time;
use crate::detect::Scratch;
use crate::telemetry::Metrics;
use crate::vault::Records;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many are written at once.
const BATCH: usize = 64;

/// Writes what the queue brings.
pub(super) struct Writer {
    pub(super) queue: mpsc::Receiver<Said>,
    pub(super) keep: Keep,
    pub(super) records: Records,
    pub(super) metrics: Arc<Metrics>,
    pub(super) closing: CancellationToken,
}

impl Writer {
    /// Writes until it is told to close, and then what was taken before.
    pub(super) async fn run(mut self) {
        let (mut batch, mut key) = (Vec::with_capacity(BATCH), None);
        loop {
            tokio::select! {
                count = self.queue.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    match self.write(std::mem::take(&mut batch), &mut key).await {
                        Ok(()) => self.metrics.transcripts_kept.inc_by(count as u64),
                        Err(why) => {
                            tracing::error!(%why, count, "Transcripts cannot be written.");
                            self.metrics.transcripts_dropped.inc_by(count as u64);
                        }
                    }
                }
                () = self.closing.cancelled(), if !self.queue.is_closed() => self.queue.close(),
            }
        }
    }

    async fn write(&self, batch: Vec<Said>, key: &mut Option<Arc<DayKey>>) -> Result<(), TranscriptError> {
        let day = Time::now().day();
        let key = match key {
            Some(key) if key.is_of(&day) => Arc::clone(key),
            key => Arc::clone(key.insert(Arc::new(DayKey::of(&self.records, &day).await?))),
        };
        let redacting = tokio::task::spawn_blocking(move || {
            let mut scratch = Scratch::default();
            batch.into_iter().map(|said| said.redacted(&day, &key, &mut scratch)).collect::<Vec<Transcript>>()
        });
        let redacted = redacting.await.map_err(|_| TranscriptError::Ended)?;
        match &self.keep {
            Keep::Files(files) => {
                let files = files.clone();
                let written = tokio::task::spawn_blocking(move || files.write(&redacted));
                Ok(written.await.map_err(|_| TranscriptError::Ended)??)
            }
            #[cfg(feature = "postgres")]
            Keep::Table(table) => table.write(&redacted).await,
        }
    }
}
