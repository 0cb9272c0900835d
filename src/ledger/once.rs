//! What may be used once: tokens that give or withdraw consent.

use super::Ledger;
use crate::clock;
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, VaultError};
use aws_lc_rs::digest::{SHA256, digest};

/// In front of the hash of an id.
const USED: u8 = b'u';
/// In front of a time after which it may be forgotten, and the hash.
const ENDS: u8 = b'x';

/// How many that are over are forgotten beside a new one: more than one, so
/// that they do not pile up.
const SWEPT: usize = 4;

impl Ledger {
    /// Whether an id is used for the first time. It is remembered until
    /// `expires` (Unix seconds), after which what bears it holds no more.
    pub async fn use_once(&self, tenant: &str, id: &str, expires: u64) -> Result<bool, VaultError> {
        let (records, owner) = (&self.0.records, Owner::Tenant(tenant));
        let hash = digest(&SHA256, id.as_bytes());
        let used = [&[USED], hash.as_ref()].concat();
        // Clocks of replicas may differ.
        let ends = [&[ENDS][..], &expires.saturating_add(super::AHEAD).to_be_bytes(), hash.as_ref()].concat();
        let change = |key, expected, value| RecordChange { owner, space: Space::Once, key, expected, value };
        let over = self.over(owner).await?;
        let mut changes = vec![
            change(used.as_slice(), Expected::Absent, Some(&[][..])),
            change(ends.as_slice(), Expected::Anything, Some(&[][..])),
        ];
        for (used, ends) in &over {
            changes.push(change(used, Expected::Anything, None));
            changes.push(change(ends, Expected::Anything, None));
        }
        records.write(&changes, None).await
    }

    /// Whether an id was used before.
    pub async fn is_used(&self, tenant: &str, id: &str) -> Result<bool, VaultError> {
        let used = [&[USED], digest(&SHA256, id.as_bytes()).as_ref()].concat();
        Ok(self.0.records.get(Owner::Tenant(tenant), Space::Once, &used).await?.is_some())
    }

    /// The keys of some that are over.
    async fn over(&self, owner: Owner<'_>) -> Result<Vec<(Vec<u8>, Vec<u8>)>, VaultError> {
        let oldest = self.0.records.scan(owner, Space::Once, Some(&[ENDS]), SWEPT).await?;
        let now = clock::unix_seconds();
        let is_over = |key: &Vec<u8>| {
            let ends = key.get(1..9).and_then(<[u8]>::first_chunk).copied().map(u64::from_be_bytes);
            ends.is_some_and(|ends| ends < now)
        };
        let over = oldest.into_iter().map(|(key, _)| key).filter(is_over);
        Ok(over.map(|ends| ([&[USED], ends.get(9..).unwrap_or_default()].concat(), ends)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Notices;
    use crate::vault::{Key, Options, Vault};

    #[tokio::test]
    async fn an_id_is_used_once_and_forgotten_when_it_is_over() {
        let vault = Vault::open(&"memory:".parse().unwrap(), Key::generate(), Options::default()).await.unwrap();
        let ledger = Ledger::new(&vault, Notices::default());
        let later = clock::unix_seconds() + 60;
        assert!(!ledger.is_used("t", "a").await.unwrap());
        assert!(ledger.use_once("t", "a", later).await.unwrap());
        assert!(ledger.is_used("t", "a").await.unwrap() && !ledger.is_used("other", "a").await.unwrap());
        assert!(!ledger.use_once("t", "a", later + 1).await.unwrap());
        assert!(ledger.use_once("other", "a", later).await.unwrap());
        for n in 0..20 {
            assert!(ledger.use_once("t", &format!("old {n}"), 5).await.unwrap());
        }
        ledger.use_once("t", "b", later).await.unwrap();
        let kept = vault.records().scan(Owner::Tenant("t"), Space::Once, None, 100).await.unwrap();
        assert_eq!(kept.len(), 4, "two that hold, each with its time");
        assert!(!ledger.use_once("t", "b", later).await.unwrap());
    }
}
