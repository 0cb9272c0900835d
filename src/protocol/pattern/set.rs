//! Many patterns held against a path at once.

use super::{Condition, Pattern, Want};
use crate::json::{Path, Step};
use serde::{Deserialize, Deserializer, de};

/// What patterns say of paths. A path is held against those that its outline
/// leaves, which mostly are none.
#[derive(Debug)]
pub(in crate::protocol) struct PatternMap<T> {
    by_length: Vec<Group<T>>,
    /// Those with `**`.
    loose: Group<T>,
}

/// Patterns, and the outlines of the paths that they may cover.
#[derive(Debug)]
struct Group<T> {
    /// With the outlines of their own, so that few are looked at closely.
    patterns: Vec<Outlined<T>>,
    firsts: u64,
    lasts: u64,
}

#[derive(Debug)]
struct Outlined<T> {
    first: u64,
    last: u64,
    says: T,
    pattern: Pattern,
}

/// A few bits of a path, by which most patterns can be ruled out.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Outline {
    depth: usize,
    first: u64,
    last: u64,
}

impl<T: Copy + Ord> PatternMap<T> {
    /// The least of what the patterns that cover `path` say; `holds` judges
    /// their conditions.
    pub(in crate::protocol) fn find(
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

    /// Whether what a pattern covers may stand within what is at `path`.
    pub(in crate::protocol) fn leads_through(&self, path: &Path<'_>) -> bool {
        let groups = self.by_length.iter().chain([&self.loose]);
        groups.flat_map(|group| &group.patterns).any(|one| one.pattern.leads_through(path))
    }

    fn is_empty(&self) -> bool {
        self.loose.patterns.is_empty() && self.by_length.is_empty()
    }

    /// Whether a pattern may cover paths of so many steps.
    fn has_depth(&self, depth: usize) -> bool {
        !self.loose.patterns.is_empty() || self.by_length.get(depth).is_some_and(|group| !group.patterns.is_empty())
    }
}

impl Outline {
    pub(in crate::protocol) fn of(path: &Path<'_>) -> Self {
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
        let may = |one: &&Outlined<T>| one.first & outline.first != 0 && one.last & outline.last != 0;
        let mut covers = |pattern: &Pattern| pattern.matches(path) && pattern.conditions.iter().all(&mut *holds);
        self.patterns.iter().filter(may).find(|one| covers(&one.pattern)).map(|one| one.says)
    }

    fn push(&mut self, pattern: Pattern, says: T) {
        let bit = |want: Option<&Want>, open: bool| match want {
            Some(Want::Member(name)) if !open => member(name),
            Some(Want::Element) if !open => ELEMENT,
            _ => ANY,
        };
        let (first, last) = (bit(pattern.steps.first(), pattern.anywhere), bit(pattern.steps.last(), pattern.below));
        self.firsts |= first;
        self.lasts |= last;
        let place = self.patterns.partition_point(|other| other.says <= says);
        self.patterns.insert(place, Outlined { first, last, says, pattern });
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
        // Mostly there is none for paths of this length.
        self.0.has_depth(path.depth()) && self.covers(path, Outline::of(path))
    }

    /// The same, for who asks of one path more than once.
    pub(in crate::protocol) fn covers(&self, path: &Path<'_>, outline: Outline) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Str, Visitor, walk};

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
}
