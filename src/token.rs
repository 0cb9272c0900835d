//! The token that stands in the text instead of a value, `[EMAIL_7K3FQ2MZ]`,
//! and the restorer that finds tokens, bent or cut, in streamed text.
//!
//! A token's code is seven characters of Crockford base 32 and a check
//! character over the entity and the seven. The check is a Reed-Solomon-like
//! sum over GF(32): each place has a weight of its own, so every single wrong
//! character and every exchange of two code characters is noticed.

mod grammar;
mod kinds;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod restorer;
mod starts;
mod unit;

pub use kinds::Kinds;
pub use restorer::{MAX_HELD, Piece, Restorer};

use std::fmt;

use crate::entity::Entity;

/// The length in bytes of the longest token as Privet writes it: brackets, an
/// entity of 25 characters, the underscore and the code.
pub const MAX_LEN: usize = 1 + 25 + 1 + CODE_LEN + 1;

const CODE_LEN: usize = 8;
const PAYLOAD_BITS: u32 = 35;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The stand-in for one value of one subject; `Display` prints
/// `[EMAIL_7K3FQ2MZ]`. A token says the kind of the value and nothing else
/// about it, so it may be logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    entity: Entity,
    code: Code,
}

/// Eight characters of Crockford base 32, in capitals; the last is the check.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Code([u8; CODE_LEN]);

impl Token {
    /// The token of `entity` that carries the low 35 bits of `bits`.
    pub fn new(entity: Entity, bits: u64) -> Self {
        let mut values = [0; CODE_LEN];
        let mut shift = PAYLOAD_BITS;
        for value in values.iter_mut().take(CODE_LEN - 1) {
            shift -= 5;
            *value = (bits >> shift) as u8 & 31;
        }
        Self::from_values(entity, seed(entity), values)
    }

    /// The token with the first seven of these base-32 values. `seed` is that
    /// of `entity`.
    fn from_values(entity: Entity, seed: u8, mut values: [u8; CODE_LEN]) -> Self {
        values[CODE_LEN - 1] = check(seed, values);
        Self { entity, code: Code(values.map(symbol)) }
    }

    /// What kind of value the token stands for.
    pub fn entity(&self) -> Entity {
        self.entity
    }

    /// The eight characters after the underscore.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code.0).unwrap_or_default()
    }

    /// The 35 bits that the code carries.
    pub fn bits(&self) -> u64 {
        self.code
            .0
            .iter()
            .take(CODE_LEN - 1)
            .fold(0, |bits, &symbol| bits << 5 | u64::from(value(char::from(symbol)).unwrap_or_default()))
    }

    /// Reads a token exactly as Privet writes it, with both brackets or with
    /// none. [`Restorer`] is the tolerant reader.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = match text.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?,
            None => text,
        };
        let (entity, code) = bare.rsplit_once('_')?;
        let entity: Entity = entity.parse().ok()?;
        let code: [u8; CODE_LEN] = code.as_bytes().try_into().ok()?;
        let mut values = [0; CODE_LEN];
        for (value_out, &symbol) in values.iter_mut().zip(&code) {
            // `value` forgives case and look-alikes; only the alphabet itself
            // is what Privet writes.
            *value_out = ALPHABET.contains(&symbol).then(|| value(char::from(symbol)))??;
        }
        Some(Self::from_values(entity, seed(entity), values)).filter(|token| token.code.0 == code)
    }

    /// Appends `EMAIL_7K3FQ2MZ`, without brackets.
    pub fn append_bare(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.entity.as_bytes());
        out.push(b'_');
        out.extend_from_slice(&self.code.0);
    }

    /// Prints the token without its brackets: `EMAIL_7K3FQ2MZ`.
    pub fn bare(&self) -> impl fmt::Display {
        struct Bare(Token);
        impl fmt::Display for Bare {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", self.0.entity.as_str(), self.0.code())
            }
        }
        Bare(*self)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}_{}]", self.entity.as_str(), self.code())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn symbol(value: u8) -> u8 {
    ALPHABET[usize::from(value & 31)]
}

/// The value of a base-32 character as Crockford says to read it: case does
/// not matter, O is 0, I and L are 1, U is none.
fn value(c: char) -> Option<u8> {
    const NONE: u8 = 0xFF;
    const VALUES: [u8; 128] = {
        let mut values = [NONE; 128];
        let mut i = 0;
        while i < 32 {
            values[ALPHABET[i] as usize] = i as u8;
            values[ALPHABET[i].to_ascii_lowercase() as usize] = i as u8;
            i += 1;
        }
        values[b'O' as usize] = 0;
        values[b'o' as usize] = 0;
        values[b'I' as usize] = 1;
        values[b'i' as usize] = 1;
        values[b'L' as usize] = 1;
        values[b'l' as usize] = 1;
        values
    };
    VALUES.get(c as usize).copied().filter(|&v| v != NONE)
}

