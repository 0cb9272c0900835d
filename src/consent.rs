//! Consent at the wire: what a `Privet-Consent` header says about the purpose
//! of a route, and the ids that `Privet-Subject` and `Privet-Conversation`
//! carry. Pure functions over header text (Structured Fields, RFC 9651).
//!
//! Everything fails closed: a header that does not parse, or does not hold,
//! counts as absent, and an absent header gives nothing.

mod header;
mod id;

pub use id::{BadHeader, MAX_ID, subject_id};

use crate::config::{Basis, ConsentConfig, Purpose};
use header::{Answer, Statement};

/// The longest `Privet-Consent` that is read, in bytes. A longer one counts
/// as absent: it bounds the work that a client can ask for.
pub const MAX_CONSENT_HEADER: usize = 4096;

/// The members of `Privet-Consent` that describe the consent itself and so
/// cannot name a purpose.
pub const RESERVED_MEMBERS: [&str; 3] = ["policy", "method", "at"];

/// What one request presents about consent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presented<'a> {
    /// The value of `Privet-Consent`; several header lines joined by `", "`
    /// (RFC 9651 section 4.2).
    pub consent: Option<&'a str>,
    /// Whether the request carries `Sec-GPC: 1` (Global Privacy Control).
    pub gpc: bool,
}

/// Whether the purpose may be served.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// The purpose may be served.
    Given,
    /// It may not. Whether that blocks or anonymizes is the route's to say.
    Missing(Refusal),
}

/// Why a purpose may not be served, and what the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which of the two problems it is.
    pub kind: RefusalKind,
    /// The purposes for which consent is missing.
    pub missing: Vec<String>,
    /// The address of the notice to consent to.
    pub notice: String,
}

/// The problem that a refusal is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// `urn:privet:problem:consent-required`: no consent, a refusal, or an objection.
    Required,
    /// `urn:privet:problem:consent-stale`: consent to a version of the notice
    /// that is no longer accepted.
    Stale,
}

/// Decides whether `purpose` may be served with what the request presents.
///
/// A purpose on the basis of consent needs a member with its name and the
/// value true, under an accepted version of the notice, and no objection. A
/// purpose on legitimate interest needs no header, but yields to an objection
/// (GDPR Article 21): `Sec-GPC: 1` where it is marked as sale, sharing or
/// profiling, or a member that refuses it. The other bases ask for nothing.
pub fn decide(presented: &Presented<'_>, purpose: &Purpose, config: &ConsentConfig) -> Decision {
    let objected = presented.gpc && purpose.yields_to_gpc();
    let refusal = match purpose.basis {
        Basis::Consent if objected => Some(RefusalKind::Required),
        Basis::Consent => judge(presented.consent, &purpose.name, config).err(),
        Basis::LegitimateInterest => {
            let refused =
                || Statement::read(presented.consent, &purpose.name).is_some_and(|said| said.answer == Answer::Refused);
            (objected || refused()).then_some(RefusalKind::Required)
        }
        Basis::Contract | Basis::LegalObligation | Basis::VitalInterests | Basis::PublicTask => None,
    };
    match refusal {
        None => Decision::Given,
        Some(kind) => {
            Decision::Missing(Refusal { kind, missing: vec![purpose.name.clone()], notice: config.notice_url.clone() })
        }
    }
}

fn judge(header: Option<&str>, purpose: &str, config: &ConsentConfig) -> Result<(), RefusalKind> {
    let said = Statement::read(header, purpose).ok_or(RefusalKind::Required)?;
    if said.answer != Answer::Given {
        return Err(RefusalKind::Required);
    }
    match (&said.policy, &config.policy) {
        (Some(version), Some(_)) if !config.accepts(version) => Err(RefusalKind::Stale),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
