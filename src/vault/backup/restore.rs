//! Restoring a backup: into the vault it is of, into an empty one, or into one
//! that has its own subjects.
//!
//! What stands in the vault stays: a restore adds what is missing. Who was
//! erased since, in this vault or by the file of erasures, is not brought back,
//! and what was withdrawn since is withdrawn again.

use super::BackupError;
use super::archive::{Counts, Entry, Head, Reader};
use super::withdrawals::{self, Stored, Withdrawals};
use crate::store::{Batch, Change, Event, EventKind, Expect, Outcome, Row, Space, Store};
use crate::token::Token;
use crate::vault::erasures::{self, What};
use crate::vault::error::VaultError;
use crate::vault::records::Records;
use crate::vault::root::Root;
use crate::vault::subject_keys::{SubjectKeys, created, keys_named};
use crate::vault::{Keyring, Kind, Options, Shared, Vault, VaultUrl};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// How many batches are on their way to the store at once, so that they share
/// its commits.
const AT_ONCE: usize = 256;

/// How many tokens are written together.
const BATCH: usize = 256;

/// What a restore did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Restored {
    /// When the backup was made, in Unix seconds.
    pub created: u64,
    /// What was added to the vault.
    pub added: Counts,
    /// What stood there already.
    pub present: Counts,
    /// Subjects that were left out, since they were erased after the backup.
    pub erased: u64,
    /// Withdrawals of consent that were made after the backup, and were lost but
    /// for the file of erasures. They hold again.
    pub withdrawn: u64,
    /// Records that were left out, since they are of another vault, or say who
    /// was an operator.
    pub foreign: u64,
}

impl Vault {
    /// Opens the vault at `at` and restores a backup into it. An empty vault
    /// becomes the one that the backup is of.
    pub async fn restore_at(
        at: &VaultUrl,
        keys: impl Into<Keyring>,
        options: Options,
        backup: &Path,
        erasures: Option<&Path>,
    ) -> Result<(Self, Restored), BackupError> {
        let keys = keys.into();
        let (head, _) = check(backup, &keys).await?;
        // Before anything is made.
        if let Some(path) = erasures {
            File::open(path).map_err(|error| unread(&error))?;
        }
        let mut vault = Self::open(at, keys.clone(), options.clone()).await?;
        if let Kind::Stored(shared) = &vault.0
            && is_empty(&*shared.store).await?
            && let Some(own) = shared.store.meta().await?
            && own != head.meta
        {
            shared.store.put_meta(Some(own), head.meta).await?;
            vault.close().await;
            vault = Self::open(at, keys.clone(), options).await?;
        }
        let restored = vault.restore(backup, erasures).await?;
        Ok((vault, restored))
    }

    /// Adds what a backup holds and the vault does not. Nothing is changed
    /// unless the whole of both files is as it was written.
    pub async fn restore(&self, backup: &Path, erasures: Option<&Path>) -> Result<Restored, BackupError> {
        let Kind::Stored(shared) = &self.0 else {
            return Err(VaultError::unavailable("nothing can be restored into a vault in memory").into());
        };
        let keys = shared.envelope.given();
        let (head, _) = check(backup, &keys).await?;
        let source = open_root(&keys, &head).await?;
        let is_same = source.row("", "") == shared.records.row("", "");
        let mut erased = HashMap::new();
        let mut withdrawals = Withdrawals::default();
        for (index, is_own) in [(&source.index, is_same), (&shared.index, true)] {
            let Some(path) = erasures else { break };
            let read = File::open(path).and_then(|file| erasures::read(file, index)).map_err(|error| unread(&error))?;
            let read = read.map_err(|line| BackupError::Erasures { line })?;
            let records = Records::new(Arc::clone(&shared.store), index.clone());
            for erasure in read {
                if erasure.what == What::Erased {
                    let latest = erased.entry(erasure.row).or_insert(0);
                    *latest = erasure.at.max(*latest);
                } else {
                    // Which of its own a vault has lost is told by what stands
                    // there, and not by the clock of whoever wrote them. No
                    // statement of another vault comes with its backup, so that
                    // all are lost.
                    withdrawals.take(&records, is_own, erasure);
                }
            }
        }
        let mut restore = Restore {
            vault: shared,
            is_same,
            into_empty: is_empty(&*shared.store).await?,
            root: shared.envelope.refresh().await?,
            source: Arc::new(source),
            erased,
            gone: HashSet::new(),
            withdrawals,
            statements: None,
            unlinked: HashSet::new(),
            last_erased: None,
            current: None,
            flights: FuturesUnordered::new(),
            done: Restored { created: head.created, ..Restored::default() },
        };
        // Records come before the subjects that they are of, and only these tell
        // when they were made.
        let is_anybody_erased = !restore.into_empty || !restore.erased.is_empty();
        let mut ahead = is_anybody_erased.then(|| reader(backup, &restore.source)).transpose()?;
        while let Some(entries) = next(&mut ahead).await? {
            for entry in entries {
                restore.judge(&entry).await?;
            }
        }
        restore.replay().await?;
        let mut reader = Some(reader(backup, &restore.source)?);
        while let Some(entries) = next(&mut reader).await? {
            for entry in entries {
                restore.add(entry).await?;
            }
        }
        restore.end().await
    }
}

