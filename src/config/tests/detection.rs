//! What a configuration says of detection, for all routes and for one.

use super::*;

fn rules() -> crate::detect::Engine {
    crate::detect::Engine::builtin().unwrap()
}

#[test]
fn a_route_is_laid_over_what_is_said_for_all() {
    use crate::detect::{Level, Operator, State};
    let config = load(
        r#"
        upstream = "http://127.0.0.1:9"
        [detection]
        level = "lenient"
        [detection.entities.PERSON]
        operator = "surrogate"
        threshold = 0.6
        [detection.entities.CREDIT_CARD]
        operator = "mask"
        mask = { keep_last = 4, character = "•" }
        [detection.rules."phone-digits"]
        state = "off"
        [[routes]]
        path = "/a"
        level = "strict"
        [[routes]]
        path = "/b"
        detection.entities = { PERSON = { operator = "hash" }, EMAIL = { level = "strict" }, CREDIT_CARD = { mask = { keep_first = 2 } } }
        detection.rules.ipv4.threshold = 1
        "#,
    );
    let engine = rules();
    let of = |path: &str| config.route(path).unwrap().detection.clone();
    let treatment = |path: &str, id: &str| {
        let plan = engine.plan(&of(path).wishes());
        let (at, _) = engine.rules().enumerate().find(|(_, rule)| rule.id == id).unwrap();
        plan.by_index(at).unwrap()
    };
    assert_eq!(of("/"), config.detection);
    assert_eq!(of("/").level, Level::Lenient);
    let person = treatment("/", "person-cue");
    assert_eq!((person.operator, person.threshold, person.state), (Operator::Surrogate, 0.6, State::On));
    assert_eq!(treatment("/", "phone-digits").state, State::Off);
    assert!((treatment("/", "email").threshold - 0.75).abs() < f32::EPSILON);
    assert!((treatment("/a", "email").threshold - 0.35).abs() < f32::EPSILON);
    assert!((treatment("/a", "person-cue").threshold - 0.6).abs() < f32::EPSILON, "an entity outweighs the level");
    let person = treatment("/b", "person-cue");
    assert_eq!((person.operator, person.threshold), (Operator::Hash, 0.6));
    assert!((treatment("/b", "email").threshold - 0.35).abs() < f32::EPSILON);
    assert!((treatment("/b", "ipv4").threshold - 1.0).abs() < f32::EPSILON);
    let card = "CREDIT_CARD".parse().unwrap();
    assert_eq!(of("/").mask(card), Mask { keep_first: 0, keep_last: 4, character: '•' });
    assert_eq!(of("/b").mask(card), Mask { keep_first: 2, keep_last: 4, character: '•' });
    assert_eq!(of("/").mask("EMAIL".parse().unwrap()), Mask::default());
    assert!(config.routes.iter().all(|route| route.detection.unknown_names(&engine).is_empty()));
}

#[test]
fn what_no_rule_has_is_named_with_its_place() {
    let toml = format!(
        "{UPSTREAM}[detection.entities.PERSO]\noperator = \"hash\"\n[detection.rules]\n\"phone.digits\" = {{ state = \"off\" }}\n[detection.entities]\nZZZZ.state = \"on\"\n"
    );
    let said: Vec<String> = load(&toml).detection.unknown_names(&rules()).iter().map(ToString::to_string).collect();
    let wanted = [
        "configuration:2:21: no rule finds the entity `PERSO`; write `PERSON`",
        "configuration:7:1: no rule finds the entity `ZZZZ`; `privet rules list` names all",
        "configuration:5:1: no rule has the id `phone.digits`; write `phone-digits`",
    ];
    assert_eq!(said, wanted);
}

#[test]
fn what_is_wrong_about_detection_is_told() {
    for (toml, said) in [
        ("[detection.entities.person]\nstate = \"on\"\n", "2:21: `person` is no name of an entity"),
        (
            "[detection.entities]\nPERSON = \"hash\"\n",
            "3:1: `PERSON` is a table; write [detection.entities.PERSON] and",
        ),
        (
            "[detection.entities.PERSON]\noperator = \"tokn\"\n",
            "3:1: `detection.entities.*.operator` does not take this word; write \"token\" (of",
        ),
        ("[detection.entities.PERSON]\nthreshold = 1.5\n", "is out of bounds; write a value from 0 to 1"),
        (
            "[detection.entities.PERSON]\nthreshold = 0.5\nlevel = \"strict\"\n",
            "4:1: `level` and `threshold` are given",
        ),
        ("[detection.entities.PERSON]\nthreshhold = 0.5\n", "write `threshold`"),
        ("[detection.entities.PERSON.mask]\ncharacter = \"a\"\n", "3:1: `character` is not one character"),
        ("[detection.entities.PERSON.mask]\ncharacter = \"**\"\n", "3:1: `character` is not one character"),
        (
            "[[routes]]\npath = \"/a\"\nlevel = \"strict\"\ndetection.level = \"strict\"\n",
            "5:11: the route has `level` and",
        ),
        ("[detection]\nentitys = {}\n", "write `entities`"),
    ] {
        let problems = problems(&format!("{UPSTREAM}{toml}"));
        assert!(problems.contains(said), "{toml}\n{problems}");
    }
}
