//! Patterns over the path of a JSON value: `choices[].delta.**`.
//!
//! A step may ask for what stands beside the value: with
//! `parts[]{thought=true}.text` the text is covered where its part has a
//! member `thought` that is true, with `parts[]{sig}.text` where it has a
//! member `sig`; `{type=a|b}` takes either value.

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
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Want {
    Member(String),
    Element,
    Any,
}

/// What an object on the way to a value has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How many steps lead to the object.
    pub depth: usize,
    /// The name of its member.
    pub member: String,
    /// What the member has to be, one of these; any value where there are none.
    pub values: Vec<String>,
}

impl Pattern {
    /// Parses a pattern; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parsed = Self { anywhere: false, steps: Vec::new(), below: false, conditions: Vec::new() };
        let mut names = split(text);
        if names.len() > 1 && names.first() == Some(&"**") {
            parsed.anywhere = true;
            names.remove(0);
        }
        if names.len() > 1 && names.last() == Some(&"**") {
            parsed.below = true;
            names.pop();
        }
        for (nth, step) in names.into_iter().enumerate() {
            let (name, conditions) = step.split_once('{').map_or((step, ""), |(name, rest)| (name, rest));
            let bare = name.trim_end_matches("[]");
            match bare {
                // What the whole document has to hold.
                "" if nth == 0 && !conditions.is_empty() && name.is_empty() => {}
                "" | "**" => {
                    return Err(format!("`{text}`: `{step}` is no step; write `a[].b`, `*`, or `**` at an end"));
                }
                "*" => parsed.steps.push(Want::Any),
                _ => parsed.steps.push(Want::Member(bare.to_owned())),
            }
            parsed.steps.extend((0..(name.len() - bare.len()) / 2).map(|_| Want::Element));
            if !conditions.is_empty() {
                parsed.add_conditions(conditions).ok_or_else(|| {
                    format!("`{text}`: `{step}` has no condition of the form `{{member}}` or `{{member=value|value}}`")
                })?;
            }
        }
        if parsed.anywhere && !parsed.conditions.is_empty() {
            return Err(format!("`{text}`: a pattern with a condition names the whole way, without `**` in front"));
        }
        if parsed.steps.is_empty() {
            return Err(format!("`{text}` names no member; write `a[].b`"));
        }
        Ok(parsed)
    }

    /// Adds `a=b}{c}`, of which the first brace is gone.
    fn add_conditions(&mut self, text: &str) -> Option<()> {
        for one in text.strip_suffix('}')?.split("}{") {
            let (member, values) = one.split_once('=').map_or((one, None), |(member, values)| (member, Some(values)));
            if member.is_empty() || one.contains(['{', '}']) {
                return None;
            }
            let values = values.map_or_else(Vec::new, |values| values.split('|').map(str::to_owned).collect());
            self.conditions.push(Condition { depth: self.steps.len(), member: member.to_owned(), values });
        }
        Some(())
    }

    /// The same pattern with its names in `snake_case`, where that differs.
    pub(super) fn in_snake_case(&self) -> Option<Self> {
        let mut other = self.clone();
        for want in &mut other.steps {
            if let Want::Member(name) = want {
                *name = snake_case(name);
            }
        }
        for condition in &mut other.conditions {
            condition.member = snake_case(&condition.member);
        }
        (other != *self).then_some(other)
    }

    /// Whether the pattern covers the value at `path`, its conditions aside.
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

