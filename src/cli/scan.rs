//! `privet scan`: finds personal data in files or standard input.

mod inputs;
mod lines;
mod outline;
mod pieces;
mod progress;
pub(in crate::cli) mod report;

use crate::cli::rule_files::{RuleFiles, RuleFilesError};
use crate::detect::{Engine, RuleErrors, Scratch, UnknownPack};
use clap::{Args, ValueEnum};
use inputs::Source;
use pieces::{BadText, Pieces};
use progress::Progress;
use report::Report;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal as _, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// A file in a folder that has a NUL in its first bytes, so many, is no text.
const PEEK: usize = 8 << 10;
/// Buffers of what is read and written.
const BUFFER: usize = 256 << 10;

/// Find personal data in files or standard input.
///
/// Folders are read with all that is below them, but for links and `.git`;
/// files in them that are not UTF-8 text are named and passed over.
#[derive(Args, Debug, Default)]
pub struct ScanArgs {
    /// Files and folders to read; standard input where none, or for "-"
    pub files: Vec<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Print the text with [ENTITY] in place of each finding
    #[arg(long)]
    pub redact: bool,
    /// Say which rule fired and what raised or lowered its score, what rules
    /// in shadow found, and what was nearly found
    #[arg(long)]
    pub explain: bool,
    /// Which rules to use
    #[command(flatten)]
    pub rules: RuleFiles,
    /// End with 1 where something is found
    #[arg(long, visible_alias = "fail-on-findings")]
    pub fail: bool,
}

