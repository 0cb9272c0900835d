//! New mappings, written for many requests at once.
//!
//! Most of what a short statement costs a server does not depend on how much it
//! writes. So few statements are under way at a time; what comes meanwhile
//! waits, and goes together in the next. One that comes alone waits for nobody.

use super::news::Notifier;
use super::pool::{self, Again, Pool};
use super::statements as sql;
use super::{STATEMENT, field};
use crate::store::{Batch, Event, EventKind, Outcome, Row, StoreError};
use crate::token::Token;
use std::collections::{HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_postgres::types::Type;

/// How many statements are under way at once: while one waits for the disk of
/// the server, the other is worked on.
const AT_ONCE: usize = 2;

/// A statement that takes longer mostly waits for somebody who has a subject
/// locked. Then it counts no more, and another is begun in its place.
const LONG: Duration = Duration::from_millis(250);

/// Of so many at most, as each has a session of the pool.
const ASIDE: usize = 2;

/// How many batches one statement takes, and how many tokens; one batch in any
/// case.
const BATCHES: usize = 256;
const TOKENS: usize = 2048;

/// How often a batch is tried that meets others who write and erase the same.
const ATTEMPTS: usize = 16;

/// What waits, and who writes.
#[derive(Clone)]
pub(super) struct Puts(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    notifier: Notifier,
    origin: u64,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// How many tasks write, but for those that stepped aside.
    writers: usize,
    /// How many stepped aside, as their statement takes long.
    aside: usize,
    /// The subjects of the statements under way: what comes for one of them
    /// waits, so that a subject that is locked holds up one statement alone.
    at_work: HashSet<Row>,
}

/// A batch, and who waits for it: what nobody waits for any more is not begun.
struct Waiting {
    batch: Batch,
    attempts: usize,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

impl Puts {
    pub(super) fn new(pool: Arc<Pool>, notifier: Notifier, origin: u64) -> Self {
        Self(Arc::new(Inner { pool, notifier, origin, queue: Mutex::default() }))
    }

    /// Writes a batch, together with others.
    pub(super) async fn put(&self, batch: Batch) -> Result<Outcome, StoreError> {
        let (answer, answered) = oneshot::channel();
        let is_to_start = {
            let mut queue = self.0.queue();
            queue.waiting.push_back(Waiting { batch, attempts: 0, answer });
            let is_to_start = queue.writers < AT_ONCE;
            queue.writers += usize::from(is_to_start);
            is_to_start
        };
        if is_to_start {
            tokio::spawn(Arc::clone(&self.0).write());
        }
        answered.await.map_err(|_| StoreError::unavailable("it is closed"))?
    }
}

impl Inner {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing waits.
    async fn write(self: Arc<Self>) {
        let mut place = Place { inner: Arc::clone(&self), rows: Vec::new(), is_aside: false, is_left: false };
        while let Some(group) = place.next() {
            let batches: Vec<&Batch> = group.iter().map(|waiting| &waiting.batch).collect();
            let outcomes = self.try_from(&mut place, &batches).await;
            match outcomes {
                Ok(outcomes) => group.into_iter().zip(outcomes).for_each(|(waiting, outcome)| match outcome {
                    Some(outcome) => waiting.answer(Ok(outcome)),
                    None => self.again(waiting),
                }),
                Err(_) if group.len() > 1 => self.write_each(group).await,
                Err(error) => group.into_iter().for_each(|waiting| waiting.answer(Err(error.clone()))),
            }
        }
    }

    /// Tries batches once, and lets others write where that takes long.
    async fn try_from(&self, place: &mut Place, batches: &[&Batch]) -> Result<Vec<Option<Outcome>>, StoreError> {
        let mut trying = pin!(self.try_all(batches));
        loop {
            match tokio::time::timeout(LONG, trying.as_mut()).await {
                Ok(outcomes) => return outcomes,
                // Where too many are, one may be back by the next time.
                Err(_) => place.step_aside(),
            }
        }
    }

    /// Writes batches by themselves, which failed together: one subject may be
    /// locked for long. Where two fail it is the database that does.
    async fn write_each(&self, group: Vec<Waiting>) {
        let mut failed: Option<StoreError> = None;
        let mut failures = 0;
        for waiting in group {
            let tried = match &failed {
                Some(error) if failures > 1 => Err(error.clone()),
                _ => self.try_all(&[&waiting.batch]).await,
            };
            match tried.map(|outcomes| outcomes.into_iter().next().flatten()) {
                Ok(Some(outcome)) => waiting.answer(Ok(outcome)),
                Ok(None) => self.again(waiting),
                Err(error) => {
                    failures += 1;
                    failed = Some(error.clone());
                    waiting.answer(Err(error));
                }
            }
        }
    }

    /// The subject was erased while the statement waited for that.
    fn again(&self, mut waiting: Waiting) {
        waiting.attempts += 1;
        if waiting.attempts < ATTEMPTS {
            self.queue().waiting.push_front(waiting);
        } else {
            waiting.answer(Err(StoreError::unavailable("a subject is erased again and again")));
        }
    }

    /// Tries batches once; none for those where others were in between.
    async fn try_all(&self, batches: &[&Batch]) -> Result<Vec<Option<Outcome>>, StoreError> {
        let columns = Columns::new(batches, self.origin);
        let (tokens, keys) = (slices(&columns.tokens), slices(&columns.keys));
        let (lanes, events) = (slices(&columns.lanes), slices(&columns.events));
        let parameters: [pool::Parameter<'_>; 14] = [
            (&columns.numbers, Type::INT4_ARRAY),
            (&columns.tenants, Type::BYTEA_ARRAY),
            (&columns.subjects, Type::BYTEA_ARRAY),
            (&columns.records, Type::BYTEA_ARRAY),
            (&columns.may_come, Type::BOOL_ARRAY),
            (&columns.of_tokens, Type::INT4_ARRAY),
            (&tokens, Type::BYTEA_ARRAY),
            (&columns.mappings, Type::BYTEA_ARRAY),
            (&columns.of_keys, Type::INT4_ARRAY),
            (&columns.found, Type::BYTEA_ARRAY),
            (&keys, Type::BYTEA_ARRAY),
            (&columns.of_events, Type::INT4_ARRAY),
            (&lanes, Type::BYTEA_ARRAY),
            (&events, Type::BYTEA_ARRAY),
        ];
        let rows = if events.is_empty() {
            let (without_events, _) = parameters.split_at(11);
            self.pool.query(&sql::PUT, without_events, Again::Harmless).await?
        } else {
            let rows = self.pool.query(&sql::PUT_AND_TELL, &parameters, Again::Harmless).await?;
            self.notifier.notify();
            rows
        };
        let mut found: Vec<Found> = batches.iter().map(|_| Found::default()).collect();
        for row in &rows {
            let number = usize::try_from(field::<i32>(row, 0)?).map_err(|_| STATEMENT)?;
            let found = found.get_mut(number).ok_or(STATEMENT)?;
            match field::<i16>(row, 1)? {
                sql::STORED => found.is_stored = true,
                sql::OTHER_KEYS => found.other_keys = Some(field(row, 3)?),
                sql::TAKEN => found.taken.push((super::token(row, 2)?, field(row, 3)?)),
                _ => return Err(STATEMENT),
            }
        }
        Ok(found.into_iter().zip(batches).map(|(found, batch)| found.outcome(batch)).collect())
    }
}

impl Queue {
    /// Takes what is written next: of each subject one batch.
    fn take(&mut self) -> Vec<Waiting> {
        let (mut group, mut left, mut tokens) = (Vec::new(), VecDeque::new(), 0);
        while let Some(waiting) = self.waiting.pop_front() {
            if waiting.answer.is_closed() {
                continue;
            }
            let more = waiting.batch.mappings.len();
            let has_room = group.is_empty() || tokens + more <= TOKENS;
            if has_room && self.at_work.insert(waiting.batch.row) {
                tokens += more;
                group.push(waiting);
            } else {
                left.push_back(waiting);
            }
            if group.len() >= BATCHES || tokens >= TOKENS {
                break;
            }
        }
        left.append(&mut self.waiting);
        self.waiting = left;
        // Those who race with other processes come in one order.
        group.sort_by_key(|waiting| waiting.batch.row);
        group
    }
}

/// The place of one who writes, and the subjects that are written for: they are
/// free for others also where this one breaks off.
struct Place {
    inner: Arc<Inner>,
    rows: Vec<Row>,
    /// Another may have taken the place.
    is_aside: bool,
    is_left: bool,
}

impl Place {
    /// What is written next. None where nothing waits that others do not write
    /// for; then the place is left, before anything more can come to wait.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut queue = self.inner.queue();
        self.rows.drain(..).for_each(|row| _ = queue.at_work.remove(&row));
        if self.is_aside {
            queue.aside -= 1;
            self.is_aside = false;
            if queue.writers == AT_ONCE {
                self.is_left = true;
                return None;
            }
            queue.writers += 1;
        }
        let group = queue.take();
        self.rows.extend(group.iter().map(|waiting| waiting.batch.row));
        if group.is_empty() {
            queue.writers -= 1;
            self.is_left = true;
            return None;
        }
        Some(group)
    }

    /// Lets another write meanwhile, unless it does already or too many do.
    fn step_aside(&mut self) {
        let mut queue = self.inner.queue();
        if self.is_aside || queue.aside == ASIDE {
            return;
        }
        queue.aside += 1;
        self.is_aside = true;
        if queue.waiting.is_empty() {
            queue.writers -= 1;
        } else {
            tokio::spawn(Arc::clone(&self.inner).write());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_left {
            return;
        }
        let mut queue = self.inner.queue();
        self.rows.iter().for_each(|row| _ = queue.at_work.remove(row));
        if self.is_aside {
            queue.aside -= 1;
            if queue.writers == AT_ONCE {
                return;
            }
            queue.writers += 1;
        }
        match Handle::try_current() {
            // Another goes on, as nobody else may come.
            Ok(runtime) if !queue.waiting.is_empty() => _ = runtime.spawn(Arc::clone(&self.inner).write()),
            _ => queue.writers -= 1,
        }
    }
}

impl Waiting {
    /// A caller that no longer waits is no error.
    fn answer(self, outcome: Result<Outcome, StoreError>) {
        let _ = self.answer.send(outcome);
    }
}

/// What the server says of a batch.
#[derive(Default)]
struct Found {
    is_stored: bool,
    other_keys: Option<Vec<u8>>,
    taken: Vec<(Token, Vec<u8>)>,
}

impl Found {
    fn outcome(self, batch: &Batch) -> Option<Outcome> {
        match self {
            Self { is_stored: true, .. } => Some(Outcome::Stored),
            Self { other_keys: Some(other), .. } => Some(Outcome::Superseded(Some(other))),
            Self { taken, .. } if !taken.is_empty() => Some(Outcome::Taken(taken)),
            _ if !batch.first_contact => Some(Outcome::Superseded(None)),
            _ => None,
        }
    }
}

/// Batches as columns.
#[derive(Default)]
struct Columns<'a> {
    numbers: Vec<i32>,
    tenants: Vec<&'a [u8]>,
    subjects: Vec<&'a [u8]>,
    records: Vec<&'a [u8]>,
    may_come: Vec<bool>,
    of_tokens: Vec<i32>,
    tokens: Vec<Vec<u8>>,
    mappings: Vec<&'a [u8]>,
    of_keys: Vec<i32>,
    /// Where it stands: at the subject, and at its tenant.
    found: Vec<&'a [u8]>,
    keys: Vec<Vec<u8>>,
    of_events: Vec<i32>,
    lanes: Vec<Vec<u8>>,
    events: Vec<Vec<u8>>,
}

impl<'a> Columns<'a> {
    fn new(batches: &[&'a Batch], origin: u64) -> Self {
        let (_, nobody) = super::schema::NOBODY;
        let mut columns = Self::default();
        for (number, batch) in (0..).zip(batches) {
            columns.numbers.push(number);
            columns.tenants.push(&batch.row.tenant);
            columns.subjects.push(&batch.row.subject);
            columns.records.push(&batch.subject);
            columns.may_come.push(batch.first_contact);
            for (token, record) in &batch.mappings {
                columns.of_tokens.push(number);
                columns.tokens.push(sql::token_key(token));
                columns.mappings.push(record);
            }
            for key in &batch.found_by {
                columns.of_keys.extend([number, number]);
                columns.found.extend([batch.row.subject.as_slice(), nobody]);
                columns.keys.extend([key.to_vec(), sql::entry_key(key, batch.row)]);
            }
            if batch.is_told {
                let event = Event { row: batch.row, kind: EventKind::Changed };
                columns.of_events.push(number);
                columns.lanes.push(sql::lane(batch.row).to_vec());
                columns.events.push(sql::event_bytes(event, origin));
            }
        }
        columns
    }
}

fn slices(column: &[Vec<u8>]) -> Vec<&[u8]> {
    column.iter().map(Vec::as_slice).collect()
}
