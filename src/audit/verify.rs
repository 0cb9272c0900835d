//! Checks a chain: that no line was changed, cut out, added or moved.

use std::collections::HashSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::base::Base;
use super::chain::{self, Chain};
use super::line::{Action, Line};
use super::signer::PublicKey;
use crate::vault::VaultError;

const PAGE: usize = 512;

/// Exchanges without an end that are counted at most.
const UNFINISHED: usize = 65_536;

/// How often a check begins anew because lines were cut off under it.
const ATTEMPTS: usize = 16;

/// A chain that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verified {
    /// The number of its first line.
    pub first: u64,
    /// The number of its last line; one before the first where it is empty.
    pub last: u64,
    /// How many checkpoints it has.
    pub checkpoints: u64,
    /// Exchanges that began and of whose end no line tells, 65,536 at most: they
    /// go on, or a process broke off with them.
    pub unfinished: u64,
    /// The hash of the last line.
    pub hash: String,
}

/// A chain that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {at}: {fault}")]
pub struct Broken {
    /// The number of the line at which it shows.
    pub at: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A line is not as it was written.
    Changed,
    /// A line is missing, doubled or in another place.
    Order,
    /// A line does not go on from the one before.
    Link,
    /// The signature of a checkpoint does not hold.
    Signature,
    /// The end is missing.
    Cut,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "it was changed",
            Self::Order => "it is missing, doubled or out of its order",
            Self::Link => "it does not go on from the line before",
            Self::Signature => "its signature does not hold",
            Self::Cut => "what follows was cut off",
        })
    }
}

/// Checks line by line.
pub(super) struct Verifier {
    /// The number of the first line, and the hash of the line before it.
    first: u64,
    base: String,
    last: u64,
    hash: String,
    /// Numbers of the checkpoints, what they sign, and their signatures.
    checkpoints: Vec<(u64, String, String)>,
    checked: u64,
    /// Ids of the exchanges that go on.
    begun: HashSet<String>,
}

impl Verifier {
    /// Of a chain whose first line follows the one with this number and hash.
    pub(super) fn unsigned(seq: u64, hash: String) -> Self {
        Self {
            first: seq + 1,
            base: hash.clone(),
            last: seq,
            hash,
            checkpoints: Vec::new(),
            checked: 0,
            begun: HashSet::new(),
        }
    }

    /// The next line, as it was written.
    pub(super) fn next(&mut self, text: &[u8]) -> Result<(), Broken> {
        let at = self.last + 1;
        let broken = |fault| Broken { at, fault };
        let line = Line::read(text).map_err(|_| broken(Fault::Changed))?;
        if line.seq != at {
            return Err(broken(Fault::Order));
        }
        if line.prev != self.hash {
            return Err(broken(Fault::Link));
        }
        match line.action {
            Action::Checkpoint => {
                self.checkpoints.push((at, chain::checkpoint(line.seq, line.at, &line.prev), line.signature));
            }
            Action::Begin if self.begun.len() < UNFINISHED => _ = self.begun.insert(line.request_id),
            Action::Exchange => _ = self.begun.remove(&line.request_id),
            _ => {}
        }
        (self.last, self.hash) = (line.seq, line.hash);
        Ok(())
    }

    /// The number of the first line, and the hash that it goes on from.
    pub(super) fn start(&self) -> (u64, &String) {
        (self.first, &self.base)
    }

    /// The number and the hash of the last line so far.
    pub(super) fn end(&self) -> (u64, &str) {
        (self.last, &self.hash)
    }

    /// Checks the checkpoints so far.
    pub(super) fn check(&mut self, key: PublicKey) -> Result<(), Broken> {
        for (at, said, signature) in self.checkpoints.drain(..) {
            if !key.holds(&said, &signature) {
                return Err(Broken { at, fault: Fault::Signature });
            }
            self.checked += 1;
        }
        Ok(())
    }

    /// What was found, where all checkpoints are signed with this key.
    pub(super) fn signed_by(mut self, key: PublicKey) -> Result<Verified, Broken> {
        self.check(key)?;
        let Self { first, last, hash, checked: checkpoints, begun, .. } = self;
        Ok(Verified { first, last, checkpoints, unfinished: begun.len() as u64, hash })
    }
}

/// Checks the chain of a vault up to its head.
pub(super) async fn stored(chain: &Chain) -> Result<Result<Verified, Broken>, VaultError> {
    for _ in 0..ATTEMPTS {
        let base = chain.base().await?;
        let found = behind(chain, &base).await?;
        // What was cut off meanwhile by those who may is not missing.
        if found.is_ok() || chain.base().await? == base {
            return Ok(found);
        }
    }
    Err(VaultError::unavailable("the access log loses its old lines all the time"))
}

async fn behind(chain: &Chain, base: &Base) -> Result<Result<Verified, Broken>, VaultError> {
    if !base.holds(chain.public_key()) {
        return Ok(Err(Broken { at: base.seq + 1, fault: Fault::Signature }));
    }
    let head = chain.head().await?;
    let mut verifier = Verifier::unsigned(base.seq, base.hash.clone());
    while verifier.end().0 < head.seq {
        let at = verifier.end().0 + 1;
        let page = match chain.whole(verifier.end().0, PAGE).await {
            Ok(page) => page,
            // What does not open is not what was written.
            Err(VaultError::Corrupt { .. }) => return Ok(Err(Broken { at, fault: Fault::Changed })),
            Err(error) => return Err(error),
        };
        if page.is_empty() {
            return Ok(Err(Broken { at, fault: Fault::Cut }));
        }
        for (key, text) in page {
            let at = verifier.end().0 + 1;
            if at > head.seq {
                break;
            }
            if key != at.to_be_bytes() {
                return Ok(Err(Broken { at, fault: Fault::Order }));
            }
            let next = verifier.next(&text);
            if let Err(broken) = next.and_then(|()| verifier.check(chain.public_key())) {
                return Ok(Err(broken));
            }
        }
    }
    if verifier.end() != (head.seq, head.hash.as_str()) {
        return Ok(Err(Broken { at: head.seq, fault: Fault::Link }));
    }
    Ok(verifier.signed_by(chain.public_key()))
}
