//! The entities whose tokens may stand in a text.

use std::fmt;

use super::seed;
use crate::entity::Entity;

/// The byte may start a token wherever it stands: an open bracket, or the
/// first byte of an escape or of a full-width form.
pub(super) const ANYWHERE: u8 = 0b01;
/// The byte may start a token at the start of a word.
pub(super) const AT_WORD: u8 = 0b10;

/// The entities whose tokens may stand in a text. Where it is empty nothing is
/// looked for and nothing is ever held back.
#[derive(Clone)]
pub struct Kinds {
    /// In the order of the names.
    kinds: Vec<Kind>,
    /// For each byte whether a token may start with it.
    starts: [u8; 256],
    /// For each first letter of a name the set of second letters, A the lowest bit.
    seconds: [u32; 26],
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
        let first = kind.name[0];
        if let [first, second, ..] = kind.name()
            && let Some(seconds) = self.seconds.get_mut(usize::from(first - b'A'))
            && second.is_ascii_uppercase()
        {
            *seconds |= 1 << (second - b'A');
        }
        self.kinds.insert(at, kind);

        // `]` starts no token, but the restorer counts brackets. 0xEF is the
        // first byte of the full-width forms.
        for byte in [b'[', b']', b'\\', b'&', b'%', 0xEF] {
            self.starts[usize::from(byte)] |= ANYWHERE;
        }
        self.starts[usize::from(first)] |= AT_WORD;
        self.starts[usize::from(first.to_ascii_lowercase())] |= AT_WORD;
        if first == b'I' {
            // U+0130 and U+0131, the Turkish I with and the i without a dot.
            self.starts[0xC4] |= AT_WORD;
        }
    }

    /// Whether a name may start with these two bytes. Only of two plain letters
    /// it can be said that none does; anything else may be an escape.
    pub(super) fn may_start(&self, first: u8, second: u8) -> bool {
        if !first.is_ascii_alphabetic() || !second.is_ascii_alphabetic() {
            return true;
        }
        let seconds = self.seconds.get(usize::from((first | 0x20) - b'a')).copied().unwrap_or_default();
        seconds >> ((second | 0x20) - b'a') & 1 != 0
    }

    pub(super) fn starts(&self) -> &[u8; 256] {
        &self.starts
    }

    pub(super) fn as_slice(&self) -> &[Kind] {
        &self.kinds
    }

    /// Whether a name starts with this letter, in any case.
    pub(super) fn has_initial(&self, c: char) -> bool {
        u8::try_from(c).is_ok_and(|b| b.is_ascii() && self.starts[usize::from(b)] & AT_WORD != 0)
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self { kinds: Vec::new(), starts: [0; 256], seconds: [0; 26] }
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
