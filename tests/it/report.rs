//! `privet report`: what a running gateway has counted, from outside.

use crate::support::{Dialogue, Identity, Setup, port_of_nobody, privet, scratch_folder};
use serde_json::{Value, json};
use std::process::Output;

const README: &str = include_str!("../../README.md");

/// Runs `privet report coverage`, away from the threads of the test's servers.
async fn coverage(args: &[&str]) -> Output {
    let mut command = privet();
    command.args(["report", "coverage"]).args(args);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn printed(output: &Output) -> &str {
    let stderr = std::str::from_utf8(&output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr), (Some(0), ""));
    std::str::from_utf8(&output.stdout).unwrap()
}

/// Two requests are let through, one is refused.
async fn after_three_requests() -> Dialogue {
    let dialogue = Dialogue::new("[[routes]]\npath = \"/v1\"\n").await;
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    let message = json!({"role": "user", "content": [{"type": "text", "text": "hello"}, picture]});
    let body = json!({"model": "gpt", "messages": [message]}).to_string();
    assert_eq!(dialogue.ask("/v1/chat/completions", body).await.status, 200);
    assert_eq!(dialogue.ask("/bot", json!({"say": "hello"}).to_string()).await.status, 200);
    dialogue.ask("/v1/embeddings", json!({"input": [1, 2]}).to_string()).await.problem(415, "unsupported-body");
    dialogue
}

#[tokio::test]
async fn coverage_is_told_by_route() {
    let dialogue = after_three_requests().await;
    let output = coverage(&["--admin", &dialogue.privet.admin, "--format", "json"]).await;
    let report: Value = serde_json::from_str(printed(&output)).unwrap();
    let row = |route: &str, [scanned, skipped, passed, refused]: [u64; 4]| {
        let total = scanned + skipped + passed + refused;
        let share = scanned as f64 / total as f64;
        let mut row = json!({"scanned": scanned, "scanned_share": share, "skipped": skipped, "passed": passed,
                             "refused": refused, "total": total});
        if !route.is_empty() {
            row["route"] = json!(route);
        }
        row
    };
    // What was refused counts whole, the rest by its texts.
    let routes = [row("/", [8, 0, 0, 0]), row("/v1", [53, 20, 34, 15])];
    let wanted = json!({"unit": "bytes", "routes": routes, "all": row("", [61, 20, 34, 15])});
    // Reading a number may move its last bit.
    assert_eq!(report, serde_json::from_str::<Value>(&wanted.to_string()).unwrap());
}

#[tokio::test]
async fn coverage_asks_an_admin_listener_by_the_certificate_of_the_configuration() {
    let (own, other, folder) = (Identity::new(), Identity::new(), scratch_folder());
    let toml = |identity: &Identity, rest: &str| {
        let (certificate, key) = (identity.certificate(), identity.key());
        format!("{rest}[tls]\ncertificate = {certificate:?}\nkey = {key:?}\nadmin = true\n")
    };
    let privet = Setup::at("http://127.0.0.1:1").toml(&toml(&own, "")).start();
    let admin = privet.admin.strip_prefix("https://").unwrap();
    let file = folder.path().join("privet.toml");
    let head = format!("upstream = \"http://127.0.0.1:1\"\nadmin = {admin:?}\n");
    let ask = async |identity: &Identity| {
        std::fs::write(&file, toml(identity, &head)).unwrap();
        coverage(&["--config", file.to_str().unwrap()]).await
    };
    assert!(printed(&ask(&own).await).contains("no data yet"));
    assert_eq!(ask(&other).await.status.code(), Some(2), "another certificate");
}

#[tokio::test]
async fn the_table_is_that_of_the_readme() {
    let dialogue = after_three_requests().await;
    let address = dialogue.privet.admin.strip_prefix("http://").unwrap();
    let output = coverage(&["--admin", address]).await;
    let table = printed(&output);
    assert!(README.contains(&format!("\n```text\n{table}```\n")), "README.md does not show\n{table}");
}

#[tokio::test]
async fn the_configuration_says_where_the_gateway_is() {
    let dialogue = Dialogue::new("").await;
    let address = dialogue.privet.admin.strip_prefix("http://").unwrap();
    let folder = scratch_folder();
    let file = folder.path().join("privet.toml");
    std::fs::write(&file, format!("upstream = \"http://127.0.0.1:1\"\nadmin = \"{address}\"\n")).unwrap();
    let output = coverage(&["--config", file.to_str().unwrap()]).await;
    assert!(printed(&output).starts_with("no data yet"), "{output:?}");
    // A variable alone does as well.
    let mut command = privet();
    command.args(["report", "coverage"]).env("PRIVET_ADMIN", address);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(printed(&output).starts_with("no data yet"), "{output:?}");
}

#[tokio::test]
async fn a_listener_with_tls_is_asked_over_tls() {
    let identity = Identity::new();
    let tls = format!("[tls]\nadmin = true\ncertificate = {:?}\nkey = {:?}\n", identity.certificate(), identity.key());
    let dialogue = Dialogue::new(&tls).await;
    for (trusted, code) in [(identity.certificate(), 0), (Identity::new().certificate(), 2)] {
        let mut command = privet();
        command.args(["report", "coverage", "--admin", &dialogue.privet.admin]).env("SSL_CERT_FILE", trusted);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[tokio::test]
async fn without_a_gateway_it_ends_with_2() {
    let dialogue = Dialogue::new("").await;
    let nobody = port_of_nobody().to_string();
    for (admin, said) in [
        (nobody.as_str(), "is the gateway running?"),
        // The listener of the chat traffic has no such page.
        (dialogue.privet.gateway.as_str(), "it answers with 403"),
        ("127.0.0.1", "HOST:PORT"),
    ] {
        let output = coverage(&["--admin", admin]).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(output.stdout.is_empty() && stderr.contains(said) && stderr.contains(admin), "{stderr}");
    }
}
