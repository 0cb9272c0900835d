//! `privet rules explain`: all about one rule, and how it judges a text.

use super::eval::excerpt;
use super::list::state;
use crate::cli::rule_files::RuleFiles;
use crate::cli::scan::{ScanError, report};
use crate::detect::{ContextWord, Engine, Input, RuleId, RuleInfo, RuleSource, Scratch};
use clap::Args;
use std::io::Write;
use std::process::ExitCode;

/// So many words of a list are shown.
const SHOWN: usize = 12;

/// Show all about a rule, and how it judges a text
#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// The id of the rule, as `privet rules list` shows it
    pub rule: String,
    /// A text to judge
    #[arg(long)]
    pub text: Option<String>,
    /// Which rules to use
    #[command(flatten)]
    pub rules: RuleFiles,
}

pub(super) fn run(args: &ExplainArgs, out: &mut impl Write) -> Result<ExitCode, ScanError> {
    let engine = args.rules.engine()?;
    let Some(rule) = engine.rules().find(|rule| rule.id == args.rule) else {
        return Err(ScanError::Usage(unknown(&engine, &args.rule)));
    };
    about(rule, out)?;
    if let Some(text) = &args.text {
        judge(&engine, rule, text, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(engine: &Engine, id: &str) -> String {
    let near = engine.rules().map(|rule| (strsim::damerau_levenshtein(&rule.id, id), &rule.id)).min();
    match near {
        Some((distance, near)) if distance <= 3 => format!("there is no rule `{id}`; did you mean `{near}`?"),
        _ => format!("there is no rule `{id}`; `privet rules list` shows them all"),
    }
}

fn about(rule: &RuleInfo, out: &mut impl Write) -> Result<(), ScanError> {
    let mut line = |name: &str, value: String| writeln!(out, "{name:12}{value}");
    line("rule", rule.id.clone())?;
    if !rule.description.is_empty() {
        line("", rule.description.clone())?;
    }
    line("entity", format!("{}{}", rule.entity, if rule.sensitive { ", sensitive (GDPR Article 9)" } else { "" }))?;
    line("place", format!("{}:{}", rule.file, rule.line))?;
    line("pack", rule.pack.clone().unwrap_or_else(|| "none".to_owned()))?;
    line("state", state(rule).to_owned())?;
    line("operator", rule.operator.as_str().to_owned())?;
    for (name, list) in [("languages", &rule.languages), ("regions", &rule.regions)] {
        if !list.is_empty() {
            line(name, list.join(", "))?;
        }
    }
    match &rule.source {
        RuleSource::Finder(name) => line("finder", (*name).to_owned())?,
        RuleSource::Patterns(list) => list.iter().try_for_each(|pattern| line("pattern", pattern.clone()))?,
        RuleSource::Shapes(list) => list
            .iter()
            .try_for_each(|(shape, cued)| line(if *cued { "shape, by cue" } else { "shape" }, shape.clone()))?,
        RuleSource::Words(list) => line("words", some(list.iter().map(String::as_str)))?,
    }
    if let Some(validator) = &rule.validator {
        line("validator", validator.clone())?;
    }
    line("score", format!("{:.2} by itself; 0.50 is needed", rule.score))?;
    for (name, sign, list) in [("context", '+', &rule.context), ("against", '-', &rule.against)] {
        for (weight, words) in by_weight(list) {
            line(name, format!("{sign}{weight:.2} near {words}"))?;
        }
    }
    let (matches, ignores) = &rule.examples;
    for (name, list) in [("match", matches), ("ignore", ignores)] {
        for example in list.iter().take(SHOWN) {
            line(name, format!("{example:?}"))?;
        }
        if list.len() > SHOWN {
            line("", format!("and {} more", list.len() - SHOWN))?;
        }
    }
    Ok(())
}

/// The words of each weight and language, the greatest weight first.
fn by_weight(words: &[ContextWord]) -> Vec<(f32, String)> {
    let mut groups: Vec<(f32, &[String], Vec<&str>)> = Vec::new();
    for word in words {
        let same = |g: &&mut (f32, &[String], Vec<&str>)| g.0.total_cmp(&word.weight).is_eq() && g.1 == word.languages;
        match groups.iter_mut().find(same) {
            Some(group) => group.2.push(&word.word),
            None => groups.push((word.weight, &word.languages, vec![&word.word])),
        }
    }
    groups.sort_by(|a, b| b.0.total_cmp(&a.0));
    let show = |(weight, languages, words): (f32, &[String], Vec<&str>)| {
        let of = if languages.is_empty() { String::new() } else { format!(" ({})", languages.join(", ")) };
        (weight, format!("{}{of}", some(words.into_iter())))
    };
    groups.into_iter().map(show).collect()
}

/// The first of some words, and how many more there are.
fn some<'w>(words: impl ExactSizeIterator<Item = &'w str>) -> String {
    let count = words.len();
    let shown: Vec<&str> = words.take(SHOWN).collect();
    let more = count - shown.len();
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn judge(engine: &Engine, rule: &RuleInfo, text: &str, out: &mut impl Write) -> Result<(), ScanError> {
    let mut scratch = Scratch::default();
    let near = engine.near_misses(Input::text(text), &mut scratch);
    let is_this = |id: RuleId| engine.rule(id).id == rule.id;
    let mut silent = true;
    writeln!(out)?;
    for (i, f) in scratch.findings().iter().enumerate().filter(|(_, f)| is_this(f.rule)) {
        let evidence: Vec<&str> = scratch.evidence(i).describe().collect();
        let evidence = if evidence.is_empty() { String::new() } else { format!("; {}", evidence.join(", ")) };
        writeln!(out, "finds {} with {:.2}{evidence}", excerpt(text, f.start..f.end), f.score)?;
        silent = false;
    }
    for f in scratch.shadow().iter().filter(|f| is_this(f.rule)) {
        writeln!(out, "finds {} with {:.2}, in shadow", excerpt(text, f.start..f.end), f.score)?;
        silent = false;
    }
    for miss in near.iter().filter(|miss| is_this(miss.rule)) {
        let reason = report::reason(engine, miss);
        let evidence: Vec<&str> = miss.evidence.describe().collect();
        let evidence = if evidence.is_empty() { String::new() } else { format!(" ({})", evidence.join(", ")) };
        let what = excerpt(text, miss.start..miss.end);
        writeln!(out, "nearly finds {what} with {:.2}{evidence}: {reason}", miss.score)?;
        silent = false;
    }
    for f in scratch.findings().iter().filter(|f| !is_this(f.rule)) {
        let other = engine.rule(f.rule);
        writeln!(out, "{} of {} is found at {}", other.entity, other.id, excerpt(text, f.start..f.end))?;
    }
    if silent {
        writeln!(out, "{} proposes nothing in this text", rule.id)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::folder;
    use super::*;

    fn output(id: &str, text: Option<&str>) -> Result<String, ScanError> {
        let (_dir, rules) = folder(
            "[[rule]]\nid = \"badge\"\nentity = \"BADGE\"\npattern = 'B-\\d{4}'\nscore = 0.2\n\
             context = [\"desk\", { words = [\"pult\"], weight = 0.5, languages = [\"de\"] }]\nmatch = [\"desk «B-1234»\"]\n",
        );
        let mut out = Vec::new();
        run(&ExplainArgs { rule: id.to_owned(), text: text.map(str::to_owned), rules }, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_rule_and_its_judgement_are_shown() {
        let out = output("badge", Some("see B-1234 there")).unwrap();
        assert!(out.contains("context     +0.50 near pult (de)\ncontext     +0.40 near desk\n"), "{out}");
        assert!(out.contains("nearly finds see «B-1234» there with 0.20: 0.30 below the threshold"), "{out}");
        assert!(
            output("badge", Some("desk B-1234")).unwrap().contains("finds desk «B-1234» with 0.60; +context word\n")
        );
        assert!(output("badge", Some("nothing")).unwrap().ends_with("badge proposes nothing in this text\n"));
    }

    #[test]
    fn a_rule_that_there_is_not_is_answered_with_the_nearest() {
        assert_eq!(output("badgr", None).unwrap_err().to_string(), "there is no rule `badgr`; did you mean `badge`?");
    }
}
