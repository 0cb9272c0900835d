//! Who was erased, and who withdrew consent: kept apart from the vault, so that
//! a restored backup brings nobody back.
//!
//! One JSON object a line, in the order of time. A line names a subject by the
//! keyed hash that the vault files it under, and so nobody, to whom has not the
//! key; that of a withdrawal holds the statement as well, sealed as in the vault.
//! It ends with a MAC (HMAC-SHA-256, 64 bits), so that a changed one shows.

use super::error::VaultError;
use crate::hex;
use crate::store::Row;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const LABEL: &[u8] = b"privet erasure\0";
const VAULT_LABEL: &[u8] = b"privet erasures of\0";

/// What happened to a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    /// All data of it was erased.
    Erased,
    /// Consent was withdrawn.
    Withdrawn,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Erasure {
    /// Unix seconds.
    pub(super) at: u64,
    pub(super) what: What,
    pub(super) row: Row,
    /// The record that says what was withdrawn.
    pub(super) statement: Option<Statement>,
}

/// A record as it stands in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its key: its number.
    pub(super) number: [u8; 8],
    pub(super) sealed: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: u64,
    what: What,
    row: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    vault: String,
    mac: String,
}

/// A file that is only ever appended to. Clones share it.
#[derive(Clone)]
pub(super) struct ErasureFile {
    file: Arc<Mutex<File>>,
    key: hmac::Key,
}

impl ErasureFile {
    /// Opens the file, and makes it where there is none, for its owner alone.
    pub(super) fn open(path: &Path, key: hmac::Key) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        // A line without an end was cut by a crash: nobody was told that it stands.
        let whole = whole_lines(&mut file)?;
        file.set_len(whole)?;
        file.sync_all()?;
        Ok(Self { file: Arc::new(Mutex::new(file)), key })
    }

    /// Appends a line; it is durable when this returns.
    pub(super) async fn append(&self, erasure: Erasure) -> Result<(), VaultError> {
        let this = self.clone();
        let written = tokio::task::spawn_blocking(move || this.write(&erasure)).await;
        let written = written.map_err(|_| VaultError::unavailable("the erasures could not be written"))?;
        written.map_err(|error| VaultError::unavailable(format!("the erasures cannot be written: {}", error.kind())))
    }

    fn write(&self, erasure: &Erasure) -> io::Result<()> {
        let line = line(&self.key, erasure)?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let end = file.seek(SeekFrom::End(0))?;
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line must not stay in front of the next one.
            let _ = file.set_len(end);
        }
        written
    }
}

/// The lines of a file that are of the vault with this key; `Err` is the
/// number of the first line that is not as it was written.
pub(super) fn read(file: impl Read, key: &hmac::Key) -> io::Result<Result<Vec<Erasure>, usize>> {
    let mut all = Vec::new();
    let mut text = String::new();
    let mut reader = BufReader::new(file);
    let own = vault(key);
    for number in 1.. {
        text.clear();
        reader.read_line(&mut text)?;
        // What has no end was cut by a crash.
        let Some(line) = text.strip_suffix('\n') else { break };
        let Ok(read) = serde_json::from_str::<Line>(line) else { return Ok(Err(number)) };
        if read.vault != own {
            continue;
        }
        match erasure(&read) {
            Some(erasure) if read.mac == mac(key, &erasure) => all.push(erasure),
            _ => return Ok(Err(number)),
        }
    }
    Ok(Ok(all))
}

fn line(key: &hmac::Key, erasure: &Erasure) -> io::Result<String> {
    let row = hex::encode(erasure.row.to_bytes().as_slice());
    let statement = erasure.statement.as_ref().map(|statement| hex::encode(&statement.bytes()));
    let line = Line { at: erasure.at, what: erasure.what, row, statement, vault: vault(key), mac: mac(key, erasure) };
    Ok(serde_json::to_string(&line)? + "\n")
}

