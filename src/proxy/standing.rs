//! What a client wrote itself: a surrogate whose text stands there already
//! would be taken for it.

use http::request::Parts;
use memchr::memmem;
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::sync::OnceLock;

/// The texts of one request. They are read only where a surrogate is about to
/// be used.
pub(super) struct Standing<'r> {
    body: &'r [u8],
    head: &'r Parts,
    texts: OnceLock<Vec<Cow<'r, [u8]>>>,
}

impl<'r> Standing<'r> {
    pub(super) fn new(body: &'r [u8], head: &'r Parts) -> Self {
        Self { body, head, texts: OnceLock::new() }
    }

    /// Whether the text stands in the request, as it is or with the escapes of
    /// JSON or of addresses. It may be part of a longer word.
    pub(super) fn holds(&self, text: &str) -> bool {
        let finder = memmem::Finder::new(text);
        self.texts.get_or_init(|| self.read()).iter().any(|standing| finder.find(standing).is_some())
    }

    fn read(&self) -> Vec<Cow<'r, [u8]>> {
        let address = self.head.uri.path_and_query().map_or("", |address| address.as_str()).as_bytes();
        let headers = self.head.headers.values().map(http::HeaderValue::as_bytes);
        let mut texts = Vec::new();
        for part in [self.body, address].into_iter().chain(headers) {
            texts.push(Cow::Borrowed(part));
            if memmem::find(part, b"\\u").is_some() {
                texts.push(Cow::Owned(without_escapes(part)));
            }
            if part.contains(&b'%') || part.contains(&b'+') {
                let spaced: Vec<u8> = part.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
                texts.push(Cow::Owned(percent_decode(part).collect()));
                texts.push(Cow::Owned(percent_decode(&spaced).collect()));
            }
        }
        texts
    }
}

/// The bytes with `\uXXXX` undone, whatever they are otherwise.
fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut units: Vec<u16> = Vec::new();
    loop {
        let unit = rest
            .strip_prefix(b"\\u")
            .and_then(|after| after.get(..4))
            .and_then(|digits| u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        if let Some(unit) = unit {
            units.push(unit);
            rest = rest.get(6..).unwrap_or_default();
            continue;
        }
        for c in char::decode_utf16(units.drain(..)) {
            let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let Some((first, after)) = rest.split_first() else { return out };
        out.push(*first);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_seen_through_its_escapes() {
        let request = http::Request::builder().uri("/u/Zo%C3%AB?n=Eva+Maria").header("x-name", "Jana");
        let head = request.body(()).unwrap().into_parts().0;
        let standing = Standing::new(br#"{"a":"B\u00f6hm \ud83d\ude00 Klara\n"}"#, &head);
        for text in ["Zoë", "Eva Maria", "Jana", "Böhm 😀", "Klara", "Klar"] {
            assert!(standing.holds(text), "{text}");
        }
        for text in ["klara", "Bohm", "Eva  Maria", "x-name"] {
            assert!(!standing.holds(text), "{text}");
        }
    }
}
