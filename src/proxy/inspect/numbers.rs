//! The digits of a card that a client sends as an array of numbers, one for
//! each box into which they were typed. Pure.

use super::findings::Findings;
use crate::detect::{Detector, Finding, Input, Scratch};
use crate::entity::Entity;
use std::ops::Range;

const CARD: Entity = Entity::constant("CREDIT_CARD");

/// The digits of cards (ISO/IEC 7812).
const SHORTEST: usize = 12;
const LONGEST: usize = 19;

/// The numbers at the start of one array.
#[derive(Default)]
pub(super) struct Numbers {
    digits: String,
    /// Where they stand in the body.
    places: Vec<Range<usize>>,
    is_other: bool,
    /// Where the findings in them begin in the list of all.
    first: usize,
}

impl Numbers {
    /// Of an array before which so many findings stand.
    pub(super) fn after(first: usize) -> Self {
        Self { first, ..Self::default() }
    }

    /// Goes on with the element of this number in its array.
    pub(super) fn push(&mut self, nth: u32, raw: &str, at: Range<usize>) {
        let is_next = usize::try_from(nth).is_ok_and(|nth| nth == self.places.len());
        let is_digits = raw.bytes().all(|b| b.is_ascii_digit());
        self.is_other |= !is_next || !is_digits || self.digits.len() + raw.len() > LONGEST;
        if !self.is_other {
            self.digits.push_str(raw);
            self.places.push(at);
        }
    }

    /// The card that all of them are.
    pub(super) fn card(&self, detector: Detector<'_>, scratch: &mut Scratch) -> Option<Finding> {
        if self.is_other || self.places.len() < 2 || self.digits.len() < SHORTEST {
            return None;
        }
        let found = detector.scan(Input { text: &self.digits, label: None }, scratch).first()?;
        (found.entity == CARD && found.start == 0 && found.end == self.digits.len()).then_some(*found)
    }

    /// Puts the card in the place of what was found in its numbers, each by
    /// itself. What was found in the rest of the array stands behind them.
    pub(super) fn replace(&self, mut card: Finding, depth: usize, findings: &mut Findings) {
        let end = self.places.last().map_or(0, |last| last.end);
        let mut found = findings.list.split_off(self.first.min(findings.list.len()));
        let others = found.split_off(found.partition_point(|one| one.at.start < end));
        let strictest = found.iter().map(|one| one.operator).max_by_key(|operator| operator.strictness());
        if let Some(operator) = strictest.filter(|one| one.strictness() > card.operator.strictness()) {
            card.operator = operator;
        }
        findings.add_numbers(&self.places, &card, &self.digits, depth);
        findings.list.extend(others);
    }
}
