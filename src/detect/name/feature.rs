//! What the model sees of a word: a fixed number of features, each a slot of
//! its table. Training and scanning compute them by this code alone.

use crate::detect::eight;
use crate::detect::letters;
use crate::detect::lexicon::Classes;
use crate::detect::name::run::{Gap, Run, Token};
use crate::detect::scan::Pass;
use crate::detect::words::{self, Shape, Word};

/// Features of a word.
pub(crate) const FEATURES: usize = 32;

/// Of the features of a word, those that say which word it is: the first ones.
/// Training hides them now and then.
pub(crate) const IDENTITY: usize = 1;

/// The table has 2^`TABLE_BITS` slots.
pub(crate) const TABLE_BITS: u32 = 19;

/// The slots of a word's features.
pub(crate) type Slots = [u32; FEATURES];

/// What the grammar makes of a word of a run: whether a name starts or goes on
/// there, and in tenths how sure of it the grammar is.
pub(crate) type Opinion = u8;

/// A word beside the run.
#[derive(Clone, Copy, Default)]
struct Neighbour {
    hash: u64,
    classes: u32,
    shape: u8,
}

/// What is around a run, looked up once for all its words.
pub(crate) struct Surroundings {
    /// Of the second word on each side only its hash is known.
    before: [Neighbour; 2],
    behind: [Neighbour; 2],
    /// The kinds of the characters in front and behind.
    left: u8,
    right: u8,
    cue: u8,
    caps: u8,
    sentence: bool,
    own_line: bool,
}

impl Neighbour {
    fn behind((word, classes): (Word, Classes)) -> Self {
        Self { hash: word.hash, classes: classes.bits() & SEEN, shape: shape_code(word.shape) }
    }

    fn of(token: &Token) -> Self {
        Self { hash: token.word.hash, classes: token.classes.bits() & SEEN, shape: shape_of(token) }
    }
}

impl Surroundings {
    /// The word at place `at` of the run, or behind it.
    #[inline]
    fn on(&self, run: &Run, at: usize) -> Neighbour {
        let tokens = run.tokens();
        match tokens.get(at) {
            Some(token) => Neighbour::of(token),
            None => self.behind.get(at - tokens.len()).copied().unwrap_or_default(),
        }
    }

    /// Shows those that are made of what stands around it.
    #[inline]
    pub(crate) fn features(&self, run: &Run, i: usize, mut show: impl FnMut(usize, u32)) {
        let tokens = run.tokens();
        let back = |n: usize| match i.checked_sub(n) {
            Some(at) => tokens.get(at).map(Neighbour::of).unwrap_or_default(),
            None => self.before.get(n - i - 1).copied().unwrap_or_default(),
        };
        let Some(token) = tokens.get(i) else { return };
        let (before, before2, next, next2) = (back(1), back(2), self.on(run, i + 1), self.on(run, i + 2));
        let classes = u64::from(token.classes.bits() & SEEN);
        let shape = u64::from(shape_of(token));
        let first = i == 0;
        let last = i + 1 == tokens.len();
        let left = if first { u64::from(self.left) } else { 40 + gap_code(token.gap) };
        let right = if last { u64::from(self.right) } else { 40 + tokens.get(i + 1).map_or(0, |t| gap_code(t.gap)) };
        let place = place(run, i);
        let cue = u64::from(self.cue) << 2 | i.min(2) as u64;
        let caps = u64::from(self.caps);
        let sentence = u64::from(first && self.sentence);
        let (bc, nc) = (u64::from(before.classes), u64::from(next.classes));
        let next_shape = u64::from(next.shape);
        let known = classes & KNOWN;
        let mut feature = |kind, value| show(kind, slot(kind, value));
        feature(2, before.hash);
        feature(3, next.hash);
        feature(4, pack(&[before.hash, before2.hash]));
        feature(5, pack(&[next.hash, next2.hash]));
        feature(11, pack(&[bc, classes, shape]));
        feature(12, pack(&[classes, nc, shape, next_shape]));
        feature(13, pack(&[bc, classes, nc]));
        feature(14, pack(&[cue, classes, shape]));
        feature(15, pack(&[cue, shape, right]));
        feature(16, pack(&[caps, shape, classes]));
        feature(17, pack(&[sentence, shape, classes, nc]));
        feature(18, pack(&[left, right, shape]));
        feature(19, pack(&[left, classes]));
        feature(20, pack(&[right, classes]));
        feature(24, pack(&[place, shape, caps]));
        feature(25, pack(&[left, place, known]));
        feature(26, pack(&[u64::from(self.own_line), cue, place]));
        feature(27, pack(&[before.hash, known, shape]));
        feature(28, pack(&[next.hash, known, shape]));
        feature(29, pack(&[before.hash, next.hash]));
    }

