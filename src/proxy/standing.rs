//! What a client wrote itself: a surrogate whose text stands there already
//! would be taken for it.

use crate::surrogate::Search;
use bytes::Bytes;
use http::HeaderValue;
use http::request::Parts;
use memchr::memmem;
use percent_encoding::percent_decode;
use std::sync::{Arc, OnceLock};

/// The texts of one request. They are read only where a surrogate is about to
/// be used.
pub(super) struct Standing {
    texts: Arc<Texts>,
    /// Whether they are read on a thread where waiting harms nobody.
    is_large: bool,
}

struct Texts {
    body: Bytes,
    address: Bytes,
    headers: Vec<HeaderValue>,
    /// What differs from them once its escapes are undone.
    decoded: OnceLock<Vec<Vec<u8>>>,
}

impl Standing {
    pub(super) fn new(body: &Bytes, head: &Parts, is_large: bool) -> Self {
        let address = head.uri.path_and_query().map_or("", |address| address.as_str());
        let address = Bytes::copy_from_slice(address.as_bytes());
        Self::of(body, address, head.headers.values().cloned().collect(), is_large)
    }

    /// Of a message, which has no head.
    pub(super) fn of_message(text: &Bytes, is_large: bool) -> Self {
        Self::of(text, Bytes::new(), Vec::new(), is_large)
    }

    fn of(body: &Bytes, address: Bytes, headers: Vec<HeaderValue>, is_large: bool) -> Self {
        let texts = Texts { body: body.clone(), address, headers, decoded: OnceLock::new() };
        Self { texts: Arc::new(texts), is_large }
    }

    /// Which of the texts stand in the request as words, as they are or with
    /// the escapes of JSON or of addresses.
    pub(super) async fn marks(&self, search: Arc<Search>) -> Vec<bool> {
        if !self.is_large {
            return self.texts.marks(&search);
        }
        let (texts, count) = (Arc::clone(&self.texts), search.texts().len());
        let marks = tokio::task::spawn_blocking(move || texts.marks(&search)).await;
        // What is not known to stand nowhere is not used.
        marks.unwrap_or_else(|_| vec![true; count])
    }
}

impl Texts {
    fn marks(&self, search: &Search) -> Vec<bool> {
        let decoded = self.decoded.get_or_init(|| self.raw().flat_map(decoded).collect());
        search.marks(self.raw().chain(decoded.iter().map(Vec::as_slice)))
    }

    fn raw(&self) -> impl Iterator<Item = &[u8]> {
        [&*self.body, &*self.address].into_iter().chain(self.headers.iter().map(HeaderValue::as_bytes))
    }
}

fn decoded(part: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    if memmem::find(part, b"\\u").is_some() {
        texts.push(without_escapes(part));
    }
    if part.contains(&b'%') || part.contains(&b'+') {
        let spaced: Vec<u8> = part.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        texts.push(percent_decode(part).collect());
        texts.push(percent_decode(&spaced).collect());
    }
    texts
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

    #[tokio::test]
    async fn a_text_is_seen_through_its_escapes() {
        let request = http::Request::builder().uri("/u/Zo%C3%AB?n=Eva+Maria").header("x-name", "Jana");
        let head = request.body(()).unwrap().into_parts().0;
        let body = Bytes::from_static(br#"{"a":"B\u00f6hm \ud83d\ude00 Klara\nRomania\nPetra"}"#);
        for is_large in [false, true] {
            let standing = Standing::new(&body, &head, is_large);
            let texts = ["Zoë", "Eva Maria", "Jana", "Böhm 😀", "Klara", "Petra"];
            assert_eq!(standing.marks(Arc::new(Search::new(texts))).await, [true; 6]);
            let texts = ["klara", "Bohm", "Eva  Maria", "x-name", "Klar", "Roman"];
            assert_eq!(standing.marks(Arc::new(Search::new(texts))).await, [false; 6]);
        }
    }
}
