//! The accept loop of both listeners: limits, TLS, HTTP/1.1 and HTTP/2, and a
//! drain that lets running replies end.
//!
//! Each connection is one task; the loop owns them all and has joined or
//! aborted every one when [`serve`] returns. The client's address is given to
//! the service and is never logged.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time;

mod activity;
mod connection;
mod sequel;
mod shutdown;
pub mod tls;

pub use sequel::Sequel;
pub use shutdown::Shutdown;

/// A port that is bound and not yet served.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// A port that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", reason(.source))]
pub struct BindError {
    address: String,
    source: io::Error,
}

/// What the connections of a listener may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of an HTTP/1 request to the end of its header; also
    /// from the start of a connection to its first byte or to the end of its
    /// TLS handshake.
    pub header_read: Duration,
    /// How long a connection may stand without a request. Longer than the
    /// pools of clients and of proxies in front keep theirs, so that it is the
    /// client that closes, and no request crosses the close on its way.
    pub keep_alive: Duration,
    /// How long a client may take nothing while something is to be sent.
    pub write: Duration,
    /// Bytes of a request's header, the request line included.
    pub header_bytes: usize,
    /// Fields of a request's header.
    pub headers: usize,
    /// Connections at a time; more wait unaccepted.
    pub connections: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub h2_streams: u32,
    /// How long running replies may take once the drain has begun.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            write: Duration::from_mins(1),
            header_bytes: 16 * 1024,
            headers: 100,
            connections: 10_000,
            h2_streams: 100,
            drain: Duration::from_secs(30),
        }
    }
}

/// The other end of a connection. Its `Debug` shows no address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Address and port of the client, or of the proxy in front: personal data.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut, being still at work after the grace.
    pub cut: usize,
}

impl Listener {
    /// Binds `HOST:PORT`; port 0 takes a free one. With `tls` every connection
    /// is encrypted.
    pub async fn bind(address: &str, tls: Option<Arc<rustls::ServerConfig>>) -> Result<Self, BindError> {
        let error = |source| BindError { address: address.to_owned(), source };
        let tcp = TcpListener::bind(address).await.map_err(error)?;
        let local = tcp.local_addr().map_err(error)?;
        Ok(Self { tcp, address: local, tls })
    }

    /// The bound address, with the real port.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Serves a listener until `shutdown` is triggered, then drains it.
///
/// `service` is called once a connection and gives what answers its requests.
/// Draining means: the port is closed, idle connections are closed, busy ones
/// get no further request (HTTP/2: GOAWAY) and have `limits.drain` to finish
/// their replies; what is left then is cut.
///
/// A panic of the service is answered with 500 and harms no other request.
/// When the client goes away the service's future or body is dropped.
pub async fn serve<M, S, B>(listener: Listener, service: M, limits: Limits, shutdown: Shutdown) -> Drained
where
    M: Fn(Peer) -> S,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let Listener { tcp, tls, address } = listener;
    let acceptor = connection::Acceptor::new(tls, limits, shutdown.clone());
    let slots = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();

    loop {
        let (slot, stream, peer) = tokio::select! {
            biased;
            () = shutdown.triggered() => break,
            // Finished tasks are joined as they end, so that they take no memory.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            next = accept(&tcp, &slots) => next,
        };
        let service = service(Peer { address: peer, tls: acceptor.has_tls() });
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            acceptor.run(stream, service).await;
            drop(slot);
        });
    }
    // Closed before anything is waited for: what comes now is refused.
    drop(tcp);

    tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => (),
        () = time::sleep(limits.drain) => (),
        () = shutdown.ended() => (),
    }
    while connections.try_join_next().is_some() {}
    let cut = connections.len();
    connections.shutdown().await;
    tracing::info!(listener = %address, cut, "The listener is drained.");
    Drained { cut }
}

/// The next connection, once there is a slot for it.
async fn accept(tcp: &TcpListener, slots: &Arc<Semaphore>) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
    const FIRST_PAUSE: Duration = Duration::from_millis(5);
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);

    let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
        // Nobody closes the semaphore; without slots nothing is accepted.
        return std::future::pending().await;
    };
    let mut pause = FIRST_PAUSE;
    loop {
        match tcp.accept().await {
            Ok((stream, peer)) => return (slot, stream, peer),
            // The client was gone before it was accepted: its own affair.
            Err(e) if is_of_connection(&e) => (),
            // Out of file descriptors or memory. Trying again at once would
            // burn a core until some connection ends.
            Err(e) => {
                tracing::warn!(error = %e, "A connection cannot be accepted.");
                time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there".into(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        io::ErrorKind::PermissionDenied => "this user may not use that port".into(),
        io::ErrorKind::InvalidInput => "it must be HOST:PORT, such as 127.0.0.1:8080".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
