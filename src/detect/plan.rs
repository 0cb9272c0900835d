//! The plan: what is asked of the findings of each rule, and what is done with
//! them. A rule file says so for everybody; a plan says it for one deployment
//! or route. It is made once and read by every scan.

use crate::detect::{Engine, Finding, Input, Operator, RuleId, RuleInfo, Scratch, State};
use crate::entity::Entity;

/// How sure a finding must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Level {
    /// Finds more, and errs more.
    Strict,
    /// As the rules are tuned.
    #[default]
    Balanced,
    /// Finds what is sure.
    Lenient,
}

impl Level {
    /// The names, strictest first.
    pub const NAMES: &'static [&'static str] = &["strict", "balanced", "lenient"];

    /// The level with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "strict" => Self::Strict,
            "balanced" => Self::Balanced,
            "lenient" => Self::Lenient,
            _ => return None,
        })
    }

    /// The score that a finding needs.
    pub fn threshold(self) -> f32 {
        match self {
            Self::Strict => 0.35,
            Self::Balanced => 0.5,
            Self::Lenient => 0.75,
        }
    }
}

/// What is said of an entity or a rule; nothing leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wish {
    /// What is done with findings.
    pub operator: Option<Operator>,
    /// The score that a finding needs, from 0 to 1.
    pub threshold: Option<f32>,
    /// Whether the rules run.
    pub state: Option<State>,
}

/// What is said of all rules of an engine. A rule outweighs its entity, an
/// entity outweighs the level, and all of them the rule file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// Of all rules.
    pub level: Level,
    /// Of the rules of an entity. The operator is not for exceptions (`keep`)
    /// and refusals (`block`): such a rule says of itself what it is for.
    pub entities: Vec<(Entity, Wish)>,
    /// Of a rule by its id.
    pub rules: Vec<(String, Wish)>,
    /// The entities that may come back: what else would is removed. All of
    /// them without a list.
    pub reversible: Option<Vec<Entity>>,
}

/// The treatment of each rule of one engine.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The engine that it is for.
    engine: u64,
    rules: Vec<Treatment>,
    /// The lowest threshold of a rule that runs.
    lowest: f32,
    has_shadow: bool,
}

/// What is done with the findings of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Treatment {
    /// What is done with them.
    pub operator: Operator,
    /// The score that they need.
    pub threshold: f32,
    /// Whether there are any.
    pub state: State,
}

/// An engine under a plan.
#[derive(Clone, Copy, Debug)]
pub struct Detector<'d> {
    /// The rules.
    pub engine: &'d Engine,
    /// What is asked of their findings.
    pub plan: &'d Plan,
}

impl Detector<'_> {
    /// The findings of a text: sorted, not overlapping, on character borders.
    pub fn scan<'s>(&self, input: Input<'_>, scratch: &'s mut Scratch) -> &'s [Finding] {
        self.engine.scan_with(self.plan, input, scratch)
    }
}

impl<'d> From<&'d Engine> for Detector<'d> {
    /// Under the plan of the rules themselves.
    fn from(engine: &'d Engine) -> Self {
        Self { engine, plan: &engine.plan }
    }
}

/// Of a rule that the plan does not know.
const USUAL: Treatment = Treatment { operator: Operator::Token, threshold: 0.5, state: State::On };

impl Plan {
    pub(crate) fn of(engine: u64, rules: &[RuleInfo], wishes: &Wishes) -> Self {
        let rules: Vec<Treatment> = rules.iter().map(|rule| treatment(rule, wishes)).collect();
        let running = rules.iter().filter(|rule| rule.state != State::Off);
        let lowest = running.map(|rule| rule.threshold).fold(1.0, f32::min);
        let has_shadow = rules.iter().any(|rule| rule.state == State::Shadow);
        Self { engine, rules, lowest, has_shadow }
    }

    /// The treatment of a rule.
    #[inline]
    pub fn treatment(&self, rule: RuleId) -> Treatment {
        self.rules.get(rule.index()).copied().unwrap_or(USUAL)
    }

