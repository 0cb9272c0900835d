//! `privet scan`: finds personal data in files or standard input.

use crate::detect::{Engine, Finding, Input, RuleError, RuleErrors, RuleSet, Scratch};
use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Find personal data in files or standard input.
#[derive(Args, Debug)]
pub struct ScanArgs {
    /// Files to read; standard input where none, or for "-"
    pub files: Vec<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Print the text with [ENTITY] in place of each finding
    #[arg(long)]
    pub redact: bool,
    /// Say which rule fired and what raised or lowered its score
    #[arg(long)]
    pub explain: bool,
    /// Folder of rule files to add to the built-in rules; the same id replaces
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// End with 1 where something is found
    #[arg(long)]
    pub fail: bool,
}

/// The output of `privet scan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line for each finding, for people
    Text,
    /// One document for all files
    Json,
    /// One object a line in, {"id", "text"}; one out, {"id", "findings"}
    Jsonl,
}

/// Why a command could not do its work. The exit code is 2.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The rules are wrong.
    #[error(transparent)]
    Rules(#[from] RuleErrors),
    /// A file cannot be read.
    #[error("{name}: cannot be read: {error}")]
    Read {
        /// The file.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// A file is not UTF-8.
    #[error("{name}: is not UTF-8 from byte {offset} on; convert it first, for example with iconv")]
    NotUtf8 {
        /// The file.
        name: String,
        /// The first byte that is not.
        offset: usize,
    },
    /// A line of a JSONL input cannot be used.
    #[error("{name}:{line}:{column}: {problem}; each line must be an object like {{\"id\": \"1\", \"text\": \"…\"}}")]
    Line {
        /// The file.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// The built-in rules and those of `dir`.
pub(crate) fn engine(dir: Option<&Path>) -> Result<Engine, RuleErrors> {
    let one = |error| RuleErrors(vec![error]);
    let mut set = RuleSet::builtin().map_err(one)?;
    if let Some(dir) = dir {
        add_folder(&mut set, dir)?;
    }
    Engine::compile(&set)
}

/// Adds all `*.toml` files of a folder, in the order of their names, or names
/// the mistakes of all.
fn add_folder(set: &mut RuleSet, dir: &Path) -> Result<(), RuleErrors> {
    let fail =
        |path: &Path, problem: String| RuleError { file: path.display().to_string(), line: 0, column: 0, problem };
    let unreadable = |path: &Path, error: &io::Error| fail(path, format!("cannot be read: {error}"));
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| unreadable(dir, &e))? {
        let path = entry.map_err(|e| unreadable(dir, &e))?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(fail(dir, "no *.toml file here; name a folder that holds rule files".to_owned()).into());
    }
    paths.sort();
    let mut errors = Vec::new();
    for path in paths {
        match fs::read_to_string(&path) {
            Err(error) => errors.push(unreadable(&path, &error)),
            Ok(text) => errors.extend(set.add(&path.display().to_string(), &text).err().into_iter().flat_map(|e| e.0)),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(RuleErrors(errors)) }
}

/// Runs the command: 0, or 1 where `--fail` is set and something was found.
pub fn run(args: &ScanArgs) -> Result<ExitCode, ScanError> {
    let engine = engine(args.rules.as_deref())?;
    let stdout = anstream::AutoStream::auto(io::stdout().lock());
    match scan(args, &engine, &mut io::stdin().lock(), BufWriter::new(stdout)) {
        Ok(found) => Ok(ExitCode::from(u8::from(found && args.fail))),
        // Who closes the pipe has seen enough.
        Err(ScanError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

fn scan(args: &ScanArgs, engine: &Engine, stdin: &mut dyn BufRead, mut out: impl Write) -> Result<bool, ScanError> {
    let mut scanner = Scanner { args, engine, scratch: Scratch::default(), found: false };
    let stdin_only = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin_only[..] } else { &args.files };
    let mut documents = Vec::new();
    for path in files {
        let name = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
        let read = |error| ScanError::Read { name: name.clone(), error };
        let mut file;
        let input: &mut dyn BufRead = if name == "stdin" {
            stdin
        } else {
            file = BufReader::new(File::open(path).map_err(read)?);
            &mut file
        };
        if args.format == Format::Jsonl {
            scanner.lines(&name, input, &mut out)?;
            continue;
        }
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(read)?;
        let text = String::from_utf8(bytes)
            .map_err(|e| ScanError::NotUtf8 { name: name.clone(), offset: e.utf8_error().valid_up_to() })?;
        match args.format {
            Format::Json => documents.push(scanner.document(name, &text)),
            Format::Text | Format::Jsonl => scanner.text(&name, &text, &mut out)?,
        }
    }
    if args.format == Format::Json {
        serde_json::to_writer_pretty(&mut out, &Documents { files: documents }).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(scanner.found)
}

struct Scanner<'a> {
    args: &'a ScanArgs,
    engine: &'a Engine,
    scratch: Scratch,
    found: bool,
}

/// A line of JSONL input; other keys are passed over.
#[derive(Deserialize)]
struct Line<'a> {
    id: serde_json::Value,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Serialize)]
struct LineFindings<'a> {
    id: &'a serde_json::Value,
    findings: Vec<Found<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<String>,
}

#[derive(Serialize)]
struct Documents<'a> {
    files: Vec<Document<'a>>,
}

#[derive(Serialize)]
struct Document<'a> {
    file: String,
    findings: Vec<Found<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<String>,
}

#[derive(Serialize)]
struct Found<'a> {
    start: usize,
    end: usize,
    entity: String,
    score: f32,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Vec<&'static str>>,
}

