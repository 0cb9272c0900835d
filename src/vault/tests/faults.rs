//! Records that were changed, swapped or lost are noticed, never believed.

use super::*;

const CHANGED: VaultError = VaultError::Corrupt { what: "record of a token" };

/// Two subjects with two tokens each, and no cache to hide the store.
async fn setting() -> (Arc<Spy>, Key, Vec<Subject>, Vec<Vec<Token>>) {
    let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
    let vault = replica(&spy, &key, SMALL, 35).await;
    let mut subjects = Vec::new();
    let mut tokens = Vec::new();
    for name in ["ana", "ben"] {
        let subject = vault.subject("default", name).await.unwrap();
        tokens.push(subject.tokenize(&emails(&["a@b.c", "d@e.f"])).await.unwrap());
        subjects.push(subject);
    }
    (spy, key, subjects, tokens)
}

#[tokio::test]
async fn every_changed_byte_of_a_mapping_is_noticed() {
    let (spy, _, subjects, tokens) = setting().await;
    let len = 9 + 12 + 5 + 16;
    for i in 0..len {
        *spy.bend.lock().unwrap() = Some(Box::new(move |_, _, records| {
            for record in records.iter_mut().flatten() {
                assert_eq!(record.len(), len);
                record[i] ^= 0x10;
            }
        }));
        assert_eq!(subjects[0].restore(&tokens[0]).await.unwrap_err(), CHANGED, "byte {i}");
        assert_eq!(subjects[0].tokenize(&emails(&["a@b.c"])).await.unwrap_err(), CHANGED, "byte {i}");
    }
    *spy.bend.lock().unwrap() =
        Some(Box::new(|_, _, records| records.iter_mut().flatten().for_each(|r| r.truncate(20))));
    assert_eq!(subjects[0].restore(&tokens[0]).await.unwrap_err(), CHANGED);
}

#[tokio::test]
async fn swapped_rows_are_noticed() {
    let (spy, _, subjects, tokens) = setting().await;
    *spy.bend.lock().unwrap() = Some(Box::new(|_, _, records| records.reverse()));
    assert_eq!(subjects[0].restore(&tokens[0]).await.unwrap_err(), CHANGED, "of one subject");
    let strange = spy.memory.record(subjects[1].state().row, &tokens[1][0]);
    *spy.bend.lock().unwrap() = Some(Box::new(move |_, _, records| {
        records.fill(Some(strange.clone()));
    }));
    assert_eq!(subjects[0].restore(&tokens[0]).await.unwrap_err(), CHANGED, "of another subject");
}

#[tokio::test]
async fn a_changed_or_swapped_subject_is_noticed() {
    let (spy, key, subjects, _) = setting().await;
    let rows: Vec<_> = subjects.iter().map(|subject| subject.state().row).collect();
    let record = spy.subject(rows[0]).await.unwrap().unwrap();
    let corrupt = VaultError::Corrupt { what: "record of a subject" };
    let vault = replica(&spy, &key, SMALL, 35).await;
    for i in 0..record.len() {
        let mut bent = record.clone();
        bent[i] ^= 0x10;
        spy.memory.set_subject(rows[0], bent);
        assert_eq!(vault.subject("default", "ana").await.err(), Some(corrupt.clone()), "byte {i}");
        spy.memory.set_subject(rows[0], record[..i].to_vec());
        assert_eq!(vault.subject("default", "ana").await.err(), Some(corrupt.clone()), "cut at {i}");
    }
    spy.memory.set_subject(rows[0], spy.subject(rows[1]).await.unwrap().unwrap());
    assert_eq!(vault.subject("default", "ana").await.err(), Some(corrupt));
}

#[tokio::test]
async fn a_store_that_fails_is_tried_afresh() {
    let (spy, _, subjects, tokens) = setting().await;
    let values = emails(&["a@b.c", "new@b.c"]);
    spy.broken.store(true, Ordering::Relaxed);
    assert!(subjects[0].restore(&tokens[0]).await.is_err());
    assert!(subjects[0].tokenize(&values).await.is_err());
    spy.broken.store(false, Ordering::Relaxed);
    let after = subjects[0].tokenize(&values).await.unwrap();
    assert_eq!(after[0], tokens[0][0]);
    assert_restores(&subjects[0], &after, &values).await;
}
