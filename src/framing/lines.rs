//! Newline-delimited JSON and the like: one item a line.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;

use super::TooLong;
use super::joint::Joint;

/// Cuts a stream into lines. Iterate after each [`push`](Self::push) until
/// `None`.
#[derive(Debug)]
pub struct Lines {
    max_line: usize,
    bytes: Joint,
    /// Up to here no line feed stands.
    searched: usize,
    failed: bool,
}

/// One line. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// The line with its line feed, as it came.
    pub raw: Bytes,
    /// Where its text stands in `raw`, without LF or CR LF.
    pub text: Range<usize>,
}

impl Lines {
    /// A splitter for lines of at most so many bytes, line ends included.
    pub fn new(max_line: usize) -> Self {
        Self { max_line, bytes: Joint::default(), searched: 0, failed: false }
    }

    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        if !self.failed {
            self.bytes.push(chunk);
        }
    }

    /// Says that nothing follows, and gives out the last line if it had no
    /// line feed. The splitter is then as new.
    pub fn finish(&mut self) -> Option<Line> {
        let raw = self.bytes.take(self.bytes.len());
        *self = Self::new(self.max_line);
        (!raw.is_empty()).then(|| line(raw))
    }
}

impl Iterator for Lines {
    type Item = Result<Line, TooLong>;

    fn next(&mut self) -> Option<Self::Item> {
        let feed = self.bytes.find(self.searched, |bytes| memchr(b'\n', bytes));
        let end = feed.map_or(self.bytes.len(), |feed| feed + 1);
        if end > self.max_line {
            self.failed = true;
            self.searched = 0;
            self.bytes.clear();
            return Some(Err(TooLong { limit: self.max_line }));
        }
        if feed.is_none() {
            self.searched = end;
            return None;
        }
        self.searched = 0;
        Some(Ok(line(self.bytes.take(end))))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({} bytes)", self.raw.len())
    }
}

fn line(raw: Bytes) -> Line {
    let text = match raw.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line).len(),
        None => raw.len(),
    };
    Line { raw, text: 0..text }
}

#[cfg(test)]
mod tests {
    use super::super::properties::{cut, lines};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_end_with_a_line_feed() {
        let expected = ["{}", "", "a\rb", "c", "d\r"].map(str::as_bytes);
        assert_eq!(lines(&[b"{}\n\r\na\rb\r\nc\nd\r"], 100), Ok(expected.map(<[u8]>::to_vec).to_vec()));
        assert_eq!(lines(&[], 100), Ok(vec![]));
    }

    #[test]
    fn a_line_inside_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"one\ntwo\nthr");
        let mut lines = Lines::new(100);
        lines.push(chunk.clone());
        let raws: Vec<_> = lines.by_ref().map(|line| line.unwrap().raw).collect();
        assert_eq!(raws.iter().map(|raw| raw.as_ptr()).collect::<Vec<_>>(), [chunk.as_ptr(), chunk[4..].as_ptr()]);
        lines.push(Bytes::from_static(b"ee\n"));
        assert_eq!(lines.next().unwrap().unwrap().raw, "three\n");
    }

    #[test]
    fn a_line_has_a_limit() {
        assert!(lines(&[b"12345\n"], 6).is_ok());
        for chunks in [vec![&b"123456\n"[..]], vec![b"1234", b"567"], vec![b"1\n", b"1234567"]] {
            assert_eq!(lines(&chunks, 6), Err(TooLong { limit: 6 }));
        }
        let mut lines = Lines::new(3);
        lines.push(Bytes::from_static(b"a\nlong\nb\n"));
        assert!(lines.next().unwrap().is_ok());
        assert_eq!(lines.next(), Some(Err(TooLong { limit: 3 })));
        lines.push(Bytes::from_static(b"c\n"));
        assert_eq!(lines.next(), None);
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same_lines(
            text in "([a-z]{0,4}|\r|\n|\r\n){0,30}",
            cuts in prop::collection::vec(0..80_usize, 0..10),
        ) {
            let whole = lines(&[text.as_bytes()], 1000);
            prop_assert_eq!(lines(&cut(text.as_bytes(), &cuts), 1000), whole);
        }
    }
}
