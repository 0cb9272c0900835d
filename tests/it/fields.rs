//! Chat completions, field by field: text in any of them becomes a token
//! on the way to the chatbot, and a value on the way back.

use crate::support::{Dialogue, chat, chat_stream, events, tokens};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const EMAIL: &str = "ana.lopez@example.com";

/// Every member of a chat request that can hold text. `@n@` is an address.
const CHAT_REQUEST: &str = r#"{ "model" : "gpt-4o", "temperature":0.70, "n":2,
 "messages":[
  {"role":"system","content":"you serve @0@ ."},
  {"role":"user","content":[ {"type":"text","text":"I am @1@\n"}, {"type":"refusal","refusal":"not @2@"},
    {"type":"file","file":{"file_id":"file-1","filename":"cv of @3@ (1).pdf"}} ]},
  {"role":"assistant","content":null,"refusal":"no @4@","reasoning_content":"think @5@","reasoning":"so @6@",
    "reasoning_details":[{"type":"reasoning.text","text":"a @7@","summary":"b @8@"}],
    "tool_calls":[
     {"id":"call_1","type":"function","function":{"name":"send","arguments":"{\"to\": \"@9@\",\"cc\":[\"\\\"@10@\\\"\",\"x\\ny \\u00e9\"],\"n\":1.0}"}},
     {"id":"call_2","type":"custom","custom":{"name":"note","input":"for @11@"}}],
    "function_call":{"name":"send","arguments":"{\"who\":\"@12@\"}"}},
  {"role":"tool","tool_call_id":"call_1","content":"sent to @13@"},
  {"role":"function","name":"send","content":"{\"ok\":true,\"to\":\"@14@\"}"},
  {"role":"developer","content":[{"type":"text","text":"@15@"}]}],
 "prediction":{"type":"content","content":"dear @16@"},
 "web_search_options":{"user_location":{"type":"approximate","approximate":{"city":"at @17@","region":"@18@"}}},
 "tools":[{"type":"function","function":{"name":"send","description":"mails @19@",
   "parameters":{"type":"object","properties":{"to":{"type":"string","description":"like @20@","default":"@21@","enum":["@22@","b"]}}}}}],
 "response_format":{"type":"json_schema","json_schema":{"name":"r","description":"of @23@","schema":{"const":"@24@"}}},
 "stop":["@25@","\n"], "unknown":{"deep":[{"field":"@26@"}]}, "user":"@27@", "safety_identifier":"id @28@",
 "prompt_cache_key":"k @29@", "metadata":{"crm":"@30@","@31@":"x"}, "stream":false }"#;

const COMPLETIONS_REQUEST: &str =
    r#"{"model":"davinci", "prompt":["one @0@","two @1@"],"suffix":"bye @2@","user":"@3@"}"#;
const COMPLETION_REQUEST: &str = r#"{"prompt": "say @0@" ,"max_tokens":1}"#;
const EMBEDDINGS_REQUEST: &str = r#"{"input":["@0@", "and @1@"],"model":"e","dimensions":8}"#;
const EMBEDDING_REQUEST: &str = r#"{"input":"@0@"}"#;

/// The template with `fill` in each numbered place.
fn filled(template: &str, fill: impl Fn(usize) -> String) -> String {
    let places = regex::Regex::new("@([0-9]+)@").unwrap();
    places.replace_all(template, |found: &regex::Captures<'_>| fill(found[1].parse().unwrap())).into_owned()
}

#[tokio::test]
async fn text_in_any_field_of_a_request_becomes_a_token() {
    let dialogue = Dialogue::new("").await;
    for (path, template, fields) in [
        (CHAT, CHAT_REQUEST, 32),
        ("/openai/deployments/x/chat/completions?api-version=1", CHAT_REQUEST, 32),
        ("/v1/completions", COMPLETIONS_REQUEST, 4),
        ("/v1/completions", COMPLETION_REQUEST, 1),
        ("/v1/embeddings", EMBEDDINGS_REQUEST, 2),
        ("/v1/embeddings", EMBEDDING_REQUEST, 1),
        // A chatbot of another kind gets no less care.
        ("/bot", CHAT_REQUEST, 32),
    ] {
        let sent = filled(template, |n| format!("person{n}@mail.example.com"));
        let reply = dialogue.ask(path, sent).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("privet-redacted"), Some(format!("email={fields}").as_str()), "{path}");
        let seen = dialogue.upstream.last();
        assert!(!seen.text().contains("mail.example"), "{path}: {}", seen.text());
        let found = tokens(seen.text());
        assert_eq!(found.len(), fields, "{path}: {}", seen.text());
        assert_eq!(seen.text(), filled(template, |n| found[n].clone()), "{path}: other bytes changed");
        assert_eq!(seen.target, path);
    }
}