/// The output of `privet scan`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line for each finding, for people
    #[default]
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
    /// A switch names no pack.
    #[error("--packs: {0}")]
    Packs(#[from] UnknownPack),
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
    /// An argument cannot be used; the text says why.
    #[error("{0}")]
    Usage(String),
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl From<RuleFilesError> for ScanError {
    fn from(error: RuleFilesError) -> Self {
        match error {
            RuleFilesError::Rules(errors) => Self::Rules(errors),
            RuleFilesError::Packs(error) => Self::Packs(error),
        }
    }
}

/// Runs the command: 0, or 1 where `--fail` is set and something was found.
pub fn run(args: &ScanArgs) -> Result<ExitCode, ScanError> {
    if args.redact && args.explain && args.format == Format::Text {
        let problem = "--redact prints the text alone, with no place for what --explain says; write --format json with them, or one of them";
        return Err(ScanError::Usage(problem.to_owned()));
    }
    let engine = args.rules.engine()?;
    // Only lines for people have colours, which are left out where nobody looks;
    // all else goes out byte by byte.
    let for_people = args.format == Format::Text && !args.redact;
    let stdout = io::stdout().lock();
    let stdout: Box<dyn Write> =
        if for_people { Box::new(anstream::AutoStream::auto(stdout)) } else { Box::new(stdout) };
    let mut stdin = BufReader::with_capacity(BUFFER, io::stdin().lock());
    let mut scan = Scan { args, engine: &engine, scratch: Scratch::default(), found: false, skipped: 0 };
    match scan.run(&mut stdin, BufWriter::with_capacity(BUFFER, stdout)) {
        Ok(()) => Ok(ExitCode::from(u8::from(scan.found && args.fail))),
        // Who closes the pipe has seen enough.
        Err(ScanError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

/// One run of the command.
struct Scan<'a> {
    args: &'a ScanArgs,
    engine: &'a Engine,
    scratch: Scratch,
    found: bool,
    /// Files in folders that are no text.
    skipped: usize,
}

impl<'a> Scan<'a> {
    fn run(&mut self, stdin: &mut dyn BufRead, mut out: impl Write) -> Result<(), ScanError> {
        let (sources, unreadable) = inputs::sources(&self.args.files);
        for (path, error) in unreadable {
            self.skip(&format!("{}: cannot be read: {error}", path.display()));
        }
        let progress = Progress::start(&sources, io::stdout().is_terminal());
        let mut documents = Vec::new();
        for source in &sources {
            let ended = match source {
                Source::Stdin => self.one("stdin", stdin, &mut documents, &mut out),
                Source::File { path, named } => {
                    let name = source.name();
                    match self.open(path, &name, *named) {
                        Ok(Some(file)) => {
                            let mut file = BufReader::with_capacity(BUFFER, progress.watch(file));
                            self.one(&name, &mut file, &mut documents, &mut out)
                        }
                        Ok(None) => Ok(()),
                        Err(error) => Err(error),
                    }
                }
            };
            match (ended, source) {
                (
                    Err(error @ (ScanError::Read { .. } | ScanError::NotUtf8 { .. })),
                    Source::File { named: false, .. },
                ) => {
                    self.skip(&error.to_string());
                }
                (ended, _) => ended?,
            }
        }
        if self.args.format == Format::Json {
            serde_json::to_writer_pretty(&mut out, &Documents { files: documents }).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        out.flush()?;
        progress.finish();
        if self.skipped > 0 {
            let files = if self.skipped == 1 { "file was" } else { "files were" };
            crate::cli::message("note", format!("{} {files} passed over", self.skipped));
        }
        Ok(())
    }

    fn skip(&mut self, problem: &str) {
        self.skipped += 1;
        crate::cli::message("skipped", problem);
    }

    /// Opens a file; none where it is one of a folder and no text.
    fn open(
        &mut self,
        path: &std::path::Path,
        name: &str,
        named: bool,
    ) -> Result<Option<impl Read + use<>>, ScanError> {
        let read = |error| ScanError::Read { name: name.to_owned(), error };
        let mut file = File::open(path).map_err(read)?;
        let mut start = Vec::new();
        if !named {
            Read::by_ref(&mut file).take(PEEK as u64).read_to_end(&mut start).map_err(read)?;
            if memchr::memchr(0, &start).is_some() {
                self.skip(&format!("{name}: is no text"));
                return Ok(None);
            }
        }
        Ok(Some(io::Cursor::new(start).chain(file)))
    }

    fn one(
        &mut self,
        name: &str,
        input: &mut dyn BufRead,
        documents: &mut Vec<Document<'a>>,
        out: &mut impl Write,
    ) -> Result<(), ScanError> {
        match self.args.format {
            Format::Jsonl => {
                self.found |= lines::scan(self.args, self.engine, name, input, &mut self.scratch, out)?;
                Ok(())
            }
            Format::Json => self.document(name, input).map(|document| documents.push(document)),
            Format::Text => self.text(name, input, out),
        }
    }

    fn document(&mut self, name: &str, input: &mut dyn BufRead) -> Result<Document<'a>, ScanError> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(|error| ScanError::Read { name: name.to_owned(), error })?;
        let text = String::from_utf8(bytes)
            .map_err(|e| ScanError::NotUtf8 { name: name.to_owned(), offset: e.utf8_error().valid_up_to() })?;
        let report = Report::of(&text, self.args, self.engine, &mut self.scratch).into_owned();
        self.found |= report.has_findings();
        Ok(Document { file: name.to_owned(), report })
    }

    fn text(&mut self, name: &str, input: &mut dyn BufRead, out: &mut impl Write) -> Result<(), ScanError> {
        let mut pieces = Pieces::new(input);
        let mut line = 1;
        loop {
            let piece = pieces.next().map_err(|error| match error {
                BadText::Read(error) => ScanError::Read { name: name.to_owned(), error },
                BadText::NotUtf8(offset) => ScanError::NotUtf8 { name: name.to_owned(), offset },
            })?;
            let Some(text) = piece else { return Ok(()) };
            let report = Report::of(text, self.args, self.engine, &mut self.scratch);
            self.found |= report.has_findings();
            match report.redacted() {
                Some(redacted) => out.write_all(redacted.as_bytes())?,
                None => line = report.write_text(name, text, line, out)?,
            }
        }
    }
}

#[derive(Serialize)]
struct Documents<'a> {
    files: Vec<Document<'a>>,
}

struct Document<'a> {
    file: String,
    report: Report<'a, 'static>,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Document", 1 + self.report.field_count())?;
        object.serialize_field("file", &self.file)?;
        self.report.fields(&mut object)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Level;

    fn output(format: Format, input: &str, change: impl Fn(&mut ScanArgs)) -> Result<(bool, String), ScanError> {
        let mut args = ScanArgs { format, ..ScanArgs::default() };
        change(&mut args);
        let engine = args.rules.engine()?;
        let mut out = Vec::new();
        let mut scan = Scan { args: &args, engine: &engine, scratch: Scratch::default(), found: false, skipped: 0 };
        scan.run(&mut input.as_bytes(), &mut out)?;
        Ok((scan.found, String::from_utf8(out).unwrap()))
    }

    #[test]
    fn a_level_says_how_sure_findings_must_be() {
        let text = "0201 5550123, 555 0123 4567, ana.lopez@example.com, Novak and Jana";
        let found = |level| output(Format::Text, text, |args| args.rules.level = level).unwrap().1.lines().count();
        let [lenient, usual, strict] = [Some(Level::Lenient), None, Some(Level::Strict)].map(found);
        assert!(1 <= lenient && lenient <= usual && usual <= strict && lenient < strict, "{lenient} {usual} {strict}");
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
    fn what_a_text_has_no_place_for_is_refused() {
        let args = ScanArgs { redact: true, explain: true, ..ScanArgs::default() };
        assert!(run(&args).unwrap_err().to_string().contains("--format json"));
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

    #[test]
    fn a_line_tells_what_a_document_tells() {
        let text = "Dr. Jana Novak, 0201 5550123, 555 0123 4567 or ana.lopez@example.com";
        let quoted = serde_json::to_string(text).unwrap();
        for (redact, explain) in [(false, false), (true, false), (false, true), (true, true)] {
            let of = |format, input: &str| {
                let (_, out) = output(format, input, |args| (args.redact, args.explain) = (redact, explain)).unwrap();
                serde_json::from_str::<serde_json::Value>(&out).unwrap()
            };
            let mut line = of(Format::Jsonl, &format!("{{\"id\": [1], \"text\": {quoted}}}"));
            let mut document = of(Format::Json, text);
            assert_eq!(line.as_object_mut().unwrap().remove("id"), Some(serde_json::json!([1])));
            let document = document["files"][0].as_object_mut().unwrap();
            document.remove("file");
            assert_eq!(line.as_object(), Some(&*document));
            assert!(document["findings"].as_array().unwrap().len() > 2, "{document:?}");
        }
    }

    #[test]
    fn numbers_are_written_with_all_their_digits_and_no_more() {
        for number in (0..12_000).chain([99_999, 1_000_000, usize::MAX]) {
            let mut out = b"x".to_vec();
            report::write_number(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{number}"));
        }
    }

    #[test]
    fn scores_are_written_in_hundredths() {
        for (score, written) in
            [(0.0, "0.0"), (0.5, "0.5"), (0.949_99, "0.95"), (0.07, "0.07"), (0.996, "1.0"), (1.0, "1.0")]
        {
            let mut out = Vec::new();
            report::write_score(score, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written);
            assert_eq!(serde_json::to_string(&report::rounded(score)).unwrap(), written);
        }
    }
}
