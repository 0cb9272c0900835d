//! What a request body holds, whatever lies over it: codings and charset are
//! undone for the search, and where nothing was found the body goes on as it
//! came, byte for byte.

use super::body::{Budget, ReadBody};
use super::charset::Charset;
use super::encoding::Codings;
use super::error::ProxyError;
use super::format::{Format, Kind};
use super::inspect::{self, Findings, Located, Rules, Uninspectable};
use super::packets;
use super::parts;
use super::redact::Replacements;
use crate::config::Binary;
use crate::detect::{Scratch, markup_text};
use crate::json;
use bytes::Bytes;
use http::{HeaderMap, header};

/// A body that was read, and its text.
pub(super) struct Content {
    /// As it came.
    body: ReadBody,
    /// As it is looked through: mostly the same bytes.
    text: Bytes,
    is_encoded: bool,
    charset: Charset,
}

/// A body that is not looked through.
pub(super) enum Unread {
    /// It passes where the route lets it.
    Uninspectable(Uninspectable, ReadBody),
    /// It is refused in any case.
    Refused(ProxyError),
}

impl Content {
    /// A body that nobody looks into.
    pub(super) fn unread(body: ReadBody) -> Self {
        Self { text: body.bytes.clone(), body, is_encoded: false, charset: Charset::Utf8 }
    }

    /// Undoes what the headers say that lies over the body, and says how the
    /// text is to be read.
    pub(super) fn read(mut body: ReadBody, headers: &HeaderMap, budget: &Budget) -> Result<(Self, Format), Unread> {
        let uninspectable = |why, body| Err(Unread::Uninspectable(Uninspectable(why), body));
        let codings = match Codings::of(headers) {
            Ok(codings) => codings,
            Err(unknown) => return uninspectable(unknown.0, body),
        };
        let Kind { format, charset } = match Kind::of_request(headers) {
            Ok(kind) => kind,
            // Programs send so what they do not name.
            Err(_) if codings.is_empty() && is_unnamed(headers) && parts::looks_like_text(&body.bytes) => {
                Kind { format: Format::Unsaid, charset: Charset::Utf8 }
            }
            Err(why) => return uninspectable(why, body),
        };
        let is_encoded = !codings.is_empty();
        let plain = if is_encoded {
            match budget.decode(&mut body, &codings) {
                Ok(plain) => plain,
                Err(Some(refused)) => return Err(Unread::Refused(refused)),
                Err(None) => return uninspectable("The body is not encoded as its Content-Encoding says.", body),
            }
        } else {
            body.bytes.clone()
        };
        let shown = match format {
            Format::Json | Format::JsonLines => charset.of_json(&plain),
            _ => charset.of(&plain),
        };
        let (text, charset) = match format {
            // The parts of these are not text, or percent-encoded.
            Format::Multipart(_) | Format::Form => (plain, Charset::Utf8),
            _ => match shown {
                Some(Charset::Utf8) => (plain, Charset::Utf8),
                Some(charset) => match charset.decode(&plain) {
                    Some(text) => {
                        if let Err(refused) = budget.charge(&mut body, text.len()) {
                            return Err(Unread::Refused(refused));
                        }
                        (text.into(), charset)
                    }
                    None => return uninspectable("The body is no text in the charset that it names.", body),
                },
                None => {
                    return uninspectable("The charset of the body is not the one that its first bytes show.", body);
                }
            },
        };
        // Where a string was escaped much, the way back takes more than the string.
        let way_back = memchr::memchr_iter(b'\\', &text).count() * json::ESCAPE_MEMORY;
        if way_back > text.len()
            && let Err(refused) = budget.charge(&mut body, way_back)
        {
            return Err(Unread::Refused(refused));
        }
        Ok((Self { body, text, is_encoded, charset }, format))
    }

    /// The text that is looked through.
    pub(super) fn text(&self) -> &Bytes {
        &self.text
    }

    /// The body back again, where the text turned out to hold no such thing.
    pub(super) fn into_unread(self) -> ReadBody {
        self.body
    }

