use super::*;
use crate::clock::thread_nanos;

mod mistakes;
mod naive;
mod pieces;
mod texts;

fn engine() -> Engine {
    Engine::builtin().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn all_examples_hold() {
    let report = RuleSet::builtin().unwrap().test_examples().unwrap();
    let text: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(text.is_empty(), "\n{}", text.join("\n"));
}

fn spans(engine: &Engine, text: &str) -> Vec<(usize, usize, String)> {
    let mut scratch = Scratch::default();
    let findings = engine.scan(Input::text(text), &mut scratch);
    findings.iter().map(|f| (f.start, f.end, f.entity.to_string())).collect()
}

fn with(rules: &str) -> Result<Engine, RuleErrors> {
    let mut set = RuleSet::builtin().map_err(|e| RuleErrors(vec![e]))?;
    set.add("own.toml", rules)?;
    Engine::compile(&set)
}

fn problem(rules: &str) -> String {
    with(rules).map(|_| ()).expect_err("these rules must be refused").to_string()
}

/// What every result must be, for whatever text.
fn check(text: &str, findings: &[Finding]) {
    let mut last = 0;
    for f in findings {
        assert!(last <= f.start && f.start < f.end && f.end <= text.len(), "{f:?}");
        assert!(text.is_char_boundary(f.start) && text.is_char_boundary(f.end), "{f:?}");
        assert!((0.5..=1.0).contains(&f.score), "{f:?}");
        last = f.end;
    }
}

#[test]
fn a_label_is_a_cue() {
    let engine = engine();
    let mut scratch = Scratch::default();
    let mut found = |label, text| {
        let findings = engine.scan(Input { text, label }, &mut scratch);
        findings.iter().map(|f| (f.start, f.end, f.entity.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(found(None, "5550123456"), []);
    assert_eq!(found(Some("customerPhone"), "5550123456"), [(0, 10, "PHONE".into())]);
    assert_eq!(found(Some("order_number"), "4505887"), []);
    assert_eq!(found(Some("first_name"), "Zorbana"), [(0, 7, "PERSON".into())]);
    assert_eq!(found(Some("customerName"), "jana novak"), [(0, 10, "PERSON".into())]);
    assert_eq!(found(Some("name"), "get_weather"), []);
    assert_eq!(found(None, "Zorbana"), []);
}

/// Whoever was named is known at once, also among the words right behind.
#[test]
fn a_name_that_stands_again_behind_itself_is_known() {
    let engine = engine();
    for (text, names) in [
        ("Hi Faith Bush Faith here", vec!["Faith Bush", "Faith"]),
        ("I am AGUSTIN LONG LONG", vec!["AGUSTIN LONG", "LONG"]),
        ("leonore clara leonore clara", vec!["leonore clara", "leonore clara"]),
    ] {
        let found: Vec<_> = spans(&engine, text).into_iter().map(|(start, end, _)| &text[start..end]).collect();
        assert_eq!(found, names, "{text}");
    }
}

#[test]
fn rules_by_pattern_and_by_words_run_beside_the_built_in_ones() {
    let engine = with(
        r#"
        [[rule]]
        id = "badge"
        entity = "BADGE"
        pattern = '\bB-\d{4}\b'
        operator = "block"

        [[rule]]
        id = "project"
        entity = "PROJECT"
        words = ["Blue Heron", "Heron"]
        operator = "remove"

        [[rule]]
        id = "bonus"
        entity = "BONUS"
        patterns = ['\b\d{16}\b', '\b\d{4}-\d{4}-\d{4}-\d{4}\b']
        validator = "luhn"
        "#,
    )
    .unwrap();
    let text = "B-1234 works on blue heron, not heronry; write ana@example.com";
    assert_eq!(spans(&engine, text), [(0, 6, "BADGE".into()), (16, 26, "PROJECT".into()), (47, 62, "EMAIL".into())]);
    assert_eq!(spans(&engine, "9999000011112228 and 9999000011112222").len(), 1);
}

#[test]
fn a_keep_rule_is_an_exception() {
    let engine =
        with("[[rule]]\nid = \"ours\"\nentity = \"EMAIL\"\noperator = \"keep\"\nwords = [\"help@shop.example\"]\n")
            .unwrap();
    assert_eq!(spans(&engine, "write to help@shop.example or ana@shop.example"), [(30, 46, "EMAIL".into())]);
    // It covers a part only: the finding stands.
    assert_eq!(spans(&engine, "more.help@shop.example"), [(0, 22, "EMAIL".into())]);
}

#[test]
fn a_rule_in_shadow_finds_and_changes_nothing() {
    let engine = with(
        "[[rule]]\nid = \"trial\"\nentity = \"TRIAL\"\npattern = 'ana@[a-z.]+ \\w+'\nstate = \"shadow\"\noperator = \"block\"\n\
         [[rule]]\nid = \"digits\"\nentity = \"DIGITS\"\npattern = '7{3}'\nstate = \"off\"\n",
    )
    .unwrap();
    let mut scratch = Scratch::default();
    let text = "to ana@shop.example now 777";
    let found = engine.scan(Input::text(text), &mut scratch);
    assert_eq!(found.iter().map(|f| (f.start, f.end)).collect::<Vec<_>>(), [(3, 19)]);
    let shadow: Vec<_> = scratch.shadow().iter().map(|f| (f.start, f.end, engine.rule(f.rule).id.as_str())).collect();
    assert_eq!(shadow, [(3, 23, "trial")]);
    assert_eq!(scratch.shadow()[0].operator, Operator::Block);
    engine.scan(Input::text("nothing"), &mut scratch);
    assert!(scratch.shadow().is_empty());
    let mut counts = Vec::new();
    scratch.drain_shadow(|rule, count| counts.push((engine.rule(rule).id.clone(), count)));
    assert_eq!(counts, [("trial".to_owned(), 1)]);
    scratch.drain_shadow(|_, _| panic!("all was handed out"));
}

#[test]
fn a_finders_rule_in_shadow_leaves_the_place_to_others() {
    let shadow = "[[rule]]\nid = \"phone-international\"\nentity = \"PHONE\"\nfinder = \"phone-international\"\nstate = \"shadow\"\n";
    let engine = with(shadow).unwrap();
    let mut scratch = Scratch::default();
    let found = engine.scan(Input::text("my phone is +49 30 123456"), &mut scratch).len();
    assert_eq!((found, scratch.shadow().len()), (1, 1));
}

#[test]
fn packs_are_switched_as_one() {
    let mut set = RuleSet::builtin().unwrap();
    let rule = |id: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\nentity = \"{}\"\npattern = '{id}\\d'\nmatch = [\"{id}1\"]\n",
            id.to_uppercase()
        )
    };
    set.add("own.toml", &format!("[pack]\nname = \"own\"\ndefault = false\ndomain = \"work\"\n{}", rule("aa")))
        .unwrap();
    set.add("tr.toml", &rule("bb").replace("match", "regions = [\"TR\"]\nmatch")).unwrap();
    let found = |switches: &[&str]| {
        let mut set = set.clone();
        let switches: Vec<PackSwitch> = switches.iter().map(|s| s.parse().unwrap()).collect();
        set.select(&switches).unwrap();
        let engine = Engine::compile(&set).unwrap();
        spans(&engine, "aa1 bb1 a@b.example").into_iter().map(|(.., entity)| entity).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found(&[]), "BB EMAIL");
    assert_eq!(found(&["own"]), "AA BB EMAIL");
    assert_eq!(found(&["domain:work", "-email", "-region:TR"]), "AA");
    let report = set.test_examples().unwrap();
    assert_eq!(report.failures, []);
    assert_eq!((report.off, report.run), (0, Engine::compile(&set).unwrap().example_count()));
}

#[test]
fn a_context_word_has_a_weight_of_its_own() {
    let engine = with(
        "[[rule]]\nid = \"a\"\nentity = \"AA\"\npattern = '\\bz\\d{3}\\b'\nscore = 0.2\nweight = 0.4\n\
         context = [\"desk\", { words = [\"pult\", \"tisch\"], weight = 0.2 }, { words = [\"bord\"], weight = 0.5, languages = [\"sv\"] }]\n\
         against = [{ words = [\"room\"], weight = 0.1 }]\n",
    )
    .unwrap();
    let score = |text| {
        let mut scratch = Scratch::default();
        engine.scan(Input::text(text), &mut scratch).iter().map(|f| (f.score * 10.0).round()).next()
    };
    assert_eq!(score("desk z123"), Some(6.0));
    assert_eq!(score("bord z123"), Some(7.0));
    assert_eq!(score("pult z123"), None);
    assert_eq!(score("z123"), None);
}

#[test]
fn a_scratch_serves_any_engine() {
    let one = with("[[rule]]\nid = \"a\"\nentity = \"AA\"\npattern = 'aaa+'\n").unwrap();
    let two = with("[[rule]]\nid = \"b\"\nentity = \"BB\"\npattern = 'bbb+'\n[[rule]]\nid = \"c\"\nentity = \"CC\"\npattern = 'ccc+'\n").unwrap();
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        assert_eq!(one.scan(Input::text("aaa bbb"), &mut scratch).len(), 1);
        assert_eq!(two.scan(Input::text("aaa bbb ccc"), &mut scratch).len(), 2);
    }
}

#[test]
fn the_version_changes_with_the_rules() {
    let builtin = engine();
    assert_eq!(builtin.version(), engine().version());
    assert_ne!(builtin.version(), with("[words]\ngiven = [\"zorbana\"]\n").unwrap().version());
    assert_eq!(builtin.version().len(), 12);
}

/// Texts that are all trap: time must grow as the text does, which is seen in
/// the ratio of two lengths rather than in seconds.
#[test]
fn time_is_linear_in_hostile_text() {
    let engine = engine();
    let mut scratch = Scratch::default();
    let units = [
        "@",
        "a@",
        "a@b",
        "@a.",
        "7",
        "12 ",
        "1-",
        "+1 2",
        "(0)",
        "00 ",
        " ",
        "a",
        "é",
        "Ab ",
        "Maria ",
        "Maria-",
        "J. ",
        "O'",
        "de ",
        "a:",
        ":",
        "::",
        "f:1.",
        "DE12 ",
        "de12",
        "at dot ",
        "(at)",
        " @ . ",
        "my name is ",
        "Dr ",
        "x\n",
        "1.1.1.1",
        "０",
        "ﬀ",
        "e\u{301}",
        "a.",
        "4111 ",
        "mr. ",
        "and Maria ",
        "ext ",
    ];
    for unit in units {
        // The same amount of text each time, so that other work on the machine
        // slows both alike, and the best of some runs: it only adds.
        let mut time = |len: usize| {
            let text = unit.repeat(len / unit.len());
            let runs = (0..3).map(|_| {
                let start = thread_nanos();
                for _ in 0..(256 << 10) / len {
                    check(&text, engine.scan(Input::text(&text), &mut scratch));
                }
                (thread_nanos() - start) as f64 / 1e9
            });
            runs.fold(f64::MAX, f64::min)
        };
        let (short, long) = (time(16 << 10), time(256 << 10));
        assert!(long < short * 6.0 + 0.01, "{unit:?}: {short} s for 16 KiB sixteen times, {long} s for 256 KiB");
    }
}

mod properties {
    use super::pieces::piece;
    use super::*;
    use proptest::prelude::*;
    use std::sync::OnceLock;

    fn shared() -> &'static Engine {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        ENGINE.get_or_init(engine)
    }

    proptest! {
        #[test]
        fn any_part_of_any_bytes_is_sound(bytes in prop::collection::vec(any::<u8>(), 0..200), pieces in prop::collection::vec(piece(), 0..24), from in 0_usize..300, len in 0_usize..300) {
            let text = pieces.concat() + &bytes.iter().map(|b| char::from(*b)).collect::<String>();
            crate::detect::properties::parts_are_sound(shared(), &text, from, from + len);
        }

        #[test]
        fn another_spelling_hides_nothing(value in prop::sample::select(vec!["ana.novak@example.com", "4111 1111 1111 1111", "+49 30 123456", "DE89 3704 0044 0532 0130 00", "198.51.100.77"]), choices in prop::collection::vec(0_u8..6, 32)) {
            let before = "Größe 5 & mehr: ";
            let plain = format!("{before}{value} ok");
            let wanted = spans(shared(), &plain);
            prop_assert!(!wanted.is_empty(), "{}", plain);
            let spelled: String = value.chars().zip(&choices).map(|(c, choice)| match choice {
                0 if c.is_ascii_graphic() => char::from_u32(c as u32 - 0x21 + 0xff01).unwrap().to_string(),
                1 if c != ' ' => format!("{c}\u{200b}"),
                2 => format!("&#{};", c as u32),
                3 => format!("&#x{:X};", c as u32),
                4 if c == ' ' => "\u{a0}".to_owned(),
                4 if c.is_ascii_digit() => char::from_u32(c as u32 - 0x30 + 0x966).unwrap().to_string(),
                _ => c.to_string(),
            }).collect();
            let text = format!("{before}{spelled} ok");
            let found = spans(shared(), &text);
            let end = before.len() + spelled.trim_end_matches('\u{200b}').len();
            prop_assert_eq!(found, vec![(before.len(), end, wanted[0].2.clone())], "{}", text);
        }

        #[test]
        fn mail_is_found_in_any_surroundings(before in "[ \n\"<,;]?", local in "[a-z][a-z0-9]{0,12}([._-][a-z0-9]{1,8}){0,2}", domain in "[a-z]{1,10}(-[a-z0-9]{1,5})?\\.(com|org|example|co\\.uk)", behind in "[ \n\">,;!?)]?") {
            let text = format!("{before}{local}@{domain}{behind}");
            let found = spans(shared(), &text);
            prop_assert_eq!(found, vec![(before.len(), text.len() - behind.len(), "EMAIL".to_owned())], "{}", text);
        }

        #[test]
        fn every_ipv6_address_is_found_in_every_form(bits in any::<u128>(), zeros in any::<u8>()) {
            // Some groups are zero, so that the short form has its gap.
            let mut groups = std::net::Ipv6Addr::from(bits).segments();
            for (i, group) in groups.iter_mut().enumerate() {
                if zeros >> i & 1 == 1 {
                    *group = 0;
                }
            }
            groups[0] |= 0x2001;
            let address = std::net::Ipv6Addr::from(groups);
            let full = groups.map(|g| format!("{g:04X}")).join(":");
            for form in [address.to_string(), full] {
                let text = format!("host [{form}]:80");
                prop_assert_eq!(spans(shared(), &text), vec![(6, 6 + form.len(), "IP".to_owned())], "{}", text);
            }
        }

        #[test]
        fn a_card_with_a_wrong_digit_is_none(digits in prop::collection::vec(0_u8..10, 14), at in 0_usize..16, by in 1_u8..10) {
            let mut card = vec![4];
            card.extend(&digits);
            let check = (0..10).find(|&c| crate::detect::validate::luhn(card.iter().copied().chain([c]))).unwrap();
            card.push(check);
            let show = |card: &[u8]| card.chunks(4).map(|c| c.iter().map(|d| (b'0' + d) as char).collect::<String>()).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(spans(shared(), &format!("card {}", show(&card))), vec![(5, 24, "CREDIT_CARD".to_owned())]);
            card[at] = (card[at] + by) % 10;
            let found = spans(shared(), &format!("card {}", show(&card)));
            prop_assert!(found.iter().all(|s| s.2 != "CREDIT_CARD"));
        }
    }
}

