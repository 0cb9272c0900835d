//! The members of replies: which are restored, and how they go on from event to event.

use super::glob::Glob;
use super::pattern::{Outline, Pattern, PatternSet};
use crate::json::Path;
use serde::Deserialize;

/// What stands in a reply, besides whole texts, which is everything not named here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplyFields {
    /// Ids, names and what is signed.
    never: PatternSet,
    /// Times of servers, which look like numbers of phones: where they are digits
    /// and nothing else, no data of others is looked for in them.
    times: PatternSet,
    /// Strings that hold a JSON text.
    nested: PatternSet,
    /// Strings that are HTML or XML where they begin with a `<`.
    markup: PatternSet,
    /// Texts that go on in the next event, and those below such members that
    /// do not.
    stream: PatternSet,
    whole: PatternSet,
    /// Numbers, names (and `true`) by which the elements of an array say which they are.
    index: PatternSet,
    /// Arrays whose places say nothing: their elements carry on the same texts.
    loose: PatternSet,
    /// Members of which a string, an object or `true` says that the object gets no more text.
    end: PatternSet,
    /// Signatures: an object that has one stays as it is.
    sealed: PatternSet,
    /// How an object says that its texts come again, longer.
    growing: Vec<Growing>,
    /// Padding that hides how long the text of an event is.
    padding: PatternSet,
    /// Members of an event that say which of many texts it carries on.
    pub key: Vec<Pattern>,
    /// The member that says of what kind an event is.
    pub kind: Option<Pattern>,
    /// What holds for events of some kinds besides.
    events: Vec<EventKind>,
    /// Where in a text something stands, as numbers.
    pub offsets: Vec<Offsets>,
    /// The data of the event that ends a stream.
    pub done: Option<String>,
    /// Request paths of which the reply is an array that comes element by element.
    elements: Vec<Glob>,
}

/// What holds for events of some kinds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventKind {
    /// Names of kinds; one `*` stands for any characters.
    kinds: Vec<String>,
    never: PatternSet,
    nested: PatternSet,
    /// Whether the texts that the event's keys name get no more after it.
    pub end: bool,
}

/// A member that says that the texts of its object come again, longer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Growing {
    member: Pattern,
    is: String,
    /// These texts.
    texts: PatternSet,
}

/// Numbers that count the characters of a text up to some place in it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "OffsetsTable")]
pub struct Offsets {
    /// The numbers.
    pub at: PatternSet,
    /// The text. None where it is not in the reply: then no number can be right
    /// once something was put back.
    pub text: Option<Pattern>,
    /// How many steps lead to the object in which both stand.
    pub depth: usize,
    /// The number beside them that says in which of several texts they count.
    pub part: Option<Pattern>,
    /// How many steps lead to the elements that it counts.
    pub part_depth: usize,
    /// What is counted.
    pub unit: Unit,
}

/// How [`Offsets`] are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OffsetsTable {
    /// The object in which numbers and text stand; the document where it is empty.
    within: String,
    at: Vec<String>,
    text: Option<String>,
    part: Option<String>,
    #[serde(default)]
    unit: Unit,
}

impl TryFrom<OffsetsTable> for Offsets {
    type Error = String;

    fn try_from(table: OffsetsTable) -> Result<Self, String> {
        let within = &table.within;
        let pattern = |path: &String| match within.as_str() {
            "" => Pattern::parse(path),
            _ => Pattern::parse(&format!("{within}.{path}")),
        };
        let at = table.at.iter().map(pattern).collect::<Result<_, _>>()?;
        let text = table.text.as_ref().map(pattern).transpose()?;
        let part = table.part.as_ref().map(pattern).transpose()?;
        let steps = |path: &str| -> usize {
            path.split('.').filter(|step| !step.is_empty()).map(|step| 1 + step.matches("[]").count()).sum()
        };
        let depth = steps(within);
        let elements = table.text.as_deref().and_then(|text| text.rsplit_once("[]")).map(|(before, _)| before);
        if part.is_some() && elements.is_none() {
            return Err("`part` counts the elements of an array in `text`".to_owned());
        }
        let part_depth = depth + elements.map_or(0, |before| steps(before) + 1);
        Ok(Self { at, text, depth, part, part_depth, unit: table.unit })
    }
}

/// What an offset counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Code points.
    #[default]
    Character,
    /// Bytes of UTF-8.
    Byte,
}

/// What a member of a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyField {
    /// Never touched.
    Never,
    /// A piece of a text that goes on in the next event.
    Piece,
    /// A text that is whole.
    Whole,
    /// As long as it needs to be to hide the length of the text beside it.
    Padding,
}

