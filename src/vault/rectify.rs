//! Correcting a value: its old tokens restore to the corrected one from now
//! on, here and on every replica.
//!
//! The token stays under another value than it was derived from. Whoever mints
//! the old value again finds its token taken and goes on to the next, as it is
//! with any two values that meet at one token; the corrected value has, besides
//! this one, a token of its own once it is minted.

use super::seal::random;
use super::subject_keys::{Head, Origin, is_anonymized};
use super::{Kind, Vault, VaultError, clock, find, surrogates};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::store::{Event, EventKind};
use crate::token::Token;

/// How often another write may come in between.
const ATTEMPTS: usize = 8;

impl Vault {
    /// By what a value is kept of which this stands in messages: its token, or
    /// the mark of a surrogate. None where the subject has no such value.
    pub async fn token_of(&self, tenant: &str, subject: &str, text: &str) -> Result<Option<Token>, VaultError> {
        let shared = match &self.0 {
            Kind::Stored(shared) => shared,
            Kind::Memory(memory) => return Ok(memory.known(tenant, subject).and_then(|known| known.token_of(text))),
        };
        let held = self.subject(tenant, subject).await?;
        let Some(state) = held.kept_state() else { return Ok(None) };
        let keys = state.current_keys(shared).await?;
        let surrogate = keys.token(Entity::SURROGATE, text, 0, shared.token_mask);
        for token in Token::parse(text).into_iter().chain([surrogate]) {
            let Some(record) = shared.store.mappings(state.row, &[token]).await?.into_iter().next().flatten() else {
                continue;
            };
            if is_anonymized(&record) {
                continue;
            }
            if token.entity() != Entity::SURROGATE {
                return Ok(Some(token));
            }
            let content = keys.open_value(state.row, &token, &record)?;
            if surrogates::parts(content.expose()).is_some_and(|(known, _, _)| known == text) {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    /// Lets a token of a subject stand for `value` from now on; false where it
    /// is none of this subject's. When this returns the change is durable.
    pub async fn rectify(&self, tenant: &str, subject: &str, token: &Token, value: &str) -> Result<bool, VaultError> {
        let shared = match &self.0 {
            Kind::Stored(shared) => shared,
            Kind::Memory(memory) => {
                return Ok(memory.known(tenant, subject).is_some_and(|known| known.rectify(token, value)));
            }
        };
        let held = self.subject(tenant, subject).await?;
        let Some(state) = held.kept_state() else { return Ok(false) };
        for _ in 0..ATTEMPTS {
            let keys = state.current_keys(shared).await?;
            let Some(old) = shared.store.mappings(state.row, &[*token]).await?.into_iter().next().flatten() else {
                return Ok(false);
            };
            if is_anonymized(&old) {
                return Ok(false);
            }
            let before = keys.open_value(state.row, token, &old)?;
            let origin = Head::of(&old).map_or_else(|| Origin::from(clock::unix_seconds()), Head::origin);
            let surrogate = surrogates::parts(before.expose()).filter(|_| token.entity() == Entity::SURROGATE);
            let value = Sensitive::from(value);
            let (entity, content) = match surrogate {
                Some((text, entity, _)) => (entity, surrogates::content(text, entity, &value)),
                None => (token.entity(), value.clone()),
            };
            let new = keys.seal(state.row, token, entity, content.expose(), origin, *random()?)?;
            if !shared.store.swap_mapping(state.row, *token, old, new).await? {
                continue;
            }
            let event = Event { row: state.row, kind: EventKind::Rectified };
            shared.heed(event);
            let (_, before) = find::meant(token.entity(), before.expose());
            let changes = shared.entries_of_corrected(state, entity, before, value.expose());
            shared.store.write(changes, Some(event)).await?;
            let (tenant, _) = state.identity();
            shared.settle_entry(state.row, tenant, entity, before).await?;
            return Ok(true);
        }
        Err(VaultError::unavailable("a value keeps changing"))
    }
}
