//! Tells texts from pictures, sound and the like, where nobody says what the
//! bytes are. Pure.

use super::charset::Charset;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::WINDOWS_1252;

/// What bytes most likely are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// A text in UTF-8, as it stands.
    Utf8,
    /// A text in another charset, decoded for the search. Which one of the
    /// tables of a byte a character it is cannot be told.
    Other(String),
    /// A picture, sound or document of a known kind.
    File,
    /// No text.
    Opaque,
}

/// How files begin that are no text but for a few words in them.
const MAGIC: [&[u8]; 12] = [
    b"%PDF-",
    b"PK\x03\x04",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"OggS\0",
    b"fLaC",
    b"\x1a\x45\xdf\xa3",
    b"\x1f\x8b\x08",
    b"7z\xbc\xaf\x27\x1c",
    b"BZh",
];

/// What these bytes are, the whole of a file.
pub(super) fn of(bytes: &[u8]) -> Guess {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_text(text) => Guess::Utf8,
        Ok(text) if !text.is_empty() && !text.contains('\0') => Guess::Opaque,
        _ if has_magic(bytes) => Guess::File,
        _ => utf16(bytes).or_else(|| table(bytes)).map_or(Guess::Opaque, Guess::Other),
    }
}

/// What a file is that begins with these bytes.
pub(super) fn of_beginning(bytes: &[u8]) -> Guess {
    match std::str::from_utf8(bytes) {
        // A character may be cut at the end.
        Err(error) if error.error_len().is_none() => of(bytes.get(..error.valid_up_to()).unwrap_or_default()),
        _ => of(bytes),
    }
}

/// Whether these bytes are a text in UTF-8 as it stands.
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(is_text)
}

/// The same of the beginning of one, where a character may be cut at the end.
pub(super) fn begins_utf8(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).or_else(|error| match error.error_len() {
        None => bytes.get(..error.valid_up_to()).map_or(Ok(""), std::str::from_utf8),
        Some(_) => Err(error),
    });
    text.is_ok_and(is_text)
}

/// Whether these bytes are a text of which some or all characters are encoded
/// for mail (RFC 2045, 6): in base64, or quoted.
pub(super) fn is_encoded_text(bytes: &[u8]) -> bool {
    let bare: Vec<u8> = bytes.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let decoded = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    )
    .decode(&bare);
    let is_text = |bytes: &[u8]| matches!(of(bytes), Guess::Utf8 | Guess::Other(_));
    decoded.map_or_else(|_| is_text(bytes), |decoded| is_text(&decoded))
}

fn has_magic(bytes: &[u8]) -> bool {
    let at = |start: usize, text: &[u8]| bytes.get(start..).is_some_and(|bytes| bytes.starts_with(text));
    let is_mpeg = matches!(bytes, [0xff, 0xe2 | 0xe3 | 0xf1 | 0xf2 | 0xf3 | 0xf9 | 0xfa | 0xfb, ..]);
    MAGIC.iter().any(|magic| at(0, magic))
        || is_mpeg
        || at(4, b"ftyp")
        || (at(0, b"RIFF") && [&b"WAVE"[..], b"WEBP", b"AVI "].iter().any(|kind| at(8, kind)))
        || (at(0, b"ID3") && bytes.get(3).is_some_and(|version| *version < 0x10))
}

/// UTF-16 with a byte order mark, or without one if it is mostly ASCII.
fn utf16(bytes: &[u8]) -> Option<String> {
    // A unit may be cut at the end.
    let bytes = bytes.get(..bytes.len() & !1)?;
    let marked = Charset::MarkedUtf16.of(bytes);
    let orders = [Charset::Utf16 { big_endian: false }, Charset::Utf16 { big_endian: true }];
    let mut charsets = orders.into_iter().filter(|charset| marked.is_none_or(|marked| marked == *charset));
    charsets.find_map(|charset| {
        let text = charset.decode(bytes).filter(|text| !text.is_empty() && has_few_controls(text))?;
        let others = text.chars().filter(|c| !c.is_ascii()).count();
        (marked.is_some() || others * 3 <= text.chars().count()).then_some(text)
    })
}

