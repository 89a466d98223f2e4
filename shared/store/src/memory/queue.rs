//! The queue's twin.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use fanhook_core::time::Millis;

use super::faults::{Fault, Faults, Operation, lost, refused};
use crate::{
    StoreResult,
    ports::{MAX_DELAY, Message, Queue},
};

/// Largest message, in bytes.
const MESSAGE: usize = 1024 * 1024;

/// A queue in memory: what was sent stays until it is taken.
pub struct MemoryQueue {
    now: Box<dyn Fn() -> Millis + Send + Sync>,
    waiting: Mutex<Vec<(Millis, Message)>>,
    faults: Faults,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryQueue {
    /// An empty queue where all is sent at the beginning of time: [`MemoryQueue::take`] at a message's delay gives it.
    pub fn new() -> Self {
        Self::with_clock(|| Millis(0))
    }

    /// An empty queue that counts delays from `now`.
    pub fn with_clock(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self { now: Box::new(now), waiting: Mutex::default(), faults: Faults::default() }
    }

    /// The same queue, whose messages fail as `hook` says.
    #[must_use]
    pub fn with_faults(self, hook: impl Fn(&Operation<'_>) -> Fault + Send + Sync + 'static) -> Self {
        Self { faults: Faults::new(hook), ..self }
    }

    /// The messages not yet taken, in the order they were sent.
    pub fn waiting(&self) -> Vec<Message> {
        self.lock().iter().map(|(_, message)| message.clone()).collect()
    }

    /// Takes every message that is visible at `now`, in the order they were sent.
    pub fn take(&self, now: Millis) -> Vec<Message> {
        self.lock().extract_if(.., |(visible, _)| *visible <= now).map(|(_, message)| message).collect()
    }

    /// When the next message becomes visible.
    pub fn next_visible(&self) -> Option<Millis> {
        self.lock().iter().map(|(visible, _)| *visible).min()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Millis, Message)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether SQS takes the character: those of XML 1.0.
fn allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn check(message: &Message) -> StoreResult<()> {
    let size = message.body.len();
    if size == 0 || size > MESSAGE || !message.body.chars().all(allowed) {
        return refused("a message is empty, over 1 MiB, or holds a character that XML has not");
    }
    let group = message.group.as_bytes();
    if message.delay > MAX_DELAY
        || group.is_empty()
        || group.len() > 128
        || !group.iter().all(u8::is_ascii_graphic)
    {
        return refused("a message's delay is over 900 s, or its group no short text");
    }
    Ok(())
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, messages: Vec<Message>) -> StoreResult<()> {
        messages.iter().try_for_each(check)?;
        let now = (self.now)();
        let mut failed = false;
        for message in messages {
            let fault = self.faults.of(&Operation::Send(&message));
            failed |= fault != Fault::None;
            if fault != Fault::Before {
                let seconds = message.delay.as_millis().div_ceil(1000);
                let delay = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
                self.lock().push((now + delay, message));
            }
        }
        if failed { Err(lost("messages failed")) } else { Ok(()) }
    }
}
