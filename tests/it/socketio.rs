//! socket.io, as the channel of Rasa speaks it: on a socket and by polling.

use crate::support::{Answer, Client, Privet, Setup, Socket, SocketUpstream, Upstream, tokens};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const EMAIL: &str = "ana.silva@example.com";
/// A value that ends a string, or a tag, where it is not escaped.
const NASTY: &str = "nasty \"one\" \\ <b>\u{1e}";
const WHOLE_SENDER: &str = "[[routes]]\npath = \"/\"\nidentity = \"token\"\n";
const PATH: &str =
    "/socket.io/?EIO=4&transport=websocket&sid=QYZ0j1lm8f3kAAAC&privet-consent=support&privet-subject=u1";
const POLL: &str = "/socket.io/?EIO=4&transport=polling&sid=QYZ0j1lm8f3kAAAC&privet-consent=support&privet-subject=u1";

#[tokio::test]
async fn events_keep_their_frame() {
    let upstream = SocketUpstream::echo().await;
    let privet = Setup::at(&upstream.url()).start();
    let mut socket = Socket::open(&privet.gateway, PATH, &[]).await;
    assert_eq!(upstream.heads()[0].uri(), "/socket.io/?EIO=4&transport=websocket&sid=QYZ0j1lm8f3kAAAC");
    for said in [
        "2probe".to_owned(),
        "5".to_owned(),
        r#"40{"token":"t"}"#.to_owned(),
        format!(r#"42["user_uttered",{{"message":"I am at {EMAIL} \"x\"","session_id":"s1"}}]"#),
        format!(r#"42/support,17["user_uttered" , {{"message":"{EMAIL}"}}, "also {EMAIL}"]"#),
        format!(r#"4317["{EMAIL}"]"#),
        format!("4 no event, {EMAIL}"),
        format!(r#"42["user_uttered",{{"cut":"{EMAIL}"#),
    ] {
        socket.send(&*said).await;
        assert_eq!(socket.text().await, said);
        let sent = upstream.texts().pop().unwrap();
        let token = tokens(&sent).pop().unwrap_or_default();
        assert_eq!(sent, said.replace(EMAIL, &token));
        assert_eq!(token.is_empty(), !said.contains(EMAIL), "{said}");
    }
}

#[tokio::test]
async fn a_value_is_escaped_within_an_event() {
    let upstream = SocketUpstream::start(|message| {
        let token = tokens(message.to_text().unwrap()).remove(0);
        vec![Message::text(format!(r#"42["bot_uttered",{{"text":"Hello {token}"}}]"#))]
    })
    .await;
    let privet = Setup::at(&upstream.url()).toml(WHOLE_SENDER).start();
    let mut socket = Socket::open(&privet.gateway, PATH, &[]).await;
    socket.send(format!("42[\"user_uttered\",{}]", json!({"sender": NASTY}))).await;
    let heard = socket.text().await;
    assert!(!upstream.texts()[0].contains("nasty"), "{:?}", upstream.texts());
    let event: Value = serde_json::from_str(heard.strip_prefix("42").unwrap()).unwrap();
    assert_eq!(event[1]["text"], format!("Hello {NASTY}"));
}

/// A chatbot that is polled: it says back what it was told, in the packets of one body.
async fn polled(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (Upstream, Privet, Client) {
    let upstream =
        Upstream::start(move |request| Answer::new("text/plain; charset=UTF-8", vec![answer(request.text()).into()]))
            .await;
    let privet = Setup::new(&upstream).toml(WHOLE_SENDER).start();
    let client = Client::new(&privet.gateway);
    (upstream, privet, client)
}

#[tokio::test]
async fn a_poll_carries_several_packets() {
    let (upstream, _privet, client) = polled(str::to_owned).await;
    let kind = [("content-type", "text/plain;charset=UTF-8")];
    let said = format!(
        "42[\"user_uttered\",{{\"message\":\"\\\"{EMAIL}\\\"\"}}]\u{1e}2\u{1e}42[\"user_uttered\",{{\"message\":\"é {EMAIL}\"}}]"
    );
    let reply = client.send("POST", POLL, &kind, said.clone()).await;
    assert_eq!(reply.text(), said);
    assert_eq!(reply.header("privet-redacted"), Some("email=2"));
    let sent = upstream.only();
    assert_eq!(sent.text(), said.replace(EMAIL, &tokens(sent.text())[0]));
}

#[tokio::test]
async fn what_a_poll_brings_is_escaped() {
    let (_upstream, _privet, client) =
        polled(|text| format!("42[\"bot_uttered\",{{\"text\":\"{}\"}}]\u{1e}6", tokens(text)[0])).await;
    let said = format!("42[\"user_uttered\",{}]", json!({"sender": NASTY}));
    let reply = client.send("POST", POLL, &[("content-type", "text/plain;charset=UTF-8")], said).await;
    let event = reply.text().strip_prefix("42").unwrap().strip_suffix("\u{1e}6").unwrap();
    let event: Value = serde_json::from_str(event).unwrap();
    assert_eq!(event[1]["text"], NASTY);
}

#[tokio::test]
async fn what_cannot_be_read_of_a_poll_is_refused() {
    let (upstream, _privet, client) = polled(str::to_owned).await;
    let kind = [("content-type", "text/plain;charset=UTF-8")];
    for said in ["bAQIDBA==", "42[\"x\"]\u{1e}bAQIDBA==", "38:42[\"user_uttered\",{\"message\":\"hello\"}]"] {
        client.send("POST", POLL, &kind, said).await.problem(415, "unsupported-body");
    }
    assert!(upstream.recorded().is_empty());
}

#[tokio::test]
async fn the_conversation_of_an_event_is_its_subject() {
    let upstream = SocketUpstream::start(|message| {
        static LAST: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
        let mut last = LAST.lock().unwrap();
        if let Some(token) = tokens(message.to_text().unwrap()).pop() {
            *last = token;
        }
        vec![Message::text(format!(r#"42["bot_uttered",{{"text":"{last}"}}]"#))]
    })
    .await;
    let strict = "[[routes]]\npath = \"/\"\nstrict = true\n";
    let privet = Setup::at(&upstream.url()).toml(strict).start();
    let path = "/socket.io/?EIO=4&transport=websocket&privet-consent=support";
    let said =
        |session: &str, text: &str| format!("42[\"user_uttered\",{}]", json!({"session_id": session, "message": text}));
    for (session, text, heard) in [
        ("s1", format!("I am at {EMAIL}"), Some(EMAIL)),
        ("s1", "hello".into(), Some(EMAIL)),
        ("s2", "hello".into(), None),
    ] {
        let mut socket = Socket::open(&privet.gateway, path, &[]).await;
        socket.send(said(session, &text)).await;
        let event: Value = serde_json::from_str(socket.text().await.strip_prefix("42").unwrap()).unwrap();
        match heard {
            Some(heard) => assert_eq!(event[1]["text"], heard, "{session}"),
            None => assert!(event[1]["text"].as_str().unwrap().starts_with("[EMAIL_"), "{event}"),
        }
    }
}
