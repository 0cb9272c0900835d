//! Between the two sockets: versions of HTTP, TLS, addresses, and which headers
//! travel.

use crate::support::{
    Answer, Client, Identity, RawUpstream, Setup, Upstream, Wire, chat, chat_stream, streamed_text, tokens,
};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

const CHAT: &str = "/v1/chat/completions";
const SAID: &str = "write to ana.lopez@example.com";

#[tokio::test]
async fn http2_by_prior_knowledge_works_end_to_end() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).start();
    let client = Client::http2(&privet.gateway);
    let reply = client.chat(&chat(SAID), &[]).await;
    assert_eq!((reply.version, reply.says()), (Version::HTTP_2, SAID.to_owned()));
    let seen = upstream.last();
    assert_eq!(tokens(&seen.said()).len(), 1);
    assert_eq!(seen.headers["host"], upstream.address.to_string().as_str());
    // Many at once over one connection, as streams.
    let all = (0..20).map(|n| {
        let (client, said) = (client.clone(), format!("{n}: {SAID}"));
        async move { (client.chat(&chat_stream(&said), &[]).await, said) }
    });
    for (reply, said) in futures_util::future::join_all(all).await {
        assert_eq!((reply.version, streamed_text(reply.text(), 0)), (Version::HTTP_2, said));
    }
    let refused = client.send("POST", CHAT, &[("content-type", "application/json")], chat(SAID).to_string()).await;
    refused.problem(403, "consent-required");
}

/// A client may send all before it looks for the reply, and take a stream that
/// ends before for broken.
#[tokio::test]
async fn a_refused_stream_is_taken_to_its_end() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).start();
    let address = privet.gateway.trim_start_matches("http://");
    let io = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("{}{CHAT}", privet.gateway)).body(()).unwrap();
    let (reply, mut body) = client.send_request(request, false).unwrap();
    // It does not wait for the body.
    assert_eq!(reply.await.unwrap().status(), 403);
    // More than fits into the window of a stream that nobody reads.
    let mut left = 4 << 20;
    while left > 0 {
        body.reserve_capacity(left);
        let room = std::future::poll_fn(|context| body.poll_capacity(context)).await;
        let room = room.expect("the stream was reset").expect("the stream was reset");
        left -= room;
        body.send_data(vec![b'x'; room].into(), left == 0).unwrap();
    }
    assert!(upstream.recorded().is_empty());
}

#[tokio::test]
async fn an_offer_of_another_protocol_is_passed_over() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).start();
    let offer =
        [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA")];
    let reply = Client::new(&privet.gateway).chat(&chat(SAID), &offer).await;
    assert_eq!(reply.says(), SAID);
    let seen = upstream.last();
    assert!(["upgrade", "http2-settings"].iter().all(|name| !seen.headers.contains_key(*name)), "{:?}", seen.headers);
}

#[tokio::test]
async fn tls_serves_http2_and_http1_by_alpn() {
    let identity = Identity::new();
    let upstream = Upstream::echo().await;
    let (certificate, key) = (identity.certificate(), identity.key());
    let toml = format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", certificate.display(), key.display());
    let privet = Setup::new(&upstream).toml(&toml).start();
    assert!(privet.gateway.starts_with("https://"), "{}", privet.gateway);
    assert!(privet.admin.starts_with("http://"), "{}", privet.admin);
    let request = || {
        let request = Request::post("https://localhost/v1/chat/completions").header("host", "localhost");
        let request = request.header("content-type", "application/json").header("privet-consent", "support");
        request.body(Full::new(Bytes::from(chat(SAID).to_string()))).unwrap()
    };
    let check = async |response: http::Response<hyper::body::Incoming>, version: Version| {
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(std::str::from_utf8(&body).unwrap().contains(SAID));
    };

    let io = identity.connect(&privet.gateway, &["h2", "http/1.1"]).await;
    assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    let running = tokio::spawn(connection);
    check(sender.send_request(request()).await.unwrap(), Version::HTTP_2).await;
    running.abort();

    for alpn in [&["http/1.1"][..], &[]] {
        let io = identity.connect(&privet.gateway, alpn).await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
        let running = tokio::spawn(connection);
        check(sender.send_request(request()).await.unwrap(), Version::HTTP_11).await;
        running.abort();
    }
    assert_eq!(upstream.recorded().len(), 3);
}

#[tokio::test]
async fn an_upstream_behind_tls_is_trusted_by_its_own_authority_alone() {
    let (identity, other) = (Identity::new(), Identity::new());
    for alpn in [&["http/1.1"][..], &["h2"], &[]] {
        let upstream = Upstream::start_tls(identity.server(alpn), |request| Answer::says(&request.said())).await;
        let at = |host: &str, ca: &Identity| {
            let url = format!("https://{host}:{}", upstream.address.port());
            let ca = ca.certificate().display().to_string();
            Setup::without_upstream()
                .toml(&format!("[[upstreams]]\nname = \"a\"\nurl = \"{url}\"\nca = \"{ca}\"\n"))
                .start()
        };
        let privet = at("localhost", &identity);
        assert_eq!(Client::new(&privet.gateway).chat(&chat(SAID), &[]).await.says(), SAID, "{alpn:?}");
        assert_eq!(tokens(&upstream.only().said()).len(), 1);
        let version = if alpn == ["h2"] { Version::HTTP_2 } else { Version::HTTP_11 };
        assert_eq!(upstream.last().version, version);

        let privet = at("localhost", &other);
        Client::new(&privet.gateway).chat(&chat(SAID), &[]).await.problem(502, "upstream-failed");
        assert_eq!(upstream.recorded().len(), 1, "a chatbot that is not trusted got the request");
    }
}

