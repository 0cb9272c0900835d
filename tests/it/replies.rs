//! Replies of every shape: values come back escaped as their place demands,
//! and what holds no token of the subject passes as it came.

use crate::support::{Answer, Dialogue, chat, chat_stream, events, streamed_text, tokens};
use bytes::Bytes;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const EMAIL: &str = "ana.lopez@example.com";

/// A value that every format has to escape in its own way.
const NASTY: &str = "O\"Neil \\ </script>\n'&' \t\u{1f600} ]]> [EMAIL_00000000] \\n";

/// A route that takes `user` as a value, whatever it holds.
const WHOLE_USER: &str = "[[routes]]\npath = \"/\"\nidentity = \"token\"\n";

fn nasty_request() -> String {
    json!({"user": NASTY, "stream": true, "messages": []}).to_string()
}

fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn in_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[tokio::test]
async fn a_value_is_escaped_as_its_place_demands() {
    let dialogue = Dialogue::new(WHOLE_USER).await;
    for piece in [usize::MAX, 5] {
        // Plain text as it is, markup as text.
        for content_type in ["text/plain", "text/markdown; charset=utf-8", ""] {
            dialogue.answers_text(content_type, "so: @@ <b>", piece);
            let reply = dialogue.ask(CHAT, nasty_request()).await;
            assert_eq!(reply.text(), format!("so: {NASTY} <b>"), "{content_type}");
        }
        for content_type in ["text/html", "application/xml", "application/rss+xml", "text/xml"] {
            dialogue.answers_text(content_type, "<p title=\"@@\">@@ &lt;</p>", piece);
            let reply = dialogue.ask(CHAT, nasty_request()).await;
            let value = in_html(NASTY);
            assert_eq!(reply.text(), format!("<p title=\"{value}\">{value} &lt;</p>"), "{content_type}");
        }
        // In JSON, and in JSON within a string of JSON.
        for content_type in ["application/json", "application/problem+json", "text/json"] {
            let call = json!({"function": {"arguments": "{\"to\":\"@@\"}"}});
            let body = json!({"choices": [{"index": 0, "message": {"content": "so: @@", "tool_calls": [call]}}]});
            dialogue.answers_text(content_type, &body.to_string(), piece);
            let reply = dialogue.ask(CHAT, nasty_request()).await.json();
            let message = &reply["choices"][0]["message"];
            assert_eq!(message["content"], format!("so: {NASTY}"), "{content_type}");
            let arguments = message["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
            assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), json!({"to": NASTY}));
        }
    }
}

#[tokio::test]
async fn a_value_is_escaped_in_streams_too() {
    let dialogue = Dialogue::new(WHOLE_USER).await;
    let content = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let call = |text: &str| json!({"choices": [{"index": 1, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}]});
    for at in [3, 9, 17] {
        dialogue.answers_with(move |token| {
            let (head, tail) = token.split_at(at);
            let all = [
                content(&format!("so: {head}")),
                call(&format!("{{\"to\":\"{head}")),
                content(tail),
                call(&format!("{tail}\",\"n\":1}}")),
                json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
                json!({"choices": [{"index": 1, "delta": {}, "finish_reason": "tool_calls"}]}),
            ];
            let mut pieces: Vec<Bytes> = all.iter().map(|event| format!("data: {event}\n\n").into()).collect();
            pieces.push("data: [DONE]\n\n".into());
            Answer::new("text/event-stream", pieces)
        });
        let reply = dialogue.ask(CHAT, nasty_request()).await;
        assert_eq!(streamed_text(reply.text(), 0), format!("so: {NASTY}"));
        let all = events(reply.text());
        let pointer = "/choices/0/delta/tool_calls/0/function/arguments";
        let arguments: String = all.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect();
        assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"to": NASTY, "n": 1}));
    }
    // Data that is no JSON: each line of the value is a line of data.
    dialogue.answers_text("text/event-stream", "event: note\ndata: so: @@!\nid: 3\n\n", 6);
    let reply = dialogue.ask(CHAT, nasty_request()).await;
    let lines: Vec<&str> = reply.text().lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(lines.join("\n"), format!("so: {NASTY}!"));
    assert!(reply.text().starts_with("event: note\n") && reply.text().ends_with("\nid: 3\n\n"), "{}", reply.text());
}

