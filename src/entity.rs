//! The kind of a finding: `EMAIL`, `PERSON`, `CREDIT_CARD`, …

use std::fmt;
use std::str::FromStr;

const MAX: usize = 25;

/// An entity name, `[A-Z][A-Z_]{1,24}`. Rules may define names of their own,
/// so this is an open set; the value is small, `Copy` and needs no interner.
/// Names order as their text does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    // Padded with zero bytes, so that the derived order is the text's order,
    // and to a size that is compared without a loop.
    name: [u8; 31],
    len: u8,
}

/// The text is not an entity name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entity name has 2 to 25 characters A-Z and _, and starts with a letter")]
pub struct InvalidEntity;

impl Entity {
    /// Under this name the vault keeps surrogates. It is no name that a rule
    /// could have, and comes behind all of those in their order.
    pub(crate) const SURROGATE: Self = {
        let mut name = [0; 31];
        name[0] = b'~';
        Self { name, len: 1 }
    };

    /// A name known at compile time. Fails the build (in a `const`) or panics
    /// where `name` is no entity name, so use it for constants only.
    #[expect(clippy::panic, reason = "in a constant it fails the build")]
    pub const fn constant(name: &'static str) -> Self {
        match Self::from_bytes(name.as_bytes()) {
            Some(e) => e,
            None => panic!("not an entity name"),
        }
    }

    const fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 2 || bytes.len() > MAX || !bytes[0].is_ascii_uppercase() {
            return None;
        }
        let mut name = [0; 31];
        let mut i = 0;
        while i < bytes.len() {
            if !bytes[i].is_ascii_uppercase() && bytes[i] != b'_' {
                return None;
            }
            name[i] = bytes[i];
            i += 1;
        }
        Some(Self { name, len: bytes.len() as u8 })
    }

    /// The name in capitals, as it stands in a token.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The same as ASCII bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.name.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl FromStr for Entity {
    type Err = InvalidEntity;

    fn from_str(s: &str) -> Result<Self, InvalidEntity> {
        Self::from_bytes(s.as_bytes()).ok_or(InvalidEntity)
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!("CREDIT_CARD".parse::<Entity>().unwrap().as_str(), "CREDIT_CARD");
        for bad in ["", "E", "email", "_X", "A1", "A B", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"] {
            assert_eq!(bad.parse::<Entity>(), Err(InvalidEntity), "{bad:?}");
        }
    }

    #[test]
    fn names_order_as_their_text() {
        let e = |s: &str| s.parse::<Entity>().unwrap();
        assert!(e("EMAIL") < e("IP"));
        assert!(e("IP") < e("IPX"));
        assert!(e("AB") < e("AB_"));
    }
}
