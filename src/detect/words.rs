//! Words: where one ends, how it is written, and a hash of its folded form.
//!
//! Folding means lower case without diacritics ("Céline" and "celine" are one
//! word, composed or decomposed), so the lists need one spelling of each word.
//! The hash is computed while the word is read; no folded copy is made.

use crate::detect::eight::{self, CASE, HIGH, ONES};
use crate::detect::letters::{PLAIN, fold, is_capital, is_letter, is_mark};
use wide::u8x64;

/// Longer words are read to their end but are never looked up as names.
pub(crate) const MAX_WORD: usize = 40;

/// How a word is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `anna`
    Lower,
    /// `Anna`
    Capitalised,
    /// `ANNA`, two letters or more
    Upper,
    /// `A`, one capital alone
    Initial,
    /// `McDonald`
    Mixed,
    /// `iPhone`
    Hump,
}

/// A word of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) hash: u64,
    pub(crate) shape: Shape,
}

impl Word {
    pub(crate) fn is_too_long(&self) -> bool {
        self.end - self.start > MAX_WORD
    }

    /// Whether it is one letter in front of a point: "k. wiggins".
    #[inline]
    #[expect(clippy::needless_bitwise_bool, reason = "a branch would be guessed wrong")]
    pub(crate) fn may_be_initial(&self, behind: u8) -> bool {
        (self.end - self.start == 1) & (behind == b'.')
    }
}

const SEED: u64 = 0x9AE1_6A3B_2F90_404F;
const MULTIPLIER: u64 = 0xD6E8_FEB8_6659_FD93;

