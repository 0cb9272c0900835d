//! Patterns over the path of a request: `/**/chat/completions`.

use serde::Deserialize;

/// A path of requests, in segments.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct Glob(Vec<Segment>);

#[derive(Debug)]
enum Segment {
    /// `**`
    AnyNumber,
    /// `*`
    One,
    Name(String),
}

impl From<String> for Glob {
    fn from(text: String) -> Self {
        let segment = |text: &str| match text {
            "**" => Segment::AnyNumber,
            "*" => Segment::One,
            name => Segment::Name(name.to_owned()),
        };
        Self(text.split('/').skip(1).map(segment).collect())
    }
}

impl Glob {
    /// Whether the glob covers a path, given in segments.
    pub(super) fn matches(&self, path: &[&str]) -> bool {
        segments_match(&self.0, path)
    }
}

fn segments_match(glob: &[Segment], path: &[&str]) -> bool {
    match (glob, path) {
        ([], []) | ([Segment::AnyNumber], _) => true,
        ([Segment::AnyNumber, rest @ ..], _) => {
            (0..=path.len()).any(|n| segments_match(rest, path.get(n..).unwrap_or_default()))
        }
        ([Segment::One, rest @ ..], [_, tail @ ..]) => segments_match(rest, tail),
        ([Segment::Name(name), rest @ ..], [first, tail @ ..]) => name == first && segments_match(rest, tail),
        _ => false,
    }
}
