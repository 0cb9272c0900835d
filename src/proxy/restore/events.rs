//! Streams of events (SSE, JSON lines, elements of an array, messages): each
//! event is looked at as it comes, and goes on at once; what may be the start
//! of something that is replaced waits for its rest.
//!
//! What a text holds back goes into the next event that carries it on, and at
//! the text's end out before whatever says so: in a copy of its last event, or,
//! where events are numbered and none may be added, in that event itself, which
//! is kept in hand until then.

use super::Context;
use super::channel::{Channel, Channels, Place, Template};
use super::document::{look, undo};
use super::edits::{Edit, Edits};
use super::framing::Framing;
use super::offsets;
use super::pieces::Pieces;
use super::walk::{Found, Text};
use crate::framing::{Event, TooLong};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

/// So many bytes of events are kept in hand; then what the first of them waits
/// for counts as not coming.
const IN_HAND: usize = 1024 * 1024;

/// Restores one stream of events.
pub(super) struct EventRestorer {
    framing: Framing,
    channels: Channels,
    /// Events so far.
    count: u64,
    /// Whether anything was put in place of something else so far.
    changed: bool,
    found: Found,
    pieces: Pieces,
    hand: VecDeque<Waiting>,
    in_hand: usize,
    /// Where in what is written each event ends, for who sends them one by one.
    pub(super) ends: Vec<usize>,
}

/// An event that is kept in hand.
struct Waiting {
    event: Event,
    data: String,
    edits: Edits,
}

