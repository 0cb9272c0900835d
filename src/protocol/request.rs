//! The members of requests: which are looked at, and how.

use super::pattern::{Outline, PatternSet};
use crate::json::Path;
use serde::Deserialize;

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
