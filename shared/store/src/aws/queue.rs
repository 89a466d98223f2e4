//! The sending side of a queue on SQS.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry as Entry};

use super::backoff::Backoff;
use crate::{
    StoreError, StoreResult,
    ports::{MAX_DELAY, Message, Queue},
};

/// Messages of one call, by the service's limit.
const BATCH: usize = 10;
const OPERATION: &str = "SQS SendMessageBatch";

/// A queue of SQS.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }

    async fn send_batch(&self, mut batch: Vec<Entry>) -> StoreResult<()> {
        let mut backoff = Backoff::default();
        loop {
            let request =
                self.client.send_message_batch().queue_url(&self.url).set_entries(Some(batch.clone()));
            let answer = request.send().await.map_err(|error| StoreError::unavailable(OPERATION, error))?;
            if answer.failed.is_empty() {
                return Ok(());
            }
            let ours = answer.failed.iter().find(|entry| entry.sender_fault);
            if let Some(refused) = ours {
                return Err(StoreError::unavailable(
                    OPERATION,
                    format!("a message was refused: {}", refused.code),
                ));
            }
            batch.retain(|entry| answer.failed.iter().any(|failed| failed.id == entry.id));
            if !backoff.wait().await {
                return Err(StoreError::unavailable(OPERATION, "messages failed again and again"));
            }
        }
    }
}

/// A message as an entry of a batch, named by its place.
fn entry((place, message): (usize, &Message)) -> StoreResult<Entry> {
    if message.delay > MAX_DELAY {
        return Err(StoreError::unavailable(OPERATION, "a message's delay is over 900 s"));
    }
    // A message must not come before its time, so that a part of a second counts as one.
    let seconds = message.delay.as_millis().div_ceil(1000);
    let entry = Entry::builder()
        .id(place.to_string())
        .message_body(&message.body)
        .delay_seconds(i32::try_from(seconds).unwrap_or(i32::MAX))
        .message_group_id(&message.group);
    entry.build().map_err(|error| StoreError::unavailable(OPERATION, error))
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, messages: Vec<Message>) -> StoreResult<()> {
        let entries = messages.iter().enumerate().map(entry).collect::<StoreResult<Vec<_>>>()?;
        for batch in entries.chunks(BATCH) {
            self.send_batch(batch.to_vec()).await?;
        }
        Ok(())
    }
}
