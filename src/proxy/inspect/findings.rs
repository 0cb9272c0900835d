//! What was found in a body, and where.

use crate::detect::{Finding, Operator, RuleId};
use crate::entity::Entity;
use base64::Engine as _;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;
use std::ops::Range;

/// What was found in one body.
#[derive(Default)]
pub(in crate::proxy) struct Findings {
    /// In the order of the body; they do not overlap.
    pub(in crate::proxy) list: Vec<Located>,
    /// The values found, one after another.
    pub(in crate::proxy) values: String,
    /// Bytes that rules looked at.
    pub(in crate::proxy) scanned: usize,
    /// Bytes of members that the protocol names as never touched.
    pub(in crate::proxy) skipped: usize,
    /// Bytes that no rule looked at: pictures and sound.
    pub(in crate::proxy) uninspected: usize,
    /// The strings that were sought, in the order of their patterns.
    pub(in crate::proxy) sought: Vec<Option<String>>,
    /// What names the conversation, by its place among what the protocol says.
    pub(in crate::proxy) conversation: Option<(usize, String)>,
    /// Whether the request says that nothing can go on from its reply.
    pub(in crate::proxy) forgotten: bool,
    /// The first member that the protocol does not know, where that is asked.
    pub(in crate::proxy) unknown: Option<String>,
    /// Whether a rule in shadow found data of special categories.
    pub(in crate::proxy) sensitive: bool,
    /// Where texts stand, in order, if that is wanted.
    pub(in crate::proxy) texts: Vec<Spot>,
}

/// A text that somebody may have written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::proxy) struct Spot {
    /// Bytes of the body.
    pub(in crate::proxy) at: Range<usize>,
    pub(in crate::proxy) spelling: Spelling,
}

/// How a text is spelled in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Spelling {
    /// As it is.
    Plain,
    /// With the escapes of JSON.
    Json,
    /// As the value of a form.
    Form,
}

/// A finding and where it stands in the body.
pub(in crate::proxy) struct Located {
    /// Bytes of the body.
    pub(in crate::proxy) at: Range<usize>,
    pub(in crate::proxy) entity: Entity,
    pub(in crate::proxy) operator: Operator,
    /// None for what is replaced whatever it holds.
    pub(in crate::proxy) rule: Option<RuleId>,
    value: Range<usize>,
    pub(in crate::proxy) form: Form,
    /// A text in base64 that holds findings: it stands here instead of one.
    pub(in crate::proxy) encoded: Option<Box<EncodedText>>,
}

impl Located {
    /// What is left of it at this place, where something else took the rest.
    fn rest(self, at: Range<usize>) -> Self {
        Self { at, rule: None, value: 0..0, form: Form::Rest, encoded: None, ..self }
    }
}

/// How a replacement has to be written in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Form {
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
    /// The rest of a value that began in an earlier text: nothing is written.
    Rest,
    /// The same of a JSON number, which becomes `null`.
    RestNumber,
}

impl Form {
    /// Whether a value begins here that something has to stand for.
    pub(in crate::proxy) fn is_first(self) -> bool {
        !matches!(self, Self::Rest | Self::RestNumber)
    }
}

/// A text that stands in the body in base64 (RFC 4648).
pub(in crate::proxy) struct EncodedText {
    pub(in crate::proxy) text: String,
    /// Places are those of `text`.
    pub(in crate::proxy) list: Vec<Located>,
    pub(in crate::proxy) base64: Base64,
}

/// How a text is written in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Base64 {
    url_safe: bool,
    padded: bool,
}

impl Findings {
    /// Nothing found yet, of so many strings that are sought besides.
    pub(in crate::proxy) fn seeking(count: usize) -> Self {
        Self { sought: vec![None; count], ..Self::default() }
    }

    /// The exact text that was found, escapes undone.
    pub(in crate::proxy) fn value(&self, located: &Located) -> &str {
        self.values.get(located.value.clone()).unwrap_or_default()
    }

