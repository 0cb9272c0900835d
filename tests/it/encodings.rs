//! Compressed bodies and other charsets, both ways: what is found is replaced
//! and restored in them too, and all else passes as it came.

use crate::support::{
    Answer, CODINGS, CONSENT, Client, Dialogue, PATIENCE, Recorded, Reply, chat, encode, encode_pieces, sent_as,
    streamed_text, tokens,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How a text is written in a charset.
type Encode<'e> = &'e dyn Fn(&str) -> Vec<u8>;

const EMAIL: &str = "ana.lopez@example.com";
const SUBJECT: (&str, &str) = ("privet-subject", "u1");

/// Sends a body in this coding, or these with commas between.
async fn send(dialogue: &Dialogue, coding: &str, content_type: &str, body: impl Into<Bytes>) -> Reply {
    let headers = [CONSENT, SUBJECT, ("content-type", content_type), ("content-encoding", coding)];
    dialogue.client.send("POST", "/any", &headers, body).await
}

fn length_holds(seen: &Recorded) -> bool {
    seen.headers["content-length"] == seen.body.len().to_string().as_str()
}

#[tokio::test]
async fn a_body_in_any_coding_is_looked_into_and_goes_on_plain() {
    let dialogue = Dialogue::new("").await;
    let text = format!("{{ \"to\" : \"{EMAIL}\", \"n\":1.50 }}");
    for coding in CODINGS {
        let reply = send(&dialogue, sent_as(coding), "application/json", encode(coding, &text)).await;
        assert_eq!((reply.status.as_u16(), reply.header("privet-redacted")), (200, Some("email=1")), "{coding}");
        let seen = dialogue.upstream.last();
        let token = tokens(seen.text())[0].clone();
        assert_eq!(seen.text(), text.replace(EMAIL, &token), "{coding}");
        assert!(!seen.headers.contains_key("content-encoding") && length_holds(&seen), "{coding} {:?}", seen.headers);
    }
    // One over another, in any spelling; the header may come twice.
    let twice = encode("br", encode("gzip", &text));
    assert_eq!(send(&dialogue, "GZIP , identity,br", "application/json", twice.clone()).await.status, 200);
    assert!(tokens(dialogue.upstream.last().text()).len() == 1);
    let headers = [CONSENT, ("content-encoding", "x-gzip"), ("content-encoding", "br"), ("content-type", "text/plain")];
    assert_eq!(dialogue.client.send("POST", "/", &headers, twice).await.header("privet-redacted"), Some("email=1"));
    assert!(!dialogue.upstream.last().headers.contains_key("content-encoding"));
    // A form, and no type at all.
    let form = encode("zstd", "to=ana.lopez%40example.com");
    send(&dialogue, "zstd", "application/x-www-form-urlencoded", form).await;
    assert!(dialogue.upstream.last().text().starts_with("to=%5BEMAIL_"));
    let headers = [CONSENT, ("content-encoding", "gzip")];
    dialogue.client.send("POST", "/", &headers, encode("gzip", format!("[\"{EMAIL}\"]"))).await;
    assert!(dialogue.upstream.last().text().starts_with("[\"[EMAIL_"));
}

#[tokio::test]
async fn a_body_without_findings_goes_on_as_it_came() {
    let dialogue = Dialogue::new("").await;
    for coding in CODINGS {
        let body = encode(coding, b"[\"nothing to find\"]");
        assert_eq!(send(&dialogue, sent_as(coding), "application/json", body.clone()).await.status, 200);
        let seen = dialogue.upstream.last();
        assert!(seen.body == body && length_holds(&seen), "{coding}");
        assert_eq!(seen.headers["content-encoding"], sent_as(coding));
    }
    // What is found beside the body does not unpack it.
    let body = encode("gzip", b"[]");
    let headers = [CONSENT, ("content-encoding", "gzip"), ("content-type", "text/json"), ("x-mail", EMAIL)];
    dialogue.client.send("POST", "/", &headers, body.clone()).await;
    let seen = dialogue.upstream.last();
    assert!(seen.body == body && seen.headers["content-encoding"] == "gzip");
    assert!(seen.headers["x-mail"].to_str().unwrap().starts_with("[EMAIL_"));
    // An empty body is nothing in any coding.
    for coding in ["gzip", "unknown"] {
        assert_eq!(send(&dialogue, coding, "text/plain", "").await.status, 200);
    }
}

#[tokio::test]
async fn headers_hold_nothing_where_the_coding_of_the_body_goes() {
    let toml =
        "[[purposes]]\nname = \"orders\"\nbasis = \"contract\"\n[[routes]]\npath = \"/\"\npurpose = \"orders\"\n";
    let dialogue = Dialogue::new(toml).await;
    let body = encode("gzip", format!("{{\"to\": \"{EMAIL}\"}}"));
    let mut headers = [
        ("content-encoding", "gzip"),
        ("content-type", "application/json"),
        ("x-agent", "bob.miller@example.net"),
        ("x-note", "nothing to find here, and quite long"),
        ("x-last", "carla.weiss@example.org"),
        ("x-mail", "a teapot"),
        ("x-mail", "dora.stein@example.com"),
    ];
    // Another one stands first and last each time.
    for _ in 0..headers.len() {
        headers.rotate_left(1);
        let reply = dialogue.client.send("POST", "/any", &headers, body.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.header("privet-redacted")), (200, Some("email=4")), "{headers:?}");
        let seen = dialogue.upstream.last();
        assert!(!format!("{:?}{}", seen.headers, seen.text()).contains("@example"), "{:?}", seen.headers);
        let of = |name: &str| seen.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(of("x-note"), ["nothing to find here, and quite long"]);
        assert!(
            of("x-agent")[0].starts_with("[EMAIL_") && of("x-last")[0].starts_with("[EMAIL_"),
            "{:?}",
            seen.headers
        );
        assert!(of("x-mail").contains(&"a teapot") && tokens(&of("x-mail").concat()).len() == 1, "{:?}", seen.headers);
    }
}

