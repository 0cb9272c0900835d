//! What parses as a token prints as it stood, and is found in text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use privet::token::properties::parse_agrees_with_print;

fuzz_target!(|text: &str| parse_agrees_with_print(text));
