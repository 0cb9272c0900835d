//! What must hold of the walker for every input. The property tests and the
//! fuzz targets share it.

use serde::de::IgnoredAny;

use super::{JsonError, MAX_DEPTH, OffsetMap, Path, Step, Str, Visitor, escape, unescape, walk};

/// Accepts and refuses as `serde_json` does, and gives the same strings, numbers
/// and paths.
pub fn agrees_with_serde_json(text: &str) {
    let depth = depth(text);
    let mut seen = Seen { text, parts: Vec::new() };
    let walked = walk(text, &mut seen);
    let read = serde_json::from_str::<IgnoredAny>(text);
    if depth <= MAX_DEPTH {
        assert_eq!(walked.is_ok(), read.is_ok(), "{text:?}: {walked:?}, {read:?}");
    }
    if walked.is_err() {
        assert!(walked.is_err_and(|JsonError { offset, .. }| offset <= text.len()));
        return;
    }
    seen.check_order();
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        seen.check_values(&value);
    }
}

/// A string comes back from its escaped form, and offsets lead back.
pub fn escape_and_back(text: &str) {
    let mut raw = Vec::new();
    escape(text, &mut raw);
    let raw = String::from_utf8(raw).unwrap_or_default();
    assert_eq!(serde_json::from_str::<String>(&format!("\"{raw}\"")).ok().as_deref(), Some(text));
    unescape_maps_back(&raw);
    let (mut out, mut map) = (String::new(), OffsetMap::new());
    unescape(&raw, &mut out, &mut map);
    assert_eq!(out, text);
}

/// Each decoded character comes from the raw range to which the map leads.
pub fn unescape_maps_back(raw: &str) {
    let (mut out, mut map) = (String::new(), OffsetMap::new());
    unescape(raw, &mut out, &mut map);
    let (mut one, mut other_map) = (String::new(), OffsetMap::new());
    let mut end = 0;
    for (at, c) in out.char_indices() {
        let range = map.raw_range(at..at + c.len_utf8());
        assert_eq!(range.start, end);
        end = range.end;
        unescape(&raw[range], &mut one, &mut other_map);
        assert_eq!(one.chars().collect::<Vec<_>>(), [c]);
    }
    assert_eq!(end, raw.len());
}

/// How deep the brackets of a text go, if it is JSON.
fn depth(text: &str) -> usize {
    let (mut depth, mut max, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for b in text.bytes() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                max = max.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    max
}

/// All that a visitor is told.
struct Seen<'a> {
    text: &'a str,
    parts: Vec<Part<'a>>,
}

enum Part<'a> {
    Key(Vec<Step<'a>>, Str<'a>),
    String(Vec<Step<'a>>, Str<'a>),
    Scalar(Vec<Step<'a>>, &'a str, usize),
    Bracket(usize, char),
}

impl<'a> Visitor<'a> for Seen<'a> {
    fn key(&mut self, path: &Path<'a>, key: Str<'a>) {
        self.parts.push(Part::Key(path.steps().to_vec(), key));
    }

    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        self.parts.push(Part::String(path.steps().to_vec(), value));
    }

    fn number(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {
        self.parts.push(Part::Scalar(path.steps().to_vec(), raw, start));
    }

    fn literal(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {
        self.parts.push(Part::Scalar(path.steps().to_vec(), raw, start));
    }

    fn begin_object(&mut self, _: &Path<'a>, start: usize) {
        self.parts.push(Part::Bracket(start, '{'));
    }

    fn end_object(&mut self, _: &Path<'a>, start: usize) {
        self.parts.push(Part::Bracket(start, '}'));
    }

    fn begin_array(&mut self, _: &Path<'a>, start: usize) {
        self.parts.push(Part::Bracket(start, '['));
    }

    fn end_array(&mut self, _: &Path<'a>, start: usize) {
        self.parts.push(Part::Bracket(start, ']'));
    }
}

impl Seen<'_> {
    /// Each part stands where it is said to stand, and only separators stand
    /// between.
    fn check_order(&self) {
        let mut end = 0;
        for part in &self.parts {
            let (start, raw) = match part {
                Part::Key(_, s) | Part::String(_, s) => {
                    assert_eq!(s.escaped, s.raw.contains('\\'));
                    assert_eq!(&self.text[s.start..s.start + s.raw.len()], s.raw);
                    (s.start - 1, format!("\"{}\"", s.raw))
                }
                Part::Scalar(_, raw, start) => (*start, (*raw).to_owned()),
                Part::Bracket(start, bracket) => (*start, bracket.to_string()),
            };
            let between = |b: u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':');
            assert!(self.text[end..start].bytes().all(between));
            end = start + raw.len();
            assert_eq!(self.text[start..end], raw);
        }
    }

    /// Each value is the one that `serde_json` has at its path, but for double
    /// keys and for numbers of which it keeps less.
    fn check_values(&self, root: &serde_json::Value) {
        let mut doubled = false;
        let mut keys = std::collections::HashSet::new();
        let name = |path: &[Step<'_>]| {
            path.iter()
                .map(|step| match step {
                    Step::Key(key) => format!(".{:?}", key.decode()),
                    Step::Index(index) => format!("[{index}]"),
                })
                .collect::<String>()
        };
        for part in &self.parts {
            if let Part::Key(path, key) = part {
                doubled |= !keys.insert(format!("{}.{:?}", name(path), key.decode()));
            }
        }
        if doubled {
            return;
        }
        for part in &self.parts {
            let (Part::Key(path, _) | Part::String(path, _) | Part::Scalar(path, ..)) = part else {
                continue;
            };
            let value = path.iter().try_fold(root, |value, step| match step {
                Step::Key(key) => value.get(key.decode().as_ref()),
                Step::Index(index) => value.get(*index as usize),
            });
            let value = value.unwrap_or(&serde_json::Value::Null);
            match part {
                Part::Key(_, key) => assert!(value.get(key.decode().as_ref()).is_some()),
                Part::String(_, string) => {
                    assert_eq!(value.as_str(), Some(string.decode().as_ref()));
                    assert!(string.is(value.as_str().unwrap_or_default()));
                    unescape_maps_back(string.raw);
                }
                Part::Scalar(_, raw, _) => {
                    assert_eq!(serde_json::from_str::<serde_json::Value>(raw).ok().as_ref(), Some(value));
                }
                Part::Bracket(..) => {}
            }
        }
    }
}
