//! The redb file: opening it, and opening it anew after a failure.

use super::{MAPPINGS, META, RECORDS, SUBJECTS};
use crate::store::StoreError;
use redb::{Builder, Database, ReadableDatabase, StorageBackend, backends::FileBackend};
use std::fs::{self, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{PoisonError, RwLock};

const NAME: &str = "vault.redb";
const UNFINISHED: &str = "vault.redb.new";

type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

/// A database that heals: after an I/O error redb refuses all further work, so
/// the file is closed and opened again before the next use.
pub(super) struct File {
    open: Opener,
    slot: RwLock<Slot>,
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
        let slot = Slot { database: Some(database), generation: 0, closed: false };
        Ok(Self { open, slot: RwLock::new(slot) })
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

    /// Closes the file for good.
    pub(super) fn close(&self) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        slot.closed = true;
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
    Ok(Box::new(move || {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        database(FileBackend::new(file)?, page_cache_bytes)
    }))
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
        let unfinished = folder.join(UNFINISHED);
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        database(FileBackend::new(private::file(&unfinished)?)?, page_cache_bytes)?.close()?;
        fs::rename(&unfinished, path)?;
    }
    // The names in a folder become durable by a sync of the folder.
    turn.sync_all()?;
    Ok(())
}

/// Opens a database and sees that its tables exist.
pub(super) fn database(backend: impl StorageBackend, page_cache_bytes: usize) -> Result<Database, redb::Error> {
    let database = Builder::new().set_cache_size(page_cache_bytes).create_with_backend(backend)?;
    // The table that is made last shows that all are there.
    let made = match database.begin_read()?.open_table(RECORDS) {
        Ok(_) => true,
        Err(redb::TableError::TableDoesNotExist(_)) => false,
        Err(error) => return Err(error.into()),
    };
    if !made {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(META)?;
        transaction.open_table(SUBJECTS)?;
        transaction.open_table(MAPPINGS)?;
        transaction.open_table(RECORDS)?;
        transaction.commit()?;
    }
    Ok(database)
}

/// Files and folders that nobody else may read.
#[cfg(unix)]
mod private {
    use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    pub(super) fn folder(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    }

    pub(super) fn file(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    pub(super) fn restrict(path: &Path) -> io::Result<()> {
        fs::set_permissions(path, Permissions::from_mode(0o600))
    }

    /// Waits until this process alone has the folder, as long as the handle
    /// lives.
    pub(super) fn lock(folder: &Path) -> io::Result<File> {
        let folder = File::open(folder)?;
        folder.lock()?;
        Ok(folder)
    }
}

/// Files and folders with the rights that their place gives them.
#[cfg(not(unix))]
mod private {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn folder(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).create(path)
    }

    pub(super) fn file(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    pub(super) fn restrict(_: &Path) -> io::Result<()> {
        Ok(())
    }

    /// A folder cannot be locked here, so a file in it is.
    pub(super) fn lock(folder: &Path) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join("vault.lock"))?;
        file.lock()?;
        Ok(file)
    }
}

/// Runs a task of redb, which may panic on a file that was changed by others.
fn guarded<T>(task: impl Fn() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(task)).unwrap_or_else(|_| Err(redb::Error::Corrupted(String::new())))
}

fn fault(error: redb::Error) -> StoreError {
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
