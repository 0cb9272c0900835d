//! One statement about consent, as it is kept.
//!
//! Statements outlive the erasure of the person that they are about, as proof.
//! So they name nobody, and hold no free text: what stands in them is of the
//! configuration, a time, or a word of a few harmless characters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use std::hash::Hasher as _;

/// The longest version or method that is kept, in bytes.
const MAX_WORD: usize = 64;

/// What was said about consent, when, how, and of which notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// When it was recorded, in Unix seconds.
    pub time: u64,
    /// What was said.
    #[serde(flatten)]
    pub what: What,
    /// When it was said, as it says itself, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<u64>,
}

/// What was said, apart from when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct What {
    /// What the statement does.
    pub act: Act,
    /// How it came.
    pub channel: Channel,
    /// The purposes that are given (true) or refused.
    pub purposes: BTreeMap<String, bool>,
    /// The version of the notice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// The SHA-256 of the notice's text in hexadecimal digits; the text is kept
    /// under it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub notice: Option<String>,
    /// The language of the notice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lang: Option<String>,
    /// By what act of the person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub method: Option<String>,
    /// For which purpose a request was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<String>,
    /// Who would receive the data of the request, by name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recipient: Option<String>,
    /// Whether the site has signed it.
    #[serde(skip_serializing_if = "is_false", default)]
    pub signed: bool,
    /// Whether `Sec-GPC: 1` stood beside it.
    #[serde(skip_serializing_if = "is_false", default)]
    pub gpc: bool,
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// It speaks for its own request.
    Request,
    /// It stands until it is withdrawn (`POST`).
    Given,
    /// It withdraws, or objects (`DELETE`).
    Withdrawn,
}

/// How a statement came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// `Privet-Consent`, or `Sec-GPC` alone.
    Header,
    /// `Privet-Consent-Token`.
    Token,
    /// `/.privet/consent`.
    Endpoint,
    /// The same, by `/.privet/consent.js`.
    Widget,
    /// An operator, for the person.
    Operator,
}

impl Channel {
    /// The word that statements hold.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Token => "token",
            Self::Endpoint => "endpoint",
            Self::Widget => "widget",
            Self::Operator => "operator",
        }
    }
}

impl What {
    /// An act that says nothing yet.
    pub fn new(act: Act, channel: Channel) -> Self {
        Self {
            act,
            channel,
            purposes: BTreeMap::new(),
            policy: None,
            notice: None,
            lang: None,
            method: None,
            scope: None,
            recipient: None,
            signed: false,
            gpc: false,
        }
    }

    /// Equal for equal contents.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        // Strings and booleans cannot fail to serialize.
        hasher.write(&serde_json::to_vec(self).unwrap_or_default());
        hasher.finish()
    }
}

/// A version or a method as it may be kept. It comes from the client, so what
/// could be anything else than a plain word is kept as `other`.
pub fn word(text: &str) -> String {
    let fits = (1..=MAX_WORD).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/+-".contains(&byte));
    if fits { text.to_owned() } else { "other".to_owned() }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_kept_in_few_words() {
        let what = What {
            purposes: BTreeMap::from([("support".to_owned(), true)]),
            policy: Some("2026-05".to_owned()),
            method: Some("click".to_owned()),
            ..What::new(Act::Given, Channel::Widget)
        };
        let statement = Statement { time: 7, what: what.clone(), at: None };
        let json = serde_json::to_string(&statement).unwrap();
        assert_eq!(
            json,
            r#"{"time":7,"act":"given","channel":"widget","purposes":{"support":true},"policy":"2026-05","method":"click"}"#
        );
        assert_eq!(serde_json::from_str::<Statement>(&json).unwrap(), statement);
        let other = What { method: Some("voice".to_owned()), ..what.clone() };
        assert!(what.digest() == what.clone().digest() && what.digest() != other.digest());
    }

    #[test]
    fn what_could_name_a_person_is_not_kept() {
        assert_eq!(word("2026-05"), "2026-05");
        for text in ["ana@example.com", "Ana Lopez", "", &"x".repeat(65), "\u{e9}"] {
            assert_eq!(word(text), "other", "{text}");
        }
    }
}
