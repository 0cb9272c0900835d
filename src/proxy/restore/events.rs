//! Streams of events (SSE, JSON lines): each event is looked at as it comes,
//! and goes on at once; what may be the start of a token waits for its rest.

use super::Context;
use super::channel::{Channel, Channels, Place, Template};
use super::document::Strings;
use super::pieces::{Changes, Escape, Pieces, Source};
use crate::framing::{Event, Line, Lines, Sse, TooLong};
use crate::json::{self, OffsetMap, Path, Str, Visitor};
use crate::protocol::ReplyField;
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::ops::Range;

/// How events are told apart.
pub(super) enum Framing {
    Sse(Sse),
    Lines(Lines),
    /// Each message is an event: nothing is cut.
    Messages,
}

impl Framing {
    fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Sse(sse) => sse.push(chunk),
            Self::Lines(lines) => lines.push(chunk),
            Self::Messages => {}
        }
    }

    fn next(&mut self) -> Option<Result<Event, TooLong>> {
        match self {
            Self::Sse(sse) => sse.next(),
            Self::Lines(lines) => Some(lines.next()?.map(as_event)),
            Self::Messages => None,
        }
    }

    fn finish(&mut self) -> Option<Event> {
        match self {
            Self::Sse(sse) => sse.finish(),
            Self::Lines(lines) => lines.finish().map(as_event),
            Self::Messages => None,
        }
    }

    /// What stands between two lines of data, where the first is followed by `behind`.
    fn line_break(&self, behind: &[u8]) -> &'static [u8] {
        match (self, behind) {
            (Self::Lines(_) | Self::Messages, _) => b"\n",
            (Self::Sse(_), [b'\r', b'\n', ..]) => b"\r\ndata: ",
            (Self::Sse(_), [b'\r', ..]) => b"\rdata: ",
            (Self::Sse(_), _) => b"\ndata: ",
        }
    }
}

fn as_event(line: Line) -> Event {
    Event { raw: line.raw, data: line.text.into() }
}

/// Restores one stream of events.
pub(super) struct EventRestorer {
    framing: Framing,
    channels: Channels,
    /// Events so far.
    count: u64,
    found: Found,
    pieces: Pieces,
    edits: Vec<Edit>,
    /// Where in what is written each event ends, for who sends them one by one.
    pub(super) ends: Vec<usize>,
}

/// A streamed text of the present event that changes.
struct Edit {
    at: Range<usize>,
    pieces: Range<usize>,
    escape: Escape,
    /// Of a string with escapes; and how much was held before it.
    map: Option<OffsetMap>,
    held: usize,
}

impl EventRestorer {
    pub(super) fn new(framing: Framing) -> Self {
        let (channels, found, pieces) = (Channels::default(), Found::default(), Pieces::default());
        Self { framing, channels, count: 0, found, pieces, edits: Vec::new(), ends: Vec::new() }
    }

    /// Takes a piece of the reply, and writes the events that can be sent now.
    pub(super) async fn push(&mut self, chunk: Bytes, context: &Context, out: &mut BytesMut) -> Result<(), TooLong> {
        self.framing.push(chunk);
        while let Some(event) = self.framing.next() {
            self.event(&event?, context, out).await;
        }
        self.ends.clear();
        Ok(())
    }

    /// The stream is over: writes all that was held back.
    pub(super) async fn finish(&mut self, context: &Context, out: &mut BytesMut) {
        if let Some(event) = self.framing.finish() {
            self.event(&event, context, out).await;
        }
        self.flush(|_| true, context, out).await;
    }

    /// Writes the event, and what it lets go of earlier ones.
    pub(super) async fn event(&mut self, event: &Event, context: &Context, out: &mut BytesMut) {
        if event.data.is_empty() && event.raw == "\n" {
            self.complete_templates();
        }
        self.count += 1;
        let Some(data) = data_of(event) else { return self.pass(event, out) };
        if context.protocol.reply.done.as_deref() == Some(&*data) {
            self.flush(|_| true, context, out).await;
            return self.pass(event, out);
        }
        self.found.clear();
        self.pieces.clear();
        self.edits.clear();
        if json::walk(&data, &mut EventWalk { context, found: &mut self.found }).is_ok() {
            self.json_event(event, &data, context, out).await;
        } else {
            self.text_event(event, &data, context, out).await;
        }
    }

