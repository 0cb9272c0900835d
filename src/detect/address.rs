//! Addresses: a street with the number of a house, and what belongs to it:
//! flat, postcode, place.
//!
//! The number is the anchor. In front of it or behind it stands a street, known
//! by its kind ("rue", "Street", "ul."), by the end of a compound
//! ("Hauptstraße"), or, where a postcode follows, by its capitals alone.

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::lexicon::{Classes, MAX_PHRASE};
use crate::detect::scan::Pass;
use crate::detect::terms::Kinds;
use crate::detect::words::{self, Shape, Word};

/// A street has at most this many words.
const MAX_WORDS: usize = 6;
/// A house may have this many parts: block, stair, floor, flat.
const MAX_UNITS: usize = 6;

/// What a street is worth, by what it is known by: in capitals, and in small letters.
const KIND: (f32, f32) = (0.65, 0.3);
const WEAK_KIND: (f32, f32) = (0.35, 0.15);
const ENDING: (f32, f32) = (0.65, 0.5);
const WEAK_ENDING: (f32, f32) = (0.3, 0.15);
const UNNAMED: f32 = 0.15;

/// A street with its number.
#[derive(Clone, Copy)]
struct Street {
    start: usize,
    end: usize,
    score: f32,
}

impl Pass<'_> {
    /// Looks at the number that starts at `start` for a day of birth or an
    /// address around it. Most numbers are told apart by the bytes beside them.
    #[inline]
    pub(crate) fn day_or_address(&mut self, start: usize) -> Option<usize> {
        let before = start.checked_sub(1).and_then(|at| self.bytes.get(at)).copied().unwrap_or(b' ');
        match before {
            b' '
            | b'\n'
            | b'\t'
            | b'\r'
            | b'('
            | b','
            | b':'
            | b'"'
            | b'\''
            | b'.'
            | b'#'
            | b'='
            | b'>'
            | b'*'
            | b'/'
            | b'|'
            | 0x80.. => {}
            b'A'..=b'Z' => return self.british_postcode(start),
            _ => return None,
        }
        let end = self.digits_end(start);
        let behind = self.bytes.get(end).copied().unwrap_or(b'\n');
        let date = match end - start {
            1 | 2 => matches!(behind, b' ' | b'.' | b'/' | b'-' | b',' | b'a'..=b'z' | 0x80..),
            4 => matches!(behind, b' ' | b'.' | b'/' | b'-' | b',' | 0x80..),
            len => len == 8,
        };
        if date && let Some(end) = self.birth(start) {
            return Some(end);
        }
        let none = end - start > 6
            || matches!(before, b'=' | b'>' | b'*' | b'/' | b'|')
            || matches!(behind, b'%' | b'$' | b'_' | b'=' | b'@' | b'\\' | b'"' | b'\'' | b']' | b'}' | b'>' | b':');
        if none { None } else { self.address(start) }
    }

    fn address(&mut self, start: usize) -> Option<usize> {
        if let Some(number) = self.house_number(start)
            && let Some(street) = self.street(start, number)
        {
            let (end, mut raise) = self.rest_of_address(street.end);
            // "Chapter 12, 110 00 pages": what has no kind needs a place in capitals.
            if street.score <= UNNAMED && self.word_ending(end).is_some_and(|w| w.shape == Shape::Lower) {
                raise -= 0.1;
            }
            let start = self.flat_in_front(street.start);
            if self.report(Finder::Address, start, end, street.score + raise, Evidence::default()) {
                return Some(end);
            }
        }
        self.postcode(start)
    }

    /// The street to which a number belongs.
    fn street(&self, start: usize, number: usize) -> Option<Street> {
        let (at, marked) = self.before_number(start);
        if let Some(word) = self.word_ending(at) {
            let kinds = self.kinds(&word);
            if kinds.has(Kinds::UNIT) && !marked {
                return self.street_of_unit(&word, number);
            }
            if kinds.has(Kinds::ENDS_POST_BOX)
                && let Some(first) = self.post_box(&word)
            {
                return Some(Street { start: first, end: number, score: 0.6 });
            }
            if let Some((from, score)) = self.street_in_front(!marked && self.text.get(at..start)?.contains('.'), &word)
            {
                // "on Wall Street 500 stocks"
                let counts = self.digits_end(start) - start > 2
                    && self.bytes.get(number) == Some(&b' ')
                    && self.bytes.get(number + 1).is_some_and(u8::is_ascii_lowercase);
                let score = if marked {
                    score + 0.2
                } else if counts {
                    score - 0.3
                } else {
                    score
                };
                // A street of a year, and "in 2024": the former is rare.
                if score >= 0.5 {
                    return Some(Street { start: from, end: number, score });
                }
                let behind = self.street_behind(number).filter(|b| b.1 > score);
                return Some(match behind {
                    Some((end, score)) => Street { start, end, score },
                    None => Street { start: from, end: number, score },
                });
            }
        }
        let (end, score) = self.street_behind(number)?;
        let year = number - start == 4 && matches!(self.bytes.get(start..start + 2), Some(b"19" | b"20"));
        Some(Street { start, end, score: if year { score - 0.3 } else { score } })
    }

    /// Where the words in front of a number end, and whether "nr" or the like
    /// stands between.
    fn before_number(&self, start: usize) -> (usize, bool) {
        let gap = self.back_over(start, 4, &[' ', '\u{a0}', '.', ':', '°', '#', '№']);
        // "n.º"
        let at = self.text.get(..gap).and_then(|t| t.strip_suffix(".º")).map_or(gap, str::len);
        let mark = self.word_ending(at).filter(|w| self.kinds(w).has(Kinds::NUMBER_MARK));
        match mark {
            Some(mark) => (self.back_over(mark.start, 3, &[' ', '\u{a0}', ',', '.', '/']), true),
            None => (self.back_over(start, 3, &[' ', '\u{a0}', ',', '.']), false),
        }
    }

    /// "Flat 3, 12 King Street", "Studio 6, Taylor Court".
    fn street_of_unit(&self, unit: &Word, number: usize) -> Option<Street> {
        let next = self.over(number, 3, &[' ', ',', '\u{a0}', '\n']);
        let second = self.bytes.get(next).filter(|b| b.is_ascii_digit()).and_then(|_| self.house_number(next));
        let (end, score) = self.street_behind(second.unwrap_or(number))?;
        Some(Street { start: unit.start, end, score: score + 0.1 })
    }

    /// The start of "PO Box" and its kin that ends with `word`.
    fn post_box(&self, word: &Word) -> Option<usize> {
        let (mut word, mut phrase) = (*word, 0);
        for _ in 0..MAX_PHRASE {
            phrase = words::join(phrase, word.hash);
            if self.engine.terms.joined(phrase).has(Kinds::POST_BOX) {
                return Some(word.start);
            }
            word = self.word_ending(self.back_over(word.start, 2, &[' ', '.']))?;
        }
        None
    }

    /// The start of the street whose last word is `last`, and its score. `stop`
    /// says that a full stop stands behind it.
    fn street_in_front(&self, stop: bool, last: &Word) -> Option<(usize, f32)> {
        let text = self.text.get(last.start..last.end)?;
        let kinds = self.kinds(last);
        if !kinds.has(Kinds::NO_STREET) {
            let ending = self.engine.terms.ending(text);
            let worth = match (ending.has(Kinds::STREET_ENDING), ending.has(Kinds::STREET_ENDING_WEAK)) {
                (true, _) => Some(ENDING),
                (_, true) if !stop => Some(WEAK_ENDING),
                _ => None,
            };
            // "Hans-Peter-Weg"
            let compound = kinds.has(Kinds::STREET_ENDING_WEAK) && self.before(last.start) == Some('-') && !stop;
            let worth = if compound { Some((0.5, 0.3)) } else { worth };
            if let Some(worth) = worth {
                let score = if last.shape == Shape::Lower { worth.1 } else { worth.0 };
                let kind = if score < 0.5 { self.street_from_kind(last).filter(|k| k.1 > score) } else { None };
                return Some(kind.unwrap_or_else(|| (self.start_of_name(last.start), score)));
            }
        }
        if kinds.has(Kinds::STREET_BEHIND) {
            let (start, capital) = self.name_in_front(last)?;
            return Some((start, if capital { KIND.0 } else { KIND.1 }));
        }
        // Behind any other word a full stop ends a sentence.
        if stop {
            return None;
        }
        self.street_from_kind(last).or_else(|| self.street_without_kind(last, kinds))
    }

    /// Walks back from `last` to the kind of street: "Calle de la Rosa".
    fn street_from_kind(&self, last: &Word) -> Option<(usize, f32)> {
        let (mut word, mut capitals, mut small) = (*last, 0, 0);
        for i in 0..MAX_WORDS {
            let kinds = self.kinds(&word);
            if i > 0 && kinds.has(Kinds::STREET_FRONT | Kinds::STREET_FRONT_WEAK) {
                let worth = if kinds.has(Kinds::STREET_FRONT) { KIND } else { WEAK_KIND };
                let score = if capitals > 0 && small == 0 { worth.0 } else { worth.1 };
                // "C/", "R. ", "al.": what is short needs its mark.
                let short = word.end - word.start < 3 && !self.is_word(&word, &["av", "bd", "ul"]);
                let marked = match self.bytes.get(word.end) {
                    Some(b'.') => self.bytes.get(word.end + 1) == Some(&b' ') || word.end - word.start > 1,
                    other => other == Some(&b'/'),
                };
                // The last letter of "T.C." is no street.
                let last_of_many = short && self.before(word.start) == Some('.');
                // "B-dul"
                let first = match self.bytes.get(word.start.wrapping_sub(2)..word.start) {
                    Some([b'A'..=b'Z' | b'a'..=b'z', b'-']) => word.start - 2,
                    _ => word.start,
                };
                return (!short || marked && !last_of_many).then_some((first, score));
            }
            match word.shape {
                Shape::Lower if kinds.has(Kinds::STREET_JOINT) => {}
                Shape::Lower if self.is_stop(&word) || small == 2 => return None,
                Shape::Lower => small += 1,
                _ => capitals += 1,
            }
            let gap = self.back_over(word.start, 3, &[' ', '\u{a0}', '-', '\'', '’', '.', '/']);
            if gap == word.start {
                return None;
            }
            word = if let Some(word) = self.word_ending(gap) {
                word
            } else {
                // "ul. 3 Maja"
                let digits = self.digits_start(gap);
                if digits == gap || gap - digits > 2 {
                    return None;
                }
                self.word_ending(self.back_over(digits, 2, &[' ', '.']))?
            };
        }
        None
    }

    /// A name in capitals that may be a street, where a postcode says so.
    fn street_without_kind(&self, last: &Word, kinds: Kinds) -> Option<(usize, f32)> {
        let classes = self.engine.lexicon.classes(last.hash);
        let capital = matches!(last.shape, Shape::Capitalised | Shape::Mixed);
        let other = kinds.has(Kinds::MONTH | Kinds::NO_STREET | Kinds::STREET_BEHIND | Kinds::STREET_FRONT)
            || classes.has(Classes::CALENDAR)
            || classes.has(Classes::STOP);
        if !capital || other {
            return None;
        }
        let start = self.start_of_name(last.start);
        (last.end - last.start > 3 || start < last.start).then_some((start, UNNAMED))
    }

    /// The start of the street's name with the words that may stand in front:
    /// "Karl-Marx-", "Alte ", "Van der ".
    fn start_of_name(&self, mut start: usize) -> usize {
        let mut at = start;
        for _ in 0..MAX_WORDS {
            let hyphen = matches!(self.before(at), Some('-' | '\'' | '’'));
            let gap = self.back_over(at, 2, if hyphen { &['-', '\'', '’'] } else { &[' ', '.', '\u{a0}'] });
            if gap == at {
                break;
            }
            let Some(word) = self.word_ending(gap) else { break };
            let kinds = self.kinds(&word);
            let capital = word.shape != Shape::Lower;
            if hyphen || (capital && kinds.has(Kinds::STREET_START)) {
                start = word.start;
            } else if !kinds.has(Kinds::STREET_JOINT) {
                break;
            }
            at = word.start;
        }
        start
    }

    /// The name in front of a kind of street: "Atatürk Cad", "Karl Johans gate".
    fn name_in_front(&self, kind: &Word) -> Option<(usize, bool)> {
        let (mut start, mut capitals) = (kind.start, 0);
        for i in 0..3 {
            let gap = self.back_over(start, 2, &[' ', '\u{a0}', '-', '.', '\'', '’']);
            // "1453. Sokak"
            let digits = self.digits_start(gap);
            if i == 0 && digits < gap && self.bytes.get(gap) == Some(&b'.') {
                return Some((digits, kind.shape != Shape::Lower));
            }
            let Some(word) = self.word_ending(gap).filter(|_| gap < start) else { break };
            let capital = word.shape != Shape::Lower;
            if self.is_stop(&word) || (!capital && i > 0) {
                break;
            }
            // "SQ 351" is a flight, where what stands in front is not in capitals too.
            if kind.shape == Shape::Upper && word.shape != Shape::Upper {
                return None;
            }
            start = word.start;
            capitals += usize::from(capital);
            if !capital {
                break;
            }
        }
        (start < kind.start).then_some((start, capitals > 0))
    }

    /// The end of a street behind its number, and its score.
    fn street_behind(&self, number: usize) -> Option<(usize, f32)> {
        let mut at = self.over(number, 2, &[' ', ',', '\u{a0}']);
        if at == number || self.before(at) == Some(',') {
            return None;
        }
        let (mut capitals, mut small) = (0, 0);
        let mut found = None;
        for i in 0..MAX_WORDS {
            let digits = self.digits_end(at);
            let Some(mut word) = words::read(self.text, digits) else { break };
            // "5th Avenue"
            let ordinal = digits > at && i < 3 && word.end - word.start == 2;
            if digits > at && !ordinal {
                break;
            }
            let kinds = self.kinds(&word);
            let abbreviated = word.end - word.start < 3 && !self.is_word(&word, &["av", "bd", "ul"]);
            if i == 0 && !abbreviated && kinds.has(Kinds::STREET_FRONT | Kinds::STREET_FRONT_WEAK) {
                let strong = kinds.has(Kinds::STREET_FRONT);
                found = self.name_behind(&word).map(|(end, capital)| match (strong, capital) {
                    (true, true) => (end, KIND.0),
                    (true, false) => (end, 0.5),
                    (false, true) => (end, WEAK_KIND.0),
                    (false, false) => (end, WEAK_KIND.1),
                });
                break;
            }
            if i > 0 && kinds.has(Kinds::STREET_BEHIND | Kinds::STREET_BEHIND_WEAK) {
                let worth = if kinds.has(Kinds::STREET_BEHIND) { KIND } else { WEAK_KIND };
                let score = if capitals > 0 && small == 0 { worth.0 } else { worth.1 };
                let dot = usize::from(self.bytes.get(word.end) == Some(&b'.') && word.end - word.start <= 4);
                if found.is_none_or(|(_, s)| s <= score || score >= 0.5) {
                    found = Some((word.end + dot, score));
                }
            }
            match word.shape {
                _ if ordinal => capitals += 1,
                Shape::Lower if kinds.has(Kinds::STREET_JOINT) && i > 0 && small == 0 => {}
                Shape::Lower if self.is_stop(&word) || capitals > 0 || small == 3 => break,
                Shape::Lower => small += 1,
                _ if small > 0 || (self.is_stop(&word) && word.shape == Shape::Capitalised) => break,
                _ => capitals += 1,
            }
            if self.bytes.get(word.end) == Some(&b'.') && word.end - word.start <= 3 {
                word.end += 1;
            }
            match self.at(word.end) {
                Some(' ' | '-' | '\'' | '’') => at = self.over(word.end, 1, &[' ', '-', '\'', '’']),
                _ => break,
            }
        }
        let (end, score) = found?;
        let end = self.direction(end);
        // "10115 Koepenicker Str. 74": the number in front was another one.
        let second = self.bytes.get(end..end + 2).filter(|b| matches!(b, [b' ', digit] if digit.is_ascii_digit()));
        let second = second.and_then(|_| self.house_number(end + 1)).filter(|e| e - end <= 5);
        Some((second.unwrap_or(end), score))
    }

    /// "NW" behind a street.
    fn direction(&self, end: usize) -> usize {
        let word = self.bytes.get(end).filter(|b| **b == b' ').and_then(|_| words::read(self.text, end + 1));
        match word {
            Some(w) if self.is_word(&w, &["NW", "NE", "SW", "SE"]) && w.shape == Shape::Upper => w.end,
            _ => end,
        }
    }

    /// The end of the name behind a kind of street, and whether it has capitals.
    fn name_behind(&self, kind: &Word) -> Option<(usize, bool)> {
        let (mut at, mut capitals, mut small) = (kind.end, 0, 0);
        let mut end = None;
        for _ in 0..MAX_WORDS {
            let next = self.over(at, 2, &[' ', '\u{a0}', '-', '\'', '’', '.']);
            let Some(word) = words::read(self.text, next).filter(|_| next > at) else { break };
            let hyphen = self.before(next) == Some('-');
            let kinds = self.kinds(&word);
            let joint = kinds.has(Kinds::STREET_JOINT);
            if kinds.has(Kinds::UNIT) && !joint && self.unit(at).is_some() {
                break;
            }
            match word.shape {
                Shape::Lower if joint => {}
                Shape::Lower if hyphen => end = Some(word.end),
                Shape::Lower if capitals > 0 || small == 2 || self.is_stop(&word) => break,
                Shape::Lower => {
                    small += 1;
                    end = Some(word.end);
                }
                _ if small > 0 || capitals == 4 => break,
                _ => {
                    capitals += 1;
                    end = Some(word.end);
                }
            }
            at = word.end;
        }
        Some((end?, capitals > 0))
    }

    /// The end of an address behind its street: parts of the house, postcode
    /// and place; and what they add to the score.
    pub(crate) fn rest_of_address(&self, street: usize) -> (usize, f32) {
        let (mut end, mut raise) = (street, 0.0);
        for _ in 0..MAX_UNITS {
            match self.unit(end) {
                Some(next) => (end, raise) = (next, 0.15),
                None => break,
            }
        }
        match self.place_behind(end) {
            Some((next, more)) => (next, raise + more),
            None => (end, raise),
        }
    }
}
