//! Belgium, France, Luxembourg, the Netherlands, Switzerland.

use super::{Strength, checked};
use crate::detect::validate::calendar::is_birthday;
use crate::detect::validate::check::{digit_at, luhn, number, part, verhoeff, weighted};

/// `YYMMDDSSSCC`; in a bis number 20 or 40 is added to the month, and what is
/// not known of the date is 0.
pub(super) fn be_nn(id: &[u8]) -> Option<Strength> {
    let all = number(id).filter(|_| id.len() == 11)?;
    let (head, check) = (all / 100, all % 100);
    let (month, day) = (part(id, 2..4)?, part(id, 4..6)?);
    let date = matches!(month, 0..=12 | 20..=32 | 40..=52) && day <= 31;
    let serial = (1..=998).contains(&part(id, 6..9)?);
    checked(date && serial && (check == 97 - head % 97 || check == 97 - (2_000_000_000 + head) % 97))
}

/// `SYYMMDDCCCNNNKK`: sex, year, month, department (2A and 2B in Corsica),
/// commune, serial, key. Without the key it is only plausible.
pub(super) fn fr_nir(id: &[u8]) -> Option<Strength> {
    if !(id.len() == 13 || id.len() == 15) || !matches!(digit_at(id, 0)?, 1 | 2 | 3 | 4 | 7 | 8) {
        return None;
    }
    if !matches!(part(id, 3..5)?, 1..=12 | 20..=42 | 50..=99) {
        return None;
    }
    let mut digits = [0; 13];
    digits.copy_from_slice(id.get(..13)?);
    let department = match id.get(5..7)? {
        b"2A" => b"19",
        b"2B" => b"18",
        [b'0', b'0'] => return None,
        other => other,
    };
    digits.get_mut(5..7)?.copy_from_slice(department);
    let all = number(&digits)?;
    if id.len() == 13 {
        return Some(Strength::Plausible);
    }
    checked(u64::from(part(id, 13..15)?) == 97 - all % 97)
}

/// Tax number: ten digits and their rest by 511.
pub(super) fn fr_spi(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 13)?;
    checked(digit_at(id, 0)? <= 3 && number(id.get(..10)?)? % 511 == u64::from(part(id, 10..13)?))
}

/// `YYYYMMDDNNNLV`: Luhn over the first eleven and L, Verhoeff over them and V.
pub(super) fn lu_matricule(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 13)?;
    let date = is_birthday(part(id, 0..4)?, part(id, 4..6)?, part(id, 6..8)?);
    let mut second = [0; 12];
    second.get_mut(..11)?.copy_from_slice(id.get(..11)?);
    *second.get_mut(11)? = *id.get(12)?;
    checked(date && luhn(id.get(..12)?) && verhoeff(&second))
}

/// Nine digits, or eight where the leading 0 is left out.
pub(super) fn nl_bsn(id: &[u8]) -> Option<Strength> {
    number(id)?;
    let sum = match id.len() {
        8 => weighted(id, &[8, 7, 6, 5, 4, 3, 2])?,
        9 => weighted(id, &[9, 8, 7, 6, 5, 4, 3, 2])?,
        _ => return None,
    };
    let last = digit_at(id, id.len() - 1)?;
    checked(sum > last && sum % 11 == last)
}

/// `756NNNNNNNNNC`
pub(super) fn ch_ahv(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 13)?;
    let sum = weighted(id, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1])?;
    checked(part(id, 0..3)? == 756 && sum.is_multiple_of(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zero_of_a_bsn_may_be_missing() {
        assert_eq!(nl_bsn(b"012345672"), nl_bsn(b"12345672"));
        assert_eq!(nl_bsn(b"000000000"), None);
    }
}
