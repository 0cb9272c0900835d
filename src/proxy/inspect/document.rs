//! Looks through one JSON document and the documents in its strings.

use super::beside::Beside;
use super::encoded;
use super::fields::FieldSeries;
use super::findings::{Base64, Findings, Form, Spelling, Spot};
use super::joint::Joint;
use super::media::{self, Media};
use super::numbers::Numbers;
use super::place::Place;
use super::reading::{self, Reading};
use super::{NOT_JSON, Rules, TOO_DEEP, Uninspectable, members};
use crate::config::{Binary, Identity};
use crate::detect::{Input, Scratch};
use crate::entity::Entity;
use crate::json::{self, Fault, OffsetMap, Path, Step, Str, Visitor};
use crate::protocol::{Class, Classes, Conversation, RequestField};
use crate::proxy::clean::{self, Print};
use crate::proxy::content::declares_entities;
use crate::proxy::look::any;
use siphasher::sip128::SipHasher13;
use std::hash::Hasher as _;
use std::ops::Range;

/// The entity of an identity field that is replaced as a whole.
const IDENTITY: Entity = Entity::constant("IDENTITY");

/// The name of a member that is longer may be a key or a token.
const LONGEST_NAME: usize = 24;

/// A number with fewer digits is neither a card nor a phone.
const SHORTEST_NUMBER: usize = 7;

/// One with an exponent is expanded up to so many digits.
const LONGEST_NUMBER: usize = 20;

/// No id of a protocol is longer, in bytes.
const LONGEST_ID: usize = 256;

/// JSON is looked for this deep in strings of strings. Each level doubles the
/// escapes of the one within, so that deeper ones fit in no body.
const MOST_LEVELS: usize = 32;

/// Looks through a JSON document: all strings, all names of members, and the
/// numbers that could be cards or phones.
pub(in crate::proxy) fn inspect_json(
    text: &str,
    rules: &Rules<'_>,
    scratch: &mut Scratch,
) -> Result<Findings, Uninspectable> {
    let mut series = Series { is_many: false, ..Series::new(rules) };
    series.look(text, 0..text.len(), rules, scratch)?;
    Ok(series.findings)
}

/// JSON documents of one body, one after another: a value may be cut over two
/// of them, as over the messages of an array.
pub(in crate::proxy) struct Series {
    pub(in crate::proxy) findings: Findings,
    joint: Joint,
    /// The way to the last text of the conversation.
    last: Vec<usize>,
    is_many: bool,
}

impl Series {
    pub(in crate::proxy) fn new(rules: &Rules<'_>) -> Self {
        let findings = Findings::seeking(rules.sought.len());
        Self { findings, joint: Joint::default(), last: Vec::new(), is_many: true }
    }

    /// Looks through the document that stands in this range of the body. An
    /// error leaves nothing behind that is of use.
    pub(in crate::proxy) fn look(
        &mut self,
        body: &str,
        range: Range<usize>,
        rules: &Rules<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Uninspectable> {
        let text = body.get(range.clone()).unwrap_or_default();
        // Some clients begin with a byte order mark, which JSON does not know.
        let document = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = Place { start: range.end - document.len(), map: None, outer: None };
        let mut inspector = Inspector {
            rules,
            classes: Classes::new(rules.fields),
            scratch,
            place: &root,
            level: 0,
            quotes: 0,
            findings: std::mem::take(&mut self.findings),
            refused: None,
            beside: Beside::after(std::mem::take(&mut self.last), self.is_many, body, root.start),
            joint: std::mem::take(&mut self.joint),
            members: FieldSeries::default(),
            numbers: Numbers::default(),
            in_base64: false,
            is_empty_so_far: false,
        };
        walk(document, rules, &mut inspector)?;
        let Inspector { findings, joint, beside, refused, .. } = inspector;
        (self.findings, self.joint, self.last) = (findings, joint, beside.into_last());
        refused.map_or(Ok(()), Err)
    }
}

/// Whether a text is a JSON document that may be looked through.
pub(in crate::proxy) fn check_json(text: &str, rules: &Rules<'_>) -> Result<(), Uninspectable> {
    walk(text.strip_prefix('\u{feff}').unwrap_or(text), rules, &mut Nothing)
}

struct Nothing;

impl Visitor<'_> for Nothing {}

fn walk<'a>(document: &'a str, rules: &Rules<'_>, visitor: &mut impl Visitor<'a>) -> Result<(), Uninspectable> {
    json::walk_within(rules.depth, document, visitor)
        .map_err(|error| if error.fault == Fault::TooDeep { TOO_DEEP } else { NOT_JSON })
}

