//! Consent that the site signs, over real sockets.

use crate::support::{Answer, Client, Privet, Setup, Upstream, chat, scratch_folder, tokens};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

const EMAIL: &str = "ana.lopez@example.com";
const CHAT: &str = "/v1/chat/completions";
const CONSENT_PATH: &str = "/.privet/consent";
const JSON: (&str, &str) = ("content-type", "application/json");
pub const SECRET: &str = "thirty-two bytes that the site knows";
pub const SIGNED: &str = "[consent]\nrequire_signed = true\nhs256_secret = \"thirty-two bytes that the site knows\"\n";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn claims(changes: Value) -> Value {
    let mut all = json!({"sub": "ana", "iat": now(), "exp": now() + 600, "purposes": {"support": true}});
    let Value::Object(changes) = changes else { panic!("claims are an object") };
    all.as_object_mut().unwrap().extend(changes);
    all
}

fn signed_part(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

pub fn hs256(secret: &str, claims: &Value) -> String {
    let part = signed_part(&json!({"alg": "HS256", "typ": "JWT"}), claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), part.as_bytes());
    format!("{part}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn eddsa(key: &Ed25519KeyPair, kid: &str, claims: &Value) -> String {
    let part = signed_part(&json!({"alg": "EdDSA", "kid": kid}), claims);
    format!("{part}.{}", URL_SAFE_NO_PAD.encode(key.sign(part.as_bytes())))
}

async fn gateway(toml: &str) -> (Upstream, Privet, Client) {
    let upstream = Upstream::start(|request| Answer::says(&request.said())).await;
    let privet = Setup::new(&upstream).toml(toml).start();
    let client = Client::new(&privet.gateway);
    (upstream, privet, client)
}

async fn say(client: &Client, headers: &[(&str, &str)]) -> u16 {
    let all: Vec<_> = [JSON].iter().chain(headers).copied().collect();
    client.send("POST", CHAT, &all, chat(EMAIL).to_string()).await.status.as_u16()
}

fn with(token: &str) -> (&'static str, &str) {
    ("privet-consent-token", token)
}

#[tokio::test]
async fn only_what_the_site_has_signed_gives() {
    let (upstream, _privet, client) = gateway(SIGNED).await;
    let good = hs256(SECRET, &claims(json!({})));
    assert_eq!(say(&client, &[("privet-consent", "support"), ("privet-subject", "ana")]).await, 403);
    assert_eq!(say(&client, &[with(&good)]).await, 200);
    assert_eq!(say(&client, &[with(&good)]).await, 200, "a token may be used until it expires");
    assert_eq!(say(&client, &[with(&good), ("privet-consent", "support=?0")]).await, 403);
    let before = upstream.recorded().len();
    let none = format!("{}.", signed_part(&json!({"alg": "none"}), &claims(json!({}))));
    for token in [
        none,
        hs256("another secret, thirty-two bytes as well", &claims(json!({}))),
        hs256(SECRET, &claims(json!({"exp": now() - 60}))),
        hs256(SECRET, &claims(json!({"nbf": now() + 600}))),
        hs256(SECRET, &claims(json!({"aud": "somebody else"}))),
        hs256(SECRET, &claims(json!({"purposes": {"support": false}}))),
        hs256(SECRET, &claims(json!({"purposes": {"support": 1}}))),
        hs256(SECRET, &claims(json!({"purposes": {"marketing": true}}))),
        good[..good.len() - 2].to_owned(),
        "x".repeat(9000),
        String::new(),
    ] {
        let headers = [JSON, with(&token)];
        client.send("POST", CHAT, &headers, chat(EMAIL).to_string()).await.problem(403, "consent-required");
    }
    assert_eq!(upstream.recorded().len(), before);
    let two = [with(&good), with(&good)];
    assert_eq!(say(&client, &two).await, 403, "two tokens are none");
    assert_eq!(
        client
            .send("POST", &format!("{CHAT}?privet-consent-token={good}"), &[JSON], chat("hi").to_string())
            .await
            .status,
        200
    );
    assert!(!String::from_utf8(upstream.last().everything()).unwrap().contains("consent-token"));
}

#[tokio::test]
async fn the_subject_is_that_of_the_token() {
    let (upstream, _privet, client) = gateway(SIGNED).await;
    let of = |subject: &str| hs256(SECRET, &claims(json!({"sub": subject})));
    let (ana, bo) = (of("ana"), of("bo"));
    let token = async |headers: &[(&str, &str)]| {
        assert_eq!(say(&client, headers).await, 200, "{headers:?}");
        tokens(&upstream.last().said()).remove(0)
    };
    let of_ana = token(&[with(&ana)]).await;
    assert_eq!(token(&[with(&ana), ("privet-subject", "ana")]).await, of_ana);
    assert_eq!(token(&[with(&ana), ("privet-conversation", "c1")]).await, of_ana);
    assert_ne!(token(&[with(&bo)]).await, of_ana);
    let headers = [JSON, with(&ana), ("privet-subject", "bo")];
    client.send("POST", CHAT, &headers, chat("hi").to_string()).await.problem(400, "bad-header");
}

#[tokio::test]
async fn the_endpoint_asks_for_the_token_and_takes_its_id_once() {
    let (_upstream, _privet, client) = gateway(SIGNED).await;
    let send = async |method: &str, token: Option<&str>| {
        let headers: Vec<_> = token.map(with).into_iter().chain([("privet-subject", "ana")]).collect();
        client.send(method, CONSENT_PATH, &headers, "").await
    };
    for method in ["GET", "POST", "DELETE"] {
        send(method, None).await.problem(403, "consent-required");
    }
    let named = |id: &str| hs256(SECRET, &claims(json!({"jti": id})));
    let first = named("1");
    assert_eq!(send("POST", Some(&first)).await.json()["given"], json!(["support"]));
    send("POST", Some(&first)).await.problem(403, "consent-required");
    send("DELETE", Some(&first)).await.problem(403, "consent-required");
    assert_eq!(send("GET", Some(&first)).await.json()["consent"]["support"]["given"], true);
    assert_eq!(say(&client, &[with(&first)]).await, 200, "an id is single use for the endpoint alone");
    // The record is signed, so it stands by itself, for whoever is signed to be her.
    let who = hs256(SECRET, &claims(json!({"purposes": {}})));
    assert_eq!(say(&client, &[with(&who)]).await, 200);
    assert_eq!(send("DELETE", Some(&named("2"))).await.json()["withdrawn"], json!(["support"]));
    assert_eq!(say(&client, &[with(&who)]).await, 403);
    let earlier = hs256(SECRET, &claims(json!({"iat": now() - 60})));
    assert_eq!(say(&client, &[with(&earlier)]).await, 403, "it was signed before the withdrawal");
    send("POST", Some(&earlier)).await.problem(403, "consent-required");
    assert_eq!(send("POST", Some(&named("3"))).await.status, 200);
    assert_eq!(say(&client, &[with(&who)]).await, 200);
}

#[tokio::test]
async fn a_token_of_before_a_withdrawal_gives_nothing_though_it_was_never_used() {
    let (_upstream, _privet, client) = gateway(SIGNED).await;
    let send = async |method: &str, token: &str| client.send(method, CONSENT_PATH, &[with(token)], "").await;
    let token = |id: &str, age: u64| hs256(SECRET, &claims(json!({"jti": id, "iat": now() - age})));
    let who = hs256(SECRET, &claims(json!({"purposes": {}})));
    let (spare, first) = (token("spare", 60), token("first", 60));
    assert_eq!(send("POST", &first).await.status, 200);
    assert_eq!(say(&client, &[with(&who)]).await, 200);
    assert_eq!(send("DELETE", &token("gone", 0)).await.json()["withdrawn"], json!(["support"]));
    send("POST", &spare).await.problem(403, "consent-required");
    assert_eq!(say(&client, &[with(&who)]).await, 403);
    assert_eq!(send("POST", &token("anew", 0)).await.status, 200);
    assert_eq!(say(&client, &[with(&who)]).await, 200);
}

#[tokio::test]
async fn an_id_stays_used_after_a_crash() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let upstream = Upstream::start(|request| Answer::says(&request.said())).await;
    let (gives, withdraws) = (json!({"jti": "1"}), json!({"jti": "2"}));
    let [gives, withdraws] = [gives, withdraws].map(|changes| hs256(SECRET, &claims(changes)));
    let privet = Setup::new(&upstream).toml(SIGNED).vault(&vault).start();
    let send = async |privet: &Privet, method: &str, token: &str| {
        Client::new(&privet.gateway).send(method, CONSENT_PATH, &[with(token)], "").await.status.as_u16()
    };
    assert_eq!(send(&privet, "POST", &gives).await, 200);
    assert_eq!(send(&privet, "DELETE", &withdraws).await, 200);
    drop(privet.kill_and_read());
    let privet = Setup::new(&upstream).toml(SIGNED).vault(&vault).start();
    assert_eq!(send(&privet, "POST", &gives).await, 403, "it would undo the withdrawal");
    assert_eq!(send(&privet, "DELETE", &withdraws).await, 403);
    assert_eq!(say(&Client::new(&privet.gateway), &[with(&gives)]).await, 403);
}

