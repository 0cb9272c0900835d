//! What is refused, with the reason that is told and the setting that allows it.

use crate::support::{CONSENT, Dialogue, Wire, encode};
use std::collections::HashMap;

struct Refused {
    name: &'static str,
    /// What is configured besides.
    toml: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    status: u16,
    problem: &'static str,
    /// Parts of what the client is told.
    says: &'static [&'static str],
    /// With this it passes.
    allowed: &'static str,
}

const PASS: &str = "[[routes]]\npath = \"/\"\nbinary = \"pass\"\n";
const BINARY: &str = "`binary = \"pass\"`";
const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain");

fn all() -> Vec<Refused> {
    let unsupported = |name, headers, body: &[u8], says| Refused {
        name,
        toml: "",
        headers,
        body: body.to_vec(),
        status: 415,
        problem: "unsupported-body",
        says,
        allowed: PASS,
    };
    let large = |name, toml, headers, body, says, allowed| Refused {
        name,
        toml,
        headers,
        body,
        status: 413,
        problem: "too-large",
        says,
        allowed,
    };
    vec![
        unsupported("an unknown type", &[("content-type", "application/msgpack")], b"ana", &["Content-Type", BINARY]),
        unsupported("two types", &[TEXT, JSON], b"[]", &["more than one Content-Type", BINARY]),
        unsupported("a malformed type", &[("content-type", "text/plain; x")], b"ana", &["malformed", BINARY]),
        unsupported("an unknown charset", &[("content-type", "text/plain; charset=utf-7")], b"a", &["charset", BINARY]),
        unsupported("another charset", &[("content-type", "text/plain; charset=utf-16")], b"a", &["charset", BINARY]),
        unsupported(
            "no text of its charset",
            &[("content-type", "text/plain; charset=gbk")],
            b"\xff",
            &["charset", BINARY],
        ),
        unsupported("no UTF-8", &[TEXT], b"Jos\xe9", &["UTF-8", BINARY]),
        unsupported("zeros", &[TEXT], b"a\0n\0a\0", &["NUL", BINARY]),
        unsupported("no JSON", &[JSON], b"{ana", &["JSON", BINARY]),
        unsupported("a line that is no JSON", &[("content-type", "application/jsonl")], b"{}\n{ana", &["JSON", BINARY]),
        unsupported("token numbers", &[JSON], b"{\"model\":\"m\",\"prompt\":[464,3290]}", &["token numbers", BINARY]),
        unsupported(
            "an unknown coding",
            &[TEXT, ("content-encoding", "compress")],
            b"ana",
            &["Content-Encoding", BINARY],
        ),
        unsupported("another coding", &[TEXT, ("content-encoding", "gzip")], b"ana", &["Content-Encoding", BINARY]),
        unsupported("three codings", &[TEXT, ("content-encoding", "br, br, br")], b"ana", &["more than twice", BINARY]),
        unsupported("no boundary", &[("content-type", "multipart/mixed")], b"ana", &["boundary", BINARY]),
        unsupported(
            "no end",
            &[("content-type", "multipart/mixed; boundary=x")],
            b"--x\r\n\r\nana",
            &["no end", BINARY],
        ),
        Refused {
            toml: "[[routes]]\npath = \"/\"\nfiles = \"refuse\"\n",
            allowed: "[[routes]]\npath = \"/\"\nfiles = \"pass\"\n",
            ..unsupported(
                "a file",
                &[("content-type", "multipart/form-data; boundary=x")],
                b"--x\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--x--",
                &["file that is no text", "`files = \"refuse\"`"],
            )
        },
        Refused {
            allowed: "[limits]\njson_depth = 200\n",
            ..unsupported(
                "a deep document",
                &[JSON],
                &[vec![b'['; 150], vec![b']'; 150]].concat(),
                &["`limits.json_depth`"],
            )
        },
        large(
            "a long body",
            "[limits]\nrequest_body = \"1 KiB\"\n",
            &[TEXT],
            vec![b'a'; 1025],
            &["1024 bytes", "`limits.request_body`"],
            "[limits]\nrequest_body = \"2 KiB\"\n",
        ),
        large(
            "a bomb",
            "",
            &[TEXT, ("content-encoding", "zstd")],
            encode("zstd", vec![b'a'; 1 << 20]),
            &["100 times", "`limits.decode_ratio`"],
            "[limits]\ndecode_ratio = 100_000\n",
        ),
        Refused {
            name: "a header that is no text",
            toml: "",
            headers: &[TEXT, ("x-name", "Jos\u{e9}")],
            body: b"hello".to_vec(),
            status: 400,
            problem: "bad-header",
            says: &["`x-name`", "UTF-8", "`keep` under [headers]"],
            allowed: "[headers]\nkeep = [\"x-name\"]\n",
        },
    ]
}

/// Sends the request as it is, header values as Latin-1, and gives status and
/// body of the reply.
async fn send(dialogue: &Dialogue, refused: &Refused) -> (u16, String) {
    let mut head =
        format!("POST /any HTTP/1.1\r\nhost: x\r\n{}: {}\r\nconnection: close\r\n", CONSENT.0, CONSENT.1).into_bytes();
    for (name, value) in refused.headers {
        head.extend_from_slice(format!("{name}: ").as_bytes());
        head.extend(value.chars().map(|c| u8::try_from(u32::from(c)).unwrap()));
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("content-length: {}\r\n\r\n", refused.body.len()).as_bytes());
    let mut wire = Wire::connect(&dialogue.privet.gateway).await;
    wire.send([head, refused.body.clone()].concat()).await;
    let reply = String::from_utf8(wire.rest().await).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn each_refusal_tells_its_reason_and_the_setting_that_allows_it() {
    let mut dialogues: HashMap<&str, Dialogue> = HashMap::new();
    for refused in all() {
        let name = refused.name;
        for toml in [refused.toml, refused.allowed] {
            if !dialogues.contains_key(toml) {
                dialogues.insert(toml, Dialogue::new(toml).await);
            }
        }
        let dialogue = &dialogues[refused.toml];
        let before = dialogue.upstream.recorded().len();
        let (status, told) = send(dialogue, &refused).await;
        assert_eq!(status, refused.status, "{name}: {told}");
        let problem: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(problem["type"], format!("urn:privet:problem:{}", refused.problem), "{name}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(refused.says.iter().all(|part| detail.contains(part)), "{name}: {detail}");
        assert!(!told.contains("ana") && !told.contains("464"), "{name}: {told}");
        assert_eq!(dialogue.upstream.recorded().len(), before, "{name}");
        let dialogue = &dialogues[refused.allowed];
        assert_eq!(send(dialogue, &refused).await.0, 200, "{name} with {}", refused.allowed);
        assert!(dialogue.upstream.last().body == refused.body, "{name}");
    }
}
