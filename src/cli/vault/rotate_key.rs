//! `privet vault rotate-key`: changes the key of a vault, under traffic.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::beside::{Api, Which};
use super::super::{Failure, serve};

/// Change the key of the vault while it is in use; no token changes.
///
/// The new key comes from `PRIVET_NEW_KEY` or --new-key-file. Without it that is
/// `PRIVET_KEY`, where the vault is still under one of `PRIVET_OLD_KEYS`, or a new
/// one of the configured key service. What was cut off goes on from where it was
/// when the command is run again. Several gateways on one vault need the new key
/// beforehand, as one of their old keys.
///
/// When it is done set `PRIVET_KEY` to the new key: the old one opens nothing any
/// more, but for backups that were made before.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  export PRIVET_NEW_KEY=$(openssl rand -base64 32)\n  \
                        privet vault rotate-key --config privet.toml")]
pub(super) struct Args {
    /// A file that holds the new key
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// A file that holds a new key for sensitive values; `PRIVET_NEW_SENSITIVE_KEY` holds it too
    #[arg(long, value_name = "FILE")]
    new_sensitive_key_file: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

/// Asks for it and tells how far it is.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = args.which.load()?;
    let key = new_key("PRIVET_NEW_KEY", args.new_key_file.as_deref())?;
    let sensitive = new_key("PRIVET_NEW_SENSITIVE_KEY", args.new_sensitive_key_file.as_deref())?;
    let to = json!({ "key": key.as_deref(), "sensitive_key": sensitive.as_deref() });
    serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let ended = follow(&api, &to).await;
        api.close().await;
        ended
    })
}

async fn follow(api: &Api, to: &Value) -> Result<ExitCode, Failure> {
    let mut body = api.call(Method::POST, "/vault/rotate-key", Some(to)).await?.into_body();
    let (mut text, mut last) = (Vec::new(), Value::Null);
    while let Some(frame) = body.frame().await {
        let broken = |_| Failure::Failed("the answer broke off; run the command again to go on".to_owned());
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        text.extend_from_slice(&data);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            last = serde_json::from_slice(&line).unwrap_or(Value::Null);
            if let Some(passed) = last["passed"].as_u64() {
                tracing::debug!(passed, "The key of the vault is being changed.");
            }
        }
    }
    if let Some(error) = last["error"].as_str() {
        let error = error.to_owned();
        return Err(if last["usage"] == true { Failure::Usage(error) } else { Failure::Failed(error) });
    }
    let (Some(from), Some(to)) = (last["from"].as_str(), last["to"].as_str()) else {
        return Err(Failure::Failed("the answer broke off; run the command again to go on".to_owned()));
    };
    let done = &last["done"];
    let mut out = std::io::stdout().lock();
    writeln!(out, "the key {from} went, the key {to} is in use; {} subjects were wrapped anew", done["wrapped"])?;
    if done["damaged"] != 0 {
        writeln!(out, "{} subjects are damaged and stay so", done["damaged"])?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The key in a variable or a file; a file outweighs the variable.
fn new_key(variable: &str, file: Option<&Path>) -> Result<Option<Zeroizing<String>>, Failure> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", file.display())))?,
        None => std::env::var(variable).unwrap_or_default(),
    };
    let text = Zeroizing::new(text);
    let key = text.trim();
    Ok((!key.is_empty()).then(|| Zeroizing::new(key.to_owned())))
}
