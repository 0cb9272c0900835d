//! The file: a head, and frames of records, each sealed.
//!
//! ```text
//! head   "privet backup\0\0\0" | format (4) | created (8) | salt (32) | length (4) | the vault's own record
//! frame  length (4) | nonce (12) | sealed records | tag (16)
//! ```
//!
//! The frames are sealed with AES-256-GCM, under a key that is derived from the
//! vault's index key, the salt and all else of the head. Each is bound to its
//! number and to whether it is the last, so that none can be left out, moved or
//! cut off; the last holds the counts. Numbers are big-endian.

use super::BackupError;
use crate::entity::Entity;
use crate::store::{Row, Space};
use crate::token::Token;
use crate::vault::error::VaultError;
use crate::vault::seal::{NONCE, SealingKey, TAG};
use aws_lc_rs::hmac;
use std::io::{self, Read};
use zeroize::Zeroizing;

const MAGIC: &[u8; 16] = b"privet backup\0\0\0";
const FORMAT: u32 = 1;
const KEY_LABEL: &[u8] = b"privet backup key\0";
const FRAME_LABEL: &[u8] = b"privet backup frame\0";

/// Frames are closed once they hold so many bytes. A single record may be larger.
const FRAME: usize = 64 << 10;
/// The largest frame that is read: far more than a record may have.
const MAX_FRAME: usize = 256 << 20;
/// The largest record of a vault of its own.
const MAX_META: usize = 1 << 20;

/// What stands in front.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// When the snapshot was taken, in Unix seconds.
    pub(super) created: u64,
    pub(super) salt: [u8; 32],
    /// The vault's own record.
    pub(super) meta: Vec<u8>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Subject { row: Row, record: Vec<u8> },
    Mapping { row: Row, token: Token, record: Vec<u8> },
    Record { row: Row, space: Space, key: Vec<u8>, value: Vec<u8> },
}

/// How many records of each kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Counts {
    /// Subjects.
    pub subjects: u64,
    /// Tokens, surrogates among them.
    pub tokens: u64,
    /// Other records.
    pub records: u64,
}

impl Counts {
    pub(super) fn add(&mut self, entry: &Entry) {
        match entry {
            Entry::Subject { .. } => self.subjects += 1,
            Entry::Mapping { .. } => self.tokens += 1,
            Entry::Record { .. } => self.records += 1,
        }
    }

    fn bytes(self) -> [[u8; 8]; 3] {
        [self.subjects, self.tokens, self.records].map(u64::to_be_bytes)
    }
}

impl Head {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let len = (self.meta.len() as u32).to_be_bytes();
        [MAGIC, FORMAT.to_be_bytes().as_slice(), &self.created.to_be_bytes(), &self.salt, &len, &self.meta].concat()
    }

    pub(super) fn read(reader: &mut impl Read) -> Result<Self, BackupError> {
        let magic: [u8; 16] = bytes(reader).map_err(short(BackupError::NoBackup))?;
        if magic != *MAGIC {
            return Err(BackupError::NoBackup);
        }
        let damaged = || short(BackupError::Damaged { at: 0 });
        let found = u32::from_be_bytes(bytes(reader).map_err(damaged())?);
        if found != FORMAT {
            return Err(BackupError::NewerFormat { found, known: FORMAT });
        }
        let created = u64::from_be_bytes(bytes(reader).map_err(damaged())?);
        let salt = bytes(reader).map_err(damaged())?;
        let len = u32::from_be_bytes(bytes(reader).map_err(damaged())?) as usize;
        if len > MAX_META {
            return Err(BackupError::Damaged { at: 0 });
        }
        let mut meta = vec![0; len];
        reader.read_exact(&mut meta).map_err(damaged())?;
        Ok(Self { created, salt, meta })
    }

    fn key(&self, index: &hmac::Key) -> Result<SealingKey, VaultError> {
        let mut mac = hmac::Context::with_key(index);
        mac.update(KEY_LABEL);
        mac.update(&self.bytes());
        SealingKey::new(&Zeroizing::new(mac.sign().as_ref().first_chunk().copied().unwrap_or_default()))
    }
}

/// Writes frames.
pub(super) struct Writer {
    key: SealingKey,
    number: u64,
    open: Vec<u8>,
    counts: Counts,
}

impl Writer {
    pub(super) fn new(head: &Head, index: &hmac::Key) -> Result<Self, VaultError> {
        Ok(Self { key: head.key(index)?, number: 0, open: Vec::with_capacity(FRAME), counts: Counts::default() })
    }

    /// Adds a record; the frame that it completes goes to `out`.
    pub(super) fn push(&mut self, entry: &Entry, out: &mut Vec<u8>) -> Result<(), VaultError> {
        self.counts.add(entry);
        encode(entry, &mut self.open);
        if self.open.len() >= FRAME { self.frame(false, out) } else { Ok(()) }
    }

