//! SQS batches: one record, one fate. A body is parsed by itself, a panic is its record's alone, and what can't be read goes
//! back to the queue alone, from where the queue moves it to its dead-letter queue.

use std::{collections::HashSet, panic::AssertUnwindSafe, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use fanhook_core::time::Millis;
use futures_util::{FutureExt, future};
use serde::de::DeserializeOwned;

use crate::clock::Clock;

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The queue forgets it.
    Done,
    /// It becomes visible again later.
    Retry,
}

/// A record whose body could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<T> {
    /// The body.
    pub message: T,
    /// How often the queue gave it out, this time included; 0 where the queue does not say.
    pub receives: u32,
}

/// Why a batch fails as a whole: its records can't be told apart, so that any answer could lose one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// There is no record. An answer without failures would say that all of them are done.
    #[error("the event holds no records")]
    Empty,
    /// A record has no identifier, or that of another.
    #[error("a record has no identifier of its own")]
    Unidentified,
}

/// Time that is kept for the answer.
const ANSWERING: Duration = Duration::from_millis(500);

/// Handles each record by itself, all at the same time. What is not done shortly before `deadline`, at which the platform ends the
/// invocation, is given up and goes back.
///
/// # Errors
/// The batch can't be answered record by record; nothing was handled.
pub async fn each<T: DeserializeOwned>(
    event: SqsEvent,
    clock: &dyn Clock,
    deadline: Millis,
    handle: impl AsyncFn(Record<T>) -> Fate,
) -> Result<SqsBatchResponse, BatchError> {
    let (ids, records) = parse(&event)?;
    let handle = &handle;
    let fates = records.into_iter().map(async |record| {
        let Some(record) = record else { return Fate::Retry };
        let work = std::pin::pin!(caught(handle(record)));
        let end = clock.sleep(deadline.since(clock.now() + ANSWERING));
        match future::select(work, end).await {
            future::Either::Left((fate, _)) => fate.unwrap_or(Fate::Retry),
            future::Either::Right(_) => Fate::Retry,
        }
    });
    let fates: Vec<_> = future::join_all(fates).await;
    Ok(answer(ids, fates))
}

/// Handles all readable records at once: `handle` gives one fate each, in their order. Where it panics or miscounts, all go back.
///
/// # Errors
/// The batch can't be answered record by record; nothing was handled.
pub async fn group<T: DeserializeOwned>(
    event: SqsEvent,
    handle: impl AsyncFnOnce(Vec<Record<T>>) -> Vec<Fate>,
) -> Result<SqsBatchResponse, BatchError> {
    let (ids, records) = parse(&event)?;
    let mut readable = Vec::new();
    let mut places = Vec::new();
    for (place, record) in records.into_iter().enumerate() {
        if let Some(record) = record {
            readable.push(record);
            places.push(place);
        }
    }
    let mut fates = vec![Fate::Retry; ids.len()];
    if !readable.is_empty() {
        let decided = caught(handle(readable)).await.unwrap_or_default();
        if decided.len() == places.len() {
            places.into_iter().zip(decided).for_each(|(place, fate)| fates[place] = fate);
        }
    }
    Ok(answer(ids, fates))
}

/// What `work` gives; none where it panicked. The panic hook has logged the place by then.
pub async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// A record; none where its body can't be read.
type Parsed<T> = Option<Record<T>>;

/// Identifiers and records of a batch.
fn parse<T: DeserializeOwned>(event: &SqsEvent) -> Result<(Vec<String>, Vec<Parsed<T>>), BatchError> {
    if event.records.is_empty() {
        return Err(BatchError::Empty);
    }
    let ids: Vec<_> =
        event.records.iter().map(|record| record.message_id.clone().unwrap_or_default()).collect();
    let mut seen = HashSet::new();
    if !ids.iter().all(|id| !id.is_empty() && seen.insert(id)) {
        return Err(BatchError::Unidentified);
    }
    Ok((ids, event.records.iter().map(record).collect()))
}

