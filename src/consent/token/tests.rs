//! Tokens that hold, and all that is like them and does not.

use super::*;
use crate::consent::Answer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use proptest::prelude::*;
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"a secret of thirty-two bytes, at least";

/// Signs as a site does, by each algorithm.
struct Site {
    ed: Ed25519KeyPair,
    ec: EcdsaKeyPair,
    rsa: RsaKeyPair,
    secret: hmac::Key,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Site {
    fn new() -> Self {
        Self {
            ed: Ed25519KeyPair::generate().unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            secret: hmac::Key::new(hmac::HMAC_SHA256, SECRET),
        }
    }

    fn jwks(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encode(self.ed.public_key())},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "x": encode(&point[1..33]), "y": encode(&point[33..])},
            {"kty": "RSA", "kid": "rsa", "alg": "RS256", "use": "sig",
             "n": encode(self.modulus()), "e": encode([1, 0, 1])},
            {"kty": "oct", "kid": "shared", "k": encode(SECRET)},
        ]})
    }

    /// Where it stands in the key's encoding (RFC 8017 appendix A.1.1).
    fn modulus(&self) -> &[u8] {
        &self.rsa.public_key().as_ref()[9..265]
    }

    fn keys(&self) -> Keys {
        Keys::parse(self.jwks().to_string().as_bytes()).unwrap()
    }

    fn sign(&self, by: &str, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match by {
            "EdDSA" => self.ed.sign(signed.as_bytes()).as_ref().to_vec(),
            "ES256" => self.ec.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            "RS256" => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            "HS256" => hmac::sign(&self.secret, signed.as_bytes()).as_ref().to_vec(),
            _ => Vec::new(),
        };
        format!("{signed}.{}", encode(signature))
    }

    fn verify(&self, token: &str) -> Result<Claims, Refused> {
        self.verify_for(token, &Expected::default())
    }

    fn verify_for(&self, token: &str, expected: &Expected) -> Result<Claims, Refused> {
        verify(token, &self.keys(), Some(&self.secret), expected, NOW)
    }
}

fn good() -> Value {
    json!({"sub": "u1", "iat": NOW - 10, "exp": NOW + 60, "purposes": {"support": true, "ads": false, "x": 1},
           "policy": "2026-05", "method": "click", "jti": "one"})
}

