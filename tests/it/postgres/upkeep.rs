//! The upkeep of a vault that replicas share, under their traffic: its key is
//! changed, it is backed up, and restored elsewhere.

use super::*;
use crate::support::scratch_folder;
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const NEW_KEY: &str = "xFILj+cxnWos+EZ+ENOrlVgPcuw7uWHUCp4l98iDFkc=";

/// `privet vault …` on a database.
fn vault(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = privet();
    command.arg("vault").args(arguments).args(["--vault", url]).envs(variables.iter().copied());
    command
}

async fn succeed(mut command: Command) -> String {
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(status.success(), "{said}");
    said
}

/// Clients that write to somebody new each time, and are never refused.
struct Traffic {
    ends: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Traffic {
    fn through(replicas: &[Privet]) -> Self {
        let (ends, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..4).map(|number| {
            let client = Client::new(&replicas[number % replicas.len()].gateway);
            let (ends, answered) = (Arc::clone(&ends), Arc::clone(&answered));
            tokio::spawn(async move {
                for n in 0.. {
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    // Every other one is a person whom nobody knows yet.
                    let subject = if n % 2 == 0 { format!("new-{number}-{n}") } else { format!("s{}", n % 20) };
                    let name = format!("c{number}.n{n}");
                    let reply = write_to(&client, &subject, &name).await.unwrap();
                    assert_eq!(reply.says(), format!("write to {name}@example.com"));
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        Self { ends: Arc::clone(&ends), answered: Arc::clone(&answered), clients: clients.collect() }
    }

    /// Waits until so many more were answered.
    async fn wait(&self, more: usize) {
        let (from, started) = (self.answered.load(Ordering::SeqCst), Instant::now());
        while self.answered.load(Ordering::SeqCst) < from + more {
            assert!(started.elapsed() < Duration::from_mins(1), "traffic stands still");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it; all were answered.
    async fn end(self) -> usize {
        self.ends.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.unwrap();
        }
        self.answered.load(Ordering::SeqCst)
    }
}

/// Many subjects, so that a change of the key takes a while.
async fn seed(url: &str, subjects: usize) -> Known {
    let vault = Vault::open(&url.parse().unwrap(), Key::from_base64(KEY).unwrap(), Options::default()).await.unwrap();
    let email = "EMAIL".parse().unwrap();
    let mut known = Known::new();
    for n in 0..subjects {
        let (name, value) = (format!("s{n}"), format!("seed.{n}@example.com"));
        let subject = vault.subject("default", &name).await.unwrap();
        let token = subject.tokenize(&[(email, &value)]).await.unwrap()[0].to_string();
        known.insert(name, HashMap::from([(token, value)]));
    }
    vault.close().await;
    known
}

/// How many subjects are still wrapped by the key that they were made with, and
/// how long the vault's own record is: while a key is changed it names two.
fn progress(database: &str) -> (usize, usize) {
    let ask = |sql: &str| CLUSTER.primary.ask_in(database, sql).parse().unwrap();
    let own = "select length(value) from privet_records where space = 0 and key = 'vault'";
    let wrapped = "select count(distinct substring(record from 2 for 16)) from privet_subjects";
    (ask(wrapped), ask(own))
}

fn kill(mut child: Child) -> bool {
    let was_running = child.try_wait().unwrap().is_none();
    // It may have ended just now.
    let _ = child.kill();
    child.wait().unwrap();
    was_running
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_is_changed_under_traffic_of_replicas_and_after_a_kill() {
    let (upstream, url) = (Upstream::echo().await, CLUSTER.database());
    let (_, database) = url.rsplit_once('/').unwrap();
    let mut known = seed(&url, 300).await;
    let (_, alone) = progress(database);
    let with_both = || Setup::new(&upstream).vault_at(&url).env("PRIVET_OLD_KEYS", NEW_KEY).start();
    let replicas = [with_both(), with_both()];
    let traffic = Traffic::through(&replicas);
    traffic.wait(20).await;

    // Whoever changes the key is killed in the middle.
    let mut changing = vault(&url, &["rotate-key"], &[("PRIVET_KEY", KEY), ("PRIVET_NEW_KEY", NEW_KEY)]);
    let changing = changing.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while progress(database).1 == alone {
        assert!(started.elapsed() < Duration::from_mins(1), "the change does not begin");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(kill(changing), "the change was over before");
    let (_, both) = progress(database);
    assert!(both > alone, "the record names both keys");
    traffic.wait(40).await;
    let halfway = vault(&url, &["stats"], &[("PRIVET_KEY", KEY)]).output().unwrap();
    assert!(!halfway.status.success(), "one key is not enough in between");

    // Run again it goes on.
    let with_both = [("PRIVET_KEY", NEW_KEY), ("PRIVET_OLD_KEYS", KEY)];
    let said = succeed(vault(&url, &["rotate-key"], &with_both)).await;
    println!("{said}");
    assert_eq!(progress(database), (1, alone), "one key is left, and wraps everybody");
    traffic.wait(40).await;
    assert_eq!(progress(database).0, 1, "who came since is wrapped by it too");
    println!("{} requests were answered, none refused", traffic.end().await);

    let old = vault(&url, &["verify"], &[("PRIVET_KEY", KEY)]).output().unwrap();
    assert!(!old.status.success(), "the old key opens nothing");
    succeed(vault(&url, &["verify"], &[("PRIVET_KEY", NEW_KEY)])).await;
    learn(&mut known, &upstream.recorded());
    drop(replicas);
    hold_to_account_with(NEW_KEY, &url, &known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_restored_into_an_empty_database_and_a_file() {
    let (upstream, url) = (Upstream::echo().await, CLUSTER.database());
    let (folder, other) = (scratch_folder(), CLUSTER.database());
    let mut known = seed(&url, 40).await;
    let backups = folder.path().join("backups");
    let toml = format!("[backup]\ndir = {backups:?}\nevery = \"1s\"\nkeep = 2\n");
    let replicas = [Setup::new(&upstream).vault_at(&url).toml(&toml).start(), replica(&upstream, &url)];
    let traffic = Traffic::through(&replicas);
    traffic.wait(60).await;
    // What was forwarded by now is in every backup from now on.
    learn(&mut known, &upstream.recorded());
    let by_hand = folder.path().join("privet.backup");
    let file = by_hand.to_str().unwrap();
    succeed(vault(&url, &["backup", file], &[("PRIVET_KEY", KEY)])).await;

    // A replica makes them by itself, and tests each in a scratch vault.
    let started = Instant::now();
    let good = || replicas[0].metric("privet_backups_total{result=\"ok\"}");
    let since = good().await;
    while good().await < since + 2 {
        assert!(started.elapsed() < Duration::from_mins(2), "no backups are made");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(replicas[0].metric("privet_backups_total{result=\"error\"}").await, 0);
    assert!(replicas[0].metric("privet_backup_last_success_timestamp_seconds").await > 1_700_000_000);
    traffic.wait(20).await;
    println!("{} requests were answered beside", traffic.end().await);
    drop(replicas);
    let mut made: Vec<_> = std::fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().path()).collect();
    made.retain(|path| path.extension().is_some_and(|end| end == "backup"));
    made.sort();

    succeed(vault(&other, &["restore", file], &[("PRIVET_KEY", KEY)])).await;
    hold_to_account(&other, &known).await;
    let embedded = format!("embedded:{}", folder.path().join("vault").display());
    let newest = made.last().unwrap().to_str().unwrap();
    succeed(vault(&embedded, &["restore", newest], &[("PRIVET_KEY", KEY)])).await;
    hold_to_account(&embedded, &known).await;
}
