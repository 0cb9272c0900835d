//! Finds personal data in a request body: walks the JSON, detects in each
//! text, and notes where in the bytes each finding stands. Pure.

use super::look::Look;
use super::percent::NotUtf8;
use crate::config::{Binary, Identity};
use crate::detect::{Detector, Finding, Input, Operator, RuleId, Scratch};
use crate::entity::Entity;
use crate::json::{self, Fault, OffsetMap, Path, Str, Visitor};
use crate::protocol::{Pattern, RequestField, RequestFields};
use std::ops::Range;

/// The entity of an identity field that is replaced as a whole.
const IDENTITY: Entity = Entity::constant("IDENTITY");

/// A number with fewer digits is neither a card nor a phone.
const SHORTEST_NUMBER: usize = 7;

/// The one reason after which a body may still be text.
pub(super) const NOT_JSON: Uninspectable = Uninspectable("The body is not valid JSON (RFC 8259).");

const TOO_DEEP: Uninspectable = Uninspectable("The body is JSON nested deeper than `limits.json_depth` allows.");

/// What was found in one body.
#[derive(Default)]
pub(super) struct Findings {
    /// In the order of the body; they do not overlap.
    pub(super) list: Vec<Located>,
    /// The values found, one after another.
    pub(super) values: String,
    /// Bytes that no rule looked at: pictures and sound.
    pub(super) uninspected: usize,
    /// The strings that were sought, in the order of their patterns.
    pub(super) sought: Vec<Option<String>>,
}

/// A finding and where it stands in the body.
pub(super) struct Located {
    /// Bytes of the body.
    pub(super) at: Range<usize>,
    pub(super) entity: Entity,
    pub(super) operator: Operator,
    /// None for an identity field that is replaced whatever it holds.
    pub(super) rule: Option<RuleId>,
    value: Range<usize>,
    pub(super) form: Form,
}

/// How a replacement has to be written in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Within a text.
    Text,
    /// Within a text that takes no brackets.
    Bare,
    /// Within a text of which other parts are percent-encoded.
    Encoded,
    /// Within an address or a form, where brackets are percent-encoded.
    Percent,
    /// A JSON number, which becomes a string; at this depth of JSON in strings.
    Number { depth: usize },
}

/// The body cannot be inspected; the text says why and holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uninspectable(pub(super) &'static str);

impl Findings {
    /// Nothing found yet, of so many strings that are sought besides.
    pub(super) fn seeking(count: usize) -> Self {
        Self { sought: vec![None; count], ..Self::default() }
    }

    /// Adds what was found in a text that starts at `start` of the whole.
    pub(super) fn append(&mut self, other: Self, start: usize) {
        let values = self.values.len();
        self.values.push_str(&other.values);
        self.list.extend(other.list.into_iter().map(|found| Located {
            at: start + found.at.start..start + found.at.end,
            value: values + found.value.start..values + found.value.end,
            ..found
        }));
        self.uninspected += other.uninspected;
        for (sought, found) in self.sought.iter_mut().zip(other.sought) {
            *sought = sought.take().or(found);
        }
    }

    /// The exact text that was found, escapes undone.
    pub(super) fn value(&self, located: &Located) -> &str {
        self.values.get(located.value.clone()).unwrap_or_default()
    }

    pub(super) fn add(&mut self, at: Range<usize>, finding: &Finding, value: &str, form: Form) {
        if self.list.capacity() == 0 {
            // Where one value is there mostly are more.
            self.list.reserve(32);
            self.values.reserve(32 * 32);
        }
        let value = self.store(value);
        let Finding { entity, operator, rule, .. } = *finding;
        self.list.push(Located { at, entity, operator, rule: Some(rule), value, form });
    }

    fn store(&mut self, value: &str) -> Range<usize> {
        let start = self.values.len();
        self.values.push_str(value);
        start..self.values.len()
    }
}

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
    let mut findings = Findings::default();
    for found in detector.scan(Input { text, label: None }, scratch) {
        findings.add(found.start..found.end, found, &text[found.start..found.end], Form::Text);
    }
    Ok(findings)
}

/// Looks through a form, `application/x-www-form-urlencoded`: the names and
/// values of its fields.
pub(super) fn inspect_form(
    text: &str,
    detector: Detector<'_>,
    scratch: &mut Scratch,
) -> Result<Findings, Uninspectable> {
    let mut look = Look::new(detector, scratch);
    match look.at_pairs(text, 0, |_| false) {
        Ok(()) => Ok(look.findings),
        Err(NotUtf8) => Err(Uninspectable("The form is not UTF-8 where its percent-encoding is undone.")),
    }
}