#[tokio::test]
async fn an_unsigned_body_may_refuse_and_gives_nothing() {
    let (_upstream, _privet, client) = gateway(SIGNED).await;
    let who = hs256(SECRET, &claims(json!({"purposes": {}})));
    let post = async |token: &str, body: Value| {
        client.send("POST", CONSENT_PATH, &[JSON, with(token)], body.to_string()).await
    };
    post(&who, json!({"purposes": {"support": true}})).await.problem(400, "bad-request");
    let gives = hs256(SECRET, &claims(json!({})));
    let refused = post(&gives, json!({"purposes": {"support": false}})).await;
    assert_eq!(refused.json()["withdrawn"], json!(["support"]));
}

#[tokio::test]
async fn a_token_may_name_the_subject_where_signatures_are_not_asked_for() {
    let toml = "[consent]\nhs256_secret = \"thirty-two bytes that the site knows\"\n[subject]\nfrom = [\"jwt:sub\"]\n";
    let (upstream, _privet, client) = gateway(toml).await;
    let token = hs256(SECRET, &claims(json!({"purposes": {}})));
    let consent = ("privet-consent", "support");
    assert_eq!(say(&client, &[consent, with(&token)]).await, 200);
    let by_token = tokens(&upstream.last().said());
    assert_eq!(say(&client, &[consent, ("privet-subject", "ana")]).await, 200);
    assert_eq!(tokens(&upstream.last().said()), by_token);
    let forged = hs256("another secret, thirty-two bytes as well", &claims(json!({})));
    assert_eq!(say(&client, &[consent, with(&forged)]).await, 200);
    assert_ne!(tokens(&upstream.last().said()), by_token);
}

