//! Reading the buckets and doing what the plan says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fanhook_core::{
    chunk::{ChunkId, Part as PartNumber},
    id::RunId,
    run::RunState,
    time::Millis,
};
use fanhook_lambda::{clock::Clock, random::Random};
use fanhook_store::{
    StoreResult, chunks, counters,
    due::{self, Due, Subject},
    endpoints, keys, parts,
    ports::{Message, Objects, Queue, Table},
    release::{self, Release},
    runs::{self, Run, Transition, Transitioned},
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use serde::Serialize;

use crate::{
    close,
    plan::{self, Step, Timing},
};

/// Buckets are read again for so many minutes, for entries that were filed late.
const LATE_MINUTES: u64 = 5;
/// Entries that are worked on at a time.
const AT_A_TIME: usize = 32;
/// When an entry whose work failed is looked at again.
const SET_BACK: Duration = Duration::from_mins(1);
/// Rows of one batch read.
const BATCH: usize = 100;

/// What `dispatch` may touch.
#[derive(Clone)]
pub struct Ports {
    /// The ledger.
    pub ledger: Arc<dyn Table>,
    /// Segments (read) and outcomes (write).
    pub objects: Arc<dyn Objects>,
    /// Wakes `fanout` up.
    pub fanout: Arc<dyn Queue>,
    /// Wakes `deliver` up.
    pub deliver: Arc<dyn Queue>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for owners.
    pub random: Arc<dyn Random>,
    /// The deployment's times.
    pub timing: Timing,
    /// How long before the function's own end no work is begun.
    pub margin: Duration,
}

/// What one invocation did; the fields of its log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Entries that were due.
    pub due: u64,
    /// Entries dropped.
    pub dropped: u64,
    /// Entries moved.
    pub refiled: u64,
    /// Messages sent for chunks and parts.
    pub sent: u64,
    /// Chunks released.
    pub released: u64,
    /// Chunks of closing runs settled.
    pub closed: u64,
    /// Chunks that stalled too often and wait for a person.
    pub parked: u64,
    /// Runs that are over now.
    pub over: u64,
    /// Entries whose work failed; they are looked at again a minute later.
    pub set_back: u64,
    /// Entries whose work failed and that could not be moved; they stay where they are.
    pub failed: u64,
}

/// Looks at everything that is due, until the deadline. What fails is logged, looked at again later and hinders nothing else.
///
/// An error means that the buckets themselves could not be read.
pub async fn dispatch(ports: &Ports, deadline: Millis) -> StoreResult<Summary> {
    let invocation = Invocation { ports, deadline, runs: Mutex::default() };
    let now = ports.clock.now();
    let ledger = ports.ledger.as_ref();
    let mut cursor = due::cursor(ledger).await?;
    let first = cursor.unwrap_or(now.minute().saturating_sub(LATE_MINUTES));
    let (mut summary, mut drained) = (Summary::default(), true);
    for minute in first..=now.minute() {
        let failed = summary.failed;
        for shard in 0..keys::DUE_SHARDS {
            invocation.bucket(minute, shard, now, &mut summary).await?;
        }
        if invocation.is_ending() {
            break;
        }
        // What failed and could not even be moved holds the cursor, not the minutes behind it.
        drained &= summary.failed == failed;
        let next = (minute + 1).min(now.minute().saturating_sub(LATE_MINUTES));
        // The very first invocation files one too: without it, an outage would be looked back on for minutes only.
        if drained && Some(next) > cursor {
            due::set_cursor(ledger, next).await?;
            cursor = Some(next);
        }
    }
    Ok(summary)
}

struct Invocation<'a> {
    ports: &'a Ports,
    deadline: Millis,
    /// Runs as this invocation read them first; entries come by the thousand, runs do not.
    runs: Mutex<HashMap<RunId, Option<Run>>>,
}

