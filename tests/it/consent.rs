//! Consent at the wire: without it nothing reaches the chatbot.

use crate::support::{Answer, Client, Privet, Setup, Upstream, chat, scratch_folder, tokens};
use privet::store::{Row, Space};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

const EMAIL: &str = "ana.lopez@example.com";

const POLICY: &str = r#"
[[purposes]]
name = "support"
[[purposes]]
name = "marketing"
sale = true
[[purposes]]
name = "orders"
basis = "contract"
[[purposes]]
name = "product"
basis = "legitimate-interest"
profiling = true

[consent]
policy = "2026-05"
accept_policies = ["2026-05", "2026-01"]
notice_url = "https://shop.example/privacy"

[[routes]]
path = "/"
purpose = "support"
[[routes]]
path = "/v1/embeddings"
purpose = "marketing"
[[routes]]
path = "/v1/embeddings/own"
purpose = "support"
[[routes]]
path = "/orders"
purpose = "orders"
[[routes]]
path = "/product"
purpose = "product"
"#;

async fn gateway(toml: &str) -> (Upstream, Privet, Client) {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).toml(toml).start();
    let client = Client::new(&privet.gateway);
    (upstream, privet, client)
}

#[tokio::test]
async fn without_consent_nothing_reaches_the_chatbot() {
    let (upstream, privet, client) = gateway("").await;
    let headers = [("content-type", "application/json")];
    let reply = client.send("POST", "/v1/chat/completions", &headers, chat(EMAIL).to_string()).await;
    let problem = reply.problem(403, "consent-required");
    assert_eq!(problem["missing"], json!(["support"]));
    assert_eq!(problem["notice"], "/.privet/notice");
    assert_eq!(problem["request_id"].as_str(), reply.header("privet-request-id"));
    assert!(problem["request_id"].as_str().is_some_and(|id| id.len() >= 16));
    assert!(!reply.text().contains("ana"), "{}", reply.text());
    assert_eq!(client.get("/").await.status, 403, "a request without a body needs consent too");
    assert!(upstream.recorded().is_empty(), "{:?}", upstream.recorded());
    privet.metric_becomes("privet_requests_total{outcome=\"refused_consent\",route=\"/\"}", 2).await;
    assert_eq!(privet.metric("privet_consent_denied_total{purpose=\"support\"}").await, 2);
    assert_eq!(privet.metric("privet_rejected_total{problem=\"consent-required\"}").await, 2);
}