/// The name of the member that a value stands in.
fn label<'a>(path: &Path<'a>) -> Option<&'a str> {
    path.last_key().map(|key| key.raw)
}

/// Whether a string may go on in the next whatever the protocol says: one of a
/// list, or the text of a message in a document of which it does not speak.
fn is_in_series(path: &Path<'_>, level: usize) -> bool {
    match path.steps().last() {
        Some(Step::Index(_)) => true,
        Some(Step::Key(key)) if level > 0 => ["text", "content", "message"].iter().any(|name| key.is(name)),
        Some(Step::Key(_)) | None => false,
    }
}

/// The integer that a number with an exponent is; none where it is another
/// number, or longer than what could be personal data.
fn expand(digits: &str, exponent: &str) -> Option<String> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let point = isize::try_from(whole.len()).ok()?.checked_add(exponent.parse().ok()?)?;
    let point = usize::try_from(point).ok().filter(|point| *point <= LONGEST_NUMBER)?;
    let all = [whole, fraction].concat();
    let all = all.trim_end_matches('0');
    let is_integer = !all.is_empty() && all.len() <= point;
    is_integer.then(|| format!("{all:0<point$}").trim_start_matches('0').to_owned())
}

/// Whether a value is no text by its look: a client may write prose, or an
/// address, where the protocol has an id.
fn is_id(value: &Str<'_>) -> bool {
    value.raw.len() <= LONGEST_ID
        && !value.decode().contains(|c: char| c.is_whitespace() || matches!(c, '@' | '＠' | '﹫'))
}

struct Inspector<'i, 'a> {
    rules: &'i Rules<'i>,
    classes: Classes<'i, 'a>,
    scratch: &'i mut Scratch,
    place: &'i Place<'i>,
    /// How many strings the document is nested in. Of nested ones no protocol speaks.
    level: usize,
    /// How often a quote is escaped that is written here.
    quotes: usize,
    findings: Findings,
    refused: Option<Uninspectable>,
    beside: Beside<'i>,
    joint: Joint,
    /// The members of the object at hand, of which one may go on in the next.
    members: FieldSeries,
    /// The numbers of the array at hand.
    numbers: Numbers,
    /// Whether the document stood in base64: what does so in it is not read again.
    in_base64: bool,
    /// Whether nothing has come since an object or array began.
    is_empty_so_far: bool,
}

/// How a text is looked at.
#[derive(Clone, Copy)]
struct Manner<'m> {
    label: Option<&'m str>,
    form: Form,
    /// Whether it may go on from the text before.
    joined: bool,
    /// Whether the protocol has it for a text that somebody says.
    is_speech: bool,
    /// The object of which it is a member, if that may go on in the next.
    object: Option<usize>,
    /// Whether it may be an intent with its entities.
    intent: bool,
}

impl<'m> Manner<'m> {
    fn text(label: Option<&'m str>) -> Self {
        Self { label, form: Form::Text, joined: false, is_speech: false, object: None, intent: false }
    }
}

