//! Numbers read out in words: "null eins sieben …", "oh two double four …".
//! Telephone numbers and payment cards are given so, and not only in speech.

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::load::NUMBER_WORDS;
use crate::detect::scan::Pass;
use crate::detect::validate;
use crate::detect::words::{self, Word};

/// As many digits as a payment card has (ISO/IEC 7812-1).
const MAX_DIGITS: usize = 19;
/// Fewer parts than these are a price or an age, and fewer words are left to
/// the other finders.
const MIN_PARTS: usize = 5;
const MIN_WORDS: usize = 3;
const MIN_PHONE: usize = 7;

/// What a word says in a number that is read out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// 0 to 99.
    Value(u8),
    /// "double": the next digit counts so often.
    Times(u8),
    Plus,
    /// Between tens and units.
    And,
}

/// The words of [`NUMBER_WORDS`] by hash.
#[derive(Debug)]
pub(crate) struct NumberWords(Vec<(u64, Said)>);

impl NumberWords {
    pub(crate) fn builtin() -> Self {
        let mut all: Vec<(u64, Said)> = Self::entries()
            .filter_map(|(value, word)| {
                let said = match value {
                    "+" => Said::Plus,
                    "&" => Said::And,
                    "2x" => Said::Times(2),
                    "3x" => Said::Times(3),
                    value => Said::Value(value.parse().ok()?),
                };
                Some((words::hash_of(word)?, said))
            })
            .collect();
        // Of a word with two readings the first stands.
        all.sort_by_key(|(hash, _)| *hash);
        all.dedup_by_key(|(hash, _)| *hash);
        Self(all)
    }

    /// The words that a number can start with. Turkish "on" cannot: in other
    /// languages it stands in front of one.
    pub(crate) fn first_words() -> impl Iterator<Item = &'static str> {
        Self::entries().filter(|&(value, word)| value != "&" && word != "on").map(|(_, word)| word)
    }

    fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
        let lines = NUMBER_WORDS.lines().filter(|l| !l.starts_with('#'));
        lines.filter_map(|l| l.split_once(' ')).flat_map(|(value, all)| all.split(' ').map(move |word| (value, word)))
    }

    fn find(&self, hash: u64) -> Option<Said> {
        let at = self.0.binary_search_by_key(&hash, |(h, _)| *h).ok()?;
        self.0.get(at).map(|(_, said)| *said)
    }
}

/// The digits that have been read.
#[derive(Default)]
struct Digits {
    all: [u8; MAX_DIGITS],
    count: usize,
    words: usize,
    /// Words, and groups of digits between them.
    parts: usize,
    times: u8,
    plus: bool,
    /// The last word was a multiple of ten, whose units may follow.
    tens: bool,
    end: usize,
}

impl Digits {
    /// False where there is no room.
    fn push(&mut self, digit: u8) -> bool {
        match self.all.get_mut(self.count) {
            Some(slot) => {
                *slot = digit;
                self.count += 1;
                true
            }
            None => false,
        }
    }

    fn say(&mut self, value: u8) -> bool {
        let units = std::mem::take(&mut self.tens);
        if units && (1..20).contains(&value) {
            // "forty nine", and "soixante-dix": what was zero is known now.
            if let Some(last) = self.count.checked_sub(1).and_then(|i| self.all.get_mut(i)) {
                *last = value % 10;
                return true;
            }
        }
        if let 0..=9 = value {
            (0..self.times.max(1)).all(|_| self.push(value))
        } else {
            self.tens = value >= 20 && value.is_multiple_of(10);
            self.push(value / 10) && self.push(value % 10)
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.all.get(..self.count).unwrap_or_default()
    }

    /// "one two three four …" is counted, not dialled.
    fn is_counting(&self) -> bool {
        self.as_slice().windows(2).all(|pair| pair[1] == (pair[0] + 1) % 10)
    }
}

impl Pass<'_> {
    /// Looks for a number in words that starts with `first`; gives its end.
    pub(crate) fn spelled_number(&mut self, first: &Word) -> Option<usize> {
        let digits = self.read_out(first)?;
        let all = digits.as_slice();
        if digits.words < MIN_WORDS || digits.parts < MIN_PARTS || digits.is_counting() {
            return None;
        }
        let prefix = all.iter().take(6).fold(0, |n, &d| n * 10 + u32::from(d));
        if validate::is_card_prefix(prefix, all.len()) && validate::luhn(all.iter().copied()) {
            let taken = self.report(Finder::Card, first.start, digits.end, 0.0, Evidence::CHECK_DIGITS);
            return taken.then_some(digits.end);
        }
        if all.len() < MIN_PHONE {
            return None;
        }
        let sure = digits.plus || (all.len() >= 9 && all.first() == Some(&0));
        let raise = if sure { 0.15 } else { 0.0 };
        let taken = self.report(Finder::PhoneSpelled, first.start, digits.end, raise, Evidence::default());
        taken.then_some(digits.end)
    }

