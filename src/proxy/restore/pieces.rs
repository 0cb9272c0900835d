//! Texts cut at their tokens, the values looked up, and everything written
//! back as its place demands.

use super::Context;
use crate::json::{self, OffsetMap};
use crate::token::{self, Token};
use crate::vault::Value;
use std::ops::Range;

/// What a value needs where it is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Escape {
    /// Plain text.
    None,
    /// HTML or XML text.
    Html,
    /// Inside a JSON string.
    Json,
    /// Inside a JSON string within a JSON string.
    NestedJson,
}

/// Other texts in place of parts of a document, which do not overlap.
#[derive(Default)]
pub(super) struct Changes {
    /// What is replaced in the document, and what of `text` replaces it.
    list: Vec<(Range<usize>, Range<usize>)>,
    text: Vec<u8>,
}

impl Changes {
    /// Puts what `write` writes in place of what stands `at` this part.
    pub(super) fn add(&mut self, at: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        self.list.push((at, start..self.text.len()));
    }

    /// The document with the changes made.
    pub(super) fn splice(mut self, document: &str) -> Vec<u8> {
        self.list.sort_by_key(|(at, _)| at.start);
        let mut out = Vec::with_capacity(document.len() + self.text.len());
        let mut copied = 0;
        for (at, text) in self.list {
            out.extend_from_slice(document.get(copied..at.start).unwrap_or_default().as_bytes());
            out.extend_from_slice(self.text.get(text).unwrap_or_default());
            copied = at.end;
        }
        out.extend_from_slice(document.get(copied..).unwrap_or_default().as_bytes());
        out
    }
}

/// Pieces of any number of texts, one after another.
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
    value: Option<Value>,
}

impl Pieces {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
        self.missing = false;
    }

    /// Where the next piece will stand.
    pub(super) fn end(&self) -> usize {
        self.list.len()
    }

    /// Takes back all pieces from `start` on.
    pub(super) fn truncate(&mut self, start: usize) {
        if let Some(first) = self.list.get(start) {
            self.text.truncate(first.raw.start);
            self.list.truncate(start);
        }
    }

    /// Adds what a restorer gave; a text that goes on, from `start`, is one piece.
    pub(super) fn add(&mut self, piece: &token::Piece<'_>, start: usize, context: &Context) {
        let (text, token) = match piece {
            token::Piece::Text(text) => (text, None),
            token::Piece::Token { token, raw } => (raw, Some(*token)),
        };
        let at = self.text.len();
        self.text.push_str(text);
        let raw = at..self.text.len();
        let last = self.list.get_mut(start..).and_then(<[Piece]>::last_mut);
        match last {
            Some(last) if token.is_none() && last.token.is_none() => last.raw.end = raw.end,
            _ => {
                let value = token.and_then(|token| context.subject.cached(&token));
                self.missing |= token.is_some() && value.is_none();
                self.list.push(Piece { raw, token, value });
            }
        }
    }

    /// Whether the pieces are one text of this length and nothing else.
    pub(super) fn is_text(&self, pieces: Range<usize>, length: usize) -> bool {
        match self.list.get(pieces).unwrap_or_default() {
            [] => length == 0,
            [one] => one.token.is_none() && one.raw.len() == length,
            _ => false,
        }
    }

    /// Asks the vault for the values that the cache does not hold. A token that
    /// stays unknown, and every token if the vault fails now, stays as it is.
    pub(super) async fn look_up(&mut self, context: &Context) {
        if !self.missing {
            return;
        }
        self.missing = false;
        let unknown = |piece: &&mut Piece| piece.token.is_some() && piece.value.is_none();
        let tokens: Vec<Token> = self.list.iter_mut().filter(unknown).filter_map(|piece| piece.token).collect();
        match context.subject.restore(&tokens).await {
            Ok(values) => {
                for (piece, value) in self.list.iter_mut().filter(unknown).zip(values) {
                    if value.is_none() {
                        context.watch.metrics.unknown_tokens.inc();
                    }
                    piece.value = value;
                }
            }
            Err(error) => tracing::warn!(%error, "The vault failed while a reply was restored."),
        }
    }

    /// The tokens among the pieces that have a value: the offset of each in the
    /// text from `pieces.start` on, and its place in the list.
    pub(super) fn known(&self, pieces: Range<usize>) -> impl Iterator<Item = (Range<usize>, usize)> {
        let start = self.list.get(pieces.start).map_or(0, |first| first.raw.start);
        let list = self.list.get(pieces.clone()).unwrap_or_default();
        list.iter().zip(pieces).filter(|(piece, _)| piece.value.is_some()).map(move |(piece, at)| {
            let raw = &piece.raw;
            (raw.start - start..raw.end - start, at)
        })
    }

    /// Writes the pieces with their values in place.
    pub(super) fn write(&self, pieces: Range<usize>, escape: Escape, context: &Context, out: &mut Vec<u8>) {
        self.write_over(pieces, escape, None, context, out);
    }

    /// The same; text between the tokens is copied from its source, so that
    /// its escapes stay as they were.
    pub(super) fn write_over(
        &self,
        pieces: Range<usize>,
        escape: Escape,
        source: Option<Source<'_>>,
        context: &Context,
        out: &mut Vec<u8>,
    ) {
        let list = self.list.get(pieces).unwrap_or_default();
        let start = list.first().map_or(0, |first| first.raw.start);
        for piece in list {
            if let (Some(value), Some(token)) = (&piece.value, piece.token) {
                write_value(value.expose(), escape, out);
                context.watch.restored(token.entity());
                continue;
            }
            let text = self.text.get(piece.raw.clone()).unwrap_or_default();
            match source {
                Some(source) => source.write(text, piece.raw.start - start, escape, out),
                None => write_raw(text, escape, out),
            }
        }
    }
}

