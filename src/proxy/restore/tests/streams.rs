//! Streams of every protocol.

use super::*;
use proptest::prelude::*;
use serde_json::json;

/// How a protocol streams a text and the JSON of a tool call.
struct Way {
    protocol: &'static str,
    shape: Shape,
    /// The events that say these pieces of a text, then these of a tool call.
    say: fn(&[String], &[String]) -> Vec<Value>,
    /// Where in an event a piece of the text stands, and where one of the call.
    text: &'static str,
    call: &'static str,
}

const WAYS: [Way; 9] = [
    Way {
        protocol: "openai-chat",
        shape: Shape::EventStream,
        say: chat,
        text: "/choices/0/delta/content",
        call: "/choices/0/delta/tool_calls/0/function/arguments",
    },
    Way {
        protocol: "openai-completions",
        shape: Shape::EventStream,
        say: completion,
        text: "/choices/0/text",
        call: "-",
    },
    Way {
        protocol: "openai-responses",
        shape: Shape::EventStream,
        say: response,
        text: "output_text/delta",
        call: "arguments/delta",
    },
    Way {
        protocol: "anthropic",
        shape: Shape::EventStream,
        say: message,
        text: "/delta/text",
        call: "/delta/partial_json",
    },
    Way {
        protocol: "gemini",
        shape: Shape::EventStream,
        say: gemini,
        text: "/candidates/0/content/parts/0/text",
        call: "-",
    },
    Way {
        protocol: "gemini",
        shape: Shape::Elements,
        say: gemini,
        text: "/candidates/0/content/parts/0/text",
        call: "-",
    },
    Way { protocol: "ollama", shape: Shape::JsonLines, say: ollama, text: "/message/content", call: "-" },
    Way { protocol: "json", shape: Shape::EventStream, say: plain, text: "/answer", call: "-" },
    Way { protocol: "json", shape: Shape::JsonLines, say: plain, text: "/answer", call: "-" },
];

fn chat(text: &[String], call: &[String]) -> Vec<Value> {
    let chunk = |delta: Value| json!({"id": "c-1", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let said = text.iter().map(|piece| chunk(json!({"content": piece})));
    let called = |piece| chunk(json!({"tool_calls": [{"index": 1, "function": {"arguments": piece}}]}));
    let mut all = vec![chunk(json!({"role": "assistant", "content": ""}))];
    all.extend(said.chain(call.iter().map(called)));
    all.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    all.push(json!({"choices": [], "usage": {"total_tokens": 3}}));
    all
}

fn completion(text: &[String], _call: &[String]) -> Vec<Value> {
    let mut all: Vec<Value> = text.iter().map(|piece| json!({"choices": [{"index": 0, "text": piece}]})).collect();
    all.push(json!({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}));
    all
}

/// The same text five times: in pieces, and in four events that say it whole.
fn response(text: &[String], call: &[String]) -> Vec<Value> {
    let (whole, arguments) = (text.concat(), call.concat());
    let part = json!({"type": "output_text", "text": whole, "annotations": []});
    let item = json!({"id": "m1", "type": "message", "content": [part]});
    let used = json!({"id": "f1", "type": "function_call", "call_id": "c1", "name": "mail", "arguments": arguments});
    let of_text = |kind: &str, rest: Value| {
        let mut event = json!({"type": kind, "item_id": "m1", "output_index": 0, "content_index": 0});
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    let mut all = vec![json!({"type": "response.created", "response": {"id": "r1", "output": []}})];
    all.extend(text.iter().map(|piece| of_text("response.output_text.delta", json!({"delta": piece}))));
    // The text of another item, in between.
    all.insert(all.len() / 2, json!({"type": "response.output_text.delta", "item_id": "m2", "output_index": 7, "content_index": 0, "delta": "so [EMA"}));
    all.push(of_text("response.output_text.done", json!({"text": whole})));
    all.push(of_text("response.content_part.done", json!({"part": part})));
    all.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
    let piece = |piece| json!({"type": "response.function_call_arguments.delta", "item_id": "f1", "output_index": 1, "delta": piece});
    all.extend(call.iter().map(piece));
    all.push(json!({"type": "response.function_call_arguments.done", "item_id": "f1", "output_index": 1, "arguments": arguments}));
    all.push(json!({"type": "response.output_item.done", "output_index": 1, "item": used}));
    all.push(json!({"type": "response.completed", "response": {"id": "r1", "output": [item, used]}}));
    for (number, event) in all.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    all
}

fn message(text: &[String], call: &[String]) -> Vec<Value> {
    let start = |index: u64, block| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u64, delta| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    let mut all = vec![json!({"type": "message_start", "message": {"id": "msg_1", "content": []}})];
    all.push(start(0, json!({"type": "text", "text": ""})));
    all.extend(text.iter().map(|piece| delta(0, json!({"type": "text_delta", "text": piece}))));
    all.extend([stop(0), json!({"type": "ping"}), start(1, json!({"type": "tool_use", "name": "mail", "input": {}}))]);
    all.extend(call.iter().map(|piece| delta(1, json!({"type": "input_json_delta", "partial_json": piece}))));
    all.extend([
        stop(1),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ]);
    all
}

fn gemini(text: &[String], _call: &[String]) -> Vec<Value> {
    let chunk = |parts: Value| json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}]});
    let mut all: Vec<Value> = text.iter().map(|piece| chunk(json!([{"text": piece}]))).collect();
    // What the model thinks in between is another text.
    all.insert(all.len() / 2, chunk(json!([{"thought": true, "text": "so [EMA"}])));
    all.push(json!({"candidates": [{"content": {"parts": [], "role": "model"}, "finishReason": "STOP", "index": 0}]}));
    all
}

