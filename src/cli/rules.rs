//! `privet rules`: lists the rules and runs the examples in them.

use crate::cli::rule_files::engine;
use crate::cli::scan::ScanError;
use clap::{Args, Subcommand};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Look at the detection rules.
#[derive(Args, Debug)]
pub struct RulesArgs {
    /// What to do
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// The verbs of `privet rules`.
#[derive(Subcommand, Debug)]
pub enum RulesCommand {
    /// List all rules with entity, operator and file
    List(RulesFolder),
    /// Run the examples that stand in the rule files
    Test(RulesFolder),
}

/// Rules beside the built-in ones.
#[derive(Args, Debug)]
pub struct RulesFolder {
    /// Folder of rule files to add to the built-in rules; the same id replaces
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// Runs the command: 0, or 1 where an example does not hold.
pub fn run(args: &RulesArgs) -> Result<ExitCode, ScanError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let code = match &args.command {
        RulesCommand::List(folder) => list(folder, &mut out),
        RulesCommand::Test(folder) => test(folder, &mut out),
    }?;
    out.flush()?;
    Ok(code)
}

fn list(folder: &RulesFolder, out: &mut impl Write) -> Result<ExitCode, ScanError> {
    let engine = engine(folder.rules.as_deref())?;
    let width = engine.rules().map(|r| r.id.len()).max().unwrap_or(0);
    for rule in engine.rules() {
        let entity = rule.entity.as_str();
        writeln!(out, "{:width$}  {entity:14}  {:6}  {}:{}", rule.id, rule.operator.as_str(), rule.file, rule.line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn test(folder: &RulesFolder, out: &mut impl Write) -> Result<ExitCode, ScanError> {
    let engine = engine(folder.rules.as_deref())?;
    let failures = engine.test_examples();
    for failure in &failures {
        writeln!(out, "{failure}")?;
    }
    let count = engine.example_count();
    writeln!(out, "{count} examples, {} failed", failures.len())?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(rule: &str) -> (tempfile::TempDir, RulesFolder) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("own.toml"), rule).unwrap();
        let rules = Some(dir.path().to_owned());
        (dir, RulesFolder { rules })
    }

    #[test]
    fn a_failing_example_is_named_with_its_line() {
        let rule = "[[rule]]\nid = \"badge\"\nentity = \"BADGE\"\npattern = 'B-\\d{4}'\nmatch = [\n  \"«B-1234»\",\n  \"nothing\",\n]\n";
        let (dir, folder) = folder(rule);
        let mut out = Vec::new();
        assert_eq!(test(&folder, &mut out).unwrap(), ExitCode::FAILURE);
        let out = String::from_utf8(out).unwrap();
        let wanted =
            format!("{}:7: badge: \"nothing\" holds BADGE, found nothing\n", dir.path().join("own.toml").display());
        assert!(out.contains(&wanted), "{out}");
        assert!(out.ends_with(" 1 failed\n"), "{out}");
    }

    #[test]
    fn an_own_rule_replaces_the_built_in_one_of_its_id() {
        let (_dir, folder) =
            folder("[[rule]]\nid = \"email\"\nentity = \"EMAIL\"\nfinder = \"email\"\noperator = \"block\"\n");
        let mut out = Vec::new();
        list(&folder, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = out.lines().filter(|l| l.starts_with("email ")).collect();
        assert!(lines.len() == 1 && lines[0].contains("block") && lines[0].ends_with("own.toml:1"), "{lines:?}");
    }
}
