//! `privet selfcheck`: all protocols hold, a deployment's own configuration is
//! what is checked, and what does not hold is seen.

use crate::support::{privet, scratch_folder};
use serde_json::Value;

/// Runs it with this configuration and gives the exit code and the report.
fn selfcheck(toml: Option<&str>) -> (Option<i32>, Value) {
    let folder = scratch_folder();
    let mut command = privet();
    command.args(["selfcheck", "--format", "json"]);
    if let Some(toml) = toml {
        let file = folder.path().join("privet.toml");
        std::fs::write(&file, toml).unwrap();
        command.arg("--config").arg(file);
    }
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (
        output.status.code(),
        report.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8(output.stderr.clone()).unwrap())),
    )
}

/// The states of a row's cells, by entity.
fn states<'r>(report: &'r Value, route: &str, sample: &str, field: &str) -> Vec<(&'r str, &'r str)> {
    let is = |row: &&Value| row["route"] == route && row["sample"] == sample && row["field"] == field;
    let row = report["rows"].as_array().unwrap().iter().find(is);
    let row = row.unwrap_or_else(|| panic!("no row for {route} {sample} {field}"));
    let entities = row["entities"].as_object().unwrap().iter();
    entities.map(|(entity, cell)| (entity.as_str(), cell["state"].as_str().unwrap())).collect()
}

