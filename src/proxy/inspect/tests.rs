mod cut;
mod memory;

use super::*;
use crate::detect::{Engine, Plan, Wishes};
use crate::protocol::{Protocol, Protocols};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::builtin().unwrap());
static PLAN: LazyLock<Plan> = LazyLock::new(|| ENGINE.plan(&Wishes::default()));
static CLEAN: LazyLock<Clean> = LazyLock::new(|| Clean::new(&Arc::default()).unwrap());
static PROTOCOLS: LazyLock<Protocols> = LazyLock::new(|| Protocols::builtin().unwrap());

fn protocol(name: &str) -> &'static Protocol {
    PROTOCOLS.named(name).unwrap()
}

fn rules(name: &str) -> Rules<'static> {
    Rules {
        detector: Detector { engine: &ENGINE, plan: &PLAN },
        clean: None,
        fields: &protocol(name).request,
        identity: Identity::Scan,
        binary: Binary::Refuse,
        files: Binary::Pass,
        strict: false,
        texts: false,
        sought: &[],
        depth: 128,
    }
}

fn inspect(name: &str, body: &str) -> Findings {
    let mut scratch = Scratch::default();
    let mut look = |clean| {
        scratch.start_conversation();
        let found = inspect_json(body, &Rules { clean, ..rules(name) }, &mut scratch).unwrap();
        let mut known = std::hash::DefaultHasher::new();
        scratch.hash_known(&mut known);
        (found, std::hash::Hasher::finish(&known))
    };
    let told = |(found, known): &(Findings, u64)| {
        let values: Vec<_> = found.each().map(|one| (found.value(one).to_owned(), one.entity, one.rule)).collect();
        let places: Vec<_> = found.list.iter().map(|one| (one.at.clone(), one.form, one.operator)).collect();
        (places, values, found.scanned, *known)
    };
    let found = look(None);
    // What is remembered changes nothing.
    for _ in 0..2 {
        assert_eq!(told(&look(Some(&CLEAN))), told(&found), "{body}");
    }
    found.0
}

/// The body with `[ENTITY]` in the place of what was found, and the values.
fn redacted(name: &str, body: &str) -> (String, Vec<String>) {
    let found = inspect(name, body);
    assert!(found.list.windows(2).all(|two| two[0].at.end <= two[1].at.start), "{body}");
    let values = found.each().filter(|one| one.form.is_first()).map(|one| found.value(one).to_owned()).collect();
    (splice(body, &found.list), values)
}

fn splice(text: &str, list: &[Located]) -> String {
    let (mut out, mut copied) = (String::new(), 0);
    for one in list {
        out.push_str(&text[copied..one.at.start]);
        match (&one.encoded, one.form) {
            (Some(text), _) => out.push_str(&text.base64.encode(splice(&text.text, &text.list).as_bytes())),
            (None, Form::Rest) => {}
            (None, Form::RestNumber) => out.push_str("null"),
            (None, Form::Number { depth }) => {
                let quote = format!("{}\"", "\\".repeat((1 << depth) - 1));
                out.extend([&quote, "[", one.entity.as_str(), "]", &quote]);
            }
            (None, _) => out.extend(["[", one.entity.as_str(), "]"]),
        }
        copied = one.at.end;
    }
    out + &text[copied..]
}

/// That `marked`, in which `«…»` stands around what is to be found, becomes
/// `[EMAIL]` and the like there, and stays as it is otherwise.
#[track_caller]
fn check(name: &str, marked: &str, wanted: &str) {
    let body = marked.replace(['«', '»'], "");
    assert_eq!(redacted(name, &body).0, wanted, "{name}");
}

