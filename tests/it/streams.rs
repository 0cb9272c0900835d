//! Replies over real sockets: data of others that the chatbot brings up, arrays
//! that come piece by piece, and what else a stream may be.

use crate::support::{Answer, Client, Dialogue, Setup, chat, chat_stream, streamed_text, tokens};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CHAT: &str = "/v1/chat/completions";
const EMAIL: &str = "ana.lopez@example.com";
const OTHER: &str = "boris.becker@example.org";
const BOTH: &str = "[[routes]]\npath = \"/\"\nreply = \"restore+redact\"\n[[routes]]\npath = \"/only\"\n";

#[tokio::test]
async fn data_that_the_chatbot_brings_up_is_replaced_in_every_shape() {
    let dialogue = Dialogue::new(BOTH).await;
    let said = format!("You are @@. {OTHER} is on 192.0.2.7, and waits.");
    let want = format!("You are {EMAIL}. [EMAIL] is on [IP], and waits.");
    for piece in [usize::MAX, 7] {
        for content_type in ["text/plain", "text/html", ""] {
            dialogue.answers_text(content_type, &said, piece);
            assert_eq!(dialogue.ask(CHAT, chat(EMAIL).to_string()).await.text(), want, "{content_type}");
        }
        let document = json!({"choices": [{"message": {"content": "##", "role": "assistant"}}]}).to_string();
        dialogue.answers_text("application/json", &document.replace("##", &said), piece);
        let reply = dialogue.ask(CHAT, chat(EMAIL).to_string()).await;
        assert_eq!(reply.text(), document.replace("##", &want));
        let line = "{\"message\":{\"content\":\"##\"},\"done\":false}\n{\"done\":true}\n";
        dialogue.answers_text("application/x-ndjson", &line.replace("##", &said), piece);
        let reply = dialogue.ask("/api/chat", json!({"messages": [{"content": EMAIL}]}).to_string()).await;
        assert_eq!(reply.text(), line.replace("##", &want));
    }
    for size in [1, 4, 200] {
        let said = said.clone();
        dialogue.answers_with(move |token| {
            let letters: Vec<char> = said.replace("@@", token).chars().collect();
            Answer::streams(&letters.chunks(size).map(String::from_iter).collect::<Vec<_>>())
        });
        let reply = dialogue.ask(CHAT, chat_stream(EMAIL).to_string()).await;
        assert_eq!(streamed_text(reply.text(), 0), want, "in pieces of {size}");
    }
    let counted = "privet_findings_total{direction=\"reply\",entity=\"EMAIL\",rule=\"email\"}";
    assert!(dialogue.privet.metric(counted).await >= 10);
    // A route that only restores lets it pass.
    dialogue.answers_text("text/plain", &format!("@@ {OTHER}"), usize::MAX);
    let reply = dialogue.ask("/only", chat(EMAIL).to_string()).await;
    assert_eq!(reply.text(), format!("{EMAIL} {OTHER}"));
}

#[tokio::test]
async fn what_the_chatbot_brings_up_follows_the_plan_and_never_comes_back() {
    let plan = "[[routes]]\npath = \"/\"\nreply = \"restore+redact\"\nwithout_consent = \"anonymize\"\n\
                detection.entities.IP.operator = \"mask\"\n";
    let dialogue = Dialogue::new(plan).await;
    let said = format!("{OTHER} 192.0.2.7");
    dialogue.answers_text("text/plain", &said, usize::MAX);
    let reply = dialogue.ask(CHAT, chat(EMAIL).to_string()).await;
    let (first, masked) = reply.text().split_once(' ').unwrap();
    assert!(first == "[EMAIL]" && masked.contains('*') && !masked.contains("192.0.2"), "{}", reply.text());
    // What stands for it is no token, so it stays in the next turn too.
    dialogue.answers(|request| Answer::says(&request.said()));
    let reply = dialogue.ask(CHAT, chat("[EMAIL] and you?").to_string()).await;
    assert_eq!(reply.says(), "[EMAIL] and you?");
    // Nobody asked for consent: nothing comes back, and nothing of others comes out.
    dialogue.answers(|_| Answer::new("text/plain", vec![format!("Ask {OTHER}").into()]));
    let headers = [("content-type", "application/json")];
    let reply = dialogue.client.send("POST", CHAT, &headers, chat("hello").to_string()).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "Ask [EMAIL]"));
}

