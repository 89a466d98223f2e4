//! The one log line of a pass over a chunk: no payload, no address, nothing of a user.

use std::time::Duration;

use fanhook_core::chunk::ChunkId;

/// What a pass did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) pass: u64,
    pub(crate) recipients: usize,
    pub(crate) pending: usize,
    pub(crate) requests: u64,
    pub(crate) resent: u64,
    /// Refused requests that were sent again in halves.
    pub(crate) split: u64,
    pub(crate) delivered: u64,
    pub(crate) again: u64,
    /// Final, and not delivered.
    pub(crate) failed: u64,
    pub(crate) our_faults: u64,
    pub(crate) checkpoints: u64,
}

impl Summary {
    pub(crate) fn log(&self, id: ChunkId, end: &'static str, took: Duration) {
        let ChunkId { run, part, chunk } = id;
        let Self {
            pass,
            recipients,
            pending,
            requests,
            resent,
            split,
            delivered,
            again,
            failed,
            our_faults,
            checkpoints,
        } = *self;
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            %run, part, chunk, pass, recipients, pending, requests, resent, split, delivered, again, failed, our_faults, checkpoints, end, ms,
            "chunk"
        );
    }
}
