//! What stands beside a value: judges the conditions of patterns by looking
//! ahead in the object that they ask of.

use super::media;
use crate::json::{self, Path, Step, Str, Visitor};
use crate::protocol::Condition;

/// How protocols call the type of a file that stands beside it.
const MEDIA_TYPE: [&str; 5] = ["media_type", "mimeType", "mime_type", "contentType", "mediaType"];

/// The objects and arrays on the way to the value at hand, in one document.
pub(super) struct Beside<'a> {
    /// The document, and what else stands in one text with it.
    text: &'a str,
    /// Where in the text the document starts.
    base: usize,
    /// Whether the document is one of several, as the elements of an array.
    is_in_series: bool,
    /// Where they start in the text, the outermost first.
    starts: Vec<usize>,
    /// What was judged of the objects on the way: start, condition, whether it
    /// holds. So each is looked through once a condition.
    judged: Vec<(usize, *const Condition, bool)>,
    /// The way to the last text of the conversation.
    last: Vec<usize>,
}

impl<'a> Beside<'a> {
    /// Of a document that stands alone.
    pub(super) fn new(document: &'a str) -> Self {
        Self::after(Vec::new(), false, document, 0)
    }

    /// Of a document that starts at `base` of a text, where others may stand in
    /// front of it, with the way to the last text of the conversation in them.
    pub(super) fn after(last: Vec<usize>, is_in_series: bool, text: &'a str, base: usize) -> Self {
        Self { text, base, is_in_series, starts: Vec::new(), judged: Vec::new(), last }
    }

    pub(super) fn into_last(self) -> Vec<usize> {
        self.last
    }

    pub(super) fn is_in_series(&self) -> bool {
        self.is_in_series
    }

    /// An object or array begins that so many steps lead to.
    pub(super) fn begin(&mut self, depth: usize, start: usize) {
        self.starts.truncate(depth);
        self.starts.push(self.base + start);
    }

    /// The object ends that starts last.
    pub(super) fn end(&mut self, depth: usize) {
        if !self.judged.is_empty()
            && let Some(start) = self.starts.get(depth)
        {
            self.judged.retain(|(at, ..)| at != start);
        }
    }

    /// The number by which the object is known of which the value at hand is a member.
    pub(super) fn object(&self, path: &Path<'_>) -> Option<usize> {
        let Some(Step::Key(_)) = path.steps().last() else { return None };
        // Zero is no object.
        path.depth().checked_sub(1).and_then(|depth| self.starts.get(depth)).map(|start| start + 1)
    }

    /// Takes note of a text of the conversation to which so many steps lead.
    pub(super) fn note_text(&mut self, depth: usize) {
        self.last.clear();
        self.last.extend_from_slice(self.starts.get(..depth).unwrap_or_default());
    }

    /// Whether somebody goes on in a text, to which so many steps lead, from
    /// the last one: both stand in one array, and under the same role.
    pub(super) fn goes_on(&self, depth: usize) -> bool {
        let now = self.starts.get(..depth).unwrap_or_default();
        let common = now.iter().zip(&self.last).take_while(|(now, last)| now == last).count();
        let (shared, own) = now.split_at_checked(common).unwrap_or_default();
        let is_in_array = match shared.last() {
            Some(start) => self.starts_with(*start, b'['),
            None => self.is_in_series,
        };
        is_in_array && self.role(own) == self.role(self.last.get(common..).unwrap_or_default())
    }

    /// The role that the innermost of these objects names which names one.
    fn role(&self, starts: &[usize]) -> Option<String> {
        let objects = starts.iter().rev().filter(|start| self.starts_with(**start, b'{'));
        objects.into_iter().find_map(|start| {
            let mut role = Role(None);
            // As in `holds`, the walk ends behind the object.
            let _ = json::walk_within(usize::MAX, self.text.get(*start..).unwrap_or_default(), &mut role);
            role.0
        })
    }

    fn starts_with(&self, start: usize, byte: u8) -> bool {
        self.text.as_bytes().get(start) == Some(&byte)
    }

