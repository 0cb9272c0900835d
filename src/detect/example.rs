//! The examples in rule files, run against the engine.

use crate::detect::rule::{self, marks};
use crate::detect::{Engine, Finding, Input, PackSwitch, RuleErrors, RuleId, RuleSet, Scratch, State};
use crate::entity::Entity;
use std::fmt;
use std::ops::Range;

#[derive(Debug)]
pub(crate) struct Example {
    rule: RuleId,
    entity: Entity,
    file: String,
    line: usize,
    text: String,
    spans: Vec<Range<usize>>,
    wanted: bool,
}

/// An example that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The id of the rule.
    pub rule: String,
    /// The file that holds the example.
    pub file: String,
    /// The example's line.
    pub line: usize,
    /// What was wanted and what was found. It holds text of the example, which
    /// stands in the rule file.
    pub problem: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.rule, self.problem)
    }
}

impl Example {
    pub(crate) fn new(rule: RuleId, example: &rule::Example, entity: Entity, file: &str, line: usize) -> Option<Self> {
        let (text, spans) = marks(&example.marked)?;
        Some(Self { rule, entity, file: file.to_owned(), line, text, spans, wanted: example.wanted })
    }

    fn problem(&self, engine: &Engine, scratch: &mut Scratch) -> Option<String> {
        engine.scan(Input::text(&self.text), scratch);
        // A rule in shadow is tried by what it would find.
        let in_shadow = engine.rule(self.rule).state == State::Shadow;
        let shadow = if in_shadow { scratch.shadow() } else { &[] };
        let of_entity = |f: &&Finding| f.entity == self.entity;
        let found = scratch.findings().iter().chain(shadow).filter(of_entity).map(|f| f.start..f.end);
        let mut found: Vec<Range<usize>> = found.collect();
        found.sort_by_key(|span| span.start);
        found.dedup();
        let show = |spans: &[Range<usize>]| {
            let parts: Vec<&str> = spans.iter().filter_map(|s| self.text.get(s.clone())).collect();
            if parts.is_empty() { "nothing".to_owned() } else { format!("{parts:?}") }
        };
        match (self.wanted, self.spans.is_empty()) {
            (false, _) if found.is_empty() => None,
            (false, _) => Some(format!("{:?} must be ignored, found {} {}", self.text, self.entity, show(&found))),
            (true, true) if !found.is_empty() => None,
            (true, true) => Some(format!("{:?} holds {}, found nothing", self.text, self.entity)),
            (true, false) if found == self.spans => None,
            (true, false) => {
                Some(format!("in {:?} wanted {} {}, found {}", self.text, self.entity, show(&self.spans), show(&found)))
            }
        }
    }
}

/// How the examples of a rule set fared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExampleReport {
    /// How many were run.
    pub run: usize,
    /// How many belong to rules whose state is off, and were not.
    pub off: usize,
    /// Those that do not hold.
    pub failures: Vec<Failure>,
}

impl RuleSet {
    /// Runs the examples of all rules. Those of packs that are switched off are
    /// run with all packs on.
    ///
    /// # Errors
    /// The rules cannot be compiled.
    pub fn test_examples(&self) -> Result<ExampleReport, RuleErrors> {
        let engine = Engine::compile(self)?;
        let mut report = ExampleReport::default();
        engine.examples_of(|engine, rule| engine.rule(rule).effective_state() != State::Off, &mut report);
        if engine.rules().any(|rule| !rule.selected) {
            let mut all = self.clone();
            all.switches.extend(PackSwitch::everything());
            let everything = Engine::compile(&all)?;
            let left_out = |_: &Engine, rule: RuleId| {
                let rule = engine.rule(rule);
                !rule.selected && rule.state != State::Off
            };
            everything.examples_of(left_out, &mut report);
        }
        report.off = engine.example_count().saturating_sub(report.run);
        Ok(report)
    }
}

impl Engine {
    /// Runs the examples of the rules that run.
    pub fn test_examples(&self) -> Vec<Failure> {
        let mut report = ExampleReport::default();
        self.examples_of(|engine, rule| engine.rule(rule).effective_state() != State::Off, &mut report);
        report.failures
    }

    fn examples_of(&self, wanted: impl Fn(&Self, RuleId) -> bool, report: &mut ExampleReport) {
        let mut scratch = Scratch::default();
        for example in self.examples.iter().filter(|example| wanted(self, example.rule)) {
            report.run += 1;
            report.failures.extend(example.problem(self, &mut scratch).map(|problem| Failure {
                rule: self.rule(example.rule).id.clone(),
                file: example.file.clone(),
                line: example.line,
                problem,
            }));
        }
    }
}
