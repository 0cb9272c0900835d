//! Where a text stands that was taken out of a body, perhaps out of several
//! layers of strings.

use super::joint::Places;
use crate::json::OffsetMap;
use std::ops::Range;

/// Where a decoded text stands: a chain from the text out to the body.
pub(super) struct Place<'p> {
    pub(super) start: usize,
    pub(super) map: Option<&'p OffsetMap>,
    pub(super) outer: Option<&'p Place<'p>>,
}

impl Place<'_> {
    /// The place of a byte of the text in the body.
    pub(super) fn in_body(&self, offset: usize) -> usize {
        let raw = self.start + self.map.map_or(offset, |map| map.raw(offset));
        self.outer.map_or(raw, |outer| outer.in_body(raw))
    }

    /// The places of all bytes from one on, and of the end of so many.
    pub(super) fn from(&self, start: usize, end: usize) -> Places {
        match (self.map, self.outer.and_then(|outer| outer.map)) {
            (None, None) => Places::Plain(self.in_body(start)),
            _ => Places::Each((start..=end).map(|at| self.in_body(at)).collect()),
        }
    }

    pub(super) fn range(&self, at: Range<usize>) -> Range<usize> {
        self.in_body(at.start)..self.in_body(at.end)
    }
}
