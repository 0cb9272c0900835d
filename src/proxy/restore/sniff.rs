//! What a reply is that does not say so: told by how it starts.

use super::Shape;
use super::escape::Escape;

/// How the lines of an event stream start.
const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

/// What starts with more blanks is a text, so that little is held and looked at again.
const MOST_BLANKS: usize = 1024;

/// What a body is that starts so; none where more of it has to come.
pub(super) fn shape(whole: &[u8]) -> Option<Shape> {
    let start = whole.strip_prefix("\u{feff}".as_bytes()).unwrap_or(whole).trim_ascii_start();
    if whole.len() - start.len() > MOST_BLANKS {
        return Some(Shape::Text(Escape::None));
    }
    match start.first()? {
        b'{' | b'[' => return Some(Shape::Document),
        0xEF if start.len() < 3 => return None,
        _ => {}
    }
    if FIELDS.iter().any(|field| start.starts_with(field)) {
        return Some(Shape::EventStream);
    }
    let may_be = FIELDS.iter().any(|field| field.starts_with(start));
    (!may_be).then_some(Shape::Text(Escape::None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_says_what_it_is() {
        for (start, want) in [
            ("", None),
            (" \r\n", None),
            ("dat", None),
            ("\u{feff}", None),
            ("data:", Some(Shape::EventStream)),
            ("\u{feff}: ping", Some(Shape::EventStream)),
            ("\n\nevent: a", Some(Shape::EventStream)),
            ("[1", Some(Shape::Document)),
            (" {", Some(Shape::Document)),
            ("date", Some(Shape::Text(Escape::None))),
            ("Hello", Some(Shape::Text(Escape::None))),
        ] {
            assert_eq!(shape(start.as_bytes()), want, "{start:?}");
        }
        assert_eq!(shape(b"\xef\xbb"), None);
        assert_eq!(shape(&[b' '; MOST_BLANKS]), None);
        assert_eq!(shape(&[b' '; MOST_BLANKS + 1]), Some(Shape::Text(Escape::None)));
    }
}
