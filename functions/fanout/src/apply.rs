//! Writing what was read: segment object, commit point, chunk rows, release; in this order, a segment at a time.

use bytes::Bytes;
use fanhook_core::{
    chunk::{ChunkId, Source, recipients_per_chunk},
    run::RunState,
};
use fanhook_store::{
    StoreError, StoreResult,
    chunks::{self, Chunk, Fenced},
    endpoints, keys, parts,
    parts::Part,
    ports::ObjectError,
    release::{self, Gate, Release},
    runs::{self, Run, Transition, Transitioned},
};
use tokio::sync::mpsc::Receiver;

use crate::{
    Ports,
    expand::Expansion,
    plan::{Segment, Slices},
    read::Stretch,
    work::fail_run,
};

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Yes.
    On,
    /// Another worker has the part.
    Lost,
    /// The run is closing or closed: nothing more of the file is needed.
    Stopped,
    /// The run failed, by another part: the file is needed when the run is resumed.
    Waiting,
}

/// A claimed part and its run.
pub(crate) struct Work<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) run: Run,
    pub(crate) part: Part,
}

impl Work<'_> {
    /// Writes all stretches, until there are no more or there is a reason not to go on.
    pub(crate) async fn write(
        &mut self,
        mut stretches: Receiver<Stretch>,
        expansion: Option<&Expansion>,
    ) -> StoreResult<Way> {
        while let Some(mut stretch) = stretches.recv().await {
            if let Some(expansion) = expansion {
                stretch.segment = expansion.expand(self.ports.profiles.as_ref(), stretch.segment).await?;
            }
            let way = self.stretch(stretch).await?;
            if way != Way::On {
                return Ok(way);
            }
        }
        Ok(Way::On)
    }

    async fn stretch(&mut self, stretch: Stretch) -> StoreResult<Way> {
        let Stretch { segment, commit, etag } = stretch;
        let slices = segment.slices.clone();
        let mut next = self.part.clone();
        // From here on the commit point rests on this version of the file.
        next.etag = etag.or(next.etag);
        let at = &mut next.commit;
        at.position =
            Some(serde_json::to_string(&commit).map_err(|error| StoreError::corrupt("position", error))?);
        (at.lines, at.bad_rows) = (commit.counts.lines, commit.counts.bad);
        (at.blanks, at.headers) = (commit.counts.blank, commit.counts.header);
        at.duplicates += segment.duplicates;
        at.recipients += slices.recipients() as u64;
        at.unwritten = count(slices.as_slice().len())?;
        at.chunks += at.unwritten;
        if !segment.is_empty() {
            at.segments += 1;
            at.segment_fence = next.fence;
            self.put(&next, segment).await?;
        }
        if parts::commit(self.ports.ledger.as_ref(), &next).await? == Fenced::Lost {
            return Ok(Way::Lost);
        }
        self.part = next;
        if self.rows(&slices).await? == Fenced::Lost {
            return Ok(Way::Lost);
        }
        self.release().await
    }

    /// Puts the objects of a stretch whose commit point will be that of `next`.
    async fn put(&self, next: &Part, segment: Segment) -> StoreResult<()> {
        let (objects, workspace) = (self.ports.objects.as_ref(), &self.run.workspace);
        let number = next.commit.segments - 1;
        let key = keys::segment(workspace, next.run, next.part, number, next.fence);
        let report = keys::report(workspace, next.upload, &format!("{}-{:05}", next.run, next.part), number);
        let put = async |key: String, bytes: Vec<u8>| {
            if bytes.is_empty() { Ok(()) } else { objects.put(&key, Bytes::from(bytes)).await }
        };
        futures_util::try_join!(put(key, segment.lines), put(report, segment.report)).map(|_| ())
    }

    /// Puts the rows of the last segment's chunks, and notes that they are there.
    async fn rows(&mut self, slices: &Slices) -> StoreResult<Fenced> {
        let (part, ledger) = (&self.part, self.ports.ledger.as_ref());
        let commit = &part.commit;
        if commit.unwritten == 0 {
            return Ok(Fenced::Held);
        }
        if count(slices.as_slice().len())? != commit.unwritten {
            return Err(StoreError::corrupt("segment", "it does not hold the chunks that its part counts"));
        }
        let numbers = commit.chunks - commit.unwritten..;
        let row = |(chunk, slice): (u32, &crate::plan::Slice)| {
            let id = ChunkId { run: part.run, part: part.part, chunk };
            let (offset, length) = (slice.offset as u64, slice.length as u64);
            let source = Source { segment: commit.segments - 1, fence: commit.segment_fence, offset, length };
            Chunk::new(id, source, slice.recipients, part.expires)
        };
        let rows: Vec<Chunk> = numbers.zip(slices.as_slice()).map(row).collect();
        chunks::create(ledger, &rows).await?;
        let mut next = part.clone();
        next.commit.unwritten = 0;
        let fenced = parts::commit(ledger, &next).await?;
        if fenced == Fenced::Held {
            self.part = next;
        }
        Ok(fenced)
    }

    /// Puts the chunk rows that a worker before this one may have left out.
    pub(crate) async fn take_over(&mut self) -> StoreResult<Fenced> {
        let commit = &self.part.commit;
        if commit.unwritten == 0 {
            return Ok(Fenced::Held);
        }
        let (run, part) = (self.part.run, self.part.part);
        let key = keys::segment(&self.run.workspace, run, part, commit.segments - 1, commit.segment_fence);
        let lines = match self.ports.objects.get(&key, 0..u64::from(u32::MAX), None).await {
            Ok(fetched) => fetched.bytes,
            Err(ObjectError::Store(error)) => return Err(error),
            Err(error) => return Err(StoreError::corrupt("segment", error)),
        };
        self.rows(&Slices::of(&lines, recipients_per_chunk(self.run.batch_size))).await
    }

    /// Looks at the run as it is now, and lets its first chunks go: the worker of the first part does, so that a small push starts at once.
    /// Where the webhook lacks a proof, any part may be the last to be counted; with more recipients than such a webhook takes, the run fails.
    pub(crate) async fn release(&mut self) -> StoreResult<Way> {
        let ledger = self.ports.ledger.as_ref();
        let Some(run) = runs::get(ledger, self.run.id).await? else { return Ok(Way::Stopped) };
        self.run = run;
        if self.run.state == RunState::Starting && self.part.commit.chunks > 0 {
            match runs::transition(ledger, &self.run, &Transition::to(RunState::Running)).await? {
                Transitioned::Done(run) | Transitioned::Raced(run) => self.run = run,
                Transitioned::Unknown => return Ok(Way::Stopped),
            }
        }
        if !self.run.unproved.is_empty()
            && let Gate::Exceeded(failure) =
                release::gate(&self.run, &parts::list(ledger, self.run.id).await?)
        {
            fail_run(self.ports, self.run.id, failure).await?;
            let Some(run) = runs::get(ledger, self.run.id).await? else { return Ok(Way::Stopped) };
            self.run = run;
        }
        if self.run.state == RunState::Running && (self.part.part == 0 || !self.run.unproved.is_empty()) {
            let endpoint = endpoints::get(ledger, self.run.webhook).await?;
            let release =
                Release { ledger, queue: self.ports.deliver.as_ref(), due_ahead: self.ports.times.due_ahead };
            release.release(&self.run, endpoint.as_ref(), self.ports.clock.now()).await?;
        }
        Ok(way(self.run.state))
    }
}

/// What a run's state means for its parts. A paused run's files are read on: nothing of them is released.
pub(crate) fn way(state: RunState) -> Way {
    match state {
        RunState::Starting | RunState::Running | RunState::Paused => Way::On,
        RunState::Closing | RunState::Finished | RunState::Cancelled | RunState::Expired => Way::Stopped,
        RunState::Failed => Way::Waiting,
    }
}

fn count(chunks: usize) -> StoreResult<u32> {
    u32::try_from(chunks).map_err(|error| StoreError::corrupt("segment", error))
}
