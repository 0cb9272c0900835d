//! The rule files: TOML text to [`RuleSet`], with the place of every mistake.
//!
//! ```toml
//! [pack]                          # optional: switches the file's rules as one
//! name = "staff"
//! description = "Numbers of our own people"
//! default = true
//! domain = "work"
//! regions = ["DE", "AT"]
//!
//! [[rule]]
//! id = "staff-number"
//! entity = "STAFF_NUMBER"
//! description = "P and five digits, on every badge"
//! pattern = '\bP\d{5}\b'          # or patterns, words, finder
//!                                 # or shapes = ["A99999"], cued = ["99999"]: see below
//! validator = "luhn"              # optional: what a match must fulfil besides
//! score = 0.3                     # 0.5 is needed for a finding
//! weight = 0.4                    # what a context word adds
//! context = ["badge", { words = ["ausweis", "dienstausweis"], weight = 0.5, languages = ["de"] }]
//! against = ["order"]
//! operator = "token"
//! state = "on"                    # "shadow": found and counted, not acted on; "off"
//! sensitive = false               # true for data of GDPR Article 9
//! match = ["my badge is «P12345»"]
//! ignore = ["order P12345"]
//! ```
//!
//! In shapes, 9 is a digit, A a letter, X either, and separators stand for
//! themselves; `cued` shapes are found only beside a context word. `[defaults]`
//! before the rules holds `context` and `against` words that all rules of the
//! file share; of the words that speak for a rule they come behind its own.

mod check;
mod doubt;
mod error;
mod info;
mod pack;
mod read;

pub(crate) use check::{Context, Example, Rule, Source, marks};
pub(crate) use error::{Lines, position};
pub use error::{RuleError, RuleErrors};
pub use info::{ContextWord, RuleInfo, RuleSource};
pub(crate) use pack::Selection;
pub use pack::{BadSwitch, Pack, PackSwitch, UnknownPack};
pub(crate) use read::{RawDefaults, RawFile, RawRule};

use crate::detect::{Engine, Wish, Wishes};
use crate::entity::Entity;
use std::borrow::Cow;

/// Rules and word lists as read from files, not yet compiled.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub(crate) files: Vec<RuleFile>,
    pub(crate) lists: Vec<WordList>,
    /// The file of the name model, and what errors call it.
    pub(crate) model: Option<(String, Cow<'static, [u8]>)>,
    pub(crate) switches: Vec<PackSwitch>,
    /// What plans switch on, by entity and by id.
    pub(crate) awake: (Vec<Entity>, Vec<String>),
}

/// One rule file that was read.
#[derive(Clone, Debug)]
pub(crate) struct RuleFile {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) raw: RawFile,
    pub(crate) pack: Option<Pack>,
}

impl RuleFile {
    pub(crate) fn is_builtin(&self) -> bool {
        self.name.starts_with("builtin/")
    }
}

/// A plain list of words, one a line; `#` starts a comment line.
#[derive(Clone, Debug)]
pub(crate) struct WordList {
    pub(crate) class: &'static str,
    pub(crate) text: &'static str,
}

impl RuleSet {
    /// No rules at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds the rules of one file. `name` is what errors call the file. A rule
    /// whose id is there already replaces the earlier one.
    ///
    /// # Errors
    /// All mistakes in the file, where its form has any. Where it has none, what
    /// the rules mean is checked when the set is compiled.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), RuleErrors> {
        let mut errors = Vec::new();
        let raw = read::read(name, text, &mut errors);
        let pack = pack::of_file(name, text, &raw, &mut errors);
        let file = RuleFile { name: name.to_owned(), text: text.to_owned(), raw, pack };
        if !errors.is_empty() {
            return Err(all_mistakes(file, &errors));
        }
        self.files.push(file);
        Ok(())
    }

    /// The packs of all files, in the order of the files.
    pub fn packs(&self) -> Vec<Pack> {
        pack::of_files(&self.files).0
    }

    /// What the heads of the files of one pack do not agree on.
    pub(crate) fn pack_errors(&self) -> Vec<RuleError> {
        pack::of_files(&self.files).1
    }

    /// Says what plans of the engine will wish, so that rules which these switch
    /// on are there though their files or packs leave them off.
    pub fn expect(&mut self, wishes: &Wishes) {
        let wakes = |wish: &Wish| wish.state.is_some_and(|state| state != State::Off);
        self.awake.0.extend(wishes.entities.iter().filter(|(_, wish)| wakes(wish)).map(|(entity, _)| *entity));
        self.awake.1.extend(wishes.rules.iter().filter(|(_, wish)| wakes(wish)).map(|(id, _)| id.clone()));
    }

    /// Whether a plan switches this rule on.
    pub(crate) fn is_awake(&self, id: &str, entity: Entity) -> bool {
        self.awake.0.contains(&entity) || self.awake.1.iter().any(|named| named == id)
    }

    /// Switches packs on and off, besides earlier calls.
    ///
    /// # Errors
    /// A switch names a pack or domain that no file has.
    pub fn select(&mut self, switches: &[PackSwitch]) -> Result<(), UnknownPack> {
        let packs = self.packs();
        if let Some(unknown) = switches.iter().find_map(|switch| switch.unknown_in(&packs)) {
            return Err(unknown);
        }
        self.switches.extend_from_slice(switches);
        Ok(())
    }

    /// Takes a model of names, as `privet rules train` writes it, in place of
    /// the one before. `name` is what errors call it.
    pub fn set_model(&mut self, name: &str, bytes: Vec<u8>) {
        self.model = Some((name.to_owned(), Cow::Owned(bytes)));
    }
}

