//! The names of members, for whoever sent them: of what a protocol does not
//! know a refusal names the place, and never the value.

use crate::detect::{Detector, Finding, Input, Scratch};
use crate::entity::Entity;
use crate::json::{Path, Step, Str};

const PERSON: Entity = Entity::constant("PERSON");

/// The longest name that is shown.
const LONGEST: usize = 40;

/// The place in a form that may be shown: a name that is no plain identifier,
/// or in which something is found, is `…`.
pub(super) fn name(path: &Path<'_>, detector: Detector<'_>, scratch: &mut Scratch) -> String {
    let mut place = String::new();
    for step in path.steps() {
        match step {
            Step::Index(_) => place.push_str("[]"),
            Step::Key(key) => {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(if is_plain(key, detector, scratch) { key.raw } else { "…" });
            }
        }
    }
    if place.is_empty() { "…".to_owned() } else { place }
}

/// How sure it has to be that the name of a member is that of a person.
const SURE: f32 = 0.83;

/// The person that a name in small letters and underscores names as a whole,
/// `anna_schmidt`, as where members are named after people. Of the words of
/// identifiers hardly any two are not ordinary.
pub(super) fn person(name: &str, detector: Detector<'_>, scratch: &mut Scratch) -> Option<Finding> {
    // Most are one word.
    if !name.as_bytes().contains(&b'_') {
        return None;
    }
    let words = || name.split('_');
    let is_own = |word: &str| word.len() > 1 && !detector.engine.is_ordinary_word(word);
    if !(2..=4).contains(&words().count()) || !words().all(is_own) {
        return None;
    }
    let text = name.replace('_', " ");
    let found = detector.scan(Input::text(&text), scratch).first()?;
    let is_whole = found.start == 0 && found.end == text.len();
    (found.entity == PERSON && is_whole && found.score >= SURE).then_some(*found)
}

fn is_plain(key: &Str<'_>, detector: Detector<'_>, scratch: &mut Scratch) -> bool {
    let is_identifier = key.raw.len() <= LONGEST
        && key.raw.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.raw.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_identifier && detector.scan(Input::text(key.raw), scratch).is_empty()
}
