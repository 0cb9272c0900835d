//! `privet rules eval`: how good the rules are on labelled text.

use super::corpus::{self, Record};
use crate::cli::rule_files::RuleFiles;
use crate::cli::scan::ScanError;
use crate::cli::table::{Align, Table};
use crate::detect::eval::{Counts, Evaluation, Judged, Measures, share};
use crate::detect::{Engine, Finding, Input, Scratch};
use crate::entity::Entity;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measure the rules on labelled text
///
/// A line of the corpus is {"id": "1", "lang": "en", "text": "…", "spans":
/// [{"start": 0, "end": 5, "entity": "PERSON"}]}, offsets in bytes of UTF-8. A
/// span with "optional": true is neither wanted nor punished; "kind" makes a
/// table of its own.
///
/// exact: same entity, start and end. overlap: same entity, a byte in common.
/// leaked: the share of labelled characters that no finding covers. F2 counts
/// recall twice.
#[derive(Args, Debug)]
pub(super) struct EvalArgs {
    /// Labelled text, JSONL
    pub corpus: PathBuf,
    /// Entities to measure, with commas; else those that a manifest.json
    /// beside the corpus names for it, else all that are labelled
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub entities: Vec<Entity>,
    /// Measure each value of this key of the lines by itself too
    #[arg(long, value_name = "KEY")]
    pub by: Option<String>,
    /// Show so many misses and false findings of each entity
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub errors: usize,
    /// Judge these findings, in the form that `privet scan --format jsonl`
    /// prints, instead of those of the rules
    #[arg(long, value_name = "FILE")]
    pub findings: Option<PathBuf>,
    /// How to print the figures
    #[arg(long, value_enum, default_value_t = EvalFormat::Text)]
    pub format: EvalFormat,
    /// Which rules to use
    #[command(flatten)]
    pub rules: RuleFiles,
}

/// The output of `privet rules eval` and its kin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum EvalFormat {
    /// Tables, for people
    #[default]
    Text,
    /// One JSON object
    Json,
}