fn ollama(text: &[String], _call: &[String]) -> Vec<Value> {
    let line =
        |text: &str, done: bool| json!({"model": "m", "message": {"role": "assistant", "content": text}, "done": done});
    text.iter().map(|piece| line(piece, false)).chain([line("", true)]).collect()
}

fn plain(text: &[String], _call: &[String]) -> Vec<Value> {
    text.iter().map(|piece| json!({"answer": piece, "n": 1})).collect()
}

/// The pieces at this place of all events, one after another.
pub(super) fn heard(events: &[Value], place: &str) -> String {
    let (kind, member) = place.rsplit_once('/').unwrap_or_default();
    let piece = |event: &'_ Value| -> Option<String> {
        let found = match kind {
            // By the kind of the event, and of the item that the call is made for.
            "output_text" | "arguments" => {
                let is_it = event["type"].as_str()?.contains(kind) && event["item_id"] != "m2";
                event.get(member).filter(|_| is_it)?
            }
            _ => event.pointer(place)?,
        };
        let is_thought = place.contains("parts") && event.pointer("/candidates/0/content/parts/0/thought").is_some();
        found.as_str().filter(|_| !is_thought).map(str::to_owned)
    };
    events.iter().filter_map(piece).collect()
}

/// A text in pieces: cut at these characters.
fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.min(&chars.len())).chain([0, chars.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| chars[pair[0]..pair[1]].iter().collect()).collect()
}

#[tokio::test]
async fn a_text_comes_back_wherever_its_events_cut_it() {
    let desk = Desk::new().await;
    let text = format!("é {} ~ {}.", desk.email, desk.nasty);
    let call = format!("{{\"to\": \"{}\", \"n\": 1}}", desk.nasty);
    for way in WAYS {
        let context = desk.context(protocol(way.protocol)).await;
        let length = text.chars().count().max(call.chars().count());
        let mut cuttings: Vec<Vec<usize>> = (0..length).map(|cut| vec![cut, cut + 3]).collect();
        cuttings.push((0..length).collect());
        for cuts in cuttings {
            let events = (way.say)(&pieces(&text, &cuts), &pieces(&call, &cuts));
            let reply = whole(way.shape, &written(way.shape, &events), &context).await;
            let events_back = read(way.shape, &reply);
            assert_eq!(events_back.len(), events.len(), "{}: events were added or lost", way.protocol);
            let said = heard(&events_back, way.text);
            assert_eq!(said, format!("é {EMAIL} ~ {NASTY}."), "{} cut at {cuts:?}", way.protocol);
            if way.call != "-" {
                let called: Value = serde_json::from_str(&heard(&events_back, way.call)).unwrap();
                assert_eq!(called, json!({"to": NASTY, "n": 1}), "{} cut at {cuts:?}", way.protocol);
            }
            let numbers =
                |events: &[Value]| events.iter().map(|event| event["sequence_number"].clone()).collect::<Vec<_>>();
            assert_eq!(numbers(&events_back), numbers(&events));
        }
    }
}

