//! The United Kingdom and Ireland.

use super::{Strength, checked};
use crate::detect::validate::calendar::is_short_birthday;
use crate::detect::validate::check::{digit_at, number, part, weighted};

/// Seven digits, a check letter, and since 2013 a second letter.
pub(super) fn ie_ppsn(id: &[u8]) -> Option<Strength> {
    let digits = id.get(..7)?;
    number(digits).filter(|n| *n > 0)?;
    let second = match id.get(8..)? {
        [] | [b'W'] => 0,
        [letter @ b'A'..=b'I'] => u32::from(letter - b'A') + 1,
        _ => return None,
    };
    let sum = weighted(digits, &[8, 7, 6, 5, 4, 3, 2])? + 9 * second;
    checked(b"WABCDEFGHIJKLMNOPQRSTUV".get((sum % 23) as usize) == id.get(7))
}

/// Five of the name, year's tens, month (50 added for women), day, year's
/// ones, two initials, and three more.
pub(super) fn gb_driving(id: &[u8]) -> Option<Strength> {
    let name = id.get(..5).filter(|_| id.len() == 16)?;
    let letters = name.iter().take_while(|b| b.is_ascii_uppercase()).count();
    let padded = name.iter().skip(letters).all(|&b| b == b'9');
    let month = part(id, 6..8)?;
    let month = if month > 50 { month - 50 } else { month };
    let year = digit_at(id, 5)? * 10 + digit_at(id, 10)?;
    let initials =
        matches!(id.get(11..13)?, [a, b] if a.is_ascii_uppercase() && (b.is_ascii_uppercase() || *b == b'9'));
    let tail = id.get(13)?.is_ascii_digit() && id.get(14..)?.iter().all(u8::is_ascii_alphanumeric);
    checked(letters > 0 && padded && initials && tail && is_short_birthday(year, month, part(id, 8..10)?))
}

/// Ten digits.
pub(super) fn gb_nhs(id: &[u8]) -> Option<Strength> {
    number(id).filter(|n| id.len() == 10 && *n > 0)?;
    checked(weighted(id, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1])?.is_multiple_of(11))
}

/// Two letters, six digits, and A to D, which is left out at times.
pub(super) fn gb_nino(id: &[u8]) -> Option<Strength> {
    let [first, second] = *id.first_chunk::<2>()?;
    number(id.get(2..8)?)?;
    let barred = |letter: u8| !letter.is_ascii_uppercase() || b"DFIQUV".contains(&letter);
    if barred(first)
        || barred(second)
        || second == b'O'
        || matches!(&[first, second], b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ")
    {
        return None;
    }
    match id.get(8..)? {
        [b'A'..=b'D'] => Some(Strength::Checked),
        [] => Some(Strength::Plausible),
        _ => None,
    }
}

/// Tax reference: the first digit checks the nine others.
pub(super) fn gb_utr(id: &[u8]) -> Option<Strength> {
    number(id).filter(|_| id.len() == 10)?;
    let rest = weighted(id.get(1..)?, &[6, 7, 8, 9, 10, 5, 4, 3, 2])? % 11;
    checked(b"21987654321".get(rest as usize) == id.first())
}
