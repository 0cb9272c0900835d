//! Stand-ins for names: of the same language and gender where these show,
//! with as many parts, in the same case.

use super::language::{ENGLISH, LANGUAGES, ascii, language_of};
use super::{Part, Random, Role};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// Up to this attempt the language stays.
const OF_LANGUAGE: u32 = 24;

/// Small words within names. They stay in small letters, and with a capital
/// between two names: first or last, "Le" and "Van" are names themselves.
const PARTICLES: &[&str] = &[
    "de", "la", "las", "los", "del", "della", "di", "da", "do", "dos", "das", "du", "des", "le", "van", "von", "vom",
    "zu", "zur", "der", "den", "ten", "ter", "'t", "af", "av", "y", "e", "i", "al", "el", "bin", "ibn", "bint", "abu",
    "st", "san", "and", "und", "et", "o",
];

/// What stands behind a name, and stays.
const SUFFIXES: &[&str] = &["jr", "sr", "ii", "iii", "iv"];

/// What a part of a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    family: bool,
    gender: Option<Gender>,
    /// Place among [`LANGUAGES`].
    language: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gender {
    Female,
    Male,
}

#[derive(Default)]
struct Names {
    female: Vec<&'static str>,
    male: Vec<&'static str>,
    family: Vec<&'static str>,
    /// Of women, where these differ.
    family_female: Vec<&'static str>,
}

/// By language.
static NAMES: LazyLock<[Names; LANGUAGES.len()]> = LazyLock::new(|| {
    let mut all: [Names; LANGUAGES.len()] = Default::default();
    for line in include_str!("../../rules/lists/surrogate-names.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let language = words.next().and_then(|code| LANGUAGES.iter().position(|known| *known == code));
        let Some(names) = language.and_then(|at| all.get_mut(at)) else { continue };
        let list = match words.next() {
            Some("f") => &mut names.female,
            Some("m") => &mut names.male,
            Some("sf") => &mut names.family_female,
            _ => &mut names.family,
        };
        list.extend(words);
    }
    all
});

/// Given names in folded form: gender, where it is one, and languages as bits.
static KNOWN: LazyLock<HashMap<&'static str, (Option<Gender>, u16)>> = LazyLock::new(|| {
    let mut known = HashMap::new();
    for line in include_str!("../../rules/lists/gender.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (Some(name), gender) = (words.next(), words.next()) else { continue };
        let gender = match gender {
            Some("f") => Some(Gender::Female),
            Some("m") => Some(Gender::Male),
            _ => None,
        };
        let languages = words.filter_map(|code| LANGUAGES.iter().position(|known| *known == code));
        known.insert(name, (gender, languages.fold(0, |bits, at| bits | 1 << at)));
    }
    known
});

/// The names within a full name. An initial belongs to the name behind it, as
/// no letter alone can be told from others later on.
pub(super) fn parts(value: &str) -> Option<Vec<Part>> {
    if value.chars().any(|c| c.is_alphabetic() && !is_latin(c)) {
        return None;
    }
    let mut ranges: Vec<(Range<usize>, bool)> = Vec::new();
    let mut comma = false;
    let mut initial: Option<usize> = None;
    let words = words(value);
    let last_name = words.iter().rposition(|word| value.get(word.clone()).is_some_and(|text| may_be_name(bare(text))));
    for (place, word) in words.into_iter().enumerate() {
        let text = value.get(word.clone())?;
        let bare = bare(text);
        let lower = bare.to_lowercase();
        let is_inside = !ranges.is_empty() && bare.len() > 1;
        let stays = if SUFFIXES.contains(&lower.as_str()) {
            is_inside || is_lower(bare)
        } else {
            PARTICLES.contains(&lower.as_str()) && (is_lower(bare) || is_inside && Some(place) < last_name)
        };
        if bare.is_empty() || stays {
            continue;
        }
        let start = word.start + text.find(bare)?;
        let end = start + bare.len();
        if is_initial(bare) {
            match ranges.last_mut() {
                // "Anna K.", "John F. Kennedy": the letter goes with the name before it.
                Some((last, _)) => last.end = end,
                None => initial = initial.or(Some(start)),
            }
            continue;
        }
        ranges.push((initial.take().unwrap_or(start)..end, ranges.is_empty() || is_given(bare)));
        comma |= ranges.len() == 1 && text.ends_with(',');
    }
    let count = ranges.len();
    if count == 0 {
        return None;
    }
    let texts: Vec<&str> = ranges.iter().filter_map(|(at, _)| value.get(at.clone())).collect();
    let spoken = texts.iter().filter_map(|text| known(text)).map(|(_, languages)| languages);
    let (gender, language) = (gender_of(&texts), language_of(spoken, value));
    let part = |(at, (range, like_given)): (usize, (Range<usize>, bool))| {
        let family = match count {
            1 => !texts.iter().all(|text| is_given(text)),
            _ if comma => at == 0,
            _ => at == count - 1 || !like_given,
        };
        Part { at: range, role: Role::Name(Name { family, gender, language }) }
    };
    Some(ranges.into_iter().enumerate().map(part).collect())
}

/// A word without what is beside it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// "K", "J.R".
fn is_initial(bare: &str) -> bool {
    bare.split('.').all(|letters| letters.chars().count() <= 1) && bare.chars().next().is_some_and(char::is_uppercase)
}

