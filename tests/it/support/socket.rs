//! A chatbot that speaks WebSocket and records what it receives, and a client.

use super::PATIENCE;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

/// The code and the reason of a close.
pub type Closed = (u16, String);

/// The consent that the default configuration asks for, in an address.
pub const CONSENT_QUERY: &str = "privet-consent=support&privet-subject=u1";

/// One end of a WebSocket, as a client.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    /// The head of the reply that opened it.
    pub head: HeaderMap,
}

impl Socket {
    /// Opens a socket at this path, with these headers.
    pub async fn open(base: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_open(base, path, headers).await.unwrap_or_else(|e| panic!("{e}"))
    }

    /// Where the server may not switch protocols.
    pub async fn try_open(base: &str, path: &str, headers: &[(&str, &str)]) -> Result<Self, Error> {
        let host = base.trim_start_matches("http://");
        let mut request = Request::get(format!("ws://{host}{path}"))
            .header("host", host)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let tcp = TcpStream::connect(host).await?;
        tcp.set_nodelay(true)?;
        let opening = tokio_tungstenite::client_async(request.body(()).unwrap(), tcp);
        let (stream, response) = timeout(PATIENCE, opening).await.expect("no handshake in time")?;
        Ok(Self { stream, head: response.into_parts().0.headers })
    }

    pub async fn send(&mut self, message: impl Into<Message>) {
        self.stream.send(message.into()).await.unwrap();
    }

    /// Where the other side may have closed already.
    pub async fn try_send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        timeout(PATIENCE, self.stream.send(message.into())).await.expect("nobody takes the message")
    }

    /// Sends a text in these fragments, with a ping before each but the first.
    pub async fn send_fragments(&mut self, fragments: &[&[u8]]) {
        for (n, fragment) in fragments.iter().enumerate() {
            if n > 0 {
                self.send(Message::Ping("between".into())).await;
            }
            self.send(fragment_of(fragment, n == 0, n + 1 == fragments.len())).await;
        }
    }

    /// The next message that is no ping or pong; none where it closes without a code.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let next = timeout(PATIENCE, self.stream.next()).await.expect("no message in time");
            match next? {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return Some(message),
                Err(error) => panic!("the socket broke off: {error}"),
            }
        }
    }

    /// The next message, whatever it is.
    pub async fn next_of_any_kind(&mut self) -> Message {
        timeout(PATIENCE, self.stream.next()).await.expect("no message in time").unwrap().unwrap()
    }

    /// The text of the next message.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// How the socket is closed; all messages before are passed over.
    pub async fn closed(&mut self) -> Option<Closed> {
        loop {
            if let Message::Close(frame) = self.next().await.expect("the socket ends without a close") {
                let closed = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                while timeout(PATIENCE, self.stream.next()).await.expect("the connection stays open").is_some() {}
                return closed;
            }
        }
    }

    /// Closes with this code and reason.
    pub async fn close(&mut self, code: u16, reason: &str) {
        self.send(close(code, reason)).await;
    }

    /// Goes away without a word.
    pub fn vanish(self) {
        drop(self);
    }
}

/// A message that closes the socket.
pub fn close(code: u16, reason: &str) -> Message {
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;
    Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
}

/// A fragment of a text message.
pub fn fragment_of(bytes: &[u8], is_first: bool, is_last: bool) -> Message {
    let kind = if is_first { Data::Text } else { Data::Continue };
    Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(kind), is_last))
}

type Script = dyn Fn(&Message) -> Vec<Message> + Send + Sync;
type Plain = dyn Fn(&str) -> String + Send + Sync;

/// A chatbot that speaks WebSocket.
pub struct SocketUpstream {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<Request<()>>>>,
    messages: Arc<Mutex<Vec<Message>>>,
    closed: Arc<Mutex<Vec<Option<Closed>>>>,
}

impl SocketUpstream {
    /// One that answers each message so. It takes the first subprotocol offered.
    pub async fn start(script: impl Fn(&Message) -> Vec<Message> + Send + Sync + 'static) -> Self {
        Self::start_with(|_| panic!("this is no WebSocket"), script).await
    }

