//! The chain in the vault: records of lines, by the number of their last line,
//! and the head that says which is the last of all. A batch is written together
//! with the new head, where the head is still the old one; so all replicas
//! append to one chain.

use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError};

use memchr::memmem;
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

/// Lines of one record at most. Sealing and storing costs about the same for
/// one line as for many.
const RECORD_LINES: usize = 128;

/// Who writes of exchanges.
pub(super) const GATEWAY: &str = "gateway";

/// Records that are read at a time.
const PAGE: usize = 32;

const HEAD: &[u8] = b"head";
const BASE: &[u8] = b"base";
const DAMAGED: VaultError = VaultError::Corrupt { what: "head of the access log" };
const LINE: VaultError = VaultError::Corrupt { what: "line of the access log" };

/// Texts by the numbers of lines.
type Written = Vec<([u8; 8], Vec<u8>)>;

/// Records in front that go, and where the chain begins then.
struct Front {
    keys: Vec<Vec<u8>>,
    base: Base,
}

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
    /// The lines that this process wrote last, one behind the other and all the
    /// gateway's own; from the line before the first of them.
    own: std::sync::Mutex<RangeInclusive<u64>>,
}

impl Chain {
    pub(super) async fn open(records: Records, keep: Option<u64>) -> Result<Self, VaultError> {
        let signer = Signer::open(&records).await?;
        Ok(Self(Arc::new(Inner { records, signer, keep, head: Mutex::default(), own: std::sync::Mutex::new(0..=0) })))
    }

    /// Appends lines, and a checkpoint where one is due. All are durable when
    /// this returns, or none is. Gives the number of the first.
    pub(super) async fn append(&self, lines: &mut [Line]) -> Result<u64, VaultError> {
        let mut known = self.0.head.lock().await;
        loop {
            let old = match known.take() {
                Some(head) => head,
                None => self.head().await?,
            };
            let (new, written) = self.linked(&old, lines);
            let outlived = self.outlived(&old, &new).await?;
            if self.write(&old, &new, &written, outlived.as_ref()).await? {
                self.note_own(old.seq, new.seq, lines);
                *known = Some(new);
                return Ok(old.seq + 1);
            }
            // Another replica was faster: its head is read.
        }
    }

    /// Takes note of lines that were written, from behind the first number to the last.
    fn note_own(&self, first: u64, last: u64, lines: &[Line]) {
        let mut own = self.0.own.lock().unwrap_or_else(PoisonError::into_inner);
        *own = match lines.iter().all(|line| line.actor == GATEWAY) {
            true if *own.end() == first => *own.start()..=last,
            true => first..=last,
            false => last..=last,
        };
    }

    /// The records of the lines, which get their places, and the head behind them.
    fn linked(&self, old: &Link, lines: &mut [Line]) -> (Link, Written) {
        let mut head = old.clone();
        let mut written = Written::new();
        for batch in lines.chunks_mut(RECORD_LINES) {
            let mut text = Vec::with_capacity(batch.len() * 640);
            for line in batch {
                self.link_to(&mut head, line, &mut text);
            }
            written.push((head.seq.to_be_bytes(), text));
        }
        let is_late = Time::now().0.saturating_sub(head.checkpoint_at) >= CHECKPOINT_SECONDS;
        if head.seq - head.checkpoint >= CHECKPOINT_LINES || is_late {
            let mut text = Vec::new();
            self.link_to(&mut head, &mut Line::draft(GATEWAY.to_owned(), Action::Checkpoint), &mut text);
            written.push((head.seq.to_be_bytes(), text));
        }
        (head, written)
    }

    /// Gives a line its place behind the head, which it becomes.
    fn link_to(&self, head: &mut Link, line: &mut Line, text: &mut Vec<u8>) {
        (line.seq, line.prev) = (head.seq + 1, std::mem::take(&mut head.hash));
        if line.action == Action::Checkpoint {
            line.signature = self.0.signer.sign(&checkpoint(line.seq, line.at, &line.prev));
            (head.checkpoint, head.checkpoint_at) = (line.seq, line.at.0);
        }
        if !text.is_empty() {
            text.push(b'\n');
        }
        line.seal_into(text);
        (head.seq, head.hash) = (line.seq, line.hash.clone());
    }

    /// What goes as newer lines come. Older ones are looked for now and then, not
    /// with each line.
    async fn outlived(&self, old: &Link, new: &Link) -> Result<Option<Front>, VaultError> {
        let Some(keep) = self.0.keep else { return Ok(None) };
        let stride = (keep / 8).max(1);
        if new.seq / stride == old.seq / stride {
            return Ok(None);
        }
        let until = new.seq.saturating_sub(keep).min(old.seq);
        self.front(&self.base().await?, until, usize::MAX).await
    }

    /// The first records that end with this line or before it, so many at most.
    async fn front(&self, base: &Base, until: u64, most: usize) -> Result<Option<Front>, VaultError> {
        let until = until.to_be_bytes();
        let (mut keys, mut last) = (Vec::new(), None);
        let mut after = base.seq.to_be_bytes().to_vec();
        loop {
            let asked = PAGE.min(most - keys.len());
            let page = self.0.records.scan(Owner::Deployment, Space::Audit, Some(&after), asked).await?;
            let before = keys.len();
            for (key, text) in page.into_iter().take_while(|(key, _)| key.as_slice() <= until.as_slice()) {
                after.clone_from(&key);
                keys.push(key);
                last = Some(text);
            }
            if keys.len() < before + PAGE {
                break;
            }
        }
        let Some(line) = last.as_deref().and_then(|text| text.rsplit(|byte| *byte == b'\n').next()) else {
            return Ok(None);
        };
        let line: Line = serde_json::from_slice(line).map_err(|_| LINE)?;
        Ok(Some(Front { keys, base: Base::behind(&line, &self.0.signer) }))
    }

