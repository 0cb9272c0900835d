//! Surrogates as a whole: shapes, ranges, and that restoring undoes them.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

fn entity(name: &str) -> Entity {
    name.parse().unwrap()
}

fn first(name: &str, value: &str, seed: u64) -> Option<String> {
    let parts = parts(entity(name), value)?;
    let made: Option<Vec<String>> = parts
        .iter()
        .map(|part| {
            let seed = seed ^ seed_text(entity(name), &value[part.at.clone()]).len() as u64;
            (0..ATTEMPTS).find_map(|n| attempt(entity(name), value, part, seed, n))
        })
        .collect();
    join(value, &parts, made?.iter().map(String::as_str))
}

#[test]
fn a_surrogate_has_the_shape_of_its_value() {
    for (name, value, pattern) in [
        ("PHONE", "+44 7911 123456", r"^\+44 7700 900\d{3}$"),
        ("PHONE", "07911 123456", r"^07700 900\d{3}$"),
        ("PHONE", "020 7123 4567", r"^020 7946 0\d{3}$"),
        ("PHONE", "(212) 867-5309", r"^\(\d{3}\) 555-01\d\d$"),
        ("PHONE", "+1 212 867 5309", r"^\+1 \d{3} 555 01\d\d$"),
        ("PHONE", "867-5309", r"^555-01\d\d$"),
        ("PHONE", "+49 30 901820123", r"^\+49 (30 23125|69 90009|40 66969|22 14710|89 99998)\d+$"),
        ("PHONE", "0151 23456789", r"^0(171 39200|176 04069)\d{3}$"),
        ("PHONE", "06 12 34 56 78", r"^06 39 98 \d\d \d\d$"),
        ("PHONE", "+33 1 42 68 53 00", r"^\+33 1 99 00 \d\d \d\d$"),
        ("PHONE", "+61 412 345 678", r"^\+61 491 570 \d{3}$"),
        ("PHONE", "+46 70 123 45 67", r"^\+46 70 174 06 \d\d$"),
        ("PHONE", "+34 612 345 678", r"^\+34 [13]0\d \d{3} \d{3}$"),
        ("PHONE", "0049 30 901820123", r"^0049 \d\d \d+$"),
        ("PHONE", "+998 90 123 45 67", r"^\+998 00 \d{3} \d\d \d\d$"),
        ("IP", "81.2.69.142", r"^(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}$"),
        ("IP", "81.2.69.142:8080", r"^(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}:8080$"),
        ("IP", "2a02:8109:b6c0::1", r"^2001:db8:[0-9a-f]{4}:[0-9a-f]{4}::[0-9a-f]{4}$"),
        ("IP", "2a02:8109:b6c0::/48", r"^2001:db8:[0-9a-f:]+/48$"),
        ("MAC", "3c:22:fb:12:34:56", r"^00:00:5e:00:53:[0-9a-f]{2}$"),
        ("MAC", "3C-22-FB-12-34-56", r"^00-00-5E-00-53-[0-9A-F]{2}$"),
        ("CREDIT_CARD", "4111 1111 1111 1111", r"^4000 0000 \d{4} \d{4}$"),
        ("CREDIT_CARD", "5105105105105100", r"^51051051\d{8}$"),
        ("CREDIT_CARD", "378282246310005", r"^37144963\d{7}$"),
        ("IBAN", "DE89 3704 0044 0532 0130 00", r"^DE\d\d 0000 \d{4} \d{4} \d{4} \d\d$"),
        ("IBAN", "GB82WEST12345698765432", r"^GB\d\dXXXX\d{14}$"),
        ("IBAN", "gb82west12345698765432", r"^gb\d\dxxxx\d{14}$"),
        ("NATIONAL_ID", "536-90-4399", r"^000-\d\d-\d{4}$"),
        ("NATIONAL_ID", "AB 12 34 56 C", r"^QQ \d\d \d\d \d\d C$"),
        ("DATE_OF_BIRTH", "31.12.1984", r"^(0[1-9]|1[012])\.(0[1-9]|1[012])\.198[1-7]$"),
        ("DATE_OF_BIRTH", "1984-12-31", r"^198[1-7]-(0[1-9]|1[012])-(0[1-9]|1[012])$"),
        ("DATE_OF_BIRTH", "3/7/1984", r"^[1-9]/[1-9]/198[1-7]$"),
        ("EMAIL", "ana.lopez@firma.test", r"^[a-z]+\.[a-z]+@example\.(com|org|net)$"),
        ("EMAIL", "ana_lopez84@firma.test", r"^[a-z]+_[a-z]+\d+@example\.(com|org|net)$"),
        ("PERSON", "Jana Nováková", r"^\p{Lu}\p{Ll}+ \p{Lu}\p{Ll}+ová$"),
        ("PERSON", "jana novakova", r"^[a-z]+ [a-z]+ova$"),
        ("PERSON", "JANA NOVAKOVA", r"^[A-Z]+ [A-Z]+OVA$"),
        ("PERSON", "Anna-Lena Müller", r"^\p{Lu}\p{Ll}+-\p{Lu}\p{Ll}+ \p{Lu}\p{Ll}+$"),
        ("PERSON", "María de la Cruz", r"^\p{L}+ de la \p{L}+$"),
        ("PERSON", "J. Novak", r"^[A-Z]\. [A-Z][a-z]+$"),
        ("PERSON", "Novak, Jana", r"^[A-Z][a-z]+, [A-Z][a-z]+$"),
    ] {
        let pattern = regex::Regex::new(pattern).unwrap();
        for seed in 0..50 {
            let made = first(name, value, seed).unwrap_or_else(|| panic!("{value}"));
            assert!(pattern.is_match(&made), "{value}: {made}");
        }
    }
}

