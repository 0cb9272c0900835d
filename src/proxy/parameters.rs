//! Parameters behind a header's value, `; name=value` (RFC 9110, 5.6.6), with
//! the places of their values. Pure.

use std::borrow::Cow;
use std::ops::Range;

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter<'v> {
    pub(super) name: &'v str,
    /// Where the value stands in the header's, without its quotes.
    pub(super) at: Range<usize>,
    raw: &'v str,
    quoted: bool,
}

/// The header's value in front of its parameters, and the parameters; none
/// where they are malformed.
pub(super) fn parse(value: &str) -> Option<(&str, Vec<Parameter<'_>>)> {
    let end = value.find(';').unwrap_or(value.len());
    let mut parameters = Vec::new();
    let mut rest = value.get(end..)?;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Some((value.get(..end)?.trim(), parameters));
        }
        let (name, behind) = rest.split_once('=')?;
        let name = name.trim();
        let is_name = !name.is_empty() && !name.contains([' ', '\t', ';', '"', ',']);
        let behind = behind.trim_start_matches([' ', '\t']);
        let start = value.len() - behind.len();
        let (raw, quoted) = match behind.strip_prefix('"') {
            Some(text) => (text.get(..end_of_quoted(text)?)?, true),
            None => (behind.split(';').next().unwrap_or_default().trim_end(), false),
        };
        let from = start + usize::from(quoted);
        let at = from..from + raw.len();
        rest = value.get(at.end + usize::from(quoted)..)?;
        if !is_name || !(rest.trim_start_matches([' ', '\t']).starts_with(';') || rest.trim().is_empty()) {
            return None;
        }
        parameters.push(Parameter { name, at, raw, quoted });
    }
}

/// Where the quote stands that ends the text.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })
}

impl Parameter<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value with its escapes undone.
    pub(super) fn value(&self) -> Cow<'_, str> {
        if !self.quoted || !self.raw.contains('\\') {
            return self.raw.into();
        }
        let mut value = String::with_capacity(self.raw.len());
        let mut chars = self.raw.chars();
        while let Some(c) = chars.next() {
            value.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        value.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_they_are_said_to() {
        for (header, front, want) in [
            ("text/plain", "text/plain", &[][..]),
            ("text/plain;charset=utf-8", "text/plain", &[("charset", "utf-8", "utf-8")]),
            (" a/b ; x = \"1;2\" ;; y=3 ", "a/b", &[("x", "1;2", "1;2"), ("y", "3", "3")]),
            ("form-data; name=\"a\\\"b\"; f=é", "form-data", &[("name", "a\\\"b", "a\"b"), ("f", "é", "é")]),
            ("m/x; boundary=\"\"", "m/x", &[("boundary", "", "")]),
            ("; a=b", "", &[("a", "b", "b")]),
        ] {
            let (found, parameters) = parse(header).unwrap();
            let parameters: Vec<_> =
                parameters.iter().map(|p| (p.name, &header[p.at.clone()], p.value().into_owned())).collect();
            let want: Vec<_> = want.iter().map(|(name, raw, value)| (*name, *raw, (*value).to_owned())).collect();
            assert_eq!((found, parameters), (front, want), "{header}");
        }
    }

    #[test]
    fn what_is_malformed_is_none() {
        for header in ["a; b", "a; b=\"c", "a; b=\"c\\\"", "a; b=\"c\"d", "a; =b", "a; b c=d"] {
            assert_eq!(parse(header), None, "{header}");
        }
    }
}
