//! How a value is written where it is put back: escaped as its place demands.

use crate::json;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::fmt::Write as _;

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// So often an address that stands in an address is encoded at most.
const LAYERS: usize = 3;

/// What a value needs where it is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Escape {
    /// Plain text.
    None,
    /// HTML text.
    Html,
    /// XML text.
    Xml,
    /// A section of XML in which nothing is escaped (XML 1.0, section 2.7).
    Cdata,
    /// Inside a JSON string.
    Json,
    /// Inside a JSON string within a JSON string.
    NestedJson,
    /// HTML or XML inside a JSON string.
    JsonMarkup,
    /// Inside a string of a text that is JSON itself.
    JsonText,
    /// The value of a form (WHATWG URL Standard, section 5).
    Form,
}

impl Escape {
    /// Writes the value.
    pub(super) fn write(self, value: &str, out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(value.as_bytes()),
            Self::Json | Self::JsonText => json::escape(value, out),
            Self::NestedJson => {
                let mut inner = Vec::with_capacity(value.len());
                json::escape(value, &mut inner);
                // Escaping keeps UTF-8 whole.
                json::escape(std::str::from_utf8(&inner).unwrap_or_default(), out);
            }
            Self::JsonMarkup => {
                let mut inner = Vec::with_capacity(value.len());
                Self::Html.write(value, &mut inner);
                // As above.
                json::escape(std::str::from_utf8(&inner).unwrap_or_default(), out);
            }
            Self::Form => out.extend(utf8_percent_encode(value, NON_ALPHANUMERIC).flat_map(str::bytes)),
            Self::Html | Self::Xml => {
                for c in value.bytes() {
                    match c {
                        b'&' => out.extend_from_slice(b"&amp;"),
                        b'<' => out.extend_from_slice(b"&lt;"),
                        b'>' => out.extend_from_slice(b"&gt;"),
                        b'"' => out.extend_from_slice(b"&quot;"),
                        b'\'' => out.extend_from_slice(b"&#39;"),
                        // Readers take it for a line feed where it stands by itself.
                        b'\r' => out.extend_from_slice(b"&#13;"),
                        _ => out.push(c),
                    }
                }
            }
            Self::Cdata => {
                // What ends a section may begin before the value, or end behind it.
                let (begins, ends) = (value.starts_with([']', '>']), value.ends_with(']'));
                let inside = value.replace("]]>", "]]]]><![CDATA[>").replace('\r', "]]>&#13;<![CDATA[");
                for (text, is_wanted) in [(BETWEEN, begins), (&inside, true), (BETWEEN, ends)] {
                    out.extend_from_slice(if is_wanted { text.as_bytes() } else { b"" });
                }
            }
        }
    }

    /// A character of a value that the charset of its place lacks; none where
    /// there is no other way to write it.
    pub(super) fn reference(self, lacking: char) -> Option<String> {
        let number = u32::from(lacking);
        match self {
            Self::None | Self::Form => None,
            Self::Html | Self::Xml | Self::JsonMarkup => Some(format!("&#{number};")),
            Self::Cdata => Some(format!("]]>&#{number};<![CDATA[")),
            Self::Json | Self::NestedJson | Self::JsonText => {
                let mut out = String::new();
                for unit in lacking.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
                Some(out)
            }
        }
    }

    /// The value for the place of a token that stands as `raw`: in an address
    /// as often percent-encoded as its bracket.
    pub(super) fn placed<'v>(self, value: &'v str, raw: &str) -> Cow<'v, str> {
        let layers = percent_layers(raw).saturating_sub(usize::from(self == Self::Form));
        if layers == 0 { value.into() } else { percent_encoded(value, layers).into() }
    }
}

/// Ends a section and begins another.
const BETWEEN: &str = "]]><![CDATA[";

/// The value as it stands in an address (RFC 3986), encoded so many times.
pub(super) fn percent_encoded(value: &str, layers: usize) -> String {
    (0..layers).fold(value.to_owned(), |text, _| utf8_percent_encode(&text, RESERVED).to_string())
}

