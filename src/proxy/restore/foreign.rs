//! Texts in other charsets than UTF-8: read character by character, each with
//! the bytes that stood for it, so that what stays is written as it came.

use super::escape::Escape;
use crate::proxy::charset::Charset;
use encoding_rs::{Decoder, DecoderResult};
use std::collections::VecDeque;

/// Reads a text that comes in pieces.
pub(super) struct Foreign {
    charset: Charset,
    /// None of UTF-16.
    decoder: Option<Decoder>,
    /// The bytes of the character that has not ended.
    open: Vec<u8>,
    /// The bytes of what was read and not written yet, and how many of them
    /// stand for each character.
    bytes: VecDeque<u8>,
    lengths: VecDeque<u8>,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Text(String),
    /// What stands for no character of the charset.
    Other(Vec<u8>),
}

impl Foreign {
    /// Of a text that begins with these bytes: a byte order mark tells UTF-16,
    /// and its order. None where it is UTF-8.
    pub(super) fn of(charset: Charset, start: &[u8]) -> Option<Self> {
        let charset = match (charset, start) {
            (Charset::MarkedUtf16 | Charset::Utf8, [0xfe, 0xff, ..]) => Charset::Utf16 { big_endian: true },
            (Charset::MarkedUtf16, _) | (Charset::Utf8, [0xff, 0xfe, ..]) => Charset::Utf16 { big_endian: false },
            (Charset::Utf8, _) => return None,
            (named, _) => named,
        };
        let decoder = match charset {
            Charset::Table(encoding) => Some(encoding.new_decoder_without_bom_handling()),
            _ => None,
        };
        Some(Self { charset, decoder, open: Vec::new(), bytes: VecDeque::new(), lengths: VecDeque::new() })
    }

    /// What this piece of the text completes.
    pub(super) fn read(&mut self, chunk: &[u8]) -> Vec<Read> {
        let mut all = Vec::new();
        for &byte in chunk {
            self.open.push(byte);
            // A byte that ends another character, and is none of it, is read again.
            if !self.take(byte, &mut all) {
                self.take(byte, &mut all);
            }
        }
        all
    }

    /// Gives this byte, the last that came, to the decoder. Says whether it is done with.
    fn take(&mut self, byte: u8, all: &mut Vec<Read>) -> bool {
        let Some(decoder) = &mut self.decoder else {
            self.take_unit(all);
            return true;
        };
        let mut text = [0; 16];
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(&[byte], &mut text, false);
        self.decoded(text.get(..written).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default(), all);
        if let DecoderResult::Malformed(_, behind) = result {
            self.malformed(usize::from(behind) + 1 - read, all);
        }
        read == 1
    }

    /// The same of UTF-16 (RFC 2781, section 2.2).
    fn take_unit(&mut self, all: &mut Vec<Read>) {
        let big_endian = self.charset == Charset::Utf16 { big_endian: true };
        let (pairs, rest) = self.open.as_chunks::<2>();
        if !rest.is_empty() {
            return;
        }
        let units =
            pairs.iter().map(|pair| if big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
        let units: Vec<u16> = units.collect();
        match (char::decode_utf16(units.iter().copied()).next(), units.as_slice()) {
            (Some(Ok(c)), _) => self.decoded(c.encode_utf8(&mut [0; 4]), all),
            // The first half of a character.
            (_, [0xd800..0xdc00]) => {}
            // It is not followed by a second one.
            (_, [_, _]) => {
                self.malformed(2, all);
                self.take_unit(all);
            }
            _ => self.malformed(0, all),
        }
    }

    /// All that is open stands for this.
    fn decoded(&mut self, text: &str, all: &mut Vec<Read>) {
        if text.is_empty() {
            return;
        }
        // Where two characters come of it, the first has all of the bytes.
        let length = u8::try_from(self.open.len()).unwrap_or(u8::MAX);
        self.lengths.extend(text.chars().enumerate().map(|(nth, _)| if nth == 0 { length } else { 0 }));
        self.bytes.extend(self.open.drain(..));
        match all.last_mut() {
            Some(Read::Text(before)) => before.push_str(text),
            _ => all.push(Read::Text(text.to_owned())),
        }
    }

    /// All that is open, but for so many bytes at its end, stands for nothing.
    fn malformed(&mut self, kept: usize, all: &mut Vec<Read>) {
        let bad: Vec<u8> = self.open.drain(..self.open.len().saturating_sub(kept)).collect();
        match all.last_mut() {
            Some(Read::Other(before)) => before.extend(bad),
            _ => all.push(Read::Other(bad)),
        }
    }

    /// What is left of a character that never ended.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.open)
    }

