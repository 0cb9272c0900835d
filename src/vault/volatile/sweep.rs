//! Retention of what lives in memory alone.

use super::{Entry, Known, Memory, Text, Volatile, hash, range};
use crate::config::Expiry;
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::vault::retention::{Kept, Policy};
use crate::vault::subject_keys::Origin;
use crate::vault::sweep::{STEP, Swept};
use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, PoisonError};
use zeroize::Zeroizing;

/// The rules, as they apply to the values of one tenant at one time.
#[derive(Clone, Copy)]
struct Judge<'p> {
    policy: &'p Policy,
    tenant: [u8; 8],
    now: u64,
    only_look: bool,
}

impl Memory {
    /// As [`Vault::sweep`](crate::vault::Vault::sweep).
    pub(in crate::vault) async fn sweep<P: Future<Output = ()>>(
        &self,
        policy: &Policy,
        now: u64,
        only_look: bool,
        pause: impl Fn() -> P,
    ) -> Swept {
        let (mut swept, mut tenants) = (Swept::default(), HashMap::new());
        // Taken out first, as no lock is held while it waits.
        let subjects: Vec<_> = self
            .subjects
            .iter()
            .map(|subject| {
                let tenant = subject.key().split('\0').next().unwrap_or_default();
                let tenant = *tenants.entry(tenant.to_owned()).or_insert_with(|| self.records.row(tenant, "").tenant);
                (tenant, Arc::clone(subject.value()))
            })
            .collect();
        let mut paused_at = 0;
        for (tenant, subject) in subjects {
            subject.sweep(Judge { policy, tenant, now, only_look }, &mut swept);
            if swept.seen - paused_at >= STEP as u64 {
                paused_at = swept.seen;
                pause().await;
            }
        }
        swept
    }
}

impl Judge<'_> {
    /// What is to be done with a value; counts it.
    fn judge(self, entity: Entity, origin: Origin, swept: &mut Swept) -> Option<Expiry> {
        let Origin { created, purpose } = origin;
        let kept = Kept { tenant: self.tenant, entity, purpose, created };
        swept.seen += 1;
        let due = self.policy.due(&kept, self.now);
        match due {
            Some(action) => {
                let entity = Some(entity).filter(|entity| *entity != Entity::SURROGATE);
                *swept.forgotten.entry((entity, action)).or_default() += 1;
            }
            None => swept.keep(self.policy.rule_of(&kept, self.now), created),
        }
        due.filter(|_| !self.only_look)
    }
}

impl Volatile {
    fn sweep(&self, judge: Judge<'_>, swept: &mut Swept) {
        self.known().sweep(judge, swept);
        let mut chosen = self.surrogates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chosen) = chosen.as_mut() {
            let is_due = |origin: &Origin| judge.judge(Entity::SURROGATE, *origin, swept).is_some();
            let due: Vec<bool> = chosen.origins.iter().map(is_due).collect();
            if due.contains(&true) {
                chosen.known.retain(|place| due.get(place) != Some(&true));
                let mut due = due.iter();
                chosen.origins.retain(|_| due.next() != Some(&true));
            }
        }
    }
}

impl Known {
    fn sweep(&mut self, judge: Judge<'_>, swept: &mut Swept) {
        let due: Vec<Option<Expiry>> = (0..self.entries.len())
            .map(|at| {
                let entry = self.entries.get(at)?;
                let is_gone = self.changed.get(&(at as u32)).is_some_and(Option::is_none);
                let text = self.texts.get(entry.text as usize).filter(|_| !is_gone)?;
                judge.judge(*self.entities.get(entry.kind())?, text.origin, swept)
            })
            .collect();
        if due.iter().any(Option::is_some) {
            self.rebuild(&due);
        }
    }

    /// Leaves out what is due. Values stand in texts of many, so all that stay
    /// are written anew, and the old texts are wiped.
    fn rebuild(&mut self, due: &[Option<Expiry>]) {
        let old = mem::take(self);
        let (entities, kinds) = (old.entities.clone(), Arc::clone(&old.kinds));
        *self = Self { entities, kinds, ..Self::default() };
        let mut at = 0;
        for of_text in old.entries.chunk_by(|one, next| one.text == next.text) {
            let number = of_text.first().map_or(0, |entry| entry.text as usize);
            let Some(Text { values, origin }) = old.texts.get(number) else { continue };
            let mut fresh = Zeroizing::new(String::with_capacity(values.expose().len()));
            let before = self.entries.len();
            for entry in of_text {
                let (place, due) = (at, due.get(at as usize).copied().flatten());
                at += 1;
                if due == Some(Expiry::Delete) {
                    continue;
                }
                // There are no more of them than there were.
                let [to, text, start] = [self.entries.len(), self.texts.len(), fresh.len()].map(|n| n as u32);
                match (due, old.changed.get(&place)) {
                    (Some(_), _) => drop(self.changed.insert(to, None)),
                    (None, Some(changed)) => drop(self.changed.insert(to, changed.clone())),
                    (None, None) => {
                        let value = range(&old.entries, place, values.expose());
                        fresh.push_str(value.and_then(|value| values.expose().get(value)).unwrap_or_default());
                    }
                }
                self.entries.push(Entry { key: entry.key, text, start });
                let hash_at = |at: &u32| self.entries.get(*at as usize).map_or(0, |entry| hash(entry.key));
                self.index.insert_unique(hash(entry.key), to, hash_at);
            }
            if self.entries.len() > before {
                self.texts.push(Text { values: Arc::new(Sensitive::new(mem::take(&mut *fresh))), origin: *origin });
            }
        }
    }
}
