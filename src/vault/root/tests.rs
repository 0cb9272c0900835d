use super::*;
use crate::vault::key::Key;

const NONE: fn() -> Arc<BTreeSet<Entity>> = Arc::default;

async fn open(keys: &Keyring, record: &[u8]) -> Result<Root, VaultError> {
    Root::open(keys, record, &NONE()).await
}

fn given(key: &Key) -> Secrets {
    Secrets::given(key.clone(), None).unwrap()
}

/// A record as the first format had it.
fn first_format(key: &Key, index: &[u8; 32]) -> Vec<u8> {
    let mut record = [1_u32.to_be_bytes().as_slice(), &key.id().0, &7_u64.to_be_bytes()].concat();
    let aad = [b"privet vault\0", record.as_slice()].concat();
    values_key(key).unwrap().seal([9; 12], &aad, index, &mut record).unwrap();
    record
}

#[tokio::test]
async fn rows_are_stable_and_unrelated() {
    let key = Key::generate();
    let record = Root::create(&given(&key), 1).unwrap();
    let keys = Keyring::new(key.clone());
    let (root, again) = (open(&keys, &record).await.unwrap(), open(&keys, &record).await.unwrap());
    assert_eq!(root.row("t", "s"), again.row("t", "s"));
    assert_ne!(root.row("a", "bc"), root.row("ab", "c"));
    assert_ne!(root.row("t", "s"), Root::of(&key).row("t", "s"));
}

#[tokio::test]
async fn every_changed_byte_is_noticed() {
    let (key, next) = (Key::generate(), Key::generate());
    let root = Root::of(&key);
    let keys = Keyring::new(key.clone()).with_others([next.clone()]);
    for record in [
        Root::create(&given(&key), 1).unwrap(),
        root.next(&[&given(&next), &given(&key)]).unwrap(),
        first_format(&key, &[3; 32]),
    ] {
        open(&keys, &record).await.unwrap();
        for i in 0..record.len() {
            let mut bent = record.clone();
            bent[i] ^= 1;
            assert!(open(&keys, &bent).await.is_err(), "byte {i}");
            assert!(open(&keys, &record[..i]).await.is_err(), "cut at {i}");
        }
        assert!(open(&keys, &[record, vec![0]].concat()).await.is_err(), "one byte more");
    }
}

#[tokio::test]
async fn wrong_keys_and_newer_formats_are_named() {
    let (key, other, second) = (Key::generate(), Key::generate(), Key::generate());
    let mut record = Root::create(&given(&key), 1).unwrap();
    let wrong = VaultError::WrongKey { vault: key.id(), given: other.id() };
    assert_eq!(open(&Keyring::new(other.clone()), &record).await.err(), Some(wrong));
    let apart = Root::create(&Secrets::given(key.clone(), Some(second.clone())).unwrap(), 1).unwrap();
    let missing = VaultError::WrongSensitiveKey { vault: second.id() };
    assert_eq!(open(&Keyring::new(key.clone()), &apart).await.err(), Some(missing.clone()));
    assert_eq!(open(&Keyring::new(key.clone()).with_sensitive(other), &apart).await.err(), Some(missing));
    open(&Keyring::new(key.clone()).with_sensitive(second), &apart).await.unwrap();
    record[3] = 4;
    assert_eq!(open(&Keyring::new(key), &record).await.err(), Some(VaultError::NewerFormat { found: 4, known: 3 }));
}

#[tokio::test]
async fn the_first_format_still_opens() {
    let key = Key::generate();
    let record = first_format(&key, &[3; 32]);
    let root = open(&Keyring::new(key.clone()), &record).await.unwrap();
    assert_eq!((root.created, root.current.ids.key), (7, key.id()));
    let next = root.next(&[&given(&key)]).unwrap();
    let again = open(&Keyring::new(key), &next).await.unwrap();
    assert_eq!((again.created, again.epoch), (7, 1));
    assert_eq!(again.row("t", "s"), root.row("t", "s"), "it is the same vault");
}

#[tokio::test]
async fn a_rotation_needs_both_keys_until_it_is_over() {
    let (old, new) = (Key::generate(), Key::generate());
    let root = Root::of(&old);
    let both = root.next(&[&given(&new), &given(&old)]).unwrap();
    let missing = |key: &Key| Some(VaultError::Rotating { missing: key.id() });
    assert_eq!(open(&Keyring::new(old.clone()), &both).await.err(), missing(&new));
    assert_eq!(open(&Keyring::new(new.clone()), &both).await.err(), missing(&old));
    let keys = Keyring::new(old.clone()).with_others([new.clone()]);
    let running = open(&keys, &both).await.unwrap();
    assert_eq!((running.current.ids.key, running.former.as_ref().unwrap().ids.key), (new.id(), old.id()));
    assert_eq!(running.row("t", "s"), root.row("t", "s"));

    let over = running.next(&[&given(&new)]).unwrap();
    let wrong = VaultError::WrongKey { vault: new.id(), given: old.id() };
    assert_eq!(open(&Keyring::new(old), &over).await.err(), Some(wrong));
    let done = open(&Keyring::new(new), &over).await.unwrap();
    assert!(done.former.is_none() && done.epoch == 3);
}

#[test]
fn keys_of_the_vault_are_wiped() {
    use crate::vault::seal::wiping::{no_secret, shown_elsewhere, wiped, wiped_by_library};
    let Root { epoch, format, created, current, former, index, secret, sensitive } = &Root::of(&Key::generate());
    wiped(secret);
    wiped_by_library(index);
    shown_elsewhere::<Option<Wrapping>>(former);
    [epoch, created].into_iter().for_each(no_secret);
    no_secret(format);
    no_secret(sensitive);
    let Wrapping { ids, values, sensitive } = current;
    [values, sensitive].into_iter().for_each(shown_elsewhere::<SealingKey>);
    no_secret(ids);
}
