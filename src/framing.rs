//! Cuts a reply stream into its events ([`Sse`]) or lines ([`Lines`]), and a
//! whole [`multipart`] body into its parts.
//!
//! The first two are pushed the chunks as they come and iterated for what is complete.
//! All raw parts together are the bytes that were pushed. What lies inside one
//! chunk is a slice of it; only what spans chunks is copied.

mod joint;
mod lines;
pub mod multipart;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod sse;

pub use lines::{Line, Lines};
pub use sse::{Event, Spans, Sse};

/// An event or line is longer than the limit. The splitter gives nothing out
/// from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event or line of the reply is longer than {limit} bytes")]
pub struct TooLong {
    /// The limit in bytes, line ends included.
    pub limit: usize,
}
