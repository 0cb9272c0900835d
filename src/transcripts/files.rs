//! Transcripts in files of JSON lines: one file a day, and another one where it
//! has grown long. Nobody but the gateway's own user may read them.

use super::Transcript;
use super::counts::{Counts, Day};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

const PREFIX: &str = "transcripts-";
const ENDING: &str = ".jsonl";

/// The files in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    folder: PathBuf,
    file_bytes: u64,
}

impl Files {
    pub(super) fn new(folder: &Path, file_bytes: u64) -> Self {
        Self { folder: folder.to_owned(), file_bytes }
    }

    pub(super) fn make_folder(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder)
    }

    /// Writes transcripts of one day, and sees to it that they are on the disk.
    pub(super) fn write(&self, batch: &[Transcript]) -> io::Result<()> {
        let Some(Transcript { day, .. }) = batch.first() else { return Ok(()) };
        let (mut file, mut size) = self.open_last(day)?;
        for transcript in batch {
            let mut line = serde_json::to_vec(transcript)?;
            line.push(b'\n');
            if size > 0 && size + line.len() as u64 > self.file_bytes {
                file.sync_data()?;
                file = self.create(day, self.next(day)?)?;
                size = 0;
            }
            file.write_all(&line)?;
            size += line.len() as u64;
        }
        file.sync_data()
    }

    /// The last file of a day, and its size.
    fn open_last(&self, day: &str) -> io::Result<(File, u64)> {
        let file = self.create(day, self.next(day)?.saturating_sub(1))?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// How many files a day has: the number of the next one.
    fn next(&self, day: &str) -> io::Result<usize> {
        Ok(list(&self.folder)?.iter().filter(|(_, of)| of == day).count())
    }

    /// The file of this number, counted from 0, which is made where it is not there.
    fn create(&self, day: &str, number: usize) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.folder.join(format!("{PREFIX}{day}-{number:06}{ENDING}")))
    }

    /// Counts the persons in all of them.
    pub(super) fn count(&self) -> io::Result<Counts> {
        let mut day = Day::default();
        read(&self.folder, |one| day.add(one))?;
        Ok(day.counts())
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
        for line in BufReader::new(File::open(path)?).split(b'\n') {
            if let Ok(transcript) = serde_json::from_slice(&line?) {
                each(transcript);
            }
        }
    }
    Ok(())
}

/// The files with their days, in order.
fn list(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    let entries = match fs::read_dir(folder) {
        // Nothing was kept yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        entries => entries?,
    };
    for entry in entries {
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
            tenant: "t".into(),
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
        let files = Files::new(&folder.path().join("t"), 4_096);
        files.make_folder().unwrap();
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
        let files = Files::new(folder.path(), 4_096);
        for name in ["transcripts-2026-01-01-0000.jsonl", "transcripts-2026-01-02-0000.jsonl", "other.jsonl"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        files.remove_before("2026-01-02").unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["other.jsonl", "transcripts-2026-01-02-0000.jsonl"]);
    }
}
