//! Denmark, Estonia, Finland, Iceland, Latvia, Lithuania, Norway, Sweden.

use super::{Strength, checked};
use crate::detect::validate::calendar::{is_birthday, is_short_birthday};
use crate::detect::validate::check::{digit_at, luhn, number, part, weighted};

/// `DDMMYYSSSC`
pub(super) fn dk_cpr(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 10)?;
    if !is_short_birthday(part(id, 4..6)?, part(id, 2..4)?, part(id, 0..2)?) {
        return None;
    }
    let sum = weighted(id, &[4, 3, 2, 7, 6, 5, 4, 3, 2, 1])?;
    Some(if sum.is_multiple_of(11) { Strength::Checked } else { Strength::Plausible })
}

/// `GYYMMDDSSSC`: Estonia and Lithuania.
pub(super) fn baltic_code(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let century = match digit_at(id, 0)? {
        3 | 4 => 1900,
        5 | 6 => 2000,
        _ => return None,
    };
    if !is_birthday(century + part(id, 1..3)?, part(id, 3..5)?, part(id, 5..7)?) {
        return None;
    }
    let mut rest = weighted(id, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1])? % 11;
    if rest == 10 {
        rest = weighted(id, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3])? % 11 % 10;
    }
    checked(rest == digit_at(id, 10)?)
}

/// `DDMMYYcNNNk`; a hyphen for the century is not among the letters and digits.
pub(super) fn fi_hetu(id: &[u8]) -> Option<Strength> {
    let (head, tail) = match id.len() {
        10 => (id.get(..6)?, id.get(6..)?),
        11 if matches!(id.get(6)?, b'A'..=b'F' | b'U'..=b'Y') => (id.get(..6)?, id.get(7..)?),
        _ => return None,
    };
    if !is_short_birthday(part(head, 4..6)?, part(head, 2..4)?, part(head, 0..2)?) {
        return None;
    }
    let serial = part(tail, 0..3)?;
    let letter = b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(((number(head)? * 1000 + u64::from(serial)) % 31) as usize)?;
    checked(serial >= 2 && Some(letter) == tail.get(3))
}

/// `DDMMYYSSCX`: people's days are 1 to 31, those of companies 41 to 71.
pub(super) fn is_kennitala(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 10)?;
    let date = is_short_birthday(part(id, 4..6)?, part(id, 2..4)?, part(id, 0..2)?);
    let century = matches!(digit_at(id, 9)?, 0 | 8 | 9);
    let sum = weighted(id, &[3, 2, 7, 6, 5, 4, 3, 2, 1])?;
    checked(date && century && sum.is_multiple_of(11))
}

/// `DDMMYYNNNNN`, and since 2017 32 and nine digits without a date.
pub(super) fn lv_pk(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let dateless = part(id, 0..2)? == 32;
    let date = is_short_birthday(part(id, 4..6)?, part(id, 2..4)?, part(id, 0..2)?) && digit_at(id, 6)? <= 2;
    let rest = (1 + weighted(id, &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9])?) % 11 % 10;
    match (dateless, date, rest == digit_at(id, 10)?) {
        (true, _, false) => Some(Strength::Plausible),
        (true, _, true) | (_, true, true) => Some(Strength::Checked),
        _ => None,
    }
}

/// `DDMMYYIIIKK`: birth number, D number (day + 40), H number (month + 40).
pub(super) fn no_fnr(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 11)?;
    let (day, month) = (part(id, 0..2)?, part(id, 2..4)?);
    let day = if day > 40 { day - 40 } else { day };
    // Test numbers of the tax administration add 80, synthetic ones 65.
    let month =
        [0, 40, 65, 80].into_iter().filter_map(|more| month.checked_sub(more)).find(|m| (1..=12).contains(m))?;
    let first = weighted(id, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1])?;
    let second = weighted(id, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1])?;
    let date = is_short_birthday(part(id, 4..6)?, month, day);
    checked(date && first.is_multiple_of(11) && second.is_multiple_of(11))
}

/// `[YY]YYMMDDNNNC`; 60 is added to the day in a coordination number.
pub(super) fn se_pnr(id: &[u8]) -> Option<Strength> {
    let short = match id.len() {
        10 => id,
        12 => id.get(2..)?,
        _ => return None,
    };
    let (month, day) = (part(short, 2..4)?, part(short, 4..6)?);
    let day = if day > 60 { day - 60 } else { day };
    let date = match id.len() {
        12 => is_birthday(part(id, 0..4)?, month, day),
        _ => is_short_birthday(part(short, 0..2)?, month, day),
    };
    if !(date && luhn(short)) {
        return None;
    }
    // A time of day behind a date of this century is more often a timestamp.
    let clock = id.len() == 12 && part(id, 0..4)? >= 2000 && part(id, 8..10)? < 24 && part(id, 10..12)? < 60;
    Some(if clock { Strength::Plausible } else { Strength::Checked })
}
