//! Content codings (RFC 9110, 8.4.1): undoes gzip, deflate, br and zstd piece by
//! piece, within bounds. Pure.

use super::body::lowercase;
use bytes::Bytes;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::DParameter;
use compression_codecs::{BrotliDecoder, DecodeV2, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use http::{HeaderMap, header};

/// How many codings may lie over one another.
const MOST: usize = 2;

/// The most that is decoded at one time.
const PIECE: usize = 16 * 1024;

/// A body may grow to this whatever the ratio: a text of blanks is no bomb.
const FLOOR: u64 = 64 * 1024;

/// How many members one file may have: to begin one costs more than its bytes.
const MOST_MEMBERS: usize = 1024;

/// The window that a recipient of the coding has to support (RFC 9659): 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    /// The zlib format (RFC 1950); some senders leave its frame out.
    Deflate,
    Brotli,
    Zstd,
}

/// What lies over a body, in the order in which it is undone.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Codings(Vec<Coding>);

/// A coding that is not known, or more than are undone; the text says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownCoding(pub(super) &'static str);

impl Codings {
    /// By `Content-Encoding`; none where the body is as it is.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, UnknownCoding> {
        let mut codings = Vec::new();
        for value in headers.get_all(header::CONTENT_ENCODING) {
            let Ok(value) = value.to_str() else { return Err(UnknownCoding(UNKNOWN)) };
            for name in value.split(',').map(str::trim) {
                codings.push(match &*lowercase(name) {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Coding::Gzip,
                    "deflate" => Coding::Deflate,
                    "br" => Coding::Brotli,
                    "zstd" => Coding::Zstd,
                    _ => return Err(UnknownCoding(UNKNOWN)),
                });
            }
        }
        if codings.len() > MOST {
            return Err(UnknownCoding("The body is compressed more than twice (Content-Encoding)."));
        }
        codings.reverse();
        Ok(Self(codings))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const UNKNOWN: &str = "The Content-Encoding of the body is none of gzip, deflate, br and zstd.";

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undecodable {
    /// It is not what its coding says, breaks off, or goes on behind its end.
    #[error("the body is not encoded as its Content-Encoding says")]
    Malformed,
    /// It grows beyond the ratio: a bomb.
    #[error("the body grows more than `limits.decode_ratio` allows when it is decoded")]
    Bomb,
}

/// Decodes one body. What [`push`](Self::push) takes is given out by
/// [`next`](Self::next) in pieces, so that no more than one is in memory.
pub(super) struct Decoder {
    /// The outermost coding first.
    stages: Vec<Stage>,
    /// How many times its size a body may grow to.
    ratio: u64,
    taken: u64,
}

impl Decoder {
    pub(super) fn new(codings: &Codings, ratio: u64) -> Self {
        let stages = codings.0.iter().map(|coding| Stage::new(*coding)).collect();
        Self { stages, ratio, taken: 0 }
    }

    /// Takes the next bytes of the body, once all before them are decoded.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.taken += bytes.len() as u64;
        if let Some(outermost) = self.stages.first_mut() {
            outermost.input = bytes;
        }
    }

    /// The next piece of the decoded body; none where more must be pushed for it.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Undecodable> {
        let most = FLOOR.max(self.taken.saturating_mul(self.ratio));
        pull(&mut self.stages, most)
    }

    /// Checks that the body may end here.
    pub(super) fn finish(mut self) -> Result<(), Undecodable> {
        if self.stages.iter_mut().all(Stage::may_end) { Ok(()) } else { Err(Undecodable::Malformed) }
    }
}

/// The next piece that the last stage gives, fed by those before it.
fn pull(stages: &mut [Stage], most: u64) -> Result<Option<Bytes>, Undecodable> {
    let Some((last, before)) = stages.split_last_mut() else { return Ok(None) };
    loop {
        if let Some(piece) = last.step(most)? {
            return Ok(Some(piece));
        }
        match pull(before, most)? {
            Some(piece) => last.input = piece,
            None => return Ok(None),
        }
    }
}

/// One coding and what is not decoded of it yet.
struct Stage {
    coding: Coding,
    input: Bytes,
    /// None before the first byte, and between the members of a file.
    decoder: Option<Box<dyn DecodeV2 + Send>>,
    /// How many members have ended.
    ended: usize,
    given: u64,
}

impl Stage {
    fn new(coding: Coding) -> Self {
        Self { coding, input: Bytes::new(), decoder: None, ended: 0, given: 0 }
    }

