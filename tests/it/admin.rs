//! The admin API over real sockets, and commands that reach a vault beside the
//! gateway that holds it.

use crate::support::{Answer, CONSENT, Client, Identity, KEY, Privet, Setup, Upstream, chat, privet, scratch_folder};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

/// A command about this vault.
pub fn command(vault: &Path, arguments: &[&str]) -> Output {
    let vault = format!("embedded:{}", vault.display());
    privet().args(arguments).args(["--vault", &vault]).env("PRIVET_KEY", KEY).output().unwrap()
}

/// What it wrote, where it did what it should.
pub fn output(vault: &Path, arguments: &[&str]) -> String {
    let done = command(vault, arguments);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8(done.stderr).unwrap());
    String::from_utf8(done.stdout).unwrap()
}

/// The key of a new operator.
pub fn operator(vault: &Path, name: &str, role: &str) -> String {
    output(vault, &["operator", "add", name, "--role", role]).trim().to_owned()
}

/// A gateway over this folder, in front of nobody.
fn gateway(vault: &Path, toml: &str) -> Privet {
    Setup::at("http://127.0.0.1:1").vault(vault).toml(toml).start()
}

async fn me(admin: &Client, key: &str) -> (u16, Value) {
    let authorization = format!("Bearer {key}");
    let reply = admin.send("GET", "/api/v1/me", &[("authorization", &authorization)], "").await;
    (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap())
}

#[tokio::test]
async fn an_operator_is_made_before_beside_and_after_the_gateway() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    output(&vault, &["vault", "init"]);
    let before = operator(&vault, "before", "admin");
    let privet = gateway(&vault, "");
    let beside = operator(&vault, "beside", "viewer");
    let admin = Client::new(&privet.admin);
    for (key, name, role) in [(&before, "before", "admin"), (&beside, "beside", "viewer")] {
        let (status, me) = me(&admin, key).await;
        assert_eq!(
            (status, me["actor"].as_str(), me["role"].as_str()),
            (200, Some(&*format!("operator:{name}")), Some(role))
        );
    }
    let list = output(&vault, &["operator", "list"]);
    assert!(list.contains("before") && list.contains("beside") && !list.contains("pvk_"), "{list}");
    output(&vault, &["operator", "remove", "beside"]);
    assert_eq!(me(&admin, &beside).await.0, 401, "at once");
    assert_eq!(command(&vault, &["operator", "remove", "beside"]).status.code(), Some(1));

    privet.terminate();
    drop(privet);
    let list: Value = serde_json::from_str(&output(&vault, &["operator", "list", "--format", "json"])).unwrap();
    assert_eq!(list[0]["name"], "before");
    assert!(list[0]["last_used"].is_string() && list[1].is_null(), "{list}");
}

#[tokio::test]
async fn a_command_with_another_key_is_refused_beside_the_gateway() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let privet = gateway(&vault, "");
    let url = format!("embedded:{}", vault.display());
    let other = "aBx81nQv0Zk4rW2mJt9eY7sLhUcG5oDpXfI3TqVyNgE=";
    let mut command = crate::support::privet();
    let done = command.args(["operator", "list", "--vault", &url]).env("PRIVET_KEY", other).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(str::from_utf8(&done.stderr).unwrap().contains("key"), "{done:?}");
    assert!(privet.metric("privet_logins_total{result=\"refused\"}").await >= 1);
}

#[tokio::test]
async fn a_command_trusts_just_the_certificate_of_the_gateway() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let identity = Identity::new();
    let (certificate, key) = (identity.certificate(), identity.key());
    let toml = format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\nadmin = true\n");
    let privet = gateway(&vault, &toml);
    assert!(privet.admin.starts_with("https://"));
    assert!(operator(&vault, "anna", "viewer").starts_with("pvk_"));
    let file = vault.join("gateway.json");
    let mut published: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    published["certificate"] = "00".repeat(32).into();
    std::fs::write(&file, published.to_string()).unwrap();
    assert_eq!(command(&vault, &["operator", "list"]).status.code(), Some(1), "another certificate");
}