    /// Each of the findings, those within texts in base64 too.
    pub(in crate::proxy) fn each(&self) -> impl Iterator<Item = &Located> {
        self.list.iter().flat_map(|found| match &found.encoded {
            Some(text) => text.list.as_slice(),
            None => std::slice::from_ref(found),
        })
    }

    /// Adds what was found in a text that starts at `start` of the whole.
    pub(in crate::proxy) fn append(&mut self, other: Self, start: usize) {
        let values = self.values.len();
        self.values.push_str(&other.values);
        let moved = |found: &mut Located| {
            found.value = values + found.value.start..values + found.value.end;
        };
        for mut found in other.list {
            found.at = start + found.at.start..start + found.at.end;
            moved(&mut found);
            if let Some(text) = &mut found.encoded {
                text.list.iter_mut().for_each(moved);
            }
            self.list.push(found);
        }
        let moved = |Spot { at, spelling }| Spot { at: start + at.start..start + at.end, spelling };
        self.texts.extend(other.texts.into_iter().map(moved));
        self.scanned += other.scanned;
        self.skipped += other.skipped;
        self.uninspected += other.uninspected;
        for (sought, found) in self.sought.iter_mut().zip(other.sought) {
            *sought = sought.take().or(found);
        }
        self.conversation = self.conversation.take().or(other.conversation);
        self.forgotten |= other.forgotten;
        self.unknown = self.unknown.take().or(other.unknown);
    }

    /// The same with their values spelled so.
    pub(in crate::proxy) fn respelled(mut self, spell: impl Fn(&str) -> Cow<'_, str>) -> Self {
        let before = std::mem::take(&mut self.values);
        for found in &mut self.list {
            let start = self.values.len();
            self.values.push_str(&spell(before.get(found.value.clone()).unwrap_or_default()));
            found.value = start..self.values.len();
        }
        self
    }

    pub(in crate::proxy) fn add(&mut self, at: Range<usize>, finding: &Finding, value: &str, form: Form) {
        if self.list.capacity() == 0 {
            // Where one value is there mostly are more.
            self.list.reserve(32);
            self.values.reserve(32 * 32);
        }
        let value = self.store(value);
        let Finding { entity, operator, rule, .. } = *finding;
        self.list.push(Located { at, entity, operator, rule: Some(rule), value, form, encoded: None });
    }

    /// Adds a value that is replaced whatever it is.
    pub(super) fn add_whole(&mut self, at: Range<usize>, entity: Entity, value: &str, form: Form) {
        let value = self.store(value);
        self.list.push(Located { at, entity, operator: Operator::Token, rule: None, value, form, encoded: None });
    }

    /// Adds what was found in a text in base64 that stands at `at` in this
    /// form, and is replaced as a whole.
    pub(super) fn encode(&mut self, inner: Self, at: Range<usize>, text: String, base64: Base64, form: Form) {
        let first = self.list.len();
        self.append(inner, 0);
        let list = self.list.split_off(first);
        let Some(&Located { entity, operator, .. }) = list.first() else { return };
        let encoded = Some(Box::new(EncodedText { text, list, base64 }));
        self.list.push(Located { at, entity, operator, rule: None, value: 0..0, form, encoded });
    }

    /// Brings the findings from `first` on in order, texts in base64 among
    /// them: what was found in one of these as it stands is chance, unless it
    /// is all of it. Of what reaches beyond one, the part outside goes.
    pub(super) fn settle_encoded(&mut self, first: usize) {
        let mut list = self.list.split_off(first.min(self.list.len()));
        list.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
        for found in list {
            let overlaps = |last: &&mut Located| found.at.start < last.at.end;
            match self.list.get_mut(first..).and_then(<[_]>::last_mut).filter(|last| overlaps(last)) {
                None => self.list.push(found),
                Some(last) if found.encoded.is_some() && last.at.end < found.at.end && last.encoded.is_none() => {
                    let before = std::mem::replace(last, found);
                    let outside = before.at.start..last.at.start;
                    if !outside.is_empty() {
                        let encoded = self.list.len() - 1;
                        self.list.insert(encoded, before.rest(outside));
                    }
                }
                Some(last) if last.encoded.is_some() && last.at.end < found.at.end => {
                    let outside = last.at.end..found.at.end;
                    self.list.push(found.rest(outside));
                }
                Some(_) => {}
            }
        }
    }

