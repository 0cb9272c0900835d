//! Patterns over the path of a JSON value: `choices[].delta.**`.

use crate::json::{Path, Step};
use serde::{Deserialize, Deserializer, de};

/// A compiled path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Starts with `**`.
    anywhere: bool,
    steps: Vec<Want>,
    /// Ends with `**`.
    below: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Want {
    Member(String),
    Element,
    Any,
}

impl Pattern {
    /// Parses a pattern; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut names: Vec<&str> = text.split('.').collect();
        let anywhere = names.len() > 1 && names.first() == Some(&"**");
        if anywhere {
            names.remove(0);
        }
        let below = names.len() > 1 && names.last() == Some(&"**");
        if below {
            names.pop();
        }
        for name in names {
            let bare = name.trim_end_matches("[]");
            match bare {
                "" | "**" => {
                    return Err(format!("`{text}`: `{name}` is no step; write `a[].b`, `*`, or `**` at an end"));
                }
                "*" => steps.push(Want::Any),
                _ => steps.push(Want::Member(bare.to_owned())),
            }
            steps.extend((0..(name.len() - bare.len()) / 2).map(|_| Want::Element));
        }
        Ok(Self { anywhere, steps, below })
    }

    /// Whether the pattern covers the value at `path`.
    pub fn matches(&self, path: &Path<'_>) -> bool {
        let path = path.steps();
        let wanted = self.steps.len();
        // Paths differ most at their ends.
        let fits = |part: &[Step<'_>]| {
            part.iter().zip(&self.steps).rev().all(|(step, want)| want.is(step)) && part.len() >= wanted
        };
        match (self.anywhere, self.below) {
            (false, false) => path.len() == wanted && fits(path),
            (false, true) => path.len() > wanted && path.get(..wanted).is_some_and(fits),
            (true, false) => path.len() >= wanted && path.get(path.len() - wanted..).is_some_and(fits),
            (true, true) => path.windows(wanted).take(path.len().saturating_sub(wanted)).any(fits),
        }
    }
}

impl Want {
    fn is(&self, step: &Step<'_>) -> bool {
        match (self, step) {
            (Self::Any, _) | (Self::Element, Step::Index(_)) => true,
            (Self::Member(name), Step::Key(key)) => key.is(name),
            _ => false,
        }
    }
}

/// Patterns of which one has to cover a path. A path is held against those
/// that its outline leaves, which mostly are none.
#[derive(Debug, Default)]
pub struct PatternSet {
    by_length: Vec<Group>,
    /// Those with `**`.
    loose: Group,
}

/// Patterns, and the outlines of the paths that they may cover.
#[derive(Debug, Default)]
struct Group {
    patterns: Vec<Pattern>,
    firsts: u64,
    lasts: u64,
}

/// A few bits of a path, by which most patterns can be ruled out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline {
    depth: usize,
    first: u64,
    last: u64,
}

impl PatternSet {
    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.loose.patterns.is_empty() && self.by_length.iter().all(|group| group.patterns.is_empty())
    }

    /// Whether a pattern covers the value at `path`.
    pub fn matches(&self, path: &Path<'_>) -> bool {
        self.covers(path, Outline::of(path))
    }

    /// The same, for who asks of one path more than once.
    pub(super) fn covers(&self, path: &Path<'_>, outline: Outline) -> bool {
        self.by_length.get(outline.depth).is_some_and(|group| group.covers(path, outline))
            || self.loose.covers(path, outline)
    }
}

impl Outline {
    pub(super) fn of(path: &Path<'_>) -> Self {
        let steps = path.steps();
        let bit = |step: Option<&Step<'_>>| match step {
            Some(Step::Index(_)) => ELEMENT,
            Some(Step::Key(key)) if !key.escaped => member(key.raw),
            // The length of what is escaped is not that of the name.
            Some(Step::Key(_)) | None => ANY,
        };
        Self { depth: steps.len(), first: bit(steps.first()), last: bit(steps.last()) }
    }
}

impl Group {
    fn covers(&self, path: &Path<'_>, outline: Outline) -> bool {
        self.firsts & outline.first != 0
            && self.lasts & outline.last != 0
            && self.patterns.iter().any(|pattern| pattern.matches(path))
    }