#[test]
fn examples_of_the_packs_that_are_off_hold() {
    let mut set = RuleSet::builtin().unwrap();
    set.select(&["all".parse().unwrap()]).unwrap();
    let engine = Engine::compile(&set).unwrap();
    let text: Vec<String> = engine.test_examples().iter().map(ToString::to_string).collect();
    assert!(text.is_empty(), "\n{}", text.join("\n"));
}

#[test]
fn of_two_readings_the_nearest_word_decides() {
    let engine = engine();
    let entity = |text: &str| {
        let all = spans(&engine, text);
        assert!(all.len() < 2, "{text}: {all:?}");
        all.first().map(|(_, _, entity)| entity.clone()).unwrap_or_default()
    };
    // Nine digits that the check of the Dutch number takes.
    assert_eq!(entity("BSN 612345679"), "NATIONAL_ID");
    assert_eq!(entity("bel me op 612345679"), "PHONE");
    assert_eq!(entity("612345679"), "");
    // Eleven digits with a date and a check digit.
    assert_eq!(entity("44051401359"), "NATIONAL_ID");
    assert_eq!(entity("paczka 44051401359"), "");
    assert_eq!(entity("mój telefon to 44051401359"), "PHONE");
    // A card's number, and an id in the same digits.
    assert_eq!(entity("card 4222222222222"), "CREDIT_CARD");
    assert_eq!(entity("4222222222222"), "");
    // A social security number and a telephone number.
    assert_eq!(entity("536-22-1234"), "NATIONAL_ID");
    assert_eq!(entity("201-555-0123"), "PHONE");
}

#[test]
fn a_label_makes_an_id() {
    let engine = engine();
    let mut scratch = Scratch::default();
    let mut found = |label, text| {
        let findings = engine.scan(Input { text, label: Some(label) }, &mut scratch);
        findings.iter().map(|f| f.entity.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found("bsn", "111222333"), ["NATIONAL_ID"]);
    assert_eq!(found("nationalId", "111222333"), ["NATIONAL_ID"]);
    assert_eq!(found("SIN", "123456782"), ["NATIONAL_ID"]);
    assert_eq!(found("orderId", "111222333"), Vec::<String>::new());
}

#[test]
fn a_rule_of_ones_own_by_shape() {
    let engine = with(
        r#"
[[rule]]
id = "staff"
entity = "STAFF"
shapes = ["AA-9999"]
cued = ["9999"]
context = ["staff card", "EMP"]
match = ["«QX-1234»", "staff card «1234»", "EMP «1234»"]
ignore = ["1234", "emp 1234", "AQX-1234", "QX-12345", "QX-1234-5"]
"#,
    );
    let engine = engine.unwrap_or_else(|e| panic!("{e}"));
    let failures: Vec<String> =
        engine.test_examples().iter().filter(|f| f.rule == "staff").map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{failures:?}");
}
