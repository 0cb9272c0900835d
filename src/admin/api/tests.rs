//! Every operation of the document, with every role and every wrong login.

use std::time::Duration;

use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::document::document;
use super::*;
use crate::admin::login::Proofs;
use crate::admin::operators::Name;
use crate::clock::Time;
use crate::entity::Entity;
use crate::vault::{Key, Options, VaultUrl};

/// Services over a vault in memory.
pub(in crate::admin) async fn services(metrics: Arc<Metrics>) -> Arc<Services> {
    let key = Key::generate();
    let proofs = Proofs::new(&key).unwrap();
    let vault = Vault::open(&VaultUrl::Memory, key, Options::default()).await.unwrap();
    let config = Config::parse("upstream = \"http://127.0.0.1:1\"").unwrap().config;
    let engine = Arc::new(crate::detect::Engine::builtin().unwrap());
    Services::new(Arc::new(config), vault, proofs, metrics, Some(engine)).await.unwrap()
}

struct Rig {
    services: Arc<Services>,
    router: Router,
}

impl Rig {
    async fn new() -> Self {
        let services = services(Metrics::new().unwrap()).await;
        Self { router: router(&services), services }
    }

    /// The key of a new operator with this role.
    async fn key(&self, name: &str, role: Role) -> String {
        let name = Name::try_from(name.to_owned()).unwrap();
        let (_, key) = self.services.logins.operators.add(name, role, None).await.unwrap();
        key.expose().to_owned()
    }

