//! Hardware addresses: EUI-48 and EUI-64 (IEEE 802) as pairs with colons or
//! hyphens, or as fours with dots.

use crate::detect::eight;
use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::letters;
use crate::detect::scan::Pass;

/// Eight pairs and their separators.
const MAX_MAC: usize = 23;
/// Three fours and theirs.
const MIN_MAC: usize = 14;

impl Pass<'_> {
    /// Looks at the run of hex digits and separators around `at` as a hardware
    /// address.
    pub(crate) fn mac(&mut self, at: usize) -> Option<usize> {
        if self.engine.finders.get(Finder::Mac as usize).is_none_or(Vec::is_empty) {
            return None;
        }
        if !self.is_beside_separator(at) || self.is_short(at) {
            return None;
        }
        let (mut start, mut end) = self.run_around(at);
        if end - start < MIN_MAC {
            return None;
        }
        // A word, a colon, a full stop may stand around it; in `mac:00:…` the
        // run starts in the middle of the word.
        if self.before(start).is_some_and(is_word) {
            let skipped = self.bytes.get(start..at)?.iter().position(|b| !b.is_ascii_hexdigit())?;
            start += skipped;
        }
        while start < at && !self.bytes.get(start).is_some_and(u8::is_ascii_hexdigit) {
            start += 1;
        }
        while end > at && !self.bytes.get(end - 1).is_some_and(u8::is_ascii_hexdigit) {
            end -= 1;
        }
        let run = self.text.get(start..end)?;
        if !is_mac(run) || self.before(start).is_some_and(is_word) || self.at(end).is_some_and(is_word) {
            return None;
        }
        self.report(Finder::Mac, start, end, 0.0, Evidence::default()).then_some(end)
    }

    /// The hex digits and separators around an offset, no more on each side than
    /// a little more than an address has.
    fn run_around(&self, at: usize) -> (usize, usize) {
        let (mut start, mut end) = (at, at);
        for _ in 0..=MAX_MAC / 8 {
            let more = eight::hex_and_separators(self.bytes, end);
            end += more;
            if more < 8 {
                break;
            }
        }
        for _ in 0..=MAX_MAC / 8 {
            let more = eight::hex_and_separators_before(self.bytes, start);
            start -= more;
            if more < 8 {
                break;
            }
        }
        (start, end)
    }

    /// Whether the run around an offset is too short, as is seen from a few bytes
    /// on each side: most dates, times and numbers with hyphens are.
    #[inline]
    fn is_short(&self, at: usize) -> bool {
        let ahead = eight::hex_and_separators(self.bytes, at);
        let back = eight::hex_and_separators_before(self.bytes, at);
        ahead < 8 && back < 8 && ahead + back < MIN_MAC
    }

    /// Whether a separator stands at an end of the hex digits around an offset, a
    /// few on each side. Most numbers have none, and need no other look.
    #[inline]
    fn is_beside_separator(&self, at: usize) -> bool {
        let is_separator = |at: usize| matches!(self.bytes.get(at), Some(b':' | b'-' | b'.'));
        let (ahead, back) = (eight::hex_digits(self.bytes, at), eight::hex_digits_before(self.bytes, at));
        is_separator(at + ahead) || is_separator(at.wrapping_sub(back + 1))
    }
}

fn is_word(c: char) -> bool {
    letters::joins(c) || c == '_'
}

/// Whether a text has the form of an address, and is not one that no device has.
pub(crate) fn is_mac(run: &str) -> bool {
    let (separator, size) = match run.as_bytes() {
        [_, _, s @ (b':' | b'-'), ..] => (*s, 2),
        [_, _, _, _, s @ b'.', ..] => (*s, 4),
        _ => return false,
    };
    let mut groups = 0;
    for group in run.split(char::from(separator)) {
        if group.len() != size || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return false;
        }
        groups += 1;
    }
    let digits = || run.bytes().filter(u8::is_ascii_hexdigit).map(|b| b.to_ascii_lowercase());
    let first = digits().next();
    let varied = digits().any(|b| Some(b) != first);
    let one_case = !(run.bytes().any(|b| b.is_ascii_lowercase()) && run.bytes().any(|b| b.is_ascii_uppercase()));
    // Four fours of digits are a payment card.
    let lettered = size == 2 || run.bytes().any(|b| b.is_ascii_alphabetic());
    varied && one_case && lettered && matches!(groups * size, 12 | 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for good in [
            "00:00:5e:00:53:af",
            "00-00-5E-00-53-AF",
            "0000.5e00.53af",
            "02:00:5e:10:00:00:00:2a",
            "0200.5e10.0000.002a",
        ] {
            assert!(is_mac(good), "{good}");
        }
        for bad in [
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "00:00:5e:00:53",
            "00:00:5e:00:53:a",
            "00:00-5e:00:53:af",
            "00:00:5e:00:53:af:01",
            "0000.5e00",
            "0000.5e00.53af.00",
            "aB:00:5e:00:53:af",
            "",
            "12:30",
            "2001:db8::1",
        ] {
            assert!(!is_mac(bad), "{bad}");
        }
    }
}
