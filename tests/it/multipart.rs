//! Multipart bodies and JSON lines: texts, names of fields and names of files
//! are looked into, all other bytes pass as they came.

use crate::support::{CONSENT, Dialogue, Reply, Wire, encode, tokens};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;

const EMAIL: &str = "ana.lopez@example.com";
const SUBJECT: (&str, &str) = ("privet-subject", "u1");
const FORM: &str = "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW";

async fn send(dialogue: &Dialogue, content_type: &str, body: impl Into<Bytes>) -> Reply {
    dialogue.client.send("POST", "/upload", &[CONSENT, SUBJECT, ("content-type", content_type)], body).await
}

/// A form as browsers send it: fields of text, a text file, a picture.
fn form() -> Vec<u8> {
    let boundary = "------WebKitFormBoundary7MA4YWxkTrZu0gW";
    let parts: [(&str, &[u8]); 6] = [
        ("name=\"message\"", b"write to @@\r\nor call \x00\xf0\x9f\x98\x80"),
        ("name=\"meta\"", b"{\"to\":\"@@\", \"n\":1.50}"),
        ("name=\"@@\"", b""),
        ("name=\"notes\"; filename=\"of @@ (1).txt\"\r\nContent-Type: text/plain", b"a\n@@\n"),
        (
            "name=\"rows\"; filename=\"rows.jsonl\"\r\nContent-Type: application/octet-stream",
            b"{\"a\":1}\n{\"to\":\"@@\"}\n",
        ),
        (
            "name=\"photo\"; filename=\"a.png\"\r\nContent-Type: image/png",
            b"\x89PNG\r\n\x1a\n\0\xff--ana.lopez@example.com\r\n--",
        ),
    ];
    let mut body = Vec::new();
    for (about, content) in parts {
        body.extend_from_slice(format!("{boundary}\r\nContent-Disposition: form-data; {about}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("{boundary}--\r\n").as_bytes());
    body
}

/// The body with this in place of each `@@`.
fn filled(body: &[u8], with: &str) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut rest = body;
    while let Some(at) = memchr::memmem::find(rest, b"@@") {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(with.as_bytes());
        rest = &rest[at + 2..];
    }
    filled.extend_from_slice(rest);
    filled
}

async fn email_token(dialogue: &Dialogue) -> String {
    dialogue.ask_with("/", &[SUBJECT], format!("[\"{EMAIL}\"]")).await;
    tokens(dialogue.upstream.last().text())[0].clone()
}

#[tokio::test]
async fn a_form_with_files_keeps_all_bytes_but_its_findings() {
    let dialogue = Dialogue::new("").await;
    let token = email_token(&dialogue).await;
    let before = dialogue.privet.metric("privet_uninspected_bytes_total").await;
    let reply = send(&dialogue, FORM, filled(&form(), EMAIL)).await;
    assert_eq!((reply.status.as_u16(), reply.header("privet-redacted")), (200, Some("email=6")), "{:?}", reply.body);
    let seen = dialogue.upstream.last();
    assert!(seen.body == filled(&form(), &token), "{:?}", seen.body);
    assert_eq!(seen.headers["content-type"], FORM);
    assert_eq!(seen.headers["content-length"], seen.body.len().to_string().as_str());
    let picture = b"\x89PNG\r\n\x1a\n\0\xff--ana.lopez@example.com\r\n--".len() as u64;
    assert_eq!(dialogue.privet.metric("privet_uninspected_bytes_total").await, before + picture);
    // Nothing found, nothing changed; and the same in a coding.
    let nothing = filled(&form(), "nobody");
    assert_eq!(send(&dialogue, FORM, nothing.clone()).await.header("privet-redacted"), None);
    assert!(dialogue.upstream.last().body == nothing);
    let headers = [CONSENT, SUBJECT, ("content-type", FORM), ("content-encoding", "gzip")];
    dialogue.client.send("POST", "/", &headers, encode("gzip", filled(&form(), EMAIL))).await;
    assert!(dialogue.upstream.last().body == filled(&form(), &token));
}

#[tokio::test]
async fn boundaries_may_be_odd_and_the_network_may_cut_anywhere() {
    let dialogue = Dialogue::new("").await;
    let token = email_token(&dialogue).await;
    for (boundary, named) in [
        ("x", "x"),
        ("'()+_,-./:=?", "\"'()+_,-./:=?\""),
        ("a b", "\"a b\""),
        ("--", "--"),
        (&"0".repeat(70), &"0".repeat(70)),
    ] {
        let content_type = format!("multipart/mixed; charset=utf-8; boundary={named}; x=y");
        let body = format!(
            "before @@\r\n--{boundary}  \r\nContent-Type: text/plain\r\n\r\n@@\r\n--{boundary}x @@\n--{boundary}\r\n \r\n--{boundary}\r\n\r\n\r\n--{boundary}\t\r\n\r\n\r\n\r\n--{boundary}--\r\nbehind @@"
        );
        // A line that begins with the boundary and goes on is no delimiter.
        send(&dialogue, &content_type, body.replace("@@", EMAIL)).await.problem(415, "unsupported-body");
        let body = body.replace(&format!("\r\n--{boundary}x"), "\r\n-x");
        assert_eq!(send(&dialogue, &content_type, body.replace("@@", EMAIL)).await.status, 200, "{boundary}");
        assert_eq!(dialogue.upstream.last().text(), body.replace("@@", &token), "{boundary}");
    }
    // Chunk by chunk, cut in boundaries and values.
    let body = filled(&form(), EMAIL);
    for size in [1, 7, 64] {
        let mut wire = Wire::connect(&dialogue.privet.gateway).await;
        let head = format!("content-type: {FORM}\r\nprivet-subject: u1\r\ntransfer-encoding: chunked\r\n");
        wire.post("/upload", &head, "").await;
        let mut chunked = Vec::new();
        for piece in body.chunks(size) {
            chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            chunked.extend_from_slice(piece);
            chunked.extend_from_slice(b"\r\n");
        }
        wire.send([&chunked[..], b"0\r\n\r\n"].concat()).await;
        assert!(wire.head().await.starts_with("HTTP/1.1 200"));
        assert!(dialogue.upstream.last().body == filled(&form(), &token), "{size}");
    }
}

#[tokio::test]
async fn what_is_no_sound_form_is_refused_with_the_reason() {
    let dialogue = Dialogue::new("").await;
    let passing = Dialogue::new("[[routes]]\npath = \"/\"\nbinary = \"pass\"\n").await;
    let part = |about: &str, content: &str| format!("--x\r\n{about}\r\n\r\n{content}\r\n--x--\r\n");
    let file = "Content-Disposition: form-data; name=f; filename=a\r\nContent-Type: ";
    for (content_type, body, says) in [
        ("multipart/form-data", part("A: b", EMAIL), "boundary"),
        ("multipart/form-data; boundary=\"\"", part("A: b", EMAIL), "boundary"),
        ("multipart/form-data; boundary=y", part("A: b", EMAIL), "no end"),
        ("multipart/form-data; boundary=x", part("A: b", EMAIL).replace("--x--", ""), "no end"),
        ("multipart/form-data; boundary=x", part("A: b", EMAIL).replace("--x--", "--x"), "no end"),
        ("multipart/form-data; boundary=x", part("A: b", EMAIL).replace('\r', ""), "delimiter"),
        ("multipart/form-data; boundary=x", part("no field", EMAIL), "header"),
        ("multipart/form-data; boundary=x", part("A: b\r\n folded", EMAIL), "header"),
        ("multipart/form-data; boundary=x", part(&format!("{file}text/plain; charset=latin1"), EMAIL), "charset"),
        ("multipart/form-data; boundary=x", part(&format!("{file}application/json"), "{\"a\":"), "JSON"),
        (
            "multipart/form-data; boundary=x",
            part(&format!("{file}text/plain\r\nContent-Transfer-Encoding: base64"), "YW5hQGV4YW1wbGUuY29t"),
            "encoded",
        ),
    ] {
        let reply = send(&dialogue, content_type, body.clone()).await;
        let problem = reply.problem(415, "unsupported-body");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says) && detail.contains("`binary = \"pass\"`"), "{content_type} {body:?}: {detail}");
        assert!(!reply.text().contains("ana"), "{detail}");
        assert_eq!(send(&passing, content_type, body.clone()).await.status, 200, "{content_type} {body:?}");
    }
    assert!(dialogue.upstream.recorded().is_empty());
    // Files that are no text pass, but for a route that takes none.
    let strict = Dialogue::new("[[routes]]\npath = \"/\"\nfiles = \"refuse\"\n").await;
    let picture = part(&format!("{file}image/png"), "\u{89}PNG");
    assert_eq!(send(&dialogue, "multipart/form-data; boundary=x", picture.clone()).await.status, 200);
    let problem = send(&strict, "multipart/form-data; boundary=x", picture).await.problem(415, "unsupported-body");
    assert!(problem["detail"].as_str().unwrap().contains("`files = \"refuse\"`"), "{problem}");
    let text = part(&format!("{file}text/plain"), EMAIL);
    assert_eq!(send(&strict, "multipart/form-data; boundary=x", text).await.status, 200);
}

