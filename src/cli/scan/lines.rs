//! `--format jsonl`: one object a line in, one a line out, in the same order
//! and in bounded memory.

use super::report::Report;
use super::{ScanArgs, ScanError};
use crate::detect::{Engine, Scratch};
use crate::json::{self, Fault, Path, Step, Str, Visitor};
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
    let (mut bytes, mut answer) = (Vec::new(), Vec::new());
    let mut found = false;
    for number in 1.. {
        bytes.clear();
        read_line(input, &mut bytes).map_err(|error| ScanError::Read { name: name.to_owned(), error })?;
        if bytes.is_empty() {
            break;
        }
        let line = bytes.trim_ascii_end();
        if line.is_empty() {
            continue;
        }
        let Line { id, text } = Line::read(line).map_err(|(offset, problem)| ScanError::Line {
            name: name.to_owned(),
            line: number,
            column: line.len().min(offset + 1),
            problem,
        })?;
        let text = text.decode();
        let report = Report::of(&text, args, engine, scratch);
        found |= report.has_findings();
        answer.clear();
        answer.extend_from_slice(b"{\"id\":");
        answer.extend_from_slice(id.as_bytes());
        answer.push(b',');
        report.write_fields(&mut answer)?;
        answer.extend_from_slice(b"}\n");
        out.write_all(&answer)?;
    }
    Ok(found)
}

/// Adds the next line with its end; nothing where there is none.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            filled => filled?,
        };
        let end = memchr::memchr(b'\n', buffer).map(|end| end + 1);
        let used = end.unwrap_or(buffer.len());
        line.extend_from_slice(buffer.get(..used).unwrap_or_default());
        input.consume(used);
        if end.is_some() || used == 0 {
            return Ok(());
        }
    }
}

/// A line of JSONL input; other keys are passed over.
struct Line<'a> {
    /// Whatever it is, it is given back as it came.
    id: &'a str,
    text: Str<'a>,
}

impl<'a> Line<'a> {
    /// Reads a line, or says from which byte on what is wrong. The words are
    /// not those of the library, and quote nothing.
    fn read(line: &'a [u8]) -> Result<Self, (usize, &'static str)> {
        let line = std::str::from_utf8(line).map_err(|error| (error.valid_up_to(), "not UTF-8"))?;
        let mut keys = Keys { line, ..Keys::default() };
        json::walk(line, &mut keys).map_err(|error| match error.fault {
            Fault::UnexpectedEnd => (error.offset, "the line ends too early"),
            _ => (error.offset, "not valid JSON"),
        })?;
        match keys {
            Keys { wrong: Some(offset), .. } => {
                Err((offset, "\"id\" or \"text\" stands twice or is of the wrong type"))
            }
            Keys { id: Some(id), text: Some(text), .. } => Ok(Self { id, text }),
            _ => Err((line.len(), "\"id\" or \"text\" is missing")),
        }
    }
}

/// Picks the two keys out of a line.
#[derive(Default)]
struct Keys<'a> {
    line: &'a str,
    id: Option<&'a str>,
    text: Option<Str<'a>>,
    /// Where a value stands that is none of these.
    wrong: Option<usize>,
    /// Where an `id` starts that is an object or an array.
    open: Option<usize>,
}

/// The keys of a line that mean something.
#[derive(PartialEq)]
enum Key {
    Id,
    Text,
}

impl<'a> Keys<'a> {
    /// The key of a value that stands in the line's object itself.
    fn key(path: &Path<'a>) -> Option<Key> {
        match path.steps() {
            [Step::Key(key)] if key.is("id") => Some(Key::Id),
            [Step::Key(key)] if key.is("text") => Some(Key::Text),
            _ => None,
        }
    }

    fn id(&mut self, start: usize, end: usize) {
        let twice = self.id.replace(self.line.get(start..end).unwrap_or_default()).is_some();
        self.wrong = self.wrong.or(twice.then_some(start));
    }

    /// A value that is no string.
    fn other(&mut self, path: &Path<'a>, start: usize, end: usize) {
        match Self::key(path) {
            Some(Key::Id) => self.id(start, end),
            Some(Key::Text) => self.wrong = self.wrong.or(Some(start)),
            None => {}
        }
    }

    fn begin(&mut self, path: &Path<'a>, start: usize) {
        match Self::key(path) {
            Some(Key::Id) => self.open = Some(start),
            Some(Key::Text) => self.wrong = self.wrong.or(Some(start)),
            None => {}
        }
    }

    fn end(&mut self, path: &Path<'a>, start: usize) {
        if Self::key(path) == Some(Key::Id)
            && let Some(open) = self.open.take()
        {
            self.id(open, start + 1);
        }
    }
}

impl<'a> Visitor<'a> for Keys<'a> {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        match Self::key(path) {
            Some(Key::Id) => self.id(value.start - 1, value.start + value.raw.len() + 1),
            Some(Key::Text) => {
                let twice = self.text.replace(value).is_some();
                self.wrong = self.wrong.or(twice.then_some(value.start));
            }
            None => {}
        }
    }

    fn number(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {
        self.other(path, start, start + raw.len());
    }

    fn literal(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {
        self.other(path, start, start + raw.len());
    }

    fn begin_object(&mut self, path: &Path<'a>, start: usize) {
        self.begin(path, start);
    }

    fn end_object(&mut self, path: &Path<'a>, start: usize) {
        self.end(path, start);
    }

    fn begin_array(&mut self, path: &Path<'a>, start: usize) {
        self.begin(path, start);
    }

    fn end_array(&mut self, path: &Path<'a>, start: usize) {
        self.end(path, start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(&str, String), (usize, &'static str)> {
        Line::read(line.as_bytes()).map(|Line { id, text }| (id, text.decode().into_owned()))
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
            ("[]", 2, "\"id\" or \"text\" is missing"),
            ("{\"id\":1}", 8, "\"id\" or \"text\" is missing"),
            ("[{\"id\":1,\"text\":\"\"}]", 20, "\"id\" or \"text\" is missing"),
            ("{\"id\":1,\"text\":[\"\"]}", 15, "\"id\" or \"text\" stands twice or is of the wrong type"),
            ("{\"id\":1,\"text\":null}", 15, "\"id\" or \"text\" stands twice or is of the wrong type"),
            ("{\"id\":1,\"text\":\"\",\"id\":2}", 23, "\"id\" or \"text\" stands twice or is of the wrong type"),
            ("{\"id\":1,\"text\":\"\"", 17, "the line ends too early"),
            ("{\"id\":1,\"text\":\"\"}x", 18, "not valid JSON"),
        ] {
            assert_eq!(read(line), Err((offset, problem)), "{line}");
        }
        assert_eq!(Line::read(b"{\"id\":\"\xff\"}").map(|line| line.id), Err((7, "not UTF-8")));
    }
}
