//! Holds the documents to the repository: what they name is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "PRIVACY.md",
    "benches/README.md",
    "docs/limits.md",
    "docs/protocols.md",
];

#[test]
fn every_test_that_a_document_names_exists() {
    let texts = [read("ARCHITECTURE.md"), read("PRIVACY.md")];
    let mut missing = Vec::new();
    let mut named = 0;
    for (file, function) in texts.iter().flat_map(|text| code_spans(text)).filter_map(|span| span.split_once("::")) {
        if !file.contains('/') {
            continue;
        }
        named += 1;
        let source = fs::read_to_string(root().join(file)).unwrap_or_default();
        let (rust, python) = (format!("fn {function}("), format!("def {function}("));
        if !source.contains(&rust) && !source.contains(&python) {
            missing.push(format!("{file}::{function}"));
        }
    }
    assert!(missing.is_empty(), "documents name what is not there:\n{}", missing.join("\n"));
    assert!(named > 10, "the invariants were not found");
}

/// Each duty that a chatbot meets names what serves it, a test that shows it,
/// and what is left to the company.
#[test]
fn every_duty_of_the_law_has_a_part_and_a_test() {
    let text = read("PRIVACY.md");
    let mut met = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| Art.")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [duty, part, test, rest] = cells[..] else { panic!("{row}") };
        assert!(!part.is_empty() && test.contains("::") && !rest.is_empty(), "{row}");
        for articles in duty.split("Art. ").skip(1) {
            let numbers: String = articles.chars().take_while(|c| c.is_ascii_digit() || ", ".contains(*c)).collect();
            met.extend(numbers.split(',').filter_map(|number| number.trim().parse::<u32>().ok()));
        }
    }
    let duties = [5, 6, 7, 9].into_iter().chain(12..=22).chain([25, 28, 30]).chain(32..=35);
    let missing: Vec<u32> = duties.filter(|article| !met.contains(article)).collect();
    assert!(missing.is_empty(), "articles without a row: {missing:?}");
}

#[test]
fn every_file_that_a_document_names_exists() {
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|l| !l.contains("://") && !l.starts_with('#')) {
            if !folder.join(link).exists() {
                missing.push(format!("{document}: {link}"));
            }
        }
        // In ARCHITECTURE.md paths stand as code, from the top.
        let paths =
            code_spans(&text).filter(|s| ["src/", "tests/", "rules/", "deploy/"].iter().any(|p| s.starts_with(p)));
        for path in paths.filter_map(|s| s.split("::").next()).filter(|s| !s.contains(['<', '*', ' '])) {
            if !root().join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "documents name what is not there:\n{}", missing.join("\n"));
}

#[test]
fn every_metric_that_is_named_is_counted() {
    let declared = read("src/telemetry/metrics.rs");
    let mut unknown = BTreeSet::new();
    for document in ["README.md", "deploy/prometheus/alerts.yaml"] {
        let text = read(document);
        for (at, _) in text.match_indices("privet_") {
            let name: String = text[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if !declared.contains(&format!("\"{name}\"")) {
                unknown.insert(format!("{document}: {name}"));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_example_configuration_is_right() {
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_privet"))
        .args(["check", "--config", "deploy/privet.toml"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8(out.stderr).unwrap());
}

/// What stands between single backticks, outside fenced blocks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
