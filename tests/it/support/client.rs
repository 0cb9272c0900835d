//! An HTTP client that shows everything of a reply.

use super::PATIENCE;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::error::Error;

/// The consent that the default configuration asks for.
pub const CONSENT: (&str, &str) = ("privet-consent", "support");

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    base: String,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// A whole reply.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What the chatbot says.
    pub fn says(&self) -> String {
        assert_eq!(self.status, 200, "{:?}", self.body);
        self.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    }

    /// Checks that this is a problem of that name, and gives it.
    pub fn problem(&self, status: u16, name: &str) -> Value {
        assert_eq!(self.status, status, "{:?}", self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:privet:problem:{name}"));
        assert_eq!(problem["status"], status);
        problem
    }
}

impl Client {
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned(), pool: Pool::builder(TokioExecutor::new()).build(HttpConnector::new()) }
    }

    /// Speaks HTTP/2 without asking.
    pub fn http2(base: &str) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).http2_only(true).build(HttpConnector::new());
        Self { base: base.to_owned(), pool }
    }

    /// Sends a request and gives the head of the reply; the body can be read as it comes.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> http::Response<Incoming> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = self.pool.request(request.body(Full::new(body.into())).unwrap());
        tokio::time::timeout(PATIENCE, sent).await.expect("no reply in time").unwrap()
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        let (head, body) = self.open(method, path, headers, body).await.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("no end in time");
        Reply { status: head.status, version: head.version, headers: head.headers, body: body.unwrap().to_bytes() }
    }

    /// A chat request as [`chat`](Self::chat), of a server that may go away in the middle.
    pub async fn try_chat(
        &self,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Reply, Box<dyn Error + Send + Sync>> {
        let mut request = Request::post(format!("{}/v1/chat/completions", self.base));
        for (name, value) in [("content-type", "application/json"), CONSENT].iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let exchange = async {
            let reply = self.pool.request(request.body(Full::new(body.to_string().into()))?).await?;
            let (head, body) = reply.into_parts();
            Ok(Reply {
                version: head.version,
                status: head.status,
                headers: head.headers,
                body: body.collect().await?.to_bytes(),
            })
        };
        tokio::time::timeout(PATIENCE, exchange).await?
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], Bytes::new()).await
    }

    /// A chat request as JSON, with consent and these headers.
    pub async fn chat(&self, body: &Value, headers: &[(&str, &str)]) -> Reply {
        let mut all = vec![("content-type", "application/json"), CONSENT];
        all.extend_from_slice(headers);
        self.send("POST", "/v1/chat/completions", &all, body.to_string()).await
    }
}
