//! What is remembered of texts.

use super::*;

#[test]
fn what_was_refused_is_not_taken_for_clean() {
    use base64::Engine as _;
    let file = base64::engine::general_purpose::STANDARD.encode(b"Jos\xe9 <jose@example.com>, at home");
    let inner =
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(format!("{{\"a\":\"data:text/plain;base64,{file}\"}}"));
    let body = format!(r#"{{"messages":[{{"content":"see {inner} ok"}},{{"content":"see {inner} ok"}}]}}"#);
    let mut scratch = Scratch::default();
    for _ in 0..3 {
        scratch.start_conversation();
        let looked = inspect_json(&body, &Rules { clean: Some(&CLEAN), ..rules("openai-chat") }, &mut scratch);
        assert!(looked.is_err());
    }
}

#[test]
fn a_text_that_held_nothing_is_looked_at_again_where_it_may_hold_something() {
    let clean = Clean::new(&Arc::default()).unwrap();
    let rules = Rules { clean: Some(&clean), ..rules("openai-chat") };
    let mut scratch = Scratch::default();
    let mut values = |body: &str| {
        scratch.start_conversation();
        let found = inspect_json(body, &rules, &mut scratch).unwrap();
        found.each().map(|one| found.value(one).to_owned()).collect::<Vec<_>>()
    };
    let turns = |texts: &[&str]| {
        let turn = |text: &&str| serde_json::json!({"role": "user", "content": text});
        serde_json::json!({"messages": texts.iter().map(turn).collect::<Vec<_>>()}).to_string()
    };
    let said = "the parcel went to novak and not to me";
    for _ in 0..2 {
        assert_eq!(values(&turns(&[said])), Vec::<String>::new());
        // Known by name, the same words are a finding.
        assert_eq!(values(&turns(&["My name is Jana Novak.", said])), ["Jana Novak", "novak"]);
        // So are they under a name that says what they are.
        assert_eq!(values("{\"note\": \"nightjar9-Blue\"}"), Vec::<String>::new());
        assert_eq!(values("{\"password\": \"nightjar9-Blue\"}"), ["nightjar9-Blue"]);
    }
}

#[test]
fn a_text_that_held_something_is_scanned_once() {
    let (clean, mut scratch) = (Clean::new(&Arc::default()).unwrap(), Scratch::default());
    let body = r#"{"messages":[{"role":"user","content":"Hello, my name is Jana Novak@"}]}"#;
    let mut is_scanned = |rest: &str| {
        scratch.start_conversation();
        let rules = Rules { clean: Some(&clean), ..rules("openai-chat") };
        let found = inspect_json(&body.replace('@', rest), &rules, &mut scratch).unwrap();
        assert_eq!(found.value(&found.list[0]), "Jana Novak");
        // Only a scan knows what speaks for a finding.
        scratch.evidence(0).describe().next().is_some()
    };
    let long = " and I would like to know where the parcel is that you have sent me.";
    assert_eq!([long, long, ".", "."].map(&mut is_scanned), [true, false, true, true]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Turns of conversations that share a memory, whatever came before.
    #[test]
    fn what_is_remembered_changes_nothing(turns in prop::collection::vec(prop::sample::select(vec![
        "Hello, my name is Jana Novak, where is the parcel that you have sent me?",
        "the parcel went to novak and not to me, though I have waited for it at home",
        "the parcel went to novak and not to me",
        "mail ana@example.com &amp; bo@example.org, and tell me whether the parcel was there",
        "mail ana&#64;example.com or call +49 151 23456789, and tell me whether the parcel was there",
        "mail bo@example.org, who is no more a **cut** ana@exa<b>mple.com</b> than the others are",
        "ana.no",
        "vak@example.com is mine",
        "4111 1111",
        "1111 1111",
        "bWFpbCBhbmFAZXhhbXBsZS5jb20gYW5kIGJvQGV4YW1wbGUub3Jn",
        "Jana_Novak.pdf and quixel.doc",
        "Regards,\nTim Quixel",
        "the quixel order is late, and jana has told Anne-Marie O'Brannigan and me so twice",
        "My name is \u{ff2a}\u{ff41}\u{ff4e}\u{ff41} Quixel and I would like to know where my parcel has gone",
        "quixel jana \u{ff2a}\u{ff41}\u{ff4e}\u{ff41} Quixel",
        "{\"name\": \"Novak\", \"mail\": \"ana@example.com\"}",
        "thank you",
    ]), 1..9), named in prop::bool::ANY) {
        let turn = |text: &&str| {
            let mut turn = serde_json::json!({"role": "user", "content": text});
            if named {
                turn["name"] = "Jana_Novak".into();
            }
            turn
        };
        inspect("openai-chat", &serde_json::json!({"messages": turns.iter().map(turn).collect::<Vec<_>>()}).to_string());
    }
}