#[tokio::test]
async fn a_path_of_the_upstream_is_put_before_the_requests() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    for (base, asked, target) in [
        ("", "/v1/chat?a=1&b=%20x", "/v1/chat?a=1&b=%20x"),
        ("/", "/v1/chat", "/v1/chat"),
        ("/base", "/v1/chat?a", "/base/v1/chat?a"),
        ("/base/", "/v1/chat", "/base/v1/chat"),
        ("/a/b", "/", "/a/b/"),
        // What is forwarded is the path as it came.
        ("/base", "/v1//x/%2e/%C3%A9?", "/base/v1//x/%2e/%C3%A9?"),
    ] {
        let privet = Setup::at(&format!("{}{base}", upstream.url())).start();
        Client::new(&privet.gateway).send("GET", asked, &[("privet-consent", "support")], "").await;
        assert_eq!(upstream.last().target, target, "{base} {asked}");
        assert_eq!(upstream.last().headers["host"], upstream.address.to_string().as_str());
    }
}

#[tokio::test]
async fn routes_choose_their_upstream_and_its_headers_are_set() {
    let (first, second) = (Upstream::start(|_| Answer::says("1")).await, Upstream::start(|_| Answer::says("2")).await);
    let toml = format!(
        "[[upstreams]]\nname = \"first\"\nurl = \"{}\"\n[[upstreams]]\nname = \"second\"\nurl = \"{}\"\n\
         set_headers = {{ Authorization = \"env:CHATBOT_AUTHORIZATION\", X-Plain = \"yes\" }}\n\
         [[routes]]\npath = \"/two\"\nupstream = \"second\"\n",
        first.url(),
        second.url()
    );
    let privet = Setup::without_upstream().toml(&toml).env("CHATBOT_AUTHORIZATION", "Bearer of the site").start();
    let client = Client::new(&privet.gateway);
    let sent = [("privet-consent", "support"), ("authorization", "Bearer of the browser"), ("x-plain", "no")];
    client.send("GET", "/two/x", &sent, "").await;
    client.send("GET", "/one", &sent, "").await;
    let seen = second.only();
    let all = |name: &str| seen.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!((all("authorization"), all("x-plain")), (vec!["Bearer of the site"], vec!["yes"]));
    assert_eq!(first.only().headers["authorization"], "Bearer of the browser");
    assert!(!privet.log().contains("Bearer"), "{}", privet.log());
}

#[tokio::test]
async fn no_header_is_added_and_those_of_the_way_are_dropped() {
    let upstream = RawUpstream::says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let privet = Setup::at(&upstream.url()).start();
    let kept = [
        "authorization: Bearer k",
        "x-api-key: k",
        "content-type: application/json",
        "content-length: 4",
        "accept: text/event-stream",
        "accept-language: de",
        "user-agent: curl/8",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate: a=1",
        "cookie: sid=1; theme=dark",
        "openai-organization: org",
        "sec-gpc: 0",
    ];
    let dropped = [
        "privet-consent: support",
        "privet-subject: u1",
        "x-forwarded-for: 192.0.2.7",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: https",
        "x-forwarded-anything: 1",
        "forwarded: for=192.0.2.7",
        "x-real-ip: 192.0.2.7",
        "x-client-ip: 192.0.2.7",
        "true-client-ip: 192.0.2.7",
        "cf-connecting-ip: 192.0.2.7",
        "via: 1.1 edge",
        "referer: https://shop.example/orders/17",
        "from: ana.lopez@example.com",
        "connection: keep-alive, x-hop",
        "keep-alive: timeout=5",
        "x-hop: 1",
        "te: trailers",
        "proxy-connection: keep-alive",
        "proxy-authorization: Basic eA==",
    ];
    let mut wire = Wire::connect(&privet.gateway).await;
    let lines: String = kept.iter().chain(&dropped).flat_map(|line| [line, "\r\n"]).collect();
    wire.send(format!("POST /v1/x HTTP/1.1\r\nhost: chat.shop.example\r\n{lines}\r\nnull")).await;
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");

    let seen = upstream.heads();
    let mut lines = seen[0].lines();
    assert_eq!(lines.next(), Some("post /v1/x http/1.1"));
    let mut seen: Vec<&str> = lines.collect();
    seen.sort_unstable();
    let host = format!("host: {}", upstream.address);
    let mut want: Vec<String> = kept.iter().map(|line| line.to_lowercase()).collect();
    want.push(host);
    want.sort_unstable();
    assert_eq!(seen, want);
}

#[tokio::test]
async fn headers_of_a_reply_travel_but_those_of_its_connection() {
    let upstream = RawUpstream::says(
        "HTTP/1.1 201 Created\r\nx-own: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nconnection: close, x-hop\r\nx-hop: 1\r\n\
         keep-alive: timeout=5\r\nproxy-authenticate: Basic\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\
         x-request-id: r-1\r\nserver: bot\r\n\r\nok",
    )
    .await;
    let privet = Setup::at(&upstream.url()).start();
    let reply = Client::new(&privet.gateway).chat(&chat("hi"), &[]).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (201, "ok"));
    let mut names: Vec<&str> = reply.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let want = [
        "content-length",
        "content-type",
        "date",
        "privet-request-id",
        "server",
        "set-cookie",
        "x-own",
        "x-request-id",
    ];
    assert_eq!(names, want);
    assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 2);
    // Each request has an id of its own, which is the last word on it.
    let again = Client::new(&privet.gateway).chat(&chat("hi"), &[("privet-request-id", "mine")]).await;
    assert_ne!(reply.header("privet-request-id"), again.header("privet-request-id"));
    assert_ne!(again.header("privet-request-id"), Some("mine"));
}
