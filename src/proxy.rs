//! The data path: from the client's request to the chatbot and back.
//!
//! [`exchange`](exchange::exchange) reads straight down; each stage is a
//! module beside it.

mod address;
mod body;
mod chain;
mod charset;
mod clean;
mod clients;
mod content;
mod cors;
mod coverage;
mod encoding;
mod error;
mod exchange;
mod format;
mod gate;
mod guess;
mod head;
mod header_values;
mod headers;
mod inspect;
mod links;
mod look;
mod lookalike;
mod own;
mod packets;
mod parameters;
mod parts;
mod percent;
mod redact;
mod reply;
mod request_id;
mod restore;
mod signed;
mod special;
mod standing;
mod subject;
pub(crate) mod transcribe;
mod unpacked;
mod upstream;
mod watch;
mod websocket;

pub use reply::{ReplyBody, ReplyError};

use crate::audit;
use crate::config::{self, Binary, Config, Identity, Problem, Purpose, Reply, WithoutConsent};
use crate::detect::{Detector, Engine, Operator, Plan, Wishes};
use crate::ledger::{Ledger, Notices};
use crate::protocol::{Pattern, Protocol, Protocols};
use crate::rights::Rights;
use crate::telemetry::{Metrics, Outcome, RouteMetrics, VaultOperation};
use crate::transcripts::{Redactor, Transcripts};
use crate::vault::{Subject, Vault};
use error::ProxyError;
use http::{HeaderName, Request, Response, header};
use hyper::body::Incoming;
use hyper::service::Service;
use prometheus::IntCounter;
use reply::Settle;
use request_id::RequestIds;
use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use watch::Watch;

const REQUEST_ID: HeaderName = HeaderName::from_static("privet-request-id");

/// Everything that requests share. Made once, before a port is bound.
pub struct Gateway {
    config: Config,
    /// In the order of `config.routes`.
    routes: Vec<Arc<Route>>,
    subjects: subject::Sources,
    /// Members of JSON bodies that may name the subject.
    sought: Vec<Pattern>,
    engine: Arc<Engine>,
    protocols: Protocols,
    vault: Vault,
    /// Opens the lines of the access log.
    audit: audit::Recorder,
    /// Keeps conversations without persons; none where none are kept.
    transcripts: Option<Transcripts>,
    /// Whether some route gives surrogates, so that a subject may have any.
    gives_surrogates: bool,
    watch: Arc<Watch>,
    places: Arc<Semaphore>,
    bodies: body::Budget,
    headers: headers::Policy,
    cors: cors::Cors,
    stream_idle: Duration,
    reply_limit: usize,
    ids: RequestIds,
    rights: Arc<Rights>,
    /// What persons have agreed to.
    ledger: Ledger,
    tokens: signed::Tokens,
    clients: clients::Clients,
    /// Hashes what requests present, so that it is known again.
    presented: RandomState,
    /// The purpose that sensitive data needs too.
    special: Option<Purpose>,
    /// Whether there is a purpose that `Sec-GPC` objects to.
    heeds_gpc: bool,
}

/// How requests under one path are treated.
struct Route {
    purpose: Purpose,
    purpose_name: Arc<str>,
    without_consent: WithoutConsent,
    reply: Reply,
    identity: Identity,
    /// Whether members are refused that the protocol does not know.
    strict: bool,
    binary: Binary,
    files: Binary,
    tenant: String,
    /// None: by the path of each request.
    protocol: Option<Arc<Protocol>>,
    upstream: Arc<upstream::Upstream>,
    metrics: Arc<RouteMetrics>,
    denied: IntCounter,
    /// How much of its bodies was looked at.
    coverage: coverage::Coverage,
    /// What is asked of findings.
    plan: Plan,
    /// What stands in for findings that do not come back.
    means: redact::Means,
    /// By what data of others is found in replies; none where it passes.
    redaction: Option<Arc<restore::Redaction>>,
    /// What the access log says of every exchange of it.
    place: Arc<audit::Place>,
    /// By what its transcripts are redacted; none where none are kept.
    redactor: Option<Arc<Redactor>>,
    /// Texts in which nothing is found under this plan.
    clean: clean::Clean,
}

