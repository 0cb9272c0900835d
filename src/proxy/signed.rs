//! Signed consent: the keys of the site, which are read again where a token
//! names one that is not known, and the tokens that were verified of late.

use crate::clock;
use crate::config::{ConsentConfig, Jwks, Timeouts};
use crate::consent::token::{self, Claims, Expected, Keys, Refused};
use crate::trust;
use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::collections::HashMap;
use std::hash::Hasher;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The longest set of keys that is read, in bytes.
const MAX_DOCUMENT: usize = 256 * 1024;

/// How long reading the keys may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often in a row the keys are read again, and how long until once more:
/// tokens that name made-up keys must not make a load of the site's server.
const BURST: u32 = 5;
const PAUSE: Duration = Duration::from_secs(30);

/// After how long keys are read again, so that one that was taken back is not
/// taken for ever.
const STALE: Duration = Duration::from_mins(10);

/// How many verified tokens are known again.
const VERIFIED: usize = 4096;

/// By what `Privet-Consent-Token` is verified.
pub(super) struct Tokens {
    secret: Option<hmac::Key>,
    expected: Expected,
    source: Option<Source>,
    state: Mutex<State>,
    /// One reader at a time.
    reading: tokio::sync::Mutex<Reading>,
    /// Tokens are known again by a hash that nobody else can make.
    hasher: SipHasher24,
}

enum Source {
    File(PathBuf),
    Url(Uri, Box<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>>),
}

#[derive(Default)]
struct State {
    keys: Arc<Keys>,
    verified: HashMap<u128, Arc<Claims>>,
    /// When the keys were read, or when that was tried.
    read: Option<Instant>,
}

struct Reading {
    left: u32,
    since: Instant,
}

impl Tokens {
    /// Prepares; reads nothing but a file of keys.
    pub(super) fn new(config: &ConsentConfig, timeouts: &Timeouts) -> Result<Self, String> {
        let no_random = |_| "no random numbers can be had".to_owned();
        let mut key = [0; 16];
        aws_lc_rs::rand::fill(&mut key).map_err(no_random)?;
        let source = match &config.jwks {
            None => None,
            Some(Jwks::File(file)) => Some(Source::File(file.clone())),
            Some(Jwks::Url(url)) => Some(Source::Url(url.clone(), Box::new(client(url, timeouts)?))),
        };
        let mut state = State::default();
        if let Some(Source::File(file)) = &source {
            let document = std::fs::read(file).map_err(|error| format!("consent.jwks: {error}"))?;
            state.keys = Arc::new(Keys::parse(&document).map_err(|error| format!("consent.jwks: {error}"))?);
            state.read = Some(Instant::now());
        }
        let secret = config.hs256_secret.as_ref();
        Ok(Self {
            secret: secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())),
            expected: config.expected.clone(),
            source,
            state: Mutex::new(state),
            reading: tokio::sync::Mutex::new(Reading { left: BURST, since: Instant::now() }),
            hasher: SipHasher24::new_with_key(&key),
        })
    }

    /// What a token says; none where it does not hold.
    pub(super) async fn verify(&self, token: &str) -> Option<Arc<Claims>> {
        if self.secret.is_none() && self.source.is_none() {
            return None;
        }
        let now = clock::unix_seconds();
        let mut hasher = self.hasher;
        hasher.write(token.as_bytes());
        let hash = hasher.finish128().as_u128();
        self.refresh().await;
        if let Some(known) = self.state().verified.get(&hash).filter(|known| known.expires > now) {
            return Some(Arc::clone(known));
        }
        let mut verified = self.look(token, now);
        if verified == Err(Refused::UnknownKey) && self.read_again(|| self.look(token, now)).await {
            verified = self.look(token, now);
        }
        match verified {
            Ok(claims) => {
                let (claims, mut state) = (Arc::new(claims), self.state());
                if state.verified.len() >= VERIFIED {
                    state.verified.clear();
                }
                state.verified.insert(hash, Arc::clone(&claims));
                Some(claims)
            }
            Err(why) => {
                tracing::debug!(%why, "A consent token does not hold.");
                None
            }
        }
    }

    fn look(&self, token: &str, now: u64) -> Result<Claims, Refused> {
        let keys = Arc::clone(&self.state().keys);
        token::verify(token, &keys, self.secret.as_ref(), &self.expected, now)
    }

    /// Reads keys that are old once more.
    async fn refresh(&self) {
        let is_stale = || self.state().read.is_some_and(|read| read.elapsed() >= STALE);
        if self.source.is_some() && is_stale() {
            self.read_again(|| if is_stale() { Err(Refused::UnknownKey) } else { Ok(()) }).await;
        }
    }

    /// Reads the keys again, unless `look` says that somebody has done so in
    /// the meantime. Whether there are other keys now.
    async fn read_again<T>(&self, look: impl Fn() -> Result<T, Refused>) -> bool {
        let Some(source) = &self.source else { return false };
        let mut reading = self.reading.lock().await;
        if !matches!(look(), Err(Refused::UnknownKey)) {
            return true;
        }
        if !reading.may_begin() {
            return false;
        }
        self.state().read = Some(Instant::now());
        let read = timeout(PATIENCE, source.read()).await.unwrap_or_else(|_| Err("it takes too long".to_owned()));
        match read.and_then(|document| Keys::parse(&document).map_err(|error| error.to_string())) {
            Ok(keys) => {
                let mut state = self.state();
                state.keys = Arc::new(keys);
                state.verified.clear();
                true
            }
            Err(why) => {
                tracing::warn!(%why, "The keys of `consent.jwks` cannot be read; those that are known stay.");
                false
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn may_begin(&mut self) -> bool {
        let pauses = self.since.elapsed().as_secs() / PAUSE.as_secs();
        if pauses > 0 {
            self.left = self.left.saturating_add(u32::try_from(pauses).unwrap_or(BURST)).min(BURST);
            self.since = Instant::now();
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

impl Source {
    async fn read(&self) -> Result<Bytes, String> {
        match self {
            Self::File(file) => {
                let document = tokio::fs::read(file).await.map_err(|error| error.to_string())?;
                Ok(document.into())
            }
            Self::Url(url, client) => {
                let request = Request::get(url.clone()).header("accept", "application/json").body(Empty::new());
                let request = request.map_err(|error| error.to_string())?;
                let reply = client.request(request).await.map_err(|_| "the server cannot be reached".to_owned())?;
                if !reply.status().is_success() {
                    return Err(format!("the server answers {}", reply.status().as_u16()));
                }
                let body = Limited::new(reply.into_body(), MAX_DOCUMENT).collect().await;
                Ok(body.map_err(|_| "the answer breaks off, or is too long".to_owned())?.to_bytes())
            }
        }
    }
}

fn client(url: &Uri, timeouts: &Timeouts) -> Result<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>, String> {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(timeouts.connect));
    http.enforce_http(false);
    let is_https = url.scheme_str() == Some("https");
    let tls = trust::client_config(is_https, None).map_err(|why| format!("consent.jwks: {why}"))?;
    let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let builder = Client::builder(TokioExecutor::new());
    Ok(builder.build(connector.enable_all_versions().wrap_connector(http)))
}
