//! Eight bytes of a text at a time: how many digits or hex digits stand side by
//! side is told without a branch for each of them, which would be guessed wrong
//! at the last.

/// One in each byte.
pub(crate) const ONES: u64 = 0x0101_0101_0101_0101;
/// The high bit of each byte.
pub(crate) const HIGH: u64 = ONES << 7;
/// The bit of each byte that tells small letters from capitals.
pub(crate) const CASE: u64 = ONES << 5;

/// The eight bytes from `at` on, the first lowest; behind the end of the text
/// stand zeros. That the end is near makes no branch either.
#[inline]
pub(crate) fn from(text: &[u8], at: usize) -> u64 {
    let Some(last) = text.len().checked_sub(8) else { return from_few(text, at) };
    let start = at.min(last);
    let eight = text.get(start..).and_then(|rest| rest.first_chunk::<8>());
    let passed = (at - start).min(8) as u32;
    u64::from_le_bytes(*eight.unwrap_or(&[0; 8])).checked_shr(8 * passed).unwrap_or(0)
}

/// The same of sixteen bytes, where `at` lies in the text; none where the text
/// has less.
#[inline]
pub(crate) fn sixteen(text: &[u8], at: usize) -> Option<u128> {
    let start = at.min(text.len().checked_sub(16)?);
    let sixteen = u128::from_le_bytes(*text.get(start..)?.first_chunk()?);
    Some(sixteen >> (8 * (at - start).min(15)))
}

