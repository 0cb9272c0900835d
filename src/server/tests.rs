//! Over real sockets.

use std::sync::Mutex;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::*;
use crate::clock::PATIENCE;

mod drain;
mod tls;

type Reply = Response<BoxBody<Bytes, Infallible>>;

fn whole(text: impl Into<Bytes>) -> Reply {
    Response::new(Full::new(text.into()).boxed())
}

/// A server at work in the test's process.
struct Rig {
    address: SocketAddr,
    shutdown: Shutdown,
    served: JoinHandle<Drained>,
    /// The reply of `/stream` that was begun last.
    stream: Arc<Mutex<Option<mpsc::Sender<Bytes>>>>,
}

impl Rig {
    async fn start(limits: Limits) -> Self {
        Self::start_tls(limits, None).await
    }

    async fn start_tls(limits: Limits, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = Listener::bind("127.0.0.1:0", tls).await.unwrap();
        let address = listener.local_addr();
        let shutdown = Shutdown::new();
        let stream = Arc::new(Mutex::new(None));
        let streams = Arc::clone(&stream);
        let service = move |peer: Peer| {
            let streams = Arc::clone(&streams);
            service_fn(move |request| answer(peer, request, Arc::clone(&streams)))
        };
        let served = tokio::spawn(serve(listener, service, limits, shutdown.clone()));
        Self { address, shutdown, served, stream }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn send(&self, text: &'static str) {
        let sender = self.stream.lock().unwrap().clone().unwrap();
        sender.send(Bytes::from(text)).await.unwrap();
    }

    fn end_stream(&self) {
        self.stream.lock().unwrap().take().unwrap();
    }

    async fn drained(self) -> Drained {
        time::timeout(PATIENCE, self.served).await.unwrap().unwrap()
    }
}

fn answer(
    peer: Peer,
    request: Request<Incoming>,
    streams: Arc<Mutex<Option<mpsc::Sender<Bytes>>>>,
) -> BoxFuture<'static, Result<Reply, Infallible>> {
    Box::pin(async move {
        Ok(match request.uri().path() {
            "/stream" => {
                let (sender, mut receiver) = mpsc::channel(1);
                streams.lock().unwrap().replace(sender);
                let frames = stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|b| b.map(|b| Ok(Frame::data(b)))));
                Response::new(StreamBody::new(frames).boxed())
            }
            "/panic" => panic!("ana@example.com"),
            "/peer" => whole(format!("{} {}", peer.address.ip(), peer.tls)),
            "/echo" => whole(request.into_body().collect().await.unwrap().to_bytes()),
            path => whole(format!("{:?} {path}", request.version())),
        })
    })
}

/// Deadlines that no busy machine misses.
fn limits() -> Limits {
    Limits { header_read: PATIENCE * 2, drain: PATIENCE * 2, ..Limits::default() }
}

/// Deadlines that are worth waiting for.
fn hasty() -> Limits {
    Limits { header_read: Duration::from_millis(300), drain: Duration::from_millis(500), ..limits() }
}

/// Sends and reads until `end` has come or the connection is closed.
async fn talk<T: AsyncRead + AsyncWrite + Unpin>(io: &mut T, request: &str, end: &str) -> String {
    io.write_all(request.as_bytes()).await.unwrap();
    read_until(io, end).await
}

async fn read_until<T: AsyncRead + Unpin>(io: &mut T, end: &str) -> String {
    let mut text = Vec::new();
    let reading = async {
        while !text.ends_with(end.as_bytes()) || end.is_empty() {
            match io.read_u8().await {
                Ok(byte) => text.push(byte),
                Err(_) => break,
            }
        }
    };
    time::timeout(PATIENCE, reading).await.expect("the connection neither answers nor ends");
    String::from_utf8(text).unwrap()
}

async fn is_closed<T: AsyncRead + Unpin>(io: &mut T) -> bool {
    matches!(time::timeout(PATIENCE, io.read(&mut [0; 64])).await, Ok(Ok(0) | Err(_)))
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

/// Sends one HTTP/2 request a path and gives status and body of each.
async fn h2<T>(io: T, paths: &[&str]) -> Vec<(u16, String)>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut replies = Vec::new();
    for path in paths {
        let request = Request::get(format!("http://x{path}")).body(Empty::<Bytes>::new()).unwrap();
        let reply = client.send_request(request).await.unwrap();
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        replies.push((status, String::from_utf8(body.to_vec()).unwrap()));
    }
    drop(client);
    connection.await.unwrap().unwrap();
    replies
}

