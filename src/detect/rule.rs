//! The rule files: TOML text to [`RuleSet`], with the place of every mistake.

use crate::detect::Operator;
use crate::detect::finder::Finder;
use crate::detect::validate::Validator;
use crate::entity::Entity;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;

/// Rules and word lists as read from files, not yet compiled.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub(crate) files: Vec<RuleFile>,
    pub(crate) lists: Vec<WordList>,
    /// The file of the name model, and what errors call it.
    pub(crate) model: Option<(String, Cow<'static, [u8]>)>,
}

/// One rule file that was read.
#[derive(Clone, Debug)]
pub(crate) struct RuleFile {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) raw: RawFile,
}

/// A plain list of words, one a line; `#` starts a comment line.
#[derive(Clone, Debug)]
pub(crate) struct WordList {
    pub(crate) class: &'static str,
    pub(crate) text: &'static str,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFile {
    #[serde(default, rename = "rule")]
    pub(crate) rules: Vec<Spanned<RawRule>>,
    /// Words of the name grammar by class, see [`crate::detect::lexicon`].
    #[serde(default)]
    pub(crate) words: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRule {
    pub(crate) id: Spanned<String>,
    pub(crate) entity: Spanned<String>,
    pub(crate) finder: Option<Spanned<String>>,
    pub(crate) pattern: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) patterns: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) words: Vec<Spanned<String>>,
    pub(crate) validator: Option<Spanned<String>>,
    pub(crate) operator: Option<Spanned<String>>,
    pub(crate) score: Option<Spanned<f32>>,
    #[serde(default)]
    pub(crate) context: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) against: Vec<Spanned<String>>,
    /// What a context word adds to the score, or takes from it.
    pub(crate) weight: Option<Spanned<f32>>,
    #[serde(default, rename = "match")]
    pub(crate) matches: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) ignore: Vec<Spanned<String>>,
}

impl RuleSet {
    /// No rules at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds the rules of one file. `name` is what errors call the file. A rule
    /// whose id is there already replaces the earlier one.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), RuleError> {
        let raw = toml::from_str(text).map_err(|error| {
            let problem = mend(error.message());
            RuleError::at(name, text, error.span().unwrap_or(0..0), problem)
        })?;
        self.files.push(RuleFile { name: name.to_owned(), text: text.to_owned(), raw });
        Ok(())
    }

    /// Takes a model of names, as `privet rules train` writes it, in place of
    /// the one before. `name` is what errors call it.
    pub fn set_model(&mut self, name: &str, bytes: Vec<u8>) {
        self.model = Some((name.to_owned(), Cow::Owned(bytes)));
    }
}

fn mend(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    if first.starts_with("unknown field") {
        format!("{first}; remove it or correct its name")
    } else if first.starts_with("missing field") {
        format!("{first}; every rule needs id, entity and one of finder, pattern, patterns, words")
    } else {
        first.to_owned()
    }
}

/// A mistake in a rule file and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct RuleError {
    /// The file as it was named to [`RuleSet::add`].
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and the mend.
    pub problem: String,
}

impl RuleError {
    pub(crate) fn at(file: &str, text: &str, span: Range<usize>, problem: impl Into<String>) -> Self {
        let (line, column) = position(text, span.start);
        Self { file: file.to_owned(), line, column, problem: problem.into() }
    }
}

/// Line and column, both from 1, of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
    (line, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

/// All mistakes of a rule set, never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RuleErrors(pub Vec<RuleError>);

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// A rule whose fields have been checked; its patterns are not compiled yet.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) entity: Entity,
    pub(crate) operator: Operator,
    pub(crate) source: Source,
    pub(crate) validator: Option<Validator>,
    pub(crate) score: f32,
    pub(crate) weight: f32,
    pub(crate) context: Vec<String>,
    pub(crate) against: Vec<String>,
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
        let finder = named(raw.finder.as_ref(), Finder::parse, Finder::NAMES, &mut fail);
        let validator = named(raw.validator.as_ref(), Validator::parse, Validator::NAMES, &mut fail);

        let mut patterns: Vec<_> =
            raw.pattern.iter().chain(&raw.patterns).map(|p| (p.get_ref().clone(), p.span())).collect();
        let words: Vec<_> = raw.words.iter().map(|w| (w.get_ref().clone(), w.span())).collect();
        let sources =
            usize::from(raw.finder.is_some()) + usize::from(!patterns.is_empty()) + usize::from(!words.is_empty());
        if sources != 1 {
            fail(raw.id.span(), "a rule needs exactly one of finder, pattern (or patterns), words".into());
        }
        if raw.finder.is_some() && raw.validator.is_some() {
            fail(raw.id.span(), "a finder validates what it finds; remove validator".into());
        }
        for (value, what) in [(&raw.score, "score"), (&raw.weight, "weight")] {
            if let Some(number) = value
                && !(0.0..=1.0).contains(number.get_ref())
            {
                fail(number.span(), format!("{what} is a number from 0.0 to 1.0"));
            }
        }
        for word in raw.context.iter().chain(&raw.against) {
            if crate::detect::words::hash_of(word.get_ref()).is_none() {
                fail(
                    word.span(),
                    "a context word is one word of letters alone; write phrases as their main word".into(),
                );
            }
        }
        let mut examples = Vec::new();
        for (list, wanted) in [(&raw.matches, true), (&raw.ignore, false)] {
            for text in list {
                if marks(text.get_ref()).is_none() {
                    fail(text.span(), "the marks « and » must come in pairs and not nest".into());
                }
                examples.push(Example { marked: text.get_ref().clone(), wanted, span: text.span() });
            }
        }
        if errors.len() > before {
            return None;
        }
        let source = match finder {
            Some(finder) => Source::Finder(finder),
            None if words.is_empty() => Source::Patterns(std::mem::take(&mut patterns)),
            None => Source::Words(words),
        };
        let strings = |list: &[Spanned<String>]| list.iter().map(|s| s.get_ref().clone()).collect();
        Some(Self {
            id: raw.id.get_ref().clone(),
            entity: entity.ok()?,
            operator,
            source,
            validator,
            score: raw.score.as_ref().map_or(0.8, |s| *s.get_ref()),
            weight: raw.weight.as_ref().map_or(0.4, |s| *s.get_ref()),
            context: strings(&raw.context),
            against: strings(&raw.against),
            examples,
            file: index,
            span,
        })
    }
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
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

    #[test]
    fn positions_count_characters() {
        assert_eq!(position("äb\ncd", 4), (2, 1));
        assert_eq!(position("äb\ncd", 2), (1, 2));
    }

    #[test]
    fn an_unknown_field_is_an_error_with_its_place() {
        let error = RuleSet::empty().add("x.toml", "[[rule]]\nid = \"a\"\nentitty = \"B\"\n").unwrap_err();
        assert_eq!((error.line, error.column), (3, 1), "{error}");
        assert!(error.problem.contains("entitty"), "{error}");
    }
}
