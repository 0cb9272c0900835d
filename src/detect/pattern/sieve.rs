//! Finds, in one pass over a text, the patterns that can match in it at all,
//! and where: what it costs does not grow with the number of patterns.
//!
//! Three adjoining bytes of each required string are hashed into a set of bits,
//! at both an even and an odd place, so that every second place of a text has
//! to be looked up; the set stays in a core's own cache. What it lets through
//! is compared with the string. Strings of keys are looked for in long runs of
//! letters and digits alone, of which ordinary text has few; such runs are found
//! by looking at every n-th byte, n being the length of the shortest run that is
//! asked for. A string with a mark that is rare in text is found by that mark.

use super::required::{Anchor, LONG, LONG_RUN, Literal as Required, is_token_byte};
use crate::detect::words::{self, Block};
use std::collections::HashMap;
use std::ops::Range;

/// A place where a pattern may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// The pattern, by its place among all.
    pub(super) pattern: u32,
    /// Where the anchor stands; there may be several, all close together,
    pub(super) start: usize,
    /// of which this is the last.
    pub(super) last: usize,
}

impl Hit {
    /// Adds a place. One beside the last is the same hit: a text may be nothing
    /// but hits.
    fn add(hits: &mut Vec<Self>, pattern: u32, start: usize) {
        if let Some(last) = hits.last_mut().filter(|last| last.pattern == pattern)
            && start <= last.last + 2
            && last.start <= start + 2
        {
            (last.start, last.last) = (last.start.min(start), last.last.max(start));
            return;
        }
        hits.push(Self { pattern, start, last: start });
    }
}

/// A text is searched in pieces of this size, so that hits need little room.
pub(super) const PIECE: usize = 32 << 10;

/// The anchors of all patterns.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    /// Strings that stand in long runs.
    in_runs: Strings,
    marked: Marked,
    /// All others.
    anywhere: Strings,
    digits: Runs,
    tokens: Runs,
}

impl Sieve {
    /// Adds a pattern's anchor. `longest` are the bytes of its longest match.
    /// Gives how many bytes of a match can be in front of a hit.
    pub(super) fn add(&mut self, pattern: u32, anchor: &Anchor, longest: Option<usize>) -> Option<usize> {
        match anchor {
            Anchor::Literals(all) => {
                let mut most = Some(0);
                for literal in all {
                    let inside = self.add_literal(literal, pattern);
                    most = most.zip(literal.before).map(|(most, before)| most.max(before + inside));
                }
                most
            }
            Anchor::Digits(least) => {
                self.digits.add(pattern, *least);
                longest
            }
            Anchor::Token(least) => {
                self.tokens.add(pattern, *least);
                longest
            }
        }
    }

    /// Gives where in the string a hit is.
    fn add_literal(&mut self, literal: &Required, pattern: u32) -> usize {
        if literal.is_in_long_run() {
            self.in_runs.add(&literal.bytes, pattern)
        } else if let Some(inside) = self.marked.add(&literal.bytes, pattern) {
            inside
        } else {
            self.anywhere.add(&literal.bytes, pattern)
        }
    }

    /// To be called when all have been added.
    pub(super) fn finish(&mut self) {
        self.in_runs.finish();
        self.anywhere.finish();
    }

    /// Adds the hits that start in a piece of the text, sorted by pattern and place.
    pub(super) fn hits(&self, text: &[u8], from: usize, to: usize, hits: &mut Vec<Hit>) {
        hits.clear();
        let mut long_run = false;
        if self.in_runs.has_any() || self.tokens.has_any() {
            long_runs(text, from, to, |run| {
                long_run = true;
                self.in_runs.find(text, run.start, run.end, hits);
            });
        }
        self.marked.find(text, from, to, hits);
        self.anywhere.find(text, from, to, hits);
        self.digits.find(text, from, to, u8::is_ascii_digit, hits);
        if long_run || self.tokens.least < LONG_RUN {
            self.tokens.find(text, from, to, |b| is_token_byte(*b), hits);
        }
        if hits.len() > 1 {
            hits.sort_unstable();
        }
    }
}