    /// Whether the condition holds of the object on the way that it asks of.
    /// Where a member stands twice it has to hold of both.
    pub(super) fn holds(&mut self, condition: &Condition) -> bool {
        let Some(&start) = self.starts.get(condition.depth) else { return false };
        let known = self.judged.iter().find(|(at, which, _)| *at == start && std::ptr::eq(*which, condition));
        if let Some((_, _, holds)) = known {
            return *holds;
        }
        let mut seek = Seek { condition, seen: false, differs: false };
        // The walk ends behind the object with an error: there the text goes on.
        let _ = json::walk_within(usize::MAX, self.text.get(start..).unwrap_or_default(), &mut seek);
        let holds = seek.seen && !seek.differs;
        self.judged.push((start, condition, holds));
        holds
    }

    /// Whether a media type stands beside a value that so many steps lead to,
    /// and is one of texts.
    pub(super) fn says_text(&self, depth: usize) -> bool {
        let Some(&start) = depth.checked_sub(1).and_then(|depth| self.starts.get(depth)) else { return false };
        let mut seek = SeekType::default();
        // As above.
        let _ = json::walk_within(usize::MAX, self.text.get(start..).unwrap_or_default(), &mut seek);
        seek.is_text
    }
}

/// Looks for a media type among the members of the outermost object.
#[derive(Default)]
struct SeekType {
    is_text: bool,
}

impl<'a> Visitor<'a> for SeekType {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        if let [Step::Key(key)] = path.steps()
            && MEDIA_TYPE.iter().any(|name| key.is(name))
        {
            self.is_text |= media::is_text(&value.decode().to_ascii_lowercase());
        }
    }
}

/// How protocols call whoever says a text.
const SPEAKER: [&str; 5] = ["role", "from", "sender", "author", "speaker"];

/// Reads the role that the outermost object names, or else who speaks.
struct Role(Option<String>);

impl<'a> Visitor<'a> for Role {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        if let [Step::Key(key)] = path.steps()
            && SPEAKER.iter().any(|name| key.is(name))
            && (self.0.is_none() || key.is("role"))
        {
            self.0 = Some(value.decode().into_owned());
        }
    }
}

/// Looks for a member of the outermost object.
struct Seek<'c> {
    condition: &'c Condition,
    seen: bool,
    differs: bool,
}

impl Seek<'_> {
    fn at(&mut self, path: &Path<'_>, is: impl Fn(&str) -> bool) {
        if let [Step::Key(key)] = path.steps()
            && key.is(&self.condition.member)
        {
            self.seen = true;
            let values = &self.condition.values;
            self.differs |= !values.is_empty() && !values.iter().any(|value| is(value));
        }
    }
}

impl<'a> Visitor<'a> for Seek<'_> {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        self.at(path, |wanted| value.is(wanted));
    }

    fn number(&mut self, path: &Path<'a>, raw: &'a str, _start: usize) {
        self.at(path, |wanted| raw == wanted);
    }

    fn literal(&mut self, path: &Path<'a>, raw: &'a str, _start: usize) {
        // A member that is null is as one that is not there.
        if raw != "null" {
            self.at(path, |wanted| raw == wanted);
        }
    }

    fn begin_object(&mut self, path: &Path<'a>, _start: usize) {
        self.at(path, |_| false);
    }

    fn begin_array(&mut self, path: &Path<'a>, _start: usize) {
        self.at(path, |_| false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(document: &str, member: &str, values: &[&str]) -> bool {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        let condition = Condition { depth: 0, member: member.to_owned(), values };
        let mut beside = Beside::new(document);
        beside.begin(0, 0);
        assert_eq!(beside.holds(&condition), beside.holds(&condition));
        beside.holds(&condition)
    }

    #[test]
    fn a_condition_is_judged_by_all_of_an_object() {
        let document = r#"{"text":"x","n":{"type":"a"},"type":"b","f":true,"d":"x","d":"y","z":null} , {"type":"c"}"#;
        for (member, values, wanted) in [
            ("type", &["b"][..], true),
            ("type", &["c", "b"], true),
            ("type", &["a"], false),
            ("f", &["true"], true),
            ("f", &["false"], false),
            ("f", &[], true),
            ("n", &[], true),
            ("n", &["a"], false),
            // Of two an upstream may read either.
            ("d", &["x"], false),
            ("d", &["x", "y"], true),
            ("z", &[], false),
            ("none", &[], false),
        ] {
            assert_eq!(holds(document, member, values), wanted, "{member} {values:?}");
        }
    }
}