#[tokio::test]
async fn keys_are_read_again_where_a_new_one_signs() {
    let public = |key: &Ed25519KeyPair, kid: &str| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": URL_SAFE_NO_PAD.encode(key.public_key())});
    let (old, new) = (Ed25519KeyPair::generate().unwrap(), Ed25519KeyPair::generate().unwrap());
    let published = Arc::new(Mutex::new(Some(json!({"keys": [public(&old, "old")]}))));
    let shown = Arc::clone(&published);
    let site = Upstream::start(move |_| match &*shown.lock().unwrap() {
        Some(keys) => Answer::json(keys),
        None => Answer::new("text/plain", vec!["out of order".into()]).status(500),
    })
    .await;
    let toml = format!("[consent]\nrequire_signed = true\njwks = \"{}/keys\"\n", site.url());
    let (_upstream, _privet, client) = gateway(&toml).await;
    let (by_old, by_new) = (eddsa(&old, "old", &claims(json!({}))), eddsa(&new, "new", &claims(json!({}))));
    assert_eq!(say(&client, &[with(&by_old)]).await, 200);
    assert_eq!(say(&client, &[with(&by_new)]).await, 403);
    // What cannot be read takes nothing away.
    *published.lock().unwrap() = None;
    assert_eq!(say(&client, &[with(&by_new)]).await, 403);
    assert_eq!(say(&client, &[with(&eddsa(&old, "old", &claims(json!({"iat": now() - 1}))))]).await, 200);
    *published.lock().unwrap() = Some(json!({"keys": [public(&new, "new")]}));
    assert_eq!(say(&client, &[with(&by_new)]).await, 200);
    assert_eq!(say(&client, &[with(&by_old)]).await, 403, "a key that was taken back is taken no more");
    // Made-up keys make no load of the site.
    for n in 0..40 {
        let made_up = eddsa(&new, &format!("k{n}"), &claims(json!({})));
        assert_eq!(say(&client, &[with(&made_up)]).await, 403);
    }
    assert!(site.recorded().len() <= 6, "{}", site.recorded().len());
    assert_eq!(say(&client, &[with(&by_new)]).await, 200);
}

