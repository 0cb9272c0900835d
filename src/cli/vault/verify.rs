//! `privet vault verify`: shows that all records open.

use std::io::Write as _;
use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use super::super::beside::{Api, Which};
use super::super::{Failure, serve};
use super::Format;

/// Show that every record opens, or those of one subject.
///
/// Ends with 1 where one does not. Of a subject that was erased it shows that
/// nothing is there; with --erased anything that is there is an error.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// This tenant alone
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// This subject alone
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// The subject was erased: nothing of it may be there
    #[arg(long, requires = "subject")]
    erased: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    which: Which,
}

/// Asks and prints.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = args.which.load()?;
    let part = json!({ "tenant": args.tenant, "subject": args.subject });
    serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let found = api.json(Method::POST, "/vault/verify", Some(&part)).await;
        api.close().await;
        let found = found?;
        let mut out = std::io::stdout().lock();
        match args.format {
            Format::Json => writeln!(out, "{found:#}")?,
            Format::Text => {
                write_line(&mut out, "subjects", &found["subjects"])?;
                write_line(&mut out, "values", &found["values"])?;
                if found["empty"] == true && args.subject.is_some() {
                    writeln!(out, "nothing of this subject is there")?;
                }
            }
        }
        let holds = found["holds"] == true && (!args.erased || found["empty"] == true);
        Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(1) })
    })
}

fn write_line(out: &mut impl std::io::Write, name: &str, count: &Value) -> std::io::Result<()> {
    writeln!(out, "{name:<10} {} good, {} bad", count["good"], count["bad"])
}