#[test]
fn what_has_no_safe_stand_in_has_none() {
    for (name, value) in [
        ("ADDRESS", "12 High Street"),
        ("SECRET", "sk-123"),
        ("ACCOUNT_ID", "K-12345"),
        ("PERSON", "Иван Петров"),
        ("PERSON", "田中"),
        ("PERSON", "J."),
        ("PHONE", "null eins fünf eins"),
        ("PHONE", "+1 212 867 5309 ext. 4"),
        ("IP", "[2a02::1]:80"),
        ("DATE_OF_BIRTH", "3 May 1984"),
        ("NATIONAL_ID", "85073003328"),
        ("IBAN", "DE89"),
        ("CREDIT_CARD", "1111"),
    ] {
        assert_eq!(first(name, value, 1), None, "{value}");
    }
}

#[test]
fn what_would_need_an_escape_between_the_parts_has_none() {
    for value in [
        "Patient \"Jana Novak\"",
        "Jana\nNovak",
        "Jana\tNovak",
        "Jana \\ Novak",
        "Jana <Novak>",
        "Jana & Petr",
        "Jana \u{85} Novak",
    ] {
        assert_eq!(first("PERSON", value, 1), None, "{value:?}");
    }
    assert!(first("PERSON", "Jana (Novak), Petr", 1).is_some());
}

#[test]
fn check_digits_hold() {
    for seed in 0..200 {
        let card = first("CREDIT_CARD", "4111 1111 1111 1111", seed).unwrap();
        let digits: Vec<u32> = card.chars().filter_map(|c| c.to_digit(10)).collect();
        let sum: u32 =
            digits.iter().rev().enumerate().map(|(at, d)| if at % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { *d }).sum();
        assert_eq!(sum % 10, 0, "{card}");
        let iban = first("IBAN", "FR14 2004 1010 0505 0001 3M02 606", seed).unwrap().replace(' ', "");
        let moved = format!("{}{}", &iban[4..], &iban[..4]);
        let rest = moved.chars().fold(0_u64, |rest, c| match c.to_digit(36).unwrap() {
            d @ ..10 => (rest * 10 + u64::from(d)) % 97,
            d => (rest * 100 + u64::from(d)) % 97,
        });
        assert_eq!(rest, 1, "{iban}");
    }
}

#[test]
fn names_keep_gender_and_language() {
    let of = |name: &str, seed| first("PERSON", name, seed).unwrap();
    let czech: HashSet<String> = (0..40).map(|seed| of("Božena Dvořáková", seed)).collect();
    assert!(czech.len() > 20 && czech.iter().all(|name| name.ends_with("ová")), "{czech:?}");
    let polish: HashSet<String> = (0..40).map(|seed| of("Zbigniew Kowalski", seed)).collect();
    assert!(polish.iter().all(|name| name.ends_with("ki")), "{polish:?}");
}

#[test]
fn a_surrogate_has_no_name_of_its_value() {
    for value in ["Agneta-Birgitta Ahlström", "Agneta-Birgitta", "birgitta-agneta", "D'Agneta Ahlström"] {
        let old = person::folded(value);
        for part in parts(entity("PERSON"), value).unwrap() {
            for seed in 0..400 {
                if let Some(made) = attempt(entity("PERSON"), value, &part, seed, 0) {
                    let made = person::folded(&made);
                    let mut names = made.split(['-', ' ', '\'']);
                    let of_part = person::folded(&value[part.at.clone()]);
                    assert!(!names.any(|name| of_part.split(['-', ' ', '\'']).any(|old| old == name)), "{old}: {made}");
                }
            }
        }
    }
}

