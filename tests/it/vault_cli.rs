//! `privet vault`: the commands around the store, alone and beside a gateway.

use crate::support::{Client, KEY, Setup, Upstream, chat, privet, scratch_folder, tokens};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NEW_KEY: &str = "xFILj+cxnWos+EZ+ENOrlVgPcuw7uWHUCp4l98iDFkc=";

/// Runs a command of `privet vault`.
fn run(vault: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = privet();
    command.arg("vault").args(args).arg("--vault").arg(format!("embedded:{}", vault.display()));
    command.envs(variables.iter().copied()).output().unwrap()
}

fn with_key(vault: &Path, args: &[&str]) -> Output {
    run(vault, args, &[("PRIVET_KEY", KEY)])
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).unwrap()
}

/// Everything that the chatbot received of a subject, and what it stands for.
type Known = BTreeMap<String, (String, String)>;

/// One message with a value of its own.
async fn say(client: &Client, upstream: &Upstream, name: &str) -> Option<(String, String)> {
    let value = format!("{name}@example.com");
    let headers = [("privet-subject", name), ("x-name", name)];
    let reply = client.try_chat(&chat(&value), &headers).await.ok()?;
    if reply.status != 200 {
        return None;
    }
    assert_eq!(reply.says(), value);
    let of_name = |recorded: &crate::support::Recorded| recorded.headers["x-name"] == name;
    let said = upstream.recorded().iter().rev().find(|recorded| of_name(recorded)).unwrap().said();
    assert_eq!(tokens(&said).len(), 1, "{said}");
    Some((said, value))
}

/// Every token restores, and every value has the token that it had.
async fn hold_to_account(vault: &Path, key: &str, known: &Known) {
    let upstream = Upstream::echo().await;
    let gateway = Setup::new(&upstream).vault(vault).env("PRIVET_KEY", key).start();
    let client = Client::new(&gateway.gateway);
    for (name, (token, value)) in known {
        let headers = [("privet-subject", name.as_str())];
        assert_eq!(client.chat(&chat(token), &headers).await.says(), *value, "{name}");
        client.chat(&chat(value), &headers).await;
        assert_eq!(upstream.last().said(), *token, "{name}");
    }
}

