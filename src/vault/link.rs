//! Links: by the name of something that a subject is known under, such as the
//! id of a reply that a later request goes on from, the subject is found again.
//!
//! Three small records are written together: the link itself, under the keyed
//! hash of its name; an entry in the subject's own list, so that the link goes
//! with the subject; an entry in the list of all by age, so that it goes with
//! time. Who holds the store alone learns that there is a link and how old it
//! is, not what it leads from; and not where to, but by the list of a subject
//! whose row is known.

use super::error::VaultError;
use super::records::{Expected, Owner, RecordChange, Records};
use super::{Kind, Vault, clock};
use crate::sensitive::Sensitive;
use crate::store::{Row, Space};

/// Stands before the name, so that it is no subject of the same name: no id of
/// a header holds a zero byte.
const LINK: &str = "link\0";

/// A vault in memory has no more links; the oldest go first.
const MOST_IN_MEMORY: usize = 50_000;

/// How many links are removed in one step.
const STEP: usize = 128;

const CORRUPT: VaultError = VaultError::Corrupt { what: "record of a link" };

impl Vault {
    /// Links a name to a subject of the same tenant. When this returns the link
    /// is durable. The first link of a name stands until it is too old.
    pub async fn link(&self, tenant: &str, name: &str, subject: &str) -> Result<(), VaultError> {
        let (records, now) = (self.records(), clock::unix_seconds());
        let link = Link { row: link_row(records, tenant, name), subject: records.row(tenant, subject), created: now };
        let standing = records.get(Owner::Row(link.row), Space::Link, &[]).await?;
        let expected = match &standing {
            Some(standing) if self.leads(standing, now)? => return Ok(()),
            Some(standing) => Expected::Unchanged(standing),
            None => Expected::Absent,
        };
        let contents = [&now.to_be_bytes(), subject.as_bytes()].concat();
        let (by_subject, by_age) = (link.key_of_subject(), link.key_by_age());
        let changes = [
            RecordChange { expected, ..link.itself(Some(&contents)) },
            change(Owner::Row(link.subject), &by_subject, Some(&[])),
            change(Owner::Deployment, &by_age, Some(&[])),
        ];
        // Where another replica was first, its link stands.
        let is_new = records.write(&changes, None).await?;
        if let Kind::Memory(memory) = &self.0
            && memory.count_links(usize::from(is_new), 0) > MOST_IN_MEMORY
        {
            self.remove_oldest(u64::MAX).await?;
        }
        Ok(())
    }

    /// The subject to which a name was linked.
    pub async fn linked(&self, tenant: &str, name: &str) -> Result<Option<Sensitive>, VaultError> {
        let records = self.records();
        let Some(contents) = records.get(Owner::Row(link_row(records, tenant, name)), Space::Link, &[]).await? else {
            return Ok(None);
        };
        if !self.leads(&contents, clock::unix_seconds())? {
            return Ok(None);
        }
        let (_, subject) = contents.split_first_chunk::<8>().ok_or(CORRUPT)?;
        std::str::from_utf8(subject).map(|subject| Some(Sensitive::from(subject))).map_err(|_| CORRUPT)
    }

    /// Removes links that are too old, at most about `limit`; says how many.
    pub async fn sweep_links(&self, limit: usize) -> Result<usize, VaultError> {
        let before = clock::unix_seconds().saturating_sub(self.links_for().as_secs());
        let mut removed = 0;
        while removed < limit {
            match self.remove_oldest(before).await? {
                0 => break,
                some => removed += some,
            }
        }
        Ok(removed)
    }

    /// Removes some of the oldest links, if they were made before that time.
    async fn remove_oldest(&self, before: u64) -> Result<usize, VaultError> {
        let page = self.records().scan(Owner::Deployment, Space::Link, None, STEP).await?;
        let links = page.iter().filter_map(|(key, _)| Link::by_age(key));
        let old: Vec<Link> = links.take_while(|link| link.created < before).collect();
        self.remove_links(&old).await
    }

    /// Removes all links that lead to a subject; says how many.
    pub(super) async fn unlink(&self, subject: Row) -> Result<usize, VaultError> {
        let mut removed = 0;
        loop {
            let page = self.records().scan(Owner::Row(subject), Space::Link, None, STEP).await?;
            let links: Vec<Link> = page.iter().filter_map(|(key, _)| Link::of_subject(subject, key)).collect();
            if links.is_empty() {
                return Ok(removed);
            }
            removed += self.remove_links(&links).await?;
        }
    }

