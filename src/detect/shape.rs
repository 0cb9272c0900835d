//! Shapes: texts of fixed digits, letters and separators, such as the ids of
//! states. All shapes of all rules are one trie over symbols; a digit of the
//! text is the anchor, so text without digits costs nothing, and the walk from
//! an anchor ends after the longest shape. What arrives at the end of a shape
//! is checked by its validator, and words nearby decide between readings.
//!
//! A context word of these rules may be a phrase of up to four words, and one that
//! a rule writes in capitals counts only in capitals, as "SIN" does, which is a
//! Spanish word in small letters.
//!
//! A shape is written with `9` for a digit, `A` for a letter, `X` for either,
//! and ` `, `-`, `.`, `/`, `(`, `)`, `+` for themselves.

use crate::detect::RuleId;
use crate::detect::compile::Verdict;
use crate::detect::eight;
use crate::detect::evidence::Evidence;
use crate::detect::letters;
use crate::detect::national::Strength;
use crate::detect::said::Heard;
use crate::detect::scan::{CONTEXT_BEFORE, Pass};
use crate::detect::validate::{MAX_ID, Validator};

const SYMBOLS: usize = 9;
const DIGIT: u8 = 0;
const LETTER: u8 = 1;
const SPACE: u8 = 2;
const DASH: u8 = 3;
const DOT: u8 = 4;
/// The full stop and the symbols behind it in their order.
const OTHERS: [char; 5] = ['.', '/', '(', ')', '+'];
/// What is in no shape.
const NONE: u8 = u8::MAX;

/// The symbols of the characters of ASCII.
static ASCII: [u8; 128] = {
    let mut symbols = [NONE; 128];
    let mut at = 0;
    while at < symbols.len() {
        let byte = at as u8;
        symbols[at] = match byte {
            b'0'..=b'9' => DIGIT,
            b'A'..=b'Z' | b'a'..=b'z' => LETTER,
            b' ' => SPACE,
            b'-' => DASH,
            _ => NONE,
        };
        let mut other = 0;
        while other < OTHERS.len() {
            if OTHERS[other] == byte as char {
                symbols[at] = DOT + other as u8;
            }
            other += 1;
        }
        at += 1;
    }
    symbols
};

/// A shape may stand for so many ways of writing it with digits and letters.
const MAX_WAYS: usize = 256;
/// An id with letters in front of its first digit has at most so many.
const MAX_LEAD: usize = 16;
/// Rules from this score on are surer than that a telephone number is none.
const SURE: f32 = 0.8;
/// How far behind the text a word may say what it is, in bytes.
const BEHIND: usize = 40;

/// All shapes of an engine.
#[derive(Debug)]
pub(crate) struct Shapes {
    /// The first is the root, to which no edge leads.
    nodes: Vec<Node>,
    /// The shapes that end at the nodes; the first list is empty.
    ends: Vec<Vec<End>>,
    /// Some shape has a separator behind letters that it starts with.
    pub(crate) detached: bool,
    /// Some shape is digits alone, and fewer than numbers of other kinds have.
    pub(crate) short: bool,
}

/// Small, as the walk reads many of them, and waits for each.
#[derive(Debug, Default)]
struct Node {
    next: [u16; SYMBOLS],
    /// The place of the shapes that end here; 0 for none.
    ends: u16,
}

/// A shape of a rule that ends at a node.
#[derive(Clone, Copy, Debug)]
struct End {
    rule: RuleId,
    validator: Option<Validator>,
    /// Only beside a context word.
    cued: bool,
    /// It has a space.
    spaced: bool,
    /// It starts with letters apart from the digits; without a check that says
    /// much these are capitals, or "is 1234567" would be one.
    apart: bool,
}

impl Default for Shapes {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], ends: vec![Vec::new()], detached: false, short: false }
    }
}

