//! `privet rules diff`: what a change of rules would newly find and newly miss.

use super::corpus::{self, Record};
use super::eval::{EvalFormat, excerpt, judged};
use crate::cli::rule_files::{self, RuleFilesError};
use crate::cli::scan::ScanError;
use crate::cli::table::{Align, Table};
use crate::detect::eval::Judged;
use crate::detect::{Engine, Input, PackSwitch, Scratch};
use crate::entity::Entity;
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show what a change of rules would newly find and newly miss
///
/// OLD and NEW are folders of rule files, each added to the built-in rules, or
/// the word `builtin`. The corpus is JSONL, {"id": "1", "text": "…"}; where its
/// lines have "spans" too, the changes are counted as better or worse.
/// What was found is shown as it is: run this on texts that may be seen.
#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// Folder of the rules as they are, or `builtin`
    pub old: PathBuf,
    /// Folder of the rules as they would be, or `builtin`
    pub new: PathBuf,
    /// Texts to compare on, JSONL
    pub corpus: PathBuf,
    /// Show so many examples of each kind of change
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub examples: usize,
    /// How to print the changes
    #[arg(long, value_enum, default_value_t = EvalFormat::Text)]
    pub format: EvalFormat,
    /// Packs to switch on or off in both, as for `privet scan`
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true)]
    pub packs: Vec<PackSwitch>,
}

/// How a finding differs between the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Only the new rules find something here.
    Found,
    /// Only the old rules do.
    Missed,
    /// Both do, with another entity or other borders.
    Moved,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Found => "newly found",
            Self::Missed => "newly missed",
            Self::Moved => "changed",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Found => "newly_found",
            Self::Missed => "newly_missed",
            Self::Moved => "changed",
        }
    }
}

/// Changes of one kind, entity and rule.
#[derive(Default)]
struct Tally {
    count: u64,
    /// Of labelled texts: findings that are right, and that are wrong.
    right: u64,
    wrong: u64,
}

#[derive(Default)]
struct Differences {
    messages: u64,
    changed_messages: u64,
    labelled: bool,
    tallies: BTreeMap<(Change, Entity, String), Tally>,
    examples: BTreeMap<Change, Vec<String>>,
}