    /// Puts a finding that goes over several texts in the place of what was
    /// found in its parts: the first part gets the token, the others nothing.
    /// The parts are in order. False where something else reaches beyond them.
    pub(super) fn span(&mut self, parts: &[Range<usize>], finding: &Finding, value: &str, form: Form) -> bool {
        let Some((first, others)) = parts.split_first() else { return false };
        let from = self.list.iter().rposition(|found| found.at.end <= first.start).map_or(0, |last| last + 1);
        let overlaps =
            |found: &Located| parts.iter().find(|part| found.at.start < part.end && part.start < found.at.end);
        let reaches = |found: &Located| {
            overlaps(found).is_some_and(|part| found.at.start < part.start || found.at.end > part.end)
        };
        if self.list.get(from..).unwrap_or_default().iter().any(reaches) {
            return false;
        }
        let mut behind = self.list.split_off(from);
        behind.retain(|found| overlaps(found).is_none());
        let place = behind.partition_point(|found| found.at.start < first.start);
        self.list.extend(behind.drain(..place));
        self.add(first.clone(), finding, value, form);
        for part in others {
            let place = behind.partition_point(|found| found.at.start < part.start);
            self.list.extend(behind.drain(..place));
            self.add_rest(part.clone(), finding);
        }
        self.list.append(&mut behind);
        true
    }

    /// Adds what was found in another reading of a text that begins at `start`:
    /// its parts in the body, whether its value is to be held against what was
    /// found in them, and the value. What covers it already stays instead.
    pub(super) fn uncover(&mut self, start: usize, hidden: Vec<Hidden<'_>>, form: Form) {
        let first = self.list.partition_point(|found| found.at.end <= start);
        let mut plain = self.list.split_off(first).into_iter().peekable();
        for Hidden { parts, finding, value, is_loose, begins } in hidden {
            let (Some(from), Some(to)) = (parts.first().map(|p| p.start), parts.last().map(|p| p.end)) else {
                continue;
            };
            while let Some(before) = plain.next_if(|found| found.at.end <= from) {
                self.list.push(before);
            }
            let reaching = self.list.iter().rposition(|found| found.at.end <= from).map_or(0, |last| last + 1);
            let mut here = self.list.split_off(reaching.max(first));
            while let Some(inside) = plain.next_if(|found| found.at.start < to) {
                here.push(inside);
            }
            let overlaps =
                |found: &Located, part: &Range<usize>| found.at.start < part.end && part.start < found.at.end;
            let within =
                |found: &Located, part: &Range<usize>| part.start <= found.at.start && found.at.end <= part.end;
            let bare: Vec<_> = parts.iter().flat_map(|part| left_over(part, &here)).collect();
            let is_whole = |found: &Located| {
                let same = found.entity == finding.entity && parts.iter().any(|part| within(found, part));
                same && !begins(value, self.values.get(found.value.clone()).unwrap_or_default())
            };
            if bare.is_empty() || is_loose && here.iter().any(is_whole) {
                self.list.append(&mut here);
                continue;
            }
            let gives_way = |found: &Located| {
                found.operator.strictness() <= finding.operator.strictness() && found.encoded.is_none()
            };
            let beside = |found: &Located| !parts.iter().any(|part| overlaps(found, part));
            let fits =
                |found: &Located| beside(found) || gives_way(found) && parts.iter().any(|part| within(found, part));
            let end = self.list.len();
            if here.iter().all(fits) {
                here.retain(beside);
                let mut parts = parts.into_iter();
                if let Some(part) = parts.next() {
                    self.add(part, &finding, value, form);
                }
                parts.for_each(|part| self.add_rest(part, &finding));
            } else {
                for part in bare {
                    self.add_rest(part, &finding);
                }
            }
            self.list.append(&mut here);
            self.list.get_mut(end..).unwrap_or_default().sort_by_key(|found| found.at.start);
        }
        self.list.extend(plain);
    }