#[tokio::test]
async fn bombs_are_refused_on_any_route() {
    let toml = "[[routes]]\npath = \"/\"\nbinary = \"pass\"\n[limits]\nrequest_body = \"1 MiB\"\n";
    let dialogue = Dialogue::new(&format!("{toml}decode_ratio = 100\n")).await;
    let zeros = vec![b' '; 900 << 10];
    for coding in CODINGS {
        let bomb = encode(coding, &zeros);
        assert!(bomb.len() < zeros.len() / 101, "{coding}");
        let problem = send(&dialogue, sent_as(coding), "text/plain", bomb.clone()).await.problem(413, "too-large");
        assert!(problem["detail"].as_str().unwrap().contains("`limits.decode_ratio`"), "{coding} {problem}");
        let twice = encode("gzip", &bomb);
        send(&dialogue, &format!("{}, gzip", sent_as(coding)), "text/plain", twice).await.problem(413, "too-large");
    }
    assert!(dialogue.upstream.recorded().is_empty());
    // A wider ratio lets them in, up to the bound of every body.
    let dialogue = Dialogue::new(&format!("{toml}decode_ratio = 100_000\n")).await;
    for coding in CODINGS {
        assert_eq!(send(&dialogue, sent_as(coding), "text/plain", encode(coding, &zeros)).await.status, 200);
        let larger = encode(coding, vec![b' '; (1 << 20) + 1]);
        let problem = send(&dialogue, sent_as(coding), "text/plain", larger).await.problem(413, "too-large");
        assert!(problem["detail"].as_str().unwrap().contains("`limits.request_body`"), "{coding} {problem}");
        let exactly = encode(coding, vec![b' '; 1 << 20]);
        assert_eq!(send(&dialogue, sent_as(coding), "text/plain", exactly).await.status, 200);
    }
    // What was charged for them is given back.
    dialogue.privet.metric_becomes("privet_body_bytes_in_flight", 0).await;
}

#[tokio::test]
async fn decoded_bodies_are_charged_to_the_budget_of_all() {
    let toml = "[limits]\nrequest_body = \"1 MiB\"\nbodies_in_flight = \"1 MiB\"\ndecode_ratio = 100_000\n";
    let dialogue = Dialogue::new(toml).await;
    let body = |size: usize| encode("gzip", vec![b' '; size]);
    send(&dialogue, "gzip", "text/plain", body(1 << 20)).await.problem(503, "overloaded");
    for _ in 0..3 {
        assert_eq!(send(&dialogue, "gzip", "text/plain", body(1000 << 10)).await.status, 200);
    }
}

