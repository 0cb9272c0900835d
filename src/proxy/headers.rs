//! Which headers travel: hop-by-hop ones never, the client's traces not
//! upstream, validators of a body that changed not downstream. And personal
//! data in the values of those that travel upstream.

use super::inspect::Form;
use super::look::{Look, Piece, any};
use super::percent::{Encoding, NotUtf8};
use crate::detect::Finding;
use crate::entity::Entity;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

/// RFC 9110, 7.6.1: these speak of one connection.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Where the client is and where it came from.
const TRACES: [HeaderName; 6] = [
    header::REFERER,
    header::FROM,
    header::VIA,
    header::FORWARDED,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("cf-connecting-ip"),
];

/// Keys of the API, which is not to be called without them, and traces of the
/// W3C's Trace Context, which are random.
const NEVER_TOUCHED: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// What a version or the address of a site may be taken for.
const IP: Entity = Entity::constant("IP");
const PERSON: Entity = Entity::constant("PERSON");

/// What speaks of the exact bytes of a reply that may be restored.
const VALIDATORS: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::ETAG,
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    header::ACCEPT_RANGES,
];

/// Makes a request's headers fit for the upstream. `Host` and `Content-Length`
/// are set anew by the HTTP client from the address and the body.
pub(super) fn clean_request(headers: &mut HeaderMap) {
    remove_named_by_connection(headers);
    remove_all(headers, &HOP_BY_HOP);
    remove_all(headers, &TRACES);
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::EXPECT);
    headers.remove(header::PROXY_AUTHORIZATION);
    let private: Vec<HeaderName> = headers.keys().filter(|name| is_private(name.as_str())).cloned().collect();
    remove_all(headers, &private);
    // A compressed reply could not be restored.
    if headers.contains_key(header::ACCEPT_ENCODING) {
        headers.insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static("identity"));
    }
}

/// Looks through a value that travels upstream. Its name is the label.
pub(super) fn inspect(name: &HeaderName, value: &HeaderValue, look: &mut Look<'_>) -> Result<(), NotUtf8> {
    if *name == header::ACCEPT || name.as_str().starts_with("accept-") || NEVER_TOUCHED.contains(name) {
        return Ok(());
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| NotUtf8)?;
    let piece = Piece { text, start: 0, label: Some(name.as_str()) };
    match *name {
        header::COOKIE => inspect_cookies(text, look),
        header::USER_AGENT => inspect_value(piece, look, |text, found| !is_product(text, found)),
        // It names a site, not a person.
        header::ORIGIN => inspect_value(piece, look, |_, found| found.entity != IP),
        _ => inspect_value(piece, look, any),
    }
}

/// `name=value` pairs between semicolons (RFC 6265, 4.2.1).
fn inspect_cookies(text: &str, look: &mut Look<'_>) -> Result<(), NotUtf8> {
    let mut start = 0;
    for cookie in text.split(';') {
        let (name, value) = cookie.split_once('=').unwrap_or(("", cookie));
        inspect_value(Piece { text: name, start, label: None }, look, any)?;
        let start_of_value = start + cookie.len() - value.len();
        let label = Some(name.trim()).filter(|name| !name.is_empty());
        inspect_value(Piece { text: value, start: start_of_value, label }, look, any)?;
        start += cookie.len() + 1;
    }
    Ok(())
}

/// Values are often percent-encoded, though no standard says so: where that
/// does not hold, ASCII is decoded alone.
fn inspect_value(
    piece: Piece<'_>,
    look: &mut Look<'_>,
    wanted: impl Fn(&str, &Finding) -> bool,
) -> Result<(), NotUtf8> {
    look.at(piece, Encoding::PATH, Form::Text, &wanted)
        .or_else(|NotUtf8| look.at(piece, Encoding::ASCII, Form::Text, &wanted))
}

/// Whether a finding is made of product and version (RFC 9110, 10.1.5), such as
/// `Chrome/120.0.0.0` and `Julia/1.10`.
fn is_product(text: &str, found: &Finding) -> bool {
    if found.entity != IP && found.entity != PERSON {
        return false;
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ';' | ',');
    let before = text.get(..found.start).unwrap_or_default();
    let behind = text.get(found.end..).unwrap_or_default();
    let from = before.rfind(ends).map_or(0, |at| at + 1);
    let to = behind.find(ends).map_or(text.len(), |at| found.end + at);
    text.get(from..to).unwrap_or_default().split(ends).any(|word| {
        word.split_once('/').is_some_and(|(product, version)| {
            let is_token = |part: &str| !part.is_empty() && part.bytes().all(is_token_byte);
            is_token(product) && is_token(version) && product.bytes().any(|b| b.is_ascii_alphabetic())
        })
    })
}

/// `tchar` (RFC 9110, 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Makes a reply's headers fit for the client.
pub(super) fn clean_reply(headers: &mut HeaderMap) {
    remove_named_by_connection(headers);
    remove_all(headers, &HOP_BY_HOP);
}

/// Drops what speaks of the exact bytes, as restoring changes them.
pub(super) fn drop_validators(headers: &mut HeaderMap) {
    remove_all(headers, &VALIDATORS);
}

fn is_private(name: &str) -> bool {
    name.starts_with("privet-") || name.starts_with("x-forwarded-") || name.ends_with("-client-ip")
}

fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

fn remove_named_by_connection(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONNECTION) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    remove_all(headers, &named);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn nothing_of_the_client_or_of_privet_travels_upstream() {
        let mut sent = headers(&[
            ("host", "shop.example"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("content-length", "4"),
            ("referer", "https://shop.example/me"),
            ("from", "ana@example.com"),
            ("via", "1.1 edge"),
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "shop.example"),
            ("x-real-ip", "192.0.2.1"),
            ("true-client-ip", "192.0.2.1"),
            ("x-client-ip", "192.0.2.1"),
            ("cf-connecting-ip", "192.0.2.1"),
            ("privet-consent", "support"),
            ("privet-subject", "u1"),
            ("authorization", "Bearer k"),
            ("accept-encoding", "gzip, br"),
            ("content-type", "application/json"),
        ]);
        clean_request(&mut sent);
        let mut left: Vec<_> = sent.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        left.sort_unstable();
        let want =
            [("accept-encoding", "identity"), ("authorization", "Bearer k"), ("content-type", "application/json")];
        assert_eq!(left, want);
    }
}
