//! Finds the next byte that is special inside a JSON string.

use memchr::memchr2;

/// The first place from `at` on that is a quote, a backslash or a control
/// character, or the end of the text.
pub(crate) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    // Most strings are short: eight bytes at a time, without a call.
    let short_end = at + 32;
    while at < short_end {
        let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) else {
            return at + position_of_special(bytes.get(at..).unwrap_or_default());
        };
        let specials = specials(u64::from_le_bytes(*word));
        if specials != 0 {
            return at + specials.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let run = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    let run = rest.get(..run).unwrap_or_default();
    // Without a way out of the loop the compiler can take many bytes at once.
    let least = run.iter().fold(u8::MAX, |least, &b| least.min(b));
    at + if least < 0x20 { position_of_special(run) } else { run.len() }
}

fn position_of_special(bytes: &[u8]) -> usize {
    bytes.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\').unwrap_or(bytes.len())
}

/// Sets the high bit of each byte of the word that is a quote, a backslash or
/// a control character. Bytes after the first such may be set falsely.
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const QUOTES: u64 = ONES * 0x22;
    const BACKSLASHES: u64 = ONES * 0x5C;
    let is_zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    let quote = is_zero(word ^ QUOTES);
    let backslash = is_zero(word ^ BACKSLASHES);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_specials_wherever_they_stand(len in 0..200_usize, at in 0..200_usize, special in prop::sample::select(b"\"\\\n\x1F\0".to_vec())) {
            let mut bytes = vec![b'~'; len];
            bytes.extend("é\u{7F}\u{20}!#[]".as_bytes());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = special;
            }
            prop_assert_eq!(plain_end(&bytes, 0), position_of_special(&bytes));
        }
    }
}
