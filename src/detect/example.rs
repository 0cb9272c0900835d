//! The examples in rule files, run against the engine.

use crate::detect::rule::{self, marks};
use crate::detect::{Engine, Input, RuleId, Scratch};
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
        let found: Vec<Range<usize>> = engine
            .scan(Input::text(&self.text), scratch)
            .iter()
            .filter(|f| f.entity == self.entity)
            .map(|f| f.start..f.end)
            .collect();
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

pub(crate) fn run(engine: &Engine) -> Vec<Failure> {
    let mut scratch = Scratch::default();
    let failure = |example: &Example, problem| Failure {
        rule: engine.rule(example.rule).id.clone(),
        file: example.file.clone(),
        line: example.line,
        problem,
    };
    engine.examples.iter().filter_map(|e| e.problem(engine, &mut scratch).map(|p| failure(e, p))).collect()
}
