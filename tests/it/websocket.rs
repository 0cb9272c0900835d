//! Sockets through the gateway: a real client, a real chatbot.

use crate::serve::{limit_files, without_file_signal};
use crate::support::{
    CONSENT_QUERY, Client, Identity, KEY, PATIENCE, Privet, RawUpstream, Setup, Socket, SocketUpstream, Step, Wire,
    close, fragment_of, scratch_folder, tokens,
};
use futures_util::{SinkExt, StreamExt};
use privet::audit::Recorder;
use privet::config::Config;
use privet::detect::Engine;
use privet::ledger::{Act, Channel, What};
use privet::proxy::{DataService, Gateway};
use privet::rights::Rights;
use privet::server::{self, Limits, Listener, Peer, Shutdown};
use privet::telemetry::Metrics;
use privet::vault::{Key, Options, Vault, VaultUrl};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

const EMAIL: &str = "ana.silva@example.com";

/// A chatbot that echoes, the gateway in front of it with this much more
/// configuration, and a socket with consent.
async fn talk(toml: &str) -> (SocketUpstream, Privet, Socket) {
    let upstream = SocketUpstream::echo().await;
    let privet = Setup::at(&upstream.url()).toml(toml).start();
    let socket = Socket::open(&privet.gateway, &format!("/chat?{CONSENT_QUERY}"), &[]).await;
    (upstream, privet, socket)
}

fn path() -> String {
    format!("/chat?{CONSENT_QUERY}")
}

#[tokio::test]
async fn what_is_said_becomes_tokens_and_comes_back() {
    let (upstream, privet, mut socket) = talk("").await;
    let said = format!("{{\"text\" : \"I am at {EMAIL}, \\u00e9\", \"n\":1.50}}");
    socket.send(&*said).await;
    assert_eq!(socket.text().await, said);
    socket.send(format!("no JSON: {EMAIL}")).await;
    assert_eq!(socket.text().await, format!("no JSON: {EMAIL}"));
    socket.send("").await;
    assert_eq!(socket.text().await, "");
    let texts = upstream.texts();
    let token = tokens(&texts[0]).remove(0);
    assert_eq!(texts, [said.replace(EMAIL, &token), format!("no JSON: {token}"), String::new()]);
    assert_eq!(socket.head["x-bot"], "chatty");
    assert!(socket.head.contains_key("privet-request-id"));
    socket.close(1000, "").await;
    socket.closed().await;
    assert_eq!(upstream.closed().await, Some((1000, String::new())));
    privet.metric_becomes("privet_requests_total{outcome=\"forwarded\",route=\"/\"}", 1).await;
    privet.metric_becomes("privet_in_flight_requests", 0).await;
    assert_eq!(privet.metric("privet_findings_total{direction=\"request\",entity=\"EMAIL\",rule=\"email\"}").await, 2);
}

#[tokio::test]
async fn the_handshake_tells_the_chatbot_nothing_of_the_client() {
    let upstream = SocketUpstream::echo().await;
    let toml = format!(
        "[[upstreams]]\nname = \"bot\"\nurl = \"{}/base\"\nset_headers = {{ Authorization = \"Bearer k\" }}\n",
        upstream.url()
    );
    let privet = Setup::without_upstream().toml(&toml).start();
    let headers = [
        ("sec-websocket-protocol", "chat.v2, chat.v1"),
        ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        ("x-forwarded-for", "192.0.2.1"),
        ("cookie", "mail=ana.silva@example.com"),
        ("origin", "https://shop.example"),
    ];
    let path = format!("/chat?to={EMAIL}&{CONSENT_QUERY}&privet-conversation=c1");
    let socket = Socket::open(&privet.gateway, &path, &headers).await;
    assert_eq!(socket.head["sec-websocket-protocol"], "chat.v2");
    assert!(!socket.head.contains_key("sec-websocket-extensions"));
    assert_eq!(socket.head["privet-redacted"], "email=2");
    let head = upstream.heads().remove(0);
    let uri = head.uri().to_string();
    assert!(uri.starts_with("/base/chat?to=%5BEMAIL_") && !uri.contains("privet"), "{uri}");
    let sent = head.headers();
    assert_eq!(sent["authorization"], "Bearer k");
    assert_eq!(sent["sec-websocket-protocol"], "chat.v2, chat.v1");
    assert_eq!(sent["origin"], "https://shop.example");
    assert_eq!(sent["host"], upstream.address.to_string());
    assert!(sent["cookie"].to_str().unwrap().starts_with("mail=[EMAIL_"));
    let names: Vec<_> = sent.keys().map(http::HeaderName::as_str).collect();
    assert!(!names.iter().any(|n| n.starts_with("privet") || n.contains("forwarded") || n.contains("extensions")));
}

