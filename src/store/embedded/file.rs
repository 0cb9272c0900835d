//! The redb file: opening it, and opening it anew after a failure.

use super::index::INDEX;
use super::{FORMAT, FORMAT_RECORD, MAPPINGS, META, RECORDS, SUBJECTS};
use crate::store::StoreError;
use redb::{
    Builder, CompactionError, Database, ReadTransaction, ReadableDatabase, StorageBackend, backends::FileBackend,
};
use std::fs::{self, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

pub(super) const NAME: &str = "vault.redb";
const UNFINISHED: &str = "vault.redb.new";

/// Whether there is a file in this folder, be it one that is not finished yet.
pub(super) fn is_in(folder: &Path) -> bool {
    [NAME, UNFINISHED].iter().any(|name| folder.join(name).exists())
}

pub(super) type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

/// A database that heals: after an I/O error redb refuses all further work, so
/// the file is closed and opened again before the next use.
pub(super) struct File {
    open: Opener,
    slot: RwLock<Slot>,
    held: Mutex<Vec<Weak<Held>>>,
}

/// A reading transaction that is held for longer than one task. It is taken
/// away where the file has to be opened again, as it would stand in the way.
pub(super) struct Held(Mutex<Option<ReadTransaction>>);

impl Held {
    /// Runs a reading task on what stood in the file when this was made.
    pub(super) fn read<T>(&self, task: impl Fn(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(transaction) => guarded(|| task(transaction)).map_err(fault),
            None => Err(StoreError::unavailable("its file was opened again after an error")),
        }
    }
}

struct Slot {
    database: Option<Database>,
    /// Grows with every opening, so that of those who saw one failure only the
    /// first opens the file again.
    generation: u64,
    closed: bool,
}

impl File {
    pub(super) fn open(open: Opener) -> Result<Self, StoreError> {
        let database = guarded(&open).map_err(fault)?;
        match guarded(|| format(&database)).map_err(fault)? {
            Some(FORMAT) => {}
            Some(found) if found < FORMAT => return Err(StoreError::OlderFormat { found }),
            found => return Err(StoreError::NewerFormat { found: found.unwrap_or_default(), known: FORMAT }),
        }
        let slot = Slot { database: Some(database), generation: 0, closed: false };
        Ok(Self { open, slot: RwLock::new(slot), held: Mutex::default() })
    }

    /// Begins to read for longer than one task.
    pub(super) fn hold(&self) -> Result<Arc<Held>, StoreError> {
        self.read(|database| {
            let held = Arc::new(Held(Mutex::new(Some(database.begin_read()?))));
            let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|held| held.strong_count() > 0);
            all.push(Arc::downgrade(&held));
            Ok(held)
        })
    }

    /// Ends all that is held.
    fn let_go(&self) {
        let all = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        for held in all.iter().filter_map(Weak::upgrade) {
            *held.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Runs a short reading task; once more with the file opened again where
    /// an I/O error (perhaps somebody else's, some time ago) stands in the way.
    pub(super) fn read<T>(&self, task: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        self.run(&task).or_else(|(error, generation)| match error {
            StoreError::Unavailable { .. } => {
                self.reopen(generation)?;
                self.run(&task).map_err(|(error, _)| error)
            }
            error => Err(error),
        })
    }

    /// Runs a writing task. On failure the file is opened again for the next.
    pub(super) fn write<T>(&self, task: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        // An earlier opening may have failed: then try it now.
        let vacant = {
            let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
            slot.database.is_none().then_some(slot.generation)
        };
        if let Some(generation) = vacant {
            self.reopen(generation)?;
        }
        self.run(&task).map_err(|(error, generation)| {
            // The failure itself is reported; that of opening shows next time.
            let _ = self.reopen(generation);
            error
        })
    }

    /// Gives pages that are free back to the file system, unless somebody reads
    /// for longer. Meanwhile nobody else reads or writes.
    pub(super) fn compact(&self) -> Result<(), StoreError> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        let generation = slot.generation;
        let Some(database) = &mut slot.database else { return Err(StoreError::unavailable("its file is closed")) };
        let compacted = guarded(|| match database.compact() {
            Ok(_) | Err(CompactionError::TransactionInProgress) => Ok(()),
            Err(error) => Err(error.into()),
        });
        drop(slot);
        compacted.map_err(|error| {
            // The failure itself is reported; that of opening shows next time.
            let _ = self.reopen(generation);
            fault(error)
        })
    }

    /// Closes the file for good.
    pub(super) fn close(&self) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        slot.closed = true;
        self.let_go();
        slot.database = None;
    }

    fn run<T>(&self, task: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, (StoreError, u64)> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        match &slot.database {
            Some(database) => guarded(|| task(database)).map_err(|e| (fault(e), slot.generation)),
            None => Err((StoreError::unavailable("its file is closed"), slot.generation)),
        }
    }

    fn reopen(&self, seen: u64) -> Result<(), StoreError> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        if slot.closed {
            return Err(StoreError::unavailable("it is closed"));
        }
        if slot.generation != seen && slot.database.is_some() {
            return Ok(());
        }
        // The old handle holds the file's lock, so it goes first.
        self.let_go();
        slot.database = None;
        slot.generation += 1;
        slot.database = Some(guarded(&self.open).map_err(fault)?);
        Ok(())
    }
}

