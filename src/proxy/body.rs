//! Reads a request body whole, within its bound and within the budget that all
//! bodies in flight share, and says how it can be inspected.

use super::error::ProxyError;
use crate::problem::ProblemKind;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// The budget is counted in blocks, as a semaphore's permits are 32 bits wide.
const BLOCK: usize = 1024;

/// The memory that all request bodies in flight may take together.
#[derive(Clone)]
pub(super) struct Budget {
    blocks: Arc<Semaphore>,
    body_limit: usize,
    whole: Duration,
    idle: Duration,
}

/// A body, and its share of the budget for as long as this lives.
pub(super) struct ReadBody {
    pub(super) bytes: Bytes,
    pub(super) share: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// `total` and `body_limit` in bytes; `whole` bounds the reading of one
    /// body, `idle` the wait for its next piece.
    pub(super) fn new(total: usize, body_limit: usize, whole: Duration, idle: Duration) -> Self {
        let blocks = Arc::new(Semaphore::new((total / BLOCK).clamp(1, Semaphore::MAX_PERMITS)));
        Self { blocks, body_limit, whole, idle }
    }

    /// Reads `body` to its end.
    pub(super) async fn read(&self, mut body: Incoming) -> Result<ReadBody, ProxyError> {
        if body.is_end_stream() {
            return Ok(ReadBody { bytes: Bytes::new(), share: None });
        }
        let promised = promised(&body);
        if promised > self.body_limit {
            return Err(self.too_large());
        }
        let read = self.read_frames(&mut body, promised).await;
        if let Err(error) = &read
            && matches!(error.problem.kind, ProblemKind::TooLarge | ProblemKind::Overloaded)
        {
            self.discard(body).await;
        }
        read
    }

    /// Takes what is left of a refused body and keeps nothing of it, within the
    /// bounds of a body that is read. Most clients look for the reply only
    /// when all is sent: were the connection closed on them before, they would
    /// see it break instead of why they were refused.
    pub(super) async fn discard(&self, mut body: Incoming) {
        if promised(&body) > self.body_limit {
            return;
        }
        let discarding = async {
            let mut left = self.body_limit;
            while let Ok(Some(Ok(frame))) = timeout(self.idle, body.frame()).await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let Some(less) = left.checked_sub(length) else { break };
                left = less;
            }
        };
        // Where it takes too long the connection is closed after all.
        let _ = timeout(self.whole, discarding).await;
    }

    async fn read_frames(&self, body: &mut Incoming, promised: usize) -> Result<ReadBody, ProxyError> {
        let mut share = self.reserve(promised.max(1))?;
        let mut reserved = promised.max(1).div_ceil(BLOCK) * BLOCK;
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        let end = Instant::now() + self.whole;
        while !body.is_end_stream() {
            // One timer for both bounds: most bodies come in one piece.
            let until = end.min(Instant::now() + self.idle);
            let frame = match timeout_at(until, body.frame()).await {
                Ok(Some(frame)) => frame.map_err(|_| ProxyError::broken_body())?,
                Ok(None) => break,
                Err(_) => return Err(ProxyError::slow_body()),
            };
            // Trailers do not travel upstream.
            let Ok(data) = frame.into_data() else { continue };
            let length = first.len() + rest.len() + data.len();
            if length > self.body_limit {
                return Err(self.too_large());
            }
            if length > reserved {
                share.merge(self.reserve(length - reserved)?);
                reserved += (length - reserved).div_ceil(BLOCK) * BLOCK;
            }
            if rest.is_empty() && first.is_empty() {
                // The usual case: the whole body is one piece, and is not copied.
                first = data;
            } else {
                if rest.is_empty() {
                    rest.reserve(promised.max(length));
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
        }
        let bytes = if rest.is_empty() { first } else { rest.freeze() };
        Ok(ReadBody { bytes, share: Some(share) })
    }

    /// The share of something that has been read already.
    pub(super) fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ProxyError> {
        let blocks = u32::try_from(bytes.div_ceil(BLOCK)).map_err(|_| self.too_large())?;
        Arc::clone(&self.blocks).try_acquire_many_owned(blocks).map_err(|_| ProxyError::no_memory_for_bodies())
    }

    fn too_large(&self) -> ProxyError {
        ProxyError::too_large(self.body_limit)
    }
}

/// The text in small letters, which media types mostly are.
pub(super) fn lowercase(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
}

/// The length that a body promises to have; 0 for one that promises nothing.
fn promised(body: &Incoming) -> usize {
    body.size_hint().exact().map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// How a request body is read for inspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON document.
    Json,
    /// JSON if it is a JSON document, else text: the client did not say.
    Unsaid,
    /// Fields of a form, percent-encoded.
    Form,
    /// Plain text, markup included.
    Text,
}

impl Format {
    /// By the headers; the error says what cannot be inspected.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Self, &'static str> {
        for encoding in headers.get_all(header::CONTENT_ENCODING) {
            if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
                return Err("The body is compressed (Content-Encoding); send it as it is.");
            }
        }
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        let Some(value) = types.next() else { return Ok(Self::Unsaid) };
        if types.next().is_some() {
            return Err("The request has more than one Content-Type.");
        }
        let Ok(value) = value.to_str() else { return Err("The Content-Type is not plain ASCII.") };
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        for parameter in parameters.split(';') {
            let (name, charset) = parameter.split_once('=').unwrap_or((parameter, ""));
            let charset = charset.trim().trim_matches('"');
            if name.trim().eq_ignore_ascii_case("charset")
                && !["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
            {
                return Err("The charset of the body is not UTF-8.");
            }
        }
        match &*lowercase(essence.trim()) {
            "" => Ok(Self::Unsaid),
            "application/json" | "text/json" => Ok(Self::Json),
            "application/x-www-form-urlencoded" => Ok(Self::Form),
            "application/xml" => Ok(Self::Text),
            other if other.ends_with("+json") => Ok(Self::Json),
            other if other.ends_with("+xml") || other.starts_with("text/") => Ok(Self::Text),
            _ => Err("The Content-Type of the body is none that can be inspected: JSON, XML, text or a form."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(content_type: &'static str) -> Result<Format, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Format::of_request(&headers)
    }

    #[test]
    fn the_content_type_says_how_to_read() {
        assert_eq!(of("application/json"), Ok(Format::Json));
        assert_eq!(of("Application/JSON; charset=UTF-8"), Ok(Format::Json));
        assert_eq!(of("application/vnd.api+json"), Ok(Format::Json));
        assert_eq!(of("application/x-www-form-urlencoded;charset=UTF-8"), Ok(Format::Form));
        assert_eq!(of("text/plain;charset=\"us-ascii\""), Ok(Format::Text));
        assert_eq!(of("image/svg+xml"), Ok(Format::Text));
        assert_eq!(Format::of_request(&HeaderMap::new()), Ok(Format::Unsaid));
        for refused in ["application/octet-stream", "text/plain; charset=latin1", "multipart/form-data; boundary=x"] {
            assert!(of(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_compressed_body_is_not_inspected() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(Format::of_request(&headers).is_err());
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert!(Format::of_request(&headers).is_ok());
    }
}