#[tokio::test]
async fn json_lines_are_restored_line_by_line() {
    let dialogue = Dialogue::new(WHOLE_USER).await;
    let lines = "{\"message\":{\"content\":\"so: @@\"},\"done\":false}\n{\"message\":{\"content\":\" ok\"}, \"done\":false}\r\n\
                 {\"error\":\"no @@\"}\n{\"done\":true,\"eval_count\":7}";
    for content_type in ["application/x-ndjson", "application/jsonl"] {
        for piece in [usize::MAX, 9] {
            dialogue.answers_text(content_type, lines, piece);
            let reply = dialogue.ask("/bot", nasty_request()).await;
            assert_eq!(reply.text(), lines.replace("@@", &in_json(NASTY)));
        }
    }
    // A token over two lines.
    dialogue.answers_with(|token| {
        let (head, tail) = token.split_at(8);
        let line = |text: &str| Bytes::from(json!({"message": {"content": text}, "done": false}).to_string() + "\n");
        Answer::new("application/x-ndjson", vec![line(head), line(tail), "{\"done\":true}\n".into()])
    });
    let reply = dialogue.ask("/bot", nasty_request()).await;
    let lines: Vec<Value> = reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    let said: String = lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
    assert_eq!((said.as_str(), &lines[2]), (NASTY, &json!({"done": true})));
}

/// A stream with all that may stand in one. `@@` comes back as the value, `~~`
/// stays the token.
const STREAM: &str = ": ping\n\nevent: open\nid: 7\nretry: 100\ndata: {\"id\":\"c-~~\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n\
    id: 8\r\ndata:{\"id\":\"c-~~\", \"choices\":[{\"delta\":{\"content\":\"hi @@ \\u00e9\\/\"},\"logprobs\":{\"content\":[{\"token\":\"~~\",\"logprob\":-1.50}]},\"index\":0}]}\r\n\r\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\n\"}}],\ndata:  \"obfuscation\":\"xyz\"}\n\n\
    : still here\n\n\
    data\n\n\
    event: odd\nunknown: field\ndata: {\"note\": \"@@\"}\n\n\
    data: {\"error\":{\"message\":\"cannot mail @@\",\"code\":400}}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1e1}}\n\n\
    data: [DONE]\n\n";

#[tokio::test]
async fn of_a_stream_nothing_changes_but_the_tokens() {
    let dialogue = Dialogue::new("").await;
    // However the bytes are cut; with LF, CRLF and CR alone.
    for stream in [STREAM.to_owned(), STREAM.replace("\r\n", "\n").replace('\n', "\r\n"), format!("\u{feff}{STREAM}")] {
        for piece in [usize::MAX, 64, 3, 1] {
            dialogue.answers_text("text/event-stream", &stream, piece);
            let reply = dialogue.ask(CHAT, chat_stream(EMAIL).to_string()).await;
            let token = &tokens(dialogue.upstream.last().text())[0];
            assert_eq!(reply.text(), stream.replace("@@", EMAIL).replace("~~", token), "in pieces of {piece}");
        }
    }
}

#[tokio::test]
async fn a_character_cut_over_two_events_stays_whole() {
    // Some servers cut between the two escapes of one character.
    let dialogue = Dialogue::new("").await;
    let delta =
        |text: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    dialogue.answers_with(move |token| {
        let (head, tail) = token.split_at(5);
        let deltas = [delta(&format!("\\u00e9 {head}")), delta(&format!("{tail} \\ud83d")), delta("\\ude00 @")];
        Answer::new("text/event-stream", deltas.into_iter().map(Bytes::from).collect())
    });
    let reply = dialogue.ask(CHAT, chat_stream(EMAIL).to_string()).await;
    let expected = [delta(&format!("\\u00e9 {EMAIL}")), delta(" \\ud83d"), delta("\\ude00 @")].concat();
    assert_eq!(reply.text(), expected);
}

