//! Consent at the wire: what headers, signed tokens and the record say about
//! the purpose of a route, and the ids that `Privet-Subject` and
//! `Privet-Conversation` carry. Pure functions (Structured Fields, RFC 9651;
//! JSON Web Tokens, RFC 7519).
//!
//! Everything fails closed: what does not parse, verify or hold counts as
//! absent, and what is absent gives nothing.

mod header;
mod id;
mod said;
pub mod token;

pub use header::read_header;
pub use id::{BadHeader, MAX_ID, is_id, subject_id};
pub use said::{AHEAD, Answer, Said, is_act};

use crate::config::{Basis, ConsentConfig, Purpose};

/// The longest `Privet-Consent` that is read, in bytes. A longer one counts
/// as absent: it bounds the work that a client can ask for.
pub const MAX_CONSENT_HEADER: usize = 4096;

/// The members of `Privet-Consent` that describe the consent itself and so
/// cannot name a purpose.
pub const RESERVED_MEMBERS: [&str; 3] = ["policy", "method", "at"];

/// What one request presents about consent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presented<'a> {
    /// What `Privet-Consent` says, where it can be read.
    pub header: Option<&'a Said<'a>>,
    /// What `Privet-Consent-Token` says, where it holds.
    pub token: Option<&'a Said<'a>>,
    /// Whether the request carries `Sec-GPC: 1` (Global Privacy Control).
    pub gpc: bool,
    /// The time, in Unix seconds.
    pub now: u64,
}

/// What the record of a subject says of one purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The consent that stands.
    pub given: Option<Given>,
    /// When it was withdrawn, in Unix seconds, where nothing was given since.
    pub withdrawn: Option<u64>,
}

/// A consent that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The version of the notice.
    pub policy: Option<String>,
    /// By what act.
    pub method: Option<String>,
    /// Whether the site has signed it.
    pub signed: bool,
    /// When it was recorded, in Unix seconds.
    pub time: u64,
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

impl Refusal {
    /// That of one purpose.
    pub fn of(kind: RefusalKind, purpose: &Purpose, config: &ConsentConfig) -> Self {
        Self { kind, missing: vec![purpose.name.clone()], notice: config.notice_url.clone() }
    }
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

/// Decides whether `purpose` may be served with what the request presents and
/// what the record of its subject says.
///
/// A purpose on the basis of consent needs an answer true, by the header, the
/// token or the record, under an accepted version of the notice, and neither an
/// objection nor an answer false. After a withdrawal the header and the token
/// count only where they were said later. A purpose on legitimate interest
/// needs no header, but yields to an objection (GDPR Article 21): `Sec-GPC: 1`
/// where it is marked as sale, sharing or profiling, a member that refuses it,
/// or one that stands in the record. The other bases ask for nothing.
pub fn decide(presented: &Presented<'_>, standing: &Standing, purpose: &Purpose, config: &ConsentConfig) -> Decision {
    let refusal = match purpose.basis {
        Basis::Consent => judge(presented, standing, purpose, config).err(),
        Basis::LegitimateInterest => is_objected(presented, standing, purpose).then_some(RefusalKind::Required),
        Basis::Contract | Basis::LegalObligation | Basis::VitalInterests | Basis::PublicTask => None,
    };
    match refusal {
        None => Decision::Given,
        Some(kind) => Decision::Missing(Refusal::of(kind, purpose, config)),
    }
}

fn judge(
    presented: &Presented<'_>,
    standing: &Standing,
    purpose: &Purpose,
    config: &ConsentConfig,
) -> Result<(), RefusalKind> {
    let refuses = |said: Option<&Said<'_>>| said.is_some_and(|said| said.answer(&purpose.name) == Answer::Refused);
    if is_objected_by_signal(presented, purpose) || refuses(presented.header) || refuses(presented.token) {
        return Err(RefusalKind::Required);
    }
    let mut refusal = RefusalKind::Required;
    // What nobody has signed may refuse, and gives nothing where a signature is asked for.
    let header = presented.header.filter(|_| !config.require_signed);
    for said in [presented.token, header].into_iter().flatten() {
        let counts = said.answer(&purpose.name) == Answer::Given
            && standing.withdrawn.is_none_or(|withdrawn| said.is_after(withdrawn, presented.now))
            && (!purpose.explicit || said.is_explicit());
        match &said.policy {
            _ if !counts => {}
            Some(version) if !config.accepts(version) => refusal = RefusalKind::Stale,
            _ => return Ok(()),
        }
    }
    let Some(given) = &standing.given else { return Err(refusal) };
    let is_explicit = given.method.as_deref().is_some_and(is_act);
    if (config.require_signed && !given.signed) || (purpose.explicit && !is_explicit) {
        return Err(refusal);
    }
    match &given.policy {
        Some(version) if !config.accepts(version) => Err(RefusalKind::Stale),
        _ => Ok(()),
    }
}

fn is_objected(presented: &Presented<'_>, standing: &Standing, purpose: &Purpose) -> bool {
    let said = [presented.token, presented.header];
    let answers = |wanted| move |said: &&Said<'_>| said.answer(&purpose.name) == wanted;
    if is_objected_by_signal(presented, purpose) || said.iter().flatten().any(answers(Answer::Refused)) {
        return true;
    }
    standing.withdrawn.is_some_and(|withdrawn| {
        let mut again = said.iter().flatten().filter(|said| answers(Answer::Given)(said));
        !again.any(|said| said.is_after(withdrawn, presented.now))
    })
}

/// Whether `Sec-GPC: 1` objects to the purpose.
pub fn is_objected_by_signal(presented: &Presented<'_>, purpose: &Purpose) -> bool {
    presented.gpc && purpose.yields_to_gpc()
}

#[cfg(test)]
mod tests;
