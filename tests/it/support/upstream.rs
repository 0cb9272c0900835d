//! A chatbot for tests: it records each request, and answers as it is told,
//! piece by piece.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// A request as the chatbot received it.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: Method,
    pub version: Version,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Recorded {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The content of the last message.
    pub fn said(&self) -> String {
        self.json()["messages"].as_array().and_then(|all| all.last()).unwrap()["content"].as_str().unwrap().to_owned()
    }

    /// Everything in one piece, for searching.
    pub fn everything(&self) -> Vec<u8> {
        let head = format!("{} {}\n{:?}\n", self.method, self.target, self.headers);
        [head.as_bytes(), &self.body].concat()
    }
}

/// What the chatbot answers.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Bytes>,
    pause: Duration,
    gate: Option<Arc<Semaphore>>,
}

impl Answer {
    /// An empty type is not sent.
    pub fn new(content_type: &'static str, pieces: Vec<Bytes>) -> Self {
        Self { status: 200, content_type, headers: Vec::new(), pieces, pause: Duration::ZERO, gate: None }
    }

    pub fn json(body: &Value) -> Self {
        Self::new("application/json", vec![body.to_string().into()])
    }

    /// A chat completion that says this.
    pub fn says(text: &str) -> Self {
        Self::json(&json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_767_225_600, "model": "mock",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}))
    }

    /// A streamed chat completion that says these pieces, one an event, each
    /// event in a piece of the body of its own.
    pub fn streams<S: AsRef<str>>(pieces: &[S]) -> Self {
        let mut events = vec![delta(&json!({"role": "assistant", "content": ""}), None)];
        events.extend(pieces.iter().map(|piece| delta(&json!({"content": piece.as_ref()}), None)));
        events.push(delta(&json!({}), Some("stop")));
        events.push("data: [DONE]\n\n".into());
        Self::new("text/event-stream", events)
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Waits before each piece.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

impl Answer {
    /// Each piece waits for a permit of its own.
    pub fn gate(mut self, gate: &Arc<Semaphore>) -> Self {
        self.gate = Some(Arc::clone(gate));
        self
    }
}

fn delta(delta: &Value, finish: Option<&str>) -> Bytes {
    let event = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_767_225_600, "model": "mock",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {event}\n\n").into()
}

type Script = dyn Fn(&Recorded) -> Answer + Send + Sync;

/// A running chatbot.
pub struct Upstream {
    pub address: SocketAddr,
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

impl Upstream {
    pub async fn start(script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, Arc::new(script)).await
    }

    /// One that speaks TLS.
    pub async fn start_tls(
        tls: Arc<rustls::ServerConfig>,
        script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(tls.into()), Arc::new(script)).await
    }

    async fn listen(tls: Option<TlsAcceptor>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&recorded);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (script, record, tls) = (Arc::clone(&script), Arc::clone(&record), tls.clone());
                socket.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    match tls {
                        None => serve(socket, script, record).await,
                        // A client that does not trust it goes away.
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                serve(socket, script, record).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, recorded }
    }

    /// One that says back what the user said last, streamed in pieces of five
    /// bytes if asked so.
    pub async fn echo() -> Self {
        Self::start(|request| {
            let said = request.said();
            if request.json()["stream"] == true {
                let letters: Vec<char> = said.chars().collect();
                Answer::streams(&letters.chunks(5).map(String::from_iter).collect::<Vec<_>>())
            } else {
                Answer::says(&said)
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn recorded(&self) -> Vec<Recorded> {
        self.recorded.lock().unwrap().clone()
    }

    /// The only request so far.
    pub fn only(&self) -> Recorded {
        let all = self.recorded();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    pub fn last(&self) -> Recorded {
        self.recorded().pop().expect("the chatbot received nothing")
    }
}

async fn serve<T>(socket: T, script: Arc<Script>, record: Arc<Mutex<Vec<Recorded>>>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, Arc::clone(&script), Arc::clone(&record)));
    let server = auto::Builder::new(TokioExecutor::new());
    // A client that goes away in the middle is part of some tests.
    let _ = server.serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(
    request: Request<Incoming>,
    script: Arc<Script>,
    record: Arc<Mutex<Vec<Recorded>>>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let recorded = Recorded {
        method: head.method,
        version: head.version,
        target: head.uri.to_string(),
        headers: head.headers,
        body,
    };
    record.lock().unwrap().push(recorded.clone());
    let answer = script(&recorded);
    let mut response = Response::builder().status(answer.status);
    if !answer.content_type.is_empty() {
        response = response.header("content-type", answer.content_type);
    }
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let (pause, gate) = (answer.pause, answer.gate);
    let body = StreamBody::new(stream::unfold(answer.pieces.into_iter(), move |mut pieces| {
        let gate = gate.clone();
        async move {
            let piece = pieces.next()?;
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            // Also without a pause each piece is a write of its own.
            tokio::time::sleep(pause).await;
            tokio::task::yield_now().await;
            Some((Ok(Frame::data(piece)), pieces))
        }
    }));
    Ok(response.body(Box::pin(body)).unwrap())
}
