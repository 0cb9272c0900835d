//! The plain spelling of what people are found by: addresses and phone numbers.
//! Two spellings of one address come to one; a wrong guess would find somebody
//! else, so nothing is guessed.

use crate::entity::Entity;

/// What subjects can be found by.
pub(super) const EMAIL: Entity = Entity::constant("EMAIL");
/// What subjects can be found by.
pub(super) const PHONE: Entity = Entity::constant("PHONE");

/// The plain spelling of a value; none where there is none.
///
/// Of an e-mail address the domain has no case (RFC 5321 section 2.4), and no
/// provider of note has one in the local part either. Of a phone number only
/// the digits count, with the plus sign of an international number; `00` in
/// front of a long one says the same (ITU-T E.123).
pub(super) fn plain(entity: Entity, value: &str) -> Option<String> {
    if entity == EMAIL {
        let value = value.trim().trim_start_matches("mailto:");
        let (local, domain) = value.rsplit_once('@')?;
        let is_some = !local.is_empty() && !domain.is_empty();
        return is_some.then(|| format!("{}@{}", local.to_lowercase(), domain.trim_end_matches('.').to_lowercase()));
    }
    if entity == PHONE {
        let is_international = value.trim_start().starts_with(['+', '\u{ff0b}']);
        // A zero in parentheses is dialled only within the country.
        let digits: String = value.replace("(0)", "").chars().filter_map(|c| c.to_digit(10)).map(digit).collect();
        let (is_international, digits) = match digits.strip_prefix("00") {
            Some(rest) if !is_international && rest.len() >= 8 => (true, rest),
            _ => (is_international, digits.as_str()),
        };
        return (digits.len() >= 6).then(|| if is_international { format!("+{digits}") } else { digits.to_owned() });
    }
    None
}

/// What a text that somebody types to be found by is: an address, or a number.
pub(super) fn read(text: &str) -> Option<(Entity, String)> {
    let entity = if text.contains('@') { EMAIL } else { PHONE };
    plain(entity, text).map(|plain| (entity, plain))
}

fn digit(value: u32) -> char {
    char::from_digit(value, 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        for spelling in ["Ana.Berg@Example.ORG", " ana.berg@example.org", "mailto:ana.berg@example.org."] {
            assert_eq!(read(spelling), Some((EMAIL, "ana.berg@example.org".into())), "{spelling}");
        }
        assert_ne!(plain(EMAIL, "ana+x@example.org"), plain(EMAIL, "ana@example.org"));
        assert_eq!(plain(EMAIL, "@example.org"), None);
    }

    #[test]
    fn spellings_of_one_number_are_one() {
        for spelling in ["+49 (0)151 2345-6789", "0049 151 23456789", "+4915123456789"] {
            assert_eq!(read(spelling), Some((PHONE, "+4915123456789".into())), "{spelling}");
        }
        assert_eq!(read("0151 23456789"), Some((PHONE, "015123456789".into())), "the country is not guessed");
        assert_eq!(read("12345"), None);
        assert_eq!(plain(Entity::constant("PERSON"), "Ana"), None);
    }
}
