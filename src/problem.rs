//! Problem documents (RFC 9457): what Privet answers in the upstream's stead,
//! and the one list of their names, statuses and titles.

use std::borrow::Cow;

use serde::Serialize;

/// The media type of a problem document (RFC 9457, section 6.1).
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! kinds {
    ($($variant:ident, $name:literal, $status:literal, $title:literal, $doc:literal;)*) => {
        /// The kind of a problem. Names, statuses and titles are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemKind {
            $(#[doc = $doc] $variant,)*
        }

        impl ProblemKind {
            /// Every kind, in the order of [`ProblemKind::index`].
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, as it stands behind `urn:privet:problem:`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status code (RFC 9110, section 15).
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// One short sentence for people, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// The `type` member, a URN.
            pub const fn urn(self) -> &'static str {
                match self { $(Self::$variant => concat!("urn:privet:problem:", $name),)* }
            }
        }
    };
}

kinds! {
    BadRequest, "bad-request", 400, "The request cannot be read.",
        "The request is no valid HTTP message of the route's protocol.";
    BadHeader, "bad-header", 400, "A Privet header cannot be read.",
        "A `Privet-` request header has a form that Privet does not take.";
    Unauthorized, "unauthorized", 401, "Log in first.",
        "An operation of the admin API needs a login.";
    Forbidden, "forbidden", 403, "Your role may not do this.",
        "An operation of the admin API needs another role.";
    Restricted, "restricted", 403, "The data of this person may not be used now.",
        "The person has asked that their data is kept and not used.";
    ConsentRequired, "consent-required", 403, "Consent is required.",
        "The purpose of the route needs a consent that was not given.";
    ConsentStale, "consent-stale", 403, "Consent was given under another notice.",
        "The consent names a version of the notice that counts no more.";
    OriginRefused, "origin-refused", 403, "This page may not use the gateway.",
        "The `Origin` of the request is none that the configuration lists.";
    NotFound, "not-found", 404, "There is nothing at this address.",
        "No page of Privet's own stands at the path.";
    MethodNotAllowed, "method-not-allowed", 405, "The method is not allowed here.",
        "A page of Privet's own does not know the method.";
    Conflict, "conflict", 409, "It cannot be done as things stand.",
        "What stands already does not go with what is asked for.";
    TooLarge, "too-large", 413, "The request is too large.",
        "A body or message is over its limit.";
    UnsupportedBody, "unsupported-body", 415, "The body cannot be inspected.",
        "A body of a type, encoding or shape that Privet cannot look into.";
    Blocked, "blocked", 422, "The request holds data that may not be sent.",
        "A rule with the operator `block` has fired.";
    RateLimited, "rate-limited", 429, "Too many requests.",
        "The client is over its limit.";
    InternalError, "internal-error", 500, "Privet failed.",
        "A fault of Privet itself; nothing more is known to the client.";
    UpstreamFailed, "upstream-failed", 502, "The chatbot cannot be reached.",
        "The upstream refused, broke off or answered what is no HTTP.";
    VaultUnavailable, "vault-unavailable", 503, "The vault cannot be used.",
        "The vault did not take or give what the request needs.";
    Overloaded, "overloaded", 503, "Privet is at its limit.",
        "Too many requests or too many bytes are in flight.";
    UpstreamTimeout, "upstream-timeout", 504, "The chatbot did not answer in time.",
        "The upstream's answer did not begin within its time.";
}

impl ProblemKind {
    /// The place of this kind in [`ProblemKind::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// One problem, ready to be answered.
///
/// `detail` is written by Privet's own code and never holds bytes of a
/// request or a reply: whoever makes a problem answers for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What went wrong; fixes type, status and title.
    pub kind: ProblemKind,
    /// What to do about this occurrence. Empty: no `detail` member.
    pub detail: Cow<'static, str>,
    /// The purposes whose consent is missing. Empty: no `missing` member.
    pub missing: Vec<String>,
    /// The address of the notice to consent to.
    pub notice: Option<String>,
    /// The id that the logs know the request by.
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem with a detail and nothing else.
    pub fn new(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), missing: Vec::new(), notice: None, request_id: None }
    }

    /// The purposes whose consent is missing, and where the notice stands.
    #[must_use]
    pub fn with_consent(mut self, missing: Vec<String>, notice: impl Into<String>) -> Self {
        self.missing = missing;
        self.notice = Some(notice.into());
        self
    }

    /// The id that the logs know the request by.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// The HTTP status code of the answer.
    pub const fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The document, of type [`MEDIA_TYPE`].
    pub fn to_json(&self) -> Vec<u8> {
        let document = Document {
            kind: self.kind.urn(),
            title: self.kind.title(),
            status: self.kind.status(),
            detail: &self.detail,
            missing: &self.missing,
            notice: self.notice.as_deref(),
            request_id: self.request_id.as_deref(),
        };
        // Strings and a number cannot fail to serialise.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    missing: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients match on these: a change here breaks them.
    #[test]
    fn names_and_statuses_are_stable() {
        let all: Vec<String> = ProblemKind::ALL.iter().map(|k| format!("{} {}", k.status(), k.urn())).collect();
        assert_eq!(
            all,
            [
                "400 urn:privet:problem:bad-request",
                "400 urn:privet:problem:bad-header",
                "401 urn:privet:problem:unauthorized",
                "403 urn:privet:problem:forbidden",
                "403 urn:privet:problem:restricted",
                "403 urn:privet:problem:consent-required",
                "403 urn:privet:problem:consent-stale",
                "403 urn:privet:problem:origin-refused",
                "404 urn:privet:problem:not-found",
                "405 urn:privet:problem:method-not-allowed",
                "409 urn:privet:problem:conflict",
                "413 urn:privet:problem:too-large",
                "415 urn:privet:problem:unsupported-body",
                "422 urn:privet:problem:blocked",
                "429 urn:privet:problem:rate-limited",
                "500 urn:privet:problem:internal-error",
                "502 urn:privet:problem:upstream-failed",
                "503 urn:privet:problem:vault-unavailable",
                "503 urn:privet:problem:overloaded",
                "504 urn:privet:problem:upstream-timeout",
            ]
        );
        for (i, kind) in ProblemKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), i);
            assert_eq!(kind.urn(), format!("urn:privet:problem:{}", kind.name()));
            assert!(kind.title().ends_with('.'));
        }
    }

    #[test]
    fn a_document_holds_every_member() {
        let problem = Problem::new(ProblemKind::ConsentRequired, "Send \"Privet-Consent\".")
            .with_consent(vec!["support".into(), "marketing".into()], "/.privet/notice")
            .with_request_id("01J");
        assert_eq!(
            String::from_utf8(problem.to_json()).unwrap(),
            concat!(
                r#"{"type":"urn:privet:problem:consent-required","title":"Consent is required.","status":403,"#,
                r#""detail":"Send \"Privet-Consent\".","missing":["support","marketing"],"#,
                r#""notice":"/.privet/notice","request_id":"01J"}"#
            )
        );
    }

    #[test]
    fn members_that_do_not_apply_are_absent() {
        assert_eq!(
            String::from_utf8(Problem::new(ProblemKind::Overloaded, "").to_json()).unwrap(),
            r#"{"type":"urn:privet:problem:overloaded","title":"Privet is at its limit.","status":503}"#
        );
    }
}
