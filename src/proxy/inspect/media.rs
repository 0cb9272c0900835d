//! Files within a body: pictures and sound, which hold no text that a rule
//! could read, and texts in base64 or in a data URL (RFC 2397), which do.

use super::findings::Base64;

/// A file, or the address of one.
pub(super) enum Media {
    /// Nothing that can be read.
    Opaque,
    /// A text in base64, which starts so many bytes behind the start of the value.
    Text { start: usize, text: String, base64: Base64 },
    /// A text in a form that cannot be read.
    Unreadable,
    /// No file: an address of one, or a text as it stands.
    Plain,
}

/// So many bytes of base64 tell whether it is a text; a whole number of groups.
const PROBE: usize = 128;

/// What the value of a member is that holds a file.
pub(super) fn of(value: &str) -> Media {
    let (kind, data) = match value.split_once(',') {
        Some((kind, data)) if kind.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("data:")) => (kind, data),
        _ => ("", value),
    };
    let kind = kind.to_ascii_lowercase();
    let in_base64 = kind.is_empty() || kind.ends_with(";base64");
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(&b);
    if !in_base64 || !data.bytes().all(is_base64) {
        return Media::Plain;
    }
    let says_text = ["text/", "json", "xml"].iter().any(|text| kind.contains(text));
    // Lines may be broken (RFC 2045).
    let joined: Vec<u8>;
    let data = if data.bytes().any(|b| b.is_ascii_whitespace()) {
        joined = data.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        &joined
    } else {
        data.as_bytes()
    };
    if !says_text && !Base64::decode(data.get(..PROBE).unwrap_or(data)).is_some_and(|(bytes, _)| is_text(&bytes)) {
        return Media::Opaque;
    }
    let text = Base64::decode(data).and_then(|(bytes, base64)| Some((String::from_utf8(bytes).ok()?, base64)));
    match text.filter(|(text, _)| !text.contains('\0')) {
        Some((text, base64)) => Media::Text { start: value.len() - value_tail(value), text, base64 },
        None if says_text => Media::Unreadable,
        None => Media::Opaque,
    }
}

/// The length of what stands behind the comma of a data URL.
fn value_tail(value: &str) -> usize {
    let is_url = value.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("data:"));
    if is_url { value.split_once(',').map_or(value.len(), |(_, data)| data.len()) } else { value.len() }
}

/// Whether bytes are the beginning of a text.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // A character may be cut at the end.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && !valid.chars().any(|c| c.is_control() && !"\t\n\r".contains(c))
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
            let Media::Text { start, text: found, .. } = of(&value) else { panic!("{value}") };
            assert_eq!(found, text);
            assert_eq!(start, value.find(',').map_or(0, |comma| comma + 1));
        }
        for value in [png.clone(), format!("data:image/png;base64,{png}"), STANDARD.encode([0xff; 300]), String::new()]
        {
            assert!(matches!(of(&value), Media::Opaque), "{value}");
        }
        let latin = STANDARD.encode(b"Herr M\xfcller");
        assert!(matches!(of(&format!("data:text/plain;base64,{latin}")), Media::Unreadable));
        for value in ["https://example.com/a.png?to=ana", "data:text/plain,ana%40example.com", "two words"] {
            assert!(matches!(of(value), Media::Plain), "{value}");
        }
    }
}
