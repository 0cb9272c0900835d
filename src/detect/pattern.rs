//! Rules by pattern or word list: one linear-time automaton each, which runs
//! only around the places where the [`Sieve`] says that it can match.

mod required;
mod sieve;

use crate::detect::RuleId;
use crate::detect::evidence::Evidence;
use crate::detect::normalize::Reading;
use crate::detect::rule::{RuleError, RuleFile};
use crate::detect::scan::Pass;
use crate::detect::validate::Validator;
use regex_automata::meta::{self, Cache, Regex};
use regex_automata::util::syntax;
use regex_automata::{Input, Match};
use regex_syntax::hir::{Hir, HirKind};
use required::Anchor;
use sieve::{Hit, Sieve};
use std::ops::Range;

/// Compiled patterns of one rule may take this much memory, in bytes.
const RULE_LIMIT: usize = 4 << 20;
/// Deeper nesting is refused.
const NEST_LIMIT: u32 = 100;
/// Counted repetitions may multiply to so many copies of what they repeat.
const MAX_COPIES: u64 = 10_000;
/// All compiled patterns together.
pub(crate) const BUDGET: usize = 64 << 20;

/// All rules that search the text by themselves.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    all: Vec<Pattern>,
    /// Where the others can match.
    sieve: Sieve,
    /// Those that nothing is known of.
    always: Vec<u32>,
}

/// A rule that searches the text by itself.
#[derive(Debug)]
pub(crate) struct Pattern {
    rule: RuleId,
    regex: Regex,
    validator: Option<Validator>,
    /// A part of each match, for each of the rule's patterns.
    anchors: Option<Vec<Anchor>>,
    /// Bytes of the shortest match, as far as that is known.
    shortest: usize,
    /// Bytes of the longest match.
    longest: Option<usize>,
    /// Bytes of a match in front of a hit, at most.
    before: Option<usize>,
}

