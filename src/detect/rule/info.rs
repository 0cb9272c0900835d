//! What is to be known about a rule of an engine.

use crate::detect::Operator;
use crate::detect::rule::{Context, Lines, Rule, RuleFile, Source, State};
use crate::entity::Entity;

/// What is to be known about a rule.
#[derive(Clone, Debug)]
pub struct RuleInfo {
    /// The id in the rule file.
    pub id: String,
    /// The kind of its findings.
    pub entity: Entity,
    /// What it is for, in the words of the rule file.
    pub description: String,
    /// What it asks to be done.
    pub operator: Operator,
    /// Whether it runs, as the rule file says.
    pub state: State,
    /// Whether its pack, region and language are switched on. Where not, it
    /// does not run whatever its state.
    pub selected: bool,
    /// Whether it finds data of GDPR Article 9.
    pub sensitive: bool,
    /// The pack it belongs to.
    pub pack: Option<String>,
    /// The languages it is for, as ISO 639 codes; empty for any.
    pub languages: Vec<String>,
    /// The regions it is for, as ISO 3166-1 alpha-2 codes; empty for any.
    pub regions: Vec<String>,
    /// Where its candidates come from.
    pub source: RuleSource,
    /// What a match must fulfil besides.
    pub validator: Option<String>,
    /// The score of a candidate by itself, from 0 to 1. A finder may raise it.
    pub score: f32,
    /// Words nearby that raise the score.
    pub context: Vec<ContextWord>,
    /// Words nearby that lower it.
    pub against: Vec<ContextWord>,
    /// Examples that must match and that must not, with their «marks».
    pub examples: (Vec<String>, Vec<String>),
    /// The file it stands in.
    pub file: String,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// A word that raises or lowers a score.
#[derive(Clone, Debug, PartialEq)]
pub struct ContextWord {
    /// The word.
    pub word: String,
    /// By how much, from 0 to 1.
    pub weight: f32,
    /// The languages it is of, as ISO 639 codes; empty where not said.
    pub languages: Vec<String>,
}

/// Where the candidates of a rule come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleSource {
    /// A built-in recogniser of this name.
    Finder(&'static str),
    /// Regular expressions.
    Patterns(Vec<String>),
    /// Words and phrases.
    Words(Vec<String>),
    /// Fixed forms of digits, letters and separators, each with whether it needs a
    /// context word.
    Shapes(Vec<(String, bool)>),
}

impl RuleInfo {
    pub(crate) const NONE: Self = Self {
        id: String::new(),
        entity: Entity::constant("UNKNOWN"),
        description: String::new(),
        operator: Operator::Token,
        state: State::Off,
        selected: false,
        sensitive: false,
        pack: None,
        languages: Vec::new(),
        regions: Vec::new(),
        source: RuleSource::Finder(""),
        validator: None,
        score: 0.0,
        context: Vec::new(),
        against: Vec::new(),
        examples: (Vec::new(), Vec::new()),
        file: String::new(),
        line: 0,
    };

    pub(crate) fn new(rule: &Rule, file: &RuleFile, lines: &Lines) -> Self {
        let words = |list: &[Context]| {
            let word =
                |c: &Context| ContextWord { word: c.word.clone(), weight: c.weight, languages: c.languages.clone() };
            list.iter().map(word).collect()
        };
        let examples = |wanted| rule.examples.iter().filter(|e| e.wanted == wanted).map(|e| e.marked.clone()).collect();
        let texts = |list: &[(String, _)]| list.iter().map(|(text, _)| text.clone()).collect();
        Self {
            id: rule.id.clone(),
            entity: rule.entity,
            description: rule.description.clone(),
            operator: rule.operator,
            state: rule.state,
            selected: rule.selected,
            sensitive: rule.sensitive,
            pack: file.pack.as_ref().map(|pack| pack.name.clone()),
            languages: rule.languages.clone(),
            regions: rule.regions.clone(),
            source: match &rule.source {
                Source::Finder(finder) => RuleSource::Finder(finder.name()),
                Source::Patterns(list) => RuleSource::Patterns(texts(list)),
                Source::Words(list) => RuleSource::Words(texts(list)),
                Source::Shapes(list) => {
                    RuleSource::Shapes(list.iter().map(|(text, _, cued)| (text.clone(), *cued)).collect())
                }
            },
            validator: rule.validator_name.clone(),
            score: rule.score,
            context: words(&rule.context),
            against: words(&rule.against),
            examples: (examples(true), examples(false)),
            file: file.name.clone(),
            line: lines.of(rule.span.start),
        }
    }

    /// Whether the rule finds anything: its state, and the switches of packs.
    pub fn effective_state(&self) -> State {
        if self.selected { self.state } else { State::Off }
    }
}
