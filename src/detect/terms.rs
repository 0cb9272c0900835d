//! The words of the finders that look around an anchor: kinds of streets,
//! marks of a number, months, words of birth, keys of an address.
//!
//! They are asked for beside a digit, a cue or a `://` alone, never for each
//! word of a text; so they have a table of their own, and the lexicon's stays
//! small.

use crate::detect::filter::Filter;
use crate::detect::letters;
use crate::detect::lexicon::{BadWord, MAX_PHRASE, phrase_hash};
use crate::detect::table::Table;
use crate::detect::words;
use std::ops::{BitOr, BitOrAssign};

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u32);

impl Kinds {
    /// A kind of street that stands behind its name: "Street", "Caddesi".
    pub(crate) const STREET_BEHIND: Self = Self(1);
    /// The same, of words that are most often something else: "Close", "View".
    pub(crate) const STREET_BEHIND_WEAK: Self = Self(1 << 1);
    /// A kind of street that stands in front of its name: "rue", "ulica".
    pub(crate) const STREET_FRONT: Self = Self(1 << 2);
    /// The same, of words that are often something else: "via", "place".
    pub(crate) const STREET_FRONT_WEAK: Self = Self(1 << 3);
    /// The end of a compound that is a street: "straße", "gatan".
    pub(crate) const STREET_ENDING: Self = Self(1 << 4);
    /// The same, of ends that are common in other words: "ring", "hof".
    pub(crate) const STREET_ENDING_WEAK: Self = Self(1 << 5);
    /// Has such an end and is no street: "Arbeitsplatz".
    pub(crate) const NO_STREET: Self = Self(1 << 6);
    /// Starts the name of a street: "Alte", "Norra".
    pub(crate) const STREET_START: Self = Self(1 << 7);
    /// Stands in small letters inside the name of a street or place.
    pub(crate) const STREET_JOINT: Self = Self(1 << 8);
    /// In front of the number of a house: "nr", "No".
    pub(crate) const NUMBER_MARK: Self = Self(1 << 9);
    /// A part of a house: "Apt", "Stiege".
    pub(crate) const UNIT: Self = Self(1 << 10);
    /// A box at the post office.
    pub(crate) const POST_BOX: Self = Self(1 << 11);
    /// Starts the name of a place: "North", "Bad".
    pub(crate) const PLACE_START: Self = Self(1 << 12);
    /// A state of the United States by its two letters.
    pub(crate) const STATE: Self = Self(1 << 13);
    /// Between a street and its place: "in", "à".
    pub(crate) const PLACE_JOINT: Self = Self(1 << 14);
    /// A month, in full or in short.
    pub(crate) const MONTH: Self = Self(1 << 15);
    /// Says that a date is one of birth.
    pub(crate) const BIRTH: Self = Self(1 << 16);
    /// The same, where it is written with its accent: "né".
    pub(crate) const BIRTH_ACCENTED: Self = Self(1 << 17);
    /// Makes a date something else: "issued", "valid".
    pub(crate) const NO_BIRTH: Self = Self(1 << 18);
    /// Between a cue and what it announces: "is", "lautet".
    pub(crate) const COPULA: Self = Self(1 << 19);
    /// Said of passwords and never one: "wrong", "required".
    pub(crate) const NO_SECRET: Self = Self(1 << 20);
    /// The key of a field that holds a password.
    pub(crate) const SECRET_KEY: Self = Self(1 << 21);
    /// The key of a query value that holds a person's name.
    pub(crate) const NAME_KEY: Self = Self(1 << 22);
    /// … a telephone number.
    pub(crate) const PHONE_KEY: Self = Self(1 << 23);
    /// … a mail address.
    pub(crate) const EMAIL_KEY: Self = Self(1 << 24);
    /// … an account's or somebody else's handle.
    pub(crate) const USER_KEY: Self = Self(1 << 25);
    /// … a street or a place.
    pub(crate) const ADDRESS_KEY: Self = Self(1 << 26);
    /// … a day of birth.
    pub(crate) const BIRTH_KEY: Self = Self(1 << 27);
    /// The path segment in front of a person's: "users", "profile".
    pub(crate) const USER_PATH: Self = Self(1 << 28);
    /// Behind such a segment or key, and nobody: "settings", "admin".
    pub(crate) const NOBODY: Self = Self(1 << 29);

    /// The last word of such a box's name.
    pub(crate) const ENDS_POST_BOX: Self = Self(1 << 30);
    /// The key of a query value that is a secret where it looks random: "sig".
    pub(crate) const TOKEN_KEY: Self = Self(1 << 31);

