//! Rules to engine.

use crate::detect::example::Example;
use crate::detect::filter::Filter;
use crate::detect::finder::Finder;
use crate::detect::lexicon::{BadWord, CLASS_NAMES, Lexicon, MAX_PHRASE};
use crate::detect::name::Model;
use crate::detect::pattern::{Pattern, Patterns};
use crate::detect::phone::DiallingCodes;
use crate::detect::rule::{Context, Lines, RawDefaults, Rule, RuleError, RuleErrors, RuleSet, Selection, Source};

use crate::detect::evidence::Evidence;
use crate::detect::said::{self, Listened};
use crate::detect::shape::Shapes;
use crate::detect::spelled::NumberWords;
use crate::detect::terms::{self, Terms};
use crate::detect::words;
use crate::detect::{Engine, Plan, RuleId, RuleInfo, Wishes};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// More rules than this in one engine are refused.
const MAX_RULES: usize = 10_000;

/// What the scan needs of a rule.
#[derive(Debug)]
pub(crate) struct Scoring {
    pub(crate) score: f32,
    pub(crate) context: WordSet,
    pub(crate) against: WordSet,
    /// The words of its file's defaults, and what they add or take.
    shared: Arc<Shared>,
    weight: f32,
}

/// Words that all rules of a file have.
#[derive(Debug, Default)]
struct Shared {
    context: WordSet,
    against: WordSet,
}

impl Shared {
    fn new(defaults: &RawDefaults) -> Self {
        // The weight is each rule's own.
        let words =
            |list: &[toml::Spanned<String>]| list.iter().map(|s| (s.get_ref().clone(), 0.0)).collect::<Vec<_>>();
        Self {
            context: WordSet::with_all_slips(&words(&defaults.context)),
            // "pone" is a slip of "phone", and a Spanish word.
            against: WordSet::of(
                words(&defaults.against).iter().filter_map(|(w, _)| Some((said::phrase(w)?, 0.0))).collect(),
            ),
        }
    }
}

/// What a word nearby says about a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) evidence: Evidence,
    /// By how much the score goes up or down.
    pub(crate) weight: f32,
}

impl Scoring {
    /// Whether a word speaks for this rule or against it.
    #[inline]
    pub(crate) fn judge(&self, hash: u64) -> Option<Verdict> {
        if let Some(weight) = self.context.weight(hash) {
            Some(Verdict { evidence: Evidence::CONTEXT, weight })
        } else if let Some(weight) = self.against.weight(hash) {
            Some(Verdict { evidence: Evidence::AGAINST, weight })
        } else if self.shared.context.weight(hash).is_some() {
            Some(Verdict { evidence: Evidence::CONTEXT, weight: self.weight })
        } else {
            let against = self.shared.against.weight(hash);
            against.map(|_| Verdict { evidence: Evidence::AGAINST, weight: self.weight })
        }
    }

    /// The same, but of the words that speak for a rule only its own count.
    #[inline]
    pub(crate) fn judge_own(&self, hash: u64) -> Option<Verdict> {
        let verdict = self.judge(hash)?;
        (verdict.evidence == Evidence::AGAINST || self.context.weight(hash).is_some()).then_some(verdict)
    }

    /// Whether no word can change the score.
    pub(crate) fn is_deaf(&self) -> bool {
        self.sets().iter().all(|set| set.is_empty())
    }

    /// All words that can change the score.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> {
        self.sets().into_iter().flat_map(|set| set.sorted.iter().map(|(hash, _)| *hash))
    }

    fn sets(&self) -> [&WordSet; 4] {
        [&self.context, &self.against, &self.shared.context, &self.shared.against]
    }
}

impl Default for WordSet {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

/// A small set of word hashes with a weight each.
#[derive(Debug)]
pub(crate) struct WordSet {
    sorted: Vec<(u64, f32)>,
    /// Nearly all words that are asked for are not in the set.
    filter: Filter,
}

impl WordSet {
    fn new(list: &[Context]) -> Self {
        Self::of(list.iter().filter_map(|c| Some((words::hash_of(&c.word)?, c.weight))).collect())
    }

    /// With the slips of the finger that chat is full of: "telfon", "nubmer".
    fn with_slips(list: &[Context]) -> Self {
        let mut all = Vec::new();
        for Context { word, weight, .. } in list {
            let mut add = |text: &str| all.extend(words::hash_of(text).map(|hash| (hash, *weight)));
            add(word);
            slips(word, add);
        }
        Self::of(all)
    }

