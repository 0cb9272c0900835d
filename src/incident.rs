//! The register of breaches (GDPR Article 33(5)): what happened, what was done
//! about it, and how long there is still to tell the authority.

mod alerts;

use std::fmt;

use aws_lc_rs::rand;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::hex;
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, Records, Vault, VaultError};

pub use alerts::{Alarm, Alerts, Rule};

/// How long a company has to tell the authority, from when it knows
/// (Article 33(1)): 72 hours.
pub const CLOCK: u64 = 72 * 3600;

const DAMAGED: VaultError = VaultError::Corrupt { what: "record of an incident" };

/// An entry of the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// By which it is found.
    pub id: String,
    /// When the company came to know of it.
    pub opened: Time,
    /// Until when the authority must be told, if it must be.
    pub due: Time,
    /// What happened.
    pub summary: String,
    /// The rule that raised it; absent where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// How far it is.
    pub state: State,
    /// What was done, in order.
    pub history: Vec<Entry>,
}

/// How far an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is looked into.
    Open,
    /// The authority was told (Article 33).
    AuthorityTold,
    /// The persons were told (Article 34).
    PersonsTold,
    /// It is over, or was none.
    Closed,
}

/// What was done about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// By whom.
    pub by: String,
    /// What.
    pub text: String,
    /// What state it came to.
    pub state: State,
}

/// The text is no id of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no incident of this id")]
pub struct NoIncident;

/// All incidents of a deployment. Clones share them.
#[derive(Clone)]
pub struct Register(Records);

impl Register {
    /// The register of this vault.
    pub fn new(vault: &Vault) -> Self {
        Self(vault.records().clone())
    }

    /// Opens an incident; the clock begins.
    pub async fn open(&self, by: &str, summary: &str, rule: Option<Rule>) -> Result<Incident, VaultError> {
        let opened = Time::now();
        let mut key = opened.0.to_be_bytes().to_vec();
        let mut random = [0; 4];
        rand::fill(&mut random).map_err(|_| VaultError::unavailable("no random numbers can be had"))?;
        key.extend_from_slice(&random);
        let state = State::Open;
        let first = Entry { at: opened, by: by.to_owned(), text: "opened".to_owned(), state };
        let incident = Incident {
            id: hex::encode(&key),
            opened,
            due: Time(opened.0 + CLOCK),
            summary: summary.to_owned(),
            rule,
            state,
            history: vec![first],
        };
        self.write(&key, Expected::Absent, &incident).await?;
        Ok(incident)
    }

    /// Adds what was done. None where there is no such incident.
    pub async fn note(
        &self,
        id: &str,
        by: &str,
        text: &str,
        state: Option<State>,
    ) -> Result<Option<Incident>, VaultError> {
        let Some(key) = hex::decode(id) else { return Ok(None) };
        loop {
            let Some(old) = self.0.get(Owner::Deployment, Space::Incident, &key).await? else { return Ok(None) };
            let mut incident: Incident = serde_json::from_slice(&old).map_err(|_| DAMAGED)?;
            incident.state = state.unwrap_or(incident.state);
            let entry = Entry { at: Time::now(), by: by.to_owned(), text: text.to_owned(), state: incident.state };
            incident.history.push(entry);
            if self.write(&key, Expected::Unchanged(&old), &incident).await? {
                return Ok(Some(incident));
            }
        }
    }

    /// One incident.
    pub async fn get(&self, id: &str) -> Result<Option<Incident>, VaultError> {
        let Some(key) = hex::decode(id) else { return Ok(None) };
        let found = self.0.get(Owner::Deployment, Space::Incident, &key).await?;
        found.map(|text| serde_json::from_slice(&text).map_err(|_| DAMAGED)).transpose()
    }

    /// Incidents in the order of their opening, behind the one with this id.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Incident>, VaultError> {
        let after = after.and_then(hex::decode);
        let found = self.0.scan(Owner::Deployment, Space::Incident, after.as_deref(), limit).await?;
        found.into_iter().map(|(_, text)| serde_json::from_slice(&text).map_err(|_| DAMAGED)).collect()
    }

    /// Whether this is the first replica to say so: `name` is taken once.
    async fn is_first(&self, name: &str) -> Result<bool, VaultError> {
        let (owner, expected) = (Owner::Deployment, Expected::Absent);
        let taken = RecordChange { owner, space: Space::Once, key: name.as_bytes(), expected, value: Some(b"") };
        self.0.write(&[taken], None).await
    }

    async fn write(&self, key: &[u8], expected: Expected<'_>, incident: &Incident) -> Result<bool, VaultError> {
        let value = serde_json::to_vec(incident).map_err(|_| DAMAGED)?;
        let (owner, space) = (Owner::Deployment, Space::Incident);
        self.0.write(&[RecordChange { owner, space, key, expected, value: Some(&value) }], None).await
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Register")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{Key, Options, VaultUrl};

    #[tokio::test]
    async fn an_incident_has_its_clock_and_its_history() {
        let vault = Vault::open(&VaultUrl::Memory, Key::generate(), Options::default()).await.unwrap();
        let register = Register::new(&vault);
        let first = register.open("operator:anna", "A laptop is lost.", None).await.unwrap();
        assert_eq!((first.due.0 - first.opened.0, first.state), (72 * 3600, State::Open));
        let told = register.note(&first.id, "operator:anna", "Told by form.", Some(State::AuthorityTold)).await;
        let told = told.unwrap().unwrap();
        assert_eq!((told.state, told.history.len(), told.due), (State::AuthorityTold, 2, first.due));
        let noted = register.note(&first.id, "operator:eve", "Wiped.", None).await.unwrap().unwrap();
        assert_eq!((noted.state, noted.history[2].by.as_str()), (State::AuthorityTold, "operator:eve"));
        assert_eq!(register.get(&first.id).await.unwrap(), Some(noted));
        for wrong in ["", "00", "zz", "Ä"] {
            assert_eq!(register.note(wrong, "x", "y", None).await.unwrap(), None, "{wrong}");
        }
        register.open("gateway", "Alarm.", Some(Rule::FailedLogins)).await.unwrap();
        let all = register.list(None, 9).await.unwrap();
        let rest = register.list(Some(&all[0].id), 9).await.unwrap();
        assert_eq!((all.len(), rest.len(), &rest[0]), (2, 1, &all[1]));
    }
}
