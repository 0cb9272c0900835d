//! Finds tokens in one channel of text that arrives in pieces.
//!
//! The result does not depend on the pieces: a place is decided by the bytes
//! before it (the last eight, and the count of open brackets) and by at most
//! [`MAX_HELD`] bytes from it on. What cannot be decided yet is held back, and
//! nothing else is.

use std::fmt;
use std::mem;
use std::sync::Arc;

use super::grammar::{Candidate, End, Outcome, is_word};
use super::unit::MAX_BACKSLASHES;
use super::{Kinds, Token};

/// A restorer never holds this many bytes. A token that would be longer, by
/// runs of escapes or of invisible characters, passes as text. The longest
/// token with each character as a `\u` escape has 216 bytes.
pub const MAX_HELD: usize = 256;

/// The longest escape before a word that is looked at, `\u000a`.
const LONGEST_ESCAPE: usize = 6;
/// A buffer that has grown beyond this is given back.
const KEPT_CAPACITY: usize = 4 * MAX_HELD;

/// A piece of the text. All pieces together, with `raw` for a token, are the
/// text that was pushed. `Debug` shows no text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text in which there is no token; never empty.
    Text(&'a str),
    /// A token whose check character holds. Whether it is known is for the
    /// caller to say; where it is not, `raw` is the text.
    Token {
        /// The token that was read.
        token: Token,
        /// How it stood in the text, with its own brackets and their escapes.
        raw: &'a str,
    },
}

impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Token { token, raw } => write!(f, "Token({token}, {} bytes)", raw.len()),
        }
    }
}

/// Finds the tokens in one channel of text.
#[derive(Clone)]
pub struct Restorer {
    kinds: Arc<Kinds>,
    held: String,
    before: Before,
    /// Open brackets that wait for their close bracket.
    open_brackets: u32,
}

impl Restorer {
    /// A restorer for tokens of these kinds. It allocates only where text must
    /// be held.
    pub fn new(kinds: Arc<Kinds>) -> Self {
        Self { kinds, held: String::new(), before: Before::default(), open_brackets: 0 }
    }

