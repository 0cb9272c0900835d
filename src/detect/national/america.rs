//! The Americas.

use super::{Strength, checked};
use crate::detect::validate::calendar::is_short_birthday;
use crate::detect::validate::check::{digit_at, luhn, number, part, weighted};

/// Area, group and serial; numbers that were printed as samples are none.
pub(super) fn us_ssn(id: &[u8]) -> Option<Strength> {
    let all = number(id).filter(|_| id.len() == 9)?;
    let (area, group, serial) = (all / 1_000_000, all / 10_000 % 100, all % 10_000);
    let sample = matches!(all, 78_051_120 | 219_099_999);
    checked(!matches!(area, 0 | 666 | 900..) && group > 0 && serial > 0 && !sample)
}

/// The tax number of people without an SSN.
pub(super) fn us_itin(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 9)?;
    let group = matches!(part(id, 3..5)?, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    checked(digit_at(id, 0)? == 9 && group)
}

/// Nine digits; none starts with 0 or 8.
pub(super) fn ca_sin(id: &[u8]) -> Option<Strength> {
    checked(id.len() == 9 && !matches!(digit_at(id, 0)?, 0 | 8) && luhn(id))
}

/// Names, date, sex, state, consonants, and a check digit.
pub(super) fn mx_curp(id: &[u8]) -> Option<Strength> {
    const STATES: &[u8] = b"ASBCBSCCCSCHCLCMDFDGGTGRHGJCMCMNMSNTNLOCPLQTQRSPSLSRTCTSTLVZYNZSNE";
    if id.len() != 18 || !id.get(..4)?.iter().chain(id.get(13..16)?).all(u8::is_ascii_uppercase) {
        return None;
    }
    let date = is_short_birthday(part(id, 4..6)?, part(id, 6..8)?, part(id, 8..10)?);
    let state = id.get(11..13)?;
    let place = matches!(id.get(10)?, b'H' | b'M' | b'X') && STATES.chunks(2).any(|s| s == state);
    let mut sum = 0;
    for (i, &b) in id.iter().take(17).enumerate() {
        // Ñ stands between N and O, and no code has it.
        let value = match b {
            b'0'..=b'9' => u32::from(b - b'0'),
            b'A'..=b'N' => u32::from(b - b'A') + 10,
            b'O'..=b'Z' => u32::from(b - b'A') + 11,
            _ => return None,
        };
        sum += value * (18 - i as u32);
    }
    checked(date && place && (10 - sum % 10) % 10 == digit_at(id, 17)?)
}

/// Eleven digits, the last two check the others.
pub(super) fn br_cpf(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let check = |rest: u32| if rest < 2 { 0 } else { 11 - rest };
    let first = check(weighted(id, &[10, 9, 8, 7, 6, 5, 4, 3, 2])? % 11);
    let second = check(weighted(id, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])? % 11);
    let same = id.iter().all(|b| Some(b) == id.first());
    checked(!same && first == digit_at(id, 9)? && second == digit_at(id, 10)?)
}

/// A person's tax and labour number: kind, DNI, check digit.
pub(super) fn ar_cuil(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let check = match 11 - weighted(id, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2])? % 11 {
        11 => 0,
        10 => 9,
        check => check,
    };
    checked(matches!(part(id, 0..2)?, 20 | 23 | 24 | 25 | 26 | 27) && check == digit_at(id, 10)?)
}

/// Seven or eight digits and a check digit or K.
pub(super) fn cl_rut(id: &[u8]) -> Option<Strength> {
    let (&last, digits) = id.split_last()?;
    let all = number(digits)?;
    let sum: u32 =
        digits.iter().rev().zip([2, 3, 4, 5, 6, 7].into_iter().cycle()).map(|(b, w)| u32::from(b - b'0') * w).sum();
    let check = b"0K987654321".get((sum % 11) as usize)?;
    // Companies start at 50 million.
    checked((1_000_000..50_000_000).contains(&all) && *check == last)
}

/// Ten digits: province, kind, check digit.
pub(super) fn ec_cedula(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 10)?;
    checked(matches!(part(id, 0..2)?, 1..=24 | 30) && digit_at(id, 2)? < 6 && luhn(id))
}

/// Seven digits and a check digit.
pub(super) fn uy_ci(id: &[u8]) -> Option<Strength> {
    number(id).filter(|n| id.len() == 8 && *n > 9_999_999)?;
    checked(weighted(id, &[2, 9, 8, 7, 6, 3, 4, 1])?.is_multiple_of(10))
}

/// Eleven digits.
pub(super) fn do_cedula(id: &[u8]) -> Option<Strength> {
    checked(id.len() == 11 && number(id)? > 0 && luhn(id))
}
