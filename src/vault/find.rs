//! Finds subjects by an address or a number: a blind index, which is a keyed
//! hash of the plain spelling, so that nobody without the key can try values.
//!
//! The hash leads to rows, and is written in the batch of the mapping itself.
//! It proves nothing: who is found is who has the value, which is opened.

use super::contact::{self, EMAIL, PHONE};
use super::root::tenant_row;
use super::subject::State;
use super::subject_keys::{SubjectKeys, created, is_anonymized};
use super::{Kind, Shared, Vault, VaultError, surrogates};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::store::{Blind, Change, Expect, Row, Space};
use aws_lc_rs::hmac;

const LABEL: &[u8] = b"privet blind index\0";

/// What subjects can be found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// By addresses of e-mail.
    pub email: bool,
    /// By phone numbers.
    pub phone: bool,
}

impl Default for Indexed {
    fn default() -> Self {
        Self { email: true, phone: true }
    }
}

impl Indexed {
    /// What a list of entities comes to.
    pub fn of(entities: &[Entity]) -> Self {
        Self { email: entities.contains(&EMAIL), phone: entities.contains(&PHONE) }
    }

    /// Whether what a token of this entity stands for may be entered: behind a
    /// surrogate any kind of value stands.
    pub(super) fn may_hold(self, entity: Entity) -> bool {
        self.holds(entity) || (entity == Entity::SURROGATE && (self.email || self.phone))
    }

    /// Whether values of this kind are entered.
    pub(super) fn holds(self, entity: Entity) -> bool {
        (self.email && entity == EMAIL) || (self.phone && entity == PHONE)
    }
}

impl Vault {
    /// The subjects that have a value with this plain spelling: the ids of all
    /// of them, those that the vault has known for longest first. `text` is an
    /// address of e-mail or a phone number.
    pub async fn find(&self, tenant: &str, text: &str) -> Result<Vec<Sensitive>, VaultError> {
        let Some((entity, plain)) = contact::read(text) else { return Ok(Vec::new()) };
        let shared = match &self.0 {
            Kind::Stored(shared) => shared,
            Kind::Memory(memory) => {
                return Ok(memory.find(tenant, |of, value| {
                    of == entity && contact::plain(entity, value).is_some_and(|value| value == plain)
                }));
            }
        };
        let blind = shared.blind(tenant, entity, &plain);
        let mut found = Vec::new();
        for row in shared.store.found(tenant_row(&shared.index, tenant), blind).await? {
            found.extend(shared.holder(row, tenant, entity, &plain).await?);
        }
        found.sort_by_key(|(created, _)| created.unwrap_or(u64::MAX));
        Ok(found.into_iter().map(|(_, subject)| subject).collect())
    }
}

impl Shared {
    /// The subject of a row, and since when it is known, where it is one of this
    /// tenant and has a value with this plain spelling.
    async fn holder(
        &self,
        row: Row,
        tenant: &str,
        entity: Entity,
        plain: &str,
    ) -> Result<Option<(Option<u64>, Sensitive)>, VaultError> {
        let Some(record) = self.store.subject(row).await? else { return Ok(None) };
        let (root, since) = (self.envelope.root_for(&record).await?, created(&record));
        let (keys, of, subject) = match SubjectKeys::open_named(&root, row, record) {
            Err(VaultError::Corrupt { .. }) => return Ok(None),
            opened => opened?,
        };
        let mut has_it = false;
        for kept_as in [entity, Entity::SURROGATE] {
            let all = self.store.all(row, kept_as).await?;
            let mut values = all.iter().filter(|(_, record)| !is_anonymized(record));
            has_it = has_it
                || values.any(|(token, record)| {
                    let Ok(content) = keys.open_value(row, token, record) else { return false };
                    let (of, value) = meant(kept_as, content.expose());
                    of == entity && contact::plain(of, value).is_some_and(|value| value == plain)
                });
        }
        Ok((has_it && of == tenant).then_some((since, subject)))
    }

    /// What a subject is found by from a new value on, which is to be written
    /// together with it.
    pub(super) fn entry(&self, tenant: &str, entity: Entity, value: &str) -> Option<Blind> {
        self.blind_of(tenant, entity, value).filter(|_| self.indexed.holds(entity))
    }

