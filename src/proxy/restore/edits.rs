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
        let (at, escape, counted) = (text.at.clone(), text.escape, text.counted());
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
        let mut splicer = Splicer::default();
        self.texts.iter().for_each(|edit| splicer.text(edit, document, context));
        self.others.iter().for_each(|(at, other)| splicer.other(at.clone(), other));
        self.padding.iter().for_each(|at| splicer.padding(at.clone(), document));
        splicer.finish(document)
    }
}

/// Writes what is put in place of parts of a document, in any order.
#[derive(Default)]
pub(super) struct Splicer {
    /// All that is put in place, one after another.
    text: Vec<u8>,
    /// What of it replaces which part.
    list: Vec<(Range<usize>, Range<usize>)>,
    /// The length of all texts that changed, as they came and as they are written.
    before: usize,
    after: usize,
}

impl Splicer {
    /// Writes a text of the document anew, where it changes.
    pub(super) fn text(&mut self, edit: &Edit, document: &str, context: &Context) {
        if !edit.changes() {
            return;
        }
        let start = self.text.len();
        self.text.reserve(edit.at.len());
        let raw = document.get(edit.at.clone()).unwrap_or_default();
        let source = edit.map.as_ref().map(|map| Source { raw, map, length: edit.length, skipped: edit.skipped });
        edit.pieces.write(edit.escape, source, context, &mut self.text);
        (self.before, self.after) = (self.before + edit.at.len(), self.after + self.text.len() - start);
        self.list.push((edit.at.clone(), start..self.text.len()));
    }

    /// Puts something else in place of a part.
    pub(super) fn other(&mut self, at: Range<usize>, other: &str) {
        let start = self.text.len();
        self.text.extend_from_slice(other.as_bytes());
        self.list.push((at, start..self.text.len()));
    }

    /// Makes padding as long as it has to be for the texts before: together
    /// they have a multiple of the length that the upstream wanted.
    fn padding(&mut self, at: Range<usize>, document: &str) {
        if self.before == self.after {
            return;
        }
        let start = self.text.len();
        let wanted = (self.before + at.len()).max(1);
        let pad = self.after.max(1).next_multiple_of(wanted) - self.after;
        let old = document.get(at.clone()).filter(|old| !old.is_empty() && old.is_ascii()).unwrap_or("x");
        self.text.extend(old.bytes().filter(u8::is_ascii_alphanumeric).chain([b'x']).cycle().take(pad));
        self.list.push((at, start..self.text.len()));
    }

    /// Whether nothing changes.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The document with all of it in place.
    pub(super) fn finish(mut self, document: &str) -> Vec<u8> {
        self.list.sort_by_key(|(at, _)| at.start);
        let mut out = Vec::with_capacity(document.len() + self.text.len());
        let mut copied = 0;
        for (at, new) in self.list {
            out.extend_from_slice(document.get(copied..at.start).unwrap_or_default().as_bytes());
            out.extend_from_slice(self.text.get(new).unwrap_or_default());
            copied = at.end;
        }
        out.extend_from_slice(document.get(copied..).unwrap_or_default().as_bytes());
        out
    }
}