/// The mistakes in the form of a file, and those in what could be read of it.
fn all_mistakes(file: RuleFile, form: &[RuleError]) -> RuleErrors {
    let alone = RuleSet { files: vec![file], ..RuleSet::default() };
    let mut errors = form.to_vec();
    if let Err(RuleErrors(meaning)) = Engine::compile(&alone) {
        // A key that could not be read is not missing too.
        let near = |error: &RuleError| form.iter().any(|f| f.line.abs_diff(error.line) <= check::NEAR_LINES);
        errors.extend(meaning.into_iter().filter(|e| e.problem != check::ONE_SOURCE || !near(e)));
    }
    errors.sort();
    errors.dedup();
    RuleErrors(errors)
}

/// Whether a rule runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// It finds, and its findings are acted on.
    #[default]
    On,
    /// It finds, is counted and reported, and nothing is done.
    Shadow,
    /// It does not run.
    Off,
}

impl State {
    pub(crate) const NAMES: &'static [&'static str] = &["on", "shadow", "off"];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "on" => Self::On,
            "shadow" => Self::Shadow,
            "off" => Self::Off,
            _ => return None,
        })
    }

    /// The name in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }
}

pub(crate) fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_unknown_field_is_an_error_with_its_place() {
        let errors = RuleSet::empty().add("x.toml", "[[rule]]\nid = \"a\"\nentitty = \"B\"\n").unwrap_err();
        let named = errors.0.iter().find(|e| (e.line, e.column) == (3, 1)).unwrap();
        assert!(named.problem.contains("entitty"), "{errors}");
    }

    #[test]
    fn mistakes_of_form_and_of_meaning_are_named_together() {
        let text = "[[rule]]\nid = \"A\"\nentity = \"AA\"\npatern = 'x'\n\n\n\n\n\n\n\n[[rule]]\nid = \"b\"\nentity = \"BB\"\npattern = '(a'\nscore = 5\n";
        let errors = RuleSet::empty().add("x.toml", text).unwrap_err();
        let lines: Vec<usize> = errors.0.iter().map(|e| e.line).collect();
        assert_eq!(lines, [2, 4, 15, 16], "{errors}");
    }

    #[test]
    fn packs_are_known_by_the_heads_of_their_files() {
        let mut set = RuleSet::empty();
        set.add("a.toml", "[pack]\nname = \"a\"\ndescription = \"first\"\ndefault = false\n").unwrap();
        set.add("b.toml", "").unwrap();
        assert_eq!(set.packs().len(), 1);
        assert!(!set.packs()[0].default && set.packs()[0].description == "first");
        assert!(set.select(&["b".parse().unwrap()]).is_err());
        assert!(set.select(&["a".parse().unwrap(), "-region:DE".parse().unwrap()]).is_ok());
    }

    proptest! {
        /// A rule file may be anything; where it is refused, each mistake has a
        /// place within it.
        #[test]
        fn no_file_is_too_strange(parts in proptest::collection::vec(prop_oneof![
            Just("[[rule]]\n"), Just("[pack]\n"), Just("[words]\n"), Just("id = "), Just("entity = "), Just("\"a\"\n"),
            Just("\"AA\"\n"), Just("pattern = "), Just("'a{2}'\n"), Just("context = "), Just("[\"x\", { words = [\"y\"], weight = "),
            Just("0.5 }]\n"), Just("score = "), Just("state = "), Just("\"off\"\n"), Just("match = [\"«é»\"]\n"), Just("= \""), Just("{"), Just("3\n"),
        ], 0..16)) {
            let text: String = parts.concat();
            let mut set = RuleSet::empty();
            let errors = match set.add("x.toml", &text) {
                Ok(()) => Engine::compile(&set).err(),
                Err(errors) => Some(errors),
            };
            for error in errors.into_iter().flat_map(|e| e.0) {
                prop_assert!(error.line >= 1 && error.line <= text.matches('\n').count() + 1, "{error}");
                prop_assert!(error.column >= 1 && !error.problem.is_empty(), "{error}");
            }
            let _ = set.doubts();
        }
    }
}
