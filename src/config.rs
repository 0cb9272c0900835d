//! The configuration: one [`Config`] tree, read once, checked before anything
//! starts. A TOML file, `PRIVET_…` variables and command line flags are laid
//! over the defaults in this order; the later wins. Every problem is found in
//! one go, each with its place and what to write instead.
//!
//! `keys` is the one table of settings: the reader, the printed defaults, the
//! JSON Schema and the names of the variables all come from it.

mod build;
mod check;
mod choice;
mod detection;
mod key;
mod keys;
mod notice;
mod path;
mod place;
mod print;
mod problem;
mod retention;
mod rights;
mod settings;
mod source;
mod together;
mod units;

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

use crate::consent::token::Expected;
use crate::entity::Entity;
use crate::sensitive::Sensitive;

pub use choice::{Basis, Binary, Expiry, Identity, LogFormat, LogLevel, Reply, Role, Transfer, WithoutConsent};
pub use detection::{Detection, Mask, Place, doubtful_names};
pub use key::{Keys, Transit};
pub use notice::{Notice, PurposeText};
pub(crate) use path::normalize as plain_path;
pub use problem::{Origin, Problem, Problems};
pub use retention::{Keep, Retention};
pub use rights::{TranscriptPlace, Transcripts, Webhook, WebhookEvent};
pub use source::{Flag, Sources};

/// Everything that the gateway can be told, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the chat traffic is served, `HOST:PORT`; port 0 takes any free one.
    pub listen: String,
    /// Where metrics, health and the status page are served, `HOST:PORT`.
    pub admin: String,
    /// Names by which clients of this machine may ask the admin listener.
    pub admin_hosts: Vec<String>,
    /// The vault: `embedded:PATH`, `memory:` or `postgres://…`. It may hold a
    /// password, so `Debug` does not show it.
    pub vault: Sensitive,
    /// Where clients reach the gateway, where their requests do not tell.
    pub public_url: Option<Uri>,
    /// A folder of rule files beside the built-in rules.
    pub rules: Option<PathBuf>,
    /// A folder of protocol files beside the built-in ones.
    pub protocols: Option<PathBuf>,
    /// The chatbots; the first serves routes that name none. Never empty.
    pub upstreams: Vec<Upstream>,
    /// What data is used for. Every purpose that a route names is here.
    pub purposes: Vec<Purpose>,
    /// How consent is judged.
    pub consent: ConsentConfig,
    /// What persons are asked to agree to.
    pub notices: Vec<Notice>,
    /// The regions that data may go to; none of them means anywhere.
    pub regions: Vec<String>,
    /// Entities that retention and purposes name, and where.
    pub named: Vec<(Entity, Place)>,
    /// Paths and how they are treated, one with path `/` among them.
    pub routes: Vec<Route>,
    /// What is asked of findings where no route says otherwise.
    pub detection: Detection,
    /// The tenant of routes that name none.
    pub tenant: String,
    /// Where a request says whose it is, beside `Privet-Subject`.
    pub subject: SubjectConfig,
    /// What happens to the headers of requests.
    pub headers: Headers,
    /// Browsers of other origins.
    pub cors: Cors,
    /// TLS on the listeners; plain HTTP without it.
    pub tls: Option<Tls>,
    /// The file that holds the key, in the form of `PRIVET_KEY`.
    pub key_file: Option<PathBuf>,
    /// The key from `PRIVET_KEY` or `key_file`: 32 bytes in base64 (RFC 4648
    /// section 4). `serve` needs one.
    pub key: Option<Sensitive>,
    /// The other keys of the vault, and the service that keeps them.
    pub keys: Keys,
    /// How long values are kept; without any, until they are erased.
    pub retention: Vec<Retention>,
    /// How the vault forgets.
    pub sweep: Sweep,
    /// Backups that are made by themselves.
    pub backup: Option<Backup>,
    /// A file to which erasures and withdrawals are appended.
    pub erasures: Option<PathBuf>,
    /// Bounds on what clients may send and hold.
    pub limits: Limits,
    /// How long to wait for whom.
    pub timeouts: Timeouts,
    /// The access log.
    pub audit: AuditConfig,
    /// What raises an alarm.
    pub alerts: AlertsConfig,
    /// Systems behind that are told what became of subjects.
    pub webhooks: Vec<Webhook>,
    /// Conversations without persons, kept for analysis.
    pub transcripts: Option<Transcripts>,
    /// The log.
    pub log: Log,
}

