//! Rules by pattern or word list: one linear-time automaton each.

use crate::detect::RuleId;
use crate::detect::rule::{RuleError, RuleFile};
use crate::detect::scan::{Evidence, Pass};
use crate::detect::validate::Validator;
use regex_automata::Input;
use regex_automata::meta::{self, Cache, Regex};
use regex_automata::util::syntax;
use std::ops::Range;

/// Compiled patterns of one rule may take this much memory, in bytes.
const RULE_LIMIT: usize = 4 << 20;
/// All compiled patterns together.
pub(crate) const BUDGET: usize = 64 << 20;

/// A rule that searches the text by itself.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) rule: RuleId,
    pub(crate) regex: Regex,
    pub(crate) validator: Option<Validator>,
}

impl Pattern {
    /// Patterns in the syntax of the `regex` crate.
    pub(crate) fn regex(
        rule: RuleId,
        patterns: &[(String, Range<usize>)],
        validator: Option<Validator>,
        file: &RuleFile,
        budget: &mut usize,
        errors: &mut Vec<RuleError>,
    ) -> Option<Self> {
        let before = errors.len();
        for (pattern, span) in patterns {
            let mut fail = |problem: String| errors.push(RuleError::at(&file.name, &file.text, span.clone(), problem));
            match Self::build(&[pattern.as_str()]) {
                Err(problem) => fail(problem),
                Ok(regex) if regex.is_match("") => {
                    fail("the pattern matches the empty text; make one part of it required".into());
                }
                Ok(_) => {}
            }
        }
        if errors.len() > before {
            return None;
        }
        let texts: Vec<&str> = patterns.iter().map(|(p, _)| p.as_str()).collect();
        Self::finish(rule, &texts, validator, file, patterns, budget, errors)
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
        for (word, span) in list {
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
        let joined = format!("(?i:{})", alternatives.join("|"));
        Self::finish(rule, &[joined.as_str()], validator, file, list, budget, errors)
    }

    fn finish(
        rule: RuleId,
        texts: &[&str],
        validator: Option<Validator>,
        file: &RuleFile,
        places: &[(String, Range<usize>)],
        budget: &mut usize,
        errors: &mut Vec<RuleError>,
    ) -> Option<Self> {
        let span = places.first().map_or(0..0, |(_, span)| span.clone());
        let mut fail = |problem: String| errors.push(RuleError::at(&file.name, &file.text, span.clone(), problem));
        let regex = Self::build(texts).map_err(&mut fail).ok()?;
        let Some(rest) = budget.checked_sub(regex.memory_usage()) else {
            fail("all patterns together are too large; make repetitions smaller or use fewer rules".into());
            return None;
        };
        *budget = rest;
        Some(Self { rule, regex, validator })
    }

    fn build(patterns: &[&str]) -> Result<Regex, String> {
        meta::Builder::new()
            .configure(
                meta::Config::new()
                    .nfa_size_limit(Some(RULE_LIMIT))
                    .onepass_size_limit(Some(RULE_LIMIT))
                    .hybrid_cache_capacity(RULE_LIMIT),
            )
            .syntax(syntax::Config::new().nest_limit(100))
            .build_many(patterns)
            .map_err(|error| match (error.size_limit(), error.syntax_error()) {
                (Some(_), _) => "the pattern is too large; make its repetitions smaller".to_owned(),
                (_, Some(problem)) => {
                    // The first lines show the pattern itself; the last says what is wrong.
                    let text = problem.to_string();
                    let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    format!("the pattern is no regular expression: {last}")
                }
                _ => "the pattern cannot be compiled; look-around and back-references are not supported".to_owned(),
            })
    }
}

/// What the patterns need for a scan.
#[derive(Default)]
pub(crate) struct Scratch {
    caches: Vec<Cache>,
    /// The engine that the caches are for.
    engine: u64,
}

impl Pass<'_> {
    /// The rules that search by themselves.
    pub(crate) fn patterns(&mut self, scratch: &mut Scratch) {
        let engine = self.engine;
        if scratch.engine != engine.identity {
            scratch.caches.clear();
            scratch.caches.extend(engine.patterns.iter().map(|p| p.regex.create_cache()));
            scratch.engine = engine.identity;
        }
        for (pattern, cache) in engine.patterns.iter().zip(&mut scratch.caches) {
            let mut input = Input::new(self.text);
            while let Some(found) = pattern.regex.search_with(cache, &input) {
                let checked =
                    pattern.validator.is_none_or(|v| self.text.get(found.range()).is_some_and(|t| v.holds(t)));
                if checked && !found.is_empty() {
                    let evidence =
                        if pattern.validator.is_some() { Evidence::CHECK_DIGITS } else { Evidence::default() };
                    self.propose(pattern.rule, found.start(), found.end(), 0.0, evidence);
                }
                // An empty match in spite of the check at compile time must not stop here for ever.
                let mut next = found.end() + usize::from(found.is_empty());
                while next < self.text.len() && !self.text.is_char_boundary(next) {
                    next += 1;
                }
                if next > self.text.len() {
                    break;
                }
                input.set_start(next);
            }
        }
    }
}
