//! One connection: which HTTP it speaks, its deadlines, its part in a drain.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{self, Instant, Sleep};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Doing, Socket, Watched};
use super::{Limits, Shutdown};

/// What all connections of a listener share.
#[derive(Clone)]
pub(super) struct Acceptor(Arc<Shared>);

struct Shared {
    tls: Option<TlsAcceptor>,
    limits: Limits,
    shutdown: Shutdown,
    http1: http1::Builder,
}

/// The version of HTTP that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http {
    One,
    Two,
}

impl Acceptor {
    pub(super) fn new(tls: Option<Arc<rustls::ServerConfig>>, limits: Limits, shutdown: Shutdown) -> Self {
        let http1 = http1_builder(&limits);
        Self(Arc::new(Shared { tls: tls.map(TlsAcceptor::from), limits, shutdown, http1 }))
    }

    pub(super) fn has_tls(&self) -> bool {
        self.0.tls.is_some()
    }

    /// Serves one connection to its end. Errors are the client's affair, or
    /// the service has seen them: none is reported.
    pub(super) async fn run<S, B>(self, stream: TcpStream, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        // An event of a stream must not wait for the one before it to be
        // acknowledged. Failing means the socket is dead already.
        let _ = stream.set_nodelay(true);
        let Shared { tls, limits, shutdown, .. } = &*self.0;
        let Some(tls) = tls else {
            if let Some(Some(http)) = within(limits.header_read, shutdown, preface(&stream)).await {
                self.serve(http, stream, service).await;
            }
            return;
        };
        if let Some(Ok(stream)) = within(limits.header_read, shutdown, tls.accept(stream)).await {
            let http = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Http::Two,
                _ => Http::One,
            };
            // Boxed, or the task of a plain connection would have its size.
            Box::pin(self.serve(http, stream, service)).await;
        }
    }

    async fn serve<T, S, B>(&self, http: Http, stream: T, service: S)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let Shared { limits, shutdown, http1, .. } = &*self.0;
        let activity = Arc::new(Activity::default());
        let service = Watched { service, activity: Arc::clone(&activity) };
        let deadlines = Deadlines::new(Arc::clone(&activity), limits.keep_alive, limits.header_read);
        match http {
            Http::One => {
                let io = TokioIo::new(Socket::new(stream, Some(Arc::clone(&activity)), limits.write));
                let connection = http1.serve_connection(io, service).with_upgrades();
                drive(connection, http1::UpgradeableConnection::graceful_shutdown, deadlines, shutdown).await;
                if let Some(sequel) = activity.take_sequel() {
                    sequel.run(shutdown.clone()).await;
                }
            }
            Http::Two => {
                // Frames come at any time and need not begin a header: there
                // is but the wait for the next request to be whole.
                let io = TokioIo::new(Socket::new(stream, None, limits.write));
                let streams = Streams::default();
                let connection = http2_builder(limits, streams.executor()).serve_connection(io, service);
                drive(connection, http2::Connection::graceful_shutdown, deadlines, shutdown).await;
            }
        }
    }
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    /// What hyper keeps on the stack; any number set costs each request an
    /// allocation, even this one.
    const HYPER_HEADERS: usize = 100;
    /// The most that one read takes in, and that waits to be written.
    const BUFFER: usize = 64 * 1024;

    let mut builder = http1::Builder::new();
    // The timer of hyper is set, polled and removed again with each request,
    // and cannot tell a slow header from an idle connection: see `Deadlines`.
    builder
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.saturating_add(1).max(BUFFER));
    if limits.headers != HYPER_HEADERS {
        builder.max_headers(limits.headers);
    }
    builder
}

fn http2_builder(limits: &Limits, executor: StreamExecutor) -> http2::Builder<StreamExecutor> {
    const WINDOW_OF_STREAM: u32 = 64 * 1024;
    const WINDOW_OF_CONNECTION: u32 = 1024 * 1024;
    const SEND_BUFFER_OF_STREAM: usize = 64 * 1024;
    /// Streams that a client reset before they were looked at (CVE-2023-44487).
    const PENDING_RESETS: usize = 20;
    /// Streams that the client made us reset (CVE-2025-8671).
    const LOCAL_ERROR_RESETS: usize = 256;
    const PING_INTERVAL: Duration = Duration::from_secs(30);
    const PING_TIMEOUT: Duration = Duration::from_secs(20);

    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_ERROR_RESETS)
        .initial_stream_window_size(WINDOW_OF_STREAM)
        .initial_connection_window_size(WINDOW_OF_CONNECTION)
        .max_send_buf_size(SEND_BUFFER_OF_STREAM)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Tells HTTP/2 by prior knowledge (RFC 9113, section 3.3) from HTTP/1 without
