//! The bytes of the vault's own record.
//!
//! Format 3: format (4), epoch (8), created (8), how many keys (1); for each
//! its name (8) and that of the second layer's (8), how long it is as a key
//! service wraps it (2) and that, the sealed index key (60), a check of the
//! second layer's key (28). Formats 1 and 2: format (4), the key's name (8), created
//! (8), the sealed index key (60).

use super::super::key::KeyId;
use super::super::seal::{NONCE, TAG};
use super::{CORRUPT, FORMAT, Ids};
use crate::vault::error::VaultError;

const LABEL: &[u8] = b"privet vault\0";
const SEALED: usize = NONCE + 32 + TAG;
const CHECK: usize = NONCE + TAG;
/// While a rotation runs there are two.
const MOST_ENTRIES: u8 = 2;

/// The vault's own record, read and not opened.
pub(in crate::vault) struct Record {
    pub(in crate::vault) format: u32,
    pub(in crate::vault) epoch: u64,
    pub(in crate::vault) created: u64,
    /// The first key is in use, the second one goes.
    pub(in crate::vault) entries: Vec<Entry>,
}

/// What is sealed with one key.
pub(in crate::vault) struct Entry {
    pub(in crate::vault) ids: Ids,
    /// The key as a key service wraps it; empty where it is given.
    pub(in crate::vault) wrapped: String,
    pub(super) sealed: Vec<u8>,
    /// Empty in the first format, which had one layer.
    pub(super) check: Vec<u8>,
}

impl Entry {
    pub(super) fn new(ids: Ids, wrapped: String) -> Self {
        Self { ids, wrapped, sealed: Vec::new(), check: Vec::new() }
    }

    fn head(&self) -> Vec<u8> {
        let len = u16::try_from(self.wrapped.len()).unwrap_or(u16::MAX);
        [&self.ids.to_bytes(), len.to_be_bytes().as_slice(), self.wrapped.as_bytes()].concat()
    }
}

impl Record {
    pub(super) fn new(epoch: u64, created: u64, entries: Vec<Entry>) -> Self {
        Self { format: FORMAT, epoch, created, entries }
    }

    pub(in crate::vault) fn parse(bytes: &[u8]) -> Result<Self, VaultError> {
        let mut rest = Rest(bytes);
        // The format stands first in every version to come.
        let format = u32::from_be_bytes(*rest.take()?);
        match format {
            1 | 2 => {
                let key = KeyId(*rest.take()?);
                let created = u64::from_be_bytes(*rest.take()?);
                // That of the second layer was not thought of; it is derived.
                let ids = Ids { key, sensitive: KeyId([0; 8]) };
                let sealed = rest.take::<SEALED>()?.to_vec();
                let entry = Entry { ids, wrapped: String::new(), sealed, check: Vec::new() };
                rest.end(Self { format, epoch: 0, created, entries: vec![entry] })
            }
            FORMAT => {
                let epoch = u64::from_be_bytes(*rest.take()?);
                let created = u64::from_be_bytes(*rest.take()?);
                let [count] = *rest.take()?;
                if count == 0 || count > MOST_ENTRIES {
                    return Err(CORRUPT);
                }
                let entries = (0..count).map(|_| rest.entry()).collect::<Result<_, _>>()?;
                rest.end(Self { format, epoch, created, entries })
            }
            found if found > FORMAT => Err(VaultError::NewerFormat { found, known: FORMAT }),
            _ => Err(CORRUPT),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.head());
            bytes.extend_from_slice(&entry.sealed);
            bytes.extend_from_slice(&entry.check);
        }
        bytes
    }

    /// What the sealed parts of an entry are bound to: all that is not sealed.
    pub(super) fn aad(&self, place: usize) -> Vec<u8> {
        let mut aad = [LABEL, &self.head()].concat();
        if self.format == FORMAT {
            self.entries.iter().for_each(|entry| aad.extend_from_slice(&entry.head()));
            aad.push(place as u8);
        }
        aad
    }

    fn head(&self) -> Vec<u8> {
        let mut head = self.format.to_be_bytes().to_vec();
        match self.entries.first().filter(|_| self.format < FORMAT) {
            Some(only) => head.extend_from_slice(&only.ids.key.0),
            None => head.extend_from_slice(&self.epoch.to_be_bytes()),
        }
        head.extend_from_slice(&self.created.to_be_bytes());
        if self.format == FORMAT {
            head.push(self.entries.len() as u8);
        }
        head
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], VaultError> {
        let (first, rest) = self.0.split_first_chunk().ok_or(CORRUPT)?;
        self.0 = rest;
        Ok(first)
    }

    fn entry(&mut self) -> Result<Entry, VaultError> {
        let ids = Ids::from_bytes(self.take()?);
        let len = usize::from(u16::from_be_bytes(*self.take()?));
        let (wrapped, rest) = self.0.split_at_checked(len).ok_or(CORRUPT)?;
        self.0 = rest;
        let wrapped = std::str::from_utf8(wrapped).map_err(|_| CORRUPT)?.to_owned();
        let (sealed, check) = (self.take::<SEALED>()?.to_vec(), self.take::<CHECK>()?.to_vec());
        Ok(Entry { ids, wrapped, sealed, check })
    }

    fn end(self, record: Record) -> Result<Record, VaultError> {
        if self.0.is_empty() { Ok(record) } else { Err(CORRUPT) }
    }
}
