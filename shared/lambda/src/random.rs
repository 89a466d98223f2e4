//! Randomness: the only place that draws it.

use std::sync::{Mutex, PoisonError};

use fanhook_core::time::Millis;
use rand::{Rng, SeedableRng, rngs::StdRng};
use uuid::Uuid;

/// A source of randomness.
pub trait Random: Send + Sync {
    /// Any number.
    fn number(&self) -> u64;

    /// A version 7 UUID made at `now`, so that identifiers sort by the time they were made.
    fn uuid7(&self, now: Millis) -> Uuid {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.number().to_be_bytes());
        random[8..].copy_from_slice(&self.number().to_be_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(now.0, &random).into_uuid()
    }
}

/// The system's randomness, fit for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn number(&self) -> u64 {
        rand::rng().next_u64()
    }
}

/// The same numbers for the same seed, for tests and simulations.
#[derive(Debug)]
pub struct SeededRandom(Mutex<StdRng>);

impl SeededRandom {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn number(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_of_version_7_and_sort_by_time() {
        let random = SeededRandom::new(7);
        let (earlier, later) =
            (random.uuid7(Millis(1_700_000_000_000)), random.uuid7(Millis(1_700_000_000_001)));
        assert_eq!(earlier.get_version_num(), 7);
        assert!(earlier < later);
        assert_ne!(random.uuid7(Millis(0)), random.uuid7(Millis(0)));
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        assert_eq!(SeededRandom::new(7).uuid7(Millis(1)), SeededRandom::new(7).uuid7(Millis(1)));
        assert_ne!(SeededRandom::new(7).number(), SeededRandom::new(8).number());
        assert_ne!(SystemRandom.number(), SystemRandom.number());
    }
}
