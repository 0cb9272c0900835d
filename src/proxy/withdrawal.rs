//! Consent that is withdrawn while a connection stands open on it: whoever
//! serves the connection is told.

use siphasher::sip128::{Hasher128, SipHasher24};
use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// The connections that stand open on somebody's consent.
pub(super) struct Withdrawals {
    /// The map does not tell whose consent it is: it knows hashes under a random key.
    hasher: SipHasher24,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    /// By whose consent it is, then by the number of the registration.
    connections: HashMap<u128, HashMap<u64, CancellationToken>>,
    count: u64,
}

/// A connection that is told; no more once this is dropped.
pub(super) struct Registered {
    open: Arc<Mutex<Open>>,
    whose: u128,
    number: u64,
}

impl Withdrawals {
    pub(super) fn new() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut key = [0; 16];
        aws_lc_rs::rand::fill(&mut key)?;
        Ok(Self { hasher: SipHasher24::new_with_key(&key), open: Arc::default() })
    }

    /// From now on a withdrawal of this subject's consent cancels `told`.
    pub(super) fn register(&self, tenant: &str, subject: &str, purpose: &str, told: CancellationToken) -> Registered {
        let whose = self.hash(tenant, subject, purpose);
        let mut open = lock(&self.open);
        open.count += 1;
        let number = open.count;
        open.connections.entry(whose).or_default().insert(number, told);
        Registered { open: Arc::clone(&self.open), whose, number }
    }

    /// The subject has withdrawn its consent to this purpose. Gives how many
    /// connections were told.
    pub(super) fn withdraw(&self, tenant: &str, subject: &str, purpose: &str) -> usize {
        let whose = self.hash(tenant, subject, purpose);
        let told = lock(&self.open).connections.remove(&whose).unwrap_or_default();
        told.values().for_each(CancellationToken::cancel);
        told.len()
    }

    fn hash(&self, tenant: &str, subject: &str, purpose: &str) -> u128 {
        let mut hasher = self.hasher;
        for part in [tenant, subject, purpose] {
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        hasher.finish128().as_u128()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(connections) = open.connections.get_mut(&self.whose) {
            connections.remove(&self.number);
            if connections.is_empty() {
                open.connections.remove(&self.whose);
            }
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subjects_own_connections_are_told() {
        let withdrawals = Withdrawals::new().unwrap();
        let tokens: Vec<CancellationToken> = (0..5).map(|_| CancellationToken::new()).collect();
        let keys = [("a", "u1", "p"), ("a", "u1", "p"), ("a", "u2", "p"), ("b", "u1", "p"), ("a", "u1", "q")];
        let register = |((tenant, subject, purpose), token): (_, &CancellationToken)| {
            withdrawals.register(tenant, subject, purpose, token.clone())
        };
        let mut registered: Vec<Registered> = keys.into_iter().zip(&tokens).map(register).collect();
        assert_eq!(withdrawals.withdraw("a", "u1", "p"), 2);
        let told =
            |tokens: &[CancellationToken]| tokens.iter().map(CancellationToken::is_cancelled).collect::<Vec<_>>();
        assert_eq!(told(&tokens), [true, true, false, false, false]);
        registered.truncate(3);
        assert_eq!(withdrawals.withdraw("b", "u1", "p"), 0, "it has ended before");
        assert_eq!(withdrawals.withdraw("a", "u2", "p"), 1);
        drop(registered);
        assert!(lock(&withdrawals.open).connections.is_empty());
    }
}
