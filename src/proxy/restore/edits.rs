//! What changes in one document or event, and the splicing of it.

use super::Context;
use super::channel::{Keys, Place};
use super::escape::Escape;
use super::pieces::{Pieces, Source};
use super::walk::{Number, Text};
use crate::json::OffsetMap;
use std::borrow::Cow;
use std::ops::Range;

/// What changes in one document or event.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) texts: Vec<Edit>,
    /// Other texts in place of parts of the document.
    pub(super) others: Vec<(Range<usize>, Cow<'static, str>)>,
    /// Strings of padding.
    pub(super) padding: Vec<Range<usize>>,
    /// Places in texts.
    pub(super) numbers: Vec<Number>,
    /// Objects, and in which of several texts the places in them count.
    pub(super) parts: Vec<(u64, u64)>,
    /// Which text of many the event carries on.
    pub(super) keys: Keys,
}

/// A text of the document.
pub(super) struct Edit {
    pub(super) at: Range<usize>,
    pub(super) place: Place,
    pub(super) escape: Escape,
    /// The offsets that count in it.
    pub(super) counted: Option<usize>,
    /// How long the text is without its escapes, and where it has any.
    pub(super) length: usize,
    pub(super) map: Option<OffsetMap>,
    /// Of a piece of a text: the channel.
    pub(super) channel: Option<u64>,
    /// So many bytes at the start belong to what began in an earlier event.
    pub(super) skipped: usize,
    pub(super) pieces: Pieces,
}

impl Edit {
    /// Of a text of so many bytes.
    pub(super) fn of(text: &Text, place: Place, length: usize, pieces: Pieces) -> Self {
        let (at, escape, counted) = (text.at.clone(), text.escape, text.counted);
        Self { at, place, escape, counted, length, map: None, channel: None, skipped: 0, pieces }
    }

    /// Whether the text has to be written anew.
    fn changes(&self) -> bool {
        !self.pieces.is_text(self.length)
    }
}

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        self.others.is_empty() && !self.texts.iter().any(Edit::changes)
    }

    /// Whether something is put in place of something else.
    pub(super) fn are_changes(&self) -> bool {
        self.texts.iter().any(|edit| edit.pieces.is_changed())
    }

    pub(super) async fn look_up(&mut self, context: &Context) {
        for edit in &mut self.texts {
            edit.pieces.look_up(context).await;
        }
    }

    /// The document with the changes made.
    pub(super) fn splice(&self, document: &str, context: &Context) -> Vec<u8> {
        // What replaces which part, the texts one after another.
        let mut text = Vec::new();
        let mut list: Vec<(Range<usize>, Range<usize>)> = Vec::with_capacity(self.texts.len() + self.others.len());
        let (mut before, mut after) = (0, 0);
        for edit in self.texts.iter().filter(|edit| edit.changes()) {
            let start = text.len();
            let raw = document.get(edit.at.clone()).unwrap_or_default();
            let source = edit.map.as_ref().map(|map| Source { raw, map, length: edit.length, skipped: edit.skipped });
            edit.pieces.write(edit.escape, source, context, &mut text);
            (before, after) = (before + edit.at.len(), after + text.len() - start);
            list.push((edit.at.clone(), start..text.len()));
        }
        for (at, other) in &self.others {
            let start = text.len();
            text.extend_from_slice(other.as_bytes());
            list.push((at.clone(), start..text.len()));
        }
        for at in self.padding.iter().filter(|_| before != after) {
            let start = text.len();
            // Together with its padding a text has a multiple of the length
            // that the upstream wanted it to have.
            let wanted = (before + at.len()).max(1);
            let pad = after.max(1).next_multiple_of(wanted) - after;
            let old = document.get(at.clone()).filter(|old| !old.is_empty() && old.is_ascii()).unwrap_or("x");
            text.extend(old.bytes().filter(u8::is_ascii_alphanumeric).chain([b'x']).cycle().take(pad));
            list.push((at.clone(), start..text.len()));
        }
        list.sort_by_key(|(at, _)| at.start);
        let mut out = Vec::with_capacity(document.len() + text.len());
        let mut copied = 0;
        for (at, new) in list {
            out.extend_from_slice(document.get(copied..at.start).unwrap_or_default().as_bytes());
            out.extend_from_slice(text.get(new).unwrap_or_default());
            copied = at.end;
        }
        out.extend_from_slice(document.get(copied..).unwrap_or_default().as_bytes());
        out
    }
}
