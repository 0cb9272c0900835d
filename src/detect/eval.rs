//! How good findings are against labelled text: precision, recall, F1, F2 and
//! what leaks. Pure counting; who reads corpora and prints is elsewhere.
//!
//! A finding is *exact* where a gold span has its entity, start and end, and
//! *right* where it shares a byte with a gold span of its entity. A gold span is
//! *touched* where a right finding shares a byte with it. Characters *leak*
//! where no finding of any entity covers them. Gold spans that are optional are
//! neither wanted nor punished.

use crate::entity::Entity;
use std::collections::BTreeMap;
use std::ops::{AddAssign, Range};

/// A labelled span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gold {
    /// Bytes of the text, on character borders.
    pub span: Range<usize>,
    /// The kind.
    pub entity: Entity,
    /// Neither wanted nor punished.
    pub optional: bool,
    /// What is special about it ("surname", "obfuscated").
    pub kind: Option<String>,
}

/// A finding that is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged<'r> {
    /// Bytes of the text, on character borders.
    pub span: Range<usize>,
    /// The kind.
    pub entity: Entity,
    /// The id of its rule.
    pub rule: &'r str,
}

/// Counts of one entity, of one rule, or of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Gold spans. For a rule: those of its entity.
    pub gold: u64,
    /// Findings, without those on optional spans alone.
    pub found: u64,
    /// Findings that are a gold span.
    pub exact: u64,
    /// Findings that share a byte with a gold span of their entity.
    pub right: u64,
    /// Gold spans that share a byte with a finding of their entity.
    pub touched: u64,
    /// Characters in gold spans.
    pub chars: u64,
    /// Those that no finding covers.
    pub leaked_chars: u64,
    /// Gold spans with such a character.
    pub leaking: u64,
}

/// Precision, recall and their means. `None` where there is nothing to divide by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measures {
    /// Share of the findings that are right.
    pub precision: Option<f64>,
    /// Share of the gold spans that are found.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
    /// The same with recall counting twice as much.
    pub f2: Option<f64>,
}

impl Counts {
    /// By entity, start and end.
    pub fn exact(&self) -> Measures {
        Measures::of(self.exact, self.exact, self)
    }

    /// By entity and one common byte.
    pub fn overlap(&self) -> Measures {
        Measures::of(self.right, self.touched, self)
    }

    /// Share of the gold characters that no finding covers.
    pub fn leak_chars(&self) -> Option<f64> {
        share(self.leaked_chars, self.chars)
    }

    /// Share of the gold spans with such a character.
    pub fn leak_spans(&self) -> Option<f64> {
        share(self.leaking, self.gold)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.gold += other.gold;
        self.found += other.found;
        self.exact += other.exact;
        self.right += other.right;
        self.touched += other.touched;
        self.chars += other.chars;
        self.leaked_chars += other.leaked_chars;
        self.leaking += other.leaking;
    }
}

impl Measures {
    fn of(right: u64, touched: u64, counts: &Counts) -> Self {
        let (precision, recall) = (share(right, counts.found), share(touched, counts.gold));
        let mean = |beta: f64| {
            let (p, r, weight) = (precision?, recall?, beta * beta);
            Some(if p + r == 0.0 { 0.0 } else { (1.0 + weight) * p * r / (weight * p + r) })
        };
        Self { precision, recall, f1: mean(1.0), f2: mean(2.0) }
    }
}

/// `part` of `whole`; `None` of nothing.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

/// What is counted over a corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Texts.
    pub messages: u64,
    /// By entity that is judged.
    pub entities: BTreeMap<Entity, Counts>,
    /// By rule, of the judged entities; `gold` is left 0, see [`Evaluation::rule`].
    rules: BTreeMap<String, (Entity, Counts)>,
    /// Gold spans, touched ones and wholly covered ones, by entity and kind.
    pub kinds: BTreeMap<(Entity, String), (u64, u64, u64)>,
    /// Characters outside all gold spans, and those that findings cover.
    pub outside: (u64, u64),
    /// Texts with a wanted gold span, and those of which a character leaks.
    pub dirty: (u64, u64),
    /// Texts without, and those with a finding.
    pub clean: (u64, u64),
    /// Characters and findings of the latter texts.
    pub clean_chars: (u64, u64),
}