/// A restore on its way.
struct Restore<'v> {
    vault: &'v Shared,
    root: Arc<Root>,
    source: Arc<Root>,
    /// Whether the rows of the backup are those of the vault.
    is_same: bool,
    into_empty: bool,
    /// When who was erased was last, by the file of erasures.
    erased: HashMap<Row, u64>,
    /// Subjects of the backup that were erased since they were made. Not since
    /// the backup was, as the clock of another process may be behind.
    gone: HashSet<Row>,
    withdrawals: Withdrawals,
    /// What is read of the statements of a subject who withdrew since.
    statements: Option<(Row, Vec<Stored>)>,
    /// Links that lead to subjects who are not to come back.
    unlinked: HashSet<Row>,
    /// The row that was looked up last, and when the vault erased it: records
    /// of one subject follow each other.
    last_erased: Option<(Row, Option<u64>)>,
    current: Option<Current>,
    flights: FuturesUnordered<Flight<'v>>,
    done: Restored,
}

/// A write on its way, and what it comes to.
type Flight<'v> = Pin<Box<dyn Future<Output = Result<Landed, VaultError>> + Send + 'v>>;

/// What was added, what was present, and how many records were left out.
type Landed = (Counts, Counts, u64);

/// The subject whose tokens are being read.
struct Current {
    /// In the backup.
    row: Row,
    record: Vec<u8>,
    /// In the vault; none where the subject is not to come back.
    to: Option<Place>,
    tokens: Vec<(Token, Vec<u8>)>,
}

/// Where a subject of the backup belongs.
#[derive(Clone)]
struct Place {
    row: Row,
    record: Arc<[u8]>,
}

impl<'v> Restore<'v> {
    /// Does what was asked for after the backup was made, in the vault itself.
    async fn replay(&mut self) -> Result<(), BackupError> {
        if !self.is_same {
            return Ok(());
        }
        for (row, at) in &self.erased {
            if *at < self.done.created && !self.gone.contains(row) {
                continue;
            }
            let standing = self.vault.store.subject(*row).await?;
            if standing.is_some_and(|record| created(&record).is_none_or(|created| created <= *at)) {
                self.vault.store.erase(*row).await?;
                self.vault.heed(Event { row: *row, kind: EventKind::Erased });
            }
            self.vault.records.note_erased(*row, *at).await?;
        }
        Ok(())
    }

    async fn add(&mut self, entry: Entry) -> Result<(), BackupError> {
        match entry {
            Entry::Record { row, space, key, value } => self.add_record(row, space, key, value).await,
            Entry::Subject { row, record } => {
                self.land().await?;
                self.settle().await?;
                let to = self.place(row, &record)?;
                self.done.erased += u64::from(to.is_none());
                if let Some(to) = &to
                    && let Some(lost) = self.withdrawals.of_moved(row)
                {
                    self.done.withdrawn += withdrawals::replay(self.vault, to.row, Vec::new(), lost).await?.1;
                }
                self.current = Some(Current { row, record, to, tokens: Vec::new() });
                Ok(())
            }
            Entry::Mapping { row, token, record } => {
                let current = self.current.as_mut().filter(|current| current.row == row);
                // Tokens without keys stand for nothing.
                let Some(current) = current.filter(|current| current.to.is_some()) else { return Ok(()) };
                current.tokens.push((token, record));
                if current.tokens.len() >= BATCH { self.send().await } else { Ok(()) }
            }
        }
    }

