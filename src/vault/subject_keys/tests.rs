use super::*;
use crate::vault::key::{Key, Secrets};
use crate::vault::root::Root;

const ROW: Row = Row { subject: [1; 16], ..Row::DEPLOYMENT };
const OTHER: Row = Row { subject: [2; 16], ..Row::DEPLOYMENT };
const EMAIL: Entity = Entity::constant("EMAIL");
/// In the second layer, by `Root::of`.
const HEALTH: Entity = Entity::constant("HEALTH");

fn root() -> Root {
    Root::of(&Key::generate())
}

fn sealed(keys: &SubjectKeys, entity: Entity, value: &str) -> (Token, Vec<u8>) {
    let token = keys.token(entity, value, 0, u64::MAX);
    let record = keys.seal(ROW, &token, entity, value, 7, *random().unwrap()).unwrap();
    (token, record)
}

/// A record as the first version had it, and the secret in it.
fn first_version(root: &Root, key: &Key) -> (Vec<u8>, [u8; 64]) {
    let secret = *random::<64>().unwrap();
    let mut record = [&[1], key.id().0.as_slice(), &7_u64.to_be_bytes()].concat();
    let aad = [b"privet subject\0", ROW.subject.as_slice(), &record].concat();
    root.current.values.seal([1; 12], &aad, &secret, &mut record).unwrap();
    let data = SealingKey::new(secret.first_chunk().unwrap()).unwrap();
    let aad = [b"privet identity\0", ROW.subject.as_slice()].concat();
    data.seal([2; 12], &aad, &record::identity("default", "ana"), &mut record).unwrap();
    (record, secret)
}

#[test]
fn keys_open_for_their_own_subject_alone() {
    let root = root();
    let record = SubjectKeys::create(&root, ROW, "default", "ana", 7).unwrap().record().to_vec();
    let open = |row, tenant, subject| SubjectKeys::open(&root, row, tenant, subject, record.clone()).err();
    assert_eq!(open(ROW, "default", "ana"), None);
    assert_eq!(open(ROW, "default", "ben"), Some(SUBJECT));
    assert_eq!(open(ROW, "defaul", "tana"), Some(SUBJECT));
    assert_eq!(open(OTHER, "default", "ana"), Some(SUBJECT));
}

#[test]
fn a_record_says_whose_it_is() {
    let root = root();
    let row = root.row("default", "ana");
    let record = SubjectKeys::create(&root, row, "default", "ana", 7).unwrap().record().to_vec();
    let (_, tenant, subject) = SubjectKeys::open_named(&root, row, record.clone()).unwrap();
    assert_eq!((tenant.as_str(), subject.expose()), ("default", "ana"));
    assert!(SubjectKeys::open_named(&root, ROW, record).is_err());
    let strange = SubjectKeys::create(&root, ROW, "default", "ana", 7).unwrap().record().to_vec();
    assert!(SubjectKeys::open_named(&root, ROW, strange).is_err(), "it is not the row of that subject");
}

#[test]
fn a_value_is_bound_to_its_row_and_token() {
    let keys = SubjectKeys::create(&root(), ROW, "default", "ana", 7).unwrap();
    for (entity, value) in [(EMAIL, "a@b.c"), (HEALTH, "asthma")] {
        let (token, record) = sealed(&keys, entity, value);
        assert_eq!(keys.open_value(ROW, &token, &record).unwrap().expose(), value);
        assert_eq!(Head::of(&record).map(|head| head.created), Some(7));
        let others = [
            (OTHER, token),
            (ROW, Token::new(entity, token.bits() ^ 1)),
            (ROW, Token::new("EMAI".parse().unwrap(), token.bits())),
        ];
        for (row, token) in others {
            assert_eq!(keys.open_value(row, &token, &record).err(), Some(MAPPING));
        }
        for i in 0..record.len() {
            let mut bent = record.clone();
            bent[i] ^= 3;
            assert_eq!(keys.open_value(ROW, &token, &bent).err(), Some(MAPPING), "byte {i}");
        }
    }
}

#[test]
fn tokens_depend_on_key_entity_value_and_counter() {
    let root = root();
    let (a, b) = [(); 2].map(|()| SubjectKeys::create(&root, ROW, "default", "ana", 7).unwrap()).into();
    let [email, emails] = ["EMAIL", "EMAILS"].map(|name| name.parse().unwrap());
    let tokens = [
        a.token(email, "x", 0, u64::MAX),
        b.token(email, "x", 0, u64::MAX),
        a.token(emails, "x", 0, u64::MAX),
        a.token(HEALTH, "x", 0, u64::MAX),
        b.token(HEALTH, "x", 0, u64::MAX),
        a.token(email, "x\0\0\0\0", 0, u64::MAX),
        a.token(email, "x", 1, u64::MAX),
    ];
    let distinct: std::collections::HashSet<_> = tokens.iter().map(Token::bits).collect();
    assert_eq!(distinct.len(), tokens.len());
    assert_eq!(a.token(email, "x", 0, u64::MAX), tokens[0]);
}

