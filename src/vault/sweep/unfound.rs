//! Takes what is forgotten, or corrected, out of the index that subjects are
//! found by.
//!
//! The entries go before the values, so that a walk which is cut off leaves no
//! entry behind. Two spellings of one address share an entry; where the other
//! spelling is kept, it is entered again: by a walk once it is past the subject,
//! by a correction at once.

use super::Due;
use crate::entity::Entity;
use crate::store::{Batch, Blind, Outcome, Row};
use crate::token::Token;
use crate::vault::Shared;
use crate::vault::error::VaultError;
use crate::vault::find::{meant, removal};
use crate::vault::subject_keys::{SubjectKeys, is_anonymized};
use std::collections::HashSet;
use std::sync::Arc;

/// How many tokens are read at once.
const PAGE: usize = 256;
/// How often the keys of a subject may be wrapped anew meanwhile.
const ATTEMPTS: usize = 8;

/// What the subject that a walk is at is not found by any more.
#[derive(Default)]
pub(super) struct Unfound(Option<Taken>);

struct Taken {
    who: Who,
    blinds: HashSet<Blind>,
}

/// A subject of which the row alone was known.
struct Who {
    row: Row,
    keys: SubjectKeys,
    tenant: String,
}

impl Unfound {
    /// Removes the entries of values that are due, of subjects in the order of
    /// their rows.
    pub(super) async fn take_out(&mut self, vault: &Shared, due: &Due) -> Result<(), VaultError> {
        for (row, due) in due {
            if !due.iter().any(|(token, ..)| vault.indexed.may_hold(token.entity())) {
                continue;
            }
            if self.0.as_ref().is_none_or(|taken| taken.who.row != *row) {
                self.settle(vault).await?;
                // Of whom nobody can open anything, nothing can be looked up.
                let Some(who) = Who::open(vault, *row).await? else { continue };
                self.0 = Some(Taken { who, blinds: HashSet::new() });
            }
            let Some(Taken { who, blinds }) = &mut self.0 else { continue };
            let of_due: Vec<Blind> =
                due.iter().filter_map(|(token, record, _)| who.blind(vault, token, record)).collect();
            let changes = of_due.iter().map(|blind| removal(*row, *blind)).collect();
            blinds.extend(of_due);
            vault.store.write(changes, None).await?;
        }
        Ok(())
    }

    /// The walk is past the subject: what is kept of it is entered again.
    pub(super) async fn settle(&mut self, vault: &Shared) -> Result<(), VaultError> {
        match self.0.take() {
            Some(Taken { who, blinds }) => who.enter_again(vault, &blinds).await,
            None => Ok(()),
        }
    }
}

impl Shared {
    /// One value of a subject is another one now, and its entry was removed:
    /// what else of the subject shares the entry is entered again.
    pub(in crate::vault) async fn settle_entry(
        &self,
        row: Row,
        tenant: &str,
        entity: Entity,
        value: &str,
    ) -> Result<(), VaultError> {
        let Some(blind) = self.blind_of(tenant, entity, value).filter(|_| self.indexed.holds(entity)) else {
            return Ok(());
        };
        match Who::open(self, row).await? {
            Some(who) => who.enter_again(self, &HashSet::from([blind])).await,
            None => Ok(()),
        }
    }
}

impl Who {
    /// None of a subject that is gone, or is damaged.
    async fn open(vault: &Shared, row: Row) -> Result<Option<Self>, VaultError> {
        let Some(record) = vault.store.subject(row).await? else { return Ok(None) };
        let root = vault.envelope.root_for(&record).await?;
        match SubjectKeys::open_named(&root, row, record) {
            Ok((keys, tenant, _)) => Ok(Some(Self { row, keys, tenant })),
            Err(VaultError::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Enters what stands of the subject and is found by one of these.
    async fn enter_again(&self, vault: &Shared, blinds: &HashSet<Blind>) -> Result<(), VaultError> {
        let mut after = None;
        loop {
            let page = vault.store.page(self.row, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            let kept = page.iter().filter_map(|(token, record)| self.blind(vault, token, record));
            let found_by: Vec<Blind> = kept.filter(|blind| blinds.contains(blind)).collect();
            if !found_by.is_empty() {
                let mut batch = Batch {
                    row: self.row,
                    subject: Arc::clone(self.keys.record()),
                    first_contact: false,
                    mappings: Vec::new(),
                    found_by,
                    is_told: false,
                };
                // As long as the subject is there: of one who was erased nothing
                // is entered.
                for _ in 0..ATTEMPTS {
                    match vault.store.put(batch.clone()).await? {
                        Outcome::Superseded(Some(standing)) => batch.subject = standing.into(),
                        _ => break,
                    }
                }
            }
        }
    }

    /// What a value is found by; none of one that is not, or does not open.
    fn blind(&self, vault: &Shared, token: &Token, record: &[u8]) -> Option<Blind> {
        if !vault.indexed.may_hold(token.entity()) || is_anonymized(record) {
            return None;
        }
        let content = self.keys.open_value(self.row, token, record).ok()?;
        let (entity, value) = meant(token.entity(), content.expose());
        vault.entry(&self.tenant, entity, value)
    }
}
