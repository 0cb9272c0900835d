//! `privet vault`: looks after the store behind the tokens.

mod backup;
mod init;
mod purge;
mod restore;
mod rotate_key;
mod stats;
mod verify;

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::Failure;

/// Look after the vault: the store behind the tokens.
///
/// The vault and its key are those that `privet serve` would use: they come from
/// `--vault`, from the configuration, and from `PRIVET_KEY` or `PRIVET_KEY_FILE`.
/// Works beside a running gateway too.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    // The texts of the commands are those of their arguments.
    Init(init::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Purge(purge::Args),
    Stats(stats::Args),
    Verify(verify::Args),
    RotateKey(rotate_key::Args),
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// Runs the command that was named.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Init(args) => init::run(args),
        Command::Backup(args) => backup::run(args),
        Command::Restore(args) => restore::run(args),
        Command::Purge(args) => purge::run(args),
        Command::Stats(args) => stats::run(args),
        Command::Verify(args) => verify::run(args),
        Command::RotateKey(args) => rotate_key::run(args),
    }
}
