//! Privet: a streaming reverse proxy between a chat client and a chatbot that
//! keeps personal data out of the chatbot.

// Layer 0: pure and synchronous; no clock, no I/O, no runtime.
pub mod detect;
pub mod entity;
pub mod framing;
pub mod hex;
pub mod json;
pub mod problem;
pub mod report;
pub mod surrogate;
pub mod token;

// Layer 1: state and policy.
pub mod audit;
pub mod clock;
pub mod config;
pub mod consent;
pub mod incident;
pub mod ledger;
pub mod protocol;
pub mod rights;
pub mod sensitive;
pub mod store;
pub mod telemetry;
pub mod transcripts;
pub mod trust;
pub mod vault;

// Layer 2: the data path.
pub mod proxy;
pub mod server;
pub mod widget;

// Layer 3: control.
pub mod admin;

// Layer 4: the shell.
pub mod cli;
