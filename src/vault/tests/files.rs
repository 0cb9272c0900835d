//! The embedded vault's folder: what outlives a restart, and what it shows.

use super::*;
use base64::prelude::*;
use std::fmt::Write;
use std::path::Path;

fn at(folder: &Path) -> VaultUrl {
    VaultUrl::Embedded(folder.join("deep/vault"))
}

async fn open(folder: &Path, key: &Key) -> Vault {
    Vault::open(&at(folder), key.clone(), SMALL).await.unwrap()
}

#[tokio::test]
async fn tokens_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate();
    let values = [(entity("EMAIL"), "ana@example.com"), (entity("PERSON"), "Ana")];
    let mut first = None;
    for _ in 0..3 {
        let vault = open(folder.path(), &key).await;
        let subject = vault.subject("default", "ana").await.unwrap();
        let tokens = first.get_or_insert(subject.tokenize(&values).await.unwrap()).clone();
        assert_eq!(subject.tokenize(&values).await.unwrap(), tokens);
        assert_restores(&subject, &tokens, &values).await;
        let kinds = subject.kinds().await.unwrap();
        assert!(kinds.contains(entity("EMAIL")) && kinds.contains(entity("PERSON")));
        vault.check_writable().await.unwrap();
        vault.close().await;
        assert!(subject.restore(&[Token::new(entity("EMAIL"), 1)]).await.is_err(), "it is closed");
        assert!(subject.tokenize(&emails(&["new@b.c"])).await.is_err());
    }
}

#[tokio::test]
async fn a_dropped_vault_lets_go_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate();
    for _ in 0..3 {
        let vault = open(folder.path(), &key).await;
        let subject = vault.subject("default", "ana").await.unwrap();
        drop(vault);
        subject.tokenize(&emails(&["a@b.c"])).await.unwrap();
    }
}

#[tokio::test]
async fn another_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (key, other) = (Key::generate(), Key::generate());
    open(folder.path(), &key).await.close().await;
    let error = Vault::open(&at(folder.path()), other.clone(), SMALL).await.unwrap_err();
    assert_eq!(error, VaultError::WrongKey { vault: key.id(), given: other.id() });
    open(folder.path(), &key).await.close().await;
}

#[tokio::test]
async fn a_second_opener_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate();
    let vault = open(folder.path(), &key).await;
    let error = Vault::open(&at(folder.path()), key.clone(), SMALL).await.unwrap_err();
    assert_eq!(error, VaultError::InUse);
    vault.close().await;
    open(folder.path(), &key).await.close().await;
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("deep/vault");
    std::fs::create_dir_all(&vault).unwrap();
    std::fs::write(vault.join("vault.redb"), vec![b'x'; 10_000]).unwrap();
    let error = Vault::open(&at(folder.path()), Key::generate(), SMALL).await.unwrap_err();
    assert!(matches!(error, VaultError::Corrupt { .. }), "{error:?}");
}

