//! `/vault`: what the store behind the tokens holds, and its keys.

mod upkeep;

use std::collections::BTreeMap;
use std::fmt;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Call, Endpoint, Json, Nothing, Streamed};
use crate::admin::role::Role;
use crate::problem::{Problem, ProblemKind};
use crate::sensitive::Sensitive;
use crate::vault::{Key, NewKeys, Owner, Progress, Rotated, Vault, VaultError};

/// How many lines of progress may wait for who reads them.
const LINES: usize = 16;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut all = vec![
        Endpoint::get("/vault/stats", Role::Viewer, "Counts what the vault holds.", stats),
        Endpoint::post("/vault/verify", Role::Officer, "Shows that all records open, or those of a subject.", verify),
        Endpoint::post("/vault/rotate-key", Role::Admin, "Changes the vault's key, and tells how far it is.", rotate)
            .streams(&["application/jsonl"]),
    ];
    all.extend(upkeep::endpoints());
    all
}

/// What a vault holds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stats {
    /// The format of the vault's own record.
    format: u32,
    /// The name of the key in use; absent in memory.
    key: Option<String>,
    /// That of the second layer, in which sensitive values are.
    sensitive_key: Option<String>,
    /// While a key is changed, the one that goes.
    former_key: Option<String>,
    /// How many subjects.
    subjects: u64,
    /// How many tokens, by entity.
    tokens: BTreeMap<String, u64>,
    /// How many surrogates.
    surrogates: u64,
}

/// What is to be verified: all, a tenant, or one subject.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The tenant; absent: all, or that of the configuration where a subject is
    /// named.
    #[serde(default)]
    tenant: Option<String>,
    /// The subject.
    #[serde(default)]
    subject: Option<String>,
}

/// How many records open, and how many do not.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Count {
    good: u64,
    bad: u64,
}

/// What was shown.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verified {
    /// Whether all that is there opens.
    holds: bool,
    /// Whether nothing is there.
    empty: bool,
    /// The keys of subjects.
    subjects: Count,
    /// Values behind tokens and surrogates.
    values: Count,
    /// Other records of a subject, which go with it.
    others: u64,
}

/// What to change to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct To {
    /// The new key; absent: that of the configuration, or a new one of its key
    /// service.
    #[serde(default)]
    key: Option<Secret>,
    /// A new key for the second layer.
    #[serde(default)]
    sensitive_key: Option<Secret>,
}

/// 32 bytes in base64, which nobody prints.
#[derive(Deserialize, JsonSchema)]
#[serde(from = "String")]
#[schemars(with = "String")]
pub struct Secret(Sensitive);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Sensitive::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    fn key(&self) -> Result<Key, Problem> {
        Key::from_base64(self.0.expose()).map_err(|error| Problem::new(ProblemKind::BadRequest, error.to_string()))
    }
}

async fn stats(call: Call) -> Result<Json<Stats>, Problem> {
    let stats = call.services.vault.stats().await?;
    Ok(Json(Stats {
        format: stats.format,
        key: stats.key.map(|id| id.to_string()),
        sensitive_key: stats.sensitive_key.map(|id| id.to_string()),
        former_key: stats.former_key.map(|id| id.to_string()),
        subjects: stats.subjects,
        tokens: stats.tokens.into_iter().map(|(entity, count)| (entity.to_string(), count)).collect(),
        surrogates: stats.surrogates,
    }))
}

async fn verify(call: Call<Nothing, Nothing, Part>) -> Result<Json<Verified>, Problem> {
    let Part { tenant, subject } = &call.body;
    let tenant_or = tenant.as_deref().unwrap_or(&call.services.config.tenant);
    let whose = match (tenant, subject) {
        (_, Some(subject)) => Owner::Subject { tenant: tenant_or, subject },
        (Some(tenant), None) => Owner::Tenant(tenant),
        (None, None) => Owner::Deployment,
    };
    let found = call.services.vault.verify(whose).await?;
    let count = |count: crate::vault::Count| Count { good: count.good, bad: count.bad };
    Ok(Json(Verified {
        holds: found.holds(),
        empty: found.is_empty(),
        subjects: count(found.subjects),
        values: count(found.values),
        others: found.others,
    }))
}

/// Each line is how far it is, the last one how it ended. It goes on where
/// nobody reads the lines any more.
async fn rotate(call: Call<Nothing, Nothing, To>) -> Result<Streamed, Problem> {
    let key = |secret: &Option<Secret>| secret.as_ref().map(Secret::key).transpose();
    let new = NewKeys { key: key(&call.body.key)?, sensitive: key(&call.body.sensitive_key)? };
    let (lines, read) = mpsc::channel(LINES);
    tokio::spawn(run(call.services.vault.clone(), new, lines));
    let lines = stream::unfold(read, async |mut read| {
        let line: Bytes = read.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line), read))
    });
    Ok(Streamed { content_type: "application/jsonl", file_name: None, body: Body::from_stream(lines) })
}

async fn run(vault: Vault, new: NewKeys, lines: mpsc::Sender<Bytes>) {
    // What nobody takes in time is left out: the next line says more.
    let mut tell = |progress: Progress| drop(lines.try_send(line(&progress_of(progress))));
    let ended = vault.rotate(new, &mut tell).await;
    let last = match ended {
        Ok(Rotated { from, to, done }) => {
            tracing::info!(%from, %to, subjects = done.wrapped, "The vault's key was changed.");
            json!({ "from": from.to_string(), "to": to.to_string(), "done": progress_of(done) })
        }
        Err(error) => {
            tracing::warn!(%error, "The change of the vault's key was cut off.");
            let is_usage = matches!(error, VaultError::SameKey { .. } | VaultError::RotatingTo { .. });
            json!({ "error": error.to_string(), "usage": is_usage })
        }
    };
    drop(lines.send(line(&last)).await);
}

fn progress_of(progress: Progress) -> serde_json::Value {
    json!({ "passed": progress.passed, "wrapped": progress.wrapped, "damaged": progress.damaged })
}

fn line(value: &serde_json::Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}
