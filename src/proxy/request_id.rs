//! The name of a request, by which its reply and its line of the log are found.

use http::HeaderValue;
use std::sync::atomic::{AtomicU64, Ordering};

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const LEN: usize = 24;

/// Names the requests of a process.
pub(super) struct RequestIds {
    /// Random for each process, so that the ids of replicas differ.
    prefix: u64,
    count: AtomicU64,
}

/// 24 hexadecimal digits.
#[derive(Clone, Copy)]
pub(super) struct RequestId([u8; LEN]);

impl RequestIds {
    pub(super) fn new() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut prefix = [0; 8];
        aws_lc_rs::rand::fill(&mut prefix)?;
        Ok(Self { prefix: u64::from_be_bytes(prefix), count: AtomicU64::new(0) })
    }

    pub(super) fn next(&self) -> RequestId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        // What does not fit eight digits goes on into the prefix.
        let mut rest = (u128::from(self.prefix) << 32) + u128::from(count);
        let mut id = [b'0'; LEN];
        for place in id.iter_mut().rev() {
            *place = DIGITS[(rest & 15) as usize];
            rest >>= 4;
        }
        RequestId(id)
    }
}

impl RequestId {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) fn to_header(self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_up_behind_a_prefix_of_the_process() {
        let ids = RequestIds { prefix: 0x0123_4567_89ab_cdef, count: AtomicU64::new(0xff) };
        assert_eq!(ids.next().as_str(), "0123456789abcdef000000ff");
        assert_eq!(ids.next().to_header().unwrap(), "0123456789abcdef00000100");
    }
}
