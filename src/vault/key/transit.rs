//! A client of the Transit secrets engine of `HashiCorp` Vault (HTTP API v1),
//! and of what speaks the same, such as `OpenBao`.
//!
//! The engine keeps one secret of the deployment wrapped: it is asked when a
//! vault is opened and when a key is rotated, never for a request. What the
//! server says in words is not told on: its status says enough.

mod answer;

pub use answer::TransitError;

use super::Key;
use crate::sensitive::Sensitive;
use crate::trust;
use answer::{Answer, Lease};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

/// How often a call is tried whose failure may pass.
const TRIES: u32 = 3;
/// Before the second try; the third waits four times as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 << 10;
/// How long to wait after a token could not be renewed.
const RENEW_AGAIN: Duration = Duration::from_secs(15);
/// No token is renewed more often.
const LEAST_RENEWAL: Duration = Duration::from_secs(1);

/// Where a Transit engine is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct TransitSettings {
    /// The server: `https`, or `http` on this machine alone.
    pub address: Uri,
    /// Where the engine is mounted, usually `transit`.
    pub mount: String,
    /// The name of the key in it.
    pub key: String,
    /// The token that lets Privet use the key.
    pub token: TokenSource,
    /// The namespace of the engine, where the server has several.
    pub namespace: Option<String>,
    /// A PEM file (RFC 7468) with roots to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// How long one call may take.
    pub timeout: Duration,
}

/// Where the token of a Transit engine comes from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// It is given, and renewed as long as the process lives.
    Given(Sensitive),
    /// It stands in a file that an agent keeps up to date; it is read for
    /// every call.
    File(PathBuf),
}

/// A Transit engine. Clones share its connections.
#[derive(Clone)]
pub struct Transit(Arc<Inner>);

