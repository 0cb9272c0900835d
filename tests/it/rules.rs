//! The tools of rule writers, as a stranger runs them: what they print, how
//! they end, and that their figures are those of an independent scorer.

use crate::support::{Client, Setup, Upstream, chat};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

fn privet(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_privet")).args(arguments).current_dir(folder).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Figures of `privet rules eval` for the findings of `tests/data/eval`.
fn figures(more: &[&str]) -> serde_json::Value {
    let mut arguments = vec!["rules", "eval", "corpus.jsonl", "--findings", "findings.jsonl", "--format", "json"];
    arguments.extend(more);
    let output = privet(&Path::new(DATA).join("eval"), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every figure that stands in `wanted` is in `got`.
fn same(path: &str, wanted: &serde_json::Value, got: &serde_json::Value) {
    use serde_json::Value::{Number, Object};
    match (wanted, got) {
        (Object(wanted), Object(_)) => {
            wanted.iter().for_each(|(key, value)| same(&format!("{path}.{key}"), value, &got[key]));
        }
        (Number(wanted), Number(got)) => {
            let (wanted, got) = (wanted.as_f64().unwrap(), got.as_f64().unwrap());
            assert!((wanted - got).abs() < 1e-12, "{path}: {wanted} and not {got}");
        }
        _ => assert_eq!(wanted, got, "{path}"),
    }
}

/// The expected figures were computed by another program, in another language.
#[test]
fn the_figures_are_those_of_an_independent_scorer() {
    let expected = |name: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(Path::new(DATA).join("eval").join(name)).unwrap()).unwrap()
    };
    let all = figures(&["--by", "lang"]);
    same("", &expected("expected.json"), &all);
    let two = figures(&["--entities", "PERSON,PHONE"]);
    same("", &expected("expected-two.json"), &two);
    assert!(two["entities"].get("EMAIL").is_none());
    // What the other program does not know: figures by rule.
    let rule = &all["rules"]["cue"];
    assert_eq!((&rule["gold"], &rule["findings"]), (&serde_json::json!(8), &serde_json::json!(3)));
}

/// Runs the commands of `tests/data/cli/*.txt`, each after `$ `, and compares
/// what they print with what stands below. With `PRIVET_BLESS=1` the files are
/// written anew.
#[test]
fn the_tools_print_what_is_recorded() {
    let folder = Path::new(DATA).join("cli");
    let mut wrong = Vec::new();
    let mut recorded: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    recorded.retain(|path| path.extension().is_some_and(|e| e == "txt"));
    recorded.sort();
    assert!(recorded.len() >= 6, "{recorded:?}");
    for path in recorded {
        let text = fs::read_to_string(&path).unwrap();
        let command = text.lines().next().unwrap().strip_prefix("$ ").unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{command}\necho \"exit code $?\"")])
            .current_dir(folder.join("input"))
            .env("PATH", with_privet())
            .output()
            .unwrap();
        let printed = format!("$ {command}\n{}", stdout(&output));
        if std::env::var_os("PRIVET_BLESS").is_some() {
            fs::write(&path, &printed).unwrap();
        } else if printed != text {
            wrong.push(format!("{}\n--- recorded\n{text}\n--- printed\n{printed}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

fn with_privet() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_privet")).parent().unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn exit_codes_tell_found_from_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.txt"), "write to ana@example.com").unwrap();
    fs::write(dir.path().join("b.txt"), "nothing").unwrap();
    fs::write(dir.path().join("bad.bin"), b"a\0\xff").unwrap();
    let code = |arguments: &[&str]| privet(dir.path(), arguments).status.code().unwrap();
    assert_eq!(code(&["scan", "a.txt"]), 0);
    assert_eq!(code(&["scan", "--fail", "a.txt"]), 1);
    assert_eq!(code(&["scan", "--fail-on-findings", "b.txt"]), 0);
    assert_eq!(code(&["scan", "none.txt"]), 2);
    assert_eq!(code(&["scan", "bad.bin"]), 2);
    assert_eq!(code(&["scan", "--packs", "none-such", "a.txt"]), 2);
    assert_eq!(code(&["scan", "--fail", "--packs", "-email", "a.txt"]), 0);
    assert_eq!(code(&["rules", "explain", "none-such"]), 2);
}