#[tokio::test]
async fn the_network_may_cut_any_stream_anywhere() {
    let desk = Desk::new().await;
    let text = pieces(&format!("é {}. [EM", desk.email), &[4, 9, 12]);
    let call = pieces(&format!("{{\"to\":\"{}\"}}", desk.nasty), &[9, 20]);
    for way in WAYS {
        for context in [desk.context(protocol(way.protocol)).await, desk.redacting(protocol(way.protocol)).await] {
            let stream = written(way.shape, &(way.say)(&text, &call));
            let want = whole(way.shape, &stream, &context).await;
            assert!(want.contains(EMAIL), "{want}");
            every_cut_gives(&want, way.shape, &stream, &context).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Any text with tokens, whole, bent and cut off, in any pieces, and the
    /// stream in any chunks: always the same bytes, and no event more or less.
    #[test]
    fn no_chunks_change_a_stream(
        words in prop::collection::vec(prop::sample::select(vec![
            "@@", "~~", "[EMAIL", "\\[@@", "%5B", "&#91;", "[", "]", "é", "\u{1f600}", "\n", "{\"a\":\"", "\\", "PERSON_", "so", "boris@example.org", "<![CDATA[",
        ]), 0..14),
        cuts in prop::collection::vec(0..400_usize, 0..8),
        chunks in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
        way in 0..WAYS.len(),
        redacts: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (desk, way) = (Desk::new().await, &WAYS[way]);
            let protocol = protocol(way.protocol);
            let context = if redacts { desk.redacting(protocol).await } else { desk.context(protocol).await };
            let text = words.concat().replace("@@", &desk.email).replace("~~", &desk.nasty);
            let text = pieces(&text, &cuts);
            let events = (way.say)(&text, &text);
            let stream = written(way.shape, &events);
            let want = whole(way.shape, &stream, &context).await;
            let mut cuts: Vec<usize> = chunks.iter().map(|cut| cut.index(stream.len() + 1)).chain([0, stream.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
            assert_eq!(restored(way.shape, &chunks, &context).await, want);
            assert_eq!(read(way.shape, &want).len(), events.len());
            // Not a text that the caller's own stands in is lost or said twice.
            let said = |events: &[Value]| heard(events, way.text).matches(EMAIL).count();
            let tokens = text.concat().matches(&desk.email).count();
            assert!(said(&read(way.shape, &want)) <= tokens);
        });
    }
}

#[tokio::test]
async fn what_is_said_again_agrees_with_its_pieces() {
    let desk = Desk::new().await;
    let text = format!("{} and boris@example.org, {} [EM", desk.email, desk.nasty);
    let call = format!("{{\"to\": \"{}\", \"cc\": \"boris@example.org\"}}", desk.nasty);
    let places = ["/text", "/part/text", "/item/content/0/text", "/response/output/0/content/0/text"];
    let arguments = ["/arguments", "/item/arguments", "/response/output/1/arguments"];
    for context in
        [desk.context(protocol("openai-responses")).await, desk.redacting(protocol("openai-responses")).await]
    {
        for cut in 0..text.chars().count() {
            let events = response(&pieces(&text, &[cut, cut + 5]), &pieces(&call, &[cut, cut + 5]));
            let reply = whole(Shape::EventStream, &written(Shape::EventStream, &events), &context).await;
            let events = read(Shape::EventStream, &reply);
            let (said, called) = (heard(&events, "output_text/delta"), heard(&events, "arguments/delta"));
            assert!(said.starts_with(EMAIL) && called.contains("O\\\"Neil"), "{said} {called}");
            let again = |places: &[&str]| -> Vec<String> {
                let at = |place: &&str| {
                    events.iter().filter_map(|event| event.pointer(place)?.as_str()).map(str::to_owned).collect()
                };
                places.iter().map(at).map(|all: Vec<String>| all.last().unwrap().clone()).collect()
            };
            assert_eq!(again(&places), vec![said; 4], "cut at {cut}");
            assert_eq!(again(&arguments), vec![called; 3], "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn a_text_is_complete_before_its_end_is_said() {
    let desk = Desk::new().await;
    // What looks like the start of a token, and goes no further.
    let text = ["see [EMAIL_".to_owned()];
    for (way, end) in [
        (0, "\"finish_reason\":\"stop\""),
        (2, "output_text.done"),
        (3, "content_block_stop"),
        (4, "finishReason"),
        (6, "\"done\":true"),
    ] {
        let way = &WAYS[way];
        let context = desk.context(protocol(way.protocol)).await;
        let mut restorer = Restorer::new(way.shape, 1 << 20, &context);
        let mut out = BytesMut::new();
        let stream = written(way.shape, &(way.say)(&text, &[])) + "\n";
        restorer.push(stream.into(), 1 << 20, &context, &mut out).await.unwrap();
        let sent = String::from_utf8(out.to_vec()).unwrap();
        let (said, ended) = (sent.find("see [EMAIL_").unwrap(), sent.find(end));
        assert!(ended.is_some_and(|ended| said < ended), "{sent}");
    }
}

#[tokio::test]
async fn text_without_tokens_waits_for_nothing() {
    let desk = Desk::new().await;
    let text = pieces("Good morning, how are you?", &[4, 9, 12, 13, 20]);
    for way in WAYS {
        let context = desk.context(protocol(way.protocol)).await;
        let mut restorer = Restorer::new(way.shape, 1 << 20, &context);
        let mut sent = BytesMut::new();
        let events = plain_events(&way, &text);
        let (mut came, last) = (String::new(), events.len() - 1);
        for (n, event) in events.into_iter().enumerate() {
            // A line ends with its line feed, all else with its last brace.
            came.push_str(&event);
            restorer.push(event.into(), 1 << 20, &context, &mut sent).await.unwrap();
            assert!(n == last || sent == came, "{}: {sent:?} of {came}", way.protocol);
        }
    }
}

/// The stream, event by event.
fn plain_events(way: &Way, text: &[String]) -> Vec<String> {
    // Of some protocols a piece between others is the start of a token.
    let events = (way.say)(text, &[]).into_iter().filter(|event| !event.to_string().contains("[EMA"));
    let one = |event: Value| written(way.shape, &[event]);
    match way.shape {
        Shape::Elements => {
            events.enumerate().map(|(n, event)| format!("{}{event}", if n == 0 { "[" } else { ",\n" })).collect()
        }
        Shape::JsonLines => events.map(|event| format!("{event}\n")).collect(),
        _ => events.map(one).collect(),
    }
}

#[tokio::test]
async fn what_is_signed_stays_byte_for_byte() {
    let desk = Desk::new().await;
    let token = &desk.email;
    let thinking = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let anthropic = [
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": token, "signature": ""}}),
        thinking(json!({"type": "thinking_delta", "thinking": format!("mail {token}")})),
        thinking(json!({"type": "signature_delta", "signature": token})),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"content": [{"type": "thinking", "thinking": token, "signature": token}, {"type": "redacted_thinking", "data": token}]}),
    ];
    let gemini = [
        json!({"candidates": [{"content": {"parts": [{"text": format!("mail {token}"), "thought": true, "thoughtSignature": "c2ln"}]}}]}),
        json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "mail", "args": {"to": token}}, "thoughtSignature": "c2ln"}]}}]}),
    ];
    for (name, events) in [("anthropic", &anthropic[..]), ("gemini", &gemini)] {
        for context in [desk.context(protocol(name)).await, desk.redacting(protocol(name)).await] {
            let stream = written(Shape::EventStream, events);
            assert_eq!(whole(Shape::EventStream, &stream, &context).await, stream, "{name}");
            for event in events {
                let document = event.to_string();
                assert_eq!(document::restore(document.clone().into(), &context).await, document, "{name}");
            }
        }
    }
    // Without a signature a part is text like any other.
    let open = json!({"candidates": [{"content": {"parts": [{"text": token, "thought": true}]}}]}).to_string();
    let reply = document::restore(open.clone().into(), &desk.context(protocol("gemini")).await).await;
    assert_eq!(reply, open.replace(token.as_str(), EMAIL));
}

