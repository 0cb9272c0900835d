//! `privet rules list`: all rules in a table.

use super::eval::EvalFormat;
use crate::cli::rule_files::RuleFiles;
use crate::cli::scan::ScanError;
use crate::cli::table::Align::{Left, Right};
use crate::cli::table::Table;
use crate::detect::{RuleInfo, State};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::process::ExitCode;

/// List all rules: what they find, what is done, where they stand
#[derive(Args, Debug, Default)]
pub(super) struct ListArgs {
    /// How to print them
    #[arg(long, value_enum, default_value_t = EvalFormat::Text)]
    pub format: EvalFormat,
    /// Which rules to list
    #[command(flatten)]
    pub rules: RuleFiles,
}

pub(super) fn run(args: &ListArgs, out: &mut impl Write) -> Result<ExitCode, ScanError> {
    let engine = args.rules.engine()?;
    if args.format == EvalFormat::Json {
        let rules: Vec<Value> = engine.rules().map(to_json).collect();
        let list = json!({"version": engine.version(), "rules": rules});
        serde_json::to_writer_pretty(&mut *out, &list).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&[
        ("id", Left),
        ("entity", Left),
        ("pack", Left),
        ("state", Left),
        ("operator", Left),
        ("score", Right),
        ("sensitive", Left),
        ("place", Left),
    ]);
    for rule in engine.rules() {
        table.row([
            rule.id.clone(),
            rule.entity.to_string(),
            rule.pack.clone().unwrap_or_else(|| "-".to_owned()),
            state(rule).to_owned(),
            rule.operator.as_str().to_owned(),
            format!("{:.2}", rule.score),
            if rule.sensitive { "yes" } else { "-" }.to_owned(),
            format!("{}:{}", rule.file, rule.line),
        ]);
    }
    table.write(out)?;
    Ok(ExitCode::SUCCESS)
}

/// The state for people: a rule whose pack is off says so.
pub(super) fn state(rule: &RuleInfo) -> &'static str {
    match (rule.selected, rule.state) {
        (false, State::On | State::Shadow) => "off (pack)",
        (_, state) => state.as_str(),
    }
}

fn to_json(rule: &RuleInfo) -> Value {
    json!({
        "id": rule.id,
        "entity": rule.entity.as_str(),
        "description": rule.description,
        "pack": rule.pack,
        "state": rule.effective_state().as_str(),
        "selected": rule.selected,
        "operator": rule.operator.as_str(),
        "score": (f64::from(rule.score) * 100.0).round() / 100.0,
        "sensitive": rule.sensitive,
        "languages": rule.languages,
        "regions": rule.regions,
        "file": rule.file,
        "line": rule.line,
        "examples": rule.examples.0.len() + rule.examples.1.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::folder;
    use super::*;

    fn output(args: &ListArgs) -> String {
        let mut out = Vec::new();
        run(args, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_own_rule_replaces_the_built_in_one_of_its_id() {
        let (_dir, rules) =
            folder("[[rule]]\nid = \"email\"\nentity = \"EMAIL\"\nfinder = \"email\"\noperator = \"block\"\n");
        let out = output(&ListArgs { rules, ..ListArgs::default() });
        let lines: Vec<&str> = out.lines().filter(|l| l.starts_with("email ")).collect();
        assert!(lines.len() == 1 && lines[0].contains("block") && lines[0].ends_with("own.toml:1"), "{lines:?}");
    }

    #[test]
    fn the_state_says_where_the_pack_is_off() {
        let rule = "[[rule]]\nid = \"x\"\nentity = \"XX\"\npattern = 'x'\n";
        let (_dir, rules) = folder(&format!("[pack]\nname = \"own\"\ndefault = false\n{rule}"));
        let off = output(&ListArgs { rules: rules.clone(), ..ListArgs::default() });
        assert!(off.lines().any(|l| l.starts_with("x ") && l.contains(" own ") && l.contains("off (pack)")), "{off}");
        let on = RuleFiles { packs: vec!["own".parse().unwrap()], ..rules };
        let on = output(&ListArgs { rules: on, format: EvalFormat::Json });
        let on: Value = serde_json::from_str(&on).unwrap();
        let rule = on["rules"].as_array().unwrap().iter().find(|r| r["id"] == "x").unwrap();
        assert_eq!((&rule["state"], &rule["score"]), (&json!("on"), &json!(0.8)));
    }
}
