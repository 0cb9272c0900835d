//! Values that are cut over two or more texts: an address of which the first
//! part of a content has one half and the second the other.
//!
//! The end of what came before is kept, and scanned together with the
//! beginning of the next text where the border looks as if it went through
//! something. What is found on one side of a border is none of this.

use super::findings::{Findings, Form};
use crate::detect::{Detector, Finding, Input, Scratch};
use std::ops::Range;

/// About how much of a text is read on each side of a border, in bytes, and
/// how much at most where no space comes earlier: an address of mail has 254.
const SIDE: usize = 64;
const LONGEST_SIDE: usize = 320;

/// A top-level domain that goes on behind a border is no longer than this
/// together: else a word follows, as in "ana@example.com" and "please".
const LONGEST_TOP: usize = 4;

/// Top-level domains that no other one of at most [`LONGEST_TOP`] letters
/// begins with (IANA root zone), so that they are not cut.
const WHOLE_TOPS: [&str; 6] = ["com", "net", "org", "edu", "gov", "mil"];

/// The end of the texts so far.
#[derive(Default)]
pub(in crate::proxy) struct Joint {
    text: String,
    /// The parts of `text`, in order.
    parts: Vec<Part>,
}

/// A part of the text that stands in one string of the body.
struct Part {
    /// Where it starts in the text.
    from: usize,
    /// The place in the body of each of its bytes and of its end.
    places: Places,
}

/// Where the bytes of a text are in the body.
pub(in crate::proxy) enum Places {
    /// Byte after byte from here.
    Plain(usize),
    /// Each byte, and the end.
    Each(Vec<usize>),
}

impl Joint {
    /// Looks at the border in front of `text`, of which `place` says where its
    /// ranges stand. What is found there is put in the place of what was found
    /// in its parts, in this form. Tells how much of the text belongs to it.
    pub(in crate::proxy) fn look(
        &self,
        text: &str,
        place: impl FnOnce(Range<usize>) -> Range<usize>,
        form: Form,
        detector: Detector<'_>,
        scratch: &mut Scratch,
        findings: &mut Findings,
    ) -> usize {
        if !is_cut(&self.text, text) || is_between_words(&self.text, text, detector) {
            return 0;
        }
        let head = text.get(..head_end(text)).unwrap_or_default();
        let window = [&self.text, head].concat();
        let border = self.text.len();
        let crossing = |found: &&Finding| found.start < border && border < found.end;
        let Some(found) = detector.scan(Input { text: &window, label: None }, scratch).iter().find(crossing).copied()
        else {
            return 0;
        };
        let value = window.get(found.start..found.end).unwrap_or_default();
        let cut = border - found.start;
        if is_address_and_word(value, cut, detector)
            || !self.is_more_than_its_sides(&found, value, cut, detector, scratch)
        {
            return 0;
        }
        let mut ranges: Vec<Range<usize>> = self.parts_of(found.start..border).collect();
        let gone = found.end - border;
        ranges.push(place(0..gone));
        if findings.span(&ranges, &found, value, form) { gone } else { 0 }
    }

