//! Personal data that is spelled or cut so that it does not stand in the bytes
//! of a request as it is read: by markup, by escapes of other notations, over
//! messages, lines, fields and arguments.

use crate::support::{CONSENT, Dialogue};

/// What the chatbot got of a body of this type, its token as `@`; and the
/// header that counts.
async fn sent(dialogue: &Dialogue, path: &str, content_type: &str, body: &str) -> (String, Option<String>) {
    let headers = [CONSENT, ("privet-subject", "u1"), ("content-type", content_type)];
    let reply = dialogue.client.send("POST", path, &headers, body.to_owned()).await;
    assert_eq!(reply.status, 200, "{content_type} {body}: {}", reply.text());
    let seen = dialogue.upstream.last().text().to_owned();
    let seen = without_tokens(&seen);
    (seen, reply.header("privet-redacted").map(str::to_owned))
}

fn without_tokens(text: &str) -> String {
    let token = regex::Regex::new("(\\[|%5B)EMAIL_[0-9A-Z]{8}(\\]|%5D)").unwrap();
    token.replace_all(text, "@").into_owned()
}

#[tokio::test]
async fn markup_and_escapes_hide_nothing() {
    let dialogue = Dialogue::new("").await;
    let json = |text: &str| serde_json::json!({"text": text}).to_string();
    for (text, want) in [
        ("to ana.lopez<wbr>@example.com", "to @<wbr>"),
        ("to ana.lopez@<b>example</b>.com", "to @<b></b>"),
        ("to ana.<!-- x -->lopez@example.com", "to @<!-- x -->"),
        ("to ana.lopez<![CDATA[@example]]>.com", "to @<![CDATA[]]>"),
        (
            "<text><tspan>ana.lopez</tspan><tspan>@example.com</tspan></text>",
            "<text><tspan>@</tspan><tspan></tspan></text>",
        ),
        ("to ana.lopez&#8203;@example.com", "to @"),
        ("to ana.lopez&#64example.com", "to @"),
        ("to ana\\.lopez\\@example\\.com", "to @"),
    ] {
        for content_type in ["text/html", "application/xml", "image/svg+xml", "text/plain", "text/markdown"] {
            let one = Some("email=1".to_owned());
            assert_eq!(sent(&dialogue, "/", content_type, text).await, (want.to_owned(), one), "{content_type}");
        }
        let one = Some("email=1".to_owned());
        assert_eq!(sent(&dialogue, "/", "application/json", &json(text)).await, (json(want), one));
    }
}

#[tokio::test]
async fn what_is_cut_by_markup_comes_back() {
    let dialogue = Dialogue::new("").await;
    dialogue.answers_with(|token| crate::support::Answer::says(&format!("to {token}")));
    let reply = dialogue.ask("/", "{\"text\":\"to ana.lopez@<b>example</b>.com\"}").await;
    assert_eq!(reply.says(), "to ana.lopez@example.com");
}

#[tokio::test]
async fn values_cut_over_lines_fields_and_arguments_are_found() {
    let dialogue = Dialogue::new("").await;
    let form = "application/x-www-form-urlencoded";
    for (path, content_type, body, want) in [
        (
            "/bot",
            "application/x-ndjson",
            "{\"text\":\"to ana.no\"}\n{\"text\":\"vak@example.com\"}\n",
            "{\"text\":\"to @\"}\n{\"text\":\"\"}\n",
        ),
        ("/bot", "application/jsonl", "\"to ana.no\"\n\"vak@example.com, ok\"", "\"to @\"\n\", ok\""),
        (
            "/bot",
            "application/json",
            "[{\"id\":1,\"text\":\"to ana.no\"},{\"id\":2,\"text\":\"vak@example.com\"}]",
            "[{\"id\":1,\"text\":\"to @\"},{\"id\":2,\"text\":\"\"}]",
        ),
        ("/bot", form, "text=to+ana.no&text=vak%40example.com", "text=to+@&text="),
        (
            "/socket.io/?EIO=4&transport=polling&sid=x",
            "text/plain",
            "42[\"user_uttered\",\"to ana.no\",\"vak@example.com\"]",
            "42[\"user_uttered\",\"to @\",\"\"]",
        ),
    ] {
        let one = Some("email=1".to_owned());
        assert_eq!(sent(&dialogue, path, content_type, body).await, (want.to_owned(), one), "{content_type}");
    }
}

