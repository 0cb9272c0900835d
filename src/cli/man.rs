//! `privet man`: the manual page, with a section for each command.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;

use super::{Cli, Failure};

/// Print a manual page.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  privet man | man -l -\n  privet man serve | man -l -")]
pub struct Args {
    /// The command to describe; the whole of privet without it
    command: Option<String>,
}

/// Prints the page.
#[expect(clippy::needless_pass_by_value, reason = "all commands are run alike")]
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut whole = Cli::command();
    whole.build();
    let page = match &args.command {
        None => whole,
        Some(name) => match whole.find_subcommand(name) {
            Some(command) => command.clone(),
            None => return Err(Failure::Usage(format!("there is no command `{name}`; see privet --help"))),
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).source(concat!("privet ", env!("CARGO_PKG_VERSION"))).render(&mut text)?;
    std::io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}
