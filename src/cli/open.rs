//! Opens the vault that a configuration names, with the key that it gives.

use super::Failure;
use crate::config::Config;
use crate::vault::{Key, Options, Vault, VaultUrl};

/// What is said where there is no key.
pub(super) const NO_KEY: &str = "no key is given for the vault; set one, and keep it: without it no token can be \
                                 restored\n\n  export PRIVET_KEY=$(openssl rand -base64 32)";

/// Opens the vault, and makes it where there is none.
pub(super) async fn vault(config: &Config) -> Result<Vault, Failure> {
    let key = key(config)?;
    let place = place(config)?;
    let vault = Vault::open(&place, key, Options::default()).await;
    vault.map_err(|e| Failure::Failed(format!("{place}: {e}")))
}

/// The deployment's key.
pub(super) fn key(config: &Config) -> Result<Key, Failure> {
    let key = config.key.as_ref().ok_or_else(|| Failure::Usage(NO_KEY.to_owned()))?;
    Key::from_base64(key.expose()).map_err(|e| Failure::Usage(format!("PRIVET_KEY: {e}")))
}

/// Where the vault is.
pub(super) fn place(config: &Config) -> Result<VaultUrl, Failure> {
    config.vault.parse().map_err(|e| Failure::Usage(format!("vault: {e}")))
}
