//! A whole JSON document: the tokens in its strings and names are spliced out.

use super::Context;
use super::finder::Finder;
use super::pieces::{Changes, Escape, Pieces};
use super::plain;
use crate::json::{self, OffsetMap, Path, Str, Visitor};
use crate::protocol::ReplyField;
use bytes::Bytes;
use std::ops::Range;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Restores the document; what is no JSON is restored as text.
pub(in crate::proxy) async fn restore(body: Bytes, context: &Context) -> Bytes {
    let Ok(text) = std::str::from_utf8(&body) else { return body };
    let document = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut walk = DocumentWalk { context, strings: Strings::default() };
    if json::walk(document, &mut walk).is_err() {
        return plain::restore(text, Escape::None, context).await;
    }
    let mut strings = walk.strings;
    if strings.is_empty() {
        return body;
    }
    strings.look_up(context).await;
    let restored = strings.changes(context).splice(document);
    if document.len() == text.len() { restored.into() } else { [BYTE_ORDER_MARK.as_bytes(), &restored].concat().into() }
}

/// Whole strings of one document that hold tokens.
#[derive(Default)]
pub(super) struct Strings {
    pieces: Pieces,
    list: Vec<Found>,
}

struct Found {
    /// Pieces of this string.
    pieces: Range<usize>,
    start: usize,
    /// None where the string has no escapes.
    map: Option<OffsetMap>,
    escape: Escape,
}

impl Strings {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.list.clear();
    }

    /// Looks for tokens in the name of a member. Most names are identifiers.
    pub(super) fn look_at_key(&mut self, key: Str<'_>, context: &Context) {
        if !key.raw.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            self.look(key, Escape::Json, context);
        }
    }

    /// Looks for tokens in a string that is whole.
    pub(super) fn look_at_string(&mut self, path: &Path<'_>, value: Str<'_>, context: &Context) {
        let nested = context.protocol.reply.is_nested(path);
        self.look(value, if nested { Escape::NestedJson } else { Escape::Json }, context);
    }

    fn look(&mut self, value: Str<'_>, escape: Escape, context: &Context) {
        let mut restorer = Finder::new(context);
        let first = self.pieces.end();
        let (mut decoded, mut map) = (String::new(), OffsetMap::default());
        let text = if value.escaped {
            json::unescape(value.raw, &mut decoded, &mut map);
            decoded.as_str()
        } else {
            value.raw
        };
        restorer.push(text, &mut |piece| self.pieces.add(&piece, first, context));
        restorer.finish(&mut |piece| self.pieces.add(&piece, first, context));
        let pieces = first..self.pieces.end();
        if self.pieces.is_text(pieces.clone(), text.len()) {
            self.pieces.truncate(first);
        } else {
            let map = value.escaped.then_some(map);
            self.list.push(Found { pieces, start: value.start, map, escape });
        }
    }

    pub(super) async fn look_up(&mut self, context: &Context) {
        self.pieces.look_up(context).await;
    }

    /// The values, each with the place of its token in the document.
    pub(super) fn changes(&self, context: &Context) -> Changes {
        let mut changes = Changes::default();
        for found in &self.list {
            let raw = |offset| found.start + found.map.as_ref().map_or(offset, |map| map.raw(offset));
            for (at, piece) in self.pieces.known(found.pieces.clone()) {
                let at = raw(at.start)..raw(at.end);
                changes.add(at, |out| self.pieces.write(piece..piece + 1, found.escape, context, out));
            }
        }
        changes
    }
}

struct DocumentWalk<'c> {
    context: &'c Context,
    strings: Strings,
}

impl<'a> Visitor<'a> for DocumentWalk<'_> {
    fn key(&mut self, _path: &Path<'a>, key: Str<'a>) {
        self.strings.look_at_key(key, self.context);
    }

    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        if self.context.protocol.reply.classify(path) != ReplyField::Never {
            self.strings.look_at_string(path, value, self.context);
        }
    }
}
