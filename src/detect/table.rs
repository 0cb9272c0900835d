//! A map from hashes to small numbers that is read without guessing: what a
//! word is no processor can foresee, and a wrong guess costs it more than the
//! whole look-up does.

/// A line of the processor's cache holds a bucket.
const ROOM: usize = 8;

/// Buckets of [`ROOM`] places, a power of two of them; what finds its bucket
/// full is put into the next one. A place keeps 32 bits of the hash; the other
/// bits choose the bucket, so that two words are taken for one with a
/// probability below 2^-40.
#[derive(Debug)]
pub(crate) struct Table {
    buckets: Vec<Bucket>,
    mask: usize,
}

/// The places of a bucket are taken in their order.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
struct Bucket {
    /// 0 for an empty place.
    tags: [u32; ROOM],
    values: [u32; ROOM],
}

impl Table {
    pub(crate) fn with_room(n: usize) -> Self {
        // At most 60 percent full, so that few buckets are.
        let size = (n * 5 / 3 / ROOM + 2).next_power_of_two();
        Self { buckets: vec![Bucket::default(); size], mask: size - 1 }
    }

    /// The number of a hash; 0 where it has none.
    #[inline]
    pub(crate) fn find(&self, hash: u64) -> u32 {
        let mut at = hash as usize & self.mask;
        while let Some(bucket) = self.buckets.get(at) {
            let found = bucket.find(tag(hash));
            // Whether one is found could not be foreseen; that it must be looked
            // for in the next bucket is rare. A full bucket has a last tag.
            if u64::from(bucket.tags[ROOM - 1]) <= u64::from(found) << 32 {
                return found;
            }
            at = (at + 1) & self.mask;
        }
        0
    }

    /// The number of a hash, to be changed to one other than 0. There must be room for it.
    pub(crate) fn entry(&mut self, hash: u64) -> &mut u32 {
        let tag = tag(hash);
        let mut at = hash as usize & self.mask;
        loop {
            let place = self.buckets[at].tags.iter().position(|&t| t == tag || t == 0);
            if let Some(place) = place {
                let bucket = &mut self.buckets[at];
                bucket.tags[place] = tag;
                return &mut bucket.values[place];
            }
            at = (at + 1) & self.mask;
        }
    }
}

impl Bucket {
    /// All places are looked at together, as the compiler makes vector code of it.
    #[inline]
    fn find(&self, tag: u32) -> u32 {
        self.tags.iter().zip(&self.values).fold(0, |all, (t, v)| all | if *t == tag { *v } else { 0 })
    }
}

/// The upper half of the hash, never 0, which marks an empty place.
#[inline]
fn tag(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_again_and_others_are_not() {
        let hash = |n: u64| (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut table = Table::with_room(1000);
        for n in 0..1000 {
            *table.entry(hash(n)) |= n as u32 + 1;
        }
        assert!((0..1000).all(|n| table.find(hash(n)) == n as u32 + 1));
        assert!((1000..9000).all(|n| table.find(hash(n)) == 0));
    }

    #[test]
    fn what_finds_its_bucket_full_stands_in_the_next() {
        let mut table = Table::with_room(30);
        // All want the last bucket.
        let hash = |n: u64| n << 32 | 0xffff;
        for n in 1..=20 {
            *table.entry(hash(n)) = n as u32;
        }
        assert!((1..=20).all(|n| table.find(hash(n)) == n as u32));
        assert_eq!(table.find(hash(21)), 0);
    }
}
