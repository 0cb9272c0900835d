//! `Privet-Consent-Token`: consent as the claims of a JSON Web Token (RFC 7519)
//! that the site has signed (RFC 7515): `EdDSA` with Ed25519 (RFC 8037),
//! `ES256`, `RS256` by a set of keys (RFC 7517), `HS256` by a shared secret
//! (RFC 7518).
//!
//! The key decides by which algorithm it verifies; the token's own word can
//! only agree, so that no token chooses how it is looked at (RFC 8725 section 2.1).

mod keys;

pub use keys::{BadKeys, Keys};

use super::{Said, is_id, said};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN: usize = 8192;

/// How far clocks may be apart where a token expires or begins, in seconds.
pub const LEEWAY: u64 = 5;

/// The longest `jti`, in bytes.
const MAX_JTI: usize = 256;

/// What a token must fit beside its signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whom it must be for (`aud`). Without it a token for somebody is refused.
    pub audience: Option<String>,
    /// Who must have made it (`iss`).
    pub issuer: Option<String>,
}

/// What a token says that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The person, `sub`.
    pub subject: String,
    /// Its own id, `jti`.
    pub id: Option<String>,
    /// When it was made, `iat`, in Unix seconds.
    pub issued: Option<u64>,
    /// When it expires, `exp`, in Unix seconds.
    pub expires: u64,
    /// What it is good for beside consent, `scope` (RFC 8693 section 4.2).
    pub scope: Option<String>,
    /// The tenant of the person, `tenant`.
    pub tenant: Option<String>,
    /// The consent. Its time is `at`, else `iat`.
    pub said: Said<'static>,
}

/// Why a token does not hold. All of it counts as absent; the reason is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// It is no JWT, or one of a form that is not taken.
    #[error("it is no token of the form that is taken")]
    Malformed,
    /// Its algorithm is not among those that are taken, or not that of its key.
    #[error("its algorithm is not taken")]
    Algorithm,
    /// No key has its `kid`.
    #[error("no key has its id")]
    UnknownKey,
    /// The signature is not that of a key.
    #[error("its signature does not hold")]
    Signature,
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// It is not valid yet.
    #[error("it is not valid yet")]
    NotYet,
    /// It is for somebody else.
    #[error("its audience is another")]
    Audience,
    /// Somebody else has made it.
    #[error("its issuer is another")]
    Issuer,
    /// It names no subject.
    #[error("it names no subject")]
    Subject,
}

/// Verifies a token at the time `now` (Unix seconds), by the keys of the set
/// and by the shared secret, and reads its claims.
pub fn verify(
    token: &str,
    keys: &Keys,
    secret: Option<&hmac::Key>,
    expected: &Expected,
    now: u64,
) -> Result<Claims, Refused> {
    if token.len() > MAX_TOKEN {
        return Err(Refused::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(Refused::Malformed)?;
    let header = object(header)?;
    check_signature(&header, signed.as_bytes(), &decode(signature)?, keys, secret)?;
    claims(&object(payload)?, expected, now)
}

fn check_signature(
    header: &Map<String, Value>,
    signed: &[u8],
    signature: &[u8],
    keys: &Keys,
    secret: Option<&hmac::Key>,
) -> Result<(), Refused> {
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    // What a critical extension means nobody here knows (RFC 7515 section 4.1.11).
    if header.contains_key("crit") || header.get("typ").is_some_and(|typ| !is_jwt(typ)) {
        return Err(Refused::Malformed);
    }
    let algorithm = text("alg").ok_or(Refused::Algorithm)?;
    if algorithm == "HS256" {
        let secret = secret.ok_or(Refused::Algorithm)?;
        return hmac::verify(secret, signed, signature).map_err(|_| Refused::Signature);
    }
    keys.verify(algorithm, text("kid"), signed, signature)
}

/// Tokens of other kinds are told apart by their `typ` (RFC 8725 section 3.11).
fn is_jwt(typ: &Value) -> bool {
    typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT"))
}

fn claims(payload: &Map<String, Value>, expected: &Expected, now: u64) -> Result<Claims, Refused> {
    let time = |name: &str| match payload.get(name) {
        None => Ok(None),
        Some(value) => said::seconds(value).map(Some).ok_or(Refused::Malformed),
    };
    let expires = time("exp")?.ok_or(Refused::Expired)?;
    if expires.saturating_add(LEEWAY) <= now {
        return Err(Refused::Expired);
    }
    let issued = time("iat")?;
    if [time("nbf")?, issued].into_iter().flatten().any(|from| from > now.saturating_add(LEEWAY)) {
        return Err(Refused::NotYet);
    }
    if !is_for(payload.get("aud"), expected.audience.as_deref()) {
        return Err(Refused::Audience);
    }
    if expected.issuer.is_some() && payload.get("iss").and_then(Value::as_str) != expected.issuer.as_deref() {
        return Err(Refused::Issuer);
    }
    let subject = payload.get("sub").and_then(Value::as_str).filter(|id| is_id(id)).ok_or(Refused::Subject)?;
    let id = match payload.get("jti") {
        None => None,
        Some(Value::String(id)) if id.len() <= MAX_JTI => Some(id.clone()),
        Some(_) => return Err(Refused::Malformed),
    };
    let text = |name: &str| payload.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut said = Said::of_json(payload).ok_or(Refused::Malformed)?;
    said.at = said.at.or(issued);
    Ok(Claims { subject: subject.to_owned(), id, issued, expires, scope: text("scope"), tenant: text("tenant"), said })
}

/// Whether the audience is the one that is expected. A token for somebody is
/// nobody's who has no name (RFC 7519 section 4.1.3).
fn is_for(audience: Option<&Value>, expected: Option<&str>) -> bool {
    match (audience, expected) {
        (None, None) => true,
        (Some(Value::String(one)), Some(expected)) => one == expected,
        (Some(Value::Array(several)), Some(expected)) => several.iter().any(|one| one.as_str() == Some(expected)),
        _ => false,
    }
}

fn object(part: &str) -> Result<Map<String, Value>, Refused> {
    let text = decode(part)?;
    match keys::parse(&text) {
        Some(Value::Object(members)) => Ok(members),
        _ => Err(Refused::Malformed),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed)
}

#[cfg(test)]
mod tests;
