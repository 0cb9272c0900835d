//! Server-sent events, as the HTML Standard reads them (section 9.2.6,
//! "Interpreting an event stream").

use std::fmt;
use std::ops::{Deref, Range};

use bytes::Bytes;
use memchr::memchr2;

use super::TooLong;
use super::joint::Joint;

const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// Cuts a stream into events. Iterate after each [`push`](Self::push) until
/// `None`.
///
/// Nothing complete is held back: an event is given out with the line end of
/// its blank line. Where that is a CR at the end of a chunk, an LF that follows
/// is given out by itself, so that it stands before whatever is sent in front
/// of the next event. Comments before an event are given out
/// each by itself, since servers send them to show that they are alive.
#[derive(Debug)]
pub struct Sse {
    max_event: usize,
    bytes: Joint,
    state: State,
    failed: bool,
}

/// Where in the event at hand the splitter is; places are counted from the
/// first byte of the event.
#[derive(Debug)]
struct State {
    /// The first byte of the line at hand.
    line: usize,
    /// Up to here the line at hand has no line end.
    searched: usize,
    /// The last line ended with a CR, so that an LF here belongs to it.
    after_cr: bool,
    /// The line at hand is the first of the stream.
    first: bool,
    /// A line of the event has been read that is no comment.
    begun: bool,
    data: Spans,
}

/// One event, or a comment before an event. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// All its bytes with the blank line, as they came.
    pub raw: Bytes,
    /// Where the values of its `data` lines stand in `raw`, in order. The data
    /// of the event is these values with a line feed between each two.
    pub data: Spans,
}

/// Places in an event, most often one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Places);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Places {
    #[default]
    None,
    One(Range<usize>),
    Many(Vec<Range<usize>>),
}

impl From<Range<usize>> for Spans {
    fn from(place: Range<usize>) -> Self {
        Self(Places::One(place))
    }
}

impl Sse {
    /// A splitter for events of at most so many bytes, line ends included.
    pub fn new(max_event: usize) -> Self {
        let state = State { first: true, ..State::event(false) };
        Self { max_event, bytes: Joint::default(), state, failed: false }
    }

    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        if !self.failed {
            self.bytes.push(chunk);
        }
    }

    /// Says that nothing follows, and gives out the last event if it had no
    /// blank line. The splitter is then as new.
    pub fn finish(&mut self) -> Option<Event> {
        let end = self.bytes.len();
        if self.state.line < end {
            self.read_line(end, end);
        }
        let event = (end > 0).then(|| Event { raw: self.bytes.take(end), data: std::mem::take(&mut self.state.data) });
        *self = Self::new(self.max_event);
        event
    }

    /// Passes over the LF of a CR LF of which the CR was at the end of a chunk.
    /// Gives it out where that CR ended an event.
    fn pass_line_feed(&mut self) -> Option<Event> {
        if !self.state.after_cr {
            return None;
        }
        let byte = self.bytes.byte(self.state.line)?;
        self.state.after_cr = false;
        if byte != b'\n' {
            return None;
        }
        if self.state.line == 0 {
            return Some(Event { raw: self.bytes.take(1), data: Spans::default() });
        }
        self.state.line += 1;
        self.state.searched = self.state.line;
        None
    }

    /// Reads the line at hand, whose text ends at `text_end` and whose line
    /// end ends at `end`. Says whether the event ends with it.
    fn read_line(&mut self, text_end: usize, end: usize) -> bool {
        let state = &mut self.state;
        let mut start = state.line;
        let mut line = self.bytes.slice(start, text_end);
        if state.first
            && let Some(rest) = line.strip_prefix(BYTE_ORDER_MARK)
        {
            line = rest;
            start += BYTE_ORDER_MARK.len();
        }
        state.first = false;
        state.line = end;
        state.searched = end;
        match line.first() {
            None => return true,
            Some(b':') => return !state.begun,
            Some(_) => state.begun = true,
        }
        if let Some(rest) = line.strip_prefix(b"data") {
            let value = match rest {
                [] => Some(text_end),
                [b':', b' ', ..] => Some(start + 6),
                [b':', ..] => Some(start + 5),
                _ => None,
            };
            if let Some(value) = value {
                state.data.push(value..text_end);
            }
        }
        false
    }
}

