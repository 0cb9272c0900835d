//! The rules that are built in.

use crate::detect::rule::{Pack, RuleError, RuleErrors, RuleSet, WordList};
use std::borrow::Cow;

const PACKS: &[(&str, &str)] = &[
    ("account.toml", include_str!("../../rules/packs/account.toml")),
    ("bank.toml", include_str!("../../rules/packs/bank.toml")),
    ("document.toml", include_str!("../../rules/packs/document.toml")),
    ("email.toml", include_str!("../../rules/packs/email.toml")),
    ("ip.toml", include_str!("../../rules/packs/ip.toml")),
    ("mac.toml", include_str!("../../rules/packs/mac.toml")),
    ("national-id.toml", include_str!("../../rules/packs/national-id.toml")),
    ("payment.toml", include_str!("../../rules/packs/payment.toml")),
    ("person.toml", include_str!("../../rules/packs/person.toml")),
    ("phone.toml", include_str!("../../rules/packs/phone.toml")),
    ("address.toml", include_str!("../../rules/packs/address.toml")),
    ("birth.toml", include_str!("../../rules/packs/birth.toml")),
    ("secret.toml", include_str!("../../rules/packs/secret.toml")),
    ("url.toml", include_str!("../../rules/packs/url.toml")),
    ("location.toml", include_str!("../../rules/packs/location.toml")),
    ("organization.toml", include_str!("../../rules/packs/organization.toml")),
    ("sensitive.toml", include_str!("../../rules/packs/sensitive.toml")),
    ("words.toml", include_str!("../../rules/packs/words.toml")),
];

const LISTS: &[WordList] = &[
    WordList { class: "given", text: GIVEN },
    WordList { class: "surname", text: SURNAME },
    WordList { class: "frequent-given", text: FREQUENT_GIVEN },
    WordList { class: "frequent-surname", text: FREQUENT_SURNAME },
    WordList { class: "city", text: CITY },
    WordList { class: "common", text: COMMON },
];

/// The word lists that training makes names of.
pub(crate) const GIVEN: &str = include_str!("../../rules/lists/given.txt");
pub(crate) const CITY: &str = include_str!("../../rules/lists/city.txt");
pub(crate) const FREQUENT_GIVEN: &str = include_str!("../../rules/lists/frequent-given.txt");
pub(crate) const FREQUENT_SURNAME: &str = include_str!("../../rules/lists/frequent-surname.txt");
pub(crate) const COMMON: &str = include_str!("../../rules/lists/common.txt");
pub(crate) const SURNAME: &str = include_str!("../../rules/lists/surname.txt");

/// The weights of the name model.
const MODEL: &[u8] = include_bytes!("../../rules/models/person.bin");

pub(crate) const NUMBER_WORDS: &str = include_str!("../../rules/lists/number-words.txt");

pub(crate) const CALLING_CODES: &str = include_str!("../../rules/lists/calling-codes.txt");

impl RuleSet {
    /// The packs that are built in.
    pub fn builtin_packs() -> Vec<Pack> {
        Self::builtin().map(|set| set.packs()).unwrap_or_default()
    }

    /// The rules and word lists that are built in.
    pub fn builtin() -> Result<Self, RuleError> {
        let mut set = Self::empty();
        set.lists.extend_from_slice(LISTS);
        set.model = Some(("builtin/person.bin".to_owned(), Cow::Borrowed(MODEL)));
        for (name, text) in PACKS {
            set.add(&format!("builtin/{name}"), text).map_err(RuleErrors::into_first)?;
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::words;

    #[test]
    fn every_line_of_the_lists_is_one_folded_word_in_order() {
        for list in LISTS {
            let lines: Vec<&str> = list.text.lines().filter(|l| !l.starts_with('#')).collect();
            for line in &lines {
                assert!(words::hash_of(line).is_some(), "{}: {line:?}", list.class);
            }
            assert!(lines.is_sorted_by(|a, b| a < b), "{} is not sorted or has a word twice", list.class);
        }
    }
}
