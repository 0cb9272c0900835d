//! Finds personal data in multipart bodies (RFC 7578, RFC 2046): the names of
//! fields and files, and what the parts hold as far as it is text. Pure.

use super::body::lowercase;
use super::charset::Charset;
use super::content;
use super::format::{Format, Kind};
use super::guess::{self, Guess};
use super::inspect::{self, FieldSeries, Findings, Form, Rules, Uninspectable};
use super::look::{Look, Piece, any};
use super::parameters::{self, Parameter};
use super::percent::{Encoding, NotUtf8};
use crate::config::Binary;
use crate::detect::{Input, Scratch};
use crate::framing::multipart::{self, Field, Malformed, Part};
use std::borrow::Cow;

/// How deep bodies of parts may nest in parts.
const DEPTH: usize = 3;

const HEADER_NOT_UTF8: Uninspectable = Uninspectable("The header of a part of the body is not valid UTF-8.");

/// Looks through the parts that these boundaries separate.
pub(super) fn inspect(
    body: &[u8],
    boundary: &str,
    rules: &Rules<'_>,
    scratch: &mut Scratch,
) -> Result<Findings, Uninspectable> {
    let mut parts = Parts {
        rules,
        scratch,
        found: Findings::seeking(rules.sought.len()),
        series: FieldSeries::default(),
        in_file: false,
    };
    parts.look_at_body(body, 0, boundary, DEPTH)?;
    Ok(parts.found)
}

struct Parts<'p> {
    rules: &'p Rules<'p>,
    scratch: &'p mut Scratch,
    found: Findings,
    series: FieldSeries,
    /// Whether the part at hand is a file.
    in_file: bool,
}

/// What the header of a part says of it.
#[derive(Default)]
struct About<'b> {
    content_type: Option<&'b str>,
    /// The name of its field.
    name: Option<Cow<'b, str>>,
    is_file: bool,
    /// It is base64 or the like (RFC 2045, 6), or compressed.
    is_encoded: bool,
}

