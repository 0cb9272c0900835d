//! What somebody says of consent, by a header, a signed token or a body.

use super::RESERVED_MEMBERS;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// How far a clock may be ahead of this one, in seconds. What is said of a
/// later time is said of no time.
pub const AHEAD: u64 = 300;

/// Ways of consent by which nobody did anything.
const PASSIVE: [&str; 6] = ["implied", "implicit", "default", "preset", "assumed", "none"];

/// What is said of the purposes, of which notice, how and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said<'a> {
    /// The purposes in the order in which they were named; the last of a name counts.
    pub answers: Vec<(Cow<'a, str>, Answer)>,
    /// The version of the notice, where one is named.
    pub policy: Option<Cow<'a, str>>,
    /// By what act.
    pub method: Option<Cow<'a, str>>,
    /// When, in Unix seconds.
    pub at: Option<u64>,
}

/// What is answered for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Boolean true.
    Given,
    /// Boolean false.
    Refused,
    /// No such member, or one that is no boolean.
    Silent,
}

impl Said<'_> {
    /// The answer for a purpose.
    pub fn answer(&self, purpose: &str) -> Answer {
        if RESERVED_MEMBERS.contains(&purpose) {
            return Answer::Silent;
        }
        self.answers.iter().rev().find(|(name, _)| name == purpose).map_or(Answer::Silent, |(_, answer)| *answer)
    }

    /// Whether it was said after a withdrawal. What does not say when was not,
    /// and nothing is said in the future.
    pub fn is_after(&self, withdrawn: u64, now: u64) -> bool {
        self.at.is_some_and(|at| at > withdrawn && at <= now.saturating_add(AHEAD))
    }

    /// Whether it tells by what act of the person it was said (explicit
    /// consent, GDPR Article 9(2)(a)).
    pub fn is_explicit(&self) -> bool {
        self.method.as_deref().is_some_and(is_act)
    }

    /// As a JSON object says it: `{"purposes": {"support": true}, "policy": …,
    /// "method": …, "at": …}`. `None` where it has no such form.
    pub fn of_json(object: &Map<String, Value>) -> Option<Said<'static>> {
        let purposes = match object.get("purposes") {
            None => None,
            Some(Value::Object(purposes)) => Some(purposes),
            Some(_) => return None,
        };
        let answers = purposes.into_iter().flatten().map(|(name, value)| {
            let answer = match value {
                Value::Bool(true) => Answer::Given,
                Value::Bool(false) => Answer::Refused,
                _ => Answer::Silent,
            };
            (Cow::Owned(name.clone()), answer)
        });
        let text = |name: &str| match object.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) => Some(Some(Cow::Owned(text.clone()))),
            Some(_) => None,
        };
        let at = match object.get("at") {
            None | Some(Value::Null) => None,
            Some(value) => Some(seconds(value)?),
        };
        Some(Said { answers: answers.collect(), policy: text("policy")?, method: text("method")?, at })
    }
}

/// Whether the word names an act.
pub fn is_act(method: &str) -> bool {
    !method.trim().is_empty() && !PASSIVE.iter().any(|passive| method.eq_ignore_ascii_case(passive))
}

/// A time in Unix seconds, perhaps with a fraction (RFC 7519 section 2).
pub(super) fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|seconds| (0.0..1e15).contains(seconds)).map(|s| s as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Option<Said<'static>> {
        Said::of_json(value.as_object()?)
    }

    #[test]
    fn a_body_says_what_a_header_says() {
        let body = json!({"purposes": {"support": true, "ads": false, "x": 1}, "policy": "2026-05", "method": "click", "at": 1_767_225_600});
        let said = read(&body).unwrap();
        let header =
            super::super::read_header("support, ads=?0, x=1, policy=\"2026-05\", method=click, at=@1767225600");
        let header = header.unwrap();
        for purpose in ["support", "ads", "x", "none"] {
            assert_eq!(said.answer(purpose), header.answer(purpose), "{purpose}");
        }
        assert_eq!((&said.policy, &said.method, said.at), (&header.policy, &header.method, header.at));
        assert_eq!(said.at, Some(1_767_225_600));
    }

    #[test]
    fn what_has_no_such_form_says_nothing() {
        for body in [
            json!({"purposes": ["support"]}),
            json!({"purposes": true}),
            json!({"policy": 5}),
            json!({"method": []}),
            json!({"at": "now"}),
            json!({"at": -1}),
        ] {
            assert_eq!(read(&body), None, "{body}");
        }
        assert_eq!(read(&json!({})).unwrap().answer("support"), Answer::Silent);
    }

    #[test]
    fn only_a_later_time_is_after_a_withdrawal() {
        let at = |at| Said { at, ..Said::default() };
        for (said, is_after) in [
            (at(None), false),
            (at(Some(99)), false),
            (at(Some(100)), false),
            (at(Some(101)), true),
            (at(Some(200 + AHEAD)), true),
            (at(Some(201 + AHEAD)), false),
        ] {
            assert_eq!(said.is_after(100, 200), is_after, "{said:?}");
        }
    }

    #[test]
    fn an_explicit_consent_names_an_act() {
        for (method, explicit) in [(Some("click"), true), (Some("Implied"), false), (Some(" "), false), (None, false)] {
            let said = Said { method: method.map(Cow::Borrowed), ..Said::default() };
            assert_eq!(said.is_explicit(), explicit, "{method:?}");
        }
    }
}
