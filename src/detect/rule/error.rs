//! Mistakes in rule files and doubts about them, each with its place.

use std::fmt;
use std::ops::Range;

/// A mistake in a rule file and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{}: {problem}", self.place())]
pub struct RuleError {
    /// The file as it was named to [`RuleSet::add`](crate::detect::RuleSet::add).
    pub file: String,
    /// Line, from 1; 0 where the file as a whole is meant.
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

    fn place(&self) -> String {
        let Self { file, line, column, .. } = self;
        if *line == 0 { file.clone() } else { format!("{file}:{line}:{column}") }
    }
}

/// Where the lines of a file start.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn new(text: &str) -> Self {
        Self(memchr::memchr_iter(b'\n', text.as_bytes()).collect())
    }

    /// The line, from 1, of a byte offset.
    pub(crate) fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|&end| end < offset) + 1
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

impl From<RuleError> for RuleErrors {
    fn from(error: RuleError) -> Self {
        Self(vec![error])
    }
}

impl RuleErrors {
    pub(crate) fn into_first(self) -> RuleError {
        let none = RuleError { file: String::new(), line: 0, column: 0, problem: "no rules".to_owned() };
        self.0.into_iter().next().unwrap_or(none)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        assert_eq!(position("äb\ncd", 4), (2, 1));
        assert_eq!(position("äb\ncd", 2), (1, 2));
    }
}
