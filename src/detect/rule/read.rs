//! TOML text to [`RawFile`]. Every key is looked at, so that one run names all
//! mistakes of a file and not the first alone.

use crate::detect::rule::RuleError;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A rule file may have so many bytes.
const MAX_FILE: usize = 4 << 20;

/// A rule file as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawFile {
    pub(crate) pack: Option<Spanned<RawPack>>,
    pub(crate) rules: Vec<Spanned<RawRule>>,
    /// Words of the name grammar by class, see [`crate::detect::lexicon`].
    pub(crate) words: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
    /// Context words that all rules of the file share.
    pub(crate) defaults: RawDefaults,
}

/// Context words of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawDefaults {
    pub(crate) context: Vec<Spanned<String>>,
    pub(crate) against: Vec<Spanned<String>>,
}

/// The head of a file that belongs to a pack.
#[derive(Clone, Debug)]
pub(crate) struct RawPack {
    pub(crate) name: Spanned<String>,
    pub(crate) description: Option<Spanned<String>>,
    pub(crate) default: Option<Spanned<bool>>,
    pub(crate) domain: Option<Spanned<String>>,
    pub(crate) regions: Vec<Spanned<String>>,
}

/// A rule as written.
#[derive(Clone, Debug)]
pub(crate) struct RawRule {
    pub(crate) id: Spanned<String>,
    pub(crate) entity: Spanned<String>,
    pub(crate) description: Option<Spanned<String>>,
    pub(crate) finder: Option<Spanned<String>>,
    pub(crate) pattern: Option<Spanned<String>>,
    pub(crate) patterns: Vec<Spanned<String>>,
    pub(crate) words: Vec<Spanned<String>>,
    /// How the text is written, see [`crate::detect::shape`].
    pub(crate) shapes: Vec<Spanned<String>>,
    /// The same, but only beside a context word.
    pub(crate) cued: Vec<Spanned<String>>,
    pub(crate) validator: Option<Spanned<String>>,
    pub(crate) operator: Option<Spanned<String>>,
    pub(crate) state: Option<Spanned<String>>,
    pub(crate) sensitive: bool,
    pub(crate) score: Option<Spanned<f32>>,
    /// What a context word adds to the score, or takes from it.
    pub(crate) weight: Option<Spanned<f32>>,
    pub(crate) context: Vec<RawGroup>,
    pub(crate) against: Vec<RawGroup>,
    pub(crate) languages: Vec<Spanned<String>>,
    pub(crate) regions: Vec<Spanned<String>>,
    pub(crate) matches: Vec<Spanned<String>>,
    pub(crate) ignore: Vec<Spanned<String>>,
}

/// Context words that share a weight and languages. A word that stands alone
/// in the list is a group of its own.
#[derive(Clone, Debug)]
pub(crate) struct RawGroup {
    pub(crate) words: Vec<Spanned<String>>,
    pub(crate) weight: Option<Spanned<f32>>,
    pub(crate) languages: Vec<Spanned<String>>,
}

const FILE_KEYS: &[&str] = &["pack", "defaults", "rule", "words"];
const DEFAULTS_KEYS: &[&str] = &["context", "against"];
const PACK_KEYS: &[&str] = &["name", "description", "default", "domain", "regions"];
const GROUP_KEYS: &[&str] = &["words", "weight", "languages"];
const RULE_KEYS: &[&str] = &[
    "id",
    "entity",
    "description",
    "finder",
    "pattern",
    "patterns",
    "words",
    "shapes",
    "cued",
    "validator",
    "operator",
    "state",
    "sensitive",
    "score",
    "weight",
    "context",
    "against",
    "languages",
    "regions",
    "match",
    "ignore",
];

/// Reads a file. Where it has mistakes they are all in `errors`, and what could
/// be read is returned for the checks that follow.
pub(crate) fn read(name: &str, text: &str, errors: &mut Vec<RuleError>) -> RawFile {
    let mut reader = Reader { name, text, errors };
    if text.len() > MAX_FILE {
        reader.fail(0..0, format!("the file is larger than {} MiB; split it", MAX_FILE >> 20));
        return RawFile::default();
    }
    let (table, broken) = DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        for error in broken {
            let first = error.message().lines().next().unwrap_or_default().to_owned();
            reader.fail(error.span().unwrap_or(0..0), first);
        }
        return RawFile::default();
    }
    reader.file(table.get_ref())
}

struct Reader<'r> {
    name: &'r str,
    text: &'r str,
    errors: &'r mut Vec<RuleError>,
}

type Value<'v> = Spanned<DeValue<'v>>;

