//! `privet report retention`: what is kept how long, and what was deleted when.

use std::io::{self, Write};
use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::super::beside::{Api, Which};
use super::super::table::{Align, Table};
use super::super::{Failure, serve};
use super::Format;

/// What is kept how long, and what was deleted when.
///
/// Counts alone: it names no value and no person.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    which: Which,
}

/// Asks for the report, and prints it.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args { format, which } = args;
    let config = which.load()?;
    let report = serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let report = api.json(Method::GET, "/vault/retention", None).await;
        api.close().await;
        report
    })?;
    let mut out = io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{report:#}")?,
        Format::Text => write_text(&report, &mut out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write_text(report: &Value, out: &mut impl Write) -> io::Result<()> {
    let columns = ["entity", "purpose", "tenant", "keep", "action", "values", "oldest"];
    let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
    for rule in report["rules"].as_array().into_iter().flatten() {
        table.row(columns.map(|column| match &rule[column] {
            Value::Null if column == "oldest" => "-".to_owned(),
            Value::Null => "any".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
    }
    table.write(out)?;
    writeln!(out)?;
    let mut table = Table::new(&["day", "what", "entity", "values"].map(|column| (column, Align::Left)));
    let mut rows = 0;
    for day in report["history"].as_array().into_iter().flatten() {
        let date: String = day["day"].as_str().unwrap_or_default().chars().take(10).collect();
        for what in ["deleted", "anonymized"] {
            for (entity, values) in day[what].as_object().into_iter().flatten() {
                table.row([date.clone(), what.to_owned(), entity.clone(), values.to_string()]);
                rows += 1;
            }
        }
    }
    if rows == 0 { writeln!(out, "nothing was deleted yet") } else { table.write(out) }
}
