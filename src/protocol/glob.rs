//! Patterns over the path of a request: `/**/models/*:generateContent`.

use serde::{Deserialize, Deserializer, de};

/// A path of requests, in segments.
#[derive(Debug)]
pub(super) struct Glob(Vec<Segment>);

#[derive(Debug)]
enum Segment {
    /// `**`
    AnyNumber,
    /// `*` or `{id}` for any text, with what stands in front of it and behind.
    Open {
        front: String,
        behind: String,
        is_id: bool,
    },
    Name(String),
}

impl Glob {
    /// Parses a glob; the error says what is wrong with it.
    fn parse(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix('/') else { return Err(format!("`{text}` does not start with `/`")) };
        let segment = |part: &str| {
            let open = |at: usize, mark: &str| {
                let (front, behind) = (part.get(..at)?, part.get(at + mark.len()..)?);
                let plain = !front.contains(['*', '{', '}']) && !behind.contains(['*', '{', '}']);
                let (front, behind) = (front.to_owned(), behind.to_owned());
                plain.then_some(Segment::Open { front, behind, is_id: mark == ID })
            };
            let segment = match (part.find('*'), part.find(ID)) {
                _ if part == "**" => Some(Segment::AnyNumber),
                (Some(at), None) => open(at, "*"),
                (None, Some(at)) => open(at, ID),
                (None, None) if !part.contains(['{', '}']) => Some(Segment::Name(part.to_owned())),
                _ => None,
            };
            segment.ok_or_else(|| {
                format!("`{text}`: `{part}` is no segment; write a name, `*` or `{{id}}` within one, or `**`")
            })
        };
        path.split('/').map(segment).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the glob covers a path, given in segments.
    pub(super) fn matches(&self, path: &[&str]) -> bool {
        covers(&self.0, path, &mut None)
    }

    /// What stands at `{id}` in a path that the glob covers.
    pub(super) fn id<'p>(&self, path: &[&'p str]) -> Option<&'p str> {
        let mut id = None;
        covers(&self.0, path, &mut id).then_some(id).flatten()
    }
}

const ID: &str = "{id}";

/// Whether the glob covers the path; if so, `id` is what stands at `{id}`.
fn covers<'p>(glob: &[Segment], path: &[&'p str], id: &mut Option<&'p str>) -> bool {
    match (glob, path) {
        ([], []) | ([Segment::AnyNumber], _) => true,
        ([Segment::AnyNumber, rest @ ..], _) => {
            (0..=path.len()).any(|n| covers(rest, path.get(n..).unwrap_or_default(), id))
        }
        ([Segment::Open { front, behind, is_id }, rest @ ..], [first, tail @ ..]) => {
            let text = first.strip_prefix(front.as_str()).and_then(|text| text.strip_suffix(behind.as_str()));
            let Some(text) = text.filter(|text| !text.is_empty()) else { return false };
            let covered = covers(rest, tail, id);
            if covered && *is_id {
                *id = Some(text);
            }
            covered
        }
        ([Segment::Name(name), rest @ ..], [first, tail @ ..]) => name == first && covers(rest, tail, id),
        _ => false,
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<'p>(glob: &str, path: &'p str) -> (bool, Option<&'p str>) {
        let path: Vec<_> = path.split('/').skip(1).collect();
        let glob = Glob::parse(glob).unwrap();
        (glob.matches(&path), glob.id(&path))
    }

    #[test]
    fn globs_cover_what_they_say() {
        for (glob, path, covered) in [
            ("/**/v1/messages", "/v1/messages", true),
            ("/**/v1/messages", "/a/b/v1/messages", true),
            ("/**/v1/messages", "/v1/messages/x", false),
            ("/**/models/*:generateContent", "/v1beta/models/gemini-2.5-pro:generateContent", true),
            ("/**/models/*:generateContent", "/v1beta/models/:generateContent", false),
            ("/**/models/*:generateContent", "/v1beta/models/x:streamGenerateContent", false),
            ("/v2/projects/**", "/v2/projects", true),
            ("/a/*/c", "/a//c", false),
            ("/**", "/", true),
        ] {
            assert_eq!(id(glob, path), (covered, None), "{glob} {path}");
        }
    }

    #[test]
    fn an_id_is_told() {
        assert_eq!(id("/**/conversations/{id}/**", "/v3/directline/conversations/c-1/activities"), (true, Some("c-1")));
        assert_eq!(id("/**/conversations/{id}/**", "/v3/directline/conversations"), (false, None));
        assert_eq!(id("/**/sessions/{id}:detectIntent", "/v2/projects/p/sessions/s1:detectIntent"), (true, Some("s1")));
    }

    #[test]
    fn a_bad_glob_says_so() {
        for bad in ["", "a", "/a*b*", "/{name}", "/{id}*", "/x}"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }
}
