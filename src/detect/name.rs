//! Names of people: lists, shapes and cues, weighed by a small grammar.
//!
//! A name is up to six words: known names, capitalised words, initials,
//! particles between them. Whether it is one is decided by a sum: what the
//! lists say of its words, what stands in front ("my name is", "Dear", "Dr"),
//! what stands behind ("here"), minus what speaks against it (an ordinary
//! word, small letters, an article).

use crate::detect::finder::Finder;
use crate::detect::lexicon::{Classes, Cue};
use crate::detect::scan::{Evidence, Pass, Pending};
use crate::detect::words::{self, Shape, Word};

const MAX_PARTS: usize = 6;

/// A word of a name.
#[derive(Clone, Copy)]
struct Part {
    word: Word,
    classes: Classes,
    /// In capitals where the words around it are not, or in small letters.
    plain: bool,
}

impl Part {
    fn is_known(&self) -> bool {
        self.classes.has(Classes::GIVEN) || self.classes.has(Classes::SURNAME)
    }

    fn is_ordinary(&self) -> bool {
        [Classes::COMMON, Classes::PLACE, Classes::AFTER].into_iter().any(|c| self.classes.has(c))
    }

    fn is_particle(&self) -> bool {
        self.classes.has(Classes::PARTICLE)
            && match self.word.shape {
                Shape::Lower => true,
                Shape::Capitalised => self.classes.has(Classes::STOP) || !self.is_known(),
                _ => false,
            }
    }
}

/// The words of a candidate.
struct Parts {
    all: [Option<Part>; MAX_PARTS],
    count: usize,
}

impl Parts {
    fn push(&mut self, part: Part) -> bool {
        match self.all.get_mut(self.count) {
            Some(slot) => {
                *slot = Some(part);
                self.count += 1;
                true
            }
            None => false,
        }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &Part> {
        self.all.iter().take(self.count).flatten()
    }

    fn last(&self) -> Option<&Part> {
        self.iter().next_back()
    }
}

impl Pass<'_> {
    /// Looks for a name that starts with `word`; gives its end.
    pub(crate) fn name(&mut self, word: &Word, classes: Classes) -> Option<usize> {
        let cue = self.cue_at(word.start);
        let ordinary = classes.has(Classes::COMMON) || classes.has(Classes::PLACE);
        if cue.is_none() && ordinary && word.shape == Shape::Lower {
            return None;
        }
        let known = classes.has(Classes::GIVEN) || classes.has(Classes::SURNAME);
        let loud = word.shape == Shape::Upper && cue.is_some_and(|c| c.cue >= Cue::SignOff);
        let capital = loud || matches!(word.shape, Shape::Capitalised | Shape::Mixed(true) | Shape::Initial);
        let strong = cue.is_some_and(|c| c.cue >= Cue::Strong);
        let particle = strong && classes.has(Classes::PARTICLE);
        let initial = self.is_initial(word);
        if word.is_too_long() || (classes.has(Classes::STOP) && !particle && !initial) {
            return None;
        }
        if !known && !particle && (!capital || (cue.is_none() && classes.has(Classes::COMMON))) {
            return None;
        }
        if (word.shape == Shape::Initial && !initial) || classes.has(Classes::TITLE) || classes.has(Classes::DIRECTION)
        {
            return None;
        }
        if classes.has(Classes::ORGANISATION) || !self.is_free_before(word.start) {
            return None;
        }
        let parts = self.parts(*word, classes, cue)?;
        let (finder, score, evidence) = self.weigh(&parts, cue)?;
        let end = parts.last()?.word.end;
        if score < self.plan.lowest() - 0.001 || !self.is_free_behind(&parts, end) {
            return None;
        }
        if cue.is_none_or(|c| c.cue < Cue::Strong) && self.is_date(&parts, end) {
            return None;
        }
        self.report(finder, word.start, end, score, evidence).then_some(end)
    }

    /// The cue that waits for a name at `start`, if only light punctuation
    /// stands between.
    fn cue_at(&mut self, start: usize) -> Option<Pending> {
        let mut pending = self.cue?;
        let gap = match self.text.get(pending.end..start) {
            Some(gap) if gap.len() <= 6 => gap,
            _ => {
                self.cue = None;
                return None;
            }
        };
        let light = |c: char| {
            matches!(
                c,
                ' ' | '\u{a0}'
                    | '\t'
                    | ','
                    | ':'
                    | '"'
                    | '\''
                    | '*'
                    | '\n'
                    | '\r'
                    | '-'
                    | '='
                    | '“'
                    | '„'
                    | '’'
                    | '!'
                    | '('
            )
        };
        if !gap.chars().all(|c| light(c) || (c == '.' && pending.cue == Cue::Title)) {
            self.cue = None;
            return None;
        }
        match pending.cue {
            // A farewell stands on the line before; else it is but a word of thanks.
            Cue::SignOff if !gap.contains('\n') => pending.cue = Cue::Greeting,
            Cue::Field if pending.label || gap.contains([':', '=']) => pending.cue = Cue::Strong,
            Cue::Field => pending.cue = Cue::Hint,
            Cue::Strong | Cue::Weak | Cue::Hint | Cue::Title if gap.contains('\n') && !pending.label => return None,
            Cue::Weak | Cue::Hint | Cue::Title if gap.contains([',', '!', '(']) => return None,
            _ => {}
        }
        Some(pending)
    }

