//! Bounds and deadlines: what is too large, too much, too slow or broken off
//! ends in a clear answer, and leaves no place taken.

use crate::support::{
    Answer, Client, PATIENCE, Privet, RawUpstream, Setup, Step, Upstream, Wire, chat, chat_stream, port_of_nobody,
};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

const CHAT: &str = "/v1/chat/completions";
const JSON: (&str, &str) = ("content-type", "application/json");
const CONSENT: (&str, &str) = ("privet-consent", "support");

async fn gateway(toml: &str) -> (Upstream, Privet, Client) {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).toml(toml).start();
    let client = Client::new(&privet.gateway);
    (upstream, privet, client)
}

/// In front of a chatbot that takes these steps.
async fn before(steps: Vec<Step>, toml: &str) -> (RawUpstream, Privet, Client) {
    let upstream = RawUpstream::start(steps).await;
    let privet = Setup::at(&upstream.url()).toml(toml).start();
    let client = Client::new(&privet.gateway);
    (upstream, privet, client)
}

fn outcome(name: &str) -> String {
    format!("privet_requests_total{{outcome=\"{name}\",route=\"/\"}}")
}

const IN_FLIGHT: &str = "privet_in_flight_requests";

/// A JSON string of so many bytes, quotes included.
fn json_of(length: usize) -> String {
    format!("\"{}\"", "x".repeat(length - 2))
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let (upstream, privet, client) = gateway("[limits]\nrequest_body = \"4 KiB\"\n").await;
    assert_eq!(client.send("POST", "/", &[JSON, CONSENT], json_of(4096)).await.status, 200);
    let problem = client.send("POST", "/", &[JSON, CONSENT], json_of(4097)).await.problem(413, "too-large");
    assert!(problem["detail"].as_str().unwrap().contains("`limits.request_body`"), "{problem}");

    // What is promised is refused before it is sent.
    let mut wire = Wire::connect(&privet.gateway).await;
    wire.post("/", "content-type: application/json\r\ncontent-length: 99999999\r\n", "").await;
    let (status, problem) = wire.problem().await;
    assert_eq!((status, problem.contains(":too-large")), (413, true), "{problem}");

    // In chunks nothing is promised.
    for (length, status) in [(4096, 200), (4097, 413), (60_000, 413)] {
        let mut wire = Wire::connect(&privet.gateway).await;
        let body = json_of(length);
        let (head, tail) = body.split_at(3000);
        let chunks = format!("{:x}\r\n{head}\r\n{:x}\r\n{tail}\r\n0\r\n\r\n", head.len(), tail.len());
        wire.post("/", "content-type: application/json\r\ntransfer-encoding: chunked\r\n", chunks).await;
        assert_eq!(wire.problem().await.0, status, "{length} bytes in chunks");
    }
    assert_eq!(upstream.recorded().len(), 2);
    privet.metric_becomes(&outcome("refused_input"), 4).await;
    privet.metric_becomes(IN_FLIGHT, 0).await;
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let (upstream, privet, _client) = gateway("[limits]\nheader_bytes = \"8 KiB\"\nheaders = 20\n").await;
    let long = format!("x-long: {}\r\n", "x".repeat(9000));
    let many = "x-many: 1\r\n".repeat(30);
    for headers in [long, many] {
        let mut wire = Wire::connect(&privet.gateway).await;
        wire.post("/", &format!("{headers}content-length: 0\r\n"), "").await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    }
    assert!(upstream.recorded().is_empty());
}

#[tokio::test]
async fn json_may_be_as_deep_as_the_configuration_says() {
    let (upstream, _privet, client) = gateway("[limits]\njson_depth = 8\n").await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(client.send("POST", "/", &[JSON, CONSENT], nested(8)).await.status, 200);
    let problem = client.send("POST", "/", &[JSON, CONSENT], nested(9)).await.problem(415, "unsupported-body");
    assert!(problem["detail"].as_str().unwrap().contains("`limits.json_depth`"), "{problem}");
    assert_eq!(upstream.recorded().len(), 1);
}

