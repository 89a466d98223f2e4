//! Reading a part's file: what comes of it becomes segments.

use fanhook_core::{
    audience::{Commit, Item, Reader},
    time::Millis,
};
use fanhook_lambda::clock::Clock;
use fanhook_store::{
    StoreResult,
    files::{FileFailure, Piece},
    ports::ObjectError,
};
use tokio::{
    sync::mpsc::{Receiver, Sender},
    task::yield_now,
};

use crate::plan::{Packer, Segment};

/// Bytes that are worked on before others may go on: some milliseconds.
const SLICE: usize = 128 << 10;

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
    Failed(FileFailure),
    /// The invocation is about to end.
    OutOfTime,
    /// Nobody takes what is read any more.
    Unwanted,
}

/// Reads what `pieces` bring and gives it out in stretches, until `stop`. Of an unfinished stretch nothing is given out but at the
/// file's end.
pub(crate) async fn read(
    mut reader: Reader,
    mut packer: Packer,
    mut pieces: Receiver<Result<Piece, ObjectError>>,
    out: Sender<Stretch>,
    clock: &dyn Clock,
    stop: Millis,
) -> StoreResult<Ending> {
    let mut etag = None;
    loop {
        let bytes = match pieces.recv().await {
            Some(Ok(piece)) => {
                etag = Some(piece.etag);
                Some(piece.bytes)
            }
            Some(Err(error)) => return FileFailure::of(error).map(Ending::Failed),
            None => None,
        };
        // At the file's end once more, without bytes.
        let slices = bytes.iter().flat_map(|bytes| bytes.chunks(SLICE)).map(Some);
        for slice in slices.chain(bytes.is_none().then_some(None)) {
            match slice {
                Some(slice) => reader.feed(slice),
                None => reader.end(),
            }
            loop {
                match reader.read() {
                    Ok(Item::Record(record)) => packer.add(&record),
                    Ok(Item::Bad(row)) => packer.report(&row),
                    Ok(Item::Starved) => break,
                    Ok(Item::End) => {
                        let last = Stretch { segment: packer.take(), commit: reader.commit(), etag };
                        let taken = out.send(last).await.is_ok();
                        return Ok(if taken { Ending::Ended } else { Ending::Unwanted });
                    }
                    Err(error) => return Ok(Ending::Failed(error.into())),
                }
                if packer.is_full() {
                    let full =
                        Stretch { segment: packer.take(), commit: reader.commit(), etag: etag.clone() };
                    if out.send(full).await.is_err() {
                        return Ok(Ending::Unwanted);
                    }
                    if clock.now() >= stop {
                        return Ok(Ending::OutOfTime);
                    }
                }
            }
            if clock.now() >= stop {
                return Ok(Ending::OutOfTime);
            }
            // What the other stages wait for may have come.
            yield_now().await;
        }
    }
}
