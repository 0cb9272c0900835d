//! Consent that is kept: given, shown and withdrawn at `/.privet/consent`, and
//! what follows from it for the chat.

use crate::admin::{operator, output};
use crate::support::{
    Answer, CONSENT, Client, KEY, PATIENCE, Privet, Reply, Setup, Socket, SocketUpstream, Upstream, chat, chat_stream,
    privet, scratch_folder, tokens,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

const EMAIL: &str = "ana.lopez@example.com";
const CHAT: &str = "/v1/chat/completions";
const CONSENT_PATH: &str = "/.privet/consent";
const JSON: (&str, &str) = ("content-type", "application/json");
const ANA: (&str, &str) = ("privet-subject", "ana");

const PURPOSES: &str = r#"
[[purposes]]
name = "support"
[[purposes]]
name = "marketing"
sale = true
[[purposes]]
name = "product"
basis = "legitimate-interest"
[[purposes]]
name = "orders"
basis = "contract"

[consent]
policy = "2026-05"
accept_policies = ["2026-05", "2026-01"]

[[routes]]
path = "/"
purpose = "support"
[[routes]]
path = "/marketing"
purpose = "marketing"
[[routes]]
path = "/product"
purpose = "product"
[[routes]]
path = "/orders"
purpose = "orders"
"#;

async fn gateway(toml: &str) -> (Upstream, Privet, Client) {
    let upstream = Upstream::start(|request| Answer::says(&request.said())).await;
    let privet = Setup::new(&upstream).toml(toml).start();
    let client = Client::new(&privet.gateway);
    (upstream, privet, client)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn say(client: &Client, path: &str, headers: &[(&str, &str)]) -> u16 {
    let all: Vec<_> = [JSON].iter().chain(headers).copied().collect();
    client.send("POST", path, &all, chat(EMAIL).to_string()).await.status.as_u16()
}

async fn give(client: &Client, body: &Value, headers: &[(&str, &str)]) -> Reply {
    let all: Vec<_> = [JSON].iter().chain(headers).copied().collect();
    client.send("POST", CONSENT_PATH, &all, body.to_string()).await
}

async fn withdraw(client: &Client, query: &str, headers: &[(&str, &str)]) -> Value {
    let reply = client.send("DELETE", &format!("{CONSENT_PATH}{query}"), headers, "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn a_post_stands_until_it_is_withdrawn() {
    let (upstream, _privet, client) = gateway(PURPOSES).await;
    assert_eq!(say(&client, CHAT, &[ANA]).await, 403);
    let given =
        give(&client, &json!({"purposes": {"support": true, "marketing": false}, "method": "click"}), &[ANA]).await;
    assert_eq!(given.status, 200, "{}", given.text());
    assert_eq!(given.json()["given"], json!(["support"]));
    assert_eq!(given.json()["consent"]["support"]["given"], true);
    assert_eq!(say(&client, CHAT, &[ANA]).await, 200);
    assert_eq!(say(&client, CHAT, &[("privet-subject", "bo")]).await, 403, "it is another person's");
    assert_eq!(say(&client, "/marketing", &[ANA]).await, 403);
    // A refusal of the request outweighs the record, and is of its own affair.
    assert_eq!(say(&client, CHAT, &[ANA, ("privet-consent", "support=?0")]).await, 403);
    assert_eq!(say(&client, CHAT, &[ANA, ("privet-consent", "marketing=?0")]).await, 200);
    assert_eq!(say(&client, CHAT, &[ANA]).await, 200);

    let before = upstream.recorded().len();
    let told = withdraw(&client, "?purpose=support", &[ANA]).await;
    assert_eq!(told["withdrawn"], json!(["support"]));
    assert_eq!(told["effects"][0]["path"], "/");
    assert_eq!(told["effects"][0]["from_now_on"], "refused");
    assert_eq!(say(&client, CHAT, &[ANA]).await, 403);
    assert_eq!(say(&client, CHAT, &[ANA, CONSENT]).await, 403, "a header that says no time gave before");
    let earlier = format!("support, at=@{}", now() - 60);
    assert_eq!(say(&client, CHAT, &[ANA, ("privet-consent", &earlier)]).await, 403);
    assert_eq!(upstream.recorded().len(), before);
    let later = format!("support, at=@{}", now() + 5);
    assert_eq!(say(&client, CHAT, &[ANA, ("privet-consent", &later)]).await, 200);
    assert_eq!(say(&client, CHAT, &[ANA]).await, 403, "a header speaks for its own request");
    assert_eq!(withdraw(&client, "", &[ANA]).await["withdrawn"], json!(["product"]), "the rest was withdrawn before");

    give(&client, &json!({"purposes": {"support": true}}), &[ANA]).await;
    assert_eq!(say(&client, CHAT, &[ANA]).await, 200);
    assert_eq!(say(&client, CHAT, &[ANA, CONSENT]).await, 200);
}

#[tokio::test]
async fn headers_give_as_a_body_does() {
    let (_upstream, _privet, client) = gateway(PURPOSES).await;
    let header = ("privet-consent", "support, policy=\"2026-01\", method=click, at=@1767225600");
    let given = client.send("POST", CONSENT_PATH, &[ANA, header], "").await;
    assert_eq!((given.status.as_u16(), &given.json()["given"]), (200, &json!(["support"])));
    assert_eq!(say(&client, CHAT, &[ANA]).await, 200);
    let told = client.send("DELETE", CONSENT_PATH, &[ANA, ("privet-consent", "support")], "").await.json();
    assert_eq!(told["withdrawn"], json!(["support"]));
    assert_eq!(say(&client, CHAT, &[ANA]).await, 403);
    // An address speaks for nobody here: any page could lead there.
    let reply = client.send("POST", "/.privet/consent?privet-consent=support&privet-subject=ana", &[], "").await;
    reply.problem(400, "bad-request");
}

#[tokio::test]
async fn the_ledger_outlives_a_crash() {
    let folder = scratch_folder();
    let upstream = Upstream::start(|request| Answer::says(&request.said())).await;
    let start = || Setup::new(&upstream).vault(folder.path()).toml(PURPOSES).start();
    let privet = start();
    let client = Client::new(&privet.gateway);
    give(&client, &json!({"purposes": {"support": true, "marketing": true}}), &[ANA]).await;
    withdraw(&client, "?purpose=marketing", &[ANA]).await;
    privet.kill_and_read();
    let privet = start();
    let client = Client::new(&privet.gateway);
    assert_eq!(say(&client, CHAT, &[ANA]).await, 200);
    assert_eq!(say(&client, "/marketing", &[ANA]).await, 403);
    let receipt = client.send("GET", CONSENT_PATH, &[ANA], "").await.json();
    let states: Vec<_> = receipt["event"].as_array().unwrap().iter().map(|one| one["event_state"].clone()).collect();
    assert_eq!(states, ["consent_given", "consent_withdrawn"]);
    assert_eq!(receipt["consent"]["support"]["given"], true);

    // A command finds the same, beside the gateway and without it.
    let url = format!("embedded:{}", folder.path().display());
    let ask = async |command: &[&str]| {
        let mut asked = crate::support::privet();
        asked.args(command).args(["--vault", &url]).env("PRIVET_KEY", KEY);
        let ended = tokio::task::spawn_blocking(move || asked.output().unwrap()).await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8(ended.stderr).unwrap());
        serde_json::from_slice::<Value>(&ended.stdout).unwrap()
    };
    let beside = ask(&["subject", "consent", "ana"]).await;
    assert_eq!(beside["event"], receipt["event"]);
    let counted = ask(&["report", "consent", "--format", "json"]).await;
    assert_eq!((&counted["subjects"], &counted["purposes"]["marketing"]["withdrawn"]), (&json!(1), &json!(1)));
    privet.kill_and_read();
    assert_eq!(ask(&["subject", "consent", "ana"]).await["event"], receipt["event"]);
}

#[tokio::test]
async fn an_objection_stands_against_legitimate_interest_and_gpc_against_sale() {
    let (_upstream, _privet, client) = gateway(PURPOSES).await;
    assert_eq!(say(&client, "/product", &[ANA]).await, 200);
    assert_eq!(withdraw(&client, "?purpose=product", &[ANA]).await["withdrawn"], json!(["product"]));
    assert_eq!(say(&client, "/product", &[ANA]).await, 403);
    assert_eq!(say(&client, "/orders", &[ANA]).await, 200, "a contract is not withdrawn here");
    let gpc = ("sec-gpc", "1");
    let given = give(&client, &json!({"purposes": {"support": true, "marketing": true}}), &[ANA, gpc]).await;
    assert_eq!(given.json()["given"], json!(["support"]));
    assert_eq!(say(&client, "/marketing", &[ANA]).await, 403);
    give(&client, &json!({"purposes": {"marketing": true}}), &[ANA]).await;
    assert_eq!(say(&client, "/marketing", &[ANA]).await, 200);
    assert_eq!(say(&client, "/marketing", &[ANA, gpc]).await, 403, "it objects at once");
}

#[tokio::test]
async fn a_signal_ends_what_began_without_it() {
    let upstream = Upstream::start(|_| {
        let event =
            bytes::Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi \"}}]}\n\n");
        Answer::new("text/event-stream", vec![event; 100]).gate(&Arc::new(Semaphore::new(1)))
    })
    .await;
    let privet = Setup::new(&upstream).toml(PURPOSES).start();
    let client = Client::new(&privet.gateway);
    let (bo, gpc, marketing) = (("privet-subject", "bo"), ("sec-gpc", "1"), ("privet-consent", "support, marketing"));
    let open = async |path: &str, who: (&'static str, &'static str)| {
        let body = chat_stream("hi").to_string();
        let reply = client.open("POST", path, &[JSON, marketing, who], body).await;
        assert_eq!(reply.status(), 200, "{path}");
        let mut stream = reply.into_body();
        stream.frame().await.unwrap().unwrap();
        stream
    };
    for path in ["/marketing", CHAT] {
        let (mut hers, mut his, mut other) =
            (open("/marketing", ANA).await, open("/marketing", bo).await, open(CHAT, ANA).await);
        // The signal may come with anything that she sends.
        let status = client.open("POST", path, &[JSON, marketing, ANA, gpc], chat_stream("hi").to_string()).await;
        assert_eq!(status.status() == 200, path == CHAT);
        let ended = tokio::time::timeout(PATIENCE, hers.frame()).await.expect("it goes on");
        assert!(ended.is_none_or(|frame| frame.is_err()));
        for goes_on in [&mut his, &mut other] {
            assert!(tokio::time::timeout(Duration::from_millis(200), goes_on.frame()).await.is_err(), "it goes on");
        }
    }
    // It speaks for its own moment.
    drop(open("/marketing", ANA).await);
}

#[tokio::test]
async fn what_is_no_consent_changes_nothing() {
    let (_upstream, _privet, client) = gateway(PURPOSES).await;
    let post =
        async |headers: &[(&str, &str)], body: &str| client.send("POST", CONSENT_PATH, headers, body.to_owned()).await;
    let yes = r#"{"purposes": {"support": true}}"#;
    post(&[JSON], yes).await.problem(400, "bad-request");
    post(&[JSON, ("privet-subject", "a b")], yes).await.problem(400, "bad-header");
    post(&[JSON, ANA], "{").await.problem(400, "bad-request");
    post(&[JSON, ANA], "[]").await.problem(400, "bad-request");
    post(&[JSON, ANA], "{}").await.problem(400, "bad-request");
    post(&[ANA], "").await.problem(400, "bad-request");
    post(&[ANA, ("privet-consent", "support,")], "").await.problem(400, "bad-header");
    post(&[JSON, ANA], r#"{"purposes": {"support": 1, "marketing": "true"}}"#).await.problem(400, "bad-request");
    let unknown = post(&[JSON, ANA], r#"{"purposes": {"other": true}}"#).await.problem(400, "bad-request");
    assert!(unknown["detail"].as_str().unwrap().contains("support, marketing"), "{unknown}");
    // A page of another origin can send text without leave, and no JSON.
    post(&[ANA, ("content-type", "text/plain")], yes).await.problem(415, "unsupported-body");
    post(&[JSON, ANA], &" ".repeat(17_000)).await.problem(413, "too-large");
    let stale = post(&[JSON, ANA], r#"{"purposes": {"support": true}, "policy": "2025-01"}"#).await;
    assert_eq!(stale.problem(403, "consent-stale")["missing"], json!(["support"]));
    client.send("DELETE", "/.privet/consent?purpose=other", &[ANA], "").await.problem(400, "bad-request");
    client.send("DELETE", "/.privet/consent?tenant=other", &[ANA], "").await.problem(400, "bad-request");
    let put = client.send("PUT", CONSENT_PATH, &[ANA], "").await;
    put.problem(405, "method-not-allowed");
    assert_eq!(put.header("allow"), Some("GET, HEAD, POST, DELETE"));
    let receipt = client.send("GET", CONSENT_PATH, &[ANA], "").await.json();
    assert_eq!((&receipt["event_count"], &receipt["consent"]["support"]["given"]), (&json!(0), &json!(false)));
    assert_eq!(say(&client, CHAT, &[ANA]).await, 403);
}

#[tokio::test]
async fn a_receipt_tells_the_latest_of_many_statements() {
    let (_upstream, _privet, client) = gateway(PURPOSES).await;
    for n in 0..130 {
        give(&client, &json!({"purposes": {"support": n % 2 == 0}}), &[ANA]).await;
    }
    let given = give(&client, &json!({"purposes": {"marketing": true}}), &[ANA]).await.json();
    let shown = client.send("GET", CONSENT_PATH, &[ANA], "").await.json();
    for receipt in [&shown, &given["receipt"]] {
        let events = receipt["event"].as_array().unwrap();
        assert_eq!((&receipt["event_count"], events.len()), (&json!(131), 100));
        assert_eq!((&events[0]["event_id"], &events[99]["event_id"]), (&json!(31), &json!(130)));
        let consent = &receipt["consent"];
        assert_eq!((&consent["support"]["given"], &consent["marketing"]["given"]), (&json!(false), &json!(true)));
    }
}

#[tokio::test]
async fn a_receipt_tells_what_was_agreed_to_when_how_and_with_whom() {
    let upstream = Upstream::start(|request| Answer::says(&request.said())).await;
    let toml = format!(
        "[[upstreams]]\nname = \"eu\"\nurl = \"{}\"\nregion = \"eu\"\ncountry = \"DE\"\nrecipient = \"Example Models GmbH\"\n\
         [[notices]]\nlang = \"en\"\ntitle = \"May we?\"\ntext = \"We would like to.\"\n{PURPOSES}[recipients]\nregions = [\"eu\"]\n",
        upstream.url()
    );
    let privet = Setup::without_upstream().toml(&toml).start();
    let client = Client::new(&privet.gateway);
    let header = ("privet-consent", "support, policy=\"2026-01\", method=\"ana@example.com\", at=@1767225600");
    for _ in 0..3 {
        assert_eq!(say(&client, CHAT, &[ANA, header]).await, 200);
    }
    assert_eq!(say(&client, "/product", &[ANA, header]).await, 200);
    let body = json!({"purposes": {"support": true}, "method": "click", "at": 1_767_225_601, "lang": "en", "channel": "widget"});
    give(&client, &body, &[ANA]).await;
    let reply = client.send("GET", CONSENT_PATH, &[ANA], "").await;
    let receipt = reply.json();
    let events = receipt["event"].as_array().unwrap();
    assert_eq!(events.len(), 3, "a statement is kept once for each purpose of a request: {events:?}");
    let first = &events[0];
    assert_eq!((&first["channel"], &first["scope"]), (&json!("header"), &json!("support")));
    assert_eq!((&first["policy"], &first["stated_time"]), (&json!("2026-01"), &json!("2026-01-01T00:00:00Z")));
    assert_eq!(first["recipient"], "Example Models GmbH");
    assert_eq!((&events[1]["scope"], &events[2]["channel"]), (&json!("product"), &json!("widget")));
    assert_eq!((&events[2]["method"], &events[2]["language"]), (&json!("click"), &json!("en")));
    assert_eq!(events[2]["notice_hash"], receipt["notice_hash"]);
    assert!(receipt["notice_hash"].as_str().unwrap().starts_with("sha-256:"));
    assert_eq!(receipt["schema_version"], "ISO/IEC TS 27560:2023");
    assert_eq!(receipt["party_identification"][0]["party_country"], "DE");
    let support = &receipt["purposes"][0];
    assert_eq!((&support["purpose"], &support["lawful_basis"]), (&json!("support"), &json!("consent")));
    assert_eq!(support["recipient_third_parties"], json!(["Example Models GmbH"]));
    // It names the person by a hash alone, and keeps no free text of hers.
    assert!(!reply.text().contains("ana"), "{}", reply.text());
    assert_eq!(receipt["pii_principal_id"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn a_withdrawal_cuts_a_running_stream_within_a_second() {
    for (content_type, on_disk) in [("text/event-stream", false), ("application/octet-stream", true)] {
        // Each stream has a gate of its own, which one piece may pass.
        let gates = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&gates);
        let upstream = Upstream::start(move |_| {
            let event =
                bytes::Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi \"}}]}\n\n");
            let gate = Arc::new(Semaphore::new(1));
            all.lock().unwrap().push(Arc::clone(&gate));
            Answer::new(content_type, vec![event; 100]).gate(&gate)
        })
        .await;
        let folder = scratch_folder();
        let setup = Setup::new(&upstream).toml(PURPOSES);
        let privet = if on_disk { setup.vault(folder.path()) } else { setup }.start();
        let client = Client::new(&privet.gateway);
        let bo = ("privet-subject", "bo");
        let mut streams = Vec::new();
        for who in [ANA, bo] {
            let body = chat_stream("hi").to_string();
            let mut stream = client.open("POST", CHAT, &[JSON, CONSENT, who], body).await.into_body();
            stream.frame().await.unwrap().unwrap();
            streams.push(stream);
        }
        let told = withdraw(&client, "", &[ANA]).await;
        assert_eq!(told["ended"], 1, "{told}");
        let ended = tokio::time::timeout(PATIENCE, streams[0].frame()).await.expect("it goes on");
        assert!(ended.is_none_or(|frame| frame.is_err()));
        privet.metric_becomes("privet_requests_total{outcome=\"refused_consent\",route=\"/\"}", 1).await;
        gates.lock().unwrap()[1].add_permits(10);
        streams[1].frame().await.unwrap().expect("another person's stream goes on");
        drop(streams);
        privet.metric_becomes("privet_in_flight_requests", 0).await;
    }
}

/// What no consent is asked for goes on when one is withdrawn, and ends with
/// the person's erasure and restriction.
#[tokio::test]
async fn an_erasure_and_a_restriction_cut_what_asks_for_no_consent() {
    let upstream = Upstream::start(|_| {
        let event =
            bytes::Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi \"}}]}\n\n");
        Answer::new("text/event-stream", vec![event; 100]).gate(&Arc::new(Semaphore::new(1)))
    })
    .await;
    for is_erased in [true, false] {
        let folder = scratch_folder();
        let privet = Setup::new(&upstream).toml(PURPOSES).vault(folder.path()).start();
        let client = Client::new(&privet.gateway);
        let body = chat_stream(EMAIL).to_string();
        let mut stream = client.open("POST", "/orders", &[JSON, ANA], body).await.into_body();
        stream.frame().await.unwrap().unwrap();
        assert_eq!(withdraw(&client, "", &[ANA]).await["ended"], 0, "the contract goes on");
        assert!(tokio::time::timeout(Duration::from_millis(200), stream.frame()).await.is_err(), "it was cut");
        if is_erased {
            output(folder.path(), &["subject", "erase", "ana", "--yes"]);
        } else {
            let officer = format!("Bearer {}", operator(folder.path(), "dana", "officer"));
            let headers = [JSON, ("authorization", officer.as_str())];
            let path = "/api/v1/subjects/ana/restriction";
            let done = Client::new(&privet.admin).send("POST", path, &headers, r#"{"restricted": true}"#).await;
            assert_eq!(done.status, 200, "{}", done.text());
        }
        let ended = tokio::time::timeout(PATIENCE, stream.frame()).await.expect("it goes on");
        assert!(ended.is_none_or(|frame| frame.is_err()), "erased: {is_erased}");
    }
}

#[tokio::test]
async fn a_withdrawal_ends_a_request_that_waits_for_its_answer() {
    let upstream = Upstream::start(|_| Answer::says("late").pause(PATIENCE * 2)).await;
    let privet = Setup::new(&upstream).toml(PURPOSES).start();
    let client = Client::new(&privet.gateway);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.send("POST", CHAT, &[JSON, CONSENT, ANA], chat(EMAIL).to_string()).await }
    });
    while upstream.recorded().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(withdraw(&client, "", &[ANA]).await["ended"], 1);
    let reply = tokio::time::timeout(PATIENCE, waiting).await.expect("it waits on").unwrap();
    reply.problem(403, "consent-required");
}

#[tokio::test]
async fn a_withdrawal_ends_the_sockets_of_its_subject() {
    let upstream = SocketUpstream::echo().await;
    let privet = Setup::at(&upstream.url()).toml(PURPOSES).start();
    let client = Client::new(&privet.gateway);
    let mut ana = Socket::open(&privet.gateway, "/chat?privet-consent=support&privet-subject=ana", &[]).await;
    let mut bo = Socket::open(&privet.gateway, "/chat?privet-consent=support&privet-subject=bo", &[]).await;
    ana.send("hello").await;
    assert_eq!(ana.text().await, "hello");
    assert_eq!(withdraw(&client, "?purpose=support", &[ANA]).await["ended"], 1);
    let closed = tokio::time::timeout(PATIENCE, ana.closed()).await.expect("it stays open");
    assert_eq!(closed, Some((1008, "urn:privet:problem:consent-required".to_owned())));
    let mut again = Socket::open(&privet.gateway, "/chat?privet-consent=support&privet-subject=ana", &[]).await;
    assert_eq!(again.closed().await, Some((1008, "urn:privet:problem:consent-required".to_owned())));
    bo.send("me too").await;
    assert_eq!(bo.text().await, "me too");
}

#[tokio::test]
async fn a_record_counts_for_whom_the_body_names() {
    let (upstream, _privet, client) = gateway(&format!("{PURPOSES}[subject]\nfrom = [\"body:user\"]\n")).await;
    let send = async |user: &str, headers: &[(&str, &str)]| {
        let mut body = chat(EMAIL);
        body["user"] = json!(user);
        let all: Vec<_> = [JSON].iter().chain(headers).copied().collect();
        client.send("POST", CHAT, &all, body.to_string()).await.status.as_u16()
    };
    assert_eq!(send("ana", &[]).await, 403);
    give(&client, &json!({"purposes": {"support": true}}), &[ANA]).await;
    assert_eq!((send("ana", &[]).await, send("bo", &[]).await), (200, 403));
    withdraw(&client, "", &[ANA]).await;
    assert_eq!((send("ana", &[]).await, send("ana", &[CONSENT]).await, send("bo", &[CONSENT]).await), (403, 403, 200));
    assert_eq!(upstream.recorded().len(), 2);
}

#[tokio::test]
async fn an_anonymized_request_leaves_no_statement() {
    let toml = "[[routes]]\npath = \"/\"\nwithout_consent = \"anonymize\"\n";
    let (upstream, _privet, client) = gateway(toml).await;
    assert_eq!(say(&client, CHAT, &[ANA, ("privet-consent", "support=?0")]).await, 200);
    assert_eq!(upstream.last().said(), "[EMAIL]");
    let receipt = client.send("GET", CONSENT_PATH, &[ANA], "").await.json();
    assert_eq!(receipt["event_count"], 0);
    give(&client, &json!({"purposes": {"support": true}}), &[ANA]).await;
    say(&client, CHAT, &[ANA]).await;
    assert_eq!(tokens(&upstream.last().said()).len(), 1);
    let told = withdraw(&client, "", &[ANA]).await;
    assert_eq!(told["effects"][0]["from_now_on"], "anonymized");
    say(&client, CHAT, &[ANA]).await;
    assert_eq!(upstream.last().said(), "[EMAIL]");
}

#[tokio::test]
async fn a_purpose_says_what_comes_back() {
    let toml = "[[purposes]]\nname = \"support\"\nreversible = [\"EMAIL\"]\n[[purposes]]\nname = \"other\"\n\
                [[routes]]\npath = \"/other\"\npurpose = \"other\"\n";
    let (upstream, _privet, client) = gateway(toml).await;
    let said = format!("{EMAIL} from 203.0.113.24");
    let headers = [JSON, ANA, ("privet-consent", "support, other")];
    let reply = client.send("POST", CHAT, &headers, chat(&said).to_string()).await;
    let arrived = upstream.last().said();
    assert!(arrived.starts_with("[EMAIL_") && arrived.ends_with(" from [IP]"), "{arrived}");
    assert_eq!(reply.says(), format!("{EMAIL} from [IP]"));
    let reply = client.send("POST", "/other", &headers, chat(&said).to_string()).await;
    assert_eq!(reply.says(), said);
}

#[tokio::test]
async fn data_of_special_categories_needs_a_consent_of_its_own() {
    let toml = "[consent]\nspecial_categories = \"health\"\n[[purposes]]\nname = \"support\"\n[[purposes]]\nname = \"health\"\n\
                explicit = true\n[detection]\npacks = [\"sensitive\"]\n[[routes]]\npath = \"/\"\n[[routes]]\npath = \"/mild\"\n\
                without_consent = \"anonymize\"\n";
    let (upstream, _privet, client) = gateway(toml).await;
    let said = format!("I am diabetic, write to {EMAIL}");
    let send = async |path: &str, consent: &str, text: &str| {
        let headers = [JSON, ANA, ("privet-consent", consent)];
        client.send("POST", path, &headers, chat(text).to_string()).await
    };
    assert_eq!(send("/", "support", EMAIL).await.status, 200);
    let before = upstream.recorded().len();
    let problem = send("/", "support", &said).await.problem(403, "consent-required");
    assert_eq!(problem["missing"], json!(["health"]));
    send("/", "support, health, method=implied", &said).await.problem(403, "consent-required");
    assert_eq!(upstream.recorded().len(), before);
    let reply = send("/", "support, health, method=click", &said).await;
    assert_eq!(reply.says(), said);
    send("/mild", "support", &said).await;
    assert!(upstream.last().said().ends_with("write to [EMAIL]"), "{}", upstream.last().said());
    send("/mild", "support, health, method=click", &said).await;
    assert_eq!(tokens(&upstream.last().said()).len(), 1);
    give(&client, &json!({"purposes": {"health": true}, "method": "click"}), &[ANA]).await;
    assert_eq!(send("/", "support", &said).await.status, 200);
}

/// On a route that asks for no consent of its own, what allows it is kept all
/// the same, and so is what refuses it.
#[tokio::test]
async fn what_was_said_of_special_categories_is_kept_where_it_decides() {
    let toml = "[consent]\nspecial_categories = \"health\"\n[[purposes]]\nname = \"support\"\nbasis = \"contract\"\n\
                [[purposes]]\nname = \"health\"\nexplicit = true\n[detection]\npacks = [\"sensitive\"]\n";
    let (_upstream, _privet, client) = gateway(toml).await;
    let events = async |subject: &str, consent: &str, status: u16, text: &str| {
        let who = ("privet-subject", subject);
        let body = chat(text).to_string();
        assert_eq!(client.send("POST", CHAT, &[JSON, who, ("privet-consent", consent)], body).await.status, status);
        client.send("GET", CONSENT_PATH, &[who], "").await.json()["event_count"].as_u64()
    };
    assert_eq!(events("ana", "health, method=click", 200, "I am fine").await, Some(0));
    for _ in 0..2 {
        assert_eq!(events("ana", "health, method=click", 200, "I am diabetic").await, Some(1));
    }
    assert_eq!(events("ben", "health=?0", 403, "I am diabetic").await, Some(1));
}

#[tokio::test]
async fn the_consent_of_special_categories_ends_what_stood_on_it() {
    let toml = "[consent]\nspecial_categories = \"health\"\n[[purposes]]\nname = \"support\"\nbasis = \"contract\"\n\
                [[purposes]]\nname = \"health\"\nexplicit = true\n[detection]\npacks = [\"sensitive\"]\n";
    let upstream = Upstream::start(|_| {
        let event =
            bytes::Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi \"}}]}\n\n");
        Answer::new("text/event-stream", vec![event; 100]).gate(&Arc::new(Semaphore::new(1)))
    })
    .await;
    let privet = Setup::new(&upstream).toml(toml).start();
    let client = Client::new(&privet.gateway);
    give(&client, &json!({"purposes": {"health": true}, "method": "click"}), &[ANA]).await;
    let mut streams = Vec::new();
    for text in ["I am diabetic", "I am fine"] {
        let body = chat_stream(text).to_string();
        let mut stream = client.open("POST", CHAT, &[JSON, ANA], body).await.into_body();
        stream.frame().await.expect("it is refused").unwrap();
        streams.push(stream);
    }
    assert_eq!(withdraw(&client, "?purpose=health", &[ANA]).await["ended"], 1);
    let ended = tokio::time::timeout(PATIENCE, streams[0].frame()).await.expect("it goes on");
    assert!(ended.is_none_or(|frame| frame.is_err()));
    assert!(tokio::time::timeout(Duration::from_millis(200), streams[1].frame()).await.is_err(), "it held none");
}

#[tokio::test]
async fn where_nobody_looks_for_special_categories_nothing_starts() {
    let folder = scratch_folder();
    let file = folder.path().join("privet.toml");
    for (toml, says) in [
        ("upstream = \"http://127.0.0.1:9\"\n[consent]\nspecial_categories = \"health\"\n", "packs = [\"sensitive\"]"),
        ("upstream = \"http://127.0.0.1:9\"\n[recipients]\nregions = [\"eu\"]\n", "`regions` of [recipients]"),
        (
            "[[upstreams]]\nname = \"a\"\nurl = \"http://127.0.0.1:9\"\ncountry = \"US\"\n[recipients]\nregions = [\"eu\"]\n",
            "the upstream `a` of the route / does not stand in",
        ),
        (
            "upstream = \"http://127.0.0.1:9\"\n[consent]\nrequire_signed = true\n",
            "nothing says by what consent is signed",
        ),
    ] {
        std::fs::write(
            &file,
            format!("listen = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nvault = \"memory:\"\n{toml}"),
        )
        .unwrap();
        let mut command = privet();
        let ended = command.args(["serve", "--config"]).arg(&file).env("PRIVET_KEY", KEY).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), said.contains(says)), (Some(2), true), "{toml}\n{said}");
    }
}

