//! One plain spelling of a text, with the way back to its bytes.
//!
//! A value can be written so that it reads the same and is another string of
//! bytes: digits of another script or of full width, a character of no width in
//! the middle, a letter and its accent as two characters, a no-break space, a
//! Cyrillic letter that looks like a Latin one, `&#64;`, `%40` or `\u0040`. The finders
//! and the patterns see none of that: such a text is scanned in a plain
//! spelling, and each finding is led back to the bytes it came from. What is
//! one character in the plain text is covered as a whole in the original,
//! however long it is there.
//!
//! Nearly no text needs this, and [`is_needed`] says so at the price of reading
//! it once.

mod encoding;
mod spelling;

use crate::detect::words::{self, Block};
pub use encoding::markup_text;
use encoding::{entity, holds_json, json_escape, percent, shows_json};
use spelling::{Plain, composed, lookalike, plain};

/// Whether the plain spelling of a text differs from the text.
#[inline]
pub(crate) fn is_needed(text: &str) -> bool {
    let bytes = text.as_bytes();
    // No branch inside: the compiler makes vector code of it.
    let marked = |block: &[u8; Block::LEN]| block.iter().fold(false, |any, &b| any | may_differ(b));
    let (blocks, rest) = bytes.as_chunks();
    // The last bytes are looked at with those in front of them: so many, or so few,
    // as there may be make a loop whose end is not foreseen.
    let last = || {
        if let Some(block) = bytes.last_chunk() {
            return marked(block);
        }
        let mut block = [0; Block::LEN];
        block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        marked(&block)
    };
    blocks.iter().enumerate().any(|(i, block)| marked(block) && differs(text, i * Block::LEN))
        || (last() && differs(text, bytes.len() - rest.len()))
}

/// A byte where something may start that has another plain spelling. Inside a
/// character, and where the letters of most languages start, nothing does.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a branch would keep it from being vector code")]
fn may_differ(byte: u8) -> bool {
    let high = (byte == 0xC2) | (byte >= 0xCC) & (byte.wrapping_sub(0xE4) > 5) & (byte.wrapping_sub(0xEB) > 3);
    high | (byte == b'&') | (byte == b'%') | (byte == b'\\')
}

/// A byte where something may start that is spelled otherwise, or goes with what
/// stands before it.
#[inline]
fn is_marked(byte: u8) -> bool {
    byte >= 0x80 || byte == b'&' || byte == b'%' || byte == b'\\'
}

/// Whether a character that starts in this block of the text has another spelling.
#[cold]
fn differs(text: &str, base: usize) -> bool {
    let mut marked = words::mask(text.as_bytes(), base, may_differ);
    while marked != 0 {
        if is_spelled_otherwise(text, base + marked.trailing_zeros() as usize) {
            return true;
        }
        marked &= marked - 1;
    }
    false
}

/// Whether the character at a marked byte has another spelling.
fn is_spelled_otherwise(text: &str, i: usize) -> bool {
    let bytes = text.as_bytes();
    match bytes.get(i) {
        Some(b'&') => entity(text, i).is_some(),
        Some(b'%') => percent(text, i).is_some(),
        Some(b'\\') => shows_json(text, i),
        // Inside a character, or the letters of most languages.
        Some(..=0xC1 | 0xC3..=0xCB | 0xD5..=0xD8 | 0xDA | 0xDC..=0xDE | 0xE4..=0xE9 | 0xEB..=0xEE) => false,
        // Greek and Cyrillic are in question beside Latin only.
        Some(0xCE..=0xD4) => {
            let beside = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphabetic);
            beside(i.checked_sub(1)) || beside(Some(i + 2))
        }
        _ => text.get(i..).and_then(|rest| rest.chars().next()).is_some_and(|c| {
            // Whether an accent has a letter in front is seen later.
            plain(c) != Plain::Same || matches!(c, '\u{300}'..='\u{36f}')
        }),
    }
}

/// A text in its plain spelling. It is kept to be filled again.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    text: String,
    /// What differs, in order.
    edits: Vec<Edit>,
}

