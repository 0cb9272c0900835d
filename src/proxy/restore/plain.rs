//! Plain text and markup, restored as it streams.

use super::Context;
use super::finder::Finder;
use super::pieces::{Escape, JsonStart, Pieces};
use bytes::{Bytes, BytesMut};

/// One stream of text.
pub(super) struct PlainRestorer {
    restorer: Finder,
    escape: Escape,
    start: JsonStart,
    pieces: Pieces,
    /// The start of a character whose end has not come yet.
    cut: Vec<u8>,
    /// How many pieces have come.
    pub(super) heard: u64,
}

impl PlainRestorer {
    pub(super) fn new(escape: Escape, context: &Context) -> Self {
        let restorer = Finder::new(context);
        Self { restorer, escape, start: JsonStart::default(), pieces: Pieces::default(), cut: Vec::new(), heard: 0 }
    }

    /// Takes a piece of the reply, and writes what can be sent now.
    pub(super) async fn push(&mut self, chunk: &[u8], context: &Context, out: &mut BytesMut) {
        self.heard += 1;
        let joined;
        let mut bytes = chunk;
        if !self.cut.is_empty() {
            joined = [std::mem::take(&mut self.cut).as_slice(), chunk].concat();
            bytes = &joined;
        }
        while !bytes.is_empty() {
            let (text, rest, bad) = match std::str::from_utf8(bytes) {
                Ok(text) => (text, &[][..], 0),
                Err(error) => {
                    let (valid, rest) = bytes.split_at(error.valid_up_to());
                    (std::str::from_utf8(valid).unwrap_or_default(), rest, error.error_len().unwrap_or(0))
                }
            };
            self.text(text, context, out).await;
            if bad == 0 {
                // Nothing is left, or a character that goes on in the next piece.
                self.cut = rest.to_vec();
                return;
            }
            // Bytes that are no UTF-8 hold no token, and pass.
            self.flush(context, out).await;
            let (passing, next) = rest.split_at(bad);
            out.extend_from_slice(passing);
            bytes = next;
        }
    }

    /// Writes all that is left.
    pub(super) async fn finish(&mut self, context: &Context, out: &mut BytesMut) {
        self.flush(context, out).await;
        out.extend_from_slice(&std::mem::take(&mut self.cut));
    }

    /// It may be long until something follows: what is likely whole is not held.
    pub(super) async fn pause(&mut self, context: &Context, out: &mut BytesMut) {
        self.pieces.clear();
        let pieces = &mut self.pieces;
        self.restorer.pause(&mut |piece| pieces.add(&piece, context));
        self.write(context, out).await;
    }

    async fn text(&mut self, text: &str, context: &Context, out: &mut BytesMut) {
        self.pieces.clear();
        // A byte order mark says nothing of the text.
        self.start.push(text.trim_start_matches('\u{feff}'));
        let pieces = &mut self.pieces;
        self.restorer.push(text, &mut |piece| pieces.add(&piece, context));
        self.write(context, out).await;
    }

    async fn flush(&mut self, context: &Context, out: &mut BytesMut) {
        self.pieces.clear();
        let pieces = &mut self.pieces;
        self.restorer.finish(&mut |piece| pieces.add(&piece, context));
        self.write(context, out).await;
    }

    async fn write(&mut self, context: &Context, out: &mut BytesMut) {
        self.pieces.look_up(context).await;
        let mut written = Vec::new();
        self.pieces.write(self.start.within(self.escape), None, context, &mut written);
        out.extend_from_slice(&written);
    }
}

/// Restores a text that is whole. Bytes that are no UTF-8 pass.
pub(super) async fn restore(text: &[u8], escape: Escape, context: &Context) -> Bytes {
    let mut restorer = PlainRestorer::new(escape, context);
    let mut out = BytesMut::with_capacity(text.len());
    restorer.push(text, context, &mut out).await;
    restorer.finish(context, &mut out).await;
    out.freeze()
}
