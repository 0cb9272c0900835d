//! Values that are cut over fields or members that stand beside one another:
//! `card` time and again, `card1` and `card2`, `first_half` and `second_half`, or a
//! domain that stands with its `@` in a field of its own.

use super::joint::Joint;

/// Words that count, as parts of a name.
const ORDINALS: [&str; 12] =
    ["first", "second", "third", "fourth", "fifth", "sixth", "one", "two", "three", "four", "five", "six"];

/// A longer text under a name that does not count is no half of an address.
const LONGEST_HALF: usize = 64;

/// The fields of one form, or the members of one object.
#[derive(Default)]
pub(in crate::proxy) struct FieldSeries {
    /// Which object.
    object: usize,
    /// What the last one is called, where others may be called alike.
    name: Option<String>,
    /// Whether the last text ends in the middle of an address.
    is_open: bool,
    joint: Joint,
}

impl FieldSeries {
    /// The end of the texts in front of this one from which it may go on.
    pub(in crate::proxy) fn joint(&mut self, name: Option<&str>, text: &str) -> &mut Joint {
        self.joint_in(0, name, text)
    }

    /// The same of a member of the object that is known by this number; none
    /// where nothing goes on from it, or to it.
    pub(super) fn of_member(&mut self, object: usize, name: &str, text: &str) -> Option<&mut Joint> {
        let concerns = || self.object == object && (self.is_open || text.starts_with('@'));
        if text.len() <= LONGEST_HALF || concerns() || counts(name) {
            return Some(self.joint_in(object, Some(name), text));
        }
        *self = Self::default();
        None
    }

    fn joint_in(&mut self, object: usize, name: Option<&str>, text: &str) -> &mut Joint {
        let name = name.unwrap_or_default();
        // A form may have many fields of one name, an object has one.
        let name = if object == 0 || counts(name) { Some(series(name)) } else { None };
        let is_same = name.is_some() && self.name == name;
        let goes_on = self.object == object && (is_same || self.is_open || text.starts_with('@'));
        if !goes_on {
            self.joint.clear();
        }
        self.name = name;
        (self.object, self.is_open) = (object, text.ends_with('@'));
        &mut self.joint
    }
}

/// The parts of a name: between marks, and where small letters end.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let marked = name.split(|c: char| !c.is_alphanumeric());
    marked.flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            let humps = rest.char_indices().zip(rest.chars().skip(1));
            let hump = |((at, one), next): ((usize, char), char)| {
                (one.is_lowercase() && next.is_uppercase() || one.is_ascii_digit() != next.is_ascii_digit())
                    .then_some(at + one.len_utf8())
            };
            let (word, behind) = rest.split_at_checked({ humps }.find_map(hump).unwrap_or(rest.len()))?;
            rest = behind;
            (!word.is_empty()).then_some(word)
        })
    })
}

/// Whether a part of a name only counts.
fn is_counter(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit()) || ORDINALS.iter().any(|ordinal| word.eq_ignore_ascii_case(ordinal))
}

/// Whether a name counts others like it.
fn counts(name: &str) -> bool {
    // Most are one word.
    if name.bytes().all(|b| b.is_ascii_lowercase()) {
        return !name.is_empty() && is_counter(name);
    }
    words(name).any(is_counter)
}

/// The name without what only counts.
fn series(name: &str) -> String {
    words(name).filter(|word| !is_counter(word)).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_count_are_one_series() {
        for (name, of, counting) in [
            ("card1", "card", true),
            ("card[12]", "card", true),
            ("cardNumber2", "card_Number", true),
            ("firstHalf", "Half", true),
            ("second_half", "half", true),
            ("line", "line", false),
            ("phone", "phone", false),
            ("2", "", true),
            ("", "", false),
            ("größe1", "größe", true),
        ] {
            assert_eq!((series(name).as_str(), counts(name)), (of, counting), "{name}");
        }
    }
}
