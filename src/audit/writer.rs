//! The one writer of a process: takes lines from the queue, batch by batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::chain::{Chain, GATEWAY};
use super::exchange::Said;
use super::line::{Action, Line, Look};

/// Lines of one write at most.
const BATCH: usize = 512;
/// How long lines that nobody waits for wait for others to be written with: a
/// write costs about the same for one line as for many.
const LINGER: Duration = Duration::from_millis(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// After so long without success requests are refused.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of the process waits for a vault that fails.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// What is to become a line.
pub(super) enum Entry {
    /// Of an exchange that is over; or in advance, with whom it is told that
    /// its line is durable.
    Exchange(Said, Option<oneshot::Sender<u64>>),
    /// Tells the number of its line when that is durable.
    Look(Box<Look>, oneshot::Sender<u64>),
}

impl Entry {
    /// Whether somebody waits from the beginning until it is durable.
    fn is_awaited(&self) -> bool {
        matches!(self, Self::Look(..))
    }
}

/// What the writer tells, and is told.
pub(super) struct Told {
    pub(super) is_down: Arc<AtomicBool>,
    /// The number of the last line that is durable.
    pub(super) written: watch::Sender<u64>,
    pub(super) closing: CancellationToken,
    /// Somebody waits for a line.
    pub(super) hurry: Arc<Notify>,
}

/// Writes until it is told to close, and then what was accepted before.
pub(super) async fn run(mut queue: mpsc::Receiver<Entry>, chain: Chain, told: Told) {
    let Told { is_down, written, closing, hurry } = told;
    let mut entries = Vec::with_capacity(BATCH);
    loop {
        let taken = tokio::select! {
            taken = queue.recv_many(&mut entries, BATCH) => taken,
            () = closing.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
            // An exchange that hangs cannot hold up the end for ever.
            () = sleep(LAST_PATIENCE), if queue.is_closed() => break,
        };
        if taken == 0 {
            break;
        }
        if entries.len() < BATCH && !queue.is_closed() && !entries.iter().any(Entry::is_awaited) {
            tokio::select! {
                () = sleep(LINGER) => {}
                () = hurry.notified() => {}
                () = closing.cancelled() => {}
            }
            while entries.len() < BATCH
                && let Ok(entry) = queue.try_recv()
            {
                entries.push(entry);
            }
        }
        let mut lines = Vec::with_capacity(entries.len());
        let mut waiting = Vec::new();
        for entry in entries.drain(..) {
            match entry {
                Entry::Exchange(said, None) => lines.push(of_exchange(said, Action::Exchange)),
                Entry::Exchange(said, Some(done)) => {
                    waiting.push((lines.len() as u64, done));
                    lines.push(of_exchange(said, Action::Begin));
                }
                Entry::Look(look, done) => {
                    waiting.push((lines.len() as u64, done));
                    lines.push(of_look(*look));
                }
            }
        }
        let (failing, mut pause) = (Instant::now(), FIRST_PAUSE);
        let first = loop {
            match chain.append(&mut lines).await {
                Ok(first) => break Some(first),
                Err(error) => tracing::warn!(%error, lines = lines.len(), "The access log cannot be written."),
            }
            is_down.store(failing.elapsed() >= PATIENCE, Ordering::Relaxed);
            if queue.is_closed() && failing.elapsed() >= LAST_PATIENCE {
                break None;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        let Some(first) = first else {
            tracing::error!(lines = lines.len(), "Lines of the access log are lost: the vault failed to the end.");
            continue;
        };
        is_down.store(false, Ordering::Relaxed);
        written.send_replace(first + lines.len() as u64 - 1);
        for (place, done) in waiting {
            // Who waited may have gone.
            let _ = done.send(first + place);
        }
    }
}

fn of_exchange(said: Said, action: Action) -> Line {
    let Said { place, request_id, subject, tokenized, restored, .. } = said;
    let counts = |counts: Vec<(crate::entity::Entity, u32)>| {
        counts.into_iter().map(|(entity, count)| (entity.as_str().to_owned(), u64::from(count))).collect()
    };
    Line {
        tenant: place.tenant.clone(),
        subject: subject.map(|subject| subject.alias()).unwrap_or_default(),
        route: place.route.clone(),
        purpose: place.purpose.clone(),
        recipient: place.recipient.clone(),
        entities: counts(tokenized),
        restored: counts(restored),
        request_id: request_id.into(),
        ..Line::draft(GATEWAY.to_owned(), action)
    }
}

fn of_look(look: Look) -> Line {
    let Look { actor, action, tenant, subject, purpose, recipient, reason, entities, request_id } = look;
    Line { tenant, subject, purpose, recipient, reason, entities, request_id, ..Line::draft(actor, action) }
}
