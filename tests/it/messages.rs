//! HTTP/1.1 messages that two readers could read differently (RFC 9112): what
//! is forwarded is one request with one body, or nothing at all.

use crate::support::{Answer, CONSENT, Client, RawUpstream, Setup, Step, Upstream, Wire, tokens};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BODY: &str = "[\"ana.lopez@example.com\"]";

/// Requests as they stand on the wire, and whether they may be forwarded; then
/// it is a POST of [`BODY`], and nothing of what follows it.
fn requests() -> Vec<(&'static str, String, bool)> {
    let with = |line: &str, body: &str| {
        format!(
            "POST /any HTTP/1.1\r\nhost: x\r\nprivet-consent: support\r\ncontent-type: text/json\r\n{line}\r\n{body}"
        )
    };
    let length = BODY.len();
    let chunked = format!("{length:x}\r\n{BODY}\r\n0\r\n\r\n");
    let mut all = vec![
        ("a length", with(&format!("content-length: {length}\r\n"), BODY), true),
        ("chunks", with("transfer-encoding: chunked\r\n", &chunked), true),
        ("upper case", with("Transfer-Encoding: CHUNKED\r\n", &chunked), true),
        (
            "a length twice, alike",
            with(&format!("content-length: {length}\r\ncontent-length: {length}\r\n"), BODY),
            true,
        ),
        ("both, length first", with("content-length: 4\r\ntransfer-encoding: chunked\r\n", &chunked), true),
        ("both, chunks first", with("transfer-encoding: chunked\r\ncontent-length: 4\r\n", &chunked), true),
        ("two lengths", with(&format!("content-length: {length}\r\ncontent-length: 4\r\n"), BODY), false),
        ("an extension", with("transfer-encoding: chunked\r\n", &chunked.replacen("\r\n", ";a=b\r\n", 1)), true),
        (
            "trailers",
            with(
                "transfer-encoding: chunked\r\n",
                &chunked.replace("0\r\n\r\n", "0\r\nx-mail: ana.lopez@example.com\r\n\r\n"),
            ),
            true,
        ),
        (
            "trailers that frame",
            with(
                "transfer-encoding: chunked\r\n",
                &chunked.replace("0\r\n\r\n", "0\r\ncontent-length: 4\r\nhost: y\r\ncontent-encoding: gzip\r\n\r\n"),
            ),
            true,
        ),
    ];
    for coding in ["xchunked", "identity", "chunked, identity", "chunked, gzip", "\u{b}chunked"] {
        all.push(("another coding", with(&format!("transfer-encoding: {coding}\r\n"), &chunked), false));
    }
    for value in ["+25", "-1", "0x19", "25;", "25, 4", "2 5", "18446744073709551616", "25\r\n folded"] {
        all.push(("an odd length", with(&format!("content-length: {value}\r\n"), BODY), false));
    }
    for line in ["content-length : 25", "x: a\0b", "x: a\rb", "x\u{e9}: y", ": y", "x y: z"] {
        all.push(("an odd line", with(&format!("{line}\r\ncontent-length: {length}\r\n"), BODY), false));
    }
    for chunk in ["-19", "+19", "0x19", "19 19", "fffffffffffffffff", ""] {
        let body = format!("{chunk}\r\n{BODY}\r\n0\r\n\r\n");
        all.push(("an odd chunk", with("transfer-encoding: chunked\r\n", &body), false));
    }
    all
}

#[tokio::test]
async fn a_request_is_forwarded_as_one_or_not_at_all() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).start();
    for (name, request, may_pass) in requests() {
        let before = upstream.recorded().len();
        let mut wire = Wire::connect(&privet.gateway).await;
        // What follows at once is a request of its own, which asks for no consent.
        let smuggled = "POST /smuggled HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let _ = wire.try_send([request.as_bytes(), smuggled.as_bytes()].concat()).await;
        let said = String::from_utf8(wire.rest().await).unwrap();
        let seen = &upstream.recorded()[before..];
        assert!(seen.iter().all(|seen| seen.target == "/any" && seen.headers["host"] != "x"), "{name}: {seen:?}");
        if may_pass {
            assert_eq!(seen.len(), 1, "{name} {request:?}: {said}");
            let token = &tokens(seen[0].text())[0];
            assert_eq!(seen[0].text(), format!("[\"{token}\"]"), "{name}");
            assert_eq!(seen[0].headers["content-length"], seen[0].body.len().to_string().as_str(), "{name}");
            for gone in ["transfer-encoding", "x-mail", "content-encoding"] {
                assert!(!seen[0].headers.contains_key(gone), "{name}: {gone}");
            }
            assert!(said.starts_with("HTTP/1.1 200"), "{name}: {said}");
        } else {
            assert!(seen.is_empty(), "{name} {request:?}: {seen:?}");
            assert!(said.starts_with("HTTP/1.1 400") || said.is_empty(), "{name} {request:?}: {said}");
        }
        assert!(!said.contains("ana.lopez"), "{name}: {said}");
    }
}

