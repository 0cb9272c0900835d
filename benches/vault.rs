//! What the vault costs a request: `cargo bench --bench vault`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark that fails may panic, and is no library"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use privet::entity::Entity;
use privet::store::embedded::Embedded;
use privet::store::{Batch, Row, Store};
use privet::token::Token;
use privet::vault::{Key, Options, Subject, Vault, VaultUrl};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How many findings a request of the benchmark has.
const FINDINGS: usize = 20;
const REQUESTS: usize = 64;

fn values(from: usize, n: usize) -> Vec<String> {
    (from..from + n).map(|n| format!("ana.example.{n:08}@example.com")).collect()
}

fn findings(values: &[String]) -> Vec<(Entity, &str)> {
    const EMAIL: Entity = Entity::constant("EMAIL");
    values.iter().map(|value| (EMAIL, value.as_str())).collect()
}

fn open(runtime: &Runtime, url: &VaultUrl, cache_bytes: usize) -> Vault {
    let options = Options { cache_bytes, ..Options::default() };
    runtime.block_on(Vault::open(url, Key::generate(), options)).unwrap()
}

fn known(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().build().unwrap();
    let vault = open(&runtime, &VaultUrl::Memory, 64 << 20);
    let values = values(0, FINDINGS);
    let findings = findings(&values);
    let subject = runtime.block_on(vault.subject("default", "ana")).unwrap();
    let tokens = runtime.block_on(subject.tokenize(&findings)).unwrap();

    c.bench_function("subject, known", |b| b.iter(|| runtime.block_on(vault.subject("default", "ana")).unwrap()));
    c.bench_function("passing subject", |b| b.iter(|| vault.passing_subject()));
    let mut group = c.benchmark_group("20 values");
    group.throughput(Throughput::Elements(FINDINGS as u64));
    group.bench_function("tokenize, known", |b| b.iter(|| runtime.block_on(subject.tokenize(&findings)).unwrap()));
    group.bench_function("restore, cached", |b| {
        b.iter(|| {
            for token in &tokens {
                black_box(subject.cached(token));
            }
        });
    });
}

/// New values, for one subject or for a new subject each time.
fn new_values(c: &mut Criterion, name: &str, url: &VaultUrl) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let vault = open(&runtime, url, 64 << 20);
    let next = Cell::new(0);
    let fresh = || {
        next.set(next.get() + FINDINGS);
        values(next.get(), FINDINGS)
    };
    let mut group = c.benchmark_group(format!("20 values, {name}"));
    group.measurement_time(Duration::from_secs(3)).throughput(Throughput::Elements(FINDINGS as u64));
    let subject = runtime.block_on(vault.subject("default", "ana")).unwrap();
    let tokenize = |subject: &Subject, values: &[String]| {
        let findings = findings(values);
        runtime.block_on(subject.tokenize(&findings)).unwrap()
    };
    group.bench_function("tokenize, new", |b| {
        b.iter_batched_ref(fresh, |values| tokenize(&subject, values), BatchSize::SmallInput);
    });
    group.bench_function("tokenize, first contact", |b| {
        b.iter_batched_ref(
            fresh,
            |values| {
                let subject = runtime.block_on(vault.subject("default", &values[0])).unwrap();
                tokenize(&subject, values)
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
    drop(subject);
    runtime.block_on(vault.close());
}

fn memory(c: &mut Criterion) {
    new_values(c, "memory", &VaultUrl::Memory);
}

fn embedded(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    new_values(c, "embedded", &VaultUrl::Embedded(folder.path().join("new")));

    let runtime = Builder::new_current_thread().build().unwrap();
    let vault = open(&runtime, &VaultUrl::Embedded(folder.path().join("cold")), 0);
    let subject = runtime.block_on(vault.subject("default", "ana")).unwrap();
    let values = values(0, FINDINGS);
    let tokens = runtime.block_on(subject.tokenize(&findings(&values))).unwrap();
    let mut group = c.benchmark_group("20 values, embedded");
    group.throughput(Throughput::Elements(FINDINGS as u64));
    group.bench_function("restore, not cached", |b| b.iter(|| runtime.block_on(subject.restore(&tokens)).unwrap()));
}

/// One durable commit for all who wait, against one for each.
fn group_commit(c: &mut Criterion) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&runtime, &VaultUrl::Embedded(folder.path().to_owned()), 64 << 20);
    let next = Cell::new(0);
    let fresh = |n| {
        next.set(next.get() + n);
        values(next.get(), n)
    };
    let mut group = c.benchmark_group("durable commit");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    for requests in [1, REQUESTS] {
        group.throughput(Throughput::Elements(requests as u64));
        group.bench_function(format!("{requests} requests at once"), |b| {
            let mint = |values: Vec<String>| {
                let calls = values.into_iter().map(|value| {
                    let vault = vault.clone();
                    runtime.spawn(async move {
                        let subject = vault.subject("default", "ana").await.unwrap();
                        subject.tokenize(&findings(&[value])).await.unwrap()
                    })
                });
                runtime.block_on(join_all(calls))
            };
            b.iter_batched(|| fresh(requests), mint, BatchSize::SmallInput);
        });
    }
    group.finish();
    runtime.block_on(vault.close());
}

/// The same commits by the store alone: its own limit, to which the vault's
/// durable requests are a ratio.
fn store_limit(c: &mut Criterion) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(folder.path(), 32 << 20).unwrap());
    let next = Cell::new(0);
    let batches = || -> Vec<Batch> {
        next.set(next.get() + REQUESTS as u64);
        let batch = |n| Batch {
            row: Row { tenant: [1; 8], subject: [2; 16] },
            subject: b"keys".as_slice().into(),
            first_contact: true,
            // As long as a sealed address of the other benchmarks.
            mappings: vec![(Token::new(Entity::constant("EMAIL"), n), vec![7; 73])],
            changes: Vec::new(),
        };
        (next.get()..next.get() + REQUESTS as u64).map(batch).collect()
    };
    let mut group = c.benchmark_group("durable commit");
    group.measurement_time(Duration::from_secs(3)).sample_size(20).throughput(Throughput::Elements(REQUESTS as u64));
    group.bench_function(format!("the store alone, {REQUESTS} at once"), |b| {
        let put = |batches: Vec<Batch>| {
            let calls = batches.into_iter().map(|batch| {
                let store = Arc::clone(&store);
                runtime.spawn(async move { store.put(batch).await.unwrap() })
            });
            runtime.block_on(join_all(calls))
        };
        b.iter_batched(batches, put, BatchSize::SmallInput);
    });
    group.finish();
    runtime.block_on(store.close()).unwrap();
}

