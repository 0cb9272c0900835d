//! The proof of a command beside the gateway: a MAC made with a key that
//! derives from the deployment's own, over all that the request says.
//!
//! `Authorization: Privet-MAC AT.NONCE.BODY.MAC`, where AT are Unix seconds,
//! NONCE 16 random bytes, BODY is SHA-256 of the body, and MAC is HMAC-SHA-256
//! over method, target, BODY, AT and NONCE, each on a line of its own; all but AT
//! in hexadecimal. So a proof is checked before anything of the body is read.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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
    keys: Mutex<Keys>,
    /// Each nonce that was seen, with the second in which its window ends.
    seen: Mutex<HashMap<String, u64>>,
}

/// By which proofs hold: the first makes them.
#[derive(Clone)]
struct Keys {
    /// That of the vault for which they are these; none as long as they are
    /// those of the configuration.
    epoch: Option<u64>,
    first: Arc<hmac::Key>,
    other: Option<Arc<hmac::Key>>,
}

impl Proofs {
    /// Those of whoever holds this key.
    pub fn new(key: &Key) -> Result<Self, VaultError> {
        let keys = Keys { epoch: None, first: mac_key(key)?, other: None };
        Ok(Self { keys: Mutex::new(keys), seen: Mutex::default() })
    }

    /// From now on those of whoever holds a key that the vault is under in its
    /// `epoch`. Without any, a key service keeps them, and nothing changes.
    pub(super) fn follow(&self, epoch: u64, in_use: impl FnOnce() -> Vec<Key>) -> Result<(), VaultError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.epoch == Some(epoch) {
            return Ok(());
        }
        let mut in_use = in_use().into_iter().map(|key| mac_key(&key));
        if let Some(first) = in_use.next().transpose()? {
            *keys = Keys { epoch: Some(epoch), first, other: in_use.next().transpose()? };
        }
        Ok(())
    }

    fn keys(&self) -> Keys {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The value of `Authorization` for a request that is sent now.
    pub fn make(&self, method: &str, target: &str, body: &[u8], now: u64) -> Result<String, VaultError> {
        let mut nonce = [0_u8; 16];
        rand::fill(&mut nonce).map_err(|_| VaultError::unavailable("no random numbers can be had"))?;
        let (nonce, body) = (hex::encode(&nonce), hex::encode(&sha256(body)));
        let mac = hmac::sign(&self.keys().first, said(method, target, &body, now, &nonce).as_bytes());
        Ok(format!("{SCHEME} {now}.{nonce}.{body}.{}", hex::encode(mac.as_ref())))
    }

    /// The SHA-256 that the body must have of a request with this head, where
    /// its proof holds for the first time.
    pub(super) fn hold(&self, proof: &str, head: &request::Parts, now: u64) -> Option<[u8; 32]> {
        let mut parts = proof.trim().splitn(4, '.');
        let (at, nonce, body, mac) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (at, mac) = (at.parse::<u64>().ok()?, hex::decode(mac)?);
        let hash = hex::decode(body)?.try_into().ok()?;
        if nonce.len() != 32 || at.abs_diff(now) > WINDOW {
            return None;
        }
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let said = said(head.method.as_str(), target, body, at, nonce);
        let Keys { first, other, .. } = self.keys();
        [Some(first), other].iter().flatten().find(|key| hmac::verify(key, said.as_bytes(), &mac).is_ok())?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, end| *end >= now);
        let is_first = seen.len() < REMEMBERED && seen.insert(nonce.to_owned(), at + WINDOW).is_none();
        is_first.then_some(hash)
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proofs")
    }
}

fn mac_key(key: &Key) -> Result<Arc<hmac::Key>, VaultError> {
    Ok(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &*key.derive(b"command beside the gateway")?)))
}

fn said(method: &str, target: &str, body: &str, at: u64, nonce: &str) -> String {
    format!("{method}\n{target}\n{body}\n{at}\n{nonce}\n")
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
        let holds = |proof: &str, head: &request::Parts, now| gateway.hold(proof, head, now);
        assert_eq!(holds(&proof, &head("PUT", "/api/v1/x?y=1"), 1000), None, "another method");
        assert_eq!(holds(&proof, &head("POST", "/api/v1/x?y=2"), 1000), None, "another query");
        let (mine, other) = (hex::encode(&sha256(b"{}")), hex::encode(&sha256(b"{ }")));
        assert_eq!(holds(&proof.replace(&mine, &other), &right, 1000), None, "another body");
        assert_eq!(holds(&proof, &right, 1000 + WINDOW + 1), None, "too late");
        assert_eq!(holds(&proof, &right, 1000 - WINDOW - 1), None, "too early");
        assert_eq!(holds(&proof.replace("1000.", "1001."), &right, 1000), None, "another time");
        assert_eq!(Proofs::new(&Key::generate()).unwrap().hold(&proof, &right, 1000), None, "another key");
        assert_eq!(holds(&proof, &right, 1000 + WINDOW), Some(sha256(b"{}")));
        assert_eq!(holds(&proof, &right, 1000 + WINDOW), None, "for the second time");
        assert!(holds(&make(), &right, 1000).is_some(), "a new one");
        let next = Key::generate();
        let holds_there = |key: &Key| {
            let made = Proofs::new(key).unwrap().make("GET", "/", b"", 1000).unwrap();
            gateway.hold(made.strip_prefix("Privet-MAC ").unwrap(), &head("GET", "/"), 1000).is_some()
        };
        assert_eq!((holds_there(&key), holds_there(&next)), (true, false));
        gateway.follow(2, || vec![next.clone(), key.clone()]).unwrap();
        assert_eq!((holds_there(&key), holds_there(&next)), (true, true), "the change is not over");
        gateway.follow(3, || vec![next.clone()]).unwrap();
        assert_eq!((holds_there(&key), holds_there(&next)), (false, true));
        gateway.follow(3, || panic!("they are known")).unwrap();
        gateway.follow(4, Vec::new).unwrap();
        assert_eq!((holds_there(&key), holds_there(&next)), (false, true), "a key service has none");
        for odd in ["", ".", "..", "...", "1.2.3.4", "1000.x.y.z", &"9".repeat(500)] {
            assert_eq!(holds(odd, &right, 1000), None, "{odd}");
        }
    }
}
