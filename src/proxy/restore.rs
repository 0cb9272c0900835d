//! Puts the values back into a reply: JSON documents as a whole, event streams
//! event by event, other text as it comes. What needs no restoring passes.

mod channel;
mod declared;
mod document;
mod edits;
mod escape;
mod events;
mod finder;
mod foreign;
mod framing;
pub(super) mod headers;
mod messages;
mod offsets;
mod pieces;
mod plain;
mod screen;
mod sniff;
mod walk;

use super::body::lowercase;
use super::charset::Charset;
use super::error::ProxyError;
use super::exchange::INLINE_LIMIT;
use super::packets;
use super::parameters;
use super::reply::ReplyError;
use super::watch::Watch;
use crate::audit;
use crate::entity::Entity;
use crate::framing::{Elements, Lines, Sse, TooLong};
use crate::protocol::{MessageFraming, Protocol};
use crate::telemetry::Stage;
use crate::token::{Kinds, Token};
use crate::transcripts::Draft;
use crate::vault::{Subject, SurrogateMatcher, Value};
use bytes::{Bytes, BytesMut};
pub(super) use document::restore as whole_document;
use escape::Escape;
use events::EventRestorer;
use framing::Framing;
use futures_util::Stream;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Frame};
pub(super) use messages::Messages;
use plain::PlainRestorer;
pub(super) use screen::Redaction;
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::task::yield_now;
use tokio::time::{timeout, timeout_at};

/// A silence in which it shows that what was said last is all that is said for
/// now: a chatbot may send its messages over one stream that never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pause {
    /// A text that came in pieces may well go on.
    Breath,
    /// It likely does not.
    Silence,
}

impl Pause {
    /// So long after the last text.
    pub(super) fn after(self) -> Duration {
        Duration::from_secs(if self == Self::Breath { 2 } else { 6 })
    }

    /// The one that comes next in the same silence.
    pub(super) fn next(self) -> Option<Self> {
        (self == Self::Breath).then_some(Self::Silence)
    }
}

/// What is seen and heard, and not read.
const MEDIA: [&str; 4] = ["image/", "audio/", "video/", "font/"];

/// Where the clock cannot count so far.
const FOREVER: Duration = Duration::from_hours(365 * 24);

/// With so many bytes at hand a write does not wait for more of what has arrived.
const ENOUGH: usize = 16 * 1024;

/// What restoring a reply needs to know.
pub(super) struct Context {
    /// Whose tokens come back; none where nothing does.
    pub(super) subject: Option<Subject>,
    pub(super) kinds: Arc<Kinds>,
    /// Of the surrogates that may come back; none where there are none.
    pub(super) surrogates: Option<Arc<SurrogateMatcher>>,
    pub(super) protocol: Arc<Protocol>,
    pub(super) watch: Arc<Watch>,
    /// By what data of others is found; none where it passes.
    pub(super) redaction: Option<Arc<Redaction>>,
    /// The line of the access log, which tells what came back.
    pub(super) line: Option<Arc<audit::Exchange>>,
    /// The transcript that is in the making; none where none is kept.
    pub(super) transcript: Option<Arc<Draft>>,
    /// That of the reply; none where nobody knows it.
    pub(super) charset: Option<Charset>,
    /// Whether a text may say itself what its charset is, as the headers do not.
    pub(super) declares: bool,
}

impl Context {
    /// Counts a value that was put back.
    fn restored(&self, entity: Entity) {
        self.watch.restored(entity);
        if let Some(line) = &self.line {
            line.restored(entity);
        }
    }

    /// Waits until the access log tells of what was put back so far.
    async fn shown(&self) -> Result<(), ReplyError> {
        match &self.line {
            Some(line) => line.shown().await.map_err(|_| ReplyError::Unrecorded),
            None => Ok(()),
        }
    }

    /// The value of a token where it is at hand.
    fn cached(&self, token: &Token) -> Option<Value> {
        self.subject.as_ref().and_then(|subject| subject.cached(token))
    }

    /// Whether data of others is looked for also in what is no valid text.
    fn screens_binary(&self) -> bool {
        self.redaction.as_ref().is_some_and(|redaction| !redaction.passes_binary)
    }

    /// So many bytes has the shortest string in which anything can be found.
    fn shortest(&self) -> usize {
        let tokens_alone = self.surrogates.is_none() && self.redaction.is_none() && self.transcript.is_none();
        let of_tokens = if tokens_alone { self.kinds.shortest() } else { 1 };
        of_tokens.max(1)
    }

    /// Whether there is nothing that could come back.
    fn is_idle(&self) -> bool {
        self.kinds.is_empty() && self.surrogates.is_none()
    }
}

