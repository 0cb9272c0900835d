//! `/subjects`: what is kept of a person, and what the person may ask for.
//!
//! The id of a subject stands in the path, an address or number that somebody
//! is sought by in a body: what is personal belongs in no address.

use axum::body::Body;
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::consents;
use super::endpoint::at_most;
use super::{Call, Endpoint, Json, Nothing, Streamed, Who};
use crate::admin::role::Role;
use crate::audit::{Action, Look};
use crate::entity::Entity;
use crate::ledger::{Act, Channel, What};
use crate::problem::{Problem, ProblemKind};
use crate::rights::case::Case;
use crate::rights::{By, Format, RightsError};
use crate::token::Token;

pub(super) fn endpoints() -> Vec<Endpoint> {
    const ONE: Role = Role::Officer;
    vec![
        Endpoint::post("/subjects/find", ONE, "Finds subjects by an address or a phone number.", find).records_itself(),
        Endpoint::get("/subjects/{subject}", ONE, "Counts what is kept of a subject.", show),
        Endpoint::get("/subjects/{subject}/export", ONE, "Gives everything that is kept of a subject.", export)
            .streams(&["application/json", "text/csv"]),
        Endpoint::post("/subjects/{subject}/rectify", ONE, "Corrects the value behind a token.", rectify)
            .records_itself(),
        Endpoint::post("/subjects/{subject}/erase", ONE, "Erases a subject.", erase),
        Endpoint::post("/subjects/{subject}/restriction", ONE, "Restricts a subject's data, or ends that.", restrict),
        Endpoint::post("/subjects/{subject}/objections", ONE, "Objects to purposes for a subject, at once.", object),
    ]
}

/// Which subject.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BySubject {
    #[serde(deserialize_with = "at_most::<_, _, 512>")]
    #[schemars(length(min = 1, max = 512))]
    subject: String,
}

/// The tenant, and the case in which something is done.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// The tenant; absent: the configuration's.
    #[serde(default)]
    tenant: Option<String>,
    /// A case that is verified already; absent: one is opened and closed.
    #[serde(default)]
    case: Option<String>,
}

/// What an export is like.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The tenant; absent: the configuration's.
    #[serde(default)]
    tenant: Option<String>,
    /// A case that is verified already; absent: one is opened and closed.
    #[serde(default)]
    case: Option<String>,
    /// The form of the file.
    #[serde(default)]
    format: WantedFormat,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WantedFormat {
    /// One JSON document.
    #[default]
    Json,
    /// A table (RFC 4180).
    Csv,
}

/// An address of e-mail, or a phone number.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sought {
    #[serde(deserialize_with = "at_most::<_, _, 512>")]
    #[schemars(length(min = 1, max = 512))]
    contact: String,
}

/// Subjects that were found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    subjects: Vec<String>,
}

/// What is kept of a subject.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shown {
    subject: String,
    /// How many values, by entity.
    values: BTreeMap<String, u64>,
    /// Whether its data is restricted.
    restricted: bool,
    /// Its cases, the older first.
    cases: Vec<Case>,
}

/// A correction.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// What stands for it in messages: the token, with or without its brackets,
    /// or the surrogate.
    #[serde(deserialize_with = "at_most::<_, _, 512>")]
    #[schemars(length(min = 1, max = 512))]
    token: String,
    /// What it stands for from now on.
    #[serde(deserialize_with = "at_most::<_, _, 4096>")]
    #[schemars(length(min = 1, max = 4096))]
    value: String,
}

/// Whether data is restricted from now on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restriction {
    restricted: bool,
}

/// What a person objects to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objection {
    /// Names of purposes.
    #[schemars(length(min = 1, max = 64))]
    purposes: Vec<String>,
}

async fn find(call: Call<Nothing, Which, Sought>) -> Result<Json<Found>, Problem> {
    let tenant = tenant(&call.services.config, call.query.tenant.clone());
    let contact = &call.body.contact;
    if contact.is_empty() {
        return Err(Problem::new(ProblemKind::BadRequest, "A contact has 1 to 512 characters."));
    }
    let found = call.services.rights.find(&tenant, contact).await?;
    let entities = [("subjects".to_owned(), found.len() as u64)].into();
    call.record(Look { tenant, entities, ..call.look(Action::Find) }).await?;
    Ok(Json(Found { subjects: found.iter().map(|subject| subject.expose().to_owned()).collect() }))
}

async fn show(call: Call<BySubject, Which>) -> Result<Json<Shown>, Problem> {
    let (tenant, subject) = (tenant(&call.services.config, call.query.tenant), call.path.subject);
    let rights = &call.services.rights;
    let values = rights.located(&tenant, &subject).await?;
    let cases = rights.register().of_subject(&tenant, &subject).await?;
    let restricted = rights.restrictions().hold(&tenant, &subject).await?;
    Ok(Json(Shown { subject, values, restricted, cases }))
}

