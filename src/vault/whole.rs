//! A subject as a whole: everything that is kept of it, and its erasure.

use super::retention::{PurposeId, purpose_id};
use super::subject_keys::{Head, Origin, SubjectKeys};
use super::{Kind, Subject, Vault, VaultError};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::store::{Event, EventKind, Row};
use crate::token::Token;

/// One value that is kept of a subject.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What stands for it.
    pub token: Token,
    /// The value, empty where it is gone; of a surrogate its text, entity and
    /// value.
    pub value: Sensitive,
    /// Since when it is kept (Unix seconds); 0 where nobody knows.
    pub created: u64,
    purpose: Option<PurposeId>,
}

/// What an erasure took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// How many values there were.
    pub values: usize,
    /// How many links led to it.
    pub links: usize,
}

/// How often a subject may be erased while its values are read.
const ATTEMPTS: usize = 8;

impl Vault {
    /// The values of a subject in the order of their tokens, from the one
    /// behind `after` on, at most `limit`.
    pub async fn values(
        &self,
        tenant: &str,
        subject: &str,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<Kept>, VaultError> {
        let shared = match &self.0 {
            Kind::Stored(shared) => shared,
            Kind::Memory(memory) => {
                let page = memory.known(tenant, subject).map(|known| known.values(after.as_ref(), limit));
                let kept = page.unwrap_or_default().into_iter();
                return Ok(kept
                    .map(|(token, value, Origin { created, purpose })| {
                        let value = Sensitive::from(value.expose());
                        Kept { token, value, created, purpose }
                    })
                    .collect());
            }
        };
        for _ in 0..ATTEMPTS {
            let held = self.subject(tenant, subject).await?;
            let Some(state) = held.kept_state() else { return Ok(Vec::new()) };
            let keys = state.current_keys(shared).await?;
            let page = shared.store.page(state.row, after, limit).await?;
            let opened: Result<Vec<Kept>, VaultError> =
                page.iter().map(|(token, record)| kept(&keys, state.row, *token, record)).collect();
            // Erased in between, and here again: what is read is under new keys.
            let is_other = opened.is_err() && {
                let again = self.subject(tenant, subject).await?;
                match again.kept_state() {
                    Some(state) => state.current_keys(shared).await?.alias() != keys.alias(),
                    None => false,
                }
            };
            if !is_other {
                return opened;
            }
        }
        Err(VaultError::unavailable("the subject is erased and comes again all the time"))
    }

    /// Erases a subject: its keys, its values, its links, and what it is found
    /// by. What was minted before is unknown from now on; a subject that comes
    /// again has new keys, and so other tokens.
    pub async fn erase(&self, tenant: &str, subject: &str) -> Result<Erased, VaultError> {
        let row = self.row(tenant, subject);
        // First of all, so that no backup brings it back, however this ends.
        self.records().erasing(row).await?;
        let shared = match &self.0 {
            Kind::Stored(shared) => shared,
            Kind::Memory(memory) => {
                let links = self.unlink(row).await?;
                let values = memory.erase(tenant, subject);
                memory.records().erase(row).await?;
                return Ok(Erased { values, links });
            }
        };
        // All who are at work for the subject share its state, and no keys that
        // are not stored yet come between. A subject whose record is damaged has
        // none, and is erased all the same.
        let held = self.subject(tenant, subject).await;
        let _contact = match held.as_ref().ok().and_then(Subject::kept_state) {
            Some(state) => Some(state.alone(shared).await),
            None => None,
        };
        let links = self.unlink(row).await?;
        let values = shared.store.erase(row).await?;
        let event = Event { row, kind: EventKind::Erased };
        // Of those who read just now, nobody remembers it.
        shared.heed(event);
        shared.store.write(Vec::new(), Some(event)).await?;
        Ok(Erased { values, links })
    }
}

impl Kept {
    /// Whether it came for the purpose of this name.
    pub fn is_for(&self, purpose: &str) -> bool {
        self.purpose == Some(purpose_id(purpose))
    }

    /// What stands for the value in messages, its entity, and the value.
    pub fn parts(&self) -> (String, Entity, &str) {
        let surrogate =
            (self.token.entity() == Entity::SURROGATE).then(|| super::surrogates::parts(self.value.expose()));
        match surrogate.flatten() {
            Some((text, entity, value)) => (text.to_owned(), entity, value),
            None => (self.token.to_string(), self.token.entity(), self.value.expose()),
        }
    }
}

/// A value as it is kept.
fn kept(keys: &SubjectKeys, row: Row, token: Token, record: &[u8]) -> Result<Kept, VaultError> {
    let head = Head::of(record);
    let value = match head {
        Some(Head { is_anonymized: true, .. }) => Sensitive::from(""),
        _ => keys.open_value(row, &token, record)?,
    };
    let Origin { created, purpose } = head.map_or(Origin::from(0), Head::origin);
    Ok(Kept { token, value, created, purpose })
}