impl Parts<'_> {
    /// Looks at a body that starts at `start` of the whole.
    fn look_at_body(&mut self, body: &[u8], start: usize, boundary: &str, depth: usize) -> Result<(), Uninspectable> {
        let cut = multipart::split(body, boundary).map_err(|malformed| Uninspectable(told(malformed)))?;
        let at = |range: &std::ops::Range<usize>| body.get(range.clone()).unwrap_or_default();
        // Readers pass over what stands around the parts; the upstream gets it all the same.
        self.look_at_content(at(&cut.preamble), start, &Format::Text, None)?;
        for part in &cut.parts {
            let about = self.look_at_header(body, start, part)?;
            let (content, start) = (at(&part.content), start + part.content.start);
            self.look_at_part(content, start, &about, depth)?;
        }
        self.look_at_content(at(&cut.epilogue), start + cut.epilogue.start, &Format::Text, None)
    }

    fn look_at_part(
        &mut self,
        content: &[u8],
        start: usize,
        about: &About<'_>,
        depth: usize,
    ) -> Result<(), Uninspectable> {
        let name = about.name.as_deref();
        self.in_file = about.is_file;
        let kind = match about.content_type {
            Some(named) => Kind::of_type(named),
            None => Ok(Kind { format: Format::Unsaid, charset: Charset::Utf8 }),
        };
        match kind {
            Ok(_) if about.is_encoded => {
                self.refuse("A text part of the body is encoded; send it as it is.", content.len())
            }
            Ok(Kind { format: Format::Multipart(boundary), .. }) => match depth.checked_sub(1) {
                Some(depth) => self.look_at_body(content, start, &boundary, depth),
                None => self.refuse("The parts of the body nest too deep.", content.len()),
            },
            Ok(kind) if kind.charset.of(content) != Some(Charset::Utf8) => {
                self.refuse("The charset of a text part is not UTF-8.", content.len())
            }
            Ok(Kind { format: Format::Unsaid, .. }) => {
                let is_text = looks_like_text(content);
                if about.is_file && !is_text {
                    self.look_at_unknown(content)
                } else {
                    self.look_at_content(content, start, &unsaid(content), name)
                }
            }
            Ok(kind) => self.look_at_content(content, start, &kind.format, name),
            Err(_) if about.is_encoded && guess::is_encoded_text(content) => {
                self.refuse("A text part of the body is encoded; send it as it is.", content.len())
            }
            Err(_) if about.is_encoded => self.file(content.len()),
            // What is called a picture may be a text, but not where no picture is taken.
            Err(_) if about.is_file && is_media(about.content_type) && self.rules.files == Binary::Refuse => {
                self.file(content.len())
            }
            // Programs give this type, or one of their own, to files that they do not know.
            Err(_) if looks_like_text(content) => self.look_at_content(content, start, &unsaid(content), name),
            Err(_) => self.look_at_unknown(content),
        }
    }

    /// A file of which the type says nothing. One that may be a text in another
    /// charset than UTF-8 passes where nothing is found in it.
    fn look_at_unknown(&mut self, content: &[u8]) -> Result<(), Uninspectable> {
        let text = match guess::of(content) {
            Guess::Other(text) => text,
            Guess::Utf8 | Guess::File | Guess::Opaque => return self.file(content.len()),
        };
        if !self.rules.detector.scan(Input { text: &text, label: None }, self.scratch).is_empty() {
            let why = "The body holds a text file with personal data that is not UTF-8; send it as UTF-8.";
            return self.refuse(why, content.len());
        }
        self.found.scanned += content.len();
        Ok(())
    }

    fn look_at_content(
        &mut self,
        content: &[u8],
        start: usize,
        format: &Format,
        name: Option<&str>,
    ) -> Result<(), Uninspectable> {
        if content.is_empty() {
            return Ok(());
        }
        let looked = match (format, str::from_utf8(content)) {
            (Format::Text, Ok(text)) if looks_like_text(content) && !content::declares_entities(text) => {
                if let Some(looked) = content::inspect_document(text, self.rules, self.scratch) {
                    return self.take(looked, start, content.len());
                }
                // A word by itself may as well be an id.
                if self.rules.texts && !self.in_file && name.is_some() && text.contains(' ') {
                    let at = start..start + text.len();
                    self.found.texts.push(inspect::Spot { at, spelling: inspect::Spelling::Plain });
                }
                // The name of its field says what a text is.
                self.found.append(inspect::inspect_value(text, name, self.rules.detector, self.scratch), start);
                let joint = self.series.joint(name, text);
                let place = |range: std::ops::Range<usize>| start + range.start..start + range.end;
                joint.look(text, place, Form::Text, self.rules.detector, self.scratch, &mut self.found);
                joint.push(text, |from| inspect::Places::Plain(start + from));
                return Ok(());
            }
            _ => content::inspect(content, format, self.rules, self.scratch),
        };
        self.take(looked, start, content.len())
    }

    /// Adds what was found in so many bytes from `start` on.
    fn take(
        &mut self,
        looked: Result<Findings, Uninspectable>,
        start: usize,
        length: usize,
    ) -> Result<(), Uninspectable> {
        match looked {
            Ok(found) => {
                self.found.append(found, start);
                Ok(())
            }
            Err(why) => self.refuse(why.0, length),
        }
    }

    /// Looks at the fields of a part's header, and reads what they say.
    fn look_at_header<'b>(&mut self, body: &'b [u8], start: usize, part: &Part) -> Result<About<'b>, Uninspectable> {
        let mut about = About::default();
        for Field { name, value } in &part.fields {
            let name = lowercase(text(body, name)?).into_owned();
            let at = start + value.start;
            let value = text(body, value)?;
            let is = |known: &[&str]| known.iter().any(|known| value.eq_ignore_ascii_case(known));
            match name.as_str() {
                "content-type" if about.content_type.is_some() => {
                    return Err(Uninspectable("A part of the body has more than one Content-Type."));
                }
                "content-type" => about.content_type = Some(value),
                "content-transfer-encoding" => about.is_encoded |= !is(&["7bit", "8bit", "binary"]),
                "content-encoding" => about.is_encoded |= !is(&["identity"]),
                _ => {}
            }
            let mut look = Look::new(self.rules.detector, self.scratch);
            let parameters = if name.starts_with("content-") { parameters::parse(value) } else { None };
            let whole = Piece { text: value, start: 0, label: Some(&name) };
            let looked = match parameters {
                Some((front, parameters)) => {
                    if name == "content-disposition" {
                        let named = parameters.iter().find(|parameter| parameter.is("name"));
                        about.name = named.map(Parameter::value).map(|name| Cow::Owned(name.into_owned()));
                        about.is_file |= parameters.iter().any(|p| p.is("filename") || p.is("filename*"));
                    }
                    let front = if name == "content-type" { "" } else { front };
                    look.at(Piece { text: front, ..whole }, Encoding::PATH, Form::Text, any).and_then(|()| {
                        parameters.iter().try_for_each(|parameter| look_at_parameter(value, parameter, &mut look))
                    })
                }
                None => look.at(whole, Encoding::PATH, Form::Text, any),
            };
            looked.map_err(|NotUtf8| HEADER_NOT_UTF8)?;
            self.found.append(Findings { scanned: value.len(), ..look.findings }, at);
        }
        Ok(about)
    }

    /// A text part cannot be inspected. The others are looked at also where the
    /// route lets it pass.
    fn refuse(&mut self, why: &'static str, bytes: usize) -> Result<(), Uninspectable> {
        match self.rules.binary {
            Binary::Refuse => Err(Uninspectable(why)),
            Binary::Pass => {
                self.found.uninspected += bytes;
                Ok(())
            }
        }
    }

    /// A file that is no text.
    fn file(&mut self, bytes: usize) -> Result<(), Uninspectable> {
        match self.rules.files {
            Binary::Refuse => Err(Uninspectable(
                "The body holds a file that is no text, which this route does not take (`files = \"refuse\"`).",
            )),
            Binary::Pass => {
                self.found.uninspected += bytes;
                Ok(())
            }
        }
    }
}