#[tokio::test]
async fn a_notice_speaks_the_language_of_its_reader() {
    let toml = "[consent]\npolicy = \"2\"\naccept_policies = [\"2\", \"1\"]\n\
        [[notices]]\nlang = \"en\"\ntitle = \"May we?\"\ntext = \"We would like to.\"\n\
        [notices.purposes.support]\ntitle = \"Help\"\ntext = \"To answer you.\"\n\
        [[notices]]\nlang = \"de\"\ntitle = \"Dürfen wir?\"\ntext = \"Wir möchten.\"\n\
        [[notices]]\nlang = \"en\"\npolicy = \"1\"\ntitle = \"Earlier\"\ntext = \"As it was.\"\n";
    let (_upstream, _privet, client) = gateway(toml).await;
    for (query, accept, title) in [
        ("", "", "May we?"),
        ("", "fr, de-AT;q=0.5", "Dürfen wir?"),
        ("", "de;q=0, en", "May we?"),
        ("?lang=de", "en", "Dürfen wir?"),
        ("?lang=fr", "de", "Dürfen wir?"),
        ("?policy=1", "", "Earlier"),
        ("?policy=9", "", "May we?"),
    ] {
        let notice = client.send("GET", &format!("/.privet/notice{query}"), &[("accept-language", accept)], "").await;
        assert_eq!(notice.json()["title"], title, "{query} {accept}");
        assert!(notice.headers.get_all("vary").iter().any(|value| value == "accept-language"));
    }
    let notice = client.get("/.privet/notice").await.json();
    assert_eq!(
        notice["purposes"][0],
        json!({"name": "support", "basis": "consent", "title": "Help", "text": "To answer you.",
        "asks": true, "may_object": false, "explicit": false, "objected_by_gpc": false})
    );
    assert_eq!((&notice["languages"], &notice["lang"]), (&json!(["en", "de"]), &json!("en")));
}