/// A bit that is flipped in the list of tables takes them away.
#[tokio::test]
async fn a_file_without_its_tables_is_not_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate();
    open(folder.path(), &key).await.close().await;
    let file = folder.path().join("deep/vault/vault.redb");
    std::fs::remove_file(&file).unwrap();
    drop(redb::Database::create(&file).unwrap());
    let error = Vault::open(&at(folder.path()), key, SMALL).await.unwrap_err();
    assert!(matches!(error, VaultError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_key_that_nobody_can_read_is_reported() {
    use redb::ReadableTable as _;
    const MAPPINGS: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("mappings");

    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate();
    let vault = open(folder.path(), &key).await;
    vault.subject("default", "ana").await.unwrap().tokenize(&[(entity("PERSON"), "Ana")]).await.unwrap();
    vault.close().await;
    let file = redb::Database::open(folder.path().join("deep/vault/vault.redb")).unwrap();
    let change = file.begin_write().unwrap();
    {
        let mut table = change.open_table(MAPPINGS).unwrap();
        let (mut bent, record) = table.first().unwrap().map(|(k, v)| (k.value().to_vec(), v.value().to_vec())).unwrap();
        table.remove(&*bent).unwrap();
        bent[crate::store::Row::LEN] ^= 0x80;
        table.insert(&*bent, &*record).unwrap();
    }
    change.commit().unwrap();
    drop(file);
    let vault = open(folder.path(), &key).await;
    assert!(!vault.verify(Owner::Deployment).await.is_ok_and(|found| found.holds()));
}

/// What one flipped bit of a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flipped {
    /// Every token has its own value: the bit meant nothing, or nothing here.
    Unharmed,
    /// The file, the vault or a value does not open.
    Refused,
    /// A token is unknown, and a check of the vault says that it is damaged.
    Reported,
}

async fn with_a_flipped_bit(folder: &Path, key: &Key, tokens: &[Token], values: &[(Entity, &str)]) -> Flipped {
    let Ok(vault) = Vault::open(&at(folder), key.clone(), SMALL).await else { return Flipped::Refused };
    let Ok(subject) = vault.subject("default", "ana").await else { return Flipped::Refused };
    let Ok(restored) = subject.restore(tokens).await else { return Flipped::Refused };
    let mut flipped = Flipped::Unharmed;
    for (restored, (_, value)) in restored.iter().zip(values) {
        match restored {
            Some(restored) => assert_eq!(restored.expose(), *value, "another value"),
            None => flipped = Flipped::Reported,
        }
    }
    if flipped == Flipped::Reported {
        let verified = vault.verify(Owner::Deployment).await;
        assert!(!verified.as_ref().is_ok_and(Verified::holds), "a token is lost, and a check finds {verified:?}");
    }
    flipped
}

/// How many bits are flipped, one after another, of the vault that this makes.
const FLIPS: usize = 1000;
const DAMAGED: &str = "PRIVET_DAMAGE_TEST_FOLDER";
const FROM: &str = "PRIVET_DAMAGE_TEST_FROM";
const CAME_TO: &str = "came to: ";
const KEY: &str = "P5ocB9LmtUiBPmrwyVsn1A5xrDj1khZNuwKH7s9TQKk=";

/// Long ones, so that most of the file is values and the way to them.
fn long_names() -> Vec<String> {
    (0..300).map(|n| format!("person {n} {}", "of a long name ".repeat(n % 12))).collect()
}

/// The process that reads damaged files: this test again, where the variables
/// are set. Of a damaged list of free pages redb ends a process at once, as it
/// panics while it clears up after a panic.
#[tokio::test]
async fn reader_of_damaged_files() {
    let (Some(folder), Ok(from)) = (std::env::var_os(DAMAGED), std::env::var(FROM)) else { return };
    let folder = Path::new(&folder);
    let tokens = std::fs::read_to_string(folder.join("tokens")).unwrap();
    let tokens: Vec<Token> = tokens.lines().map(|token| Token::parse(token).unwrap()).collect();
    let names = long_names();
    let values: Vec<_> = names.iter().map(|name| (entity("PERSON"), name.as_str())).collect();
    let whole = std::fs::read(folder.join("whole")).unwrap();
    // Most of a file is free pages; aim at what is written.
    let written: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] != 0).collect();
    let key = Key::from_base64(KEY).unwrap();
    for n in from.parse().unwrap()..FLIPS {
        let mut bent = whole.clone();
        bent[written[n * written.len() / FLIPS]] ^= 1 << (n % 8);
        std::fs::write(folder.join("deep/vault/vault.redb"), bent).unwrap();
        let came_to = with_a_flipped_bit(folder, &key, &tokens, &values).await;
        println!("{CAME_TO}{n} {came_to:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_damaged_file_never_gives_a_wrong_value() {
    use std::os::unix::process::ExitStatusExt;

    let folder = tempfile::tempdir().unwrap();
    let names = long_names();
    let values: Vec<_> = names.iter().map(|name| (entity("PERSON"), name.as_str())).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tokens = runtime.block_on(async {
        let vault = open(folder.path(), &Key::from_base64(KEY).unwrap()).await;
        let tokens = vault.subject("default", "ana").await.unwrap().tokenize(&values).await.unwrap();
        assert!(vault.verify(Owner::Deployment).await.unwrap().holds());
        vault.close().await;
        tokens
    });
    let lines: Vec<String> = tokens.iter().map(ToString::to_string).collect();
    std::fs::write(folder.path().join("tokens"), lines.join("\n")).unwrap();
    std::fs::copy(folder.path().join("deep/vault/vault.redb"), folder.path().join("whole")).unwrap();

    let (mut came_to, mut ended) = (Vec::new(), 0);
    while came_to.len() + ended < FLIPS {
        let mut reader = std::process::Command::new(std::env::current_exe().unwrap());
        reader.args(["vault::tests::files::reader_of_damaged_files", "--exact", "--nocapture", "--test-threads=1"]);
        let read = reader.env(DAMAGED, folder.path()).env(FROM, (came_to.len() + ended).to_string()).output().unwrap();
        let said = String::from_utf8(read.stdout).unwrap();
        came_to.extend(said.lines().filter_map(|line| {
            let (_, which) = line.split_once(CAME_TO)?.1.split_once(' ')?;
            Some(which.to_owned())
        }));
        if came_to.len() + ended < FLIPS {
            let why = String::from_utf8(read.stderr).unwrap();
            assert!(read.status.signal().is_some() && why.contains("redb"), "a value is wrong: {why}");
            ended += 1;
        }
    }
    let count = |which: Flipped| came_to.iter().filter(|came| **came == format!("{which:?}")).count();
    let (refused, reported) = (count(Flipped::Refused), count(Flipped::Reported));
    println!("{refused} were refused, {reported} reported, {ended} ended the process, the others did no harm");
    assert!(refused + reported > 500, "only {refused} and {reported} of {FLIPS} hit something");
    assert!(reported > 0, "no token was lost, and so no check was put to the test");
    assert!(ended < FLIPS / 50, "{ended} ended the process");
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path(), &Key::generate()).await;
    assert_eq!(mode(&folder.path().join("deep/vault")), 0o700);
    assert_eq!(mode(&folder.path().join("deep/vault/vault.redb")), 0o600);
    vault.close().await;
}

#[tokio::test]
async fn the_files_show_no_content() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path(), &Key::generate()).await;
    let mut planted = Vec::new();
    for n in 0..50 {
        let (tenant, person) = (format!("tenant-{n:04}-acme"), format!("subject-{n:04}-ana@example.com"));
        let value = format!("value-{n:04}-secret-of-ana");
        let subject = vault.subject(&tenant, &person).await.unwrap();
        subject.tokenize(&[(entity("EMAIL"), value.as_str())]).await.unwrap();
        planted.extend([tenant, person, value]);
    }
    vault.close().await;

    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.path().join("deep/vault")).unwrap() {
        files.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let finds = |needle: &str| memchr::memmem::find(&files, needle.as_bytes()).is_some();
    assert!(finds("EMAIL"), "the search looks at the right place");
    for text in planted {
        let mut hex = String::new();
        text.bytes().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
        assert!(!finds(&text) && !finds(&hex) && !finds(&hex.to_uppercase()));
        // Base64 of a text within a longer one looks one of three ways.
        for shift in 0..3 {
            let padded = [&[b' '; 2][..shift], text.as_bytes()].concat();
            let encoded = BASE64_STANDARD_NO_PAD.encode(padded);
            assert!(!finds(&encoded[4..encoded.len() - 4]));
        }
    }
}
