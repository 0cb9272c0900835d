//! `/cases`: requests of persons, from their receipt to their proof.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::at_most;
use super::subjects::tenant;
use super::{Call, Created, Endpoint, Json, Limit, Nothing, Page};
use crate::admin::role::Role;
use crate::clock::Time;
use crate::problem::{Problem, ProblemKind};
use crate::rights::Due;
use crate::rights::case::{Case, Kind, Step, Urgency, Verification};

pub(super) fn endpoints() -> Vec<Endpoint> {
    const ONE: Role = Role::Officer;
    vec![
        Endpoint::get("/cases", ONE, "Lists the cases of a tenant, the older first.", list),
        Endpoint::post("/cases", ONE, "Opens a case.", open),
        Endpoint::get("/cases/due", ONE, "Lists the open cases of all tenants by their due dates.", due),
        Endpoint::get("/cases/key", ONE, "Gives the key that confirmations are verified by (JWK).", key),
        Endpoint::get("/cases/{id}", ONE, "Shows a case.", show),
        Endpoint::post("/cases/{id}/verify", ONE, "Records how the person was verified.", verify),
        Endpoint::post("/cases/{id}/locate", ONE, "Counts what there is of the person.", locate),
        Endpoint::post("/cases/{id}/extend", ONE, "Extends the time by 60 days, for a reason.", extend),
        Endpoint::post("/cases/{id}/refuse", ONE, "Refuses the request, for a reason.", refuse),
        Endpoint::post("/cases/{id}/confirm", ONE, "Records that the person was told, which closes the case.", confirm),
    ]
}

/// Which case.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ById {
    id: String,
}

/// The tenant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfTenant {
    /// The tenant; absent: the configuration's.
    #[serde(default)]
    tenant: Option<String>,
}

/// Which page of a tenant's cases.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// The tenant; absent: the configuration's.
    #[serde(default)]
    tenant: Option<String>,
    /// The `next` of the page before; the first page without it.
    #[serde(default)]
    after: Option<String>,
    /// How many at most.
    #[serde(default)]
    limit: Limit,
}

/// A new case.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCase {
    /// Whose it is.
    #[serde(deserialize_with = "at_most::<_, _, 512>")]
    #[schemars(length(min = 1, max = 512))]
    subject: String,
    kind: Kind,
}

/// How the person was verified.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Method {
    method: Verification,
}

/// Why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// It names no person: the case outlives the person's data.
    #[serde(deserialize_with = "at_most::<_, _, 500>")]
    #[schemars(length(min = 1, max = 500))]
    reason: String,
}

/// A case with its subject, as long as that is known.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shown {
    #[serde(flatten)]
    case: Case,
    /// The subject's id; absent where the case is closed, or the subject gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// How urgent it is; absent where it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    urgency: Option<Urgency>,
}

/// An open case by its due date.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DueCase {
    due: Time,
    tenant: String,
    id: String,
    urgency: Urgency,
}

/// A public key (RFC 7517).
#[derive(Debug, Serialize, JsonSchema)]
pub struct PublicKey(serde_json::Value);

async fn list(call: Call<Nothing, Cases>) -> Result<Json<Page<Case>>, Problem> {
    let Cases { tenant: named, after, limit } = call.query;
    let tenant = tenant(&call.services.config, named);
    let items = call.services.rights.register().page(&tenant, after.as_deref(), limit.get()).await?;
    let next = items.last().filter(|_| items.len() == limit.get()).map(|last| last.id.clone());
    Ok(Json(Page { items, next }))
}

async fn open(call: Call<Nothing, OfTenant, NewCase>) -> Result<Created<Case>, Problem> {
    let NewCase { subject, kind } = call.body;
    if subject.is_empty() || subject.len() > 512 {
        return Err(Problem::new(ProblemKind::BadRequest, "The id of a subject has 1 to 512 bytes."));
    }
    let tenant = tenant(&call.services.config, call.query.tenant);
    let case = call.services.rights.register().open(&tenant, &subject, kind, &call.who.to_string()).await?;
    Ok(Created(case))
}

async fn due(call: Call<Nothing, Cases>) -> Result<Json<Page<DueCase>>, Problem> {
    let Cases { after, limit, .. } = call.query;
    let after = after.map(|after| {
        let mark = after.split_once('/').and_then(|(due, id)| Some((due.parse().ok()?, id.to_owned())));
        mark.map(|(due, id)| Due { due, tenant: String::new(), id })
    });
    let after = match after {
        Some(None) => return Err(Problem::new(ProblemKind::BadRequest, "`after` is the `next` of the page before.")),
        Some(mark) => mark,
        None => None,
    };
    let page = call.services.rights.register().due(after.as_ref(), limit.get()).await?;
    let next = page.last().filter(|_| page.len() == limit.get()).map(|last| format!("{}/{}", last.due, last.id));
    let now = Time::now();
    let shown = |Due { due, tenant, id }| DueCase { urgency: Urgency::of(due, now), due, tenant, id };
    Ok(Json(Page { items: page.into_iter().map(shown).collect(), next }))
}

async fn key(call: Call) -> Result<Json<PublicKey>, Problem> {
    Ok(Json(PublicKey(call.services.rights.public_key().await?)))
}

async fn show(call: Call<ById, OfTenant>) -> Result<Json<Shown>, Problem> {
    let tenant = tenant(&call.services.config, call.query.tenant);
    let register = call.services.rights.register();
    let case = register.case(&tenant, &call.path.id).await?;
    let name = register.subject_of(&case).await?.map(|name| name.expose().to_owned());
    Ok(Json(Shown { urgency: case.urgency(Time::now()), case, name }))
}

async fn verify(call: Call<ById, OfTenant, Method>) -> Result<Json<Case>, Problem> {
    let step = Step::Verify(call.body.method);
    take(&call, step).await
}

async fn locate(call: Call<ById, OfTenant, Nothing>) -> Result<Json<Case>, Problem> {
    let tenant = tenant(&call.services.config, call.query.tenant.clone());
    let rights = &call.services.rights;
    let case = rights.register().case(&tenant, &call.path.id).await?;
    let counts = match rights.register().subject_of(&case).await? {
        Some(subject) => rights.located(&tenant, subject.expose()).await?,
        None => BTreeMap::new(),
    };
    take(&call, Step::Locate(counts)).await
}

async fn extend(call: Call<ById, OfTenant, Reason>) -> Result<Json<Case>, Problem> {
    let step = Step::Extend(call.body.reason.clone());
    take(&call, step).await
}

async fn refuse(call: Call<ById, OfTenant, Reason>) -> Result<Json<Case>, Problem> {
    let step = Step::Refuse(call.body.reason.clone());
    take(&call, step).await
}

async fn confirm(call: Call<ById, OfTenant, Nothing>) -> Result<Json<Case>, Problem> {
    take(&call, Step::Confirm).await
}

async fn take<B>(call: &Call<ById, OfTenant, B>, step: Step) -> Result<Json<Case>, Problem> {
    let tenant = tenant(&call.services.config, call.query.tenant.clone());
    let by = call.who.to_string();
    Ok(Json(call.services.rights.register().take(&tenant, &call.path.id, &[step], &by).await?))
}
