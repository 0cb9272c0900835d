//! Stands in for the gateway until it is built: it names the addresses and
//! waits for an interrupt.

use super::Failure;
use std::net::SocketAddr;
use zeroize::Zeroizing;

/// A gateway that runs.
pub struct Gateway {
    /// The data listener's address.
    pub data: SocketAddr,
    /// The admin listener's address.
    pub admin: SocketAddr,
}

/// Starts a gateway.
pub async fn start(settings: &str, _key: Zeroizing<[u8; 32]>) -> Result<Gateway, Failure> {
    let table: toml::Table = settings.parse().map_err(|_| Failure::Usage("The settings are not TOML.".to_owned()))?;
    let address = |key: &str| {
        let text = table.get(key).and_then(toml::Value::as_str).unwrap_or_default();
        text.parse().map_err(|_| Failure::Usage(format!("{key} is not HOST:PORT.")))
    };
    Ok(Gateway { data: address("listen")?, admin: address("admin")? })
}

impl Gateway {
    /// Waits for its end.
    pub async fn ended(self) -> Result<(), Failure> {
        tokio::signal::ctrl_c().await.map_err(Failure::from)
    }
}
