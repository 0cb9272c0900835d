//! Links: by the name of something that a subject is known under, such as the
//! id of a reply that a later request goes on from, the subject is found again.
//!
//! A link is kept like a subject of one value: under a keyed hash of its name,
//! sealed by keys of its own. Who holds the store alone learns that there is
//! one, not what it leads from or to.

use super::error::VaultError;
use super::seal::random;
use super::subject_keys::SubjectKeys;
use super::{Kind, Shared, Vault, clock};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::store::{Batch, Row};
use crate::token::Token;

/// Stands before the name, so that it is no subject of the same name: no id of
/// a header holds a zero byte.
const LINK: &str = "link\0";

/// The entity under which the one value is kept.
const ENTITY: Entity = Entity::constant("LINK");

impl Vault {
    /// Links a name to a subject of the same tenant. When this returns the link
    /// is durable. The first link of a name stands.
    pub async fn link(&self, tenant: &str, name: &str, subject: &str) -> Result<(), VaultError> {
        let name = [LINK, name].concat();
        match &self.0 {
            Kind::Stored(shared) => shared.link(tenant, &name, subject).await,
            Kind::Memory(memory) => {
                memory.link(tenant, &name, subject);
                Ok(())
            }
        }
    }

    /// The subject to which a name was linked.
    pub async fn linked(&self, tenant: &str, name: &str) -> Result<Option<Sensitive>, VaultError> {
        let name = [LINK, name].concat();
        match &self.0 {
            Kind::Stored(shared) => shared.linked(tenant, &name).await,
            Kind::Memory(memory) => Ok(memory.linked(tenant, &name)),
        }
    }
}

impl Shared {
    async fn link(&self, tenant: &str, name: &str, subject: &str) -> Result<(), VaultError> {
        let row = self.root.row(tenant, name);
        if self.store.subject(row).await?.is_some() {
            return Ok(());
        }
        let created = clock::unix_seconds();
        let keys = SubjectKeys::create(&self.root, row, tenant, name, created)?;
        let token = token();
        let record = keys.seal(row, &token, subject, created, *random()?)?;
        let (subject, mappings) = (keys.record().clone(), vec![(token, record)]);
        // Where another replica was first, its link stands.
        let changes = Vec::new();
        self.store.put(Batch { row, subject, first_contact: true, mappings, changes }).await?;
        Ok(())
    }

    async fn linked(&self, tenant: &str, name: &str) -> Result<Option<Sensitive>, VaultError> {
        let row: Row = self.root.row(tenant, name);
        let Some(record) = self.store.subject(row).await? else { return Ok(None) };
        let keys = SubjectKeys::open(&self.root, row, tenant, name, record)?;
        let token = token();
        let found = self.store.mappings(row, &[token]).await?.into_iter().next().flatten();
        found.map(|record| keys.open_value(row, &token, &record)).transpose()
    }
}

fn token() -> Token {
    Token::new(ENTITY, 0)
}

#[cfg(test)]
mod tests {
    use super::super::{Key, Options};
    use super::*;

    #[tokio::test]
    async fn a_link_leads_to_its_subject_after_a_restart_too() {
        let folder = tempfile::tempdir().unwrap();
        let (key, url) = (Key::generate(), format!("embedded:{}", folder.path().display()));
        let open = || async { Vault::open(&url.parse().unwrap(), key.clone(), Options::default()).await.unwrap() };
        let vault = open().await;
        assert_eq!(vault.linked("t", "resp_1").await.unwrap(), None);
        vault.link("t", "resp_1", "s1").await.unwrap();
        vault.link("t", "resp_1", "s2").await.unwrap();
        vault.close().await;
        let vault = open().await;
        assert_eq!(vault.linked("t", "resp_1").await.unwrap().unwrap().expose(), "s1");
        assert_eq!(vault.linked("other", "resp_1").await.unwrap(), None);
        // A subject of that name has nothing of it.
        assert!(vault.subject("t", "resp_1").await.unwrap().kinds().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_vault_in_memory_has_links_too() {
        let vault = Vault::open(&"memory:".parse().unwrap(), Key::generate(), Options::default()).await.unwrap();
        vault.link("t", "resp_1", "s1").await.unwrap();
        assert_eq!(vault.linked("t", "resp_1").await.unwrap().unwrap().expose(), "s1");
        assert_eq!(vault.linked("t", "resp_2").await.unwrap(), None);
        assert_eq!(vault.linked("u", "resp_1").await.unwrap(), None);
    }
}