    /// The changes of what a subject is found by where a value is corrected.
    pub(super) fn entries_of_corrected(&self, state: &State, entity: Entity, old: &str, new: &str) -> Vec<Change> {
        let tenant = state.identity().0;
        let removed = self.blind_of(tenant, entity, old).map(|blind| removal(state.row, blind));
        let added = self.entry(tenant, entity, new).map(|blind| change(state.row, blind, Some(Vec::new())));
        removed.into_iter().chain(added).collect()
    }

    /// What a value is found by; none where it has no plain spelling.
    pub(super) fn blind_of(&self, tenant: &str, entity: Entity, value: &str) -> Option<Blind> {
        contact::plain(entity, value).map(|plain| self.blind(tenant, entity, &plain))
    }

    fn blind(&self, tenant: &str, entity: Entity, plain: &str) -> Blind {
        let mut mac = hmac::Context::with_key(&self.index);
        mac.update(LABEL);
        for part in [tenant, entity.as_str(), plain] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.sign().as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// The value that is kept under a token, and its kind: behind a surrogate those
/// of the value that it stands in for.
pub(super) fn meant(entity: Entity, content: &str) -> (Entity, &str) {
    match surrogates::parts(content).filter(|_| entity == Entity::SURROGATE) {
        Some((_, entity, value)) => (entity, value),
        None => (entity, content),
    }
}

/// The change by which a subject is not found by a hash any more.
pub(super) fn removal(row: Row, blind: Blind) -> Change {
    change(row, blind, None)
}

fn change(row: Row, blind: Blind, value: Option<Vec<u8>>) -> Change {
    Change { row, space: Space::Index, key: blind.to_vec(), expect: Expect::Anything, value }
}

#[cfg(test)]
mod tests {
    use super::super::{Key, Options, Standing};
    use super::*;
    use crate::token::Token;

    async fn vaults() -> Vec<(Vault, Option<tempfile::TempDir>)> {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("embedded:{}", folder.path().display());
        let open =
            async |url: &str| Vault::open(&url.parse().unwrap(), Key::generate(), Options::default()).await.unwrap();
        vec![(open("memory:").await, None), (open(&url).await, Some(folder))]
    }

    async fn found(vault: &Vault, tenant: &str, text: &str) -> Vec<String> {
        let found = vault.find(tenant, text).await.unwrap();
        let mut found: Vec<_> = found.iter().map(|subject| subject.expose().to_owned()).collect();
        found.sort();
        found
    }

    async fn mint(vault: &Vault, subject: &str, entity: Entity, value: &str) -> Token {
        vault.subject("shop", subject).await.unwrap().tokenize(&[(entity, value)]).await.unwrap().remove(0)
    }

    #[tokio::test]
    async fn subjects_are_found_by_address_and_number_until_they_are_erased() {
        for (vault, _folder) in vaults().await {
            mint(&vault, "u1", EMAIL, "Ana@Example.org").await;
            mint(&vault, "u1", PHONE, "+49 30 1234567").await;
            mint(&vault, "u2", EMAIL, "ana@example.org").await;
            mint(&vault, "u3", EMAIL, "ben@example.org").await;
            assert_eq!(found(&vault, "shop", "ana@example.ORG").await, ["u1", "u2"]);
            assert_eq!(found(&vault, "shop", "0049 30 1234567").await, ["u1"]);
            assert!(found(&vault, "bank", "ana@example.org").await.is_empty());
            assert!(found(&vault, "shop", "cleo@example.org").await.is_empty());
            assert_eq!(vault.erase("shop", "u1").await.unwrap().values, 2);
            assert_eq!(found(&vault, "shop", "ana@example.org").await, ["u2"]);
            assert!(found(&vault, "shop", "+49301234567").await.is_empty());
            assert!(vault.values("shop", "u1", None, 9).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_corrected_value_is_found_and_the_old_one_is_not() {
        for (vault, _folder) in vaults().await {
            let token = mint(&vault, "u1", EMAIL, "old@example.org").await;
            assert!(vault.rectify("shop", "u1", &token, "new@example.org").await.unwrap());
            assert!(!vault.rectify("shop", "u2", &token, "new@example.org").await.unwrap());
            assert_eq!(found(&vault, "shop", "new@example.org").await, ["u1"]);
            assert!(found(&vault, "shop", "old@example.org").await.is_empty());
            let subject = vault.subject("shop", "u1").await.unwrap();
            let restored = subject.restore(&[token]).await.unwrap().remove(0).unwrap();
            assert_eq!(restored.expose(), "new@example.org");
            let again = mint(&vault, "u1", EMAIL, "old@example.org").await;
            assert_ne!(again, token);
            let kept = vault.values("shop", "u1", None, 9).await.unwrap();
            let mut values: Vec<_> = kept.iter().map(|kept| kept.parts().2).collect();
            values.sort_unstable();
            assert_eq!(values, ["new@example.org", "old@example.org"]);
        }
    }

    /// Two spellings of one address are two values, and one entry.
    #[tokio::test]
    async fn who_has_another_spelling_of_a_corrected_value_is_found_by_it() {
        for (vault, _folder) in vaults().await {
            let token = mint(&vault, "u1", EMAIL, "Ana@Example.org").await;
            mint(&vault, "u1", EMAIL, "ana@example.org").await;
            assert!(vault.rectify("shop", "u1", &token, "new@example.org").await.unwrap());
            for address in ["ana@example.org", "new@example.org"] {
                assert_eq!(found(&vault, "shop", address).await, ["u1"]);
            }
        }
    }

    /// A stand-in goes out for an address, and leads to the person all the same.
    #[tokio::test]
    async fn who_has_a_surrogate_is_found_by_what_it_stands_for() {
        let standing: &Standing<'_> = &|search| Box::pin(async move { vec![false; search.texts().len()] });
        for (vault, _folder) in vaults().await {
            let subject = vault.subject("shop", "u1").await.unwrap();
            let values = [(EMAIL, "Ana@Example.org"), (PHONE, "+49 30 1234567")];
            let given = subject.mint_surrogates(&values, standing).await.unwrap();
            let given: Vec<String> = given.into_iter().flatten().collect();
            assert_eq!(found(&vault, "shop", "ana@example.org").await, ["u1"]);
            assert_eq!(found(&vault, "shop", "0049 30 1234567").await, ["u1"]);
            assert!(found(&vault, "shop", &given[0]).await.is_empty(), "nobody's address leads anywhere");
            assert!(found(&vault, "bank", "ana@example.org").await.is_empty());
            let token = vault.token_of("shop", "u1", &given[0]).await.unwrap().unwrap();
            mint(&vault, "u1", EMAIL, "ana@example.org").await;
            assert!(vault.rectify("shop", "u1", &token, "new@example.org").await.unwrap());
            for address in ["ana@example.org", "new@example.org"] {
                assert_eq!(found(&vault, "shop", address).await, ["u1"], "{address}");
            }
            vault.erase("shop", "u1").await.unwrap();
            assert!(found(&vault, "shop", "new@example.org").await.is_empty());
            assert!(found(&vault, "shop", "0049 30 1234567").await.is_empty());
        }
    }

    /// Whoever writes somebody's address under many names of their own.
    #[tokio::test]
    async fn nobody_is_hidden_behind_others() {
        for (vault, _folder) in vaults().await {
            mint(&vault, "victim", EMAIL, "ana@example.org").await;
            for n in 0..300 {
                mint(&vault, &format!("made-up-{n}"), EMAIL, "ana@example.org").await;
            }
            let all = found(&vault, "shop", "ana@example.org").await;
            assert_eq!((all.len(), all.contains(&"victim".to_owned())), (301, true));
        }
    }

    #[tokio::test]
    async fn what_is_not_entered_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("embedded:{}", folder.path().display()).parse().unwrap();
        let indexed = Indexed { email: false, phone: true };
        let vault = Vault::open(&url, Key::generate(), Options { indexed, ..Options::default() }).await.unwrap();
        mint(&vault, "u1", EMAIL, "ana@example.org").await;
        mint(&vault, "u1", PHONE, "+49 30 1234567").await;
        assert!(found(&vault, "shop", "ana@example.org").await.is_empty());
        assert_eq!(found(&vault, "shop", "+49 30 1234567").await, ["u1"]);
    }
}
