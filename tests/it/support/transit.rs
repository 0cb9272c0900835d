//! A key service that speaks as the Transit engine of a vault server does, and
//! fails as it does.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::prelude::*;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// What it does with a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Serves,
    /// 503, as after a restart.
    Sealed,
    /// It takes the call and never answers.
    Hangs,
    /// It breaks off.
    Babbles,
}

/// One call that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    pub path: String,
    pub token: String,
    pub namespace: Option<String>,
}

pub struct Transit {
    pub address: String,
    state: Arc<Mutex<State>>,
}

struct State {
    versions: BTreeMap<u64, [u8; 32]>,
    least: u64,
    mood: Mood,
    token: String,
    ttl: u64,
    calls: Vec<Called>,
}

impl Transit {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            versions: BTreeMap::from([(1, random())]),
            least: 1,
            mood: Mood::Serves,
            token: "s.right".to_owned(),
            ttl: 3600,
            calls: Vec::new(),
        }));
        tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((socket, _)) = listener.accept().await {
                    let state = Arc::clone(&state);
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    let served =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                    tokio::spawn(async move { drop(served.await) });
                }
            }
        });
        Self { address, state }
    }

    pub fn mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub fn ttl(&self, seconds: u64) {
        self.state.lock().unwrap().ttl = seconds;
    }

    /// Another version of the key, which is used from now on.
    pub fn new_version(&self) {
        let mut state = self.state.lock().unwrap();
        let next = state.versions.len() as u64 + 1;
        state.versions.insert(next, random());
    }

    /// `min_decryption_version`: older ones may not be used any more.
    pub fn retire_below(&self, version: u64) {
        self.state.lock().unwrap().least = version;
    }

    /// What was called since this was last asked, but for what concerns the
    /// token.
    pub fn calls(&self) -> Vec<Called> {
        let calls = std::mem::take(&mut self.state.lock().unwrap().calls);
        calls.into_iter().filter(|call| !call.path.contains("/auth/")).collect()
    }

    /// How often the token was renewed.
    pub fn renewals(&self) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| call.path.ends_with("/renew-self")).count()
    }
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let called = Called {
        path: head.uri.path().to_owned(),
        token: header("x-vault-token").unwrap_or_default(),
        namespace: header("x-vault-namespace"),
    };
    assert_eq!(header("x-vault-request").as_deref(), Some("true"));
    let mood = {
        let mut state = state.lock().unwrap();
        state.calls.push(called.clone());
        state.mood
    };
    let (status, answer) = match mood {
        Mood::Hangs => std::future::pending().await,
        Mood::Babbles => (200, "<html>".to_owned()),
        Mood::Sealed => (503, json!({ "errors": ["Vault is sealed"] }).to_string()),
        Mood::Serves => {
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let (status, answer) = state.lock().unwrap().serve(&called, &body);
            (status, answer.to_string())
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(answer)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}

impl State {
    fn serve(&self, called: &Called, body: &Value) -> (u16, Value) {
        if called.token != self.token {
            return (403, json!({ "errors": ["permission denied"] }));
        }
        match called.path.as_str() {
            "/v1/transit/datakey/plaintext/privet" => {
                let key: [u8; 32] = random();
                let (version, wrapping) = self.versions.last_key_value().unwrap();
                let nonce: [u8; 12] = random();
                let mut sealed = key.to_vec();
                cipher(wrapping)
                    .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
                    .unwrap();
                let ciphertext = BASE64_STANDARD.encode([nonce.as_slice(), &sealed].concat());
                let data = json!({
                    "plaintext": BASE64_STANDARD.encode(key),
                    "ciphertext": format!("vault:v{version}:{ciphertext}"),
                    "key_version": version,
                });
                (200, json!({ "data": data }))
            }
            "/v1/transit/decrypt/privet" => match self.decrypt(body["ciphertext"].as_str().unwrap()) {
                Some(key) => (200, json!({ "data": { "plaintext": BASE64_STANDARD.encode(key) } })),
                None => (400, json!({ "errors": ["cipher: message authentication failed"] })),
            },
            "/v1/auth/token/lookup-self" => (200, json!({ "data": { "ttl": self.ttl, "renewable": true } })),
            "/v1/auth/token/renew-self" => (200, json!({ "auth": { "lease_duration": self.ttl, "renewable": true } })),
            _ => (404, json!({ "errors": [] })),
        }
    }

    fn decrypt(&self, wrapped: &str) -> Option<Vec<u8>> {
        let (version, sealed) = wrapped.strip_prefix("vault:v")?.split_once(':')?;
        let version: u64 = version.parse().ok()?;
        let wrapping = self.versions.get(&version).filter(|_| version >= self.least)?;
        let sealed = BASE64_STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = sealed.split_first_chunk::<12>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Some(cipher(wrapping).open_in_place(nonce, Aad::empty(), &mut sealed).ok()?.to_vec())
    }
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).unwrap();
    bytes
}
