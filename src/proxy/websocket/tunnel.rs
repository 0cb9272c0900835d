//! The two connections of a WebSocket and the messages between them: one pump
//! for each direction, which has one message in hand, so that a side that does
//! not read is not read from either.

use super::close::{self, Ending};
use super::conversation::{Conversation, Replies};
use crate::proxy::error::ProxyError;
use crate::proxy::reply::Settle;
use crate::proxy::restore::Pause;
use crate::server::Shutdown;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

/// How long a side may take to answer that it closes.
const FAREWELL: Duration = Duration::from_secs(5);

/// Idle sockets are many, so each has a small buffer.
const READ_BUFFER: usize = 8 * 1024;

/// Both connections, on which HTTP is about to end.
pub(super) struct Tunnel {
    pub(super) client: OnUpgrade,
    pub(super) upstream: OnUpgrade,
    pub(super) conversation: Conversation,
    pub(super) settle: Settle,
}

impl Tunnel {
    /// Passes messages until a side closes, something fails, or a drain begins.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let Self { client, upstream, conversation, mut settle } = self;
        // Without both of them there is nobody to tell.
        let (Ok(client), Ok(upstream)) = (client.await, upstream.await) else { return };
        let limit = conversation.gateway.config.limits.socket_message;
        let timeouts = &conversation.gateway.config.timeouts;
        let client = Side::new(client, Role::Server, limit, timeouts.write).await;
        let upstream = Side::new(upstream, Role::Client, limit, timeouts.write).await;
        let silent = CancellationToken::new();
        let over = Over { shutdown: &shutdown, silent: &silent };
        let ending = tokio::select! {
            biased;
            // Whose consent is gone gets nothing more, not even what is in hand.
            () = conversation.withdrawn.cancelled() => Ending::withdrawn(),
            ending = requests(&client, &upstream, &conversation, limit) => ending,
            ending = replies(&upstream, &client, &conversation, &over) => ending,
            () = client.silent(timeouts.socket_idle) => Ending::client_silent(),
            () = async {
                upstream.silent(timeouts.socket_idle).await;
                silent.cancel();
                sleep(FAREWELL).await;
            } => Ending::upstream_silent(),
        };
        settle.replaced(conversation.replaced());
        if let Some(outcome) = ending.outcome {
            settle.outcome(outcome);
        }
        if let Some(problem) = ending.problem {
            conversation.gateway.watch.metrics.rejected(problem);
        }
        // What is left needs no consent and no tokens.
        drop(conversation);
        tokio::join!(client.close(ending.to_client), upstream.close(ending.to_upstream));
        settle.complete();
    }
}

/// Tells a client whose handshake was refused why.
pub(super) async fn close_at_once(client: OnUpgrade, ending: Ending, settle: Settle) {
    let Ok(client) = client.await else { return };
    // Nothing that it says is wanted.
    let client = Side::new(client, Role::Server, READ_BUFFER, FAREWELL).await;
    client.close(ending.to_client).await;
    settle.complete();
}

/// From the client to the chatbot, each message as the vault has it stand in.
async fn requests(client: &Side, upstream: &Side, conversation: &Conversation, limit: usize) -> Ending {
    loop {
        let message = match client.next().await {
            Ok(message) => message,
            Err(error) => return Ending::client_failed(&error, limit),
        };
        let concealed = match message {
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            Message::Close(frame) => {
                let reason = frame.as_ref().map(|frame| Bytes::from(frame.reason.clone()));
                let Ok(reason) = conversation.conceal(reason.unwrap_or_default()).await else {
                    return Ending::told(without_reason(frame));
                };
                return Ending { to_upstream: with_reason(frame.clone(), &reason), ..Ending::told(frame) };
            }
            Message::Text(text) => conversation.conceal(text.into()).await.and_then(as_text),
            Message::Binary(bytes) => conversation.conceal(bytes).await.map(Message::Binary),
        };
        match concealed {
            Ok(message) => match upstream.send(message).await {
                Ok(()) => {}
                Err(Unsent::Slow) => return Ending::upstream_silent(),
                // Why it takes no more is heard where it is read.
                Err(Unsent::Gone) => std::future::pending().await,
            },
            Err(refusal) => return Ending::refused(&refusal),
        }
    }
}

/// What ends the replies though neither side has closed.
struct Over<'t> {
    shutdown: &'t Shutdown,
    /// The chatbot gives no sign of life.
    silent: &'t CancellationToken,
}

impl Over<'_> {
    async fn ending(&self) -> Ending {
        tokio::select! {
            () = self.shutdown.triggered() => Ending::draining(),
            () = self.silent.cancelled() => Ending::upstream_silent(),
        }
    }
}

