//! The wire forms of consent, case by case.

use super::*;
use proptest::prelude::*;
use sfv::Parser;

const NOTICE: &str = "https://shop.example/privacy";

fn purpose(name: &str) -> Purpose {
    Purpose { name: name.to_owned(), basis: Basis::Consent, sale: false, sharing: false, profiling: false }
}

fn under(policy: Option<&str>, accept: &[&str]) -> ConsentConfig {
    ConsentConfig {
        policy: policy.map(str::to_owned),
        accept_policies: accept.iter().map(|&version| version.to_owned()).collect(),
        notice_url: NOTICE.to_owned(),
        require_signed: false,
    }
}

fn said(header: &str, purpose: &Purpose, config: &ConsentConfig) -> &'static str {
    verdict(&decide(&Presented { consent: Some(header), gpc: false }, purpose, config))
}

fn verdict(decision: &Decision) -> &'static str {
    match decision {
        Decision::Given => "given",
        Decision::Missing(Refusal { kind: RefusalKind::Required, .. }) => "required",
        Decision::Missing(Refusal { kind: RefusalKind::Stale, .. }) => "stale",
    }
}

#[test]
fn a_header_gives_support_or_does_not() {
    let long = format!("support, note=\"{}\"", "x".repeat(MAX_CONSENT_HEADER));
    let many = (0..200).map(|i| format!("p{i}")).collect::<Vec<_>>().join(", ") + ", support";
    for (header, expected) in [
        // The forms of one member.
        ("support", "given"),
        ("support=?1", "given"),
        (" support ", "given"),
        ("support=?0", "required"),
        ("support=1", "required"),
        ("support=0", "required"),
        ("support=1.0", "required"),
        ("support=true", "required"),
        ("support=\"true\"", "required"),
        ("support=\"?1\"", "required"),
        ("support=yes", "required"),
        ("support=:dHJ1ZQ==:", "required"),
        ("support=@1767225600", "required"),
        ("support=%\"yes\"", "required"),
        ("support=(?1)", "required"),
        ("support=(?1 ?1)", "required"),
        ("support=()", "required"),
        // Parameters say nothing about the member.
        ("support;q=0", "given"),
        ("support;v=?0", "given"),
        ("support=?1;at=@1767225600", "given"),
        ("support=?0;v=?1", "required"),
        ("support=();v", "required"),
        // Several members, in any order; the last of a name counts.
        ("support, marketing=?0", "given"),
        ("marketing, analytics, support", "given"),
        ("marketing=?0,support", "given"),
        ("marketing,\tsupport", "given"),
        ("marketing", "required"),
        ("marketing, analytics", "required"),
        ("support, support=?0", "required"),
        ("support=?0, support", "given"),
        ("support=?0, support=?1, support=(a b)", "required"),
        (&many, "given"),
        // Names are exact: case, prefix, suffix.
        ("Support", "required"),
        ("supports", "required"),
        ("suppor", "required"),
        ("*support", "required"),
        ("a=(support)", "required"),
        ("a=support", "required"),
        ("a=\"support\"", "required"),
        ("a;support", "required"),
        // Metadata beside it.
        ("support, method=click, at=@1767225600", "given"),
        ("method=click, at=@1767225600", "required"),
        // What does not parse counts as absent, all of it.
        ("", "required"),
        ("  ", "required"),
        ("support,", "required"),
        (",support", "required"),
        ("support,,marketing", "required"),
        ("support marketing", "required"),
        ("support;", "required"),
        ("support=", "required"),
        ("support=?2", "required"),
        ("support=?", "required"),
        ("support, =", "required"),
        ("support, a=(b", "required"),
        ("support, a=\"b", "required"),
        ("support, MARKETING", "required"),
        ("support, 1", "required"),
        ("\"support\"", "required"),
        ("?1", "required"),
        ("support\0", "required"),
        ("support\n", "required"),
        ("support, m=\u{e9}", "required"),
        ("\u{feff}support", "required"),
        (&long, "required"),
    ] {
        assert_eq!(said(header, &purpose("support"), &under(None, &[])), expected, "{header:?}");
    }
}

#[test]
fn no_header_gives_nothing() {
    let decision = decide(&Presented::default(), &purpose("support"), &under(None, &[]));
    assert_eq!(
        decision,
        Decision::Missing(Refusal {
            kind: RefusalKind::Required,
            missing: vec!["support".to_owned()],
            notice: NOTICE.to_owned(),
        })
    );
}