/// A chatbot or LLM backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The name that routes use; `default` for the one of `upstream = "URL"`.
    pub name: String,
    /// `http` or `https`, an authority, and perhaps a path that is put before
    /// the request's; no user info, no query.
    pub url: Uri,
    /// The region where it stands, in small letters.
    pub region: Option<String>,
    /// The country where it stands (ISO 3166-1 alpha-2), in capitals.
    pub country: Option<String>,
    /// Who receives the data there, as records name it.
    pub recipient: String,
    /// What the recipient is to the controller.
    pub role: Role,
    /// On what a transfer to a third country rests.
    pub transfer: Transfer,
    /// A PEM file (RFC 7468) with roots to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// Headers set on every request to it. The values are marked sensitive,
    /// so `Debug` does not show them.
    pub set_headers: Vec<(HeaderName, HeaderValue)>,
}

impl Upstream {
    /// The path to put before the request's, without a slash at its end; empty
    /// where `url` has none.
    pub fn path_prefix(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }
}

/// What data is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// The name, a key of Structured Fields (RFC 9651 section 3.1.2).
    pub name: String,
    /// The legal basis (GDPR Article 6(1)).
    pub basis: Basis,
    /// Data is sold: `Sec-GPC: 1` objects to it.
    pub sale: bool,
    /// Data is shared for advertising: `Sec-GPC: 1` objects to it.
    pub sharing: bool,
    /// Persons are profiled: `Sec-GPC: 1` objects to it.
    pub profiling: bool,
    /// Consent must be explicit (GDPR Article 9(2)(a)).
    pub explicit: bool,
    /// Redacted transcripts are kept, where any are.
    pub transcripts: bool,
    /// The entities that may come back; all of them without a list.
    pub reversible: Option<Vec<Entity>>,
    /// The upstreams that may serve it; all of them without a list.
    pub upstreams: Option<Vec<String>>,
}

impl Purpose {
    /// A purpose that asks for consent and nothing else.
    pub fn asking(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            basis: Basis::Consent,
            sale: false,
            sharing: false,
            profiling: false,
            explicit: false,
            transcripts: false,
            reversible: None,
            upstreams: None,
        }
    }

    /// Whether `Sec-GPC: 1` objects to this purpose.
    pub fn yields_to_gpc(&self) -> bool {
        self.sale || self.sharing || self.profiling
    }
}

/// How consent is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsentConfig {
    /// The version of the current notice; without it any version is taken.
    pub policy: Option<String>,
    /// The versions that consent may have been given to, `policy` among them.
    pub accept_policies: Vec<String>,
    /// The address of the notice, as refusals name it.
    pub notice_url: String,
    /// Whether consent counts only where the site has signed it.
    pub require_signed: bool,
    /// The secret by which the site signs with HS256.
    pub hs256_secret: Option<Sensitive>,
    /// Where the site's public keys are.
    pub jwks: Option<Jwks>,
    /// Whether they may come from another machine over plain HTTP.
    pub plain_http: bool,
    /// What a token must fit beside its signature.
    pub expected: Expected,
    /// The purpose that needs consent too where sensitive data is found; one
    /// of [`Config::purposes`].
    pub special_categories: Option<String>,
}

/// Where a JWK Set (RFC 7517) is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwks {
    /// A file.
    File(PathBuf),
    /// An `http` or `https` URL.
    Url(Uri),
}

impl ConsentConfig {
    /// Whether tokens that the site signs can be verified.
    pub fn accepts_tokens(&self) -> bool {
        self.hs256_secret.is_some() || self.jwks.is_some()
    }

    /// Whether consent to this version of the notice still holds.
    pub fn accepts(&self, version: &str) -> bool {
        self.policy.is_none() || self.accept_policies.iter().any(|accepted| accepted == version)
    }
}