    /// Decodes up to a piece; none where there is no input left for it.
    fn step(&mut self, most: u64) -> Result<Option<Bytes>, Undecodable> {
        let mut piece = Vec::new();
        loop {
            let Some(decoder) = self.decoder.as_mut() else {
                let Some(&first) = self.input.first() else { return Ok(None) };
                let most = if matches!(self.coding, Coding::Gzip | Coding::Zstd) { MOST_MEMBERS } else { 1 };
                if self.ended == most {
                    return Err(Undecodable::Malformed);
                }
                self.decoder = Some(self.coding.decoder(first));
                continue;
            };
            piece.resize(PIECE, 0);
            let mut output = WriteBuffer::new_initialized(&mut piece);
            let mut input = PartialBuffer::new(&self.input[..]);
            let drained = self.input.is_empty();
            let decoded = if drained && self.coding != Coding::Zstd {
                decoder.flush(&mut output).map(|_| false)
            } else {
                decoder.decode(&mut input, &mut output)
            };
            let ended = decoded.map_err(|_| Undecodable::Malformed)?;
            let (read, written) = (input.written_len(), output.written_len());
            self.input = self.input.slice(read..);
            if ended {
                self.decoder = None;
                self.ended += 1;
            }
            self.given += written as u64;
            if self.given > most {
                return Err(Undecodable::Bomb);
            }
            if written > 0 {
                piece.truncate(written);
                return Ok(Some(piece.into()));
            }
            if drained {
                return Ok(None);
            }
            if read == 0 && !ended {
                // Neither reads nor writes: it would do so for ever.
                return Err(Undecodable::Malformed);
            }
        }
    }

    /// Whether all input is decoded and no member is cut.
    fn may_end(&mut self) -> bool {
        let whole = match &mut self.decoder {
            None => self.ended > 0,
            Some(decoder) => {
                let mut rest = [0; 64];
                let mut output = WriteBuffer::new_initialized(&mut rest);
                matches!(decoder.finish(&mut output), Ok(true)) && output.written_len() == 0
            }
        };
        whole && self.input.is_empty()
    }
}

