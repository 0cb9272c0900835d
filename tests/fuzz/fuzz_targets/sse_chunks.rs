//! The events of a stream do not depend on its chunks, and are those of the
//! slow reader.
#![no_main]

use libfuzzer_sys::fuzz_target;
use privet::framing::properties::{cut, sse_agrees_with_reference};

fuzz_target!(|input: (Vec<u16>, &[u8])| {
    let (cuts, stream) = input;
    let cuts: Vec<_> = cuts.into_iter().map(usize::from).collect();
    sse_agrees_with_reference(&cut(stream, &cuts));
});
