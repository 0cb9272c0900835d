//! Placeholder, replaced by its author.
#![allow(missing_docs, clippy::all, clippy::pedantic, reason = "placeholder")]

use crate::entity::Entity;
use std::collections::BTreeSet;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Token {
    entity: Entity,
    bits: u64,
    code: [u8; 8],
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Token {
    pub fn new(entity: Entity, bits: u64) -> Self {
        let bits = bits & ((1 << 35) - 1);
        let mut code = [0; 8];
        let mut sum = 0u64;
        for i in 0..7 {
            let v = (bits >> (5 * (6 - i))) & 31;
            sum = sum * 3 + v + 7;
            code[i as usize] = ALPHABET[v as usize];
        }
        code[7] = ALPHABET[(sum % 31) as usize];
        Self { entity, bits, code }
    }
    pub fn entity(&self) -> Entity {
        self.entity
    }
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or_default()
    }
    pub fn bits(&self) -> u64 {
        self.bits
    }
    pub fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        let (entity, code) = inner.rsplit_once('_')?;
        let entity = entity.parse().ok()?;
        let mut bits = 0;
        for b in code.bytes().take(7) {
            bits = bits << 5 | ALPHABET.iter().position(|a| *a == b)? as u64;
        }
        let token = Self::new(entity, bits);
        (token.code() == code).then_some(token)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Kinds(BTreeSet<Entity>);

impl Kinds {
    pub fn new(entities: impl IntoIterator<Item = Entity>) -> Self {
        Self(entities.into_iter().collect())
    }
    pub fn insert(&mut self, entity: Entity) {
        self.0.insert(entity);
    }
    pub fn contains(&self, entity: &Entity) -> bool {
        self.0.contains(entity)
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
