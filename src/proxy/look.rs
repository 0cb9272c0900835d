//! Finds personal data in texts that may be percent-encoded: the parts of an
//! address, the fields of a form, the values of headers. Pure.

use super::inspect::{Findings, Form};
use super::percent::{Encoding, NotUtf8, Places};
use crate::detect::{Engine, Finding, Input, Scratch};

/// A text within a larger one.
#[derive(Clone, Copy)]
pub(super) struct Piece<'p> {
    pub(super) text: &'p str,
    /// Where it starts in the larger one.
    pub(super) start: usize,
    /// The name in front of it.
    pub(super) label: Option<&'p str>,
}

/// Collects the findings of many pieces.
pub(super) struct Look<'l> {
    engine: &'l Engine,
    scratch: &'l mut Scratch,
    /// Memory for decoded text.
    decoded: Vec<u8>,
    pub(super) findings: Findings,
}

impl<'l> Look<'l> {
    pub(super) fn new(engine: &'l Engine, scratch: &'l mut Scratch) -> Self {
        Self { engine, scratch, decoded: Vec::new(), findings: Findings::default() }
    }

    /// Adds what is found in a piece, of which `wanted` may turn findings down.
    pub(super) fn at(
        &mut self,
        piece: Piece<'_>,
        encoding: Encoding,
        form: Form,
        wanted: impl Fn(&str, &Finding) -> bool,
    ) -> Result<(), NotUtf8> {
        let text = match encoding.is_absent(piece.text) {
            true => piece.text,
            false => encoding.decode(piece.text, &mut self.decoded)?,
        };
        let mut places = Places::new(encoding, piece.text);
        for found in self.engine.scan(Input { text, label: piece.label }, self.scratch) {
            if is_in_date(text, found) || !wanted(text, found) {
                continue;
            }
            let value = text.get(found.start..found.end).unwrap_or_default();
            let at = piece.start + places.of(found.start)..piece.start + places.of(found.end);
            self.findings.add(at, found, value, form);
        }
        Ok(())
    }

    /// Adds what is found in `name=value` pairs between `&`: a query, or a
    /// form. A name is the label of its value; the value of a name that is
    /// `excepted` is not looked at. The pairs start at `start` of a larger text.
    pub(super) fn at_pairs(
        &mut self,
        pairs: &str,
        start: usize,
        excepted: impl Fn(&str) -> bool,
    ) -> Result<(), NotUtf8> {
        let mut start = start;
        let mut decoded = Vec::new();
        for pair in pairs.split('&') {
            let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
            self.at(Piece { text: name, start, label: None }, Encoding::FORM, Form::Percent, any)?;
            if let Some(value) = value {
                let name_text = match Encoding::FORM.is_absent(name) {
                    true => name,
                    false => Encoding::FORM.decode(name, &mut decoded)?,
                };
                if !excepted(name_text) {
                    let piece = Piece { text: value, start: start + name.len() + 1, label: Some(name_text) };
                    self.at(piece, Encoding::FORM, Form::Percent, any)?;
                }
            }
            start += pair.len() + 1;
        }
        Ok(())
    }
}

/// Whether the finding is a short month or day next to a number, as in `Tue, 05
/// Jan 2026` (RFC 9110, 5.6.7): that some of them are names too matters in prose
/// alone, while addresses and headers are full of dates.
fn is_in_date(text: &str, found: &Finding) -> bool {
    const SHORT: [&str; 19] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mon", "Tue", "Wed", "Thu",
        "Fri", "Sat", "Sun",
    ];
    let is_short = |word: &str| SHORT.contains(&word);
    let is_gap = |c: char| matches!(c, ' ' | ',' | '-' | '+' | '/' | '.');
    let mut words = text.get(found.start..found.end).unwrap_or_default().split(is_gap);
    if !words.all(is_short) {
        return false;
    }
    let before = text.get(..found.start).unwrap_or_default().trim_end_matches(is_gap);
    let behind = text.get(found.end..).unwrap_or_default().trim_start_matches(is_gap);
    let ends_with_digit = before.bytes().next_back().is_some_and(|b| b.is_ascii_digit());
    ends_with_digit
        || behind.bytes().next().is_some_and(|b| b.is_ascii_digit())
        || behind.get(..3).is_some_and(is_short)
}

/// Turns no finding down.
pub(super) fn any(_text: &str, _found: &Finding) -> bool {
    true
}
