//! Opens the vault that a configuration names, with the keys that it gives.

use super::Failure;
use crate::config::Config;
use crate::detect::Engine;
use crate::sensitive::Sensitive;
use crate::vault::{
    Indexed, Key, Keyring, Options, TokenSource, Transit, TransitSettings, Vault, VaultError, VaultUrl,
};

/// What is said where there is no key.
pub(super) const NO_KEY: &str = "no key is given for the vault; set one, and keep it: without it no token can be \
                                 restored\n\n  export PRIVET_KEY=$(openssl rand -base64 32)";

/// Opens the vault, and makes it where there is none.
pub(super) async fn vault(config: &Config) -> Result<Vault, Failure> {
    opened(config, Options { create: true, ..options(config) }).await
}

/// The same for work by these rules: what they call sensitive is in the second
/// layer.
pub(super) async fn vault_with(config: &Config, engine: &Engine) -> Result<Vault, Failure> {
    let mut options = Options { create: true, ..options(config) };
    options.sensitive.extend(engine.rules().filter(|rule| rule.sensitive).map(|rule| rule.entity));
    opened(config, options).await
}

async fn opened(config: &Config, options: Options) -> Result<Vault, Failure> {
    let place = place(config)?;
    let vault = Vault::open(&place, keys(config)?, options).await;
    let vault = vault.map_err(|e| failed(&place, &e))?;
    keep_erasures(config, &vault)?;
    Ok(vault)
}

/// That a vault cannot be opened.
pub(super) fn failed(place: &VaultUrl, error: &VaultError) -> Failure {
    let told = format!("{place}: {error}");
    if *error == VaultError::Absent { Failure::Usage(told) } else { Failure::Failed(told) }
}

/// Has erasures and withdrawals appended to the file that the configuration
/// names.
pub(super) fn keep_erasures(config: &Config, vault: &Vault) -> Result<(), Failure> {
    let Some(path) = &config.erasures else { return Ok(()) };
    let mend = "make its folder, or name a file that can be written";
    vault.keep_erasures(path).map_err(|e| Failure::Usage(format!("erasures: {}: {e}; {mend}", path.display())))
}

/// How it is opened. A typing error in its place is no order for a new vault.
pub(super) fn options(config: &Config) -> Options {
    Options {
        create: false,
        indexed: Indexed::of(&config.subject.index),
        links_for: config.subject.links,
        ..Options::default()
    }
}

/// All keys that the configuration gives.
pub(super) fn keys(config: &Config) -> Result<Keyring, Failure> {
    let given = config.key.as_ref().map(|key| read(key, "PRIVET_KEY")).transpose()?;
    let (keys, given) = match (&config.keys.transit, given) {
        (Some(transit), given) => {
            let token = match (&transit.token_file, &transit.token) {
                (Some(file), _) => TokenSource::File(file.clone()),
                (None, token) => TokenSource::Given(token.clone().unwrap_or_else(|| Sensitive::from(""))),
            };
            let engine = Transit::new(TransitSettings {
                address: transit.address.clone(),
                mount: transit.mount.clone(),
                key: transit.key.clone(),
                token,
                namespace: transit.namespace.clone(),
                ca: transit.ca.clone(),
                timeout: transit.timeout,
            });
            (Keyring::transit(engine.map_err(|why| Failure::Usage(format!("transit: {why}")))?), given)
        }
        (None, Some(key)) => (Keyring::new(key), None),
        (None, None) => return Err(Failure::Usage(NO_KEY.to_owned())),
    };
    let old = config.keys.old.iter().map(|key| read(key, "PRIVET_OLD_KEYS")).collect::<Result<Vec<_>, _>>()?;
    let keys = keys.with_others(old.into_iter().chain(given));
    match &config.keys.sensitive {
        Some(key) => Ok(keys.with_sensitive(read(key, "PRIVET_SENSITIVE_KEY")?)),
        None => Ok(keys),
    }
}

/// The key by which a command proves itself to a running gateway. Where a key
/// service keeps the vault's key and none is given beside it, nobody can.
pub(super) fn proof_key(config: &Config) -> Result<Key, Failure> {
    match (&config.key, &config.keys.transit) {
        (Some(key), _) => read(key, "PRIVET_KEY"),
        (None, Some(_)) => Ok(Key::generate()),
        (None, None) => Err(Failure::Usage(NO_KEY.to_owned())),
    }
}

fn read(key: &Sensitive, name: &str) -> Result<Key, Failure> {
    Key::from_base64(key.expose()).map_err(|e| Failure::Usage(format!("{name}: {e}")))
}

/// Where the vault is.
pub(super) fn place(config: &Config) -> Result<VaultUrl, Failure> {
    config.vault.expose().parse().map_err(|e| Failure::Usage(format!("vault: {e}")))
}
