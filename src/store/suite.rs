//! What every store must do, checked against each of them.

use super::{Batch, Blind, Change, Expect, Outcome, Row, Space, Store};
use crate::entity::Entity;
use crate::token::Token;
use std::sync::Arc;

const ROW: Row = Row { tenant: [1; 8], subject: [7; 16] };
const TENANT: Row = Row { tenant: [1; 8], subject: [0; 16] };
const ELSEWHERE: Row = Row { tenant: [2; 8], subject: [7; 16] };
const OTHER: Row = Row { tenant: [1; 8], subject: [8; 16] };

/// Runs the suite; `make` gives a new, empty store each time.
pub(crate) async fn run<S: Store + 'static, F: Future<Output = S>>(make: impl Fn() -> F) {
    own_record(&make().await).await;
    batches(&make().await).await;
    first_contact(&make().await).await;
    taken_tokens(&make().await).await;
    entities(&make().await).await;
    surrogates(&make().await).await;
    pages(&make().await).await;
    swaps(&make().await).await;
    erasure(&make().await).await;
    records(&make().await).await;
    index(&make().await).await;
    snapshots(&make().await).await;
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
        found_by: Vec::new(),
        is_told: false,
    }
}

async fn own_record(store: &dyn Store) {
    assert_eq!(store.meta().await.unwrap(), None);
    assert_eq!(store.put_meta(None, b"one".to_vec()).await.unwrap(), b"one");
    assert_eq!(store.put_meta(None, b"two".to_vec()).await.unwrap(), b"one", "the first stays");
    assert_eq!(store.meta().await.unwrap().unwrap(), b"one");
    store.probe().await.unwrap();
    assert_eq!(store.meta().await.unwrap().unwrap(), b"one", "a probe changes nothing");
    let swapped = store.put_meta(Some(b"one".to_vec()), b"three".to_vec()).await.unwrap();
    assert_eq!(swapped, b"three");
    assert_eq!(store.put_meta(Some(b"one".to_vec()), b"four".to_vec()).await.unwrap(), b"three");
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

async fn snapshots(store: &dyn Store) {
    let change = |key: u8, value: &[u8]| Change {
        row: if key < 3 { Row::DEPLOYMENT } else { ROW },
        space: Space::Consent,
        key: vec![key],
        expect: Expect::Anything,
        value: Some(value.to_vec()),
    };
    let made = |bits| Token::new(Entity::SURROGATE, bits);
    let tokens = [token("EMAIL", 1), token("EMAIL", 2), token("PHONE", 1), made(1)];
    let mappings: Vec<_> = tokens.iter().map(|token| (*token, "x")).collect();
    for row in [ROW, OTHER] {
        store.put(batch(row, "keys", true, &mappings)).await.unwrap();
    }
    store.write((0..6).map(|key| change(key, b"old")).collect(), None).await.unwrap();

    let snapshot = store.snapshot().await.unwrap();
    store.put(batch(ROW, "keys", false, &[(token("IBAN", 1), "new")])).await.unwrap();
    store.write(vec![change(0, b"new"), change(9, b"new")], None).await.unwrap();
    store.erase(OTHER).await.unwrap();

    for limit in [1, 3, 100] {
        let (mut subjects, mut found, mut records) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let page = snapshot.subjects(subjects.last().copied(), limit).await.unwrap();
            let Some(_) = page.first() else { break };
            assert!(page.len() <= limit && page.iter().all(|(_, record)| record == b"keys"));
            subjects.extend(page.into_iter().map(|(row, _)| row));
        }
        assert_eq!(subjects, [ROW, OTHER]);
        loop {
            let page = snapshot.mappings(found.last().copied(), limit).await.unwrap();
            let Some(_) = page.first() else { break };
            assert!(page.len() <= limit && page.iter().all(|(.., record)| record == b"x"));
            found.extend(page.into_iter().map(|(row, token, _)| (row, token)));
        }
        let expected = [ROW, OTHER].iter().flat_map(|row| tokens.iter().map(|token| (*row, *token)));
        assert_eq!(found, expected.collect::<Vec<_>>());
        loop {
            let page = snapshot.records(records.last().cloned(), limit).await.unwrap();
            let Some(_) = page.first() else { break };
            assert!(page.len() <= limit && page.iter().all(|(_, value)| value == b"old"));
            records.extend(page.into_iter().map(|(place, _)| place));
        }
        assert_eq!(records, (0..6).map(|key| change(key, b"")).map(|c| (c.row, c.space, c.key)).collect::<Vec<_>>());
    }
    let now = store.snapshot().await.unwrap();
    assert_eq!(now.subjects(None, 9).await.unwrap().len(), 1, "a later one shows later things");
    assert_eq!(now.mappings(None, 99).await.unwrap().len(), 5);
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

async fn pages(store: &dyn Store) {
    let mappings: Vec<_> = (0..50).map(|n| (token(["EMAIL", "EM", "PHONE"][n % 3], n as u64), "x")).collect();
    store.put(batch(ROW, "keys", true, &mappings)).await.unwrap();
    store.put(batch(ROW, "keys", true, &[(Token::new(Entity::SURROGATE, 5), "x")])).await.unwrap();
    let rows: Vec<Row> = (0..7).map(|n| Row { tenant: [n / 3; 8], subject: [n; 16] }).collect();
    for row in &rows {
        store.put(batch(*row, "keys", true, &[])).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.subjects(after, 3).await.unwrap();
        assert!(page.len() <= 3 && page.iter().all(|(_, record)| record == b"keys"));
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.into_iter().map(|(row, _)| row));
    }
    let mut expected = [rows, vec![ROW]].concat();
    expected.sort();
    assert_eq!(seen, expected);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(ROW, after, 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.into_iter().map(|(token, _)| token));
    }
    let mut expected: Vec<Token> = mappings.into_iter().map(|(token, _)| token).collect();
    expected.sort_by_key(|token| (token.entity(), token.bits()));
    expected.push(Token::new(Entity::SURROGATE, 5));
    assert_eq!(seen, expected);
    assert!(store.page(OTHER, None, 7).await.unwrap().is_empty());
}

