//! Labelled text: one object a line, `{"id", "text", "spans"}`.

use crate::cli::scan::ScanError;
use crate::detect::eval::{Gold, Judged};
use crate::entity::Entity;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::str::FromStr as _;

/// A text of a corpus.
pub(super) struct Record {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) gold: Vec<Gold>,
    /// Whether the line has `spans` at all.
    pub(super) labelled: bool,
    /// The other keys.
    pub(super) fields: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Line {
    id: Value,
    text: String,
    spans: Option<Vec<Span>>,
    #[serde(flatten)]
    fields: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Span {
    start: usize,
    end: usize,
    #[serde(deserialize_with = "entity")]
    entity: Entity,
    #[serde(default)]
    optional: bool,
    kind: Option<String>,
}

impl Record {
    /// The value of a key as text; empty where it is not there.
    pub(super) fn field(&self, key: &str) -> String {
        self.fields.get(key).map(plain).unwrap_or_default()
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Hands every record of a corpus to `each`.
pub(super) fn read(path: &Path, mut each: impl FnMut(Record)) -> Result<(), ScanError> {
    let name = path.display().to_string();
    let unreadable = |error| ScanError::Read { name: name.clone(), error };
    let input = BufReader::new(File::open(path).map_err(unreadable)?);
    for (number, line) in input.lines().enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        let bad = |column: usize, problem: &'static str| ScanError::Line {
            name: name.clone(),
            line: number + 1,
            column,
            problem,
        };
        let line: Line = serde_json::from_str(&line)
            .map_err(|error| bad(error.column(), "not valid JSON, or a key is missing or of the wrong type"))?;
        let gold = line.spans.iter().flatten().map(|span| gold(span, &line.text));
        let gold: Result<Vec<Gold>, &'static str> = gold.collect();
        each(Record {
            id: plain(&line.id),
            gold: gold.map_err(|problem| bad(1, problem))?,
            labelled: line.spans.is_some(),
            text: line.text,
            fields: line.fields,
        });
    }
    Ok(())
}

fn gold(span: &Span, text: &str) -> Result<Gold, &'static str> {
    if span.start >= span.end || text.get(span.start..span.end).is_none() {
        return Err("a span does not lie in the text, or not on borders of characters (its offsets count bytes)");
    }
    Ok(Gold { span: span.start..span.end, entity: span.entity, optional: span.optional, kind: span.kind.clone() })
}

/// A finding as `privet scan --format jsonl` prints it.
#[derive(Deserialize)]
pub(super) struct Given {
    start: usize,
    end: usize,
    #[serde(deserialize_with = "entity")]
    entity: Entity,
    #[serde(default)]
    rule: String,
}

fn entity<'de, D: Deserializer<'de>>(from: D) -> Result<Entity, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

impl Given {
    pub(super) fn judged(&self) -> Judged<'_> {
        Judged { span: self.start..self.end, entity: self.entity, rule: &self.rule }
    }
}

/// Findings by the id of their text.
pub(super) fn findings(path: &Path) -> Result<BTreeMap<String, Vec<Given>>, ScanError> {
    #[derive(Deserialize)]
    struct Line {
        id: Value,
        findings: Vec<Given>,
    }
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| ScanError::Read { name: name.clone(), error })?;
    let mut all: BTreeMap<String, Vec<Given>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|error| {
            let usage =
                "not a line like {\"id\": \"1\", \"findings\": [{\"start\": 0, \"end\": 5, \"entity\": \"EMAIL\"}]}";
            ScanError::Usage(format!("{name}:{}:{}: {usage}", number + 1, error.column()))
        })?;
        all.entry(plain(&line.id)).or_default().extend(line.findings);
    }
    Ok(all)
}

/// The entities that a corpus labels throughout, where a `manifest.json` beside
/// it says so: `{"files": {"name.jsonl": {"labelled": ["EMAIL"]}}}`.
pub(super) fn labelled(corpus: &Path) -> Option<Vec<Entity>> {
    #[derive(Deserialize)]
    struct Manifest {
        files: BTreeMap<String, Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        labelled: Vec<String>,
    }
    let text = fs::read_to_string(corpus.with_file_name("manifest.json")).ok()?;
    let manifest: Manifest = serde_json::from_str(&text).ok()?;
    let entry = manifest.files.get(corpus.file_name()?.to_str()?)?;
    Some(entry.labelled.iter().filter_map(|name| Entity::from_str(name).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.jsonl");
        fs::write(&path, line).unwrap();
        read(&path, |_| {}).unwrap_err().to_string()
    }

    #[test]
    fn a_bad_line_is_named_and_not_quoted() {
        let span = |span: &str| format!("\n{{\"id\": 1, \"text\": \"é secret\", \"spans\": [{span}]}}");
        for line in [
            span("{\"start\": 1, \"end\": 3, \"entity\": \"EMAIL\"}"),
            span("{\"start\": 3, \"end\": 99, \"entity\": \"EMAIL\"}"),
            span("{\"start\": 3, \"end\": 5, \"entity\": \"email\"}"),
            span("{\"start\": 3, \"entity\": \"EMAIL\"}"),
        ] {
            let error = error(&line);
            assert!(error.contains("c.jsonl:2:") && !error.contains("secret"), "{error}");
        }
    }
}
