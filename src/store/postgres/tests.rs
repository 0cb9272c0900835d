//! Against a real server.

use super::*;
use crate::store::suite;
use cluster::{Bouncer, Cluster, Durability};
use std::sync::{LazyLock, Mutex};

#[path = "../../../tests/it/support/cluster.rs"]
#[allow(dead_code, unreachable_pub, reason = "the integration tests use the rest")]
mod cluster;

/// One server for all tests of this process that do not harm it.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(Durability::None, &[]));

async fn open(url: &str) -> Result<Postgres, StoreError> {
    let rest = url.strip_prefix("postgres:").unwrap();
    Postgres::open(&PostgresUrl::parse(rest).unwrap(), random()).await
}

fn random() -> u64 {
    static LAST: Mutex<u64> = Mutex::new(0);
    let mut last = LAST.lock().unwrap();
    *last += 1;
    *last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    suite::run(|| async { open(&CLUSTER.database()).await.unwrap() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_behind_a_pooler() {
    static BOUNCER: LazyLock<Bouncer> = LazyLock::new(|| Bouncer::start(&CLUSTER));
    suite::run(|| async {
        let url = CLUSTER.database();
        let (_, database) = url.rsplit_once('/').unwrap();
        open(&BOUNCER.url(database)).await.unwrap()
    })
    .await;
}
