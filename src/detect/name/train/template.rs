//! Templates: lines with slots, from which training text is made.
//!
//! ```text
//! # a comment
//! @city = London|Leeds
//! Hi, I am {given} from {city}.\nRegards, {full}
//! ```
//!
//! `{given}`, `{family}`, `{full}`, `{short}` ("J. Novak"), `{formal}` ("Novak,
//! Jana"), `{small}` ("jana"), `{common}` (a given name that is a word too), `{given+de}` ("Jana de
//! Novak"), `{given+al-}` ("Jana al-Novak"), `{reign}` ("Jana II") and
//! `{reign+al}` ("Jana al XIV") become names, `{n}` a number, `{code}` a code.
//! With a `!` the same words are no name, as in "{!given} Street". `\n` is a line
//! break.

use crate::detect::name::train::Sample;
use crate::detect::name::train::vary::{Chance, Lists};
use std::collections::BTreeMap;

/// What is wrong with a line of a template file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {problem}")]
pub struct TemplateError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and the mend.
    pub problem: String,
}

/// Makes `times` samples of each line of a template file.
pub(crate) fn expand(
    text: &str,
    times: usize,
    lists: &Lists,
    chance: &mut Chance,
) -> Result<Vec<Sample>, TemplateError> {
    let mut slots: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut samples = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let fail = |problem: String| TemplateError { line: number + 1, problem };
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if let Some(list) = line.strip_prefix('@') {
            let (name, words) =
                list.split_once('=').ok_or_else(|| fail("a list is written \"@city = London|Leeds\"".to_owned()))?;
            slots.insert(name.trim(), words.split('|').map(str::trim).collect());
            continue;
        }
        for _ in 0..times {
            samples.push(fill(line, &slots, lists, chance).map_err(fail)?);
        }
    }
    Ok(samples)
}

fn fill(line: &str, slots: &BTreeMap<&str, Vec<&str>>, lists: &Lists, chance: &mut Chance) -> Result<Sample, String> {
    let mut sample = Sample::default();
    let mut rest = line;
    // What is written in JSON has braces too: a slot is a brace and small letters.
    while let Some(open) = rest.find('{') {
        let (before, behind) = rest.split_at(open);
        push(&mut sample.text, before);
        let close = behind.find('}').unwrap_or(0);
        let slot = behind.get(1..close).unwrap_or_default();
        let is_slot = !slot.is_empty() && slot.chars().all(|c| c.is_ascii_alphabetic() || "!+ '-".contains(c));
        if !is_slot {
            sample.text.push('{');
            rest = behind.get(1..).unwrap_or_default();
            continue;
        }
        rest = behind.get(close + 1..).unwrap_or_default();
        let start = sample.text.len();
        let (named, slot) = match slot.strip_prefix('!') {
            Some(slot) => (false, slot),
            None => (true, slot),
        };
        if let Some(name) = lists.name(slot, chance) {
            sample.text.push_str(&name);
            if named {
                sample.names.push(start..sample.text.len());
            }
            continue;
        }
        match slot {
            "n" => sample.text.push_str(&(1 + chance.below(900)).to_string()),
            "code" => {
                sample.text.push_str("AB");
                sample.text.push_str(&(100_000 + chance.below(900_000)).to_string());
            }
            _ => {
                let words = slots.get(slot).ok_or_else(|| {
                    format!("no list for {{{slot}}}; write \"@{slot} = one|two\" above, or one of the slots for names")
                })?;
                push(&mut sample.text, words.get(chance.below(words.len())).copied().unwrap_or_default());
            }
        }
    }
    push(&mut sample.text, rest);
    Ok(sample)
}

fn push(out: &mut String, text: &str) {
    out.push_str(&text.replace("\\n", "\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Sample>, TemplateError> {
        expand(text, 3, &Lists::builtin(), &mut Chance::new(1))
    }

    #[test]
    fn slots_become_names_in_their_places() {
        let samples =
            all("# x\n@city = Leeds\nHi {given},\\nsee {\"a\": \"{full}\"} in {city}, {!given} Street {n}").unwrap();
        assert_eq!(samples.len(), 3);
        for sample in samples {
            assert_eq!(sample.names.len(), 2, "{sample:?}");
            assert!(sample.text.starts_with("Hi ") && sample.text.contains("in Leeds, "), "{sample:?}");
            let first = &sample.text[sample.names[0].clone()];
            assert!(sample.text[3..].starts_with(first) && sample.text.contains(",\nsee {\"a\""), "{sample:?}");
        }
    }

    #[test]
    fn a_slot_without_a_list_is_told_by_its_line() {
        let error = all("Hi\n{town}").unwrap_err();
        assert!(error.line == 2 && error.problem.contains("@town = "), "{error}");
    }
}
