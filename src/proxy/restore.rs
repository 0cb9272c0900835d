//! Puts the values back into a reply: JSON documents as a whole, event streams
//! event by event, other text as it comes. What needs no restoring passes.

mod channel;
mod document;
mod events;
mod finder;
pub(super) mod headers;
mod messages;
mod pieces;
mod plain;

use super::body::lowercase;
use super::error::ProxyError;
use super::reply::ReplyError;
use super::watch::Watch;
use crate::framing::{Lines, Sse};
use crate::protocol::Protocol;
use crate::telemetry::Stage;
use crate::token::Kinds;
use crate::vault::{Subject, SurrogateMatcher};
use bytes::{Bytes, BytesMut};
use events::{EventRestorer, Framing};
use futures_util::Stream;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Frame};
use pieces::Escape;
use plain::PlainRestorer;
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// With so many bytes at hand a write does not wait for more of what has arrived.
const ENOUGH: usize = 16 * 1024;

/// What restoring a reply needs to know.
pub(super) struct Context {
    pub(super) subject: Subject,
    pub(super) kinds: Arc<Kinds>,
    /// Of the surrogates that may come back; none where there are none.
    pub(super) surrogates: Option<Arc<SurrogateMatcher>>,
    pub(super) protocol: Arc<Protocol>,
    pub(super) watch: Arc<Watch>,
}

/// How a reply is restored, by its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing that could hold a token in the clear.
    Opaque,
    Document,
    EventStream,
    JsonLines,
    Text(Escape),
}

impl Shape {
    pub(super) fn of_reply(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let content_type = text(header::CONTENT_TYPE).unwrap_or("text/plain");
        let (essence, _) = content_type.split_once(';').unwrap_or((content_type, ""));
        match &*lowercase(essence.trim()) {
            "text/event-stream" => Self::EventStream,
            "application/x-ndjson" | "application/jsonl" | "application/json-lines" => Self::JsonLines,
            "application/json" | "text/json" => Self::Document,
            "text/html" | "text/xml" | "application/xml" => Self::Text(Escape::Html),
            other if other.ends_with("+json") => Self::Document,
            other if other.ends_with("+xml") => Self::Text(Escape::Html),
            other if other.starts_with("text/") => Self::Text(Escape::None),
            _ => Self::Opaque,
        }
    }
}

/// Reads a whole JSON reply of at most `limit` bytes and restores it. A body
/// that is no JSON after all is restored as text.
pub(super) async fn document<B>(body: B, limit: usize, idle: Duration, context: &Context) -> Result<Bytes, ProxyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let body = read_whole(Limited::new(body, limit), idle).await.map_err(|error| match error {
        Some(error) if error.is::<LengthLimitError>() => ProxyError::reply_too_large(limit),
        Some(error) if matches!(error.downcast_ref(), Some(ReplyError::Undecodable)) => ProxyError::undecodable_reply(),
        Some(_) => ProxyError::upstream_broke_off(),
        None => ProxyError::upstream_timeout(),
    })?;
    let started = Instant::now();
    let restored = document::restore(body, context).await;
    context.watch.took(Stage::Restore, started.elapsed());
    Ok(restored)
}

