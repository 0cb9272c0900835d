//! Files within a body: pictures and sound, which hold no text that a rule
//! could read, and texts in base64 or in a data URL (RFC 2397), which do.

use super::findings::Base64;
use crate::proxy::guess::{self, Guess};
use crate::proxy::percent::Encoding;
use std::borrow::Cow;

/// A file, or the address of one.
pub(super) enum Media {
    /// Nothing that can be read; whether it surely is a file.
    Opaque { known: bool },
    /// A text in base64, which starts so many bytes behind the start of the value.
    Text { start: usize, text: String, base64: Base64 },
    /// A text in a form that cannot be read.
    Unreadable,
    /// No file: an address of one, or a text as it stands.
    Plain,
}

/// A shorter value may be a number or a name, which consist of the characters
/// of base64 too, and is looked at as it stands as well.
pub(super) const SHORT: usize = 64;

/// So many bytes of base64 tell whether it may be a text; a whole number of groups.
const PROBE: usize = 512;

/// What the value of a member is that holds a file; `says_text` where what
/// stands beside it calls it a text.
pub(super) fn of(value: &str, says_text: bool) -> Media {
    let url = value.get(..5).filter(|start| start.eq_ignore_ascii_case("data:")).and(value.split_once(','));
    let (kind, written) = url.unwrap_or(("", value));
    let kind = kind.to_ascii_lowercase();
    // Readers take the word for it wherever it stands.
    if url.is_some() && !kind.split(';').skip(1).any(|parameter| parameter.trim() == "base64") {
        return Media::Plain;
    }
    let url_says_text = is_text(kind.get(5..).unwrap_or_default());
    let data = bare(written, url.is_some());
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || b"+/=-_".contains(b);
    if !data.iter().all(is_base64) {
        return if url_says_text { Media::Unreadable } else { Media::Plain };
    }
    // What stands beside a short value may speak of a text that is not encoded.
    let says_text = url_says_text || (says_text && value.len() >= SHORT);
    let opaque = |known| if says_text { Media::Unreadable } else { Media::Opaque { known } };
    if data.is_empty() {
        return Media::Opaque { known: true };
    }
    if let Some(probe) = data.get(..PROBE).filter(|_| !says_text) {
        match Base64::decode(probe).map_or(Guess::Opaque, |(bytes, _)| guess::of_beginning(&bytes)) {
            Guess::Opaque => return opaque(false),
            Guess::File => return opaque(true),
            Guess::Utf8 | Guess::Other(_) => {}
        }
    }
    let Some((bytes, base64)) = Base64::decode(&data) else { return opaque(false) };
    match guess::of(&bytes) {
        Guess::Utf8 => match String::from_utf8(bytes) {
            Ok(text) => Media::Text { start: value.len() - written.len(), text, base64 },
            Err(_) => Media::Unreadable,
        },
        Guess::Other(_) => Media::Unreadable,
        Guess::File => opaque(true),
        Guess::Opaque => opaque(false),
    }
}

/// Whether a media type is one of texts.
pub(super) fn is_text(media_type: &str) -> bool {
    ["text/", "json", "xml", "yaml"].iter().any(|text| media_type.contains(text))
}

/// Base64 without blanks and broken lines (RFC 2045); the escapes of a URL undone.
fn bare(data: &str, is_url: bool) -> Cow<'_, [u8]> {
    let decoded = match Encoding::PATH.decode(data) {
        Ok(decoded) if is_url && data.contains('%') => Cow::Owned(decoded.into_bytes()),
        _ => Cow::Borrowed(data.as_bytes()),
    };
    // Two words in a field that is no URL are two words.
    let is_blank = |b: &u8| if is_url { b.is_ascii_whitespace() } else { matches!(b, b'\r' | b'\n') };
    if decoded.iter().any(is_blank) {
        Cow::Owned(decoded.iter().copied().filter(|b| !is_blank(b)).collect())
    } else {
        decoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

    #[test]
    fn texts_are_told_from_pictures() {
        let png = STANDARD.encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
        let text = "Ana López, ana@example.com\n".repeat(9);
        for value in [
            STANDARD.encode(&text),
            STANDARD_NO_PAD.encode(&text),
            URL_SAFE.encode(&text),
            format!("data:text/plain;base64,{}", STANDARD.encode(&text)),
            format!("DATA:text/csv;charset=utf-8;base64,{}", STANDARD.encode(&text)),
            STANDARD
                .encode(&text)
                .as_bytes()
                .chunks(76)
                .map(|l| std::str::from_utf8(l).unwrap())
                .collect::<Vec<_>>()
                .join("\r\n"),
        ] {
            let Media::Text { start, text: found, .. } = of(&value, false) else { panic!("{value}") };
            assert_eq!(found, text);
            assert_eq!(start, value.find(',').map_or(0, |comma| comma + 1));
        }
        for value in [png.clone(), format!("data:image/png;base64,{png}"), STANDARD.encode([0xff; 300]), String::new()]
        {
            assert!(matches!(of(&value, false), Media::Opaque { .. }), "{value}");
        }
        let latin = STANDARD.encode(b"Herr M\xfcller");
        assert!(matches!(of(&format!("data:text/plain;base64,{latin}"), false), Media::Unreadable));
        for value in ["https://example.com/a.png?to=ana", "data:text/plain,ana%40example.com", "two words"] {
            assert!(matches!(of(value, false), Media::Plain), "{value}");
        }
    }

    #[test]
    fn texts_are_read_or_known_whatever_their_charset() {
        let latin = |text: &str| STANDARD.encode(text.chars().map(|c| c as u8).collect::<Vec<_>>());
        let utf16 = |text: &str| STANDARD.encode(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        for value in [
            latin("Herr Müller, ana@example.com"),
            latin(&("name;mail\n".repeat(200) + "José")),
            utf16("\u{feff}Herr Müller, ana@example.com"),
            utf16("Herr Müller, ana@example.com"),
        ] {
            assert!(matches!(of(&value, false), Media::Unreadable), "{value}");
        }
        assert!(matches!(of(&STANDARD.encode("page\x0cpage"), false), Media::Text { .. }));
        let noise = STANDARD.encode([0xff; 300]);
        assert!(matches!(of(&noise, true), Media::Unreadable));
    }

    #[test]
    fn data_urls_are_read_as_readers_do() {
        let data = STANDARD.encode("to ana@example.com");
        assert!(data.len() < SHORT && !data.ends_with('='));
        let padded = STANDARD.encode("to ana@example.com.");
        for (value, start) in [
            (format!("data:text/plain;base64;charset=utf-8,{data}"), 37),
            (format!("data:;BASE64 ,{data}"), 14),
            (format!("data:text/plain;base64, {data}"), 23),
            (format!("data:text/plain;base64,{}", padded.replace('=', "%3D")), 23),
            (format!("data:application/x;base64,%20{}\n{}", &data[..4], &data[4..]), 26),
        ] {
            let Media::Text { start: at, text, .. } = of(&value, false) else { panic!("{value}") };
            assert!(text.starts_with("to ana@example.com"), "{value}");
            assert_eq!(at, start, "{value}");
        }
        for value in ["data:text/plain;base64,to ana@example.com", "data:application/json;base64,A%zz"] {
            assert!(matches!(of(value, false), Media::Unreadable), "{value}");
        }
    }
}
