//! A text as whoever reads it further on sees it: without the markup that may
//! stand within a value, and with what is written by the escapes of other
//! notations than its own. What is found there and not in the text as it
//! stands is hidden by nothing but its spelling. Pure.

mod escape;
mod file;
mod mail;
mod marks;
mod tag;
mod word;

use super::findings::{Findings, Form, Hidden};
use super::joint;
use crate::detect::{Detector, Finding, Input, Scratch};
use std::ops::Range;

/// How a reading is looked at.
#[derive(Clone, Copy)]
pub(in crate::proxy) struct Manner<'m> {
    pub(in crate::proxy) detector: Detector<'m>,
    pub(in crate::proxy) label: Option<&'m str>,
    pub(in crate::proxy) form: Form,
    /// Whether a finding in a text counts.
    pub(in crate::proxy) wanted: &'m dyn Fn(&str, &Finding) -> bool,
}

/// The other spelling of a text, with the way back.
pub(in crate::proxy) struct Reading<'t> {
    source: &'t str,
    text: String,
    /// Where it differs, in order.
    edits: Vec<Edit>,
}

/// A piece that is written otherwise.
struct Edit {
    /// Where it is in the reading.
    at: Range<usize>,
    /// What stands for it in the text.
    from: Range<usize>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One spelling for another: a value covers all of it or nothing.
    Spelled,
    /// Markup within a line, which stays where a value goes around it.
    Inline,
    /// Markup that may as well part two values.
    Between,
}

/// What a finding of a reading is in the text.
struct Found<'r> {
    finding: Finding,
    /// Its parts, in order, around the markup that cuts it.
    parts: Vec<Range<usize>>,
    value: &'r str,
    /// Whether what cuts it may as well part two values.
    is_loose: bool,
}

impl<'t> Reading<'t> {
    /// All that there are of a text behind this label.
    pub(in crate::proxy) fn all(text: &'t str, label: Option<&str>) -> impl Iterator<Item = Self> {
        let marks = marks::of(text);
        let lines = mail::Lines::of(text, marks);
        let has_words = marks & marks::EQUALS != 0 && word::may_stand_in(text);
        let is_plain = marks & marks::MARKUP == 0 && lines.are_plain() && !has_words;
        let in_lines = if is_plain { None } else { Self::of(text, lines, tag::Break::Newline) };
        // A value may go on behind the break of a line (`<br>`).
        let has_breaks = marks & marks::MARKUP != 0 && tag::has_breaks(text);
        let in_one_line = if has_breaks { Self::of(text, lines, tag::Break::Nothing) } else { None };
        let has_groups = has_breaks && tag::parts_numbers(text);
        let in_groups = if has_groups { Self::of(text, lines, tag::Break::Blank) } else { None };
        let has_names = marks & marks::DOT != 0 || file::is_named(label);
        let of_names = if has_names { Self::of_file_names(text, label) } else { None };
        [in_lines, in_one_line, in_groups, of_names].into_iter().flatten()
    }

