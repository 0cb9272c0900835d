//! `privet vault backup`: one encrypted file with all that the vault holds.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::super::beside::{Api, Which};
use super::super::{Failure, serve};
use crate::vault::NewFile;

/// Write a backup of the vault, encrypted under its key.
///
/// It holds what the vault held at one moment; a running gateway goes on. The
/// file appears once it is complete, for its owner alone; one that is there is
/// not written over. Keep the key apart
/// from it: without the key nothing in it can be read, by nobody.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where it is written
    file: PathBuf,
    #[command(flatten)]
    which: Which,
}

/// Writes what the vault streams.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args { file, which } = args;
    let config = which.load()?;
    if file.exists() {
        return Err(Failure::Usage(format!(
            "{}: it is there already; name another file, or remove it",
            file.display()
        )));
    }
    serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let written = write(&api, &file).await;
        api.close().await;
        let bytes = written?;
        writeln!(std::io::stderr(), "{}: {bytes} bytes", file.display())?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn write(api: &Api, path: &std::path::Path) -> Result<u64, Failure> {
    let named = |error: std::io::Error| Failure::Failed(format!("{}: {error}", path.display()));
    let mut file = NewFile::create(path).map_err(named)?;
    let mut body = api.call(Method::POST, "/vault/backup", Some(&json!({}))).await?.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Failed("the backup broke off".to_owned()))?;
        if let Ok(piece) = frame.into_data() {
            bytes += piece.len() as u64;
            file.write_all(&piece).map_err(named)?;
        }
    }
    file.finish(path).map_err(named)?;
    Ok(bytes)
}
