//! Randomness: one seed gives independent named streams, each indexed by counters.
//!
//! A stream is a function of `(seed, name, counters)` alone. It does not depend on the wall clock, the calling thread, or
//! anything drawn before. A resumed run therefore needs no saved generator state, worker threads can assemble batches in any
//! order, and the initial weights are the same on every backend.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The generator of every stream.
pub type Rng = ChaCha8Rng;

/// The seed of all randomness in a run.
///
/// ```
/// use burn_forward::random::Seed;
/// use rand::RngExt;
///
/// let seed = Seed::new(7);
/// let a: u64 = seed.stream("order", &[3]).random();
/// let b: u64 = seed.stream("order", &[3]).random();
/// assert_eq!(a, b);
/// assert_ne!(a, seed.stream("order", &[4]).random::<u64>());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seed(u64);

impl Seed {
    /// The seed with the value of the config's `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The value that this seed was created from.
    pub fn value(self) -> u64 {
        self.0
    }

    /// The generator of stream `name` at `counters` (epoch, batch, sample, block ...).
    pub fn stream(self, name: &str, counters: &[u64]) -> Rng {
        Rng::from_seed(self.digest(name, counters))
    }

    /// A number derived in the same way, for generators that take a `u64` (such as that of a Burn device).
    pub fn number(self, name: &str, counters: &[u64]) -> u64 {
        let d = self.digest(name, counters);
        u64::from_le_bytes([d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]])
    }

    fn digest(self, name: &str, counters: &[u64]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0.to_le_bytes());
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        for c in counters {
            hash.update(c.to_le_bytes());
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn streams_differ_by_seed_name_and_counter() {
        let draw = |s: u64, n: &str, c: &[u64]| Seed::new(s).stream(n, c).random::<u64>();
        let base = draw(1, "init", &[0]);
        assert_eq!(base, draw(1, "init", &[0]));
        for other in [draw(2, "init", &[0]), draw(1, "order", &[0]), draw(1, "init", &[1]), draw(1, "init", &[0, 0])] {
            assert_ne!(base, other);
        }
    }
}
