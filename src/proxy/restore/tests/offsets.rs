//! Numbers that tell places in texts.

use super::*;
use serde_json::json;

/// The part of a text from one character to another.
fn part(text: &str, from: &Value, to: &Value) -> String {
    let place = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    text.chars().skip(place(from)).take(place(to) - place(from)).collect()
}

#[tokio::test]
async fn citations_move_with_the_text() {
    let desk = Desk::new().await;
    let text = format!("é {} see here, {} and there.", desk.email, desk.email);
    let from = text.find("see here").unwrap() - 1;
    let citation =
        json!({"type": "url_citation", "start_index": from, "end_index": from + 8, "url": "https://example.org"});
    let context = desk.context(protocol("openai-responses")).await;
    let part_of = json!({"type": "output_text", "annotations": [citation], "text": text});
    // In a document, before the text or behind it.
    let document = json!({"output": [{"content": [{"text": "x"}, part_of]}]}).to_string();
    let reply: Value = serde_json::from_slice(&document::restore(document.into(), &context).await).unwrap();
    let part_back = &reply["output"][0]["content"][1];
    let moved = &part_back["annotations"][0];
    assert_eq!(part(part_back["text"].as_str().unwrap(), &moved["start_index"], &moved["end_index"]), "see here");
    let document = json!({"data": [{"type": "message", "content": [part_of]}]}).to_string();
    let reply: Value = serde_json::from_slice(&document::restore(document.into(), &context).await).unwrap();
    assert_eq!(reply["data"][0]["content"][0], *part_back);
    // In a stream: in what was said so far, and in what is said again.
    let delta = |text: &str| json!({"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": text});
    let (head, tail) = text.split_at(9);
    let added = json!({"type": "response.output_text.annotation.added", "item_id": "m", "output_index": 0, "content_index": 0, "annotation": citation});
    let done = json!({"type": "response.content_part.done", "item_id": "m", "output_index": 0, "content_index": 0, "part": part_of});
    let stream = written(Shape::EventStream, &[delta(head), delta(tail), added, done]);
    let events = read(Shape::EventStream, &whole(Shape::EventStream, &stream, &context).await);
    assert_eq!(events[2]["annotation"], *moved);
    assert_eq!(events[3]["part"], *part_back);
}

#[tokio::test]
async fn a_chat_cites_what_it_said() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("openai-chat")).await;
    let text = format!("{} see here", desk.email);
    let from = text.find("see").unwrap();
    let citation =
        json!({"type": "url_citation", "url_citation": {"start_index": from, "end_index": from + 3, "title": "t"}});
    let chunk = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
    let (head, tail) = text.split_at(9);
    let stream =
        [chunk(json!({"content": head})), chunk(json!({"content": tail})), chunk(json!({"annotations": [citation]}))];
    let events =
        read(Shape::EventStream, &whole(Shape::EventStream, &written(Shape::EventStream, &stream), &context).await);
    let moved = &events[2]["choices"][0]["delta"]["annotations"][0]["url_citation"];
    assert_eq!(part(&format!("{EMAIL} see here"), &moved["start_index"], &moved["end_index"]), "see");
}

