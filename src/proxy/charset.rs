//! Charsets of texts besides UTF-8: decodes a text for the search and encodes
//! it again where something in it was replaced. Exact or not at all. Pure.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How the characters of a text are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// UTF-8, and ASCII, which is a part of it.
    Utf8,
    /// UTF-16 in the order that its byte order mark says (RFC 2781, 4.3).
    MarkedUtf16,
    /// UTF-16 in this order.
    Utf16 { big_endian: bool },
    /// Another one of which ASCII is a part, by the Encoding Standard.
    Table(&'static Encoding),
}

const BIG_ENDIAN_MARK: &[u8] = b"\xfe\xff";
const LITTLE_ENDIAN_MARK: &[u8] = b"\xff\xfe";
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

impl Charset {
    /// By the name in a `charset` parameter; none where it is not known.
    pub(super) fn named(name: &str) -> Option<Self> {
        let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is(&["utf-8", "utf8", "us-ascii", "ascii"]) {
            return Some(Self::Utf8);
        }
        if is(&["utf-16"]) {
            return Some(Self::MarkedUtf16);
        }
        let encoding = Encoding::for_label(name.as_bytes())?;
        if encoding == UTF_16LE || encoding == UTF_16BE {
            return Some(Self::Utf16 { big_endian: encoding == UTF_16BE });
        }
        if encoding == UTF_8 {
            return Some(Self::Utf8);
        }
        // The others switch between tables within a text, or stand for none.
        encoding.is_ascii_compatible().then_some(Self::Table(encoding))
    }

    /// The charset of these bytes, whose type names this one: a byte order mark
    /// tells UTF-16 apart. None where mark and name contradict each other.
    pub(super) fn of(self, bytes: &[u8]) -> Option<Self> {
        let marked = if bytes.starts_with(BIG_ENDIAN_MARK) {
            Some(Self::Utf16 { big_endian: true })
        } else if bytes.starts_with(LITTLE_ENDIAN_MARK) {
            Some(Self::Utf16 { big_endian: false })
        } else if bytes.starts_with(UTF8_MARK) {
            Some(Self::Utf8)
        } else {
            None
        };
        match (self, marked) {
            (Self::MarkedUtf16, None | Some(Self::Utf8)) => None,
            // Clients whose types say nothing mark what they write.
            (Self::MarkedUtf16 | Self::Utf8, Some(marked)) => Some(marked),
            (named, Some(marked)) if named != marked => None,
            // The name is wrong, and a reader may well see so.
            (Self::Utf16 { .. }, None) if !bytes.is_empty() && !bytes.contains(&0) && str::from_utf8(bytes).is_ok() => {
                None
            }
            (named, _) => Some(named),
        }
    }

    /// The charset in which readers of JSON take these bytes, whose type names
    /// this one: it has none but UTF-8 (RFC 8259, 8.1), and what is valid UTF-8
    /// is hardly ever anything else.
    pub(super) fn of_json(self, bytes: &[u8]) -> Option<Self> {
        let is_utf8 = || !bytes.contains(&0) && str::from_utf8(bytes).is_ok();
        if self != Self::Utf8 && is_utf8() { Some(Self::Utf8) } else { self.of(bytes) }
    }