    const NAMED: [(&'static str, Self); 31] = [
        ("street-behind", Self::STREET_BEHIND),
        ("street-behind-weak", Self::STREET_BEHIND_WEAK),
        ("street-front", Self::STREET_FRONT),
        ("street-front-weak", Self::STREET_FRONT_WEAK),
        ("street-ending", Self::STREET_ENDING),
        ("street-ending-weak", Self::STREET_ENDING_WEAK),
        ("no-street", Self::NO_STREET),
        ("street-start", Self::STREET_START),
        ("street-joint", Self::STREET_JOINT),
        ("number-mark", Self::NUMBER_MARK),
        ("unit", Self::UNIT),
        ("post-box", Self::POST_BOX),
        ("place-start", Self::PLACE_START),
        ("state", Self::STATE),
        ("place-joint", Self::PLACE_JOINT),
        ("month", Self::MONTH),
        ("birth", Self::BIRTH),
        ("birth-accented", Self::BIRTH_ACCENTED),
        ("no-birth", Self::NO_BIRTH),
        ("copula", Self::COPULA),
        ("no-secret", Self::NO_SECRET),
        ("secret-key", Self::SECRET_KEY),
        ("name-key", Self::NAME_KEY),
        ("phone-key", Self::PHONE_KEY),
        ("email-key", Self::EMAIL_KEY),
        ("user-key", Self::USER_KEY),
        ("address-key", Self::ADDRESS_KEY),
        ("birth-key", Self::BIRTH_KEY),
        ("user-path", Self::USER_PATH),
        ("nobody", Self::NOBODY),
        ("token-key", Self::TOKEN_KEY),
    ];

    pub(crate) const fn has(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }

    fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(n, _)| *n == name).map(|(_, kind)| *kind)
    }
}

impl BitOr for Kinds {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Kinds {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Names of the kinds in rule files.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    Kinds::NAMED.iter().map(|(name, _)| *name)
}

/// Letters of an ending that are looked at first.
const TAIL: usize = 3;
/// Letters of the longest ending.
const MAX_ENDING: usize = 9;

/// The compiled words.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The bits of their kinds.
    phrases: Table,
    /// Of all phrases: nearly all that is asked for is none.
    filter: Filter,
    /// Of the last letters of all endings: nearly all words end otherwise.
    tails: Filter,
}

impl Terms {
    pub(crate) fn builder() -> TermsBuilder {
        TermsBuilder { phrases: Vec::new(), tails: Vec::new() }
    }

    /// The kinds of the word with this hash.
    #[inline]
    pub(crate) fn word(&self, hash: u64) -> Kinds {
        self.joined(words::join(0, hash))
    }

    /// The kinds of a phrase by the hashes of its words, joined from the last on.
    #[inline]
    pub(crate) fn joined(&self, phrase: u64) -> Kinds {
        if self.filter.may_hold(phrase) { Kinds(self.phrases.find(phrase)) } else { Kinds::default() }
    }

    /// The kinds of a text that is a phrase as a whole.
    pub(crate) fn whole(&self, text: &str) -> Kinds {
        let mut all = [0; MAX_PHRASE + 1];
        let mut count = 0;
        words::each(text, |hash| {
            if let Some(slot) = all.get_mut(count) {
                *slot = hash;
                count += 1;
            }
        });
        match all.get(..count) {
            Some(words) if count <= MAX_PHRASE => Kinds(self.phrases.find(phrase_hash(words.iter().rev().copied()))),
            _ => Kinds::default(),
        }
    }

    /// The kinds of all phrases in a short text together, at most 12 words of it.
    pub(crate) fn any(&self, text: &str) -> Kinds {
        let mut all = [0; 12];
        let mut count = 0;
        words::each(text, |hash| {
            if let Some(slot) = all.get_mut(count) {
                *slot = hash;
                count += 1;
            }
        });
        self.any_of(all.get(..count).unwrap_or_default())
    }

    /// The kinds of all phrases among the words together.
    pub(crate) fn any_of(&self, hashes: &[u64]) -> Kinds {
        let mut kinds = Kinds::default();
        for end in 1..=hashes.len() {
            let mut phrase = 0;
            for &hash in hashes.get(..end).unwrap_or_default().iter().rev().take(MAX_PHRASE) {
                phrase = words::join(phrase, hash);
                kinds |= self.joined(phrase);
            }
        }
        kinds
    }

