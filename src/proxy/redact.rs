//! Replaces what was found: mints the tokens, then splices them into the bytes
//! of body, address and headers. All bytes outside findings stay as they are.

use super::inspect::{Findings, Form, Located};
use crate::detect::Operator;
use crate::entity::Entity;
use crate::token::Token;
use crate::vault::{Subject, VaultError};
use bytes::Bytes;
use std::fmt::Write as _;

/// What a mask shows, whatever the length of the value was.
const MASK: &[u8] = b"****";

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

/// What stands in for the findings of one request, all of its parts together.
pub(super) struct Replacements {
    /// Of the findings with the operator `Token`, in order; none where those
    /// are to be removed too.
    tokens: std::vec::IntoIter<Token>,
    /// What was replaced so far.
    pub(super) counts: Counts,
}

/// Mints tokens of `subject` for the findings, which are durable when this
/// returns; without a subject there are none, and what is found is replaced
/// beyond recovery.
pub(super) async fn redact(parts: [&Findings; 2], subject: Option<&Subject>) -> Result<Replacements, VaultError> {
    let values = || {
        let all = parts.into_iter().flat_map(|part| part.list.iter().map(move |found| (part, found)));
        all.filter(|(_, found)| found.operator == Operator::Token)
            .map(|(part, found)| (found.entity, part.value(found)))
    };
    let tokens = match subject {
        Some(subject) if values().next().is_some() => subject.tokenize(&values().collect::<Vec<_>>()).await?,
        _ => Vec::new(),
    };
    Ok(Replacements { tokens: tokens.into_iter(), counts: Counts::default() })
}

impl Replacements {
    /// The body with its findings replaced.
    pub(super) fn rewrite(&mut self, body: Bytes, found: &[Located]) -> Bytes {
        if found.is_empty() { body } else { self.splice(&body, found).into() }
    }

    /// The text with its findings replaced. The parts of a request must come
    /// in the order in which they were given to [`redact`].
    pub(super) fn splice(&mut self, text: &[u8], found: &[Located]) -> Vec<u8> {
        let mut spliced = Vec::with_capacity(text.len() + found.len() * 8);
        let mut copied = 0;
        for found in found {
            let token = if found.operator == Operator::Token { self.tokens.next() } else { None };
            spliced.extend_from_slice(text.get(copied..found.at.start).unwrap_or_default());
            write_replacement(&mut spliced, found, token.as_ref());
            self.counts.add(found.entity);
            copied = found.at.end;
        }
        spliced.extend_from_slice(text.get(copied..).unwrap_or_default());
        spliced
    }
}

fn write_replacement(out: &mut Vec<u8>, found: &Located, token: Option<&Token>) {
    let (open, close): (&[u8], &[u8]) = match found.form {
        Form::Text => (b"[", b"]"),
        Form::Bare => (b"", b""),
        Form::Percent => (b"%5B", b"%5D"),
        Form::Number { depth: 0 } => (b"\"[", b"]\""),
        Form::Number { depth: 1 } => (b"\\\"[", b"]\\\""),
        Form::Number { .. } => (b"\\\\\\\"[", b"]\\\\\\\""),
    };
    if found.operator == Operator::Mask && matches!(found.form, Form::Text | Form::Percent) {
        return out.extend_from_slice(MASK);
    }
    out.extend_from_slice(open);
    match (found.operator, token) {
        (Operator::Token, Some(token)) => token.append_bare(out),
        (Operator::Mask, _) => out.extend_from_slice(MASK),
        _ => out.extend_from_slice(found.entity.as_bytes()),
    }
    out.extend_from_slice(close);
}

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
}
