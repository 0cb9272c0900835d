//! An erased subject: nothing of it opens any more, nothing brings its keys
//! back, and it can come again as if it were new. And what `verify` sees.

use super::*;

async fn setting() -> (Vault, Arc<Spy>, Key) {
    let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
    (replica(&spy, &key, Options::default(), 35).await, spy, key)
}

fn mixed() -> Vec<(Entity, &'static str)> {
    vec![(entity("EMAIL"), "a@b.c"), (entity("HEALTH"), "asthma")]
}

#[tokio::test]
async fn nothing_is_left_of_an_erased_subject_and_others_stay() {
    let (vault, spy, _) = setting().await;
    let values = mixed();
    let (ana, ben) = (vault.subject("t", "ana").await.unwrap(), vault.subject("t", "ben").await.unwrap());
    let (old, others) = (ana.tokenize(&values).await.unwrap(), ben.tokenize(&values).await.unwrap());
    let standing: &Standing<'_> = &|_| Box::pin(async { vec![false; 64] });
    ana.mint_surrogates(&[(entity("PERSON"), "Ana Berg")], standing).await.unwrap();
    for n in 0..200 {
        vault.link("t", &format!("resp_{n}"), "ana").await.unwrap();
    }
    vault.link("t", "of-ben", "ben").await.unwrap();
    let mut told = vault.subscribe();

    let row = vault.row("t", "ana");
    let erased = vault.erase("t", "ana").await.unwrap();
    assert_eq!(erased.links, 200);
    assert!(erased.values >= 3, "{erased:?}");
    assert_eq!(told.recv().await.unwrap(), Event { row, kind: crate::store::EventKind::Erased });
    // At a handle that was there before, and at a new one.
    for subject in [ana.clone(), vault.subject("t", "ana").await.unwrap()] {
        assert_eq!(old.iter().map(|token| subject.cached(token)).collect::<Vec<_>>(), [None, None]);
        assert_eq!(subject.restore(&old).await.unwrap(), [None, None]);
        assert!(subject.kinds().await.unwrap().is_empty());
        assert!(subject.surrogates().await.unwrap().matcher(standing).await.is_none());
    }
    assert_eq!(vault.linked("t", "resp_7").await.unwrap(), None);
    assert_eq!(vault.linked("t", "of-ben").await.unwrap().unwrap().expose(), "ben");
    let found = vault.verify(Owner::Subject { tenant: "t", subject: "ana" }).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(spy.memory.subject(row).await.unwrap(), None);
    assert_restores(&ben, &others, &values).await;

    // It comes again as somebody new.
    let new = ana.tokenize(&values).await.unwrap();
    assert!(new.iter().all(|token| !old.contains(token)));
    assert_restores(&ana, &new, &values).await;
    assert_eq!(ana.restore(&old).await.unwrap(), [None, None]);
    assert_eq!(vault.erase("t", "nobody").await.unwrap(), Erased { values: 0, links: 0 });
}

#[tokio::test]
async fn a_copy_of_its_rows_does_not_open() {
    let (vault, spy, key) = setting().await;
    let subject = vault.subject("t", "ana").await.unwrap();
    let tokens = subject.tokenize(&mixed()).await.unwrap();
    let row = vault.row("t", "ana");
    let record = spy.memory.subject(row).await.unwrap().unwrap();
    let copies = spy.memory.page(row, None, 9).await.unwrap();
    vault.erase("t", "ana").await.unwrap();
    // Somebody puts the values back, of which the keys were destroyed.
    let again = subject.tokenize(&emails(&["x@y.z"])).await.unwrap();
    let standing = spy.memory.subject(row).await.unwrap().unwrap();
    let batch = crate::store::Batch {
        row,
        subject: standing.into(),
        first_contact: false,
        mappings: copies,
        found_by: Vec::new(),
        is_told: false,
    };
    assert_eq!(spy.memory.put(batch).await.unwrap(), crate::store::Outcome::Stored);
    assert!(subject.restore(&tokens).await.is_err());
    let found = vault.verify(Owner::Subject { tenant: "t", subject: "ana" }).await.unwrap();
    assert_eq!((found.subjects, found.values), (Count { good: 1, bad: 0 }, Count { good: 1, bad: 2 }));
    assert_restores(&subject, &again, &emails(&["x@y.z"])).await;

    // The keys too, from a backup, after the deployment's key was changed.
    vault.rotate(NewKeys { key: Some(Key::generate()), sensitive: None }, &mut |_| {}).await.unwrap();
    spy.memory.set_subject(row, record);
    let found = vault.verify(Owner::Deployment).await.unwrap();
    assert_eq!((found.subjects, found.values), (Count { good: 0, bad: 1 }, Count { good: 0, bad: 3 }));
    assert!(Vault::over(Arc::new(Arc::clone(&spy)), key.into(), SMALL, TOKEN_BITS).await.is_err());
}