#[tokio::test]
async fn a_text_that_grows_is_never_shortened() {
    let desk = Desk::new().await;
    let token = &desk.email;
    let text: Vec<char> = format!("Mail {token}, boris@example.org or call.").chars().collect();
    for context in [desk.context(protocol("bot-framework")).await, desk.redacting(protocol("bot-framework")).await] {
        let mut before = String::new();
        for end in 0..=text.len() {
            let so_far: String = text[..end].iter().collect();
            let kind = if end == text.len() { "message" } else { "typing" };
            let activity = json!({"activities": [{"text": so_far, "type": kind}], "watermark": "3"});
            let reply = document::restore(activity.to_string().into(), &context).await;
            let shown =
                serde_json::from_slice::<Value>(&reply).unwrap()["activities"][0]["text"].as_str().unwrap().to_owned();
            assert!(shown.starts_with(&before), "{before} became {shown}");
            assert!(!shown.contains("[EM") || context.redaction.is_some(), "{shown}");
            before = shown;
        }
        let others = if context.redaction.is_some() { "[EMAIL]" } else { "boris@example.org" };
        assert_eq!(before, format!("Mail {EMAIL}, {others} or call."));
    }
}

#[tokio::test]
async fn of_an_object_that_grows_the_text_alone_may_be_cut() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("bot-framework")).await;
    let activity = |text: &str| {
        json!({"type": "typing", "from": {"name": "Person"}, "channelData": {"Email": "email"}, "text": text})
            .to_string()
    };
    let asks = activity("Tell me your email");
    assert_eq!(document::restore(asks.clone().into(), &context).await, asks);
    let reply = document::restore(activity("Yours is [EMA").into(), &context).await;
    assert_eq!(reply, activity("Yours is "));
}