#[test]
fn the_version_of_the_notice_must_be_accepted() {
    let current = under(Some("2026-05"), &["2026-05"]);
    let both = under(Some("2026-05"), &["2026-05", "2026-01"]);
    let numbered = under(Some("7"), &["7"]);
    let named = under(Some("v7"), &["v7"]);
    let none = under(None, &[]);
    for (header, config, expected) in [
        ("support, policy=\"2026-05\"", &current, "given"),
        ("policy=\"2026-05\", support", &current, "given"),
        ("support, policy=\"2026-01\"", &current, "stale"),
        ("support, policy=\"\"", &current, "stale"),
        ("support, policy=\"2026-05 \"", &current, "stale"),
        ("support, policy=\"2026-05\";v=1", &current, "given"),
        ("support;policy=\"2026-01\"", &current, "given"),
        ("support", &current, "given"),
        ("support, policy=\"2026-01\"", &both, "given"),
        ("support, policy=\"2025-01\"", &both, "stale"),
        ("support, policy=\"2026-01\", policy=\"2026-05\"", &current, "given"),
        ("support, policy=\"2026-05\", policy=\"2026-01\"", &current, "stale"),
        ("support, policy=7", &numbered, "given"),
        ("support, policy=8", &numbered, "stale"),
        ("support, policy=v7", &named, "given"),
        ("support, policy=v6", &named, "stale"),
        // Required outranks stale: there is no consent that could be stale.
        ("support=?0, policy=\"2026-01\"", &current, "required"),
        ("marketing, policy=\"2026-01\"", &current, "required"),
        // What cannot be a version makes the header one that does not hold.
        ("support, policy", &current, "required"),
        ("support, policy=?1", &current, "required"),
        ("support, policy=1.5", &current, "required"),
        ("support, policy=(\"2026-05\")", &current, "required"),
        ("support, policy=@1767225600", &current, "required"),
        ("support, policy=:MjAyNi0wNQ==:", &current, "required"),
        ("support, policy=2026-05", &current, "required"),
        // Without a configured policy any version is taken.
        ("support, policy=\"2019-12\"", &none, "given"),
        ("support, policy=anything", &none, "given"),
        ("support, policy=?0", &none, "required"),
    ] {
        assert_eq!(said(header, &purpose("support"), config), expected, "{header:?}");
    }
}

#[test]
fn the_members_about_the_consent_name_no_purpose() {
    for name in RESERVED_MEMBERS {
        assert_eq!(said(name, &purpose(name), &under(None, &[])), "required", "{name}");
        assert_eq!(said(&format!("{name}=?1, support"), &purpose(name), &under(None, &[])), "required", "{name}");
    }
}

#[test]
fn gpc_objects_to_sale_sharing_and_profiling() {
    let plain = purpose("ads");
    let marked = [
        Purpose { sale: true, ..plain.clone() },
        Purpose { sharing: true, ..plain.clone() },
        Purpose { profiling: true, ..plain.clone() },
    ];
    let config = under(None, &[]);
    let gpc = |header| Presented { consent: header, gpc: true };
    for purpose in &marked {
        assert_eq!(verdict(&decide(&gpc(Some("ads")), purpose, &config)), "required");
        assert_eq!(verdict(&decide(&gpc(Some("ads=?1")), purpose, &config)), "required");
        assert_eq!(verdict(&decide(&gpc(None), purpose, &config)), "required");
        assert_eq!(said("ads", purpose, &config), "given");
    }
    assert_eq!(verdict(&decide(&gpc(Some("ads")), &plain, &config)), "given");
    assert_eq!(verdict(&decide(&gpc(None), &plain, &config)), "required");
    // An objection is not cured by a newer notice.
    let stale = decide(&gpc(Some("ads, policy=\"1\"")), &marked[0], &under(Some("2"), &["2"]));
    assert_eq!(verdict(&stale), "required");
}

#[test]
fn other_bases_ask_for_no_header() {
    let config = under(Some("2026-05"), &["2026-05"]);
    let marked = |basis| Purpose { basis, sale: true, ..purpose("fraud") };
    for basis in [Basis::Contract, Basis::LegalObligation, Basis::VitalInterests, Basis::PublicTask] {
        for consent in [None, Some("fraud=?0"), Some("((("), Some("fraud, policy=\"1\"")] {
            for gpc in [false, true] {
                let presented = Presented { consent, gpc };
                assert_eq!(decide(&presented, &marked(basis), &config), Decision::Given, "{basis:?} {consent:?} {gpc}");
            }
        }
    }
}

#[test]
fn legitimate_interest_yields_to_an_objection_alone() {
    let config = under(Some("2026-05"), &["2026-05"]);
    let plain = Purpose { basis: Basis::LegitimateInterest, ..purpose("fraud") };
    let marked = Purpose { profiling: true, ..plain.clone() };
    for (consent, gpc, purpose, expected) in [
        (None, false, &plain, "given"),
        (None, true, &plain, "given"),
        (None, false, &marked, "given"),
        (None, true, &marked, "required"),
        (Some("fraud"), true, &marked, "required"),
        (Some("fraud=?0"), false, &plain, "required"),
        (Some("fraud, policy=\"old\""), false, &plain, "given"),
        (Some("fraud=1"), false, &plain, "given"),
        (Some("support"), false, &plain, "given"),
        (Some("((("), false, &plain, "given"),
    ] {
        let decision = decide(&Presented { consent, gpc }, purpose, &config);
        assert_eq!(verdict(&decision), expected, "{consent:?} {gpc} {purpose:?}");
    }
}

proptest! {
    #[test]
    fn only_boolean_true_gives(header in "[ -~]{0,60}|(support|a|policy)(=[?0-9a-z\"()@:;]{0,4})?(, ?[a-z=?0-9]{0,8})*") {
        let given = decide(&Presented { consent: Some(&header), gpc: false }, &purpose("support"), &under(None, &[]));
        // The library's own map of the dictionary is the oracle.
        let oracle = Parser::new(&header).parse::<sfv::Dictionary>().is_ok_and(|members| {
            let is_true = |name: &str| matches!(
                members.get(name),
                Some(sfv::ListEntry::Item(item)) if item.bare_item == sfv::BareItem::Boolean(true)
            );
            let version_holds = !matches!(members.get("policy"), Some(entry) if !matches!(entry,
                sfv::ListEntry::Item(item) if matches!(item.bare_item,
                    sfv::BareItem::String(_) | sfv::BareItem::Token(_) | sfv::BareItem::Integer(_))));
            is_true("support") && version_holds
        });
        prop_assert_eq!(given == Decision::Given, oracle);
    }
}