    /// The treatment of the rule at this place among [`Engine::rules`].
    #[cfg(test)]
    pub(crate) fn by_index(&self, rule: usize) -> Option<Treatment> {
        self.rules.get(rule).copied()
    }

    /// Whether the rule at this place among [`Engine::rules`] runs.
    pub fn state_of(&self, rule: usize) -> Option<State> {
        self.rules.get(rule).map(|treatment| treatment.state)
    }

    /// Whether it was made for this engine.
    pub(crate) fn is_for(&self, engine: &Engine) -> bool {
        self.engine == engine.identity
    }

    /// No finding needs less than this score.
    pub(crate) fn lowest(&self) -> f32 {
        self.lowest
    }

    /// Whether some rule only counts.
    pub(crate) fn has_shadow(&self) -> bool {
        self.has_shadow
    }

    /// Whether findings may have this operator.
    pub fn uses(&self, operator: Operator) -> bool {
        self.rules.iter().any(|rule| rule.operator == operator && rule.state == State::On)
    }
}

fn treatment(rule: &RuleInfo, wishes: &Wishes) -> Treatment {
    let RuleInfo { ref id, entity, operator, .. } = *rule;
    let of_entity = wishes.entities.iter().rev().find(|(named, _)| *named == entity).map(|(_, wish)| *wish);
    let of_rule = wishes.rules.iter().rev().find(|(named, _)| named == id).map(|(_, wish)| *wish);
    let (of_entity, of_rule) = (of_entity.unwrap_or_default(), of_rule.unwrap_or_default());
    let for_itself = matches!(operator, Operator::Keep | Operator::Block);
    let wished = of_rule.operator.or(of_entity.operator.filter(|_| !for_itself)).unwrap_or(operator);
    let may_return = wishes.reversible.as_ref().is_none_or(|entities| entities.contains(&entity));
    Treatment {
        operator: match wished {
            Operator::Token | Operator::Surrogate if !may_return => Operator::Remove,
            wished => wished,
        },
        threshold: of_rule.threshold.or(of_entity.threshold).unwrap_or(wishes.level.threshold()).clamp(0.0, 1.0),
        state: of_rule.state.or(of_entity.state).unwrap_or(rule.effective_state()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::RuleSet;

    fn engine() -> Engine {
        let rules = r#"
            [[rule]]
            id = "badge"
            entity = "STAFF"
            pattern = 'P\d{5}'
            score = 0.4
            weight = 0.4
            context = ["badge"]
            [[rule]]
            id = "badge-own"
            entity = "STAFF"
            pattern = 'P00000'
            operator = "keep"
            [[rule]]
            id = "crate"
            entity = "CRATE"
            pattern = 'P\d{5}-\d{2}'
            operator = "remove"
        "#;
        let mut set = RuleSet::empty();
        set.add("staff.toml", rules).unwrap();
        Engine::compile(&set).unwrap()
    }

    fn found(engine: &Engine, plan: &Plan, text: &str) -> Vec<(String, Operator)> {
        let mut scratch = Scratch::default();
        let findings = engine.scan_with(plan, Input::text(text), &mut scratch);
        findings.iter().map(|f| (text[f.start..f.end].to_owned(), f.operator)).collect()
    }

    fn wish(operator: Option<Operator>, threshold: Option<f32>, state: Option<State>) -> Wish {
        Wish { operator, threshold, state }
    }

    #[test]
    fn levels_and_thresholds_say_what_is_found() {
        let engine = engine();
        let count = |wishes: &Wishes| {
            let plan = engine.plan(wishes);
            ["P12345", "badge P12345"].map(|text| found(&engine, &plan, text).len())
        };
        let at = |level| Wishes { level, ..Wishes::default() };
        assert_eq!(count(&at(Level::Balanced)), [0, 1]);
        assert_eq!(count(&at(Level::Strict)), [1, 1]);
        assert_eq!(count(&at(Level::Lenient)), [0, 1]);
        let staff = "STAFF".parse().unwrap();
        let entity = |t| Wishes { entities: vec![(staff, wish(None, Some(t), None))], ..at(Level::Strict) };
        assert_eq!(count(&entity(0.9)), [0, 0]);
        let rule = Wishes { rules: vec![("badge".into(), wish(None, Some(0.1), None))], ..entity(0.9) };
        assert_eq!(count(&rule), [1, 1]);
    }

    #[test]
    fn overlaps_are_settled_by_the_operators_of_the_plan() {
        let engine = engine();
        let text = "badge P12345-67";
        let of = |wishes: &Wishes| found(&engine, &engine.plan(wishes), text);
        let own = of(&Wishes::default());
        assert_eq!(own, [("P12345-67".to_owned(), Operator::Remove)]);
        let block = wish(Some(Operator::Block), None, None);
        let blocked = of(&Wishes { rules: vec![("badge".into(), block)], ..Wishes::default() });
        assert_eq!(blocked, [("P12345".to_owned(), Operator::Block)]);
        let both = Wishes {
            entities: vec![
                ("STAFF".parse().unwrap(), wish(Some(Operator::Hash), None, None)),
                ("CRATE".parse().unwrap(), wish(Some(Operator::Surrogate), None, None)),
            ],
            ..Wishes::default()
        };
        let parted = [("P12345".to_owned(), Operator::Hash), ("67".to_owned(), Operator::Surrogate)];
        assert_eq!(of(&both), parted, "the irreversible one wins, and the rest is not let through");
    }

    #[test]
    fn an_exception_stays_one_whatever_is_said_of_its_entity() {
        let engine = engine();
        let staff = "STAFF".parse().unwrap();
        let mask = Wishes { entities: vec![(staff, wish(Some(Operator::Mask), None, None))], ..Wishes::default() };
        assert_eq!(found(&engine, &engine.plan(&mask), "badge P00000"), []);
        assert_eq!(found(&engine, &engine.plan(&mask), "badge P11111")[0].1, Operator::Mask);
        let by_id = Wishes { rules: vec![("badge-own".into(), wish(Some(Operator::Mask), None, None))], ..mask };
        assert_eq!(found(&engine, &engine.plan(&by_id), "badge P00000")[0].1, Operator::Mask);
    }

    #[test]
    fn what_may_not_come_back_is_removed() {
        let engine = engine();
        let of = |reversible| {
            let wishes = Wishes { reversible, ..Wishes::default() };
            found(&engine, &engine.plan(&wishes), "badge P12345").remove(0).1
        };
        assert_eq!(of(None), Operator::Token);
        assert_eq!(of(Some(vec!["STAFF".parse().unwrap()])), Operator::Token);
        assert_eq!(of(Some(vec!["EMAIL".parse().unwrap()])), Operator::Remove);
        assert_eq!(of(Some(Vec::new())), Operator::Remove);
    }

    #[test]
    fn what_is_off_is_not_found() {
        let engine = engine();
        let off = |state| Wishes {
            entities: vec![("CRATE".parse().unwrap(), wish(None, None, Some(state)))],
            ..Wishes::default()
        };
        let text = "crate P12345-67";
        assert_eq!(found(&engine, &engine.plan(&off(State::Off)), text), []);
        assert_eq!(found(&engine, &engine.plan(&off(State::Shadow)), text), []);
        assert_eq!(found(&engine, &engine.plan(&off(State::On)), text).len(), 1);
    }

    #[test]
    fn a_plan_uses_the_operators_of_rules_that_run() {
        let engine = engine();
        let uses = |state| {
            let wish = wish(Some(Operator::Surrogate), None, state);
            let wishes = Wishes { entities: vec![("CRATE".parse().unwrap(), wish)], ..Wishes::default() };
            engine.plan(&wishes).uses(Operator::Surrogate)
        };
        assert_eq!([None, Some(State::Off), Some(State::Shadow)].map(uses), [true, false, false]);
        assert!(!engine.plan(&Wishes::default()).uses(Operator::Surrogate));
    }

    #[test]
    fn a_plan_of_another_engine_is_not_used() {
        let (one, other) = (engine(), engine());
        let plan = other.plan(&Wishes { level: Level::Strict, ..Wishes::default() });
        assert_eq!(found(&one, &plan, "P12345"), []);
    }
}