#[tokio::test]
async fn of_json_lines_each_line_is_a_document() {
    let dialogue = Dialogue::new("").await;
    let token = email_token(&dialogue).await;
    for content_type in ["application/x-ndjson", "application/jsonl; charset=utf-8", "application/json-lines", ""] {
        for body in [
            "{\"m\":\"@@\"}\n{\"m\" : [\"@@\"] }\r\n\r\n  \n\"@@\"",
            "\u{feff}{\"@@\":1}\n",
            "{\"a\":1}\n{\"a\":\"\\u0040\"}\n",
        ] {
            let headers = [CONSENT, SUBJECT, ("content-type", content_type)];
            let headers = if content_type.is_empty() { &headers[..2] } else { &headers };
            let reply = dialogue.client.send("POST", "/", headers, body.replace("@@", EMAIL)).await;
            assert_eq!(reply.status, 200, "{content_type} {body:?}: {}", reply.text());
            assert_eq!(dialogue.upstream.last().text(), body.replace("@@", &token), "{content_type}");
        }
        // Escapes are undone, which a mere text has none of.
        let escaped = "{\"a\":1}\n{\"m\":\"ana.lopez\\u0040example.com\"}\n";
        let headers = [CONSENT, SUBJECT, ("content-type", content_type)];
        let headers = if content_type.is_empty() { &headers[..2] } else { &headers };
        dialogue.client.send("POST", "/", headers, escaped).await;
        assert_eq!(dialogue.upstream.last().text(), format!("{{\"a\":1}}\n{{\"m\":\"{token}\"}}\n"), "{content_type}");
    }
    for broken in ["{\"a\":1}\n{\"m\":", "{\"a\":\n1}", "{} {}"] {
        let problem = send(&dialogue, "application/x-ndjson", broken).await.problem(415, "unsupported-body");
        assert!(problem["detail"].as_str().unwrap().contains("JSON"), "{broken}");
    }
}

