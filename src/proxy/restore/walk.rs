//! What one document or event of a reply holds, found in a walk over it.

use super::channel::{Keys, Place};
use super::escape::Escape;
use crate::json::{self, JsonError, Path, Str, Visitor};
use crate::protocol::{EventKind, ReplyField, ReplyFields};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU32;
use std::ops::Range;

/// A number with fewer digits is neither a card nor a phone.
const SHORTEST_NUMBER: usize = 7;

/// What was found. It is cleared and used again.
#[derive(Default)]
pub(super) struct Found {
    /// Texts, and names of members, in order.
    pub(super) texts: Vec<Text>,
    /// Where those stand for which it matters.
    places: Vec<Place>,
    /// Which text of many an event carries on.
    pub(super) keys: Keys,
    /// The number that an element of an array gives itself, by the hash of its place.
    pub(super) indexes: BTreeMap<u64, u64>,
    /// Objects that get no more text.
    pub(super) ends: Vec<Place>,
    /// Strings of padding.
    pub(super) padding: Vec<Range<usize>>,
    /// Places in texts.
    pub(super) numbers: Vec<Number>,
    /// Objects (the hash of their place), and in which of several texts the places in them count.
    pub(super) parts: Vec<(u64, u64)>,
    /// Numbers that may be those of a phone or a card.
    pub(super) digits: Vec<Range<usize>>,
    /// Signed objects, and those whose texts come again.
    sealed: Objects,
    growing: Objects,
    /// Of a walk, to be used again.
    objects: Vec<Open>,
}

/// A string that may be changed.
pub(super) struct Text {
    /// Which of the places is its own; none where it does not matter.
    place: Option<NonZeroU32>,
    /// Its inside, quotes excluded.
    pub(super) at: Range<usize>,
    pub(super) escaped: bool,
    pub(super) escape: Escape,
    /// Whether it goes on in the next event.
    pub(super) is_piece: bool,
    /// Whether it comes again, longer, where its object says so.
    may_grow: bool,
    /// The offsets that count in it.
    counted: Option<u16>,
}

impl Text {
    /// The offsets that count in it.
    pub(super) fn counted(&self) -> Option<usize> {
        self.counted.map(usize::from)
    }
}

/// A number that tells a place in a text.
pub(super) struct Number {
    pub(super) place: Place,
    pub(super) at: Range<usize>,
    pub(super) value: Option<usize>,
    /// Which of the offsets of the protocol it is one of.
    pub(super) offsets: usize,
    /// The hash of the place of its object, as it was written.
    pub(super) object: u64,
}

impl Found {
    /// Walks over a document that is whole. Strings of fewer bytes than
    /// `shortest` hold nothing.
    pub(super) fn read_document(&mut self, data: &str, fields: &ReplyFields, shortest: usize) -> Result<(), JsonError> {
        self.read(data, fields, None, false, shortest)
    }

    /// Walks over an event, of which texts may go on in the next one.
    pub(super) fn read_event(&mut self, data: &str, fields: &ReplyFields, in_pieces: bool) -> Result<(), JsonError> {
        let (mut kind, mut keys) = (None, Keys::default());
        if fields.has_kinds() {
            let mut head = Head { fields, kind: None, keys: Keys::default() };
            json::walk(data, &mut head)?;
            (kind, keys) = (head.kind, head.keys);
        }
        self.read(data, fields, kind, in_pieces, 1)?;
        self.keys = keys;
        if kind.is_some_and(|kind| kind.end) {
            self.ends.push(Place::default());
        }
        Ok(())
    }

    fn read(
        &mut self,
        data: &str,
        fields: &ReplyFields,
        kind: Option<&EventKind>,
        in_pieces: bool,
        shortest: usize,
    ) -> Result<(), JsonError> {
        self.clear();
        let objects = std::mem::take(&mut self.objects);
        let mut walk = Walk { fields, kind, in_pieces, shortest, found: self, objects };
        let read = json::walk(data, &mut walk);
        self.objects = walk.objects;
        read
    }

    fn clear(&mut self) {
        let Self { texts, places, keys, indexes, ends, padding, numbers, parts, digits, sealed, growing, objects } =
            self;
        texts.clear();
        places.clear();
        *keys = Keys::default();
        indexes.clear();
        ends.clear();
        padding.clear();
        numbers.clear();
        parts.clear();
        digits.clear();
        sealed.0.clear();
        growing.0.clear();
        objects.clear();
    }

