//! The gateway under test between a client and an upstream, all on loopback.
//! One exchange at a time: what the upstream answers is said beforehand, and
//! what it received is told after.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::StatusCode;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{USUAL, consent, socket};
use crate::cli::serve::{self, Running};
use crate::cli::{Failure, innermost};
use crate::config::{Config, Keys};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::server::Shutdown;

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the upstream lives behind its last piece, where it dies.
const LAST_BREATH: Duration = Duration::from_millis(20);

/// How long the upstream waits for the client to have heard the beginning.
const BEGINNING: Duration = Duration::from_secs(5);

/// A message in the pieces in which it is written.
type Pieces = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

/// A request as the client sends it, or as it arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// Of a WebSocket, its messages, one a line.
    pub(super) body: Vec<u8>,
    pub(super) is_socket: bool,
}

/// What the upstream answers.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    /// The `Content-Encoding`, if it has one.
    pub(super) coding: Option<&'static str>,
    pub(super) pieces: Vec<Bytes>,
    pub(super) course: Course,
}

/// How an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Whole,
    /// Behind the first piece the upstream waits until the client has heard of it.
    Waits,
    /// Behind the last piece the upstream dies.
    Dies,
}

/// One exchange, seen from both ends.
#[derive(Debug)]
pub(super) struct Exchange {
    /// None where nothing was forwarded.
    pub(super) received: Option<Call>,
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The `Content-Encoding` of the reply, if it has one.
    pub(super) coding: Option<String>,
    /// Whether the reply broke off, rather than ended.
    pub(super) broke_off: bool,
    /// Whether the client heard nothing of the first piece before the next was sent.
    pub(super) late: bool,
}

/// The gateway between its client and its upstream.
pub(super) struct Rig {
    gateway: String,
    running: Running,
    shutdown: Shutdown,
    client: Client<HttpConnector, Pieces>,
    script: Arc<Mutex<Script>>,
    upstream: JoinHandle<std::io::Result<()>>,
}

/// What the upstream shares with the client.
#[derive(Default)]
pub(super) struct Script {
    pub(super) answer: Option<Answer>,
    received: Option<Call>,
    /// How many messages a WebSocket brings before they are answered.
    pub(super) messages: usize,
    /// The client has heard something.
    heard: Arc<Notify>,
    late: bool,
}

impl Script {
    /// Notes a message of a WebSocket.
    pub(super) fn note(&mut self, message: &[u8]) {
        if let Some(received) = &mut self.received {
            if !received.body.is_empty() {
                received.body.push(b'\n');
            }
            received.body.extend_from_slice(message);
        }
    }
}

impl Rig {
    /// Starts the gateway of `config` in front of an upstream of our own, with
    /// a vault and a key for this run alone.
    pub(super) async fn start(config: Config) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let config = on_loopback(config, &format!("http://{}", listener.local_addr()?))?;
        let script = Arc::default();
        let service = axum::Router::new().fallback(answer).with_state(Arc::clone(&script));
        let upstream = tokio::spawn(async move { axum::serve(listener, service).await });
        let shutdown = Shutdown::new();
        let running = serve::start(config, shutdown.clone()).await?;
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Ok(Self { gateway: running.gateway_url(), running, shutdown, client, script, upstream })
    }

    pub(super) async fn stop(self) {
        drop(self.client);
        self.shutdown.end();
        self.running.ended().await;
        self.upstream.abort();
    }

    /// The tokens of values of this subject.
    pub(super) async fn tokens(
        &self,
        tenant: &str,
        subject: &str,
        entity: &str,
        values: &[&str],
    ) -> Result<Vec<String>, String> {
        let entity: Entity = entity.parse().map_err(|_| "no entity")?;
        let subject = self.running.vault().subject(tenant, subject).await.map_err(|error| error.to_string())?;
        let values: Vec<(Entity, &str)> = values.iter().map(|value| (entity, *value)).collect();
        let tokens = subject.tokenize(&values).await.map_err(|error| error.to_string())?;
        Ok(tokens.iter().map(ToString::to_string).collect())
    }

    /// Sends `call` in these pieces and waits for the end of the reply. An
    /// exchange without a reply is an error.
    pub(super) async fn exchange(&self, call: &Call, piece: usize, answer: Answer) -> Result<Exchange, String> {
        let messages = if call.is_socket { socket::lines(&call.body).len() } else { 0 };
        lock(&self.script, |script| *script = Script { answer: Some(answer), messages, ..Script::default() });
        let heard = lock(&self.script, |script| Arc::clone(&script.heard));
        let mut request =
            http::Request::builder().method(call.method.as_str()).uri(self.gateway.clone() + &call.target);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let body: &[u8] = if call.is_socket { &[] } else { &call.body };
        for (name, value) in socket::ASKED.iter().filter(|_| call.is_socket) {
            request = request.header(*name, *value);
        }
        let pieces: Vec<Bytes> = body.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect();
        if pieces.len() == 1 {
            request = request.header("content-length", body.len());
        }
        let request = request.body(in_pieces(pieces)).map_err(|error| format!("no request: {error}"))?;
        let exchanged = async {
            let response = self.client.request(request).await.map_err(|error| cause(&error))?;
            if call.is_socket && response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let (status, body) = socket::client(hyper::upgrade::on(response), &call.body, piece).await?;
                return Ok((status, body, None, false));
            }
            let (head, mut body) = response.into_parts();
            let (mut read, mut broke_off) = (Vec::new(), false);
            while let Some(frame) = body.frame().await {
                match frame.map(Frame::into_data) {
                    Ok(data) => read.extend_from_slice(&data.unwrap_or_default()),
                    Err(_) => broke_off = true,
                }
                heard.notify_one();
            }
            let coding = head.headers.get(http::header::CONTENT_ENCODING);
            let coding = coding.and_then(|coding| coding.to_str().ok()).map(str::to_owned);
            Ok::<_, String>((head.status.as_u16(), read, coding, broke_off))
        };
        let (status, body, coding, broke_off) = tokio::time::timeout(PATIENCE, exchanged)
            .await
            .map_err(|_| format!("no reply within {} s", PATIENCE.as_secs()))??;
        let (received, late) = lock(&self.script, |script| (script.received.take(), script.late));
        Ok(Exchange { received, status, body, coding, broke_off, late })
    }
}

