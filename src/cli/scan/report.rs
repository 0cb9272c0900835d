//! What a scan found, as JSON, as lines for people, and as redacted text.

use super::ScanArgs;
use crate::detect::{Engine, Evidence, Finding, Input, NearMiss, RuleInfo, Scratch, Why};
use anstyle::{AnsiColor, Style};
use serde::ser::{SerializeSeq as _, SerializeStruct};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};

/// So many words that would have helped are named.
const HINTS: usize = 5;

/// The findings of one text, and whatever else was asked for.
pub(super) struct Report<'e, 's> {
    engine: &'e Engine,
    findings: Cow<'s, [Finding]>,
    shadow: Cow<'s, [Finding]>,
    /// By finding, where it was asked for.
    evidence: Option<Vec<Evidence>>,
    near: Vec<NearMiss>,
    redacted: Option<String>,
}

impl<'e, 's> Report<'e, 's> {
    /// Scans a text.
    pub(super) fn of(text: &str, args: &ScanArgs, engine: &'e Engine, scratch: &'s mut Scratch) -> Self {
        let near = if args.explain {
            engine.near_misses(Input::text(text), scratch)
        } else {
            engine.scan(Input::text(text), scratch);
            Vec::new()
        };
        let scratch: &'s Scratch = scratch;
        Self {
            engine,
            evidence: args.explain.then(|| (0..scratch.findings().len()).map(|i| scratch.evidence(i)).collect()),
            near,
            redacted: args.redact.then(|| redact(text, scratch.findings())),
            findings: Cow::Borrowed(scratch.findings()),
            shadow: Cow::Borrowed(scratch.shadow()),
        }
    }

    /// The same without the scratch.
    pub(super) fn into_owned(self) -> Report<'e, 'static> {
        Report {
            engine: self.engine,
            findings: Cow::Owned(self.findings.into_owned()),
            shadow: Cow::Owned(self.shadow.into_owned()),
            evidence: self.evidence,
            near: self.near,
            redacted: self.redacted,
        }
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.findings.is_empty()
    }

    pub(super) fn redacted(&self) -> Option<&str> {
        self.redacted.as_deref()
    }

    /// How many fields [`Report::fields`] adds.
    pub(super) fn field_count(&self) -> usize {
        1 + usize::from(!self.shadow.is_empty())
            + usize::from(!self.near.is_empty())
            + usize::from(self.redacted.is_some())
    }

    /// The fields of a JSON object: `findings` always, `shadow`, `near_misses`
    /// and `redacted` where there are any.
    pub(super) fn fields<S: SerializeStruct>(&self, object: &mut S) -> Result<(), S::Error> {
        let engine = self.engine;
        let evidence = self.evidence.as_deref();
        object.serialize_field("findings", &List { engine, all: &self.findings, evidence })?;
        if !self.shadow.is_empty() {
            object.serialize_field("shadow", &List { engine, all: &self.shadow, evidence: None })?;
        }
        if !self.near.is_empty() {
            object.serialize_field("near_misses", &self.near())?;
        }
        if let Some(redacted) = &self.redacted {
            object.serialize_field("redacted", redacted)?;
        }
        Ok(())
    }

    /// The same as compact JSON behind another field, up to the brace. It is
    /// written by hand: a scan of many short texts spends more time here than one
    /// thinks.
    pub(super) fn write_fields(&self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(b",\"findings\":");
        self.write_list(&self.findings, self.evidence.as_deref(), out)?;
        if !self.shadow.is_empty() {
            out.extend_from_slice(b",\"shadow\":");
            self.write_list(&self.shadow, None, out)?;
        }
        if !self.near.is_empty() {
            out.extend_from_slice(b",\"near_misses\":");
            serde_json::to_writer(&mut *out, &self.near())?;
        }
        if let Some(redacted) = &self.redacted {
            out.extend_from_slice(b",\"redacted\":");
            serde_json::to_writer(&mut *out, redacted)?;
        }
        Ok(())
    }

