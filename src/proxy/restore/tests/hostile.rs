//! Replies that break off, and such as are made to cost much.

use super::*;
use crate::clock::thread_nanos;
use futures_util::StreamExt;
use http_body_util::StreamBody;
use serde_json::json;

/// What the client is sent, and whether it is told of an error.
async fn streamed(
    shape: Shape,
    limit: usize,
    frames: Vec<Result<&str, ReplyError>>,
    context: Context,
) -> (String, bool) {
    let frames: Vec<_> = frames
        .into_iter()
        .map(|frame| frame.map(|text| Frame::data(Bytes::copy_from_slice(text.as_bytes()))))
        .collect();
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let mut stream = Box::pin(stream(body, shape, limit, Duration::from_mins(1), context));
    let (mut out, mut failed) = (String::new(), false);
    while let Some(item) = stream.next().await {
        match item {
            Ok(bytes) => out.push_str(std::str::from_utf8(&bytes).unwrap()),
            Err(_) => failed = true,
        }
    }
    (out, failed)
}

#[tokio::test]
async fn of_a_stream_that_breaks_off_all_is_sent_that_was_decided() {
    let desk = Desk::new().await;
    let said = |text: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let (head, tail) = desk.email.split_at(6);
    let first = [said("so "), said(head), said(tail), said("see [EMAIL")].concat();
    let context = desk.context(protocol("openai-chat")).await;
    let want = [said("so "), said(EMAIL), said(""), said("see [EMAIL")].concat();
    let (sent, failed) =
        streamed(Shape::EventStream, 1 << 20, vec![Ok(&first), Err(ReplyError::Undecodable)], context).await;
    assert_eq!((sent, failed), (want.clone(), true));
    // One event that is too long takes none of those before it along.
    let context = desk.context(protocol("openai-chat")).await;
    let long = said(&"x".repeat(2000));
    let (sent, failed) = streamed(Shape::EventStream, 1000, vec![Ok(&first), Ok(&long)], context).await;
    assert_eq!((sent, failed), (want, true));
    // Half of a value of somebody else is not sent.
    for (pieces, sure) in [
        (["you may call ", "+49 30 9018"], "you may call "),
        (["it is card 4111 1111 ", "1111"], "it is card "),
        (["write to boris", "@exam"], "write to "),
    ] {
        let context = desk.redacting(protocol("json")).await;
        let frames = pieces.map(Ok).into_iter().chain([Err(ReplyError::Silent)]).collect();
        assert_eq!(streamed(Shape::Text(Escape::None), 1 << 20, frames, context).await, (sure.to_owned(), true));
    }
    let context = desk.redacting(protocol("json")).await;
    let document = "{\"card\": \"4111 1111 1111";
    let frames = vec![Ok(document), Err(ReplyError::Silent)];
    assert_eq!(streamed(Shape::Document, 1 << 20, frames, context).await, (String::new(), true));
}

/// In seconds, the time that this reply takes as a document and as an event.
async fn takes(reply: &str, context: &Context) -> f64 {
    let started = thread_nanos();
    let document = document::restore(Bytes::copy_from_slice(reply.as_bytes()), context).await;
    assert!(document.len() > reply.len() / 2);
    let event = format!("data: {reply}\n\n");
    let mut restorer = Restorer::new(Shape::EventStream, usize::MAX, context);
    let mut out = BytesMut::new();
    restorer.push(event.into(), usize::MAX, context, &mut out).await.unwrap();
    restorer.finish(context, &mut out).await;
    assert!(out.len() > reply.len() / 2);
    (thread_nanos() - started) as f64 / 1e9
}

/// A reply of so many parts.
type Reply<'a> = Box<dyn Fn(usize) -> String + 'a>;