#[test]
fn nothing_leaks_and_all_comes_back_in_every_protocol() {
    let (code, report) = selfcheck(None);
    assert_eq!(report["problems"], serde_json::json!([]));
    assert_eq!((code, &report["holds"], &report["leaks"]), (Some(0), &true.into(), &0.into()));
    let rows = report["rows"].as_array().unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/protocols/samples");
    let names = |folder: &std::path::Path| -> Vec<String> {
        let all = std::fs::read_dir(folder).unwrap();
        all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    for protocol in names(&folder) {
        for name in names(&folder.join(&protocol)) {
            let sample = format!("{protocol}/{}", name.trim_end_matches(".json"));
            let all = |side: &str| rows.iter().filter(|row| row["sample"] == *sample && row["side"] == side).count();
            assert!(all("request") > 0, "{sample}");
        }
        let is_reply = |row: &&Value| row["side"] == "reply" && row["sample"].as_str().unwrap().starts_with(&protocol);
        for mode in ["", " (restore+redact)", " (pass)"] {
            let route = format!("/{mode}");
            assert!(rows.iter().any(|row| is_reply(&row) && row["route"] == route), "{protocol} {mode}");
        }
    }
    let all = ["CREDIT_CARD", "EMAIL", "IBAN", "IP", "PERSON", "PHONE"];
    assert_eq!(states(&report, "/", "openai-chat/chat", "messages[].content"), all.map(|entity| (entity, "ok")));
    assert!(report["checks"].as_u64().unwrap() > 10_000, "{}", report["checks"]);
    // What the chatbot says of others, in each way of treating replies.
    for route in ["/", "/ (restore+redact)", "/ (pass)"] {
        let states = states(&report, route, "openai-chat/chat", "event choices[].delta.content");
        assert_eq!(states, all.map(|entity| (entity, "ok")), "{route}");
    }
    for way in ["event (broken off)", "event place in choices[].delta.content", "(encoded)"] {
        assert!(states(&report, "/", "openai-chat/chat", way).contains(&("EMAIL", "ok")), "{way}");
    }
}

#[test]
fn the_routes_and_rules_of_a_deployment_are_what_is_checked() {
    let toml = r#"
upstream = "https://chatbot.invalid/base"
vault = "embedded:/nonexistent/vault"

[[purposes]]
name = "support"
[[purposes]]
name = "sales"
basis = "contract"

[detection.entities.PHONE]
operator = "mask"
[detection.entities.IP]
operator = "block"

[[routes]]
path = "/chat"
purpose = "support"
protocol = "openai-chat"
detection.entities.EMAIL.operator = "surrogate"

[[routes]]
path = "/sales"
purpose = "sales"
reply = "pass"
detection.rules.email.state = "off"

[[routes]]
path = "/stats"
purpose = "support"
without_consent = "anonymize"
detection.entities.PERSON.operator = "remove"

[[routes]]
path = "/strict"
purpose = "sales"
protocol = "openai-chat"
strict = true
"#;
    let (code, report) = selfcheck(Some(toml));
    assert_eq!((code, &report["problems"]), (Some(0), &serde_json::json!([])));
    let state = |route: &str, sample: &str, field: &str, entity: &str| {
        let states = states(&report, route, sample, field);
        states.iter().find(|(known, _)| *known == entity).map(|(_, state)| (*state).to_owned())
    };
    let ok = Some("ok".to_owned());
    for entity in ["EMAIL", "PHONE", "IBAN"] {
        assert_eq!(state("/chat", "openai-chat/chat", "messages[].content", entity), ok, "{entity}");
    }
    // Blocked requests are checked as a whole, and of values that do not come
    // back what the chatbot says of others.
    assert_eq!(state("/chat", "openai-chat/chat", "(all)", "IP"), ok);
    let of_others = |entity: &str| {
        let field = "choices[].message.content";
        let is = |row: &&Value| row["route"] == "/chat" && row["sample"] == "openai-chat/chat" && row["field"] == field;
        let row = report["rows"].as_array().unwrap().iter().find(is).unwrap();
        assert_eq!(row["entities"][entity]["state"], "ok", "{entity}");
        row["entities"][entity]["checks"] == 1
    };
    assert_eq!(["PHONE", "IP", "EMAIL", "IBAN"].map(of_others), [true, true, false, false]);
    assert_eq!(state("/sales", "json/bot", "message", "EMAIL"), Some("kept".to_owned()));
    assert_eq!(state("/sales", "json/bot", "answer", "IBAN"), ok, "`pass` leaves tokens, which is right");
    assert_eq!(state("/stats", "json/bot", "message", "PERSON"), ok);
    // A strict route takes what its protocol knows, and nothing else.
    assert_eq!(state("/strict", "openai-chat/chat", "messages[].content", "IBAN"), ok);
    let rows = report["rows"].as_array().unwrap();
    let unknown: Vec<_> =
        rows.iter().filter(|row| row["route"] == "/strict" && row["sample"] == "openai-chat/unknown").collect();
    assert_eq!((unknown.len(), &unknown[0]["field"], &unknown[0]["rest"]["state"]), (1, &"(all)".into(), &"ok".into()));
    assert!(rows.iter().any(|row| row["route"] == "/"), "the rest has a route too");
}

/// A deployment that asks for much, and whose files lie in this folder.
fn demanding(folder: &std::path::Path) -> String {
    let kept = folder.join("kept");
    let file = |name: &str| format!("\"{}\"", kept.join(name).display());
    format!(
        r#"
upstream = "https://chatbot.invalid/base"
erasures = {erasures}
backup = {{ dir = {backups}, every = "1s" }}
transcripts = {{ to = "file:{transcripts}" }}
webhooks = [{{ url = "https://crm.invalid/", events = ["subject.erased"], secret = "0123456789abcdef" }}]
cors = {{ origins = ["https://shop.example"] }}
subject = {{ from = ["header:X-User", "cookie:sid", "jwt:sub", "body:user"] }}

[headers]
keep = ["x-customer"]

[detection.entities.PHONE]
operator = "surrogate"

[limits]
client_requests = 60
request_body = "1 KiB"
json_depth = 4
in_flight = 1

[timeouts]
first_byte = "1ms"

[consent]
policy = "2026-05"
require_signed = true
jwks = "https://shop.invalid/keys"
audience = "privet"
issuer = "https://shop.example"

[[purposes]]
name = "support"
explicit = true
transcripts = true
reversible = ["EMAIL", "IP"]
[[purposes]]
name = "orders"
basis = "contract"

[[routes]]
path = "/"
protocol = "json"
identity = "token"

[[routes]]
path = "/stats"
protocol = "text"
without_consent = "anonymize"

[[routes]]
path = "/pass"
purpose = "orders"
reply = "pass"
"#,
        erasures = file("erasures"),
        backups = file("backups"),
        transcripts = kept.join("transcripts").display(),
    )
}

#[test]
fn what_a_deployment_may_ask_for_is_no_fault() {
    let folder = scratch_folder();
    std::fs::create_dir(folder.path().join("kept")).unwrap();
    let (code, report) = selfcheck(Some(&demanding(folder.path())));
    assert_eq!((code, &report["problems"]), (Some(0), &serde_json::json!([])));
    let whole = |route: &str, field: &str| states(&report, route, "json/bot", field).contains(&("EMAIL", "ok"));
    for route in ["/", "/pass"] {
        assert!(whole(route, "message") && whole(route, "(encoded)") && whole(route, "answer"), "{route}");
    }
    // What need not come back does not, and what is kept is told.
    assert!(states(&report, "/", "json/bot", "any header").contains(&("EMAIL", "kept")));
    assert!(states(&report, "/", "json/bot", "message").contains(&("PHONE", "ok")));
    // What the deployment keeps for its persons holds nothing of a check.
    let kept = std::fs::read_dir(folder.path().join("kept")).unwrap();
    assert_eq!(kept.count(), 0);
}

#[test]
fn a_basis_without_consent_asks_for_none() {
    for basis in ["legitimate-interest", "contract"] {
        let purposes = format!("[[purposes]]\nname = \"support\"\nbasis = \"{basis}\"\nprofiling = true\n");
        let toml =
            format!("upstream = \"http://127.0.0.1:1\"\n{purposes}[[routes]]\npath = \"/\"\nprotocol = \"json\"\n");
        let (code, report) = selfcheck(Some(&toml));
        assert_eq!((code, &report["problems"]), (Some(0), &serde_json::json!([])), "{basis}");
        assert!(states(&report, "/", "json/bot", "(encoded)").contains(&("EMAIL", "ok")), "{basis}");
    }
}

#[test]
fn a_configuration_that_does_not_hold_ends_with_2() {
    let folder = scratch_folder();
    let file = folder.path().join("privet.toml");
    std::fs::write(&file, "upstream = 7\n").unwrap();
    let output = privet().arg("selfcheck").arg("--config").arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty() && String::from_utf8(output.stderr).unwrap().contains("privet.toml:1"));
}

