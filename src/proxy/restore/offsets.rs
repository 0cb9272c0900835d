//! Offsets into a text, such as those of citations, are wrong once the text has
//! become longer or shorter: they move with it.

use super::Context;
use super::channel::{Channel, Channels, Place};
use super::edits::Edits;
use super::walk::Number;
use crate::protocol::Offsets;
use std::borrow::Cow;
use std::collections::HashMap;

/// Moves the offsets of a document or event with the texts that they count in,
/// those of the document or of the stream so far. One of which the text is not
/// known becomes null once it can be wrong.
pub(super) fn shift(edits: &mut Edits, channels: &mut Channels, changed_before: bool, context: &Context) {
    let all = &context.protocol.reply.offsets;
    if all.is_empty() {
        return;
    }
    for edit in &edits.texts {
        let channel = edit.channel.and_then(|hash| channels.by_hash(hash));
        if let (Some(channel), Some(offsets)) = (channel, edit.counted.and_then(|n| all.get(n))) {
            channel.shifts.add(edit.pieces.lengths(|text| offsets.unit.count(text)));
        }
    }
    if edits.numbers.is_empty() {
        return;
    }
    let changed = changed_before || edits.are_changes();
    let (numbers, mut others) = (std::mem::take(&mut edits.numbers), Vec::new());
    let mut texts = Texts::of(edits, all);
    for number in numbers {
        let Some(offsets) = all.get(number.offsets) else { continue };
        let moved = number.value.filter(|_| offsets.text.is_some());
        let moved = moved.and_then(|place| texts.moved(&number, place, offsets, channels));
        let is_foreign = offsets.text.is_none() && !context.is_idle();
        match moved {
            Some(moved) if Some(moved) == number.value => {}
            Some(moved) => others.push((number.at, Cow::Owned(moved.to_string()))),
            None if changed || is_foreign => others.push((number.at, Cow::Borrowed("null"))),
            None => {}
        }
    }
    edits.others.append(&mut others);
}

/// The whole texts of a document or event in which places count.
struct Texts<'e> {
    edits: &'e Edits,
    all: &'e [Offsets],
    /// In the object of a place (by its hash), and of several texts in it the
    /// one that a number tells: the text, and whether it is not the only one.
    places: HashMap<(usize, u64, Option<u64>), (usize, bool)>,
    /// In which of several texts the places of an object count.
    parts: HashMap<u64, u64>,
    /// How places have moved in those that were asked for.
    shifts: HashMap<usize, Shifts>,
}

impl<'e> Texts<'e> {
    fn of(edits: &'e Edits, all: &'e [Offsets]) -> Self {
        let mut places = HashMap::new();
        for (at, edit) in edits.texts.iter().enumerate().filter(|(_, edit)| edit.channel.is_none()) {
            let Some((nth, offsets)) = edit.counted.and_then(|nth| Some((nth, all.get(nth)?))) else { continue };
            let Some(object) = edit.place.prefix(offsets.depth) else { continue };
            let part = offsets.part.as_ref().and_then(|_| edit.place.step(offsets.part_depth));
            for part in [None, part].into_iter().take(1 + usize::from(part.is_some())) {
                places.entry((nth, object, part)).and_modify(|(_, several)| *several = true).or_insert((at, false));
            }
        }
        let parts = edits.parts.iter().copied().collect();
        Self { edits, all, places, parts, shifts: HashMap::new() }
    }

    /// Where a place is now; none where it is not known in which text it is.
    fn moved(&mut self, number: &Number, place: usize, offsets: &Offsets, channels: &Channels) -> Option<usize> {
        let object = number.place.prefix(offsets.depth)?;
        let part = self.parts.get(&number.object).copied();
        let key = (number.offsets, object, part.map(Place::step_to));
        if let Some((at, several)) = self.places.get(&key).copied() {
            return if several { None } else { self.shifts_of(at)?.moved(place) };
        }
        // Of a stream nobody says how its parts are counted.
        if part.is_some_and(|part| part > 0) {
            return None;
        }
        let beside = |channel: &&Channel| {
            channel.counted == Some(number.offsets) && channel.stands_in(object, offsets.depth, &self.edits.keys)
        };
        let mut texts = channels.iter().filter(beside);
        let shifts = &texts.next()?.shifts;
        if texts.next().is_none() { shifts.moved(place) } else { None }
    }

    fn shifts_of(&mut self, at: usize) -> Option<&Shifts> {
        let edit = self.edits.texts.get(at)?;
        let unit = self.all.get(edit.counted?)?.unit;
        Some(self.shifts.entry(at).or_insert_with(|| {
            let mut shifts = Shifts::default();
            shifts.add(edit.pieces.lengths(|text| unit.count(text)));
            shifts
        }))
    }
}

/// After so many changes the first are forgotten, and what lies there with them.
const MANY: usize = 4096;

/// How places in one text have moved.
#[derive(Default)]
pub(super) struct Shifts {
    /// The length of the text as it came, and as it was written.
    came: usize,
    written: usize,
    /// The places behind each change: as it came, as it was written.
    after: Vec<(usize, usize)>,
}

impl Shifts {
    /// Goes on over parts of the text, given their lengths as they came and as
    /// they are written.
    pub(super) fn add(&mut self, parts: impl Iterator<Item = (usize, usize)>) {
        for (came, written) in parts {
            self.came += came;
            self.written += written;
            if came != written && self.after.len() < MANY {
                // Within the change its start is the place.
                self.after.push((self.came - came, self.written - written));
                self.after.push((self.came, self.written));
            }
        }
    }

    /// Where a place of the text as it came is in what was written; none where
    /// that is not known.
    pub(super) fn moved(&self, place: usize) -> Option<usize> {
        if self.after.len() >= MANY {
            return None;
        }
        let behind = self.after.partition_point(|(came, _)| *came <= place);
        let Some(&(came, written)) = behind.checked_sub(1).and_then(|last| self.after.get(last)) else {
            return Some(place);
        };
        let moved = written + (place - came);
        // Within a change no place is left but its two ends.
        Some(match self.after.get(behind).filter(|_| behind % 2 == 1) {
            Some((_, end)) => moved.min(*end),
            None => moved,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_move_with_the_text() {
        let mut shifts = Shifts::default();
        shifts.add([(3, 3), (10, 4)].into_iter());
        shifts.add([(2, 2), (5, 9), (1, 1)].into_iter());
        let moved = |place| shifts.moved(place).unwrap();
        assert_eq!([0, 3, 4, 7, 12, 13].map(moved), [0, 3, 4, 7, 7, 7]);
        assert_eq!([15, 16, 20, 21, 30].map(moved), [9, 10, 18, 19, 28]);
    }

    #[test]
    fn a_text_that_stays_moves_nothing() {
        let mut shifts = Shifts::default();
        shifts.add([(3, 3), (4, 4)].into_iter());
        assert_eq!(shifts.moved(5), Some(5));
    }
}