impl Invocation<'_> {
    fn is_ending(&self) -> bool {
        self.ports.clock.now() + self.ports.margin >= self.deadline
    }

    async fn bucket(&self, minute: u64, shard: u64, now: Millis, summary: &mut Summary) -> StoreResult<()> {
        let mut after = None;
        loop {
            let (entries, more) = due::bucket(self.ports.ledger.as_ref(), minute, shard, after).await?;
            let entries: Vec<Due> = entries.into_iter().filter(|entry| entry.at <= now).collect();
            summary.due += entries.len() as u64;
            let (chunks, others): (Vec<Due>, Vec<Due>) =
                entries.into_iter().partition(|entry| matches!(entry.subject, Subject::Chunk(_)));
            let batches = chunks.chunks(BATCH).map(|batch| self.chunks(batch, now).boxed());
            let others = others.iter().map(|entry| self.other(entry, now).boxed());
            // A boxed future each: the compiler can't name one that borrows from every item.
            let work: Vec<BoxFuture<'_, Summary>> = batches.chain(others).collect();
            let mut done = stream::iter(work).buffer_unordered(AT_A_TIME);
            while let Some(part) = done.next().await {
                summary.add(part);
            }
            match more {
                Some(_) if self.is_ending() => return Ok(()),
                Some(more) => after = Some(more),
                None => return Ok(()),
            }
        }
    }

    async fn run(&self, id: RunId) -> StoreResult<Option<Run>> {
        let known = self.runs.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(run) = known {
            return Ok(run);
        }
        let run = runs::get(self.ports.ledger.as_ref(), id).await?;
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(id, run.clone());
        Ok(run)
    }

    /// One batch of chunks' entries: read together, filed together, sent together; one by one where that fails, since one row's fault
    /// must not be its neighbours'.
    async fn chunks(&self, entries: &[Due], now: Millis) -> Summary {
        let mut summary = Summary::default();
        let Err(error) = self.try_chunks(entries, now, &mut summary).await else { return summary };
        log_failure("chunks", &error);
        let mut summary = Summary::default();
        for entry in entries {
            let entry = std::slice::from_ref(entry);
            let mut single = Summary::default();
            if let Err(error) = self.try_chunks(entry, now, &mut single).await {
                log_failure("chunk", &error);
                single = self.set_back(entry, now).await;
            }
            summary.add(single);
        }
        summary
    }

    async fn try_chunks(&self, entries: &[Due], now: Millis, summary: &mut Summary) -> StoreResult<()> {
        let ledger = self.ports.ledger.as_ref();
        let timing = self.ports.timing;
        let ids: Vec<ChunkId> = entries
            .iter()
            .filter_map(|entry| match entry.subject {
                Subject::Chunk(id) => Some(id),
                Subject::Run(_) | Subject::Part(..) => None,
            })
            .collect();
        let rows: HashMap<ChunkId, _> =
            chunks::get_many(ledger, &ids).await?.into_iter().map(|row| (row.id, row)).collect();
        let (mut filed, mut messages, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, id) in entries.iter().zip(&ids) {
            let run = self.run(id.run).await?;
            let row = rows.get(id);
            match plan::chunk(entry, run.as_ref(), row, now, timing) {
                Step::Drop => summary.dropped += 1,
                Step::Refile(at) => {
                    if row.is_some_and(chunks::Chunk::is_parked) {
                        summary.parked += 1;
                    }
                    filed.push(Due { at, ..*entry });
                    summary.refiled += 1;
                }
                Step::Send => {
                    filed.push(Due { at: now + timing.due_ahead, sent: Some(now), ..*entry });
                    messages.extend(run.map(|run| release::message(id, &run, Duration::ZERO)));
                    summary.sent += 1;
                }
            }
            moved.push(*entry);
        }
        self.refile(&filed, &moved, messages, self.ports.deliver.as_ref()).await
    }

    /// New entries, then messages, then the old entries away: a crash between doubles a look or a message, and loses none.
    async fn refile(
        &self,
        new: &[Due],
        old: &[Due],
        messages: Vec<Message>,
        queue: &dyn Queue,
    ) -> StoreResult<()> {
        let ledger = self.ports.ledger.as_ref();
        due::file(ledger, new).await?;
        if !messages.is_empty() {
            queue.send(messages).await?;
        }
        // One that moved within its bucket was replaced in place.
        let kept: std::collections::HashSet<_> = new.iter().map(Due::key).collect();
        let gone = old.iter().filter(|entry| !kept.contains(&entry.key()));
        let drops: Vec<BoxFuture<'_, _>> = gone.map(|entry| due::drop(ledger, entry).boxed()).collect();
        stream::iter(drops).buffer_unordered(AT_A_TIME).try_collect().await
    }

    async fn other(&self, entry: &Due, now: Millis) -> Summary {
        let done = match entry.subject {
            Subject::Run(run) => self.look_at_run(entry, run, now).await,
            Subject::Part(run, part) => self.look_at_part(entry, run, part, now).await,
            Subject::Chunk(_) => Ok(Summary::default()),
        };
        match done {
            Ok(summary) => summary,
            Err(error) => {
                log_failure("entry", &error);
                self.set_back(std::slice::from_ref(entry), now).await
            }
        }
    }

    /// Moves entries whose work failed out of the way of others, to be looked at again.
    async fn set_back(&self, entries: &[Due], now: Millis) -> Summary {
        let later: Vec<Due> = entries.iter().map(|entry| Due { at: now + SET_BACK, ..*entry }).collect();
        let count = entries.len() as u64;
        match self.refile(&later, entries, Vec::new(), self.ports.deliver.as_ref()).await {
            Ok(()) => Summary { set_back: count, ..Summary::default() },
            Err(_) => Summary { failed: count, ..Summary::default() },
        }
    }

    async fn look_at_part(
        &self,
        entry: &Due,
        run: RunId,
        number: PartNumber,
        now: Millis,
    ) -> StoreResult<Summary> {
        let run = self.run(run).await?;
        let row = match &run {
            Some(run) => parts::get(self.ports.ledger.as_ref(), run.id, number).await?,
            None => None,
        };
        let (fanout, timing) = (self.ports.fanout.as_ref(), self.ports.timing);
        match (plan::part(entry, run.as_ref(), row.as_ref(), now, timing), run) {
            (Step::Send, Some(run)) => {
                let again = Due { at: now + timing.due_ahead, sent: Some(now), ..*entry };
                self.refile(&[again], &[*entry], vec![parts::message(&run, number)], fanout).await?;
                Ok(Summary { sent: 1, ..Summary::default() })
            }
            (Step::Refile(at), _) => {
                self.refile(&[Due { at, ..*entry }], &[*entry], Vec::new(), fanout).await?;
                Ok(Summary { refiled: 1, ..Summary::default() })
            }
            (Step::Drop | Step::Send, _) => {
                due::drop(self.ports.ledger.as_ref(), entry).await?;
                Ok(Summary { dropped: 1, ..Summary::default() })
            }
        }
    }

    async fn look_at_run(&self, entry: &Due, id: RunId, now: Millis) -> StoreResult<Summary> {
        let ledger = self.ports.ledger.as_ref();
        let mut summary = Summary::default();
        let Some(mut run) = self.run(id).await?.filter(|run| !run.state.is_over()) else {
            due::drop(ledger, entry).await?;
            return Ok(Summary { dropped: 1, ..summary });
        };
        if let Some(change) = plan::expiry(&run, now) {
            run = self.change(&run, &change).await?;
        }
        if run.state == RunState::Running {
            let endpoint = endpoints::get(ledger, run.webhook).await?;
            let due_ahead = self.ports.timing.due_ahead;
            let release = Release { ledger, queue: self.ports.deliver.as_ref(), due_ahead };
            summary.released += release.release(&run, endpoint.as_ref(), now).await?;
        }
        if run.state == RunState::Closing {
            summary.closed += close::walk(self.ports, &run, self.deadline).await?;
        }
        let (parts, counted) = (parts::list(ledger, id).await?, counters::read(ledger, id).await?);
        if let Some(change) = plan::failure(&run, &parts, now).or_else(|| plan::gate(&run, &parts, now)) {
            run = self.change(&run, &change).await?;
        }
        if let Some(change) = plan::completion(&run, &parts, &counted, now) {
            run = self.change(&run, &change).await?;
        }
        if run.state.is_over() {
            due::drop(ledger, entry).await?;
            return Ok(Summary { over: 1, ..summary });
        }
        let again = Due { at: plan::next_look(&run, now, self.ports.timing), ..*entry };
        self.refile(&[again], &[*entry], Vec::new(), self.ports.deliver.as_ref()).await?;
        summary.refiled += 1;
        Ok(summary)
    }

    /// Changes the run's state, unless somebody else did first; the run as it is now.
    async fn change(&self, run: &Run, change: &Transition) -> StoreResult<Run> {
        let now = match runs::transition(self.ports.ledger.as_ref(), run, change).await? {
            Transitioned::Done(run) | Transitioned::Raced(run) => run,
            Transitioned::Unknown => run.clone(),
        };
        tracing::info!(run = %now.id, state = now.state.name(), "run changed");
        Ok(now)
    }
}

impl Summary {
    /// Writes the invocation's line.
    pub fn log(&self) {
        let Self { due, dropped, refiled, sent, released, closed, parked, over, set_back, failed } = *self;
        tracing::info!(
            due,
            dropped,
            refiled,
            sent,
            released,
            closed,
            parked,
            over,
            set_back,
            failed,
            "dispatched"
        );
    }

    fn add(&mut self, other: Self) {
        self.dropped += other.dropped;
        self.refiled += other.refiled;
        self.sent += other.sent;
        self.released += other.released;
        self.closed += other.closed;
        self.parked += other.parked;
        self.over += other.over;
        self.set_back += other.set_back;
        self.failed += other.failed;
    }
}

fn log_failure(what: &'static str, error: &fanhook_store::StoreError) {
    tracing::error!(what, error = fanhook_lambda::telemetry::chain(error), "dispatch failed");
}
