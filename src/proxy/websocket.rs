//! WebSocket (RFC 6455) in both directions. The handshake is an exchange like
//! any other, up to the chatbot's answer; then messages go both ways, each of
//! them looked through like a body or restored like a reply.
//!
//! Privet is an end of both connections and no mere tunnel: fragments are
//! joined, pings are answered, and no extension is spoken.

mod close;
mod conversation;
mod handshake;
mod tunnel;

pub(super) use conversation::{Consent, Conversation};
pub(super) use handshake::Handshake;

use super::error::ProxyError;
use super::exchange::REDACTED;
use super::headers;
use super::redact::Counts;
use super::reply::{ReplyBody, Settle};
use crate::server::Sequel;
use bytes::Bytes;
use close::Ending;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tunnel::Tunnel;

/// Asks the chatbot for the WebSocket that a client has asked for. What it
/// answers instead goes back as a reply like any other.
pub(super) async fn open(
    handshake: Handshake,
    mut head: Parts,
    conversation: Conversation,
    counts: &Counts,
    settle: &mut Settle,
) -> Result<Response<ReplyBody>, ProxyError> {
    let asked = Handshake::ask(&mut head)?;
    let gone = ProxyError::withdrawn(&conversation.route.purpose, &conversation.gateway.config.consent);
    let mut reply = tokio::select! {
        biased;
        () = conversation.withdrawn.cancelled() => return Ok(refuse(handshake, &gone, settle)),
        reply = conversation.route.upstream.send(Request::from_parts(head, Full::new(Bytes::new()))) => reply?,
    };
    settle.outcome(conversation.outcome());
    let mut response = if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
        if !handshake.is_answered(&asked, reply.headers()) {
            return Err(ProxyError::upstream_handshake());
        }
        let upstream = hyper::upgrade::on(&mut reply);
        let mut response = Response::from_parts(reply.into_parts().0, ReplyBody::whole(Bytes::new()));
        headers::clean_reply(response.headers_mut());
        conversation.restore_headers(response.headers_mut()).await?;
        handshake.accept(response.headers_mut());
        let tunnel = Tunnel { client: handshake.upgrade, upstream, conversation, settle: settle.hand_over() };
        response.extensions_mut().insert(Sequel::new(|shutdown| tunnel.run(shutdown)));
        response
    } else {
        let response = tokio::select! {
            biased;
            () = conversation.withdrawn.cancelled() => return Ok(refuse(handshake, &gone, settle)),
            response = conversation.reply(reply) => response?,
        };
        match conversation.into_registered() {
            Some(registered) => response.map(|body| body.until(registered)),
            None => response,
        }
    };
    if !counts.is_empty()
        && let Ok(value) = HeaderValue::from_str(&counts.to_header())
    {
        response.headers_mut().insert(REDACTED, value);
    }
    Ok(response)
}

/// Switches a client over only to tell it why it is refused: a browser shows
/// its page nothing of an answer that does not switch. The chatbot is not asked.
pub(super) fn refuse(handshake: Handshake, refusal: &ProxyError, settle: &mut Settle) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    handshake.accept_alone(response.headers_mut());
    settle.refused(refusal.outcome, refusal.problem.kind);
    let (settle, ending) = (settle.hand_over(), Ending::refused(refusal));
    let sequel = Sequel::new(move |_| tunnel::close_at_once(handshake.upgrade, ending, settle));
    response.extensions_mut().insert(sequel);
    response
}
