//! A person's request as a case: what was asked, how far it is, until when it
//! must be answered, and what proves that it was. A pure state machine.
//!
//! A case outlives the person's data, so it names nobody: the subject stands
//! in it as a keyed hash, and no value ever does.

use crate::clock::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

const DAY: u64 = 86_400;

/// Seconds in which a request is to be answered: 30 days, the shortest month
/// but one that GDPR Article 12(3) can mean.
pub const TIME_TO_ANSWER: u64 = 30 * DAY;
/// Seconds by which that may be extended, once, where a reason is given.
pub const EXTENSION: u64 = 60 * DAY;
/// Seconds before the due date from which a case is a warning.
pub const WARNING: u64 = 72 * 3_600;
/// The longest reason or note, in bytes.
pub const MAX_NOTE: usize = 500;
/// How many events a case keeps; a case has a dozen.
const MAX_HISTORY: usize = 256;

/// What the person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// To see the data (GDPR Article 15).
    Access,
    /// To have it corrected (Article 16).
    Rectification,
    /// To have it erased (Article 17).
    Erasure,
    /// To have it kept and not used (Article 18).
    Restriction,
    /// To have it in a form that machines read (Article 20).
    Portability,
    /// That it is not used for a purpose any more (Article 21).
    Objection,
}

/// How far a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It came in.
    Received,
    /// The person is who they say.
    Verified,
    /// It is known what there is of the person.
    Located,
    /// What was asked is done.
    Done,
    /// The person was told.
    Confirmed,
    /// It was refused, with a reason (Article 12(4) and (5)).
    Refused,
}

/// How the identity of the person was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// By a token that the site signed for the account.
    AccountToken,
    /// By a code that the site sent to the address on file.
    CodeOnFile,
    /// By a document that somebody looked at.
    DocumentSeen,
    /// By whoever gave the order on the command line, in a way of their own.
    Operator,
}

/// What moves a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The person is who they say.
    Verify(Verification),
    /// How many values there are, by entity.
    Locate(BTreeMap<String, u64>),
    /// What was asked is done.
    Finish(Proof),
    /// The person was told.
    Confirm,
    /// It will not be done, for this reason.
    Refuse(String),
    /// It takes longer, for this reason.
    Extend(String),
    /// A system behind was told, or could not be told.
    Notify(Notice),
}

/// What shows that a case was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// What was done, and how often: `values`, `consents`, ….
    pub counts: BTreeMap<String, u64>,
    /// The SHA-256 of the file that was given, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The signed confirmation, a JWS (RFC 7515).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<String>,
}

/// Whether a system behind learnt of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// The id of the event.
    pub event: String,
    /// Scheme, host and port of the system.
    pub system: String,
    /// Whether it took the event.
    pub delivered: bool,
    /// How often it was tried.
    pub attempts: u32,
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When.
    pub at: Time,
    /// What happened: `received`, `verified`, `extended`, `notified`, ….
    pub what: String,
    /// Who did it: `person`, or the name of an operator.
    pub by: String,
    /// A reason, or a method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One request of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Case {
    /// Its id: 26 characters, sorted by time.
    pub id: String,
    /// The tenant that it is for.
    pub tenant: String,
    /// Whose it is: a keyed hash in hexadecimal digits, which names nobody.
    pub subject: String,
    /// What is asked for.
    pub kind: Kind,
    /// How far it is.
    pub state: State,
    /// When it came in.
    pub received: Time,
    /// Until when it must be answered.
    pub due: Time,
    /// How the person was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// How many values there were, by entity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub located: BTreeMap<String, u64>,
    /// What shows that it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The systems behind that were told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// What happened, in order.
    pub history: Vec<Event>,
}

/// How urgent an open case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// There is time.
    Open,
    /// It is due within 72 hours.
    Soon,
    /// It is over its date.
    Overdue,
}

impl Urgency {
    /// Each, in this order.
    pub const ALL: [Self; 3] = [Self::Open, Self::Soon, Self::Overdue];

    /// What a date comes to at a time.
    pub fn of(due: Time, now: Time) -> Self {
        match due.0.checked_sub(now.0) {
            None => Self::Overdue,
            Some(left) if left <= WARNING => Self::Soon,
            Some(_) => Self::Open,
        }
    }

