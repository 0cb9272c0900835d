//! Reads a text of any length in pieces that are whole paragraphs, so that a
//! file larger than memory can be scanned.

use std::io::{self, Read};

/// A piece has so many bytes, and more only where a line is longer.
const PIECE: usize = 8 << 20;
/// A line is cut after so many.
const LONGEST_LINE: usize = 4 * PIECE;

/// The pieces of one text.
pub(super) struct Pieces<R> {
    input: R,
    bytes: Vec<u8>,
    /// How many of the bytes have been given out.
    used: usize,
    /// How many bytes were before those that are here.
    passed: usize,
    ended: bool,
    piece: usize,
}

/// Why there is no further piece.
#[derive(Debug)]
pub(super) enum BadText {
    Read(io::Error),
    /// From this byte of the text on it is not UTF-8.
    NotUtf8(usize),
}

impl<R: Read> Pieces<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, bytes: Vec::new(), used: 0, passed: 0, ended: false, piece: PIECE }
    }

    /// The next piece; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, BadText> {
        self.bytes.drain(..self.used);
        self.passed += self.used;
        self.used = 0;
        let mut wanted = self.piece;
        let end = loop {
            let room = wanted.saturating_sub(self.bytes.len());
            if room > 0 && !self.ended {
                let read = self.input.by_ref().take(room as u64).read_to_end(&mut self.bytes).map_err(BadText::Read)?;
                self.ended = read < room;
            }
            if self.ended {
                break self.bytes.len();
            }
            match cut(&self.bytes) {
                Some(end) => break end,
                None if self.bytes.len() >= self.piece * (LONGEST_LINE / PIECE) => break character_border(&self.bytes),
                None => wanted += self.piece,
            }
        };
        self.used = end;
        if end == 0 {
            return Ok(None);
        }
        let piece = self.bytes.get(..end).unwrap_or_default();
        std::str::from_utf8(piece).map(Some).map_err(|e| BadText::NotUtf8(self.passed + e.valid_up_to()))
    }
}

/// Behind the last empty line, else behind the last line.
fn cut(bytes: &[u8]) -> Option<usize> {
    let paragraph = memchr::memmem::rfind(bytes, b"\n\n").map(|at| at + 2);
    paragraph.or_else(|| memchr::memrchr(b'\n', bytes).map(|at| at + 1))
}

/// The last place where a character starts.
fn character_border(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|b| b & 0xC0 != 0x80).unwrap_or(0);
    if last == 0 { bytes.len() } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &[u8], piece: usize) -> Result<Vec<String>, BadText> {
        let mut pieces = Pieces { piece, ..Pieces::new(text) };
        let mut all = Vec::new();
        while let Some(piece) = pieces.next()? {
            all.push(piece.to_owned());
        }
        Ok(all)
    }

    #[test]
    fn pieces_are_paragraphs_then_lines_and_lose_nothing() {
        assert_eq!(pieces(b"one\n\ntwo\nthree", 9).unwrap(), ["one\n\n", "two\n", "three"]);
        assert_eq!(pieces(b"one two three\nfour", 4).unwrap(), ["one two three\n", "four"]);
        assert_eq!(pieces(b"", 4).unwrap(), Vec::<String>::new());
        let long = "\u{e9}".repeat(40);
        assert_eq!(pieces(long.as_bytes(), 5).unwrap().concat(), long);
    }

    #[test]
    fn what_is_not_utf8_is_named_by_its_byte() {
        assert!(matches!(pieces(b"good\n\nba\xffd", 8), Err(BadText::NotUtf8(8))));
    }
}
