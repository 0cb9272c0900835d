//! Replies of every protocol, in this process: cut at every byte, with their
//! texts cut at every character.

mod charsets;
mod hostile;
mod offsets;
mod others;
mod samples;
mod streams;

use super::messages::Messages;
use super::*;
use crate::detect::{Engine, Wishes};
use crate::protocol::Protocols;
use crate::proxy::redact::Means;
use crate::telemetry::Metrics;
use crate::vault::{Key, Options, Vault, VaultUrl};
use http::HeaderValue;
use serde_json::Value;
use std::sync::OnceLock;

/// What the caller said, and its token.
const EMAIL: &str = "ana.lopez@example.com";
/// What every format has to escape.
const NASTY: &str = "O\"Neil \\ \n\u{1f600}";

/// Everything that restoring needs.
struct Desk {
    vault: Vault,
    subject: Subject,
    watch: Arc<Watch>,
    /// Of the values above.
    email: String,
    nasty: String,
}

fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    Arc::clone(ENGINE.get_or_init(|| Arc::new(Engine::builtin().unwrap())))
}

fn protocol(name: &str) -> Arc<Protocol> {
    Arc::clone(Protocols::builtin().unwrap().named(name).unwrap())
}

impl Desk {
    async fn new() -> Self {
        let vault = Vault::open(&VaultUrl::Memory, Key::generate(), Options::default()).await.unwrap();
        let subject = vault.subject("default", "ana").await.unwrap();
        let watch = Arc::new(Watch::new(Metrics::new().unwrap(), &engine()).unwrap());
        let values = [("EMAIL".parse().unwrap(), EMAIL), ("PERSON".parse().unwrap(), NASTY)];
        let tokens: Vec<String> = subject.tokenize(&values).await.unwrap().iter().map(ToString::to_string).collect();
        Self { vault, subject, watch, email: tokens[0].clone(), nasty: tokens[1].clone() }
    }

    async fn context(&self, protocol: Arc<Protocol>) -> Context {
        let kinds = self.subject.kinds().await.unwrap();
        let (subject, watch) = (Some(self.subject.clone()), Arc::clone(&self.watch));
        let charset = Some(Charset::Utf8);
        Context {
            subject,
            kinds,
            surrogates: None,
            protocol,
            watch,
            redaction: None,
            line: None,
            transcript: None,
            charset,
            declares: false,
        }
    }

    /// One in which data of others is found too.
    async fn redacting(&self, protocol: Arc<Protocol>) -> Context {
        let plan = engine().plan(&Wishes::default());
        let means = Means::new(crate::config::Detection::default(), self.vault.hashing("default"));
        let redaction = Some(Arc::new(Redaction { engine: engine(), plan, means, passes_binary: false }));
        Context { redaction, ..self.context(protocol).await }
    }

    /// How often a finding was counted in replies.
    fn found_in_replies(&self) -> u64 {
        let text = self.watch.metrics.encode().unwrap();
        let lines = text.lines().filter(|line| line.starts_with("privet_findings_total{direction=\"reply\""));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

/// Restores a reply that comes in these chunks.
async fn restored(shape: Shape, chunks: &[&[u8]], context: &Context) -> String {
    let mut restorer = Restorer::new(shape, 1 << 20, context);
    let mut out = BytesMut::new();
    for chunk in chunks {
        restorer.push(Bytes::copy_from_slice(chunk), 1 << 20, context, &mut out).await.unwrap();
    }
    restorer.finish(context, &mut out).await;
    String::from_utf8(out.to_vec()).unwrap()
}

async fn whole(shape: Shape, stream: &str, context: &Context) -> String {
    restored(shape, &[stream.as_bytes()], context).await
}

/// The reply is the same for every cut into two, and byte by byte.
async fn every_cut_gives(want: &str, shape: Shape, stream: &str, context: &Context) {
    let bytes = stream.as_bytes();
    for cut in 0..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(restored(shape, &[head, tail], context).await, want, "cut at {cut}");
    }
    assert_eq!(restored(shape, &bytes.chunks(1).collect::<Vec<_>>(), context).await, want, "byte by byte");
}

/// The events of a stream, by its shape.
fn read(shape: Shape, stream: &str) -> Vec<Value> {
    let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    match shape {
        Shape::EventStream => {
            let data = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
            data.map(json).collect()
        }
        Shape::JsonLines => stream.lines().map(json).collect(),
        Shape::Elements => serde_json::from_str(stream).unwrap_or_else(|error| panic!("{error}: {stream}")),
        _ => vec![json(stream)],
    }
}

/// A stream of these events.
fn written(shape: Shape, events: &[Value]) -> String {
    let each = |write: &dyn Fn(&Value) -> String| events.iter().map(write).collect::<Vec<_>>();
    match shape {
        Shape::EventStream => each(&|event| format!("event: x\ndata: {event}\n\n")).concat(),
        Shape::JsonLines => each(&ToString::to_string).join("\n"),
        _ => format!("[{}]\n", each(&ToString::to_string).join(",\r\n")),
    }
}

#[test]
fn the_headers_say_how_to_restore() {
    let of = |content_type: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        if let Some(value) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        Shape::of_reply(&headers, None)
    };
    assert_eq!(of(Some("text/event-stream; charset=utf-8")), Shape::EventStream);
    assert_eq!(of(Some("application/json")), Shape::Document);
    assert_eq!(of(Some("application/problem+json")), Shape::Document);
    for lines in ["jsonlines", "x-jsonlines", "x-json-stream", "json-seq", "stream+json"] {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&format!("application/{lines}")).unwrap());
        assert_eq!(Shape::of_reply(&headers, None), Shape::JsonLines, "{lines}");
    }
    assert_eq!(of(Some("text/json-lines")), Shape::JsonLines);
    assert_eq!(of(Some("application/x-json")), Shape::Document);
    assert_eq!(of(Some("text/html")), Shape::Text(Escape::Html));
    for xml in ["text/xml", "application/xml", "image/svg+xml; charset=utf-8"] {
        assert_eq!(of(Some(xml)), Shape::Text(Escape::Xml));
    }
    assert_eq!(of(Some("text/markdown")), Shape::Text(Escape::None));
    assert_eq!(of(Some("image/png")), Shape::Opaque);
    assert_eq!(of(Some("application/octet-stream")), Shape::Unknown);
    assert_eq!(of(Some("application/jsonlines")), Shape::JsonLines);
    assert_eq!(of(None), Shape::Unsaid);
}
