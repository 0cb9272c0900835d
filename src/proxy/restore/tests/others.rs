//! Data of others that the model brings up, and the caller's own beside it.

use super::streams::heard;
use super::*;
use proptest::prelude::*;
use serde_json::json;

/// The text in which data of others is replaced, given in these pieces.
async fn screened(pieces: &[&str], context: &Context) -> String {
    let chunks: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
    restored(Shape::Text(Escape::None), &chunks, context).await
}

#[tokio::test]
async fn data_of_others_is_replaced_and_the_callers_own_comes_back() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("json")).await;
    let text = format!("You are {}. Ask boris@example.org, card 4111 1111 1111 1111.", desk.email);
    let want = format!("You are {EMAIL}. Ask [EMAIL], card [CREDIT_CARD].");
    assert_eq!(screened(&[&text], &context).await, want);
    assert_eq!(desk.found_in_replies(), 2);
    let only = desk.context(protocol("json")).await;
    assert_eq!(screened(&[&text], &only).await, text.replace(&desk.email, EMAIL));
    // In documents, and in events.
    let document = json!({"a": {"boris@example.org": [text]}, "n": 1}).to_string();
    let reply = document::restore(document.into(), &context).await;
    assert_eq!(reply, json!({"a": {"[EMAIL]": [want]}, "n": 1}).to_string());
}

#[tokio::test]
async fn somebody_without_tokens_gets_no_data_of_others_either() {
    let desk = Desk::new().await;
    let context = Context { subject: None, kinds: Arc::default(), ..desk.redacting(protocol("json")).await };
    assert_eq!(screened(&["Ask boris@example.org."], &context).await, "Ask [EMAIL].");
}

#[tokio::test]
async fn a_value_is_found_wherever_it_is_cut() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("openai-chat")).await;
    let before = "A word or two before it. ".repeat(20);
    let text = format!("{before}Write to boris.becker@example.org or call +49 30 901820 now. {before}");
    let want = screened(&[&text], &context).await;
    assert!(want.contains("[EMAIL]") && want.contains("[PHONE]") && !want.contains("901820"), "{want}");
    assert!(want.starts_with(&before) && want.ends_with(&before), "{want}");
    for cut in 0..=text.len() {
        let (head, tail) = text.split_at(cut);
        assert_eq!(screened(&[head, tail], &context).await, want, "cut at {cut}");
    }
    let bytes: Vec<&str> = text.split_inclusive("").collect();
    assert_eq!(screened(&bytes, &context).await, want);
    // In events each piece stays in its own.
    for size in [1, 3, 7, 50, 1000] {
        let chars: Vec<char> = text.chars().collect();
        let events: Vec<Value> = (chars.chunks(size).map(String::from_iter))
            .map(|piece| json!({"choices": [{"index": 0, "delta": {"content": piece}}]}))
            .collect();
        let stream = written(Shape::EventStream, &events);
        let reply = read(Shape::EventStream, &whole(Shape::EventStream, &stream, &context).await);
        assert_eq!(reply.len(), events.len());
        let said: String =
            reply.iter().map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap()).collect();
        assert_eq!(said, want, "in pieces of {size}");
    }
}

#[tokio::test]
async fn a_value_of_many_words_is_found_at_every_place_of_a_text() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("json")).await;
    let value = "+49 30 901820, DE89 3704 0044 0532 0130 00 or 4111 1111 1111 1111";
    for words in 0..90 {
        let text = format!("{}Call {value}. {}", "so ".repeat(words), "and so on ".repeat(20));
        let want = text.replace(value, "[PHONE], [IBAN] or [CREDIT_CARD]");
        assert_eq!(screened(&[&text], &context).await, want, "behind {words} words");
    }
}

