//! The wire forms of consent, case by case.

use super::*;
use proptest::prelude::*;
use sfv::Parser;

const NOTICE: &str = "https://shop.example/privacy";

fn purpose(name: &str) -> Purpose {
    Purpose::asking(name)
}

fn under(policy: Option<&str>, accept: &[&str]) -> ConsentConfig {
    ConsentConfig {
        policy: policy.map(str::to_owned),
        accept_policies: accept.iter().map(|&version| version.to_owned()).collect(),
        notice_url: NOTICE.to_owned(),
        ..ConsentConfig::default()
    }
}

fn said(header: &str, purpose: &Purpose, config: &ConsentConfig) -> &'static str {
    by(Some(header), false, purpose, config)
}

/// By the header and the signal alone.
fn by(header: Option<&str>, gpc: bool, purpose: &Purpose, config: &ConsentConfig) -> &'static str {
    let header = header.and_then(read_header);
    let presented = Presented { header: header.as_ref(), gpc, ..Presented::default() };
    verdict(&decide(&presented, &Standing::default(), purpose, config))
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
    let decision = decide(&Presented::default(), &Standing::default(), &purpose("support"), &under(None, &[]));
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
    let gpc = |header, purpose: &Purpose| by(header, true, purpose, &config);
    for purpose in &marked {
        assert_eq!(gpc(Some("ads"), purpose), "required");
        assert_eq!(gpc(Some("ads=?1"), purpose), "required");
        assert_eq!(gpc(None, purpose), "required");
        assert_eq!(said("ads", purpose, &config), "given");
    }
    assert_eq!(gpc(Some("ads"), &plain), "given");
    assert_eq!(gpc(None, &plain), "required");
    // An objection is not cured by a newer notice.
    let stale = by(Some("ads, policy=\"1\""), true, &marked[0], &under(Some("2"), &["2"]));
    assert_eq!(stale, "required");
}

#[test]
fn other_bases_ask_for_no_header() {
    let config = under(Some("2026-05"), &["2026-05"]);
    let marked = |basis| Purpose { basis, sale: true, ..purpose("fraud") };
    for basis in [Basis::Contract, Basis::LegalObligation, Basis::VitalInterests, Basis::PublicTask] {
        for consent in [None, Some("fraud=?0"), Some("((("), Some("fraud, policy=\"1\"")] {
            for gpc in [false, true] {
                assert_eq!(by(consent, gpc, &marked(basis), &config), "given", "{basis:?} {consent:?} {gpc}");
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
        assert_eq!(by(consent, gpc, purpose, &config), expected, "{consent:?} {gpc} {purpose:?}");
    }
}

fn given(policy: &str, signed: bool) -> Standing {
    let given = Given { policy: Some(policy.to_owned()), method: Some("click".to_owned()), signed, time: 5 };
    Standing { given: Some(given), withdrawn: None }
}

fn withdrawn(time: u64) -> Standing {
    Standing { given: None, withdrawn: Some(time) }
}

/// By the header, the token and the record.
fn with(header: Option<&str>, token: Option<&str>, standing: &Standing, config: &ConsentConfig) -> &'static str {
    let (header, token) = (header.and_then(read_header), token.and_then(read_header));
    let presented = Presented { header: header.as_ref(), token: token.as_ref(), gpc: false, now: 1000 };
    verdict(&decide(&presented, standing, &purpose("support"), config))
}

#[test]
fn the_record_stands_where_the_request_says_nothing() {
    let config = under(Some("2"), &["2"]);
    let nothing = Standing::default();
    for (header, standing, expected) in [
        (None, given("2", false), "given"),
        (None, given("1", false), "stale"),
        (None, nothing.clone(), "required"),
        (Some("ads"), given("2", false), "given"),
        (Some("((("), given("2", false), "given"),
        // A refusal outweighs the record, and so does not what is stale.
        (Some("support=?0"), given("2", false), "required"),
        (Some("support, policy=\"1\""), given("2", false), "given"),
        (Some("support"), given("1", false), "given"),
    ] {
        assert_eq!(with(header, None, &standing, &config), expected, "{header:?} {standing:?}");
    }
}

#[test]
fn after_a_withdrawal_only_what_is_said_later_gives() {
    let config = under(None, &[]);
    for (said, expected) in [
        ("support", "required"),
        ("support, at=@99", "required"),
        ("support, at=@100", "required"),
        ("support, at=@101", "given"),
        ("support, at=@1300", "given"),
        ("support, at=@1301", "required"),
        ("support, at=\"soon\"", "required"),
        ("support=?0, at=@101", "required"),
    ] {
        assert_eq!(with(Some(said), None, &withdrawn(100), &config), expected, "{said}");
        assert_eq!(with(None, Some(said), &withdrawn(100), &config), expected, "token {said}");
    }
    // A time in the future is no reason to refuse what was not withdrawn.
    assert_eq!(with(Some("support, at=@9999"), None, &Standing::default(), &config), "given");
}

#[test]
fn where_consent_must_be_signed_only_what_is_signed_gives() {
    let config = ConsentConfig { require_signed: true, ..under(None, &[]) };
    let nothing = Standing::default();
    for (header, token, standing, expected) in [
        (Some("support"), None, &nothing, "required"),
        (None, Some("support"), &nothing, "given"),
        (Some("support=?0"), Some("support"), &nothing, "required"),
        (Some("support"), Some("support=?0"), &nothing, "required"),
        (None, None, &given("1", true), "given"),
        (None, None, &given("1", false), "required"),
        (Some("support"), None, &given("1", false), "required"),
    ] {
        assert_eq!(with(header, token, standing, &config), expected, "{header:?} {token:?} {standing:?}");
    }
}

#[test]
fn an_objection_stands_against_legitimate_interest() {
    let product = Purpose { basis: Basis::LegitimateInterest, ..purpose("product") };
    let config = under(None, &[]);
    for (header, expected) in [(None, "required"), (Some("product"), "required"), (Some("product, at=@101"), "given")] {
        let header = header.and_then(read_header);
        let presented = Presented { header: header.as_ref(), now: 1000, ..Presented::default() };
        assert_eq!(verdict(&decide(&presented, &withdrawn(100), &product, &config)), expected, "{header:?}");
    }
    // A contract is none's to withdraw here.
    let orders = Purpose { basis: Basis::Contract, ..purpose("orders") };
    assert_eq!(verdict(&decide(&Presented::default(), &withdrawn(100), &orders, &config)), "given");
}

#[test]
fn an_explicit_purpose_needs_an_act() {
    let health = Purpose { explicit: true, ..purpose("health") };
    let config = under(None, &[]);
    for (header, expected) in [
        ("health", "required"),
        ("health, method=implied", "required"),
        ("health, method=click", "given"),
        ("health, method=\"paper form\"", "given"),
    ] {
        assert_eq!(said(header, &health, &config), expected, "{header}");
    }
}

proptest! {
    #[test]
    fn only_boolean_true_gives(header in "[ -~]{0,60}|(support|a|policy)(=[?0-9a-z\"()@:;]{0,4})?(, ?[a-z=?0-9]{0,8})*") {
        let given = by(Some(&header), false, &purpose("support"), &under(None, &[]));
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
        prop_assert_eq!(given == "given", oracle);
    }
}
