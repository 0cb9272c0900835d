//! Requests of every protocol over real sockets: what in them is personal data
//! becomes a token and all other bytes stay, whatever they look like.

mod requests;

use crate::support::{CONSENT, Dialogue, tokens};
use requests::SAMPLES;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What looks like personal data where the protocol says that it is none.
const LOOKS_LIKE: &str = "ana.lopez@example.com";

/// An id that looks like the number of a card.
const ID: &str = "4111111111111111";

/// The sample with `fill` in each numbered place.
fn filled(sample: &str, fill: impl Fn(usize) -> String) -> String {
    let places = regex::Regex::new("@([0-9]+)@").unwrap();
    let filled = places.replace_all(sample, |found: &regex::Captures<'_>| fill(found[1].parse().unwrap()));
    filled.replace('~', ID)
}

fn places(sample: &str) -> usize {
    regex::Regex::new("@[0-9]+@").unwrap().find_iter(sample).count()
}

#[tokio::test]
async fn text_in_any_member_becomes_a_token_and_nothing_else_changes() {
    let dialogue = Dialogue::new("").await;
    for (protocol, path, sample) in SAMPLES {
        let reply = dialogue.ask(path, filled(sample, |n| format!("person{n}@mail.example.org"))).await;
        assert_eq!(reply.status, 200, "{protocol} {path}: {}", reply.text());
        let seen = dialogue.upstream.last();
        let found = tokens(seen.text());
        assert_eq!(found.len(), places(sample), "{protocol} {path}: {}", seen.text());
        assert_eq!(seen.text(), filled(sample, |n| found[n].clone()), "{protocol} {path}: other bytes changed");
        assert_eq!(reply.header("privet-redacted"), Some(&*format!("email={}", found.len())), "{protocol} {path}");
    }
}

#[tokio::test]
async fn a_request_without_findings_is_the_same_at_the_chatbot() {
    let dialogue = Dialogue::new("").await;
    for (protocol, path, sample) in SAMPLES {
        for word in ["nothing", "[1]", "é \\\" \\u00e9\\n", "{ \\\"a\\\" : 1.50 }", ""] {
            let body =
                filled(sample, |n| if word.is_empty() { String::new() } else { format!("{word}{}", " ".repeat(n)) });
            if serde_json::from_str::<Value>(&body).is_err() {
                // Two levels of strings take other escapes.
                continue;
            }
            let reply = dialogue.ask(path, body.clone()).await;
            assert_eq!(reply.status, 200, "{protocol} {path}: {}", reply.text());
            assert_eq!(reply.header("privet-redacted"), None, "{protocol} {path} {body}");
            assert_eq!(dialogue.upstream.last().text(), body, "{protocol} {path}");
        }
    }
}

/// The requests of all samples, which are those of every protocol there is:
/// name, method, address, headers, body or the messages of a socket.
fn samples() -> Vec<(String, Value)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/protocols");
    let names = |folder: &std::path::Path| -> Vec<String> {
        let all = std::fs::read_dir(folder).unwrap();
        all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let protocols: Vec<String> =
        names(&folder).iter().filter_map(|name| name.strip_suffix(".toml").map(str::to_owned)).collect();
    assert!(protocols.len() >= 14, "{protocols:?}");
    let mut all = Vec::new();
    let number = regex::Regex::new(r#""\{\{number(:[^}]*)?\}\}""#).unwrap();
    let hole = regex::Regex::new(r"\{\{(\w+)(:[^}]*)?\}\}").unwrap();
    for protocol in protocols {
        let folder = folder.join("samples").join(&protocol);
        for name in names(&folder) {
            let text = std::fs::read_to_string(folder.join(&name)).unwrap();
            let text = number.replace_all(&text, "42");
            // Escapes that nobody needs stay as they are.
            let filled = hole.replace_all(&text, |found: &regex::Captures<'_>| match &found[1] {
                "text" | "first" | "rest" => r"a \u0062lue\/teapot \u00e9",
                _ => "teapot_7",
            });
            let sample: Value = serde_json::from_str(&filled).unwrap_or_else(|error| panic!("{name}: {error}"));
            all.push((format!("{protocol}/{name}"), sample["request"].clone()));
        }
    }
    all
}

#[tokio::test]
async fn a_request_of_any_sample_without_findings_is_the_same_at_the_chatbot() {
    let dialogue = Dialogue::new("").await;
    let echo = crate::support::SocketUpstream::echo().await;
    let sockets = crate::support::Setup::at(&echo.url()).start();
    for (name, request) in samples() {
        let target = request["target"].as_str().unwrap().replace(' ', "%20").replace('é', "%C3%A9");
        if let Some(messages) = request["messages"].as_array() {
            let target = format!("{target}{}privet-consent=support", if target.contains('?') { '&' } else { '?' });
            let mut socket = crate::support::Socket::open(&sockets.gateway, &target, &[]).await;
            for message in messages {
                let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
                socket.send(message.as_str()).await;
                assert_eq!(socket.text().await, message, "{name}");
                assert_eq!(echo.texts().last(), Some(&message), "{name}");
            }
            continue;
        }
        let kind = request["type"].as_str();
        let is_json = kind.is_none_or(|kind| kind.contains("json") && !kind.contains("ndjson"));
        let lines = |list: &Vec<Value>| {
            let end = if kind.is_some_and(|kind| kind.starts_with("multipart")) { "\r\n" } else { "\n" };
            list.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join(end)
        };
        let body = match &request["body"] {
            Value::Null => String::new(),
            Value::String(text) if !is_json => text.clone(),
            Value::Array(list) if !is_json => lines(list),
            body => body.to_string().replace("blue/", "bl\\u0075e\\/").replace(",\"", " ,\n\""),
        };
        let own: Vec<(String, String)> = (request["headers"].as_object().into_iter().flatten())
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().replace('é', "e")))
            .collect();
        let mut headers = vec![CONSENT];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        headers.extend(own.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let method = request["method"].as_str().unwrap_or("POST");
        let reply = dialogue.client.send(method, &target, &headers, body.clone()).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert_eq!(reply.header("privet-redacted"), None, "{name}: {body}");
        let seen = dialogue.upstream.last();
        assert_eq!(seen.text(), body, "{name}");
        assert_eq!(seen.target, target, "{name}");
    }
}

