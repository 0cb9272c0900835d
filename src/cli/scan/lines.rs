//! `--format jsonl`: one object a line in, one a line out, in the same order
//! and in bounded memory.

use super::report::Report;
use super::{ScanArgs, ScanError};
use crate::detect::{Engine, Scratch};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{self, BufRead, Write};

/// A line of JSONL input; other keys are passed over.
#[derive(Deserialize)]
struct Line<'a> {
    /// Whatever it is, it is given back as it came.
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

struct Answer<'a> {
    id: &'a RawValue,
    report: Report<'a, 'a>,
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Answer", 1 + self.report.field_count())?;
        object.serialize_field("id", self.id)?;
        self.report.fields(&mut object)?;
        object.end()
    }
}

/// Scans all lines; says whether something was found.
pub(super) fn scan(
    args: &ScanArgs,
    engine: &Engine,
    name: &str,
    input: &mut dyn BufRead,
    scratch: &mut Scratch,
    out: &mut impl Write,
) -> Result<bool, ScanError> {
    let (mut bytes, mut answer) = (Vec::new(), Vec::new());
    let mut found = false;
    for number in 1.. {
        bytes.clear();
        let count =
            input.read_until(b'\n', &mut bytes).map_err(|error| ScanError::Read { name: name.to_owned(), error })?;
        if count == 0 {
            break;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let line: Line<'_> = serde_json::from_slice(bytes.trim_ascii_end()).map_err(|error| ScanError::Line {
            name: name.to_owned(),
            line: number,
            column: error.column(),
            // The library's own words can quote the input.
            problem: match error.classify() {
                serde_json::error::Category::Data => "\"id\" or \"text\" is missing or of the wrong type",
                serde_json::error::Category::Eof => "the line ends too early",
                _ => "not valid JSON",
            },
        })?;
        let report = Report::of(&line.text, args, engine, scratch);
        found |= report.has_findings();
        answer.clear();
        serde_json::to_writer(&mut answer, &Answer { id: line.id, report }).map_err(io::Error::from)?;
        answer.push(b'\n');
        out.write_all(&answer)?;
    }
    Ok(found)
}
