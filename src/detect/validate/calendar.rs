//! Dates of birth inside ids. Nothing here knows what day it is today.

/// No living person's id has an earlier year, and no later one is given soon.
const YEARS: std::ops::RangeInclusive<u32> = 1915..=2039;

/// A day of the Gregorian calendar in a year that people alive can be born in.
pub(crate) fn is_birthday(year: u32, month: u32, day: u32) -> bool {
    YEARS.contains(&year) && (1..=days(month, year)).contains(&day)
}

/// A day of some year that ends with these two digits.
pub(crate) fn is_short_birthday(year: u32, month: u32, day: u32) -> bool {
    // 2000 had a 29 February and 1900 had none: the kinder one counts.
    year < 100 && (1..=days(month, 2000 + year)).contains(&day)
}

fn days(month: u32, year: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_days() {
        assert!(is_birthday(2000, 2, 29) && is_birthday(1996, 2, 29));
        assert!(!is_birthday(1900, 2, 29) && !is_birthday(1997, 2, 29));
        assert!(is_short_birthday(0, 2, 29) && !is_short_birthday(1, 2, 29));
    }

    #[test]
    fn no_day_outside_its_month() {
        for (month, day) in [(0, 1), (13, 1), (1, 0), (4, 31), (2, 30), (12, 32)] {
            assert!(!is_birthday(1980, month, day), "{month}-{day}");
            assert!(!is_short_birthday(80, month, day), "{month}-{day}");
        }
        assert!(!is_birthday(1914, 12, 31) && !is_birthday(2040, 1, 1) && !is_short_birthday(100, 1, 1));
    }
}
