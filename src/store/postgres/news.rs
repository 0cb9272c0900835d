//! What other processes changed: events by number, asked for twice a second,
//! and at once where the server tells of one (`NOTIFY`).
//!
//! The telling only makes it faster; where it is lost, or an engine or a pooler
//! has none, the asking bounds the time. Whoever could not ask for a second
//! does not know what changed, and must not believe what it remembers.

use super::pool::{Again, Pool, Single};
use super::schema::NOBODY;
use super::statements::{EVENTS, LANES, NEWEST, event_of, lane_at, number_of_lane};
use crate::store::{Event, News, StoreError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// How often is asked.
const EVERY: Duration = Duration::from_millis(400);
/// For how long an answer holds, from when it was asked for.
const HOLDS: Duration = Duration::from_secs(1);
/// How long to wait before asking again after a failure.
const AFTER_FAILURE: Duration = Duration::from_millis(100);
/// Between two times of asking because of what the server told.
const AT_MOST_EVERY: Duration = Duration::from_millis(10);

const CHANNEL: &str = "privet_events";

/// Tells other processes to ask.
#[derive(Clone)]
pub(super) struct Notifier(Arc<Pool>);

impl Notifier {
    /// Tells the other processes to ask. Nothing is lost where that fails.
    pub(super) fn notify(&self) {
        let pool = Arc::clone(&self.0);
        tokio::spawn(async move {
            let _ = pool.query("select pg_notify($1, '')", &[(&CHANNEL, Type::TEXT)], Again::Harmless).await;
        });
    }
}

/// Follows the events of other processes.
pub(super) struct Reader {
    pool: Arc<Pool>,
    limit: Duration,
    origin: u64,
    state: tokio::sync::Mutex<State>,
    /// Up to when all events are known that count.
    current_until: Mutex<Option<Instant>>,
    /// Wakes whoever waits, when the server tells of an event.
    told: Arc<tokio::sync::Notify>,
}

#[derive(Default)]
struct State {
    listening: Option<Single>,
    /// The newest event of each lane that was handed out.
    seen: Option<[i64; LANES]>,
    /// When the answer was asked for that was handed out last.
    asked: Option<Instant>,
}

impl Reader {
    pub(super) fn new(pool: Arc<Pool>, limit: Duration, origin: u64) -> Self {
        Self {
            pool,
            limit,
            origin,
            state: tokio::sync::Mutex::default(),
            current_until: Mutex::default(),
            told: Arc::default(),
        }
    }

    /// Whether what is remembered may be believed.
    pub(super) fn is_current(&self) -> bool {
        let until = *self.current_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn notifier(&self) -> Notifier {
        Notifier(Arc::clone(&self.pool))
    }

    /// Waits for the next events, for so long as an answer holds at most. To
    /// ask again says that those of the last time were heeded.
    pub(super) async fn next(&self) -> Result<News, StoreError> {
        let mut state = self.state.lock().await;
        if let Some(asked) = state.asked.take() {
            *self.current_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked + HOLDS);
            let pause = EVERY.saturating_sub(asked.elapsed());
            tokio::time::sleep(AT_MOST_EVERY).await;
            // Late or early: it is asked.
            let _ = tokio::time::timeout(pause, self.told.notified()).await;
        }
        let asked = Instant::now();
        match tokio::time::timeout(self.limit, self.ask(&mut state)).await {
            Ok(Ok(news)) => {
                state.asked = Some(asked);
                Ok(news)
            }
            failed => {
                state.listening = None;
                tokio::time::sleep(AFTER_FAILURE).await;
                Err(failed.map_or_else(
                    |_| StoreError::unavailable("PostgreSQL did not answer in time"),
                    |told| told.err().unwrap_or(super::STATEMENT),
                ))
            }
        }
    }

    async fn ask(&self, state: &mut State) -> Result<News, StoreError> {
        let listening = match &mut state.listening {
            Some(listening) if !listening.is_closed() => listening,
            gone => gone.insert(self.pool.listen(CHANNEL, Arc::clone(&self.told)).await?),
        };
        let newest = newest(&listening.query(NEWEST, &[(&NOBODY.0, Type::BYTEA)]).await?)?;
        let Some(seen) = &mut state.seen else {
            // Something may have been read before this began.
            state.seen = Some(newest);
            return Ok(News { events: Vec::new(), missed: true });
        };
        let mut news = News::default();
        for (number, (seen, newest)) in seen.iter_mut().zip(newest).enumerate() {
            if *seen == newest {
                continue;
            }
            if *seen > newest {
                // The database was put back to an earlier state.
                news.missed = true;
                *seen = newest;
                continue;
            }
            let lane = lane_at(number);
            let lane = lane.as_slice();
            let parameters = [(&NOBODY.0 as _, Type::BYTEA), (&lane as _, Type::BYTEA), (&*seen as _, Type::INT8)];
            let rows = listening.query(EVENTS, &parameters).await?;
            let mut expected = *seen + 1;
            for row in &rows {
                let (id, event) = read(row)?;
                news.missed |= id != expected;
                expected = id + 1;
                match event {
                    Some((event, origin)) if origin != self.origin => news.events.push(event),
                    Some(_) => {}
                    // A newer build tells of something unknown here.
                    None => news.missed = true,
                }
            }
            // The first of them are gone by now.
            news.missed |= expected <= newest;
            *seen = newest.max(expected - 1);
        }
        Ok(news)
    }
}

fn newest(rows: &[Row]) -> Result<[i64; LANES], StoreError> {
    let mut newest = [0; LANES];
    for row in rows {
        let lane = row.try_get(0).ok().and_then(number_of_lane).ok_or(super::STATEMENT)?;
        if let Some(place) = newest.get_mut(lane) {
            *place = row.try_get(1).map_err(|_| super::STATEMENT)?;
        }
    }
    Ok(newest)
}

type Told = (i64, Option<(Event, u64)>);

fn read(row: &Row) -> Result<Told, StoreError> {
    let id = row.try_get(0).map_err(|_| super::STATEMENT)?;
    let bytes: &[u8] = row.try_get(1).map_err(|_| super::STATEMENT)?;
    Ok((id, event_of(bytes)))
}
