//! Numbers of bank accounts as banks wrote them before the IBAN, and still do.
//! An account is seen as its capital letters and digits alone.

use super::check::{digit, number, weighted};
use super::{check, iban};
use crate::detect::national::{IdKind, Strength};

/// All checks by name.
pub(crate) const KINDS: &[IdKind] = &[
    kind(
        "bank-cz",
        cz,
        "ČNB decree 169/2011 Coll.: weights 6 3 7 9 10 5 8 4 2 1 mod 11 in both parts; the same in Slovakia",
    ),
    kind("bank-es", es, "Orden of 14 July 1983 (CCC): two check digits, weights 1 2 4 8 5 10 9 7 3 6 mod 11"),
    kind("bank-fr", fr, "CFONB, RIB: 89 × bank + 15 × branch + 3 × account + key is a multiple of 97"),
    kind("bank-no", no, "Bits: weights 5 4 3 2 7 6 5 4 3 2 mod 11"),
    kind(
        "bank-pl",
        pl,
        "NBP order 15/2010 (NRB): the IBAN without its country; the bank by weights 3 9 7 1 3 9 7 1 mod 10",
    ),
    kind(
        "bank-us-routing",
        us_routing,
        "ABA routing number policy: district 00-12, 21-32, 61-72, 80; weights 3 7 1 mod 10",
    ),
];

const fn kind(name: &'static str, check: fn(&[u8]) -> Option<Strength>, source: &'static str) -> IdKind {
    IdKind { name, check, source }
}

/// Codes of banks in the payment systems of Czechia (ČNB) and Slovakia (NBS).
const CZECH_AND_SLOVAK: &[u16] = &[
    100, 200, 300, 600, 710, 720, 800, 900, 1100, 1111, 2010, 2060, 2070, 2100, 2200, 2220, 2250, 2260, 2275, 2600,
    2700, 3000, 3030, 3050, 3060, 3500, 4000, 4300, 5500, 5600, 5800, 5900, 6000, 6100, 6200, 6210, 6300, 6363, 6500,
    6700, 6800, 7300, 7500, 7910, 7930, 7940, 7950, 7960, 7970, 7990, 8030, 8040, 8050, 8060, 8090, 8100, 8120, 8130,
    8150, 8160, 8170, 8180, 8190, 8198, 8220, 8250, 8255, 8265, 8320, 8330, 8360, 8370, 8420, 8430, 8500,
];

/// `[prefix-]account/bank`: both parts are divisible by 11 in their weights.
/// Where one ends is not seen here, so each place is tried.
fn cz(id: &[u8]) -> Option<Strength> {
    const WEIGHTS: [u32; 10] = [6, 3, 7, 9, 10, 5, 8, 4, 2, 1];
    let divisible = |digits: &[u8]| {
        let weights = WEIGHTS.get(WEIGHTS.len().checked_sub(digits.len())?..)?;
        Some(weighted(digits, weights)?.is_multiple_of(11))
    };
    let (account, bank) = id.split_at_checked(id.len().checked_sub(4)?)?;
    let at = account.len();
    let holds = if at <= 10 { divisible(account)? } else { false }
        || (2..=6).filter(|prefix| at > prefix + 1).any(|prefix| {
            let (prefix, base) = account.split_at(prefix);
            base.len() <= 10 && divisible(prefix) == Some(true) && divisible(base) == Some(true)
        });
    let known = CZECH_AND_SLOVAK.contains(&u16::try_from(number(bank)?).ok()?);
    let strength = if known { Strength::Checked } else { Strength::Plausible };
    // Six digits in front of the slash are a number of birth.
    (holds && at > 6).then_some(strength)
}

fn es(id: &[u8]) -> Option<Strength> {
    const WEIGHTS: [u32; 10] = [1, 2, 4, 8, 5, 10, 9, 7, 3, 6];
    let digit_of = |digits: &[u8], weights: &[u32]| {
        Some(match 11 - weighted(digits, weights)? % 11 {
            11 => 0,
            10 => 1,
            digit => digit,
        })
    };
    let bank = digit_of(id.get(..8)?, WEIGHTS.get(2..)?)?;
    let account = digit_of(id.get(10..20)?, &WEIGHTS)?;
    let holds = id.len() == 20 && digit(*id.get(8)?)? == bank && digit(*id.get(9)?)? == account;
    // Zeros have the check digits 0.
    (holds && id.iter().any(|b| *b != b'0')).then_some(Strength::Checked)
}

