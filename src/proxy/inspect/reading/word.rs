//! Encoded words (RFC 2047): text beyond ASCII in the headers of mail, which
//! clients write in other headers and in the names of files too.

use crate::proxy::charset::Charset;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The standard has 75; programs write longer ones.
const LONGEST: usize = 1024;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a text may hold some.
pub(super) fn may_stand_in(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'=', bytes).any(|at| bytes.get(at + 1) == Some(&b'?'))
}

/// The text of the encoded words that begin at `at` and follow one another,
/// and where the last ends.
pub(super) fn at(text: &str, at: usize) -> Option<(usize, String)> {
    let (mut end, mut decoded) = one(text, at)?;
    loop {
        // Blanks between two are none (section 6.2).
        let rest = text.get(end..)?;
        let next = text.len() - rest.trim_start().len();
        let Some((behind, more)) = one(text, next) else { break };
        decoded.push_str(&more);
        end = behind;
    }
    Some((end, decoded))
}

fn one(text: &str, at: usize) -> Option<(usize, String)> {
    let rest = text.get(at..)?.strip_prefix("=?")?;
    let rest = rest.get(..rest.floor_char_boundary(LONGEST)).unwrap_or(rest);
    let (name, behind) = rest.split_once('?')?;
    let (encoding, behind) = behind.split_once('?').filter(|(encoding, _)| encoding.len() == 1)?;
    let (written, _) = behind.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => BASE64.decode(written).ok()?,
        "Q" | "q" => quoted(written),
        _ => return None,
    };
    // A language may stand behind the charset (RFC 2231, 5).
    let charset = Charset::named(name.split('*').next().unwrap_or(name));
    let decoded = charset.and_then(|charset| charset.of(&bytes)?.decode(&bytes));
    #[expect(
        clippy::disallowed_methods,
        reason = "the word is whole; what no charset reads is inspected as far as it is text"
    )]
    let decoded = decoded.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
    let end = at + name.len() + written.len() + "=??B??=".len();
    Some((end, decoded))
}

/// The `Q` encoding (section 4.2).
fn quoted(written: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hex = |at: usize| behind.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (byte, length) = match (first, hex(0), hex(1)) {
            (b'=', Some(high), Some(low)) => ((high << 4 | low) as u8, 3),
            (b'_', ..) => (b' ', 1),
            _ => (first, 1),
        };
        bytes.push(byte);
        rest = rest.get(length..).unwrap_or_default();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_decoded_with_those_behind_them() {
        for (text, behind, want) in [
            ("=?utf-8?B?YW5hQGV4YW1wbGUuY29t?=", " x", "ana@example.com"),
            ("=?UTF-8?q?ana=40example=2Ecom?=", "", "ana@example.com"),
            ("=?iso-8859-1?Q?Zo=EB_M=FCller?=", "?=", "Zoë Müller"),
            ("=?utf-8*de?Q?Anna?=\r\n =?utf-8?Q?_Schmidt?=", ", x", "Anna Schmidt"),
            ("=?klingon?Q?ana=40example.com?=", " =?", "ana@example.com"),
        ] {
            assert_eq!(at(&[text, behind].concat(), 0), Some((text.len(), want.to_owned())), "{text}");
        }
        for text in ["=?", "=?utf-8?", "=?utf-8?B?YW5h", "=?utf-8?X?ana?=", "=?utf-8?B?*?=", "a=?b", "=??Q?="] {
            assert_eq!(at(text, 0), None, "{text}");
        }
    }
}
