//! `privet rules`: the tools of whoever writes detection rules.

mod corpus;
mod diff;
mod eval;
mod explain;
mod import;
mod list;
mod test;
mod train;

use crate::cli::rule_files::RuleFiles;
use crate::cli::scan::ScanError;
use clap::{Args, Subcommand};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Look at the detection rules, test, measure and import them.
#[derive(Args, Debug)]
pub struct RulesArgs {
    /// What to do
    #[command(subcommand)]
    command: RulesCommand,
}

/// The verbs of `privet rules`.
#[derive(Subcommand, Debug)]
enum RulesCommand {
    // The texts of the commands are those of their arguments, but for those
    // that take nothing but rules.
    List(list::ListArgs),
    /// Run the examples that stand in the rule files
    ///
    /// Each rule has texts that it must match, with the span in «marks», and
    /// texts that it must ignore. What looks wrong in the rules besides is told
    /// as a warning. Ends with 1 where an example does not hold.
    Test(RuleFiles),
    Eval(eval::EvalArgs),
    Diff(diff::DiffArgs),
    Explain(explain::ExplainArgs),
    Import(import::ImportArgs),
    Train(train::TrainArgs),
}

/// Runs the command: 0, or 1 where what was checked does not hold.
pub fn run(args: &RulesArgs) -> Result<ExitCode, ScanError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let code = match &args.command {
        RulesCommand::List(args) => list::run(args, &mut out),
        RulesCommand::Test(rules) => test::run(rules, &mut out),
        RulesCommand::Eval(args) => eval::run(args, &mut out),
        RulesCommand::Diff(args) => diff::run(args, &mut out),
        RulesCommand::Explain(args) => explain::run(args, &mut out),
        RulesCommand::Import(args) => import::run(args, &mut out),
        RulesCommand::Train(args) => train::run(args, &mut out),
    }?;
    out.flush()?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one rule file.
    pub(super) fn folder(rule: &str) -> (tempfile::TempDir, RuleFiles) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("own.toml"), rule).unwrap();
        let rules = Some(dir.path().to_owned());
        (dir, RuleFiles { rules, ..RuleFiles::default() })
    }
}
