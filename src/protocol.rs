//! What is known of each chat protocol: which members of its JSON carry text,
//! and how its replies are streamed. Declared in `rules/protocols/*.toml`;
//! there is one engine for all of them, and no protocol by `if` in the code.

mod pattern;

pub use pattern::{Pattern, PatternSet};

use crate::json::Path;
use pattern::Outline;
use serde::Deserialize;
use std::sync::Arc;

/// The embedded protocol files. The first whose `paths` match is taken, so the
/// one that matches everything stands last.
const BUILTIN: [&str; 2] =
    [include_str!("../rules/protocols/openai-chat.toml"), include_str!("../rules/protocols/json.toml")];

/// One chat protocol.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// What a route calls it in its `protocol` key.
    pub name: String,
    /// Request paths by which `auto` knows it: `*` is one segment, `**` any number.
    paths: Vec<Glob>,
    /// The members of requests.
    #[serde(default)]
    pub request: RequestFields,
    /// The members of replies.
    #[serde(default)]
    pub reply: ReplyFields,
}

/// What stands in a request, besides prose, which is everything not named here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestFields {
    never: PatternSet,
    media: PatternSet,
    identity: PatternSet,
    bare: PatternSet,
    nested: PatternSet,
    opaque: PatternSet,
}

/// What a member of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestField {
    /// Ids and names of the protocol: never touched.
    Never,
    /// Pictures and sound, or an address of them.
    Media,
    /// Who is asking; the route's `identity` policy holds.
    Identity,
    /// A number that is a piece of text in a form that cannot be read.
    Opaque,
    /// A JSON text within the string.
    Nested,
    /// Anything else: looked at.
    Text,
}

impl RequestFields {
    /// What stands at `path`.
    pub fn classify(&self, path: &Path<'_>) -> RequestField {
        let outline = Outline::of(path);
        if self.never.covers(path, outline) {
            RequestField::Never
        } else if self.media.covers(path, outline) {
            RequestField::Media
        } else if self.identity.covers(path, outline) {
            RequestField::Identity
        } else if self.opaque.covers(path, outline) {
            RequestField::Opaque
        } else if self.nested.covers(path, outline) {
            RequestField::Nested
        } else {
            RequestField::Text
        }
    }

    /// Whether the API takes no brackets there.
    pub fn is_bare(&self, path: &Path<'_>) -> bool {
        self.bare.matches(path)
    }
}

/// What stands in a reply, besides whole texts, which is everything not named here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplyFields {
    never: PatternSet,
    nested: PatternSet,
    stream: PatternSet,
    index: PatternSet,
    end: PatternSet,
    /// The data of the event that ends a stream.
    pub done: Option<String>,
}

/// What a member of a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyField {
    /// Never touched.
    Never,
    /// A piece of a text that goes on in the next event.
    Piece,
    /// A text that is whole.
    Whole,
}

impl ReplyFields {
    /// What stands at `path`.
    pub fn classify(&self, path: &Path<'_>) -> ReplyField {
        let outline = Outline::of(path);
        if self.never.covers(path, outline) {
            ReplyField::Never
        } else if self.stream.covers(path, outline) {
            ReplyField::Piece
        } else {
            ReplyField::Whole
        }
    }

    /// Whether the value at `path` stands below a member that is streamed.
    pub fn is_streamed(&self, path: &Path<'_>) -> bool {
        self.stream.matches(path)
    }

    /// Whether the string at `path` holds a JSON text.
    pub fn is_nested(&self, path: &Path<'_>) -> bool {
        self.nested.matches(path)
    }

    /// Whether the number at `path` tells which element of its array this is.
    pub fn is_index(&self, path: &Path<'_>) -> bool {
        self.index.matches(path)
    }

    /// Whether a value at `path` says that its object gets no more text.
    pub fn is_end(&self, path: &Path<'_>) -> bool {
        self.end.matches(path)
    }
}

/// All protocols of this gateway.
#[derive(Debug, Clone)]
pub struct Protocols(Arc<[Arc<Protocol>]>);

/// A protocol file does not hold.
#[derive(Debug, thiserror::Error)]
#[error("protocol file: {0}")]
pub struct ProtocolError(#[from] toml::de::Error);

impl Protocols {
    /// The embedded ones.
    pub fn builtin() -> Result<Self, ProtocolError> {
        let all = BUILTIN.iter().map(|text| Ok(Arc::new(toml::from_str(text)?)));
        Ok(Self(all.collect::<Result<_, ProtocolError>>()?))
    }

    /// The names a route may use, besides `auto`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|p| p.name.as_str())
    }

    /// The protocol called `name`; with `auto`, the first that knows the path of the request.
    pub fn find(&self, name: &str, path: &str) -> Option<&Arc<Protocol>> {
        if name != "auto" {
            return self.0.iter().find(|p| p.name == name);
        }
        let path: Vec<_> = path.split('/').skip(1).collect();
        self.0.iter().find(|p| p.paths.iter().any(|glob| segments_match(&glob.0, &path)))
    }
}

/// A path of requests, in segments.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
struct Glob(Vec<Segment>);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_picks_by_path() {
        let all = Protocols::builtin().unwrap();
        let name = |path| all.find("auto", path).unwrap().name.as_str();
        assert_eq!(name("/v1/chat/completions"), "openai-chat");
        assert_eq!(name("/chat/completions"), "openai-chat");
        assert_eq!(name("/openai/deployments/x/chat/completions"), "openai-chat");
        assert_eq!(name("/v1/embeddings"), "openai-chat");
        assert_eq!(name("/v1/chat/completionsx"), "json");
        assert_eq!(name("/webhooks/rest/webhook"), "json");
        assert_eq!(name("/"), "json");
    }

    #[test]
    fn a_name_picks_regardless_of_the_path() {
        let all = Protocols::builtin().unwrap();
        assert_eq!(all.find("openai-chat", "/bot").unwrap().name, "openai-chat");
        assert!(all.find("telepathy", "/bot").is_none());
    }
}
