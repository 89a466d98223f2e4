//! The rate of an endpoint: blocks of tokens, each to be used in its own slot of time.

use std::time::Duration;

use fanhook_core::time::Millis;
use fanhook_store::endpoints::Block;

/// A slot is lost when it is so late, or the next one's time has come: a stall is followed by no burst, a slow store leaves a slow endpoint
/// its tokens, and no token reaches into an interval that is another taker's.
const LATE: Duration = Duration::from_millis(100);

/// What is left of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    block: Block,
    used: u32,
}

/// When the next request may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Now.
    Now,
    /// Then.
    At(Millis),
    /// Not by this block.
    Over,
}

impl Pace {
    /// All of a block.
    pub(crate) fn new(block: Block) -> Self {
        Self { block, used: 0 }
    }

    /// The next slot at `now`; those missed are given up.
    pub(crate) fn slot(&mut self, now: Millis) -> Slot {
        let late = now.since(self.block.from + LATE.saturating_sub(self.block.step));
        let missed = u32::try_from(late.as_nanos() / self.block.step.as_nanos().max(1)).unwrap_or(u32::MAX);
        self.used = self.used.max(missed);
        if self.used >= self.block.tokens {
            return Slot::Over;
        }
        let at = self.block.from + self.block.step * self.used;
        if at <= now { Slot::Now } else { Slot::At(at) }
    }

    /// Gives up the slots whose time has come, after a wait that is no mere delay of a timer.
    pub(crate) fn skip(&mut self, now: Millis) {
        let passed = now.since(self.block.from).as_nanos().div_ceil(self.block.step.as_nanos().max(1));
        self.used = self.used.max(u32::try_from(passed).unwrap_or(u32::MAX));
    }

    /// The slot is used.
    pub(crate) fn use_slot(&mut self) {
        self.used += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Block = Block { from: Millis(1_000), step: Duration::from_millis(10), tokens: 100 };

    #[test]
    fn a_slot_is_used_once_and_not_before_its_time() {
        let mut pace = Pace::new(BLOCK);
        assert_eq!(pace.slot(Millis(500)), Slot::At(Millis(1_000)));
        assert_eq!(pace.slot(Millis(1_000)), Slot::Now);
        pace.use_slot();
        assert_eq!(pace.slot(Millis(1_000)), Slot::At(Millis(1_010)));
        assert_eq!(pace.slot(Millis(1_010)), Slot::Now);
    }

    #[test]
    fn after_a_stall_there_is_no_burst_and_after_its_interval_the_block_is_over() {
        let mut pace = Pace::new(BLOCK);
        let mut burst = 0;
        while pace.slot(Millis(1_600)) == Slot::Now {
            pace.use_slot();
            burst += 1;
        }
        assert_eq!(burst, 10);
        assert_eq!(pace.slot(Millis(2_090)), Slot::Over);
    }

    #[test]
    fn after_a_wait_only_slots_that_are_still_to_come_are_used() {
        let mut pace = Pace::new(BLOCK);
        pace.skip(Millis(1_205));
        assert_eq!(pace.slot(Millis(1_205)), Slot::At(Millis(1_210)));
        pace.skip(Millis(1_210));
        assert_eq!(pace.slot(Millis(1_210)), Slot::Now);
        pace.skip(Millis(900));
        assert_eq!(pace.slot(Millis(1_210)), Slot::Now);
    }

    #[test]
    fn a_slot_of_a_slow_rate_is_lost_when_the_next_ones_time_has_come() {
        let mut pace = Pace::new(Block { from: Millis(1_000), step: Duration::from_secs(2), tokens: 2 });
        assert_eq!(pace.slot(Millis(2_999)), Slot::Now);
        assert_eq!(pace.slot(Millis(3_000)), Slot::Now);
        pace.use_slot();
        assert_eq!(
            pace.slot(Millis(3_000)),
            Slot::Over,
            "there is one token for this time, and the first is lost"
        );
    }
}
