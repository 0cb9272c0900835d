//! Reads the rules that a command works with: the built-in ones, those of a
//! folder, and the packs that are switched on.

use crate::config::Config;
use crate::detect::{Engine, Level, PackSwitch, RuleError, RuleErrors, RuleSet, UnknownPack};
use clap::Args;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Which rules a command uses.
#[derive(Args, Clone, Debug, Default)]
pub struct RuleFiles {
    /// Folder of rule files to add to the built-in rules; the same id replaces
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// Packs to switch on or, with - in front, off: NAME, all, domain:NAME,
    /// region:XX, language:xx; several with commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true)]
    pub packs: Vec<PackSwitch>,
    /// How sure findings must be: strict (finds more), balanced or lenient
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub level: Option<Level>,
}

/// The rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleFilesError {
    /// They are wrong.
    #[error(transparent)]
    Rules(#[from] RuleErrors),
    /// `--packs` names what they do not have.
    #[error("--packs: {0}")]
    Packs(#[from] UnknownPack),
}

impl RuleFiles {
    /// The rules, not yet compiled.
    pub fn set(&self) -> Result<RuleSet, RuleFilesError> {
        let mut set = load(self.rules.as_deref())?;
        set.select(&self.packs)?;
        Ok(set)
    }

    /// The rules, compiled.
    pub fn engine(&self) -> Result<Engine, RuleFilesError> {
        Ok(Engine::compile(&self.set()?)?.at_level(self.level.unwrap_or_default()))
    }
}

fn level(name: &str) -> Result<Level, String> {
    Level::parse(name).ok_or_else(|| format!("write one of {}", Level::NAMES.join(", ")))
}

/// The rules of a configuration, compiled; the errors have their places.
pub(crate) fn engine_of(config: &Config) -> Result<Engine, Vec<String>> {
    let said = |RuleErrors(all): RuleErrors| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut set = load(config.rules.as_deref()).map_err(said)?;
    for (switch, origin) in &config.detection.packs {
        set.select(std::slice::from_ref(switch)).map_err(|unknown| vec![format!("{origin}: {unknown}")])?;
    }
    config.routes.iter().for_each(|route| set.expect(&route.detection.wishes()));
    Engine::compile(&set).map_err(said)
}

/// The built-in rules and those of `dir`.
pub(crate) fn load(dir: Option<&Path>) -> Result<RuleSet, RuleErrors> {
    let mut set = RuleSet::builtin()?;
    if let Some(dir) = dir {
        add_folder(&mut set, dir)?;
    }
    Ok(set)
}

/// Adds all `*.toml` files of a folder, in the order of their names, and its
/// model of names, a `*.bin` file, or names the mistakes of all.
fn add_folder(set: &mut RuleSet, dir: &Path) -> Result<(), RuleErrors> {
    let fail =
        |path: &Path, problem: String| RuleError { file: path.display().to_string(), line: 0, column: 0, problem };
    let unreadable = |path: &Path, error: &io::Error| fail(path, format!("cannot be read: {error}"));
    let (mut paths, mut models) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir).map_err(|e| unreadable(dir, &e))? {
        let path = entry.map_err(|e| unreadable(dir, &e))?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            paths.push(path);
        } else if path.extension().is_some_and(|e| e == "bin") {
            models.push(path);
        }
    }
    models.sort();
    if let [_, second, ..] = models.as_slice() {
        return Err(fail(second, "a folder has one model of names, *.bin; remove the others".to_owned()).into());
    }
    for path in &models {
        let bytes = fs::read(path).map_err(|e| unreadable(path, &e))?;
        set.set_model(&path.display().to_string(), bytes);
    }
    if paths.is_empty() && models.is_empty() {
        return Err(fail(dir, "no *.toml file here; name a folder that holds rule files".to_owned()).into());
    }
    paths.sort();
    let mut errors = Vec::new();
    for path in paths {
        match fs::read_to_string(&path) {
            Err(error) => errors.push(unreadable(&path, &error)),
            Ok(text) => errors.extend(set.add(&path.display().to_string(), &text).err().into_iter().flat_map(|e| e.0)),
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    // The files without a mistake in their form may have others.
    errors.extend(Engine::compile(set).err().into_iter().flat_map(|e| e.0));
    Err(RuleErrors(errors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_of_all_files_are_named_at_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.toml"), "[[rule]]\nid = 1\n").unwrap();
        fs::write(dir.path().join("b.toml"), "[[rule\n").unwrap();
        let errors = load(Some(dir.path())).unwrap_err().to_string();
        assert!(errors.contains("a.toml:2:6: ") && errors.contains("b.toml:1:"), "{errors}");
    }

    #[test]
    fn a_folder_that_there_is_not_has_no_line() {
        let errors = load(Some(Path::new("/none-such"))).unwrap_err().to_string();
        assert!(errors.starts_with("/none-such: cannot be read: "), "{errors}");
    }

    #[test]
    fn a_pack_that_there_is_not_is_named() {
        let files = RuleFiles { rules: None, packs: vec!["none-such".parse().unwrap()], level: None };
        let error = files.set().unwrap_err().to_string();
        assert!(error.starts_with("--packs: there is no pack `none-such` in the rules; there are "), "{error}");
    }
}
