use super::*;
use crate::detect::rule::RuleSet;
use crate::detect::said::phrase;
use crate::detect::{Engine, Input, Scratch};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::LazyLock;

/// An id of each kind: those that the authorities, or the standards and libraries
/// of the field, print as examples, else computed by hand.
const VECTORS: &[(&str, &str)] = &[
    ("at-svnr", "1237010180"),
    ("be-nn", "85073003328"),
    ("bg-egn", "9303019666"),
    ("cy-tic", "10259033P"),
    ("cz-rc", "7103192745"),
    ("de-ausweis", "T220001293"),
    ("de-idnr", "36574261809"),
    ("de-kvnr", "A123456780"),
    ("de-rvnr", "15070649C103"),
    ("dk-cpr", "2110625629"),
    ("baltic-code", "37605030299"),
    ("es-nie", "X2482300W"),
    ("es-nif", "54362315K"),
    ("es-nuss", "291450528523"),
    ("fi-hetu", "131052308T"),
    ("fr-nir", "295109912611193"),
    ("fr-spi", "3023217600053"),
    ("gr-afm", "094259216"),
    ("gr-amka", "01013099997"),
    ("hr-oib", "33392005961"),
    ("hu-ado", "8596654259"),
    ("hu-szemelyi", "28809167176"),
    ("hu-taj", "111111110"),
    ("ie-ppsn", "6433435F"),
    ("it-cf", "RCCMNL83S18D969H"),
    ("jmbg", "0101006500006"),
    ("lu-matricule", "1981050687062"),
    ("lv-pk", "16117519997"),
    ("mt-id", "0123456M"),
    ("nl-bsn", "111222333"),
    ("pl-dowod", "ABA300000"),
    ("pl-nip", "8567346215"),
    ("pl-paszport", "JF1924741"),
    ("pl-pesel", "44051401359"),
    ("pt-cc", "000000000ZZ4"),
    ("pt-nif", "222971029"),
    ("ro-cnp", "1630615123457"),
    ("se-pnr", "8803200016"),
    ("ch-ahv", "7569217076985"),
    ("gb-driving", "MARSH805154JA9AB"),
    ("gb-nhs", "9434765870"),
    ("gb-nino", "AB123456C"),
    ("gb-utr", "1955839661"),
    ("is-kennitala", "1201743399"),
    ("no-fnr", "15108695088"),
    ("tr-tckn", "17291716060"),
    ("ua-rnokpp", "1759013776"),
    ("ru-inn", "500100732259"),
    ("ru-snils", "11223344595"),
    ("kz-iin", "561213477378"),
    ("us-itin", "912701234"),
    ("us-ssn", "536904399"),
    ("ca-sin", "123456782"),
    ("mx-curp", "BOXW310820HNERXN09"),
    ("br-cpf", "39053344705"),
    ("ar-cuil", "20055361682"),
    ("cl-rut", "125319092"),
    ("ec-cedula", "1714307103"),
    ("uy-ci", "12345672"),
    ("do-cedula", "00131976862"),
    ("au-medicare", "2123456701"),
    ("au-tfn", "123456782"),
    ("ae-eid", "784198012345678"),
    ("cn-ric", "11010519491231002X"),
    ("hk-hkid", "A1234563"),
    ("id-nik", "3174015508900003"),
    ("il-id", "039337423"),
    ("in-aadhaar", "234123412346"),
    ("in-pan", "ACUPA7085R"),
    ("jp-mynumber", "621498320257"),
    ("kr-rrn", "8203062123938"),
    ("my-nric", "800515101234"),
    ("pk-cnic", "3520212345671"),
    ("sg-nric", "S1234567D"),
    ("th-id", "1234545678781"),
    ("eg-id", "28005150112345"),
    ("za-id", "7503305044089"),
];

/// Kinds whose structure says it all: there is no check digit.
const UNCHECKED: &[&str] =
    &["eg-id", "gb-driving", "gb-nino", "id-nik", "in-pan", "mt-id", "my-nric", "pk-cnic", "us-itin", "us-ssn"];

/// Kinds whose check digits miss a wrong digit at times: a rest of ten has no
/// digit of its own, or a second form is allowed.
const LENIENT: &[&str] = &[
    "at-svnr",
    "au-medicare",
    "bg-egn",
    "cl-rut",
    "cz-rc",
    "dk-cpr",
    "baltic-code",
    "br-cpf",
    "gr-afm",
    "hu-szemelyi",
    "jp-mynumber",
    "lv-pk",
    "nl-bsn",
    "pt-nif",
    "ro-cnp",
    "ru-inn",
    "ru-snils",
    "ua-rnokpp",
    "kr-rrn",
    "gb-utr",
    "be-nn",
    "fi-hetu",
    "ar-cuil",
    "pl-nip",
    "hu-ado",
    "is-kennitala",
    "uy-ci",
    "mx-curp",
    "th-id",
    "kz-iin",
    "it-cf",
    "de-kvnr",
    "de-rvnr",
    "fr-spi",
    "es-nuss",
];

