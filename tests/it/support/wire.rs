//! Plain sockets, for clients and chatbots that do what no library would.

use super::PATIENCE;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// A connection to a server, and what it has said so far.
pub struct Wire {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Wire {
    /// To the server at this URL.
    pub async fn connect(base: &str) -> Self {
        Self::try_connect(base).await.unwrap()
    }

    /// Where there may be no server.
    pub async fn try_connect(base: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(base.trim_start_matches("http://")).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, seen: Vec::new() })
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Where the server may have closed already.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// A POST to `path` with these header lines, and this much of its body.
    pub async fn post(&mut self, path: &str, headers: &str, body: impl AsRef<[u8]>) {
        let head = format!("POST {path} HTTP/1.1\r\nhost: chat.example\r\nprivet-consent: support\r\n{headers}\r\n");
        self.send([head.as_bytes(), body.as_ref()].concat()).await;
    }

    /// Reads until these bytes have come, and gives all that was said up to
    /// and with them.
    pub async fn until(&mut self, end: &str) -> String {
        let reading = async {
            loop {
                if let Some(at) = find(&self.seen, end.as_bytes()) {
                    let rest = self.seen.split_off(at + end.len());
                    return String::from_utf8(std::mem::replace(&mut self.seen, rest)).unwrap();
                }
                let read = self.stream.read_buf(&mut self.seen).await.unwrap();
                assert!(read > 0, "the connection ended before {end:?}: {:?}", String::from_utf8(self.seen.clone()));
            }
        };
        timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{end:?} did not come"))
    }

    /// The head of a reply.
    pub async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// The status of the next reply; its body must end in `}`.
    pub async fn problem(&mut self) -> (u16, String) {
        let head = self.head().await;
        (head[9..12].parse().unwrap(), self.until("}").await)
    }

    /// Reads to the end of the connection; one that is reset has ended too.
    pub async fn rest(mut self) -> Vec<u8> {
        let reading = self.stream.read_to_end(&mut self.seen);
        let _ = timeout(PATIENCE, reading).await.expect("the connection does not end");
        self.seen
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// What a [`RawUpstream`] does with a request, in order; then it closes.
#[derive(Clone)]
pub enum Step {
    Send(&'static str),
    Wait(Duration),
    /// Until the other side is gone.
    Hold,
}

/// A chatbot that says exactly these bytes.
pub struct RawUpstream {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    left: watch::Receiver<usize>,
}

impl RawUpstream {
    pub async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (leaves, left) = watch::channel(0);
        let record = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (steps, record, leaves) = (steps.clone(), Arc::clone(&record), leaves.clone());
                tokio::spawn(async move {
                    if act(socket, &steps, &record).await {
                        leaves.send_modify(|count| *count += 1);
                    }
                });
            }
        });
        Self { address, heads, left }
    }

    /// One that says one reply, head and all, and closes.
    pub async fn says(reply: &'static str) -> Self {
        Self::start(vec![Step::Send(reply)]).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Waits until a request has come.
    pub async fn asked(&self) {
        let asked = async {
            while self.heads().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, asked).await.expect("no request came");
    }

    /// Waits until the other side has left a connection that is held.
    pub async fn is_left(&mut self) {
        let left = self.left.wait_for(|count| *count > 0);
        timeout(PATIENCE, left).await.expect("the connection is still there").unwrap();
    }
}

/// Reads one request and takes the steps; true where the other side left first.
async fn act(mut socket: TcpStream, steps: &[Step], record: &Mutex<Vec<String>>) -> bool {
    socket.set_nodelay(true).unwrap();
    let mut seen = Vec::new();
    let length = loop {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return false;
        }
        if let Some(end) = find(&seen, b"\r\n\r\n") {
            let head = String::from_utf8(seen[..end].to_vec()).unwrap().to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
            record.lock().unwrap().push(head);
            break end + 4 + length;
        }
    };
    while seen.len() < length {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return true;
        }
    }
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if socket.write_all(bytes.as_bytes()).await.is_err() {
                    return true;
                }
            }
            Step::Wait(time) => tokio::time::sleep(*time).await,
            Step::Hold => {
                while socket.read(&mut [0; 256]).await.is_ok_and(|n| n > 0) {}
                return true;
            }
        }
    }
    false
}

/// An address at which nobody listens.
pub fn port_of_nobody() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}
