//! Heeds what happens to records here and on other replicas: what was
//! remembered of them is forgotten.

use super::Shared;
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
            Ok(news) => {
                let is_rotated = news.missed || news.events.iter().any(|event| event.kind == EventKind::Rotated);
                shared.hear(news);
                if is_rotated && let Err(error) = shared.envelope.refresh().await {
                    // What is sealed with the new key cannot be read here.
                    tracing::error!(%error, "The vault's key was changed, and the new one is not at hand.");
                }
            }
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
        self.forget(&[event]);
        self.records.announce(event);
    }

    fn hear(&self, News { mut events, missed }: News) {
        if missed {
            events = vec![Event { row: Row::DEPLOYMENT, kind: EventKind::Missed }];
        }
        self.forget(&events);
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
                    self.cache.each_subject(|state| state.doubt());
                    self.cache.forget(|_| true);
                }
                EventKind::Erased | EventKind::Rekeyed | EventKind::Rectified | EventKind::Removed => {
                    // First of all, so that what is being read now is not remembered.
                    self.changes.fetch_add(1, Ordering::SeqCst);
                    if let Some(state) = self.cache.subject(event.row) {
                        state.doubt();
                        if event.kind == EventKind::Erased {
                            state.forget_keys(&self.envelope.root());
                        }
                    }
                    rows.insert(event.row);
                }
                EventKind::Changed => {
                    if let Some(state) = self.cache.subject(event.row) {
                        state.doubt();
                    }
                }
                EventKind::Withdrawn | EventKind::Rotated => {}
            }
        }
        if !rows.is_empty() {
            self.cache.forget(|row| rows.contains(row));
        }
    }
}
