//! The signed confirmation of a case: what was done and when, with no word
//! about whom. A JSON Web Signature (RFC 7515) by Ed25519 (RFC 8037), so any
//! library for JWS verifies it with the public key that the gateway shows.

use super::case::Case;
use super::{RightsError, random};
use crate::clock::Time;
use crate::hex;
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, Records};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use std::fmt;
use zeroize::Zeroizing;

/// The record of the deployment that holds the seed of its key.
const KEY: &[u8] = b"confirmations";
const SEED: usize = 32;

/// Signs the confirmations of a deployment.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// The deployment's own, which is made where there is none: it is random
    /// and kept by the vault, so that rotating keys changes nothing and every
    /// replica signs alike.
    pub async fn of(records: &Records) -> Result<Self, RightsError> {
        loop {
            if let Some(seed) = records.get(Owner::Deployment, Space::Signer, KEY).await? {
                return Self::from_seed(&Zeroizing::new(seed));
            }
            let seed = random::<SEED>()?;
            let change = RecordChange {
                owner: Owner::Deployment,
                space: Space::Signer,
                key: KEY,
                expected: Expected::Absent,
                value: Some(&seed[..]),
            };
            if records.write(&[change], None).await? {
                return Self::from_seed(&seed[..]);
            }
            // Another replica was first: its key stands.
        }
    }

    fn from_seed(seed: &[u8]) -> Result<Self, RightsError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| RightsError::Signer)
    }

    /// The confirmation that a case is done: a JWS in compact form.
    pub fn confirm(&self, case: &Case, now: Time) -> String {
        let payload = json!({
            "type": "privet-confirmation",
            "case": case.id,
            "kind": case.kind,
            "received": case.received,
            "done": now,
            "verification": case.verification,
            "counts": case.proof.as_ref().map(|proof| &proof.counts),
            "sha256": case.proof.as_ref().and_then(|proof| proof.sha256.as_ref()),
        });
        self.sign(&payload)
    }

    fn sign(&self, payload: &Value) -> String {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": self.id()});
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(payload.to_string()));
        let signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature.as_ref()))
    }

    /// The public key as a JWK (RFC 7517, RFC 8037 section 2).
    pub fn public_key(&self) -> Value {
        let x = BASE64.encode(self.0.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id(), "x": x})
    }

    fn id(&self) -> String {
        let public = self.0.public_key().as_ref();
        hex::encode(public.get(..8).unwrap_or(public))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::{Kind, Proof, Step, Verification};
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    fn verified(jws: &str, key: &Value) -> Option<Value> {
        let (signed, signature) = jws.rsplit_once('.')?;
        let key = BASE64.decode(key["x"].as_str()?).ok()?;
        let signature = BASE64.decode(signature).ok()?;
        UnparsedPublicKey::new(&ED25519, key).verify(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&BASE64.decode(signed.split_once('.')?.1).ok()?).ok()
    }

    #[test]
    fn a_confirmation_verifies_and_names_nobody() {
        let signer = Signer::from_seed(&[7; 32]).unwrap();
        let mut case = Case::received("01CASE".into(), "default", "feedc0de".into(), Kind::Erasure, "person", Time(1));
        case.take(Step::Verify(Verification::AccountToken), "person", Time(2)).unwrap();
        case.take(Step::Locate([("EMAIL".into(), 3)].into()), "person", Time(2)).unwrap();
        let proof = Proof { counts: [("values".into(), 3)].into(), ..Proof::default() };
        case.take(Step::Finish(proof), "person", Time(2)).unwrap();
        let jws = signer.confirm(&case, Time(1_767_225_600));
        let payload = verified(&jws, &signer.public_key()).unwrap();
        assert_eq!(payload["case"], "01CASE");
        assert_eq!(payload["done"], "2026-01-01T00:00:00Z");
        assert_eq!(payload["counts"], json!({"values": 3}));
        assert!(!payload.to_string().contains("feedc0de"), "not even the hash of the subject");
        let other = Signer::from_seed(&[8; 32]).unwrap();
        assert_eq!(verified(&jws, &other.public_key()), None);
        assert_eq!(verified(&jws.replacen('.', "A.", 1), &signer.public_key()), None);
    }
}
