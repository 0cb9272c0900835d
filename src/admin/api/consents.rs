//! `/consents`: what persons have agreed to, refused and withdrawn.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint::at_most;
use super::{Call, Endpoint, Json, Nothing, Page, Paging};
use crate::admin::role::Role;
use crate::clock::Time;
use crate::config::{Basis, Config};
use crate::hex;
use crate::ledger::{self, Act, Channel, Ledger, LedgerError, Notices, Statement, Statistics, What};
use crate::problem::{Problem, ProblemKind};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/consents", Role::Officer, "Lists the statements of a tenant in their order.", list),
        Endpoint::get("/consents/{subject}", Role::Officer, "The receipt of a person (ISO/IEC TS 27560).", receipt),
        Endpoint::delete("/consents/{subject}", Role::Officer, "Withdraws consent for a person.", withdraw),
        Endpoint::get("/consent-statistics", Role::Viewer, "Counts what was agreed to and withdrawn.", statistics),
    ]
}

/// Of which tenant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfTenant {
    /// The tenant; that of the deployment without it.
    #[serde(default, deserialize_with = "at_most::<_, _, 128>")]
    #[schemars(length(max = 128))]
    tenant: Option<String>,
}

/// Which person.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BySubject {
    /// The pseudonymous id that the site gives.
    #[serde(deserialize_with = "at_most::<_, _, 128>")]
    #[schemars(length(min = 1, max = 128))]
    subject: String,
}

/// What is withdrawn.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// The tenant; that of the deployment without it.
    #[serde(default, deserialize_with = "at_most::<_, _, 128>")]
    #[schemars(length(max = 128))]
    tenant: Option<String>,
    /// The purpose; all of them without it.
    #[serde(default, deserialize_with = "at_most::<_, _, 64>")]
    #[schemars(length(max = 64))]
    purpose: Option<String>,
}

/// Of which time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfTime {
    /// The tenant; that of the deployment without it.
    #[serde(default, deserialize_with = "at_most::<_, _, 128>")]
    #[schemars(length(max = 128))]
    tenant: Option<String>,
    /// From when on.
    #[serde(default)]
    from: Option<Time>,
    /// Until when, itself excluded.
    #[serde(default)]
    to: Option<Time>,
}

/// A statement, and the pseudonym under which it is filed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Filed {
    /// A keyed hash of the person, who cannot be told from it.
    subject: String,
    #[serde(flatten)]
    statement: Statement,
}

/// What a withdrawal has changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Changed {
    /// The purposes that are withdrawn now and were not.
    withdrawn: Vec<String>,
}

async fn list(call: Call<Nothing, Paging>) -> Result<Json<Page<Filed>>, Problem> {
    let Paging { after, limit } = call.query;
    let after = after.map(|after| hex::decode(&after).ok_or_else(no_page)).transpose()?;
    let (records, tenant) = (call.services.vault.records(), &call.services.config.tenant);
    let page = ledger::journal(records, tenant, after.as_deref(), limit.get()).await?;
    let next = page.last().filter(|_| page.len() == limit.get()).map(|(key, _, _)| hex::encode(key));
    let filed = page.into_iter().map(|(_, row, statement)| Filed { subject: hex::encode(&row.subject), statement });
    Ok(Json(Page { items: filed.collect(), next }))
}

async fn receipt(call: Call<BySubject, OfTenant>) -> Result<Json<Value>, Problem> {
    let config = &call.services.config;
    let ledger = ledger(&call);
    let row = ledger.row(call.query.tenant.as_deref().unwrap_or(&config.tenant), &call.path.subject);
    let (known, latest) = ledger.latest(row).await?;
    Ok(Json(ledger::receipt(config, ledger.notices(), row, known.state(), &latest)))
}

async fn withdraw(call: Call<BySubject, Withdrawn>) -> Result<Json<Changed>, Problem> {
    let config = &call.services.config;
    let Withdrawn { tenant, purpose } = &call.query;
    let purposes = match purpose {
        Some(name) if config.purpose(name).is_none() => {
            return Err(Problem::new(ProblemKind::BadRequest, "There is no such purpose."));
        }
        Some(name) => BTreeMap::from([(name.clone(), false)]),
        None => all_purposes(config),
    };
    let ledger = ledger(&call);
    let row = ledger.row(tenant.as_deref().unwrap_or(&config.tenant), &call.path.subject);
    let what = What { purposes, policy: config.consent.policy.clone(), ..What::new(Act::Withdrawn, Channel::Operator) };
    let changed = ledger.withdraw(row, what).await?;
    Ok(Json(Changed { withdrawn: changed.withdrawn }))
}

async fn statistics(call: Call<Nothing, OfTime>) -> Result<Json<Statistics>, Problem> {
    let OfTime { tenant, from, to } = &call.query;
    let tenant = tenant.as_deref().unwrap_or(&call.services.config.tenant);
    let time = from.map_or(0, |from| from.0)..to.map_or(u64::MAX, |to| to.0);
    Ok(Json(Statistics::count(call.services.vault.records(), tenant, time).await?))
}

/// The same records that the gateway keeps, of which it hears what is changed here.
pub(super) fn ledger<P, Q, B>(call: &Call<P, Q, B>) -> Ledger {
    Ledger::new(&call.services.vault, Notices::new(&call.services.config.notices))
}

fn all_purposes(config: &Config) -> BTreeMap<String, bool> {
    let can = config.purposes.iter().filter(|one| matches!(one.basis, Basis::Consent | Basis::LegitimateInterest));
    can.map(|purpose| (purpose.name.clone(), false)).collect()
}

fn no_page() -> Problem {
    Problem::new(ProblemKind::BadRequest, "`after` is the `next` of a page before.")
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Vault(error) => error.into(),
            LedgerError::Full => {
                Self::new(ProblemKind::RateLimited, "The record of this person takes no more statements.")
            }
        }
    }
}
