//! What was withdrawn after a backup is withdrawn after its restore as well.

use super::*;
use crate::ledger::{self, Act, Channel, Ledger, Notices, What};
use crate::vault::erasures;

fn what(act: Act, purpose: &str) -> What {
    What { purposes: [(purpose.to_owned(), act != Act::Withdrawn)].into(), ..What::new(act, Channel::Endpoint) }
}

fn ledger(vault: &Vault) -> Ledger {
    Ledger::new(vault, Notices::default())
}

async fn give(vault: &Vault, name: &str, purpose: &str) {
    ledger(vault).give(vault.row("default", name), what(Act::Given, purpose), None).await.unwrap();
}

async fn withdraw(vault: &Vault, name: &str, purpose: &str) {
    ledger(vault).withdraw(vault.row("default", name), what(Act::Withdrawn, purpose)).await.unwrap();
}

/// What stands of both purposes: whether it is given, whether it is withdrawn.
async fn standing(vault: &Vault, name: &str) -> [(bool, bool); 2] {
    let known = ledger(vault).known(vault.row("default", name)).await.unwrap();
    ["support", "ads"].map(|purpose| {
        let standing = known.state().of(purpose);
        (standing.given.is_some(), standing.withdrawn.is_some())
    })
}

const GIVEN: (bool, bool) = (true, false);
const WITHDRAWN: (bool, bool) = (false, true);
const NOTHING: (bool, bool) = (false, false);

/// A vault with a backup, after which persons withdrew. One did before it.
async fn withdrawn_since(setting: &Setting, erasures: &Path) {
    let vault = &setting.vault;
    vault.keep_erasures(erasures).unwrap();
    for name in ["person-1", "person-2", "person-3", "person-4"] {
        give(vault, name, "support").await;
        give(vault, name, "ads").await;
    }
    withdraw(vault, "person-1", "ads").await;
    setting.back_up().await;
    // Two statements are lost, of which the second counts.
    give(vault, "person-2", "ads").await;
    withdraw(vault, "person-2", "support").await;
    withdraw(vault, "person-3", "support").await;
    give(vault, "person-3", "support").await;
    // Nobody in the backup has said anything here.
    withdraw(vault, "person-5", "support").await;
    vault.erase("default", "person-4").await.unwrap();
}

#[tokio::test]
async fn what_was_withdrawn_since_is_withdrawn_again() {
    let setting = Setting::new().await;
    let erasures = setting.path("erasures.jsonl");
    withdrawn_since(&setting, &erasures).await;

    let (vault, done) = setting.restore("other", Some(&erasures)).await.unwrap();
    assert_eq!((done.withdrawn, done.erased), (3, 1));
    assert_eq!(standing(&vault, "person-1").await, [GIVEN, WITHDRAWN], "before the backup");
    assert_eq!(standing(&vault, "person-2").await, [WITHDRAWN, GIVEN], "what was not withdrawn stands");
    assert_eq!(standing(&vault, "person-3").await, [WITHDRAWN, GIVEN], "that it was given again is lost");
    assert_eq!(standing(&vault, "person-5").await, [WITHDRAWN, NOTHING], "though the backup knows nothing of it");
    assert_eq!(restored(&vault, "person-4", &setting.tokens[4].1).await, 0, "nobody who was erased is back");
    assert_eq!(restored(&vault, "person-2", &setting.tokens[2].1).await, 30);
    // The statements that were made before are there too, and those of all can be counted.
    let row = vault.row("default", "person-2");
    assert_eq!(ledger(&vault).statements(row).await.unwrap().len(), 3);
    let journal = ledger::journal(vault.records(), "default", None, 100).await.unwrap();
    let of = |row: Row| journal.iter().filter(|(_, of, _)| *of == row).count();
    assert_eq!((of(row), of(vault.row("default", "person-5"))), (3, 1));

    // Once more adds nothing, and takes nothing back that was said since.
    give(&vault, "person-3", "support").await;
    vault.close().await;
    let (vault, again) = setting.restore("other", Some(&erasures)).await.unwrap();
    assert_eq!((again.withdrawn, again.added.records), (0, 0));
    assert_eq!(standing(&vault, "person-3").await, [GIVEN, GIVEN]);
    // Without the file nobody could know.
    let (vault, _) = setting.restore("third", None).await.unwrap();
    assert_eq!(standing(&vault, "person-2").await, [GIVEN, GIVEN]);
}