impl Coding {
    /// A decoder for what begins with this byte.
    fn decoder(self, first: u8) -> Box<dyn DecodeV2 + Send> {
        match self {
            Self::Gzip => Box::new(GzipDecoder::new()),
            // The method "deflate" (RFC 1950, 2.2). As the start of bare deflate
            // (RFC 1951) it were a stored block with an odd padding.
            Self::Deflate if first & 0x0f == 8 => Box::new(ZlibDecoder::new()),
            Self::Deflate => Box::new(DeflateDecoder::new()),
            Self::Brotli => Box::new(BrotliDecoder::new()),
            Self::Zstd => Box::new(ZstdDecoder::new_with_params(&[DParameter::window_log_max(ZSTD_WINDOW_LOG)])),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use compression_codecs::brotli::params::EncoderParams;
    use compression_codecs::core::Level;
    use compression_codecs::{BrotliEncoder, DeflateEncoder, EncodeV2, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use proptest::prelude::*;

    const ALL: [&str; 5] = ["gzip", "deflate", "raw deflate", "br", "zstd"];

    /// Encodes these pieces, each of which can be decoded before the next one.
    pub(in crate::proxy) fn encode(coding: &str, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut encoder: Box<dyn EncodeV2> = match coding {
            "gzip" => Box::new(GzipEncoder::new(Level::Default.into())),
            "deflate" => Box::new(ZlibEncoder::new(Level::Default.into())),
            "raw deflate" => Box::new(DeflateEncoder::new(Level::Default.into())),
            "br" => Box::new(BrotliEncoder::new(EncoderParams::default())),
            "zstd" => Box::new(ZstdEncoder::new(3)),
            other => panic!("{other}"),
        };
        let mut encoded = Vec::new();
        for piece in pieces {
            let mut out = vec![0; piece.len() + 1024];
            let mut output = WriteBuffer::new_initialized(&mut out);
            let mut input = PartialBuffer::new(*piece);
            while !input.unwritten().is_empty() {
                encoder.encode(&mut input, &mut output).unwrap();
            }
            assert!(encoder.flush(&mut output).unwrap());
            encoded.push(output.written().to_vec());
        }
        let mut out = vec![0; 1024];
        let mut output = WriteBuffer::new_initialized(&mut out);
        assert!(encoder.finish(&mut output).unwrap());
        encoded.push(output.written().to_vec());
        encoded
    }

    fn codings(names: &str) -> Codings {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, names.replace("raw ", "").parse().unwrap());
        Codings::of(&headers).unwrap()
    }

    fn decode(names: &str, chunks: &[&[u8]]) -> Result<Vec<u8>, Undecodable> {
        let mut decoder = Decoder::new(&codings(names), 100);
        let mut decoded = Vec::new();
        for chunk in chunks {
            decoder.push(Bytes::copy_from_slice(chunk));
            while let Some(piece) = decoder.next()? {
                assert!(!piece.is_empty() && piece.len() <= PIECE);
                decoded.extend_from_slice(&piece);
            }
        }
        decoder.finish()?;
        Ok(decoded)
    }

    #[test]
    fn the_header_names_what_is_undone() {
        let of = |values: &[&'static str]| {
            let values = values.iter().map(|value| (header::CONTENT_ENCODING, http::HeaderValue::from_static(value)));
            Codings::of(&values.collect()).map(|codings| codings.0)
        };
        assert_eq!(of(&[]), Ok(vec![]));
        assert_eq!(of(&["identity", ""]), Ok(vec![]));
        assert_eq!(of(&["GZIP"]), Ok(vec![Coding::Gzip]));
        assert_eq!(of(&["gzip, br"]), Ok(vec![Coding::Brotli, Coding::Gzip]));
        assert_eq!(of(&["x-gzip", "identity,zstd"]), Ok(vec![Coding::Zstd, Coding::Gzip]));
        for unknown in [&["compress"][..], &["gzip;q=1"], &["gzip", "deflate", "br"], &["aes128gcm"]] {
            assert!(of(unknown).is_err(), "{unknown:?}");
        }
    }

    #[test]
    fn each_piece_comes_out_as_soon_as_its_bytes_are_there() {
        for name in ALL {
            let encoded = encode(name, &[b"one ", b"two ", b"three"]);
            let mut decoder = Decoder::new(&codings(name), 100);
            for (piece, want) in encoded.iter().zip(["one ", "two ", "three", ""]) {
                decoder.push(Bytes::copy_from_slice(piece));
                let mut got = Vec::new();
                while let Some(piece) = decoder.next().unwrap() {
                    got.extend_from_slice(&piece);
                }
                assert_eq!(got, want.as_bytes(), "{name}");
            }
            assert_eq!(decoder.finish(), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_coding_over_another_is_undone_too() {
        for inner in ALL {
            for outer in ALL {
                let once = encode(inner, &[b"write to ana@example.com"]).concat();
                let twice = encode(outer, &[&once]).concat();
                let decoded = decode(&format!("{inner}, {outer}"), &[&twice]).unwrap();
                assert_eq!(decoded, b"write to ana@example.com", "{inner} {outer}");
            }
        }
    }

    #[test]
    fn what_is_cut_or_goes_on_is_malformed() {
        let text = b"write to ana@example.com or bo@example.org".repeat(20);
        for name in ALL {
            let whole = encode(name, &[&text]).concat();
            assert_eq!(decode(name, &[&whole]).unwrap(), text, "{name}");
            for end in 0..whole.len() {
                assert_eq!(decode(name, &[&whole[..end]]), Err(Undecodable::Malformed), "{name} {end}");
            }
            let longer = [&whole[..], b"ana@example.com"].concat();
            assert_eq!(decode(name, &[&longer]), Err(Undecodable::Malformed), "{name}");
            assert_eq!(decode(name, &[b"ana@example.com, plain"]), Err(Undecodable::Malformed), "{name}");
            // Files of some codings may be put behind one another.
            let two = decode(name, &[&whole, &whole]);
            let want = if matches!(name, "gzip" | "zstd") { Ok(text.repeat(2)) } else { Err(Undecodable::Malformed) };
            assert_eq!(two, want, "{name}");
        }
        let empty = encode("gzip", &[]).concat();
        assert_eq!(decode("gzip", &[&empty.repeat(MOST_MEMBERS)]), Ok(vec![]));
        assert_eq!(decode("gzip", &[&empty.repeat(MOST_MEMBERS + 1)]), Err(Undecodable::Malformed));
        // One bit of its check sum.
        let mut wrong = encode("gzip", &[&text]).concat();
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        assert_eq!(decode("gzip", &[&wrong]), Err(Undecodable::Malformed));
    }

    #[test]
    fn what_grows_without_measure_is_a_bomb() {
        let zeros = vec![0; 32 << 20];
        for name in ALL {
            let bomb = encode(name, &[&zeros]).concat();
            assert!(bomb.len() < zeros.len() / 500, "{name}");
            assert_eq!(decode(name, &[&bomb]), Err(Undecodable::Bomb), "{name}");
            let small = encode(name, &[&zeros[..FLOOR as usize]]).concat();
            assert_eq!(decode(name, &[&small]).unwrap().len(), FLOOR as usize, "{name}");
            // One in another that hides the ratio of each.
            let twice = encode("gzip", &[&bomb]).concat();
            assert_eq!(decode(&format!("{name}, gzip"), &[&twice]), Err(Undecodable::Bomb), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_cuts_give_the_same(
            name in prop::sample::select(ALL.to_vec()),
            text in prop::collection::vec(any::<u8>(), 0..4096),
            repeat in 1..40_usize,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let text = text.repeat(repeat);
            let encoded = encode(name, &[&text]).concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(encoded.len() + 1)).collect();
            cuts.extend([0, encoded.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|two| &encoded[two[0]..two[1]]).collect();
            match decode(name, &chunks) {
                Ok(decoded) => prop_assert_eq!(decoded, text),
                Err(error) => prop_assert!(error == Undecodable::Bomb && text.len() > 100 * chunks[0].len(), "{error:?}"),
            }
        }

        #[test]
        fn any_bytes_end(
            name in prop::sample::select(vec!["gzip", "deflate", "br", "zstd", "br, gzip", "zstd, deflate"]),
            bytes in prop::collection::vec(any::<u8>(), 0..512),
            from in 0..64_usize,
        ) {
            let _ = decode(name, &[&bytes]);
            // Damage behind a sound start.
            let mut encoded = encode(name.split(", ").last().unwrap(), &[&bytes]).concat();
            for (at, byte) in bytes.iter().enumerate().step_by(7) {
                if let Some(place) = encoded.get_mut(from + at) {
                    *place ^= byte;
                }
            }
            let _ = decode(name, &[&encoded]);
        }
    }
}