#[tokio::test]
async fn who_asks_first_is_told_to_go_on_only_where_the_body_is_wanted() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).start();
    let expect = format!("content-type: text/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n", BODY.len());
    let mut wire = Wire::connect(&privet.gateway).await;
    wire.post("/any", &expect, "").await;
    assert!(wire.head().await.starts_with("HTTP/1.1 100"));
    assert!(upstream.recorded().is_empty(), "nothing goes on before the body is looked through");
    wire.send(BODY).await;
    assert!(wire.head().await.starts_with("HTTP/1.1 200"));
    let seen = upstream.only();
    assert!(!seen.headers.contains_key("expect") && !seen.text().contains("ana"), "{seen:?}");
    // A body that is too long, by its promise, is not asked for.
    let privet = Setup::new(&upstream).toml("[limits]\nrequest_body = \"1 KiB\"\n").start();
    let mut wire = Wire::connect(&privet.gateway).await;
    wire.post("/any", "expect: 100-continue\r\ncontent-length: 1025\r\n", "").await;
    assert!(wire.head().await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn an_odd_reply_is_a_bad_gateway_or_breaks_off() {
    let odd = [
        // A reply with two lengths, a bad length, a bad chunk.
        ("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!", None),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: x\r\n\r\nok", None),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n", None),
        ("HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\nok", None),
        ("no HTTP at all\r\n\r\n", None),
        // Bytes behind the end are nobody's reply.
        ("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok and more", Some("ok")),
        // 1xx before the reply, as often as it likes.
        (
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            Some("ok"),
        ),
        // Trailers do not travel.
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-a\r\n\r\n2\r\nok\r\n0\r\nx-a: 1\r\n\r\n",
            Some("ok"),
        ),
    ];
    for (reply, want) in odd {
        let upstream = RawUpstream::start(vec![Step::Send(reply)]).await;
        let privet = Setup::at(&upstream.url()).start();
        let mut wire = Wire::connect(&privet.gateway).await;
        wire.post("/any", "content-type: text/json\r\ncontent-length: 25\r\nconnection: close\r\n", BODY).await;
        let said = String::from_utf8(wire.rest().await).unwrap();
        if let Some(body) = want {
            assert!(said.starts_with("HTTP/1.1 200"), "{reply:?}: {said}");
            assert!(said.contains(body) && !said.contains("more") && !said.contains("x-a: 1"), "{reply:?}: {said}");
        } else {
            // One that has begun can only break off.
            let has_begun = said.is_empty() || said.starts_with("HTTP/1.1 200");
            let broke_off = has_begun && !said.ends_with("0\r\n\r\n");
            assert!(said.starts_with("HTTP/1.1 502") || broke_off, "{reply:?}: {said}");
        }
    }
}

#[tokio::test]
async fn an_early_reply_reaches_the_client_whole() {
    // The chatbot answers when it has read the head, and takes nothing of the body.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setup = Setup::at(&format!("http://{}", listener.local_addr().unwrap()));
    let privet = setup.toml("[[routes]]\npath = \"/\"\nbinary = \"pass\"\n").start();
    let (done, is_done) = tokio::sync::oneshot::channel::<()>();
    let chatbot = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(socket.read_buf(&mut seen).await.unwrap() > 0);
        }
        let reply =
            "HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{\"error\":\"no\"}";
        socket.write_all(reply.as_bytes()).await.unwrap();
        is_done.await.unwrap();
    });
    // More than the buffers of all sockets hold.
    let headers = [CONSENT, ("content-type", "application/octet-stream")];
    let reply = Client::new(&privet.gateway).send("POST", "/any", &headers, vec![0; 16 << 20]).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (413, "{\"error\":\"no\"}"));
    done.send(()).unwrap();
    chatbot.await.unwrap();
    privet.metric_becomes("privet_in_flight_requests", 0).await;
}
