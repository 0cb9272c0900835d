//! The demo's site: the chat page, and the feed that lets it show what the
//! chatbot received and answered.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast;

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/chat.js");

/// How many events a page may be behind before it loses some.
const BACKLOG: usize = 1024;

/// Tells every open page what the chatbot sees. Nothing is kept: an event
/// that nobody watches is gone.
#[derive(Clone)]
pub(super) struct Feed(broadcast::Sender<Arc<str>>);

/// One event of the feed.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Seen<'a> {
    /// A request as it arrived.
    Request { id: u64, window: Option<&'a str>, text: &'a str, head: &'a str, body: &'a str },
    /// The next piece of the answer to request `id`.
    Delta { id: u64, text: &'a str },
    /// The answer to request `id` has ended, or its reader has gone.
    Done { id: u64 },
}

impl Feed {
    /// A feed that nobody watches yet.
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    /// Shows an event to whoever watches.
    pub(super) fn tell(&self, event: &Seen<'_>) {
        if self.0.receiver_count() > 0
            && let Ok(text) = serde_json::to_string(event)
        {
            // It fails where the last watcher has just left: nobody to tell.
            let _ = self.0.send(text.into());
        }
    }
}

/// One answer's voice in the feed. It says `done` when it is dropped, so also
/// where the reader has gone in the middle.
pub(super) struct Speaker {
    feed: Feed,
    id: u64,
}

impl Speaker {
    /// The voice of the answer to request `id`.
    pub(super) fn new(feed: Feed, id: u64) -> Self {
        Self { feed, id }
    }

    /// Adds to the answer.
    pub(super) fn say(&self, text: &str) {
        self.feed.tell(&Seen::Delta { id: self.id, text });
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.feed.tell(&Seen::Done { id: self.id });
    }
}

struct Site {
    feed: Feed,
    page: String,
    csp: String,
}

/// The page at `/`, its files, and the feed at `/seen`. The page talks to
/// `gateway`, an origin such as `http://127.0.0.1:8080`, whose script asks for
/// consent.
pub(super) fn router(feed: Feed, gateway: &str) -> Router {
    let site = Site {
        feed,
        page: PAGE.replace("{gateway}", gateway),
        csp: format!(
            "default-src 'none'; script-src 'self' {gateway}; style-src 'self' {gateway}; img-src data:; \
             connect-src 'self' {gateway}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    };
    Router::new()
        .route("/", get(page))
        .route("/style.css", get(|| async { file("text/css; charset=utf-8", STYLE) }))
        .route("/chat.js", get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/seen", get(seen))
        .layer(middleware::from_fn(loopback_names_only))
        .with_state(Arc::new(site))
}

async fn page(State(site): State<Arc<Site>>) -> Response {
    let mut response = file("text/html; charset=utf-8", site.page.clone());
    if let Ok(csp) = site.csp.parse() {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, csp);
    }
    response
}

async fn seen(State(site): State<Arc<Site>>) -> Response {
    let events = stream::unfold(site.feed.0.subscribe(), |mut feed| async move {
        loop {
            match feed.recv().await {
                Ok(text) => return Some((Ok::<_, Infallible>(Event::default().data(&*text)), feed)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

fn file(kind: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, body.into()).into_response()
}

/// A foreign web page may point a name of its own at loopback and then read
/// what is served there as its own origin. It cannot choose the `Host`, so
/// only loopback's own names are answered.
async fn loopback_names_only(uri: Uri, headers: HeaderMap, request: Request, next: Next) -> Response {
    let named = headers.get(header::HOST).and_then(|h| h.to_str().ok()).or_else(|| uri.host());
    let host = named.and_then(|h| h.parse::<Authority>().ok());
    match host.as_ref().map(Authority::host) {
        Some("127.0.0.1" | "localhost" | "[::1]") => next.run(request).await,
        _ => StatusCode::MISDIRECTED_REQUEST.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    async fn get(feed: Feed, path: &str, host: &str) -> Response {
        let app = TowerToHyperService::new(router(feed, "http://127.0.0.1:8080"));
        app.call(Request::get(path).header("host", host).body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn the_page_knows_its_gateway_and_may_reach_nothing_else() {
        let response = get(Feed::new(), "/", "127.0.0.1:4000").await;
        let csp = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(csp.contains("connect-src 'self' http://127.0.0.1:8080;"), "{csp}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let page = std::str::from_utf8(&body).unwrap();
        assert!(page.contains("content=\"http://127.0.0.1:8080\"") && !page.contains("{gateway}"));
        let script = "src=\"http://127.0.0.1:8080/.privet/consent.js\"";
        assert!(page.contains(script));
        // All else comes from this origin, and nothing is written inline.
        let page = page.replace(script, "");
        assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("onclick"));
        assert!(!page.contains("src=\"http") && !STYLE.contains("http"));
    }

    #[tokio::test]
    async fn a_foreign_name_for_loopback_gets_nothing() {
        for (host, status) in [
            ("localhost:4000", StatusCode::OK),
            ("[::1]:4000", StatusCode::OK),
            ("rebound.example", StatusCode::MISDIRECTED_REQUEST),
            ("127.0.0.1.rebound.example", StatusCode::MISDIRECTED_REQUEST),
        ] {
            for path in ["/", "/seen"] {
                assert_eq!(get(Feed::new(), path, host).await.status(), status, "{host}{path}");
            }
        }
    }

    #[tokio::test]
    async fn the_feed_tells_what_was_said_and_that_it_ended() {
        let feed = Feed::new();
        let mut body = get(feed.clone(), "/seen", "localhost").await.into_body();
        let speaker = Speaker::new(feed, 3);
        speaker.say("Good\nday");
        drop(speaker);
        let mut text = String::new();
        while !text.contains("done") {
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            text.push_str(std::str::from_utf8(&frame).unwrap());
        }
        assert!(text.contains("data: {\"type\":\"delta\",\"id\":3,\"text\":\"Good\\nday\"}\n\n"), "{text}");
        assert!(text.contains("data: {\"type\":\"done\",\"id\":3}\n\n"), "{text}");
    }
}