/// Opens the file of a vault's folder, and makes what is missing: folders with
/// mode 0700, the file with mode 0600.
pub(super) fn on_disk(folder: &Path, page_cache_bytes: usize) -> Result<Opener, StoreError> {
    let path = folder.join(NAME);
    create(folder, &path, page_cache_bytes).map_err(fault)?;
    Ok(Box::new(move || on_path(&path, page_cache_bytes)))
}

/// Opens a file that is there. Each was made with its tables, so one without
/// them is damaged, and is not begun anew.
pub(super) fn on_path(path: &Path, page_cache_bytes: usize) -> Result<Database, redb::Error> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let database = opened(FileBackend::new(file)?, page_cache_bytes)?;
    if format(&database)?.is_none() {
        return Err(redb::Error::Corrupted(String::new()));
    }
    Ok(database)
}

/// Removes what the making of a file left behind that was cut short. Gives the
/// path to make it at.
pub(super) fn remove_unfinished(folder: &Path) -> io::Result<PathBuf> {
    let unfinished = folder.join(UNFINISHED);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(unfinished),
    }
}

/// Makes the file where there is none. It is made under another name first:
/// redb cannot open a file whose making was cut short.
fn create(folder: &Path, path: &Path, page_cache_bytes: usize) -> Result<(), redb::Error> {
    if !folder.is_dir() {
        private::folder(folder)?;
    }
    // One process at a time, or one would rename its file over another's.
    let turn = private::lock(folder)?;
    if path.try_exists()? {
        private::restrict(path)?;
    } else {
        let unfinished = remove_unfinished(folder)?;
        database(FileBackend::new(private::file(&unfinished)?)?, page_cache_bytes)?.close()?;
        fs::rename(&unfinished, path)?;
    }
    // The names in a folder become durable by a sync of the folder.
    turn.sync_all()?;
    Ok(())
}

/// Opens a database and sees that its tables exist.
pub(super) fn database(backend: impl StorageBackend, page_cache_bytes: usize) -> Result<Database, redb::Error> {
    let database = opened(backend, page_cache_bytes)?;
    if format(&database)?.is_none() {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(META)?.insert(FORMAT_RECORD, FORMAT.to_be_bytes().as_slice())?;
        transaction.open_table(SUBJECTS)?;
        transaction.open_table(MAPPINGS)?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(INDEX)?;
        transaction.commit()?;
    }
    Ok(database)
}

fn opened(backend: impl StorageBackend, page_cache_bytes: usize) -> Result<Database, redb::Error> {
    Ok(Builder::new().set_cache_size(page_cache_bytes).create_with_backend(backend)?)
}

/// The format of a file; none where nothing was written to it yet.
pub(super) fn format(database: &Database) -> Result<Option<u32>, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // The first format said nothing of itself.
    let Some(record) = meta.get(FORMAT_RECORD)? else { return Ok(Some(1)) };
    Ok(Some(record.value().try_into().map_or(u32::MAX, u32::from_be_bytes)))
}

/// Files and folders that nobody else may read.
#[cfg(unix)]
pub(super) mod private {
    use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    pub(in crate::store::embedded) fn folder(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    }

    pub(in crate::store::embedded) fn file(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    pub(in crate::store::embedded) fn restrict(path: &Path) -> io::Result<()> {
        fs::set_permissions(path, Permissions::from_mode(0o600))
    }

    /// Waits until this process alone has the folder, as long as the handle
    /// lives.
    pub(in crate::store::embedded) fn lock(folder: &Path) -> io::Result<File> {
        let folder = File::open(folder)?;
        folder.lock()?;
        Ok(folder)
    }
}

/// Files and folders with the rights that their place gives them.
#[cfg(not(unix))]
pub(super) mod private {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(in crate::store::embedded) fn folder(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).create(path)
    }

    pub(in crate::store::embedded) fn file(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    pub(in crate::store::embedded) fn restrict(_: &Path) -> io::Result<()> {
        Ok(())
    }

    /// A folder cannot be locked here, so a file in it is.
    pub(in crate::store::embedded) fn lock(folder: &Path) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join("vault.lock"))?;
        file.lock()?;
        Ok(file)
    }
}

/// Runs a task of redb, which may panic on a file that was changed by others.
pub(super) fn guarded<T>(task: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(task)).unwrap_or_else(|_| Err(redb::Error::Corrupted(String::new())))
}

pub(super) fn fault(error: redb::Error) -> StoreError {
    use redb::Error as E;
    match error {
        E::DatabaseAlreadyOpen | E::LockProtocolMismatch => StoreError::InUse,
        E::Corrupted(_)
        | E::RepairAborted
        | E::TableDoesNotExist(_)
        | E::TableIsMultimap(_)
        | E::TableTypeMismatch { .. }
        | E::TypeDefinitionChanged { .. } => StoreError::Corrupt { what: "file" },
        // redb's way to say that the file does not begin as its files do.
        E::Io(error) if error.kind() == io::ErrorKind::InvalidData => StoreError::Corrupt { what: "file" },
        // The kind alone: an error's own text might hold anything.
        E::Io(error) => StoreError::unavailable(error.kind().to_string()),
        _ => StoreError::unavailable("its file is being opened again after an error"),
    }
}
