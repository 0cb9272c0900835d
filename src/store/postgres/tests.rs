//! Against a real server.

use super::*;
use crate::store::{Change, Expect, suite};
use cluster::{Bouncer, Cluster, Durability};
use std::sync::{LazyLock, Mutex};

#[path = "../../../tests/it/support/cluster.rs"]
#[allow(dead_code, unreachable_pub, reason = "the integration tests use the rest")]
pub(crate) mod cluster;

pub(crate) mod engine;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_an_engine_that_lacks_much() {
    let engine = engine::Engine::before(CLUSTER.primary.port).await;
    suite::run(|| async {
        let url = CLUSTER.database().replace(&CLUSTER.primary.port.to_string(), &engine.port.to_string());
        open(&url).await.unwrap()
    })
    .await;
    let refused = engine.refused.all();
    assert!(refused.iter().all(|sql| sql.contains("notify")), "only telling may be lacking: {refused:#?}");
    assert!(!refused.is_empty(), "nothing was refused");
    assert!(engine.named.all().is_empty(), "a statement has a name");
}

/// So tables can be split by tenant, and all of a subject lies together.
#[tokio::test]
async fn every_key_is_led_by_tenant_and_subject() {
    let url = CLUSTER.database();
    open(&url).await.unwrap().close().await.unwrap();
    let (_, database) = url.rsplit_once('/').unwrap();
    let ask = |sql: &str| CLUSTER.primary.ask_in(database, sql);
    let tables = ask("select count(*) from pg_tables where schemaname = 'public' and tablename like 'privet%'");
    let led = ask("select count(*) from pg_index as i join pg_class as c on c.oid = i.indrelid
         where c.relname like 'privet%' and i.indisprimary
         and (select attname from pg_attribute where attrelid = c.oid and attnum = i.indkey[0]) = 'tenant'
         and (select attname from pg_attribute where attrelid = c.oid and attnum = i.indkey[1]) = 'subject'");
    assert_eq!((tables.as_str(), led.as_str()), ("6", "6"));
    assert_eq!(
        ask(
            "select count(*) from pg_index as i join pg_class as c on c.oid = i.indrelid where c.relname like 'privet%'"
        ),
        led
    );
    let others = "select (select count(*) from pg_sequences) + (select count(*) from pg_trigger)
                  + (select count(*) from pg_constraint as c join pg_class as t on t.oid = c.conrelid
                     where t.relname like 'privet%' and contype <> 'p')
                  + (select count(*) from pg_proc where pronamespace = 'public'::regnamespace)
                  + (select count(*) from pg_extension where extname <> 'plpgsql')";
    assert_eq!(ask(others), "0", "no sequence, trigger, constraint, function or extension");
}

/// Requests that come at once share a statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_wait_share_a_statement() {
    let cluster = Cluster::start(Durability::None, &["log_statement = 'all'"]);
    let store = Arc::new(open(&cluster.database()).await.unwrap());
    let row = |n: u8| Row { tenant: [1; 8], subject: [n; 16] };
    let batch = |n: u8, bits: u64| Batch {
        row: row(n),
        subject: vec![n].into(),
        first_contact: true,
        mappings: vec![(Token::new(Entity::constant("EMAIL"), bits), vec![n])],
        found_by: vec![[n; 16]],
        is_told: n.is_multiple_of(2),
    };
    // Some of them are not to be stored, which harms no other.
    assert_eq!(store.put(Batch { subject: b"other".as_slice().into(), ..batch(7, 9) }).await.unwrap(), Outcome::Stored);
    assert_eq!(store.put(batch(8, 1)).await.unwrap(), Outcome::Stored);
    let seen = cluster.primary.log().len();
    let puts = (0..100).map(|n| {
        let (store, batch) = (Arc::clone(&store), batch(n, 1));
        tokio::spawn(async move { store.put(batch).await.unwrap() })
    });
    let puts: Vec<_> = puts.collect();
    for (n, put) in (0..).zip(puts) {
        let expected = match n {
            7 => Outcome::Superseded(Some(b"other".to_vec())),
            8 => Outcome::Taken(vec![(Token::new(Entity::constant("EMAIL"), 1), vec![8])]),
            _ => Outcome::Stored,
        };
        assert_eq!(put.await.unwrap(), expected, "{n}");
    }
    let log = cluster.primary.log();
    let statements = log.get(seen..).unwrap_or_default().matches("insert into privet_mappings").count();
    assert!((1..50).contains(&statements), "{statements} statements for a hundred batches");
    let tenant = Row { tenant: [1; 8], subject: [0; 16] };
    for n in 0..100 {
        let found = store.found(tenant, [n; 16]).await.unwrap();
        assert_eq!(found, [row(n)]);
    }
    // Several of one subject come one after another.
    let puts = (0..50).map(|bits| {
        let (store, batch) = (Arc::clone(&store), batch(1, 100 + bits));
        tokio::spawn(async move { store.put(batch).await.unwrap() })
    });
    for put in puts.collect::<Vec<_>>() {
        assert_eq!(put.await.unwrap(), Outcome::Stored);
    }
    assert_eq!(store.all(row(1), Entity::constant("EMAIL")).await.unwrap().len(), 51);
    let database = store_events(&cluster, "privet_0");
    assert_eq!(database.0, database.1, "each lane numbers its events without a gap");
    assert!(database.0 >= 40, "{} events", database.0);
}

