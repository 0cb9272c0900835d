//! What the words around a candidate say of it: of those in front the last
//! counts, of those behind the first.
//!
//! A word may be a phrase of up to four words. One that a rule writes in capitals
//! counts only in capitals, as "SIN" does, which is a Spanish word in small letters.

use crate::detect::compile::Verdict;
use crate::detect::words::{self, Shape};

/// What words say, one after the other.
pub(crate) struct Said<'a, F> {
    judge: &'a F,
    /// What the first word said that says something.
    pub(crate) first: Option<Verdict>,
    /// … and the last.
    pub(crate) last: Option<Verdict>,
    /// How many words came behind the last that says something.
    pub(crate) since: usize,
    /// The last words, the latest first; an abbreviation is a phrase of letters.
    words: [u64; MAX_PHRASE],
}

impl<'a, F: Fn(u64) -> Option<Verdict>> Said<'a, F> {
    pub(crate) fn new(judge: &'a F) -> Self {
        Self { judge, first: None, last: None, since: 0, words: [0; MAX_PHRASE] }
    }

    /// Hears all words of a text.
    pub(crate) fn listen(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&b) = bytes.get(at) {
            if b.is_ascii() && !b.is_ascii_alphabetic() {
                at += 1;
                continue;
            }
            let word = words::read_from(text, at);
            match word.shape {
                Shape::Mixed(_) => {
                    words::each(text.get(word.start..word.end).unwrap_or_default(), |hash| self.hear(hash, false));
                }
                shape if word.end > at => self.hear(word.hash, matches!(shape, Shape::Upper | Shape::Initial)),
                _ => {}
            }
            at = word.end.max(at + 1);
            while !text.is_char_boundary(at) {
                at += 1;
            }
        }
    }

    /// Hears a word by its hash.
    pub(crate) fn hear(&mut self, word: u64, capitals: bool) {
        self.words.rotate_right(1);
        self.words[0] = word;
        let mut found = (self.judge)(word);
        if capitals {
            found = found.or_else(|| (self.judge)(in_capitals(word)));
        }
        for length in 2..=MAX_PHRASE {
            let phrase = self.words.iter().take(length).rev().copied().reduce(words::join);
            found = found.or_else(|| (self.judge)(phrase?));
        }
        self.since = if found.is_some() { 0 } else { self.since + 1 };
        self.first = self.first.or(found);
        self.last = found.or(self.last);
    }
}

/// Whether a rule writes a word in capitals.
pub(crate) fn is_in_capitals(word: &str) -> bool {
    word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase())
}

/// The hash of a word that counts only where it is written in capitals.
pub(crate) fn in_capitals(word: u64) -> u64 {
    !word
}

/// A phrase has at most so many words, and an abbreviation so many letters.
const MAX_PHRASE: usize = 4;

/// The hash of a short word with a full stop behind each letter, as "D.N.I.".
pub(crate) fn dotted(word: &str) -> Option<u64> {
    if !(2..=MAX_PHRASE).contains(&word.chars().count()) {
        return None;
    }
    joined(word.split("").filter(|letter| !letter.is_empty()))
}

/// The hash of a context word, or of a phrase of up to four.
pub(crate) fn phrase(text: &str) -> Option<u64> {
    let words = text.split(' ');
    if words.clone().count() > MAX_PHRASE {
        return None;
    }
    joined(words)
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> Option<u64> {
    words.map(words::hash_of).collect::<Option<Vec<_>>>()?.into_iter().reduce(words::join)
}

/// What slips of the fingers make of a word: neighbours swapped, a letter left
/// out, a letter doubled.
pub(crate) fn misspellings(word: &str, mut found: impl FnMut(&str)) {
    let letters: Vec<char> = word.chars().collect();
    let last = letters.len().saturating_sub(1);
    if letters.len() < 4 {
        return;
    }
    let mut slip = |letters: &[char]| found(&letters.iter().collect::<String>());
    for i in 0..last {
        let mut swapped = letters.clone();
        swapped.swap(i, i + 1);
        slip(&swapped);
    }
    if letters.len() < 5 {
        return;
    }
    for i in 1..=last {
        let mut less = letters.clone();
        let letter = less.remove(i);
        slip(&less);
        less.insert(i, letter);
        less.insert(i, letter);
        slip(&less);
    }
}
