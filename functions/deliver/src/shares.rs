//! Requests at a time: the slots of limited endpoints that this invocation has, shared by its chunks.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use fanhook_core::{id::WebhookId, time::Millis};
use fanhook_lambda::telemetry::chain;
use fanhook_store::{StoreResult, endpoints::Endpoint, slots};
use tokio::sync::Notify;

use crate::{Ports, REQUESTS};

/// What an invocation has of the slots of each endpoint.
pub(crate) struct Shares {
    /// Names the invocation in the endpoints' items.
    owner: String,
    /// Until when what it takes is its own: longer than any of its requests.
    until: Millis,
    by_webhook: Mutex<HashMap<WebhookId, Share>>,
    /// A slot became free here.
    pub(crate) freed: Notify,
}

#[derive(Default)]
struct Share {
    /// Slots that are ours.
    held: u32,
    /// Those that requests under way use.
    used: u32,
    /// Chunks that may use them.
    chunks: u32,
    /// The store is being asked for more.
    asking: bool,
    /// The reading after which it was asked last: one reading, one question.
    asked: Option<Millis>,
}

/// A slot that a request uses as long as this lives.
pub(crate) struct Used<'a> {
    shares: &'a Shares,
    webhook: WebhookId,
}

impl Drop for Used<'_> {
    fn drop(&mut self) {
        self.shares.change(self.webhook, |share| share.used -= 1);
        self.shares.freed.notify_waiters();
    }
}

/// Whether a request may use a slot.
pub(crate) enum Slot<'a> {
    /// This one.
    Used(Used<'a>),
    /// More are to be had: the store is to be asked.
    Ask,
    /// Not before one is free, here or by the next reading.
    Wait,
}

impl Shares {
    pub(crate) fn new(owner: String, until: Millis) -> Self {
        Self { owner, until, by_webhook: Mutex::default(), freed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WebhookId, Share>> {
        self.by_webhook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, webhook: WebhookId, change: impl FnOnce(&mut Share) -> T) -> T {
        change(self.lock().entry(webhook).or_default())
    }

    /// A chunk may use slots from now on, until it [leaves](Self::leave).
    pub(crate) fn join(&self, webhook: WebhookId) {
        self.change(webhook, |share| share.chunks += 1);
    }

    /// A slot of an endpoint with this limit, as the reading begun at `read_at` has it.
    pub(crate) fn slot(&self, endpoint: &Endpoint, limit: u32, read_at: Millis, now: Millis) -> Slot<'_> {
        let (webhook, seen) = (endpoint.webhook, &endpoint.slots);
        let taken = seen.taken(now);
        self.change(webhook, |share| {
            let usable = if taken > limit { seen.within(&self.owner, limit, now) } else { share.held };
            if share.used < usable {
                share.used += 1;
                return Slot::Used(Used { shares: self, webhook });
            }
            let more = taken.saturating_sub(seen.of(&self.owner)).saturating_add(share.held) < limit;
            if more && !share.asking && share.asked != Some(read_at) && share.held < most() {
                Slot::Ask
            } else {
                Slot::Wait
            }
        })
    }

    /// Slots of ours that no request uses.
    pub(crate) fn free(&self, webhook: WebhookId) -> u32 {
        self.change(webhook, |share| share.held.saturating_sub(share.used))
    }

    /// Asks the store for slots for `wanted` more requests. What it gives may be fewer, and none.
    pub(crate) async fn ask(
        &self,
        ports: &Ports,
        endpoint: &Endpoint,
        (wanted, limit): (u32, u32),
        read_at: Millis,
    ) -> StoreResult<()> {
        let webhook = endpoint.webhook;
        let held = self.change(webhook, |share| {
            (share.asking, share.asked) = (true, Some(read_at));
            share.held
        });
        let wanted = (held.saturating_add(wanted).min(most()), limit);
        let taken = self.take(ports, webhook, wanted, &endpoint.slots).await;
        self.change(webhook, |share| {
            share.asking = false;
            share.held = *taken.as_ref().unwrap_or(&share.held);
        });
        self.freed.notify_waiters();
        taken.map(|_| ())
    }

    async fn take(
        &self,
        ports: &Ports,
        webhook: WebhookId,
        wanted: (u32, u32),
        seen: &slots::Slots,
    ) -> StoreResult<u32> {
        let now = ports.clock.now();
        let slots = slots::take(&*ports.ledger, webhook, &self.owner, wanted, seen, now, self.until).await?;
        Ok(slots.of(&self.owner))
    }

    /// A chunk has no more requests. With the last one the slots are given back, so that others need not wait for the lease.
    pub(crate) async fn leave(&self, ports: &Ports, webhook: WebhookId) {
        let give_back = self.change(webhook, |share| {
            share.chunks -= 1;
            // Also where an answer was lost, and nobody knows whether there are any.
            let give_back = share.chunks == 0 && share.asked.take().is_some();
            if give_back {
                // Nobody asks meanwhile: the store would know one of the two alone.
                (share.held, share.asking) = (0, true);
            }
            give_back
        });
        if !give_back {
            return;
        }
        if let Err(error) = self.take(ports, webhook, (0, 0), &slots::Slots::default()).await {
            // They free themselves with the lease.
            tracing::warn!(error = %chain(&error), %webhook, "slots are not given back");
        }
        self.change(webhook, |share| share.asking = false);
        self.freed.notify_waiters();
    }
}

/// Most slots that an invocation can use.
fn most() -> u32 {
    u32::try_from(REQUESTS).unwrap_or(u32::MAX)
}
