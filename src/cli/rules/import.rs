//! `privet rules import`: rules of other tools, as a rule file.

mod gitleaks;
mod presidio;
mod syntax;
mod write;

use crate::cli::scan::ScanError;
use crate::detect::{Engine, RuleErrors, RuleSet};
use clap::{Args, ValueEnum};
use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Turn rules of Presidio or gitleaks into a rule file
///
/// Reads the YAML of Presidio's recognizers or the TOML of gitleaks and prints
/// a rule file. What cannot be carried over is told on standard error, one
/// line each with the rule and the reason. Ends with 1 where nothing could be
/// imported. Look through the result, add examples to its rules, and put it
/// into the folder of `--rules`.
#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    /// The file to import
    pub file: PathBuf,
    /// Whose rules they are; else told by the file's name, .toml or .yaml
    #[arg(long, value_enum)]
    pub from: Option<From>,
    /// Write the rule file here instead of to standard output; an existing
    /// file is not overwritten
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A format of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum From {
    /// Recognizers of Microsoft Presidio, YAML
    Presidio,
    /// Rules of gitleaks, TOML
    Gitleaks,
}

/// A rule on its way into a file.
#[derive(Clone, Debug, Default, PartialEq)]
struct Draft {
    id: String,
    entity: String,
    description: String,
    patterns: Vec<String>,
    words: Vec<String>,
    score: Option<f32>,
    weight: Option<f32>,
    context: Vec<Group>,
    languages: Vec<String>,
    off: bool,
}

/// Context words with their languages.
#[derive(Clone, Debug, Default, PartialEq)]
struct Group {
    words: Vec<String>,
    languages: Vec<String>,
}

/// What an import gives.
#[derive(Debug, Default)]
struct Imported {
    drafts: Vec<Draft>,
    /// What could not be carried over: rule and reason.
    lost: Vec<(String, String)>,
}

impl Imported {
    fn lose(&mut self, rule: &str, reason: impl Into<String>) {
        self.lost.push((rule.to_owned(), reason.into()));
    }
}

pub(super) fn run(args: &ImportArgs, out: &mut impl Write) -> Result<ExitCode, ScanError> {
    let name = args.file.display().to_string();
    let text = fs::read_to_string(&args.file).map_err(|error| ScanError::Read { name: name.clone(), error })?;
    let from = args.from.or_else(|| by_name(&args.file)).ok_or_else(|| {
        ScanError::Usage(format!("{name}: say whose rules these are, --from presidio or --from gitleaks"))
    })?;
    let RuleFile { text: file, count, lost } = import(from, &name, &text).map_err(ScanError::Usage)?;
    for (rule, reason) in &lost {
        crate::cli::message("not carried over", format!("{rule}: {reason}"));
    }
    if count == 0 {
        crate::cli::message("error", format!("{name}: no rule could be imported"));
        return Ok(ExitCode::FAILURE);
    }
    match &args.out {
        None => out.write_all(file.as_bytes())?,
        Some(path) => {
            let write = || fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(file.as_bytes());
            write().map_err(|error: io::Error| {
                ScanError::Usage(format!("{}: cannot be written: {error}", path.display()))
            })?;
        }
    }
    let rules = if count == 1 { "rule" } else { "rules" };
    crate::cli::message("imported", format!("{count} {rules}, {} notes", lost.len()));
    Ok(ExitCode::SUCCESS)
}

fn by_name(path: &Path) -> Option<From> {
    match path.extension()?.to_str()? {
        "toml" => Some(From::Gitleaks),
        "yaml" | "yml" => Some(From::Presidio),
        _ => None,
    }
}

/// A rule file that was made of another tool's.
struct RuleFile {
    text: String,
    /// How many rules it has.
    count: usize,
    /// What is not in it: rule and reason.
    lost: Vec<(String, String)>,
}

fn import(from: From, name: &str, text: &str) -> Result<RuleFile, String> {
    let mut imported = match from {
        From::Presidio => presidio::read(text),
        From::Gitleaks => gitleaks::read(text),
    }
    .map_err(|problem| format!("{name}: {problem}"))?;
    let drafts = std::mem::take(&mut imported.drafts);
    let mut ids = HashSet::new();
    let mut kept = Vec::new();
    for mut draft in drafts {
        draft.id = unique(&draft.id, &mut ids);
        // What the engine would refuse must not get into the file.
        match refused(&draft) {
            None => kept.push(draft),
            Some(reason) => imported.lose(&draft.id, reason),
        }
    }
    let count = kept.len();
    let source = Path::new(name).file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Ok(RuleFile { text: write::file(from, &source, &kept), count, lost: imported.lost })
}

fn unique(id: &str, ids: &mut HashSet<String>) -> String {
    let mut candidate = id.to_owned();
    let mut next = 2;
    while !ids.insert(candidate.clone()) {
        candidate = format!("{id}-{next}");
        next += 1;
    }
    candidate
}

/// Why a rule cannot be compiled.
fn refused(draft: &Draft) -> Option<String> {
    let mut set = RuleSet::empty();
    let compiled = set.add("", &write::rule(draft)).and_then(|()| Engine::compile(&set));
    compiled.err().map(|RuleErrors(errors)| {
        let problems: Vec<String> = errors.into_iter().map(|error| error.problem).collect();
        problems.join("; ")
    })
}

/// An id from a name for people: small letters, digits and hyphens.
fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => slug.push(c),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(56);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "rule".to_owned() } else { slug.to_owned() }
}

/// An entity name from another tool's: capitals and underscores.
fn entity(name: &str) -> String {
    let mut entity: String = name
        .chars()
        .map(|c| c.to_ascii_uppercase())
        .filter_map(|c| match c {
            'A'..='Z' => Some(c),
            '0'..='9' => None,
            _ => Some('_'),
        })
        .skip_while(|&c| c == '_')
        .take(25)
        .collect();
    entity.truncate(entity.trim_end_matches('_').len());
    if entity.len() < 2 { "OTHER".to_owned() } else { entity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids_and_entities() {
        assert_eq!(slug("Zip code Recognizer (weak)"), "zip-code-recognizer-weak");
        assert_eq!(slug("§"), "rule");
        assert_eq!(entity("us-bank2 number"), "US_BANK_NUMBER");
        assert_eq!(entity("1"), "OTHER");
        let mut ids = HashSet::new();
        assert_eq!([unique("a", &mut ids), unique("a", &mut ids), unique("a", &mut ids)], ["a", "a-2", "a-3"]);
    }

    #[test]
    fn the_files_name_says_whose_rules_they_are() {
        assert_eq!(by_name(Path::new("x/gitleaks.toml")), Some(From::Gitleaks));
        assert_eq!(by_name(Path::new("recognizers.yml")), Some(From::Presidio));
        assert_eq!(by_name(Path::new("rules")), None);
    }
}
