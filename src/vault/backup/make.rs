//! Making a backup.

use super::BackupError;
use super::archive::{Counts, Entry, Head, Writer};
use crate::clock;
use crate::store::{RecordPlace, Row, Snapshot, Space};
use crate::token::Token;
use crate::vault::error::VaultError;
use crate::vault::seal::random;
use crate::vault::{Kind, Vault};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// How many records are read from the store at once.
const PAGE: usize = 512;

/// A backup on its way: pieces of the file, in order.
pub struct Backup {
    snapshot: Box<dyn Snapshot>,
    writer: Writer,
    stage: Stage,
    subjects: Subjects,
    tokens: Tokens,
    counts: Option<Counts>,
}

enum Stage {
    Head(Vec<u8>),
    Records(Option<RecordPlace>),
    /// Each with its tokens.
    Subjects,
    Ended,
}

impl Vault {
    /// A backup of all that stands in the vault now.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unavailable`], also for a vault in memory.
    pub async fn backup(&self) -> Result<Backup, BackupError> {
        let Kind::Stored(shared) = &self.0 else {
            return Err(VaultError::unavailable("a vault in memory has no backups").into());
        };
        let created = clock::unix_seconds();
        let meta = shared.store.meta().await?.ok_or(VaultError::Corrupt { what: "own record" })?;
        let head = Head { created, salt: *random()?, meta };
        let snapshot = shared.store.snapshot().await?;
        let writer = Writer::new(&head, &shared.index)?;
        Ok(Backup {
            snapshot,
            writer,
            stage: Stage::Head(head.bytes()),
            subjects: Subjects::default(),
            tokens: Tokens::default(),
            counts: None,
        })
    }

    /// Writes a backup to `path`, which appears there once it is complete and
    /// durable, and is for its owner alone.
    pub async fn back_up(&self, path: &Path) -> Result<Counts, BackupError> {
        let mut backup = self.backup().await?;
        let mut file = Some(NewFile::create(path)?);
        while let Some(piece) = backup.next().await? {
            let Some(mut unfinished) = file.take() else { break };
            let written = tokio::task::spawn_blocking(move || unfinished.file.write_all(&piece).map(|()| unfinished));
            file = Some(written.await.map_err(io::Error::other)??);
        }
        if let Some(file) = file {
            let path = path.to_owned();
            tokio::task::spawn_blocking(move || file.finish(&path)).await.map_err(io::Error::other)??;
        }
        Ok(backup.counts.unwrap_or_default())
    }
}

impl Backup {
    /// The next piece of the file; none behind the last.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        let mut out = Vec::new();
        while out.is_empty() {
            match &mut self.stage {
                Stage::Head(head) => {
                    out = std::mem::take(head);
                    self.stage = Stage::Records(None);
                }
                Stage::Records(after) => {
                    let page = self.snapshot.records(after.clone(), PAGE).await?;
                    self.stage = match page.last() {
                        Some((last, _)) => Stage::Records(Some(last.clone())),
                        None => Stage::Subjects,
                    };
                    for ((row, space, key), value) in page {
                        if is_backed_up(space) {
                            self.writer.push(&Entry::Record { row, space, key, value }, &mut out)?;
                        }
                    }
                }
                Stage::Subjects => {
                    if let Some((row, record)) = self.subjects.next(&*self.snapshot).await? {
                        self.writer.push(&Entry::Subject { row, record }, &mut out)?;
                        while let Some((token, record)) = self.tokens.next_of(row, &*self.snapshot).await? {
                            self.writer.push(&Entry::Mapping { row, token, record }, &mut out)?;
                        }
                    } else {
                        self.counts = Some(self.writer.end(&mut out)?);
                        self.stage = Stage::Ended;
                    }
                }
                Stage::Ended => return Ok(None),
            }
        }
        Ok(Some(out))
    }

    /// What the backup holds, once it is complete.
    pub fn counts(&self) -> Option<Counts> {
        self.counts
    }
}

/// The subjects of a snapshot, read ahead by a page.
#[derive(Default)]
struct Subjects {
    page: VecDeque<(Row, Vec<u8>)>,
    last: Option<Row>,
}

impl Subjects {
    async fn next(&mut self, snapshot: &dyn Snapshot) -> Result<Option<(Row, Vec<u8>)>, VaultError> {
        if self.page.is_empty() {
            self.page = snapshot.subjects(self.last, PAGE).await?.into();
            self.last = self.page.back().map(|(row, _)| *row);
        }
        Ok(self.page.pop_front())
    }
}

/// The tokens of a snapshot, read ahead by a page.
#[derive(Default)]
struct Tokens {
    page: VecDeque<(Row, Token, Vec<u8>)>,
    last: Option<(Row, Token)>,
    ended: bool,
}

impl Tokens {
    /// The next token of a subject. Subjects are asked for in their order.
    async fn next_of(&mut self, row: Row, snapshot: &dyn Snapshot) -> Result<Option<(Token, Vec<u8>)>, VaultError> {
        loop {
            if self.page.is_empty() && !self.ended {
                self.page = snapshot.mappings(self.last, PAGE).await?.into();
                self.last = self.page.back().map(|(row, token, _)| (*row, *token));
                self.ended = self.page.is_empty();
                // Pages come from memory now and then; others want to go on, too.
                tokio::task::yield_now().await;
            }
            match self.page.front() {
                Some((of, ..)) if *of <= row => {}
                _ => return Ok(None),
            }
            // Without a subject a token stands for nothing.
            if let Some((of, token, record)) = self.page.pop_front()
                && of == row
            {
                return Ok(Some((token, record)));
            }
        }
    }
}

/// What is still to be sent would be sent twice, and how far the change of a
/// key has come is not true of another vault. Codes and sessions last minutes:
/// they would only keep the ids of people who were erased since. The keys of
/// days are forgotten with the day, so that nothing leads from a transcript to
/// a person.
fn is_backed_up(space: Space) -> bool {
    !matches!(space, Space::Outbox | Space::Rotation | Space::Code | Space::Session | Space::Daily)
}

/// A file under a name of its own. What is not finished is removed.
pub struct NewFile {
    file: File,
    path: tempfile::TempPath,
}

impl NewFile {
    /// Beside `path`, so that it can be renamed.
    pub fn create(path: &Path) -> io::Result<Self> {
        // Files of this kind are for their owner alone from the start.
        let file = tempfile::Builder::new().prefix(".privet-").suffix(".part").tempfile_in(folder(path))?;
        let (file, path) = file.into_parts();
        Ok(Self { file, path })
    }

    /// Gives it its name, once all of it is durable.
    pub fn finish(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        self.path.persist(path)?;
        sync_folder(folder(path))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The names in a folder become durable by this.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