impl Shapes {
    /// Says what is wrong with a shape.
    pub(crate) fn check(shape: &str) -> Result<(), &'static str> {
        let characters = shape.chars().filter(|c| matches!(c, '9' | 'A' | 'X')).count();
        if !shape.contains(['9', 'X']) || !(4..=MAX_ID).contains(&characters) {
            return Err("a shape has 4 to 24 digits and letters, and a 9 or X among them");
        }
        if shape.chars().any(|c| !matches!(c, '9' | 'A' | 'X') && separator(c).is_none()) {
            return Err("a shape is written with 9, A, X, space and - . / ( ) +");
        }
        if 1_usize << shape.matches('X').count().min(32) > MAX_WAYS {
            return Err("at most eight X stand in a shape");
        }
        Ok(())
    }

    /// Adds a shape of a rule, one that [`Self::check`] takes.
    pub(crate) fn add(
        &mut self,
        rule: RuleId,
        shape: &str,
        validator: Option<Validator>,
        cued: bool,
    ) -> Result<(), &'static str> {
        let mut at: Vec<u16> = vec![0];
        for c in shape.chars() {
            let symbols: &[u8] = match c {
                '9' => &[DIGIT],
                'A' => &[LETTER],
                'X' => &[DIGIT, LETTER],
                _ => &[separator(c).unwrap_or(SPACE)],
            };
            let from = std::mem::take(&mut at);
            for node in from {
                for &symbol in symbols {
                    at.push(self.child(node, symbol).ok_or("all shapes together are too many; remove some")?);
                }
            }
        }
        let apart = shape.starts_with('A') && shape.trim_start_matches('A').starts_with([' ', '-', '.']);
        self.detached |= apart;
        self.short |= shape.len() < 7 && shape.chars().all(|c| matches!(c, '9' | 'X'));
        for node in at {
            let Some(node) = self.nodes.get_mut(usize::from(node)) else { continue };
            if node.ends == 0 {
                // There are no more of these than of nodes.
                node.ends = self.ends.len() as u16;
                self.ends.push(Vec::new());
            }
            if let Some(ends) = self.ends.get_mut(usize::from(node.ends)) {
                ends.push(End { rule, validator, cued, spaced: shape.contains(' '), apart });
            }
        }
        Ok(())
    }

    fn child(&mut self, node: u16, symbol: u8) -> Option<u16> {
        let fresh = u16::try_from(self.nodes.len()).ok()?;
        let slot = self.nodes.get_mut(usize::from(node))?.next.get_mut(usize::from(symbol))?;
        if *slot == 0 {
            *slot = fresh;
            self.nodes.push(Node::default());
            return Some(fresh);
        }
        Some(*slot)
    }

    fn is_empty(&self) -> bool {
        self.nodes.len() < 2
    }
}

fn separator(c: char) -> Option<u8> {
    match c {
        ' ' | '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => Some(SPACE),
        '-' | '\u{2010}'..='\u{2014}' | '\u{2212}' | '－' => Some(DASH),
        _ => (DOT..).zip(OTHERS).find(|(_, other)| *other == c).map(|(symbol, _)| symbol),
    }
}

/// A text as an id of a rule. Of several a word decides, then the longer one.
#[derive(Clone, Copy)]
struct Reading {
    cued: bool,
    end: usize,
    score: f32,
    rule: RuleId,
    evidence: Evidence,
}

impl Reading {
    fn beats(&self, other: &Self) -> bool {
        (self.cued, self.end, self.score) > (other.cued, other.end, other.score)
    }
}

