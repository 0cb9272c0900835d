mod withdrawals;

use super::*;
use crate::entity::Entity;
use crate::store::{Row, Space};
use crate::token::Token;
use crate::vault::erasures::{Erasure, ErasureFile, What};
use crate::vault::{Expected, Key, Kind, Options, Owner, RecordChange, Shared, Vault, VaultUrl};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn small() -> Options {
    Options { cache_bytes: 0, page_cache_bytes: 1 << 20, ..Options::default() }
}
const EMAIL: Entity = Entity::constant("EMAIL");

/// A vault in a folder, what it is opened with, and where its backup goes.
struct Setting {
    folder: tempfile::TempDir,
    key: Key,
    vault: Vault,
    tokens: Vec<(String, Vec<Token>)>,
}

impl Setting {
    async fn new() -> Self {
        let (folder, key) = (tempfile::tempdir().unwrap(), Key::generate());
        let vault = open(&folder.path().join("vault"), &key).await;
        let mut setting = Self { folder, key, vault, tokens: Vec::new() };
        for n in 0..20 {
            setting.mint(&format!("person-{n}"), 30).await;
        }
        setting
    }

    async fn mint(&mut self, name: &str, count: usize) {
        let tokens = mint(&self.vault, name, count).await;
        self.tokens.push((name.to_owned(), tokens));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn back_up(&self) -> PathBuf {
        let path = self.path("backup");
        self.vault.back_up(&path).await.unwrap();
        path
    }

    async fn restore(&self, name: &str, erasures: Option<&Path>) -> Result<(Vault, Restored), BackupError> {
        let url = VaultUrl::Embedded(self.path(name));
        Vault::restore_at(&url, self.key.clone(), small(), &self.path("backup"), erasures).await
    }
}

async fn open(folder: &Path, key: &Key) -> Vault {
    Vault::open(&VaultUrl::Embedded(folder.to_owned()), key.clone(), small()).await.unwrap()
}

fn values(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}.{n}@example.com")).collect()
}

async fn mint(vault: &Vault, name: &str, count: usize) -> Vec<Token> {
    let values = values(name, count);
    let values: Vec<_> = values.iter().map(|value| (EMAIL, value.as_str())).collect();
    vault.subject("default", name).await.unwrap().tokenize(&values).await.unwrap()
}

/// How many of the tokens restore; none to a wrong value.
async fn restored(vault: &Vault, name: &str, tokens: &[Token]) -> usize {
    let found = vault.subject("default", name).await.unwrap().restore(tokens).await.unwrap();
    let mut count = 0;
    for (value, expected) in found.iter().zip(values(name, tokens.len())) {
        if let Some(value) = value {
            assert_eq!(value.expose(), expected);
            count += 1;
        }
    }
    count
}

async fn assert_all(vault: &Vault, tokens: &[(String, Vec<Token>)]) {
    for (name, tokens) in tokens {
        assert_eq!(restored(vault, name, tokens).await, tokens.len(), "{name}");
        assert_eq!(mint(vault, name, tokens.len()).await, *tokens, "values keep their tokens");
    }
}

fn shared(vault: &Vault) -> &Shared {
    match &vault.0 {
        Kind::Stored(shared) => shared,
        Kind::Memory(_) => panic!("it has a store"),
    }
}

async fn erase(vault: &Vault, name: &str) {
    let row = vault.row("default", name);
    vault.records().erasing(row).await.unwrap();
    shared(vault).store.erase(row).await.unwrap();
}

#[tokio::test]
async fn an_empty_vault_becomes_the_one_of_the_backup() {
    let setting = Setting::new().await;
    let counts = setting.vault.back_up(&setting.path("backup")).await.unwrap();
    assert_eq!((counts.subjects, counts.tokens), (20, 600));
    let (vault, done) = setting.restore("other", None).await.unwrap();
    assert_eq!((done.added, done.present), (counts, Counts::default()));
    assert_all(&vault, &setting.tokens).await;
    assert_eq!(vault.row("default", "x"), setting.vault.row("default", "x"));
    // Once more adds nothing.
    vault.close().await;
    let (vault, again) = setting.restore("other", None).await.unwrap();
    assert_eq!((again.added, again.present), (Counts::default(), Counts { subjects: 0, ..counts }));
    assert_all(&vault, &setting.tokens).await;
}

