//! One logical character of the text: as it stands, or in the escape of JSON,
//! Markdown, HTML or an address, or as a look-alike.

/// More backslashes in a row than nested JSON needs are no escape.
pub(super) const MAX_BACKSLASHES: usize = 8;
/// How often `&` may have been escaped again: `&amp;amp;#91;`.
const MAX_AMPS: usize = 3;
/// How often `%` may have been escaped again: `%255B`.
const MAX_PERCENTS: usize = 2;
/// Digits of a numeric character reference, leading zeros included.
const MAX_DIGITS: u32 = 7;

/// The named character references (HTML Standard, section 13.5) that can stand
/// for a character of a token.
const NAMES: [(&str, char); 15] = [
    ("NoBreak;", '\u{2060}'),
    ("NonBreakingSpace;", '\u{A0}'),
    ("UnderBar;", '_'),
    ("ZeroWidthSpace;", '\u{200B}'),
    ("dash;", '\u{2010}'),
    ("hyphen;", '\u{2010}'),
    ("lbrack;", '['),
    ("lowbar;", '_'),
    ("lsqb;", '['),
    ("nbsp;", '\u{A0}'),
    ("rbrack;", ']'),
    ("rsqb;", ']'),
    ("shy;", '\u{AD}'),
    ("zwj;", '\u{200D}'),
    ("zwnj;", '\u{200C}'),
];

/// What stands at a place of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A wanted character, folded, and where the next one starts.
    Char(char, usize),
    /// The text ends, and a wanted character may still come.
    Short,
    /// No wanted character.
    Other,
}

/// Reads the character at `at` if it is wanted. `want` is asked about folded
/// characters.
pub(super) fn unit(text: &str, at: usize, want: impl Fn(char) -> bool) -> Unit {
    let rest = text.get(at..).unwrap_or_default();
    let Some(&first) = rest.as_bytes().first() else {
        return Unit::Short;
    };
    let read = match first {
        b'\\' => backslash(rest, &want),
        b'&' => reference(rest, &want),
        b'%' => percent(rest, &want),
        _ => rest.chars().next().map_or(Unit::Other, |c| Unit::Char(c, c.len_utf8())),
    };
    match read {
        Unit::Char(c, len) if want(fold(c)) => Unit::Char(fold(c), at + len),
        Unit::Short => Unit::Short,
        Unit::Char(..) | Unit::Other => Unit::Other,
    }
}

/// As [`unit`], but passes over invisible characters before it.
pub(super) fn visible_unit(text: &str, mut at: usize, want: impl Fn(char) -> bool) -> Unit {
    loop {
        match unit(text, at, |c| want(c) || is_invisible(c)) {
            Unit::Char(c, next) if is_invisible(c) => at = next,
            other => return other,
        }
    }
}

/// Takes look-alikes for what they look like: the full-width forms, the
/// hyphens and dashes, the spaces, the Turkish letters i.
fn fold(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from((c as u32 - 0xFEE0) as u8),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{A0}' | '\u{2007}' | '\u{202F}' => ' ',
        '\u{130}' | '\u{131}' => 'I',
        c => c,
    }
}

/// Characters without width or effect, that a model may put between any two.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}')
}

/// Whether a wanted character exists whose code point satisfies `fits`.
fn some_wanted(want: impl Fn(char) -> bool, fits: impl Fn(u32) -> bool) -> bool {
    // Every character that means something in a token, before folding.
    (' '..='~')
        .chain('\u{FF01}'..='\u{FF5E}')
        .chain('\u{2010}'..='\u{2015}')
        .chain('\u{200B}'..='\u{200D}')
        .chain(['\u{2212}', '\u{A0}', '\u{2007}', '\u{202F}', '\u{130}', '\u{131}', '\u{2060}', '\u{FEFF}', '\u{AD}'])
        .any(|c| want(fold(c)) && fits(c as u32))
}