/// The names of fields and of files, and whatever else a header says. Browsers
/// write quotes and line ends percent-encoded in them.
fn look_at_parameter(value: &str, parameter: &Parameter<'_>, look: &mut Look<'_>) -> Result<(), NotUtf8> {
    if parameter.is("boundary") || parameter.is("charset") {
        return Ok(());
    }
    let mut at = parameter.at.clone();
    let mut form = Form::Text;
    if parameter.name.ends_with('*') {
        // `UTF-8'en'na%C3%AFve.txt` (RFC 8187, 3.2.1)
        let quotes = value.get(at.clone()).and_then(|value| value.match_indices('\'').nth(1));
        at.start += quotes.map_or(0, |(quote, _)| quote + 1);
        form = Form::Percent;
    }
    let label = if parameter.is("name") { None } else { Some(parameter.name.trim_end_matches('*')) };
    let piece = Piece { text: value.get(at.clone()).unwrap_or_default(), start: at.start, label };
    look.at(piece, Encoding::PATH, form, any)
}

fn text<'b>(body: &'b [u8], at: &std::ops::Range<usize>) -> Result<&'b str, Uninspectable> {
    str::from_utf8(body.get(at.clone()).unwrap_or_default()).map_err(|_| HEADER_NOT_UTF8)
}

/// A part without a type: JSON where it looks so. What a person typed into a
/// field is text, be it a number or in quotes.
fn unsaid(content: &[u8]) -> Format {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content).trim_ascii_start();
    if content.starts_with(b"{") || content.starts_with(b"[") { Format::Unsaid } else { Format::Text }
}

/// Whether the content is UTF-8 and nothing that only looks so.
pub(super) fn looks_like_text(content: &[u8]) -> bool {
    memchr::memchr(0, content).is_none() && str::from_utf8(content).is_ok()
}

fn is_media(content_type: Option<&str>) -> bool {
    let content_type = lowercase(content_type.unwrap_or_default());
    ["image/", "audio/", "video/"].iter().any(|kind| content_type.starts_with(kind))
}

