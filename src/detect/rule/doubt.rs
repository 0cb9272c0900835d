//! Doubts: rules that are valid and still look wrong, because they are there
//! twice, can never find anything, or contradict each other.

use crate::detect::compile::checked;
use crate::detect::finder::Finder;
use crate::detect::rule::check::{Context, Rule, Source, marks};
use crate::detect::rule::{RuleError, RuleSet, position};
use crate::detect::scan::THRESHOLD;
use crate::detect::{Engine, Input, Operator, PackSwitch, Scratch, words};
use crate::entity::Entity;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

impl RuleSet {
    /// What looks wrong in rules that are valid: duplicates, what can never be
    /// found, contradictions; each with its place and the mend, sorted. Packs
    /// that are switched off are looked at too, states that are off are not.
    /// Empty where the rules cannot be compiled.
    pub fn doubts(&self) -> Vec<RuleError> {
        let mut all = self.clone();
        all.switches.extend(PackSwitch::everything());
        let rules: Vec<Rule> = checked(&all, &mut Vec::new()).into_iter().filter(Rule::runs).collect();
        let mut doubts = Doubts { set: &all, list: Vec::new() };
        for rule in &rules {
            doubts.score(rule);
            doubts.context(rule);
        }
        doubts.twice(&rules);
        doubts.kept_and_found(&rules);
        if let Ok(engine) = Engine::compile(&all) {
            doubts.taken(&rules, &engine);
        }
        doubts.list.sort();
        doubts.list.dedup();
        doubts.list
    }
}

struct Doubts<'d> {
    set: &'d RuleSet,
    list: Vec<RuleError>,
}

/// What a rule seeks, in the form in which two rules may seek the same.
#[derive(PartialEq, Eq, Hash)]
enum Sought {
    Finder(usize),
    Pattern(String),
    Word(String),
}

fn sought(rule: &Rule) -> Vec<(Sought, Range<usize>)> {
    match &rule.source {
        // Each rule brings words of its own for the first to find. The ids of two
        // states may look the same; their checks tell them apart.
        Source::Finder(Finder::Account) | Source::Shapes(_) => Vec::new(),
        Source::Finder(finder) => vec![(Sought::Finder(*finder as usize), rule.span.clone())],
        Source::Patterns(list) => list.iter().map(|(p, at)| (Sought::Pattern(p.clone()), at.clone())).collect(),
        Source::Words(list) => list.iter().map(|(w, at)| (Sought::Word(w.to_lowercase()), at.clone())).collect(),
    }
}

impl Sought {
    fn name(&self) -> &'static str {
        match self {
            Self::Finder(_) => "finder",
            Self::Pattern(_) => "pattern",
            Self::Word(_) => "word",
        }
    }
}

