//! Speed of the detection engine: chat text with and without personal data,
//! and texts made to be slow.

#![allow(clippy::expect_used, reason = "a bench without rules has nothing to measure")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use privet::detect::{Engine, Input, Scratch};
use std::hint::black_box;

const WITH: &[&str] = &[
    "Hello, my name is Julia Hofmann and I have not got my parcel. ",
    "Please write to julia.hofmann@example.org when it is on its way. ",
    "You can call me at +49 30 901820 in the afternoon. ",
    "My old number (415) 555-0137 does not work any more. ",
    "The card is 4111 1111 1111 1111, as last time. ",
    "Please refund DE89 3704 0044 0532 0130 00 instead. ",
    "The router answers on 198.51.100.77 and on 2001:db8::5:77 too. ",
    "Dr. Okafor said that Maria Lindqvist would take the case over. ",
];

const WITHOUT: &[&str] = &[
    "I tried the second step again, but the light on the front stays red. ",
    "How long does a delivery to the island take, and what does it cost? ",
    "In version 4.12 the export took about 35% longer than before. ",
    "The shop opens at 9:30 and closes at 18:00, on Sundays it is closed. ",
    "We bought 14 lamps at $18.50 each and two of them are broken. ",
    "Could you explain that in simple words, with an example or two? ",
    "The invoice of 12.03.2024 shows 3 items, the list shows 4. ",
    "When I press the button for 10 seconds nothing happens at all. ",
    "Thank you, that was quick! One more question about the guarantee. ",
    "Our kitchen is small, so the table should be no wider than 80 cm. ",
    "It says \"error 4012: try again later\", and later it says the same. ",
    "Is there a plan that is cheaper if I only use it at weekends? ",
];

/// Sentences in a fixed, mixed order until there are `len` bytes. One in
/// `every` holds personal data; 0 for none.
fn text(len: usize, every: usize) -> String {
    let mut text = String::with_capacity(len + 128);
    let (mut with, mut without, mut i) = (0, 0, 0);
    while text.len() < len {
        i += 1;
        if every > 0 && i % every == 0 {
            text.push_str(WITH[with % WITH.len()]);
            with += 1;
        } else {
            text.push_str(WITHOUT[without % WITHOUT.len()]);
            without += 1;
        }
    }
    text
}

fn scan(c: &mut Criterion) {
    let engine = Engine::builtin().expect("built-in rules");
    let mut scratch = Scratch::default();
    let mut group = c.benchmark_group("detect");
    let cases = [
        ("chat 4 KiB", text(4096, 3)),
        ("chat 256 KiB", text(256 << 10, 3)),
        ("clean 4 KiB", text(4096, 0)),
        ("clean 256 KiB", text(256 << 10, 0)),
        ("hostile @", "@".repeat(256 << 10)),
        ("hostile a@", "a@".repeat(128 << 10)),
        ("hostile digits", "7".repeat(256 << 10)),
        ("hostile digit groups", "12 ".repeat(85 << 10)),
        ("hostile +1 groups", "+1 2".repeat(64 << 10)),
        ("hostile one word", "a".repeat(256 << 10)),
        ("hostile capitals", "Ab ".repeat(85 << 10)),
        ("hostile names", "Maria ".repeat(42 << 10)),
        ("hostile a:", "a:".repeat(128 << 10)),
        ("hostile DE12 ", "DE12 ".repeat(51 << 10)),
        ("hostile at dot", "at dot ".repeat(36 << 10)),
        ("hostile wide", "é".repeat(128 << 10)),
    ];
    for (name, text) in &cases {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(*name, |b| b.iter(|| engine.scan(black_box(Input::text(text)), &mut scratch).len()));
    }
    group.finish();
    c.bench_function("compile", |b| b.iter(|| Engine::builtin().expect("built-in rules")));
}

criterion_group!(benches, scan);
criterion_main!(benches);
