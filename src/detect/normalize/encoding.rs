//! Characters written by their number or name: HTML entities (HTML 5, 13.5),
//! percent-encoding (RFC 3986, 2.1) and the escapes of JSON (RFC 8259, 7).

use std::borrow::Cow;

/// The longest entity that is read, in bytes behind its `&`.
const MAX_ENTITY: usize = 10;
/// How often an `&` or a `%` may be encoded once more.
const MAX_NESTED: usize = 3;

/// The character that the entity at `i` stands for, and the entity's length.
pub(super) fn entity(text: &str, i: usize) -> Option<(char, usize)> {
    let mut name = i + 1;
    for _ in 0..MAX_NESTED {
        let rest = text.as_bytes().get(name..)?;
        let len = rest.iter().take(MAX_ENTITY).position(|b| *b == b';')?;
        let c = named(text.get(name..name + len)?)?;
        name += len + 1;
        // What was encoded twice: `&amp;#64;`.
        if c != '&' || entity_at(text, name).is_none() {
            return Some((c, name - i));
        }
    }
    Some(('&', name - i))
}

/// The text of markup with its entities decoded, once.
pub fn markup_text(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'&', text.as_bytes()).is_none() {
        return text.into();
    }
    let mut decoded = String::with_capacity(text.len());
    let mut parts = text.split('&');
    decoded.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let ended = part.split_once(';').filter(|(name, _)| name.len() <= MAX_ENTITY);
        let entity = ended.and_then(|(name, rest)| Some((named(name)?, rest)));
        let (c, rest) = entity.unwrap_or(('&', part));
        decoded.push(c);
        decoded.push_str(rest);
    }
    decoded.into()
}

/// Whether the name of an entity and its `;` stand at `name`.
fn entity_at(text: &str, name: usize) -> Option<char> {
    let rest = text.as_bytes().get(name..)?;
    let len = rest.iter().take(MAX_ENTITY).position(|b| *b == b';')?;
    named(text.get(name..name + len)?)
}

fn named(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok()?,
            None if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok()?,
            _ => return None,
        };
        return char::from_u32(code).filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'));
    }
    let known = |names: &[(&str, char)]| names.iter().find(|(n, _)| *n == name).map(|(_, c)| *c);
    known(ASCII).or_else(|| known(LATIN)).or_else(|| {
        let at = LATIN_1.split(' ').position(|n| n == name)?;
        char::from_u32(0xa0 + at as u32)
    })
}

const ASCII: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("commat", '@'),
    ("period", '.'),
    ("comma", ','),
    ("colon", ':'),
    ("semi", ';'),
    ("sol", '/'),
    ("bsol", '\\'),
    ("num", '#'),
    ("plus", '+'),
    ("equals", '='),
    ("excl", '!'),
    ("quest", '?'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("lsqb", '['),
    ("rsqb", ']'),
    ("lowbar", '_'),
    ("hyphen", '-'),
    ("dash", '-'),
    ("minus", '-'),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("ensp", ' '),
    ("emsp", ' '),
    ("thinsp", ' '),
    ("zwj", '\u{200d}'),
    ("zwnj", '\u{200c}'),
    ("lrm", '\u{200e}'),
    ("rlm", '\u{200f}'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
];

/// Names of U+00A0 to U+00FF, in order.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// Letters of names in central and eastern Europe.
const LATIN: &[(&str, char)] = &[
    ("Abreve", 'Ă'),
    ("abreve", 'ă'),
    ("Aogon", 'Ą'),
    ("aogon", 'ą'),
    ("Cacute", 'Ć'),
    ("cacute", 'ć'),
    ("Ccaron", 'Č'),
    ("ccaron", 'č'),
    ("Dcaron", 'Ď'),
    ("dcaron", 'ď'),
    ("Ecaron", 'Ě'),
    ("ecaron", 'ě'),
    ("Eogon", 'Ę'),
    ("eogon", 'ę'),
    ("Gbreve", 'Ğ'),
    ("gbreve", 'ğ'),
    ("Idot", 'İ'),
    ("imath", 'ı'),
    ("Lstrok", 'Ł'),
    ("lstrok", 'ł'),
    ("Nacute", 'Ń'),
    ("nacute", 'ń'),
    ("Ncaron", 'Ň'),
    ("ncaron", 'ň'),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Odblac", 'Ő'),
    ("odblac", 'ő'),
    ("Rcaron", 'Ř'),
    ("rcaron", 'ř'),
    ("Sacute", 'Ś'),
    ("sacute", 'ś'),
    ("Scaron", 'Š'),
    ("scaron", 'š'),
    ("Scedil", 'Ş'),
    ("scedil", 'ş'),
    ("Tcaron", 'Ť'),
    ("tcaron", 'ť'),
    ("Tcedil", 'Ţ'),
    ("tcedil", 'ţ'),
    ("Udblac", 'Ű'),
    ("udblac", 'ű'),
    ("Uring", 'Ů'),
    ("uring", 'ů'),
    ("Yuml", 'Ÿ'),
    ("Zacute", 'Ź'),
    ("zacute", 'ź'),
    ("Zcaron", 'Ž'),
    ("zcaron", 'ž'),
    ("Zdot", 'Ż'),
    ("zdot", 'ż'),
];

/// The character that the escape at `i` stands for, and the length of it.
///
/// A per cent sign in front of two hex digits is not yet an escape: "50%20",
/// `%02d`. It is one beside another escape, and inside a longer string without
/// spaces where it stands for what must be encoded.
pub(super) fn percent(text: &str, i: usize) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    let (first, mut next) = escape(bytes, i)?;
    let c = match first {
        0xC2..=0xF4 => {
            let mut utf8 = [first, 0, 0, 0];
            let count = first.leading_ones() as usize;
            for byte in utf8.iter_mut().take(count).skip(1) {
                (*byte, next) = escape(bytes, next)?;
            }
            std::str::from_utf8(utf8.get(..count)?).ok()?.chars().next()?
        }
        b' '..=b'~' | b'\t' | b'\n' | b'\r' => char::from(first),
        _ => return None,
    };
    let in_address = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b"-._~/:?#=&+@,;%".contains(b));
    let before = i.checked_sub(1).and_then(|at| bytes.get(at));
    let inside = || in_address(before) && in_address(bytes.get(next));
    let beside_escape = || {
        escape(bytes, next).is_some() || i.checked_sub(3).is_some_and(|at| escape(bytes, at).is_some_and(|e| e.1 == i))
    };
    // A character of several bytes is several escapes by itself.
    (first >= 0xC2 || beside_escape() || (!c.is_ascii_alphanumeric() && inside())).then(|| (c, next - i))
}