    /// The words of the name, from its first on.
    fn parts(&self, first: Word, classes: Classes, cue: Option<Pending>) -> Option<Parts> {
        let particle =
            classes.has(Classes::PARTICLE) && first.shape == Shape::Lower && cue.is_some_and(|c| c.cue >= Cue::Strong);
        let lower = !particle && matches!(first.shape, Shape::Lower | Shape::Upper | Shape::Mixed(false));
        let mut parts = Parts { all: [None; MAX_PARTS], count: 0 };
        let shouted = first.shape == Shape::Upper;
        let loud = shouted && cue.is_some_and(|c| c.cue >= Cue::SignOff);
        parts.push(Part { word: first, classes, plain: lower });
        while let Some(last) = parts.last().copied() {
            let Some((start, hyphen)) = self.next_part(&parts, &last.word) else { break };
            let Some(word) = words::read(self.text, start) else { break };
            let classes = self.engine.lexicon.classes(word.hash);
            let part = Part { word, classes, plain: lower };
            let initial = self.is_initial(&word);
            if word.is_too_long() || (classes.has(Classes::STOP) && !part.is_particle() && !hyphen && !initial) {
                break;
            }
            if classes.has(Classes::TITLE) && !hyphen {
                break;
            }
            if classes.has(Classes::ORGANISATION) && !hyphen {
                // "Victoria Street", "Johnson GmbH": a place or a firm, whatever stands in front.
                if cue.is_none_or(|c| c.cue < Cue::SignOff) {
                    return None;
                }
                break;
            }
            let fits = match word.shape {
                Shape::Upper if loud => !part.is_ordinary() || part.is_known(),
                Shape::Lower if hyphen => word.end - word.start <= 5,
                Shape::Capitalised | Shape::Mixed(true) if shouted => part.is_known(),
                Shape::Capitalised | Shape::Mixed(true) => !lower && (hyphen || part.is_known() || !part.is_ordinary()),
                Shape::Initial => !lower && initial,
                Shape::Upper => part.is_known() && (shouted || !part.is_ordinary()),
                Shape::Lower if part.is_particle() => true,
                Shape::Lower => lower && !shouted && part.is_known() && !part.is_ordinary(),
                Shape::Mixed(false) => false,
            };
            if !fits || !parts.push(part) {
                break;
            }
        }
        while parts.count > 1 && parts.last().is_some_and(Part::is_particle) {
            parts.count -= 1;
        }
        Some(parts)
    }

    /// Where the next word of a name would start, and whether a hyphen or an
    /// apostrophe joins it.
    fn next_part(&self, parts: &Parts, last: &Word) -> Option<(usize, bool)> {
        let end = last.end;
        let short = end - last.start <= 2;
        match self.at(end)? {
            ' ' => Some((end + if self.bytes.get(end + 1) == Some(&b' ') { 2 } else { 1 }, false)),
            c @ ('\u{a0}' | '\u{202f}') => Some((end + c.len_utf8(), false)),
            c @ ('-' | '\u{2010}' | '\u{2011}') => Some((end + c.len_utf8(), true)),
            c @ ('\'' | '’') if short => Some((end + c.len_utf8(), true)),
            // "Novak, Jana"
            ',' if parts.count == 1 && self.bytes.get(end + 1) == Some(&b' ') => {
                let first = parts.last()?;
                let next = words::read(self.text, end + 2)?;
                let classes = self.engine.lexicon.classes(next.hash);
                let given = classes.has(Classes::GIVEN) && !classes.has(Classes::COMMON) && !classes.has(Classes::STOP);
                let family =
                    first.classes.has(Classes::SURNAME) && !first.classes.has(Classes::GIVEN) && !first.is_ordinary();
                let capitals =
                    matches!((last.shape, next.shape), (Shape::Capitalised | Shape::Mixed(true), Shape::Capitalised));
                (given && family && capitals).then_some((end + 2, false))
            }
            '.' if matches!(last.shape, Shape::Initial) => {
                Some((end + if self.bytes.get(end + 1) == Some(&b' ') { 2 } else { 1 }, false))
            }
            _ => None,
        }
    }