    async fn json_event(&mut self, event: &Event, data: &str, context: &Context, out: &mut BytesMut) {
        let indexes = &self.found.indexes;
        let ended: Vec<Place> = self.found.ends.iter().map(|place| place.renumbered(indexes)).collect();
        for field in &self.found.fields {
            let channel = self.channels.at(field.place.renumbered(indexes), context);
            channel.seen = self.count;
            let raw = data.get(field.at.clone()).unwrap_or_default();
            let (mut decoded, mut map) = (String::new(), None);
            if field.escaped {
                json::unescape(raw, &mut decoded, map.insert(OffsetMap::new()));
            }
            let text = if field.escaped { decoded.as_str() } else { raw };
            let held = channel.restorer.held();
            let first = self.pieces.end();
            let pieces = &mut self.pieces;
            channel.restorer.push(text, &mut |piece| pieces.add(&piece, first, context));
            if channel.ends_with(&ended) {
                channel.restorer.finish(&mut |piece| pieces.add(&piece, first, context));
            }
            let range = first..pieces.end();
            let escape = if field.nested { Escape::NestedJson } else { Escape::Json };
            if channel.holds() {
                let streamed = self.found.streamed.clone();
                channel.template = Some(Template {
                    event: event.clone(),
                    data: data.into(),
                    text: field.at.clone(),
                    streamed,
                    escape,
                });
            }
            if held > 0 || !pieces.is_text(range.clone(), text.len()) {
                self.edits.push(Edit { at: field.at.clone(), pieces: range, escape, map, held });
            } else {
                pieces.truncate(first);
            }
        }
        if !ended.is_empty() {
            let count = self.count;
            self.flush(|channel| channel.seen != count && channel.ends_with(&ended), context, out).await;
        }
        if self.edits.is_empty() && self.found.whole.is_empty() {
            return self.pass(event, out);
        }
        self.pieces.look_up(context).await;
        self.found.whole.look_up(context).await;
        let mut changes = self.found.whole.changes(context);
        for edit in &self.edits {
            let raw = data.get(edit.at.clone()).unwrap_or_default();
            let source = edit.map.as_ref().map(|map| Source { raw, map, held: edit.held });
            let pieces = edit.pieces.clone();
            changes.add(edit.at.clone(), |out| self.pieces.write_over(pieces, edit.escape, source, context, out));
        }
        self.write(event, &changes.splice(data), out);
    }

    /// An event whose data is no JSON: the data of all such events is one text.
    async fn text_event(&mut self, event: &Event, data: &str, context: &Context, out: &mut BytesMut) {
        let channel = self.channels.at(Place::default(), context);
        channel.seen = self.count;
        let was_holding = channel.holds();
        let pieces = &mut self.pieces;
        channel.restorer.push(data, &mut |piece| pieces.add(&piece, 0, context));
        if channel.holds() {
            let (text, streamed) = (0..data.len(), Vec::new());
            channel.template =
                Some(Template { event: event.clone(), data: data.into(), text, streamed, escape: Escape::None });
        }
        if !was_holding && pieces.is_text(0..pieces.end(), data.len()) {
            return self.pass(event, out);
        }
        self.pieces.look_up(context).await;
        let mut changed = Vec::with_capacity(data.len() + 64);
        self.pieces.write(0..self.pieces.end(), Escape::None, context, &mut changed);
        self.write(event, &changed, out);
    }

    /// Sends what these texts hold back, each in an event of the shape of the
    /// last one that carried it.
    async fn flush(&mut self, which: impl Fn(&Channel) -> bool, context: &Context, out: &mut BytesMut) {
        let mut pieces = Pieces::default();
        let mut extra = Vec::new();
        for channel in self.channels.iter_mut().filter(|channel| channel.holds() && which(channel)) {
            let first = pieces.end();
            channel.restorer.finish(&mut |piece| pieces.add(&piece, first, context));
            extra.extend(channel.template.take().map(|template| (template, first..pieces.end())));
        }
        pieces.look_up(context).await;
        for (template, range) in extra {
            let mut changes = Changes::default();
            for other in template.streamed.iter().filter(|at| **at != template.text) {
                changes.add(other.clone(), |_| ());
            }
            changes.add(template.text.clone(), |out| pieces.write(range, template.escape, context, out));
            self.write(&template.event, &changes.splice(&template.data), out);
        }
    }