#[tokio::test]
async fn a_message_that_ends_with_a_word_is_not_waited_for() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("json")).await;
    let mut restorer = Restorer::new(Shape::EventStream, 1 << 20, &context);
    let mut out = BytesMut::new();
    let said = "data: {\"text\":\"Please tell me your email\"}\n\n";
    restorer.push(said.into(), 1 << 20, &context, &mut out).await.unwrap();
    assert_eq!(out, "");
    restorer.pause(Pause::Silence, &context, &mut out).await;
    assert_eq!(out, said);
    // What really looks like a token is.
    let half = desk.email.split_at(7);
    for (n, part) in [half.0, half.1].into_iter().enumerate() {
        let event = written(Shape::EventStream, &[json!({"text": part})]);
        out.clear();
        restorer.push(event.into(), 1 << 20, &context, &mut out).await.unwrap();
        restorer.pause(Pause::Silence, &context, &mut out).await;
        assert_eq!(out.is_empty(), n == 0);
    }
    assert!(std::str::from_utf8(&out).unwrap().contains(EMAIL));
}

#[tokio::test]
async fn an_error_waits_for_no_text() {
    let desk = Desk::new().await;
    for (name, piece) in [
        ("openai-chat", json!({"choices": [{"index": 0, "delta": {"content": "see [EMA"}}]})),
        ("openai-completions", json!({"choices": [{"index": 0, "text": "see [EMA"}]})),
        ("json", json!({"text": "see [EMA"})),
    ] {
        let context = desk.context(protocol(name)).await;
        let mut restorer = Restorer::new(Shape::EventStream, 1 << 20, &context);
        let mut out = BytesMut::new();
        let stream = written(Shape::EventStream, &[piece, json!({"error": {"code": "overloaded"}})]);
        restorer.push(stream.clone().into(), 1 << 20, &context, &mut out).await.unwrap();
        assert_eq!(out, stream, "{name}");
    }
}

#[tokio::test]
async fn what_goes_back_to_the_bot_stays_as_it_came() {
    let desk = Desk::new().await;
    let token = &desk.email;
    let reply = json!([{"recipient_id": token, "text": format!("Hi {token}"), "buttons": [{"title": token, "payload": format!("/mail{{\"to\":\"{token}\"}}")}]}]);
    let context = desk.context(protocol("rasa")).await;
    let back: Value = serde_json::from_slice(&document::restore(reply.to_string().into(), &context).await).unwrap();
    assert_eq!(back[0]["text"], format!("Hi {EMAIL}"));
    assert_eq!(back[0]["buttons"][0]["title"], EMAIL);
    assert_eq!(back[0]["buttons"][0]["payload"], reply[0]["buttons"][0]["payload"]);
    // It is the sender, as the client called it.
    assert_eq!(back[0]["recipient_id"], EMAIL);
}

