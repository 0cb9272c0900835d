//! What has been kept long enough is forgotten, and nothing else.

use super::*;
use crate::config::{Expiry, Keep, Retention};
use std::cell::Cell;

const DAY: u64 = 86_400;

fn rule(entity: Option<&str>, purpose: Option<&str>, days: u64, action: Expiry) -> Retention {
    Retention {
        entity: entity.map(super::entity),
        purpose: purpose.map(str::to_owned),
        tenant: None,
        keep: Keep::Seconds(days * DAY),
        action,
    }
}

async fn sweep(vault: &Vault, rules: &[Retention], days: u64) -> Swept {
    let now = clock::unix_seconds() + days * DAY;
    vault.sweep(&Policy::new(vault, rules), now, false, tokio::task::yield_now).await.unwrap()
}

#[tokio::test]
async fn values_go_when_their_time_is_over() {
    let (vault, _spy) = spied(Options::default(), 35).await;
    let subject = vault.subject("default", "ana").await.unwrap().for_purpose("support");
    let values = [(entity("EMAIL"), "a@b.c"), (entity("PHONE"), "+1 415 555 0100"), (entity("PERSON"), "Ana")];
    let tokens = subject.tokenize(&values).await.unwrap();
    let rules = [
        rule(Some("EMAIL"), None, 30, Expiry::Delete),
        rule(Some("PHONE"), Some("support"), 30, Expiry::Anonymize),
        rule(Some("PERSON"), Some("marketing"), 1, Expiry::Delete),
    ];

    let early = sweep(&vault, &rules, 29).await;
    assert_eq!((early.seen, early.total()), (3, 0));
    assert_eq!(early.kept[&Some(0)].values + early.kept[&Some(1)].values + early.kept[&None].values, 3);
    assert_restores(&subject, &tokens, &values).await;

    let late = sweep(&vault, &rules, 31).await;
    let expected = [((Some(entity("EMAIL")), Expiry::Delete), 1), ((Some(entity("PHONE")), Expiry::Anonymize), 1)];
    assert_eq!(late.forgotten, expected.into());
    let restored = subject.restore(&tokens).await.unwrap();
    assert_eq!((restored[0].is_some(), restored[1].is_some(), restored[2].is_some()), (false, false, true));
    assert!(subject.cached(&tokens[0]).is_none() && subject.cached(&tokens[1]).is_none());
    assert!(subject.kinds().await.unwrap().contains(entity("PHONE")), "an anonymized token still counts");
    assert_eq!(sweep(&vault, &rules, 31).await.total(), 0, "once is enough");

    // A deleted value has its token again; an anonymized token is nobody's for good.
    let again = subject.tokenize(&values).await.unwrap();
    assert_eq!((again[0], again[2]), (tokens[0], tokens[2]));
    assert_ne!(again[1], tokens[1]);
    assert_restores(&subject, &again, &values).await;
    assert!(subject.restore(&tokens[1..2]).await.unwrap()[0].is_none());
}

#[tokio::test]
async fn a_look_changes_nothing_and_steps_are_bounded() {
    let (vault, spy) = spied(SMALL, 35).await;
    let names: Vec<String> = (0..2500).map(|n| format!("{n}@example.com")).collect();
    let values: Vec<_> = names.iter().map(|name| (entity("EMAIL"), name.as_str())).collect();
    let subject = vault.subject("default", "ana").await.unwrap();
    let tokens = subject.tokenize(&values).await.unwrap();
    let policy = Policy::new(&vault, &[rule(None, None, 1, Expiry::Delete)]);
    let pauses = Cell::new(0);
    let now = clock::unix_seconds() + 2 * DAY;
    let pause = || {
        pauses.set(pauses.get() + 1);
        std::future::ready(())
    };
    let looked = vault.sweep(&policy, now, true, pause).await.unwrap();
    assert_eq!((looked.seen, looked.total(), pauses.get()), (2500, 2500, 3));
    assert_restores(&subject, &tokens, &values).await;
    assert_eq!(vault.sweep(&policy, now, false, pause).await.unwrap().forgotten, looked.forgotten);
    assert!(spy.mappings(subject.state().row, &tokens).await.unwrap().iter().all(Option::is_none));
}

#[tokio::test]
async fn surrogates_go_with_the_values() {
    let (vault, _spy) = spied(Options::default(), 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let standing: &Standing<'_> = &|_| Box::pin(async { vec![false; 64] });
    let person = [(entity("PERSON"), "Julia Hofmann")];
    let made = subject.mint_surrogates(&person, standing).await.unwrap();
    assert!(made[0].is_some());
    let swept = sweep(&vault, &[rule(Some("PERSON"), None, 30, Expiry::Anonymize)], 31).await;
    assert!(swept.forgotten[&(None, Expiry::Delete)] > 0, "{swept:?}");
    let left = vault.subject("default", "ana").await.unwrap().surrogates().await.unwrap();
    assert_eq!(format!("{left:?}"), "Surrogates(0)");
}

#[tokio::test]
async fn the_history_tells_what_went_when() {
    let (vault, _spy) = spied(SMALL, 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    subject.tokenize(&emails(&["a@b.c", "d@e.f"])).await.unwrap();
    let swept = sweep(&vault, &[rule(None, None, 1, Expiry::Delete)], 2).await;
    for at in [DAY * 20_000, DAY * 20_000 + 5, DAY * 20_001] {
        vault.note_swept(&swept, at).await.unwrap();
    }
    let history = vault.retention_history().await.unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!((history[&20_000].deleted["EMAIL"], history[&20_001].deleted["EMAIL"]), (4, 2));
    assert!(history[&20_000].anonymized.is_empty());
}

#[tokio::test]
async fn a_clock_that_jumped_is_believed_once_it_is_confirmed() {
    let (vault, _spy) = spied(SMALL, 35).await;
    let gap = Duration::from_secs(30 * DAY);
    let at = |day: u64, passed: u64| Reading { wall: day * DAY, passed: Duration::from_secs(passed * DAY) };
    let mut check = ClockCheck::new(gap);
    let mut judge = async |reading| vault.check_clock(&mut check, reading).await.unwrap();
    assert_eq!(judge(at(20_000, 0)).await, Ok(()));
    assert_eq!(judge(at(20_001, 1)).await, Ok(()));
    for passed in 2..5 {
        assert!(matches!(judge(at(23_650 + passed, passed)).await, Err(Doubt::Ahead { .. })));
    }
    // A process that is started anew knows of it by the vault.
    let anew = vault.check_clock(&mut ClockCheck::new(gap), at(23_660, 0)).await.unwrap();
    assert!(matches!(anew, Err(Doubt::Ahead { .. })));
    assert!(matches!(judge(at(19_000, 5)).await, Err(Doubt::Behind { .. })));
    vault.confirm_clock(23_660 * DAY).await.unwrap();
    assert_eq!(judge(at(23_660, 6)).await, Ok(()));
    assert_eq!(judge(at(23_661, 7)).await, Ok(()));
}
