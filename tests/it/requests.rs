//! Request bodies: what is found becomes a token, all other bytes stay, and
//! what cannot be looked at does not pass.

use crate::support::{Answer, Client, Privet, Setup, Upstream, Wire, chat, tokens};
use serde_json::json;

const EMAIL: &str = "ana.lopez@example.com";
/// A test number of a card scheme; it holds by its check digit.
const CARD: &str = "4111111111111111";

async fn gateway(toml: &str) -> (Upstream, Privet, Client) {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).toml(toml).start();
    let client = Client::new(&privet.gateway);
    (upstream, privet, client)
}

/// Sends the body and gives what the chatbot received.
async fn forwarded(upstream: &Upstream, client: &Client, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let before = upstream.recorded().len();
    let mut all = vec![("privet-consent", "support"), ("privet-subject", "u1")];
    all.extend_from_slice(headers);
    let reply = client.send("POST", path, &all, body.to_owned()).await;
    assert_eq!(reply.status, 200, "{headers:?} {body:?}: {}", reply.text());
    assert_eq!(upstream.recorded().len(), before + 1);
    upstream.last().text().to_owned()
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const TEXT: &[(&str, &str)] = &[("content-type", "text/plain")];

struct Odd {
    name: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    /// What the client is told.
    says: &'static str,
}

fn odd_bodies() -> Vec<Odd> {
    const CHAT: &str = "/v1/chat/completions";
    let mut all = Vec::new();
    let mut add =
        |name, path, headers, body: &[u8], says| all.push(Odd { name, path, headers, body: body.to_vec(), says });
    for (name, headers) in [
        ("a picture", &[("content-type", "image/png")][..]),
        ("an unknown type", &[("content-type", "application/msgpack")]),
        ("two types", &[("content-type", "text/plain"), ("content-type", "application/json")]),
    ] {
        add(name, CHAT, headers, b"{\"m\":\"ana.lopez@example.com\"}", "Content-Type");
    }
    add("binary", CHAT, &[("content-type", "application/octet-stream")], b"ana.lopez@example.com\0", "Content-Type");
    for (name, headers) in [
        ("an unknown charset", &[("content-type", "text/plain; charset=iso-2022-jp")]),
        ("utf-16 without a mark", &[("content-type", "text/plain; charset=\"UTF-16\"")]),
        ("a form in another charset", &[("content-type", "application/x-www-form-urlencoded; charset=latin1")]),
    ] {
        add(name, CHAT, headers, b"hello", "charset");
    }
    for (name, body) in [
        ("cut", &b"{\"m\":\"ana.lopez@example.com"[..]),
        ("single quotes", b"{'m':'ana.lopez@example.com'}"),
        ("a trailing comma", b"{\"m\":\"ana.lopez@example.com\",}"),
        ("two documents", b"{\"m\":1}{\"m\":\"ana.lopez@example.com\"}"),
        ("a bare word", b"ana.lopez@example.com"),
        ("a comment", b"{} // ana.lopez@example.com"),
        ("a line break in a string", b"{\"m\":\"a\nb\"}"),
        ("blanks alone", b" \r\n"),
        ("a bad escape", b"{\"m\":\"\\x61na@example.com\"}"),
    ] {
        add(name, CHAT, JSON, body, "JSON");
    }
    let deep = [vec![b'['; 129], vec![b']'; 129]].concat();
    add("129 levels", CHAT, JSON, &deep, "`limits.json_depth`");
    add("129 levels without a type", CHAT, &[], &deep, "`limits.json_depth`");
    for (name, body) in [
        ("a stray byte", &b"{\"m\":\"\xff\"}"[..]),
        ("latin1 in JSON", b"{\"m\":\"Jos\xe9\"}"),
        ("overlong", b"{\"m\":\"\xc0\xa2\"}"),
        ("a surrogate", b"{\"m\":\"\xed\xa0\x80\"}"),
        ("a cut character", b"{\"m\":\"x\"}\xe2\x82"),
    ] {
        add(name, CHAT, JSON, body, "UTF-8");
    }
    add("latin1 in text", CHAT, &[("content-type", "text/plain")], b"Jos\xe9", "UTF-8");
    add("latin1 without a type", CHAT, &[], b"Jos\xe9", "UTF-8");
    add("UTF-16 without a mark", CHAT, &[("content-type", "text/plain")], b"a\0n\0a\0@\0x\0.\0d\0e\0", "NUL");
    add("UTF-16 without a type", CHAT, &[], b"a\0n\0a\0@\0x\0.\0d\0e\0", "NUL");
    for (name, path, body) in [
        ("token numbers", "/v1/completions", &b"{\"prompt\":[464, 3290]}"[..]),
        ("lists of token numbers", "/v1/completions", b"{\"prompt\":[[464],[3290, 1]]}"),
        ("token numbers to embed", "/v1/embeddings", b"{\"input\":[464, 3290]}"),
        ("token numbers without a type", "/v1/embeddings", b"{\"input\":[464, 3290]}"),
        ("token numbers elsewhere", "/api/embed", b"{\"input\":[1, 2]}"),
    ] {
        let headers = if name.ends_with("a type") { &[] } else { JSON };
        add(name, path, headers, body, "token numbers");
    }
    for (content_type, body) in [
        (&[("content-type", "application/xml")][..], &b"<!DOCTYPE m [<!ENTITY x \"ana\">]><m>&x;@example.com</m>"[..]),
        (&[("content-type", "image/svg+xml")], b"<?xml version='1.0'?>\n<!DOCTYPE m [\n<!ENTITY % x '@'>]><svg/>"),
        (&[], b" <!DOCTYPE m [<!ENTITY x \"@\">]><m>ana&x;example.com</m>"),
    ] {
        add("XML with entities of its own", CHAT, content_type, body, "<!ENTITY");
    }
    let file = b"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"filename\":\"a.txt\",\
        \"file_data\":\"data:text/plain;base64,Sm9z6Q==\"}}]}]}";
    add("a text file in base64 that is latin1", CHAT, JSON, file, "text file");
    all
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_refused_with_the_reason() {
    let (upstream, privet, client) = gateway("").await;
    let odd = odd_bodies();
    for Odd { name, path, headers, body, says } in &odd {
        let mut all = vec![("privet-consent", "support")];
        all.extend_from_slice(headers);
        let reply = client.send("POST", path, &all, body.clone()).await;
        assert_eq!(reply.status, 415, "{name}: {:?}", reply.body);
        let problem = reply.problem(415, "unsupported-body");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{name}: {detail}");
        assert!(detail.contains("`binary = \"pass\"`"), "{name}: {detail}");
        assert!(!reply.text().contains("ana") && !reply.text().contains("464"), "{name}: {}", reply.text());
        assert_eq!(problem["request_id"].as_str(), reply.header("privet-request-id"));
    }
    assert!(upstream.recorded().is_empty(), "{:?}", upstream.recorded());
    let refused = odd.len() as u64;
    privet.metric_becomes("privet_requests_total{outcome=\"refused_input\",route=\"/\"}", refused).await;
    assert_eq!(privet.metric("privet_rejected_total{problem=\"unsupported-body\"}").await, refused);
}

#[tokio::test]
async fn a_route_may_let_them_pass_as_they_are() {
    let (upstream, _privet, client) = gateway("[[routes]]\npath = \"/\"\nbinary = \"pass\"\n").await;
    for Odd { name, path, headers, body, .. } in odd_bodies() {
        let mut all = vec![("privet-consent", "support")];
        all.extend_from_slice(headers);
        let reply = client.send("POST", path, &all, body.clone()).await;
        assert_eq!(reply.status, 200, "{name}: {:?}", reply.body);
        let seen = upstream.last();
        // What says that it is JSON and is not, but is text, is looked at as text.
        let is_json = serde_json::from_slice::<serde_json::Value>(&body).is_ok();
        if headers == JSON && !is_json && str::from_utf8(&body).is_ok_and(|text| text.contains('@')) {
            assert!(seen.text().contains("[EMAIL_") && !seen.text().contains("ana"), "{name}: {:?}", seen.body);
            continue;
        }
        assert!(seen.body == body, "{name}: {:?} became {:?}", body, seen.body);
        for (header, value) in headers {
            assert!(seen.headers.get_all(*header).iter().any(|found| found == value), "{name}: {header}");
        }
        assert_eq!(reply.header("privet-redacted"), None, "{name}");
    }
    // What can be looked at is looked at there too, also beside what cannot.
    assert!(!forwarded(&upstream, &client, "/", JSON, &json!([EMAIL]).to_string()).await.contains("ana"));
    let mixed = json!({"prompt": [464, 3290], "suffix": EMAIL}).to_string();
    let seen = forwarded(&upstream, &client, "/v1/completions", JSON, &mixed).await;
    assert!(seen.contains("[464,3290]") && !seen.contains("ana"), "{seen}");
}

#[tokio::test]
async fn a_text_keeps_all_bytes_but_its_findings() {
    let (upstream, _privet, client) = gateway("").await;
    for (headers, body) in [
        (TEXT, "write to @@ or call\r\n\0 never \u{1f600}"),
        (TEXT, "@@"),
        (&[("content-type", "text/markdown; charset=UTF-8")], "**@@**\n"),
        (&[("content-type", "application/xml")], "<?xml version=\"1.0\"?>\n<m to=\"@@\">a &amp; b</m>"),
        (&[("content-type", "application/atom+xml")], "<a>@@</a>"),
        (&[("content-type", "text/html")], "<p>@@</p>"),
        (&[("content-encoding", "identity"), ("content-type", "text/plain")], "a @@ b"),
        // Without a type: JSON if it is some, else text.
        (&[], "{\"m\" : \"@@\"}"),
        (&[], " [ \"@@\" ]\n"),
        (&[], "\"@@\""),
        (&[], "write to @@ now"),
        (&[], "[note] write to @@"),
        (&[], "{name} is at @@"),
        // JSON by other names.
        (&[("content-type", "application/vnd.api+json")], "{\"m\" : \"@@\"}"),
        (&[("content-type", "Application/JSON ; Charset=utf-8")], "{\"m\" : \"@@\"}"),
        (&[("content-type", "text/json")], "{\"m\" : \"@@\"}"),
        // A byte order mark stays.
        (JSON, "\u{feff}{\"m\":\"@@\"}"),
        // Names of members, and members given twice.
        (JSON, "{\"@@\":1,\"a\":{\"to @@ \":[]}}"),
        (JSON, "{\"m\":\"@@\",\"m\":\"@@\"}"),
        // A document need not be an object.
        (JSON, "\"@@\""),
        (JSON, "[[[[\"@@\"],1.0e5, -0 ,null]]]"),
        (JSON, "{\"a\":\"x\\\"y\\\\ @@ \\u20ac\\n\"}"),
    ] {
        let sent = body.replace("@@", EMAIL);
        let seen = forwarded(&upstream, &client, "/any", headers, &sent).await;
        let found = tokens(&seen);
        assert_eq!(found.len(), body.matches("@@").count(), "{headers:?} {seen:?}");
        assert_eq!(seen, body.replace("@@", &found[0]), "{headers:?}");
    }
}

#[tokio::test]
async fn an_escaped_value_is_found_whatever_its_escapes() {
    let (upstream, _privet, client) = gateway("").await;
    let plain = forwarded(&upstream, &client, "/", JSON, "[\"ana.lopez@example.com\"]").await;
    for spelled in [
        "ana.lopez\\u0040example.com",
        "\\u0061na.lopez@example.co\\u006d",
        "\\u0061\\u006E\\u0061.lopez@example\\u002ecom",
    ] {
        let seen = forwarded(&upstream, &client, "/", JSON, &format!("[\"{spelled}\"]")).await;
        assert_eq!(seen, plain, "one value has one token, however it is spelled");
    }
}

#[tokio::test]
async fn json_is_known_whatever_it_is_called() {
    let (upstream, _privet, client) = gateway("").await;
    let plain = forwarded(&upstream, &client, "/", JSON, "[\"ana.lopez@example.com\"]").await;
    let token = tokens(&plain)[0].clone();
    for named in
        ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "application/octet-stream"]
    {
        for body in [
            "{\"a\":\"1+1 & @\"}",
            "\u{feff} [\"@\"]",
            "{\"a\":\"@\"}\n{\"b\":\"=@\"}\n",
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"@\"}]}",
        ] {
            let sent = body.replace('@', "ana.lopez\\u0040example.com");
            let seen = forwarded(&upstream, &client, "/", &[("content-type", named)], &sent).await;
            assert_eq!(seen, body.replace('@', &token), "{named}");
        }
    }
    // A field of a form may be a document too.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let payload = "a=1&payload=%7B%22text%22%3A%22to+ana.lopez%5Cu0040example.com%22%7D&b=%7B";
    let seen = forwarded(&upstream, &client, "/", &form, payload).await;
    let written = token.replace('[', "%5B").replace(']', "%5D");
    assert_eq!(seen, payload.replace("ana.lopez%5Cu0040example.com", &written));
    // What only begins so is what it is called.
    let seen = forwarded(&upstream, &client, "/", TEXT, "[1] ana.lopez@example.com").await;
    assert_eq!(seen, format!("[1] {token}"));
}

#[tokio::test]
async fn a_body_may_be_empty_or_come_in_chunks() {
    let (upstream, privet, client) = gateway("").await;
    for method in ["GET", "POST", "DELETE"] {
        for headers in [&[][..], JSON, &[("content-type", "application/octet-stream")]] {
            let mut all = vec![("privet-consent", "support")];
            all.extend_from_slice(headers);
            let reply = client.send(method, "/v1/models", &all, "").await;
            assert_eq!(reply.status, 200, "{method} {headers:?} {}", reply.text());
            assert!(upstream.last().body.is_empty());
            assert_eq!(upstream.last().method, method);
        }
    }
    // Cut in the middle of the value, with trailers that must not travel.
    let mut wire = Wire::connect(&privet.gateway).await;
    let head = "content-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-mail\r\n";
    wire.post("/v1/chat/completions", head, "6\r\n{\"m\":\"\r\n").await;
    for piece in ["ana.lo", "pez@exam", "ple.com", "\", \"n\":1}"] {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        wire.send(format!("{:x};ext=1\r\n{piece}\r\n", piece.len())).await;
    }
    wire.send("0\r\nx-mail: ana.lopez@example.com\r\n\r\n").await;
    assert!(wire.head().await.starts_with("HTTP/1.1 200"));
    let seen = upstream.last();
    let token = &tokens(seen.text())[0];
    assert_eq!(seen.text(), format!("{{\"m\":\"{token}\", \"n\":1}}"));
    assert_eq!(seen.headers["content-length"], seen.body.len().to_string().as_str());
    assert!(!seen.headers.contains_key("x-mail") && !seen.headers.contains_key("transfer-encoding"));
}

#[tokio::test]
async fn a_number_that_is_a_card_becomes_a_string() {
    let (upstream, _privet, client) = gateway("").await;
    let body = format!("{{ \"card\" : {CARD} , \"total\":12.50,\"id\":1234567890123456789012,\"list\":[{CARD},7]}}");
    let reply = client.send("POST", "/pay", &[JSON[0], ("privet-consent", "support")], body.clone()).await;
    assert_eq!(reply.header("privet-redacted"), Some("credit_card=2"));
    let seen = upstream.last();
    let found = tokens(seen.text());
    assert_eq!(found.len(), 2, "{}", seen.text());
    assert!(found[0].starts_with("[CREDIT_CARD_") && found[0] == found[1], "{found:?}");
    assert_eq!(seen.text(), body.replace(CARD, &format!("\"{}\"", found[0])));

    // Also in the arguments of a tool, which are JSON in a string.
    let body = format!("[{CARD}.0,-{CARD},{CARD}.5]");
    let seen = forwarded(&upstream, &client, "/pay", JSON, &body).await;
    let found = tokens(&seen);
    assert_eq!(found.len(), 2, "{seen}");
    assert_eq!(seen, format!("[\"{}\",\"{}\",{CARD}.5]", found[0], found[1]));
    let arguments = format!("{{\\\"card\\\": {CARD}, \\\"n\\\": 2}}");
    let body = format!(
        "{{\"messages\":[{{\"role\":\"assistant\",\"tool_calls\":[{{\"function\":{{\"arguments\":\"{arguments}\"}}}}]}}]}}"
    );
    let seen = forwarded(&upstream, &client, "/v1/chat/completions", JSON, &body).await;
    let token = &tokens(&seen)[0];
    assert_eq!(seen, body.replace(CARD, &format!("\\\"{token}\\\"")));
    let outer: serde_json::Value = serde_json::from_str(&seen).unwrap();
    let inner = outer["messages"][0]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(inner).unwrap(), json!({"card": token, "n": 2}));
}