impl Unit {
    /// How long a text is.
    pub fn count(self, text: &str) -> usize {
        match self {
            Self::Character => text.chars().count(),
            Self::Byte => text.len(),
        }
    }
}

impl ReplyFields {
    /// What stands at `path` in a document or an event of this kind.
    pub fn classify(&self, path: &Path<'_>, kind: Option<&EventKind>) -> ReplyField {
        let outline = Outline::of(path);
        if self.never.covers(path, outline) || kind.is_some_and(|kind| kind.never.covers(path, outline)) {
            ReplyField::Never
        } else if self.stream.covers(path, outline) && !self.whole.covers(path, outline) {
            ReplyField::Piece
        } else if self.padding.covers(path, outline) {
            ReplyField::Padding
        } else {
            ReplyField::Whole
        }
    }

    /// Whether digits at `path` tell a time.
    pub fn is_time(&self, path: &Path<'_>) -> bool {
        self.times.matches(path)
    }

    /// Whether the string at `path` holds a JSON text.
    pub fn is_nested(&self, path: &Path<'_>, kind: Option<&EventKind>) -> bool {
        self.nested.matches(path) || kind.is_some_and(|kind| kind.nested.matches(path))
    }

    /// Whether the string at `path` may hold HTML or XML.
    pub fn is_markup(&self, path: &Path<'_>) -> bool {
        self.markup.matches(path)
    }

    /// Whether the value at `path` tells which element of its array this is.
    pub fn is_index(&self, path: &Path<'_>) -> bool {
        self.index.matches(path)
    }

    /// Whether the place of the element at `path` in its array says nothing.
    pub fn is_loose(&self, path: &Path<'_>) -> bool {
        self.loose.matches(path)
    }

    /// Whether a value at `path` says that its object gets no more text.
    pub fn is_end(&self, path: &Path<'_>) -> bool {
        self.end.matches(path)
    }

    /// Whether a value at `path` signs its object.
    pub fn is_seal(&self, path: &Path<'_>) -> bool {
        self.sealed.matches(path)
    }

    /// Whether the string at `path` says that the texts of its object come again, longer.
    pub fn is_growing(&self, path: &Path<'_>, says: impl Fn(&str) -> bool) -> bool {
        self.growing.iter().any(|growing| growing.member.matches(path) && says(&growing.is))
    }

    /// Whether the text at `path` is one that comes again, where its object says so.
    pub fn may_grow(&self, path: &Path<'_>) -> bool {
        self.growing.iter().any(|growing| growing.texts.matches(path))
    }

    /// The offsets that count in the text at `path`.
    pub fn counted(&self, path: &Path<'_>) -> Option<usize> {
        self.offsets.iter().position(|offsets| offsets.text.as_ref().is_some_and(|text| text.matches(path)))
    }

    /// The offsets of which the number at `path` is one.
    pub fn counts(&self, path: &Path<'_>) -> Option<usize> {
        self.offsets.iter().position(|offsets| offsets.at.matches(path))
    }

    /// Whether the number at `path` says in which of several texts those beside it count.
    pub fn is_part(&self, path: &Path<'_>) -> bool {
        self.offsets.iter().any(|offsets| offsets.part.as_ref().is_some_and(|part| part.matches(path)))
    }

    /// Whether an event has to be read for its kind and keys before the rest.
    pub fn has_kinds(&self) -> bool {
        self.kind.is_some() || !self.key.is_empty()
    }

    /// What holds for events of the kind called so.
    pub fn event(&self, kind: &str) -> Option<&EventKind> {
        self.events.iter().find(|event| event.kinds.iter().any(|name| is_like(kind, name)))
    }

    /// Whether the reply to this path is an array that comes element by element.
    pub fn comes_in_elements(&self, path: &str) -> bool {
        if self.elements.is_empty() {
            return false;
        }
        let path: Vec<_> = path.split('/').skip(1).collect();
        self.elements.iter().any(|glob| glob.matches(&path))
    }
}

/// Whether `kind` is called `name`, in which one `*` stands for any characters.
fn is_like(kind: &str, name: &str) -> bool {
    match name.split_once('*') {
        None => kind == name,
        Some((head, tail)) => kind.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (kind, name, like) in [
            ("a.done", "a.done", true),
            ("a.done", "*.done", true),
            ("a.done", "a.*", true),
            ("a.b.done", "a.*.done", true),
            ("a.done", "a.*.done", false),
            ("a.delta", "*.done", false),
            ("", "*", true),
        ] {
            assert_eq!(is_like(kind, name), like, "{kind} {name}");
        }
    }
}