/// How a reply is restored, by its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing that could hold a token in the clear.
    Opaque,
    /// Of a type that says nothing of texts, though there may be some in it.
    Unknown,
    Document,
    EventStream,
    JsonLines,
    /// A JSON array that comes element by element.
    Elements,
    Text(Escape),
    /// The headers do not say.
    Unsaid,
}

impl Shape {
    /// Whether it may be one document, for all that the headers say.
    pub(super) fn may_be_document(self) -> bool {
        matches!(self, Self::Document | Self::Unsaid | Self::Text(Escape::None))
    }

    /// What a whole body is of which the headers say this.
    pub(super) fn of_whole(self, body: &[u8]) -> Self {
        match sniff::shape(body) {
            Some(Self::Document) if self.may_be_document() => Self::Document,
            _ => self,
        }
    }

    /// Whether it can be told apart piece by piece in this charset. Texts can in
    /// each, and an event stream has but one (HTML Standard, section 9.2.4).
    pub(super) fn streams_in(self, charset: Option<Charset>) -> bool {
        matches!(self, Self::Text(_) | Self::EventStream) || matches!(charset, None | Some(Charset::Utf8))
    }

    pub(super) fn of_reply(headers: &HeaderMap, framing: Option<MessageFraming>) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(content_type) = text(header::CONTENT_TYPE) else { return Self::Unsaid };
        let (essence, _) = content_type.split_once(';').unwrap_or((content_type, ""));
        match &*lowercase(essence.trim()) {
            "text/event-stream" => Self::EventStream,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/json-lines"
            | "application/jsonlines"
            | "application/x-jsonlines"
            | "application/json-seq"
            | "application/x-json-stream"
            | "application/stream+json"
            | "text/jsonl"
            | "text/json-lines" => Self::JsonLines,
            "application/json" | "application/x-json" | "text/json" | "text/x-json" => Self::Document,
            "application/x-www-form-urlencoded" => Self::Text(Escape::Form),
            "text/html" => Self::Text(Escape::Html),
            "text/xml" | "application/xml" => Self::Text(Escape::Xml),
            other if other.ends_with("+json") => Self::Document,
            other if other.ends_with("+xml") => Self::Text(Escape::Xml),
            // The answer to a poll is short, and made of documents.
            "text/plain" if framing.is_some() => Self::Document,
            other if other.starts_with("text/") => Self::Text(Escape::None),
            other if MEDIA.iter().any(|media| other.starts_with(media)) => Self::Opaque,
            _ => Self::Unknown,
        }
    }
}

/// The charset that the headers of a reply name; none where nobody knows it.
pub(super) fn charset(headers: &HeaderMap) -> Option<Charset> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let parameters = parameters::parse(content_type).map(|(_, parameters)| parameters).unwrap_or_default();
    let named = parameters.iter().find(|parameter| parameter.is("charset"));
    named.map_or(Some(Charset::Utf8), |parameter| Charset::named(&parameter.value()))
}

/// Whether the headers of a reply leave it to the text to say its charset.
pub(super) fn declares(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    parameters::parse(content_type).is_none_or(|(_, parameters)| !parameters.iter().any(|one| one.is("charset")))
}

/// Reads a whole reply of at most `limit` bytes.
pub(super) async fn read<B>(body: B, limit: usize, idle: Duration) -> Result<Bytes, ProxyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    read_whole(Limited::new(body, limit), idle).await.map_err(|error| match error {
        Some(error) if error.is::<LengthLimitError>() => ProxyError::reply_too_large(limit),
        Some(error) if matches!(error.downcast_ref(), Some(ReplyError::Undecodable)) => ProxyError::undecodable_reply(),
        Some(_) => ProxyError::upstream_broke_off(),
        None => ProxyError::upstream_timeout(),
    })
}

/// Restores a reply that is whole. What is large is restored on a thread where
/// it delays nobody.
pub(super) async fn whole_reply(body: Bytes, shape: Shape, context: Context) -> Result<Bytes, ProxyError> {
    if body.len() <= INLINE_LIMIT {
        return Ok(whole(body, shape, &context).await);
    }
    let runtime = tokio::runtime::Handle::current();
    let restored = tokio::task::spawn_blocking(move || runtime.block_on(whole(body, shape, &context)));
    restored.await.map_err(|_| ProxyError::internal())
}

