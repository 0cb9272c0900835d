//! The chatbot's side: one HTTP client per upstream, with its own connections.

use super::error::ProxyError;
use crate::config;
use crate::trust;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use tower::{BoxError, Service};

/// Below the keep-alive of common servers (60 to 75 s), so that a connection is
/// not taken from the pool just as the other side closes it.
const POOL_IDLE: Duration = Duration::from_secs(50);

type HttpClient = Client<Within<HttpsConnector<HttpConnector>>, Full<Bytes>>;

/// One chatbot backend.
pub(super) struct Upstream {
    /// Who receives the data, as records name it.
    pub(super) recipient: String,
    scheme: Scheme,
    authority: Authority,
    /// Put before the request's path; without a slash at its end.
    base: String,
    set_headers: Vec<(HeaderName, HeaderValue)>,
    client: HttpClient,
    /// For requests to switch protocols: HTTP/1.1, and no connection is used twice.
    switching: HttpClient,
    first_byte: Duration,
}

impl Upstream {
    /// Prepares the client; reads the certificates that are trusted.
    pub(super) fn new(config: &config::Upstream, timeouts: &config::Timeouts) -> Result<Self, String> {
        let parts = config.url.clone().into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(format!("upstream {}: the address needs http:// or https:// and a host", config.name));
        };
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        let tls = trust::client_config(scheme == Scheme::HTTPS, config.ca.as_deref())
            .map_err(|why| format!("upstream {}: {why}", config.name))?;
        let connector = || hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let within = |connector| Within { connector, limit: timeouts.connect };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_timer(TokioTimer::new())
            .build(within(connector().enable_all_versions().wrap_connector(http.clone())));
        let switching = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(within(connector().enable_http1().wrap_connector(http)));
        let base = config.url.path().trim_end_matches('/').to_owned();
        let set_headers = config.set_headers.clone();
        let (recipient, first_byte) = (config.recipient.clone(), timeouts.first_byte);
        Ok(Self { recipient, scheme, authority, base, set_headers, client, switching, first_byte })
    }

    /// Sends a request of which nothing is left to check. This is the one call
    /// by which anything leaves for the chatbot, but for the messages of a
    /// connection that it has switched over.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ProxyError> {
        *request.uri_mut() = self.address(request.uri()).ok_or_else(ProxyError::bad_address)?;
        *request.version_mut() = http::Version::HTTP_11;
        for (name, value) in &self.set_headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        // Also where the chatbot does not switch, nothing else is asked for on
        // a connection on which somebody has tried to (CVE-2026-2833).
        let switches = request.headers().contains_key(header::UPGRADE);
        let client = if switches { &self.switching } else { &self.client };
        let failed = |cause: &str, error: ProxyError| {
            tracing::warn!(upstream = %self.recipient, cause, "The upstream has failed.");
            Err(error)
        };
        match timeout(self.first_byte, client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => failed(&causes(&error), ProxyError::upstream_unreachable()),
            Ok(Err(error)) => failed(&causes(&error), ProxyError::upstream_broke_off()),
            Err(_) => failed("no answer within `timeouts.first_byte`", ProxyError::upstream_timeout()),
        }
    }

    /// The path of a request that is sent to this address; none where it is
    /// another origin's, or not below this upstream's base.
    pub(super) fn path_to(&self, address: &Uri) -> Option<PathAndQuery> {
        let origin = |scheme: &str, authority: &Authority| {
            let is_secure = match scheme {
                "https" | "wss" => true,
                "http" | "ws" => false,
                _ => return None,
            };
            let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
            Some((is_secure, authority.host().to_ascii_lowercase(), port))
        };
        let own = origin(self.scheme.as_str(), &self.authority)?;
        if origin(address.scheme_str()?, address.authority()?)? != own {
            return None;
        }
        let path = address.path_and_query()?.as_str().strip_prefix(&self.base)?;
        if path.starts_with('/') { path.parse().ok() } else { None }
    }

    fn address(&self, asked: &Uri) -> Option<Uri> {
        let path = asked.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let path = if self.base.is_empty() { path } else { format!("{}{path}", self.base).parse().ok()? };
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path).build().ok()
    }
}

/// Connects within a time, the handshake of TLS included.
#[derive(Clone)]
struct Within<C> {
    connector: C,
    limit: Duration,
}

impl<C> Service<Uri> for Within<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Response: Send,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let connecting = timeout(self.limit, self.connector.call(address));
        Box::pin(
            async move { connecting.await.unwrap_or_else(|_| Err("no connection within `timeouts.connect`".into())) },
        )
    }
}

/// An error with its causes, outermost first. They name hosts, ports and what
/// was expected of the protocol, and nothing of a message.
fn causes(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| (**error).source()).map(cause).collect::<Vec<_>>().join(": ")
}

fn cause(error: &(dyn Error + 'static)) -> String {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match (error.downcast_ref::<h2::Error>(), within) {
        // Its own text repeats whatever the upstream wrote into a GOAWAY.
        (Some(error), _) => match (error.reason(), error.get_io()) {
            (Some(reason), _) => reason.to_string(),
            (None, Some(error)) => cause(error),
            (None, None) => "HTTP/2 was used wrongly".to_owned(),
        },
        (None, Some(within)) => cause(within),
        (None, None) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncWriteExt;

    /// RFC 9113, sections 6.5 and 6.8.
    #[tokio::test]
    async fn what_an_upstream_says_of_its_end_is_not_told() {
        let (ours, mut theirs) = tokio::io::duplex(4_096);
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let text = b"ana@example.org";
        let goaway = [0, 0, 8 + text.len() as u8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
        theirs.write_all(&[&settings[..], &goaway, text].concat()).await.unwrap();
        let connecting = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(ours));
        let (mut sender, connection) = connecting.await.unwrap();
        let request = Request::new(Full::<Bytes>::default());
        let (answered, ended) = tokio::join!(sender.send_request(request), connection);
        for error in [answered.map(drop).unwrap_err(), ended.unwrap_err()] {
            let told = causes(&error);
            assert!(!told.contains("ana"), "{told}");
            assert!(told.contains("http2 error"), "{told}");
        }
    }
}
