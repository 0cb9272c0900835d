//! Backups: one encrypted file with all that stands in the vault at one moment,
//! from any kind of store, and back into any.
//!
//! A backup is read from a snapshot, page by page, while the gateway works. It
//! holds the vault's records as they are, sealed, within frames that are sealed
//! once more, so that it does not even tell how many persons there are. A
//! restore reads it twice: first it checks that the whole file is what was
//! written, and only then it changes the vault.

mod archive;
mod make;
mod restore;
mod schedule;
mod trial;
mod withdrawals;

pub use archive::Counts;
pub use make::{Backup, NewFile};
pub use restore::Restored;
pub use schedule::{Backups, Made, Rotation};

use super::error::VaultError;
use super::key::KeyId;
use std::io;

/// Why a backup could not be made or restored. The vault is as it was, unless
/// the vault itself failed while it was restored into; then doing it again
/// goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The vault.
    #[error("{0}")]
    Vault(#[from] VaultError),
    /// The file.
    #[error("the file cannot be used: {0}")]
    File(io::ErrorKind),
    /// The file does not begin as backups do.
    #[error("the file is no backup of a vault")]
    NoBackup,
    /// A newer Privet made it.
    #[error("the backup has format {found}, but this build reads formats up to {known}: use a newer privet")]
    NewerFormat {
        /// The backup's format.
        found: u32,
        /// The newest format that this build reads.
        known: u32,
    },
    /// It was made of a vault with another key.
    #[error("the backup was made with the key {backup}, but the key given is {given}")]
    WrongKey {
        /// The key that the backup needs.
        backup: KeyId,
        /// The key that was given.
        given: KeyId,
    },
    /// A byte of it was changed, or its end is missing.
    #[error("the backup is damaged, from byte {at} on: nothing of it was restored")]
    Damaged {
        /// Where the part begins that is not whole.
        at: u64,
    },
    /// The file of erasures.
    #[error("the file of erasures cannot be read ({0}): nothing was restored")]
    ErasuresFile(io::ErrorKind),
    /// A file of erasures has a line that is none.
    #[error("line {line} of the erasures was changed: nothing was restored")]
    Erasures {
        /// Counted from 1.
        line: usize,
    },
    /// A backup was restored for a trial, and something was missing.
    #[error("the backup did not pass its test: {0} of its records do not open")]
    Trial(u64),
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        Self::File(error.kind())
    }
}

impl From<crate::store::StoreError> for BackupError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Vault(error.into())
    }
}

#[cfg(test)]
mod tests;
