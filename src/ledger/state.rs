//! What follows from the statements of a subject: a pure function of them.

use super::statement::{Act, Statement, What};
use crate::consent::{Given, Standing};
use std::collections::BTreeMap;

/// The most statements of requests between two acts. A client that makes up
/// more is one that the ledger is to be kept from.
pub const MAX_HEARD: usize = 64;

static NOTHING: Standing = Standing { given: None, withdrawn: None };

/// What stands of the consent of a subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    purposes: BTreeMap<String, Standing>,
    /// Statements of requests since the last act.
    heard: Vec<u64>,
    /// How many statements there are.
    count: u64,
}

impl State {
    /// What follows from all statements, in their order.
    pub fn derive<'s>(statements: impl IntoIterator<Item = &'s Statement>) -> Self {
        let mut state = Self::default();
        statements.into_iter().for_each(|statement| state.apply(statement));
        state
    }

    /// What follows where one more is made.
    ///
    /// A consent that was posted stands until it is withdrawn, or refused by
    /// another post; a withdrawal stands until something is posted again. What
    /// requests say is of their own affair and changes nothing.
    pub fn apply(&mut self, statement: &Statement) {
        self.count += 1;
        if statement.what.act == Act::Request {
            self.heard.push(statement.what.digest());
            return;
        }
        self.heard.clear();
        for (purpose, given) in &statement.what.purposes {
            let standing = self.purposes.entry(purpose.clone()).or_default();
            *standing = if *given && statement.what.act == Act::Given {
                let (policy, method) = (statement.what.policy.clone(), statement.what.method.clone());
                let given = Given { policy, method, signed: statement.what.signed, time: statement.time };
                Standing { given: Some(given), withdrawn: None }
            } else {
                // A clock that was set back does not make a withdrawal older.
                let withdrawn = standing.withdrawn.map_or(statement.time, |before| before.max(statement.time));
                Standing { given: None, withdrawn: Some(withdrawn) }
            };
        }
    }

    /// What stands for a purpose.
    pub fn of(&self, purpose: &str) -> &Standing {
        self.purposes.get(purpose).unwrap_or(&NOTHING)
    }

    /// The purposes of which something is known.
    pub fn purposes(&self) -> impl Iterator<Item = (&str, &Standing)> {
        self.purposes.iter().map(|(name, standing)| (name.as_str(), standing))
    }

    /// How many statements there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether a request has said the same since the last act.
    pub(super) fn has_heard(&self, what: &What) -> bool {
        self.heard.contains(&what.digest())
    }

    /// Whether requests have said as much as is kept.
    pub(super) fn is_full(&self) -> bool {
        self.heard.len() >= MAX_HEARD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Channel;
    use proptest::prelude::*;

    fn statement(act: Act, purposes: &[(&str, bool)], time: u64) -> Statement {
        let purposes: BTreeMap<_, _> = purposes.iter().map(|(name, given)| ((*name).to_owned(), *given)).collect();
        let what = What { purposes, policy: Some(format!("v{time}")), ..What::new(act, Channel::Endpoint) };
        Statement { time, what, at: None }
    }

    #[test]
    fn a_post_stands_until_it_is_withdrawn() {
        let given = statement(Act::Given, &[("support", true), ("ads", false)], 10);
        let header = statement(Act::Request, &[("support", false), ("ads", true)], 20);
        let withdrawn = statement(Act::Withdrawn, &[("support", false)], 30);
        let again = statement(Act::Given, &[("support", true)], 40);
        let all = [given, header, withdrawn, again];
        let at = |n: usize| State::derive(&all[..n]);
        assert_eq!(at(0).of("support"), &Standing::default());
        assert_eq!(at(1).of("support").given.as_ref().map(|given| given.time), Some(10));
        assert_eq!(at(1).of("ads").withdrawn, Some(10));
        assert_eq!((at(2).of("support"), at(2).of("ads")), (at(1).of("support"), at(1).of("ads")));
        assert!(at(2).has_heard(&all[1].what) && !at(3).has_heard(&all[1].what));
        assert_eq!((at(3).of("support").given.is_some(), at(3).of("support").withdrawn), (false, Some(30)));
        assert_eq!(at(4).of("support").given.as_ref().and_then(|given| given.policy.as_deref()), Some("v40"));
        assert_eq!((at(4).of("support").withdrawn, at(4).count()), (None, 4));
    }

    proptest! {
        /// Against the rule as it is told: the last act that names the purpose decides.
        #[test]
        fn the_last_act_decides(
            acts in proptest::collection::vec((0..3usize, proptest::collection::vec((0..3usize, any::<bool>()), 0..4), 0..100u64), 0..30)
        ) {
            let names = ["a", "b", "c"];
            let statements: Vec<Statement> = acts.iter().map(|(act, purposes, time)| {
                let purposes: Vec<_> = purposes.iter().map(|(name, given)| (names[*name], *given)).collect();
                statement([Act::Request, Act::Given, Act::Withdrawn][*act], &purposes, *time)
            }).collect();
            let state = State::derive(&statements);
            let in_steps = statements.iter().fold(State::default(), |mut state, one| { state.apply(one); state });
            prop_assert_eq!(&state, &in_steps);
            for name in names {
                let acts: Vec<&Statement> = statements.iter()
                    .filter(|one| one.what.act != Act::Request && one.what.purposes.contains_key(name)).collect();
                let gives = |one: &&Statement| one.what.act == Act::Given && one.what.purposes[name];
                let standing = state.of(name);
                prop_assert_eq!(standing.given.is_some(), acts.last().is_some_and(&gives));
                let since = acts.iter().rposition(gives).map_or(0, |at| at + 1);
                prop_assert_eq!(standing.withdrawn, acts[since..].iter().map(|one| one.time).max());
                prop_assert!(standing.given.is_none() || standing.withdrawn.is_none());
            }
        }
    }
}
