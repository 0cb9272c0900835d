//! Postcodes and places, behind a street and alone.

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::lexicon::Classes;
use crate::detect::scan::Pass;
use crate::detect::terms::Kinds;
use crate::detect::words::{self, Shape, Word};

/// The shape of a postcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// `1010`, as in Austria and Belgium; also any year.
    Four,
    /// `10115`, `90210-1234`, `010101`
    Five,
    /// `110 00`
    Spaced,
    /// `00-950`, `1200-109`
    Dashed,
    /// `1011 AB`
    Dutch,
    /// `SW1A 1AA`, `K1A 0B1`, `D02 X285`
    Mixed,
}

/// The postcode areas of the United Kingdom.
const AREAS: &str = " AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS WV YO ZE ";

/// What stands between street, postcode and place.
const SEPARATORS: [char; 9] = [' ', ',', '\u{a0}', '\n', '\r', '-', '–', '|', '·'];

impl Pass<'_> {
    /// Postcode and place behind a street: their end, and what they add to the score.
    pub(crate) fn place_behind(&self, end: usize) -> Option<(usize, f32)> {
        let mut at = self.over(end, 4, &SEPARATORS);
        if at == end {
            return None;
        }
        let mut comma = self.text.get(end..at)?.contains([',', '\n']);
        if let Some(word) = words::read(self.text, at)
            && self.kinds(&word).has(Kinds::PLACE_JOINT)
            && self.bytes.get(word.end) == Some(&b' ')
            && !comma
        {
            at = word.end + 1;
            comma = true;
        }
        if let Some((code_end, code)) = self.code(at) {
            let place = self.over(code_end, 2, &[' ', ',', '\u{a0}']);
            if place > code_end
                && let Some(place_end) = self.place(place, true)
            {
                let year = code == Code::Four && matches!(self.bytes.get(at..at + 2), Some(b"19" | b"20"));
                return Some((self.tail(place_end), if year { 0.2 } else { 0.35 }));
            }
            let raise = match code {
                Code::Four => return None,
                Code::Five if !comma => return None,
                Code::Five => 0.2,
                _ => 0.3,
            };
            return Some((code_end, raise));
        }
        self.place_then_code(at, comma)
    }

    /// `London SW1A 1AA`, `Springfield, IL 62704`, or a place that is known.
    fn place_then_code(&self, start: usize, comma: bool) -> Option<(usize, f32)> {
        let known = words::read(self.text, start)
            .filter(|w| comma && w.shape != Shape::Lower && self.is_place(w))
            .map(|w| w.end);
        let mut at = start;
        for _ in 0..3 {
            let Some(mut end) = self.place(at, false) else { break };
            let next = self.over(end, 3, &[' ', ',', '\n', '\u{a0}']);
            if let Some(state) = words::read(self.text, next).filter(|w| self.is_state(w)) {
                let zip = self.over(state.end, 2, &[' ', ',']);
                if let Some((code_end, Code::Five)) = self.code(zip) {
                    return Some((code_end, 0.35));
                }
            }
            // The last word of the place may be a part of the code: "London SW1A 1AA".
            let code = self.code(next).or_else(|| {
                let word = self.word_ending(end)?;
                end = word.start;
                self.code(word.start)
            });
            if let Some((code_end, code)) = code {
                if code == Code::Four {
                    break;
                }
                return Some((code_end, 0.35));
            }
            if next == end || self.bytes.get(next - 1) == Some(&b'\n') && at > start {
                break;
            }
            at = next;
        }
        let end = self.place(start, false)?;
        known.map(|_| (self.tail(end), 0.2))
    }

    /// A province in brackets, and a country that is known.
    fn tail(&self, mut end: usize) -> usize {
        if self.bytes.get(end..end + 2) == Some(b" (")
            && let Some(word) = words::read(self.text, end + 2)
            && word.shape == Shape::Upper
            && self.bytes.get(word.end) == Some(&b')')
        {
            end = word.end + 1;
        }
        let next = self.over(end, 3, &[',', ' ', '\n']);
        match words::read(self.text, next) {
            Some(w) if next > end + 1 && w.shape != Shape::Lower && self.is_place(&w) => w.end,
            _ => end,
        }
    }

    fn is_place(&self, word: &Word) -> bool {
        let classes = self.engine.lexicon.classes(word.hash);
        classes.has(Classes::PLACE) || classes.has(Classes::CITY)
    }

    fn is_state(&self, word: &Word) -> bool {
        word.end - word.start == 2 && word.shape == Shape::Upper && self.kinds(word).has(Kinds::STATE)
    }

    /// The end of the name of a place. Behind a postcode it may be in small letters.
    fn place(&self, start: usize, small: bool) -> Option<usize> {
        let first = words::read(self.text, start)?;
        let lower = first.shape == Shape::Lower;
        let mut opened = self.kinds(&first).has(Kinds::PLACE_START);
        if (lower && !small) || (self.is_stop(&first) && !opened) || first.end - first.start < 3 {
            return None;
        }
        let (mut end, mut more) = (first.end, 0);
        for _ in 0..5 {
            let next = self.over(end, 1, &[' ', '-', '/', '\'', '’', '\u{a0}']);
            let Some(word) = words::read(self.text, next).filter(|_| next > end) else { break };
            let joined = matches!(self.before(next), Some('-' | '/' | '\'' | '’'));
            let kinds = self.kinds(&word);
            // "Park", "Ville", "Springs" end places as they end streets.
            let closes = kinds.has(Kinds::STREET_BEHIND_WEAK) && word.shape == first.shape;
            if joined || closes || (opened && (lower || word.shape != Shape::Lower)) {
                end = word.end;
                opened = kinds.has(Kinds::PLACE_START);
                continue;
            }
            if kinds.has(Kinds::STREET_JOINT)
                && word.shape == Shape::Lower
                && let Some(behind) = words::read(self.text, self.over(word.end, 1, &[' ', '-']))
                && behind.shape != Shape::Lower
                && behind.start > word.end
                && !self.is_stop(&behind)
            {
                end = behind.end;
                continue;
            }
            let classes = self.engine.lexicon.classes(word.hash);
            let other = classes.has(Classes::of(&[Classes::STOP, Classes::COMMON, Classes::GIVEN, Classes::TITLE]))
                || classes.ends_any_phrase();
            if lower || word.shape != first.shape || other || more == 1 {
                break;
            }
            more += 1;
            end = word.end;
        }
        // "Praha 4"
        let district = self.digits_end(end + 1);
        if self.bytes.get(end) == Some(&b' ')
            && (1..=2).contains(&(district - end - 1))
            && !self.at(district).is_some_and(|c| c.is_alphanumeric() || c == '.' || c == ':')
            && !lower
        {
            end = district;
        }
        Some(end)
    }

    /// A postcode that starts at an offset.
    fn code(&self, start: usize) -> Option<(usize, Code)> {
        let mut at = start;
        // "D-10115"
        if let Some(word) = words::read(self.text, at)
            && word.end - word.start <= 2
            && word.shape != Shape::Lower
            && self.bytes.get(word.end) == Some(&b'-')
        {
            at = word.end + 1;
        }
        let end = self.digits_end(at);
        let (end, code) = match end - at {
            0 => return self.mixed_code(at),
            3 if self.bytes.get(end) == Some(&b' ') && self.digits_end(end + 1) == end + 3 => (end + 3, Code::Spaced),
            2 | 4 if self.bytes.get(end) == Some(&b'-') && self.digits_end(end + 1) == end + 4 => {
                (end + 4, Code::Dashed)
            }
            4 => match words::read(self.text, self.over(end, 1, &[' '])) {
                Some(w) if w.shape == Shape::Upper && w.end - w.start == 2 && w.end <= end + 3 => (w.end, Code::Dutch),
                _ => (end, Code::Four),
            },
            5 if self.bytes.get(end) == Some(&b'-') && self.digits_end(end + 1) == end + 5 => (end + 5, Code::Five),
            5 | 6 => (end, Code::Five),
            _ => return None,
        };
        let goes_on = match self.bytes.get(end) {
            Some(b'.' | b':' | b'/' | b'-') => self.bytes.get(end + 1).is_some_and(u8::is_ascii_digit),
            _ => self.at(end).is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '@'),
        };
        (!goes_on).then_some((end, code))
    }

    /// Letters and digits in one or two parts.
    fn mixed_code(&self, start: usize) -> Option<(usize, Code)> {
        let part = |at: usize| {
            let bytes = self.bytes.get(at..).unwrap_or_default();
            let len = bytes.iter().take(9).take_while(|b| b.is_ascii_alphanumeric()).count();
            let digits = bytes.iter().take(len).filter(|b| b.is_ascii_digit()).count();
            (len, digits)
        };
        let (first, digits) = part(start);
        let letters = first - digits;
        if digits == 0 || letters == 0 || self.at(start + first).is_some_and(char::is_alphanumeric) {
            return None;
        }
        if (6..=8).contains(&first) {
            return (digits >= 2 && letters >= 2).then_some((start + first, Code::Mixed));
        }
        let (second, more) = part(start + first + 1);
        let end = start + first + 1 + second;
        let good = (2..=4).contains(&first)
            && self.bytes.get(start + first) == Some(&b' ')
            && (3..=4).contains(&second)
            && more > 0
            && !self.at(end).is_some_and(char::is_alphanumeric);
        good.then_some((end, Code::Mixed))
    }

    /// A postcode with its place that stands alone: `1011 AB Amsterdam`,
    /// `Springfield, IL 62704`; of plain digits only a cue makes an address.
    pub(crate) fn postcode(&mut self, start: usize) -> Option<usize> {
        // A code has three digits at least but for the Polish, and a capital behind it or a state before.
        let digits = self.digits_end(start);
        let capital = |at: usize| self.bytes.get(at).is_some_and(|b| b.is_ascii_uppercase() || *b >= 0x80);
        let shape = match (digits - start, self.bytes.get(digits)) {
            (5, _) => true,
            (3, Some(b' ')) | (2 | 4, Some(b'-')) => self.bytes.get(digits + 1).is_some_and(u8::is_ascii_digit),
            (4 | 6, Some(b' ')) => capital(digits + 1),
            (4, _) => capital(digits),
            _ => false,
        };
        if !shape || !matches!(self.before(start), None | Some(' ' | '\n' | ',' | '(' | ':' | '"' | '\u{a0}' | '\t')) {
            return None;
        }
        let (end, code) = self.code(start)?;
        if code == Code::Five
            && let Some(city) = self.city_before(start)
        {
            return self.report(Finder::Postcode, city, end, 0.4, Evidence::default()).then_some(end);
        }
        let unit = ["AM", "PM", "SA", "SD", "SS", "EU", "US", "UK", "TV", "HD"];
        let measured = || self.text.get(end - 2..end).is_some_and(|t| unit.contains(&t));
        let Some(word) = words::read(self.text, self.over(end, 1, &[' '])).filter(|w| w.start > end) else {
            // Without a place a word must say what it is.
            let alone = code == Code::Dutch && !measured();
            return (alone && self.report(Finder::Postcode, start, end, 0.0, Evidence::default())).then_some(end);
        };
        if word.shape == Shape::Lower || word.end - word.start < 3 || self.is_stop(&word) {
            return None;
        }
        let raise = match code {
            Code::Dutch if measured() => return None,
            Code::Dutch if word.shape != Shape::Upper => 0.4,
            Code::Dashed | Code::Spaced if self.is_place(&word) => 0.4,
            _ => 0.0,
        };
        let place = self.place(word.start, false)?;
        // What looks like a place may be a street: "05575 Feldstrasse 42".
        let number = self.bytes.get(place).filter(|b| **b == b' ').and_then(|_| self.house_number(place + 1));
        let end = match number {
            Some(number) => self.rest_of_address(number).0,
            None => self.tail(place),
        };
        self.report(Finder::Postcode, start, end, raise, Evidence::default()).then_some(end)
    }

    /// The start of the city in `Springfield, IL ` in front of a code.
    fn city_before(&self, code: usize) -> Option<usize> {
        let state = self.word_ending(self.back_over(code, 2, &[' ', ',']))?;
        if !self.is_state(&state) {
            return None;
        }
        let at = self.back_over(state.start, 2, &[' ', ',']);
        let mut city = self.word_ending(at).filter(|w| w.shape != Shape::Lower && at < state.start)?;
        for _ in 0..2 {
            let gap = self.back_over(city.start, 2, &[' ', '.']);
            match self.word_ending(gap) {
                Some(w) if gap < city.start && self.kinds(&w).has(Kinds::PLACE_START) && w.shape != Shape::Lower => {
                    city = w;
                }
                _ => break,
            }
        }
        Some(city.start)
    }

    /// `SW1A 1AA`: the digit at `digit` stands behind one or two capitals.
    pub(crate) fn british_postcode(&mut self, digit: usize) -> Option<usize> {
        let second = self.bytes.get(digit + 1).filter(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        let outward = digit + 1 + usize::from(second.is_some());
        let inward = self.over(outward, 1, &[' ', '\u{a0}']);
        let [number, one, two] = self.bytes.get(inward..inward + 3)? else { return None };
        let letter = |b: &u8| b.is_ascii_uppercase() && !b"CIKMOV".contains(b);
        let end = inward + 3;
        if inward == outward || !number.is_ascii_digit() || !letter(one) || !letter(two) {
            return None;
        }
        let letters = self.bytes.get(..digit)?.iter().rev().take(3).take_while(|b| b.is_ascii_uppercase()).count();
        let start = digit.checked_sub(letters)?;
        let area = self.text.get(start..digit)?;
        let known = letters <= 2 && AREAS.split(' ').any(|a| a == area);
        if !known || self.before(start).is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.')) {
            return None;
        }
        if self.at(end).is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_') {
            return None;
        }
        self.report(Finder::Postcode, start, end, 0.4, Evidence::default()).then_some(end)
    }
}
