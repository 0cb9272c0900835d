//! AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces, and random bytes.
//!
//! A sealed text is `nonce | ciphertext | tag`. Each key seals far fewer than
//! 2^32 texts, below which random nonces are safe.

use super::error::VaultError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

pub(super) const NONCE: usize = 12;
pub(super) const TAG: usize = 16;

/// A key that seals and opens. It cannot be copied or printed.
pub(super) struct SealingKey(LessSafeKey);

/// Fresh random bytes that are wiped when dropped.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    fill_random(bytes.as_mut())?;
    Ok(bytes)
}

pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), VaultError> {
    rand::fill(bytes).map_err(|_| VaultError::unavailable("the operating system gives no random numbers"))
}

/// Nonces for records that are sealed together. To draw many random bytes costs
/// little more than to draw a few. What is left over is never used.
#[derive(Default)]
pub(super) struct Nonces(Vec<[u8; NONCE]>);

impl Nonces {
    /// One that was not given before.
    pub(super) fn next(&mut self) -> Result<[u8; NONCE], VaultError> {
        if self.0.is_empty() {
            let mut drawn = vec![[0; NONCE]; 32];
            fill_random(drawn.as_flattened_mut())?;
            self.0 = drawn;
        }
        self.0.pop().ok_or_else(|| VaultError::unavailable("no nonce is left"))
    }
}

impl SealingKey {
    pub(super) fn new(key: &[u8; 32]) -> Result<Self, VaultError> {
        UnboundKey::new(&AES_256_GCM, key)
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| VaultError::unavailable("AES-256-GCM is not available"))
    }

    /// Appends the sealed `plain` to `out`. A nonce must never be used twice.
    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE],
        aad: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), VaultError> {
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.resize(start + plain.len() + TAG, 0);
        let sealed =
            out.get_mut(start..).and_then(|tail| tail.split_at_mut_checked(plain.len())).and_then(|(text, tag)| {
                let nonce = Nonce::assume_unique_for_key(nonce);
                self.0.seal_out_of_place_scatter(nonce, Aad::from(aad), plain, text, &[], tag).ok()
            });
        sealed.ok_or_else(|| VaultError::unavailable("a value could not be encrypted"))
    }

    /// The plain text of `sealed`; none where key, `aad` or text are not those
    /// that it was sealed with.
    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        let (text, tag) = rest.split_last_chunk::<TAG>()?;
        let mut plain = Zeroizing::new(vec![0; text.len()]);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), text, tag, &mut plain).ok()?;
        Some(plain)
    }
}

/// Says of fields, at compile time, that they are wiped when they are dropped,
/// or why they need not be. A test names all fields of a type, so that one that
/// is new has to be judged as well.
#[cfg(test)]
pub(super) mod wiping {
    use aws_lc_rs::aead::LessSafeKey;
    use aws_lc_rs::hmac;
    use zeroize::ZeroizeOnDrop;

    pub(in crate::vault) fn wiped<T: ZeroizeOnDrop>(_: &T) {}

    pub(in crate::vault) fn no_secret<T>(_: &T) {}

    /// A type of the vault whose own test names its fields.
    pub(in crate::vault) fn shown_elsewhere<T>(_: &T) {}

    /// A context of AWS-LC, which cleanses its memory where it frees it.
    pub(in crate::vault) trait WipedByLibrary {}
    impl WipedByLibrary for LessSafeKey {}
    impl WipedByLibrary for hmac::Key {}

    pub(in crate::vault) fn wiped_by_library<T: WipedByLibrary>(_: &T) {
        assert!(std::mem::needs_drop::<T>(), "it frees what it holds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_plain_texts_are_wiped() {
        let key = SealingKey::new(&random().unwrap()).unwrap();
        let mut sealed = Vec::new();
        key.seal(*random().unwrap(), b"", b"ana", &mut sealed).unwrap();
        wiping::wiped(&random::<32>().unwrap());
        wiping::wiped(&key.open(b"", &sealed).unwrap());
        let SealingKey(context) = &key;
        wiping::wiped_by_library(context);
    }

    #[test]
    fn no_nonce_is_given_twice() {
        let mut nonces = Nonces::default();
        let given: std::collections::HashSet<_> = (0..200).map(|_| nonces.next().unwrap()).collect();
        assert_eq!(given.len(), 200);
        assert!(!given.contains(&[0; NONCE]));
    }

    #[test]
    fn opens_only_what_was_sealed() {
        let key = SealingKey::new(&random().unwrap()).unwrap();
        let other = SealingKey::new(&random().unwrap()).unwrap();
        let mut sealed = Vec::new();
        key.seal(*random().unwrap(), b"place", b"ana@example.com", &mut sealed).unwrap();
        assert_eq!(sealed.len(), NONCE + 15 + TAG);
        assert_eq!(key.open(b"place", &sealed).unwrap().as_slice(), b"ana@example.com");
        assert!(other.open(b"place", &sealed).is_none());
        assert!(key.open(b"elsewhere", &sealed).is_none());
        for i in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[i] ^= 1;
            assert!(key.open(b"place", &bent).is_none(), "byte {i}");
            assert!(key.open(b"place", &sealed[..i]).is_none(), "cut at {i}");
        }
    }
}
