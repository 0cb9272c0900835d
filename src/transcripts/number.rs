//! Numbers that stand for persons on one day: the same on every replica and
//! after every restart, and linked to nobody once the day's key is forgotten.

use super::TranscriptError;
use crate::clock::Time;
use crate::hex;
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, Records};
use aws_lc_rs::{hmac, rand};

const DAY: u64 = 86_400;
/// How many days of keys are looked at.
const PAGE: usize = 64;

/// The key of a day.
pub(super) struct DayKey {
    day: String,
    key: hmac::Key,
}

impl DayKey {
    /// That of a day, which is made where there is none yet. The vault keeps it,
    /// so that all replicas have the same.
    pub(super) async fn of(records: &Records, day: &str) -> Result<Self, TranscriptError> {
        loop {
            if let Some(key) = records.get(Owner::Deployment, Space::Daily, day.as_bytes()).await? {
                return Ok(Self { day: day.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &key) });
            }
            let mut key = [0; 32];
            rand::fill(&mut key).map_err(|_| TranscriptError::Random)?;
            let change = RecordChange {
                owner: Owner::Deployment,
                space: Space::Daily,
                key: day.as_bytes(),
                expected: Expected::Absent,
                value: Some(&key),
            };
            // Where another replica was first its key stands.
            records.write(&[change], None).await?;
        }
    }

    pub(super) fn is_of(&self, day: &str) -> bool {
        self.day == day
    }

    /// The number of the person with this name in the access log.
    pub(super) fn number(&self, tenant: &str, alias: &str) -> String {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(tenant.as_bytes());
        // No name of a tenant holds it.
        mac.update(&[0]);
        mac.update(alias.as_bytes());
        let tag = mac.sign();
        hex::encode(tag.as_ref().get(..8).unwrap_or_default())
    }
}

/// Forgets the keys of all days but this one and the one before: the clocks of
/// replicas differ.
pub(super) async fn forget(records: &Records, now: Time) -> Result<(), TranscriptError> {
    let yesterday = Time(now.0.saturating_sub(DAY)).day();
    let page = records.scan(Owner::Deployment, Space::Daily, None, PAGE).await?;
    let old = page.iter().map(|(key, _)| key.as_slice()).filter(|key| *key < yesterday.as_bytes());
    let change = |key| RecordChange {
        owner: Owner::Deployment,
        space: Space::Daily,
        key,
        expected: Expected::Anything,
        value: None,
    };
    let changes: Vec<_> = old.map(change).collect();
    if !changes.is_empty() {
        records.write(&changes, None).await?;
    }
    Ok(())
}
