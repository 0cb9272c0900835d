//! The paths of Privet's own on the data listener, for the chat widget. They
//! are never forwarded.

use super::Gateway;
use super::error::ProxyError;
use super::reply::ReplyBody;
use crate::config::plain_path;
use http::{Method, Response, StatusCode};
use serde_json::json;

const PREFIX: &str = "/.privet";
const NOTICE: &str = "/.privet/notice";

/// Whether the path is Privet's own: as it is written, or as an upstream that
/// resolves dot segments would read it.
pub(super) fn is_own(path: &str) -> bool {
    let below = |path: &str| path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below(path) || below(&plain_path(path))
}

/// Answers a request to a path of Privet's own.
pub(super) fn answer(gateway: &Gateway, method: &Method, path: &str) -> Result<Response<ReplyBody>, ProxyError> {
    match (method, path) {
        (&Method::GET | &Method::HEAD, NOTICE) => Ok(notice(gateway)),
        _ => Err(ProxyError::not_found("Privet has nothing at this path.")),
    }
}

/// What a person is asked to agree to, for a page to show.
fn notice(gateway: &Gateway) -> Response<ReplyBody> {
    let consent = &gateway.config.consent;
    let purposes: Vec<_> =
        gateway.config.purposes.iter().map(|p| json!({"name": p.name, "basis": p.basis.as_str()})).collect();
    let mut notice = json!({"policy": consent.policy, "purposes": purposes});
    if consent.notice_url != NOTICE
        && let Some(members) = notice.as_object_mut()
    {
        members.insert("notice_url".to_owned(), json!(consent.notice_url));
    }
    ReplyBody::with_type(StatusCode::OK, "application/json", notice.to_string())
}
