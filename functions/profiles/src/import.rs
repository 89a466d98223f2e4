//! Importing one file: read, store and commit until there is a reason to end.

use std::time::Duration;

use fanhook_core::{
    audience::{Commit, Compression, FileError, Item, Kind, Limits, Reader, Start},
    id::IdTypeCode,
    time::Millis,
};
use fanhook_store::{
    StoreError, StoreResult,
    files::{FileFailure, Piece, Stream},
    id_types,
    ports::{Message, ObjectError},
    uploads::{self, Upload, UploadState},
};
use tokio::{
    sync::mpsc::{Receiver, channel},
    task::yield_now,
};

use crate::{
    Ports,
    apply::{Report, Updates, commit},
    parse::GoOn,
};

/// Bytes that are worked on before the time is looked at.
const SLICE: usize = 64 << 10;
/// An import is saved this often, so that its progress is seen and little is read again after a crash.
const COMMIT_EVERY: Duration = Duration::from_secs(2);
/// And at so many bytes of report, so that memory stays flat.
const REPORT_BYTES: usize = 1 << 20;

/// What became of an import in one invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file is imported to its end.
    Imported,
    /// There is more: a message was left.
    HandedOver,
    /// The file can't be read on; what was imported stays.
    Failed(FileFailure),
    /// It was imported, or failed, before.
    Over,
    /// There is no such upload of profiles.
    Unknown,
}

impl Outcome {
    /// Its name, as logs have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::HandedOver => "handed_over",
            Self::Failed(failure) => failure.code.name(),
            Self::Over => "over",
            Self::Unknown => "unknown",
        }
    }
}

/// Why reading ended.
enum Ending {
    Ended,
    Failed(FileFailure),
    OutOfTime,
}

/// Imports a file from its commit point on, until its end or shortly before `deadline`, when the platform ends the invocation.
///
/// Two workers of one file, as a doubled message makes them, do the same twice and harm nothing.
///
/// An error is our own store's: the message goes back to the queue.
pub async fn import(ports: &Ports, file: &GoOn, deadline: Millis) -> StoreResult<Outcome> {
    let ledger = ports.ledger.as_ref();
    let found = uploads::get(ledger, file.upload).await?;
    let ours = |upload: &Upload| upload.workspace == file.workspace && upload.kind == uploads::Kind::Profiles;
    let Some(mut upload) = found.filter(ours) else { return Ok(Outcome::Unknown) };
    if matches!(upload.state, UploadState::Imported | UploadState::Failed) {
        return Ok(Outcome::Over);
    }
    let now = ports.clock.now();
    let stop = now + deadline.since(now).mul_f32(0.8);
    upload.state = UploadState::Importing;
    let outcome = match read(ports, &mut upload, stop).await? {
        Ending::OutOfTime => {
            let body = serde_json::to_string(file).map_err(|error| StoreError::corrupt("message", error))?;
            let message = Message { body, delay: Duration::ZERO, group: upload.workspace.to_string() };
            ports.queue.send(vec![message]).await?;
            return Ok(Outcome::HandedOver);
        }
        Ending::Ended => {
            upload.state = UploadState::Imported;
            Outcome::Imported
        }
        Ending::Failed(failure) => {
            upload.state = UploadState::Failed;
            upload.failure = Some(failure.to_string());
            Outcome::Failed(failure)
        }
    };
    uploads::save(ledger, &upload).await?;
    Ok(outcome)
}

/// Reads the file and commits what was read, at last where reading ends.
async fn read(ports: &Ports, upload: &mut Upload, stop: Millis) -> StoreResult<Ending> {
    let types = id_types::get(ports.config.as_ref(), &upload.workspace).await?.types;
    let types = types.into_iter().map(|id_type| id_type.code).collect();
    let (reader, offset) = match reader(upload, types)? {
        Ok(opened) => opened,
        Err(error) => return Ok(Ending::Failed(error.into())),
    };
    let stream =
        Stream { objects: ports.objects.as_ref(), key: upload.key(), etag: upload.etag.clone(), offset };
    let (room, pieces) = channel(1);
    tokio::join!(stream.fetch(room), rows(ports, upload, reader, pieces, stop)).1
}

/// A reader from the commit point on, and the offset in the file that it is fed from.
fn reader(upload: &Upload, types: Vec<IdTypeCode>) -> StoreResult<Result<(Reader, u64), FileError>> {
    // Whoever reads a row again judges it as before.
    let (kind, limits) = (Kind::Profiles, Limits::of_profiles(upload.created));
    let Some(position) = &upload.position else {
        return Ok(Ok((Reader::new(kind, types, limits), 0)));
    };
    let commit: Commit =
        serde_json::from_str(position).map_err(|error| StoreError::corrupt("position", error))?;
    // A compressed stream has no middle.
    let plain = upload.etag.is_some() && commit.compression == Some(Compression::Plain);
    let (start, offset) = if plain { (Start::Offset, commit.offset) } else { (Start::Beginning, 0) };
    Ok(Reader::resume(kind, types, limits, &commit, start).map(|reader| (reader, offset)))
}

async fn rows(
    ports: &Ports,
    upload: &mut Upload,
    mut reader: Reader,
    mut pieces: Receiver<Result<Piece, ObjectError>>,
    stop: Millis,
) -> StoreResult<Ending> {
    let (workspace, otherwise) = (upload.workspace.clone(), upload.created);
    let mut updates = Updates::new(ports.profiles.as_ref(), &workspace);
    let mut report = Report::default();
    let mut saved = ports.clock.now();
    let ending = 'file: loop {
        let bytes = match pieces.recv().await {
            Some(Ok(piece)) => {
                upload.etag = Some(piece.etag);
                Some(piece.bytes)
            }
            Some(Err(error)) => break Ending::Failed(FileFailure::of(error)?),
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
                    Ok(Item::Record(record)) => {
                        let said = record.said(otherwise);
                        updates
                            .begin(said.ok_or_else(|| StoreError::corrupt("record", "it was not checked"))?)
                            .await?;
                    }
                    Ok(Item::Bad(row)) => report.add(&row),
                    Ok(Item::Starved) => break,
                    Ok(Item::End) => break 'file Ending::Ended,
                    Err(error) => break 'file Ending::Failed(error.into()),
                }
                let now = ports.clock.now();
                if now >= stop {
                    break 'file Ending::OutOfTime;
                }
                if now >= saved + COMMIT_EVERY || report.len() >= REPORT_BYTES {
                    let state = (ports.ledger.as_ref(), ports.objects.as_ref());
                    commit(state, upload, &mut updates, &mut report, &mut reader).await?;
                    saved = now;
                }
            }
            if ports.clock.now() >= stop {
                break 'file Ending::OutOfTime;
            }
            // The next range may have come.
            yield_now().await;
        }
    };
    let state = (ports.ledger.as_ref(), ports.objects.as_ref());
    commit(state, upload, &mut updates, &mut report, &mut reader).await?;
    Ok(ending)
}