#[test]
fn a_body_without_findings_passes_byte_for_byte_whatever_it_is() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dialogue = runtime.block_on(Dialogue::new(""));
    let part = (
        prop::sample::select(vec![
            "Content-Disposition: form-data; name=\"m\"",
            "Content-Disposition: form-data; name=\"f\"; filename=\"a b%20c.bin\"",
            "content-type:application/octet-stream",
            "Content-Type: application/json",
            "X-Odd:\t",
        ]),
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "[ -~\r\n\t]{0,40}".prop_map(String::into_bytes),
            Just(b"{\"a\" : [1.50, \"\\u00e9\"]}".to_vec()),
        ],
    );
    let coding = prop::sample::select(vec!["identity", "gzip", "deflate", "br", "zstd"]);
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let (passed, refused) = (Cell::new(0), Cell::new(0));
    runner
        .run(&(prop::collection::vec(part, 0..4), coding), |(parts, coding)| {
            let mut body = Vec::new();
            for (about, content) in &parts {
                body.extend_from_slice(format!("--0b1\r\n{about}\r\n\r\n").as_bytes());
                body.extend_from_slice(content);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--0b1--");
            let body = if coding == "identity" { body } else { encode(coding, body) };
            let headers =
                [CONSENT, ("content-type", "multipart/form-data; boundary=0b1"), ("content-encoding", coding)];
            let before = dialogue.upstream.recorded().len();
            let reply = runtime.block_on(dialogue.client.send("POST", "/", &headers, body.clone()));
            if reply.status == 415 {
                refused.set(refused.get() + 1);
                prop_assert_eq!(dialogue.upstream.recorded().len(), before);
            } else if reply.header("privet-redacted").is_none() {
                passed.set(passed.get() + 1);
                prop_assert_eq!(reply.status.as_u16(), 200);
                let seen = dialogue.upstream.last();
                prop_assert!(seen.body == body);
                prop_assert_eq!(seen.headers["content-encoding"].to_str().unwrap(), coding);
            }
            Ok(())
        })
        .unwrap();
    assert!(passed.get() > 20 && refused.get() > 5, "{passed:?} {refused:?}");
}
