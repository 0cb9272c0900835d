//! `privet completions`: scripts that complete the command line.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;

use super::{Cli, Failure};

/// Print a completion script.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  privet completions bash > ~/.local/share/bash-completion/completions/privet")]
pub struct Args {
    /// The shell that will read the script
    shell: clap_complete::Shell,
}

/// Prints the script.
#[expect(clippy::needless_pass_by_value, reason = "all commands are run alike")]
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    // The generator panics where it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "privet", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
