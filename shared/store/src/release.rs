//! Release: chunks that are written become due entries and messages, no more at once than the endpoint can take.

use std::time::Duration;

use fanhook_core::{
    chunk::{ChunkId, recipients_per_chunk},
    rate::Rate,
    run::{EndpointSettings, RunState},
    time::Millis,
};

use crate::{
    StoreResult,
    chunks::Fenced,
    counters,
    due::{self, Due, Subject},
    endpoints::Endpoint,
    parts::{self, Part, PartState},
    ports::{Message, Queue, Table},
    runs::Run,
};

/// Chunks of one run that are released and not yet tried at most where its endpoint has no limit: a million recipients.
pub const WINDOW: u64 = 2_000;

/// Requests of a minute, where one is under way at a time: an endpoint that answers in 20 ms. More chunks would be held by workers who wait.
const REQUESTS_A_SLOT: u64 = 3_000;

/// Chunks that one call releases at most.
const MOST: u64 = 2 * WINDOW;

/// Chunks that one step of a call releases at most.
const STEP: u32 = 200;

/// Where released chunks go.
#[derive(Clone, Copy)]
pub struct Release<'a> {
    /// The ledger.
    pub ledger: &'a dyn Table,
    /// The queue of `deliver`.
    pub queue: &'a dyn Queue,
    /// How far ahead of a message its due entry is.
    pub due_ahead: Duration,
}

impl Release<'_> {
    /// Releases what the window of a running run leaves room for, going round its parts. Answers the number of chunks.
    ///
    /// For each step: due entries, then messages, then the part's cursor. A crash between doubles a message and loses none.
    pub async fn release(&self, run: &Run, endpoint: Option<&Endpoint>, now: Millis) -> StoreResult<u64> {
        if run.state != RunState::Running {
            return Ok(0);
        }
        let mut parts = parts::list(self.ledger, run.id).await?;
        if gate(run, &parts) != Gate::Open {
            return Ok(0);
        }
        let tried = counters::read(self.ledger, run.id).await?.tried_chunks;
        let released: u64 = parts.iter().map(|part| u64::from(part.released)).sum();
        let minute = endpoint.and_then(|endpoint| requests_a_minute(&endpoint.settings));
        let rate = endpoint.and_then(|endpoint| endpoint.settings.rate());
        // After a resume the cursors are back at the start, and what was tried before costs its worker one look.
        let mut room = (window(minute, run.batch_size) + tried).saturating_sub(released).min(MOST);
        let mut total = 0;
        while room > 0 {
            let mut moved = false;
            for part in &mut parts {
                let ready = part.commit.chunks.saturating_sub(part.commit.unwritten + part.released);
                let count = ready.min(STEP).min(u32::try_from(room).unwrap_or(u32::MAX));
                if count == 0 {
                    continue;
                }
                if self.step(run, part, count, spread(rate), now).await? == Fenced::Lost {
                    // Somebody else releases this part at the moment.
                    return Ok(total);
                }
                room -= u64::from(count);
                total += u64::from(count);
                moved = true;
            }
            if !moved {
                break;
            }
        }
        Ok(total)
    }

    async fn step(
        &self,
        run: &Run,
        part: &mut Part,
        count: u32,
        spread: Duration,
        now: Millis,
    ) -> StoreResult<Fenced> {
        let ids: Vec<ChunkId> = (part.released..part.released + count)
            .map(|chunk| ChunkId { run: run.id, part: part.part, chunk })
            .collect();
        let delay = |at: usize| {
            let share = spread.as_secs() * at as u64 / u64::from(count);
            Duration::from_secs(share)
        };
        let entries: Vec<Due> = ids
            .iter()
            .enumerate()
            .map(|(at, &id)| Due {
                subject: Subject::Chunk(id),
                at: now + delay(at) + self.due_ahead,
                sent: Some(now),
            })
            .collect();
        due::file(self.ledger, &entries).await?;
        self.queue.send(ids.iter().enumerate().map(|(at, id)| message(id, run, delay(at))).collect()).await?;
        let to = part.released + count;
        parts::set_released(self.ledger, part, to).await
    }
}

