//! Both ends of a WebSocket (RFC 6455): an exchange whose bodies are messages,
//! one a line.

use std::sync::{Arc, Mutex};

use aws_lc_rs::digest;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use super::rig::{Script, lock};

/// The status of a socket that was opened, and of one that was closed because
/// something may not pass.
pub(super) const OPENED: u16 = 101;
pub(super) const REFUSED: u16 = 403;

/// What a client asks for a socket with.
pub(super) const ASKED: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// The client's side: sends all messages, then reads until the other side
/// closes. Gives the status and the messages read.
pub(super) async fn client(connection: OnUpgrade, body: &[u8], piece: usize) -> Result<(u16, Vec<u8>), String> {
    let mut socket = open(connection, Role::Client).await?;
    for message in lines(body) {
        // A socket that is closed meanwhile tells so when it is read.
        if send(&mut socket, &message, piece).await.is_err() {
            break;
        }
    }
    let (mut got, mut status) = (Vec::new(), OPENED);
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => got.push(text.as_bytes().to_vec()),
            Some(Ok(Message::Close(Some(close)))) if close.code != CloseCode::Normal => status = REFUSED,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Ok((status, got.join(&b'\n'))),
        }
    }
}

/// The upstream's side: opens the socket, notes the messages that it is to
/// receive, answers and closes.
pub(super) fn upstream(mut request: Request, script: Arc<Mutex<Script>>) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().extend(accepted(request.headers()));
    let connection = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // What breaks off is seen by the client.
        let _ = answer(connection, script).await;
    });
    response
}

async fn answer(connection: OnUpgrade, script: Arc<Mutex<Script>>) -> Result<(), String> {
    let mut socket = open(connection, Role::Server).await?;
    let (wanted, answer) = lock(&script, |script| (script.messages, script.answer.take()));
    let mut read = 0;
    while read < wanted {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                lock(&script, |script| script.note(text.as_bytes()));
                read += 1;
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Ok(()),
        }
    }
    let pieces = answer.map(|answer| answer.pieces).unwrap_or_default();
    // Where it is to be cut, the messages come in fragments as long as the first piece.
    let piece = pieces.first().filter(|_| pieces.len() > 1).map_or(usize::MAX, Bytes::len);
    for message in lines(&pieces.concat()) {
        send(&mut socket, &message, piece).await?;
    }
    socket.close(None).await.map_err(|error| error.to_string())
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn open(connection: OnUpgrade, role: Role) -> Result<Socket, String> {
    let connection = connection.await.map_err(|error| format!("no socket: {error}"))?;
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(connection), role, None).await)
}

/// Sends a text in fragments of so many bytes.
async fn send(socket: &mut Socket, text: &[u8], piece: usize) -> Result<(), String> {
    let count = text.len().div_ceil(piece.max(1));
    for (at, fragment) in text.chunks(piece.max(1)).enumerate() {
        let kind = if at == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(Bytes::copy_from_slice(fragment), OpCode::Data(kind), at + 1 == count);
        socket.send(Message::Frame(frame)).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

pub(super) fn lines(body: &[u8]) -> Vec<Vec<u8>> {
    body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The answer to a handshake (section 4.2.2).
fn accepted(asked: &HeaderMap) -> HeaderMap {
    const ID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let key = asked.get(header::SEC_WEBSOCKET_KEY).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let accept = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[key, ID].concat());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
    if let Ok(accept) = STANDARD.encode(accept).parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    headers
}