    /// The last frames.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<Counts, VaultError> {
        if !self.open.is_empty() {
            self.frame(false, out)?;
        }
        self.open.extend(self.counts.bytes().concat());
        self.frame(true, out)?;
        Ok(self.counts)
    }

    fn frame(&mut self, last: bool, out: &mut Vec<u8>) -> Result<(), VaultError> {
        out.extend_from_slice(&((NONCE + self.open.len() + TAG) as u32).to_be_bytes());
        // The key is that of this file alone, so its numbers are never used twice.
        self.key.seal(nonce(self.number), &aad(self.number, last), &self.open, out)?;
        self.number += 1;
        self.open.clear();
        Ok(())
    }
}

/// Reads frames, and believes nothing that is not as it was written.
pub(super) struct Reader<R> {
    reader: R,
    key: SealingKey,
    number: u64,
    at: u64,
    counts: Counts,
}

impl<R: Read> Reader<R> {
    /// `reader` stands behind the head.
    pub(super) fn new(reader: R, head: &Head, index: &hmac::Key) -> Result<Self, VaultError> {
        let at = head.bytes().len() as u64;
        Ok(Self { reader, key: head.key(index)?, number: 0, at, counts: Counts::default() })
    }

    /// The records of the next frame; none behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Entry>>, BackupError> {
        let at = self.at;
        let damaged = || BackupError::Damaged { at };
        let len = u32::from_be_bytes(bytes(&mut self.reader).map_err(short(damaged()))?) as usize;
        if !(NONCE + TAG..=MAX_FRAME).contains(&len) {
            return Err(damaged());
        }
        let mut sealed = Vec::new();
        // Not more is set aside than there is, whatever the length says.
        self.reader.by_ref().take(len as u64).read_to_end(&mut sealed)?;
        if sealed.len() != len || sealed.first_chunk() != Some(&nonce(self.number)) {
            return Err(damaged());
        }
        self.at += 4 + len as u64;
        if let Some(plain) = self.key.open(&aad(self.number, false), &sealed) {
            self.number += 1;
            let entries = decode(&plain).ok_or_else(damaged)?;
            for entry in &entries {
                self.counts.add(entry);
            }
            return Ok(Some(entries));
        }
        let plain = self.key.open(&aad(self.number, true), &sealed).ok_or_else(damaged)?;
        let is_whole = *plain == self.counts.bytes().concat();
        if is_whole && self.reader.read(&mut [0])? == 0 { Ok(None) } else { Err(damaged()) }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }
}

fn nonce(number: u64) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    if let Some(low) = nonce.last_chunk_mut() {
        *low = number.to_be_bytes();
    }
    nonce
}

fn aad(number: u64, last: bool) -> Vec<u8> {
    [FRAME_LABEL, &number.to_be_bytes(), &[u8::from(last)]].concat()
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map(|()| bytes)
}

/// What it means that the file ends here.
fn short(meaning: BackupError) -> impl FnOnce(io::Error) -> BackupError {
    |error| if error.kind() == io::ErrorKind::UnexpectedEof { meaning } else { error.into() }
}

fn encode(entry: &Entry, out: &mut Vec<u8>) {
    let text = |text: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text);
    };
    match entry {
        Entry::Subject { row, record } => {
            out.push(1);
            out.extend_from_slice(&row.to_bytes());
            text(record, out);
        }
        Entry::Mapping { row, token, record } => {
            out.push(2);
            out.extend_from_slice(&row.to_bytes());
            text(token.entity().as_bytes(), out);
            out.extend_from_slice(&token.bits().to_be_bytes());
            text(record, out);
        }
        Entry::Record { row, space, key, value } => {
            out.push(3);
            out.extend_from_slice(&row.to_bytes());
            out.push(*space as u8);
            text(key, out);
            text(value, out);
        }
    }
}

fn decode(mut plain: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while let Some((kind, rest)) = plain.split_first() {
        plain = rest;
        let row = Row::from_bytes(chunk(&mut plain)?);
        entries.push(match kind {
            1 => Entry::Subject { row, record: text(&mut plain)? },
            2 => {
                let name = text(&mut plain)?;
                let entity = if name == Entity::SURROGATE.as_bytes() {
                    Entity::SURROGATE
                } else {
                    std::str::from_utf8(&name).ok()?.parse().ok()?
                };
                let token = Token::new(entity, u64::from_be_bytes(*chunk(&mut plain)?));
                Entry::Mapping { row, token, record: text(&mut plain)? }
            }
            3 => {
                let [space] = *chunk(&mut plain)?;
                let space = Space::from_number(space)?;
                Entry::Record { row, space, key: text(&mut plain)?, value: text(&mut plain)? }
            }
            _ => return None,
        });
    }
    Some(entries)
}

fn chunk<'p, const N: usize>(plain: &mut &'p [u8]) -> Option<&'p [u8; N]> {
    let (chunk, rest) = plain.split_first_chunk()?;
    *plain = rest;
    Some(chunk)
}

fn text(plain: &mut &[u8]) -> Option<Vec<u8>> {
    let len = u32::from_be_bytes(*chunk(plain)?) as usize;
    let (text, rest) = plain.split_at_checked(len)?;
    *plain = rest;
    Some(text.to_vec())
}