/// Calls `found` with the part in `from..to` of each long run of bytes that keys
/// are made of.
fn long_runs(text: &[u8], from: usize, to: usize, mut found: impl FnMut(Range<usize>)) {
    const REST: usize = LONG_RUN - 1;
    // A long run that has a part there is as long within these bounds.
    let part = text.get(..to.saturating_add(REST).min(text.len())).unwrap_or_default();
    let mut read = from.saturating_sub(REST);
    while let Some(start) = next_long_run(part, read) {
        let rest = part.get(start..).unwrap_or_default();
        let end = start + rest.iter().take_while(|b| is_token_byte(**b)).count();
        found(start.max(from)..end.min(to));
        read = end + 1;
    }
}

const _: () = assert!(LONG_RUN == 16, "`next_long_run` halves the run four times");

/// Where the first long run starts that is not before `from`. It takes 64 bytes
/// at a time, so that there is no branch for each word.
fn next_long_run(text: &[u8], from: usize) -> Option<usize> {
    // Bytes of a run at the end of the block before.
    let mut open = 0;
    for base in (from..text.len()).step_by(Block::LEN) {
        let members = words::mask(text, base, is_token_byte);
        if open + members.trailing_ones() >= LONG_RUN as u32 {
            return Some(base - open as usize);
        }
        let pairs = members & members >> 1;
        let fours = pairs & pairs >> 2;
        let eights = fours & fours >> 4;
        let sixteens = eights & eights >> 8;
        if sixteens != 0 {
            return Some(base + sixteens.trailing_zeros() as usize);
        }
        open = members.leading_ones();
    }
    None
}

/// Few strings that have a mark: a byte that is neither letter nor digit nor
/// space. There are three marks at most, so that all are found in one fast search.
#[derive(Debug, Default)]
struct Marked {
    /// Each mark as it may stand in the text, folded or not.
    marks: Vec<u8>,
    /// Each with the place of its mark and its pattern.
    strings: Vec<(Vec<u8>, usize, u32)>,
}

impl Marked {
    const ROOM: usize = 4;

    /// Adds a string, if it has a mark and there is room; gives the mark's place.
    fn add(&mut self, literal: &[u8], pattern: u32) -> Option<usize> {
        let is_mark = |b: &u8| b.is_ascii_punctuation() && !matches!(b, b'.' | b',');
        let place = literal.iter().position(is_mark)?;
        let mark = *literal.get(place)?;
        let forms = [mark, mark & !0x20].into_iter().filter(|b| b | 0x20 == mark);
        let mut marks = self.marks.clone();
        marks.extend(forms);
        marks.sort_unstable();
        marks.dedup();
        if marks.len() > 3 || self.strings.len() == Self::ROOM {
            return None;
        }
        self.marks = marks;
        self.strings.push((literal.to_vec(), place, pattern));
        Some(place)
    }

    fn find(&self, text: &[u8], from: usize, to: usize, hits: &mut Vec<Hit>) {
        let (Some(&one), Some(&last)) = (self.marks.first(), self.marks.last()) else { return };
        let two = self.marks.get(1).copied().unwrap_or(last);
        for at in memchr::memchr3_iter(one, two, last, text.get(from..to).unwrap_or_default()) {
            let start = from + at;
            for (literal, place, pattern) in &self.strings {
                let found = start.checked_sub(*place).and_then(|first| text.get(first..first + literal.len()));
                if found.is_some_and(|found| is_folded(found, literal)) {
                    Hit::add(hits, *pattern, start);
                }
            }
        }
    }
}

fn is_folded(text: &[u8], literal: &[u8]) -> bool {
    text.iter().zip(literal).all(|(a, b)| a | 0x20 == *b)
}

/// Strings of four bytes and more, and shorter ones.
#[derive(Debug, Default)]
struct Strings {
    long: Grams,
    short: Grams,
}

impl Strings {
    fn add(&mut self, literal: &[u8], pattern: u32) -> usize {
        if literal.len() < LONG { self.short.add(literal, pattern) } else { self.long.add(literal, pattern) }
    }

    fn finish(&mut self) {
        self.long.finish(3);
        self.short.finish(2);
    }

    fn has_any(&self) -> bool {
        !self.long.literals.is_empty() || !self.short.literals.is_empty()
    }

