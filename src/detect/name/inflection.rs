//! Names in other cases: "Anny Kowalskiej", "Janem Novákem", "Mariei". A word
//! that no list has is looked up once more without its ending.

use crate::detect::lexicon::{Classes, Lexicon};
use crate::detect::words::{self, MAX_WORD, Shape, Word};

/// Endings of Polish, Czech, Romanian, Swedish and German names, and what the
/// form in the lists has in their place; the longest first.
const ENDINGS: &[(&str, &str)] = &[
    ("skiej", "ska"),
    ("ckiej", "cka"),
    ("ovou", "ova"),
    ("ulu", ""),
    ("ului", ""),
    ("iego", "i"),
    ("iemu", "i"),
    ("ego", "y"),
    ("ové", "ova"),
    ("owi", ""),
    ("ovi", ""),
    ("lui", ""),
    ("iem", ""),
    ("skim", "ski"),
    ("em", ""),
    ("ei", "a"),
    ("ie", "a"),
    ("ou", "a"),
    ("ą", "a"),
    ("ę", "a"),
    ("ě", "a"),
    ("y", "a"),
    ("u", "a"),
    ("a", ""),
    ("s", ""),
];

/// The shortest name that is looked for in a longer word.
const SHORTEST: usize = 3;

/// The classes of a word, or where no list has it, of the name that it is a
/// form of.
#[inline]
pub(crate) fn classes(lexicon: &Lexicon, text: &str, word: &Word, listed: Classes) -> Classes {
    if listed.bits() != 0 || word.shape != Shape::Capitalised || word.is_too_long() {
        return listed;
    }
    base(lexicon, text, word).unwrap_or(listed)
}

/// The classes of the name that a word is a form of.
fn base(lexicon: &Lexicon, text: &str, word: &Word) -> Option<Classes> {
    let written = text.get(word.start..word.end).unwrap_or_default();
    let last = written.as_bytes().last();
    ENDINGS
        .iter()
        .filter(|(ending, _)| ending.as_bytes().last() == last)
        .filter_map(|(ending, base)| Some((written.strip_suffix(ending)?, base)))
        .filter(|(stem, _)| stem.len() >= SHORTEST)
        .find_map(|(stem, base)| name(lexicon, stem, base))
}

/// The name classes of a stem and its ending, where it is nothing but a name.
fn name(lexicon: &Lexicon, stem: &str, ending: &str) -> Option<Classes> {
    let mut room = [0; MAX_WORD + 4];
    let whole = room.get_mut(..stem.len() + ending.len())?;
    let (head, tail) = whole.split_at_mut_checked(stem.len())?;
    head.copy_from_slice(stem.as_bytes());
    tail.copy_from_slice(ending.as_bytes());
    let classes = lexicon.classes(words::hash_of(std::str::from_utf8(whole).ok()?)?);
    let other = classes.has(Classes::of(&[Classes::COMMON, Classes::STOP, Classes::PLACE, Classes::CITY]));
    let named = classes.has(Classes::GIVEN) || classes.has(Classes::SURNAME);
    (named && !other).then(|| classes.names())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_cases_of_a_name_are_known_by_it() {
        let mut builder = Lexicon::builder();
        for name in ["anna", "jan", "maria", "petr"] {
            builder.add("given", name).unwrap();
        }
        for name in ["kowalska", "kowalski", "novak", "novakova"] {
            builder.add("surname", name).unwrap();
        }
        builder.add("common", "petr").unwrap();
        let lexicon = builder.build();
        let of = |text: &str| {
            let word = words::read(text, 0).unwrap();
            classes(&lexicon, text, &word, lexicon.classes(word.hash))
        };
        for given in ["Anna", "Anny", "Annu", "Annou", "Annę", "Janem", "Janovi", "Janowi", "Mariei", "Annas"] {
            assert!(of(given).has(Classes::GIVEN), "{given}");
        }
        for family in ["Kowalskiej", "Kowalskiego", "Kowalskim", "Novákem", "Novákovou", "Novákové"] {
            assert!(of(family).has(Classes::SURNAME), "{family}");
        }
        for none in ["anny", "Petrem", "Table", "As", "Ąę"] {
            assert_eq!(of(none), Classes::default(), "{none}");
        }
    }
}
