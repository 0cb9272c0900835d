//! The client that carries messages to other systems: hyper, with TLS by the
//! system's roots, no redirects, and little time.

use super::RightsError;
use super::signature::HEADER;
use crate::trust;
use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::path::Path;
use std::time::Duration;

/// How long a system has to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// How long it has to answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How much of its answer is read, for the connection to be used again.
const MAX_ANSWER: usize = 64 * 1024;

type Http = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Where messages go.
pub(super) struct Receiver {
    url: Uri,
    http: Http,
}

impl Receiver {
    /// Prepares the way to a system. `ca` is a PEM file of roots beside the system's.
    pub(super) fn new(url: &Uri, ca: Option<&Path>) -> Result<Self, RightsError> {
        let is_secure = url.scheme_str() == Some("https");
        let tls = trust::client_config(is_secure, ca).map_err(RightsError::Webhook)?;
        let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT));
        http.enforce_http(false);
        // Messages are few: no connection is kept.
        let builder = legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).clone();
        let http = builder.build(connector.wrap_connector(http));
        Ok(Self { url: url.clone(), http })
    }

    /// Sends a message; whether it was taken, by a status of 200 to 299.
    pub(super) async fn post(&self, signature: &str, body: String) -> bool {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("privet/", env!("CARGO_PKG_VERSION")))
            .header(HEADER, signature)
            .body(Full::new(Bytes::from(body)));
        let Ok(request) = request else { return false };
        let answered = async {
            let response = self.http.request(request).await.ok()?;
            let is_taken = response.status().is_success();
            let _ = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            Some(is_taken)
        };
        tokio::time::timeout(ANSWER, answered).await.ok().flatten().unwrap_or(false)
    }
}