impl Evaluation {
    /// Judges these entities. Findings and gold spans of others are left out,
    /// but what they cover neither leaks nor counts as redacted without need.
    pub fn new(entities: impl IntoIterator<Item = Entity>) -> Self {
        Self { entities: entities.into_iter().map(|e| (e, Counts::default())).collect(), ..Self::default() }
    }

    /// All judged entities together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.entities.values().for_each(|counts| total += *counts);
        total
    }

    /// The rules that found something, with what they would reach alone:
    /// recall is of the gold spans of the rule's entity.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Entity, Counts)> {
        self.rules.iter().map(|(rule, (entity, counts))| {
            let gold = self.entities.get(entity).map_or(0, |of_entity| of_entity.gold);
            (rule.as_str(), *entity, Counts { gold, ..*counts })
        })
    }

    /// Adds a text with its gold spans and what was found in it. Spans that
    /// reach beyond the text are cut at its end.
    pub fn add(&mut self, text: &str, gold: &[Gold], findings: &[Judged<'_>]) {
        self.messages += 1;
        let wanted: Vec<&Gold> = gold.iter().filter(|g| !g.optional && self.entities.contains_key(&g.entity)).collect();
        let judged = self.judged(&wanted, gold, findings);

        let covered = cover(text, findings.iter().map(|f| &f.span));
        let covered_by_judged = cover(text, judged.iter().map(|f| &f.span));
        let labelled = cover(text, gold.iter().map(|g| &g.span));
        let is = |map: &[bool], at: usize| map.get(at).copied().unwrap_or_default();
        for (at, _) in text.char_indices().filter(|(at, _)| !is(&labelled, *at)) {
            self.outside.0 += 1;
            self.outside.1 += u64::from(is(&covered_by_judged, at));
        }

        let mut leaks = false;
        for gold in &wanted {
            let touched = judged.iter().any(|f| is_right(f, gold));
            let chars = text.get(gold.span.clone()).unwrap_or_default().char_indices();
            let (mut count, mut leaked) = (0, 0);
            for (at, _) in chars {
                count += 1;
                leaked += u64::from(!is(&covered, gold.span.start + at));
            }
            leaks |= leaked > 0;
            let counts = self.entities.entry(gold.entity).or_default();
            counts.gold += 1;
            counts.touched += u64::from(touched);
            counts.chars += count;
            counts.leaked_chars += leaked;
            counts.leaking += u64::from(leaked > 0);
            if let Some(kind) = &gold.kind {
                let of_kind = self.kinds.entry((gold.entity, kind.clone())).or_default();
                of_kind.0 += 1;
                of_kind.1 += u64::from(touched);
                of_kind.2 += u64::from(leaked == 0);
            }
            self.touched_by_rules(gold, &judged);
        }
        for finding in &judged {
            let exact = wanted.iter().any(|g| g.entity == finding.entity && g.span == finding.span);
            let right = wanted.iter().any(|g| is_right(finding, g));
            let counts = self.entities.entry(finding.entity).or_default();
            let rule = self.rules.entry(finding.rule.to_owned()).or_insert((finding.entity, Counts::default()));
            for counts in [counts, &mut rule.1] {
                counts.found += 1;
                counts.exact += u64::from(exact);
                counts.right += u64::from(right);
            }
        }
        if wanted.is_empty() {
            self.clean.0 += 1;
            self.clean.1 += u64::from(!judged.is_empty());
            self.clean_chars.0 += text.chars().count() as u64;
            self.clean_chars.1 += judged.len() as u64;
        } else {
            self.dirty.0 += 1;
            self.dirty.1 += u64::from(leaks);
        }
    }

    /// The findings that count: of a judged entity, each once, and none that
    /// lies on an optional span alone.
    fn judged<'f>(&self, wanted: &[&Gold], gold: &[Gold], findings: &'f [Judged<'f>]) -> Vec<&'f Judged<'f>> {
        let mut judged: Vec<&Judged<'_>> = Vec::with_capacity(findings.len());
        for finding in findings.iter().filter(|f| self.entities.contains_key(&f.entity)) {
            let excused = gold.iter().any(|g| g.optional && overlap(&g.span, &finding.span))
                && !wanted.iter().any(|g| is_right(finding, g));
            let again = judged.iter().any(|f| f.entity == finding.entity && f.span == finding.span);
            if !excused && !again {
                judged.push(finding);
            }
        }
        judged
    }

    fn touched_by_rules(&mut self, gold: &Gold, judged: &[&Judged<'_>]) {
        let mut rules: Vec<&str> = judged.iter().filter(|f| is_right(f, gold)).map(|f| f.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        for rule in rules {
            let entry = self.rules.entry(rule.to_owned()).or_insert((gold.entity, Counts::default()));
            entry.1.touched += 1;
        }
    }
}

fn is_right(finding: &Judged<'_>, gold: &Gold) -> bool {
    finding.entity == gold.entity && overlap(&finding.span, &gold.span)
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// Which bytes of a text some spans cover.
fn cover<'s>(text: &str, spans: impl Iterator<Item = &'s Range<usize>>) -> Vec<bool> {
    let mut map = vec![false; text.len()];
    for span in spans {
        let end = span.end.min(text.len());
        if let Some(part) = map.get_mut(span.start.min(end)..end) {
            part.fill(true);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: Entity = Entity::constant("PERSON");
    const EMAIL: Entity = Entity::constant("EMAIL");

    fn gold(text: &str, part: &str, entity: Entity, optional: bool) -> Gold {
        let start = text.find(part).unwrap();
        Gold { span: start..start + part.len(), entity, optional, kind: None }
    }

    fn found(text: &str, part: &str, entity: Entity) -> Judged<'static> {
        let start = text.find(part).unwrap();
        Judged { span: start..start + part.len(), entity, rule: "r" }
    }

    #[test]
    fn parts_of_a_name_are_right_and_not_exact_and_leak_the_space() {
        let text = "ask Zoë Ruiz or zoe@a.example";
        let gold = [gold(text, "Zoë Ruiz", PERSON, false), gold(text, "zoe@a.example", EMAIL, false)];
        let mut all = Evaluation::new([PERSON, EMAIL]);
        all.add(text, &gold, &[found(text, "Zoë", PERSON), found(text, "Ruiz", PERSON), found(text, "ask", PERSON)]);
        let person = all.entities[&PERSON];
        assert_eq!(person.exact().precision, Some(0.0));
        assert_eq!(person.overlap().recall, Some(1.0));
        assert_eq!(person.overlap().precision, Some(2.0 / 3.0));
        assert_eq!(person.leak_chars(), Some(1.0 / 8.0));
        assert_eq!(all.entities[&EMAIL].overlap().recall, Some(0.0));
        assert_eq!(all.entities[&EMAIL].overlap().f1, None);
        assert_eq!(all.dirty, (1, 1));
        assert_eq!(all.outside, (8, 3));
        let (_, entity, counts) = all.rules().next().unwrap();
        assert_eq!((entity, counts.gold, counts.found, counts.touched), (PERSON, 1, 3, 1));
    }

    #[test]
    fn what_lies_on_an_optional_span_is_not_judged() {
        let text = "hi @zoe and Zoe";
        let spans = [gold(text, "@zoe", PERSON, true), gold(text, "Zoe", PERSON, false)];
        let mut all = Evaluation::new([PERSON]);
        all.add(text, &spans, &[found(text, "@zoe", PERSON), found(text, "Zoe", PERSON)]);
        assert_eq!(all.entities[&PERSON].overlap().precision, Some(1.0));
        assert_eq!(all.entities[&PERSON].found, 1);
    }

    #[test]
    fn an_entity_that_is_not_judged_still_covers() {
        let text = "Zoe";
        let mut all = Evaluation::new([PERSON]);
        all.add(text, &[gold(text, "Zoe", PERSON, false)], &[found(text, "Zoe", EMAIL)]);
        assert_eq!(all.total().leak_chars(), Some(0.0));
        assert_eq!(all.total().overlap().recall, Some(0.0));
        all.add("clean", &[], &[]);
        assert_eq!((all.clean, all.clean_chars), ((1, 0), (5, 0)));
    }

    #[test]
    fn f2_weighs_recall_twice() {
        let counts = Counts { gold: 4, found: 8, right: 4, touched: 4, ..Counts::default() };
        assert_eq!(counts.overlap().f2, Some(5.0 * 0.5 / (4.0 * 0.5 + 1.0)));
        assert_eq!(Counts { gold: 1, found: 1, ..Counts::default() }.overlap().f1, Some(0.0));
    }
}
