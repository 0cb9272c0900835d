//! Reads `Privet-Consent`: a dictionary (RFC 9651 section 3.2) in which a
//! purpose is a member and `policy` names the version of the notice. It looks
//! at one purpose only and keeps nothing else, so a header costs no allocation.

use std::borrow::Cow;
use std::convert::Infallible;

use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};

/// What a header says about one purpose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    pub(super) answer: Answer,
    /// The version of the notice, where the header names one.
    pub(super) policy: Option<Cow<'a, str>>,
}

/// What a header answers for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Boolean true.
    Given,
    /// Boolean false.
    Refused,
    /// No such member, or one that is no boolean.
    Silent,
}

impl<'a> Statement<'a> {
    /// Reads what `header` says about `purpose`; `None` where the header is
    /// absent, too long, does not parse, or names the notice by something
    /// that cannot be a version.
    pub(super) fn read(header: Option<&'a str>, purpose: &str) -> Option<Self> {
        let header = header?;
        if header.len() > super::MAX_CONSENT_HEADER || super::RESERVED_MEMBERS.contains(&purpose) {
            return None;
        }
        let reader = Reader { purpose, answer: Answer::Silent, policy: Version::Absent };
        let reader = Parser::new(header).parse_dictionary_with_visitor(reader).ok()?;
        let policy = match reader.policy {
            Version::Absent => None,
            Version::Named(version) => Some(version),
            Version::Malformed => return None,
        };
        Some(Self { answer: reader.answer, policy })
    }
}

struct Reader<'a, 'p> {
    purpose: &'p str,
    answer: Answer,
    policy: Version<'a>,
}

enum Version<'a> {
    Absent,
    Named(Cow<'a, str>),
    Malformed,
}

/// The member that is being read. Of a repeated member the last one counts
/// (RFC 9651 section 4.2.2), so each sets its slot afresh.
enum Member<'r, 'a> {
    Purpose(&'r mut Answer),
    Policy(&'r mut Version<'a>),
    Other,
}

impl<'a> DictionaryVisitor<'a> for Reader<'a, '_> {
    type Out = Self;
    type Error = Infallible;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, Infallible> {
        Ok(match key.as_str() {
            "policy" => Member::Policy(&mut self.policy),
            name if name == self.purpose => Member::Purpose(&mut self.answer),
            _ => Member::Other,
        })
    }

    fn finish(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

impl<'a> EntryVisitor<'a> for Member<'_, 'a> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'a>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'a>, Infallible> {
        match self {
            Member::Purpose(answer) => *answer = Answer::Silent,
            Member::Policy(version) => *version = Version::Malformed,
            Member::Other => {}
        }
        Ok(Ignored)
    }
}

impl<'a> ItemVisitor<'a> for Member<'_, 'a> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, value: BareItemFromInput<'a>) -> Result<impl ParameterVisitor<'a, Out = ()>, Infallible> {
        match self {
            Member::Purpose(answer) => {
                *answer = match value {
                    BareItemFromInput::Boolean(true) => Answer::Given,
                    BareItemFromInput::Boolean(false) => Answer::Refused,
                    _ => Answer::Silent,
                }
            }
            Member::Policy(version) => {
                *version = match value {
                    BareItemFromInput::String(text) => Version::Named(match text {
                        Cow::Borrowed(text) => Cow::Borrowed(text.as_str()),
                        Cow::Owned(text) => Cow::Owned(text.into()),
                    }),
                    BareItemFromInput::Token(text) => Version::Named(Cow::Borrowed(text.as_str())),
                    BareItemFromInput::Integer(number) => Version::Named(Cow::Owned(number.to_string())),
                    _ => Version::Malformed,
                }
            }
            Member::Other => {}
        }
        Ok(Ignored)
    }
}