/// Restores what is whole: a JSON document, the packets of a protocol that has
/// such, or what else it is by its headers.
pub(super) async fn whole(body: Bytes, shape: Shape, context: &Context) -> Bytes {
    let started = Instant::now();
    let restored = match (context.protocol.socket.framing, in_utf8(&body, shape, context.charset)) {
        (Some(MessageFraming::SocketIo), _) => Box::pin(packets::restore(body, context)).await,
        (None, None) => parsed(body, shape, context).await,
        (None, Some((charset, text))) => {
            let restored = parsed(text.into(), shape, context).await;
            let encoded = str::from_utf8(&restored).ok().and_then(|text| foreign::encode(charset, text, Escape::Json));
            encoded.map_or(body, Bytes::from)
        }
    };
    context.watch.took(Stage::Restore, started.elapsed());
    restored
}

/// The text of a body of JSON in another charset than UTF-8, and that charset.
fn in_utf8(body: &[u8], shape: Shape, charset: Option<Charset>) -> Option<(Charset, String)> {
    if matches!(shape, Shape::Text(_) | Shape::EventStream) {
        return None;
    }
    let charset = charset?.of_json(body).filter(|charset| *charset != Charset::Utf8)?;
    Some((charset, charset.decode(body)?))
}

async fn parsed(body: Bytes, shape: Shape, context: &Context) -> Bytes {
    if shape == Shape::Document {
        return document::restore(body, context).await;
    }
    let other = async {
        let (mut restorer, mut out) = (Restorer::new(shape, usize::MAX, context), BytesMut::new());
        // No part of it is longer than itself, and it has a limit.
        if restorer.push(body, usize::MAX, context, &mut out).await.is_ok() {
            restorer.finish(context, &mut out).await;
        }
        out.freeze()
    };
    // Boxed, or documents would have the size of that.
    Box::pin(other).await
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
/// event may have more than `limit` bytes. Where nothing comes for as long as
/// `idle` it breaks off.
pub(super) fn stream<B>(
    body: B,
    shape: Shape,
    limit: usize,
    idle: Duration,
    context: Context,
) -> impl Stream<Item = Result<Bytes, ReplyError>> + Send
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: Send,
    ReplyError: From<B::Error>,
{
    let restorer = Restorer::new(shape, limit, &context);
    let (out, took) = (BytesMut::new(), Duration::ZERO);
    let clock = Clock { idle, input: Instant::now(), text: Instant::now(), heard: 0, pause: Some(Pause::Breath) };
    let state = Streaming { body, restorer, limit, clock, context, out, ended: false, error: None, took };
    futures_util::stream::unfold(state, |mut state| async { state.next().await.map(|item| (item, state)) })
}

enum Restorer {
    Events(Box<EventRestorer>),
    Plain(Box<PlainRestorer>),
    /// A document, as far as it has come.
    Document(BytesMut),
    /// What has come, as long as it does not say what it is.
    Unsaid(BytesMut),
    /// An event stream of which nothing has come.
    Unbegun,
}

impl Restorer {
    fn new(shape: Shape, limit: usize, context: &Context) -> Self {
        let framing = match shape {
            Shape::Text(escape) => return Self::Plain(Box::new(PlainRestorer::new(escape, context))),
            Shape::Document => return Self::Document(BytesMut::new()),
            Shape::Unsaid | Shape::Unknown | Shape::Opaque => return Self::Unsaid(BytesMut::new()),
            Shape::JsonLines => Framing::Lines(Lines::new(limit)),
            Shape::Elements => Framing::Elements(Elements::new(limit)),
            Shape::EventStream => return Self::Unbegun,
        };
        Self::Events(Box::new(EventRestorer::new(framing)))
    }

    /// What is called an event stream and begins so. Some servers (Rasa, for
    /// one) call lines of JSON by that name; no line of an event stream is one.
    fn begun(start: &[u8], limit: usize) -> Self {
        let are_lines = start.starts_with(b"{");
        let framing = if are_lines { Framing::Lines(Lines::new(limit)) } else { Framing::Sse(Sse::new(limit)) };
        Self::Events(Box::new(EventRestorer::new(framing)))
    }

    async fn push(
        &mut self,
        chunk: Bytes,
        limit: usize,
        context: &Context,
        out: &mut BytesMut,
    ) -> Result<(), ReplyError> {
        let mut chunk = chunk;
        if let Self::Unsaid(start) = self {
            start.extend_from_slice(&chunk);
            let Some(shape) = sniff::shape(start) else { return Ok(()) };
            chunk = start.split().freeze();
            *self = Self::new(shape, limit, context);
        }
        if matches!(self, Self::Unbegun) && !chunk.is_empty() {
            *self = Self::begun(&chunk, limit);
        }
        match self {
            Self::Unbegun => {}
            Self::Events(events) => events.push(chunk, context, out).await?,
            Self::Plain(plain) => plain.push(&chunk, context, out).await,
            Self::Document(document) if document.len() + chunk.len() > limit => Err(TooLong { limit })?,
            Self::Document(document) | Self::Unsaid(document) => document.extend_from_slice(&chunk),
        }
        Ok(())
    }

    /// Counts what has come of texts: what keeps a connection alive says nothing.
    fn heard(&self) -> u64 {
        match self {
            Self::Events(events) => events.heard,
            Self::Plain(plain) => plain.heard,
            Self::Document(_) | Self::Unsaid(_) | Self::Unbegun => 0,
        }
    }

    /// Whether a pause may let something go.
    fn is_waiting(&self) -> bool {
        match self {
            Self::Events(events) => events.is_waiting(),
            Self::Plain(_) => true,
            Self::Document(_) | Self::Unsaid(_) | Self::Unbegun => false,
        }
    }

    /// It may be long until something follows: what is likely whole is not held.
    async fn pause(&mut self, pause: Pause, context: &Context, out: &mut BytesMut) {
        match self {
            Self::Events(events) => events.pause(pause, context, out).await,
            Self::Plain(plain) => plain.pause(pause, context, out).await,
            Self::Document(_) | Self::Unsaid(_) | Self::Unbegun => {}
        }
    }

    /// What follows will never come. What was said before is the client's, but
    /// for what may be half of somebody else's value, or half of a document.
    async fn break_off(&mut self, context: &Context, out: &mut BytesMut) {
        match self {
            Self::Document(_) | Self::Unsaid(_) if context.redaction.is_some() => {}
            _ if context.redaction.is_some() => self.pause(Pause::Breath, context, out).await,
            _ => self.finish(context, out).await,
        }
    }

    async fn finish(&mut self, context: &Context, out: &mut BytesMut) {
        match self {
            Self::Events(events) => events.finish(context, out).await,
            Self::Plain(plain) => plain.finish(context, out).await,
            Self::Unbegun => {}
            Self::Document(document) | Self::Unsaid(document) => {
                out.extend_from_slice(&document::restore(document.split().freeze(), context).await);
            }
        }
    }
}

struct Streaming<B> {
    body: B,
    restorer: Restorer,
    limit: usize,
    clock: Clock,
    context: Context,
    out: BytesMut,
    ended: bool,
    /// What broke the reply off, once all before it is sent.
    error: Option<ReplyError>,
    took: Duration,
}

/// When the upstream was last heard.
struct Clock {
    /// So long it may be silent.
    idle: Duration,
    /// Anything at all.
    input: Instant,
    /// Text, of which so much has come.
    text: Instant,
    heard: u64,
    /// What is to come of the silence since.
    pause: Option<Pause>,
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
        // Who was not asked was not silent.
        self.clock.input = Instant::now();
        while !self.ended {
            let silent = self.clock.input.checked_add(self.clock.idle).unwrap_or(self.clock.input + FOREVER);
            let pause = self.clock.pause.filter(|_| self.restorer.is_waiting());
            let until = pause.map_or(silent, |pause| silent.min(self.clock.text + pause.after()));
            let mut taken = match timeout_at(until.into(), self.body.frame()).await {
                Ok(frame) => self.take(frame).await,
                Err(_) if until == silent => Err(ReplyError::Silent),
                Err(_) => {
                    if let Some(pause) = pause {
                        self.clock.pause = pause.next();
                        self.restorer.pause(pause, &self.context, &mut self.out).await;
                    }
                    Ok(())
                }
            };
            // What has arrived already goes out in one write with it.
            while taken.is_ok() && !self.ended && self.out.len() < ENOUGH {
                let Poll::Ready(frame) = self.arrived().await else { break };
                taken = self.take(frame).await;
            }
            if let Err(error) = taken {
                self.ended = true;
                // Half of a document that is too large helps nobody.
                if !matches!((&error, &self.restorer), (ReplyError::TooLong(_), Restorer::Document(_))) {
                    self.restorer.break_off(&self.context, &mut self.out).await;
                }
                self.error = Some(error);
            }
            if !self.out.is_empty() {
                if let Err(error) = self.context.shown().await {
                    self.ended = true;
                    self.error = None;
                    return Some(Err(error));
                }
                return Some(Ok(self.out.split().freeze()));
            }
        }
        let error = self.error.take()?;
        // Bytes that hyper has not written by now would be lost with the connection.
        yield_now().await;
        Some(Err(error))
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
        self.clock.input = started;
        if let Some(chunk) = chunk {
            self.restorer.push(chunk, self.limit, &self.context, &mut self.out).await?;
            let heard = self.restorer.heard();
            if heard != self.clock.heard {
                self.clock = Clock { text: started, heard, pause: Some(Pause::Breath), ..self.clock };
            }
        } else {
            self.ended = true;
            self.restorer.finish(&self.context, &mut self.out).await;
        }
        self.took += started.elapsed();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
