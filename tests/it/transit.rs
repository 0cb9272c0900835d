//! A key service keeps the vault's key: it is asked at the start and when the
//! key is changed, and its failures lose nothing.

use crate::support::transit::{Mood, Transit as Double};
use crate::support::{Client, PATIENCE, Privet, Upstream, chat, port_of_nobody, privet, scratch_folder, tokens};
use privet::sensitive::Sensitive;
use privet::vault::{
    Key, Keyring, NewKeys, Options, Progress, TokenSource, Transit, TransitError, TransitSettings, Vault, VaultError,
    VaultUrl,
};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

fn ignore(_: Progress) {}

fn settings(address: &str) -> TransitSettings {
    TransitSettings {
        address: address.parse().unwrap(),
        mount: "transit".to_owned(),
        key: "privet".to_owned(),
        token: TokenSource::Given(Sensitive::from("s.right")),
        namespace: Some("team".to_owned()),
        ca: None,
        timeout: Duration::from_millis(500),
    }
}

fn keys(settings: TransitSettings) -> Keyring {
    Keyring::transit(Transit::new(settings).unwrap())
}

async fn open(folder: &Path, keys: Keyring) -> Result<Vault, VaultError> {
    Vault::open(&VaultUrl::Embedded(folder.to_owned()), keys, Options::default()).await
}

/// The tokens of a few values.
async fn mint(vault: &Vault) -> Vec<privet::token::Token> {
    let subject = vault.subject("t", "ana").await.unwrap();
    let values = [("EMAIL".parse().unwrap(), "ana@example.org"), ("IBAN".parse().unwrap(), "DE00")];
    let tokens = subject.tokenize(&values).await.unwrap();
    let restored = subject.restore(&tokens).await.unwrap();
    assert_eq!(restored[1].as_ref().unwrap().expose(), "DE00");
    tokens
}

#[tokio::test]
async fn the_key_is_unwrapped_at_the_start_and_asked_for_no_more() {
    let (double, folder) = (Double::start().await, scratch_folder());
    let vault = open(folder.path(), keys(settings(&double.address))).await.unwrap();
    let paths = || double.calls().into_iter().map(|call| call.path).collect::<Vec<_>>();
    let data_key = "/v1/transit/datakey/plaintext/privet";
    let decrypt = "/v1/transit/decrypt/privet";
    assert_eq!(paths(), [data_key, decrypt]);
    let minted = mint(&vault).await;
    for n in 0..20 {
        vault.subject("t", &n.to_string()).await.unwrap().tokenize(&[("EMAIL".parse().unwrap(), "x")]).await.unwrap();
    }
    assert!(paths().is_empty(), "no request asks it");
    vault.close().await;
    let vault = open(folder.path(), keys(settings(&double.address))).await.unwrap();
    let calls = double.calls();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!(
        (call.path.as_str(), call.token.as_str(), call.namespace.as_deref()),
        (decrypt, "s.right", Some("team"))
    );
    assert_eq!(mint(&vault).await, minted);
    vault.close().await;
    // A vault that it keeps is not opened by a given key.
    let error = open(folder.path(), Key::generate().into()).await.unwrap_err();
    assert_eq!(error, VaultError::KeyService(TransitError::NotConfigured));
}