    /// What is forwarded: the text with its findings replaced, in its charset
    /// and without a coding, or else the body as it came.
    pub(super) fn forward(
        self,
        found: &[Located],
        replacements: &mut Replacements,
        headers: &mut HeaderMap,
    ) -> Result<ReadBody, ProxyError> {
        if found.is_empty() {
            return Ok(self.body);
        }
        if self.is_encoded {
            headers.remove(header::CONTENT_ENCODING);
        }
        let text = replacements.splice(&self.text, found);
        let bytes = if self.charset == Charset::Utf8 {
            Some(text)
        } else {
            str::from_utf8(&text).ok().and_then(|text| self.charset.encode(text))
        };
        let bytes = bytes.ok_or_else(ProxyError::unwritable_charset)?.into();
        Ok(ReadBody { bytes, share: self.body.share })
    }
}

/// Whether the type of a body says no more than that it is bytes.
fn is_unnamed(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let is_bytes = types.next().is_some_and(|named| named.as_bytes().eq_ignore_ascii_case(b"application/octet-stream"));
    is_bytes && types.next().is_none()
}

/// Looks through a text in this format.
pub(super) fn inspect(
    bytes: &[u8],
    format: &Format,
    rules: &Rules<'_>,
    scratch: &mut Scratch,
) -> Result<Findings, Uninspectable> {
    let format = match format {
        Format::Unsaid if rules.strict => &Format::Json,
        Format::Form | Format::Text | Format::Markup | Format::Multipart(_) if rules.strict => {
            return Err(Uninspectable("The route is strict and takes JSON alone."));
        }
        format => format,
    };
    if let Format::Multipart(boundary) = format {
        return parts::inspect(bytes, boundary, rules, scratch);
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return Err(Uninspectable("The body is not valid UTF-8."));
    };
    if *format != Format::Json && declares_entities(text) {
        let why = "The document declares entities of its own (`<!ENTITY`), so that its text cannot be known; write out what they stand for.";
        if rules.binary == Binary::Refuse {
            return Err(Uninspectable(why));
        }
    }
    let as_text = |scratch: &mut Scratch| {
        let mut looked = inspect::inspect_text(text, rules.detector, scratch);
        if let Ok(findings) = &mut looked
            && rules.texts
        {
            findings.texts.push(inspect::Spot { at: 0..text.len(), spelling: inspect::Spelling::Plain });
        }
        looked
    };
    let or_text = |looked, scratch: &mut Scratch| match looked {
        Err(inspect::NOT_JSON) => as_text(scratch),
        looked => looked,
    };
    match format {
        Format::Json | Format::JsonLines => {
            let looked = match format {
                Format::Json => inspect::inspect_json(text, rules, scratch),
                _ => inspect_lines(text, rules, scratch),
            };
            // It passes, but not unseen.
            if rules.binary == Binary::Pass { or_text(looked, scratch) } else { looked }
        }
        Format::Unsaid if !looks_like_document(text) => {
            let looked = inspect::inspect_json(text, rules, scratch);
            or_text(looked, scratch)
        }
        Format::Packets => packets::inspect(text, rules, scratch),
        Format::Markup => as_text(scratch).map(|found| found.respelled(markup_text)),
        Format::Unsaid | Format::Form | Format::Text | Format::Multipart(_) => {
            match (inspect_document(text, rules, scratch), format) {
                (Some(looked), _) => looked,
                (None, Format::Form) => inspect::inspect_form(text, rules, scratch),
                (None, _) => as_text(scratch),
            }
        }
    }
}

/// Looks through JSON that is not said to be some: browsers call it text, and
/// curl a form. None where the text is no document, nor one a line.
pub(super) fn inspect_document(
    text: &str,
    rules: &Rules<'_>,
    scratch: &mut Scratch,
) -> Option<Result<Findings, Uninspectable>> {
    if !looks_like_document(text) {
        return None;
    }
    let mut looked = inspect::inspect_json(text, rules, scratch);
    if matches!(looked, Err(inspect::NOT_JSON)) {
        looked = inspect_lines(text, rules, scratch);
    }
    if matches!(looked, Err(inspect::NOT_JSON)) { None } else { Some(looked) }
}

/// Whether a text is XML with entities of its own (XML 1.0, 4.2), by which any
/// text can be written in pieces.
pub(super) fn declares_entities(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
        && memchr::memmem::find(text.as_bytes(), b"<!ENTITY").is_some()
}

fn looks_like_document(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '['])
}

/// Looks through a JSON document a line. Lines may be blank.
fn inspect_lines(text: &str, rules: &Rules<'_>, scratch: &mut Scratch) -> Result<Findings, Uninspectable> {
    let mut lines = inspect::Series::new(rules);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() {
            lines.look(text, start..start + line.len(), rules, scratch)?;
        }
        start += line.len();
    }
    Ok(lines.findings)
}