    async fn end(mut self) -> Result<Restored, BackupError> {
        self.land().await?;
        while let Some(landed) = self.flights.next().await {
            self.done.count(landed?);
        }
        self.settle().await?;
        for (row, lost) in self.withdrawals.rest() {
            self.done.withdrawn += withdrawals::replay(self.vault, row, Vec::new(), lost).await?.1;
        }
        Ok(self.done)
    }

    /// Takes note of a subject that was erased since.
    async fn judge(&mut self, entry: &Entry) -> Result<(), BackupError> {
        let Entry::Subject { row, record } = entry else { return Ok(()) };
        let made = created(record).unwrap_or(0);
        let mut rows = vec![*row];
        if !self.is_same {
            rows.push(SubjectKeys::moved(&self.source, *row, record, &self.root)?.0);
        }
        for of in rows {
            if self.erased_at(of).await?.is_some_and(|at| at >= made) {
                self.gone.insert(*row);
            }
        }
        Ok(())
    }

    /// Where a subject belongs; nowhere, if it was erased since.
    fn place(&self, row: Row, record: &[u8]) -> Result<Option<Place>, BackupError> {
        if self.gone.contains(&row) {
            return Ok(None);
        }
        if self.is_same && keys_named(record) == Some(self.root.current.ids) {
            return Ok(Some(Place { row, record: record.into() }));
        }
        let (row, record) = SubjectKeys::moved(&self.source, row, record, &self.root)?;
        Ok(Some(Place { row, record: record.into() }))
    }

    /// Whether the subject of a record was erased since. Of one without values
    /// it is known only when the backup was made.
    async fn was_erased(&mut self, row: Row) -> Result<bool, BackupError> {
        let created = self.done.created;
        Ok(self.gone.contains(&row) || self.erased_at(row).await?.is_some_and(|at| at >= created))
    }

    /// When a subject was erased last, by the file of erasures or by what the
    /// vault itself knows.
    async fn erased_at(&mut self, row: Row) -> Result<Option<u64>, BackupError> {
        let told = self.erased.get(&row).copied();
        if self.into_empty {
            return Ok(told);
        }
        let erased = match self.last_erased {
            Some((of, erased)) if of == row => erased,
            _ => self.vault.records.erased(row).await?,
        };
        self.last_erased = Some((row, erased));
        Ok(erased.max(told))
    }

    /// The statements of a subject who withdrew since are complete.
    async fn settle(&mut self) -> Result<(), BackupError> {
        let Some((row, statements)) = self.statements.take() else { return Ok(()) };
        let lost = self.withdrawals.of(row);
        let read = statements.len() as u64;
        let (added, again) = withdrawals::replay(self.vault, row, statements, lost).await?;
        self.done.added.records += added;
        self.done.present.records += read - added;
        self.done.withdrawn += again;
        Ok(())
    }