#[tokio::test]
async fn a_vault_with_data_of_its_own_keeps_it() {
    let setting = Setting::new().await;
    setting.back_up().await;
    let other = open(&setting.path("other"), &setting.key).await;
    // One subject of the backup, with values of its own, and one that is not there.
    let own = mint(&other, "person-3", 10).await;
    let strange = mint(&other, "stranger", 10).await;
    other.close().await;
    let (vault, done) = setting.restore("other", None).await.unwrap();
    assert_eq!((done.added.subjects, done.added.tokens), (19, 600));
    assert_eq!(restored(&vault, "stranger", &strange).await, 10);
    assert_eq!(restored(&vault, "person-3", &own).await, 10);
    for (name, tokens) in &setting.tokens {
        assert_eq!(restored(&vault, name, tokens).await, 30, "{name}");
    }
    assert_eq!(mint(&vault, "person-3", 10).await, own, "its own keys stay");
    assert_eq!(mint(&vault, "person-4", 30).await, setting.tokens[4].1);
}

#[tokio::test]
async fn a_backup_is_one_moment_under_load() {
    let mut setting = Setting::new().await;
    let backup = setting.vault.backup().await;
    let mut backup = backup.unwrap();
    let mut file = Vec::new();
    let before = setting.tokens.clone();
    let mut n = 0;
    while let Some(piece) = backup.next().await.unwrap() {
        file.extend(piece);
        setting.mint(&format!("late-{n}"), 5).await;
        setting.mint(&format!("person-{n}"), 40).await;
        n += 1;
    }
    assert!(n > 2, "it comes in pieces");
    std::fs::write(setting.path("backup"), file).unwrap();
    let (vault, done) = setting.restore("other", None).await.unwrap();
    assert_eq!((done.added.subjects, done.added.tokens), (20, 600));
    assert_all(&vault, &before).await;
}

#[tokio::test]
async fn who_was_erased_since_stays_so() {
    let setting = Setting::new().await;
    let erasures = setting.path("erasures.jsonl");
    setting.vault.keep_erasures(&erasures).unwrap();
    setting.back_up().await;
    erase(&setting.vault, "person-7").await;

    // Into the vault itself, which knows.
    let done = setting.vault.restore(&setting.path("backup"), None).await.unwrap();
    assert_eq!((done.erased, done.added.subjects, done.present.tokens), (1, 0, 19 * 30));
    assert_eq!(restored(&setting.vault, "person-7", &setting.tokens[7].1).await, 0);

    // Into a new one, by the file, which then knows too.
    let (vault, done) = setting.restore("other", Some(&erasures)).await.unwrap();
    assert_eq!((done.erased, done.added.subjects), (1, 19));
    assert_eq!(restored(&vault, "person-7", &setting.tokens[7].1).await, 0);
    vault.close().await;
    let (vault, done) = setting.restore("other", None).await.unwrap();
    assert_eq!((done.erased, restored(&vault, "person-7", &setting.tokens[7].1).await), (1, 0));

    // Into one with data of its own, where the subject is filed elsewhere.
    let other = open(&setting.path("third"), &setting.key).await;
    mint(&other, "stranger", 1).await;
    other.close().await;
    let (vault, done) = setting.restore("third", Some(&erasures)).await.unwrap();
    assert_eq!((done.erased, restored(&vault, "person-7", &setting.tokens[7].1).await), (1, 0));
    // Without the file nobody could know.
    let (vault, done) = setting.restore("fourth", None).await.unwrap();
    assert_eq!((done.erased, restored(&vault, "person-7", &setting.tokens[7].1).await), (0, 30));
}

/// Whether there is a way to a subject: by an address, or by a reply.
async fn ways_to(vault: &Vault, name: &str) -> (usize, bool, usize) {
    let address = values(name, 1).remove(0);
    let found = vault.find("default", &address).await.unwrap().len();
    let linked = vault.linked("default", &format!("reply to {name}")).await.unwrap().is_some();
    let entries = vault.shared().store.scan(vault.row("default", name), Space::Index, None, 10_000).await.unwrap();
    (found, linked, entries.len())
}

