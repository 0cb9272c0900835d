//! Content codings (RFC 9110, section 8.4.1) as clients and upstreams write them.

use bytes::Bytes;
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZlibEncoder, ZstdEncoder};

/// The codings that are tried.
pub(super) const ALL: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// The pieces, each of which can be decoded before the next has come.
pub(super) fn encode(coding: &str, pieces: &[Bytes]) -> Result<Vec<Bytes>, String> {
    let mut encoder: Box<dyn EncodeV2> = match coding {
        "gzip" => Box::new(GzipEncoder::new(Level::Fastest.into())),
        "deflate" => Box::new(ZlibEncoder::new(Level::Fastest.into())),
        "br" => Box::new(BrotliEncoder::new(EncoderParams::default().quality(Level::Fastest))),
        _ => Box::new(ZstdEncoder::new(1)),
    };
    let mut encoded = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        let mut input = PartialBuffer::new(piece.as_ref());
        encoded.push(written(piece.len() * 2 + 4096, |out| {
            while !input.unwritten().is_empty() {
                encoder.encode(&mut input, out)?;
            }
            encoder.flush(out)
        })?);
    }
    encoded.push(written(4096, |out| encoder.finish(out))?);
    Ok(encoded)
}

/// What is written into a buffer of this size, which has to hold all of it.
fn written(size: usize, write: impl FnOnce(&mut WriteBuffer<'_>) -> std::io::Result<bool>) -> Result<Bytes, String> {
    let mut buffer = vec![0; size];
    let mut out = WriteBuffer::new_initialized(&mut buffer);
    if !write(&mut out).map_err(|error| error.to_string())? {
        return Err("a coding took more than twice the bytes".to_owned());
    }
    Ok(Bytes::copy_from_slice(out.written()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_coding_writes_something_else() {
        let pieces = [Bytes::from_static(b"a blue teapot, "), Bytes::from_static(b"a blue teapot")];
        let all = ALL.map(|coding| encode(coding, &pieces).unwrap().concat());
        for (at, one) in all.iter().enumerate() {
            assert!(one != &pieces.concat() && !one.is_empty() && all.iter().skip(at + 1).all(|other| other != one));
        }
    }
}