    fn write_list(&self, all: &[Finding], evidence: Option<&[Evidence]>, out: &mut Vec<u8>) -> io::Result<()> {
        out.push(b'[');
        for (i, f) in all.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"start\":");
            write_number(f.start, out);
            out.extend_from_slice(b",\"end\":");
            write_number(f.end, out);
            out.extend_from_slice(b",\"entity\":\"");
            out.extend_from_slice(f.entity.as_bytes());
            out.extend_from_slice(b"\",\"score\":");
            write_score(f.score, out);
            out.extend_from_slice(b",\"rule\":\"");
            // The id of a rule holds nothing that JSON would have to escape.
            out.extend_from_slice(self.engine.rule(f.rule).id.as_bytes());
            out.push(b'"');
            if let Some(evidence) = evidence.and_then(|all| all.get(i)) {
                out.extend_from_slice(b",\"evidence\":");
                serde_json::to_writer(&mut *out, &evidence.describe().collect::<Vec<_>>())?;
            }
            out.push(b'}');
        }
        out.push(b']');
        Ok(())
    }

    fn near(&self) -> Vec<Near<'_>> {
        self.near.iter().map(|miss| Near { engine: self.engine, miss }).collect()
    }

    /// One line for each finding, and below it why, where that was asked for.
    /// The text starts at `line` of its file; the next line is returned.
    pub(super) fn write_text(&self, name: &str, text: &str, line: usize, out: &mut impl Write) -> io::Result<usize> {
        let mut places = Places { text, line, line_start: 0, seen: 0 };
        let explain = self.evidence.is_some();
        let shadow = self.shadow.iter().filter(|_| explain).map(|f| (f.start, Entry::Shadow(f)));
        let near = self.near.iter().map(|miss| (miss.start, Entry::Near(miss)));
        let found = self.findings.iter().enumerate().map(|(i, f)| (f.start, Entry::Finding(i, f)));
        let mut entries: Vec<(usize, Entry<'_>)> = found.chain(shadow).chain(near).collect();
        entries.sort_by_key(|(start, _)| *start);
        for (start, entry) in entries {
            let (line, column) = places.of(start);
            self.write_entry(&format!("{name}:{line}:{column}:"), text, &entry, out)?;
        }
        Ok(places.of(text.len()).0)
    }

    fn write_entry(&self, place: &str, text: &str, entry: &Entry<'_>, out: &mut impl Write) -> io::Result<()> {
        let loud = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
        let dim = Style::new().dimmed();
        let (span, id, score) = match entry {
            Entry::Finding(_, f) | Entry::Shadow(f) => (f.start..f.end, f.rule, f.score),
            Entry::Near(miss) => (miss.start..miss.end, miss.rule, miss.score),
        };
        let rule = self.engine.rule(id);
        let (style, note) = match entry {
            Entry::Finding(..) => (loud, ""),
            Entry::Shadow(_) => (dim, "in shadow: "),
            Entry::Near(_) => (dim, "nearly: "),
        };
        let value: String = text.get(span).unwrap_or_default().escape_debug().collect();
        let (entity, rule_id) = (rule.entity, &rule.id);
        writeln!(
            out,
            "{dim}{place}{dim:#} {note}{style}{entity}{style:#} {value} {dim}({rule_id}, {score:.2}){dim:#}"
        )?;
        let evidence = match entry {
            Entry::Finding(i, _) => self.evidence.as_ref().and_then(|all| all.get(*i)).copied().unwrap_or_default(),
            Entry::Shadow(_) => Evidence::default(),
            Entry::Near(miss) => miss.evidence,
        };
        let mark = rule.sensitive.then_some("sensitive");
        let evidence: Vec<&str> = evidence.describe().chain(mark).collect();
        if self.evidence.is_some() && !evidence.is_empty() {
            writeln!(out, "    {}", evidence.join(", "))?;
        }
        if let Entry::Near(miss) = entry {
            writeln!(out, "    {}", reason(self.engine, miss))?;
        }
        Ok(())
    }
}