#[tokio::test]
async fn names_and_ids_of_the_protocol_are_never_touched() {
    // Also where a rule would take them for data. A number of a card is such an id.
    const CARD: &str = "4111111111111111";
    let dialogue = Dialogue::new("").await;
    let body = json!({"model": CARD, "messages": [
        {"role": "assistant", "tool_calls": [{"id": CARD, "type": "function", "function": {"name": CARD, "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": CARD, "content": [{"type": "file", "file": {"file_id": CARD}}]},
        {"role": "assistant", "audio": {"id": CARD}},
    ], "tools": [{"type": "function", "function": {"name": CARD}}], "tool_choice": {"type": "function", "function": {"name": CARD}}})
    .to_string();
    dialogue.ask(CHAT, body.clone()).await;
    assert_eq!(dialogue.upstream.last().text(), body);
}

#[tokio::test]
async fn arguments_that_are_no_json_are_looked_at_as_text() {
    let dialogue = Dialogue::new("").await;
    let body = |arguments: &str| {
        json!({"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": arguments}}]}]}).to_string()
    };
    for arguments in ["to @@", "{\"to\": \"@@", "", "{\"to\":\"@@\"} and @@", "[1,2"] {
        dialogue.ask(CHAT, body(&arguments.replace("@@", EMAIL))).await;
        let seen = dialogue.upstream.last();
        let found = tokens(seen.text());
        assert_eq!(found.len(), arguments.matches("@@").count(), "{}", seen.text());
        let token = found.first().map_or("", String::as_str);
        assert_eq!(seen.text(), body(&arguments.replace("@@", token)));
    }
}

const IDENTITY: &str = r#"{"user":"customer 17","safety_identifier":"ana.lopez@example.com","prompt_cache_key":"",
"metadata":{"crm":"17 ana.lopez@example.com"},"messages":[{"role":"user","name":"Ana_Lopez","content":"hi"},{"role":"user","name":"ana.lopez@example.com","content":"hi"}]}"#;

#[tokio::test]
async fn identity_fields_follow_the_policy_of_the_route() {
    let toml = "[[routes]]\npath = \"/keep\"\nidentity = \"keep\"\nprotocol = \"openai-chat\"\n\
                [[routes]]\npath = \"/token\"\nidentity = \"token\"\nprotocol = \"openai-chat\"\n\
                [[routes]]\npath = \"/\"\nprotocol = \"openai-chat\"\n";
    let dialogue = Dialogue::new(toml).await;
    dialogue.ask("/keep", IDENTITY).await;
    assert_eq!(dialogue.upstream.last().text(), IDENTITY);

    // Scan, the default: what is found in them.
    dialogue.ask("/", IDENTITY).await;
    let seen = dialogue.upstream.last();
    assert!(!seen.text().contains("ana.lopez@"), "{}", seen.text());
    let body = seen.json();
    assert_eq!(body["user"], "customer 17");
    let email = body["safety_identifier"].as_str().unwrap();
    assert_eq!(tokens(email), [email]);
    assert_eq!(body["metadata"]["crm"], format!("17 {email}"));
    // Of a name the API takes letters, digits, `_` and `-` alone.
    assert_eq!(body["messages"][1]["name"], email.trim_matches(['[', ']']));

    // Token: the whole of them.
    dialogue.ask("/token", IDENTITY).await;
    let body = dialogue.upstream.last().json();
    let whole = |value: &Value| {
        let text = value.as_str().unwrap();
        assert_eq!(tokens(text), [text], "{text}");
        assert!(text.starts_with("[IDENTITY_"), "{text}");
        text.to_owned()
    };
    assert_ne!(whole(&body["user"]), whole(&body["safety_identifier"]));
    whole(&body["metadata"]["crm"]);
    assert_eq!(body["prompt_cache_key"], "");
    for n in [0, 1] {
        let name = body["messages"][n]["name"].as_str().unwrap();
        assert_eq!(tokens(&format!("[{name}]")).len(), 1, "{name}");
        assert!(name.starts_with("IDENTITY_"), "{name}");
    }
    assert_eq!(body["messages"][0]["content"], "hi");
}

#[tokio::test]
async fn a_name_token_without_brackets_is_restored() {
    let dialogue = Dialogue::new("[[routes]]\npath = \"/\"\nidentity = \"token\"\n").await;
    dialogue.answers(|request| {
        crate::support::Answer::says(&format!("hi {}!", request.json()["messages"][0]["name"].as_str().unwrap()))
    });
    let body = json!({"messages": [{"role": "user", "name": "Ana_Lopez", "content": "hi"}]}).to_string();
    assert_eq!(dialogue.ask(CHAT, body).await.says(), "hi Ana_Lopez!");
}

