//! Variants of a sample: other names in the same places, other case.

use crate::detect::load;
use crate::detect::name::train::Sample;
use std::collections::BTreeSet;
use std::ops::Range;

/// Given names that are words of a language, beside those that a list of words
/// has.
const WORDS_TOO: &[&str] = &[
    "amber", "april", "art", "august", "autumn", "bill", "bob", "chase", "chad", "dale", "dawn", "daisy", "drew",
    "faith", "frank", "gene", "ginger", "grace", "grant", "guy", "hazel", "heath", "holly", "hope", "hunter", "iris",
    "ivy", "jack", "jade", "joy", "june", "lance", "lily", "mark", "max", "may", "misty", "nick", "olive", "page",
    "paige", "pat", "penny", "pearl", "piper", "ray", "reed", "rich", "rob", "robin", "rose", "ruby", "rusty", "sage",
    "sandy", "skip", "sky", "sue", "summer", "sunny", "terry", "violet", "wade", "will", "willow", "woody", "felix",
    "victor", "sol", "luz", "paz", "mercedes", "dolores", "pilar", "leo", "viola", "gloria", "bianca", "marina",
    "heide", "linde", "ernst", "wolf", "kai", "olivier", "aimee", "per", "bo", "sten", "bjorn", "liv", "siv", "deniz",
    "umut", "baris", "yagmur", "ilker", "can", "mert", "ozgur",
];

/// The chance that a name is one that many people bear.
const FREQUENT: f32 = 0.25;
/// The chance that a name in a template is spelled as no list spells it. Most of
/// them stand where little but the list tells a name from another word.
const RESPELLED: f32 = 0.15;
/// The chance that a name that takes the place of another one is.
const REPLACED_BY_UNKNOWN: f32 = 0.4;

