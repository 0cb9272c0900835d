//! The admin API over real sockets, and commands that reach a vault beside the
//! gateway that holds it.

use crate::support::{Client, Identity, KEY, Privet, Setup, privet, scratch_folder};
use serde_json::Value;
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
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
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
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let mut command = crate::support::privet();
    let done = command.args(["operator", "list", "--vault", &url]).env("PRIVET_KEY", other).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("key"), "{done:?}");
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
