//! Conversations without persons, for analysis: redacted beyond recovery, kept
//! for one purpose and for a time.
//!
//! They wait in a bounded queue and are written beside the exchange, which
//! never waits for them: where the queue is full they are dropped and counted.
//! A transcript names nobody. That counts can be of persons and not of
//! messages, it holds a number that stands for the person on that day and in
//! that process alone: a hash under a key that is forgotten every night.

pub mod counts;
mod files;

use crate::clock::Time;
use crate::config::{self, TranscriptPlace};
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, Records, Vault};
use aws_lc_rs::rand;
use files::Files;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hasher as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How many transcripts wait to be written.
const QUEUE: usize = 256;
/// How many are written at once.
const BATCH: usize = 64;
/// How often old ones are removed.
const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// How many old records one look removes.
const SWEEP: usize = 1_000;

/// One request and its reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// The day; nothing more exact, by which somebody could be told.
    pub day: String,
    /// The purpose that it is kept for.
    pub purpose: String,
    /// The route, by its path in the configuration.
    pub route: String,
    /// Stands for the person on this day.
    pub person: String,
    /// How often what was replaced.
    pub entities: BTreeMap<String, u32>,
    /// What was said.
    pub request: String,
    /// What was answered.
    pub reply: String,
}

/// Takes transcripts. Clones share the queue.
#[derive(Clone)]
pub struct Sink {
    queue: mpsc::Sender<Transcript>,
    key: Arc<Mutex<DayKey>>,
    max_bytes: usize,
}

/// The key of a day's numbers of persons.
struct DayKey {
    day: String,
    key: [u8; 16],
}

/// Writes what the sinks take.
pub struct Writer {
    queue: mpsc::Receiver<Transcript>,
    place: Place,
    keep: Duration,
}

enum Place {
    Files(Files),
    Records { records: Records, tenant: String },
}

/// A sink and its writer, as the configuration says.
///
/// # Errors
///
/// Where the folder cannot be made.
pub fn open(config: &config::Transcripts, vault: &Vault, tenant: &str) -> io::Result<(Sink, Writer)> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let place = match &config.to {
        TranscriptPlace::Folder(folder) => Place::Files(Files::open(folder, config.file_bytes)?),
        TranscriptPlace::Vault => Place::Records { records: vault.records().clone(), tenant: tenant.to_owned() },
    };
    let key = Arc::new(Mutex::new(DayKey { day: String::new(), key: [0; 16] }));
    let sink = Sink { queue: sender, key, max_bytes: config.max_bytes };
    Ok((sink, Writer { queue: receiver, place, keep: config.retention }))
}

impl Sink {
    /// Takes a transcript, unless the queue is full; says whether it did.
    pub fn take(&self, transcript: Transcript) -> bool {
        self.queue.try_send(transcript).is_ok()
    }

    /// How many bytes of a request, and of a reply, are kept at most.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The number of a person on a day; none without random numbers.
    pub fn person(&self, day: &str, subject: &str) -> Option<String> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if key.day != day {
            rand::fill(&mut key.key).ok()?;
            day.clone_into(&mut key.day);
        }
        let mut hasher = SipHasher24::new_with_key(&key.key);
        hasher.write(subject.as_bytes());
        Some(format!("{:016x}", hasher.finish()))
    }
}

impl Writer {
    /// Writes until no sink is left. `lost` gets the number of those that could
    /// not be written.
    pub async fn run(mut self, lost: impl Fn(u64)) {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                count = self.queue.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    let written = self.write(std::mem::take(&mut batch)).await;
                    if let Err(why) = written {
                        tracing::error!(why, "Transcripts cannot be written.");
                        lost(count as u64);
                    }
                }
                _ = sweep.tick() => {
                    if let Err(why) = self.sweep().await {
                        tracing::error!(why, "Old transcripts cannot be removed.");
                    }
                }
            }
        }
    }

    async fn write(&mut self, batch: Vec<Transcript>) -> Result<(), String> {
        match &mut self.place {
            Place::Files(files) => {
                let files = files.clone();
                let written = tokio::task::spawn_blocking(move || files.write(&batch));
                written.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            }
            Place::Records { records, tenant } => {
                let now = Time::now().0.to_be_bytes();
                let mut lines = Vec::with_capacity(batch.len());
                for transcript in &batch {
                    let mut id = [0; 8];
                    rand::fill(&mut id).map_err(|_| "no random numbers".to_owned())?;
                    let body = serde_json::to_vec(transcript).map_err(|error| error.to_string())?;
                    lines.push(([&now[..], &id].concat(), body));
                }
                let change = |(key, body)| RecordChange {
                    owner: Owner::Tenant(tenant),
                    space: Space::Transcript,
                    key,
                    expected: Expected::Anything,
                    value: Some(body),
                };
                let changes: Vec<_> =
                    lines.iter().map(|(key, body)| change((key.as_slice(), body.as_slice()))).collect();
                records.write(&changes, None).await.map(|_| ()).map_err(|error| error.to_string())
            }
        }
    }

    /// Removes what is over its time.
    async fn sweep(&self) -> Result<(), String> {
        let before = Time(Time::now().0.saturating_sub(self.keep.as_secs()));
        match &self.place {
            Place::Files(files) => {
                let files = files.clone();
                let swept = tokio::task::spawn_blocking(move || files.remove_before(&before.day()));
                swept.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            }
            Place::Records { records, tenant } => loop {
                let owner = Owner::Tenant(tenant);
                let page = records.scan(owner, Space::Transcript, None, SWEEP).await.map_err(|e| e.to_string())?;
                let is_old = |key: &[u8]| key.first_chunk().is_some_and(|at| u64::from_be_bytes(*at) < before.0);
                let remove = |(key, _): &(Vec<u8>, Vec<u8>)| key.clone();
                let old: Vec<_> = page.iter().take_while(|(key, _)| is_old(key)).map(remove).collect();
                let change = |key| {
                    let expected = Expected::Anything;
                    RecordChange { owner, space: Space::Transcript, key, expected, value: None }
                };
                let changes: Vec<_> = old.iter().map(|key| change(key.as_slice())).collect();
                records.write(&changes, None).await.map_err(|error| error.to_string())?;
                if changes.len() < SWEEP {
                    return Ok(());
                }
            },
        }
    }
}