impl Reader<'_> {
    fn fail(&mut self, at: Range<usize>, problem: impl Into<String>) {
        self.errors.push(RuleError::at(self.name, self.text, at, problem));
    }

    fn file(&mut self, table: &DeTable<'_>) -> RawFile {
        self.keys(table, FILE_KEYS, "a rule file");
        RawFile {
            pack: table.get("pack").and_then(|value| self.pack(value)),
            rules: self.each(table.get("rule"), "tables, each under [[rule]]", Self::rule),
            words: self.word_classes(table.get("words")),
            defaults: self.defaults(table.get("defaults")),
        }
    }

    fn pack(&mut self, value: &Value<'_>) -> Option<Spanned<RawPack>> {
        let table = self.table(value, "a table: write [pack]")?;
        self.keys(table, PACK_KEYS, "a pack");
        let name =
            self.wanted(table, "name", value.span(), "the pack has no `name`; write for example name = \"health\"");
        let pack = RawPack {
            description: self.string(table.get("description")),
            default: self.bool(table.get("default")),
            domain: self.string(table.get("domain")),
            regions: self.strings(table.get("regions")),
            name: name?,
        };
        Some(Spanned::new(value.span(), pack))
    }

    fn defaults(&mut self, value: Option<&Value<'_>>) -> RawDefaults {
        let Some(table) = value.and_then(|value| self.table(value, "a table: write [defaults]")) else {
            return RawDefaults::default();
        };
        self.keys(table, DEFAULTS_KEYS, "the defaults");
        RawDefaults { context: self.strings(table.get("context")), against: self.strings(table.get("against")) }
    }

    fn rule(&mut self, value: &Value<'_>) -> Option<Spanned<RawRule>> {
        let table = self.table(value, "a table: write [[rule]]")?;
        self.keys(table, RULE_KEYS, "a rule");
        let missing = |key: &str| {
            format!("missing `{key}`; every rule needs id, entity and one of finder, pattern, patterns, words, shapes")
        };
        let id = self.wanted(table, "id", value.span(), &missing("id"));
        let entity = self.wanted(table, "entity", value.span(), &missing("entity"));
        let rule = RawRule {
            description: self.string(table.get("description")),
            finder: self.string(table.get("finder")),
            pattern: self.string(table.get("pattern")),
            patterns: self.strings(table.get("patterns")),
            words: self.strings(table.get("words")),
            shapes: self.strings(table.get("shapes")),
            cued: self.strings(table.get("cued")),
            validator: self.string(table.get("validator")),
            operator: self.string(table.get("operator")),
            state: self.string(table.get("state")),
            sensitive: self.bool(table.get("sensitive")).is_some_and(|b| *b.get_ref()),
            score: self.number(table.get("score")),
            weight: self.number(table.get("weight")),
            context: self.groups(table.get("context")),
            against: self.groups(table.get("against")),
            languages: self.strings(table.get("languages")),
            regions: self.strings(table.get("regions")),
            matches: self.strings(table.get("match")),
            ignore: self.strings(table.get("ignore")),
            id: id?,
            entity: entity?,
        };
        Some(Spanned::new(value.span(), rule))
    }

    fn word_classes(&mut self, value: Option<&Value<'_>>) -> Vec<(Spanned<String>, Vec<Spanned<String>>)> {
        let Some(table) = value.and_then(|value| self.table(value, "a table: write [words]")) else {
            return Vec::new();
        };
        let named = |(key, value): (&Spanned<_>, &Value<'_>)| {
            let key: &Spanned<std::borrow::Cow<'_, str>> = key;
            (Spanned::new(key.span(), key.get_ref().to_string()), self.strings(Some(value)))
        };
        table.iter().map(named).collect()
    }

    /// Context words: each entry is a word, or a table of words that share a
    /// weight or languages.
    fn groups(&mut self, value: Option<&Value<'_>>) -> Vec<RawGroup> {
        self.each(
            value,
            "words, or tables like { words = [\"handy\"], weight = 0.3, languages = [\"de\"] }",
            Self::group,
        )
    }

    fn group(&mut self, value: &Value<'_>) -> Option<RawGroup> {
        if let Some(word) = value.get_ref().as_str() {
            let words = vec![Spanned::new(value.span(), word.to_owned())];
            return Some(RawGroup { words, weight: None, languages: Vec::new() });
        }
        let table = self.table(value, "a word, or a table like { words = [\"handy\"], weight = 0.3 }")?;
        self.keys(table, GROUP_KEYS, "a group of context words");
        let words = self.strings(table.get("words"));
        if words.is_empty() {
            self.fail(
                value.span(),
                "the group has no `words`; write for example { words = [\"handy\"], weight = 0.3 }",
            );
        }
        let languages = self.strings(table.get("languages"));
        Some(RawGroup { words, weight: self.number(table.get("weight")), languages })
    }

    fn keys(&mut self, table: &DeTable<'_>, known: &[&str], what: &str) {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let near = known.iter().map(|k| (strsim::damerau_levenshtein(k, name), *k)).min();
            let mend = match near {
                Some((distance, near)) if distance <= 2 => format!("write `{near}`"),
                _ => format!("remove it; the keys of {what} are {}", known.join(", ")),
            };
            self.fail(key.span(), format!("unknown key `{name}`; {mend}"));
        }
    }

    fn wanted(&mut self, table: &DeTable<'_>, key: &str, at: Range<usize>, missing: &str) -> Option<Spanned<String>> {
        let value = table.get(key);
        if value.is_none() {
            self.fail(at, missing);
        }
        self.string(value)
    }

    fn table<'t, 'v>(&mut self, value: &'t Value<'v>, wanted: &str) -> Option<&'t DeTable<'v>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.fail(value.span(), format!("this must be {wanted}"));
        }
        table
    }

    fn each<T>(
        &mut self,
        value: Option<&Value<'_>>,
        wanted: &str,
        mut read: impl FnMut(&mut Self, &Value<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = value else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.fail(value.span(), format!("this must be a list of {wanted}"));
            return Vec::new();
        };
        array.iter().filter_map(|item| read(self, item)).collect()
    }

    fn strings(&mut self, value: Option<&Value<'_>>) -> Vec<Spanned<String>> {
        self.each(value, "texts, like [\"one\", \"two\"]", |reader, item| reader.string(Some(item)))
    }

    fn string(&mut self, value: Option<&Value<'_>>) -> Option<Spanned<String>> {
        let value = value?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.fail(value.span(), "this must be a text in quotes");
        }
        Some(Spanned::new(value.span(), text?.to_owned()))
    }

    fn bool(&mut self, value: Option<&Value<'_>>) -> Option<Spanned<bool>> {
        let value = value?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.fail(value.span(), "this must be true or false");
        }
        Some(Spanned::new(value.span(), flag?))
    }

    fn number(&mut self, value: Option<&Value<'_>>) -> Option<Spanned<f32>> {
        let value = value?;
        let digits = match value.get_ref() {
            DeValue::Float(number) => Some(number.as_str()),
            DeValue::Integer(number) => Some(number.as_str()),
            _ => None,
        };
        let number = digits.and_then(|digits| digits.replace('_', "").parse().ok());
        if number.is_none() {
            self.fail(value.span(), "this must be a number from 0.0 to 1.0, without quotes");
        }
        Some(Spanned::new(value.span(), number?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut errors = Vec::new();
        read("x.toml", text, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_mistakes_are_named_at_once_each_with_its_place() {
        let text = "[pack]\nnmae = \"a\"\n[[rule]]\nid = \"a\"\nentitty = \"B\"\nscore = \"1\"\nmatch = \"x\"\n\
                    context = [1, { word = \"a\" }]\nsensitive = 1\n[[rule]]\nid = 3\nentity = \"C\"\n";
        let problems = problems(text);
        let places: Vec<&str> = problems.iter().map(|p| p.split(' ').next().unwrap_or_default()).collect();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        sorted.dedup();
        for place in ["2:1:", "5:1:", "6:9:", "7:9:", "8:12:", "8:17:", "9:13:", "11:6:"] {
            assert!(sorted.contains(&format!("x.toml:{place}").as_str()), "{place} in {problems:#?}");
        }
        assert!(problems.iter().any(|p| p.contains("unknown key `entitty`; write `entity`")), "{problems:#?}");
        assert!(problems.iter().any(|p| p.contains("unknown key `nmae`; write `name`")), "{problems:#?}");
    }

    #[test]
    fn broken_toml_is_named_by_its_place() {
        assert!(problems("[[rule]]\nid = \"a\nentity = \"B\"\n")[0].starts_with("x.toml:2:"));
    }

    #[test]
    fn a_group_of_context_words_shares_weight_and_languages() {
        let text = "[[rule]]\nid = \"a\"\nentity = \"AA\"\npattern = 'x'\n\
                    context = [\"tel\", { words = [\"handy\", \"mobil\"], weight = 0.25, languages = [\"de\"] }]\n";
        let mut errors = Vec::new();
        let file = read("x.toml", text, &mut errors);
        assert_eq!(errors, []);
        let groups = &file.rules[0].get_ref().context;
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[1].words.len(), groups[1].weight.as_ref().map(|w| *w.get_ref())), (2, Some(0.25)));
    }
}
