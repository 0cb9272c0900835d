//! The files that a scan reads: those named, and all below a named folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One thing to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    /// A file, and whether it was named itself and not as part of a folder.
    File {
        path: PathBuf,
        named: bool,
    },
}

impl Source {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => "stdin".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }

    /// Its size in bytes, where that is known.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File { path, .. } => fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|m| m.len()),
        }
    }
}

/// The sources for some arguments, folders opened: in each the files in the
/// order of their names. Below a folder links are not followed, so that no loop
/// of them can hold a scan, and `.git` is left out. Folders that cannot be read
/// are in the second list.
pub(super) fn sources(arguments: &[PathBuf]) -> (Vec<Source>, Vec<(PathBuf, io::Error)>) {
    let (mut sources, mut unreadable) = (Vec::new(), Vec::new());
    if arguments.is_empty() {
        sources.push(Source::Stdin);
    }
    for argument in arguments {
        if argument == Path::new("-") {
            sources.push(Source::Stdin);
        } else if argument.is_dir() {
            below(argument, &mut sources, &mut unreadable);
        } else {
            sources.push(Source::File { path: argument.clone(), named: true });
        }
    }
    (sources, unreadable)
}

fn below(folder: &Path, sources: &mut Vec<Source>, unreadable: &mut Vec<(PathBuf, io::Error)>) {
    // The last of the list is opened next.
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let is_folder = path == folder || path.symlink_metadata().is_ok_and(|m| m.is_dir());
        if !is_folder {
            sources.push(Source::File { path, named: false });
            continue;
        }
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        match entries {
            Err(error) => unreadable.push((path, error)),
            Ok(mut entries) => {
                entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
                let wanted = |entry: &fs::DirEntry| {
                    let kind = entry.file_type();
                    kind.is_ok_and(|kind| kind.is_file() || (kind.is_dir() && entry.file_name() != ".git"))
                };
                open.extend(entries.iter().filter(|entry| wanted(entry)).map(fs::DirEntry::path));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_order_and_links_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        for name in ["z.txt", "b/c/y.txt", "a.txt", ".git/x"] {
            fs::write(root.join(name), "x").unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
            std::os::unix::fs::symlink(root.join("a.txt"), root.join("link.txt")).unwrap();
        }
        let (found, unreadable) = sources(&[root.to_owned(), PathBuf::from("-"), root.join("z.txt")]);
        let names: Vec<String> = found.iter().map(|s| s.name().replace(&format!("{}/", root.display()), "")).collect();
        assert_eq!(names, ["a.txt", "b/c/y.txt", "z.txt", "stdin", "z.txt"]);
        assert!(unreadable.is_empty());
        assert!(matches!(found.last(), Some(Source::File { named: true, .. })));
    }
}
