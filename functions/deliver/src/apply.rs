//! One pass over a chunk: claim, work, settle.

use std::time::Duration;

use fanhook_core::{chunk::ChunkId, time::Millis};
use fanhook_lambda::{sqs::Fate, telemetry::chain};
use fanhook_store::{
    StoreError, StoreResult,
    chunks::{self, Chunk, Claim, Fenced, Purpose},
    outcomes::{self, Lines, Record},
    release,
    runs::Run,
    segments,
};
use futures_util::future::{self, Either};

use crate::{
    invocation::Invocation,
    parse::Recipients,
    plan::{self, Gate, Stop},
    summary::Summary,
    work::{Known, Worker},
};

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// What is known is counted, and the chunk is given back.
    Settled,
    /// Another worker has the chunk.
    Lost,
    /// Its run is not live.
    Stopped,
    /// Nothing was left to do.
    Done,
    /// Somebody works it.
    Held,
    /// It is not due yet.
    Early,
    /// It stalled too often, and waits for a person.
    Parked,
    /// There is no such chunk.
    Unknown,
}

/// Works a chunk. All ends of a pass acknowledge its message: the row's due entry brings back what is not finished.
pub(crate) async fn chunk(invocation: &Invocation<'_>, id: ChunkId) -> Fate {
    let clock = &*invocation.ports.clock;
    let started = clock.now();
    let mut summary = Summary::default();
    let (end, fate) = match pass(invocation, id, &mut summary).await {
        Ok(Pass::Parked) => {
            tracing::error!(alarm = "chunk_parked", run = %id.run, part = id.part, chunk = id.chunk, "a chunk stalls");
            (Pass::Parked.name(), Fate::Done)
        }
        Ok(pass) => (pass.name(), Fate::Done),
        Err(error) => {
            tracing::error!(error = %chain(&error), run = %id.run, part = id.part, chunk = id.chunk, "a pass failed");
            ("failed", Fate::Retry)
        }
    };
    summary.log(id, end, clock.now().since(started));
    fate
}

impl Pass {
    fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Lost => "lost",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Held => "held",
            Self::Early => "early",
            Self::Parked => "parked",
            Self::Unknown => "unknown",
        }
    }
}

async fn pass(invocation: &Invocation<'_>, id: ChunkId, summary: &mut Summary) -> StoreResult<Pass> {
    let ports = invocation.ports;
    let run = invocation.control.subscribe().borrow().run(id.run).cloned();
    let now = ports.clock.now();
    let Some(run) = run.filter(|run| run.is_live_at(now)) else { return Ok(Pass::Stopped) };
    let owner = ports.random.uuid7(now).simple().to_string();
    let claim =
        chunks::claim(&*ports.ledger, &id, Purpose::Deliver, &owner, now, invocation.window.lease).await?;
    let chunk = match claim {
        Claim::Won(chunk) => *chunk,
        Claim::Done => return Ok(Pass::Done),
        Claim::Held { .. } => return Ok(Pass::Held),
        Claim::Parked => return Ok(Pass::Parked),
        Claim::Unknown => return Ok(Pass::Unknown),
        Claim::Early { until } => {
            // Not counted as a hop: it comes once, when the chunk is due.
            if let Some(delay) = plan::wake(now, until, 0) {
                ports.queue.send(vec![release::message(&id, &run, delay)]).await?;
            }
            return Ok(Pass::Early);
        }
    };
    (summary.pass, summary.recipients) = (chunk.pass, chunk.states.len());
    match work(invocation, &run, chunk.clone(), summary).await {
        Ok(pass) => Ok(pass),
        Err(Failed::BeforeSending(error @ StoreError::Unavailable { .. }))
            if chunk.states.uncounted().next().is_none() =>
        {
            tracing::warn!(error = %chain(&error), run = %id.run, part = id.part, chunk = id.chunk, "a chunk is given back");
            give_back(invocation, &run, &chunk).await
        }
        // What can't be read won't be readable soon, and what was sent can't be unsent: the lease runs out. After some stalls a
        // person is called.
        Err(Failed::BeforeSending(error) | Failed::Settling(error)) => Err(error),
    }
}

/// At which stage our own fault ended a pass.
enum Failed {
    /// Nothing was sent: the row still says all that is known.
    BeforeSending(StoreError),
    /// What is known beyond the last checkpoint is lost with this worker.
    Settling(StoreError),
}

