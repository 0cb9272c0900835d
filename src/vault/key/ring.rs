//! The keys that a process was given, by their names.
//!
//! Of several one is in use: a vault's own record says which. So a process
//! can be given the key to come before a rotation, and keep the key that goes
//! until it is over.

use super::transit::Transit;
use super::{Key, KeyId};
use std::fmt;

/// The keys of a process.
#[derive(Clone)]
pub struct Keyring {
    source: Source,
    sensitive: Option<Key>,
    others: Vec<Key>,
}

/// Where the key comes from that a new vault is made with, and that a rotation
/// leads to.
#[derive(Clone)]
pub(in crate::vault) enum Source {
    /// It is given.
    Given(Key),
    /// A Transit engine makes one, and keeps it wrapped.
    Transit(Transit),
}

impl Keyring {
    /// One key, from which that of the second layer is derived.
    pub fn new(key: Key) -> Self {
        Self { source: Source::Given(key), sensitive: None, others: Vec::new() }
    }

    /// Keys that a Transit engine wraps.
    pub fn transit(transit: Transit) -> Self {
        Self { source: Source::Transit(transit), sensitive: None, others: Vec::new() }
    }

    /// With a key of its own for the second layer, in which sensitive values
    /// are: who has the first key alone reads none of these.
    #[must_use]
    pub fn with_sensitive(mut self, key: Key) -> Self {
        self.sensitive = Some(key);
        self
    }

    /// With further keys, of either layer, that records may still be under.
    #[must_use]
    pub fn with_others(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
        self.others.extend(keys);
        self
    }

    pub(in crate::vault) fn source(&self) -> &Source {
        &self.source
    }

    /// The key of the second layer, where one is given.
    pub(in crate::vault) fn sensitive(&self) -> Option<&Key> {
        self.sensitive.as_ref()
    }

    /// The key of this name.
    pub(in crate::vault) fn find(&self, id: KeyId) -> Option<&Key> {
        let given = match &self.source {
            Source::Given(key) => Some(key),
            Source::Transit(_) => None,
        };
        given.into_iter().chain(&self.sensitive).chain(&self.others).find(|key| key.id() == id)
    }

    /// The name that a message tells of the keys that were given.
    pub(in crate::vault) fn first_id(&self) -> Option<KeyId> {
        match &self.source {
            Source::Given(key) => Some(key.id()),
            Source::Transit(_) => None,
        }
    }
}

impl From<Key> for Keyring {
    fn from(key: Key) -> Self {
        Self::new(key)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Keyring");
        match &self.source {
            Source::Given(key) => shown.field("key", key),
            Source::Transit(transit) => shown.field("transit", transit),
        };
        shown.field("sensitive", &self.sensitive).field("others", &self.others).finish()
    }
}