impl<'i, 'a> Inspector<'i, 'a> {
    /// Looks at a string: at a file where it holds one as a data URL, else at
    /// its text.
    fn look(&mut self, value: Str<'_>, manner: Manner<'_>) {
        if value.raw.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:")) {
            self.look_at_media(value, manner.label, false);
        } else {
            self.look_at_string(value, manner);
        }
    }

    /// Notes where a text stands that somebody may have written: a word by itself
    /// may as well be an id.
    fn note_text(&mut self, value: &Str<'_>, is_speech: bool) {
        if self.rules.texts && self.level == 0 && (is_speech || value.raw.contains(' ')) {
            let at = self.place.range(value.start..value.start + value.raw.len());
            let spelling = if value.escaped { Spelling::Json } else { Spelling::Plain };
            self.findings.texts.push(Spot { at, spelling });
        }
    }

    /// Undoes the escapes and looks through the text.
    fn look_at_string(&mut self, value: Str<'_>, manner: Manner<'_>) {
        if manner.form == Form::Text {
            self.note_text(&value, manner.is_speech);
        }
        let outer = Some(self.place);
        if manner.form == Form::Bare && !value.escaped && value.raw.contains('_') {
            // Such names have no spaces: "Anna_Kowalska" is two words.
            let place = Place { start: value.start, map: None, outer };
            self.findings.scanned += value.raw.len();
            self.scan(&value.raw.replace('_', " "), value.raw, manner, &place, 0);
        } else if value.escaped {
            let (mut text, mut map) = (String::new(), OffsetMap::default());
            json::unescape(value.raw, &mut text, &mut map);
            self.look_at_text(&text, manner, &Place { start: value.start, map: Some(&map), outer });
        } else {
            self.look_at_text(value.raw, manner, &Place { start: value.start, map: None, outer });
        }
    }

    fn look_at_text(&mut self, text: &str, manner: Manner<'_>, place: &Place<'_>) {
        if self.look_for_document(text, place) {
            if manner.joined {
                self.joint.clear();
            }
            return;
        }
        if manner.intent
            && let Some(brace) = text.find('{').filter(|_| text.starts_with('/'))
            && let Some((intent, entities)) = text.split_at_checked(brace)
            && self.look_for_document(entities, &Place { start: brace, map: None, outer: Some(place) })
        {
            self.findings.scanned += intent.len();
            return self.scan(intent, intent, manner, place, 0);
        }
        self.findings.scanned += text.len();
        let mut gone = 0;
        if manner.joined {
            let place = |range| place.range(range);
            let (detector, findings) = (self.rules.detector, &mut self.findings);
            gone = self.joint.look(text, place, Form::Text, detector, self.scratch, findings);
        }
        if let Some(object) = manner.object
            && let Some(joint) = self.members.of_member(object, manner.label.unwrap_or_default(), text)
        {
            let (detector, findings) = (self.rules.detector, &mut self.findings);
            let within = joint.look(text, |range| place.range(range), Form::Text, detector, self.scratch, findings);
            gone = gone.max(within);
            joint.push(text, |start| place.from(start, text.len()));
        }
        self.scan(text, text, manner, place, gone);
        if manner.joined {
            self.joint.push(text, |start| place.from(start, text.len()));
        }
    }

    /// Forgets the texts before where `value` does not go on from them.
    fn go_on(&mut self, path: &Path<'_>, value: Str<'_>) {
        let concerns = !self.joint.is_empty() && (value.escaped || self.joint.concerns(value.raw));
        if concerns && !self.beside.goes_on(path.depth()) {
            self.joint.clear();
        }
        self.beside.note_text(path.depth());
    }

    /// Adds what is found in a text behind the first bytes that are `gone`.
    /// `text` is what is read of `written`, byte for byte.
    fn scan(&mut self, text: &str, written: &str, manner: Manner<'_>, place: &Place<'_>, gone: usize) {
        let print = self.print(text, manner);
        if print.is_some_and(Print::is_known) {
            return;
        }
        let (before, first) = (self.traces(), self.findings.list.len());
        let worth = print.filter(|_| text.len() >= clean::SHORTEST);
        let recalled = worth.and_then(|print| print.recall(text, self.scratch));
        let mut outcome = None;
        if recalled.is_none() {
            self.rules.detector.scan(Input { text, label: manner.label }, self.scratch);
            outcome = worth.and_then(|_| self.scratch.outcome(text));
        }
        for found in self.scratch.findings() {
            let start = found.start.max(gone);
            if let Some(value) = written.get(start..found.end).filter(|value| !value.is_empty()) {
                self.findings.add(place.range(start..found.end), found, value, manner.form);
            }
        }
        let scanned = self.traces();
        if recalled != Some(true) {
            self.look_otherwise(text, manner, place, first);
        }
        // Of what is refused already not all is looked at.
        let is_new = gone == 0 && recalled.is_none() && self.refused.is_none();
        let Some(print) = print.filter(|_| is_new) else { return };
        match outcome {
            _ if self.traces() == before => print.remember(),
            Some(outcome) => print.remember_found(outcome, self.traces() == scanned),
            None => {}
        }
    }

    /// The hash of a text and of all that decides what is found in it.
    fn print(&self, text: &str, manner: Manner<'_>) -> Option<Print<'i>> {
        let state = |hasher: &mut SipHasher13| {
            hasher.write_u8(u8::from(manner.form == Form::Bare) | u8::from(self.in_base64) << 1);
            hasher.write_u8(u8::from(manner.label.is_some()));
            self.scratch.hash_known(hasher);
        };
        Some(self.rules.clean?.print_where(state, manner.label.unwrap_or_default(), text.as_bytes()))
    }

    /// What a text leaves behind that holds something.
    fn traces(&self) -> (u64, [usize; 3]) {
        let Findings { list, scanned, uninspected, .. } = &self.findings;
        (self.scratch.found(), [list.len(), *scanned, *uninspected])
    }

    /// Adds what other readings of a text show, of which the findings begin at
    /// `first` of the list.
    fn look_otherwise(&mut self, text: &str, manner: Manner<'_>, place: &Place<'_>, first: usize) {
        let Manner { label, form, .. } = manner;
        if form == Form::Bare {
            return;
        }
        let how = reading::Manner { detector: self.rules.detector, label, form, wanted: &any };
        for reading in Reading::all(text, label) {
            reading.look(how, self.scratch, &mut self.findings, place.in_body(0), |range| place.range(range));
        }
        if !self.in_base64 {
            self.look_for_base64(text, first, place);
        }
    }

    /// Adds what is found in texts in base64 within a text, of which the
    /// findings begin at `first` of the list.
    fn look_for_base64(&mut self, text: &str, first: usize, place: &Place<'_>) {
        let before = self.findings.list.len();
        for run in encoded::runs(text) {
            let inner = self.look_at_decoded(&run.text);
            if !inner.list.is_empty() {
                let at = place.range(run.at);
                self.findings.encode(inner, at, run.text, run.base64, Form::Text);
            }
        }
        if self.findings.list.len() > before {
            self.findings.settle_encoded(first);
        }
    }

    /// What is found in a text that stood in base64.
    fn look_at_decoded(&mut self, text: &str) -> Findings {
        let outer = std::mem::take(&mut self.findings);
        let was_in_base64 = std::mem::replace(&mut self.in_base64, true);
        let here = Place { start: 0, map: None, outer: None };
        let looks_like_document = text.trim_start().starts_with(['{', '[']);
        if !(looks_like_document && self.look_into(text, &here, 0)) {
            self.findings.scanned += text.len();
            self.scan(text, text, Manner::text(None), &here, 0);
        }
        self.in_base64 = was_in_base64;
        std::mem::replace(&mut self.findings, outer)
    }

    /// Looks into a text that looks like a JSON document, an object or an
    /// array, if it is one.
    fn look_for_document(&mut self, text: &str, place: &Place<'_>) -> bool {
        text.trim_start().starts_with(['{', '[']) && self.look_into(text, place, self.quotes + 1)
    }

    /// The walk goes on within a text that is a JSON document.
    fn look_into(&mut self, text: &str, place: &Place<'_>, quotes: usize) -> bool {
        // Only what is valid to its end is looked at as JSON.
        if self.level == MOST_LEVELS || walk(text, self.rules, &mut Nothing).is_err() {
            return false;
        }
        let mut inner = Inspector {
            rules: self.rules,
            classes: Classes::new(self.rules.fields),
            scratch: self.scratch,
            place,
            level: self.level + 1,
            quotes,
            findings: std::mem::take(&mut self.findings),
            refused: None,
            beside: Beside::new(text),
            joint: Joint::default(),
            members: FieldSeries::default(),
            numbers: Numbers::default(),
            in_base64: self.in_base64,
            is_empty_so_far: false,
        };
        let walked = walk(text, self.rules, &mut inner);
        self.findings = inner.findings;
        self.refused = self.refused.or(inner.refused);
        walked.is_ok()
    }

    /// A string that is a JSON document, of whatever kind. What is none is
    /// looked at as text.
    fn look_nested(&mut self, value: Str<'_>) {
        let (mut text, mut map) = (String::new(), OffsetMap::default());
        json::unescape(value.raw, &mut text, &mut map);
        let place = Place { start: value.start, map: Some(&map), outer: Some(self.place) };
        if !self.look_into(&text, &place, self.quotes + 1) {
            self.findings.scanned += text.len();
            self.scan(&text, &text, Manner::text(None), &place, 0);
        }
    }

    fn replace_whole(&mut self, value: Str<'_>, form: Form) {
        let text = value.decode();
        if !text.is_empty() {
            let at = self.place.range(value.start..value.start + value.raw.len());
            self.findings.add_whole(at, IDENTITY, &text, form);
        }
        self.findings.scanned += value.raw.len();
    }

    /// Takes note of strings whose value is wanted, of each place the first.
    fn seek(&mut self, path: &Path<'_>, value: Str<'_>) {
        for (pattern, sought) in self.rules.sought.iter().zip(&mut self.findings.sought) {
            if sought.is_none() && pattern.matches(path) {
                *sought = Some(value.decode().into_owned());
            }
        }
        for (nth, source) in self.rules.fields.conversation().iter().enumerate() {
            let (Conversation::Body(pattern) | Conversation::Reply(pattern)) = source else { continue };
            let is_better = self.findings.conversation.as_ref().is_none_or(|(known, _)| nth < *known);
            if is_better && !value.raw.is_empty() && pattern.matches(path) {
                self.findings.conversation = Some((nth, value.decode().into_owned()));
            }
        }
    }

    /// A file, or an address of one. Of one that is a text in base64 the text
    /// is looked at, and all of it is written anew where something is found.
    fn look_at_media(&mut self, value: Str<'_>, label: Option<&str>, says_text: bool) {
        let decoded = value.decode();
        let first = self.findings.list.len();
        let media = media::of(&decoded, says_text);
        let is_short = decoded.len() < media::SHORT && !matches!(media, Media::Plain | Media::Opaque { known: true });
        if let Media::Text { start, text, base64 } = media {
            self.look_at_encoded(value, start, text, base64);
            if is_short && self.findings.list.len() == first {
                self.look_at_string(value, Manner::text(label));
            }
            return;
        }
        if is_short || matches!(media, Media::Plain) {
            self.look_at_string(value, Manner::text(label));
        }
        match media {
            Media::Opaque { .. } if !is_short => self.findings.uninspected += value.raw.len(),
            Media::Unreadable if self.findings.list.len() == first => {
                let why = "The body holds a text file that is not UTF-8; send its text as text.";
                self.refuse(why, value.raw.len());
            }
            _ => {}
        }
    }

    fn look_at_encoded(&mut self, value: Str<'_>, start: usize, text: String, base64: Base64) {
        // Of the escapes that may stand in front of the data none has a comma.
        if declares_entities(&text) {
            let why = "The body holds an XML file that declares entities of its own (`<!ENTITY`), so that its text cannot be known.";
            self.refuse(why, value.raw.len());
        }
        let start = if value.escaped { value.raw.find(',').map_or(0, |comma| comma + 1) } else { start };
        let at = self.place.range(value.start + start..value.start + value.raw.len());
        let inner = self.look_at_decoded(&text);
        self.findings.encode(inner, at, text, base64, Form::Text);
    }

    /// A part of so many bytes cannot be inspected. The rest of the document is
    /// looked at also where the route lets such parts pass.
    fn refuse(&mut self, why: &'static str, bytes: usize) {
        match self.rules.binary {
            Binary::Refuse => self.refused = Some(Uninspectable(why)),
            Binary::Pass => self.findings.uninspected += bytes,
        }
    }

    fn classify(&mut self, path: &Path<'a>) -> Class {
        let beside = &mut self.beside;
        self.classes.of(path, |condition| beside.holds(condition))
    }

    /// Takes note of the first member that the protocol does not know.
    fn check_known(&mut self, path: &Path<'_>) {
        if self.asks_for_known() {
            let beside = &mut self.beside;
            if !self.rules.fields.is_known(path, |condition| beside.holds(condition)) {
                self.findings.unknown = Some(members::name(path, self.rules.detector, self.scratch));
            }
        }
    }

    /// The same at the end of an object or array, if nothing stood in it: else
    /// what stood there was asked.
    fn check_known_empty(&mut self, path: &Path<'_>) {
        if self.is_empty_so_far && self.asks_for_known() {
            let beside = &mut self.beside;
            if !self.rules.fields.is_known_empty(path, |condition| beside.holds(condition)) {
                self.findings.unknown = Some(members::name(path, self.rules.detector, self.scratch));
            }
        }
        self.is_empty_so_far = false;
    }

    fn asks_for_known(&self) -> bool {
        self.rules.strict && self.level == 0 && self.findings.unknown.is_none()
    }
}

