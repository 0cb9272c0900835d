//! A disk that fails at its n-th call, for every n; files that a crash or
//! somebody else changed. Each test counts that its faults came.

use super::*;
use std::sync::Mutex;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// With an error, and nothing is done.
    Error,
    /// Half of what was to be written is, and then there is an error.
    Short,
    /// All of it is done, and there is an error all the same.
    Late,
}

/// Counts its calls; one of them fails.
#[derive(Debug)]
struct Frail {
    file: FileBackend,
    plan: Arc<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    calls: AtomicUsize,
    reads: AtomicUsize,
    fail: Mutex<Option<(usize, Fault)>>,
    failed: AtomicUsize,
}

impl Plan {
    /// The next calls count from 0; the n-th fails so.
    fn fail(&self, n: usize, fault: Fault) {
        self.calls.store(0, Ordering::SeqCst);
        *self.fail.lock().unwrap() = Some((n, fault));
    }

    fn next(&self) -> Option<Fault> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let mut fail = self.fail.lock().unwrap();
        let (_, fault) = fail.filter(|(n, _)| *n == call)?;
        *fail = None;
        self.failed.fetch_add(1, Ordering::SeqCst);
        Some(fault)
    }

    fn call(&self, half: impl FnOnce() -> io::Result<()>, whole: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let error = || Err(io::Error::from(io::ErrorKind::Other));
        match self.next() {
            None => whole(),
            Some(Fault::Error) => error(),
            Some(Fault::Short) => half().and_then(|()| error()),
            Some(Fault::Late) => whole().and_then(|()| error()),
        }
    }
}

impl StorageBackend for Frail {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.plan.reads.fetch_add(1, Ordering::SeqCst);
        match self.plan.next() {
            Some(_) => Err(io::ErrorKind::Other.into()),
            None => self.file.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.plan.call(|| Ok(()), || self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.plan.call(|| Ok(()), || self.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.plan.call(|| self.file.write(offset, &data[..data.len() / 2]), || self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
        self.file.try_lock_range(start, end)
    }
}

fn frail(path: PathBuf, plan: &Arc<Plan>) -> Result<Embedded, StoreError> {
    let plan = Arc::clone(plan);
    let open = move || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        database(Frail { file: FileBackend::new(file)?, plan: Arc::clone(&plan) }, 1 << 16)
    };
    Embedded::with_file(File::open(Box::new(open))?)
}

async fn assert_stored(store: &Embedded, stored: &[u64]) {
    for n in stored {
        let (token, record) = batch(*n).mappings.remove(0);
        assert_eq!(store.mappings(ROW, &[token]).await.unwrap(), [Some(record)], "mapping {n}");
    }
}

#[tokio::test]
async fn any_call_may_fail_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let plan = Arc::new(Plan::default());
    let (mut stored, mut n, mut refused) = (Vec::new(), 0, 0);
    let mut store = frail(path.clone(), &plan).unwrap();
    for fault in [Fault::Error, Fault::Short, Fault::Late] {
        for call in 0..60 {
            plan.fail(call, fault);
            for _ in 0..4 {
                n += 1;
                match store.put(batch(n)).await {
                    Ok(outcome) => {
                        assert_eq!(outcome, Outcome::Stored);
                        stored.push(n);
                    }
                    // Whether it stands is not known, and the caller is told so.
                    Err(error) => {
                        assert!(matches!(error, StoreError::Unavailable { .. }), "{fault:?} {call}: {error:?}");
                        refused += 1;
                    }
                }
            }
            plan.fail(usize::MAX, fault);
            assert_stored(&store, &stored[stored.len().saturating_sub(20)..]).await;
            if call % 20 == 19 {
                // What stands in the file is all there is.
                store.close().await.unwrap();
                store = frail(path.clone(), &plan).unwrap();
                assert_stored(&store, &stored).await;
            }
        }
    }
    let failed = plan.failed.load(Ordering::SeqCst);
    assert!(failed >= 100 && refused > 50, "{failed} faults came, {refused} requests were refused");
}

#[tokio::test]
async fn a_call_may_fail_while_the_file_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let plan = Arc::new(Plan::default());
    let store = frail(path.clone(), &plan).unwrap();
    let stored: Vec<u64> = (1..=300).collect();
    for n in &stored {
        store.put(batch(*n)).await.unwrap();
    }
    // The image of a crash: the file as it is while it is open.
    let image = std::fs::read(&path).unwrap();
    store.close().await.unwrap();
    let mut refused = 0;
    for call in 0..40 {
        std::fs::write(&path, &image).unwrap();
        plan.fail(call, Fault::Error);
        match frail(path.clone(), &plan) {
            Ok(store) => assert_stored(&store, &stored).await,
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::Corrupt { .. }), "{error:?}");
                refused += 1;
            }
        }
        // The next opening does.
        plan.fail(usize::MAX, Fault::Error);
        assert_stored(&frail(path.clone(), &plan).unwrap(), &stored).await;
    }
    assert!(refused > 3, "{refused} openings failed");
}

