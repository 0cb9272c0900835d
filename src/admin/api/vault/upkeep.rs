//! What keeps a vault: backups, restores, and retention.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Call, Endpoint, Json, Nothing, Streamed, Who};
use crate::admin::role::Role;
use crate::clock::Time;
use crate::config::Expiry;
use crate::problem::{Problem, ProblemKind};
use crate::vault::{Backup, BackupError, ClockCheck, Policy, Reading, Restored};

/// The media type of a backup.
const BACKUP: &str = "application/vnd.privet.backup";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::post("/vault/backup", Role::Admin, "Makes a backup of the vault, encrypted under its key.", backup)
            .streams(&[BACKUP]),
        Endpoint::post(
            "/vault/restore",
            Role::Admin,
            "Restores a backup that lies beside the gateway; for commands with the key alone.",
            restore,
        ),
        Endpoint::post("/vault/purge", Role::Admin, "Forgets what has been kept long enough.", purge),
        Endpoint::get("/vault/retention", Role::Viewer, "What is kept how long, and what was deleted when.", retention),
    ]
}

async fn backup(call: Call<Nothing, Nothing, Nothing>) -> Result<Streamed, Problem> {
    let backup = call.services.vault.backup().await.map_err(problem)?;
    let next = |mut backup: Backup| async move {
        // A reader sees that the end is missing, as the last frame is.
        let piece = backup.next().await.inspect_err(|error| tracing::warn!(%error, "A backup broke off."));
        piece.map(|piece| piece.map(|piece| (Bytes::from(piece), backup)))
    };
    let pieces = futures_util::stream::try_unfold(backup, next);
    Ok(Streamed { content_type: BACKUP, file_name: Some("privet.backup"), body: Body::from_stream(pieces) })
}

/// A backup to restore.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    /// Where it lies.
    path: PathBuf,
    /// Where the file of erasures lies.
    #[serde(default)]
    erasures: Option<PathBuf>,
}

async fn restore(call: Call<Nothing, Nothing, Restore>) -> Result<Json<Restored>, Problem> {
    if call.who != Who::KeyHolder {
        let detail = "Only a command beside the gateway names files of its machine.";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let Restore { path, erasures } = call.body;
    call.services.vault.restore(&path, erasures.as_deref()).await.map(Json).map_err(problem)
}

fn problem(error: BackupError) -> Problem {
    match error {
        BackupError::Vault(error) => error.into(),
        error => Problem::new(ProblemKind::BadRequest, format!("{error}.")),
    }
}

/// What to purge.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Purge {
    /// Tell what would be forgotten, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// The clock is right, however far it jumped.
    #[serde(default)]
    confirm_clock: bool,
}

/// What was forgotten, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Purged {
    dry_run: bool,
    /// How many tokens were looked at.
    seen: u64,
    forgotten: Vec<Forgotten>,
}

/// Values of one entity that were forgotten.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Forgotten {
    /// `surrogate` for surrogates.
    entity: String,
    /// `delete` or `anonymize`.
    action: &'static str,
    values: u64,
}

async fn purge(call: Call<Nothing, Nothing, Purge>) -> Result<Json<Purged>, Problem> {
    let Purge { dry_run, confirm_clock } = call.body;
    let (vault, config) = (&call.services.vault, &call.services.config);
    let policy = Policy::new(vault, &config.retention);
    let now = Reading::now();
    if confirm_clock && !dry_run {
        vault.confirm_clock(now.wall).await?;
    } else if !dry_run {
        let judged = vault.check_clock(&mut ClockCheck::new(config.sweep.max_gap), now).await?;
        judged.map_err(|doubt| Problem::new(ProblemKind::Conflict, format!("{doubt}.")))?;
    }
    let swept = vault.sweep(&policy, now.wall, dry_run, tokio::task::yield_now).await?;
    if !dry_run {
        vault.note_swept(&swept, now.wall).await?;
        for ((_, action), values) in &swept.forgotten {
            call.services.metrics.forgotten(*action, *values);
        }
    }
    let forgotten = swept.forgotten.iter().map(|((entity, action), values)| Forgotten {
        entity: entity.map_or_else(|| "surrogate".to_owned(), |entity| entity.to_string()),
        action: action.as_str(),
        values: *values,
    });
    Ok(Json(Purged { dry_run, seen: swept.seen, forgotten: forgotten.collect() }))
}

/// What is kept how long, and what was deleted when.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Retention {
    rules: Vec<Rule>,
    history: Vec<Day>,
}

/// What one rule is for. The last one stands for all that no rule fits.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Rule {
    entity: Option<String>,
    purpose: Option<String>,
    tenant: Option<String>,
    /// For how long; `until erased` where there is no end.
    keep: String,
    /// `delete` or `anonymize`.
    action: &'static str,
    /// How many values are under it now.
    values: u64,
    /// When the oldest of them came.
    oldest: Option<Time>,
}

/// What was forgotten on one day.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Day {
    day: Time,
    /// Tokens that were deleted with their values, by entity.
    deleted: std::collections::BTreeMap<String, u64>,
    /// Tokens that lost their values, by entity.
    anonymized: std::collections::BTreeMap<String, u64>,
}

async fn retention(call: Call) -> Result<Json<Retention>, Problem> {
    let (vault, config) = (&call.services.vault, Arc::clone(&call.services.config));
    let policy = Policy::new(vault, &config.retention);
    let swept = vault.sweep(&policy, Time::now().0, true, tokio::task::yield_now).await?;
    let held = |place: Option<usize>| swept.kept.get(&place).copied().unwrap_or_default();
    let rule = |(place, rule): (usize, &crate::config::Retention)| {
        let held = held(Some(place));
        Rule {
            entity: rule.entity.map(|entity| entity.to_string()),
            purpose: rule.purpose.clone(),
            tenant: rule.tenant.clone(),
            keep: rule.keep.to_string(),
            action: rule.action.as_str(),
            values: held.values,
            oldest: (held.values > 0).then_some(Time(held.oldest)),
        }
    };
    let mut rules: Vec<Rule> = config.retention.iter().enumerate().map(rule).collect();
    let rest = held(None);
    rules.push(Rule {
        entity: None,
        purpose: None,
        tenant: None,
        keep: crate::config::Keep::UntilErased.to_string(),
        action: Expiry::Delete.as_str(),
        values: rest.values,
        oldest: (rest.values > 0).then_some(Time(rest.oldest)),
    });
    let history = vault.retention_history().await?.into_iter().map(|(day, counts)| Day {
        day: Time(day * 86_400),
        deleted: counts.deleted,
        anonymized: counts.anonymized,
    });
    Ok(Json(Retention { rules, history: history.collect() }))
}
