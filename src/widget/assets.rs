//! The files of the widget. They hold nothing of a deployment, so they are the
//! same for everybody.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// A file of the widget.
pub(super) struct Asset {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 4] = [
    Asset {
        path: "/.privet/consent.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("consent.js"),
    },
    Asset { path: "/.privet/consent.css", content_type: "text/css; charset=utf-8", text: include_str!("consent.css") },
    Asset { path: "/.privet/me/me.js", content_type: "text/javascript; charset=utf-8", text: include_str!("me/me.js") },
    Asset { path: "/.privet/me/me.css", content_type: "text/css; charset=utf-8", text: include_str!("me/me.css") },
];

/// The file at a path.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

impl Asset {
    /// The file, unless the browser has it already. Any page may load it.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response<Bytes> {
        let hash = digest(&SHA256, self.text.as_bytes());
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash.as_ref().get(..12).unwrap_or_default()));
        let has_it = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let mut response = Response::new(if has_it { Bytes::new() } else { Bytes::from_static(self.text.as_bytes()) });
        if has_it {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let answer = response.headers_mut();
        answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        answer.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            answer.insert(header::ETAG, tag);
        }
        response
    }
}
