//! Sets of public keys (JWK Set, RFC 7517).

use super::Refused;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The most keys of a set that are taken.
const MAX_KEYS: usize = 64;

/// The public keys of a site.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Debug, Clone)]
enum Public {
    Ed25519(Vec<u8>),
    P256(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// A document that is no set of keys, or one without a key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// It has another form.
    #[error("it is no JWK Set (RFC 7517)")]
    NoSet,
    /// No key of it is for `EdDSA`, `ES256` or `RS256`.
    #[error("it holds no public key for EdDSA (Ed25519), ES256 or RS256")]
    NoKey,
    /// It holds secrets that belong to the signer alone.
    #[error("it holds a private key; publish the public half alone")]
    Private,
}

impl Keys {
    /// Reads a JWK Set. Keys of other kinds and uses are passed over.
    pub fn parse(document: &[u8]) -> Result<Self, BadKeys> {
        let document = parse(document).ok_or(BadKeys::NoSet)?;
        let Some(Value::Array(all)) = document.get("keys") else { return Err(BadKeys::NoSet) };
        let all: Vec<_> = all.iter().take(MAX_KEYS).filter_map(Value::as_object).collect();
        if all.iter().any(|key| key.contains_key("d")) {
            return Err(BadKeys::Private);
        }
        let keys: Vec<Key> = all.into_iter().filter_map(Key::read).collect();
        if keys.is_empty() { Err(BadKeys::NoKey) } else { Ok(Self(keys)) }
    }

    /// How many keys can be used.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `signature` is that of a key of this algorithm; of the one with
    /// this id, where the token names one.
    pub(super) fn verify(
        &self,
        algorithm: &str,
        id: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), Refused> {
        if !["EdDSA", "ES256", "RS256"].contains(&algorithm) {
            return Err(Refused::Algorithm);
        }
        let named = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let mut named = self.0.iter().filter(named).peekable();
        if named.peek().is_none() {
            return Err(Refused::UnknownKey);
        }
        let mut fit = named.filter(|key| key.public.algorithm() == algorithm).peekable();
        if fit.peek().is_none() {
            return Err(Refused::Algorithm);
        }
        if fit.any(|key| key.public.verifies(signed, signature)) { Ok(()) } else { Err(Refused::Signature) }
    }
}

impl Key {
    fn read(key: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let public = match (text("kty")?, text("crv")) {
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x").filter(|x| x.len() == 32)?, bytes("y").filter(|y| y.len() == 32)?);
                // The uncompressed point (SEC 1 section 2.3.3).
                Public::P256([&[4], x.as_slice(), &y].concat())
            }
            // Shorter ones could be factored (RFC 7518 section 3.3).
            ("RSA", _) => Public::Rsa { n: bytes("n").filter(|n| n.len() >= 256)?, e: bytes("e")? },
            _ => return None,
        };
        let may_verify = match key.get("key_ops") {
            None => true,
            Some(operations) => operations.as_array()?.iter().any(|operation| operation == "verify"),
        };
        let fits = text("alg").is_none_or(|named| named == public.algorithm())
            && text("use").is_none_or(|named| named == "sig")
            && may_verify;
        fits.then(|| Self { id: text("kid").map(str::to_owned), public })
    }
}

impl Public {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::Rsa { .. } => "RS256",
        }
    }

    fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(signed, signature).is_ok(),
            Self::P256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed, signature).is_ok(),
            Self::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
            }
        }
    }
}

/// JSON in which no member is named twice: two readers could take different
/// ones (RFC 8725 section 2.4).
pub(super) fn parse(text: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Once>(text).ok().map(|once| once.0)
}

struct Once(Value);

impl<'de> serde::Deserialize<'de> for Once {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> serde::de::Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Once(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Once(value))) = members.next_entry::<String, Once>()? {
            if all.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("a member is named twice"));
            }
        }
        Ok(Value::Object(all))
    }
}
