//! Tells placeholders from secrets: a key that somebody typed or counted is
//! refused, one from a random number generator is not.
//!
//! Each mark below is that of one random key in 2^44 at the most, so nobody
//! will ever see a good key refused.

const LEN: usize = 32;

/// Random keys have 30 different bytes, give or take 2.
const FEWEST_BYTES: usize = 13;

/// Patterns up to this length are seen where they come again.
const LONGEST_PATTERN: usize = 20;

/// Counters up to this size are seen.
const LONGEST_COUNTER: usize = 10;

/// Whether the bytes follow a pattern, and so are no secret.
pub(super) fn is_weak(key: &[u8; LEN]) -> bool {
    is_text(key) || has_few_bytes(key) || repeats(key) || counts(key)
}

/// Letters, digits and marks of ASCII alone: typed, or hexadecimal digits that
/// were taken for bytes.
fn is_text(key: &[u8; LEN]) -> bool {
    key.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r'))
}

fn has_few_bytes(key: &[u8; LEN]) -> bool {
    let mut seen = [false; 256];
    for byte in key {
        if let Some(place) = seen.get_mut(usize::from(*byte)) {
            *place = true;
        }
    }
    seen.iter().filter(|seen| **seen).count() < FEWEST_BYTES
}

fn repeats(key: &[u8; LEN]) -> bool {
    (1..=LONGEST_PATTERN).any(|len| key.iter().zip(key.iter().skip(len)).all(|(a, b)| a == b))
}

/// From each byte to the next of its place in a pattern it is as far as from
/// there to the one after: 0, 1, 2 …, or 0, 2, 4 …, or a counter of several bytes.
fn counts(key: &[u8; LEN]) -> bool {
    (1..=LONGEST_COUNTER).any(|len| {
        let steps = || key.iter().zip(key.iter().skip(len)).map(|(a, b)| b.wrapping_sub(*a));
        steps().zip(steps().skip(len)).all(|(one, next)| one == next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand;

    #[test]
    fn no_random_key_is_weak() {
        let mut keys = vec![0; LEN * 100_000];
        rand::fill(&mut keys).unwrap();
        let (keys, _) = keys.as_chunks::<LEN>();
        assert_eq!(keys.iter().filter(|key| is_weak(key)).count(), 0);
    }

    #[test]
    fn what_follows_a_pattern_is_weak() {
        let made = |byte: fn(u8) -> u8| -> [u8; LEN] { std::array::from_fn(|i| byte(i as u8)) };
        let weak: &[[u8; LEN]] = &[
            made(|_| 0),
            made(|_| 0xff),
            made(|i| i),
            made(|i| 255 - i),
            made(|i| i.wrapping_mul(7).wrapping_add(200)),
            made(|i| if i % 2 == 0 { 0xab } else { 0xcd }),
            made(|i| [0xab, 0xcd, 0xef, 0x12, 0x34, 0x56, 0x78, 0x90][usize::from(i % 8)]),
            // A number that counts in four bytes, big endian, and in two, little endian.
            made(|i| if i % 4 == 3 { i / 4 } else { 0 }),
            made(|i| if i % 2 == 0 { i / 2 } else { 0x80 }),
            // Zeros but for the last bytes.
            made(|i| if i > 22 { i.wrapping_mul(91) } else { 0 }),
            *b"passwordpasswordpasswordpassword",
            *b"correct horse battery staple 123",
            *b"0123456789abcdef0123456789ABCDEF",
            *b"9f1c04d2e7b35a886d0e4f3c2b1a9988",
            *b"p\0a\0s\0s\0w\0o\0r\0d\0p\0a\0s\0s\0w\0o\0r\0d\0",
            // Twelve random bytes twice and a part of them, one after another.
            made(|i| [9, 201, 77, 3, 150, 44, 91, 238, 17, 120, 66, 5][usize::from(i % 12)]),
            // Sixteen twice.
            made(|i| (i % 16).wrapping_mul(i % 16).wrapping_mul(37).wrapping_add(11)),
        ];
        for key in weak {
            assert!(is_weak(key), "{key:?}");
        }
    }

    #[test]
    fn a_trace_of_a_pattern_is_none() {
        let random: [u8; LEN] = [
            0x8e, 0x1f, 0x63, 0xd4, 0x07, 0xb9, 0x52, 0xe8, 0x3c, 0x95, 0xaa, 0x2d, 0xf1, 0x48, 0x76, 0x0b, 0xc3, 0x5e,
            0x9d, 0x34, 0xe2, 0x81, 0x6f, 0x1a, 0xd7, 0x40, 0xbc, 0x29, 0xf6, 0x58, 0x05, 0x93,
        ];
        assert!(!is_weak(&random));
        let mut zeros = random;
        zeros[4..10].fill(0);
        assert!(!is_weak(&zeros));
        let mut text = random;
        text[..24].copy_from_slice(b"twenty-four letters, oh!");
        assert!(!is_weak(&text));
        let mut counting = random;
        (0..20).for_each(|i| counting[i] = i as u8);
        assert!(!is_weak(&counting));
    }
}