#[tokio::test]
async fn strict_routes_know_the_members_of_their_protocols() {
    let dialogue = Dialogue::new("[[routes]]\npath = \"/\"\nstrict = true\n").await;
    for (protocol, path, sample) in SAMPLES.iter().filter(|(_, _, sample)| !sample.contains("unknown")) {
        let reply = dialogue.ask(path, filled(sample, |_| "x".into())).await;
        if *protocol == "json" {
            reply.problem(415, "unsupported-body");
            continue;
        }
        assert_eq!(reply.status, 200, "{protocol} {path}: {}", reply.text());
        let Value::Object(mut body) = serde_json::from_str(&filled(sample, |_| "x".into())).unwrap() else { panic!() };
        body.insert("notes".into(), json!({"who": LOOKS_LIKE}));
        let seen = dialogue.upstream.recorded().len();
        let problem = dialogue.ask(path, Value::Object(body).to_string()).await.problem(415, "unsupported-body");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("`notes.who`") && !detail.contains(LOOKS_LIKE), "{detail}");
        assert_eq!(dialogue.upstream.recorded().len(), seen);
    }
    let series = "privet_body_bytes_total{route=\"/\",state=\"refused\"}";
    assert!(dialogue.privet.metric(series).await > 0);
    // Nor does a strict route take what has no members.
    let plain = dialogue.client.send("POST", "/v1/messages", &[CONSENT, ("content-type", "text/plain")], "hi").await;
    plain.problem(415, "unsupported-body");
}

#[tokio::test]
async fn what_was_looked_at_is_counted_by_route() {
    let dialogue = Dialogue::new("[[routes]]\npath = \"/v1\"\n").await;
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]});
    dialogue.ask("/v1/chat/completions", body.to_string()).await;
    for (route, state, bytes) in [
        ("/v1", "scanned", 53),
        ("/v1", "skipped", 20),
        ("/v1", "passed", 34),
        ("/v1", "refused", 0),
        ("/", "scanned", 0),
    ] {
        let series = format!("privet_body_bytes_total{{route=\"{route}\",state=\"{state}\"}}");
        assert_eq!(dialogue.privet.metric(&series).await, bytes, "{series}");
    }
    dialogue.ask("/v1/embeddings", json!({"input": [1, 2]}).to_string()).await.problem(415, "unsupported-body");
    assert_eq!(dialogue.privet.metric("privet_body_bytes_total{route=\"/v1\",state=\"refused\"}").await, 15);
}