/// Reads the body to its end. The error is none where no next piece came within
/// `idle`.
async fn read_whole<B>(mut body: Limited<B>, idle: Duration) -> Result<Bytes, Option<Box<dyn Error + Send + Sync>>>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = timeout(idle, body.frame()).await.map_err(|_| None)? {
        let Ok(data) = frame?.into_data() else { continue };
        if first.is_empty() && rest.is_empty() {
            // Often the whole body is one piece, and is not copied.
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Restores a reply as it streams. Each item is what one piece of the
/// upstream's reply lets go; nothing is read before it is asked for. No single
/// event may have more than `limit` bytes.
pub(super) fn stream<B>(
    body: B,
    shape: Shape,
    limit: usize,
    context: Context,
) -> impl Stream<Item = Result<Bytes, ReplyError>> + Send
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: Send,
    ReplyError: From<B::Error>,
{
    let restorer = match shape {
        Shape::Text(escape) => Restorer::Plain(PlainRestorer::new(escape, &context)),
        Shape::JsonLines => Restorer::Events(Box::new(EventRestorer::new(Framing::Lines(Lines::new(limit))))),
        _ => Restorer::Events(Box::new(EventRestorer::new(Framing::Sse(Sse::new(limit))))),
    };
    let state =
        Streaming { body, restorer, context, out: BytesMut::new(), ended: false, error: None, took: Duration::ZERO };
    futures_util::stream::unfold(state, |mut state| async { state.next().await.map(|item| (item, state)) })
}

enum Restorer {
    Events(Box<EventRestorer>),
    Plain(PlainRestorer),
}

struct Streaming<B> {
    body: B,
    restorer: Restorer,
    context: Context,
    out: BytesMut,
    ended: bool,
    /// What broke the reply off, once all before it is sent.
    error: Option<ReplyError>,
    took: Duration,
}

impl<B> Drop for Streaming<B> {
    fn drop(&mut self) {
        self.context.watch.took(Stage::Restore, self.took);
    }
}

impl<B> Streaming<B>
where
    B: Body<Data = Bytes> + Unpin,
    ReplyError: From<B::Error>,
{
    async fn next(&mut self) -> Option<Result<Bytes, ReplyError>> {
        while !self.ended {
            let frame = self.body.frame().await;
            let mut taken = self.take(frame).await;
            // What has arrived already goes out in one write with it.
            while taken.is_ok() && !self.ended && self.out.len() < ENOUGH {
                let Poll::Ready(frame) = self.arrived().await else { break };
                taken = self.take(frame).await;
            }
            if let Err(error) = taken {
                self.ended = true;
                self.error = Some(error);
            }
            if !self.out.is_empty() {
                return Some(Ok(self.out.split().freeze()));
            }
        }
        self.error.take().map(Err)
    }

    /// The next frame, if it is there. The task that reads from the upstream
    /// hands over one frame at a time, so it gets a turn to do so. (hyper asks
    /// a body up to three times in one turn of its own.)
    async fn arrived(&mut self) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut asked = 0;
        poll_fn(|cx| match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending if asked < 3 => {
                asked += 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        })
        .await
    }

    /// Restores a frame of the upstream's reply; none is its end.
    async fn take(&mut self, frame: Option<Result<Frame<Bytes>, B::Error>>) -> Result<(), ReplyError> {
        let chunk = match frame.transpose()?.map(Frame::into_data) {
            Some(Ok(chunk)) => Some(chunk),
            // Trailers do not travel.
            Some(Err(_)) => return Ok(()),
            None => None,
        };
        let started = Instant::now();
        match (&mut self.restorer, chunk) {
            (Restorer::Events(events), Some(chunk)) => events.push(chunk, &self.context, &mut self.out).await?,
            (Restorer::Plain(plain), Some(chunk)) => plain.push(&chunk, &self.context, &mut self.out).await,
            (restorer, None) => {
                self.ended = true;
                match restorer {
                    Restorer::Events(events) => events.finish(&self.context, &mut self.out).await,
                    Restorer::Plain(plain) => plain.finish(&self.context, &mut self.out).await,
                }
            }
        }
        self.took += started.elapsed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_headers_say_how_to_restore() {
        let of = |content_type: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = content_type {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            }
            Shape::of_reply(&headers)
        };
        assert_eq!(of(Some("text/event-stream; charset=utf-8")), Shape::EventStream);
        assert_eq!(of(Some("application/json")), Shape::Document);
        assert_eq!(of(Some("application/problem+json")), Shape::Document);
        assert_eq!(of(Some("text/html")), Shape::Text(Escape::Html));
        assert_eq!(of(Some("text/markdown")), Shape::Text(Escape::None));
        assert_eq!(of(Some("image/png")), Shape::Opaque);
        assert_eq!(of(None), Shape::Text(Escape::None));
    }
}