impl EventRestorer {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            channels: Channels::default(),
            count: 0,
            changed: false,
            found: Found::default(),
            pieces: Pieces::default(),
            hand: VecDeque::new(),
            in_hand: 0,
            ends: Vec::new(),
        }
    }

    /// Takes a piece of the reply, and writes the events that can be sent now.
    pub(super) async fn push(&mut self, chunk: Bytes, context: &Context, out: &mut BytesMut) -> Result<(), TooLong> {
        self.framing.push(chunk);
        while let Some(event) = self.framing.next() {
            self.event(&event?, false, context, out).await;
        }
        self.ends.clear();
        Ok(())
    }

    /// The stream is over: writes all that was held back.
    pub(super) async fn finish(&mut self, context: &Context, out: &mut BytesMut) {
        if let Some(event) = self.framing.finish() {
            self.event(&event, true, context, out).await;
        }
        self.flush(|_| true, context, out).await;
        self.send(context, out).await;
    }

    /// Writes the event, and what it lets go of earlier ones.
    pub(super) async fn event(&mut self, event: &Event, is_last: bool, context: &Context, out: &mut BytesMut) {
        if event.data.is_empty() && event.raw == "\n" {
            self.complete_templates();
        }
        self.count += 1;
        let data = data_of(event);
        let fields = &context.protocol.reply;
        if self.framing.closes(event) || (data.is_some() && fields.done.as_deref() == data.as_deref()) {
            self.flush(|_| true, context, out).await;
            return self.keep(event, "", Edits::default(), context, out).await;
        }
        let Some(data) = data else {
            if event.raw.starts_with(b":") {
                // A comment says that the upstream is alive, and waits for nothing.
                return self.pass(event, out);
            }
            return self.keep(event, "", Edits::default(), context, out).await;
        };
        if self.found.read_event(&data, fields).is_err() {
            self.found.set_text(&data, !self.framing.ends_texts());
        }
        if is_last {
            self.found.ends.push(Place::default());
        }
        let edits = self.edits(event, &data, context, out).await;
        self.keep(event, &data, edits, context, out).await;
    }

    /// What changes in the event. What it ends goes out before it.
    async fn edits(&mut self, event: &Event, data: &str, context: &Context, out: &mut BytesMut) -> Edits {
        let found = std::mem::take(&mut self.found);
        let ended: Vec<Place> = found.ends.iter().map(|place| place.renumbered(&found.indexes)).collect();
        let mut edits = Edits { padding: found.padding.clone(), ..Edits::default() };
        for text in &found.texts {
            let sealed = found.is_sealed(text);
            if text.is_piece && sealed {
                // What was held comes before what nobody may touch.
                let place = text.place.renumbered(&found.indexes);
                let hash = self.channels.at(place, found.keys, context).hash;
                self.flush(|channel| channel.hash == hash, context, out).await;
            } else if text.is_piece {
                edits.texts.extend(self.piece(text, event, data, &found, &ended, context));
            } else if !sealed {
                edits.texts.extend(look(text, data, &found, &mut self.pieces, context));
            }
        }
        if !ended.is_empty() {
            let count = self.count;
            let ends = |channel: &Channel| channel.seen != count && channel.ends_with(&ended, &found.keys);
            self.flush(ends, context, out).await;
        }
        edits.look_up(context).await;
        offsets::shift(&found, &mut edits, &mut self.channels, self.changed, context);
        self.changed |= edits.texts.iter().any(|edit| edit.pieces.is_changed());
        self.found = found;
        edits
    }

    /// Takes the next piece of a text.
    fn piece(
        &mut self,
        text: &Text,
        event: &Event,
        data: &str,
        found: &Found,
        ended: &[Place],
        context: &Context,
    ) -> Option<Edit> {
        let raw = data.get(text.at.clone()).unwrap_or_default();
        let (decoded, map) = undo(raw, text.escaped);
        let written = decoded.as_deref().unwrap_or(raw);
        let pieces = &mut self.pieces;
        pieces.clear();
        let channel = self.channels.at(text.place.renumbered(&found.indexes), found.keys, context);
        channel.seen = self.count;
        channel.counted = text.counted;
        let held = channel.finder.held();
        channel.finder.push(written, &mut |piece| pieces.add(&piece, context));
        if channel.ends_with(ended, &found.keys) {
            channel.finder.finish(&mut |piece| pieces.add(&piece, context));
        } else if self.framing.is_of_messages() {
            channel.finder.pause(&mut |piece| pieces.add(&piece, context));
        }
        let numbered = context.protocol.reply.numbered;
        if channel.holds() && !numbered {
            let (event, data, streamed) = (event.clone(), data.to_owned(), found.streamed.clone());
            let (text, escape) = (text.at.clone(), text.escape);
            channel.template = Some(Template { event, data, text, streamed, escape });
        }
        let hash = channel.hash;
        let open = (channel.holds() && numbered).then_some(hash);
        if held > 0 {
            // What an earlier event held goes on in this one.
            let waiting = self.hand.iter_mut().flat_map(|waiting| &mut waiting.edits.texts);
            waiting.filter(|edit| edit.open == Some(hash)).for_each(|edit| edit.open = None);
        }
        let changed = held > 0 || !pieces.is_text(written.len());
        let kept = changed || open.is_some() || text.counted.is_some();
        let (at, pieces) = (text.at.clone(), kept.then(|| std::mem::take(pieces))?);
        let (escape, place, counted) = (text.escape, text.place, text.counted);
        Some(Edit { at, pieces, escape, map, held, place, counted, channel: Some(hash), open, changed })
    }

    /// Sends what these texts hold back.
    async fn flush(&mut self, which: impl Fn(&Channel) -> bool, context: &Context, out: &mut BytesMut) {
        let mut extra = Vec::new();
        for channel in self.channels.iter_mut().filter(|channel| channel.holds() && which(channel)) {
            let mut pieces = Pieces::default();
            channel.finder.finish(&mut |piece| pieces.add(&piece, context));
            pieces.look_up(context).await;
            self.changed |= pieces.is_changed();
            if let Some(offsets) = channel.counted.and_then(|n| context.protocol.reply.offsets.get(n)) {
                channel.shifts.add(pieces.lengths(|text| offsets.unit.count(text)));
            }
            extra.push((channel.hash, channel.template.take(), pieces));
        }
        for (hash, template, pieces) in extra {
            match template {
                Some(template) => self.send_copy(&template, pieces, context, out),
                None => self.complete(hash, pieces),
            }
        }
    }

    /// Adds the end of a text to the event that waits for it.
    fn complete(&mut self, hash: u64, pieces: Pieces) {
        let waiting = self.hand.iter_mut().rev().flat_map(|waiting| waiting.edits.texts.iter_mut().rev());
        if let Some(edit) = waiting.into_iter().find(|edit| edit.open == Some(hash)) {
            edit.pieces.append(pieces);
            edit.open = None;
        }
    }

    /// Sends the end of a text in an event of the shape of the last one that
    /// carried it.
    fn send_copy(&mut self, template: &Template, pieces: Pieces, context: &Context, out: &mut BytesMut) {
        let mut edits = Edits::default();
        for other in template.streamed.iter().filter(|at| **at != template.text) {
            edits.others.push((other.clone(), Cow::Borrowed("")));
        }
        let (at, escape) = (template.text.clone(), template.escape);
        edits.texts.push(Edit::of_copy(at, pieces, escape));
        let event = self.framing.copy(&template.event);
        self.write(&event, &edits.splice(&template.data, context), out);
    }

    /// Sends the event, or keeps it in hand as long as it waits for something,
    /// or stands behind one that does.
    async fn keep(&mut self, event: &Event, data: &str, edits: Edits, context: &Context, out: &mut BytesMut) {
        if self.hand.is_empty() && !edits.is_open() {
            return self.send_one(event, data, &edits, context, out);
        }
        self.in_hand += event.raw.len();
        self.hand.push_back(Waiting { event: event.clone(), data: data.to_owned(), edits });
        self.send(context, out).await;
    }

    /// Sends what waits for nothing any more.
    async fn send(&mut self, context: &Context, out: &mut BytesMut) {
        while let Some(first) = self.hand.front_mut() {
            if first.edits.is_open() && self.in_hand <= IN_HAND {
                return;
            }
            for edit in first.edits.texts.iter_mut().filter(|edit| edit.open.is_some()) {
                if let Some(channel) = edit.open.take().and_then(|hash| self.channels.by_hash(hash)) {
                    let pieces = &mut edit.pieces;
                    channel.finder.finish(&mut |piece| pieces.add(&piece, context));
                    pieces.look_up(context).await;
                }
            }
            let Some(Waiting { event, data, edits }) = self.hand.pop_front() else { return };
            self.in_hand -= event.raw.len();
            self.send_one(&event, &data, &edits, context, out);
        }
    }

    fn send_one(&mut self, event: &Event, data: &str, edits: &Edits, context: &Context, out: &mut BytesMut) {
        if edits.is_empty() {
            self.pass(event, out);
        } else {
            self.write(event, &edits.splice(data, context), out);
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

    /// Writes the event with other data.
    fn write(&mut self, event: &Event, data: &[u8], out: &mut BytesMut) {
        self.framing.write(event, data, out);
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