    /// Shows those that are made of what the grammar thinks.
    #[inline]
    pub(crate) fn features_of_opinion(&self, run: &Run, i: usize, opinion: Opinion, mut show: impl FnMut(usize, u32)) {
        let Some(token) = run.tokens().get(i) else { return };
        let classes = u64::from(token.classes.bits() & SEEN);
        let sentence = u64::from(i == 0 && self.sentence);
        let opinion = u64::from(opinion);
        let mut feature = |kind, value| show(kind, slot(kind, value));
        feature(21, opinion);
        feature(22, pack(&[opinion, classes, u64::from(shape_of(token))]));
        feature(23, pack(&[opinion, u64::from(self.caps), sentence]));
        feature(31, pack(&[opinion, self.on(run, i + 1).hash]));
    }
}

/// The classes that features are made of.
const SEEN: u32 = 0x00_1f_e9_ff;

fn shape_of(token: &Token) -> u8 {
    // Short ones are apart.
    let short = (token.len() <= 3) & matches!(token.word.shape, Shape::Capitalised | Shape::Upper);
    shape_code(token.word.shape) - u8::from(short)
}

fn shape_code(shape: Shape) -> u8 {
    // In the order of the shapes; a table, as the processor cannot guess.
    const CODES: [u8; 6] = [1, 3, 5, 6, 7, 8];
    CODES.get(shape as usize).copied().unwrap_or_default()
}

/// Where in its run the word `i` stands.
#[inline]
fn place(run: &Run, i: usize) -> u64 {
    (i.min(3) as u64) << 4 | (run.tokens().len() - i - 1).min(3) as u64
}

/// The slot of a feature of kind `kind` with value `value`.
#[inline]
fn slot(kind: usize, value: u64) -> u32 {
    let mixed = (value ^ (value >> 29)).wrapping_add((kind as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed >> (64 - TABLE_BITS)) as u32
}

/// Packs small numbers and hashes into one value.
#[inline]
fn pack(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |all, part| (all ^ part).wrapping_mul(0xA24B_AED4_963E_E407).rotate_left(17))
}

/// The kind of the character at a border of a run.
fn kind_of(c: Option<char>) -> u8 {
    match c {
        None => 0,
        Some(c) if c.is_ascii() => KINDS.get(c as usize).copied().unwrap_or(OTHER_KIND),
        Some('“' | '”' | '„' | '’' | '‘' | '»' | '«') => 5,
        Some('…') => 7,
        Some('–' | '—') => 9,
        Some(c) if c.is_numeric() => 16,
        Some(c) if letters::is_letter(c) => 2,
        Some(_) => OTHER_KIND,
    }
}

const OTHER_KIND: u8 = 17;

/// Where no word is behind it it is one more.
const SPACE_KIND: u8 = 18;

/// The kinds of the characters of ASCII.
static KINDS: [u8; 128] = {
    let mut kinds = [OTHER_KIND; 128];
    let mut at = 0;
    while at < kinds.len() {
        kinds[at] = match at as u8 {
            b'\n' | b'\r' => 1,
            b',' => 3,
            b':' => 4,
            b'"' | b'\'' | b'`' => 5,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' => 6,
            b'.' => 7,
            b'!' | b'?' => 8,
            b'-' => 9,
            b'@' | b'#' | b'_' => 10,
            b'=' => 11,
            b'/' | b'\\' => 12,
            b'>' | b'<' | b'|' | b'*' => 13,
            b'&' | b'+' => 14,
            b';' => 15,
            b' ' => SPACE_KIND,
            b'0'..=b'9' => 16,
            b'A'..=b'Z' | b'a'..=b'z' => 2,
            _ => OTHER_KIND,
        };
        at += 1;
    }
    kinds
};

/// Bytes around a run in which its capitals are weighed.
const CAPITALS_AROUND: usize = 160;

/// How many ASCII letters there are, capitals and small ones.
#[derive(Clone, Copy, Default)]
struct Letters {
    upper: u32,
    lower: u32,
}

impl Letters {
    /// Of the bytes of a text from an offset on up to another.
    fn of(text: &[u8], from: usize, to: usize) -> Self {
        // Vector code takes so many at a time, and what it leaves it takes one by one.
        const STRIDE: usize = 32;
        let rest = to - (to - from) % STRIDE;
        let near_rest = (rest + STRIDE / 2).min(to);
        let (mut all, last) = (Self::of_few(text, rest, near_rest), Self::of_few(text, near_rest, to));
        all.upper += last.upper;
        all.lower += last.lower;
        // In bytes, which hold so few.
        for chunk in text.get(from..rest).unwrap_or_default().chunks(7 * STRIDE) {
            let (upper, lower) = chunk.iter().fold((0_u8, 0_u8), |(upper, lower), b| {
                let capital = b.wrapping_sub(b'A') < 26;
                let small = b.wrapping_sub(b'a') < 26;
                (upper.wrapping_add(u8::from(capital)), lower.wrapping_add(u8::from(small)))
            });
            all.upper += u32::from(upper);
            all.lower += u32::from(lower);
        }
        all
    }

