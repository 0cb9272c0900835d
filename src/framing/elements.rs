//! A JSON array that arrives piece by piece, one element an event: what
//! Gemini's and Dialogflow's REST interfaces call a stream.

use std::fmt;

use bytes::Bytes;
use memchr::memchr2;

use super::joint::Joint;
use super::{Event, Spans, TooLong};

const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// Cuts an array into its elements. Iterate after each [`push`](Self::push)
/// until `None`.
///
/// An element is given out with its last byte, together with what stands in
/// front of it: white space, the open bracket or a comma. The close bracket is
/// an event without data. A text that is no array is one event, which comes
/// when it has ended. Nothing is checked but strings and brackets.
pub struct Elements {
    max_element: usize,
    bytes: Joint,
    /// Up to here the bytes at hand have been read.
    read: usize,
    state: State,
    failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the open bracket.
    Start,
    /// Before an element, a comma or the close bracket.
    Between,
    /// In an element that starts there, so deep in its own brackets.
    Inside { start: usize, depth: usize, string: bool },
    /// Behind the close bracket.
    Closed,
    /// In a text that is no array.
    Whole { start: usize },
}

/// What the byte at hand completes.
enum Step {
    Nothing,
    /// An element that started there and ends behind this byte, or before it.
    Element {
        start: usize,
        end: usize,
    },
    Close,
}

impl Elements {
    /// A splitter for elements of at most so many bytes, with what stands in
    /// front of them.
    pub fn new(max_element: usize) -> Self {
        Self { max_element, bytes: Joint::default(), read: 0, state: State::Start, failed: false }
    }

    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        if !self.failed {
            self.bytes.push(chunk);
        }
    }

    /// Says that nothing follows, and gives out what is left. The splitter is
    /// then as new.
    pub fn finish(&mut self) -> Option<Event> {
        let end = self.bytes.len();
        let data = match self.state {
            State::Inside { start, .. } | State::Whole { start } => (start..end).into(),
            _ => Spans::default(),
        };
        let raw = self.bytes.take(end);
        *self = Self::new(self.max_element);
        (!raw.is_empty()).then_some(Event { raw, data })
    }

    /// Reads the byte at `read` and goes on to the next that matters.
    fn step(&mut self, byte: u8) -> Step {
        let at = self.read;
        self.read += 1;
        match (&mut self.state, byte) {
            (State::Start | State::Between, b' ' | b'\t' | b'\n' | b'\r') | (State::Between, b',') => {}
            (State::Start, b'[') => self.state = State::Between,
            (State::Start, byte) if at < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.get(at) == Some(&byte) => {}
            (State::Start, _) => self.state = State::Whole { start: at },
            (State::Between, b']') => {
                self.state = State::Closed;
                return Step::Close;
            }
            (State::Between, byte) => {
                self.state = State::Inside { start: at, depth: 0, string: false };
                return self.inside(at, byte);
            }
            (State::Inside { .. }, byte) => return self.inside(at, byte),
            (State::Closed | State::Whole { .. }, _) => self.read = self.bytes.len(),
        }
        Step::Nothing
    }

    fn inside(&mut self, at: usize, byte: u8) -> Step {
        let State::Inside { start, depth, string } = &mut self.state else { return Step::Nothing };
        let start = *start;
        let mut ends = false;
        match byte {
            b'\\' if *string => self.read += 1,
            b'"' => {
                *string = !*string;
                ends = !*string && *depth == 0;
            }
            _ if *string => {
                // Most of a stream is text.
                let next = self.bytes.find(self.read, |bytes| memchr2(b'"', b'\\', bytes));
                self.read = next.unwrap_or(self.bytes.len());
            }
            b'{' | b'[' => *depth += 1,
            b'}' | b']' if *depth > 0 => {
                *depth -= 1;
                ends = *depth == 0;
            }
            // A number or a word ends before what stands behind it.
            b',' | b']' | b' ' | b'\t' | b'\n' | b'\r' if *depth == 0 => {
                self.state = State::Between;
                self.read = at;
                return Step::Element { start, end: at };
            }
            _ => {}
        }
        if ends {
            self.state = State::Between;
            return Step::Element { start, end: at + 1 };
        }
        Step::Nothing
    }

    fn take(&mut self, end: usize, data: Spans) -> Event {
        self.read -= end;
        Event { raw: self.bytes.take(end), data }
    }
}

impl Iterator for Elements {
    type Item = Result<Event, TooLong>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            if self.read > self.max_element {
                self.failed = true;
                self.bytes.clear();
                return Some(Err(TooLong { limit: self.max_element }));
            }
            let Some(byte) = self.bytes.byte(self.read) else {
                // White space behind the end need not wait.
                let rest = self.bytes.len();
                let gone = self.state == State::Closed && rest > 0;
                return gone.then(|| Ok(self.take(rest, Spans::default())));
            };
            match self.step(byte) {
                Step::Nothing => {}
                Step::Element { start, end } => return Some(Ok(self.take(end, (start..end).into()))),
                Step::Close => return Some(Ok(self.take(self.read, Spans::default()))),
            }
        }
        None
    }
}

