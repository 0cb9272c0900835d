//! What the access log says of an exchange: one line at its end, and one in
//! advance, which is durable before the first value leaves. So nobody was shown
//! a value of which the log says nothing, however the process ends.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::{Queue, Recorder, Refused};
use crate::entity::Entity;
use crate::vault::{Subject, VaultError};

use super::writer::Entry;

/// For how long a line in advance speaks: what goes on has another one then,
/// which says how much it was by now.
const SPEAKS_FOR: Duration = Duration::from_mins(1);

/// So long a reply waits for its line.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// The lines of an exchange in the making. The last is written when this is
/// dropped, if anything was tokenized or restored.
pub struct Exchange {
    permit: Option<OwnedPermit<Entry>>,
    /// Leads to the writer, where lines are to be written in advance.
    ahead: Option<Queue>,
    said: Mutex<Said>,
    /// Whether a value was put back that no durable line tells of.
    owes: AtomicBool,
    pending: tokio::sync::Mutex<Option<Pending>>,
}

/// What is known of an exchange.
#[derive(Clone, Default)]
pub(super) struct Said {
    pub(super) place: Arc<Place>,
    pub(super) request_id: Box<str>,
    pub(super) subject: Option<Subject>,
    pub(super) tokenized: Vec<(Entity, u32)>,
    pub(super) restored: Vec<(Entity, u32)>,
    /// The entities that a durable line names in advance, and since when.
    told: Option<(Vec<Entity>, Instant)>,
}

/// A line in advance that is on its way.
struct Pending {
    durable: oneshot::Receiver<u64>,
    /// Whether it says whose exchange it is.
    is_named: bool,
    names: Vec<Entity>,
    since: Instant,
}

impl Recorder {
    /// Takes a place in the queue for the line of an exchange. No I/O.
    pub fn begin(&self, place: &Arc<Place>, request_id: &str, subject: Option<Subject>) -> Result<Exchange, Refused> {
        let permit = match &self.queue {
            Some(queue) => {
                if queue.is_down.load(Ordering::Relaxed) {
                    return Err(Refused::Down);
                }
                // Lines in advance have places of their own, or those who hold
                // places for their ends could be in their own way.
                if queue.entries.capacity() <= queue.spare {
                    return Err(Refused::Full);
                }
                Some(queue.entries.clone().try_reserve_owned().map_err(|_| Refused::Full)?)
            }
            None => None,
        };
        let ahead = self.queue.as_ref().filter(|queue| queue.spare > 0).cloned();
        let said = Said { place: Arc::clone(place), request_id: request_id.into(), subject, ..Said::default() };
        Ok(Exchange {
            permit,
            ahead,
            said: Mutex::new(said),
            owes: AtomicBool::new(false),
            pending: tokio::sync::Mutex::default(),
        })
    }
}

impl Exchange {
    /// So many findings of an entity were replaced.
    pub fn tokenized(&self, entity: Entity, count: u32) {
        add(&mut self.said().tokenized, entity, count);
    }

    /// A value was put back. It may leave once [`Exchange::shown`] returns.
    pub fn restored(&self, entity: Entity) {
        let mut said = self.said();
        add(&mut said.restored, entity, 1);
        if self.ahead.is_some() && !said.tells_of(entity) {
            self.owes.store(true, Ordering::Relaxed);
        }
    }

    /// A message has told whose exchange it is.
    pub fn is_of(&self, subject: &Subject) {
        let mut said = self.said();
        said.subject = Some(subject.clone());
        // What a line has said before named nobody.
        said.told = None;
    }

    /// Sends the line in advance on its way, if something was replaced that may
    /// be put back: so it is durable by the time the chatbot answers.
    pub fn announce(&self) {
        let Some(queue) = &self.ahead else { return };
        let Ok(mut pending) = self.pending.try_lock() else { return };
        let said = self.said();
        let is_told = |(entity, _): &(Entity, u32)| said.told.as_ref().is_some_and(|(told, _)| told.contains(entity));
        if pending.is_some() || said.tokenized.iter().all(is_told) {
            return;
        }
        let (entry, line) = said.in_advance();
        // Where there is no room now, whoever is to be shown a value waits for it.
        *pending = queue.entries.try_send(entry).ok().map(|()| line);
    }

    /// Waits until a durable line tells of all that was put back: nothing of it
    /// leaves before. Mostly that is so already. An error means that it must not
    /// leave.
    ///
    /// Cancel safety: asked again, it goes on to wait.
    pub async fn shown(&self) -> Result<(), VaultError> {
        if !self.owes.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(queue) = &self.ahead else { return Ok(()) };
        let late = |_| VaultError::unavailable("the access log cannot be written");
        timeout(PATIENCE, self.told(queue)).await.map_err(late)?
    }

    async fn told(&self, queue: &Queue) -> Result<(), VaultError> {
        let mut pending = self.pending.lock().await;
        loop {
            if let Some(line) = pending.as_mut() {
                queue.hurry.notify_one();
                let durable = (&mut line.durable).await;
                let Some(Pending { is_named, names, since, .. }) = pending.take() else { continue };
                durable.map_err(|_| VaultError::unavailable("the access log is closed"))?;
                let mut said = self.said();
                said.told = Some((names, since)).filter(|_| is_named == said.subject.is_some());
            }
            let news = {
                let said = self.said();
                let is_told = said.restored.iter().all(|(entity, _)| said.tells_of(*entity));
                (!is_told).then(|| said.in_advance())
            };
            let Some((entry, line)) = news else { break };
            let closed = |_| VaultError::unavailable("the access log is closed");
            queue.entries.send(entry).await.map_err(closed)?;
            *pending = Some(line);
        }
        self.owes.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    /// Whether a durable line of late says that such values may be put back.
    fn tells_of(&self, entity: Entity) -> bool {
        self.told.as_ref().is_some_and(|(told, since)| told.contains(&entity) && since.elapsed() < SPEAKS_FOR)
    }

    /// The line that tells in advance of all that is known so far.
    fn in_advance(&self) -> (Entry, Pending) {
        let (done, durable) = oneshot::channel();
        let mut said = self.clone();
        // What may be put back and was not replaced here came before.
        for (entity, _) in &self.restored {
            if !said.tokenized.iter().any(|(known, _)| known == entity) {
                said.tokenized.push((*entity, 0));
            }
        }
        let names = said.tokenized.iter().map(|(entity, _)| *entity).collect();
        (
            Entry::Exchange(said, Some(done)),
            Pending { durable, is_named: self.subject.is_some(), names, since: Instant::now() },
        )
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let said = std::mem::take(self.said.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(permit) = self.permit.take()
            && !(said.tokenized.is_empty() && said.restored.is_empty())
        {
            permit.send(Entry::Exchange(said, None));
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
