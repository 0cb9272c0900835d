//! Which headers travel: hop-by-hop ones never, the client's traces upstream
//! as the configuration says, validators of a body that changed not downstream.

use crate::config::{HeaderPattern, Headers};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use std::cmp::Reverse;

/// What speaks of the exact bytes of a reply that may be restored, besides its digests.
const VALIDATORS: [HeaderName; 3] = [header::CONTENT_LENGTH, header::ETAG, header::ACCEPT_RANGES];

/// Hashes of a body (RFC 9530, RFC 3230, RFC 1864).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("content-md5"),
];

/// What happens to a header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It does not travel.
    Drop,
    /// It travels with personal data replaced.
    Scan,
    /// It travels as it is.
    Keep,
}

/// Where the client is and where it came from, and who it is, as the proxies
/// in front say it.
const DROPPED: [&str; 10] = [
    "referer",
    "from",
    "via",
    "forwarded",
    "x-real-ip",
    "cf-connecting-ip",
    "x-appengine-city",
    "x-appengine-citylatlong",
    "x-appengine-region",
    "remote-user",
];

/// The same, each of many names.
const DROPPED_BEGINNINGS: [&str; 6] =
    ["x-forwarded-", "x-vercel-ip-", "cf-ip", "x-amzn-oidc-", "cf-access-", "x-auth-request-"];

/// Keys of the API, which is not to be called without them, traces of the
/// W3C's Trace Context and its like, which are random, and what is said of the
/// content.
const KEPT: [&str; 12] = [
    "authorization",
    "content-type",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "traceparent",
    "tracestate",
    "b3",
    "sentry-trace",
    "x-cloud-trace-context",
    "x-amzn-trace-id",
    "accept",
];

/// The same, each of many names, and what a program says of itself.
const KEPT_BEGINNINGS: [&str; 4] = ["accept-", "x-datadog-", "x-b3-", "x-stainless-"];

/// What happens to each header of a request, as it is built in and configured.
pub(super) struct Policy {
    names: HeaderMap<Treatment>,
    /// The more exact ones first.
    patterns: Vec<(HeaderPattern, Treatment)>,
}

impl Policy {
    pub(super) fn new(configured: &Headers) -> Self {
        let named = |names: &'static [&'static str], treatment| {
            names.iter().map(move |name| (HeaderPattern::Name(HeaderName::from_static(name)), treatment))
        };
        let beginnings = |texts: &'static [&'static str], treatment| {
            texts.iter().map(move |text| (HeaderPattern::Beginning((*text).to_owned()), treatment))
        };
        let built_in = beginnings(&DROPPED_BEGINNINGS, Treatment::Drop)
            .chain(beginnings(&KEPT_BEGINNINGS, Treatment::Keep))
            .chain([(HeaderPattern::Ending("-client-ip".to_owned()), Treatment::Drop)]);
        let lists = [
            (&configured.drop, Treatment::Drop),
            (&configured.scan, Treatment::Scan),
            (&configured.keep, Treatment::Keep),
        ];
        let listed =
            lists.into_iter().flat_map(|(list, treatment)| list.iter().map(move |one| (one.clone(), treatment)));
        // Of two alike the first stands: the configured, and of these the stricter.
        let all = listed.chain(named(&DROPPED, Treatment::Drop)).chain(named(&KEPT, Treatment::Keep)).chain(built_in);
        let (mut names, mut patterns) = (HeaderMap::default(), Vec::new());
        for (pattern, treatment) in all {
            match pattern {
                HeaderPattern::Name(name) => {
                    names.entry(name).or_insert(treatment);
                }
                HeaderPattern::Beginning(_) | HeaderPattern::Ending(_) => patterns.push((pattern, treatment)),
            }
        }
        patterns.sort_by_key(|(pattern, _)| match pattern {
            HeaderPattern::Name(_) => Reverse(usize::MAX),
            HeaderPattern::Beginning(text) | HeaderPattern::Ending(text) => Reverse(text.len()),
        });
        Self { names, patterns }
    }

    /// What happens to the header of this name.
    pub(super) fn of(&self, name: &HeaderName) -> Treatment {
        let of_patterns = || self.patterns.iter().find(|(pattern, _)| pattern.matches(name));
        let named = self.names.get(name).or_else(|| of_patterns().map(|(_, treatment)| treatment));
        named.copied().unwrap_or(Treatment::Scan)
    }
}

