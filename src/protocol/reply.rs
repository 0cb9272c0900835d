//! The members of replies: which are restored, and how they go on from event to event.

use super::pattern::{Outline, PatternSet};
use crate::json::Path;
use serde::Deserialize;

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