pub(super) fn run(args: &EvalArgs, out: &mut impl Write) -> Result<ExitCode, ScanError> {
    let engine = args.rules.engine()?;
    let given = args.findings.as_deref().map(corpus::findings).transpose()?;
    let mut records = Vec::new();
    corpus::read(&args.corpus, |record| records.push(record))?;
    let entities = entities(args, &engine, &records)?;
    let mut all = Evaluation::new(entities.iter().copied());
    let mut groups: BTreeMap<String, Evaluation> = BTreeMap::new();
    let mut errors = Vec::new();
    let mut scratch = Scratch::default();
    for record in &records {
        let judged = match &given {
            Some(given) => given.get(&record.id).into_iter().flatten().map(corpus::Given::judged).collect(),
            None => judged(&engine, engine.scan(Input::text(&record.text), &mut scratch)),
        };
        all.add(&record.text, &record.gold, &judged);
        if let Some(key) = &args.by {
            let group = groups.entry(record.field(key));
            let group = group.or_insert_with(|| Evaluation::new(entities.iter().copied()));
            group.add(&record.text, &record.gold, &judged);
        }
        if args.errors > 0 {
            mistakes(record, &judged, &entities, &mut errors);
        }
    }
    let name = args.corpus.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    match args.format {
        EvalFormat::Json => {
            let mut object = figures(&all);
            object.insert("gold_file".to_owned(), json!(name));
            if let Some(key) = &args.by {
                let groups: Map<String, Value> =
                    groups.iter().map(|(value, group)| (value.clone(), Value::Object(figures(group)))).collect();
                object.insert(format!("by_{key}"), Value::Object(groups));
            }
            serde_json::to_writer_pretty(&mut *out, &object).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        EvalFormat::Text => {
            print(&name, &all, true, out)?;
            for (value, group) in &groups {
                writeln!(out)?;
                print(&format!("{}={value}", args.by.as_deref().unwrap_or_default()), group, false, out)?;
            }
            print_mistakes(&errors, args.errors, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is measured. What neither a rule finds nor the corpus labels is a typing
/// error: its figures would say nothing.
fn entities(args: &EvalArgs, engine: &Engine, records: &[Record]) -> Result<BTreeSet<Entity>, ScanError> {
    let labelled: BTreeSet<Entity> = records.iter().flat_map(|r| r.gold.iter().map(|g| g.entity)).collect();
    if args.entities.is_empty() {
        return Ok(corpus::labelled(&args.corpus).map_or(labelled, |list| list.into_iter().collect()));
    }
    let known: BTreeSet<Entity> = engine.rules().map(|rule| rule.entity).chain(labelled).collect();
    match args.entities.iter().find(|entity| !known.contains(entity)) {
        Some(unknown) => {
            let known = known.iter().map(Entity::as_str).collect::<Vec<_>>().join(", ");
            let problem = format!("--entities: no rule finds `{unknown}` and no line labels it; there are {known}");
            Err(ScanError::Usage(problem))
        }
        None => Ok(args.entities.iter().copied().collect()),
    }
}

/// Findings in the form in which they are judged.
pub(super) fn judged<'e>(engine: &'e Engine, findings: &[Finding]) -> Vec<Judged<'e>> {
    let judged = |f: &Finding| Judged { span: f.start..f.end, entity: f.entity, rule: &engine.rule(f.rule).id };
    findings.iter().map(judged).collect()
}

/// A miss or a false finding, for people.
struct Mistake {
    kind: &'static str,
    entity: Entity,
    line: String,
}

fn mistakes(record: &Record, judged: &[Judged<'_>], entities: &BTreeSet<Entity>, into: &mut Vec<Mistake>) {
    let touches = |a: &std::ops::Range<usize>, b: &std::ops::Range<usize>| a.start < b.end && b.start < a.end;
    let show = |span: &std::ops::Range<usize>| excerpt(&record.text, span.clone());
    for gold in record.gold.iter().filter(|g| !g.optional && entities.contains(&g.entity)) {
        if !judged.iter().any(|f| f.entity == gold.entity && touches(&f.span, &gold.span)) {
            let line = format!("{}: {}", record.id, show(&gold.span));
            into.push(Mistake { kind: "missed", entity: gold.entity, line });
        }
    }
    for finding in judged.iter().filter(|f| entities.contains(&f.entity)) {
        if !record.gold.iter().any(|g| (g.optional || g.entity == finding.entity) && touches(&g.span, &finding.span)) {
            let line = format!("{}: {} ({})", record.id, show(&finding.span), finding.rule);
            into.push(Mistake { kind: "false", entity: finding.entity, line });
        }
    }
}

fn print_mistakes(mistakes: &[Mistake], limit: usize, out: &mut impl Write) -> Result<(), ScanError> {
    let mut seen: BTreeMap<(Entity, &str), usize> = BTreeMap::new();
    for mistake in mistakes {
        let count = seen.entry((mistake.entity, mistake.kind)).or_default();
        *count += 1;
        if *count <= limit {
            writeln!(out, "{} {} {}", mistake.kind, mistake.entity, mistake.line)?;
        }
    }
    Ok(())
}

/// A span with some of the text around it: `…before «span» behind…`.
pub(super) fn excerpt(text: &str, span: std::ops::Range<usize>) -> String {
    const AROUND: usize = 40;
    let from = text.floor_char_boundary(span.start.saturating_sub(AROUND));
    let to = text.ceil_char_boundary((span.end + AROUND).min(text.len()));
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().escape_debug().to_string();
    let (start, end) = (if from > 0 { "…" } else { "" }, if to < text.len() { "…" } else { "" });
    format!("{start}{}«{}»{}{end}", part(from..span.start), part(span.clone()), part(span.end..to))
}

fn print(title: &str, figures: &Evaluation, whole: bool, out: &mut impl Write) -> Result<(), ScanError> {
    use Align::{Left, Right};
    writeln!(out, "{title}: {} messages\n", figures.messages)?;
    let mut head = vec![("entity", Left), ("gold", Right), ("found", Right)];
    head.extend(["exact P", "R", "F1", "F2", "overlap P", "R", "F1", "F2", "leaked %", "spans %"].map(|t| (t, Right)));
    let mut table = Table::new(&head);
    let total = figures.total();
    let rows = figures.entities.iter().map(|(entity, counts)| (entity.to_string(), counts));
    for (name, counts) in rows.chain([("all".to_owned(), &total)]) {
        let mut row = vec![name, counts.gold.to_string(), counts.found.to_string()];
        row.extend(measures(counts.exact()));
        row.extend(measures(counts.overlap()));
        row.extend([percent(counts.leak_chars()), percent(counts.leak_spans())]);
        table.row(row);
    }
    table.write(out)?;
    writeln!(
        out,
        "\nleaking {} % of {} messages with personal data, {} % of their characters\n\
         hit {} % of {} messages without; redacted without need {} % of characters",
        percent(share(figures.dirty.1, figures.dirty.0)),
        figures.dirty.0,
        percent(total.leak_chars()),
        percent(share(figures.clean.1, figures.clean.0)),
        figures.clean.0,
        percent(share(figures.outside.1, figures.outside.0)),
    )?;
    if !whole {
        return Ok(());
    }
    let mut table = Table::new(&[
        ("rule", Left),
        ("entity", Left),
        ("found", Right),
        ("P", Right),
        ("R", Right),
        ("F1", Right),
        ("F2", Right),
        ("exact", Right),
    ]);
    for (rule, entity, counts) in figures.rules() {
        let mut row = vec![rule.to_owned(), entity.to_string(), counts.found.to_string()];
        row.extend(measures(counts.overlap()));
        row.push(percent(counts.exact().precision));
        table.row(row);
    }
    writeln!(out)?;
    table.write(out)?;
    if figures.kinds.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[("kind", Left), ("gold", Right), ("recall", Right), ("covered", Right)]);
    for ((entity, kind), (gold, touched, covered)) in &figures.kinds {
        let row = [percent(share(*touched, *gold)), percent(share(*covered, *gold))];
        table.row([format!("{entity}/{kind}"), gold.to_string()].into_iter().chain(row));
    }
    writeln!(out)?;
    table.write(out)?;
    Ok(())
}

fn measures(measures: Measures) -> [String; 4] {
    [measures.precision, measures.recall, measures.f1, measures.f2].map(percent)
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.2}", share * 100.0))
}

/// The figures as JSON: shares from 0 to 1, null where there is nothing to
/// divide by.
fn figures(all: &Evaluation) -> Map<String, Value> {
    let measures = |m: Measures| json!({"p": m.precision, "r": m.recall, "f1": m.f1, "f2": m.f2});
    let counts = |c: &Counts| {
        json!({
            "gold": c.gold, "findings": c.found,
            "exact": measures(c.exact()), "overlap": measures(c.overlap()),
            "leak_chars": c.leak_chars(), "leak_spans": c.leak_spans(),
        })
    };
    let total = all.total();
    let entities: Map<String, Value> = all.entities.iter().map(|(e, c)| (e.to_string(), counts(c))).collect();
    let rules: Map<String, Value> = all
        .rules()
        .map(|(rule, entity, c)| {
            let figures = json!({
                "entity": entity.as_str(), "gold": c.gold, "findings": c.found,
                "exact": measures(c.exact()), "overlap": measures(c.overlap()),
            });
            (rule.to_owned(), figures)
        })
        .collect();
    let kinds: Map<String, Value> = all
        .kinds
        .iter()
        .map(|((entity, kind), (gold, touched, covered))| {
            let figures = json!({
                "gold": gold,
                "recall_overlap": share(*touched, *gold), "fully_covered": share(*covered, *gold),
            });
            (format!("{entity}/{kind}"), figures)
        })
        .collect();
    let (chars, found) = all.clean_chars;
    let pairs = [
        ("messages", json!(all.messages)),
        ("entities", Value::Object(entities)),
        ("micro", counts(&total)),
        ("rules", Value::Object(rules)),
        ("kinds", Value::Object(kinds)),
        ("leak_chars", json!(total.leak_chars())),
        ("over_redaction", json!(share(all.outside.1, all.outside.0))),
        ("dirty_messages", json!(all.dirty.0)),
        ("dirty_messages_leaking", json!(share(all.dirty.1, all.dirty.0))),
        ("clean_messages", json!(all.clean.0)),
        ("clean_messages_hit", json!(share(all.clean.1, all.clean.0))),
        ("findings_per_10k_chars_clean", json!(share(found * 10_000, chars))),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