struct Inner {
    settings: TransitSettings,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Transit {
    /// Prepares the client, and asks nothing yet.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the settings.
    pub fn new(settings: TransitSettings) -> Result<Self, String> {
        let is_https = match (settings.address.scheme_str(), settings.address.host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(host)) if is_local(host) => false,
            (Some("http"), Some(_)) => {
                return Err("the key service must be asked by https: what it answers is a key".to_owned());
            }
            _ => return Err("the address of the key service needs https:// and a host".to_owned()),
        };
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(settings.timeout));
        http.enforce_http(false);
        let tls = trust::client_config(is_https, settings.ca.as_deref())?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        // Calls are rare: no connection is worth keeping.
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector.wrap_connector(http));
        Ok(Self(Arc::new(Inner { settings, client })))
    }

    /// A new random key, made by the engine, and the same wrapped by the
    /// newest version of its own key.
    pub(in crate::vault) async fn data_key(&self) -> Result<(Key, String), TransitError> {
        let answer = self.engine("datakey/plaintext", json!({ "bits": 256 })).await?;
        let wrapped = answer.text("ciphertext")?.as_str().to_owned();
        Ok((answer.key()?, wrapped))
    }

    /// Unwraps a key.
    pub(in crate::vault) async fn decrypt(&self, wrapped: &str) -> Result<Key, TransitError> {
        self.engine("decrypt", json!({ "ciphertext": wrapped })).await?.key()
    }

    /// Renews the token whenever half of its time is over, as long as this is
    /// awaited. Ends where the token lives for ever, or cannot be renewed.
    pub(in crate::vault) async fn keep_token(self) {
        loop {
            let lease = match self.call(Method::GET, "auth/token/lookup-self", None).await {
                Ok(answer) => answer.lease("ttl", "data"),
                Err(error) => Err(error),
            };
            match lease {
                Ok(Some(lease)) => self.renew(lease).await,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "The token of the key service could not be looked up.");
                    sleep(RENEW_AGAIN).await;
                }
            }
        }
    }

    /// Renews until that fails.
    async fn renew(&self, mut lease: Lease) {
        loop {
            sleep((lease.ttl / 2).max(LEAST_RENEWAL)).await;
            let renewed = match self.call(Method::POST, "auth/token/renew-self", Some(json!({}))).await {
                Ok(answer) => answer.lease("lease_duration", "auth"),
                Err(error) => Err(error),
            };
            match renewed {
                Ok(Some(next)) => lease = next,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "The token of the key service could not be renewed.");
                    return sleep(RENEW_AGAIN.min(lease.ttl / 4)).await;
                }
            }
        }
    }

    async fn engine(&self, verb: &str, body: Value) -> Result<Answer, TransitError> {
        let TransitSettings { mount, key, .. } = &self.0.settings;
        self.call(Method::POST, &format!("{}/{verb}/{key}", mount.trim_matches('/')), Some(body)).await
    }

    /// Calls, and again where the failure may pass.
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer, TransitError> {
        let body = Bytes::from(body.map(|body| body.to_string()).unwrap_or_default());
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.call_once(&method, path, body.clone()).await {
                Err(error) if error.may_pass() => sleep(wait).await,
                answer => return answer,
            }
            wait *= 4;
        }
        self.call_once(&method, path, body).await
    }

    async fn call_once(&self, method: &Method, path: &str, body: Bytes) -> Result<Answer, TransitError> {
        let request = self.request(method, path, body)?;
        let answered = async {
            let response = self.0.client.request(request).await.map_err(|_| TransitError::Unreachable)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|_| TransitError::Unreachable)?;
            Answer::new(head.status, body.to_bytes())
        };
        timeout(self.0.settings.timeout, answered).await.map_err(|_| TransitError::Timeout)?
    }

    fn request(&self, method: &Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, TransitError> {
        let TransitSettings { address, namespace, .. } = &self.0.settings;
        let wrong = |_| TransitError::Settings;
        let base = address.path().trim_end_matches('/');
        let uri = Uri::builder()
            .scheme(address.scheme_str().unwrap_or("https"))
            .authority(address.authority().map_or("", |authority| authority.as_str()))
            .path_and_query(format!("{base}/v1/{path}"));
        let mut token = HeaderValue::from_str(self.token()?.trim()).map_err(|_| TransitError::NoToken)?;
        token.set_sensitive(true);
        let mut request = Request::builder()
            .method(method)
            .uri(uri.build().map_err(wrong)?)
            .header("x-vault-token", token)
            // Agents may be set to refuse what a page of a browser could send.
            .header("x-vault-request", "true");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(namespace) = namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        request.body(Full::new(body)).map_err(wrong)
    }

    fn token(&self) -> Result<Zeroizing<String>, TransitError> {
        match &self.0.settings.token {
            TokenSource::Given(token) => Ok(Zeroizing::new(token.expose().to_owned())),
            TokenSource::File(file) => {
                std::fs::read_to_string(file).map(Zeroizing::new).map_err(|_| TransitError::NoToken)
            }
        }
    }
}

impl fmt::Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transit({}, {})", self.0.settings.address, self.0.settings.key)
    }
}

/// Whether a host is this machine, which nobody listens in on.
fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str) -> TransitSettings {
        TransitSettings {
            address: address.parse().unwrap(),
            mount: "transit".to_owned(),
            key: "privet".to_owned(),
            token: TokenSource::Given(Sensitive::from("s.canary")),
            namespace: None,
            ca: None,
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn keys_travel_in_clear_on_this_machine_alone() {
        for address in ["http://127.0.0.1:8200", "http://[::1]:8200", "http://localhost:8200"] {
            Transit::new(settings(address)).unwrap();
        }
        for address in ["http://vault.example:8200", "http://10.0.0.1", "vault.example:8200", "ftp://127.0.0.1"] {
            Transit::new(settings(address)).unwrap_err();
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let transit = Transit::new(settings("http://127.0.0.1:8200")).unwrap();
        let shown = format!("{transit:?} {:?}", transit.0.settings);
        assert!(shown.contains("127.0.0.1") && !shown.contains("canary"), "{shown}");
    }
}
