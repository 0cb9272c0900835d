//! Several vaults over one store, and calls that meet or are cut.

use super::*;
use futures_util::FutureExt;
use std::sync::atomic::AtomicBool;

#[tokio::test]
async fn replicas_agree_on_a_first_contact() {
    let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
    let values = emails(&["a@b.c", "d@e.f"]);
    let mut subjects = Vec::new();
    for _ in 0..5 {
        // All have met the subject before any of them writes.
        subjects.push(replica(&spy, &key, SMALL, 35).await.subject("default", "ana").await.unwrap());
    }
    let mut all = HashSet::new();
    for subject in &subjects {
        all.insert(subject.tokenize(&values).await.unwrap());
    }
    assert_eq!(all.len(), 1, "all replicas have the same tokens");
    for subject in &subjects {
        assert_restores(subject, all.iter().next().unwrap(), &values).await;
    }
}

#[tokio::test]
async fn a_replica_restores_what_another_made_at_first_contact() {
    let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
    let late = replica(&spy, &key, SMALL, 35).await.subject("default", "ana").await.unwrap();
    let early = replica(&spy, &key, SMALL, 35).await.subject("default", "ana").await.unwrap();
    let values = emails(&["a@b.c"]);
    let tokens = early.tokenize(&values).await.unwrap();
    assert_restores(&late, &tokens, &values).await;
    assert_eq!(late.tokenize(&values).await.unwrap(), tokens);
}