/// The check sum over the letters of an entity, from which that of a code
/// goes on.
fn seed(entity: Entity) -> u8 {
    entity.as_bytes().iter().fold(0, |sum, &b| {
        // No letter is 0, so that a letter more or less changes the sum.
        let letter = if b == b'_' { 27 } else { b.wrapping_sub(b'A' - 1) & 31 };
        times_alpha(sum) ^ letter
    })
}

/// The check character's value for the first seven of `values`.
fn check(seed: u8, values: [u8; CODE_LEN]) -> u8 {
    let sum = values.iter().take(CODE_LEN - 1).fold(seed, |sum, &v| times_alpha(sum) ^ v);
    times_alpha(sum)
}

/// Multiplies by the generator of GF(32), modulo x⁵ + x² + 1. Its powers are
/// the weights of the places: all different over 31 places in a row.
fn times_alpha(x: u8) -> u8 {
    const PRODUCTS: [u8; 32] = {
        let mut products = [0; 32];
        let mut x = 0;
        while x < 32 {
            let doubled = (x << 1) as u8;
            products[x] = if doubled & 0x20 == 0 { doubled } else { doubled ^ 0b10_0101 };
            x += 1;
        }
        products
    };
    PRODUCTS[usize::from(x & 31)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMAIL: Entity = Entity::constant("EMAIL");

    #[test]
    fn a_token_prints_and_parses() {
        let token = Token::new(EMAIL, 0x1_2345_6789);
        let text = token.to_string();
        assert_eq!(text.len(), "[EMAIL_7K3FQ2MZ]".len());
        assert_eq!(Token::parse(&text), Some(token));
        assert_eq!(Token::parse(&token.bare().to_string()), Some(token));
        assert_eq!(format!("{token:?}"), text);
        assert_eq!(token.bits(), 0x1_2345_6789);
        assert_eq!(Token::new(EMAIL, u64::MAX).bits(), (1 << 35) - 1);
    }

    #[test]
    fn only_the_exact_form_parses() {
        let text = Token::new(EMAIL, 0x1_2345_6789).to_string();
        for bad in [
            text.to_lowercase(),
            text.replace('_', "-"),
            text.replace(']', ""),
            text.replace('[', ""),
            format!(" {text}"),
            format!("{text} "),
            text.replace("EMAIL", "PERSON"),
            text.replace("EMAIL", ""),
            String::new(),
            "[]".to_owned(),
            "_".to_owned(),
            "EMAIL_ÄÄÄÄ".to_owned(),
        ] {
            assert_eq!(Token::parse(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_longest_token_has_max_len() {
        let longest = Entity::constant("ABCDEFGHIJKLMNOPQRSTUVWXY");
        assert_eq!(Token::new(longest, 0).to_string().len(), MAX_LEN);
    }

    #[test]
    fn the_alphabet_reads_as_crockford_says() {
        for (i, &symbol) in ALPHABET.iter().enumerate() {
            assert_eq!(value(char::from(symbol)), Some(i as u8));
            assert_eq!(value(char::from(symbol.to_ascii_lowercase())), Some(i as u8));
        }
        for (alike, read) in [('O', 0), ('o', 0), ('I', 1), ('i', 1), ('L', 1), ('l', 1)] {
            assert_eq!(value(alike), Some(read));
        }
        for none in ['U', 'u', '_', ' ', 'é', '０'] {
            assert_eq!(value(none), None);
        }
    }

    fn entity() -> impl Strategy<Value = Entity> {
        "[A-Z][A-Z_]{1,24}".prop_map(|name| name.parse().unwrap())
    }

    proptest! {
        #[test]
        fn every_token_parses(entity in entity(), bits in 0_u64..1 << 35) {
            let token = Token::new(entity, bits);
            prop_assert_eq!(Token::parse(&token.to_string()), Some(token));
            prop_assert_eq!(token.bits(), bits);
            properties::parse_agrees_with_print(&token.to_string());
            properties::parse_agrees_with_print(&token.bare().to_string());
        }

        #[test]
        fn one_wrong_character_is_noticed(entity in entity(), bits in 0_u64..1 << 35) {
            let text = Token::new(entity, bits).bare().to_string();
            for at in 0..text.len() {
                for wrong in (b'A'..=b'Z').chain(b'0'..=b'9').chain([b'_']) {
                    if text.as_bytes()[at] == wrong {
                        continue;
                    }
                    let mut other = text.clone().into_bytes();
                    other[at] = wrong;
                    prop_assert_eq!(Token::parse(std::str::from_utf8(&other).unwrap()), None);
                }
            }
        }

        #[test]
        fn an_exchange_is_noticed(entity in entity(), bits in 0_u64..1 << 35, i in 0..8_usize, j in 0..8_usize) {
            let token = Token::new(entity, bits);
            let mut code = token.code().as_bytes().to_vec();
            code.swap(i, j);
            let text = format!("{entity}_{}", std::str::from_utf8(&code).unwrap());
            let same = code == token.code().as_bytes();
            prop_assert_eq!(Token::parse(&text).is_some(), same);
        }
    }
}
