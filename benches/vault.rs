//! What the vault costs, in tables: `cargo bench --bench vault`.
//!
//! Tokens minted and restored, durable requests against what the store commits
//! by itself, the cost at growing sizes, the memory of the cache. By another
//! command than that it runs through once with little.
//! `PRIVET_BENCH_TOKENS=10000,1000000` are the sizes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that fails may panic, and prints")]

use futures_util::future::join_all;
use privet::entity::Entity;
use privet::store::embedded::Embedded;
use privet::store::{Batch, Row, Store};
use privet::token::Token;
use privet::vault::{Key, Options, Vault, VaultUrl};
use std::hint::black_box;
use std::io::Write as _;
use std::ops::Range;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EMAIL: Entity = Entity::constant("EMAIL");

/// How many values a request brings.
const FINDINGS: usize = 20;

/// How many tokens a subject of a full vault has.
const PER_SUBJECT: usize = 50;

/// How many subjects are filled at once, so that they share a commit.
const AT_ONCE: usize = 1_000;

/// Of so many subjects of a full vault tokens are restored, all over it.
const SAMPLE: usize = 2_000;

/// The aim: cost grows by no more than this between the sizes.
const FLAT: f64 = 1.5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, measured, mebibytes, scale] = &*arguments
        && measured == CACHE
    {
        return measure_cache(mebibytes.parse().unwrap(), scale.parse().unwrap());
    }
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let asked = std::env::var("PRIVET_BENCH_TOKENS").ok();
    let default = if is_bench { "10000,1000000,10000000" } else { "10000,20000" };
    let sizes: Vec<usize> = asked.as_deref().unwrap_or(default).split(',').map(|n| n.parse().unwrap()).collect();
    let scale = if is_bench { 100 } else { 1 };
    rates(scale);
    durable(if is_bench { 5 } else { 1 }, Duration::from_millis(10 * scale as u64));
    let by_size: Vec<Sized> = sizes.iter().map(|tokens| sized(*tokens, scale)).collect();
    print_sizes(&by_size);
    cache(scale);
}

/// The address of somebody.
fn values(numbers: Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("ana.example.{n:08}@example.com")).collect()
}

fn findings(values: &[String]) -> Vec<(Entity, &str)> {
    values.iter().map(|value| (EMAIL, value.as_str())).collect()
}

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

fn open(runtime: &Runtime, url: &VaultUrl, cache_bytes: usize) -> Vault {
    let options = Options { cache_bytes, ..Options::default() };
    runtime.block_on(Vault::open(url, Key::generate(), options)).unwrap()
}

/// How long some work took, and how much time of processors, of all threads.
struct Cost {
    count: usize,
    wall: f64,
    cpu: f64,
}

impl Cost {
    fn of(count: usize, work: impl FnOnce()) -> Self {
        let (started, cpu) = (Instant::now(), cpu_seconds());
        work();
        Self { count, wall: started.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu }
    }

    fn row(&self, what: &str) {
        let rate = |seconds: f64| grouped(self.count as f64 / seconds.max(0.01));
        println!("| {what} | {} | {} |", rate(self.wall), rate(self.cpu));
    }

    /// In microseconds, by the clock and of processors.
    fn each(&self) -> [f64; 2] {
        [self.wall, self.cpu].map(|seconds| seconds * 1e6 / self.count as f64)
    }
}

/// The processor time of this process, in steps of a hundredth of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

/// What the process takes of memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// A number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let parts: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap()).collect();
    parts.join(",")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Tokens minted and restored.
