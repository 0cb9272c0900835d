//! A rule file from drafts.

use super::{Draft, From, Group};
use std::fmt::Write as _;

/// The file, with a head that says where it is from.
pub(super) fn file(from: From, source: &str, drafts: &[Draft]) -> String {
    let tool = match from {
        From::Presidio => "Presidio",
        From::Gitleaks => "gitleaks",
    };
    let source: String = source.chars().filter(|c| !c.is_control()).collect();
    let mut file = format!(
        "# Imported from {source} of {tool} by `privet rules import`.\n\
         # Add examples: match = [\"a text with the «span»\"], ignore = [\"a text without\"],\n\
         # and run `privet rules test`.\n"
    );
    for draft in drafts {
        file.push('\n');
        file.push_str(&rule(draft));
    }
    file
}

/// One rule.
pub(super) fn rule(draft: &Draft) -> String {
    let mut text = format!("[[rule]]\nid = {}\nentity = {}\n", quoted(&draft.id), quoted(&draft.entity));
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key} = {value}");
    };
    if !draft.description.is_empty() {
        line("description", quoted(&draft.description));
    }
    match draft.patterns.as_slice() {
        [] => {}
        [one] => line("pattern", quoted(one)),
        many => line("patterns", list(many)),
    }
    if !draft.words.is_empty() {
        line("words", list(&draft.words));
    }
    for (key, value) in [("score", draft.score), ("weight", draft.weight)] {
        if let Some(value) = value {
            line(key, format!("{value:.2}"));
        }
    }
    if !draft.context.is_empty() {
        line("context", context(&draft.context));
    }
    if !draft.languages.is_empty() {
        line("languages", list(&draft.languages));
    }
    if draft.off {
        line("state", quoted("off"));
    }
    text
}

fn context(groups: &[Group]) -> String {
    let parts = groups.iter().map(|group| {
        if group.languages.is_empty() {
            group.words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")
        } else {
            format!("{{ words = {}, languages = {} }}", list(&group.words), list(&group.languages))
        }
    });
    format!("[{}]", parts.collect::<Vec<_>>().join(", "))
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// A TOML string: literal where that can be, as patterns read better so.
fn quoted(text: &str) -> String {
    let plain = !text.contains(['\'', '\n', '\r']) && !text.chars().any(|c| c.is_control() && c != '\t');
    if plain && text.contains(['\\', '"']) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::RuleSet;

    #[test]
    fn any_text_survives_the_quoting() {
        for text in ["plain", r"\bB-\d{4}\b", "it's \"so\" \\ ", "a\nb\tc\r", "\u{1}é", "'"] {
            let toml: toml::Table = format!("x = {}", quoted(text)).parse().unwrap();
            assert_eq!(toml["x"].as_str(), Some(text));
        }
    }

    #[test]
    fn a_rule_is_written_as_one_would_write_it() {
        let draft = Draft {
            id: "zip".into(),
            entity: "ZIP".into(),
            description: "Post codes".into(),
            patterns: vec![r"\b\d{5}\b".into()],
            score: Some(0.01),
            weight: Some(0.49),
            context: vec![
                Group { words: vec!["zip".into(), "code".into()], languages: vec![] },
                Group { words: vec!["plz".into()], languages: vec!["de".into()] },
            ],
            ..Draft::default()
        };
        let text = rule(&draft);
        assert_eq!(
            text,
            "[[rule]]\nid = \"zip\"\nentity = \"ZIP\"\ndescription = \"Post codes\"\npattern = '\\b\\d{5}\\b'\n\
             score = 0.01\nweight = 0.49\ncontext = [\"zip\", \"code\", { words = [\"plz\"], languages = [\"de\"] }]\n"
        );
        RuleSet::empty().add("x.toml", &file(From::Presidio, "a\nb.yaml", &[draft])).unwrap();
    }
}
