//! Realistic stand-ins for values, and the restorer that finds them again.
//!
//! A surrogate has the shape of its value and belongs to nobody: phones, IP
//! addresses and domains are of ranges that are reserved for documentation or
//! fiction where there are such, numbers with check digits are of issuers that
//! do not exist, names are common ones drawn at random. Which one a value gets
//! follows from a seed that the caller derives with a key; where the first one
//! will not do, there are further attempts. Pure.

mod language;
mod number;
mod person;
mod phone;
mod restorer;
mod search;

pub use restorer::{Matcher, Piece, Restorer};
pub use search::Search;

use crate::entity::Entity;
use std::ops::Range;

/// How many attempts a value has. Some ranges are small.
pub const ATTEMPTS: u32 = 64;

/// A part of a value that is replaced by itself, and so restored by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the value.
    pub at: Range<usize>,
    role: Role,
}

/// What a part is, as far as its stand-in must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Whole,
    Name(person::Name),
}

/// The parts of a value: of a person each name, so that a name alone stays
/// the same one; of all others the whole. None where this entity or this value
/// can have no surrogate. What is between the parts stays.
pub fn parts(entity: Entity, value: &str) -> Option<Vec<Part>> {
    if entity.as_str() == "PERSON" {
        return person::parts(value);
    }
    let part = Part { at: 0..value.len(), role: Role::Whole };
    attempt(entity, value, &part, 0, 0).map(|_| vec![part])
}

/// A stand-in for a part of `value`; each attempt gives another, and none
/// where there are no more. It never holds a quote, a backslash, a bracket, an
/// ampersand or a control character, so that no format needs to escape it.
pub fn attempt(entity: Entity, value: &str, part: &Part, seed: u64, attempt: u32) -> Option<String> {
    let text = value.get(part.at.clone())?;
    let mut random = Random::new(seed, attempt);
    let made = match (entity.as_str(), part.role) {
        (_, Role::Name(name)) => person::attempt(text, name, attempt, &mut random),
        ("EMAIL", _) => Some(person::email(text, attempt, &mut random)),
        ("PHONE", _) => phone::attempt(text, &mut random),
        ("IP", _) => number::ip(text, &mut random),
        ("MAC", _) => number::mac(text, &mut random),
        ("IBAN", _) => number::iban(text, &mut random),
        ("CREDIT_CARD", _) => number::card(text, &mut random),
        ("NATIONAL_ID", _) => number::national_id(text, &mut random),
        ("DATE_OF_BIRTH", _) => number::date(text, &mut random),
        _ => None,
    }?;
    (!made.is_empty() && made != text && made.chars().all(is_plain)).then_some(made)
}

/// Whether no format needs to escape the character.
fn is_plain(c: char) -> bool {
    !c.is_control() && !"\"\\<>&[]%;".contains(c)
}

/// Whether a stand-in for a part gives away another part of the value: of two
/// names one may be drawn for the other.
pub fn shows(entity: Entity, value: &str, made: &str) -> bool {
    entity.as_str() == "PERSON" && person::shows(value, made)
}

/// What a seed is derived from: spellings that differ by case alone have
/// stand-ins that do so too.
pub fn seed_text(entity: Entity, part: &str) -> String {
    if entity.as_str() == "PERSON" { part.to_lowercase() } else { part.to_owned() }
}

/// Another spelling of a part that a model is likely to use: "jana" comes back
/// as "Jana".
pub fn other_spelling(entity: Entity, part: &str) -> Option<String> {
    if entity.as_str() == "PERSON" { person::in_title_case(part) } else { None }
}

/// The value with its parts replaced, which are in order. None where what is
/// between the parts, which stays, holds what some format needs to escape: it
/// would be written as it is.
pub fn join<'t>(value: &str, parts: &[Part], texts: impl IntoIterator<Item = &'t str>) -> Option<String> {
    let mut joined = String::with_capacity(value.len() + 16);
    let mut copied = 0;
    for (part, text) in parts.iter().zip(texts) {
        joined.push_str(value.get(copied..part.at.start).unwrap_or_default());
        joined.push_str(text);
        copied = part.at.end;
    }
    joined.push_str(value.get(copied..).unwrap_or_default());
    joined.chars().all(is_plain).then_some(joined)
}

/// `SplitMix64` (Steele, Lea, Flood, 2014), seeded by a keyed hash: whoever
/// lacks the key cannot tell what a choice came from.
struct Random(u64);

impl Random {
    fn new(seed: u64, attempt: u32) -> Self {
        let mut random = Self(seed ^ u64::from(attempt).wrapping_mul(0xD1B5_4A32_D192_ED03));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is small.
    fn below(&mut self, bound: usize) -> usize {
        // The bias is far below anything that matters here.
        (self.next() % (bound.max(1) as u64)) as usize
    }

    fn digit(&mut self) -> char {
        char::from(b'0' + (self.next() % 10) as u8)
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> Option<&'a T> {
        list.get(self.below(list.len())).copied()
    }
}

/// Writes `digits` over the digits of `shape`, of which there must be as many.
fn lay(shape: &str, digits: &str) -> Option<String> {
    if shape.bytes().filter(u8::is_ascii_digit).count() != digits.len() {
        return None;
    }
    let mut digits = digits.chars();
    Some(shape.chars().map(|c| if c.is_ascii_digit() { digits.next().unwrap_or(c) } else { c }).collect())
}

#[cfg(test)]
mod tests;
