//! Against a real server.

use super::*;
use crate::store::{Change, Expect, suite};
use cluster::{Bouncer, Cluster, Durability};
use std::sync::{LazyLock, Mutex};

#[path = "../../../tests/it/support/cluster.rs"]
#[allow(dead_code, unreachable_pub, reason = "the integration tests use the rest")]
pub(crate) mod cluster;

/// One server for all tests of this process that do not harm it.
pub(crate) static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(Durability::None, &[]));

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

#[tokio::test]
async fn what_is_not_durable_is_no_vault() {
    let url = CLUSTER.database();
    let (_, database) = url.rsplit_once('/').unwrap();
    CLUSTER.primary.run(&format!("alter database {database} set synchronous_commit = off"));
    let error = open(&url).await.err().unwrap().to_string();
    assert!(error.contains("synchronous_commit"), "{error}");
    CLUSTER.primary.run(&format!("alter database {database} set synchronous_commit = local"));
    CLUSTER.primary.run(&format!("alter database {database} set default_transaction_read_only = on"));
    let error = open(&url).await.err().unwrap().to_string();
    assert!(error.contains("cannot be written"), "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let url = CLUSTER.database();
    open(&url).await.unwrap();
    let (_, database) = url.rsplit_once('/').unwrap();
    CLUSTER.primary.ask_in(database, "update privet_schema set version = 99");
    assert!(matches!(open(&url).await, Err(StoreError::NewerFormat { found: 99, .. })));
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let url = CLUSTER.database();
    let store = open(&url).await.unwrap();
    let record = store.put_meta(None, b"kept".to_vec()).await.unwrap();
    store.close().await.unwrap();
    let (_, database) = url.rsplit_once('/').unwrap();
    // As one whose making was cut short, or was of a build before all steps.
    CLUSTER.primary.ask_in(database, "update privet_schema set version = 0; drop table privet_events");
    let store = open(&url).await.unwrap();
    assert_eq!(store.meta().await.unwrap(), Some(record));
    let event = Event { row: Row::DEPLOYMENT, kind: EventKind::Rotated };
    assert!(store.write(Vec::new(), Some(event)).await.unwrap(), "what was missing is there");
    assert_ne!(CLUSTER.primary.ask_in(database, "select version from privet_schema"), "0");
}

#[tokio::test]
async fn no_error_shows_the_password() {
    let port = CLUSTER.primary.port;
    for url in [
        format!("postgres://nobody:s3cret@127.0.0.1:{port}/nothing"),
        "postgres://nobody:s3cret@127.0.0.1:1/nothing".to_owned(),
        format!("postgres://nobody:s3cret@127.0.0.1:{port}/nothing?sslmode=verify-full"),
        format!("postgres://nobody:s3cret@127.0.0.1:{port}/nothing?sslrootcert=/s3cret"),
    ] {
        let error = open(&url).await.err().unwrap();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

/// Writers and erasers of the same subjects leave no token without its subject.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_leaves_nothing_of_those_who_write_at_the_same_time() {
    let url = CLUSTER.database();
    let (_, database) = url.rsplit_once('/').unwrap();
    let store = Arc::new(open(&url).await.unwrap());
    let row = |n: u64| Row { tenant: [1; 8], subject: [n as u8 % 3; 16] };
    let mut tasks = Vec::new();
    for writer in 0..8u64 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let mut stored = 0;
            for n in 0..60 {
                let token = Token::new(Entity::constant("EMAIL"), writer * 1000 + n);
                let batch = Batch {
                    row: row(n),
                    subject: b"keys".as_slice().into(),
                    first_contact: true,
                    mappings: vec![(token, b"value".to_vec())],
                    changes: Vec::new(),
                };
                stored += usize::from(store.put(batch).await.unwrap() == Outcome::Stored);
            }
            stored
        }));
    }
    let eraser = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut erased = 0;
            for n in 0..120 {
                erased += store.erase(row(n)).await.unwrap();
            }
            erased
        })
    };
    let mut stored = 0;
    for task in tasks {
        stored += task.await.unwrap();
    }
    let erased = eraser.await.unwrap();
    let count = |sql: &str| CLUSTER.primary.ask_in(database, sql).parse::<usize>().unwrap();
    let orphans = "select count(*) from privet_mappings left join privet_subjects using (tenant, subject) \
                   where privet_subjects.record is null";
    assert_eq!(count(orphans), 0);
    assert_eq!(stored, 480);
    assert!(erased > 0, "they never met");
    assert_eq!(count("select count(*) from privet_mappings"), stored - erased);
}

/// Of many who change one record on one condition, one wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_expect_the_same_one_wins() {
    let store = Arc::new(open(&CLUSTER.database()).await.unwrap());
    let change = |expect, value: &str| Change {
        row: Row::DEPLOYMENT,
        space: Space::Once,
        key: b"k".to_vec(),
        expect,
        value: Some(value.into()),
    };
    for expect in [Expect::Absent, Expect::Is(b"won".to_vec())] {
        let value = if expect == Expect::Absent { "won" } else { "won again" };
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (store, change) = (Arc::clone(&store), change(expect.clone(), value));
                tokio::spawn(async move { store.write(vec![change], None).await.unwrap() })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1, "{expect:?}");
    }
}

#[tokio::test]
async fn who_lags_behind_all_events_that_are_kept_is_told() {
    let url = CLUSTER.database();
    let (_, database) = url.rsplit_once('/').unwrap();
    let (here, there) = (open(&url).await.unwrap(), open(&url).await.unwrap());
    assert!(there.news().await.unwrap().missed, "nothing is known at first");
    let event = Event { row: Row::DEPLOYMENT, kind: EventKind::Changed };
    for _ in 0..3 {
        assert!(here.write(Vec::new(), Some(event)).await.unwrap());
    }
    let news = there.news().await.unwrap();
    assert_eq!((news.events, news.missed), (vec![event; 3], false));
    assert_eq!(here.news().await.unwrap().events, [], "its own are no news");
    for _ in 0..3 {
        assert!(here.write(Vec::new(), Some(event)).await.unwrap());
    }
    CLUSTER.primary.ask_in(database, "delete from privet_events where id < 6");
    assert!(there.news().await.unwrap().missed);
    assert!(!there.news().await.unwrap().missed);
}

/// A call that is dropped in the middle leaves no transaction to those who get
/// its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_waiting_for_an_erasure_harms_nobody() {
    let url = CLUSTER.database();
    let (_, database) = url.rsplit_once('/').unwrap();
    let store = open(&format!("{url}?pool_max_conns=1")).await.unwrap();
    for micros in (0..4000).step_by(50) {
        let row = Row { tenant: [2; 8], subject: u128::from(micros).to_be_bytes() };
        let erasing = store.erase(row);
        let _ = tokio::time::timeout(std::time::Duration::from_micros(micros), erasing).await;
        let batch = Batch {
            row,
            subject: b"k".as_slice().into(),
            first_contact: true,
            mappings: Vec::new(),
            changes: Vec::new(),
        };
        assert_eq!(store.put(batch).await.unwrap(), Outcome::Stored);
    }
    let stored = CLUSTER.primary.ask_in(database, "select count(*) from privet_subjects");
    assert_eq!(stored, "80", "all that was acknowledged is there for others too");
}
