//! Working one part: claim, read and write until there is a reason to end, and leave it so that somebody goes on.

use std::time::Duration;

use fanhook_core::{
    audience::{self, Compression, FileError, Kind, Limits, Reader, Start},
    chunk::{CHUNKS_PER_SEGMENT, Part as Number, recipients_per_chunk},
    id::{IdTypeCode, RunId, UploadId},
    run::{Pinned, RunState},
    time::Millis,
};
use fanhook_store::{
    StoreError, StoreResult,
    chunks::Fenced,
    due::{self, Due, Subject},
    files::{FileFailure, Stream},
    keys,
    parts::{self, PartClaim, PartState},
    runs::{self, Transition, Transitioned},
};
use futures_util::try_join;
use tokio::sync::mpsc::channel;

use crate::{
    Ports,
    apply::{Way, Work, way},
    expand::{self, Expansion},
    parse::Message,
    plan::Packer,
    preflight,
    read::{self, Ending},
};

/// What became of a part in one invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its file is read to its end.
    Ended,
    /// There is more to read: a message and a due entry were left.
    HandedOver,
    /// Its run is closing; it is stopped.
    Stopped,
    /// Its run failed by another part; it waits for the run's resume.
    Waiting,
    /// Its file can't be read on; the run failed.
    Failed(FileFailure),
    /// Somebody else works it.
    Held,
    /// There was nothing left to do.
    Over,
    /// There is no such part.
    Unknown,
}

impl Outcome {
    /// Its name, as logs have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::HandedOver => "handed_over",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Failed(failure) => failure.code.name(),
            Self::Held => "held",
            Self::Over => "over",
            Self::Unknown => "unknown",
        }
    }
}

/// Works one part until its end or shortly before `deadline`, when the platform ends the invocation.
///
/// An error is our own store's: the message goes back to the queue.
pub async fn work(ports: &Ports, message: Message, deadline: Millis) -> StoreResult<Outcome> {
    let Message { run, part } = message;
    let ledger = ports.ledger.as_ref();
    let now = ports.clock.now();
    let part = match claim(ports, run, part, deadline).await? {
        PartClaim::Won(part) => *part,
        PartClaim::Held { .. } => return Ok(Outcome::Held),
        PartClaim::Unknown => return Ok(Outcome::Unknown),
        PartClaim::Over => return over(ports, run, part).await,
    };
    let (Some(run), Some(pinned)) = (runs::get(ledger, run).await?, runs::pinned(ledger, run).await?) else {
        return Err(StoreError::corrupt("run", "a part has no run"));
    };
    let stop = stop(now, deadline);
    let mut work = Work { ports, run, part };
    match work.all(&pinned, stop).await {
        Ok(outcome) => Ok(outcome),
        Err(error) => {
            // Given back at once, so that the next one need not wait for the lease. Where even that fails, the lease runs out.
            drop(work.give_back(PartState::Open).await);
            Err(error)
        }
    }
}

/// Claims a part until some time after the invocation's end.
async fn claim(ports: &Ports, run: RunId, part: Number, deadline: Millis) -> StoreResult<PartClaim> {
    let owner = format!("{:016x}", ports.random.number());
    let lease = deadline + ports.times.lease_margin;
    parts::claim(ports.ledger.as_ref(), run, part, &owner, ports.clock.now(), lease).await
}

/// When to stop reading, so that there is time for writing what was read: a fifth of the time, at most half a minute.
fn stop(now: Millis, deadline: Millis) -> Millis {
    let reserve = (deadline.since(now) / 5).min(Duration::from_secs(30));
    now + deadline.since(now).saturating_sub(reserve)
}

/// A part that is over needs nothing, but for one that failed: whoever worked it may have died before the run failed.
async fn over(ports: &Ports, run: RunId, part: Number) -> StoreResult<Outcome> {
    if let Some(part) = parts::get(ports.ledger.as_ref(), run, part).await?
        && let Some(failure) = part.failure
    {
        fail_run(ports, run, failure.to_string()).await?;
    }
    Ok(Outcome::Over)
}

