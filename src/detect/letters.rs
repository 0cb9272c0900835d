//! Letters: what is one, its case, and its plain form.

/// The same as `c.is_alphabetic()`, without a search in tables for most letters
/// of the alphabets that the word lists hold, and for the signs between words.
#[inline]
pub(crate) fn is_letter(c: char) -> bool {
    match c {
        ..'\u{80}' => c.is_ascii_alphabetic(),
        '\u{80}'..='\u{bf}' => matches!(c, 'ª' | 'µ' | 'º'),
        '\u{c0}'..='\u{24f}' => c != '×' && c != '÷',
        // Punctuation, currencies, symbols and emoji.
        '\u{2000}'..='\u{206f}' | '\u{20a0}'..='\u{20cf}' | '\u{1f300}'..='\u{1faff}' => false,
        // Greek, Cyrillic, Armenian, Hebrew, Arabic, Georgian.
        '\u{391}'..='\u{3a1}'
        | '\u{3a3}'..='\u{3ce}'
        | '\u{400}'..='\u{481}'
        | '\u{48a}'..='\u{52f}'
        | '\u{531}'..='\u{556}'
        | '\u{561}'..='\u{587}'
        | '\u{5d0}'..='\u{5ea}'
        | '\u{620}'..='\u{64a}'
        | '\u{10d0}'..='\u{10fa}' => true,
        _ => c.is_alphabetic(),
    }
}

/// Whether what stands beside this character is part of the same word or code.
/// Not beside the scripts where a number stands in the midst of letters: Thai,
/// Lao, Chinese, Japanese and Korean.
#[inline]
pub(crate) fn joins(c: char) -> bool {
    match c {
        ..'\u{80}' => c.is_ascii_alphanumeric(),
        '\u{e00}'..='\u{eff}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{323af}' => false,
        _ => c.is_alphanumeric(),
    }
}

/// The same of a letter alone.
#[inline]
pub(crate) fn joins_as_letter(c: char) -> bool {
    c.is_alphabetic() && joins(c)
}

/// The same as `c.is_uppercase()`, without a search in tables for most letters
/// of Latin and Cyrillic.
#[inline]
pub(crate) fn is_capital(c: char) -> bool {
    match c {
        '\u{c0}'..='\u{de}' => c != '×',
        '\u{df}'..='\u{ff}' | '\u{3ac}'..='\u{3ce}' | '\u{430}'..='\u{45f}' | '\u{561}'..='\u{64a}' => false,
        // Capitals and small letters take turns.
        '\u{100}'..='\u{137}' | '\u{14a}'..='\u{177}' | '\u{218}'..='\u{21b}' => c as u32 & 1 == 0,
        '\u{139}'..='\u{148}' | '\u{179}'..='\u{17e}' => c as u32 & 1 == 1,
        '\u{400}'..='\u{42f}' => true,
        _ => c.is_uppercase(),
    }
}

/// A combining mark that decomposed Latin letters use.
pub(crate) fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Base letters of U+00C0..U+0180 and U+1E00..U+1F00; a dot stands for none.
const LATIN_1_AND_A: &[u8; 192] = b"aaaaaaaceeeeiiiidnooooo.ouuuuytsaaaaaaaceeeeiiiidnooooo.ouuuuytyaaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
const LATIN_ADDITIONAL: &[u8; 256] = b"aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwyas....aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy......";

/// The ASCII letter under an accented one, in the same case.
pub(crate) fn base_letter(c: char) -> Option<char> {
    let code = c as usize;
    let base = match c {
        'Ș' | 'ș' => b's',
        'Ț' | 'ț' => b't',
        'Ǹ' | 'ǹ' => b'n',
        _ if (0xC0..0x180).contains(&code) => *LATIN_1_AND_A.get(code - 0xC0)?,
        _ if (0x1E00..0x1F00).contains(&code) => *LATIN_ADDITIONAL.get(code - 0x1E00)?,
        _ => return None,
    };
    let letter = if c.is_uppercase() { base.to_ascii_uppercase() } else { base };
    letter.is_ascii_alphabetic().then(|| char::from(letter))
}

/// The letter as it is compared: without case and accent, as bytes.
#[inline]
pub(crate) fn fold(c: char, mut push: impl FnMut(u8)) {
    let code = c as usize;
    let base = match c {
        'ß' | 'ẞ' => {
            push(b's');
            Some(b's')
        }
        'æ' | 'Æ' => {
            push(b'a');
            Some(b'e')
        }
        'œ' | 'Œ' => {
            push(b'o');
            Some(b'e')
        }
        'Ș' | 'ș' => Some(b's'),
        'Ț' | 'ț' => Some(b't'),
        'Ə' | 'ə' => Some(b'e'),
        'Ơ' | 'ơ' => Some(b'o'),
        'Ư' | 'ư' => Some(b'u'),
        _ if (0xC0..0x180).contains(&code) => LATIN_1_AND_A.get(code - 0xC0).copied(),
        _ if (0x1E00..0x1F00).contains(&code) => LATIN_ADDITIONAL.get(code - 0x1E00).copied(),
        _ => None,
    };
    match base {
        Some(letter) if letter != b'.' => push(letter),
        _ => {
            for lower in c.to_lowercase() {
                for b in (lower as u32).to_le_bytes() {
                    push(b);
                }
            }
        }
    }
}

/// The letters up to U+017F that fold to one of ASCII, in the same case; 0 for all else.
pub(crate) static PLAIN: [u8; 0x180] = {
    let mut plain = [0; 0x180];
    let mut code = 0;
    while code < plain.len() {
        let letter = match code {
            0x41..=0x5a | 0x61..=0x7a => code as u8 | 0x20,
            // What folds to two: ß, æ and œ.
            0xc6 | 0xdf | 0xe6 | 0x152 | 0x153 => b'.',
            0xc0.. => LATIN_1_AND_A[code - 0xc0],
            _ => b'.',
        };
        if letter != b'.' {
            let capital = match code {
                0x41..=0x5a | 0xc0..=0xde | 0x178 => true,
                0x100..=0x137 | 0x14a..=0x177 => code & 1 == 0,
                0x139..=0x148 | 0x179..=0x17e => code & 1 == 1,
                _ => false,
            };
            plain[code] = if capital { letter & !0x20 } else { letter };
        }
        code += 1;
    }
    plain
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_letters_are_what_they_fold_to() {
        for code in 0..0x180_u32 {
            let c = char::from_u32(code).unwrap();
            let mut folded = Vec::new();
            fold(c, |byte| folded.push(byte));
            let plain = PLAIN[code as usize];
            if plain == 0 {
                assert!(!c.is_ascii_alphabetic(), "{c}");
                continue;
            }
            assert!(is_letter(c), "{c}");
            assert_eq!(plain.is_ascii_uppercase(), is_capital(c), "{c}");
            // Behind a letter of ASCII stand zeros, which a hash passes over.
            assert_eq!(folded.iter().copied().filter(|byte| *byte != 0).collect::<Vec<_>>(), [plain | 0x20], "{c}");
        }
    }

    #[test]
    fn letters_are_those_of_unicode() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            assert_eq!((is_letter(c), is_capital(c)), (c.is_alphabetic(), c.is_uppercase()), "{c:?}");
        }
    }
}