#[tokio::test]
async fn who_somebody_is_comes_back() {
    let desk = Desk::new().await;
    let token = &desk.email;
    let said =
        |name: &str| json!({"id": "a1", "from": {"id": name, "name": name}, "recipient": {"id": name}, "text": "ok"});
    for (name, said) in [
        ("rasa-socketio", |name: &str| json!({"recipient_id": name, "session_id": "s1", "text": "ok"})),
        ("bot-framework", said),
        ("bot-framework", |name: &str| json!({"activities": [{"from": {"id": name}, "recipient": {"id": name}}]})),
    ] as [(&str, fn(&str) -> Value); 3]
    {
        let context = desk.context(protocol(name)).await;
        let reply = document::restore(said(token).to_string().into(), &context).await;
        assert_eq!(reply, said(EMAIL).to_string(), "{name}");
    }
}

#[tokio::test]
async fn what_a_tool_is_given_comes_back_whatever_its_members_are_called() {
    let desk = Desk::new().await;
    let token = &desk.email;
    let given = json!({"id": token, "type": token, "status": token, "role": token, "file_id": token, "signature": token, "name": token});
    let signed = json!({"type": "thinking", "thinking": token, "signature": "c2ln"});
    let message = json!({"id": "msg_1", "type": "message", "content": [{"type": "tool_use", "id": "t1", "input": given}, signed]});
    let action = json!({"type": "exec", "env": given});
    let response = json!({"id": "resp_1", "metadata": given, "output": [{"type": "local_shell_call", "id": token, "action": action}]});
    let want = |document: &Value, kept: &[&str]| {
        let mut want: Value = serde_json::from_str(&document.to_string().replace(token.as_str(), EMAIL)).unwrap();
        for place in kept {
            *want.pointer_mut(place).unwrap() = json!(token);
        }
        want
    };
    for (name, document, kept) in [
        ("anthropic", &message, "/content/1/thinking"),
        ("anthropic", &json!({"type": "message_start", "message": message}), "/message/content/1/thinking"),
        ("openai-responses", &response, "/output/0/id"),
        ("openai-responses", &json!({"type": "response.completed", "response": response}), "/response/output/0/id"),
    ] {
        let context = desk.context(protocol(name)).await;
        let reply = document::restore(document.to_string().into(), &context).await;
        assert_eq!(serde_json::from_slice::<Value>(&reply).unwrap(), want(document, &[kept]), "{name}");
    }
}

#[tokio::test]
async fn a_value_keeps_a_json_text_within_a_text_whole() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("openai-chat")).await;
    let token = &desk.nasty;
    let answer = json!({"to": [token], "n": 1});
    let inner = |text: &Value| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap();
    let want = json!({"to": [NASTY], "n": 1});
    for said in [answer.to_string(), format!("\n{answer:#}")] {
        let document = json!({"choices": [{"message": {"content": said}}]}).to_string();
        let reply: Value = serde_json::from_slice(&document::restore(document.into(), &context).await).unwrap();
        assert_eq!(inner(&reply["choices"][0]["message"]["content"]), want);
        for size in [1, 2, 5, 40] {
            let chars: Vec<char> = said.chars().collect();
            let parts: Vec<String> = chars.chunks(size).map(String::from_iter).collect();
            let reply = whole(Shape::EventStream, &written(Shape::EventStream, &chat(&parts, &[])), &context).await;
            let heard = heard(&read(Shape::EventStream, &reply), "/choices/0/delta/content");
            assert_eq!(inner(&json!(heard)), want, "in pieces of {size}");
        }
    }
    // A text that starts with a token is a text.
    let document = json!({"choices": [{"message": {"content": format!("{token} it is")}}]}).to_string();
    let reply: Value = serde_json::from_slice(&document::restore(document.into(), &context).await).unwrap();
    assert_eq!(reply["choices"][0]["message"]["content"], format!("{NASTY} it is"));
}