/// Numbers that look like chance and are the same each time (`SplitMix64`).
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
    /// Given and family names that many people bear.
    frequent: [Vec<&'static str>; 2],
    /// All given and family names.
    all: [Vec<&'static str>; 2],
    /// Given names that are words too.
    common: Vec<&'static str>,
    /// Family names that are words too.
    common_family: Vec<&'static str>,
    /// Given names that many people bear and that are places too.
    places: Vec<&'static str>,
}

impl Lists {
    pub(crate) fn builtin() -> Self {
        let words = |text: &'static str| text.lines().filter(|l| !l.starts_with('#') && l.len() > 2).collect();
        let given: Vec<&str> = words(load::GIVEN);
        let common: BTreeSet<&str> = load::COMMON.lines().collect();
        let both = given.iter().copied().filter(|w| common.contains(w) || WORDS_TOO.contains(w)).collect();
        let frequent: [Vec<&str>; 2] = [words(load::FREQUENT_GIVEN), words(load::FREQUENT_SURNAME)];
        let cities: BTreeSet<&str> = load::CITY.lines().collect();
        let [givens, families] = &frequent;
        let common_family = families.iter().copied().filter(|w| common.contains(w)).collect();
        let places = givens.iter().copied().filter(|w| cities.contains(w)).collect();
        Self { frequent, all: [given, words(load::SURNAME)], common: both, common_family, places }
    }

    /// A name for a slot of a template; `None` where the slot is for no name.
    pub(crate) fn name(&self, slot: &str, chance: &mut Chance) -> Option<String> {
        let pick = |list: &[&'static str], chance: &mut Chance| {
            // Names that are written in other letters stand seldom in these languages.
            let mut word = "jana";
            for _ in 0..8 {
                word = list.get(chance.below(list.len())).copied().unwrap_or(word);
                if word.is_ascii() {
                    break;
                }
            }
            let word = if chance.happens(RESPELLED) { respelled(word, chance) } else { word.to_owned() };
            let mut out = String::new();
            written(&word, Case::Title, &mut out);
            out
        };
        let often = chance.happens(FREQUENT);
        let [given, family] = if often { &self.frequent } else { &self.all };
        let (given, family) = (pick(given, chance), pick(family, chance));
        Some(match slot {
            "given" => match chance.below(20) {
                0 => format!("{given}-{}", self.plain(chance)),
                1 => self.word_too(chance),
                2 => titled(&self.places, chance),
                _ => given,
            },
            "family" => match chance.below(20) {
                3 => titled(&self.common_family, chance),
                0 => format!("{family}-{given}"),
                1 => format!("O'{family}"),
                2 => format!("de {family}"),
                _ => family,
            },
            "full" => match chance.below(24) {
                0 => format!("{given} {} {family}", self.plain(chance)),
                1 | 12 => format!("{} {family}", self.word_too(chance)),
                2 => format!("{given} {}. {family}", given.chars().next().unwrap_or('J')),
                3 => format!("{given} {}", behind(joint(chance), &family)),
                6 => format!("{} {family}", titled(&self.places, chance)),
                7 => format!("{given} {}", titled(&self.common_family, chance)),
                8 => format!("{given} {} {}", self.plain(chance), behind(joint(chance), &family)),
                9 => format!("{given} {}", behind(joint(chance), &titled(&self.common_family, chance))),
                10 => format!("{given} {family} {}", titled(&self.all[1], chance)),
                11 => initialled(&family, chance),
                4 => format!("{given} {family}-{}", self.plain(chance)),
                5 => format!("{given}-{} {family}", self.plain(chance).to_lowercase()),
                _ => format!("{given} {family}"),
            },
            "short" if chance.happens(0.3) => initialled(&family, chance),
            "short" => format!("{}. {family}", given.chars().next().unwrap_or('J')),
            "formal" => format!("{family}, {given}"),
            "particle" => format!("van der {family}"),
            "common" => self.word_too(chance),
            "small" => titled(&self.frequent[0], chance).to_lowercase(),
            "reign" => format!("{given} {}", numeral(chance)),
            _ => match slot.split_once('+')? {
                ("reign", joint) => format!("{given} {joint} {}", numeral(chance)),
                ("given", joint) => format!("{given} {}", behind(joint, &family)),
                ("particle", joint) => behind(joint, &family),
                _ => return None,
            },
        })
    }

    fn plain(&self, chance: &mut Chance) -> String {
        let mut out = String::new();
        let word = self.all[0].get(chance.below(self.all[0].len())).copied().filter(|w| w.is_ascii());
        written(word.unwrap_or("maria"), Case::Title, &mut out);
        out
    }

    fn word_too(&self, chance: &mut Chance) -> String {
        titled(&self.common, chance)
    }
}

/// One of the words, with a capital.
fn titled(words: &[&'static str], chance: &mut Chance) -> String {
    let mut out = String::new();
    written(words.get(chance.below(words.len())).copied().unwrap_or("rose"), Case::Title, &mut out);
    out
}

/// "J. K. Rowling", "J.K. Rowling"
fn initialled(family: &str, chance: &mut Chance) -> String {
    let mut initial = || char::from(b'A' + chance.below(26) as u8);
    let (first, second) = (initial(), initial());
    let gap = if chance.happens(0.6) { " " } else { "" };
    format!("{first}.{gap}{second}. {family}")
}

/// "II", "XIV": the first ones are the frequent ones.
fn numeral(chance: &mut Chance) -> &'static str {
    const NUMERALS: &[&str] =
        &["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XII", "XIV", "XVI", "XXIII"];
    let among = if chance.happens(0.6) { 3 } else { NUMERALS.len() };
    NUMERALS.get(chance.below(among)).copied().unwrap_or("I")
}

/// A family name behind its particle: "van Houten", "al-Masri".
fn behind(joint: &str, family: &str) -> String {
    let gap = if joint.ends_with('-') { "" } else { " " };
    format!("{joint}{gap}{family}")
}

/// What stands between given and family names.
fn joint(chance: &mut Chance) -> &'static str {
    const JOINTS: &[&str] = &[
        "van", "van der", "von", "von der", "de", "de la", "del", "da", "dos", "di", "bin", "al", "al-", "Ní", "Văn",
        "Thị",
    ];
    JOINTS.get(chance.below(JOINTS.len())).copied().unwrap_or("van")
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
    all.extend(in_other_case(sample, chance));
    all
}

/// Now and then the sample in small letters or in capitals.
pub(crate) fn in_other_case(sample: &Sample, chance: &mut Chance) -> Option<Sample> {
    match chance.below(100) {
        0..10 => recased(sample, str::to_lowercase),
        10..16 => recased(sample, str::to_uppercase),
        _ => None,
    }
}

/// The sample with each name replaced by one of the same number of words. Many
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
    let unknown = chance.happens(REPLACED_BY_UNKNOWN);
    let often = chance.happens(FREQUENT);
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
        let [given, family] = if often { &lists.frequent } else { &lists.all };
        let list = if i + 1 == words.len() && (i > 0 || chance.happens(0.3)) { family } else { given };
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
