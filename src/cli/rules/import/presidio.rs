//! Recognizers of Presidio: YAML with Python regular expressions or lists of
//! words, one or more languages each.

use super::syntax::{Dialect, convert};
use super::{Draft, Group, Imported, entity, slug};
use serde::Deserialize;
use serde_json::Value;

/// Presidio compiles patterns with these flags of Python's `re` where the file
/// names none: IGNORECASE, MULTILINE, DOTALL.
const DEFAULT_FLAGS: u32 = 2 | 8 | 16;
const FLAGS: [(u32, char); 4] = [(2, 'i'), (8, 'm'), (16, 's'), (64, 'x')];

/// What Presidio adds to a score near a context word.
const WEIGHT: f32 = 0.35;
/// What Privet wants for a finding.
const THRESHOLD: f32 = 0.5;

/// Entities of Presidio that have another name here.
const ENTITIES: &[(&str, &str)] = &[
    ("EMAIL_ADDRESS", "EMAIL"),
    ("PHONE_NUMBER", "PHONE"),
    ("IP_ADDRESS", "IP"),
    ("IBAN_CODE", "IBAN"),
    ("MAC_ADDRESS", "MAC"),
    ("AU_TFN", "NATIONAL_ID"),
    ("ES_NIE", "NATIONAL_ID"),
    ("ES_NIF", "NATIONAL_ID"),
    ("FI_PERSONAL_IDENTITY_CODE", "NATIONAL_ID"),
    ("IN_AADHAAR", "NATIONAL_ID"),
    ("IN_PAN", "NATIONAL_ID"),
    ("IT_FISCAL_CODE", "NATIONAL_ID"),
    ("KR_RRN", "NATIONAL_ID"),
    ("PL_PESEL", "NATIONAL_ID"),
    ("SG_NRIC_FIN", "NATIONAL_ID"),
    ("TH_TNIN", "NATIONAL_ID"),
    ("UK_NHS", "NATIONAL_ID"),
    ("UK_NINO", "NATIONAL_ID"),
    ("US_ITIN", "NATIONAL_ID"),
    ("US_SSN", "NATIONAL_ID"),
];

#[derive(Deserialize)]
struct Recognizer {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    enabled: Option<bool>,
    supported_entity: Option<String>,
    #[serde(default)]
    supported_entities: Vec<String>,
    supported_language: Option<String>,
    #[serde(default)]
    supported_languages: Vec<Language>,
    #[serde(default)]
    patterns: Vec<Pattern>,
    #[serde(default)]
    deny_list: Vec<String>,
    deny_list_score: Option<f32>,
    #[serde(default)]
    context: Vec<String>,
    global_regex_flags: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Language {
    Name(String),
    WithContext {
        language: String,
        #[serde(default)]
        context: Option<Vec<String>>,
    },
}

#[derive(Deserialize)]
struct Pattern {
    #[serde(default)]
    name: String,
    regex: String,
    score: f32,
}

pub(super) fn read(text: &str) -> Result<Imported, String> {
    let file: Value = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map_or_else(String::new, |at| format!("line {}: ", at.line()));
        format!("{place}this is not valid YAML")
    })?;
    let registry = file.get("recognizer_registry").unwrap_or(&file);
    let flags = registry.get("global_regex_flags").and_then(Value::as_u64).and_then(|flags| u32::try_from(flags).ok());
    let one;
    let items = match (registry.get("recognizers").unwrap_or(registry), registry.get("name")) {
        (Value::Array(items), _) => items,
        (_, Some(_)) => {
            one = vec![registry.clone()];
            &one
        }
        _ => return Err("there are no recognizers in this: a list under `recognizers`, each with name, supported_entity and patterns or deny_list".to_owned()),
    };
    let mut imported = Imported::default();
    for (i, item) in items.iter().enumerate() {
        if let Value::String(name) = item {
            predefined(name, true, &mut imported);
            continue;
        }
        let name =
            item.get("name").and_then(Value::as_str).map_or_else(|| format!("recognizer {}", i + 1), str::to_owned);
        match Recognizer::deserialize(item) {
            // The library's words name the key, and may quote the value: this is the user's own file.
            Err(error) => imported.lose(&name, format!("cannot be read: {error}")),
            Ok(r) if r.patterns.is_empty() && r.deny_list.is_empty() => {
                if r.kind.as_deref() == Some("custom") {
                    imported.lose(&name, "it has neither patterns nor a deny_list");
                } else {
                    predefined(&name, r.enabled != Some(false), &mut imported);
                }
            }
            Ok(recognizer) => custom(&recognizer, flags.unwrap_or(DEFAULT_FLAGS), &mut imported),
        }
    }
    Ok(imported)
}