#[tokio::test]
async fn choices_that_take_turns_are_kept_apart() {
    let dialogue = Dialogue::new("").await;
    dialogue.answers(|request| {
        let found = tokens(request.text());
        let (one, two) = (found[0].as_bytes(), found[1].as_bytes());
        // One byte of each choice in turn, two choices an event, in either order.
        let text = |bytes: &[u8], at: usize| String::from_utf8(bytes[at..(at + 1).min(bytes.len())].to_vec()).unwrap();
        let mut pieces: Vec<Bytes> = (0..one.len().max(two.len()))
            .map(|at| {
                let mut choices = [
                    json!({"index": 0, "delta": {"content": text(one, at.min(one.len()))}}),
                    json!({"index": 1, "delta": {"content": text(two, at.min(two.len()))}}),
                ];
                if at % 2 == 1 {
                    choices.reverse();
                }
                format!("data: {}\n\n", json!({"choices": choices})).into()
            })
            .collect();
        pieces.push(
            "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\" b\"},\"finish_reason\":\"stop\"}]}\n\n".into(),
        );
        pieces.push(
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" a\"},\"finish_reason\":\"stop\"}]}\n\n".into(),
        );
        pieces.push("data: [DONE]\n\n".into());
        Answer::new("text/event-stream", pieces)
    });
    let reply = dialogue.ask(CHAT, chat_stream(&format!("{EMAIL} bo@example.org")).to_string()).await;
    assert_eq!(streamed_text(reply.text(), 0), format!("{EMAIL} a"));
    assert_eq!(streamed_text(reply.text(), 1), "bo@example.org b");
}

