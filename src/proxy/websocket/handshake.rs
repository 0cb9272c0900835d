//! The two handshakes of a tunnel (RFC 6455, section 4), both of them HTTP:
//! what the client must ask for, and what the chatbot must answer.
//!
//! The chatbot is asked with a key of Privet's own and without extensions, so
//! that nothing of the client's handshake but its subprotocols goes on.

use crate::proxy::error::ProxyError;
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use hyper::upgrade::OnUpgrade;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADES: HeaderValue = HeaderValue::from_static("Upgrade");
/// The one version there is.
const THIRTEEN: HeaderValue = HeaderValue::from_static("13");
/// Appended to a key before it is hashed (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's wish for a WebSocket, taken out of the head of its request.
pub(in crate::proxy) struct Handshake {
    accept: HeaderValue,
    /// The subprotocols, in the client's order.
    offered: Vec<String>,
    /// What the client asked for, as it is not told to anybody.
    pub(in crate::proxy) address: Uri,
    pub(super) upgrade: OnUpgrade,
}

impl Handshake {
    /// The wish in this head, if there is one. What speaks of the client's own
    /// connection is taken out.
    pub(in crate::proxy) fn take(head: &mut Parts, has_body: bool) -> Result<Option<Self>, ProxyError> {
        // Another protocol is an offer that need not be taken up (RFC 9110, 7.8), as
        // the `h2c` that some clients send with each request.
        if !names(&head.headers, &UPGRADE, "websocket") {
            return Ok(None);
        }
        if head.method != Method::GET
            || head.version != Version::HTTP_11
            || !names(&head.headers, &CONNECTION, "upgrade")
        {
            return Err(ProxyError::bad_request(
                "A WebSocket begins with a GET of HTTP/1.1 whose `Connection` says `Upgrade`.",
            ));
        }
        if has_body {
            return Err(ProxyError::bad_request("A request that begins a WebSocket has no body."));
        }
        if only(&head.headers, &SEC_WEBSOCKET_VERSION) != Some(&THIRTEEN) {
            let detail = "The version of WebSocket served here is 13 (`Sec-WebSocket-Version`).";
            return Err(ProxyError::bad_request(detail).with_header(SEC_WEBSOCKET_VERSION, THIRTEEN));
        }
        let key = only(&head.headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
        let accept = key.and_then(|key| accept_of(key.as_bytes()));
        let accept = accept
            .ok_or_else(|| ProxyError::bad_request("`Sec-WebSocket-Key` must be 16 bytes in base64, sent once."))?;
        let offered = list(&head.headers, &SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect();
        for name in [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_ACCEPT] {
            head.headers.remove(name);
        }
        let upgrade = head.extensions.remove::<OnUpgrade>().ok_or_else(ProxyError::internal)?;
        Ok(Some(Self { accept, offered, address: head.uri.clone(), upgrade }))
    }

    /// Makes the head, which is otherwise fit for the chatbot, ask it for a
    /// WebSocket. What it gives is held against the answer.
    pub(super) fn ask(head: &mut Parts) -> Result<Asked, ProxyError> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| ProxyError::internal())?;
        let key = STANDARD.encode(bytes);
        let accept = accept_of(key.as_bytes()).ok_or_else(ProxyError::internal)?;
        let key = HeaderValue::from_str(&key).map_err(|_| ProxyError::internal())?;
        for (name, value) in
            [(CONNECTION, UPGRADES), (UPGRADE, WEBSOCKET), (SEC_WEBSOCKET_VERSION, THIRTEEN), (SEC_WEBSOCKET_KEY, key)]
        {
            head.headers.insert(name, value);
        }
        Ok(Asked { accept })
    }

    /// Whether the chatbot switched to what it was asked for.
    pub(super) fn is_answered(&self, asked: &Asked, reply: &HeaderMap) -> bool {
        let protocol = reply.get_all(SEC_WEBSOCKET_PROTOCOL).iter().collect::<Vec<_>>();
        let is_offered = |name: &HeaderValue| self.offered.iter().any(|offered| name.as_bytes() == offered.as_bytes());
        names(reply, &UPGRADE, "websocket")
            && names(reply, &CONNECTION, "upgrade")
            && only(reply, &SEC_WEBSOCKET_ACCEPT) == Some(&asked.accept)
            && !reply.contains_key(SEC_WEBSOCKET_EXTENSIONS)
            && match &*protocol {
                [] => true,
                [one] => is_offered(one),
                _ => false,
            }
    }

