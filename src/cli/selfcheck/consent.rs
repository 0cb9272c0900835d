//! The consent that requests carry, as a route asks for it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::rig::Call;
use crate::clock;
use crate::config::{Basis, Config, ConsentConfig, Route};

/// By what the site signs consent during a check, whoever does it otherwise:
/// nobody else has a key of the site.
pub(super) const SECRET: &str = "signs for the length of one check";

const HEADER: &str = "privet-consent";
const TOKEN: &str = "privet-consent-token";

/// The consent that a route asks for.
pub(super) struct Consent<'c> {
    /// The purpose that has to be consented to.
    purpose: Option<&'c str>,
    config: &'c ConsentConfig,
}

impl<'c> Consent<'c> {
    pub(super) fn of(route: &Route, config: &'c Config) -> Self {
        let purpose = config.purpose(&route.purpose).filter(|purpose| purpose.basis == Basis::Consent);
        Self { purpose: purpose.map(|purpose| purpose.name.as_str()), config: &config.consent }
    }

    /// Whether anything is to be consented to.
    pub(super) fn is_asked(&self) -> bool {
        self.purpose.is_some()
    }

    /// The call with all that the route asks for: an act of this subject, in a
    /// token where the site has to sign it.
    pub(super) fn give(&self, call: Call, subject: &str) -> Call {
        if self.config.require_signed {
            return call.header(TOKEN, self.token(subject));
        }
        match self.purpose {
            Some(purpose) => call.header(HEADER, said(purpose)),
            None => call,
        }
    }

    /// The call without it; where the site has to sign, with what it has not signed.
    pub(super) fn withhold(&self, mut call: Call) -> Call {
        call.headers.retain(|(name, _)| name != HEADER && name != TOKEN);
        match self.purpose {
            Some(purpose) if self.config.require_signed => call.header(HEADER, said(purpose)),
            _ => call,
        }
    }

    /// A JSON Web Token (RFC 7519) with HS256 (RFC 7518).
    fn token(&self, subject: &str) -> String {
        let now = clock::unix_seconds();
        let mut claims = json!({"sub": subject, "iat": now, "exp": now + 3600, "method": "click"});
        let expected = &self.config.expected;
        if let Some(members) = claims.as_object_mut() {
            let purposes = self.purpose.map(|purpose| ("purposes", json!({ (purpose): true })));
            let audience = expected.audience.as_deref().map(|audience| ("aud", audience.into()));
            let issuer = expected.issuer.as_deref().map(|issuer| ("iss", issuer.into()));
            let all = [purposes, audience, issuer].into_iter().flatten();
            members.extend(all.map(|(name, value)| (name.to_owned(), value)));
        }
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&claims));
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// As a header says it (RFC 9651): by an act, which some purposes ask for.
fn said(purpose: &str) -> String {
    format!("{purpose}, method=click")
}
