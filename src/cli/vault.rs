//! `privet vault`: looks after the store behind the tokens.

mod init;

use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;

/// Look after the vault: the store behind the tokens.
///
/// The vault and its key are those that `privet serve` would use: they come from
/// `--vault`, from the configuration, and from `PRIVET_KEY` or `PRIVET_KEY_FILE`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    // The texts of the commands are those of their arguments.
    Init(init::Args),
}

/// Runs the command that was named.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Init(args) => init::run(args),
    }
}