impl fmt::Debug for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Elements({:?}, {:?})", self.bytes, self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::cut;
    use super::*;
    use proptest::prelude::*;

    /// The raw parts with their data, of a stream that comes in these chunks.
    fn parts(chunks: &[&[u8]], max: usize) -> Result<Vec<(String, Option<String>)>, TooLong> {
        let mut elements = Elements::new(max);
        let mut events = Vec::new();
        for chunk in chunks {
            elements.push(Bytes::copy_from_slice(chunk));
            for event in elements.by_ref() {
                events.push(event?);
            }
        }
        events.extend(elements.finish());
        #[expect(clippy::disallowed_methods, reason = "what passes at an end may be cut within a character")]
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(events.iter().map(|event| (text(&event.raw), event.data_lines().next().map(text))).collect())
    }

    #[test]
    fn an_array_comes_in_elements() {
        let stream = "[{\"a\": \"]},\\\"\"}\n,\r\n [1,[2]], 7 ,\"x\\\\\", null]\n";
        let want = [
            ("[{\"a\": \"]},\\\"\"}", Some("{\"a\": \"]},\\\"\"}")),
            ("\n,\r\n [1,[2]]", Some("[1,[2]]")),
            (", 7", Some("7")),
            (" ,\"x\\\\\"", Some("\"x\\\\\"")),
            (", null", Some("null")),
            ("]", None),
            ("\n", None),
        ];
        let want = want.map(|(raw, data)| (raw.to_owned(), data.map(str::to_owned)));
        assert_eq!(parts(&[stream.as_bytes()], 100).unwrap(), want);
        assert_eq!(parts(&[b"[]"], 9).unwrap(), [("[]".to_owned(), None)]);
        assert_eq!(parts(&[], 9).unwrap(), []);
    }

    #[test]
    fn an_element_comes_with_its_last_byte() {
        let mut elements = Elements::new(100);
        elements.push(Bytes::from_static(b"[{\"a\":1"));
        assert_eq!(elements.next(), None);
        elements.push(Bytes::from_static(b"}"));
        assert_eq!(elements.next().unwrap().unwrap().raw, "[{\"a\":1}");
        elements.push(Bytes::from_static(b"\n,"));
        assert_eq!(elements.next(), None);
    }

    #[test]
    fn what_is_no_array_is_one_event() {
        for text in ["{\"error\": {\"code\": 4}}\n", "oops", "\u{feff}{}"] {
            let all = parts(&[text.as_bytes()], 100).unwrap();
            let data = text.trim_start_matches('\u{feff}').to_owned();
            assert_eq!(all, [(text.to_owned(), Some(data))]);
        }
        assert_eq!(parts(&["\u{feff}[1]".as_bytes()], 100).unwrap().len(), 2);
        // Cut off in an element, or between two.
        assert_eq!(parts(&[b"[1,{\"a"], 100).unwrap()[1], (",{\"a".to_owned(), Some("{\"a".to_owned())));
        assert_eq!(parts(&[b"[1,"], 100).unwrap()[1], (",".to_owned(), None));
    }

    #[test]
    fn an_element_has_a_limit() {
        assert!(parts(&[b"[\"abc\",\"abc\"]"], 6).is_ok());
        for chunks in [vec![&b"[\"abcdef\"]"[..]], vec![b"[\"ab", b"cdef"], vec![b"{\"a\":12", b"34}"]] {
            assert_eq!(parts(&chunks, 6), Err(TooLong { limit: 6 }));
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let mut elements = Elements::new(100);
        elements.push(Bytes::from_static(b"[\"jana"));
        assert_eq!(elements.next(), None);
        assert!(!format!("{elements:?}").contains("jana"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn any_chunks_give_the_same_elements(
            text in "(\u{FEFF})?(\\[|\\]|\\{|\\}|\"|\\\\|\\\\\"|,|:| |\n|7|é|true|\"[a-z\\]]{0,3}\"){0,30}",
            cuts in prop::collection::vec(0..80_usize, 0..10),
        ) {
            let whole = parts(&[text.as_bytes()], 1000).unwrap();
            let raw: String = whole.iter().map(|(raw, _)| raw.as_str()).collect();
            prop_assert_eq!(&raw, &text);
            let chunked = parts(&cut(text.as_bytes(), &cuts), 1000).unwrap();
            // White space behind the end comes as it does.
            let data = |parts: &[(String, Option<String>)]| -> Vec<_> { parts.iter().filter_map(|(_, data)| data.clone()).collect() };
            prop_assert_eq!(data(&chunked), data(&whole));
        }

        #[test]
        fn elements_are_those_of_the_array(
            values in prop::collection::vec("(\"([a-z{}\\[\\], ]|\\\\[\"\\\\n])*\"|-?[0-9]{1,3}|\\{\"a\":\\[1,\"x\\]\"\\]\\}|\\[\\])", 0..6),
            cuts in prop::collection::vec(0..80_usize, 0..6),
        ) {
            let text = format!("[{}]", values.join(" ,\n"));
            let found = parts(&cut(text.as_bytes(), &cuts), 1000).unwrap();
            let data: Vec<String> = found.into_iter().filter_map(|(_, data)| data).collect();
            prop_assert_eq!(data, values);
        }
    }
}
