//! Austria, Czechia, Germany, Hungary, Poland, Romania, Slovakia.

use super::{Strength, checked};
use crate::detect::validate::calendar::{is_birthday, is_short_birthday};
use crate::detect::validate::check::{digit_at, mod_10_731, mod_11_10, number, part, value, weighted};

/// `NNNPDDMMYY`; months 13 to 15 are used when a day's serials are spent.
pub(super) fn at_svnr(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 10)?;
    let (day, month, year) = (part(id, 4..6)?, part(id, 6..8)?, part(id, 8..10)?);
    let date = is_short_birthday(year, month, day) || ((13..=15).contains(&month) && (1..=31).contains(&day));
    let rest = weighted(id, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6])? % 11;
    checked(date && digit_at(id, 0)? > 0 && rest == digit_at(id, 3)?)
}

/// `YYMMDDSSSC`, or nine digits without a check up to 1953. Women's months
/// have 50 added; 20 more when a day's serials are spent.
pub(super) fn cz_rc(id: &[u8]) -> Option<Strength> {
    let all = number(id)?;
    let (year, month, day) = (part(id, 0..2)?, part(id, 2..4)?, part(id, 4..6)?);
    let month =
        [70, 50, 20, 0].into_iter().filter_map(|more| month.checked_sub(more)).find(|m| (1..=12).contains(m))?;
    if !is_short_birthday(year, month, day) {
        return None;
    }
    match id.len() {
        9 => (year <= 53).then_some(Strength::Plausible),
        // Up to 1985 a rest of ten was written as 0.
        10 => checked(all.is_multiple_of(11) || (all / 10 % 11 == 10 && all.is_multiple_of(10))),
        _ => None,
    }
}

/// Identity card and passport: nine letters and digits, and often the check digit.
pub(super) fn de_document(id: &[u8]) -> Option<Strength> {
    let (head, check) = id.split_at_checked(9)?;
    // Letters that are mistaken for digits are not used, nor are vowels.
    let allowed = |b: &u8| b.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(b);
    if !head.iter().all(allowed) || !head.first()?.is_ascii_alphabetic() || !head.iter().any(u8::is_ascii_digit) {
        return None;
    }
    match check {
        [] => Some(Strength::Plausible),
        [_] => checked(mod_10_731(head)? == digit_at(check, 0)?),
        _ => None,
    }
}

/// Eleven digits: not 0 in front, and among the first ten one digit two or
/// three times, the others at most once.
pub(super) fn de_idnr(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let mut counts = [0_u8; 10];
    for b in id.get(..10)? {
        *counts.get_mut(usize::from(b - b'0'))? += 1;
    }
    let often = counts.iter().filter(|&&n| n > 1).count();
    let most = counts.iter().max().copied()?;
    checked(digit_at(id, 0)? > 0 && often == 1 && most <= 3 && mod_11_10(id))
}

/// A letter and nine digits.
pub(super) fn de_kvnr(id: &[u8]) -> Option<Strength> {
    let (&letter, digits) = id.split_first().filter(|_| id.len() == 10)?;
    let letter = value(letter)?.checked_sub(9)?;
    let places = [letter / 10, letter % 10].into_iter().chain((0..8).filter_map(|i| digit_at(digits, i)));
    let sum: u32 = places.zip([1, 2].into_iter().cycle()).map(|(d, weight)| cross_sum(d * weight)).sum();
    number(digits)?;
    checked(sum % 10 == digit_at(digits, 8)?)
}

/// `BBDDMMYYANNC`: area, date, letter of the name at birth, serial.
pub(super) fn de_rvnr(id: &[u8]) -> Option<Strength> {
    let (head, tail) = id.split_at_checked(8).filter(|_| id.len() == 12)?;
    let letter = value(*tail.first()?)?.checked_sub(9)?;
    number(tail.get(1..)?)?;
    // In some areas 30 is added to the day.
    let day = part(head, 2..4)?;
    let day = if day > 31 { day.checked_sub(30)? } else { day };
    let date = is_short_birthday(part(head, 6..8)?, part(head, 4..6)?, day);
    let places = (0..8)
        .filter_map(|i| digit_at(head, i))
        .chain([letter / 10, letter % 10])
        .chain((1..3).filter_map(|i| digit_at(tail, i)));
    let sum: u32 = places.zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]).map(|(d, weight)| cross_sum(d * weight)).sum();
    checked(date && part(head, 0..2)? >= 2 && sum % 10 == digit_at(tail, 3)?)
}

