//! The file that a person gets: everything that is kept of them, as JSON or as
//! CSV, written piece by piece, so that its size costs no memory.

use serde::Serialize;
use serde_json::Value;

/// The form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON document (RFC 8259).
    Json,
    /// A table with a header line (RFC 4180). What a spreadsheet would take for
    /// a formula has an apostrophe in front.
    Csv,
}

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// The ending of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err("the format is `json` or `csv`"),
        }
    }
}

/// What stands at the head of the file.
#[derive(Debug, Serialize)]
pub(super) struct Head<'a> {
    pub(super) tenant: &'a str,
    pub(super) subject: &'a str,
    pub(super) made: String,
    /// Whether the data is restricted (GDPR Article 18).
    pub(super) restricted: bool,
    /// The purposes that it is used for, with their legal basis.
    pub(super) purposes: &'a Value,
    /// Who receives what is replaced by tokens.
    pub(super) recipients: &'a Value,
}

/// One value that is kept.
#[derive(Debug, Serialize)]
pub(super) struct ValueLine<'a> {
    /// What stands for it in messages.
    pub(super) token: String,
    pub(super) entity: &'a str,
    pub(super) value: &'a str,
    /// Since when it is kept (RFC 3339).
    pub(super) created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purpose: Option<&'a str>,
}

/// The parts of the file, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Values,
    Consent,
    Cases,
    Audit,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Consent => "consent",
            Self::Cases => "cases",
            Self::Audit => "audit",
        }
    }

    /// The word of a line of a table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Values => "value",
            Self::Consent => "consent",
            Self::Cases => "case",
            Self::Audit => "audit",
        }
    }
}

/// Writes the file. Each call gives the next piece of its text.
#[derive(Debug)]
pub(super) struct Writer {
    format: Format,
    part: Option<Part>,
    is_first: bool,
}

impl Writer {
    pub(super) fn new(format: Format) -> Self {
        Self { format, part: None, is_first: true }
    }

    pub(super) fn head(&self, head: &Head<'_>) -> String {
        match self.format {
            Format::Json => {
                let text = serde_json::to_string(head).unwrap_or_default();
                // The parts follow within the same object.
                let members = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default();
                format!("{{\"privet\":\"subject-export\",\"version\":1,{members}")
            }
            Format::Csv => {
                let mut text = "record,id,entity,value,created,purpose,detail\r\n".to_owned();
                let detail = serde_json::to_string(head).unwrap_or_default();
                row(&mut text, ["export", "", "", "", &head.made, "", &detail]);
                text
            }
        }
    }

    /// Begins a part; the one before ends.
    pub(super) fn part(&mut self, part: Part) -> String {
        let close = if self.part.is_some() { "]" } else { "" };
        self.part = Some(part);
        self.is_first = true;
        match self.format {
            Format::Json => format!("{close},\n\"{}\":[", part.name()),
            Format::Csv => String::new(),
        }
    }

    pub(super) fn value(&mut self, line: &ValueLine<'_>) -> String {
        match self.format {
            Format::Json => self.json(line),
            Format::Csv => {
                let mut text = String::new();
                let purpose = line.purpose.unwrap_or_default();
                row(&mut text, ["value", &line.token, line.entity, line.value, &line.created, purpose, ""]);
                text
            }
        }
    }

    /// A record of another kind, as JSON.
    pub(super) fn record(&mut self, id: &str, at: &str, record: &Value) -> String {
        match self.format {
            Format::Json => self.json(record),
            Format::Csv => {
                let mut text = String::new();
                let word = self.part.map_or("", Part::word);
                row(&mut text, [word, id, "", "", at, "", &record.to_string()]);
                text
            }
        }
    }

    pub(super) fn end(&self) -> &'static str {
        match self.format {
            Format::Json => "]}\n",
            Format::Csv => "",
        }
    }

    fn json(&mut self, line: &impl Serialize) -> String {
        let comma = if std::mem::take(&mut self.is_first) { "\n" } else { ",\n" };
        format!("{comma}{}", serde_json::to_string(line).unwrap_or_default())
    }
}