/// The gateway cannot be set up; the text says what to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(String);

impl Gateway {
    /// Sets up routes and upstream clients. Binds and connects nothing. Where
    /// transcripts are kept, their writer runs on the runtime at hand.
    pub fn new(
        config: Config,
        engine: Arc<Engine>,
        vault: Vault,
        rights: Arc<Rights>,
        metrics: Arc<Metrics>,
        audit: audit::Recorder,
    ) -> Result<Arc<Self>, SetupError> {
        let problem = |why: String| SetupError(why);
        let protocols = protocols(&config)?;
        let upstreams = config
            .upstreams
            .iter()
            .map(|one| Ok((one.name.clone(), Arc::new(upstream::Upstream::new(one, &config.timeouts)?))))
            .collect::<Result<Vec<_>, String>>()
            .map_err(problem)?;
        let unknown = Self::unknown_names(&config, &engine);
        if !unknown.is_empty() {
            let lines: Vec<String> = unknown.iter().map(ToString::to_string).collect();
            return Err(SetupError(lines.join("\n")));
        }
        let no_random = |_| SetupError("no random numbers can be had".to_owned());
        let watch = Arc::new(Watch::new(metrics, &engine).map_err(|e| SetupError(e.to_string()))?);
        let (mut routes, seen) = (Vec::new(), Arc::default());
        for route in &config.routes {
            let named = |(name, _): &&(String, _)| route.upstream.as_ref().is_none_or(|wanted| wanted == name);
            let (_, upstream) = upstreams
                .iter()
                .find(named)
                .ok_or_else(|| SetupError(format!("route {}: there is no such upstream", route.path)))?;
            let purpose = config
                .purpose(&route.purpose)
                .cloned()
                .ok_or_else(|| SetupError(format!("route {}: there is no purpose `{}`", route.path, route.purpose)))?;
            let wishes = Wishes { reversible: purpose.reversible.clone(), ..route.detection.wishes() };
            let plan = engine.plan(&wishes);
            let means = || redact::Means::new(route.detection.clone(), vault.hashing(&route.tenant));
            let redaction = (route.reply == Reply::RestoreRedact).then(|| {
                let (engine, plan) = (Arc::clone(&engine), plan.clone());
                let passes_binary = route.binary == Binary::Pass;
                Arc::new(restore::Redaction { engine, plan, means: means(), passes_binary })
            });
            let keeps = config.transcripts.is_some() && purpose.transcripts;
            let redactor = keeps.then(|| Arc::new(transcribe::redactor(&engine, &plan)));
            routes.push(Arc::new(Route {
                purpose_name: purpose.name.as_str().into(),
                purpose,
                without_consent: route.without_consent,
                reply: route.reply,
                identity: route.identity,
                strict: route.strict,
                binary: route.binary,
                files: route.files,
                tenant: route.tenant.clone(),
                protocol: protocol_of(route, &protocols)?,
                upstream: Arc::clone(upstream),
                denied: watch.metrics.consent_denied(&route.purpose).map_err(|e| SetupError(e.to_string()))?,
                coverage: coverage::Coverage::of(&route.path, &watch.metrics).map_err(|e| SetupError(e.to_string()))?,
                plan,
                means: means(),
                redaction,
                redactor,
                place: Arc::new(place_of(route, &config)),
                clean: clean::Clean::new(&seen).map_err(no_random)?,
                metrics: Arc::new(watch.route(&route.path).map_err(|e| SetupError(e.to_string()))?),
            }));
        }
        let (subjects, sought) = subject::Sources::new(&config.subject).map_err(problem)?;
        let special = special::purpose(&config, &engine, routes.iter().map(|route| &route.plan)).map_err(problem)?;
        let ledger = Ledger::new(&vault, Notices::new(&config.notices));
        let transcripts = config.transcripts.as_ref().map(|kept| Transcripts::open(kept, &vault, &watch.metrics));
        let transcripts = transcripts.transpose().map_err(|error| SetupError(error.to_string()))?;
        let (limits, timeouts) = (&config.limits, &config.timeouts);
        let gives_surrogates = routes.iter().any(|route| route.plan.uses(Operator::Surrogate));
        Ok(Arc::new(Self {
            routes,
            subjects,
            sought,
            engine,
            protocols,
            vault,
            audit,
            transcripts,
            gives_surrogates,
            watch,
            clients: clients::Clients::new(limits.client_requests),
            places: Arc::new(Semaphore::new(limits.in_flight.clamp(1, Semaphore::MAX_PERMITS))),
            bodies: body::Budget::new(limits, timeouts),
            headers: headers::Policy::new(&config.headers),
            cors: cors::Cors::new(&config.cors.origins, config.public_url.as_ref()),
            stream_idle: timeouts.stream_idle,
            reply_limit: limits.reply_body,
            ids: RequestIds::new().map_err(no_random)?,
            rights,
            ledger,
            tokens: signed::Tokens::new(&config.consent, timeouts).map_err(problem)?,
            presented: RandomState::new(),
            special,
            heeds_gpc: config.purposes.iter().any(Purpose::yields_to_gpc),
            config,
        }))
    }

