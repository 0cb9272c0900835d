//! The names of members, for whoever sent them: of what a protocol does not
//! know a refusal names the place, and never the value.

use crate::detect::{Detector, Input, Scratch};
use crate::json::{Path, Step, Str};

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

fn is_plain(key: &Str<'_>, detector: Detector<'_>, scratch: &mut Scratch) -> bool {
    let is_identifier = key.raw.len() <= LONGEST
        && key.raw.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.raw.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_identifier && detector.scan(Input::text(key.raw), scratch).is_empty()
}
