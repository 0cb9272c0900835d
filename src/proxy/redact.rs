//! Replaces what was found: mints the tokens, then splices them into the bytes
//! of body, address and headers. All bytes outside findings stay as they are.

use super::inspect::{Findings, Form, Located};
use super::standing::Standing;
use crate::config::{Detection, Mask};
use crate::detect::Operator;
use crate::entity::Entity;
use crate::token::Token;
use crate::vault::{Hashing, Subject, VaultError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write as _;

/// How many findings of each entity were replaced.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Counts(Vec<(Entity, u32)>);

impl Counts {
    pub(super) fn add(&mut self, entity: Entity) {
        match self.0.iter_mut().find(|(known, _)| *known == entity) {
            Some((_, count)) => *count += 1,
            None => self.0.push((entity, 1)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn sum(&self) -> u32 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Entities and how often each was replaced.
    pub(super) fn each(&self) -> impl Iterator<Item = (Entity, u32)> {
        self.0.iter().copied()
    }

    /// The `Privet-Redacted` header: a dictionary (RFC 9651) of entity to count.
    pub(super) fn to_header(&self) -> String {
        let mut header = String::with_capacity(self.0.len() * 16);
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        for (entity, count) in &sorted {
            header.push_str(if header.is_empty() { "" } else { ", " });
            let name = header.len();
            header.push_str(entity.as_str());
            header.get_mut(name..).unwrap_or_default().make_ascii_lowercase();
            // Writing to a string cannot fail.
            let _ = write!(header, "={count}");
        }
        header
    }
}

/// How findings are replaced that do not come back.
pub(super) struct Means {
    detection: Detection,
    hashing: Hashing,
}

impl Means {
    pub(super) fn new(detection: Detection, hashing: Hashing) -> Self {
        Self { detection, hashing }
    }
}

impl Means {
    /// What stands in for a value where there shall be no way back.
    pub(super) fn irreversible(&self, entity: Entity, value: &str, operator: Operator) -> String {
        match self.stand(entity, value, operator) {
            Some(Stand::Text(text)) => text,
            _ => format!("[{entity}]"),
        }
    }
}

/// What stands in for one finding.
enum Stand {
    Token(Token),
    /// A text without brackets.
    Text(String),
    /// The name of the entity.
    Entity,
}

/// What stands in for the findings of one request, all of its parts together.
pub(super) struct Replacements {
    /// Of all findings, in order.
    stands: std::vec::IntoIter<Stand>,
    /// What was replaced so far.
    pub(super) counts: Counts,
}

/// Mints tokens and surrogates of `subject` for the findings, which are durable
/// when this returns; without a subject there are none, and all that is found
/// is replaced beyond recovery.
pub(super) async fn redact(
    parts: [&Findings; 2],
    subject: Option<&Subject>,
    means: &Means,
    standing: &Standing,
) -> Result<Replacements, VaultError> {
    let all: Vec<(Entity, &str, Operator)> = (parts.into_iter())
        .flat_map(|part| part.each().map(move |found| (part, found)))
        // What is left of a value that began before needs nothing in its place.
        .filter(|(_, found)| found.form.is_first())
        .map(|(part, found)| (found.entity, part.value(found), operator(found)))
        .collect();
    let mut stands: Vec<Option<Stand>> = match subject {
        Some(_) => all.iter().map(|(entity, value, operator)| means.stand(*entity, value, *operator)).collect(),
        None => all.iter().map(|_| Some(Stand::Entity)).collect(),
    };
    if let Some(subject) = subject {
        let with = |wanted| all.iter().filter(move |(_, _, operator)| *operator == wanted);
        if with(Operator::Surrogate).next().is_some() {
            let values: Vec<_> = with(Operator::Surrogate).map(|(entity, value, _)| (*entity, *value)).collect();
            let texts = subject.mint_surrogates(&values, &|search| Box::pin(standing.marks(search))).await?;
            let places = all.iter().zip(&mut stands).filter(|((_, _, operator), _)| *operator == Operator::Surrogate);
            for ((_, place), text) in places.zip(texts) {
                *place = text.map(Stand::Text);
            }
        }
        // What can have no surrogate has a token.
        let values: Vec<_> = (all.iter().zip(&stands))
            .filter(|(_, stand)| stand.is_none())
            .map(|((entity, value, _), _)| (*entity, *value))
            .collect();
        if !values.is_empty() {
            let tokens = subject.tokenize(&values).await?;
            for (place, token) in stands.iter_mut().filter(|stand| stand.is_none()).zip(tokens) {
                *place = Some(Stand::Token(token));
            }
        }
    }
    let stands: Vec<Stand> = stands.into_iter().map(|stand| stand.unwrap_or(Stand::Entity)).collect();
    Ok(Replacements { stands: stands.into_iter(), counts: Counts::default() })
}

/// Where few characters are allowed a token fits, and not every surrogate.
fn operator(found: &Located) -> Operator {
    match found.operator {
        Operator::Surrogate if found.form == Form::Bare => Operator::Token,
        operator => operator,
    }
}

impl Means {
    /// What stands in for a value by itself; none where the vault must say.
    fn stand(&self, entity: Entity, value: &str, operator: Operator) -> Option<Stand> {
        match operator {
            Operator::Token | Operator::Surrogate => None,
            Operator::Mask => Some(Stand::Text(mask(value, self.detection.mask(entity)))),
            Operator::Hash => Some(Stand::Text(format!("{entity}#{}", self.hashing.hash(entity, value)))),
            Operator::Remove | Operator::Keep | Operator::Block => Some(Stand::Entity),
        }
    }
}

/// Four characters whatever the length was, and beside them what may be seen
/// of the letters and digits: a third of them at most.
fn mask(value: &str, mask: Mask) -> String {
    let shown: Vec<char> = value.chars().filter(|c| c.is_alphanumeric()).collect();
    let most = shown.len() / 3;
    let (first, last) = if mask.keep_first + mask.keep_last <= most {
        (mask.keep_first, mask.keep_last)
    } else {
        // The end is what people know their numbers by.
        let last = mask.keep_last.min(most);
        (mask.keep_first.min(most - last), last)
    };
    let mut masked: String = shown.iter().take(first).collect();
    masked.extend(std::iter::repeat_n(mask.character, 4));
    masked.extend(shown.iter().skip(shown.len() - last));
    masked
}

impl Replacements {
    /// The text with its findings replaced. The parts of a request must come
    /// in the order in which they were given to [`redact`].
    pub(super) fn splice(&mut self, text: &[u8], found: &[Located]) -> Vec<u8> {
        let mut spliced = Vec::with_capacity(text.len() + found.len() * 8);
        let mut copied = 0;
        for found in found {
            spliced.extend_from_slice(text.get(copied..found.at.start).unwrap_or_default());
            copied = found.at.end;
            if let Some(encoded) = &found.encoded {
                let text = self.splice(encoded.text.as_bytes(), &encoded.list);
                let written = encoded.base64.encode(&text);
                if matches!(found.form, Form::Percent | Form::Encoded) {
                    spliced.extend(utf8_percent_encode(&written, RESERVED).flat_map(str::bytes));
                } else {
                    spliced.extend_from_slice(written.as_bytes());
                }
            } else if found.form == Form::RestNumber {
                spliced.extend_from_slice(b"null");
            } else if found.form != Form::Rest {
                let stand = self.stands.next().unwrap_or(Stand::Entity);
                write_replacement(&mut spliced, found, &stand);
                self.counts.add(found.entity);
            }
        }
        spliced.extend_from_slice(text.get(copied..).unwrap_or_default());
        spliced
    }
}

fn write_replacement(out: &mut Vec<u8>, found: &Located, stand: &Stand) {
    if let Stand::Text(text) = stand {
        return write_text(out, found, text);
    }
    let (open, close): (&[u8], &[u8]) = match found.form {
        Form::Bare => (b"", b""),
        Form::Percent => (b"%5B", b"%5D"),
        _ => (b"[", b"]"),
    };
    write_quote(out, found.form);
    out.extend_from_slice(open);
    match stand {
        Stand::Token(token) => token.append_bare(out),
        _ => out.extend_from_slice(found.entity.as_bytes()),
    }
    out.extend_from_slice(close);
    write_quote(out, found.form);
}

/// Around what was a number and is a string: a quote, escaped as often as the
/// document is nested in strings.
fn write_quote(out: &mut Vec<u8>, form: Form) {
    if let Form::Number { depth } = form {
        // Each level escapes all that the one within has.
        let backslashes = (1_usize << depth.min(20)) - 1;
        out.extend(std::iter::repeat_n(b'\\', backslashes));
        out.push(b'"');
    }
}

/// Writes a text of which no character needs an escape but in addresses, as
/// [`join`](crate::surrogate::join) and [`Means::stand`] see to it.
fn write_text(out: &mut Vec<u8>, found: &Located, text: &str) {
    match found.form {
        Form::Bare => {
            // An identifier takes letters, digits, "_" and "-".
            let plain = text.replace('#', "-");
            let fits = plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            out.extend_from_slice(if fits { plain.as_bytes() } else { found.entity.as_bytes() });
        }
        Form::Encoded | Form::Percent => {
            out.extend(utf8_percent_encode(text, RESERVED).flat_map(str::bytes));
        }
        form => {
            write_quote(out, form);
            out.extend_from_slice(text.as_bytes());
            write_quote(out, form);
        }
    }
}

/// All but what RFC 3986 calls unreserved, and the asterisk, which addresses
/// take too.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'*');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_counts_by_entity() {
        let mut counts = Counts::default();
        for name in ["PERSON", "EMAIL", "PERSON", "CREDIT_CARD"] {
            counts.add(name.parse().unwrap());
        }
        assert_eq!(counts.to_header(), "credit_card=1, email=1, person=2");
    }

    #[test]
    fn a_mask_shows_a_third_at_most_and_no_length() {
        let like = |keep_first, keep_last| Mask { keep_first, keep_last, character: '•' };
        for (value, shape, wanted) in [
            ("4111 1111 1111 1234", like(0, 4), "••••1234"),
            ("4111 1111 1111 1234", like(4, 4), "4••••1234"),
            ("+49 151 23456789", like(2, 2), "49••••89"),
            ("ana", like(0, 4), "••••a"),
            ("ab", like(2, 2), "••••"),
            ("", like(2, 2), "••••"),
            ("any length at all", like(0, 0), "••••"),
        ] {
            assert_eq!(mask(value, shape), wanted, "{value}");
        }
    }
}