    fn read_out(&self, first: &Word) -> Option<Digits> {
        // Most number words stand alone; the next one tells.
        let next = words::read(self.text, self.gap_behind(first.end)?);
        if next.is_some_and(|w| self.engine.number_words.find(w.hash).is_none()) {
            return None;
        }
        let mut digits = Digits { end: first.start, ..Digits::default() };
        let mut at = first.start;
        loop {
            let end = match words::read(self.text, at) {
                Some(word) => match self.engine.number_words.find(word.hash) {
                    Some(Said::Value(value)) => {
                        // What goes on for longer is read in parts.
                        if !digits.say(value) {
                            break;
                        }
                        digits.times = 0;
                        digits.words += 1;
                        digits.parts += 1;
                        digits.end = word.end;
                        word.end
                    }
                    Some(Said::Times(times)) if digits.times == 0 => {
                        (digits.times, digits.tens) = (times, false);
                        word.end
                    }
                    Some(Said::Plus) if digits.count == 0 && !digits.plus => {
                        digits.plus = true;
                        word.end
                    }
                    Some(Said::And) if digits.tens => word.end,
                    _ => break,
                },
                // "null eins sieben 23 45"
                None => match self.short_group(at) {
                    Some(end) if digits.count > 0 && digits.count + end - at <= MAX_DIGITS => {
                        for &b in self.bytes.get(at..end)? {
                            digits.push(b.wrapping_sub(b'0'));
                        }
                        digits.tens = false;
                        digits.parts += 1;
                        digits.end = end;
                        end
                    }
                    _ => break,
                },
            };
            let Some(next) = self.gap_behind(end) else { break };
            at = next;
        }
        (digits.count > 0).then_some(digits)
    }

    /// Where the next word can stand: behind a space, a hyphen, a comma.
    fn gap_behind(&self, end: usize) -> Option<usize> {
        let gap = self.bytes.get(end..)?.iter().take(3).take_while(|b| matches!(b, b' ' | b',' | b'-' | b'.')).count();
        (1..=2).contains(&gap).then_some(end + gap)
    }

    fn short_group(&self, at: usize) -> Option<usize> {
        let count = self.bytes.get(at..)?.iter().take(5).take_while(|b| b.is_ascii_digit()).count();
        let free = !self.at(at + count).is_some_and(char::is_alphanumeric);
        ((1..=4).contains(&count) && free).then_some(at + count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_known_by_its_first_value() {
        let words = NumberWords::builtin();
        let said = |w: &str| words.find(words::hash_of(w).unwrap());
        assert_eq!(said("Null"), Some(Said::Value(0)));
        assert_eq!(said("fünf"), Some(Said::Value(5)));
        assert_eq!(said("neunundvierzig"), Some(Said::Value(49)));
        assert_eq!(said("tweeëntwintig"), Some(Said::Value(22)));
        assert_eq!(said("double"), Some(Said::Times(2)));
        assert_eq!(said("plus"), Some(Said::Plus));
        assert_eq!(said("house"), None);
    }

    #[test]
    fn digits_add_up() {
        let mut digits = Digits::default();
        for value in [40, 9, 0, 20, 17] {
            assert!(digits.say(value));
        }
        assert_eq!(digits.as_slice(), [4, 9, 0, 2, 7]);
        let mut digits = Digits { times: 2, ..Digits::default() };
        assert!(digits.say(5));
        assert_eq!(digits.as_slice(), [5, 5]);
    }
}
