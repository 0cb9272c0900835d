//! `privet rules test`: runs the examples that stand in the rule files.

use crate::cli::rule_files::RuleFiles;
use crate::cli::scan::ScanError;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(rules: &RuleFiles, out: &mut impl Write) -> Result<ExitCode, ScanError> {
    let set = rules.set()?;
    let report = set.test_examples()?;
    for failure in &report.failures {
        writeln!(out, "{failure}")?;
    }
    for doubt in set.doubts() {
        crate::cli::message("warning", doubt);
    }
    if report.off > 0 {
        writeln!(out, "{} examples of rules that are off were not run", report.off)?;
    }
    writeln!(out, "{} examples, {} failed", report.run, report.failures.len())?;
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::super::tests::folder;
    use super::*;

    #[test]
    fn a_failing_example_is_named_with_its_line() {
        let rule = "[[rule]]\nid = \"badge\"\nentity = \"BADGE\"\npattern = 'B-\\d{4}'\nmatch = [\n  \"«B-1234»\",\n  \"nothing\",\n]\n";
        let (dir, rules) = folder(rule);
        let mut out = Vec::new();
        assert_eq!(run(&rules, &mut out).unwrap(), ExitCode::FAILURE);
        let out = String::from_utf8(out).unwrap();
        let wanted =
            format!("{}:7: badge: \"nothing\" holds BADGE, found nothing\n", dir.path().join("own.toml").display());
        assert!(out.contains(&wanted), "{out}");
        assert!(out.ends_with(" 1 failed\n"), "{out}");
    }
}
