//! What was deleted when: one record a day, of counts alone.

use super::{Doubt, Swept};
use crate::config::Expiry;
use crate::store::Space;
use crate::vault::error::VaultError;
use crate::vault::{ClockCheck, Expected, Owner, Reading, RecordChange, Vault};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const CLOCK: &[u8] = b"clock";
const DAY_KEY: &[u8] = b"day";
const SECONDS_A_DAY: u64 = 86_400;

/// For how many days there is a history: a little over two years.
const KEPT_DAYS: usize = 800;

/// How often a record may be changed by others while it is written.
const TRIES: usize = 16;

const CORRUPT: VaultError = VaultError::Corrupt { what: "history of retention" };

/// What was forgotten on one day, by entity; surrogates are under `surrogate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Tokens that were deleted with their values.
    pub deleted: BTreeMap<String, u64>,
    /// Tokens that lost their values.
    pub anonymized: BTreeMap<String, u64>,
}

/// What was forgotten, by day: the number of days since 1970-01-01 (UTC).
pub type History = BTreeMap<u64, Day>;

impl Vault {
    /// What was forgotten by retention.
    pub async fn retention_history(&self) -> Result<History, VaultError> {
        let page = self.records().scan(Owner::Deployment, Space::Retention, Some(CLOCK), KEPT_DAYS + 1).await?;
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let day = key.strip_prefix(DAY_KEY)?.try_into().ok().map(u64::from_be_bytes)?;
            Some((day, serde_json::from_slice(&value).ok()?))
        };
        page.into_iter().map(|record| read(record).ok_or(CORRUPT)).collect()
    }

    /// Adds what was forgotten at `now` to the history.
    pub async fn note_swept(&self, swept: &Swept, now: u64) -> Result<(), VaultError> {
        if swept.total() == 0 {
            return Ok(());
        }
        let key = [DAY_KEY, (now / SECONDS_A_DAY).to_be_bytes().as_slice()].concat();
        for _ in 0..TRIES {
            let standing = self.records().get(Owner::Deployment, Space::Retention, &key).await?;
            let mut day: Day = match &standing {
                Some(day) => serde_json::from_slice(day).map_err(|_| CORRUPT)?,
                None => Day::default(),
            };
            for ((entity, action), count) in &swept.forgotten {
                let entity = entity.map_or_else(|| "surrogate".to_owned(), |entity| entity.to_string());
                let counts = match action {
                    Expiry::Delete => &mut day.deleted,
                    Expiry::Anonymize => &mut day.anonymized,
                };
                *counts.entry(entity).or_default() += count;
            }
            let value = serde_json::to_vec(&day).map_err(|_| CORRUPT)?;
            let expected = standing.as_deref().map_or(Expected::Absent, Expected::Unchanged);
            if self.note(&key, expected, Some(&value)).await? {
                return self.shorten().await;
            }
        }
        Err(VaultError::unavailable("the history of retention keeps changing"))
    }

    /// Whether the clock is believed, by what the vault knows of it; takes note
    /// that it is.
    pub async fn check_clock(&self, check: &mut ClockCheck, now: Reading) -> Result<Result<(), Doubt>, VaultError> {
        let noted = self.records().get(Owner::Deployment, Space::Retention, CLOCK).await?;
        let noted = noted.map(|noted| noted.try_into().map(u64::from_be_bytes).map_err(|_| CORRUPT)).transpose()?;
        let judged = check.judge(now, noted);
        if judged.is_ok() {
            self.confirm_clock(now.wall).await?;
        }
        Ok(judged)
    }

    /// Takes note that a person says the clock is right.
    pub async fn confirm_clock(&self, wall: u64) -> Result<(), VaultError> {
        self.note(CLOCK, Expected::Anything, Some(&wall.to_be_bytes())).await.map(drop)
    }

    /// Forgets the oldest days of a long history.
    async fn shorten(&self) -> Result<(), VaultError> {
        let days = self.records().scan(Owner::Deployment, Space::Retention, Some(CLOCK), 2 * KEPT_DAYS).await?;
        for (key, _) in days.iter().take(days.len().saturating_sub(KEPT_DAYS)) {
            self.note(key, Expected::Anything, None).await?;
        }
        Ok(())
    }

    async fn note(&self, key: &[u8], expected: Expected<'_>, value: Option<&[u8]>) -> Result<bool, VaultError> {
        let (owner, space) = (Owner::Deployment, Space::Retention);
        self.records().write(&[RecordChange { owner, space, key, expected, value }], None).await
    }
}
