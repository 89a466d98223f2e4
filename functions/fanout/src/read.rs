//! Reading a part's file: ranges of it, one of them ahead of the one that is read, become segments.

use bytes::Bytes;
use fanhook_core::{
    audience::{Commit, Item, Reader},
    time::Millis,
};
use fanhook_lambda::clock::Clock;
use fanhook_store::{
    StoreResult,
    ports::{ObjectError, Objects},
};
use tokio::{
    sync::mpsc::{Receiver, Sender},
    task::yield_now,
};

use crate::{
    failure::Failure,
    plan::{Packer, Segment},
};

/// Bytes of one range.
const RANGE: u64 = 8 << 20;
/// Bytes that are worked on before others may go on: some milliseconds.
const PIECE: usize = 128 << 10;

/// A range of the file, or why there is none.
pub(crate) type Fetched = Result<(Bytes, String), Failure>;

/// A file from some offset on.
pub(crate) struct File<'a> {
    pub(crate) objects: &'a dyn Objects,
    pub(crate) key: String,
    /// Entity tag of the version that was begun with, where one was.
    pub(crate) etag: Option<String>,
    pub(crate) offset: u64,
}

impl File<'_> {
    /// Fetches range after range, each when there is room for it. Nobody wants it any more: it ends.
    pub(crate) async fn fetch(mut self, out: Sender<Fetched>) -> StoreResult<()> {
        // Room first, then the range: else one more would be in memory.
        while let Ok(room) = out.reserve().await {
            let range = self.offset..self.offset + RANGE;
            match self.objects.get(&self.key, range, self.etag.as_deref()).await {
                Ok(fetched) if fetched.bytes.is_empty() => break,
                Ok(fetched) => {
                    self.offset += fetched.bytes.len() as u64;
                    self.etag = Some(fetched.etag.clone());
                    room.send(Ok((fetched.bytes, fetched.etag)));
                    if self.offset >= fetched.size {
                        break;
                    }
                }
                Err(ObjectError::NotFound) => return Ok(room.send(Err(Failure::missing()))),
                Err(ObjectError::Replaced) => return Ok(room.send(Err(Failure::replaced()))),
                Err(ObjectError::Store(error)) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A stretch of the file that was read.
pub(crate) struct Stretch {
    pub(crate) segment: Segment,
    /// The place behind it.
    pub(crate) commit: Commit,
    /// Entity tag of the file, unless that is empty.
    pub(crate) etag: Option<String>,
}

/// Why reading ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The file is read to its end.
    Ended,
    /// It can't be read on.
    Failed(Failure),
    /// The invocation is about to end.
    OutOfTime,
    /// Nobody takes what is read any more.
    Unwanted,
}

/// Reads what `ranges` brings and gives it out in stretches, until `stop`. Of an unfinished stretch nothing is given out but at the
/// file's end.
pub(crate) async fn read(
    mut reader: Reader,
    mut packer: Packer,
    mut ranges: Receiver<Fetched>,
    out: Sender<Stretch>,
    clock: &dyn Clock,
    stop: Millis,
) -> Ending {
    let mut etag = None;
    loop {
        let range = match ranges.recv().await {
            Some(Ok((range, tag))) => {
                etag = Some(tag);
                Some(range)
            }
            Some(Err(failure)) => return Ending::Failed(failure),
            None => {
                reader.end();
                None
            }
        };
        let pieces = range.iter().flat_map(|range| range.chunks(PIECE)).map(Some);
        for piece in pieces.chain(range.is_none().then_some(None)) {
            if let Some(piece) = piece {
                reader.feed(piece);
            }
            loop {
                match reader.read() {
                    Ok(Item::Record(record)) => packer.add(&record),
                    Ok(Item::Bad(row)) => packer.report(&row),
                    Ok(Item::Starved) => break,
                    Ok(Item::End) => {
                        let last = Stretch { segment: packer.take(), commit: reader.commit(), etag };
                        return if out.send(last).await.is_ok() { Ending::Ended } else { Ending::Unwanted };
                    }
                    Err(error) => return Ending::Failed(error.into()),
                }
                if packer.is_full() {
                    let full = Stretch { segment: packer.take(), commit: reader.commit(), etag: etag.clone() };
                    if out.send(full).await.is_err() {
                        return Ending::Unwanted;
                    }
                    if clock.now() >= stop {
                        return Ending::OutOfTime;
                    }
                }
            }
            if clock.now() >= stop {
                return Ending::OutOfTime;
            }
            // What the other stages wait for may have come.
            yield_now().await;
        }
    }
}
