//! Replaces what was found: mints the tokens, then splices them into the bytes
//! of the body. All bytes outside findings stay as they are.

use super::inspect::{Findings, Form, Located};
use crate::detect::Operator;
use crate::entity::Entity;
use crate::token::Token;
use crate::vault::{Subject, VaultError};
use bytes::Bytes;
use std::fmt::Write as _;

/// What a mask shows, whatever the length of the value was.
const MASK: &[u8] = b"****";

/// A body without personal data.
pub(super) struct Redacted {
    pub(super) body: Bytes,
    pub(super) counts: Counts,
}

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
        let mut header = String::new();
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        for (entity, count) in &sorted {
            let separator = if header.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(header, "{separator}{}={count}", entity.as_str().to_ascii_lowercase());
        }
        header
    }
}

/// Replaces the findings by tokens of `subject`, which are durable when this
/// returns; without a subject, beyond recovery.
pub(super) async fn redact(
    body: Bytes,
    findings: &Findings,
    subject: Option<&Subject>,
) -> Result<Redacted, VaultError> {
    if findings.list.is_empty() {
        return Ok(Redacted { body, counts: Counts::default() });
    }
    let tokens = match subject {
        Some(subject) => {
            let values: Vec<(Entity, &str)> = findings
                .list
                .iter()
                .filter(|found| found.operator == Operator::Token)
                .map(|found| (found.entity, findings.value(found)))
                .collect();
            if values.is_empty() { Vec::new() } else { subject.tokenize(&values).await? }
        }
        None => Vec::new(),
    };
    Ok(splice(&body, findings, &tokens))
}

/// `tokens` belong to the findings with the operator `Token`, in order; where
/// there are none, those are removed too.
fn splice(body: &Bytes, findings: &Findings, tokens: &[Token]) -> Redacted {
    let mut spliced = Vec::with_capacity(body.len() + findings.list.len() * 8);
    let mut counts = Counts::default();
    let mut tokens = tokens.iter();
    let mut copied = 0;
    for found in &findings.list {
        let token = if found.operator == Operator::Token { tokens.next() } else { None };
        spliced.extend_from_slice(body.get(copied..found.at.start).unwrap_or_default());
        write_replacement(&mut spliced, found, token);
        counts.add(found.entity);
        copied = found.at.end;
    }
    spliced.extend_from_slice(body.get(copied..).unwrap_or_default());
    Redacted { body: spliced.into(), counts }
}

fn write_replacement(out: &mut Vec<u8>, found: &Located, token: Option<&Token>) {
    let (open, close): (&[u8], &[u8]) = match found.form {
        Form::Text => (b"[", b"]"),
        Form::Bare => (b"", b""),
        Form::Number { depth: 0 } => (b"\"[", b"]\""),
        Form::Number { depth: 1 } => (b"\\\"[", b"]\\\""),
        Form::Number { .. } => (b"\\\\\\\"[", b"]\\\\\\\""),
    };
    if found.operator == Operator::Mask && found.form == Form::Text {
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