#[tokio::test]
async fn no_way_leads_to_who_was_erased_since() {
    let setting = Setting::new().await;
    let erasures = setting.path("erasures.jsonl");
    setting.vault.keep_erasures(&erasures).unwrap();
    for name in ["person-7", "person-8"] {
        setting.vault.link("default", &format!("reply to {name}"), name).await.unwrap();
    }
    setting.back_up().await;
    assert_eq!(ways_to(&setting.vault, "person-7").await, (1, true, 30));
    setting.vault.erase("default", "person-7").await.unwrap();
    setting.vault.restore(&setting.path("backup"), None).await.unwrap();
    let (other, _) = setting.restore("other", Some(&erasures)).await.unwrap();
    for vault in [&setting.vault, &other] {
        assert_eq!(ways_to(vault, "person-7").await, (0, false, 0));
        assert_eq!(ways_to(vault, "person-8").await, (1, true, 30));
    }
}

#[tokio::test]
async fn nothing_is_restored_of_a_file_that_is_not_whole() {
    let setting = Setting::new().await;
    let path = setting.back_up().await;
    let whole = std::fs::read(&path).unwrap();
    let refused = async |file: &[u8]| {
        std::fs::write(&path, file).unwrap();
        let error = setting.vault.restore(&path, None).await.expect_err("it is refused");
        let target = setting.path("untouched");
        assert!(setting.restore("untouched", None).await.is_err());
        assert!(!target.exists(), "not even made");
        error
    };
    let mut counted = 0;
    for n in 0..300 {
        let at = n * whole.len() / 300;
        let mut bent = whole.clone();
        bent[at] ^= 1 << (n % 8);
        match refused(&bent).await {
            BackupError::Damaged { .. } => counted += 1,
            BackupError::NoBackup => assert!(at < 16),
            BackupError::NewerFormat { .. } => assert!((16..20).contains(&at)),
            BackupError::WrongKey { .. } => assert!((60..90).contains(&at), "{at}"),
            BackupError::Vault(VaultError::NewerFormat { .. }) => assert!((60..70).contains(&at), "{at}"),
            error => panic!("byte {at}: {error:?}"),
        }
    }
    assert!(counted > 280, "only {counted} were told from the frames");
    for n in 0..50 {
        refused(&whole[..n * whole.len() / 50]).await;
    }
    refused(&whole[..whole.len() - 1]).await;
    assert!(matches!(refused(&[whole.as_slice(), b"x"].concat()).await, BackupError::Damaged { .. }));
    std::fs::write(&path, &whole).unwrap();
    let error = Vault::restore_at(&VaultUrl::Embedded(setting.path("u")), Key::generate(), small(), &path, None).await;
    assert!(matches!(error, Err(BackupError::WrongKey { .. })), "{:?}", error.err());
    assert!(!setting.path("u").exists());
}