    /// Of a text of any kind; none where it reads as it stands.
    fn of(text: &'t str, lines: mail::Lines, breaks: tag::Break) -> Option<Self> {
        let bytes = text.as_bytes();
        let marks: &[u8] = if lines.are_plain() { b"<&\\=]" } else { b"<&\\=]\r\n" };
        let mut reading = Writer::new(text);
        let mut tags = tag::Tags::new(text, breaks);
        let mut at = 0;
        while let Some(skip) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| marks.contains(b))) {
            at += skip;
            if let Some((end, written)) = lines.at(text, at) {
                match written {
                    mail::Written::Fold => reading.replace(at..end, "", Kind::Inline),
                    mail::Written::Quoted(meant) => reading.replace(at..end, &meant, Kind::Spelled),
                }
                at = end;
                continue;
            }
            at = match bytes.get(at) {
                Some(b'<' | b']') => match tags.at(at) {
                    Some((end, tag)) => {
                        reading.replace(at..end, tags.stands_for(tag, at..end), tag.kind());
                        end
                    }
                    None => at + 1,
                },
                Some(b'=') => match word::at(text, at) {
                    Some((end, decoded)) => {
                        reading.replace(at..end, &decoded, Kind::Spelled);
                        end
                    }
                    None => at + 1,
                },
                Some(b'\\' | b'&') => match escape::at(text, at) {
                    Some((end, c)) => {
                        reading.replace(at..end, c.encode_utf8(&mut [0; 4]), Kind::Spelled);
                        end
                    }
                    None => at + 1,
                },
                _ => at + 1,
            };
        }
        reading.finish()
    }

    /// Of the names of files in it; none where they read as they stand.
    fn of_file_names(text: &'t str, label: Option<&str>) -> Option<Self> {
        let mut reading = Writer::new(text);
        for name in file::names(text, label) {
            for (at, meant, kind) in file::marks(text.get(name.clone()).unwrap_or_default()) {
                reading.replace(name.start + at.start..name.start + at.end, meant, kind);
            }
        }
        reading.finish()
    }

    /// Adds what is found in it to what was found in the text as it stands,
    /// which begins at `start` of the body. `place` leads from ranges of the text
    /// to the body, and is asked in order.
    pub(in crate::proxy) fn look(
        &self,
        how: Manner<'_>,
        scratch: &mut Scratch,
        findings: &mut Findings,
        start: usize,
        mut place: impl FnMut(Range<usize>) -> Range<usize>,
    ) {
        let Manner { label, detector, form, wanted } = how;
        let found = detector.scan(Input { text: &self.text, label }, scratch);
        let begins = |value: &str, right: &str| joint::is_begun(value, right, detector);
        let mut hidden: Vec<Hidden<'_>> = Vec::new();
        let mut end = 0;
        let found = found.iter().filter(|finding| wanted(&self.text, finding));
        for Found { finding, parts, value, is_loose } in found.filter_map(|finding| self.found(*finding)) {
            // Two may be in what is spelled as one, which is covered whole.
            if parts.first().is_none_or(|part| part.start < end) {
                continue;
            }
            end = parts.last().map_or(end, |part| part.end);
            let parts = parts.into_iter().map(&mut place).collect();
            hidden.push(Hidden { parts, finding, value, is_loose, begins: &begins });
        }
        findings.uncover(start, hidden, form);
    }

    fn found(&self, finding: Finding) -> Option<Found<'_>> {
        let (mut start, mut end) = (finding.start, finding.end);
        let first = self.edits.partition_point(|edit| edit.at.end <= start);
        let touched = self.edits.get(first..).unwrap_or_default();
        let touched = touched.get(..touched.partition_point(|edit| edit.at.start < end)).unwrap_or_default();
        // A value that is spelled otherwise in part is covered with all of that.
        let spelled = |edit: &&Edit| edit.kind == Kind::Spelled;
        if let Some(edit) = touched.first().filter(spelled) {
            start = start.min(edit.at.start);
        }
        if let Some(edit) = touched.last().filter(spelled) {
            end = end.max(edit.at.end);
        }
        let mut parts = Vec::new();
        let mut from = self.in_text(start, true);
        for edit in touched.iter().filter(|edit| edit.kind != Kind::Spelled) {
            parts.push(from..edit.from.start);
            from = edit.from.end;
        }
        parts.push(from..self.in_text(end, false));
        parts.retain(|part| part.start < part.end);
        let is_loose = touched.iter().any(|edit| edit.kind == Kind::Between);
        // A value in one piece is that as it stands, escapes and all.
        let value = match &*parts {
            [] => None,
            [part] => self.source.get(part.clone()),
            _ => self.text.get(start..end),
        };
        let value = value?;
        Some(Found { finding, parts, value, is_loose })
    }

    /// Where a place on a character border is in the text: behind the markup
    /// that stands there if something starts at it, else in front.
    fn in_text(&self, at: usize, starts: bool) -> usize {
        let before = |edit: &Edit| edit.at.end < at || edit.at.end == at && (starts || !edit.at.is_empty());
        match self.edits.partition_point(before).checked_sub(1).and_then(|last| self.edits.get(last)) {
            Some(edit) => edit.from.end + (at - edit.at.end),
            None => at,
        }
    }
}

/// Writes a reading from front to back.
struct Writer<'t> {
    /// All before is written.
    taken: usize,
    reading: Reading<'t>,
}

impl<'t> Writer<'t> {
    fn new(text: &'t str) -> Self {
        Self { taken: 0, reading: Reading { source: text, text: String::new(), edits: Vec::new() } }
    }

    fn replace(&mut self, from: Range<usize>, meant: &str, kind: Kind) {
        let Reading { source, text, edits } = &mut self.reading;
        text.push_str(source.get(self.taken..from.start).unwrap_or_default());
        let at = text.len()..text.len() + meant.len();
        text.push_str(meant);
        self.taken = from.end;
        edits.push(Edit { at, from, kind });
    }

    fn finish(mut self) -> Option<Reading<'t>> {
        if self.reading.edits.is_empty() {
            return None;
        }
        self.reading.text.push_str(self.reading.source.get(self.taken..).unwrap_or_default());
        Some(self.reading)
    }
}

#[cfg(test)]
mod tests;