    /// The kinds of the endings of a word, and its own.
    pub(crate) fn ending(&self, word: &str) -> Kinds {
        let mut kinds = Kinds::default();
        // Where each of the last letters starts.
        for (count, (at, _)) in word.char_indices().rev().filter(|(_, c)| !letters::is_mark(*c)).enumerate() {
            let letters = count + 1;
            if letters < TAIL {
                continue;
            }
            // Something must stand in front of it: "weg" alone is no street.
            if letters > MAX_ENDING || at < 2 {
                break;
            }
            let Some(hash) = word.get(at..).and_then(words::hash_of) else { break };
            if letters == TAIL && !self.tails.may_hold(hash) {
                break;
            }
            let found = self.word(hash);
            if found.has(Kinds::STREET_ENDING | Kinds::STREET_ENDING_WEAK) {
                kinds |= found;
            }
        }
        kinds
    }
}

pub(crate) struct TermsBuilder {
    phrases: Vec<(u64, Kinds)>,
    tails: Vec<u64>,
}

impl TermsBuilder {
    /// Adds a phrase; `None` where the class is none of this table.
    pub(crate) fn add(&mut self, class: &str, text: &str) -> Option<Result<(), BadWord>> {
        let kind = Kinds::named(class)?;
        let mut phrase = Vec::new();
        words::each(text, |hash| phrase.push(hash));
        if phrase.is_empty() {
            return Some(Err(BadWord::NotOneWord));
        }
        if phrase.len() > MAX_PHRASE {
            return Some(Err(BadWord::TooLong));
        }
        if kind.has(Kinds::STREET_ENDING | Kinds::STREET_ENDING_WEAK) {
            // The last letters are counted as they are written: "aße", "sse".
            for text in [text, &text.replace('ß', "ss")] {
                let tail = text.char_indices().rev().nth(TAIL - 1).and_then(|(at, _)| text.get(at..));
                self.tails.extend(tail.and_then(words::hash_of));
            }
        }
        if let Some(&last) = phrase.last().filter(|_| kind == Kinds::POST_BOX) {
            self.phrases.push((words::join(0, last), Kinds::ENDS_POST_BOX));
        }
        self.phrases.push((phrase_hash(phrase.into_iter().rev()), kind));
        Some(Ok(()))
    }

    pub(crate) fn build(self) -> Terms {
        let mut phrases = Table::with_room(self.phrases.len());
        let mut filter = Filter::with_bits(15);
        for (hash, kind) in self.phrases {
            filter.add(hash);
            *phrases.entry(hash) |= kind.0;
        }
        let mut tails = Filter::with_bits(10);
        self.tails.into_iter().for_each(|tail| tails.add(tail));
        Terms { phrases, filter, tails }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(all: &[(&str, &str)]) -> Terms {
        let mut builder = Terms::builder();
        for (class, text) in all {
            assert_eq!(builder.add(class, text), Some(Ok(())), "{class} {text}");
        }
        builder.build()
    }

    #[test]
    fn endings_are_of_longer_words_alone() {
        let terms = terms(&[("street-ending", "straße"), ("street-ending-weak", "weg"), ("month", "may")]);
        assert!(terms.ending("Hauptstraße").has(Kinds::STREET_ENDING));
        assert!(terms.ending("HAUPTSTRASSE").has(Kinds::STREET_ENDING));
        assert!(terms.ending("Feldweg").has(Kinds::STREET_ENDING_WEAK));
        for none in ["Straße", "weg", "norway", "dismay", "é", "", "ab"] {
            assert_eq!(terms.ending(none), Kinds::default(), "{none}");
        }
    }

    #[test]
    fn phrases_are_found_among_other_words() {
        let terms = terms(&[("birth", "date of birth"), ("birth", "dob"), ("month", "May")]);
        assert!(terms.any("my date of birth is").has(Kinds::BIRTH));
        assert!(terms.any("dateOfBirth").has(Kinds::BIRTH));
        assert!(!terms.any("date of the birth").has(Kinds::BIRTH));
        assert!(terms.any("in may").has(Kinds::MONTH));
    }

    #[test]
    fn bad_words_are_refused() {
        let mut builder = Terms::builder();
        assert_eq!(builder.add("given", "ana"), None);
        assert_eq!(builder.add("month", "--"), Some(Err(BadWord::NotOneWord)));
        assert_eq!(builder.add("birth", "a b c d e f"), Some(Err(BadWord::TooLong)));
    }
}
