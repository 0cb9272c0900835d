//! Keyed hashes of values, for the operator `hash`: equal values of a tenant
//! have equal hashes, and without the key nobody can try values.

use crate::entity::Entity;
use aws_lc_rs::hmac;
use std::fmt;

const LABEL: &[u8] = b"privet hash\0";

/// Hashes the values of one tenant: HMAC-SHA-256 (RFC 2104), of which the
/// first 64 bits are shown.
#[derive(Clone)]
pub struct Hashing(hmac::Key);

impl Hashing {
    /// Under a key of the vault. The label keeps these uses of it apart from
    /// all others.
    pub(super) fn new(root: &hmac::Key, tenant: &str) -> Self {
        let mut mac = hmac::Context::with_key(root);
        mac.update(LABEL);
        mac.update(tenant.as_bytes());
        Self(hmac::Key::new(hmac::HMAC_SHA256, mac.sign().as_ref()))
    }

    /// 16 hexadecimal digits for a value together with its entity.
    pub fn hash(&self, entity: Entity, value: &str) -> String {
        let mut mac = hmac::Context::with_key(&self.0);
        mac.update(entity.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        let bits = u64::from_be_bytes(mac.sign().as_ref().first_chunk().copied().unwrap_or_default());
        format!("{bits:016x}")
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_depend_on_key_tenant_entity_and_value() {
        let key = |byte| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]);
        let (email, phone) = ("EMAIL".parse().unwrap(), "PHONE".parse().unwrap());
        let shop = Hashing::new(&key(1), "shop");
        let hash = shop.hash(email, "ana@example.com");
        assert_eq!(hash.len(), 16);
        assert_eq!(Hashing::new(&key(1), "shop").hash(email, "ana@example.com"), hash);
        let others = [
            shop.hash(email, "ana@example.org"),
            shop.hash(phone, "ana@example.com"),
            Hashing::new(&key(1), "shops").hash(email, "ana@example.com"),
            Hashing::new(&key(2), "shop").hash(email, "ana@example.com"),
        ];
        assert!(!others.contains(&hash));
    }
}
