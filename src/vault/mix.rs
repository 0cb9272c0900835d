//! A fast hash for keys that nobody can steer.

use std::hash::Hasher;

/// Hashes rows and token bits. They are outputs of keyed functions, so a
/// client cannot choose keys that collide, and a keyed hash would add nothing.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        // Maps take their shard from the high bits and the place from the low.
        let mixed = self.0.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn neighbours_spread_over_high_and_low_bits() {
        let hash = |n: u64| {
            let mut mix = Mix::default();
            mix.write_u64(n);
            mix.finish()
        };
        let high: HashSet<_> = (0..1000).map(|n| hash(n) >> 54).collect();
        let low: HashSet<_> = (0..1000).map(|n| hash(n) & 1023).collect();
        // Of 1000 random numbers below 1024 about 640 differ.
        assert!(high.len() > 550 && low.len() > 550, "{} {}", high.len(), low.len());
    }
}
