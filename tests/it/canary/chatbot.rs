//! A chatbot that keeps every byte that comes over its sockets, and can behave
//! badly.

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// By this header of the request the client says what the chatbot shall do.
pub(crate) const PLAY: &str = "x-play";

type Bytestream = Arc<Mutex<Vec<u8>>>;

/// A running chatbot.
pub(crate) struct Chatbot {
    address: SocketAddr,
    sockets: Arc<Mutex<Vec<Bytestream>>>,
}

impl Chatbot {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let chatbot = Self { address: listener.local_addr().unwrap(), sockets: Arc::default() };
        let sockets = Arc::clone(&chatbot.sockets);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let heard = Bytestream::default();
                sockets.lock().unwrap().push(Arc::clone(&heard));
                let socket = TokioIo::new(Tapped { socket, heard });
                // It breaks off by itself in some plays.
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(socket, service_fn(play)));
            }
        });
        chatbot
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it was ever sent, one connection after another.
    pub(crate) fn heard(&self) -> Vec<u8> {
        let sockets = self.sockets.lock().unwrap();
        sockets.iter().flat_map(|heard| heard.lock().unwrap().clone()).collect()
    }
}

type Piece = Result<Frame<Bytes>, io::Error>;
type Reply = Response<Pin<Box<dyn Body<Data = Bytes, Error = io::Error> + Send>>>;

async fn play(request: Request<Incoming>) -> Result<Reply, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let play = head.headers.get(PLAY).map_or("", |play| play.to_str().unwrap());
    let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
    Ok(match play {
        "break off" => return Err(broken()),
        "break off in the reply" => {
            let mut pieces = pieces_of(&said(&body));
            pieces.truncate(3);
            reply(200, "text/event-stream", pieces, Duration::ZERO, Some(broken()))
        }
        "body" => {
            let content_type = head.headers["content-type"].to_str().unwrap();
            reply(200, content_type, vec![body], Duration::ZERO, None)
        }
        "body as text" => reply(200, "text/plain", vec![body], Duration::ZERO, None),
        "head" => {
            let said = format!("{} {:?}\n", head.uri, head.headers);
            reply(200, "text/plain", vec![said.into()], Duration::ZERO, None)
        }
        "refuse" => {
            let error = json!({"error": {"message": format!("cannot parse: {}", said(&body)), "type": "invalid_request_error"}});
            reply(400, "application/json", vec![error.to_string().into()], Duration::ZERO, None)
        }
        "fail" => {
            let trace = format!("Traceback: in handle({:?})\n", said(&body));
            reply(500, "text/plain; charset=utf-8", vec![trace.into()], Duration::ZERO, None)
        }
        "call a tool" => {
            let message = json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "save", "arguments": arguments(&body)}}]});
            reply(
                200,
                "application/json",
                vec![choice(&json!({"message": message})).to_string().into()],
                Duration::ZERO,
                None,
            )
        }
        "stream" | "stream slowly" => {
            let pause = Duration::from_millis(if play == "stream" { 0 } else { 40 });
            reply(200, "text/event-stream", pieces_of(&said(&body)), pause, None)
        }
        _ => {
            let answer = choice(&json!({"message": {"role": "assistant", "content": said(&body)}}));
            reply(200, "application/json", vec![answer.to_string().into()], Duration::ZERO, None)
        }
    })
}

/// What the user said last.
fn said(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["messages"].as_array().and_then(|all| all.last()).unwrap()["content"].as_str().unwrap().to_owned()
}

/// The arguments of the tool call in the history.
fn arguments(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    let messages = body["messages"].as_array().unwrap();
    let mut calls = messages.iter().filter_map(|message| message["tool_calls"][0]["function"]["arguments"].as_str());
    calls.next_back().unwrap().to_owned()
}

fn choice(choice: &Value) -> Value {
    let mut whole = json!({"index": 0, "finish_reason": "stop"});
    whole.as_object_mut().unwrap().extend(choice.as_object().unwrap().clone());
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_767_225_600, "model": "mock", "choices": [whole]})
}

/// The events of a streamed reply: three letters each, so that every token is cut.
fn pieces_of(text: &str) -> Vec<Bytes> {
    let letters: Vec<char> = text.chars().collect();
    let event = |delta: Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        Bytes::from(format!(
            "data: {}\n\n",
            json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]})
        ))
    };
    let mut events: Vec<Bytes> =
        letters.chunks(3).map(|piece| event(json!({"content": String::from_iter(piece)}), None)).collect();
    events.push(event(json!({}), Some("stop")));
    events.push("data: [DONE]\n\n".into());
    events
}

fn reply(status: u16, content_type: &str, pieces: Vec<Bytes>, pause: Duration, end: Option<io::Error>) -> Reply {
    let pieces = pieces.into_iter().map(|piece| Ok(Frame::data(piece))).chain(end.map(Err));
    let body = StreamBody::new(stream::unfold(pieces, move |mut pieces| async move {
        let piece: Piece = pieces.next()?;
        tokio::time::sleep(pause).await;
        Some((piece, pieces))
    }));
    let response = Response::builder().status(status).header("content-type", content_type);
    response.body(Box::pin(body) as Pin<Box<_>>).unwrap()
}

/// A socket whose incoming bytes are kept.
struct Tapped {
    socket: TcpStream,
    heard: Bytestream,
}

impl AsyncRead for Tapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.socket).poll_read(cx, buf));
        self.heard.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
