//! Where a vault is kept: the `--vault` setting.

#[cfg(feature = "postgres")]
use crate::store::postgres::{PostgresUrl, PostgresUrlError};
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
    /// `postgres://…`, a database that many processes share.
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresUrl>),
}

/// The text names no vault that this build can open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultUrlError {
    /// `embedded:` without a path.
    #[error("embedded: needs the path of a folder, as in embedded:./privet-data")]
    NoPath,
    /// `postgres://…` that cannot be read.
    #[cfg(feature = "postgres")]
    #[error("postgres: {0}")]
    Postgres(#[from] PostgresUrlError),
    /// `postgres://…` or `postgresql://…`, in a build without the feature `postgres`.
    #[cfg(not(feature = "postgres"))]
    #[error("a PostgreSQL vault is not in this build; use embedded:PATH or memory:")]
    NoPostgres,
    /// Anything else.
    #[error("a vault is embedded:PATH, postgres://USER@HOST/DATABASE or memory:")]
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
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", rest)) => Ok(Self::Postgres(Box::new(PostgresUrl::parse(rest)?))),
            #[cfg(not(feature = "postgres"))]
            Some(("postgres" | "postgresql", _)) => Err(VaultUrlError::NoPostgres),
            _ => Err(VaultUrlError::Unknown),
        }
    }
}

impl fmt::Display for VaultUrl {
    /// Without the password, where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(path) => write!(f, "embedded:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => url.fmt(f),
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
        #[cfg(feature = "postgres")]
        assert_eq!("postgres://u:p@h/db".parse::<VaultUrl>().unwrap().to_string(), "postgres://u@h:5432/db");
        #[cfg(not(feature = "postgres"))]
        assert_eq!("postgres://u:p@h/db".parse::<VaultUrl>(), Err(VaultUrlError::NoPostgres));
        for text in ["", "memory", "memory:x", "./privet-data", "redis://h"] {
            assert_eq!(text.parse::<VaultUrl>(), Err(VaultUrlError::Unknown), "{text:?}");
        }
    }
}
