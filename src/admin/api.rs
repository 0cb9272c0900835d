//! The admin API under `/api/v1`: one table of endpoints, from which both the
//! router and the `OpenAPI` document are made.
//!
//! An endpoint is added by a line in `endpoints` of its noun's file. Its role,
//! path, query, body and answer stand in the document by themselves; a test
//! calls every operation of the document with every role.

pub mod audit;
pub mod cases;
pub mod consents;
mod document;
mod endpoint;
pub mod incidents;
pub mod operators;
mod page;
pub mod reports;
pub mod rules;
pub mod subjects;
pub mod vault;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};

use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use super::login::{self, Logins, Proofs};
use super::role::Role;
use crate::audit::{Action, Audit, KEPT_IN_MEMORY, Look, Options};
use crate::config::Config;
use crate::detect::Engine;
use crate::incident::Register;
use crate::problem::{self, Problem, ProblemKind};
use crate::rights::{Rights, RightsError};
use crate::telemetry::Metrics;
use crate::vault::{Vault, VaultError};

pub use endpoint::{Answer, Call, Created, Done, Endpoint, Json, Nothing, Streamed};
pub use page::{Limit, Page, Paging};

/// Where the API begins.
pub const BASE: &str = "/api/v1";

/// Why an operator looks, such as the number of a case.
const REASON: HeaderName = HeaderName::from_static("privet-reason");
const LONGEST_REASON: usize = 200;

/// How long a client has to send a body, of 256 KiB at most.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

const REQUEST_ID: HeaderName = HeaderName::from_static("privet-request-id");

/// What all handlers share.
#[derive(Debug)]
pub struct Services {
    /// The running configuration.
    pub config: Arc<Config>,
    /// The vault.
    pub vault: Vault,
    /// The access log.
    pub audit: Audit,
    /// The register of incidents.
    pub incidents: Register,
    /// The rights of persons.
    pub rights: Arc<Rights>,
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// Who may come in.
    pub logins: Logins,
    /// The rules of the gateway; none beside a command that is by itself.
    pub engine: Option<Arc<Engine>>,
}

impl<P, Q, B> Call<P, Q, B> {
    /// What the access log says of this call, to be completed. The reason is
    /// the operator's own, where there is one.
    pub fn look(&self, action: Action) -> Look {
        let actor = self.who.to_string();
        let recipient = if action.shows() { actor.clone() } else { String::new() };
        let (reason, request_id) = (self.reason.clone().unwrap_or_default(), self.request_id.clone());
        Look { actor, action, recipient, reason, request_id, ..Look::default() }
    }

    /// Records a look, durably: nothing is to be shown before.
    pub async fn record(&self, look: Look) -> Result<(), Problem> {
        self.services.audit.record(look).await?;
        Ok(())
    }
}

impl Services {
    /// Those over an open vault.
    pub async fn new(
        config: Arc<Config>,
        vault: Vault,
        proofs: Proofs,
        metrics: Arc<Metrics>,
        engine: Option<Arc<Engine>>,
    ) -> Result<Arc<Self>, RightsError> {
        let rights = Rights::new(vault.clone(), &config)?;
        rights.restrictions().load().await?;
        let logins = Logins::new(&vault, Some(proofs), Arc::clone(&metrics));
        let keep = (config.vault.expose() == "memory:").then_some(KEPT_IN_MEMORY);
        let options = Options { keep, in_advance: keep.is_none(), ..Options::default() };
        let audit = Audit::open(&vault, options).await?;
        let incidents = Register::new(&vault);
        Ok(Arc::new(Self { config, vault, audit, incidents, rights, metrics, logins, engine }))
    }

    /// Finishes what is to be written and closes the vault.
    pub async fn close(&self) {
        self.audit.close().await;
        self.vault.clone().close().await;
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// An operator, by a key of its own.
    Operator {
        /// The name that the key was made for.
        name: String,
        /// What it may do.
        role: Role,
    },
    /// Whoever holds the deployment's key: a command beside the gateway.
    KeyHolder,
    /// Nobody knows, and nobody needs to.
    Anyone,
}

impl Who {
    /// The role; none for those who did not log in.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Operator { role, .. } => Some(*role),
            Self::KeyHolder => Some(Role::Admin),
            Self::Anyone => None,
        }
    }
}

/// As the access log names them.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator { name, .. } => write!(f, "operator:{name}"),
            Self::KeyHolder => f.write_str("key-holder"),
            Self::Anyone => f.write_str("anyone"),
        }
    }
}

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Without login.
    Anyone,
    /// This role, and those above it.
    From(Role),
}

impl From<Role> for Access {
    fn from(role: Role) -> Self {
        Self::From(role)
    }
}

/// What the vault cannot do now is told without its reasons, which are in the log.
impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        tracing::warn!(%error, "The admin API cannot use the vault.");
        Self::new(ProblemKind::VaultUnavailable, "The vault cannot be used now.")
    }
}

/// Every endpoint, in the order of the document.
pub fn endpoints() -> Vec<Endpoint> {
    let mut all = vec![document::endpoint()];
    all.extend(operators::endpoints());
    all.extend(consents::endpoints());
    all.extend(audit::endpoints());
    all.extend(incidents::endpoints());
    all.extend(reports::endpoints());
    all.extend(rules::endpoints());
    all.extend(subjects::endpoints());
    all.extend(vault::endpoints());
    all.extend(cases::endpoints());
    all
}