    /// One that answers other requests with this JSON, given its own address.
    pub async fn start_with(
        plain: impl Fn(&str) -> String + Send + Sync + 'static,
        script: impl Fn(&Message) -> Vec<Message> + Send + Sync + 'static,
    ) -> Self {
        let plain: Arc<Plain> = Arc::new(plain);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Script> = Arc::new(script);
        let upstream = Self { address, heads: Arc::default(), messages: Arc::default(), closed: Arc::default() };
        let (heads, messages, closed) =
            (Arc::clone(&upstream.heads), Arc::clone(&upstream.messages), Arc::clone(&upstream.closed));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (script, plain) = (Arc::clone(&script), Arc::clone(&plain));
                let (heads, messages, closed) = (Arc::clone(&heads), Arc::clone(&messages), Arc::clone(&closed));
                tcp.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    if !upgrades(&tcp).await {
                        return answer(tcp, &plain(&address.to_string())).await;
                    }
                    let ended = serve(tcp, &*script, &heads, &messages).await;
                    closed.lock().unwrap().push(ended);
                });
            }
        });
        upstream
    }

    /// One that says back what it is told.
    pub async fn echo() -> Self {
        Self::start(|message| vec![message.clone()]).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the handshakes so far.
    pub fn heads(&self) -> Vec<Request<()>> {
        self.heads.lock().unwrap().clone()
    }

    /// The messages so far, pings and pongs left out.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }

    /// The texts of the messages so far.
    pub fn texts(&self) -> Vec<String> {
        self.messages().iter().map(|message| message.to_text().unwrap().to_owned()).collect()
    }

    /// How its first socket was closed, once it is: None without a close.
    pub async fn closed(&self) -> Option<Closed> {
        for _ in 0..800 {
            if let Some(first) = self.closed.lock().unwrap().first() {
                return first.clone();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the socket at the chatbot stays open");
    }

    /// Whether anything at all has come.
    pub fn is_untouched(&self) -> bool {
        self.heads().is_empty() && self.messages().is_empty()
    }
}

/// Whether the request asks for a WebSocket. Its head must come in one piece.
async fn upgrades(tcp: &TcpStream) -> bool {
    let mut head = [0; 4096];
    let length = tcp.peek(&mut head).await.unwrap_or(0);
    std::str::from_utf8(&head[..length]).unwrap().to_lowercase().contains("upgrade: websocket")
}

async fn answer(mut tcp: TcpStream, json: &str) {
    let _ = tcp.read(&mut [0; 4096]).await.unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}", json.len());
    tcp.write_all(format!("{head}\r\nconnection: close\r\n\r\n{json}").as_bytes()).await.unwrap();
}

#[expect(clippy::result_large_err, reason = "the error is the library's")]
async fn serve(
    tcp: TcpStream,
    script: &Script,
    heads: &Mutex<Vec<Request<()>>>,
    messages: &Mutex<Vec<Message>>,
) -> Option<Closed> {
    let accepted = tokio_tungstenite::accept_hdr_async(tcp, |request: &Request<()>, mut response: Response<()>| {
        let first = request.headers().get("sec-websocket-protocol").and_then(|offered| offered.to_str().ok());
        if let Some(first) = first.and_then(|offered| offered.split(',').next()) {
            response.headers_mut().insert("sec-websocket-protocol", first.trim().parse().unwrap());
        }
        response.headers_mut().insert("x-bot", "chatty".parse().unwrap());
        heads.lock().unwrap().push(request.clone());
        Ok(response)
    });
    let mut stream = accepted.await.ok()?;
    while let Some(Ok(message)) = stream.next().await {
        match &message {
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(frame) => {
                let closed = frame.as_ref().map(|frame| (frame.code.into(), frame.reason.to_string()));
                while let Some(Ok(_)) = stream.next().await {}
                return closed;
            }
            _ => {}
        }
        messages.lock().unwrap().push(message.clone());
        for answer in script(&message) {
            // A client that goes away is part of some tests.
            if stream.send(answer).await.is_err() {
                break;
            }
        }
    }
    None
}
