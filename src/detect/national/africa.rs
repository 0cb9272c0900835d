//! Egypt and South Africa.

use super::{Strength, checked};
use crate::detect::validate::calendar::{is_birthday, is_short_birthday};
use crate::detect::validate::check::{digit_at, luhn, number, part};

/// `CYYMMDDGGNNNNC`: century, date, governorate. How the last digit is made is
/// not published.
pub(super) fn eg_id(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 14)?;
    let century = match digit_at(id, 0)? {
        2 => 1900,
        3 => 2000,
        _ => return None,
    };
    let date = is_birthday(century + part(id, 1..3)?, part(id, 3..5)?, part(id, 5..7)?);
    let governorate = matches!(part(id, 7..9)?, 1..=4 | 11..=19 | 21..=29 | 31..=35 | 88);
    checked(date && governorate)
}

/// `YYMMDDSSSSCAZ`: date, serial by sex, citizenship, an 8 or 9, Luhn.
pub(super) fn za_id(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 13)?;
    let date = is_short_birthday(part(id, 0..2)?, part(id, 2..4)?, part(id, 4..6)?);
    if !(date && matches!(digit_at(id, 10)?, 0..=2) && luhn(id)) {
        return None;
    }
    // Milliseconds since 1970 start with 15 to 19 for many years.
    Some(if (15..20).contains(&part(id, 0..2)?) { Strength::Plausible } else { Strength::Checked })
}
