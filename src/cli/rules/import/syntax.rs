//! Regular expressions of Python (`re`) and Go (RE2) in the syntax of the
//! `regex` crate, which has neither look-around nor back-references.

use std::fmt::Write as _;

/// The language that a pattern is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `\w`, `\d`, `\s` and `\b` know all of Unicode.
    Python,
    /// They know ASCII alone.
    Go,
}

/// The pattern in Rust's syntax, or what it needs that there is not.
pub(super) fn convert(pattern: &str, dialect: Dialect) -> Result<String, &'static str> {
    let mut converter =
        Converter { rest: pattern, dialect, out: String::with_capacity(pattern.len()), in_class: false };
    converter.run()?;
    Ok(converter.out)
}

struct Converter<'c> {
    rest: &'c str,
    dialect: Dialect,
    out: String,
    in_class: bool,
}

impl Converter<'_> {
    fn run(&mut self) -> Result<(), &'static str> {
        while let Some(c) = self.rest.chars().next() {
            self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
            match c {
                '\\' => self.escape()?,
                '[' if self.in_class => self.bracket_in_class(),
                '[' => self.open_class(),
                ']' if self.in_class => {
                    self.in_class = false;
                    self.out.push(']');
                }
                // Two of them would be an operation on sets.
                '&' | '-' | '~' if self.in_class && self.rest.starts_with(c) => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                _ if self.in_class => self.out.push(c),
                '(' => self.group()?,
                '{' => self.brace()?,
                '*' | '+' | '?' => {
                    self.out.push(c);
                    self.behind_quantifier()?;
                }
                _ => self.out.push(c),
            }
        }
        Ok(())
    }

    /// A bracket or caret just behind `[` is part of the class.
    fn open_class(&mut self) {
        self.in_class = true;
        self.out.push('[');
        for start in ['^', ']'] {
            if let Some(rest) = self.rest.strip_prefix(start) {
                self.rest = rest;
                self.out.push_str(if start == '^' { "^" } else { r"\]" });
            }
        }
    }

    fn bracket_in_class(&mut self) {
        let posix = self.dialect == Dialect::Go && self.rest.starts_with(':');
        match self.rest.find(":]").filter(|_| posix) {
            Some(end) => {
                self.out.push('[');
                self.out.push_str(self.rest.get(..end + 2).unwrap_or_default());
                self.rest = self.rest.get(end + 2..).unwrap_or_default();
            }
            None => self.out.push_str(r"\["),
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let Some(c) = self.rest.chars().next() else { return Err("ends with a backslash") };
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
        let ascii = self.dialect == Dialect::Go;
        let class = match c {
            'd' => Some("[0-9]"),
            'D' => Some("[^0-9]"),
            'w' => Some("[0-9A-Za-z_]"),
            'W' => Some("[^0-9A-Za-z_]"),
            's' => Some(r"[\t\n\f\r ]"),
            'S' => Some(r"[^\t\n\f\r ]"),
            _ => None,
        };
        match (c, class) {
            (_, Some(class)) if ascii => self.out.push_str(class),
            ('b', _) if self.in_class => self.out.push_str(r"\x08"),
            ('b', _) if ascii => self.out.push_str(r"(?-u:\b)"),
            ('B', _) if ascii => return Err("a place between ASCII letters (\\B) is not supported"),
            ('Z', _) => self.out.push_str(r"\z"),
            ('Q', _) if ascii => {
                let end = self.rest.find(r"\E").unwrap_or(self.rest.len());
                self.out.push_str(&regex::escape(self.rest.get(..end).unwrap_or_default()));
                self.rest = self.rest.get(end + 2..).unwrap_or_default();
            }
            ('0', _) => self.octal(),
            ('1'..='9', _) => return Err("back-references are not supported"),
            ('N' | 'C', _) => return Err("\\N and \\C are not supported"),
            // Rust takes these two for the borders of a word.
            ('<' | '>', _) => self.out.push(c),
            (c, _) if c.is_ascii() && !c.is_ascii_control() => {
                self.out.push('\\');
                self.out.push(c);
            }
            (c, _) => self.out.push(c),
        }
        Ok(())
    }

    /// `\0` and up to two more octal digits.
    fn octal(&mut self) {
        let digits = self.rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
        let value = u32::from_str_radix(self.rest.get(..digits).unwrap_or_default(), 8).unwrap_or(0);
        self.rest = self.rest.get(digits..).unwrap_or_default();
        let _ = write!(self.out, "\\x{value:02X}");
    }

    /// Behind `(`.
    fn group(&mut self) -> Result<(), &'static str> {
        let Some(inner) = self.rest.strip_prefix('?') else {
            self.out.push('(');
            return Ok(());
        };
        for (start, problem) in [
            ("=", "look-ahead is not supported"),
            ("!", "look-ahead is not supported"),
            ("<=", "look-behind is not supported"),
            ("<!", "look-behind is not supported"),
            (">", "atomic groups are not supported"),
            ("(", "conditions are not supported"),
            ("P=", "back-references are not supported"),
            ("P>", "recursion is not supported"),
        ] {
            if inner.starts_with(start) {
                return Err(problem);
            }
        }
        if inner.starts_with('#') {
            let end = inner.find(')').ok_or("has a comment without an end")?;
            self.rest = inner.get(end + 1..).unwrap_or_default();
            return Ok(());
        }
        let flags = inner.chars().take_while(|c| c.is_ascii_alphabetic() || *c == '-').count();
        let (flags, behind) = inner.split_at(flags);
        if !behind.starts_with([')', ':']) {
            self.out.push('(');
            return Ok(());
        }
        if flags.contains(['a', 'L']) {
            return Err("the flags a and L are not supported");
        }
        // Unicode is on in any case.
        let flags: String = flags.chars().filter(|c| *c != 'u').collect();
        self.rest = behind.get(1..).unwrap_or_default();
        match (flags.as_str(), behind.starts_with(')')) {
            ("" | "-", true) => {}
            (flags, true) => self.out.extend(["(?", flags, ")"]),
            (flags, false) => self.out.extend(["(?", flags, ":"]),
        }
        Ok(())
    }

    /// `{` opens a repetition, or is a brace.
    fn brace(&mut self) -> Result<(), &'static str> {
        let end = self.rest.find('}');
        let inner = end.and_then(|end| self.rest.get(..end)).unwrap_or_default();
        let (low, high) = inner.split_once(',').unwrap_or((inner, "0"));
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if inner.is_empty()
            || inner == ","
            || !number(low)
            || !number(high)
            || (low.is_empty() && self.dialect == Dialect::Go)
        {
            self.out.push_str(r"\{");
            return Ok(());
        }
        self.out.push('{');
        if low.is_empty() {
            self.out.push('0');
        }
        self.out.push_str(inner);
        self.out.push('}');
        self.rest = self.rest.get(inner.len() + 1..).unwrap_or_default();
        self.behind_quantifier()
    }

    /// A `?` makes it lazy; a `+` possessive, which to Rust were a repetition
    /// of the repetition.
    fn behind_quantifier(&mut self) -> Result<(), &'static str> {
        if let Some(rest) = self.rest.strip_prefix('?') {
            self.rest = rest;
            self.out.push('?');
        }
        if self.rest.starts_with('+') {
            return Err("possessive repetitions are not supported");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_is_written_anew() {
        use Dialect::{Go, Python};
        for (pattern, dialect, wanted) in [
            (r"(\b\d{5}(?:\-\d{4})?\b)", Python, r"(\b\d{5}(?:\-\d{4})?\b)"),
            (r"a{,3}b{2,}?{x", Python, r"a{0,3}b{2,}?\{x"),
            (r"[[a&&b--c]\<\>\Z", Python, r"[\[a\&&b\--c]<>\z"),
            (r"[]a][^]b]", Python, r"[\]a][^\]b]"),
            (r"(?iu)x(?#note)(?P<n>y)(?u:z)", Python, r"(?i)x(?P<n>y)(?:z)"),
            (r"\x41\0[\b]\012", Python, r"\x41\x00[\x08]\x0A"),
            (r"\b[\w.-]{0,50}?\d\s", Go, r"(?-u:\b)[[0-9A-Za-z_].-]{0,50}?[0-9][\t\n\f\r ]"),
            (r"\Qa.b\E[[:alpha:]]+", Go, r"a\.b[[:alpha:]]+"),
            (r"(?i:key)\x60", Go, r"(?i:key)\x60"),
        ] {
            let converted = convert(pattern, dialect);
            assert_eq!(converted.as_deref(), Ok(wanted), "{pattern}");
            regex::Regex::new(wanted).unwrap();
        }
    }

    #[test]
    fn what_there_is_not_is_named() {
        for (pattern, said) in [
            (r"(?<!\d)\d{5}", "look-behind"),
            (r"\d+(?=x)", "look-ahead"),
            (r"(a)\1", "back-references"),
            (r"(?P<a>x)(?P=a)", "back-references"),
            (r"a++b", "possessive"),
            (r"a{2}+b", "possessive"),
            (r"(?>a|b)", "atomic"),
            (r"(?(1)a|b)", "conditions"),
            ("a\\", "backslash"),
        ] {
            let problem = convert(pattern, Dialect::Python).unwrap_err();
            assert!(problem.contains(said), "{pattern}: {problem}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_is_too_strange(pattern in "[\\\\()\\[\\]{}?*+,0-9a-dPQE<>=!:#|^$&~é-]{0,24}") {
            for dialect in [Dialect::Python, Dialect::Go] {
                let _ = convert(&pattern, dialect);
            }
        }

        #[test]
        fn patterns_of_both_find_the_same(text in "[ab1 _-]{0,12}") {
            let same = r"(?i)[ab]+(?:-\d{1,2})?\b";
            let wanted: Vec<_> = regex::Regex::new(same).unwrap().find_iter(&text).map(|m| m.range()).collect();
            let go = convert(same, Dialect::Go).unwrap();
            let found: Vec<_> = regex::Regex::new(&go).unwrap().find_iter(&text).map(|m| m.range()).collect();
            prop_assert_eq!(wanted, found);
        }
    }
}
