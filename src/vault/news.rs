//! Heeds what happens to records here and on other replicas: what was
//! remembered of them is forgotten.

use super::Shared;
use super::subject::State;
use crate::store::{Event, EventKind, News, Row};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// Follows the news of a store that other processes share, until the vault
/// is gone.
pub(super) async fn follow(vault: Weak<Shared>) {
    while let Some(shared) = vault.upgrade() {
        let store = Arc::clone(&shared.store);
        drop(shared);
        let news = store.news().await;
        let Some(shared) = vault.upgrade() else { return };
        match news {
            Ok(news) => shared.hear(news).await,
            // Until it can be asked again nothing that is remembered is believed.
            Err(error) => tracing::warn!(%error, "The vault cannot tell what other replicas changed."),
        }
    }
}

impl Shared {
    /// Forgets what is remembered of the records that an event is about, and
    /// tells the subscribers. Whoever changes records calls this once the
    /// change is durable.
    pub(super) fn heed(&self, event: Event) {
        self.heed_all(&[event]);
    }

    /// The same of many events at once.
    pub(super) fn heed_all(&self, events: &[Event]) {
        self.forget(events);
        for event in events {
            self.records.announce(*event);
        }
    }

    pub(super) async fn hear(&self, News { mut events, missed }: News) {
        if missed {
            events = vec![Event { row: Row::DEPLOYMENT, kind: EventKind::Missed }];
        }
        self.forget(&events);
        let is_of_the_vault = |event: &Event| matches!(event.kind, EventKind::Rotated | EventKind::Missed);
        if events.iter().any(is_of_the_vault)
            && let Err(error) = self.envelope.refresh().await
        {
            // Whoever meets a record under another key, or somebody new, tries it
            // again.
            tracing::warn!(%error, "The vault's own record cannot be read anew. Nobody new is taken in.");
        }
        for event in events {
            self.records.announce(event);
        }
    }

    fn forget(&self, events: &[Event]) {
        let mut rows = HashSet::new();
        for event in events {
            match event.kind {
                EventKind::Missed => {
                    self.changes.fetch_add(1, Ordering::SeqCst);
                    self.cache.each_subject(State::doubt);
                    self.cache.forget(|_| true);
                }
                EventKind::Erased | EventKind::Rekeyed | EventKind::Rectified | EventKind::Removed => {
                    // First of all, so that what is being read now is not remembered.
                    self.changes.fetch_add(1, Ordering::SeqCst);
                    if let Some(state) = self.cache.subject(event.row) {
                        state.doubt();
                        // Its keys are destroyed here too. Without new ones the old
                        // ones stay in doubt, and are read again.
                        if event.kind == EventKind::Erased && state.keys().are_stored() {
                            let _ = state.begin_anew(self);
                        }
                    }
                    rows.insert(event.row);
                }
                EventKind::Changed => {
                    if let Some(state) = self.cache.subject(event.row) {
                        state.doubt();
                    }
                }
                EventKind::Withdrawn | EventKind::Rotated | EventKind::Signalled | EventKind::Opened => {}
            }
        }
        if !rows.is_empty() {
            self.cache.forget(|row| rows.contains(row));
        }
    }
}
