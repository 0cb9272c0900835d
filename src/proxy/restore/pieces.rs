//! A text cut at its tokens, the values looked up, and everything written
//! back as its place demands.

use super::escape::Escape;
use super::{Context, finder};
use crate::detect::RuleId;
use crate::entity::Entity;
use crate::json::{self, OffsetMap};
use crate::sensitive::Sensitive;
use crate::token::Token;
use crate::vault::Value;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Tells, while a text comes, whether it is a JSON text that nobody announced:
/// the answer of a model that was asked for JSON. It starts with brackets, and
/// then a string. (`[EMAIL_…] is yours` is no JSON.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum JsonStart {
    /// So far there were blanks.
    #[default]
    Blank,
    /// So far there were brackets and blanks.
    Bracket,
    Json,
    Other,
}

impl JsonStart {
    /// Goes on over more of the text.
    pub(super) fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            *self = match (*self, byte) {
                (Self::Json | Self::Other, _) => return,
                (start, b' ' | b'\t' | b'\n' | b'\r') => start,
                (_, b'{' | b'[') => Self::Bracket,
                (Self::Bracket, b'"') => Self::Json,
                _ => Self::Other,
            };
        }
    }

    /// Of a text that is whole, or its beginning.
    pub(super) fn of(text: &str) -> Self {
        let mut start = Self::default();
        start.push(text);
        start
    }

    /// What a value needs in this text, which stands where `escape` is needed.
    pub(super) fn within(self, escape: Escape) -> Escape {
        match (self, escape) {
            (Self::Json, Escape::None) => Escape::JsonText,
            (Self::Json, Escape::Json) => Escape::NestedJson,
            _ => escape,
        }
    }
}

/// Pieces of one text, one after another.
#[derive(Default)]
pub(super) struct Pieces {
    text: String,
    list: Vec<Piece>,
    missing: bool,
}

struct Piece {
    /// The text as it came.
    raw: Range<usize>,
    token: Option<Token>,
    stand: Option<Stand>,
}

/// What is written in place of a piece.
pub(super) enum Stand {
    /// The caller's own.
    Value(Entity, Value),
    /// For data of somebody else.
    Text { rule: RuleId, text: Sensitive, quoted: bool },
}

impl Pieces {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
        self.missing = false;
    }

    /// So many bytes of text come.
    pub(super) fn reserve(&mut self, length: usize) {
        self.text.reserve(length);
    }

    /// Adds what a finder gave; a text that goes on is one piece.
    pub(super) fn add(&mut self, piece: &finder::Piece<'_>, context: &Context) {
        let (text, token, stand) = match *piece {
            finder::Piece::Text(text) => (text, None, None),
            finder::Piece::Token { token, raw } => {
                let value = context.cached(&token);
                (raw, Some(token), value.map(|value| Stand::Value(token.entity(), value)))
            }
            finder::Piece::Surrogate { entity, value, raw } => {
                (raw, None, Some(Stand::Value(entity, Value::from(Arc::clone(value)))))
            }
            finder::Piece::Other { other, raw } => {
                let text = context.redaction.as_ref().map(|redaction| redaction.stand_in(other, raw));
                let (rule, quoted) = (other.rule, other.quoted);
                (raw, None, text.map(|text| Stand::Text { rule, text: Sensitive::new(text), quoted }))
            }
        };
        let at = self.text.len();
        self.text.push_str(text);
        let raw = at..self.text.len();
        let is_text = |piece: &Piece| piece.token.is_none() && piece.stand.is_none();
        let piece = Piece { raw, token, stand };
        match self.list.last_mut() {
            Some(last) if is_text(last) && is_text(&piece) => last.raw.end = piece.raw.end,
            _ => {
                self.missing |= piece.token.is_some() && piece.stand.is_none();
                self.list.push(piece);
            }
        }
    }

    /// How long the text is that came.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether the pieces are text of this length and nothing else.
    pub(super) fn is_text(&self, length: usize) -> bool {
        self.text.len() == length && self.list.iter().all(|piece| piece.token.is_none() && piece.stand.is_none())
    }

    /// Whether something is put in place of a piece.
    pub(super) fn is_changed(&self) -> bool {
        self.list.iter().any(|piece| piece.stand.is_some())
    }

    /// Asks the vault for the values that the cache does not hold. A token that
    /// stays unknown, and every token if the vault fails now, stays as it is.
    pub(super) async fn look_up(&mut self, context: &Context) {
        let Some(subject) = context.subject.as_ref().filter(|_| self.missing) else { return };
        self.missing = false;
        let unknown = |piece: &&mut Piece| piece.token.is_some() && piece.stand.is_none();
        let tokens: Vec<Token> = self.list.iter_mut().filter(unknown).filter_map(|piece| piece.token).collect();
        match subject.restore(&tokens).await {
            Ok(values) => {
                for (piece, (token, value)) in self.list.iter_mut().filter(unknown).zip(tokens.iter().zip(values)) {
                    if value.is_none() {
                        context.watch.metrics.unknown_tokens.inc();
                    }
                    piece.stand = value.map(|value| Stand::Value(token.entity(), value));
                }
            }
            Err(error) => tracing::warn!(%error, "The vault failed while a reply was restored."),
        }
    }

    /// Writes the pieces with what stands in place of them. Text between is
    /// copied from its source, where there is one, so that its escapes stay as
    /// they were.
    pub(super) fn write(&self, escape: Escape, source: Option<Source<'_>>, context: &Context, out: &mut Vec<u8>) {
        for Part { raw, start, stand } in self.parts() {
            match (stand, source) {
                (Some(stand), _) => {
                    stand.write(raw, escape, out);
                    stand.count(context);
                }
                (None, Some(source)) => source.write(raw, start, escape, out),
                (None, None) => write_raw(raw, escape, out),
            }
        }
    }

    /// The pieces, one after another.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.list.iter().map(|piece| {
            let raw = self.text.get(piece.raw.clone()).unwrap_or_default();
            Part { raw, start: piece.raw.start, stand: piece.stand.as_ref() }
        })
    }

    /// The length of each part of the text as it came, and as it is written.
    pub(super) fn lengths(&self, unit: impl Fn(&str) -> usize) -> impl Iterator<Item = (usize, usize)> {
        self.parts().map(move |Part { raw, stand, .. }| {
            let length = unit(raw);
            (length, stand.map_or(length, |stand| unit(&stand.text(raw, Escape::None))))
        })
    }
}

