//! Replies over real sockets: data of others that the chatbot brings up, arrays
//! that come piece by piece, and what else a stream may be.

use crate::support::{Answer, Client, Dialogue, PATIENCE, Setup, chat, chat_stream, streamed_text, tokens};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

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
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let dialogue = Dialogue::new("[[routes]]\npath = \"/\"\nprotocol = \"gemini\"\n").await;
    let chunk = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}).to_string();
    dialogue.answers(move |request| {
        let token = tokens(request.text()).pop().unwrap_or_default();
        let (head, tail) = token.split_at(token.len() / 2);
        let texts =
            [format!("[{}", chunk("Hello")), format!(",\r\n{}", chunk(" there. ")), format!(",\n{}", chunk(head))];
        let rest = [format!(",\n{}", chunk(tail)), "\n]".to_owned()];
        let pieces = texts.into_iter().chain(rest).map(Bytes::from).collect();
        Answer::new("application/json; charset=UTF-8", pieces).gate(&held)
    });
    let body = json!({"contents": [{"parts": [{"text": format!("mail {EMAIL}")}]}]}).to_string();
    let headers = [("content-type", "application/json"), ("privet-consent", "support")];
    let mut reply = dialogue.client.open("POST", PATH, &headers, body).await.into_body();
    let mut all = String::new();
    // Each is there before the chatbot says more.
    for text in ["Hello", " there. "] {
        gate.add_permits(1);
        while !all.contains(text) {
            let frame = tokio::time::timeout(PATIENCE, reply.frame()).await.expect("the array is held back");
            all.push_str(std::str::from_utf8(&frame.unwrap().unwrap().into_data().unwrap()).unwrap());
        }
    }
    gate.add_permits(10);
    while let Some(frame) = reply.frame().await {
        all.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
    }
    let said: Vec<Value> = serde_json::from_str(&all).unwrap();
    let said: Vec<_> =
        said.iter().map(|one| one["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(said, ["Hello", " there. ", EMAIL, ""]);
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

/// A chatbot that says each of these after so many milliseconds, and then
/// leaves, or stays and says no more.
async fn slow_chatbot(pieces: &'static [(u64, &'static str)], stays: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = socket.read(&mut vec![0; 65536]).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                socket.write_all(head.as_bytes()).await.unwrap();
                for (pause, piece) in pieces {
                    tokio::time::sleep(Duration::from_millis(*pause)).await;
                    let _ = socket.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await;
                }
                if stays {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

/// What comes of a reply to somebody with a token until `wanted` has come, or it
/// ends; and whether it broke off.
async fn heard(address: &str, toml: &str, wanted: &str) -> (String, bool) {
    let privet = Setup::at(address).toml(toml).start();
    let headers = [("content-type", "application/json"), ("privet-consent", "support")];
    let client = Client::new(&privet.gateway);
    let mut body = client.open("POST", "/talk", &headers, json!({"text": EMAIL}).to_string()).await.into_body();
    let mut all = String::new();
    while wanted.is_empty() || !all.contains(wanted) {
        match tokio::time::timeout(PATIENCE, body.frame()).await.expect("nothing comes") {
            Some(Ok(frame)) => all.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap()),
            Some(Err(_)) => return (all, true),
            None => break,
        }
    }
    (all, false)
}

const ASKS: &str = "data: {\"text\":\"Please tell me your email\"}\n\n";
const HALF: &str = "data: {\"text\":\"see [EMA\"}\n\n";
const PING: &str = ": ping\n\n";

#[tokio::test]
async fn a_message_on_an_open_stream_is_not_withheld() {
    // Pings behind it are no more of it.
    let address = slow_chatbot(&[(0, ASKS), (700, PING), (700, PING), (700, PING), (700, PING)], true).await;
    for toml in ["", BOTH] {
        let (said, broke_off) = heard(&address, toml, ASKS).await;
        assert!(said.starts_with(ASKS) && !broke_off, "{said}");
    }
}

#[tokio::test]
async fn what_is_in_hand_comes_before_a_stream_breaks_off() {
    let idle = "[timeouts]\nstream_idle = \"1s\"\n";
    let address = slow_chatbot(&[(0, HALF)], true).await;
    assert_eq!(heard(&address, idle, "").await, (HALF.to_owned(), true));
    let address = slow_chatbot(&[(0, HALF)], false).await;
    assert_eq!(heard(&address, "", "").await, (HALF.to_owned(), true));
    // Who keeps the connection alive is not silent.
    let address = slow_chatbot(&[(0, HALF), (600, PING), (600, PING), (600, "data: {\"text\":\"!\"}\n\n")], true).await;
    let (said, broke_off) = heard(&address, idle, "!").await;
    assert!(!broke_off && said.starts_with(HALF), "{said}");
}

#[tokio::test]
async fn what_says_not_to_be_text_is_looked_through_where_data_of_others_is() {
    let dialogue = Dialogue::new(
        "[[routes]]\npath = \"/\"\nreply = \"restore+redact\"\n\
         [[routes]]\npath = \"/pass\"\nreply = \"restore+redact\"\nbinary = \"pass\"\n",
    )
    .await;
    let document = format!("{{\"text\":\"Ask {OTHER} now\"}}");
    for content_type in ["application/octet-stream", "application/jsonlines"] {
        dialogue.answers_text(content_type, &document, usize::MAX);
        let reply = dialogue.ask("/talk", chat(EMAIL).to_string()).await;
        assert_eq!(reply.text(), document.replace(OTHER, "[EMAIL]"), "{content_type}");
    }
    dialogue.answers_text("application/octet-stream", &document, usize::MAX);
    assert_eq!(dialogue.ask("/pass", chat(EMAIL).to_string()).await.text(), document);
    for (content_type, head, tail) in
        [("application/json", "{\"text\":\"", "\"}"), ("text/event-stream", "data: {\"text\":\"", "\"}\n\n")]
    {
        dialogue.answers(move |_| {
            let body = [head.as_bytes(), b"\xff Ask ", OTHER.as_bytes(), b" now", tail.as_bytes()].concat();
            Answer::new(content_type, vec![body.into()])
        });
        for (path, other) in [("/talk", "[EMAIL]"), ("/pass", OTHER)] {
            let reply = dialogue.ask(path, chat(EMAIL).to_string()).await;
            let want = [head.as_bytes(), b"\xff Ask ", other.as_bytes(), b" now", tail.as_bytes()].concat();
            assert_eq!(reply.body, want, "{content_type} {path}");
        }
    }
}
