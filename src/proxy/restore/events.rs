//! Streams of events (SSE, JSON lines, elements of an array, messages): each
//! event is looked at as it comes, and goes on at once, unless one of its texts
//! ends with what may be the start of something that is replaced. Then it is
//! kept in hand, and those behind it, until more of that text has come, or its
//! end. So every event comes out again, in order, with its own part of the
//! text: what stands in place of something that began in it stands in it too.

use super::channel::{Channel, Channels, Ended, Place};
use super::document::{look, undo};
use super::edits::{Edit, Edits};
use super::escape::Escape;
use super::finder;
use super::framing::Framing;
use super::offsets;
use super::pieces::{JsonStart, Pieces};
use super::plain;
use super::screen;
use super::walk::{Found, Number, Text};
use super::{Context, Pause};
use crate::framing::{Event, Spans, TooLong};
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
    hand: Hand,
    /// Whether anything was put in place of something else so far.
    changed: bool,
    found: Found,
    pieces: Pieces,
    /// How many pieces of text have come.
    pub(super) heard: u64,
    /// Where in what is written each event ends, for who sends them one by one.
    pub(super) ends: Vec<usize>,
}

/// The events that were not sent yet, in order.
#[derive(Default)]
struct Hand {
    events: VecDeque<Waiting>,
    bytes: usize,
    /// The number of the first of them in the stream.
    first: u64,
}

struct Waiting {
    event: Event,
    edits: Edits,
    /// How many of its texts are not decided.
    open: usize,
}

/// A text of an event in hand of which the end is not decided.
pub(super) struct Open {
    /// The number of the event.
    event: u64,
    /// Its place among the edits.
    edit: usize,
    /// How many bytes are not decided.
    left: usize,
}

impl EventRestorer {
    pub(super) fn new(framing: Framing) -> Self {
        let (channels, hand, found, pieces) =
            (Channels::default(), Hand::default(), Found::default(), Pieces::default());
        Self { framing, channels, hand, changed: false, found, pieces, heard: 0, ends: Vec::new() }
    }

    /// Takes a piece of the reply, and writes the events that can be sent now.
    pub(super) async fn push(&mut self, chunk: Bytes, context: &Context, out: &mut BytesMut) -> Result<(), TooLong> {
        self.framing.push(chunk);
        while let Some(event) = self.framing.next() {
            self.event(event?, context, out).await;
        }
        self.ends.clear();
        Ok(())
    }

    /// The stream is over: writes all that was held back.
    pub(super) async fn finish(&mut self, context: &Context, out: &mut BytesMut) {
        if let Some(event) = self.framing.finish() {
            self.event(event, context, out).await;
        }
        self.end(|_| true, context);
        self.send(context, out).await;
    }

    /// Whether an event waits for more text.
    pub(super) fn is_waiting(&self) -> bool {
        !self.hand.events.is_empty()
    }

    /// It may be long until something follows: what is likely whole is not held.
    pub(super) async fn pause(&mut self, pause: Pause, context: &Context, out: &mut BytesMut) {
        for Channel { finder, open, .. } in self.channels.iter_mut() {
            finder.pause(pause, &mut |piece| self.hand.decide(open, &piece, context));
        }
        self.send(context, out).await;
    }

    /// Writes the event, and what it lets go of earlier ones, or keeps it in hand.
    pub(super) async fn event(&mut self, event: Event, context: &Context, out: &mut BytesMut) {
        let Some(data) = data_of(&event) else {
            let is_screened = context.screens_binary() && !event.data.is_empty();
            let event = if is_screened {
                Event { raw: plain::restore(&event.raw, Escape::None, context).await, data: Spans::default() }
            } else {
                event
            };
            self.hand.push(event);
            return self.send(context, out).await;
        };
        let fields = &context.protocol.reply;
        let mut found = std::mem::take(&mut self.found);
        if fields.done.as_deref() == Some(&*data) {
            found.set_end();
        } else if found.read_event(&data, fields, self.framing.carries_on(fields)).is_err() {
            found.set_text(&data, !self.framing.ends_texts());
        }
        self.hand.push(event.clone());
        for text in &found.texts {
            self.look_at(text, &data, &found, context);
        }
        for digits in &found.digits {
            if let (Some(waiting), Some(other)) = (self.hand.events.back_mut(), screen::number(digits, &data, context))
            {
                waiting.edits.others.push(other);
            }
        }
        let ended = Ended::of(found.ends.iter().map(|place| place.renumbered(&found.indexes)));
        if !ended.is_empty() {
            self.end(|channel| channel.ends_with(&ended, &found.keys), context);
        }
        if let Some(waiting) = self.hand.events.back_mut() {
            waiting.edits.padding.append(&mut found.padding);
            let number = |number: Number| Number { place: number.place.renumbered(&found.indexes), ..number };
            waiting.edits.numbers.extend(found.numbers.drain(..).map(number));
            waiting.edits.parts.append(&mut found.parts);
            waiting.edits.keys = found.keys;
        }
        self.found = found;
        self.send(context, out).await;
    }

    /// Looks through a text of the last event in hand.
    fn look_at(&mut self, text: &Text, data: &str, found: &Found, context: &Context) {
        let place = found.place(text).renumbered(&found.indexes);
        if found.is_sealed(text) {
            // What was held is not changed by what nobody may touch.
            if text.is_piece
                && let Some(hash) = self.channels.at(place, found.keys, context).map(|channel| channel.hash)
            {
                self.end(|channel| channel.hash == hash, context);
            }
        } else if text.is_piece && self.channels.at(place, found.keys, context).is_some() {
            self.take_piece(text, place, data, found, context);
        } else if let Some(edit) = look(text, place, data, found, &mut self.pieces, context) {
            self.hand.add(edit, 0);
        }
    }

