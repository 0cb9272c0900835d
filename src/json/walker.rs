//! The walk over one text, from its first byte to its last, without recursion.

use super::plain::plain_end;
use super::{Fault, JsonError, MAX_DEPTH, Path, Step, Str, Visitor};

/// Walks over `text`, which must be one JSON text of RFC 8259 and no deeper
/// than [`MAX_DEPTH`]. Lone surrogates and double keys are accepted, as the
/// RFC does; a byte order mark is not. When an error is found the visitor has
/// seen what stands before it.
pub fn walk<'a, V: Visitor<'a>>(text: &'a str, visitor: &mut V) -> Result<(), JsonError> {
    walk_within(MAX_DEPTH, text, visitor)
}

/// The same, with another bound of the depth.
pub fn walk_within<'a, V: Visitor<'a>>(max_depth: usize, text: &'a str, visitor: &mut V) -> Result<(), JsonError> {
    let mut walker = Walker { text, bytes: text.as_bytes(), at: 0, path: Path::root(), max_depth };
    walker.document(visitor)
}

struct Walker<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// The steps to the value at hand. The last step also says what it stands
    /// in.
    path: Path<'a>,
    max_depth: usize,
}

/// What comes after a value or an open bracket.
enum Next {
    Value,
    /// A value stands complete; what it stands in goes on or ends.
    Done,
}

impl<'a> Walker<'a> {
    fn document<V: Visitor<'a>>(&mut self, visitor: &mut V) -> Result<(), JsonError> {
        let mut next = Next::Value;
        loop {
            next = match next {
                Next::Value => self.value(visitor)?,
                Next::Done if self.path.depth() == 0 => break,
                Next::Done => self.after_value(visitor)?,
            };
        }
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault(Fault::TrailingText)),
        }
    }

    /// Reads a scalar value whole, or goes into an array or object.
    fn value<V: Visitor<'a>>(&mut self, visitor: &mut V) -> Result<Next, JsonError> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => {
                let value = self.string()?;
                visitor.string(&self.path, value);
            }
            Some(b'{') => return self.open_object(visitor),
            Some(b'[') => return self.open_array(visitor),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                visitor.number(&self.path, self.since(start), start);
            }
            Some(b't') => self.literal(visitor, "true")?,
            Some(b'f') => self.literal(visitor, "false")?,
            Some(b'n') => self.literal(visitor, "null")?,
            Some(_) => return Err(self.fault(Fault::ExpectedValue)),
            None => return Err(self.fault(Fault::UnexpectedEnd)),
        }
        Ok(Next::Done)
    }

    fn open_object<V: Visitor<'a>>(&mut self, visitor: &mut V) -> Result<Next, JsonError> {
        self.check_depth()?;
        visitor.begin_object(&self.path, self.at);
        self.at += 1;
        if self.peek() == Some(b'}') {
            visitor.end_object(&self.path, self.at);
            self.at += 1;
            return Ok(Next::Done);
        }
        let key = self.key(visitor)?;
        self.path.push(Step::Key(key));
        Ok(Next::Value)
    }

    fn open_array<V: Visitor<'a>>(&mut self, visitor: &mut V) -> Result<Next, JsonError> {
        self.check_depth()?;
        visitor.begin_array(&self.path, self.at);
        self.at += 1;
        if self.peek() == Some(b']') {
            visitor.end_array(&self.path, self.at);
            self.at += 1;
            return Ok(Next::Done);
        }
        self.path.push(Step::Index(0));
        Ok(Next::Value)
    }

    fn check_depth(&self) -> Result<(), JsonError> {
        if self.path.depth() < self.max_depth { Ok(()) } else { Err(self.fault(Fault::TooDeep)) }
    }

    /// Goes on to the next value of the array or object, or ends it.
    fn after_value<V: Visitor<'a>>(&mut self, visitor: &mut V) -> Result<Next, JsonError> {
        let byte = self.peek();
        match (byte, self.path.last_mut()) {
            (Some(b','), Some(Step::Index(index))) => {
                *index = index.saturating_add(1);
                self.at += 1;
                Ok(Next::Value)
            }
            (Some(b','), _) => {
                self.at += 1;
                self.path.pop();
                let key = self.key(visitor)?;
                self.path.push(Step::Key(key));
                Ok(Next::Value)
            }
            (Some(b']'), Some(Step::Index(_))) => {
                self.path.pop();
                visitor.end_array(&self.path, self.at);
                self.at += 1;
                Ok(Next::Done)
            }
            (Some(b'}'), Some(Step::Key(_))) => {
                self.path.pop();
                visitor.end_object(&self.path, self.at);
                self.at += 1;
                Ok(Next::Done)
            }
            (Some(_), _) => Err(self.fault(Fault::ExpectedComma)),
            (None, _) => Err(self.fault(Fault::UnexpectedEnd)),
        }
    }

    /// Reads a key and its colon. The path is that of the object.
    fn key<V: Visitor<'a>>(&mut self, visitor: &mut V) -> Result<Str<'a>, JsonError> {
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return Err(self.fault(Fault::ExpectedKey)),
            None => return Err(self.fault(Fault::UnexpectedEnd)),
        }
        let key = self.string()?;
        visitor.key(&self.path, key);
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.fault(Fault::ExpectedColon)),
            None => return Err(self.fault(Fault::UnexpectedEnd)),
        }
        Ok(key)
    }

    fn literal<V: Visitor<'a>>(&mut self, visitor: &mut V, word: &'static str) -> Result<(), JsonError> {
        let start = self.at;
        for expected in word.bytes() {
            match self.bytes.get(self.at) {
                Some(&b) if b == expected => self.at += 1,
                Some(_) => return Err(self.fault(Fault::ExpectedValue)),
                None => return Err(self.fault(Fault::UnexpectedEnd)),
            }
        }
        visitor.literal(&self.path, self.since(start), start);
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        match self.bytes.get(self.at) {
            Some(b'0'..=b'9') => Err(self.fault(Fault::BadNumber)),
            _ => Ok(()),
        }
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), JsonError> {
        match self.bytes.get(self.at) {
            Some(b'0'..=b'9') => {}
            Some(_) => return Err(self.fault(Fault::BadNumber)),
            None => return Err(self.fault(Fault::UnexpectedEnd)),
        }
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        Ok(())
    }

    /// Reads the string whose open quote is next.
    fn string(&mut self) -> Result<Str<'a>, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let raw = self.since(start);
                    self.at += 1;
                    return Ok(Str { raw, start, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at = escape_end(self.bytes, self.at)?;
                }
                Some(_) => return Err(self.fault(Fault::ControlCharacter)),
                None => return Err(self.fault(Fault::UnexpectedEnd)),
            }
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn fault(&self, fault: Fault) -> JsonError {
        JsonError { offset: self.at, fault }
    }
}

