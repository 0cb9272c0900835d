//! A subject of one request: its tokens live as long as its handles.

use super::error::VaultError;
use super::subject_keys::PassingKey;
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::token::{Kinds, Token};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct Passing {
    key: PassingKey,
    mask: u64,
    values: Mutex<HashMap<Token, Arc<Sensitive>>>,
}

impl Passing {
    pub(super) fn new(key: PassingKey, mask: u64) -> Self {
        Self { key, mask, values: Mutex::default() }
    }

    pub(super) fn tokenize(&self, values: &[(Entity, &str)]) -> Result<Vec<Token>, VaultError> {
        let mut known = self.values();
        let token_of = |(entity, value): &(Entity, &str)| {
            for counter in 0..super::mint::MAX_COUNTER {
                let token = self.key.token(*entity, value, counter, self.mask);
                match known.entry(token) {
                    Entry::Vacant(free) => {
                        free.insert(Arc::new(Sensitive::from(*value)));
                        return Ok(token);
                    }
                    Entry::Occupied(same) if same.get().expose() == *value => return Ok(token),
                    Entry::Occupied(_) => {}
                }
            }
            Err(super::mint::NO_ROOM)
        };
        values.iter().map(token_of).collect()
    }

    pub(super) fn value(&self, token: &Token) -> Option<Arc<Sensitive>> {
        self.values().get(token).cloned()
    }

    pub(super) fn kinds(&self) -> Arc<Kinds> {
        Arc::new(Kinds::new(self.values().keys().map(Token::entity)))
    }

    fn values(&self) -> MutexGuard<'_, HashMap<Token, Arc<Sensitive>>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
