//! What in a text may have to be read otherwise, told by one quick look at all
//! of its bytes: most texts hold none of it.

use memchr::{memchr, memchr_iter, memchr2, memchr3};

/// A character with which markup or an escape begins: `<`, `&` or `\`.
pub(super) const MARKUP: u8 = 1;
/// An `=`, with which what is encoded for mail begins.
pub(super) const EQUALS: u8 = 2;
/// A line that goes on in the next, if lines do that at all.
pub(super) const FOLD: u8 = 4;
/// A stop that a letter or a digit may stand behind, as in front of the ending of a name.
pub(super) const DOT: u8 = 8;

/// The marks that stand in a text, as bits.
pub(super) fn of(text: &str) -> u8 {
    let bytes = text.as_bytes();
    let is = |stands: bool, mark: u8| if stands { mark } else { 0 };
    let mut marks = is(memchr3(b'<', b'&', b'\\', bytes).is_some(), MARKUP) | is(has_dots(bytes), DOT);
    if memchr2(b'=', b'\n', bytes).is_some() {
        let goes_on = |end: usize| matches!(bytes.get(end + 1), Some(b' ' | b'\t'));
        marks |= is(memchr(b'=', bytes).is_some(), EQUALS);
        marks |= is(memchr_iter(b'\n', bytes).any(goes_on), FOLD);
    }
    marks
}

/// Looks at all of them whatever it finds, as many are looked at at once then:
/// every sentence has a stop, and hardly any is such a one.
fn has_dots(bytes: &[u8]) -> bool {
    let pairs = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    // All letters and digits come behind the slash.
    pairs.fold(0, |any, (byte, next)| any | (u8::from(*byte == b'.') & u8::from(*next > b'/'))) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_seen_wherever_it_stands() {
        for (mark, all, none) in [
            (MARKUP, &["<", "&", "\\"][..], &["", "x", "é"][..]),
            (EQUALS, &["="], &["-"]),
            (FOLD, &["\n ", "\r\n\t"], &["\n", "\n\n", "\r "]),
            (DOT, &[".p", ".7"], &[".", ". ", "./", ".\""]),
        ] {
            for length in [0, 1, 15, 16, 31, 32, 100] {
                let space = "x".repeat(length);
                for text in all {
                    assert_eq!(of(&[&space, *text].concat()), mark, "{text:?} behind {length}");
                    assert_eq!(of(&[text, " ", &space].concat()), mark, "{text:?} in front of {length}");
                }
                for text in none {
                    assert_eq!(of(&[&space, *text].concat()), 0, "{text:?} behind {length}");
                }
            }
        }
    }
}