    /// Makes these headers those of a reply that switches the client over.
    pub(super) fn accept(&self, headers: &mut HeaderMap) {
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONNECTION, UPGRADES);
        headers.insert(UPGRADE, WEBSOCKET);
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
    }

    /// The same without a chatbot. A browser that offers subprotocols opens no
    /// socket where none is chosen, and so would not see why it is closed.
    pub(super) fn accept_alone(&self, headers: &mut HeaderMap) {
        self.accept(headers);
        if let Some(first) = self.offered.first().and_then(|name| HeaderValue::from_str(name).ok()) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, first);
        }
    }
}

/// What the chatbot's answer must hold.
pub(super) struct Asked {
    accept: HeaderValue,
}

fn accept_of(key: &[u8]) -> Option<HeaderValue> {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(GUID);
    HeaderValue::from_str(&STANDARD.encode(hash.finish())).ok()
}

fn is_key(key: &HeaderValue) -> bool {
    STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == 16)
}

/// The value of a header that stands there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The elements of a header that is a list (RFC 9110, section 5.6.1).
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

fn names(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    list(headers, name).any(|element| element.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The handshake of RFC 6455, section 1.2.
    const SENT: [(&str, &str); 6] = [
        ("host", "server.example.com"),
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-version", "13"),
    ];

    fn head(change: &[(&'static str, &'static str)]) -> Parts {
        let mut head = http::Request::get("/chat").body(()).unwrap().into_parts().0;
        head.extensions.insert(hyper::upgrade::on(http::Request::new(())));
        for (name, value) in SENT.iter().chain(change) {
            head.headers.insert(*name, HeaderValue::from_static(value));
            if value.is_empty() {
                head.headers.remove(*name);
            }
        }
        head
    }

    #[test]
    fn the_example_of_the_standard_is_accepted() {
        let mut head = head(&[("sec-websocket-extensions", "permessage-deflate")]);
        let handshake = Handshake::take(&mut head, false).unwrap().unwrap();
        assert_eq!(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(handshake.offered, ["chat", "superchat"]);
        let left: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        assert!(left.contains(&"sec-websocket-protocol"), "{left:?}");
        assert!(!left.iter().any(|name| name.ends_with("-key") || name.ends_with("-extensions")), "{left:?}");
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        for change in [
            ("connection", "keep-alive"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-key", "c2hvcnQ="),
            ("sec-websocket-key", ""),
        ] {
            assert!(Handshake::take(&mut head(&[change]), false).is_err(), "{change:?}");
        }
        assert!(Handshake::take(&mut head(&[]), true).is_err(), "a body");
        let mut post = head(&[]);
        post.method = Method::POST;
        assert!(Handshake::take(&mut post, false).is_err(), "a POST");
        let mut twice = head(&[]);
        twice.headers.append("sec-websocket-key", HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(Handshake::take(&mut twice, false).is_err(), "two keys");
        for other in ["", "h2c"] {
            assert!(Handshake::take(&mut head(&[("upgrade", other)]), false).unwrap().is_none(), "{other}");
        }
    }

    #[test]
    fn the_answer_is_held_against_what_was_asked() {
        let mut head = head(&[]);
        let handshake = Handshake::take(&mut head, false).unwrap().unwrap();
        let asked = Handshake::ask(&mut head).unwrap();
        assert_ne!(head.headers["sec-websocket-key"], "dGhlIHNhbXBsZSBub25jZQ==");
        let mut good = HeaderMap::new();
        good.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        good.insert(CONNECTION, UPGRADES);
        good.insert(SEC_WEBSOCKET_ACCEPT, accept_of(head.headers["sec-websocket-key"].as_bytes()).unwrap());
        assert!(handshake.is_answered(&asked, &good));
        for (name, value, holds) in [
            (SEC_WEBSOCKET_PROTOCOL, "superchat", true),
            (SEC_WEBSOCKET_PROTOCOL, "other", false),
            (SEC_WEBSOCKET_EXTENSIONS, "permessage-deflate", false),
            (SEC_WEBSOCKET_ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", false),
            (UPGRADE, "h2c", false),
            (CONNECTION, "close", false),
        ] {
            let mut reply = good.clone();
            reply.insert(&name, HeaderValue::from_static(value));
            assert_eq!(handshake.is_answered(&asked, &reply), holds, "{name}: {value}");
        }
    }
}
