//! A text, any part of it and the bytes of it read as text have sound findings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use privet::detect::Engine;
use privet::detect::properties::parts_are_sound;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::builtin().expect("built-in rules"));

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (from, to, bytes) = input;
    parts_are_sound(&ENGINE, &String::from_utf8_lossy(bytes), from.into(), to.into());
});
