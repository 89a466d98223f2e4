//! The contract of a queue's sending side.

use std::time::Duration;

use super::unique;
use crate::ports::{MAX_DELAY, Message, Queue};

/// A queue. Nothing reads it here: who runs the suite may look at what arrived, 13 messages whose bodies begin with the text that
/// it gives back.
pub async fn queue(queue: &dyn Queue) -> String {
    let group = unique("queue");
    let message =
        |n: usize, delay| Message {
            body: format!("{group} {n} 🎟 \"<&>\"\t\n"), delay, group: group.clone()
        };
    queue.send(Vec::new()).await.expect("no messages");
    queue
        .send((0..12).map(|n| message(n, Duration::ZERO)).collect())
        .await
        .expect("more than one call takes");
    queue.send(vec![message(12, MAX_DELAY)]).await.expect("the longest delay");
    let late = queue.send(vec![message(0, MAX_DELAY + Duration::from_millis(1))]).await;
    assert!(late.is_err(), "a longer delay is refused");
    group
}