/// A recognizer that comes with Presidio; its code is not in the file.
fn predefined(name: &str, enabled: bool, imported: &mut Imported) {
    let reason = if enabled {
        "comes with Presidio; see `privet rules list` for the built-in rules of its entity"
    } else {
        "comes with Presidio and is off there; switch packs with --packs"
    };
    imported.lose(name, reason);
}

fn custom(recognizer: &Recognizer, flags: u32, imported: &mut Imported) {
    let name = &recognizer.name;
    let named = recognizer.supported_entity.as_ref().or_else(|| recognizer.supported_entities.first());
    let Some(theirs) = named else { return imported.lose(name, "it names no supported_entity") };
    if recognizer.supported_entities.len() > 1 {
        imported.lose(name, format!("supported_entities: all findings are {theirs}"));
    }
    let known = ENTITIES.iter().find(|(from, _)| from == theirs);
    let draft = Draft {
        id: slug(name),
        entity: known.map_or_else(|| entity(theirs), |(_, to)| (*to).to_owned()),
        description: name.clone(),
        context: context(recognizer, imported),
        languages: languages(recognizer),
        off: recognizer.enabled == Some(false),
        ..Draft::default()
    };
    let flags = recognizer.global_regex_flags.unwrap_or(flags);
    for (score, patterns) in by_score(recognizer, flags, imported) {
        imported.drafts.push(scored(Draft { patterns, ..draft.clone() }, score));
    }
    let words: Vec<String> =
        recognizer.deny_list.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
    if !words.is_empty() {
        imported.drafts.push(scored(Draft { words, ..draft }, recognizer.deny_list_score.unwrap_or(1.0)));
    }
}

/// A score here has to reach the threshold, alone or with a context word;
/// Presidio reports any score.
fn scored(mut draft: Draft, score: f32) -> Draft {
    let score = score.clamp(0.0, 1.0);
    draft.score = Some(if draft.context.is_empty() { score.max(THRESHOLD) } else { score });
    draft.weight = (!draft.context.is_empty()).then(|| WEIGHT.max(THRESHOLD - score));
    draft
}

/// A rule has one score, so patterns are joined by theirs.
fn by_score(recognizer: &Recognizer, flags: u32, imported: &mut Imported) -> Vec<(f32, Vec<String>)> {
    let letters: String = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect();
    let prefix = if letters.is_empty() { String::new() } else { format!("(?{letters})") };
    let mut groups: Vec<(f32, Vec<String>)> = Vec::new();
    for pattern in &recognizer.patterns {
        match convert(&pattern.regex, Dialect::Python) {
            Err(problem) => {
                imported.lose(&recognizer.name, format!("pattern `{}`: {problem}", pattern.name));
            }
            Ok(converted) => {
                let converted = format!("{prefix}{converted}");
                match groups.iter_mut().find(|(score, _)| score.total_cmp(&pattern.score).is_eq()) {
                    Some((_, patterns)) => patterns.push(converted),
                    None => groups.push((pattern.score, vec![converted])),
                }
            }
        }
    }
    groups
}

/// The context words, by language where the file says so. Of a phrase the first
/// word is taken: here a context word is one word.
fn context(recognizer: &Recognizer, imported: &mut Imported) -> Vec<Group> {
    let mut lists: Vec<(&[String], Vec<String>)> = vec![(&recognizer.context, Vec::new())];
    for language in &recognizer.supported_languages {
        if let Language::WithContext { language, context: Some(words) } = language {
            lists.push((words, vec![language.clone()]));
        }
    }
    let mut groups = Vec::new();
    for (texts, languages) in lists {
        let mut words: Vec<String> = Vec::new();
        for text in texts {
            let parts: Vec<&str> = text.split(|c: char| !c.is_alphabetic()).filter(|part| !part.is_empty()).collect();
            match parts.as_slice() {
                [one] => words.push((*one).to_owned()),
                [] => imported.lose(&recognizer.name, format!("context: `{text}` has no letters")),
                [first, ..] => {
                    words.push((*first).to_owned());
                    imported.lose(&recognizer.name, format!("context: of `{text}` the word `{first}` counts alone"));
                }
            }
        }
        words.sort_unstable();
        words.dedup();
        if !words.is_empty() {
            groups.push(Group { words, languages: languages.into_iter().filter(|l| is_code(l)).collect() });
        }
    }
    groups
}