#[tokio::test]
async fn time_is_linear_in_hostile_replies() {
    let desk = Desk::new().await;
    let token = &desk.email;
    // Of so many parts, so that each pair of them would be noticed.
    let many = |count: usize, part: &dyn Fn(usize) -> String| (0..count).map(part).collect::<Vec<_>>().join(",");
    let signed = |n| many(n, &|_| "{\"text\":\"x[\",\"thoughtSignature\":\"s\"}".to_owned());
    let cited = |n| {
        let texts = many(n, &|_| format!("{{\"text\":\"{token}\"}}"));
        let segments = many(n, &|at| format!("{{\"segment\":{{\"partIndex\":{at},\"startIndex\":1}}}}"));
        format!(
            "{{\"candidates\":[{{\"content\":{{\"parts\":[{texts}]}},\"groundingMetadata\":{{\"groundingSupports\":[{segments}]}}}}]}}"
        )
    };
    let annotated = |n| {
        let places = many(n, &|at| format!("{{\"start_index\":{at},\"end_index\":9}}"));
        let text = format!("{token} {}", "word ".repeat(n));
        format!("{{\"output\":[{{\"content\":[{{\"text\":\"{text}\",\"annotations\":[{places}]}}]}}]}}")
    };
    let choices = |n| {
        many(n, &|at| format!("{{\"index\":{at},\"delta\":{{\"content\":\"so [EM\"}},\"finish_reason\":\"stop\"}}"))
    };
    let replies: [(&str, Reply<'_>); 4] = [
        ("gemini", Box::new(move |n| format!("{{\"candidates\":[{{\"content\":{{\"parts\":[{}]}}}}]}}", signed(n)))),
        ("gemini", Box::new(cited)),
        ("openai-responses", Box::new(annotated)),
        ("openai-chat", Box::new(move |n| format!("{{\"choices\":[{}]}}", choices(n)))),
    ];
    for (name, reply) in &replies {
        let context = desk.context(protocol(name)).await;
        takes(&reply(100), &context).await;
        // Eight times as much; were it quadratic, 64 times. Others use the machine too.
        let mut ratios = Vec::new();
        while ratios.len() < 5 && ratios.iter().all(|ratio| *ratio > 24.0) {
            let (few, many) = (takes(&reply(2_000), &context).await, takes(&reply(16_000), &context).await);
            ratios.push(many / few);
        }
        assert!(ratios.last().is_some_and(|ratio| *ratio <= 24.0), "{name}: {ratios:?}");
    }
}

#[tokio::test]
async fn of_very_many_strings_each_is_looked_at() {
    let desk = Desk::new().await;
    let address = desk.subject.tokenize(&[("IP".parse().unwrap(), "192.0.2.7")]).await.unwrap()[0].to_string();
    // The shortest string that may hold anything.
    let bare = address.trim_matches(['[', ']']);
    let strings: Vec<&str> = [bare, "a", "", &address].into_iter().cycle().take(9000).collect();
    let context = desk.context(protocol("json")).await;
    assert_eq!(context.shortest(), bare.len());
    let reply = document::restore(json!(strings).to_string().into(), &context).await;
    let want: Vec<&str> = ["192.0.2.7", "a", "", "192.0.2.7"].into_iter().cycle().take(9000).collect();
    assert_eq!(reply, json!(want).to_string());
}

#[tokio::test]
async fn of_very_many_texts_each_is_whole() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("openai-chat")).await;
    let (head, tail) = desk.email.split_at(6);
    let event = |part: &str| {
        let choices: Vec<_> = (0..6000).map(|at| json!({"index": at, "delta": {"content": part}})).collect();
        format!("data: {}\n\n", json!({ "choices": choices }))
    };
    let mut restorer = Restorer::new(Shape::EventStream, usize::MAX, &context);
    let mut out = BytesMut::new();
    for part in [head, tail] {
        restorer.push(event(part).into(), usize::MAX, &context, &mut out).await.unwrap();
    }
    restorer.finish(&context, &mut out).await;
    let events = read(Shape::EventStream, std::str::from_utf8(&out).unwrap());
    let said = |at: usize| -> String {
        events.iter().map(|event| event["choices"][at]["delta"]["content"].as_str().unwrap()).collect()
    };
    assert_eq!((said(0), said(4000), said(5999)), (EMAIL.to_owned(), EMAIL.to_owned(), desk.email.clone()));
}
