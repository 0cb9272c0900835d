//! `privet rules train`: a model of names from labelled text.

use super::corpus::{self, Record};
use crate::cli::rule_files::RuleFiles;
use crate::cli::scan::ScanError;
use crate::detect::{Sample, Schedule, Trainer};
use clap::Args;
use std::collections::BTreeSet;
use std::fs;
use std::hash::Hasher as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make a model of names from labelled text
///
/// The model joins what lists and cues say of a word with the words around it.
/// It learns from spans of the entity PERSON in corpora like those of `privet
/// rules eval`, and from templates (*.txt): lines with slots such as {given},
/// {family}, {full}, and lists like "@city = London|Leeds" for other slots.
///
/// Put the file that it writes into a folder of rules (--rules) as *.bin: it
/// takes the place of the built-in model. The same input gives the same file.
#[derive(Args, Debug)]
pub(super) struct TrainArgs {
    /// Labelled text (JSONL) and templates (*.txt)
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Where to write the model
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How often to go through all texts
    #[arg(long, value_name = "N", default_value_t = Schedule::default().rounds)]
    pub rounds: usize,
    /// Of how many models the mean is taken; each sees other names in the
    /// templates, other variants and another order
    #[arg(long, value_name = "N", default_value_t = Schedule::default().models)]
    pub models: usize,
    /// Where all chance comes from
    #[arg(long, value_name = "N", default_value_t = Schedule::default().seed)]
    pub seed: u64,
    /// From which probability on a word is one of a name; lower finds more names
    /// and more that are none
    #[arg(long, value_name = "P", default_value_t = Schedule::default().threshold)]
    pub threshold: f32,
    /// How many texts to make of each line of a template
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub times: usize,
    /// Measure on this labelled text, instead of on what is held back
    #[arg(long, value_name = "FILE")]
    pub validate: Option<PathBuf>,
    /// Hold back each N-th text to measure with; texts with the same "tag" stay
    /// together. 0 learns from all
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub hold_back: u64,
    /// Which rules and lists to take features from
    #[command(flatten)]
    pub rules: RuleFiles,
}

pub(super) fn run(args: &TrainArgs, out: &mut impl Write) -> Result<ExitCode, ScanError> {
    let schedule = Schedule {
        rounds: args.rounds,
        models: args.models,
        seed: args.seed,
        threshold: args.threshold.clamp(0.01, 0.99),
    };
    let mut trainer = Trainer::new(args.rules.engine()?, schedule);
    let hold_back = if args.validate.is_some() { 0 } else { args.hold_back };
    for input in &args.inputs {
        if input.extension().is_some_and(|e| e == "txt") {
            let failed = |error| read_error(input, error);
            let text = fs::read_to_string(input).map_err(failed)?;
            trainer
                .learn_templates(&text, args.times)
                .map_err(|error| failed(io::Error::other(format!("line {error}"))))?;
        } else {
            corpus::read(input, |record| {
                let held = hold_back > 0 && group(&record).is_multiple_of(hold_back);
                if held { trainer.hold_back(sample(&record)) } else { trainer.learn(&sample(&record)) }
            })?;
        }
    }
    if let Some(path) = &args.validate {
        corpus::read(path, |record| trainer.hold_back(sample(&record)))?;
    }
    let mut told = Ok(());
    let model = trainer.train(|progress| {
        if told.is_ok() && progress.wanted > 0 {
            told = writeln!(
                out,
                "model {:2} round {:2}  names found to the letter {} of {}, {} found in all, F1 {:.2} %",
                progress.model,
                progress.round,
                progress.right,
                progress.wanted,
                progress.found,
                100.0 * progress.f1()
            );
        }
    });
    told?;
    let model = model.map_err(|error| read_error(&args.out, io::Error::other(error)))?;
    fs::write(&args.out, &model).map_err(|error| read_error(&args.out, error))?;
    writeln!(out, "{}: {} bytes", args.out.display(), model.len())?;
    Ok(ExitCode::SUCCESS)
}

