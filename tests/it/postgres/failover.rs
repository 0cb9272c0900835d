//! The primary dies under load, its standby takes over, and the gateway goes
//! on by itself.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const CLIENTS: usize = 6;

/// What the clients met.
#[derive(Default)]
struct Met {
    ends: AtomicBool,
    answered: AtomicUsize,
    refused: AtomicUsize,
}

impl Met {
    /// Waits until so many more of these have happened.
    async fn wait(&self, counter: &AtomicUsize, more: usize) {
        let (from, started) = (counter.load(Ordering::SeqCst), Instant::now());
        while counter.load(Ordering::SeqCst) < from + more {
            assert!(started.elapsed() < PATIENCE * 2, "only {} more", counter.load(Ordering::SeqCst) - from);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Clients that write to somebody new each time, until told to end.
fn load(privet: &Privet, met: &Arc<Met>) -> Vec<tokio::task::JoinHandle<()>> {
    let client = |number: usize| {
        let (client, met) = (Client::new(&privet.gateway), Arc::clone(met));
        tokio::spawn(async move {
            for n in 0.. {
                if met.ends.load(Ordering::SeqCst) {
                    return;
                }
                let subject = format!("subject-{}", n % 5);
                let reply = write_to(&client, &subject, &format!("c{number}.n{n}")).await.unwrap();
                if reply.status == 200 {
                    assert_eq!(reply.says(), format!("write to c{number}.n{n}@example.com"));
                    met.answered.fetch_add(1, Ordering::SeqCst);
                } else {
                    reply.problem(503, "vault-unavailable");
                    met.refused.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        })
    };
    (0..CLIENTS).map(client).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_and_no_token_is_lost() {
    let cluster = Cluster::start(Durability::Full, &[]);
    let (upstream, at_primary) = (Upstream::echo().await, cluster.database());
    let standby = cluster.synchronous_standby();
    let (_, database) = at_primary.rsplit_once('/').unwrap();
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", cluster.primary.port, standby.port);
    let url = format!("postgres://postgres@{hosts}/{database}?connect_timeout=1&statement_timeout=2000");
    let privet = replica(&upstream, &url);
    let met = Arc::new(Met::default());
    let clients = load(&privet, &met);
    met.wait(&met.answered, 100).await;

    cluster.primary.kill();
    let killed = Instant::now();
    met.wait(&met.refused, 20).await;
    let admin = Client::new(&privet.admin);
    assert_eq!(admin.get("/readyz").await.status, 503);
    let forwarded = upstream.recorded().len();
    met.wait(&met.refused, 20).await;
    assert_eq!(upstream.recorded().len(), forwarded, "nothing is forwarded without a vault");

    standby.promote();
    met.wait(&met.answered, 100).await;
    println!("{:?} after the end of the primary, 100 requests later", killed.elapsed());
    met.ends.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    // Its last answer holds for one second.
    let started = Instant::now();
    while admin.get("/readyz").await.status != 200 {
        assert!(started.elapsed() < PATIENCE, "the gateway answers and is not ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut known = Known::new();
    learn(&mut known, &upstream.recorded());
    let all: usize = known.values().map(HashMap::len).sum();
    println!("{all} tokens were forwarded, {} requests refused", met.refused.load(Ordering::SeqCst));
    assert!(all >= 200);
    hold_to_account(&standby.url(database), &known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_server_needs_none_of_the_gateway() {
    let cluster = Cluster::start(Durability::Full, &[]);
    let (upstream, url) = (Upstream::echo().await, cluster.database());
    let privet = replica(&upstream, &url);
    let met = Arc::new(Met::default());
    let clients = load(&privet, &met);
    for round in 0..4 {
        met.wait(&met.answered, 40).await;
        if round % 2 == 0 {
            cluster.primary.stop();
        } else {
            cluster.primary.kill();
        }
        met.wait(&met.refused, 10).await;
        cluster.primary.start();
    }
    met.wait(&met.answered, 40).await;
    met.ends.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert!(met.refused.load(Ordering::SeqCst) >= 40);
    let mut known = Known::new();
    learn(&mut known, &upstream.recorded());
    hold_to_account(&url, &known).await;
}
