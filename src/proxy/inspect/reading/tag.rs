//! Markup within a text (HTML, XML): tags, comments, instructions and the
//! brackets around character data.

use super::Kind;
use memchr::{memchr, memmem};
use std::ops::Range;

/// A tag with more in it, in bytes, ends at its first `>`, in quotes or not.
const LONGEST: usize = 512;

/// What a piece of markup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// It shows nothing and parts nothing.
    Inline,
    /// It begins a cell of a table.
    Cell,
    /// It begins or ends a paragraph.
    Block,
    /// It ends a line.
    Break,
    /// Of a name that HTML does not have.
    Unknown,
}

/// Names of elements that stand within a line (HTML, 4.5; SVG 2, 11; `MathML`
/// and the phrases of other vocabularies aside).
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "nobr", "q", "rb", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
    "time", "tspan", "textpath", "tt", "u", "var", "wbr",
];

const CELL: &[&str] = &["td", "th"];

const BLOCK: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "button",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "hr",
    "html",
    "img",
    "input",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "script",
    "section",
    "select",
    "style",
    "summary",
    "table",
    "tbody",
    "template",
    "textarea",
    "tfoot",
    "thead",
    "title",
    "tr",
    "ul",
];

impl Tag {
    fn named(name: &str) -> Self {
        let is_in = |list: &[&str]| list.iter().any(|one| one.eq_ignore_ascii_case(name));
        if is_in(INLINE) {
            Self::Inline
        } else if is_in(CELL) {
            Self::Cell
        } else if is_in(BLOCK) {
            Self::Block
        } else if is_in(&["br"]) {
            Self::Break
        } else {
            Self::Unknown
        }
    }

    pub(super) fn kind(self) -> Kind {
        if self == Self::Inline { Kind::Inline } else { Kind::Between }
    }
}

/// What the end of a line is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    Newline,
    /// It stands between two groups of one number.
    Blank,
    /// The line is too long for its place.
    Nothing,
}

/// Where tags begin that end a line.
fn breaks(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let is_break = |at: &usize| bytes.get(*at..at + 3).is_some_and(|tag| tag.eq_ignore_ascii_case(b"<br"));
    memchr::memchr_iter(b'<', bytes).filter(is_break)
}

/// Whether lines of a text end by a tag.
pub(super) fn has_breaks(text: &str) -> bool {
    breaks(text).next().is_some()
}

/// Whether such a tag may part the groups of a number.
pub(super) fn parts_numbers(text: &str) -> bool {
    let end = |at: usize| memchr::memchr(b'>', text.as_bytes().get(at..)?).map(|length| at + length + 1);
    breaks(text).any(|at| end(at).is_some_and(|end| is_between_digits(text, at..end)))
}

fn is_between_digits(text: &str, at: Range<usize>) -> bool {
    let is_digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    is_digit(at.start.checked_sub(1)) && is_digit(Some(at.end))
}

/// Goes through the markup of a text once.
pub(super) struct Tags<'t> {
    text: &'t str,
    breaks: Break,
    /// Whether character data is open, so that `]]>` is markup.
    is_open: bool,
    /// What the rest of the text was found not to hold.
    lacks: [bool; 4],
}

/// How markup ends.
const ENDS: [&[u8]; 4] = [b">", b"-->", b"?>", b"]]>"];
const TAG: usize = 0;
const COMMENT: usize = 1;
const INSTRUCTION: usize = 2;
const CHARACTER_DATA: usize = 3;

impl<'t> Tags<'t> {
    pub(super) fn new(text: &'t str, breaks: Break) -> Self {
        Self { text, breaks, is_open: false, lacks: [false; 4] }
    }

