//! Transcripts in files of JSON lines: one file a day, and another one where it
//! has grown long. Nobody but the gateway's own user may read them.

use super::Transcript;
use crate::clock::Time;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

const PREFIX: &str = "transcripts-";
const ENDING: &str = ".jsonl";
/// How many files one day may have.
const MAX_FILES: u32 = 100_000;

/// The files in a folder.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
    file_bytes: u64,
}

impl Files {
    pub(super) fn open(folder: &Path, file_bytes: u64) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        Ok(Self { folder: folder.to_owned(), file_bytes })
    }

    /// Writes them, and sees to it that they are on the disk.
    pub(super) fn write(&self, batch: &[Transcript]) -> io::Result<()> {
        let day = Time::now().day();
        let mut file = self.file(&day)?;
        let mut size = file.metadata()?.len();
        for transcript in batch {
            let mut line = serde_json::to_vec(transcript)?;
            line.push(b'\n');
            if size > 0 && size + line.len() as u64 > self.file_bytes {
                file.sync_data()?;
                file = self.file(&day)?;
                size = file.metadata()?.len();
            }
            file.write_all(&line)?;
            size += line.len() as u64;
        }
        file.sync_data()
    }

    /// The first file of a day that is not full.
    fn file(&self, day: &str) -> io::Result<File> {
        for number in 0..MAX_FILES {
            let path = self.folder.join(format!("{PREFIX}{day}-{number:04}{ENDING}"));
            if fs::metadata(&path).is_ok_and(|file| file.len() >= self.file_bytes.saturating_sub(self.file_bytes / 16))
            {
                continue;
            }
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            return options.open(path);
        }
        Err(io::Error::other("there are too many files of one day"))
    }

    /// Removes the files of the days before this one.
    pub(super) fn remove_before(&self, day: &str) -> io::Result<()> {
        for (path, of) in list(&self.folder)? {
            if of.as_str() < day {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Reads every line of every file, the older first. A line that was cut by a
/// crash is passed over.
pub(super) fn read(folder: &Path, mut each: impl FnMut(Transcript)) -> io::Result<()> {
    for (path, _) in list(folder)? {
        for line in BufReader::new(File::open(path)?).lines() {
            if let Ok(transcript) = serde_json::from_str(&line?) {
                each(transcript);
            }
        }
    }
    Ok(())
}

/// The files with their days, in order.
fn list(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let day = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(ENDING)).and_then(|rest| rest.get(..10));
        if let Some(day) = day.map(str::to_owned) {
            files.push((path, day));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(n: usize) -> Transcript {
        Transcript {
            day: "2026-01-01".into(),
            purpose: "p".into(),
            route: "/".into(),
            person: n.to_string(),
            entities: [].into(),
            request: "x".repeat(1_000),
            reply: String::new(),
        }
    }

    #[test]
    fn files_are_bounded_private_and_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(&folder.path().join("t"), 4_096).unwrap();
        for n in 0..20 {
            files.write(&[long(2 * n), long(2 * n + 1)]).unwrap();
        }
        let all = list(&files.folder).unwrap();
        assert!(all.len() > 5);
        for (path, _) in &all {
            let file = fs::metadata(path).unwrap();
            assert!(file.len() <= 4_096, "{}", file.len());
            #[cfg(unix)]
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600);
        }
        let mut read = Vec::new();
        super::read(&files.folder, |one| read.push(one.person.parse::<usize>().unwrap())).unwrap();
        read.sort_unstable();
        assert_eq!(read, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn old_days_go() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path(), 4_096).unwrap();
        for name in ["transcripts-2026-01-01-0000.jsonl", "transcripts-2026-01-02-0000.jsonl", "other.jsonl"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        files.remove_before("2026-01-02").unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["other.jsonl", "transcripts-2026-01-02-0000.jsonl"]);
    }
}