fn strength(name: &str, id: &str) -> Option<Strength> {
    (kind_named(name)?.check)(id.as_bytes())
}

#[test]
fn every_kind_has_a_name_of_its_own_a_source_and_a_vector_that_holds() {
    let names: std::collections::HashSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), KINDS.len());
    let vectors: HashMap<&str, &str> = VECTORS.iter().copied().collect();
    for kind in KINDS {
        assert!(kind.source.len() > 8, "{}", kind.name);
        let vector = vectors.get(kind.name).unwrap_or_else(|| panic!("{} has no vector", kind.name));
        let wanted = if matches!(kind.name, "mt-id" | "id-nik") { Strength::Plausible } else { Strength::Checked };
        assert_eq!(strength(kind.name, vector), Some(wanted), "{} {vector}", kind.name);
    }
}

#[test]
fn forms_of_one_kind() {
    for (name, id) in [
        ("es-nie", "Y1234567X"),
        ("fr-nir", "2550814168025"),
        ("it-cf", "RSSMRA85T10A562S"),
        ("se-pnr", "198803200016"),
        ("lv-pk", "32673679679"),
        ("cz-rc", "405515763"),
        ("nl-bsn", "12345672"),
        ("hk-hkid", "AB9876543"),
        ("ie-ppsn", "6433435OA"),
        ("dk-cpr", "1501836450"),
        ("pk-cnic", "4210112345671"),
    ] {
        assert!(strength(name, id).is_some(), "{name} {id}");
    }
}

#[test]
fn no_kind_takes_another_length_or_sign() {
    for kind in KINDS {
        for id in ["", "1", "123", "ABC", "1234567890123456789012", "ÄÖÜ", "12345678٣", "000000000"] {
            assert_eq!((kind.check)(id.as_bytes()), None, "{} {id}", kind.name);
        }
    }
}

/// A small generator of its own, so that a failing case is one number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

/// Another id of the kind: some digits of a vector are thrown again until all
/// its rules hold.
fn vary(name: &str, vector: &str, dice: &mut Dice) -> String {
    let places: Vec<usize> = (0..vector.len()).filter(|&i| vector.as_bytes()[i].is_ascii_digit()).collect();
    for _ in 0..20_000 {
        let mut id = vector.as_bytes().to_vec();
        for _ in 0..4 {
            id[places[dice.roll(places.len())]] = b'0' + dice.roll(10) as u8;
        }
        let id = String::from_utf8(id).unwrap();
        if id != vector && strength(name, &id) == strength(name, vector) {
            return id;
        }
    }
    vector.to_owned()
}

/// Each id with one digit changed.
fn changed(id: &str) -> impl Iterator<Item = String> {
    let places: Vec<usize> = (0..id.len()).filter(|&i| id.as_bytes()[i].is_ascii_digit()).collect();
    places.into_iter().flat_map(move |i| {
        (b'0'..=b'9').filter(move |&d| d != id.as_bytes()[i]).map(move |d| {
            let mut other = id.as_bytes().to_vec();
            other[i] = d;
            String::from_utf8(other).unwrap()
        })
    })
}

/// A rule of the built-in packs that reads shapes.
struct ShapeRule {
    id: String,
    kind: String,
    shapes: Vec<(String, bool)>,
    context: String,
    score: f32,
}

static RULES: LazyLock<Vec<ShapeRule>> = LazyLock::new(|| {
    let set = RuleSet::builtin().unwrap();
    let rules = set.files.iter().flat_map(|file| &file.raw.rules).map(toml::Spanned::get_ref);
    rules
        .filter(|rule| rule.entity.get_ref() == "NATIONAL_ID")
        .filter(|rule| !rule.shapes.is_empty() || !rule.cued.is_empty())
        .filter_map(|rule| {
            let alone = rule.shapes.iter().map(|s| (s.get_ref().clone(), true));
            Some(ShapeRule {
                id: rule.id.get_ref().clone(),
                kind: rule.validator.as_ref()?.get_ref().clone(),
                shapes: alone.chain(rule.cued.iter().map(|s| (s.get_ref().clone(), false))).collect(),
                context: rule.context.first()?.words.first()?.get_ref().clone(),
                score: rule.score.as_ref().map_or(0.8, |s| *s.get_ref()),
            })
        })
        .collect()
});
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::builtin().unwrap());

