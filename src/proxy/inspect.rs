//! Finds personal data in a request body: walks the JSON, detects in each
//! text, and notes where in the bytes each finding stands. Pure.

mod beside;
mod document;
mod encoded;
mod fields;
mod findings;
mod joint;
mod media;
mod members;
mod numbers;
mod place;
mod reading;

pub(super) use document::{Series, check_json, inspect_json};
pub(super) use encoded::{look as look_encoded, runs as encoded_runs};
pub(super) use fields::FieldSeries;
pub(super) use findings::{Findings, Form, Located, Spelling, Spot};
pub(super) use joint::Places;
pub(super) use reading::{Manner, Reading};

use super::clean::Clean;
use super::look::{Look, any};
use super::percent::NotUtf8;
use crate::config::{Binary, Identity};
use crate::detect::{Detector, Input, Scratch};
use crate::protocol::{Pattern, RequestFields};

/// The one reason after which a body may still be text.
pub(super) const NOT_JSON: Uninspectable = Uninspectable("The body is not valid JSON (RFC 8259).");

const TOO_DEEP: Uninspectable = Uninspectable("The body is JSON nested deeper than `limits.json_depth` allows.");

/// The body cannot be inspected; the text says why and holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uninspectable(pub(super) &'static str);

/// Looks through a plain text. What is NUL in large part is UTF-16 without a
/// byte order mark, or UTF-32: valid UTF-8 by chance, and no rule would read it.
pub(super) fn inspect_text(
    text: &str,
    detector: Detector<'_>,
    scratch: &mut Scratch,
) -> Result<Findings, Uninspectable> {
    if memchr::memchr_iter(0, text.as_bytes()).count() > text.len() / 4 {
        return Err(Uninspectable("The body is full of NUL characters, as no text in UTF-8 is."));
    }
    Ok(inspect_value(text, None, detector, scratch))
}

/// Looks through a text that has a name.
pub(super) fn inspect_value(
    text: &str,
    label: Option<&str>,
    detector: Detector<'_>,
    scratch: &mut Scratch,
) -> Findings {
    let mut findings = Findings { scanned: text.len(), ..Findings::default() };
    for found in detector.scan(Input { text, label }, scratch) {
        let value = text.get(found.start..found.end).unwrap_or_default();
        findings.add(found.start..found.end, found, value, Form::Text);
    }
    let how = Manner { detector, label, form: Form::Text, wanted: &any };
    for reading in Reading::all(text, label) {
        reading.look(how, scratch, &mut findings, 0, |range| range);
    }
    look_encoded(text, how, scratch, &mut findings, 0, |range| range);
    findings
}

/// Looks through a form, `application/x-www-form-urlencoded`: the names and
/// values of its fields.
pub(super) fn inspect_form(text: &str, rules: &Rules<'_>, scratch: &mut Scratch) -> Result<Findings, Uninspectable> {
    let mut look = Look::within(rules, scratch);
    match look.at_pairs(text, 0, |_| false) {
        Ok(()) => {
            let texts = if rules.texts { texts_of_form(text) } else { Vec::new() };
            Ok(Findings { scanned: text.len(), texts, ..look.findings })
        }
        Err(NotUtf8) => Err(Uninspectable("The form is not UTF-8 where its percent-encoding is undone.")),
    }
}

/// Where the values of a form stand that somebody may have written: a word by
/// itself may as well be an id.
fn texts_of_form(text: &str) -> Vec<Spot> {
    let (mut texts, mut start) = (Vec::new(), 0);
    for pair in text.split('&') {
        if let Some((name, value)) = pair.split_once('=')
            && (value.contains('+') || value.contains("%20"))
        {
            let from = start + name.len() + 1;
            texts.push(Spot { at: from..from + value.len(), spelling: Spelling::Form });
        }
        start += pair.len() + 1;
    }
    texts
}

/// By what a JSON document is looked through.
#[derive(Clone, Copy)]
pub(super) struct Rules<'r> {
    pub(super) detector: Detector<'r>,
    /// Which texts are known to hold nothing under its plan.
    pub(super) clean: Option<&'r Clean>,
    pub(super) fields: &'r RequestFields,
    pub(super) identity: Identity,
    /// What happens to the parts that cannot be inspected.
    pub(super) binary: Binary,
    /// What happens to files in multipart bodies that are no text.
    pub(super) files: Binary,
    /// Whether a member that the protocol does not know is to be told.
    pub(super) strict: bool,
    /// Whether the places of texts are wanted.
    pub(super) texts: bool,
    /// Strings whose value is wanted besides.
    pub(super) sought: &'r [Pattern],
    /// How deep a document may nest.
    pub(super) depth: usize,
}

#[cfg(test)]
mod tests;
