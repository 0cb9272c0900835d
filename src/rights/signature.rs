//! The signature of a webhook: who holds the secret can tell that a message is
//! Privet's, whole, and not an old one sent again.

use crate::hex;
use aws_lc_rs::hmac;

/// The header that carries it: `t=<unix seconds>,v1=<hexadecimal HMAC>`.
pub const HEADER: &str = "privet-signature";

/// The value of [`HEADER`] for a body: HMAC-SHA-256 (RFC 2104) over the time,
/// a full stop, and the body. Receivers should refuse times of more than five
/// minutes ago.
pub fn sign(secret: &str, now: u64, body: &[u8]) -> String {
    format!("t={now},v1={}", hex::encode(mac(secret, now, body).as_ref()))
}

/// Whether a header's value is the signature of a body, made at most
/// `tolerance` seconds before or after `now`.
pub fn holds(secret: &str, header: &str, body: &[u8], now: u64, tolerance: u64) -> bool {
    let part = |name: &str| header.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let Some(at) = part("t").and_then(|at| at.parse::<u64>().ok()) else { return false };
    let Some(given) = part("v1").and_then(hex::decode) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = [at.to_string().as_bytes(), b".", body].concat();
    at.abs_diff(now) <= tolerance && hmac::verify(&key, &signed, &given).is_ok()
}

fn mac(secret: &str, now: u64, body: &[u8]) -> hmac::Tag {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    mac.update(now.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_own_body_secret_and_time() {
        let header = sign("a secret of some length", 1_000, b"{}");
        let holds = |secret, header: &str, body, now| super::holds(secret, header, body, now, 300);
        assert!(holds("a secret of some length", &header, b"{}", 1_300));
        assert!(!holds("a secret of some length", &header, b"{}", 1_301), "it is old");
        assert!(!holds("another", &header, b"{}", 1_000));
        assert!(!holds("a secret of some length", &header, b"{ }", 1_000));
        assert!(!holds("a secret of some length", &header.replace("t=1000", "t=1001"), b"{}", 1_001));
        for odd in ["", "t=1000", "t=1000,v1=", "t=1000,v1=0", "t=1000,v1=zz", "v1=00", "t=x,v1=00", "t=1000,v1=é"] {
            assert!(!holds("a secret of some length", odd, b"{}", 1_000), "{odd}");
        }
    }

    #[test]
    fn the_form_is_that_of_rfc_4231() {
        // Test case 2 of RFC 4231 has no time in it, so the MAC is taken by hand.
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"Jefe"), b"what do ya want for nothing?");
        assert_eq!(hex::encode(mac.as_ref()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
