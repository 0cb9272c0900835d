//! The key that signs checkpoints and exports: Ed25519 (RFC 8032), made once
//! for a vault and kept sealed in it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, Records, VaultError};

const KEY: &[u8] = b"key";
const WHAT: VaultError = VaultError::Corrupt { what: "signing key of the access log" };

/// Signs.
pub(super) struct Signer(Ed25519KeyPair);

impl Signer {
    /// The key of a vault, made where there is none.
    pub(super) async fn open(records: &Records) -> Result<Self, VaultError> {
        loop {
            if let Some(stored) = records.get(Owner::Deployment, Space::Checkpoint, KEY).await? {
                return Ed25519KeyPair::from_pkcs8(&stored).map(Self).map_err(|_| WHAT);
            }
            let made = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()).map_err(|_| WHAT)?;
            let (owner, space, expected) = (Owner::Deployment, Space::Checkpoint, Expected::Absent);
            let change = RecordChange { owner, space, key: KEY, expected, value: Some(made.as_ref()) };
            // Where another replica was first, its key is read.
            records.write(&[change], None).await?;
        }
    }

    /// In base64url without padding.
    pub(super) fn sign(&self, text: &str) -> String {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0.sign(text.as_bytes()).as_ref())
    }

    pub(super) fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().try_into().unwrap_or_default())
    }
}

/// The public half, by which checkpoints and exports are checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// The text is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 32 bytes in base64")]
pub struct NoPublicKey;

impl PublicKey {
    pub(super) fn holds(&self, text: &str, signature: &str) -> bool {
        let Ok(signature) = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(text.as_bytes(), &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = NoPublicKey;

    fn from_str(text: &str) -> Result<Self, NoPublicKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| NoPublicKey)?;
        bytes.try_into().map(Self).map_err(|_| NoPublicKey)
    }
}
