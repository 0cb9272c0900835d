//! The main job: nothing personal reaches the chatbot, and the reply comes
//! back with it.

use crate::support::{Answer, Client, PATIENCE, Setup, Upstream, chat, chat_stream, streamed_text, tokens};
use serde_json::json;

const SAID: &str = "write to ana.lopez@example.com or bo@example.org, not to ana.lopez@example.com twice";

#[tokio::test]
async fn a_reply_comes_back_with_what_the_chatbot_never_saw() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).start();
    let reply = Client::new(&privet.gateway).chat(&chat(SAID), &[("privet-subject", "u1")]).await;
    assert_eq!(reply.says(), SAID);
    assert_eq!(reply.header("privet-redacted"), Some("email=3"));
    let seen = upstream.only();
    assert!(!seen.text().contains("example"), "{}", seen.text());
    let tokens = tokens(&seen.said());
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens[0], tokens[2], "one value has one token");
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn a_streamed_reply_comes_back_the_same() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).start();
    let reply = Client::new(&privet.gateway).chat(&chat_stream(SAID), &[]).await;
    assert_eq!(streamed_text(reply.text(), 0), SAID);
    assert!(!upstream.only().text().contains("example"));
}

#[tokio::test]
async fn a_token_cut_at_any_byte_is_restored_however_it_is_bent() {
    let value = "ana.lopez@example.com";
    let forms: Vec<fn(&str) -> String> = vec![
        |token| format!("[{token}]"),
        |token| format!("**[{token}]**"),
        |token| format!("`{token}`"),
        |token| token.to_lowercase(),
        |token| format!("\\[{}\\]", token.replace('_', "\\_")),
        |token| format!("[{}]", token.replace('_', "-")),
        |token| token.replace('_', " "),
        |token| format!("&#91;{}&#93;", token.replace('_', "&#95;")),
        |token| format!("[see]({token})"),
        |token| format!("[{}\u{200b}{}]", &token[..4], &token[4..]),
    ];
    for form in forms {
        let cut = move |said: &str| {
            let token = tokens(said)[0].trim_matches(['[', ']']).to_owned();
            format!("so: {} it is", form(&token))
        };
        let upstream = Upstream::start(move |request| {
            let text = cut(&request.said());
            let at: usize = request.headers["x-cut"].to_str().unwrap().parse().unwrap();
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let (head, tail) = text.split_at(at);
            let next = tail.chars().next().map_or(0, char::len_utf8);
            Answer::streams(&[head, &tail[..next], &tail[next..]])
        })
        .await;
        let privet = Setup::new(&upstream).start();
        let client = Client::new(&privet.gateway);
        let want = form("EMAIL_00000000");
        for at in 0..60 {
            let reply = client.chat(&chat_stream(value), &[("x-cut", &at.to_string())]).await;
            let text = streamed_text(reply.text(), 0);
            assert!(text.contains(value), "cut at {at}, like {want}: {text:?}");
            assert!(text.starts_with("so: ") && text.ends_with(" it is"), "{text:?}");
        }
    }
}

#[tokio::test]
async fn text_without_tokens_is_not_delayed() {
    // Each piece must be there before the chatbot says the next one.
    use http_body_util::BodyExt;
    use std::sync::Arc;
    use tokio::sync::Semaphore;
    let words = ["Hello", " there", ", this", " is", " nothing", " special."];
    let gate = Arc::new(Semaphore::new(1));
    let held = Arc::clone(&gate);
    let upstream = Upstream::start(move |_| Answer::streams(&words).gate(&held)).await;
    let privet = Setup::new(&upstream).start();
    let client = Client::new(&privet.gateway);
    let body = chat_stream("mail ana@example.com").to_string();
    let headers = [("content-type", "application/json"), ("privet-consent", "support")];
    let mut reply = client.open("POST", "/v1/chat/completions", &headers, body).await.into_body();
    // Who speaks is told first.
    reply.frame().await.unwrap().unwrap();
    for word in words {
        gate.add_permits(1);
        let frame = tokio::time::timeout(PATIENCE, reply.frame()).await.expect("the word is held back");
        let data = frame.unwrap().unwrap().into_data().unwrap();
        assert!(String::from_utf8(data.to_vec()).unwrap().contains(&format!("\"{word}\"")), "{word}");
    }
}

