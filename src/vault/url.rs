//! Where a vault is kept: the `--vault` setting.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The place of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultUrl {
    /// `embedded:PATH`, a folder of this machine that one process holds.
    Embedded(PathBuf),
    /// `memory:`, which forgets with the process.
    Memory,
}

/// The text names no vault that this build can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultUrlError {
    /// `embedded:` without a path.
    #[error("embedded: needs the path of a folder, as in embedded:./privet-data")]
    NoPath,
    /// `postgres://…` or `postgresql://…`.
    #[error("a PostgreSQL vault is not in this build; use embedded:PATH or memory:")]
    NoPostgres,
    /// Anything else.
    #[error("a vault is embedded:PATH or memory:")]
    Unknown,
}

impl Default for VaultUrl {
    /// `embedded:./privet-data`
    fn default() -> Self {
        Self::Embedded(PathBuf::from("./privet-data"))
    }
}

impl FromStr for VaultUrl {
    type Err = VaultUrlError;

    fn from_str(text: &str) -> Result<Self, VaultUrlError> {
        match text.split_once(':') {
            Some(("embedded", "")) => Err(VaultUrlError::NoPath),
            Some(("embedded", path)) => Ok(Self::Embedded(PathBuf::from(path))),
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("postgres" | "postgresql", _)) => Err(VaultUrlError::NoPostgres),
            _ => Err(VaultUrlError::Unknown),
        }
    }
}

impl fmt::Display for VaultUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(path) => write!(f, "embedded:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_parse_and_print() {
        for text in ["embedded:./privet-data", "embedded:/var/lib/privet", "embedded:C:\\privet", "memory:"] {
            assert_eq!(text.parse::<VaultUrl>().unwrap().to_string(), text);
        }
        assert_eq!("embedded:".parse::<VaultUrl>(), Err(VaultUrlError::NoPath));
        assert_eq!("postgres://u:p@h/db".parse::<VaultUrl>(), Err(VaultUrlError::NoPostgres));
        for text in ["", "memory", "memory:x", "./privet-data", "redis://h"] {
            assert_eq!(text.parse::<VaultUrl>(), Err(VaultUrlError::Unknown), "{text:?}");
        }
    }
}
