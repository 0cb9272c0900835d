//! The change of a key: no token changes, nothing is lost wherever it is cut,
//! and the old key opens nothing afterwards.

use super::*;

fn ignore(_: Progress) {}

fn with_health() -> Options {
    Options { sensitive: [entity("HEALTH")].into(), ..SMALL }
}

async fn opened(spy: &Arc<Spy>, keys: Keyring) -> Result<Vault, VaultError> {
    Vault::over(Arc::new(Arc::clone(spy)), keys, with_health(), TOKEN_BITS).await
}

fn to(key: &Key) -> NewKeys {
    NewKeys { key: Some(key.clone()), sensitive: None }
}

type Minted = Vec<(String, Vec<Token>)>;

const VALUES: [(&str, &str); 3] = [("EMAIL", "a@b.c"), ("HEALTH", "asthma"), ("PERSON", "Ana")];

fn values() -> Vec<(Entity, &'static str)> {
    VALUES.iter().map(|(name, value)| (entity(name), *value)).collect()
}

async fn mint(vault: &Vault, subjects: usize) -> Minted {
    let mut minted = Vec::new();
    for n in 0..subjects {
        let name = format!("s{n}");
        let subject = vault.subject("default", &name).await.unwrap();
        minted.push((name, subject.tokenize(&values()).await.unwrap()));
    }
    minted
}

/// All restore, and are minted again as they were.
async fn assert_kept(vault: &Vault, minted: &Minted) {
    for (name, tokens) in minted {
        let subject = vault.subject("default", name).await.unwrap();
        assert_restores(&subject, tokens, &values()).await;
        assert_eq!(subject.tokenize(&values()).await.unwrap(), *tokens);
    }
}

#[tokio::test]
async fn after_a_rotation_the_old_key_opens_nothing_and_no_token_has_changed() {
    let (old, new, spy) = (Key::generate(), Key::generate(), Arc::new(Spy::default()));
    let vault = opened(&spy, old.clone().into()).await.unwrap();
    let minted = mint(&vault, 300).await;
    let mut steps = 0;
    let rotated = vault.rotate(to(&new), &mut |_| steps += 1).await.unwrap();
    assert_eq!((rotated.from, rotated.to), (old.id(), new.id()));
    assert_eq!((rotated.done.wrapped, rotated.done.damaged), (300, 0));
    assert!(steps >= 3, "progress is told");
    assert_eq!(vault.key_id(), new.id());
    assert_kept(&vault, &minted).await;
    assert!(vault.verify(Owner::Deployment).await.unwrap().holds());

    let wrong = VaultError::WrongKey { vault: new.id(), given: old.id() };
    assert_eq!(opened(&spy, old.clone().into()).await.err(), Some(wrong));
    let again = opened(&spy, new.clone().into()).await.unwrap();
    assert_kept(&again, &minted).await;
    let root = root::Root::of(&old);
    for (row, record) in spy.memory.subjects(None, 1000).await.unwrap() {
        assert!(SubjectKeys::open_named(&root, row, record).is_err());
    }
    assert_eq!(again.rotate(to(&new), &mut ignore).await, Err(VaultError::SameKey { key: new.id() }));
    // Back again, as if it were another one.
    again.rotate(to(&old), &mut ignore).await.unwrap();
    assert_kept(&again, &minted).await;
}