    /// Nothing follows.
    pub(super) fn set_end(&mut self) {
        self.clear();
        self.ends.push(Place::default());
    }

    /// What is no JSON is one text.
    pub(super) fn set_text(&mut self, data: &str, is_piece: bool) {
        self.clear();
        let at = 0..data.len();
        let escape = Escape::None;
        self.texts.push(Text { place: None, at, escaped: false, escape, is_piece, may_grow: false, counted: None });
    }

    /// Where the text stands, if it goes on or offsets count in it.
    pub(super) fn place(&self, text: &Text) -> Place {
        let own = text.place.and_then(|nth| self.places.get(usize::try_from(nth.get()).ok()?.checked_sub(1)?));
        own.copied().unwrap_or_default()
    }

    /// Whether the text stands in a signed object.
    pub(super) fn is_sealed(&self, text: &Text) -> bool {
        self.sealed.hold(text.at.start)
    }

    /// Whether the text comes again, longer.
    pub(super) fn is_growing(&self, text: &Text) -> bool {
        text.may_grow && self.growing.hold(text.at.start)
    }
}

/// Objects in order, none of them in another.
#[derive(Default)]
struct Objects(Vec<Range<usize>>);

impl Objects {
    /// Adds one that ends behind all others.
    fn add(&mut self, object: Range<usize>) {
        while self.0.pop_if(|inner| inner.start >= object.start).is_some() {}
        self.0.push(object);
    }

    fn hold(&self, at: usize) -> bool {
        let before = self.0.partition_point(|object| object.start <= at);
        before.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|object| object.contains(&at))
    }
}

/// Reads what tells of what kind an event is.
struct Head<'w> {
    fields: &'w ReplyFields,
    kind: Option<&'w EventKind>,
    keys: Keys,
}

impl Head<'_> {
    fn key_at(&mut self, path: &Path<'_>, raw: &str) {
        if let Some(at) = self.fields.key.iter().position(|key| key.matches(path)) {
            self.keys.set(at, raw);
        }
    }
}

impl<'a> Visitor<'a> for Head<'_> {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        if self.kind.is_none() && self.fields.kind.as_ref().is_some_and(|kind| kind.matches(path)) {
            self.kind = self.fields.event(&value.decode());
        }
        self.key_at(path, value.raw);
    }

    fn number(&mut self, path: &Path<'a>, raw: &'a str, _start: usize) {
        self.key_at(path, raw);
    }
}

/// An object that has not ended.
#[derive(Default)]
struct Open {
    start: usize,
    sealed: bool,
    growing: bool,
}

struct Walk<'w> {
    fields: &'w ReplyFields,
    kind: Option<&'w EventKind>,
    in_pieces: bool,
    shortest: usize,
    found: &'w mut Found,
    objects: Vec<Open>,
}

impl Walk<'_> {
    /// Any value may say something of its object.
    fn mark(&mut self, path: &Path<'_>) {
        if let Some(object) = self.objects.last_mut() {
            object.sealed |= self.fields.is_seal(path);
        }
    }

    fn index(&mut self, path: &Path<'_>, number: u64) {
        if self.in_pieces && self.fields.is_index(path) {
            // What an element says of itself comes behind what its array says.
            self.found.indexes.insert(Place::of_parent(path).hash(), number);
        }
    }

    /// The same where the element says a name.
    fn index_by_name(&mut self, path: &Path<'_>, name: &str) {
        if self.in_pieces && self.fields.is_index(path) {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            self.found.indexes.insert(Place::of_parent(path).hash(), hasher.finish());
        }
    }

    fn end(&mut self, path: &Path<'_>) {
        if self.in_pieces && self.fields.is_end(path) {
            self.found.ends.push(Place::of_parent(path));
        }
    }
}

