//! Whose data is restricted (GDPR Article 18): it is kept and not used. Every
//! request asks, so the few subjects that are restricted are all at hand, and
//! a request costs one look at a flag where there are none. A replica that cannot
//! know what others changed asks the store.

use super::RightsError;
use crate::store::{Event, EventKind, Row, Space};
use crate::vault::{Expected, Owner, RecordChange, Records, VaultError};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

const PAGE: usize = 1_000;

/// The restricted subjects. Clones share them.
#[derive(Debug, Clone)]
pub struct Restrictions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    records: Records,
    any: AtomicBool,
    /// Something that was heard of could not be read.
    in_doubt: AtomicBool,
    rows: RwLock<HashSet<Row>>,
}

impl Restrictions {
    /// Knows of none until it is [loaded](Self::load).
    pub(super) fn new(records: Records) -> Self {
        Self(Arc::new(Inner {
            records,
            any: AtomicBool::new(false),
            in_doubt: AtomicBool::new(false),
            rows: RwLock::default(),
        }))
    }

    /// Whether a subject's data is restricted.
    pub async fn hold(&self, tenant: &str, subject: &str) -> Result<bool, VaultError> {
        self.hold_for(self.0.records.row(tenant, subject)).await
    }

    /// The same of a subject by its row; from memory, if nobody can have
    /// changed it unheard.
    pub async fn hold_for(&self, row: Row) -> Result<bool, VaultError> {
        if self.0.records.is_current() && !self.0.in_doubt.load(Ordering::Acquire) {
            return Ok(self.covers(row));
        }
        Ok(self.0.records.get(Owner::Deployment, Space::Restriction, &row.to_bytes()).await?.is_some())
    }

    /// As this process has heard last. No I/O.
    pub(super) fn covers(&self, row: Row) -> bool {
        self.0.any.load(Ordering::Acquire) && self.0.rows.read().unwrap_or_else(PoisonError::into_inner).contains(&row)
    }

    /// Reads them all.
    pub async fn load(&self) -> Result<(), RightsError> {
        let (mut rows, mut after) = (HashSet::new(), None);
        loop {
            let page = self.0.records.scan(Owner::Deployment, Space::Restriction, after.as_deref(), PAGE).await?;
            rows.extend(page.iter().filter_map(|(key, _)| Some(Row::from_bytes(key.first_chunk()?))));
            let Some((last, _)) = page.into_iter().next_back() else { break };
            after = Some(last);
        }
        let mut known = self.0.rows.write().unwrap_or_else(PoisonError::into_inner);
        self.0.any.store(!rows.is_empty(), Ordering::Release);
        *known = rows;
        self.0.in_doubt.store(false, Ordering::Release);
        Ok(())
    }

    /// All of them.
    pub(super) fn rows(&self) -> Vec<Row> {
        self.0.rows.read().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Nothing that is remembered is believed until all are [loaded](Self::load).
    pub(super) fn doubt(&self) {
        self.0.in_doubt.store(true, Ordering::Release);
    }

    /// Reads again whether one subject is restricted.
    pub(super) async fn refresh(&self, row: Row) -> Result<(), RightsError> {
        let found = self.0.records.get(Owner::Deployment, Space::Restriction, &row.to_bytes()).await?;
        self.note(row, found.is_some());
        Ok(())
    }

    /// Restricts a subject's data, or ends that. When this returns it is so,
    /// here at once and on other replicas as soon as they are told.
    pub(super) async fn set(&self, tenant: &str, subject: &str, is_restricted: bool) -> Result<(), RightsError> {
        let row = self.0.records.row(tenant, subject);
        let key = row.to_bytes();
        let change = RecordChange {
            owner: Owner::Deployment,
            space: Space::Restriction,
            key: &key,
            expected: Expected::Anything,
            value: is_restricted.then_some(&[]),
        };
        self.0.records.write(&[change], Some(Event { row, kind: EventKind::Changed })).await?;
        self.note(row, is_restricted);
        Ok(())
    }

    fn note(&self, row: Row, is_restricted: bool) {
        let mut rows = self.0.rows.write().unwrap_or_else(PoisonError::into_inner);
        if is_restricted {
            rows.insert(row);
        } else {
            rows.remove(&row);
        }
        self.0.any.store(!rows.is_empty(), Ordering::Release);
    }
}
