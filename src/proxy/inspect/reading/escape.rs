//! Characters that are written by an escape: with a backslash, as in Markdown,
//! quoted strings of headers, style sheets and the sources of programs, or by a
//! number, as readers of HTML take it too where the semicolon is missing.

/// So many backslashes may stand in front of one character: escapes of escapes.
const MOST_BACKSLASHES: usize = 7;

/// A number has so many digits at most, leading zeros aside.
const MOST_DIGITS: usize = 7;

/// The character that the escape at `at` stands for, and where it ends.
pub(super) fn at(text: &str, at: usize) -> Option<(usize, char)> {
    match text.as_bytes().get(at)? {
        b'\\' => backslash(text, at),
        b'&' => number(text, at),
        _ => None,
    }
}

fn backslash(text: &str, at: usize) -> Option<(usize, char)> {
    let bytes = text.as_bytes();
    let count = bytes.get(at..)?.iter().take(MOST_BACKSLASHES).take_while(|b| **b == b'\\').count();
    let letter = at + count;
    let hex = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).filter(|c| !c.is_control())
    };
    match bytes.get(letter)? {
        b'n' | b'r' => Some((letter + 1, '\n')),
        // A tab parts words and groups of digits as a blank does.
        b't' => Some((letter + 1, ' ')),
        b'x' => hex(letter + 1, letter + 3).map(|c| (letter + 3, c)),
        b'u' if bytes.get(letter + 1) == Some(&b'{') => {
            let close = text.get(letter + 2..)?.bytes().take(MOST_DIGITS).position(|b| b == b'}')?;
            hex(letter + 2, letter + 2 + close).map(|c| (letter + close + 3, c))
        }
        b'u' => hex(letter + 1, letter + 5).map(|c| (letter + 5, c)),
        b'0'..=b'9' => digits(text, letter),
        // (CommonMark, 2.4; RFC 9110, 5.6.4; RFC 8259, 7)
        mark if mark.is_ascii_punctuation() || *mark == b' ' => Some((letter + 1, char::from(*mark))),
        _ => None,
    }
}

/// `\100`, three octal digits as in C and shells, or `\40 `, hexadecimal ones
/// with a blank behind them (CSS Syntax, 4.3.7). What is neither a mark nor a
/// letter of ASCII is not meant.
fn digits(text: &str, at: usize) -> Option<(usize, char)> {
    let rest = text.get(at..)?.as_bytes();
    let count = rest.iter().take(MOST_DIGITS).take_while(|b| b.is_ascii_hexdigit()).count();
    let (length, radix, end) = match rest.get(count) {
        Some(b' ') if count < MOST_DIGITS => (count, 16, count + 1),
        // The longest that style sheets know needs no blank.
        _ if count == MOST_DIGITS - 1 && rest.starts_with(b"0000") => (count, 16, count),
        _ => (3, 8, 3),
    };
    let code = u32::from_str_radix(text.get(at..at + length)?, radix).ok()?;
    let c = char::from_u32(code).filter(char::is_ascii_graphic)?;
    Some((at + end, c))
}

/// `&#64;`, `&#x40` (HTML, 13.2.5.80).
fn number(text: &str, at: usize) -> Option<(usize, char)> {
    let rest = text.get(at..)?.strip_prefix("&#")?;
    let (digits, radix) = match rest.strip_prefix(['x', 'X']) {
        Some(hex) => (hex, 16),
        None => (rest, 10),
    };
    let length = digits.bytes().take_while(|b| char::from(*b).is_digit(radix)).count();
    let written = digits.get(..length)?.trim_start_matches('0');
    let code = u32::from_str_radix(written.get(..).filter(|digits| digits.len() <= MOST_DIGITS)?, radix).ok()?;
    let c = char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace())?;
    let end = text.len() - digits.len() + length;
    let end = at + (end - at) + usize::from(text.as_bytes().get(end) == Some(&b';'));
    Some((end, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_many_notations_are_read() {
        for (text, c) in [
            (r"\@", '@'),
            (r"\_", '_'),
            (r"\/", '/'),
            ("\\\"", '"'),
            (r"\\\/", '/'),
            (r"\n", '\n'),
            (r"\\t", ' '),
            (r"\x40", '@'),
            (r"\u{40}", '@'),
            (r"\u0040", '@'),
            (r"\100", '@'),
            (r"\40 ", '@'),
            (r"\000040", '@'),
            (r"\00002E ", '.'),
            (r"\ ", ' '),
            ("&#64;", '@'),
            ("&#64", '@'),
            ("&#x40", '@'),
            ("&#X0000000040;", '@'),
            ("&#0000000000064;", '@'),
        ] {
            assert_eq!(at(text, 0), Some((text.len(), c)), "{text}");
            assert_eq!(at(&format!("é{text}!"), 2), Some((text.len() + 2, c)), "{text}");
        }
        for text in [
            "\\",
            r"\a",
            r"\é",
            r"\xz0",
            r"\u{110000000}",
            r"\400",
            r"\10",
            r"\0",
            r"\90",
            r"\u{}",
            "&",
            "&#",
            "&#x;",
            "&#0;",
            "&#99999999999;",
            "&amp;",
        ] {
            assert_eq!(at(text, 0), None, "{text}");
        }
    }
}