#[test]
fn a_vault_is_made_counted_and_verified() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let made = with_key(&vault, &["init"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert!(stdout(&made).contains("is ready, with the key "), "{}", stdout(&made));
    assert_eq!(stdout(&with_key(&vault, &["init"])), stdout(&made), "once more changes nothing");

    let stats = with_key(&vault, &["stats", "--format", "json"]);
    let counted = json(&stats);
    assert_eq!((&counted["subjects"], &counted["tokens"]), (&Value::from(0), &serde_json::json!({})));
    let id = counted["key"].as_str().unwrap();
    assert!(stdout(&made).contains(id) && counted["former_key"].is_null());
    assert_eq!(stdout(&with_key(&vault, &["stats", "--format", "json"])), stdout(&stats));
    assert!(stdout(&with_key(&vault, &["stats"])).contains(id));
    let verified = with_key(&vault, &["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
    assert!(stdout(&verified).contains("subjects   0 good, 0 bad"), "{}", stdout(&verified));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    assert!(with_key(&vault, &["init"]).status.success());
    let (backup, erasures) = (folder.path().join("privet.backup"), folder.path().join("none.jsonl"));
    let (backup, erasures) = (backup.to_str().unwrap(), erasures.to_str().unwrap());
    assert!(with_key(&vault, &["backup", backup]).status.success());
    let refused = with_key(&vault, &["restore", backup, "--erasures", erasures]);
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains(erasures) && said.contains("the file of erasures cannot be read"), "{said}");
    assert!(!said.contains(backup), "{said}");
    let again = with_key(&vault, &["restore", backup]);
    assert!(again.status.success() && !stderr(&again).contains("left out"), "{}", stderr(&again));
}

#[test]
fn a_wrong_key_and_a_lost_key_are_told_apart() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    assert_eq!(with_key(&vault, &["init"]).status.code(), Some(0));
    for command in [&["init"][..], &["stats"], &["verify"]] {
        let wrong = run(&vault, command, &[("PRIVET_KEY", NEW_KEY)]);
        assert_eq!(wrong.status.code(), Some(1), "{}", stderr(&wrong));
        assert!(
            stderr(&wrong).contains("made with the key") && !stderr(&wrong).contains(NEW_KEY),
            "{}",
            stderr(&wrong)
        );
        let lost = run(&vault, command, &[]);
        assert_eq!(lost.status.code(), Some(2), "{}", stderr(&lost));
        assert!(stderr(&lost).contains("openssl rand -base64 32"), "{}", stderr(&lost));
    }
    let typed = "cGFzc3dvcmRwYXNzd29yZHBhc3N3b3JkcGFzc3dvcmQ=";
    let weak = run(&vault, &["init"], &[("PRIVET_KEY", typed)]);
    assert_eq!(weak.status.code(), Some(2));
    assert!(stderr(&weak).contains("follows a pattern") && !stderr(&weak).contains(typed), "{}", stderr(&weak));
    let same = run(&vault, &["rotate-key"], &[("PRIVET_KEY", KEY), ("PRIVET_NEW_KEY", KEY)]);
    assert_eq!(same.status.code(), Some(2), "{}", stderr(&same));
    assert!(stderr(&same).contains("already"), "{}", stderr(&same));
    let weak = run(&vault, &["rotate-key"], &[("PRIVET_KEY", KEY), ("PRIVET_NEW_KEY", typed)]);
    assert_eq!(weak.status.code(), Some(2), "{}", stderr(&weak));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_works_beside_a_gateway_and_sees_an_erased_subject() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let upstream = Upstream::echo().await;
    let gateway = Setup::new(&upstream).vault(&vault).start();
    let client = Client::new(&gateway.gateway);
    // No names of people: headers are looked through too.
    for name in ["before-1", "before-2"] {
        say(&client, &upstream, name).await.unwrap();
    }
    // Beside the gateway, which holds the vault.
    let verify = |args: &'static [&'static str]| {
        let vault = vault.clone();
        tokio::task::spawn_blocking(move || with_key(&vault, &[&["verify", "--format", "json"], args].concat()))
    };
    let beside = json(&verify(&[]).await.unwrap());
    assert_eq!((&beside["values"]["good"], &beside["holds"]), (&Value::from(2), &Value::from(true)));
    let still_there = verify(&["--subject", "before-1", "--erased"]).await.unwrap();
    assert_eq!(still_there.status.code(), Some(1), "{}", stderr(&still_there));
    gateway.kill_and_read();

    let erased = tokio::task::spawn_blocking({
        let place = format!("embedded:{}", vault.display());
        move || {
            privet()
                .args(["subject", "erase", "before-1", "--yes", "--vault", &place])
                .env("PRIVET_KEY", KEY)
                .output()
                .unwrap()
        }
    });
    let erased = erased.await.unwrap();
    assert_eq!(erased.status.code(), Some(0), "{}", stderr(&erased));
    let gone = json(&verify(&["--subject", "before-1", "--erased"]).await.unwrap());
    assert_eq!(gone["empty"], true);
    assert_eq!(json(&verify(&[]).await.unwrap())["subjects"]["good"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_is_changed_under_traffic_and_after_a_crash_without_loss() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let upstream = Upstream::echo().await;
    let gateway = Setup::new(&upstream).vault(&vault).start();
    let client = Client::new(&gateway.gateway);
    let mut known = Known::new();
    for n in 0..150 {
        let name = format!("before-{n}");
        known.insert(name.clone(), say(&client, &upstream, &name).await.unwrap());
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let upstream = Arc::new(upstream);
    let traffic: Vec<_> = (0..4)
        .map(|n| {
            let (client, upstream, is_over) =
                (Client::new(&gateway.gateway), Arc::clone(&upstream), Arc::clone(&is_over));
            tokio::spawn(async move {
                let (mut minted, mut i) = (Known::new(), 0);
                while !is_over.load(Ordering::Relaxed) {
                    let name = format!("during-{n}-{i}");
                    let Some(said) = say(&client, &upstream, &name).await else { break };
                    minted.insert(name, said);
                    i += 1;
                }
                minted
            })
        })
        .collect();
    // The power fails while the gateway changes its key.
    let changing = tokio::task::spawn_blocking({
        let vault = vault.clone();
        move || run(&vault, &["rotate-key"], &[("PRIVET_KEY", KEY), ("PRIVET_NEW_KEY", NEW_KEY)])
    });
    tokio::time::sleep(Duration::from_millis(120)).await;
    gateway.kill_and_read();
    is_over.store(true, Ordering::Relaxed);
    for task in traffic {
        known.extend(task.await.unwrap());
    }
    let cut_off = changing.await.unwrap();
    println!("the command ended with {:?}: {}", cut_off.status.code(), stderr(&cut_off));

    // Run again it goes on where it was, or begins.
    let rotate = || run(&vault, &["rotate-key"], &[("PRIVET_KEY", NEW_KEY), ("PRIVET_OLD_KEYS", KEY)]);
    let again = rotate();
    let is_done = again.status.code() == Some(0) || stderr(&again).contains("already");
    assert!(is_done, "{}", stderr(&again));
    let old = with_key(&vault, &["verify"]);
    assert_eq!(old.status.code(), Some(1), "{}", stderr(&old));
    let verified = json(&run(&vault, &["verify", "--format", "json"], &[("PRIVET_KEY", NEW_KEY)]));
    assert_eq!(verified["holds"], true);
    assert!(known.len() >= 150);
    hold_to_account(&vault, NEW_KEY, &known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_changed_beside_the_gateway_that_goes_on_serving() {
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let upstream = Upstream::echo().await;
    let mut gateway = Setup::new(&upstream).vault(&vault).start();
    let client = Client::new(&gateway.gateway);
    let mut known = Known::new();
    for n in 0..20 {
        let name = format!("before-{n}");
        known.insert(name.clone(), say(&client, &upstream, &name).await.unwrap());
    }
    let file = folder.path().join("new-key");
    std::fs::write(&file, format!("{NEW_KEY}\n")).unwrap();
    let changed = tokio::task::spawn_blocking({
        let (vault, file) = (vault.clone(), file.display().to_string());
        move || with_key(&vault, &["rotate-key", "--new-key-file", &file])
    });
    let changed = changed.await.unwrap();
    assert_eq!(changed.status.code(), Some(0), "{}", stderr(&changed));
    assert!(stdout(&changed).contains("20 subjects were wrapped anew"), "{}", stdout(&changed));
    // From now on commands beside the gateway prove themselves by the new key alone.
    let refused = with_key(&vault, &["verify"]);
    assert!(stderr(&refused).contains("not that of an operator"), "{}", stdout(&refused));
    let verified = json(&run(&vault, &["verify", "--format", "json"], &[("PRIVET_KEY", NEW_KEY)]));
    assert_eq!(verified["holds"], true);
    for n in 0..20 {
        let name = format!("after-{n}");
        known.insert(name.clone(), say(&client, &upstream, &name).await.unwrap());
    }
    assert!(!gateway.log().contains(NEW_KEY) && !gateway.log().contains(KEY));
    gateway.terminate();
    gateway.wait(Duration::from_secs(10));
    hold_to_account(&vault, NEW_KEY, &known).await;
}