/// The byte that the escape at `i` stands for, and where the escape ends. The
/// per cent sign may be encoded itself: `%2540`.
fn escape(bytes: &[u8], i: usize) -> Option<(u8, usize)> {
    let mut digits = i + 1;
    if bytes.get(i) != Some(&b'%') {
        return None;
    }
    for _ in 1..MAX_NESTED {
        match bytes.get(digits..digits + 4) {
            Some(nested) if nested.starts_with(b"25") && nested.iter().all(u8::is_ascii_hexdigit) => digits += 2,
            _ => break,
        }
    }
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    Some(((hex(digits)? << 4 | hex(digits + 1)?) as u8, digits + 2))
}

/// Strings in strings of JSON have so many backslashes at most in front of one
/// character: three levels.
const MAX_BACKSLASHES: usize = 7;

/// Whether a text holds JSON, or a part of some, that is written with escapes.
/// Else a backslash is one: `C:\\new`.
pub(super) fn holds_json(text: &str) -> bool {
    memchr::memchr_iter(b'\\', text.as_bytes()).any(|i| shows_json(text, i))
}

/// Whether the backslash at `i` begins an escape that hardly anything but JSON has.
pub(super) fn shows_json(text: &str, i: usize) -> bool {
    // Not an escaped quote: addresses of mail may have one too.
    unit(text.as_bytes(), i + 1).is_some_and(|unit| unit >= 0x20)
}

/// The character that the escape at `i` stands for in JSON, and the length of
/// it. The backslash may be escaped itself, as in strings in strings.
pub(super) fn json_escape(text: &str, i: usize) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    let backslashes = |at: usize| {
        let rest = bytes.get(at..).unwrap_or_default();
        rest.iter().take(MAX_BACKSLASHES).take_while(|b| **b == b'\\').count()
    };
    let mut end = i + backslashes(i);
    let c = match bytes.get(end)? {
        b'"' => '"',
        b'/' => '/',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => {
            let first = unit(bytes, end)?;
            end += 4;
            let units = if (0xD800..0xDC00).contains(&first) {
                let low = end + 1 + backslashes(end + 1);
                end = low + 4;
                [first, unit(bytes, low)?]
            } else {
                [first, 0]
            };
            char::decode_utf16(units).next()?.ok().filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))?
        }
    };
    Some((c, end + 1 - i))
}

/// The number in `u` and four hex digits that stand at `i`.
fn unit(bytes: &[u8], i: usize) -> Option<u16> {
    let digits = bytes.get(i..)?.strip_prefix(b"u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded_once() {
        for (text, want) in [
            ("a &lt; b &amp;&amp; c", "a < b && c"),
            ("ana&#64;example&#x2E;com", "ana@example.com"),
            ("Zo&euml; M&uuml;ller", "Zoë Müller"),
            ("&amp;#64;", "&#64;"),
            ("R&D; &; &unknown; &#xffffffff; &", "R&D; &; &unknown; &#xffffffff; &"),
            ("plain", "plain"),
        ] {
            assert_eq!(markup_text(text), want);
        }
    }
}
