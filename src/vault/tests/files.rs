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

#[tokio::test]
async fn a_damaged_file_never_gives_a_wrong_value() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate();
    let names: Vec<String> = (0..60).map(|n| format!("{n}@example.com")).collect();
    let values: Vec<_> = names.iter().map(|name| (entity("EMAIL"), name.as_str())).collect();
    let vault = open(folder.path(), &key).await;
    let tokens = vault.subject("default", "ana").await.unwrap().tokenize(&values).await.unwrap();
    vault.close().await;

    let path = folder.path().join("deep/vault/vault.redb");
    let whole = std::fs::read(&path).unwrap();
    // Most of a file is free pages; aim at what is written.
    let written: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] != 0).collect();
    let mut refused = 0;
    for n in 0..1000 {
        let mut bent = whole.clone();
        bent[written[n * written.len() / 1000]] ^= 1 << (n % 8);
        std::fs::write(&path, bent).unwrap();
        let restored = async {
            let vault = Vault::open(&at(folder.path()), key.clone(), SMALL).await?;
            vault.subject("default", "ana").await?.restore(&tokens).await
        };
        match restored.await {
            Ok(restored) => {
                for (restored, name) in restored.iter().zip(&names) {
                    assert!(restored.as_ref().is_none_or(|value| value.expose() == name), "byte {n}");
                }
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 50, "only {refused} of 1000 damages were noticed as such");
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
