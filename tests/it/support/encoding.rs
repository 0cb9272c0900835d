//! Content codings, as other programs write them.

use bytes::Bytes;
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliEncoder, DeflateEncoder, EncodeV2, GzipEncoder, ZlibEncoder, ZstdEncoder};

/// The codings that are undone; the third one is sent as `deflate` too.
pub const CODINGS: [&str; 5] = ["gzip", "deflate", "raw deflate", "br", "zstd"];

/// The name of a coding in `Content-Encoding`.
pub fn sent_as(coding: &str) -> &str {
    coding.trim_start_matches("raw ")
}

/// Encodes a text whole.
pub fn encode(coding: &str, text: impl AsRef<[u8]>) -> Vec<u8> {
    encode_pieces(coding, &[text.as_ref()]).concat()
}

/// Encodes these pieces so that each can be decoded as soon as it has come; the
/// last one of those that are given ends the file.
pub fn encode_pieces(coding: &str, pieces: &[&[u8]]) -> Vec<Bytes> {
    let mut encoder: Box<dyn EncodeV2> = match coding {
        "gzip" => Box::new(GzipEncoder::new(Level::Default.into())),
        "deflate" => Box::new(ZlibEncoder::new(Level::Default.into())),
        "raw deflate" => Box::new(DeflateEncoder::new(Level::Default.into())),
        "br" => Box::new(BrotliEncoder::new(EncoderParams::default())),
        "zstd" => Box::new(ZstdEncoder::new(3)),
        other => panic!("{other}"),
    };
    let mut all: Vec<Bytes> = Vec::new();
    for (nth, piece) in pieces.iter().enumerate() {
        let mut out = vec![0; piece.len() + 4096];
        let mut output = WriteBuffer::new_initialized(&mut out);
        let mut input = PartialBuffer::new(*piece);
        while !input.unwritten().is_empty() {
            encoder.encode(&mut input, &mut output).unwrap();
        }
        assert!(encoder.flush(&mut output).unwrap(), "there is room for all");
        if nth + 1 == pieces.len() {
            assert!(encoder.finish(&mut output).unwrap(), "there is room for all");
        }
        all.push(Bytes::copy_from_slice(output.written()));
    }
    all
}