    fn find(&self, text: &[u8], from: usize, to: usize, hits: &mut Vec<Hit>) {
        if !self.long.literals.is_empty() {
            // Only even places are looked at; of two adjoining ones one is even.
            self.long.pairs(text, from.next_multiple_of(2), to, hits);
        }
        if !self.short.literals.is_empty() {
            self.short.singles(text, from, to, hits);
        }
    }
}

/// Bits of the set: 16 KiB, so that with a thousand strings one place in a
/// hundred is let through.
const BITS: u32 = 17;

/// Strings by a piece of two or three bytes.
#[derive(Debug)]
struct Grams {
    bits: Box<[u64; 1 << (BITS - 6)]>,
    /// The pieces in order, each with its string and its place in it.
    pieces: Vec<(u32, u32, u8)>,
    /// Open addressing: a piece, and where it starts in `pieces`, from 1.
    index: Vec<(u32, u32)>,
    literals: Vec<Literal>,
    by_text: HashMap<Vec<u8>, usize>,
}

impl Default for Grams {
    fn default() -> Self {
        let (pieces, index, literals) = Default::default();
        Self { bits: Box::new([0; 1 << (BITS - 6)]), pieces, index, literals, by_text: HashMap::new() }
    }
}

/// A string, folded, and the patterns that need it.
#[derive(Debug)]
struct Literal {
    bytes: Vec<u8>,
    /// Where its bytes start that are looked up.
    inside: usize,
    patterns: Vec<u32>,
}

impl Grams {
    /// Adds a string; gives where the part of it starts that is looked up.
    fn add(&mut self, literal: &[u8], pattern: u32) -> usize {
        let inside = rarest(literal, if literal.len() < LONG { 2 } else { LONG });
        let next = self.literals.len();
        let at = *self.by_text.entry(literal.to_vec()).or_insert(next);
        match self.literals.get_mut(at) {
            Some(known) if known.patterns.contains(&pattern) => {}
            Some(known) => known.patterns.push(pattern),
            None => self.literals.push(Literal { bytes: literal.to_vec(), inside, patterns: vec![pattern] }),
        }
        inside
    }

    fn finish(&mut self, len: usize) {
        for (i, literal) in self.literals.iter().enumerate() {
            // Three bytes of four are looked up at the even one of two places.
            for place in 0..len - 1 {
                let from = literal.inside + place;
                let Some(bytes) = literal.bytes.get(from..from + len) else { continue };
                let piece = bytes.iter().rev().fold(0, |all, b| all << 8 | u32::from(*b));
                self.pieces.push((piece, i as u32, place as u8));
            }
        }
        self.by_text = HashMap::new();
        self.pieces.sort_unstable();
        self.index = vec![(0, 0); (self.pieces.len() * 2).next_power_of_two()];
        let mut last = None;
        for (i, &(piece, ..)) in (1..).zip(&self.pieces) {
            if last.replace(piece) == Some(piece) {
                continue;
            }
            let (word, bit) = place(piece);
            self.bits[word] |= bit;
            let mut at = self.slot(piece);
            while self.index.get(at).is_some_and(|slot| slot.1 != 0) {
                at = (at + 1) % self.index.len();
            }
            if let Some(slot) = self.index.get_mut(at) {
                *slot = (piece, i);
            }
        }
    }

    fn slot(&self, piece: u32) -> usize {
        (hash(piece) >> 8) as usize & (self.index.len() - 1)
    }

    #[inline]
    fn may_hold(&self, piece: u32) -> bool {
        let (word, bit) = place(piece);
        self.bits[word] & bit != 0
    }

    /// The places in `pieces` of a piece.
    fn known(&self, piece: u32) -> &[(u32, u32, u8)] {
        let mut at = self.slot(piece);
        while let Some(&(known, first)) = self.index.get(at).filter(|slot| slot.1 != 0) {
            if known == piece {
                return self.pieces.get(first as usize - 1..).unwrap_or_default();
            }
            at = (at + 1) % self.index.len();
        }
        &[]
    }

