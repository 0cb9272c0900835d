//! The proof of a command beside the gateway: a MAC made with a key that
//! derives from the deployment's own, over all that the request says.
//!
//! `Authorization: Privet-MAC AT.NONCE.MAC`, where AT are Unix seconds, NONCE
//! 16 random bytes, and MAC is HMAC-SHA-256 over method, target, SHA-256 of the
//! body, AT and NONCE, each on a line of its own; all but AT in hexadecimal.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{hmac, rand};
use axum::http::request;

use super::sha256;
use crate::hex;
use crate::vault::{Key, VaultError};

/// The scheme of the proof, in `Authorization`.
pub const SCHEME: &str = "Privet-MAC";

/// For how many seconds a proof holds, into past and future.
const WINDOW: u64 = 60;

/// Proofs that are remembered so that none holds twice; more at a time than
/// commands are ever started. Where they are full none holds.
const REMEMBERED: usize = 4096;

/// Makes proofs and checks them.
pub struct Proofs {
    key: hmac::Key,
    /// Each nonce that was seen, with the second in which its window ends.
    seen: Mutex<HashMap<String, u64>>,
}

impl Proofs {
    /// Those of whoever holds this key.
    pub fn new(key: &Key) -> Result<Self, VaultError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*key.derive(b"command beside the gateway")?);
        Ok(Self { key, seen: Mutex::default() })
    }

    /// The value of `Authorization` for a request that is sent now.
    pub fn make(&self, method: &str, target: &str, body: &[u8], now: u64) -> Result<String, VaultError> {
        let mut nonce = [0_u8; 16];
        rand::fill(&mut nonce).map_err(|_| VaultError::unavailable("no random numbers can be had"))?;
        let nonce = hex::encode(&nonce);
        let mac = hmac::sign(&self.key, said(method, target, body, now, &nonce).as_bytes());
        Ok(format!("{SCHEME} {now}.{nonce}.{}", hex::encode(mac.as_ref())))
    }

    /// Whether a proof holds for a request, for the first time.
    pub(super) fn hold(&self, proof: &str, head: &request::Parts, body: &[u8], now: u64) -> bool {
        let mut parts = proof.trim().splitn(3, '.');
        let (Some(at), Some(nonce), Some(mac)) = (parts.next(), parts.next(), parts.next()) else { return false };
        let (Ok(at), Some(mac)) = (at.parse::<u64>(), hex::decode(mac)) else { return false };
        if nonce.len() != 32 || at.abs_diff(now) > WINDOW {
            return false;
        }
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let said = said(head.method.as_str(), target, body, at, nonce);
        if hmac::verify(&self.key, said.as_bytes(), &mac).is_err() {
            return false;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, end| *end >= now);
        seen.len() < REMEMBERED && seen.insert(nonce.to_owned(), at + WINDOW).is_none()
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proofs")
    }
}

fn said(method: &str, target: &str, body: &[u8], at: u64, nonce: &str) -> String {
    format!("{method}\n{target}\n{}\n{at}\n{nonce}\n", hex::encode(&sha256(body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn head(method: &str, target: &str) -> request::Parts {
        Request::builder().method(method).uri(target).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_proof_holds_once_for_just_its_request() {
        let key = Key::generate();
        let (commands, gateway) = (Proofs::new(&key).unwrap(), Proofs::new(&key).unwrap());
        let make = || {
            let made = commands.make("POST", "/api/v1/x?y=1", b"{}", 1000).unwrap();
            made.strip_prefix("Privet-MAC ").unwrap().to_owned()
        };
        let proof = make();
        let right = head("POST", "/api/v1/x?y=1");
        assert!(!gateway.hold(&proof, &head("PUT", "/api/v1/x?y=1"), b"{}", 1000), "another method");
        assert!(!gateway.hold(&proof, &head("POST", "/api/v1/x?y=2"), b"{}", 1000), "another query");
        assert!(!gateway.hold(&proof, &right, b"{ }", 1000), "another body");
        assert!(!gateway.hold(&proof, &right, b"{}", 1000 + WINDOW + 1), "too late");
        assert!(!gateway.hold(&proof, &right, b"{}", 1000 - WINDOW - 1), "too early");
        assert!(!gateway.hold(&proof.replace("1000.", "1001."), &right, b"{}", 1000), "another time");
        assert!(!Proofs::new(&Key::generate()).unwrap().hold(&proof, &right, b"{}", 1000), "another key");
        assert!(gateway.hold(&proof, &right, b"{}", 1000 + WINDOW));
        assert!(!gateway.hold(&proof, &right, b"{}", 1000 + WINDOW), "for the second time");
        assert!(gateway.hold(&make(), &right, b"{}", 1000), "a new one");
        for odd in ["", ".", "..", "1.2.3", "1000.x.y", &"9".repeat(500)] {
            assert!(!gateway.hold(odd, &right, b"{}", 1000), "{odd}");
        }
    }
}