/// taking a byte, so that no request pays for a second buffer. `None`: the
/// client has gone.
async fn preface(stream: &TcpStream) -> Option<Http> {
    /// No method of HTTP/1 begins so: `PRI` is reserved (RFC 9113, section 11.6).
    const START: &[u8] = b"PRI ";
    /// The bytes seen stay readable: waiting for more of them needs a clock.
    const PAUSE: Duration = Duration::from_millis(5);

    let mut buf = [0; START.len()];
    loop {
        let n = stream.peek(&mut buf).await.ok().filter(|n| *n > 0)?;
        let seen = buf.get(..n)?;
        if !START.starts_with(seen) {
            return Some(Http::One);
        }
        if seen == START {
            return Some(Http::Two);
        }
        time::sleep(PAUSE).await;
    }
}

/// `None` where the limit is over or a drain begins first.
async fn within<F: Future>(limit: Duration, shutdown: &Shutdown, future: F) -> Option<F::Output> {
    tokio::select! {
        output = future => Some(output),
        () = time::sleep(limit) => None,
        () = shutdown.triggered() => None,
    }
}

/// Runs a connection to its end, to a deadline, or to the end of its drain.
async fn drive<C>(connection: C, drain: fn(Pin<&mut C>), mut deadlines: Deadlines, shutdown: &Shutdown)
where
    C: Future,
{
    let mut connection = pin!(connection);
    let mut triggered = pin!(shutdown.triggered());
    let mut wakes_on_trigger = false;
    let mut draining = false;
    poll_fn(|cx| {
        // Once polled, this future wakes the task (whose waker stays the
        // same) when the drain begins. Polling it again each time would take
        // a lock that all connections share.
        if !wakes_on_trigger {
            wakes_on_trigger = true;
            let _ = triggered.as_mut().poll(cx);
        }
        if !draining && shutdown.is_triggered() {
            draining = true;
            drain(connection.as_mut());
        }
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match deadlines.poll(cx) {
            // The way out of a drain is also that of an idle connection. If
            // the client does not take it, the next deadline ends it.
            Some(Passed::Idle) if !draining => {
                draining = true;
                drain(connection.as_mut());
                // Starts the next wait too, which nothing else might.
                if connection.as_mut().poll(cx).is_ready() || deadlines.poll(cx).is_some() {
                    return Poll::Ready(());
                }
                Poll::Pending
            }
            Some(Passed::Idle | Passed::Header) => Poll::Ready(()),
            None => Poll::Pending,
        }
    })
    .await;
}

/// The two deadlines of a connection that serves nothing: for the header that
/// has begun, and for one to begin.
///
/// One timer a connection, which is let run out and looked at then rather than
/// set anew: between two requests of a busy connection no timer is touched.
struct Deadlines {
    activity: Arc<Activity>,
    idle: Duration,
    header: Duration,
    seen: Doing,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
    /// When the timer runs out and wakes the task. `None`: it does not.
    wakes: Option<Instant>,
}

/// The deadline that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    Header,
    Idle,
}

impl Deadlines {
    fn new(activity: Arc<Activity>, idle: Duration, header: Duration) -> Self {
        let deadline = Instant::now();
        let timer = Box::pin(time::sleep_until(deadline));
        Self { activity, idle, header, seen: Doing::Serving, deadline, timer, wakes: None }
    }

    /// Called at the end of each poll of the connection, when it waits.
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Passed> {
        let doing = self.activity.doing();
        let (limit, passed) = match doing {
            Doing::Serving => {
                self.seen = doing;
                return None;
            }
            Doing::Idle { .. } => (self.idle, Passed::Idle),
            Doing::Header { .. } => (self.header, Passed::Header),
        };
        if doing != self.seen {
            self.seen = doing;
            self.deadline = Instant::now() + limit;
        }
        if self.wakes.is_some_and(|at| at <= self.deadline) && !self.timer.is_elapsed() {
            return None;
        }
        if self.timer.is_elapsed() && Instant::now() >= self.deadline {
            // The next wait is a new one.
            self.seen = Doing::Serving;
            self.wakes = None;
            return Some(passed);
        }
        self.timer.as_mut().reset(self.deadline);
        self.wakes = Some(self.deadline);
        self.timer.as_mut().poll(cx).is_ready().then_some(passed)
    }
}

/// The tasks of one HTTP/2 connection's streams, which end with it.
#[derive(Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

/// Spawns into [`Streams`].
#[derive(Clone)]
struct StreamExecutor(Arc<Mutex<JoinSet<()>>>);

impl Streams {
    fn executor(&self) -> StreamExecutor {
        StreamExecutor(Arc::clone(&self.0))
    }
}

// A task may itself hold an executor, so the set would never be dropped alone.
impl Drop for Streams {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, future: F) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.try_join_next().is_some() {}
        streams.spawn(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_streams_of_a_connection_end_with_it() {
        let streams = Streams::default();
        let (held, is_held) = tokio::sync::oneshot::channel::<()>();
        let executor = streams.executor();
        // Holds what spawned it, as hyper's own may.
        let holds = executor.clone();
        executor.execute(async move {
            let _held = (held, holds);
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        drop((executor, streams));
        let ended = time::timeout(Duration::from_secs(5), is_held).await;
        assert!(ended.expect("the task runs on").is_err());
    }
}