impl Patterns {
    pub(crate) fn new(mut all: Vec<Pattern>) -> Self {
        let mut sieve = Sieve::default();
        let mut always = Vec::new();
        for (i, pattern) in (0..).zip(&mut all) {
            let Some(anchors) = &pattern.anchors else {
                always.push(i);
                continue;
            };
            let before = anchors.iter().map(|anchor| sieve.add(i, anchor, pattern.longest));
            pattern.before = before.reduce(|one, other| one.zip(other).map(|(a, b)| a.max(b))).flatten();
        }
        sieve.finish();
        Self { all, sieve, always }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Pattern {
    /// Patterns as [`parse`] reads them.
    pub(crate) fn regex(
        rule: RuleId,
        patterns: &[(String, Range<usize>)],
        validator: Option<Validator>,
        file: &RuleFile,
        budget: &mut usize,
        errors: &mut Vec<RuleError>,
    ) -> Option<Self> {
        let before = errors.len();
        let mut all = Vec::with_capacity(patterns.len());
        for (pattern, span) in patterns {
            match parse(pattern) {
                Ok(hir) => all.push(hir),
                Err(problem) => errors.push(RuleError::at(&file.name, &file.text, span.clone(), problem)),
            }
        }
        if errors.len() > before {
            return None;
        }
        let span = patterns.first().map(|(_, span)| span);
        let whole = Self::finish(rule, &all, &all, validator, file, span, budget, errors);
        if whole.as_ref().is_some_and(|whole| whole.shortest > 0) {
            return whole;
        }
        // One of them is at fault.
        let told = errors.len();
        for (hir, (_, span)) in all.iter().zip(patterns) {
            let mut fail = |problem: String| errors.push(RuleError::at(&file.name, &file.text, span.clone(), problem));
            match Self::build(std::slice::from_ref(hir)) {
                Err(problem) => fail(problem),
                Ok(regex) if regex.is_match("") => {
                    fail("the pattern matches the empty text; make one part of it required".into());
                }
                Ok(_) => {}
            }
        }
        if errors.len() > told {
            errors.drain(before..told);
            return None;
        }
        whole
    }

    /// Words or phrases, whole and in any case.
    pub(crate) fn words(
        rule: RuleId,
        list: &[(String, Range<usize>)],
        validator: Option<Validator>,
        file: &RuleFile,
        budget: &mut usize,
        errors: &mut Vec<RuleError>,
    ) -> Option<Self> {
        let mut alternatives: Vec<String> = Vec::with_capacity(list.len());
        let mut reading = Reading::default();
        for (word, span) in list {
            // Texts are searched in their plain spelling.
            reading.read(word);
            let word = reading.text();
            if word.trim() != word || word.is_empty() {
                let problem = "a word must not be empty or start or end with a space";
                errors.push(RuleError::at(&file.name, &file.text, span.clone(), problem));
                return None;
            }
            let edge = |c: Option<char>| if c.is_some_and(char::is_alphanumeric) { r"\b" } else { "" };
            let escaped = regex::escape(word);
            alternatives.push(format!("{}{escaped}{}", edge(word.chars().next()), edge(word.chars().next_back())));
        }
        // Leftmost-first takes the first alternative that matches: longer ones go first.
        alternatives.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        let span = list.first().map(|(_, span)| span);
        let each: Result<Vec<Hir>, String> = alternatives.iter().map(|one| parse(&format!("(?i:{one})"))).collect();
        match each {
            Ok(each) => {
                let joined = Hir::alternation(each.clone());
                Self::finish(rule, &[joined], &each, validator, file, span, budget, errors)
            }
            Err(problem) => {
                errors.push(RuleError::at(&file.name, &file.text, span.cloned().unwrap_or_default(), problem));
                None
            }
        }
    }

    /// `parts` are the alternatives of the whole, one by one.
    #[expect(clippy::too_many_arguments, reason = "what both kinds of rule have in common")]
    fn finish(
        rule: RuleId,
        whole: &[Hir],
        parts: &[Hir],
        validator: Option<Validator>,
        file: &RuleFile,
        span: Option<&Range<usize>>,
        budget: &mut usize,
        errors: &mut Vec<RuleError>,
    ) -> Option<Self> {
        let span = span.cloned().unwrap_or_default();
        let mut fail = |problem: String| errors.push(RuleError::at(&file.name, &file.text, span.clone(), problem));
        let regex = Self::build(whole).map_err(&mut fail).ok()?;
        let Some(rest) = budget.checked_sub(regex.memory_usage()) else {
            fail("all patterns together are too large; make repetitions smaller or use fewer rules".into());
            return None;
        };
        *budget = rest;
        let anchors = parts.iter().map(required::anchor).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty());
        let longest =
            parts.iter().map(|part| part.properties().maximum_len()).try_fold(0, |most, len| Some(len?.max(most)));
        let shortest = parts.iter().filter_map(|part| part.properties().minimum_len()).min().unwrap_or(0);
        Some(Self { rule, regex, validator, anchors, shortest, longest, before: None })
    }

    fn build(patterns: &[Hir]) -> Result<Regex, String> {
        meta::Builder::new()
            .configure(
                meta::Config::new()
                    .nfa_size_limit(Some(RULE_LIMIT))
                    .onepass_size_limit(Some(RULE_LIMIT))
                    .hybrid_cache_capacity(RULE_LIMIT),
            )
            .build_many_from_hir(patterns)
            .map_err(|error| match error.size_limit() {
                Some(_) => "the pattern is too large; make its repetitions smaller".to_owned(),
                None => "the pattern cannot be compiled; look-around and back-references are not supported".to_owned(),
            })
    }
}

/// A pattern in the syntax of the `regex` crate, of bounded size; else what is wrong with it.
pub(crate) fn parse(pattern: &str) -> Result<Hir, String> {
    let syntax = syntax::Config::new().nest_limit(NEST_LIMIT);
    let hir = syntax::parse_with(pattern, &syntax).map_err(|error| {
        // The first lines show the pattern itself; the last says what is wrong.
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("the pattern is no regular expression: {last}")
    })?;
    let copies = copies(&hir);
    if copies > MAX_COPIES {
        return Err(format!(
            "the pattern is too large: its repetitions, one in another, make {copies} copies and {MAX_COPIES} are \
             allowed; make them smaller"
        ));
    }
    Ok(hir)
}

/// How often the innermost part of nested counted repetitions is there.
fn copies(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Repetition(r) => u64::from(r.max.unwrap_or(r.min).max(1)).saturating_mul(copies(&r.sub)),
        HirKind::Capture(capture) => copies(&capture.sub),
        HirKind::Concat(all) | HirKind::Alternation(all) => all.iter().map(copies).max().unwrap_or(1),
        _ => 1,
    }
}

/// What the patterns need for a scan.
#[derive(Default)]
pub(crate) struct Scratch {
    runs: Vec<Search>,
    hits: Vec<Hit>,
    /// The engine that this is for.
    engine: u64,
    /// Counts the scans.
    scan: u64,
}

