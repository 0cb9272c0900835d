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

#[tokio::test]
async fn the_file_gives_back_the_room_of_what_went() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(&VaultUrl::Embedded(folder.path().to_owned()), Key::generate(), SMALL).await.unwrap();
    let mut kept = Vec::new();
    for person in 0..40 {
        let subject = vault.subject("default", &format!("p{person}")).await.unwrap();
        let names: Vec<String> = (0..500).map(|n| format!("{n}.of.{person}@example.com")).collect();
        let values: Vec<_> = names.iter().map(|name| (entity("EMAIL"), name.as_str())).collect();
        subject.tokenize(&values).await.unwrap();
        let phone = [(entity("PHONE"), "+1 415 555 0100")];
        kept.push((subject.clone(), subject.tokenize(&phone).await.unwrap(), phone));
    }
    let size = || std::fs::metadata(folder.path().join("vault.redb")).unwrap().len();
    let full = size();
    assert_eq!(sweep(&vault, &[rule(Some("EMAIL"), None, 1, Expiry::Delete)], 2).await.total(), 20_000);
    // Whoever reads for longer is not disturbed.
    let backup = vault.backup().await.unwrap();
    vault.compact().await.unwrap();
    drop(backup);
    vault.compact().await.unwrap();
    let left = size();
    assert!(left < full / 3, "{full} bytes, and {left} after");
    for (subject, tokens, values) in &kept {
        assert_restores(subject, tokens, values).await;
    }
    let again = vault.subject("default", "p1").await.unwrap().tokenize(&emails(&["new@example.com"])).await.unwrap();
    vault.close().await;
    assert_eq!(again.len(), 1);
}

/// By how much a subject is found.
async fn indexed(spy: &Spy, row: Row) -> usize {
    spy.memory.scan(row, store::Space::Index, None, 99).await.unwrap().len()
}