/// `inlineData` as `inline_data`.
fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// The steps of a pattern; a dot within a condition parts nothing.
fn split(text: &str) -> Vec<&str> {
    let (mut steps, mut from, mut within) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => within = true,
            b'}' => within = false,
            b'.' if !within => {
                steps.push(text.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
    }
    steps.push(text.get(from..).unwrap_or_default());
    steps
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

/// What patterns say of paths. A path is held against those that its outline
/// leaves, which mostly are none.
#[derive(Debug)]
pub(super) struct PatternMap<T> {
    by_length: Vec<Group<T>>,
    /// Those with `**`.
    loose: Group<T>,
}

/// Patterns, and the outlines of the paths that they may cover.
#[derive(Debug)]
struct Group<T> {
    patterns: Vec<(Pattern, T)>,
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

impl<T: Copy + Ord> PatternMap<T> {
    /// The least of what the patterns that cover `path` say; `holds` judges
    /// their conditions.
    pub(super) fn find(
        &self,
        path: &Path<'_>,
        outline: Outline,
        mut holds: impl FnMut(&Condition) -> bool,
    ) -> Option<T> {
        let exact = self.by_length.get(outline.depth).and_then(|group| group.find(path, outline, &mut holds));
        let loose = self.loose.find(path, outline, &mut holds);
        match (exact, loose) {
            (Some(exact), Some(loose)) => Some(exact.min(loose)),
            (exact, loose) => exact.or(loose),
        }
    }

    fn is_empty(&self) -> bool {
        self.loose.patterns.is_empty() && self.by_length.is_empty()
    }
}

impl Outline {
    pub(super) fn of(path: &Path<'_>) -> Self {
        let steps = path.steps();
        let bit = |step: Option<&Step<'_>>| match step {
            Some(Step::Index(_)) => ELEMENT,
            Some(Step::Key(key)) if !key.escaped => member(key.raw),
            // What is escaped does not look like the name.
            Some(Step::Key(_)) | None => ANY,
        };
        Self { depth: steps.len(), first: bit(steps.first()), last: bit(steps.last()) }
    }
}

impl<T: Copy + Ord> Group<T> {
    fn find(&self, path: &Path<'_>, outline: Outline, holds: &mut impl FnMut(&Condition) -> bool) -> Option<T> {
        if self.firsts & outline.first == 0 || self.lasts & outline.last == 0 {
            return None;
        }
        let mut covers = |pattern: &Pattern| pattern.matches(path) && pattern.conditions.iter().all(&mut *holds);
        self.patterns.iter().find(|(pattern, _)| covers(pattern)).map(|(_, says)| *says)
    }

    fn push(&mut self, pattern: Pattern, says: T) {
        let bit = |want: Option<&Want>, open: bool| match want {
            Some(Want::Member(name)) if !open => member(name),
            Some(Want::Element) if !open => ELEMENT,
            _ => ANY,
        };
        self.firsts |= bit(pattern.steps.first(), pattern.anywhere);
        self.lasts |= bit(pattern.steps.last(), pattern.below);
        let place = self.patterns.partition_point(|(_, other)| *other <= says);
        self.patterns.insert(place, (pattern, says));
    }
}

/// The bits of an outline: any step, a step into an array, and a step to a
/// member, of which there are some for the lengths and first letters of names.
const ANY: u64 = u64::MAX;
const ELEMENT: u64 = 1;

fn member(name: &str) -> u64 {
    let first = name.bytes().next().unwrap_or_default();
    ELEMENT << (1 + (name.len() * 7 + usize::from(first) * 5) % 63)
}

impl<T> Default for Group<T> {
    fn default() -> Self {
        Self { patterns: Vec::new(), firsts: 0, lasts: 0 }
    }
}

impl<T> Default for PatternMap<T> {
    fn default() -> Self {
        Self { by_length: Vec::new(), loose: Group::default() }
    }
}

impl<T: Copy + Ord> Extend<(Pattern, T)> for PatternMap<T> {
    fn extend<I: IntoIterator<Item = (Pattern, T)>>(&mut self, patterns: I) {
        for (pattern, says) in patterns {
            if pattern.anywhere || pattern.below {
                self.loose.push(pattern, says);
                continue;
            }
            let length = pattern.steps.len();
            if self.by_length.len() <= length {
                self.by_length.resize_with(length + 1, Group::default);
            }
            if let Some(same) = self.by_length.get_mut(length) {
                same.push(pattern, says);
            }
        }
    }
}

/// Patterns without conditions, of which one has to cover a path.
#[derive(Debug, Default)]
pub struct PatternSet(PatternMap<()>);

impl PatternSet {
    /// Whether a pattern covers the value at `path`.
    pub fn matches(&self, path: &Path<'_>) -> bool {
        self.covers(path, Outline::of(path))
    }

    /// The same, for who asks of one path more than once.
    pub(super) fn covers(&self, path: &Path<'_>, outline: Outline) -> bool {
        self.0.find(path, outline, |_| false).is_some()
    }

    /// Whether it holds no pattern.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Pattern> for PatternSet {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let mut set = PatternMap::default();
        set.extend(patterns.into_iter().map(|pattern| (pattern, ())));
        Self(set)
    }
}

impl<'de> Deserialize<'de> for PatternSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let patterns = Vec::<Pattern>::deserialize(deserializer)?;
        if patterns.iter().any(|pattern| !pattern.conditions.is_empty()) {
            return Err(de::Error::custom("a pattern here has no condition in `{}`"));
        }
        Ok(patterns.into_iter().collect())
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
    fn conditions_name_a_member_of_an_object_on_the_way() {
        let pattern = Pattern::parse("a[].b{type=x.y|z}{flag}.c[].**").unwrap();
        let at = |member: &str, values: &[&str]| Condition {
            depth: 3,
            member: member.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        };
        assert_eq!(pattern.conditions, [at("type", &["x.y", "z"]), at("flag", &[])]);
        assert_eq!(pattern.steps.len(), 5);
        let root = Pattern::parse("{method=call}.params.name").unwrap();
        assert_eq!((root.conditions[0].depth, root.steps.len()), (0, 2));
    }

    #[test]
    fn a_bad_pattern_says_so() {
        for bad in ["", "a..b", "a.**.b", "[]", "a{}", "a{b", "a{=c}", "a{b}x", "**.a{b}.c", "{a=b}", "a.{b}.c"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }
}