    fn push(&mut self, pattern: Pattern) {
        let bit = |want: Option<&Want>, open: bool| match want {
            Some(Want::Member(name)) if !open => member(name),
            Some(Want::Element) if !open => ELEMENT,
            _ => ANY,
        };
        self.firsts |= bit(pattern.steps.first(), pattern.anywhere);
        self.lasts |= bit(pattern.steps.last(), pattern.below);
        self.patterns.push(pattern);
    }
}

/// The bits of an outline: any step, a step into an array, and a step to a
/// member, of which there is one for each length of a name.
const ANY: u64 = u64::MAX;
const ELEMENT: u64 = 1;

fn member(name: &str) -> u64 {
    ELEMENT << name.len().clamp(1, 63)
}

impl FromIterator<Pattern> for PatternSet {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            if pattern.anywhere || pattern.below {
                set.loose.push(pattern);
                continue;
            }
            let length = pattern.steps.len();
            if set.by_length.len() <= length {
                set.by_length.resize_with(length + 1, Group::default);
            }
            if let Some(same) = set.by_length.get_mut(length) {
                same.push(pattern);
            }
        }
        set
    }
}

impl<'de> Deserialize<'de> for PatternSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Pattern>::deserialize(deserializer)?.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Str, Visitor, walk};

    /// The values of `document` that stand where `pattern` says.
    fn found(pattern: &str, document: &str) -> Vec<String> {
        struct Collect(Pattern, Vec<String>);
        impl<'a> Visitor<'a> for Collect {
            fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
                if self.0.matches(path) {
                    self.1.push(value.raw.to_owned());
                }
            }
        }
        let mut collect = Collect(Pattern::parse(pattern).unwrap(), Vec::new());
        walk(document, &mut collect).unwrap();
        collect.1
    }

    #[test]
    fn patterns_cover_what_they_say() {
        let document = r#"{"a":"1","b":[{"c":"2","d":{"e":"3"}},"4"],"f":{"a":"5","g":[["6"]]}}"#;
        let cases: [(&str, &[&str]); 12] = [
            ("a", &["1"]),
            ("b[]", &["4"]),
            ("b[].c", &["2"]),
            ("b[].**", &["2", "3"]),
            ("b[].d.**", &["3"]),
            ("b[].d", &[]),
            ("**.a", &["1", "5"]),
            ("f.*", &["5"]),
            ("f.g[][]", &["6"]),
            ("**.d.**", &["3"]),
            ("*", &["1"]),
            ("f.a.**", &[]),
        ];
        for (pattern, want) in cases {
            assert_eq!(found(pattern, document), want, "{pattern}");
        }
    }

    #[test]
    fn a_set_covers_what_one_of_its_patterns_does() {
        struct Compare(Vec<Pattern>, PatternSet, usize);
        impl<'a> Visitor<'a> for Compare {
            fn string(&mut self, path: &Path<'a>, _value: Str<'a>) {
                let covered = self.0.iter().any(|pattern| pattern.matches(path));
                assert_eq!(self.1.matches(path), covered, "{path:?}");
                self.2 += usize::from(covered);
            }
        }
        let long = "n".repeat(80);
        let document = format!(
            r#"{{"a":"1","\u0061":"1","b":[{{"c":"2","d":{{"e":"3"}}}},"4"],"f":{{"a":"5","g":[["6"]],"":"7"}},"{long}":"8"}}"#
        );
        for (list, want) in [
            (&["a"][..], 2),
            (&["b[]", "b[].c"], 2),
            (&["**.a", "x"], 3),
            (&["f.**", "a.**"], 3),
            (&["f.*", "f.g[][]", &long], 4),
            (&[], 0),
        ] {
            let patterns: Vec<_> = list.iter().map(|text| Pattern::parse(text).unwrap()).collect();
            let mut compare = Compare(patterns.clone(), patterns.into_iter().collect(), 0);
            walk(&document, &mut compare).unwrap();
            assert_eq!(compare.2, want, "{list:?}");
        }
    }

    #[test]
    fn a_bad_pattern_says_so() {
        for bad in ["", "a..b", "a.**.b", "[]"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }
}