#[test]
fn documents_in_strings_are_looked_into_at_any_depth() {
    for (body, wanted) in [
        (r#"{"a":"{\"b\":\"ana@example.com\"}"}"#, r#"{"a":"{\"b\":\"[EMAIL]\"}"}"#),
        // Only within does the escape spell an address.
        (r#"{"a":"[\"ana\\u0040example.com\"]"}"#, r#"{"a":"[\"[EMAIL]\"]"}"#),
        (r#"{"a":"{\"card\":4111111111111111}"}"#, r#"{"a":"{\"card\":\"[CREDIT_CARD]\"}"}"#),
        (r#"{"a":" {\"b\": \"ana@example.com\" "}"#, r#"{"a":" {\"b\": \"[EMAIL]\" "}"#),
        (r#"{"a":"[1] ana@example.com"}"#, r#"{"a":"[1] [EMAIL]"}"#),
        (r#"{"a":"Profile: {\"m\":\"ana\\u0040example.com\"}"}"#, r#"{"a":"Profile: {\"m\":\"[EMAIL]\"}"}"#),
        (r#"{"a":"{\"ana@example.com\":1}"}"#, r#"{"a":"{\"[EMAIL]\":1}"}"#),
    ] {
        check("json", body, wanted);
    }
    let mut nested = (r#"{"to":"ana\u0040example.com","card":4111111111111111}"#).to_owned();
    for depth in 1..=7 {
        nested = serde_json::json!({ "in": nested }).to_string();
        let (redacted, values) = redacted("json", &nested);
        assert_eq!(values, ["ana@example.com", "4111111111111111"], "{depth}");
        let mut inner: serde_json::Value = serde_json::from_str(&redacted).unwrap();
        for _ in 0..depth {
            inner = serde_json::from_str(inner["in"].as_str().unwrap()).unwrap();
        }
        assert_eq!(inner, serde_json::json!({"to": "[EMAIL]", "card": "[CREDIT_CARD]"}));
    }
}

#[test]
fn no_document_that_fits_in_a_body_is_too_deep_to_be_looked_into() {
    // Only within does the escape spell an address.
    let mut nested = "[\"ana\\u0040example.com\"]".to_owned();
    // Each level doubles the escapes of the one within.
    while nested.len() < 1 << 20 {
        nested = serde_json::to_string(&[nested]).unwrap();
    }
    assert_eq!(redacted("json", &nested).1, ["ana@example.com"]);
}

#[test]
fn texts_in_base64_are_found_where_nobody_speaks_of_them() {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let (plain, token) = ("my mail is ana@example.com, ok?", "my mail is [EMAIL], ok?");
    for (name, body) in [
        ("json", r#"{"anything":{"data":"@"}}"#),
        ("openai-chat", r#"{"messages":[{"role":"user","content":"decode @ for me, bo is fine"}]}"#),
        ("openai-chat", r#"{"messages":[{"tool_calls":[{"function":{"arguments":"{\"file\":\"@\"}"}}]}]}"#),
        ("rasa", r#"{"sender":"u","message":"see https://docs.example/d/@, please"}"#),
        ("text", r#"["@"]"#),
    ] {
        let body_with = |text: &str| body.replace('@', &encode(text));
        let (redacted, values) = redacted(name, &body_with(plain));
        assert_eq!(redacted, body_with(token), "{name}");
        assert!(values.contains(&"ana@example.com".to_owned()), "{values:?}");
        assert!(inspect(name, &body_with("nothing of note here, really")).list.is_empty(), "{name}");
    }
    // What is found beside it stays in order, and a document is looked into.
    let inner = encode(r#"{"mail":"ana\u0040example.com","n":4111111111111111}"#);
    let body = format!(r#"{{"a":"bo@example.org {inner} and eve@example.net","b":"cy@example.com"}}"#);
    let wanted = encode(r#"{"mail":"[EMAIL]","n":"[CREDIT_CARD]"}"#);
    check("json", &body, &format!(r#"{{"a":"[EMAIL] {wanted} and [EMAIL]","b":"[EMAIL]"}}"#));
    // What is signed cannot be changed.
    let body = format!(r#"{{"a":"x.{inner}.keIHyJHiB8iR4gfIkeIHyJHiB8g"}}"#);
    check("json", &body, &body);
    check("json", &format!(r#"{{"a":"x.{inner}.y"}}"#), &format!(r#"{{"a":"x.{wanted}.y"}}"#));
    // Of an address that reaches beyond one nothing is left outside.
    let mail = encode(r#"{"a": "ana.lopez@example.com"}"#);
    for body in [
        format!(r#"{{"a":"see {mail}ana.lopez@example.com"}}"#),
        format!(r#"{{"a":"{mail}ana.lopez@example.com"}}"#),
        r#"{"a":"198<wbr>.51.100.77--eCAxOTguNTEuMTAwLjc3"}"#.to_owned(),
    ] {
        let (left, _) = redacted("json", &body);
        assert!(!left.contains("lopez") && !left.contains("51.100"), "{left}");
    }
}

#[test]
fn values_cut_over_members_that_count_are_found() {
    for (marked, wanted) in [
        (r#"{"line1":"mail ana.no","line2":"vak@example.com"}"#, r#"{"line1":"mail [EMAIL]","line2":""}"#),
        (r#"{"first_half":"ana.no","second_half":"vak@example.com"}"#, r#"{"first_half":"[EMAIL]","second_half":""}"#),
        (r#"{"c1":"4111","c2":"1111","c3":"1111","c4":"1111"}"#, r#"{"c1":"[CREDIT_CARD]","c2":"","c3":"","c4":""}"#),
        (r#"{"user":"ana.novak","domain":"@example.com"}"#, r#"{"user":"[EMAIL]","domain":""}"#),
        (r#"{"user":"ana.novak","at":"@","host":"example.com"}"#, r#"{"user":"[EMAIL]","at":"","host":""}"#),
        (r#"{"x":"{\"c1\":\"ana.no\",\"c2\":\"vak@example.com\"}"}"#, r#"{"x":"{\"c1\":\"[EMAIL]\",\"c2\":\"\"}"}"#),
        // Members of others, and what only stands beside.
        (r#"{"shop":"ana.no","mail":"«vak@example.com»"}"#, r#"{"shop":"ana.no","mail":"[EMAIL]"}"#),
        (
            r#"{"a":{"line1":"ana.no"},"b":{"line2":"«vak@example.com»"}}"#,
            r#"{"a":{"line1":"ana.no"},"b":{"line2":"[EMAIL]"}}"#,
        ),
        (r#"{"mail1":"«ana@example.com»","mail2":"«bo@example.org»"}"#, r#"{"mail1":"[EMAIL]","mail2":"[EMAIL]"}"#),
    ] {
        check("json", marked, wanted);
        check("mcp", marked, wanted);
    }
}

#[test]
fn the_numbers_of_a_card_are_found_in_an_array() {
    for (body, wanted) in [
        (r#"{"pan":[4111,1111,1111,1111]}"#, r#"{"pan":["[CREDIT_CARD]",null,null,null]}"#),
        // One of them may be a finding by itself.
        (r#"{"pan":[42,36700102000000]}"#, r#"{"pan":["[CREDIT_CARD]",null]}"#),
        (r#"{"pan":[411111,1111111111],"to":"a@b.example"}"#, r#"{"pan":["[CREDIT_CARD]",null],"to":"[EMAIL]"}"#),
        (
            r#"{"pan":[4111,1111,1111,1111,"ana@example.com",{"of":"bo@example.org"}]}"#,
            r#"{"pan":["[CREDIT_CARD]",null,null,null,"[EMAIL]",{"of":"[EMAIL]"}]}"#,
        ),
        (r#"{"a":"{\"pan\":[411111,1111111111]}"}"#, r#"{"a":"{\"pan\":[\"[CREDIT_CARD]\",null]}"}"#),
        (
            r"[4,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
            concat!(
                r#"["[CREDIT_CARD]""#,
                ",null,null,null,null,null",
                ",null,null,null,null,null",
                ",null,null,null,null,null]"
            ),
        ),
        (r#"{"digits":["4111","1111","1111","1111"]}"#, r#"{"digits":["[CREDIT_CARD]","","",""]}"#),
        (r#"["ana","@","example.com"]"#, r#"["[EMAIL]","",""]"#),
    ] {
        check("json", body, wanted);
    }
    for other in [
        "[4111,1111,1111,1112]",
        "[4111,1111,1111,1111,5]",
        "[0,4111,1111,1111,1111]",
        "[4111.5,1111,1111,1111]",
        "[\"a\",4111,1111,1111,1111]",
        "[4111,1111,1111,-1111]",
        "[[4111,1111],[1111,1111]]",
        "[2024,12,31,23,59,59]",
    ] {
        check("json", other, other);
    }
}

#[test]
fn of_an_intent_the_values_are_looked_at() {
    check(
        "rasa",
        r#"{"sender":"u1","message":"/inform{\"email\": \"ana@example.com\", \"n\": 2}"}"#,
        r#"{"sender":"u1","message":"/inform{\"email\": \"[EMAIL]\", \"n\": 2}"}"#,
    );
    check("rasa", r#"{"sender":"u1","message":"/greet"}"#, r#"{"sender":"u1","message":"/greet"}"#);
    check(
        "rasa",
        r#"{"sender":"ana@example.com","message":"/inform{no json ana@example.com","metadata":{"a":["bo@example.org"]}}"#,
        r#"{"sender":"[EMAIL]","message":"/inform{no json [EMAIL]","metadata":{"a":["[EMAIL]"]}}"#,
    );
}

#[test]
fn conditions_choose_what_is_never_touched() {
    let thinking = r#"{"model":"m","messages":[{"role":"assistant","content":[
        {"signature":"ana@example.com","thinking":"of ana@example.com","type":"thinking"},
        {"type":"redacted_thinking","data":"ana@example.com"},
        {"type":"tool_use","id":"t","name":"4111111111111111","input":{"name":"«ana@example.com»"}},
        {"type":"thinking","thinking":"«ana@example.com»"},
        {"type":"text","text":"«ana@example.com»","thinking":"«ana@example.com»"}]}]}"#;
    let wanted = thinking.replace("«ana@example.com»", "[EMAIL]");
    check("anthropic", thinking, &wanted);
    let parts = r#"{"contents":[{"role":"model","parts":[
        {"thought":true,"text":"ana@example.com","thoughtSignature":"ana@example.com"},
        {"thought":true,"text":"«ana@example.com»"},
        {"text":"«ana@example.com»","thought_signature":"ana@example.com"},
        {"functionCall":{"name":"f","args":{"to":"«ana@example.com»"}},"thoughtSignature":"s"}]}]}"#;
    check("gemini", parts, &parts.replace("«ana@example.com»", "[EMAIL]"));
    // Who names a type twice is looked at all the same.
    check(
        "anthropic",
        r#"{"messages":[{"content":[{"type":"thinking","type":"text","thinking":"«ana@example.com»"}]}]}"#,
        r#"{"messages":[{"content":[{"type":"thinking","type":"text","thinking":"[EMAIL]"}]}]}"#,
    );
}

#[test]
fn what_is_no_id_is_looked_at_where_an_id_stands() {
    let long = "x-".repeat(130) + "4111111111111111";
    for (name, body) in [
        ("openai-chat", r#"{"model":"«ana@example.com»","messages":[{"role":"call «ana@example.com»"}]}"#),
        ("openai-chat", r#"{"model":"«ana\u0040example.com»","service_tier":"card\u0020«4111111111111111»"}"#),
        ("openai-responses", r#"{"reasoning":{"note":"«ana@example.com»"},"tool_choice":{"x":"«ana@example.com»"}}"#),
        ("openai-responses", r#"{"conversation":"of «ana@example.com»","input":"hi"}"#),
        ("dialogflow-cx", r#"{"matchIntentRequest":{"queryInput":{"text":{"text":"«ana@example.com»"}}}}"#),
        ("dialogflow-cx", r#"{"match":{"resolvedInput":"«ana@example.com»"},"resolvedInput":"«4111111111111111»"}"#),
        ("bot-framework", r#"{"type":"message","name":"«4111111111111111»","action":"«4111111111111111»"}"#),
        (
            "bot-framework",
            r#"{"relatesTo":{"user":{"name":"«ana@example.com»"}},"recipient":{"id":"«ana@example.com»"}}"#,
        ),
        // Ids stay, and so does all that is verbatim.
        ("bot-framework", r#"{"type":"event","name":"4111111111111111","conversation":{"id":"19:4f@thread.v2"}}"#),
        ("anthropic", r#"{"model":"claude-3-5-sonnet-v2@20241022","messages":[]}"#),
        ("openai-responses", r#"{"input":[{"encrypted_content":"to ana@example.com"}]}"#),
        ("json", r#"{"message":"hi","context":[3],"input":[0.1,0.2]}"#),
        ("ollama", r#"{"model":"m","prompt":"hi","context":[1,2,3]}"#),
    ] {
        let wanted = body.replace("«4111111111111111»", "[CREDIT_CARD]");
        let wanted = wanted.replace("«ana@example.com»", "[EMAIL]").replace("«ana\\u0040example.com»", "[EMAIL]");
        check(name, body, &wanted);
    }
    let body = |id: &str| serde_json::json!({"model": id}).to_string();
    assert_eq!(inspect("openai-chat", &body(&long)).skipped, 0);
    assert!(inspect("openai-chat", &body("4111111111111111")).skipped > 0);
}

#[test]
fn texts_in_base64_are_looked_at_and_written_anew() {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let (plain, token) = ("name;mail\nAna;ana@example.com\n", "name;mail\nAna;[EMAIL]\n");
    for (name, body) in [
        (
            "openai-chat",
            r#"{"messages":[{"content":[{"type":"file","file":{"file_data":"data:text/csv;base64,@"}}]}]}"#,
        ),
        (
            "openai-chat",
            r#"{"messages":[{"content":[{"type":"file","file":{"file_data":"data:text\/csv;base64,@"}}]}]}"#,
        ),
        ("openai-responses", r#"{"input":[{"content":[{"type":"input_file","file_data":"@"}]}]}"#),
        ("anthropic", r#"{"messages":[{"content":[{"source":{"data":"@","type":"base64"},"type":"document"}]}]}"#),
        ("gemini", r#"{"contents":[{"parts":[{"inline_data":{"data":"@"}}]}]}"#),
        ("json", r#"{"anywhere":["Data:text/plain;base64,@"]}"#),
    ] {
        let body_with = |text: &str| body.replace('@', &encode(text));
        let (redacted, values) = redacted(name, &body_with(plain));
        assert_eq!(redacted, body_with(token), "{name}");
        assert!(values.contains(&"ana@example.com".to_owned()), "{values:?}");
        // What holds nothing stays as it is.
        let found = inspect(name, &body_with("nothing of note here"));
        assert!(found.list.is_empty() && found.uninspected == 0);
        let picture = body.replace("text", "image").replace('@', "iVBORw0KGgoAAAANSUhEUg==");
        let found = inspect(name, &picture);
        assert!(found.list.is_empty() && found.uninspected > 0);
    }
    // One word is no base64 where the protocol says that it is text.
    check(
        "anthropic",
        r#"{"messages":[{"content":[{"source":{"type":"text","data":"4111111111111111"}}]}]}"#,
        r#"{"messages":[{"content":[{"source":{"type":"text","data":"[CREDIT_CARD]"}}]}]}"#,
    );
}

/// A chat of these contents: parts of one message, or a message each.
fn chats(texts: &[&str]) -> [String; 2] {
    let parts: Vec<_> = texts.iter().map(|text| serde_json::json!({"type": "text", "text": text})).collect();
    let messages: Vec<_> = texts.iter().map(|text| serde_json::json!({"role": "user", "content": text})).collect();
    [
        serde_json::json!({"messages": [{"role": "user", "content": parts}]}).to_string(),
        serde_json::json!({"messages": messages}).to_string(),
    ]
}

proptest! {
    #[test]
    fn what_was_found_stands_where_it_is_written(parts in prop::collection::vec(prop::sample::select(vec![
        "ana@example.com", "ana.lo", "pez@example.com", "4111 1111 ", "1111 1111", "\"", "\\", "é", "[1]", "{}", " ", "\n", "Anna ", "Kow", "alska",
    ]), 0..12), cuts in prop::collection::vec(0..4_usize, 0..12)) {
        let mut texts = vec![String::new()];
        for (nth, part) in parts.iter().enumerate() {
            texts.last_mut().unwrap().push_str(part);
            if cuts.get(nth) == Some(&0) {
                texts.push(String::new());
            }
        }
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        for body in chats(&texts) {
            let (redacted, values) = redacted("openai-chat", &body);
            serde_json::from_str::<serde_json::Value>(&redacted).unwrap();
            let all = texts.concat();
            for value in values {
                prop_assert!(all.contains(&value), "{value:?} in {all:?}");
            }
        }
    }
}

#[test]
fn numbers_of_the_protocol_stay_numbers() {
    let body = r#"{"model":"m","seed":4111111111111111,"messages":[{"role":"user","content":"hi"}]}"#;
    check("openai-chat", body, body);
    check("json", r#"{"card":4111111111111111}"#, r#"{"card":"[CREDIT_CARD]"}"#);
    for number in ["4.111111111111111E15", "4111111111111111e0", "-41111111111111110.0e-1", "0.4111111111111111e+16"] {
        check("json", &format!("{{\"card\":{number}}}"), r#"{"card":"[CREDIT_CARD]"}"#);
    }
    check("json", r#"{"phone":4.915112345678E12}"#, r#"{"phone":"[PHONE]"}"#);
    for number in ["1e999999999999999999999", "4.1111111111111115e15", "4e-9", "0e0", "4111111111111111.5e0", "1E20"] {
        let body = format!("{{\"n\":{number}}}");
        check("json", &body, &body);
    }
}

#[test]
fn names_of_members_may_be_those_of_people() {
    for (body, want) in [
        (r#"{"people":{"anna_schmidt":{"age":4}}}"#, r#"{"people":{"[PERSON]":{"age":4}}}"#),
        (r#"{"anna schmidt":1}"#, r#"{"[PERSON]":1}"#),
        (r#"{"ghp_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ":1}"#, r#"{"[SECRET]":1}"#),
    ] {
        check("json", body, want);
    }
    let plain = r#"{"max_tokens":1,"valid_keys":2,"first_name_prefix":3,"mark_read":4,"additional_properties":5,"user_id":6,"will_call":7}"#;
    check("json", plain, plain);
}

#[test]
fn token_numbers_are_refused_or_pass() {
    let mut scratch = Scratch::default();
    for (name, body) in [
        ("openai-completions", r#"{"model":"m","prompt":[1,2]}"#),
        ("openai-completions", r#"{"model":"m","input":[[1],[2]]}"#),
        ("json", r#"{"model":"m","input":[1,2]}"#),
    ] {
        assert!(inspect_json(body, &rules(name), &mut scratch).is_err(), "{body}");
        let pass = Rules { binary: Binary::Pass, ..rules(name) };
        let found = inspect_json(body, &pass, &mut scratch).unwrap();
        assert!(found.uninspected > 0 && found.list.is_empty(), "{body}");
    }
}

#[test]
fn a_strict_route_is_told_of_unknown_members_and_not_of_values() {
    let mut scratch = Scratch::default();
    for (name, body, unknown) in [
        ("openai-chat", r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5}"#, None),
        ("openai-chat", r#"{"model":"m","notes":{"a":[{"b":1}]}}"#, Some("notes.a[].b")),
        (
            "openai-chat",
            r#"{"model":"m","messages":[{"content":[{"type":"text","txt":"x"}]}]}"#,
            Some("messages[].content[].txt"),
        ),
        ("openai-chat", r#"{"ana@example.com":true}"#, Some("…")),
        ("openai-chat", r#"{"x y":{"k":null}}"#, Some("….k")),
        ("json", r#"{"a":1}"#, Some("a")),
        // What holds nothing is a member all the same.
        ("openai-chat", r#"{"model":"m","notes":{}}"#, Some("notes")),
        ("openai-chat", r#"{"model":"m","notes":[[]]}"#, Some("notes[]")),
        (
            "openai-chat",
            r#"{"messages":[{"content":[{"type":"text","extra":{}}]}]}"#,
            Some("messages[].content[].extra"),
        ),
        ("openai-chat", r#"{"model":{},"messages":[],"tools":[{}],"metadata":{},"stop":[]}"#, None),
        ("openai-chat", r#"{"messages":[{"content":[]},{}],"tool_choice":{},"logit_bias":{}}"#, None),
        ("json", r#"{"a":{}}"#, Some("a")),
    ] {
        let strict = Rules { strict: true, ..rules(name) };
        let found = inspect_json(body, &strict, &mut scratch).unwrap();
        assert_eq!(found.unknown.as_deref(), unknown, "{body}");
        assert_eq!(inspect(name, body).unknown, None);
    }
}

#[test]
fn a_value_where_a_file_belongs_is_looked_at_as_it_stands_too() {
    for value in ["4111111111111111", "DE89370400440532013000", "+4915112345678"] {
        for (name, body) in [
            ("openai-chat", r#"{"messages":[{"content":[{"type":"file","file":{"file_data":"@"}}]}]}"#),
            ("ollama", r#"{"images":["@"]}"#),
        ] {
            let found = inspect(name, &body.replace('@', value));
            assert_eq!(found.list.len(), 1, "{name} {value}");
            assert_eq!(found.value(&found.list[0]), value);
        }
    }
}

#[test]
fn a_text_file_that_cannot_be_read_is_refused() {
    use base64::Engine as _;
    let data = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut scratch = Scratch::default();
    let mut inspect = |name, body: &str, data: &str| {
        inspect_json(&body.replace('@', data), &rules(name), &mut scratch).map(|found| found.uninspected)
    };
    let noise: Vec<u8> = (0..400_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (name, body) in [
        (
            "anthropic",
            r#"{"messages":[{"content":[{"type":"document","source":{"data":"@","media_type":"text/plain","type":"base64"}}]}]}"#,
        ),
        ("gemini", r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"text/csv","data":"@"}}]}]}"#),
    ] {
        let (kept, picture) = (data(&noise), body.replace("text/", "image/"));
        assert!(inspect(name, body, &kept).is_err(), "{name}");
        assert!(inspect(name, &picture, &kept).unwrap() > 0, "{name}");
        let latin = data(b"M\xfcller;ana@example.com\nJos\xe9;bo@example.org\nand so on and on and on\n");
        assert!(inspect(name, body, &latin).is_err() && inspect(name, &picture, &latin).is_err(), "{name}");
        let late = data(&[&b"name;mail\n".repeat(99)[..], b"Jos\xe9;ana@example.com"].concat());
        assert!(inspect(name, &picture, &late).is_err(), "{name}");
    }
}

#[test]
fn what_was_looked_at_is_counted() {
    let found = inspect(
        "openai-chat",
        r#"{"model":"gpt","messages":[{"role":"user","content":[{"type":"text","text":"hello"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}"#,
    );
    let keys = "model messages role content type text type image_url url".replace(' ', "").len();
    assert_eq!(found.scanned, keys + "hello".len());
    assert_eq!(found.skipped, "gpt user text image_url".replace(' ', "").len());
    assert_eq!(found.uninspected, "data:image/png;base64,iVBORw0KGgo=".len());
}

#[test]
fn the_conversation_is_told_by_the_first_place_that_names_it() {
    let of = |name, body| inspect(name, body).conversation;
    let id = |nth, id: &str| Some((nth, id.to_owned()));
    assert_eq!(of("rasa", r#"{"message":"hi","sender":"u1"}"#), id(0, "u1"));
    assert_eq!(of("openai-responses", r#"{"previous_response_id":"r","conversation":{"id":"c"}}"#), id(1, "c"));
    assert_eq!(of("openai-responses", r#"{"previous_response_id":"r"}"#), id(2, "r"));
    assert_eq!(of("openai-responses", r#"{"previous_response_id":null,"input":"hi"}"#), None);
    assert_eq!(of("openai-chat", r#"{"user":"u"}"#), None);
    for (body, forgotten) in [(r#"{"store":false}"#, true), (r#"{"store":true}"#, false), (r#"{"input":"hi"}"#, false)]
    {
        assert_eq!(inspect("openai-responses", body).forgotten, forgotten, "{body}");
    }
}
