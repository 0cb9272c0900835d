//! The hand-made part of the judgement: what the lists say of the words, what
//! stands in front and behind, summed up. Its sum is evidence for the model.

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::lexicon::{Classes, Cue};
use crate::detect::name::run::{Gap, Run, Token};
use crate::detect::scan::{Pass, Pending};
use crate::detect::words::{self, Shape, Word};

/// A name has at most so many words.
const MAX_PARTS: usize = 6;

/// Behind such a word stands no name where no cue announces one.
const ARTICLE_OR_DIRECTION: Classes = Classes::of(&[Classes::ARTICLE, Classes::DIRECTION]);

/// What the lists say of a first word, by [`Token::listed`]: a table needs no branch.
const LISTED: [f32; 8] = [0.0, 0.6, 0.25, 0.6, 0.0, 0.3, 0.1, 0.3];

/// What the grammar makes of the words from one on.
pub(crate) struct Verdict {
    /// How many words the name has.
    pub(crate) count: usize,
    pub(crate) score: f32,
    pub(crate) evidence: Evidence,
}

/// The finder that reports a name behind such a cue.
pub(crate) fn finder_of(cue: Option<Pending>) -> Finder {
    match cue.map(|c| c.cue) {
        Some(Cue::Title) => Finder::PersonTitle,
        Some(Cue::Strong | Cue::SignOff) => Finder::PersonCue,
        _ => Finder::PersonName,
    }
}

/// What a cue says for a name, and how it is told.
fn said_by(cue: Pending) -> (f32, Evidence) {
    match cue.cue {
        Cue::Title => (0.6, Evidence::TITLE),
        Cue::Strong => (0.5, if cue.label { Evidence::LABEL } else { Evidence::STRONG_CUE }),
        Cue::SignOff => (0.4, Evidence::SIGN_OFF),
        Cue::Weak => (0.3, Evidence::WEAK_CUE),
        Cue::Hint => (0.15, Evidence::WEAK_CUE),
        Cue::Greeting => (0.3, Evidence::GREETING),
        _ => (0.0, Evidence::default()),
    }
}

/// In capitals where the words around are not, or in small letters.
fn is_plain(first: &Token, cue: Option<Pending>) -> bool {
    let particle = first.classes.has(Classes::PARTICLE)
        && first.word.shape == Shape::Lower
        && cue.is_some_and(|c| c.cue >= Cue::Strong);
    !particle && matches!(first.word.shape, Shape::Lower | Shape::Upper | Shape::Hump)
}