    /// Three bytes at every even place.
    fn pairs(&self, text: &[u8], from: usize, to: usize, hits: &mut Vec<Hit>) {
        const THREE: u32 = 0x00ff_ffff;
        let part = text.get(from..to).unwrap_or_default();
        let (blocks, _) = part.as_chunks::<8>();
        for (i, block) in blocks.iter().enumerate() {
            let at = from + i * 8;
            let block = u64::from_le_bytes(*block) | 0x2020_2020_2020_2020;
            // Behind the end of the text nothing is verified.
            let behind = u32::from(text.get(at + 8).copied().unwrap_or_default() | 0x20) << 16;
            let pieces = [
                block as u32 & THREE,
                (block >> 16) as u32 & THREE,
                (block >> 32) as u32 & THREE,
                (block >> 48) as u32 | behind,
            ];
            // One branch for all four: hardly ever is one of them known.
            if pieces.iter().fold(false, |any, piece| any | self.may_hold(*piece)) {
                for (n, piece) in pieces.into_iter().enumerate().filter(|(_, piece)| self.may_hold(*piece)) {
                    self.verify(text, at + 2 * n, piece, hits);
                }
            }
        }
        for at in (from + blocks.len() * 8..to).step_by(2) {
            if let Some(&[a, b, c]) = text.get(at..at + 3) {
                let piece = u32::from_le_bytes([a, b, c, 0]) | 0x0020_2020;
                if self.may_hold(piece) {
                    self.verify(text, at, piece, hits);
                }
            }
        }
    }

    /// Two bytes at every place.
    fn singles(&self, text: &[u8], from: usize, to: usize, hits: &mut Vec<Hit>) {
        let part = text.get(from..(to + 1).min(text.len())).unwrap_or_default();
        for (i, &[a, b]) in part.array_windows::<2>().enumerate() {
            let piece = u32::from(a | 0x20) | u32::from(b | 0x20) << 8;
            if self.may_hold(piece) {
                self.verify(text, from + i, piece, hits);
            }
        }
    }

    #[cold]
    fn verify(&self, text: &[u8], at: usize, piece: u32, hits: &mut Vec<Hit>) {
        for &(_, literal, place) in self.known(piece).iter().take_while(|(known, ..)| *known == piece) {
            let Some(literal) = self.literals.get(literal as usize) else { continue };
            let Some(start) = at.checked_sub(usize::from(place)) else { continue };
            let Some(first) = start.checked_sub(literal.inside) else { continue };
            let Some(found) = text.get(first..first + literal.bytes.len()) else { continue };
            if is_folded(found, &literal.bytes) {
                literal.patterns.iter().for_each(|&pattern| Hit::add(hits, pattern, start));
            }
        }
    }
}

fn hash(piece: u32) -> u32 {
    piece.wrapping_mul(0x9E37_79B1)
}

#[inline]
fn place(piece: u32) -> (usize, u64) {
    let bit = hash(piece) >> (32 - BITS);
    ((bit / 64) as usize, 1 << (bit % 64))
}

/// Where the `len` bytes of a string start that are least like ordinary text.
fn rarest(literal: &[u8], len: usize) -> usize {
    // Folded, so `_` is 0x7f and `@` is 0x60.
    let common = |b: &u8| match b {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b' ' => 8,
        b'h' | b'l' | b'd' | b'c' | b'u' | b'm' => 5,
        b'a'..=b'z' => 3,
        b'0'..=b'9' | b'-' | b'.' | b'/' | b':' => 2,
        _ => 1,
    };
    let cost = |at: &usize| literal.iter().skip(*at).take(len).map(common).sum::<u32>();
    (0..=literal.len().saturating_sub(len)).min_by_key(cost).unwrap_or(0)
}

/// Patterns whose matches hold a run of one class of bytes.
#[derive(Debug, Default)]
struct Runs {
    /// Each with the length of its run.
    patterns: Vec<(u32, usize)>,
    least: usize,
}

impl Runs {
    fn add(&mut self, pattern: u32, least: usize) {
        self.least = if self.patterns.is_empty() { least } else { self.least.min(least) };
        self.patterns.push((pattern, least));
    }

    fn has_any(&self) -> bool {
        !self.patterns.is_empty()
    }

