//! Values that are cut over several texts.

use super::*;

#[track_caller]
fn check_split(texts: &[&str], wanted: &[&str]) {
    for (body, wanted) in chats(texts).iter().zip(chats(wanted)) {
        let (redacted, _) = redacted("openai-chat", body);
        assert_eq!(redacted, wanted, "{texts:?}");
    }
}

#[test]
fn a_value_cut_over_texts_is_found_and_stands_in_the_first() {
    for (texts, wanted) in [
        (&["write to ana.lo", "pez@example.com now"][..], &["write to [EMAIL]", " now"][..]),
        (&["write to ana.lopez@exam", "ple.com"], &["write to [EMAIL]", ""]),
        (&["write to ana.lopez@example.co", "m please"], &["write to [EMAIL]", " please"]),
        (&["write to ana.lo", "pez@ex", "ample.com now"], &["write to [EMAIL]", "", " now"]),
        (&["write to ana.lopez", "@example.com"], &["write to [EMAIL]", ""]),
        (&["my card: 4111 1111 ", "1111 1111"], &["my card: [CREDIT_CARD]", ""]),
        (&["my card: 4111 1111 11", "11 1111, ok"], &["my card: [CREDIT_CARD]", ", ok"]),
        (&["call +49 151 2345", "6789 today"], &["call [PHONE]", " today"]),
        (&["IBAN DE89 3704 0044 05", "32 0130 00"], &["IBAN [IBAN]", ""]),
        (&["IBAN D", "E89 3704 0044 0532 0130 00"], &["IBAN [IBAN]", ""]),
        (&["I am Anna Kow", "alska."], &["I am [PERSON]", "."]),
        (&["\"é\" ana.lo", "pez@example.com \"é\""], &["\"é\" [EMAIL]", " \"é\""]),
    ] {
        check_split(texts, wanted);
    }
}

