//! `--format jsonl`: one object a line in, one a line out, in the same order
//! and in bounded memory.

use super::outline::Outline;
use super::report::Report;
use super::{ScanArgs, ScanError};
use crate::detect::{Engine, Scratch};
use crate::json::{self, Fault, Str, Visitor};
use std::io::{self, BufRead, Write};

/// Scans all lines; says whether something was found.
pub(super) fn scan(
    args: &ScanArgs,
    engine: &Engine,
    name: &str,
    input: &mut dyn BufRead,
    scratch: &mut Scratch,
    out: &mut impl Write,
) -> Result<bool, ScanError> {
    let mut lines = Lines {
        args,
        engine,
        name,
        scratch,
        out,
        outline: Outline::default(),
        answer: Vec::new(),
        number: 0,
        found: false,
    };
    // A line that starts in one filling of the buffer and ends in another.
    let mut begun = Vec::new();
    loop {
        let mut buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            filled => filled.map_err(|error| ScanError::Read { name: name.to_owned(), error })?,
        };
        let read = buffer.len();
        if read == 0 {
            lines.all(&begun)?;
            return Ok(lines.found);
        }
        if !begun.is_empty() {
            let (end, others) = buffer.split_at(behind(memchr::memchr(b'\n', buffer)));
            if !end.is_empty() {
                begun.extend_from_slice(end);
                lines.all(&begun)?;
                begun.clear();
                buffer = others;
            }
        }
        let (whole, rest) = buffer.split_at(behind(memchr::memrchr(b'\n', buffer)));
        lines.all(whole)?;
        begun.extend_from_slice(rest);
        input.consume(read);
    }
}

/// Behind a line end; 0 where there is none.
fn behind(end: Option<usize>) -> usize {
    end.map_or(0, |end| end + 1)
}

/// Scans the lines of an input.
struct Lines<'a, W> {
    args: &'a ScanArgs,
    engine: &'a Engine,
    name: &'a str,
    scratch: &'a mut Scratch,
    out: &'a mut W,
    outline: Outline,
    answer: Vec<u8>,
    /// How many there were.
    number: usize,
    found: bool,
}

impl<W: Write> Lines<'_, W> {
    /// Scans whole lines. Whether they are UTF-8 is asked of all together: each
    /// by itself would cost twice as much. All are read before the first is
    /// scanned, as the processor forgets the code of the one over the other.
    fn all(&mut self, lines: &[u8]) -> Result<(), ScanError> {
        let text = match simdutf8::compat::from_utf8(lines) {
            Ok(text) => text,
            Err(error) => return self.up_to(lines, error.valid_up_to()),
        };
        let mut all = Vec::new();
        let read = self.read(text, &mut all);
        for line in &all {
            self.one(line)?;
        }
        read
    }

    /// Reads lines, up to one that cannot be used.
    fn read<'t>(&mut self, text: &'t str, all: &mut Vec<Line<'t>>) -> Result<(), ScanError> {
        self.outline.read(text.as_bytes());
        let mut reader = Reader { text, outline: &self.outline, start: 0 };
        while reader.start < text.len() {
            self.number += 1;
            match reader.line() {
                Ok(line) => all.extend(line),
                Err((at, problem)) => return Err(self.error(reader.whole().len().min(at + 1), problem)),
            }
        }
        Ok(())
    }

    /// Scans the lines in front of the one that is not UTF-8 from an offset on.
    #[cold]
    fn up_to(&mut self, lines: &[u8], offset: usize) -> Result<(), ScanError> {
        let valid = lines.get(..offset).unwrap_or_default();
        let (before, line) = valid.split_at(behind(memchr::memrchr(b'\n', valid)));
        self.all(before)?;
        self.number += 1;
        Err(self.error(line.len() + 1, "not UTF-8"))
    }

    fn one(&mut self, Line { id, text }: &Line<'_>) -> Result<(), ScanError> {
        let text = text.decode();
        let report = Report::of(&text, self.args, self.engine, self.scratch);
        self.found |= report.has_findings();
        self.answer.clear();
        self.answer.extend_from_slice(b"{\"id\":");
        self.answer.extend_from_slice(id.as_bytes());
        report.write_fields(&mut self.answer)?;
        self.answer.extend_from_slice(b"}\n");
        Ok(self.out.write_all(&self.answer)?)
    }

    fn error(&self, column: usize, problem: &'static str) -> ScanError {
        ScanError::Line { name: self.name.to_owned(), line: self.number, column, problem }
    }
}

