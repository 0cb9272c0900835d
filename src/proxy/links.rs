//! Addresses of sockets in replies, such as `streamUrl` of Direct Line. As the
//! chatbot writes them they lead past this gateway; they are made to lead
//! through it, where it has a way to them, and are emptied where it has none.
//!
//! To where the gateway connects is never taken from an address: that is the
//! upstream of the route that the rewritten address leads to.

use super::Gateway;
use crate::json::{self, OffsetMap, Path, Str, Visitor};
use crate::protocol::SocketFields;
use bytes::Bytes;
use http::Uri;
use http::header::{HOST, HeaderName};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use std::ops::Range;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where the client has reached this gateway, as the beginning of the address
/// of a socket; none where it does not say.
pub(super) fn door(head: &Parts, gateway: &Gateway) -> Option<String> {
    if let Some(public) = &gateway.config.public_url {
        let path = public.path().trim_end_matches('/');
        return Some(format!("{}://{}{path}", scheme(public.scheme_str() == Some("https")), public.authority()?));
    }
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let authority = match head.uri.authority() {
        Some(authority) => authority.clone(),
        None => text(HOST)?.parse::<Authority>().ok()?,
    };
    // The outermost of several proxies comes first.
    let proto = text(FORWARDED_PROTO).and_then(|list| list.split(',').next()).map(str::trim);
    let is_secure = match proto {
        Some(proto) => proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss"),
        None => gateway.config.tls.is_some(),
    };
    Some(format!("{}://{authority}", scheme(is_secure)))
}

fn scheme(is_secure: bool) -> &'static str {
    if is_secure { "wss" } else { "ws" }
}

/// Leads the addresses of a reply through the door.
pub(super) fn rewrite(reply: Bytes, fields: &SocketFields, door: Option<&str>, gateway: &Gateway) -> Bytes {
    let Ok(text) = std::str::from_utf8(&reply) else { return reply };
    let document = text.trim_start_matches('\u{feff}');
    let mut found = Addresses { fields, list: Vec::new() };
    // What is no JSON to a strict reader has no members.
    if json::walk(document, &mut found).is_err() || found.list.is_empty() {
        return reply;
    }
    let mut out = Vec::with_capacity(reply.len() + 64);
    let mut copied = 0;
    let skipped = text.len() - document.len();
    for (at, address) in found.list {
        let address = door.zip(through(&address, gateway)).map(|(door, path)| format!("{door}{path}"));
        if address.is_none() {
            tracing::warn!("The address of a socket in a reply leads to no upstream of a route; it was emptied.");
        }
        out.extend_from_slice(text.get(copied..skipped + at.start).unwrap_or_default().as_bytes());
        json::escape(&address.unwrap_or_default(), &mut out);
        copied = skipped + at.end;
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default().as_bytes());
    out.into()
}

/// The path and query by which a client of this gateway comes to an address;
/// none where no route leads there.
fn through(address: &str, gateway: &Gateway) -> Option<String> {
    let address: Uri = address.parse().ok()?;
    let mut paths = gateway.routes.iter().filter_map(|route| {
        let path = route.upstream.path_to(&address)?;
        let taken = gateway.route(path.path()).ok()?;
        std::ptr::eq(&raw const *taken.upstream, &raw const *route.upstream).then_some(path)
    });
    paths.next().map(|path: PathAndQuery| path.to_string())
}

struct Addresses<'f> {
    fields: &'f SocketFields,
    /// Where each stands, and what it is.
    list: Vec<(Range<usize>, String)>,
}

impl<'a> Visitor<'a> for Addresses<'_> {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        if self.fields.is_url(path) {
            let mut text = String::new();
            json::unescape(value.raw, &mut text, &mut OffsetMap::default());
            self.list.push((value.start..value.start + value.raw.len(), text));
        }
    }
}