/// A piece of the plain text that is spelled otherwise in the original.
#[derive(Clone, Copy, Debug)]
struct Edit {
    /// Where it is in the plain text, and its length there: one character or none.
    at: usize,
    len: usize,
    /// Where it is in the original, and its length there.
    from: usize,
    width: usize,
}

impl Reading {
    /// Takes in the plain spelling of `original`.
    pub(crate) fn read(&mut self, original: &str) {
        self.text.clear();
        self.edits.clear();
        let bytes = original.as_bytes();
        let mut script = Script::default();
        // Whether there is JSON in the text is asked at the first backslash.
        let mut json = None;
        // All before this offset is in the plain text.
        let mut taken = 0;
        let mut i = 0;
        while let Some(skip) = bytes.get(i..).and_then(|rest| rest.iter().position(|b| is_marked(*b))) {
            i += skip;
            let Some(c) = original.get(i..).and_then(|rest| rest.chars().next()) else { break };
            let (mut from, mut width) = (i, c.len_utf8());
            let mut new = match c {
                '&' | '%' | '\\' => match match c {
                    '&' => entity(original, i),
                    '%' => percent(original, i),
                    _ if *json.get_or_insert_with(|| holds_json(original)) => json_escape(original, i),
                    _ => None,
                } {
                    Some((meant, len)) => {
                        width = len;
                        match plain(meant) {
                            Plain::Same => Plain::As(meant),
                            other => other,
                        }
                    }
                    None => Plain::Same,
                },
                '\u{370}'..='\u{52f}' => match lookalike(c).filter(|_| script.is_latin(original, i)) {
                    Some(latin) => Plain::As(latin),
                    None => Plain::Same,
                },
                c => plain(c),
            };
            let next = i + width;
            if let Some(letter) = i.checked_sub(1).filter(|at| *at >= taken).and_then(|at| bytes.get(at))
                && let Some(whole) = composed(char::from(*letter), c)
            {
                (from, width, new) = (i - 1, width + 1, Plain::As(whole));
            }
            let meant = match new {
                Plain::Same => None,
                Plain::Gone => Some(None),
                Plain::As(c) => Some(Some(c)),
            };
            if let Some(meant) = meant {
                self.text.push_str(original.get(taken..from).unwrap_or_default());
                self.edits.push(Edit { at: self.text.len(), len: meant.map_or(0, char::len_utf8), from, width });
                self.text.extend(meant);
                taken = next;
            }
            i = next;
        }
        self.text.push_str(original.get(taken..).unwrap_or_default());
    }

    /// The plain text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The span of the original that a span of the plain text came from.
    pub(crate) fn original(&self, start: usize, end: usize) -> (usize, usize) {
        let first = match self.last_edit(start) {
            Some(edit) if start < edit.at + edit.len => edit.from,
            Some(edit) => edit.from + edit.width + start - edit.at - edit.len,
            None => start,
        };
        // What follows the last character and is not in the plain text stays outside.
        let behind = match self.last_edit(end.saturating_sub(1)) {
            Some(edit) if end <= edit.at + edit.len => edit.from + edit.width,
            Some(edit) => edit.from + edit.width + end - edit.at - edit.len,
            None => end,
        };
        (first, behind)
    }

    /// The last piece that starts at an offset or before it.
    fn last_edit(&self, at: usize) -> Option<&Edit> {
        self.edits.partition_point(|edit| edit.at <= at).checked_sub(1).and_then(|i| self.edits.get(i))
    }
}

/// What is known of the present word's letters.
#[derive(Default)]
struct Script {
    /// The word ends here.
    until: usize,
    latin: bool,
}

impl Script {
    /// Whether the letter at `i`, Greek or Cyrillic, stands in a word that is
    /// Latin but for letters that look Latin too. Each word is read once.
    fn is_latin(&mut self, text: &str, i: usize) -> bool {
        if i < self.until {
            return self.latin;
        }
        let (before, behind) = text.split_at_checked(i).unwrap_or_default();
        // In front of its first such letter the word has others only.
        let mut latin = before.ends_with(is_latin_letter);
        let mut all = true;
        self.until = i;
        for c in behind.chars() {
            if is_latin_letter(c) {
                latin = true;
            } else if c.is_alphabetic() {
                all &= lookalike(c).is_some();
            } else {
                break;
            }
            self.until += c.len_utf8();
        }
        self.latin = latin && all;
        self.latin
    }
}