/// A line of JSONL input.
struct Line<'a> {
    /// Whatever it is, it is given back as it came.
    id: &'a str,
    text: Str<'a>,
}

/// What is wrong with a line. The words quote nothing.
const NOT_JSON: &str = "not valid JSON";
const ENDS_EARLY: &str = "the line ends too early";
const MISSING: &str = "\"id\" or \"text\" is missing";
const WRONG: &str = "\"id\" or \"text\" stands twice or is of the wrong type";

/// Any value.
struct Any;

impl Visitor<'_> for Any {}

/// What a key is to a line.
enum Key {
    Id,
    Text,
    Other,
}

/// A value as it stands in the text.
#[derive(Clone, Copy)]
struct Value {
    start: usize,
    end: usize,
    /// Whether it is a string that nothing can be wrong with, without a backslash.
    plain: bool,
}

/// Reads the lines of a text one after the other.
struct Reader<'a, 'o> {
    text: &'a str,
    outline: &'o Outline,
    /// Where the line at hand starts.
    start: usize,
}

/// What was read, or from which byte of the line on what is wrong.
type Read<T> = Result<T, (usize, &'static str)>;

impl<'a> Reader<'a, '_> {
    /// Reads a line, and goes behind it; none where it is empty.
    ///
    /// The values of other keys are passed over: they may be longer than the
    /// text, and nothing is asked of them but that their strings and brackets
    /// are closed.
    fn line(&mut self) -> Read<Option<Line<'a>>> {
        let (mut id, mut text) = (None, None);
        let (at, first) = self.peek(self.start);
        let end = if first == b'{' { self.object(at, &mut id, &mut text)? } else { self.no_object()? };
        let line = match (id, text) {
            (Some(id), Some(text)) => Some(Line { id, text }),
            _ => self.nothing()?,
        };
        self.start = end + 1;
        Ok(line)
    }

    /// The line without the white space behind it.
    #[cold]
    fn whole(&self) -> &'a str {
        let rest = self.text.get(self.start..).unwrap_or_default();
        rest.split('\n').next().unwrap_or_default().trim_ascii_end()
    }

    /// Goes over a line that holds no object.
    #[cold]
    fn no_object(&self) -> Read<usize> {
        let line = self.whole();
        if !line.is_empty() {
            json::walk(line, &mut Any).map_err(|error| match error.fault {
                Fault::UnexpectedEnd => (error.offset, ENDS_EARLY),
                _ => (error.offset, NOT_JSON),
            })?;
        }
        self.end(self.start + line.len())
    }

    /// A line without what it is read for.
    #[cold]
    fn nothing(&self) -> Read<Option<Line<'a>>> {
        let line = self.whole();
        if line.is_empty() { Ok(None) } else { Err((line.len(), MISSING)) }
    }

    /// Goes over the object that opens here, to the end of the line.
    #[inline]
    fn object(&self, open: usize, id: &mut Option<&'a str>, text: &mut Option<Str<'a>>) -> Read<usize> {
        let (mut at, mut byte) = self.peek(open + 1);
        if byte == b'}' {
            return self.end(at + 1);
        }
        loop {
            if byte != b'"' {
                return Err(self.fault(at));
            }
            let key = self.string(at)?;
            let (colon, byte_behind) = self.peek(key.end);
            if byte_behind != b':' {
                return Err(self.fault(colon));
            }
            let value = self.value(colon + 1)?;
            let twice = match self.key(key) {
                Key::Id => id.replace(self.id(value)?).is_some(),
                Key::Text => text.replace(self.string_of(value)?).is_some(),
                Key::Other => false,
            };
            if twice {
                return Err((value.start - self.start, WRONG));
            }
            (at, byte) = self.peek(value.end);
            match byte {
                b',' => (at, byte) = self.peek(at + 1),
                b'}' => return self.end(at + 1),
                _ => return Err(self.fault(at)),
            }
        }
    }

    /// What a key is to the line.
    #[inline]
    fn key(&self, key: Value) -> Key {
        let quoted = self.text.as_bytes().get(key.start..key.end).unwrap_or_default();
        if quoted == b"\"id\"" {
            Key::Id
        } else if quoted == b"\"text\"" {
            Key::Text
        } else if key.plain {
            Key::Other
        } else {
            self.escaped_key(key)
        }
    }

    #[cold]
    fn escaped_key(&self, key: Value) -> Key {
        match &*self.inside(key).decode() {
            "id" => Key::Id,
            "text" => Key::Text,
            _ => Key::Other,
        }
    }

    /// Goes to the end of the line; there is no member behind it.
    #[inline]
    fn end(&self, at: usize) -> Read<usize> {
        let (at, byte) = self.peek(at);
        if byte == b'\n' { Ok(at) } else { self.other_space(at) }
    }

    /// Goes over white space of a kind that JSON does not know.
    #[cold]
    fn other_space(&self, at: usize) -> Read<usize> {
        if at < self.start + self.whole().len() {
            return Err(self.fault(at));
        }
        Ok(self.text.get(at..).and_then(|rest| rest.find('\n')).map_or(self.text.len(), |end| at + end))
    }

    /// The value that is next.
    #[inline]
    fn value(&self, at: usize) -> Read<Value> {
        let (start, first) = self.peek(at);
        let end = match first {
            b'"' => return self.string(start),
            b'{' | b'[' => self.behind_brackets(start)?,
            _ => {
                let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b'"' | b' ' | b'\t' | b'\r' | b'\n');
                let rest = self.text.as_bytes().get(start..).unwrap_or_default();
                let end = start + rest.iter().position(ends).unwrap_or(rest.len());
                if end == start {
                    return Err(self.fault(start));
                }
                end
            }
        };
        Ok(Value { start, end, plain: false })
    }

    /// Behind the object or array that starts here.
    fn behind_brackets(&self, mut at: usize) -> Read<usize> {
        let mut depth = 0_usize;
        loop {
            at = self.outline.bracket(at);
            let byte = self.byte(at);
            if matches!(byte, b'{' | b'[') {
                depth += 1;
            } else if byte >= b' ' {
                depth -= 1;
            } else if byte == b'\n' {
                return Err(self.fault(at));
            }
            at += 1;
            if depth == 0 {
                return Ok(at);
            }
        }
    }

    /// The string that starts here.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is read for each key and value")]
    fn string(&self, start: usize) -> Read<Value> {
        let mut plain = true;
        let mut at = self.outline.mark(start + 1);
        loop {
            match self.byte(at) {
                b'"' => return Ok(Value { start, end: at + 1, plain }),
                b'\\' => plain = false,
                _ => return Err(self.fault(at)),
            }
            at = self.outline.mark(at + 1);
        }
    }

    /// The value of `id`.
    #[inline]
    fn id(&self, value: Value) -> Read<&'a str> {
        if !value.plain {
            self.check(value)?;
        }
        Ok(self.text.get(value.start..value.end).unwrap_or_default())
    }

    /// The value of `text`.
    #[inline]
    fn string_of(&self, value: Value) -> Read<Str<'a>> {
        if !value.plain {
            self.check(value)?;
            if self.byte(value.start) != b'"' {
                return Err((value.start - self.start, WRONG));
            }
        }
        Ok(self.inside(value))
    }

    /// Looks for what is wrong inside a value.
    fn check(&self, value: Value) -> Read<()> {
        let fault = |offset: usize| (offset - self.start, NOT_JSON);
        if self.byte(value.start) != b'"' {
            let walked = json::walk(self.text.get(value.start..value.end).unwrap_or_default(), &mut Any);
            return walked.map_err(|error| fault(value.start + error.offset));
        }
        let mut at = self.outline.mark(value.start + 1);
        while at + 1 < value.end {
            let end = json::escape_end(self.text.as_bytes(), at).map_err(|error| fault(error.offset))?;
            at = self.outline.mark(end);
        }
        Ok(())
    }

    /// What stands between the quotes.
    fn inside(&self, value: Value) -> Str<'a> {
        let start = value.start + 1;
        Str { raw: self.text.get(start..value.end - 1).unwrap_or_default(), start, escaped: !value.plain }
    }

    /// A byte; a line end behind the text.
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(b'\n')
    }

    /// The next byte that is no white space within the line, and where it stands.
    #[inline]
    fn peek(&self, mut at: usize) -> (usize, u8) {
        let mut byte = self.byte(at);
        // Most write one space or none.
        if byte == b' ' {
            at += 1;
            byte = self.byte(at);
        }
        // Nearly all that is no white space is above it.
        while byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\r') {
            at += 1;
            byte = self.byte(at);
        }
        (at, byte)
    }

    /// What is wrong where something else was expected.
    #[cold]
    fn fault(&self, at: usize) -> (usize, &'static str) {
        let (at, end) = (at - self.start, self.whole().len());
        if at >= end { (end, ENDS_EARLY) } else { (at, NOT_JSON) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(&str, String), (usize, &'static str)> {
        let mut outline = Outline::default();
        outline.read(line.as_bytes());
        let read = Reader { text: line, outline: &outline, start: 0 }.line()?;
        Ok(read.map(|Line { id, text }| (id, text.decode().into_owned())).unwrap())
    }

    #[test]
    fn any_id_is_given_back_as_it_came() {
        for id in ["\"a\\u0062\"", "-1.50e3", "null", "{\"id\": [1, {\"text\": 2}]}", "[ \"id\" ]", "{}", "[]"] {
            let line = format!("{{\"x\": {{\"id\": 1, \"text\": 2}}, \"text\": \"t\\n\", \"id\": {id} }}");
            assert_eq!(read(&line), Ok((id, "t\n".to_owned())), "{line}");
        }
        assert_eq!(read("{\"i\\u0064\":1,\"\\u0074ext\":\"t\"}"), Ok(("1", "t".to_owned())));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (line, offset, problem) in [
            ("[]", 2, MISSING),
            ("{}", 2, MISSING),
            ("{\"id\":1}", 8, MISSING),
            ("[{\"id\":1,\"text\":\"\"}]", 20, MISSING),
            ("{\"id\":1,\"text\":[\"\"]}", 15, WRONG),
            ("{\"id\":1,\"text\":null}", 15, WRONG),
            ("{\"id\":1,\"text\":\"\",\"id\":2}", 23, WRONG),
            ("{\"id\":1,\"text\":\"\"", 17, ENDS_EARLY),
            ("{\"id\":1,\"x\":[{}", 15, ENDS_EARLY),
            ("{\"id\":1,\"text\":\"\\", 17, ENDS_EARLY),
            ("{\"id\":", 6, ENDS_EARLY),
            ("tru", 3, ENDS_EARLY),
            ("{\"id\":1,\"text\":\"\"}x", 18, NOT_JSON),
            ("{\"id\":1,\"text\":\"\",}", 18, NOT_JSON),
            ("{\"id\":1 \"text\":\"\"}", 8, NOT_JSON),
            ("{\"id\" 1}", 6, NOT_JSON),
            ("{\"id\":}", 6, NOT_JSON),
            ("{\"id\":01,\"text\":\"\"}", 7, NOT_JSON),
            ("{\"id\":1,\"text\":\"a\\x\"}", 17, NOT_JSON),
            ("{\"id\":1,\"x\":\"\t\",\"text\":\"\"}", 13, NOT_JSON),
            ("{\"id\":[1},\"text\":\"\"}", 8, NOT_JSON),
        ] {
            assert_eq!(read(line).map(drop), Err((offset, problem)), "{line}");
        }
    }

    #[test]
    fn lines_are_the_same_wherever_the_buffer_ends() {
        let engine = Engine::builtin().unwrap();
        let line = |id: usize| format!("{{\"id\": {id}, \"text\": \"{}\\u00e9 ana@example.com\"}}", "é".repeat(id));
        let good = [0, 1, 2, 3, 4].map(|id| line(id) + " \x0c\r\n\x0c\n").concat() + &line(5);
        let bad = [good.as_bytes(), b"\n{\"id\":\"\xff\"}\n{"].concat();
        let scanned = |bytes: &[u8], capacity| {
            let mut out = Vec::new();
            let mut input = io::BufReader::with_capacity(capacity, bytes);
            let args = ScanArgs::default();
            let found = scan(&args, &engine, "x", &mut input, &mut Scratch::default(), &mut out);
            (found.map_err(|error| error.to_string()), String::from_utf8(out).unwrap())
        };
        let whole = scanned(good.as_bytes(), 1 << 20);
        assert_eq!(whole.0, Ok(true));
        assert_eq!(whole.1.matches("\"EMAIL\"").count(), 6, "{}", whole.1);
        for capacity in 1..200 {
            assert_eq!(scanned(good.as_bytes(), capacity), whole, "{capacity}");
            let (error, out) = scanned(&bad, capacity);
            assert!(error.unwrap_err().starts_with("x:12:8: not UTF-8;"));
            assert_eq!(out, whole.1);
        }
    }
}
