//! `privet audit`: the access log.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use http::Method;
use http_body_util::BodyExt as _;

use super::beside::{Api, Which};
use super::{Failure, serve};
use crate::audit::{ExportError, PublicKey, verify_export};

/// Check and give out the access log.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    // The texts are those of the arguments.
    Verify(VerifyArgs),
    Export(ExportArgs),
}

/// Check that no line was changed, cut out, added or moved.
///
/// Without FILE the access log of the vault is checked, else an export; `-` is
/// standard input. Ends with 1 where it is not whole. An export names the key
/// that signed it: give the one that you know as `--public-key`, or compare.
#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// An export
    file: Option<PathBuf>,
    /// The key that the export must be signed with, as `privet audit verify` prints it
    #[arg(long, value_name = "BASE64", requires = "file")]
    public_key: Option<PublicKey>,
    #[command(flatten)]
    which: Which,
}

/// Write the access log to standard output, one JSON object a line.
///
/// The last line signs all others: an export that was cut off is missed.
#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// Only lines behind the one with this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    #[command(flatten)]
    which: Which,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.what {
        What::Verify(VerifyArgs { file: Some(file), public_key, .. }) => verify_file(&file, public_key),
        What::Verify(VerifyArgs { which, .. }) => with_api(which, verify_vault),
        What::Export(ExportArgs { after, which }) => with_api(which, async |api| export(api, after).await),
    }
}

fn with_api(which: Which, work: impl AsyncFnOnce(&Api) -> Result<ExitCode, Failure>) -> Result<ExitCode, Failure> {
    let config = which.load()?;
    serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let done = work(&api).await;
        api.close().await;
        done
    })
}

fn verify_file(file: &PathBuf, key: Option<PublicKey>) -> Result<ExitCode, Failure> {
    let unreadable = |error: &io::Error| Failure::Usage(format!("{}: {error}", file.display()));
    let checked = if file.as_os_str() == "-" {
        verify_export(&mut io::stdin().lock(), key)
    } else {
        verify_export(&mut BufReader::new(File::open(file).map_err(|e| unreadable(&e))?), key)
    };
    let mut out = io::stdout().lock();
    match checked {
        Ok((found, signer)) => {
            let (first, last, checkpoints) = (found.first, found.last, found.checkpoints);
            writeln!(out, "whole: lines {first} to {last}, {checkpoints} checkpoints, signed with the key {signer}")?;
            write_unfinished(&mut out, found.unfinished)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(ExportError::Read(error)) => Err(unreadable(&error)),
        Err(error) => Err(Failure::Failed(format!("{}: {error}", file.display()))),
    }
}

async fn verify_vault(api: &Api) -> Result<ExitCode, Failure> {
    let verdict = api.json(Method::GET, "/audit/verify", None).await?;
    let key = verdict["public_key"].as_str().unwrap_or_default();
    if verdict["whole"] != true {
        let fault = verdict["fault"].as_str().unwrap_or_default();
        return Err(Failure::Failed(format!("the access log is not whole: line {}: {fault}", verdict["line"])));
    }
    let chain = &verdict["chain"];
    let (first, last, checkpoints) = (&chain["first"], &chain["last"], &chain["checkpoints"]);
    let mut out = io::stdout().lock();
    writeln!(out, "whole: lines {first} to {last}, {checkpoints} checkpoints, signed with the key {key}")?;
    write_unfinished(&mut out, chain["unfinished"].as_u64().unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}

/// A process that was killed leaves exchanges of which the end is not known.
fn write_unfinished(out: &mut impl Write, count: u64) -> io::Result<()> {
    match count {
        0 => Ok(()),
        1 => writeln!(
            out,
            "1 exchange has no end: it goes on, or a process broke off with it (`begin` tells what it may have shown)"
        ),
        _ => writeln!(
            out,
            "{count} exchanges have no end: they go on, or a process broke off with them (`begin` tells what they may have shown)"
        ),
    }
}

async fn export(api: &Api, after: u64) -> Result<ExitCode, Failure> {
    let mut body = api.call(Method::GET, &format!("/audit/export?after={after}"), None).await?.into_body();
    let mut out = io::stdout().lock();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Failed("the export broke off".to_owned()))?;
        if let Ok(piece) = frame.into_data() {
            out.write_all(&piece)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