fn told(malformed: Malformed) -> &'static str {
    match malformed {
        Malformed::Boundary => "The boundary of the multipart body is none (RFC 2046, 5.1.1).",
        Malformed::NoEnd => "The multipart body has no end with its boundary.",
        Malformed::Delimiter => "The multipart body has a line that begins with its boundary and is no delimiter.",
        Malformed::Header => "The header of a part of the multipart body is malformed.",
        Malformed::TooMuch => "The multipart body has too many parts, or one with too long a header.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Detector, Engine};
    use crate::protocol::Protocols;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::builtin().unwrap());

    fn looked(body: &[u8], binary: Binary, files: Binary) -> Result<Findings, Uninspectable> {
        let protocols = Protocols::builtin().unwrap();
        let rules = Rules {
            detector: Detector::from(&*ENGINE),
            clean: None,
            fields: &protocols.named("json").unwrap().request,
            identity: crate::config::Identity::Scan,
            binary,
            files,
            strict: false,
            texts: false,
            sought: &[],
            depth: 128,
        };
        inspect(body, "b", &rules, &mut Scratch::default())
    }

    /// A body of these parts, header and content.
    fn body(parts: &[(&str, &str)]) -> String {
        let part = |(header, content): &(&str, &str)| format!("--b\r\n{header}\r\n\r\n{content}\r\n");
        parts.iter().map(part).collect::<Vec<_>>().concat() + "--b--\r\n"
    }

    /// The body with its findings in guillemets.
    fn marked(body: &str) -> String {
        let found =
            looked(body.as_bytes(), Binary::Refuse, Binary::Refuse).unwrap_or_else(|why| panic!("{why:?} {body}"));
        let mut marked = body.to_owned();
        let mut end = body.len();
        for found in found.list.iter().rev() {
            assert!(found.at.end <= end && found.at.start < found.at.end, "{body}");
            end = found.at.start;
            marked.insert(found.at.end, '»');
            marked.insert(found.at.start, '«');
        }
        marked
    }

    const FIELD: &str = "Content-Disposition: form-data; name=\"m\"";
    const FILE: &str = "Content-Disposition: form-data; name=\"f\"; filename=\"f.x\"\r\nContent-Type: ";

    #[test]
    fn personal_data_is_found_where_it_stands() {
        for (header, content) in [
            (FIELD, "write to «ana.lopez@example.com»"),
            ("Content-Disposition: form-data; name=\"customer_name\"", "«Anna Kowalska»"),
            ("Content-Disposition: form-data; name=\"«ana.lopez@example.com»\"", "1"),
            ("Content-Disposition: form-data; name=«ana.lopez@example.com»", ""),
            ("Content-Disposition: form-data; name=f; filename=\"of «ana.lopez@example.com» (1).txt\"", "hello"),
            ("Content-Disposition: form-data; name=f; filename=\"%22«ana.lopez%40example.com»%22.txt\"", "hello"),
            (
                "Content-Disposition: form-data; name=f; filename*=UTF-8'en'of%20«ana.lopez%40example.com»%20(1).txt",
                "x",
            ),
            ("X-Note: from «ana.lopez@example.com»", "x"),
            ("Content-Description: \"from «ana.lopez@example.com»", "x"),
            (&format!("{FILE}text/plain"), "a\nb «ana.lopez@example.com»"),
            (&format!("{FILE}text/csv; charset=utf-8"), "name,mail\r\nx,«ana.lopez@example.com»\r\n"),
            (&format!("{FILE}application/json"), "{\"to\" : \"«ana.lopez\\u0040example.com»\"}"),
            (&format!("{FILE}application/jsonl"), "{\"a\":1}\r\n\n{\"to\":\"«ana.lopez\\u0040example.com»\"}"),
            (&format!("{FILE}application/xml"), "<m to=\"«ana.lopez@example.com»\"/>"),
            // Programs do not know each type.
            (&format!("{FILE}application/octet-stream"), "to «ana.lopez@example.com»"),
            (&format!("{FILE}application/octet-stream"), "{\"a\":1}\n{\"to\":\"«ana.lopez\\u0040example.com»\"}\n"),
            (&format!("{FILE}text/plain"), "{\"a\":1}\n{\"to\":\"«ana.lopez\\u0040example.com»\"}\n"),
            (&format!("{FILE}text/plain"), " {\"to\":\"«ana.lopez\\u0040example.com»\"}"),
            (&format!("{FILE}application/x-toml"), "to = \"«ana.lopez@example.com»\""),
            (FIELD, " {\"to\":\"«ana.lopez\\u0040example.com»\"}"),
            (FIELD, "{to «ana.lopez@example.com»"),
            // What a person types is no JSON number, which would become a string.
            (FIELD, "«4111111111111111»"),
            ("", "«ana.lopez@example.com»"),
            // A browser would give a picture the name of its file.
            ("Content-Disposition: form-data; name=m\r\nContent-Type: image/png", "to «ana.lopez@example.com»"),
            ("Content-Type: multipart/mixed; boundary=\"c d\"", "--c d\r\n\r\n«ana.lopez@example.com»\r\n--c d--"),
        ] {
            let want = body(&[(header, content), (FIELD, "and «bo@example.org»")]);
            let want = want.replace("\r\n\r\n\r\n«ana", "\r\n\r\n«ana");
            assert_eq!(marked(&want.replace(['«', '»'], "")), want);
        }
        let around = "«ana.lopez@example.com»\r\n--b\r\n\r\n1\r\n--b--\r\n«bo@example.org»";
        assert_eq!(marked(&around.replace(['«', '»'], "")), around);
    }

    #[test]
    fn values_cut_over_parts_of_one_name_are_found() {
        let [first, second] = ["mail «ana.no»", "«vak@example.com» now"];
        let want = body(&[(FIELD, first), (FIELD, second)]);
        assert_eq!(marked(&want.replace(['«', '»'], "")), want);
        let other = "Content-Disposition: form-data; name=\"other\"";
        let want = body(&[(FIELD, "mail ana.no"), (other, second)]);
        assert_eq!(marked(&want.replace(['«', '»'], "")), want);
    }

    #[test]
    fn a_text_is_looked_at_whatever_its_type_says() {
        for content_type in ["image/png", "image/svg", "audio/wav", "video/mp4", "application/pdf"] {
            let want = body(&[(&format!("{FILE}{content_type}"), "to «ana.lopez@example.com»")]);
            let found = looked(want.replace(['«', '»'], "").as_bytes(), Binary::Refuse, Binary::Pass).unwrap();
            assert_eq!(found.list.len(), 1, "{content_type}");
        }
        let entities = "<!DOCTYPE s [<!ENTITY at '@'>]><svg>ana&at;example.com</svg>";
        for content_type in ["image/svg+xml", "text/xml", "image/svg", "application/octet-stream"] {
            let body = body(&[(&format!("{FILE}{content_type}"), entities)]);
            assert!(looked(body.as_bytes(), Binary::Refuse, Binary::Pass).is_err(), "{content_type}");
        }
    }

    #[test]
    fn what_cannot_be_inspected_is_refused_or_counted() {
        let not_text = [b"--b\r\nContent-Disposition: form-data; name=m\r\n\r\nJos\xe9\r\n--b--".to_vec()];
        let texts = [
            body(&[(&format!("{FILE}text/plain; charset=latin1"), "ana@example.com")]),
            body(&[(&format!("{FILE}text/plain\r\nContent-Transfer-Encoding: base64"), "YW5h")]),
            body(&[(&format!("{FILE}text/plain\r\nContent-Encoding: gzip"), "YW5h")]),
            body(&[(&format!("{FILE}text/plain"), "a\0n\0a\0@\0x\0")]),
            // What is said of a file does not make one of a text.
            body(&[(&format!("{FILE}image/png\r\nContent-Transfer-Encoding: base64"), "dG8gYW5hQGV4YW1w\r\nbGUuY29t")]),
            body(&[(
                &format!("{FILE}image/png\r\nContent-Transfer-Encoding: quoted-printable"),
                "to ana=40example.com",
            )]),
        ];
        for body in texts.iter().map(|text| text.as_bytes().to_vec()).chain(not_text) {
            assert!(looked(&body, Binary::Refuse, Binary::Pass).is_err(), "{body:?}");
            let passed = looked(&body, Binary::Pass, Binary::Refuse).unwrap();
            assert!(passed.list.is_empty() && passed.uninspected > 0, "{body:?}");
        }
        // What is no JSON after all is looked at as text where it may pass.
        let no_json = body(&[(&format!("{FILE}application/json"), "{\"a\":ana@example.com")]);
        assert!(looked(no_json.as_bytes(), Binary::Refuse, Binary::Pass).is_err());
        assert_eq!(looked(no_json.as_bytes(), Binary::Pass, Binary::Pass).unwrap().list.len(), 1);
        let files = [
            body(&[(&format!("{FILE}image/png"), "\0\0to ana@example.com")]),
            body(&[(&format!("{FILE}image/png\r\nContent-Transfer-Encoding: base64"), "iVBORw0KGgoAAAANSUhE\r\nUg==")]),
            body(&[(&format!("{FILE}application/pdf"), "%PDF-\0ana@example.com")]),
            body(&[("Content-Disposition: form-data; name=f; filename=x", "\0\0ana@example.com")]),
            body(&[(&format!("{FILE}application/octet-stream\r\nContent-Encoding: gzip"), "\0\0\0ana")]),
        ];
        for body in &files {
            let why = looked(body.as_bytes(), Binary::Pass, Binary::Refuse).err().unwrap();
            assert!(why.0.contains("`files = \"refuse\"`"), "{why:?}");
            let passed = looked(body.as_bytes(), Binary::Refuse, Binary::Pass).unwrap();
            assert!(passed.list.is_empty() && passed.uninspected > 0, "{body:?}");
        }
        for malformed in [
            "hello".to_owned(),
            body(&[(FIELD, "1")]).replace("--b--", "--b"),
            body(&[("Content-Type: text/plain\r\nContent-Type: image/png", "1")]),
            body(&[("Content-Type: multipart/mixed", "1")]).replace("--b--", ""),
        ] {
            for binary in [Binary::Refuse, Binary::Pass] {
                assert!(looked(malformed.as_bytes(), binary, Binary::Pass).is_err(), "{malformed:?}");
            }
        }
        // Texts in another charset, which no type tells.
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        for (said, bytes, has_some) in [
            ("application/vnd.ms-excel", b"Jos\xe9;ana@example.com".to_vec(), true),
            ("application/octet-stream", utf16("\u{feff}to ana@example.com"), true),
            ("application/octet-stream", utf16("to ana@example.com"), true),
            ("image/jpeg", utf16("\u{feff}to ana@example.com"), true),
            ("audio/wav", b"Jos\xe9;ana@example.com".to_vec(), true),
            ("application/vnd.ms-excel", b"caf\xe9;tea".to_vec(), false),
        ] {
            let header = format!("--b\r\n{FILE}{said}\r\n\r\n");
            let body = [header.as_bytes(), &bytes, b"\r\n--b--"].concat();
            assert_eq!(looked(&body, Binary::Refuse, Binary::Pass).is_err(), has_some, "{body:?}");
            assert!(looked(&body, Binary::Pass, Binary::Pass).unwrap().list.is_empty());
        }
        // So deep and no deeper.
        let nested = |depth: usize| {
            let boundary = |n: usize| if n == 0 { "b".to_owned() } else { format!("n{n}") };
            let mut inner = "1".to_owned();
            for n in (0..depth).rev() {
                let about = if n + 1 < depth {
                    format!("Content-Type: multipart/mixed; boundary={}", boundary(n + 1))
                } else {
                    "A: b".to_owned()
                };
                inner = format!("--{0}\r\n{about}\r\n\r\n{inner}\r\n--{0}--", boundary(n));
            }
            inner
        };
        assert!(looked(nested(DEPTH + 1).as_bytes(), Binary::Refuse, Binary::Pass).is_ok());
        assert!(looked(nested(DEPTH + 2).as_bytes(), Binary::Refuse, Binary::Pass).is_err());
    }

    proptest! {
        #[test]
        fn findings_of_any_body_stand_apart_and_where_their_value_is(parts in prop::collection::vec(
            (prop::sample::select(vec![
                FIELD, "Content-Disposition: form-data; name=\"to ana@example.com\"; filename=\"bo@example.org\"",
                "Content-Type: application/json", "Content-Type: text/plain", "Content-Type: application/x-ndjson",
                "Content-Type: multipart/mixed; boundary=b", "X: ana@example.com", "A",
            ]),
            prop::collection::vec(prop::sample::select(vec![
                "ana@example.com", "[", "]", "{\"a\":\"bo@example.org\"}", "\n", "\r\n--b", " ", "é", "4111111111111111",
            ]), 0..5)), 0..4),
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(header, content)| (header, content.concat())).collect();
            let parts: Vec<_> = parts.iter().map(|(header, content)| (*header, content.as_str())).collect();
            let body = body(&parts);
            if let Ok(found) = looked(body.as_bytes(), Binary::Pass, Binary::Pass) {
                let mut end = 0;
                for one in &found.list {
                    prop_assert!(end <= one.at.start && one.at.start < one.at.end);
                    // Parts without names are one series, over which a value may be cut.
                    prop_assert!(one.form == Form::Rest || found.value(one).starts_with(&body[one.at.clone()]));
                    end = one.at.end;
                }
            }
        }
    }
}