fn record<T: DeserializeOwned>(record: &SqsMessage) -> Parsed<T> {
    let receives =
        record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(0);
    match serde_json::from_str(record.body.as_deref().unwrap_or_default()) {
        Ok(message) => Some(Record { message, receives }),
        Err(error) => {
            // The error's own text may quote the body.
            let (message_id, line, column) = (record.message_id.as_deref(), error.line(), error.column());
            tracing::error!(message_id, receives, line, column, kind = ?error.classify(), "a message is not ours");
            None
        }
    }
}

fn answer(ids: Vec<String>, fates: Vec<Fate>) -> SqsBatchResponse {
    let mut answer = SqsBatchResponse::default();
    let back = ids.into_iter().zip(fates).filter(|(_, fate)| *fate == Fate::Retry);
    back.for_each(|(id, _)| answer.add_failure(id));
    answer
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use serde_json::{Value, json};

    fn event(records: &[(&str, &str)]) -> SqsEvent {
        let records = records.iter().map(|(id, body)| {
            json!({"messageId": id, "body": body, "attributes": {"ApproximateReceiveCount": "2"}, "messageAttributes": {}})
        });
        serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).unwrap_or_default()
    }

    async fn handled(event: SqsEvent) -> Result<Value, BatchError> {
        let clock = ManualClock::advancing(Millis(0));
        let response =
            each(event, &clock, Millis(60_000), async |record: Record<u32>| match record.message {
                0 => Fate::Done,
                1 => Fate::Retry,
                2 => panic!("record 2"),
                _ => {
                    clock.sleep(Duration::from_hours(1)).await;
                    Fate::Done
                }
            });
        Ok(serde_json::to_value(response.await?).unwrap_or_default())
    }

    #[tokio::test]
    async fn each_record_has_a_fate_of_its_own() {
        let event = event(&[
            ("a", "0"),
            ("b", "1"),
            ("c", "2"),
            ("d", "not ours"),
            ("e", "0"),
            ("f", "3"),
            ("g", ""),
        ]);
        let back = ["b", "c", "d", "f", "g"].map(|id| json!({"itemIdentifier": id}));
        assert_eq!(handled(event).await, Ok(json!({"batchItemFailures": back})));
    }

    #[tokio::test]
    async fn a_batch_that_is_done_has_no_failures() {
        assert_eq!(handled(event(&[("a", "0")])).await, Ok(json!({"batchItemFailures": []})));
    }

    #[tokio::test]
    async fn a_record_without_an_identifier_of_its_own_fails_the_batch_and_never_counts_as_done() {
        assert_eq!(handled(event(&[("a", "1"), ("", "0")])).await, Err(BatchError::Unidentified));
        assert_eq!(handled(event(&[("a", "0"), ("a", "0")])).await, Err(BatchError::Unidentified));
        let nameless = serde_json::from_value(json!({"Records": [{"body": "0"}]})).unwrap_or_default();
        assert_eq!(handled(nameless).await, Err(BatchError::Unidentified));
        assert_eq!(handled(SqsEvent::default()).await, Err(BatchError::Empty));
        assert!(serde_json::from_value::<SqsEvent>(json!({"records": []})).is_err());
    }

    #[tokio::test]
    async fn a_group_gets_every_readable_record_at_once() {
        let event = event(&[("a", "0"), ("b", "{"), ("c", "1")]);
        let response = group(event, async |records: Vec<Record<u32>>| {
            assert_eq!(
                records.iter().map(|record| (record.message, record.receives)).collect::<Vec<_>>(),
                [(0, 2), (1, 2)]
            );
            vec![Fate::Retry, Fate::Done]
        });
        let back = ["a", "b"].map(|id| json!({"itemIdentifier": id}));
        assert_eq!(response.await.map(|response| json!(response)), Ok(json!({"batchItemFailures": back})));
    }

    #[tokio::test]
    async fn a_group_that_panics_or_miscounts_goes_back_whole() {
        let both = json!({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]});
        let records = || event(&[("a", "0"), ("b", "0")]);
        let panicked = group(records(), async |_: Vec<Record<u32>>| panic!("all of them")).await;
        assert_eq!(panicked.map(|response| json!(response)), Ok(both.clone()));
        let miscounted = group(records(), async |_: Vec<Record<u32>>| vec![Fate::Done]).await;
        assert_eq!(miscounted.map(|response| json!(response)), Ok(both));
    }
}