/// `\[` as in Markdown, `\u005b` as in JSON; each with more backslashes where
/// the text was escaped more than once.
fn backslash(rest: &str, want: impl Fn(char) -> bool) -> Unit {
    let bytes = rest.as_bytes();
    let slashes = bytes.iter().take(MAX_BACKSLASHES + 1).take_while(|&&b| b == b'\\').count();
    if slashes > MAX_BACKSLASHES {
        return Unit::Other;
    }
    match bytes.get(slashes) {
        None => Unit::Short,
        Some(b'u') => code_unit(rest, slashes + 1, want),
        Some(b) if b.is_ascii_punctuation() => Unit::Char(char::from(*b), slashes + 1),
        Some(_) => Unit::Other,
    }
}

/// The four hexadecimal digits after `\u`.
fn code_unit(rest: &str, at: usize, want: impl Fn(char) -> bool) -> Unit {
    let (value, digits) = number(rest, at, 16, 4);
    if digits == 4 {
        return char::from_u32(value).map_or(Unit::Other, |c| Unit::Char(c, at + 4));
    }
    let missing = 4 * (4 - digits);
    if rest.len() == at + digits as usize && some_wanted(want, |c| c <= 0xFFFF && c >> missing == value) {
        return Unit::Short;
    }
    Unit::Other
}

/// `&#91;`, `&#x5B;`, `&lbrack;`.
fn reference(rest: &str, want: impl Fn(char) -> bool) -> Unit {
    let mut at = 1;
    let mut amps = 0;
    while amps < MAX_AMPS && tail(rest, at).starts_with("amp;") {
        at += "amp;".len();
        amps += 1;
    }
    let body = tail(rest, at);
    if body.is_empty() {
        return Unit::Short;
    }
    if let Some(number) = body.strip_prefix('#') {
        return match number.as_bytes().first() {
            None => Unit::Short,
            Some(b'x' | b'X') => numeric(rest, at + 2, 16, want),
            Some(_) => numeric(rest, at + 1, 10, want),
        };
    }
    let mut short = amps < MAX_AMPS && "amp;".starts_with(body);
    for (name, c) in NAMES {
        if body.starts_with(name) {
            return Unit::Char(c, at + name.len());
        }
        short |= name.starts_with(body) && want(fold(c));
    }
    if short { Unit::Short } else { Unit::Other }
}

/// The digits and the semicolon of a numeric character reference.
fn numeric(rest: &str, at: usize, radix: u32, want: impl Fn(char) -> bool) -> Unit {
    let (value, digits) = number(rest, at, radix, MAX_DIGITS);
    let end = at + digits as usize;
    match rest.as_bytes().get(end) {
        Some(b';') if digits > 0 => char::from_u32(value).map_or(Unit::Other, |c| Unit::Char(c, end + 1)),
        Some(_) => Unit::Other,
        None => {
            let missing = MAX_DIGITS - digits;
            let may_become = |c: u32| {
                value == 0 && radix.pow(missing) > c || (0..=missing).any(|n| c / radix.pow(n) == value && value > 0)
            };
            if some_wanted(want, may_become) { Unit::Short } else { Unit::Other }
        }
    }
}

/// `%5B`, of ASCII characters alone.
fn percent(rest: &str, want: impl Fn(char) -> bool) -> Unit {
    let mut at = 1;
    let mut percents = 0;
    while percents < MAX_PERCENTS && tail(rest, at).starts_with("25") {
        at += 2;
        percents += 1;
    }
    let (value, digits) = number(rest, at, 16, 2);
    if digits == 2 {
        return if value < 0x80 { Unit::Char(char::from(value as u8), at + 2) } else { Unit::Other };
    }
    if rest.len() > at + digits as usize {
        return Unit::Other;
    }
    let missing = 4 * (2 - digits);
    let again = percents < MAX_PERCENTS && (digits == 0 || value == 2);
    if again || some_wanted(want, |c| c < 0x80 && c >> missing == value) { Unit::Short } else { Unit::Other }
}