impl Doubts<'_> {
    fn say(&mut self, rule: &Rule, at: Range<usize>, problem: String) {
        if let Some(file) = self.set.files.get(rule.file) {
            self.list.push(RuleError::at(&file.name, &file.text, at, problem));
        }
    }

    fn place(&self, rule: &Rule, at: &Range<usize>) -> String {
        self.set.files.get(rule.file).map_or_else(String::new, |file| {
            let (line, _) = position(&file.text, at.start);
            format!("{}:{line}", file.name)
        })
    }

    /// A score that no context word lifts over the threshold. Finders raise
    /// scores by themselves.
    fn score(&mut self, rule: &Rule) {
        let best = rule.context.iter().map(|c| c.weight).fold(0.0, f32::max);
        let reach = rule.score + best;
        if reach < THRESHOLD - 0.001 && !matches!(rule.source, Source::Finder(_)) {
            let problem = format!(
                "`{}` finds nothing: score and the greatest weight of a context word make {reach:.2}, and {THRESHOLD} is needed; raise one of them",
                rule.id
            );
            self.say(rule, rule.span.clone(), problem);
        }
    }

    fn context(&mut self, rule: &Rule) {
        let hash = |c: &Context| words::hash_of(&c.word);
        let against: HashMap<u64, &Context> = rule.against.iter().filter_map(|c| Some((hash(c)?, c))).collect();
        let mut seen: HashSet<String> = HashSet::new();
        for word in &rule.context {
            let mut read = Vec::new();
            words::each(&word.word, |hash| read.push(hash));
            let Some(hash) = hash(word) else { continue };
            if read != [hash] {
                let problem = "no text has this word: words end at what is no letter; write its main part alone";
                self.say(rule, word.span.clone(), problem.to_owned());
            }
            if against.contains_key(&hash) {
                let problem = format!("`{}` is in context and in against; context wins, remove one", word.word);
                self.say(rule, word.span.clone(), problem);
            }
            if !seen.insert(word.word.to_lowercase()) {
                let problem = format!("`{}` is in context twice; remove one", word.word);
                self.say(rule, word.span.clone(), problem);
            }
        }
    }

    /// The same sought twice for the same entity.
    fn twice(&mut self, rules: &[Rule]) {
        let mut first: HashMap<(Sought, Entity), (&Rule, Range<usize>)> = HashMap::new();
        for rule in rules {
            for (sought, at) in sought(rule) {
                let what = sought.name();
                match first.entry((sought, rule.entity)) {
                    Entry::Vacant(free) => {
                        free.insert((rule, at));
                    }
                    Entry::Occupied(taken) => {
                        let (other, place) = taken.get();
                        // Kept and found is told below.
                        if (other.operator == Operator::Keep) == (rule.operator == Operator::Keep) {
                            let place = self.place(other, place);
                            let problem = format!("`{}` has this {what} too, at {place}; remove one", other.id);
                            self.say(rule, at, problem);
                        }
                    }
                }
            }
        }
    }

    /// An exception for what another rule is there to find.
    fn kept_and_found(&mut self, rules: &[Rule]) {
        let (keep, find): (Vec<&Rule>, Vec<&Rule>) = rules.iter().partition(|r| r.operator == Operator::Keep);
        let mut found: HashMap<Sought, &Rule> = HashMap::new();
        for rule in find {
            found.extend(sought(rule).into_iter().map(|(sought, _)| (sought, rule)));
        }
        for rule in keep {
            for (sought, at) in sought(rule) {
                if let Some(other) = found.get(&sought) {
                    let (id, what) = (&other.id, sought.name());
                    let problem = match other.operator {
                        Operator::Block => format!("`{id}` blocks what this rule keeps, and blocking wins; remove one"),
                        _ => format!("`{id}` finds what this rule keeps, so it never finds this {what}; remove one"),
                    };
                    self.say(rule, at, problem);
                }
            }
        }
    }

    /// Rules by pattern or words whose every example another rule takes.
    fn taken(&mut self, rules: &[Rule], engine: &Engine) {
        let mut scratch = Scratch::default();
        for rule in rules.iter().filter(|r| !matches!(r.source, Source::Finder(_)) && r.operator != Operator::Keep) {
            let (mut own, mut others) = (false, BTreeSet::new());
            for example in rule.examples.iter().filter(|e| e.wanted) {
                let Some((text, spans)) = marks(&example.marked) else { continue };
                let found = engine.scan(Input::text(&text), &mut scratch).to_vec();
                for f in found.iter().chain(scratch.shadow()) {
                    let id = &engine.rule(f.rule).id;
                    own |= *id == rule.id;
                    if f.entity == rule.entity && (spans.is_empty() || spans.contains(&(f.start..f.end))) {
                        others.insert(id.clone());
                    }
                }
            }
            if !own && !others.is_empty() {
                let others = others.into_iter().collect::<Vec<_>>().join("`, `");
                let problem = format!(
                    "all examples of `{}` are found by `{others}`; remove the rule, or give it an example of its own",
                    rule.id
                );
                self.say(rule, rule.span.clone(), problem);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(own: &str) -> Vec<String> {
        let mut set = RuleSet::builtin().unwrap();
        set.add("own.toml", own).unwrap();
        Engine::compile(&set).unwrap();
        set.doubts().iter().map(ToString::to_string).filter(|d| d.starts_with("own.toml")).collect()
    }

    fn rule(id: &str, rest: &str) -> String {
        format!("[[rule]]\nid = \"{id}\"\nentity = \"AA\"\n{rest}\n")
    }

    #[track_caller]
    fn check(own: &str, place: &str, said: &str) {
        let doubts = doubts(own);
        assert_eq!(doubts.len(), 1, "{doubts:#?}");
        assert!(doubts[0].starts_with(&format!("own.toml:{place}: ")) && doubts[0].contains(said), "{doubts:#?}");
    }

    #[test]
    fn what_can_never_be_found_is_pointed_out() {
        check(&rule("a", "pattern = 'x1'\nscore = 0.1\nweight = 0.2\ncontext = [\"desk\"]"), "1:1", "make 0.30");
        assert_eq!(doubts(&rule("a", "pattern = 'x1'\nscore = 0.1\ncontext = [\"desk\"]")), Vec::<String>::new());
        let email = "pattern = 'ana@shop[.]example'\nmatch = [\"«ana@shop.example»\"]";
        check(&rule("a", email).replace("AA", "EMAIL"), "1:1", "found by `email`");
        assert_eq!(doubts(&rule("a", "pattern = 'x1'\nscore = 0.1\nstate = \"off\"")), Vec::<String>::new());
    }

    #[test]
    fn what_is_there_twice_is_pointed_out() {
        check(
            &(rule("a", "pattern = 'x1'") + &rule("b", "pattern = 'x1'")),
            "8:11",
            "`a` has this pattern too, at own.toml:4",
        );
        check(&rule("a", "words = [\"Heron\", \"heron\"]"), "4:19", "word too");
        check(&rule("a", "pattern = 'x1'\ncontext = [\"desk\", \"DESK\"]"), "5:20", "twice");
    }

    #[test]
    fn contradictions_are_pointed_out() {
        check(&rule("a", "pattern = 'x1'\ncontext = [\"desk\"]\nagainst = [\"Desk\"]"), "5:12", "context wins");
        let both = rule("a", "words = [\"heron\"]") + &rule("b", "words = [\"heron\"]\noperator = \"keep\"");
        check(&both, "8:10", "never finds this word");
        let both = rule("a", "words = [\"heron\"]\noperator = \"block\"")
            + &rule("b", "words = [\"heron\"]\noperator = \"keep\"");
        check(&both, "9:10", "blocks what this rule keeps");
    }

    #[test]
    fn the_built_in_rules_are_beyond_doubt() {
        let doubts = RuleSet::builtin().unwrap().doubts();
        assert_eq!(doubts, []);
    }
}
