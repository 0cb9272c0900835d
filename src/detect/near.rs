//! Near misses: what a rule proposed and the result does not hold, and why.
//! For people who tune rules; the data path does not come here.

use crate::detect::scan::{self, Candidate, THRESHOLD};
use crate::detect::{Engine, Evidence, Input, Operator, RuleId, Scratch};
use std::cmp::Ordering;

/// A span that a rule proposed and that is no finding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearMiss {
    /// First byte, on a character border.
    pub start: usize,
    /// Byte behind the last, on a character border.
    pub end: usize,
    /// The rule that proposed it.
    pub rule: RuleId,
    /// What it reached, from 0 to 1.
    pub score: f32,
    /// What raised or lowered the score.
    pub evidence: Evidence,
    /// Why it is no finding.
    pub why: Why,
}

/// Why a proposed span is no finding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    /// The score is below the threshold, by so much.
    Score(f32),
    /// A finding of this rule overlaps it, and is stricter, longer or surer.
    Overlap(RuleId),
    /// A `keep` rule covers it.
    Exception,
}

impl Engine {
    /// Scans as [`Engine::scan`] does, and also says what was nearly found:
    /// sorted, each span and rule once. Findings are in `scratch`.
    pub fn near_misses(&self, input: Input<'_>, scratch: &mut Scratch) -> Vec<NearMiss> {
        scratch.near = Some(Vec::new());
        scan::scan(self, input, scratch);
        let proposed = scratch.near.take().unwrap_or_default();
        let mut misses: Vec<NearMiss> = proposed.iter().filter_map(|c| self.miss(c, scratch)).collect();
        misses
            .sort_by(|a, b| (a.start, a.end, a.rule).cmp(&(b.start, b.end, b.rule)).then(b.score.total_cmp(&a.score)));
        misses.dedup_by_key(|miss| (miss.start, miss.end, miss.rule));
        misses
    }

    fn miss(&self, c: &Candidate, scratch: &Scratch) -> Option<NearMiss> {
        let entity = self.rule(c.rule).entity;
        let found = scratch.findings().iter().chain(scratch.shadow());
        let overlapping: Vec<_> = found.filter(|f| f.start < c.end && c.start < f.end).collect();
        let itself = overlapping.iter().any(|f| (f.start, f.end, f.rule) == (c.start, c.end, c.rule));
        let covered = overlapping.iter().any(|f| f.entity == entity && f.start <= c.start && c.end <= f.end);
        let why = match (c.score.total_cmp(&(THRESHOLD - 0.001)), overlapping.first()) {
            _ if itself || c.operator == Operator::Keep => return None,
            (Ordering::Less, _) if covered => return None,
            (Ordering::Less, _) => Why::Score(THRESHOLD - c.score),
            (_, Some(by)) => Why::Overlap(by.rule),
            (_, None) => Why::Exception,
        };
        Some(NearMiss {
            start: c.start,
            end: c.end,
            rule: c.rule,
            score: c.score.clamp(0.0, 1.0),
            evidence: c.evidence,
            why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::RuleSet;

    fn misses(own: &str, text: &str) -> Vec<(String, &'static str)> {
        let mut set = RuleSet::builtin().unwrap();
        set.add("own.toml", own).unwrap();
        let engine = Engine::compile(&set).unwrap();
        let mut scratch = Scratch::default();
        let misses = engine.near_misses(Input::text(text), &mut scratch);
        let plain = engine.scan(Input::text(text), &mut Scratch::default()).to_vec();
        assert_eq!(scratch.findings(), plain, "looking for near misses must change nothing");
        let why = |why| match why {
            Why::Score(_) => "score",
            Why::Overlap(_) => "overlap",
            Why::Exception => "exception",
        };
        misses.iter().map(|m| (engine.rule(m.rule).id.clone(), why(m.why))).collect()
    }

    #[test]
    fn each_near_miss_has_its_reason() {
        let weak =
            "[[rule]]\nid = \"weak\"\nentity = \"WEAK\"\npattern = 'W\\d{4}'\nscore = 0.2\ncontext = [\"badge\"]\n";
        assert_eq!(misses(weak, "see W1234"), [("weak".to_owned(), "score")]);
        assert_eq!(misses(weak, "badge W1234"), []);
        let short = "[[rule]]\nid = \"short\"\nentity = \"SHORT\"\npattern = 'ana@shop'\n";
        assert_eq!(misses(short, "ana@shop.example"), [("short".to_owned(), "overlap")]);
        let keep =
            "[[rule]]\nid = \"ours\"\nentity = \"EMAIL\"\noperator = \"keep\"\nwords = [\"help@shop.example\"]\n";
        assert_eq!(misses(keep, "help@shop.example"), [("email".to_owned(), "exception")]);
    }
}
