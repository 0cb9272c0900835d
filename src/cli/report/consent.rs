//! `privet report consent`: how many have agreed to what.

use std::io::{self, Write as _};
use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::super::beside::{Api, Which};
use super::super::table::{Align, Table};
use super::super::{Failure, serve};
use super::Format;
use crate::clock::Time;

/// How many have agreed to what, refused and withdrawn it.
///
/// Counts the statements in the ledger of consent, by purpose. Works beside a
/// running gateway too.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// From when on: 2026-05-31, or 2026-05-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Time>,
    /// Until when, itself excluded
    #[arg(long, value_name = "TIME")]
    to: Option<Time>,
    /// The tenant [default: the configuration's]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    which: Which,
}

/// What is counted of a purpose, by its name in the answer and its title.
const COUNTS: [(&str, &str); 4] =
    [("given", "given"), ("given_for_requests", "for requests"), ("refused", "refused"), ("withdrawn", "withdrawn")];

/// Asks the ledger and prints the counts.
pub(super) fn run(Args { from, to, tenant, format, which }: Args) -> Result<ExitCode, Failure> {
    let config = which.load()?;
    let times = [("from", from), ("to", to)].map(|(name, time)| (name, time.map(|time| time.to_string())));
    let query: Vec<String> = (times.into_iter().chain([("tenant", tenant)]))
        .filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))))
        .collect();
    let path = format!("/consent-statistics?{}", query.join("&"));
    let counted = serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let counted = api.json(Method::GET, &path, None).await;
        api.close().await;
        counted
    })?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        Format::Json => writeln!(out, "{counted:#}")?,
        Format::Text => write_text(&counted, &mut out)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write_text(counted: &Value, out: &mut impl io::Write) -> io::Result<()> {
    let mut table = Table::new(&[
        ("purpose", Align::Left),
        (COUNTS[0].1, Align::Right),
        (COUNTS[1].1, Align::Right),
        (COUNTS[2].1, Align::Right),
        (COUNTS[3].1, Align::Right),
    ]);
    for (purpose, counts) in counted["purposes"].as_object().into_iter().flatten() {
        let count = |(name, _): (&str, &str)| counts[name].to_string();
        table.row([vec![purpose.clone()], COUNTS.map(count).to_vec()].concat());
    }
    table.write(out)?;
    writeln!(out, "{} statements of {} subjects", counted["statements"], counted["subjects"])
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