/// What a request must be answered with.
#[derive(Clone, Copy)]
enum Want {
    Pass,
    Required(&'static str),
    Stale(&'static str),
}

type Case = (&'static str, &'static [(&'static str, &'static str)], Want);

async fn judge(toml: &str, cases: &[Case]) {
    let (upstream, _privet, client) = gateway(toml).await;
    for (path, headers, want) in cases {
        let before = upstream.recorded().len();
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        let reply = client.send("POST", path, &all, chat("hello").to_string()).await;
        let forwarded = upstream.recorded().len() - before;
        let (name, missing) = match want {
            Want::Pass => {
                assert_eq!((reply.status.as_u16(), forwarded), (200, 1), "{path} {headers:?} {}", reply.text());
                continue;
            }
            Want::Required(purpose) => ("consent-required", purpose),
            Want::Stale(purpose) => ("consent-stale", purpose),
        };
        assert_eq!((reply.status.as_u16(), forwarded), (403, 0), "{path} {headers:?} {}", reply.text());
        let problem = reply.problem(403, name);
        assert_eq!(problem["missing"], json!([missing]), "{path} {headers:?}");
        assert_eq!(problem["notice"], "https://shop.example/privacy");
    }
}

#[tokio::test]
async fn a_header_is_judged_by_its_member_and_its_policy() {
    use Want::{Pass, Required, Stale};
    judge(
        POLICY,
        &[
            ("/", &[], Required("support")),
            ("/", &[("privet-consent", "support")], Pass),
            ("/", &[("privet-consent", "support=?1, marketing=?0")], Pass),
            ("/", &[("privet-consent", "support;by=widget, method=click, at=@1767225600")], Pass),
            ("/", &[("privet-consent", "support=?0")], Required("support")),
            ("/", &[("privet-consent", "support=1")], Required("support")),
            ("/", &[("privet-consent", "support=yes")], Required("support")),
            ("/", &[("privet-consent", "support=(a b)")], Required("support")),
            ("/", &[("privet-consent", "marketing")], Required("support")),
            ("/", &[("privet-consent", "policy=\"2026-05\"")], Required("support")),
            // What does not parse counts as absent.
            ("/", &[("privet-consent", "Support")], Required("support")),
            ("/", &[("privet-consent", "support,")], Required("support")),
            ("/", &[("privet-consent", "support marketing")], Required("support")),
            ("/", &[("privet-consent", "support, \u{e9}")], Required("support")),
            ("/", &[("privet-consent", "")], Required("support")),
            // Versions of the notice.
            ("/", &[("privet-consent", "support, policy=\"2026-05\"")], Pass),
            ("/", &[("privet-consent", "support, policy=\"2026-01\"")], Pass),
            ("/", &[("privet-consent", "support, policy=\"2025-01\"")], Stale("support")),
            ("/", &[("privet-consent", "support=?0, policy=\"2025-01\"")], Required("support")),
            // Lines of one header are one dictionary, and the last member counts.
            ("/", &[("privet-consent", "marketing=?0"), ("privet-consent", "support")], Pass),
            ("/", &[("privet-consent", "support"), ("privet-consent", "policy=\"2025-01\"")], Stale("support")),
            ("/", &[("privet-consent", "support"), ("privet-consent", "support=?0")], Required("support")),
            // A token that nobody verifies gives nothing.
            ("/", &[("privet-consent-token", "eyJhbGciOiJub25lIn0.e30.")], Required("support")),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_route_asks_for_its_own_purpose_and_the_longest_path_wins() {
    use Want::{Pass, Required};
    const BOTH: &[(&str, &str)] = &[("privet-consent", "support, marketing")];
    const SUPPORT: &[(&str, &str)] = &[("privet-consent", "support")];
    const MARKETING: &[(&str, &str)] = &[("privet-consent", "marketing")];
    judge(
        POLICY,
        &[
            ("/v1/embeddings", BOTH, Pass),
            ("/v1/embeddings", MARKETING, Pass),
            ("/v1/embeddings", SUPPORT, Required("marketing")),
            ("/v1/embeddings?x=/", SUPPORT, Required("marketing")),
            ("/v1/embeddings/", SUPPORT, Required("marketing")),
            ("/v1/embeddings/other", SUPPORT, Required("marketing")),
            ("/v1/embeddings/own", SUPPORT, Pass),
            ("/v1/embeddings/own/x", MARKETING, Required("support")),
            ("/v1/embeddings/owner", SUPPORT, Required("marketing")),
            ("/v1/embeddingsx", SUPPORT, Pass),
            ("/v1", MARKETING, Required("support")),
            // Other spellings of the path.
            ("//v1/embeddings", SUPPORT, Required("marketing")),
            ("/v1/./embeddings", SUPPORT, Required("marketing")),
            ("/v1/x/../embeddings", SUPPORT, Required("marketing")),
            ("/v1/%65mbeddings", SUPPORT, Required("marketing")),
            ("/v1/embeddings/own/../x", SUPPORT, Required("marketing")),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_objection_outweighs_and_other_bases_ask_for_nothing() {
    use Want::{Pass, Required};
    judge(
        POLICY,
        &[
            ("/", &[("privet-consent", "support"), ("sec-gpc", "1")], Pass),
            ("/v1/embeddings", &[("privet-consent", "marketing"), ("sec-gpc", "1")], Required("marketing")),
            ("/v1/embeddings", &[("privet-consent", "marketing"), ("sec-gpc", "0")], Pass),
            ("/orders", &[], Pass),
            ("/orders", &[("sec-gpc", "1")], Pass),
            ("/orders", &[("privet-consent", "orders=?0")], Pass),
            ("/product", &[], Pass),
            ("/product", &[("privet-consent", "product")], Pass),
            ("/product", &[("privet-consent", "product=?0")], Required("product")),
            ("/product", &[("sec-gpc", "1")], Required("product")),
            ("/product", &[("privet-consent", "product"), ("sec-gpc", "1")], Required("product")),
        ],
    )
    .await;
}

#[tokio::test]
async fn without_a_policy_any_version_is_taken() {
    let (upstream, _privet, client) = gateway("").await;
    let reply = client.chat(&chat("hi"), &[("privet-consent", "policy=\"1999\"")]).await;
    assert_eq!(reply.says(), "ok");
    assert_eq!(upstream.recorded().len(), 1);
}

#[tokio::test]
async fn without_consent_a_route_may_anonymize() {
    let folder = scratch_folder();
    // Says back the last message, and the token of an earlier request.
    let upstream = Upstream::start(|request| {
        let earlier = request.headers.get("x-quote").map_or("", |value| value.to_str().unwrap());
        Answer::says(&format!("{} {earlier}", request.said())).header("etag", "\"v1\"")
    })
    .await;
    let toml = "[[routes]]\npath = \"/\"\nwithout_consent = \"anonymize\"\n";
    let privet = Setup::new(&upstream).vault(folder.path()).toml(toml).start();
    let client = Client::new(&privet.gateway);
    let subject = ("privet-subject", "u1");

    let with = client.chat(&chat(EMAIL), &[subject]).await;
    assert_eq!(with.says(), format!("{EMAIL} "));
    let token = tokens(&upstream.last().said())[0].clone();
    let (lines, before) = contents(folder.path(), 0).await;

    let said = format!("from {EMAIL} to bo@example.org and {EMAIL}");
    let headers = [("content-type", "application/json"), subject, ("x-quote", token.as_str())];
    let reply = client.send("POST", "/v1/chat/completions", &headers, chat(&said).to_string()).await;
    assert_eq!(upstream.last().said(), "from [EMAIL] to [EMAIL] and [EMAIL]");
    assert_eq!(reply.says(), format!("from [EMAIL] to [EMAIL] and [EMAIL] {token}"), "the reply was restored");
    assert_eq!(reply.header("privet-redacted"), Some("email=3"));
    assert_eq!(reply.header("etag"), Some("\"v1\""), "an untouched reply keeps its validators");
    assert!(contents(folder.path(), lines).await.1 == before, "the vault was changed");
    privet.metric_becomes("privet_requests_total{outcome=\"anonymized\",route=\"/\"}", 1).await;
    assert_eq!(privet.metric("privet_consent_denied_total{purpose=\"support\"}").await, 1);

    // A refusal anonymizes as silence does; consent brings the way back.
    let refused = [("content-type", "application/json"), ("privet-consent", "support=?0")];
    client.send("POST", "/v1/chat/completions", &refused, chat(EMAIL).to_string()).await;
    assert_eq!(upstream.last().said(), "[EMAIL]");
    assert_eq!(client.chat(&chat(EMAIL), &[subject]).await.says(), format!("{EMAIL} "));
    assert_eq!(tokens(&upstream.last().said()), [token]);
}

/// All that a vault holds but for the access log: rows by their tables and keys.
type Rows = BTreeMap<(&'static str, Vec<u8>), Vec<u8>>;

/// How many lines the access log in a folder has, as soon as it has more than
/// `lines`, and what the vault holds then: lines are written behind the replies.
async fn contents(folder: &Path, lines: usize) -> (usize, Rows) {
    let started = Instant::now();
    loop {
        // A file that changes while it is copied may not be readable.
        match read_copy(folder) {
            Ok((found, rows)) if found > lines => return (found, rows),
            read => {
                let read = read.map(|(found, rows)| (found, rows.len()));
                assert!(started.elapsed() < Duration::from_secs(10), "no line after {lines}: {read:?}");
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many lines of the access log a copy of the vault's file holds, and the rest of it.
fn read_copy(folder: &Path) -> Result<(usize, Rows), redb::Error> {
    let copy = scratch_folder();
    let file = copy.path().join("vault.redb");
    std::fs::copy(folder.join("vault.redb"), &file)?;
    let database = Database::open(&file)?;
    let reading = database.begin_read()?;
    let (mut lines, mut rows) = (0, Rows::new());
    for name in ["subjects", "mappings", "records"] {
        for row in reading.open_table(TableDefinition::<&[u8], &[u8]>::new(name))?.iter()? {
            let (key, value) = row?;
            let space = key.value().get(Row::LEN).filter(|_| name == "records");
            match space.and_then(|number| Space::from_number(*number)) {
                Some(Space::Audit) => lines += 1,
                Some(Space::Checkpoint) => {}
                _ => drop(rows.insert((name, key.value().to_vec()), value.value().to_vec())),
            }
        }
    }
    Ok((lines, rows))
}

#[tokio::test]
async fn what_is_privets_own_does_not_travel_upstream() {
    let (upstream, _privet, client) = gateway("").await;
    let headers = [
        ("content-type", "application/json"),
        ("privet-consent", "support"),
        ("privet-subject", "u1"),
        ("privet-conversation", "c1"),
        ("privet-consent-token", "x.y.z"),
        ("privet-of-tomorrow", "1"),
    ];
    let reply = client.send("POST", "/v1/chat/completions", &headers, chat(EMAIL).to_string()).await;
    assert_eq!(reply.status, 200);
    let by_header = upstream.last();
    assert!(by_header.headers.keys().all(|name| !name.as_str().starts_with("privet-")), "{:?}", by_header.headers);

    let query = "a=1&privet-consent=support%2C+policy%3D%222026-05%22&b=%20&privet-subject=u1&privet-conversation=c1&privet-consent-token=x&a=2";
    let headers = [("content-type", "application/json")];
    let target = format!("/v1/chat/completions?{query}");
    let reply = client.send("POST", &target, &headers, chat(EMAIL).to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let by_query = upstream.last();
    assert_eq!(by_query.target, "/v1/chat/completions?a=1&b=%20&a=2");
    assert!(by_query.headers.keys().all(|name| !name.as_str().starts_with("privet-")), "{:?}", by_query.headers);
    assert_eq!(by_query.said(), by_header.said(), "the subject of the query is that of the header");

    let only_own = "/v1/chat/completions?privet-consent=support";
    client.send("POST", only_own, &headers, chat("hi").to_string()).await;
    assert_eq!(upstream.last().target, "/v1/chat/completions");
    let refused = client.send("POST", "/v1/chat/completions?privet-consent=support%3D%3F0", &headers, "{}").await;
    refused.problem(403, "consent-required");
}

#[tokio::test]
async fn a_subject_that_is_none_is_refused() {
    let (upstream, _privet, client) = gateway("").await;
    let long = "x".repeat(129);
    let bad: &[&[(&str, &str)]] = &[
        &[("privet-subject", "")],
        &[("privet-subject", "ana maria")],
        &[("privet-subject", "?1")],
        &[("privet-subject", "u1;v=1")],
        &[("privet-subject", "u1, u2")],
        &[("privet-subject", "\"open")],
        &[("privet-subject", &long)],
        &[("privet-subject", "u1"), ("privet-subject", "u2")],
        &[("privet-subject", "u1"), ("privet-subject", "u1")],
        &[("privet-conversation", "a b")],
    ];
    for headers in bad {
        let reply = client.chat(&chat("hi"), headers).await;
        let problem = reply.problem(400, "bad-header");
        assert_eq!(problem["request_id"].as_str(), reply.header("privet-request-id"));
        assert!(!reply.text().contains("maria") && !reply.text().contains("xxx"), "{headers:?}");
    }
    assert!(upstream.recorded().is_empty());
    // With and without quotes it is the same person.
    let mut seen = Vec::new();
    for form in ["8a6e0804-2bd0", "\"8a6e0804-2bd0\""] {
        client.chat(&chat(EMAIL), &[("privet-subject", form)]).await;
        seen.push(upstream.last().said());
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(tokens(&seen[0]).len(), 1);
}

#[tokio::test]
async fn privets_own_paths_are_never_forwarded() {
    let (upstream, _privet, client) = gateway("[consent]\npolicy = \"2026-05\"\n").await;
    let consent = [("privet-consent", "support")];
    let notice = client.get("/.privet/notice").await;
    assert_eq!((notice.status.as_u16(), notice.header("content-type")), (200, Some("application/json")));
    assert_eq!(notice.json()["policy"], "2026-05");
    assert_eq!(notice.json()["purposes"][0]["name"], "support");
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/.privet", "/.privet/", "/.privet/none", "/.privet/none?x=1", "/.privet/a/b", "/.privet/../v1"] {
            let reply = client.send(method, path, &consent, "").await;
            reply.problem(404, "not-found");
        }
    }
    // The same place by other spellings.
    for path in ["//.privet/none", "/./.privet/none", "/x/../.privet/none", "/%2Eprivet/none", "/%2e%70rivet/none"] {
        let reply = client.send("GET", path, &consent, "").await;
        assert_eq!(reply.status, 404, "{path} was forwarded");
    }
    assert!(upstream.recorded().is_empty(), "{:?}", upstream.recorded());
    // A name that only begins so is the chatbot's.
    client.send("GET", "/.privetly", &consent, "").await;
    assert_eq!(upstream.only().target, "/.privetly");
}

const SHOP: &str = "https://shop.example";

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read_problems() {
    let toml = "[cors]\norigins = [\"https://shop.example\", \"http://localhost:3000\"]\n";
    let upstream =
        Upstream::start(|_| Answer::says("ok").header("access-control-allow-origin", "*").header("vary", "accept"))
            .await;
    let privet = Setup::new(&upstream).toml(toml).start();
    let client = Client::new(&privet.gateway);
    let preflight = |origin: &'static str| {
        [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,privet-consent,x-own"),
        ]
    };
    for origin in [SHOP, "http://localhost:3000"] {
        let reply = client.send("OPTIONS", "/v1/chat/completions", &preflight(origin), "").await;
        assert_eq!(reply.status, 204);
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        let allowed = reply.header("access-control-allow-headers").unwrap().to_lowercase();
        for name in ["privet-consent", "privet-subject", "privet-conversation", "privet-consent-token", "x-own"] {
            assert!(allowed.split(',').any(|one| one.trim() == name), "{name}: {allowed}");
        }
        assert!(reply.header("access-control-allow-methods").unwrap().contains("POST"));
    }
    let other = client.send("OPTIONS", "/v1/chat/completions", &preflight("https://evil.example"), "").await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    assert!(upstream.recorded().is_empty(), "a preflight was forwarded");

    let readable = |reply: &crate::support::Reply| {
        assert_eq!(reply.headers.get_all("access-control-allow-origin").iter().count(), 1);
        assert_eq!(reply.header("access-control-allow-origin"), Some(SHOP));
        let exposed = reply.header("access-control-expose-headers").unwrap().to_lowercase();
        assert!(exposed.contains("privet-redacted") && exposed.contains("privet-request-id"), "{exposed}");
        let vary: Vec<_> = reply.headers.get_all("vary").iter().map(|v| v.to_str().unwrap().to_lowercase()).collect();
        assert!(vary.iter().any(|value| value.contains("origin")), "{vary:?}");
    };
    let headers = [("content-type", "application/json"), ("origin", SHOP)];
    let refused = client.send("POST", "/v1/chat/completions", &headers, chat("hi").to_string()).await;
    refused.problem(403, "consent-required");
    readable(&refused);
    readable(&client.chat(&chat("hi"), &[("origin", SHOP)]).await);
    readable(&client.send("GET", "/.privet/notice", &[("origin", SHOP)], "").await);
    // The chatbot allows everybody; that is not for it to say.
    let forwarded = upstream.recorded().len();
    let evil = client.chat(&chat("hi"), &[("origin", "https://evil.example")]).await;
    evil.problem(403, "origin-refused");
    assert_eq!(evil.header("access-control-allow-origin"), None);
    assert_eq!(upstream.recorded().len(), forwarded);
}

#[tokio::test]
async fn a_page_of_another_origin_reaches_nothing() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).toml("[cors]\norigins = [\"https://shop.example\"]\n").start();
    let client = Client::new(&privet.gateway);
    // What browsers send without asking first: a text, with all that is needed in the address.
    let simple = [("content-type", "text/plain"), ("origin", "https://evil.example")];
    let address = "/v1/chat/completions?privet-consent=support";
    client.send("POST", address, &simple, "hi").await.problem(403, "origin-refused");
    client.send("DELETE", "/.privet/consent", &simple, "").await.problem(403, "origin-refused");
    let handshake = [
        ("origin", "https://evil.example"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    client.send("GET", "/chat?privet-consent=support", &handshake, "").await.problem(403, "origin-refused");
    assert!(upstream.recorded().is_empty(), "{:?}", upstream.recorded());
    let listed = [("content-type", "text/plain"), ("origin", SHOP)];
    assert_eq!(client.send("POST", address, &listed, "hi").await.status, 200);
}

#[tokio::test]
async fn without_origins_the_chatbot_answers_preflights() {
    let (upstream, _privet, client) = gateway("").await;
    let headers = [("origin", SHOP), ("access-control-request-method", "POST")];
    let reply = client.send("OPTIONS", "/v1/chat/completions", &headers, "").await;
    assert_eq!((reply.status.as_u16(), upstream.only().method.as_str()), (200, "OPTIONS"));
    // An OPTIONS that is no preflight needs consent like any request.
    client.send("OPTIONS", "/v1/chat/completions", &[("origin", SHOP)], "").await.problem(403, "consent-required");
    // So does one with a body, which no browser sends.
    let reply = client.send("OPTIONS", "/v1/chat/completions", &headers, "a message").await;
    reply.problem(403, "consent-required");
    assert_eq!(upstream.recorded().len(), 1);
}

#[tokio::test]
async fn a_refusal_says_what_to_mend() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let told = async |toml: &str, headers: &[(&str, &str)]| {
        let privet = Setup::new(&upstream).toml(toml).start();
        let body = chat("hi").to_string();
        let reply = Client::new(&privet.gateway).send("POST", "/v1/chat/completions", headers, body).await;
        reply.problem(403, "consent-required")["detail"].as_str().unwrap().to_owned()
    };
    let json = ("content-type", "application/json");
    assert!(told("", &[json]).await.contains("send it as `Privet-Consent`."));
    let unread = told("", &[json, ("privet-consent", "support,")]).await;
    assert!(unread.contains("`Privet-Consent` cannot be read"), "{unread}");
    let signed = "[consent]\nrequire_signed = true\nhs256_secret = \"thirty-two bytes that the site knows\"\n";
    let header = told(signed, &[json, ("privet-consent", "support")]).await;
    assert!(header.contains("send it as `Privet-Consent-Token`"), "{header}");
    let void = told(signed, &[json, ("privet-consent-token", "e30.e30.x")]).await;
    assert!(void.contains("`Privet-Consent-Token` does not hold"), "{void}");
}
