//! What stands before a sealed value, in clear: when it came, for which
//! purpose, and by which layer of keys it is sealed. Retention goes by it.

use super::super::retention::PurposeId;

/// The layers, as the first byte tells them.
const VALUE: u8 = 1;
const SENSITIVE: u8 = 2;
/// Added to the first byte where the purpose is told.
const WITH_PURPOSE: u8 = 0x10;
/// Added to the first byte where the value is gone.
const ANONYMIZED: u8 = 0x20;

/// When a value came, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) struct Origin {
    /// In Unix seconds.
    pub(in crate::vault) created: u64,
    /// Where that is known.
    pub(in crate::vault) purpose: Option<PurposeId>,
}

impl From<u64> for Origin {
    fn from(created: u64) -> Self {
        Self { created, purpose: None }
    }
}

/// The layer of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) enum Layered {
    /// That of most values.
    Plain,
    /// That of sensitive ones.
    Sensitive,
}

/// The head of a token's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) struct Head {
    pub(in crate::vault) layer: Layered,
    /// When the value came, in Unix seconds.
    pub(in crate::vault) created: u64,
    /// The purpose for which it came, where that is known.
    pub(in crate::vault) purpose: Option<PurposeId>,
    /// Whether the value is gone: the record is its head alone.
    pub(in crate::vault) is_anonymized: bool,
}

impl Head {
    /// Its bytes: what it is (1), created (8), and the purpose (4) if any.
    pub(in crate::vault) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        let layer = if self.layer == Layered::Plain { VALUE } else { SENSITIVE };
        let purpose = if self.purpose.is_some() { WITH_PURPOSE } else { 0 };
        bytes.push(layer | purpose | if self.is_anonymized { ANONYMIZED } else { 0 });
        bytes.extend_from_slice(&self.created.to_be_bytes());
        bytes.extend(self.purpose.into_iter().flatten());
        bytes
    }

    /// The head of a record.
    pub(in crate::vault) fn of(record: &[u8]) -> Option<Self> {
        Self::split(record).map(|(head, _)| head)
    }

    /// The head of a record, and the sealed value behind it.
    pub(super) fn split(record: &[u8]) -> Option<(Self, &[u8])> {
        let (kind, rest) = record.split_first()?;
        let layer = match kind & !(WITH_PURPOSE | ANONYMIZED) {
            VALUE => Layered::Plain,
            SENSITIVE => Layered::Sensitive,
            _ => return None,
        };
        let (created, mut rest) = rest.split_first_chunk()?;
        let mut purpose = None;
        if kind & WITH_PURPOSE != 0 {
            let (id, behind) = rest.split_first_chunk()?;
            (purpose, rest) = (Some(*id), behind);
        }
        let is_anonymized = kind & ANONYMIZED != 0;
        let head = Self { layer, created: u64::from_be_bytes(*created), purpose, is_anonymized };
        (!is_anonymized || rest.is_empty()).then_some((head, rest))
    }

    /// When the value came, and for what.
    pub(in crate::vault) fn origin(self) -> Origin {
        Origin { created: self.created, purpose: self.purpose }
    }

    /// The record of a value that is gone.
    pub(in crate::vault) fn anonymized(self) -> Vec<u8> {
        Self { is_anonymized: true, ..self }.to_bytes()
    }
}

/// Whether the value of a record is gone.
pub(in crate::vault) fn is_anonymized(record: &[u8]) -> bool {
    Head::of(record).is_some_and(|head| head.is_anonymized)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        for layer in [Layered::Plain, Layered::Sensitive] {
            for purpose in [None, Some([1, 2, 3, 4])] {
                let head = Head { layer, created: 77, purpose, is_anonymized: false };
                let record = [head.to_bytes(), b"sealed".to_vec()].concat();
                assert_eq!(Head::split(&record), Some((head, b"sealed".as_slice())));
                let gone = head.anonymized();
                assert_eq!(Head::of(&gone), Some(Head { is_anonymized: true, ..head }));
                assert_eq!(Head::of(&[gone, vec![0]].concat()), None, "nothing may be left of the value");
                for cut in 0..head.to_bytes().len() {
                    assert_eq!(Head::of(&record[..cut]), None);
                }
            }
        }
        for kind in [0, 3, 0x40, 0x81] {
            assert_eq!(Head::of(&[kind, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9]), None);
        }
    }
}
