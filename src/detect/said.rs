//! What the words around a candidate say of it: of those in front the last
//! counts, of those behind the first.
//!
//! A word may be a phrase of up to four words. One that a rule writes in capitals
//! counts only in capitals, as "SIN" does, which is a Spanish word in small letters.

use crate::detect::compile::Verdict;
use crate::detect::filter::Filter;
use crate::detect::words::{self, Shape};

/// With the built-in rules one word in twenty is taken for one of them.
const BITS: u32 = 19;

/// The words that some rule listens to: nearly all words are none.
#[derive(Debug)]
pub(crate) struct Listened(Filter);

impl Listened {
    /// The words and phrases with these hashes.
    pub(crate) fn of(words: impl Iterator<Item = u64>) -> Self {
        let mut filter = Filter::with_bits(BITS);
        words.for_each(|hash| filter.add(hash));
        Self(filter)
    }

    /// Whether some rule may listen to a word; false is certain.
    #[inline]
    pub(crate) fn may_heed(&self, word: u64) -> bool {
        self.0.may_hold(word)
    }

    /// What is heard in a text.
    pub(crate) fn hear(&self, text: &str) -> Heard {
        let mut heard = Heard::default();
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&b) = bytes.get(at) {
            if b.is_ascii() && !b.is_ascii_alphabetic() {
                at += 1;
                continue;
            }
            let word = words::read_once(text, at);
            match word.shape {
                Shape::Mixed | Shape::Hump => {
                    let text = text.get(word.start..word.end).unwrap_or_default();
                    words::each(text, |hash| heard.word(hash, false, self));
                }
                shape if word.end > at => {
                    heard.word(word.hash, matches!(shape, Shape::Upper | Shape::Initial), self);
                }
                _ => {}
            }
            at = word.end.max(at + 1);
            while !text.is_char_boundary(at) {
                at += 1;
            }
        }
        heard
    }

    /// What is heard in the words of a label.
    pub(crate) fn hear_label(&self, words: &[u64]) -> Heard {
        let mut heard = Heard::default();
        for &hash in words {
            heard.word(hash, true, self);
        }
        heard
    }
}

/// The words of a text that some rule listens to, for all rules to judge.
#[derive(Default)]
pub(crate) struct Heard {
    /// Words and phrases, each with the number of its last word, from 1.
    all: Vec<(usize, u64)>,
    /// How many words the text has.
    count: usize,
    /// The last word, the last two as a phrase, and so on; an abbreviation is a
    /// phrase of letters.
    phrases: [u64; MAX_PHRASE - 1],
}

/// What the words of a text say of a rule.
pub(crate) struct Said {
    /// What the first word said that says something.
    pub(crate) first: Option<Verdict>,
    /// … and the last.
    pub(crate) last: Option<Verdict>,
    /// How many words came behind the last that says something.
    pub(crate) since: usize,
}

impl Heard {
    fn word(&mut self, word: u64, capitals: bool, listened: &Listened) {
        self.count += 1;
        let mut hear = |hash: u64| {
            if listened.0.may_hold(hash) {
                self.all.push((self.count, hash));
            }
        };
        hear(word);
        if capitals {
            hear(in_capitals(word));
        }
        // Each phrase is one that ended at the word before, and this word.
        let mut phrase = word;
        for slot in &mut self.phrases {
            let before = std::mem::replace(slot, phrase);
            phrase = words::join(before, word);
            hear(phrase);
        }
    }

    /// What they say, one after the other. Of a word and the phrases that it
    /// ends the shortest counts.
    pub(crate) fn said(&self, judge: impl Fn(u64) -> Option<Verdict>) -> Said {
        let (mut first, mut last) = (None, None);
        let mut said = 0;
        for &(number, hash) in &self.all {
            if number != said
                && let Some(verdict) = judge(hash)
            {
                said = number;
                first = first.or(Some(verdict));
                last = Some(verdict);
            }
        }
        Said { first, last, since: self.count - said }
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