    async fn add_record(&mut self, row: Row, space: Space, key: Vec<u8>, value: Vec<u8>) -> Result<(), BackupError> {
        // The log of another vault, or an earlier one of this, does not go on
        // with its own. Who was an operator once need not be one now: whoever has
        // the vault's key says who is.
        let is_own = matches!(space, Space::Audit | Space::Checkpoint | Space::Once);
        if space == Space::Index && row.is_of_tenant() {
            // Older backups have what subjects are found by twice. The store makes
            // that of the tenant by itself.
            return Ok(());
        }
        let store = &self.vault.store;
        let one = Counts { records: 1, ..Counts::default() };
        if !self.is_same {
            self.done.foreign += 1;
            return Ok(());
        }
        if space == Space::Operator || is_own && !self.into_empty {
            return self
                .depart(Box::pin(async move {
                    let standing = store.get(row, space, vec![key]).await?.pop().flatten();
                    let none = Counts::default();
                    Ok(if standing == Some(value) { (none, one, 0) } else { (none, none, 1) })
                }))
                .await;
        }
        if self.statements.as_ref().is_some_and(|(of, _)| *of != row || space != Space::Consent) {
            self.settle().await?;
        }
        if space == Space::Consent && self.withdrawals.are_of(row) {
            self.statements.get_or_insert((row, Vec::new())).1.push((key, value));
            return Ok(());
        }
        if !space.is_kept() && self.was_erased(subject_of(row, space, &key)).await? {
            self.unlinked.extend(link_of(row, space, &key));
            return Ok(());
        }
        if space == Space::Link && self.unlinked.contains(&row) {
            return Ok(());
        }
        // In older backups it was sealed.
        let value = if space == Space::Index { Vec::new() } else { value };
        let change = Change { row, space, key, expect: Expect::Absent, value: Some(value) };
        self.depart(Box::pin(async move {
            let added = store.write(vec![change], None).await?;
            Ok(if added { (one, Counts::default(), 0) } else { (Counts::default(), one, 0) })
        }))
        .await
    }

    /// The current subject is complete.
    async fn land(&mut self) -> Result<(), BackupError> {
        if self.current.as_ref().is_some_and(|current| current.to.is_some()) {
            self.send().await?;
        }
        self.current = None;
        Ok(())
    }

    /// Sends what was read of the current subject on its way.
    async fn send(&mut self) -> Result<(), BackupError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let Some(to) = current.to.clone() else { return Ok(()) };
        let from = Place { row: current.row, record: current.record.as_slice().into() };
        let tokens = std::mem::take(&mut current.tokens);
        let source = Arc::clone(&self.source);
        let root = Arc::clone(&self.root);
        self.depart(Box::pin(put(self.vault, source, root, from, to, tokens))).await
    }

    async fn depart(&mut self, flight: Flight<'v>) -> Result<(), BackupError> {
        self.flights.push(flight);
        if self.flights.len() >= AT_ONCE
            && let Some(landed) = self.flights.next().await
        {
            self.done.count(landed?);
        }
        Ok(())
    }
}

/// Whose record it is: the list of links by age stands at the deployment.
fn subject_of(row: Row, space: Space, key: &[u8]) -> Row {
    let subject = match space {
        Space::Link | Space::Restriction if row == Row::DEPLOYMENT => key.last_chunk().map(Row::from_bytes),
        _ => None,
    };
    subject.unwrap_or(row)
}

/// The link of a line of the list by age, which comes before the links.
fn link_of(row: Row, space: Space, key: &[u8]) -> Option<Row> {
    let rows = key.get(8..).filter(|_| space == Space::Link && row == Row::DEPLOYMENT);
    rows.and_then(<[u8]>::first_chunk).map(Row::from_bytes)
}

impl Restored {
    fn count(&mut self, (added, present, left_out): Landed) {
        self.foreign += left_out;
        for (sum, part) in [(&mut self.added, added), (&mut self.present, present)] {
            sum.subjects += part.subjects;
            sum.tokens += part.tokens;
            sum.records += part.records;
        }
    }
}

