//! Multipart bodies (RFC 2046, 5.1): where the parts and their header fields
//! stand. Reads strictly: whatever two readers could cut differently is refused.

use memchr::memmem::{self, Finder};
use std::ops::Range;

/// The most bytes of header that a part may have.
const MOST_HEADER_BYTES: usize = 16 * 1024;

/// The most parts of a body.
const MOST_PARTS: usize = 10_000;

/// The places of a body's parts. What is in none of the ranges is delimiters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    /// What stands before the first part; readers pass it over.
    pub preamble: Range<usize>,
    /// The parts in their order.
    pub parts: Vec<Part>,
    /// What stands behind the last part; readers pass it over.
    pub epilogue: Range<usize>,
}

/// One part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its header fields in their order.
    pub fields: Vec<Field>,
    /// What it holds.
    pub content: Range<usize>,
}

/// One header field of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name as it is written.
    pub name: Range<usize>,
    /// The value without blanks around it.
    pub value: Range<usize>,
}

/// The body is not made as its boundary says. Nothing of the body is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// 1 to 70 characters of a few kinds (RFC 2046, 5.1.1).
    #[error("its boundary is none")]
    Boundary,
    /// No line of the body is a delimiter, or the last one does not end it.
    #[error("it has no end")]
    NoEnd,
    /// A delimiter is followed by something else than a line end.
    #[error("a line begins with the boundary and is no delimiter")]
    Delimiter,
    /// A line of a part's header is no field, is folded, or has no end.
    #[error("the header of a part is malformed")]
    Header,
    /// A part's header is longer than 16 KiB, or there are more than 10,000 parts.
    #[error("it has too many parts, or a part with too long a header")]
    TooMuch,
}

/// Finds the parts of `body`, which the `boundary` of its type separates.
pub fn split(body: &[u8], boundary: &str) -> Result<Multipart, Malformed> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    if boundary.is_empty() || boundary.len() > 70 || boundary.ends_with(' ') || !boundary.bytes().all(allowed) {
        return Err(Malformed::Boundary);
    }
    let delimiter = format!("\r\n--{boundary}");
    let finder = Finder::new(&delimiter);
    let find = |from: usize| {
        let rest = body.get(from..).unwrap_or_default();
        finder.find(rest).map(|at| (from + at, from + at + delimiter.len())).ok_or(Malformed::NoEnd)
    };
    let at_start = delimiter.trim_start();
    let (end_of_preamble, mut at) = if body.starts_with(at_start.as_bytes()) { (0, at_start.len()) } else { find(0)? };
    let mut parts = Vec::new();
    loop {
        let (closes, next) = end_of_delimiter(body, at)?;
        if closes {
            return Ok(Multipart { preamble: 0..end_of_preamble, parts, epilogue: next..body.len() });
        }
        if parts.len() == MOST_PARTS {
            return Err(Malformed::TooMuch);
        }
        let (fields, start) = header(body, next)?;
        // The line end before the delimiter is part of it; where the part holds
        // nothing it may be the one that ends its header.
        let (end, after) = find(start - 2)?;
        parts.push(Part { fields, content: start..end.max(start) });
        at = after;
    }
}

/// Whether the delimiter whose boundary ends at `at` is the last one, and where
/// its line ends.
fn end_of_delimiter(body: &[u8], at: usize) -> Result<(bool, usize), Malformed> {
    let rest = body.get(at..).unwrap_or_default();
    let closes = rest.starts_with(b"--");
    let at = if closes { at + 2 } else { at };
    let rest = body.get(at..).unwrap_or_default();
    let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    match rest.get(blanks..).unwrap_or_default() {
        // What follows the last one, line end and all, is the epilogue.
        [] | [b'\r', b'\n', ..] if closes => Ok((true, at + blanks)),
        [] => Err(Malformed::NoEnd),
        [b'\r', b'\n', ..] => Ok((false, at + blanks + 2)),
        _ => Err(Malformed::Delimiter),
    }
}

/// The fields of the header that begins at `at`, and where the content begins.
fn header(body: &[u8], at: usize) -> Result<(Vec<Field>, usize), Malformed> {
    let mut fields = Vec::new();
    let mut start = at;
    loop {
        let rest = body.get(start..).unwrap_or_default();
        let end = memmem::find(rest, b"\r\n").ok_or(Malformed::NoEnd)?;
        if start + end - at > MOST_HEADER_BYTES {
            return Err(Malformed::TooMuch);
        }
        let line = rest.get(..end).unwrap_or_default();
        if line.is_empty() {
            return Ok((fields, start + 2));
        }
        fields.push(field(line, start).ok_or(Malformed::Header)?);
        start += end + 2;
    }
}