#[tokio::test]
async fn what_the_search_needs_for_escapes_is_charged_too() {
    let toml = "[limits]\nrequest_body = \"1 MiB\"\nbodies_in_flight = \"2 MiB\"\n";
    let dialogue = Dialogue::new(toml).await;
    let ask = |escape: &str, length: usize| format!("{{\"text\":\"{}\"}}", escape.repeat(length / escape.len()));
    dialogue.ask("/", ask("\\n", 1_000_000)).await.problem(503, "overloaded");
    assert_eq!(dialogue.ask("/", ask("\\n", 100_000)).await.status, 200);
    assert_eq!(dialogue.ask("/", ask("a line of so many words\\n", 1_000_000)).await.status, 200);
}

/// Bodies that are not what their coding says: name, `Content-Encoding`, body.
fn odd_bodies() -> Vec<(String, &'static str, Vec<u8>)> {
    let text = format!("[\"{EMAIL}\"]").repeat(30);
    let mut odd = Vec::new();
    for coding in CODINGS {
        let whole = encode(coding, &text);
        let name = sent_as(coding);
        let mut add = |what: &str, body: Vec<u8>| odd.push((format!("{what} {coding}"), name, body));
        add("half", whole[..whole.len() / 2].to_vec());
        add("all but one byte of", whole[..whole.len() - 1].to_vec());
        add("something behind", [&whole[..], EMAIL.as_bytes()].concat());
        add("no", text.clone().into_bytes());
        add("another than", encode(if coding == "br" { "gzip" } else { "br" }, &text));
    }
    for (name, encoding) in
        [("unknown", "compress"), ("thrice", "gzip, gzip, gzip"), ("a list with an unknown one", "gzip, aes128gcm")]
    {
        odd.push((name.to_owned(), encoding, encode("gzip", &text)));
    }
    odd
}

#[tokio::test]
async fn what_is_not_encoded_as_it_says_is_refused_with_the_reason() {
    let dialogue = Dialogue::new("").await;
    let passing = Dialogue::new("[[routes]]\npath = \"/\"\nbinary = \"pass\"\n").await;
    for (name, encoding, body) in odd_bodies() {
        let reply = send(&dialogue, encoding, "application/json", body.clone()).await;
        let problem = reply.problem(415, "unsupported-body");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("Content-Encoding") && detail.contains("`binary = \"pass\"`"), "{name}: {detail}");
        assert!(!reply.text().contains("ana"), "{name}");
        // It passes as it came where the route lets it, and is counted.
        let before = passing.privet.metric("privet_uninspected_bytes_total").await;
        assert_eq!(send(&passing, encoding, "application/json", body.clone()).await.status, 200, "{name}");
        let seen = passing.upstream.last();
        assert!(seen.body == body && seen.headers["content-encoding"] == encoding, "{name}");
        let counted = passing.privet.metric("privet_uninspected_bytes_total").await - before;
        assert_eq!(counted, body.len() as u64, "{name}");
    }
    assert!(dialogue.upstream.recorded().is_empty());
}

