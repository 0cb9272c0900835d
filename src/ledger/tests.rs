//! The ledger over vaults in memory and on disk.

use super::*;
use crate::clock::PATIENCE;
use crate::vault::{Key, Options};

fn what(act: Act, purposes: &[(&str, bool)]) -> What {
    let purposes = purposes.iter().map(|(name, given)| ((*name).to_owned(), *given)).collect();
    What { purposes, ..What::new(act, Channel::Endpoint) }
}

async fn memory() -> Vault {
    Vault::open(&"memory:".parse().unwrap(), Key::generate(), Options::default()).await.unwrap()
}

fn ledger(vault: &Vault) -> Ledger {
    Ledger::new(vault, Notices::default())
}

#[tokio::test]
async fn a_statement_outlives_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let (key, url) = (Key::generate(), format!("embedded:{}", folder.path().display()));
    let open = || async { Vault::open(&url.parse().unwrap(), key.clone(), Options::default()).await.unwrap() };
    let vault = open().await;
    let ledger_before = ledger(&vault);
    let row = ledger_before.row("t", "u1");
    let given = ledger_before.give(row, what(Act::Given, &[("support", true), ("ads", false)]), None).await.unwrap();
    assert_eq!((given.given, given.withdrawn, given.number), (vec!["support".into()], vec!["ads".into()], Some(0)));
    let all = ledger_before.statements(row).await.unwrap();
    drop(ledger_before);
    vault.close().await;

    let vault = open().await;
    let ledger = ledger(&vault);
    assert_eq!(ledger.statements(row).await.unwrap(), all);
    assert!(ledger.known(row).await.unwrap().state().of("support").given.is_some());
    assert!(ledger.known(ledger.row("t", "u2")).await.unwrap().state().of("support").given.is_none());
    assert!(ledger.known(ledger.row("other", "u1")).await.unwrap().state().of("support").given.is_none());
}