/// The token that the chatbot sees for one value.
async fn token_of(dialogue: &Dialogue, path: &str, headers: &[(&str, &str)], body: &Value) -> String {
    let reply = dialogue.ask_with(path, headers, body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    tokens(dialogue.upstream.last().text()).last().unwrap().clone()
}

#[tokio::test]
async fn the_conversation_of_a_protocol_is_the_subject() {
    let dialogue = Dialogue::new("").await;
    let rasa = |sender: &str| json!({"sender": sender, "message": LOOKS_LIKE});
    let activity = json!({"type": "message", "from": {"id": "u"}, "text": LOOKS_LIKE});
    let query = json!({"queryInput": {"text": {"text": LOOKS_LIKE, "languageCode": "en"}}});
    let rest = "/webhooks/rest/webhook";
    let (line, flow) = ("/v3/directline/conversations/", "/v2/projects/p/agent/sessions/");
    for (path, body, other_path, other_body) in [
        (rest.to_owned(), rasa("u1"), rest.to_owned(), rasa("u2")),
        (format!("{line}c1/activities"), activity.clone(), format!("{line}c2/activities"), activity.clone()),
        (format!("{flow}s1:detectIntent"), query.clone(), format!("{flow}s2:detectIntent"), query),
    ] {
        let first = token_of(&dialogue, &path, &[], &body).await;
        assert_eq!(token_of(&dialogue, &path, &[], &body).await, first, "{path}");
        let subject = [("privet-subject", "somebody")];
        assert_ne!(token_of(&dialogue, &other_path, &[], &other_body).await, first, "{other_path}");
        assert_ne!(token_of(&dialogue, &path, &subject, &body).await, first, "{path}");
    }
    // What the site says outweighs it.
    let dialogue = Dialogue::new("[subject]\nfrom = [\"header:x-user\"]\n").await;
    let user = [("x-user", "ana")];
    let first = token_of(&dialogue, rest, &user, &rasa("u1")).await;
    assert_eq!(token_of(&dialogue, rest, &user, &rasa("u2")).await, first);
}

#[tokio::test]
async fn a_chain_of_responses_is_one_subject() {
    let dialogue = Dialogue::new("").await;
    let count = Arc::new(AtomicUsize::new(0));
    let ids = regex::Regex::new("resp_[0-9]+").unwrap();
    for streamed in [false, true] {
        let count = Arc::clone(&count);
        dialogue.answers(move |request| {
            let id = format!("resp_{}", count.fetch_add(1, Ordering::SeqCst));
            let said = tokens(request.text()).concat();
            let message =
                json!({"type": "message", "content": [{"type": "output_text", "text": format!("to {said}")}]});
            let response = json!({"id": id, "object": "response", "output": [message]});
            if !streamed {
                return crate::support::Answer::json(&response);
            }
            let event =
                |kind: &str| format!("event: {kind}\ndata: {}\n\n", json!({"type": kind, "response": response}));
            let pieces = [event("response.created"), event("response.completed")];
            crate::support::Answer::new("text/event-stream", pieces.map(Into::into).to_vec())
        });
        let ask_so = |previous: Option<String>, store: bool| {
            let (dialogue, ids) = (&dialogue, &ids);
            async move {
                let body = json!({"model": "m", "input": LOOKS_LIKE, "previous_response_id": previous, "store": store});
                let reply = dialogue.ask("/v1/responses", body.to_string()).await;
                let token = tokens(dialogue.upstream.last().text()).pop().unwrap();
                (token, ids.find(reply.text()).unwrap().as_str().to_owned())
            }
        };
        let ask = |previous| ask_so(previous, true);
        // Nothing goes on from what is not kept.
        let (once, id) = ask_so(None, false).await;
        assert_ne!(ask(Some(id)).await.0, once);
        let (first, id) = ask(None).await;
        let (second, id) = ask(Some(id)).await;
        assert_eq!(second, first, "streamed: {streamed}");
        let (third, _) = ask(Some(id.clone())).await;
        assert_eq!(third, first);
        assert_ne!(ask(None).await.0, first);
        assert_ne!(ask(Some("resp_of_somebody".into())).await.0, first);
        // What is fetched later is restored too.
        let said = format!("[{{\"text\":\"to {first}\"}}]");
        dialogue.answers(move |_| crate::support::Answer::new("application/json", vec![said.clone().into()]));
        let later = dialogue.client.send("GET", &format!("/v1/responses/{id}/input_items"), &[CONSENT], "").await;
        assert!(later.text().contains(LOOKS_LIKE), "{}", later.text());
    }
}

#[tokio::test]
async fn a_value_cut_over_parts_comes_back_whole() {
    let dialogue = Dialogue::new("").await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "I am at ana.lo"}, {"type": "text", "text": "pez@example.com, thanks"}]}]});
    dialogue.answers_with(|token| crate::support::Answer::says(&format!("to {token}")));
    assert_eq!(dialogue.ask("/v1/chat/completions", body.to_string()).await.says(), format!("to {LOOKS_LIKE}"));
    let seen = dialogue.upstream.last();
    let token = &tokens(seen.text())[0];
    let parts = &seen.json()["messages"][0]["content"];
    assert_eq!(parts[0]["text"], format!("I am at {token}"));
    assert_eq!(parts[1]["text"], ", thanks");
}

