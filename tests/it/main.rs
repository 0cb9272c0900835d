//! Tests of the whole: the real binary over real sockets, and what holds the
//! repository together. One test binary, so that it is linked once.

#![allow(unreachable_pub, reason = "a test binary exports nothing")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod consent;
mod documents;
mod fields;
mod forwarding;
mod layers;
mod limits;
mod proxy;
mod readme;
mod replies;
mod requests;
mod serve;
mod support;