impl Pass<'_> {
    /// Looks for a shape around the digit at `start`, the first of its run.
    /// Where it finds one, it reports it and returns its end.
    pub(crate) fn shape(&mut self, start: usize) -> Option<usize> {
        if self.engine.shapes.is_empty() {
            return None;
        }
        // A word is looked at once, at the first of its digits.
        let word = self.word_around(start);
        if self.bytes.get(word..start)?.iter().any(u8::is_ascii_digit) {
            return None;
        }
        let lead = if word == start && self.engine.shapes.detached { self.lead(start) } else { None };
        // Letters may come in two groups, too.
        let far = lead.and_then(|lead| self.lead(lead));
        if let Some(lead) = lead {
            let end = far.and_then(|far| self.take_shape(far)).or_else(|| self.take_shape(lead));
            if end.is_some() {
                return end;
            }
        }
        self.take_shape(word)
    }

    /// Reports the best reading of the text from `start` on, and returns its end.
    fn take_shape(&mut self, start: usize) -> Option<usize> {
        let reading = self.read_shape(start)?;
        let Reading { rule, end, score, evidence, .. } = reading;
        self.submit(rule, start, end, score, evidence).then_some(end)
    }

    /// Where the word of letters and digits that holds an offset starts.
    fn word_around(&self, at: usize) -> usize {
        let near = eight::alphanumerics_before(self.bytes, at);
        if near < 8 {
            return at - near;
        }
        let before = self.bytes.get(at.saturating_sub(MAX_LEAD)..at).unwrap_or_default();
        at - before.iter().rev().take_while(|b| b.is_ascii_alphanumeric()).count()
    }

    /// Where up to three letters start that stand before an offset behind one
    /// separator, as in `AB 12 34 56 C`.
    fn lead(&self, at: usize) -> Option<usize> {
        let letters_end = at - self.before(at).filter(|c| separator(*c).is_some_and(|s| s <= DOT))?.len_utf8();
        let before = self.bytes.get(letters_end.saturating_sub(4)..letters_end)?;
        let letters = before.iter().rev().take_while(|b| b.is_ascii_alphabetic()).count();
        (1..=3).contains(&letters).then(|| letters_end - letters)
    }

    /// The best reading of the text from `start` on.
    fn read_shape(&self, start: usize) -> Option<Reading> {
        let Edge::Free { doubt } = self.left_edge(start) else { return None };
        let shapes = &self.engine.shapes;
        let mut id = [0_u8; MAX_ID];
        let mut len = 0;
        let mut node = shapes.nodes.first()?;
        let mut at = start;
        let mut best: Option<Reading> = None;
        let mut in_front = None;
        while let Some(&b) = self.bytes.get(at) {
            let (symbol, byte, width) = match ASCII.get(usize::from(b)) {
                Some(&symbol) => (symbol, b.to_ascii_uppercase(), 1),
                None => self.high_symbol(at)?,
            };
            match node.next.get(usize::from(symbol)) {
                Some(&next) if next > 0 => node = shapes.nodes.get(usize::from(next))?,
                _ => break,
            }
            // No shape has more digits and letters than there is room for.
            if let Some(slot) = id.get_mut(len) {
                *slot = byte;
            }
            len += usize::from(symbol <= LETTER);
            at += width;
            if node.ends == 0 || !self.is_right_edge(at) {
                continue;
            }
            let ends = shapes.ends.get(usize::from(node.ends))?;
            let place = Place { start, end: at, doubt };
            best = self.best_of(ends, id.get(..len)?, &place, &mut in_front, best);
        }
        best
    }

    /// The best reading of all shapes that end at a place, and of one before them.
    /// Few walks come to one: apart from it the walk keeps all in registers.
    #[inline(never)]
    fn best_of(
        &self,
        ends: &[End],
        id: &[u8],
        place: &Place,
        in_front: &mut Option<Heard>,
        mut best: Option<Reading>,
    ) -> Option<Reading> {
        for end in ends {
            if end.spaced && (self.hangs_left(place.start) || self.hangs_right(place.end)) {
                continue;
            }
            if end.apart && end.cued && self.bytes.get(place.start).is_some_and(u8::is_ascii_lowercase) {
                continue;
            }
            let reading = self.judge_shape(end, id, place, in_front);
            if reading.is_some_and(|new| best.is_none_or(|old| new.beats(&old))) {
                best = reading;
            }
        }
        best
    }

    /// The symbol of a character outside ASCII, the digit that it is, and its length.
    #[cold]
    fn high_symbol(&self, at: usize) -> Option<(u8, u8, usize)> {
        let c = self.at(at)?;
        Some(match (self.digit(at), separator(c)) {
            (Some((digit, width)), _) => (DIGIT, b'0' + digit, width),
            (None, symbol) => (symbol.unwrap_or(NONE), 0, c.len_utf8()),
        })
    }

    fn judge_shape(&self, end: &End, id: &[u8], place: &Place, in_front: &mut Option<Heard>) -> Option<Reading> {
        let Place { start, end: at, doubt } = *place;
        let strength = end.validator.map_or(Some(Strength::Plausible), |v| v.strength(id))?;
        let checked = end.validator.is_some() && strength == Strength::Checked;
        let scoring = self.engine.rules.get(end.rule.index())?;
        // Telephone numbers start with 0 and are written in one piece, too.
        let trunk =
            scoring.score < SURE && id.first() == Some(&b'0') && id.len() == at - start && (10..13).contains(&id.len());
        let needs_cue = end.cued || doubt || trunk && id.iter().all(u8::is_ascii_digit);
        let said = if checked {
            self.words_at(|hash| scoring.judge(hash), place, in_front)
        } else {
            // Where the number says little, the word must say more.
            self.words_at(|hash| scoring.judge_own(hash), place, in_front)
        };
        let mut evidence = said.map_or(Evidence::default(), |verdict| verdict.evidence);
        let change = said.map_or(0.0, |verdict| match verdict.evidence {
            Evidence::AGAINST => -verdict.weight,
            _ => verdict.weight,
        });
        let cued = evidence.has(Evidence::CONTEXT | Evidence::LABEL);
        if !cued && (needs_cue || (end.validator.is_some() && !checked)) {
            return None;
        }
        if checked {
            evidence |= Evidence::CHECK_DIGITS;
        }
        Some(Reading { cued, end: at, score: scoring.score + change, rule: end.rule, evidence })
    }

    /// The word that is nearest in front, else the label, else a word behind
    /// that no other number follows. What stands in front is read once.
    fn words_at(
        &self,
        judge: impl Fn(u64) -> Option<Verdict>,
        place: &Place,
        in_front: &mut Option<Heard>,
    ) -> Option<Verdict> {
        let listened = &self.engine.listened;
        let in_front = in_front.get_or_insert_with(|| {
            let from = self.text.floor_char_boundary(place.start.saturating_sub(CONTEXT_BEFORE));
            // A word that the window cuts is another word.
            let cut = self.before(from).is_some_and(char::is_alphabetic);
            let before = self.text.get(from..place.start).unwrap_or_default();
            listened.hear(if cut { before.trim_start_matches(char::is_alphabetic) } else { before })
        });
        if let Some(last) = in_front.said(&judge).last {
            return Some(last);
        }
        match listened.hear_label(self.label).said(&judge).last {
            Some(found) if found.evidence == Evidence::CONTEXT => {
                return Some(Verdict { evidence: Evidence::LABEL, ..found });
            }
            Some(against) => return Some(against),
            None => {}
        }
        let to = self.text.floor_char_boundary((place.end + BEHIND).min(self.text.len()));
        let behind = self.text.get(place.end..to).and_then(|t| t.lines().next()).unwrap_or_default();
        if behind.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let first = listened.hear(behind).said(&judge).first;
        first.filter(|found| found.evidence == Evidence::CONTEXT)
    }

    /// Whether an id can start here: not in the middle of a word, an amount, a
    /// fraction or a longer code.
    fn left_edge(&self, start: usize) -> Edge {
        let Some(c) = self.before(start) else { return Edge::Free { doubt: false } };
        let further = self.before(start - c.len_utf8());
        let digit = further.is_some_and(|c| c.is_ascii_digit());
        let letter = further.is_some_and(letters::joins_as_letter);
        match c {
            '_' if !digit && !letter => Edge::Free { doubt: false },
            '_' | '$' | '€' | '£' | '@' | '\\' | '+' | '%' | '~' | '^' => Edge::Bound,
            '-' | '–' if digit || letter => Edge::Bound,
            '.' | '/' | ':' | ',' if digit => Edge::Bound,
            '#' => Edge::Free { doubt: true },
            c if letters::joins(c) => Edge::Bound,
            // Behind other digits it may be the rest of a longer number.
            c if separator(c) == Some(SPACE) => Edge::Free { doubt: digit },
            _ => Edge::Free { doubt: false },
        }
    }

    /// Whether an id can end here.
    fn is_right_edge(&self, end: usize) -> bool {
        let Some(c) = self.at(end) else { return true };
        let further = self.at(end + c.len_utf8());
        match c {
            '@' | '%' | '€' | '$' | '£' | '\\' => false,
            '-' | '–' | '.' | '_' => !further.is_some_and(letters::joins),
            // No decimal ends with a letter.
            ',' if self.before(end).is_some_and(char::is_alphabetic) => true,
            ',' | '/' | ':' => !further.is_some_and(|c| c.is_ascii_digit()),
            c => !letters::joins(c),
        }
    }

    /// Whether other digits stand in front, behind one separator.
    pub(crate) fn hangs_left(&self, start: usize) -> bool {
        let c = self.before(start);
        c.is_some_and(|c| {
            separator(c).is_some() && self.before(start - c.len_utf8()).is_some_and(|c| c.is_ascii_digit())
        })
    }

    fn hangs_right(&self, end: usize) -> bool {
        let c = self.at(end);
        c.is_some_and(|c| separator(c).is_some() && self.digit(end + c.len_utf8()).is_some())
    }
}

/// Where a text stands that may be an id.
struct Place {
    start: usize,
    end: usize,
    /// A word must say what it is.
    doubt: bool,
}

/// What stands beside an id.
enum Edge {
    Bound,
    /// In doubt a word must say what it is.
    Free {
        doubt: bool,
    },
}
