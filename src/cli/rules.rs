//! Placeholder, replaced by its author.

use std::process::ExitCode;

use super::Failure;

/// Placeholder.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Placeholder.
pub fn run(_: Args) -> Result<ExitCode, Failure> {
    Err(Failure::Failed("this command is not in this build".to_owned()))
}