    /// Removes all records of links. A link that was made anew since stays.
    async fn remove_links(&self, links: &[Link]) -> Result<usize, VaultError> {
        let records = self.records();
        for link in links {
            let standing = records.get(Owner::Row(link.row), Space::Link, &[]).await?;
            let is_same = |standing: &&Vec<u8>| standing.starts_with(&link.created.to_be_bytes());
            let (by_subject, by_age) = (link.key_of_subject(), link.key_by_age());
            let mut changes =
                vec![change(Owner::Row(link.subject), &by_subject, None), change(Owner::Deployment, &by_age, None)];
            if let Some(standing) = standing.as_ref().filter(is_same) {
                changes.push(RecordChange { expected: Expected::Unchanged(standing), ..link.itself(None) });
            }
            records.write(&changes, None).await?;
        }
        if let Kind::Memory(memory) = &self.0 {
            memory.count_links(0, links.len());
        }
        Ok(links.len())
    }

    fn leads(&self, contents: &[u8], now: u64) -> Result<bool, VaultError> {
        let created = u64::from_be_bytes(*contents.first_chunk().ok_or(CORRUPT)?);
        Ok(now.saturating_sub(created) <= self.links_for().as_secs())
    }
}

/// Where the records of a link are.
struct Link {
    row: Row,
    subject: Row,
    created: u64,
}

impl Link {
    fn itself<'a>(&self, value: Option<&'a [u8]>) -> RecordChange<'a> {
        change(Owner::Row(self.row), &[], value)
    }

    fn key_of_subject(&self) -> Vec<u8> {
        [self.created.to_be_bytes().as_slice(), &self.row.subject].concat()
    }

    fn key_by_age(&self) -> Vec<u8> {
        [self.created.to_be_bytes().as_slice(), &self.row.to_bytes(), &self.subject.to_bytes()].concat()
    }

    fn of_subject(subject: Row, key: &[u8]) -> Option<Self> {
        let (created, link) = key.split_first_chunk()?;
        let row = Row { subject: link.try_into().ok()?, ..subject };
        Some(Self { row, subject, created: u64::from_be_bytes(*created) })
    }

    fn by_age(key: &[u8]) -> Option<Self> {
        let (created, rows) = key.split_first_chunk()?;
        let (row, subject) = (Row::from_bytes(rows.first_chunk()?), Row::from_bytes(rows.last_chunk()?));
        Some(Self { row, subject, created: u64::from_be_bytes(*created) })
    }
}

fn change<'a>(owner: Owner<'a>, key: &'a [u8], value: Option<&'a [u8]>) -> RecordChange<'a> {
    RecordChange { owner, space: Space::Link, key, expected: Expected::Anything, value }
}

fn link_row(records: &Records, tenant: &str, name: &str) -> Row {
    records.row(tenant, &[LINK, name].concat())
}

#[cfg(test)]
mod tests {
    use super::super::{Key, Options};
    use super::*;
    use std::time::Duration;

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
    async fn a_link_goes_with_its_subject_and_with_time() {
        let vault = |links_for| async move {
            let options = Options { links_for, ..Options::default() };
            Vault::open(&"memory:".parse().unwrap(), Key::generate(), options).await.unwrap()
        };
        let kept = vault(Duration::from_hours(1)).await;
        for n in 0..300 {
            kept.link("t", &format!("resp_{n}"), if n < 299 { "s1" } else { "s2" }).await.unwrap();
        }
        assert_eq!(kept.sweep_links(1000).await.unwrap(), 0);
        assert_eq!(kept.unlink(kept.row("t", "s1")).await.unwrap(), 299);
        assert_eq!(kept.linked("t", "resp_0").await.unwrap(), None);
        assert_eq!(kept.linked("t", "resp_299").await.unwrap().unwrap().expose(), "s2", "that of somebody else");
        let left = kept.records().scan(Owner::Deployment, Space::Link, None, 9).await.unwrap();
        assert_eq!(left.len(), 1, "nothing is left of the others");

        let old = vault(Duration::ZERO).await;
        for n in 0..3 {
            old.link("t", &format!("resp_{n}"), "s1").await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(old.linked("t", "resp_0").await.unwrap(), None, "it is too old");
        old.link("t", "resp_0", "s2").await.unwrap();
        assert_eq!(old.linked("t", "resp_0").await.unwrap().unwrap().expose(), "s2", "so another may stand");
        assert_eq!(old.sweep_links(1000).await.unwrap(), 3);
        assert_eq!(old.linked("t", "resp_0").await.unwrap().unwrap().expose(), "s2");
        assert_eq!(old.unlink(old.row("t", "s1")).await.unwrap(), 0);
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