/// A line of a table (RFC 4180): every field that needs it in quotes.
fn row(out: &mut String, fields: [&str; 7]) {
    for (n, field) in fields.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        let guarded;
        let field = if is_formula(field) {
            guarded = format!("'{field}");
            &guarded
        } else {
            field
        };
        if field.contains(['"', ',', '\r', '\n']) || field.starts_with(' ') || field.ends_with(' ') {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

/// Whether a spreadsheet would run it: whoever chats chooses what stands in a
/// value, and somebody else opens the file. Numbers stay as they are. Where an
/// apostrophe is in front already it needs another one, so that each can be
/// taken away again.
fn is_formula(field: &str) -> bool {
    let bare = field.trim_start_matches('\'');
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || " ()+-./".contains(c));
    match bare.chars().next() {
        Some('=' | '@' | '\t' | '\r' | '\u{ff1d}' | '\u{ff20}') => true,
        Some('+' | '-' | '\u{ff0b}' | '\u{ff0d}') => !is_number(bare),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn file(format: Format, values: &[&str]) -> String {
        let mut writer = Writer::new(format);
        let (purposes, recipients) = (json!([]), json!([]));
        let mut text = writer.head(&Head {
            tenant: "default",
            subject: "u1",
            made: "2026-01-01T00:00:00Z".into(),
            restricted: false,
            purposes: &purposes,
            recipients: &recipients,
        });
        text += &writer.part(Part::Values);
        for value in values {
            text += &writer.value(&ValueLine {
                token: "[EMAIL_00000000]".into(),
                entity: "EMAIL",
                value,
                created: "2026-01-01T00:00:00Z".into(),
                purpose: None,
            });
        }
        text += &writer.part(Part::Cases);
        text += &writer.record("01", "2026-01-01T00:00:00Z", &json!({"id": "01"}));
        text += writer.end();
        text
    }

    /// Reads a table as RFC 4180 says.
    fn rows(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
        let (mut quoted, mut chars) = (false, text.chars().peekable());
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut field)),
                '\r' if !quoted && chars.peek() == Some(&'\n') => {
                    chars.next();
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                c => field.push(c),
            }
        }
        assert!(field.is_empty() && row.is_empty() && !quoted);
        rows
    }

    #[test]
    fn the_document_holds_every_part_in_order() {
        let document: Value = serde_json::from_str(&file(Format::Json, &["a", "b"])).unwrap();
        assert_eq!(document["subject"], "u1");
        assert_eq!(document["values"].as_array().unwrap().len(), 2);
        assert_eq!(document["cases"], json!([{"id": "01"}]));
        let empty: Value = serde_json::from_str(&file(Format::Json, &[])).unwrap();
        assert_eq!(empty["values"], json!([]));
    }

    #[test]
    fn a_table_runs_nothing() {
        for (value, stands) in [
            ("=HYPERLINK(\"http://a\")", "\"'=HYPERLINK(\"\"http://a\"\")\""),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2+cmd|' /C x'!A0", "'-2+cmd|' /C x'!A0"),
            ("'=1", "''=1"),
            ("+49 (0)30 123-45", "+49 (0)30 123-45"),
            ("o'=1", "o'=1"),
            ("'t", "'t"),
        ] {
            let table = file(Format::Csv, &[value]);
            assert!(table.contains(&format!(",EMAIL,{stands},")), "{table}");
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back_from_either_form(values in prop::collection::vec(".{0,20}|[\"\r\n, é=+-]{0,8}", 0..6)) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let document: Value = serde_json::from_str(&file(Format::Json, &values)).unwrap();
            let read: Vec<_> = document["values"].as_array().unwrap().iter().map(|v| v["value"].as_str().unwrap()).collect();
            prop_assert_eq!(&read, &values);
            let table = rows(&file(Format::Csv, &values));
            prop_assert!(table.iter().all(|row| row.len() == 7));
            let plain = |field: &'_ str| field.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(field).to_owned();
            let read: Vec<_> = table.iter().filter(|row| row[0] == "value").map(|row| plain(&row[3])).collect();
            prop_assert_eq!(&read, &values);
        }
    }
}