fn erasure(line: &Line) -> Option<Erasure> {
    let row = Row::from_bytes(hex::decode(&line.row)?.as_slice().try_into().ok()?);
    let statement = match &line.statement {
        None => None,
        Some(text) => {
            let bytes = hex::decode(text)?;
            let (number, sealed) = bytes.split_first_chunk()?;
            Some(Statement { number: *number, sealed: sealed.to_vec() })
        }
    };
    Some(Erasure { at: line.at, what: line.what, row, statement })
}

impl Statement {
    fn bytes(&self) -> Vec<u8> {
        [self.number.as_slice(), &self.sealed].concat()
    }
}

/// Tells the lines of several vaults in one file apart.
fn vault(key: &hmac::Key) -> String {
    short(&hmac::sign(key, VAULT_LABEL))
}

fn mac(key: &hmac::Key, erasure: &Erasure) -> String {
    let kind = [u8::from(erasure.what == What::Withdrawn)];
    let statement = erasure.statement.as_ref().map(Statement::bytes).unwrap_or_default();
    let parts = [LABEL, &erasure.at.to_be_bytes(), &kind, &erasure.row.to_bytes(), &statement];
    short(&hmac::sign(key, &parts.concat()))
}

fn short(tag: &hmac::Tag) -> String {
    format!("{:016x}", u64::from_be_bytes(tag.as_ref().first_chunk().copied().unwrap_or_default()))
}

/// How long the file is up to the end of its last whole line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut byte = [0];
    while end > 0 {
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut byte)?;
        if byte == *b"\n" {
            break;
        }
        end -= 1;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    fn erasure(at: u64) -> Erasure {
        let is_erased = at.is_multiple_of(2);
        let what = if is_erased { What::Erased } else { What::Withdrawn };
        let statement = (!is_erased).then(|| Statement { number: at.to_be_bytes(), sealed: vec![9; 40] });
        Erasure { at, what, row: Row { tenant: [at as u8; 8], subject: [7; 16] }, statement }
    }

    #[tokio::test]
    async fn what_is_appended_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("erasures.jsonl");
        for at in 0..3 {
            ErasureFile::open(&path, key(1)).unwrap().append(erasure(at)).await.unwrap();
            ErasureFile::open(&path, key(2)).unwrap().append(erasure(100 + at)).await.unwrap();
        }
        let read = |number| read(File::open(&path).unwrap(), &key(number)).unwrap().unwrap();
        assert_eq!(read(1), (0..3).map(erasure).collect::<Vec<_>>());
        assert_eq!(read(2), (100..103).map(erasure).collect::<Vec<_>>());
        assert_eq!(read(3), []);
    }

    #[tokio::test]
    async fn a_line_that_was_cut_by_a_crash_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("erasures.jsonl");
        ErasureFile::open(&path, key(1)).unwrap().append(erasure(0)).await.unwrap();
        let one = std::fs::read(&path).unwrap();
        for cut in 1..one.len() {
            std::fs::write(&path, [one.as_slice(), &one[..cut]].concat()).unwrap();
            assert_eq!(read(File::open(&path).unwrap(), &key(1)).unwrap(), Ok(vec![erasure(0)]));
        }
        ErasureFile::open(&path, key(1)).unwrap().append(erasure(2)).await.unwrap();
        assert_eq!(read(File::open(&path).unwrap(), &key(1)).unwrap(), Ok(vec![erasure(0), erasure(2)]));
    }

    #[test]
    fn a_changed_line_shows() {
        let whole = [line(&key(1), &erasure(0)).unwrap(), line(&key(1), &erasure(1)).unwrap()].concat();
        let first = whole.find('\n').unwrap();
        let mut noticed = 0;
        for at in 0..whole.len() {
            let mut bent = whole.clone().into_bytes();
            bent[at] ^= 1;
            match read(bent.as_slice(), &key(1)) {
                Ok(Err(number)) => {
                    assert_eq!(number, 1 + usize::from(at > first), "byte {at}");
                    noticed += 1;
                }
                // A byte of no text at all, or a line of another vault.
                Err(_) => noticed += 1,
                Ok(Ok(left)) => assert!(left.len() < 2, "byte {at}"),
            }
        }
        assert!(noticed > whole.len() / 2, "{noticed} of {}", whole.len());
    }
}
