//! Where the strings and the brackets of a line of JSON stand, as bit sets of
//! 64 bytes at a time (Langdale and Lemire, "Parsing gigabytes of JSON per
//! second", 2019): no branch for each byte, and none for each short string.

use crate::detect::{BLOCK, byte_masks};

/// A string of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quoted {
    /// Behind its opening quote.
    pub(super) start: usize,
    /// Its closing quote.
    pub(super) end: usize,
    /// Whether it holds a backslash.
    pub(super) escaped: bool,
}

/// Why there is no string, and from which byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoString {
    Open,
    Control(usize),
}

/// Reads a line from left to right; what it is asked for never lies in front of
/// what it was asked for before.
pub(super) struct Outline<'a> {
    bytes: &'a [u8],
    block: Block,
}

/// A bit for each byte of a block, the first lowest.
#[derive(Default)]
struct Block {
    base: usize,
    /// Quotes that open or close a string.
    quotes: u64,
    /// Brackets outside of strings, of both kinds.
    brackets: u64,
    /// Backslashes and control characters.
    odd: u64,
    /// All ones where the next block starts within a string.
    open: u64,
    /// One where the first byte of the next block is escaped.
    escaped: u64,
}

impl<'a> Outline<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, block: Block::default().next(bytes, 0) }
    }

    /// The string whose opening quote stands at `start`.
    #[inline]
    pub(super) fn string(&mut self, start: usize) -> Result<Quoted, NoString> {
        let mut escaped = false;
        let mut rest = self.from(start + 1);
        loop {
            let quotes = self.block.quotes & rest;
            // All bytes below the lowest quote.
            let inside = (quotes & quotes.wrapping_neg()).wrapping_sub(1) & rest;
            if self.block.odd & inside != 0 {
                self.no_control(self.block.odd & inside)?;
                escaped = true;
            }
            if quotes != 0 {
                return Ok(Quoted {
                    start: start + 1,
                    end: self.block.base + quotes.trailing_zeros() as usize,
                    escaped,
                });
            }
            if !self.advance() {
                return Err(NoString::Open);
            }
            rest = u64::MAX;
        }
    }

    /// Where the next bracket outside of strings stands, from `at` on.
    #[inline]
    pub(super) fn bracket(&mut self, at: usize) -> Option<usize> {
        let mut rest = self.from(at);
        loop {
            let brackets = self.block.brackets & rest;
            if brackets != 0 {
                return Some(self.block.base + brackets.trailing_zeros() as usize);
            }
            if !self.advance() {
                return None;
            }
            rest = u64::MAX;
        }
    }

    #[cold]
    fn no_control(&self, mut odd: u64) -> Result<(), NoString> {
        while odd != 0 {
            let at = self.block.base + odd.trailing_zeros() as usize;
            if self.bytes.get(at) != Some(&b'\\') {
                return Err(NoString::Control(at));
            }
            odd &= odd - 1;
        }
        Ok(())
    }

    /// Goes to the block of an offset; gives its places from there on.
    #[inline]
    fn from(&mut self, at: usize) -> u64 {
        while at >= self.block.base + BLOCK {
            if !self.advance() {
                return 0;
            }
        }
        u64::MAX << (at - self.block.base)
    }

    fn advance(&mut self) -> bool {
        let base = self.block.base + BLOCK;
        if base >= self.bytes.len() {
            return false;
        }
        self.block = self.block.next(self.bytes, base);
        true
    }
}

impl Block {
    /// The block at `base`, which this one is in front of.
    #[expect(clippy::needless_bitwise_bool, reason = "a branch would keep it from being vector code")]
    fn next(&self, bytes: &[u8], base: usize) -> Self {
        let [quotes, brackets, odd] =
            byte_masks(bytes, base, b' ', |b| [b == b'"', matches!(b | 0x20, b'{' | b'}'), (b < b' ') | (b == b'\\')]);
        let mut escaped = 0;
        let mut carry = 0;
        if odd != 0 || self.escaped != 0 {
            (escaped, carry) = after_backslashes(bytes, base, odd, self.escaped);
        }
        let quotes = quotes & !escaped;
        // Each bit says whether an odd number of quotes stands up to it.
        let inside = [1, 2, 4, 8, 16, 32].into_iter().fold(quotes, |all, by| all ^ all << by) ^ self.open;
        Self {
            base,
            quotes,
            brackets: brackets & !inside,
            odd,
            open: (inside.cast_signed() >> 63).cast_unsigned(),
            escaped: carry,
        }
    }
}