    /// Takes the next piece of a text that goes on.
    fn take_piece(&mut self, text: &Text, place: Place, data: &str, found: &Found, context: &Context) {
        let raw = data.get(text.at.clone()).unwrap_or_default();
        let (decoded, map) = undo(raw, text.escaped);
        let whole = decoded.as_deref().unwrap_or(raw);
        self.heard += u64::from(!whole.is_empty());
        let Some(channel) = self.channels.at(place, found.keys, context) else { return };
        let hash = channel.hash;
        if let Some(transcript) = &context.transcript {
            transcript.answered(hash, whole);
        }
        channel.counted = text.counted();
        channel.start.push(whole);
        let start = match text.escape {
            // What is no JSON to a strict reader may be all the same.
            Escape::None if JsonStart::of(whole) == JsonStart::Json => JsonStart::Json,
            _ => channel.start,
        };
        let escape = start.within(text.escape);
        let edit = |pieces| Edit { map, escape, channel: Some(hash), ..Edit::of(text, place, whole.len(), pieces) };
        if !channel.open.is_empty() {
            // The finder's next words are of an earlier event.
            let open = self.hand.add(edit(Pieces::default()), whole.len());
            let Channel { finder, open: all, .. } = channel;
            all.extend(open);
            return finder.push(whole, &mut |piece| self.hand.decide(all, &piece, context));
        }
        let pieces = &mut self.pieces;
        pieces.clear();
        channel.finder.push(whole, &mut |piece| pieces.add(&piece, context));
        if !pieces.is_text(whole.len()) || (text.counted().is_some() && !whole.is_empty()) {
            let left = whole.len() - pieces.len();
            let open = self.hand.add(edit(std::mem::take(pieces)), left);
            channel.open.extend(open);
        }
    }

    /// Says of texts that nothing more comes, so that all of them is decided.
    fn end(&mut self, which: impl Fn(&Channel) -> bool, context: &Context) {
        for channel in self.channels.iter_mut().filter(|channel| which(channel)) {
            let Channel { finder, open, start, .. } = channel;
            *start = JsonStart::default();
            finder.finish(&mut |piece| self.hand.decide(open, &piece, context));
        }
    }

    /// Sends what waits for nothing any more.
    async fn send(&mut self, context: &Context, out: &mut BytesMut) {
        loop {
            if self.hand.bytes > IN_HAND {
                let first = self.hand.first;
                self.end(|channel| channel.open.front().is_some_and(|open| open.event == first), context);
            }
            let Some(Waiting { event, mut edits, .. }) = self.hand.pop() else { return };
            edits.look_up(context).await;
            offsets::shift(&mut edits, &mut self.channels, self.changed, context);
            self.changed |= edits.are_changes();
            match data_of(&event).filter(|_| !edits.is_empty()) {
                Some(data) => {
                    self.framing.write(&event, &edits.splice(&data, context), out);
                    self.ends.push(out.len());
                }
                None => self.pass(&event, out),
            }
        }
    }

    /// Writes the event as it came.
    fn pass(&mut self, event: &Event, out: &mut BytesMut) {
        out.extend_from_slice(&event.raw);
        self.ends.push(out.len());
    }
}

impl Hand {
    fn push(&mut self, event: Event) {
        self.bytes += event.raw.len();
        self.events.push_back(Waiting { event, edits: Edits::default(), open: 0 });
    }

    /// The first event, if nothing of it is undecided.
    fn pop(&mut self) -> Option<Waiting> {
        let first = self.events.pop_front_if(|waiting| waiting.open == 0)?;
        self.bytes -= first.event.raw.len();
        self.first += 1;
        Some(first)
    }

    /// Adds an edit to the last event; so many bytes of its text are not decided.
    fn add(&mut self, edit: Edit, left: usize) -> Option<Open> {
        let event = self.first + (self.events.len() as u64).checked_sub(1)?;
        let last = self.events.back_mut()?;
        last.edits.texts.push(edit);
        last.open += usize::from(left > 0);
        (left > 0).then_some(Open { event, edit: last.edits.texts.len() - 1, left })
    }

    /// Gives a decided piece of a text to the event in which it stands, or in
    /// which it begins. A text has a place in as many events as it is `open` in.
    fn decide(&mut self, open: &mut VecDeque<Open>, piece: &finder::Piece<'_>, context: &Context) {
        let mut raw = piece.raw();
        let is_text = matches!(piece, finder::Piece::Text(_));
        let mut is_first = true;
        while !raw.is_empty() {
            let Some(front) = open.front_mut() else { return };
            let at = front.event.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
            let Some(waiting) = at.and_then(|at| self.events.get_mut(at)) else { return };
            let (here, rest) = raw.split_at(raw.floor_char_boundary(front.left.min(raw.len())));
            if let Some(edit) = waiting.edits.texts.get_mut(front.edit) {
                match is_text {
                    true => edit.pieces.add(&finder::Piece::Text(here), context),
                    false if is_first => edit.pieces.add(piece, context),
                    false => edit.skipped += here.len(),
                }
            }
            is_first = false;
            front.left -= here.len();
            if front.left == 0 || here.is_empty() {
                waiting.open -= 1;
                open.pop_front();
            }
            raw = rest;
        }
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