    fn weigh(&self, parts: &Parts, cue: Option<Pending>) -> Option<(Finder, f32, Evidence)> {
        let first = parts.iter().find(|p| !p.is_particle())?;
        let single = parts.count == 1;
        let mut evidence = Evidence::default();
        let mut score: f32 =
            match (first.classes.has(Classes::GIVEN), first.classes.has(Classes::SURNAME), first.is_ordinary()) {
                (true, _, false) => 0.6,
                (true, _, true) => 0.3,
                (false, true, false) => 0.25,
                (false, true, true) => 0.1,
                _ => 0.0,
            };
        if first.classes.has(Classes::GIVEN) {
            evidence |= Evidence::GIVEN;
        }
        if first.is_ordinary() {
            evidence |= Evidence::COMMON;
        }
        let initial = first.word.shape == Shape::Initial;
        if first.is_known() && !initial && first.word.end - first.word.start <= 2 {
            score -= 0.2;
        }
        let mut best: f32 = 0.0;
        for part in parts.iter().skip_while(|p| p.word.start <= first.word.start).filter(|p| !p.is_particle()) {
            let known = part.is_known() || self.is_patronymic(&part.word);
            if known {
                evidence |= Evidence::SURNAME;
            }
            best = best.max(if known && !part.is_ordinary() { 0.35 } else { 0.15 });
        }
        if initial {
            // "J. Novak" is a name; "J. Something" is none.
            let initials = parts.iter().filter(|p| p.word.shape == Shape::Initial).count();
            score = if best > 0.3 || (initials > 1 && parts.count > initials) { 0.35 } else { 0.0 };
        }
        score += best;
        let strong = cue.is_some_and(|c| c.cue >= Cue::SignOff);
        if first.plain {
            score -= match first.word.shape {
                Shape::Upper if strong => 0.1,
                Shape::Upper if single => 0.5,
                _ => 0.35,
            };
            evidence |= Evidence::LOWER_CASE;
        } else if !first.is_known()
            && !initial
            && cue.is_none()
            && first.word.end - first.word.start < 4
            && self.starts_sentence(first.word.start)
        {
            // The capital says nothing there.
            score -= 0.15;
        } else if !first.is_known() && !initial && best > 0.3 {
            score += 0.15;
        }
        if !strong {
            let before = self.recent.newest_first().next().map(|hash| self.engine.lexicon.classes(hash));
            let before = before.unwrap_or_default();
            if (cue.is_none() && before.has(Classes::ARTICLE)) || before.has(Classes::DIRECTION) {
                score -= 0.4;
            }
            if single && self.is_beside_ampersand(parts) {
                score -= 0.4;
            }
        }
        let mut finder = Finder::PersonName;
        match cue.map(|c| c.cue) {
            Some(Cue::Title) if !first.is_ordinary() || (first.is_known() && !first.plain) => {
                score += 0.6;
                evidence |= Evidence::TITLE;
                finder = Finder::PersonTitle;
            }
            Some(Cue::Strong) if !first.is_ordinary() || first.is_known() => {
                score += 0.5;
                evidence |= if cue.is_some_and(|c| c.label) { Evidence::LABEL } else { Evidence::STRONG_CUE };
                finder = Finder::PersonCue;
            }
            Some(Cue::SignOff) => {
                score += 0.4;
                evidence |= Evidence::SIGN_OFF;
                finder = Finder::PersonCue;
            }
            Some(Cue::Weak) => {
                score += 0.3;
                evidence |= Evidence::WEAK_CUE;
            }
            Some(Cue::Hint) => {
                score += 0.15;
                evidence |= Evidence::WEAK_CUE;
            }
            Some(Cue::Greeting) => {
                score += 0.3;
                evidence |= Evidence::GREETING;
            }
            _ => {}
        }
        let end = parts.last()?.word.end;
        if self.is_paired(first, end) {
            score += 0.3;
            evidence |= Evidence::AFTER;
        }
        if let Some(next) = self.bytes.get(end).filter(|b| **b == b' ').and_then(|_| words::read(self.text, end + 1))
            && self.engine.lexicon.classes(next.hash).has(Classes::AFTER)
        {
            score += 0.3;
            evidence |= Evidence::AFTER;
        }
        Some((finder, score.min(0.99), evidence))
    }

    /// "J." of "J. Novak", "O'" of "O'Brien"; not "I'" of "I'm".
    fn is_initial(&self, word: &Word) -> bool {
        word.shape == Shape::Initial
            && match self.at(word.end) {
                Some('.') => true,
                Some(c @ ('\'' | '’')) => self.at(word.end + c.len_utf8()).is_some_and(char::is_uppercase),
                _ => false,
            }
    }

