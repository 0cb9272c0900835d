//! Stands between the gateway and its database, and makes the network bad:
//! it cuts connections after so many bytes, and holds answers up. What it did
//! it counts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Passes bytes between whoever connects and one server.
pub struct Relay {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// After so many bytes, of whatever connection, that connection is cut.
    cut_after: Mutex<Option<usize>>,
    cuts: AtomicUsize,
    /// Milliseconds by which answers come later.
    delay: AtomicU64,
    delayed: AtomicUsize,
}

impl Relay {
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    // Where one way ends, both do.
                    tokio::select! {
                        () = state.pass(from_client, to_server, false) => {}
                        () = state.pass(from_server, to_client, true) => {}
                    }
                });
            }
        });
        Self { port, state }
    }

    /// Cuts the connection on which this many more bytes have passed.
    pub fn cut_after(&self, bytes: usize) {
        *self.state.cut_after.lock().unwrap() = Some(bytes);
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }

    /// Holds up each piece of an answer.
    pub fn delay(&self, by: Duration) {
        self.state.delay.store(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// How many pieces were held up.
    pub fn delayed(&self) -> usize {
        self.state.delayed.load(Ordering::SeqCst)
    }
}

impl State {
    async fn pass(&self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, answers: bool) {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            let delay = self.delay.load(Ordering::SeqCst);
            if answers && delay > 0 {
                self.delayed.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            let passing = self.passing(n);
            if to.write_all(&buffer[..passing]).await.is_err() {
                return;
            }
            if passing < n {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }

    /// How many of `n` bytes pass.
    fn passing(&self, n: usize) -> usize {
        let mut cut_after = self.cut_after.lock().unwrap();
        match *cut_after {
            Some(left) if left < n => {
                *cut_after = None;
                left
            }
            Some(left) => {
                *cut_after = Some(left - n);
                n
            }
            None => n,
        }
    }
}
