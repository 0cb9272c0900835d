//! The parts of any body stand in it, in order and apart from each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use privet::framing::properties::multipart_is_sound;

fuzz_target!(|body: &[u8]| {
    // The body names its boundary, so that the fuzzer finds delimiters.
    let boundary = body.strip_prefix(b"--").and_then(|rest| rest.split(|b| *b == b'\r').next()).unwrap_or(b"x");
    if let Ok(boundary) = std::str::from_utf8(boundary) {
        multipart_is_sound(body, boundary);
    }
});