    /// Of sixteen bytes at most.
    #[inline]
    fn of_few(text: &[u8], from: usize, to: usize) -> Self {
        let len = to - from;
        let (upper, lower) = eight::capitals_and_small(text, from, len);
        let (more_upper, more_lower) = eight::capitals_and_small(text, from + 8, len.saturating_sub(8));
        Self { upper: upper + more_upper, lower: lower + more_lower }
    }
}

/// The letters in a stretch of the text that only moves forward: each byte is
/// counted once when it comes in and once when it goes out, however many runs
/// there are.
#[derive(Clone, Copy, Default)]
pub(crate) struct Window {
    from: usize,
    to: usize,
    count: Letters,
}

impl Window {
    fn slide(&mut self, text: &[u8], from: usize, to: usize) {
        if (from, to) == (self.from, self.to) {
            return;
        }
        let of = |from: usize, to: usize| Letters::of(text, from, to);
        if from >= self.to || from < self.from || to < self.to {
            *self = Self { from, to, count: of(from, to) };
            return;
        }
        let (gone, come) = (of(self.from, from), of(self.to, to));
        self.count.upper = self.count.upper + come.upper - gone.upper;
        self.count.lower = self.count.lower + come.lower - gone.lower;
        (self.from, self.to) = (from, to);
    }
}

impl Pass<'_> {
    /// Looks around a run.
    pub(crate) fn surroundings(&mut self, run: &Run) -> Surroundings {
        let (start, end) = (run.start(), run.end());
        let mut before = [Neighbour::default(); 2];
        let spaces = self.start_of_space(start);
        let last = self.before(spaces);
        if last != Some('\n') || run.cue.is_some() {
            for (slot, hash) in before.iter_mut().zip(self.recent.newest_first()) {
                slot.hash = hash;
            }
            let [nearest, _] = &mut before;
            nearest.classes = self.engine.lexicon.classes(nearest.hash).bits() & SEEN;
        }
        let next = self.word_behind(run, self.next_word(end));
        let next2 = next.and_then(|(word, _)| words::read(self.text, self.next_word(word.end)));
        let next2 = Neighbour { hash: next2.map_or(0, |word| word.hash), ..Neighbour::default() };
        let behind = [next.map_or_else(Neighbour::default, Neighbour::behind), next2];
        let right = kind_of(self.at(end));
        let right = right + u8::from((right == SPACE_KIND) & next.is_none());
        let caps = self.capitals_around(start, end);
        let left = kind_of(last) + 20 * u8::from(spaces < start);
        let cue = run.cue.map_or(0, |c| 1 + c.cue as u8 + if c.label { 8 } else { 0 });
        let own_line = matches!(last, None | Some('\n' | '\r'))
            && self
                .text
                .get(end..)
                .and_then(|t| t.trim_start_matches([' ', '.', ',', '!', '\t']).chars().next())
                .is_none_or(|c| c == '\n' || c == '\r');
        Surroundings { before, behind, left, right, cue, caps, sentence: self.starts_sentence(start), own_line }
    }

    /// Where the space starts that stands in front of an offset.
    #[inline]
    fn start_of_space(&self, at: usize) -> usize {
        // Nearly always it is one.
        let mut at = at - usize::from(self.bytes.get(at.wrapping_sub(1)) == Some(&b' '));
        while let Some(c @ (' ' | '\t' | '\u{a0}')) = self.before(at) {
            at -= c.len_utf8();
        }
        at
    }

    /// Where the next letter stands behind at most three characters that are
    /// none and no line break; behind the end of the text, where that is near.
    #[inline]
    fn next_word(&self, from: usize) -> usize {
        let passed = eight::no_word_or_line(self.bytes, from).min(3);
        let at = from + passed;
        match self.bytes.get(at) {
            Some(128..) => self.next_high_word(at, 3 - passed),
            _ => at,
        }
    }

    /// The same from a character outside ASCII on.
    #[inline(never)]
    fn next_high_word(&self, from: usize, most: usize) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        let passed = rest.chars().take(most).take_while(|c| !letters::is_letter(*c) && *c != '\n');
        from + passed.map(char::len_utf8).sum::<usize>()
    }

    /// Whether capitals say anything here: 0 none stands around the run, 1 few,
    /// 2 many, 3 nearly all letters are capitals, 4 there are no letters.
    fn capitals_around(&mut self, start: usize, end: usize) -> u8 {
        let (from, to) = (start.saturating_sub(CAPITALS_AROUND), (end + CAPITALS_AROUND).min(self.bytes.len()));
        self.names.letters.slide(self.bytes, from, to);
        let around = self.names.letters.count;
        let short = end - start <= 16;
        let run = if short { Letters::of_few(self.bytes, start, end) } else { Letters::of(self.bytes, start, end) };
        let (upper, lower) = (around.upper - run.upper, around.lower - run.lower);
        let level = u8::from(upper > 0) + u8::from(upper * 7 > lower) + u8::from(upper > 2 * lower);
        level + 4 * u8::from(upper + lower == 0)
    }

    /// Shows the kinds and the slots of the features that the run's word `i` has by
    /// itself. No array is between: they are summed up as they are made.
    #[inline]
    pub(crate) fn features_of_word(&self, run: &Run, i: usize, mut show: impl FnMut(usize, u32)) {
        let Some(token) = run.tokens().get(i) else { return };
        let shape = u64::from(shape_of(token));
        let (start, end) = self.ends(token);
        let mut feature = |kind, value| show(kind, slot(kind, value));
        feature(0, token.word.hash);
        feature(1, pack(&[shape, token.len().min(12) as u64]));
        feature(6, start & 0xff_ff_ff);
        feature(7, end & 0xff_ff_ff);
        feature(8, end & 0xff_ff);
        feature(9, end);
        feature(10, pack(&[u64::from(token.classes.bits() & SEEN), shape]));
        feature(30, pack(&[end & 0xff_ff_ff, shape, place(run, i)]));
    }

    /// The first and the last four bytes of a word, ASCII in small letters.
    fn ends(&self, token: &Token) -> (u64, u64) {
        let bytes = self.bytes.get(token.word.start..token.word.end).unwrap_or_default();
        // The high bit says that a byte is no ASCII, else the bit of small letters is set.
        let small = |bytes: u32| bytes | (!bytes & 0x8080_8080) >> 2;
        if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            let [first, last] = [first, last].map(|bytes| u64::from(small(u32::from_be_bytes(*bytes))));
            return (first >> 8, last);
        }
        let few = bytes.iter().fold(0, |all, b| all << 8 | u32::from(*b));
        let few = u64::from(small(few) & ((1 << (8 * bytes.len())) - 1));
        (few, few)
    }
}