/// The id written in a shape; `None` where it does not fit.
fn written(shape: &str, id: &str) -> Option<String> {
    let mut characters = id.chars();
    let mut text = String::new();
    for c in shape.chars() {
        text.push(match c {
            '9' => characters.next().filter(char::is_ascii_digit)?,
            'A' => characters.next().filter(char::is_ascii_uppercase)?,
            'X' => characters.next()?,
            other => other,
        });
    }
    characters.next().is_none().then_some(text)
}

fn found(text: &str) -> Vec<(String, String, String)> {
    let mut scratch = Scratch::default();
    let findings = ENGINE.scan(Input::text(text), &mut scratch);
    let name = |f: &crate::detect::Finding| ENGINE.rule(f.rule).id.clone();
    findings.iter().map(|f| (text[f.start..f.end].to_owned(), f.entity.to_string(), name(f))).collect()
}

#[test]
fn every_kind_has_a_rule_and_every_rule_a_word() {
    for kind in KINDS {
        assert!(RULES.iter().any(|rule| rule.kind == kind.name), "{} has no rule", kind.name);
    }
    for rule in RULES.iter() {
        assert!(phrase(&rule.context).is_some(), "{}", rule.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// An id of any kind, in any form its rule names, is found in any sentence.
    #[test]
    fn ids_of_every_kind_are_found(seed in 1_u64..u64::MAX) {
        let mut dice = Dice(seed);
        for rule in RULES.iter() {
            let vector = VECTORS.iter().find(|(name, _)| *name == rule.kind).map(|(_, vector)| *vector).unwrap();
            let id = vary(&rule.kind, vector, &mut dice);
            for (shape, alone) in &rule.shapes {
                let Some(text) = written(shape, &id) else { continue };
                let mut sentences = vec![
                    format!("my {} is {text}, thanks", rule.context),
                    format!("{}: {text}", rule.context),
                    format!("{text} ({})", rule.context),
                    format!("Hola, {} {text}\n\u{1f642}", rule.context),
                ];
                let trunk = text.starts_with('0') && rule.score < 0.8;
                if *alone && !trunk && strength(&rule.kind, &id) == Some(Strength::Checked) {
                    sentences.extend([format!("it says {text} here"), text.clone(), format!("«{text}».")]);
                    sentences.push(text.to_lowercase());
                }
                for sentence in sentences {
                    let all = found(&sentence);
                    let hit = all.iter().any(|(span, entity, _)| span.eq_ignore_ascii_case(&text) && entity == "NATIONAL_ID");
                    prop_assert!(hit, "{}: {sentence:?} gave {all:?}", rule.id);
                }
            }
        }
    }

    /// One wrong digit and the rule does not take it, whatever the words say.
    #[test]
    fn a_wrong_digit_is_seen(seed in 1_u64..u64::MAX) {
        let mut dice = Dice(seed);
        for &(name, vector) in VECTORS.iter().filter(|(name, _)| !UNCHECKED.contains(name)) {
            let id = vary(name, vector, &mut dice);
            let all = changed(&id).count();
            let passing = changed(&id).filter(|other| strength(name, other) == Some(Strength::Checked)).count();
            let allowed = if LENIENT.contains(&name) { all / 4 } else { 0 };
            prop_assert!(passing <= allowed, "{name} {id}: {passing} of {all}");
        }
        for rule in RULES.iter().filter(|rule| !UNCHECKED.contains(&rule.kind.as_str())) {
            let vector = VECTORS.iter().find(|(name, _)| *name == rule.kind).map(|(_, vector)| *vector).unwrap();
            let id = vary(&rule.kind, vector, &mut dice);
            let wrong = changed(&id).nth(dice.roll(changed(&id).count())).unwrap();
            if strength(&rule.kind, &wrong).is_none() {
                let all = found(&format!("my {} is {wrong}, thanks", rule.context));
                prop_assert!(!all.iter().any(|(_, _, id)| *id == rule.id), "{}: {wrong} gave {all:?}", rule.id);
            }
        }
    }

    /// Nothing that a check can be asked about makes it panic.
    #[test]
    fn checks_take_anything(id in proptest::collection::vec(any::<u8>(), 0..26), ascii in "[0-9A-Z]{0,24}") {
        for kind in KINDS {
            let _ = (kind.check)(&id);
            let _ = (kind.check)(ascii.as_bytes());
        }
    }
}