/// What the audience of a run comes to, as far as it is counted, where its webhook lacks a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Its chunks may be released.
    Open,
    /// Not before its audience is counted.
    Waiting,
    /// Never: it has more recipients than such a webhook takes. Why, for people.
    Exceeded(String),
}

/// Judges a run with these parts.
pub fn gate(run: &Run, parts: &[Part]) -> Gate {
    let recipients: u64 = parts.iter().map(|part| part.commit.recipients).sum();
    let counted = parts.iter().all(|part| matches!(part.state, PartState::Ended | PartState::Stopped));
    let number = if counted { recipients.to_string() } else { format!("{recipients} or more") };
    let exceeded = run.unproved.iter().filter(|proof| recipients > proof.most());
    let reasons: Vec<String> = exceeded.map(|proof| proof.lacking(&number)).collect();
    if !reasons.is_empty() {
        Gate::Exceeded(reasons.join("; "))
    } else if run.unproved.is_empty() || counted {
        Gate::Open
    } else {
        Gate::Waiting
    }
}

/// The message that wakes `deliver` up for a chunk.
pub fn message(id: &ChunkId, run: &Run, delay: Duration) -> Message {
    // A struct of strings and numbers always serializes.
    let body = serde_json::to_string(id).unwrap_or_default();
    Message { body, delay, group: run.workspace.to_string() }
}

/// Most requests that a limited endpoint takes in a minute.
fn requests_a_minute(settings: &EndpointSettings) -> Option<u64> {
    let by_rate = settings.rate().map(Rate::a_minute);
    let by_slots = settings.requests_at_a_time.map(|slots| u64::from(slots) * REQUESTS_A_SLOT);
    by_rate.into_iter().chain(by_slots).min()
}

/// Chunks that may be outstanding: a minute's worth of a limited endpoint, and at least two.
fn window(requests_a_minute: Option<u64>, batch_size: u32) -> u64 {
    let of_chunk = recipients_per_chunk(batch_size) as u64 / u64::from(batch_size.max(1));
    requests_a_minute.map_or(WINDOW, |requests| requests.div_ceil(of_chunk.max(1)).clamp(2, WINDOW))
}

/// Time that the messages of one step are spread over.
fn spread(rate: Option<Rate>) -> Duration {
    if rate.is_some() { Duration::from_secs(50) } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fanhook_core::webhook::{Authentication, RetryPolicy, Signing};

    use super::*;

    #[test]
    fn a_window_is_a_minute_of_requests_however_many_users_they_hold() {
        assert_eq!(window(None, 1), WINDOW);
        // Of a chunk's 500, 10, 1 and 1.
        assert_eq!(
            [1, 50, 500, 1000].map(|batch_size| window(Some(3_000), batch_size)),
            [6, 300, 2_000, 2_000]
        );
        assert_eq!((window(Some(60), 1), window(Some(60), 1000)), (2, 60));
    }

    #[test]
    fn the_stricter_limit_counts() {
        let minute = |requests_per_second, requests_at_a_time| {
            requests_a_minute(&EndpointSettings {
                origin: None,
                requests_per_second,
                requests_at_a_time,
                allowed_per_minute: None,
                allowed_elsewhere: BTreeMap::new(),
                retry: RetryPolicy::default(),
                authentication: Authentication::default(),
                signing: Signing::None {},
                updated: Millis(0),
            })
        };
        assert_eq!(minute(None, None), None);
        assert_eq!((minute(Some(10), None), minute(None, Some(2))), (Some(600), Some(6_000)));
        assert_eq!((minute(Some(10), Some(2)), minute(Some(1_000), Some(2))), (Some(600), Some(6_000)));
    }
}
