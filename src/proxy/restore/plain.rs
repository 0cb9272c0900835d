//! Plain text and markup, restored as it streams.

use super::declared;
use super::escape::{Escape, Markup};
use super::finder::Finder;
use super::foreign::{Foreign, Read};
use super::pieces::{JsonStart, Part, Pieces};
use super::{Context, Pause};
use crate::proxy::charset::Charset;
use bytes::{Bytes, BytesMut};

/// One stream of text.
pub(super) struct PlainRestorer {
    restorer: Finder,
    escape: Escape,
    start: JsonStart,
    /// Where in a text of XML the next piece stands.
    markup: Markup,
    pieces: Pieces,
    /// The start of a character whose end has not come yet, or of the text.
    cut: Vec<u8>,
    /// None as long as the text has not begun.
    charset: Option<Bytewise>,
    /// The first bytes, as long as they may say the charset.
    head: Vec<u8>,
    /// How many pieces have come.
    pub(super) heard: u64,
}

/// How bytes become characters.
enum Bytewise {
    Utf8,
    /// A charset that nobody knows. What is ASCII in it is read and written.
    Ascii,
    Foreign(Box<Foreign>),
}

impl PlainRestorer {
    pub(super) fn new(escape: Escape, context: &Context) -> Self {
        let (restorer, start, markup) = (Finder::new(context), JsonStart::default(), Markup::default());
        let (pieces, cut) = (Pieces::default(), Vec::new());
        Self { restorer, escape, start, markup, pieces, cut, charset: None, head: Vec::new(), heard: 0 }
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
        if self.charset.is_none() && !self.begin(bytes, context) {
            self.cut = bytes.to_vec();
            return;
        }
        self.believe(chunk, context, out).await;
        match &mut self.charset {
            Some(Bytewise::Foreign(foreign)) => {
                for read in foreign.read(bytes) {
                    match read {
                        Read::Text(text) => self.text(&text, context, out).await,
                        Read::Other(bytes) => self.pass(&bytes, context, out).await,
                    }
                }
            }
            _ => self.utf8(bytes, context, out).await,
        }
    }

    /// Tells the charset by the first bytes. Says whether there are enough.
    fn begin(&mut self, bytes: &[u8], context: &Context) -> bool {
        // Two of them are a byte order mark, if there is one.
        if matches!(bytes, [] | [0xfe | 0xff]) || (bytes.len() < 2 && context.charset == Some(Charset::MarkedUtf16)) {
            return false;
        }
        self.charset = Some(match context.charset {
            None => Bytewise::Ascii,
            Some(charset) => match Foreign::of(charset, bytes) {
                Some(foreign) => Bytewise::Foreign(Box::new(foreign)),
                None => Bytewise::Utf8,
            },
        });
        true
    }

    /// Goes on in the charset that a page says in this piece. Nothing waits for
    /// it: what stands in front of it is hardly ever anything but ASCII.
    async fn believe(&mut self, chunk: &[u8], context: &Context, out: &mut BytesMut) {
        let is_page = matches!(self.escape, Escape::Html | Escape::Xml);
        let more = declared::REACH.saturating_sub(self.head.len());
        if !context.declares || !is_page || more == 0 || !matches!(self.charset, Some(Bytewise::Utf8)) {
            return;
        }
        self.head.extend_from_slice(chunk.get(..more).unwrap_or(chunk));
        let Some(charset) = declared::charset(&self.head) else { return };
        self.head.resize(declared::REACH, 0);
        if let Some(foreign) = Foreign::of(charset, &[]) {
            self.flush(context, out).await;
            self.charset = Some(Bytewise::Foreign(Box::new(foreign)));
        }
    }

