//! A chunk: a slice of a run's recipients, the unit of queueing and of accounting.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{id::RunId, outcome::Reason};

/// Recipients of a chunk, but for the last one of a part, where each has a request of its own.
pub const RECIPIENTS_PER_CHUNK: usize = 500;
/// Most chunks of a segment.
pub const CHUNKS_PER_SEGMENT: usize = 64;
/// Most recipients of a segment: duplicates are found within one.
pub const RECIPIENTS_PER_SEGMENT: usize = RECIPIENTS_PER_CHUNK * CHUNKS_PER_SEGMENT;

/// Recipients of a chunk whose requests hold up to `batch_size` users: the largest multiple up to 500, so that its row costs one
/// write unit; one batch where that alone is larger: its row costs two, but a chunk has a single request then.
pub fn recipients_per_chunk(batch_size: u32) -> usize {
    let batch = usize::try_from(batch_size.max(1)).unwrap_or(usize::MAX);
    batch.max(RECIPIENTS_PER_CHUNK / batch * batch)
}

/// A claim over a lease that ran out so often, without a checkpoint between, parks the chunk.
pub const MAX_STALLS: u32 = 5;

/// Number of a part in its run, from 0.
pub type Part = u16;

/// Names a chunk: also the body of its queue message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkId {
    /// The run.
    pub run: RunId,
    /// The part of the run's audience.
    pub part: Part,
    /// Number in the part, from 0.
    pub chunk: u32,
}

/// Where a chunk's recipients stand: a byte range of a segment object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Number of the segment in the part, from 0.
    pub segment: u32,
    /// Fence of the worker that wrote the segment; part of its key.
    pub fence: u64,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

const COUNTED: u8 = 0x80;
const MAX_TRIES: u8 = 31;

/// One byte per recipient: 0-31 pending with so many tries used; 32-127 final, a reason's byte; top bit: counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct States(Vec<u8>);

/// State of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not final yet.
    Pending {
        /// Tries used, at most 31.
        tries: u8,
    },
    /// Final.
    Final {
        /// Why.
        reason: Reason,
        /// Whether the run's counters hold it.
        counted: bool,
    },
}

impl States {
    /// `recipients` pending ones that were never tried.
    pub fn new(recipients: usize) -> Self {
        Self(vec![0; recipients])
    }

    /// The bytes of a chunk row; none where one of them means nothing.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let known = |&byte: &u8| byte <= MAX_TRIES || Reason::from_byte(byte).is_some();
        bytes.iter().all(known).then_some(Self(bytes))
    }

    /// The bytes, as a chunk row holds them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Number of recipients.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// State of the recipient at `index`.
    pub fn get(&self, index: usize) -> State {
        let byte = self.0[index];
        match Reason::from_byte(byte) {
            Some(reason) => State::Final { reason, counted: byte & COUNTED != 0 },
            None => State::Pending { tries: byte },
        }
    }

    /// Whether the recipient at `index` is pending.
    pub fn is_pending(&self, index: usize) -> bool {
        self.0[index] <= MAX_TRIES
    }

    /// Indexes of the pending recipients, in order.
    pub fn pending(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().filter(|&(_, &byte)| byte <= MAX_TRIES).map(|(index, _)| index)
    }

    /// Number of pending recipients.
    pub fn pending_len(&self) -> usize {
        self.pending().count()
    }

    /// Number of recipients that are pending and were never tried.
    pub fn untried_len(&self) -> usize {
        memchr::memchr_iter(0, &self.0).count()
    }

    /// One more try of the pending recipient at `index` was used. Answers how many there are now.
    pub fn tried(&mut self, index: usize) -> u8 {
        let byte = &mut self.0[index];
        if *byte < MAX_TRIES {
            *byte += 1;
        }
        *byte
    }

    /// The pending recipient at `index` becomes final. A final one stays as it is.
    pub fn finish(&mut self, index: usize, reason: Reason) {
        if self.is_pending(index) {
            self.0[index] = reason.byte();
        }
    }

    /// Indexes and reasons of the final recipients that are not counted yet.
    pub fn uncounted(&self) -> impl Iterator<Item = (usize, Reason)> + '_ {
        self.0
            .iter()
            .enumerate()
            .filter(|&(_, &byte)| byte & COUNTED == 0)
            .filter_map(|(index, &byte)| Reason::from_byte(byte).map(|reason| (index, reason)))
    }

    /// Counts of the final recipients that are not counted yet.
    pub fn uncounted_totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (_, reason) in self.uncounted() {
            totals.add(reason, 1);
        }
        totals
    }

    /// The same states, with every final one counted.
    #[must_use]
    pub fn counted(&self) -> Self {
        Self(self.0.iter().map(|&byte| if byte > MAX_TRIES { byte | COUNTED } else { byte }).collect())
    }
}

/// Recipients by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Totals(pub BTreeMap<Reason, u64>);

impl Totals {
    /// Adds `count` recipients of a reason.
    pub fn add(&mut self, reason: Reason, count: u64) {
        *self.0.entry(reason).or_default() += count;
    }

    /// All recipients.
    pub fn sum(&self) -> u64 {
        self.0.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::REASONS;

    #[test]
    fn a_chunk_holds_whole_batches() {
        let sizes = [1, 2, 7, 50, 250, 251, 300, 500, 501, 1000];
        let expected = [500, 500, 497, 500, 500, 251, 300, 500, 501, 1000];
        assert_eq!(sizes.map(recipients_per_chunk), expected);
    }

    #[test]
    fn a_recipient_is_counted_once() {
        let mut states = States::new(3);
        states.finish(0, Reason::Delivered);
        assert_eq!(states.uncounted_totals().sum(), 1);
        let mut states = states.counted();
        assert_eq!(states.uncounted_totals().sum(), 0);
        states.finish(0, Reason::Cancelled);
        states.finish(1, Reason::Cancelled);
        assert_eq!(states.get(0), State::Final { reason: Reason::Delivered, counted: true });
        assert_eq!(states.uncounted().collect::<Vec<_>>(), [(1, Reason::Cancelled)]);
        assert_eq!(states.pending().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn tries_stop_counting_before_they_look_final() {
        let mut states = States::new(1);
        for _ in 0..200 {
            states.tried(0);
        }
        assert_eq!(states.get(0), State::Pending { tries: 31 });
    }

    #[test]
    fn a_byte_that_means_nothing_is_refused() {
        assert_eq!(States::from_bytes(vec![33]), None);
        assert_eq!(States::from_bytes(vec![0x80]), None);
    }

    proptest! {
        #[test]
        fn every_recipient_is_pending_counted_or_uncounted(
            picks in prop::collection::vec((0usize..REASONS.len(), any::<bool>(), any::<bool>()), 0..200)
        ) {
            let mut states = States::new(picks.len());
            for (index, &(reason, done, _)) in picks.iter().enumerate() {
                if done { states.finish(index, REASONS[reason].0); } else { states.tried(index); }
            }
            let uncounted = usize::try_from(states.uncounted_totals().sum()).unwrap_or(usize::MAX);
            prop_assert_eq!(states.pending_len() + uncounted, states.len());
            let counted = states.counted();
            prop_assert_eq!(counted.uncounted_totals().sum(), 0);
            prop_assert_eq!(counted.pending_len(), states.pending_len());
            prop_assert_eq!(States::from_bytes(counted.as_bytes().to_vec()), Some(counted));
        }
    }
}