/// The field that a line is, which begins at `start` of the body.
fn field(line: &[u8], start: usize) -> Option<Field> {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let is_fit = !name.is_empty() && name.iter().all(is_token) && memchr::memchr3(b'\r', b'\n', 0, value).is_none();
    let is_blank = |b: &&u8| matches!(**b, b' ' | b'\t');
    let before = value.iter().take_while(is_blank).count();
    let behind = value.iter().rev().take_while(is_blank).count().min(value.len() - before);
    let from = start + colon + 1 + before;
    let to = start + line.len() - behind;
    is_fit.then_some(Field { name: start..start + colon, value: from..to })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::properties::multipart_is_sound;
    use proptest::prelude::*;

    /// The fields of a part, names and values, and what it holds.
    type Cut = (Vec<(String, String)>, String);

    fn cut(body: &str, boundary: &str) -> Result<Vec<Cut>, Malformed> {
        let text = |range: &Range<usize>| body[range.clone()].to_owned();
        let parts = split(body.as_bytes(), boundary)?.parts;
        let fields = |part: &Part| part.fields.iter().map(|f| (text(&f.name), text(&f.value))).collect();
        Ok(parts.iter().map(|part| (fields(part), text(&part.content))).collect())
    }

    #[test]
    fn parts_stand_between_delimiters() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let body = "hello\r\n--x\r\nContent-Disposition:  form-data; name=a \r\nX:\r\n\r\none\r\n--x \t\r\n\r\n\r\n\r\n--x\r\nA: b\r\n\r\n--x--  \r\nbye";
        let want = vec![
            (vec![field("Content-Disposition", "form-data; name=a"), field("X", "")], "one".to_owned()),
            (vec![], "\r\n".to_owned()),
            (vec![field("A", "b")], String::new()),
        ];
        assert_eq!(cut(body, "x").unwrap(), want);
        let found = split(body.as_bytes(), "x").unwrap();
        assert_eq!((&body[found.preamble], &body[found.epilogue]), ("hello", "\r\nbye"));
        assert_eq!(cut("--x--", "x"), Ok(vec![]));
        assert_eq!(cut("--x\r\n\r\n\n--x\r\r\n--x--\r\n", "x").unwrap(), [(vec![], "\n--x\r".to_owned())]);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (body, boundary, why) in [
            ("", "x", Malformed::NoEnd),
            ("text", "x", Malformed::NoEnd),
            ("--x\n\n1\n--x--\n", "x", Malformed::Delimiter),
            ("--x\r\n\r\n1\r\n", "x", Malformed::NoEnd),
            ("--x\r\n\r\n1\r\n--x\r\n", "x", Malformed::NoEnd),
            ("--x\r\n\r\n1\r\n--x", "x", Malformed::NoEnd),
            ("--x\r\n\r\n1\r\n--xy\r\n\r\n2\r\n--x--", "x", Malformed::Delimiter),
            ("--x\r\n\r\n1\r\n--x-\r\n--x--", "x", Malformed::Delimiter),
            ("--x\r\nno field\r\n\r\n1\r\n--x--", "x", Malformed::Header),
            ("--x\r\nA: b\r\n c\r\n\r\n1\r\n--x--", "x", Malformed::Header),
            ("--x\r\nA: b\nC: d\r\n\r\n1\r\n--x--", "x", Malformed::Header),
            ("--x\r\n: b\r\n\r\n1\r\n--x--", "x", Malformed::Header),
            ("--x\r\nA : b\r\n\r\n1\r\n--x--", "x", Malformed::Header),
            ("--x--", "", Malformed::Boundary),
            ("--x --", "x ", Malformed::Boundary),
            ("--\u{e9}--", "\u{e9}", Malformed::Boundary),
            ("----", "\r\n", Malformed::Boundary),
        ] {
            assert_eq!(cut(body, boundary), Err(why), "{body:?}");
        }
        let long = format!("--x\r\nA: {}\r\n\r\n1\r\n--x--", "b".repeat(MOST_HEADER_BYTES));
        assert_eq!(cut(&long, "x"), Err(Malformed::TooMuch));
        let many = "--x\r\n\r\n\r\n".repeat(MOST_PARTS + 1) + "--x--";
        assert_eq!(cut(&many, "x"), Err(Malformed::TooMuch));
        assert_eq!(cut(&("a".repeat(71)), &"a".repeat(71)), Err(Malformed::Boundary));
    }

    proptest! {
        #[test]
        fn any_body_is_cut_soundly(pieces in prop::collection::vec(prop::sample::select(vec![
            "--x", "\r\n", "\n", "--", "-", "A: b", ":", " ", "x", "\u{e9}",
        ]), 0..24)) {
            multipart_is_sound(pieces.concat().as_bytes(), "x");
        }

        #[test]
        fn what_is_put_together_is_found_again(contents in prop::collection::vec("[a-z\r\n -]{0,12}", 0..5)) {
            prop_assume!(contents.iter().all(|content| !content.contains("--")));
            let body = ["--b\r\nA: 1\r\n\r\n", &contents.join("\r\n--b\r\nA: 1\r\n\r\n"), "\r\n--b--\r\n"].concat();
            let found = cut(if contents.is_empty() { "--b--" } else { &body }, "b").unwrap();
            prop_assert_eq!(found.into_iter().map(|(_, content)| content).collect::<Vec<_>>(), contents);
        }
    }
}