    /// Adds a value that stands in these numbers of an array, in order.
    pub(super) fn add_numbers(&mut self, numbers: &[Range<usize>], finding: &Finding, value: &str, depth: usize) {
        let Some((first, others)) = numbers.split_first() else { return };
        self.add(first.clone(), finding, value, Form::Number { depth });
        for at in others {
            self.add_part(at.clone(), finding, Form::RestNumber);
        }
    }

    /// Adds a part of a value that stands elsewhere: nothing is written there.
    fn add_rest(&mut self, at: Range<usize>, finding: &Finding) {
        self.add_part(at, finding, Form::Rest);
    }

    fn add_part(&mut self, at: Range<usize>, finding: &Finding, form: Form) {
        let Finding { entity, operator, .. } = *finding;
        self.list.push(Located { at, entity, operator, rule: None, value: 0..0, form, encoded: None });
    }

    fn store(&mut self, value: &str) -> Range<usize> {
        let start = self.values.len();
        self.values.push_str(value);
        start..self.values.len()
    }
}

/// What was found in another reading of a text than as it stands.
pub(super) struct Hidden<'h> {
    /// In the body, in order.
    pub(super) parts: Vec<Range<usize>>,
    pub(super) finding: Finding,
    pub(super) value: &'h str,
    /// Whether a value that is whole in one part is rather that.
    pub(super) is_loose: bool,
    /// Whether the first value is begun by what stands in front of the second in it.
    pub(super) begins: &'h dyn Fn(&str, &str) -> bool,
}

/// What of a part is in none of these findings, which are in order.
fn left_over(part: &Range<usize>, found: &[Located]) -> Vec<Range<usize>> {
    let mut from = part.start;
    let mut left = Vec::new();
    for one in found {
        if from < one.at.start.min(part.end) {
            left.push(from..one.at.start.min(part.end));
        }
        from = from.max(one.at.end);
    }
    if from < part.end {
        left.push(from..part.end);
    }
    left
}

impl Base64 {
    /// The bytes that `raw` stands for, and how it is written; none where it
    /// is no base64.
    pub(super) fn decode(raw: &[u8]) -> Option<(Vec<u8>, Self)> {
        let url_safe = raw.iter().any(|b| matches!(b, b'-' | b'_'));
        let this = Self { url_safe, padded: raw.last() == Some(&b'=') || raw.len().is_multiple_of(4) };
        this.engine().decode(raw).ok().map(|bytes| (bytes, this))
    }

    /// Writes bytes so.
    pub(in crate::proxy) fn encode(self, bytes: &[u8]) -> String {
        self.engine().encode(bytes)
    }

    /// Their tables are made once: many a number is looked at that is no text.
    fn engine(self) -> &'static GeneralPurpose {
        const fn of(alphabet: &Alphabet, padded: bool) -> GeneralPurpose {
            let config = GeneralPurposeConfig::new()
                .with_encode_padding(padded)
                .with_decode_padding_mode(DecodePaddingMode::Indifferent)
                .with_decode_allow_trailing_bits(true);
            GeneralPurpose::new(alphabet, config)
        }
        static STANDARD: GeneralPurpose = of(&alphabet::STANDARD, true);
        static STANDARD_BARE: GeneralPurpose = of(&alphabet::STANDARD, false);
        static URL_SAFE: GeneralPurpose = of(&alphabet::URL_SAFE, true);
        static URL_SAFE_BARE: GeneralPurpose = of(&alphabet::URL_SAFE, false);
        match (self.url_safe, self.padded) {
            (false, true) => &STANDARD,
            (false, false) => &STANDARD_BARE,
            (true, true) => &URL_SAFE,
            (true, false) => &URL_SAFE_BARE,
        }
    }
}
