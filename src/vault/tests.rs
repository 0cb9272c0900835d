//! The vault as a whole: over its real stores, and over one that misbehaves.

mod crash;
mod erasure;
mod faults;
mod files;
mod formats;
#[cfg(feature = "postgres")]
mod postgres;
mod replicas;
mod retention;
mod rotation;
mod spy;
mod surrogates;

use super::*;
use crate::entity::Entity;
use crate::token::Token;
use proptest::prelude::*;
use spy::Spy;
use std::collections::HashSet;
use std::sync::atomic::Ordering;

const SMALL: Options = Options {
    create: true,
    cache_bytes: 0,
    page_cache_bytes: 1 << 20,
    indexed: Indexed { email: true, phone: true },
    sensitive: BTreeSet::new(),
    links_for: Duration::from_hours(1),
};

fn entity(name: &str) -> Entity {
    name.parse().unwrap()
}

fn emails<'a>(values: &[&'a str]) -> Vec<(Entity, &'a str)> {
    values.iter().map(|value| (entity("EMAIL"), *value)).collect()
}

async fn in_memory() -> Vault {
    Vault::open(&VaultUrl::Memory, Key::generate(), Options::default()).await.unwrap()
}

/// A vault over a store that the test looks into.
async fn spied(options: Options, token_bits: u32) -> (Vault, Arc<Spy>) {
    let spy = Arc::new(Spy::default());
    (replica(&spy, &Key::generate(), options, token_bits).await, spy)
}

async fn replica(spy: &Arc<Spy>, key: &Key, options: Options, token_bits: u32) -> Vault {
    Vault::over(Arc::new(Arc::clone(spy)), key.clone().into(), options, (1 << token_bits) - 1).await.unwrap()
}

/// Checks that each token restores to its value.
async fn assert_restores(subject: &Subject, tokens: &[Token], values: &[(Entity, &str)]) {
    let restored = subject.restore(tokens).await.unwrap();
    assert_eq!(restored.len(), values.len());
    for ((token, restored), (entity, value)) in tokens.iter().zip(restored).zip(values) {
        assert_eq!(token.entity(), *entity);
        assert_eq!(restored.expect("a value").expose(), *value);
    }
}

