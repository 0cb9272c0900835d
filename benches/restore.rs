//! The restorer: small deltas without and with tokens, and long text.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use privet::entity::Entity;
use privet::token::{Kinds, Restorer, Token};

const EMAIL: Entity = Entity::constant("EMAIL");

fn kinds() -> Arc<Kinds> {
    Arc::new(Kinds::new(["EMAIL", "PERSON", "PHONE", "IBAN", "CREDIT_CARD"].map(Entity::constant)))
}

fn restore(c: &mut Criterion) {
    let mut group = c.benchmark_group("restore");

    let mut run = |name: &str, kinds: Arc<Kinds>, parts: &[&str], len: Throughput| {
        group.throughput(len);
        group.bench_function(name, |b| {
            let mut restorer = Restorer::new(Arc::clone(&kinds));
            b.iter(|| {
                let mut bytes = 0;
                for part in parts {
                    restorer.push(black_box(part), &mut |piece| bytes += size_of_val(black_box(&piece)));
                }
                restorer.finish(&mut |piece| bytes += size_of_val(&piece));
                bytes
            });
        });
    };

    let words = ["Sure", ", I", " can", " help", " you", " with", " your", " order", " to", "day", ".", " Let", " me"];
    run("no kinds, per delta", Arc::default(), &words, Throughput::Elements(words.len() as u64));
    run("plain deltas, per delta", kinds(), &words, Throughput::Elements(words.len() as u64));

    let token = Token::new(EMAIL, 0x1_2345_6789).to_string();
    let deltas = [" is", " ", "[", "EMAIL", "_", &token[7..10], &token[10..13], &token[13..], ".", " Is", " that"];
    run("a token over six deltas, per delta", kinds(), &deltas, Throughput::Elements(deltas.len() as u64));

    let sentence = "The parcel left our warehouse on Tuesday; please expect it within three working days. ";
    let text = sentence.repeat(12);
    run("1 KiB of prose", kinds(), &[&text], Throughput::Bytes(text.len() as u64));
    let with_tokens = format!("{sentence}Write to {token} or call. ").repeat(10);
    run("1 KiB with ten tokens", kinds(), &[&with_tokens], Throughput::Bytes(with_tokens.len() as u64));
    let hostile = "[EMAIL_&amp;\\\\".repeat(80);
    run("1 KiB of false starts", kinds(), &[&hostile], Throughput::Bytes(hostile.len() as u64));
    group.finish();
}

criterion_group!(benches, restore);
criterion_main!(benches);
