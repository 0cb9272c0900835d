//! Check digit algorithms over digits as ASCII bytes. Each is a pure function
//! and takes only what its standard asks for; anything else is `None` or false.

/// The value of an ASCII digit.
pub(crate) fn digit(byte: u8) -> Option<u32> {
    byte.is_ascii_digit().then(|| u32::from(byte - b'0'))
}

/// 0 to 9 for digits, 10 to 35 for capital letters (ISO/IEC 7064, ICAO 9303).
pub(crate) fn value(byte: u8) -> Option<u32> {
    match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A') + 10),
        _ => digit(byte),
    }
}

/// The number that `digits` write; `None` for anything else, for nothing, and
/// for more than 18 digits.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0_u64, |n, &b| Some(n * 10 + u64::from(digit(b)?)))
}

/// The number in a range of `id`.
pub(crate) fn part(id: &[u8], range: std::ops::Range<usize>) -> Option<u32> {
    number(id.get(range)?)?.try_into().ok()
}

/// The digit at a place of `id`.
pub(crate) fn digit_at(id: &[u8], at: usize) -> Option<u32> {
    digit(*id.get(at)?)
}

/// The sum of digits times weights; as many digits as weights are read.
pub(crate) fn weighted(digits: &[u8], weights: &[u32]) -> Option<u32> {
    let digits = digits.get(..weights.len())?;
    digits.iter().zip(weights).try_fold(0, |sum, (&b, weight)| Some(sum + digit(b)? * weight))
}

/// The Luhn formula (ISO/IEC 7812-1, annex B) over all digits.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit) && super::luhn(digits.iter().map(|b| b - b'0'))
}

/// ISO/IEC 7064, MOD 11,10: the hybrid system with one check digit.
pub(crate) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((&last, head)) = digits.split_last() else { return false };
    let product = head.iter().try_fold(10, |product, &b| {
        let sum = (digit(b)? + product) % 10;
        Some((if sum == 0 { 10 } else { sum }) * 2 % 11)
    });
    product.zip(digit(last)).is_some_and(|(product, last)| (product + last) % 10 == 1)
}

/// ISO/IEC 7064, MOD 11-2: digits, and at the end a digit or `X` for ten.
pub(crate) fn mod_11_2(id: &[u8]) -> bool {
    let Some((&last, head)) = id.split_last() else { return false };
    let last = if last == b'X' { Some(10) } else { digit(last) };
    let sum = head.iter().try_fold(0, |sum, &b| Some((sum + digit(b)?) * 2 % 11));
    sum.zip(last).is_some_and(|(sum, last)| (sum + last) % 11 == 1)
}

/// Verhoeff (1969): the dihedral group of order ten.
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let mut check = 0;
    for (place, &b) in digits.iter().rev().enumerate() {
        let Some(mut d) = digit(b) else { return false };
        // The permutation has the period eight.
        for _ in 0..place % 8 {
            d = PERMUTATION.get(d as usize).map_or(0, |&p| u32::from(p));
        }
        check = dihedral(check, d);
    }
    !digits.is_empty() && check == 0
}

/// The product of two elements: 0 to 4 are rotations, 5 to 9 reflections.
fn dihedral(a: u32, b: u32) -> u32 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// The weights 7, 3, 1 over digits and letters (ICAO 9303), modulo ten.
pub(crate) fn mod_10_731(id: &[u8]) -> Option<u32> {
    let weights = [7, 3, 1].into_iter().cycle();
    let sum = id.iter().zip(weights).try_fold(0, |sum, (&b, weight)| Some(sum + value(b)? * weight))?;
    Some(sum % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_hold_and_no_other_last_digit_does() {
        type Check = fn(&[u8]) -> bool;
        let vectors: [(&str, Check, &str); 6] = [
            // ISO/IEC 7812-1, and the number of every textbook.
            ("luhn", luhn, "79927398713"),
            // ISO/IEC 7064, the example of the standard.
            ("mod 11,10", mod_11_10, "07945"),
            // ISO/IEC 7064 as ISNI and ORCID use it.
            ("mod 11-2", mod_11_2, "0000000218250097"),
            ("mod 11-2", mod_11_2, "11010519491231002X"),
            // Verhoeff: 236 has the check digit 3.
            ("verhoeff", verhoeff, "2363"),
            ("verhoeff", verhoeff, "234123412346"),
        ];
        for (name, check, good) in vectors {
            let head = &good[..good.len() - 1];
            let passing: Vec<String> =
                "0123456789X".chars().map(|last| format!("{head}{last}")).filter(|id| check(id.as_bytes())).collect();
            assert_eq!(passing, [good], "{name}");
        }
    }

    #[test]
    fn verhoeff_sees_every_swap_of_neighbours() {
        let good = b"234123412346";
        for i in 0..good.len() - 1 {
            let mut bad = *good;
            bad.swap(i, i + 1);
            assert_eq!(verhoeff(&bad), bad == *good, "{i}");
        }
    }

    #[test]
    fn nothing_passes_without_digits() {
        for check in [luhn, mod_11_10, mod_11_2, verhoeff] {
            for text in [&b""[..], b"A", b"12A4", "１２".as_bytes()] {
                assert!(!check(text), "{text:?}");
            }
        }
        assert_eq!(number(b""), None);
        assert_eq!(number(b"1234567890123456789"), None);
        assert_eq!(weighted(b"12", &[1, 2, 3]), None);
        assert_eq!(mod_10_731(b"a"), None);
    }

    #[test]
    fn icao_example() {
        // ICAO 9303, part 3: 520727 has the check digit 3.
        assert_eq!(mod_10_731(b"520727"), Some(3));
        assert_eq!(mod_10_731(b"AB2134"), Some(5));
    }
}