#[tokio::test]
async fn frames_cannot_be_moved_or_left_out() {
    let mut setting = Setting::new().await;
    for n in 0..20 {
        setting.mint(&format!("more-{n}"), 200).await;
    }
    let path = setting.back_up().await;
    let whole = std::fs::read(&path).unwrap();
    // The head ends with the vault's own record, whose length stands before it.
    let mut at = 64 + u32::from_be_bytes(whole[60..64].try_into().unwrap()) as usize;
    let (head, mut frames) = (whole[..at].to_vec(), Vec::new());
    while at < whole.len() {
        let len = 4 + u32::from_be_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
        frames.push(whole[at..at + len].to_vec());
        at += len;
    }
    assert!(frames.len() > 5);
    let refused = async |frames: Vec<Vec<u8>>| {
        std::fs::write(&path, [head.clone(), frames.concat()].concat()).unwrap();
        let error = setting.vault.restore(&path, None).await.unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }));
    };
    for i in 0..frames.len() {
        let mut less = frames.clone();
        less.remove(i);
        refused(less).await;
        let mut twice = frames.clone();
        twice.insert(i, frames[i].clone());
        refused(twice).await;
        let mut turned = frames.clone();
        turned.swap(i, (i + 1) % frames.len());
        refused(turned).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_is_for_its_owner_and_shows_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let setting = Setting::new().await;
    let path = setting.back_up().await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let file = std::fs::read(&path).unwrap();
    // Not even what the store shows: entities, rows.
    let row = setting.vault.row("default", "person-1").to_bytes();
    for text in [b"person-1".as_slice(), b"@example.com", b"EMAIL", b"default", &row[..8]] {
        assert!(memchr::memmem::find(&file, text).is_none());
    }
    let names: Vec<_> = std::fs::read_dir(setting.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no temporary file is left: {names:?}");
}

#[tokio::test]
async fn backups_are_tested_and_rotate() {
    let setting = Setting::new().await;
    let dir = setting.path("backups");
    let rotation = Rotation { dir: dir.clone(), every: Duration::from_hours(1), keep: 3 };
    let backups = Backups::new(setting.vault.clone(), rotation);
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    backups.make().await.unwrap();
    for at in 1..=4 {
        std::fs::write(dir.join(format!("privet-{at}.backup")), "old").unwrap();
    }
    // What a crash leaves behind.
    std::fs::create_dir(dir.join(".privet-trial-x")).unwrap();
    std::fs::write(dir.join("privet-9.backup.untested"), "x").unwrap();
    std::fs::write(dir.join("somebody-elses"), "x").unwrap();
    assert_eq!(backups.make().await.unwrap().tokens, 600);
    let left = names();
    assert!(left.iter().any(|name| name == "somebody-elses"));
    assert_eq!(left.iter().filter(|name| name.ends_with(".backup")).count(), 3, "{left:?}");
    assert_eq!(left.len(), 4, "{left:?}");
}

/// All bytes of all files under a folder.
fn all_files(folder: &Path, out: &mut Vec<u8>) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += all_files(&path, out);
        } else {
            out.extend(std::fs::read(path).unwrap());
            count += 1;
        }
    }
    count
}

/// Whether a text can be read in bytes: as it is, in hex, or in Base64 within a
/// longer one, which looks one of three ways.
fn shows(bytes: &[u8], text: &str) -> bool {
    use base64::Engine;
    let finds = |needle: &str| memchr::memmem::find(bytes, needle.as_bytes()).is_some();
    let hex = crate::hex::encode(text.as_bytes());
    let in_base64 = |shift| {
        let padded = [&[b' '; 2][..shift], text.as_bytes()].concat();
        let encoded = base64::prelude::BASE64_STANDARD_NO_PAD.encode(padded);
        // A short name leaves so little that it is found anywhere.
        encoded.len() >= 20 && finds(&encoded[4..encoded.len() - 4])
    };
    finds(text) || finds(&hex) || finds(&hex.to_uppercase()) || (0..3).any(in_base64)
}

#[tokio::test]
async fn no_file_shows_a_value_before_or_after_an_erasure() {
    use base64::Engine;
    let setting = Setting::new().await;
    let erasures = setting.path("erasures.jsonl");
    setting.vault.keep_erasures(&erasures).unwrap();
    let rotation = Rotation { dir: setting.path("backups"), every: Duration::from_hours(1), keep: 3 };
    Backups::new(setting.vault.clone(), rotation).make().await.unwrap();
    setting.back_up().await;
    // As a crash would leave them, and what is replaced later.
    let mut files = Vec::new();
    let before = all_files(setting.folder.path(), &mut files);
    assert!(before >= 3, "the vault and two backups: {before}");
    for n in 0..10 {
        erase(&setting.vault, &format!("person-{n}")).await;
    }
    all_files(setting.folder.path(), &mut files);
    setting.back_up().await;
    let other = setting.restore("other", Some(&erasures)).await.unwrap().0;
    // The values are in there, for who has the key.
    for (name, tokens) in &setting.tokens {
        let restored = other.subject("default", name).await.unwrap().restore(tokens).await.unwrap();
        let is_erased = name["person-".len()..].parse::<usize>().unwrap() < 10;
        for (restored, value) in restored.iter().zip(values(name, 30)) {
            let found = restored.as_ref().map(crate::vault::Value::expose);
            assert_eq!(found, (!is_erased).then_some(&*value));
        }
    }
    other.close().await;
    setting.vault.clone().close().await;
    let count = all_files(setting.folder.path(), &mut files);
    // Two vaults, two backups, the erasures.
    assert_eq!(count, 5);
    assert!(
        ["EMAIL", "erased", "privet backup"].iter().all(|text| shows(&files, text)),
        "it looks at the right places"
    );
    for n in 0..20 {
        let name = format!("person-{n}");
        for text in values(&name, 30).into_iter().chain([name]) {
            assert!(!shows(&files, &text), "{text}");
        }
    }
    // Any one of them would have been found.
    let value = values("person-7", 1).remove(0);
    let in_base64 = base64::prelude::BASE64_STANDARD.encode(format!("x{value}"));
    let hex = crate::hex::encode(value.as_bytes()).to_uppercase();
    for planted in [value.clone(), hex, in_base64] {
        std::fs::write(setting.path("planted"), planted).unwrap();
        let mut files = Vec::new();
        all_files(setting.folder.path(), &mut files);
        assert!(shows(&files, &value));
    }
}

