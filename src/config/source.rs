//! Where settings come from: a TOML file, `PRIVET_…` variables, command line
//! flags. Each is read against the table of keys into [`Settings`].

mod convert;
mod document;
mod environment;

use std::ffi::OsString;
use std::path::PathBuf;

#[cfg(test)]
pub(super) use environment::name as variable_name;

use super::keys::{self, Key};
use super::problem::{Found, Origin, Problem, Problems};
use super::settings::{Settings, Value};

/// What a configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// TOML text that stands in for the file's.
    pub text: Option<String>,
    /// Environment variables, all of them: settings are those whose names
    /// begin with `PRIVET_`, the others may be named by `env:NAME`.
    pub environment: Vec<(String, OsString)>,
    /// Settings from the command line.
    pub flags: Vec<Flag>,
}

/// A setting from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag, such as `--listen`.
    pub flag: &'static str,
    /// The path of its setting, such as `listen`.
    pub key: &'static str,
    /// What was given.
    pub value: String,
}

impl Sources {
    /// The variables of this process.
    pub fn process_environment() -> Vec<(String, OsString)> {
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
    }

    /// The value of a variable. An empty one counts as not set, and so does
    /// one that is not UTF-8.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let (_, value) = self.environment.iter().find(|(n, _)| n == name)?;
        value.to_str().filter(|value| !value.is_empty())
    }

    /// The whole file, for problems that have no place of their own.
    pub(super) fn whole(&self) -> Origin {
        self.file.clone().map_or(Origin::Nowhere, Origin::Whole)
    }

    /// Reads all layers. Where the file is no TOML nothing else is judged:
    /// what follows from a broken line would only hide it.
    pub(super) fn collect(&self) -> Result<(Settings, Found), Problems> {
        let mut settings = Settings::default();
        let mut found = Found::default();
        if let Some((file, text)) = self.read()? {
            document::read(&text, &file, &mut settings, &mut found)?;
        }
        environment::read(&self.environment, &mut settings, &mut found);
        for Flag { flag, key, value } in &self.flags {
            let origin = Origin::Flag(flag);
            match keys::find(key).map(|key| convert::text(key, value, &origin)) {
                Some(Ok(value)) => settings.insert((*key).to_owned(), value, origin),
                Some(Err(wrong)) => found.error(&origin, wrong.message, wrong.mend),
                None => {}
            }
        }
        Ok((settings, found))
    }

    fn read(&self) -> Result<Option<(PathBuf, String)>, Problems> {
        let file = self.file.clone();
        if let Some(text) = &self.text {
            return Ok(Some((file.unwrap_or_else(|| PathBuf::from("configuration")), text.clone())));
        }
        let Some(file) = file else { return Ok(None) };
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some((file, text))),
            Err(error) => Err(Problems {
                errors: vec![Problem {
                    origin: Origin::Whole(file),
                    message: format!("the file cannot be read: {error}"),
                    mend: "name a TOML file that this user may read".to_owned(),
                }],
                warnings: Vec::new(),
            }),
        }
    }
}

/// The default of a key.
pub(super) fn default_value(key: &'static Key) -> Option<Value> {
    document::fragment(key, key.default?, &Origin::Nowhere).ok()
}

/// The name most like a mistyped one, if any is like it.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let likeness = |other: &str| strsim::normalized_damerau_levenshtein(&name, &other.to_lowercase());
    names
        .map(|other| (likeness(other), other))
        .filter(|(like, _)| *like > 0.55)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}
