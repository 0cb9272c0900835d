//! What a Transit engine answers, and what its failures mean.

use super::super::Key;
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// Why a key service did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransitError {
    /// No connection, or it broke off.
    #[error("the key service cannot be reached")]
    Unreachable,
    /// No answer in time.
    #[error("the key service does not answer in time")]
    Timeout,
    /// 503: it is sealed, or in maintenance.
    #[error("the key service is sealed or in maintenance (503)")]
    Sealed,
    /// 403: the token is wrong or has expired, or its policy is too narrow.
    #[error("the key service denies access (403): is the token right, and may it use the key?")]
    Denied,
    /// 404: no such engine or key.
    #[error("the key service knows no such engine or key (404)")]
    Unknown,
    /// 400: what was wrapped is not its own, or its version may not be used any more.
    #[error(
        "the key service does not open the vault's key (400): was it wrapped by another key, or is its version retired?"
    )]
    Refused,
    /// Another status.
    #[error("the key service answers with the status {0}")]
    Status(u16),
    /// The answer is not what the engine should say.
    #[error("the key service gives an answer that cannot be used")]
    Answer,
    /// There is no token, or it is none.
    #[error("there is no token for the key service")]
    NoToken,
    /// No request can be made of the settings.
    #[error("the settings of the key service cannot be used")]
    Settings,
    /// The vault's key is wrapped by a key service, and none is configured.
    #[error("the vault's key is kept by a key service: configure [transit]")]
    NotConfigured,
}

impl TransitError {
    /// Whether the same call may do better soon.
    pub(super) fn may_pass(self) -> bool {
        match self {
            Self::Unreachable | Self::Timeout | Self::Sealed => true,
            // Also 412: a node that does not know yet what another one was told.
            Self::Status(status) => status >= 500 || status == 429 || status == 412,
            _ => false,
        }
    }
}

/// A token's time to live.
pub(super) struct Lease {
    pub(super) ttl: Duration,
}

/// A JSON document, wiped when it is dropped.
pub(super) struct Answer(Value);

impl Answer {
    pub(super) fn new(status: StatusCode, body: Bytes) -> Result<Self, TransitError> {
        let read = match status.as_u16() {
            200 => serde_json::from_slice(&body).map(Self).map_err(|_| TransitError::Answer),
            400 => Err(TransitError::Refused),
            403 => Err(TransitError::Denied),
            404 => Err(TransitError::Unknown),
            503 => Err(TransitError::Sealed),
            other => Err(TransitError::Status(other)),
        };
        if let Ok(mut body) = body.try_into_mut() {
            body.zeroize();
        }
        read
    }

    /// A text below `data`.
    pub(super) fn text(&self, name: &str) -> Result<Zeroizing<String>, TransitError> {
        let text = self.0.get("data").and_then(|data| data.get(name)).and_then(Value::as_str);
        text.map(|text| Zeroizing::new(text.to_owned())).filter(|text| !text.is_empty()).ok_or(TransitError::Answer)
    }

    /// The key that was unwrapped.
    pub(super) fn key(&self) -> Result<Key, TransitError> {
        Key::from_base64(&self.text("plaintext")?).map_err(|_| TransitError::Answer)
    }

    /// How long the token lives; none where it lives for ever or cannot be
    /// renewed.
    pub(super) fn lease(&self, ttl: &str, below: &str) -> Result<Option<Lease>, TransitError> {
        let token = self.0.get(below).ok_or(TransitError::Answer)?;
        let seconds = token.get(ttl).and_then(Value::as_u64).ok_or(TransitError::Answer)?;
        let is_renewable = token.get("renewable").and_then(Value::as_bool).unwrap_or(false);
        Ok((is_renewable && seconds > 0).then(|| Lease { ttl: Duration::from_secs(seconds) }))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<Answer, TransitError> {
        Answer::new(StatusCode::from_u16(status).unwrap(), Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn an_answer_without_a_key_is_none() {
        let body = r#"{"data":{"plaintext":"q7xJ0rYhC1mWb3fE9sKdT2nPvLz8uAo5QgRi6eXyHk4="}}"#;
        answer(200, body).unwrap().key().unwrap();
        let bad = [
            "{}",
            r#"{"data":{"plaintext":""}}"#,
            r#"{"data":{"plaintext":7}}"#,
            r#"{"data":{"plaintext":"c2hvcnQ="}}"#,
            // A service that was bent must not make the vault's key one that it knows.
            r#"{"data":{"plaintext":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}"#,
        ];
        for body in bad {
            assert_eq!(answer(200, body).unwrap().key().unwrap_err(), TransitError::Answer, "{body}");
        }
        assert_eq!(answer(200, "<html>").err(), Some(TransitError::Answer));
    }

    #[test]
    fn failures_are_told_apart_and_some_may_pass() {
        let failures = [
            (400, TransitError::Refused, false),
            (403, TransitError::Denied, false),
            (404, TransitError::Unknown, false),
            (412, TransitError::Status(412), true),
            (429, TransitError::Status(429), true),
            (500, TransitError::Status(500), true),
            (503, TransitError::Sealed, true),
            (307, TransitError::Status(307), false),
        ];
        for (status, error, may_pass) in failures {
            let found = answer(status, r#"{"errors":["canary"]}"#).err().unwrap();
            assert_eq!((found, found.may_pass()), (error, may_pass), "{status}");
            assert!(!format!("{found} {found:?}").contains("canary"));
        }
    }

    #[test]
    fn a_wiped_answer_holds_nothing() {
        let mut value = serde_json::json!({ "data": { "plaintext": "canary", "list": ["canary", 7] } });
        wipe(&mut value);
        assert!(!value.to_string().contains("canary"), "{value}");
    }

    #[test]
    fn a_token_lives_for_a_time_or_for_ever() {
        let ttl = |body| answer(200, body).unwrap().lease("ttl", "data").map(|lease| lease.map(|lease| lease.ttl));
        assert_eq!(ttl(r#"{"data":{"ttl":3600,"renewable":true}}"#), Ok(Some(Duration::from_hours(1))));
        assert_eq!(ttl(r#"{"data":{"ttl":0,"renewable":false}}"#), Ok(None), "the root token");
        assert_eq!(ttl(r#"{"data":{"ttl":3600,"renewable":false}}"#), Ok(None));
        assert_eq!(ttl(r#"{"data":{}}"#), Err(TransitError::Answer));
    }
}
