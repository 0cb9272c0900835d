//! What was acknowledged outlives a killed process.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "PRIVET_CRASH_TEST_FOLDER";
const KEY: &str = "P5ocB9LmtUiBPmrwyVsn1A5xrDj1khZNuwKH7s9TQKk=";
const ACKNOWLEDGED: &str = "acknowledged ";

async fn open(folder: &Path) -> Vault {
    let key = Key::from_base64(KEY).unwrap();
    Vault::open(&VaultUrl::Embedded(folder.to_owned()), key, SMALL).await.unwrap()
}

/// The process that is killed: this test again, where the variable is set. It
/// mints until it dies, and prints each mapping once it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let vault = open(Path::new(&folder)).await;
    let tasks = (0..8).map(|task| {
        let vault = vault.clone();
        tokio::spawn(async move {
            for n in 0.. {
                let person = format!("{task}-{}", n / 10);
                let subject = vault.subject("default", &person).await.unwrap();
                let values = [format!("{n}.a@example.com"), format!("{n}.b@example.com")];
                let values: Vec<_> = values.iter().map(|v| (entity("EMAIL"), v.as_str())).collect();
                let tokens = subject.tokenize(&values).await.unwrap();
                let mut out = std::io::stdout().lock();
                for ((_, value), token) in values.iter().zip(tokens) {
                    writeln!(out, "{ACKNOWLEDGED}{person} {value} {}", token.code()).unwrap();
                }
                out.flush().unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["vault::tests::crash::writer", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_vault_whose_making_was_killed_can_be_opened() {
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let mut child = start(folder.path());
        // Anything in the folder shows that the making has begun.
        let began = async {
            while std::fs::read_dir(folder.path()).unwrap().next().is_none() {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), began).await.expect("it starts in time");
        tokio::time::sleep(Duration::from_micros(700 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        open(folder.path()).await.close().await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_outlives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        let mut child = start(folder.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (first, mut first_line) = tokio::sync::mpsc::channel(1);
        let reader = std::thread::spawn(move || {
            let note = |line: &String| {
                if line.starts_with(ACKNOWLEDGED) {
                    let _ = first.try_send(());
                }
            };
            lines.map_while(Result::ok).inspect(note).collect::<Vec<_>>()
        });
        // Two rounds of three die at work, the others already while they open.
        if round % 3 > 0 {
            let started = tokio::time::timeout(Duration::from_secs(30), first_line.recv()).await;
            started.expect("it starts in time").expect("it acknowledges something");
        }
        tokio::time::sleep(Duration::from_micros(1_000 + 7_919 * round % 50_000)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        // A line that was cut is none: its last code may be short.
        let lines = reader.join().unwrap().into_iter();
        let new = lines.filter_map(|line| {
            let mut words = line.strip_prefix(ACKNOWLEDGED)?.split(' ').map(str::to_owned);
            let mapping = (words.next()?, words.next()?, words.next()?);
            (mapping.2.len() == 8).then_some(mapping)
        });
        acknowledged.extend(new);

        let vault = open(folder.path()).await;
        for (person, value, code) in &acknowledged {
            let subject = vault.subject("default", person).await.unwrap();
            let token = Token::parse(&format!("[EMAIL_{code}]")).unwrap();
            let restored = subject.restore(&[token]).await.unwrap();
            assert_eq!(restored[0].as_ref().expect("it was acknowledged").expose(), value, "round {round}");
        }
        vault.close().await;
    }
    assert!(acknowledged.len() > 200, "only {} mappings: the test tested little", acknowledged.len());
}
