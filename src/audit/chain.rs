//! The chain in the vault: lines by number, and the head that says which is
//! the last one. A batch is written together with the new head, where the head
//! is still the old one; so all replicas append to one chain.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::base::Base;
use super::line::{Action, Line};
use super::signer::{PublicKey, Signer};
use crate::clock::Time;
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, Records, VaultError};

/// A checkpoint stands behind so many lines,
const CHECKPOINT_LINES: u64 = 1000;
/// or so many seconds after the last one, where there are lines.
const CHECKPOINT_SECONDS: u64 = 3600;

const HEAD: &[u8] = b"head";
const BASE: &[u8] = b"base";
const DAMAGED: VaultError = VaultError::Corrupt { what: "head of the access log" };

/// Lines as they are stored, by their numbers.
type Written = Vec<([u8; 8], Vec<u8>)>;

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    /// The number of the line; 0 before the first.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: String,
    /// When the last checkpoint was made, in Unix seconds.
    checkpoint_at: u64,
    /// Its number.
    checkpoint: u64,
}

impl Link {
    fn start() -> Self {
        Self { seq: 0, hash: "0".repeat(64), checkpoint_at: 0, checkpoint: 0 }
    }
}

/// The chain of a vault. Clones share it.
#[derive(Clone)]
pub(super) struct Chain(Arc<Inner>);

struct Inner {
    records: Records,
    signer: Signer,
    keep: Option<u64>,
    /// As this process last saw it.
    head: Mutex<Option<Link>>,
}

impl Chain {
    pub(super) async fn open(records: Records, keep: Option<u64>) -> Result<Self, VaultError> {
        let signer = Signer::open(&records).await?;
        Ok(Self(Arc::new(Inner { records, signer, keep, head: Mutex::default() })))
    }

    /// Appends lines, and a checkpoint where one is due. All are durable when
    /// this returns, or none is. Gives the number of the first.
    pub(super) async fn append(&self, lines: &[Line]) -> Result<u64, VaultError> {
        let mut known = self.0.head.lock().await;
        loop {
            let old = match known.take() {
                Some(head) => head,
                None => self.head().await?,
            };
            let (new, written) = self.linked(&old, lines);
            let removed = self.outlived(&old, &new).await?;
            if self.write(&old, &new, &written, &removed).await? {
                *known = Some(new);
                return Ok(old.seq + 1);
            }
            // Another replica was faster: its head is read.
        }
    }

    /// The lines with their places, and the head behind them.
    fn linked(&self, old: &Link, lines: &[Line]) -> (Link, Written) {
        let mut head = old.clone();
        let mut written = Vec::with_capacity(lines.len() + 1);
        let mut add = |head: &mut Link, mut line: Line| {
            (line.seq, line.prev) = (head.seq + 1, std::mem::take(&mut head.hash));
            if line.action == Action::Checkpoint {
                line.signature = self.0.signer.sign(&checkpoint(line.seq, line.at, &line.prev));
                (head.checkpoint, head.checkpoint_at) = (line.seq, line.at.0);
            }
            let text = line.seal();
            (head.seq, head.hash) = (line.seq, line.hash);
            written.push((head.seq.to_be_bytes(), text));
        };
        for line in lines {
            add(&mut head, line.clone());
        }
        let now = Time::now();
        let is_late = now.0.saturating_sub(head.checkpoint_at) >= CHECKPOINT_SECONDS;
        if head.seq - head.checkpoint >= CHECKPOINT_LINES || is_late {
            add(&mut head, Line::draft("gateway".to_owned(), Action::Checkpoint));
        }
        (head, written)
    }

    /// What goes as newer lines come: their keys, and the new base.
    async fn outlived(&self, old: &Link, new: &Link) -> Result<Vec<Line>, VaultError> {
        let Some(keep) = self.0.keep else { return Ok(Vec::new()) };
        let base = self.base().await?;
        let until = new.seq.saturating_sub(keep).min(old.seq);
        let gone = until.saturating_sub(base.seq);
        if gone == 0 {
            return Ok(Vec::new());
        }
        self.page(base.seq, usize::try_from(gone).unwrap_or(usize::MAX)).await
    }