impl Work<'_> {
    async fn all(&mut self, pinned: &Pinned, stop: Millis) -> StoreResult<Outcome> {
        if self.take_over().await? == Fenced::Lost {
            return Ok(Outcome::Held);
        }
        let way = match way(self.run.state) {
            Way::On => match self.preflight(pinned).await? {
                Some(outcome) => return Ok(outcome),
                None => self.read(pinned, stop).await?,
            },
            way => Err(way),
        };
        match way {
            Ok(Ending::Ended) => {
                let outcome = self.leave(PartState::Ended, Outcome::Ended).await?;
                // What was not released so far: an audience without recipients, or one whose last rows are there since now.
                if outcome == Outcome::Ended {
                    self.release().await?;
                }
                Ok(outcome)
            }
            Ok(Ending::Failed(failure)) => self.fail(failure).await,
            Ok(Ending::OutOfTime | Ending::Unwanted) => self.hand_over().await,
            Err(Way::Stopped) => self.leave(PartState::Stopped, Outcome::Stopped).await,
            Err(Way::Waiting) => self.leave(PartState::Open, Outcome::Waiting).await,
            Err(Way::Lost | Way::On) => Ok(Outcome::Held),
        }
    }

    /// Checks the heads of all files, unless something of this part was read: then it was done.
    async fn preflight(&mut self, pinned: &Pinned) -> StoreResult<Option<Outcome>> {
        if self.part.commit.position.is_some() || pinned.uploads.len() < 2 {
            return Ok(None);
        }
        let (ports, run) = (self.ports, self.run.id);
        let all = parts::list(ports.ledger.as_ref(), run).await?;
        let failures = preflight::check(ports.objects.as_ref(), &self.run, &all, &types(pinned)).await?;
        let mut own = None;
        for (number, failure) in failures {
            if number == self.part.part {
                own = Some(failure);
                continue;
            }
            let other = all.iter().find(|part| part.part == number);
            let Some(upload) = other.map(|part| part.upload) else { continue };
            fail_run(ports, run, described(upload, &failure).to_string()).await?;
            // Marked as failed, so that a resume knows which file is to be uploaded again. Who holds it finds the fault too.
            if let PartClaim::Won(part) = claim(ports, run, number, self.part.lease).await? {
                let mut other = Work { ports, run: self.run.clone(), part: *part };
                other.fail(failure).await?;
            }
            self.run.state = RunState::Failed;
        }
        match own {
            Some(failure) => self.fail(failure).await.map(Some),
            None if self.run.state == RunState::Failed => {
                self.leave(PartState::Open, Outcome::Waiting).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Reads and writes at the same time, in three stages that wait for each other.
    async fn read(&mut self, pinned: &Pinned, stop: Millis) -> StoreResult<Result<Ending, Way>> {
        let (reader, offset) = match self.reader(types(pinned))? {
            Ok(opened) => opened,
            Err(error) => return Ok(Ok(Ending::Failed(error.into()))),
        };
        let ports = self.ports;
        let key = keys::uploaded("audiences", &self.run.workspace, self.part.upload);
        let stream = Stream { objects: ports.objects.as_ref(), key, etag: self.part.etag.clone(), offset };
        let expansion = Expansion::new(pinned);
        let chunks = if expansion.is_some() { expand::CHUNKS } else { CHUNKS_PER_SEGMENT };
        let size = recipients_per_chunk(self.run.batch_size);
        let packer = Packer::new(chunks, size, ports.random.number());
        let (piece_in, pieces) = channel(1);
        let (stretch_in, stretches) = channel(1);
        let fetch = async {
            stream.fetch(piece_in).await;
            Ok(())
        };
        let read = read::read(reader, packer, pieces, stretch_in, ports.clock.as_ref(), stop);
        let ((), ending, way) = try_join!(fetch, read, self.write(stretches, expansion.as_ref()))?;
        Ok(if way == Way::On { Ok(ending) } else { Err(way) })
    }

    /// A reader from the commit point on, and the offset in the file that it is fed from.
    fn reader(&self, types: Vec<IdTypeCode>) -> StoreResult<Result<(Reader, u64), FileError>> {
        let (kind, limits) = (Kind::Audience, Limits::default());
        let Some(position) = &self.part.commit.position else {
            return Ok(Ok((Reader::new(kind, types, limits), 0)));
        };
        let commit: audience::Commit =
            serde_json::from_str(position).map_err(|error| StoreError::corrupt("position", error))?;
        // A compressed stream has no middle; and a file that is not pinned may be another than the one that was read so far.
        let same = self.part.etag.is_some() && commit.compression == Some(Compression::Plain);
        let (start, offset) = if same { (Start::Offset, commit.offset) } else { (Start::Beginning, 0) };
        Ok(Reader::resume(kind, types, limits, &commit, start).map(|reader| (reader, offset)))
    }

    async fn give_back(&mut self, state: PartState) -> StoreResult<Fenced> {
        self.part.state = state;
        parts::give_back(self.ports.ledger.as_ref(), &self.part).await
    }

    /// Gives the part back; an open one with a due entry.
    async fn leave(&mut self, state: PartState, outcome: Outcome) -> StoreResult<Outcome> {
        if state == PartState::Open {
            self.file(None).await?;
        }
        Ok(if self.give_back(state).await? == Fenced::Held { outcome } else { Outcome::Held })
    }

    async fn file(&self, sent: Option<Millis>) -> StoreResult<()> {
        let subject = Subject::Part(self.part.run, self.part.part);
        let at = self.ports.clock.now() + self.ports.times.due_ahead;
        due::file(self.ports.ledger.as_ref(), &[Due { subject, at, sent }]).await
    }

    /// Leaves the rest to another invocation: the due entry first, then the part, then the message, which finds it free.
    async fn hand_over(&mut self) -> StoreResult<Outcome> {
        self.file(Some(self.ports.clock.now())).await?;
        if self.give_back(PartState::Open).await? == Fenced::Lost {
            return Ok(Outcome::Held);
        }
        self.ports.fanout.send(vec![parts::message(&self.run, self.part.part)]).await?;
        Ok(Outcome::HandedOver)
    }

    async fn fail(&mut self, failure: FileFailure) -> StoreResult<Outcome> {
        let told = described(self.part.upload, &failure);
        self.part.failure = Some(told.clone());
        if self.give_back(PartState::Failed).await? == Fenced::Lost {
            return Ok(Outcome::Held);
        }
        fail_run(self.ports, self.part.run, told.to_string()).await?;
        Ok(Outcome::Failed(failure))
    }
}

fn types(pinned: &Pinned) -> Vec<IdTypeCode> {
    pinned.known_id_types().cloned().collect()
}

/// The same failure, told with the file's identifier.
fn described(upload: UploadId, failure: &FileFailure) -> FileFailure {
    FileFailure { code: failure.code, text: format!("file {upload}: {}", failure.text) }
}

/// Fails a run that is not closing or over.
pub(crate) async fn fail_run(ports: &Ports, run: RunId, failure: String) -> StoreResult<()> {
    let ledger = ports.ledger.as_ref();
    let Some(mut run) = runs::get(ledger, run).await? else { return Ok(()) };
    while matches!(run.state, RunState::Starting | RunState::Running | RunState::Paused) {
        let (failure, ended) = (Some(failure.clone()), Some(ports.clock.now()));
        let change = Transition { failure, ended, ..Transition::to(RunState::Failed) };
        // Whoever was first changed the state, so the loop ends.
        match runs::transition(ledger, &run, &change).await? {
            Transitioned::Raced(now) => run = now,
            Transitioned::Done(_) | Transitioned::Unknown => break,
        }
    }
    Ok(())
}