    /// Whether what crosses the border is one value, and not a complete one
    /// on one side with a word or a number beside it.
    fn is_more_than_its_sides(
        &self,
        found: &Finding,
        value: &str,
        cut: usize,
        detector: Detector<'_>,
        scratch: &mut Scratch,
    ) -> bool {
        let Some((left, right)) = value.split_at_checked(cut) else { return false };
        let mut alone = |text: &str, start: usize, end: usize| {
            let same = |one: &&Finding| one.entity == found.entity && one.start == start && one.end == end;
            detector.scan(Input { text, label: None }, scratch).iter().any(|one| same(&one))
        };
        let right_start = right.len() - right.trim_start().len();
        let left_end = self.text.trim_end().len();
        let is_right_whole = alone(right, right_start, right.len());
        let is_left_whole = found.start < left_end && alone(&self.text, found.start, left_end);
        match (is_left_whole, is_right_whole) {
            // A given name and a surname: nobody ends a message with a blank.
            (true, true) => left.ends_with(char::is_whitespace) || right.starts_with(char::is_whitespace),
            (_, true) => begins_value(left, right, detector),
            // One or two characters more are a message of their own rather.
            (true, _) => right.len() > 2 || right.chars().all(|c| c.is_ascii_lowercase()),
            (false, false) => true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What comes goes on from nothing.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.parts.clear();
    }

    /// Whether it matters that `raw` goes on from the texts so far: something
    /// may be cut, or the text is so short that it is kept beside them.
    pub(super) fn concerns(&self, raw: &str) -> bool {
        raw.len() <= SIDE || is_cut(&self.text, raw)
    }

    /// Goes on: `text` is the last one now, of which `places` gives those from
    /// a byte on.
    pub(in crate::proxy) fn push(&mut self, text: &str, places: impl FnOnce(usize) -> Places) {
        if text.is_empty() {
            return;
        }
        let start = tail_start(text);
        let tail = text.get(start..).unwrap_or_default();
        let places = places(start);
        if start > 0 {
            self.clear();
        }
        self.parts.push(Part { from: self.text.len(), places });
        self.text.push_str(tail);
        self.forget(tail_start(&self.text));
    }

    /// Forgets so many bytes from the front, which lie too far back.
    fn forget(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        self.text.drain(..length);
        let gone = self.parts.partition_point(|part| part.from <= length).saturating_sub(1);
        self.parts.drain(..gone);
        for part in &mut self.parts {
            part.places.skip(length.saturating_sub(part.from));
            part.from = part.from.saturating_sub(length);
        }
    }

    /// What a range of the text is in the body, part by part.
    fn parts_of(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let ends = self.parts.iter().skip(1).map(|next| next.from).chain([self.text.len()]);
        self.parts.iter().zip(ends).filter_map(move |(part, end)| {
            let (from, to) = (range.start.max(part.from), range.end.min(end));
            (from < to).then(|| part.place(from)..part.place(to))
        })
    }
}

impl Places {
    /// Without the first so many bytes.
    fn skip(&mut self, length: usize) {
        match self {
            Self::Plain(start) => *start += length,
            Self::Each(places) => drop(places.drain(..length.min(places.len()))),
        }
    }
}

impl Part {
    fn place(&self, at: usize) -> usize {
        let offset = at - self.from;
        match &self.places {
            Places::Plain(start) => start + offset,
            Places::Each(places) => places.get(offset).or(places.last()).copied().unwrap_or_default(),
        }
    }
}

/// Where the tail of a text starts: at a space, if one is near.
fn tail_start(text: &str) -> usize {
    if text.len() <= SIDE {
        return 0;
    }
    let least = text.ceil_char_boundary(text.len().saturating_sub(LONGEST_SIDE));
    let usual = text.floor_char_boundary(text.len() - SIDE);
    let within = text.get(least..usual).unwrap_or_default();
    within.rfind(char::is_whitespace).map_or(least, |space| least + space)
}

/// Where the head of a text ends: at a space, if one is near.
fn head_end(text: &str) -> usize {
    if text.len() <= SIDE {
        return text.len();
    }
    let usual = text.ceil_char_boundary(SIDE);
    let most = text.floor_char_boundary(LONGEST_SIDE);
    let within = text.get(usual..most).unwrap_or_default();
    within.find(char::is_whitespace).map_or(most, |space| usual + space)
}

/// Whether the border between two texts may go through a value. Most borders
/// are between a stop and a capital, and cost no more than this.
fn is_cut(tail: &str, head: &str) -> bool {
    let (Some(left), Some(right)) = (tail.chars().next_back(), head.chars().next()) else { return false };
    if left.is_whitespace() || right.is_whitespace() {
        // "4111 1111" and " 1111 1111", "Anna " and "Kowalska".
        let (tail, head) = (tail.trim_end(), head.trim_start());
        let (left, right) = (tail.chars().next_back(), head.chars().next());
        let digits = left.is_some_and(|c| c.is_ascii_digit()) && right.is_some_and(|c| c.is_ascii_digit());
        let capitals =
            || left.is_some_and(char::is_alphabetic) && starts_capital(last_word(tail)) && starts_capital(head);
        return digits || capitals();
    }
    let run = |c: &char| !c.is_whitespace();
    let marked = |c: char| c == '@' || c.is_ascii_digit();
    tail.chars().rev().take(SIDE).take_while(run).any(marked)
        || head.chars().take(SIDE).take_while(run).any(marked)
        || left.is_alphabetic() && right.is_lowercase() && starts_capital(last_word(tail))
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

fn starts_capital(text: &str) -> bool {
    text.chars().next().is_some_and(char::is_uppercase)
}

/// Whether the border stands between two words after all, so that what spans
/// it is chance: "write to" and "ana@example.com", "I am Anna" and "please".
fn is_between_words(tail: &str, head: &str, detector: Detector<'_>) -> bool {
    let (left, right) = (last_letters(tail), first_letters(head));
    if left.is_empty() || right.is_empty() {
        return false;
    }
    // The letters are a word of their own, and no part of an address.
    let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && !"@._-+%".contains(c));
    let before = tail.get(..tail.len() - left.len()).unwrap_or_default().chars().next_back();
    // A stop that ends a sentence ends the word too.
    let behind = head.get(right.len()..).unwrap_or_default().chars().find(|c| *c != '.');
    let is_word = |word: &str| detector.engine.is_ordinary_word(word);
    ends(before) && is_word(left) || !is_in_address(tail) && ends(behind) && is_word(right)
}

fn last_letters(text: &str) -> &str {
    text.rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default()
}

fn first_letters(text: &str) -> &str {
    text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default()
}

/// Whether a text ends within an address of mail.
fn is_in_address(text: &str) -> bool {
    text.rsplit(char::is_whitespace).next().is_some_and(|run| run.contains('@'))
}

/// Whether a value that is cut at `border` is a whole address of mail, and a
/// word behind it: "ana@example.com" and "please", or the next sentence.
fn is_address_and_word(value: &str, border: usize, detector: Detector<'_>) -> bool {
    let Some((left, right)) = value.split_at_checked(border) else { return false };
    let word = first_letters(right);
    let top = value.rsplit('.').next().unwrap_or_default();
    let left = left.trim_end_matches('.');
    let is_whole =
        left.rsplit('.').next().is_some_and(|top| WHOLE_TOPS.iter().any(|whole| top.eq_ignore_ascii_case(whole)));
    has_top(left) && !word.is_empty() && (is_whole || detector.engine.is_ordinary_word(word) || top.len() > LONGEST_TOP)
}

/// Whether a value that ends with another, whole by itself, is one all the same.
pub(super) fn is_begun(value: &str, right: &str, detector: Detector<'_>) -> bool {
    value.strip_suffix(right).is_some_and(|left| begins_value(left, right, detector))
}

/// Whether `left` is the beginning of the value that `right` could be alone:
/// "ana.lo" and "pez@example.com", but not "Zalando" and "ana@example.com".
fn begins_value(left: &str, right: &str, detector: Detector<'_>) -> bool {
    let Some((local, _)) = right.split_once('@') else {
        // The country or the prefix of a number, or a good part of it.
        let digits = left.bytes().filter(u8::is_ascii_digit).count();
        return left.starts_with(['+', '0']) || digits >= 4;
    };
    let is_joiner = |c: char| "._-+".contains(c);
    let stem = left.trim_end_matches('.');
    let is_name = |part: &str| part.len() > 1 && part.chars().all(char::is_alphabetic);
    if left.ends_with(['@', '-', '_', '+']) {
        return true;
    }
    let named = stem.split(is_joiner).next().is_some_and(is_name);
    if left.len() > stem.len() && !stem.contains(is_joiner) {
        // A sentence ends with a stop too.
        return named && stem.starts_with(char::is_lowercase) && !detector.engine.is_ordinary_word(stem);
    }
    let is_whole = local.split_once('.').is_some_and(|(given, family)| is_name(given) && is_name(family));
    named && stem.contains(is_joiner) && !is_whole
}

/// Whether an address of mail is complete: its last label could be a top-level domain.
fn has_top(text: &str) -> bool {
    let domain = text.split_once('@').map_or("", |(_, domain)| domain);
    domain.rsplit_once('.').is_some_and(|(_, top)| top.len() >= 2 && top.chars().all(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_borders_are_no_cuts() {
        for (tail, head) in [("How can I help?", "I am Anna"), ("Thanks", "Hello"), ("", "x"), ("Good.", "")] {
            assert!(!is_cut(tail, head), "{tail:?} {head:?}");
        }
        for (tail, head) in [
            ("ana.lo", "pez@example.com"),
            ("ana@exam", "ple.com"),
            ("4111 1111 ", "1111 1111"),
            ("D", "E89 3704"),
            ("Anna Kow", "alska"),
            ("I am Anna ", "Kowalska"),
        ] {
            assert!(is_cut(tail, head), "{tail:?} {head:?}");
        }
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one range is what is found")]
    fn of_many_short_texts_the_last_are_kept() {
        let mut joint = Joint::default();
        for nth in 0..100 {
            let each = |start: usize| Places::Each((start..=8).map(|at| 1000 * nth + 2 * at).collect());
            if nth % 2 == 0 {
                joint.push("ab 12 é", each);
            } else {
                joint.push("ab 12 é", |at| Places::Plain(1000 * nth + at));
            }
            assert!(joint.text.len() <= LONGEST_SIDE && joint.parts.len() <= SIDE, "{}", joint.text);
        }
        let (end, all) = (joint.text.len(), joint.parts_of(0..joint.text.len()).collect::<Vec<_>>());
        assert!(end >= SIDE && all.len() >= 8);
        assert_eq!(all[all.len() - 2..], [98_000..98_016, 99_000..99_008]);
        assert_eq!(joint.parts_of(end - 10..end - 8).collect::<Vec<_>>(), [98_012..98_016]);
        let first = all.first().unwrap();
        assert!(first.start % 1000 > 0 || joint.parts[0].from == 0);
    }

    #[test]
    fn sides_are_bounded_and_end_at_spaces() {
        let text = format!("{} {}", "é".repeat(500), "a".repeat(100));
        assert_eq!(tail_start(&text), 1000);
        let long = "é".repeat(501);
        assert_eq!(long.len() - tail_start(&long), 320);
        let text = format!("{} {}", "a".repeat(100), "é".repeat(500));
        assert_eq!(head_end(&text), 100);
        assert_eq!(head_end(&"é".repeat(500)), 320);
        assert_eq!((head_end("short"), tail_start("short")), (5, 0));
    }
}
