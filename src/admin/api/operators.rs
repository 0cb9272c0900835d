//! `/operators`: who may use this API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Created, Done, Endpoint, Json, Nothing, Page, Paging};
use crate::admin::operators::{AddError, Name, Operator};
use crate::admin::role::Role;
use crate::audit::{Action, Look};
use crate::clock::Time;
use crate::problem::{Problem, ProblemKind};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/operators", Role::Admin, "Lists the operators.", list),
        Endpoint::post("/operators", Role::Admin, "Adds an operator and makes its key.", add),
        Endpoint::delete("/operators/{name}", Role::Admin, "Takes the key away from an operator.", remove),
        Endpoint::get("/me", Role::Viewer, "Tells who is asking.", me),
    ]
}

/// A new operator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    name: Name,
    role: Role,
    /// From when on its key opens nothing; absent: it does not end.
    #[serde(default)]
    expires: Option<Time>,
}

/// A new operator with its key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WithKey {
    #[serde(flatten)]
    operator: Operator,
    /// The key, which is shown this once.
    key: String,
}

/// Which operator.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ByName {
    name: Name,
}

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Me {
    /// As the access log names it.
    actor: String,
    role: Role,
}

async fn list(call: Call<Nothing, Paging>) -> Result<Json<Page<Operator>>, Problem> {
    let Paging { after, limit } = call.query;
    let items = call.services.logins.operators.list(after.as_deref(), limit.get()).await?;
    let next = items.last().filter(|_| items.len() == limit.get()).map(|last| last.name.to_string());
    Ok(Json(Page { items, next }))
}

async fn add(call: Call<Nothing, Nothing, NewOperator>) -> Result<Created<WithKey>, Problem> {
    let reason = format!("add {} as {}", call.body.name, call.body.role);
    call.record(Look { reason, ..call.look(Action::Operator) }).await?;
    let NewOperator { name, role, expires } = call.body;
    match call.services.logins.operators.add(name, role, expires).await {
        Ok((operator, key)) => Ok(Created(WithKey { operator, key: key.expose().to_owned() })),
        Err(AddError::Vault(error)) => Err(error.into()),
        Err(error @ AddError::Taken) => Err(Problem::new(ProblemKind::Conflict, format!("{error}."))),
        Err(error @ AddError::Expired) => Err(Problem::new(ProblemKind::BadRequest, format!("{error}."))),
    }
}

async fn remove(call: Call<ByName>) -> Result<Done, Problem> {
    call.record(Look { reason: format!("remove {}", call.path.name), ..call.look(Action::Operator) }).await?;
    if call.services.logins.operators.remove(call.path.name.as_str()).await? {
        Ok(Done)
    } else {
        Err(Problem::new(ProblemKind::NotFound, "There is no operator of this name."))
    }
}

async fn me(call: Call) -> Result<Json<Me>, Problem> {
    let role = call.who.role().unwrap_or(Role::Viewer);
    Ok(Json(Me { actor: call.who.to_string(), role }))
}
