//! `--format jsonl`: one object a line in, one a line out, in the same order
//! and in bounded memory.

use super::outline::{NoString, Outline, Quoted};
use super::report::Report;
use super::{ScanArgs, ScanError};
use crate::detect::{Engine, Scratch};
use crate::json::{self, Fault, JsonError, Path, Str, Visitor};
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
    let mut lines = Lines { args, engine, name, scratch, out, answer: Vec::new(), number: 0, found: false };
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
    fn read<'t>(&mut self, mut text: &'t str, all: &mut Vec<Line<'t>>) -> Result<(), ScanError> {
        while !text.is_empty() {
            let end = memchr::memchr(b'\n', text.as_bytes()).map_or(text.len(), |end| end + 1);
            let (line, others) = text.split_at(end);
            text = others;
            self.number += 1;
            let line = line.trim_ascii_end();
            if !line.is_empty() {
                all.push(Line::read(line).map_err(|(at, problem)| self.error(line.len().min(at + 1), problem))?);
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
        self.answer.push(b',');
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

impl<'a> Line<'a> {
    /// Reads a line, or says from which byte on what is wrong.
    ///
    /// The values of other keys are passed over: they may be longer than the
    /// text, and nothing is asked of them but that their strings and brackets
    /// are closed.
    fn read(line: &'a str) -> Result<Self, (usize, &'static str)> {
        let mut members = Members { line, at: 0, outline: Outline::of(line.as_bytes()) };
        let (mut id, mut text) = (None, None);
        let mut more = members.open()?;
        while more {
            let key = members.key()?;
            let start = members.at;
            let plain = members.pass_value()?;
            let fault = |error: JsonError| (start + error.offset, NOT_JSON);
            let twice = match key {
                Key::Id => {
                    let value = members.since(start);
                    if plain.is_none() {
                        json::walk(value, &mut Any).map_err(fault)?;
                    }
                    id.replace(value).is_some()
                }
                Key::Text => {
                    let mut string = OneString(plain.map(|quoted| members.string(quoted)));
                    if plain.is_none() {
                        json::walk(members.since(start), &mut string).map_err(fault)?;
                    }
                    text.replace(string.0.ok_or((start, WRONG))?).is_some()
                }
                Key::Other => false,
            };
            if twice {
                return Err((start, WRONG));
            }
            more = members.next()?;
        }
        match (id, text) {
            (Some(id), Some(text)) => Ok(Self { id, text }),
            _ => Err((line.len(), MISSING)),
        }
    }
}

/// Any value.
struct Any;

impl Visitor<'_> for Any {}

/// A value that is a string.
struct OneString<'a>(Option<Str<'a>>);

impl<'a> Visitor<'a> for OneString<'a> {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        if path.depth() == 0 {
            self.0 = Some(value);
        }
    }
}

/// What a key is to a line.
enum Key {
    Id,
    Text,
    Other,
}

/// Goes through the members of an object.
struct Members<'a> {
    line: &'a str,
    at: usize,
    outline: Outline<'a>,
}

type Read<T> = Result<T, (usize, &'static str)>;

impl<'a> Members<'a> {
    /// Opens the object; says whether it has a member.
    fn open(&mut self) -> Read<bool> {
        // Another value, if it is one, has no members.
        if self.peek() != Some(b'{') {
            json::walk(self.line, &mut Any).map_err(|error| match error.fault {
                Fault::UnexpectedEnd => (error.offset, ENDS_EARLY),
                _ => (error.offset, NOT_JSON),
            })?;
            return Ok(false);
        }
        self.at += 1;
        if self.peek() != Some(b'}') {
            return Ok(true);
        }
        self.at += 1;
        self.end()
    }

    /// Reads a key and its colon, up to the value.
    fn key(&mut self) -> Read<Key> {
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        let key = self.pass_string()?;
        if self.peek() != Some(b':') {
            return Err(self.fault());
        }
        self.at += 1;
        self.peek();
        Ok(match self.line.as_bytes().get(key.start..key.end) {
            Some(b"id") => Key::Id,
            Some(b"text") => Key::Text,
            Some(_) if key.escaped && self.string(key).is("id") => Key::Id,
            Some(_) if key.escaped && self.string(key).is("text") => Key::Text,
            _ => Key::Other,
        })
    }

    /// Goes behind a value; says whether another member follows.
    fn next(&mut self) -> Read<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(b'}') => {
                self.at += 1;
                self.end()
            }
            _ => Err(self.fault()),
        }
    }

    fn end(&mut self) -> Read<bool> {
        if self.peek().is_none() { Ok(false) } else { Err(self.fault()) }
    }

    /// Goes behind a value; gives it where it is a string that nothing can be
    /// wrong with.
    fn pass_value(&mut self) -> Read<Option<Quoted>> {
        let start = self.at;
        match self.byte() {
            Some(b'"') => return self.pass_string().map(|string| Some(string).filter(|string| !string.escaped)),
            Some(b'{' | b'[') => self.pass_brackets()?,
            _ => {
                let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b'"' | b' ' | b'\t' | b'\r' | b'\n');
                let rest = self.line.as_bytes().get(start..).unwrap_or_default();
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
                if self.at == start {
                    return Err(self.fault());
                }
            }
        }
        Ok(None)
    }

    /// Goes behind the object or array that starts here.
    fn pass_brackets(&mut self) -> Read<()> {
        let mut depth = 0_usize;
        while let Some(at) = self.outline.bracket(self.at) {
            self.at = at;
            depth = if matches!(self.byte(), Some(b'{' | b'[')) { depth + 1 } else { depth - 1 };
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
        Err((self.line.len(), ENDS_EARLY))
    }

    /// Goes behind the string that starts here.
    #[inline]
    fn pass_string(&mut self) -> Read<Quoted> {
        let quoted = self.outline.string(self.at).map_err(|problem| match problem {
            NoString::Control(at) => (at, NOT_JSON),
            NoString::Open => (self.line.len(), ENDS_EARLY),
        })?;
        self.at = quoted.end + 1;
        Ok(quoted)
    }

    fn string(&self, Quoted { start, end, escaped }: Quoted) -> Str<'a> {
        Str { raw: self.line.get(start..end).unwrap_or_default(), start, escaped }
    }

    /// What has been passed over since an offset.
    fn since(&self, start: usize) -> &'a str {
        self.line.get(start..self.at).unwrap_or_default()
    }

    fn byte(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                other => return other,
            }
        }
    }

    fn fault(&self) -> (usize, &'static str) {
        if self.at >= self.line.len() { (self.line.len(), ENDS_EARLY) } else { (self.at, NOT_JSON) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(&str, String), (usize, &'static str)> {
        Line::read(line).map(|Line { id, text }| (id, text.decode().into_owned()))
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
        let good = [0, 1, 2, 3, 4].map(|id| line(id) + "\r\n\n").concat() + &line(5);
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
