//! Asia and Oceania.

use super::{Strength, checked};
use crate::detect::validate::calendar::{is_birthday, is_short_birthday};
use crate::detect::validate::check::{digit_at, luhn, mod_11_2, number, part, value, verhoeff, weighted};

/// Eight digits, check digit, issue, and at times the person's place on the card.
pub(super) fn au_medicare(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| matches!(id.len(), 10 | 11))?;
    let rest = weighted(id, &[1, 3, 7, 9, 1, 3, 7, 9])? % 10;
    checked(matches!(digit_at(id, 0)?, 2..=6) && rest == digit_at(id, 8)? && digit_at(id, 9)? > 0)
}

/// Nine digits, eight in old ones.
pub(super) fn au_tfn(id: &[u8]) -> Option<Strength> {
    number(id).filter(|n| *n > 0)?;
    let sum = match id.len() {
        8 => weighted(id, &[10, 7, 8, 4, 6, 3, 5, 1])?,
        9 => weighted(id, &[1, 4, 3, 7, 5, 8, 6, 9, 10])?,
        _ => return None,
    };
    checked(sum.is_multiple_of(11))
}

/// `784YYYYNNNNNNNC`
pub(super) fn ae_eid(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 15)?;
    checked(part(id, 0..3)? == 784 && is_birthday(part(id, 3..7)?, 1, 1) && luhn(id))
}

/// `RRRRRRYYYYMMDDSSSC`
pub(super) fn cn_ric(id: &[u8]) -> Option<Strength> {
    let province = matches!(part(id, 0..2)?, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83);
    let date = is_birthday(part(id, 6..10)?, part(id, 10..12)?, part(id, 12..14)?);
    checked(id.len() == 18 && province && date && mod_11_2(id))
}

/// One or two letters, six digits, and a digit or A.
pub(super) fn hk_hkid(id: &[u8]) -> Option<Strength> {
    let letters = id.len().checked_sub(7).filter(|n| matches!(n, 1 | 2))?;
    number(id.get(letters..letters + 6)?)?;
    // A place without a letter counts as a space, 36.
    let mut sum = if letters == 1 { 9 * 36 } else { 0 };
    let weights = (1..=letters as u32 + 6).rev().map(|w| w + 1);
    for (i, (&b, weight)) in id.iter().zip(weights).enumerate() {
        if (i < letters) != b.is_ascii_uppercase() {
            return None;
        }
        sum += value(b)? * weight;
    }
    let check = match id.last()? {
        b'A' => 10,
        _ => digit_at(id, id.len() - 1)?,
    };
    checked((sum + check).is_multiple_of(11))
}

/// `PPRRDDDDMMYYSSSS`: six digits of the region, date, serial.
pub(super) fn id_nik(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 16)?;
    let day = part(id, 6..8)?;
    let day = if day > 40 { day - 40 } else { day };
    let date = is_short_birthday(part(id, 10..12)?, part(id, 8..10)?, day);
    let region = matches!(part(id, 0..2)?, 11..=21 | 31..=36 | 51..=53 | 61..=65 | 71..=76 | 81 | 82 | 91..=97);
    (date && region && part(id, 2..4)? > 0 && part(id, 12..16)? > 0).then_some(Strength::Plausible)
}

/// Nine digits.
pub(super) fn il_id(id: &[u8]) -> Option<Strength> {
    checked(id.len() == 9 && number(id)? > 0 && luhn(id))
}

/// Twelve digits.
pub(super) fn in_aadhaar(id: &[u8]) -> Option<Strength> {
    checked(id.len() == 12 && digit_at(id, 0)? > 1 && verhoeff(id))
}

/// Five letters, four digits, a letter; the fourth tells the kind of holder.
pub(super) fn in_pan(id: &[u8]) -> Option<Strength> {
    let letters = id.get(..5)?.iter().chain(id.get(9..)?).all(u8::is_ascii_uppercase);
    let serial = part(id, 5..9)? > 0;
    match id.get(3)? {
        _ if id.len() != 10 || !letters || !serial => None,
        b'P' => Some(Strength::Checked),
        b'A' | b'B' | b'C' | b'F' | b'G' | b'H' | b'J' | b'L' | b'T' => Some(Strength::Plausible),
        _ => None,
    }
}

/// Twelve digits.
pub(super) fn jp_mynumber(id: &[u8]) -> Option<Strength> {
    number(id).filter(|n| id.len() == 12 && *n > 9)?;
    let check = match weighted(id, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2])? % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    checked(check == digit_at(id, 11)?)
}

/// `YYMMDDSNNNNNC`: sex and century; numbers given since October 2020 have no
/// check digit.
pub(super) fn kr_rrn(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 13)?;
    let century = match digit_at(id, 6)? {
        1 | 2 | 5 | 6 => 1900,
        3 | 4 | 7 | 8 => 2000,
        _ => return None,
    };
    if !is_birthday(century + part(id, 0..2)?, part(id, 2..4)?, part(id, 4..6)?) {
        return None;
    }
    let sum = weighted(id, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5])?;
    let holds = (11 - sum % 11) % 10 == digit_at(id, 12)?;
    Some(if holds { Strength::Checked } else { Strength::Plausible })
}

/// `YYMMDDPPNNNN`: date, place of birth, serial.
pub(super) fn my_nric(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 12)?;
    let date = is_short_birthday(part(id, 0..2)?, part(id, 2..4)?, part(id, 4..6)?);
    let place = !matches!(part(id, 6..8)?, 0 | 17..=20 | 69 | 70 | 73 | 80 | 81 | 94..=97);
    checked(date && place)
}

/// Thirteen digits: region, family, sex. It has no check digit.
pub(super) fn pk_cnic(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 13)?;
    matches!(digit_at(id, 0)?, 1..=8).then_some(Strength::Checked)
}

/// A letter, seven digits, a check letter.
pub(super) fn sg_nric(id: &[u8]) -> Option<Strength> {
    let sum = weighted(id.get(1..8).filter(|_| id.len() == 9)?, &[2, 7, 6, 5, 4, 3, 2])?;
    let (offset, letters) = match id.first()? {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return None,
    };
    checked(letters.get(((sum + offset) % 11) as usize) == id.get(8))
}

/// Thirteen digits.
pub(super) fn th_id(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 13)?;
    let sum = weighted(id, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2])?;
    checked(matches!(digit_at(id, 0)?, 1..=8) && (11 - sum % 11) % 10 == digit_at(id, 12)?)
}