    /// Status and body.
    async fn ask(&self, method: &str, path: &str, authorization: Option<&str>, body: Option<&str>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Body::from(body.unwrap_or_default().to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

/// Method, path with its variables filled in, and the role that it needs.
fn operations() -> Vec<(String, String, Option<Role>)> {
    let Value::Object(paths) = document().0["paths"].take() else { panic!("no paths") };
    let variable = regex::Regex::new(r"\{[^}]+\}").unwrap();
    let mut all = Vec::new();
    for (path, item) in &paths {
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["security"][0]["operator"][0].as_str().map(|role| role.parse().unwrap());
            let filled = variable.replace_all(path, "none").into_owned();
            all.push((method.to_uppercase(), filled, role));
        }
    }
    assert!(all.len() >= endpoints().len(), "an operation is not in the document");
    all
}

#[tokio::test]
async fn every_operation_asks_for_the_role_that_the_document_names() {
    let rig = Rig::new().await;
    let mut keys = Vec::new();
    for role in Role::ALL {
        keys.push((role, format!("Bearer {}", rig.key(role.as_str(), role).await)));
    }
    for (method, path, needed) in operations() {
        let Some(needed) = needed else {
            assert_eq!(path, "/api/v1/openapi.json", "all but the document need a login");
            assert_eq!(rig.ask(&method, &path, None, None).await.0, 200);
            continue;
        };
        let (status, problem) = rig.ask(&method, &path, None, None).await;
        assert_eq!((status, &problem["type"]), (401, &json!("urn:privet:problem:unauthorized")), "{method} {path}");
        for (role, key) in &keys {
            // What is behind the door differs; whether it opens does not.
            let (status, problem) = rig.ask(&method, &path, Some(key), None).await;
            let refused = status == 401 || problem["type"] == "urn:privet:problem:forbidden";
            assert_eq!(refused, *role < needed, "{method} {path} as {role}: {status} {problem}");
        }
    }
}

#[tokio::test]
async fn nothing_is_told_without_a_login() {
    let rig = Rig::new().await;
    let key = rig.key("anna", Role::Admin).await;
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer pvk_",
        "Bearer pvk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Basic YTpi",
        "Privet-MAC 1.2.3",
    ] {
        let rig = Rig::new().await;
        for path in ["/api/v1/me", "/api/v1/none", "/api/v1"] {
            assert_eq!(rig.ask("GET", path, Some(wrong), None).await.0, 401, "{wrong} {path}");
        }
    }
    let mut bent = key.clone();
    let last = bent.pop().unwrap();
    bent.push(if last == 'A' { 'B' } else { 'A' });
    assert_eq!(rig.ask("GET", "/api/v1/me", Some(&format!("Bearer {bent}")), None).await.0, 401);
    let right = format!("Bearer {key}");
    assert_eq!(rig.ask("GET", "/api/v1/none", Some(&right), None).await.0, 404);
    assert_eq!(rig.ask("PATCH", "/api/v1/me", Some(&right), None).await.0, 405);
    assert_eq!(rig.ask("PATCH", "/api/v1/me", None, None).await.0, 401);
    let (_, me) = rig.ask("GET", "/api/v1/me", Some(&right), None).await;
    assert_eq!(me, json!({"actor": "operator:anna", "role": "admin"}));
}

#[tokio::test]
async fn operators_come_and_go() {
    let rig = Rig::new().await;
    let admin = format!("Bearer {}", rig.key("root", Role::Admin).await);
    let new = json!({"name": "eve", "role": "viewer", "expires": "2999-01-01T00:00:00Z"}).to_string();
    let (status, added) = rig.ask("POST", "/api/v1/operators", Some(&admin), Some(&new)).await;
    assert_eq!((status, &added["expires"]), (201, &json!("2999-01-01T00:00:00Z")), "{added}");
    let key = format!("Bearer {}", added["key"].as_str().unwrap());
    assert_eq!(rig.ask("GET", "/api/v1/me", Some(&key), None).await.0, 200);
    let (status, problem) = rig.ask("POST", "/api/v1/operators", Some(&admin), Some(&new)).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:privet:problem:conflict")));

    let (_, first) = rig.ask("GET", "/api/v1/operators?limit=1", Some(&admin), None).await;
    assert_eq!((&first["items"][0]["name"], &first["next"]), (&json!("eve"), &json!("eve")), "{first}");
    assert!(first["items"][0]["last_used"].is_string() && !first.to_string().contains("hash"), "{first}");
    let (_, rest) = rig.ask("GET", "/api/v1/operators?limit=9&after=eve", Some(&admin), None).await;
    assert_eq!((&rest["items"][0]["name"], &rest["next"]), (&json!("root"), &Value::Null), "{rest}");

    assert_eq!(rig.ask("DELETE", "/api/v1/operators/eve", Some(&admin), None).await.0, 204);
    assert_eq!(rig.ask("DELETE", "/api/v1/operators/eve", Some(&admin), None).await.0, 404);
    assert_eq!(rig.ask("GET", "/api/v1/me", Some(&key), None).await.0, 401, "at once");
    for wrong in [
        r#"{"name": "a b", "role": "viewer"}"#,
        r#"{"name": "a", "role": "root"}"#,
        r#"{"name": "a", "role": "viewer", "expires": "1999-01-01T00:00:00Z"}"#,
        r#"{"name": "a", "role": "viewer", "more": 1}"#,
        r#"{"name": "a", "role": "viewer"} {}"#,
        "",
    ] {
        let (status, problem) = rig.ask("POST", "/api/v1/operators", Some(&admin), Some(wrong)).await;
        assert_eq!((status, &problem["type"]), (400, &json!("urn:privet:problem:bad-request")), "{wrong}");
    }
    for wrong in ["limit=0", "limit=x", "limit=1&limit=2", "offset=1"] {
        let (status, _) = rig.ask("GET", &format!("/api/v1/operators?{wrong}"), Some(&admin), None).await;
        assert_eq!(status, 400, "{wrong}");
    }
    let long = format!("{{\"name\": \"{}\"}}", "a".repeat(300_000));
    assert_eq!(rig.ask("POST", "/api/v1/operators", Some(&admin), Some(&long)).await.0, 413);
}

#[tokio::test]
async fn a_tuner_sees_figures_of_rules_and_tries_them() {
    let rig = Rig::new().await;
    let keys = [Role::Viewer, Role::Tuner].map(|role| (role, role.as_str()));
    let mut bearer = Vec::new();
    for (role, name) in keys {
        bearer.push(format!("Bearer {}", rig.key(name, role).await));
    }
    let [viewer, tuner] = &bearer[..] else { panic!("two keys") };
    let email = Entity::constant("EMAIL");
    rig.services.metrics.rule(email, "email").unwrap().request.inc_by(3);
    assert_eq!(rig.ask("GET", "/api/v1/rules", Some(viewer), None).await.0, 403);
    let (status, rules) = rig.ask("GET", "/api/v1/rules", Some(tuner), None).await;
    let of = |id: &str| rules["items"].as_array().unwrap().iter().find(|rule| rule["id"] == id).unwrap();
    assert_eq!((status, &of("email")["entity"], &of("email")["state"]), (200, &json!("EMAIL"), &json!("on")));
    assert_eq!((&of("email")["found_in_requests"], &of("email")["found_in_replies"]), (&json!(3), &json!(0)));
    let text = "caf\u{e9} ana@example.org";
    for path in [json!(null), json!("/v1/chat")] {
        let body = json!({"text": text, "path": path}).to_string();
        let (status, tried) = rig.ask("POST", "/api/v1/rules/try", Some(tuner), Some(&body)).await;
        let found = &tried["findings"][0];
        assert_eq!((status, &found["rule"], &found["operator"]), (200, &json!("email"), &json!("token")), "{tried}");
        assert_eq!((&found["start"], &found["end"]), (&json!(6), &json!(text.len())));
    }
    let (status, _) = rig.ask("POST", "/api/v1/rules/try", Some(viewer), Some("{\"text\":\"x\"}")).await;
    assert_eq!(status, 403);
    let long = json!({"text": "x".repeat(40_000)}).to_string();
    assert_eq!(rig.ask("POST", "/api/v1/rules/try", Some(tuner), Some(&long)).await.0, 400);
}

#[tokio::test]
async fn who_writes_a_wrong_word_is_told_the_right_ones_and_not_their_own() {
    let rig = Rig::new().await;
    let key = format!("Bearer {}", rig.key("anna", Role::Admin).await);
    for (method, path, body, right) in [
        ("POST", "/api/v1/operators", Some(r#"{"name": "bo", "role": "s3cret"}"#), "expected one of `viewer`, `tuner`"),
        (
            "POST",
            "/api/v1/operators",
            Some(r#"{"name": "bo", "role": "s3cret, expected s3cret at line 9"}"#),
            "`viewer`",
        ),
        ("POST", "/api/v1/operators", Some(r#"{"name": "bo", "s3cret": 1, "role": "viewer"}"#), "expected"),
        ("POST", "/api/v1/operators", Some(r#"{"name": "bo"}"#), "missing field `role`"),
        ("GET", "/api/v1/reports/ropa?format=s3cret", None, "expected one of `markdown`"),
        ("GET", "/api/v1/reports/breach?from=2026-02-01&to=2026-01-01", None, "`from` must be before `to`"),
        ("GET", "/api/v1/reports/breach?upstream=nobody", None, "no recipient has this name"),
    ] {
        let (status, problem) = rig.ask(method, path, Some(&key), body).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 400 && detail.contains(right) && !detail.contains("s3cret"), "{status} {problem}");
    }
}

#[tokio::test]
async fn a_key_ends_with_its_time() {
    let rig = Rig::new().await;
    let name = Name::try_from("eve".to_owned()).unwrap();
    let soon = Some(Time(Time::now().0 + 1));
    let (_, key) = rig.services.logins.operators.add(name, Role::Admin, soon).await.unwrap();
    let key = format!("Bearer {}", key.expose());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(rig.ask("GET", "/api/v1/me", Some(&key), None).await.0, 401);
}

#[tokio::test]
async fn who_fails_too_often_waits_and_who_has_a_key_does_not() {
    let rig = Rig::new().await;
    let key = format!("Bearer {}", rig.key("anna", Role::Viewer).await);
    assert_eq!(rig.ask("GET", "/api/v1/me", Some(&key), None).await.0, 200);
    let other = format!("Bearer {}", rig.key("eve", Role::Viewer).await);
    let mut statuses = Vec::new();
    for n in 0..12 {
        statuses.push(rig.ask("GET", "/api/v1/me", Some(&format!("Bearer pvk_{n}")), None).await.0);
    }
    assert_eq!((statuses[9], statuses[10]), (401, 429));
    assert_eq!(rig.ask("GET", "/api/v1/me", Some(&key), None).await.0, 200, "it was good before");
    assert_eq!(rig.ask("GET", "/api/v1/me", Some(&other), None).await.0, 429, "it is not looked at");
    let page = rig.services.metrics.encode().unwrap();
    assert!(page.contains("privet_logins_total{result=\"refused\"} 10\n"), "{page}");
}

#[tokio::test]
async fn whatever_an_officer_does_stands_in_the_access_log_before_it_is_done() {
    let rig = Rig::new().await;
    let key = format!("Bearer {}", rig.key("anna", Role::Admin).await);
    let operations = operations();
    let needed = operations.iter().filter(|(_, _, role)| role.is_some_and(|role| role >= Role::Officer));
    for (method, path, _) in needed {
        let before = rig.services.audit.last().await.unwrap();
        let body = (method == "POST").then_some("{}");
        let (status, _) = rig.ask(method, path, Some(&key), body).await;
        // What cannot be read is not done.
        let lines = rig.services.audit.page(before, 10).await.unwrap();
        let is_told = lines.iter().any(|line| line.actor == "operator:anna");
        assert!(is_told || (status == 400 && method == "POST"), "{method} {path}: {status}");
    }
    let request = Request::builder().uri("/api/v1/audit").header("authorization", &key);
    let request = request.header("privet-reason", "case 17").body(Body::empty()).unwrap();
    rig.router.clone().oneshot(request).await.unwrap();
    let lines = rig.services.audit.page(0, 1000).await.unwrap();
    assert!(lines.iter().any(|line| line.reason == "case 17"), "{lines:?}");
    assert!(lines.iter().any(|line| line.reason == "GET /incidents"), "{lines:?}");
}

#[tokio::test]
async fn an_objection_holds_and_each_look_at_consent_names_whose_it_is() {
    let rig = Rig::new().await;
    let key = format!("Bearer {}", rig.key("anna", Role::Officer).await);
    let purpose = rig.services.config.purposes[0].name.clone();
    let path = "/api/v1/subjects/ana/objections";
    for wrong in [r#"{"purposes": []}"#, r#"{"purposes": ["none"]}"#] {
        assert_eq!(rig.ask("POST", path, Some(&key), Some(wrong)).await.0, 400, "{wrong}");
    }
    let before = rig.services.audit.last().await.unwrap();
    let (status, case) = rig.ask("POST", path, Some(&key), Some(&json!({"purposes": [purpose]}).to_string())).await;
    assert_eq!((status, &case["kind"], &case["state"]), (200, &json!("objection"), &json!("confirmed")), "{case}");
    let (status, receipt) = rig.ask("GET", "/api/v1/consents/ana", Some(&key), None).await;
    assert_eq!(status, 200);
    assert!(receipt.to_string().contains("withdrawn"), "{receipt}");
    let alias = rig.services.vault.subject(&rig.services.config.tenant, "ana").await.unwrap().alias();
    let lines = rig.services.audit.page(before, 10).await.unwrap();
    let said: Vec<_> = lines.iter().map(|line| (line.action, line.subject.as_str(), line.actor.as_str())).collect();
    let wanted = [Action::Object, Action::Consent].map(|action| (action, alias.as_str(), "operator:anna"));
    assert_eq!(said, wanted);
}

#[tokio::test]
async fn a_look_tells_in_counts_what_was_shown_and_to_whom() {
    let rig = Rig::new().await;
    let key = format!("Bearer {}", rig.key("anna", Role::Officer).await);
    let tenant = rig.services.config.tenant.clone();
    let ana = rig.services.vault.subject(&tenant, "ana").await.unwrap();
    let (email, phone) = (Entity::constant("EMAIL"), Entity::constant("PHONE"));
    let values = [(email, "ana@example.com"), (email, "ana@example.org"), (phone, "+1 555 0100")];
    let tokens = ana.tokenize(&values).await.unwrap();
    let all = BTreeMap::from([("EMAIL".to_owned(), 2), ("PHONE".to_owned(), 1)]);
    let correction = json!({"token": tokens[2].to_string(), "value": "+1 555 0101"}).to_string();
    let contact = json!({"contact": "ana@example.com"}).to_string();
    for (method, path, body, action, counts) in [
        ("GET", "/subjects/ana", None, Action::Show, all.clone()),
        ("GET", "/subjects/ana/export", None, Action::Export, all.clone()),
        ("POST", "/subjects/find", Some(contact.as_str()), Action::Find, [("subjects".to_owned(), 1)].into()),
        ("POST", "/subjects/ana/rectify", Some(&correction), Action::Rectify, [("PHONE".to_owned(), 1)].into()),
        ("POST", "/subjects/ana/restriction", Some(r#"{"restricted": false}"#), Action::Restrict, all.clone()),
        ("POST", "/subjects/ana/erase", Some("{}"), Action::Erase, all),
    ] {
        let before = rig.services.audit.last().await.unwrap();
        let (status, answer) = rig.ask(method, &format!("/api/v1{path}"), Some(&key), body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        let lines = rig.services.audit.page(before, 10).await.unwrap();
        let lines: Vec<_> = lines.iter().filter(|line| line.action == action).collect();
        let [line] = lines[..] else { panic!("{path}: one line, not {lines:?}") };
        assert_eq!(line.entities, counts, "{path}");
        let shows = matches!(action, Action::Show | Action::Export | Action::Find);
        assert_eq!(line.recipient, if shows { "operator:anna" } else { "" }, "{path}");
        assert_eq!(line.subject.is_empty(), action == Action::Find, "{path}");
    }
}

#[tokio::test]
async fn an_objection_in_a_case_that_is_not_verified_changes_nothing() {
    let rig = Rig::new().await;
    let key = format!("Bearer {}", rig.key("anna", Role::Officer).await);
    let purpose = rig.services.config.purposes[0].name.clone();
    let opened = json!({"subject": "ana", "kind": "objection"}).to_string();
    let (status, case) = rig.ask("POST", "/api/v1/cases", Some(&key), Some(&opened)).await;
    assert_eq!((status, &case["state"]), (201, &json!("received")), "{case}");
    let path = format!("/api/v1/subjects/ana/objections?case={}", case["id"].as_str().unwrap());
    let (status, problem) = rig.ask("POST", &path, Some(&key), Some(&json!({"purposes": [purpose]}).to_string())).await;
    assert_eq!(status, 409, "{problem}");
    let (_, receipt) = rig.ask("GET", "/api/v1/consents/ana", Some(&key), None).await;
    assert!(!receipt.to_string().contains("withdrawn"), "{receipt}");
}

/// Otherwise the line could name another tenant than the one that is shown.
#[tokio::test]
async fn the_access_log_reads_the_tenant_as_the_operation_does() {
    let rig = Rig::new().await;
    let key = format!("Bearer {}", rig.key("anna", Role::Officer).await);
    let before = rig.services.audit.last().await.unwrap();
    for query in ["tenant=bank", "%74enant=bank", "x=1&t%65nant=ba%6Ek"] {
        rig.ask("GET", &format!("/api/v1/subjects/ana?{query}"), Some(&key), None).await;
    }
    let alias = rig.services.vault.subject("bank", "ana").await.unwrap().alias();
    let lines = rig.services.audit.page(before, 10).await.unwrap();
    let looks = lines.iter().filter(|line| line.actor == "operator:anna");
    let said: Vec<_> = looks.map(|line| (line.tenant.as_str(), line.subject.as_str())).collect();
    assert_eq!(said, [("bank", alias.as_str()); 3]);
}

/// The document in the repository is the one that is served.
/// `PRIVET_BLESS=1` writes it anew.
#[test]
fn the_document_is_the_one_in_the_repository() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/openapi.json");
    let now = format!("{:#}\n", document().0);
    if std::env::var_os("PRIVET_BLESS").is_some() {
        std::fs::write(file, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), now, "PRIVET_BLESS=1 writes it anew");
}

#[test]
fn each_operation_is_described_once() {
    let document = document().0;
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(method.parse::<Method>().is_ok());
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{path}");
            let named = path.matches('{').count();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            assert_eq!(parameters.iter().filter(|p| p["in"] == "path").count(), named, "{path}");
        }
    }
    assert_eq!(ids.len(), endpoints().len());
}