    /// The text of these bytes, a byte order mark included; none where they
    /// hold something else, or [`encode`](Self::encode) would give other bytes.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<String> {
        let text = match self {
            Self::Utf8 => return String::from_utf8(bytes.to_vec()).ok(),
            Self::MarkedUtf16 => return None,
            Self::Utf16 { big_endian } => {
                let (pairs, []) = bytes.as_chunks::<2>() else { return None };
                let unit =
                    |pair: &[u8; 2]| if big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
                char::decode_utf16(pairs.iter().map(unit)).collect::<Result<String, _>>().ok()?
            }
            Self::Table(encoding) => encoding.decode_without_bom_handling_and_without_replacement(bytes)?.into_owned(),
        };
        (self.encode(&text)? == bytes).then_some(text)
    }

    /// The bytes of a text; none where the charset lacks one of its characters.
    pub(super) fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.as_bytes().to_vec()),
            Self::MarkedUtf16 => None,
            Self::Utf16 { big_endian: true } => Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Self::Utf16 { big_endian: false } => Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            Self::Table(encoding) => {
                let (bytes, _, lacks_some) = encoding.encode(text);
                (!lacks_some).then(|| bytes.into_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(name: &str, bytes: &[u8]) -> Option<String> {
        Charset::named(name)?.of(bytes)?.decode(bytes)
    }

    #[test]
    fn texts_are_read_by_the_charset_that_is_named() {
        for (name, bytes, text) in [
            ("UTF-8", &b"Jos\xc3\xa9"[..], Some("José")),
            ("us-ascii", b"Jose", Some("Jose")),
            ("iso-8859-1", b"Jos\xe9", Some("José")),
            ("latin1", b"Jos\xe9", Some("José")),
            ("windows-1252", b"\x80", Some("€")),
            ("iso-8859-15", b"\xa4", Some("€")),
            ("windows-1251", b"\xc0\xed\xed\xe0", Some("Анна")),
            ("Shift_JIS", b"\x8eR\x93c", Some("山田")),
            ("gbk", b"\xc0\xee", Some("李")),
            ("utf-16", b"\xff\xfea\0", Some("\u{feff}a")),
            ("utf-16", b"\xfe\xff\0a", Some("\u{feff}a")),
            ("utf-16le", b"a\0", Some("a")),
            ("UTF-16BE", b"\0a", Some("a")),
            // A mark tells what the type does not.
            ("utf-8", b"\xff\xfea\0", Some("\u{feff}a")),
            ("utf-8", b"\xef\xbb\xbfa", Some("\u{feff}a")),
            // No text of that charset, or of two.
            ("utf-8", b"Jos\xe9", None),
            ("utf-16", b"a\0", None),
            ("utf-16le", b"a\0b", None),
            ("utf-16le", b"\0\xd8", None),
            ("utf-16le", b"\xfe\xff\0a", None),
            ("utf-16le", b"to ana", None),
            ("utf-16be", b"to ana", None),
            ("latin1", b"\xef\xbb\xbfJos\xc3\xa9", None),
            ("latin1", b"\xff\xfea\0", None),
            ("shift_jis", b"\x8e", None),
            ("gbk", b"\xff", None),
            // Not known, or never exact.
            ("iso-2022-jp", b"a", None),
            ("utf-7", b"a", None),
            ("utf-32", b"a", None),
            ("klingon", b"a", None),
            ("", b"a", None),
        ] {
            assert_eq!(read(name, bytes).as_deref(), text, "{name} {bytes:?}");
        }
    }

    #[test]
    fn json_is_utf8_where_it_can_be() {
        let latin = Charset::named("latin1").unwrap();
        assert_eq!(latin.of_json("{\"m\":\"José\"}".as_bytes()), Some(Charset::Utf8));
        assert_eq!(latin.of_json(b"{\"m\":\"Jos\xe9\"}"), Some(latin));
        let utf16 = Charset::Utf16 { big_endian: false };
        assert_eq!(utf16.of_json(b"{\"m\":1}"), Some(Charset::Utf8));
        assert_eq!(utf16.of_json(b"[\x001\0]\0"), Some(utf16));
    }

    #[test]
    fn a_character_that_the_charset_lacks_is_not_written() {
        assert_eq!(Charset::named("latin1").unwrap().encode("山"), None);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_byte_for_byte(
            name in prop::sample::select(vec!["latin1", "windows-1251", "shift_jis", "gbk", "gb18030", "big5", "euc-kr", "euc-jp", "utf-16", "utf-16be", "koi8-u"]),
            bytes in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let charset = Charset::named(name).unwrap().of(&bytes);
            if let Some((charset, text)) = charset.and_then(|charset| Some((charset, charset.decode(&bytes)?))) {
                prop_assert_eq!(charset.encode(&text).unwrap(), bytes);
            }
        }
    }
}