fn with(changes: &Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn each_algorithm_is_verified_by_its_own_key() {
    let site = Site::new();
    for (algorithm, kid) in [("EdDSA", "ed"), ("ES256", "ec"), ("RS256", "rsa"), ("HS256", "none")] {
        let with_id = site.sign(algorithm, &json!({"alg": algorithm, "kid": kid, "typ": "JWT"}), &good());
        let claims = site.verify(&with_id).unwrap();
        assert_eq!((claims.subject.as_str(), claims.id.as_deref(), claims.expires), ("u1", Some("one"), NOW + 60));
        assert_eq!(claims.said.answer("support"), Answer::Given);
        assert_eq!(claims.said.answer("ads"), Answer::Refused);
        assert_eq!(claims.said.answer("x"), Answer::Silent);
        assert_eq!((claims.said.policy.as_deref(), claims.said.at), (Some("2026-05"), Some(NOW - 10)));
        let without_id = site.sign(algorithm, &json!({"alg": algorithm}), &good());
        assert_eq!(site.verify(&without_id), Ok(claims), "{algorithm}");
    }
}

#[test]
fn a_token_does_not_choose_how_it_is_looked_at() {
    let site = Site::new();
    for (by, header, wanted) in [
        ("", json!({"alg": "none"}), Refused::Algorithm),
        ("", json!({"alg": "None", "kid": "ed"}), Refused::Algorithm),
        ("EdDSA", json!({"kid": "ed"}), Refused::Algorithm),
        ("EdDSA", json!({"alg": "EdDSA", "kid": "rsa"}), Refused::Algorithm),
        ("EdDSA", json!({"alg": "RS256", "kid": "ed"}), Refused::Algorithm),
        ("EdDSA", json!({"alg": "RS256", "kid": "rsa"}), Refused::Signature),
        ("EdDSA", json!({"alg": "RS256"}), Refused::Signature),
        ("RS256", json!({"alg": "RS512", "kid": "rsa"}), Refused::Algorithm),
        ("HS256", json!({"alg": "RS256", "kid": "shared"}), Refused::UnknownKey),
        ("HS256", json!({"alg": "HS384"}), Refused::Algorithm),
        ("EdDSA", json!({"alg": "HS256", "kid": "ed"}), Refused::Signature),
        ("EdDSA", json!({"alg": "EdDSA", "kid": "new"}), Refused::UnknownKey),
        ("EdDSA", json!({"alg": "EdDSA", "crit": ["exp"]}), Refused::Malformed),
        ("EdDSA", json!({"alg": "EdDSA", "typ": "at+jwt"}), Refused::Malformed),
        ("EdDSA", json!({"alg": "EdDSA", "jwk": {"kty": "OKP"}, "kid": "ec"}), Refused::Algorithm),
    ] {
        assert_eq!(site.verify(&site.sign(by, &header, &good())), Err(wanted), "{by} {header}");
    }
    // The public key of RSA as the secret of an HMAC (RFC 8725 section 2.1).
    let signed = format!("{}.{}", encode(r#"{"alg":"HS256","kid":"rsa"}"#), encode(good().to_string()));
    for secret in [site.rsa.public_key().as_ref(), site.modulus()] {
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        let token = format!("{signed}.{}", encode(signature));
        assert_eq!(site.verify(&token), Err(Refused::Signature));
        assert_eq!(verify(&token, &site.keys(), None, &Expected::default(), NOW), Err(Refused::Algorithm));
    }
    // The key of another site.
    let other = Site::new();
    for (algorithm, kid) in [("EdDSA", "ed"), ("ES256", "ec"), ("RS256", "rsa")] {
        let token = other.sign(algorithm, &json!({"alg": algorithm, "kid": kid}), &good());
        assert_eq!(site.verify(&token), Err(Refused::Signature), "{algorithm}");
    }
}

#[test]
fn claims_must_hold() {
    let site = Site::new();
    let hour = 3600;
    for (changes, wanted) in [
        (json!({"exp": NOW - 6}), Err(Refused::Expired)),
        (json!({"exp": NOW - 4}), Ok(())),
        (json!({"exp": null}), Err(Refused::Malformed)),
        (json!({"exp": "soon"}), Err(Refused::Malformed)),
        (json!({"exp": NOW as f64 + 0.5}), Ok(())),
        (json!({"nbf": NOW + hour}), Err(Refused::NotYet)),
        (json!({"iat": NOW + hour}), Err(Refused::NotYet)),
        (json!({"iat": NOW + 3}), Ok(())),
        (json!({"aud": "somebody"}), Err(Refused::Audience)),
        (json!({"sub": ""}), Err(Refused::Subject)),
        (json!({"sub": 7}), Err(Refused::Subject)),
        (json!({"sub": "Zo\u{eb}"}), Err(Refused::Subject)),
        (json!({"sub": "auth0|5f"}), Ok(())),
        (json!({"jti": 7}), Err(Refused::Malformed)),
        (json!({"purposes": ["support"]}), Err(Refused::Malformed)),
        (json!({"policy": 7}), Err(Refused::Malformed)),
    ] {
        let token = site.sign("HS256", &json!({"alg": "HS256"}), &with(&changes));
        assert_eq!(site.verify(&token).map(|_| ()), wanted, "{changes}");
    }
    let mut without = good();
    without.as_object_mut().unwrap().remove("exp");
    assert_eq!(site.verify(&site.sign("HS256", &json!({"alg": "HS256"}), &without)), Err(Refused::Expired));

    let expected = Expected { audience: Some("privet".to_owned()), issuer: Some("https://shop.example".to_owned()) };
    let ours = json!({"aud": "privet", "iss": "https://shop.example"});
    for (changes, wanted) in [
        (ours.clone(), Ok(())),
        (json!({"aud": ["a", "privet"], "iss": "https://shop.example"}), Ok(())),
        (json!({"iss": "https://shop.example"}), Err(Refused::Audience)),
        (json!({"aud": ["a"], "iss": "https://shop.example"}), Err(Refused::Audience)),
        (json!({"aud": "privet"}), Err(Refused::Issuer)),
        (json!({"aud": "privet", "iss": "https://shop.example/"}), Err(Refused::Issuer)),
    ] {
        let token = site.sign("EdDSA", &json!({"alg": "EdDSA"}), &with(&changes));
        assert_eq!(site.verify_for(&token, &expected).map(|_| ()), wanted, "{changes}");
    }
}

#[test]
fn a_member_that_is_named_twice_is_refused() {
    let site = Site::new();
    for payload in [
        format!(r#"{{"sub":"u1","exp":{0},"exp":{0}}}"#, NOW + 60),
        format!(r#"{{"sub":"u1","exp":{},"purposes":{{"support":false,"support":true}}}}"#, NOW + 60),
    ] {
        let signed = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(payload));
        let token = format!("{signed}.{}", encode(hmac::sign(&site.secret, signed.as_bytes())));
        assert_eq!(site.verify(&token), Err(Refused::Malformed));
    }
}

#[test]
fn a_set_of_keys_must_hold_one_that_can_be_used() {
    let parse = |document: Value| Keys::parse(document.to_string().as_bytes()).map(|keys| keys.len());
    let site = Site::new();
    assert_eq!(parse(site.jwks()), Ok(3));
    assert_eq!(parse(json!({"keys": []})).unwrap_err(), BadKeys::NoKey);
    assert_eq!(parse(json!([])).unwrap_err(), BadKeys::NoSet);
    assert_eq!(parse(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "d": "x"}]})).unwrap_err(), BadKeys::Private);
    let mut other_use = site.jwks();
    other_use["keys"][0]["use"] = json!("enc");
    other_use["keys"][1]["key_ops"] = json!(["sign"]);
    other_use["keys"][2]["alg"] = json!("PS256");
    assert_eq!(parse(other_use).unwrap_err(), BadKeys::NoKey);
    let mut short = site.jwks();
    short["keys"][2]["n"] = json!(encode([0xff; 128]));
    assert_eq!(parse(short), Ok(2));
}

proptest! {
    #[test]
    fn no_bent_token_holds(at in 0..2000usize, bit in 0..8u8, by in 0..4usize) {
        static SITE: std::sync::LazyLock<Site> = std::sync::LazyLock::new(Site::new);
        let algorithm = ["EdDSA", "ES256", "RS256", "HS256"][by];
        let token = SITE.sign(algorithm, &json!({"alg": algorithm}), &good());
        let mut bytes = token.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(bent) = String::from_utf8(bytes) {
            prop_assert!(SITE.verify(&bent).is_err(), "{bent}");
        }
        prop_assert!(SITE.verify(&token[..at]).is_err());
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}|[A-Za-z0-9_.-]{0,200}") {
        let keys = Keys::default();
        prop_assert!(verify(&text, &keys, None, &Expected::default(), NOW).is_err());
        prop_assert!(Keys::parse(text.as_bytes()).is_err());
    }
}
