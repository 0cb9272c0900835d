//! The register of cases. A case stands at its tenant; from the subject a
//! pointer leads to it, and a list of the deployment holds the open ones by
//! their due dates. The subject's id is kept beside, at the subject itself, as
//! long as the case is open: it goes with the subject, and the case stays.

use super::case::{Case, Kind, Step};
use super::{RightsError, random};
use crate::clock::Time;
use crate::hex;
use crate::sensitive::Sensitive;
use crate::store::{Row, Space};
use crate::vault::{Expected, Owner, RecordChange, Records};

/// How often another step may come in between.
const ATTEMPTS: usize = 16;
/// How many cases of one subject are listed at most.
const MAX_OF_SUBJECT: usize = 1_000;

/// Crockford's base 32, without I, L, O and U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The cases of a deployment. Clones share them.
#[derive(Debug, Clone)]
pub struct Register(Records);

/// An open case, as the list by due dates has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Until when it must be answered.
    pub due: Time,
    /// Its tenant.
    pub tenant: String,
    /// Its id.
    pub id: String,
}

impl Register {
    pub(super) fn new(records: Records) -> Self {
        Self(records)
    }

    /// Opens a case for a subject.
    pub async fn open(&self, tenant: &str, subject: &str, kind: Kind, by: &str) -> Result<Case, RightsError> {
        let now = Time::now();
        let row = self.0.row(tenant, subject);
        loop {
            let case = Case::received(new_id(now.0)?, tenant, hex::encode(&row.to_bytes()), kind, by, now);
            let (key, due) = (case.id.as_bytes(), due_key(&case));
            let body = body(&case);
            let put = |owner, space, key, value| RecordChange { owner, space, key, expected: Expected::Absent, value };
            let changes = [
                put(Owner::Tenant(tenant), Space::Case, key, Some(&body[..])),
                put(Owner::Row(row), Space::Case, key, Some(&[])),
                put(Owner::Row(row), Space::Name, key, Some(subject.as_bytes())),
                put(Owner::Deployment, Space::Case, &due, Some(tenant.as_bytes())),
            ];
            if self.0.write(&changes, None).await? {
                return Ok(case);
            }
            // Another case has this id, by a chance that nobody will live to see.
        }
    }

    /// A case by its id.
    pub async fn case(&self, tenant: &str, id: &str) -> Result<Case, RightsError> {
        if id.len() != 26 || !id.bytes().all(|b| DIGITS.contains(&b)) {
            return Err(RightsError::NoCase);
        }
        let found = self.0.get(Owner::Tenant(tenant), Space::Case, id.as_bytes()).await?;
        read(&found.ok_or(RightsError::NoCase)?)
    }

    /// The cases of a tenant, the older first, from the one behind `after` on.
    pub async fn page(&self, tenant: &str, after: Option<&str>, limit: usize) -> Result<Vec<Case>, RightsError> {
        let page = self.0.scan(Owner::Tenant(tenant), Space::Case, after.map(str::as_bytes), limit).await?;
        page.iter().map(|(_, body)| read(body)).collect()
    }

    /// The cases of a subject, the older first.
    pub async fn of_subject(&self, tenant: &str, subject: &str) -> Result<Vec<Case>, RightsError> {
        let row = self.0.row(tenant, subject);
        let pointers = self.0.scan(Owner::Row(row), Space::Case, None, MAX_OF_SUBJECT).await?;
        let mut cases = Vec::with_capacity(pointers.len());
        for (id, _) in pointers {
            if let Some(body) = self.0.get(Owner::Tenant(tenant), Space::Case, &id).await? {
                cases.push(read(&body)?);
            }
        }
        Ok(cases)
    }

