//! Which headers travel: hop-by-hop ones never, the client's traces not
//! upstream, validators of a body that changed not downstream.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

/// What speaks of the exact bytes of a reply that may be restored, besides its digests.
const VALIDATORS: [HeaderName; 3] = [header::CONTENT_LENGTH, header::ETAG, header::ACCEPT_RANGES];

/// Hashes of a body (RFC 9530, RFC 3230, RFC 1864).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("content-md5"),
];

/// Makes a request's headers fit for the upstream. `Host` and `Content-Length`
/// are set anew by the HTTP client from the address and the body.
pub(super) fn clean_request(headers: &mut HeaderMap) {
    remove_named_by_connection(headers);
    remove_where(headers, |name| {
        is_of_the_connection(name)
            || is_of_the_way(name)
            || is_private(name)
            || matches!(name, "host" | "content-length" | "expect" | "proxy-authorization")
    });
    // A compressed reply could not be restored.
    if headers.contains_key(header::ACCEPT_ENCODING) {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}

/// Drops what was computed of a request body that is rewritten: it would not
/// hold, and by a hash of a short text one can tell what the text was.
pub(super) fn drop_digests(headers: &mut HeaderMap) {
    remove_all(headers, &DIGESTS);
}

/// Makes a reply's headers fit for the client.
pub(super) fn clean_reply(headers: &mut HeaderMap) {
    remove_named_by_connection(headers);
    // What Privet says is Privet's to say.
    remove_where(headers, |name| is_of_the_connection(name) || name.starts_with("privet-"));
}

/// Drops what speaks of the exact bytes, as restoring changes them.
pub(super) fn drop_validators(headers: &mut HeaderMap) {
    remove_all(headers, &VALIDATORS);
    remove_all(headers, &DIGESTS);
}

/// RFC 9110, 7.6.1: these speak of one connection.
fn is_of_the_connection(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Where the client is and where it came from.
fn is_of_the_way(name: &str) -> bool {
    matches!(name, "referer" | "from" | "via" | "forwarded" | "x-real-ip" | "cf-connecting-ip")
}

fn is_private(name: &str) -> bool {
    name.starts_with("privet-") || name.starts_with("x-forwarded-") || name.ends_with("-client-ip")
}

fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name.as_str())).cloned().collect();
    remove_all(headers, &names);
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