fn fr(id: &[u8]) -> Option<Strength> {
    // A to I are 1 to 9, J to R too, S to Z are 2 to 9.
    let figure = |&b: &u8| match b {
        b'A'..=b'I' => b - b'A' + b'1',
        b'J'..=b'R' => b - b'J' + b'1',
        b'S'..=b'Z' => b - b'S' + b'2',
        b => b,
    };
    let account = id.get(10..21)?.iter().map(figure).try_fold(0, |n, b| Some(n * 10 + u64::from(digit(b)?)))?;
    let part = |range: std::ops::Range<usize>| number(id.get(range)?);
    let sum = 89 * part(0..5)? + 15 * part(5..10)? + 3 * account + part(21..23)?;
    (id.len() == 23 && sum > 0 && sum.is_multiple_of(97)).then_some(Strength::Checked)
}

fn no(id: &[u8]) -> Option<Strength> {
    let sum = weighted(id, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1])?;
    // One number in eleven passes.
    (id.len() == 11 && sum > 0 && sum.is_multiple_of(11)).then_some(Strength::Plausible)
}

fn pl(id: &[u8]) -> Option<Strength> {
    let bank = weighted(id.get(2..10)?, &[3, 9, 7, 1, 3, 9, 7, 1])?;
    let holds = id.len() == 26 && iban::iban(b"PL".iter().chain(id).copied());
    let strength = if bank.is_multiple_of(10) { Strength::Checked } else { Strength::Plausible };
    holds.then_some(strength)
}

fn us_routing(id: &[u8]) -> Option<Strength> {
    let district = check::part(id, 0..2)?;
    let sum = weighted(id, &[3, 7, 1, 3, 7, 1, 3, 7, 1])?;
    let holds = id.len() == 9 && sum > 0 && sum.is_multiple_of(10);
    (holds && matches!(district, 0..=12 | 21..=32 | 61..=72 | 80)).then_some(Strength::Plausible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strength(name: &str, text: &str) -> Option<Strength> {
        let id: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
        let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
        (kind.check)(&id)
    }

    #[test]
    fn published_examples_hold_and_no_wrong_digit_does() {
        for (name, good) in [
            ("bank-cz", "19-2000145399/0800"),
            ("bank-es", "2100 0418 45 0200051332"),
            ("bank-fr", "20041 01005 0500013M026 06"),
            ("bank-no", "8601 11 17947"),
            ("bank-pl", "66 3180 2433 2536 5936 8778 0063"),
            ("bank-us-routing", "021000021"),
        ] {
            assert!(strength(name, good).is_some(), "{name} {good}");
            // The bank of a Czech account has no check digit.
            let end = if name == "bank-cz" { good.len() - 5 } else { good.len() };
            for (at, digit) in good.char_indices().filter(|(at, c)| c.is_ascii_digit() && *at < end) {
                let wrong = char::from(b'0' + (digit as u8 - b'0' + 1) % 10);
                let bad = format!("{}{wrong}{}", &good[..at], &good[at + 1..]);
                assert_eq!(strength(name, &bad), None, "{name} {bad}");
            }
            assert_eq!(strength(name, &good[1..]), None, "{name} too short");
            assert_eq!(strength(name, ""), None);
        }
    }

    #[test]
    fn an_unknown_bank_needs_a_word_and_a_number_of_birth_is_no_account() {
        assert_eq!(strength("bank-cz", "2000145399/0800"), Some(Strength::Checked));
        assert_eq!(strength("bank-cz", "2000145399/0801"), Some(Strength::Plausible));
        assert_eq!(strength("bank-cz", "635612/1112"), None);
    }

    #[test]
    fn zeros_are_no_account() {
        for (name, zeros) in [("bank-es", 20), ("bank-fr", 23), ("bank-no", 11), ("bank-us-routing", 9)] {
            assert_eq!(strength(name, &"0".repeat(zeros)), None, "{name}");
        }
    }
}