#[tokio::test]
async fn what_is_held_is_bounded() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("json")).await;
    let mut restorer = Restorer::new(Shape::Text(Escape::None), 1 << 20, &context);
    let (mut out, mut came, mut most) = (BytesMut::new(), 0, 0);
    let text = "The train leaves at noon, and all is well. ".repeat(200);
    for word in text.split_inclusive(' ') {
        restorer.push(Bytes::copy_from_slice(word.as_bytes()), 1 << 20, &context, &mut out).await.unwrap();
        came += word.len();
        most = most.max(came - out.len());
    }
    assert!(most <= 160, "{most} bytes were held");
    // One word without an end, and scripts that part no words.
    for (text, bound) in [("x".repeat(100_000), 8192), ("你好世界。".repeat(2000), 200)] {
        let mut restorer = Restorer::new(Shape::Text(Escape::None), 1 << 20, &context);
        let mut out = BytesMut::new();
        restorer.push(text.clone().into(), 1 << 20, &context, &mut out).await.unwrap();
        assert!(text.len() - out.len() <= bound, "{} of {} bytes were held", text.len() - out.len(), text.len());
        restorer.finish(&context, &mut out).await;
        assert_eq!(out, text);
    }
}

#[tokio::test]
async fn a_key_of_many_lines_is_found_as_a_whole() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("json")).await;
    let lines = format!("{}\n", "EXAMPLE+".repeat(8)).repeat(20);
    let key = format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----");
    let reply = screened(&[&format!("Your key:\n\n{key}\n\nKeep it well, and tell it nobody.")], &context).await;
    assert_eq!(reply, "Your key:\n\n[SECRET]\n\nKeep it well, and tell it nobody.");
}

#[tokio::test]
async fn a_number_becomes_a_string() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("openai-chat")).await;
    let call = "{\"card\": 4111111111111111, \"by\": \"a \\\\\", \"to\": \"boris@example.org\", \"n\": 3}";
    let document = json!({"card": 4_111_111_111_111_111_u64, "n": 41, "choices": [{"message": {"tool_calls": [{"function": {"arguments": call}}]}}]});
    let reply: Value = serde_json::from_slice(&document::restore(document.to_string().into(), &context).await).unwrap();
    assert_eq!((&reply["card"], &reply["n"]), (&json!("[CREDIT_CARD]"), &json!(41)));
    let arguments = |reply: &Value, at: &str| reply.pointer(at).unwrap().as_str().unwrap().to_owned();
    let want = json!({"card": "[CREDIT_CARD]", "by": "a \\", "to": "[EMAIL]", "n": 3});
    let called = arguments(&reply, "/choices/0/message/tool_calls/0/function/arguments");
    assert_eq!(serde_json::from_str::<Value>(&called).unwrap(), want);
    for size in [1, 2, 5, 9] {
        let pieces: Vec<String> =
            call.as_bytes().chunks(size).map(|piece| String::from_utf8(piece.to_vec()).unwrap()).collect();
        let event = |piece: &String| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}]});
        let stream = written(Shape::EventStream, &pieces.iter().map(event).collect::<Vec<_>>());
        let events = read(Shape::EventStream, &whole(Shape::EventStream, &stream, &context).await);
        let place = "/choices/0/delta/tool_calls/0/function/arguments";
        let called: String = events.iter().map(|event| arguments(event, place)).collect();
        assert_eq!(serde_json::from_str::<Value>(&called).unwrap(), want, "in pieces of {size}");
    }
}

#[tokio::test]
async fn times_and_counts_are_no_phones() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("json")).await;
    let document =
        json!({"at": 1_767_225_600, "ms": 1_767_225_600_123_u64, "ns": 4_709_213_000_u64, "n": 12_345_678}).to_string();
    assert_eq!(document::restore(document.clone().into(), &context).await, document);
}

