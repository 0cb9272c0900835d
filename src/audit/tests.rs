//! The chain under changes, replicas that race, and a vault that fails.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::time::Duration;

use super::*;
use crate::store::Space;
use crate::vault::{Expected, Key, Owner, RecordChange, VaultUrl};

const EMAIL: Entity = Entity::constant("EMAIL");

async fn vault() -> Vault {
    Vault::open(&VaultUrl::Memory, Key::generate(), crate::vault::Options::default()).await.unwrap()
}

async fn open(vault: &Vault) -> Audit {
    Audit::open(vault, Options::default()).await.unwrap()
}

fn look(n: u64) -> Look {
    let entities = BTreeMap::from([("EMAIL".to_owned(), n)]);
    Look {
        actor: "operator:anna".into(),
        action: Action::Export,
        reason: format!("case {n}"),
        entities,
        ..Look::default()
    }
}

fn place() -> Arc<Place> {
    Arc::new(Place { tenant: "shop".into(), route: "/".into(), purpose: "support".into(), recipient: "eu".into() })
}

async fn export(audit: &Audit) -> Vec<u8> {
    let mut exported = audit.export(0).await.unwrap();
    let mut all = Vec::new();
    while let Some(piece) = exported.next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    all
}

fn check(export: &[u8]) -> Result<(Verified, PublicKey), ExportError> {
    verify_export(&mut BufReader::with_capacity(7, export), None)
}

#[tokio::test]
async fn lines_tell_counts_and_no_names() {
    let vault = vault().await;
    let audit = open(&vault).await;
    let subject = vault.subject("shop", "ana@example.com").await.unwrap();
    let exchange = audit.recorder().begin(&place(), "r1", Some(subject.clone())).unwrap();
    exchange.tokenized(EMAIL, 2);
    exchange.restored(EMAIL);
    exchange.restored(EMAIL);
    exchange.restored(EMAIL);
    drop(exchange);
    drop(audit.recorder().begin(&place(), "r2", Some(subject.clone())).unwrap());
    let look = Look { actor: "key-holder".into(), subject: subject.alias(), ..look(7) };
    assert_eq!(audit.record(look).await.unwrap(), 2, "an exchange without findings has no line");
    let lines = audit.page(0, 10).await.unwrap();
    let [exchange, shown, checkpoint] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((exchange.entities["EMAIL"], exchange.restored["EMAIL"]), (2, 3));
    assert_eq!(
        (exchange.actor.as_str(), exchange.recipient.as_str(), exchange.request_id.as_str()),
        ("gateway", "eu", "r1")
    );
    assert_eq!((exchange.subject.len(), &exchange.subject), (32, &shown.subject));
    assert_eq!(checkpoint.action, Action::Checkpoint);
    let text = String::from_utf8(export(&audit).await).unwrap();
    assert!(!text.contains("ana") && text.contains("\"tenant\":\"shop\""), "{text}");
    let other = vault.subject("shop", "eve").await.unwrap();
    assert_ne!(other.alias(), subject.alias());
}

#[tokio::test]
async fn every_edit_of_an_export_is_found() {
    let vault = vault().await;
    let audit = open(&vault).await;
    for n in 0..60 {
        audit.record(look(n)).await.unwrap();
    }
    let whole = export(&audit).await;
    let (verified, key) = check(&whole).unwrap();
    assert_eq!((verified.first, verified.last, verified.checkpoints, key), (1, 61, 1, audit.public_key()));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut found = 0;
    while found < 1000 {
        let edited = random.edit(&whole);
        if edited == whole {
            continue;
        }
        assert!(check(&edited).is_err(), "{}", edited.escape_ascii());
        found += 1;
    }
    // An export that begins later is whole too, and one of another key is told.
    let mut later = audit.export(40).await.unwrap();
    let mut part = Vec::new();
    while let Some(piece) = later.next().await.unwrap() {
        part.extend_from_slice(&piece);
    }
    assert_eq!(check(&part).unwrap().0.first, 41);
    let other = open(&self::vault().await).await.public_key();
    let refused = verify_export(&mut whole.as_slice(), Some(other));
    assert!(matches!(refused, Err(ExportError::OtherKey(key)) if key == audit.public_key()));
    assert!(check(&export(&open(&self::vault().await).await).await).is_ok(), "an empty one");
}