enum Entry<'e> {
    /// With its index, by which evidence is asked for.
    Finding(usize, &'e Finding),
    Shadow(&'e Finding),
    Near(&'e NearMiss),
}

/// Why a near miss is no finding, for people.
pub(in crate::cli) fn reason(engine: &Engine, miss: &NearMiss) -> String {
    match miss.why {
        Why::Exception => "a rule with the operator keep covers it".to_owned(),
        Why::Overlap(by) => {
            let by = engine.rule(by);
            format!("lost to {} of {}, which is stricter, longer or surer", by.entity, by.id)
        }
        Why::Score(missing) => format!("{missing:.2} below the threshold; {}", hint(engine, miss, missing)),
    }
}

fn hint(engine: &Engine, miss: &NearMiss, missing: f32) -> String {
    if miss.evidence.describe().any(|e| e == "-word against") {
        return "a word nearby speaks against it".to_owned();
    }
    if miss.evidence.describe().any(|e| e == "+context word") {
        return "the context word nearby adds too little".to_owned();
    }
    let helpful = helpful(engine.rule(miss.rule), missing);
    if helpful.is_empty() {
        return "no context word of the rule would be enough".to_owned();
    }
    format!("a word like {} nearby would be enough", helpful.join(", "))
}

/// Context words that would have lifted a candidate over the threshold.
fn helpful(rule: &RuleInfo, missing: f32) -> Vec<&str> {
    let enough = rule.context.iter().filter(|word| word.weight >= missing - 0.001);
    enough.take(HINTS).map(|word| word.word.as_str()).collect()
}

/// The text with `[ENTITY]` in place of each finding.
fn redact(text: &str, findings: &[Finding]) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut at = 0;
    for finding in findings {
        redacted.push_str(text.get(at..finding.start).unwrap_or_default());
        redacted.push('[');
        redacted.push_str(finding.entity.as_str());
        redacted.push(']');
        at = finding.end;
    }
    redacted.push_str(text.get(at..).unwrap_or_default());
    redacted
}

/// Lines and columns of offsets that only grow.
struct Places<'t> {
    text: &'t str,
    line: usize,
    line_start: usize,
    seen: usize,
}

impl Places<'_> {
    fn of(&mut self, offset: usize) -> (usize, usize) {
        let between = self.text.get(self.seen..offset).unwrap_or_default();
        self.line += between.matches('\n').count();
        if let Some(i) = between.rfind('\n') {
            self.line_start = self.seen + i + 1;
        }
        self.seen = offset;
        (self.line, self.text.get(self.line_start..offset).unwrap_or_default().chars().count() + 1)
    }
}

/// Findings of a document.
struct List<'l> {
    engine: &'l Engine,
    all: &'l [Finding],
    evidence: Option<&'l [Evidence]>,
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.all.len()))?;
        for (i, f) in self.all.iter().enumerate() {
            list.serialize_element(&Found {
                start: f.start,
                end: f.end,
                entity: f.entity.as_str(),
                score: rounded(f.score),
                rule: &self.engine.rule(f.rule).id,
                evidence: self.evidence.and_then(|all| all.get(i)).map(|e| e.describe().collect()),
            })?;
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Found<'f> {
    start: usize,
    end: usize,
    entity: &'f str,
    score: f32,
    rule: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Vec<&'static str>>,
}

struct Near<'n> {
    engine: &'n Engine,
    miss: &'n NearMiss,
}

impl Serialize for Near<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { engine, miss } = *self;
        let rule = engine.rule(miss.rule);
        let mut object = serializer.serialize_struct("Near", 7)?;
        object.serialize_field("start", &miss.start)?;
        object.serialize_field("end", &miss.end)?;
        object.serialize_field("entity", rule.entity.as_str())?;
        object.serialize_field("score", &rounded(miss.score))?;
        object.serialize_field("rule", &rule.id)?;
        object.serialize_field("evidence", &miss.evidence.describe().collect::<Vec<_>>())?;
        object.serialize_field("why", &reason(engine, miss))?;
        object.end()
    }
}

/// Hundredths: a score is no measurement.
pub(super) fn rounded(score: f32) -> f32 {
    (score * 100.0).round() / 100.0
}

/// The same as JSON.
pub(super) fn write_score(score: f32, out: &mut Vec<u8>) {
    // Rounded by hand, as that is a call for many processors.
    let hundredths = (f64::from(score * 100.0) + 0.5) as u32;
    let [one, tenth, hundredth] = [100, 10, 1].map(|unit| b'0' + (hundredths / unit % 10) as u8);
    out.extend_from_slice(&[one, b'.', tenth, hundredth]);
    if hundredth == b'0' {
        out.pop();
    }
}

/// Without what formatting costs.
pub(super) fn write_number(number: usize, out: &mut Vec<u8>) {
    if number >= 10_000 {
        return write_large(number, out);
    }
    // How many digits there are cannot be foreseen, and so there is no loop: two
    // digits stand in each half, and all are told apart at once.
    let number = number as u32;
    let pairs = (number / 100) | ((number % 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f;
    let digits = (tens | (pairs - 10 * tens) << 8) + u32::from_le_bytes(*b"0000");
    let zeros = [10, 100, 1000].map(|least| u32::from(number < least)).into_iter().sum::<u32>();
    out.extend_from_slice(&(digits >> (8 * zeros)).to_le_bytes());
    out.truncate(out.len() - zeros as usize);
}

#[cold]
#[inline(never)]
fn write_large(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(number.to_string().as_bytes());
}