    /// Whether a gateway could be set up so: certificates, protocols, upstreams.
    pub fn check(config: &Config) -> Result<(), SetupError> {
        let protocols = protocols(config)?;
        for upstream in &config.upstreams {
            upstream::Upstream::new(upstream, &config.timeouts).map_err(SetupError)?;
        }
        config.routes.iter().try_for_each(|route| protocol_of(route, &protocols).map(|_| ()))
    }

    /// The entities and rules that the configuration names and no rule has.
    pub fn unknown_names(config: &Config, engine: &Engine) -> Vec<Problem> {
        let routes = config.routes.iter().map(|route| &route.detection);
        let mut unknown: Vec<_> = routes.flat_map(|detection| detection.unknown_names(engine)).collect();
        unknown.sort();
        unknown.dedup();
        unknown
    }

    /// The entities that it names elsewhere and no rule finds, which may be
    /// right where a rule is gone.
    pub fn doubtful_names(config: &Config, engine: &Engine) -> Vec<Problem> {
        config::doubtful_names(&config.named, engine)
    }

    /// Whether headers of this name travel as they are.
    pub fn keeps_header(config: &Config, name: &HeaderName) -> bool {
        headers::Policy::new(&config.headers).of(name) == headers::Treatment::Keep
    }

    /// What persons have agreed to. Whoever sets up a gateway also runs
    /// [`Ledger::follow`], by which it hears of what happens elsewhere.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Where transcripts are kept. Whoever sets up a gateway closes it in the end.
    pub fn transcripts(&self) -> Option<&Transcripts> {
        self.transcripts.as_ref()
    }

    /// Whether transcripts of a route are kept.
    fn transcribes(&self, route: &Route) -> bool {
        self.transcripts.is_some() && route.redactor.is_some()
    }

    /// The engine under the plan of a route.
    fn detector<'g>(&'g self, route: &'g Route) -> Detector<'g> {
        Detector { engine: &self.engine, plan: &route.plan }
    }

