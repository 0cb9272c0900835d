//! The admin listener: metrics, health, readiness, the status page, and the
//! admin API.
//!
//! It is served on a port of its own, which stays inside; nothing of it can be
//! reached over the port of the chat traffic.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};

use self::api::Services;
use crate::config::Config;
use crate::problem::{Problem, ProblemKind};
use crate::server::Peer;
use crate::telemetry::Metrics;

pub mod api;
mod host;
pub mod login;
pub mod operators;
mod page;
mod readiness;
pub mod reports;
pub mod role;

pub use page::Facts;
pub use readiness::{NotReady, Readiness};

/// What the admin pages show. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminState {
    metrics: Arc<Metrics>,
    readiness: Readiness,
    page: Arc<str>,
    services: Arc<Services>,
}

impl AdminState {
    /// The page is made here, once: its facts do not change.
    pub fn new(services: Arc<Services>, readiness: Readiness, facts: &Facts) -> Self {
        Self { metrics: Arc::clone(&services.metrics), readiness, page: page::render(facts).into(), services }
    }
}

/// The router of the admin listener. Its errors are problem documents.
pub fn router(state: AdminState) -> Router {
    let api = api::router(&state.services);
    let names = Arc::clone(&state.services.config);
    Router::new()
        .route("/", get(index))
        .route("/style.css", get(style))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(async || refusal(ProblemKind::NotFound, "The pages of this listener are listed at /."))
        .method_not_allowed_fallback(async || refusal(ProblemKind::MethodNotAllowed, "This page is only read."))
        .with_state(state)
        .merge(api)
        .layer(middleware::from_fn_with_state(names, only_by_its_names))
        .layer(middleware::from_fn(secured))
}

/// What answers the requests of one connection to the admin listener.
#[derive(Clone)]
pub struct Pages {
    router: TowerToHyperService<Router>,
    from: login::From,
}

impl Pages {
    /// The pages as this client sees them.
    pub fn new(router: &Router, peer: Peer) -> Self {
        Self { router: TowerToHyperService::new(router.clone()), from: login::From(peer.address.ip()) }
    }
}

impl Service<http::Request<Incoming>> for Pages {
    type Response = Response;
    type Error = Infallible;
    type Future = TowerToHyperServiceFuture<Router, http::Request<Incoming>>;

    fn call(&self, mut request: http::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.from);
        self.router.call(request)
    }
}

async fn index(State(state): State<AdminState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], state.page.to_string())
}

async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE)
}

/// The text format 0.0.4 of Prometheus.
async fn metrics(State(state): State<AdminState>) -> Response {
    match state.metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "The metrics cannot be written.");
            refusal(ProblemKind::InternalError, "The metrics cannot be written.")
        }
    }
}

/// The process is alive: it answers.
async fn healthz() -> &'static str {
    "ok"
}

/// The process can do its work: the vault can be written.
async fn readyz(State(state): State<AdminState>) -> Response {
    match state.readiness.check().await {
        Ok(()) => "ok".into_response(),
        Err(NotReady) => refusal(ProblemKind::VaultUnavailable, "The vault cannot be written."),
    }
}

fn refusal(kind: ProblemKind, detail: &'static str) -> Response {
    api::refuse(&Problem::new(kind, detail))
}

/// Refuses what a browser of this machine was led into.
async fn only_by_its_names(State(config): State<Arc<Config>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if !host::is_meant(&head, &config.admin_hosts) {
        return refusal(
            ProblemKind::BadRequest,
            "On this machine name the admin listener by its address, by localhost, or as `admin_hosts` lists.",
        );
    }
    next.run(Request::from_parts(head, body)).await
}

/// What every answer carries: nothing is stored, framed, guessed or loaded
/// from elsewhere.
async fn secured(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
