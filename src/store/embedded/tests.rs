mod faults;

use super::file::database;
use super::*;
use crate::store::suite;
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    let count = AtomicUsize::new(0);
    suite::run(|| async {
        let folder = folder.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
        Embedded::open(&folder, 1 << 20).unwrap()
    })
    .await;
}

/// A disk with `room` for some more writes and syncs, which then is full.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    room: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Disk {
    fn take_room(&self) -> io::Result<()> {
        let taken = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(1));
        taken.map(drop).map_err(|_| {
            self.refused.fetch_add(1, Ordering::SeqCst);
            io::ErrorKind::StorageFull.into()
        })
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.take_room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.take_room()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.take_room()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
        self.file.try_lock_range(start, end)
    }
}

fn on(path: PathBuf, room: &Arc<AtomicUsize>, refused: &Arc<AtomicUsize>) -> Embedded {
    let (room, refused) = (Arc::clone(room), Arc::clone(refused));
    let open = move || {
        // A disk that is full for good does not even let the file be opened.
        if room.load(Ordering::SeqCst) == 0 {
            refused.fetch_add(1, Ordering::SeqCst);
            return Err(redb::Error::Io(io::ErrorKind::StorageFull.into()));
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let (room, refused) = (Arc::clone(&room), Arc::clone(&refused));
        database(Disk { file: FileBackend::new(file)?, room, refused }, 1 << 20)
    };
    Embedded::with_file(File::open(Box::new(open)).unwrap()).unwrap()
}

const ROW: Row = Row { tenant: [1; 8], subject: [1; 16] };

fn batch(n: u64) -> Batch {
    let token = Token::new("EMAIL".parse().unwrap(), n);
    let record = vec![n as u8; 100];
    Batch {
        row: ROW,
        subject: b"keys".as_slice().into(),
        first_contact: true,
        mappings: vec![(token, record)],
        found_by: Vec::new(),
        is_told: false,
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_heals() {
    let folder = tempfile::tempdir().unwrap();
    let (room, refused) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicUsize::new(0)));
    let store = on(folder.path().join("db"), &room, &refused);
    let mut stored = Vec::new();
    let mut n = 0;
    // The disk fills up at every point of a commit in turn.
    for writes in 0..40 {
        room.store(writes, Ordering::SeqCst);
        for _ in 0..3 {
            n += 1;
            match store.put(batch(n)).await {
                Ok(outcome) => {
                    assert_eq!(outcome, Outcome::Stored);
                    stored.push(n);
                }
                Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}"),
            }
        }
        let _ = store.probe().await;
        room.store(usize::MAX, Ordering::SeqCst);
        if writes % 2 == 0 {
            // Reading heals as well as writing.
            assert!(store.subject(ROW).await.unwrap().is_some() || stored.is_empty());
        }
        n += 1;
        assert_eq!(store.put(batch(n)).await.unwrap(), Outcome::Stored, "with room again it works again");
        store.probe().await.unwrap();
        stored.push(n);
        for n in &stored {
            let (token, record) = batch(*n).mappings.remove(0);
            assert_eq!(store.mappings(ROW, &[token]).await.unwrap(), [Some(record)]);
        }
    }
    assert!(refused.load(Ordering::SeqCst) > 40, "the disk was full");
}

#[tokio::test]
async fn requests_that_wait_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (room, refused) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicUsize::new(0)));
    let store = Arc::new(on(folder.path().join("db"), &room, &refused));
    store.put(batch(0)).await.unwrap();
    let before = room.load(Ordering::SeqCst);
    store.put(batch(1)).await.unwrap();
    let one = before - room.load(Ordering::SeqCst);
    let before = room.load(Ordering::SeqCst);
    let puts: Vec<_> = (100..200).map(|n| store.put(batch(n))).collect();
    for outcome in futures_util::future::join_all(puts).await {
        assert_eq!(outcome.unwrap(), Outcome::Stored);
    }
    let hundred = before - room.load(Ordering::SeqCst);
    assert!(hundred < 10 * one, "{hundred} writes and syncs for 100 requests, {one} for one");
}

#[tokio::test]
async fn a_request_is_carried_out_though_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), 1 << 20).unwrap();
    {
        let mut put = store.put(batch(1));
        // Polled once, so that it is queued, and dropped.
        let _ = futures_util::poll!(&mut put);
    }
    store.probe().await.unwrap();
    let (token, record) = batch(1).mappings.remove(0);
    assert_eq!(store.mappings(ROW, &[token]).await.unwrap(), [Some(record)]);
    store.close().await.unwrap();
    assert!(store.put(batch(2)).await.is_err());
    assert!(store.subject(ROW).await.is_err());
    store.close().await.unwrap();
}
