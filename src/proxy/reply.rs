//! The body of a reply to the client, and what is settled when it ends.

use super::encoding::Undecodable;
use super::request_id::RequestId;
use super::watch::Watch;
use crate::framing::TooLong;
use crate::ledger::Registered;
use crate::problem::ProblemKind;
use crate::telemetry::{Held, Outcome, RouteMetrics};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// Why a reply broke off.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// The chatbot's connection failed.
    #[error("the upstream broke off")]
    Upstream(#[from] hyper::Error),
    /// It is not encoded as its `Content-Encoding` says, or grows beyond
    /// `limits.decode_ratio`.
    #[error("the upstream's encoding is broken")]
    Undecodable,
    /// The chatbot sent nothing for longer than `timeouts.stream_idle`.
    #[error("the upstream fell silent")]
    Silent,
    /// The person has withdrawn the consent that the exchange stood on.
    #[error("the consent was withdrawn")]
    Withdrawn,
    /// The access log takes no line of what it holds, so it must not be shown.
    #[error("the access log cannot be written")]
    Unrecorded,
    /// A file of Privet's own cannot be written to its end.
    #[error("the vault failed")]
    Vault,
    /// One event of the stream is larger than `limits.reply_body`.
    #[error("{0}")]
    TooLong(#[from] TooLong),
}

impl From<Undecodable> for ReplyError {
    fn from(_: Undecodable) -> Self {
        Self::Undecodable
    }
}

/// What the client is sent.
pub struct ReplyBody {
    source: Source,
    idle: Option<Idle>,
    settle: Option<Settle>,
    consent: Option<Standing>,
}

/// The consent that a reply stands on.
struct Standing {
    registered: Registered,
    withdrawn: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whom a withdrawal wakes.
    waker: Option<Waker>,
}

impl Standing {
    /// Sees to it that a withdrawal wakes the task. Whether there was one before.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        // Once is enough, and not with each frame.
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return false;
        }
        self.waker = Some(cx.waker().clone());
        self.withdrawn.as_mut().poll(cx).is_ready()
    }
}

enum Source {
    Whole(Full<Bytes>),
    Passing(Incoming),
    Restored(Pin<Box<dyn Stream<Item = Result<Bytes, ReplyError>> + Send>>),
}

