//! What the integration tests share: a chatbot that records what it receives,
//! the real `privet` binary in front of it, and a client.

mod client;
#[cfg(feature = "postgres")]
mod cluster;
mod dialogue;
mod encoding;
mod privet;
#[cfg(feature = "postgres")]
mod relay;
mod socket;
mod tls;
pub mod transit;
mod upstream;
mod wire;

pub use client::{CONSENT, Client, Reply};
#[cfg(feature = "postgres")]
pub use cluster::{Bouncer, Cluster, Durability, own};
pub use dialogue::Dialogue;
pub use encoding::{CODINGS, encode, encode_pieces, sent_as};
pub use privet::{KEY, Privet, Setup, privet, scratch_folder, without_settings};
#[cfg(feature = "postgres")]
pub use relay::Relay;
pub use socket::{CONSENT_QUERY, Socket, SocketUpstream, close, fragment_of};
pub use tls::Identity;
pub use upstream::{Answer, Recorded, Upstream};
pub use wire::{RawUpstream, Step, Wire, port_of_nobody};

use serde_json::{Value, json};
use std::time::Duration;

/// How long a busy machine may take for what comes at once on an idle one. What
/// does not come by then never will.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A chat request with one message of the user.
pub fn chat(text: &str) -> Value {
    json!({"model": "mock", "messages": [{"role": "user", "content": text}]})
}

/// The same, answered as a stream.
pub fn chat_stream(text: &str) -> Value {
    json!({"model": "mock", "stream": true, "messages": [{"role": "user", "content": text}]})
}

/// The tokens in a text, brackets included, in order.
pub fn tokens(text: &str) -> Vec<String> {
    let pattern = regex::Regex::new(r"\[[A-Z][A-Z_]{1,24}_[0-9A-HJKMNP-TV-Z]{8}\]").unwrap();
    pattern.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

/// The text of a streamed chat reply: all pieces of `content` of the choice.
/// Panics where an event is no JSON.
pub fn streamed_text(body: &str, choice: u64) -> String {
    events(body)
        .iter()
        .flat_map(|event| event["choices"].as_array().cloned().unwrap_or_default())
        .filter(|found| found["index"] == choice)
        .filter_map(|found| found["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}

/// The JSON of each event but the last, which must be `[DONE]`.
pub fn events(body: &str) -> Vec<Value> {
    let mut data: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data.pop(), Some("[DONE]"), "the stream does not end with [DONE]: {body:?}");
    data.iter().map(|one| serde_json::from_str(one).unwrap_or_else(|e| panic!("{e}: {one:?}"))).collect()
}