/// How far the search for a pattern is.
#[derive(Default)]
struct Search {
    /// Made when it is needed first: most patterns never are.
    cache: Option<Cache>,
    /// The scan that the rest is of.
    scan: u64,
    /// Behind the last match.
    from: usize,
    /// Bytes that have been searched around hits.
    spent: usize,
    /// The whole text has been searched.
    done: bool,
}

/// Hits close together have much text in common. When this many times the text
/// has been searched around them, the rest is searched as a whole.
const MOST_SPENT: usize = 4;

impl Pass<'_> {
    /// The rules that search by themselves.
    pub(crate) fn patterns(&mut self, scratch: &mut Scratch) {
        let engine = self.engine;
        let patterns = &engine.patterns;
        if scratch.engine != engine.identity {
            scratch.runs.clear();
            scratch.runs.resize_with(patterns.all.len(), Search::default);
            scratch.engine = engine.identity;
        }
        scratch.scan += 1;
        let Scratch { runs, hits, scan, .. } = scratch;
        let mut search = |pass: &mut Self, pattern: u32, hit: Option<&Hit>| {
            let index = pattern as usize;
            let (Some(pattern), Some(search)) = (patterns.all.get(index), runs.get_mut(index)) else { return };
            if search.scan != *scan {
                *search = Search { cache: search.cache.take(), scan: *scan, ..Search::default() };
            }
            match hit {
                Some(hit) => pass.around(pattern, hit, search),
                None => pass.behind(pattern, 0, search),
            }
        };
        for &pattern in &patterns.always {
            search(self, pattern, None);
        }
        for from in (0..self.bytes.len()).step_by(sieve::PIECE) {
            patterns.sieve.hits(self.bytes, from, (from + sieve::PIECE).min(self.bytes.len()), hits);
            for hit in hits.iter() {
                search(self, hit.pattern, Some(hit));
            }
        }
    }

    /// Searches where a match can be that holds the hit. The matches are those
    /// that a search through the whole text finds: every match holds a hit, hits
    /// come in order, and what is searched has all of any match that starts at
    /// the hit or in front of it.
    fn around(&mut self, pattern: &Pattern, hit: &Hit, search: &mut Search) {
        if search.done || hit.last < search.from {
            return;
        }
        let start = |search: &Search| {
            let first = pattern.before.map_or(0, |before| hit.start.saturating_sub(before));
            self.text.floor_char_boundary(first).max(search.from)
        };
        let first = start(search);
        let (Some(_), Some(longest)) = (pattern.before, pattern.longest) else {
            self.behind(pattern, first, search);
            return;
        };
        let end = self.text.ceil_char_boundary(hit.last.saturating_add(longest).min(self.text.len()));
        let mut from = first;
        while from <= hit.last {
            if search.spent > MOST_SPENT * self.bytes.len() {
                self.behind(pattern, from, search);
                return;
            }
            match self.search(pattern, search, from, end) {
                Some(found) if found.start() <= hit.last => {
                    search.spent += found.end() - from;
                    from = self.take(pattern, &found);
                    search.from = from;
                }
                _ => {
                    search.spent += end - from;
                    return;
                }
            }
        }
    }

    /// Searches all the text from an offset on.
    fn behind(&mut self, pattern: &Pattern, mut from: usize, search: &mut Search) {
        search.done = true;
        while let Some(found) = self.search(pattern, search, from, self.text.len()) {
            from = self.take(pattern, &found);
        }
    }

    fn search(&self, pattern: &Pattern, search: &mut Search, from: usize, to: usize) -> Option<Match> {
        if from >= to {
            return None;
        }
        let cache = search.cache.get_or_insert_with(|| pattern.regex.create_cache());
        pattern.regex.search_with(cache, &Input::new(self.text).span(from..to))
    }

    /// Proposes a match; gives where the next can start.
    fn take(&mut self, pattern: &Pattern, found: &Match) -> usize {
        let checked = pattern.validator.is_none_or(|v| self.text.get(found.range()).is_some_and(|t| v.holds(t)));
        if checked && !found.is_empty() {
            let evidence = if pattern.validator.is_some() { Evidence::CHECK_DIGITS } else { Evidence::default() };
            self.propose(pattern.rule, found.start(), found.end(), 0.0, evidence);
        }
        // An empty match in spite of the check at compile time must not stop here for ever.
        self.text.ceil_char_boundary((found.end() + usize::from(found.is_empty())).min(self.text.len()))
    }
}
