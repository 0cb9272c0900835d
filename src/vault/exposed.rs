//! Whom a key concerns: the subjects whose keys it wraps, for who has lost it.

use super::subject_keys::{SubjectKeys, keys_named};
use super::{Kind, Shared, Vault, VaultError};
use crate::entity::Entity;
use crate::store::Row;
use crate::token::Token;
use std::collections::BTreeMap;

/// How many records are read at once.
const PAGE: usize = 512;

/// What a key opens, together with the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposed {
    /// How many subjects.
    pub subjects: u64,
    /// How many values, by entity; surrogates are one of their own.
    pub values: BTreeMap<Entity, u64>,
    /// The subjects' names in the access log, and how many values each has; as
    /// many as were asked for.
    pub each: Vec<(String, u64)>,
}

impl Vault {
    /// The subjects whose keys are wrapped by the key of this name, of either
    /// layer, `most` of them by name. A key that is not in use any more wraps
    /// nothing here, whatever it opens in copies from its time.
    pub async fn exposed(&self, key: &str, most: usize) -> Result<Exposed, VaultError> {
        match &self.0 {
            Kind::Stored(shared) => shared.exposed(key, most).await,
            Kind::Memory(_) => Ok(Exposed::default()),
        }
    }
}

impl Shared {
    async fn exposed(&self, key: &str, most: usize) -> Result<Exposed, VaultError> {
        let (mut found, mut after) = (Exposed::default(), None);
        loop {
            let page = self.store.subjects(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(*last);
            for (row, record) in page {
                let is_meant = |ids: super::root::Ids| [ids.key, ids.sensitive].iter().any(|id| id.to_string() == key);
                if !keys_named(&record).is_some_and(is_meant) {
                    continue;
                }
                found.subjects += 1;
                let count = self.count_values(row, &mut found.values).await?;
                if found.each.len() < most {
                    let root = self.envelope.root_for(&record).await?;
                    let keys = SubjectKeys::open_named(&root, row, record).ok();
                    let alias = keys.map_or_else(|| "damaged".to_owned(), |(keys, ..)| keys.alias());
                    found.each.push((alias, count));
                }
            }
        }
    }

    async fn count_values(&self, row: Row, values: &mut BTreeMap<Entity, u64>) -> Result<u64, VaultError> {
        let (mut count, mut after) = (0, None::<Token>);
        loop {
            let page = self.store.page(row, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after = Some(*last);
            count += page.len() as u64;
            for (token, _) in page {
                *values.entry(token.entity()).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{Key, NewKeys, Options, VaultUrl};

    #[tokio::test]
    async fn a_key_concerns_those_whose_keys_it_wraps() {
        let folder = tempfile::tempdir().unwrap();
        let url = VaultUrl::Embedded(folder.path().to_owned());
        let vault = Vault::open(&url, Key::generate(), Options::default()).await.unwrap();
        let (email, phone) = (Entity::constant("EMAIL"), Entity::constant("PHONE"));
        let ana = vault.subject("shop", "ana").await.unwrap();
        ana.tokenize(&[(email, "ana@example.com"), (phone, "+1 555 0100")]).await.unwrap();
        let ben = vault.subject("bank", "ben").await.unwrap();
        ben.tokenize(&[(email, "ben@example.com")]).await.unwrap();
        let key = vault.key_id().to_string();
        let found = vault.exposed(&key, 9).await.unwrap();
        assert_eq!((found.subjects, &found.values), (2, &BTreeMap::from([(email, 2), (phone, 1)])));
        let mut wanted = vec![(ana.alias(), 2), (ben.alias(), 1)];
        let mut each = found.each.clone();
        wanted.sort();
        each.sort();
        assert_eq!(each, wanted, "as the access log names them");
        let few = vault.exposed(&key, 1).await.unwrap();
        assert_eq!((few.subjects, few.each.len()), (2, 1));
        let second = vault.stats().await.unwrap().sensitive_key.unwrap().to_string();
        assert_eq!(vault.exposed(&second, 9).await.unwrap().subjects, 2);
        vault.rotate(NewKeys { key: Some(Key::generate()), sensitive: None }, &mut |_| ()).await.unwrap();
        assert_eq!(vault.exposed(&key, 9).await.unwrap(), Exposed::default());
        assert_eq!(vault.exposed(&vault.key_id().to_string(), 9).await.unwrap().each.len(), 2);
    }
}
