//! [`RawRule`] to [`Rule`]: what the fields of a rule must be.

use crate::detect::Operator;
use crate::detect::finder::Finder;
use crate::detect::rule::pack::{check_languages, check_regions};
use crate::detect::rule::read::RawGroup;
use crate::detect::rule::{RawRule, RuleError, RuleFile, Selection, State, is_id};
use crate::detect::validate::Validator;
use crate::detect::{pattern, said, words};
use crate::entity::Entity;
use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;

/// A rule may have so many patterns, words and context words.
const MAX_PATTERNS: usize = 500;
const MAX_WORDS: usize = 50_000;
const MAX_CONTEXT: usize = 5_000;
/// A pattern may have so many bytes.
const MAX_PATTERN: usize = 8 << 10;

/// What a rule without a source, or with two, is told.
pub(super) const ONE_SOURCE: &str =
    "a rule needs exactly one of finder, pattern (or patterns), words, shapes (and cued)";
/// A key that could not be read stands within so many lines of the rule's id.
pub(super) const NEAR_LINES: usize = 8;

/// What a context word adds where the rule says nothing.
const WEIGHT: f32 = 0.4;
/// The score of a candidate by itself where the rule says nothing.
const SCORE: f32 = 0.8;

/// A rule whose fields have been checked; its patterns are not compiled yet.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) entity: Entity,
    pub(crate) description: String,
    pub(crate) operator: Operator,
    pub(crate) state: State,
    /// Whether its pack, regions and languages are on.
    pub(crate) selected: bool,
    pub(crate) sensitive: bool,
    pub(crate) source: Source,
    pub(crate) validator: Option<Validator>,
    pub(crate) validator_name: Option<String>,
    pub(crate) score: f32,
    /// What a word of the file's defaults adds or takes.
    pub(crate) weight: f32,
    pub(crate) context: Vec<Context>,
    pub(crate) against: Vec<Context>,
    pub(crate) languages: Vec<String>,
    /// Its own, else those of its pack.
    pub(crate) regions: Vec<String>,
    pub(crate) examples: Vec<Example>,
    pub(crate) file: usize,
    pub(crate) span: Range<usize>,
}

/// Where a rule's candidates come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Finder(Finder),
    Patterns(Vec<(String, Range<usize>)>),
    Words(Vec<(String, Range<usize>)>),
    /// Each shape, and whether it needs a context word.
    Shapes(Vec<(String, Range<usize>, bool)>),
}

/// A context word.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) word: String,
    pub(crate) weight: f32,
    pub(crate) languages: Vec<String>,
    pub(crate) span: Range<usize>,
}

/// An example of a rule file.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    /// The text as it stands in the file, with its «marks».
    pub(crate) marked: String,
    pub(crate) wanted: bool,
    pub(crate) span: Range<usize>,
}