/// Who steals the first key and the whole store still reads no sensitive
/// value, nor can try out which one a token stands for.
#[test]
fn the_first_key_alone_opens_no_sensitive_value() {
    let key = Key::generate();
    let apart = Secrets::given(key.clone(), Some(Key::generate())).unwrap();
    let root = Root::of(&key).rotating(&[apart]);
    let keys = SubjectKeys::create(&root, ROW, "default", "ana", 7).unwrap();
    let (email, sealed_email) = sealed(&keys, EMAIL, "a@b.c");
    let (health, sealed_health) = sealed(&keys, HEALTH, "asthma");

    // All that the record gives to the first key.
    let head = keys.record().first_chunk::<25>().unwrap();
    let wrapped = &keys.record()[25..25 + NONCE + 64 + TAG];
    let aad = [b"privet subject\0", ROW.subject.as_slice(), head].concat();
    let secret = root.current.values.open(&aad, wrapped).unwrap();
    let thief = Layer::new(secret.first_chunk().unwrap()).unwrap();
    let open =
        |token: &Token, record: &[u8]| thief.data.open(MappingAad::new(ROW, token, &record[..9]).bytes(), &record[9..]);
    assert_eq!(open(&email, &sealed_email).unwrap().as_slice(), b"a@b.c");
    assert!(open(&health, &sealed_health).is_none());
    assert_eq!(token_bits(&thief.token, EMAIL, "a@b.c", 0), email.bits());
    assert_ne!(token_bits(&thief.token, HEALTH, "asthma", 0), health.bits());
    let sensitive = &keys.record()[25 + NONCE + 64 + TAG..25 + 2 * (NONCE + 64 + TAG)];
    let aad = [b"privet subject, sensitive\0", ROW.subject.as_slice(), head].concat();
    assert!(root.current.values.open(&aad, sensitive).is_none());
    assert!(root.current.sensitive.open(&aad, sensitive).is_some());
}

#[test]
fn the_first_version_opens_and_keeps_its_tokens_when_it_is_wrapped_anew() {
    let key = Key::generate();
    let root = Root::of(&key);
    let (record, _) = first_version(&root, &key);
    let keys = SubjectKeys::open(&root, ROW, "default", "ana", record.clone()).unwrap();
    assert_eq!(keys.wrapped_by(), None);
    let old = [sealed(&keys, EMAIL, "a@b.c"), sealed(&keys, HEALTH, "asthma")];
    assert_eq!(old[1].1[0], 1, "it has one layer");

    let newer = SubjectKeys::rewrap(&root, ROW, &record).unwrap().unwrap();
    let keys_anew = SubjectKeys::open(&root, ROW, "default", "ana", newer.clone()).unwrap();
    assert!(keys_anew.are_those_of(&keys) && keys_anew.wrapped_by() == Some(root.current.ids));
    for ((token, record), (entity, value)) in old.iter().zip([(EMAIL, "a@b.c"), (HEALTH, "asthma")]) {
        assert_eq!(keys_anew.token(entity, value, 0, u64::MAX), *token);
        assert_eq!(keys_anew.open_value(ROW, token, record).unwrap().expose(), value);
    }
    let (token, record) = sealed(&keys_anew, HEALTH, "asthma");
    assert_eq!((token, record[0]), (old[1].0, 2));
    assert_eq!(SubjectKeys::rewrap(&root, ROW, &newer).unwrap(), None, "once is enough");
}

#[test]
fn what_is_wrapped_by_another_key_keeps_its_tokens() {
    let (old, new) = (Key::generate(), Key::generate());
    let root = Root::of(&old);
    let keys = SubjectKeys::create(&root, ROW, "default", "ana", 7).unwrap();
    let both = [new.clone(), old].map(|key| Secrets::given(key, None).unwrap());
    let running = root.rotating(&both);
    let newer = SubjectKeys::rewrap(&running, ROW, keys.record()).unwrap().unwrap();
    let over = root.rotating(&both[..1]);
    assert!(SubjectKeys::open(&over, ROW, "default", "ana", keys.record().to_vec()).is_err(), "it is gone");
    let again = SubjectKeys::open(&over, ROW, "default", "ana", newer.clone()).unwrap();
    assert!(SubjectKeys::open(&root, ROW, "default", "ana", newer).is_err(), "the old key opens it no more");
    for entity in [EMAIL, HEALTH] {
        let (token, record) = sealed(&keys, entity, "x");
        assert_eq!(again.token(entity, "x", 0, u64::MAX), token);
        assert_eq!(again.open_value(ROW, &token, &record).unwrap().expose(), "x");
    }
}

#[test]
fn keys_of_a_subject_are_wiped() {
    use crate::vault::seal::wiping::{no_secret, shown_elsewhere, wiped, wiped_by_library};
    let root = Root::of(&Key::generate());
    let row = root.row("default", "ana");
    let keys = SubjectKeys::create(&root, row, "default", "ana", 1).unwrap();
    let Opened { created, values, sensitive, identity } = Opened::of(&root, row, keys.record()).unwrap();
    wiped(&values);
    wiped(&sensitive);
    wiped(&identity);
    no_secret(&created);
    let SubjectKeys { values, sensitive, entities, life, record, stored } = keys;
    shown_elsewhere::<Option<Layer>>(&sensitive);
    // Which entities are sensitive, a hash, what is wrapped, and whether it is stored.
    no_secret(&(entities, life, record, stored));
    let Layer { data, token } = &values;
    shown_elsewhere::<SealingKey>(data);
    wiped_by_library(token);
}
