//! The reports of the company, as the admin API makes them.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use http::Method;
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::beside::{Api, Which};
use super::super::{Failure, serve};
use crate::clock::Time;
use crate::report::Format;

/// How a report is written, and of which deployment.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How the report is written: markdown, html or json
    #[arg(long, value_name = "FORMAT", default_value = "markdown")]
    format: Format,
    #[command(flatten)]
    which: Which,
}

/// What a notification of a breach needs (GDPR Articles 33 and 34).
///
/// Counts, from the access log, persons, values and recipients of a time, and
/// lists the incidents of it with their 72 hours and what was done.
#[derive(Debug, clap::Args)]
pub(super) struct BreachArgs {
    /// From when on: 2026-05-31, or 2026-05-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Time>,
    /// Until when, itself excluded
    #[arg(long, value_name = "TIME")]
    to: Option<Time>,
    /// Data that this recipient was sent, alone
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// The key of the vault that is known to others
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    #[command(flatten)]
    written: Args,
}

/// How many persons spoke of what, by day, and no count of a few.
///
/// Counts persons in the transcripts that `[transcripts]` keeps.
#[derive(Debug, clap::Args)]
pub(super) struct TranscriptsArgs {
    /// No count below it is shown
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    k: u64,
    #[command(flatten)]
    written: Args,
}

/// A report that takes nothing but its form.
pub(super) fn run(name: &str, args: Args) -> Result<ExitCode, Failure> {
    print(name, &[], args)
}

/// The report of a breach.
pub(super) fn breach(args: BreachArgs) -> Result<ExitCode, Failure> {
    let time = |time: Option<Time>| time.map(|time| time.to_string());
    let BreachArgs { from, to, upstream, key_id, written } = args;
    print("breach", &[("from", time(from)), ("to", time(to)), ("upstream", upstream), ("key_id", key_id)], written)
}

/// The counts of transcripts.
pub(super) fn transcripts(args: TranscriptsArgs) -> Result<ExitCode, Failure> {
    let TranscriptsArgs { k, written } = args;
    print("transcripts", &[("k", Some(k.to_string()))], written)
}

/// Asks for a report and copies it to standard output.
pub(in crate::cli) fn print(name: &str, query: &[(&str, Option<String>)], args: Args) -> Result<ExitCode, Failure> {
    let Args { format, which } = args;
    let mut path = format!("/reports/{name}?format={}", format.as_str());
    for (name, value) in query.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        let _ = write!(path, "&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    let config = which.load()?;
    serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let answered = api.call(Method::GET, &path, None).await;
        let done = match answered {
            Ok(response) => {
                let body = response.into_body().collect().await;
                let body = body.map_err(|_| Failure::Failed("the report broke off".to_owned()))?.to_bytes();
                io::stdout().write_all(&body).map_err(Failure::from)
            }
            Err(failure) => Err(failure),
        };
        api.close().await;
        done.map(|()| ExitCode::SUCCESS)
    })
}