impl Rule {
    /// Checks the fields of a rule; every problem goes to `errors`.
    pub(crate) fn check(
        raw: &Spanned<RawRule>,
        index: usize,
        file: &RuleFile,
        errors: &mut Vec<RuleError>,
    ) -> Option<Self> {
        let before = errors.len();
        let span = raw.span();
        let raw = raw.get_ref();
        let mut fail =
            |at: Range<usize>, problem: String| errors.push(RuleError::at(&file.name, &file.text, at, problem));

        if !is_id(raw.id.get_ref()) {
            fail(
                raw.id.span(),
                "a rule id has 1 to 64 characters a-z, 0-9, -, . and _; write for example \"staff-number\"".into(),
            );
        }
        let entity = Entity::from_str(raw.entity.get_ref());
        if let Err(problem) = &entity {
            fail(raw.entity.span(), format!("{problem}; write for example \"STAFF_NUMBER\""));
        }
        let operator =
            named(raw.operator.as_ref(), Operator::parse, Operator::NAMES, &mut fail).unwrap_or(Operator::Token);
        let state = named(raw.state.as_ref(), State::parse, State::NAMES, &mut fail).unwrap_or_default();
        let finder = named(raw.finder.as_ref(), Finder::parse, Finder::NAMES, &mut fail);
        let validator = named(raw.validator.as_ref(), Validator::parse, Validator::NAMES, &mut fail);
        let source = source(raw, finder, file, &mut fail);
        numbers(raw, &mut fail);
        check_languages(&raw.languages, &mut fail);
        check_regions(&raw.regions, &mut fail);
        let weight = raw.weight.as_ref().map_or(WEIGHT, |w| *w.get_ref());
        let phrases = matches!(source, Some(Source::Shapes(_)));
        let context = context_of(&raw.context, weight, phrases, raw, &mut fail);
        let against = context_of(&raw.against, weight, false, raw, &mut fail);
        let defaults = &file.raw.defaults;
        for word in defaults.context.iter().chain(&defaults.against) {
            context_word(word, true, &mut fail);
        }
        let examples = examples(raw, &mut fail);
        if errors.len() > before {
            return None;
        }
        let strings = |list: &[Spanned<String>]| list.iter().map(|s| s.get_ref().clone()).collect::<Vec<_>>();
        let mut regions = strings(&raw.regions);
        if regions.is_empty() {
            regions = file.pack.as_ref().map(|pack| pack.regions.clone()).unwrap_or_default();
        }
        Some(Self {
            id: raw.id.get_ref().clone(),
            entity: entity.ok()?,
            description: raw.description.as_ref().map(|d| d.get_ref().clone()).unwrap_or_default(),
            operator,
            state,
            selected: true,
            sensitive: raw.sensitive,
            source: source?,
            validator,
            validator_name: raw.validator.as_ref().map(|v| v.get_ref().clone()),
            score: raw.score.as_ref().map_or(SCORE, |s| *s.get_ref()),
            weight,
            context,
            against,
            languages: strings(&raw.languages),
            regions,
            examples,
            file: index,
            span,
        })
    }

    /// Notes whether the rule takes part, and takes out the context words of
    /// languages that do not.
    pub(crate) fn select(&mut self, file: &RuleFile, selection: Selection<'_>) {
        for list in [&mut self.context, &mut self.against] {
            list.retain(|word| selection.has_language(&word.languages));
        }
        self.selected = selection.has_pack(file.pack.as_ref())
            && selection.has_region(&self.regions)
            && selection.has_language(&self.languages);
    }

    /// Whether it finds anything.
    pub(crate) fn runs(&self) -> bool {
        self.selected && self.state != State::Off
    }
}

fn source(
    raw: &RawRule,
    finder: Option<Finder>,
    file: &RuleFile,
    fail: &mut impl FnMut(Range<usize>, String),
) -> Option<Source> {
    let owned = |s: &Spanned<String>| (s.get_ref().clone(), s.span());
    let patterns: Vec<_> = raw.pattern.iter().chain(&raw.patterns).map(owned).collect();
    let words: Vec<_> = raw.words.iter().map(owned).collect();
    let shape = |cued: bool| move |s: &Spanned<String>| (s.get_ref().clone(), s.span(), cued);
    let shapes: Vec<_> = raw.shapes.iter().map(shape(false)).chain(raw.cued.iter().map(shape(true))).collect();
    let sources = usize::from(raw.finder.is_some())
        + usize::from(!patterns.is_empty())
        + usize::from(!words.is_empty())
        + usize::from(!shapes.is_empty());
    if sources != 1 {
        fail(raw.id.span(), ONE_SOURCE.into());
    }
    if let (Some(_), Some(validator)) = (&raw.finder, &raw.validator) {
        fail(validator.span(), "a finder validates what it finds; remove validator".into());
    }
    for (list, limit, what) in [(&patterns, MAX_PATTERNS, "patterns"), (&words, MAX_WORDS, "words")] {
        if let Some((_, at)) = list.get(limit) {
            fail(at.clone(), format!("a rule has at most {limit} {what}; make it two rules"));
        }
    }
    for (_, at) in patterns.iter().filter(|(pattern, _)| pattern.len() > MAX_PATTERN) {
        fail(at.clone(), format!("a pattern has at most {MAX_PATTERN} bytes; write a list of names as words"));
    }
    // Those in the built-in files are read when they are compiled, most of what a start takes.
    for (pattern, at) in patterns.iter().filter(|_| !file.is_builtin()) {
        if let Err(problem) = pattern::parse(pattern) {
            fail(at.clone(), problem);
        }
    }
    match finder {
        Some(finder) => Some(Source::Finder(finder)),
        None if !patterns.is_empty() => Some(Source::Patterns(patterns)),
        None if !words.is_empty() => Some(Source::Words(words)),
        None if !shapes.is_empty() => Some(Source::Shapes(shapes)),
        None => None,
    }
}