/// The same of a text of less than eight.
#[cold]
#[inline(never)]
fn from_few(text: &[u8], at: usize) -> u64 {
    text.get(at..).unwrap_or_default().iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// The eight bytes in front of `at`, the last highest; in front of the text
/// stand zeros.
#[inline]
pub(crate) fn before(text: &[u8], at: usize) -> u64 {
    match at.checked_sub(8) {
        Some(start) => from(text, start),
        None => from(text, 0).checked_shl(8 * (8 - at) as u32).unwrap_or(0),
    }
}

/// How many ASCII digits stand from `at` on; of eight and more it is eight.
#[inline]
pub(crate) fn digits(text: &[u8], at: usize) -> usize {
    first(no_digits(from(text, at)))
}

/// The same, with what each of them is worth, the first lowest; what stands
/// above them means nothing.
#[inline]
pub(crate) fn values_of_digits(text: &[u8], at: usize) -> (u64, usize) {
    let eight = from(text, at);
    (eight ^ (ONES * 0x30), first(no_digits(eight)))
}

/// How many ASCII digits stand in front of `at`; of eight and more it is eight.
#[inline]
pub(crate) fn digits_before(text: &[u8], at: usize) -> usize {
    last(no_digits(before(text, at)))
}

/// How many hex digits stand from `at` on; of eight and more it is eight.
#[inline]
pub(crate) fn hex_digits(text: &[u8], at: usize) -> usize {
    first(no_hex_digits(from(text, at)))
}

/// The same in front of `at`.
#[inline]
pub(crate) fn hex_digits_before(text: &[u8], at: usize) -> usize {
    last(no_hex_digits(before(text, at)))
}

/// How many ASCII letters stand in front of `at`; of eight and more it is eight.
#[inline]
pub(crate) fn letters_before(text: &[u8], at: usize) -> usize {
    last(no_letters(before(text, at), 26))
}

/// How many ASCII letters and digits stand in front of `at`; of eight and more
/// it is eight.
#[inline]
pub(crate) fn alphanumerics_before(text: &[u8], at: usize) -> usize {
    let eight = before(text, at);
    last(no_letters(eight, 26) & no_digits(eight))
}

/// How many hex digits, colons, hyphens and points stand from `at` on; of eight
/// and more it is eight.
#[inline]
pub(crate) fn hex_and_separators(text: &[u8], at: usize) -> usize {
    first(no_hex_or_separators(from(text, at)))
}

/// The same in front of `at`.
#[inline]
pub(crate) fn hex_and_separators_before(text: &[u8], at: usize) -> usize {
    last(no_hex_or_separators(before(text, at)))
}

/// How many characters stand from `at` on that are of ASCII and no letters or line
/// breaks; of eight and more it is eight.
#[inline]
pub(crate) fn no_word_or_line(text: &[u8], at: usize) -> usize {
    let eight = from(text, at);
    let line = eight ^ (ONES * u64::from(b'\n'));
    // Sums of seven bits set the bit of all bytes but zero.
    let no_line = (line & !HIGH) + ONES * 0x7f;
    first((!no_letters(eight, 26) | !no_line | eight) & HIGH)
}

/// How many ASCII letters stand among the `len` bytes from `at` on, eight at
/// most: capitals and small ones.
#[inline]
pub(crate) fn capitals_and_small(text: &[u8], at: usize, len: usize) -> (u32, u32) {
    let eight = from(text, at);
    let inside = !u64::MAX.checked_shl(8 * len.min(8) as u32).unwrap_or(0);
    let letters = !no_letters(eight, 26) & HIGH & inside;
    // Shifted, the bit of small letters stands where they are marked.
    let (all, small) = (count(letters), count(letters & eight << 2));
    (all - small, small)
}

/// How many bytes are marked.
#[inline]
fn count(marks: u64) -> u32 {
    ((marks >> 7).wrapping_mul(ONES) >> 56) as u32
}

/// How many bytes are below the first that is marked.
#[inline]
fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// How many bytes are above the last that is marked.
#[inline]
fn last(marks: u64) -> usize {
    (marks.leading_zeros() / 8) as usize
}

/// Marks bytes that are no ASCII digit, in their highest bits.
#[inline]
fn no_digits(bytes: u64) -> u64 {
    // From ten on the sum sets the bit; sums of seven bits do not carry.
    ((((bytes ^ (ONES * 0x30)) & !HIGH) + ONES * 0x76) | bytes) & HIGH
}

/// Marks bytes that are none of the first `letters` letters of the alphabet.
#[inline]
fn no_letters(bytes: u64, letters: u64) -> u64 {
    // `a` is 1 here, and what is 0 or beyond the last is marked.
    let place = ((bytes | CASE) & !HIGH) ^ (ONES * 0x60);
    ((place + ONES * (0x7f - letters)) | !(place + ONES * 0x7f) | bytes) & HIGH
}

#[inline]
fn no_hex_digits(bytes: u64) -> u64 {
    no_digits(bytes) & no_letters(bytes, 6)
}

#[inline]
fn no_hex_or_separators(bytes: u64) -> u64 {
    // Sums of seven bits set the bit of all bytes but zero.
    let other = |separator: u8| {
        let differs = bytes ^ (ONES * u64::from(separator));
        ((differs & !HIGH) + ONES * 0x7f) | differs
    };
    no_hex_digits(bytes) & other(b':') & other(b'-') & other(b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_are_those_made_byte_by_byte(
            text in prop::collection::vec(prop_oneof![
                prop::sample::select(b"09afzAFZ/:@[`{g\0\n\xe9".to_vec()),
                prop::sample::select(b"059afAF:-.".to_vec()),
                any::<u8>(),
            ], 0..36),
            at in 0..40_usize,
        ) {
            let behind = text.get(at..).unwrap_or_default();
            let in_front = text.get(..at).unwrap_or_default();
            let ahead = |is: fn(&u8) -> bool| behind.iter().take(8).take_while(|b| is(b)).count();
            let back = |is: fn(&u8) -> bool| in_front.iter().rev().take(8).take_while(|b| is(b)).count();
            prop_assert_eq!(digits(&text, at), ahead(u8::is_ascii_digit));
            let (values, count) = values_of_digits(&text, at);
            prop_assert_eq!(count, digits(&text, at));
            let worth = values.to_le_bytes().into_iter().zip(behind).take(count);
            prop_assert!(worth.into_iter().all(|(value, digit)| value == digit - b'0'));
            prop_assert_eq!(hex_digits(&text, at), ahead(u8::is_ascii_hexdigit));
            if at < text.len() {
                let padded = behind.iter().copied().chain([0; 16]).take(16).collect::<Vec<_>>();
                let expected = (text.len() >= 16).then_some(padded);
                prop_assert_eq!(sixteen(&text, at).map(|sixteen| sixteen.to_le_bytes().to_vec()), expected);
            }
            let in_run: fn(&u8) -> bool = |b| b.is_ascii_hexdigit() || matches!(b, b':' | b'-' | b'.');
            prop_assert_eq!(hex_and_separators(&text, at), ahead(in_run));
            prop_assert_eq!(no_word_or_line(&text, at), {
                let others = |b: &&u8| b.is_ascii() && !b.is_ascii_alphabetic() && **b != b'\n';
                // Behind the end of the text stand zeros.
                behind.iter().chain(&[0; 8]).take(8).take_while(others).count()
            });
            for len in 0..9 {
                let part = || behind.iter().take(len);
                let capitals = part().filter(|b| b.is_ascii_uppercase()).count() as u32;
                let small = part().filter(|b| b.is_ascii_lowercase()).count() as u32;
                prop_assert_eq!(capitals_and_small(&text, at, len), (capitals, small));
            }
            if at <= text.len() {
                prop_assert_eq!(digits_before(&text, at), back(u8::is_ascii_digit));
                prop_assert_eq!(hex_digits_before(&text, at), back(u8::is_ascii_hexdigit));
                prop_assert_eq!(hex_and_separators_before(&text, at), back(in_run));
                prop_assert_eq!(letters_before(&text, at), back(u8::is_ascii_alphabetic));
                prop_assert_eq!(alphanumerics_before(&text, at), back(u8::is_ascii_alphanumeric));
            }
        }
    }
}
