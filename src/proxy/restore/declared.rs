//! What a text says of its own charset, where the headers are silent: the
//! `meta` of a page (HTML, 13.2.3.2), the declaration of XML (XML 1.0, 4.3.3).

use crate::proxy::charset::Charset;

/// So far readers look for it, in bytes.
pub(super) const REACH: usize = 1024;

/// The charset that a text says which begins so; none where it says none yet,
/// or one that nobody knows.
pub(super) fn charset(start: &[u8]) -> Option<Charset> {
    // A byte order mark outweighs it.
    if start.starts_with(b"\xef\xbb\xbf") {
        return None;
    }
    let text: String = start.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    let name = match text.strip_prefix("<?xml") {
        Some(declaration) => value(declaration.split_once("?>")?.0, "encoding")?.to_owned(),
        None => in_meta(&text)?,
    };
    match Charset::named(&name)? {
        // It is read bytewise as far as here, so it cannot be.
        Charset::Utf16 { .. } | Charset::MarkedUtf16 => Some(Charset::Utf8),
        charset => Some(charset),
    }
}

fn in_meta(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = rest.get(at..)?;
        if rest.starts_with("<!--") {
            rest = rest.split_once("-->")?.1;
            continue;
        }
        let (tag, behind) = rest.split_once('>')?;
        let is_meta =
            tag.strip_prefix("<meta").is_some_and(|tag| tag.starts_with([' ', '\t', '\r', '\n', '\x0c', '/']));
        if let Some(name) = is_meta.then(|| value(tag, "charset")).flatten() {
            return Some(name.to_owned());
        }
        rest = behind;
    }
    None
}

/// The value behind `name=`.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let behind = text.split_once(name)?.1.trim_start().strip_prefix('=')?.trim_start();
    let bare = behind.trim_start_matches(['"', '\'']);
    bare.split(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | ';' | '/' | '>')).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_its_charset() {
        let latin = Charset::named("latin1");
        for (start, want) in [
            ("<!doctype html><html><head><meta charset=\"iso-8859-1\">", latin),
            ("<META CHARSET=ISO-8859-1>", latin),
            ("<meta http-equiv='Content-Type' content='text/html; charset=windows-1252'>", latin),
            ("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", latin),
            ("<!-- <meta charset=koi8-r> --><meta charset = 'latin1'/>", latin),
            ("<meta charset=utf-16>", Some(Charset::Utf8)),
            ("<meta charset=utf-8>", Some(Charset::Utf8)),
            ("<meta charset=klingon>", None),
            ("<metadata charset=latin1>", None),
            ("<p>charset=latin1</p>", None),
            ("<meta charset=\"iso-8859-1\"", None),
            ("<?xml version='1.0' encoding='latin1'", None),
            ("\u{feff}<meta charset=latin1>", None),
            ("<!-- ", None),
            ("", None),
        ] {
            assert_eq!(charset(start.as_bytes()), want, "{start}");
        }
    }
}
