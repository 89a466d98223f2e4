//! The heads of all files of an audience are read before any chunk of it is written: a wrong header fails the run before anything
//! is sent, whichever file it stands in.

use fanhook_core::{
    audience::{Kind, Limits, Reader},
    chunk::Part as Number,
    id::IdTypeCode,
};
use fanhook_store::{
    StoreResult, keys,
    parts::{Part, PartState},
    ports::{ObjectError, Objects},
    runs::Run,
};
use futures_util::future::try_join_all;

use crate::failure::Failure;

/// Bytes of a file's head: more than the longest header line.
const HEAD: u64 = 128 << 10;

/// What is wrong with the files that nothing was read of yet.
pub(crate) async fn check(
    objects: &dyn Objects,
    run: &Run,
    parts: &[Part],
    types: &[IdTypeCode],
) -> StoreResult<Vec<(Number, Failure)>> {
    let unread = parts.iter().filter(|part| part.state == PartState::Open && part.commit.position.is_none());
    let heads = unread.map(async |part| {
        let key = keys::uploaded("audiences", &run.workspace, part.upload);
        let failure = match objects.get(&key, 0..HEAD, None).await {
            Ok(head) => head_failure(&head.bytes, head.size <= HEAD, types.to_vec()),
            Err(ObjectError::NotFound) => Some(Failure::missing()),
            Err(ObjectError::Replaced) => Some(Failure::replaced()),
            Err(ObjectError::Store(error)) => return Err(error),
        };
        Ok(failure.map(|failure| (part.part, failure)))
    });
    Ok(try_join_all(heads).await?.into_iter().flatten().collect())
}

fn head_failure(head: &[u8], whole: bool, types: Vec<IdTypeCode>) -> Option<Failure> {
    let mut reader = Reader::new(Kind::Audience, types, Limits::default());
    reader.feed(head);
    if whole {
        reader.end();
    }
    // The first record, bad row or end lies behind the header.
    reader.read().err().map(Failure::from)
}