impl<'a> Scanner<'a> {
    fn lines(&mut self, name: &str, input: &mut dyn BufRead, out: &mut impl Write) -> Result<(), ScanError> {
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let count = input
                .read_until(b'\n', &mut bytes)
                .map_err(|error| ScanError::Read { name: name.to_owned(), error })?;
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
            let findings = self.find(&line.text);
            let redacted = self.args.redact.then(|| redact(&line.text, &self.scratch));
            serde_json::to_writer(&mut *out, &LineFindings { id: &line.id, findings, redacted })
                .map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn document(&mut self, file: String, text: &str) -> Document<'a> {
        let findings = self.find(text);
        let redacted = self.args.redact.then(|| redact(text, &self.scratch));
        Document { file, findings, redacted }
    }

    fn text(&mut self, name: &str, text: &str, out: &mut impl Write) -> Result<(), ScanError> {
        let all = self.find(text);
        if self.args.redact {
            out.write_all(redact(text, &self.scratch).as_bytes())?;
            return Ok(());
        }
        let entity = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
        let place = Style::new().dimmed();
        let (mut line, mut line_start, mut seen) = (1, 0, 0);
        for finding in &all {
            let between = text.get(seen..finding.start).unwrap_or_default();
            line += between.matches('\n').count();
            if let Some(i) = between.rfind('\n') {
                line_start = seen + i + 1;
            }
            seen = finding.start;
            let column = text.get(line_start..finding.start).unwrap_or_default().chars().count() + 1;
            let value: String = text.get(finding.start..finding.end).unwrap_or_default().escape_debug().collect();
            writeln!(
                out,
                "{place}{name}:{line}:{column}:{place:#} {entity}{}{entity:#} {value} {place}({}, {:.2}){place:#}",
                finding.entity, finding.rule, finding.score
            )?;
            if let Some(evidence) = finding.evidence.as_ref().filter(|e| !e.is_empty()) {
                writeln!(out, "    {}", evidence.join(", "))?;
            }
        }
        Ok(())
    }

    fn find(&mut self, text: &str) -> Vec<Found<'a>> {
        let engine = self.engine;
        let findings: Vec<Finding> = engine.scan(Input::text(text), &mut self.scratch).to_vec();
        self.found |= !findings.is_empty();
        let explain = self.args.explain;
        let found = |(i, f): (usize, &Finding)| Found {
            start: f.start,
            end: f.end,
            entity: f.entity.to_string(),
            // Hundredths: a score is no measurement.
            score: (f.score * 100.0).round() / 100.0,
            rule: &engine.rule(f.rule).id,
            evidence: explain.then(|| self.scratch.evidence(i).describe().collect()),
        };
        findings.iter().enumerate().map(found).collect()
    }
}

/// The text with `[ENTITY]` in place of each finding of the last scan.
fn redact(text: &str, scratch: &Scratch) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut at = 0;
    for finding in scratch.findings() {
        redacted.push_str(text.get(at..finding.start).unwrap_or_default());
        redacted.push('[');
        redacted.push_str(finding.entity.as_str());
        redacted.push(']');
        at = finding.end;
    }
    redacted.push_str(text.get(at..).unwrap_or_default());
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(format: Format, input: &str, change: impl Fn(&mut ScanArgs)) -> Result<(bool, String), ScanError> {
        let mut args = ScanArgs { files: vec![], format, redact: false, explain: false, rules: None, fail: false };
        change(&mut args);
        let mut out = Vec::new();
        let found = scan(&args, &engine(None).unwrap(), &mut input.as_bytes(), &mut out)?;
        Ok((found, String::from_utf8(out).unwrap()))
    }

    #[test]
    fn jsonl_keeps_order_and_ids() {
        let input =
            "{\"text\": \"é ana@example.com\", \"id\": \"a\", \"x\": [1]}\n\n{\"id\": 2, \"text\": \"nothing\"}\n";
        let (found, out) = output(Format::Jsonl, input, |_| {}).unwrap();
        assert!(found);
        assert_eq!(
            out,
            "{\"id\":\"a\",\"findings\":[{\"start\":3,\"end\":18,\"entity\":\"EMAIL\",\"score\":0.95,\"rule\":\"email\"}]}\n\
             {\"id\":2,\"findings\":[]}\n"
        );
    }

    #[test]
    fn a_bad_line_is_named_and_not_quoted() {
        for (bad, place) in [
            ("{\"id\": 1, \"text\": \"x\"}\n{\"id\": \"secret\", \"text\": 5}\n", "2:26"),
            ("secret\n", "1:1"),
            ("{\"id\": 1\n", "1:8"),
        ] {
            let error = output(Format::Jsonl, bad, |_| {}).unwrap_err().to_string();
            assert!(error.starts_with(&format!("stdin:{place}: ")), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn redact_puts_the_entity_in_place() {
        let (_, out) = output(Format::Text, "to ana@example.com\nor +49 30 123456!\n", |a| a.redact = true).unwrap();
        assert_eq!(out, "to [EMAIL]\nor [PHONE]!\n");
    }

    #[test]
    fn text_names_line_and_column() {
        let (_, out) = output(Format::Text, "x\nä ana@example.com", |a| a.explain = true).unwrap();
        let plain = anstream::adapter::strip_str(&out).to_string();
        assert_eq!(plain, "stdin:2:3: EMAIL ana@example.com (email, 0.95)\n");
    }

    #[test]
    fn json_is_one_document() {
        let (found, out) = output(Format::Json, "nothing", |_| {}).unwrap();
        assert!(!found);
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value, serde_json::json!({"files": [{"file": "stdin", "findings": []}]}));
        let (_, out) = output(Format::Json, "ana@example.com", |_| {}).unwrap();
        assert!(out.contains("\"score\": 0.95,\n"), "{out}");
    }
}
