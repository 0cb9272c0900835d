//! A set of hashes that may take others for its own: one bit for each. It is
//! small enough to stay in a core's own cache, which the tables behind it are not.

/// The set; a Bloom filter (1970) with one hash function.
#[derive(Debug)]
pub(crate) struct Filter {
    words: Vec<u64>,
    shift: u32,
}

impl Filter {
    /// An empty set with room for 2^`bits` bits, 6 at least.
    pub(crate) fn with_bits(bits: u32) -> Self {
        Self { words: vec![0; 1 << (bits - 6)], shift: 64 - bits }
    }

    pub(crate) fn add(&mut self, hash: u64) {
        let (word, bit) = self.place(hash);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    /// False only where the hash was never added.
    #[inline]
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        self.trace(hash) != 0
    }

    /// 0 only where the hash was never added; to be asked together with others.
    #[inline]
    pub(crate) fn trace(&self, hash: u64) -> u64 {
        let (word, bit) = self.place(hash);
        self.words.get(word).map_or(0, |word| word & bit)
    }

    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        // The highest bits: tables take their places from the lowest.
        let bit = hash >> self.shift;
        ((bit / 64) as usize, 1 << (bit % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let hash = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut filter = Filter::with_bits(14);
        (0..1000).for_each(|n| filter.add(hash(n)));
        assert!((0..1000).all(|n| filter.may_hold(hash(n))));
        let others = (1000..11_000).filter(|n| filter.may_hold(hash(*n))).count();
        assert!(others < 1000, "{others} of 10000");
    }
}
