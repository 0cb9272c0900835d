//! The paths of Privet's own on the data listener, for the chat widget. They
//! are never forwarded.

use super::Gateway;
use super::error::ProxyError;
use super::gate::Presented;
use super::reply::{ReplyBody, ReplyError};
use super::subject::Named;
use crate::config::plain_path;
use crate::problem::{Problem, ProblemKind};
use crate::widget::{self, Asked, Refused, me};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::time::timeout;

const PREFIX: &str = "/.privet";

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// Whether the path is Privet's own: as it is written, or as an upstream that
/// resolves dot segments would read it.
pub(super) fn is_own(path: &str) -> bool {
    let below = |path: &str| path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below(path) || below(&plain_path(path))
}

/// Answers a request to a path of Privet's own.
pub(super) async fn answer(
    gateway: &Arc<Gateway>,
    request: Request<Incoming>,
    request_id: &str,
) -> Result<Response<ReplyBody>, ProxyError> {
    let (head, body) = request.into_parts();
    let body = read(body, gateway).await?;
    // What stands in the address does not count here: a page that cannot set
    // headers must not speak for the person.
    let presented = Presented::of_headers(&head, gateway).await;
    let config = &gateway.config;
    let token = presented.token.as_deref();
    let named = Named::by(&head.headers, token, config.consent.require_signed)?;
    let asked = Asked {
        method: &head.method,
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        subject: gateway.subjects.in_head(&named, &head, token),
        header: presented.header.as_deref(),
        token,
        gpc: presented.gpc,
        request_id,
        body,
    };
    let answered = if me::is_below(asked.path) {
        let answered = me::answer(config, &gateway.ledger, &gateway.rights, &gateway.audit, &asked).await;
        answered.map(|answer| answer.map(body_of))
    } else {
        widget::answer(config, &gateway.ledger, &asked).await.map(|answer| answer.map(ReplyBody::whole))
    };
    match answered {
        Ok(answer) => Ok(answer),
        Err(Refused::Problem(problem)) => Err((*problem).into()),
        Err(Refused::Method(allowed)) => {
            let problem = Problem::new(ProblemKind::MethodNotAllowed, "");
            let allowed = HeaderValue::from_static(allowed);
            Err(ProxyError::from(problem).with_header(header::ALLOW, allowed))
        }
        Err(Refused::Ledger(error)) => Err(error.into()),
    }
}

fn body_of(body: me::Body) -> ReplyBody {
    match body {
        me::Body::Whole(bytes) => ReplyBody::whole(bytes),
        me::Body::Export(export) => ReplyBody::restored(stream::unfold(Some(export), |export| async move {
            let mut export = export?;
            match export.next().await {
                Ok(piece) => piece.map(|piece| (Ok(piece), Some(export))),
                Err(_) => Some((Err(ReplyError::Vault), None)),
            }
        })),
    }
}

async fn read(body: Incoming, gateway: &Gateway) -> Result<Bytes, ProxyError> {
    match timeout(gateway.config.timeouts.body, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ProxyError::own_too_large(MAX_BODY)),
        Ok(Err(_)) => Err(ProxyError::broken_body()),
        Err(_) => Err(ProxyError::slow_body()),
    }
}