/// How often the bracket is percent-encoded with which this token starts:
/// `%5B` once, `%255B` twice.
fn percent_layers(raw: &str) -> usize {
    let Some(mut rest) = raw.strip_prefix('%') else { return 0 };
    let mut layers = 1;
    while let Some(inner) = rest.strip_prefix("25").filter(|_| layers < LAYERS) {
        (rest, layers) = (inner, layers + 1);
    }
    layers
}

/// Where in an XML text we are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Markup {
    place: Inside,
    /// The last bytes, the last of them at the end.
    last: [u8; 9],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Text,
    Comment,
    Cdata,
}

impl Markup {
    /// Goes on over more of the text.
    pub(super) fn pass(&mut self, text: &str) {
        for byte in text.bytes() {
            self.last.rotate_left(1);
            self.last[8] = byte;
            let next = match (self.place, byte) {
                (Inside::Text, b'[') if self.last.ends_with(b"<![CDATA[") => Inside::Cdata,
                (Inside::Text, b'-') if self.last.ends_with(b"<!--") => Inside::Comment,
                (Inside::Comment, b'>') if self.last.ends_with(b"-->") => Inside::Text,
                (Inside::Cdata, b'>') if self.last.ends_with(b"]]>") => Inside::Text,
                _ => continue,
            };
            (self.place, self.last) = (next, [0; 9]);
        }
    }

    /// Whether the bracket with which this token starts is that of a section.
    pub(super) fn owns_bracket(&self, raw: &str) -> bool {
        self.place == Inside::Text && raw.starts_with('[') && self.last.ends_with(b"<![CDATA")
    }

    pub(super) fn escape(&self) -> Escape {
        if self.place == Inside::Cdata { Escape::Cdata } else { Escape::Xml }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(escape: Escape, value: &str) -> String {
        let mut out = Vec::new();
        escape.write(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_section_is_not_ended_by_a_value() {
        assert_eq!(written(Escape::Cdata, "a<b & 'c'"), "a<b & 'c'");
        assert_eq!(written(Escape::Cdata, "a]]>b"), "a]]]]><![CDATA[>b");
        assert_eq!(written(Escape::Cdata, "]>a]"), "]]><![CDATA[]>a]]]><![CDATA[");
        assert_eq!(written(Escape::Cdata, "a\rb"), "a]]>&#13;<![CDATA[b");
        assert_eq!(written(Escape::Xml, "a]]>\r"), "a]]&gt;&#13;");
        assert_eq!(written(Escape::JsonMarkup, "a<b \"c\"\n\\"), "a&lt;b &quot;c&quot;\\n\\\\");
    }

    #[test]
    fn a_value_is_encoded_as_often_as_its_bracket() {
        for (raw, want) in [
            ("[EMAIL_7K3FQ2MZ]", "a b@x"),
            ("%5BEMAIL_7K3FQ2MZ%5D", "a%20b%40x"),
            ("%5bEMAIL_7K3FQ2MZ%5d", "a%20b%40x"),
            ("%255BEMAIL_7K3FQ2MZ%255D", "a%2520b%2540x"),
            ("%25255BEMAIL_7K3FQ2MZ", "a%252520b%252540x"),
        ] {
            assert_eq!(Escape::Json.placed("a b@x", raw), want, "{raw}");
        }
        assert_eq!(Escape::Form.placed("a b", "%5BEMAIL_7K3FQ2MZ%5D"), "a b", "a form encodes by itself");
        assert_eq!(Escape::Form.placed("a b", "%255BEMAIL_7K3FQ2MZ"), "a%20b");
    }

    #[test]
    fn a_section_is_known_however_it_is_cut() {
        for (text, want) in [
            ("<a>", Escape::Xml),
            ("<a><![CDATA[", Escape::Cdata),
            ("<a><![CDATA[x]] >", Escape::Cdata),
            ("<![CDATA[x]]]>", Escape::Xml),
            ("<![CDATA[]]><![CDATA[", Escape::Cdata),
            ("<!-- <![CDATA[ ", Escape::Xml),
            ("<!-- <![CDATA[ --><![CDATA[", Escape::Cdata),
            ("<![CDATA[<!--]]>", Escape::Xml),
        ] {
            let mut markup = Markup::default();
            text.split("").for_each(|piece| markup.pass(piece));
            assert_eq!(markup.escape(), want, "{text}");
        }
    }
}