/// Name, ordinary word, place: what matters most.
const KNOWN: u64 = 0x0c_08_17;

fn gap_code(gap: Gap) -> u64 {
    gap as u64
}

#[cfg(test)]
mod tests {
    use super::{Letters, Window};
    use crate::detect::name::train::Trainer;
    use crate::detect::{Engine, Sample, Schedule};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn letters_are_counted_as_one_by_one(
            text in prop::collection::vec(prop::sample::select(b"azAZ@[`{ \xc3".to_vec()), 0..600),
            cuts in prop::collection::vec((0..600_usize, 0..600_usize), 1..6),
        ) {
            let mut window = Window::default();
            for (one, other) in cuts {
                let (from, to) = (one.min(other).min(text.len()), one.max(other).min(text.len()));
                let count = |is: fn(&u8) -> bool| text[from..to].iter().filter(|b| is(b)).count() as u32;
                let wanted = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
                window.slide(&text, from, to);
                let letters = Letters::of(&text, from, to);
                prop_assert_eq!((letters.upper, letters.lower), wanted);
                prop_assert_eq!((window.count.upper, window.count.lower), wanted);
                if to - from <= 16 {
                    let letters = Letters::of_few(&text, from, to);
                    prop_assert_eq!((letters.upper, letters.lower), wanted);
                }
            }
        }
    }

    /// The model was trained with these features. Where this fails, what the
    /// model sees has changed: train it again as rules/SOURCES.md says, and write
    /// the new number here. Where the slots are others, and not only the lists or
    /// the words that make a run, raise `FEATURE_VERSION` first: models that users
    /// trained fit no more.
    #[test]
    fn the_features_are_those_that_the_model_was_trained_with() {
        let texts = [
            "Hi, I am Anna Kowalska from Berlin.\nRegards,\nJ. O'Brien-Smith",
            "call will or RUTH, ask Dr Müller; Иван here",
            "Novak, Jana and Ludwig van der Berg (Siemens AG)",
        ];
        let mut trainer = Trainer::new(Engine::builtin().unwrap(), Schedule::default());
        for text in texts {
            trainer.learn(&Sample { text: text.to_owned(), ..Sample::default() });
        }
        assert_eq!(trainer.fingerprint(), 0x0887_07e9_4dd4_c265, "{:#x}", trainer.fingerprint());
    }
}
