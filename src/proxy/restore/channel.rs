//! A stream of events carries many texts at once: one for each choice, member
//! and tool call. Each has a restorer of its own.

use super::Context;
use super::events::Open;
use super::finder::Finder;
use super::offsets::Shifts;
use super::pieces::JsonStart;
use crate::json::{Path, Step};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Paths of streamed texts are short; what is deeper shares the last place.
const DEPTH: usize = 12;

/// Where in an event a text stands, as one hash a step. The default is the
/// event as a whole.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    steps: [u64; DEPTH],
    length: usize,
}

impl Place {
    /// Of a value.
    pub(super) fn of(path: &Path<'_>) -> Self {
        Self::of_steps(path.steps())
    }

    /// Of the object or array that a value stands in.
    pub(super) fn of_parent(path: &Path<'_>) -> Self {
        let steps = path.steps();
        Self::of_steps(steps.get(..steps.len().saturating_sub(1)).unwrap_or_default())
    }

    fn of_steps(path: &[Step<'_>]) -> Self {
        let mut place = Self { steps: [0; DEPTH], length: path.len().min(DEPTH) };
        for (at, step) in path.iter().enumerate() {
            let hash = match step {
                Step::Key(name) => name.raw.bytes().fold(1, |hash, byte| mix(hash, u64::from(byte))),
                Step::Index(index) => element(u64::from(*index)),
            };
            if let Some(own) = place.steps.get_mut(at.min(DEPTH - 1)) {
                *own = mix(*own, hash);
            }
        }
        place
    }

    /// One number for the place in this event.
    pub(super) fn hash(&self) -> u64 {
        self.prefixes().last().unwrap_or(0)
    }

    fn prefixes(&self) -> impl Iterator<Item = u64> {
        self.steps.iter().take(self.length).scan(0, |hash, step| {
            *hash = mix(*hash, *step);
            Some(*hash)
        })
    }

    /// The same place, with each element of an array called by the number it
    /// gives itself (`"index": 1`) instead of its position. `indexes` holds the
    /// number by the hash of an element's place.
    pub(super) fn renumbered(mut self, indexes: &BTreeMap<u64, u64>) -> Self {
        if indexes.is_empty() {
            return self;
        }
        let as_written = self;
        for (at, prefix) in as_written.prefixes().enumerate() {
            if let (Some(number), Some(own)) = (indexes.get(&prefix), self.steps.get_mut(at)) {
                *own = mix(0, element(*number));
            }
        }
        self
    }

    /// The last of the first so many steps, if it leads to an element of an array.
    pub(super) fn step(&self, depth: usize) -> Option<u64> {
        let at = depth.checked_sub(1).filter(|at| *at < self.length.min(DEPTH - 1))?;
        self.steps.get(at).copied()
    }

    /// The step that leads to this element of an array.
    pub(super) fn step_to(number: u64) -> u64 {
        mix(0, element(number))
    }

    /// One number for the first so many steps; none where there are fewer.
    pub(super) fn prefix(&self, depth: usize) -> Option<u64> {
        match depth.min(DEPTH) {
            0 => Some(0),
            depth => self.prefixes().nth(depth - 1),
        }
    }
}

/// Objects of an event that get no more text.
#[derive(Default)]
pub(super) struct Ended {
    /// The event as a whole.
    all: bool,
    objects: BTreeSet<u64>,
}

impl Ended {
    pub(super) fn of(places: impl Iterator<Item = Place>) -> Self {
        let mut ended = Self::default();
        for place in places {
            ended.all |= place.length == 0;
            ended.objects.insert(place.hash());
        }
        ended
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Whether what stands there lies below one of them. Everything belongs to
    /// the event as a whole, a text that is all of it too.
    fn covers(&self, place: &Place) -> bool {
        self.all || place.prefixes().take(place.length.saturating_sub(1)).any(|prefix| self.objects.contains(&prefix))
    }
}

fn element(number: u64) -> u64 {
    mix(2, number)
}

/// One round of FNV-1a with a fold of the high bits.
fn mix(hash: u64, value: u64) -> u64 {
    let mixed = (hash ^ value ^ 0xcbf2_9ce4_8422_2325).wrapping_mul(0x0100_0000_01b3);
    mixed ^ (mixed >> 29)
}

/// So many members of an event may say which text it carries on.
const KEYS: usize = 6;

/// What the members of an event say that tell which text it carries on, each
/// as one hash; 0 where it has no such member.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keys([u64; KEYS]);

impl Keys {
    pub(super) fn set(&mut self, at: usize, raw: &str) {
        if let Some(key) = self.0.get_mut(at) {
            *key = raw.bytes().fold(3, |hash, byte| mix(hash, u64::from(byte))) | 1;
        }
    }

