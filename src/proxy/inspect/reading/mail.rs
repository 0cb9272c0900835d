//! How texts of mail and of address books are written in lines: longer ones
//! are folded (RFC 5545, 3.1; RFC 6350, 3.2), and characters may be quoted
//! (RFC 2045, 6.7).

use super::marks;
use encoding_rs::WINDOWS_1252;
use memchr::{memchr_iter, memmem};

/// In which of these ways a text is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lines {
    is_folded: bool,
    is_quoted: bool,
}

/// What stands for something else.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The end of a line that goes on in the next.
    Fold,
    Quoted(String),
}

impl Lines {
    /// By what the text says of itself. Of a way of which there are no marks in
    /// it there is no need to know.
    pub(super) fn of(text: &str, marks: u8) -> Self {
        let bytes = text.as_bytes();
        let is_folded = marks & marks::FOLD != 0 && memmem::find(bytes, b"BEGIN:V").is_some();
        // Both parts of the word begin so in each of its spellings.
        let is_quoted = marks & marks::EQUALS != 0
            && memchr_iter(b'-', bytes).any(|at| {
                let word = at.checked_sub(6).and_then(|start| text.get(start..start + 16));
                word.is_some_and(|word| word.eq_ignore_ascii_case("quoted-printable"))
            });
        Self { is_folded, is_quoted }
    }

    pub(super) fn are_plain(self) -> bool {
        self == Self::default()
    }

    /// What is written at `at`, and where it ends.
    pub(super) fn at(self, text: &str, at: usize) -> Option<(usize, Written)> {
        let rest = text.get(at..)?.as_bytes();
        let line_end = |rest: &[u8]| match rest {
            [b'\r', b'\n', ..] => Some(2),
            [b'\n', ..] => Some(1),
            _ => None,
        };
        match rest.first()? {
            b'\r' | b'\n' if self.is_folded => {
                let length = line_end(rest)?;
                let is_fold = matches!(rest.get(length), Some(b' ' | b'\t'));
                is_fold.then_some((at + length + 1, Written::Fold))
            }
            b'=' if self.is_quoted => match line_end(rest.get(1..)?) {
                Some(length) => Some((at + 1 + length, Written::Fold)),
                None => quoted(rest).map(|(length, text)| (at + length, Written::Quoted(text))),
            },
            _ => None,
        }
    }
}

/// The characters of `=C3=BC` and what follows in the same way, and its length.
fn quoted(rest: &[u8]) -> Option<(usize, String)> {
    let byte = |unit: &[u8]| match unit {
        [b'=', high, low] => {
            let digit = |b: &u8| char::from(*b).to_digit(16);
            u8::try_from(digit(high)? << 4 | digit(low)?).ok()
        }
        _ => None,
    };
    let mut units = rest.chunks(3).map_while(byte);
    let first = units.next()?;
    // One that ASCII has stands for itself, and those behind it are not looked at.
    let others = units.take_while(|byte| !first.is_ascii() && !byte.is_ascii());
    let bytes: Vec<u8> = std::iter::once(first).chain(others).collect();
    let text = match String::from_utf8(bytes.clone()) {
        Ok(text) => text,
        Err(_) => WINDOWS_1252.decode_without_bom_handling(&bytes).0.into_owned(),
    };
    Some((bytes.len() * 3, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_and_quoted_characters_are_read() {
        let (folded, quoted) =
            (Lines { is_folded: true, ..Lines::default() }, Lines { is_quoted: true, ..Lines::default() });
        let is = |text: &str| Some(Written::Quoted(text.to_owned()));
        for (lines, text, length, want) in [
            (folded, "\r\n ana", 3, Some(Written::Fold)),
            (folded, "\n\tana", 2, Some(Written::Fold)),
            (folded, "\nana", 0, None),
            (folded, "\n", 0, None),
            (folded, "=40", 0, None),
            (quoted, "=\r\nana", 3, Some(Written::Fold)),
            (quoted, "=\nana", 2, Some(Written::Fold)),
            (quoted, "\n ana", 0, None),
            (quoted, "=40example", 3, is("@")),
            (quoted, "=C3=BCller", 6, is("ü")),
            (quoted, "=FCller", 3, is("ü")),
            (quoted, "=FC=40", 3, is("ü")),
            (quoted, "=x", 0, None),
            (quoted, "=é", 0, None),
            (quoted, "=", 0, None),
        ] {
            let found = lines.at(text, 0);
            assert_eq!(found, want.map(|want| (length, want)), "{text:?}");
        }
    }

    #[test]
    fn each_character_is_looked_at_once() {
        // Would not end if all that follows were decoded for each.
        for unit in ["=41", "=C3=BC", "=C3"] {
            let text = unit.repeat(1 << 20);
            let lines = Lines { is_quoted: true, ..Lines::default() };
            let ends = std::iter::successors(Some(0), |at| lines.at(&text, *at).map(|(end, _)| end));
            assert_eq!(ends.last(), Some(text.len()));
        }
    }

    #[test]
    fn a_text_says_how_it_is_written() {
        let of = |text: &str| Lines::of(text, marks::of(text));
        for plain in ["well-known, x-y, quoted-", "a =\n b", "BEGIN:VCARD\nN:Ana", "Quoted-Printable"] {
            assert!(of(plain).are_plain(), "{plain}");
        }
        assert_eq!(of("BEGIN:VCARD\r\nN:Ana\r\n Novak"), Lines { is_folded: true, is_quoted: false });
        assert_eq!(of("Encoding: Quoted-Printable\n=40"), Lines { is_folded: false, is_quoted: true });
    }
}