#[tokio::test]
async fn texts_in_base64_are_read_wherever_they_stand() {
    use base64::Engine as _;
    let (plain, safe) = (base64::engine::general_purpose::STANDARD, base64::engine::general_purpose::URL_SAFE_NO_PAD);
    let said = "{\"user\":\"ana.lopez@example.com\",\"x\":\"??>>\"}";
    let dialogue = Dialogue::new("").await;
    let cookie = format!("a=1; user={}", safe.encode(said));
    let headers = [CONSENT, ("privet-subject", "u1"), ("x-userinfo", &plain.encode(said)), ("cookie", &cookie)];
    let target = format!("/?d={}&e=1", plain.encode(said).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"));
    let body = serde_json::json!({"text": format!("please decode {} for me", plain.encode(said))});
    let reply = dialogue.client.send("POST", &target, &headers, body.to_string()).await;
    assert_eq!(reply.header("privet-redacted"), Some("email=4"), "{}", reply.text());
    let seen = dialogue.upstream.last();
    let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
    let query = seen.target.strip_prefix("/?d=").unwrap().strip_suffix("&e=1").unwrap();
    let query = percent_encoding::percent_decode_str(query).decode_utf8().unwrap().into_owned();
    let text = seen.json()["text"].as_str().unwrap().to_owned();
    let in_text = text.strip_prefix("please decode ").unwrap().strip_suffix(" for me").unwrap();
    for (where_, written) in [
        ("header", header("x-userinfo")),
        ("query", query),
        ("text", in_text.to_owned()),
        ("cookie", header("cookie").strip_prefix("a=1; user=").unwrap().to_owned()),
    ] {
        let bytes = if where_ == "cookie" { safe.decode(&written) } else { plain.decode(&written) };
        let got = String::from_utf8(bytes.unwrap_or_else(|error| panic!("{where_}: {error} {written}"))).unwrap();
        assert_eq!(without_tokens(&got), said.replace("ana.lopez@example.com", "@"), "{where_}");
    }
}

#[tokio::test]
async fn encoded_words_and_quoted_pairs_of_headers_are_read() {
    let dialogue = Dialogue::new("").await;
    for (name, value, want) in [
        ("x-from", "=?utf-8?B?YW5hLmxvcGV6QGV4YW1wbGUuY29t?=", "@"),
        ("x-from", "=?utf-8?Q?ana=2Elopez?= =?utf-8?Q?=40example.com?= x", "@ x"),
        ("x-data", "\"ana\\.lopez\\@example.com\"", "\"@\""),
        (
            "content-disposition",
            "attachment; filename*=UTF-8'en'of%20ana.lopez%40example.com",
            "attachment; filename*=UTF-8'en'of%20@",
        ),
    ] {
        let headers = [CONSENT, ("content-type", "text/plain"), (name, value)];
        assert_eq!(dialogue.client.send("POST", "/", &headers, "hi").await.status, 200);
        let seen = dialogue.upstream.last();
        let seen = seen.headers[name].to_str().unwrap().to_owned();
        assert_eq!(without_tokens(&seen), want, "{name}: {value}");
    }
}

#[tokio::test]
async fn what_only_looks_like_it_stays_byte_for_byte() {
    let dialogue = Dialogue::new("").await;
    for text in [
        "<p>See <b>part</b> &#167;4 &amp; \\_all\\_ of a\\nb</p>",
        "if a < b && c > d { print(\"\\x41\\u0042\\t\") }",
        "<?xml version=\"1.0\"?><!DOCTYPE m><m><![CDATA[<x> & y]]></m>",
        "=?utf-8?Q?nothing=20here?= and =?",
        "C:\\new\\test\\release <!-- not closed",
    ] {
        for content_type in ["text/html", "application/xml", "text/plain", "text/csv"] {
            assert_eq!(sent(&dialogue, "/", content_type, text).await, (text.to_owned(), None), "{content_type}");
        }
        let json = serde_json::json!({"messages": [{"text": text}, {"text": text}]}).to_string();
        assert_eq!(sent(&dialogue, "/", "application/json", &json).await, (json.clone(), None));
    }
}