    async fn utf8(&mut self, mut bytes: &[u8], context: &Context, out: &mut BytesMut) {
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
            let (passing, next) = rest.split_at(bad);
            self.pass(passing, context, out).await;
            bytes = next;
        }
    }

    /// Bytes that are no characters hold no token, and pass.
    async fn pass(&mut self, bytes: &[u8], context: &Context, out: &mut BytesMut) {
        self.flush(context, out).await;
        out.extend_from_slice(bytes);
    }

    /// Writes all that is left.
    pub(super) async fn finish(&mut self, context: &Context, out: &mut BytesMut) {
        self.flush(context, out).await;
        out.extend_from_slice(&std::mem::take(&mut self.cut));
        if let Some(Bytewise::Foreign(foreign)) = &mut self.charset {
            out.extend_from_slice(&foreign.finish());
        }
    }

    /// It may be long until something follows: what is likely whole is not held.
    pub(super) async fn pause(&mut self, pause: Pause, context: &Context, out: &mut BytesMut) {
        self.pieces.clear();
        let pieces = &mut self.pieces;
        self.restorer.pause(pause, &mut |piece| pieces.add(&piece, context));
        self.write(context, out).await;
    }

    async fn text(&mut self, text: &str, context: &Context, out: &mut BytesMut) {
        self.pieces.clear();
        // A byte order mark says nothing of the text.
        self.start.push(text.trim_start_matches('\u{feff}'));
        if let Some(transcript) = &context.transcript {
            transcript.answered(0, text);
        }
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
        for part in self.pieces.parts() {
            let Part { raw, stand: Some(stand), .. } = part else {
                if self.escape == Escape::Xml {
                    self.markup.pass(part.raw);
                }
                write_source(&mut self.charset, part.raw, out);
                continue;
            };
            // Of a token without brackets that stands first in a section it is not its own.
            let owns_bracket = self.escape == Escape::Xml && self.markup.owns_bracket(raw);
            if owns_bracket {
                self.markup.pass("[");
            }
            let escape = if self.escape == Escape::Xml { self.markup.escape() } else { self.escape };
            let escape = self.start.within(escape);
            let mut written = Vec::new();
            stand.write(raw, escape, &mut written);
            match encoded(self.charset.as_ref(), &written, escape) {
                Some(bytes) => {
                    let before = if owns_bracket { "[" } else { "" };
                    let after = if owns_bracket && raw.ends_with(']') { "]" } else { "" };
                    let charset = self.charset.as_ref();
                    let bracket = |text: &str| encoded(charset, text.as_bytes(), escape).unwrap_or_default();
                    out.extend_from_slice(&bracket(before));
                    out.extend_from_slice(&bytes);
                    out.extend_from_slice(&bracket(after));
                    self.markup.pass(after);
                    drop_source(&mut self.charset, raw);
                    stand.count(context);
                }
                // It cannot be said in this charset: the token stays.
                None => write_source(&mut self.charset, raw, out),
            }
        }
    }
}

/// The bytes of an escaped value; none where its charset has no way to write it.
fn encoded(charset: Option<&Bytewise>, written: &[u8], escape: Escape) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(written).ok()?;
    match charset {
        Some(Bytewise::Foreign(foreign)) => foreign.encode(text, escape),
        Some(Bytewise::Ascii) if !text.is_ascii() => {
            let mut out = Vec::with_capacity(text.len());
            for c in text.chars() {
                if c.is_ascii() {
                    out.push(c as u8);
                } else {
                    out.extend_from_slice(escape.reference(c)?.as_bytes());
                }
            }
            Some(out)
        }
        _ => Some(written.to_vec()),
    }
}

/// Writes what came as it came.
fn write_source(charset: &mut Option<Bytewise>, raw: &str, out: &mut BytesMut) {
    match charset {
        Some(Bytewise::Foreign(foreign)) => out.extend(foreign.source(raw)),
        _ => out.extend_from_slice(raw.as_bytes()),
    }
}

fn drop_source(charset: &mut Option<Bytewise>, raw: &str) {
    if let Some(Bytewise::Foreign(foreign)) = charset {
        drop(foreign.source(raw));
    }
}

/// Restores a text that is whole. Bytes that are no text pass.
pub(super) async fn restore(text: &[u8], escape: Escape, context: &Context) -> Bytes {
    let mut restorer = PlainRestorer::new(escape, context);
    let mut out = BytesMut::with_capacity(text.len());
    restorer.push(text, context, &mut out).await;
    restorer.finish(context, &mut out).await;
    out.freeze()
}