pub(super) fn run(args: &DiffArgs, out: &mut impl Write) -> Result<ExitCode, ScanError> {
    let (old, new) = (engine(&args.old, &args.packs)?, engine(&args.new, &args.packs)?);
    let (mut old_scratch, mut new_scratch) = (Scratch::default(), Scratch::default());
    let mut all = Differences::default();
    corpus::read(&args.corpus, |record| {
        let input = Input::text(&record.text);
        let before = judged(&old, old.scan(input, &mut old_scratch));
        let after = judged(&new, new.scan(input, &mut new_scratch));
        all.add(&record, &before, &after, args.examples);
    })?;
    match args.format {
        EvalFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &all.to_json()).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        EvalFormat::Text => all.print(out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn engine(folder: &Path, packs: &[PackSwitch]) -> Result<Engine, ScanError> {
    let folder = (folder != Path::new("builtin")).then_some(folder);
    let mut set = rule_files::load(folder)?;
    set.select(packs).map_err(RuleFilesError::from)?;
    Ok(Engine::compile(&set)?)
}

impl Differences {
    fn add(&mut self, record: &Record, before: &[Judged<'_>], after: &[Judged<'_>], examples: usize) {
        self.messages += 1;
        self.labelled |= record.labelled;
        let same = |a: &Judged<'_>, b: &Judged<'_>| a.entity == b.entity && a.span == b.span;
        let touches = |a: &Judged<'_>, b: &Judged<'_>| a.span.start < b.span.end && b.span.start < a.span.end;
        let mut changed = false;
        for (mine, theirs, alone) in [(after, before, Change::Found), (before, after, Change::Missed)] {
            for f in mine.iter().filter(|f| !theirs.iter().any(|other| same(f, other))) {
                let other = theirs.iter().find(|other| touches(f, other));
                // What moved is told once, by what it is now.
                if other.is_some() && alone == Change::Missed {
                    continue;
                }
                changed = true;
                let change = if other.is_some() { Change::Moved } else { alone };
                let tally = self.tallies.entry((change, f.entity, f.rule.to_owned())).or_default();
                tally.count += 1;
                if record.labelled {
                    let right = record
                        .gold
                        .iter()
                        .any(|g| g.entity == f.entity && g.span.start < f.span.end && f.span.start < g.span.end);
                    tally.right += u64::from(right);
                    tally.wrong += u64::from(!right);
                }
                let shown = self.examples.entry(change).or_default();
                if shown.len() < examples {
                    let was = other.map(|o| format!(", was {} «{}» of {}", o.entity, part(&record.text, o), o.rule));
                    let was = was.unwrap_or_default();
                    let excerpt = excerpt(&record.text, f.span.clone());
                    shown.push(format!("{}: {} {excerpt} ({}{was})", record.id, f.entity, f.rule));
                }
            }
        }
        self.changed_messages += u64::from(changed);
    }

    fn print(&self, out: &mut impl Write) -> Result<(), ScanError> {
        use Align::{Left, Right};
        writeln!(out, "{} of {} messages change", self.changed_messages, self.messages)?;
        if self.tallies.is_empty() {
            return Ok(());
        }
        let mut head = vec![("change", Left), ("entity", Left), ("rule", Left), ("count", Right)];
        if self.labelled {
            head.extend([("right", Right), ("wrong", Right)]);
        }
        let mut table = Table::new(&head);
        for ((change, entity, rule), tally) in &self.tallies {
            let mut row = vec![change.name().to_owned(), entity.to_string(), rule.clone(), tally.count.to_string()];
            if self.labelled {
                row.extend([tally.right.to_string(), tally.wrong.to_string()]);
            }
            table.row(row);
        }
        writeln!(out)?;
        table.write(out)?;
        for (change, examples) in &self.examples {
            if !examples.is_empty() {
                writeln!(out, "\n{}, for example", change.name())?;
            }
            for example in examples {
                writeln!(out, "  {example}")?;
            }
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let tally = |((change, entity, rule), tally): (&(Change, Entity, String), &Tally)| {
            let mut row = json!({
                "change": change.key(), "entity": entity.as_str(), "rule": rule, "count": tally.count,
            });
            if let (true, Some(row)) = (self.labelled, row.as_object_mut()) {
                row.insert("right".to_owned(), json!(tally.right));
                row.insert("wrong".to_owned(), json!(tally.wrong));
            }
            row
        };
        let examples: BTreeMap<&str, &Vec<String>> = self.examples.iter().map(|(c, list)| (c.key(), list)).collect();
        json!({
            "messages": self.messages,
            "changed_messages": self.changed_messages,
            "changes": self.tallies.iter().map(tally).collect::<Vec<_>>(),
            "examples": examples,
        })
    }
}

fn part<'t>(text: &'t str, finding: &Judged<'_>) -> &'t str {
    text.get(finding.span.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::folder;
    use super::*;

    #[test]
    fn what_is_newly_found_missed_and_changed_is_counted() {
        let (dir, rules) = folder(
            "[[rule]]\nid = \"email\"\nentity = \"EMAIL\"\nfinder = \"email\"\nstate = \"off\"\n\
             [[rule]]\nid = \"badge\"\nentity = \"BADGE\"\npattern = 'B-\\d{4}'\n\
             [[rule]]\nid = \"wide\"\nentity = \"PHONE\"\npattern = 'tel \\+49 30 123456'\n",
        );
        let corpus = dir.path().join("c.jsonl");
        let lines = "{\"id\": \"1\", \"text\": \"B-1234 for ana@example.com\", \"spans\": [{\"start\": 0, \"end\": 6, \"entity\": \"BADGE\"}]}\n\
                     {\"id\": \"2\", \"text\": \"tel +49 30 123456\"}\n{\"id\": \"3\", \"text\": \"nothing\"}\n";
        std::fs::write(&corpus, lines).unwrap();
        let args = |format| DiffArgs {
            old: "builtin".into(),
            new: rules.rules.clone().unwrap(),
            corpus: corpus.clone(),
            examples: 1,
            format,
            packs: vec![],
        };
        let output = |format| {
            let mut out = Vec::new();
            run(&args(format), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = output(EvalFormat::Text);
        for part in [
            "2 of 3 messages change\n",
            "newly found   BADGE   badge      1      1      0\n",
            "newly missed  EMAIL   email      1      0      1\n",
            "changed       PHONE   wide       1      0      0\n",
            "  1: BADGE «B-1234» for ana@example.com (badge)\n",
            "  2: PHONE «tel +49 30 123456» (wide, was PHONE «+49 30 123456» of phone-international)\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let json: Value = serde_json::from_str(&output(EvalFormat::Json)).unwrap();
        assert_eq!(json["changes"][0]["change"], "newly_found");
    }
}