#[tokio::test]
async fn every_edit_of_the_store_is_found() {
    let vault = vault().await;
    let audit = open(&vault).await;
    for n in 0..8 {
        audit.record(look(n)).await.unwrap();
    }
    assert_eq!(audit.verify().await.unwrap().unwrap().last, 9);
    let records = vault.records();
    let lines = records.scan(Owner::Deployment, Space::Audit, None, 100).await.unwrap();
    let put = async |key: &[u8], value: Option<&[u8]>| {
        let (owner, space, expected) = (Owner::Deployment, Space::Audit, Expected::Anything);
        assert!(records.write(&[RecordChange { owner, space, key, expected, value }], None).await.unwrap());
    };
    let fault = async || audit.verify().await.unwrap().unwrap_err();
    for (nth, (key, line)) in lines.iter().enumerate() {
        let at = nth as u64 + 1;
        put(key, None).await;
        let wanted = if at == 9 { Fault::Cut } else { Fault::Order };
        assert_eq!(fault().await, Broken { at, fault: wanted });
        // Even by who can seal, and makes the hash anew.
        let mut changed: Line = serde_json::from_slice(line).unwrap();
        changed.reason = "nothing".into();
        put(key, Some(&changed.seal())).await;
        let found = fault().await;
        assert!(found.at == at || found.at == at + 1, "{found}");
        let (_, other) = &lines[(nth + 1) % lines.len()];
        put(key, Some(other)).await;
        assert_eq!(fault().await, Broken { at, fault: Fault::Order });
        put(key, Some(line)).await;
        audit.verify().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn replicas_append_to_one_chain() {
    let vault = vault().await;
    let replicas = [open(&vault).await, open(&vault).await, open(&vault).await];
    let tasks = (0..90_u64).map(|n| {
        let audit = replicas[n as usize % 3].clone();
        tokio::spawn(async move { audit.record(look(n)).await.unwrap() })
    });
    let mut numbers = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        numbers.push(task.await.unwrap());
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 90, "each line has a number of its own");
    let verified = replicas[0].verify().await.unwrap().unwrap();
    assert_eq!((verified.first, verified.last), (1, 91));
}

#[tokio::test]
async fn checkpoints_are_never_far_apart() {
    let audit = open(&vault().await).await;
    let recorder = audit.recorder();
    for n in 0..2500 {
        let exchange = loop {
            match recorder.begin(&place(), "r", None) {
                Ok(exchange) => break exchange,
                Err(Refused::Full) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(Refused::Down) => panic!("{n}"),
            }
        };
        exchange.tokenized(EMAIL, 1);
    }
    audit.record(look(0)).await.unwrap();
    audit.verify().await.unwrap().unwrap();
    let lines = audit.page(0, 10_000).await.unwrap();
    let signed: Vec<u64> = lines.iter().filter(|l| l.action == Action::Checkpoint).map(|l| l.seq).collect();
    // A batch is not cut for a checkpoint.
    assert!(signed.windows(2).all(|pair| pair[1] - pair[0] <= 1000 + 512) && signed.len() >= 2, "{signed:?}");
}

#[tokio::test]
async fn a_full_queue_refuses_and_drops_nothing() {
    let vault = vault().await;
    let audit = Audit::open(&vault, Options { queue: 3, keep: None }).await.unwrap();
    let recorder = audit.recorder();
    let open: Vec<_> = (0..3).map(|_| recorder.begin(&place(), "r", None).unwrap()).collect();
    assert_eq!(recorder.begin(&place(), "r", None).unwrap_err(), Refused::Full);
    for exchange in &open {
        exchange.tokenized(EMAIL, 1);
    }
    drop(open);
    audit.close().await;
    assert_eq!(audit.verify().await.unwrap().unwrap().last, 4, "three lines and a checkpoint");
    assert!(recorder.begin(&place(), "r", None).is_err());
    assert!(audit.record(look(0)).await.is_err());
}

#[tokio::test]
async fn a_vault_in_memory_keeps_the_newest() {
    let vault = vault().await;
    let audit = Audit::open(&vault, Options { keep: Some(20), ..Options::default() }).await.unwrap();
    for n in 0..100 {
        audit.record(look(n)).await.unwrap();
    }
    let verified = audit.verify().await.unwrap().unwrap();
    assert_eq!(verified.last, 101);
    assert!((80..=82).contains(&verified.first), "{verified:?}");
    let lines = vault.records().scan(Owner::Deployment, Space::Audit, None, 1000).await.unwrap();
    assert!(lines.len() <= 21, "{}", lines.len());
    assert!(check(&export(&audit).await).is_ok());
}

#[tokio::test]
async fn another_process_goes_on_where_one_ended() {
    let vault = vault().await;
    let audit = open(&vault).await;
    audit.record(look(1)).await.unwrap();
    let key = audit.public_key();
    audit.close().await;
    let audit = open(&vault).await;
    assert_eq!((audit.record(look(2)).await.unwrap(), audit.public_key()), (3, key));
    assert_eq!(audit.verify().await.unwrap().unwrap().last, 3);
}

/// xorshift64: edits that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// One change, cut or move.
    fn edit(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = whole.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let (one, other) = (self.below(lines.len()), self.below(lines.len()));
        let at = self.below(whole.len());
        let mut bytes = whole.to_vec();
        match self.below(8) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b"0 \n{}\"a"[self.below(7)]),
            3 => bytes.truncate(at),
            4 => bytes = [&whole[..at], &whole[at + self.below(whole.len() - at)..]].concat(),
            5 => {
                lines.remove(one);
                bytes = lines.concat();
            }
            6 => {
                let line = lines[one].clone();
                lines.insert(other, line);
                bytes = lines.concat();
            }
            _ => {
                lines.swap(one, other);
                bytes = lines.concat();
            }
        }
        bytes
    }
}