fn numbers(raw: &RawRule, fail: &mut impl FnMut(Range<usize>, String)) {
    let groups = raw.context.iter().chain(&raw.against).map(|group| (&group.weight, "weight"));
    for (value, what) in [(&raw.score, "score"), (&raw.weight, "weight")].into_iter().chain(groups) {
        if let Some(number) = value
            && !(0.0..=1.0).contains(number.get_ref())
        {
            fail(number.span(), format!("{what} is a number from 0.0 to 1.0"));
        }
    }
}

fn context_of(
    groups: &[RawGroup],
    weight: f32,
    phrases: bool,
    raw: &RawRule,
    fail: &mut impl FnMut(Range<usize>, String),
) -> Vec<Context> {
    let mut all = Vec::new();
    for group in groups {
        check_languages(&group.languages, fail);
        for word in &group.words {
            context_word(word, phrases, fail);
            all.push(Context {
                word: word.get_ref().clone(),
                weight: group.weight.as_ref().map_or(weight, |w| *w.get_ref()),
                languages: group.languages.iter().map(|l| l.get_ref().clone()).collect(),
                span: word.span(),
            });
        }
    }
    if all.len() > MAX_CONTEXT {
        fail(raw.id.span(), format!("a rule has at most {MAX_CONTEXT} context words; keep those that decide"));
    }
    all
}

/// One word, or a phrase where the rule can read one.
fn context_word(word: &Spanned<String>, phrases: bool, fail: &mut impl FnMut(Range<usize>, String)) {
    let (known, problem) = if phrases {
        let problem = "a context word is up to four words of letters alone, with one space between them";
        (said::phrase(word.get_ref()).is_some(), problem)
    } else {
        let problem = "a context word is one word of letters alone; write phrases as their main word";
        (words::hash_of(word.get_ref()).is_some(), problem)
    };
    if !known {
        fail(word.span(), problem.into());
    }
}

fn examples(raw: &RawRule, fail: &mut impl FnMut(Range<usize>, String)) -> Vec<Example> {
    let mut examples = Vec::new();
    for (list, wanted) in [(&raw.matches, true), (&raw.ignore, false)] {
        for text in list {
            if marks(text.get_ref()).is_none() {
                fail(text.span(), "the marks « and » must come in pairs and not nest".into());
            }
            examples.push(Example { marked: text.get_ref().clone(), wanted, span: text.span() });
        }
    }
    examples
}

fn named<T>(
    value: Option<&Spanned<String>>,
    parse: impl Fn(&str) -> Option<T>,
    names: &[&str],
    fail: &mut impl FnMut(Range<usize>, String),
) -> Option<T> {
    let value = value?;
    let parsed = parse(value.get_ref());
    if parsed.is_none() {
        fail(value.span(), format!("unknown name; write one of {}", names.join(", ")));
    }
    parsed
}

/// The text of an example without its marks, and the marked spans in it.
/// `None` where the marks are not in pairs.
pub(crate) fn marks(marked: &str) -> Option<(String, Vec<Range<usize>>)> {
    let mut text = String::with_capacity(marked.len());
    let mut spans = Vec::new();
    let mut open = None;
    for c in marked.chars() {
        match (c, open) {
            ('«', None) => open = Some(text.len()),
            ('»', Some(start)) => {
                spans.push(start..text.len());
                open = None;
            }
            ('«' | '»', _) => return None,
            _ => text.push(c),
        }
    }
    open.is_none().then_some((text, spans))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_give_text_and_spans() {
        assert_eq!(marks("«ana» to «a@b.c» now"), Some(("ana to a@b.c now".into(), vec![0..3, 7..12])));
        assert_eq!(marks("plain"), Some(("plain".into(), vec![])));
        assert_eq!(marks("«open"), None);
        assert_eq!(marks("clo»se"), None);
    }
}
