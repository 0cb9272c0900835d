//! The redb file: opening it, and opening it anew after a failure.

use super::{MAPPINGS, META, SUBJECTS};
use crate::vault::error::VaultError;
use redb::{Builder, Database, ReadableDatabase, StorageBackend, backends::FileBackend};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

const NAME: &str = "vault.redb";

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
    pub(super) fn open(open: Opener) -> Result<Self, VaultError> {
        let database = guarded(&open).map_err(fault)?;
        let slot = Slot { database: Some(database), generation: 0, closed: false };
        Ok(Self { open, slot: RwLock::new(slot) })
    }

    /// Runs a short reading task; once more with the file opened again where
    /// an I/O error (perhaps somebody else's, some time ago) stands in the way.
    pub(super) fn read<T>(&self, task: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, VaultError> {
        self.run(&task).or_else(|(error, generation)| match error {
            VaultError::Unavailable { .. } => {
                self.reopen(generation)?;
                self.run(&task).map_err(|(error, _)| error)
            }
            error => Err(error),
        })
    }

    /// Runs a writing task. On failure the file is opened again for the next.
    pub(super) fn write<T>(&self, task: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, VaultError> {
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

    fn run<T>(&self, task: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, (VaultError, u64)> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        match &slot.database {
            Some(database) => guarded(|| task(database)).map_err(|e| (fault(e), slot.generation)),
            None => Err((VaultError::unavailable("its file is closed"), slot.generation)),
        }
    }

    fn reopen(&self, seen: u64) -> Result<(), VaultError> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        if slot.closed {
            return Err(VaultError::unavailable("it is closed"));
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
pub(super) fn on_disk(folder: &Path, page_cache_bytes: usize) -> Result<Opener, VaultError> {
    let path = folder.join(NAME);
    make_private(folder, &path).map_err(|e| VaultError::unavailable(format!("its folder: {}", e.kind())))?;
    Ok(Box::new(move || {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        database(FileBackend::new(file)?, page_cache_bytes)
    }))
}

/// Opens a database and sees that its tables exist.
pub(super) fn database(backend: impl StorageBackend, page_cache_bytes: usize) -> Result<Database, redb::Error> {
    let database = Builder::new().set_cache_size(page_cache_bytes).create_with_backend(backend)?;
    // The table that is made last shows that all are there.
    let made = match database.begin_read()?.open_table(MAPPINGS) {
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
        transaction.commit()?;
    }
    Ok(database)
}

#[cfg(unix)]
fn make_private(folder: &Path, path: &PathBuf) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

    if !folder.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        sync_folder(folder.parent().unwrap_or(folder))?;
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    sync_folder(folder)
}

/// Makes the names in a folder durable, as a file's own sync does not.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn make_private(folder: &Path, path: &PathBuf) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(folder)?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map(drop)
}

/// Runs a task of redb, which may panic on a file that was changed by others.
fn guarded<T>(task: impl Fn() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(task)).unwrap_or_else(|_| Err(redb::Error::Corrupted(String::new())))
}

fn fault(error: redb::Error) -> VaultError {
    use redb::Error as E;
    match error {
        E::DatabaseAlreadyOpen | E::LockProtocolMismatch => VaultError::InUse,
        E::Corrupted(_)
        | E::RepairAborted
        | E::TableDoesNotExist(_)
        | E::TableIsMultimap(_)
        | E::TableTypeMismatch { .. }
        | E::TypeDefinitionChanged { .. } => VaultError::Corrupt { what: "file" },
        // redb's way to say that the file does not begin as its files do.
        E::Io(error) if error.kind() == io::ErrorKind::InvalidData => VaultError::Corrupt { what: "file" },
        // The kind alone: an error's own text might hold anything.
        E::Io(error) => VaultError::unavailable(error.kind().to_string()),
        _ => VaultError::unavailable("its file is being opened again after an error"),
    }
}
