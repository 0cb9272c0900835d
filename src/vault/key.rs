//! The deployment's secret (`PRIVET_KEY`) and the keys derived from it.

mod ring;
mod strength;
pub(super) mod transit;

pub use ring::Keyring;
pub(super) use ring::Secrets;
pub use transit::{TokenSource, Transit, TransitError, TransitSettings};

use super::error::VaultError;
use super::seal::random;
use aws_lc_rs::hkdf;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;
use zeroize::Zeroizing;

const LEN: usize = 32;
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The secret of a deployment: 32 random bytes. It encrypts nothing itself;
/// the keys for each use are derived from it by HKDF-SHA-256 (RFC 5869).
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; LEN]>);

/// The text is no usable key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not base64 (RFC 4648, section 4).
    #[error("the key is not base64; make one with: openssl rand -base64 32")]
    NotBase64,
    /// Not 32 bytes.
    #[error("the key has {found} bytes instead of 32; make one with: openssl rand -base64 32")]
    Length {
        /// How many bytes the text holds.
        found: usize,
    },
    /// All zeros, a text, a pattern that repeats or counts: a placeholder.
    #[error("the key follows a pattern, so it is no secret; make one with: openssl rand -base64 32")]
    Weak,
}

impl Key {
    /// Reads 32 bytes in base64. White space around it is passed over.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(LENIENT.decode(text.trim()).map_err(|_| KeyError::NotBase64)?);
        let secret = bytes.as_slice().first_chunk().filter(|_| bytes.len() == LEN);
        let secret = secret.ok_or(KeyError::Length { found: bytes.len() })?;
        if strength::is_weak(secret) {
            return Err(KeyError::Weak);
        }
        Ok(Self::from_secret(secret))
    }

    /// Of bytes that are known to be random.
    fn from_secret(secret: &[u8; LEN]) -> Self {
        let mut key = Self(Zeroizing::new([0; LEN]));
        key.0.copy_from_slice(secret);
        key
    }

    /// A new random key, for a vault that need not outlive the process.
    ///
    /// # Panics
    ///
    /// Where the operating system gives no random numbers.
    #[expect(clippy::expect_used, reason = "without random numbers no part of the program can go on")]
    pub fn generate() -> Self {
        Self(random().expect("the operating system gives random numbers"))
    }

    /// The name of this key, which tells nothing about the key itself.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 8];
        // Eight bytes are far below what HKDF can give, so this cannot fail.
        let _ = self.expand(b"key id", &mut id);
        KeyId(id)
    }

    /// The key of the second layer where none is given for it: another one,
    /// of which the keys derived from this one tell nothing.
    pub(super) fn of_sensitive(&self) -> Result<Self, VaultError> {
        self.derive(b"sensitive layer").map(|secret| Self::from_secret(&secret))
    }

    /// A key for one use, independent of those for other uses.
    pub(crate) fn derive(&self, purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let mut key = Zeroizing::new([0; 32]);
        self.expand(purpose, key.as_mut())?;
        Ok(key)
    }

    fn expand(&self, purpose: &[u8], out: &mut [u8]) -> Result<(), VaultError> {
        struct Len(usize);
        impl hkdf::KeyType for Len {
            fn len(&self) -> usize {
                self.0
            }
        }
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"privet key v1")
            .extract(self.0.as_ref())
            .expand(&[purpose], Len(out.len()))
            .and_then(|okm| okm.fill(out))
            .map_err(|_| VaultError::unavailable("a key could not be derived"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// Names a [`Key`]; printed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::seal::wiping;
    use base64::prelude::BASE64_STANDARD;

    #[test]
    fn only_32_varied_bytes_are_a_key() {
        let bytes: Vec<u8> =
            (0..32).map(|i: u8| i.wrapping_mul(i).wrapping_mul(13).wrapping_add((i / 2).wrapping_mul(91))).collect();
        let text = BASE64_STANDARD.encode(&bytes);
        let key = Key::from_base64(&format!("{text}\n")).unwrap();
        assert_eq!(key.id(), Key::from_base64(text.trim_end_matches('=')).unwrap().id());
        let encode = |b: &[u8]| BASE64_STANDARD.encode(b);
        assert_eq!(Key::from_base64(&encode(&[0; 32])).unwrap_err(), KeyError::Weak);
        assert_eq!(Key::from_base64(&encode(&[65; 32])).unwrap_err(), KeyError::Weak);
        assert_eq!(Key::from_base64(&encode(&bytes[..31])).unwrap_err(), KeyError::Length { found: 31 });
        assert_eq!(Key::from_base64(&encode(b"passwordpasswordpasswordpassword")).unwrap_err(), KeyError::Weak);
        assert_eq!(Key::from_base64("").unwrap_err(), KeyError::Length { found: 0 });
        assert_eq!(Key::from_base64("not base64!").unwrap_err(), KeyError::NotBase64);
    }

    #[test]
    fn derived_keys_differ_by_key_and_purpose() {
        let (a, b) = (Key::generate(), Key::generate());
        assert_eq!(a.derive(b"x").unwrap(), a.clone().derive(b"x").unwrap());
        assert_ne!(a.derive(b"x").unwrap(), a.derive(b"y").unwrap());
        assert_ne!(a.derive(b"x").unwrap(), b.derive(b"x").unwrap());
        assert_ne!(a.id(), b.id());
    }

    #[test]
    fn a_key_is_wiped() {
        let Key(secret) = &Key::generate();
        wiping::wiped(secret);
        wiping::wiped(&Key::generate().derive(b"x").unwrap());
    }

    #[test]
    fn debug_shows_the_id_alone() {
        let key = Key::generate();
        assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
    }
}