/// How requests under a path are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The path, without a slash at its end (but for `/` itself). It matches
    /// whole segments: `/v1` matches `/v1` and `/v1/x`, not `/v1x`.
    pub path: String,
    /// The purpose that needs consent; always one of [`Config::purposes`].
    pub purpose: String,
    /// What happens to requests without consent.
    pub without_consent: WithoutConsent,
    /// `auto`, or the name of a protocol.
    pub protocol: String,
    /// Where that is written.
    pub protocol_at: Place,
    /// What happens to tokens in replies.
    pub reply: Reply,
    /// The name of its upstream; the first one without it.
    pub upstream: Option<String>,
    /// What happens to fields that identify a person to the protocol.
    pub identity: Identity,
    /// Whether a request is refused that has members which its protocol does
    /// not know.
    pub strict: bool,
    /// What happens to bodies that cannot be inspected.
    pub binary: Binary,
    /// What happens to files in multipart bodies that are no text.
    pub files: Binary,
    /// Its tenant.
    pub tenant: String,
    /// What is asked of its findings, that of the whole included.
    pub detection: Detection,
}

/// Where a request says whose it is, beside `Privet-Subject`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectConfig {
    /// The places to look at, in this order.
    pub from: Vec<SubjectSource>,
    /// By which entities subjects can be found.
    pub index: Vec<Entity>,
    /// For how long a conversation can be gone on with from the id of a reply.
    pub links: Duration,
}

/// A place of a request that names its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectSource {
    /// `header:NAME`.
    Header(HeaderName),
    /// `cookie:NAME` (RFC 6265).
    Cookie(String),
    /// `jwt:sub`, that of a consent token that holds.
    Token,
    /// `body:PATH`, the keys of a JSON body joined by dots.
    Body(String),
}

/// What happens to the headers of requests, beside what is built in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// These do not travel.
    pub drop: Vec<HeaderPattern>,
    /// These travel, with personal data replaced.
    pub scan: Vec<HeaderPattern>,
    /// These travel as they are.
    pub keep: Vec<HeaderPattern>,
}

/// Names of headers: one, or all that begin or end alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderPattern {
    /// This one alone.
    Name(HeaderName),
    /// Those that begin so, `x-forwarded-*`; in small letters.
    Beginning(String),
    /// Those that end so, `*-client-ip`; in small letters.
    Ending(String),
}

impl HeaderPattern {
    /// Whether the pattern names this header.
    pub fn matches(&self, name: &HeaderName) -> bool {
        match self {
            Self::Name(one) => one == name,
            Self::Beginning(text) => name.as_str().starts_with(text),
            Self::Ending(text) => name.as_str().ends_with(text),
        }
    }
}

/// Browsers of other origins (CORS, the Fetch standard).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins whose pages may use the gateway; without any, preflights go to
    /// the upstream.
    pub origins: Vec<String>,
}

/// TLS on the listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, a PEM file.
    pub certificate: PathBuf,
    /// Its private key, a PEM file.
    pub key: PathBuf,
    /// Whether the admin listener speaks TLS too.
    pub admin: bool,
}

/// How the vault forgets what was kept long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// How often it is looked through.
    pub every: Duration,
    /// For how long the gateway may have been away before its clock is doubted.
    pub max_gap: Duration,
}

/// Backups that are made by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The folder for them.
    pub dir: PathBuf,
    /// How often one is made.
    pub every: Duration,
    /// How many stay.
    pub keep: usize,
}

/// Bounds on what clients may send and hold. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest request body.
    pub request_body: usize,
    /// All bodies that are held at one time, together.
    pub bodies_in_flight: usize,
    /// How many times its size a compressed body may grow to.
    pub decode_ratio: u64,
    /// How deep JSON may nest.
    pub json_depth: usize,
    /// The longest reply body that is held whole to be restored.
    pub reply_body: usize,
    /// The longest message of a WebSocket, in either direction.
    pub socket_message: usize,
    /// The longest request head.
    pub header_bytes: usize,
    /// The most header lines of a request.
    pub headers: usize,
    /// The most connections at one time.
    pub connections: usize,
    /// The most requests in work at one time.
    pub in_flight: usize,
    /// The most requests of one client address a minute; 0 sets no limit.
    pub client_requests: u32,
    /// The most streams of one HTTP/2 connection.
    pub h2_streams: u32,
}