    /// The open cases of all tenants by their due dates, from the one behind
    /// `after` on.
    pub async fn due(&self, after: Option<&Due>, limit: usize) -> Result<Vec<Due>, RightsError> {
        let after = after.map(|after| key_of(after.due, &after.id));
        let page = self.0.scan(Owner::Deployment, Space::Case, after.as_deref(), limit).await?;
        let read = |(key, tenant): (Vec<u8>, Vec<u8>)| {
            let (due, id) = key.split_first_chunk::<8>()?;
            let (id, tenant) = (String::from_utf8(id.to_vec()).ok()?, String::from_utf8(tenant).ok()?);
            Some(Due { due: Time(u64::from_be_bytes(*due)), tenant, id })
        };
        Ok(page.into_iter().filter_map(read).collect())
    }

    /// The id of a case's subject, as long as the case is open and the subject
    /// is there.
    pub async fn subject_of(&self, case: &Case) -> Result<Option<Sensitive>, RightsError> {
        let Some(row) = row_of(case) else { return Ok(None) };
        let name = self.0.get(Owner::Row(row), Space::Name, case.id.as_bytes()).await?;
        Ok(name.and_then(|name| String::from_utf8(name).ok()).map(Sensitive::new))
    }

    /// Whether a case is this subject's.
    pub fn is_of(&self, case: &Case, subject: &str) -> bool {
        row_of(case) == Some(self.0.row(&case.tenant, subject))
    }

    /// Takes steps in a case, all of them or none.
    pub async fn take(&self, tenant: &str, id: &str, steps: &[Step], by: &str) -> Result<Case, RightsError> {
        for _ in 0..ATTEMPTS {
            let before = self.case(tenant, id).await?;
            let mut case = before.clone();
            for step in steps {
                case.take(step.clone(), by, Time::now())?;
            }
            let (old, new) = (body(&before), body(&case));
            let (due_before, due) = (due_key(&before), due_key(&case));
            let owner = Owner::Tenant(tenant);
            let key = case.id.as_bytes();
            let expected = Expected::Unchanged(&old);
            let mut changes = vec![RecordChange { owner, space: Space::Case, key, expected, value: Some(&new) }];
            let remove = |owner, space, key| {
                let expected = Expected::Anything;
                RecordChange { owner, space, key, expected, value: None }
            };
            if case.is_closed() {
                changes.push(remove(Owner::Deployment, Space::Case, &due_before));
                changes.extend(row_of(&case).map(|row| remove(Owner::Row(row), Space::Name, key)));
            } else if due != due_before {
                changes.push(remove(Owner::Deployment, Space::Case, &due_before));
                let (owner, value) = (Owner::Deployment, Some(tenant.as_bytes()));
                let expected = Expected::Anything;
                changes.push(RecordChange { owner, space: Space::Case, key: &due, expected, value });
            }
            if self.0.write(&changes, None).await? {
                return Ok(case);
            }
        }
        Err(RightsError::Busy)
    }
}

fn read(body: &[u8]) -> Result<Case, RightsError> {
    serde_json::from_slice(body).map_err(|_| RightsError::Damaged)
}

fn body(case: &Case) -> Vec<u8> {
    // All of its keys are strings, so this cannot fail.
    serde_json::to_vec(case).unwrap_or_default()
}

fn due_key(case: &Case) -> Vec<u8> {
    key_of(case.due, &case.id)
}

fn key_of(due: Time, id: &str) -> Vec<u8> {
    [&due.0.to_be_bytes(), id.as_bytes()].concat()
}

fn row_of(case: &Case) -> Option<Row> {
    let bytes = hex::decode(&case.subject)?;
    bytes.as_slice().try_into().ok().map(|bytes: &[u8; Row::LEN]| Row::from_bytes(bytes))
}

/// 26 digits of base 32: the time, then 80 random bits, so that ids sort by
/// time and nobody can guess one.
fn new_id(now: u64) -> Result<String, RightsError> {
    let random = random::<10>()?.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte));
    Ok(base32(u128::from(now) << 80 | random, 26))
}

/// The last digits of a number in base 32.
pub(super) fn base32(mut bits: u128, digits: usize) -> String {
    let mut text = vec![b'0'; digits];
    for place in text.iter_mut().rev() {
        *place = DIGITS.get((bits & 31) as usize).copied().unwrap_or(b'0');
        bits >>= 5;
    }
    text.into_iter().map(char::from).collect()
}