/// A folder of rules is checked by itself: who writes rules has no upstream.
#[test]
fn rules_are_checked_without_an_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let write = |pattern: &str| {
        let rule = format!("[[rule]]\nid = \"own\"\nentity = \"STAFF\"\npattern = '{pattern}'\n");
        fs::write(rules.join("own.toml"), rule).unwrap();
    };
    write("own-[0-9]+");
    let right = privet(folder.path(), &["check", "--rules", "rules"]);
    assert_eq!((right.status.code(), stdout(&right).as_str()), (Some(0), "rules are right\n"), "{}", stderr(&right));

    write("own-[0-9");
    let wrong = privet(folder.path(), &["check", "--rules", "rules"]);
    let said = stderr(&wrong);
    assert_eq!((wrong.status.code(), stdout(&wrong).as_str()), (Some(1), ""));
    assert!(said.contains("own.toml:4:11: ") && !said.contains("upstream"), "{said}");

    // Beside mistakes of the configuration those of the rules are told too.
    fs::write(folder.path().join("privet.toml"), "listen = 1\n").unwrap();
    let both = stderr(&privet(folder.path(), &["check", "--config", "privet.toml", "--rules", "rules"]));
    assert!(
        both.contains("own.toml:4:11: ") && both.contains("privet.toml:1:1: ") && both.contains("upstream"),
        "{both}"
    );

    let missing = privet(folder.path(), &["check", "--rules", "nowhere"]);
    assert_eq!(missing.status.code(), Some(1), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("--rules"), "{}", stderr(&missing));
}

#[test]
fn a_folder_is_scanned_and_what_is_no_text_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/a.txt"), "write to ana@example.com").unwrap();
    fs::write(dir.path().join("sub/binary"), b"a\0b ana@example.com").unwrap();
    fs::write(dir.path().join("latin.txt"), b"caf\xe9").unwrap();
    let output = privet(dir.path(), &["scan", "."]);
    assert_eq!(stdout(&output), "./sub/a.txt:1:10: EMAIL ana@example.com (email, 0.95)\n");
    let messages = stderr(&output);
    assert!(
        messages.contains("./sub/binary: is no text") && messages.contains("./latin.txt: is not UTF-8 from byte 3"),
        "{messages}"
    );
    assert!(messages.contains("2 files were passed over"), "{messages}");
    assert!(output.status.success());
}

#[test]
fn an_imported_file_is_a_rule_file() {
    let dir = tempfile::tempdir().unwrap();
    let input = Path::new(DATA).join("cli/input");
    for (file, text) in
        [("recognizers.yaml", "staff A-12345 here"), ("gitleaks.toml", "key acme_0123456789abcdef0123 here")]
    {
        let rules = dir.path().join(file.replace('.', "-"));
        fs::create_dir(&rules).unwrap();
        let out = rules.join("imported.toml");
        let import = ["rules", "import", file, "--out", out.to_str().unwrap()];
        assert!(privet(&input, &import).status.success());
        // It is not overwritten.
        assert_eq!(privet(&input, &import).status.code(), Some(2));
        fs::write(dir.path().join("text"), text).unwrap();
        let found = privet(dir.path(), &["scan", "text", "--rules", rules.to_str().unwrap(), "--fail"]);
        assert_eq!(found.status.code(), Some(1), "{}", stderr(&found));
    }
}

#[tokio::test]
async fn a_rule_in_shadow_is_counted_and_its_findings_are_forwarded() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "[[rule]]\nid = \"trial\"\nentity = \"TRIAL\"\npattern = 'harbour \\d{4}'\nstate = \"shadow\"\noperator = \"block\"\n";
    fs::write(folder.path().join("own.toml"), rule).unwrap();
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).toml(&format!("rules = \"{}\"\n", folder.path().display())).start();
    let reply = Client::new(&privet.gateway).chat(&chat("harbour 1234"), &[]).await;
    assert_eq!(reply.says(), "harbour 1234");
    privet.metric_becomes("privet_findings_total{direction=\"request\",entity=\"TRIAL\",rule=\"trial\"}", 1).await;
}