async fn swaps(store: &dyn Store) {
    let a = token("EMAIL", 1);
    let (old, new) = (|| b"keys".to_vec(), || b"wrapped anew".to_vec());
    assert!(!store.swap_subject(ROW, old(), new()).await.unwrap(), "there is none");
    store.put(batch(ROW, "keys", true, &[(a, "A")])).await.unwrap();
    assert!(store.swap_subject(ROW, old(), new()).await.unwrap());
    assert!(!store.swap_subject(ROW, old(), b"lost".to_vec()).await.unwrap());
    assert_eq!(store.subject(ROW).await.unwrap(), Some(new()));
    assert!(store.swap_mapping(ROW, a, b"A".to_vec(), b"B".to_vec()).await.unwrap());
    assert!(!store.swap_mapping(ROW, a, b"A".to_vec(), b"C".to_vec()).await.unwrap());
    assert!(!store.swap_mapping(OTHER, a, b"A".to_vec(), b"C".to_vec()).await.unwrap());
    assert_eq!(store.mappings(ROW, &[a]).await.unwrap(), [Some(b"B".to_vec())]);
}

async fn erasure(store: &dyn Store) {
    let (a, b) = (token("EMAIL", 1), token("PHONE", 2));
    for row in [ROW, OTHER] {
        store.put(batch(row, "keys", true, &[(a, "A"), (b, "B")])).await.unwrap();
        let own = [change(row, Space::Link, "l", Some("x")), change(row, Space::Case, "c", Some("y"))];
        assert!(store.write(own.to_vec(), None).await.unwrap());
        assert_eq!(store.put(found_by(row, &[BLIND])).await.unwrap(), Outcome::Stored);
    }
    let (gone, other) = ((a, b"A".to_vec()), (b, b"another record".to_vec()));
    assert_eq!(store.remove(ROW, vec![gone, other, (token("EMAIL", 9), Vec::new())]).await.unwrap(), 1);
    assert_eq!(store.mappings(ROW, &[a, b]).await.unwrap(), [None, Some(b"B".to_vec())]);
    assert_eq!(store.entities(ROW).await.unwrap(), ["PHONE".parse().unwrap()]);
    assert_eq!(store.erase(ROW).await.unwrap(), 1);
    assert_eq!(store.subject(ROW).await.unwrap(), None);
    assert_eq!(store.mappings(ROW, &[a, b]).await.unwrap(), [None, None]);
    assert_eq!(get(store, ROW, Space::Link, "l").await, None);
    assert_eq!(get(store, ROW, Space::Case, "c").await.as_deref(), Some("y"), "proof is kept");
    assert_eq!(store.mappings(OTHER, &[a, b]).await.unwrap(), [Some(b"A".to_vec()), Some(b"B".to_vec())]);
    assert_eq!(get(store, OTHER, Space::Link, "l").await.as_deref(), Some("x"));
    assert_eq!(found(store, TENANT, BLIND).await, [OTHER], "nobody finds it");
    for (row, is_left) in [(ROW, false), (OTHER, true)] {
        let own = store.scan(row, Space::Index, None, 9).await.unwrap();
        assert_eq!(own.len(), usize::from(is_left));
    }
    assert_eq!(store.erase(ROW).await.unwrap(), 0);
    let late = store.put(batch(ROW, "keys", false, &[(a, "A")])).await.unwrap();
    assert_eq!(late, Outcome::Superseded(None));
}