#[tokio::test]
async fn in_a_time_the_callers_own_comes_back() {
    let desk = Desk::new().await;
    let (card, digits) = ("4111 1111 1111 1111", 4_111_111_111_111_111_u64);
    let document = json!({"time": desk.email, "a": {"timestamp": digits, "created_at": digits.to_string(), "ts": card}, "n": digits});
    let want = json!({"time": EMAIL, "a": {"timestamp": digits, "created_at": digits.to_string(), "ts": "[CREDIT_CARD]"}, "n": "[CREDIT_CARD]"});
    let context = desk.redacting(protocol("json")).await;
    assert_eq!(document::restore(document.to_string().into(), &context).await, want.to_string());
}

#[tokio::test]
async fn texts_that_take_turns_give_out_no_halves() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("openai-chat")).await;
    let chunk =
        |index: u64, delta: Value| format!("data: {}\n\n", json!({"choices": [{"index": index, "delta": delta}]}));
    let turns = [
        json!({"content": "write to peter.mil"}),
        json!({"reasoning_content": "hm"}),
        json!({"content": "ler@corp.example, card 4111 1111 "}),
        json!({"reasoning_content": "so"}),
        json!({"content": "1111 1111."}),
    ];
    let stream: String = turns.into_iter().map(|delta| chunk(0, delta)).collect();
    let reply = whole(Shape::EventStream, &stream, &context).await;
    let said = heard(&read(Shape::EventStream, &reply), "/choices/0/delta/content");
    assert_eq!(said, "write to [EMAIL], card [CREDIT_CARD].");
}

/// What comes of these pieces with a pause behind each: at once, and at the end.
async fn with_pauses(pieces: &[&str], context: &Context) -> (String, String) {
    let mut restorer = Restorer::new(Shape::Text(Escape::None), 1 << 20, context);
    let mut out = BytesMut::new();
    for piece in pieces {
        restorer.push(Bytes::copy_from_slice(piece.as_bytes()), 1 << 20, context, &mut out).await.unwrap();
        restorer.pause(Pause::Silence, context, &mut out).await;
    }
    let at_once = String::from_utf8(out.to_vec()).unwrap();
    restorer.finish(context, &mut out).await;
    (at_once, String::from_utf8(out.to_vec()).unwrap())
}

#[tokio::test]
async fn a_pause_gives_out_no_half_of_a_value() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("json")).await;
    for (pieces, at_once, said) in [
        (&["write to peter.mil"][..], "write to ", "write to peter.mil"),
        (&["write to peter.mil", "ler@corp.example or"], "write to [EMAIL] or", "write to [EMAIL] or"),
        (&["card 4111 1111 "], "card ", "card 4111 1111 "),
        (&["card 4111 1111 ", "1111 1111 "], "card [CREDIT_CARD] ", "card [CREDIT_CARD] "),
        (&["See you at 5.", " Or at 12:30"], "See you at 5. Or at 12:30", "See you at 5. Or at 12:30"),
        (&["Tell me your email"], "Tell me your email", "Tell me your email"),
        (&["Ask boris@example.org", " now"], "Ask [EMAIL] now", "Ask [EMAIL] now"),
    ] {
        assert_eq!(with_pauses(pieces, &context).await, (at_once.to_owned(), said.to_owned()), "{pieces:?}");
    }
    // What goes on behind a finding is replaced with it.
    let (_, said) = with_pauses(&["Ask boris@example.com", "pany.org now"], &context).await;
    assert_eq!(said, "Ask [EMAIL][EMAIL] now");
    // What follows may be another message.
    let (_, said) = with_pauses(&["Hello", "boris@example.org"], &context).await;
    assert!(!said.contains("boris"), "{said}");
}