fn rates(scale: usize) {
    println!("\n| tokens of addresses, 20 to a request | a second | a second of processor time |");
    println!("| --- | --- | --- |");
    let folder = tempfile::tempdir().unwrap();
    for (name, url) in [("memory", VaultUrl::Memory), ("embedded", VaultUrl::Embedded(folder.path().join("v")))] {
        let runtime = runtime(1);
        let vault = open(&runtime, &url, 64 << 20);
        let count = 4_000 * scale;
        // As many requests at once as a busy gateway has.
        let requests: Vec<Vec<String>> =
            (0..count / FINDINGS).map(|n| values(n * FINDINGS..(n + 1) * FINDINGS)).collect();
        let mint = |requests: &[Vec<String>]| {
            let mut minted = Vec::new();
            for (first, together) in requests.chunks(64).enumerate() {
                let calls = together.iter().enumerate().map(|(n, values)| {
                    let vault = vault.clone();
                    async move {
                        let subject = vault.subject("default", &person((first * 64 + n) % 100)).await.unwrap();
                        subject.tokenize(&findings(values)).await.unwrap()
                    }
                });
                minted.extend(runtime.block_on(join_all(calls)));
            }
            minted
        };
        let mut minted = Vec::new();
        Cost::of(count, || minted = mint(&requests)).row(&format!("minted, new values, {name}"));
        // Few enough that all of them are in the cache.
        let known = requests.len().min(2_000);
        mint(&requests[..known]);
        Cost::of(known * FINDINGS * 10, || {
            for _ in 0..10 {
                black_box(mint(&requests[..known]));
            }
        })
        .row(&format!("minted, known values, {name}"));
        Cost::of(known * FINDINGS * 20, || {
            for _ in 0..20 {
                for (n, tokens) in minted[..known].iter().enumerate() {
                    let subject = runtime.block_on(vault.subject("default", &person(n % 100))).unwrap();
                    for token in tokens {
                        black_box(subject.cached(token).unwrap());
                    }
                }
            }
        })
        .row(&format!("restored, from the cache, {name}"));
        if matches!(url, VaultUrl::Embedded(_)) {
            let key = Key::generate();
            let cold = VaultUrl::Embedded(folder.path().join("cold"));
            let options = Options { cache_bytes: 0, ..Options::default() };
            let vault = runtime.block_on(Vault::open(&cold, key, options)).unwrap();
            let subject = runtime.block_on(vault.subject("default", "ana")).unwrap();
            let tokens = runtime.block_on(subject.tokenize(&findings(&values(0..10_000)))).unwrap();
            Cost::of(count / 2, || {
                for n in 0..count / 2 / FINDINGS {
                    let at = n * FINDINGS % tokens.len();
                    black_box(runtime.block_on(subject.restore(&tokens[at..at + FINDINGS])).unwrap());
                }
            })
            .row("restored, from the file, embedded");
        }
        runtime.block_on(vault.close());
    }
}

fn person(number: usize) -> String {
    format!("person-{number}")
}

/// Durable requests, each with one new value, against what the store commits by
/// itself, in turns.
fn durable(rounds: usize, length: Duration) {
    println!("\n| requests at once | the store alone, a second | requests made durable, a second | ratio |");
    println!("| --- | --- | --- | --- |");
    let runtime = runtime(2);
    for at_once in [1, 16, 64, 256] {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(&folder.path().join("store"), 32 << 20).unwrap());
        let vault = open(&runtime, &VaultUrl::Embedded(folder.path().join("vault")), 64 << 20);
        let (mut limits, mut minted, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (alone, ours) = (Arc::clone(&store), vault.clone());
            let limit = together(&runtime, at_once, length, move |number| put(Arc::clone(&alone), number));
            let rate = together(&runtime, at_once, length, move |number| mint_one(ours.clone(), number));
            limits.push(limit);
            minted.push(rate);
            ratios.push(rate / limit);
        }
        let [limit, rate, ratio] = [limits, minted, ratios].map(median);
        println!("| {at_once} | {} | {} | {ratio:.2} |", grouped(limit), grouped(rate));
        runtime.block_on(store.close()).unwrap();
        runtime.block_on(vault.close());
    }
}