    /// "05 Jan 2026", "Tue, 5", "Tue May 5": that Jan is a name too matters only
    /// where no number and no other such word stands beside it.
    fn is_date(&self, parts: &Parts, end: usize) -> bool {
        if !parts.iter().all(|part| part.classes.has(Classes::CALENDAR)) {
            return false;
        }
        let is_gap = |b: &u8| matches!(b, b' ' | b',' | b'-' | b'/' | b'.' | b'+');
        let start = parts.iter().next().map_or(end, |part| part.word.start);
        let before = self.bytes.get(..start).unwrap_or_default().iter().rev().take(3).find(|b| !is_gap(b));
        let behind = end + self.bytes.get(end..).unwrap_or_default().iter().take(3).take_while(|b| is_gap(b)).count();
        before.is_some_and(u8::is_ascii_digit)
            || self.bytes.get(behind).is_some_and(u8::is_ascii_digit)
            || words::read(self.text, behind)
                .is_some_and(|next| self.engine.lexicon.classes(next.hash).has(Classes::CALENDAR))
    }

    /// Whether another name stands beside: "daniel and vanessa".
    fn is_paired(&self, first: &Part, end: usize) -> bool {
        if self.named_until > 0
            && let Some(between) = self.text.get(self.named_until..first.word.start)
            && (3..=8).contains(&between.len())
            && between.starts_with(' ')
            && let Some(and) = words::read(self.text, self.named_until + 1)
            && and.end + 1 == first.word.start
        {
            return self.engine.lexicon.classes(and.hash).has(Classes::AND);
        }
        if self.bytes.get(end) != Some(&b' ') || !first.classes.has(Classes::GIVEN) {
            return false;
        }
        let Some(and) = words::read(self.text, end + 1) else { return false };
        if !self.engine.lexicon.classes(and.hash).has(Classes::AND) || self.bytes.get(and.end) != Some(&b' ') {
            return false;
        }
        let Some(other) = words::read(self.text, and.end + 1) else { return false };
        let classes = self.engine.lexicon.classes(other.hash);
        let ordinary = [Classes::COMMON, Classes::PLACE, Classes::STOP].into_iter().any(|c| classes.has(c));
        classes.has(Classes::GIVEN) && !ordinary && other.shape == first.word.shape && other.end - other.start > 2
    }

    /// What only family names look like: a capital behind "Mc" or "Mac".
    fn is_patronymic(&self, word: &Word) -> bool {
        word.shape == Shape::Mixed(true)
            && self.text.get(word.start..word.end).is_some_and(|t| t.starts_with("Mc") || t.starts_with("Mac"))
    }

    /// "Johnson & Johnson" is a firm.
    fn is_beside_ampersand(&self, parts: &Parts) -> bool {
        let (Some(first), Some(last)) = (parts.iter().next(), parts.last()) else { return false };
        let before = self.text.get(..first.word.start).unwrap_or_default().trim_end_matches(' ');
        let behind = self.text.get(last.word.end..).unwrap_or_default().trim_start_matches(' ');
        before.ends_with('&') || behind.starts_with('&')
    }

    fn starts_sentence(&self, start: usize) -> bool {
        let before = self.text.get(..start).unwrap_or_default();
        match before.trim_end_matches([' ', '"', '\'', '“', '„', '(', '*', '-', '\t', '>']).chars().next_back() {
            None => true,
            Some(c) => matches!(c, '.' | '!' | '?' | '\n' | ':' | '…' | '|'),
        }
    }

    /// Not in the middle of a path, handle, number or longer word.
    fn is_free_before(&self, start: usize) -> bool {
        match self.before(start) {
            None => true,
            Some('@' | '#' | '/' | '\\' | '_' | '&' | '+' | '$' | '~') => false,
            Some('-' | '.' | ':') => {
                let c = self.text.get(..start - 1).and_then(|t| t.chars().next_back());
                let colon = self.bytes.get(start - 1) == Some(&b':');
                !c.is_some_and(|c| if colon { c == ':' } else { c.is_alphanumeric() || c == ')' })
            }
            Some(c) => !c.is_alphanumeric(),
        }
    }

    fn is_free_behind(&self, parts: &Parts, end: usize) -> bool {
        let next = self.bytes.get(end + 1);
        let joined = |c: Option<&u8>| c.is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80);
        match self.at(end) {
            None => true,
            Some('_' | '@' | '\\' | '=' | '<') => false,
            Some('(') => parts.count > 1,
            Some('.' | '-') => !joined(next) || (parts.last().is_some_and(|p| p.word.shape == Shape::Initial)),
            Some(':') => next != Some(&b':') && next != Some(&b'/'),
            Some(c) => !c.is_alphanumeric(),
        }
    }
}