#[tokio::test]
async fn opening_after_a_crash_takes_as_much_at_every_size() {
    let mut reads = Vec::new();
    for size in [2_000_u64, 40_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let plan = Arc::new(Plan::default());
        let store = frail(path.clone(), &plan).unwrap();
        for n in 0..size / 500 {
            let mappings = (0..500).map(|m| batch(n * 500 + m + 1).mappings.remove(0)).collect();
            store.put(Batch { mappings, ..batch(1) }).await.unwrap();
        }
        let image = std::fs::read(&path).unwrap();
        store.close().await.unwrap();
        std::fs::write(&path, &image).unwrap();
        plan.reads.store(0, Ordering::SeqCst);
        let store = frail(path.clone(), &plan).unwrap();
        reads.push((image.len(), plan.reads.load(Ordering::SeqCst)));
        assert_stored(&store, &[1, size / 2, size]).await;
    }
    let [(small, few), (large, many)] = *reads else { panic!("two sizes") };
    assert!(large > 8 * small, "the second file is larger: {reads:?}");
    assert!(many < 2 * few + 20, "bytes and reads: {reads:?}");
}

#[tokio::test]
async fn a_torn_page_never_gives_a_wrong_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let plan = Arc::new(Plan::default());
    let store = frail(path.clone(), &plan).unwrap();
    let stored: Vec<u64> = (1..=200).collect();
    for n in &stored[..199] {
        store.put(batch(*n)).await.unwrap();
    }
    let before = std::fs::read(&path).unwrap();
    store.put(batch(200)).await.unwrap();
    let after = std::fs::read(&path).unwrap();
    store.close().await.unwrap();
    // Of the pages that the last commit wrote, one reached the disk by half.
    let page_of = |file: &[u8], page: usize| file.get(page * 4096..(page + 1) * 4096).map(<[u8]>::to_vec);
    let changed: Vec<usize> =
        (0..after.len() / 4096).filter(|page| page_of(&before, *page) != page_of(&after, *page)).collect();
    assert!(changed.len() > 2, "{changed:?}");
    let (mut noticed, mut right) = (0, 0);
    for page in &changed {
        let half = page * 4096 + 2048..(page + 1) * 4096;
        let mut torn = after.clone();
        match before.get(half.clone()) {
            Some(old) => torn[half].copy_from_slice(old),
            None => torn[half].fill(0),
        }
        std::fs::write(&path, torn).unwrap();
        let Ok(store) = frail(path.clone(), &plan) else {
            noticed += 1;
            continue;
        };
        for n in &stored {
            let (token, record) = batch(*n).mappings.remove(0);
            match store.mappings(ROW, &[token]).await {
                Ok(found) if found == [Some(record)] => right += 1,
                Ok(found) => assert_eq!(found, [None], "page {page}, mapping {n}"),
                Err(_) => noticed += 1,
            }
        }
    }
    assert!(right > 0 && noticed + right > changed.len(), "{noticed} noticed, {right} right");
}
