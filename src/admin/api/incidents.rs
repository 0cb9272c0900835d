//! `/incidents`: the register of breaches.

use schemars::JsonSchema;
use serde::Deserialize;

use super::endpoint::at_most;
use super::{Call, Created, Endpoint, Json, Nothing, Page, Paging};
use crate::admin::role::Role;
use crate::incident::{Incident, State};
use crate::problem::{Problem, ProblemKind};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/incidents", Role::Officer, "Lists the register of incidents.", list),
        Endpoint::post("/incidents", Role::Officer, "Opens an incident; its 72 hours begin.", open),
        Endpoint::get("/incidents/{id}", Role::Officer, "Shows an incident.", show),
        Endpoint::post("/incidents/{id}/history", Role::Officer, "Adds what was done about an incident.", note),
    ]
}

/// A new incident.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// What happened. It must name no person.
    #[serde(deserialize_with = "at_most::<_, _, 4096>")]
    #[schemars(length(max = 4096))]
    summary: String,
}

/// What was done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// What. It must name no person.
    #[serde(deserialize_with = "at_most::<_, _, 4096>")]
    #[schemars(length(max = 4096))]
    text: String,
    /// The state that the incident came to by it.
    #[serde(default)]
    state: Option<State>,
}

/// Which incident.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ById {
    id: String,
}

const LONGEST: usize = 4096;

async fn list(call: Call<Nothing, Paging>) -> Result<Json<Page<Incident>>, Problem> {
    let Paging { after, limit } = call.query;
    let items = call.services.incidents.list(after.as_deref(), limit.get()).await?;
    let next = items.last().filter(|_| items.len() == limit.get()).map(|last| last.id.clone());
    Ok(Json(Page { items, next }))
}

async fn open(call: Call<Nothing, Nothing, NewIncident>) -> Result<Created<Incident>, Problem> {
    bounded(&call.body.summary)?;
    Ok(Created(call.services.incidents.open(&call.who.to_string(), &call.body.summary, None).await?))
}

async fn show(call: Call<ById>) -> Result<Json<Incident>, Problem> {
    call.services.incidents.get(&call.path.id).await?.map(Json).ok_or_else(unknown)
}

async fn note(call: Call<ById, Nothing, Note>) -> Result<Json<Incident>, Problem> {
    bounded(&call.body.text)?;
    let (by, Note { text, state }) = (call.who.to_string(), &call.body);
    call.services.incidents.note(&call.path.id, &by, text, *state).await?.map(Json).ok_or_else(unknown)
}

fn bounded(text: &str) -> Result<(), Problem> {
    if text.chars().count() <= LONGEST {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::BadRequest, format!("A text has at most {LONGEST} characters.")))
}

fn unknown() -> Problem {
    Problem::new(ProblemKind::NotFound, "There is no incident of this id.")
}
