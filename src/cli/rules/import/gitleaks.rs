//! Rules of gitleaks: TOML with a Go regular expression in each.

use super::syntax::{Dialect, convert};
use super::{Draft, Group, Imported, slug};
use serde::Deserialize;

/// The score of a rule whose pattern says enough by itself.
const SURE: f32 = 0.9;
/// The score of a rule that needs one of its keywords nearby.
const NEEDS_KEYWORD: f32 = 0.3;
/// With it a pattern in a text counts where a keyword is near.
const WEIGHT: f32 = 0.5;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    rules: Vec<Rule>,
    extend: Option<Extend>,
    allowlist: Option<toml::Value>,
    allowlists: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extend {
    #[serde(default)]
    use_default: bool,
    path: Option<String>,
    #[serde(default)]
    disabled_rules: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    secret_group: Option<u32>,
    entropy: Option<f64>,
    path: Option<String>,
    #[serde(default)]
    keywords: Vec<String>,
    allowlist: Option<toml::Value>,
    allowlists: Option<toml::Value>,
}

pub(super) fn read(text: &str) -> Result<Imported, String> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        format!("line {line}: {}", error.message().lines().next().unwrap_or_default())
    })?;
    let mut imported = Imported::default();
    if let Some(extend) = &file.extend {
        if extend.use_default {
            imported.lose("[extend]", "useDefault: import the default rules of gitleaks from their own file");
        }
        if let Some(path) = &extend.path {
            imported.lose("[extend]", format!("path: import {path} by itself"));
        }
        if !extend.disabled_rules.is_empty() {
            imported.lose("[extend]", "disabledRules: leave these rules out of what you import");
        }
    }
    if file.allowlist.is_some() || file.allowlists.is_some() {
        imported
            .lose("[allowlist]", "write exceptions as rules with operator = \"keep\", which cover a finding wholly");
    }
    for rule in file.rules {
        convert_rule(rule, &mut imported);
    }
    Ok(imported)
}

fn convert_rule(rule: Rule, imported: &mut Imported) {
    let id = if rule.id.is_empty() { "rule without an id".to_owned() } else { rule.id };
    let Some(regex) = rule.regex else {
        let reason = if rule.path.is_some() { "seeks files by their path, and Privet sees texts" } else { "no regex" };
        return imported.lose(&id, reason);
    };
    let pattern = match convert(&regex, Dialect::Go) {
        Ok(pattern) => pattern,
        Err(problem) => return imported.lose(&id, problem),
    };
    if rule.path.is_some() {
        imported.lose(&id, "path: the rule applies to all texts");
    }
    if let Some(entropy) = rule.entropy {
        imported.lose(&id, format!("entropy: {entropy} is not asked for, so more is found"));
    }
    if rule.secret_group.is_some() || has_group(&pattern) {
        imported.lose(&id, "secretGroup: the whole match is replaced, not the secret in it alone");
    }
    if rule.allowlist.is_some() || rule.allowlists.is_some() {
        imported.lose(&id, "allowlist: write exceptions as rules with operator = \"keep\"");
    }
    // Keywords that the pattern holds anyway only make gitleaks faster.
    let lower = regex.to_lowercase();
    let in_pattern = rule.keywords.is_empty() || rule.keywords.iter().any(|word| lower.contains(&word.to_lowercase()));
    let (words, odd): (Vec<String>, Vec<String>) =
        rule.keywords.into_iter().partition(|word| word.chars().all(char::is_alphabetic) && !word.is_empty());
    let by_keyword = !in_pattern && !words.is_empty();
    if by_keyword && !odd.is_empty() {
        imported.lose(&id, format!("keywords: {} are no words of letters alone", odd.join(", ")));
    }
    imported.drafts.push(Draft {
        id: slug(&id),
        entity: "SECRET".to_owned(),
        description: rule.description,
        patterns: vec![pattern],
        score: Some(if by_keyword { NEEDS_KEYWORD } else { SURE }),
        weight: by_keyword.then_some(WEIGHT),
        context: if by_keyword { vec![Group { words, languages: Vec::new() }] } else { Vec::new() },
        ..Draft::default()
    });
}

/// Whether the pattern has a group that captures.
fn has_group(pattern: &str) -> bool {
    regex_syntax::parse(pattern).is_ok_and(|hir| hir.properties().explicit_captures_len() > 0)
}

#[cfg(test)]
mod tests {
    use super::super::{From, RuleFile, import};

    const FILE: &str = r#"
title = "own"
[extend]
useDefault = true

[[rules]]
id = "acme-token"
description = "A token of Acme"
regex = '''\bacme_[a-z0-9]{20}\b'''
keywords = ["acme_"]

[[rules]]
id = "by-keyword"
regex = '''\b[0-9A-F]{32}\b'''
entropy = 3.5
secretGroup = 0
keywords = ["vendor", "x-9"]
[[rules.allowlists]]
regexes = ['''EXAMPLE$''']

[[rules]]
id = "pkcs12-file"
path = '''\.p12$'''

[[rules]]
id = "bad"
regex = '''x*'''
"#;

    #[test]
    fn rules_are_carried_over_and_the_rest_is_named() {
        let RuleFile { text: file, lost, count } = import(From::Gitleaks, "a/own.toml", FILE).unwrap();
        assert_eq!(count, 2, "{file}");
        assert!(file.starts_with("# Imported from own.toml of gitleaks"), "{file}");
        assert!(file.contains("pattern = '(?-u:\\b)acme_[a-z0-9]{20}(?-u:\\b)'\nscore = 0.90\n"), "{file}");
        assert!(file.contains("score = 0.30\nweight = 0.50\ncontext = [\"vendor\"]\n"), "{file}");
        let lost: Vec<String> = lost.iter().map(|(rule, reason)| format!("{rule}: {reason}")).collect();
        for part in [
            "[extend]: useDefault",
            "by-keyword: entropy: 3.5",
            "by-keyword: secretGroup",
            "by-keyword: allowlist",
            "by-keyword: keywords: x-9",
            "pkcs12-file: seeks files",
            "bad: the pattern matches the empty text",
        ] {
            assert!(lost.iter().any(|line| line.starts_with(part)), "{part} in {lost:#?}");
        }
        assert_eq!(lost.len(), 7, "{lost:#?}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_named_by_its_line() {
        assert!(import(From::Gitleaks, "x.toml", "a = 1\nb = \n").err().unwrap().starts_with("x.toml: line 2: "));
    }
}
