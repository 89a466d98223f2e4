//! A queue that wakes workers up.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreResult;

/// Longest delay of a message.
pub const MAX_DELAY: Duration = Duration::from_mins(15);

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// JSON text; XML characters only.
    pub body: String,
    /// How long it stays hidden, whole seconds, at most [`MAX_DELAY`].
    pub delay: Duration,
    /// Fair-queue group: the workspace.
    pub group: String,
}

/// The sending side of a queue. The receiving side is the platform's.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends all messages, ten a call; those that the service names as failed are sent again, a bounded number of times. On an
    /// error some may have been sent.
    async fn send(&self, messages: Vec<Message>) -> StoreResult<()>;
}
