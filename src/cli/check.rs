//! `privet check`: is the configuration right, and are the rules?

use std::io::Write as _;
use std::process::ExitCode;

use super::flags::Settings;
use super::rule_files::{self, engine};
use super::{Failure, message, warn};
use crate::config::Config;
use crate::proxy::Gateway;
use crate::vault::VaultUrl;

/// Check configuration and rules without starting anything.
///
/// Each problem is printed with its file, line and column, and with what to
/// write instead. Takes the same settings as `privet serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Checks, and ends with 1 where something is wrong.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let sources = args.settings.into_sources();
    if let Some(file) = &sources.file
        && let Err(error) = std::fs::File::open(file)
    {
        return Err(Failure::Usage(format!("{} cannot be read: {error}", file.display())));
    }
    let (errors, warnings, doubts): (Vec<String>, _, _) = match Config::load(&sources) {
        Ok(loaded) => {
            let doubts = rule_files::load(loaded.config.rules.as_deref()).map(|set| set.doubts());
            (beyond(&loaded.config), loaded.warnings, doubts.unwrap_or_default())
        }
        Err(problems) => (problems.errors.iter().map(ToString::to_string).collect(), problems.warnings, Vec::new()),
    };
    warn(&warnings);
    for doubt in &doubts {
        message("warning", doubt);
    }
    for problem in &errors {
        message("error", problem);
    }
    if errors.is_empty() {
        writeln!(std::io::stdout(), "configuration and rules are right")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}

/// What is wrong beyond the file itself: with the rules, the vault's address,
/// the names of protocols.
fn beyond(config: &Config) -> Vec<String> {
    let mut errors = Vec::new();
    match engine(config.rules.as_deref()) {
        Ok(engine) => errors.extend(Gateway::check_rules(&engine).err().map(|e| e.to_string())),
        Err(rules) => errors.extend(rules.0.iter().map(ToString::to_string)),
    }
    if let Err(error) = config.vault.parse::<VaultUrl>() {
        errors.push(format!("vault: {error}"));
    }
    if let Err(error) = Gateway::check(config) {
        errors.push(error.to_string());
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serve_would_refuse_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "[[rule]]\nid = \"own\"\nentity = \"SECRET\"\npattern = \"own-[0-9]+\"\noperator = \"hash\"\n";
        std::fs::write(folder.path().join("own.toml"), rule).unwrap();
        let toml = format!(
            "upstream = \"http://a.example\"\nrules = {:?}\n[[routes]]\npath = \"/a\"\nprotocol = \"none-such\"\n",
            folder.path()
        );
        let errors = beyond(&Config::parse(&toml).unwrap().config);
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].contains("own.toml:1: rule `own`: the operator `hash`"), "{errors:?}");
        assert!(errors[1].starts_with("route /a: `protocol` must be"), "{errors:?}");
    }
}