/// The built-in protocol file, with `field` among those that pass whatever they
/// hold, in requests or in replies.
fn blind(side: &str, field: &str) -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/protocols/openai-chat.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let (head, tail) = text.split_once(&format!("[{side}]\n")).unwrap();
    let list = if side == "request" { "verbatim = [" } else { "never = [" };
    format!("{head}[{side}]\n{}", tail.replacen(list, &format!("{list}\"{field}\", "), 1))
}

#[test]
fn a_field_that_is_passed_over_is_seen() {
    for (side, field, reply, problem, wanted) in [
        ("request", "messages[].content", "restore", "leak", "messages[].content"),
        ("reply", "choices[].delta.content", "restore", "wrong restore", "event choices[].delta.content"),
        ("reply", "choices[].delta.content", "restore+redact", "leak", "event choices[].delta.content"),
    ] {
        let folder = scratch_folder();
        std::fs::write(folder.path().join("blind.toml"), blind(side, field)).unwrap();
        let toml = format!("upstream = \"http://127.0.0.1:1\"\nprotocols = {:?}\n", folder.path());
        let toml = format!("{toml}[[routes]]\npath = \"/\"\nprotocol = \"openai-chat\"\nreply = \"{reply}\"\n");
        let (code, report) = selfcheck(Some(&toml));
        assert_eq!((code, &report["holds"]), (Some(1), &false.into()), "{side}");
        let problems = report["problems"].as_array().unwrap();
        let seen = |one: &&Value| one["problem"] == problem && one["side"] == side && one["field"] == wanted;
        assert!(problems.iter().any(|one| seen(&one)), "{side}: {problems:?}");
    }
}