/// By what a JSON document is looked through.
#[derive(Clone, Copy)]
pub(super) struct Rules<'r> {
    pub(super) detector: Detector<'r>,
    pub(super) fields: &'r RequestFields,
    pub(super) identity: Identity,
    /// What happens to the parts that cannot be inspected.
    pub(super) binary: Binary,
    /// What happens to files in multipart bodies that are no text.
    pub(super) files: Binary,
    /// Strings whose value is wanted besides.
    pub(super) sought: &'r [Pattern],
    /// How deep a document may nest.
    pub(super) depth: usize,
}

/// Looks through a JSON document: all strings, all names of members, and the
/// numbers that could be cards or phones.
pub(super) fn inspect_json(text: &str, rules: &Rules<'_>, scratch: &mut Scratch) -> Result<Findings, Uninspectable> {
    // Some clients begin with a byte order mark, which JSON does not know.
    let document = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = Place { start: text.len() - document.len(), map: None, outer: None };
    let findings = Findings { sought: vec![None; rules.sought.len()], ..Findings::default() };
    let mut inspector = Inspector { rules, scratch, place: &root, depth: 0, findings, refused: None };
    if let Err(error) = json::walk_within(rules.depth, document, &mut inspector) {
        return Err(if error.fault == Fault::TooDeep { TOO_DEEP } else { NOT_JSON });
    }
    match inspector.refused {
        Some(why) => Err(why),
        None => Ok(inspector.findings),
    }
}

/// Where a decoded text stands: a chain from the text out to the body.
struct Place<'p> {
    start: usize,
    map: Option<&'p OffsetMap>,
    outer: Option<&'p Place<'p>>,
}

impl Place<'_> {
    fn in_body(&self, offset: usize) -> usize {
        let raw = self.start + self.map.map_or(offset, |map| map.raw(offset));
        self.outer.map_or(raw, |outer| outer.in_body(raw))
    }

    fn range(&self, at: Range<usize>) -> Range<usize> {
        self.in_body(at.start)..self.in_body(at.end)
    }
}

/// The name of the member that a value stands in.
fn label<'a>(path: &Path<'a>) -> Option<&'a str> {
    path.last_key().map(|key| key.raw)
}

struct Inspector<'i> {
    rules: &'i Rules<'i>,
    scratch: &'i mut Scratch,
    place: &'i Place<'i>,
    /// How many strings the document is nested in. Of nested ones no protocol speaks.
    depth: usize,
    findings: Findings,
    refused: Option<Uninspectable>,
}

