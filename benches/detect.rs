//! Speed of the detection engine: chat text with and without personal data,
//! and texts made to be slow.

#![allow(clippy::expect_used, reason = "a bench without rules has nothing to measure")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use privet::detect::{Engine, Input, RuleSet, Scratch};
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

/// Texts made to be slow: one unit again and again.
const HOSTILE: &[&str] = &[
    "@",
    "7",
    " ",
    "a",
    "a@",
    "a@a@a@",
    "12 ",
    "+1 2",
    "1.1.1.1.",
    "::::",
    "a:",
    "Ab ",
    "Maria ",
    "DE12 ",
    "X1Y2Z3",
    "at dot at dot ",
    "é",
    "４",
    "&",
    "&#64;",
    "%40",
    "ghp_",
    "\u{200b}a",
];

fn scan(c: &mut Criterion) {
    let engine = Engine::builtin().expect("built-in rules");
    let mut scratch = Scratch::default();
    let mut group = c.benchmark_group("detect");
    let mut cases = vec![
        ("chat 4 KiB".to_owned(), text(4096, 3)),
        ("chat 1 MiB".to_owned(), text(1 << 20, 3)),
        ("clean 4 KiB".to_owned(), text(4096, 0)),
        ("clean 1 MiB".to_owned(), text(1 << 20, 0)),
    ];
    cases.extend(HOSTILE.iter().map(|unit| (format!("hostile {unit:?}"), unit.repeat((1 << 20) / unit.len()))));
    for (name, text) in &cases {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| engine.scan(black_box(Input::text(text)), &mut scratch).len()));
    }
    group.finish();
    c.bench_function("compile", |b| b.iter(|| Engine::builtin().expect("built-in rules")));
}

/// Rules of users beside the built-in ones: what many of them cost in text
/// that holds nothing of theirs.
fn own_rules(c: &mut Criterion) {
    let mut letters = (0_u32..).map(|n| n.wrapping_mul(0x9E37_79B1)).flat_map(u32::to_be_bytes);
    let mut word = |len: usize| letters.by_ref().take(len).map(|b| char::from(b'a' + b % 26)).collect::<String>();
    let secrets: Vec<String> = (0..200)
        .map(|i| {
            format!("[[rule]]\nid = \"key-{i}\"\nentity = \"SECRET\"\npattern = '{}_[A-Za-z0-9]{{30}}'\n", word(4))
        })
        .collect();
    let words: Vec<String> = (0..10)
        .map(|i| {
            let list: Vec<String> = (0..100).map(|_| format!("'{}'", word(8))).collect();
            format!("[[rule]]\nid = \"words-{i}\"\nentity = \"PROJECT\"\nwords = [{}]\n", list.join(", "))
        })
        .collect();
    let text = text(4096, 0);
    let mut group = c.benchmark_group("own rules, clean 4 KiB");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for (name, rules) in [("200 patterns", secrets.concat()), ("1000 words", words.concat())] {
        let mut set = RuleSet::builtin().expect("built-in rules");
        set.add("own.toml", &rules).expect("own rules");
        let engine = Engine::compile(&set).expect("own rules");
        let mut scratch = Scratch::default();
        group.bench_function(name, |b| b.iter(|| engine.scan(black_box(Input::text(&text)), &mut scratch).len()));
    }
    group.finish();
}

/// What the same text costs with less: a search for three bytes, and one
/// regular expression for four kinds of values, no names among them.
fn yardsticks(c: &mut Criterion) {
    let regex = regex::Regex::new(concat!(
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
        r"|\+?\d[\d ()/-]{6,}\d",
        r"|\b(?:\d{1,3}\.){3}\d{1,3}\b",
        r"|\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b",
    ))
    .expect("a regular expression");
    let mut group = c.benchmark_group("yardsticks");
    for (name, text) in [("chat 1 MiB", text(1 << 20, 3)), ("clean 1 MiB", text(1 << 20, 0))] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("memchr3 {name}"), |b| {
            b.iter(|| memchr::memchr3_iter(b'@', b'+', b'#', black_box(text.as_bytes())).count());
        });
        group.bench_function(format!("regex {name}"), |b| b.iter(|| regex.find_iter(black_box(&text)).count()));
    }
    group.finish();
}

criterion_group!(benches, scan, own_rules, yardsticks);
criterion_main!(benches);
