//! Backups that are made by themselves: each is tested, and the oldest go.

use super::trial::{self, SCRATCH};
use super::{BackupError, Counts};
use crate::clock;
use crate::vault::Vault;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PREFIX: &str = "privet-";
const SUFFIX: &str = ".backup";
/// A backup that has not passed its test has this behind its name.
const UNTESTED: &str = ".untested";

/// After a failure it is tried again no later than this.
const PATIENCE: Duration = Duration::from_mins(10);

/// Where backups go, how often one is made, and how many stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The folder; it is made where there is none, for its owner alone.
    pub dir: PathBuf,
    /// How often.
    pub every: Duration,
    /// How many stay.
    pub keep: usize,
}

/// A backup that passed its test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// When, in Unix seconds.
    pub at: u64,
    /// Whether it was made just now; else it was there at the start.
    pub now: bool,
}

/// Makes backups for as long as it runs.
pub struct Backups {
    vault: Vault,
    rotation: Rotation,
}

impl Backups {
    /// Backups of a vault.
    pub fn new(vault: Vault, rotation: Rotation) -> Self {
        Self { vault, rotation }
    }

    /// Makes one whenever the last good one is old enough. `watch` is told of
    /// each, and first of the good one that is there already: when it was made
    /// (Unix seconds), or why there is none.
    pub async fn run(self, watch: impl Fn(Result<Made, BackupError>) + Send) {
        if let Ok(Some(last)) = self.newest() {
            watch(Ok(Made { at: last, now: false }));
        }
        loop {
            tokio::time::sleep(self.wait()).await;
            let made = self.make().await;
            let failed = made.is_err();
            watch(made.map(|_| Made { at: clock::unix_seconds(), now: true }));
            if failed {
                tokio::time::sleep(self.rotation.every.min(PATIENCE)).await;
            }
        }
    }

    /// Makes one now, tests it, and lets the oldest go.
    pub async fn make(&self) -> Result<Counts, BackupError> {
        let dir = &self.rotation.dir;
        private_folder(dir)?;
        self.tidy(false)?;
        let made = clock::unix_seconds();
        let path = dir.join(format!("{PREFIX}{made}{SUFFIX}"));
        let untested = dir.join(format!("{PREFIX}{made}{SUFFIX}{UNTESTED}"));
        self.vault.back_up(&untested).await?;
        let tested = trial::test(&untested, &self.vault, dir).await;
        if tested.is_err() {
            let _ = fs::remove_file(&untested);
        }
        let held = tested?;
        fs::rename(&untested, &path)?;
        self.tidy(true)?;
        Ok(held)
    }

    /// How long until the next one is due.
    fn wait(&self) -> Duration {
        let last = self.newest().ok().flatten().unwrap_or_default();
        // A backup from the future says nothing of how old it is.
        let age = clock::unix_seconds().checked_sub(last).map_or(self.rotation.every, Duration::from_secs);
        self.rotation.every.saturating_sub(age)
    }

    fn newest(&self) -> io::Result<Option<u64>> {
        Ok(self.all()?.last().map(|(at, _)| *at))
    }

    /// All that passed their test, the oldest first.
    fn all(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.rotation.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let at = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
            all.extend(at.map(|at| (at, entry.path())));
        }
        all.sort();
        Ok(all)
    }

    /// Removes what a crash left behind, and what there is too much of.
    #[expect(clippy::case_sensitive_file_extension_comparisons, reason = "names of other forms are not ours")]
    fn tidy(&self, rotate: bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.rotation.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            // Names of other forms are no names of ours.
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(SCRATCH) {
                fs::remove_dir_all(entry.path())?;
            } else if name.starts_with(PREFIX) && name.ends_with(UNTESTED)
                || name.starts_with(".privet-") && name.ends_with(".part")
            {
                fs::remove_file(entry.path())?;
            }
        }
        let all = if rotate { self.all()? } else { Vec::new() };
        let surplus = all.len().saturating_sub(self.rotation.keep);
        all.into_iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

#[cfg(unix)]
fn private_folder(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn private_folder(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}