/// Makes a request's headers fit for the upstream. `Host` and `Content-Length`
/// are set anew by the HTTP client from the address and the body.
pub(super) fn clean_request(headers: &mut HeaderMap, policy: &Policy) {
    remove_named_by_connection(headers);
    remove_where(headers, |name| {
        is_of_the_connection(name.as_str())
            || name.as_str().starts_with("privet-")
            || matches!(name.as_str(), "host" | "content-length" | "expect" | "proxy-authorization")
            || policy.of(name) == Treatment::Drop
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

/// Asks for the whole of what is asked for.
pub(super) fn drop_ranges(headers: &mut HeaderMap) {
    remove_all(headers, &[header::RANGE, header::IF_RANGE]);
}

/// Makes a reply's headers fit for the client.
pub(super) fn clean_reply(headers: &mut HeaderMap) {
    remove_named_by_connection(headers);
    // What Privet says is Privet's to say.
    remove_where(headers, |name| is_of_the_connection(name.as_str()) || name.as_str().starts_with("privet-"));
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

/// Of many names few are there: to look through those costs less than to look
/// for each.
fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    remove_where(headers, |name| names.contains(name));
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
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
            ("x-vercel-ip-city", "Essen"),
            ("cf-ipcity", "Essen"),
            ("x-appengine-city", "essen"),
            ("x-amzn-oidc-identity", "ana"),
            ("cf-access-authenticated-user-email", "ana@example.com"),
            ("remote-user", "ana"),
            ("x-auth-request-email", "ana@example.com"),
            ("privet-consent", "support"),
            ("privet-subject", "u1"),
            ("authorization", "Bearer k"),
            ("accept-encoding", "gzip, br"),
            ("content-type", "application/json"),
        ]);
        clean_request(&mut sent, &Policy::new(&Headers::default()));
        let mut left: Vec<_> = sent.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        left.sort_unstable();
        let want =
            [("accept-encoding", "identity"), ("authorization", "Bearer k"), ("content-type", "application/json")];
        assert_eq!(left, want);
    }

    #[test]
    fn the_more_exact_pattern_holds_and_of_two_alike_the_configured() {
        let name = |text: &'static str| HeaderPattern::Name(HeaderName::from_static(text));
        let beginning = |text: &str| HeaderPattern::Beginning(text.to_owned());
        let policy = Policy::new(&Headers {
            drop: vec![beginning("x-internal-"), name("cookie"), beginning("x-forwarded-p")],
            scan: vec![name("referer"), beginning("accept-")],
            keep: vec![beginning("x-"), name("x-internal-id"), HeaderPattern::Ending("-proto".to_owned())],
        });
        for (name, want) in [
            ("x-internal-note", Treatment::Drop),
            ("x-internal-id", Treatment::Keep),
            ("cookie", Treatment::Drop),
            ("referer", Treatment::Scan),
            ("accept-language", Treatment::Scan),
            ("accept", Treatment::Keep),
            ("x-mail", Treatment::Keep),
            ("x-forwarded-for", Treatment::Drop),
            ("x-forwarded-proto", Treatment::Drop),
            ("cf-proto", Treatment::Keep),
            ("x-client-ip", Treatment::Drop),
            ("authorization", Treatment::Keep),
            ("via", Treatment::Drop),
            ("user-agent", Treatment::Scan),
        ] {
            assert_eq!(policy.of(&HeaderName::from_static(name)), want, "{name}");
        }
        let nothing = Policy::new(&Headers { drop: vec![beginning("")], ..Headers::default() });
        assert_eq!(nothing.of(&header::COOKIE), Treatment::Drop);
        assert_eq!(nothing.of(&header::AUTHORIZATION), Treatment::Keep);
    }
}