/// One of the tables of ASCII and a byte a character. Sound without a header has
/// many bytes beyond ASCII, pictures have many controls.
fn table(bytes: &[u8]) -> Option<String> {
    let is_control = |b: &u8| b.is_ascii_control() && !b"\t\n\r\x0c".contains(b);
    let controls = bytes.iter().filter(|b| is_control(b)).count();
    let high = bytes.iter().filter(|b| !b.is_ascii()).count();
    let is_text = !bytes.is_empty() && controls * 20 <= bytes.len() && high * 3 <= bytes.len();
    is_text.then(|| WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned())
}

/// Whether what is valid UTF-8 is a text, and not bytes that are so by chance.
pub(super) fn is_text(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0') && has_few_controls(text)
}

fn has_few_controls(text: &str) -> bool {
    let controls = text.chars().filter(|c| c.is_control() && !"\t\n\r\x0c".contains(*c)).count();
    controls * 20 <= text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
        Charset::Utf16 { big_endian }.encode(text).unwrap()
    }

    #[test]
    fn texts_in_any_charset_are_told_from_files() {
        for text in ["to ana@example.com", "page\x0cpage", "Zoë", "%PDF- ana", "GIF89a ana", "山田"] {
            assert_eq!(of(text.as_bytes()), Guess::Utf8, "{text:?}");
        }
        let other = |text: &str| Guess::Other(text.to_owned());
        assert_eq!(of(b"Herr M\xfcller, ana@example.com"), other("Herr Müller, ana@example.com"));
        assert_eq!(
            of(&[&b"mail;name\n".repeat(50)[..], b"Jos\xe9"].concat()),
            other(&("mail;name\n".repeat(50) + "José"))
        );
        for big_endian in [false, true] {
            assert_eq!(of(&utf16("\u{feff}山田", big_endian)), other("\u{feff}山田"));
            assert_eq!(of(&utf16("to Zoë", big_endian)), other("to Zoë"));
        }
        let noise: Vec<u8> = (0..400_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        // Quiet speech in the companding of telephones (G.711), and in 16 bits.
        let companded: Vec<u8> = (0..400_u32).map(|n| if n % 2 == 0 { 0x70 } else { 0xf0 }).collect();
        let samples: Vec<u8> = (0..400_u32).flat_map(|n| [(n * 7 % 256) as u8, 0]).collect();
        let files: [&[u8]; 8] = [
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj <</Type/Catalog>> endobj ana@example.com",
            b"\xff\xd8\xff\xe0 exif text exif text exif text",
            b"\xff\xfb\x90 lame lame lame lame lame lame lame",
            b"RIFF\xff\x01\x01\x01WAVEfmt of so many bytes and words",
            b"\x01\x01\x01\xf8ftypisom and some words that go on",
            b"ID3\x04\x01\x01\xf1 title of a song that goes on and on",
            b"PK\x03\x04\xf1 word/document.xml word/document.xml",
        ];
        for file in files {
            assert_eq!(of(file), Guess::File, "{file:?}");
        }
        for file in [&b""[..], &[0xff; 300], &noise, &companded, &samples] {
            assert_eq!(of(file), Guess::Opaque, "{file:?}");
        }
        assert_eq!(of_beginning("to Zoë, Zo\u{eb}".as_bytes().split_last().unwrap().1), Guess::Utf8);
        let samples: [&[u8]; 6] = [b"to Zo\xc3", b"\xc3", b"", b"Zo\xeb is", b"a\0b", b"\x01\x02\x03a"];
        for bytes in files.into_iter().chain([&[0xff; 300][..], &noise]).chain(samples) {
            assert_eq!(begins_utf8(bytes), of_beginning(bytes) == Guess::Utf8, "{bytes:?}");
        }
    }
}