#[tokio::test]
async fn who_comes_second_yields() {
    let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
    let first = replica(&spy, &key, SMALL, 5).await.subject("default", "ana").await.unwrap();
    let theirs = emails(&["a", "b", "c", "d", "e", "f", "g", "h"]);
    let before = first.tokenize(&theirs).await.unwrap();

    // The second looks before the first has written, and writes after it:
    // eight values of its own on 32 tokens, and two that both have.
    let second = replica(&spy, &key, SMALL, 5).await.subject("default", "ana").await.unwrap();
    let looked = AtomicBool::new(false);
    *spy.bend.lock().unwrap() = Some(Box::new(move |_, _, records| {
        if !looked.swap(true, Ordering::Relaxed) {
            records.fill(None);
        }
    }));
    let ours = emails(&["1", "2", "3", "4", "5", "6", "7", "8", "a", "h"]);
    let after = second.tokenize(&ours).await.unwrap();
    assert_eq!(after[8..], [before[0], before[7]]);
    assert_eq!(before.iter().chain(&after).collect::<HashSet<_>>().len(), 16, "no two values share a token");
    assert_restores(&first, &before, &theirs).await;
    assert_restores(&first, &after, &ours).await;
    assert_restores(&second, &before, &theirs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_at_once_agree() {
    for bits in [9, 35] {
        let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
        let replicas = [replica(&spy, &key, SMALL, bits).await, replica(&spy, &key, Options::default(), bits).await];
        let tasks: Vec<_> = (0..40)
            .map(|n| {
                let vault = replicas[n % 2].clone();
                tokio::spawn(async move {
                    let subject = vault.subject("default", "ana").await.unwrap();
                    let names: Vec<String> =
                        (0..20).map(|i| format!("{}@example.com", (n * 7 + i * 3) % 100)).collect();
                    let values: Vec<_> = names.iter().map(|name| (entity("EMAIL"), name.as_str())).collect();
                    let tokens = subject.tokenize(&values).await.unwrap();
                    assert_restores(&subject, &tokens, &values).await;
                    names.into_iter().zip(tokens).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut pairs = HashSet::new();
        for task in tasks {
            pairs.extend(task.await.unwrap());
        }
        let values: HashSet<_> = pairs.iter().map(|(value, _)| value).collect();
        let tokens: HashSet<_> = pairs.iter().map(|(_, token)| token).collect();
        assert_eq!((pairs.len(), tokens.len()), (values.len(), values.len()), "one token a value, one value a token");
    }
}

#[tokio::test]
async fn an_erased_subject_starts_anew_under_a_live_handle() {
    let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
    let vault = replica(&spy, &key, SMALL, 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let values = emails(&["a@b.c"]);
    let before = subject.tokenize(&values).await.unwrap();
    spy.memory.erase(vault.row("default", "ana")).await.unwrap();
    let after = subject.tokenize(&values).await.unwrap();
    assert_ne!(before, after, "the old keys are not used again");
    assert_restores(&subject, &after, &values).await;
    assert_eq!(subject.restore(&before).await.unwrap(), [None]);
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_that_is_not_durable() {
    let values = emails(&["a@b.c", "d@e.f"]);
    // Cut before anything is written, and after it is but before the answer.
    for steps in [0, 1] {
        let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
        let vault = replica(&spy, &key, Options::default(), 35).await;
        let subject = vault.subject("default", "ana").await.unwrap();
        assert!(subject.kinds().await.unwrap().is_empty());
        spy.allow(steps);
        assert!(subject.tokenize(&values).now_or_never().is_none(), "it waits for the store");

        let keys = match spy.subject(vault.row("default", "ana")).await.unwrap() {
            Some(_) => steps == 1,
            None => steps == 0,
        };
        assert!(keys, "the subject is stored together with its mappings");
        for (entity, value) in &values {
            let token = subject.state().keys().token(*entity, value, 0, TOKEN_BITS);
            assert_eq!(subject.cached(&token), None);
            let durable = subject.restore(&[token]).await.unwrap()[0].is_some();
            assert_eq!(durable, steps == 1, "all of the batch or nothing of it");
        }
        spy.allow(100);
        let tokens = subject.tokenize(&values).await.unwrap();
        assert_restores(&subject, &tokens, &values).await;
        let cold = replica(&spy, &key, SMALL, 35).await.subject("default", "ana").await.unwrap();
        assert_eq!(cold.tokenize(&values).await.unwrap(), tokens);
        assert!(subject.kinds().await.unwrap().contains(entity("EMAIL")));
    }
}

#[tokio::test]
async fn probes_are_shared() {
    let (vault, spy) = spied(SMALL, 35).await;
    for _ in 0..100 {
        vault.check_writable().await.unwrap();
    }
    assert_eq!(spy.probes.load(Ordering::Relaxed), 1);
    spy.broken.store(true, Ordering::Relaxed);
    vault.shared().probed.lock().await.take();
    for _ in 0..100 {
        vault.check_writable().await.unwrap_err();
    }
    assert_eq!(spy.probes.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn new_values_in_a_shared_store_cost_one_question() {
    let spy = Arc::new(Spy::default());
    spy.shared.store(true, Ordering::Relaxed);
    let vault = replica(&spy, &Key::generate(), Options::default(), 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let calls = spy.calls();
    subject.tokenize(&emails(&["a@b.c", "d@e.f"])).await.unwrap();
    assert_eq!(spy.calls(), calls + 1);
    let tokens = subject.tokenize(&emails(&["g@h.i", "a@b.c", "j@k.l"])).await.unwrap();
    assert_eq!(spy.calls(), calls + 2);
    assert_restores(&subject, &tokens, &emails(&["g@h.i", "a@b.c", "j@k.l"])).await;
    assert_eq!(spy.calls(), calls + 2, "what is known costs none");
}

#[tokio::test]
async fn values_that_collide_in_a_shared_store_get_their_own_tokens() {
    let (spy, names) = (Arc::new(Spy::default()), (0..40).map(|n| format!("{n}@b.c")).collect::<Vec<_>>());
    spy.shared.store(true, Ordering::Relaxed);
    let values: Vec<_> = names.iter().map(|name| (entity("EMAIL"), name.as_str())).collect();
    let key = Key::generate();
    let subject = replica(&spy, &key, SMALL, 6).await.subject("default", "ana").await.unwrap();
    let tokens = subject.tokenize(&values).await.unwrap();
    assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), 40, "no two share a token");
    let again = replica(&spy, &key, SMALL, 6).await.subject("default", "ana").await.unwrap();
    assert_eq!(again.tokenize(&values).await.unwrap(), tokens);
    assert_restores(&again, &tokens, &values).await;
}