impl Pass<'_> {
    /// The grammar's verdict on the words of the run from `from` on, `None`
    /// where no name starts there.
    pub(crate) fn verdict(&self, run: &Run, from: usize) -> Option<Verdict> {
        let cue = run.cue.filter(|_| from == 0);
        let all = run.tokens().get(from..)?;
        let parts = parts(all, cue)?;
        let (score, evidence) = self.weigh(run, from, parts, cue)?;
        Some(Verdict { count: parts.len(), score, evidence })
    }

    #[expect(clippy::needless_bitwise_bool, reason = "the processor would guess branches wrong")]
    fn weigh(&self, run: &Run, from: usize, parts: &[Token], cue: Option<Pending>) -> Option<(f32, Evidence)> {
        let at = parts.iter().position(|p| !p.is_particle())?;
        let (first, behind) = parts.get(at..)?.split_first()?;
        let plain = parts.first().is_some_and(|p| is_plain(p, cue));
        let single = parts.len() == 1;
        let mut evidence = Evidence::default();
        let mut score = LISTED[first.listed() & 7];
        if first.classes.has(Classes::GIVEN) {
            evidence |= Evidence::GIVEN;
        }
        if first.is_ordinary() {
            evidence |= Evidence::COMMON;
        }
        let initial = first.word.shape == Shape::Initial;
        if first.is_known() && !initial && first.len() <= 2 {
            score -= 0.2;
        }
        let mut best: f32 = 0.0;
        for part in behind.iter().filter(|p| !p.is_particle()) {
            let known = part.is_known() || self.is_patronymic(part);
            if known {
                evidence |= Evidence::SURNAME;
            }
            best = best.max(if known && !part.is_ordinary() { 0.35 } else { 0.15 });
        }
        if initial {
            // "J. Novak" is a name; "J. Something" is none.
            let initials = parts.iter().filter(|p| p.word.shape == Shape::Initial).count();
            score = if best > 0.3 || (initials > 1 && parts.len() > initials) { 0.35 } else { 0.0 };
        }
        score += best;
        let strong = cue.is_some_and(|c| c.cue >= Cue::SignOff);
        let unlisted = !first.is_known() & !initial;
        if plain {
            score -= match first.word.shape {
                Shape::Upper if strong => 0.1,
                Shape::Upper if single => 0.5,
                _ => 0.35,
            };
            evidence |= Evidence::LOWER_CASE;
        } else if unlisted & cue.is_none() & (first.len() < 4) && self.starts_sentence(first.word.start) {
            // The capital says nothing there.
            score -= 0.15;
        } else if unlisted & (best > 0.3) {
            score += 0.15;
        }
        if !strong {
            let before = if let Some(token) = from.checked_sub(1).and_then(|i| run.tokens().get(i)) {
                token.classes
            } else {
                let hash = self.recent.newest_first().next();
                hash.map(|h| self.engine.lexicon.classes(h)).unwrap_or_default()
            };
            let against = if cue.is_none() { ARTICLE_OR_DIRECTION } else { Classes::DIRECTION };
            if before.has(against) {
                score -= 0.4;
            }
            if single && self.is_beside_ampersand(parts) {
                score -= 0.4;
            }
        }
        if let Some(cue) = cue {
            let (raise, told) = said_by(cue);
            let heeded = match cue.cue {
                Cue::Title => !first.is_ordinary() | (first.is_known() & !plain),
                Cue::Strong => !first.is_ordinary() | first.is_known(),
                _ => true,
            };
            if heeded {
                score += raise;
                evidence |= told;
            }
        }
        let end = parts.last()?.word.end;
        let next = if self.bytes.get(end) == Some(&b' ') { self.word_behind(run, end + 1) } else { None };
        if self.is_paired(first, next) {
            score += 0.3;
            evidence |= Evidence::AFTER;
        }
        if next.is_some_and(|(_, classes)| classes.has(Classes::AFTER)) {
            score += 0.3;
            evidence |= Evidence::AFTER;
        }
        Some((score.min(0.99), evidence))
    }

    /// Whether another name stands beside: "daniel and vanessa".
    #[inline]
    fn is_paired(&self, first: &Token, next: Option<(Word, Classes)>) -> bool {
        let between = first.word.start.wrapping_sub(self.named_until);
        if (self.named_until > 0) & (3..=8).contains(&between)
            && let Some(is_and) = self.is_and_between(self.named_until, first.word.start)
        {
            return is_and;
        }
        next.is_some_and(|(and, classes)| {
            first.classes.has(Classes::GIVEN) & classes.has(Classes::AND) && self.is_before_like(first, &and)
        })
    }

    /// Whether the word that is all that stands between two names is an "and".
    fn is_and_between(&self, from: usize, to: usize) -> Option<bool> {
        let and = words::read(self.text, from + 1).filter(|and| and.end + 1 == to)?;
        (self.bytes.get(from) == Some(&b' ')).then(|| self.engine.lexicon.classes(and.hash).has(Classes::AND))
    }

    /// Whether a given name written like the first stands behind the "and".
    fn is_before_like(&self, first: &Token, and: &Word) -> bool {
        if self.bytes.get(and.end) != Some(&b' ') {
            return false;
        }
        let Some(other) = words::read(self.text, and.end + 1) else { return false };
        let classes = self.engine.lexicon.classes(other.hash);
        let ordinary = classes.has(Classes::of(&[Classes::COMMON, Classes::PLACE, Classes::STOP]));
        classes.has(Classes::GIVEN) && !ordinary && other.shape == first.word.shape && other.end - other.start > 2
    }

    /// What only family names look like: a capital behind "Mc" or "Mac".
    fn is_patronymic(&self, token: &Token) -> bool {
        token.word.shape == Shape::Mixed
            && self
                .text
                .get(token.word.start..token.word.end)
                .is_some_and(|t| t.starts_with("Mc") || (t.starts_with("Mac") && token.len() > 5))
    }

    /// "Johnson & Johnson" is a firm.
    fn is_beside_ampersand(&self, parts: &[Token]) -> bool {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
        let (start, end) = (first.word.start, last.word.end);
        // Beyond the one space that is nearly always there.
        let space = |at: usize| usize::from(self.bytes.get(at) == Some(&b' '));
        let before = self.bytes.get(..start - space(start.wrapping_sub(1))).unwrap_or_default();
        let behind = self.bytes.get(end + space(end)..).unwrap_or_default();
        let is_other = |b: &&u8| **b != b' ';
        before.iter().rev().find(is_other) == Some(&b'&') || behind.iter().find(is_other) == Some(&b'&')
    }

    pub(crate) fn starts_sentence(&self, start: usize) -> bool {
        let edge = |back: usize| match self.bytes.get(start.wrapping_sub(back)) {
            Some(b) => EDGES.get(usize::from(*b)).copied().unwrap_or(Edge::Unclear),
            None => Edge::Start,
        };
        // Nearly always it is one space.
        let near = edge(1);
        match if near == Edge::Between { edge(2) } else { near } {
            Edge::Start => true,
            Edge::Within => false,
            Edge::Between | Edge::Unclear => self.starts_sentence_behind_signs(start),
        }
    }

    #[cold]
    #[inline(never)]
    fn starts_sentence_behind_signs(&self, start: usize) -> bool {
        let before = self.text.get(..start).unwrap_or_default();
        match before.trim_end_matches([' ', '"', '\'', '“', '„', '(', '*', '-', '\t', '>']).chars().next_back() {
            None => true,
            Some(c) => matches!(c, '.' | '!' | '?' | '\n' | ':' | '…' | '|'),
        }
    }
}

