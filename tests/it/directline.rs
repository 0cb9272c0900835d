//! Direct Line: the socket that a reply names leads through the gateway.

use crate::support::{Answer, CONSENT, Client, Privet, Setup, Socket, SocketUpstream, Upstream, tokens};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const EMAIL: &str = "ana.silva@example.com";
/// As long as those of Direct Line are.
const TOKEN: &str =
    "ew0KICAiYWxnIjogIlJTMjU2In0.ew0KICAiYm90IjogInNob3AifQ.k3JpcHRpb25fb2ZfdGhlX3NpZ25hdHVyZV9pc19sb25n";
const CONVERSATIONS: &str = "/v3/directline/conversations";

/// A bot whose sockets stand at `origin`, with `@` for its own address.
async fn bot(stream_url: &str) -> SocketUpstream {
    let stream_url = stream_url.to_owned();
    let reply = move |own: &str| {
        let url = stream_url.replace('@', own).replace('/', "\\/");
        format!(r#"{{ "conversationId": "abc", "expires_in": 1800, "streamUrl" : "{url}", "note":"é" }}"#)
    };
    SocketUpstream::start_with(reply, |message| {
        let Ok(activity) = serde_json::from_str::<Value>(message.to_text().unwrap()) else {
            return vec![Message::text("")];
        };
        let echo = json!({"activities": [{"type": "message", "text": activity["text"]}], "watermark": "7"});
        vec![Message::text(""), Message::text(echo.to_string())]
    })
    .await
}

async fn stream_url(privet: &Privet, headers: &[(&str, &str)]) -> String {
    let client = Client::new(&privet.gateway);
    let headers = [&[CONSENT], headers].concat();
    let reply = client.send("POST", CONVERSATIONS, &headers, "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = reply.text();
    assert!(text.starts_with(r#"{ "conversationId": "abc", "expires_in": 1800, "streamUrl" : ""#), "{text}");
    assert!(text.ends_with(r#"", "note":"é" }"#), "{text}");
    reply.json()["streamUrl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_socket_leads_through_the_gateway() {
    let upstream = bot(&format!("ws://@{CONVERSATIONS}/abc/stream?watermark=-&t={TOKEN}")).await;
    let privet = Setup::at(&upstream.url()).start();
    let url = stream_url(&privet, &[]).await;
    let host = privet.gateway.trim_start_matches("http://");
    let path = format!("{CONVERSATIONS}/abc/stream?watermark=-&t={TOKEN}");
    assert_eq!(url, format!("ws://{host}{path}"));

    let path = url.strip_prefix(&format!("ws://{host}")).unwrap();
    let consent = "&privet-consent=support&privet-subject=u1";
    let mut socket = Socket::open(&privet.gateway, &format!("{path}{consent}"), &[]).await;
    assert_eq!(upstream.heads()[0].uri().to_string(), path, "the token of a conversation is no prose");
    socket.send(json!({"type": "message", "text": format!("I am at {EMAIL}")}).to_string()).await;
    assert_eq!(socket.text().await, "");
    let set: Value = serde_json::from_str(&socket.text().await).unwrap();
    assert_eq!(set["activities"][0]["text"], format!("I am at {EMAIL}"));
    assert_eq!(tokens(&upstream.texts()[0]).len(), 1);
    socket.send("").await;
    assert_eq!(socket.text().await, "");
}

#[tokio::test]
async fn the_door_is_where_the_client_came_in() {
    let upstream = bot(&format!("ws://@{CONVERSATIONS}/abc/stream")).await;
    let privet = Setup::at(&upstream.url()).start();
    let url = stream_url(&privet, &[("host", "chat.example"), ("x-forwarded-proto", "https, http")]).await;
    assert_eq!(url, format!("wss://chat.example{CONVERSATIONS}/abc/stream"));
    let privet = Setup::at(&upstream.url()).toml("public_url = \"https://shop.example/bot/\"\n").start();
    let url = stream_url(&privet, &[("host", "chat.example")]).await;
    assert_eq!(url, format!("wss://shop.example/bot{CONVERSATIONS}/abc/stream"));
}

#[tokio::test]
async fn an_address_that_leads_elsewhere_is_emptied() {
    for elsewhere in [
        "wss://directline.elsewhere.example/v3/directline/conversations/abc/stream",
        "wss://@/v3/directline/conversations/abc/stream",
        "ws://user@/abc",
        "ws://@.elsewhere.example/abc",
        "no address",
        "//@/abc",
    ] {
        let upstream = bot(elsewhere).await;
        let privet = Setup::at(&upstream.url()).start();
        assert_eq!(stream_url(&privet, &[]).await, "", "{elsewhere}");
    }
}

#[tokio::test]
async fn another_upstream_is_reached_by_its_route() {
    let sockets = SocketUpstream::echo().await;
    let upstream = bot(&format!("ws://{}/base/stream/abc?t={TOKEN}", sockets.address)).await;
    let toml = |path: &str| {
        format!(
            "[[upstreams]]\nname = \"api\"\nurl = \"{}\"\n[[upstreams]]\nname = \"sockets\"\nurl = \"{}/base\"\n\
             [[routes]]\npath = \"{path}\"\nupstream = \"sockets\"\n",
            upstream.url(),
            sockets.url()
        )
    };
    let privet = Setup::without_upstream().toml(&toml("/stream")).start();
    let host = privet.gateway.trim_start_matches("http://");
    assert_eq!(stream_url(&privet, &[]).await, format!("ws://{host}/stream/abc?t={TOKEN}"));
    // Without a route that leads there it cannot be reached.
    let privet = Setup::without_upstream().toml(&toml("/other")).start();
    assert_eq!(stream_url(&privet, &[]).await, "");
}

#[tokio::test]
async fn also_a_reply_that_is_not_restored_leads_through_the_gateway() {
    let upstream = bot(&format!("ws://@{CONVERSATIONS}/abc/stream")).await;
    let privet = Setup::at(&upstream.url()).toml("[[routes]]\npath = \"/\"\nreply = \"pass\"\n").start();
    let host = privet.gateway.trim_start_matches("http://");
    assert_eq!(stream_url(&privet, &[]).await, format!("ws://{host}{CONVERSATIONS}/abc/stream"));
}

#[tokio::test]
async fn an_address_is_found_in_a_reply_of_any_type_or_refused() {
    for (content_type, coding, status) in [
        ("", "", 200),
        ("text/plain", "", 200),
        ("application/json", "", 200),
        ("", "rot13", 502),
        ("application/json", "rot13", 502),
    ] {
        let upstream = Upstream::start(move |_| {
            let body = Bytes::from_static(br#"{"streamUrl": "wss://elsewhere.example/abc", "n": 1}"#);
            let answer = Answer::new(content_type, vec![body]);
            if coding.is_empty() { answer } else { answer.header("content-encoding", coding) }
        })
        .await;
        let privet = Setup::at(&upstream.url()).start();
        let reply =
            Client::new(&privet.gateway).send("POST", CONVERSATIONS, &[CONSENT, ("range", "bytes=5-")], "").await;
        assert_eq!(reply.status, status, "{content_type} {coding}");
        assert!(!reply.text().contains("elsewhere"), "{content_type} {coding}");
        if status == 200 {
            assert_eq!(reply.text(), r#"{"streamUrl": "", "n": 1}"#, "{content_type}");
        }
        assert_eq!(upstream.only().headers.get("range"), None);
    }
}