    /// The bytes that stood for the next characters of what was read.
    pub(super) fn source(&mut self, text: &str) -> impl Iterator<Item = u8> {
        let count = self.lengths.drain(..text.chars().count().min(self.lengths.len())).map(usize::from).sum::<usize>();
        self.bytes.drain(..count.min(self.bytes.len()))
    }

    /// The bytes of a value, escaped as its place demands; none where the
    /// charset lacks one of its characters and the place knows no other way.
    pub(super) fn encode(&self, escaped: &str, escape: Escape) -> Option<Vec<u8>> {
        encode(self.charset, escaped, escape)
    }
}

/// A text in this charset. What the charset lacks is written as the place demands.
pub(super) fn encode(charset: Charset, text: &str, escape: Escape) -> Option<Vec<u8>> {
    if let Some(bytes) = charset.encode(text) {
        return Some(bytes);
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        let written = charset.encode(c.encode_utf8(&mut [0; 4]));
        bytes.extend(match written {
            Some(written) => written,
            None => charset.encode(&escape.reference(c)?)?,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn foreign(name: &str, bytes: &[u8]) -> Foreign {
        Foreign::of(Charset::named(name).unwrap(), bytes).unwrap()
    }

    /// All that is read, with a `?` for each byte that is no text.
    fn all(name: &str, bytes: &[u8], size: usize) -> (String, Vec<u8>) {
        let mut foreign = foreign(name, bytes);
        let (mut text, mut source) = (String::new(), Vec::new());
        for chunk in bytes.chunks(size) {
            for read in foreign.read(chunk) {
                match read {
                    Read::Text(read) => {
                        source.extend(foreign.source(&read));
                        text.push_str(&read);
                    }
                    Read::Other(bytes) => {
                        text.push_str(&"?".repeat(bytes.len()));
                        source.extend(bytes);
                    }
                }
            }
        }
        source.extend(foreign.finish());
        (text, source)
    }

    #[test]
    fn characters_are_read_by_their_charset() {
        for (name, bytes, text) in [
            ("latin1", &b"Jos\xe9"[..], "José"),
            ("windows-1251", b"\xc0\xed\xed\xe0", "Анна"),
            ("shift_jis", b"\x8eR\x93c a", "山田 a"),
            // A first half, and what follows it, which is none of it.
            ("shift_jis", b"\x8e [", "? ["),
            ("big5", b"\x88\x62x", "\u{ca}\u{304}x"),
            ("utf-16", b"\xfe\xff\0a\xd8\x3d\xde\0", "\u{feff}a\u{1f600}"),
            ("utf-16", b"a\0b\0", "ab"),
            ("utf-16be", b"\0a\xd8\0\0b", "a??b"),
        ] {
            for size in [1, 2, 3, 100] {
                assert_eq!(all(name, bytes, size), (text.to_owned(), bytes.to_vec()), "{name} {bytes:?} by {size}");
            }
        }
    }

    #[test]
    fn what_the_charset_lacks_is_written_as_the_place_demands() {
        let latin = foreign("latin1", b"");
        assert_eq!(latin.encode("é", Escape::None).unwrap(), b"\xe9");
        assert_eq!(latin.encode("山", Escape::None), None);
        assert_eq!(latin.encode("é山", Escape::Html).unwrap(), b"\xe9&#23665;");
        assert_eq!(latin.encode("\u{1f600}", Escape::JsonText).unwrap(), b"\\ud83d\\ude00");
        assert_eq!(latin.encode("山", Escape::Cdata).unwrap(), b"]]>&#23665;<![CDATA[");
    }

    proptest! {
        #[test]
        fn any_bytes_are_written_as_they_came(
            name in prop::sample::select(vec!["latin1", "windows-1253", "shift_jis", "gbk", "gb18030", "big5", "euc-kr", "euc-jp", "utf-16", "utf-16be", "koi8-u"]),
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            size in 1..9_usize,
        ) {
            let (text, source) = all(name, &bytes, size);
            prop_assert_eq!(&source, &bytes);
            prop_assert_eq!(text, all(name, &bytes, 100).0);
        }
    }
}
