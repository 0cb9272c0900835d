//! The file in the vault's folder by which commands find the gateway.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const FILE: &str = "gateway.json";

/// Where the admin listener of a running gateway is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Published {
    /// Its URL, without a slash at its end.
    pub(in crate::cli) admin: String,
    /// SHA-256 of its certificate in hexadecimal, where it speaks TLS: commands
    /// come by address, which no certificate names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) certificate: Option<String>,
}

impl Published {
    /// Writes the file; it is removed when what this gives is dropped.
    pub(in crate::cli) fn write(&self, folder: &Path) -> io::Result<Unpublish> {
        let file = folder.join(FILE);
        let new = folder.join("gateway.json.new");
        // What a process left that could not end in order.
        let _ = fs::remove_file(&new);
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&new)?.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(&new, &file)?;
        Ok(Unpublish(file))
    }

    /// Reads the file.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let file = folder.join(FILE);
        let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        serde_json::from_slice(&text).map_err(|_| format!("{} is damaged", file.display()))
    }
}

/// Removes the file when it is dropped.
#[derive(Debug)]
pub(in crate::cli) struct Unpublish(PathBuf);

impl Drop for Unpublish {
    fn drop(&mut self) {
        // Where it stays, commands say that nobody answers there.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_its_owners_and_goes_with_the_gateway() {
        let folder = tempfile::tempdir().unwrap();
        let published = Published { admin: "http://127.0.0.1:1".into(), certificate: None };
        let kept = published.write(folder.path()).unwrap();
        assert_eq!(Published::read(folder.path()), Ok(published.clone()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(kept);
        assert!(Published::read(folder.path()).is_err());
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(Published::read(folder.path()).unwrap_err().contains("damaged"));
        drop(published.write(folder.path()).unwrap());
    }
}