    /// A line feed came by itself: where the last event ended with half a
    /// line end, its copies would too.
    fn complete_templates(&mut self) {
        let count = self.count;
        for channel in self.channels.iter_mut().filter(|channel| channel.seen == count) {
            if let Some(template) = &mut channel.template
                && template.event.raw.ends_with(b"\r")
            {
                template.event.raw = [&template.event.raw, &b"\n"[..]].concat().into();
            }
        }
    }

    /// Writes the event as it came.
    fn pass(&mut self, event: &Event, out: &mut BytesMut) {
        out.extend_from_slice(&event.raw);
        self.ends.push(out.len());
    }

    /// Writes the event with other data; its other lines stay.
    fn write(&mut self, event: &Event, data: &[u8], out: &mut BytesMut) {
        let spans = &*event.data;
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return };
        out.extend_from_slice(event.raw.get(..first.start).unwrap_or_default());
        let line_break = self.framing.line_break(event.raw.get(first.end..).unwrap_or_default());
        for (n, line) in data.split(|byte| *byte == b'\n').enumerate() {
            if n > 0 {
                out.extend_from_slice(line_break);
            }
            out.extend_from_slice(line);
        }
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
        self.ends.push(out.len());
    }
}

/// The data of an event, its lines joined; none where it has no data, or its
/// data is no UTF-8.
fn data_of(event: &Event) -> Option<Cow<'_, str>> {
    let line = |at: &Range<usize>| std::str::from_utf8(event.raw.get(at.clone()).unwrap_or_default()).ok();
    match &*event.data {
        [] => None,
        [one] => line(one).map(Cow::Borrowed),
        many => many.iter().map(line).collect::<Option<Vec<_>>>().map(|lines| Cow::Owned(lines.join("\n"))),
    }
}

/// What one event holds.
#[derive(Default)]
struct Found {
    fields: Vec<Field>,
    /// All strings below the streamed members, ids and roles included.
    streamed: Vec<Range<usize>>,
    /// Elements of arrays (the hash of their place), and the number each gives itself.
    indexes: Vec<(u64, u64)>,
    /// Objects that get no more text.
    ends: Vec<Place>,
    whole: Strings,
}

/// A piece of a streamed text.
struct Field {
    place: Place,
    at: Range<usize>,
    escaped: bool,
    nested: bool,
}

impl Found {
    fn clear(&mut self) {
        self.fields.clear();
        self.streamed.clear();
        self.indexes.clear();
        self.ends.clear();
        self.whole.clear();
    }
}

struct EventWalk<'w> {
    context: &'w Context,
    found: &'w mut Found,
}

impl<'a> Visitor<'a> for EventWalk<'_> {
    fn key(&mut self, _path: &Path<'a>, key: Str<'a>) {
        self.found.whole.look_at_key(key, self.context);
    }

    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        let fields = &self.context.protocol.reply;
        let at = value.start..value.start + value.raw.len();
        if fields.is_end(path) {
            self.found.ends.push(Place::of_parent(path));
        }
        // A copy of an event must still say of what type its parts are.
        if fields.is_streamed(path) && !path.last_key().is_some_and(|key| key.is("type")) {
            self.found.streamed.push(at.clone());
        }
        match fields.classify(path) {
            ReplyField::Never => {}
            ReplyField::Piece => {
                let (place, nested) = (Place::of(path), fields.is_nested(path));
                self.found.fields.push(Field { place, at, escaped: value.escaped, nested });
            }
            ReplyField::Whole => self.found.whole.look_at_string(path, value, self.context),
        }
    }

    fn number(&mut self, path: &Path<'a>, raw: &'a str, _start: usize) {
        if self.context.protocol.reply.is_index(path) {
            let number = raw.parse().unwrap_or(u64::MAX);
            self.found.indexes.push((Place::of_parent(path).hash(), number));
        }
    }
}
