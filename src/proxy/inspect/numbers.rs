//! The digits of a card that a client sends as an array of numbers, one for
//! each box into which they were typed. Pure.

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
    pub(super) digits: String,
    /// Where they stand in the body.
    pub(super) places: Vec<Range<usize>>,
    is_other: bool,
}

impl Numbers {
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
}
