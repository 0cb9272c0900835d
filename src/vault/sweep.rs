//! Forgets what has been kept long enough: walks all tokens in bounded steps,
//! and pauses between them.

mod clock_check;
mod history;
mod unfound;

pub use clock_check::{ClockCheck, Doubt, Reading};
pub use history::{Day, History};

use super::error::VaultError;
use super::retention::{Kept, Policy};
use super::subject_keys::Head;
use super::{Kind, Shared, Vault};
use crate::config::Expiry;
use crate::entity::Entity;
use crate::store::{Event, EventKind, Row};
use crate::token::Token;
use std::collections::BTreeMap;
use unfound::Unfound;

/// How many tokens one step looks at.
pub(super) const STEP: usize = 1_000;

/// What a walk found, or did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tokens that were looked at.
    pub seen: u64,
    /// How many values were forgotten (or would be), by entity and how;
    /// surrogates are under none.
    pub forgotten: BTreeMap<(Option<Entity>, Expiry), u64>,
    /// What is kept, by the place of its rule in the configuration.
    pub kept: BTreeMap<Option<usize>, Holding>,
}

/// Values that one rule is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holding {
    /// How many.
    pub values: u64,
    /// When the oldest of them came, in Unix seconds.
    pub oldest: u64,
}

impl Swept {
    /// How many values were forgotten, of all entities.
    pub fn total(&self) -> u64 {
        self.forgotten.values().sum()
    }

    pub(super) fn keep(&mut self, rule: Option<usize>, created: u64) {
        let holding = self.kept.entry(rule).or_insert(Holding { values: 0, oldest: created });
        holding.values += 1;
        holding.oldest = holding.oldest.min(created);
    }
}

impl Vault {
    /// Walks all tokens, and forgets what `policy` says at `now` (Unix
    /// seconds). Where `only_look` is set, nothing is changed. Between two
    /// steps it waits for `pause`.
    pub async fn sweep<P: Future<Output = ()>>(
        &self,
        policy: &Policy,
        now: u64,
        only_look: bool,
        pause: impl Fn() -> P,
    ) -> Result<Swept, VaultError> {
        let shared = match &self.0 {
            Kind::Stored(shared) => shared,
            Kind::Memory(memory) => return Ok(memory.sweep(policy, now, only_look, pause).await),
        };
        let mut unfound = Unfound::default();
        let walked = walk(shared, policy, now, only_look, pause, &mut unfound).await;
        // Also where the walk broke off, as nobody else knows what was taken out.
        unfound.settle(shared).await?;
        walked
    }
}

async fn walk<P: Future<Output = ()>>(
    shared: &Shared,
    policy: &Policy,
    now: u64,
    only_look: bool,
    pause: impl Fn() -> P,
    unfound: &mut Unfound,
) -> Result<Swept, VaultError> {
    let mut swept = Swept::default();
    let mut after = None;
    loop {
        // Each step reads a snapshot of its own, so that none is held long.
        let page = shared.store.snapshot().await?.mappings(after, STEP).await?;
        let Some((row, token, _)) = page.last() else { break };
        after = Some((*row, *token));
        let mut due = Due::new();
        for (row, token, record) in page {
            swept.seen += 1;
            let Some(head) = Head::of(&record) else { continue };
            if head.is_anonymized {
                continue;
            }
            let kept =
                Kept { tenant: row.tenant, entity: token.entity(), purpose: head.purpose, created: head.created };
            match policy.due(&kept, now) {
                Some(action) => due.entry(row).or_default().push((token, record, action)),
                None => swept.keep(policy.rule_of(&kept, now), head.created),
            }
        }
        if !only_look {
            unfound.take_out(shared, &due).await?;
        }
        let events: Vec<Event> = due.keys().map(|row| Event { row: *row, kind: EventKind::Removed }).collect();
        let forgotten = forget(shared, due, only_look, &mut swept).await;
        if !only_look {
            // Together, as each look through the cache is one through all of it.
            shared.heed_all(&events);
        }
        forgotten?;
        pause().await;
    }
    Ok(swept)
}

/// Values that are due, with their records and what becomes of them.
type Due = BTreeMap<Row, Vec<(Token, Vec<u8>, Expiry)>>;

/// Forgets values, and counts them.
async fn forget(shared: &Shared, due: Due, only_look: bool, swept: &mut Swept) -> Result<(), VaultError> {
    for (row, due) in due {
        let mut removed = Vec::new();
        for (token, record, action) in due {
            let is_forgotten = match action {
                _ if only_look => true,
                Expiry::Delete => {
                    removed.push((token, record));
                    true
                }
                Expiry::Anonymize => {
                    let without = Head::of(&record).map(Head::anonymized).unwrap_or_default();
                    shared.store.swap_mapping(row, token, record, without).await?
                }
            };
            let entity = Some(token.entity()).filter(|entity| *entity != Entity::SURROGATE);
            *swept.forgotten.entry((entity, action)).or_default() += u64::from(is_forgotten);
        }
        if !removed.is_empty() {
            // What another replica removed, and minted again since, stays.
            shared.store.remove(row, removed).await?;
        }
    }
    Ok(())
}
