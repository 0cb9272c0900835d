//! The operators: who may use the admin API, by keys of their own.
//!
//! A key is 32 random bytes; what is kept of it is its SHA-256. A slow hash
//! such as Argon2 guards secrets that can be guessed. Nobody guesses 256
//! random bits, so it would add nothing but a way to keep the server busy.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::role::Role;
use crate::clock::{self, Time};
use crate::sensitive::Sensitive;
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, Records, Vault, VaultError};

/// What every key begins with, so that scanners of secrets know one.
pub const PREFIX: &str = "pvk_";

/// How often the last use of a key is written, in seconds: a look at the API
/// is not to be a write to the store.
const LAST_USE_EVERY: u64 = 60;

const RECORD: VaultError = VaultError::Corrupt { what: "record of an operator" };

/// Keys of records: by name the operator, by hash its name.
const NAME: u8 = b'n';
const HASH: u8 = b'h';

/// An operator, without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operator {
    /// Its name, which the access log tells.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// When its key was made.
    pub created: Time,
    /// From when on its key opens nothing; absent: it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// When its key was last used, to the minute; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Time>,
}

/// The name of an operator: 1 to 64 letters, digits, and `. _ @ -`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

/// The text is no name of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 letters, digits, and . _ @ -")]
pub struct NoName;

impl TryFrom<String> for Name {
    type Error = NoName;

    fn try_from(text: String) -> Result<Self, NoName> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(fits);
        if is_name { Ok(Self(text)) } else { Err(NoName) }
    }
}

impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9._@-]{1,64}$" })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// All operators of a deployment.
#[derive(Debug, Clone)]
pub struct Operators(Records);

/// As it is stored under the name.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    operator: Operator,
    /// SHA-256 of the key, in base64url.
    hash: String,
}

/// Why an operator was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The name is taken.
    #[error("there is an operator of this name")]
    Taken,
    /// The time is over already.
    #[error("the key would have ended already")]
    Expired,
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Operators {
    /// The operators that stand in this vault.
    pub fn new(vault: &Vault) -> Self {
        Self(vault.records().clone())
    }

    /// Makes a key for a new operator. It is shown this once.
    pub async fn add(&self, name: Name, role: Role, expires: Option<Time>) -> Result<(Operator, Sensitive), AddError> {
        let now = Time(clock::unix_seconds());
        if expires.is_some_and(|end| end <= now) {
            return Err(AddError::Expired);
        }
        let mut secret = [0; 32];
        rand::fill(&mut secret).map_err(|_| VaultError::unavailable("no random numbers can be had"))?;
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
        let hash = hash(&key);
        let operator = Operator { name, role, created: now, expires, last_used: None };
        let stored = write(&Stored { operator: operator.clone(), hash: URL_SAFE_NO_PAD.encode(&hash) })?;
        let name = operator.name.as_str();
        let (named, hashed) = (by_name(name), by_hash(&hash));
        let added =
            [change(&named, Expected::Absent, Some(&stored)), change(&hashed, Expected::Absent, Some(name.as_bytes()))];
        if self.0.write(&added, None).await? { Ok((operator, Sensitive::new(key))) } else { Err(AddError::Taken) }
    }

    /// Takes the key away from an operator; whether there was one.
    pub async fn remove(&self, name: &str) -> Result<bool, VaultError> {
        let Some((stored, _)) = self.named(name).await? else { return Ok(false) };
        let hash = URL_SAFE_NO_PAD.decode(&stored.hash).map_err(|_| RECORD)?;
        let (named, hashed) = (by_name(name), by_hash(&hash));
        let removed = [change(&named, Expected::Anything, None), change(&hashed, Expected::Anything, None)];
        self.0.write(&removed, None).await
    }

    /// Operators by name, behind `after`.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Operator>, VaultError> {
        // What stands before all names: no record has this key.
        let after = by_name(after.unwrap_or_default());
        let found = self.0.scan(Owner::Deployment, Space::Operator, Some(&after), limit).await?;
        let read = |(_, value): (Vec<u8>, Vec<u8>)| read(&value).map(|stored| stored.operator);
        found.into_iter().map(read).collect()
    }

    /// The operator of a key that holds now.
    pub async fn of_key(&self, key: &str) -> Result<Option<Operator>, VaultError> {
        let hash = hash(key);
        let Some(name) = self.0.get(Owner::Deployment, Space::Operator, &by_hash(&hash)).await? else {
            return Ok(None);
        };
        let Ok(name) = std::str::from_utf8(&name) else { return Ok(None) };
        let Some((mut stored, old)) = self.named(name).await? else { return Ok(None) };
        let now = Time(clock::unix_seconds());
        if stored.hash != URL_SAFE_NO_PAD.encode(hash) || stored.operator.expires.is_some_and(|end| end <= now) {
            return Ok(None);
        }
        if stored.operator.last_used.is_none_or(|last| now.0.saturating_sub(last.0) >= LAST_USE_EVERY) {
            stored.operator.last_used = Some(now);
            let used = write(&stored)?;
            let name = by_name(stored.operator.name.as_str());
            // Where somebody else wrote it meanwhile, that is as true.
            self.0.write(&[change(&name, Expected::Unchanged(&old), Some(&used))], None).await?;
        }
        Ok(Some(stored.operator))
    }

    async fn named(&self, name: &str) -> Result<Option<(Stored, Vec<u8>)>, VaultError> {
        match self.0.get(Owner::Deployment, Space::Operator, &by_name(name)).await? {
            Some(record) => Ok(Some((read(&record)?, record))),
            None => Ok(None),
        }
    }
}

fn hash(key: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, key.as_bytes()).as_ref().to_vec()
}

fn by_name(name: &str) -> Vec<u8> {
    [&[NAME], name.as_bytes()].concat()
}

fn by_hash(hash: &[u8]) -> Vec<u8> {
    [&[HASH], hash].concat()
}

fn change<'a>(key: &'a [u8], expected: Expected<'a>, value: Option<&'a [u8]>) -> RecordChange<'a> {
    RecordChange { owner: Owner::Deployment, space: Space::Operator, key, expected, value }
}

fn write(stored: &Stored) -> Result<Vec<u8>, VaultError> {
    serde_json::to_vec(stored).map_err(|_| RECORD)
}

fn read(record: &[u8]) -> Result<Stored, VaultError> {
    serde_json::from_slice(record).map_err(|_| RECORD)
}
