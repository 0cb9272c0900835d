//! The tolerant grammar of one token, over logical characters:
//!
//! ```text
//! token := open? entity sep code close?
//! ```
//!
//! The entity and the code may stand in any case. `sep`, and each underscore
//! inside the entity, may be an underscore, a hyphen or a space. One space may
//! stand inside each bracket. Without an open bracket the token starts at the
//! start of a word; without a close bracket it ends at the end of one.

use super::kinds::{Kind, Kinds};
use super::unit::{Unit, unit, visible_unit};
use super::{CODE_LEN, Token, check, value};

/// A place of the text at which a token may start.
pub(super) struct Candidate<'t> {
    /// The text from that place on.
    pub(super) text: &'t str,
    pub(super) end: End,
    /// Whether a word starts here.
    pub(super) at_word: bool,
    /// Whether a close bracket without an open one belongs to the token. It
    /// does not where an earlier open bracket waits for it, as in `[see …]`.
    pub(super) lone_close: bool,
}

/// What follows the text of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// More text may come.
    Open,
    /// Nothing: it is the end of the whole text.
    Final,
    /// More text, which is too far away to count.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A token stands here, so many bytes long.
    Token(Token, usize),
    /// The text is a proper prefix of a possible token.
    Prefix,
    /// No token can start here.
    Nothing,
}

impl Candidate<'_> {
    /// Reads the token of one of `kinds`; where two can be read, the longer.
    pub(super) fn read(&self, kinds: &Kinds) -> Outcome {
        let start = unit(self.text, 0, |c| c == '[' || self.at_word && kinds.starts().has_initial(c));
        let (bracket, name_at) = match start {
            Unit::Char('[', next) => (true, next),
            Unit::Char(..) => (false, 0),
            Unit::Short => return self.short(),
            Unit::Other => return Outcome::Nothing,
        };
        let mut at = name_at;
        if bracket {
            match visible_unit(self.text, at, is_space) {
                Unit::Char(_, next) => at = next,
                Unit::Short => return self.short(),
                Unit::Other => {}
            }
        }

        // A letter that stands as it is begins few of them.
        let initial = self.text.as_bytes().get(at).filter(|b| b.is_ascii_alphabetic()).map(u8::to_ascii_uppercase);
        let may_begin = |kind: &&Kind| initial.is_none() || kind.name().first().copied() == initial;
        let mut longest = Outcome::Nothing;
        for kind in kinds.as_slice().iter().filter(may_begin) {
            match self.read_kind(kind, bracket, at) {
                Outcome::Token(token, len) => {
                    if !matches!(longest, Outcome::Token(_, other) if other >= len) {
                        longest = Outcome::Token(token, len);
                    }
                }
                // Another kind may have a shorter token here, but which of the
                // two it is must not depend on where the text was cut.
                Outcome::Prefix => return Outcome::Prefix,
                Outcome::Nothing => {}
            }
        }
        match longest {
            Outcome::Token(_, len) if self.is_behind_backslash(name_at, len) => Outcome::Nothing,
            longest => longest,
        }
    }

    /// Whether the backslashes in front of the open bracket are the text's own, as
    /// in `C:\users\[…]`: a word stands in front, and the other bracket has none.
    fn is_behind_backslash(&self, open: usize, len: usize) -> bool {
        let bytes = self.text.as_bytes();
        let behind_word = !self.at_word && bytes.get(..open).is_some_and(|open| matches!(open, [b'\\', .., b'[']));
        let token = bytes.get(open..len).unwrap_or_default();
        let as_sent = matches!(token, [.., last, b']'] if last.is_ascii_alphanumeric()) && !token.contains(&b'\\');
        behind_word && as_sent
    }

    fn read_kind(&self, kind: &Kind, bracket: bool, mut at: usize) -> Outcome {
        for &letter in kind.name() {
            match visible_unit(self.text, at, |c| is_letter(c, letter)) {
                Unit::Char(_, next) => at = next,
                Unit::Short => return self.short(),
                Unit::Other => return Outcome::Nothing,
            }
        }
        match visible_unit(self.text, at, is_separator) {
            Unit::Char(_, next) => at = next,
            Unit::Short => return self.short(),
            Unit::Other => return Outcome::Nothing,
        }
        let mut values = [0; CODE_LEN];
        for place in values.iter_mut().take(CODE_LEN - 1) {
            match visible_unit(self.text, at, |c| value(c).is_some()) {
                Unit::Char(c, next) => {
                    *place = value(c).unwrap_or_default();
                    at = next;
                }
                Unit::Short => return self.short(),
                Unit::Other => return Outcome::Nothing,
            }
        }
        // The check character can be one only.
        let check = check(kind.seed, values);
        match visible_unit(self.text, at, |c| value(c) == Some(check)) {
            Unit::Char(_, end) => self.close(Token::from_values(kind.entity, kind.seed, values), bracket, end),
            Unit::Short => self.short(),
            Unit::Other => Outcome::Nothing,
        }
    }

    /// Decides where the token ends whose code ends at `at`.
    fn close(&self, token: Token, bracket: bool, at: usize) -> Outcome {
        let is_close = |c| c == ']' && (bracket || self.lone_close);
        let mut close = if bracket || self.lone_close {
            visible_unit(self.text, at, |c| is_close(c) || bracket && is_space(c))
        } else {
            // Nothing more can belong to it.
            Unit::Other
        };
        if let Unit::Char(' ', next) = close {
            close = visible_unit(self.text, next, is_close);
        }
        if let Unit::Char(_, next) = close {
            return Outcome::Token(token, next);
        }
        if close == Unit::Short && self.end != End::Final {
            return self.short();
        }
        match self.text.get(at..).unwrap_or_default().chars().next() {
            Some(c) if is_word(c) => Outcome::Nothing,
            Some(_) => Outcome::Token(token, at),
            None if self.end == End::Final => Outcome::Token(token, at),
            None => self.short(),
        }
    }

    /// The text ends inside a token.
    fn short(&self) -> Outcome {
        if self.end == End::Open { Outcome::Prefix } else { Outcome::Nothing }
    }
}

/// Whether a token that has lost its brackets cannot touch this character.
///
/// Letters from the Hebrew block on count as outside a word: many of these
/// scripts put no space between words, or put particles right at a foreign one.
pub(super) fn is_word(c: char) -> bool {
    match c {
        '\0'..'\u{590}' => c.is_alphanumeric(),
        '\u{FF10}'..='\u{FF19}' | '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}' => true,
        _ => false,
    }
}

fn is_letter(c: char, letter: u8) -> bool {
    if letter == b'_' { is_separator(c) } else { c.is_ascii() && (c as u8).to_ascii_uppercase() == letter }
}

fn is_separator(c: char) -> bool {
    matches!(c, '_' | '-' | ' ')
}

fn is_space(c: char) -> bool {
    c == ' '
}