/// Every member of a reply that can hold text. `@@` comes back as the value, `~~`
/// stays the token.
const CHAT_REPLY: &str = r#"{ "id":"chatcmpl-~~ ", "object":"chat.completion","created":1767225600, "model":"m ~~","system_fingerprint":"fp ~~",
 "choices":[
  {"index":0,"message":{"role":"assistant","content":"a @@\u00e9 \/ \ud83d\ude00 and \"@@\"","refusal":"b @@",
    "reasoning_content":"c @@","reasoning":"d @@","reasoning_details":[{"text":"e @@"}],
    "annotations":[{"type":"url_citation","url_citation":{"title":"f @@","start_index":1,"end_index":2}}],
    "tool_calls":[{"id":"call ~~","type":"function","function":{"name":"n ~~","arguments":"{\"to\":\"@@\",\"n\":1.50}"}},
     {"id":"c2","type":"custom","custom":{"name":"x","input":"g @@"}}],
    "function_call":{"name":"y","arguments":"{\"to\":\"@@\"}"},
    "audio":{"id":"au ~~","data":"QUJD","transcript":"h @@"}},
   "logprobs":{"content":[{"token":"~~","bytes":[91],"logprob":-0.10}]},"finish_reason":"stop"},
  {"finish_reason":"length" , "index":1,"message":{"role":"assistant","content":"i @@"}}],
 "vendor":{"note":"j @@","@@":true}, "usage":{"prompt_tokens":12,"completion_tokens":3.0e0} }
"#;
const COMPLETIONS_REPLY: &str = r#"{"id":"cmpl-~~","choices":[{"text":"one @@","index":0,"logprobs":{"tokens":["~~"]},"finish_reason":"stop"},{"text":"@@","index":1}]}"#;

#[tokio::test]
async fn text_in_any_field_of_a_reply_is_restored_and_nothing_else_changes() {
    let dialogue = Dialogue::new("").await;
    for (path, template) in [(CHAT, CHAT_REPLY), ("/v1/completions", COMPLETIONS_REPLY)] {
        for piece in [usize::MAX, 7] {
            dialogue.answers_text("application/json", template, piece);
            let reply = dialogue.ask(path, chat(EMAIL).to_string()).await;
            let token = &tokens(dialogue.upstream.last().text())[0];
            assert_eq!(reply.text(), template.replace("@@", EMAIL).replace("~~", token), "{path}");
        }
    }
    let restored = (CHAT_REPLY.matches("@@").count() + COMPLETIONS_REPLY.matches("@@").count()) * 2;
    assert_eq!(dialogue.privet.metric("privet_restored_total{entity=\"EMAIL\"}").await, restored as u64);
}

/// The members of a streamed reply that go on in the next event: where they
/// stand, and the shape of an event with `@@` for the piece.
const STREAMED: &[(&str, &str, &str)] = &[
    (CHAT, "/choices/0/delta/content", r#"{"choices":[{"index":0,"delta":{"content":"@@"}}]}"#),
    (CHAT, "/choices/0/delta/refusal", r#"{"choices":[{"index":0,"delta":{"refusal":"@@"}}]}"#),
    (CHAT, "/choices/0/delta/reasoning_content", r#"{"choices":[{"index":0,"delta":{"reasoning_content":"@@"}}]}"#),
    (CHAT, "/choices/0/delta/reasoning", r#"{"choices":[{"index":0,"delta":{"reasoning":"@@"}}]}"#),
    (
        CHAT,
        "/choices/0/delta/tool_calls/0/function/arguments",
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"@@"}}]}}]}"#,
    ),
    (
        CHAT,
        "/choices/0/delta/tool_calls/0/custom/input",
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"custom":{"input":"@@"}}]}}]}"#,
    ),
    (
        CHAT,
        "/choices/0/delta/function_call/arguments",
        r#"{"choices":[{"index":0,"delta":{"function_call":{"arguments":"@@"}}}]}"#,
    ),
    (CHAT, "/choices/0/delta/audio/transcript", r#"{"choices":[{"index":0,"delta":{"audio":{"transcript":"@@"}}}]}"#),
    ("/v1/completions", "/choices/0/text", r#"{"choices":[{"index":0,"text":"@@"}]}"#),
];

#[tokio::test]
async fn a_token_over_three_events_is_restored_in_any_streamed_field() {
    let dialogue = Dialogue::new("").await;
    for (path, pointer, shape) in STREAMED {
        let shape = (*shape).to_owned();
        dialogue.answers_with(move |token| {
            let (head, tail) = token.split_at(4);
            let (middle, tail) = tail.split_at(6);
            let pieces = ["so ", head, middle, &format!("{tail} it"), " is"];
            let finish = "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}";
            let mut events: Vec<String> = pieces.iter().map(|piece| shape.replace("@@", piece)).collect();
            events.push(finish.to_owned());
            events.push("[DONE]".to_owned());
            let events = events.iter().map(|event| format!("data: {event}\n\n").into()).collect();
            crate::support::Answer::new("text/event-stream", events)
        });
        let reply = dialogue.ask(path, chat_stream(EMAIL).to_string()).await;
        let all = events(reply.text());
        let text: String = all.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect();
        assert_eq!(text, format!("so {EMAIL} it is"), "{pointer}: {}", reply.text());
        // One event for one event, as text that is held back leaves its event in place.
        assert_eq!(all.len(), 6, "{pointer}: {}", reply.text());
        assert_eq!(all[5]["choices"][0]["finish_reason"], "stop");
    }
}