#[tokio::test]
async fn a_token_that_gives_consent_opens_no_page_and_one_for_the_page_opens_it_once() {
    let folder = crate::support::scratch_folder();
    let (upstream, vault) = (Upstream::start(|request| Answer::says(&request.said())).await, folder.path().join("v"));
    let start = || {
        let privet = Setup::new(&upstream).vault(&vault).toml(SIGNED).start();
        let client = Client::new(&privet.gateway);
        (privet, client)
    };
    let open = async |client: &Client, token: &str| {
        let reply = client.send("POST", "/.privet/me/session", &[JSON, with(token)], "{}").await;
        (reply.status.as_u16(), reply)
    };
    let (privet, client) = start();
    let consent = hs256(SECRET, &claims(json!({"jti": "c1"})));
    assert_eq!(say(&client, &[with(&consent)]).await, 200);
    assert_eq!(open(&client, &consent).await.0, 401, "whoever has read a message has it");
    let page = |changes: Value| {
        let mut all = claims(json!({"scope": "openid privet:me", "jti": "a1", "purposes": {}}));
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        hs256(SECRET, &all)
    };
    for odd in [
        json!({"scope": "privet:menu"}),
        json!({"jti": null}),
        json!({"iat": now() - 400}),
        json!({"tenant": "another"}),
        json!({"sub": null}),
    ] {
        let mut all = claims(json!({"scope": "privet:me", "jti": "o1"}));
        let members = all.as_object_mut().unwrap();
        for (name, value) in odd.as_object().unwrap() {
            if value.is_null() {
                members.remove(name)
            } else {
                members.insert(name.clone(), value.clone())
            };
        }
        assert_eq!(open(&client, &hs256(SECRET, &all)).await.0, 401, "{odd}");
    }
    let good = page(json!({}));
    let (status, reply) = open(&client, &good).await;
    assert_eq!(status, 200, "{}", reply.text());
    let bearer = format!("Bearer {}", reply.json()["session"].as_str().unwrap());
    let data = client.send("GET", "/.privet/me/data", &[("authorization", &bearer)], "").await.json();
    assert_eq!(data["values"][0]["value"], EMAIL, "{data}");
    assert_eq!(data["values"][0]["purpose"], "support");
    assert_eq!(open(&client, &good).await.0, 401, "it is used once");
    drop(privet);
    let (_privet, client) = start();
    assert_eq!(open(&client, &good).await.0, 401, "after a restart too");
    assert_eq!(open(&client, &page(json!({"jti": "a2"}))).await.0, 200);
}