#[tokio::test]
async fn a_fragmented_message_is_one_wherever_it_is_cut() {
    let (upstream, _privet, mut socket) = talk("").await;
    let said = format!("{{\"é\":\"I am at {EMAIL}!\"}}");
    let bytes = said.as_bytes();
    for cut in 0..=bytes.len() {
        socket.send_fragments(&[&bytes[..cut], &bytes[cut..]]).await;
        assert_eq!(socket.text().await, said, "cut at {cut}");
    }
    let letters: Vec<&[u8]> = bytes.chunks(1).collect();
    socket.send_fragments(&letters).await;
    assert_eq!(socket.text().await, said);
    let texts = upstream.texts();
    assert_eq!(texts.len(), bytes.len() + 2);
    let token = tokens(&texts[0]).remove(0);
    let wanted = said.replace(EMAIL, &token);
    assert!(texts.iter().all(|text| *text == wanted), "{texts:?}");
}

#[tokio::test]
async fn a_reply_is_restored_wherever_its_token_is_cut() {
    let upstream = SocketUpstream::start(|message| {
        let text = message.to_text().unwrap().as_bytes();
        (0..=text.len())
            .flat_map(|cut| [fragment_of(&text[..cut], true, false), fragment_of(&text[cut..], false, true)])
            .collect()
    })
    .await;
    let privet = Setup::at(&upstream.url()).start();
    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    let said = format!("[\"{EMAIL}\"]");
    socket.send(&*said).await;
    let replies = "[\"\"]".len() + tokens(&wait_for_text(&upstream).await)[0].len();
    for cut in 0..=replies {
        assert_eq!(socket.text().await, said, "cut at {cut}");
    }
}

async fn wait_for_text(upstream: &SocketUpstream) -> String {
    loop {
        if let Some(text) = upstream.texts().pop() {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_value_is_escaped_in_json() {
    let (upstream, _privet, mut socket) = talk("").await;
    let said = r#"{"a":"\"Anna \\ Kowalska\" <anna.kowalska@example.com>"}"#;
    socket.send(said).await;
    assert_eq!(socket.text().await, said);
    assert!(!upstream.texts()[0].contains("anna.kowalska"));
}

#[tokio::test]
async fn pings_are_answered() {
    let (_upstream, _privet, mut socket) = talk("").await;
    socket.send(Message::Ping("abc".into())).await;
    assert_eq!(socket.next_of_any_kind().await, Message::Pong("abc".into()));
}

#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009() {
    let toml = "[limits]\nsocket_message = \"10 KiB\"\n";
    let (upstream, privet, mut socket) = talk(toml).await;
    let fits = "x".repeat(10 * 1024);
    socket.send(&*fits).await;
    assert_eq!(socket.text().await, fits);
    let letters: Vec<&[u8]> = vec![&[b'x'; 1024]; 11];
    // It may be closed before all of it is sent.
    for (n, fragment) in letters.iter().enumerate() {
        let _ = socket.try_send(fragment_of(fragment, n == 0, n == 10)).await;
    }
    assert_eq!(socket.closed().await, Some((1009, "urn:privet:problem:too-large".to_owned())));
    assert_eq!(upstream.messages().len(), 1);
    assert_eq!(upstream.closed().await, Some((1001, String::new())));
    privet.metric_becomes("privet_rejected_total{problem=\"too-large\"}", 1).await;

    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    let _ = socket.try_send("y".repeat(1 << 20)).await;
    assert_eq!(socket.closed().await.unwrap().0, 1009);
    assert_eq!(upstream.messages().len(), 1);
}

#[tokio::test]
async fn binary_messages_are_looked_through_or_refused() {
    let (upstream, privet, mut socket) = talk("").await;
    let said = format!("{{\"text\":\"{EMAIL}\"}}").into_bytes();
    socket.send(Message::binary(said.clone())).await;
    assert_eq!(socket.next().await, Some(Message::binary(said)));
    assert_eq!(tokens(&upstream.texts()[0]).len(), 1);
    assert!(upstream.messages()[0].is_binary());
    socket.send(Message::binary(vec![0xff, 0xd8, 0xff])).await;
    assert_eq!(socket.closed().await, Some((1003, "urn:privet:problem:unsupported-body".to_owned())));
    assert_eq!(upstream.messages().len(), 1);
    privet.metric_becomes("privet_requests_total{outcome=\"refused_input\",route=\"/\"}", 1).await;

    let (upstream, _privet, mut socket) = talk("[[routes]]\npath = \"/\"\nbinary = \"pass\"\n").await;
    socket.send(Message::binary(vec![0xff, 0xd8, 0xff])).await;
    assert_eq!(socket.next().await, Some(Message::binary(vec![0xff, 0xd8, 0xff])));
    assert_eq!(upstream.messages().len(), 1);
}

#[tokio::test]
async fn what_is_no_websocket_closes_with_its_code() {
    for (frame, code) in [
        // A text that is no UTF-8, a reserved bit, a frame of no known kind.
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff][..], 1007),
        (&[0xc1, 0x81, 0, 0, 0, 0, b'x'], 1002),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
        (&[0x81, 0x01, b'x'], 1002),
    ] {
        let upstream = SocketUpstream::echo().await;
        let privet = Setup::at(&upstream.url()).start();
        let mut wire = Wire::connect(&privet.gateway).await;
        wire.send(handshake(&path(), "")).await;
        assert!(wire.head().await.starts_with("HTTP/1.1 101"));
        wire.send(frame).await;
        let said = wire.rest().await;
        assert_eq!(said[0], 0x88, "{said:?}");
        assert_eq!(u16::from_be_bytes([said[2], said[3]]), code, "{frame:?}");
        assert_eq!(upstream.closed().await, Some((1001, String::new())));
        assert!(upstream.messages().is_empty());
    }
}