/// Where the escape ends whose backslash stands at `at`.
pub(crate) fn escape_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let bad = Err(JsonError { offset: at, fault: Fault::BadEscape });
    let early = Err(JsonError { offset: bytes.len(), fault: Fault::UnexpectedEnd });
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => return Ok(at + 2),
        Some(b'u') => {}
        Some(_) => return bad,
        None => return early,
    }
    for digit in at + 2..at + 6 {
        match bytes.get(digit) {
            Some(b) if b.is_ascii_hexdigit() => {}
            Some(_) => return bad,
            None => return early,
        }
    }
    Ok(at + 6)
}

#[cfg(test)]
mod tests {
    use super::super::properties::agrees_with_serde_json;
    use super::*;
    use proptest::prelude::*;

    struct Nothing;
    impl Visitor<'_> for Nothing {}

    fn fault(text: &str) -> Option<(usize, Fault)> {
        walk(text, &mut Nothing).err().map(|error| (error.offset, error.fault))
    }

    #[test]
    fn a_visitor_sees_every_value_with_its_path() {
        #[derive(Default)]
        struct Strings(Vec<String>);
        impl<'a> Visitor<'a> for Strings {
            fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
                let last = path.last_key().map(|key| key.decode().into_owned()).unwrap_or_default();
                self.0.push(format!("{}:{last}={}", path.depth(), value.decode()));
            }
            fn number(&mut self, path: &Path<'a>, raw: &'a str, _: usize) {
                assert!(path.last_key().unwrap().is("n"));
                self.0.push(raw.to_owned());
            }
        }
        let text = r#" {"messages": [{"content": "a\u0062"}, {"\u0063ontent": ["x", "y"]}], "n": -0.5e+9, "n": 2} "#;
        let mut strings = Strings::default();
        walk(text, &mut strings).unwrap();
        assert_eq!(strings.0, ["3:content=ab", "4:content=x", "4:content=y", "-0.5e+9", "2"]);
    }

    #[test]
    fn faults_are_named_and_placed() {
        use Fault::*;
        for (text, offset, fault_expected) in [
            ("", 0, UnexpectedEnd),
            (" ", 1, UnexpectedEnd),
            ("\u{FEFF}1", 0, ExpectedValue),
            ("1 2", 2, TrailingText),
            ("nul", 3, UnexpectedEnd),
            ("nulL", 3, ExpectedValue),
            ("True", 0, ExpectedValue),
            ("01", 1, BadNumber),
            ("-", 1, UnexpectedEnd),
            ("1.", 2, UnexpectedEnd),
            ("1.e1", 2, BadNumber),
            ("+1", 0, ExpectedValue),
            ("NaN", 0, ExpectedValue),
            ("\"a\nb\"", 2, ControlCharacter),
            (&format!("\"{}\tb\"", "a".repeat(200)), 201, ControlCharacter),
            (&format!("\"{}\\x\"", "a".repeat(200)), 201, BadEscape),
            ("\"\\u12g4\"", 1, BadEscape),
            ("\"\\u12", 5, UnexpectedEnd),
            ("\"\\", 2, UnexpectedEnd),
            ("\"abc", 4, UnexpectedEnd),
            ("[1,]", 3, ExpectedValue),
            ("[1 2]", 3, ExpectedComma),
            ("[1}", 2, ExpectedComma),
            ("{\"a\":1]", 6, ExpectedComma),
            ("{a:1}", 1, ExpectedKey),
            ("{\"a\":1,}", 7, ExpectedKey),
            ("{\"a\"}", 4, ExpectedColon),
            ("{\"a\":}", 5, ExpectedValue),
            ("{", 1, UnexpectedEnd),
            ("[1", 2, UnexpectedEnd),
            ("'a'", 0, ExpectedValue),
            ("/**/1", 0, ExpectedValue),
        ] {
            assert_eq!(fault(text), Some((offset, fault_expected)), "{text:?}");
            agrees_with_serde_json(text);
        }
    }

    #[test]
    fn what_rfc_8259_allows_is_accepted() {
        for text in [
            "null",
            "\t\r\n true ",
            "\"\"",
            "\"\\ud800\"",
            "\"\\u0000\u{7F}\u{2028}\"",
            "{\"\":1,\"\":2}",
            "-0",
            "1e999999",
            &"9".repeat(10_000),
            "[[],{}]",
        ] {
            assert_eq!(fault(text), None, "{text:?}");
            agrees_with_serde_json(text);
        }
    }

    #[test]
    fn depth_is_limited() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(fault(&nested(128)), None);
        assert_eq!(fault(&nested(129)), Some((128, Fault::TooDeep)));
        assert_eq!(fault(&"{\"a\":".repeat(100_000)), Some((640, Fault::TooDeep)));
    }

    #[test]
    fn an_error_holds_nothing_of_the_text() {
        let error = walk("\"jana@example.com", &mut Nothing).unwrap_err();
        assert_eq!(error.to_string(), "invalid JSON at byte 17: unexpected end");
    }

    fn json() -> impl Strategy<Value = String> {
        let string = prop_oneof![
            "[ -~é中\u{1F600}]{0,12}",
            r#"([a-z]|\\[\\"/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83d\\ude00){0,8}"#,
            "[a-z\\\\\"]{0,100}",
            "[a-z]{60,80}",
        ]
        .prop_map(|s| if s.contains('"') && !s.contains("\\\"") { s.replace('"', "") } else { s })
        .prop_map(|s| format!("\"{s}\""));
        let leaf = prop_oneof![
            string.clone(),
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?",
            prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        ];
        let space = "[ \n\t\r]{0,2}";
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..6), space).prop_map(|(values, space)| format!(
                    "[{space}{}{space}]",
                    values.join(&format!("{space},{space}"))
                )),
                (prop::collection::vec((string.clone(), inner), 0..6), space).prop_map(|(members, space)| {
                    let members: Vec<_> = members.iter().map(|(k, v)| format!("{k}{space}:{space}{v}")).collect();
                    format!("{{{space}{}{space}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn walks_as_serde_json_reads(text in json()) {
            agrees_with_serde_json(&text);
        }

        #[test]
        fn refuses_as_serde_json_does(
            text in json(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}:,\"\\\\0-9eEu.\\-+ \n\u{1}x]{0,2}"), 1..4),
        ) {
            let mut text = text;
            for (at, new) in changes {
                let at = text.floor_char_boundary(at.index(text.len() + 1));
                let end = text.ceil_char_boundary((at + 1).min(text.len()));
                text.replace_range(at..end, &new);
            }
            agrees_with_serde_json(&text);
        }
    }
}
