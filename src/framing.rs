//! Cuts a reply stream into its events ([`Sse`]), lines ([`Lines`]) or elements
//! of an array ([`Elements`]), and a whole [`multipart`] body into its parts, or
//! message into its [`packets`].
//!
//! The first three are pushed the chunks as they come and iterated for what is complete.
//! All raw parts together are the bytes that were pushed. What lies inside one
//! chunk is a slice of it; only what spans chunks is copied.

mod elements;
mod joint;
mod lines;
pub mod multipart;
pub mod packets;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod sse;

pub use elements::Elements;
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