/// The bytes behind a backslash that is not itself behind one, and whether the
/// last backslash escapes the first byte of the next block.
#[cold]
fn after_backslashes(bytes: &[u8], base: usize, odd: u64, first: u64) -> (u64, u64) {
    let mut escaped = first;
    let mut rest = odd;
    let mut carry = 0;
    while rest != 0 {
        let bit = rest & rest.wrapping_neg();
        rest ^= bit;
        let is_backslash = bytes.get(base + bit.trailing_zeros() as usize) == Some(&b'\\');
        if is_backslash && escaped & bit == 0 {
            escaped |= bit << 1;
            carry = bit >> 63;
        }
    }
    (escaped, carry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The strings, each with what it is, and the brackets.
    type Seen = (Vec<(usize, Result<Quoted, NoString>)>, Vec<usize>);

    /// The same, byte by byte.
    fn by_hand(line: &[u8]) -> Seen {
        let (mut strings, mut brackets) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < line.len() {
            if line[at] != b'"' {
                if b"[]{}".contains(&line[at]) {
                    brackets.push(at);
                }
                at += 1;
                continue;
            }
            let start = at;
            let (mut escaped, mut control) = (false, None);
            at += 1;
            while at < line.len() && line[at] != b'"' {
                control = control.or((line[at] < b' ').then_some(at));
                let backslash = line[at] == b'\\';
                escaped |= backslash;
                if backslash && line.get(at + 1).is_some_and(|b| *b < b' ') {
                    control = control.or(Some(at + 1));
                }
                at += 1 + usize::from(backslash);
            }
            let found = match control {
                Some(at) => Err(NoString::Control(at)),
                None if at >= line.len() => Err(NoString::Open),
                None => Ok(Quoted { start: start + 1, end: at, escaped }),
            };
            strings.push((start, found));
            at += 1;
        }
        (strings, brackets)
    }

    fn line() -> impl Strategy<Value = String> {
        let between = ["{", "]", "[{}]", "a", "é", " ", ",", ":"].map(str::to_owned);
        let inside = ["a", "é", "\\\"", "\\\\", "\\n", "{", "]", "0123456789abcdef"];
        let string = prop::collection::vec(prop::sample::select(inside.to_vec()), 0..24);
        let last = prop::sample::select(["", "", "", "", "", "\n", "\\\n"].to_vec());
        let string = (string, last).prop_map(|(parts, last)| format!("\"{}{last}\"", parts.concat()));
        let part = prop_oneof![prop::sample::select(between.to_vec()), string];
        (prop::collection::vec(part, 0..24), any::<prop::sample::Index>(), any::<bool>()).prop_map(
            |(parts, at, cut)| {
                let mut line = parts.concat();
                if cut {
                    line.truncate(line.floor_char_boundary(at.index(line.len() + 1)));
                }
                line
            },
        )
    }

    proptest! {
        #[test]
        fn strings_and_brackets_are_those_found_byte_by_byte(line in line()) {
            let (strings, brackets) = by_hand(line.as_bytes());
            let mut outline = Outline::of(line.as_bytes());
            for (start, found) in &strings {
                prop_assert_eq!(outline.string(*start), *found, "{:?} at {}", line, start);
            }
            let mut outline = Outline::of(line.as_bytes());
            let (mut at, mut all) = (0, Vec::new());
            while let Some(found) = outline.bracket(at) {
                all.push(found);
                at = found + 1;
            }
            prop_assert_eq!(all, brackets, "{:?}", line);
        }
    }
}
