//! Where a token may start, as far as two bytes can tell. Long text is passed
//! over at the speed of one table look-up a byte.

/// The byte may start a token wherever it stands: an open bracket, or the
/// first byte of an escape or of a full-width form.
const ANYWHERE: u8 = 0b01;
/// The byte may start a token at the start of a word.
const AT_WORD: u8 = 0b10;
/// Above these bits stand those that a byte allows to the next one: a word may
/// start after all but an ASCII letter or digit. (After any other byte the
/// place is looked at closely.)
const AFTER: u32 = 2;

/// The underscore in the set of letters.
const UNDERSCORE: u32 = 26;

/// For a set of names, where a token of one of them may start.
#[derive(Clone)]
pub(super) struct Starts {
    /// What a byte may start, and what the next byte may start.
    classes: [u8; 256],
    /// For each first letter of a name the set of the second ones.
    seconds: [u32; 26],
}

impl Starts {
    /// For no names: no token may start anywhere.
    pub(super) fn new() -> Self {
        let mut classes = [(ANYWHERE | AT_WORD) << AFTER; 256];
        for byte in (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z') {
            classes[usize::from(byte)] = ANYWHERE << AFTER;
        }
        Self { classes, seconds: [0; 26] }
    }

    /// Adds a name in capitals.
    pub(super) fn insert(&mut self, name: &[u8]) {
        let &[first, second, ..] = name else { return };
        // `]` starts no token, but the restorer counts brackets. 0xEF is the
        // first byte of the full-width forms.
        for byte in [b'[', b']', b'\\', b'&', b'%', 0xEF] {
            self.classes[usize::from(byte)] |= ANYWHERE;
        }
        for byte in [first, first.to_ascii_lowercase()] {
            self.classes[usize::from(byte)] |= AT_WORD;
        }
        if first == b'I' {
            // U+0130 and U+0131, the Turkish I with and the i without a dot.
            self.classes[0xC4] |= AT_WORD;
        }
        if let Some(seconds) = letter(first).and_then(|n| self.seconds.get_mut(n as usize)) {
            *seconds |= 1 << letter(second).unwrap_or(UNDERSCORE);
        }
    }

    /// Whether a name starts with this letter, in any case.
    pub(super) fn has_initial(&self, c: char) -> bool {
        u8::try_from(c).is_ok_and(|b| b.is_ascii() && self.classes[usize::from(b)] & AT_WORD != 0)
    }

    /// The next place from `at` on at which a token may start or a bracket
    /// stands. Before `careful` a word may start anywhere. `before` is the byte
    /// before the text.
    pub(super) fn next(&self, text: &[u8], mut at: usize, careful: usize, before: u8) -> Option<usize> {
        while at < careful {
            let &byte = text.get(at)?;
            if self.classes[usize::from(byte)] & (ANYWHERE | AT_WORD) != 0 && self.goes_on(byte, text.get(at + 1)) {
                return Some(at);
            }
            at += 1;
        }
        loop {
            let before = at.checked_sub(1).map_or(Some(before), |last| text.get(last).copied())?;
            let mut allowed = self.classes[usize::from(before)] >> AFTER;
            at += text.get(at..)?.iter().position(|&byte| {
                let class = self.classes[usize::from(byte)];
                let starts = class & allowed != 0;
                allowed = class >> AFTER;
                starts
            })?;
            if self.goes_on(*text.get(at)?, text.get(at + 1)) {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Whether `next` may come after the first letter of a name. True for what
    /// is no letter.
    fn goes_on(&self, first: u8, next: Option<&u8>) -> bool {
        let Some(seconds) = letter(first).and_then(|n| self.seconds.get(n as usize)) else {
            return true;
        };
        match next {
            Some(b' ' | b'-' | b'_') => seconds >> UNDERSCORE & 1 != 0,
            Some(&b) if b.is_ascii() && !is_escape(b) => letter(b).is_some_and(|n| seconds >> n & 1 != 0),
            _ => true,
        }
    }

    /// Whether `next` may come after an open bracket.
    pub(super) fn goes_on_after_bracket(&self, next: Option<&u8>) -> bool {
        match next {
            Some(&b) if b.is_ascii() => b == b' ' || is_escape(b) || self.has_initial(char::from(b)),
            _ => true,
        }
    }
}

/// The place of an ASCII letter in the alphabet, from 0.
fn letter(byte: u8) -> Option<u32> {
    byte.is_ascii_alphabetic().then(|| u32::from(byte.to_ascii_uppercase() - b'A'))
}

fn is_escape(byte: u8) -> bool {
    matches!(byte, b'\\' | b'&' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_found_and_words_are_passed_over() {
        let mut starts = Starts::new();
        assert_eq!(starts.next(b"[EMAIL \\u005b", 0, 0, 0), None);
        starts.insert(b"EMAIL");
        starts.insert(b"A_B");
        let all = |text: &str, careful, before| {
            let mut found = Vec::new();
            let mut at = 0;
            while let Some(start) = starts.next(text.as_bytes(), at, careful, before) {
                found.push(start);
                at = start + 1;
            }
            found
        };
        assert_eq!(all("em eq me e", 0, b' '), [0, 9]);
        assert_eq!(all("em", 0, b'x'), [0; 0]);
        assert_eq!(all("em", 1, b'x'), [0]);
        assert_eq!(all("xem.em", 1, 0), [4]);
        assert_eq!(all("a a-b ab a\u{AD}", 0, 0), [0, 2, 9]);
        assert_eq!(all("x[x]&\\%中Ｅ", 0, 0), [1, 3, 4, 5, 6, 10]);
    }

    #[test]
    fn a_bracket_must_go_on() {
        let mut starts = Starts::new();
        starts.insert(b"EMAIL");
        for next in "Ee \\&%é".bytes() {
            assert!(starts.goes_on_after_bracket(Some(&next)));
        }
        for next in "xX1\"[{]_\n".bytes() {
            assert!(!starts.goes_on_after_bracket(Some(&next)));
        }
        assert!(starts.goes_on_after_bracket(None));
    }
}
