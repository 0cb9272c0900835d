//! Bulgaria, Croatia, Cyprus, Greece, Italy, Malta, Portugal, Spain, and the
//! number that the states of the former Yugoslavia share.

use super::{Strength, checked};
use crate::detect::validate::calendar::{is_birthday, is_short_birthday};
use crate::detect::validate::check::{digit_at, luhn, mod_11_10, number, part, value, weighted};

/// `YYMMDDSSSC`; 40 is added to the month from 2000 on.
pub(super) fn bg_egn(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 10)?;
    let (year, month, day) = (part(id, 0..2)?, part(id, 2..4)?, part(id, 4..6)?);
    let date = match month / 20 {
        0 => is_birthday(1900 + year, month, day),
        2 => is_birthday(2000 + year, month - 40, day),
        _ => false,
    };
    let rest = weighted(id, &[2, 4, 8, 5, 10, 9, 7, 3, 6])? % 11 % 10;
    checked(date && rest == digit_at(id, 9)?)
}

/// Eight digits and a letter.
pub(super) fn cy_tic(id: &[u8]) -> Option<Strength> {
    let (digits, letter) = id.split_at_checked(8).filter(|_| id.len() == 9)?;
    number(digits)?;
    let mut sum = 0;
    for i in 0..8 {
        let d = digit_at(digits, i)?;
        sum += if i % 2 == 1 { d } else { *ODD.get(d as usize)? };
    }
    checked(part(digits, 0..2)? != 12 && letter.first()? == &(b'A' + (sum % 26) as u8))
}

/// What the characters at odd places count, for digits and for letters alike;
/// the Italian decree has them, and Cyprus took them over.
const ODD: [u32; 26] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

const NIF_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// `X1234567L`: foreigners; K, L and M are for people without a DNI.
pub(super) fn es_nie(id: &[u8]) -> Option<Strength> {
    let (&letter, rest) = id.split_first().filter(|_| id.len() == 9)?;
    let head = match letter {
        b'X' | b'K' | b'L' | b'M' => 0,
        b'Y' => 10_000_000,
        b'Z' => 20_000_000,
        _ => return None,
    };
    let letter = NIF_LETTERS.get(((head + number(rest.get(..7)?)?) % 23) as usize);
    checked(letter == rest.get(7))
}

/// `12345678Z`
pub(super) fn es_nif(id: &[u8]) -> Option<Strength> {
    let digits = number(id.get(..8)?).filter(|_| id.len() == 9)?;
    checked(digits > 0 && NIF_LETTERS.get((digits % 23) as usize) == id.get(8))
}

/// `PPNNNNNNNNCC`: province, number, check digits.
pub(super) fn es_nuss(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 12)?;
    let (province, serial) = (u64::from(part(id, 0..2)?), number(id.get(2..10)?)?);
    // A leading 0 of the number is left out of the calculation.
    let all = if serial < 10_000_000 { serial + province * 10_000_000 } else { serial + province * 100_000_000 };
    checked((1..=66).contains(&province) && all % 97 == u64::from(part(id, 10..12)?))
}

/// Tax number.
pub(super) fn gr_afm(id: &[u8]) -> Option<Strength> {
    number(id).filter(|n| id.len() == 9 && *n > 9)?;
    let rest = weighted(id, &[256, 128, 64, 32, 16, 8, 4, 2])? % 11 % 10;
    checked(rest == digit_at(id, 8)?)
}

/// `DDMMYYNNNNC`
pub(super) fn gr_amka(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    checked(is_short_birthday(part(id, 4..6)?, part(id, 2..4)?, part(id, 0..2)?) && luhn(id))
}

/// Eleven digits.
pub(super) fn hr_oib(id: &[u8]) -> Option<Strength> {
    checked(id.len() == 11 && mod_11_10(id))
}

/// Six letters of the names, year, month letter, day (40 added for women),
/// place, check letter. Any digit may be replaced by a letter where two people
/// would have the same code.
pub(super) fn it_cf(id: &[u8]) -> Option<Strength> {
    if id.len() != 16 || !id.get(..6)?.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    let digit = |at: usize| {
        let &b = id.get(at)?;
        let substitute = b"LMNPQRSTUV".iter().position(|&letter| letter == b);
        digit_at(id, at).or(substitute.map(|p| p as u32))
    };
    let pair = |at: usize| Some(digit(at)? * 10 + digit(at + 1)?);
    let month = b"ABCDEHLMPRST".iter().position(|m| Some(m) == id.get(8))? as u32 + 1;
    let day = pair(9)?;
    let day = if day > 40 { day - 40 } else { day };
    for at in 12..15 {
        digit(at)?;
    }
    let date = is_short_birthday(pair(6)?, month, day) && id.get(11)?.is_ascii_uppercase();
    let mut sum = 0;
    for (i, &b) in id.iter().take(15).enumerate() {
        let value = value(b)?;
        let value = if value >= 10 { value - 10 } else { value };
        sum += if i % 2 == 1 { value } else { *ODD.get(value as usize)? };
    }
    checked(date && id.get(15)? == &(b'A' + (sum % 26) as u8))
}

/// `DDMMYYYRRBBBC`: date, region, serial.
pub(super) fn jmbg(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 13)?;
    let year = part(id, 4..7)?;
    let year = if year >= 800 { 1000 + year } else { 2000 + year };
    let date = is_birthday(year, part(id, 2..4)?, part(id, 0..2)?);
    let rest = weighted(id, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2])? % 11;
    let check = match rest {
        0 => 0,
        1 => return None,
        rest => 11 - rest,
    };
    checked(date && check == digit_at(id, 12)?)
}

/// Up to seven digits and a letter; there is no check digit.
pub(super) fn mt_id(id: &[u8]) -> Option<Strength> {
    let (letter, digits) = id.split_last()?;
    number(digits).filter(|n| *n > 0 && digits.len() <= 7)?;
    b"ABGHLMPZ".contains(letter).then_some(Strength::Plausible)
}

/// Number of the citizen card: `NNNNNNNNCAAC`, the version as two letters or digits.
pub(super) fn pt_cc(id: &[u8]) -> Option<Strength> {
    number(id.get(..9)?).filter(|_| id.len() == 12)?;
    let mut sum = 0;
    for (i, &b) in id.iter().enumerate() {
        let value = value(b)?;
        sum += match (i % 2, value * 2) {
            (1, _) => value,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        };
    }
    checked(id.get(11)?.is_ascii_digit() && sum.is_multiple_of(10))
}

/// Tax number of a person.
pub(super) fn pt_nif(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 9)?;
    let person = matches!((digit_at(id, 0)?, digit_at(id, 1)?), (1..=3, _) | (4, 5));
    let check = match weighted(id, &[9, 8, 7, 6, 5, 4, 3, 2])? % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    checked(person && check == digit_at(id, 8)?)
}