/// Works a claimed chunk.
async fn work(
    invocation: &Invocation<'_>,
    run: &Run,
    chunk: Chunk,
    summary: &mut Summary,
) -> Result<Pass, Failed> {
    let ports = invocation.ports;
    let lines =
        segments::recipients(&*ports.objects, &run.workspace, &chunk).await.map_err(Failed::BeforeSending)?;
    let mut recipients = Recipients::parse(&lines, &chunk.states);
    let job = ports.kept.jobs.get(&*ports.ledger, run.id).await.map_err(Failed::BeforeSending)?;
    let mut worker = Worker::new(invocation, &job, chunk, summary);
    if worker.look() == Gate::Closed(Stop::Gone) {
        worker.stop(Stop::Gone);
    } else {
        recipients.fetch(&job, &*ports.profiles).await.map_err(Failed::BeforeSending)?;
        worker.ready().await.map_err(Failed::BeforeSending)?;
        let webhook = job.pinned.webhook;
        invocation.shares.join(webhook);
        let sent = worker.send_all(&recipients).await;
        invocation.shares.leave(ports, webhook).await;
        if sent == Fenced::Lost {
            return Ok(Pass::Lost);
        }
    }
    let next = worker.finish();
    let stopped = worker.stopped();
    let left = Settlement { recipients: &recipients, known: &worker.known, next, stopped };
    settle(invocation, run, &worker.chunk, &left).await.map_err(Failed::Settling)
}

/// What a pass leaves to be settled.
struct Settlement<'a> {
    recipients: &'a Recipients<'a>,
    known: &'a [Option<Known>],
    /// When the pending ones are tried again.
    next: Millis,
    stopped: Option<Stop>,
}

/// The outcome object first, then the counters and the row: a crash between writes the object again, and counts once.
async fn settle(
    invocation: &Invocation<'_>,
    run: &Run,
    chunk: &Chunk,
    left: &Settlement<'_>,
) -> StoreResult<Pass> {
    let ports = invocation.ports;
    let mut lines = Lines::with_capacity(left.known.len());
    for (index, reason) in chunk.states.uncounted() {
        let record = Record::new(left.recipients.qaid(index), reason);
        match left.known.get(index).and_then(Option::as_ref) {
            Some(known) => lines.push(&known.record(record))?,
            // A worker before us finished it, and left nothing but the reason.
            None => lines.push(&record)?,
        }
    }
    let put = std::pin::pin!(outcomes::put(&*ports.objects, &run.workspace, chunk, &lines));
    let rest = invocation.window.last_put().since(ports.clock.now());
    match future::select(put, ports.clock.sleep(rest)).await {
        Either::Left((put, _)) if rest > Duration::ZERO => put?,
        _ => return Err(StoreError::unavailable("settling", "the lease ends")),
    }
    give(invocation, run, chunk, left.next, left.stopped).await
}

/// Gives a chunk back that has nothing to count, after a fault of ours.
async fn give_back(invocation: &Invocation<'_>, run: &Run, chunk: &Chunk) -> StoreResult<Pass> {
    let next = Stop::OurFault.next(invocation.ports.clock.now());
    give(invocation, run, chunk, next, Some(Stop::OurFault)).await
}

async fn give(
    invocation: &Invocation<'_>,
    run: &Run,
    chunk: &Chunk,
    next: Millis,
    stopped: Option<Stop>,
) -> StoreResult<Pass> {
    let ports = invocation.ports;
    let now = ports.clock.now();
    // A long pass may outlast a wait; behind the time nobody looks any more.
    let next = next.max(now);
    let more = chunk.states.pending_len() > 0 && stopped != Some(Stop::NotLive);
    let delay = plan::wake(now, next, chunk.pass).filter(|_| more);
    if chunks::settle(&*ports.ledger, chunk, next, delay.map(|_| now)).await? == Fenced::Lost {
        return Ok(Pass::Lost);
    }
    if let Some(delay) = delay
        && let Err(error) = ports.queue.send(vec![release::message(&chunk.id, run, delay)]).await
    {
        // The due entry stands.
        tracing::warn!(error = %chain(&error), "a message is not sent");
    }
    Ok(Pass::Settled)
}