#[tokio::test]
async fn the_script_is_served_to_any_page_and_the_endpoints_to_listed_ones() {
    let (_upstream, _privet, client) = gateway("[cors]\norigins = [\"https://shop.example\"]\n").await;
    for (path, kind) in [("/.privet/consent.js", "text/javascript"), ("/.privet/consent.css", "text/css")] {
        let file = client.get(path).await;
        assert!(file.status == 200 && file.header("content-type").unwrap().starts_with(kind));
        assert_eq!(file.header("cross-origin-resource-policy"), Some("cross-origin"));
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        let again = client.send("GET", path, &[("if-none-match", file.header("etag").unwrap())], "").await;
        assert_eq!((again.status.as_u16(), again.text()), (304, ""));
        client.send("POST", path, &[], "").await.problem(405, "method-not-allowed");
    }
    let asks = |origin| {
        [
            ("origin", origin),
            ("access-control-request-method", "DELETE"),
            ("access-control-request-headers", "privet-subject"),
        ]
    };
    let allowed = client.send("OPTIONS", CONSENT_PATH, &asks("https://shop.example"), "").await;
    assert_eq!(allowed.status, 204);
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("DELETE"));
    assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
    let other = client.send("OPTIONS", CONSENT_PATH, &asks("https://evil.example"), "").await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    let problem = client.send("GET", CONSENT_PATH, &[("origin", "https://shop.example")], "").await;
    problem.problem(400, "bad-request");
    assert_eq!(problem.header("access-control-allow-origin"), Some("https://shop.example"));
}
