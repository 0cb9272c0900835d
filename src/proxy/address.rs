//! The address of a request: its path segments, and the names and values of
//! its query, decoded for the search. The origin is the upstream's, always.

use super::inspect::{Form, Located};
use super::look::{Look, Piece, any};
use super::percent::{Encoding, NotUtf8};
use super::redact::Replacements;
use crate::protocol::SocketFields;
use http::Uri;
use http::uri::PathAndQuery;

/// Keys of the API, which is not to be called without them.
const NEVER: [&str; 2] = ["key", "api_key"];

/// Looks through the path and the query.
pub(super) fn inspect(uri: &Uri, fields: &SocketFields, look: &mut Look<'_>) -> Result<(), NotUtf8> {
    let path = uri.path();
    let mut start = 0;
    for segment in path.split('/') {
        look.at(Piece { text: segment, start, label: None }, Encoding::PATH, Form::Percent, any)?;
        start += segment.len() + 1;
    }
    match uri.query() {
        Some(query) => {
            look.at_pairs(query, path.len() + 1, |name| NEVER.contains(&name) || fields.never_in_query(name))
        }
        None => Ok(()),
    }
}

/// The address with its findings replaced; none where it would be too long.
pub(super) fn rewrite(uri: &Uri, found: &[Located], replacements: &mut Replacements) -> Option<Uri> {
    let before = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let after = replacements.splice(before.as_bytes(), found);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(bytes::Bytes::from(after)).ok()?);
    Uri::from_parts(parts).ok()
}
