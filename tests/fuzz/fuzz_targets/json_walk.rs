//! The walker accepts, refuses and reads as `serde_json` does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use privet::json::properties::{agrees_with_serde_json, escape_and_back};

fuzz_target!(|text: &str| {
    agrees_with_serde_json(text);
    escape_and_back(text);
});
