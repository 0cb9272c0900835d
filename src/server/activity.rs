//! What a connection is doing, as seen from its socket, its service and its
//! bodies: the state that the deadlines of `connection` go by.
//!
//! It costs a request a few plain atomic operations and no clock, no timer and
//! no lock.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::Service;
use hyper::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::Sequel;
use crate::problem::{self, Problem, ProblemKind};

/// Shared by the parts of one connection, which mostly run in one task: the
/// order of its fields' changes is that of the task, so `Relaxed` is enough.
#[derive(Debug, Default)]
pub(super) struct Activity {
    in_flight: AtomicU32,
    /// Counts up (and around) with each request, so that a request that came
    /// and went between two looks is seen.
    requests: AtomicU32,
    /// Bytes came while no request was in flight: the next header has begun.
    in_header: AtomicBool,
    /// Of the reply that switched protocols.
    sequel: Mutex<Option<Sequel>>,
}

/// What a connection is doing. `turn` differs from one wait to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// At least one request is in flight.
    Serving,
    /// Nothing of the next request has come.
    Idle { turn: u32 },
    /// The next request's header has begun and is not complete.
    Header { turn: u32 },
}

impl Activity {
    pub(super) fn doing(&self) -> Doing {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return Doing::Serving;
        }
        let turn = self.requests.load(Ordering::Relaxed);
        if self.in_header.load(Ordering::Relaxed) { Doing::Header { turn } } else { Doing::Idle { turn } }
    }

    /// What goes on once HTTP is over.
    pub(super) fn take_sequel(&self) -> Option<Sequel> {
        self.sequel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn bytes_came(&self) {
        if self.in_flight.load(Ordering::Relaxed) == 0 {
            self.in_header.store(true, Ordering::Relaxed);
        }
    }

    fn request_came(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_header.store(false, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }
}

/// One request, from the end of its header to the end of its reply's body.
struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket that tells when bytes come, where there is somebody to tell, and
/// that fails where the other end takes nothing for too long: such a client
/// would keep its place among the requests for ever.
pub(super) struct Socket<T> {
    inner: T,
    activity: Option<Arc<Activity>>,
    write_limit: Duration,
    /// Runs from when a write had to wait until one goes on.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> Socket<T> {
    pub(super) fn new(inner: T, activity: Option<Arc<Activity>>, write_limit: Duration) -> Self {
        Self { inner, activity, write_limit, stalled: None }
    }

    /// Passes the result of a write on, or ends the wait for it.
    fn watch<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.write_limit;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before
            && let Some(activity) = &self.activity
        {
            activity.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        // Without something to flush this is ready at once, and says nothing
        // of a write that waits.
        if flushed.is_ready() { flushed } else { self.watch(cx, flushed) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A service whose requests are counted and whose panics are answered.
pub(super) struct Watched<S> {
    pub(super) service: S,
    pub(super) activity: Arc<Activity>,
}

impl<S, B> Service<Request<Incoming>> for Watched<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<Reply<B>>;
    type Error = Infallible;
    type Future = Call<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.activity.request_came();
        // `None` where the service panics before there is a future.
        let future = catch_unwind(AssertUnwindSafe(|| self.service.call(request))).ok();
        Call { future, in_flight: Some(in_flight) }
    }
}

pin_project! {
    /// A request at work.
    pub(super) struct Call<F> {
        #[pin]
        future: Option<F>,
        in_flight: Option<InFlight>,
    }
}

impl<F, B> Future for Call<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<Reply<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // What the panic left behind is not looked at again: it is dropped.
        let polled = this.future.as_mut().as_pin_mut().map(|f| catch_unwind(AssertUnwindSafe(|| f.poll(cx))));
        let in_flight = this.in_flight;
        match polled {
            Some(Ok(Poll::Pending)) => Poll::Pending,
            Some(Ok(Poll::Ready(Ok(mut response)))) => {
                if let (Some(sequel), Some(in_flight)) = (response.extensions_mut().remove(), &in_flight) {
                    *in_flight.0.sequel.lock().unwrap_or_else(PoisonError::into_inner) = Some(sequel);
                }
                Poll::Ready(Ok(response.map(|b| Reply { body: Some(b), document: None, in_flight: in_flight.take() })))
            }
            Some(Err(_)) | None => {
                this.future.set(None);
                Poll::Ready(Ok(panicked(in_flight.take())))
            }
        }
    }
}

pin_project! {
    /// The body of a reply: the service's own, or the document that stands in
    /// for it after a panic.
    pub(super) struct Reply<B> {
        #[pin]
        body: Option<B>,
        document: Option<Bytes>,
        in_flight: Option<InFlight>,
    }
}

impl<B> Body for Reply<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        match this.body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(this.document.take().map(|d| Ok(Frame::data(d)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().map_or(self.document.is_none(), B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.body, &self.document) {
            (Some(body), _) => body.size_hint(),
            (None, Some(document)) => SizeHint::with_exact(document.len() as u64),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}

fn panicked<B>(in_flight: Option<InFlight>) -> Response<Reply<B>> {
    let problem =
        Problem::new(ProblemKind::InternalError, "The request was not completed. The log says where it failed.");
    let mut response = Response::new(Reply { body: None, document: Some(problem.to_json().into()), in_flight });
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE));
    response
}
