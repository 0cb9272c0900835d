//! An export of the access log: its lines as JSONL, and a last line that signs
//! them all, so that an end that is cut off is missed too.

use std::io::BufRead;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::chain::Chain;
use super::line::Line;
use super::signer::PublicKey;
use super::verify::{Broken, Fault, Verified, Verifier};
use crate::clock::Time;
use crate::hex;
use crate::vault::VaultError;

const PAGE: usize = 512;

/// The longest line of an export, in bytes.
const LONGEST: u64 = 256 * 1024;

/// The last line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    /// Always `export`.
    action: String,
    at: Time,
    /// The numbers of the first and the last line.
    first: u64,
    last: u64,
    /// The hash of the line before the first.
    base: String,
    /// SHA-256 of all bytes before this line.
    digest: String,
    public_key: String,
    /// Over all members before.
    signature: String,
}

impl End {
    fn said(&self) -> String {
        let Self { at, first, last, base, digest, public_key, .. } = self;
        format!("privet export\n{at}\n{first}\n{last}\n{base}\n{digest}\n{public_key}\n")
    }
}

/// An export in the making: lines that stood in the chain when it began.
pub struct Exported {
    chain: Chain,
    first: u64,
    next: u64,
    last: u64,
    base: String,
    digest: Context,
    has_ended: bool,
}

impl Exported {
    pub(super) async fn new(chain: Chain, after: u64) -> Result<Self, VaultError> {
        let (base, head) = (chain.base().await?, chain.head().await?);
        let from = after.clamp(base.seq, head.seq);
        let before = if from == base.seq {
            base.hash
        } else {
            let before = chain.page(from - 1, 1).await?;
            before.into_iter().next().map(|line| line.hash).ok_or(VaultError::Corrupt { what: "access log" })?
        };
        let (first, next, last) = (from + 1, from, head.seq);
        Ok(Self { chain, first, next, last, base: before, digest: Context::new(&SHA256), has_ended: false })
    }

    /// The next lines; none behind the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, VaultError> {
        if self.next < self.last {
            let limit = usize::try_from(self.last - self.next).unwrap_or(PAGE).min(PAGE);
            let page = self.chain.raw(self.next, limit).await?;
            if page.is_empty() {
                return Err(VaultError::Corrupt { what: "access log" });
            }
            let mut lines = Vec::new();
            for (key, text) in page {
                // What was cut off meanwhile leaves no hole that nobody sees.
                if u64::from_be_bytes(key) != self.next + 1 {
                    return Err(VaultError::Corrupt { what: "access log" });
                }
                self.next += 1;
                lines.extend_from_slice(&text);
                lines.push(b'\n');
            }
            self.digest.update(&lines);
            return Ok(Some(lines.into()));
        }
        if std::mem::replace(&mut self.has_ended, true) {
            return Ok(None);
        }
        let mut end = End {
            action: "export".to_owned(),
            at: Time::now(),
            first: self.first,
            last: self.last,
            base: self.base.clone(),
            digest: hex::encode(self.digest.clone().finish().as_ref()),
            public_key: self.chain.public_key().to_string(),
            signature: String::new(),
        };
        end.signature = self.chain.sign(&end.said());
        Ok(Some(line_of(&end).into()))
    }
}

fn line_of(end: &End) -> Vec<u8> {
    let mut line = serde_json::to_vec(end).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Why an export is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It was changed, cut or reordered.
    #[error("{0}")]
    Broken(#[from] Broken),
    /// It was signed with another key than the one that was asked for.
    #[error("it is signed with the key {0}, not with the one that was given")]
    OtherKey(PublicKey),
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

/// Checks an export, and gives the key that signed it. `key` is the one that it
/// must be; without one whoever asks has to compare.
pub fn verify_export(read: &mut dyn BufRead, key: Option<PublicKey>) -> Result<(Verified, PublicKey), ExportError> {
    // The last line says where the chain begins and with which key it is
    // signed, so each line waits until it is known not to be the last.
    let mut verifier: Option<Verifier> = None;
    let mut digest = Context::new(&SHA256);
    let mut last = Vec::new();
    loop {
        let mut line = Vec::new();
        let length = std::io::Read::take(&mut *read, LONGEST).read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        if !last.is_empty() {
            take(&last, &mut verifier)?;
            digest.update(&last);
        }
        last = line;
    }
    let at = verifier.as_ref().map_or(1, |verifier| verifier.end().0 + 1);
    let broken = |fault| ExportError::Broken(Broken { at, fault });
    let end: End = serde_json::from_slice(&last).map_err(|_| broken(Fault::Cut))?;
    let signer: PublicKey = end.public_key.parse().map_err(|_| broken(Fault::Signature))?;
    if line_of(&end) != last || end.action != "export" || !signer.holds(&end.said(), &end.signature) {
        return Err(broken(Fault::Signature));
    }
    if key.is_some_and(|key| key != signer) {
        return Err(ExportError::OtherKey(signer));
    }
    let empty = || Verifier::unsigned(end.first.saturating_sub(1), end.base.clone());
    let verifier = verifier.unwrap_or_else(empty);
    let is_whole = verifier.start() == (end.first, &end.base) && verifier.end().0 == end.last;
    if !is_whole || hex::encode(digest.finish().as_ref()) != end.digest {
        return Err(broken(Fault::Cut));
    }
    Ok((verifier.signed_by(signer)?, signer))
}

/// The next line of the chain; the first says what it goes on from.
fn take(line: &[u8], verifier: &mut Option<Verifier>) -> Result<(), Broken> {
    let at = verifier.as_ref().map_or(1, |verifier| verifier.end().0 + 1);
    let changed = Broken { at, fault: Fault::Changed };
    let text = line.strip_suffix(b"\n").ok_or(changed)?;
    let verifier = if let Some(verifier) = verifier {
        verifier
    } else {
        let first = Line::read(text).map_err(|_| changed)?;
        verifier.insert(Verifier::unsigned(first.seq.saturating_sub(1), first.prev))
    };
    verifier.next(text)
}