/// The number that starts at `at`, of at most `max` digits, and how many it
/// has.
fn number(rest: &str, at: usize, radix: u32, max: u32) -> (u32, u32) {
    let mut value = 0;
    let mut digits = 0;
    for digit in tail(rest, at).bytes().take(max as usize).map_while(|b| char::from(b).to_digit(radix)) {
        value = value * radix + digit;
        digits += 1;
    }
    (value, digits)
}

fn tail(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: [&str; 19] = [
        "[",
        "［",
        "\\[",
        "\\\\\\[",
        "\\u005b",
        "\\u005B",
        "\\\\u005b",
        "\\uff3b",
        "&#91;",
        "&#091;",
        "&#x5b;",
        "&#X5B;",
        "&lbrack;",
        "&lsqb;",
        "&amp;#91;",
        "&amp;amp;lsqb;",
        "%5B",
        "%5b",
        "%25255b",
    ];

    #[test]
    fn every_form_is_read_whole_and_every_prefix_is_short() {
        let want = |c| c == '[';
        for form in OPEN {
            let text = format!("{form}x");
            assert_eq!(unit(&text, 0, want), Unit::Char('[', form.len()), "{form}");
            for (cut, _) in form.char_indices() {
                assert_eq!(unit(&form[..cut], 0, want), Unit::Short, "{form} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_cannot_become_the_wanted_character_is_other() {
        let want = |c| c == '[';
        for text in [
            "]",
            "x",
            "\\n",
            "\\]",
            "\\u1",
            "\\u004",
            "\\u005d",
            "\\u00g",
            "&r",
            "&#8",
            "&#92",
            "&#91x",
            "&#x4",
            "&#;",
            "&#00000091;",
            "&lt;",
            "&nb",
            "%4",
            "%5d",
            "%C2",
            "%x",
            "\\\\\\\\\\\\\\\\\\",
            "&amp;amp;amp;a",
            "%252525",
        ] {
            assert_eq!(unit(text, 0, want), Unit::Other, "{text}");
        }
    }

    #[test]
    fn invisible_characters_are_passed_over() {
        let want = |c| c == '_';
        for text in ["\u{200B}_", "\u{200D}\u{FEFF}_", "&shy;\\_", "\\u200b&lowbar;", "&#8203;＿", "&#x2060;%5F"] {
            assert_eq!(visible_unit(text, 0, want), Unit::Char('_', text.len()), "{text}");
            assert_eq!(unit(text, 0, want), Unit::Other, "{text}");
            for (cut, _) in text.char_indices() {
                assert_eq!(visible_unit(&text[..cut], 0, want), Unit::Short, "{text} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_short_unit_can_always_become_the_wanted_character() {
        // Every prefix that is called short is a prefix of some form.
        let want = |c| c == '[';
        let alphabet = ["\\", "u", "0", "5", "b", "B", "&", "#", "x", "9", "1", "a", "m", "p", "l", "%", "2"];
        let forms = |prefix: &str| {
            let tails = [
                "", "[", "u005b", "005b", "05b", "5b", "b", "amp;#91;", "mp;#91;", "p;#91;", ";#91;", "#91;", "91;",
                "1;", ";", "x5b;", "5b;", "b;", "brack;", "55b", "rack;", "255b", "lsqb;", "sqb;",
            ];
            tails.iter().any(|tail| matches!(unit(&format!("{prefix}{tail}"), 0, want), Unit::Char(..)))
        };
        let mut prefixes = vec![String::new()];
        for _ in 0..5 {
            prefixes = prefixes.iter().flat_map(|p| alphabet.map(|a| format!("{p}{a}"))).collect();
            prefixes.retain(|p| unit(p, 0, want) == Unit::Short);
            for prefix in &prefixes {
                assert!(forms(prefix), "{prefix}");
            }
        }
    }
}
