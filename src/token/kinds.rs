//! The entities whose tokens may stand in a text.

use std::fmt;

use super::starts::Starts;
use super::{CODE_LEN, seed};
use crate::entity::Entity;

/// The entities whose tokens may stand in a text. Where it is empty nothing is
/// looked for and nothing is ever held back.
#[derive(Clone)]
pub struct Kinds {
    /// In the order of the names.
    kinds: Vec<Kind>,
    starts: Starts,
}

/// An entity in the form in which the grammar compares it.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) entity: Entity,
    /// Where the check sum of the code starts.
    pub(super) seed: u8,
    name: [u8; 25],
    len: u8,
}

impl Kind {
    fn new(entity: Entity) -> Self {
        let text = entity.as_str().as_bytes();
        let mut name = [0; 25];
        for (to, &from) in name.iter_mut().zip(text) {
            *to = from;
        }
        Self { entity, seed: seed(entity), name, len: text.len() as u8 }
    }

    pub(super) fn name(&self) -> &[u8] {
        self.name.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Kinds {
    /// The set of these entities.
    pub fn new(entities: impl IntoIterator<Item = Entity>) -> Self {
        let mut kinds = Self::default();
        for entity in entities {
            kinds.insert(entity);
        }
        kinds
    }

    /// Whether no token can stand in the text.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// So many bytes has the shortest text that a token can stand in, without
    /// its brackets; 0 where there is none.
    pub fn shortest(&self) -> usize {
        self.kinds.iter().map(|kind| kind.name().len() + 1 + CODE_LEN).min().unwrap_or(0)
    }

    /// Whether tokens of `entity` are looked for.
    pub fn contains(&self, entity: Entity) -> bool {
        self.kinds.binary_search_by_key(&entity, |kind| kind.entity).is_ok()
    }

    /// The entities, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Entity> + '_ {
        self.kinds.iter().map(|kind| kind.entity)
    }

    /// Adds an entity; nothing happens if it is in the set.
    pub fn insert(&mut self, entity: Entity) {
        let Err(at) = self.kinds.binary_search_by_key(&entity, |kind| kind.entity) else {
            return;
        };
        let kind = Kind::new(entity);
        self.starts.insert(kind.name());
        self.kinds.insert(at, kind);
    }

    pub(super) fn starts(&self) -> &Starts {
        &self.starts
    }

    pub(super) fn as_slice(&self) -> &[Kind] {
        &self.kinds
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self { kinds: Vec::new(), starts: Starts::new() }
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_entities() {
        let [email, person, ip] = ["EMAIL", "PERSON", "IP"].map(|name| name.parse().unwrap());
        let mut kinds = Kinds::new([person, email, person]);
        assert!(kinds.contains(email) && kinds.contains(person) && !kinds.contains(ip));
        kinds.insert(ip);
        assert_eq!(kinds.iter().collect::<Vec<_>>(), [email, ip, person]);
        assert_eq!(format!("{kinds:?}"), "{EMAIL, IP, PERSON}");
        assert!(Kinds::default().is_empty() && !kinds.is_empty());
    }
}