/// Whether a word is a name if it is the last that may be one.
fn may_be_name(bare: &str) -> bool {
    let lower = bare.to_lowercase();
    let is_small = is_lower(bare) && PARTICLES.contains(&lower.as_str());
    !bare.is_empty() && !is_initial(bare) && !is_small && !SUFFIXES.contains(&lower.as_str())
}

/// The places of the words between white space.
fn words(value: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut inside = false;
    for (at, c) in value.char_indices() {
        if c.is_whitespace() {
            inside = false;
            continue;
        }
        let end = at + c.len_utf8();
        match words.last_mut() {
            Some(word) if inside => word.end = end,
            _ => words.push(at..end),
        }
        inside = true;
    }
    words
}

/// Another name for `text`.
pub(super) fn attempt(text: &str, name: Name, attempt: u32, random: &mut Random) -> Option<String> {
    let language = if attempt < OF_LANGUAGE { usize::from(name.language) } else { random.below(LANGUAGES.len()) };
    let names = NAMES.get(language)?;
    let female = match name.gender {
        Some(gender) => gender == Gender::Female,
        None => random.below(2) == 0,
    };
    let list = match (name.family, female) {
        (true, true) if !names.family_female.is_empty() => &names.family_female,
        (true, _) => &names.family,
        (false, true) => &names.female,
        (false, false) => &names.male,
    };
    let words: Vec<&str> = text.split(char::is_whitespace).collect();
    let mut made: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        let bare = word.trim_end_matches('.');
        let hyphens: Vec<&str> = bare.split('-').collect();
        let mut joined: Vec<String> = Vec::with_capacity(hyphens.len());
        for piece in &hyphens {
            let other = random.pick(list)?;
            let is_letter = piece.chars().count() == 1;
            joined.push(if is_letter { other.chars().take(1).collect() } else { cased(other, piece) });
        }
        let dot = if word.ends_with('.') { "." } else { "" };
        made.push(joined.join("-") + dot);
    }
    let made = made.join(" ");
    let made = if text.is_ascii() { ascii(&made) } else { made };
    (!shows(text, &made)).then_some(made)
}

/// Whether a stand-in has a name of the value, and so gives away a part of it.
pub(super) fn shows(value: &str, made: &str) -> bool {
    let (value, made) = (folded(value), folded(made));
    let names = |text| str::split(text, |c: char| !c.is_alphanumeric()).filter(|name| name.len() > 2);
    names(&made).any(|new| names(&value).any(|old| new == old))
}

/// An address of a domain for examples (RFC 2606).
pub(super) fn email(text: &str, attempt: u32, random: &mut Random) -> String {
    let names = NAMES.get(usize::from(ENGLISH));
    let mut pick = |list: fn(&Names) -> &Vec<&'static str>| {
        let name = names.and_then(|names| random.pick(list(names))).unwrap_or("user");
        name.to_ascii_lowercase()
    };
    let given = pick(|names| &names.female);
    let other = pick(|names| &names.male);
    let family = pick(|names| &names.family);
    let given = if random.below(2) == 0 { given } else { other };
    let local = text.split('@').next().unwrap_or_default();
    let separator = ['.', '_', '-'].into_iter().find(|c| local.contains(*c)).map_or_else(String::new, String::from);
    let number = if attempt > 3 || local.bytes().any(|b| b.is_ascii_digit()) {
        random.below(900 + 9100 * usize::from(attempt > 16)).to_string()
    } else {
        String::new()
    };
    let domain = ["example.com", "example.org", "example.net"].get(random.below(3)).copied().unwrap_or("example.com");
    format!("{given}{separator}{family}{number}@{domain}")
}

/// "Jana" for "jana"; none where the text is not in small letters.
pub(super) fn in_title_case(text: &str) -> Option<String> {
    if !is_lower(text) {
        return None;
    }
    let mut start = true;
    let titled = text.chars().flat_map(|c| {
        let up = start && c.is_alphabetic();
        start = !c.is_alphanumeric() && c != '\'' && c != '’';
        if up { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
    });
    Some(titled.collect())
}

fn cased(name: &str, like: &str) -> String {
    if is_lower(like) {
        name.to_lowercase()
    } else if like.chars().count() > 1 && !like.chars().any(char::is_lowercase) {
        name.to_uppercase()
    } else {
        name.to_owned()
    }
}

pub(super) fn folded(name: &str) -> String {
    ascii(name).to_lowercase()
}

fn is_lower(text: &str) -> bool {
    !text.chars().any(char::is_uppercase)
}

fn is_latin(c: char) -> bool {
    c < '\u{250}' || ('\u{1e00}'..'\u{1f00}').contains(&c)
}

fn is_given(text: &str) -> bool {
    known(text).is_some()
}

fn known(text: &str) -> Option<(Option<Gender>, u16)> {
    let first = text.split(|c: char| !c.is_alphabetic()).find(|word| word.chars().count() > 1)?;
    KNOWN.get(ascii(&first.to_lowercase()).as_str()).copied()
}

fn gender_of(texts: &[&str]) -> Option<Gender> {
    let of_list = texts.iter().find_map(|text| known(text).and_then(|(gender, _)| gender));
    let lower = texts.last().map(|text| ascii(&text.to_lowercase())).unwrap_or_default();
    let by_ending =
        if ["ova", "ska", "cka"].iter().any(|end| lower.ends_with(end)) { Some(Gender::Female) } else { None };
    by_ending.or(of_list)
}