/// Reads the transcripts of a folder, each line once.
pub fn read_folder(folder: &Path, each: impl FnMut(Transcript)) -> io::Result<()> {
    files::read(folder, each)
}

/// Reads the transcripts of a tenant that the vault keeps.
pub async fn read_vault(
    records: &Records,
    tenant: &str,
    mut each: impl FnMut(Transcript),
) -> Result<(), crate::vault::VaultError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = records.scan(Owner::Tenant(tenant), Space::Transcript, after.as_deref(), SWEEP).await?;
        page.iter().filter_map(|(_, body)| serde_json::from_slice(body).ok()).for_each(&mut each);
        match page.into_iter().next_back() {
            Some((last, _)) => after = Some(last),
            None => return Ok(()),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{Key, Options};

    fn transcript(day: &str, person: &str) -> Transcript {
        Transcript {
            day: day.into(),
            purpose: "analytics".into(),
            route: "/".into(),
            person: person.into(),
            entities: [("EMAIL".into(), 1)].into(),
            request: "I am at [EMAIL]".into(),
            reply: "Hello".into(),
        }
    }

    async fn vault() -> Vault {
        Vault::open(&"memory:".parse().unwrap(), Key::generate(), Options::default()).await.unwrap()
    }

    fn config(to: TranscriptPlace) -> config::Transcripts {
        let retention = Duration::from_hours(24 * 90);
        config::Transcripts { to, purpose: "analytics".into(), retention, max_bytes: 1_000, file_bytes: 4_096 }
    }

    #[tokio::test]
    async fn what_is_taken_is_written_wherever_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault().await;
        let today = Time::now().day();
        for to in [TranscriptPlace::Folder(folder.path().join("t")), TranscriptPlace::Vault] {
            let (sink, writer) = open(&config(to.clone()), &vault, "shop").unwrap();
            for n in 0..100 {
                assert!(sink.take(transcript(&today, &n.to_string())));
            }
            drop(sink);
            writer.run(|_| panic!("it is written")).await;
            let mut read = Vec::new();
            match &to {
                TranscriptPlace::Folder(folder) => read_folder(folder, |one| read.push(one.person)).unwrap(),
                TranscriptPlace::Vault => {
                    read_vault(vault.records(), "shop", |one| read.push(one.person)).await.unwrap();
                }
            }
            read.sort_by_key(|n| n.parse::<u32>().unwrap());
            assert_eq!(read, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn a_full_queue_delays_nobody() {
        let (sink, _writer) = open(&config(TranscriptPlace::Vault), &vault().await, "shop").unwrap();
        let taken = (0..QUEUE + 10).filter(|_| sink.take(transcript("2026-01-01", "x"))).count();
        assert_eq!(taken, QUEUE);
    }

    #[tokio::test]
    async fn a_person_has_another_number_every_day() {
        let (sink, _writer) = open(&config(TranscriptPlace::Vault), &vault().await, "shop").unwrap();
        let monday = sink.person("2026-01-05", "ana").unwrap();
        assert_eq!(sink.person("2026-01-05", "ana").unwrap(), monday);
        assert_ne!(sink.person("2026-01-05", "ben").unwrap(), monday);
        assert_ne!(sink.person("2026-01-06", "ana").unwrap(), monday);
        assert_ne!(sink.person("2026-01-05", "ana").unwrap(), monday, "the key is forgotten");
    }

    #[tokio::test]
    async fn old_ones_go_from_the_vault() {
        let vault = vault().await;
        let (_sink, writer) = open(&config(TranscriptPlace::Vault), &vault, "shop").unwrap();
        let old = (Time::now().0 - 91 * 86_400).to_be_bytes();
        let young = (Time::now().0 - 89 * 86_400).to_be_bytes();
        let body = serde_json::to_vec(&transcript("2026-01-01", "x")).unwrap();
        for key in [old, young] {
            let change = RecordChange {
                owner: Owner::Tenant("shop"),
                space: Space::Transcript,
                key: &key,
                expected: Expected::Anything,
                value: Some(&body),
            };
            vault.records().write(&[change], None).await.unwrap();
        }
        writer.sweep().await.unwrap();
        let left = vault.records().scan(Owner::Tenant("shop"), Space::Transcript, None, 9).await.unwrap();
        assert_eq!(left.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>(), [&young[..]]);
    }
}
