//! `/audit`: the access log.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Endpoint, Json, Limit, Nothing, Streamed};
use crate::admin::role::Role;
use crate::audit::{Action, Broken, Exported, Line, Look, Verified};
use crate::problem::Problem;
use crate::vault::VaultError;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/audit", Role::Officer, "Lists lines of the access log.", list),
        Endpoint::get("/audit/verify", Role::Officer, "Checks that no line was changed, cut or moved.", verify),
        Endpoint::get("/audit/export", Role::Officer, "Gives the access log out as JSONL, signed.", export)
            .streams(&["application/jsonl"]),
        Endpoint::get("/audit/key", Role::Viewer, "Tells the key that signs the access log.", key),
    ]
}

/// Which lines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Behind {
    /// Lines behind the one with this number.
    #[serde(default)]
    after: u64,
    /// How many lines at most.
    #[serde(default)]
    limit: Limit,
}

/// Where an export begins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// Lines behind the one with this number.
    #[serde(default)]
    after: u64,
}

/// Lines of the access log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Lines {
    items: Vec<Line>,
}

/// Whether the chain is whole.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verdict {
    /// Whether it is.
    whole: bool,
    /// What stands in it, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Verified>,
    /// The line at which it is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// What is wrong there.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// The key that signs checkpoints: Ed25519, 32 bytes in base64.
    public_key: String,
}

/// The key that signs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Key {
    /// Ed25519, 32 bytes in base64.
    public_key: String,
}

async fn list(call: Call<Nothing, Behind>) -> Result<Json<Lines>, Problem> {
    let Behind { after, limit } = call.query;
    Ok(Json(Lines { items: call.services.audit.page(after, limit.get()).await? }))
}

async fn verify(call: Call) -> Result<Json<Verdict>, Problem> {
    let found = call.services.audit.verify().await?;
    let public_key = call.services.audit.public_key().to_string();
    Ok(Json(match found {
        Ok(chain) => Verdict { whole: true, chain: Some(chain), line: None, fault: None, public_key },
        Err(Broken { at, fault }) => {
            Verdict { whole: false, chain: None, line: Some(at), fault: Some(fault.to_string()), public_key }
        }
    }))
}

/// The export holds the line of itself.
async fn export(call: Call<Nothing, From>) -> Result<Streamed, Problem> {
    call.record(Look { reason: "export".to_owned(), ..call.look(Action::Audit) }).await?;
    let exported = call.services.audit.export(call.query.after).await?;
    let next = async |mut exported: Exported| -> Result<Option<(Bytes, Exported)>, VaultError> {
        Ok(exported.next().await?.map(|piece| (piece, exported)))
    };
    let body = Body::from_stream(stream::try_unfold(exported, next));
    Ok(Streamed { content_type: "application/jsonl", file_name: Some("access-log.jsonl"), body })
}

async fn key(call: Call) -> Result<Json<Key>, Problem> {
    Ok(Json(Key { public_key: call.services.audit.public_key().to_string() }))
}
