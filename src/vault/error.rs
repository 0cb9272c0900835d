//! What can go wrong with the vault.

use super::key::{KeyId, TransitError};
use crate::store::StoreError;
use std::borrow::Cow;

/// Why the vault did not do what was asked. No text here ever holds a value,
/// a subject or any other content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The store cannot be read or written just now. Trying again later may
    /// help; nothing that was acknowledged is lost.
    #[error("the vault is unavailable: {cause}")]
    Unavailable {
        /// What failed, in words that hold no content.
        cause: Cow<'static, str>,
    },
    /// There is no vault, and none was to be made.
    #[error("there is no vault there; `privet vault init` makes one")]
    Absent,
    /// The vault was made with another key than the one given.
    #[error("the vault was made with the key {vault}, but the key given is {given}")]
    WrongKey {
        /// The key that the vault needs.
        vault: KeyId,
        /// The key that was given.
        given: KeyId,
    },
    /// The vault is sealed with a key that is not given.
    #[error("the vault is sealed with the key {vault}, which is not given")]
    NoKey {
        /// The key that the vault needs.
        vault: KeyId,
    },
    /// Sensitive values are sealed with a key of their own, which is not given.
    #[error("the vault keeps sensitive values under the key {vault}, which is not given; set PRIVET_SENSITIVE_KEY")]
    WrongSensitiveKey {
        /// The key that the vault needs.
        vault: KeyId,
    },
    /// The change from one key to another is not over, and one of them is not
    /// given.
    #[error(
        "the vault is changing from one key to another, and needs both until that is over: the key {missing} is not \
         given; set PRIVET_OLD_KEYS, then run `privet vault rotate-key`"
    )]
    Rotating {
        /// The key that is not given.
        missing: KeyId,
    },
    /// The change to a key is not over, and another one was given to change to.
    #[error("a change to the key {key} is not over: finish it first, with `privet vault rotate-key` and that key")]
    RotatingTo {
        /// The key that is being changed to.
        key: KeyId,
    },
    /// The key is in use already, so there is nothing to change to.
    #[error("the vault is sealed with the key {key} already; give another one to change to")]
    SameKey {
        /// The key.
        key: KeyId,
    },
    /// The key service that keeps the vault's key does not give it.
    #[error(transparent)]
    KeyService(#[from] TransitError),
    /// A newer Privet wrote the vault.
    #[error("the vault has format {found}, but this build reads formats up to {known}: use a newer privet")]
    NewerFormat {
        /// The vault's format.
        found: u32,
        /// The newest format that this build reads.
        known: u32,
    },
    /// Another process holds the vault.
    #[error("the vault is in use by another process")]
    InUse,
    /// Something in the store is not what Privet wrote there.
    #[error("the vault is damaged: its {what} cannot be read")]
    Corrupt {
        /// Which part of the vault.
        what: &'static str,
    },
}

impl VaultError {
    pub(crate) fn unavailable(cause: impl Into<Cow<'static, str>>) -> Self {
        Self::Unavailable { cause: cause.into() }
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { cause } => Self::Unavailable { cause },
            StoreError::NewerFormat { found, known } => Self::NewerFormat { found, known },
            // A store of an old format is upgraded where it is opened.
            StoreError::OlderFormat { .. } => Self::Corrupt { what: "format" },
            StoreError::InUse => Self::InUse,
            StoreError::Corrupt { what } => Self::Corrupt { what },
        }
    }
}
