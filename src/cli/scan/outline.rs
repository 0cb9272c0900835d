//! Where the strings and the brackets of lines of JSON stand, as bit sets of 64
//! bytes each (Langdale and Lemire, "Parsing gigabytes of JSON per second",
//! 2019): no branch for each byte, and none for each short string.

use crate::detect::{BLOCK, byte_masks};

/// The outline of a text whose lines are each one text of JSON. It holds up to
/// the first line that is none, and is kept to be filled again.
#[derive(Default)]
pub(super) struct Outline {
    blocks: Vec<Block>,
}

/// A bit for each byte of a block, the first lowest.
struct Block {
    /// Quotes that open or close a string, backslashes and control characters.
    marks: u64,
    /// Brackets outside of strings, of both kinds, and control characters.
    brackets: u64,
}

impl Outline {
    /// Takes in a text.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let mut before = Before::default();
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        self.blocks.clear();
        self.blocks.extend(blocks.iter().map(|block| before.block(block)));
        self.blocks.push(before.block(rest));
    }

    /// The first quote that is not escaped, backslash or control character from
    /// `at` on; behind the text where there is none.
    #[inline]
    pub(super) fn mark(&self, at: usize) -> usize {
        self.next(at, |block| block.marks)
    }

    /// The first bracket outside of strings or control character from `at` on;
    /// behind the text where there is none.
    #[inline]
    pub(super) fn bracket(&self, at: usize) -> usize {
        self.next(at, |block| block.brackets)
    }

    #[inline]
    fn next(&self, at: usize, places: impl Fn(&Block) -> u64) -> usize {
        let mut block = at / BLOCK;
        let mut from = u64::MAX << (at % BLOCK);
        while let Some(found) = self.blocks.get(block).map(|block| places(block) & from) {
            if found != 0 {
                return block * BLOCK + found.trailing_zeros() as usize;
            }
            block += 1;
            from = u64::MAX;
        }
        block * BLOCK
    }
}

/// What a block has to know of those before it.
#[derive(Default)]
struct Before {
    /// All ones where it starts within a string.
    open: u64,
    /// One where its first byte is escaped.
    escaped: u64,
}

impl Before {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loop keeps what it needs in registers")]
    fn block(&mut self, bytes: &[u8]) -> Block {
        let [quotes, backslashes, brackets, controls] =
            byte_masks(bytes, 0, b' ', |b| [b == b'"', b == b'\\', matches!(b | 0x20, b'{' | b'}'), b < b' ']);
        let quotes = quotes & !self.escaped(backslashes);
        // Each bit says whether an odd number of quotes stands up to it.
        let inside = [1, 2, 4, 8, 16, 32].into_iter().fold(quotes, |all, by| all ^ all << by) ^ self.open;
        self.open = (inside.cast_signed() >> 63).cast_unsigned();
        Block { marks: quotes | backslashes | controls, brackets: brackets & !inside | controls }
    }

    /// The bytes behind a backslash that is not itself behind one.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = u64::MAX / 3 * 2;
        // The sum carries over each row of backslashes; whether it ends on an odd
        // place or an even one tells their number from where it starts.
        let active = backslashes & !self.escaped;
        let behind = (active << 1 | ODD).wrapping_sub(active) ^ ODD;
        let escaped = behind ^ (backslashes | self.escaped);
        self.escaped = (behind & backslashes) >> 63;
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The marks and the brackets, found byte by byte.
    fn by_hand(text: &[u8]) -> (Vec<usize>, Vec<usize>) {
        let (mut marks, mut brackets) = (Vec::new(), Vec::new());
        let (mut inside, mut escaped) = (false, false);
        for (at, &b) in text.iter().enumerate() {
            let quote = b == b'"' && !escaped;
            inside ^= quote;
            if quote || b == b'\\' || b < b' ' {
                marks.push(at);
            }
            if b"[]{}".contains(&b) && !inside || b < b' ' {
                brackets.push(at);
            }
            escaped = b == b'\\' && !escaped;
        }
        (marks, brackets)
    }

    fn text() -> impl Strategy<Value = String> {
        let parts = ["\"", "\"", "\\\"", "\\", "\\\\\\", "{", "[", "]}", "a", "é", "\n", "\t", " ", "0123456789abcdef"];
        prop::collection::vec(prop::sample::select(parts.to_vec()), 0..80).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn marks_and_brackets_are_those_found_byte_by_byte(before in text(), text in text()) {
            let mut outline = Outline::default();
            outline.read(before.as_bytes());
            outline.read(text.as_bytes());
            let all = |next: &dyn Fn(usize) -> usize| {
                let from = std::iter::successors(Some(next(0)), |at| Some(next(at + 1)));
                from.take_while(|at| *at < text.len()).collect::<Vec<_>>()
            };
            let found = (all(&|at| outline.mark(at)), all(&|at| outline.bracket(at)));
            prop_assert_eq!(found, by_hand(text.as_bytes()), "{:?}", text);
        }
    }
}