    /// As labels of metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Soon => "soon",
            Self::Overdue => "overdue",
        }
    }
}

/// The step is not possible now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// The case is not at the point where this can be done.
    #[error("a case that is {from} cannot be {to}")]
    Order {
        /// How far it is.
        from: State,
        /// Where the step leads.
        to: &'static str,
    },
    /// A reason is missing or too long.
    #[error("a reason of 1 to {MAX_NOTE} bytes is needed")]
    Reason,
    /// The time was extended before.
    #[error("the time of a case is extended only once")]
    Extended,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Received => "received",
            Self::Verified => "verified",
            Self::Located => "located",
            Self::Done => "done",
            Self::Confirmed => "confirmed",
            Self::Refused => "refused",
        })
    }
}

impl Kind {
    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Rectification => "rectification",
            Self::Erasure => "erasure",
            Self::Restriction => "restriction",
            Self::Portability => "portability",
            Self::Objection => "objection",
        }
    }
}

impl Verification {
    fn as_str(self) -> &'static str {
        match self {
            Self::AccountToken => "account-token",
            Self::CodeOnFile => "code-on-file",
            Self::DocumentSeen => "document-seen",
            Self::Operator => "operator",
        }
    }
}

impl Case {
    /// A case that came in now.
    pub fn received(id: String, tenant: &str, subject: String, kind: Kind, by: &str, now: Time) -> Self {
        let mut case = Self {
            id,
            tenant: tenant.to_owned(),
            subject,
            kind,
            state: State::Received,
            received: now,
            due: Time(now.0 + TIME_TO_ANSWER),
            verification: None,
            located: BTreeMap::new(),
            proof: None,
            notices: Vec::new(),
            history: Vec::new(),
        };
        case.note(now, "received", by, Some(kind.as_str().to_owned()));
        case
    }

    /// Whether nothing is left to do.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Confirmed | State::Refused)
    }

    /// How urgent it is; none where it is closed.
    pub fn urgency(&self, now: Time) -> Option<Urgency> {
        (!self.is_closed()).then(|| Urgency::of(self.due, now))
    }

    /// Takes a step. Where that is not possible nothing changes.
    pub fn take(&mut self, step: Step, by: &str, now: Time) -> Result<(), CaseError> {
        match step {
            Step::Verify(method) => {
                self.advance(&[State::Received], State::Verified)?;
                self.verification = Some(method);
                self.note(now, "verified", by, Some(method.as_str().to_owned()));
            }
            Step::Locate(counts) => {
                self.advance(&[State::Verified], State::Located)?;
                self.located = counts;
                self.note(now, "located", by, None);
            }
            Step::Finish(proof) => {
                self.advance(&[State::Located], State::Done)?;
                self.proof = Some(proof);
                self.note(now, "done", by, None);
            }
            Step::Confirm => {
                self.advance(&[State::Done], State::Confirmed)?;
                self.note(now, "confirmed", by, None);
            }
            Step::Refuse(reason) => {
                let reason = reason_of(reason)?;
                self.advance(&[State::Received, State::Verified, State::Located], State::Refused)?;
                self.note(now, "refused", by, Some(reason));
            }
            Step::Extend(reason) => {
                let reason = reason_of(reason)?;
                if self.is_closed() || self.state == State::Done {
                    return Err(CaseError::Order { from: self.state, to: "extended" });
                }
                if self.due.0 != self.received.0 + TIME_TO_ANSWER {
                    return Err(CaseError::Extended);
                }
                self.due.0 += EXTENSION;
                self.note(now, "extended", by, Some(reason));
            }
            Step::Notify(notice) => {
                let outcome = if notice.delivered { "delivered" } else { "not delivered" };
                self.note(now, "notified", by, Some(format!("{outcome}: {}", notice.system)));
                if self.notices.len() < MAX_HISTORY {
                    self.notices.push(notice);
                }
            }
        }
        Ok(())
    }

    fn advance(&mut self, from: &[State], to: State) -> Result<(), CaseError> {
        if !from.contains(&self.state) {
            let to = match to {
                State::Received => "received",
                State::Verified => "verified",
                State::Located => "located",
                State::Done => "done",
                State::Confirmed => "confirmed",
                State::Refused => "refused",
            };
            return Err(CaseError::Order { from: self.state, to });
        }
        self.state = to;
        Ok(())
    }

    fn note(&mut self, at: Time, what: &str, by: &str, note: Option<String>) {
        if self.history.len() < MAX_HISTORY {
            self.history.push(Event { at, what: what.to_owned(), by: by.to_owned(), note });
        }
    }
}