    /// Answers one request of the data listener.
    async fn answer(self: Arc<Self>, request: Request<Incoming>, client: IpAddr) -> Response<ReplyBody> {
        let id = self.ids.next();
        let origin = request.headers().get(header::ORIGIN).cloned();
        let mut settle = Settle::new(id, Arc::clone(&self.watch));
        let answered = if let Some(allowed) = self.cors.preflight(request.method(), request.headers()) {
            settle.outcome(Outcome::Answered);
            Ok(ReplyBody::no_content(allowed))
        } else if self.cors.refuses(request.uri(), request.headers()) {
            Err(ProxyError::origin_refused())
        } else if let Err(wait) = self.clients.take(client, Instant::now()) {
            Err(ProxyError::rate_limited(wait))
        } else if own::is_own(request.uri().path()) {
            settle.outcome(Outcome::Answered);
            // Boxed, or each exchange would have its size.
            Box::pin(own::answer(&self, request, settle.id())).await
        } else {
            exchange::exchange(&self, request, &mut settle).await
        };
        let mut response = answered.unwrap_or_else(|error| {
            settle.refused(error.outcome, error.problem.kind);
            error.into_response(id.as_str())
        });
        self.cors.allow(origin.as_ref(), response.headers_mut());
        if let Some(value) = id.to_header() {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response.map(|body| body.settles(settle))
    }

    async fn subject(&self, route: &Route, id: &str) -> Result<Subject, ProxyError> {
        let subject = self.watch.vault(VaultOperation::Subject, self.vault.subject(&route.tenant, id).await)?;
        Ok(subject.for_purpose(&route.purpose.name))
    }

    fn admit(&self) -> Result<OwnedSemaphorePermit, ProxyError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| ProxyError::too_many_requests())
    }

    fn route(&self, path: &str) -> Result<&Arc<Route>, ProxyError> {
        if self.config.is_ambiguous(path) {
            return Err(ProxyError::bad_request(
                "The path can be read as that of another route; write it without `;`, encoded slashes, \
                 backslashes and in the letters of the route.",
            ));
        }
        let found = self.config.route(path);
        let at = found.and_then(|found| self.config.routes.iter().position(|route| std::ptr::eq(route, found)));
        at.and_then(|at| self.routes.get(at)).ok_or_else(|| ProxyError::not_found("No route covers this path."))
    }
}

/// What the access log says of the exchanges of a route.
fn place_of(route: &config::Route, config: &Config) -> audit::Place {
    let upstream = config.upstream(route.upstream.as_deref());
    audit::Place {
        tenant: route.tenant.clone(),
        route: route.path.clone(),
        purpose: route.purpose.clone(),
        recipient: upstream.map(|upstream| upstream.recipient.clone()).unwrap_or_default(),
    }
}

/// The built-in protocols and those of the deployment.
fn protocols(config: &Config) -> Result<Protocols, SetupError> {
    let read = match &config.protocols {
        Some(folder) => Protocols::with_folder(folder),
        None => Protocols::builtin(),
    };
    read.map_err(|error| SetupError(error.to_string()))
}

/// The protocol that a route names; none for `auto`.
fn protocol_of(route: &config::Route, protocols: &Protocols) -> Result<Option<Arc<Protocol>>, SetupError> {
    if route.protocol == "auto" {
        return Ok(None);
    }
    let known: Vec<_> = protocols.names().collect();
    let unknown = || {
        let (place, known) = (&route.protocol_at, known.join("`, `"));
        format!("{place}: no protocol has the name `{}`; write `auto` or one of `{known}`", route.protocol)
    };
    protocols.named(&route.protocol).cloned().map(Some).ok_or_else(|| SetupError(unknown()))
}

impl Route {
    /// The protocol of a request to this path with this body.
    fn protocol(&self, path: &str, body: &[u8], gateway: &Gateway) -> Option<Arc<Protocol>> {
        self.protocol.clone().or_else(|| gateway.protocols.tell(path, || str::from_utf8(body).ok()).cloned())
    }
}

/// The gateway as what answers the requests of a connection.
#[derive(Clone)]
pub struct DataService {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Who is at the other end.
    pub client: IpAddr,
}

impl Service<Request<Incoming>> for DataService {
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (gateway, client) = (Arc::clone(&self.gateway), self.client);
        Box::pin(async move { Ok(gateway.answer(request, client).await) })
    }
}