/// Works on what is shared. No panic of another leaves it in pieces.
pub(super) fn lock<T>(script: &Mutex<Script>, with: impl FnOnce(&mut Script) -> T) -> T {
    with(&mut script.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Call {
    /// The first value of this header.
    pub(super) fn header_value(&self, name: &str) -> Option<&str> {
        let named = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl Answer {
    /// A short document.
    pub(super) fn empty() -> Self {
        let pieces = vec![Bytes::from_static(b"{}")];
        Self { status: 200, content_type: "application/json".to_owned(), coding: None, pieces, course: Course::Whole }
    }
}

/// The configuration with nothing in it that leads away from this check, to
/// other machines or to files, and without the bounds that it would run against.
fn on_loopback(mut config: Config, upstream: &str) -> Result<Config, Failure> {
    for one in &mut config.upstreams {
        let url = format!("{upstream}{}", one.path_prefix());
        one.url = url.parse().map_err(|error| Failure::Failed(format!("{url}: {error}")))?;
        one.ca = None;
    }
    for listener in [&mut config.listen, &mut config.admin] {
        "127.0.0.1:0".clone_into(listener);
    }
    config.vault = Sensitive::from("memory:");
    config.key = Some(serve::new_key()?);
    config.keys = Keys::default();
    config.tls = None;
    (config.backup, config.erasures, config.transcripts) = (None, None, None);
    (config.audit.syslog, config.webhooks) = (None, Vec::new());
    config.consent.jwks = None;
    config.consent.hs256_secret = Some(Sensitive::from(consent::SECRET));
    let usual = Config::parse(USUAL)?.config;
    (config.limits, config.timeouts) = (usual.limits, usual.timeouts);
    Ok(config)
}

/// The upstream: notes what it received and answers as it was told.
async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let headers = request.headers().iter().map(|(name, value)| {
        let value = String::from_utf8(value.as_bytes().to_vec()).unwrap_or_default();
        (name.as_str().to_owned(), value)
    });
    let mut call = Call {
        method: request.method().to_string(),
        target: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: headers.collect(),
        body: Vec::new(),
        is_socket: request.headers().contains_key(http::header::UPGRADE),
    };
    if call.is_socket {
        lock(&script, |script| script.received = Some(call));
        return socket::upstream(request, script);
    }
    call.body = request.into_body().collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let answer = lock(&script, |script| {
        script.received = Some(call);
        script.answer.take()
    });
    let mut response = Response::default();
    let Some(answer) = answer else {
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        return response;
    };
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    if let Ok(value) = answer.content_type.parse() {
        response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    }
    if let Some(coding) = answer.coding {
        response.headers_mut().insert(http::header::CONTENT_ENCODING, http::HeaderValue::from_static(coding));
    }
    *response.body_mut() = Body::new(StreamBody::new(coming(answer.pieces, answer.course, script)));
    response
}

/// The pieces as they come.
fn coming(
    pieces: Vec<Bytes>,
    course: Course,
    script: Arc<Mutex<Script>>,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static {
    let pieces = pieces.into_iter().map(Some).chain((course == Course::Dies).then_some(None)).enumerate();
    stream::unfold((pieces, script), move |(mut pieces, script)| async move {
        let (at, piece) = pieces.next()?;
        if at == 1 && course == Course::Waits {
            let heard = lock(&script, |script| Arc::clone(&script.heard));
            if tokio::time::timeout(BEGINNING, heard.notified()).await.is_err() {
                lock(&script, |script| script.late = true);
            }
        }
        let frame = if let Some(piece) = piece {
            Ok(Frame::data(piece))
        } else {
            // What was not written yet would die with it.
            tokio::time::sleep(LAST_BREATH).await;
            Err(io::ErrorKind::ConnectionAborted.into())
        };
        Some((frame, (pieces, script)))
    })
}

fn in_pieces(pieces: Vec<Bytes>) -> Pieces {
    let frames: Vec<_> = pieces.into_iter().map(|piece| Ok(Frame::data(piece))).collect();
    StreamBody::new(stream::iter(frames))
}

/// The innermost reason, which says most.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    format!("it broke off: {}", innermost(error))
}