impl Iterator for Sse {
    type Item = Result<Event, TooLong>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line_feed) = self.pass_line_feed() {
                return Some(Ok(line_feed));
            }
            let found = self.bytes.find(self.state.searched, |bytes| memchr2(b'\n', b'\r', bytes));
            let mut end = found.map_or(self.bytes.len(), |at| at + 1);
            let is_cr = found.is_some_and(|at| self.bytes.byte(at) == Some(b'\r'));
            let next = self.bytes.byte(end);
            if is_cr && next == Some(b'\n') {
                end += 1;
            }
            if end > self.max_event {
                self.failed = true;
                self.bytes.clear();
                self.state = State::event(false);
                return Some(Err(TooLong { limit: self.max_event }));
            }
            let Some(text_end) = found else {
                self.state.searched = end;
                return None;
            };
            let event_ends = self.read_line(text_end, end);
            self.state.after_cr = is_cr && next.is_none();
            if event_ends {
                let state = std::mem::replace(&mut self.state, State::event(is_cr && next.is_none()));
                return Some(Ok(Event { raw: self.bytes.take(end), data: state.data }));
            }
        }
    }
}

impl State {
    /// Before the first byte of an event.
    fn event(after_cr: bool) -> Self {
        Self { line: 0, searched: 0, after_cr, first: false, begun: false, data: Spans::default() }
    }
}

impl Event {
    /// The values of the data lines.
    pub fn data_lines(&self) -> impl Iterator<Item = &[u8]> {
        self.data.iter().map(|span| self.raw.get(span.clone()).unwrap_or_default())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({} bytes, data at {:?})", self.raw.len(), &*self.data)
    }
}

impl Spans {
    fn push(&mut self, span: Range<usize>) {
        self.0 = match std::mem::take(&mut self.0) {
            Places::None => Places::One(span),
            Places::One(first) => Places::Many(vec![first, span]),
            Places::Many(mut all) => {
                all.push(span);
                Places::Many(all)
            }
        };
    }
}

impl Deref for Spans {
    type Target = [Range<usize>];

    fn deref(&self) -> &[Range<usize>] {
        match &self.0 {
            Places::None => &[],
            Places::One(span) => std::slice::from_ref(span),
            Places::Many(spans) => spans,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::{cut, events, sse_agrees_with_reference};
    use super::*;
    use proptest::prelude::*;

    fn data(stream: &str) -> Vec<Vec<String>> {
        sse_agrees_with_reference(&[stream.as_bytes()]);
        let events = events(&[stream.as_bytes()], 1000).unwrap();
        let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
        events.iter().map(|event| event.data_lines().map(text).collect()).collect()
    }

    #[test]
    fn every_line_end_ends_lines() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = ["data: a", "", "id: 1", "data:b", "event: x", "", ""].join(end);
            assert_eq!(data(&stream), [["a"], ["b"]]);
        }
        assert_eq!(data("data: a\r\n\ndata: b\n\rdata: c\r\r\ndata: d\n\r\n"), [["a"], ["b"], ["c"], ["d"]]);
    }