#[tokio::test]
async fn what_is_nearly_json_is_escaped_as_json() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("json")).await;
    let token = &desk.nasty;
    let value = json!(NASTY).to_string();
    for (before, after) in [("{\"a\":", ",}"), ("{\"b\":1} {\"a\":", "}"), ("[\"x\",", "")] {
        let text = format!("{before}\"{token}\"{after}");
        let want = format!("{before}{value}{after}");
        assert_eq!(document::restore(text.clone().into(), &context).await, want);
        every_cut_gives(&want, Shape::Text(Escape::None), &text, &context).await;
        let stream = format!("data: {text}\n\n");
        assert_eq!(whole(Shape::EventStream, &stream, &context).await, format!("data: {want}\n\n"));
    }
}

#[tokio::test]
async fn sequences_and_forms_are_restored_in_their_own_ways() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("json")).await;
    let token = &desk.nasty;
    let sequence = format!("\u{1e}{{\"a\":\"{token}\"}}\n\u{1e}{{\"a\":1}}\n");
    let want = format!("\u{1e}{{\"a\":{}}}\n\u{1e}{{\"a\":1}}\n", json!(NASTY));
    every_cut_gives(&want, Shape::JsonLines, &sequence, &context).await;
    let form = format!("a={}&b=1", token.replace('[', "%5B").replace(']', "%5D"));
    let reply = whole(Shape::Text(Escape::Form), &form, &context).await;
    assert_eq!(reply, "a=O%22Neil%20%5C%20%0A%F0%9F%98%80&b=1");
}

#[tokio::test]
async fn a_stream_without_a_type_is_told_by_its_start() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("openai-chat")).await;
    let events = chat(&pieces(&format!("to {}", desk.nasty), &[4, 9]), &[]);
    for shape in [Shape::EventStream, Shape::JsonLines] {
        let stream = written(shape, &events);
        let reply = whole(Shape::Unsaid, &stream, &context).await;
        assert_eq!(heard(&read(shape, &reply), "/choices/0/delta/content"), format!("to {NASTY}"));
        every_cut_gives(&reply, Shape::Unsaid, &stream, &context).await;
    }
    assert_eq!(whole(Shape::Unsaid, &format!("to {}", desk.email), &context).await, format!("to {EMAIL}"));
    assert_eq!(whole(Shape::Unsaid, "ev", &context).await, "ev");
}

#[tokio::test]
async fn messages_of_a_socket_are_restored_one_by_one() {
    let desk = Desk::new().await;
    let (email, nasty) = (desk.email.clone(), desk.nasty.clone());
    let mut messages = Messages::new(desk.context(protocol("json")).await);
    for (message, want) in [
        (json!({"text": format!("so {nasty}")}).to_string(), json!({"text": format!("so {NASTY}")}).to_string()),
        (format!("plain {email}"), format!("plain {EMAIL}")),
        ("3probe".to_owned(), "3probe".to_owned()),
        (json!({"text": "see [EMAIL"}).to_string(), json!({"text": "see [EMAIL"}).to_string()),
    ] {
        assert_eq!(messages.restore(&message).await, [want]);
    }
    assert!(messages.finish().await.is_empty());
    // Of a protocol with kinds of events a text goes on in the next message.
    let mut messages = Messages::new(desk.context(protocol("openai-responses")).await);
    let (head, tail) = email.split_at(5);
    let delta = |text: &str| json!({"type": "response.output_text.delta", "item_id": "m", "delta": text}).to_string();
    assert!(messages.restore(&delta(head)).await.is_empty());
    assert_eq!(messages.restore(&delta(tail)).await, [delta(EMAIL), delta("")]);
    assert!(messages.restore(&delta("[EM")).await.is_empty());
    assert_eq!(messages.finish().await, [delta("[EM")]);
}

#[tokio::test]
async fn what_is_in_hand_is_bounded() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("openai-chat")).await;
    let event = |index: u64, text: &str| json!({"choices": [{"index": index, "delta": {"content": text}}]});
    let mut events = vec![event(0, "so [EMA")];
    events.extend((0..3000).map(|_| event(1, &"x".repeat(500))));
    let stream = written(Shape::EventStream, &events);
    let mut restorer = Restorer::new(Shape::EventStream, 1 << 20, &context);
    let mut out = BytesMut::new();
    restorer.push(stream.clone().into(), 1 << 20, &context, &mut out).await.unwrap();
    assert_eq!(out, stream, "the text of the first choice counts as not coming");
}