/// From the chatbot to the client, each message with its values back in place.
/// What is in hand when it ends is the client's.
async fn replies(upstream: &Side, client: &Side, conversation: &Conversation, over: &Over<'_>) -> Ending {
    let mut replies = Replies::new(conversation);
    // When text was last heard, and what is to come of the silence since. Pings say nothing.
    let mut quiet: Option<(Instant, Pause)> = None;
    loop {
        let paused = async {
            match quiet {
                Some((heard, pause)) => {
                    sleep_until(heard + pause.after()).await;
                    pause
                }
                None => std::future::pending().await,
            }
        };
        let next = tokio::select! {
            biased;
            ending = over.ending() => {
                // Whether the client takes it makes no difference any more.
                let _ = pass(replies.break_off().await, true, client, conversation).await;
                return ending;
            }
            next = upstream.next() => next,
            pause = paused => {
                quiet = quiet.and_then(|(heard, _)| Some((heard, pause.next()?)));
                match pass(replies.pause(pause).await, true, client, conversation).await {
                    Ok(()) => continue,
                    Err(ending) => return ending,
                }
            }
        };
        let message = match next {
            Ok(message) => message,
            Err(error) => {
                let _ = pass(replies.break_off().await, true, client, conversation).await;
                return Ending::upstream_failed(&error);
            }
        };
        let (bytes, is_text) = match message {
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            Message::Close(frame) => {
                let held = replies.finish().await;
                let _ = pass(held, true, client, conversation).await;
                let reason = frame.as_ref().map(|frame| Bytes::from(frame.reason.clone()));
                let reason = Replies::new(conversation).reveal(reason.unwrap_or_default()).await;
                let reason = reason.unwrap_or_default().pop().unwrap_or_default();
                if let Err(refusal) = conversation.shown().await {
                    return Ending::refused(&refusal);
                }
                return Ending { to_client: with_reason(frame.clone(), &reason), ..Ending::told(frame) };
            }
            Message::Text(text) => (text.into(), true),
            Message::Binary(bytes) => (bytes, false),
        };
        let before = replies.heard();
        let revealed = replies.reveal(bytes).await;
        if replies.heard() != before {
            quiet = Some((Instant::now(), Pause::Breath));
        }
        let passed = match revealed {
            Ok(revealed) => pass(revealed, is_text, client, conversation).await,
            Err(refusal) => Err(Ending::refused(&refusal)),
        };
        if let Err(ending) = passed {
            return ending;
        }
    }
}

async fn pass(messages: Vec<Bytes>, is_text: bool, client: &Side, conversation: &Conversation) -> Result<(), Ending> {
    conversation.shown().await.map_err(|refusal| Ending::refused(&refusal))?;
    for bytes in messages {
        let message = if is_text { as_text(bytes).map_err(|e| Ending::refused(&e))? } else { Message::Binary(bytes) };
        match client.send(message).await {
            Ok(()) => {}
            Err(Unsent::Slow) => return Err(Ending::client_silent()),
            // That it has gone is noticed where it is read.
            Err(Unsent::Gone) => std::future::pending().await,
        }
    }
    Ok(())
}

/// What was text stays text: only whole characters are replaced.
fn as_text(bytes: Bytes) -> Result<Message, ProxyError> {
    Utf8Bytes::try_from(bytes).map(Message::Text).map_err(|_| ProxyError::internal())
}

fn with_reason(frame: Option<CloseFrame>, text: &[u8]) -> Option<CloseFrame> {
    let reason = close::reason(std::str::from_utf8(text).unwrap_or_default());
    frame.map(|frame| CloseFrame { reason: reason.into(), ..frame })
}

fn without_reason(frame: Option<CloseFrame>) -> Option<CloseFrame> {
    with_reason(frame, b"")
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// One of the two connections. Both pumps have to do with it: one reads, the
/// other writes.
struct Side {
    reader: Mutex<SplitStream<Socket>>,
    writer: Mutex<SplitSink<Socket, Message>>,
    /// When something of it was last read.
    heard: StdMutex<Instant>,
    /// For it to take a message.
    write: Duration,
}

/// Why a message was not taken.
enum Unsent {
    Slow,
    Gone,
}

impl Side {
    async fn new(connection: Upgraded, role: Role, limit: usize, write: Duration) -> Self {
        // One message at a time is written, so what waits to be needs no bound
        // of its own.
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), role, Some(config)).await;
        let (writer, reader) = socket.split();
        let (reader, writer) = (Mutex::new(reader), Mutex::new(writer));
        Self { reader, writer, heard: StdMutex::new(Instant::now()), write }
    }

    async fn next(&self) -> Result<Message, Error> {
        let message = self.reader.lock().await.next().await.unwrap_or(Err(Error::ConnectionClosed))?;
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if message.is_ping() {
            // The answer is on its way before another is asked for: who pings
            // and does not read would fill the memory with answers.
            let answering = async { self.writer.lock().await.flush().await };
            let _ = timeout(self.write, answering).await;
        }
        Ok(message)
    }

    async fn send(&self, message: Message) -> Result<(), Unsent> {
        let sending = async { self.writer.lock().await.send(message).await };
        match timeout(self.write, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Unsent::Gone),
            Err(_) => Err(Unsent::Slow),
        }
    }

    /// Waits until it has given no sign of life for so long, though it was
    /// asked for one at half of the time.
    async fn silent(&self, limit: Duration) {
        loop {
            let heard = self.heard();
            sleep_until(heard + limit / 2).await;
            if self.heard() > heard {
                continue;
            }
            // Where it cannot be asked it has no excuse.
            let _ = self.send(Message::Ping(Bytes::new())).await;
            sleep_until(heard + limit).await;
            if self.heard() == heard {
                return;
            }
        }
    }

    fn heard(&self) -> Instant {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that this is the end, or answers that it is, and waits for the
    /// other side to have understood.
    async fn close(self, frame: Option<CloseFrame>) {
        let (mut reader, mut writer) = (self.reader.into_inner(), self.writer.into_inner());
        let farewell = async {
            // Also where it has closed first: then its own frame is answered.
            let _ = writer.send(Message::Close(frame)).await;
            while let Some(message) = reader.next().await {
                if message.is_err() {
                    break;
                }
            }
            // Were there bytes left to read, closing now would take back what
            // was just said.
            let Ok(socket) = reader.reunite(writer) else { return };
            let mut connection = socket.into_inner();
            if poll_fn(|cx| Pin::new(&mut connection).poll_shutdown(cx)).await.is_ok() {
                let _ = tokio::io::copy(&mut connection, &mut tokio::io::sink()).await;
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}
