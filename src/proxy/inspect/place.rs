//! Where a text stands that was taken out of a body, perhaps out of several
//! layers of strings.

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

    pub(super) fn range(&self, at: Range<usize>) -> Range<usize> {
        self.in_body(at.start)..self.in_body(at.end)
    }
}
