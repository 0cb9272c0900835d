//! Finds personal data in text.
//!
//! [`Engine`] is compiled once from a [`RuleSet`] and never changes; a scan
//! writes only to the caller's [`Scratch`]. A scan is one pass over the bytes.
//! The pass stops at anchors (`@`, a digit, a colon between hex digits, a
//! word), the finder of that anchor looks at the candidate around it, words
//! nearby raise or lower the score, and what is left is freed of overlaps.
//! Time is linear in the text for any input, and nothing here can fail, read a
//! clock or touch a file.

mod account;
mod address;
mod around;
mod birth;
mod compile;
mod eight;
mod email;
pub mod eval;
mod evidence;
mod example;
mod filter;
mod finder;
mod house;
mod ip;
mod letters;
mod lexicon;
mod load;
mod mac;
mod name;
mod national;
mod near;
mod normalize;
mod number;
mod outcome;
mod pattern;
mod phone;
mod plan;
mod postcode;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod resolve;
mod rule;
mod said;
mod scan;
mod secret;
mod shape;
mod spelled;
mod table;
mod terms;
mod url;
mod validate;
mod words;

pub use evidence::Evidence;
pub use example::{ExampleReport, Failure};
pub use name::{Progress, Sample, Schedule, TemplateError, TrainError, Trainer};
pub use near::{NearMiss, Why};
pub use normalize::markup_text;
pub use outcome::Outcome;
pub use plan::{Detector, Level, Plan, Treatment, Wish, Wishes};
pub use rule::{
    BadSwitch, ContextWord, Pack, PackSwitch, RuleError, RuleErrors, RuleInfo, RuleSet, RuleSource, State, UnknownPack,
};
pub use scan::Scratch;
pub(crate) use words::{BLOCK, byte_masks};

use crate::entity::Entity;
use lexicon::Lexicon;

/// The text to scan.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The text.
    pub text: &'a str,
    /// The key in front of the text in its format ("phone", "customerName"),
    /// which counts as a word in front of the text.
    pub label: Option<&'a str>,
}

impl<'a> Input<'a> {
    /// Text without a label.
    pub fn text(text: &'a str) -> Self {
        Self { text, label: None }
    }
}

/// A span that a rule recognised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// First byte, on a character border.
    pub start: usize,
    /// Byte behind the last, on a character border.
    pub end: usize,
    /// The kind.
    pub entity: Entity,
    /// The rule that fired.
    pub rule: RuleId,
    /// From the threshold of the rule to 1.
    pub score: f32,
    /// What the rule asks to be done.
    pub operator: Operator,
}

/// Index of a rule in the engine that reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(u16);

impl RuleId {
    /// Its place among [`Engine::rules`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a rule asks to be done with a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Replace by a token, reversible.
    Token,
    /// Replace by a realistic fake, reversible.
    Surrogate,
    /// Replace by a mask.
    Mask,
    /// Replace by a keyed hash.
    Hash,
    /// Take it out.
    Remove,
    /// An exception: what it covers wholly is no finding.
    Keep,
    /// Refuse the request.
    Block,
}

impl Operator {
    pub(crate) const NAMES: &'static [&'static str] =
        &["token", "surrogate", "mask", "hash", "remove", "keep", "block"];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "token" => Self::Token,
            "surrogate" => Self::Surrogate,
            "mask" => Self::Mask,
            "hash" => Self::Hash,
            "remove" => Self::Remove,
            "keep" => Self::Keep,
            "block" => Self::Block,
            _ => return None,
        })
    }

    /// The name in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Surrogate => "surrogate",
            Self::Mask => "mask",
            Self::Hash => "hash",
            Self::Remove => "remove",
            Self::Keep => "keep",
            Self::Block => "block",
        }
    }

    /// The stricter operator wins where findings overlap.
    pub(crate) fn strictness(self) -> u8 {
        match self {
            Self::Block => 2,
            Self::Mask | Self::Hash | Self::Remove => 1,
            Self::Token | Self::Surrogate | Self::Keep => 0,
        }
    }
}

/// Compiled rules.
pub struct Engine {
    identity: u64,
    /// Whether a rule is in shadow.
    version: String,
    infos: Vec<RuleInfo>,
    rules: Vec<compile::Scoring>,
    /// Rules by finder.
    finders: [Vec<RuleId>; finder::Finder::COUNT],
    patterns: pattern::Patterns,
    shapes: shape::Shapes,
    /// What rules by shape and numbers of accounts listen to.
    listened: said::Listened,
    lexicon: Lexicon,
    model: name::Model,
    terms: terms::Terms,
    dialling: phone::DiallingCodes,
    number_words: spelled::NumberWords,
    examples: Vec<example::Example>,
    /// What the rules say of themselves.
    plan: Plan,
}

impl Engine {
    /// The rules that are built in.
    pub fn builtin() -> Result<Self, RuleError> {
        Self::compile(&RuleSet::builtin()?).map_err(RuleErrors::into_first)
    }

    /// Compiles rules, or names all mistakes in them.
    pub fn compile(rules: &RuleSet) -> Result<Self, RuleErrors> {
        compile::compile(rules)
    }

    /// The findings of a text: sorted, not overlapping, on character borders.
    pub fn scan<'s>(&self, input: Input<'_>, scratch: &'s mut Scratch) -> &'s [Finding] {
        self.scan_with(&self.plan, input, scratch)
    }

    /// The same under a plan of this engine. One of another engine says nothing.
    pub fn scan_with<'s>(&self, plan: &Plan, input: Input<'_>, scratch: &'s mut Scratch) -> &'s [Finding] {
        let plan = if plan.is_for(self) { plan } else { &self.plan };
        scan::scan(self, plan, input, scratch);
        &scratch.findings
    }

    /// The same rules, of which all findings need the score of this level.
    #[must_use]
    pub fn at_level(mut self, level: Level) -> Self {
        self.plan = self.plan(&Wishes { level, ..Wishes::default() });
        self
    }

    /// A plan of this engine. Names that no rule has are passed over.
    pub fn plan(&self, wishes: &Wishes) -> Plan {
        Plan::of(self.identity, &self.infos, wishes)
    }

    /// The rule of a finding of this engine.
    ///
    /// An id of another engine gives some rule of this one.
    pub fn rule(&self, id: RuleId) -> &RuleInfo {
        static NONE: RuleInfo = RuleInfo::NONE;
        self.infos.get(usize::from(id.0)).unwrap_or(&NONE)
    }

    /// All rules, those too that do not run.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.infos.iter()
    }

    /// Whether a word is one of those that languages are full of, and so stands
    /// for itself.
    pub fn is_ordinary_word(&self, word: &str) -> bool {
        let classes = words::hash_of(word).map(|hash| self.lexicon.classes(hash));
        classes.is_some_and(|classes| classes.has(lexicon::Classes::COMMON) || classes.has(lexicon::Classes::STOP))
    }

    /// A short hash of the rule texts.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many examples there are.
    pub fn example_count(&self) -> usize {
        self.examples.len()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("version", &self.version)
            .field("rules", &self.infos.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
