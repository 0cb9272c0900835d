//! The chain under changes, replicas that race, and a vault that fails.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::time::Duration;

use super::*;
use crate::entity::Entity;
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
async fn of_looks_only_lines_are_read_that_may_be_of_others() {
    let vault = vault().await;
    let (audit, other) = (open(&vault).await, open(&vault).await);
    let own = || Look { actor: "gateway".into(), ..Look::default() };
    for _ in 0..3 {
        audit.record(own()).await.unwrap();
    }
    // Nobody could read it now. (Behind the first line stands a checkpoint.)
    let (key, expected) = (3_u64.to_be_bytes(), Expected::Anything);
    let (owner, space, value) = (Owner::Deployment, Space::Audit, Some(&b"no line"[..]));
    let change = RecordChange { owner, space, key: &key, expected, value };
    assert!(vault.records().write(&[change], None).await.unwrap());
    assert_eq!(audit.looks(0, 9).await.unwrap(), (4, Vec::new()));
    assert_eq!(audit.looks(4, 9).await.unwrap(), (4, Vec::new()));
    assert!(other.looks(0, 9).await.is_err(), "it knows nothing of them");
    audit.record(look(5)).await.unwrap();
    audit.record(own()).await.unwrap();
    other.record(look(7)).await.unwrap();
    for line in [8, 9] {
        assert_eq!(audit.record(own()).await.unwrap(), line);
    }
    for (reader, after, seen) in [(&audit, 4, &[5, 7][..]), (&audit, 6, &[7]), (&audit, 7, &[]), (&other, 4, &[5, 7])] {
        let (last, lines) = reader.looks(after, 9).await.unwrap();
        assert_eq!((last, lines.iter().map(|line| line.seq).collect::<Vec<_>>()), (9, seen.to_vec()), "{after}");
    }
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
    let lines = stored(&vault).await;
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

/// Records exchanges that come to their end one right after another.
async fn exchanges(audit: &Audit, count: u64) {
    let recorder = audit.recorder();
    for n in 0..count {
        let exchange = loop {
            match recorder.begin(&place(), &format!("r{n}"), None) {
                Ok(exchange) => break exchange,
                Err(Refused::Full) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(Refused::Down) => panic!("{n}"),
            }
        };
        exchange.tokenized(EMAIL, 1);
    }
}

async fn stored(vault: &Vault) -> Vec<(Vec<u8>, Vec<u8>)> {
    vault.records().scan(Owner::Deployment, Space::Audit, None, 10_000).await.unwrap()
}

#[tokio::test]
async fn lines_of_one_moment_are_few_records() {
    let vault = vault().await;
    let audit = open(&vault).await;
    exchanges(&audit, 300).await;
    assert_eq!(audit.record(look(0)).await.unwrap(), 301);
    let records = stored(&vault).await.len();
    assert!((3..10).contains(&records), "{records}");
    let all = audit.page(0, 1000).await.unwrap();
    assert!(all.iter().enumerate().all(|(nth, line)| line.seq == nth as u64 + 1) && all.len() == 302);
    for (after, limit) in [(0, 1), (0, 128), (1, 200), (127, 2), (128, 1), (129, 300), (301, 9), (302, 9)] {
        let (from, to) = (after as usize, all.len().min(after as usize + limit));
        assert_eq!(audit.page(after, limit).await.unwrap(), all[from..to], "{limit} behind {after}");
    }
    audit.verify().await.unwrap().unwrap();
    assert_eq!(check(&export(&audit).await).unwrap().0.last, 302);
}

#[tokio::test]
async fn every_edit_inside_a_record_is_found() {
    let vault = vault().await;
    let audit = open(&vault).await;
    for _ in 0..3 {
        exchanges(&audit, 5).await;
        audit.record(look(0)).await.unwrap();
    }
    audit.verify().await.unwrap().unwrap();
    let put = async |key: &[u8], value: Option<&[u8]>| {
        let (owner, space, expected) = (Owner::Deployment, Space::Audit, Expected::Anything);
        let change = RecordChange { owner, space, key, expected, value };
        assert!(vault.records().write(&[change], None).await.unwrap());
    };
    let whole = stored(&vault).await;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..300 {
        let (key, text) = &whole[random.below(whole.len())];
        let mut edited = random.edit(&[text.as_slice(), b"\n"].concat());
        if edited.last() == Some(&b'\n') {
            edited.pop();
        }
        if edited == *text {
            continue;
        }
        put(key, Some(&edited)).await;
        let found = audit.verify().await.unwrap();
        assert!(found.is_err(), "{}", edited.escape_ascii());
        put(key, Some(text)).await;
    }
    // Its place is checked too, and a line of it cannot be in a second one.
    let (key, text) = &whole[2];
    let number = u64::from_be_bytes(key.as_slice().try_into().unwrap());
    for elsewhere in [number - 1, number + 1, u64::MAX] {
        put(key, None).await;
        put(&elsewhere.to_be_bytes(), Some(text)).await;
        assert!(audit.verify().await.unwrap().is_err(), "{elsewhere}");
        put(&elsewhere.to_be_bytes(), None).await;
        put(key, Some(text)).await;
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let (first, _) = lines.split_at(lines.len() / 2);
        put(&(number - 1).to_be_bytes(), Some(&first.join(&b'\n'))).await;
        assert!(audit.verify().await.unwrap().is_err());
        put(&(number - 1).to_be_bytes(), None).await;
    }
    put(b"short", Some(text)).await;
    assert!(audit.verify().await.unwrap().is_err(), "a key that is none");
    put(b"short", None).await;
    audit.verify().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn lines_wait_for_others_and_nobody_for_them() {
    let audit = open(&vault().await).await;
    let mut written = audit.written();
    let start = tokio::time::Instant::now();
    exchanges(&audit, 2).await;
    written.changed().await.unwrap();
    assert_eq!((*written.borrow_and_update(), start.elapsed()), (2, Duration::from_millis(5)));
    exchanges(&audit, 2).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    exchanges(&audit, 1).await;
    let start = tokio::time::Instant::now();
    assert_eq!((audit.record(look(0)).await.unwrap(), start.elapsed()), (7, Duration::ZERO));
    exchanges(&audit, 1).await;
    let start = tokio::time::Instant::now();
    audit.close().await;
    assert_eq!((audit.last().await.unwrap(), start.elapsed()), (8, Duration::ZERO));
}

#[tokio::test]
async fn replicas_append_batches_to_one_chain() {
    let vault = vault().await;
    let replicas = [open(&vault).await, open(&vault).await];
    let [one, other] = &replicas;
    for _ in 0..20 {
        tokio::join!(exchanges(one, 30), exchanges(other, 7));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    one.close().await;
    other.close().await;
    let lines = one.page(0, 10_000).await.unwrap();
    let count = |action| lines.iter().filter(|line| line.action == action).count();
    assert_eq!((count(Action::Exchange), count(Action::Checkpoint)), (20 * 37, 1));
    let verified = other.verify().await.unwrap().unwrap();
    assert_eq!((verified.first, verified.last), (1, 741));
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
    exchanges(&audit, 2500).await;
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
    let audit = Audit::open(&vault, Options { queue: 3, ..Options::default() }).await.unwrap();
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

#[tokio::test(start_paused = true)]
async fn what_may_be_shown_is_told_in_advance() {
    const IP: Entity = Entity::constant("IP");
    let vault = vault().await;
    let audit = open(&vault).await;
    let said = async || {
        let lines = audit.page(0, 99).await.unwrap();
        let of = |line: &Line| {
            (line.action != Action::Checkpoint).then(|| {
                (
                    line.action,
                    line.entities.get("EMAIL").copied(),
                    line.entities.get("IP").copied(),
                    line.restored.clone(),
                )
            })
        };
        lines.iter().filter_map(of).collect::<Vec<_>>()
    };
    let none = BTreeMap::new();
    let restored = |count| BTreeMap::from([("EMAIL".to_owned(), count)]);
    let exchange = audit.recorder().begin(&place(), "r", None).unwrap();
    exchange.shown().await.unwrap();
    exchange.announce();
    assert_eq!(said().await, [], "of nothing there is no line");
    exchange.tokenized(EMAIL, 2);
    exchange.announce();
    exchange.announce();
    exchange.restored(EMAIL);
    exchange.shown().await.unwrap();
    assert_eq!(said().await, [(Action::Begin, Some(2), None, none.clone())]);
    // What it names may come again and again; for another entity it does not speak.
    exchange.restored(EMAIL);
    exchange.shown().await.unwrap();
    assert_eq!(said().await.len(), 1);
    exchange.restored(IP);
    exchange.shown().await.unwrap();
    let mut both = restored(2);
    both.insert("IP".into(), 1);
    assert_eq!(said().await[1], (Action::Begin, Some(2), Some(0), both));
    // Nor does it speak for ever.
    tokio::time::sleep(Duration::from_secs(61)).await;
    exchange.shown().await.unwrap();
    assert_eq!(said().await.len(), 2);
    exchange.restored(EMAIL);
    exchange.shown().await.unwrap();
    assert_eq!(said().await[2].3["EMAIL"], 3);
    assert_eq!(audit.verify().await.unwrap().unwrap().unfinished, 1);
    assert_eq!(check(&export(&audit).await).unwrap().0.unfinished, 1);
    drop(exchange);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(audit.verify().await.unwrap().unwrap().unfinished, 0);
    assert_eq!((said().await.len(), said().await[3].0), (4, Action::Exchange));
    // Whom a message names is not told of by what was said before.
    let exchange = audit.recorder().begin(&place(), "r2", None).unwrap();
    exchange.tokenized(EMAIL, 1);
    exchange.announce();
    exchange.is_of(&vault.subject("shop", "ana").await.unwrap());
    exchange.restored(EMAIL);
    exchange.shown().await.unwrap();
    let lines = audit.page(0, 99).await.unwrap();
    assert_eq!(lines.last().unwrap().subject.len(), 32, "{lines:?}");
    // After the end nothing may be shown that is not told of.
    audit.close().await;
    exchange.restored(IP);
    assert!(exchange.shown().await.is_err() && exchange.shown().await.is_err());
}

#[tokio::test]
async fn where_the_log_ends_with_the_process_nothing_is_told_in_advance() {
    let vault = vault().await;
    let audit = Audit::open(&vault, Options { in_advance: false, ..Options::default() }).await.unwrap();
    let exchange = audit.recorder().begin(&place(), "r", None).unwrap();
    exchange.tokenized(EMAIL, 2);
    exchange.announce();
    exchange.restored(EMAIL);
    exchange.shown().await.unwrap();
    drop(exchange);
    audit.close().await;
    let lines = audit.page(0, 9).await.unwrap();
    assert_eq!((lines[0].action, lines.len()), (Action::Exchange, 2));
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
    // Older ones go by eighths of what is kept.
    assert!((79..=82).contains(&verified.first), "{verified:?}");
    assert!(stored(&vault).await.len() <= 23);
    assert!(check(&export(&audit).await).is_ok());
    // Batches go as a whole, once no line of them is to be kept.
    for _ in 0..20 {
        exchanges(&audit, 9).await;
        audit.record(look(0)).await.unwrap();
    }
    let verified = audit.verify().await.unwrap().unwrap();
    assert_eq!(verified.last, 301);
    assert!((281 - 22..=282).contains(&verified.first), "{verified:?}");
    assert!(stored(&vault).await.len() <= 10);
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
