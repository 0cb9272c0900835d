//! Replicas over one `PostgreSQL` database.

use super::*;
use crate::clock::PATIENCE;
use crate::store::EventKind;
use crate::store::postgres::tests::CLUSTER;
use crate::store::postgres::tests::cluster::{Bouncer, Cluster, Durability};
use crate::store::postgres::tests::engine::Engine;

use tokio::sync::broadcast::Receiver;

/// Within this time everybody knows what one of them changed.
const SOON: Duration = Duration::from_secs(1);

async fn open(url: &str, key: &Key) -> Vault {
    let vault = Vault::open(&url.parse().unwrap(), key.clone(), Options::default()).await.unwrap();
    // It believes nothing before it has heard what there is.
    becomes(async || vault.is_current()).await;
    vault
}

/// Waits until something holds; says how long that took.
async fn becomes(holds: impl AsyncFn() -> bool) -> Duration {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "not after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_mint_one_token_for_a_value_at_one_moment() {
    let (url, key) = (CLUSTER.database(), Key::generate());
    let replicas = [open(&url, &key).await, open(&url, &key).await];
    for round in 0..40 {
        // Every fourth is a first contact.
        let person = format!("person {}", round / 4);
        let minting = replicas.clone().map(|vault| {
            let person = person.clone();
            tokio::spawn(async move {
                let subject = vault.subject("default", &person).await.unwrap();
                let values = [format!("{round}@example.com"), "shared@example.com".to_owned()];
                let values = values.iter().map(|value| (entity("EMAIL"), value.as_str())).collect::<Vec<_>>();
                subject.tokenize(&values).await.unwrap()
            })
        });
        let [one, other] = minting;
        let (one, other) = (one.await.unwrap(), other.await.unwrap());
        assert_eq!(one, other);
        let value = format!("{round}@example.com");
        for vault in &replicas {
            let subject = vault.subject("default", &person).await.unwrap();
            assert_restores(&subject, &one, &emails(&[&value, "shared@example.com"])).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_make_one_vault() {
    let (url, key) = (CLUSTER.database(), Key::generate());
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let (url, key) = (url.clone(), key.clone());
            tokio::spawn(async move { Vault::open(&url.parse().unwrap(), key, Options::default()).await.unwrap() })
        })
        .collect();
    let mut tokens = HashSet::new();
    for vault in starting {
        let subject = vault.await.unwrap().subject("default", "ana").await.unwrap();
        tokens.insert(subject.tokenize(&emails(&["ana@example.com"])).await.unwrap());
    }
    assert_eq!(tokens.len(), 1);
    let other = Vault::open(&url.parse().unwrap(), Key::generate(), Options::default()).await.unwrap_err();
    assert!(matches!(other, VaultError::WrongKey { .. }), "{other}");
}

/// One replica changes records that another remembers, which hears of it.
async fn changes_are_heard_of(url: &str, before_each: impl Fn()) {
    let key = Key::generate();
    let (here, there) = (open(url, &key).await, open(url, &key).await);
    let mut told = there.subscribe();
    let values = emails(&["a@example.com", "b@example.com"]);
    let subject = here.subject("default", "ana").await.unwrap();
    let remembering = there.subject("default", "ana").await.unwrap();
    let row = here.row("default", "ana");
    let store = Arc::clone(&here.shared().store);
    for kind in [EventKind::Rectified, EventKind::Removed, EventKind::Erased] {
        let tokens = subject.tokenize(&values).await.unwrap();
        // News of before may still come, and then it is forgotten once more.
        becomes(async || {
            let found = remembering.restore(&tokens).await;
            found.is_ok_and(|found| !found.contains(&None)) && tokens.iter().all(|t| remembering.cached(t).is_some())
        })
        .await;
        before_each();
        match kind {
            EventKind::Rectified => {
                let old = store.mappings(row, &tokens).await.unwrap().remove(0).unwrap();
                let new =
                    subject.state().keys().seal(row, &tokens[0], entity("EMAIL"), "c@example.com", 1, [1; 12]).unwrap();
                assert!(store.swap_mapping(row, tokens[0], old, new).await.unwrap());
            }
            EventKind::Removed => {
                let record = store.mappings(row, &tokens).await.unwrap().remove(0).unwrap();
                assert_eq!(store.remove(row, vec![(tokens[0], record)]).await.unwrap(), 1);
            }
            _ => assert_eq!(store.erase(row).await.unwrap(), 2),
        }
        here.shared().heed(Event { row, kind });
        let took = becomes(async || remembering.cached(&tokens[0]).is_none_or(|v| v.expose() != "a@example.com")).await;
        println!("{kind:?} was heard of after {took:?}");
        hears(&there, &mut told, Event { row, kind }).await;
        let found = becomes_known(&remembering, &tokens[0]).await;
        assert_eq!(found.as_deref(), (kind == EventKind::Rectified).then_some("c@example.com"));
        assert_eq!(subject.cached(&tokens[0]), None, "here it is forgotten as well");
        if kind == EventKind::Rectified {
            // What it was is what the value's token stands for no more.
            let records = store.mappings(row, &tokens).await.unwrap();
            let standing = tokens.iter().zip(records).filter_map(|(token, record)| Some((*token, record?)));
            store.remove(row, standing.collect()).await.unwrap();
            here.shared().heed(Event { row, kind: EventKind::Removed });
            becomes(async || tokens.iter().all(|token| remembering.cached(token).is_none())).await;
        }
    }
    // Of an erased person nothing is left under the handle that is held.
    let tokens = remembering.tokenize(&values).await.unwrap();
    assert_restores(&subject, &tokens, &values).await;

    let mut again = there.subscribe();
    let withdrawn = Event { row, kind: EventKind::Withdrawn };
    assert!(here.records().write(&[], Some(withdrawn)).await.unwrap());
    let record = store.meta().await.unwrap().unwrap();
    store.put_meta(Some(record.clone()), record).await.unwrap();
    hears(&there, &mut told, withdrawn).await;
    hears(&there, &mut again, Event { row: Row::DEPLOYMENT, kind: EventKind::Rotated }).await;
}

/// Waits for an event among others. Who has not heard of it after a second must
/// know that, and believe nothing that is remembered.
async fn hears(vault: &Vault, told: &mut Receiver<Event>, event: Event) {
    let started = Instant::now();
    loop {
        // Asked first: what is believed then was told before.
        let is_late = started.elapsed() >= SOON;
        let is_believed = vault.is_current();
        while let Ok(heard) = told.try_recv() {
            if heard == event {
                return;
            }
        }
        assert!(!(is_late && is_believed), "{event:?} was not heard of, and yet what is remembered is believed");
        assert!(started.elapsed() < PATIENCE, "{event:?} was not heard of");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn becomes_known(subject: &Subject, token: &Token) -> Option<String> {
    let found = subject.restore(&[*token]).await.unwrap().remove(0);
    found.map(|value| value.expose().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_heard_of_within_a_second() {
    changes_are_heard_of(&CLUSTER.database(), || ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_heard_of_where_the_connection_that_listens_is_killed() {
    let url = CLUSTER.database();
    let (_, database) = url.rsplit_once('/').unwrap();
    let killed = AtomicU64::new(0);
    changes_are_heard_of(&url, || {
        let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                    where datname = current_database() and pid <> pg_backend_pid() and query ~ 'from privet_(lanes|events)'";
        killed.fetch_add(CLUSTER.primary.ask_in(database, kill).parse().unwrap(), Ordering::Relaxed);
    })
    .await;
    assert!(killed.into_inner() >= 4, "nobody was cut off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_heard_of_behind_a_pooler_that_tells_nothing() {
    let cluster = Cluster::start(Durability::None, &[]);
    let (url, bouncer) = (cluster.database(), Bouncer::start(&cluster));
    let (_, database) = url.rsplit_once('/').unwrap();
    changes_are_heard_of(&bouncer.url(database), || ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_heard_of_on_an_engine_that_tells_nothing() {
    let engine = Engine::before(CLUSTER.primary.port).await;
    let url = CLUSTER.database().replace(&CLUSTER.primary.port.to_string(), &engine.port.to_string());
    changes_are_heard_of(&url, || ()).await;
    let refused = engine.refused.all();
    let count = |what: &str| refused.iter().filter(|sql| sql.contains(what)).count();
    assert!(count("listen ") >= 2 && count("pg_notify") >= 4, "{refused:#?}");
    assert_eq!(count("listen ") + count("pg_notify"), refused.len(), "nothing else is lacking: {refused:#?}");
    assert!(engine.named.all().is_empty(), "a statement has a name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_looks_for_what_another_minted_first() {
    let (url, key) = (CLUSTER.database(), Key::generate());
    let (here, there) = (open(&url, &key).await, open(&url, &key).await);
    let [one, other] = [&here, &there].map(|vault| async { vault.subject("default", "ana").await.unwrap() });
    let (one, other) = (one.await, other.await);
    assert!(other.kinds().await.unwrap().is_empty());
    one.tokenize(&emails(&["a@example.com"])).await.unwrap();
    assert!(other.kinds().await.unwrap().contains(entity("EMAIL")), "at once, at the first contact");
    one.tokenize(&[(entity("PHONE"), "+1 555 0100")]).await.unwrap();
    becomes(async || other.kinds().await.unwrap().contains(entity("PHONE"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_is_not_believed() {
    let cluster = Cluster::start(Durability::None, &[]);
    let vault = open(&format!("{}?statement_timeout=300", cluster.database()), &Key::generate()).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let values = emails(&["ana@example.com"]);
    let tokens = subject.tokenize(&values).await.unwrap();
    assert!(subject.cached(&tokens[0]).is_some());
    cluster.primary.stop();
    becomes(async || subject.cached(&tokens[0]).is_none()).await;
    assert!(matches!(subject.tokenize(&values).await, Err(VaultError::Unavailable { .. })), "known values too");
    assert!(matches!(subject.restore(&tokens).await, Err(VaultError::Unavailable { .. })));
    cluster.primary.start();
    becomes(async || vault.is_current()).await;
    assert_eq!(subject.tokenize(&values).await.unwrap(), tokens);
    assert_restores(&subject, &tokens, &values).await;
    assert!(subject.cached(&tokens[0]).is_some());
}

/// Statements that the server was sent between two looks into its log, without
/// those by which news are asked for and told of, which no request waits for.
fn asked_since(cluster: &Cluster, before: usize) -> Vec<String> {
    let log = cluster.primary.log();
    let is_statement = |line: &&str| line.contains("execute ") || line.contains("statement: ");
    let lines = log.get(before..).unwrap_or_default().split("LOG: ").filter(is_statement);
    let of_news = ["newest from privet_lanes", "event from privet_events", "pg_notify", "listen ", "current_setting"];
    lines.filter(|line| !of_news.iter().any(|news| line.contains(news))).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_one_statement_and_known_values_are_none() {
    let cluster = Cluster::start(Durability::None, &["log_statement = 'all'"]);
    let vault = open(&cluster.database(), &Key::generate()).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let tokens = subject.tokenize(&emails(&["a@example.com"])).await.unwrap();
    let names: Vec<String> = (0..20).map(|n| format!("{n}@example.com")).collect();
    let twenty: Vec<_> = names.iter().map(|value| (entity("EMAIL"), value.as_str())).collect();
    let mut seen = cluster.primary.log().len();
    let mut are_asked = |what: &str, count: usize| {
        let asked = asked_since(&cluster, seen);
        assert_eq!(asked.len(), count, "{what}: {asked:#?}");
        seen = cluster.primary.log().len();
    };
    subject.tokenize(&twenty).await.unwrap();
    are_asked("twenty new values", 1);
    subject.tokenize(&[(entity("PHONE"), "+1 415 555 0100")]).await.unwrap();
    are_asked("the first value of its kind", 1);
    let standing: &Standing<'_> = &|_| Box::pin(async { vec![false; 64] });
    subject.mint_surrogates(&[(entity("PERSON"), "Ana Berg")], standing).await.unwrap()[0].as_ref().unwrap();
    are_asked("the first surrogate, with a look for others", 2);
    subject.mint_surrogates(&[(entity("PERSON"), "Ben Falk")], standing).await.unwrap()[0].as_ref().unwrap();
    are_asked("a new surrogate", 1);
    subject.tokenize(&twenty).await.unwrap();
    subject.restore(&tokens).await.unwrap();
    are_asked("what is known", 0);
    vault.shared().cache.forget(|_| true);
    assert_restores(&subject, &tokens, &emails(&["a@example.com"])).await;
    are_asked("a value that is not in the cache", 1);
    assert!(cluster.primary.log().contains("privet_events"), "the log shows all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_connections_are_opened_than_allowed() {
    let url = CLUSTER.database();
    let (_, database) = url.rsplit_once('/').unwrap();
    let vault = open(&format!("{url}?pool_max_conns=3"), &Key::generate()).await;
    let ends = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let minting: Vec<_> = (0..40)
        .map(|n| {
            let (vault, ends) = (vault.clone(), Arc::clone(&ends));
            tokio::spawn(async move {
                let subject = vault.subject("default", &format!("p{n}")).await.unwrap();
                for i in 0.. {
                    if ends.load(Ordering::Relaxed) {
                        return i;
                    }
                    subject.tokenize(&emails(&[&format!("{n}.{i}@example.com")])).await.unwrap();
                }
                0
            })
        })
        .collect();
    let mut most = 0;
    for _ in 0..20 {
        let count = "select count(*) from pg_stat_activity where datname = current_database() \
                     and pid <> pg_backend_pid() and query !~ 'privet_(lanes|events)' and query !~ '^listen'";
        most = most.max(CLUSTER.primary.ask_in(database, count).parse::<usize>().unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ends.store(true, Ordering::Relaxed);
    let mut minted = 0;
    for task in minting {
        minted += task.await.unwrap();
    }
    assert!((2..=4).contains(&most), "{most} connections at once");
    assert!(minted > 40, "{minted} requests were served");
}