/// How many calls a second so many tasks make, each one after another.
fn together<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    tasks: usize,
    length: Duration,
    call: impl Fn(u64) -> F + Clone + Send + 'static + Sync,
) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let started = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let call = call.clone();
            runtime.spawn(async move {
                let mut done = 0;
                while started.elapsed() < length {
                    call(NEXT.fetch_add(1, Ordering::Relaxed)).await;
                    done += 1;
                }
                done
            })
        })
        .collect();
    let done: u64 = runtime.block_on(join_all(tasks)).into_iter().map(Result::unwrap).sum();
    done as f64 / started.elapsed().as_secs_f64()
}

/// A record as long as that of an address, of one of a hundred subjects.
async fn put(store: Arc<Embedded>, number: u64) {
    let batch = Batch {
        row: Row { tenant: [1; 8], subject: [(number % 100) as u8; 16] },
        subject: b"keys".as_slice().into(),
        first_contact: true,
        mappings: vec![(Token::new(EMAIL, number), vec![7; 73])],
        found_by: Vec::new(),
        is_told: false,
    };
    store.put(batch).await.unwrap();
}

async fn mint_one(vault: Vault, number: u64) {
    let subject = vault.subject("default", &person((number % 100) as usize)).await.unwrap();
    subject.tokenize(&findings(&values(number as usize..number as usize + 1))).await.unwrap();
}

/// What a vault of a size costs.
struct Sized {
    tokens: usize,
    filled: Duration,
    bytes: u64,
    opened: Duration,
    restored: Cost,
    minted: Cost,
}

fn sized(tokens: usize, scale: usize) -> Sized {
    let runtime = runtime(2);
    let folder = tempfile::tempdir().unwrap();
    let (url, key) = (VaultUrl::Embedded(folder.path().to_owned()), Key::generate());
    // Without a cache of values, so that the store is what is measured.
    let options = Options { cache_bytes: 0, ..Options::default() };
    let vault = runtime.block_on(Vault::open(&url, key.clone(), options.clone())).unwrap();
    let people = (tokens / PER_SUBJECT).max(1);
    let started = Instant::now();
    let sample = fill(&runtime, &vault, people);
    let filled = started.elapsed();
    runtime.block_on(vault.close());

    let started = Instant::now();
    let vault = runtime.block_on(Vault::open(&url, key, options)).unwrap();
    let opened = started.elapsed();
    let restore = |rounds: usize| {
        for n in 0..rounds {
            // Far apart, one after another.
            let (person_of, tokens) = &sample[n * 7_919 % sample.len()];
            runtime.block_on(async {
                let subject = vault.subject("default", &person(*person_of)).await.unwrap();
                let restored = subject.restore(tokens).await.unwrap();
                assert!(restored.iter().all(Option::is_some));
            });
        }
    };
    restore(20 * scale);
    let rounds = 100 * scale;
    let restored = Cost::of(rounds * FINDINGS, || restore(rounds));
    // So many at once that a commit is shared, as under load.
    let rounds = scale.max(2);
    let minted = Cost::of(rounds * 64 * FINDINGS, || {
        for round in 0..rounds {
            let calls = (0..64).map(|n| {
                let (vault, number) = (vault.clone(), round * 64 + n);
                let of = sample[number * 7_919 % sample.len()].0;
                async move {
                    let first = (1 << 40) + number * FINDINGS;
                    let subject = vault.subject("default", &person(of)).await.unwrap();
                    subject.tokenize(&findings(&values(first..first + FINDINGS))).await.unwrap();
                }
            });
            runtime.block_on(join_all(calls));
        }
    });
    runtime.block_on(vault.close());
    let bytes = std::fs::metadata(folder.path().join("vault.redb")).unwrap().len();
    Sized { tokens, filled, bytes, opened, restored, minted }
}

