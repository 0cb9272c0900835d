//! Which language a name is of, by the lists and by its letters and endings.

/// Languages that have names here, in the order of the file.
pub(super) const LANGUAGES: [&str; 12] = ["en", "de", "fr", "es", "it", "nl", "ro", "pl", "pt", "sv", "cs", "tr"];
/// The place of the language that stands where none shows.
pub(super) const ENGLISH: u8 = 0;

/// Letters and endings that only few languages have.
const MARKS: &[(&str, &str)] = &[
    ("ł", "pl"),
    ("ż", "pl"),
    ("ś", "pl"),
    ("ń", "pl"),
    ("ź", "pl"),
    ("ski ", "pl"),
    ("ska ", "pl"),
    ("cki ", "pl"),
    ("cka ", "pl"),
    ("icz ", "pl"),
    ("czyk ", "pl"),
    ("iak ", "pl"),
    ("ř", "cs"),
    ("ě", "cs"),
    ("ů", "cs"),
    ("ová ", "cs"),
    ("ova ", "cs"),
    ("ý ", "cs"),
    ("ček ", "cs"),
    ("ğ", "tr"),
    ("ı", "tr"),
    ("ş", "tr"),
    ("oğlu ", "tr"),
    ("oglu ", "tr"),
    ("maz ", "tr"),
    ("ă", "ro"),
    ("ț", "ro"),
    ("ș", "ro"),
    ("escu ", "ro"),
    ("eanu ", "ro"),
    ("å", "sv"),
    ("sson ", "sv"),
    ("ström ", "sv"),
    ("strom ", "sv"),
    ("qvist ", "sv"),
    ("ß", "de"),
    ("mann ", "de"),
    ("meier ", "de"),
    ("müller ", "de"),
    ("schmidt ", "de"),
    ("bauer ", "de"),
    ("ã", "pt"),
    ("õ", "pt"),
    ("eira ", "pt"),
    ("ñ", "es"),
    ("ez ", "es"),
    (" van ", "nl"),
    (" de vries ", "nl"),
    ("stra ", "nl"),
    ("ê", "fr"),
    ("è", "fr"),
    ("eau ", "fr"),
    ("ini ", "it"),
    ("elli ", "it"),
    ("etti ", "it"),
    ("ucci ", "it"),
];

/// The language of a name, as its place among [`LANGUAGES`]. `known` are the
/// languages of its parts that the lists have, a bit for each place.
pub(super) fn language_of(known: impl Iterator<Item = u16>, value: &str) -> u8 {
    let mut scores = [0_u32; LANGUAGES.len()];
    for languages in known {
        let weight = 4 / languages.count_ones().max(1);
        for (at, score) in scores.iter_mut().enumerate() {
            *score += if languages >> at & 1 == 1 { weight } else { 0 };
        }
    }
    let padded = format!(" {} ", value.to_lowercase());
    for (mark, code) in MARKS {
        if padded.contains(mark)
            && let Some(at) = LANGUAGES.iter().position(|known| known == code)
            && let Some(score) = scores.get_mut(at)
        {
            *score += 5;
        }
    }
    let best = scores.iter().max().copied().filter(|best| *best > 0);
    let at = best.and_then(|best| scores.iter().position(|score| *score == best));
    at.and_then(|at| u8::try_from(at).ok()).unwrap_or(ENGLISH)
}

/// Without diacritics, as far as these names have any.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let plain = match c {
            'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'ă' | 'ą' => 'a',
            'é' | 'è' | 'ê' | 'ë' | 'ě' | 'ę' => 'e',
            'í' | 'ì' | 'î' | 'ï' | 'ı' => 'i',
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ő' | 'ø' => 'o',
            'ú' | 'ù' | 'û' | 'ü' | 'ů' | 'ű' => 'u',
            'ý' | 'ÿ' => 'y',
            'ç' | 'č' | 'ć' => 'c',
            'ď' | 'đ' => 'd',
            'ğ' => 'g',
            'ł' | 'ĺ' | 'ľ' => 'l',
            'ñ' | 'ń' | 'ň' => 'n',
            'ř' | 'ŕ' => 'r',
            'š' | 'ś' | 'ş' | 'ș' => 's',
            'ť' | 'ţ' | 'ț' => 't',
            'ž' | 'ź' | 'ż' => 'z',
            'Á' | 'À' | 'Â' | 'Ä' | 'Ã' | 'Å' | 'Ă' | 'Ą' => 'A',
            'É' | 'È' | 'Ê' | 'Ë' | 'Ě' | 'Ę' => 'E',
            'Í' | 'Ì' | 'Î' | 'Ï' | 'İ' => 'I',
            'Ó' | 'Ò' | 'Ô' | 'Ö' | 'Õ' | 'Ő' | 'Ø' => 'O',
            'Ú' | 'Ù' | 'Û' | 'Ü' | 'Ů' | 'Ű' => 'U',
            'Ý' => 'Y',
            'Ç' | 'Č' | 'Ć' => 'C',
            'Ď' | 'Đ' => 'D',
            'Ğ' => 'G',
            'Ł' | 'Ľ' => 'L',
            'Ñ' | 'Ń' | 'Ň' => 'N',
            'Ř' => 'R',
            'Š' | 'Ś' | 'Ş' | 'Ș' => 'S',
            'Ť' | 'Ţ' | 'Ț' => 'T',
            'Ž' | 'Ź' | 'Ż' => 'Z',
            // A mark that stands by itself goes.
            '\u{300}'..='\u{36f}' => continue,
            'ß' => {
                out.push('s');
                's'
            }
            c => c,
        };
        out.push(plain);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_endings_tell_a_language() {
        let language = |value: &str| LANGUAGES[usize::from(language_of([].into_iter(), value))];
        for (value, code) in [
            ("Łucja Żak", "pl"),
            ("Jiří Dvořák", "cs"),
            ("Yılmaz", "tr"),
            ("Ionescu", "ro"),
            ("Andersson", "sv"),
            ("Hoffmann", "de"),
            ("Tan Wei", "en"),
        ] {
            assert_eq!(language(value), code, "{value}");
        }
        // What the lists know outweighs nothing that shows.
        assert_eq!(LANGUAGES[usize::from(language_of([1 << 2].into_iter(), "Jan"))], "fr");
    }

    #[test]
    fn diacritics_go_and_nothing_else() {
        assert_eq!(ascii("Łucja Žďárská, Größe"), "Lucja Zdarska, Grosse");
        assert_eq!(ascii("e\u{301} 漢"), "e 漢");
    }
}
