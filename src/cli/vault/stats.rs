//! `privet vault stats`: counts what a vault holds.

use std::io::Write as _;
use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::super::beside::{Api, Which};
use super::super::{Failure, serve};
use super::Format;

/// Count what the vault holds: subjects, and tokens by entity.
///
/// The same vault gives the same answer, whenever it is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    which: Which,
}

/// Asks and prints.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = args.which.load()?;
    serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let stats = api.json(Method::GET, "/vault/stats", None).await;
        api.close().await;
        let stats = stats?;
        let mut out = std::io::stdout().lock();
        match args.format {
            Format::Json => writeln!(out, "{stats:#}")?,
            Format::Text => write_text(&mut out, &stats)?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn write_text(out: &mut impl std::io::Write, stats: &Value) -> std::io::Result<()> {
    let text = |name: &str| stats[name].as_str().map(str::to_owned);
    let count = |name: &str| stats[name].as_u64().unwrap_or_default();
    let keys = [("key", text("key")), ("sensitive key", text("sensitive_key")), ("former key", text("former_key"))];
    writeln!(out, "format         {}", count("format"))?;
    for (name, id) in keys {
        if let Some(id) = id {
            writeln!(out, "{name:<14} {id}")?;
        }
    }
    writeln!(out, "subjects       {}", count("subjects"))?;
    writeln!(out, "surrogates     {}", count("surrogates"))?;
    for (entity, tokens) in stats["tokens"].as_object().into_iter().flatten() {
        writeln!(out, "  {entity:<25} {tokens}")?;
    }
    Ok(())
}
