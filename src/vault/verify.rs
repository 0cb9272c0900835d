//! What a vault holds, and whether all of it opens.

use super::error::VaultError;
use super::key::KeyId;
use super::records::Owner;
use super::root::FORMAT;
use super::subject_keys::{SubjectKeys, is_anonymized};
use super::{Kind, Shared, Vault};
use crate::entity::Entity;
use crate::store::{Row, Space};
use crate::token::Token;
use std::collections::BTreeMap;

/// How many records are read at once.
const PAGE: usize = 512;

/// How many records open, and how many do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// These open: key, place and contents are right.
    pub good: u64,
    /// These do not.
    pub bad: u64,
}

/// What a check of a vault, or of a part of it, has shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// The keys of subjects.
    pub subjects: Count,
    /// Values behind tokens and surrogates.
    pub values: Count,
    /// Of a single subject: other records that go with it, such as its links.
    pub others: u64,
}

impl Verified {
    /// Whether all that is there opens.
    pub fn holds(&self) -> bool {
        self.subjects.bad == 0 && self.values.bad == 0
    }

    /// Whether nothing is there: of a subject that was erased, that it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, other: Self) {
        self.subjects.good += other.subjects.good;
        self.subjects.bad += other.subjects.bad;
        self.values.good += other.values.good;
        self.values.bad += other.values.bad;
        self.others += other.others;
    }
}

/// What a vault holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The format of the vault's own record.
    pub format: u32,
    /// The key in use.
    pub key: Option<KeyId>,
    /// The key of the second layer, in which sensitive values are.
    pub sensitive_key: Option<KeyId>,
    /// While a rotation runs, the key that goes.
    pub former_key: Option<KeyId>,
    /// How many subjects there are.
    pub subjects: u64,
    /// How many tokens, by entity; surrogates are told apart.
    pub tokens: BTreeMap<Entity, u64>,
    /// How many surrogates there are.
    pub surrogates: u64,
}

impl Vault {
    /// Opens every record of the deployment, of a tenant, or of one subject.
    /// What is kept as proof beside the values is not asked for.
    ///
    /// # Errors
    ///
    /// [`VaultError::Corrupt`] where the store of a deployment has lost
    /// records, or does not find them any more.
    pub async fn verify(&self, whose: Owner<'_>) -> Result<Verified, VaultError> {
        let Kind::Stored(shared) = &self.0 else { return Ok(Verified::default()) };
        let wanted = match whose {
            Owner::Subject { tenant, subject } => return shared.verify_one(shared.records.row(tenant, subject)).await,
            Owner::Row(row) => return shared.verify_one(row).await,
            Owner::Tenant(tenant) => Some(super::root::tenant_row(&shared.index, tenant).tenant),
            Owner::Deployment => {
                shared.store.check().await?;
                None
            }
        };
        let mut found = Verified::default();
        let mut after = None;
        loop {
            let page = shared.store.subjects(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(*last);
            for (row, record) in page {
                if wanted.is_none_or(|tenant| row.tenant == tenant) {
                    found.add(shared.verify_subject(row, Some(record)).await?);
                }
            }
        }
    }

    /// Counts what there is. The same vault has the same numbers, whenever it
    /// is asked.
    pub async fn stats(&self) -> Result<Stats, VaultError> {
        match &self.0 {
            Kind::Stored(shared) => shared.stats().await,
            Kind::Memory(memory) => {
                let (subjects, tokens, surrogates) = memory.count();
                Ok(Stats {
                    format: FORMAT,
                    key: None,
                    sensitive_key: None,
                    former_key: None,
                    subjects,
                    tokens,
                    surrogates,
                })
            }
        }
    }
}

impl Shared {
    async fn verify_one(&self, row: Row) -> Result<Verified, VaultError> {
        let record = self.store.subject(row).await?;
        let mut found = self.verify_subject(row, record).await?;
        for space in Space::all().filter(|space| !space.is_kept()) {
            let mut after = None;
            loop {
                let page = self.store.scan(row, space, after, PAGE).await?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                found.others += page.len() as u64;
            }
        }
        Ok(found)
    }

    async fn verify_subject(&self, row: Row, record: Option<Vec<u8>>) -> Result<Verified, VaultError> {
        let mut found = Verified::default();
        let keys = match record {
            None => None,
            Some(record) => {
                let root = self.envelope.root_for(&record).await?;
                let keys = SubjectKeys::open_named(&root, row, record).ok().map(|(keys, ..)| keys);
                *(if keys.is_some() { &mut found.subjects.good } else { &mut found.subjects.bad }) += 1;
                keys
            }
        };
        let mut after: Option<Token> = None;
        loop {
            let page = self.store.page(row, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(*last);
            for (token, record) in &page {
                // Without keys nobody opens it.
                let opens = keys
                    .as_ref()
                    .is_some_and(|keys| is_anonymized(record) || keys.open_value(row, token, record).is_ok());
                *(if opens { &mut found.values.good } else { &mut found.values.bad }) += 1;
            }
        }
    }

    async fn stats(&self) -> Result<Stats, VaultError> {
        let root = self.envelope.refresh().await?;
        let mut stats = Stats {
            format: root.format,
            key: Some(root.current.ids.key),
            sensitive_key: Some(root.current.ids.sensitive),
            former_key: root.former.as_ref().map(|former| former.ids.key),
            subjects: 0,
            tokens: BTreeMap::new(),
            surrogates: 0,
        };
        let mut after = None;
        loop {
            let page = self.store.subjects(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(stats) };
            after = Some(*last);
            for (row, _) in page {
                stats.subjects += 1;
                self.count(row, &mut stats).await?;
            }
        }
    }

    async fn count(&self, row: Row, stats: &mut Stats) -> Result<(), VaultError> {
        let mut after: Option<Token> = None;
        loop {
            let page = self.store.page(row, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            for (token, _) in page {
                match token.entity() {
                    Entity::SURROGATE => stats.surrogates += 1,
                    entity => *stats.tokens.entry(entity).or_default() += 1,
                }
            }
        }
    }
}
