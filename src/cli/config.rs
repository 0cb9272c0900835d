//! `privet config`: the settings in print.

use std::io::Write as _;
use std::process::ExitCode;

use super::Failure;
use crate::config::Config;

/// Print the settings that there are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  privet config --defaults > privet.toml")]
#[group(required = true, multiple = false)]
pub struct Args {
    /// Print every setting with its default and meaning, as a configuration file
    #[arg(long)]
    defaults: bool,

    /// Print a JSON Schema (draft 2020-12) of the configuration file, for editors
    #[arg(long)]
    schema: bool,
}

/// Prints what was asked for.
#[expect(clippy::needless_pass_by_value, reason = "all commands are run alike")]
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    if args.schema {
        writeln!(out, "{:#}", Config::schema())?;
    } else {
        write!(out, "{}", Config::defaults())?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