    /// For rules by shape: also how words are abbreviated, phrases, and slips in
    /// short words, which a check digit makes safe.
    fn with_all_slips(list: &[(String, f32)]) -> Self {
        let mut all = Vec::new();
        for (text, weight) in list {
            let mut add = |hash: Option<u64>| all.extend(hash.map(|hash| (hash, *weight)));
            add(said::dotted(text));
            if said::is_in_capitals(text) {
                add(words::hash_of(text).map(said::in_capitals));
                continue;
            }
            add(said::phrase(text));
            said::misspellings(text, |slip| add(words::hash_of(slip)));
        }
        Self::of(all)
    }

    fn of(mut all: Vec<(u64, f32)>) -> Self {
        // Of a word that stands there twice the greater weight counts.
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        all.dedup_by_key(|(hash, _)| *hash);
        let mut filter = Filter::with_bits(match all.len() {
            0..16 => 8,
            16..256 => 12,
            _ => 15,
        });
        for (hash, _) in &all {
            filter.add(*hash);
        }
        Self { sorted: all, filter }
    }

    #[inline]
    fn weight(&self, hash: u64) -> Option<f32> {
        if !self.filter.may_hold(hash) {
            return None;
        }
        let at = self.sorted.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        self.sorted.get(at).map(|(_, weight)| *weight)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

/// The word with two letters changed about, one doubled, or one left out.
/// Short words are left alone: their slips are other words.
fn slips(word: &str, mut found: impl FnMut(&str)) {
    const SHORTEST: usize = 6;
    let letters: Vec<char> = word.chars().collect();
    if letters.len() < SHORTEST {
        return;
    }
    let mut slip = String::new();
    let mut give = |letters: &mut dyn Iterator<Item = char>| {
        slip.clear();
        slip.extend(letters);
        found(&slip);
    };
    // The first letter is nearly always right.
    for i in 1..letters.len() {
        let (before, behind) = letters.split_at(i);
        give(&mut before.iter().chain(before.last()).chain(behind).copied());
        if letters.len() > SHORTEST {
            give(&mut before.iter().chain(behind.get(1..).unwrap_or_default()).copied());
        }
        if let [first, second, rest @ ..] = behind {
            give(&mut before.iter().chain([second, first]).chain(rest).copied());
        }
    }
}

pub(crate) fn compile(set: &RuleSet) -> Result<Engine, RuleErrors> {
    static NEXT: AtomicU64 = AtomicU64::new(1);

    let mut errors = Vec::new();
    errors.extend(set.pack_errors());
    let rules = checked(set, &mut errors);
    let (lexicon, terms) = lexicon(set, &mut errors);

    let mut finders: [Vec<RuleId>; Finder::COUNT] = Default::default();
    let mut patterns = Vec::new();
    let mut shapes = Shapes::default();
    let shared: Vec<Arc<Shared>> = set.files.iter().map(|file| Arc::new(Shared::new(&file.raw.defaults))).collect();
    let mut infos = Vec::with_capacity(rules.len());
    let mut scorings = Vec::with_capacity(rules.len());
    let mut examples = Vec::new();
    let mut budget = crate::detect::pattern::BUDGET;
    let lines: Vec<Lines> = set.files.iter().map(|file| Lines::new(&file.text)).collect();
    for (i, rule) in rules.into_iter().enumerate() {
        let (Some(file), Some(lines)) = (set.files.get(rule.file), lines.get(rule.file)) else { continue };
        let id = RuleId(i as u16);
        let runs = rule.runs() || set.is_awake(&rule.id, rule.entity);
        // What does not run is compiled all the same, for the mistakes in it;
        // those in the built-in files are for the tests to find.
        match &rule.source {
            Source::Patterns(_) | Source::Words(_) if !runs && file.is_builtin() => {}
            Source::Finder(finder) if runs => {
                if let Some(list) = finders.get_mut(*finder as usize) {
                    list.push(id);
                }
            }
            Source::Finder(_) => {}
            Source::Patterns(texts) => {
                let pattern = Pattern::regex(id, texts, rule.validator, file, &mut budget, &mut errors);
                patterns.extend(pattern.filter(|_| runs));
            }
            Source::Shapes(texts) => {
                for (shape, span, cued) in texts {
                    if let Err(problem) = Shapes::check(shape) {
                        errors.push(RuleError::at(&file.name, &file.text, span.clone(), problem));
                    } else if runs && let Err(problem) = shapes.add(id, shape, rule.validator, *cued) {
                        errors.push(RuleError::at(&file.name, &file.text, span.clone(), problem));
                    }
                }
            }
            Source::Words(texts) => {
                let pattern = Pattern::words(id, texts, rule.validator, file, &mut budget, &mut errors);
                patterns.extend(pattern.filter(|_| runs));
            }
        }
        for example in &rule.examples {
            let line = lines.of(example.span.start);
            if let Some(example) = Example::new(id, example, rule.entity, &file.name, line) {
                examples.push(example);
            }
        }
        scorings.push(Scoring {
            score: rule.score,
            context: match rule.source {
                Source::Shapes(_) => {
                    let words: Vec<_> = rule.context.iter().map(|c| (c.word.clone(), c.weight)).collect();
                    WordSet::with_all_slips(&words)
                }
                _ => WordSet::with_slips(&rule.context),
            },
            against: WordSet::new(&rule.against),
            shared: shared.get(rule.file).cloned().unwrap_or_default(),
            weight: rule.weight,
        });
        infos.push(RuleInfo::new(&rule, file, lines));
    }
    let model = model(set, &mut errors);
    if !errors.is_empty() {
        return Err(RuleErrors(errors));
    }
    let listened = Listened::of(scorings.iter().flat_map(Scoring::words));
    let identity = NEXT.fetch_add(1, Ordering::Relaxed);
    let plan = Plan::of(identity, &infos, &Wishes::default());
    Ok(Engine {
        model,
        identity,
        version: version(set),
        infos,
        rules: scorings,
        finders,
        patterns: Patterns::new(patterns),
        shapes,
        listened,
        lexicon,
        terms,
        dialling: DiallingCodes::builtin(),
        number_words: NumberWords::builtin(),
        examples,
        plan,
    })
}

/// The rules of all files, each id once: the later file wins.
pub(crate) fn checked(set: &RuleSet, errors: &mut Vec<RuleError>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for (index, file) in set.files.iter().enumerate() {
        for raw in &file.raw.rules {
            let Some(mut rule) = Rule::check(raw, index, file, errors) else { continue };
            rule.select(file, Selection(&set.switches));
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

fn lexicon(set: &RuleSet, errors: &mut Vec<RuleError>) -> (Lexicon, Terms) {
    let mut builder = Lexicon::builder();
    let mut terms = Terms::builder();
    for list in &set.lists {
        for line in list.text.lines().filter(|l| !l.starts_with('#')) {
            // The lists are built in, and a test reads every line of them.
            let _ = builder.add(list.class, line);
        }
    }
    for word in NumberWords::first_words() {
        // As above.
        let _ = builder.add("number-word", word);
    }
    for file in &set.files {
        for (class, words) in &file.raw.words {
            for word in words {
                let added = terms.add(class.get_ref(), word.get_ref());
                let problem = match added.unwrap_or_else(|| builder.add(class.get_ref(), word.get_ref())) {
                    Ok(()) => continue,
                    Err(BadWord::UnknownClass) => {
                        let others: Vec<&str> = terms::names().collect();
                        let problem =
                            format!("unknown class of words; write one of {CLASS_NAMES}, {}", others.join(", "));
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
    (builder.build(), terms.build())
}

fn model(set: &RuleSet, errors: &mut Vec<RuleError>) -> Model {
    let Some((name, bytes)) = &set.model else { return Model::from_weights(&[], [[0.0; 3]; 3], 0.5) };
    Model::parse(bytes).unwrap_or_else(|bad| {
        errors.push(RuleError::at(name, "", 0..0, bad.problem()));
        Model::from_weights(&[], [[0.0; 3]; 3], 0.5)
    })
}

/// A hash of names, texts and switches: it tells rule sets apart, no more.
fn version(set: &RuleSet) -> String {
    let texts = set.files.iter().flat_map(|f| [f.name.as_str(), f.text.as_str()]);
    let switches: Vec<String> = set.switches.iter().map(ToString::to_string).collect();
    let texts = texts.chain(set.lists.iter().map(|l| l.text)).chain(switches.iter().map(String::as_str));
    let model = set.model.iter().map(|(_, bytes)| bytes.as_ref());
    let hash = texts.map(str::as_bytes).chain(model).fold(0, |hash, text| words::join(hash, digest(text)));
    format!("{:012x}", hash >> 16)
}

fn digest(text: &[u8]) -> u64 {
    let (eights, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let join = |hash, eight: &[u8; 8]| words::join(hash, u64::from_le_bytes(*eight));
    eights.iter().chain([&last]).fold(text.len() as u64, join)
}