/// How many events there are, and how many the lanes have counted.
fn store_events(cluster: &Cluster, database: &str) -> (usize, usize) {
    let count = |sql: &str| cluster.primary.ask_in(database, sql).parse::<usize>().unwrap();
    (count("select count(*) from privet_events"), count("select sum(newest) from privet_lanes"))
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
                    found_by: Vec::new(),
                    is_told: false,
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

/// A subject that somebody else has locked, as for a long erasure, holds up
/// its own requests alone, however many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_subject_holds_up_nobody_else() {
    let url = CLUSTER.database();
    let store = Arc::new(open(&format!("{url}?statement_timeout=30000")).await.unwrap());
    let batch = |n: u8, bits: u64| Batch {
        row: Row { tenant: [1; 8], subject: [n; 16] },
        subject: b"keys".as_slice().into(),
        first_contact: true,
        mappings: vec![(Token::new(Entity::constant("EMAIL"), bits), b"value".to_vec())],
        found_by: Vec::new(),
        is_told: false,
    };
    for n in [0, 40] {
        assert_eq!(store.put(batch(n, 0)).await.unwrap(), Outcome::Stored);
    }
    let connect = async || {
        let (session, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        session
    };
    // In a transaction the activity is that of its first look.
    let (other, watch) = (connect().await, connect().await);
    other.batch_execute("begin; select 1 from privet_subjects for update").await.unwrap();
    let put = |n: u8, bits: u64| {
        let (store, batch) = (Arc::clone(&store), batch(n, bits));
        tokio::spawn(async move { store.put(batch).await.unwrap() })
    };
    // As many are locked as there are places to write from. Each is under way by
    // itself: what would go with it had to wait with it.
    let mut locked = Vec::new();
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    for (n, many) in [(0, 1), (40, 2)] {
        locked.push(put(n, 1));
        while watch.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) < many {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    locked.extend((2..9).map(|bits| put(0, bits)));
    let free: Vec<_> = (1..40).map(|n| put(n, 1)).collect();
    for put in free {
        assert_eq!(put.await.unwrap(), Outcome::Stored);
    }
    assert!(locked.iter().all(|put| !put.is_finished()), "the lock did not hold");
    other.batch_execute("rollback").await.unwrap();
    for put in locked {
        assert_eq!(put.await.unwrap(), Outcome::Stored);
    }
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
            found_by: Vec::new(),
            is_told: false,
        };
        assert_eq!(store.put(batch).await.unwrap(), Outcome::Stored);
    }
    let stored = CLUSTER.primary.ask_in(database, "select count(*) from privet_subjects");
    assert_eq!(stored, "80", "all that was acknowledged is there for others too");
}
