//! A reply's body with its codings undone as it streams: each piece goes out
//! as soon as its bytes are there.

use super::encoding::{Codings, Decoder};
use super::reply::ReplyError;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The body as it was before it was encoded.
pub(super) struct Unpacked<B = Incoming> {
    body: B,
    /// None where nothing lies over it, and once it has ended.
    decoder: Option<Decoder>,
    ended: bool,
}

impl<B> Unpacked<B> {
    /// The body may grow to `ratio` times its size.
    pub(super) fn new(body: B, codings: &Codings, ratio: u64) -> Self {
        let decoder = (!codings.is_empty()).then(|| Decoder::new(codings, ratio));
        Self { body, decoder, ended: false }
    }
}

impl<B> Body for Unpacked<B>
where
    B: Body<Data = Bytes> + Unpin,
    ReplyError: From<B::Error>,
{
    type Data = Bytes;
    type Error = ReplyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            match this.decoder.as_mut().map(Decoder::next).transpose() {
                Ok(piece) => {
                    if let Some(piece) = piece.flatten() {
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                }
                Err(error) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
            let frame = ready!(Pin::new(&mut this.body).poll_frame(cx)).transpose()?;
            let Some(frame) = frame else {
                this.ended = true;
                let finished = this.decoder.take().map_or(Ok(()), Decoder::finish);
                return Poll::Ready(finished.err().map(|error| Err(error.into())));
            };
            match (frame.into_data(), this.decoder.as_mut()) {
                (Ok(data), Some(decoder)) => decoder.push(data),
                (Ok(data), None) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                // Trailers do not travel.
                (Err(_), _) => {}
            }
        }
    }
}
