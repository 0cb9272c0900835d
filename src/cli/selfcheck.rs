//! `privet selfcheck`: client and upstream at once, around a gateway on
//! loopback. Values are planted in every field of every protocol; what the
//! upstream got and what the client got back is held against what should be.

mod coding;
mod consent;
mod ground;
mod plant;
mod replies;
mod report;
mod requests;
mod rig;
mod said;
mod sample;
mod socket;
mod template;
mod ways;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use self::ground::Ground;
use self::report::{Field, Report, Side};
use self::rig::Rig;
use self::sample::Sample;
use super::rule_files::engine_of;
use super::serve;
use super::{Failure, warn};
use crate::config::{Config, Reply, Sources};

/// Check that nothing leaks and all comes back, in every protocol.
///
/// Starts the gateway on loopback between a client and a chatbot of its own,
/// plants invented values in every field of every protocol, and looks at what
/// the chatbot received and at what the client got back, however the replies are
/// cut. Ends with 1 where a value leaked or was restored wrongly.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Check the routes and rules of this configuration; its chatbots are not
    /// asked, and its vault is not opened
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Try every cut of every reply; takes minutes
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Text,
    /// One JSON document
    Json,
}

/// What is checked where nothing is configured.
const USUAL: &str = "upstream = \"http://127.0.0.1:1\"\n";

/// One sample on one route.
struct Trial<'a> {
    rig: &'a Rig,
    ground: &'a Ground<'a>,
    sample: &'a Sample,
    /// What is put before the sample's path.
    prefix: &'a str,
    effort: Effort,
    report: &'a mut Report,
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effort {
    /// What depends on how a route treats replies.
    Little,
    Usual,
    /// Every cut of every reply.
    Full,
}

/// Runs all samples, prints the report, and ends with 1 where it does not hold.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let sources = match args.config {
        Some(file) => Sources { file: Some(file), environment: Sources::process_environment(), ..Sources::default() },
        None => Sources { text: Some(USUAL.to_owned()), ..Sources::default() },
    };
    let loaded = Config::load(&sources)?;
    warn(&loaded.warnings);
    let effort = if args.full { Effort::Full } else { Effort::Usual };
    let usual = loaded.config;
    let mut configs = vec![(usual.clone(), "", effort)];
    // A deployment is checked as it is, and the product in all ways that there are.
    if sources.file.is_none() {
        for (reply, mode) in [(Reply::RestoreRedact, "restore+redact"), (Reply::Pass, "pass")] {
            let mut config = usual.clone();
            config.routes.iter_mut().for_each(|route| route.reply = reply);
            configs.push((config, mode, Effort::Little));
        }
    }
    let report = serve::runtime()?.block_on(async {
        let mut report = Report::default();
        for (config, mode, effort) in configs {
            Box::pin(check(config, mode, effort, &mut report)).await?;
        }
        Ok::<_, Failure>(report)
    })?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Text => report.write_text(&mut out)?,
        Format::Json => report.write_json(&mut out)?,
    }
    out.flush()?;
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn check(config: Config, mode: &'static str, effort: Effort, report: &mut Report) -> Result<(), Failure> {
    let samples = sample::all().map_err(Failure::Failed)?;
    let engine = engine_of(&config).map_err(|errors| Failure::Usage(errors.join("\n")))?;
    let rig = Rig::start(config.clone()).await?;
    for mut ground in ground::of(&config, &engine, &samples, mode) {
        let primed = ground.prime(&rig).await;
        primed.map_err(|why| Failure::Failed(format!("route {}: {why}", ground.route.path)))?;
        for (sample, prefix) in &ground.samples {
            let mut trial = Trial { rig: &rig, ground: &ground, sample, prefix, effort, report };
            if effort > Effort::Little {
                trial.request().await;
            }
            if !trial.is_refused() {
                trial.replies().await;
            }
        }
    }
    rig.stop().await;
    Ok(())
}

impl Trial<'_> {
    fn field(&self, side: Side, name: &str) -> Field {
        Field {
            route: self.ground.route.path.clone(),
            mode: self.ground.mode,
            sample: format!("{}/{}", self.sample.protocol, self.sample.name),
            side,
            name: name.to_owned(),
        }
    }
}
