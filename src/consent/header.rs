//! Reads `Privet-Consent`: a dictionary (RFC 9651 section 3.2) in which a
//! purpose is a member, and `policy`, `method` and `at` say of which notice,
//! how and when.

use super::said::{Answer, Said};
use std::borrow::Cow;
use std::convert::Infallible;

use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};

/// Reads what a header says; `None` where it is too long, does not parse, or
/// names the notice by something that cannot be a version.
pub fn read_header(header: &str) -> Option<Said<'_>> {
    if header.len() > super::MAX_CONSENT_HEADER {
        return None;
    }
    let reader = Parser::new(header).parse_dictionary_with_visitor(Reader::default()).ok()?;
    let policy = match reader.policy {
        Version::Absent => None,
        Version::Named(version) => Some(version),
        Version::Malformed => return None,
    };
    Some(Said { answers: reader.answers, policy, method: reader.method, at: reader.at })
}

#[derive(Default)]
struct Reader<'a> {
    answers: Vec<(Cow<'a, str>, Answer)>,
    policy: Version<'a>,
    method: Option<Cow<'a, str>>,
    at: Option<u64>,
}

#[derive(Default)]
enum Version<'a> {
    #[default]
    Absent,
    Named(Cow<'a, str>),
    Malformed,
}

/// The member that is being read. Of a repeated member the last one counts
/// (RFC 9651 section 4.2.2), so each sets its slot afresh.
enum Member<'r, 'a> {
    Purpose(&'a KeyRef, &'r mut Vec<(Cow<'a, str>, Answer)>),
    Policy(&'r mut Version<'a>),
    Method(&'r mut Option<Cow<'a, str>>),
    At(&'r mut Option<u64>),
}

impl<'a> DictionaryVisitor<'a> for Reader<'a> {
    type Out = Self;
    type Error = Infallible;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, Infallible> {
        Ok(match key.as_str() {
            "policy" => Member::Policy(&mut self.policy),
            "method" => Member::Method(&mut self.method),
            "at" => Member::At(&mut self.at),
            _ => Member::Purpose(key, &mut self.answers),
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
            Member::Purpose(name, answers) => answers.push((Cow::Borrowed(name.as_str()), Answer::Silent)),
            Member::Policy(version) => *version = Version::Malformed,
            Member::Method(method) => *method = None,
            Member::At(at) => *at = None,
        }
        Ok(Ignored)
    }
}

impl<'a> ItemVisitor<'a> for Member<'_, 'a> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, value: BareItemFromInput<'a>) -> Result<impl ParameterVisitor<'a, Out = ()>, Infallible> {
        match self {
            Member::Purpose(name, answers) => {
                let answer = match value {
                    BareItemFromInput::Boolean(true) => Answer::Given,
                    BareItemFromInput::Boolean(false) => Answer::Refused,
                    _ => Answer::Silent,
                };
                answers.push((Cow::Borrowed(name.as_str()), answer));
            }
            Member::Policy(version) => {
                *version = match value {
                    BareItemFromInput::Integer(number) => Version::Named(Cow::Owned(number.to_string())),
                    value => text(value).map_or(Version::Malformed, Version::Named),
                }
            }
            Member::Method(method) => *method = text(value),
            Member::At(at) => {
                *at = match value {
                    BareItemFromInput::Date(date) => u64::try_from(i64::from(date.unix_seconds())).ok(),
                    BareItemFromInput::Integer(seconds) => u64::try_from(i64::from(seconds)).ok(),
                    _ => None,
                }
            }
        }
        Ok(Ignored)
    }
}

fn text(value: BareItemFromInput<'_>) -> Option<Cow<'_, str>> {
    Some(match value {
        BareItemFromInput::String(Cow::Borrowed(text)) => Cow::Borrowed(text.as_str()),
        BareItemFromInput::String(Cow::Owned(text)) => Cow::Owned(text.into()),
        BareItemFromInput::Token(text) => Cow::Borrowed(text.as_str()),
        _ => return None,
    })
}
