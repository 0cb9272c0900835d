//! What is asked of findings: levels, operators, thresholds, by entity and by
//! rule. The names are held against the rules once those are compiled.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use super::problem::{Found, Origin, Problem};
use super::settings::{Placed, Section};
use super::source::nearest;
use crate::detect::{Engine, Level, Operator, PackSwitch, State, Wish, Wishes};
use crate::entity::Entity;

/// What is asked of the findings of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detection {
    /// How sure they must be.
    pub level: Level,
    entities: Vec<Named>,
    rules: Vec<Named>,
    /// Packs of rules that are switched on and off, for all routes together.
    pub packs: Vec<(PackSwitch, Place)>,
}

/// Where something was written, which makes no difference to what it says.
#[derive(Debug, Clone)]
pub struct Place(pub(super) Origin);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is asked of one entity or rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    name: String,
    origin: Place,
    operator: Option<Operator>,
    /// In thousandths.
    threshold: Option<u16>,
    state: Option<State>,
    mask: Partial,
}

/// A mask of which not all is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Partial {
    keep_first: Option<usize>,
    keep_last: Option<usize>,
    character: Option<char>,
}

/// How the operator `mask` shows a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    /// How many letters and digits stay in front.
    pub keep_first: usize,
    /// How many letters and digits stay at the end.
    pub keep_last: usize,
    /// What stands four times for the rest.
    pub character: char,
}

impl Default for Mask {
    fn default() -> Self {
        Self { keep_first: 0, keep_last: 0, character: '*' }
    }
}

impl Detection {
    /// What the plan of a route is made of.
    pub fn wishes(&self) -> Wishes {
        let entities = self.entities.iter().filter_map(|named| Some((named.name.parse().ok()?, named.wish())));
        let rules = self.rules.iter().map(|named| (named.name.clone(), named.wish()));
        Wishes { level: self.level, entities: entities.collect(), rules: rules.collect(), reversible: None }
    }

    /// How findings of an entity are masked.
    pub fn mask(&self, entity: Entity) -> Mask {
        let said = self.entities.iter().find(|named| named.name == entity.as_str());
        let (said, usual) = (said.map_or(Partial::default(), |named| named.mask), Mask::default());
        Mask {
            keep_first: said.keep_first.unwrap_or(usual.keep_first),
            keep_last: said.keep_last.unwrap_or(usual.keep_last),
            character: said.character.unwrap_or(usual.character),
        }
    }

    /// The names that no rule of the engine has, each with the name most like it.
    pub fn unknown_names(&self, engine: &Engine) -> Vec<Problem> {
        let mut problems = Vec::new();
        let entities = engine.rules().map(|rule| rule.entity.as_str()).collect::<Vec<_>>();
        let rules = engine.rules().map(|rule| rule.id.as_str()).collect::<Vec<_>>();
        for (list, what, known) in
            [(&self.entities, "no rule finds the entity", entities), (&self.rules, "no rule has the id", rules)]
        {
            for named in list.iter().filter(|named| !known.contains(&named.name.as_str())) {
                let mend = match nearest(&named.name, known.iter().copied()) {
                    Some(near) => format!("write `{near}`"),
                    None => "`privet rules list` names all".to_owned(),
                };
                let message = format!("{what} `{}`", named.name);
                problems.push(Problem { origin: named.origin.0.clone(), message, mend });
            }
        }
        problems
    }

    /// Lays what a route says over this, key by key.
    fn overlaid(&self, level: Option<Level>, entities: Vec<Named>, rules: Vec<Named>) -> Self {
        let lay = |below: &[Named], above: Vec<Named>| {
            let mut all = below.to_vec();
            for one in above {
                match all.iter_mut().find(|other| other.name == one.name) {
                    Some(other) => other.overlay(one),
                    None => all.push(one),
                }
            }
            all
        };
        Self {
            level: level.unwrap_or(self.level),
            entities: lay(&self.entities, entities),
            rules: lay(&self.rules, rules),
            packs: self.packs.clone(),
        }
    }
}

impl Named {
    fn wish(&self) -> Wish {
        let threshold = self.threshold.map(|thousandths| f32::from(thousandths) / 1000.0);
        Wish { operator: self.operator, threshold, state: self.state }
    }

    fn overlay(&mut self, above: Self) {
        self.origin = above.origin;
        self.operator = above.operator.or(self.operator);
        self.threshold = above.threshold.or(self.threshold);
        self.state = above.state.or(self.state);
        self.mask = Partial {
            keep_first: above.mask.keep_first.or(self.mask.keep_first),
            keep_last: above.mask.keep_last.or(self.mask.keep_last),
            character: above.mask.character.or(self.mask.character),
        };
    }
}

/// The paths of the tables with names of the user's own.
struct Patterns {
    entities: &'static str,
    mask: &'static str,
    rules: &'static str,
}