impl<'a> Visitor<'a> for Walk<'_> {
    fn key(&mut self, _path: &Path<'a>, key: Str<'a>) {
        // Most names are identifiers.
        if key.raw.len() >= self.shortest && !key.raw.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            let at = key.start..key.start + key.raw.len();
            let text = Text {
                place: None,
                at,
                escaped: key.escaped,
                escape: Escape::Json,
                is_piece: false,
                may_grow: false,
                counted: None,
            };
            self.found.texts.push(text);
        }
    }

    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        let fields = self.fields;
        let at = value.start..value.start + value.raw.len();
        self.mark(path);
        self.end(path);
        self.index_by_name(path, value.raw);
        if fields.is_growing(path, |says| value.is(says))
            && let Some(object) = self.objects.last_mut()
        {
            object.growing = true;
        }
        let is_number = !value.raw.is_empty() && value.raw.bytes().all(|byte| byte.is_ascii_digit());
        let is_piece = match fields.classify(path, self.kind) {
            ReplyField::Never => return,
            _ if is_number && fields.is_time(path) => return,
            ReplyField::Padding => return self.found.padding.push(at),
            ReplyField::Piece => self.in_pieces,
            ReplyField::Whole => false,
        };
        let is_markup = || fields.is_markup(path) && value.decode().trim_start().starts_with('<');
        let escape = match fields.is_nested(path, self.kind) {
            true => Escape::NestedJson,
            false if is_markup() => Escape::JsonMarkup,
            false => Escape::Json,
        };
        let counted = fields.counted(path).and_then(|nth| u16::try_from(nth).ok());
        let mut place = None;
        if is_piece || counted.is_some() {
            self.found.places.push(Place::of(path));
            place = u32::try_from(self.found.places.len()).ok().and_then(NonZeroU32::new);
        } else if value.raw.is_empty() || (value.raw.len() < self.shortest && !fields.may_grow(path)) {
            // A document may hold very many of them.
            return;
        }
        let may_grow = fields.may_grow(path);
        self.found.texts.push(Text { place, at, escaped: value.escaped, escape, is_piece, may_grow, counted });
    }

    fn number(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {
        self.mark(path);
        self.index(path, raw.parse().unwrap_or(u64::MAX));
        if let Some(offsets) = self.fields.counts(path) {
            let (place, at, object) = (Place::of(path), start..start + raw.len(), Place::of_parent(path).hash());
            self.found.numbers.push(Number { place, at, value: raw.parse().ok(), offsets, object });
        } else if self.fields.is_part(path) {
            self.found.parts.push((Place::of_parent(path).hash(), raw.parse().unwrap_or(u64::MAX)));
        } else if raw.len() >= SHORTEST_NUMBER
            && self.fields.classify(path, self.kind) != ReplyField::Never
            && !self.fields.is_time(path)
        {
            self.found.digits.push(start..start + raw.len());
        }
    }

    fn literal(&mut self, path: &Path<'a>, raw: &'a str, _start: usize) {
        if raw == "true" {
            self.mark(path);
            self.index(path, u64::MAX);
            self.end(path);
        }
    }

    fn begin_object(&mut self, path: &Path<'a>, start: usize) {
        self.end(path);
        self.objects.push(Open { start, ..Open::default() });
        if self.in_pieces && self.fields.is_loose(path) {
            self.found.indexes.insert(Place::of(path).hash(), 0);
        }
    }

    fn end_object(&mut self, _path: &Path<'a>, end: usize) {
        let Some(object) = self.objects.pop() else { return };
        if object.sealed {
            self.found.sealed.add(object.start..end);
        }
        if object.growing {
            self.found.growing.add(object.start..end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocols;

    #[test]
    fn objects_are_known_by_what_they_hold() {
        let mut objects = Objects::default();
        for object in [2..4, 5..9, 1..10, 20..22] {
            objects.add(object);
        }
        assert_eq!(objects.0, [1..10, 20..22]);
        let held: Vec<usize> = (0..25).filter(|at| objects.hold(*at)).collect();
        assert_eq!(held, (1..10).chain(20..22).collect::<Vec<_>>());
    }

    #[test]
    fn the_strings_of_a_document_take_little() {
        let protocols = Protocols::builtin().unwrap();
        let fields = &protocols.named("openai-chat").unwrap().reply;
        let mut found = Found::default();
        found.read_document(r#"["", "", "ab"]"#, fields, 1).unwrap();
        assert_eq!((found.texts.len(), found.places.len()), (1, 0));
        found.read_document(r#"["ab", "abc", {"AB": 1, "ABC": 1}]"#, fields, 3).unwrap();
        assert_eq!(found.texts.len(), 2);
        assert!(size_of::<Text>() <= 32, "{}", size_of::<Text>());
        let event = r#"{"choices": [{"delta": {"content": ""}}]}"#;
        found.read_event(event, fields, true).unwrap();
        assert_eq!((found.texts.len(), found.places.len()), (1, 1));
    }
}
