//! `privet vault restore`: adds what a backup holds to the vault.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use super::super::beside::{Api, Which};
use super::super::{Failure, open, serve};
use crate::config::Config;
use crate::vault::{BackupError, Options, Vault, VaultError};

/// Add what a backup holds to the vault.
///
/// What the vault holds stays as it is, its erasures too: nobody who was erased
/// comes back. Give the file of erasures where the vault itself is lost. Nothing
/// is changed unless the whole backup is as it was written.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup
    file: PathBuf,
    /// The file that `erasures` in the configuration names
    #[arg(long, value_name = "FILE")]
    erasures: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

/// Restores, by itself or by the gateway that holds the vault.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args { file, erasures, which } = args;
    let config = which.load()?;
    serve::runtime()?.block_on(async {
        let done = Box::pin(restore(config, &file, erasures.as_deref())).await?;
        let count = |part: &str, kind: &str| done[part][kind].as_u64().unwrap_or_default();
        let mut err = std::io::stderr();
        writeln!(
            err,
            "added: {} subjects, {} tokens, {} records; there already: {} tokens, {} records",
            count("added", "subjects"),
            count("added", "tokens"),
            count("added", "records"),
            count("present", "tokens"),
            count("present", "records"),
        )?;
        let told = [
            ("erased", "subjects stay erased"),
            ("withdrawn", "withdrawals of consent were made since, and hold again"),
            ("foreign", "records were left out: of another vault, of a log that goes on otherwise, or of operators"),
        ];
        for (what, text) in told {
            if let Some(count) = done[what].as_u64().filter(|count| *count > 0) {
                writeln!(err, "{count} {text}")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn restore(config: Config, file: &Path, erasures: Option<&Path>) -> Result<Value, Failure> {
    let place = open::place(&config)?;
    let keys = open::keys(&config)?;
    // What the configuration names counts, too, where it is there.
    let configured = config.erasures.clone().filter(|path| path.exists());
    let erasures = erasures.or(configured.as_deref());
    match Vault::restore_at(&place, keys, Options { create: true, ..open::options(&config) }, file, erasures).await {
        Ok((vault, done)) => {
            vault.close().await;
            serde_json::to_value(done).map_err(|_| Failure::Failed("the counts are no JSON".to_owned()))
        }
        Err(BackupError::Vault(VaultError::InUse)) => {
            let absolute = |path: &Path| std::path::absolute(path).map_err(Failure::from);
            let body = json!({ "path": absolute(file)?, "erasures": erasures.map(absolute).transpose()? });
            let api = Api::open(config).await?;
            let done = api.json(Method::POST, "/vault/restore", Some(&body)).await;
            api.close().await;
            done
        }
        Err(error) => {
            let of_erasures = matches!(error, BackupError::ErasuresFile(_) | BackupError::Erasures { .. });
            let named = erasures.filter(|_| of_erasures).unwrap_or(file);
            Err(Failure::Failed(format!("{}: {error}", named.display())))
        }
    }
}