#[tokio::test]
async fn what_requests_say_is_kept_once() {
    let vault = memory().await;
    let ledger = ledger(&vault);
    let row = ledger.row("t", "u1");
    let header = what(Act::Request, &[("support", true)]);
    for presented in [1, 1, 2] {
        ledger.note(row, presented, header.clone(), Some(presented)).await.unwrap();
    }
    assert_eq!(ledger.statements(row).await.unwrap().len(), 1);
    let known = ledger.known(row).await.unwrap();
    assert!(known.has_recorded(1) && known.has_recorded(2) && !known.has_recorded(3));
    // After an act it is said anew.
    ledger.withdraw(row, what(Act::Withdrawn, &[("support", false)])).await.unwrap();
    assert!(!ledger.known(row).await.unwrap().has_recorded(1));
    ledger.note(row, 1, header, None).await.unwrap();
    assert_eq!(ledger.statements(row).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_client_that_makes_up_statements_is_stopped() {
    let vault = memory().await;
    let ledger = ledger(&vault);
    let row = ledger.row("t", "u1");
    let header = |n: usize| What { method: Some(format!("m{n}")), ..what(Act::Request, &[("support", true)]) };
    for n in 0..MAX_HEARD {
        ledger.note(row, n as u64, header(n), None).await.unwrap();
    }
    assert!(matches!(ledger.note(row, 0, header(MAX_HEARD), None).await, Err(LedgerError::Full)));
    ledger.note(row, 0, header(0), None).await.unwrap();
    ledger.withdraw(row, what(Act::Withdrawn, &[("support", false)])).await.unwrap();
}

#[tokio::test]
async fn a_withdrawal_is_written_once_and_ends_what_is_open() {
    let vault = memory().await;
    let ledger = ledger(&vault);
    let (row, other) = (ledger.row("t", "u1"), ledger.row("t", "u2"));
    let (support, ads): (Arc<str>, Arc<str>) = ("support".into(), "ads".into());
    let open = [(row, &support), (row, &ads), (other, &support)]
        .map(|(row, purpose)| ledger.register(row, Some(purpose), CancellationToken::new()));
    let withdrawal = what(Act::Withdrawn, &[("support", false)]);
    let changed = ledger.withdraw(row, withdrawal.clone()).await.unwrap();
    assert_eq!((changed.withdrawn, changed.ended), (vec!["support".into()], 1));
    assert_eq!(open.each_ref().map(|one| one.ended().is_cancelled()), [true, false, false]);
    let again = ledger.withdraw(row, withdrawal).await.unwrap();
    assert_eq!((again.number, again.withdrawn.len(), again.ended), (None, 0, 0));
    assert_eq!(ledger.statements(row).await.unwrap().len(), 1);
}

#[tokio::test]
async fn writers_at_once_lose_nothing() {
    let vault = memory().await;
    // Two ledgers, as two replicas have them.
    let ledgers = [ledger(&vault), ledger(&vault)];
    let row = ledgers[0].row("t", "u1");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..12 {
        let ledger = ledgers[n % 2].clone();
        tasks.spawn(async move {
            let purpose = format!("p{n}");
            ledger.give(row, what(Act::Given, &[(&purpose, true)]), None).await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let all = ledgers[0].statements(row).await.unwrap();
    assert_eq!(all.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (0..12).collect::<Vec<_>>());
    let state = State::derive(all.iter().map(|(_, statement)| statement));
    assert!((0..12).all(|n| state.of(&format!("p{n}")).given.is_some()));
    let journal = journal(vault.records(), "t", None, 100).await.unwrap();
    assert_eq!(journal.len(), 12);
    assert!(journal.iter().all(|(_, of, _)| *of == row));
}

#[tokio::test]
async fn a_withdrawal_elsewhere_is_heard() {
    let vault = memory().await;
    let (here, elsewhere) = (ledger(&vault), ledger(&vault));
    let following = tokio::spawn(here.follow(&vault));
    let row = here.row("t", "u1");
    elsewhere.give(row, what(Act::Given, &[("support", true)]), None).await.unwrap();
    let support: Arc<str> = "support".into();
    let open = here.register(row, Some(&support), CancellationToken::new());
    here.known(row).await.unwrap();
    elsewhere.withdraw(row, what(Act::Withdrawn, &[("support", false)])).await.unwrap();
    tokio::time::timeout(PATIENCE, open.ended().cancelled()).await.expect("it was not told");
    assert!(here.known(row).await.unwrap().state().of("support").withdrawn.is_some());
    drop(here);
    elsewhere.give(row, what(Act::Given, &[("support", true)]), None).await.unwrap();
    tokio::time::timeout(PATIENCE, following).await.expect("it goes on for nobody").unwrap();
}

#[tokio::test]
async fn a_withdrawal_that_was_missed_is_found() {
    let vault = memory().await;
    let (here, elsewhere) = (ledger(&vault), ledger(&vault));
    let row = here.row("t", "u1");
    elsewhere.give(row, what(Act::Given, &[("support", true)]), None).await.unwrap();
    let support: Arc<str> = "support".into();
    let open = here.register(row, Some(&support), CancellationToken::new());
    assert!(here.known(row).await.unwrap().state().of("support").withdrawn.is_none());
    elsewhere.withdraw(row, what(Act::Withdrawn, &[("support", false)])).await.unwrap();
    let _following = tokio::spawn(here.follow(&vault));
    let missed = Event { row: Row::DEPLOYMENT, kind: EventKind::Missed };
    vault.records().write(&[], Some(missed)).await.unwrap();
    tokio::time::timeout(PATIENCE, open.ended().cancelled()).await.expect("it was not told");
    assert!(here.known(row).await.unwrap().state().of("support").withdrawn.is_some());
}

#[tokio::test]
async fn what_stands_open_of_an_erased_subject_ends() {
    let vault = memory().await;
    let ledger = ledger(&vault);
    let register = |subject: &str| ledger.register(ledger.row("t", subject), None, CancellationToken::new());
    let open = ["u1", "u2", "u3"].map(register);
    let is_told = async |at: usize| {
        tokio::time::timeout(PATIENCE, open[at].ended().cancelled()).await.expect("it was not told");
    };
    // What nobody heard of,
    vault.erase("t", "u1").await.unwrap();
    // also of somebody who was erased long before.
    vault.records().note_erased(ledger.row("t", "u3"), 1_000).await.unwrap();
    let _following = tokio::spawn(ledger.follow(&vault));
    let missed = Event { row: Row::DEPLOYMENT, kind: EventKind::Missed };
    vault.records().write(&[], Some(missed)).await.unwrap();
    is_told(0).await;
    // and what is heard.
    vault.erase("t", "u2").await.unwrap();
    is_told(1).await;
    assert!(!open[2].ended().is_cancelled());
}

#[tokio::test]
async fn a_receipt_reads_the_latest_statements_alone() {
    let vault = memory().await;
    let ledger = ledger(&vault);
    let row = ledger.row("t", "u1");
    for n in 0..receipt::MAX_EVENTS + 40 {
        let (known, latest) = ledger.latest(row).await.unwrap();
        let numbers: Vec<u64> = latest.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (n.saturating_sub(receipt::MAX_EVENTS)..n).collect::<Vec<_>>());
        assert_eq!(known.state().count(), n);
        ledger.give(row, what(Act::Given, &[("support", n % 2 == 0)]), None).await.unwrap();
    }
    // Nobody could read this one.
    let (key, owner) = (0_u64.to_be_bytes(), Owner::Row(row));
    let value = Some(&b"?"[..]);
    let change = RecordChange { owner, space: Space::Consent, key: &key, expected: Expected::Anything, value };
    assert!(vault.records().write(&[change], None).await.unwrap());
    assert!(ledger.statements(row).await.is_err());
    assert!(ledger.latest(row).await.is_ok());
}

#[tokio::test]
async fn the_text_of_a_notice_is_kept_by_its_hash() {
    let vault = memory().await;
    let notice = crate::config::Notice {
        lang: "en".to_owned(),
        policy: Some("2".to_owned()),
        title: "May we?".to_owned(),
        text: "We would like to.".to_owned(),
        purposes: Vec::new(),
    };
    let ledger = Ledger::new(&vault, Notices::new(&[notice]));
    let row = ledger.row("t", "u1");
    let given = What { policy: Some("2".to_owned()), ..what(Act::Given, &[("support", true)]) };
    ledger.give(row, given, None).await.unwrap();
    let (_, statement) = ledger.statements(row).await.unwrap().remove(0);
    let key = format!("notice:{}", statement.what.notice.unwrap());
    let kept = vault.records().get(Owner::Deployment, Space::Consent, key.as_bytes()).await.unwrap();
    assert_eq!(kept.as_deref(), Some(b"May we?\n\nWe would like to.".as_slice()));
    assert_eq!(statement.what.lang.as_deref(), Some("en"));
}

#[tokio::test]
async fn made_up_subjects_do_not_fill_a_vault_in_memory() {
    let vault = memory().await;
    let ledger = ledger(&vault);
    let kept = async || vault.records().scan(Owner::Tenant("t"), Space::Consent, None, usize::MAX).await.unwrap().len();
    let ana = ledger.row("t", "ana");
    ledger.give(ana, what(Act::Given, &[("support", true)]), None).await.unwrap();
    for n in 0..50_000 {
        let row = ledger.row("t", &format!("made-up-{n}"));
        ledger.note(row, 1, what(Act::Request, &[("support", true)]), None).await.unwrap();
        if n % 500 == 0 {
            assert!(ledger.known(ana).await.unwrap().state().of("support").given.is_some(), "who is there stays");
        }
    }
    let kept = kept().await;
    assert!((10_000..=32 * 1024).contains(&kept), "{kept}");
    assert_eq!(ledger.statements(ana).await.unwrap().len(), 1);
    assert!(ledger.statements(ledger.row("t", "made-up-0")).await.unwrap().is_empty());
    assert_eq!(ledger.statements(ledger.row("t", "made-up-49999")).await.unwrap().len(), 1);
}