    fn find(&self, text: &[u8], from: usize, to: usize, member: impl Fn(&u8) -> bool, hits: &mut Vec<Hit>) {
        if !self.has_any() {
            return;
        }
        let member = |at: usize| text.get(at).is_some_and(&member);
        let step = self.least.max(1);
        // A run that was read to its end; one that starts in an earlier piece was hit there.
        let mut end = from;
        while end > 0 && end < to && member(end) && member(end - 1) {
            end += 1;
        }
        // The last place to look at is the first one that can be in such a run and not before `to`.
        let mut at = end + step - 1;
        while at < to + step - 1 {
            if !member(at) {
                at += step;
                continue;
            }
            let mut start = at;
            while start > end && member(start - 1) {
                start -= 1;
            }
            end = at + 1;
            while member(end) {
                end += 1;
            }
            if start < to {
                let long_enough = self.patterns.iter().filter(|(_, least)| end - start >= *least);
                hits.extend(long_enough.map(|&(pattern, least)| Hit { pattern, start, last: end - least }));
            }
            at = end + step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::pattern::required::fold;

    fn required(s: &str, run: usize) -> Required {
        Required { bytes: fold(s.as_bytes()), before: Some(1), run }
    }

    fn found(anchors: &[Anchor], text: &str) -> Vec<(u32, usize, usize)> {
        let mut sieve = Sieve::default();
        for (i, anchor) in anchors.iter().enumerate() {
            sieve.add(i as u32, anchor, None);
        }
        sieve.finish();
        let mut all = Vec::new();
        let mut hits = Vec::new();
        // Small pieces, so that much lies across their borders.
        for from in (0..text.len()).step_by(8) {
            sieve.hits(text.as_bytes(), from, (from + 8).min(text.len()), &mut hits);
            all.extend(hits.iter().map(|hit| (hit.pattern, hit.start, hit.last)));
        }
        all.sort_unstable();
        sieve.hits(text.as_bytes(), 0, text.len(), &mut hits);
        assert_eq!(all, hits.iter().map(|hit| (hit.pattern, hit.start, hit.last)).collect::<Vec<_>>(), "{text}");
        all
    }

    #[test]
    fn strings_are_found_at_every_place() {
        let literal = |s: &str| Anchor::Literals(vec![required(s, 0)]);
        let anchors = [literal("ghp_"), literal("AKIA"), literal("-----begin"), literal("B-"), literal("x_y")];
        for pad in 0..40 {
            for (i, s) in ["ghp_", "akia", "-----BEGIN", "B-", "X_Y"].into_iter().enumerate() {
                let text = format!("{}{s}{}", ".".repeat(pad), "~".repeat(pad % 5));
                let all = found(&anchors, &text);
                assert_eq!(all.len(), 1, "{text}");
                assert!(all[0].0 == i as u32 && (pad..pad + s.len()).contains(&all[0].1), "{text} {all:?}");
            }
        }
        assert_eq!(found(&anchors, "nothing of that kind here, ghp or aki or b"), []);
    }

    #[test]
    fn strings_of_long_runs_are_found_there_alone() {
        let literal = |s: &str| Anchor::Literals(vec![required(s, LONG_RUN)]);
        let anchors = [literal("ghp_"), literal("sk-")];
        for pad in 0..40 {
            let (space, rest) = (" ".repeat(pad), "x".repeat(pad % 9));
            for (i, s) in ["ghp_", "sk-"].into_iter().enumerate() {
                let text = format!("{space}{rest}{s}0123456789abcdef{rest} {space}");
                let all = found(&anchors, &text);
                assert_eq!(all.len(), 1, "{text}");
                let at = pad + rest.len();
                assert!(all[0].0 == i as u32 && (at..at + s.len()).contains(&all[0].1), "{text} {all:?}");
            }
            assert_eq!(found(&anchors, &format!("{space}{rest}ghp_ and sk-0123 {space}")), []);
        }
    }

    #[test]
    fn runs_are_found_once() {
        let anchors = [Anchor::Digits(3), Anchor::Digits(5), Anchor::Token(12)];
        for pad in 0..20 {
            let text = format!("{}12 345 67890{} 1", " ".repeat(pad), "/".repeat(pad % 4));
            let all = found(&anchors, &text);
            assert_eq!(all, [(0, pad + 3, pad + 3), (0, pad + 7, pad + 9), (1, pad + 7, pad + 7)], "{text}");
        }
        assert_eq!(found(&anchors, "abcdefghijklmnop"), [(2, 0, 4)]);
        assert_eq!(found(&anchors, &"1".repeat(50)), [(0, 0, 47), (1, 0, 45), (2, 0, 38)]);
    }
}
