//! How a WebSocket ends: what each side is told (RFC 6455, section 7.4), and
//! what it counts as.

use crate::problem::ProblemKind;
use crate::proxy::error::ProxyError;
use crate::telemetry::Outcome;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The most bytes of a reason (RFC 6455, section 5.5).
const LONGEST_REASON: usize = 123;

/// The end of a WebSocket.
pub(super) struct Ending {
    /// None: without a code.
    pub(super) to_client: Option<CloseFrame>,
    pub(super) to_upstream: Option<CloseFrame>,
    /// None: as it was to be.
    pub(super) outcome: Option<Outcome>,
    /// Of what was refused.
    pub(super) problem: Option<ProblemKind>,
}

impl Ending {
    /// Both sides are told the same.
    pub(super) fn told(frame: Option<CloseFrame>) -> Self {
        Self { to_client: frame.clone(), to_upstream: frame, outcome: None, problem: None }
    }

    /// The process ends.
    pub(super) fn draining() -> Self {
        Self::told(Some(close(CloseCode::Away, "")))
    }

    /// The consent on which the socket stood is gone.
    pub(super) fn withdrawn() -> Self {
        let kind = ProblemKind::ConsentRequired;
        Self { problem: Some(kind), ..Self::of_problem(CloseCode::Policy, kind, Outcome::RefusedConsent) }
    }

    /// A message, or the handshake, met this error. The client is told the type
    /// of the problem, the chatbot nothing.
    pub(super) fn refused(error: &ProxyError) -> Self {
        let kind = error.problem.kind;
        let code = match kind {
            ProblemKind::TooLarge => CloseCode::Size,
            ProblemKind::UnsupportedBody => CloseCode::Unsupported,
            ProblemKind::Overloaded | ProblemKind::RateLimited => CloseCode::Again,
            ProblemKind::InternalError
            | ProblemKind::UpstreamFailed
            | ProblemKind::UpstreamTimeout
            | ProblemKind::VaultUnavailable => CloseCode::Error,
            _ => CloseCode::Policy,
        };
        Self { problem: Some(kind), ..Self::of_problem(code, kind, error.outcome) }
    }

    /// The client cannot be read any more.
    pub(super) fn client_failed(error: &Error, limit: usize) -> Self {
        let to_upstream = Some(close(CloseCode::Away, ""));
        match fault(error) {
            Some(CloseCode::Size) => Self::refused(&ProxyError::message_too_large(limit)),
            Some(code) => {
                let outcome = Some(Outcome::RefusedInput);
                Self { to_client: Some(close(code, "")), to_upstream, outcome, problem: Some(ProblemKind::BadRequest) }
            }
            None => Self { to_client: None, to_upstream, outcome: Some(Outcome::ClientGone), problem: None },
        }
    }

    /// The chatbot cannot be read any more.
    pub(super) fn upstream_failed(error: &Error) -> Self {
        let to_upstream = fault(error).map(|code| close(code, ""));
        Self { to_upstream, ..Self::of_problem(CloseCode::Error, ProblemKind::UpstreamFailed, Outcome::UpstreamFailed) }
    }

    /// A side takes nothing, or gives no sign of life.
    pub(super) fn client_silent() -> Self {
        Self { outcome: Some(Outcome::ClientGone), ..Self::draining() }
    }

    pub(super) fn upstream_silent() -> Self {
        Self::of_problem(CloseCode::Error, ProblemKind::UpstreamTimeout, Outcome::UpstreamFailed)
    }

    fn of_problem(code: CloseCode, kind: ProblemKind, outcome: Outcome) -> Self {
        let (to_client, to_upstream) = (Some(close(code, kind.urn())), Some(close(CloseCode::Away, "")));
        Self { to_client, to_upstream, outcome: Some(outcome), problem: None }
    }
}

/// A reason of as many bytes as there may be.
pub(super) fn reason(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_REASON);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn close(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame { code, reason: reason.into() }
}

/// What the other side did wrong; none where it is simply gone.
fn fault(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Capacity(_) => Some(CloseCode::Size),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(reason("done"), "done");
        assert_eq!(reason(&"x".repeat(200)).len(), 123);
        assert_eq!(reason(&"é".repeat(100)).len(), 122);
    }

    #[test]
    fn every_problem_has_a_code_that_may_be_sent_and_fits() {
        for kind in ProblemKind::ALL {
            assert!(reason(kind.urn()) == kind.urn(), "{kind:?}");
        }
        let too_large = Ending::refused(&ProxyError::message_too_large(1)).to_client.unwrap();
        assert_eq!(u16::from(too_large.code), 1009);
        assert_eq!(too_large.reason.as_str(), "urn:privet:problem:too-large");
    }
}
