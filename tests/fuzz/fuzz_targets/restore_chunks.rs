//! The pieces of a text do not depend on how it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use privet::token::properties::{cuts_change_nothing, kinds};

fuzz_target!(|input: (Vec<u16>, &str)| {
    let (cuts, text) = input;
    let cuts: Vec<_> = cuts.into_iter().map(usize::from).collect();
    cuts_change_nothing(&kinds(), text, &cuts);
});
