//! The admin listener's pages: metrics, health, readiness and the status page.
//!
//! It is served on a port of its own, which stays inside; nothing of it can be
//! reached over the port of the chat traffic.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::problem::{self, Problem, ProblemKind};
use crate::telemetry::Metrics;

mod page;
mod readiness;

pub use page::Facts;
pub use readiness::{NotReady, Readiness};

/// What the admin pages show. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminState {
    metrics: Arc<Metrics>,
    readiness: Readiness,
    page: Arc<str>,
}

impl AdminState {
    /// The page is made here, once: its facts do not change.
    pub fn new(metrics: Arc<Metrics>, readiness: Readiness, facts: &Facts) -> Self {
        Self { metrics, readiness, page: page::render(facts).into() }
    }
}

/// The router of the admin listener. Its errors are problem documents.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/style.css", get(style))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(async || refusal(ProblemKind::NotFound, "The pages of this listener are listed at /."))
        .method_not_allowed_fallback(async || refusal(ProblemKind::MethodNotAllowed, "This page is only read."))
        .layer(middleware::from_fn(secured))
        .with_state(state)
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
    let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, problem::MEDIA_TYPE)], Problem::new(kind, detail).to_json()).into_response()
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
