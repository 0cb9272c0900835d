//! Days of birth: a whole date, in figures or with the name of its month, with
//! a word of birth in front of it or behind.
//!
//! Without a clock no year can be ruled out but those before the oldest living
//! and those of the next century.

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::lexicon::MAX_PHRASE;
use crate::detect::scan::Pass;
use crate::detect::terms::Kinds;
use crate::detect::words;
use std::ops::RangeInclusive;

const YEARS: RangeInclusive<u32> = 1880..=2099;

/// How far the word of birth may be, in bytes.
const BEFORE: usize = 56;
const BEHIND: usize = 40;

impl Pass<'_> {
    /// Looks at the digit at `start` for a day of birth.
    pub(crate) fn birth(&mut self, start: usize) -> Option<usize> {
        let (from, end) = self.date(start)?;
        if !(self.is_born_before(from) || self.is_born_behind(end) || self.is_birth_label()) {
            return None;
        }
        self.report(Finder::Birth, from, end, 0.0, Evidence::CONTEXT).then_some(end)
    }

    /// The date at whose first figure `start` is.
    fn date(&self, start: usize) -> Option<(usize, usize)> {
        let (first, end) = self.figure(start, 8)?;
        let (from, end) = match end - start {
            1 | 2 => match self.day_and_month(first, end) {
                Some(end) => (start, end),
                None => self.month_in_front(start, first, end)?,
            },
            4 if YEARS.contains(&first) => (start, self.year_first(end)?),
            8 => (start, compact(first).then_some(end)?),
            _ => return None,
        };
        let taken = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@');
        let goes_on = match self.bytes.get(end) {
            Some(b'.' | b'-' | b'/' | b':') => self.bytes.get(end + 1).is_some_and(u8::is_ascii_digit),
            _ => self.at(end).is_some_and(taken),
        };
        let begun = match self.before(from) {
            Some('.' | '-' | '/') => {
                self.text.get(..from - 1).is_some_and(|t| t.ends_with(|c: char| c.is_ascii_digit()))
            }
            Some(c) => taken(c) || matches!(c, '$' | '€' | '+'),
            None => false,
        };
        (!goes_on && !begun).then_some((from, end))
    }

    /// A number of at most `most` digits.
    fn figure(&self, start: usize, most: usize) -> Option<(u32, usize)> {
        let end = self.digits_end(start);
        if end == start || end - start > most {
            return None;
        }
        let digits = self.bytes.get(start..end)?;
        Some((digits.iter().fold(0, |value, digit| 10 * value + u32::from(digit & 0xf)), end))
    }

    /// `12.03.1990`, `12 March 1990`: what follows the figure of the day.
    fn day_and_month(&self, first: u32, end: usize) -> Option<usize> {
        self.figures(first, end).or_else(|| self.month_behind(first, end))
    }

    fn figures(&self, first: u32, end: usize) -> Option<usize> {
        let (sign, at) = self.separator(end)?;
        let (second, end) = self.figure(at, 2)?;
        let day_month = (1..=31).contains(&first) && (1..=12).contains(&second);
        let month_day = (1..=12).contains(&first) && (1..=31).contains(&second);
        let (same, at) = self.separator(end)?;
        let (year, end) = self.figure(at, 4)?;
        let long = end - at == 4 && YEARS.contains(&year);
        let short = end - at == 2 && sign != ' ';
        (sign == same && (day_month || month_day) && (long || short)).then_some(end)
    }

    /// One of `.`, `/`, `-` with spaces around it, or one space.
    fn separator(&self, end: usize) -> Option<(char, usize)> {
        let at = self.over(end, 1, &[' ', '\u{a0}']);
        match self.at(at) {
            Some(c @ ('.' | '/' | '-')) => Some((c, self.over(at + 1, 1, &[' ', '\u{a0}']))),
            Some(c) if at > end && c.is_ascii_digit() => Some((' ', at)),
            _ => None,
        }
    }

    /// `12th of March, 1990`: what follows the day.
    fn month_behind(&self, day: u32, end: usize) -> Option<usize> {
        if !(1..=31).contains(&day) {
            return None;
        }
        let mut at = self.ordinal(end);
        for _ in 0..3 {
            at = self.over(at, 2, &[' ', '\u{a0}', '.', '-', '/', ',']);
            let word = words::read(self.text, at)?;
            if self.kinds(&word).has(Kinds::MONTH) {
                return self.year_behind(word.end);
            }
            if !self.is_joint(word.start, word.end) {
                return None;
            }
            at = word.end;
        }
        None
    }

    /// `March 12, 1990`: the month in front of the day at `start`.
    fn month_in_front(&self, start: usize, day: u32, end: usize) -> Option<(usize, usize)> {
        let at = self.back_over(start, 2, &[' ', '\u{a0}', '.', '-']);
        let month = self.word_ending(at).filter(|w| at < start && self.kinds(w).has(Kinds::MONTH))?;
        let end = self.year_behind(self.ordinal(end))?;
        (1..=31).contains(&day).then_some((month.start, end))
    }

    /// Behind a month: `1990`, `, 1990`, `de 1990`, `'90`, `-90`.
    fn year_behind(&self, end: usize) -> Option<usize> {
        let mut at = self.over(end, 3, &[' ', '\u{a0}', '.', ',', '-', '/']);
        if let Some(word) = words::read(self.text, at).filter(|w| self.is_joint(w.start, w.end)) {
            at = self.over(word.end, 1, &[' ']);
        }
        let short = self.over(at, 1, &['\'', '’']);
        let (year, year_end) = self.figure(short, 4)?;
        let long = year_end - short == 4 && YEARS.contains(&year);
        let marked = short > at || self.before(at) == Some('-');
        (at > end && (long || (marked && year_end - short == 2))).then_some(year_end)
    }

    /// `1990-03-12`, `1990. 3. 12.`, `1990 March 12`: what follows the year.
    fn year_first(&self, end: usize) -> Option<usize> {
        if let Some((sign, at)) = self.separator(end)
            && let Some((month, end)) = self.figure(at, 2)
        {
            let (same, at) = self.separator(end)?;
            let (day, end) = self.figure(at, 2)?;
            return (sign == same && (1..=12).contains(&month) && (1..=31).contains(&day)).then_some(end);
        }
        let at = self.over(end, 2, &[' ', '.', '-', ',']);
        let month = words::read(self.text, at).filter(|w| at > end && self.kinds(w).has(Kinds::MONTH))?;
        let (day, end) = self.figure(self.over(month.end, 2, &[' ', '.', '-']), 2)?;
        (1..=31).contains(&day).then_some(self.ordinal(end))
    }

    /// Steps over "th", "º" and the like behind a day.
    pub(crate) fn ordinal(&self, end: usize) -> usize {
        // Nearly always something else stands there.
        if !matches!(self.bytes.get(end), Some(b's' | b'n' | b'r' | b't' | b'e' | b'a' | 0xC2)) {
            return end;
        }
        let text = self.text.get(end..).unwrap_or_default();
        ["st", "nd", "rd", "th", "er", "º", "ª", "°", "e", "a"]
            .into_iter()
            .find(|o| text.starts_with(o) && !text.get(o.len()..).is_some_and(|t| t.starts_with(char::is_alphanumeric)))
            .map_or(end, |o| end + o.len())
    }

    fn is_joint(&self, start: usize, end: usize) -> bool {
        self.text.get(start..end).is_some_and(|t| ["of", "de", "del", "the", "do", "d", "den", "en"].contains(&t))
    }

    /// Whether the last thing in front that says what a date is of says birth.
    fn is_born_before(&self, date: usize) -> bool {
        let from = self.text.floor_char_boundary(date.saturating_sub(BEFORE));
        let mut window = self.text.get(from..date).unwrap_or_default();
        if let Some(cut) = window.rfind(['!', '?', ';', '|', '\r']).max(window.rfind("\n\n")) {
            window = window.get(cut + 1..).unwrap_or_default();
        }
        // Another number, and a sentence of its own.
        let two = |w: &[u8]| matches!(w, [a, b] if a.is_ascii_digit() && b.is_ascii_digit());
        if let Some(cut) = window.as_bytes().windows(2).rposition(two) {
            window = window.get(cut + 2..).unwrap_or_default();
        }
        if let Some((cut, _)) = window.rmatch_indices(". ").find(|(at, _)| ends_sentence(window, *at)) {
            window = window.get(cut + 2..).unwrap_or_default();
        }
        let mut words = [0; 10];
        let mut count = 0;
        words::each(window, |hash| {
            words.rotate_left(1);
            words[9] = hash;
            count += 1;
        });
        let all = words.get(10 - count.min(10)..).unwrap_or_default();
        for end in (1..=all.len()).rev() {
            let mut phrase = 0;
            for &hash in all.get(..end).unwrap_or_default().iter().rev().take(MAX_PHRASE) {
                phrase = words::join(phrase, hash);
                let kinds = self.engine.terms.joined(phrase);
                if kinds.has(Kinds::NO_BIRTH) {
                    return false;
                }
                if kinds.has(Kinds::BIRTH) || (kinds.has(Kinds::BIRTH_ACCENTED) && !window.is_ascii()) {
                    return true;
                }
            }
        }
        false
    }

    /// "12.03.1990 doğumluyum", "am 12.03.1990 geboren"
    fn is_born_behind(&self, end: usize) -> bool {
        let to = self.text.floor_char_boundary((end + BEHIND).min(self.text.len()));
        let window = self.text.get(end..to).unwrap_or_default();
        let line = window.split([',', '!', '?', '\n', ';']).next().unwrap_or_default();
        let clause = line.split(". ").next().unwrap_or_default();
        let kinds = self.engine.terms.any(clause);
        kinds.has(Kinds::BIRTH) && !kinds.has(Kinds::NO_BIRTH)
    }

    fn is_birth_label(&self) -> bool {
        !self.label.is_empty() && self.engine.terms.any_of(self.label).has(Kinds::BIRTH)
    }
}

/// A capital follows, and what the full stop is behind is no abbreviation.
fn ends_sentence(window: &str, at: usize) -> bool {
    let capital = window.get(at + 2..).is_some_and(|t| t.starts_with(char::is_uppercase));
    let letters = window.get(..at).unwrap_or_default().chars().rev().take_while(|c| c.is_alphabetic()).count();
    capital && letters > 4
}

/// `19900312` or `12031990`.
fn compact(figures: u32) -> bool {
    let date =
        |year: u32, month: u32, day: u32| YEARS.contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    date(figures / 10_000, figures / 100 % 100, figures % 100)
        || date(figures % 10_000, figures / 10_000 % 100, figures / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_a_date_in_two_orders() {
        assert!(compact(19_900_312) && compact(12_031_990));
        assert!(!compact(19_901_312) && !compact(12_345_678) && !compact(0));
    }
}
