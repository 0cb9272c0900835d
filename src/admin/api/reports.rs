//! `/reports`: what the company shows its authority.

use axum::body::Body;
use schemars::JsonSchema;
use serde::Deserialize;

use super::endpoint::at_most;
use super::{Call, Endpoint, Nothing, Streamed};
use crate::admin::reports::{self, Breach, BreachError};
use crate::admin::role::Role;
use crate::clock::Time;
use crate::problem::{Problem, ProblemKind};
use crate::report::{Format, Report};
use crate::transcripts::{self, TranscriptError, counts::Counts};

/// The types of every report.
pub(super) const TYPES: &[&str] = &["text/markdown", "text/html", "application/json"];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/reports/ropa", Role::Officer, "The record of processing (GDPR Article 30).", ropa)
            .streams(TYPES),
        Endpoint::get("/reports/data-map", Role::Officer, "What flows where.", data_map).streams(TYPES),
        Endpoint::get("/reports/dpia", Role::Officer, "Inputs for an impact assessment (Article 35).", dpia)
            .streams(TYPES),
        Endpoint::get("/reports/breach", Role::Officer, "What a notification of a breach needs (Article 33).", breach)
            .streams(TYPES),
        Endpoint::get(
            "/reports/transcripts",
            Role::Officer,
            "Counts persons in transcripts, k-anonymously.",
            transcribed,
        )
        .streams(TYPES),
    ]
}

/// How a report is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Written {
    #[serde(default)]
    format: Format,
}

/// What a breach is about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct About {
    #[serde(default)]
    format: Format,
    /// From when on.
    #[serde(default)]
    from: Option<Time>,
    /// Until when.
    #[serde(default)]
    to: Option<Time>,
    /// Data that this recipient was sent, alone.
    #[serde(default, deserialize_with = "at_most::<_, _, 256>")]
    #[schemars(length(max = 256))]
    upstream: Option<String>,
    /// The key of the vault that is known to others.
    #[serde(default, deserialize_with = "at_most::<_, _, 64>")]
    #[schemars(length(max = 64))]
    key_id: Option<String>,
}

/// How many persons a count has at least.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    #[serde(default)]
    format: Format,
    /// No count below it is shown. 5 where nothing is said.
    #[serde(default)]
    k: K,
}

/// The least number of persons that may be counted.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(try_from = "u64")]
pub struct K(#[schemars(range(min = 2, max = 1_000_000))] u64);

impl Default for K {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u64> for K {
    type Error = &'static str;

    fn try_from(k: u64) -> Result<Self, Self::Error> {
        if (2..=1_000_000).contains(&k) { Ok(Self(k)) } else { Err("from 2 to 1000000") }
    }
}

/// A report as an answer.
pub(super) fn answer(report: &Report, format: Format) -> Streamed {
    Streamed { content_type: format.media_type(), file_name: None, body: Body::from(report.write(format)) }
}

async fn ropa(call: Call<Nothing, Written>) -> Result<Streamed, Problem> {
    Ok(answer(&reports::ropa(&call.services.config, Time::now()), call.query.format))
}

async fn data_map(call: Call<Nothing, Written>) -> Result<Streamed, Problem> {
    Ok(answer(&reports::data_map(&call.services.config, Time::now()), call.query.format))
}

async fn dpia(call: Call<Nothing, Written>) -> Result<Streamed, Problem> {
    Ok(answer(&reports::dpia(&call.services.config, Time::now()), call.query.format))
}

async fn breach(call: Call<Nothing, About>) -> Result<Streamed, Problem> {
    let services = &call.services;
    let About { format, from, to, upstream, key_id } = &call.query;
    // An upstream goes by the name of its recipient there.
    let named = |name: &String| services.config.upstream(Some(name)).map(|upstream| upstream.recipient.clone());
    let upstream = upstream.as_ref().map(|name| named(name).unwrap_or_else(|| name.clone()));
    let is_configured = services.config.upstreams.iter().any(|one| Some(&one.recipient) == upstream.as_ref());
    let about = Breach { from: *from, to: *to, upstream, is_configured, key: key_id.clone() };
    let report = reports::breach(&services.vault, &services.audit, &services.incidents, &about, Time::now()).await;
    let report = report.map_err(|error| match error {
        BreachError::Vault(error) => error.into(),
        wrong => Problem::new(ProblemKind::BadRequest, format!("There is no report: {wrong}.")),
    })?;
    Ok(answer(&report, *format))
}

async fn transcribed(call: Call<Nothing, Counted>) -> Result<Streamed, Problem> {
    let (config, Counted { format, k: K(k) }) = (&call.services.config, call.query);
    let counts = match &config.transcripts {
        Some(kept) => transcripts::count(kept).await.map_err(|why| unreadable(&why))?,
        None => Counts::default(),
    };
    let now = Time::now();
    Ok(answer(&reports::transcripts(&counts.tables(k, &now.day()), k, now), format))
}

fn unreadable(why: &TranscriptError) -> Problem {
    tracing::error!(%why, "Transcripts cannot be counted.");
    Problem::new(ProblemKind::InternalError, "The transcripts cannot be read.")
}
