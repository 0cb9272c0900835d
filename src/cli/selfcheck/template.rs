//! A text with holes: `{{text}}`, `{{text:a label}}`. What was sent is known but
//! for the holes, so that what arrived can be laid against it byte by byte.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::json::{self, Path, Step, Str, Visitor};

/// What is planted in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Want {
    /// A sentence with a value.
    Text,
    /// A sentence with a value within HTML or XML in a string.
    Markup,
    /// A sentence that comes again, longer, and of which the end may be missing.
    Growing,
    /// A sentence that breaks off in the middle of its value.
    First,
    /// The rest of that sentence.
    Rest,
    /// A value alone.
    Value,
    /// A value alone that tells who is asking: the route's `identity` holds.
    Who,
    /// A name as an identifier.
    Name,
    /// A JSON number; the quotes around the hole are not part of the text.
    Number,
    /// A value alone where nothing may be touched.
    Never,
    /// Base64 of a picture.
    Media,
    /// A piece of a sentence that goes on in the next event.
    Piece,
    /// A piece of a JSON text that goes on in the next event.
    JsonPiece,
    /// How many events came before.
    Count,
    /// A place in a text, which moves with the text or is dropped.
    Offset,
}

/// A place to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) want: Want,
    /// The row of the table.
    pub(super) field: String,
}

/// How a text has to be written in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    /// HTML and XML.
    Markup,
    Json,
    Percent,
}

/// Literal text and holes in turn; it begins and ends with a literal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template {
    literals: Vec<String>,
    pub(super) holes: Vec<Hole>,
}

/// What arrived is not what was sent, from before this hole on; the number of
/// holes where it is the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changed(pub(super) usize);

impl Template {
    /// Reads a template. Holes without a label are called by `field`, which is
    /// given the offset of the hole.
    pub(super) fn parse(text: &str, field: impl Fn(usize) -> String) -> Result<Self, String> {
        let (mut literals, mut holes) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(open) = text.get(at..).and_then(|rest| rest.find("{{")).map(|found| at + found) {
            let close = text.get(open..).and_then(|rest| rest.find("}}")).map(|found| open + found);
            let close = close.ok_or("a hole is not closed")?;
            let inside = text.get(open + 2..close).unwrap_or_default();
            let (word, label) = inside.split_once(':').unwrap_or((inside, ""));
            let want = match word {
                "text" => Want::Text,
                "markup" => Want::Markup,
                "growing" => Want::Growing,
                "first" => Want::First,
                "rest" => Want::Rest,
                "value" => Want::Value,
                "who" => Want::Who,
                "name" => Want::Name,
                "number" => Want::Number,
                "never" => Want::Never,
                "media" => Want::Media,
                "piece" => Want::Piece,
                "json" => Want::JsonPiece,
                "count" => Want::Count,
                "offset" => Want::Offset,
                other => return Err(format!("`{other}` can be planted nowhere")),
            };
            let mut literal = text.get(at..open).unwrap_or_default();
            at = close + 2;
            if matches!(want, Want::Number | Want::Count | Want::Offset) {
                literal = literal.strip_suffix('"').ok_or("a number stands in quotes")?;
                at += 1;
            }
            literals.push(literal.to_owned());
            holes.push(Hole { want, field: if label.is_empty() { field(open) } else { label.to_owned() } });
        }
        literals.push(text.get(at..).unwrap_or_default().to_owned());
        Ok(Self { literals, holes })
    }

    /// Reads a JSON template; holes are called by their paths.
    pub(super) fn parse_json(text: &str) -> Result<Self, String> {
        let mut places = Places::default();
        json::walk(text, &mut places).map_err(|error| error.to_string())?;
        Self::parse(text, |at| places.field(at))
    }

    /// The same with more around it.
    pub(super) fn within(mut self, before: &str, after: &str) -> Self {
        if let Some(first) = self.literals.first_mut() {
            first.insert_str(0, before);
        }
        if let Some(last) = self.literals.last_mut() {
            last.push_str(after);
        }
        self
    }

    /// All of these with a text between two.
    pub(super) fn joined(all: Vec<Self>, between: &str) -> Self {
        let mut joined = Self { literals: vec![String::new()], holes: Vec::new() };
        for (at, one) in all.into_iter().enumerate() {
            let mut literals = one.literals.into_iter();
            if let Some(last) = joined.literals.last_mut() {
                last.push_str(if at > 0 { between } else { "" });
                last.push_str(&literals.next().unwrap_or_default());
            }
            joined.literals.extend(literals);
            joined.holes.extend(one.holes);
        }
        joined
    }

    /// The text with the holes filled.
    pub(super) fn fill(&self, escape: Escape, mut with: impl FnMut(usize, &Hole) -> String) -> String {
        let mut out = String::new();
        for (at, literal) in self.literals.iter().enumerate() {
            out.push_str(literal);
            if let Some(hole) = self.holes.get(at) {
                out.push_str(&escape.write(&with(at, hole)));
            }
        }
        out
    }

