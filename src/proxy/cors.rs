//! Cross-origin requests (the Fetch standard's CORS protocol): a chat widget on
//! the company's site calls the gateway on another origin.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const EXPOSED: HeaderValue = HeaderValue::from_static("Privet-Redacted, Privet-Request-Id");
const PRIVET_HEADERS: &str = "Privet-Consent, Privet-Consent-Token, Privet-Subject, Privet-Conversation";
/// Two hours, the longest that browsers keep it.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// What is answered to pages of other origins.
pub(super) struct Cors {
    origins: Vec<HeaderValue>,
}

impl Cors {
    pub(super) fn new(origins: &[String]) -> Self {
        Self { origins: origins.iter().filter_map(|origin| origin.parse().ok()).collect() }
    }

    /// The headers of the answer to a preflight; none where this is no
    /// preflight, or where the upstream is to answer it.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<HeaderMap> {
        let asked = is_preflight(method, headers) && !self.origins.is_empty();
        asked.then(|| {
            let mut answer = HeaderMap::new();
            if self.allow(headers.get(header::ORIGIN), &mut answer) {
                answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
                answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(headers));
                answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            }
            answer
        })
    }

    /// Lets the page read the answer, problems too. True where its origin is allowed.
    pub(super) fn allow(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) -> bool {
        if self.origins.is_empty() {
            return false;
        }
        answer.append(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin.filter(|origin| self.origins.contains(origin)) else { return false };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        true
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
        let cors = Cors::new(&["https://shop.example".to_owned()]);
        let answer = cors.preflight(&Method::OPTIONS, &preflight_from("https://shop.example")).unwrap();
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
        assert!(answer[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap().contains("Privet-Consent"));
        let other = cors.preflight(&Method::OPTIONS, &preflight_from("https://evil.example")).unwrap();
        assert!(!other.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        assert!(cors.preflight(&Method::POST, &preflight_from("https://shop.example")).is_none());
    }

    #[test]
    fn without_origins_the_upstream_answers() {
        let cors = Cors::new(&[]);
        assert!(cors.preflight(&Method::OPTIONS, &preflight_from("https://shop.example")).is_none());
        let mut answer = HeaderMap::new();
        assert!(!cors.allow(Some(&HeaderValue::from_static("https://shop.example")), &mut answer));
        assert!(answer.is_empty());
    }
}