#[tokio::test]
async fn an_exchange_and_an_operator_leave_their_lines() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let upstream = Upstream::echo().await;
    let mut privet = Setup::new(&upstream).vault(&vault).start();
    let client = Client::new(&privet.gateway);
    let said = chat("Write to ana.diaz@example.com please").to_string();
    let headers = [("content-type", "application/json"), CONSENT, ("privet-subject", "customer-7")];
    let reply = client.send("POST", "/v1/chat/completions", &headers, said).await;
    assert_eq!(reply.status, 200);
    let id = reply.header("privet-request-id").unwrap().to_owned();
    let file = folder.path().join("log.jsonl");
    let text = output(&vault, &["audit", "export"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let exchange = lines.iter().find(|line| line["action"] == "exchange").unwrap();
    assert_eq!((&exchange["request_id"], &exchange["actor"]), (&json!(id), &json!("gateway")));
    assert_eq!((&exchange["purpose"], &exchange["recipient"]), (&json!("support"), &json!("127.0.0.1")));
    assert_eq!(exchange["entities"], json!({"EMAIL": 1}));
    assert_eq!(exchange["restored"], json!({"EMAIL": 1}));
    assert!(lines.iter().any(|line| line["action"] == "audit" && line["actor"] == "key-holder"), "{text}");
    assert!(!text.contains("ana") && !text.contains("customer-7"), "{text}");

    std::fs::write(&file, &text).unwrap();
    let file = file.to_str().unwrap();
    let verify = |file: &str| privet_command(&["audit", "verify", file]);
    assert_eq!(verify(file).status.code(), Some(0));
    std::fs::write(file, text.replacen("support", "Support", 1)).unwrap();
    let refused = verify(file);
    assert_eq!(refused.status.code(), Some(1));
    assert!(str::from_utf8(&refused.stderr).unwrap().contains("it was changed"), "{refused:?}");
    assert_eq!(verify("/nonexistent").status.code(), Some(2));

    assert!(output(&vault, &["audit", "verify"]).starts_with("whole: lines 1 to "));
    privet.terminate();
    privet.wait(std::time::Duration::from_secs(20));
    assert!(output(&vault, &["audit", "verify"]).starts_with("whole: lines 1 to "), "after its end");
}

#[tokio::test]
async fn an_alarm_stands_in_the_register_and_is_told_signed() {
    const SECRET: &str = "a secret of the SIEM";
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let receiver = Upstream::start(|_| Answer::json(&json!({}))).await;
    let toml = format!(
        "[alerts]\nfailed_logins = 5\n[[webhooks]]\nurl = \"{}/alarms\"\nevents = [\"alarm.raised\"]\nsecret = \"{SECRET}\"\n",
        receiver.url()
    );
    let privet = gateway(&vault, &toml);
    let admin = Client::new(&privet.admin);
    for n in 0..5 {
        assert_eq!(me(&admin, &format!("pvk_{n}")).await.0, 401);
    }
    // Counts are looked at every ten seconds.
    let started = std::time::Instant::now();
    while receiver.recorded().is_empty() {
        assert!(started.elapsed().as_secs() < 40, "nobody is told");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    privet.metric_becomes("privet_alerts_total{rule=\"failed-logins\"}", 1).await;
    let message = receiver.last();
    let body = message.json();
    assert_eq!((&body["event"], &body["rule"]), (&json!("alarm.raised"), &json!("failed-logins")), "{body}");
    assert_eq!(body["says"], "5 log-ins were refused within 10 minutes.");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let signature = message.headers["privet-signature"].to_str().unwrap();
    assert!(privet::rights::signature::holds(SECRET, signature, &message.body, now, 60));
    let officer = format!("Bearer {}", operator(&vault, "dana", "officer"));
    let path = format!("/api/v1/incidents/{}", body["incident"].as_str().unwrap());
    let incident = admin.send("GET", &path, &[("authorization", &officer)], "").await.json();
    assert_eq!((&incident["rule"], &incident["state"]), (&json!("failed-logins"), &json!("open")), "{incident}");
    for quiet in ["mass-access", "unknown-tokens", "chain-broken", "out-of-hours"] {
        assert_eq!(privet.metric(&format!("privet_alerts_total{{rule=\"{quiet}\"}}")).await, 0, "{quiet}");
    }
}

#[tokio::test]
async fn without_consent_the_line_names_no_subject() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let upstream = Upstream::echo().await;
    let toml = "[[routes]]\npath = \"/\"\nwithout_consent = \"anonymize\"\n";
    let privet = Setup::new(&upstream).vault(&vault).toml(toml).start();
    let headers = [("content-type", "application/json"), ("privet-subject", "customer-7")];
    let said = chat("Write to ana.diaz@example.com please").to_string();
    let reply = Client::new(&privet.gateway).send("POST", "/v1/chat/completions", &headers, said).await;
    assert_eq!(reply.status, 200);
    let text = output(&vault, &["audit", "export"]);
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&line["action"], &line["entities"]), (&json!("exchange"), &json!({"EMAIL": 1})));
    assert!(line["subject"].is_null() && line["restored"].is_null(), "{line}");
}

fn privet_command(arguments: &[&str]) -> Output {
    privet().args(arguments).output().unwrap()
}
