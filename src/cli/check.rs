//! `privet check`: is the configuration right, and are the rules?

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::flags::Settings;
use super::{Failure, message, warn};
use crate::config::{Config, Origin, Problem};

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
    let (errors, warnings) = match Config::load(&sources) {
        Ok(loaded) => {
            if loaded.config.key.is_none() {
                message("warning", "no key is set here; `privet serve` needs PRIVET_KEY or PRIVET_KEY_FILE");
            }
            (rules(loaded.config.rules.as_deref()), loaded.warnings)
        }
        Err(problems) => (problems.errors, problems.warnings),
    };
    warn(&warnings);
    for problem in &errors {
        message("error", problem);
    }
    if errors.is_empty() {
        writeln!(std::io::stdout(), "configuration and rules are right")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}

/// What is wrong with the rules of a folder.
fn rules(folder: Option<&Path>) -> Vec<Problem> {
    let Some(folder) = folder else { return Vec::new() };
    match std::fs::read_dir(folder) {
        Ok(_) => Vec::new(),
        Err(error) => vec![Problem {
            origin: Origin::Whole(folder.to_owned()),
            message: format!("the folder cannot be read: {error}"),
            mend: "name a folder that this user may read".to_owned(),
        }],
    }
}
