//! How a command reaches a vault: it opens it, or where a running gateway
//! holds it, it asks that one over its admin listener. Either way it speaks the
//! admin API, so that there is one way to do each thing and one line in the
//! access log of it.
//!
//! A gateway leaves its address in a file of the vault's folder, which its own
//! user alone may read; a command proves itself by a MAC of the deployment's key.

mod address;
mod pinned;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Failure, flags, innermost, open};
use crate::admin::api::{self, Services};
use crate::admin::login::{Inside, Proofs};
use crate::clock;
use crate::config::{Config, Flag, Sources};
use crate::telemetry::Metrics;
use crate::vault::{Vault, VaultError, VaultUrl};

pub(super) use address::{Published, Unpublish};
pub(super) use pinned::client as pinned_client;
pub(super) use pinned::hash as certificate_hash;

/// Which vault a command is about.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Which {
    /// The vault: embedded:FOLDER [default: the configuration's, else embedded:./privet-data]
    #[arg(long, value_name = "URL")]
    pub(super) vault: Option<String>,
    /// The configuration file; `PRIVET_CONFIG` may name it too
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Stands in for a file where there is none: an upstream must be named, and is
/// not asked.
const NO_FILE: &str = "upstream = \"http://127.0.0.1:1\"\n";

/// How long a gateway may take to begin its answer,
const PATIENCE: Duration = Duration::from_mins(1);

/// and where it first goes through all subjects, or all of the access log.
const LONG_PATIENCE: Duration = Duration::from_hours(12);

/// How long systems behind have to take what a command has to tell them.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The longest answer that is read whole, in bytes.
const LONGEST: usize = 64 << 20;

impl Which {
    /// The configuration that names the vault, with flags and variables.
    pub(super) fn load(self) -> Result<Config, Failure> {
        let file = flags::file(self.config);
        let text = file.is_none().then(|| NO_FILE.to_owned());
        let vault = self.vault.map(|value| Flag { flag: "--vault", key: "vault", value });
        let environment = Sources::process_environment();
        let sources = Sources { file, text, environment, flags: vault.into_iter().collect() };
        Ok(Config::load(&sources)?.config)
    }
}

/// The admin API, wherever it is.
pub(super) struct Api(Kind);

enum Kind {
    /// In this process.
    Here { router: Router, services: Arc<Services> },
    /// In that of a running gateway.
    There { url: String, proofs: Box<Proofs>, client: Box<Client<HttpsConnector<HttpConnector>, Full<Bytes>>> },
}

impl Api {
    /// Opens the vault, or finds who holds it.
    pub(super) async fn open(config: Config) -> Result<Self, Failure> {
        let (keys, key, place) = (open::keys(&config)?, open::proof_key(&config)?, open::place(&config)?);
        if place == VaultUrl::Memory {
            return Err(Failure::Usage(
                "a vault in memory lives and ends within its gateway; use the admin API of that one".to_owned(),
            ));
        }
        let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{place}: {error}"));
        let proofs = Proofs::new(&key).map_err(|e| failed(&e))?;
        match Vault::open(&place, keys, open::options(&config)).await {
            Ok(vault) => {
                open::keep_erasures(&config, &vault)?;
                let metrics = Metrics::new().map_err(|e| failed(&e))?;
                let services = Services::new(Arc::new(config), vault, proofs, metrics, None);
                let services = services.await.map_err(|e| failed(&e))?;
                Ok(Self(Kind::Here { router: api::router(&services), services }))
            }
            Err(VaultError::InUse) => {
                let held = |error| Failure::Failed(format!("{place} is held by another process: {error}"));
                let VaultUrl::Embedded(folder) = &place else { return Err(failed(&VaultError::InUse)) };
                let Published { admin, certificate } = Published::read(folder).map_err(held)?;
                let tls = pinned::client(certificate).map_err(|e| failed(&e))?;
                let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
                let client = Box::new(Client::builder(TokioExecutor::new()).build(connector.build()));
                Ok(Self(Kind::There { url: admin, proofs: Box::new(proofs), client }))
            }
            Err(error) => Err(open::failed(&place, &error)),
        }
    }