#[tokio::test]
async fn errors_that_bring_something_up_are_looked_at_too() {
    let dialogue = Dialogue::new(BOTH).await;
    for (status, content_type) in [(500, "text/plain"), (400, "application/json")] {
        let body = json!({"error": {"message": format!("no {OTHER}")}}).to_string();
        let sent = body.clone();
        dialogue.answers(move |_| Answer::new(content_type, vec![sent.clone().into()]).status(status));
        let reply = dialogue.ask(CHAT, chat("hello").to_string()).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (status, body.replace(OTHER, "[EMAIL]").as_str()));
    }
}

#[tokio::test]
async fn an_array_is_sent_on_element_by_element() {
    const PATH: &str = "/v1beta/models/some-model:streamGenerateContent";
    let pause = Duration::from_millis(150);
    let dialogue = Dialogue::new("[[routes]]\npath = \"/\"\nprotocol = \"gemini\"\n").await;
    let chunk = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}).to_string();
    dialogue.answers(move |request| {
        let token = tokens(request.text()).pop().unwrap_or_default();
        let (head, tail) = token.split_at(token.len() / 2);
        let texts =
            [format!("[{}", chunk("Hello")), format!(",\r\n{}", chunk(" there. ")), format!(",\n{}", chunk(head))];
        let rest = [format!(",\n{}", chunk(tail)), "\n]".to_owned()];
        let pieces = texts.into_iter().chain(rest).map(Bytes::from).collect();
        Answer::new("application/json; charset=UTF-8", pieces).pause(pause)
    });
    let body = json!({"contents": [{"parts": [{"text": format!("mail {EMAIL}")}]}]}).to_string();
    let headers = [("content-type", "application/json"), ("privet-consent", "support")];
    let mut reply = dialogue.client.open("POST", PATH, &headers, body).await.into_body();
    let (mut all, mut arrived) = (String::new(), Vec::new());
    while let Some(frame) = reply.frame().await {
        all.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        arrived.push(Instant::now());
    }
    let said: Vec<Value> = serde_json::from_str(&all).unwrap();
    let said: Vec<_> =
        said.iter().map(|one| one["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(said, ["Hello", " there. ", EMAIL, ""]);
    assert!(arrived.len() >= 3 && arrived[1] - arrived[0] > pause / 2, "the array was held back");
}

/// A reply that says nothing of its type, and has trailers.
async fn bare_chatbot(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 65536];
            let read = socket.read(&mut request).await.unwrap();
            let token = tokens(std::str::from_utf8(&request[..read]).unwrap()).pop().unwrap_or_default();
            let body = body.replace("@@", &token);
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-mail\r\n\r\n";
            let chunk = format!("{:x}\r\n{body}\r\n0\r\nx-mail: {OTHER}\r\n\r\n", body.len());
            socket.write_all(format!("{head}{chunk}").as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_stream_without_a_type_is_restored_and_trailers_do_not_travel() {
    let stream = "event: message\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"so \\\"@@\"}}]}\n\n";
    let address = bare_chatbot(stream).await;
    for toml in ["", "[[routes]]\npath = \"/\"\nreply = \"pass\"\n"] {
        let privet = Setup::at(&address).toml(toml).start();
        let headers = [("content-type", "application/json"), ("privet-consent", "support")];
        let client = Client::http2(&privet.gateway);
        let reply = client.open("POST", CHAT, &headers, chat(EMAIL).to_string()).await;
        assert!(!reply.headers().contains_key("trailer"));
        let whole = reply.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers(), None);
        let text = String::from_utf8(whole.to_bytes().to_vec()).unwrap();
        assert_eq!(text == stream.replace("@@", EMAIL), toml.is_empty(), "{text}");
    }
}