#[tokio::test]
async fn a_text_in_pieces_gives_out_no_start_of_a_value_at_the_first_breath() {
    let desk = Desk::new().await;
    let context = desk.redacting(protocol("json")).await;
    for (text, certain, said) in [
        ("so write to boris@example.org.", "so write to ", "so write to [EMAIL]."),
        ("they call +49 30 901820 ok", "they call ", "they call [PHONE] ok"),
        ("it is 4111 1111 1111 1111", "it is ", "it is [CREDIT_CARD]"),
        ("please ask Boris Becker", "please ask ", "please ask [PERSON]"),
        ("all is well. ", "all is well. ", "all is well. "),
        ("all is well", "all is ", "all is well"),
        ("说你好吧", "", "说你好吧"),
    ] {
        // Whatever has come of it by then.
        for end in text.char_indices().map(|(at, _)| at).skip(2).chain([text.len()]) {
            let mut restorer = Restorer::new(Shape::Text(Escape::None), 1 << 20, &context);
            let mut out = BytesMut::new();
            let first = text.ceil_char_boundary(1);
            for piece in [&text[..first], &text[first..end]].map(|piece| Bytes::copy_from_slice(piece.as_bytes())) {
                restorer.push(piece, 1 << 20, &context, &mut out).await.unwrap();
            }
            restorer.pause(Pause::Breath, &context, &mut out).await;
            let at_once = String::from_utf8(out.to_vec()).unwrap();
            assert!(certain.starts_with(&at_once) || said.starts_with(&at_once), "{text:?} up to {end}: {at_once:?}");
            assert!(at_once.len() <= certain.len() || end == text.len() || at_once.contains('['), "{at_once:?}");
            restorer.push(text[end..].to_owned().into(), 1 << 20, &context, &mut out).await.unwrap();
            restorer.finish(&context, &mut out).await;
            assert_eq!(out, said, "up to {end}");
        }
    }
    // The second time all goes that is hardly a part of anything.
    let mut restorer = Restorer::new(Shape::Text(Escape::None), 1 << 20, &context);
    let mut out = BytesMut::new();
    for piece in ["see you at ", "5"] {
        restorer.push(piece.into(), 1 << 20, &context, &mut out).await.unwrap();
    }
    restorer.pause(Pause::Breath, &context, &mut out).await;
    assert_eq!(out, "see you at ");
    restorer.pause(Pause::Silence, &context, &mut out).await;
    assert_eq!(out, "see you at 5");
}

#[tokio::test]
async fn a_message_that_comes_alone_is_looked_at_alone() {
    let desk = Desk::new().await;
    let mut messages = Messages::new(desk.redacting(protocol("json")).await);
    for _ in 0..3 {
        let said = messages.restore("{\"text\":\"Ask boris@example.org\"}").await;
        assert_eq!(said, ["{\"text\":\"Ask [EMAIL]\"}"]);
    }
    // A stream that falls silent lets go what it held.
    let context = desk.redacting(protocol("json")).await;
    let mut restorer = Restorer::new(Shape::EventStream, 1 << 20, &context);
    let mut out = BytesMut::new();
    restorer.push("data: {\"text\":\"Ask boris@example.org\"}\n\n".into(), 1 << 20, &context, &mut out).await.unwrap();
    assert_eq!(out, "");
    restorer.pause(Pause::Silence, &context, &mut out).await;
    assert_eq!(out, "data: {\"text\":\"Ask [EMAIL]\"}\n\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_cut_changes_what_is_replaced(
        words in prop::collection::vec(prop::sample::select(vec![
            "boris@example.org", "Boris", "Becker", "and", "the", "+49 30 901820", "4111 1111 1111 1111", "é", "@@",
            "\n", "12", "Main Street", "[EMAIL", "192.0.2.7", "hello.", "日本語", "https://example.org/?mail=b@example.org", "-", "x\u{1f600}y",
        ]), 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let desk = Desk::new().await;
            let context = desk.redacting(protocol("json")).await;
            let text = words.join(" ").replace("@@", &desk.email);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let want = screened(&[&text], &context).await;
            assert_eq!(screened(&pieces, &context).await, want);
            assert!(!want.contains("boris@example.org") && !want.contains(&desk.email));
            assert_eq!(want.matches(EMAIL).count(), text.matches(&desk.email).count());
        });
    }
}
