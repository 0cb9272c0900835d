//! How the events of a reply are told apart, and written with other data.

use crate::framing::{Elements, Event, Line, Lines, Sse, TooLong};
use crate::protocol::ReplyFields;
use bytes::{Bytes, BytesMut};

/// How events are told apart.
pub(super) enum Framing {
    Sse(Sse),
    Lines(Lines),
    Elements(Elements),
    /// Each message is an event: nothing is cut.
    Messages,
}

impl Framing {
    pub(super) fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Sse(sse) => sse.push(chunk),
            Self::Lines(lines) => lines.push(chunk),
            Self::Elements(elements) => elements.push(chunk),
            Self::Messages => {}
        }
    }

    pub(super) fn next(&mut self) -> Option<Result<Event, TooLong>> {
        match self {
            Self::Sse(sse) => sse.next(),
            Self::Lines(lines) => Some(lines.next()?.map(as_event)),
            Self::Elements(elements) => elements.next(),
            Self::Messages => None,
        }
    }

    pub(super) fn finish(&mut self) -> Option<Event> {
        match self {
            Self::Sse(sse) => sse.finish(),
            Self::Lines(lines) => lines.finish().map(as_event),
            Self::Elements(elements) => elements.finish(),
            Self::Messages => None,
        }
    }

    /// Whether data that is no JSON is a text by itself, as a line is.
    pub(super) fn ends_texts(&self) -> bool {
        matches!(self, Self::Lines(_) | Self::Messages)
    }

    /// Whether texts go on from event to event. Of messages most say all at
    /// once, and the next may be long in coming: they have to say of what kind
    /// they are.
    pub(super) fn carries_on(&self, fields: &ReplyFields) -> bool {
        !matches!(self, Self::Messages) || fields.kind.is_some()
    }

    /// Writes the event with other data; its other lines stay.
    pub(super) fn write(&self, event: &Event, data: &[u8], out: &mut BytesMut) {
        let spans = &*event.data;
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return };
        out.extend_from_slice(event.raw.get(..first.start).unwrap_or_default());
        let line_break = self.line_break(event.raw.get(first.end..).unwrap_or_default());
        let mut rest = data;
        while let Some(end) = rest.iter().position(|byte| self.breaks_line(*byte)) {
            let (line, behind) = rest.split_at(end);
            out.extend_from_slice(line);
            out.extend_from_slice(line_break);
            rest = behind.strip_prefix(b"\r\n").or(behind.get(1..)).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        // Between two lines of data there may be lines of another kind.
        for pair in spans.windows(2) {
            let [one, next] = pair else { continue };
            let between = event.raw.get(one.end..next.start).unwrap_or_default();
            let lines = between.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(0);
            let kept = between.get(..lines).unwrap_or_default();
            let is_crlf = between.get(lines) == Some(&b'\n');
            out.extend_from_slice(if is_crlf { kept.strip_suffix(b"\r").unwrap_or(kept) } else { kept });
        }
        out.extend_from_slice(event.raw.get(last.end..).unwrap_or_default());
    }

    /// Whether a line of data ends before this byte. In an event stream a lone
    /// carriage return ends it too: behind one a value could write fields.
    fn breaks_line(&self, byte: u8) -> bool {
        byte == b'\n' || (byte == b'\r' && matches!(self, Self::Sse(_)))
    }

    /// What stands between two lines of data, where the first is followed by `behind`.
    fn line_break(&self, behind: &[u8]) -> &'static [u8] {
        match (self, behind) {
            (Self::Lines(_) | Self::Elements(_) | Self::Messages, _) => b"\n",
            (Self::Sse(_), [b'\r', b'\n', ..]) => b"\r\ndata: ",
            (Self::Sse(_), [b'\r', ..]) => b"\rdata: ",
            (Self::Sse(_), _) => b"\ndata: ",
        }
    }
}

fn as_event(line: Line) -> Event {
    let Line { raw, mut text } = line;
    // JSON text sequences (RFC 7464) start each with a record separator.
    if raw.get(text.clone()).is_some_and(|text| text.starts_with(b"\x1e")) {
        text.start += 1;
    }
    Event { raw, data: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_in_a_value_starts_a_line_of_data() {
        for (line_end, raw) in [("\n", "data: x\n\n"), ("\r\n", "data: x\r\n\r\n"), ("\r", "data: x\r\r")] {
            let event = Event { raw: Bytes::from(raw), data: (6..7).into() };
            let mut out = BytesMut::new();
            Framing::Sse(Sse::new(100)).write(&event, b"a\rid: 7\r\nb\nc\r", &mut out);
            let want = ["data: a", "data: id: 7", "data: b", "data: c", "data: ", "", ""].join(line_end);
            assert_eq!(out, want.as_bytes());
        }
    }
}