#[tokio::test]
async fn what_is_forgotten_leads_to_nobody() {
    let (vault, spy) = spied(Options::default(), 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let old = [(entity("EMAIL"), "Ana@Example.org"), (entity("PHONE"), "+1 415 555 0100")];
    subject.clone().for_purpose("support").tokenize(&old).await.unwrap();
    // Another spelling of the same address, which stays for longer.
    let other = emails(&["ana@example.org", "ben@example.org"]);
    subject.for_purpose("billing").tokenize(&other).await.unwrap();
    let row = vault.row("default", "ana");
    assert_eq!(indexed(&spy, row).await, 3);
    let rules = [
        rule(Some("EMAIL"), Some("support"), 30, Expiry::Delete),
        rule(Some("PHONE"), Some("support"), 30, Expiry::Anonymize),
        rule(None, Some("billing"), 60, Expiry::Delete),
    ];
    assert_eq!(sweep(&vault, &rules, 31).await.total(), 2);
    assert_eq!(vault.find("default", "+1 415 555 0100").await.unwrap().len(), 0);
    assert_eq!(vault.find("default", "ana@example.org").await.unwrap().len(), 1, "the other spelling is kept");
    assert_eq!(indexed(&spy, row).await, 2);
    assert_eq!(sweep(&vault, &rules, 61).await.total(), 2);
    for address in ["ana@example.org", "ben@example.org"] {
        assert_eq!(vault.find("default", address).await.unwrap().len(), 0, "{address}");
    }
    assert_eq!(indexed(&spy, row).await, 0);
}

#[tokio::test]
async fn a_sweep_that_breaks_off_hides_nobody() {
    let (vault, spy) = spied(Options::default(), 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    subject.clone().for_purpose("support").tokenize(&emails(&["Ana@Example.org"])).await.unwrap();
    subject.for_purpose("billing").tokenize(&emails(&["ana@example.org"])).await.unwrap();
    let policy = Policy::new(&vault, &[rule(Some("EMAIL"), Some("support"), 30, Expiry::Delete)]);
    let now = clock::unix_seconds() + 31 * DAY;
    spy.keeps_all.store(true, Ordering::Relaxed);
    vault.sweep(&policy, now, false, tokio::task::yield_now).await.unwrap_err();
    assert_eq!(vault.find("default", "ana@example.org").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_value_that_came_again_meanwhile_stays() {
    let (vault, spy) = spied(SMALL, 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let token = subject.tokenize(&emails(&["a@b.c"])).await.unwrap()[0];
    let row = subject.state().row;
    let again = subject.state().keys().seal(row, &token, token.entity(), "a@b.c", 1, [7; 12]).unwrap();
    // Another replica swept a moment before, and minted the value again.
    let minted = again.clone();
    *spy.before_removal.lock().unwrap() = Some(Box::new(move |memory| memory.set_record(row, &token, minted.clone())));
    sweep(&vault, &[rule(None, None, 1, Expiry::Delete)], 2).await;
    assert_eq!(spy.memory.record(row, &token), again);
}

/// A vault in memory forgets by the same rules.
mod in_memory {
    use super::*;

    #[tokio::test]
    async fn values_go_when_their_time_is_over() {
        let vault = super::in_memory().await;
        let subject = vault.subject("default", "ana").await.unwrap().for_purpose("support");
        let first = [(entity("EMAIL"), "a@b.c"), (entity("PHONE"), "+1 415 555 0100"), (entity("PERSON"), "Ana")];
        let tokens = subject.tokenize(&first).await.unwrap();
        let other = vault.subject("default", "ana").await.unwrap().for_purpose("marketing");
        let later = [(entity("PERSON"), "Bo"), (entity("EMAIL"), "d@e.f")];
        let more = other.tokenize(&later).await.unwrap();
        let rules = [
            rule(Some("EMAIL"), None, 30, Expiry::Delete),
            rule(Some("PHONE"), Some("support"), 30, Expiry::Anonymize),
            rule(Some("PERSON"), Some("marketing"), 1, Expiry::Delete),
        ];
        assert_eq!(sweep(&vault, &rules, 0).await.total(), 0);
        let early = sweep(&vault, &rules, 29).await;
        assert_eq!((early.seen, early.forgotten), (5, [((Some(entity("PERSON")), Expiry::Delete), 1)].into()));
        assert!(other.restore(&more[..1]).await.unwrap()[0].is_none(), "of the other purpose");
        assert_restores(&subject, &tokens, &first).await;

        let late = sweep(&vault, &rules, 31).await;
        let expected = [((Some(entity("EMAIL")), Expiry::Delete), 2), ((Some(entity("PHONE")), Expiry::Anonymize), 1)];
        assert_eq!(late.forgotten, expected.into());
        let restored = subject.restore(&tokens).await.unwrap();
        assert_eq!((restored[0].is_some(), restored[1].is_some(), restored[2].is_some()), (false, false, true));
        assert!(subject.kinds().await.unwrap().contains(entity("PHONE")), "an anonymized token still counts");
        assert_eq!(vault.stats().await.unwrap().tokens, [(entity("PERSON"), 1), (entity("PHONE"), 1)].into());
        let again = sweep(&vault, &rules, 31).await;
        assert_eq!((again.seen, again.total()), (1, 0), "once is enough");

        // A deleted value has its token again; an anonymized token is nobody's for good.
        let again = subject.tokenize(&first).await.unwrap();
        assert_eq!((again[0], again[2]), (tokens[0], tokens[2]));
        assert_ne!(again[1], tokens[1]);
        assert_restores(&subject, &again, &first).await;
        assert!(subject.restore(&tokens[1..2]).await.unwrap()[0].is_none());
        assert!(!vault.rectify("default", "ana", &tokens[1], "+1 415 555 0199").await.unwrap());
    }

    #[tokio::test]
    async fn a_look_changes_nothing_and_steps_are_bounded() {
        let vault = super::in_memory().await;
        let mut all = Vec::new();
        for person in 0..30 {
            let names: Vec<String> = (0..100).map(|n| format!("{person}.{n}@example.com")).collect();
            let subject = vault.subject("default", &format!("p{person}")).await.unwrap();
            for part in names.chunks(7) {
                let values: Vec<_> = part.iter().map(|name| (entity("EMAIL"), name.as_str())).collect();
                all.push((subject.clone(), part.to_vec(), subject.tokenize(&values).await.unwrap()));
            }
        }
        let policy = Policy::new(&vault, &[rule(None, None, 1, Expiry::Delete)]);
        let pauses = Cell::new(0);
        let pause = || {
            pauses.set(pauses.get() + 1);
            std::future::ready(())
        };
        let now = clock::unix_seconds() + 2 * DAY;
        let looked = vault.sweep(&policy, now, true, pause).await.unwrap();
        assert_eq!((looked.seen, looked.total(), pauses.get()), (3000, 3000, 3));
        for (subject, names, tokens) in &all {
            let values: Vec<_> = names.iter().map(|name| (entity("EMAIL"), name.as_str())).collect();
            assert_restores(subject, tokens, &values).await;
        }
        assert_eq!(vault.sweep(&policy, now, false, pause).await.unwrap().forgotten, looked.forgotten);
        for (subject, _, tokens) in &all {
            assert!(subject.restore(tokens).await.unwrap().iter().all(Option::is_none));
        }
        assert!(vault.stats().await.unwrap().tokens.is_empty());
    }

    #[tokio::test]
    async fn rules_of_a_tenant_hold_for_it_alone_and_corrections_stay() {
        let vault = super::in_memory().await;
        let (ours, theirs) =
            (vault.subject("ours", "ana").await.unwrap(), vault.subject("theirs", "ana").await.unwrap());
        let values = emails(&["a@b.c", "d@e.f"]);
        let (own, others) = (ours.tokenize(&values).await.unwrap(), theirs.tokenize(&values).await.unwrap());
        assert!(vault.rectify("theirs", "ana", &others[0], "new@b.c").await.unwrap());
        let rule = Retention { tenant: Some("ours".to_owned()), ..rule(None, None, 1, Expiry::Delete) };
        let kept = Retention { keep: Keep::UntilErased, tenant: None, ..rule.clone() };
        // Something of theirs goes too, so that the rest is written anew.
        let gone = [(entity("PHONE"), "+1 415 555 0100")];
        let phone = theirs.tokenize(&gone).await.unwrap();
        let phones = Retention { entity: Some(entity("PHONE")), tenant: None, ..rule.clone() };
        assert_eq!(sweep(&vault, &[rule, kept, phones], 2).await.total(), 3);
        assert!(ours.restore(&own).await.unwrap().iter().all(Option::is_none));
        assert!(theirs.restore(&phone).await.unwrap()[0].is_none());
        assert_restores(&theirs, &others, &emails(&["new@b.c", "d@e.f"])).await;
    }

    #[tokio::test]
    async fn surrogates_go_with_the_values() {
        let vault = super::in_memory().await;
        let subject = vault.subject("default", "ana").await.unwrap();
        let standing: &Standing<'_> = &|_| Box::pin(async { vec![false; 64] });
        let person = [(entity("PERSON"), "Julia Hofmann")];
        assert!(subject.mint_surrogates(&person, standing).await.unwrap()[0].is_some());
        let rules = [rule(Some("PERSON"), None, 30, Expiry::Anonymize)];
        assert_eq!(sweep(&vault, &rules, 29).await.total(), 0);
        let swept = sweep(&vault, &rules, 31).await;
        assert!(swept.forgotten[&(None, Expiry::Delete)] > 0, "{swept:?}");
        assert_eq!(format!("{:?}", subject.surrogates().await.unwrap()), "Surrogates(0)");
        assert!(subject.mint_surrogates(&person, standing).await.unwrap()[0].is_some(), "and come again");
    }
}