#[tokio::test]
async fn bytes_outside_findings_reach_the_chatbot_unchanged() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).start();
    let client = Client::new(&privet.gateway);
    let odd = "{ \"b\" : 1.50e+3 ,\t\"a\":[ ],\"a\":{}, \"s\":\"\\u00e9\\/ \\ud83d\\ude00\",\r\n \"n\": 12345678901234567890 }";
    let headers = [("content-type", "application/json"), ("privet-consent", "support")];
    client.send("POST", "/v1/chat/completions", &headers, odd).await;
    assert_eq!(upstream.last().text(), odd);
    let with = odd.replace("\\/ ", "\\/ \\u0061na@example.com ");
    client.send("POST", "/v1/chat/completions", &headers, with).await;
    let seen = upstream.last();
    let token = &tokens(seen.text())[0];
    assert_eq!(seen.text(), odd.replace("\\/ ", &format!("\\/ {token} ")));
}

#[tokio::test]
async fn tool_calls_stay_json_and_choices_apart() {
    let upstream = Upstream::start(|request| {
        let token = &tokens(&request.said())[0];
        let (head, tail) = token.split_at(6);
        let call = |arguments: &str| json!({"choices": [{"index": 1, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}}]});
        let says = |index: u32, text: &str| json!({"choices": [{"delta": {"content": text}, "index": index}]});
        let events = [
            says(0, head),
            call(&format!("{{\"to\":\"{head}")),
            says(1, "one "),
            says(0, tail),
            call(&format!("{tail}\",\"n\":1}}")),
            json!({"choices": [{"index": 1, "delta": {}, "finish_reason": "tool_calls"}]}),
            says(0, " and email"),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        ];
        let mut body: Vec<_> = events.iter().map(|event| format!("data: {event}\n\n").into()).collect();
        body.push("data: [DONE]\n\n".into());
        Answer::new("text/event-stream", body)
    })
    .await;
    let privet = Setup::new(&upstream).toml("[subject]\nfrom = [\"header:x-user\"]\n").start();
    let client = Client::new(&privet.gateway);
    let reply = client.chat(&chat_stream("ana@example.com"), &[("x-user", "q")]).await;
    assert_eq!(streamed_text(reply.text(), 0), "ana@example.com and email", "{}", reply.text());
    assert_eq!(streamed_text(reply.text(), 1), "one ");
    let arguments: String = crate::support::events(reply.text())
        .iter()
        .filter_map(|e| e["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&arguments).unwrap()["to"], "ana@example.com");
    // What was held back comes before the end of its choice.
    let finish = reply.text().find("\"stop\"").unwrap();
    assert!(reply.text().find("email\"").unwrap() < finish, "{}", reply.text());
}

#[tokio::test]
async fn a_held_text_outlasts_any_number_of_others() {
    let upstream = Upstream::start(|request| {
        let token = &tokens(&request.said())[0];
        let (head, tail) = token.split_at(6);
        let says = |index: u32, text: &str| json!({"choices": [{"index": index, "delta": {"content": text}}]});
        let others = (1..2000).map(|index| says(index, "so "));
        let all = std::iter::once(says(0, head)).chain(others).chain([says(0, tail), says(1999, "it is")]);
        let mut body: Vec<_> = all.map(|event| format!("data: {event}\n\n").into()).collect();
        body.push("data: [DONE]\n\n".into());
        Answer::new("text/event-stream", body)
    })
    .await;
    let privet = Setup::new(&upstream).start();
    let reply = Client::new(&privet.gateway).chat(&chat_stream("ana@example.com"), &[]).await;
    assert_eq!(streamed_text(reply.text(), 0), "ana@example.com");
    assert_eq!(streamed_text(reply.text(), 1999), "so it is");
}
