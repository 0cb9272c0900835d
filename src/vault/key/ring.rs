//! The keys that a process was given, by their names.
//!
//! Of several one is in use: a vault's own record says which. So a process
//! can be given the key to come before a rotation, and keep the key that goes
//! until it is over.

use super::transit::{Transit, TransitError};
use super::{Key, KeyId};
use crate::vault::error::VaultError;
use crate::vault::root::Ids;
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
enum Source {
    /// It is given.
    Given(Key),
    /// A Transit engine makes one, and keeps it wrapped.
    Transit(Transit),
}

/// The keys of both layers, and how a key service wraps the first.
#[derive(Clone)]
pub(in crate::vault) struct Secrets {
    pub(in crate::vault) key: Key,
    /// Empty where the key is given.
    pub(in crate::vault) wrapped: String,
    pub(in crate::vault) sensitive: Key,
}

impl Secrets {
    /// A given key, and that of the second layer, which is derived where none
    /// is given.
    pub(in crate::vault) fn given(key: Key, sensitive: Option<Key>) -> Result<Self, VaultError> {
        Self::wrapped(key, String::new(), sensitive)
    }

    /// The same with this key of the second layer, or the derived one.
    pub(in crate::vault) fn with_sensitive(self, sensitive: Option<Key>) -> Result<Self, VaultError> {
        Self::wrapped(self.key, self.wrapped, sensitive)
    }

    fn wrapped(key: Key, wrapped: String, sensitive: Option<Key>) -> Result<Self, VaultError> {
        let sensitive = sensitive.map_or_else(|| key.of_sensitive(), Ok)?;
        Ok(Self { key, wrapped, sensitive })
    }
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

    /// Takes one more key in.
    pub(in crate::vault) fn add(&mut self, key: Key) {
        if self.find(key.id()).is_none() {
            self.others.push(key);
        }
    }

    /// After a rotation: its keys are those in use, and the others are gone.
    pub(in crate::vault) fn lead_to(&mut self, secrets: &Secrets) {
        if let Source::Given(key) = &mut self.source {
            *key = secrets.key.clone();
        }
        if self.sensitive.is_some() || !self.others.is_empty() {
            self.others = vec![secrets.key.clone(), secrets.sensitive.clone()];
            self.sensitive = self.sensitive.as_ref().map(|_| secrets.sensitive.clone());
        }
    }

    /// Whether the key of this name comes first.
    pub(in crate::vault) fn leads(&self, id: KeyId) -> bool {
        matches!(&self.source, Source::Given(key) if key.id() == id)
    }

    /// What a new vault is made with.
    pub(in crate::vault) async fn fresh(&self) -> Result<Secrets, VaultError> {
        match &self.source {
            Source::Given(key) => Secrets::given(key.clone(), self.sensitive.clone()),
            Source::Transit(transit) => {
                let (key, wrapped) = transit.data_key().await?;
                Secrets::wrapped(key, wrapped, self.sensitive.clone())
            }
        }
    }

    /// The keys that a vault's record names.
    pub(in crate::vault) async fn secrets(&self, ids: Ids, wrapped: &str) -> Result<Secrets, VaultError> {
        let key = match &self.source {
            _ if wrapped.is_empty() => self.find(ids.key).cloned().ok_or_else(|| self.lack(ids.key))?,
            Source::Transit(transit) => transit.decrypt(wrapped).await?,
            Source::Given(_) => self.find(ids.key).cloned().ok_or(TransitError::NotConfigured)?,
        };
        if key.id() != ids.key {
            return Err(VaultError::WrongKey { vault: ids.key, given: key.id() });
        }
        let derived = key.of_sensitive()?;
        // A vault of the first format names none.
        let sensitive = if ids.sensitive == derived.id() || ids.sensitive == KeyId([0; 8]) {
            derived
        } else {
            self.find(ids.sensitive).cloned().ok_or(VaultError::WrongSensitiveKey { vault: ids.sensitive })?
        };
        Ok(Secrets { key, wrapped: wrapped.to_owned(), sensitive })
    }

    /// The key of the second layer, where one is given for it.
    pub(in crate::vault) fn sensitive(&self) -> Option<&Key> {
        self.sensitive.as_ref()
    }

    /// The engine that wraps keys, where there is one.
    pub(in crate::vault) fn engine(&self) -> Option<&Transit> {
        match &self.source {
            Source::Given(_) => None,
            Source::Transit(transit) => Some(transit),
        }
    }

    /// The key of this name.
    pub(in crate::vault) fn find(&self, id: KeyId) -> Option<&Key> {
        let given = match &self.source {
            Source::Given(key) => Some(key),
            Source::Transit(_) => None,
        };
        given.into_iter().chain(&self.sensitive).chain(&self.others).find(|key| key.id() == id)
    }

    fn lack(&self, vault: KeyId) -> VaultError {
        match &self.source {
            Source::Given(key) => VaultError::WrongKey { vault, given: key.id() },
            Source::Transit(_) => VaultError::NoKey { vault },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::seal::wiping::{no_secret, shown_elsewhere};

    #[test]
    fn keys_are_kept_as_keys_alone() {
        let Keyring { source, sensitive, others } = Keyring::new(Key::generate());
        match &source {
            Source::Given(key) => shown_elsewhere::<Key>(key),
            Source::Transit(engine) => no_secret(engine),
        }
        shown_elsewhere::<Option<Key>>(&sensitive);
        shown_elsewhere::<Vec<Key>>(&others);
        let Secrets { key, wrapped, sensitive } = Secrets::given(Key::generate(), None).unwrap();
        [&key, &sensitive].into_iter().for_each(shown_elsewhere::<Key>);
        // As the key service gave it out, sealed.
        no_secret(&wrapped);
    }
}
