//! `privet vault purge`: forgets what has been kept long enough.

use std::io::Write as _;
use std::process::ExitCode;

use http::Method;
use serde_json::json;

use super::super::beside::{Api, Which};
use super::super::table::{Align, Table};
use super::super::{Failure, serve};

/// Forget what has been kept long enough, by [[retention]] of the configuration.
///
/// A running gateway does this by itself; without one the file of an embedded
/// vault gives the room back to the disk as well. Where the gateway's clock has jumped, it waits
/// for somebody who confirms that the clock is right.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Tell what would be forgotten, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The clock is right, however far it jumped
    #[arg(long)]
    confirm_clock: bool,
    #[command(flatten)]
    which: Which,
}

/// Purges, and prints what went.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args { dry_run, confirm_clock, which } = args;
    let config = which.load()?;
    serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let body = json!({ "dry_run": dry_run, "confirm_clock": confirm_clock });
        let purged = api.json(Method::POST, "/vault/purge", Some(&body)).await;
        let compacted = if purged.is_ok() && !dry_run { api.compact().await } else { Ok(()) };
        api.close().await;
        let purged = purged?;
        compacted?;
        let mut out = std::io::stdout().lock();
        let rows = purged["forgotten"].as_array().cloned().unwrap_or_default();
        if rows.is_empty() {
            writeln!(out, "nothing has been kept long enough")?;
            return Ok(ExitCode::SUCCESS);
        }
        let action = if dry_run { "would" } else { "action" };
        let mut table = Table::new(&[("entity", Align::Left), (action, Align::Left), ("values", Align::Right)]);
        for row in rows {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            table.row([text("entity"), text("action"), row["values"].to_string()]);
        }
        table.write(&mut out)?;
        Ok(ExitCode::SUCCESS)
    })
}