#[tokio::test]
async fn all_bodies_together_have_a_budget() {
    let toml = "[limits]\nrequest_body = \"48 KiB\"\nbodies_in_flight = \"64 KiB\"\n";
    let (upstream, privet, client) = gateway(toml).await;
    let body = json_of(40_000);
    let mut slow = Wire::connect(&privet.gateway).await;
    slow.post("/", "content-type: application/json\r\ncontent-length: 40000\r\n", &body[..100]).await;
    privet.metric_becomes(IN_FLIGHT, 1).await;

    let refused = client.send("POST", "/", &[JSON, CONSENT], body.clone()).await;
    refused.problem(503, "overloaded");
    assert!(refused.header("retry-after").is_some());
    // In chunks the budget is asked for as they come.
    let mut chunked = Wire::connect(&privet.gateway).await;
    let head = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    chunked.post("/", head, format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
    assert_eq!(chunked.problem().await.0, 503);
    // A small one still fits.
    assert_eq!(client.send("POST", "/", &[JSON, CONSENT], json_of(1000)).await.status, 200);

    slow.send(&body[100..]).await;
    assert_eq!(slow.problem().await.0, 200);
    assert_eq!(client.send("POST", "/", &[JSON, CONSENT], body.clone()).await.status, 200);
    // A client that leaves gives its share back.
    let mut gone = Wire::connect(&privet.gateway).await;
    gone.post("/", "content-type: application/json\r\ncontent-length: 40000\r\n", &body[..100]).await;
    privet.metric_becomes(IN_FLIGHT, 1).await;
    drop(gone);
    privet.metric_becomes(IN_FLIGHT, 0).await;
    assert_eq!(client.send("POST", "/", &[JSON, CONSENT], body).await.status, 200);
    assert_eq!(upstream.recorded().len(), 4);
    privet.metric_becomes(&outcome("refused_overload"), 2).await;
}

#[tokio::test]
async fn who_sends_all_before_looking_reads_why_it_was_refused() {
    let (upstream, privet, _client) = gateway("[limits]\nrequest_body = \"4 MiB\"\n").await;
    // More than the buffers of both sockets take.
    let body = "x".repeat(4 << 20);
    for (headers, status) in [
        ("privet-consent: support=?0\r\n", 403),
        ("privet-subject: no (subject)\r\n", 400),
        ("upgrade: websocket\r\n", 400),
    ] {
        for length in [format!("content-length: {}\r\n", body.len()), "transfer-encoding: chunked\r\n".to_owned()] {
            let sent =
                if length.starts_with('t') { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) } else { body.clone() };
            let mut wire = Wire::connect(&privet.gateway).await;
            wire.post("/", &format!("{headers}{length}"), sent).await;
            assert_eq!(wire.problem().await.0, status, "{headers}{length}");
            // The connection is good for another request.
            wire.post("/", "content-type: application/json\r\ncontent-length: 2\r\n", "{}").await;
            assert_eq!(wire.problem().await.0, 200);
        }
    }
    // Who asks first is told at once.
    let mut wire = Wire::connect(&privet.gateway).await;
    wire.post("/", "privet-consent: support=?0\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n", "").await;
    assert_eq!(wire.problem().await.0, 403);
    assert_eq!(upstream.recorded().len(), 6);
}

