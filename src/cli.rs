//! The command line: what `privet` understands, and how each command ends.
//! Data goes to standard output, messages to standard error; exit code 0 is
//! done, 1 that the thing checked does not hold, 2 a wrong usage or
//! configuration.

pub mod audit;
mod beside;
pub mod check;
mod chores;
pub mod completions;
pub mod config;
pub mod demo;
mod flags;
pub mod man;
mod open;
pub mod operator;
pub mod report;
pub mod rule_files;
pub mod rules;
pub mod scan;
pub mod selfcheck;
pub mod serve;
pub mod subject;
mod table;
pub mod vault;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Problem, Problems};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "privet",
    version,
    about = "Keeps personal data out of chatbots",
    long_about = "Privet is a streaming reverse proxy between a chat client and a chatbot. It finds personal data in \
                  requests, replaces it by tokens kept in an encrypted vault, restores the values in the streamed \
                  reply, and forwards nothing without consent.\n\nStart with `privet demo`: it needs no set-up.",
    after_help = "Exit codes: 0 done, 1 the thing checked does not hold, 2 wrong usage or configuration.",
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    // The texts of the commands are those of their arguments.
    Demo(demo::Args),
    Serve(serve::Args),
    Check(check::Args),
    Scan(scan::ScanArgs),
    Rules(rules::RulesArgs),
    Selfcheck(selfcheck::Args),
    Vault(vault::Args),
    Subject(subject::Args),
    Operator(operator::Args),
    Audit(audit::Args),
    Report(report::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Why a command ended before it was done.
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage: exit code 2.
    Usage(String),
    /// A configuration that cannot be used: exit code 2.
    Configuration(Problems),
    /// Something failed while it ran: exit code 1.
    Failed(String),
    /// Nobody reads the output any more: no error.
    BrokenPipe,
}

impl Failure {
    /// How the process ends.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Configuration(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::from(1),
            Self::BrokenPipe => ExitCode::SUCCESS,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<scan::ScanError> for Failure {
    /// Rules or an input that cannot be read are wrong usage.
    fn from(error: scan::ScanError) -> Self {
        match error {
            scan::ScanError::Write(error) => error.into(),
            other => Self::Usage(other.to_string()),
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Configuration(problems)
    }
}

/// Parses the arguments of this process, runs the command and says how it ended.
pub fn main() -> ExitCode {
    // The first provider stands; that another one is installed already can
    // only happen where this function is called twice.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ended = match Cli::parse().command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
        Command::Scan(args) => scan::run(&args).map_err(Failure::from),
        Command::Rules(args) => rules::run(&args).map_err(Failure::from),
        Command::Selfcheck(args) => selfcheck::run(args),
        Command::Vault(args) => vault::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Subject(args) => subject::run(args),
        Command::Operator(args) => operator::run(args),
        Command::Report(args) => report::run(args),
        Command::Config(args) => config::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    ended.unwrap_or_else(|failure| tell(&failure))
}

/// Prints warnings of a configuration to standard error.
fn warn(warnings: &[Problem]) {
    for warning in warnings {
        message("warning", warning);
    }
}

fn tell(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Usage(sentence) | Failure::Failed(sentence) => message("error", sentence),
        Failure::Configuration(problems) => {
            warn(&problems.warnings);
            for problem in &problems.errors {
                message("error", problem);
            }
        }
        Failure::BrokenPipe => {}
    }
    failure.exit_code()
}

/// One line on standard error. Where even that is closed there is nobody to tell.
fn message(label: &str, text: impl std::fmt::Display) {
    let style = if label == "error" { anstyle::AnsiColor::Red } else { anstyle::AnsiColor::Yellow };
    let style = style.on_default().bold();
    let _ = writeln!(anstream::stderr(), "{style}{label}{style:#}: {text}");
}

/// The innermost reason of an error, which says most.
fn innermost<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    std::iter::successors(Some(error), |&error| error.source()).last().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_broken_pipe_is_no_error() {
        assert!(matches!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)), Failure::BrokenPipe));
        assert!(matches!(Failure::from(io::Error::from(io::ErrorKind::NotFound)), Failure::Failed(_)));
    }

    #[test]
    fn exit_codes_tell_usage_from_failure() {
        let problems = crate::config::Config::parse("").unwrap_err();
        assert_eq!(Failure::from(problems).exit_code(), ExitCode::from(2));
        assert_eq!(Failure::Usage(String::new()).exit_code(), ExitCode::from(2));
        assert_eq!(Failure::Failed(String::new()).exit_code(), ExitCode::from(1));
        assert_eq!(Failure::BrokenPipe.exit_code(), ExitCode::SUCCESS);
    }
}
