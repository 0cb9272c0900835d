//! What is known of each chat protocol: which members of its JSON carry text,
//! and how its replies are streamed. Declared in `rules/protocols/*.toml`;
//! there is one engine for all of them, and no protocol by `if` in the code.

mod classes;
mod glob;
mod known;
mod pattern;
mod reply;
mod request;
mod socket;

pub use classes::{Class, Classes};
pub use known::{ProtocolError, Protocols};
pub use pattern::{Condition, Pattern, PatternSet};
pub use reply::{EventKind, Offsets, ReplyField, ReplyFields, Unit};
pub use request::{Conversation, PathId, RequestField, RequestFields};
pub use socket::{MessageFraming, SocketFields};

use glob::Glob;
use serde::Deserialize;

/// One chat protocol.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// What a route calls it in its `protocol` key.
    pub name: String,
    /// Request paths by which `auto` knows it: `*` is any text within a
    /// segment, `**` any number of segments.
    #[serde(default)]
    paths: Vec<Glob>,
    /// Bodies by which `auto` knows it where no path tells.
    #[serde(default)]
    bodies: Vec<Body>,
    /// The members of requests.
    #[serde(default)]
    pub request: RequestFields,
    /// The members of replies.
    #[serde(default)]
    pub reply: ReplyFields,
    /// What is particular of sockets.
    #[serde(default)]
    pub socket: SocketFields,
}

/// A body that tells a protocol.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// On this path alone; on any where there is none.
    path: Option<Glob>,
    /// The members that it has, all of them.
    has: Vec<Pattern>,
}

impl Protocol {
    /// Whether the path alone tells it.
    fn has_path(&self, path: &[&str]) -> bool {
        self.paths.iter().any(|glob| glob.matches(path))
    }
}

impl Body {
    /// Whether the path lets it tell.
    fn has_path(&self, path: &[&str]) -> bool {
        self.path.as_ref().is_none_or(|glob| glob.matches(path))
    }
}