#[tokio::test]
async fn a_first_contact_on_its_way_does_not_bring_keys_back() {
    let (vault, spy, _) = setting().await;
    let values = mixed();
    let call = || {
        let vault = vault.clone();
        let values = mixed();
        tokio::spawn(async move { vault.subject("t", "ana").await.unwrap().tokenize(&values).await.unwrap() })
    };
    // The first is about to write, the second waits for it with the same keys.
    let held = vault.subject("t", "ana").await.unwrap();
    spy.allow(0);
    let (first, second) = (call(), call());
    tokio::time::sleep(Duration::from_millis(20)).await;
    let erase = tokio::spawn({
        let vault = vault.clone();
        async move { vault.erase("t", "ana").await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    spy.allow(1000);
    let (first, second, erased) = (first.await.unwrap(), second.await.unwrap(), erase.await.unwrap());
    let now = held.tokenize(&values).await.unwrap();
    let known = held.restore(&first).await.unwrap();
    if erased.values > 0 {
        // The erasure came behind the first: its tokens are unknown, and
        // whatever was written later is under other keys.
        assert_eq!(known, [None, None]);
        assert_ne!(now, first);
    }
    assert!(now == second || held.restore(&second).await.unwrap() == [None, None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_minted_before_an_erasure_is_unknown_after_it() {
    let (vault, _, _) = setting().await;
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let traffic: Vec<_> = (0..4)
        .map(|n| {
            let (vault, is_over) = (vault.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut i = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let subject = vault.subject("t", "ana").await.unwrap();
                    let name = format!("{}@example.org", (i + n) % 7);
                    let tokens = subject.tokenize(&emails(&[&name])).await.unwrap();
                    let _ = subject.restore(&tokens).await.unwrap();
                    i += 1;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let subject = vault.subject("t", "ana").await.unwrap();
    for _ in 0..100 {
        let values = emails(&["0@example.org", "1@example.org"]);
        let before = subject.tokenize(&values).await.unwrap();
        vault.erase("t", "ana").await.unwrap();
        assert_eq!(before.iter().map(|token| subject.cached(token)).collect::<Vec<_>>(), [None, None]);
        assert_eq!(subject.restore(&before).await.unwrap(), [None, None]);
        let after = subject.tokenize(&values).await.unwrap();
        assert!(after.iter().all(|token| !before.contains(token)));
    }
    is_over.store(true, Ordering::Relaxed);
    for task in traffic {
        task.await.unwrap();
    }
    assert!(vault.verify(Owner::Deployment).await.unwrap().holds());
}

#[tokio::test]
async fn a_subject_whose_record_is_damaged_can_be_erased() {
    let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
    let vault = replica(&spy, &key, SMALL, 35).await;
    vault.subject("t", "ana").await.unwrap().tokenize(&mixed()).await.unwrap();
    spy.memory.set_subject(vault.row("t", "ana"), vec![9; 50]);
    let cold = replica(&spy, &key, SMALL, 35).await;
    assert!(cold.subject("t", "ana").await.is_err());
    assert_eq!(cold.erase("t", "ana").await.unwrap().values, 2);
    assert!(cold.verify(Owner::Subject { tenant: "t", subject: "ana" }).await.unwrap().is_empty());
}

#[tokio::test]
async fn verify_sees_each_changed_byte() {
    let (vault, spy, _) = setting().await;
    for name in ["ana", "ben"] {
        vault.subject("t", name).await.unwrap().tokenize(&mixed()).await.unwrap();
    }
    let whole = vault.verify(Owner::Deployment).await.unwrap();
    assert_eq!((whole.subjects, whole.values), (Count { good: 2, bad: 0 }, Count { good: 4, bad: 0 }));
    assert!(whole.holds());
    assert_eq!(vault.verify(Owner::Tenant("t")).await.unwrap(), whole);
    assert!(vault.verify(Owner::Tenant("u")).await.unwrap().is_empty());

    let row = vault.row("t", "ana");
    let record = spy.memory.subject(row).await.unwrap().unwrap();
    for i in 0..record.len() {
        let mut bent = record.clone();
        bent[i] ^= 0x40;
        spy.memory.set_subject(row, bent);
        let found = vault.verify(Owner::Deployment).await.unwrap();
        assert_eq!((found.subjects, found.values), (Count { good: 1, bad: 1 }, Count { good: 2, bad: 2 }), "byte {i}");
        assert!(!found.holds());
    }
    spy.memory.set_subject(row, record);
    for (token, record) in spy.memory.page(row, None, 9).await.unwrap() {
        for i in 0..record.len() {
            let mut bent = record.clone();
            bent[i] ^= 0x40;
            assert!(spy.memory.swap_mapping(row, token, record.clone(), bent.clone()).await.unwrap());
            let found = vault.verify(Owner::Subject { tenant: "t", subject: "ana" }).await.unwrap();
            assert_eq!(found.values, Count { good: 1, bad: 1 }, "byte {i} of {token:?}");
            assert!(spy.memory.swap_mapping(row, token, bent, record.clone()).await.unwrap());
        }
    }
    assert_eq!(vault.verify(Owner::Deployment).await.unwrap(), whole);
}

#[tokio::test]
async fn stats_count_and_stay_the_same() {
    let (vault, _, key) = setting().await;
    vault.subject("t", "ana").await.unwrap().tokenize(&mixed()).await.unwrap();
    vault.subject("t", "ben").await.unwrap().tokenize(&emails(&["a", "b"])).await.unwrap();
    let stats = vault.stats().await.unwrap();
    assert_eq!(stats.subjects, 2);
    assert_eq!(stats.tokens, [(entity("EMAIL"), 3), (entity("HEALTH"), 1)].into());
    assert_eq!((stats.key, stats.former_key, stats.surrogates), (Some(key.id()), None, 0));
    assert_eq!(vault.stats().await.unwrap(), stats);

    let memory = in_memory().await;
    memory.subject("t", "ana").await.unwrap().tokenize(&mixed()).await.unwrap();
    let stats = memory.stats().await.unwrap();
    assert_eq!((stats.subjects, stats.key), (1, None));
    assert_eq!(stats.tokens, [(entity("EMAIL"), 1), (entity("HEALTH"), 1)].into());
}

#[tokio::test]
async fn a_vault_in_memory_forgets_links_with_their_subject() {
    let vault = in_memory().await;
    let subject = vault.subject("t", "ana").await.unwrap();
    let tokens = subject.tokenize(&mixed()).await.unwrap();
    vault.link("t", "resp_1", "ana").await.unwrap();
    assert_eq!(vault.erase("t", "ana").await.unwrap(), Erased { values: 2, links: 1 });
    assert_eq!(subject.restore(&tokens).await.unwrap(), [None, None]);
    assert_eq!(vault.linked("t", "resp_1").await.unwrap(), None);
}
