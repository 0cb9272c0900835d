//! Who asks: an operator by its key, or whoever holds the deployment's key by
//! a MAC. Failed log-ins are counted, and limited for each address.

mod proof;
mod throttle;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{digest, rand};
use axum::http::{header, request};

use super::api::Who;
use super::operators::{Operators, PREFIX};
use crate::clock;
use crate::hex;
use crate::problem::{Problem, ProblemKind};
use crate::telemetry::{Login as Outcome, Metrics};
use crate::vault::Vault;

pub use proof::{Proofs, SCHEME};
use throttle::Throttle;

/// How many keys are remembered that were good, so that a wrong one from the
/// same address does not shut out who has the right one.
const KNOWN: usize = 1024;

/// The address of the client, where the listener knows it.
#[derive(Debug, Clone, Copy)]
pub struct From(pub IpAddr);

/// Who may come in.
#[derive(Debug)]
pub struct Logins {
    /// By keys of their own.
    pub operators: Operators,
    /// By the deployment's key; none where that does not lie in this process.
    proofs: Option<Proofs>,
    vault: Vault,
    /// That of the vault when it was opened.
    epoch: u64,
    throttle: Throttle,
    known: Mutex<HashSet<[u8; 32]>>,
    metrics: Arc<Metrics>,
}

/// The request was made in this process, by a command that holds the vault.
#[derive(Debug, Clone, Copy)]
pub struct Inside;

/// A login that holds.
pub(super) struct Login {
    pub(super) who: Who,
    /// The SHA-256 that it binds the body to.
    body: Option<[u8; 32]>,
}

impl Login {
    /// Refuses another body than the one that the login was made for.
    pub(super) fn covers(&self, body: &[u8]) -> Result<(), Problem> {
        match self.body {
            Some(hash) if hash != sha256(body) => Err(unauthorized("The proof is that of another body.")),
            _ => Ok(()),
        }
    }
}

impl Logins {
    /// Those of a vault, and whoever gives a proof.
    pub fn new(vault: &Vault, proofs: Option<Proofs>, metrics: Arc<Metrics>) -> Self {
        let (operators, epoch, vault) = (Operators::new(vault), vault.epoch(), vault.clone());
        Self { operators, proofs, vault, epoch, throttle: Throttle::default(), known: Mutex::default(), metrics }
    }

    /// Who sent a request with this head. Nothing of the body is needed, so
    /// nothing of it is read from who has no login.
    ///
    /// # Errors
    ///
    /// `unauthorized` without a login that holds, `rate-limited` after too many
    /// of them, `vault-unavailable` where the operators cannot be read.
    pub(super) async fn who(&self, head: &request::Parts) -> Result<Login, Problem> {
        if head.extensions.get::<Inside>().is_some() {
            return Ok(Login { who: Who::KeyHolder, body: None });
        }
        let given = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, given)) = given.and_then(|given| given.split_once(' ')) else {
            return Err(unauthorized("Log in with the key of an operator: `Authorization: Bearer pvk_…`."));
        };
        let from = head.extensions.get::<From>().map(|from| from.0);
        let found = if scheme.eq_ignore_ascii_case("Bearer") {
            self.operator(given.trim(), from).await?.map(|who| Login { who, body: None })
        } else if scheme.eq_ignore_ascii_case(SCHEME) {
            // Of a key of 256 bits nothing is learned by trying, and whoever
            // fails often must not keep a command of this machine out.
            let body = match &self.proofs {
                Some(proofs) => self.proven(proofs, given, head)?,
                None => None,
            };
            body.map(|body| Login { who: Who::KeyHolder, body: Some(body) })
        } else {
            None
        };
        match found {
            Some(login) => {
                self.metrics.login(Outcome::Ok);
                Ok(login)
            }
            None if self.throttle.failed(from) => {
                self.metrics.login(Outcome::Limited);
                Err(Problem::new(ProblemKind::RateLimited, "Too many log-ins failed from this address; wait a minute."))
            }
            None => {
                self.metrics.login(Outcome::Refused);
                tracing::warn!("A log-in to the admin API was refused.");
                Err(unauthorized("The key is not that of an operator, or it has ended."))
            }
        }
    }

    /// The SHA-256 of the body that a proof is for. Where the vault's key was
    /// changed since, here or by another process, it is the new one that
    /// proves, and the one that went proves nothing.
    fn proven(&self, proofs: &Proofs, given: &str, head: &request::Parts) -> Result<Option<[u8; 32]>, Problem> {
        let epoch = self.vault.epoch();
        if epoch != self.epoch {
            proofs.follow(epoch, || self.vault.keys_in_use())?;
        }
        Ok(proofs.hold(given, head, clock::unix_seconds()))
    }

    async fn operator(&self, key: &str, from: Option<IpAddr>) -> Result<Option<Who>, Problem> {
        if !key.starts_with(PREFIX) || key.len() > 64 {
            return Ok(None);
        }
        let hash = sha256(key.as_bytes());
        let is_known = self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash);
        if !is_known && self.throttle.is_over(from) {
            return Ok(None);
        }
        let found = self.operators.of_key(key).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_none() {
            known.remove(&hash);
        } else if !is_known {
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(hash);
        }
        Ok(found.map(|operator| Who::Operator { name: operator.name.to_string(), role: operator.role }))
    }
}

fn unauthorized(detail: &'static str) -> Problem {
    Problem::new(ProblemKind::Unauthorized, detail)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

/// A new id for a request: 24 hexadecimal digits, random.
pub(super) fn request_id() -> String {
    let mut id = [0_u8; 12];
    // Without random numbers the id is no id, and nothing depends on it.
    let _ = rand::fill(&mut id);
    hex::encode(&id)
}