#[tokio::test]
async fn a_compressed_reply_is_restored_and_sent_plain() {
    let dialogue = Dialogue::new("").await;
    let event =
        |text: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    for coding in CODINGS {
        for size in [1, 7, 10_000] {
            // (Header values of an answer live as long as the program.)
            let name = sent_as(coding);
            let chunks = move |encoded: Vec<u8>| encoded.chunks(size).map(Bytes::copy_from_slice).collect::<Vec<_>>();
            for content_type in ["application/json", "text/plain", "text/event-stream"] {
                dialogue.answers_with(move |token| {
                    let text = match content_type {
                        "application/json" => format!("{{\"text\" : \"to {token}\"}}"),
                        "text/plain" => format!("to {token}"),
                        _ => [event(&token[..5]), event(&token[5..]), "data: [DONE]\n\n".to_owned()].concat(),
                    };
                    let answer = Answer::new(content_type, chunks(encode(coding, text)));
                    answer.header("content-encoding", name).header("etag", "\"1\"")
                });
                let reply = dialogue.client.chat(&chat(EMAIL), &[]).await;
                let text = match content_type {
                    "application/json" => reply.json()["text"].as_str().unwrap().to_owned(),
                    "text/plain" => reply.text().to_owned(),
                    _ => format!("to {}", streamed_text(reply.text(), 0)),
                };
                assert_eq!(text, format!("to {EMAIL}"), "{coding} {content_type} {size}");
                assert!(reply.header("content-encoding").is_none() && reply.header("etag").is_none(), "{coding}");
            }
        }
    }
    // One coding over another.
    dialogue.answers_with(|token| {
        let twice = encode("gzip", encode("br", format!("to {token}")));
        Answer::new("text/plain", vec![twice.into()]).header("content-encoding", "br, gzip")
    });
    assert_eq!(dialogue.client.chat(&chat(EMAIL), &[]).await.text(), format!("to {EMAIL}"));
    // No compression is asked for, and none is offered where the client offers none.
    assert!(!dialogue.upstream.last().headers.contains_key("accept-encoding"));
    dialogue.client.chat(&chat(EMAIL), &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(dialogue.upstream.last().headers["accept-encoding"], "identity");
}

#[tokio::test]
async fn a_reply_that_is_not_restored_stays_compressed() {
    let dialogue = Dialogue::new("[[routes]]\npath = \"/pass\"\nreply = \"pass\"\n").await;
    let told = encode("gzip", "[EMAIL_7K3FQ2MZ] and other text");
    let answer = |content_type: &'static str, coding: &'static str| {
        let body = encode("gzip", "[EMAIL_7K3FQ2MZ] and other text");
        Answer::new(content_type, vec![body.into()]).header("content-encoding", coding).header("etag", "\"1\"")
    };
    for (path, content_type, coding, said) in [
        ("/v1/chat/completions", "text/plain", "gzip", "nothing to find"),
        ("/v1/chat/completions", "image/png", "gzip", EMAIL),
        ("/v1/chat/completions", "text/plain", "compress", EMAIL),
        ("/pass", "text/plain", "gzip", EMAIL),
    ] {
        dialogue.answers(move |_| answer(content_type, coding));
        let reply = dialogue.ask(path, chat(said).to_string()).await;
        assert!(reply.body == told, "{path} {content_type} {coding} {said}");
        assert_eq!((reply.header("content-encoding"), reply.header("etag")), (Some(coding), Some("\"1\"")));
    }
}

#[tokio::test]
async fn of_a_compressed_stream_each_event_comes_before_the_next_is_sent() {
    let dialogue = Dialogue::new("").await;
    let words = ["Hello", " there", ", this", " is", " nothing", " special."];
    for coding in CODINGS {
        let gate = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&gate);
        dialogue.answers(move |_| {
            let event = |word: &str| {
                format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n")
            };
            let events: Vec<String> = words.iter().map(|word| event(word)).collect();
            let pieces: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
            let answer = Answer::new("text/event-stream", encode_pieces(coding, &pieces)).gate(&held);
            answer.header("content-encoding", sent_as(coding))
        });
        let headers = [("content-type", "application/json"), CONSENT];
        let asked = chat("mail ana@example.com").to_string();
        let mut reply = dialogue.client.open("POST", "/v1/chat/completions", &headers, asked).await.into_body();
        for word in words {
            // Only now the chatbot says the next word, and it alone.
            gate.add_permits(1);
            let wanted = format!("\"{word}\"");
            let mut seen = String::new();
            while !seen.contains(&wanted) {
                let frame = tokio::time::timeout(PATIENCE, reply.frame()).await;
                let frame = frame.unwrap_or_else(|_| panic!("{coding}: {word:?} is held back")).unwrap().unwrap();
                seen.push_str(str::from_utf8(frame.data_ref().unwrap()).unwrap());
            }
            assert!(words.iter().all(|other| *other == word || !seen.contains(&format!("\"{other}\""))), "{seen}");
        }
    }
}

#[tokio::test]
async fn a_reply_that_is_not_encoded_as_it_says_breaks_off() {
    let dialogue = Dialogue::new("").await;
    let whole = encode("gzip", b"{\"text\":\"hello\"}".repeat(100));
    let bomb = encode("gzip", vec![b' '; 8 << 20]);
    let cut = whole[..whole.len() - 9].to_vec();
    for body in [cut, [&whole[..], b"more"].concat(), b"{\"text\":\"hello\"}".to_vec(), bomb] {
        let sent = body.clone();
        dialogue.answers(move |_| {
            Answer::new("application/json", vec![sent.clone().into()]).header("content-encoding", "gzip")
        });
        let problem = dialogue.client.chat(&chat(EMAIL), &[]).await.problem(502, "upstream-failed");
        assert!(problem["detail"].as_str().unwrap().contains("Content-Encoding"), "{problem}");
        // A stream has begun when it shows.
        dialogue
            .answers(move |_| Answer::new("text/plain", vec![body.clone().into()]).header("content-encoding", "gzip"));
        assert!(Client::new(&dialogue.privet.gateway).try_chat(&chat(EMAIL), &[]).await.is_err());
    }
    dialogue.privet.metric_becomes("privet_requests_total{outcome=\"upstream_failed\",route=\"/\"}", 8).await;
}