#[test]
fn values_cut_over_the_texts_of_any_protocol_are_found() {
    let whole = "vak@example.com";
    for (name, body) in [
        ("json", r#"[{"text":"mail ana.no"},{"text":"vak@example.com"}]"#),
        ("json", r#"{"messages":[{"from":"u","text":"mail ana.no"},{"from":"u","text":"vak@example.com"}]}"#),
        ("json", r#"{"items":[{"id":1,"message":"mail ana.no"},{"id":2,"message":"vak@example.com"}]}"#),
        ("json", r#"{"a":{"lines":["mail ana.no","vak@example.com"]}}"#),
        ("text", r#"[{"text":"mail ana.no"},{"text":"vak@example.com"}]"#),
        ("rasa", r#"[{"sender":"a","message":"mail ana.no"},{"sender":"a","message":"vak@example.com"}]"#),
        ("openai-completions", r#"{"model":"m","input":["mail ana.no","vak@example.com"]}"#),
        ("gemini", r#"{"contents":{"parts":[{"text":"mail ana.no"},{"text":"vak@example.com"}]}}"#),
        ("mcp", r#"{"method":"tools/call","params":{"arguments":{"a":["mail ana.no","vak@example.com"]}}}"#),
        ("dialogflow-es", r#"{"queryParams":{"payload":{"h":[{"text":"mail ana.no"},{"text":"vak@example.com"}]}}}"#),
        (
            "bot-framework",
            r#"{"attachments":[{"content":{"body":[{"text":"mail ana.no"},{"text":"vak@example.com"}]}}]}"#,
        ),
        // In documents within strings too.
        ("json", r#"{"x":"[{\"text\":\"mail ana.no\"},{\"text\":\"vak@example.com\"}]"}"#),
        (
            "openai-chat",
            r#"{"messages":[{"function_call":{"arguments":"{\"a\":[\"mail ana.no\",\"vak@example.com\"]}"}}]}"#,
        ),
    ] {
        check(name, body, &body.replace("ana.no", "[EMAIL]").replace(whole, ""));
    }
    // Of two who speak none goes on from the other.
    let body = r#"{"messages":[{"from":"bot","text":"I am ana.no"},{"from":"u","text":"vak@example.com"}]}"#;
    check("json", body, &body.replace(whole, "[EMAIL]"));
}

#[test]
fn what_stands_on_one_side_of_a_border_is_not_joined() {
    for (texts, wanted) in [
        (&["my mail is ana@example.com", "please answer"][..], &["my mail is [EMAIL]", "please answer"][..]),
        (&["Please write to", "ana@example.com"], &["Please write to", "[EMAIL]"]),
        (&["my name is", "Anna Schmidt"], &["my name is", "[PERSON]"]),
        (&["Order 12", "34 boxes"], &["Order 12", "34 boxes"]),
        (&["in 2024", "Yes"], &["in 2024", "Yes"]),
        (&["ana@example.com", "bo@example.org"], &["[EMAIL]", "[EMAIL]"]),
        (&["My order is A17", "anna.kowalska@example.com"], &["My order is A17", "[EMAIL]"]),
        (&["Ref 42", "anna.kowalska@example.com"], &["Ref 42", "[EMAIL]"]),
        (&["I shop at Zalando", "anna.kowalska@example.com"], &["I shop at Zalando", "[EMAIL]"]),
        (&["I shop at Zalando.", "anna@example.com"], &["I shop at Zalando.", "[EMAIL]"]),
        (&["it is v2.0", "anna@example.com"], &["it is v2.0", "[EMAIL]"]),
        (&["anna@example.com", "42"], &["[EMAIL]", "42"]),
        (&["anna@example.com", "b"], &["[EMAIL]", "b"]),
        (&["+49 151 20000000", "42"], &["[PHONE]", "42"]),
    ] {
        check_split(texts, wanted);
    }
}

#[test]
fn nobody_goes_on_from_what_another_says() {
    for (name, marked) in [
        (
            "openai-chat",
            r#"{"messages":[{"role":"system","content":"You help at Za.la"},{"role":"user","content":"«ndo@example.com»"}]}"#,
        ),
        (
            "openai-chat",
            r#"{"messages":[{"role":"user","content":"anna.kow"},{"role":"assistant","content":"Please go on."},{"role":"user","content":"«alska@example.com»"}]}"#,
        ),
        (
            "openai-chat",
            r#"{"messages":[{"content":[{"type":"text","text":"ana.lo"}],"role":"assistant"},{"content":"«pez@example.com»","role":"user"}]}"#,
        ),
        ("openai-chat", r#"{"messages":[{"role":"user","content":"ana.lo","content":"«pez@example.com»"}]}"#),
        ("anthropic", r#"{"system":"You help at za.la","messages":[{"role":"user","content":"«ndo@example.com»"}]}"#),
        (
            "gemini",
            r#"{"systemInstruction":{"parts":[{"text":"You help at za.la"}]},"contents":[{"role":"user","parts":[{"text":"«ndo@example.com»"}]}]}"#,
        ),
        (
            "openai-responses",
            r#"{"input":[{"role":"developer","content":"You help at za.la"},{"role":"user","content":[{"type":"input_text","text":"«ndo@example.com»"}]}]}"#,
        ),
    ] {
        let start = marked.find('«').unwrap();
        let end = marked.find('»').unwrap() + '»'.len_utf8();
        check(name, marked, &[&marked[..start], "[EMAIL]", &marked[end..]].concat());
    }
}

proptest! {
    #[test]
    fn no_cut_hides_an_address(cuts in prop::collection::btree_set(1..40_usize, 1..4), in_front in "[a-z ]{0,3}") {
        let text = format!("{in_front} Mail me: «ana.lopez-42@mail.example.com», ok?");
        let plain = text.replace(['«', '»'], "");
        let mut texts = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().filter(|cut| *cut < plain.len()).chain([plain.len()]) {
            texts.push(&plain[from..cut]);
            from = cut;
        }
        for body in chats(&texts) {
            let (redacted, _) = redacted("openai-chat", &body);
            let found = inspect("openai-chat", &body);
            // Of a word in front and of a label too short for one some letters may stay.
            let longest = "lopez-42@mail.example";
            prop_assert!(found.each().count() > 0, "{body}");
            prop_assert!(!redacted.contains(longest), "{redacted}");
            serde_json::from_str::<serde_json::Value>(&redacted).unwrap();
        }
    }
}