#[tokio::test]
async fn http1_keeps_the_connection() {
    let rig = Rig::start(limits()).await;
    let mut io = rig.connect().await;
    for _ in 0..3 {
        let reply = talk(&mut io, GET, "/a").await;
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("HTTP/1.1 /a"), "{reply}");
    }
    let reply = talk(&mut io, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "abc").await;
    assert!(reply.ends_with("\r\n\r\nabc"), "{reply}");
}

#[tokio::test]
async fn http1_takes_pipelined_and_bytewise_requests() {
    let rig = Rig::start(limits()).await;
    let mut io = rig.connect().await;
    let two = talk(&mut io, &GET.replace("/a", "/one").repeat(2), "/one").await;
    let two = two + &read_until(&mut io, "/one").await;
    assert_eq!(two.matches("HTTP/1.1 200 OK").count(), 2);
    for byte in "PRINT /b HTTP/1.1\r\nHost: x\r\n\r\n".as_bytes() {
        io.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read_until(&mut io, "/b").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn http2_by_prior_knowledge() {
    let rig = Rig::start(limits()).await;
    let replies = h2(rig.connect().await, &["/a", "/b"]).await;
    assert_eq!(replies, [(200, "HTTP/2.0 /a".into()), (200, "HTTP/2.0 /b".into())]);
}

#[tokio::test]
async fn http2_preface_in_pieces() {
    let rig = Rig::start(limits()).await;
    let mut io = rig.connect().await;
    for piece in ["PR", "I", " * HTT", "P/2.0\r\n\r\nSM\r\n\r\n"] {
        io.write_all(piece.as_bytes()).await.unwrap();
        time::sleep(Duration::from_millis(20)).await;
    }
    // An empty SETTINGS frame is answered by the server's own.
    io.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut frame = [0; 9];
    io.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4, "a SETTINGS frame");
}

#[tokio::test]
async fn the_service_knows_the_peer_and_debug_does_not_show_it() {
    let rig = Rig::start(limits()).await;
    let reply = talk(&mut rig.connect().await, "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n", "false").await;
    assert!(reply.ends_with("127.0.0.1 false"), "{reply}");
    let peer = Peer { address: rig.address, tls: false };
    assert_eq!(format!("{peer:?}"), "Peer { tls: false, .. }");
}

#[tokio::test]
async fn a_panic_is_answered_and_harms_no_other() {
    let rig = Rig::start(limits()).await;
    let mut io = rig.connect().await;
    let reply = talk(&mut io, "GET /panic HTTP/1.1\r\nHost: x\r\n\r\n", "}").await;
    assert!(reply.starts_with("HTTP/1.1 500 "), "{reply}");
    assert!(reply.contains("content-type: application/problem+json"), "{reply}");
    assert!(reply.contains("urn:privet:problem:internal-error") && !reply.contains("ana@"), "{reply}");
    assert!(talk(&mut io, GET, "/a").await.starts_with("HTTP/1.1 200"));
    let replies = h2(rig.connect().await, &["/panic", "/a"]).await;
    assert_eq!(replies.iter().map(|r| r.0).collect::<Vec<_>>(), [500, 200]);
}

#[tokio::test]
async fn a_slow_header_is_cut() {
    let rig = Rig::start(hasty()).await;
    for begin in ["", "P", "GET / HTTP/1.1\r\nHost:"] {
        let mut io = rig.connect().await;
        let begun = Instant::now();
        io.write_all(begin.as_bytes()).await.unwrap();
        // A further byte now and then must not prolong the wait.
        let (mut read, mut write) = io.split();
        let trickle = async {
            loop {
                time::sleep(Duration::from_millis(50)).await;
                if begin.starts_with("GET") && write.write_all(b"x").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            closed = is_closed(&mut read) => assert!(closed, "{begin:?}"),
            () = trickle => unreachable!(),
        }
        assert!((250..8_000).contains(&begun.elapsed().as_millis()), "{begin:?} {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_slow_second_header_is_cut_and_an_idle_connection_is_not() {
    let rig = Rig::start(hasty()).await;
    let mut io = rig.connect().await;
    // The rest of a body is not the beginning of a header.
    io.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc").await.unwrap();
    time::sleep(Duration::from_millis(50)).await;
    talk(&mut io, "def", "abcdef").await;
    time::sleep(Duration::from_millis(500)).await;
    talk(&mut io, GET, "/a").await;
    let begun = Instant::now();
    io.write_all(b"GET /").await.unwrap();
    assert!(is_closed(&mut io).await);
    assert!((250..8_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_reply_may_take_longer_than_any_deadline() {
    let rig = Rig::start(Limits { keep_alive: Duration::from_millis(100), ..hasty() }).await;
    let mut io = rig.connect().await;
    talk(&mut io, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n").await;
    time::sleep(Duration::from_millis(600)).await;
    rig.send("late").await;
    read_until(&mut io, "late\r\n").await;
    rig.end_stream();
    assert_eq!(read_until(&mut io, "0\r\n\r\n").await, "0\r\n\r\n");
    assert!(is_closed(&mut io).await);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let rig = Rig::start(Limits { keep_alive: Duration::from_secs(2), ..limits() }).await;
    let mut io = rig.connect().await;
    for _ in 0..6 {
        talk(&mut io, GET, "/a").await;
        time::sleep(Duration::from_millis(400)).await;
    }
    let begun = Instant::now();
    talk(&mut io, GET, "/a").await;
    assert!(is_closed(&mut io).await);
    assert!((1_950..8_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());

    let begun = Instant::now();
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(rig.connect().await)).await.unwrap();
    let _: &hyper::client::conn::http2::SendRequest<Empty<Bytes>> = &client;
    time::timeout(PATIENCE, connection).await.unwrap().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(1_950), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_idle_http2_client_that_does_not_leave_is_cut() {
    let rig = Rig::start(Limits { keep_alive: Duration::from_millis(200), ..limits() }).await;
    let mut io = rig.connect().await;
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let begun = Instant::now();
    // It answers no PING and takes no GOAWAY.
    time::timeout(PATIENCE, io.read_to_end(&mut Vec::new())).await.expect("it may stay").unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_header_over_its_limits_is_refused() {
    let rig = Rig::start(Limits { header_bytes: 8 * 1024, ..limits() }).await;
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n", "a".repeat(9_000));
    assert!(talk(&mut rig.connect().await, &long, "\r\n\r\n").await.starts_with("HTTP/1.1 431 "));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: a\r\n".repeat(101));
    assert!(talk(&mut rig.connect().await, &many, "\r\n\r\n").await.starts_with("HTTP/1.1 431 "));

    let few = Rig::start(Limits { headers: 10, ..limits() }).await;
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: a\r\n".repeat(11));
    assert!(talk(&mut few.connect().await, &many, "\r\n\r\n").await.starts_with("HTTP/1.1 431 "));
    assert!(talk(&mut few.connect().await, GET, "/a").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn connections_over_the_limit_wait() {
    let rig = Rig::start(Limits { connections: 1, ..limits() }).await;
    let mut first = rig.connect().await;
    talk(&mut first, GET, "/a").await;
    let mut second = rig.connect().await;
    second.write_all(GET.as_bytes()).await.unwrap();
    let waited = time::timeout(Duration::from_millis(200), second.read_u8()).await;
    assert!(waited.is_err(), "the second was served beside the first");
    drop(first);
    assert!(read_until(&mut second, "/a").await.starts_with("HTTP/1.1 200 "));
}

/// The reply's future or body must not outlive its client: it holds slots.
#[tokio::test]
async fn a_client_that_goes_ends_its_reply() {
    let rig = Rig::start(limits()).await;
    let mut one = rig.connect().await;
    talk(&mut one, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n").await;
    drop(one);
    gone(&rig).await;

    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(rig.connect().await)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://x/stream").body(Empty::<Bytes>::new()).unwrap();
    let reply = client.send_request(request).await.unwrap();
    connection.abort();
    drop((reply, client));
    gone(&rig).await;
}

async fn gone(rig: &Rig) {
    let sender = rig.stream.lock().unwrap().take().unwrap();
    time::timeout(PATIENCE, sender.closed()).await.expect("the body is kept");
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_clear_sentence() {
    let first = Listener::bind("127.0.0.1:0", None).await.unwrap();
    let address = first.local_addr().to_string();
    let error = Listener::bind(&address, None).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {address}: another program listens there"));
    let error = Listener::bind("nonsense", None).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot listen on nonsense: it must be HOST:PORT, such as 127.0.0.1:8080");
}