fn mix(hash: u64, block: u64) -> u64 {
    let wide = u128::from(hash ^ block).wrapping_mul(u128::from(MULTIPLIER));
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// Hash of a phrase from the hashes of its words, left to right.
pub(crate) fn join(first: u64, second: u64) -> u64 {
    mix(first.rotate_left(23), second)
}

/// Reads the word that starts at `start`; `None` where no letter stands there.
#[inline]
pub(crate) fn read(text: &str, start: usize) -> Option<Word> {
    let word = read_once(text, start);
    (word.end > start).then_some(word)
}

/// The same as [`read_from`], for all but the scan itself: a short text goes
/// through so much code that copies of this one cost more than the call.
#[inline(never)]
pub(crate) fn read_once(text: &str, start: usize) -> Word {
    // Asked here, the calls for rare words are all last ones, and no register has
    // to be saved for what comes behind them.
    if text.len() < 8 { read_of_few(text, start) } else { read_from(text, start) }
}

/// The same in a text of less than eight bytes.
#[cold]
#[inline(never)]
fn read_of_few(text: &str, start: usize) -> Word {
    read_from(text, start)
}

/// Reads the word that starts at `start`; an empty one where no letter stands
/// there. This is the innermost loop of the scan: it takes eight bytes at a
/// time, and has no `Option`, whose copies cost as much as the loop itself.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the scan calls it for each word, and most are short")]
pub(crate) fn read_from(text: &str, start: usize) -> Word {
    let eight = Eight::at(text.as_bytes(), start);
    if eight.letters == u64::MAX {
        return read_long(text, start);
    }
    if eight.ends_outside_ascii() {
        return read_unicode(text, start);
    }
    Word { start, end: start + eight.count(), hash: mix(SEED, eight.folded()), shape: eight.shape() }
}

/// A word of eight ASCII letters or more.
#[inline(never)]
fn read_long(text: &str, start: usize) -> Word {
    let bytes = text.as_bytes();
    let mut hash = SEED;
    let mut capitals = 0;
    let mut end = start;
    loop {
        let eight = Eight::at(bytes, end);
        capitals += eight.count_capitals();
        end += eight.count();
        if eight.letters == u64::MAX {
            hash = mix(hash, eight.folded());
            continue;
        }
        if eight.ends_outside_ascii() {
            return read_unicode(text, start);
        }
        let first_is_capital = bytes.get(start).is_some_and(u8::is_ascii_uppercase);
        let shape = shape(end - start, capitals, first_is_capital);
        return Word { start, end, hash: mix(hash, eight.folded()), shape };
    }
}

/// Eight bytes of a text, and how many ASCII letters they start with.
#[derive(Clone, Copy)]
struct Eight {
    /// The first byte lowest; zero bytes stand behind the end of the text.
    bytes: u64,
    /// All bits of the bytes of those letters.
    letters: u64,
}

/// Adding it sets the high bit of a byte from `a` on, without a carry.
const UP_TO_A: u64 = ONES * 0x1f;
/// The same from the byte behind `z` on.
const UP_TO_BEYOND_Z: u64 = ONES * 0x05;

impl Eight {
    #[inline]
    fn at(text: &[u8], at: usize) -> Self {
        let bytes = eight::from(text, at);
        // Sums of seven bits each cannot carry into the next byte.
        let low = (bytes | CASE) & !HIGH;
        let from_a = low + UP_TO_A;
        let beyond_z = low + UP_TO_BEYOND_Z;
        let others = !(from_a & !beyond_z & !bytes) & HIGH;
        // Below the lowest of the others all are letters.
        let letters = ((others & others.wrapping_neg()) >> 7).wrapping_sub(1);
        Self { bytes, letters }
    }

    #[inline]
    fn count(self) -> usize {
        (self.letters.trailing_ones() / 8) as usize
    }

    /// Whether the byte behind the letters is no ASCII.
    #[inline]
    fn ends_outside_ascii(self) -> bool {
        // The letters are followed by the byte above their highest bit.
        self.bytes & HIGH & (self.letters << 8 | 0xff) & !self.letters != 0
    }

    /// The letters in lower case; zero bytes stand behind.
    #[inline]
    fn folded(self) -> u64 {
        (self.bytes | CASE) & self.letters
    }

    /// A bit for each capital.
    #[inline]
    fn capitals(self) -> u64 {
        !self.bytes & CASE & self.letters
    }

    #[inline]
    fn count_capitals(self) -> usize {
        // The sum of all bytes stands in the highest.
        ((self.capitals() >> 5).wrapping_mul(ONES) >> 56) as usize
    }

    #[inline]
    fn shape(self) -> Shape {
        shape_of(self.capitals(), CASE & self.letters)
    }
}

/// Bytes whose kinds are told together, as sets of bits.
pub(crate) const BLOCK: usize = 64;

/// What the bytes of a block of a text are, a bit for each, the first byte lowest.
#[derive(Default)]
pub(crate) struct Block {
    /// ASCII letters.
    pub(crate) letters: u64,
    /// Digits, `/`, `:`, `@`, and all bytes outside ASCII.
    pub(crate) others: u64,
}

impl Block {
    pub(crate) const LEN: usize = BLOCK;

    /// The bytes from `base` on; behind the end of the text there is nothing.
    #[inline]
    #[expect(clippy::needless_bitwise_bool, reason = "a branch would keep it from being vector code")]
    pub(crate) fn at(text: &[u8], base: usize) -> Self {
        let [letters, others] = byte_masks(text, base, 0, |b| {
            let letter = (b | 0x20).wrapping_sub(b'a') < 26;
            [letter, (b.wrapping_sub(b'/') <= 11) | (b == b'@') | (b >= 0x80)]
        });
        Self { letters, others }
    }

    /// Letters with none in front of them.
    #[inline]
    pub(crate) fn word_starts(&self, behind_letter: bool) -> u64 {
        self.letters & !(self.letters << 1 | u64::from(behind_letter))
    }

    /// How many letters stand from a place on, up to the same place of the next block.
    #[inline]
    pub(crate) fn letters_from(&self, bit: u32, next: &Self) -> usize {
        // In two steps, as there is none by 64 bits.
        let from = self.letters >> bit | next.letters << 1 << (63 - bit);
        from.trailing_ones() as usize
    }

    #[inline]
    pub(crate) fn ends_with_letter(&self) -> bool {
        self.letters >> 63 != 0
    }
}

/// A bit for each of the 64 bytes from `base` on of which `is` holds; behind the
/// end of the text are zeros, of which it must not.
#[inline]
pub(crate) fn mask(text: &[u8], base: usize, is: impl Fn(u8) -> bool) -> u64 {
    let [mask] = byte_masks(text, base, 0, |b| [is(b)]);
    mask
}

/// For each of some kinds a bit for each of the [`BLOCK`] bytes from `base` on,
/// the first byte lowest. Behind the end of the text stands `beyond`. `kinds`
/// must not branch, so that the compiler makes vector code of it.
#[inline]
pub(crate) fn byte_masks<const N: usize>(
    text: &[u8],
    base: usize,
    beyond: u8,
    kinds: impl Fn(u8) -> [bool; N],
) -> [u64; N] {
    let rest = text.get(base..).unwrap_or_default();
    let mut masks = [[0; BLOCK]; N];
    let mut tell = |chunk: &[u8; BLOCK]| {
        for (at, &b) in chunk.iter().enumerate() {
            for (mask, is) in masks.iter_mut().zip(kinds(b)) {
                mask[at] = u8::from(is).wrapping_neg();
            }
        }
    };
    if let Some(chunk) = rest.first_chunk() {
        tell(chunk);
    } else {
        let mut chunk = [beyond; BLOCK];
        chunk.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        tell(&chunk);
    }
    masks.map(|mask| u8x64::from(mask).to_bitmask())
}

/// The bytes of the first letters, by how many there are.
const LETTERS: [[u64; 2]; 16] = {
    let mut all = [[0; 2]; 16];
    let mut count = 0;
    while count < all.len() {
        let bits = (1_u128 << (8 * count)) - 1;
        all[count] = [bits as u64, (bits >> 64) as u64];
        count += 1;
    }
    all
};

/// The word of so many ASCII letters at `start`, and the byte behind it, 0 at the
/// end of the text. Words of less than sixteen letters, with nothing behind them
/// that may be one too, are read without a branch that depends on their length:
/// the processor cannot guess it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the scan calls it for each word")]
pub(crate) fn read_in(text: &str, start: usize, letters: usize) -> (Word, u8) {
    let bytes = text.as_bytes();
    let behind = bytes.get(start + letters).copied().unwrap_or_default();
    let (Some(sixteen), Some([in_one, in_two]), true) =
        (eight::sixteen(bytes, start), LETTERS.get(letters), behind.is_ascii())
    else {
        let word = read_from(text, start);
        return (word, bytes.get(word.end).copied().unwrap_or_default());
    };
    let (one, two) = (sixteen as u64, (sixteen >> 64) as u64);
    let short = mix(SEED, (one | CASE) & in_one);
    let long = mix(short, (two | CASE) & in_two);
    let hash = std::hint::select_unpredictable(letters < 8, short, long);
    // The bits of the second eight stand beside those of the first.
    let case = CASE & in_one | (CASE & in_two) << 1;
    let shape = shape_of(!(one & CASE | (two & CASE) << 1) & case, case);
    (Word { start, end: start + letters, hash, shape }, behind)
}

/// The code of the character of two bytes at `at`, up to U+017F, and its length;
/// 0 for another.
#[inline]
fn low_code(bytes: &[u8], at: usize) -> (usize, usize) {
    match bytes.get(at..at + 2) {
        Some(&[first @ 0xC2..=0xC5, second]) => (usize::from(first & 0x1f) << 6 | usize::from(second & 0x3f), 2),
        _ => (0, 0),
    }
}

#[cold]
#[inline(never)]
fn read_unicode(text: &str, start: usize) -> Word {
    let bytes = text.as_bytes();
    let mut folded = Folded::new();
    let (mut letters, mut capitals, mut first_is_capital) = (0, 0, false);
    let mut end = start;
    loop {
        // What stands between accents is taken eight letters at a time.
        if bytes.get(end).is_some_and(u8::is_ascii) {
            let eight = Eight::at(bytes, end);
            folded.push_all(eight.folded(), eight.count());
            first_is_capital |= letters == 0 && eight.capitals() & 0x20 != 0;
            capitals += eight.count_capitals();
            letters += eight.count();
            end += eight.count();
            if eight.letters != u64::MAX && !eight.ends_outside_ascii() {
                break;
            }
            continue;
        }
        let (code, len) = low_code(bytes, end);
        let plain = PLAIN.get(code).copied().unwrap_or_default();
        let capital = if plain != 0 {
            folded.push(plain | 0x20);
            end += len;
            plain & 0x20 == 0
        } else {
            let Some(c) = letter_or_mark(text, end).filter(|c| letters > 0 || !is_mark(*c)) else { break };
            end += c.len_utf8();
            if is_mark(c) {
                // It belongs to the letter before it.
                continue;
            }
            folded = folded.and(c);
            is_capital(c)
        };
        first_is_capital |= capital && letters == 0;
        capitals += usize::from(capital);
        letters += 1;
    }
    Word { start, end, hash: folded.hash(), shape: shape(letters, capitals, first_is_capital) }
}

/// The letter or combining mark at `at`. Nearly all letters with accents are told
/// apart without this.
#[cold]
#[inline(never)]
fn letter_or_mark(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next().filter(|c| is_mark(*c) || is_letter(*c))
}

fn shape(letters: usize, capitals: usize, first_is_capital: bool) -> Shape {
    shape_by(capitals.min(2), capitals == letters, first_is_capital)
}

/// The same from a bit for each capital and one for each letter. The bit of the
/// first letter is that of [`CASE`] in the lowest byte.
#[inline]
fn shape_of(capitals: u64, letters: u64) -> Shape {
    let more = capitals & capitals.wrapping_sub(1) != 0;
    let some = usize::from(capitals != 0) + usize::from(more);
    shape_by(some, capitals == letters, capitals & 0x20 != 0)
}

/// By how many capitals there are, two for more, whether there is no small
/// letter, and whether the first letter is a capital. A table, as branches would
/// be guessed wrong.
#[inline]
fn shape_by(capitals: usize, all: bool, first: bool) -> Shape {
    use Shape::{Capitalised, Hump, Initial, Lower, Mixed, Upper};
    const SHAPES: [Shape; 12] = [
        // No capital, whatever else is said.
        Lower,
        Lower,
        Lower,
        Lower, //
        // One: "iPhone", "Anna", and "A".
        Hump,
        Capitalised,
        Initial,
        Initial, //
        // More: "eBAY", "McDonald", "ANNA".
        Hump,
        Mixed,
        Upper,
        Upper,
    ];
    let kind = capitals << 2 | usize::from(all) << 1 | usize::from(first);
    SHAPES.get(kind).copied().unwrap_or(Lower)
}

/// Words of a phrase, a key or a list entry, each by its hash. Here a change
/// from a small to a capital letter ends a word too, as in `customerPhone`.
pub(crate) fn each(text: &str, mut found: impl FnMut(u64)) {
    humps(text, true, |word| found(word.hash));
}

/// Words of running text, each by its hash. A name such as `customerPhone`
/// counts as its last word only: a `PhoneStatusBar` has nothing of a phone.
pub(crate) fn each_in_text(text: &str, mut found: impl FnMut(u64)) {
    humps(text, false, |word| found(word.hash));
}

/// The same, with what stands between each word and the one before it, and
/// behind the last.
pub(crate) fn each_with_gaps<'a>(text: &'a str, mut found: impl FnMut(&'a [u8], Option<u64>)) {
    let mut end = 0;
    let between = |end, start| text.as_bytes().get(end..start).unwrap_or_default();
    humps(text, false, |word| {
        found(between(end, word.start), Some(word.hash));
        end = word.end;
    });
    found(between(end, text.len()), None);
}

fn humps(text: &str, heads: bool, mut found: impl FnMut(&Word)) {
    let bytes = text.as_bytes();
    let mut base = 0;
    let mut starts = word_bytes(bytes, base);
    loop {
        // A text may hold much that is no word: it is passed over 64 bytes at a time.
        while starts == 0 {
            base += BLOCK;
            if base >= bytes.len() {
                return;
            }
            starts = word_bytes(bytes, base);
        }
        let at = base + starts.trailing_zeros() as usize;
        let word = read_once(text, at);
        let hump = camel(text, &word);
        match hump.and_then(|hump| text.get(..hump)) {
            Some(head) if heads => found(&read_once(head, at)),
            None if word.end > at => found(&word),
            _ => {}
        }
        // What is no letter at all is passed over as a whole character.
        let mut next = hump.unwrap_or(word.end).max(at + 1);
        while !text.is_char_boundary(next) {
            next += 1;
        }
        if next >= base + BLOCK {
            base += (next - base) / BLOCK * BLOCK;
            starts = word_bytes(bytes, base);
        }
        starts &= not_before(next, base);
    }
}

/// The bytes of a block that a word may start with.
#[inline(never)]
#[expect(clippy::needless_bitwise_bool, reason = "a branch would keep it from being vector code")]
fn word_bytes(bytes: &[u8], base: usize) -> u64 {
    mask(bytes, base, |b| ((b | 0x20).wrapping_sub(b'a') < 26) | (b >= 0x80))
}

/// The places of a block that are not before `at`.
#[inline]
pub(crate) fn not_before(at: usize, base: usize) -> u64 {
    u32::try_from(at.saturating_sub(base)).ok().and_then(|passed| u64::MAX.checked_shl(passed)).unwrap_or(0)
}

fn camel(text: &str, word: &Word) -> Option<usize> {
    if !matches!(word.shape, Shape::Mixed | Shape::Hump) {
        return None;
    }
    let bytes = text.as_bytes();
    (word.start + 1..word.end).find(|&i| {
        bytes.get(i).is_some_and(u8::is_ascii_uppercase) && bytes.get(i - 1).is_some_and(u8::is_ascii_lowercase)
    })
}

/// The hash of a single folded word; `None` where `text` is not one word.
pub(crate) fn hash_of(text: &str) -> Option<u64> {
    read(text, 0).filter(|w| w.end == text.len()).map(|w| w.hash)
}

/// The hash of folded letters, in blocks of eight.
struct Folded {
    hash: u64,
    block: u64,
    len: u64,
}

impl Folded {
    #[inline]
    fn new() -> Self {
        Self { hash: SEED, block: 0, len: 0 }
    }

    fn push(&mut self, byte: u8) {
        self.block |= u64::from(byte) << (8 * (self.len & 7));
        self.len += 1;
        if self.len.is_multiple_of(8) {
            self.hash = mix(self.hash, self.block);
            self.block = 0;
        }
    }

    /// The same for so many bytes, eight at most; those above them are zero.
    #[inline]
    fn push_all(&mut self, bytes: u64, count: usize) {
        let taken = 8 * (self.len & 7) as u32;
        self.block |= bytes << taken;
        self.len += count as u64;
        if taken as usize + 8 * count >= 64 {
            self.hash = mix(self.hash, self.block);
            self.block = bytes.checked_shr(64 - taken).unwrap_or(0);
        }
    }

    #[cold]
    #[inline(never)]
    fn and(mut self, c: char) -> Self {
        fold(c, |byte| self.push(byte));
        self
    }

    /// No letter is zero, so the last block says by itself how long it is.
    #[inline]
    fn hash(self) -> u64 {
        mix(self.hash, self.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_a_word_have_one_hash() {
        let all = ["Céline", "celine", "CÉLINE", "Ce\u{301}line", "CELINE"];
        for spelling in all {
            assert_eq!(hash_of(spelling), hash_of("celine"), "{spelling}");
        }
        assert_eq!(hash_of("Großmann"), hash_of("grossmann"));
        assert_eq!(hash_of("Łukasz"), hash_of("lukasz"));
        assert_eq!(hash_of("Иван"), hash_of("иван"));
        assert_ne!(hash_of("abcdefgh"), hash_of("abcdefg"));
        assert_ne!(hash_of("a"), hash_of("aa"));
    }

    #[test]
    fn words_of_any_length_end_where_their_letters_do() {
        for length in 1..40 {
            let word: String = ('a'..='z').chain('A'..='Z').cycle().take(length).collect();
            for behind in ["", " ", "1", "@", "[", "`", "{", "_more", " and much more"] {
                let text = format!("{word}{behind}");
                let found = read(&text, 0).unwrap();
                assert_eq!(found.end, length, "{text}");
                // One letter at a time gives the same hash as eight.
                let mut folded = Folded::new();
                word.bytes().for_each(|b| folded.push(b.to_ascii_lowercase()));
                assert_eq!(found.hash, folded.hash(), "{text}");
                let capitals = word.bytes().filter(u8::is_ascii_uppercase).count();
                assert_eq!(found.shape, shape(length, capitals, false), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn accents_stand_wherever_they_like(word in "[a-zA-Z]{0,9}([éÉßøŁźЖжẞ][a-zA-Z\u{301}]{0,9}){1,4}", behind in "[ 1’😀.]?") {
            let text = format!("{word}{behind}a");
            let (mut folded, mut capitals, mut letters) = (Folded::new(), 0, 0);
            for c in word.chars().filter(|c| !is_mark(*c)) {
                if c.is_ascii() {
                    folded.push(c.to_ascii_lowercase() as u8);
                } else {
                    fold(c, |byte| folded.push(byte));
                }
                capitals += usize::from(is_capital(c));
                letters += 1;
            }
            let read = read_from(&text, 0);
            prop_assert_eq!(read.end, if behind.is_empty() { text.len() } else { word.len() });
            if !behind.is_empty() {
                prop_assert_eq!(read.hash, folded.hash());
                let first_is_capital = word.chars().next().is_some_and(is_capital);
                prop_assert_eq!(read.shape, shape(letters, capitals, first_is_capital));
            }
        }
    }

    #[test]
    fn a_word_of_a_block_is_the_word_of_the_text() {
        let unit = "a An THE iPhone letters sixteenlettersss Seventeenletterss x1 é at:me Größe end@ ＡＢ";
        for shift in 0..70 {
            let text = format!("{}{unit} {unit}", "-".repeat(shift));
            let mut behind_letter = false;
            let mut found = 0;
            for base in (0..text.len()).step_by(Block::LEN) {
                let [block, next] = [base, base + Block::LEN].map(|base| Block::at(text.as_bytes(), base));
                let mut starts = block.word_starts(behind_letter);
                behind_letter = block.ends_with_letter();
                while starts != 0 {
                    let bit = starts.trailing_zeros();
                    starts &= starts - 1;
                    let start = base + bit as usize;
                    let ((one, behind), other) =
                        (read_in(&text, start, block.letters_from(bit, &next)), read_from(&text, start));
                    assert_eq!(behind, text.as_bytes().get(one.end).copied().unwrap_or_default(), "{text}");
                    assert_eq!((one.start, one.end, one.hash), (other.start, other.end, other.hash), "{text}");
                    assert_eq!(one.shape, other.shape, "{text}");
                    found += 1;
                }
            }
            // "Größe" starts with a letter of ASCII twice.
            assert_eq!(found, 2 * 13, "{text}");
        }
    }

    #[test]
    fn shapes() {
        let shape = |s: &str| read(s, 0).map(|w| w.shape);
        assert_eq!(shape("anna"), Some(Shape::Lower));
        assert_eq!(shape("Anna"), Some(Shape::Capitalised));
        assert_eq!(shape("Émile"), Some(Shape::Capitalised));
        assert_eq!(shape("ÖZ"), Some(Shape::Upper));
        assert_eq!(shape("J."), Some(Shape::Initial));
        assert_eq!(shape("McDonald"), Some(Shape::Mixed));
        assert_eq!(shape("iPhone"), Some(Shape::Hump));
        assert_eq!(shape("7"), None);
    }

    #[test]
    fn keys_are_split_at_humps_and_underscores() {
        let split = |s: &str| {
            let mut all = Vec::new();
            each(s, |h| all.push(h));
            all
        };
        let parts = |ws: &[&str]| ws.iter().filter_map(|w| hash_of(w)).collect::<Vec<_>>();
        assert_eq!(split("customerPhone"), parts(&["customer", "phone"]));
        assert_eq!(split("phone_number2"), parts(&["phone", "number"]));
        assert_eq!(split("n'est-ce pas"), parts(&["n", "est", "ce", "pas"]));
    }
}
