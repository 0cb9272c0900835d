//! Why an exchange ended before its reply, and what the client is told.

use super::reply::ReplyBody;
use crate::audit::Refused;
use crate::config::{ConsentConfig, Purpose};
use crate::consent::{Refusal, RefusalKind};
use crate::entity::Entity;
use crate::ledger::LedgerError;
use crate::problem::{MEDIA_TYPE, Problem, ProblemKind as Kind};
use crate::telemetry::Outcome;
use crate::vault::VaultError;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use std::borrow::Cow;
use std::time::Duration;

/// One cause of refusal. It holds nothing of the request.
#[derive(Debug)]
pub(super) struct ProxyError {
    pub(super) problem: Problem,
    pub(super) outcome: Outcome,
    /// Of the answer, besides those that every problem has.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl ProxyError {
    fn new(kind: Kind, outcome: Outcome, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { problem: Problem::new(kind, detail), outcome, header: None }
    }

    /// With this header in the answer.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    pub(super) fn bad_header(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadHeader, Outcome::RefusedInput, detail)
    }

    pub(super) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadRequest, Outcome::RefusedInput, detail)
    }

    pub(super) fn bad_address() -> Self {
        Self::bad_request("The path of the request cannot be joined to the upstream's address.")
    }

    pub(super) fn undecodable_address() -> Self {
        Self::bad_request("The address of the request is not UTF-8 where its percent-encoding is undone.")
    }

    pub(super) fn undecodable_header(name: &HeaderName) -> Self {
        Self::bad_header(format!(
            "The value of the header `{name}` is not UTF-8. To let it pass uninspected, name it in `keep` under [headers]."
        ))
    }

    pub(super) fn origin_refused() -> Self {
        let detail = "The page's origin (`Origin`) is not among `origins` under [cors].";
        Self::new(Kind::OriginRefused, Outcome::RefusedInput, detail)
    }

    pub(super) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, Outcome::RefusedInput, detail)
    }

    pub(super) fn slow_body() -> Self {
        Self::bad_request("The body of the request did not arrive in time.")
    }

    pub(super) fn broken_body() -> Self {
        Self::bad_request("The body of the request broke off.")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let detail = format!("The body has more than {limit} bytes, the limit `limits.request_body` of this gateway.");
        Self::new(Kind::TooLarge, Outcome::RefusedInput, detail)
    }

    /// Of a body for Privet itself.
    pub(super) fn own_too_large(limit: usize) -> Self {
        Self::new(Kind::TooLarge, Outcome::RefusedInput, format!("The body has more than {limit} bytes."))
    }

    pub(super) fn bomb(ratio: u64) -> Self {
        let detail = format!(
            "The body grows to more than {ratio} times its size when it is decoded, the limit `limits.decode_ratio` of this gateway."
        );
        Self::new(Kind::TooLarge, Outcome::RefusedInput, detail)
    }

    pub(super) fn unwritable_charset() -> Self {
        let detail = "What stands in for personal data cannot be written in the charset of the body; send it as UTF-8.";
        Self::new(Kind::UnsupportedBody, Outcome::RefusedInput, detail)
    }

    /// `why` says what is wrong; how to allow it is added.
    pub(super) fn unsupported_body(why: &str) -> Self {
        let detail = format!("{why} To let such bodies pass uninspected, set `binary = \"pass\"` on the route.");
        Self::new(Kind::UnsupportedBody, Outcome::RefusedInput, detail)
    }

    /// `member` is its place, in a form that may be shown.
    pub(super) fn unknown_member(member: &str) -> Self {
        let detail = format!(
            "The protocol of this route has no member `{member}`, and the route takes no other (`strict = true`). \
             Leave it out, or name it in a protocol file."
        );
        Self::new(Kind::UnsupportedBody, Outcome::RefusedInput, detail)
    }

    pub(super) fn blocked(entity: Entity) -> Self {
        let detail =
            format!("The message holds data that this service does not accept: {entity}. Nothing was forwarded.");
        Self::new(Kind::Blocked, Outcome::RefusedInput, detail)
    }

    /// The person has asked for it (GDPR Article 18).
    pub(super) fn restricted() -> Self {
        let detail = "The processing of this person's data is restricted. Nothing was forwarded.";
        Self::new(Kind::Restricted, Outcome::RefusedConsent, detail)
    }

    /// `advice` says how consent that is missing can be given.
    pub(super) fn consent(refusal: Refusal, advice: &'static str) -> Self {
        let kind = match refusal.kind {
            RefusalKind::Required => Kind::ConsentRequired,
            RefusalKind::Stale => Kind::ConsentStale,
        };
        let detail = match refusal.kind {
            RefusalKind::Required => advice,
            RefusalKind::Stale => "The consent was given under another version of the notice: show the current one.",
        };
        let problem = Problem::new(kind, detail).with_consent(refusal.missing, refusal.notice);
        Self { problem, outcome: Outcome::RefusedConsent, header: None }
    }

    /// The consent was withdrawn while the chatbot was at work.
    pub(super) fn withdrawn(purpose: &Purpose, config: &ConsentConfig) -> Self {
        let refusal = Refusal::of(RefusalKind::Required, purpose, config);
        let detail = "The consent was withdrawn before the chatbot had answered.";
        let problem = Problem::new(Kind::ConsentRequired, detail).with_consent(refusal.missing, refusal.notice);
        Self { problem, outcome: Outcome::RefusedConsent, header: None }
    }

    pub(super) fn no_memory_for_bodies() -> Self {
        let detail = "The bodies of all requests in flight fill `limits.bodies_in_flight`; try again.";
        Self::new(Kind::Overloaded, Outcome::RefusedOverload, detail)
    }

    pub(super) fn too_many_requests() -> Self {
        let detail = "As many requests as `limits.in_flight` allows are being served; try again.";
        Self::new(Kind::Overloaded, Outcome::RefusedOverload, detail)
    }

    /// The client has to `wait` before it may ask again.
    pub(super) fn rate_limited(wait: Duration) -> Self {
        let detail = "This address has sent as many requests as `limits.client_requests` allows in a minute.";
        let seconds = HeaderValue::from(wait.as_secs() + 1);
        Self::new(Kind::RateLimited, Outcome::RefusedOverload, detail).with_header(header::RETRY_AFTER, seconds)
    }

    pub(super) fn upstream_unreachable() -> Self {
        Self::new(Kind::UpstreamFailed, Outcome::UpstreamFailed, "The chatbot could not be reached.")
    }

    pub(super) fn upstream_broke_off() -> Self {
        Self::new(Kind::UpstreamFailed, Outcome::UpstreamFailed, "The chatbot broke the connection off.")
    }

    pub(super) fn upstream_handshake() -> Self {
        let detail = "The chatbot's answer to the handshake of a WebSocket does not hold (RFC 6455, section 4.1).";
        Self::new(Kind::UpstreamFailed, Outcome::UpstreamFailed, detail)
    }

    pub(super) fn message_too_large(limit: usize) -> Self {
        let detail = format!("The message has more than {limit} bytes, the limit `limits.socket_message`.");
        Self::new(Kind::TooLarge, Outcome::RefusedInput, detail)
    }

    pub(super) fn undecodable_reply() -> Self {
        let detail = "The chatbot's reply cannot be decoded: its Content-Encoding or charset is unknown or does not hold, or it grows beyond `limits.decode_ratio`.";
        Self::new(Kind::UpstreamFailed, Outcome::UpstreamFailed, detail)
    }

    pub(super) fn reply_too_large(limit: usize) -> Self {
        let detail = format!("The chatbot's reply has more than {limit} bytes, the limit `limits.reply_body`.");
        Self::new(Kind::UpstreamFailed, Outcome::UpstreamFailed, detail)
    }

    pub(super) fn upstream_timeout() -> Self {
        Self::new(Kind::UpstreamTimeout, Outcome::UpstreamFailed, "The chatbot did not answer in time.")
    }

    pub(super) fn internal() -> Self {
        Self::new(Kind::InternalError, Outcome::InternalError, "The gateway failed; nothing was forwarded.")
    }
}

