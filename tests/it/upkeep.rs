//! What happens to a vault in its life: backups, erasures, withdrawals, a change
//! of its key, a restore. The same for a vault in a file and for one in
//! `PostgreSQL`.

use crate::canary::search::Search;
use crate::support::{CONSENT, Client, KEY, Setup, Upstream, chat, privet, scratch_folder, tokens};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NEW_KEY: &str = "xFILj+cxnWos+EZ+ENOrlVgPcuw7uWHUCp4l98iDFkc=";

/// Runs `privet` with a configuration of its own, beside a gateway or without.
fn run(folder: &Path, vault: &str, toml: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let file = folder.join("command.toml");
    std::fs::write(&file, format!("upstream = \"http://127.0.0.1:1\"\n{toml}")).unwrap();
    let mut command = privet();
    command.args(arguments).args(["--vault", vault, "--config"]).arg(&file).env("PRIVET_KEY", KEY);
    let Output { status, stderr, .. } = command.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{arguments:?}: {said}");
    said
}

fn embedded(folder: &Path) -> String {
    format!("embedded:{}", folder.display())
}

/// A person says something; gives the token that stood for it.
async fn say(client: &Client, upstream: &Upstream, subject: &str, value: &str) -> String {
    let reply = client.chat(&chat(&format!("write to {value}")), &[("privet-subject", subject)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    tokens(&upstream.last().said()).remove(0)
}

async fn consent(client: &Client, method: &str, subject: &str) {
    let headers = [CONSENT, ("privet-subject", subject)];
    let headers = if method == "POST" { &headers[..] } else { &headers[1..] };
    let reply = client.send(method, "/.privet/consent", headers, "").await;
    assert!(reply.status.is_success(), "{}", reply.text());
}

/// The vault is lost after people withdrew or were erased. They stay so in the
/// one that is restored.
async fn the_gone_stay_gone(held: &str, other: &str, folder: &Path) {
    let upstream = Upstream::echo().await;
    let (backup, erasures) = (folder.join("privet.backup"), folder.join("erasures.jsonl"));
    let (backup, erasures) = (backup.to_str().unwrap(), erasures.to_str().unwrap());
    let toml = format!("erasures = {erasures:?}\n");
    let gateway = Setup::new(&upstream).vault_at(held).toml(&toml).start();
    let client = Client::new(&gateway.gateway);
    let mut minted = Vec::new();
    for (n, subject) in ["stays", "withdraws", "by-header", "leaves"].into_iter().enumerate() {
        if subject != "by-header" {
            consent(&client, "POST", subject).await;
        }
        minted.push(say(&client, &upstream, subject, &format!("p{n}@example.com")).await);
    }
    run(folder, held, &toml, &["vault", "backup", backup], &[]);
    consent(&client, "DELETE", "withdraws").await;
    consent(&client, "DELETE", "by-header").await;
    run(folder, held, &toml, &["subject", "erase", "leaves", "--yes"], &[]);
    gateway.kill_and_read();

    let said = run(folder, other, "", &["vault", "restore", backup, "--erasures", erasures], &[]);
    assert!(said.contains("2 withdrawals of consent were made since, and hold again"), "{said}");
    assert!(said.contains("1 subjects stay erased"), "{said}");
    let upstream = Upstream::echo().await;
    let gateway = Setup::new(&upstream).vault_at(other).start();
    let client = Client::new(&gateway.gateway);
    let ask = async |subject, token: &str, headers: &[(&str, &str)]| {
        client.chat(&chat(token), &[&[("privet-subject", subject)], headers].concat()).await
    };
    assert_eq!(ask("stays", &minted[0], &[]).await.says(), "p0@example.com");
    for (subject, token) in [("withdraws", &minted[1]), ("by-header", &minted[2])] {
        // A header without a time says nothing new.
        ask(subject, token, &[]).await.problem(403, "consent-required");
    }
    assert_eq!(ask("leaves", &minted[3], &[]).await.says(), minted[3], "nobody is brought back");
    assert_eq!(upstream.recorded().len(), 2);
    // Who gives again is heard.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let later = format!("support, at=@{}", now + 1);
    let headers = [("content-type", "application/json"), ("privet-subject", "withdraws"), ("privet-consent", &later)];
    let again = client.send("POST", "/v1/chat/completions", &headers, chat(&minted[1]).to_string()).await;
    assert_eq!(again.says(), "p1@example.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_withdrew_or_was_erased_after_a_backup_stays_so() {
    let folder = scratch_folder();
    let [held, other] = ["held", "other"].map(|name| embedded(&folder.path().join(name)));
    the_gone_stay_gone(&held, &other, folder.path()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_withdrew_or_was_erased_after_a_backup_of_postgres_stays_so() {
    use crate::postgres::CLUSTER;
    the_gone_stay_gone(&CLUSTER.database(), &CLUSTER.database(), scratch_folder().path()).await;
}

/// Adds the bytes of all files under a folder; says how many there were.
fn read_all(folder: &Path, bytes: &mut Vec<u8>) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += read_all(&path, bytes);
        } else if let Ok(file) = std::fs::read(&path) {
            // A server or gateway that runs takes files away meanwhile.
            bytes.extend(file);
            count += 1;
        }
    }
    count
}

/// Everything that can happen to a vault happens, and at each step what lies in
/// the folders is kept. `settle` has all written that a server holds back.
async fn no_file_shows_a_value(held: &str, other: &str, folder: &Path, folders: &[&Path], settle: impl Fn()) {
    let (backup, backups, erasures) =
        (folder.join("privet.backup"), folder.join("backups"), folder.join("erasures.jsonl"));
    let toml = format!(
        "erasures = \"{}\"\n[backup]\ndir = \"{}\"\nevery = \"1s\"\nkeep = 2\n",
        erasures.display(),
        backups.display()
    );
    let (backup, erasures) = (backup.to_str().unwrap(), erasures.to_str().unwrap());
    let upstream = Upstream::echo().await;
    let gateway = Setup::new(&upstream).vault_at(held).toml(&toml).env("PRIVET_OLD_KEYS", NEW_KEY).start();
    let client = Client::new(&gateway.gateway);
    let (mut ever, mut files) = (Vec::new(), 0);
    let mut look = |ever: &mut Vec<u8>| {
        settle();
        for folder in folders {
            files += read_all(folder, ever);
        }
    };
    let mut planted = Vec::new();
    for n in 0..12 {
        let (subject, value) = (format!("customer-{n}-4711"), format!("quill.tresk.{n}@example.com"));
        if n % 3 == 0 {
            consent(&client, "POST", &subject).await;
        }
        say(&client, &upstream, &subject, &value).await;
        planted.extend([(format!("subject {n}"), subject), (format!("value {n}"), value)]);
    }
    look(&mut ever);
    run(folder, held, &toml, &["vault", "backup", backup], &[]);
    while gateway.metric("privet_backups_total{result=\"ok\"}").await < 1 {
        // In the middle of a trial, as often as not.
        look(&mut ever);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for n in 0..6 {
        run(folder, held, &toml, &["subject", "erase", &format!("customer-{n}-4711"), "--yes"], &[]);
    }
    look(&mut ever);
    consent(&client, "DELETE", "customer-9-4711").await;
    run(folder, held, &toml, &["vault", "rotate-key"], &[("PRIVET_NEW_KEY", NEW_KEY)]);
    look(&mut ever);
    gateway.kill_and_read();
    run(folder, other, "", &["vault", "restore", backup, "--erasures", erasures], &[]);
    let with_new = [("PRIVET_KEY", NEW_KEY)];
    run(folder, held, "", &["vault", "verify"], &with_new);
    look(&mut ever);

    let keys = [("key", KEY), ("new key", NEW_KEY)].map(|(name, key)| (name.to_owned(), key.to_owned()));
    let search = Search::new(planted.iter().cloned().chain(keys));
    search.expect_nothing("the files", &ever);
    let found = |text: &[u8]| memchr::memmem::find(&ever, text).is_some();
    assert!(
        files > 20 && found(b"EMAIL") && found(b"privet backup") && found(b"withdrawn"),
        "it looked at {files} files"
    );
    // Any of them would have been found.
    ever.extend_from_slice(planted[3].1.as_bytes());
    assert_eq!(search.find(&ever).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_an_embedded_vault_shows_a_value_whatever_happens() {
    let folder = scratch_folder();
    let [held, other] = ["held", "other"].map(|name| embedded(&folder.path().join(name)));
    no_file_shows_a_value(&held, &other, folder.path(), &[folder.path()], || ()).await;
}

/// With the folder of the server: tables, write-ahead log, its own log.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_a_vault_in_postgres_shows_a_value_whatever_happens() {
    use crate::support::{Cluster, Durability};
    let (folder, cluster) = (scratch_folder(), Cluster::start(Durability::None, &["log_statement = 'all'"]));
    let (held, other) = (cluster.database(), cluster.database());
    let settle = || cluster.primary.run("checkpoint");
    no_file_shows_a_value(&held, &other, folder.path(), &[folder.path(), cluster.folder()], settle).await;
    let mut log = Vec::new();
    read_all(&cluster.folder().join("primary/pg_wal"), &mut log);
    assert!(memchr::memmem::find(&log, b"EMAIL").is_some(), "the write-ahead log was looked at");
}

/// The key is lost, or another one is given: nothing is served, and all is there
/// when it is found again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_key_a_vault_stays_shut_and_whole() {
    let (folder, upstream) = (scratch_folder(), Upstream::echo().await);
    let held = embedded(&folder.path().join("held"));
    let gateway = Setup::new(&upstream).vault_at(&held).start();
    let token = say(&Client::new(&gateway.gateway), &upstream, "ana", "ana@example.com").await;
    let mut gateway = gateway;
    gateway.terminate();
    gateway.wait(Duration::from_secs(20));
    let mut refused = 0;
    for key in [None, Some(NEW_KEY), Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")] {
        for arguments in [&["serve", "--upstream", "http://127.0.0.1:1"][..], &["vault", "stats"], &["vault", "verify"]]
        {
            let mut command = privet();
            command.args(arguments).args(["--vault", &held]).envs(key.map(|key| ("PRIVET_KEY", key)));
            if arguments[0] == "serve" {
                command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
            }
            let done = command.current_dir(folder.path()).output().unwrap();
            let said = String::from_utf8(done.stderr).unwrap();
            assert!(matches!(done.status.code(), Some(1 | 2)), "{key:?} {arguments:?}: {said}");
            assert!(said.contains("key"), "{said}");
            refused += 1;
        }
    }
    assert_eq!(refused, 9);
    // It ends with success where all of it opens.
    run(folder.path(), &held, "", &["vault", "verify"], &[]);
    let gateway = Setup::new(&upstream).vault_at(&held).start();
    let reply = Client::new(&gateway.gateway).chat(&chat(&token), &[("privet-subject", "ana")]).await;
    assert_eq!(reply.says(), "ana@example.com");
}