fn reason_of(reason: String) -> Result<String, CaseError> {
    if reason.trim().is_empty() || reason.len() > MAX_NOTE { Err(CaseError::Reason) } else { Ok(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn case() -> Case {
        Case::received("01".into(), "default", "ab".into(), Kind::Erasure, "person", Time(1_000))
    }

    fn steps() -> [Step; 7] {
        [
            Step::Verify(Verification::AccountToken),
            Step::Locate(BTreeMap::from([("EMAIL".into(), 2)])),
            Step::Finish(Proof::default()),
            Step::Confirm,
            Step::Refuse("not this person".into()),
            Step::Extend("many systems".into()),
            Step::Notify(Notice { event: "e".into(), system: "https://x".into(), delivered: true, attempts: 1 }),
        ]
    }

    #[test]
    fn a_case_goes_from_request_to_confirmation() {
        let mut case = case();
        for step in steps().into_iter().take(4) {
            case.take(step, "dana", Time(2_000)).unwrap();
        }
        assert_eq!((case.state, case.is_closed()), (State::Confirmed, true));
        let what: Vec<_> = case.history.iter().map(|event| event.what.as_str()).collect();
        assert_eq!(what, ["received", "verified", "located", "done", "confirmed"]);
        assert_eq!(case.urgency(Time(u64::MAX)), None);
        let text = serde_json::to_string(&case).unwrap();
        assert_eq!(serde_json::from_str::<Case>(&text).unwrap(), case);
    }

    #[test]
    fn nothing_is_done_for_somebody_who_is_not_verified() {
        let mut case = case();
        for step in [&steps()[1], &steps()[2], &steps()[3]] {
            assert!(matches!(case.take(step.clone(), "dana", Time(1)), Err(CaseError::Order { .. })));
        }
        assert_eq!((case.state, case.history.len()), (State::Received, 1));
    }

    #[test]
    fn time_is_extended_once_and_for_a_reason() {
        let mut case = case();
        assert_eq!(case.due.0, 1_000 + 30 * DAY);
        assert_eq!(case.take(Step::Extend(" ".into()), "dana", Time(1)), Err(CaseError::Reason));
        assert_eq!(case.take(Step::Extend("x".repeat(501)), "dana", Time(1)), Err(CaseError::Reason));
        case.take(Step::Extend("many systems".into()), "dana", Time(1)).unwrap();
        assert_eq!(case.due.0, 1_000 + 90 * DAY);
        assert_eq!(case.take(Step::Extend("more".into()), "dana", Time(1)), Err(CaseError::Extended));
    }

    #[test]
    fn a_case_warns_three_days_before_it_is_due() {
        let case = case();
        let urgency = |now| case.urgency(Time(now)).unwrap();
        assert_eq!(urgency(case.due.0 - WARNING - 1), Urgency::Open);
        assert_eq!(urgency(case.due.0 - WARNING), Urgency::Soon);
        assert_eq!(urgency(case.due.0), Urgency::Soon);
        assert_eq!(urgency(case.due.0 + 1), Urgency::Overdue);
    }

    proptest! {
        /// Whatever is tried in whatever order: done is only what was verified
        /// and located, a closed case stays so, and a failed step changes nothing.
        #[test]
        fn no_order_of_steps_leads_past_a_state(order in prop::collection::vec(0_usize..7, 0..40)) {
            let mut case = case();
            for (n, at) in order.into_iter().enumerate() {
                let before = case.clone();
                let taken = case.take(steps()[at].clone(), "dana", Time(2_000 + n as u64));
                if taken.is_err() {
                    prop_assert_eq!(&case, &before);
                } else if before.is_closed() {
                    prop_assert_eq!(case.state, before.state);
                }
                if matches!(case.state, State::Done | State::Confirmed) {
                    prop_assert!(case.verification.is_some() && case.proof.is_some());
                }
                prop_assert!(case.due.0 <= case.received.0 + TIME_TO_ANSWER + EXTENSION);
            }
        }
    }
}