/// A replica whose clock is behind erases somebody just after a backup.
#[tokio::test]
async fn who_was_erased_by_a_slow_clock_stays_so() {
    let setting = Setting::new().await;
    let erasures = setting.path("erasures.jsonl");
    let file = ErasureFile::open(&erasures, shared(&setting.vault).index.clone()).unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    setting.back_up().await;
    let slow = crate::clock::unix_seconds() - 1;
    // The other one was erased long ago, and came again since.
    for (name, at) in [("person-7", slow), ("person-8", 1_000)] {
        let row = setting.vault.row("default", name);
        file.append(Erasure { at, what: What::Erased, row, statement: None }).await.unwrap();
        setting.vault.records().note_erased(row, at).await.unwrap();
    }
    shared(&setting.vault).store.erase(setting.vault.row("default", "person-7")).await.unwrap();
    assert_eq!(setting.vault.restore(&setting.path("backup"), None).await.unwrap().erased, 1);
    let (other, done) = setting.restore("other", Some(&erasures)).await.unwrap();
    assert_eq!(done.erased, 1);
    for vault in [&setting.vault, &other] {
        assert_eq!(restored(vault, "person-7", &setting.tokens[7].1).await, 0);
        assert_eq!(restored(vault, "person-8", &setting.tokens[8].1).await, 30);
        assert_eq!(ways_to(vault, "person-7").await.0, 0);
        assert_eq!(ways_to(vault, "person-8").await, (1, false, 30));
    }
}

#[tokio::test]
async fn operators_and_keys_of_days_do_not_come_back() {
    let setting = Setting::new().await;
    let put = async |space, key: &'static [u8]| {
        let (owner, expected) = (Owner::Deployment, Expected::Anything);
        let change = RecordChange { owner, space, key, expected, value: Some(b"x") };
        setting.vault.records().write(&[change], None).await.unwrap();
    };
    put(Space::Operator, b"eve").await;
    put(Space::Incident, b"1").await;
    put(Space::Audit, b"1").await;
    // By the key of a day the numbers in transcripts lead to persons.
    put(Space::Daily, b"2026-05-01").await;
    setting.back_up().await;
    let again = setting.vault.restore(&setting.path("backup"), None).await.unwrap();
    assert_eq!(again.foreign, 0, "what is there already is not left out");
    let (vault, done) = setting.restore("other", None).await.unwrap();
    let held = async |space, key| vault.records().get(Owner::Deployment, space, key).await.unwrap();
    assert_eq!(held(Space::Operator, b"eve".as_slice()).await, None);
    assert!(held(Space::Incident, b"1").await.is_some());
    assert_eq!(held(Space::Daily, b"2026-05-01").await, None);
    assert_eq!(done.foreign, 1);
    // The second time all is there, but for the operator.
    let again = vault.restore(&setting.path("backup"), None).await.unwrap();
    assert_eq!((again.foreign, again.added.records), (1, 0));
}

#[tokio::test]
async fn a_file_of_erasures_that_cannot_be_read_is_told_of_before_anything_is_made() {
    let setting = Setting::new().await;
    setting.back_up().await;
    let error = setting.restore("other", Some(&setting.path("nowhere"))).await.err().unwrap();
    assert_eq!(error, BackupError::ErasuresFile(std::io::ErrorKind::NotFound));
    assert!(!setting.path("other").exists());
}
