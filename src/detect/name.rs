//! Names of people.
//!
//! Where a name can stand (at a word that the lists know, a capitalised one,
//! one behind a cue) the words side by side are taken as a run. A grammar sums
//! up what lists and cues say of its words; a small linear model weighs this
//! with the words around, their shapes and endings, and labels the run. What no
//! model may overrule (parts of addresses, handles and paths are no names) is
//! asked before and after.

mod feature;
mod grammar;
mod inflection;
mod memory;
mod model;
mod run;
mod train;

use memory::Memory;
pub(crate) use model::Model;
pub(crate) use train::Lesson;
pub use train::{Progress, Sample, Schedule, TemplateError, TrainError, Trainer};

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::lexicon::{Classes, Cue, phrase_hash};
use crate::detect::scan::{Pass, Pending, THRESHOLD};
use crate::detect::words::{self, Shape, Word};
use feature::Opinion;
use model::{BEGINS, OTHER, Odds, Sum};
use run::{Gap, MAX_RUN, Run, Token};
use std::hash::{Hash as _, Hasher};
use std::ops::Range;

/// A name that was seen before in the same conversation needs this share of the
/// model's threshold.
const KNOWN_HERE: f32 = 0.3;

/// In small letters and with no cue in front it must be this sure.
const SMALL_LETTERS: f32 = 0.6;

/// Behind a title it needs this share of the threshold.
const TITLED: f32 = 0.6;

/// Two names stand side by side only where the model is so much surer of it than
/// of one.
const APART: f32 = 2.0;

/// In front of a name a given name needs this share of the threshold.
const BEFORE_A_NAME: f32 = 0.4;

/// So many words of a text are looked at again.
const MAX_MISSED: usize = 16;

/// What the search for names keeps, in memory that the next text uses again.
#[derive(Default)]
pub(crate) struct Kept {
    /// The spans that were found in the last run, in order.
    spans: Vec<Span>,
    /// Words that were taken for no name, the first ones: they are, where their
    /// name turns up later in the text.
    missed: Vec<Token>,
    /// The names that are known in this conversation.
    memory: Memory,
}

impl Kept {
    /// Forgets the last text, but for its conversation.
    fn start_text(&mut self) {
        self.spans.clear();
        self.missed.clear();
    }

    /// Forgets all names.
    pub(crate) fn forget(&mut self) {
        self.memory.clear();
    }

    /// How many words of names were learned since.
    pub(crate) fn learned(&self) -> u64 {
        self.memory.learned()
    }

    /// The words of names that were learned since there were so many, in order,
    /// and where they stand in the text; none where that is not known of all.
    pub(crate) fn learned_since(&self, count: u64) -> Option<impl Iterator<Item = (u64, Range<usize>)>> {
        self.memory.learned_since(count)
    }

    /// Learns a word of a name that stands here in the text.
    pub(crate) fn learn(&mut self, hash: u64, at: Range<usize>) {
        self.memory.add(hash, at);
    }

    /// Feeds a hash with the names that are known.
    pub(crate) fn hash_known(&self, state: &mut impl Hasher) {
        self.memory.hash(state);
    }
}

/// What the pass knows of the run it is in.
pub(crate) struct Names<'a> {
    kept: &'a mut Kept,
    judged_from: usize,
    /// Words before this offset belong to the last run.
    judged_until: usize,
    /// The letters around the last run.
    letters: feature::Window,
    /// In training: what the labels are, and where features go.
    lesson: Option<&'a mut train::Lesson>,
}

impl<'a> Names<'a> {
    /// At the start of a text.
    pub(crate) fn new(kept: &'a mut Kept) -> Self {
        kept.start_text();
        Self { kept, judged_from: 0, judged_until: 0, letters: feature::Window::default(), lesson: None }
    }

    /// At the start of a text to learn from.
    pub(crate) fn taught(kept: &'a mut Kept, lesson: &'a mut train::Lesson) -> Self {
        Self { lesson: Some(lesson), ..Self::new(kept) }
    }

    /// 0 where a word is none of a name that is known; else it may be.
    #[inline]
    pub(crate) fn trace(&self, hash: u64) -> u64 {
        self.kept.memory.trace(hash)
    }

    /// Whether an offset is one of the last run's.
    #[inline]
    pub(crate) fn is_in_run(&self, at: usize) -> bool {
        at < self.judged_until
    }
}

