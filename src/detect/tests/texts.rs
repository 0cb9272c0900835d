//! Addresses, days of birth, secrets, parts of URLs, and the optional packs.

use super::pieces::piece;
use super::{check, engine, spans};
use crate::clock::thread_nanos;
use crate::detect::{Engine, Input, RuleErrors, RuleSet, Scratch};
use proptest::prelude::*;
use std::sync::OnceLock;

fn shared() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(engine)
}

#[test]
fn optional_packs_are_found_where_they_are_switched_on() {
    let text = "Musterfirma GmbH in Berlin, ich bin schwanger";
    assert_eq!(spans(shared(), text), []);
    let mut set = RuleSet::builtin().unwrap();
    let packs = ["location", "organization", "sensitive"];
    set.select(&packs.map(|p| p.parse().unwrap())).unwrap();
    let engine = Engine::compile(&set).unwrap_or_else(|RuleErrors(all)| panic!("{all:?}"));
    assert_eq!(spans(&engine, text), [(0, 16, "ORGANIZATION".into()), (20, 26, "LOCATION".into())]);
    // What the law protects most is marked and left readable.
    let mut scratch = Scratch::default();
    engine.scan(Input::text(text), &mut scratch);
    let marks: Vec<_> = scratch.shadow().iter().map(|f| (f.start, f.end, f.entity.to_string())).collect();
    assert_eq!(marks, [(36, 45, "HEALTH".to_owned())]);
}

#[test]
fn a_key_says_what_its_value_is() {
    let mut scratch = Scratch::default();
    let mut found = |label, text: &str| {
        let findings = shared().scan(Input { text, label: Some(label) }, &mut scratch);
        findings.iter().map(|f| (f.start, f.end, f.entity.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(found("password", "hunter2"), [(0, 7, "SECRET".into())]);
    assert_eq!(found("userPassword", "sunshine"), [(0, 8, "SECRET".into())]);
    assert_eq!(found("password", "********"), []);
    assert_eq!(found("password_hint", "hunter2"), []);
    assert_eq!(found("dateOfBirth", "1990-03-12"), [(0, 10, "DATE_OF_BIRTH".into())]);
    assert_eq!(found("dob", "12.03.1990"), [(0, 10, "DATE_OF_BIRTH".into())]);
    assert_eq!(found("created", "1990-03-12"), []);
    assert_eq!(found("address", "Nádražní 12"), [(0, 14, "ADDRESS".into())]);
}

#[test]
fn an_address_of_the_web_is_looked_at_once() {
    // Each `://` in it would start the search for its end anew.
    for unit in
        ["a://", "https://x.com/", "https://a:b@c?name=", "linkedin.com/in/", "t.me/", "://?", "a://b?password="]
    {
        let text = unit.repeat(20_000);
        let mut scratch = Scratch::default();
        let start = thread_nanos();
        check(&text, shared().scan(Input::text(&text), &mut scratch));
        assert!(thread_nanos() - start < 10_000_000_000, "{unit}");
    }
}

#[test]
fn time_is_linear_in_text_full_of_anchors() {
    let mut scratch = Scratch::default();
    for unit in [
        "12 Street ",
        "Rue 5 ",
        "1 a b c d e f ",
        "5 Road, ",
        "Flat 3, ",
        "Hauptstraße 1 ",
        "nr. 4 bl. 3 ",
        "1.1.1990 ",
        "born 1 May ",
        "12 March ",
        "password ",
        "password: ",
        "pin 1",
        "api key ",
        "A1 ",
        "SW1A 1AA ",
        "10115 Berlin ",
        "a/",
        "x.com/",
        "http://a/",
        "a://b?c=d&",
        "P.O. Box 1 ",
        "de la 5 ",
        "Karl-Marx-",
        "5 de la ",
    ] {
        let mut time = |len: usize| {
            let text = unit.repeat(len / unit.len());
            let runs = (0..3).map(|_| {
                let start = thread_nanos();
                check(&text, shared().scan(Input::text(&text), &mut scratch));
                (thread_nanos() - start) as f64 / 1e9
            });
            runs.fold(f64::MAX, f64::min)
        };
        let (short, long) = (time(8 << 10), time(128 << 10));
        assert!(long < short * 16.0 * 6.0 + 0.02, "{unit:?}: {short} s for 8 KiB, {long} s for 128 KiB");
    }
}

proptest! {
    #[test]
    fn any_text_gives_sound_findings(pieces in prop::collection::vec(piece(), 0..24), label in prop::option::of(piece())) {
        let text = pieces.concat();
        let mut scratch = Scratch::default();
        let input = Input { text: &text, label: label.as_deref() };
        let first = shared().scan(input, &mut scratch).to_vec();
        check(&text, &first);
        // The same text gives the same findings, whatever the scratch held before.
        prop_assert_eq!(&first[..], shared().scan(input, &mut scratch));
    }

    #[test]
    fn a_street_is_one_span_with_what_follows(number in 1_u32..9999, name in "[A-Z][bdfgklmnprtz][aeiou][bdfgklmnprt]{1,2}[aeiou]", code in 10_000_u32..99_999) {
        for text in [
            format!("{name}straße {number}, {code} Berlin"),
            format!("rue {name} {number}, {code} Paris"),
            format!("ul. {name} {number}"),
            format!("Calle {name} {number}, {code} Madrid"),
            format!("{name} Caddesi No: {number}"),
        ] {
            let all = format!("({text})");
            prop_assert_eq!(spans(shared(), &all), vec![(1, all.len() - 1, "ADDRESS".to_owned())], "{}", all);
        }
    }

    #[test]
    fn every_day_of_birth_is_found_in_all_orders(day in 1_u32..=31, month in 1_u32..=12, year in 1880_u32..2099) {
        for date in [format!("{day}.{month}.{year}"), format!("{day:02}/{month:02}/{year}"), format!("{year}-{month:02}-{day:02}"), format!("{month}/{day}/{year}")] {
            let text = format!("born {date}.");
            prop_assert_eq!(spans(shared(), &text), vec![(5, 5 + date.len(), "DATE_OF_BIRTH".to_owned())], "{}", text);
            let without = format!("bought {date}.");
            prop_assert!(spans(shared(), &without).iter().all(|s| s.2 != "DATE_OF_BIRTH"), "{}", without);
        }
    }
}