#[tokio::test]
async fn values_come_back() {
    let vault = in_memory().await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let values = [(entity("EMAIL"), "ana@example.com"), (entity("PERSON"), "Ana"), (entity("PHONE"), "Ana")];
    let tokens = subject.tokenize(&values).await.unwrap();
    assert_restores(&subject, &tokens, &values).await;
    assert_eq!(subject.cached(&tokens[0]).unwrap().expose(), "ana@example.com");
    assert_eq!(subject.tokenize(&values).await.unwrap(), tokens);
    assert_ne!(tokens[1].bits(), tokens[2].bits(), "the entity is part of the value");
    assert!(subject.tokenize(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_value_twice_in_a_batch_has_one_token() {
    let vault = in_memory().await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let values = emails(&["a@b.c", "d@e.f", "a@b.c", "a@b.c"]);
    let tokens = subject.tokenize(&values).await.unwrap();
    assert_eq!(tokens[0], tokens[2]);
    assert_eq!(tokens[0], tokens[3]);
    assert_restores(&subject, &tokens, &values).await;
}

#[tokio::test]
async fn subjects_are_unrelated() {
    let vault = in_memory().await;
    let values = emails(&["ana@example.com"]);
    let mut seen = HashSet::new();
    let mut owners = Vec::new();
    for (tenant, subject) in [("a", "bc"), ("ab", "c"), ("a", "ana"), ("b", "ana")] {
        let subject = vault.subject(tenant, subject).await.unwrap();
        let token = subject.tokenize(&values).await.unwrap()[0];
        assert!(seen.insert(token));
        owners.push((subject, token));
    }
    let passing = vault.passing_subject();
    let token = passing.tokenize(&values).await.unwrap()[0];
    assert!(seen.insert(token));
    owners.push((passing, token));
    for (subject, own) in &owners {
        for token in &seen {
            let value = subject.restore(&[*token]).await.unwrap().remove(0);
            assert_eq!(value.is_some(), token == own);
            assert_eq!(subject.cached(token), value);
        }
    }
}

#[tokio::test]
async fn an_unknown_subject_leaves_no_trace() {
    let (vault, spy) = spied(SMALL, 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let strange = Token::new(entity("EMAIL"), 99);
    assert_eq!(subject.restore(&[strange]).await.unwrap(), [None]);
    assert!(subject.kinds().await.unwrap().is_empty());
    assert!(subject.tokenize(&[]).await.unwrap().is_empty());
    let passing = vault.passing_subject();
    passing.tokenize(&emails(&["ana@example.com"])).await.unwrap();
    assert_eq!(spy.puts.load(Ordering::Relaxed), 0);
    assert_eq!(spy.subject(vault.row("default", "ana")).await.unwrap(), None);
}

#[tokio::test]
async fn a_vault_in_memory_forgets_whom_nobody_speaks_for_before_it_fills_the_memory() {
    let vault = in_memory().await;
    let values = emails(&["ana@example.com"]);
    let tokens = vault.subject("t", "ana").await.unwrap().tokenize(&values).await.unwrap();
    let gone = vault.subject("t", "gone").await.unwrap().tokenize(&values).await.unwrap();
    for n in 0..200_000 {
        vault.subject("t", &n.to_string()).await.unwrap();
        if n % 20_000 == 0 {
            vault.subject("t", "ana").await.unwrap();
        }
    }
    let kept = vault.stats().await.unwrap().subjects;
    assert!((32_768..=65_536).contains(&kept), "{kept}");
    assert_restores(&vault.subject("t", "ana").await.unwrap(), &tokens, &values).await;
    let restored = vault.subject("t", "gone").await.unwrap().restore(&gone).await.unwrap();
    assert!(restored[0].is_none());
}

#[tokio::test]
async fn known_values_cost_no_input_or_output() {
    let (vault, spy) = spied(Options::default(), 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let values = emails(&["a@b.c", "d@e.f"]);
    let tokens = subject.tokenize(&values).await.unwrap();
    let calls = spy.calls();
    let again = vault.subject("default", "ana").await.unwrap();
    assert_eq!(again.tokenize(&values).await.unwrap(), tokens);
    assert_restores(&again, &tokens, &values).await;
    assert_eq!(spy.calls(), calls);
}

#[tokio::test]
async fn kinds_are_those_of_the_tokens() {
    let key = Key::generate();
    let spy = Arc::new(Spy::default());
    let vault = replica(&spy, &key, Options::default(), 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    assert!(subject.kinds().await.unwrap().is_empty());
    subject.tokenize(&emails(&["a@b.c"])).await.unwrap();
    let held = vault.subject("default", "ana").await.unwrap();
    held.tokenize(&[(entity("PERSON"), "Ana")]).await.unwrap();
    for kinds in [subject.kinds().await.unwrap(), held.kinds().await.unwrap()] {
        assert!(kinds.contains(entity("EMAIL")) && kinds.contains(entity("PERSON")));
        assert!(!kinds.contains(entity("PHONE")));
    }
    let again = replica(&spy, &key, SMALL, 35).await.subject("default", "ana").await.unwrap();
    again.tokenize(&[(entity("IBAN"), "DE02")]).await.unwrap();
    let kinds = again.kinds().await.unwrap();
    assert!(["EMAIL", "PERSON", "IBAN"].iter().all(|name| kinds.contains(entity(name))));

    let passing = vault.passing_subject();
    passing.tokenize(&emails(&["a@b.c"])).await.unwrap();
    assert!(passing.kinds().await.unwrap().contains(entity("EMAIL")));
}

#[tokio::test]
async fn values_whose_tokens_collide_get_their_own() {
    let names: Vec<String> = (0..40).map(|n| format!("{n}@example.com")).collect();
    let values: Vec<_> = names.iter().map(|name| (entity("EMAIL"), name.as_str())).collect();
    for step in [1, 7, 40] {
        // 40 values on 64 tokens: about ten collide at first.
        let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
        let vault = replica(&spy, &key, SMALL, 6).await;
        let subject = vault.subject("default", "ana").await.unwrap();
        let mut tokens = Vec::new();
        for batch in values.chunks(step) {
            tokens.extend(subject.tokenize(batch).await.unwrap());
        }
        assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), 40, "no two share a token");
        assert_restores(&subject, &tokens, &values).await;
        for options in [SMALL, Options::default()] {
            let again = replica(&spy, &key, options, 6).await.subject("default", "ana").await.unwrap();
            assert_eq!(again.tokenize(&values).await.unwrap(), tokens, "the same after a restart");
            assert_eq!(again.tokenize(&values).await.unwrap(), tokens);
            assert_restores(&again, &tokens, &values).await;
        }

        let passing = replica(&spy, &key, Options::default(), 6).await.passing_subject();
        let tokens = passing.tokenize(&values).await.unwrap();
        assert_restores(&passing, &tokens, &values).await;
    }
}

#[tokio::test]
async fn where_no_token_is_left_tokenize_fails() {
    let (vault, _spy) = spied(Options::default(), 2).await;
    for subject in [vault.subject("default", "ana").await.unwrap(), vault.passing_subject()] {
        let four = emails(&["a", "b", "c", "d"]);
        let tokens = subject.tokenize(&four).await.unwrap();
        let error = subject.tokenize(&emails(&["e"])).await.unwrap_err();
        assert!(matches!(error, VaultError::Unavailable { .. }));
        assert_restores(&subject, &tokens, &four).await;
    }
}

#[tokio::test]
async fn without_a_cache_everything_still_restores() {
    for cache_bytes in [0, 2_000, 20_000] {
        let (vault, _spy) = spied(Options { cache_bytes, ..SMALL }, 35).await;
        let names: Vec<String> = (0..200).map(|n| format!("{n}@example.com")).collect();
        let values: Vec<_> = names.iter().map(|name| (entity("EMAIL"), name.as_str())).collect();
        let subject = vault.subject("default", "ana").await.unwrap();
        let tokens = subject.tokenize(&values).await.unwrap();
        assert_restores(&subject, &tokens, &values).await;
        assert_eq!(subject.tokenize(&values).await.unwrap(), tokens);
    }
}

#[test]
fn debug_shows_no_content() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let vault = in_memory().await;
        let subject = vault.subject("tenant", "ana@example.com").await.unwrap();
        assert!(!format!("{vault:?} {subject:?}").contains("ana"));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn any_500_values_come_back(values in prop::collection::vec((0..4usize, ".{0,40}"), 500), cut in 1..500usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let names = ["EMAIL", "PERSON", "AB", "ABCDEFGHIJKLMNOPQRSTUVWXY"].map(entity);
            let values: Vec<_> = values.iter().map(|(n, value)| (names[*n], value.as_str())).collect();
            let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
            let vault = replica(&spy, &key, Options::default(), 35).await;
            let subject = vault.subject("default", "ana").await.unwrap();
            let mut tokens = subject.tokenize(&values[..cut]).await.unwrap();
            tokens.extend(subject.tokenize(&values[cut..]).await.unwrap());
            assert_restores(&subject, &tokens, &values).await;
            let cold = replica(&spy, &key, SMALL, 35).await.subject("default", "ana").await.unwrap();
            assert_restores(&cold, &tokens, &values).await;
            assert_eq!(cold.tokenize(&values).await.unwrap(), tokens);
        });
    }
}
