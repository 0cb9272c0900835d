//! Checks of a candidate's text: check digits, lengths, ranges.

pub(crate) mod bank;
pub(crate) mod calendar;
pub(crate) mod check;
pub(crate) mod iban;

use crate::detect::national::{IdKind, KINDS, Strength, kind_named};
use iban::iban;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A check that a rule asks for by name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Validator {
    Iban,
    Id(&'static IdKind),
    Ipv4,
    Ipv6,
    Luhn,
}

/// The longest id that a check is asked about, in letters and digits.
pub(crate) const MAX_ID: usize = 26;

impl Validator {
    const GENERAL: [(&'static str, Self); 4] =
        [("iban", Self::Iban), ("ipv4", Self::Ipv4), ("ipv6", Self::Ipv6), ("luhn", Self::Luhn)];

    /// Their names in rule files.
    pub(crate) const NAMES: &'static [&'static str] = &{
        let mut names = [""; Self::GENERAL.len() + bank::KINDS.len() + KINDS.len()];
        let mut i = 0;
        while i < Self::GENERAL.len() {
            names[i] = Self::GENERAL[i].0;
            i += 1;
        }
        let mut banks = 0;
        while banks < bank::KINDS.len() {
            names[i] = bank::KINDS[banks].name;
            banks += 1;
            i += 1;
        }
        let mut ids = 0;
        while i < names.len() {
            names[i] = KINDS[ids].name;
            ids += 1;
            i += 1;
        }
        names
    };

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let general = Self::GENERAL.iter().find(|(n, _)| *n == name).map(|(_, validator)| *validator);
        let bank = || bank::KINDS.iter().find(|kind| kind.name == name);
        general.or_else(|| kind_named(name).or_else(bank).map(Self::Id))
    }

    /// Whether a text passes; separators in an id do not count.
    pub(crate) fn holds(self, text: &str) -> bool {
        match self {
            Self::Iban => iban(text.bytes().filter(u8::is_ascii_alphanumeric)),
            Self::Id(_) => {
                let mut id = [0; MAX_ID];
                let mut len = 0;
                for b in text.bytes().filter(u8::is_ascii_alphanumeric) {
                    let Some(slot) = id.get_mut(len) else { return false };
                    *slot = b.to_ascii_uppercase();
                    len += 1;
                }
                id.get(..len).is_some_and(|id| self.strength(id).is_some())
            }
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Luhn => luhn(text.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0')),
        }
    }

    /// How much speaks for an id given as its capital letters and digits.
    pub(crate) fn strength(self, id: &[u8]) -> Option<Strength> {
        match self {
            Self::Id(kind) => (kind.check)(id),
            other => std::str::from_utf8(id).is_ok_and(|text| other.holds(text)).then_some(Strength::Checked),
        }
    }
}

/// The Luhn formula (ISO/IEC 7812-1, annex B) over digits 0 to 9.
pub(crate) fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let mut sum = 0_u32;
    let mut count = 0;
    for (i, digit) in digits.rev().enumerate() {
        let digit = u32::from(digit);
        sum += match (i % 2, digit) {
            (0, d) => d,
            (_, d) if d > 4 => 2 * d - 9,
            (_, d) => 2 * d,
        };
        count += 1;
    }
    count > 1 && sum.is_multiple_of(10)
}

/// Whether a card of this many digits can start with these: the issuer ranges
/// that the schemes publish. `prefix` holds the first six digits.
pub(crate) fn is_card_prefix(prefix: u32, len: usize) -> bool {
    let first = |digits: u32| prefix / 10_u32.pow(6 - digits);
    match first(1) {
        // Visa
        4 => matches!(len, 13 | 16 | 18 | 19),
        // Mastercard, Maestro
        5 => match first(2) {
            51..=55 => len == 16,
            50 | 56..=58 => (13..=19).contains(&len),
            _ => false,
        },
        // Mastercard (2221-2720), Mir (2200-2204), Uzcard and others of that
        // block, JCB of 15 digits (2131)
        2 => match first(4) {
            2221..=2720 | 2205 => len == 16,
            2200..=2204 => (16..=19).contains(&len),
            2131 => len == 15,
            _ => false,
        },
        // JCB of 15 digits, UATP
        1 => len == 15 && first(4) == 1800,
        // American Express, Diners Club, JCB
        3 => match first(2) {
            34 | 37 => len == 15,
            30 => matches!(first(3), 300..=305 | 309) && (14..=19).contains(&len),
            36 | 38 | 39 => (14..=19).contains(&len),
            35 => matches!(first(4), 3528..=3589) && (16..=19).contains(&len),
            _ => false,
        },
        // Discover, RuPay (60, 65), UnionPay (62), Maestro, InterPayment (636)
        6 => match first(2) {
            60 | 62 | 64 | 65 => (16..=19).contains(&len),
            63 | 67 => (13..=19).contains(&len),
            _ => false,
        },
        // RuPay, UnionPay of Vietnam and others, Humo and Uzcard
        8 => (matches!(first(2), 81 | 82) && (16..=19).contains(&len)) || (first(4) == 8600 && len == 16),
        // Troy, Napas, Humo
        9 => match first(4) {
            9792 | 9860 => len == 16,
            9704 => matches!(len, 16 | 19),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a number can be a card's at all: the first digit tells the industry
/// (ISO/IEC 7812-1), and 0, 7 and 8 are no banks'.
pub(crate) fn is_card_number(digits: &[u8]) -> bool {
    (12..=19).contains(&digits.len())
        && matches!(digits.first(), Some(1..=6 | 8 | 9))
        && digits.iter().any(|d| Some(d) != digits.first())
        && luhn(digits.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luhn_catches_a_wrong_digit() {
        assert!(Validator::Luhn.holds("4111 1111 1111 1111"));
        assert!(!Validator::Luhn.holds("4111 1111 1111 1112"));
        assert!(!Validator::Luhn.holds("0"));
        assert!(!Validator::Luhn.holds(""));
    }

    #[test]
    fn iban_checks_length_and_digits() {
        for good in [
            "DE89 3704 0044 0532 0130 00",
            "GB29NWBK60161331926819",
            "no9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert!(Validator::Iban.holds(good), "{good}");
        }
        for bad in [
            "DE89 3704 0044 0532 0130 01",
            "DE89 3704 0044 0532 0130",
            "ZZ89370400440532013000",
            "D",
            "",
            "DEAA370400440532013000",
        ] {
            assert!(!Validator::Iban.holds(bad), "{bad}");
        }
    }

    #[test]
    fn card_prefixes() {
        assert!(is_card_prefix(411_111, 16));
        assert!(!is_card_prefix(411_111, 15));
        assert!(is_card_prefix(371_449, 15));
        assert!(!is_card_prefix(123_456, 16));
        assert!(!is_card_prefix(0, 16));
    }
}
