//! One invocation: up to ten chunks at once, in one task.

use fanhook_core::{chunk::ChunkId, time::Millis};
use fanhook_lambda::sqs::{Fate, caught};
use futures_util::{
    StreamExt,
    future::{self, Either},
    stream::FuturesOrdered,
};
use tokio::sync::Semaphore;

use crate::{Ports, REQUESTS, apply, control::Control, plan::Window, shares::Shares};

/// What the chunks of an invocation share.
pub(crate) struct Invocation<'a> {
    pub(crate) ports: &'a Ports,
    /// Runs and endpoints as they are now.
    pub(crate) control: Control<'a>,
    /// A permit for each request under way.
    pub(crate) permits: Semaphore,
    /// The slots of endpoints that limit the requests at a time.
    pub(crate) shares: Shares,
    /// When what may begin.
    pub(crate) window: Window,
}

/// Works all chunks and joins them. A chunk's panic is that chunk's alone.
pub(crate) async fn run(ports: &Ports, ids: &[ChunkId], deadline: Millis) -> Vec<Fate> {
    let control = match Control::new(ports, ids).await {
        Ok(control) => control,
        Err(error) => {
            tracing::error!(error = %fanhook_lambda::telemetry::chain(&error), "runs can't be read");
            return vec![Fate::Retry; ids.len()];
        }
    };
    let window = Window::new(deadline, ports.times);
    let shares = Shares::new(format!("{:016x}", ports.random.number()), window.lease);
    let invocation = Invocation { ports, control, permits: Semaphore::new(REQUESTS), shares, window };
    // In a set that polls only those that were woken.
    let chunks: FuturesOrdered<_> = ids.iter().map(|id| caught(apply::chunk(&invocation, *id))).collect();
    let chunks = std::pin::pin!(chunks.collect::<Vec<_>>());
    let follow = std::pin::pin!(invocation.control.follow());
    match future::select(chunks, follow).await {
        // A worker that panicked still holds its lease, which runs out.
        Either::Left((fates, _)) => fates.into_iter().map(|fate| fate.unwrap_or(Fate::Retry)).collect(),
        Either::Right((never, _)) => match never {},
    }
}