impl ReplyBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { source: Source::Whole(Full::new(bytes)), idle: None, settle: None, consent: None }
    }

    /// A whole answer of Privet's own.
    pub(super) fn with_type(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Response<ReplyBody> {
        let mut response = Response::new(Self::whole(body.into()));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// 204, with these headers.
    pub(super) fn no_content(headers: HeaderMap) -> Response<ReplyBody> {
        let mut response = Response::new(Self::whole(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.headers_mut() = headers;
        response
    }

    /// The upstream's own bytes.
    pub(super) fn passing(body: Incoming, idle: Duration) -> Self {
        Self { source: Source::Passing(body), idle: Some(Idle::new(idle)), settle: None, consent: None }
    }

    /// What watches for silence itself: what it sends says little of what it hears.
    pub(super) fn restored(stream: impl Stream<Item = Result<Bytes, ReplyError>> + Send + 'static) -> Self {
        Self { source: Source::Restored(Box::pin(stream)), idle: None, settle: None, consent: None }
    }

    /// Breaks off where the consent is withdrawn.
    pub(super) fn until(mut self, registered: Registered) -> Self {
        let withdrawn = Box::pin(registered.ended().clone().cancelled_owned());
        self.consent = Some(Standing { registered, withdrawn, waker: None });
        self
    }

    /// From now on the exchange is settled when this body ends: now, where
    /// there is none, as nobody asks for its end then.
    pub(super) fn settles(mut self, settle: Settle) -> Self {
        self.settle = Some(settle);
        if self.is_end_stream() {
            self.ended(None);
        }
        self
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        match &mut self.source {
            Source::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Source::Passing(body) => loop {
                let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                // Trailers do not travel.
                if !frame.as_ref().is_some_and(|frame| frame.as_ref().is_ok_and(Frame::is_trailers)) {
                    return Poll::Ready(frame.map(|frame| frame.map_err(ReplyError::from)));
                }
            },
            Source::Restored(stream) => {
                stream.as_mut().poll_next(cx).map(|item| item.map(|bytes| Ok(Frame::data(bytes?))))
            }
        }
    }

    fn withdrawn(&mut self) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        self.ended(Some(Outcome::RefusedConsent));
        Poll::Ready(Some(Err(ReplyError::Withdrawn)))
    }

    fn ended(&mut self, outcome: Option<Outcome>) {
        self.consent = None;
        if let Some(mut settle) = self.settle.take() {
            if let Some(outcome) = outcome {
                settle.outcome(outcome);
            }
            settle.completed = true;
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = ReplyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        let this = self.get_mut();
        if this.consent.as_ref().is_some_and(|consent| consent.registered.ended().is_cancelled()) {
            return this.withdrawn();
        }
        match this.poll_source(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if this.is_end_stream() {
                    this.ended(None);
                } else if let Some(idle) = &mut this.idle {
                    idle.last = Instant::now();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let is_own = matches!(error, ReplyError::Unrecorded);
                this.ended(Some(if is_own { Outcome::VaultFailed } else { Outcome::UpstreamFailed }));
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                this.ended(None);
                Poll::Ready(None)
            }
            Poll::Pending if this.idle.as_mut().is_some_and(|idle| idle.is_over(cx)) => {
                this.ended(Some(Outcome::UpstreamFailed));
                Poll::Ready(Some(Err(ReplyError::Silent)))
            }
            Poll::Pending if this.consent.as_mut().is_some_and(|consent| consent.is_over(cx)) => this.withdrawn(),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(body) => body.is_end_stream(),
            Source::Passing(body) => body.is_end_stream(),
            Source::Restored(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(body) => body.size_hint(),
            Source::Passing(body) => body.size_hint(),
            Source::Restored(_) => SizeHint::default(),
        }
    }
}

/// Watches for silence. The timer is set once and moved on when it fires, so
/// that a frame costs a look at the clock and no more.
struct Idle {
    limit: Duration,
    last: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self { limit, last: Instant::now(), timer: None }
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        while timer.as_mut().poll(cx).is_ready() {
            let silent = self.last.elapsed();
            if silent >= limit {
                return true;
            }
            timer.as_mut().reset(tokio::time::Instant::now() + (limit.saturating_sub(silent)));
        }
        false
    }
}

/// What is owed when an exchange is over, however it ends: the place in flight
/// is given back, and the outcome is counted and logged.
pub(super) struct Settle {
    id: RequestId,
    watch: Arc<Watch>,
    route: Option<Arc<RouteMetrics>>,
    _in_flight: Held,
    place: Option<OwnedSemaphorePermit>,
    started: Instant,
    outcome: Outcome,
    replaced: u32,
    completed: bool,
    /// Somebody else settles.
    handed_over: bool,
}

impl Settle {
    pub(super) fn new(id: RequestId, watch: Arc<Watch>) -> Self {
        Self {
            id,
            route: None,
            _in_flight: Held::new(&watch.metrics.in_flight_requests, 1),
            watch,
            place: None,
            started: Instant::now(),
            outcome: Outcome::Forwarded,
            replaced: 0,
            completed: false,
            handed_over: false,
        }
    }

    /// The name of the request.
    pub(super) fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Hands over what is owed to what goes on when the reply has ended.
    pub(super) fn hand_over(&mut self) -> Self {
        let mut heir = Self::new(self.id, Arc::clone(&self.watch));
        heir.handed_over = true;
        std::mem::replace(self, heir)
    }

    /// The exchange has come to its end, rather than been dropped in the middle.
    pub(super) fn complete(mut self) {
        self.completed = true;
    }

    /// Keeps the place among the requests in flight until the reply has ended.
    pub(super) fn hold(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    pub(super) fn on_route(&mut self, route: &Arc<RouteMetrics>) {
        self.route = Some(Arc::clone(route));
    }

    pub(super) fn replaced(&mut self, count: u32) {
        self.replaced += count;
    }

    pub(super) fn outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    pub(super) fn refused(&mut self, outcome: Outcome, problem: ProblemKind) {
        self.outcome = outcome;
        self.watch.metrics.rejected(problem);
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        if self.handed_over {
            return;
        }
        drop(self.place.take());
        // Dropped in the middle: hyper does so when the client is gone.
        let outcome = if self.completed { self.outcome } else { Outcome::ClientGone };
        self.route.as_deref().unwrap_or(self.watch.no_route()).count(outcome);
        let (request_id, outcome, replaced) = (self.id.as_str(), outcome.as_str(), self.replaced);
        let milliseconds = || u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.completed && matches!(self.outcome, Outcome::Forwarded | Outcome::Anonymized | Outcome::Answered) {
            tracing::debug!(request_id, outcome, replaced, milliseconds = milliseconds(), "The exchange is over.");
        } else {
            tracing::info!(request_id, outcome, replaced, milliseconds = milliseconds(), "The exchange is over.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Ledger, Notices};
    use crate::vault::{Key, Options, Vault};
    use futures_util::{StreamExt as _, stream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use tokio_util::sync::CancellationToken;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_withdrawal_wakes_whoever_asked_last() {
        let vault = Vault::open(&"memory:".parse().unwrap(), Key::generate(), Options::default()).await.unwrap();
        let ledger = Ledger::new(&vault, Notices::default());
        let (row, ended) = (ledger.row("t", "ana"), CancellationToken::new());
        let registered = ledger.register(row, Some(&"support".into()), ended.clone());
        let frames = stream::iter([Ok(Bytes::from_static(b"a"))]).chain(stream::pending());
        let mut body = ReplyBody::restored(frames).until(registered);
        let tasks: [Arc<Task>; 2] = Default::default();
        let poll = |body: &mut ReplyBody, task: &Arc<Task>| {
            Pin::new(body).poll_frame(&mut Context::from_waker(&Arc::clone(task).into()))
        };
        assert!(matches!(poll(&mut body, &tasks[0]), Poll::Ready(Some(Ok(_)))));
        for task in [&tasks[0], &tasks[0], &tasks[1], &tasks[1]] {
            assert!(poll(&mut body, task).is_pending());
        }
        assert_eq!(ledger.end(row), 1);
        assert_eq!(tasks[1].0.load(Ordering::Relaxed), 1);
        assert!(matches!(poll(&mut body, &tasks[1]), Poll::Ready(Some(Err(ReplyError::Withdrawn)))));
    }
}