fn is_latin_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || (matches!(c, '\u{c0}'..='\u{24f}') && c.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let mut reading = Reading::default();
        reading.read(text);
        assert!(is_needed(text) || reading.text() == text, "{text:?}");
        reading.text
    }

    #[test]
    fn other_spellings_have_a_plain_one() {
        for (text, plain) in [
            ("ａｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ana@example.com"),
            ("٠١٢٣ ۴۵ ०९ 𝟎𝟗 𝟬", "0123 45 09 09 0"),
            ("a\u{200b}na\u{ad}@exa\u{2060}mple.com\u{feff}", "ana@example.com"),
            ("1\u{a0}2\u{202f}3\u{3000}4", "1 2 3 4"),
            ("+49‑30‐12−3", "+49-30-12-3"),
            ("Jose\u{301} Mu\u{308}ller", "José Müller"),
            ("𝐀𝐧𝐚 𝓐𝓷𝓪", "Ana Ana"),
            ("\u{430}na@ex\u{430}mple.\u{441}\u{43e}m", "ana@example.com"),
            ("ana&#64;example&#x2E;com", "ana@example.com"),
            ("ana&commat;example&period;com", "ana@example.com"),
            ("ana&amp;#64;example.com", "ana@example.com"),
            ("&lt;M&uuml;ller&nbsp;&amp;&nbsp;Sohn&gt;", "<Müller & Sohn>"),
            ("to=ana%40example.com&x=1", "to=ana@example.com&x=1"),
            ("to=M%C3%BCller%20GmbH", "to=Müller GmbH"),
            ("x%2540y", "x@y"),
            (r#"Profile: {"mail":"ana\u0040example.com"}"#, r#"Profile: {"mail":"ana@example.com"}"#),
            (
                r#"{\"a\":\"x\ny\tz\/\",\"b\":\"ana\\u0040example.com\"}"#,
                "{\"a\":\"x\ny\tz/\",\"b\":\"ana@example.com\"}",
            ),
            (r"Jos\u00e9 \ud83d\ude42 \u004D", "José 🙂 M"),
            (r"C:\new \u0041 \ud83d \u00zz \u0000", "C:\new A \\ud83d \\u00zz \\u0000"),
        ] {
            assert_eq!(read(text), plain, "{text:?}");
        }
    }

    #[test]
    fn what_is_plain_stays() {
        for text in [
            "",
            "plain text, 100% of it & more",
            "Größe, naïve, čeština, ısı",
            "привет, как дела",
            "Αθήνα",
            "IT-отдел, SMSка, Xерсон",
            "α-helix, 5 μm, 3 kΩ",
            "50% de 20%, 10%20 %d %02x %s",
            "a&b; AT&T &c. &; &#; &#x; &bogus; &#99999999;",
            "50%30",
            r"C:\new\temp \user \u00g0 \\server\share \u12",
            "“quotes” – dashes — … € 🙂",
            "漢字かな한글",
        ] {
            assert_eq!(read(text), text, "{text:?}");
        }
    }

    #[test]
    fn spans_lead_back_to_whole_characters() {
        let mut reading = Reading::default();
        let original = "x \u{200b}a\u{200b}b&#64;c\u{ad}\u{200b} ＠y";
        reading.read(original);
        assert_eq!(reading.text(), "x ab@c @y");
        let back = |from: usize, to: usize| {
            let (start, end) = reading.original(from, to);
            &original[start..end]
        };
        assert_eq!(back(2, 6), "a\u{200b}b&#64;c");
        assert_eq!(back(4, 5), "&#64;");
        assert_eq!(back(5, 6), "c");
        assert_eq!(back(7, 8), "＠");
        assert_eq!(back(0, 9), original);
    }
}