#[tokio::test]
async fn an_outage_at_the_start_is_told_by_its_cause_and_passes() {
    let (double, folder) = (Double::start().await, scratch_folder());
    let vault = open(folder.path(), keys(settings(&double.address))).await.unwrap();
    let minted = mint(&vault).await;
    vault.close().await;
    let fails = async |keys: Keyring| match open(folder.path(), keys).await.unwrap_err() {
        VaultError::KeyService(error) => error,
        other => panic!("{other}"),
    };
    for (mood, error, calls) in [
        (Mood::Sealed, TransitError::Sealed, 3),
        (Mood::Hangs, TransitError::Timeout, 3),
        (Mood::Babbles, TransitError::Answer, 1),
    ] {
        double.calls();
        double.mood(mood);
        assert_eq!(fails(keys(settings(&double.address))).await, error);
        assert_eq!(double.calls().len(), calls, "{error}");
    }
    double.mood(Mood::Serves);
    let wrong = TransitSettings { token: TokenSource::Given(Sensitive::from("s.wrong")), ..settings(&double.address) };
    assert_eq!(fails(keys(wrong)).await, TransitError::Denied);
    let unknown = TransitSettings { key: "other".to_owned(), ..settings(&double.address) };
    assert_eq!(fails(keys(unknown)).await, TransitError::Unknown);
    let nobody = format!("http://{}", port_of_nobody());
    assert_eq!(fails(keys(settings(&nobody))).await, TransitError::Unreachable);
    // It comes back while the gateway is trying.
    double.mood(Mood::Sealed);
    let opening = tokio::spawn({
        let (folder, keys) = (folder.path().to_owned(), keys(settings(&double.address)));
        async move { open(&folder, keys).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    double.mood(Mood::Serves);
    assert_eq!(mint(&opening.await.unwrap().unwrap()).await, minted);
}

#[tokio::test]
async fn a_change_of_the_key_uses_its_newest_version_and_retires_the_others() {
    let (double, folder, before) = (Double::start().await, scratch_folder(), scratch_folder());
    let vault = open(folder.path(), keys(settings(&double.address))).await.unwrap();
    let (minted, first) = (mint(&vault).await, vault.key_id());
    vault.close().await;
    std::fs::copy(folder.path().join("vault.redb"), before.path().join("vault.redb")).unwrap();
    let vault = open(folder.path(), keys(settings(&double.address))).await.unwrap();
    double.new_version();
    double.mood(Mood::Sealed);
    let error = vault.rotate(NewKeys::default(), &mut ignore).await.unwrap_err();
    assert_eq!(error, VaultError::KeyService(TransitError::Sealed));
    assert_eq!((vault.key_id(), mint(&vault).await), (first, minted.clone()), "nothing has happened");
    double.mood(Mood::Serves);
    let rotated = vault.rotate(NewKeys::default(), &mut ignore).await.unwrap();
    assert_eq!((rotated.from, rotated.to), (first, vault.key_id()));
    assert_ne!(first, vault.key_id());
    assert_eq!(mint(&vault).await, minted);
    vault.close().await;

    double.retire_below(2);
    assert_eq!(mint(&open(folder.path(), keys(settings(&double.address))).await.unwrap()).await, minted);
    let error = open(before.path(), keys(settings(&double.address))).await.unwrap_err();
    assert_eq!(error, VaultError::KeyService(TransitError::Refused), "an old copy opens no more");
}

#[tokio::test]
async fn a_given_key_gives_way_to_the_service() {
    let (double, folder, old) = (Double::start().await, scratch_folder(), Key::generate());
    let vault = open(folder.path(), old.clone().into()).await.unwrap();
    let minted = mint(&vault).await;
    vault.close().await;
    let both = keys(settings(&double.address)).with_others([old.clone()]);
    let vault = open(folder.path(), both).await.unwrap();
    vault.rotate(NewKeys::default(), &mut ignore).await.unwrap();
    vault.close().await;
    assert!(open(folder.path(), old.into()).await.is_err());
    assert_eq!(mint(&open(folder.path(), keys(settings(&double.address))).await.unwrap()).await, minted);
}

#[tokio::test]
async fn its_token_is_renewed_at_half_its_time() {
    let (double, folder) = (Double::start().await, scratch_folder());
    double.ttl(2);
    let vault = open(folder.path(), keys(settings(&double.address))).await.unwrap();
    let started = Instant::now();
    while double.renewals() < 2 {
        assert!(started.elapsed() < PATIENCE, "{} renewals", double.renewals());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(started.elapsed() > Duration::from_millis(1500), "not more often than that");
    vault.close().await;
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_runs_with_a_key_service_alone() {
    let (double, folder) = (Double::start().await, scratch_folder());
    let upstream = Upstream::echo().await;
    let (file, token) = (folder.path().join("privet.toml"), folder.path().join("token"));
    std::fs::write(&token, "s.right\n").unwrap();
    let vault = folder.path().join("vault");
    let toml = format!(
        "listen = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nupstream = {:?}\nvault = \"embedded:{}\"\n[transit]\n\
         address = {:?}\ntoken_file = {token:?}\ntimeout = \"500ms\"\n",
        upstream.url(),
        vault.display(),
        double.address
    );
    std::fs::write(&file, toml).unwrap();
    let serve = || {
        let mut command = privet();
        command.args(["serve", "--config"]).arg(&file);
        Privet::start(command)
    };
    let mut minted = String::new();
    for round in 0..2 {
        let gateway = serve();
        let client = Client::new(&gateway.gateway);
        let reply = client.chat(&chat("ana.lopez@example.com"), &[("privet-subject", "u1")]).await;
        assert_eq!(reply.says(), "ana.lopez@example.com");
        let said = upstream.last().said();
        assert_eq!(tokens(&said).len(), 1, "{said}");
        if round == 1 {
            assert_eq!(said, minted);
        }
        minted = said;
        gateway.kill_and_read();
    }
    double.mood(Mood::Sealed);
    let output = tokio::task::spawn_blocking(move || privet().args(["serve", "--config"]).arg(&file).output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("sealed") && !stderr(&output).contains("s.right"), "{}", stderr(&output));
}