impl Inspector<'_> {
    /// Undoes the escapes and looks through the text.
    fn look(&mut self, value: Str<'_>, label: Option<&str>, form: Form) {
        if form == Form::Bare && !value.escaped && value.raw.contains('_') {
            // Such names have no spaces: "Anna_Kowalska" is two words.
            let place = Place { start: value.start, map: None, outer: Some(self.place) };
            self.scan(&value.raw.replace('_', " "), value.raw, label, &place, form);
        } else if value.escaped {
            let (mut text, mut map) = (String::new(), OffsetMap::default());
            json::unescape(value.raw, &mut text, &mut map);
            self.scan(
                &text,
                &text,
                label,
                &Place { start: value.start, map: Some(&map), outer: Some(self.place) },
                form,
            );
        } else {
            self.scan(
                value.raw,
                value.raw,
                label,
                &Place { start: value.start, map: None, outer: Some(self.place) },
                form,
            );
        }
    }

    /// `text` is what is read of `written`, byte for byte.
    fn scan(&mut self, text: &str, written: &str, label: Option<&str>, place: &Place<'_>, form: Form) {
        for found in self.rules.detector.scan(Input { text, label }, self.scratch) {
            self.findings.add(place.range(found.start..found.end), found, &written[found.start..found.end], form);
        }
    }

    /// A string that holds a JSON document: the walk goes on within it. What
    /// does not parse is looked through as text.
    fn look_nested(&mut self, value: Str<'_>) {
        let (mut text, mut map) = (String::new(), OffsetMap::default());
        json::unescape(value.raw, &mut text, &mut map);
        let place = Place { start: value.start, map: Some(&map), outer: Some(self.place) };
        let mut inner = Inspector {
            rules: self.rules,
            scratch: self.scratch,
            place: &place,
            depth: self.depth + 1,
            findings: std::mem::take(&mut self.findings),
            refused: None,
        };
        let (list, values) = (inner.findings.list.len(), inner.findings.values.len());
        let walked = json::walk_within(self.rules.depth, &text, &mut inner);
        self.findings = inner.findings;
        if walked.is_err() {
            self.findings.list.truncate(list);
            self.findings.values.truncate(values);
            self.scan(&text, &text, None, &place, Form::Text);
        }
    }

    fn replace_whole(&mut self, value: Str<'_>, form: Form) {
        let mut text = String::new();
        json::unescape(value.raw, &mut text, &mut OffsetMap::default());
        if text.is_empty() {
            return;
        }
        let at = self.place.range(value.start..value.start + value.raw.len());
        let value = self.findings.store(&text);
        self.findings.list.push(Located { at, entity: IDENTITY, operator: Operator::Token, rule: None, value, form });
    }

    fn seek(&mut self, path: &Path<'_>, value: Str<'_>) {
        for (pattern, sought) in self.rules.sought.iter().zip(&mut self.findings.sought) {
            if sought.is_none() && pattern.matches(path) {
                let mut text = String::new();
                json::unescape(value.raw, &mut text, &mut OffsetMap::default());
                *sought = Some(text);
            }
        }
    }

    /// Base64 holds no text that a rule could read; an address of a picture does.
    fn look_at_media(&mut self, path: &Path<'_>, value: Str<'_>) {
        let (kind, data) = match value.raw.split_once(',') {
            Some((kind, data)) if kind.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("data:")) => (kind, data),
            _ => ("", value.raw),
        };
        if !data.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=-_\\".contains(&b)) {
            return self.look(value, label(path), Form::Text);
        }
        let kind = kind.to_ascii_lowercase();
        if ["text/", "json", "xml"].iter().any(|text| kind.contains(text)) {
            return self.refuse("The body holds a text file as a data URL; send its text as text.", value.raw.len());
        }
        self.findings.uninspected += value.raw.len();
    }

    /// A part of so many bytes cannot be inspected. The rest of the document is
    /// looked at also where the route lets such parts pass.
    fn refuse(&mut self, why: &'static str, bytes: usize) {
        match self.rules.binary {
            Binary::Refuse => self.refused = Some(Uninspectable(why)),
            Binary::Pass => self.findings.uninspected += bytes,
        }
    }
}

impl<'a> Visitor<'a> for Inspector<'_> {
    fn key(&mut self, _path: &Path<'a>, key: Str<'a>) {
        // Most names of members are identifiers and need no look.
        if !key.raw.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            self.look(key, None, Form::Text);
        }
    }

    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        if self.depth > 0 {
            return self.look(value, label(path), Form::Text);
        }
        self.seek(path, value);
        let fields = self.rules.fields;
        let form = || if fields.is_bare(path) { Form::Bare } else { Form::Text };
        match fields.classify(path) {
            RequestField::Never => {}
            RequestField::Media => self.look_at_media(path, value),
            RequestField::Nested => self.look_nested(value),
            RequestField::Identity => match self.rules.identity {
                Identity::Keep => {}
                Identity::Token => self.replace_whole(value, form()),
                Identity::Scan => self.look(value, label(path), form()),
            },
            RequestField::Opaque | RequestField::Text => self.look(value, label(path), form()),
        }
    }

    fn number(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {
        if self.depth == 0 && self.rules.fields.classify(path) == RequestField::Opaque {
            let why = "The text is given as token numbers of a model, which cannot be inspected; send it as text.";
            self.refuse(why, raw.len());
        }
        // A sign or a fraction of zeros, as some languages write it, hides nothing.
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        let digits = match digits.split_once('.') {
            Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole,
            _ => digits,
        };
        if digits.len() < SHORTEST_NUMBER || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return;
        }
        // Only a number that is personal data as a whole can be replaced.
        let whole = self.rules.detector.scan(Input { text: digits, label: label(path) }, self.scratch).first().copied();
        if let Some(found) = whole.filter(|f| f.start == 0 && f.end == digits.len()) {
            let at = self.place.range(start..start + raw.len());
            self.findings.add(at, &found, raw, Form::Number { depth: self.depth });
        }
    }
}
