//! Reads a request body whole, within its bound and within the budget that all
//! bodies in flight share, and undoes its codings within the same bounds.

use super::encoding::{Codings, Decoder, Undecodable};
use super::error::ProxyError;
use crate::config::{Limits, Timeouts};
use crate::problem::ProblemKind;
use bytes::{Bytes, BytesMut};
use http::Version;
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
    decode_ratio: u64,
    whole: Duration,
    idle: Duration,
}

/// A body, and its share of the budget for as long as this lives.
pub(super) struct ReadBody {
    pub(super) bytes: Bytes,
    pub(super) share: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// The budget and the times that the configuration names.
    pub(super) fn new(limits: &Limits, timeouts: &Timeouts) -> Self {
        let blocks = Arc::new(Semaphore::new((limits.bodies_in_flight / BLOCK).clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            blocks,
            body_limit: limits.request_body,
            decode_ratio: limits.decode_ratio,
            whole: timeouts.body,
            idle: timeouts.body_idle,
        }
    }

    /// Reads `body` to its end.
    pub(super) async fn read(&self, mut body: Incoming, version: Version) -> Result<ReadBody, ProxyError> {
        if body.is_end_stream() {
            return Ok(ReadBody { bytes: Bytes::new(), share: None });
        }
        let promised = promised(&body);
        if promised > self.body_limit {
            self.discard(body, version).await;
            return Err(self.too_large());
        }
        let read = self.read_frames(&mut body, promised).await;
        if let Err(error) = &read
            && matches!(error.problem.kind, ProblemKind::TooLarge | ProblemKind::Overloaded)
        {
            self.discard(body, version).await;
        }
        read
    }

    /// Takes what is left of a refused body and keeps nothing of it, within the
    /// times of a body that is read. Most clients look for the reply only
    /// when all is sent: were the connection closed on them before, they would
    /// see it break instead of why they were refused.
    ///
    /// A stream of HTTP/2 has its reply at once. Were it reset before its end, as
    /// the protocol allows, some clients would take that for the reply.
    pub(super) async fn discard(&self, body: Incoming, version: Version) {
        let (limit, idle) = (self.body_limit, self.idle);
        if body.is_end_stream() {
            return;
        }
        if version == Version::HTTP_2 {
            // A client may send a body that is too large to its end all the same.
            tokio::spawn(timeout(self.whole, discard(body, limit.saturating_mul(2), idle)));
        } else if promised(&body) <= limit {
            // Where it takes too long the connection is closed after all.
            let _ = timeout(self.whole, discard(body, limit, idle)).await;
        }
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

    /// The body with its codings undone, which is charged to the budget too.
    /// The error is none where the body is not what its codings say.
    pub(super) fn decode(&self, body: &mut ReadBody, codings: &Codings) -> Result<Bytes, Option<ProxyError>> {
        let mut decoder = Decoder::new(codings, self.decode_ratio);
        let mut decoded = BytesMut::new();
        decoder.push(body.bytes.clone());
        while let Some(piece) = decoder.next().map_err(|error| self.undecodable(error))? {
            if decoded.len() + piece.len() > self.body_limit {
                return Err(Some(self.too_large()));
            }
            self.charge(body, piece.len())?;
            decoded.extend_from_slice(&piece);
        }
        decoder.finish().map_err(|error| self.undecodable(error))?;
        Ok(decoded.freeze())
    }

    /// Charges so many more bytes of a body to the budget.
    pub(super) fn charge(&self, body: &mut ReadBody, bytes: usize) -> Result<(), ProxyError> {
        let more = self.reserve(bytes)?;
        match &mut body.share {
            Some(share) => share.merge(more),
            None => body.share = Some(more),
        }
        Ok(())
    }

    fn undecodable(&self, error: Undecodable) -> Option<ProxyError> {
        match error {
            Undecodable::Malformed => None,
            Undecodable::Bomb => Some(ProxyError::bomb(self.decode_ratio)),
        }
    }

    /// The share of a message that has been read already.
    pub(super) fn hold(&self, bytes: Bytes) -> Result<ReadBody, ProxyError> {
        let share = Some(self.reserve(bytes.len().max(1))?);
        Ok(ReadBody { bytes, share })
    }

    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ProxyError> {
        let blocks = u32::try_from(bytes.div_ceil(BLOCK)).map_err(|_| self.too_large())?;
        Arc::clone(&self.blocks).try_acquire_many_owned(blocks).map_err(|_| ProxyError::no_memory_for_bodies())
    }

    fn too_large(&self) -> ProxyError {
        ProxyError::too_large(self.body_limit)
    }
}

/// Takes so much of a body at most, each piece of it in so much time.
async fn discard(mut body: Incoming, mut left: usize, idle: Duration) {
    while let Ok(Some(Ok(frame))) = timeout(idle, body.frame()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(length) else { break };
        left = less;
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