/// A name in a run.
#[derive(Clone, Copy, Default)]
struct Span {
    start: usize,
    end: usize,
    score: f32,
    evidence: Evidence,
    titled: u8,
}

/// What the model gives a word of a run.
#[derive(Clone, Copy, Default)]
struct Chance {
    /// How likely it is one of a name.
    person: f32,
    /// How likely it must be.
    wanted: f32,
    /// What stands behind is a name, and so it is one the sooner.
    fronts: bool,
}

impl Pass<'_> {
    /// Looks for a name that starts with `word`; gives its end.
    pub(crate) fn name(&mut self, word: &Word, classes: Classes) -> Option<usize> {
        // A cue within the last run makes what follows a run of its own.
        let cued = self.cue.is_some_and(|c| c.end > self.names.judged_from);
        if !self.names.is_in_run(word.start) | cued {
            let cue = self.cue_at(word.start);
            if !self.may_start(word, classes, cue) {
                return None;
            }
            self.names.judged_from = word.start;
            self.judge(*word, classes, cue);
        }
        let span = self.names.kept.spans.iter().find(|s| s.start == word.start)?;
        let Span { start, end, score, evidence, titled } = *span;
        let finder = match titled {
            2 => Finder::PersonTitle,
            1 => Finder::PersonCue,
            _ => Finder::PersonName,
        };
        let start = self.article_before(start).unwrap_or(start);
        self.report(finder, start, end, score, evidence).then_some(end)
    }

    /// Whether it is worth to look at the words from this one on.
    #[expect(clippy::needless_bitwise_bool, reason = "the processor would guess branches wrong")]
    fn may_start(&self, word: &Word, classes: Classes, cue: Option<Pending>) -> bool {
        if self.is_small_initial(word) {
            return self.is_free_before(word.start);
        }
        // Bits, where nothing need be looked up: of truths the compiler would make a
        // branch for each, and the processor would guess wrong more often.
        let ordinary = classes.has(Classes::of(&[Classes::COMMON, Classes::PLACE]));
        let small = word.shape == Shape::Lower;
        if cue.is_none() & ordinary & small && !self.has_family(word, classes) {
            return false;
        }
        let remembered = self.names.kept.memory.knows(word.hash);
        let known = remembered | classes.has(Classes::of(&[Classes::GIVEN, Classes::SURNAME]));
        let strong = cue.is_some_and(|c| c.cue >= Cue::Strong);
        let capital = !small & (word.shape != Shape::Hump);
        let particle = strong & classes.has(Classes::PARTICLE);
        let initial = word.shape == Shape::Initial && (self.is_initial(word) || self.is_name_of_initial(word.end));
        let stop = classes.has(Classes::STOP) & !particle & !initial;
        if word.is_too_long() || (stop && !self.is_name_in_spite(word, classes)) {
            return false;
        }
        // In "?name=firefox" nothing but the key speaks for a name.
        let value = self.before(word.start) == Some('=');
        let dull = !capital & (!strong | value) | cue.is_none() & classes.has(Classes::COMMON);
        let refused = classes.has(Classes::of(&[Classes::TITLE, Classes::DIRECTION]))
            | (word.shape == Shape::Initial) & !initial
            | classes.has(Classes::ORGANISATION) & cue.is_none();
        if !known & !particle & dull | refused {
            return false;
        }
        let token = Token { word: *word, classes, gap: Gap::First };
        let announces = classes.has(Classes::ends_phrase(1))
            && (self.is_salutation(word, classes) || (!particle && !initial && self.is_cue_alone(&token)));
        !announces && self.is_free_before(word.start)
    }

    /// "Caro Corrado", "Dragă Mălina": the first word is a name too, but not here.
    fn is_salutation(&self, word: &Word, classes: Classes) -> bool {
        if word.shape != Shape::Capitalised || !self.has_capital_next(word.end) {
            return false;
        }
        match self.engine.lexicon.cue(phrase_hash(std::iter::once(word.hash))) {
            Some(Cue::Strong | Cue::Greeting) => self.starts_sentence(word.start),
            // "Mein Sohn Jonas"
            Some(Cue::Weak) => !classes.has(Classes::GIVEN),
            _ => false,
        }
    }

    /// "V K Choudhry": behind initials without points stands a known name.
    fn is_name_of_initial(&self, end: usize) -> bool {
        let mut end = end;
        for _ in 0..3 {
            if self.bytes.get(end) != Some(&b' ') {
                return false;
            }
            let Some(next) = words::read(self.text, end + 1) else { return false };
            let classes = self.engine.lexicon.classes(next.hash);
            match next.shape {
                Shape::Initial => end = next.end,
                Shape::Capitalised | Shape::Mixed => {
                    let other = Classes::of(&[Classes::COMMON, Classes::STOP, Classes::PLACE, Classes::CITY]);
                    return classes.has(Classes::SURNAME) && !classes.has(other);
                }
                _ => return false,
            }
        }
        false
    }

    /// Whether a family name that is nothing else stands behind a given name.
    fn has_family(&self, word: &Word, classes: Classes) -> bool {
        classes.has(Classes::GIVEN)
            && !classes.has(Classes::STOP)
            && self.bytes.get(word.end) == Some(&b' ')
            && words::read(self.text, word.end + 1).is_some_and(|next| {
                let classes = self.engine.lexicon.classes(next.hash);
                let other = Classes::of(&[Classes::COMMON, Classes::STOP, Classes::PLACE, Classes::CITY]);
                classes.has(Classes::SURNAME) && !classes.has(other)
            })
    }

    /// Labels the run that starts with `word` and keeps its names.
    fn judge(&mut self, word: Word, classes: Classes, cue: Option<Pending>) {
        let classes = inflection::classes(&self.engine.lexicon, self.text, &word, classes);
        let mut run = Run::new(word, classes, cue);
        self.complete(&mut run);
        self.names.judged_until = run.end();
        self.names.kept.spans.clear();
        if self.names.lesson.is_none() && self.near.is_none() && self.is_no_place_for_a_name(&run) {
            return;
        }
        let model = &self.engine.model;
        let weights = model.weights();
        let count = run.tokens().len();
        // The model is larger than the caches near the processor: what can be asked
        // for is, before all is known, and so the reads are under way meanwhile.
        let mut sums = [Sum::default(); MAX_RUN];
        for (i, sum) in sums.iter_mut().enumerate().take(count) {
            self.features_of_word(&run, i, |_, slot| sum.add(weights, slot));
        }
        let around = self.surroundings(&run);
        for (i, sum) in sums.iter_mut().enumerate().take(count) {
            around.features(&run, i, |_, slot| sum.add(weights, slot));
        }
        let (opinions, evidence) = self.opinions(&run);
        if self.names.lesson.is_some() {
            self.learn(&run, &around, &opinions);
            return;
        }
        let mut emissions = [Odds::default(); MAX_RUN];
        for (i, ((emission, sum), opinion)) in emissions.iter_mut().zip(&mut sums).zip(opinions).enumerate().take(count)
        {
            around.features_of_opinion(&run, i, opinion, |_, slot| sum.add(weights, slot));
            *emission = if i == 0 { model.first_emission(*sum) } else { model.emission(*sum) };
        }
        let mut odds = [Odds::default(); MAX_RUN];
        model.marginals(emissions.get(..count).unwrap_or_default(), &mut odds);
        self.decode(&run, &odds, &evidence);
    }

    /// Whether what stands behind the only word rules out a name, whatever the
    /// model would say.
    fn is_no_place_for_a_name(&self, run: &Run) -> bool {
        matches!(run.tokens(), parts @ [only] if !self.is_free_behind(parts, only.word.end))
    }

    /// What the grammar makes of each word.
    fn opinions(&self, run: &Run) -> ([Opinion; MAX_RUN], [Evidence; MAX_RUN]) {
        let mut opinions = [0; MAX_RUN];
        let mut evidence = [Evidence::default(); MAX_RUN];
        let mut at = 0;
        while at < run.tokens().len() {
            let Some(verdict) = self.verdict(run, at) else {
                at += 1;
                continue;
            };
            // Rounded by hand, as that is a call for many processors.
            let sure = 1 + (f64::from(verdict.score.clamp(0.0, 1.0) * 10.0) + 0.5) as u8;
            let counted = if verdict.score < THRESHOLD - 0.001 { 1 } else { verdict.count };
            let mut goes_on = 0;
            for (opinion, slot) in opinions.iter_mut().zip(&mut evidence).skip(at).take(counted) {
                *opinion = sure | goes_on;
                *slot = verdict.evidence;
                goes_on = 0x20;
            }
            at += counted.max(1);
        }
        (opinions, evidence)
    }

    /// How likely each word is one of a name, and how likely it must be.
    fn weigh_odds(&self, run: &Run, odds: &[Odds; MAX_RUN], chances: &mut [Chance; MAX_RUN]) {
        let threshold = self.engine.model.threshold;
        // A plan that asks for less than usual asks it of the model too.
        let least = (self.plan.lowest() / THRESHOLD).min(1.0);
        let tokens = run.tokens();
        let alone = |i: usize| odds.get(i).map_or(0.0, |o| 1.0 - o[OTHER]);
        let hyphened = |token: &Token| matches!(token.gap, Gap::Hyphen | Gap::Apostrophe);
        let mut is_name_next = false;
        for i in (0..tokens.len()).rev() {
            let (Some(token), Some(chance)) = (tokens.get(i), chances.get_mut(i)) else { break };
            let next = tokens.get(i + 1);
            // What a hyphen joins is one word.
            let person = if hyphened(token) {
                f32::midpoint(alone(i), alone(i.saturating_sub(1)))
            } else if next.is_some_and(hyphened) {
                f32::midpoint(alone(i), alone(i + 1))
            } else {
                alone(i)
            };
            // The key says that it is a name, and the lists say so too.
            let small = token.word.shape == Shape::Lower;
            let labelled =
                (i == 0) & run.cue.is_some_and(|c| c.label) & token.is_known() & !(token.is_ordinary() & small);
            let titled = i == 0 && !small && run.cue.is_some_and(|c| c.cue == Cue::Title);
            let usual = if labelled || self.is_remembered(token) {
                threshold * KNOWN_HERE
            } else if titled {
                threshold * TITLED
            } else if small & (run.cue.is_none() | !token.is_known()) {
                SMALL_LETTERS.max(threshold)
            } else {
                threshold
            };
            let fronts = is_name_next && next.is_some_and(|next| token.is_in_front_of(next));
            let wanted = usual * least * if fronts { BEFORE_A_NAME } else { 1.0 };
            *chance = Chance { person, wanted, fronts };
            is_name_next = person >= usual;
        }
    }

    /// Keeps the names that the labels give.
    fn decode(&mut self, run: &Run, odds: &[Odds; MAX_RUN], evidence: &[Evidence; MAX_RUN]) {
        let threshold = self.engine.model.threshold;
        let mut chances = [Chance::default(); MAX_RUN];
        self.weigh_odds(run, odds, &mut chances);
        let of = |chances: &[Chance; MAX_RUN], i: usize| chances.get(i).copied().unwrap_or_default();
        let tokens = run.tokens();
        let mut at = 0;
        while let Some(first) = tokens.get(at) {
            let Chance { person, wanted, .. } = of(&chances, at);
            if person < wanted {
                // For those who tune: it was not far from being a name.
                if self.near.is_some() && person > threshold * KNOWN_HERE {
                    let score = THRESHOLD * person / wanted - 0.002;
                    let evidence = evidence.get(at).copied().unwrap_or_default();
                    self.report(Finder::PersonName, first.word.start, first.word.end, score, evidence);
                }
                self.miss(first);
                at += 1;
                continue;
            }
            let mut end = at + 1;
            let mut sum = person;
            while let (Some(token), Some(odd)) = (tokens.get(end), odds.get(end)) {
                // Two names of a list have a comma between them too.
                if self.is_article(run, end) {
                    // "Moqtada al-Sadr": the article and what it belongs to stay together.
                    sum += of(&chances, end).person + of(&chances, end + 1).person;
                    end += 2;
                    continue;
                }
                let joined = !matches!(token.gap, Gap::Space | Gap::First | Gap::Comma);
                let Chance { person, wanted, .. } = of(&chances, end);
                let apart = !joined && !of(&chances, end - 1).fronts && odd[BEGINS] > APART * odd[model::GOES_ON];
                if person < wanted || apart {
                    break;
                }
                sum += person;
                end += 1;
            }
            let sure = sum / (end - at) as f32;
            while end > at + 1 && tokens.get(end - 1).is_some_and(|t| t.is_particle() && t.word.shape == Shape::Lower) {
                end -= 1;
            }
            let parts = tokens.get(at..end).unwrap_or_default();
            if let Some(last) = parts.last()
                && !parts.iter().all(|t| t.is_particle() && t.word.shape == Shape::Lower)
                && !parts.iter().all(|t| t.word.shape == Shape::Initial)
                && !self.is_lone(parts, run)
                && !self.is_behind_failure(parts)
                // What a run starts with was looked at before.
                && (at == 0 || self.is_free_before(first.word.start))
                && self.is_free_behind(parts, last.word.end)
                && !(run.cue.is_none_or(|c| c.cue < Cue::Strong) && self.is_date(parts))
            {
                let titled = match grammar::finder_of(run.cue.filter(|_| at == 0)) {
                    Finder::PersonTitle => 2,
                    Finder::PersonCue => 1,
                    _ => 0,
                };
                // The model's threshold becomes the least score of a finding.
                let score = if sure < threshold && self.plan.lowest() < THRESHOLD {
                    THRESHOLD * sure / threshold
                } else {
                    THRESHOLD + (1.0 - THRESHOLD) * ((sure - threshold) / (1.0 - threshold)).clamp(0.0, 1.0)
                };
                let known_here = if parts.iter().any(|t| self.is_remembered(t)) {
                    Evidence::KNOWN_HERE
                } else {
                    Evidence::default()
                };
                let span = Span {
                    start: first.word.start,
                    end: last.word.end + usize::from(self.is_abbreviated(parts)),
                    score,
                    evidence: evidence.get(at).copied().unwrap_or_default() | known_here,
                    titled,
                };
                self.names.kept.spans.push(span);
                let known = self.names.kept.memory.learned();
                self.names.kept.memory.learn(parts, sure);
                if end < tokens.len() && self.names.kept.memory.learned() != known {
                    // A name that stands again behind itself is known by then.
                    self.weigh_odds(run, odds, &mut chances);
                }
            }
            at = end;
        }
    }

    /// The point of "Anna K." belongs to the name where the sentence goes on.
    fn is_abbreviated(&self, parts: &[Token]) -> bool {
        parts.len() > 1
            && parts.last().is_some_and(|last| {
                last.word.shape == Shape::Initial && self.bytes.get(last.word.end) == Some(&b'.') && {
                    let behind = self.text.get(last.word.end + 1..).unwrap_or_default();
                    let mut chars = behind.chars();
                    match chars.next() {
                        Some(',' | ';' | ')') => true,
                        Some(' ') => chars.next().is_some_and(|c| c.is_lowercase() || c == '('),
                        _ => false,
                    }
                }
            })
    }

    /// A text that is one unknown word says nothing of what the word is.
    fn is_lone(&self, parts: &[Token], run: &Run) -> bool {
        matches!(parts, [only] if run.cue.is_none()
            && !only.is_known()
            && self.text.get(..only.word.start).is_some_and(is_blank)
            && self.text.get(only.word.end..).is_some_and(is_blank))
    }

    /// "`ValueError`: Mark is not set": behind the name of an error of a program
    /// one word is the message, whatever else it may be.
    fn is_behind_failure(&self, parts: &[Token]) -> bool {
        matches!(parts, [only] if self
            .text
            .get(..only.word.start)
            .and_then(|t| t.strip_suffix(": "))
            .and_then(|t| t.strip_suffix("Exception").or_else(|| t.strip_suffix("Error")))
            .is_some_and(|t| t.ends_with(|c: char| c.is_ascii_alphanumeric())))
    }

    /// Keeps a word for the second look.
    fn miss(&mut self, token: &Token) {
        let alone = std::slice::from_ref(token);
        if self.names.kept.missed.len() == MAX_MISSED
            || token.is_ordinary()
            || token.len() < 3
            || !self.is_free_before(token.word.start)
            || !self.is_free_behind(alone, token.word.end)
        {
            return;
        }
        self.names.kept.missed.push(*token);
    }

    /// At the end of the text: "hi jana here … regards, Jana Novak".
    pub(crate) fn second_look(&mut self) {
        for at in 0..self.names.kept.missed.len() {
            if let Some(token) = self.names.kept.missed.get(at).copied()
                && self.is_remembered(&token)
            {
                let Word { start, end, .. } = token.word;
                self.report(Finder::PersonName, start, end, THRESHOLD + 0.1, Evidence::KNOWN_HERE);
            }
        }
    }

    fn is_remembered(&self, token: &Token) -> bool {
        self.names.kept.memory.holds(token)
    }

    /// "05 Jan 2026", "Tue, 5", "Tue May 5": that Jan is a name too matters only
    /// where no number and no other such word stands beside it.
    fn is_date(&self, parts: &[Token]) -> bool {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
        if !parts.iter().all(|part| part.classes.has(Classes::CALENDAR)) {
            return false;
        }
        let is_gap = |b: &u8| matches!(b, b' ' | b',' | b'-' | b'/' | b'.' | b'+');
        let (start, end) = (first.word.start, last.word.end);
        let before = self.bytes.get(..start).unwrap_or_default().iter().rev().take(3).find(|b| !is_gap(b));
        let behind = end + self.bytes.get(end..).unwrap_or_default().iter().take(3).take_while(|b| is_gap(b)).count();
        before.is_some_and(u8::is_ascii_digit)
            || self.bytes.get(behind).is_some_and(u8::is_ascii_digit)
            || words::read(self.text, behind)
                .is_some_and(|next| self.engine.lexicon.classes(next.hash).has(Classes::CALENDAR))
    }

    /// Not in the middle of a path, handle, number or longer word.
    fn is_free_before(&self, start: usize) -> bool {
        match self.before(start) {
            None => true,
            Some('@' | '#' | '/' | '\\' | '_' | '&' | '+' | '$' | '~') => false,
            Some('-' | '.' | ':') => {
                let c = self.text.get(..start - 1).and_then(|t| t.chars().next_back());
                let colon = self.bytes.get(start - 1) == Some(&b':');
                (!colon && self.article_before(start).is_some())
                    || !c.is_some_and(|c| if colon { c == ':' } else { c.is_alphanumeric() || c == ')' })
                    || self.ends_sentence(start - 1)
            }
            Some(c) => !c.is_alphanumeric(),
        }
    }

    /// "… was late.Anna said": a point behind a plain word, without the space.
    fn ends_sentence(&self, point: usize) -> bool {
        let before = self.text.get(..point).unwrap_or_default();
        let word = before.trim_end_matches(char::is_lowercase);
        let loud = before.trim_end_matches(char::is_uppercase);
        let is_word = |from: &str| before.len() > from.len() + 1 && from.ends_with(' ');
        self.bytes.get(point) == Some(&b'.')
            && (is_word(word) || is_word(loud) || before.ends_with(['"', '”', '“', ')', ']']))
    }

    fn is_line_break_tag(&self, at: usize) -> bool {
        self.bytes.get(at..at + 3).is_some_and(|tag| tag.eq_ignore_ascii_case(b"<br"))
    }

    fn is_free_behind(&self, parts: &[Token], end: usize) -> bool {
        let next = self.bytes.get(end + 1);
        let joined = |c: Option<&u8>| c.is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80);
        // Nearly always it is one of these.
        if self
            .bytes
            .get(end)
            .is_none_or(|b| matches!(b, b' ' | b',' | b'\n' | b'!' | b'?' | b';' | b'"' | b')' | b'\''))
        {
            return true;
        }
        match self.at(end) {
            None => true,
            Some('_' | '=') => false,
            // "John Griffith@EXAMPLE": the name of an account, written out.
            Some('@' | '(') => parts.len() > 1,
            // "Jana Novak</td>", but not `Map<Key, Value>`.
            Some('<') => parts.len() > 1 || matches!(next, Some(b'/' | b'!' | b' ')) || self.is_line_break_tag(end),
            // JSON within a string.
            Some('\\') => matches!(next, Some(b'"' | b'n' | b'r' | b't' | b'\\')),
            Some('.' | '-') => {
                !joined(next) || parts.last().is_some_and(|p| p.word.shape == Shape::Initial || p.is_numeral(self.text))
            }
            Some(':') => next != Some(&b':') && next != Some(&b'/'),
            Some(c) => !c.is_alphanumeric(),
        }
    }
}

/// Whether a text holds nothing but a little space.
fn is_blank(text: &str) -> bool {
    text.len() <= 64 && text.trim().is_empty()
}