impl<'a> Visitor<'a> for Inspector<'_, 'a> {
    fn begin_object(&mut self, path: &Path<'a>, start: usize) {
        self.is_empty_so_far = true;
        self.beside.begin(path.depth(), start);
    }

    fn end_object(&mut self, path: &Path<'a>, _start: usize) {
        self.check_known_empty(path);
        self.beside.end(path.depth());
    }

    fn begin_array(&mut self, path: &Path<'a>, start: usize) {
        self.is_empty_so_far = true;
        self.numbers = Numbers::after(self.findings.list.len());
        self.beside.begin(path.depth(), start);
    }

    fn end_array(&mut self, path: &Path<'a>, _start: usize) {
        self.check_known_empty(path);
        let numbers = std::mem::take(&mut self.numbers);
        if let Some(card) = numbers.card(self.rules.detector, self.scratch) {
            numbers.replace(card, self.quotes, &mut self.findings);
        }
    }

    fn key(&mut self, _path: &Path<'a>, key: Str<'a>) {
        self.findings.scanned += key.raw.len();
        // Most names of members are identifiers and need no look.
        let is_name = |raw: &str| {
            !raw.as_bytes().first().is_some_and(u8::is_ascii_uppercase)
                && raw.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
        };
        if key.raw.len() > LONGEST_NAME || !is_name(key.raw) {
            self.look(key, Manner::text(None));
        } else if let Some(person) = members::person(key.raw, self.rules.detector, self.scratch) {
            let at = self.place.range(key.start..key.start + key.raw.len());
            self.findings.add(at, &person, key.raw, Form::Text);
        }
    }

    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        self.is_empty_so_far = false;
        if self.level > 0 {
            let joined = is_in_series(path, self.level);
            if joined {
                self.go_on(path, value);
            }
            let object = self.beside.object(path);
            return self.look(value, Manner { joined, object, ..Manner::text(label(path)) });
        }
        self.seek(path, value);
        self.check_known(path);
        let Class { field, is_bare, is_joined } = self.classify(path);
        let form = if is_bare { Form::Bare } else { Form::Text };
        let is_speech = (path.depth() == 0 && self.beside.is_in_series()) || is_joined;
        let joined = is_speech || is_in_series(path, self.level);
        let text = Manner { joined, is_speech, object: self.beside.object(path), ..Manner::text(label(path)) };
        if joined {
            self.go_on(path, value);
        }
        match field {
            RequestField::Verbatim => self.findings.skipped += value.raw.len(),
            RequestField::Never if is_id(&value) => self.findings.skipped += value.raw.len(),
            RequestField::Media => {
                let says_text = self.beside.says_text(path.depth());
                self.look_at_media(value, label(path), says_text);
            }
            RequestField::Nested => {
                self.note_text(&value, false);
                self.look_nested(value);
            }
            RequestField::Identity => match self.rules.identity {
                Identity::Keep => self.findings.skipped += value.raw.len(),
                Identity::Token => self.replace_whole(value, form),
                Identity::Scan => self.look(value, Manner { form, ..text }),
            },
            RequestField::Intent => self.look(value, Manner { intent: true, ..text }),
            RequestField::Never | RequestField::Opaque | RequestField::Text => {
                self.look(value, Manner { form, ..text });
            }
        }
    }

    fn literal(&mut self, path: &Path<'a>, _raw: &'a str, _start: usize) {
        self.is_empty_so_far = false;
        self.check_known(path);
        if self.level == 0 {
            let beside = &mut self.beside;
            self.findings.forgotten |= self.rules.fields.is_forgotten(path, |condition| beside.holds(condition));
        }
    }

    fn number(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {
        self.is_empty_so_far = false;
        self.check_known(path);
        // A sign or a fraction of zeros, as some languages write it, hides nothing.
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        let expanded = digits.split_once(['e', 'E']).and_then(|(digits, exponent)| expand(digits, exponent));
        let digits = expanded.as_deref().unwrap_or(digits);
        let digits = match digits.split_once('.') {
            Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole,
            _ => digits,
        };
        let is_long = digits.len() >= SHORTEST_NUMBER && digits.bytes().all(|b| b.is_ascii_digit());
        let field = if self.level == 0 { self.classify(path).field } else { RequestField::Text };
        match field {
            RequestField::Opaque => {
                let why = "The text is given as token numbers of a model, which cannot be inspected; send it as text.";
                return self.refuse(why, raw.len());
            }
            RequestField::Verbatim | RequestField::Never => {
                self.findings.skipped += raw.len();
                return;
            }
            _ => self.findings.scanned += raw.len(),
        }
        if let Some(Step::Index(nth)) = path.steps().last() {
            self.numbers.push(*nth, raw, self.place.range(start..start + raw.len()));
        }
        if !is_long {
            return;
        }
        // Only a number that is personal data as a whole can be replaced.
        let whole = self.rules.detector.scan(Input { text: digits, label: label(path) }, self.scratch).first().copied();
        if let Some(found) = whole.filter(|f| f.start == 0 && f.end == digits.len()) {
            let at = self.place.range(start..start + raw.len());
            self.findings.add(at, &found, raw, Form::Number { depth: self.quotes });
        }
    }
}
