//! Rules to engine.

use crate::detect::example::Example;
use crate::detect::filter::Filter;
use crate::detect::finder::Finder;
use crate::detect::lexicon::{BadWord, CLASS_NAMES, Lexicon, MAX_PHRASE};
use crate::detect::name::Model;
use crate::detect::pattern::Pattern;
use crate::detect::phone::DiallingCodes;
use crate::detect::rule::{Rule, RuleError, RuleErrors, RuleSet, Source, position};
use crate::detect::scan::Evidence;
use crate::detect::words;
use crate::detect::{Engine, RuleId, RuleInfo};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// More rules than this in one engine are refused.
const MAX_RULES: usize = 10_000;

/// What the scan needs of a rule.
#[derive(Debug)]
pub(crate) struct Scoring {
    pub(crate) score: f32,
    pub(crate) weight: f32,
    pub(crate) context: WordSet,
    pub(crate) against: WordSet,
}

impl Scoring {
    /// Whether a word speaks for this rule or against it.
    #[inline]
    pub(crate) fn judge(&self, hash: u64) -> Option<Evidence> {
        if self.context.contains(hash) {
            Some(Evidence::CONTEXT)
        } else if self.against.contains(hash) {
            Some(Evidence::AGAINST)
        } else {
            None
        }
    }
}

/// A small set of word hashes.
#[derive(Debug)]
pub(crate) struct WordSet {
    sorted: Vec<u64>,
    /// Nearly all words that are asked for are not in the set.
    filter: Filter,
}

impl WordSet {
    fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut all: Vec<u64> = texts.filter_map(words::hash_of).collect();
        all.sort_unstable();
        all.dedup();
        let mut filter = Filter::with_bits(12);
        for hash in &all {
            filter.add(*hash);
        }
        Self { sorted: all, filter }
    }

    #[inline]
    fn contains(&self, hash: u64) -> bool {
        self.filter.may_hold(hash) && self.sorted.binary_search(&hash).is_ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

pub(crate) fn compile(set: &RuleSet) -> Result<Engine, RuleErrors> {
    static NEXT: AtomicU64 = AtomicU64::new(1);

    let mut errors = Vec::new();
    let rules = checked(set, &mut errors);
    let lexicon = lexicon(set, &mut errors);

    let mut finders: [Vec<RuleId>; Finder::COUNT] = Default::default();
    let mut patterns = Vec::new();
    let mut infos = Vec::with_capacity(rules.len());
    let mut scorings = Vec::with_capacity(rules.len());
    let mut examples = Vec::new();
    let mut budget = crate::detect::pattern::BUDGET;
    for (i, rule) in rules.into_iter().enumerate() {
        let Some(file) = set.files.get(rule.file) else { continue };
        let id = RuleId(i as u16);
        match &rule.source {
            Source::Finder(finder) => {
                if let Some(list) = finders.get_mut(*finder as usize) {
                    list.push(id);
                }
            }
            Source::Patterns(texts) => {
                if let Some(pattern) = Pattern::regex(id, texts, rule.validator, file, &mut budget, &mut errors) {
                    patterns.push(pattern);
                }
            }
            Source::Words(texts) => {
                if let Some(pattern) = Pattern::words(id, texts, rule.validator, file, &mut budget, &mut errors) {
                    patterns.push(pattern);
                }
            }
        }
        for example in rule.examples {
            let line = position(&file.text, example.span.start).0;
            if let Some(example) = Example::new(id, &example, rule.entity, &file.name, line) {
                examples.push(example);
            }
        }
        scorings.push(Scoring {
            score: rule.score,
            weight: rule.weight,
            context: WordSet::new(rule.context.iter().map(String::as_str)),
            against: WordSet::new(rule.against.iter().map(String::as_str)),
        });
        let line = position(&file.text, rule.span.start).0;
        infos.push(RuleInfo {
            id: rule.id,
            entity: rule.entity,
            operator: rule.operator,
            file: file.name.clone(),
            line,
        });
    }
    let model = model(set, &mut errors);
    if !errors.is_empty() {
        return Err(RuleErrors(errors));
    }
    Ok(Engine {
        model,
        identity: NEXT.fetch_add(1, Ordering::Relaxed),
        version: version(set),
        infos,
        rules: scorings,
        finders,
        patterns,
        lexicon,
        dialling: DiallingCodes::builtin(),
        examples,
    })
}

/// The rules of all files, each id once: the later file wins.
fn checked(set: &RuleSet, errors: &mut Vec<RuleError>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for (index, file) in set.files.iter().enumerate() {
        for raw in &file.raw.rules {
            let Some(rule) = Rule::check(raw, index, file, errors) else { continue };
            let full = rules.len() == MAX_RULES;
            match by_id.get(&rule.id).and_then(|&at| rules.get_mut(at)) {
                Some(earlier) if earlier.file == index => errors.push(RuleError::at(
                    &file.name,
                    &file.text,
                    raw.get_ref().id.span(),
                    "this id is in the file already; give each rule its own",
                )),
                Some(earlier) => *earlier = rule,
                None if full => {
                    let problem = format!("more than {MAX_RULES} rules; join patterns into rules with `patterns`");
                    errors.push(RuleError::at(&file.name, &file.text, raw.span(), problem));
                    return rules;
                }
                None => {
                    by_id.insert(rule.id.clone(), rules.len());
                    rules.push(rule);
                }
            }
        }
    }
    rules
}

fn lexicon(set: &RuleSet, errors: &mut Vec<RuleError>) -> Lexicon {
    let mut builder = Lexicon::builder();
    for list in &set.lists {
        for line in list.text.lines().filter(|l| !l.starts_with('#')) {
            // The lists are built in, and a test reads every line of them.
            let _ = builder.add(list.class, line);
        }
    }
    for file in &set.files {
        for (class, words) in &file.raw.words {
            for word in words {
                let problem = match builder.add(class.get_ref(), word.get_ref()) {
                    Ok(()) => continue,
                    Err(BadWord::UnknownClass) => {
                        let problem = format!("unknown class of words; write one of {CLASS_NAMES}");
                        errors.push(RuleError::at(&file.name, &file.text, class.span(), problem));
                        break;
                    }
                    Err(BadWord::NotOneWord) => "this must be one word of letters alone".to_owned(),
                    Err(BadWord::TooLong) => format!("a phrase has at most {MAX_PHRASE} words"),
                };
                errors.push(RuleError::at(&file.name, &file.text, word.span(), problem));
            }
        }
    }
    builder.build()
}

fn model(set: &RuleSet, errors: &mut Vec<RuleError>) -> Model {
    let Some((name, bytes)) = &set.model else { return Model::from_weights(&[], [[0.0; 3]; 3], 0.5) };
    Model::parse(bytes).unwrap_or_else(|bad| {
        errors.push(RuleError::at(name, "", 0..0, bad.problem()));
        Model::from_weights(&[], [[0.0; 3]; 3], 0.5)
    })
}

/// FNV-1a over names and texts: it tells rule sets apart, no more.
fn version(set: &RuleSet) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let texts = set.files.iter().flat_map(|f| [f.name.as_str(), f.text.as_str()]);
    let model = set.model.iter().map(|(_, bytes)| bytes.as_ref());
    for text in texts.chain(set.lists.iter().map(|l| l.text)).map(str::as_bytes).chain(model) {
        for &b in text.iter().chain(&[0]) {
            hash = (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{:012x}", hash >> 16)
}
