//! Parts of a house in an address: its number, and the flat, floor, stair or
//! block behind it or in front of the street.

use crate::detect::scan::Pass;
use crate::detect::terms::Kinds;
use crate::detect::words::{self, Shape, Word};

/// How far in front of a street its flat may stand, in bytes.
const IN_FRONT: usize = 48;

impl Pass<'_> {
    /// The end of a house number: `12`, `12a`, `12 bis`, `12-14`, `7/3`, `15/B`,
    /// `123-II`, `12 A`, `12 B 34`.
    pub(crate) fn house_number(&self, start: usize) -> Option<usize> {
        let mut end = self.digits_end(start);
        if !(1..=5).contains(&(end - start)) {
            return None;
        }
        end = self.house_letter(end)?;
        for _ in 0..2 {
            let joint = matches!(self.bytes.get(end), Some(b'-' | b'/'));
            let next = self.digits_end(end + 1);
            if !joint {
                break;
            }
            if next == end + 1 {
                end = self.lettered_part(next).unwrap_or(end);
                break;
            }
            // A date or a range of large numbers.
            if next - end > 5 {
                return None;
            }
            end = self.house_letter(next)?;
        }
        end = self.stair_and_flat(end);
        match self.bytes.get(end) {
            Some(b'.' | b',' | b':' | b'/' | b'-') => !self.bytes.get(end + 1).is_some_and(u8::is_ascii_digit),
            Some(b'%' | b'$' | b'_' | b'=' | b'(' | b'@' | b'\\') => false,
            _ => true,
        }
        .then_some(end)
    }

    /// `B`, `II`: one letter, or a Roman number, in capitals.
    fn lettered_part(&self, start: usize) -> Option<usize> {
        let word = words::read(self.text, start)?;
        let text = self.text.get(word.start..word.end)?;
        let roman = text.len() <= 3 && text.bytes().all(|b| matches!(b, b'I' | b'V' | b'X'));
        let letter = text.len() == 1 && text.bytes().all(|b| b.is_ascii_uppercase());
        let free = !self.at(word.end).is_some_and(char::is_alphanumeric);
        ((roman || letter) && free).then_some(word.end)
    }

    /// ` A` or ` B 34` behind a number, where the address goes on behind a comma
    /// or ends with the line: stair and flat in Sweden and Finland.
    fn stair_and_flat(&self, end: usize) -> usize {
        let (Some(b' '), Some(b'A'..=b'H')) = (self.bytes.get(end), self.bytes.get(end + 1)) else { return end };
        let letter = end + 2;
        let flat = if self.bytes.get(letter) == Some(&b' ') { self.digits_end(letter + 1) } else { letter };
        let flat = if (letter + 2..=letter + 4).contains(&flat) { flat } else { letter };
        if matches!(self.bytes.get(flat), None | Some(b',' | b'\n')) { flat } else { end }
    }

    /// One letter behind a house number, which is free behind.
    fn house_letter(&self, end: usize) -> Option<usize> {
        let word = match self.at(end) {
            Some(c) if c.is_alphabetic() => words::read(self.text, end)?,
            Some(c) if c.is_alphanumeric() => return None,
            Some(' ') => {
                let word = words::read(self.text, end + 1);
                let Some(word) = word.filter(|w| self.is_word(w, &["bis", "ter"])) else { return Some(end) };
                return Some(word.end);
            }
            _ => return Some(end),
        };
        let single = word.end - word.start == 1 && !self.at(word.end).is_some_and(char::is_alphanumeric);
        (single || self.is_word(&word, &["bis", "ter"])).then_some(word.end)
    }

    pub(crate) fn is_word(&self, word: &Word, all: &[&str]) -> bool {
        self.text.get(word.start..word.end).is_some_and(|t| all.iter().any(|a| t.eq_ignore_ascii_case(a)))
    }

    /// The end of a part of a house: `, Apt. 4B`, ` 3º B`, `, bl. 3`, ` D:4`, ` #5`.
    pub(crate) fn unit(&self, end: usize) -> Option<usize> {
        let at = self.over(end, 2, &[' ', ',', '\u{a0}']);
        let number = self.digits_end(at);
        if number > at {
            if number - at > 3 || at == end {
                return None;
            }
            let dot = usize::from(self.bytes.get(number) == Some(&b'.'));
            let ordinal = matches!(self.at(number + dot), Some('º' | 'ª' | '°'));
            let behind = self.over(self.ordinal(number + dot), 2, &['.', ' ']);
            let word = words::read(self.text, behind).filter(|w| !self.at(w.end).is_some_and(char::is_alphanumeric));
            let plain = behind <= number + 1 && !ordinal && self.bytes.get(number) != Some(&b'.');
            return match word {
                Some(w) if plain && w.shape == Shape::Capitalised => None,
                Some(w) if self.kinds(&w).has(Kinds::UNIT) && w.end - w.start > 1 => Some(self.side(w.end)),
                Some(w) if ordinal && w.end - w.start == 1 => Some(w.end),
                _ if ordinal => Some(number + self.at(number).map_or(0, char::len_utf8)),
                _ => None,
            };
        }
        if let Some(ground) = self.bytes.get(at..at + 3)
            && at > end
            && ground.eq_ignore_ascii_case(b"r/c")
        {
            // "rés-do-chão"
            return Some(self.side(at + 3));
        }
        let value = if self.bytes.get(at) == Some(&b'#') {
            self.over(at + 1, 1, &[' '])
        } else {
            let word = words::read(self.text, at).filter(|_| at > end)?;
            if !self.kinds(&word).has(Kinds::UNIT) {
                return None;
            }
            let value = self.over(word.end, 3, &['.', ':', ' ', '\u{a0}', '#']);
            if word.end - word.start > 1
                && let Some(end) = self.unnumbered(end, word.end)
            {
                return Some(end);
            }
            // "D:4": one letter needs its mark.
            let marked = matches!(self.bytes.get(word.end), Some(b'.' | b':'));
            if value == word.end || (word.end - word.start == 1 && !marked) {
                return None;
            }
            value
        };
        // "A3"
        let capital = self.bytes.get(value).is_some_and(u8::is_ascii_uppercase);
        let first = value + usize::from(capital && self.bytes.get(value + 1).is_some_and(u8::is_ascii_digit));
        let number = self.digits_end(first);
        let letter = self.at(number).filter(|c| c.is_alphabetic()).map_or(0, char::len_utf8);
        let mut end = number + letter;
        if self.bytes.get(end) == Some(&b'-') && self.bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = self.digits_end(end + 1);
        }
        let free = !self.at(end).is_some_and(char::is_alphanumeric);
        let small = number == value && self.at(value).is_some_and(char::is_lowercase);
        (end > value && number - value <= 5 && free && !small).then_some(end)
    }

    /// ", bajo izq.,", ", EG," : a floor that has no number, between commas.
    fn unnumbered(&self, from: usize, word: usize) -> Option<usize> {
        let end = self.side(word);
        let comma = |at: usize| self.bytes.get(at) == Some(&b',');
        (comma(from) && comma(end)).then_some(end)
    }

    /// "Esq", "links" behind a floor, and the full stop of an abbreviation where
    /// the address goes on.
    fn side(&self, end: usize) -> usize {
        let stop = |end: usize| if self.bytes.get(end..end + 2) == Some(b".,") { end + 1 } else { end };
        let gap = self.over(stop(end), 2, &[' ', '.']);
        match words::read(self.text, gap) {
            Some(word) if gap > end && self.kinds(&word).has(Kinds::UNIT) && word.end - word.start > 1 => {
                let closed = matches!(self.at(word.end), None | Some(',' | '.' | '\n'));
                if closed { stop(word.end) } else { stop(end) }
            }
            _ => stop(end),
        }
    }

    /// The start of "Flat 4, Rose Court, " in front of a street.
    pub(crate) fn flat_in_front(&self, street: usize) -> usize {
        let from = self.text.floor_char_boundary(street.saturating_sub(IN_FRONT));
        let window = self.text.get(from..street).unwrap_or_default();
        let Some(window) = window.strip_suffix(", ").or_else(|| window.strip_suffix(",\n")) else { return street };
        let mut end = window.len();
        for _ in 0..2 {
            let start = window.get(..end).and_then(|w| w.rfind([',', '\n', ':', '.', ';'])).map_or(0, |at| at + 1);
            let part = window.get(start..end).unwrap_or_default();
            let lead = part.len() - part.trim_start().len();
            let mut words = part.split_whitespace();
            let flat =
                words.next().and_then(words::hash_of).is_some_and(|h| self.engine.terms.word(h).has(Kinds::UNIT));
            if flat && words.next().is_some_and(is_flat) && words.next().is_none() {
                return from + start + lead;
            }
            // The name of a house may stand between.
            let named = part.split_whitespace().all(|w| w.starts_with(char::is_uppercase)) && part.len() < 24;
            if start == 0 || !named || part.trim().is_empty() {
                return street;
            }
            end = start - 1;
        }
        street
    }
}

/// `4`, `12b`, `B`
fn is_flat(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    digits + letters == value.len() && letters <= 1 && (1..=4).contains(&value.len())
}
