//! Segments: the recipients of 64 chunks in one object, a line each.

use bytes::Bytes;
use fanhook_core::id::WorkspaceId;

use crate::{
    StoreError, StoreResult,
    chunks::Chunk,
    keys,
    ports::{ObjectError, Objects},
};

const WHAT: &str = "segment";

/// The lines of a chunk's recipients, one for each of its states, line breaks included.
///
/// # Errors
/// [`StoreError::Corrupt`] where the segment is gone, or does not hold what the chunk says.
pub async fn recipients(objects: &dyn Objects, workspace: &WorkspaceId, chunk: &Chunk) -> StoreResult<Bytes> {
    let source = chunk.source;
    let key = keys::segment(workspace, chunk.id.run, chunk.id.part, source.segment, source.fence);
    let range = source.offset..source.offset.saturating_add(source.length);
    let bytes = match objects.get(&key, range, None).await {
        Ok(fetched) => fetched.bytes,
        Err(ObjectError::Store(error)) => return Err(error),
        Err(error @ (ObjectError::NotFound | ObjectError::Replaced)) => {
            return Err(StoreError::corrupt(WHAT, error));
        }
    };
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")).count();
    if bytes.len() as u64 != source.length || lines != chunk.states.len() || !bytes.ends_with(b"\n") {
        return Err(StoreError::corrupt(WHAT, "it does not hold the chunk's recipients"));
    }
    Ok(bytes)
}
