//! Characters that are read as others.

use crate::detect::letters;

/// What a character is in the plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// Itself.
    Same,
    /// Nothing.
    Gone,
    /// Another character.
    As(char),
}

/// The plain spelling of a character that stands alone.
pub(super) fn plain(c: char) -> Plain {
    match c {
        '\0'..='\u{9f}' => Plain::Same,
        // Of no width: soft hyphen, joiners, marks of direction, selectors of a glyph.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{20e3}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}'
        | '\u{e0100}'..='\u{e01ef}' => Plain::Gone,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Plain::As(' '),
        '\u{2028}' | '\u{2029}' => Plain::As('\n'),
        '\u{2010}' | '\u{2011}' | '\u{2212}' | '\u{fe63}' => Plain::As('-'),
        '\u{2024}' | '\u{fe52}' => Plain::As('.'),
        '\u{fe6b}' => Plain::As('@'),
        '\u{fe62}' => Plain::As('+'),
        // Full width.
        '\u{ff01}'..='\u{ff5e}' => from_code(c as u32 - 0xff01 + 0x21),
        // Letters for formulas: alphabets one behind the other.
        '\u{1d400}'..='\u{1d6a3}' => {
            let letter = (c as u32 - 0x1d400) % 52;
            from_code(if letter < 26 { 0x41 + letter } else { 0x61 + letter - 26 })
        }
        '\u{1d7ce}'..='\u{1d7ff}' => from_code(0x30 + (c as u32 - 0x1d7ce) % 10),
        c => digit(c).map_or(Plain::Same, |d| from_code(0x30 + d)),
    }
}

fn from_code(code: u32) -> Plain {
    char::from_u32(code).map_or(Plain::Same, Plain::As)
}

/// The zeros of the scripts that write decimal numbers (Unicode 16, Nd), but
/// for full width and formulas.
const ZEROS: &[u32] = &[
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0x104A0, 0x10D30, 0x10D40, 0x11066, 0x110F0, 0x11136,
    0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x116D0, 0x116DA, 0x11730, 0x118E0, 0x11950, 0x11BF0,
    0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16130, 0x16A60, 0x16AC0, 0x16B50, 0x16D70, 0x1CCF0, 0x1E140, 0x1E2F0,
    0x1E4F0, 0x1E5F1, 0x1E950, 0x1FBF0,
];

fn digit(c: char) -> Option<u32> {
    let code = c as u32;
    let zero = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1).and_then(|i| ZEROS.get(i))?;
    Some(code - zero).filter(|digit| *digit < 10)
}

/// The Latin letter that a Greek or Cyrillic one looks like.
pub(super) fn lookalike(c: char) -> Option<char> {
    const PAIRS: (&str, &str) = (
        "аеорсухѕіјԁһԛԝӏАВЕКМНОРСТУХЅІЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαινρυϲϳ",
        "aeopcyxsijdhqwlABEKMHOPCTYXSIJABEZHIKMNOPTYXoaivpucj",
    );
    let at = PAIRS.0.chars().position(|p| p == c)?;
    PAIRS.1.chars().nth(at)
}

/// A Latin letter and the accent behind it as one character (Unicode 15.1, 3.11),
/// for the letters of the languages that the rules know.
pub(super) fn composed(letter: char, accent: char) -> Option<char> {
    let with_accent = match accent {
        '\u{300}' => "ÀÈÌÒÙàèìòùǸǹẀẁ",
        '\u{301}' => "ÁÉÍÓÚÝáéíóúýĆćĹĺŃńŔŕŚśŹź",
        '\u{302}' => "ÂÊÎÔÛâêîôûĈĉĜĝĤĥĴĵŜŝŴŵŶŷ",
        '\u{303}' => "ÃÑÕãñõĨĩŨũẼẽ",
        '\u{304}' => "ĀāĒēĪīŌōŪū",
        '\u{306}' => "ĂăĔĕĞğĬĭŎŏŬŭ",
        '\u{307}' => "ĊċĖėĠġİŻż",
        '\u{308}' => "ÄËÏÖÜäëïöüÿŸ",
        '\u{30a}' => "ÅåŮů",
        '\u{30b}' => "ŐőŰű",
        '\u{30c}' => "ČčĎďĚěŇňŘřŠšŤťŽž",
        '\u{323}' => "ẠạẸẹỊịỌọỤụỴỵ",
        '\u{326}' => "ȘșȚț",
        '\u{327}' => "ÇçŞşŢţĢģĶķĻļŅņ",
        '\u{328}' => "ĄąĘęĮįŲų",
        _ => return None,
    };
    with_accent.chars().find(|c| letters::base_letter(*c) == Some(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_unicode() {
        let nd = regex::Regex::new(r"^\p{Nd}$").unwrap();
        for c in ('\u{80}'..=char::MAX).filter(|c| nd.is_match(c.encode_utf8(&mut [0; 4]))) {
            assert!(matches!(plain(c), Plain::As('0'..='9')), "{c} U+{:X}", c as u32);
        }
        for zero in ZEROS {
            let zero = char::from_u32(*zero).unwrap();
            assert!(!zero.is_alphabetic(), "U+{:X}", zero as u32);
        }
    }

    #[test]
    fn lookalikes_are_pairs() {
        assert_eq!(lookalike('а'), Some('a'));
        assert_eq!(lookalike('ϳ'), Some('j'));
        assert_eq!(lookalike('ж'), None);
        assert_eq!(lookalike('a'), None);
    }

    #[test]
    fn accents_join_their_letters() {
        for (letter, accent, whole) in
            [('e', '\u{301}', 'é'), ('U', '\u{308}', 'Ü'), ('s', '\u{326}', 'ș'), ('I', '\u{307}', 'İ')]
        {
            assert_eq!(composed(letter, accent), Some(whole));
        }
        assert_eq!(composed('q', '\u{301}'), None);
        assert_eq!(composed('1', '\u{301}'), None);
    }
}
