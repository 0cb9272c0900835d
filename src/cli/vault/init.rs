//! `privet vault init`: makes a vault, or shows that its key opens it.

use std::io::Write as _;
use std::process::ExitCode;

use super::super::beside::Which;
use super::super::{Failure, open, serve};

/// Make the vault, or show that the key opens the one that is there.
///
/// `privet serve` makes a vault too where there is none. This command does it
/// beforehand, so that nothing else has to be right yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  export PRIVET_KEY=$(openssl rand -base64 32)\n  \
                        privet vault init --vault embedded:./privet-data")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
}

/// Opens the vault, and says with which key.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = args.which.load()?;
    serve::runtime()?.block_on(async {
        let (place, vault) = (open::place(&config)?, open::vault(&config).await?);
        writeln!(std::io::stdout(), "{place} is ready, with the key {}", vault.key_id())?;
        vault.close().await;
        Ok(ExitCode::SUCCESS)
    })
}