#[tokio::test]
async fn what_only_looked_like_a_token_comes_before_the_end() {
    let dialogue = Dialogue::new("").await;
    for said in ["see [", "see [EMAIL", "see [EMAIL_7K3F", "see EMAIL_", "see \\[EMA"] {
        let sent = said.to_owned();
        dialogue.answers(move |_| Answer::streams(&[sent.as_str()]));
        let reply = dialogue.ask(CHAT, chat_stream(EMAIL).to_string()).await;
        assert_eq!(streamed_text(reply.text(), 0), said);
        let all = events(reply.text());
        let finish = all.iter().position(|event| event["choices"][0]["finish_reason"] == "stop").unwrap();
        assert_eq!(finish, all.len() - 1, "text comes after the end: {}", reply.text());
    }
    // A stream that just ends: nothing of it is lost.
    let open = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"see [EMAIL_\"}}]}\n\n";
    dialogue.answers(move |_| Answer::new("text/event-stream", vec![open.into()]));
    let reply = dialogue.ask(CHAT, chat_stream(EMAIL).to_string()).await;
    let said: String = reply
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| {
            serde_json::from_str::<Value>(data).unwrap()["choices"][0]["delta"]["content"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(said, "see [EMAIL_");
}

#[tokio::test]
async fn errors_that_repeat_the_request_are_restored() {
    let dialogue = Dialogue::new("").await;
    for (status, content_type, body) in [
        (400, "application/json", "{\"error\":{\"message\":\"cannot read '@@'\",\"param\":null}}"),
        (422, "application/problem+json", "{\"detail\":\"@@\"}"),
        (500, "text/plain", "failed at @@"),
        (429, "text/html", "<h1>@@</h1>"),
    ] {
        let body = body.to_owned();
        let text = body.clone();
        dialogue.answers_with(move |token| {
            Answer::new(content_type, vec![text.replace("@@", token).into()]).status(status)
        });
        let reply = dialogue.ask(CHAT, chat(EMAIL).to_string()).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (status, body.replace("@@", EMAIL).as_str()));
        assert_eq!(reply.header("content-type"), Some(content_type));
    }
}

#[tokio::test]
async fn a_reply_that_is_no_json_after_all_is_restored_as_text() {
    let dialogue = Dialogue::new("").await;
    for body in ["{\"cut\": \"@@", "so: @@", "{} @@"] {
        dialogue.answers_text("application/json", body, usize::MAX);
        let reply = dialogue.ask(CHAT, chat(EMAIL).to_string()).await;
        assert_eq!(reply.text(), body.replace("@@", EMAIL));
    }
}

/// Not UTF-8, so nothing may have looked at it.
const PACKED: &[u8] = b"\x1f\x8b\x08\0\xff\xfe[EMAIL_";

#[tokio::test]
async fn a_reply_that_cannot_be_restored_passes_untouched() {
    let dialogue = Dialogue::new("[[routes]]\npath = \"/raw\"\nreply = \"pass\"\n").await;
    let check = async |path: &str, content_type: &'static str, encoding: &'static str, body: &'static [u8]| {
        dialogue.answers(move |_| {
            let answer = Answer::new(content_type, vec![Bytes::from_static(body)]).header("etag", "\"v1\"");
            let length = body.len().to_string();
            let answer = answer.header("content-length", length).header("accept-ranges", "bytes");
            if encoding.is_empty() { answer } else { answer.header("content-encoding", encoding) }
        });
        let reply = dialogue.ask_with(path, &[("accept-encoding", "gzip, br")], chat(EMAIL).to_string()).await;
        assert!(reply.body == body, "{content_type} {encoding}: {:?}", reply.body);
        assert_eq!(reply.header("etag"), Some("\"v1\""), "{content_type} {encoding}");
        assert_eq!(reply.header("content-length"), Some(body.len().to_string().as_str()));
        assert_eq!(reply.header("accept-ranges"), Some("bytes"));
        assert_eq!(reply.header("privet-redacted"), Some("email=1"), "the request was redacted all the same");
        assert_eq!(dialogue.upstream.last().headers["accept-encoding"], "identity", "no compressed reply is asked for");
    };
    check(CHAT, "application/json", "compress", PACKED).await;
    check(CHAT, "text/event-stream", "gzip, unheard-of", PACKED).await;
    check(CHAT, "image/png", "", PACKED).await;
    check(CHAT, "application/octet-stream", "", PACKED).await;
    check("/raw", "application/json", "", b"{\"a\": 1}").await;

    dialogue.answers_with(Answer::says);
    let reply = dialogue.ask("/raw", chat(EMAIL).to_string()).await;
    assert_eq!([reply.says()], tokens(&dialogue.upstream.last().said())[..], "`pass` leaves tokens");
}

#[tokio::test]
async fn validators_are_dropped_only_where_bytes_may_change() {
    let dialogue = Dialogue::new("").await;
    dialogue.answers(|request| {
        let body = json!({"said": request.said()}).to_string();
        let length = body.len().to_string();
        let answer = Answer::new("application/json", vec![body.into()]).header("content-length", length);
        answer.header("etag", "\"v1\"").header("digest", "sha-256=x").header("content-md5", "x").header("x-own", "1")
    });
    let of_bytes = ["etag", "digest", "content-md5"];
    let plain = dialogue.ask(CHAT, chat("hello").to_string()).await;
    assert!(of_bytes.iter().all(|name| plain.header(name).is_some()), "{:?}", plain.headers);
    assert_eq!(plain.header("content-length"), Some(plain.body.len().to_string().as_str()));
    assert_eq!(plain.header("privet-redacted"), None);
    let restored = dialogue.ask(CHAT, chat(EMAIL).to_string()).await;
    assert!(of_bytes.iter().all(|name| restored.header(name).is_none()), "{:?}", restored.headers);
    if let Some(length) = restored.header("content-length") {
        assert_eq!(length, restored.body.len().to_string());
    }
    assert_eq!((restored.header("x-own"), &restored.json()["said"]), (Some("1"), &json!(EMAIL)));
    // A subject with a token of earlier may be quoted in any reply.
    let subject = [("privet-subject", "u1")];
    dialogue.ask_with(CHAT, &subject, chat(EMAIL).to_string()).await;
    let later = dialogue.ask_with(CHAT, &subject, chat("hello").to_string()).await;
    assert!(of_bytes.iter().all(|name| later.header(name).is_none()), "{:?}", later.headers);
}

