//! Reports: one tree of sections and tables, written as Markdown, HTML or JSON.

use std::fmt::Write as _;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A report, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// What it is.
    pub title: String,
    /// When it was made, RFC 3339.
    pub made: String,
    /// Its parts, in order.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Section {
    /// What it is about.
    pub heading: String,
    /// Sentences, a paragraph each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// A table; none where there are no columns.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub table: Table,
}

/// Rows under a head.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// The head.
    pub columns: Vec<String>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people and their files.
    #[default]
    Markdown,
    /// For browsers and printers.
    Html,
    /// For programs.
    Json,
}

/// The text names no form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a report is written as markdown, html or json")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let all = [Self::Markdown, Self::Html, Self::Json];
        all.into_iter().find(|format| format.as_str() == text).ok_or(UnknownFormat)
    }
}

impl Format {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Json => "json",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

impl Report {
    /// A report without sections.
    pub fn new(title: impl Into<String>, made: impl Into<String>) -> Self {
        Self { title: title.into(), made: made.into(), sections: Vec::new() }
    }

    /// Adds a section.
    #[must_use]
    pub fn with(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The report as it is written.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Markdown => self.markdown(),
            Format::Html => self.html(),
            // Texts cannot fail to be written.
            Format::Json => serde_json::to_string_pretty(self).unwrap_or_default() + "\n",
        }
    }

    fn markdown(&self) -> String {
        let mut out = format!("# {}\n\nMade at {}.\n", plain(&self.title), self.made);
        for section in &self.sections {
            let _ = write!(out, "\n## {}\n", plain(&section.heading));
            for text in &section.text {
                let _ = write!(out, "\n{}\n", plain(text));
            }
            let Table { columns, rows } = &section.table;
            if columns.is_empty() {
                continue;
            }
            let row = |cells: &[String]| {
                format!("| {} |\n", cells.iter().map(|cell| plain(cell)).collect::<Vec<_>>().join(" | "))
            };
            let _ = write!(out, "\n{}|{}\n", row(columns), " --- |".repeat(columns.len()));
            for cells in rows {
                out.push_str(&row(cells));
            }
            if rows.is_empty() {
                out.push_str("\nThere is nothing to list.\n");
            }
        }
        out
    }

    fn html(&self) -> String {
        let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
        let _ = write!(
            out,
            "<title>{0}</title>\n<h1>{0}</h1>\n<p>Made at {1}.</p>\n",
            escape(&self.title),
            escape(&self.made)
        );
        for section in &self.sections {
            let _ = writeln!(out, "<h2>{}</h2>", escape(&section.heading));
            for text in &section.text {
                let _ = writeln!(out, "<p>{}</p>", escape(text));
            }
            let Table { columns, rows } = &section.table;
            if columns.is_empty() {
                continue;
            }
            let row = |cells: &[String], tag: &str| {
                let mut out = String::from("<tr>");
                for cell in cells {
                    let _ = write!(out, "<{tag}>{}</{tag}>", escape(cell));
                }
                out + "</tr>\n"
            };
            let body: String = rows.iter().map(|cells| row(cells, "td")).collect();
            let _ = write!(
                out,
                "<table border=\"1\">\n<thead>{}</thead>\n<tbody>{body}</tbody>\n</table>\n",
                row(columns, "th")
            );
        }
        out.push_str("</html>\n");
        out
    }
}

impl Section {
    /// A section with a heading.
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), ..Self::default() }
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn says(mut self, text: impl Into<String>) -> Self {
        self.text.push(text.into());
        self
    }

    /// Sets the table.
    #[must_use]
    pub fn table<const N: usize>(mut self, columns: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Self {
        let rows = rows.into_iter().map(|row| row.to_vec()).collect();
        self.table = Table { columns: columns.map(str::to_owned).to_vec(), rows };
        self
    }
}

impl Table {
    fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

/// One line of text that Markdown takes for text.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '<' | '[' | ']' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let rows = [["a|b".to_owned(), "<script>".to_owned()], ["2".to_owned(), "*\n#".to_owned()]];
        Report::new("A & B", "2026-05-31T00:00:00Z")
            .with(Section::new("First").says("One.").says("Two."))
            .with(Section::new("Second").table(["x", "y"], rows))
            .with(Section::new("Third").table(["z"], []))
    }

    #[test]
    fn markdown_is_text_and_tables() {
        assert_eq!(
            report().write(Format::Markdown),
            "# A & B\n\nMade at 2026-05-31T00:00:00Z.\n\n## First\n\nOne.\n\nTwo.\n\n## Second\n\n\
             | x | y |\n| --- | --- |\n| a\\|b | \\<script> |\n| 2 | \\* # |\n\n## Third\n\n\
             | z |\n| --- |\n\nThere is nothing to list.\n"
        );
    }

    #[test]
    fn html_is_escaped() {
        let html = report().write(Format::Html);
        assert!(html.contains("<td>&lt;script&gt;</td>") && !html.contains("<script"), "{html}");
        assert!(html.contains("<title>A &amp; B</title>"), "{html}");
    }

    #[test]
    fn json_is_read_back() {
        let text = report().write(Format::Json);
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report());
    }
}
