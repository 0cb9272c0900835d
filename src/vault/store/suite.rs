//! What every store must do, checked against each of them.

use super::{Batch, Outcome, Row, Store};
use crate::entity::Entity;
use crate::token::Token;
use std::sync::Arc;

const ROW: Row = Row([7; 16]);
const OTHER: Row = Row([8; 16]);

/// Runs the suite; `make` gives a new, empty store each time.
pub(super) async fn run<S: Store + 'static, F: Future<Output = S>>(make: impl Fn() -> F) {
    own_record(&make().await).await;
    batches(&make().await).await;
    first_contact(&make().await).await;
    taken_tokens(&make().await).await;
    entities(&make().await).await;
    surrogates(&make().await).await;
    many_at_once(Arc::new(make().await)).await;
    make().await.close().await.unwrap();
}

fn token(entity: &str, bits: u64) -> Token {
    Token::new(entity.parse().unwrap(), bits)
}

fn batch(row: Row, subject: &str, first_contact: bool, mappings: &[(Token, &str)]) -> Batch {
    Batch {
        row,
        subject: subject.as_bytes().into(),
        first_contact,
        mappings: mappings.iter().map(|(token, record)| (*token, record.as_bytes().to_vec())).collect(),
    }
}

async fn own_record(store: &dyn Store) {
    assert_eq!(store.meta().await.unwrap(), None);
    assert_eq!(store.put_meta(b"one".to_vec()).await.unwrap(), b"one");
    assert_eq!(store.put_meta(b"two".to_vec()).await.unwrap(), b"one", "the first stays");
    assert_eq!(store.meta().await.unwrap().unwrap(), b"one");
    store.probe().await.unwrap();
    assert_eq!(store.meta().await.unwrap().unwrap(), b"one", "a probe changes nothing");
}

async fn batches(store: &dyn Store) {
    let (a, b, c) = (token("EMAIL", 1), token("EMAIL", (1 << 35) - 1), token("PHONE", 1));
    assert_eq!(store.subject(ROW).await.unwrap(), None);
    assert_eq!(store.mappings(ROW, &[a, b]).await.unwrap(), [None, None]);
    let put = store.put(batch(ROW, "keys", true, &[(a, "A"), (b, "B"), (c, "C")])).await.unwrap();
    assert_eq!(put, Outcome::Stored);
    assert_eq!(store.subject(ROW).await.unwrap().unwrap(), b"keys");
    let absent = token("PHONE", 2);
    let found = store.mappings(ROW, &[c, absent, b, a]).await.unwrap();
    assert_eq!(found, [Some(b"C".to_vec()), None, Some(b"B".to_vec()), Some(b"A".to_vec())]);
    assert_eq!(store.mappings(OTHER, &[a]).await.unwrap(), [None], "rows are apart");
    assert_eq!(store.mappings(ROW, &[]).await.unwrap(), [] as [Option<Vec<u8>>; 0]);
}

async fn first_contact(store: &dyn Store) {
    let (a, b) = (token("EMAIL", 1), token("EMAIL", 2));
    let gone = store.put(batch(ROW, "mine", false, &[(a, "A")])).await.unwrap();
    assert_eq!(gone, Outcome::Superseded(None), "an erased subject is not made again");
    assert_eq!(store.subject(ROW).await.unwrap(), None);
    store.put(batch(ROW, "mine", true, &[(a, "A")])).await.unwrap();
    for first_contact in [true, false] {
        let lost = store.put(batch(ROW, "theirs", first_contact, &[(b, "B")])).await.unwrap();
        assert_eq!(lost, Outcome::Superseded(Some(b"mine".to_vec())));
    }
    assert_eq!(store.mappings(ROW, &[b]).await.unwrap(), [None], "nothing was written");
    assert_eq!(store.put(batch(ROW, "mine", true, &[(b, "B")])).await.unwrap(), Outcome::Stored);
}

async fn taken_tokens(store: &dyn Store) {
    let (a, b) = (token("EMAIL", 1), token("EMAIL", 2));
    store.put(batch(ROW, "keys", true, &[(a, "A")])).await.unwrap();
    let taken = store.put(batch(ROW, "keys", false, &[(b, "B"), (a, "other")])).await.unwrap();
    assert_eq!(taken, Outcome::Taken(vec![(a, b"A".to_vec())]));
    let found = store.mappings(ROW, &[a, b]).await.unwrap();
    assert_eq!(found, [Some(b"A".to_vec()), None], "written wholly or not at all");
}

async fn entities(store: &dyn Store) {
    assert!(store.entities(ROW).await.unwrap().is_empty());
    let names = ["EMAIL", "EMAIL_HASH", "EM", "PHONE", "A_", "IP"];
    let mappings: Vec<_> = (0..300).map(|n| (token(names[n % 6], n as u64), "x")).collect();
    store.put(batch(ROW, "keys", true, &mappings)).await.unwrap();
    store.put(batch(OTHER, "keys", true, &[(token("IBAN", 1), "x")])).await.unwrap();
    let mut expected: Vec<Entity> = names.iter().map(|name| name.parse().unwrap()).collect();
    expected.sort();
    let mut found = store.entities(ROW).await.unwrap();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(store.entities(OTHER).await.unwrap(), ["IBAN".parse().unwrap()]);
}

async fn surrogates(store: &dyn Store) {
    assert!(store.all(ROW, Entity::SURROGATE).await.unwrap().is_empty());
    let made = |bits| Token::new(Entity::SURROGATE, bits);
    let mut mappings = vec![(made(1), "one"), (made((1 << 35) - 1), "two"), (token("ZZ", 1), "x")];
    store.put(batch(ROW, "keys", true, &mappings)).await.unwrap();
    store.put(batch(OTHER, "keys", true, &[(made(3), "other")])).await.unwrap();
    let mut found = store.all(ROW, Entity::SURROGATE).await.unwrap();
    found.sort();
    mappings.truncate(2);
    mappings.sort();
    assert_eq!(found, mappings.iter().map(|(token, text)| (*token, text.as_bytes().to_vec())).collect::<Vec<_>>());
    assert_eq!(store.entities(ROW).await.unwrap(), ["ZZ".parse().unwrap()], "surrogates are no kind of token");
    assert_eq!(store.all(ROW, "ZZ".parse().unwrap()).await.unwrap().len(), 1);
}

async fn many_at_once<S: Store + 'static>(store: Arc<S>) {
    let tasks: Vec<_> = (0..100u8)
        .map(|n| {
            let store = Arc::clone(&store);
            // Ten subjects, and one token of each that all ten writers want.
            let row = Row([n % 10; 16]);
            let mappings = [(token("EMAIL", 1_000 + u64::from(n)), "own")];
            let contested = [(token("EMAIL", 1), "contested")];
            tokio::spawn(async move {
                let own = store.put(batch(row, "keys", true, &mappings)).await.unwrap();
                assert_eq!(own, Outcome::Stored);
                store.put(batch(row, "keys", true, &contested)).await.unwrap() == Outcome::Stored
            })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap());
    }
    assert_eq!(winners, 10);
}
