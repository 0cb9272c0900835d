//! Variants of a sample: other names in the same places, other case.

use crate::detect::load;
use crate::detect::name::train::Sample;
use std::ops::Range;

/// Numbers that look like chance and are the same each time (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(crate) fn happens(&mut self, probability: f32) -> bool {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32 <= probability
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for i in (1..all.len()).rev() {
            all.swap(i, self.below(i + 1));
        }
    }
}

/// The words that names are made of.
pub(crate) struct Lists {
    given: Vec<&'static str>,
    surname: Vec<&'static str>,
}

impl Lists {
    pub(crate) fn builtin() -> Self {
        let words = |text: &'static str| text.lines().filter(|l| !l.starts_with('#') && l.len() > 2).collect();
        Self { given: words(load::GIVEN), surname: words(load::SURNAME) }
    }
}

/// How the letters of a name are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
    Title,
}

fn case_of(name: &str) -> Case {
    if !name.chars().any(char::is_uppercase) {
        Case::Lower
    } else if name.chars().any(char::is_lowercase) || name.chars().count() < 2 {
        Case::Title
    } else {
        Case::Upper
    }
}

fn written(word: &str, case: Case, out: &mut String) {
    match case {
        Case::Lower => out.push_str(word),
        Case::Upper => out.extend(word.chars().flat_map(char::to_uppercase)),
        Case::Title => {
            let mut chars = word.chars();
            out.extend(chars.next().into_iter().flat_map(char::to_uppercase));
            out.push_str(chars.as_str());
        }
    }
}

/// The sample with other names, in small letters, in capitals: each now and then.
pub(crate) fn variants(sample: &Sample, lists: &Lists, chance: &mut Chance) -> Vec<Sample> {
    let mut all = Vec::new();
    if !sample.names.is_empty() && chance.happens(0.6) {
        all.push(renamed(sample, lists, chance));
    }
    if chance.happens(0.08) {
        all.extend(recased(sample, str::to_lowercase));
    }
    if chance.happens(0.05) {
        all.extend(recased(sample, str::to_uppercase));
    }
    all
}

/// The sample with each name replaced by one of the same number of words. Half
/// of them are spelled as no list spells them.
fn renamed(sample: &Sample, lists: &Lists, chance: &mut Chance) -> Sample {
    let mut out = Sample::default();
    let mut at = 0;
    let mut copied: Vec<(usize, usize)> = Vec::new();
    for name in &sample.names {
        let (Some(between), Some(old)) = (sample.text.get(at..name.start), sample.text.get(name.clone())) else {
            return sample.clone();
        };
        copied.push((at, out.text.len()));
        out.text.push_str(between);
        let start = out.text.len();
        replace(old, lists, chance, &mut out.text);
        out.names.push(start..out.text.len());
        at = name.end;
    }
    copied.push((at, out.text.len()));
    out.text.push_str(sample.text.get(at..).unwrap_or_default());
    // What was doubtful keeps its place in what was copied.
    let moved = |range: &Range<usize>| {
        let (from, to) = copied.iter().rev().find(|(from, _)| *from <= range.start)?;
        Some(to + range.start - from..to + range.end - from)
    };
    out.doubtful = sample.doubtful.iter().filter_map(moved).collect();
    out
}

fn replace(old: &str, lists: &Lists, chance: &mut Chance, out: &mut String) {
    let unknown = chance.happens(0.5);
    let words: Vec<&str> = old.split(' ').collect();
    // What is more than letters and spaces keeps its form.
    let plain = words.iter().all(|w| w.chars().count() > 1 && w.chars().all(char::is_alphabetic));
    if !plain || words.len() > 3 {
        out.push_str(old);
        return;
    }
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        let list = if i + 1 == words.len() && (i > 0 || chance.happens(0.3)) { &lists.surname } else { &lists.given };
        let new = list.get(chance.below(list.len())).copied().unwrap_or("jana");
        let new = if unknown { respelled(new, chance) } else { new.to_owned() };
        written(&new, case_of(word), out);
    }
}

/// A word that looks like this one and is another: one or two letters change
/// for others of their kind.
fn respelled(word: &str, chance: &mut Chance) -> String {
    const VOWELS: &[u8] = b"aeiouy";
    const CONSONANTS: &[u8] = b"bcdfghklmnprstvzj";
    let mut letters: Vec<u8> = word.bytes().collect();
    if !word.is_ascii() {
        return word.to_owned();
    }
    for _ in 0..=chance.below(2) {
        let at = chance.below(letters.len().saturating_sub(1));
        if let Some(letter) = letters.get_mut(at) {
            let kind = if VOWELS.contains(letter) { VOWELS } else { CONSONANTS };
            *letter = kind.get(chance.below(kind.len())).copied().unwrap_or(b'a');
        }
    }
    String::from_utf8(letters).unwrap_or_else(|_| word.to_owned())
}

/// The sample in other case, where that moves no byte.
fn recased(sample: &Sample, case: fn(&str) -> String) -> Option<Sample> {
    let text: String = sample.text.chars().map(|c| case(c.encode_utf8(&mut [0; 4]))).collect();
    (text.len() == sample.text.len()).then(|| Sample { text, ..sample.clone() })
}