impl ProxyError {
    /// The vault failed once the chatbot had answered.
    pub(super) fn unrestorable(error: &VaultError) -> Self {
        tracing::error!(%error, "The vault failed before a reply was restored.");
        let detail = "The vault cannot be read, so the chatbot's reply cannot be restored. The request was forwarded.";
        Self::new(Kind::VaultUnavailable, Outcome::VaultFailed, detail)
    }

    /// The access log failed once the chatbot had answered: what it does not
    /// tell of is not shown.
    pub(super) fn unrecorded(error: &VaultError) -> Self {
        tracing::error!(%error, "The access log failed before a reply was shown.");
        let detail =
            "The access log cannot be written, so the chatbot's reply cannot be shown. The request was forwarded.";
        Self::new(Kind::VaultUnavailable, Outcome::VaultFailed, detail)
    }

    /// The problem as the client gets it.
    pub(super) fn into_response(self, request_id: &str) -> Response<ReplyBody> {
        let problem = self.problem.with_request_id(request_id);
        let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = ReplyBody::with_type(status, MEDIA_TYPE, problem.to_json());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some((name, value)) = self.header.map(|header| *header) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<Refused> for ProxyError {
    /// What cannot be recorded is not done.
    fn from(refused: Refused) -> Self {
        let (kind, outcome) = match refused {
            Refused::Full => (Kind::Overloaded, Outcome::RefusedOverload),
            Refused::Down => (Kind::VaultUnavailable, Outcome::VaultFailed),
        };
        Self::new(kind, outcome, "The access log takes no more lines now, so nothing was forwarded; try again.")
    }
}

impl From<VaultError> for ProxyError {
    /// Without the vault nothing can be tokenized, so nothing is forwarded. The
    /// cause goes to the log, not to the client.
    fn from(error: VaultError) -> Self {
        tracing::error!(%error, "The vault failed.");
        let detail = "The vault cannot be reached or written, so nothing was forwarded; try again.";
        Self::new(Kind::VaultUnavailable, Outcome::VaultFailed, detail)
    }
}

impl From<LedgerError> for ProxyError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Vault(error) => error.into(),
            LedgerError::Full => {
                let detail =
                    "The record of this person's consent takes no further statement; say the same in the same words.";
                Self::new(Kind::RateLimited, Outcome::RefusedOverload, detail)
            }
        }
    }
}

impl From<Problem> for ProxyError {
    /// What the pages of Privet's own refuse.
    fn from(problem: Problem) -> Self {
        let outcome = match problem.kind {
            Kind::ConsentRequired | Kind::ConsentStale => Outcome::RefusedConsent,
            _ => Outcome::RefusedInput,
        };
        Self { problem, outcome, header: None }
    }
}
