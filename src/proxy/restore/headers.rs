//! Values in the headers of a reply: an address that echoes the query, a cookie
//! with what was said.

use super::Context;
use super::escape::percent_encoded;
use super::finder::{Finder, Piece};
use crate::entity::Entity;
use crate::proxy::percent::{Encoding, Places};
use crate::token::Token;
use crate::vault::Value;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::ops::Range;
use std::sync::Arc;

/// How often what is encoded is decoded: an address may stand in an address.
const LAYERS: usize = 3;

/// What the value of a cookie may not hold (RFC 6265, 4.1.1), and the sign of
/// the encoding itself.
const NO_COOKIE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// A token or surrogate in one value.
struct Found {
    /// The n-th value as the map of headers counts them, and the bytes of it.
    header: usize,
    at: Range<usize>,
    /// How often its place is percent-encoded.
    layers: usize,
    /// Its brackets are encoded, so that the next layer shows more of it.
    is_encoded: bool,
    token: Option<Token>,
    value: Option<Value>,
    entity: Entity,
}

/// Whether some value may hold a token. No token is without one of these.
pub(in crate::proxy) fn may_hold_tokens(headers: &HeaderMap) -> bool {
    headers.values().any(|value| memchr::memchr3(b'_', b'[', b'%', value.as_bytes()).is_some())
}

/// Puts the values back into the headers. What cannot stand in its place stays
/// as it is.
pub(in crate::proxy) async fn restore(headers: &mut HeaderMap, context: &Context) {
    let mut all = Vec::new();
    for (nth, value) in headers.values().enumerate() {
        if let Ok(text) = str::from_utf8(value.as_bytes()) {
            find(nth, text, context, &mut all);
        }
    }
    look_up(&mut all, context).await;
    let mut all = all.into_iter().peekable();
    for (nth, (name, value)) in headers.iter_mut().enumerate() {
        let (mut spliced, mut copied) = (Vec::new(), 0);
        while let Some(found) = all.next_if(|found| found.header == nth) {
            let Some(written) = found.value.and_then(|value| written(name, value.expose(), found.layers)) else {
                continue;
            };
            spliced.extend_from_slice(value.as_bytes().get(copied..found.at.start).unwrap_or_default());
            spliced.extend_from_slice(written.as_bytes());
            copied = found.at.end;
            context.restored(found.entity);
        }
        if copied > 0 {
            spliced.extend_from_slice(value.as_bytes().get(copied..).unwrap_or_default());
            if let Ok(mut spliced) = HeaderValue::from_bytes(&spliced) {
                spliced.set_sensitive(value.is_sensitive());
                *value = spliced;
            }
        }
    }
}

/// Looks for tokens and surrogates on each layer of percent-encoding.
fn find(header: usize, text: &str, context: &Context, all: &mut Vec<Found>) {
    let first = all.len();
    let mut layers = vec![text.to_owned()];
    while let Some(text) = layers.last() {
        let mut places: Vec<Places<'_>> =
            layers.iter().rev().skip(1).rev().map(|text| Places::new(Encoding::PATH, text)).collect();
        let mut place = |offset| places.iter_mut().rev().fold(offset, |offset, places| places.of(offset));
        let (mut offset, depth) = (0, layers.len() - 1);
        let mut add = |piece: Piece<'_>| {
            let (raw, token, value, entity) = match piece {
                Piece::Text(raw) | Piece::Other { raw, .. } => (raw, None, None, None),
                Piece::Token { token, raw } => (raw, Some(token), context.cached(&token), Some(token.entity())),
                Piece::Surrogate { entity, value, raw } => {
                    (raw, None, Some(Value::from(Arc::clone(value))), Some(entity))
                }
            };
            let from = offset;
            offset += raw.len();
            if let Some(entity) = entity {
                let (at, is_encoded) = (place(from)..place(offset), raw.starts_with('%'));
                all.push(Found { header, at, layers: depth, is_encoded, token, value, entity });
            }
        };
        let mut finder = Finder::of_own(context);
        finder.push(text, &mut add);
        finder.finish(&mut add);
        match Encoding::PATH.decode(text) {
            Ok(inner) if layers.len() <= LAYERS && inner != *text => layers.push(inner),
            _ => break,
        }
    }
    // Of a token whose brackets are encoded the name is found without them too.
    let mut found = all.split_off(first);
    found.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    for found in found {
        match all.get_mut(first..).and_then(<[_]>::last_mut) {
            Some(last) if found.at.start < last.at.end => {
                if found.at.len() > last.at.len() || (found.at == last.at && last.is_encoded) {
                    *last = found;
                }
            }
            _ => all.push(found),
        }
    }
}

/// Asks the vault for what the cache does not hold. What stays unknown, and
/// everything if the vault fails now, stays as it is.
async fn look_up(all: &mut [Found], context: &Context) {
    let mut unknown: Vec<&mut Found> = all.iter_mut().filter(|found| found.value.is_none()).collect();
    let tokens: Vec<Token> = unknown.iter().filter_map(|found| found.token).collect();
    let Some(subject) = context.subject.as_ref().filter(|_| !tokens.is_empty()) else { return };
    match subject.restore(&tokens).await {
        Ok(values) => {
            for (found, value) in unknown.iter_mut().zip(values) {
                if value.is_none() {
                    context.watch.metrics.unknown_tokens.inc();
                }
                found.value = value;
            }
        }
        Err(error) => tracing::warn!(%error, "The vault failed while the headers of a reply were restored."),
    }
}

/// The value as it stands in this header; none where it cannot stand there.
fn written(name: &HeaderName, value: &str, layers: usize) -> Option<String> {
    let is_address = [header::LOCATION, header::CONTENT_LOCATION, header::LINK, header::REFRESH].contains(name);
    match layers {
        0 if is_address => Some(percent_encoded(value, 1)),
        0 if *name == header::SET_COOKIE => Some(utf8_percent_encode(value, NO_COOKIE).to_string()),
        // Nobody says how others would be escaped.
        0 => (!value.contains(|c: char| c.is_control() || matches!(c, '"' | '\\'))).then(|| value.to_owned()),
        layers => Some(percent_encoded(value, layers)),
    }
}
