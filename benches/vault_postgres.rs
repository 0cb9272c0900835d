//! Durable requests over `PostgreSQL` against what the server itself commits:
//! `cargo bench --bench vault_postgres`. It starts a server of its own, with
//! its usual durability. `PRIVET_BENCH_SECONDS` is the length of a measurement.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that fails may panic, and prints")]

use cluster::{Cluster, Durability};
use privet::entity::Entity;
use privet::vault::{Key, Options, Vault};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;
use tokio_postgres::types::Type;

#[path = "../tests/it/support/cluster.rs"]
#[allow(dead_code, unreachable_pub, clippy::panic, reason = "the integration tests use the rest")]
mod cluster;

const EMAIL: Entity = Entity::constant("EMAIL");
const SUBJECTS: u64 = 1000;

/// One row of the size of a mapping, in a transaction of its own.
const INSERT: &str = "insert into bench (tenant, subject, token, record) values ($1, $2, $3, $4)";

/// Rounds, of which each measures both, one after the other.
const ROUNDS: usize = 5;

fn main() {
    let seconds = std::env::var("PRIVET_BENCH_SECONDS").map_or(2.0, |text| text.parse().unwrap());
    let length = Duration::from_secs_f64(seconds);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = Cluster::start(Durability::Full, &[]);
    println!("| connections | rows the server commits a second | requests a second with a new value | ratio |");
    println!("| --- | --- | --- | --- |");
    for connections in [1, 4, 16, 64] {
        let (url, key) = (cluster.database(), Key::generate());
        let (mut plain, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let limit = runtime.block_on(commits(&url, connections, length));
            let minted = runtime.block_on(requests(&url, &key, connections, length));
            plain.push(limit);
            ours.push(minted);
            ratios.push(minted / limit);
        }
        let [plain, ours, ratio] = [plain, ours, ratios].map(median);
        println!("| {connections} | {plain:.0} | {ours:.0} | {ratio:.2} |");
    }
}

/// How many rows a second this many connections insert, each in a commit.
async fn commits(url: &str, connections: usize, length: Duration) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let ends = Instant::now() + length;
    let (first, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let table = "create table if not exists bench (tenant bytea, subject bytea, token bytea, record bytea, \
                 primary key (tenant, subject, token))";
    first.batch_execute(table).await.unwrap();
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let url = url.to_owned();
            tokio::spawn(async move {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
                tokio::spawn(connection);
                let mut done = 0;
                while Instant::now() < ends {
                    let number = NEXT.fetch_add(1, Ordering::Relaxed);
                    let mut subject = [0; 16];
                    subject[8..].copy_from_slice(&(number % SUBJECTS).to_be_bytes());
                    let token = [b"EMAIL\0".as_slice(), &number.to_be_bytes()].concat();
                    let (tenant, subject, record) = ([0u8; 8].as_slice(), subject.as_slice(), [7u8; 64].as_slice());
                    let parameters = [
                        (&tenant as _, Type::BYTEA),
                        (&subject as _, Type::BYTEA),
                        (&token as _, Type::BYTEA),
                        (&record as _, Type::BYTEA),
                    ];
                    client.execute_typed(INSERT, &parameters).await.unwrap();
                    done += 1;
                }
                done
            })
        })
        .collect();
    rate(workers, length).await
}

/// How many requests a second with one new value each the vault makes durable.
async fn requests(url: &str, key: &Key, connections: usize, length: Duration) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let url = format!("{url}?pool_max_conns={connections}").parse().unwrap();
    let vault = Arc::new(Vault::open(&url, key.clone(), Options::default()).await.unwrap());
    // Everybody is known, as in most requests.
    for number in 0..SUBJECTS {
        let subject = vault.subject("default", &format!("subject {number}")).await.unwrap();
        subject.tokenize(&[(EMAIL, "ana@example.com")]).await.unwrap();
    }
    let ends = Instant::now() + length;
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let vault = Arc::clone(&vault);
            tokio::spawn(async move {
                let mut done = 0;
                while Instant::now() < ends {
                    let number = NEXT.fetch_add(1, Ordering::Relaxed);
                    let subject = vault.subject("default", &format!("subject {}", number % SUBJECTS)).await.unwrap();
                    subject.tokenize(&[(EMAIL, &format!("ana.example.{number:08}@example.com"))]).await.unwrap();
                    done += 1;
                }
                done
            })
        })
        .collect();
    rate(workers, length).await
}

async fn rate(workers: Vec<tokio::task::JoinHandle<u32>>, length: Duration) -> f64 {
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    f64::from(done) / length.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