#[tokio::test]
async fn other_charsets_are_read_and_written_again() {
    let dialogue = Dialogue::new("").await;
    let utf16 = |big: bool, text: &str| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let table = |text: &str| -> Vec<u8> { text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect() };
    let mail = format!("écris à {EMAIL}, déjà vu");
    let json = format!("{{\"m\":\"{mail}\"}}");
    let marked = format!("\u{feff}{json}");
    for (content_type, text, encode) in [
        ("text/plain; charset=iso-8859-1", &mail, &table as Encode<'_>),
        ("text/csv; charset=\"Windows-1252\"", &mail, &table),
        ("application/json; charset=latin1", &json, &table),
        ("application/json; charset=UTF-16", &marked, &|text| utf16(true, text)),
        ("application/json; charset=utf-16", &marked, &|text| utf16(false, text)),
        ("text/plain; charset=utf-16le", &mail, &|text| utf16(false, text)),
        ("text/plain", &marked, &|text| utf16(true, text)),
        ("application/json", &marked, &|text: &str| text.as_bytes().to_vec()),
    ] {
        let headers = [CONSENT, SUBJECT, ("content-type", content_type)];
        let reply = dialogue.client.send("POST", "/any", &headers, encode(text)).await;
        assert_eq!((reply.status.as_u16(), reply.header("privet-redacted")), (200, Some("email=1")), "{content_type}");
        let seen = dialogue.upstream.last();
        // (In any of these charsets a token is ASCII, with zeros between its letters or without.)
        let ascii: String = seen.body.iter().filter(|b| (1..0x80).contains(*b)).map(|b| char::from(*b)).collect();
        let email = tokens(&ascii)[0].clone();
        assert!(seen.body == encode(&text.replace(EMAIL, &email)), "{content_type}: {:?}", seen.body);
        assert_eq!(seen.headers["content-type"], content_type);
        // In a coding too; and byte for byte where nothing is found.
        let nothing = encode(&text.replace(EMAIL, "known"));
        let packed = crate::support::encode("gzip", &nothing);
        for (coding, body) in [("identity", nothing), ("gzip", packed)] {
            assert_eq!(send(&dialogue, coding, content_type, body.clone()).await.status, 200, "{content_type}");
            assert!(dialogue.upstream.last().body == body, "{content_type}");
        }
        let packed = crate::support::encode("br", encode(text));
        assert_eq!(send(&dialogue, "br", content_type, packed).await.header("privet-redacted"), Some("email=1"));
        assert!(dialogue.upstream.last().body == seen.body, "{content_type}");
    }
}

#[tokio::test]
async fn a_reply_may_begin_with_a_byte_order_mark() {
    let dialogue = Dialogue::new("").await;
    for (content_type, text) in [
        ("application/json", "\u{feff}{\"text\":\"to @@\"}"),
        ("text/plain; charset=utf-8", "\u{feff}to @@"),
        ("text/event-stream", "\u{feff}data: {\"choices\":[{\"index\":0,\"message\":{\"content\":\"to @@\"}}]}\n\n"),
    ] {
        dialogue.answers_text(content_type, text, 5);
        let reply = dialogue.client.chat(&chat(EMAIL), &[]).await;
        assert_eq!(reply.text(), text.replace("@@", EMAIL), "{content_type}");
    }
}

#[tokio::test]
async fn where_data_of_others_is_replaced_a_reply_must_be_readable() {
    let dialogue = Dialogue::new("[[routes]]\npath = \"/\"\nreply = \"restore+redact\"\n").await;
    let answers = |coding: &'static str, named: &'static str| {
        dialogue.answers(move |_| {
            let body = encode(coding, "{\"text\":\"ask bo@example.org\"}");
            Answer::new("application/json", vec![body.into()]).header("content-encoding", named)
        });
    };
    for coding in CODINGS {
        answers(coding, sent_as(coding));
        let reply = dialogue.client.chat(&chat("hello"), &[]).await;
        assert!(!reply.text().contains("bo@") && reply.text().contains("EMAIL"), "{coding}: {}", reply.text());
    }
    answers("gzip", "compress");
    dialogue.client.chat(&chat("hello"), &[]).await.problem(502, "upstream-failed");
}