/// Whether cost grows with what a vault holds: 10 thousand and a million
/// tokens, or as many as `PRIVET_BENCH_TOKENS` says.
fn sizes(c: &mut Criterion) {
    let asked = std::env::var("PRIVET_BENCH_TOKENS").ok().map(|n| vec![n.parse().unwrap()]);
    for tokens in asked.unwrap_or_else(|| vec![10_000, 1_000_000]) {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        // Without a cache of values, so that the store is what is measured.
        let vault = open(&runtime, &VaultUrl::Embedded(folder.path().to_owned()), 0);
        let per_subject = 500;
        let fill = |person: usize| {
            let vault = vault.clone();
            async move {
                let subject = vault.subject("default", &format!("person-{person}")).await.unwrap();
                let values = values(person * per_subject, per_subject);
                subject.tokenize(&findings(&values)).await.unwrap()
            }
        };
        let mut known = Vec::new();
        for people in (0..tokens / per_subject).collect::<Vec<_>>().chunks(64) {
            let filled = runtime.block_on(join_all(people.iter().map(|person| fill(*person))));
            known.extend(people.iter().copied().zip(filled));
            known.truncate(200);
        }
        let next = Cell::new(0);
        let mut group = c.benchmark_group(format!("{tokens} tokens"));
        group
            .measurement_time(Duration::from_secs(5))
            .sample_size(30)
            .throughput(Throughput::Elements(FINDINGS as u64));
        group.bench_function("tokenize, 20 new values", |b| {
            let mint = |values: Vec<String>| {
                runtime.block_on(async {
                    let subject = vault.subject("default", &values[0]).await.unwrap();
                    subject.tokenize(&findings(&values)).await.unwrap()
                })
            };
            let fresh = || {
                next.set(next.get() + FINDINGS);
                values(1 << 40 | next.get(), FINDINGS)
            };
            b.iter_batched(fresh, mint, BatchSize::SmallInput);
        });
        group.bench_function("restore, 20 of 200 subjects", |b| {
            let turn = Cell::new(0);
            b.iter(|| {
                turn.set((turn.get() + 1) % known.len());
                let (person, tokens) = &known[turn.get()];
                runtime.block_on(async {
                    let subject = vault.subject("default", &format!("person-{person}")).await.unwrap();
                    black_box(subject.restore(&tokens[..FINDINGS]).await.unwrap())
                })
            });
        });
        group.finish();
        runtime.block_on(vault.close());
        let bytes = std::fs::metadata(folder.path().join("vault.redb")).unwrap().len();
        eprintln!("{tokens} tokens take {} MiB, {} bytes each", bytes >> 20, bytes / tokens as u64);
    }
}

criterion_group!(benches, known, memory, embedded, group_commit, store_limit, sizes);
criterion_main!(benches);