#[tokio::test]
async fn a_rotation_that_is_cut_off_anywhere_goes_on() {
    let (old, new) = (Key::generate(), Key::generate());
    for cut in [0, 1, 2, 3, 50, 129, 130, 131, 200, 260, 301, 302, 303, 304, 305] {
        let spy = Arc::new(Spy::default());
        let vault = opened(&spy, old.clone().into()).await.unwrap();
        let minted = mint(&vault, 300).await;
        spy.rotation_writes.store(cut, Ordering::Relaxed);
        let cut_off = vault.rotate(to(&new), &mut ignore).await;
        spy.rotation_writes.store(usize::MAX, Ordering::Relaxed);
        drop(vault);
        let both = Keyring::new(old.clone()).with_others([new.clone()]);
        let vault = opened(&spy, both.clone()).await.unwrap();
        assert_kept(&vault, &minted).await;
        if cut_off.is_err() && cut > 0 && cut < 302 {
            // Neither key alone is enough, and a third one is not taken.
            let alone = opened(&spy, old.clone().into()).await.err();
            assert_eq!(alone, Some(VaultError::Rotating { missing: new.id() }), "{cut}");
            let alone = opened(&spy, new.clone().into()).await.err();
            assert_eq!(alone, Some(VaultError::Rotating { missing: old.id() }), "{cut}");
            let third = vault.rotate(to(&Key::generate()), &mut ignore).await;
            assert_eq!(third, Err(VaultError::RotatingTo { key: new.id() }), "{cut}");
        }
        if vault.key_id() != new.id() || vault.stats().await.unwrap().former_key.is_some() {
            vault.rotate(to(&new), &mut ignore).await.unwrap();
        }
        let vault = opened(&spy, new.clone().into()).await.unwrap();
        assert_kept(&vault, &minted).await;
        assert_eq!(vault.stats().await.unwrap().former_key, None, "{cut}");
        assert!(opened(&spy, old.clone().into()).await.is_err(), "{cut}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_mint_and_restore_while_the_key_is_changed() {
    let (old, new, spy) = (Key::generate(), Key::generate(), Arc::new(Spy::default()));
    let both = || Keyring::new(old.clone()).with_others([new.clone()]);
    let replicas = [opened(&spy, both()).await.unwrap(), opened(&spy, both()).await.unwrap()];
    let before = mint(&replicas[0], 200).await;
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let traffic: Vec<_> = (0..4)
        .map(|n| {
            let (vault, is_over) = (replicas[n % 2].clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let (mut minted, mut i) = (Minted::new(), 0);
                while !is_over.load(Ordering::Relaxed) || i < 50 {
                    let name = if i % 3 == 0 { format!("s{}", i % 200) } else { format!("n{n}-{i}") };
                    let subject = vault.subject("default", &name).await.unwrap();
                    let tokens = subject.tokenize(&values()).await.unwrap();
                    assert_restores(&subject, &tokens, &values()).await;
                    minted.push((name, tokens));
                    i += 1;
                    tokio::task::yield_now().await;
                }
                minted
            })
        })
        .collect();
    for round in 0..4 {
        let key = if round % 2 == 0 { &new } else { &old };
        // What one replica has dropped another may still hold.
        for vault in &replicas {
            vault.shared().envelope.give(|keys| keys.add(key.clone()));
        }
        replicas[0].rotate(to(key), &mut ignore).await.unwrap();
        replicas[1].shared().envelope.refresh().await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    let mut all = before;
    for task in traffic {
        all.extend(task.await.unwrap());
    }
    // 200 of before, and each of the four tasks mints at 50 times or more.
    assert!(all.len() >= 400, "{}", all.len());
    replicas[0].rotate(to(&new), &mut ignore).await.unwrap();
    let cold = opened(&spy, new.into()).await.unwrap();
    assert_kept(&cold, &all).await;
    assert!(cold.verify(Owner::Deployment).await.unwrap().holds());
}

#[tokio::test]
async fn replicas_know_by_which_keys_the_vault_is() {
    let (old, new, spy) = (Key::generate(), Key::generate(), Arc::new(Spy::default()));
    let both = || Keyring::new(old.clone()).with_others([new.clone()]);
    let replicas = [opened(&spy, both()).await.unwrap(), opened(&spy, both()).await.unwrap()];
    let in_use = |vault: &Vault| vault.keys_in_use().iter().map(Key::id).collect::<Vec<_>>();
    mint(&replicas[0], 3).await;
    let first = replicas[1].epoch();
    assert_eq!(in_use(&replicas[1]), [old.id()]);
    spy.rotation_writes.store(2, Ordering::Relaxed);
    replicas[0].rotate(to(&new), &mut ignore).await.unwrap_err();
    spy.rotation_writes.store(usize::MAX, Ordering::Relaxed);
    replicas[1].shared().envelope.refresh().await.unwrap();
    assert_eq!((in_use(&replicas[1]), replicas[1].epoch() > first), (vec![new.id(), old.id()], true));
    replicas[0].rotate(to(&new), &mut ignore).await.unwrap();
    replicas[1].shared().envelope.refresh().await.unwrap();
    for vault in &replicas {
        assert_eq!(in_use(vault), [new.id()]);
    }
}

#[tokio::test]
async fn a_replica_without_the_new_key_stops_and_loses_nothing() {
    let (old, new, spy) = (Key::generate(), Key::generate(), Arc::new(Spy::default()));
    let first = opened(&spy, old.clone().into()).await.unwrap();
    let behind = opened(&spy, old.clone().into()).await.unwrap();
    let minted = mint(&first, 3).await;
    first.rotate(to(&new), &mut ignore).await.unwrap();
    assert!(behind.subject("default", "s0").await.is_err(), "it cannot read what is sealed with the new key");
    assert_kept(&first, &minted).await;
}

#[tokio::test]
async fn the_key_of_the_second_layer_changes_by_itself_or_with_the_first() {
    let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
    let (apart, later, new) = (Key::generate(), Key::generate(), Key::generate());
    let vault = opened(&spy, key.clone().into()).await.unwrap();
    let minted = mint(&vault, 5).await;
    let sensitive = |id: &Key| NewKeys { key: None, sensitive: Some(id.clone()) };
    vault.rotate(sensitive(&apart), &mut ignore).await.unwrap();
    assert_eq!(vault.key_id(), key.id(), "the first stays");
    assert_kept(&vault, &minted).await;
    let missing = VaultError::WrongSensitiveKey { vault: apart.id() };
    assert_eq!(opened(&spy, key.clone().into()).await.err(), Some(missing));
    let keys = Keyring::new(key.clone()).with_sensitive(apart.clone());
    let vault = opened(&spy, keys).await.unwrap();
    vault.rotate(to(&new), &mut ignore).await.unwrap();
    let stats = vault.stats().await.unwrap();
    assert_eq!((stats.key, stats.sensitive_key), (Some(new.id()), Some(apart.id())), "what is apart stays");
    vault.rotate(sensitive(&later), &mut ignore).await.unwrap();
    assert_kept(&vault, &minted).await;
    let again = opened(&spy, Keyring::new(new).with_sensitive(later)).await.unwrap();
    assert_kept(&again, &minted).await;
}

#[tokio::test]
async fn without_a_new_key_that_of_the_process_is_meant() {
    let (old, new, spy) = (Key::generate(), Key::generate(), Arc::new(Spy::default()));
    let minted = mint(&opened(&spy, old.clone().into()).await.unwrap(), 3).await;
    let vault = opened(&spy, Keyring::new(new.clone()).with_others([old.clone()])).await.unwrap();
    assert_eq!(vault.key_id(), old.id());
    vault.rotate(NewKeys::default(), &mut ignore).await.unwrap();
    assert_eq!(vault.key_id(), new.id());
    assert_eq!(vault.rotate(NewKeys::default(), &mut ignore).await, Err(VaultError::SameKey { key: new.id() }));
    assert_kept(&opened(&spy, new.into()).await.unwrap(), &minted).await;
}

#[tokio::test]
async fn an_embedded_vault_rotates_and_its_files_show_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let url = VaultUrl::Embedded(folder.path().to_owned());
    let (old, new) = (Key::generate(), Key::generate());
    let vault = Vault::open(&url, old.clone(), with_health()).await.unwrap();
    let minted = mint(&vault, 40).await;
    vault.rotate(to(&new), &mut ignore).await.unwrap();
    assert_kept(&vault, &minted).await;
    vault.close().await;
    assert!(matches!(Vault::open(&url, old, SMALL).await, Err(VaultError::WrongKey { .. })));
    let vault = Vault::open(&url, new, with_health()).await.unwrap();
    assert_kept(&vault, &minted).await;
    vault.close().await;
}

/// A process writes the keys of a new subject, wrapped by a key that another
/// process changed meanwhile: before the change is over, or long after it.
#[tokio::test(start_paused = true)]
async fn who_is_held_up_while_the_key_is_changed_loses_nothing() {
    for is_written_before_the_end in [true, false] {
        let (old, new, spy) = (Key::generate(), Key::generate(), Arc::new(Spy::default()));
        spy.shared.store(true, Ordering::Relaxed);
        let both = || Keyring::new(old.clone()).with_others([new.clone()]);
        let (slow, quick) = (opened(&spy, both()).await.unwrap(), opened(&spy, both()).await.unwrap());
        let late = slow.subject("default", "late").await.unwrap();
        spy.allow(0);
        let minting = tokio::spawn(async move { late.tokenize(&values()).await });
        while spy.puts.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        if is_written_before_the_end {
            spy.gate.add_permits(1);
            tokio::task::yield_now().await;
        }
        quick.rotate(to(&new), &mut ignore).await.unwrap();
        // It has not heard of that, and knows that it has not heard of all.
        spy.is_behind.store(true, Ordering::Relaxed);
        spy.gate.add_permits(1000);
        let tokens = minting.await.unwrap().unwrap();
        spy.is_behind.store(false, Ordering::Relaxed);
        drop((slow, quick));
        let cold = opened(&spy, new.into()).await.unwrap();
        assert_kept(&cold, &vec![("late".to_owned(), tokens)]).await;
        assert!(cold.verify(Owner::Deployment).await.unwrap().holds());
    }
}

/// Of two processes that share a store, the one with the old key alone, and
/// the one that changes it.
async fn one_behind_and_one_that_rotates() -> (Arc<Spy>, Key, [Vault; 2]) {
    let (old, new, spy) = (Key::generate(), Key::generate(), Arc::new(Spy::default()));
    spy.shared.store(true, Ordering::Relaxed);
    let vaults = [opened(&spy, old.clone().into()).await.unwrap(), opened(&spy, old.into()).await.unwrap()];
    (spy, new, vaults)
}

fn rotated() -> store::News {
    let event = Event { row: Row::DEPLOYMENT, kind: store::EventKind::Rotated };
    store::News { events: vec![event], missed: false }
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_the_new_key_takes_nobody_new_in() {
    for has_heard in [true, false] {
        let (spy, new, [behind, first]) = one_behind_and_one_that_rotates().await;
        let (late, known) = (behind.subject("default", "late").await.unwrap(), mint(&first, 1).await);
        behind.subject("default", "s0").await.unwrap();
        first.rotate(to(&new), &mut ignore).await.unwrap();
        if has_heard {
            behind.shared().hear(rotated()).await;
        }
        spy.is_behind.store(!has_heard, Ordering::Relaxed);
        assert!(late.tokenize(&values()).await.is_err());
        let standing: &Standing<'_> = &|_| Box::pin(async { vec![false; 64] });
        assert!(late.mint_surrogates(&[(entity("PERSON"), "Ana Berg")], standing).await.is_err());
        assert_eq!(spy.memory.subject(first.row("default", "late")).await.unwrap(), None);
        spy.is_behind.store(false, Ordering::Relaxed);
        let cold = opened(&spy, new.clone().into()).await.unwrap();
        assert!(cold.verify(Owner::Deployment).await.unwrap().holds());
        assert_kept(&cold, &known).await;
        // It can still erase, and goes on once it has the key.
        assert_eq!(behind.erase("default", "s0").await.unwrap().values, 3);
        behind.shared().envelope.give(|keys| keys.add(new.clone()));
        let tokens = late.tokenize(&values()).await.unwrap();
        let cold = opened(&spy, new.into()).await.unwrap();
        assert_kept(&cold, &vec![("late".to_owned(), tokens)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_replica_without_the_new_key_wrote_too_late_does_not_stay() {
    for has_heard in [true, false] {
        let (spy, new, [behind, first]) = one_behind_and_one_that_rotates().await;
        let late = behind.subject("default", "late").await.unwrap();
        spy.allow(0);
        let minting = tokio::spawn(async move { late.tokenize(&values()).await });
        while spy.puts.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        first.rotate(to(&new), &mut ignore).await.unwrap();
        if has_heard {
            behind.shared().hear(rotated()).await;
        }
        spy.is_behind.store(!has_heard, Ordering::Relaxed);
        spy.gate.add_permits(1000);
        assert!(minting.await.unwrap().is_err());
        spy.is_behind.store(false, Ordering::Relaxed);
        let cold = opened(&spy, new.into()).await.unwrap();
        assert!(cold.verify(Owner::Deployment).await.unwrap().holds());
        let minted = mint(&cold, 1).await;
        let late = cold.subject("default", "late").await.unwrap().tokenize(&values()).await.unwrap();
        assert_kept(&cold, &[minted, vec![("late".to_owned(), late)]].concat()).await;
    }
}

/// What a process that ends at once wrote behind the last pass.
#[tokio::test(start_paused = true)]
async fn who_is_written_behind_the_last_pass_is_found() {
    use futures_util::FutureExt as _;
    let (spy, new, [_behind, first]) = one_behind_and_one_that_rotates().await;
    mint(&first, 1).await;
    let (row, root) = (first.row("default", "late"), first.shared().envelope.root());
    let keys = SubjectKeys::create(&root, row, "default", "late", 1).unwrap();
    let late = store::Batch {
        row,
        subject: Arc::clone(keys.record()),
        first_contact: true,
        mappings: Vec::new(),
        found_by: Vec::new(),
        is_told: false,
    };
    let mut steps = 0;
    let mut at_second = |_| {
        steps += 1;
        if steps == 2 {
            assert_eq!(spy.memory.put(late.clone()).now_or_never().unwrap().unwrap(), store::Outcome::Stored);
        }
    };
    first.rotate(to(&new), &mut at_second).await.unwrap();
    assert!(steps >= 2);
    let cold = opened(&spy, new.into()).await.unwrap();
    assert!(cold.verify(Owner::Deployment).await.unwrap().holds());
}

/// Two meet a person at once, one by the key that the other does not know of.
#[tokio::test(start_paused = true)]
async fn who_comes_second_to_a_person_under_the_new_key_takes_it_over() {
    let (old, new, spy) = (Key::generate(), Key::generate(), Arc::new(Spy::default()));
    spy.shared.store(true, Ordering::Relaxed);
    let both = || Keyring::new(old.clone()).with_others([new.clone()]);
    let (slow, quick) = (opened(&spy, both()).await.unwrap(), opened(&spy, both()).await.unwrap());
    let subjects = [slow.subject("default", "a").await.unwrap(), slow.subject("default", "b").await.unwrap()];
    quick.rotate(to(&new), &mut ignore).await.unwrap();
    let first = quick.subject("default", "a").await.unwrap().tokenize(&values()).await.unwrap();
    let minted = tokio::time::timeout(Duration::from_mins(1), subjects[0].tokenize(&values())).await;
    assert_eq!(minted.expect("it does not wait for itself").unwrap(), first);

    quick.subject("default", "b").await.unwrap().tokenize(&values()).await.unwrap();
    let standing: &Standing<'_> = &|_| Box::pin(async { vec![false; 64] });
    let person = [(entity("PERSON"), "Ana Berg")];
    let made = tokio::time::timeout(Duration::from_mins(1), subjects[1].mint_surrogates(&person, standing)).await;
    assert!(made.expect("it does not wait for itself").unwrap()[0].is_some());
}