#[tokio::test]
async fn pictures_and_sound_pass_byte_for_byte_and_are_counted() {
    let (upstream, privet, client) = gateway("").await;
    // Base64 that happens to spell what a rule might take for a number.
    let data = format!("{}/9j+4111111111111111==", "QUJD".repeat(2000));
    let body = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{data}")}},
    ]}]})
    .to_string();
    assert!(forwarded(&upstream, &client, "/v1/chat/completions", JSON, &body).await == body);
    assert!(privet.metric("privet_uninspected_bytes_total").await >= 3 * data.len() as u64);
    // The address of a picture is text.
    let at = |url: &str| json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
    let seen = forwarded(
        &upstream,
        &client,
        "/v1/chat/completions",
        JSON,
        &at(&format!("https://x.example/p?to={EMAIL}")).to_string(),
    )
    .await;
    assert!(!seen.contains("ana.lopez") && seen.contains("https://x.example/p?to="), "{seen}");
}

#[tokio::test]
async fn one_value_of_one_subject_is_one_token() {
    let (upstream, _privet, client) = gateway("").await;
    let said = |subject: &'static str, text: String| {
        let (upstream, client) = (&upstream, &client);
        async move {
            let headers: &[(&str, &str)] = if subject.is_empty() { &[] } else { &[("privet-subject", subject)] };
            assert_eq!(client.chat(&chat(&text), headers).await.status, 200);
            tokens(&upstream.last().said())
        }
    };
    let first = said("u1", format!("{EMAIL} and bo@example.org and {EMAIL}")).await;
    assert_eq!((first.len(), &first[0]), (3, &first[2]));
    assert_ne!(first[0], first[1]);
    assert_eq!(said("u1", format!("again {EMAIL}")).await, [first[0].clone()]);
    let other = said("u2", EMAIL.to_owned()).await;
    assert_ne!(other[0], first[0], "two subjects have two tokens");
    assert_ne!(said("u1", EMAIL.to_uppercase()).await, [first[0].clone()], "two spellings are two tokens");
    // Without a subject each request is its own.
    let (one, two) = (said("", EMAIL.to_owned()).await, said("", EMAIL.to_owned()).await);
    assert_ne!(one, two);
}