    /// Calls an operation; `path` begins behind `/api/v1`. The answer of a
    /// refusal is its problem, as the failure of the command.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Body>, Failure> {
        let target = format!("{}{path}", api::BASE);
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder().method(&method);
        let request = if body.is_empty() { request } else { request.header(header::CONTENT_TYPE, "application/json") };
        let response = match &self.0 {
            Kind::Here { router, .. } => {
                let request = request.uri(target).body(Body::from(body)).map_err(|_| misspelled(path))?;
                let (mut head, body) = request.into_parts();
                head.extensions.insert(Inside);
                let answered = router.clone().oneshot(Request::from_parts(head, body)).await;
                answered.unwrap_or_else(|never| match never {})
            }
            Kind::There { url, proofs, client } => {
                let failed = |why: String| Failure::Failed(format!("the gateway at {url}: {why}"));
                let proof = proofs.make(method.as_str(), &target, body.as_bytes(), clock::unix_seconds());
                let proof = proof.map_err(|e| failed(e.to_string()))?;
                let request = request.uri(format!("{url}{target}")).header(header::AUTHORIZATION, proof);
                let request = request.body(Full::from(body)).map_err(|_| misspelled(path))?;
                let answered = tokio::time::timeout(patience(path), client.request(request)).await;
                let answered = answered.map_err(|_| failed("no answer in time".to_owned()))?;
                answered.map_err(|e| failed(innermost(&e).to_string()))?.map(Body::new)
            }
        };
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    /// Calls an operation that answers with JSON.
    pub(super) async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let response = self.call(method, path, body).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let body = to_bytes(response.into_body(), LONGEST).await;
        let body = body.map_err(|_| Failure::Failed("the answer broke off".to_owned()))?;
        serde_json::from_slice(&body).map_err(|_| Failure::Failed("the answer is no JSON".to_owned()))
    }

    /// All items of a list, page by page.
    pub(super) async fn all(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut next = format!("{path}?limit=1000");
        loop {
            let mut page = self.json(Method::GET, &next, None).await?;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items);
            }
            let Some(after) = page["next"].as_str() else { return Ok(all) };
            let after = percent_encoding::utf8_percent_encode(after, percent_encoding::NON_ALPHANUMERIC);
            next = format!("{path}?limit=1000&after={after}");
        }
    }

    /// Gives the room of what was removed back to the disk, where no gateway is
    /// at work beside: its requests would wait for that.
    pub(super) async fn compact(&self) -> Result<(), Failure> {
        match &self.0 {
            Kind::Here { services, .. } => {
                services.vault.compact().await.map_err(|error| Failure::Failed(error.to_string()))
            }
            Kind::There { .. } => Ok(()),
        }
    }

    /// Lets go of the vault.
    pub(super) async fn close(self) {
        if let Kind::Here { services, .. } = self.0 {
            // What is not taken now waits for a gateway.
            let _ = tokio::time::timeout(LAST_WORDS, services.rights.send_messages()).await;
            services.close().await;
        }
    }
}

fn misspelled(path: &str) -> Failure {
    Failure::Usage(format!("`{path}` is no path"))
}

/// What a problem document says, for people.
async fn refused(response: Response<Body>) -> Failure {
    let status = response.status();
    let body = to_bytes(response.into_body(), LONGEST).await.unwrap_or_default();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let said = problem["detail"].as_str().or(problem["title"].as_str());
    let said = said.map_or_else(|| format!("it was answered with {status}"), str::to_owned);
    if status == StatusCode::BAD_REQUEST { Failure::Usage(said) } else { Failure::Failed(said) }
}

/// How long the operation at `path` may take.
fn patience(path: &str) -> Duration {
    let is_long = ["/vault/", "/audit/", "/reports/"].iter().any(|all| path.starts_with(all));
    if is_long { LONG_PATIENCE } else { PATIENCE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_everything_is_waited_for() {
        assert!(patience("/reports/breach?key_id=k") > Duration::from_hours(1));
        assert!(patience("/vault/verify") > Duration::from_hours(1));
        assert!(patience("/operators/anna") <= Duration::from_mins(1));
    }
}
