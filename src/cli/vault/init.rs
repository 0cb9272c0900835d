//! `privet vault init`: makes a vault, or shows that its key opens it.

use std::io::Write as _;
use std::process::ExitCode;

use super::super::flags::VaultSettings;
use super::super::{Failure, open, serve, warn};

/// Make the vault, or show that the key opens the one that is there.
///
/// `privet serve` makes a vault too where there is none. This command does it
/// beforehand, so that nothing else has to be right yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  export PRIVET_KEY=$(openssl rand -base64 32)\n  \
                        privet vault init --vault embedded:./privet-data")]
pub(super) struct Args {
    #[command(flatten)]
    settings: VaultSettings,
}

/// Opens the vault, and says with which key.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let loaded = args.settings.load()?;
    warn(&loaded.warnings);
    serve::runtime()?.block_on(async {
        let vault = open::vault(&loaded.config).await?;
        writeln!(std::io::stdout(), "{} is ready, with the key {}", open::place(&loaded.config)?, vault.key_id())?;
        vault.close().await;
        Ok(ExitCode::SUCCESS)
    })
}
