//! Tests of the whole: the real binary over real sockets. One test binary, so
//! that it is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by a panic, and tells by printing; its modules are a program of their own"
)]

mod canary;
mod crash;
mod proxy;
mod random;
mod splicing;
mod support;