    /// Cuts off the first records that end with this line or before it, so many
    /// at most. Gives the new base; none where there are none, or where another
    /// replica was faster.
    pub(super) async fn cut(&self, old: &Base, until: u64, most: usize) -> Result<Option<Base>, VaultError> {
        // Nobody appends meanwhile, which may cut too.
        let _head = self.0.head.lock().await;
        let Some(Front { keys, base }) = self.front(old, until, most).await? else { return Ok(None) };
        let text = |base: &Base| serde_json::to_vec(base).map_err(|_| DAMAGED);
        let (old_text, new_text) = (text(old)?, text(&base)?);
        let expected = if old.seq == 0 { Expected::Absent } else { Expected::Unchanged(&old_text) };
        let mut changes = vec![change(Space::Checkpoint, BASE, expected, Some(&new_text))];
        changes.extend(keys.iter().map(|key| change(Space::Audit, key, Expected::Anything, None)));
        Ok(self.0.records.write(&changes, None).await?.then_some(base))
    }

    async fn write(
        &self,
        old: &Link,
        new: &Link,
        written: &[([u8; 8], Vec<u8>)],
        outlived: Option<&Front>,
    ) -> Result<bool, VaultError> {
        let text = |link: &Link| serde_json::to_vec(link).map_err(|_| DAMAGED);
        let (old_head, new_head) = (text(old)?, text(new)?);
        let base = outlived.map(|front| serde_json::to_vec(&front.base)).transpose().map_err(|_| DAMAGED)?;
        let expected = if old.seq == 0 { Expected::Absent } else { Expected::Unchanged(&old_head) };
        let removed = outlived.into_iter().flat_map(|front| &front.keys);
        let mut changes = vec![change(Space::Checkpoint, HEAD, expected, Some(&new_head))];
        changes.extend(written.iter().map(|(key, lines)| change(Space::Audit, key, Expected::Absent, Some(lines))));
        changes.extend(removed.map(|key| change(Space::Audit, key, Expected::Anything, None)));
        changes.extend(base.iter().map(|base| change(Space::Checkpoint, BASE, Expected::Anything, Some(base))));
        self.0.records.write(&changes, None).await
    }

    pub(super) fn records(&self) -> &Records {
        &self.0.records
    }

    /// Lines behind the one with this number.
    pub(super) async fn page(&self, after: u64, limit: usize) -> Result<Vec<Line>, VaultError> {
        let read = |(_, text): ([u8; 8], Vec<u8>)| serde_json::from_slice(&text).map_err(|_| LINE);
        self.raw(after, limit).await?.into_iter().map(read).collect()
    }

    /// The number of the last of so many lines behind the one with this number,
    /// and those of them that are not the gateway's own, which are few of many.
    /// What this process wrote itself need not be read for that.
    pub(super) async fn looks(&self, after: u64, limit: usize) -> Result<(u64, Vec<Line>), VaultError> {
        let own = self.0.own.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if own.contains(&after) && after < *own.end() {
            return Ok((*own.end(), Vec::new()));
        }
        let lines = self.raw(after, limit).await?;
        let last = lines.last().map_or(after, |(seq, _)| u64::from_be_bytes(*seq));
        // No text in a line is written so: its quotes would be escaped.
        let own = memmem::Finder::new(br#","actor":"gateway","#);
        let others = lines.iter().filter(|(_, text)| own.find(text).is_none());
        let read = others.map(|(_, text)| serde_json::from_slice(text).map_err(|_| LINE));
        Ok((last, read.collect::<Result<_, _>>()?))
    }

    /// Lines as they are stored, by their numbers.
    pub(super) async fn raw(&self, after: u64, limit: usize) -> Result<Written, VaultError> {
        let mut lines = self.whole(after, limit).await?;
        lines.retain(|(seq, _)| u64::from_be_bytes(*seq) > after);
        lines.truncate(limit);
        Ok(lines)
    }

    /// The lines of whole records from the one in which that behind `after` is
    /// on, at least `limit` if there are as many, with the numbers that they
    /// have by the places of the records.
    pub(super) async fn whole(&self, after: u64, limit: usize) -> Result<Written, VaultError> {
        let (mut lines, mut from) = (Written::new(), after.to_be_bytes());
        while lines.len() < limit {
            let asked = PAGE.min(limit - lines.len());
            let page = self.0.records.scan(Owner::Deployment, Space::Audit, Some(&from), asked).await?;
            let is_last = page.len() < asked;
            for (key, text) in page {
                from = key.try_into().map_err(|_| LINE)?;
                let texts: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
                let before = u64::from_be_bytes(from).wrapping_sub(texts.len() as u64);
                let numbers = (1..).map(|nth| before.wrapping_add(nth).to_be_bytes());
                lines.extend(numbers.zip(texts.into_iter().map(<[u8]>::to_vec)));
            }
            if is_last {
                break;
            }
        }
        Ok(lines)
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
