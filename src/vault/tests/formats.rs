//! A vault of every format that there was opens, and all of its tokens restore.

use super::*;
use crate::sensitive::Sensitive;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A published key: what it protects is test data.
const KEY: &str = "M7aRwA4r4NJdh+urrjl8L5oYDjKrc3U9Hz7tGmDF/9c=";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vault").join(name)
}

/// A folder with a copy of the vault.
fn folder(format: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(data(&format!("{format}.redb")), folder.path().join("vault.redb")).unwrap();
    folder
}

async fn open(folder: &Path) -> Result<Vault, VaultError> {
    Vault::open(&VaultUrl::Embedded(folder.to_owned()), Key::from_base64(KEY).unwrap(), SMALL).await
}

/// Holds a vault against the list of what it should know; gives how many
/// tokens that were.
async fn compare(vault: &Vault, format: &str) -> usize {
    let list = std::fs::read_to_string(data(&format!("{format}.tsv"))).unwrap();
    let mut tokens = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let [tenant, name, text, value] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let subject = vault.subject(tenant, name).await.unwrap();
        if let Some(token) = Token::parse(text) {
            let values = [(token.entity(), value)];
            assert_restores(&subject, &[token], &values).await;
            assert_eq!(subject.tokenize(&values).await.unwrap(), [token], "its token is the same");
            tokens += 1;
        } else {
            let standing: &Standing<'_> = &|_| Box::pin(async { vec![false; 64] });
            let made = subject.mint_surrogates(&[(entity("PERSON"), value)], standing).await.unwrap();
            assert_eq!(made, [Some(text.to_owned())]);
        }
    }
    tokens
}

#[tokio::test]
async fn a_vault_of_each_format_opens() {
    for format in ["v1", "v2", "v3"] {
        let folder = folder(format);
        // The second time it has the new format.
        for _ in 0..2 {
            let vault = open(folder.path()).await.unwrap();
            assert_eq!(compare(&vault, format).await, 125, "{format}");
            if format != "v1" {
                // What people are found by is older than the second format.
                for (tenant, text, expected) in [
                    ("shop", "4@example.com", vec!["Zoë"]),
                    ("default", "15@EXAMPLE.org", vec!["ben@example.com"]),
                    ("default", "001 415 555 0100", vec!["ana", "ben@example.com"]),
                    ("bank", "4@example.com", vec![]),
                ] {
                    let found = vault.find(tenant, text).await.unwrap();
                    let mut found: Vec<_> = found.iter().map(Sensitive::expose).collect();
                    found.sort_unstable();
                    assert_eq!(found, expected, "{format} {text}");
                }
            }
            assert!(vault.verify(Owner::Deployment).await.unwrap().holds());
            vault.close().await;
        }
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, ["vault.redb"], "nothing is left behind");
    }
}

#[tokio::test]
async fn an_old_vault_is_not_upgraded_with_another_key() {
    let folder = folder("v1");
    let before = std::fs::read(folder.path().join("vault.redb")).unwrap();
    let error = Vault::open(&VaultUrl::Embedded(folder.path().to_owned()), Key::generate(), SMALL).await.unwrap_err();
    assert!(matches!(error, VaultError::WrongKey { .. }), "{error:?}");
    let vault = open(folder.path()).await.unwrap();
    assert_eq!(compare(&vault, "v1").await, 125);
    vault.close().await;
    assert_ne!(std::fs::read(folder.path().join("vault.redb")).unwrap(), before);
}

#[tokio::test]
async fn an_upgrade_that_was_cut_short_begins_again() {
    // What a crash may leave beside the old file: nothing, a beginning of the
    // new one, all of it.
    let whole = std::fs::read(data("v3.redb")).unwrap();
    for len in [0, 1, 4096, whole.len() / 2, whole.len()] {
        let folder = folder("v1");
        std::fs::write(folder.path().join("vault.redb.new"), &whole[..len]).unwrap();
        let vault = open(folder.path()).await.unwrap();
        assert_eq!(compare(&vault, "v1").await, 125);
        vault.close().await;
        assert!(!folder.path().join("vault.redb.new").exists());
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.redb");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    transaction.open_table(meta).unwrap().insert("format", 4_u32.to_be_bytes().as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = open(folder.path()).await.unwrap_err();
    assert_eq!(error, VaultError::NewerFormat { found: 4, known: 3 });
}

/// The file of the format of this build. `PRIVET_MAKE_VAULT=1` replaces the one
/// that is kept, which is to be done before a format changes.
#[tokio::test]
async fn the_file_of_this_format_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await.unwrap();
    let mut list = format!("# Made with the key {KEY} (published here, and so no secret).\n");
    list += "# tenant, subject, token or surrogate, value; separated by tabs.\n";
    for (tenant, name) in
        [("default", "ana"), ("default", "ben@example.com"), ("shop", "ana"), ("shop", "Zoë"), ("", "4711")]
    {
        let subject = vault.subject(tenant, name).await.unwrap().for_purpose("support");
        let mut values = vec![
            (entity("EMAIL"), format!("{}@example.com", name.len())),
            (entity("EMAIL"), format!("{}@example.org", name.len())),
            (entity("PERSON"), "Jana Müller".to_owned()),
            (entity("PHONE"), "+1 415 555 0100".to_owned()),
            (entity("CREDIT_CARD"), "4111 1111 1111 1111".to_owned()),
        ];
        values.extend((0..20).map(|i| (entity("IP"), format!("198.51.100.{i}"))));
        let findings: Vec<_> = values.iter().map(|(entity, value)| (*entity, value.as_str())).collect();
        for (token, (entity, value)) in subject.tokenize(&findings).await.unwrap().iter().zip(&findings) {
            let _ = writeln!(list, "{tenant}\t{name}\t[{entity}_{}]\t{value}", token.code());
        }
        let standing: &Standing<'_> = &|_| Box::pin(async { vec![false; 64] });
        let person = [(entity("PERSON"), "Julia Hofmann")];
        let made = subject.mint_surrogates(&person, standing).await.unwrap().remove(0).unwrap();
        let _ = writeln!(list, "{tenant}\t{name}\t{made}\tJulia Hofmann");
    }
    vault.close().await;
    assert_eq!(list.lines().count(), 2 + 5 * 26);
    if std::env::var_os("PRIVET_MAKE_VAULT").is_some() {
        std::fs::copy(folder.path().join("vault.redb"), data("v3.redb")).unwrap();
        std::fs::write(data("v3.tsv"), list).unwrap();
    }
}
