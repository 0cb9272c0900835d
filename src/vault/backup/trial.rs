//! The test of a backup: it is restored into a scratch vault, and every value
//! in it is decrypted.

use super::restore::check;
use super::{BackupError, Counts};
use crate::store::{Row, Snapshot};
use crate::vault::error::VaultError;
use crate::vault::subject_keys::{SubjectKeys, is_anonymized};
use crate::vault::{Kind, Options, Shared, Vault, VaultUrl};
use std::path::Path;

const PAGE: usize = 512;

/// Restores the backup into a new vault in a folder within `scratch`, which is
/// removed again, and reads it all. Gives what the backup holds.
pub(super) async fn test(backup: &Path, vault: &Vault, scratch: &Path) -> Result<Counts, BackupError> {
    let Kind::Stored(of) = &vault.0 else { return Ok(Counts::default()) };
    let keys = of.envelope.given();
    let (_, held) = check(backup, &keys).await?;
    let folder = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(scratch)?;
    let lean = Options { cache_bytes: 0, page_cache_bytes: 8 << 20, ..Options::default() };
    let url = VaultUrl::Embedded(folder.path().join("vault"));
    let (vault, restored) = Vault::restore_at(&url, keys, lean, backup, None).await?;
    let unread = match &vault.0 {
        Kind::Stored(shared) => unread(shared, &*shared.store.snapshot().await?).await?,
        Kind::Memory(_) => 0,
    };
    vault.close().await;
    let missing = [
        held.subjects.abs_diff(restored.added.subjects),
        held.tokens.abs_diff(restored.added.tokens),
        held.records.abs_diff(restored.added.records),
    ];
    match missing.into_iter().sum::<u64>() + unread {
        0 => Ok(held),
        amiss => Err(BackupError::Trial(amiss)),
    }
}

/// What scratch folders begin with.
pub(super) const SCRATCH: &str = ".privet-trial-";

/// How many subjects and tokens do not open.
async fn unread(shared: &Shared, snapshot: &dyn Snapshot) -> Result<u64, VaultError> {
    let root = shared.envelope.root();
    let mut unread = 0;
    let mut current: Option<(Row, SubjectKeys)> = None;
    let mut after = None;
    loop {
        let page = snapshot.mappings(after, PAGE).await?;
        let Some((row, token, _)) = page.last() else { return Ok(unread) };
        after = Some((*row, *token));
        for (row, token, record) in page {
            if current.as_ref().is_none_or(|(of, _)| *of != row) {
                let record = shared.store.subject(row).await?;
                let keys = record.and_then(|record| SubjectKeys::open_named(&root, row, record).ok());
                current = keys.map(|(keys, ..)| (row, keys));
            }
            let keys = current.as_ref().map(|(_, keys)| keys);
            let opens =
                keys.is_some_and(|keys| is_anonymized(&record) || keys.open_value(row, &token, &record).is_ok());
            unread += u64::from(!opens);
        }
        tokio::task::yield_now().await;
    }
}