fn cross_sum(n: u32) -> u32 {
    n / 10 + n % 10
}

/// Tax number: 8, days since 1867, serial, check digit.
pub(super) fn hu_ado(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 10)?;
    let rest = weighted(id, &[1, 2, 3, 4, 5, 6, 7, 8, 9])? % 11;
    checked(digit_at(id, 0)? == 8 && rest == digit_at(id, 9)?)
}

/// `MYYMMDDSSSC`: personal number.
pub(super) fn hu_szemelyi(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let date = is_short_birthday(part(id, 1..3)?, part(id, 3..5)?, part(id, 5..7)?);
    let last = digit_at(id, 10)?;
    let old = weighted(id, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])? % 11;
    let new = weighted(id, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1])? % 11;
    checked(date && (1..=8).contains(&digit_at(id, 0)?) && (old == last || new == last))
}

/// Social security number.
pub(super) fn hu_taj(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 9)?;
    checked(weighted(id, &[3, 7, 3, 7, 3, 7, 3, 7])? % 10 == digit_at(id, 8)? && part(id, 0..8)? > 0)
}

/// Identity card: three letters and six digits.
pub(super) fn pl_dowod(id: &[u8]) -> Option<Strength> {
    let letters = id.get(..3)?.iter().all(u8::is_ascii_uppercase) && number(id.get(3..)?).is_some();
    checked(letters && id.len() == 9 && valued(id, &[7, 3, 1, 9, 7, 3, 1, 7, 3])?.is_multiple_of(10))
}

/// Passport: two letters and seven digits.
pub(super) fn pl_paszport(id: &[u8]) -> Option<Strength> {
    let letters = id.get(..2)?.iter().all(u8::is_ascii_uppercase) && number(id.get(2..)?).is_some();
    checked(letters && id.len() == 9 && valued(id, &[7, 3, 9, 1, 7, 3, 1, 7, 3])?.is_multiple_of(10))
}

fn valued(id: &[u8], weights: &[u32]) -> Option<u32> {
    id.iter().zip(weights).try_fold(0, |sum, (&b, weight)| Some(sum + value(b)? * weight))
}

/// Tax number.
pub(super) fn pl_nip(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 10)?;
    checked(weighted(id, &[6, 5, 7, 2, 3, 4, 5, 6, 7])? % 11 == digit_at(id, 9)? && part(id, 0..3)? > 100)
}

/// `YYMMDDSSSSC`, the century in the month.
pub(super) fn pl_pesel(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let month = part(id, 2..4)?;
    let century = match month / 20 {
        0 => 1900,
        1 => 2000,
        _ => return None,
    };
    let date = is_birthday(century + part(id, 0..2)?, month % 20, part(id, 4..6)?);
    checked(date && weighted(id, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1])?.is_multiple_of(10))
}

/// `SYYMMDDJJNNNC`: sex and century, date, county.
pub(super) fn ro_cnp(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 13)?;
    let (year, month, day) = (part(id, 1..3)?, part(id, 3..5)?, part(id, 5..7)?);
    let date = match digit_at(id, 0)? {
        1 | 2 => is_birthday(1900 + year, month, day),
        5 | 6 => is_birthday(2000 + year, month, day),
        // Residents.
        7..=9 => is_short_birthday(year, month, day),
        _ => false,
    };
    let county = matches!(part(id, 7..9)?, 1..=48 | 51 | 52 | 70 | 80..=83);
    let rest = match weighted(id, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9])? % 11 {
        10 => 1,
        rest => rest,
    };
    checked(date && county && rest == digit_at(id, 12)?)
}