#[tokio::test]
async fn what_privet_says_the_chatbot_cannot_say() {
    let dialogue = Dialogue::new("").await;
    dialogue.answers(|_| Answer::says("ok").header("privet-redacted", "email=9").header("privet-request-id", "x"));
    let plain = dialogue.ask(CHAT, chat("hello").to_string()).await;
    assert_eq!(plain.header("privet-redacted"), None);
    assert_ne!(plain.header("privet-request-id"), Some("x"));
    let restored = dialogue.ask(CHAT, chat(EMAIL).to_string()).await;
    assert_eq!(restored.header("privet-redacted"), Some("email=1"));
}

#[tokio::test]
async fn replies_without_a_body_stay_so() {
    let dialogue = Dialogue::new("").await;
    let subject = [super::support::CONSENT, ("privet-subject", "u1"), ("content-type", "application/json")];
    dialogue.client.send("POST", CHAT, &subject, chat(EMAIL).to_string()).await;
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("POST", 204)] {
        for content_type in ["application/json", "text/event-stream", "text/plain", ""] {
            dialogue.answers(move |_| Answer::new(content_type, Vec::new()).status(status).header("x-own", "1"));
            let reply = dialogue.client.send(method, "/v1/models", &subject, "").await;
            assert_eq!((reply.status.as_u16(), reply.body.len()), (status, 0), "{method} {content_type}");
            assert_eq!(reply.header("x-own"), Some("1"));
            assert_eq!(reply.header("transfer-encoding").filter(|_| status != 200), None);
        }
    }
    // The connection is good for another request after each of them.
    dialogue.answers_with(Answer::says);
    assert_eq!(dialogue.client.chat(&chat(EMAIL), &[("privet-subject", "u1")]).await.says(), EMAIL);
    // Nobody is taken to have gone away.
    dialogue.privet.metric_becomes("privet_requests_total{outcome=\"forwarded\",route=\"/\"}", 18).await;
}

#[tokio::test]
async fn nobody_gets_the_value_of_somebody_else() {
    let dialogue = Dialogue::new("").await;
    dialogue.answers(|request| Answer::says(&request.said()));
    let say = async |subject: &str, text: &str| {
        let headers: &[(&str, &str)] = if subject.is_empty() { &[] } else { &[("privet-subject", subject)] };
        let reply = dialogue.ask_with(CHAT, headers, chat(text).to_string()).await.says();
        (dialogue.upstream.last().said(), reply)
    };
    let (seen, _) = say("u1", EMAIL).await;
    let token = tokens(&seen)[0].clone();
    // Its own, typed or quoted, in a later request.
    assert_eq!(say("u1", &format!("my {token}")).await, (format!("my {token}"), format!("my {EMAIL}")));
    // Of somebody else, with and without tokens of one's own, and of nobody.
    let unknown = dialogue.privet.metric("privet_unknown_tokens_total{direction=\"reply\"}").await;
    for subject in ["u2", "U1", ""] {
        let typed = format!("my {token}");
        assert_eq!(say(subject, &typed).await, (typed.clone(), typed));
        let (_, reply) = say(subject, &format!("{token} and bo@example.org")).await;
        assert_eq!(reply, format!("{token} and bo@example.org"), "{subject}");
    }
    assert!(dialogue.privet.metric("privet_unknown_tokens_total{direction=\"reply\"}").await > unknown);
    // Token-like text: a wrong check character, another entity, a bent form.
    let wrong = |at: usize| {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).unwrap()
    };
    for like in [
        "[EMAIL_00000000]".to_owned(),
        wrong(token.len() - 2),
        wrong(8),
        token.replace("EMAIL", "PHONE"),
        "[EMAIL]".into(),
    ] {
        let typed = format!("is {like} me? {EMAIL}");
        let (seen, reply) = say("u1", &typed).await;
        assert!(seen.starts_with(&format!("is {like} me? [")), "{seen}");
        assert_eq!(reply, typed);
    }
}