/// The router of the API. It stands on the whole path, `/api/v1` included.
pub fn router(services: &Arc<Services>) -> Router {
    let mut paths: BTreeMap<&'static str, MethodRouter> = BTreeMap::new();
    for endpoint in endpoints() {
        let Ok(filter) = MethodFilter::try_from(endpoint.method.clone()) else { continue };
        let (path, endpoint, services) = (endpoint.path, Arc::new(endpoint), Arc::clone(services));
        let handler = move |request: Request| answer(Arc::clone(&services), Arc::clone(&endpoint), request);
        let other = paths.remove(path).unwrap_or_default();
        paths.insert(path, other.on(filter, handler));
    }
    let known = |kind, detail| {
        let services = Arc::clone(services);
        move |request: Request| {
            let services = Arc::clone(&services);
            async move { nothing(&services, request, &Problem::new(kind, detail)).await }
        }
    };
    let unknown = known(ProblemKind::NotFound, "/api/v1/openapi.json names the operations of this API.");
    let not_so = known(ProblemKind::MethodNotAllowed, "/api/v1/openapi.json names the methods of this path.");
    paths
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(&format!("{BASE}{path}"), methods))
        .route(BASE, axum::routing::any(unknown.clone()))
        .route(&format!("{BASE}/{{*rest}}"), axum::routing::any(unknown))
        .method_not_allowed_fallback(not_so)
}

/// One request: who, whether they may, what they send, and the handler.
async fn answer(services: Arc<Services>, endpoint: Arc<Endpoint>, request: Request) -> Response {
    let request_id = login::request_id();
    let (head, body) = request.into_parts();
    let answered = async {
        let read = async || {
            let too_large = |_| Problem::new(ProblemKind::TooLarge, "The body is longer than this operation takes.");
            timeout(BODY_PATIENCE, to_bytes(body, endpoint.body_limit))
                .await
                .map_err(|_| Problem::new(ProblemKind::BadRequest, "The body did not come in time."))?
                .map_err(too_large)
        };
        let Access::From(least) = endpoint.access else { return Ok((Who::Anyone, read().await?)) };
        let login = services.logins.who(&head).await?;
        if login.who.role().is_none_or(|role| role < least) {
            let detail = format!("This operation needs the role `{least}`.");
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        let body = read().await?;
        login.covers(&body)?;
        if least >= Role::Officer && !endpoint.records_itself {
            let look = look(&services, &endpoint, &login.who, &head, &request_id).await?;
            services.audit.record(look).await?;
        }
        Ok((login.who, body))
    };
    let mut response = match answered.await {
        Ok((who, body)) => {
            let (services, request_id) = (Arc::clone(&services), request_id.clone());
            (endpoint.run)(endpoint::Given { services, who, request_id, head, body }).await
        }
        Err(problem) => refuse(&problem),
    };
    if let Ok(id) = HeaderValue::try_from(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let (method, path, status) = (endpoint.method.as_str(), endpoint.path, response.status().as_u16());
    tracing::debug!(request_id, method, path, status, "An operation of the admin API is answered.");
    response
}

/// What the access log says of an operation, before it is done. The reason is
/// the operator's own, as `Privet-Reason`, or else the operation.
async fn look(
    services: &Services,
    endpoint: &Endpoint,
    who: &Who,
    head: &request::Parts,
    request_id: &str,
) -> Result<Look, Problem> {
    let reason = reason(head).unwrap_or_else(|| format!("{} {}", endpoint.method, endpoint.path));
    let (actor, action, request_id) = (who.to_string(), endpoint.action(), request_id.to_owned());
    let (tenant, subject, entities) = match subject(services, endpoint, head) {
        Some((tenant, id)) => {
            let alias = services.vault.subject(&tenant, &id).await?.alias();
            let entities =
                if action.is_of_values() { services.rights.located(&tenant, &id).await? } else { BTreeMap::new() };
            (tenant, alias, entities)
        }
        None => Default::default(),
    };
    let recipient = if action.shows() { actor.clone() } else { String::new() };
    Ok(Look { actor, action, tenant, subject, recipient, reason, entities, request_id, ..Look::default() })
}

/// Why an operator looks, in words of its own.
fn reason(head: &request::Parts) -> Option<String> {
    let given = head.headers.get(REASON)?.to_str().ok()?;
    Some(given.chars().take(LONGEST_REASON).collect())
}

/// What queries of all operations on a subject have in common.
#[derive(serde::Deserialize)]
struct Named {
    tenant: Option<String>,
}

/// Tenant and id of the subject that the path names.
fn subject(services: &Services, endpoint: &Endpoint, head: &request::Parts) -> Option<(String, String)> {
    let nth = endpoint.path.split('/').position(|segment| segment == "{subject}")?;
    let id = percent_decode_str(head.uri.path().strip_prefix(BASE)?.split('/').nth(nth)?);
    // Read as the operation itself reads it, so that the line names the tenant
    // whose data it gives.
    let Query(named) = Query::<Named>::try_from_uri(&head.uri).ok()?;
    Some((subjects::tenant(&services.config, named.tenant), id.decode_utf8().ok()?.into_owned()))
}

/// An address that is nothing. Only who has logged in is told so.
async fn nothing(services: &Services, request: Request, problem: &Problem) -> Response {
    match services.logins.who(&request.into_parts().0).await {
        Ok(_) => refuse(problem),
        Err(refusal) => refuse(&refusal),
    }
}

/// A problem as a response.
pub(super) fn refuse(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Body::from(problem.to_json());
    let mut response = (status, [(header::CONTENT_TYPE, problem::MEDIA_TYPE)], body).into_response();
    if problem.kind == ProblemKind::Unauthorized {
        let scheme = HeaderValue::from_static("Bearer realm=\"privet\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

#[cfg(test)]
pub(super) mod tests;
