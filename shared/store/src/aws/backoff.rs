//! Waits between the rounds of a call that the service did in part, or refused for a moment.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Rounds of a call before it counts as failed: about two seconds in all.
const ROUNDS: u32 = 8;

/// What is left of a call's bounded number of rounds.
#[derive(Default)]
pub(super) struct Backoff {
    round: u32,
}

impl Backoff {
    /// Waits before the next round; false, without waiting, where no round is left.
    pub(super) async fn wait(&mut self) -> bool {
        self.round += 1;
        if self.round >= ROUNDS {
            return false;
        }
        let longest = 25 << self.round.min(5);
        // Half of it at random, so that those who met do not meet again. Each new `RandomState` has other keys.
        let wait = longest / 2 + RandomState::new().hash_one(self.round) % (longest / 2);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        true
    }
}