/// A JSON string with escapes from which pieces were made.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    /// The string as it stands.
    pub(super) raw: &'s str,
    pub(super) map: &'s OffsetMap,
    /// So many bytes of the pieces are from before this string.
    pub(super) held: usize,
}

impl Source<'_> {
    /// Writes `text`, which stands at `offset` of the pieces.
    fn write(self, text: &str, offset: usize, escape: Escape, out: &mut Vec<u8>) {
        let before = self.held.saturating_sub(offset).min(text.len());
        write_raw(text.get(..before).unwrap_or_default(), escape, out);
        if before < text.len() {
            let at = (offset + before - self.held)..(offset + text.len() - self.held);
            out.extend_from_slice(self.raw.get(self.map.raw_range(at)).unwrap_or_default().as_bytes());
        }
    }
}

/// Text of the upstream's own of which the escapes are not known any more.
fn write_raw(text: &str, escape: Escape, out: &mut Vec<u8>) {
    match escape {
        Escape::None | Escape::Html => out.extend_from_slice(text.as_bytes()),
        Escape::Json | Escape::NestedJson => json::escape(text, out),
    }
}

fn write_value(value: &str, escape: Escape, out: &mut Vec<u8>) {
    match escape {
        Escape::None => out.extend_from_slice(value.as_bytes()),
        Escape::Json => json::escape(value, out),
        Escape::NestedJson => {
            let mut inner = Vec::with_capacity(value.len());
            json::escape(value, &mut inner);
            // Escaping keeps UTF-8 whole.
            json::escape(std::str::from_utf8(&inner).unwrap_or_default(), out);
        }
        Escape::Html => {
            for c in value.bytes() {
                match c {
                    b'&' => out.extend_from_slice(b"&amp;"),
                    b'<' => out.extend_from_slice(b"&lt;"),
                    b'>' => out.extend_from_slice(b"&gt;"),
                    b'"' => out.extend_from_slice(b"&quot;"),
                    b'\'' => out.extend_from_slice(b"&#39;"),
                    _ => out.push(c),
                }
            }
        }
    }
}
