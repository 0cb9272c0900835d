//! How a request body, or a part of one, is read for inspection: by its type.

use super::body::lowercase;
use super::charset::Charset;
use super::parameters;
use crate::protocol::MessageFraming;
use http::{HeaderMap, header};

/// How a body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON document.
    Json,
    /// A JSON document a line.
    JsonLines,
    /// JSON if it is some, else text: the client did not say.
    Unsaid,
    /// Fields of a form, percent-encoded.
    Form,
    /// Plain text.
    Text,
    /// Text of which characters may be written as entities: XML, HTML.
    Markup,
    /// Packets of socket.io.
    Packets,
    /// Parts between these boundaries.
    Multipart(String),
}

/// A format and the charset of its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) format: Format,
    pub(super) charset: Charset,
}

impl Format {
    /// The format of a text in a protocol with this framing.
    pub(super) fn framed(self, framing: Option<MessageFraming>) -> Self {
        match (framing, self) {
            (Some(MessageFraming::SocketIo), Self::Text | Self::Unsaid) => Self::Packets,
            (_, format) => format,
        }
    }
}

impl Kind {
    /// By the headers; the error says what cannot be inspected.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Self, &'static str> {
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        let Some(value) = types.next() else { return Ok(Self { format: Format::Unsaid, charset: Charset::Utf8 }) };
        if types.next().is_some() {
            return Err("The request has more than one Content-Type.");
        }
        let Ok(value) = value.to_str() else { return Err("The Content-Type is not plain ASCII.") };
        Self::of_type(value)
    }

    /// By the value of a `Content-Type`.
    pub(super) fn of_type(value: &str) -> Result<Self, &'static str> {
        let Some((essence, parameters)) = parameters::parse(value) else {
            return Err("The Content-Type of the body is malformed.");
        };
        let mut charset = Charset::Utf8;
        let mut charsets = parameters.iter().filter(|parameter| parameter.is("charset"));
        if let Some(parameter) = charsets.next() {
            let named = Charset::named(&parameter.value());
            charset = named.ok_or("The charset of the body is none that can be inspected.")?;
        }
        // Some readers take the first, others the last.
        if charsets.next().is_some() {
            return Err("The Content-Type of the body names more than one charset.");
        }
        // Readers of the extended notation (RFC 2231) take these for their own.
        let is_extended = |parameter: &parameters::Parameter<'_>| {
            parameter
                .name
                .split_once('*')
                .is_some_and(|(name, _)| name.eq_ignore_ascii_case("boundary") || name.eq_ignore_ascii_case("charset"))
        };
        if parameters.iter().any(is_extended) {
            return Err("The Content-Type of the body names its boundary or charset in an extended notation.");
        }
        let essence = lowercase(essence);
        let format = match &*essence {
            "" => Format::Unsaid,
            "application/json" | "text/json" => Format::Json,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines"
            | "application/json-lines" => Format::JsonLines,
            "application/x-www-form-urlencoded" => Format::Form,
            "application/xml" | "text/xml" | "text/html" => Format::Markup,
            other if other.starts_with("multipart/") => {
                let mut named = parameters.iter().filter(|parameter| parameter.is("boundary"));
                match (named.next(), named.next()) {
                    (Some(boundary), None) => Format::Multipart(boundary.value().into_owned()),
                    _ => return Err("The multipart body needs one boundary in its Content-Type."),
                }
            }
            other if other.ends_with("+json") => Format::Json,
            other if other.ends_with("+xml") => Format::Markup,
            other if other.starts_with("text/") => Format::Text,
            _ => {
                return Err(
                    "The Content-Type of the body is none that can be inspected: JSON, XML, text, a form or multipart.",
                );
            }
        };
        if charset != Charset::Utf8 && matches!(format, Format::Form | Format::Multipart(_)) {
            return Err("The charset of a form can only be UTF-8 here.");
        }
        Ok(Self { format, charset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_says_how_to_read() {
        let of = |content_type: &'static str| Kind::of_type(content_type).map(|kind| kind.format);
        for (content_type, format) in [
            ("application/json", Format::Json),
            ("Application/JSON; charset=UTF-8", Format::Json),
            ("application/vnd.api+json", Format::Json),
            ("application/x-ndjson", Format::JsonLines),
            ("application/x-www-form-urlencoded;charset=UTF-8", Format::Form),
            ("text/plain;charset=\"us-ascii\"", Format::Text),
            ("text/csv; header=present", Format::Text),
            ("image/svg+xml", Format::Markup),
            ("text/html", Format::Markup),
            ("", Format::Unsaid),
            ("multipart/form-data; boundary=\"a b;c\"", Format::Multipart("a b;c".to_owned())),
            ("Multipart/Mixed; Boundary=xY", Format::Multipart("xY".to_owned())),
        ] {
            assert_eq!(of(content_type), Ok(format), "{content_type}");
        }
        for refused in [
            "application/octet-stream",
            "text/plain; charset=klingon",
            "text/plain; charset",
            "multipart/form-data",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=a; charset=latin1",
            "multipart/form-data; boundary=a; boundary*=UTF-8''b",
            "multipart/form-data; boundary=a; Boundary*0=b",
            "text/plain; charset=utf-8; charset=latin1",
            "application/json; charset=utf-8; charset=utf-8",
            "application/x-www-form-urlencoded; charset=latin1",
        ] {
            assert!(of(refused).is_err(), "{refused}");
        }
        let none = Kind { format: Format::Unsaid, charset: Charset::Utf8 };
        assert_eq!(Kind::of_request(&HeaderMap::new()), Ok(none));
    }
}
