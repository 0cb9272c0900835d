//! Patterns over the path of a JSON value: `choices[].delta.**`.
//!
//! A step may ask for what stands beside the value: with
//! `parts[]{thought=true}.text` the text is covered where its part has a
//! member `thought` that is true, with `parts[]{sig}.text` where it has a
//! member `sig`; `{type=a|b}` takes either value.

mod set;

pub use set::PatternSet;
pub(super) use set::{Outline, PatternMap};

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

    /// Whether a value that the pattern covers may stand within what is at
    /// `path`, its conditions aside.
    pub(super) fn leads_through(&self, path: &Path<'_>) -> bool {
        let path = path.steps();
        let ahead = path.len() < self.steps.len() || self.below;
        self.anywhere || ahead && path.iter().zip(&self.steps).all(|(step, want)| want.is(step))
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