/// What a character in front of a word says of whether a sentence starts there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Start,
    Within,
    /// Those in front of it count.
    Between,
    /// Outside ASCII.
    Unclear,
}

/// The characters of ASCII.
static EDGES: [Edge; 128] = {
    let mut edges = [Edge::Within; 128];
    let mut at = 0;
    while at < edges.len() {
        edges[at] = match at as u8 {
            b'.' | b'!' | b'?' | b'\n' | b':' | b'|' => Edge::Start,
            b' ' | b'"' | b'\'' | b'(' | b'*' | b'-' | b'\t' | b'>' => Edge::Between,
            _ => Edge::Within,
        };
        at += 1;
    }
    edges
};

/// The words that a name would have, were one to start with the first.
fn parts(all: &[Token], cue: Option<Pending>) -> Option<&[Token]> {
    let first = all.first()?;
    let lower = is_plain(first, cue);
    let shouted = first.word.shape == Shape::Upper;
    let loud = shouted && cue.is_some_and(|c| c.cue >= Cue::SignOff);
    let mut count = 1;
    for part in all.iter().skip(1).take(MAX_PARTS - 1) {
        let hyphen = matches!(part.gap, Gap::Hyphen | Gap::Apostrophe);
        if part.classes.has(Classes::ORGANISATION) && !hyphen {
            // "Victoria Street", "Johnson GmbH": a place or a firm, whatever stands in front.
            if cue.is_none_or(|c| c.cue < Cue::SignOff) {
                return None;
            }
            break;
        }
        let known = part.is_known();
        let fits = match part.word.shape {
            Shape::Upper if loud => !part.is_ordinary() || known,
            Shape::Lower if hyphen => part.len() <= 5,
            Shape::Capitalised | Shape::Mixed if shouted => known,
            Shape::Capitalised | Shape::Mixed => !lower && (hyphen || known || !part.is_ordinary()),
            Shape::Initial => !lower,
            Shape::Upper => known && (shouted || !part.is_ordinary()),
            Shape::Lower if part.is_particle() => true,
            Shape::Lower => lower && !shouted && known && !part.is_ordinary(),
            Shape::Hump => false,
        };
        if !fits {
            break;
        }
        count += 1;
    }
    while count > 1 && all.get(count - 1).is_some_and(Token::is_particle) {
        count -= 1;
    }
    all.get(..count)
}
