//! Tests of the whole: the real binary over real sockets, and what holds the
//! repository together. One test binary, so that it is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by panicking and tells by printing; its modules are a program of their own"
)]

mod admin;
mod canary;
mod consent;
mod crash;
mod directline;
mod disguises;
mod documents;
mod doors;
mod encodings;
mod fields;
mod forwarding;
mod layers;
mod ledger;
mod limits;
mod looks;
mod messages;
mod multipart;
mod operators;
#[cfg(feature = "postgres")]
mod postgres;
mod protocols;
mod proxy;
mod random;
mod readme;
mod refusals;
mod replies;
mod report;
mod requests;
mod rights;
mod rules;
mod selfcheck;
mod serve;
mod signed;
mod socketio;
mod splicing;
mod streams;
mod support;
mod transcripts;
mod transit;
mod upkeep;
mod vault;
mod vault_cli;
mod websocket;