/// Entities that a configuration names beside its detection, and that no rule
/// finds: typing errors, or values of rules that are gone.
pub fn doubtful_names(named: &[(Entity, Place)], engine: &Engine) -> Vec<Problem> {
    let known: Vec<_> = engine.rules().map(|rule| rule.entity.as_str()).collect();
    let unknown = named.iter().filter(|(entity, _)| !known.contains(&entity.as_str()));
    let told = unknown.map(|(entity, place)| {
        let mend = match nearest(entity.as_str(), known.iter().copied()) {
            Some(near) => format!("write `{near}`, if that is meant"),
            None => "`privet rules list` names all".to_owned(),
        };
        Problem { origin: place.0.clone(), message: format!("no rule finds the entity `{entity}`"), mend }
    });
    told.collect()
}

/// Reads `[detection]`.
pub(super) fn of_all(section: &Section<'_>, found: &mut Found) -> Detection {
    let patterns =
        Patterns { entities: "detection.entities.*", mask: "detection.entities.*.mask", rules: "detection.rules.*" };
    let (level, entities, rules) = read(section, &patterns, found);
    let mut packs = Vec::new();
    for Placed { value, origin } in section.texts("packs").map(|placed| placed.value).unwrap_or_default() {
        match value.parse::<PackSwitch>() {
            Ok(switch) => packs.push((switch, Place(origin))),
            Err(bad) => found.error(&origin, bad.to_string(), "`privet rules list` names all packs"),
        }
    }
    Detection { level: level.map(|placed| placed.value).unwrap_or_default(), entities, rules, packs }
}

/// Reads what a route says besides.
pub(super) fn of_route(route: &Section<'_>, all: &Detection, found: &mut Found) -> Detection {
    let patterns = Patterns {
        entities: "routes[].detection.entities.*",
        mask: "routes[].detection.entities.*.mask",
        rules: "routes[].detection.rules.*",
    };
    let (level, entities, rules) = read(&route.below("detection", "routes[].detection"), &patterns, found);
    let short = level_of(route);
    if let (Some(short), Some(level)) = (&short, &level) {
        // The later line is the one that should not be there.
        let origin = [&short.origin, &level.origin].into_iter().min_by_key(|origin| Reverse(*origin));
        let origin = origin.cloned().unwrap_or(Origin::Nowhere);
        found.error(&origin, "the route has `level` and `detection.level`", "keep one of them");
    }
    all.overlaid(level.or(short).map(|placed| placed.value), entities, rules)
}

fn read(
    section: &Section<'_>,
    patterns: &Patterns,
    found: &mut Found,
) -> (Option<Placed<Level>>, Vec<Named>, Vec<Named>) {
    let mut entities = Vec::new();
    for (name, table) in section.named("entities", patterns.entities) {
        if Entity::from_str(&name).is_err() {
            let mend = "write an entity such as PERSON, in capitals";
            found.error(&table.origin(), format!("`{name}` is no name of an entity"), mend);
            continue;
        }
        let mask = mask(&table.below("mask", patterns.mask), found);
        entities.push(Named { mask, ..named(name, &table, found) });
    }
    let rules = section.named("rules", patterns.rules);
    let rules = rules.into_iter().map(|(name, table)| named(name, &table, found)).collect();
    (level_of(section), entities, rules)
}

fn level_of(section: &Section<'_>) -> Option<Placed<Level>> {
    let placed = section.text("level")?;
    Some(Placed { value: Level::parse(&placed.value)?, origin: placed.origin })
}

fn named(name: String, table: &Section<'_>, found: &mut Found) -> Named {
    let level = level_of(table);
    let threshold = table.number_if_any("threshold").and_then(|number| u16::try_from(number).ok());
    if let (Some(level), Some(_)) = (&level, threshold) {
        found.error(&level.origin, "`level` and `threshold` are given", "keep one of them");
    }
    // The levels are tenths and twentieths.
    let of_level = level.map(|placed| (placed.value.threshold() * 1000.0).round() as u16);
    let word = |name| table.text(name).map(|placed| placed.value);
    Named {
        name,
        origin: Place(table.origin()),
        operator: word("operator").and_then(|word| Operator::parse(&word)),
        threshold: threshold.or(of_level),
        state: word("state").and_then(|word| State::parse(&word)),
        mask: Partial::default(),
    }
}

fn mask(section: &Section<'_>, found: &mut Found) -> Partial {
    if !section.is_written() {
        return Partial::default();
    }
    let count = |name: &str| Some(section.size(name)).filter(|_| section.placed(name) != Origin::Nowhere);
    let character = section.text("character").filter(|placed| placed.origin != Origin::Nowhere);
    let character = character.and_then(|Placed { value, origin }| {
        let mut characters = value.chars();
        match (characters.next(), characters.next()) {
            (Some(c), None) if is_mask(c) => Some(c),
            _ => {
                let message = "`character` is not one character that every format takes";
                found.error(&origin, message, "write one such as \"*\", \"#\", \"•\", \"x\"");
                None
            }
        }
    });
    Partial { keep_first: count("keep_first"), keep_last: count("keep_last"), character }
}

/// What needs no escape in JSON, markup and headers.
fn is_mask(c: char) -> bool {
    matches!(c, 'x' | 'X')
        || !(c.is_alphanumeric() || c.is_control() || c.is_whitespace() || "\"\\<>&[]%,;'".contains(c))
}