    /// What this markup is for the words around it.
    pub(super) fn stands_for(&self, tag: Tag, at: Range<usize>) -> &'static str {
        match tag {
            Tag::Inline | Tag::Unknown => "",
            Tag::Cell => " ",
            Tag::Break if self.breaks == Break::Nothing => "",
            Tag::Break if self.breaks == Break::Blank && is_between_digits(self.text, at) => " ",
            Tag::Block | Tag::Break => "\n",
        }
    }

    /// The markup at `at`, if some stands there, and where it ends. Places must
    /// be asked for in order.
    pub(super) fn at(&mut self, at: usize) -> Option<(usize, Tag)> {
        let rest = self.text.get(at..)?;
        if rest.starts_with("]]>") {
            self.is_open = false;
            return Some((at + 3, Tag::Inline));
        }
        if self.is_open {
            return None;
        }
        let inner = rest.strip_prefix('<')?;
        if inner.starts_with("!--") {
            return self.end(COMMENT, at + 4).map(|end| (end, Tag::Inline));
        }
        if inner.starts_with("![CDATA[") {
            self.is_open = self.end(CHARACTER_DATA, at).is_some();
            return Some((at + 9, Tag::Inline));
        }
        if inner.starts_with('?') {
            return self.end(INSTRUCTION, at).map(|end| (end, Tag::Inline));
        }
        let name = inner.strip_prefix('/').unwrap_or(inner);
        let start = at + rest.len() - name.len();
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, ':' | '-' | '_' | '.');
        let name = name.split(|c: char| !is_name(c)).next().filter(|name| name.starts_with(char::is_alphabetic))?;
        let behind = start + name.len();
        let is_apart = |c: char| c.is_whitespace() || c == '/' || c == '>';
        if !self.text.get(behind..)?.starts_with(is_apart) {
            return None;
        }
        let first = self.end(TAG, behind)?;
        let end = self.end_of_tag(behind).unwrap_or(first);
        match Tag::named(name) {
            Tag::Cell if inner.starts_with('/') => Some((end, Tag::Unknown)),
            tag => Some((end, tag)),
        }
    }

    /// Behind the next of these ends.
    fn end(&mut self, which: usize, from: usize) -> Option<usize> {
        let (end, lacks) = (ENDS.get(which)?, self.lacks.get_mut(which)?);
        if *lacks {
            return None;
        }
        let rest = self.text.as_bytes().get(from..)?;
        let found = if end.len() == 1 { memchr(b'>', rest) } else { memmem::find(rest, end) };
        *lacks = found.is_none();
        found.map(|found| from + found + end.len())
    }

    /// Behind the `>` that stands in no quotes.
    fn end_of_tag(&self, from: usize) -> Option<usize> {
        let rest = self.text.as_bytes().get(from..)?;
        let mut quote = None;
        let is_end = |b: &u8| {
            match quote {
                Some(open) if open == *b => quote = None,
                None if matches!(b, b'"' | b'\'') => quote = Some(*b),
                None => return *b == b'>',
                Some(_) => {}
            }
            false
        };
        rest.iter().take(LONGEST).position(is_end).map(|found| from + found + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// The text with its markup in guillemets.
    fn marked(text: &str) -> String {
        let (mut tags, mut marked, mut at) = (Tags::new(text, Break::Newline), String::new(), 0);
        while at < text.len() {
            if let Some((end, _)) = tags.at(at).filter(|_| text[at..].starts_with(['<', ']'])) {
                let _ = write!(marked, "«{}»", &text[at..end]);
                at = end;
            } else {
                let c = text[at..].chars().next().unwrap();
                marked.push(c);
                at += c.len_utf8();
            }
        }
        marked
    }

    #[test]
    fn markup_is_told_from_text() {
        for want in [
            "a«<b>»c«</b>»d",
            "«<a title=\"x > y\">»z«</a >»",
            "«<a title='x > y'>»z",
            "«<wbr/>»«<br />»«<w:t xml:space='preserve'>»x",
            "x«<!-- <b> -- -->»y«<!---->»",
            "«<![CDATA[»a <b> c«]]>»d",
            "«<?php echo 1 > 0 ?>»",
            "a < b, a<b> c <3 < <> </> <-",
            "<ana@example.com> <a",
            "<!-- a «<b>» «<![CDATA[» x",
            "«<a \">»x",
            "«]]>» ]] > «<é>»",
        ] {
            let want = if want.starts_with("a < b") { "a < b, a«<b>» c <3 < <> </> <-" } else { want };
            assert_eq!(marked(&want.replace(['«', '»'], "")), want);
        }
    }

    #[test]
    fn names_say_what_a_tag_is() {
        for (text, tag) in [
            ("<B>", Tag::Inline),
            ("</span>", Tag::Inline),
            ("<!-- x -->", Tag::Inline),
            ("<td x>", Tag::Cell),
            ("<br/>", Tag::Break),
            ("<DIV>", Tag::Block),
            ("<customer>", Tag::Unknown),
        ] {
            assert_eq!(Tags::new(text, Break::Newline).at(0), Some((text.len(), tag)), "{text}");
        }
    }
}
