//! The vault by the command line, beside a running gateway and without one;
//! its disk may be full.

use crate::support::{Client, KEY, PATIENCE, Setup, Upstream, chat, privet, scratch_folder, tokens};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const ANA: [(&str, &str); 1] = [("privet-subject", "ana")];

/// Runs `privet vault …` on the vault in a folder.
fn vault(folder: &Path, config: &str, arguments: &[&str]) -> Output {
    let file = folder.with_extension("toml");
    std::fs::write(&file, format!("upstream = \"http://127.0.0.1:1\"\n{config}")).unwrap();
    let mut command = privet();
    command.arg("vault").args(arguments).env("PRIVET_KEY", KEY);
    command.arg("--vault").arg(format!("embedded:{}", folder.display())).arg("--config").arg(file);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn succeed(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Has a value forwarded; gives its token.
async fn token_of(gateway: &str, upstream: &Upstream, value: &str) -> String {
    let reply = Client::new(gateway).chat(&chat(&format!("write to {value}")), &ANA).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    tokens(&upstream.last().said()).remove(0)
}

/// What comes back for a token.
async fn value_of(gateway: &str, token: &str) -> String {
    Client::new(gateway).chat(&chat(token), &ANA).await.says()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_a_vault_is_refused() {
    let (folder, upstream) = (scratch_folder(), Upstream::echo().await);
    let first = Setup::new(&upstream).vault(folder.path()).start();
    let mut second = privet();
    second.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", &upstream.url()]);
    second.arg("--vault").arg(format!("embedded:{}", folder.path().display())).env("PRIVET_KEY", KEY);
    let output = second.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the vault is in use by another process"), "{said}");
    let token = token_of(&first.gateway, &upstream, "ana@example.com").await;
    assert_eq!(value_of(&first.gateway, &token).await, "ana@example.com", "the first goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_beside_a_gateway_and_restored_without_one() {
    let (folder, upstream) = (scratch_folder(), Upstream::echo().await);
    let (held, other) = (folder.path().join("held"), folder.path().join("other"));
    let backup = folder.path().join("privet.backup");
    let file = backup.to_str().unwrap();
    let gateway = Setup::new(&upstream).vault(&held).start();
    let token = token_of(&gateway.gateway, &upstream, "ana@example.com").await;
    succeed(&vault(&held, "", &["backup", file]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let later = token_of(&gateway.gateway, &upstream, "ben@example.com").await;
    drop(gateway);

    succeed(&vault(&other, "", &["restore", file]));
    let gateway = Setup::new(&upstream).vault(&other).start();
    assert_eq!(value_of(&gateway.gateway, &token).await, "ana@example.com");
    assert_eq!(value_of(&gateway.gateway, &later).await, later, "it came after the backup");
    // Beside a gateway, too: it merges.
    let own = token_of(&gateway.gateway, &upstream, "cem@example.com").await;
    succeed(&vault(&other, "", &["restore", file]));
    assert_eq!(value_of(&gateway.gateway, &own).await, "cem@example.com");

    std::fs::write(&backup, &std::fs::read(&backup).unwrap()[..200]).unwrap();
    let output = vault(&other, "", &["restore", file]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("damaged"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_forgets_and_backs_up_by_itself() {
    let (folder, upstream) = (scratch_folder(), Upstream::echo().await);
    let backups = folder.path().join("backups");
    let toml = format!(
        "[[retention]]\nentity = \"EMAIL\"\nkeep = \"1s\"\n[sweep]\nevery = \"200ms\"\n[backup]\ndir = {backups:?}\nevery = \"1s\"\nkeep = 2\n"
    );
    let gateway = Setup::new(&upstream).vault(&folder.path().join("vault")).toml(&toml).start();
    let email = token_of(&gateway.gateway, &upstream, "ana@example.com").await;
    let ip = token_of(&gateway.gateway, &upstream, "198.51.100.77").await;
    gateway.metric_becomes("privet_retention_forgotten_total{action=\"delete\"}", 1).await;
    assert_eq!(value_of(&gateway.gateway, &email).await, email, "its value is gone");
    assert_eq!(value_of(&gateway.gateway, &ip).await, "198.51.100.77");
    for _ in 0..1200 {
        if gateway.metric("privet_backups_total{result=\"ok\"}").await > 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(gateway.metric("privet_backups_total{result=\"ok\"}").await > 2);
    assert!(gateway.metric("privet_backup_last_success_timestamp_seconds").await > 1_700_000_000);
    assert_eq!(gateway.metric("privet_backups_total{result=\"error\"}").await, 0);
    let good = std::fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().path());
    let good = good.filter(|path| path.extension().is_some_and(|end| end == "backup")).count();
    assert!((1..=3).contains(&good), "{good} backups stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_tells_first_and_then_forgets() {
    let (folder, upstream) = (scratch_folder(), Upstream::echo().await);
    let held = folder.path().join("held");
    let gateway = Setup::new(&upstream).vault(&held).start();
    let token = token_of(&gateway.gateway, &upstream, "ana@example.com").await;
    drop(gateway);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let rules = "[[retention]]\nkeep = \"1s\"\n";
    let told = succeed(&vault(&held, rules, &["purge", "--dry-run"]));
    assert!(told.contains("EMAIL") && told.contains("delete"), "{told}");
    let gateway = Setup::new(&upstream).vault(&held).start();
    assert_eq!(value_of(&gateway.gateway, &token).await, "ana@example.com", "nothing was changed");
    drop(gateway);
    assert!(succeed(&vault(&held, rules, &["purge"])).contains("EMAIL"));
    assert!(succeed(&vault(&held, rules, &["purge"])).contains("nothing"));
    let gateway = Setup::new(&upstream).vault(&held).start();
    assert_eq!(value_of(&gateway.gateway, &token).await, token);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_tells_what_is_kept_and_what_went_and_anonymizing_keeps_the_counts() {
    let (folder, upstream) = (scratch_folder(), Upstream::echo().await);
    let held = folder.path().join("held");
    let gateway = Setup::new(&upstream).vault(&held).start();
    let email = token_of(&gateway.gateway, &upstream, "ana@example.com").await;
    let ip = token_of(&gateway.gateway, &upstream, "198.51.100.77").await;
    drop(gateway);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let rules = "[[retention]]\nentity = \"EMAIL\"\nkeep = \"1s\"\naction = \"anonymize\"\n\
                 [[retention]]\nentity = \"IP\"\npurpose = \"support\"\ntenant = \"default\"\nkeep = \"12mo\"\n\
                 [[retention]]\nkeep = \"until erased\"\n";
    let report = || {
        let file = folder.path().join("report.toml");
        std::fs::write(&file, format!("upstream = \"http://127.0.0.1:1\"\n{rules}")).unwrap();
        let mut command = privet();
        command.args(["report", "retention", "--format", "json", "--config"]).arg(file).env("PRIVET_KEY", KEY);
        let done = command.arg("--vault").arg(format!("embedded:{}", held.display())).output().unwrap();
        serde_json::from_str::<serde_json::Value>(&succeed(&done)).unwrap()
    };
    let before = report();
    let rule = &before["rules"][1];
    let told = ["entity", "purpose", "tenant", "keep", "values"].map(|member| rule[member].to_string());
    assert_eq!(told, ["\"IP\"", "\"support\"", "\"default\"", "\"12mo\"", "1"], "{before}");
    assert_eq!((&before["rules"][2]["keep"], before["history"].as_array().unwrap().len()), (&"until erased".into(), 0));

    assert!(succeed(&vault(&held, rules, &["purge"])).contains("anonymize"));
    let after = report();
    assert_eq!(after["history"][0]["anonymized"], serde_json::json!({ "EMAIL": 1 }), "{after}");
    let stats = succeed(&vault(&held, "", &["stats", "--format", "json"]));
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["tokens"], serde_json::json!({ "EMAIL": 1, "IP": 1 }), "the counts stay");
    let gateway = Setup::new(&upstream).vault(&held).start();
    assert_eq!(value_of(&gateway.gateway, &email).await, email, "the token keeps its shape and stands for nothing");
    assert_eq!(value_of(&gateway.gateway, &ip).await, "198.51.100.77");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_in_memory_forgets_by_itself_as_well() {
    let upstream = Upstream::echo().await;
    let toml = "[[retention]]\nentity = \"EMAIL\"\nkeep = \"1s\"\n[sweep]\nevery = \"200ms\"\n";
    let gateway = Setup::new(&upstream).toml(toml).start();
    let email = token_of(&gateway.gateway, &upstream, "ana@example.com").await;
    let ip = token_of(&gateway.gateway, &upstream, "198.51.100.77").await;
    gateway.metric_becomes("privet_retention_forgotten_total{action=\"delete\"}", 1).await;
    assert_eq!(value_of(&gateway.gateway, &email).await, email, "its value is gone");
    assert_eq!(value_of(&gateway.gateway, &ip).await, "198.51.100.77");
}

/// A file system of a few megabytes; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount one.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_requests_are_refused_until_there_is_room() {
    let (folder, upstream) = (scratch_folder(), Upstream::echo().await);
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk")) else {
        println!("skipped: nothing can be mounted here; it takes root");
        return;
    };
    let gateway = Setup::new(&upstream).vault(&disk.0.join("vault")).start();
    let client = Client::new(&gateway.gateway);
    let first = token_of(&gateway.gateway, &upstream, "ana@example.com").await;
    let filler = disk.0.join("filler");
    // The kernel says when it is full.
    let mut room = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut room, &[1; 4096]).is_ok() {}
    let (mut refused, mut kept) = (0, Vec::new());
    for n in 0..400 {
        let value = format!("{n}.{}@example.com", "x".repeat(40));
        let before = upstream.recorded().len();
        let reply = client.chat(&chat(&format!("write to {value}")), &ANA).await;
        if reply.status == 200 {
            kept.push((tokens(&upstream.last().said()).remove(0), value));
            continue;
        }
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert!(reply.text().contains("urn:privet:problem:vault-unavailable"), "{}", reply.text());
        assert_eq!(upstream.recorded().len(), before, "what is refused is not forwarded");
        refused += 1;
    }
    assert!(refused > 20, "the disk was full for {refused} requests");
    // What is known could be read; where the access log cannot tell of it, it is not
    // shown. The file may have pages left for some lines.
    let mut withheld = 0;
    for _ in 0..400 {
        let reply = client.chat(&chat(&format!("repeat {first}")), &ANA).await;
        if reply.status == 200 {
            continue;
        }
        assert!(reply.status == 503 && !reply.text().contains("ana@example.com"), "{}", reply.text());
        withheld += 1;
        if withheld == 3 {
            break;
        }
    }
    assert_eq!(withheld, 3, "the log was not full");
    drop(room);
    std::fs::remove_file(&filler).unwrap();
    // What waits for the log is written first.
    let has_room = async {
        while client.chat(&chat(&format!("repeat {first}")), &ANA).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, has_room).await.expect("with room the log is written again");
    assert_eq!(value_of(&gateway.gateway, &first).await, "ana@example.com", "nothing is lost");
    let after = token_of(&gateway.gateway, &upstream, "ben@example.com").await;
    assert_eq!(value_of(&gateway.gateway, &after).await, "ben@example.com", "with room it works again");
    for (token, value) in kept {
        assert_eq!(value_of(&gateway.gateway, &token).await, value, "nothing that was acknowledged is lost");
    }
    drop(gateway);
}