async fn export(call: Call<BySubject, Wanted>) -> Result<Streamed, Problem> {
    let Wanted { tenant: named, case, format } = call.query;
    let tenant = tenant(&call.services.config, named);
    let format = match format {
        WantedFormat::Json => Format::Json,
        WantedFormat::Csv => Format::Csv,
    };
    let export = call.services.rights.export(&tenant, &call.path.subject, format, by(&call.who, case)).await?;
    // The status is sent before the last page is read: what breaks off then is
    // a broken body, and no case that is done.
    let pieces = stream::unfold(Some(export), |export| async move {
        let mut export = export?;
        match export.next().await {
            Ok(piece) => piece.map(|piece| (Ok(piece), Some(export))),
            Err(error) => Some((Err(std::io::Error::other(error.to_string())), None)),
        }
    });
    let file_name = match format {
        Format::Json => "subject.json",
        Format::Csv => "subject.csv",
    };
    Ok(Streamed { content_type: format.media_type(), file_name: Some(file_name), body: Body::from_stream(pieces) })
}

async fn rectify(call: Call<BySubject, Which, Correction>) -> Result<Json<Case>, Problem> {
    let tenant = tenant(&call.services.config, call.query.tenant.clone());
    let entity = read_token(&call.body.token).map_or(Entity::SURROGATE, |token| token.entity());
    let subject = call.services.rights.alias(&tenant, &call.path.subject).await?;
    let entities = [(entity.to_string(), 1)].into();
    call.record(Look { tenant: tenant.clone(), subject, entities, ..call.look(Action::Rectify) }).await?;
    let by = by(&call.who, call.query.case);
    let stands = read_token(&call.body.token).map_or_else(|| call.body.token.clone(), |token| token.to_string());
    let case = call.services.rights.rectify(&tenant, &call.path.subject, &stands, &call.body.value, &by).await?;
    Ok(Json(case))
}

async fn erase(call: Call<BySubject, Which, Nothing>) -> Result<Json<Case>, Problem> {
    let tenant = tenant(&call.services.config, call.query.tenant);
    let by = by(&call.who, call.query.case);
    Ok(Json(call.services.rights.erase(&tenant, &call.path.subject, &by).await?))
}

async fn restrict(call: Call<BySubject, Which, Restriction>) -> Result<Json<Case>, Problem> {
    let tenant = tenant(&call.services.config, call.query.tenant);
    let by = by(&call.who, call.query.case);
    let restricted = call.body.restricted;
    Ok(Json(call.services.rights.restrict(&tenant, &call.path.subject, restricted, &by).await?))
}

/// In the ledger an objection is a withdrawal: no request passes after it.
async fn object(call: Call<BySubject, Which, Objection>) -> Result<Json<Case>, Problem> {
    let services = &call.services;
    let tenant = tenant(&services.config, call.query.tenant.clone());
    let (subject, purposes) = (&call.path.subject, &call.body.purposes);
    if purposes.is_empty() || !purposes.iter().all(|name| services.config.purpose(name).is_some()) {
        return Err(Problem::new(ProblemKind::BadRequest, "Name purposes of this deployment."));
    }
    let by = by(&call.who, call.query.case.clone());
    // A case that nothing can be done in is told before the ledger is changed.
    services.rights.may_object(&tenant, subject, &by).await?;
    let withdrawn = purposes.iter().map(|name| (name.clone(), false)).collect();
    let policy = services.config.consent.policy.clone();
    let what = What { purposes: withdrawn, policy, ..What::new(Act::Withdrawn, Channel::Operator) };
    let ledger = consents::ledger(&call);
    ledger.withdraw(ledger.row(&tenant, subject), what).await?;
    Ok(Json(services.rights.objected(&tenant, subject, purposes, &by).await?))
}

/// A token as people copy it.
pub(crate) fn read_token(text: &str) -> Option<Token> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    Token::parse(&format!("[{bare}]"))
}

pub(super) fn tenant(config: &crate::config::Config, named: Option<String>) -> String {
    named.unwrap_or_else(|| config.tenant.clone())
}

fn by(who: &Who, case: Option<String>) -> By {
    let by = By::operator(who.to_string());
    match case {
        Some(id) => by.in_case(id),
        None => by,
    }
}

impl From<RightsError> for Problem {
    fn from(error: RightsError) -> Self {
        match error {
            RightsError::Vault(error) => error.into(),
            RightsError::NoCase => Self::new(ProblemKind::NotFound, "There is no such case."),
            RightsError::NoToken => Self::new(ProblemKind::NotFound, "The subject has no such token."),
            RightsError::Value => Self::new(ProblemKind::BadRequest, format!("{error}.")),
            RightsError::Case(_) | RightsError::OtherCase | RightsError::Restricted | RightsError::Busy => {
                Self::new(ProblemKind::Conflict, format!("{error}."))
            }
            RightsError::Damaged | RightsError::Random | RightsError::Signer | RightsError::Webhook(_) => {
                tracing::error!(%error, "A right cannot be served.");
                Self::new(ProblemKind::InternalError, "The register of cases cannot be used.")
            }
        }
    }
}
