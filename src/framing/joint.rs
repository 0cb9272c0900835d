//! The bytes of the part at hand, over the joint between two chunks.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// What came and was not given out yet. The part at hand starts with the first
/// of these bytes; places are counted from there.
#[derive(Default)]
pub(super) struct Joint {
    /// What earlier chunks held of the part at hand.
    earlier: BytesMut,
    /// What is left of the last chunk.
    chunk: Bytes,
}

impl Joint {
    /// Adds a chunk. What an earlier one left is copied; nothing else is.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if !self.chunk.is_empty() {
            self.earlier.extend_from_slice(&self.chunk);
        }
        self.chunk = chunk;
    }

    pub(super) fn len(&self) -> usize {
        self.earlier.len() + self.chunk.len()
    }

    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        match at.checked_sub(self.earlier.len()) {
            Some(at) => self.chunk.get(at),
            None => self.earlier.get(at),
        }
        .copied()
    }

    /// The first place from `at` on that `find` finds.
    pub(super) fn find(&self, at: usize, find: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        let joint = self.earlier.len();
        if at < joint
            && let Some(n) = self.earlier.get(at..).and_then(&find)
        {
            return Some(at + n);
        }
        let at = at.max(joint);
        self.chunk.get(at - joint..).and_then(find).map(|n| at + n)
    }

    /// The bytes from `start` to `end`. Where they span the joint it is moved
    /// to `end`.
    pub(super) fn slice(&mut self, start: usize, end: usize) -> &[u8] {
        let joint = self.earlier.len();
        if start >= joint {
            return self.chunk.get(start - joint..end - joint).unwrap_or_default();
        }
        if end > joint {
            let more = self.chunk.split_to((end - joint).min(self.chunk.len()));
            self.earlier.extend_from_slice(&more);
        }
        self.earlier.get(start..end).unwrap_or_default()
    }

    /// Takes the part at hand, which ends at `end`.
    pub(super) fn take(&mut self, end: usize) -> Bytes {
        let joint = self.earlier.len();
        if joint == 0 {
            return self.chunk.split_to(end.min(self.chunk.len()));
        }
        if end > joint {
            let more = self.chunk.split_to((end - joint).min(self.chunk.len()));
            self.earlier.extend_from_slice(&more);
        }
        self.earlier.split_to(end.min(self.earlier.len())).freeze()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl fmt::Debug for Joint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
