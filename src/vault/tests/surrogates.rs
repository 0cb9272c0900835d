//! Surrogates over stores: the same for all replicas, never two values' own,
//! and gone with the subject.

use super::*;
use crate::surrogate::{Piece, Restorer};

/// Says that the texts stand somewhere of which this holds.
fn standing(holds: impl Fn(&str) -> bool + Sync + Send + Copy + 'static) -> Box<Standing<'static>> {
    Box::new(move |search| Box::pin(async move { search.texts().map(holds).collect() }))
}

const PEOPLE: [&str; 3] = ["Jana Novakova", "Petra Novakova", "jana"];

fn people<'a>(values: &[&'a str]) -> Vec<(Entity, &'a str)> {
    values.iter().map(|value| (entity("PERSON"), *value)).collect()
}

async fn minted(subject: &Subject, values: &[(Entity, &str)]) -> Vec<String> {
    let made = subject.mint_surrogates(values, &standing(|_| false)).await.unwrap();
    made.into_iter().map(|one| one.expect("a surrogate")).collect()
}

async fn restored(subject: &Subject, text: &str) -> String {
    let Some(matcher) = subject.surrogates().await.unwrap().matcher(&standing(|_| false)).await else {
        return text.to_owned();
    };
    let (mut restorer, mut out) = (Restorer::new(matcher), String::new());
    let mut take = |piece: Piece<'_, Surrogate>| match piece {
        Piece::Text(text) => out.push_str(text),
        Piece::Surrogate { value, .. } => out.push_str(value.value.expose()),
    };
    restorer.push(text, &mut take);
    restorer.finish(None, &mut take);
    out
}

#[tokio::test]
async fn surrogates_come_back_and_stay_the_same() {
    let (vault, _spy) = spied(SMALL, 35).await;
    for vault in [in_memory().await, vault] {
        let subject = vault.subject("default", "ana").await.unwrap();
        assert!(subject.surrogates().await.unwrap().matcher(&standing(|_| false)).await.is_none());
        let made = minted(&subject, &people(&PEOPLE)).await;
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), PEOPLE.len());
        for (made, value) in made.iter().zip(PEOPLE) {
            assert_eq!(restored(&subject, &format!("Dear {made}, hello")).await, format!("Dear {value}, hello"));
        }
        // The family has one name, and the person one given name.
        let words: Vec<Vec<&str>> = made.iter().map(|name| name.split(' ').collect()).collect();
        assert_eq!(words[0][1], words[1][1]);
        assert_eq!(words[0][0].to_lowercase(), words[2][0]);
        assert_eq!(minted(&subject, &people(&PEOPLE)).await, made);
        let other = vault.subject("default", "ben").await.unwrap();
        assert_eq!(restored(&other, &made[0]).await, made[0], "another subject knows nothing of it");
        assert_ne!(minted(&other, &people(&PEOPLE)).await, made);
        assert!(subject.kinds().await.unwrap().is_empty(), "no token was made");
    }
}

#[tokio::test]
async fn replicas_agree_whoever_is_first() {
    let (key, spy) = (Key::generate(), Arc::new(Spy::default()));
    let mut subjects = Vec::new();
    for _ in 0..4 {
        subjects.push(replica(&spy, &key, SMALL, 35).await.subject("default", "ana").await.unwrap());
    }
    let all =
        futures_util::future::join_all(subjects.iter().map(|s| async { minted(s, &people(&PEOPLE)).await })).await;
    assert!(all.iter().all(|made| *made == all[0]), "{all:?}");
    let late = replica(&spy, &key, SMALL, 35).await.subject("default", "ana").await.unwrap();
    assert_eq!(restored(&late, &all[0].join(", ")).await, PEOPLE.join(", "));
    let puts = spy.puts.load(Ordering::Relaxed);
    assert_eq!(minted(&late, &people(&PEOPLE)).await, all[0]);
    assert_eq!(spy.puts.load(Ordering::Relaxed), puts, "what is known is not written again");
}

#[tokio::test]
async fn what_stands_in_the_text_is_not_used() {
    let (vault, _spy) = spied(SMALL, 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let value = people(&["Jana"]);
    let first = minted(&subject, &value).await.remove(0);
    let text = first.clone();
    let only_first: Box<Standing<'_>> = Box::new(move |search| {
        let marks = search.texts().map(|one| one == text).collect();
        Box::pin(async move { marks })
    });
    let second = subject.mint_surrogates(&value, &only_first).await.unwrap().remove(0).unwrap();
    assert_ne!(first, second);
    assert_eq!(restored(&subject, &format!("{first} {second}")).await, "Jana Jana");
    assert_eq!(minted(&subject, &value).await, [first]);
    let known = subject.surrogates().await.unwrap();
    assert!(known.matcher(&standing(|_| true)).await.is_none());
    assert!(known.matcher(&only_first).await.is_some());
    assert_eq!(subject.mint_surrogates(&value, &standing(|_| true)).await.unwrap(), [None]);
    let memory = in_memory().await.subject("default", "ana").await.unwrap();
    assert_eq!(memory.mint_surrogates(&value, &standing(|_| true)).await.unwrap(), [None]);
    assert!(memory.mint_surrogates(&value, &standing(|_| false)).await.unwrap()[0].is_some());
}

#[tokio::test]
async fn what_would_need_an_escape_has_none_and_nothing_is_stored() {
    let (vault, spy) = spied(SMALL, 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let values = people(&["Patient \"Jana Novak\"", "Jana\nNovak"]);
    assert_eq!(subject.mint_surrogates(&values, &standing(|_| false)).await.unwrap(), [None, None]);
    assert_eq!(spy.puts.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn no_part_gets_the_name_of_another() {
    let subject = in_memory().await.subject("default", "ana").await.unwrap();
    for value in ["Agneta Birgitta Ahlström", "Birgitta Kerstin", "Kerstin Agneta Ulrika Viveka Ylva"] {
        let made = minted(&subject, &people(&[value])).await.remove(0);
        assert!(made.split(' ').all(|new| value.split(' ').all(|old| old != new)), "{value}: {made}");
    }
}

#[tokio::test]
async fn the_cache_is_charged_for_surrogates() {
    let (vault, _spy) = spied(SMALL, 35).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let before = subject.state().cost();
    minted(&subject, &people(&PEOPLE)).await;
    assert!(subject.state().cost() > before + 1000, "{}", subject.state().cost());
}

#[tokio::test]
async fn colliding_records_take_nothing_away() {
    // 32 places for the records of all.
    let (vault, spy) = spied(SMALL, 5).await;
    let subject = vault.subject("default", "ana").await.unwrap();
    let names = ["Jana", "Petra", "Eva", "Olga", "Vera", "Nina", "Dana", "Hana"];
    let made = minted(&subject, &people(&names)).await;
    assert_eq!(restored(&subject, &made.join(" ")).await, names.join(" "));
    spy.memory.erase(subject.state().row).await.unwrap();
    let again = minted(&subject, &people(&["Ivana"])).await;
    // The new one may be the same name as one of the old.
    let gone = made.iter().find(|old| **old != again[0]).unwrap();
    assert_eq!(restored(&subject, gone).await, *gone, "an erased subject's surrogates are gone");
    assert_eq!(restored(&subject, &again[0]).await, "Ivana");
}