    #[test]
    fn data_lines_are_read_as_the_standard_says() {
        assert_eq!(data("data\n\n"), [[""]]);
        assert_eq!(data("data:\n\n"), [[""]]);
        assert_eq!(data("data: \n\n"), [[""]]);
        assert_eq!(data("data:  x \n\n"), [[" x "]]);
        assert_eq!(data("data:x:y\n\n"), [["x:y"]]);
        assert_eq!(data("data: 1\ndata\ndata:3\ndata: 4\n\n"), [["1", "", "3", "4"]]);
        for none in ["datax: 1\n\n", " data: 1\n\n", "DATA: 1\n\n", "retry: 5\n\n", "dat", "\n"] {
            assert_eq!(data(none), [[""; 0]], "{none:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_once() {
        assert_eq!(data("\u{FEFF}data: a\n\n"), [["a"]]);
        assert_eq!(data("id: 1\n\u{FEFF}data: a\n\n"), [[""; 0]]);
        assert_eq!(data("\u{FEFF}\n\u{FEFF}data: a\n\n"), [vec![], Vec::<&str>::new()]);
    }

    #[test]
    fn comments_come_at_once() {
        let mut sse = Sse::new(100);
        sse.push(Bytes::from_static(b": ping\n"));
        assert_eq!(sse.next().unwrap().unwrap().raw, ": ping\n");
        assert_eq!(sse.next(), None);
        assert_eq!(data(": a\n: b\ndata: c\n: d\ndata: e\n\n"), [vec![], vec![], vec!["c", "e"]]);
    }

    #[test]
    fn an_event_comes_with_its_last_byte() {
        let mut sse = Sse::new(100);
        sse.push(Bytes::from_static(b"data: a\r\n\r"));
        assert_eq!(sse.next().unwrap().unwrap().raw, "data: a\r\n\r");
        sse.push(Bytes::from_static(b"\ndata: b\r"));
        assert_eq!(sse.next().unwrap().unwrap().raw, "\n");
        assert_eq!(sse.next(), None);
        sse.push(Bytes::from_static(b"\r"));
        let event = sse.next().unwrap().unwrap();
        assert_eq!((event.raw.as_ref(), event.data_lines().next()), (&b"data: b\r\r"[..], Some(&b"b"[..])));
        sse.push(Bytes::from_static(b"\n"));
        assert_eq!(sse.next().unwrap().unwrap().raw, "\n");
        assert_eq!(sse.next(), None);
        assert_eq!(sse.finish(), None);
    }

    #[test]
    fn debug_shows_no_content() {
        let mut sse = Sse::new(100);
        sse.push(Bytes::from_static(b"data: jana\n\ndata: jana"));
        let event = sse.next().unwrap().unwrap();
        assert_eq!(format!("{event:?}"), "Event(12 bytes, data at [6..10])");
        assert!(!format!("{sse:?}").contains("jana"));
    }

    #[test]
    fn the_last_event_needs_no_blank_line() {
        assert_eq!(data("data: a\n\ndata: b"), [["a"], ["b"]]);
        assert_eq!(data("data: a\n\ndata: b\n"), [["a"], ["b"]]);
    }

    #[test]
    fn an_event_inside_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c");
        let mut sse = Sse::new(100);
        sse.push(chunk.clone());
        let raws: Vec<_> = sse.by_ref().map(|event| event.unwrap().raw).collect();
        assert_eq!(raws.iter().map(|raw| raw.as_ptr()).collect::<Vec<_>>(), [chunk.as_ptr(), chunk[9..].as_ptr()]);
        let rest = Bytes::from_static(b"\n\ndata: d\n\n");
        sse.push(rest.clone());
        let raws: Vec<_> = sse.map(|event| event.unwrap().raw).collect();
        assert_eq!(raws, ["data: c\n\n", "data: d\n\n"]);
        assert_eq!(raws[1].as_ptr(), rest[2..].as_ptr());
    }

    #[test]
    fn an_event_has_a_limit() {
        assert!(events(&[b"data:4\n\ndata:4\n\n"], 8).is_ok());
        for chunks in [vec![&b"data:45\n\n"[..]], vec![b"data:", b"4567"], vec![b"data\n", b"data\n"]] {
            assert_eq!(events(&chunks, 8), Err(TooLong { limit: 8 }));
        }
        let mut sse = Sse::new(8);
        sse.push(Bytes::from_static(b"data:4\n\ndata:45\n\ndata:4\n\n"));
        assert!(sse.next().unwrap().is_ok());
        assert_eq!(sse.next(), Some(Err(TooLong { limit: 8 })));
        sse.push(Bytes::from_static(b"data:4\n\n"));
        assert_eq!((sse.next(), sse.finish()), (None, None));
    }

    #[test]
    fn every_two_cuts_give_the_same_events() {
        let stream = "\u{FEFF}data: é\r\n\r\n: c\r\ndata\rdata:x\n\n\r\nid: 1\r\r\ndata: z".as_bytes();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                sse_agrees_with_reference(&cut(stream, &[first, second]));
            }
        }
        sse_agrees_with_reference(&stream.chunks(1).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_chunks_give_the_events_of_the_reference(
            stream in "(\u{FEFF})?(data|data: ?|data: ?[a-z:\u{FEFF}]{0,3}|:|: p|id: 1|event|x|\r|\n|\r\n|\n\n|\r\n\r\n){0,20}",
            cuts in prop::collection::vec(0..120_usize, 0..10),
        ) {
            sse_agrees_with_reference(&cut(stream.as_bytes(), &cuts));
        }
    }
}