/// Adds tokens of a subject. Where the vault has other keys for the subject, or
/// files it elsewhere, the values are sealed anew for these.
async fn put(
    vault: &Shared,
    source: Arc<Root>,
    root: Arc<Root>,
    from: Place,
    mut to: Place,
    read: Vec<(Token, Vec<u8>)>,
) -> Result<Landed, VaultError> {
    let (mut added, mut present) = (Counts::default(), Counts::default());
    let (row, mut is_new) = (to.row, vault.store.subject(to.row).await?.is_none());
    let mut keys = None;
    if row != from.row {
        keys = Some(open_both(&root, &source, &from, &to)?);
    }
    let reseal = |keys: &Option<(SubjectKeys, SubjectKeys)>, read: &[(Token, Vec<u8>)]| {
        let Some((old, new)) = keys else { return Ok(read.to_vec()) };
        let sealed = read.iter().map(|(token, record)| Ok((*token, new.reseal(row, old, from.row, token, record)?)));
        sealed.collect::<Result<Vec<_>, VaultError>>()
    };
    let mut left = read;
    loop {
        let mappings = reseal(&keys, &left)?;
        let count = mappings.len() as u64;
        let batch = Batch {
            row,
            subject: Arc::clone(&to.record),
            first_contact: true,
            mappings,
            found_by: Vec::new(),
            is_told: false,
        };
        let contact = vault.envelope.contact().await;
        if vault.envelope.root().epoch != root.epoch {
            return Err(VaultError::unavailable("its key is being changed; restore once more when that is over"));
        }
        let outcome = vault.store.put(batch).await?;
        drop(contact);
        match outcome {
            Outcome::Stored => {
                vault.see_wrapped(row, &to.record, &root).await?;
                added.tokens += count;
                added.subjects += u64::from(is_new);
                return Ok((added, present, 0));
            }
            Outcome::Taken(taken) => {
                let taken: HashSet<Token> = taken.into_iter().map(|(token, _)| token).collect();
                left.retain(|(token, _)| !taken.contains(token));
                present.tokens += taken.len() as u64;
            }
            Outcome::Superseded(Some(standing)) => {
                is_new = false;
                to.record = standing.into();
                keys = Some(open_both(&root, &source, &from, &to)?);
            }
            Outcome::Superseded(None) => {
                return Err(VaultError::unavailable("its records keep changing"));
            }
        }
        if left.is_empty() && !is_new {
            return Ok((added, present, 0));
        }
    }
}

/// The keys that values of a subject are under in the backup, and those that
/// they are to be under in the vault.
fn open_both(root: &Root, source: &Root, from: &Place, to: &Place) -> Result<(SubjectKeys, SubjectKeys), VaultError> {
    let (old, ..) = SubjectKeys::open_named(source, from.row, from.record.to_vec())?;
    let (new, ..) = SubjectKeys::open_named(root, to.row, to.record.to_vec())?;
    Ok((old, new))
}

fn unread(error: &std::io::Error) -> BackupError {
    BackupError::ErasuresFile(error.kind())
}

/// Reads the whole backup; an error where anything of it is not as it was
/// written.
pub(super) async fn check(path: &Path, keys: &Keyring) -> Result<(Head, Counts), BackupError> {
    let mut file = BufReader::new(File::open(path)?);
    let head = Head::read(&mut file)?;
    let root = open_root(keys, &head).await?;
    let mut reader = Reader::new(file, &head, &root.index)?;
    blocking(move || {
        while reader.next()?.is_some() {}
        Ok((head, reader.counts()))
    })
    .await
}

async fn open_root(keys: &Keyring, head: &Head) -> Result<Root, BackupError> {
    Root::open(keys, &head.meta, &Arc::default()).await.map_err(|error| match error {
        VaultError::WrongKey { vault, given } => BackupError::WrongKey { backup: vault, given },
        VaultError::Corrupt { .. } => BackupError::Damaged { at: 0 },
        error => error.into(),
    })
}

async fn next(reader: &mut Option<Reader<BufReader<File>>>) -> Result<Option<Vec<Entry>>, BackupError> {
    let Some(mut read) = reader.take() else { return Ok(None) };
    let (read, entries) = blocking(move || {
        let entries = read.next();
        Ok((read, entries))
    })
    .await?;
    *reader = Some(read);
    entries
}

fn reader(path: &Path, source: &Root) -> Result<Reader<BufReader<File>>, BackupError> {
    let mut file = BufReader::new(File::open(path)?);
    let head = Head::read(&mut file)?;
    Ok(Reader::new(file, &head, &source.index)?)
}

async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(task).await.map_err(|_| BackupError::File(std::io::ErrorKind::Other))?
}

async fn is_empty(store: &dyn Store) -> Result<bool, VaultError> {
    let snapshot = store.snapshot().await?;
    Ok(snapshot.subjects(None, 1).await?.is_empty() && snapshot.records(None, 1).await?.is_empty())
}