#[tokio::test]
async fn a_place_in_flight_is_held_until_the_reply_ends() {
    let words = ["one", " two", " three"];
    let gate = Arc::new(Semaphore::new(1));
    let held = Arc::clone(&gate);
    let upstream = Upstream::start(move |_| Answer::streams(&words).gate(&held)).await;
    let privet = Setup::new(&upstream).toml("[limits]\nin_flight = 1\n").start();
    let client = Client::new(&privet.gateway);
    let open = || client.open("POST", CHAT, &[JSON, CONSENT], chat_stream("hi").to_string());
    let refused = async || {
        let refused = client.chat(&chat("hi"), &[]).await;
        let problem = refused.problem(503, "overloaded");
        assert!(problem["detail"].as_str().unwrap().contains("`limits.in_flight`"), "{problem}");
        assert!(refused.header("retry-after").is_some());
    };
    let first = open().await;
    // The head of the reply is there, its end is not.
    refused().await;
    assert_eq!(privet.metric(IN_FLIGHT).await, 1);
    gate.add_permits(100);
    assert!(first.into_body().collect().await.unwrap().to_bytes().ends_with(b"[DONE]\n\n"));
    privet.metric_becomes(IN_FLIGHT, 0).await;

    gate.forget_permits(100);
    gate.add_permits(1);
    // A client that goes away in the middle gives its place back too.
    let mut second = open().await.into_body();
    second.frame().await.unwrap().unwrap();
    refused().await;
    drop(second);
    privet.metric_becomes(IN_FLIGHT, 0).await;
    privet.metric_becomes(&outcome("client_gone"), 1).await;
    gate.add_permits(100);
    assert!(client.chat(&chat_stream("hi"), &[]).await.text().ends_with("[DONE]\n\n"));
    privet.metric_becomes(&outcome("refused_overload"), 2).await;
    privet.metric_becomes(&outcome("forwarded"), 2).await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused() {
    let (upstream, privet, _client) = gateway("[timeouts]\nbody_idle = \"300ms\"\nbody = \"900ms\"\n").await;
    let head = "content-type: application/json\r\ncontent-length: 100\r\n";
    let mut silent = Wire::connect(&privet.gateway).await;
    silent.post("/", head, "{\"m\":").await;
    let (status, problem) = silent.problem().await;
    assert_eq!((status, problem.contains("urn:privet:problem:bad-request")), (400, true), "{problem}");

    // A byte now and then is no silence, but ends too.
    let started = Instant::now();
    let mut dripping = Wire::connect(&privet.gateway).await;
    dripping.post("/", "content-type: application/json\r\ncontent-length: 100000\r\n", "{").await;
    let answer = loop {
        assert!(started.elapsed() < PATIENCE, "it waits as long as there comes a byte");
        // The other side may have closed after its answer.
        let _ = dripping.try_send(" ").await;
        if let Ok(answer) = tokio::time::timeout(Duration::from_millis(60), dripping.until("}")).await {
            break answer;
        }
    };
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(started.elapsed() >= Duration::from_millis(900), "it was cut while it was in time");
    assert!(upstream.recorded().is_empty());
    privet.metric_becomes(&outcome("refused_input"), 2).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_forwarded() {
    let (upstream, privet, client) = gateway("").await;
    for head in ["content-length: 100\r\n", "transfer-encoding: chunked\r\n"] {
        let mut wire = Wire::connect(&privet.gateway).await;
        wire.post("/", &format!("content-type: text/plain\r\n{head}"), "5\r\nhello\r\n").await;
        privet.metric_becomes(IN_FLIGHT, 1).await;
        drop(wire);
        privet.metric_becomes(IN_FLIGHT, 0).await;
    }
    assert!(upstream.recorded().is_empty(), "{:?}", upstream.recorded());
    assert_eq!(client.chat(&chat("hi"), &[]).await.says(), "ok");
    assert_eq!(privet.metric(&outcome("forwarded")).await, 1);
}

#[tokio::test]
async fn a_chatbot_that_cannot_be_reached_is_a_502() {
    let privet = Setup::at(&format!("http://{}", port_of_nobody())).start();
    let reply = Client::new(&privet.gateway).chat(&chat("hi"), &[]).await;
    let problem = reply.problem(502, "upstream-failed");
    assert!(!problem["detail"].as_str().unwrap().contains("127.0.0.1"), "the client need not know where it is");
    // Whoever runs it does.
    privet.log_becomes("Connection refused").await;
    privet.metric_becomes(&outcome("upstream_failed"), 1).await;
    assert_eq!(privet.metric("privet_rejected_total{problem=\"upstream-failed\"}").await, 1);
}

/// It takes the connection, and says nothing of TLS.
#[tokio::test]
async fn connecting_ends_with_its_time_the_handshake_included() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let privet = Setup::at(&url).toml("[timeouts]\nconnect = \"300ms\"\n").start();
    Client::new(&privet.gateway).chat(&chat("hi"), &[]).await.problem(502, "upstream-failed");
    privet.log_becomes("no connection within `timeouts.connect`").await;
}

#[tokio::test]
async fn a_client_that_asks_too_often_waits() {
    let (upstream, privet, client) = gateway("[limits]\nclient_requests = 2\n").await;
    for _ in 0..2 {
        assert_eq!(client.chat(&chat("hi"), &[]).await.says(), "ok");
    }
    let refused = client.chat(&chat("hi"), &[]).await;
    refused.problem(429, "rate-limited");
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert_eq!(upstream.recorded().len(), 2);
    assert_eq!(privet.metric("privet_rejected_total{problem=\"rate-limited\"}").await, 1);
}

#[tokio::test]
async fn a_chatbot_that_breaks_off_is_a_502() {
    const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"said\": \"";
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n";
    let cases = [
        vec![],
        vec![Step::Send("HTTP/1.1 20")],
        vec![Step::Send("no HTTP at all\r\n\r\n")],
        vec![Step::Send(CUT)],
        vec![Step::Send(CHUNKED)],
    ];
    for steps in cases {
        let (_upstream, privet, client) = before(steps, "").await;
        // With a token on its way, so that the reply is read whole to be restored.
        client.chat(&chat("ana.lopez@example.com"), &[]).await.problem(502, "upstream-failed");
        privet.metric_becomes(&outcome("upstream_failed"), 1).await;
        privet.metric_becomes(IN_FLIGHT, 0).await;
    }
}

#[tokio::test]
async fn a_chatbot_that_takes_too_long_is_a_504() {
    let (mut upstream, privet, client) = before(vec![Step::Hold], "[timeouts]\nfirst_byte = \"300ms\"\n").await;
    let started = Instant::now();
    client.chat(&chat("hi"), &[]).await.problem(504, "upstream-timeout");
    assert!(started.elapsed() >= Duration::from_millis(300) && started.elapsed() < PATIENCE);
    upstream.is_left().await;
    privet.metric_becomes(&outcome("upstream_failed"), 1).await;
}

#[tokio::test]
async fn a_reply_over_the_limit_is_a_502() {
    let upstream = Upstream::start(|_| Answer::says(&"x".repeat(5000))).await;
    let privet = Setup::new(&upstream).toml("[limits]\nreply_body = \"4 KiB\"\n").start();
    let client = Client::new(&privet.gateway);
    let problem = client.chat(&chat("ana.lopez@example.com"), &[]).await.problem(502, "upstream-failed");
    assert!(problem["detail"].as_str().unwrap().contains("`limits.reply_body`"), "{problem}");
    // Only what is held whole has the bound.
    assert_eq!(client.chat(&chat("hi"), &[]).await.says().len(), 5000);
}

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const EVENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n";

/// Both for a request with a token and for one without, whose reply passes.
const TEXTS: [&str; 2] = ["ana.lopez@example.com", "hi"];

#[tokio::test]
async fn a_stream_that_falls_silent_is_cut() {
    let steps = vec![
        Step::Send(STREAM_HEAD),
        Step::Send(EVENT),
        Step::Wait(Duration::from_millis(500)),
        Step::Send(EVENT),
        Step::Hold,
    ];
    let (mut upstream, privet, client) = before(steps, "[timeouts]\nstream_idle = \"2s\"\n").await;
    for text in TEXTS {
        let mut body = client.open("POST", CHAT, &[JSON, CONSENT], chat_stream(text).to_string()).await.into_body();
        let mut got = Vec::new();
        let ended = loop {
            match tokio::time::timeout(PATIENCE, body.frame()).await.expect("it is not cut") {
                Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap()),
                Some(Err(_)) => break "cut",
                None => break "whole",
            }
        };
        // A pause below the limit does no harm; and a cut stream must not look like a whole one.
        assert_eq!((String::from_utf8(got).unwrap(), ended), (EVENT.repeat(2), "cut"), "{text}");
    }
    upstream.is_left().await;
    privet.metric_becomes(&outcome("upstream_failed"), 2).await;
    privet.metric_becomes(IN_FLIGHT, 0).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_place() {
    // More than the buffers of two sockets hold.
    let upstream = Upstream::start(|_| Answer::new("text/plain", vec![vec![b'x'; 1 << 20].into(); 64])).await;
    let privet = Setup::new(&upstream).toml("[timeouts]\nwrite = \"500ms\"\n").start();
    for text in TEXTS {
        let mut client = Wire::connect(&privet.gateway).await;
        let body = chat(text).to_string();
        let headers = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        client.post(CHAT, &headers, body).await;
        privet.metric_becomes(IN_FLIGHT, 1).await;
        privet.metric_becomes(IN_FLIGHT, 0).await;
        drop(client);
    }
    privet.metric_becomes(&outcome("client_gone"), 2).await;
}

#[tokio::test]
async fn a_document_that_falls_silent_is_a_504() {
    const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"said\": \"";
    let (mut upstream, privet, client) =
        before(vec![Step::Send(HALF), Step::Hold], "[timeouts]\nstream_idle = \"400ms\"\n").await;
    client.chat(&chat("ana.lopez@example.com"), &[]).await.problem(504, "upstream-timeout");
    upstream.is_left().await;
    privet.metric_becomes(&outcome("upstream_failed"), 1).await;
    privet.metric_becomes(IN_FLIGHT, 0).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_does_not_look_whole() {
    let chunk =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n7\r\n: hi\n\n\n\r\n";
    let (_upstream, privet, client) = before(vec![Step::Send(chunk), Step::Wait(Duration::from_millis(100))], "").await;
    for text in TEXTS {
        let reply = client.open("POST", CHAT, &[JSON, CONSENT], chat_stream(text).to_string()).await;
        assert!(reply.into_body().collect().await.is_err(), "{text}");
    }
    privet.metric_becomes(&outcome("upstream_failed"), 2).await;
}

#[tokio::test]
async fn when_the_client_leaves_the_chatbot_is_left_too() {
    // In the middle of a stream.
    for text in TEXTS {
        let (mut upstream, privet, client) =
            before(vec![Step::Send(STREAM_HEAD), Step::Send(EVENT), Step::Hold], "").await;
        let mut body = client.open("POST", CHAT, &[JSON, CONSENT], chat_stream(text).to_string()).await.into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        upstream.is_left().await;
        privet.metric_becomes(&outcome("client_gone"), 1).await;
        privet.metric_becomes(IN_FLIGHT, 0).await;
    }
    // Before the chatbot has answered.
    let (mut upstream, privet, _client) = before(vec![Step::Hold], "").await;
    let mut wire = Wire::connect(&privet.gateway).await;
    wire.post(CHAT, "content-type: text/plain\r\ncontent-length: 2\r\n", "hi").await;
    upstream.asked().await;
    drop(wire);
    upstream.is_left().await;
    privet.metric_becomes(&outcome("client_gone"), 1).await;
    privet.metric_becomes(IN_FLIGHT, 0).await;
}

#[tokio::test]
async fn what_cannot_be_proxied_is_refused() {
    let (upstream, privet, _client) = gateway("").await;
    for (request, status) in [
        ("TRACE / HTTP/1.1\r\nhost: x\r\nprivet-consent: support\r\n\r\n", 400),
        ("CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\nprivet-consent: support\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nprivet-consent: support\r\n\r\n",
            400,
        ),
    ] {
        let mut wire = Wire::connect(&privet.gateway).await;
        wire.send(request).await;
        let (got, problem) = wire.problem().await;
        assert_eq!((got, problem.contains("urn:privet:problem:bad-request")), (status, true), "{request}: {problem}");
    }
    assert!(upstream.recorded().is_empty());
}