    /// Whether these keys, as far as there are any, are those of the other.
    fn cover(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(own, other)| *own == 0 || own == other)
    }
}

/// A text that goes on from event to event.
pub(super) struct Channel {
    pub(super) place: Place,
    keys: Keys,
    /// Of the place and the keys.
    pub(super) hash: u64,
    pub(super) finder: Finder,
    /// Whether the text is a JSON text.
    pub(super) start: JsonStart,
    /// The places of what it holds.
    pub(super) open: VecDeque<Open>,
    /// How places in the text have moved, and the offsets that count in it.
    pub(super) shifts: Shifts,
    pub(super) counted: Option<usize>,
}

/// With more texts than this, one that holds nothing back makes place for a new
/// one. Real replies have a few.
const MANY: usize = 256;

/// There are no more than these: each of the others is taken for whole.
const MOST: usize = 4096;

/// All texts of one reply.
#[derive(Default)]
pub(super) struct Channels {
    list: Vec<Channel>,
    by_hash: BTreeMap<u64, usize>,
    /// The last that was asked to make place.
    asked: usize,
}

impl Channels {
    /// The text at this place; a new one if it is the first time. None where
    /// there are too many.
    pub(super) fn at(&mut self, place: Place, keys: Keys, context: &Context) -> Option<&mut Channel> {
        let hash = keys.0.iter().fold(place.hash(), |hash, key| mix(hash, *key));
        let at = match self.by_hash.get(&hash) {
            Some(at) => *at,
            None => self.place_for_new(Channel::new(place, keys, hash, context))?,
        };
        self.list.get_mut(at)
    }

    fn place_for_new(&mut self, new: Channel) -> Option<usize> {
        let hash = new.hash;
        let at = self.list.len();
        if at >= MANY {
            self.asked = (self.asked + 1) % at;
            let asked = self.list.get_mut(self.asked)?;
            if asked.open.is_empty() {
                self.by_hash.remove(&asked.hash);
                *asked = new;
                self.by_hash.insert(hash, self.asked);
                return Some(self.asked);
            }
        }
        if at >= MOST {
            return None;
        }
        self.list.push(new);
        self.by_hash.insert(hash, at);
        Some(at)
    }

    /// The text with this hash.
    pub(super) fn by_hash(&mut self, hash: u64) -> Option<&mut Channel> {
        self.by_hash.get(&hash).and_then(|at| self.list.get_mut(*at))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Channel> {
        self.list.iter_mut()
    }
}

impl Channel {
    fn new(place: Place, keys: Keys, hash: u64, context: &Context) -> Self {
        let (finder, start, shifts) = (Finder::new(context), JsonStart::default(), Shifts::default());
        Self { place, keys, hash, finder, start, open: VecDeque::new(), shifts, counted: None }
    }

    /// Whether this text belongs to one of these objects of an event with
    /// these keys.
    pub(super) fn ends_with(&self, ended: &Ended, keys: &Keys) -> bool {
        keys.cover(&self.keys) && ended.covers(&self.place)
    }

    /// Whether the text stands in the object of so many steps that starts so.
    pub(super) fn stands_in(&self, prefix: u64, depth: usize, keys: &Keys) -> bool {
        self.place.prefix(depth) == Some(prefix) && keys.cover(&self.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Str, Visitor, walk};

    /// The places of the strings of a document.
    fn places(document: &str) -> Vec<Place> {
        struct Collect(Vec<Place>);
        impl<'a> Visitor<'a> for Collect {
            fn string(&mut self, path: &Path<'a>, _value: Str<'a>) {
                self.0.push(Place::of(path));
            }
        }
        let mut collect = Collect(Vec::new());
        walk(document, &mut collect).unwrap();
        collect.0
    }

    #[test]
    fn an_element_is_called_by_its_own_number() {
        let second = places(r#"{"c":[{"t":""},{"t":""}]}"#)[1];
        let alone = places(r#"{"c":[{"t":""}]}"#)[0];
        assert_ne!(second.hash(), alone.hash());
        let element = Place { length: 2, ..alone };
        assert_eq!(alone.renumbered(&BTreeMap::from([(element.hash(), 1)])).hash(), second.hash());
        assert_eq!(alone.renumbered(&BTreeMap::from([(second.hash(), 1)])).hash(), alone.hash());
        assert_eq!(second.step(2), Some(Place::step_to(1)));
    }

    #[test]
    fn a_text_lies_below_its_objects_alone() {
        let [a, b] = places(r#"{"c":[{"d":{"t":""}},{"d":{"t":""}}]}"#)[..] else { panic!("two strings") };
        let first = Place { length: 2, ..a };
        let ended = Ended::of([first].into_iter());
        assert!(ended.covers(&a) && !ended.covers(&b) && !ended.covers(&first));
        assert!(Ended::of([Place::default()].into_iter()).covers(&Place::default()));
    }
}
