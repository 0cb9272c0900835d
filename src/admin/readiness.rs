//! Whether the process can do its work, asked no more than once a second.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{self, Instant};

/// How long an answer holds: probes of many hosts cost one write a second.
const HOLDS: Duration = Duration::from_secs(1);
/// How long the check may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The process cannot do its work. Why is in the log, not in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not ready")]
pub struct NotReady;

type Check = dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync;

/// A check and its last answer. Clones share both.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    check: Box<Check>,
    // Held while the check runs: others that ask meanwhile get its answer.
    last: Mutex<Option<(Instant, Result<(), NotReady>)>>,
}

impl Readiness {
    /// `check` gives whether the work can be done. It must stand being dropped
    /// before it is done; it logs by itself what is wrong.
    pub fn new<C, F>(check: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = bool> + Send + 'static,
    {
        Self(Arc::new(Inner { check: Box::new(move || Box::pin(check())), last: Mutex::new(None) }))
    }

    /// The answer of the last second, or a new one within two.
    pub async fn check(&self) -> Result<(), NotReady> {
        let mut last = self.0.last.lock().await;
        if let Some((at, answer)) = *last
            && at.elapsed() < HOLDS
        {
            return answer;
        }
        let answer = match time::timeout(LIMIT, (self.0.check)()).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(NotReady),
        };
        *last = Some((Instant::now(), answer));
        answer
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn counting(answer: bool, takes: Duration) -> (Readiness, Arc<AtomicU32>) {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let readiness = Readiness::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                time::sleep(takes).await;
                answer
            }
        });
        (readiness, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_for_a_second() {
        let (readiness, asked) = counting(true, Duration::ZERO);
        for _ in 0..5 {
            assert_eq!(readiness.check().await, Ok(()));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        time::advance(Duration::from_millis(1_001)).await;
        assert_eq!(readiness.check().await, Ok(()));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_meanwhile_gets_the_same_answer() {
        let (readiness, asked) = counting(false, Duration::from_millis(500));
        let other = readiness.clone();
        let both = tokio::join!(readiness.check(), other.check());
        assert_eq!(both, (Err(NotReady), Err(NotReady)));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_not_ready() {
        let (readiness, _) = counting(true, Duration::from_hours(1));
        let begun = Instant::now();
        assert_eq!(readiness.check().await, Err(NotReady));
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}