fn read_error(path: &Path, error: io::Error) -> ScanError {
    ScanError::Read { name: path.display().to_string(), error }
}

/// Texts of one template or family must not stand on both sides.
fn group(record: &Record) -> u64 {
    let tag = record.field("tag");
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(if tag.is_empty() { record.text.as_bytes() } else { tag.as_bytes() });
    hasher.finish()
}

/// The names of a record, without the blanks around them.
fn sample(record: &Record) -> Sample {
    let mut sample = Sample { text: record.text.clone(), ..Sample::default() };
    let spans: BTreeSet<(usize, usize, bool)> = record
        .gold
        .iter()
        .filter(|gold| gold.entity.as_str() == "PERSON")
        .map(|gold| (gold.span.start, gold.span.end, gold.optional))
        .collect();
    let mut end = 0;
    for (start, stop, optional) in spans {
        let Some(text) = record.text.get(start..stop).filter(|_| start >= end) else { continue };
        end = stop;
        if optional {
            sample.doubtful.push(start..stop);
        } else {
            sample.names.push(start..start + text.trim_end().len());
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Input;

    fn args(dir: &Path, inputs: &[&str], out: &str) -> TrainArgs {
        TrainArgs {
            inputs: inputs.iter().map(|name| dir.join(name)).collect(),
            out: dir.join(out),
            rounds: 3,
            models: 2,
            seed: 1,
            threshold: 0.45,
            times: 3,
            validate: None,
            hold_back: 4,
            rules: RuleFiles::default(),
        }
    }

    #[test]
    fn a_model_is_made_used_and_made_again_to_the_byte() {
        let dir = tempfile::tempdir().unwrap();
        let mut lines = String::new();
        for n in 0..60 {
            let line = format!(
                r#"{{"id":"{n}","text":"ping zorb{n} Vextal now","tag":"t{n}","spans":[{{"start":{},"end":{},"entity":"PERSON"}}]}}"#,
                6 + format!("zorb{n}").len() - 1,
                6 + format!("zorb{n}").len() + 6,
            );
            lines.push_str(&line);
            lines.push('\n');
        }
        fs::write(dir.path().join("own.jsonl"), lines).unwrap();
        fs::write(dir.path().join("own.txt"), "Hello {given}, see you\nThe {!given} Street\n").unwrap();
        let mut out = Vec::new();
        run(&args(dir.path(), &["own.jsonl", "own.txt"], "a.bin"), &mut out).unwrap();
        run(&args(dir.path(), &["own.jsonl", "own.txt"], "b.bin"), &mut Vec::new()).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("model  1 round  1  names found") && out.contains("model  2 round  3 "), "{out}");
        let [a, b] = ["a.bin", "b.bin"].map(|name| fs::read(dir.path().join(name)).unwrap());
        assert!(a == b, "the same input gives the same model");
        let rules = tempfile::tempdir().unwrap();
        fs::write(rules.path().join("own.bin"), a).unwrap();
        let engine =
            RuleFiles { rules: Some(rules.path().to_owned()), packs: Vec::new(), level: None }.engine().unwrap();
        assert_ne!(engine.version(), RuleFiles::default().engine().unwrap().version());
        engine.scan(Input::text("Hello Anna"), &mut crate::detect::Scratch::default());
    }

    #[test]
    fn a_damaged_model_and_text_without_names_are_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("none.txt"), "Nothing here\n").unwrap();
        let error = run(&args(dir.path(), &["none.txt"], "a.bin"), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("no name is labelled PERSON"), "{error}");
        fs::write(dir.path().join("bad.bin"), "PRIVETNM and no more").unwrap();
        let error =
            RuleFiles { rules: Some(dir.path().to_owned()), packs: Vec::new(), level: None }.engine().unwrap_err();
        assert!(error.to_string().contains("bad.bin") && error.to_string().contains("privet rules train"), "{error}");
    }
}