/// A piece of a text, and what is written in place of it.
pub(super) struct Part<'p> {
    pub(super) raw: &'p str,
    /// Where it starts in the text of all pieces.
    start: usize,
    pub(super) stand: Option<&'p Stand>,
}

impl Stand {
    /// What is written in place of a piece that stands as `raw`, where nothing
    /// else would have to be escaped.
    fn text(&self, raw: &str, escape: Escape) -> Cow<'_, str> {
        match self {
            Self::Value(_, value) => escape.placed(value.expose(), raw),
            Self::Text { text, .. } => text.expose().into(),
        }
    }

    pub(super) fn write(&self, raw: &str, escape: Escape, out: &mut Vec<u8>) {
        // In place of a number there has to be a string.
        let is_number = escape == Escape::NestedJson && matches!(self, Self::Text { quoted: false, .. });
        let quotes: &[u8] = if is_number { b"\\\"" } else { b"" };
        out.extend_from_slice(quotes);
        escape.write(&self.text(raw, escape), out);
        out.extend_from_slice(quotes);
    }

    /// It was written.
    pub(super) fn count(&self, context: &Context) {
        match self {
            Self::Value(entity, _) => context.restored(*entity),
            Self::Text { rule, .. } => context.watch.found_in_reply(*rule),
        }
    }
}

/// A JSON string with escapes from which pieces were made.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    /// The string as it stands.
    pub(super) raw: &'s str,
    pub(super) map: &'s OffsetMap,
    /// How long it is without them.
    pub(super) length: usize,
    /// So many bytes stand in front of the first piece.
    pub(super) skipped: usize,
}

impl Source<'_> {
    /// Writes `text`, which stands at `offset` of the pieces.
    fn write(self, text: &str, offset: usize, escape: Escape, out: &mut Vec<u8>) {
        let start = self.skipped + offset;
        // A token that is not known may go on in the next string.
        let (here, there) = text.split_at(self.length.saturating_sub(start).min(text.len()));
        let at = self.map.raw_range(start..start + here.len());
        out.extend_from_slice(self.raw.get(at).unwrap_or_default().as_bytes());
        write_raw(there, escape, out);
    }
}

/// Text of the upstream's own, which had no escapes.
fn write_raw(text: &str, escape: Escape, out: &mut Vec<u8>) {
    match escape {
        Escape::Json | Escape::NestedJson | Escape::JsonMarkup => json::escape(text, out),
        _ => out.extend_from_slice(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_text_is_told_by_its_start() {
        for (text, want) in [
            (" \n", JsonStart::Blank),
            ("[ {", JsonStart::Bracket),
            ("{\n  \"a\"", JsonStart::Json),
            ("[{\"", JsonStart::Json),
            ("[\"a", JsonStart::Json),
            ("[[\"", JsonStart::Json),
            ("[EMAIL_7K3FQ2MZ] is yours", JsonStart::Other),
            ("{name}, \"hi\"", JsonStart::Other),
            ("\"[\"", JsonStart::Other),
        ] {
            assert_eq!(JsonStart::of(text), want, "{text}");
            let mut start = JsonStart::default();
            text.split("").for_each(|piece| start.push(piece));
            assert_eq!(start, want, "{text} in pieces");
        }
    }
}