fn handshake(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: chat.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn codes_and_reasons_pass_both_ways() {
    let (upstream, _privet, mut socket) = talk("").await;
    socket.close(4001, &format!("ask {EMAIL}")).await;
    let (code, reason) = upstream.closed().await.unwrap();
    assert!(code == 4001 && reason.starts_with("ask [EMAIL_"), "{code} {reason}");

    let upstream = SocketUpstream::start(|message| {
        let token = tokens(message.to_text().unwrap()).remove(0);
        vec![close(4002, &format!("done, {token}"))]
    })
    .await;
    let privet = Setup::at(&upstream.url()).start();
    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    socket.send(EMAIL).await;
    assert_eq!(socket.closed().await, Some((4002, format!("done, {EMAIL}"))));
    privet.metric_becomes("privet_requests_total{outcome=\"forwarded\",route=\"/\"}", 1).await;

    let upstream = SocketUpstream::start(|_| vec![Message::Close(None)]).await;
    let privet = Setup::at(&upstream.url()).start();
    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    socket.send("bye").await;
    assert_eq!(socket.closed().await, None);
}

#[tokio::test]
async fn when_one_side_vanishes_the_other_is_told() {
    let (upstream, privet, socket) = talk("").await;
    socket.vanish();
    assert_eq!(upstream.closed().await, Some((1001, String::new())));
    privet.metric_becomes("privet_requests_total{outcome=\"client_gone\",route=\"/\"}", 1).await;

    let answer = "HTTP/1.1 101 Switching Protocols\r\n";
    let upstream = RawUpstream::start(vec![Step::Send(answer)]).await;
    let privet = Setup::at(&upstream.url()).start();
    let refused = Socket::try_open(&privet.gateway, &path(), &[]).await.err().unwrap();
    assert_eq!(status(&refused), 502, "half an answer");

    let upstream = SocketUpstream::start(|_| panic!("the chatbot crashes")).await;
    let privet = Setup::at(&upstream.url()).start();
    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    socket.send("hello").await;
    assert_eq!(socket.closed().await, Some((1011, "urn:privet:problem:upstream-failed".to_owned())));
    privet.metric_becomes("privet_requests_total{outcome=\"upstream_failed\",route=\"/\"}", 1).await;
}

fn status(error: &Error) -> u16 {
    match error {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn without_consent_nothing_goes_upstream_and_1008_says_why() {
    let upstream = SocketUpstream::echo().await;
    let toml = "[consent]\npolicy = \"2026-05\"\n";
    let privet = Setup::at(&upstream.url()).toml(toml).start();
    for (path, problem) in [
        ("/chat", "consent-required"),
        ("/chat?privet-consent=support%3D%3F0", "consent-required"),
        ("/chat?privet-consent=support%2C%20policy%3D%222020-01%22", "consent-stale"),
    ] {
        let offer = [("sec-websocket-protocol", "chat.v2, chat.v1")];
        let mut socket = Socket::open(&privet.gateway, path, &offer).await;
        assert_eq!(socket.head["sec-websocket-protocol"], "chat.v2");
        assert!(socket.head.contains_key("privet-request-id"));
        let _ = socket.try_send(format!("I am {EMAIL}")).await;
        assert_eq!(socket.closed().await, Some((1008, format!("urn:privet:problem:{problem}"))), "{path}");
    }
    assert!(upstream.is_untouched());
    privet.metric_becomes("privet_requests_total{outcome=\"refused_consent\",route=\"/\"}", 3).await;
    assert_eq!(privet.metric("privet_consent_denied_total{purpose=\"support\"}").await, 3);
}

#[tokio::test]
async fn a_route_may_anonymize_a_socket() {
    let upstream = SocketUpstream::echo().await;
    let privet = Setup::at(&upstream.url()).toml("[[routes]]\npath = \"/\"\nwithout_consent = \"anonymize\"\n").start();
    let mut socket = Socket::open(&privet.gateway, "/chat?privet-subject=u1", &[]).await;
    socket.send(format!("{{\"a\":\"{EMAIL}\"}}")).await;
    assert_eq!(socket.text().await, "{\"a\":\"[EMAIL]\"}");
    assert_eq!(upstream.texts(), ["{\"a\":\"[EMAIL]\"}"]);
    socket.close(1000, "").await;
    privet.metric_becomes("privet_requests_total{outcome=\"anonymized\",route=\"/\"}", 1).await;
}

#[tokio::test]
async fn a_message_that_is_blocked_closes_the_socket() {
    let toml = "[detection.entities.EMAIL]\noperator = \"block\"\n";
    let (upstream, _privet, mut socket) = talk(toml).await;
    socket.send(EMAIL).await;
    assert_eq!(socket.closed().await, Some((1008, "urn:privet:problem:blocked".to_owned())));
    assert!(upstream.messages().is_empty());
}

#[tokio::test]
async fn the_subject_owns_the_tokens_of_a_socket() {
    let upstream = SocketUpstream::start(|message| {
        // What it was told last by anybody is said to everybody.
        static LAST: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
        let mut last = LAST.lock().unwrap();
        last.push_str(message.to_text().unwrap());
        vec![Message::text(last.clone())]
    })
    .await;
    let privet = Setup::at(&upstream.url()).start();
    let mut ana = Socket::open(&privet.gateway, "/chat?privet-consent=support&privet-subject=ana", &[]).await;
    ana.send(EMAIL).await;
    assert_eq!(ana.text().await, EMAIL);
    let mut bo = Socket::open(&privet.gateway, "/chat?privet-consent=support&privet-subject=bo", &[]).await;
    bo.send("?").await;
    let heard = bo.text().await;
    assert!(heard.starts_with("[EMAIL_") && !heard.contains(EMAIL), "{heard}");
    // The subject's other sockets know them.
    let mut again = Socket::open(&privet.gateway, "/chat?privet-consent=support&privet-subject=ana", &[]).await;
    again.send("!").await;
    assert_eq!(again.text().await, format!("{EMAIL}?!"));
}

#[tokio::test]
async fn an_upstream_that_does_not_switch_answers_by_a_reply() {
    let reply = "HTTP/1.1 401 Unauthorized\r\ncontent-type: text/plain\r\ncontent-length: 8\r\n\r\nno entry";
    let upstream = RawUpstream::start(vec![Step::Send(reply), Step::Hold]).await;
    let privet = Setup::at(&upstream.url()).start();
    for _ in 0..2 {
        let mut wire = Wire::connect(&privet.gateway).await;
        wire.send(handshake(&path(), "")).await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 401") && head.contains("privet-request-id"), "{head}");
        wire.until("no entry").await;
    }
    assert_eq!(upstream.heads().len(), 2, "a connection that saw an upgrade is used again");
}

/// Ana's page withdraws her consent.
async fn withdrawn(privet: &Privet) {
    let client = Client::new(&privet.gateway);
    let done = client.send("DELETE", "/.privet/consent", &[("privet-subject", "ana")], "").await;
    assert_eq!((done.status.as_u16(), &done.json()["ended"]), (200, &json!(1)));
}

const OF_ANA: &str = "/chat?privet-consent=support&privet-subject=ana";

#[tokio::test]
async fn a_reply_instead_of_a_socket_ends_with_the_consent() {
    let reply = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: hello\n\n";
    let upstream = RawUpstream::start(vec![Step::Send(reply), Step::Hold]).await;
    let privet = Setup::at(&upstream.url()).start();
    let mut wire = Wire::connect(&privet.gateway).await;
    wire.send(handshake(OF_ANA, "")).await;
    assert!(wire.head().await.starts_with("HTTP/1.1 200"));
    wire.until("data: hello\n\n").await;
    withdrawn(&privet).await;
    let rest = timeout(PATIENCE, wire.rest()).await.expect("it goes on");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it is cut, and not complete");
}

#[tokio::test]
async fn a_handshake_under_way_ends_with_the_consent() {
    let mut upstream = RawUpstream::start(vec![Step::Hold]).await;
    let privet = Setup::at(&upstream.url()).start();
    let base = privet.gateway.clone();
    let opening = tokio::spawn(async move { Socket::open(&base, OF_ANA, &[]).await });
    upstream.asked().await;
    withdrawn(&privet).await;
    let mut socket = timeout(PATIENCE, opening).await.expect("it waits for the chatbot").unwrap();
    assert_eq!(socket.closed().await, Some((1008, "urn:privet:problem:consent-required".to_owned())));
    upstream.is_left().await;
}

#[tokio::test]
async fn an_answer_that_does_not_hold_is_no_tunnel() {
    const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n";
    for answer in [
        "upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "upgrade: websocket\r\n\r\n",
        "upgrade: h2c\r\n\r\n",
    ] {
        let answer: &'static str = format!("{HEAD}{answer}").leak();
        let upstream = RawUpstream::start(vec![Step::Send(answer), Step::Hold]).await;
        let privet = Setup::at(&upstream.url()).start();
        let refused = Socket::try_open(&privet.gateway, &path(), &[]).await.err().unwrap();
        assert_eq!(status(&refused), 502, "{answer}");
    }
}

#[tokio::test]
async fn a_handshake_that_is_none_is_refused() {
    let upstream = SocketUpstream::echo().await;
    let privet = Setup::at(&upstream.url()).start();
    let good = handshake(&path(), "");
    for (bad, why) in [
        (good.replace("version: 13", "version: 8"), "sec-websocket-version: 13"),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), "Sec-WebSocket-Key"),
        (good.replace("connection: Upgrade", "connection: close"), "Connection"),
        (good.replace("GET", "POST"), "GET"),
        (handshake(&path(), "content-length: 5\r\n") + "hello", "no body"),
    ] {
        let mut wire = Wire::connect(&privet.gateway).await;
        wire.send(&bad).await;
        let (head, body) = (wire.head().await, wire.until("}").await);
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
        assert!(body.contains("urn:privet:problem:bad-request"), "{body}");
        assert!(head.contains(why) || body.contains(why), "{head}{body}");
    }
    assert!(upstream.is_untouched());
}

#[tokio::test]
async fn a_drain_closes_sockets_with_1001() {
    let (upstream, mut privet, mut socket) = talk("").await;
    socket.send("hello").await;
    assert_eq!(socket.text().await, "hello");
    privet.terminate();
    assert_eq!(socket.closed().await, Some((1001, String::new())));
    assert_eq!(upstream.closed().await, Some((1001, String::new())));
    assert!(privet.wait(PATIENCE).success());
}

#[tokio::test]
async fn a_place_in_flight_is_held_until_the_socket_ends() {
    let (_upstream, privet, mut socket) = talk("[limits]\nin_flight = 1\n").await;
    let refused = Socket::try_open(&privet.gateway, &path(), &[]).await.err().unwrap();
    assert_eq!(status(&refused), 503);
    socket.close(1000, "").await;
    socket.closed().await;
    privet.metric_becomes("privet_in_flight_requests", 0).await;
    Socket::open(&privet.gateway, &path(), &[]).await;
}

#[tokio::test]
async fn a_side_that_gives_no_sign_of_life_is_left() {
    let toml = "[timeouts]\nsocket_idle = \"400ms\"\n";
    // One that answers pings may be silent as long as it likes.
    let (upstream, _privet, mut socket) = talk(toml).await;
    for _ in 0..8 {
        assert!(matches!(socket.next_of_any_kind().await, Message::Ping(_)));
    }
    socket.send("still here").await;
    assert_eq!(socket.text().await, "still here");
    assert_eq!(upstream.texts(), ["still here"]);

    let upstream = SocketUpstream::echo().await;
    let privet = Setup::at(&upstream.url()).toml(toml).start();
    let mut wire = Wire::connect(&privet.gateway).await;
    wire.send(handshake(&path(), "")).await;
    wire.head().await;
    // A ping, then the end.
    let said = tokio::time::timeout(PATIENCE, wire.rest()).await.unwrap();
    assert_eq!(said, [0x89, 0, 0x88, 2, 0x03, 0xe9]);
    assert_eq!(upstream.closed().await, Some((1001, String::new())));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_for() {
    let big = "x".repeat(1 << 20);
    let copy = big.clone();
    let upstream = SocketUpstream::start(move |_| vec![Message::text(copy.clone()); 64]).await;
    let privet = Setup::at(&upstream.url()).start();
    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    socket.send("all of it").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let resident = privet.metric("process_resident_memory_bytes").await;
    assert!(resident < 400 << 20, "{resident}");
    for _ in 0..64 {
        assert_eq!(socket.text().await, big);
    }
}

#[tokio::test]
async fn nothing_that_is_said_is_logged() {
    let (_upstream, privet, mut socket) = talk("[log]\nlevel = \"debug\"\n").await;
    socket.send(format!("{{\"a\":\"{EMAIL}\"}}")).await;
    socket.text().await;
    socket.close(4000, &format!("bye {EMAIL}")).await;
    socket.closed().await;
    privet.metric_becomes("privet_in_flight_requests", 0).await;
    let log = privet.log_becomes("The exchange is over").await;
    assert!(!log.contains("ana.silva"), "{log}");
}

/// A gateway in this process, of which more can be asked than of a running one.
async fn within(upstream: &SocketUpstream) -> (std::sync::Arc<Gateway>, String, Shutdown) {
    within_by(upstream, "").await
}

/// The same with this much more configuration.
async fn within_by(upstream: &SocketUpstream, toml: &str) -> (std::sync::Arc<Gateway>, String, Shutdown) {
    let toml = format!("vault = \"memory:\"\nupstream = \"{}\"\n{toml}", upstream.url());
    let config = Config::parse(&toml).unwrap().config;
    let key = Key::from_base64(KEY).unwrap();
    let vault = Vault::open(&VaultUrl::Memory, key, Options::default()).await.unwrap();
    let engine = std::sync::Arc::new(Engine::builtin().unwrap());
    let rights = Rights::new(vault.clone(), &config).unwrap();
    let gateway = Gateway::new(config, engine, vault, rights, Metrics::new().unwrap(), Recorder::none()).unwrap();
    let listener = Listener::bind("127.0.0.1:0", None).await.unwrap();
    let base = format!("http://{}", listener.local_addr());
    let (serving, shutdown) = (std::sync::Arc::clone(&gateway), Shutdown::new());
    let service = move |peer: Peer| DataService { gateway: serving.clone(), client: peer.address.ip() };
    tokio::spawn(server::serve(listener, service, Limits::default(), shutdown.clone()));
    (gateway, base, shutdown)
}

#[tokio::test]
async fn a_withdrawal_closes_the_sockets_of_its_subject() {
    let upstream = SocketUpstream::echo().await;
    let (gateway, base, _shutdown) = within(&upstream).await;
    let mut ana = Socket::open(&base, "/chat?privet-consent=support&privet-subject=ana", &[]).await;
    let mut bo = Socket::open(&base, "/chat?privet-consent=support&privet-subject=bo", &[]).await;
    ana.send("hello").await;
    assert_eq!(ana.text().await, "hello");
    assert_eq!(withdraw(&gateway, "marketing").await, 0);
    assert_eq!(withdraw(&gateway, "support").await, 1);
    let _ = ana.try_send(EMAIL).await;
    assert_eq!(ana.closed().await, Some((1008, "urn:privet:problem:consent-required".to_owned())));
    assert_eq!(upstream.closed().await, Some((1001, String::new())));
    bo.send("me too").await;
    assert_eq!(bo.text().await, "me too");
    assert_eq!(upstream.texts(), ["hello", "me too"]);
    assert_eq!(withdraw(&gateway, "support").await, 0);
}

/// Ana withdraws her consent to a purpose; gives how many sockets that ends.
async fn withdraw(gateway: &Gateway, purpose: &str) -> usize {
    let purposes = BTreeMap::from([(purpose.to_owned(), false)]);
    let what = What { purposes, ..What::new(Act::Withdrawn, Channel::Operator) };
    gateway.ledger().withdraw(gateway.ledger().row("default", "ana"), what).await.unwrap().ended
}

/// A chatbot that says half of what may be a token, and then nothing more.
async fn half_said() -> SocketUpstream {
    SocketUpstream::start(|message| {
        let token = tokens(message.to_text().unwrap()).remove(0);
        let delta = |text: &str| {
            let delta = json!({"type": "text_delta", "text": text});
            Message::text(json!({"type": "content_block_delta", "index": 0, "delta": delta}).to_string())
        };
        vec![delta(&format!("{token} or [")), delta(&token[1..9])]
    })
    .await
}

/// What the chatbot says is with the gateway after this, which shows nothing of it.
const ARRIVES: Duration = Duration::from_secs(1);

const HALF: &str = "[[routes]]\npath = \"/\"\nprotocol = \"anthropic\"\n";

#[tokio::test]
async fn a_drain_gives_the_client_what_is_in_hand() {
    let upstream = half_said().await;
    let mut privet = Setup::at(&upstream.url()).toml(HALF).start();
    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    socket.send(json!({"messages": [{"role": "user", "content": EMAIL}]}).to_string()).await;
    let token = tokens(&wait_for_text(&upstream).await).remove(0);
    let text = async |socket: &mut Socket| -> String {
        let event: Value = serde_json::from_str(&socket.text().await).unwrap();
        event["delta"]["text"].as_str().unwrap().to_owned()
    };
    tokio::time::sleep(ARRIVES).await;
    privet.terminate();
    assert_eq!(text(&mut socket).await, format!("{EMAIL} or ["));
    assert_eq!(text(&mut socket).await, token[1..9]);
    assert_eq!(socket.closed().await, Some((1001, String::new())));
    assert!(privet.wait(PATIENCE).success());
}

#[tokio::test]
async fn a_withdrawal_gives_out_nothing_more() {
    let upstream = half_said().await;
    let (gateway, base, _shutdown) = within_by(&upstream, HALF).await;
    let mut socket = Socket::open(&base, "/chat?privet-consent=support&privet-subject=ana", &[]).await;
    socket.send(json!({"messages": [{"role": "user", "content": EMAIL}]}).to_string()).await;
    wait_for_text(&upstream).await;
    tokio::time::sleep(ARRIVES).await;
    assert_eq!(withdraw(&gateway, "support").await, 1);
    assert!(matches!(socket.next_of_any_kind().await, Message::Close(Some(close)) if u16::from(close.code) == 1008));
}

#[tokio::test]
async fn a_text_may_go_on_from_message_to_message() {
    // Where messages say of what kind they are, as the events of a stream do.
    let upstream = SocketUpstream::start(|message| {
        let token = tokens(message.to_text().unwrap()).remove(0);
        let delta = |text: &str| {
            let delta = json!({"type": "text_delta", "text": text});
            Message::text(json!({"type": "content_block_delta", "index": 0, "delta": delta}).to_string())
        };
        (0..=token.len())
            .flat_map(|cut| [delta(&token[..cut]), delta(&token[cut..])])
            .chain([Message::text(r#"{"type":"content_block_stop","index":0}"#), Message::text("[\"end\"]")])
            .collect()
    })
    .await;
    let privet = Setup::at(&upstream.url()).toml("[[routes]]\npath = \"/\"\nprotocol = \"anthropic\"\n").start();
    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    socket.send(json!({"messages": [{"role": "user", "content": EMAIL}]}).to_string()).await;
    let mut text = String::new();
    loop {
        let message = socket.text().await;
        if message == "[\"end\"]" {
            break;
        }
        let event: Value = serde_json::from_str(&message).unwrap();
        text.push_str(event["delta"]["text"].as_str().unwrap_or_default());
    }
    let token = tokens(&upstream.texts()[0]).remove(0);
    assert_eq!(text, EMAIL.repeat(token.len() + 1));
}

#[tokio::test]
async fn a_whole_message_waits_for_nothing() {
    let upstream = SocketUpstream::start(|_| vec![Message::text("{\"text\":\"your email\"}"), "e".into()]).await;
    let privet = Setup::at(&upstream.url()).start();
    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    socket.send(EMAIL).await;
    assert_eq!(socket.text().await, "{\"text\":\"your email\"}");
    assert_eq!(socket.text().await, "e");
}

#[tokio::test]
async fn a_socket_keeps_its_place_among_the_connections() {
    let (_upstream, privet, mut socket) = talk("[limits]\nconnections = 1\n").await;
    let mut wire = Wire::connect(&privet.gateway).await;
    wire.send("GET /.privet/notice HTTP/1.1\r\nhost: chat.example\r\n\r\n").await;
    let answered = tokio::time::timeout(Duration::from_millis(500), wire.head()).await;
    assert!(answered.is_err(), "it is served beside the socket");
    socket.send("hello").await;
    assert_eq!(socket.text().await, "hello");
    socket.close(1000, "").await;
    socket.closed().await;
    assert!(wire.head().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn sockets_are_encrypted_on_both_sides() {
    let upstream = SocketUpstream::echo().await;
    let identity = Identity::new();
    let tls = format!(
        "[[purposes]]\nname = \"support\"\nbasis = \"contract\"\n[tls]\ncertificate = {:?}\nkey = {:?}\n",
        identity.certificate(),
        identity.key()
    );
    // A second gateway is the chatbot of the first: it has a certificate.
    let behind = Setup::at(&upstream.url()).toml(&tls).start();
    let url = behind.gateway.replace("127.0.0.1", "localhost");
    let toml = format!("[[upstreams]]\nname = \"tls\"\nurl = \"{url}\"\nca = {:?}\n", identity.certificate());
    let privet = Setup::without_upstream().toml(&(toml + &tls)).start();
    let stream = identity.connect(&privet.gateway, &["http/1.1"]).await;
    let request = http::Request::get("wss://localhost/chat?privet-subject=u1")
        .header("host", "localhost")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    socket.send(Message::text(EMAIL)).await.unwrap();
    let heard = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(heard, Message::text(EMAIL));
    assert_eq!(tokens(&upstream.texts()[0]).len(), 1);
}

#[tokio::test]
async fn a_surrogate_comes_back_on_a_socket() {
    let (upstream, _privet, mut socket) = talk("[detection.entities.EMAIL]\noperator = \"surrogate\"\n").await;
    for _ in 0..2 {
        socket.send(format!("{{\"a\":\"write to {EMAIL}\"}}")).await;
        assert_eq!(socket.text().await, format!("{{\"a\":\"write to {EMAIL}\"}}"));
    }
    let texts = upstream.texts();
    assert!(texts[0].contains('@') && !texts[0].contains(EMAIL) && texts[0] == texts[1], "{texts:?}");
}

#[tokio::test]
async fn without_the_vault_nothing_is_forwarded() {
    let folder = scratch_folder();
    let upstream = SocketUpstream::echo().await;
    let privet = Privet::start(without_file_signal(&upstream.url(), folder.path()));
    let mut socket = Socket::open(&privet.gateway, &path(), &[]).await;
    socket.send("hello").await;
    assert_eq!(socket.text().await, "hello");
    limit_files(privet.id(), "0");
    socket.send(EMAIL).await;
    assert_eq!(socket.closed().await, Some((1011, "urn:privet:problem:vault-unavailable".to_owned())));
    assert_eq!(upstream.texts(), ["hello"]);
    privet.metric_becomes("privet_requests_total{outcome=\"vault_failed\",route=\"/\"}", 1).await;
}

#[tokio::test]
async fn who_pings_and_does_not_read_fills_no_memory() {
    let (_upstream, privet, _socket) = talk("").await;
    let mut wire = Wire::connect(&privet.gateway).await;
    wire.send(handshake(&path(), "")).await;
    wire.head().await;
    let before = privet.metric("process_resident_memory_bytes").await;
    let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[b'x'; 125]].concat();
    let flood = ping.repeat(4096);
    let flooding = async {
        for _ in 0..400 {
            wire.send(&flood).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(3), flooding).await.is_err(), "all of it is read");
    let after = privet.metric("process_resident_memory_bytes").await;
    assert!(after < before + (64 << 20), "{before} {after}");
}