#[test]
fn no_name_of_the_table_is_an_ordinary_word() {
    let mut common: HashSet<&str> = include_str!("../../rules/lists/common.txt").lines().collect();
    // Words that the lexicon leaves out, as they are names more often.
    common.extend(
        "beranek cavaleiro consuelo dolores encarnacion fiala floarea florence fontanelle germano hruska natividad ozlem \
         pascal purificacion ramazan remedios roman ruzicka saadet soledad trindade trnka umit visitacion zahradnik"
            .split(' '),
    );
    let fold = |name: &str| person::folded(name);
    for line in include_str!("../../rules/lists/surrogate-names.txt").lines().filter(|line| !line.starts_with('#')) {
        for name in line.split(' ').skip(2) {
            assert!(!common.contains(fold(name).as_str()), "{name}");
            assert!(name.chars().count() > 3 || name == "Radu", "{name}");
        }
    }
}

#[test]
fn a_name_alone_is_a_part_of_the_full_one() {
    let texts = |value: &str| -> Vec<String> {
        parts(entity("PERSON"), value).unwrap().iter().map(|part| value[part.at.clone()].to_owned()).collect()
    };
    assert_eq!(texts("Jana Novak"), ["Jana", "Novak"]);
    assert_eq!(texts("J. R. Novak"), ["J. R. Novak"]);
    assert_eq!(texts("John F. Kennedy"), ["John F", "Kennedy"]);
    assert_eq!(texts("Novak, Jana"), ["Novak", "Jana"]);
    assert_eq!(texts("María de la Cruz"), ["María", "Cruz"]);
    assert_eq!(texts("Sammy Davis Jr."), ["Sammy", "Davis"]);
    assert_eq!(texts("Sammy Davis III"), ["Sammy", "Davis"]);
    assert_eq!(texts("Davis Jr., Sammy"), ["Davis", "Sammy"]);
    assert_eq!(texts("María De La Cruz"), ["María", "Cruz"]);
    assert_eq!(texts("Anna Le"), ["Anna", "Le"]);
    assert_eq!(texts("Anna Le K."), ["Anna", "Le K"]);
    assert_eq!(texts("Anna Le Jr."), ["Anna", "Le"]);
    assert_eq!(texts("Minh Do"), ["Minh", "Do"]);
    assert_eq!(texts("Bin Wang"), ["Bin", "Wang"]);
    assert_eq!(texts("Nguyen Van An"), ["Nguyen", "An"]);
    assert_eq!(texts("Le, Anna"), ["Le", "Anna"]);
    assert_eq!(texts("LE"), ["LE"]);
    assert_eq!(texts("jan van dijk"), ["jan", "dijk"]);
    assert_eq!(texts("\u{a0}Jana\u{2003}Novak "), ["Jana", "Novak"]);
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_needs_an_escape(value in "\\PC{0,24}", seed: u64, n in 0..ATTEMPTS) {
        for name in ["PERSON", "PHONE", "IP", "MAC", "IBAN", "CREDIT_CARD", "NATIONAL_ID", "DATE_OF_BIRTH", "EMAIL"] {
            for part in parts(entity(name), &value).unwrap_or_default() {
                if let Some(made) = attempt(entity(name), &value, &part, seed, n) {
                    prop_assert!(!made.contains(['"', '\\', '<', '>', '&', '[', ']', '%']), "{}", made);
                    prop_assert_ne!(&made, &value[part.at.clone()]);
                }
            }
        }
    }

    #[test]
    fn restoring_undoes_surrogates(
        given in "[A-ZÄÖ][a-zäöüé]{2,8}", family in "[A-Z][a-z]{3,9}", seed: u64,
        behind in prop::sample::select(vec!["", ".", "'s", ", hello", " und", "!"]),
        cut in any::<prop::sample::Index>(),
    ) {
        let value = format!("{given} {family}");
        let parts = parts(entity("PERSON"), &value).unwrap();
        let made: Vec<String> = parts.iter().enumerate().filter_map(|(at, part)| {
            (0..ATTEMPTS).find_map(|n| attempt(entity("PERSON"), &value, part, seed ^ at as u64, n))
        }).collect();
        prop_assume!(made.len() == parts.len() && made.iter().collect::<HashSet<_>>().len() == made.len());
        let texts = made.iter().zip(&parts).map(|(made, part)| (made.clone(), value[part.at.clone()].to_owned()));
        let matcher = Arc::new(Matcher::new(texts));
        let joined = join(&value, &parts, made.iter().map(String::as_str)).unwrap();
        let sent = format!("To {joined}{behind}");
        let cut = sent.floor_char_boundary(cut.index(sent.len()));
        let mut restorer = Restorer::new(matcher);
        let mut text = String::new();
        let mut take = |piece: Piece<'_, String>| text.push_str(match piece {
            Piece::Text(plain) => plain,
            Piece::Surrogate { value, .. } => value,
        });
        restorer.push(&sent[..cut], &mut take);
        restorer.push(&sent[cut..], &mut take);
        restorer.finish(None, &mut take);
        prop_assert_eq!(text, format!("To {value}{behind}"));
    }
}
