//! The ids that a site gives its persons and conversations.

use sfv::{BareItemFromInput, KeyRef, Parser};
use std::convert::Infallible;

/// The longest id, in characters.
pub const MAX_ID: usize = 128;

/// The header holds no id. The text says what is wanted and never what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id must be a string, a token, or 1 to 128 of the characters A-Z a-z 0-9 . _ : @ / + -")]
pub struct BadHeader;

/// Reads `Privet-Subject` or `Privet-Conversation`: a Structured Fields string
/// or token (RFC 9651 sections 3.3.3 and 3.3.4) without parameters, or a bare
/// `[A-Za-z0-9._:@/+-]{1,128}`, taken as the string it spells. So
/// `"8a6e"`, with or without its quotes, is one and the same subject.
///
/// An id has 1 to 128 printable ASCII characters, not all of them spaces;
/// anything else is [`BadHeader`].
pub fn subject_id(header: &str) -> Result<String, BadHeader> {
    let header = header.trim_matches([' ', '\t']);
    if header.len() <= MAX_ID && !header.is_empty() && header.bytes().all(is_bare) {
        return Ok(header.to_owned());
    }
    // Quotes and escapes at most double the id.
    if header.len() > 2 * MAX_ID + 2 {
        return Err(BadHeader);
    }
    let id = Parser::new(header).parse_item_with_visitor(bare_text).map_err(|_| BadHeader)?;
    id.filter(|id| is_id(id)).ok_or(BadHeader)
}

/// Whether a text may be an id: 1 to 128 printable ASCII characters, not all
/// of them spaces.
pub fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID && !text.trim().is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:@/+-".contains(&byte)
}

#[expect(clippy::unnecessary_wraps, reason = "the visitor of the library may fail")]
fn bare_text(value: BareItemFromInput<'_>) -> Result<WithoutParameters, Infallible> {
    Ok(WithoutParameters(match value {
        BareItemFromInput::String(text) => Some(text.as_str().to_owned()),
        BareItemFromInput::Token(text) => Some(text.as_str().to_owned()),
        _ => None,
    }))
}

/// An item's text, which the first parameter spoils: an id has none, and what
/// is not understood must not choose the person.
struct WithoutParameters(Option<String>);

impl<'a> sfv::visitor::ParameterVisitor<'a> for WithoutParameters {
    type Out = Option<String>;
    type Error = Infallible;

    fn parameter(&mut self, _: &'a KeyRef, _: BareItemFromInput<'a>) -> Result<(), Infallible> {
        self.0 = None;
        Ok(())
    }

    fn finish(self) -> Result<Option<String>, Infallible> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_forms_are_read() {
        let long = "x".repeat(128);
        for (header, id) in [
            ("alice", "alice"),
            ("42", "42"),
            ("-1.50", "-1.50"),
            ("8a6e0804-2bd0-4672-b79d-d97027f9071a", "8a6e0804-2bd0-4672-b79d-d97027f9071a"),
            ("ana@example.com", "ana@example.com"),
            ("a/b+c:d", "a/b+c:d"),
            ("@1767225600", "@1767225600"),
            ("\"alice\"", "alice"),
            ("\"ana maria\"", "ana maria"),
            (r#""a \"b\" \\c""#, r#"a "b" \c"#),
            ("*token!", "*token!"),
            ("t|~'`^", "t|~'`^"),
            (" alice\t", "alice"),
            (long.as_str(), long.as_str()),
            (&format!("\"{long}\""), long.as_str()),
        ] {
            assert_eq!(subject_id(header).as_deref(), Ok(id), "{header:?}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = "x".repeat(129);
        for header in [
            "",
            "   ",
            "\"\"",
            "\"  \"",
            "\"open",
            "open\"",
            "a b",
            "a, b",
            "a,b",
            "alice;v=1",
            "\"alice\";v=1",
            "?1",
            ":YWxpY2U=:",
            "(a b)",
            "%\"alice\"",
            "1 2",
            "jos\u{e9}",
            "\"jos\u{e9}\"",
            "\"a\tb\"",
            "\"a\nb\"",
            "a\0b",
            "\u{ff41}",
            &long,
            &format!("\"{long}\""),
            &format!("*{long}"),
            &"\"".repeat(300),
        ] {
            assert_eq!(subject_id(header), Err(BadHeader), "{header:?}");
        }
    }

    #[test]
    fn the_error_says_what_is_wanted_and_not_what_came() {
        let said = subject_id("secret;x").unwrap_err().to_string();
        assert!(said.contains("1 to 128") && !said.contains("secret"), "{said}");
    }

    proptest! {
        #[test]
        fn an_id_is_short_and_printable(header in "\\PC{0,300}|\"[ -~]{0,300}\"|[ -~]{0,300}") {
            if let Ok(id) = subject_id(&header) {
                prop_assert!((1..=MAX_ID).contains(&id.len()));
                prop_assert!(id.bytes().all(|b| (0x20..0x7f).contains(&b)));
            }
        }

        #[test]
        fn quoting_keeps_the_id(id in "[A-Za-z0-9._:@/+-]{1,128}") {
            prop_assert_eq!(subject_id(&id), subject_id(&format!("\"{id}\"")));
        }
    }
}
