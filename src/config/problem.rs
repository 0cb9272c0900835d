//! What is wrong with a configuration, where, and what to write instead.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A place in a file; line and column count from 1, columns in characters.
    File {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A file as a whole.
    Whole(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A command line flag.
    Flag(&'static str),
    /// Nowhere: it is missing, or it is the default.
    Nowhere,
}

impl Origin {
    /// Which of two layers outweighs the other.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Self::Nowhere => 0,
            Self::File { .. } | Self::Whole(_) => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Whole(file) => write!(f, "{}", file.display()),
            Self::Environment(name) => write!(f, "{name} (environment)"),
            Self::Flag(flag) => f.write_str(flag),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// One thing that is wrong. Its text names keys and known words, never the
/// values of settings that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.origin, self.message, self.mend)
    }
}

/// All that is wrong, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// What must be mended. Never empty.
    pub errors: Vec<Problem>,
    /// What should be mended but does no harm by itself.
    pub warnings: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What is wrong with one value, before its place is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) mend: String,
}

/// Collects problems while the configuration is read.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Found {
    pub(super) fn error(&mut self, origin: &Origin, message: impl Into<String>, mend: impl Into<String>) {
        self.errors.push(Problem { origin: origin.clone(), message: message.into(), mend: mend.into() });
    }

    pub(super) fn warning(&mut self, origin: &Origin, message: impl Into<String>, mend: impl Into<String>) {
        self.warnings.push(Problem { origin: origin.clone(), message: message.into(), mend: mend.into() });
    }

    /// Ends the reading: the warnings, or all problems where there are errors.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, Problems> {
        self.errors.sort();
        self.errors.dedup();
        self.warnings.sort();
        if self.errors.is_empty() {
            Ok(self.warnings)
        } else {
            Err(Problems { errors: self.errors, warnings: self.warnings })
        }
    }
}