/// How long to wait for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// For a whole request head.
    pub header: Duration,
    /// For a whole request body.
    pub body: Duration,
    /// Between two pieces of a request body.
    pub body_idle: Duration,
    /// For a connection to the upstream.
    pub connect: Duration,
    /// For the head of the upstream's reply.
    pub first_byte: Duration,
    /// Between two pieces of the upstream's reply.
    pub stream_idle: Duration,
    /// For a sign of life on a WebSocket, from either side.
    pub socket_idle: Duration,
    /// For a client to take a piece of its reply.
    pub write: Duration,
    /// For running requests to end at shutdown.
    pub drain: Duration,
}

/// The access log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditConfig {
    /// How long its lines are kept; all of them where nothing is said.
    pub keep: Option<Keep>,
    /// Where its lines are sent too.
    pub syslog: Option<Syslog>,
}

/// A server that takes syslog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    /// Over UDP rather than TCP.
    pub udp: bool,
    /// `HOST:PORT`.
    pub address: String,
}

/// What raises an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertsConfig {
    /// Values that one operator may be shown within an hour.
    pub shown_per_hour: u64,
    /// Tokens of others that may be tried within ten minutes.
    pub unknown_tokens: u64,
    /// Log-ins that may be refused within ten minutes.
    pub failed_logins: u64,
    /// From which hour on, and before which, data may be given out (UTC).
    pub office_hours: Option<(u8, u8)>,
}

/// The log on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// The least grave lines that are written.
    pub level: LogLevel,
}

/// A configuration that can be used, and what is odd about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What should be mended but does no harm, such as an unknown variable.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads and checks the configuration. The error holds every problem that
    /// was found. Reads the files that the configuration names, and nothing else.
    pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
        let (settings, problems) = sources.collect()?;
        build::config(&settings, sources, problems)
    }

    /// Reads a configuration from TOML text alone.
    pub fn parse(toml: &str) -> Result<Loaded, Problems> {
        Self::load(&Sources { text: Some(toml.to_owned()), ..Sources::default() })
    }

    /// Every setting with its default and meaning, as a TOML file.
    pub fn defaults() -> String {
        print::defaults()
    }

    /// A JSON Schema (draft 2020-12) of the configuration file.
    pub fn schema() -> serde_json::Value {
        print::schema()
    }

    /// The route with the longest path that matches the path of a request
    /// (without its query). Percent-encoded unreserved characters, empty and
    /// dot segments do not choose another route than the plain form does
    /// (RFC 3986 section 6.2.2).
    pub fn route(&self, path: &str) -> Option<&Route> {
        let plain = path::normalize(path);
        self.routes.iter().filter(|route| path::is_under(&plain, &route.path)).max_by_key(|route| route.path.len())
    }

    /// Whether servers that read paths more liberally than RFC 3986 would find
    /// another route's address in `path`: who may use one route could so reach
    /// what another guards.
    pub fn is_ambiguous(&self, path: &str) -> bool {
        let plain = path::normalize(path);
        let Some(liberal) = path::liberal(&plain) else { return false };
        let under = |route: &&Route| path::is_under(&liberal, &route.path.to_ascii_lowercase());
        let other = self.routes.iter().filter(under).max_by_key(|route| route.path.len());
        let same = |a: &Route, b: &Route| a.path.eq_ignore_ascii_case(&b.path);
        other.is_some_and(|other| !self.route(path).is_some_and(|route| same(route, other)))
    }

    /// The purpose with this name.
    pub fn purpose(&self, name: &str) -> Option<&Purpose> {
        self.purposes.iter().find(|purpose| purpose.name == name)
    }

    /// The upstream with this name, or the first one for `None`.
    pub fn upstream(&self, name: Option<&str>) -> Option<&Upstream> {
        match name {
            None => self.upstreams.first(),
            Some(name) => self.upstreams.iter().find(|upstream| upstream.name == name),
        }
    }
}

#[cfg(test)]
mod tests;