/// By the clock of the replica that was asked it was before the backup.
#[tokio::test]
async fn what_was_withdrawn_by_a_slow_clock_is_withdrawn_again() {
    let setting = Setting::new().await;
    let (erasures, slow) = (setting.path("erasures.jsonl"), setting.path("slow.jsonl"));
    withdrawn_since(&setting, &erasures).await;
    let index = shared(&setting.vault).index.clone();
    let file = ErasureFile::open(&slow, index.clone()).unwrap();
    let lines = erasures::read(std::fs::File::open(&erasures).unwrap(), &index).unwrap().unwrap();
    for line in lines.into_iter().filter(|line| line.statement.is_some()) {
        file.append(Erasure { at: line.at - 3_600, ..line }).await.unwrap();
    }
    let (vault, done) = setting.restore("other", Some(&slow)).await.unwrap();
    assert_eq!(done.withdrawn, 3);
    assert_eq!(standing(&vault, "person-1").await, [GIVEN, WITHDRAWN], "before the backup");
    assert_eq!(standing(&vault, "person-2").await, [WITHDRAWN, GIVEN]);
}

#[tokio::test]
async fn the_vault_itself_knows_what_was_withdrawn() {
    let setting = Setting::new().await;
    let erasures = setting.path("erasures.jsonl");
    withdrawn_since(&setting, &erasures).await;
    for erasures in [None, Some(&*erasures)] {
        let done = setting.vault.restore(&setting.path("backup"), erasures).await.unwrap();
        assert_eq!((done.withdrawn, done.added.records), (0, 0));
        assert_eq!(standing(&setting.vault, "person-2").await, [WITHDRAWN, GIVEN]);
        assert_eq!(standing(&setting.vault, "person-3").await, [GIVEN, GIVEN], "it was given again");
    }
}

#[tokio::test]
async fn a_withdrawal_follows_its_person_into_another_vault() {
    let setting = Setting::new().await;
    let erasures = setting.path("erasures.jsonl");
    withdrawn_since(&setting, &erasures).await;
    let other = open(&setting.path("other"), &setting.key).await;
    mint(&other, "stranger", 1).await;
    give(&other, "person-2", "support").await;
    other.close().await;
    let (vault, done) = setting.restore("other", Some(&erasures)).await.unwrap();
    assert_eq!(done.withdrawn, 4, "of the persons whom the backup brings");
    assert_eq!(standing(&vault, "person-1").await, [NOTHING, WITHDRAWN], "also what was withdrawn before the backup");
    for name in ["person-2", "person-3", "person-5"] {
        assert_eq!(standing(&vault, name).await, [WITHDRAWN, NOTHING]);
    }
}

#[tokio::test]
async fn whoever_follows_is_told_of_a_withdrawal_that_is_restored() {
    let setting = Setting::new().await;
    let erasures = setting.path("erasures.jsonl");
    withdrawn_since(&setting, &erasures).await;
    let path = setting.path("backup");
    let (vault, _) = setting.restore("other", None).await.unwrap();
    let mut told = vault.subscribe();
    assert_eq!(vault.restore(&path, Some(&erasures)).await.unwrap().withdrawn, 3);
    let row = vault.row("default", "person-2");
    let mut events = Vec::new();
    while let Ok(event) = told.try_recv() {
        events.push(event);
    }
    assert!(events.contains(&crate::store::Event { row, kind: crate::store::EventKind::Withdrawn }), "{events:?}");
}
