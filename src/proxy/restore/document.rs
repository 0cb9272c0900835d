//! A whole JSON document: what is found in its strings and names is spliced out.

use super::Context;
use super::channel::{Channels, Place};
use super::edits::{Edit, Edits, Splicer};
use super::escape::Escape;
use super::events::EventRestorer;
use super::finder::Finder;
use super::framing::Framing;
use super::offsets;
use super::pieces::{JsonStart, Pieces};
use super::plain;
use super::screen;
use super::walk::{Found, Text};
use crate::framing::Lines;
use crate::json::{self, OffsetMap};
use bytes::{Bytes, BytesMut};

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// So many texts are looked through before what was found in them is written.
const AT_ONCE: usize = 1024;

/// Restores the document; what is no JSON is restored as text.
pub(in crate::proxy) async fn restore(body: Bytes, context: &Context) -> Bytes {
    let text = match std::str::from_utf8(&body) {
        Ok(text) => text,
        // Other clients may be more lenient.
        Err(_) if context.screens_binary() => {
            return Box::pin(plain::restore(&body, Escape::None, context)).await;
        }
        Err(_) => return body,
    };
    let document = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut found = Found::default();
    if found.read_document(document, &context.protocol.reply, context.shortest()).is_err() {
        // Rare, and boxed, or each reply would have the size of that.
        return Box::pin(restore_lines(&body, document, context)).await;
    }
    let (mut edits, mut pieces, mut splicer) = (Edits::default(), Pieces::default(), Splicer::default());
    let mut changed = false;
    // What is found takes much more memory than what is written, so it is
    // written before there is much of it.
    for texts in found.texts.chunks(AT_ONCE) {
        let mut some = Edits::default();
        for text in texts.iter().filter(|text| !found.is_sealed(text)) {
            some.texts.extend(look(text, found.place(text), document, &found, &mut pieces, context));
        }
        some.look_up(context).await;
        changed |= some.are_changes();
        some.texts.iter().for_each(|edit| splicer.text(edit, document, context));
        edits.texts.extend(some.texts.into_iter().filter(|edit| edit.counted.is_some()));
    }
    found.digits.iter().filter_map(|digits| screen::number(digits, document, context)).for_each(|(at, other)| {
        splicer.other(at, &other);
    });
    (edits.numbers, edits.parts) = (std::mem::take(&mut found.numbers), std::mem::take(&mut found.parts));
    offsets::shift(&mut edits, &mut Channels::default(), changed, context);
    edits.others.drain(..).for_each(|(at, other)| splicer.other(at, &other));
    if splicer.is_empty() {
        return body;
    }
    drop(found);
    let restored = splicer.finish(document);
    if document.len() == text.len() { restored.into() } else { [BYTE_ORDER_MARK.as_bytes(), &restored].concat().into() }
}

/// Some servers call lines of JSON by the name of JSON. What is not even that
/// is a text.
async fn restore_lines(body: &Bytes, document: &str, context: &Context) -> Bytes {
    let first = document.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if Found::default().read_document(first, &context.protocol.reply, usize::MAX).is_err() {
        return plain::restore(document.as_bytes(), Escape::None, context).await;
    }
    let mut events = EventRestorer::new(Framing::Lines(Lines::new(usize::MAX)));
    let mut out = BytesMut::with_capacity(body.len());
    // No line is longer than the body, which has a limit.
    if events.push(body.clone(), context, &mut out).await.is_ok() {
        events.finish(context, &mut out).await;
    }
    out.freeze()
}

/// Looks through a string that is whole; none where nothing changes in it.
pub(super) fn look(
    text: &Text,
    place: Place,
    document: &str,
    found: &Found,
    pieces: &mut Pieces,
    context: &Context,
) -> Option<Edit> {
    let raw = document.get(text.at.clone()).unwrap_or_default();
    let (decoded, map) = undo(raw, text.escaped);
    let whole = decoded.as_deref().unwrap_or(raw);
    if let Some(transcript) = &context.transcript {
        transcript.answered_whole(whole);
    }
    let mut finder = Finder::new(context);
    pieces.clear();
    pieces.reserve(whole.len());
    finder.push(whole, &mut |piece| pieces.add(&piece, context));
    // What comes again, longer, shows its end then: what was shown once stays.
    if found.is_growing(text) {
        finder.settle_word(&mut |piece| pieces.add(&piece, context));
    } else {
        finder.finish(&mut |piece| pieces.add(&piece, context));
    }
    if pieces.is_text(whole.len()) && text.counted().is_none() {
        return None;
    }
    let escape = JsonStart::of(whole).within(text.escape);
    Some(Edit { escape, map, ..Edit::of(text, place, whole.len(), std::mem::take(pieces)) })
}

/// The string without its escapes, where it has any.
pub(super) fn undo(raw: &str, escaped: bool) -> (Option<String>, Option<OffsetMap>) {
    if !escaped {
        return (None, None);
    }
    let (mut decoded, mut map) = (String::with_capacity(raw.len()), OffsetMap::new());
    json::unescape(raw, &mut decoded, &mut map);
    (Some(decoded), Some(map))
}
