//! Over a real socket, by the accept loop that serves it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::server::{Limits, Listener, Shutdown, serve};

struct Rig {
    address: std::net::SocketAddr,
    ready: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

impl Rig {
    async fn start() -> Self {
        let metrics = Metrics::new().unwrap();
        let ready = Arc::new(AtomicBool::new(true));
        let answer = Arc::clone(&ready);
        let readiness = Readiness::new(move || std::future::ready(answer.load(Ordering::Relaxed)));
        let facts = Facts::new().with("Upstream", "https://chatbot.example");
        let services = api::tests::services(Arc::clone(&metrics)).await;
        let router = router(AdminState::new(services, readiness, &facts));
        let listener = Listener::bind("127.0.0.1:0", None).await.unwrap();
        let address = listener.local_addr();
        let service = move |peer| Pages::new(&router, peer);
        tokio::spawn(serve(listener, service, Limits::default(), Shutdown::new()));
        Self { address, ready, metrics }
    }

    /// Head and body of the reply.
    async fn ask(&self, method: &str, path: &str) -> (String, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        self.say(&request).await
    }

    /// The same for a request as it stands, which need not be whole.
    async fn say(&self, request: &str) -> (String, String) {
        let mut io = TcpStream::connect(self.address).await.unwrap();
        io.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        io.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

#[tokio::test]
async fn each_page_has_its_type_and_every_answer_its_headers() {
    let rig = Rig::start().await;
    for (path, status, kind, says) in [
        ("/", 200, "text/html; charset=utf-8", "https://chatbot.example"),
        ("/style.css", 200, "text/css; charset=utf-8", "color-scheme"),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "privet_build_info{"),
        ("/healthz", 200, "text/plain; charset=utf-8", "ok"),
        ("/readyz", 200, "text/plain; charset=utf-8", "ok"),
        ("/none", 404, "application/problem+json", "urn:privet:problem:not-found"),
        ("/metrics/", 404, "application/problem+json", "urn:privet:problem:not-found"),
        ("/api/v1/openapi.json", 200, "application/json", "3.1.0"),
        ("/api/v1/me", 401, "application/problem+json", "urn:privet:problem:unauthorized"),
        ("/api/v1/none", 401, "application/problem+json", "urn:privet:problem:unauthorized"),
    ] {
        let (head, body) = rig.ask("GET", path).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {kind}\r\n")), "{path}: {head}");
        assert!(body.contains(says), "{path}: {body}");
        for header in [
            "content-security-policy: default-src 'none'; style-src 'self'; ",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path}: {header}: {head}");
        }
    }
}

#[tokio::test]
async fn head_has_no_body_and_other_methods_are_refused() {
    let rig = Rig::start().await;
    for path in ["/", "/metrics", "/healthz", "/readyz"] {
        let (head, body) = rig.ask("HEAD", path).await;
        assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{path}: {head}");
        let (head, body) = rig.ask("POST", path).await;
        assert!(head.starts_with("HTTP/1.1 405 "), "{path}: {head}");
        assert!(head.contains("allow: GET,HEAD"), "{path}: {head}");
        assert!(body.contains("urn:privet:problem:method-not-allowed"), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_vault_that_cannot_be_written_is_told() {
    let rig = Rig::start().await;
    rig.ready.store(false, Ordering::Relaxed);
    let (head, body) = rig.ask("GET", "/readyz").await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("application/problem+json"), "{head}");
    assert!(body.contains("urn:privet:problem:vault-unavailable"), "{body}");
    let (head, _) = rig.ask("GET", "/healthz").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn metrics_show_what_was_counted() {
    let rig = Rig::start().await;
    rig.metrics.panics.inc();
    assert!(rig.ask("GET", "/metrics").await.1.contains("\nprivet_panics_total 1\n"));
}

#[tokio::test]
async fn a_page_of_another_name_gets_nothing() {
    let rig = Rig::start().await;
    for path in ["/", "/metrics", "/healthz", "/api/v1/openapi.json", "/api/v1/me"] {
        let asked = format!("GET {path} HTTP/1.1\r\nHost: evil.example:9464\r\nConnection: close\r\n\r\n");
        let (head, body) = rig.say(&asked).await;
        assert!(head.starts_with("HTTP/1.1 400 ") && body.contains("admin_hosts"), "{path}: {head} {body}");
    }
}

/// A body is asked for of nobody who may not send it: the answer comes at once,
/// though none of what was announced was sent.
#[tokio::test]
async fn nothing_is_read_from_who_has_no_login() {
    let rig = Rig::start().await;
    let proof = format!("Privet-MAC {}.{}.{}.{}", 1, "0".repeat(32), "0".repeat(64), "0".repeat(64));
    for login in ["", "Authorization: Bearer pvk_none\r\n", &format!("Authorization: {proof}\r\n")] {
        for path in ["/api/v1/subjects/find", "/api/v1/none"] {
            let asked = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\n{login}Content-Type: application/json\r\nContent-Length: 200000\r\n\r\n"
            );
            let answered = tokio::time::timeout(std::time::Duration::from_secs(5), rig.say(&asked)).await;
            let (head, _) = answered.unwrap_or_else(|_| panic!("{path}: the body is waited for"));
            assert!(head.starts_with("HTTP/1.1 401 "), "{path}: {head}");
        }
    }
}
