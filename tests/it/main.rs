//! The integration tests, in one binary so that they link once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod documents;
mod layers;
mod readme;
