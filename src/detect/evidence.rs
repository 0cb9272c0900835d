//! What speaks for a finding and against it.

use std::ops::{BitOr, BitOrAssign};

/// What raised or lowered the score of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence(u32);

impl Evidence {
    pub(crate) const CONTEXT: Self = Self(1);
    pub(crate) const AGAINST: Self = Self(1 << 1);
    pub(crate) const LABEL: Self = Self(1 << 2);
    pub(crate) const CHECK_DIGITS: Self = Self(1 << 3);
    pub(crate) const OWN_LINE: Self = Self(1 << 4);
    pub(crate) const GIVEN: Self = Self(1 << 5);
    pub(crate) const SURNAME: Self = Self(1 << 6);
    pub(crate) const COMMON: Self = Self(1 << 7);
    pub(crate) const STRONG_CUE: Self = Self(1 << 8);
    pub(crate) const WEAK_CUE: Self = Self(1 << 9);
    pub(crate) const TITLE: Self = Self(1 << 10);
    pub(crate) const GREETING: Self = Self(1 << 11);
    pub(crate) const SIGN_OFF: Self = Self(1 << 12);
    pub(crate) const LOWER_CASE: Self = Self(1 << 13);
    pub(crate) const AFTER: Self = Self(1 << 14);
    pub(crate) const TRUNK_PREFIX: Self = Self(1 << 15);
    pub(crate) const KNOWN_HERE: Self = Self(1 << 24);

    const WORDS: [(Self, &'static str); 17] = [
        (Self::CONTEXT, "+context word"),
        (Self::AGAINST, "-word against"),
        (Self::LABEL, "+label"),
        (Self::CHECK_DIGITS, "+check digits"),
        (Self::OWN_LINE, "+line of its own"),
        (Self::GIVEN, "+given name"),
        (Self::SURNAME, "+family name"),
        (Self::COMMON, "-ordinary word"),
        (Self::STRONG_CUE, "+introduction"),
        (Self::WEAK_CUE, "+cue"),
        (Self::TITLE, "+title"),
        (Self::GREETING, "+greeting"),
        (Self::SIGN_OFF, "+sign-off"),
        (Self::LOWER_CASE, "-small letters"),
        (Self::AFTER, "+word behind"),
        (Self::TRUNK_PREFIX, "+trunk prefix"),
        (Self::KNOWN_HERE, "+known from the conversation"),
    ];

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Each piece of evidence for people, with + where it raised the score and
    /// - where it lowered it.
    pub fn describe(self) -> impl Iterator<Item = &'static str> {
        Self::WORDS.into_iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, text)| text)
    }
}

impl BitOr for Evidence {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Evidence {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