/// The language of a recognizer that is for one alone. Texts come in any
/// language, so the rule runs on all of them all the same.
fn languages(recognizer: &Recognizer) -> Vec<String> {
    let names = recognizer.supported_languages.iter().map(|language| match language {
        Language::Name(name) | Language::WithContext { language: name, .. } => name,
    });
    let mut all: Vec<String> =
        recognizer.supported_language.iter().chain(names).filter(|l| is_code(l)).cloned().collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn is_code(language: &str) -> bool {
    (2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::{From, RuleFile, import};

    const FILE: &str = r#"
supported_languages: [en]
recognizers:
  - CreditCardRecognizer
  - name: UsBankRecognizer
    type: predefined
    enabled: false
  - name: "Zip code Recognizer"
    supported_languages:
      - language: en
        context: [zip, post code]
      - language: de
        context: [plz]
    patterns:
      - name: "zip (weak)"
        regex: "(\\b\\d{5}(?:\\-\\d{4})?\\b)"
        score: 0.01
      - name: "bounded"
        regex: "(?<!\\d)\\d{5}"
        score: 0.5
    supported_entity: "ZIP"
  - name: "Titles"
    supported_language: en
    supported_entity: TITLE
    deny_list: [Mr., Mrs., ""]
    deny_list_score: 0.9
  - name: "Staff"
    enabled: false
    supported_entity: EMAIL_ADDRESS
    global_regex_flags: 0
    patterns: [{name: p, regex: 'P\d{5}', score: 0.2}]
  - name: "Broken"
    supported_entity: XX
    patterns: [{regex: 'P\d{5}'}]
"#;

    #[test]
    fn recognizers_are_carried_over_and_the_rest_is_named() {
        let RuleFile { text: file, lost, count } = import(From::Presidio, "recognizers.yaml", FILE).unwrap();
        assert_eq!(count, 3, "{file}");
        let zip = "id = \"zip-code-recognizer\"\nentity = \"ZIP\"\ndescription = \"Zip code Recognizer\"\n\
                   pattern = '(?ims)(\\b\\d{5}(?:\\-\\d{4})?\\b)'\nscore = 0.01\nweight = 0.49\n\
                   context = [{ words = [\"post\", \"zip\"], languages = [\"en\"] }, { words = [\"plz\"], languages = [\"de\"] }]\n\
                   languages = [\"de\", \"en\"]\n";
        assert!(file.contains(zip), "{file}");
        assert!(file.contains("words = [\"Mr.\", \"Mrs.\"]\nscore = 0.90\n"), "{file}");
        assert!(
            file.contains(
                "entity = \"EMAIL\"\ndescription = \"Staff\"\npattern = 'P\\d{5}'\nscore = 0.50\nstate = \"off\"\n"
            ),
            "{file}"
        );
        let lost: Vec<String> = lost.iter().map(|(rule, reason)| format!("{rule}: {reason}")).collect();
        assert_eq!(lost.len(), 5, "{lost:#?}");
        assert!(lost[4].starts_with("Broken: cannot be read: missing field `score`"), "{lost:#?}");
        assert!(lost[2].contains("context: of `post code` the word `post` counts alone"), "{lost:#?}");
        assert!(lost[3].contains("pattern `bounded`: look-behind"), "{lost:#?}");
    }

    #[test]
    fn a_registry_may_stand_within_another_table_or_be_one_recognizer() {
        let one = "name: Num\nsupported_entity: NN\ndeny_list: [Abc]\n";
        assert_eq!(import(From::Presidio, "x.yaml", one).unwrap().count, 1);
        let nested = "recognizer_registry:\n  global_regex_flags: 2\n  recognizers:\n    - name: Num\n      supported_entity: NN\n      patterns: [{regex: abc, score: 0.9}]\n";
        let RuleFile { text: file, count, .. } = import(From::Presidio, "x.yaml", nested).unwrap();
        assert!(count == 1 && file.contains("pattern = \"(?i)abc\""), "{file}");
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        assert!(import(From::Presidio, "x.yaml", "a: 1\n").err().unwrap().contains("there are no recognizers"));
        assert!(import(From::Presidio, "x.yaml", "a: [1\n").is_err());
    }
}