    /// Cuts off records of the front that end with this line or before it, so
    /// many at most. Gives the new base; none where there are none, or where
    /// another replica was faster.
    pub(super) async fn cut(&self, old: &Base, until: u64, most: usize) -> Result<Option<Base>, VaultError> {
        let after = old.seq.to_be_bytes();
        let page = self.0.records.scan(Owner::Deployment, Space::Audit, Some(&after), most).await?;
        let until = until.to_be_bytes();
        let front: Vec<_> = page.into_iter().take_while(|(key, _)| key.as_slice() <= until.as_slice()).collect();
        let Some((_, last)) = front.last() else { return Ok(None) };
        let last = last.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let last: Line = serde_json::from_slice(last).map_err(|_| DAMAGED)?;
        let new = Base::behind(&last, &self.0.signer);
        let text = |base: &Base| serde_json::to_vec(base).map_err(|_| DAMAGED);
        let (old_text, new_text) = (text(old)?, text(&new)?);
        let expected = if old.seq == 0 { Expected::Absent } else { Expected::Unchanged(&old_text) };
        let mut changes = vec![change(Space::Checkpoint, BASE, expected, Some(&new_text))];
        changes.extend(front.iter().map(|(key, _)| change(Space::Audit, key, Expected::Anything, None)));
        // Nobody appends meanwhile, which may cut too.
        let _head = self.0.head.lock().await;
        Ok(self.0.records.write(&changes, None).await?.then_some(new))
    }

    async fn write(
        &self,
        old: &Link,
        new: &Link,
        written: &[([u8; 8], Vec<u8>)],
        removed: &[Line],
    ) -> Result<bool, VaultError> {
        let text = |link: &Link| serde_json::to_vec(link).map_err(|_| DAMAGED);
        let (old_head, new_head) = (text(old)?, text(new)?);
        let base = removed.last().map(|line| serde_json::to_vec(&Base::behind(line, &self.0.signer)));
        let base = base.transpose().map_err(|_| DAMAGED)?;
        let keys: Vec<_> = removed.iter().map(|line| line.seq.to_be_bytes()).collect();
        let expected = if old.seq == 0 { Expected::Absent } else { Expected::Unchanged(&old_head) };
        let mut changes = Vec::with_capacity(written.len() + removed.len() + 2);
        changes.push(change(Space::Checkpoint, HEAD, expected, Some(&new_head)));
        changes.extend(written.iter().map(|(key, line)| change(Space::Audit, key, Expected::Absent, Some(line))));
        changes.extend(keys.iter().map(|key| change(Space::Audit, key, Expected::Anything, None)));
        changes.extend(base.iter().map(|base| change(Space::Checkpoint, BASE, Expected::Anything, Some(base))));
        self.0.records.write(&changes, None).await
    }

    pub(super) fn records(&self) -> &Records {
        &self.0.records
    }

    /// Lines behind the one with this number.
    pub(super) async fn page(&self, after: u64, limit: usize) -> Result<Vec<Line>, VaultError> {
        let damaged = VaultError::Corrupt { what: "line of the access log" };
        let read = |(_, text): ([u8; 8], Vec<u8>)| serde_json::from_slice(&text).map_err(|_| damaged.clone());
        self.raw(after, limit).await?.into_iter().map(read).collect()
    }

    /// The same as they are stored.
    pub(super) async fn raw(&self, after: u64, limit: usize) -> Result<Written, VaultError> {
        let after = after.to_be_bytes();
        let found = self.0.records.scan(Owner::Deployment, Space::Audit, Some(&after), limit).await?;
        Ok(found.into_iter().map(|(key, text)| (key.try_into().unwrap_or_default(), text)).collect())
    }

    /// The last line.
    pub(super) async fn head(&self) -> Result<Link, VaultError> {
        match self.0.records.get(Owner::Deployment, Space::Checkpoint, HEAD).await? {
            Some(text) => serde_json::from_slice(&text).map_err(|_| DAMAGED),
            None => Ok(Link::start()),
        }
    }

    /// The line before the first that is kept.
    pub(super) async fn base(&self) -> Result<Base, VaultError> {
        match self.0.records.get(Owner::Deployment, Space::Checkpoint, BASE).await? {
            Some(text) => serde_json::from_slice(&text).map_err(|_| DAMAGED),
            None => Ok(Base::start()),
        }
    }

    pub(super) fn public_key(&self) -> PublicKey {
        self.0.signer.public_key()
    }

    pub(super) fn sign(&self, text: &str) -> String {
        self.0.signer.sign(text)
    }
}

/// What a checkpoint signs.
pub(super) fn checkpoint(seq: u64, at: Time, prev: &str) -> String {
    format!("privet checkpoint\n{seq}\n{at}\n{prev}\n")
}

fn change<'a>(space: Space, key: &'a [u8], expected: Expected<'a>, value: Option<&'a [u8]>) -> RecordChange<'a> {
    RecordChange { owner: Owner::Deployment, space, key, expected, value }
}
