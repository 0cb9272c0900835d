//! The rights of persons over real sockets: what passed through the gateway is
//! given, corrected, erased and restricted, by commands beside it and by its
//! admin API, and systems behind are told.

use crate::admin::{command, operator, output};
use crate::support::{Client, Privet, Setup, Upstream, scratch_folder};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

struct Rig {
    privet: Privet,
    upstream: Upstream,
    client: Client,
    vault: PathBuf,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn new(toml: &str) -> Self {
        let folder = scratch_folder();
        let vault = folder.path().join("vault");
        let upstream = Upstream::start().await;
        let privet = Setup::at(upstream.url()).vault(&vault).toml(toml).start();
        let client = Client::new(&privet.gateway);
        Self { privet, upstream, client, vault, _folder: folder }
    }

    /// What the chatbot got, and what the person got back.
    async fn say(&self, subject: &str, text: &str) -> (u16, String) {
        let headers = [("privet-consent", "support"), ("privet-subject", subject), ("content-type", "text/plain")];
        let reply = self.client.send("POST", "/chat", &headers, text).await;
        (reply.status.as_u16(), String::from_utf8(reply.body.to_vec()).unwrap())
    }

    fn export(&self, subject: &str) -> Value {
        serde_json::from_str(&output(&self.vault, &["subject", "export", subject])).unwrap()
    }
}

fn values(export: &Value) -> Vec<&str> {
    let mut values: Vec<_> =
        export["values"].as_array().unwrap().iter().map(|line| line["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    values
}

fn token_of<'e>(export: &'e Value, value: &str) -> &'e str {
    let lines = export["values"].as_array().unwrap();
    lines.iter().find(|line| line["value"] == value).unwrap()["token"].as_str().unwrap()
}
