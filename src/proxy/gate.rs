//! The consent of a request: taken from its headers, or from its address where
//! a browser cannot set headers, and held against the route's purpose.

use super::error::ProxyError;
use super::{Gateway, Route};
use crate::config::WithoutConsent;
use crate::consent::{self, Decision};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri, header};
use percent_encoding::percent_decode_str;

/// The headers that may stand in the query instead.
const IN_QUERY: [&str; 4] = ["privet-consent", "privet-consent-token", "privet-subject", "privet-conversation"];

const CONSENT: HeaderName = HeaderName::from_static("privet-consent");
const GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// What the request says of consent.
pub(super) struct Presented {
    header: Option<String>,
    gpc: bool,
}

impl Presented {
    /// Takes the consent out of the request; parameters of Privet's own in the
    /// query become headers, and do not travel on.
    pub(super) fn take(head: &mut Parts) -> Result<Self, ProxyError> {
        // A name may be percent-encoded, and an upstream would read it all the same.
        if head.uri.query().is_some_and(|query| query.contains("privet-") || query.contains('%')) {
            move_query_to_headers(head)?;
        }
        let mut header: Option<String> = None;
        for value in head.headers.get_all(CONSENT) {
            // What is no text does not parse, and so counts as absent.
            let value = value.to_str().unwrap_or("?");
            header = Some(header.map_or_else(|| value.to_owned(), |before| format!("{before}, {value}")));
        }
        // One line that objects is enough.
        let gpc = head.headers.get_all(GPC).iter().any(|value| value.as_bytes() == b"1");
        Ok(Self { header, gpc })
    }
}

/// Whether the route's purpose may be served in full (true), or with
/// everything removed beyond recovery (false). Else the request is refused.
pub(super) fn decide(presented: &Presented, route: &Route, gateway: &Gateway) -> Result<bool, ProxyError> {
    let presented = consent::Presented { consent: presented.header.as_deref(), gpc: presented.gpc };
    match consent::decide(&presented, &route.purpose, &gateway.config.consent) {
        Decision::Given => Ok(true),
        Decision::Missing(refusal) => {
            route.denied.inc();
            match route.without_consent {
                WithoutConsent::Anonymize => Ok(false),
                WithoutConsent::Block => Err(ProxyError::consent(refusal)),
            }
        }
    }
}

fn move_query_to_headers(head: &mut Parts) -> Result<(), ProxyError> {
    let mut kept = Vec::new();
    let mut moved = Vec::new();
    for pair in head.uri.query().unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name);
        let Some(header) = IN_QUERY.into_iter().find(|header| name.clone().eq(header.bytes())) else {
            kept.push(pair);
            continue;
        };
        let value = percent_decode_str(&value.replace('+', " ")).decode_utf8().ok().map(String::from);
        let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
        let value = value
            .ok_or_else(|| ProxyError::bad_header(format!("The query parameter `{header}` is no header value.")))?;
        moved.push((HeaderName::from_static(header), value));
    }
    if moved.is_empty() {
        return Ok(());
    }
    // What a header says outweighs the address. A parameter that is repeated is
    // as a header that is.
    moved.retain(|(name, _)| !head.headers.contains_key(name));
    for (name, value) in moved {
        head.headers.append(name, value);
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    let path: PathAndQuery = format!("{}{query}", head.uri.path()).parse().map_err(|_| ProxyError::bad_address())?;
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.path_and_query = Some(path);
    head.uri = Uri::from_parts(parts).map_err(|_| ProxyError::bad_address())?;
    // A referrer may repeat the address.
    head.headers.remove(header::REFERER);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn taken(uri: &str, headers: &[(&str, &str)]) -> (Presented, Parts) {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        (Presented::take(&mut head).unwrap(), head)
    }

    #[test]
    fn header_lines_are_one_value() {
        let (presented, _) = taken("/", &[("privet-consent", "support"), ("privet-consent", "marketing=?0")]);
        assert_eq!(presented.header.as_deref(), Some("support, marketing=?0"));
        assert!(!presented.gpc);
        assert!(taken("/", &[("sec-gpc", "1")]).0.gpc);
    }

    #[test]
    fn the_query_may_stand_in_for_headers_and_does_not_travel() {
        let (presented, head) = taken("/v1/events?a=1&privet-consent=support%2C%20x%3D%3F0&privet-subject=u1&b=2", &[]);
        assert_eq!(presented.header.as_deref(), Some("support, x=?0"));
        assert_eq!(head.headers["privet-subject"], "u1");
        assert_eq!(head.uri, "/v1/events?a=1&b=2");
        assert_eq!(taken("/v1?privet-consent=support", &[]).1.uri, "/v1");
        let (presented, head) = taken("/v1?%70rivet%2Dconsent=support&a=%20&privet%2dsubject=u1", &[]);
        assert_eq!(presented.header.as_deref(), Some("support"));
        assert_eq!(head.uri, "/v1?a=%20");
        assert_eq!(taken("/v1?a=%20&&b", &[]).1.uri, "/v1?a=%20&&b");
    }

    #[test]
    fn a_parameter_that_is_repeated_is_as_a_header_that_is() {
        let twice = "/v1?privet-consent=support&privet-consent=support%3D%3F0&privet-subject=a&privet-subject=b";
        let (presented, head) = taken(twice, &[]);
        assert_eq!(presented.header.as_deref(), Some("support, support=?0"));
        assert_eq!(head.headers.get_all("privet-subject").iter().count(), 2);
        let (presented, head) = taken(twice, &[("privet-consent", "support"), ("privet-subject", "c")]);
        assert_eq!(presented.header.as_deref(), Some("support"));
        assert_eq!(head.headers.get_all("privet-subject").iter().collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn one_line_that_objects_is_enough() {
        assert!(taken("/", &[("sec-gpc", "0"), ("sec-gpc", "1")]).0.gpc);
        assert!(!taken("/", &[("sec-gpc", "0")]).0.gpc);
    }
}