#[tokio::test]
async fn bytes_are_counted_where_bytes_are_meant() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("gemini")).await;
    let text = format!("éé {} see here", desk.email);
    let from = text.find("see").unwrap();
    let support = json!({"segment": {"startIndex": from, "endIndex": from + 3, "text": "see"}});
    let candidate = |parts: Value| {
        json!({"candidates": [{"content": {"parts": parts}, "groundingMetadata": {"groundingSupports": [support]}}]})
            .to_string()
    };
    let segment = async |document: String| {
        let reply: Value = serde_json::from_slice(&document::restore(document.into(), &context).await).unwrap();
        reply["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"].clone()
    };
    let moved = segment(candidate(json!([{"text": text}]))).await;
    let place = |name: &str| usize::try_from(moved[name].as_u64().unwrap()).unwrap();
    assert_eq!(&format!("éé {EMAIL} see here")[place("startIndex")..place("endIndex")], "see");
    // Of several texts a number says in which it counts.
    let support =
        |part: u64, from: usize| json!({"segment": {"partIndex": part, "startIndex": from, "endIndex": from + 3}});
    let parts = json!([{"text": "hm", "thought": true}, {"text": text}, {"text": format!("{} see", desk.email)}]);
    let supports = [support(0, 1), support(1, from), support(2, desk.email.len() + 1)];
    let document =
        json!({"candidates": [{"content": {"parts": parts}, "groundingMetadata": {"groundingSupports": supports}}]});
    let reply: Value = serde_json::from_slice(&document::restore(document.to_string().into(), &context).await).unwrap();
    let grounding = &reply["candidates"][0]["groundingMetadata"]["groundingSupports"];
    assert_eq!(grounding[0]["segment"], support(0, 1)["segment"]);
    for (nth, part) in [(1, 1), (2, 2)] {
        let text = reply["candidates"][0]["content"]["parts"][part]["text"].as_str().unwrap();
        let place = |name: &str| usize::try_from(grounding[nth]["segment"][name].as_u64().unwrap()).unwrap();
        assert_eq!(&text[place("startIndex")..place("endIndex")], "see");
    }
    // In which of two texts it counts is not known; where nothing changed it does not matter.
    let unknown = segment(candidate(json!([{"text": text}, {"text": "more"}]))).await;
    assert_eq!((&unknown["startIndex"], &unknown["endIndex"]), (&Value::Null, &Value::Null));
    assert_eq!(segment(candidate(json!([{"text": "a"}, {"text": "b"}]))).await["startIndex"], from);
}

#[tokio::test]
async fn places_in_a_text_that_is_not_there_are_dropped() {
    let desk = Desk::new().await;
    let citation = json!({"type": "char_location", "cited_text": desk.email, "start_char_index": 4, "end_char_index": 9, "document_index": 0});
    let document = json!({"content": [{"type": "text", "text": "x", "citations": [citation]}]}).to_string();
    let back = async |context: Context| -> Value {
        serde_json::from_slice(&document::restore(document.clone().into(), &context).await).unwrap()
    };
    let cited = &back(desk.context(protocol("anthropic")).await).await["content"][0]["citations"][0];
    assert_eq!((&cited["start_char_index"], &cited["end_char_index"]), (&Value::Null, &Value::Null));
    assert_eq!((&cited["document_index"], &cited["cited_text"]), (&json!(0), &json!(EMAIL)));
    for place in ["content_block", "message/content", "result/message/content"] {
        let mut nested = json!([{"type": "text", "text": "x", "citations": [citation]}]);
        for step in place.rsplit('/') {
            nested = json!({ step: if step == "content_block" { nested[0].clone() } else { nested } });
        }
        let context = desk.context(protocol("anthropic")).await;
        let reply = document::restore(nested.to_string().into(), &context).await;
        assert!(String::from_utf8(reply.to_vec()).unwrap().contains("\"start_char_index\":null"), "{place}");
    }
    // Of a caller without tokens the model saw the document as it was.
    let context = Context { kinds: Arc::default(), ..desk.context(protocol("anthropic")).await };
    assert_eq!(back(context).await["content"][0]["citations"][0]["start_char_index"], 4);
}

#[tokio::test]
async fn padding_hides_the_length_of_what_is_sent() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("openai-chat")).await;
    let event = json!({"choices": [{"index": 0, "delta": {"content": desk.email}}], "obfuscation": "aB3x"});
    let stream = written(Shape::EventStream, &[event]);
    let back = &read(Shape::EventStream, &whole(Shape::EventStream, &stream, &context).await)[0];
    let padding = back["obfuscation"].as_str().unwrap();
    assert_eq!((EMAIL.len() + padding.len()) % (desk.email.len() + 4), 0);
    assert!(padding.starts_with("aB3x"), "{padding}");
    // A text that stays keeps its own.
    let event = json!({"choices": [{"index": 0, "delta": {"content": "hello"}}], "obfuscation": "aB3x"});
    let stream = written(Shape::EventStream, &[event]);
    assert_eq!(whole(Shape::EventStream, &stream, &context).await, stream);
}
