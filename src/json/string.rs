//! The inside of JSON strings: as it stands in the text, undone, and written.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::plain::plain_end;

/// A string as it stands in the text. `Debug` shows only where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Str<'a> {
    /// What stands between the quotes.
    pub raw: &'a str,
    /// The byte offset of `raw` in the text.
    pub start: usize,
    /// Whether `raw` holds an escape; if not, it is the string itself.
    pub escaped: bool,
}

impl<'a> Str<'a> {
    /// The string without its escapes.
    pub fn decode(&self) -> Cow<'a, str> {
        if self.escaped {
            let mut text = String::with_capacity(self.raw.len());
            decode(self.raw, &mut text, |_, _| {});
            Cow::Owned(text)
        } else {
            Cow::Borrowed(self.raw)
        }
    }

    /// Whether this is the string `text`, however it is escaped.
    pub fn is(&self, text: &str) -> bool {
        if self.escaped { self.decode() == text } else { self.raw == text }
    }
}

impl std::fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Str({}+{})", self.start, self.raw.len())
    }
}

/// Leads from places in a decoded string back to the raw one. It has an entry
/// for each escape, and none where nothing was escaped.
#[derive(Debug, Clone, Default)]
pub struct OffsetMap {
    /// The places after each escape: decoded, raw.
    after: Vec<(usize, usize)>,
}

/// The bytes of memory that an [`OffsetMap`] takes for each escape.
pub const ESCAPE_MEMORY: usize = size_of::<(usize, usize)>();

impl OffsetMap {
    /// A map that leads every place to itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// The raw offset of the character that starts at `decoded`, or of the end
    /// of the character that ends there.
    pub fn raw(&self, decoded: usize) -> usize {
        let later = self.after.partition_point(|&(place, _)| place <= decoded);
        match later.checked_sub(1).and_then(|last| self.after.get(last)) {
            Some((decoded_from, raw_from)) => raw_from + (decoded - decoded_from),
            None => decoded,
        }
    }

    /// The raw range of a decoded range of whole characters.
    pub fn raw_range(&self, decoded: Range<usize>) -> Range<usize> {
        self.raw(decoded.start)..self.raw(decoded.end)
    }
}

/// Undoes the escapes of `raw`, the inside of a string that [`super::walk`]
/// has accepted. What `out` and `map` held before is cleared. A lone surrogate
/// becomes U+FFFD.
pub fn unescape(raw: &str, out: &mut String, map: &mut OffsetMap) {
    out.clear();
    map.after.clear();
    decode(raw, out, |decoded, raw| map.after.push((decoded, raw)));
}

/// Writes `text` as the inside of a JSON string, with the escapes that
/// RFC 8259 demands and no others.
pub fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    loop {
        let (plain, from) = rest.split_at(plain_end(rest, 0));
        out.extend_from_slice(plain);
        let Some((&special, after)) = from.split_first() else {
            return;
        };
        match special {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', special]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            control => {
                let digit = |value: u8| char::from_digit(value.into(), 16).map_or(b'0', |c| c as u8);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(control >> 4), digit(control & 15)]);
            }
        }
        rest = after;
    }
}

/// Adds the decoded string to `out`, and gives the place behind each escape:
/// there, and in the raw string.
fn decode(raw: &str, out: &mut String, mut escape_end: impl FnMut(usize, usize)) {
    let mut at = 0;
    while let Some(plain) = raw.get(at..).and_then(|rest| memchr(b'\\', rest.as_bytes())) {
        let escape = at + plain;
        out.push_str(raw.get(at..escape).unwrap_or_default());
        let (c, end) = escaped_char(raw.as_bytes(), escape);
        out.push(c);
        escape_end(out.len(), end);
        at = end;
    }
    out.push_str(raw.get(at..).unwrap_or_default());
}

/// The character for which the escape at `at` stands, and where it ends.
fn escaped_char(raw: &[u8], at: usize) -> (char, usize) {
    let c = match raw.get(at + 1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{C}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return code_point(raw, at),
        Some(b) if b.is_ascii() => char::from(*b),
        _ => return ('\\', at + 1),
    };
    (c, at + 2)
}

/// One `\u` escape, or two that are a surrogate pair.
fn code_point(raw: &[u8], at: usize) -> (char, usize) {
    let Some(first) = code_unit(raw, at) else {
        return (char::REPLACEMENT_CHARACTER, (at + 2).min(raw.len()));
    };
    let end = at + 6;
    if let (0xD800..=0xDBFF, Some(second @ 0xDC00..=0xDFFF)) = (first, code_unit(raw, end)) {
        let c = char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00));
        return (c.unwrap_or(char::REPLACEMENT_CHARACTER), end + 6);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), end)
}

fn code_unit(raw: &[u8], at: usize) -> Option<u32> {
    let digits = raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |value, &b| Some(value << 4 | char::from(b).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::super::properties::{escape_and_back, unescape_maps_back};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_undone_and_offsets_lead_back() {
        let (mut out, mut map) = ("old".to_owned(), OffsetMap::new());
        unescape(r"a\u00e9b\n\ud83d\ude00z", &mut out, &mut map);
        assert_eq!(out, "aéb\n😀z");
        assert_eq!(map.raw_range(0..1), 0..1);
        assert_eq!(map.raw_range(1..3), 1..7);
        assert_eq!(map.raw_range(3..4), 7..8);
        assert_eq!(map.raw_range(4..5), 8..10);
        assert_eq!(map.raw_range(5..9), 10..22);
        assert_eq!(map.raw_range(9..10), 22..23);
        assert_eq!(map.raw_range(0..10), 0..23);
        unescape("plain", &mut out, &mut map);
        assert_eq!((out.as_str(), map.raw(3), map.after.len()), ("plain", 3, 0));
    }

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        let (mut out, mut map) = (String::new(), OffsetMap::new());
        for (raw, decoded) in [
            (r"\ud800", "\u{FFFD}"),
            (r"\udc00\ud800", "\u{FFFD}\u{FFFD}"),
            (r"\ud800\ud83d\ude00", "\u{FFFD}😀"),
            (r"\ud800\u0041", "\u{FFFD}A"),
            (r"\ud800x", "\u{FFFD}x"),
        ] {
            unescape(raw, &mut out, &mut map);
            assert_eq!(out, decoded);
            unescape_maps_back(raw);
        }
    }

    #[test]
    fn only_what_must_be_is_escaped() {
        let mut out = Vec::new();
        escape("a\"b\\c\n\r\t\u{8}\u{C}\u{1}\u{1F}\u{7F}</é\u{2028}", &mut out);
        assert_eq!(out, "a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\u{7F}</é\u{2028}".as_bytes());
    }

    #[test]
    fn text_that_was_never_checked_does_no_harm() {
        for raw in ["\\", "\\u", "\\u12", "\\x", "\\é", "a\\u00zz\\ud800\\u"] {
            let (mut out, mut map) = (String::new(), OffsetMap::new());
            unescape(raw, &mut out, &mut map);
            assert!(map.raw(out.len()) <= raw.len());
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let text = Str { raw: "jana@example.com", start: 3, escaped: false };
        assert_eq!(format!("{text:?}"), "Str(3+16)");
    }

    proptest! {
        #[test]
        fn a_text_comes_back(text in any::<String>()) {
            escape_and_back(&text);
        }

        #[test]
        fn a_raw_text_maps_back(raw in r#"([a-zé😀]|\\[\\"/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83d\\ude00){0,20}"#) {
            unescape_maps_back(&raw);
        }
    }
}
