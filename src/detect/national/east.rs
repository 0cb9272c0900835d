//! Kazakhstan, Russia, Türkiye, Ukraine.

use super::{Strength, checked};
use crate::detect::validate::calendar::is_short_birthday;
use crate::detect::validate::check::{digit_at, number, part, weighted};

/// `YYMMDDSNNNNC`
pub(super) fn kz_iin(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 12)?;
    let date = is_short_birthday(part(id, 0..2)?, part(id, 2..4)?, part(id, 4..6)?);
    let mut rest = weighted(id, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])? % 11;
    if rest == 10 {
        rest = weighted(id, &[3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2])? % 11;
    }
    checked(date && (1..=6).contains(&digit_at(id, 6)?) && rest == digit_at(id, 11)?)
}

/// Tax number of a person: twelve digits, the last two check them.
pub(super) fn ru_inn(id: &[u8]) -> Option<Strength> {
    number(id).filter(|n| id.len() == 12 && *n > 0)?;
    let first = weighted(id, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8])? % 11 % 10;
    let second = weighted(id, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8])? % 11 % 10;
    checked(first == digit_at(id, 10)? && second == digit_at(id, 11)?)
}

/// Pension number: nine digits and their check number.
pub(super) fn ru_snils(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let sum = weighted(id, &[9, 8, 7, 6, 5, 4, 3, 2, 1])? % 101 % 100;
    checked(part(id, 0..9)? > 1_001_998 && sum == part(id, 9..11)?)
}

/// Eleven digits, the first not 0.
pub(super) fn tr_tckn(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let odd = weighted(id, &[1, 0, 1, 0, 1, 0, 1, 0, 1])?;
    let even = weighted(id, &[0, 1, 0, 1, 0, 1, 0, 1, 0])?;
    // 9 stands for -1, the same by 10.
    let tenth = (7 * odd + 9 * even) % 10;
    let eleventh = (odd + even + tenth) % 10;
    checked(digit_at(id, 0)? > 0 && tenth == digit_at(id, 9)? && eleventh == digit_at(id, 10)?)
}

/// Taxpayer's card number: five digits count the days since 1899.
pub(super) fn ua_rnokpp(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 10)?;
    // A weight of 10 stands for -1, the same by 11.
    let rest = weighted(id, &[10, 5, 7, 9, 4, 6, 10, 5, 7])? % 11 % 10;
    checked((1..=51_000).contains(&part(id, 0..5)?) && rest == digit_at(id, 9)?)
}