    /// Whether quotes stand around a hole, and whether they are those of a JSON
    /// text within the string.
    pub(super) fn quotes(&self, at: usize) -> (bool, bool) {
        let before = self.literals.get(at).map(String::as_str).unwrap_or_default();
        let after = self.literals.get(at + 1).map(String::as_str).unwrap_or_default();
        let quoted = before.ends_with('"') && after.starts_with(['"', '\\']);
        (quoted, quoted && before.ends_with("\\\""))
    }

    /// What stands in the holes of `received`, escapes undone.
    pub(super) fn fit(&self, received: &str, escape: Escape) -> Result<Vec<String>, Changed> {
        let mut literals = self.literals.iter();
        let first = literals.next().map(String::as_str).unwrap_or_default();
        let mut rest = received.strip_prefix(first).ok_or(Changed(0))?;
        let mut contents = Vec::with_capacity(self.holes.len());
        for (at, literal) in literals.enumerate() {
            let last = at + 1 == self.holes.len();
            let end = if last && rest.ends_with(literal.as_str()) {
                rest.len() - literal.len()
            } else {
                rest.find(literal.as_str()).filter(|_| !last).ok_or(Changed(at + 1))?
            };
            contents.push(escape.read(rest.get(..end).unwrap_or_default()).into_owned());
            rest = rest.get(end + literal.len()..).unwrap_or_default();
        }
        if rest.is_empty() { Ok(contents) } else { Err(Changed(self.holes.len())) }
    }
}

impl Escape {
    pub(super) fn write(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::None | Self::Markup => text.into(),
            Self::Percent => utf8_percent_encode(text, NON_ALPHANUMERIC).into(),
            Self::Json => {
                let mut out = Vec::new();
                json::escape(text, &mut out);
                String::from_utf8(out).unwrap_or_default().into()
            }
        }
    }

    /// Undoes [`write`](Self::write) and other spellings of the same; what is
    /// no such spelling stays as it is, and will not be what is expected.
    pub(super) fn read(self, raw: &str) -> Cow<'_, str> {
        match self {
            Self::None => raw.into(),
            Self::Markup => {
                let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#13;", "\r")];
                let text = entities.into_iter().fold(raw.to_owned(), |text, (name, c)| text.replace(name, c));
                text.replace("&amp;", "&").into()
            }
            Self::Percent => percent_decode_str(raw).decode_utf8().unwrap_or(raw.into()),
            Self::Json => serde_json::from_str::<String>(&format!("\"{raw}\"")).map_or(raw.into(), Cow::Owned),
        }
    }
}

/// Where the strings of a JSON text stand.
#[derive(Default)]
struct Places(Vec<(usize, String)>);

impl Places {
    /// What the string is called that the byte at `at` stands in.
    fn field(&self, at: usize) -> String {
        let before = self.0.iter().take_while(|(start, _)| *start <= at);
        before.last().map(|(_, field)| field.clone()).unwrap_or_default()
    }
}

impl<'a> Visitor<'a> for Places {
    fn key(&mut self, path: &Path<'a>, key: Str<'a>) {
        self.0.push((key.start, format!("a name in {}", called(path))));
    }

    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        self.0.push((value.start, called(path)));
    }
}

/// A path as the protocol files write it: `messages[].content`.
fn called(path: &Path<'_>) -> String {
    let mut out = String::new();
    for step in path.steps() {
        match step {
            Step::Index(_) => out.push_str("[]"),
            Step::Key(key) if key.raw.starts_with("{{") => out.push_str(".*"),
            Step::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(key.raw);
            }
        }
    }
    if out.is_empty() { "the root".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template::parse_json(r#"{"a": [{"b": "{{text}}"}, "{{never:an id}}"], "n": "{{number}}", "{{value}}": "x"}"#)
            .unwrap()
    }

    #[test]
    fn holes_are_called_by_their_paths() {
        let fields: Vec<_> = template().holes.iter().map(|hole| hole.field.clone()).collect();
        assert_eq!(fields, ["a[].b", "an id", "n", "a name in the root"]);
        assert_eq!(template().holes[2].want, Want::Number);
    }

    #[test]
    fn what_was_filled_in_is_read_back() {
        let with = ["say \"é\"\n", "7", "12", "k"];
        let text = template().fill(Escape::Json, |at, _| with[at].to_owned());
        assert_eq!(text, r#"{"a": [{"b": "say \"é\"\n"}, "7"], "n": 12, "k": "x"}"#);
        assert_eq!(template().fit(&text, Escape::Json).unwrap(), with);
    }

    #[test]
    fn a_changed_byte_is_noticed_and_placed() {
        let text = template().fill(Escape::Json, |_, _| "7".to_owned());
        for (from, to, place) in
            [("{\"a\"", "{ \"a\"", 0), ("\"n\"", "\"m\"", 2), ("\"x\"}", "\"y\"}", 4), ("}", "}\n", 1)]
        {
            let changed = text.replacen(from, to, 1);
            assert_eq!(template().fit(&changed, Escape::Json), Err(Changed(place)), "{changed}");
        }
    }

    #[test]
    fn a_wrong_template_says_why() {
        for wrong in ["{{text", "{{telepathy}}", "{{number}}"] {
            assert!(Template::parse(wrong, |_| String::new()).is_err(), "{wrong}");
        }
    }
}
