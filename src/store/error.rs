//! What can go wrong with a store.

use std::borrow::Cow;

/// Why a store did not do what was asked. No text here ever holds content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be read or written just now. Trying again later may help;
    /// nothing that was acknowledged is lost.
    #[error("the vault is unavailable: {cause}")]
    Unavailable {
        /// What failed, in words that hold no content.
        cause: Cow<'static, str>,
    },
    /// A newer Privet wrote it.
    #[error("the vault has format {found}, but this build reads formats up to {known}: use a newer privet")]
    NewerFormat {
        /// The store's format.
        found: u32,
        /// The newest format that this build reads.
        known: u32,
    },
    /// An older Privet wrote it: it must be upgraded before it can be used.
    #[error("the vault has the old format {found}")]
    OlderFormat {
        /// The store's format.
        found: u32,
    },
    /// Another process holds it.
    #[error("the vault is in use by another process")]
    InUse,
    /// Something in it is not what Privet wrote there.
    #[error("the vault is damaged: its {what} cannot be read")]
    Corrupt {
        /// Which part of the store.
        what: &'static str,
    },
}

impl StoreError {
    pub(super) fn unavailable(cause: impl Into<Cow<'static, str>>) -> Self {
        Self::Unavailable { cause: cause.into() }
    }
}
