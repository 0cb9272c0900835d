//! Cross-origin requests (the Fetch standard's CORS protocol): a chat widget on
//! the company's site calls the gateway on another origin.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Uri};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const EXPOSED: HeaderValue = HeaderValue::from_static("Privet-Redacted, Privet-Request-Id");
const PRIVET_HEADERS: &str = "Privet-Consent, Privet-Consent-Token, Privet-Subject, Privet-Conversation";
/// Where a person sees what is kept.
const ME: &str = "/.privet/me";
/// Two hours, the longest that browsers keep it.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// What is answered to pages of other origins.
pub(super) struct Cors {
    origins: Vec<HeaderValue>,
    /// That of the gateway itself: browsers send it with requests of its own
    /// pages, such as the one of a person.
    own: Option<HeaderValue>,
}

impl Cors {
    pub(super) fn new(origins: &[String], public_url: Option<&Uri>) -> Self {
        let origins = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
        let own = public_url.and_then(|url| {
            let origin = format!("{}://{}", url.scheme_str()?, url.authority()?.as_str().to_ascii_lowercase());
            origin.parse().ok()
        });
        Self { origins, own }
    }

    /// The headers of the answer to a preflight, besides those of every answer;
    /// none where this is no preflight, or where the upstream is to answer it.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<HeaderMap> {
        let asked = is_preflight(method, headers) && !self.origins.is_empty();
        asked.then(|| {
            let mut answer = HeaderMap::new();
            if headers.get(header::ORIGIN).is_some_and(|origin| self.origins.contains(origin)) {
                answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
                answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(headers));
                answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            }
            answer
        })
    }

    /// Whether a request comes from a page that may not use the gateway. No
    /// browser asks before a simple request or the handshake of a WebSocket, so
    /// that keeping the answer from the page would come too late.
    pub(super) fn refuses(&self, address: &Uri, headers: &HeaderMap) -> bool {
        let is_listed = |origin: &HeaderValue| {
            self.origins.contains(origin)
                || self.own.as_ref() == Some(origin)
                || self.is_of_own_page(origin, address, headers)
        };
        !self.origins.is_empty() && !headers.get_all(header::ORIGIN).iter().all(is_listed)
    }

    /// Whether the page of a person asks the gateway that it came from. Where
    /// nobody has said by which name that is reached, it is the one that the
    /// client names; whatever that is, nothing opens there without a proof of
    /// who asks.
    fn is_of_own_page(&self, origin: &HeaderValue, address: &Uri, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = address.authority().map(http::uri::Authority::as_str).or(host);
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        self.own.is_none()
            && address.path().starts_with(ME)
            && origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
    }

    /// Lets the page read the answer, problems too, if its origin is allowed;
    /// what the upstream allows does not count. Without origins of its own
    /// Privet leaves that to the upstream.
    pub(super) fn allow(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        answer.append(header::VARY, HeaderValue::from_static("origin"));
        answer.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        answer.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        let Some(origin) = origin.filter(|origin| self.origins.contains(origin)) else { return };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Whether a browser asks for leave; such a request carries no data of a person.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(HeaderName::from_static("access-control-request-method"))
}

fn allowed_headers(asked: &HeaderMap) -> HeaderValue {
    let asked = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|names| names.to_str().ok());
    let all = match asked {
        Some(names) if !names.is_empty() => format!("{names}, {PRIVET_HEADERS}"),
        _ => format!("content-type, authorization, {PRIVET_HEADERS}"),
    };
    all.parse().unwrap_or(HeaderValue::from_static(PRIVET_HEADERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preflight_from(origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"));
        headers
    }

    #[test]
    fn a_listed_origin_is_allowed_and_no_other() {
        let cors = Cors::new(&["https://shop.example".to_owned()], None);
        let answer = cors.preflight(&Method::OPTIONS, &preflight_from("https://shop.example")).unwrap();
        assert!(answer[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap().contains("Privet-Consent"));
        let other = cors.preflight(&Method::OPTIONS, &preflight_from("https://evil.example")).unwrap();
        assert!(other.is_empty());
        assert!(cors.preflight(&Method::POST, &preflight_from("https://shop.example")).is_none());
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let headers = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(header::ORIGIN, HeaderValue::from_static(origin));
            }
            headers
        };
        let cors = Cors::new(&["https://shop.example".to_owned()], None);
        for (origins, refused) in [
            (&[][..], false),
            (&["https://shop.example"], false),
            (&["https://evil.example"], true),
            (&["null"], true),
            (&["https://shop.example.evil.example"], true),
            (&["https://shop.example", "https://evil.example"], true),
        ] {
            assert_eq!(cors.refuses(&Uri::from_static("/"), &headers(origins)), refused, "{origins:?}");
        }
        assert!(!Cors::new(&[], None).refuses(&Uri::from_static("/"), &headers(&["https://evil.example"])));
    }

    #[test]
    fn the_own_page_of_the_gateway_may_use_it() {
        let own = "https://Chat.shop.example/chat".parse().unwrap();
        let cors = Cors::new(&["https://shop.example".to_owned()], Some(&own));
        for (origin, refused) in [("https://chat.shop.example", false), ("http://chat.shop.example", true)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(cors.refuses(&Uri::from_static("/"), &headers), refused, "{origin}");
        }
    }

    #[test]
    fn the_page_of_a_person_may_ask_where_it_came_from() {
        let shop = ["https://shop.example".to_owned()];
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://chat.example:8443"));
        headers.insert(header::HOST, HeaderValue::from_static("Chat.example:8443"));
        let cors = Cors::new(&shop, None);
        for (path, refused) in [("/.privet/me/code", false), ("/.privet/consent", true), ("/v1/chat", true)] {
            assert_eq!(cors.refuses(&Uri::from_static(path), &headers), refused, "{path}");
        }
        let named = "https://other.example".parse().unwrap();
        assert!(Cors::new(&shop, Some(&named)).refuses(&Uri::from_static("/.privet/me/code"), &headers));
        headers.insert(header::HOST, HeaderValue::from_static("other.example:8443"));
        assert!(cors.refuses(&Uri::from_static("/.privet/me/code"), &headers));
    }

    #[test]
    fn what_the_upstream_allows_does_not_count() {
        let cors = Cors::new(&["https://shop.example".to_owned()], None);
        for (origin, allowed) in
            [("https://shop.example", Some("https://shop.example")), ("https://evil.example", None)]
        {
            let mut answer = HeaderMap::new();
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://evil.example"));
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            cors.allow(Some(&HeaderValue::from_static(origin)), &mut answer);
            let says = |name| answer.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(says(header::ACCESS_CONTROL_ALLOW_ORIGIN), allowed);
            assert_eq!(says(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), allowed.map(|_| "true"));
        }
    }

    #[test]
    fn without_origins_the_upstream_answers() {
        let cors = Cors::new(&[], None);
        assert!(cors.preflight(&Method::OPTIONS, &preflight_from("https://shop.example")).is_none());
        let mut answer = HeaderMap::new();
        cors.allow(Some(&HeaderValue::from_static("https://shop.example")), &mut answer);
        assert!(answer.is_empty());
    }
}