    /// Takes the next text of the channel and gives out what is decided.
    pub fn push(&mut self, text: &str, out: &mut impl FnMut(Piece<'_>)) {
        if self.kinds.is_empty() {
            text_piece(text, out);
        } else if self.held.is_empty() {
            let decided = self.scan(text, End::Open, out);
            self.held.push_str(text.get(decided..).unwrap_or_default());
        } else {
            let mut joined = mem::take(&mut self.held);
            joined.push_str(text);
            let decided = self.scan(&joined, End::Open, out);
            if joined.capacity() > KEPT_CAPACITY {
                self.held = joined.get(decided..).unwrap_or_default().to_owned();
            } else {
                joined.drain(..decided);
                self.held = joined;
            }
        }
    }

    /// Says that nothing follows and gives out what was held. The restorer is
    /// then as new.
    pub fn finish(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() {
            let mut held = mem::take(&mut self.held);
            self.scan(&held, End::Final, out);
            held.clear();
            self.held = held;
        }
        self.before = Before::default();
        self.open_brackets = 0;
    }

    /// What is held back: a proper prefix of a possible token, or a token of
    /// which the end is not certain. Shorter than [`MAX_HELD`].
    pub fn held(&self) -> &str {
        &self.held
    }

    /// Gives out the pieces of `text` as far as they are decided, and says how
    /// far that is.
    fn scan(&mut self, text: &str, end: End, out: &mut impl FnMut(Piece<'_>)) -> usize {
        let mut sent = 0;
        let mut at = 0;
        // Up to here a word may start after a letter that ends an escape.
        let mut careful = self.before.reach();
        while let Some(start) = self.kinds.starts().next(text.as_bytes(), at, careful, self.before.last()) {
            match self.read(text, start, end) {
                Outcome::Token(token, len) => {
                    text_piece(text.get(sent..start).unwrap_or_default(), out);
                    at = start + len;
                    sent = at;
                    out(Piece::Token { token, raw: text.get(start..at).unwrap_or_default() });
                    careful = at + 1;
                }
                Outcome::Prefix => {
                    text_piece(text.get(sent..start).unwrap_or_default(), out);
                    self.before.take(text, start);
                    return start;
                }
                Outcome::Nothing => {
                    let mut passed = 1;
                    match text.as_bytes().get(start) {
                        Some(b'[') => self.open_brackets = self.open_brackets.saturating_add(1),
                        Some(b']') => self.open_brackets = self.open_brackets.saturating_sub(1),
                        // A run is read as one; of a long one only its end can escape something.
                        Some(b'\\') => {
                            let run = backslashes(text, start);
                            passed = run.checked_sub(MAX_BACKSLASHES).filter(|more| *more > 0).unwrap_or(run);
                        }
                        _ => {}
                    }
                    at = start + passed;
                    if matches!(text.as_bytes().get(start), Some(b'\\' | b'%')) {
                        careful = at + LONGEST_ESCAPE;
                    }
                }
            }
        }
        text_piece(text.get(sent..).unwrap_or_default(), out);
        self.before.take(text, text.len());
        text.len()
    }

    fn read(&self, text: &str, start: usize, end: End) -> Outcome {
        let Some(rest) = text.get(start..) else {
            return Outcome::Nothing;
        };
        let at_word = match rest.as_bytes() {
            [b'[', next @ ..] if self.kinds.starts().goes_on_after_bracket(next.first()) => false,
            [b'[' | b']', ..] | [] => return Outcome::Nothing,
            [first, ..] => match self.starts_word(text, start) {
                false if first.is_ascii_alphabetic() => return Outcome::Nothing,
                at_word => at_word,
            },
        };
        let (text, end) = match rest.get(..rest.floor_char_boundary(MAX_HELD)) {
            Some(cut) if rest.len() >= MAX_HELD => (cut, End::Cut),
            _ => (rest, end),
        };
        Candidate { text, end, at_word, lone_close: self.open_brackets == 0 }.read(&self.kinds)
    }

    /// Whether a word starts at `at`.
    fn starts_word(&self, text: &str, at: usize) -> bool {
        match at.checked_sub(1).and_then(|last| text.as_bytes().get(last)) {
            Some(b) if b.is_ascii() && !b.is_ascii_alphanumeric() => true,
            _ => {
                let mut before = self.before;
                before.take(text, at);
                !before.is_word()
            }
        }
    }
}

/// How many backslashes stand here in a row.
fn backslashes(text: &str, at: usize) -> usize {
    text.bytes().skip(at).take_while(|byte| *byte == b'\\').count()
}

fn text_piece(text: &str, out: &mut impl FnMut(Piece<'_>)) {
    if !text.is_empty() {
        out(Piece::Text(text));
    }
}

/// The last eight bytes that were given out; NUL bytes stand before the start.
#[derive(Clone, Copy, Default)]
struct Before([u8; 8]);

impl Before {
    /// Goes on over the first `len` bytes of `text`.
    fn take(&mut self, text: &str, len: usize) {
        let bytes = text.as_bytes().get(..len).unwrap_or_default();
        if let Some(last) = bytes.last_chunk::<8>() {
            self.0 = *last;
        } else {
            self.0.rotate_left(bytes.len());
            for (to, &from) in self.0.iter_mut().rev().zip(bytes.iter().rev()) {
                *to = from;
            }
        }
    }

    fn last(self) -> u8 {
        self.0[7]
    }

    /// How many of the next bytes may belong to an escape that has started
    /// here, or may follow it.
    fn reach(self) -> usize {
        let open = self.0.iter().skip(8 - LONGEST_ESCAPE).any(|b| matches!(b, b'\\' | b'%'));
        if open { LONGEST_ESCAPE } else { 1 }
    }

    /// Whether the last character, or the one for which the last escape
    /// stands, belongs to a word.
    fn is_word(self) -> bool {
        match self.0 {
            [.., b'\\', b'b' | b'f' | b'n' | b'r' | b't'] => false,
            [_, _, b'\\', b'u', digits @ ..] if digits.iter().all(u8::is_ascii_hexdigit) => {
                char::from_u32(hex(&digits)).is_some_and(is_word)
            }
            [.., b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                u8::try_from(hex(&[a, b])).is_ok_and(|b| b.is_ascii_alphanumeric())
            }
            bytes => {
                // The first bytes may be the rest of a character.
                let last = bytes.iter().rposition(|b| b & 0xC0 != 0x80).and_then(|start| bytes.get(start..));
                let last = last.and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|text| text.chars().next());
                last.is_some_and(is_word)
            }
        }
    }
}

fn hex(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, &b| value << 4 | char::from(b).to_digit(16).unwrap_or_default())
}

#[cfg(test)]
mod tests;