fn change(row: Row, space: Space, key: &str, value: Option<&str>) -> Change {
    let value = value.map(|value| value.as_bytes().to_vec());
    Change { row, space, key: key.as_bytes().to_vec(), expect: Expect::Anything, value }
}

async fn get(store: &dyn Store, row: Row, space: Space, key: &str) -> Option<String> {
    let found = store.get(row, space, vec![key.as_bytes().to_vec()]).await.unwrap();
    found.into_iter().next().flatten().map(|record| String::from_utf8(record).unwrap())
}

async fn records(store: &dyn Store) {
    let keys = ["a", "aa", "b", "", "c"];
    let writes = keys.map(|key| Change { expect: Expect::Absent, ..change(ROW, Space::Audit, key, Some(key)) });
    assert!(store.write(writes.to_vec(), None).await.unwrap());
    assert!(!store.write(writes.to_vec(), None).await.unwrap());
    for (row, space) in [(OTHER, Space::Audit), (ROW, Space::Case), (Row::DEPLOYMENT, Space::Audit)] {
        assert!(store.write(vec![change(row, space, "b", Some("elsewhere"))], None).await.unwrap());
    }
    let found = store.get(ROW, Space::Audit, ["b", "x", "a"].map(|key| key.as_bytes().to_vec()).to_vec()).await;
    assert_eq!(found.unwrap(), [Some(b"b".to_vec()), None, Some(b"a".to_vec())]);
    let scan = async |after: Option<&str>, limit| {
        let page = store.scan(ROW, Space::Audit, after.map(|key| key.as_bytes().to_vec()), limit).await.unwrap();
        page.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(scan(None, 3).await, ["", "a", "aa"]);
    assert_eq!(scan(Some("aa"), 3).await, ["b", "c"]);
    assert_eq!(scan(Some("c"), 3).await, [""; 0]);
    let is = |old: &str, new| Change { expect: Expect::Is(old.into()), ..change(ROW, Space::Audit, "b", new) };
    assert!(!store.write(vec![change(ROW, Space::Audit, "a", None), is("z", Some("y"))], None).await.unwrap());
    assert_eq!(get(store, ROW, Space::Audit, "a").await.as_deref(), Some("a"), "all or none");
    assert!(store.write(vec![is("b", Some("y"))], None).await.unwrap());
    assert!(store.write(vec![is("y", None)], None).await.unwrap());
    assert_eq!(scan(None, 9).await, ["", "a", "aa", "c"]);
}

const BLIND: Blind = [9; 16];

fn found_by(row: Row, keys: &[Blind]) -> Batch {
    Batch { found_by: keys.to_vec(), ..batch(row, "keys", true, &[]) }
}

/// Who is found, in order.
async fn found(store: &dyn Store, tenant: Row, key: Blind) -> Vec<Row> {
    let mut found = store.found(tenant, key).await.unwrap();
    found.sort();
    found
}

async fn index(store: &dyn Store) {
    let many: Vec<Blind> = (0..10_000_u128).map(|n| (n * 7_919 % 10_000).to_be_bytes()).collect();
    let elsewhere = ELSEWHERE.of_tenant();
    for row in [ROW, OTHER, ELSEWHERE] {
        assert_eq!(store.put(found_by(row, &[BLIND])).await.unwrap(), Outcome::Stored);
        // Once more comes to the same.
        assert_eq!(store.put(found_by(row, &[BLIND])).await.unwrap(), Outcome::Stored);
    }
    assert_eq!(found(store, TENANT, BLIND).await, [ROW, OTHER]);
    assert_eq!(found(store, elsewhere, BLIND).await, [ELSEWHERE]);
    assert_eq!(found(store, TENANT, [8; 16]).await, [] as [Row; 0]);
    let late = Batch { first_contact: false, ..found_by(Row { subject: [3; 16], ..ROW }, &[BLIND]) };
    assert_eq!(store.put(late).await.unwrap(), Outcome::Superseded(None));
    assert_eq!(found(store, TENANT, BLIND).await, [ROW, OTHER], "written wholly or not at all");

    for keys in many.chunks(1_000) {
        assert_eq!(store.put(found_by(OTHER, keys)).await.unwrap(), Outcome::Stored);
    }
    for key in [0, 1, 4_095, 4_096, 9_999] {
        assert_eq!(found(store, TENANT, many[key]).await, [OTHER], "{key}");
        assert_eq!(found(store, elsewhere, many[key]).await, [] as [Row; 0]);
    }
    let set = |row, key: Blind, value: Option<&[u8]>| Change {
        row,
        space: Space::Index,
        key: key.to_vec(),
        expect: Expect::Anything,
        value: value.map(<[u8]>::to_vec),
    };
    assert!(store.write(vec![set(ROW, BLIND, None), set(ROW, many[5], Some(b""))], None).await.unwrap());
    assert_eq!(found(store, TENANT, BLIND).await, [OTHER]);
    assert_eq!(found(store, TENANT, many[5]).await, [ROW, OTHER]);
    let fails = Change { expect: Expect::Absent, ..set(ROW, many[5], Some(b"")) };
    assert!(!store.write(vec![set(ROW, many[6], Some(b"")), fails], None).await.unwrap());
    assert_eq!(found(store, TENANT, many[6]).await, [OTHER], "all or none");

    let snapshot = store.snapshot().await.unwrap();
    let all = snapshot.records(None, 20_000).await.unwrap();
    assert!(
        all.iter().all(|((row, space, _), value)| *space == Space::Index && !row.is_of_tenant() && value.is_empty())
    );
    assert_eq!(all.len(), 1 + 10_001 + 1, "a snapshot has each once, at its subject");
    drop(snapshot);
    store.check().await.unwrap();
    store.erase(OTHER).await.unwrap();
    for key in [BLIND, many[0], many[5], many[4_096], many[9_999]] {
        assert_eq!(found(store, TENANT, key).await, if key == many[5] { vec![ROW] } else { vec![] });
    }
    assert_eq!(found(store, elsewhere, BLIND).await, [ELSEWHERE]);
    store.check().await.unwrap();
}

async fn many_at_once<S: Store + 'static>(store: Arc<S>) {
    let tasks: Vec<_> = (0..100u8)
        .map(|n| {
            let store = Arc::clone(&store);
            // Ten subjects, and one token of each that all ten writers want.
            let row = Row { subject: [n % 10; 16], ..ROW };
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