#[tokio::test]
async fn what_looks_like_a_token_is_nobodys_and_counted() {
    let dialogue = Dialogue::new("").await;
    let subject = |id: &'static str| [("privet-subject", id)];
    let chat = |text: &str| crate::support::chat(text);
    let token = token_of(&dialogue, "/v1/chat/completions", &subject("ana"), &chat(LOOKS_LIKE)).await;
    let sent = "privet_unknown_tokens_total{direction=\"request\"}";
    assert_eq!(dialogue.privet.metric(sent).await, 0);
    // Somebody else's stays as it is, both ways.
    dialogue.answers(|request| crate::support::Answer::says(&request.said()));
    let bo = dialogue.ask_with("/v1/chat/completions", &subject("bo"), chat(&token).to_string()).await;
    assert_eq!(bo.says(), token);
    assert_eq!(dialogue.upstream.last().said(), token);
    assert_eq!(dialogue.privet.metric(sent).await, 1);
    // One's own is known.
    let ana = dialogue.ask_with("/v1/chat/completions", &subject("ana"), chat(&token).to_string()).await;
    assert_eq!(ana.says(), LOOKS_LIKE);
    assert_eq!(dialogue.privet.metric(sent).await, 1);
}

#[tokio::test]
async fn a_deployment_has_protocols_of_its_own() {
    let folder = crate::support::scratch_folder();
    let file = folder.path().join("widget.toml");
    std::fs::write(
        &file,
        "name = \"widget\"\npaths = [\"/widget/*\"]\n[request]\nconversation = [{ body = \"thread.id\" }]\n\
         never = [\"thread.id\", \"items[]{kind=id}.value\"]\nidentity = [\"who\"]\nknown = [\"say\", \"items[].**\"]\n",
    )
    .unwrap();
    let dialogue =
        Dialogue::new(&format!("protocols = {:?}\n[[routes]]\npath = \"/\"\nstrict = true\n", folder.path())).await;
    let body = |say: &str| {
        json!({"thread": {"id": ID}, "say": say,
        "items": [{"value": ID, "kind": "id"}, {"value": say, "kind": "text"}]})
    };
    let first = token_of(&dialogue, "/widget/send", &[], &body("I am bo@example.org")).await;
    assert_eq!(dialogue.upstream.last().json(), body(&format!("I am {first}")));
    assert_eq!(token_of(&dialogue, "/widget/send", &[], &body("bo@example.org")).await, first);
    let mut other = body("hi");
    other["more"] = json!(1);
    let problem = dialogue.ask("/widget/send", other.to_string()).await.problem(415, "unsupported-body");
    assert!(problem["detail"].as_str().unwrap().contains("`more`"), "{problem}");

    // A mistake is named with its place.
    std::fs::write(&file, "name = \"widget\"\n[request]\nnever = [\"a\",\n  \"b..c\"]\n").unwrap();
    let config = folder.path().join("config");
    std::fs::write(&config, format!("upstream = \"http://a.example\"\nprotocols = {:?}\n", folder.path())).unwrap();
    let checked = crate::support::privet().args(["check", "--config"]).arg(&config).output().unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("widget.toml:3:") && said.contains("`b..c`: `` is no step; write"), "{said}");
}

#[tokio::test]
async fn the_body_tells_a_protocol_whatever_its_size() {
    let dialogue = Dialogue::new("").await;
    let body = |text: &str, long: &str| {
        json!({"model": "m", "max_tokens": 9, "system": long, "messages": [{"role": "assistant", "content": [
            {"type": "thinking", "thinking": LOOKS_LIKE, "signature": "s"}, {"type": "text", "text": text}]}]})
    };
    for long in ["so".to_owned(), "so it goes on. ".repeat(30_000)] {
        let token = token_of(&dialogue, "/bot", &[], &body(LOOKS_LIKE, &long)).await;
        assert_eq!(dialogue.upstream.last().json(), body(&token, &long));
    }
}