/// Mints for so many people; gives tokens of some of them.
fn fill(runtime: &Runtime, vault: &Vault, people: usize) -> Vec<(usize, Vec<Token>)> {
    let step = (people / SAMPLE).max(1);
    let mut sample = Vec::new();
    let all: Vec<usize> = (0..people).collect();
    for together in all.chunks(AT_ONCE) {
        let calls = together.iter().map(|number| {
            let (vault, number) = (vault.clone(), *number);
            runtime.spawn(async move {
                let subject = vault.subject("default", &person(number)).await.unwrap();
                let values = values(number * PER_SUBJECT..(number + 1) * PER_SUBJECT);
                let mut tokens = subject.tokenize(&findings(&values)).await.unwrap();
                tokens.truncate(FINDINGS);
                (number, tokens)
            })
        });
        let filled = runtime.block_on(join_all(calls)).into_iter().map(Result::unwrap);
        sample.extend(filled.filter(|(number, _)| number % step == 0));
    }
    sample
}

fn print_sizes(all: &[Sized]) {
    println!(
        "\n| tokens in the vault | file | filled in | opened in | µs to restore one, of processors | µs to mint one, of processors |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for Sized { tokens, filled, bytes, opened, restored, minted } in all {
        println!(
            "| {} | {} MiB | {:.1} s | {:.1} ms | {:.2}, {:.2} | {:.2}, {:.2} |",
            grouped(*tokens as f64),
            bytes >> 20,
            filled.as_secs_f64(),
            opened.as_secs_f64() * 1e3,
            restored.each()[0],
            restored.each()[1],
            minted.each()[0],
            minted.each()[1],
        );
    }
    let growth = |cost: fn(&Sized) -> f64| {
        let costs = || all.iter().map(cost);
        costs().fold(0.0, f64::max) / costs().fold(f64::INFINITY, f64::min)
    };
    let (restored, minted) = (growth(|size| size.restored.each()[0]), growth(|size| size.minted.each()[0]));
    let judged = |growth: f64| if growth <= FLAT { "flat" } else { "NOT flat" };
    println!(
        "\nFrom the least to the most: restoring × {restored:.2} ({}), minting × {minted:.2} ({}); the bound is {FLAT}.",
        judged(restored),
        judged(minted),
    );
}

/// Many more values than there is room for go through the cache: each time in a
/// process of its own, so that no memory is left of the time before.
fn cache(scale: usize) {
    println!("\n| budget of the cache | values that went through | memory that the process took for them |");
    println!("| --- | --- | --- |");
    std::io::stdout().flush().unwrap();
    for mebibytes in [16, 64, NO_BOUND] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let done = child.args([CACHE, &mebibytes.to_string(), &scale.to_string()]).status().unwrap();
        assert!(done.success());
    }
}

/// The argument by which a process measures one cache.
const CACHE: &str = "--cache";

/// In MiB, more than there is to hold.
const NO_BOUND: usize = 16 << 10;

fn measure_cache(mebibytes: usize, scale: usize) {
    let (runtime, folder) = (runtime(1), tempfile::tempdir().unwrap());
    let url = VaultUrl::Embedded(folder.path().to_owned());
    // Of the store's own cache little, so that it is full before.
    let options = Options { cache_bytes: mebibytes << 20, page_cache_bytes: 1 << 20, ..Options::default() };
    let vault = runtime.block_on(Vault::open(&url, Key::generate(), options)).unwrap();
    let through = |people: Range<usize>| {
        for people in people.collect::<Vec<_>>().chunks(16) {
            let calls = people.iter().map(|number| {
                let vault = &vault;
                async move {
                    let subject = vault.subject("default", &person(*number)).await.unwrap();
                    let values = values(number * 500..(number + 1) * 500);
                    subject.tokenize(&findings(&values)).await.unwrap();
                }
            });
            runtime.block_on(join_all(calls));
        }
    };
    let people = 20 * scale;
    // What the store and the allocator need once is there before.
    through(0..people / 20);
    let before = resident();
    through(people / 20..people);
    let taken = resident().saturating_sub(before) >> 20;
    let budget = if mebibytes == NO_BOUND { "without a bound".to_owned() } else { format!("{mebibytes} MiB") };
    println!("| {budget} | {} | {taken} MiB |", grouped((people * 500) as f64));
    runtime.block_on(vault.close());
}
